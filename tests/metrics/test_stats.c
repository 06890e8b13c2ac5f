/* Statistics against scipy's and statsmodels' numbers. */
#include "metrics/stats.h"

#include <jansson.h>

#include "metrics/metric.h"
#include "tests/check.h"

/* The golden file's value, or NULL after noting the skip. */
static json_t *golden(const char *name)
{
    const char *path = check_shared(name);
    json_error_t e;
    json_t *v = path ? json_load_file(path, 0, &e) : NULL;
    if (path && !v)
        check_fail(__FILE__, __LINE__, "%s:%d: %s", path, e.line, e.text);
    return v;
}

/* Numbers; null is NaN and "inf" is infinity, as the golden files write them. */
static double number(const json_t *v)
{
    if (json_is_string(v))
        return strtod(json_string_value(v), NULL);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static double at(const json_t *list, size_t i)
{
    return number(json_array_get(list, i));
}

static double member(const json_t *dict, const char *key)
{
    return number(json_object_get(dict, key));
}

static int64_t integer(const json_t *dict, const char *key)
{
    return json_integer_value(json_object_get(dict, key));
}

static double *numbers(const json_t *list, int64_t *n)
{
    *n = (int64_t)json_array_size(list);
    double *x = mem_alloc((size_t)*n + 1, sizeof *x);
    for (int64_t i = 0; i < *n; i++)
        x[i] = at(list, (size_t)i);
    return x;
}

#define EXPECT_CLOSE(got, want) EXPECT_NEAR(got, want, 1e-9 * fabs((double)(want)) + 1e-300)

static void distributions(void)
{
    json_t *all = golden("goldens/stats/distributions.json"), *row;
    size_t i;
    json_array_foreach(json_object_get(all, "t_cdf [t, df, cdf]"), i, row)
        EXPECT_CLOSE(student_t_cdf(at(row, 0), at(row, 1)), at(row, 2));
    json_array_foreach(json_object_get(all, "t_ppf [p, df, t]"), i, row) EXPECT_NEAR(
        student_t_quantile(at(row, 0), at(row, 1)), at(row, 2), 1e-9 * (1 + fabs(at(row, 2))));
    json_array_foreach(json_object_get(all, "norm_cdf [x, cdf]"), i, row)
        EXPECT_CLOSE(normal_cdf(at(row, 0)), at(row, 1));
    json_array_foreach(json_object_get(all, "norm_ppf [p, x]"), i, row)
        EXPECT_NEAR(normal_quantile(at(row, 0)), at(row, 1), 1e-9 * (1 + fabs(at(row, 1))));
    json_decref(all);
}

/* Closed forms: one and two degrees of freedom, the median, and exact binomial sums. */
static void distributions_by_hand(void)
{
    EXPECT_CLOSE(student_t_cdf(-3, 1), 0.5 - atan(3) / M_PI);
    EXPECT_CLOSE(student_t_cdf(1, 2), 0.5 + 0.5 / sqrt(3));
    EXPECT_CLOSE(student_t_quantile(0.75, 1), 1);
    EXPECT_CLOSE(student_t_quantile(1e-12, 1), -1 / tan(M_PI * 1e-12));
    EXPECT_NEAR(student_t_quantile(0.5, 7), 0, 0);
    EXPECT_NEAR(student_t_quantile(0.975, 1e12), normal_quantile(0.975), 1e-9);
    EXPECT_NEAR(normal_quantile(0.5), 0, 0);
    EXPECT_NEAR(normal_quantile(0), -INFINITY, 0);
    EXPECT_NEAR(normal_quantile(-1), NAN, 0);
    EXPECT_CLOSE(binomial_cdf(1, 3, 0.5), 0.5);
    EXPECT_CLOSE(binomial_cdf(0, 1000, 0.001), pow(0.999, 1000));
    EXPECT_CLOSE(binomial_cdf(499999, 999999, 0.5), 0.5);
    EXPECT_NEAR(binomial_cdf(-1, 5, 0.5), 0, 0);
    EXPECT_NEAR(binomial_cdf(5, 5, 0.5), 1, 0);
}

/* cdf(quantile(p)) = p over many degrees of freedom and tails. */
static void quantiles_invert(void)
{
    static const double dfs[] = {0.3, 1, 1.5, 2, 9, 99, 1318, 1e5, 1e9};
    for (size_t i = 0; i < sizeof dfs / sizeof *dfs; i++)
        for (double p = 1e-10; p < 0.5; p *= 3)
            EXPECT_CLOSE(student_t_cdf(student_t_quantile(p, dfs[i]), dfs[i]), p);
    for (double p = 1e-300; p < 0.5; p *= 7)
        EXPECT_CLOSE(normal_cdf(normal_quantile(p)), p);
}

static void mcnemar(void)
{
    json_t *all = golden("goldens/stats/mcnemar.json"), *row;
    size_t i;
    json_array_foreach(all, i, row)
        EXPECT_CLOSE(mcnemar_exact_p(integer(row, "b"), integer(row, "c")), member(row, "exact_p"));
    json_decref(all);
}

/* The goldens pair a with b; paired_t is about b - a, so that their signs are the other way. */
static void paired(void)
{
    json_t *all = golden("goldens/stats/ttest.json"), *row;
    size_t i;
    json_array_foreach(all, i, row)
    {
        int64_t n, m;
        double *a = numbers(json_object_get(row, "a"), &n);
        double *b = numbers(json_object_get(row, "b"), &m);
        const json_t *t = json_object_get(row, "paired"), *ci = json_object_get(row, "paired_ci95");
        struct paired_difference d = paired_t(a, b, n);
        EXPECT_INT(m, n);
        EXPECT_CLOSE(-d.mean / d.stderr_, at(t, 0));
        EXPECT_CLOSE(d.p, at(t, 1));
        EXPECT_NEAR(-d.high, at(ci, 0), 1e-9);
        EXPECT_NEAR(-d.low, at(ci, 1), 1e-9);
        EXPECT_INT(d.n, n);
        free(a), free(b);
    }
    json_decref(all);
}

static void paired_edges(void)
{
    static const double a[] = {1, 0, 1}, b[] = {2, 1, 2};
    struct paired_difference same = paired_t(a, a, 3), shift = paired_t(a, b, 3);
    EXPECT_NEAR(same.p, 1, 0);
    EXPECT_NEAR(same.low, 0, 0);
    EXPECT_NEAR(shift.p, 0, 0);
    EXPECT_NEAR(shift.mean, 1, 0);
    EXPECT_NEAR(paired_t(a, (double[]){-INFINITY, 1, 2}, 3).p, NAN, 0);
    static const struct metric_item far[] = {{-INFINITY, 1, NULL}, {-1, 1, NULL}},
                                    near[] = {{-1, 1, NULL}, {-1, 1, NULL}};
    EXPECT_NEAR(paired_bootstrap(far, far, 2, AGGREGATE_PERPLEXITY, 100, 1).p, NAN, 0);
    struct paired_difference d = paired_bootstrap(far, near, 2, AGGREGATE_PERPLEXITY, 100, 1);
    EXPECT_NEAR(d.p, NAN, 0);
    EXPECT_NEAR(d.low, NAN, 0);
    EXPECT_NEAR(paired_t(a, b, 1).mean, 1, 0);
    EXPECT_NEAR(paired_t(a, b, 1).p, NAN, 0);
    EXPECT_NEAR(paired_t(a, b, 0).mean, NAN, 0);
}

static void summary(void)
{
    json_t *all = golden("goldens/stats/summary.json"), *row;
    size_t i;
    json_array_foreach(all, i, row)
    {
        int64_t n;
        double *x = numbers(json_object_get(row, "x"), &n);
        EXPECT_CLOSE(stats_mean(x, n), member(row, "mean"));
        EXPECT_CLOSE(stats_sd(x, n) / sqrt((double)n), member(row, "stderr_ddof1"));
        free(x);
    }
    json_decref(all);
    EXPECT_NEAR(stats_sd(NULL, 0), NAN, 0);
}

/* Two runs of a bootstrap differ by chance: the standard error of an sd over R replicates is
 * sd / sqrt(2 R), of a 2.5 % percentile about 2.7 sd / sqrt(R); allowed are six of those, for ours
 * (R = 20,000) against numpy's (200,000). Means of 0/1 have steps of 1/n besides. */
static void bootstrap(void)
{
    json_t *all = golden("goldens/stats/paired_bootstrap.json"), *row;
    size_t i;
    json_array_foreach(all, i, row)
    {
        enum { R = 20000 };
        int64_t n, m;
        double *a = numbers(json_object_get(row, "a"), &n);
        double *b = numbers(json_object_get(row, "b"), &m);
        struct metric_item *x = mem_alloc((size_t)n, sizeof *x),
                           *y = mem_alloc((size_t)n, sizeof *y);
        for (int64_t j = 0; j < n; j++) {
            x[j] = (struct metric_item){a[j], 1, NULL};
            y[j] = (struct metric_item){b[j], 1, NULL};
        }
        struct paired_difference d = paired_bootstrap(x, y, n, AGGREGATE_MEAN, R, 7);
        const json_t *want = json_object_get(row, "percentiles");
        double sd = member(row, "bootstrap_se"), mean = member(row, "mean_diff");
        double sign = fabs(d.mean - mean) < fabs(d.mean + mean) ? 1 : -1;
        double low = sign > 0 ? d.low : -d.high, high = sign > 0 ? d.high : -d.low;
        double off = 6 * 2.7 * sd / sqrt(R) + 1.0 / (double)n;
        EXPECT_NEAR(sign * d.mean, mean, 1e-9);
        EXPECT_NEAR(d.stderr_, sd, 6 * sd / sqrt(2 * R) * 1.1);
        EXPECT_NEAR(low, member(want, "2.5"), off);
        EXPECT_NEAR(high, member(want, "97.5"), off);
        struct paired_difference again = paired_bootstrap(x, y, n, AGGREGATE_MEAN, R, 7);
        EXPECT(memcmp(&again, &d, sizeof d) == 0);
        free(a), free(b), free(x), free(y);
    }
    json_decref(all);
}

/* A resample keeps a document's value and weight together: with the same ratio everywhere the
 * perplexity never moves. */
static void bootstrap_of_ratios(void)
{
    struct metric_item a[40], b[40];
    for (int i = 0; i < 40; i++) {
        a[i] = (struct metric_item){-2.0 * (i + 1), i + 1, NULL};
        b[i] = (struct metric_item){-1.0 * (i + 1), i + 1, NULL};
    }
    struct paired_difference d = paired_bootstrap(a, b, 40, AGGREGATE_WEIGHTED_PERPLEXITY, 1000, 1);
    EXPECT_NEAR(d.mean, exp(1) - exp(2), 1e-12);
    EXPECT_NEAR(d.stderr_, 0, 1e-12);
    EXPECT_NEAR(d.low, d.mean, 1e-12);
    EXPECT_NEAR(d.p, 0, 0);
}

static void correlations(void)
{
    json_t *all = golden("goldens/stats/correlation.json"), *row;
    size_t i;
    json_array_foreach(all, i, row)
    {
        int64_t n, m;
        double *x = numbers(json_object_get(row, "x"), &n);
        double *y = numbers(json_object_get(row, "y"), &m);
        const struct {
            const char *name;
            struct correlation got;
        } kinds[] = {{"pearson", pearson(x, y, n)},
                     {"spearman", spearman(x, y, n)},
                     {"kendall_b", kendall_tau_b(x, y, n)}};
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            const json_t *want = json_object_get(row, kinds[k].name);
            EXPECT_NEAR(kinds[k].got.r, at(want, 0), 1e-9);
            EXPECT_NEAR(kinds[k].got.p, at(want, 1), 1e-9);
        }
        free(x), free(y);
    }
    EXPECT(!all || i == 30);
    json_decref(all);
}

