#include "tasks/math_answer.h"

#include <ctype.h>

#include "base/regex.h"
#include "base/utf8.h"
#include "tasks/math_expr.h"
#include "tasks/math_find.h"
#include "tasks/math_value.h"

/* ---- the boxed answer ---- */

/* The brace that closes the first one at or after i, or SIZE_MAX. */
static size_t closing_brace(struct str s, size_t i)
{
    int open = 0;
    for (; i < s.n; i++) {
        open += s.p[i] == '{';
        if (s.p[i] == '}' && --open == 0)
            return i;
    }
    return SIZE_MAX;
}

static const struct str invalid = {"[invalidanswer]", 15};

struct str math_boxed(struct str solution)
{
    static const struct str spaced = {"\\boxed ", 7}, braced = {"\\boxed{", 7};
    size_t at = str_find_last(solution, spaced);
    if (at != SIZE_MAX) { /* "\boxed 5$": up to the end of the formula */
        struct str rest = str_slice(solution, at + spaced.n, solution.n);
        return str_slice(rest, 0, str_find(rest, STR("$"), 0));
    }
    at = str_find_last(solution, STR("\\boxed"));
    if (at == SIZE_MAX || !str_starts(str_slice(solution, at, solution.n), braced))
        return invalid; /* \fbox is found by the original, which then cannot take it off */
    size_t end = closing_brace(solution, at);
    return end == SIZE_MAX ? invalid : str_slice(solution, at + braced.n, end);
}

/* ---- Minerva's way of writing ---- */

static int replace_pattern(struct arena *a, const char *pattern, const char *replacement,
                           struct str *s, struct error *err)
{
    const struct regex *regex;
    int r = regex_constant(pattern, 0, &regex, err);
    return r < 0 ? r : regex_sub(regex, a, *s, str_of(replacement), s, err);
}

struct rule {
    const char *from, *to;
};

static const struct rule substitutions[] = {
    {"an ", ""},          {"a ", ""},
    {".$", "$"},          {"\\$", ""},
    {"\\ ", ""},          {" ", ""},
    {"mbox", "text"},     {",\\text{and}", ","},
    {"\\text{and}", ","}, {"\\text{m}", "\\text{}"},
};

static const char *const removed[] = {
    "square",       "ways",
    "integers",     "dollars",
    "mph",          "inches",
    "ft",           "hours",
    "km",           "units",
    "\\ldots",      "sue",
    "points",       "feet",
    "minutes",      "digits",
    "cents",        "degrees",
    "cm",           "gm",
    "pounds",       "meters",
    "meals",        "edges",
    "students",     "childrentickets",
    "multiples",    "\\text{s}",
    "\\text{.}",    "\\text{\ns}",
    "\\text{}^2",   "\\text{}^3",
    "\\text{\n}",   "\\text{}",
    "\\mathrm{th}", "^\\circ",
    "^{\\circ}",    "\\;",
    ",\\!",         "{,}",
    "\"",           "\\dots",
};

/* Fonts and frames are taken off, then shorthand TeX gets its braces. */
static const struct rule patterns[] = {
    {"(.*?)(\\$)(.*?)(\\$)(.*)", "$\\3$"}, {"(\\\\text\\{)(.*?)(\\})", "\\2"},
    {"(\\\\textbf\\{)(.*?)(\\})", "\\2"},  {"(\\\\overline\\{)(.*?)(\\})", "\\2"},
    {"(\\\\boxed\\{)(.*)(\\})", "\\2"},    {"(frac)([^{])(.)", "frac{\\2}{\\3}"},
};

static bool is_word(const char *s)
{
    while (isalpha((unsigned char)*s))
        s++;
    return !*s;
}

/* The word is taken out, but not from the name of a command. */
static struct str without_unit(struct arena *a, struct str s, struct str unit)
{
    struct buf b = {0};
    for (size_t i = 0, from; i < s.n;) {
        from = i;
        if (s.p[i] == '\\')
            for (i++; i < s.n && isalpha((unsigned char)s.p[i]);)
                i++;
        else
            while (i < s.n && s.p[i] != '\\')
                i++;
        struct str part = str_slice(s, from, i);
        bool is_command = s.p[from] == '\\' && part.n > 1;
        buf_str(&b, is_command ? part : str_substitute(a, part, unit, STR("")));
    }
    return buf_take(&b, a);
}

static int remove_units(struct arena *a, struct str *s, enum math_edition edition,
                        struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof removed / sizeof *removed; i++)
        if (edition == MATH_MINERVA && is_word(removed[i]))
            r = replace_pattern(a, arena_printf(a, "(?<!\\\\)\\b%s\\b", removed[i]), "", s, err);
    return r;
}

static struct str without_commas(struct arena *a, struct str s)
{
    struct str bare = str_substitute(a, s, STR(","), STR(""));
    for (size_t i = 0; i < bare.n; i++)
        if (!isdigit((unsigned char)bare.p[i]))
            return s;
    return bare.n ? bare : s;
}

/* "-1,000,000", whole, less its commas. */
static struct str without_thousands(struct arena *a, struct str s)
{
    size_t i = s.n && s.p[0] == '-', n = 0, groups = 0;
    for (; i < s.n; i++) {
        bool comma = s.p[i] == ',';
        if ((comma && (n == 0 || n > 3 || (groups && n != 3))) ||
            (!comma && !isdigit((unsigned char)s.p[i])))
            return s;
        groups += comma;
        n = comma ? 0 : n + 1;
    }
    return groups && n == 3 ? str_substitute(a, s, STR(","), STR("")) : s;
}

