/* stats.c: tests and intervals for two models on the same documents. */
#include "metrics/stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/hash.h"
#include "metrics/metric.h"

double stats_mean(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

double stats_sd(const double *x, int64_t n)
{
    if (n < 2)
        return NAN;
    double mean = stats_mean(x, n), sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void stats_sort(double *x, int64_t n)
{
    qsort(x, (size_t)n, sizeof *x, compare_doubles);
}

double stats_quantile(const double *sorted, int64_t n, double q)
{
    double at = q * (double)(n - 1);
    int64_t i = (int64_t)at;
    if (i >= n - 1)
        return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

double mcnemar_exact_p(int64_t b, int64_t c)
{
    if (b + c == 0)
        return 1;
    return fmin(1, 2 * binomial_cdf(b < c ? b : c, b + c, 0.5));
}

struct estimate fieller_ratio(double a, double b, double var_a, double var_b, double covariance,
                              double quantile)
{
    struct estimate ret = {b / a, NAN, NAN};
    double q2 = quantile * quantile, square = a * a - q2 * var_a;
    if (!(square > 0)) /* NaN as well */
        return ret;
    /* the roots of square t^2 - 2 middle t + (b^2 - q^2 var_b) */
    double middle = a * b - q2 * covariance;
    double root = sqrt(fmax(0, middle * middle - square * (b * b - q2 * var_b)));
    ret.low = (middle - root) / square;
    ret.high = (middle + root) / square;
    return ret;
}

static struct paired_difference unknown(int64_t n)
{
    return (struct paired_difference){.mean = NAN,
                                      .stderr_ = NAN,
                                      .low = NAN,
                                      .high = NAN,
                                      .p = NAN,
                                      .n = n,
                                      .ratio = {NAN, NAN, NAN}};
}

static struct estimate ratio_of_means(const double *a, const double *b, int64_t n, double quantile)
{
    double mean_a = stats_mean(a, n), mean_b = stats_mean(b, n), covariance = 0;
    double sd_a = stats_sd(a, n), sd_b = stats_sd(b, n), k = (double)n;
    for (int64_t i = 0; i < n; i++)
        covariance += (a[i] - mean_a) * (b[i] - mean_b);
    return fieller_ratio(mean_a, mean_b, sd_a * sd_a / k, sd_b * sd_b / k, covariance / (k - 1) / k,
                         quantile);
}

struct paired_difference paired_t(const double *a, const double *b, int64_t n)
{
    struct paired_difference ret = unknown(n);
    if (n < 1)
        return ret;
    double *d = mem_alloc((size_t)n, sizeof *d);
    for (int64_t i = 0; i < n; i++)
        d[i] = b[i] - a[i];
    ret.mean = stats_mean(d, n);
    ret.stderr_ = stats_sd(d, n) / sqrt((double)n);
    free(d);
    if (n < 2)
        return ret;
    double quantile = student_t_quantile(0.975, (double)(n - 1)), half = quantile * ret.stderr_;
    ret.ratio = ratio_of_means(a, b, n, quantile);
    ret.low = ret.mean - half;
    ret.high = ret.mean + half;
    if (ret.stderr_ != 0) /* NaN where a difference is not finite */
        ret.p = 2 * student_t_cdf(-fabs(ret.mean / ret.stderr_), (double)(n - 1));
    else
        ret.p = ret.mean == 0;
    return ret;
}

/* ---- paired bootstrap ---- */

/* SplitMix64 (Steele, Lea and Flood 2014): a stream that starts anywhere at no cost, so that a
 * replicate's draws depend on the seed and its number alone. */
struct draws {
    uint64_t state;
};

static struct draws draws_of(uint64_t seed, int replicate)
{
    return (struct draws){hash_mix(hash_mix(seed) + (uint64_t)replicate + 1)};
}

static int64_t draw_below(struct draws *d, int64_t n)
{
    d->state += 0x9e3779b97f4a7c15u;
    unsigned __int128 wide = (unsigned __int128)hash_mix(d->state) * (uint64_t)n;
    return (int64_t)(wide >> 64);
}

/* Sorts the replicates. */
static void add_interval(struct estimate *e, double *replicates, int n)
{
    if (!isfinite(stats_sd(replicates, n)))
        return; /* a replicate is not finite: there is no interval */
    stats_sort(replicates, n);
    e->low = stats_quantile(replicates, n, 0.025);
    e->high = stats_quantile(replicates, n, 0.975);
}

/* Two-sided: twice the smaller share of replicates on either side of 0. */
static double bootstrap_p(const double *d, int n)
{
    int not_above = 0, not_below = 0;
    for (int i = 0; i < n; i++) {
        not_above += d[i] <= 0;
        not_below += d[i] >= 0;
    }
    return fmin(1, 2.0 * (not_above < not_below ? not_above : not_below) / n);
}

struct paired_difference paired_bootstrap(const struct metric_item *a, const struct metric_item *b,
                                          int64_t n, int aggregation, int replicates, uint64_t seed)
{
    enum aggregation how = (enum aggregation)aggregation;
    struct paired_difference ret = unknown(n);
    if (n < 1)
        return ret;
    double value_a = metric_value(how, a, n), value_b = metric_value(how, b, n);
    ret.mean = value_b - value_a;
    ret.ratio.value = value_b / value_a;
    if (n < 2 || replicates < 2)
        return ret;
    struct metric_item *pick_a = mem_alloc((size_t)n, sizeof *pick_a);
    struct metric_item *pick_b = mem_alloc((size_t)n, sizeof *pick_b);
    double *d = mem_alloc((size_t)replicates, sizeof *d);
    double *ratios = mem_alloc((size_t)replicates, sizeof *ratios);
    for (int i = 0; i < replicates; i++) {
        struct draws draws = draws_of(seed, i);
        for (int64_t j = 0; j < n; j++) {
            int64_t k = draw_below(&draws, n);
            pick_a[j] = a[k];
            pick_b[j] = b[k];
        }
        value_a = metric_value(how, pick_a, n);
        value_b = metric_value(how, pick_b, n);
        d[i] = value_b - value_a;
        ratios[i] = value_b / value_a;
    }
    add_interval(&ret.ratio, ratios, replicates);
    ret.stderr_ = stats_sd(d, replicates);
    if (isfinite(ret.stderr_)) { /* else a replicate is not finite: there is no interval */
        ret.p = bootstrap_p(d, replicates);
        stats_sort(d, replicates);
        ret.low = stats_quantile(d, replicates, 0.025);
        ret.high = stats_quantile(d, replicates, 0.975);
    }
    free(pick_a), free(pick_b), free(d), free(ratios);
    return ret;
}

/* ---- one aggregate ---- */

struct estimate metric_bootstrap(int aggregation, const struct metric_item *items, int64_t n,
                                 int replicates, uint64_t seed)
{
    enum aggregation how = (enum aggregation)aggregation;
    struct estimate ret = {metric_value(how, items, n), NAN, NAN};
    if (n < 2 || replicates < 2)
        return ret;
    struct metric_item *picked = mem_alloc((size_t)n, sizeof *picked);
    double *d = mem_alloc((size_t)replicates, sizeof *d);
    for (int i = 0; i < replicates; i++) {
        struct draws draws = draws_of(seed, i);
        for (int64_t j = 0; j < n; j++)
            picked[j] = items[draw_below(&draws, n)];
        d[i] = metric_value(how, picked, n);
    }
    add_interval(&ret, d, replicates);
    free(picked);
    free(d);
    return ret;
}

/* ---- ratios over clusters ---- */

/* One replicate's ratios, to[c * stride]. */
static void draw_ratios(const double *const *sums, int n_columns, const double *weight, int64_t n,
                        struct draws draws, double *to, int stride)
{
    double under = 0;
    for (int c = 0; c < n_columns; c++)
        to[c * stride] = 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t k = draw_below(&draws, n);
        under += weight[k];
        for (int c = 0; c < n_columns; c++)
            to[c * stride] += sums[c][k];
    }
    for (int c = 0; c < n_columns; c++)
        to[c * stride] /= under;
}

void ratio_bootstrap(const double *const *sums, int n_columns, const double *weight, int64_t n,
                     int replicates, uint64_t seed, struct estimate *ret)
{
    double under = 0;
    for (int64_t i = 0; i < n; i++)
        under += weight[i];
    for (int c = 0; c < n_columns; c++) {
        double over = 0;
        for (int64_t i = 0; i < n; i++)
            over += sums[c][i];
        ret[c] = (struct estimate){over / under, NAN, NAN};
    }
    if (n < 2 || replicates < 2)
        return;
    double *d = mem_alloc((size_t)replicates * (size_t)n_columns, sizeof *d);
    for (int i = 0; i < replicates; i++)
        draw_ratios(sums, n_columns, weight, n, draws_of(seed, i), d + i, replicates);
    for (int c = 0; c < n_columns; c++)
        add_interval(&ret[c], d + (size_t)c * (size_t)replicates, replicates);
    free(d);
}