static void correlation_edges(void)
{
    static const double up[] = {1, 2, 3, 4}, same[] = {5, 5, 5, 5}, odd[] = {1, NAN, 3, 4},
                        far[] = {-1e308, 1e308, 1e300, 0};
    EXPECT_NEAR(pearson(up, same, 4).r, NAN, 0);
    EXPECT_NEAR(spearman(up, odd, 4).r, NAN, 0);
    EXPECT_NEAR(kendall_tau_b(up, same, 4).r, NAN, 0);
    EXPECT_NEAR(kendall_tau_b(up, up, 1).r, NAN, 0);
    EXPECT_NEAR(pearson(up, up, 2).p, 1, 0);
    EXPECT(fabs(pearson(up, far, 4).r) <= 1);
}

/* Written by fieller_reference.py: b is a with a few flips, ones where i * 7919 % 97 is small. */
static const struct {
    int n, below_a, below_b;
    double ratio, low, high;
} fieller[] = {
    {40, 60, 52, 0.791666666666667, 0.591008870168726, 1.00799014463981},
    {200, 75, 78, 0.961290322580645, 0.901309139425486, 1.0242162767593},
    {1000, 30, 31, 1.14239482200647, 1.07454058589279, 1.2164387654187},
    {25, 90, 40, 0.333333333333333, 0.129885680122188, 0.536780986544481},
};

