/* tatqa.c: TAT-QA's exact match and F1, in its publisher's arithmetic (tatqa_metric.py and
 * tatqa_utils.py of NExTplusplus/TAT-QA).
 *
 * That arithmetic is Python's: whole numbers stay whole (and are of any size) until a fraction
 * touches them, which shows in how a normalised number is written: "(134)" is "-134", "134.0" is
 * "134.0", and the two differ. So a number is kept either as digits or as a double. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "base/value.h"
#include "metrics/text.h"
#include "metrics/words.h"

/* ---- numbers ---- */

struct number {
    bool is_whole;
    struct str digits; /* of a whole number: without sign or leading zeros ("0" is one digit) */
    bool negative;
    double f; /* its value, also of a whole one */
};

/* Decimal digits of every script become ASCII's and white space becomes blanks, which is all that
 * the patterns below look at. */
static struct str simplify(struct arena *a, struct str s)
{
    struct buf b = {0};
    if (is_ascii(s)) {
        char *copy = arena_copy(a, s.p, s.n);
        for (size_t i = 0; i < s.n; i++)
            copy[i] = utf8_is_space(copy[i]) ? ' ' : copy[i];
        return (struct str){copy, s.n};
    }
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        int32_t cp = utf8_next(s, &i), value = 0;
        if (cp >= 0 && utf8proc_category(cp) == UTF8PROC_CATEGORY_ND) {
            while (utf8proc_category(cp - value - 1) == UTF8PROC_CATEGORY_ND)
                value++; /* digits stand in tens, from 0 */
            buf_char(&b, (char)('0' + value % 10));
        } else if (utf8_is_space(cp)) {
            buf_char(&b, ' ');
        } else {
            buf_add(&b, s.p + start, i - start);
        }
    }
    return buf_take(&b, a);
}

/* What a number may be dressed in: '"\$(),[]% and the signs of euro, pound and yen. */
static struct str undress(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        int32_t cp = utf8_next(s, &i);
        if (cp == 0x20ac || cp == 0xa3 || cp == 0xa5 ||
            (cp > 0 && cp < 0x80 && strchr("'\"\\$%(),[]", cp)))
            continue;
        memcpy(out + n, s.p + start, i - start);
        n += i - start;
    }
    return (struct str){out, n};
}

static bool is_digit(struct str s, size_t i)
{
    return i < s.n && s.p[i] >= '0' && s.p[i] <= '9';
}

static size_t skip_digits(struct str s, size_t i)
{
    while (is_digit(s, i))
        i++;
    return i;
}

