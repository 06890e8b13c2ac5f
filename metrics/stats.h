/* stats.h: is the difference real? Statistics for comparing two models on the same documents.
 * Each function names the reference it agrees with to 1e-9 (Monte Carlo ones within their error).
 */
#ifndef ASSAY_METRICS_STATS_H
#define ASSAY_METRICS_STATS_H

#include <stdbool.h>
#include <stdint.h>

/* Sample mean and standard deviation (n - 1), two-pass. NaN sd for n < 2. */
double stats_mean(const double *x, int64_t n);
double stats_sd(const double *x, int64_t n);

void stats_sort(double *x, int64_t n); /* ascending */

/* numpy.quantile of sorted values, q in [0, 1]: between neighbours in proportion. */
double stats_quantile(const double *sorted, int64_t n, double q);

double normal_cdf(double z);                    /* scipy.stats.norm.cdf */
double normal_quantile(double p);               /* scipy.stats.norm.ppf */
double student_t_quantile(double p, double df); /* scipy.stats.t.ppf */
double student_t_cdf(double t, double df);
double binomial_cdf(int64_t k, int64_t n, double p);

/* McNemar's exact test on discordant pairs: b documents that only A got right, c only B.
 * Two-sided p = min(1, 2 * BinomCDF(min(b, c); b + c, 1/2)) (statsmodels mcnemar exact=True);
 * 1 when b + c is 0. */
double mcnemar_exact_p(int64_t b, int64_t c);

struct estimate {
    double value;
    double low, high; /* 95 % interval */
};

/* b / a with Fieller's interval (E. C. Fieller, "Some Problems in Interval Estimation", Journal of
 * the Royal Statistical Society B 16, 1954): the values t for which b - t a is not off 0 by more
 * than `quantile` standard errors. a and b are estimates with their variances and covariance. NaN
 * ends where a itself is not off 0 by as much: then the interval has no end. */
struct estimate fieller_ratio(double a, double b, double var_a, double var_b, double covariance,
                              double quantile);

/* What cannot be said, because a score or a replicate's aggregate is not finite, is NaN. */
struct paired_difference {
    double mean;      /* of b - a */
    double stderr_;   /* sd of the differences / sqrt(n) */
    double low, high; /* 95 % interval: mean -+ t quantile * stderr */
    double p;         /* two-sided paired t test (scipy.stats.ttest_rel); 1 when all are 0 */
    int64_t n;
    struct estimate ratio; /* of the means, b to a: fieller_ratio() with the t quantile */
};
struct paired_difference paired_t(const double *a, const double *b, int64_t n);

/* A difference of aggregates that are no mean (perplexities; `aggregation` is an enum aggregation
 * of metric.h): paired bootstrap over documents with our own keyed stream. `mean` is the difference
 * of the aggregates themselves, `stderr_` the replicates' sd, the interval their percentiles, `p`
 * twice the smaller share of replicates on either side of 0; `ratio` has percentiles too. */
struct metric_item;
struct paired_difference paired_bootstrap(const struct metric_item *a, const struct metric_item *b,
                                          int64_t n, int aggregation, int replicates,
                                          uint64_t seed);

/* An aggregate (`aggregation` as above) with the percentiles of a bootstrap over items. NaN ends
 * for n < 2, or where a replicate is not finite. */
struct estimate metric_bootstrap(int aggregation, const struct metric_item *items, int64_t n,
                                 int replicates, uint64_t seed);

/* Ratios of sums over clusters (a document's tokens): for each column c the estimate is
 * sum_i sums[c][i] / sum_i weight[i]. The interval is the percentiles of a bootstrap over i, which
 * leaves a cluster's dependence as it is; all columns see the same draws. NaN ends for n < 2. */
void ratio_bootstrap(const double *const *sums, int n_columns, const double *weight, int64_t n,
                     int replicates, uint64_t seed, struct estimate *ret);

/* ---- correlations ---- */

/* With the two-sided p of no correlation. NaN where a side does not vary or holds a NaN. */
struct correlation {
    double r, p;
};
struct correlation pearson(const double *x, const double *y, int64_t n);  /* scipy pearsonr */
struct correlation spearman(const double *x, const double *y, int64_t n); /* spearmanr */
/* kendalltau: tau-b; p exact without ties for n <= 33 or at most one discordant (or one concordant)
 * pair, else by the normal approximation. Time n log n. */
struct correlation kendall_tau_b(const double *x, const double *y, int64_t n);

#endif
