/* correlation.c: Pearson's, Spearman's and Kendall's correlations. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "metrics/stats.h"

static bool any_nan(const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (isnan(x[i]))
            return true;
    return false;
}

/* Two-sided p of r if the true correlation is 0. */
static double p_of(double r, int64_t n)
{
    double df = (double)(n - 2), room = (1 - r) * (1 + r);
    return n == 2 ? 1 : room <= 0 ? 0 : 2 * student_t_cdf(-fabs(r) * sqrt(df / room), df);
}

/* ---- Pearson ---- */

/* x less its mean; false where x does not vary. */
static bool centre(const double *x, int64_t n, double *ret)
{
    double mean = stats_mean(x, n), most = 0;
    for (int64_t i = 0; i < n; i++) {
        ret[i] = x[i] - mean;
        most = fmax(most, fabs(ret[i]));
    }
    return n > 1 && most > 0 && isfinite(most);
}

static double product(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* The length becomes 1, by way of values that no square overflows. */
static void normalize(double *x, int64_t n)
{
    double most = 0, sum = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    for (int64_t i = 0; i < n; i++)
        sum += x[i] / most * (x[i] / most);
    double length = most * sqrt(sum);
    for (int64_t i = 0; i < n; i++)
        x[i] /= length;
}

/* Normalizing first keeps huge values in range; dividing last makes the r of equal ranks 1 to the
 * bit. Near 1, p is as large as the square root of r's rounding: to agree with scipy's p, each of
 * its two functions has to be followed in this. */
static struct correlation correlate(const double *x, const double *y, int64_t n, bool ranks)
{
    struct correlation ret = {NAN, NAN};
    double *a = mem_alloc((size_t)n, sizeof *a), *b = mem_alloc((size_t)n, sizeof *b);
    if (centre(x, n, a) && centre(y, n, b)) {
        if (!ranks)
            normalize(a, n), normalize(b, n);
        double below = ranks ? sqrt(product(a, a, n) * product(b, b, n)) : 1;
        ret.r = fmax(-1, fmin(1, product(a, b, n) / below));
        ret.p = p_of(ret.r, n);
    }
    free(a), free(b);
    return ret;
}

struct correlation pearson(const double *x, const double *y, int64_t n)
{
    return correlate(x, y, n, false);
}

/* ---- Spearman ---- */

struct place {
    double x, y;
    int64_t i;
};

static int by_x_then_y(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    return p->x != q->x ? (p->x > q->x) - (p->x < q->x) : (p->y > q->y) - (p->y < q->y);
}

static struct place *sorted_places(const double *x, const double *y, int64_t n)
{
    struct place *ret = mem_alloc((size_t)n, sizeof *ret);
    for (int64_t i = 0; i < n; i++)
        ret[i] = (struct place){x[i], y ? y[i] : 0, i};
    qsort(ret, (size_t)n, sizeof *ret, by_x_then_y);
    return ret;
}

/* Where the run of equal x that begins at `i` ends. */
static int64_t run_end(const struct place *p, int64_t n, int64_t i)
{
    int64_t end = i + 1;
    while (end < n && p[end].x == p[i].x)
        end++;
    return end;
}

/* From 1; equal values share the mean of their places. */
static double *ranks_of(const double *x, int64_t n)
{
    double *ret = mem_alloc((size_t)n, sizeof *ret);
    struct place *p = sorted_places(x, NULL, n);
    for (int64_t i = 0, end; i < n; i = end) {
        end = run_end(p, n, i);
        for (int64_t j = i; j < end; j++)
            ret[p[j].i] = (double)(i + end + 1) / 2;
    }
    free(p);
    return ret;
}

struct correlation spearman(const double *x, const double *y, int64_t n)
{
    if (n < 2 || any_nan(x, n) || any_nan(y, n))
        return (struct correlation){NAN, NAN};
    double *a = ranks_of(x, n), *b = ranks_of(y, n);
    struct correlation ret = correlate(a, b, n, true);
    free(a), free(b);
    return ret;
}

/* ---- Kendall ---- */

/* Pairs in which a greater y comes first, counted while y is merged into order. */
static int64_t count_inversions(double *y, double *spare, int64_t n)
{
    if (n < 2)
        return 0;
    int64_t half = n / 2, i = 0, j = half, k = 0;
    int64_t ret =
        count_inversions(y, spare, half) + count_inversions(y + half, spare + half, n - half);
    while (i < half && j < n) {
        if (y[j] < y[i]) {
            ret += half - i;
            spare[k++] = y[j++];
        } else {
            spare[k++] = y[i++];
        }
    }
    while (i < half)
        spare[k++] = y[i++];
    for (int64_t m = 0; m < k; m++)
        y[m] = spare[m];
    return ret;
}

/* Over the groups of equal values, of t members each: sums of t(t-1)/2, t(t-1)(t-2), t(t-1)(2t+5).
 */
struct ties {
    double pairs, cubes, spread;
};

static void add_group(struct ties *s, double t)
{
    s->pairs += t * (t - 1) / 2;
    s->cubes += t * (t - 1) * (t - 2);
    s->spread += t * (t - 1) * (2 * t + 5);
}

static struct ties ties_of(const double *x, int64_t n)
{
    struct ties ret = {0, 0, 0};
    struct place *p = sorted_places(x, NULL, n);
    for (int64_t i = 0, end; i < n; i = end) {
        end = run_end(p, n, i);
        add_group(&ret, (double)(end - i));
    }
    free(p);
    return ret;
}

/* Of all orders of n things the share with at most c inversions, or as few agreements, c being at
 * most half of the pairs: the counts by inversions grow thing by thing. */
static double exact_p(int64_t n, int64_t c)
{
    if (n <= 2 || 4 * c >= n * (n - 1))
        return 1;
    double *counts = mem_alloc((size_t)c + 1, sizeof *counts), sum = 0;
    counts[0] = 1;
    for (int64_t j = 2; j <= n; j++) { /* the j-th thing adds 0 .. j-1 inversions, each as likely */
        double window = 0, *next = mem_alloc((size_t)c + 1, sizeof *next);
        for (int64_t k = 0; k <= c; k++) {
            window += counts[k] - (k >= j ? counts[k - j] : 0);
            next[k] = window / (double)j;
        }
        free(counts);
        counts = next;
    }
    for (int64_t k = 0; k <= c; k++)
        sum += counts[k];
    free(counts);
    return 2 * sum;
}

static double asymptotic_p(double surplus, double n, struct ties x, struct ties y)
{
    double m = n * (n - 1);
    double variance = (m * (2 * n + 5) - x.spread - y.spread) / 18 + 2 * x.pairs * y.pairs / m +
                      (n > 2 ? x.cubes * y.cubes / (9 * m * (n - 2)) : 0);
    return 2 * normal_cdf(-fabs(surplus) / sqrt(variance));
}

struct correlation kendall_tau_b(const double *x, const double *y, int64_t n)
{
    if (n < 2 || any_nan(x, n) || any_nan(y, n))
        return (struct correlation){NAN, NAN};
    struct place *p = sorted_places(x, y, n);
    double *in_order = mem_alloc((size_t)n, sizeof *in_order);
    double *spare = mem_alloc((size_t)n, sizeof *spare), both = 0;
    for (int64_t i = 0, end; i < n; i = end) { /* ties in x and y at once */
        for (end = i; end < n && p[end].x == p[i].x && p[end].y == p[i].y; end++)
            in_order[end] = p[end].y;
        both += (double)(end - i) * (double)(end - i - 1) / 2;
    }
    int64_t discordant = count_inversions(in_order, spare, n), all = n * (n - 1) / 2;
    struct ties a = ties_of(x, n), b = ties_of(y, n);
    free(p), free(in_order), free(spare);

    double surplus = (double)all - a.pairs - b.pairs + both - 2 * (double)discordant;
    double room = ((double)all - a.pairs) * ((double)all - b.pairs);
    if (room == 0)
        return (struct correlation){NAN, NAN};
    struct correlation ret = {.r = surplus / sqrt((double)all - a.pairs) /
                                   sqrt((double)all - b.pairs)};
    ret.r = fmax(-1, fmin(1, ret.r));
    int64_t fewer = discordant < all - discordant ? discordant : all - discordant;
    bool exact = a.pairs == 0 && b.pairs == 0 && (n <= 33 || fewer <= 1);
    ret.p = exact ? exact_p(n, fewer) : asymptotic_p(surplus, (double)n, a, b);
    return ret;
}
