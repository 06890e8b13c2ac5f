/* distributions.c: normal, Student's t and binomial distributions.
 *
 * The last two are the regularized incomplete beta function,
 *     I_x(a, b) = x^a (1-x)^b / (a B(a, b)) * continued fraction,
 * whose factor in front is what loses digits when a and b are large: log-gammas of 1e7 that nearly
 * cancel. Loader ("Fast and Accurate Computation of Binomial Probabilities", 2000) writes it with
 * deviances and Stirling corrections instead, which do not cancel. */
#include "metrics/stats.h"

#include <math.h>
#include <stdbool.h>

/* ---- normal ---- */

double normal_cdf(double z)
{
    return 0.5 * erfc(-z * M_SQRT1_2);
}

/* Newton's method on log(cdf), which is concave: from a point left of the root each step stays
 * left of it, and -sqrt(-2 log p) is such a point since cdf(-s) <= exp(-s^2/2) / 2. */
static double lower_quantile(double p)
{
    double log_p = log(p), z = -sqrt(-2 * log_p);
    for (int i = 0; i < 60; i++) {
        double cdf = normal_cdf(z), density = exp(-0.5 * z * z) / sqrt(2 * M_PI);
        double step = (log_p - log(cdf)) * cdf / density;
        if (!(fabs(step) > 1e-16 * (1 + fabs(z))))
            break;
        z += step;
    }
    return z;
}

double normal_quantile(double p)
{
    if (!(p >= 0 && p <= 1))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? -INFINITY : INFINITY;
    if (p == 0.5)
        return 0;
    return p < 0.5 ? lower_quantile(p) : -lower_quantile(1 - p);
}

/* ---- incomplete beta ---- */

/* log(z!) minus Stirling's formula without its series: 1/(12 z) - 1/(360 z^3) + ... */
static double stirling_error(double z)
{
    if (z <= 16)
        return lgamma(z + 1) - (z + 0.5) * log(z) + z - 0.5 * log(2 * M_PI);
    double w = 1 / (z * z);
    static const double c[] = {1. / 12,   -1. / 360,      1. / 1260, -1. / 1680,
                               1. / 1188, -691. / 360360, 1. / 156};
    double sum = 0;
    for (int i = 6; i >= 0; i--)
        sum = sum * w + c[i];
    return sum / z;
}

/* x log(x / m) + m - x, without cancellation where x is near m. */
static double deviance(double x, double m)
{
    double d = x - m, v = d / (x + m);
    if (fabs(d) > 0.1 * (x + m))
        return x * log(x / m) + m - x;
    double sum = d * v, term = 2 * x * v;
    for (int j = 3;; j += 2) {
        term *= v * v;
        double next = sum + term / j;
        if (next == sum)
            return sum;
        sum = next;
    }
}

/* x^a y^b / B(a, b), y = 1 - x. */
static double beta_factor(double a, double b, double x, double y)
{
    double n = a + b;
    double log_ratio = stirling_error(n) - stirling_error(a) - stirling_error(b) -
                       deviance(a, n * x) - deviance(b, n * y);
    return a * b / n * sqrt(n / (2 * M_PI * a * b)) * exp(log_ratio);
}

/* Lentz's evaluation of the continued fraction; quick for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 1000000; m++) {
        double k = m, change = 1;
        for (int odd = 0; odd < 2; odd++) {
            double e = odd ? -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))
                           : k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k));
            d = 1 + e * d;
            c = 1 + e / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            change = d * c;
            h *= change;
        }
        if (fabs(change - 1) < 1e-16)
            break;
    }
    return h;
}

/* I_x(a, b); y is 1 - x, given apart so that neither end loses digits. */
static double incomplete_beta(double a, double b, double x, double y)
{
    if (x <= 0 || y <= 0)
        return x <= 0 ? 0 : 1;
    double factor = beta_factor(a, b, x, y);
    if (x < (a + 1) / (a + b + 2))
        return factor * beta_fraction(a, b, x) / a;
    return 1 - factor * beta_fraction(b, a, y) / b;
}

/* ---- Student's t ---- */

/* P(T < -t), t >= 0. Beyond a million degrees of freedom the continued fraction is slow and
 * rounding of df / n costs digits; Wallace's normal approximation (1959) is then off by less than
 * 1e-10. */
static double t_tail(double t, double df)
{
    if (df > 1e6) {
        double z = isinf(df) ? t : sqrt(df * log1p(t * t / df)) * (8 * df + 1) / (8 * df + 3);
        return normal_cdf(-z);
    }
    double n = df + t * t;
    return isinf(n) ? 0 : 0.5 * incomplete_beta(df / 2, 0.5, df / n, t * t / n);
}

double student_t_cdf(double t, double df)
{
    if (isnan(t) || !(df > 0))
        return NAN;
    return t < 0 ? t_tail(-t, df) : 1 - t_tail(t, df);
}

/* d/dt of I_x(df/2, 1/2) / 2 at x = df / (df + t^2) is x^a y^b / B(a, b) over t, but for its sign.
 */
static double t_density(double t, double df)
{
    double n = df + t * t;
    if (df > 1e6)
        return exp(-0.5 * t * t) / sqrt(2 * M_PI); /* near enough to step by */
    return beta_factor(df / 2, 0.5, df / n, t * t / n) / t;
}

/* The t with P(T < -t) = p, 0 < p < 1/2: Newton's steps, kept inside a shrinking bracket. */
static double t_tail_quantile(double p, double df)
{
    double low = 0, high = fmax(1, -normal_quantile(p));
    while (t_tail(high, df) > p && high < 1e300)
        low = high, high *= 2;
    double t = 0.5 * (low + high);
    for (int i = 0; i < 400; i++) {
        double off = t_tail(t, df) - p;
        if (off > 0)
            low = t;
        else
            high = t;
        double next = t + off / t_density(t, df);
        if (!(next > low && next < high))
            next = 0.5 * (low + high);
        if (fabs(next - t) <= 1e-15 * t)
            return next;
        t = next;
    }
    return t;
}

double student_t_quantile(double p, double df)
{
    if (!(p >= 0 && p <= 1) || !(df > 0))
        return NAN;
    if (p == 0 || p == 1)
        return p == 0 ? -INFINITY : INFINITY;
    if (p == 0.5)
        return 0;
    return p < 0.5 ? -t_tail_quantile(p, df) : t_tail_quantile(1 - p, df);
}

/* ---- binomial ---- */

double binomial_cdf(int64_t k, int64_t n, double p)
{
    if (k < 0)
        return 0;
    if (k >= n)
        return 1;
    return incomplete_beta((double)(n - k), (double)k + 1, 1 - p, p);
}