static void ratios(void)
{
    for (size_t k = 0; k < sizeof fieller / sizeof *fieller; k++) {
        double a[1000], b[1000];
        struct metric_item x[1000], y[1000];
        int n = fieller[k].n;
        for (int i = 0; i < n; i++) {
            a[i] = i * 7919 % 97 < fieller[k].below_a;
            b[i] = fabs((i * 7919 % 97 < fieller[k].below_b) - (double)(i * 104729 % 89 < 9));
            x[i] = (struct metric_item){.value = a[i], .weight = 1};
            y[i] = (struct metric_item){.value = b[i], .weight = 1};
        }
        struct estimate r = paired_t(a, b, n).ratio;
        EXPECT_NEAR(r.value, fieller[k].ratio, 1e-12);
        EXPECT_NEAR(r.low, fieller[k].low, 1e-9);
        EXPECT_NEAR(r.high, fieller[k].high, 1e-9);
        struct estimate boot = paired_bootstrap(x, y, n, AGGREGATE_MEAN, 10000, 5).ratio;
        EXPECT_NEAR(boot.value, r.value, 1e-12);
        EXPECT_NEAR(boot.low, r.low, 0.15 * (r.high - r.low)); /* alike, where n is not small */
        EXPECT_NEAR(boot.high, r.high, 0.15 * (r.high - r.low));
    }
    /* a reference that may as well be nothing has no interval */
    double few[100] = {1, 1}, more[100] = {[10] = 1, 1, 1};
    struct estimate r = paired_t(few, more, 100).ratio;
    EXPECT_NEAR(r.value, 1.5, 1e-12);
    EXPECT(isnan(r.low) && isnan(r.high));
    for (int i = 20; i < 60; i++)
        more[i] = 1;
    r = paired_t(more, more, 100).ratio;
    EXPECT(r.value == 1 && fabs(r.low - 1) < 1e-7 && fabs(r.high - 1) < 1e-7);
}

CHECK_MAIN({"ratios", ratios}, {"distributions agree with scipy", distributions},
           {"distributions agree with closed forms", distributions_by_hand},
           {"quantiles invert", quantiles_invert}, {"mcnemar", mcnemar}, {"paired t", paired},
           {"paired t, edges", paired_edges}, {"mean and sd", summary},
           {"paired bootstrap", bootstrap}, {"paired bootstrap of ratios", bootstrap_of_ratios},
           {"correlations", correlations}, {"correlations, edges", correlation_edges})