int math_normalize(struct arena *a, struct str s, enum math_edition edition, struct str *ret,
                   struct error *err)
{
    bool minerva = edition == MATH_MINERVA;
    size_t equals = str_find_last(s, STR("="));
    int r = 0;
    if (equals != SIZE_MAX)
        s = str_slice(s, equals + 1, s.n);
    if ((r = remove_units(a, &s, edition, err)) < 0)
        return r;
    for (size_t i = 0; i < sizeof substitutions / sizeof *substitutions; i++)
        s = str_substitute(a, s, str_of(substitutions[i].from), str_of(substitutions[i].to));
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++)
        s = minerva && is_word(removed[i]) ? without_unit(a, s, str_of(removed[i]))
                                           : str_substitute(a, s, str_of(removed[i]), STR(""));
    for (size_t i = 0; r == 0 && i < sizeof patterns / sizeof *patterns; i++)
        r = replace_pattern(a, patterns[i].from, patterns[i].to, &s, err);
    if (r == 0 && minerva)
        r = replace_pattern(a, "(sqrt)(\\[[^\\]]*\\])(\\w)", "\\1\\2{\\3}", &s, err);
    if (r == 0)
        r = replace_pattern(a, minerva ? "(sqrt)(?!\\[)([^{])" : "(sqrt)([^{])", "sqrt{\\2}", &s,
                            err);
    s = str_substitute(a, s, STR("$"), STR(""));
    *ret = minerva ? without_thousands(a, s) : without_commas(a, s);
    return r;
}

/* What stands in "Final Answer: The final answer is ... I hope it is correct."; "[invalidanswer]"
 * where a text does not end so. */
static int stated_answer(struct arena *a, struct str text, struct str *ret, struct error *err)
{
    const struct regex *regex;
    struct regex_match m[2];
    text = str_cat(a, text, STR("I hope it is correct."));
    int r = regex_constant("Final Answer: The final answer is(.*?). I hope it is correct.", 0,
                           &regex, err);
    if (r < 0)
        return r;
    r = regex_search(regex, text, 0, false, m, 2, err);
    *ret = r > 0 ? utf8_strip(str_slice(text, m[1].start, m[1].end), STRIP_BOTH, NULL) : invalid;
    return r < 0 ? r : 0;
}

int math_minerva_equal(struct arena *a, struct str text, struct str gold, enum math_edition edition,
                       bool *ret, struct error *err)
{
    struct str answer, wanted = gold;
    int r = stated_answer(a, text, &answer, err);
    if (r < 0 || (r = math_normalize(a, answer, edition, &answer, err)) < 0 ||
        (edition == MATH_LEADERBOARD && (r = math_normalize(a, gold, edition, &wanted, err)) < 0))
        return r;
    if (edition == MATH_LEADERBOARD) {
        *ret = !str_eq(answer, invalid) && (str_eq(utf8_strip(answer, STRIP_BOTH, NULL),
                                                   utf8_strip(wanted, STRIP_BOTH, NULL)) ||
                                            math_equal(answer, wanted));
        return 0;
    }
    *ret = (answer.n > 0 && str_eq(answer, wanted)) || math_equal(answer, wanted);
    return 0;
}

/* ---- an answer in any form ---- */

/* What math_verify makes of a text: a value, where one could be read, and as text the first place
 * that it looked at. */
struct found {
    struct arena *a;
    struct math_value *value;
    struct str text;
    bool has_text;
};

static int read_stated(void *arg, const struct math_stated *s, struct error *err)
{
    struct found *f = arg;
    struct math_value *values[MATH_STATED];
    struct buf joined = {0};
    bool all = true;
    (void)err;
    for (int i = 0; i < s->n; i++) {
        values[i] = math_value_read(f->a, s->parts[i], s->is_arithmetic ? MATH_PLAIN : MATH_VERIFY);
        if (values[i] && s->percent[i])
            math_value_percent(values[i]);
        all = all && values[i];
        buf_puts(&joined, i ? " and " : "");
        buf_str(&joined, s->parts[i]);
    }
    struct str text = buf_take(&joined, f->a);
    if (s->n > 1 && !all)
        text = s->parts[0];
    if (!f->has_text && text.n > 0) {
        f->text = utf8_strip(text, STRIP_BOTH, NULL);
        f->has_text = true;
    }
    f->value = s->n > 1 && all ? math_value_set(f->a, values, s->n) : values[0];
    return f->value != NULL;
}

int math_verify(struct arena *a, struct str text, struct str solution, bool arithmetic, bool *ret,
                struct error *err)
{
    struct found gold = {.a = a}, answer = {.a = a};
    int r = math_find(a, solution, arithmetic, read_stated, &gold, err);
    if (r < 0 || (r = math_find(a, text, true, read_stated, &answer, err)) < 0)
        return r;
    *ret = (gold.text.n > 0 && str_eq(gold.text, answer.text)) ||
           (gold.value && answer.value && math_value_same(a, gold.value, answer.value));
    return 0;
}