static bool same_ignoring_case(struct str s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* Digits with single underscores between them; the index behind, or `i` where there are none. */
static size_t skip_grouped(struct str s, size_t i)
{
    while (is_digit(s, i)) {
        i = skip_digits(s, i);
        if (i < s.n && s.p[i] == '_' && is_digit(s, i + 1))
            i++;
    }
    return i;
}

/* Whether float(s) works and gives no NaN. */
static bool reads_as_float(struct str s)
{
    size_t i = s.n && (s.p[0] == '+' || s.p[0] == '-');
    struct str rest = str_slice(s, i, s.n);
    if (same_ignoring_case(rest, "inf") || same_ignoring_case(rest, "infinity"))
        return true;
    size_t whole = skip_grouped(s, i), after = whole;
    bool any = whole > i;
    if (after < s.n && s.p[after] == '.') {
        size_t fraction = skip_grouped(s, after + 1);
        any = any || fraction > after + 1;
        after = fraction;
    }
    if (any && after < s.n && (s.p[after] == 'e' || s.p[after] == 'E')) {
        size_t e = after + 1;
        e += e < s.n && (s.p[e] == '+' || s.p[e] == '-');
        size_t end = skip_grouped(s, e);
        after = end > e ? end : after;
    }
    return any && after == s.n;
}

static const struct {
    const char *word;
    int zeros; /* -2: it divides by 100 */
} scales[] = {{"hundred", 2}, {"thousand", 3}, {"million", 6}, {"billion", 9}, {"percent", -2}};

/* The power of ten that a word holds; 0: none. */
static int scale_zeros(struct arena *a, struct str word)
{
    struct str lower = lower_case(a, word);
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
        if (str_find(lower, str_of(scales[i].word), 0) != SIZE_MAX)
            return scales[i].zeros;
    return 0;
}

/* One number, alone or before a word of scale. */
static bool is_number_text(struct arena *a, struct str text)
{
    struct words words = split_words(a, undress(a, simplify(a, text)));
    return words.n > 0 && reads_as_float(words.items[0]) &&
           (words.n < 2 || scale_zeros(a, words.items[1]) != 0);
}

/* The first [+-]?digits[.digits], as digits or as a double. False: there is none, or the text's
 * first number begins with its point, which the publisher's pattern finds and then drops. */
static bool first_number(struct arena *a, struct str s, struct number *ret)
{
    for (size_t i = 0; i < s.n; i++) {
        size_t start = i + (s.p[i] == '+' || s.p[i] == '-'), end = skip_digits(s, start);
        if (end == start) {
            if (start < s.n && s.p[start] == '.' && is_digit(s, start + 1))
                return false;
            continue;
        }
        bool whole = !(end < s.n && s.p[end] == '.' && is_digit(s, end + 1));
        size_t stop = whole ? end : skip_digits(s, end + 1);
        struct str text = str_copy(a, str_slice(s, i, stop));
        while (start + 1 < end && s.p[start] == '0')
            start++;
        *ret = (struct number){.is_whole = whole,
                               .digits = str_slice(s, start, end),
                               .negative = s.p[i] == '-' && !(whole && s.p[start] == '0'),
                               .f = strtod(text.p, NULL)};
        if (whole && s.p[start] == '0')
            ret->f = 0; /* a whole number has no -0 */
        return true;
    }
    return false;
}

static void times_power(struct arena *a, struct number *x, int zeros)
{
    if (zeros < 0) {
        x->is_whole = false;
        x->f *= 0.01;
    } else if (x->is_whole && zeros > 0) {
        if (x->digits.p[0] != '0')
            x->digits = str_printf(a, "%.*s%.*s", STR_ARG(x->digits), zeros, "000000000");
        struct str text = str_printf(a, "%s%.*s", x->negative ? "-" : "", STR_ARG(x->digits));
        x->f = strtod(text.p, NULL);
    } else {
        static const double tens[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
        x->f *= tens[zeros];
    }
}

/* Python's round(x, digits): to the nearest in decimal, halves of the double itself to even. */
static double round_to(double x, int digits)
{
    char text[400];
    if (!isfinite(x))
        return x;
    snprintf(text, sizeof text, "%.*f", digits, x);
    return strtod(text, NULL);
}

/* What stands in `s` from i on is one or more of `[0-9. ]`: the index behind them. */
static size_t skip_numeric(struct str s, size_t i)
{
    while (is_digit(s, i) || (i < s.n && (s.p[i] == '.' || s.p[i] == ' ')))
        i++;
    return i;
}

/* (134), which accountants write for -134. */
static bool in_brackets(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '(')
            continue;
        size_t end = skip_numeric(s, i + 1);
        if (end > i + 1 && end < s.n && s.p[end] == ')')
            return true;
    }
    return false;
}

static bool has_percent_sign(struct str s)
{
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i] == '%' && skip_numeric(s, i - 1) > i - 1)
            return true;
    return false;
}

