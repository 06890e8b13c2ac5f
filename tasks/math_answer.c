#include "tasks/math_answer.h"

#include <ctype.h>

#include "base/regex.h"
#include "base/utf8.h"
#include "tasks/math_expr.h"

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
    struct regex *regex;
    int r = regex_compile(str_of(pattern), 0, "answer rule", &regex, err);
    if (r < 0)
        return r;
    r = regex_sub(regex, a, *s, str_of(replacement), s, err);
    regex_free(regex);
    return r;
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
    struct regex *regex;
    struct regex_match m[2];
    text = str_cat(a, text, STR("I hope it is correct."));
    int r = regex_compile(STR("Final Answer: The final answer is(.*?). I hope it is correct."), 0,
                          "final answer", &regex, err);
    if (r < 0)
        return r;
    r = regex_search(regex, text, 0, false, m, 2, err);
    *ret = r > 0 ? utf8_strip(str_slice(text, m[1].start, m[1].end), STRIP_BOTH, NULL) : invalid;
    regex_free(regex);
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
                                            math_equal(answer, wanted, false));
        return 0;
    }
    *ret = (answer.n > 0 && str_eq(answer, wanted)) || math_equal(answer, wanted, false);
    return 0;
}

/* ---- an answer in any form ---- */

/* The last formula between dollars, \( \) or \[ \]. */
static struct str last_formula(struct str s)
{
    static const struct rule frames[] = {{"\\[", "\\]"}, {"\\(", "\\)"}};
    struct str best = STR("");
    size_t best_end = 0;
    for (size_t k = 0; k < 2; k++) {
        size_t close = str_find_last(s, str_of(frames[k].to));
        struct str head = str_slice(s, 0, close);
        size_t open = close == SIZE_MAX ? SIZE_MAX : str_find_last(head, str_of(frames[k].from));
        if (open != SIZE_MAX && close > best_end) {
            best = str_slice(s, open + 2, close);
            best_end = close;
        }
    }
    size_t close = str_find_last(s, STR("$"));
    if (close == SIZE_MAX || close < best_end)
        return best;
    while (close > 0 && s.p[close - 1] == '$')
        close--;
    size_t open = str_find_last(str_slice(s, 0, close), STR("$"));
    return open == SIZE_MAX ? best : str_slice(s, open + 1, close);
}

static struct str last_number(struct str s)
{
    size_t end = s.n;
    while (end > 0 && !isdigit((unsigned char)s.p[end - 1]))
        end--;
    size_t from = end;
    while (from > 0 && (isdigit((unsigned char)s.p[from - 1]) || strchr(".,/", s.p[from - 1])))
        from--;
    while (from < end && !isdigit((unsigned char)s.p[from]) && s.p[from] != '.')
        from++;
    if (from > 0 && from < end && s.p[from - 1] == '-')
        from--;
    return str_slice(s, from, end);
}

/* The last number of a text without TeX: a command outside of a formula is not read. */
static struct str bare_number(struct str s)
{
    return str_find(s, STR("\\"), 0) != SIZE_MAX ? STR("") : last_number(s);
}

/* The answer of a text in any form: the last \boxed{}, else what "the final answer is" names, else
 * the last formula, else the last number. "" where there is none. */
static struct str found_answer(struct str text)
{
    struct str boxed = math_boxed(text);
    if (!str_eq(boxed, invalid))
        return boxed;
    size_t at = str_find_last(text, STR("inal answer is"));
    if (at != SIZE_MAX) {
        struct str rest = str_slice(text, at + 14, text.n);
        rest = str_slice(rest, 0, str_find(rest, STR("I hope"), 0));
        struct str formula = last_formula(rest);
        if (formula.n > 0)
            return formula;
        return bare_number(rest);
    }
    struct str formula = last_formula(text);
    return formula.n > 0 ? formula : bare_number(text);
}

/* Marks that say nothing about a value. */
static struct str plain(struct arena *a, struct str s)
{
    static const struct rule marks[] = {
        {"\\$", ""},
        {"$", ""},
        {"\\%", ""},
        {"%", ""},
        {"\\text{ and }", ","},
        {"\\!", ""},
        {"{,}", ""},
        {"^\\circ", ""},
        {"^{\\circ}", ""},
        {"\\dfrac", "\\frac"},
        {"\\tfrac", "\\frac"},
        {"\\displaystyle", ""},
    };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        s = str_substitute(a, s, str_of(marks[i].from), str_of(marks[i].to));
    s = utf8_strip(s, STRIP_BOTH, NULL);
    while (s.n > 0 && s.p[s.n - 1] == '.')
        s.n--;
    return s;
}

/* "5 \text{ cm}" is 5, "\text{(B)}" is (B). */
static struct str without_text(struct str s)
{
    static const char *const commands[] = {"\\text{", "\\mbox{", "\\mathrm{", "\\textbf{"};
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++) {
        size_t at = str_find(s, str_of(commands[k]), 0);
        size_t end = at == SIZE_MAX ? SIZE_MAX : closing_brace(s, at);
        if (end == SIZE_MAX)
            continue;
        struct str words = str_slice(s, at + strlen(commands[k]), end);
        if (at == 0 && end == s.n - 1)
            s = utf8_strip(words, STRIP_BOTH, NULL);
        else if (at > 0 && math_is_number(str_slice(s, 0, at)))
            s = str_slice(s, 0, at);
    }
    return utf8_strip(s, STRIP_BOTH, NULL);
}

bool math_value_equal(struct arena *a, struct str text, struct str solution)
{
    struct str wanted = math_boxed(solution);
    if (str_eq(wanted, invalid))
        wanted = last_formula(solution);
    struct str answer = without_text(plain(a, found_answer(text)));
    wanted = without_text(plain(a, wanted));
    return answer.n > 0 && wanted.n > 0 && math_equal(answer, wanted, true);
}
