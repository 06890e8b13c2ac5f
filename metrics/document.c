/* document.c: what one document scores. */
#include "metrics/metric.h"

#include <math.h>

#include "base/regex.h"
#include "base/utf8.h"
#include "metrics/words.h"

int argmax_double(const double *x, int n)
{
    int best = n > 0 ? 0 : -1;
    for (int i = 1; i < n && !isnan(x[best]); i++)
        if (x[i] > x[best] || isnan(x[i]))
            best = i;
    return best;
}

/* ---- exact_match ---- */

static struct str without(struct arena *a, struct str s, const struct exact_match_options *o)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if ((o->ignore_punctuation && is_ascii_punctuation(c)) ||
            (o->ignore_numbers && c >= '0' && c <= '9'))
            continue;
        out[n++] = c;
    }
    return (struct str){out, n};
}

static int put_through(struct arena *a, struct str s, const struct exact_match_options *o,
                       struct str *ret, struct error *err)
{
    int r;
    for (int i = 0; i < o->n_regexes; i++)
        if ((r = regex_sub(o->regexes_to_ignore[i], a, s, STR(""), &s, err)) < 0)
            return r;
    if (o->ignore_case)
        s = utf8_lower(a, s);
    if (o->ignore_punctuation || o->ignore_numbers)
        s = without(a, s, o);
    *ret = s;
    return 0;
}

int exact_match(struct arena *a, struct str prediction, struct str reference,
                const struct exact_match_options *o, double *ret, struct error *err)
{
    int r;
    if ((r = put_through(a, prediction, o, &prediction, err)) < 0 ||
        (r = put_through(a, reference, o, &reference, err)) < 0)
        return r;
    *ret = str_eq(prediction, reference);
    return 0;
}

/* ---- the others ---- */

double pass_at_k(int64_t n, int64_t c, int64_t k)
{
    if (n - c < k)
        return 1;
    double all_wrong = 1;
    for (int64_t i = n - c + 1; i <= n; i++)
        all_wrong *= 1 - (double)k / (double)i;
    return 1 - all_wrong;
}

double brier_score(const double *logprobs, int n, int gold)
{
    int best = argmax_double(logprobs, n);
    double total = 0, score = 0;
    for (int i = 0; i < n; i++)
        total += exp(logprobs[i] - logprobs[best]);
    for (int i = 0; i < n; i++) {
        double off = exp(logprobs[i] - logprobs[best]) / total - (i == gold);
        score += off * off;
    }
    return score;
}

int64_t count_words(struct str text)
{
    int64_t gaps = 0;
    bool in_gap = false;
    for (size_t i = 0; i < text.n;) {
        bool space = utf8_is_space(utf8_next(text, &i));
        gaps += space && !in_gap;
        in_gap = space;
    }
    return gaps + 1;
}