static bool is_letter(struct str s, size_t i)
{
    return i < s.n && ((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z');
}

/* "5 million": the scale word of the first number that a word follows. */
static int word_zeros(struct arena *a, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t end = i;
        while (is_digit(s, end) || (end < s.n && s.p[end] == '.'))
            end++;
        size_t word = end + (end < s.n && s.p[end] == ' '), stop = word;
        while (is_letter(s, stop))
            stop++;
        if (end > i && stop > word)
            return scale_zeros(a, str_slice(s, word, stop));
        i = end > i ? end : i + 1;
    }
    return 0;
}

/* The number that a text says, rounded to four decimals; false: None. */
static bool to_number(struct arena *a, struct str text, struct number *ret)
{
    struct str s = utf8_strip(simplify(a, text), STRIP_BOTH, NULL);
    if (!first_number(a, undress(a, s), ret))
        return false;
    times_power(a, ret, word_zeros(a, s));
    if (in_brackets(s)) {
        bool zero = ret->is_whole && ret->digits.p[0] == '0';
        ret->negative = !ret->negative && !zero;
        ret->f = zero ? 0 : -ret->f;
    }
    if (has_percent_sign(s)) {
        ret->is_whole = false;
        ret->f *= 0.01;
    }
    if (!ret->is_whole)
        ret->f = round_to(ret->f, 4);
    return true;
}

double tatqa_number(struct arena *a, struct str text, bool *is_number)
{
    struct arena_mark mark = arena_mark(a);
    struct number x;
    double ret = to_number(a, text, &x) ? x.f : NAN;
    *is_number = is_number_text(a, text);
    arena_reset(a, mark);
    return ret;
}

/* ---- normalisation of one answer ---- */

static struct str str_of_number(struct arena *a, const struct number *x)
{
    if (x->is_whole)
        return str_printf(a, "%s%.*s", x->negative ? "-" : "", STR_ARG(x->digits));
    struct buf b = {0};
    buf_float(&b, x->f);
    return buf_take(&b, a);
}

/* What stands between two blanks: a number in its normal form, or words as SQuAD's. */
static struct str normal_part(struct arena *a, struct str part)
{
    struct str s = lower_case(a, part);
    if (!is_number_text(a, s))
        s = without_punctuation(a, s);
    if (!is_number_text(a, s))
        return squad_normalize(a, s);
    struct number x;
    return to_number(a, s, &x) ? str_of_number(a, &x) : STR("None");
}

static struct str normalize(struct arena *a, struct str text)
{
    struct buf b = {0};
    for (size_t i = 0; i <= text.n;) {
        size_t end = str_find(text, STR(" "), i);
        end = end == SIZE_MAX ? text.n : end;
        struct str part = normal_part(a, str_slice(text, i, end));
        if (part.n) {
            if (b.n)
                buf_char(&b, ' ');
            buf_str(&b, part);
        }
        i = end + 1;
    }
    return buf_take(&b, a);
}

/* DROP's F1 of two sets of words, rounded as numpy rounds. */
static double set_f1(struct arena *a, struct str prediction, struct str gold)
{
    struct vocabulary v = {.a = a};
    number_words(&v, split_words(a, gold));
    double n_gold = v.n, both = 0;
    struct sequence p = number_words(&v, split_words(a, prediction));
    bool *seen = arena_array(a, v.n + 1, sizeof *seen);
    double n_prediction = 0;
    for (size_t i = 0; i < p.n; i++) {
        if (!seen[p.ids[i]]) {
            n_prediction++;
            both += p.ids[i] < n_gold;
        }
        seen[p.ids[i]] = true;
    }
    double precision = n_prediction > 0 ? both / n_prediction : 1;
    double recall = n_gold > 0 ? both / n_gold : 1;
    double f1 = precision == 0 && recall == 0 ? 0 : 2 * precision * recall / (precision + recall);
    return rint(f1 * 100) / 100;
}

/* ---- a whole answer as one text ---- */

/* One answer with its scale: "%.4f" of a number, else the text and the word. */
static struct str with_scale(struct arena *a, struct str answer, struct str scale)
{
    struct number x;
    if (!is_number_text(a, answer) || !to_number(a, answer, &x))
        return scale.n ? str_printf(a, "%.*s %.*s", STR_ARG(answer), STR_ARG(scale)) : answer;
    if (str_find(answer, STR("%"), 0) == SIZE_MAX) {
        if (!x.is_whole)
            x.f = round_to(x.f, 2);
        times_power(a, &x, scale_zeros(a, scale));
    }
    return str_printf(a, "%.4f", x.f);
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

struct answers {
    struct str *texts;
    size_t n;
};

/* A list's members or the value itself, as text, in order of code points. */
static struct answers read_answers(struct arena *a, const struct value *v)
{
    bool several = v->type == VALUE_LIST;
    struct answers ret = {.n = several ? v->list.n : 1};
    ret.texts = arena_array(a, ret.n + 1, sizeof *ret.texts);
    for (size_t i = 0; i < ret.n; i++)
        ret.texts[i] = value_tostr(a, several ? v->list.items[i] : v);
    qsort(ret.texts, ret.n, sizeof *ret.texts, by_text);
    return ret;
}

static struct str joined(struct arena *a, struct answers answers, struct str scale)
{
    struct buf b = {0};
    for (size_t i = 0; i < answers.n; i++) {
        if (i)
            buf_char(&b, ' ');
        buf_str(&b, with_scale(a, answers.texts[i], scale));
    }
    return buf_take(&b, a);
}

/* The gold answers as texts; a count is read as a whole number. */
static int read_gold(struct arena *a, const struct value *gold, struct str type,
                     struct answers *ret, struct error *err)
{
    bool spans = str_eqz(type, "span") || str_eqz(type, "multi-span");
    if (!gold || (spans && gold->type != VALUE_LIST))
        return error_set(err, E_INPUT,
                         "TAT-QA: the gold answer of answer_type \"%.*s\" must be a list of "
                         "strings",
                         STR_ARG(type));
    if (!spans && gold->type == VALUE_LIST)
        return error_set(err, E_INPUT,
                         "TAT-QA: the gold answer of answer_type \"%.*s\" must be one number or "
                         "string, not a list",
                         STR_ARG(type));
    *ret = read_answers(a, gold);
    if (str_eqz(type, "count")) {
        char *end;
        struct str text = utf8_strip(ret->texts[0], STRIP_BOTH, NULL);
        const char *z = str_copy(a, text).p;
        double count = strtod(z, &end);
        if (text.n == 0 || *end || !(fabs(count) < 1e15))
            return error_set(err, E_INPUT,
                             "TAT-QA: the gold answer of answer_type \"count\" must be a whole "
                             "number, not \"%.*s\"",
                             STR_ARG(text));
        ret->texts[0] = str_printf(a, "%lld", (long long)count);
    }
    return 0;
}

/* max((em, f1)) as Python orders pairs. */
static void keep_better(struct answer_score *best, struct answer_score s)
{
    if (s.em > best->em || (s.em == best->em && s.f1 > best->f1))
        *best = s;
}

static struct answer_score compare(struct arena *a, struct str prediction, struct str gold)
{
    struct str p = normalize(a, prediction), g = normalize(a, gold);
    return (struct answer_score){str_eq(p, g), set_f1(a, p, g)};
}

/* A lone number without scale or sign of percent also counts as it is. */
static bool bare_number(struct arena *a, struct answers prediction, struct str scale,
                        struct str *ret)
{
    struct number x;
    if (prediction.n > 1 || scale.n || str_find(prediction.texts[0], STR("%"), 0) != SIZE_MAX ||
        !is_number_text(a, prediction.texts[0]) || !to_number(a, prediction.texts[0], &x))
        return false;
    *ret = str_printf(a, "%.4f", x.f);
    return true;
}

static int score(struct arena *a, const struct value *gold, struct str type, struct str gold_scale,
                 const struct value *prediction, struct str scale, struct answer_score *ret,
                 struct error *err)
{
    struct answers golds;
    int r = read_gold(a, gold, type, &golds, err);
    if (r < 0)
        return r;
    *ret = (struct answer_score){0};
    if (!prediction || !value_truthy(prediction) || golds.n == 0)
        return 0;
    struct answers predictions = read_answers(a, prediction);
    struct str want = joined(a, golds, gold_scale), bare;
    *ret = compare(a, joined(a, predictions, scale), want);
    if (bare_number(a, predictions, scale, &bare))
        keep_better(ret, compare(a, bare, want));
    if (str_eqz(type, "arithmetic") || str_eqz(type, "count"))
        ret->f1 = ret->em;
    return 0;
}

int tatqa_score(struct arena *a, const struct value *gold, struct str type, struct str gold_scale,
                const struct value *prediction, struct str scale, struct answer_score *ret,
                struct error *err)
{
    struct arena_mark mark = arena_mark(a);
    int r = score(a, gold, type, gold_scale, prediction, scale, ret, err);
    arena_reset(a, mark);
    return r;
}
