#include "tasks/math_find.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/regex.h"
#include "base/utf8.h"

/* ---- one formula, written alike ---- */

struct rule {
    const char *pattern, *replacement;
};

static int apply(struct arena *a, const struct rule *rules, size_t n, struct str *s,
                 struct error *err)
{
    const struct regex *regex;
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        if ((r = regex_constant(rules[i].pattern, 0, &regex, err)) == 0)
            r = regex_sub(regex, a, *s, str_of(rules[i].replacement), s, err);
    return r;
}

/* Brackets lose \left and \right; marks that mean nothing go. */
static const struct rule marks[] = {
    {"\\\\mathrm\\{T\\}", "T"},
    {"\\\\mathrm\\{d\\}|\\{\\\\rm d\\}", "d"},
    {"\\\\m?left(\\\\\\{|\\{|\\\\\\||\\||\\[|\\(|\\\\lbrace|\\\\lbrack|\\\\vert|\\\\lvert|"
     "\\\\lceil|"
     "\\\\lfloor|\\\\langle)",
     "\\1"},
    {"\\\\m?right(\\\\\\}|\\}|\\\\\\||\\||\\]|\\)|\\\\rbrace|\\\\rbrack|\\\\vert|\\\\rvert|"
     "\\\\rceil|"
     "\\\\rfloor|\\\\rangle)",
     "\\1"},
    {"\\\\mathrm\\{th\\}|\\\\!\\s*|\\\\text\\s*\\{\\s*\\}|\\\\\\$|\\$|(?<!\\\\)[\"']|"
     "\\\\displaystyle",
     ""},
};

/* Tried together, from left to right: what one has made, no other sees. */
static const struct rule words[] = {
    {"\\\\math(?:rm|it|bf)", "\\text"},
    {"\\\\text(?:normal|bf|it|rm)", "\\text"},
    {"\\\\(?:d|t|c)frac", "\\frac"},
    {"\\s\\.", " 0."},
    {"\\{\\.", "{0."},
    {"~=", "\\approx"},
    {"\\s*\\{\\s*,\\s*\\}", ","},
    {"(?<![a-zA-Z]),?\\s*(?:and|or)(?![a-zA-Z])", ","},
    {",?\\s*\\\\text\\{\\s*(?:and|or)\\s*\\}", ","},
    {"(?<!\\\\)\\\\\\s", " "},
    {"infinity", "\\infty"},
    {",?\\\\ldots", " "},
    {"\\s*\\bpercentage\\b", "\\%"},
    {"\\\\text\\{percentage\\}", "%"},
    {"\\s*\\bpercent\\b", "\\%"},
    {"\\\\text\\{percent\\}", "%"},
    {"\\s*\\bpct\\b", "\\%"},
    {"\\\\text\\{pct\\}", "%"},
    {"(?<!\\\\)inf(?!inity)", "\\infty"},
    {" sqrt", "\\sqrt"},
};
enum { N_WORDS = sizeof words / sizeof *words };

/* Roots, powers and fractions get their braces. */
static const struct rule braces[] = {
    {"\\^\\s?\\((.*?)\\)", "^{\\1}"},
    {"sqrt\\s?\\((.*?)\\)", "\\\\sqrt{\\1}"},
    {"\\\\frac\\s?(\\d)\\s?(\\d+)", "\\\\frac{\\1}{\\2}"},
    {"\\\\log_\\s?(\\d)\\s?(\\d+)", "\\\\log_{\\1}{\\2}"},
    {"\\\\frac\\s?\\{(.*?)\\}\\s?(\\d)", "\\\\frac{\\1}{\\2}"},
    {"\\\\frac\\s?(\\d)\\s?\\{(.*?)\\}", "\\\\frac{\\1}{\\2}"},
    {"\\\\sqrt\\s*([^\\s{\\[])", "\\\\sqrt{\\1}"},
    {"\\\\frac\\s*([^\\s{])([^{])", "\\\\frac{\\1}{\\2}"},
    {"\\\\frac\\s*([^\\s{])\\{", "\\\\frac{\\1}{"},
    {"^(-?\\d+)/(-?\\d+)$", "\\\\frac{\\1}{\\2}"},
};

#define UNITS                                                                                      \
    "feet|sue|digit|pound|meal|edge|student|children ticket|multiple|east|degree|mph|kmph|ft|"     \
    "m square| m east|sq m|deg|mile|q \\.|monkey|prime|ratio|profit of rs|rd|o|gm|p \\. m|lb|"     \
    "tile|per|dm|lt|gain|ab|way|west|[a-h] \\.|t|h|no change|men|soldier|pie|bc|excess|st|"        \
    "inches|noon|cent|by|gal|kmh|c|acre|rise|a \\. m|th|sq|mark|l|toy|coin|sq \\. m|gallon|"       \
    "profit|minw|yr|women|am|pm|hr|cu cm|square|are|rupee|rounds|cubic|cc|mtr|s|ohm|number|day|"   \
    "hour|minute|min|second|man|woman|sec|cube|mt|sq inch|mp|hectare|more|unit|cu \\. m|cm 2|"     \
    "rs \\.|rs|kg|g|month|km|m|cm|mm|apple|liter|loss|yard|pure|year|increase|decrease|d|less|"    \
    "Surface|litre|pi sq m|s \\.|metre|meter|inch"

/* A unit at the end, unless nothing else is left. */
static int without_units(struct arena *a, struct str *s, struct error *err)
{
    static const struct rule units[] = {
        {"(\\\\(?:text|mbox)\\{.*?\\})(\\^\\d|\\{\\^\\d\\})?$", ""},
        {"(\\d|\\}|\\s)\\s*(?:" UNITS ")(?:s|es)?\\s*$", "\\1"},
        {"(\\d|\\}|\\s)\\s*(?:" UNITS ")(?:s|es)?\\s*$", "\\1"},
    };
    int r = 0;
    for (int i = 0; i < 3 && r == 0; i++) {
        struct str bare = *s;
        r = apply(a, &units[i], 1, &bare, err);
        if (r == 0 && i == 0)
            bare = utf8_strip(bare, STRIP_BOTH, NULL);
        if (bare.n > 0)
            *s = bare;
    }
    return r;
}

static int replace_words(struct arena *a, struct str *s, struct error *err)
{
    struct regex_match m[1 + N_WORDS];
    struct regex_iter it = {0};
    const struct regex *regex;
    struct buf pattern = {0}, out = {0};
    size_t from = 0;
    for (int i = 0; i < N_WORDS; i++)
        buf_printf(&pattern, "%s(%s)", i ? "|" : "", words[i].pattern);
    int r = regex_constant(buf_take(&pattern, a).p, 0, &regex, err);
    while (r >= 0 && (r = regex_next(regex, *s, &it, m, 1 + N_WORDS, err)) > 0) {
        int which = 0;
        while (which < N_WORDS && m[1 + which].start == SIZE_MAX)
            which++;
        buf_str(&out, str_slice(*s, from, m[0].start));
        buf_puts(&out, which < N_WORDS ? words[which].replacement : "");
        from = m[0].end;
    }
    buf_str(&out, str_slice(*s, from, s->n));
    *s = buf_take(&out, a);
    return r;
}

/* ---- boxes ---- */

/* What stands in the braces that open at s[i]; false where they do not close before `end`. */
static bool braced(struct str s, size_t i, size_t end, size_t *close)
{
    int depth = 0;
    for (; i < end; i++) {
        depth += s.p[i] == '{';
        if (s.p[i] == '}' && --depth == 0) {
            *close = i;
            return true;
        }
    }
    return false;
}

/* Whether a box belongs to the one behind it: they are close, or joined by a word or a comma. */
static int belongs(struct str between, bool differs, struct error *err)
{
    struct regex_match m;
    const struct regex *regex;
    if (between.n < 10)
        return 1;
    if (!differs || between.n >= 70)
        return 0;
    int r = regex_constant("\\b(and|or)\\b|,|;", 0, &regex, err);
    return r < 0 ? r : regex_search(regex, between, 0, false, &m, 1, err);
}

/* What the boxes hold, joined by commas; of a long text (`last`) only the last ones that belong
 * together. Without a box the text itself. */
static int boxed(struct arena *a, struct str s, bool last, struct str *ret, struct error *err)
{
    enum { MOST = 16 };
    struct str found[MOST];
    size_t end = s.n, behind = SIZE_MAX;
    int n = 0, r;
    while (n < MOST) {
        struct str head = str_slice(s, 0, end);
        size_t box = str_find_last(head, STR("\\boxed")),
               frame = str_find_last(head, STR("\\fbox"));
        bool is_box = box != SIZE_MAX && (frame == SIZE_MAX || box > frame);
        size_t at = is_box ? box : frame, close;
        if (at == SIZE_MAX)
            break;
        size_t open = at + (is_box ? 6 : 5);
        while (open < end && isspace((unsigned char)s.p[open]))
            open++;
        if (open >= end || s.p[open] != '{' || !braced(s, open, end, &close)) {
            if (n == 0 && open < end)
                found[n++] = str_slice(s, open, s.n);
            break;
        }
        struct str content = utf8_strip(str_slice(s, open + 1, close), STRIP_BOTH, NULL);
        bool differs = n == 0 || !str_eq(content, found[n - 1]);
        if (last && behind != SIZE_MAX) {
            if ((r = belongs(str_slice(s, close + 1, behind), differs, err)) < 0)
                return r;
            if (r == 0)
                break;
        }
        if (differs)
            found[n++] = content;
        behind = end = at;
    }
    struct buf b = {0};
    for (int i = n - 1; i >= 0; i--) {
        buf_str(&b, found[i]);
        buf_puts(&b, i ? "," : "");
    }
    *ret = n ? buf_take(&b, a) : s;
    return 0;
}

static int written_alike(struct arena *a, bool last, struct str *s, struct error *err)
{
    const struct rule commands = {"\\\\\\\\(?=[a-zA-Z])", "\\\\"};
    int r = boxed(a, *s, last, s, err);
    if (r < 0 || (r = apply(a, marks, sizeof marks / sizeof *marks, s, err)) < 0 ||
        (r = replace_words(a, s, err)) < 0)
        return r;
    *s = str_substitute(a, str_substitute(a, *s, STR("\n"), STR(" ")), STR("\t"), STR(" "));
    if (str_find(*s, STR("matrix"), 0) == SIZE_MAX && (r = apply(a, &commands, 1, s, err)) < 0)
        return r;
    if ((r = without_units(a, s, err)) < 0)
        return r;
    if (s->n > 0 && s->p[0] == '.')
        *s = str_cat(a, STR("0"), *s);
    if (str_eqz(*s, "0.5"))
        *s = STR("\\frac{1}{2}");
    r = apply(a, braces, sizeof braces / sizeof *braces, s, err);
    *s = utf8_strip(*s, STRIP_BOTH, NULL);
    return r;
}

/* ---- where answers stand ---- */

/* What formulas between $$ $$, \[ \], $ $, \( \) and [ ] are made of. */
#define DISPLAY  "(?:[^$]|\\$(?!\\$))"
#define BRACKETS "(?:[^\\\\]|\\\\(?!\\]))"
#define INLINE   "(?:\\\\[$]|[^\\n$])"
#define ROUND    "(?:[^\\\\\\n]|\\\\(?!\\)))"
#define SQUARE   "[^\\n\\]\\[]"

#define ANY(x)   x "+?"
#define BOXED(x) x "*?\\\\boxed\\{" x "+?\\}" x "*?"

/* One formula: group 1 is what it holds, group 2 a percent sign behind it. */
#define FORMULA(f, more)                                                                              \
    "(?|(?<!\\\\)\\$\\$(" f(DISPLAY) ")(?<!\\\\)\\$\\$|(?<!\\\\)\\\\\\[(" f(                          \
        BRACKETS) ")(?<!\\\\)\\\\\\]|(?<!\\\\)(?<!\\d)\\$(" f(INLINE) ")(?<!\\\\)\\$|(?<!\\\\)"       \
                                                                      "\\\\\\((" f(                   \
                                                                          ROUND) ")(?<!\\\\)"         \
                                                                                 "\\\\\\)|\\s\\["     \
                                                                                 "(" f(               \
                                                                                     SQUARE) ")"      \
                                                                                             "\\]"    \
                                                                                             "\\"     \
                                                                                             "s" more \
                                                                                             ")"      \
                                                                                             "\\s"    \
                                                                                             "*("     \
                                                                                             "\\"     \
                                                                                             "\\?"    \
                                                                                             "%|["    \
                                                                                             "Pp]"    \
                                                                                             "erc"    \
                                                                                             "ent"    \
                                                                                             "|["     \
                                                                                             "Pp]"    \
                                                                                             "erc"    \
                                                                                             "ent"    \
                                                                                             "age"    \
                                                                                             "|["     \
                                                                                             "Pp]"    \
                                                                                             "ct)"    \
                                                                                             "?"
#define NUMBER   "-?\\d+(?:[.,]\\d+)?"
#define FRACTION "|(-?\\\\frac\\{" NUMBER "\\}\\{" NUMBER "\\})"
#define ONE      FORMULA(ANY, FRACTION)
#define JOINED   "(?:\\s*(?:,?and|,?or|,)\\s*" ONE ")?"
#define SEVERAL  ONE JOINED JOINED JOINED JOINED JOINED
#define BOX      FORMULA(BOXED, "")
#define NEXT_BOX "\\s*(?:\\s*(?:,?and|,?or|,)\\s*" BOX ")?"

/* Arithmetic: group 1; a number: groups 2 to 8. */
#define SIGNS  "+\\-*\xc3\x97/^()\xc3\xb7"
#define BEFORE "(?:^|\\s|=)(?:\\*\\*)?"
#define SUM                                                                                        \
    "(?:" BEFORE "(-?\\(?-?\\d[\\d.\\s" SIGNS "]*[" SIGNS "][\\d.\\s" SIGNS "]+\\)?)"              \
    "(?:\\*\\*)?(?:\\.|,|:|\\s|\\)|\\$|$))"
#define AMOUNT                                                                                     \
    "(?:" BEFORE                                                                                   \
    "[$\u20ac\u00a3\u00a5\u20b9]?(?<!\\d)(?:(-?[1-9]\\d{0,2}(?:[ ,]\\d{3})+)(\\.\\d+)?|"           \
    "(-?\\d+)([.,]\\d+)|(\\.\\d+)|(-?\\d+))(\\s*(?:%|[Pp]ercent|\\s*[Pp]ercentage|\\s*[Pp]ct))?)"
#define EITHER "(?:" SUM "|" AMOUNT ")"

enum kind { FORMULAS, LONG_BOX, ARITHMETIC };
enum { N_GROUPS = 13 };

static const struct place {
    int rank; /* places of the same rank are looked at together */
    enum kind kind;
    unsigned flags;
    const char *pattern;
} places[] = {
    {0, FORMULAS, REGEX_DOTALL, "(?i:final answer is):?\\s*" SEVERAL "\\.?\\s?I hope"},
    {0, ARITHMETIC, 0, "(?i:final answer is):?\\s*" EITHER "\\.?\\s?I hope"},
    {1, FORMULAS, REGEX_DOTALL, "(?i:final answer.{0,100}?)\\s+is:?\\s*" SEVERAL},
    {1, FORMULAS, REGEX_DOTALL, BOX NEXT_BOX NEXT_BOX NEXT_BOX NEXT_BOX NEXT_BOX},
    {1, LONG_BOX, REGEX_DOTALL, "(\\\\boxed\\{.+\\})"},
    {1, ARITHMETIC, 0, "(?i:final answer.{0,100}?)\\s+is:?" EITHER},
    {2, FORMULAS, REGEX_DOTALL, "(?i:answer):.{0,50}?" SEVERAL},
    {2, ARITHMETIC, 0, "(?i:answer):(?:.{0,100}=\\s*|.{0,50}?)" EITHER "(?!\\s*=)"},
    {3, FORMULAS, REGEX_DOTALL, "(?i:answer).{0,50}?" SEVERAL},
    {3, ARITHMETIC, 0, "(?i:answer)(?:.{0,100}=\\s*|.{0,50}?)" EITHER "(?!\\s*=)"},
    {4, FORMULAS, REGEX_DOTALL, SEVERAL},
    {4, ARITHMETIC, 0, SUM},
    {4, ARITHMETIC, 0, "()?+" AMOUNT},
};
enum { N_PLACES = sizeof places / sizeof *places, N_RANKS = 5 };

struct match {
    struct regex_match groups[N_GROUPS];
    enum kind kind;
    size_t order;
};

struct matches {
    struct match *items;
    size_t n, cap;
};

/* The last end first, then the first start. */
static int by_place(const void *a, const void *b)
{
    const struct match *x = a, *y = b;
    const struct regex_match *g = &x->groups[0], *h = &y->groups[0];
    if (g->end != h->end)
        return g->end > h->end ? -1 : 1;
    if (g->start != h->start)
        return g->start < h->start ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* A search that takes too many steps has found what it has found. */
static int matches_of(const struct place *p, struct str text, struct matches *all,
                      struct error *err)
{
    const struct regex *regex;
    struct regex_iter it = {0};
    struct error ignored;
    struct match m = {.kind = p->kind};
    int r = regex_constant(p->pattern, p->flags, &regex, err);
    if (r < 0)
        return r;
    int n = 1 + regex_groups(regex);
    for (int i = 0; i < N_GROUPS; i++)
        m.groups[i].start = SIZE_MAX;
    while (regex_next(regex, text, &it, m.groups, n < N_GROUPS ? n : N_GROUPS, &ignored) > 0) {
        m.order = all->n;
        *ARRAY_PUSH(all) = m;
    }
    return 0;
}

static struct str group(struct str text, const struct match *m, int i)
{
    return m->groups[i].start == SIZE_MAX ? STR("")
                                          : str_slice(text, m->groups[i].start, m->groups[i].end);
}

/* "1,234.50": 1234.50, with a point for a decimal comma. */
static struct str number_of(struct arena *a, struct str whole, struct str decimals)
{
    struct buf b = {0};
    bool minus = whole.n > 0 && whole.p[0] == '-', begun = false;
    buf_puts(&b, minus ? "-" : "");
    for (size_t i = 0; i < whole.n; i++)
        if (isdigit((unsigned char)whole.p[i]) && (begun || minus || whole.p[i] != '0')) {
            buf_char(&b, whole.p[i]);
            begun = true;
        }
    buf_puts(&b, begun ? "" : "0");
    if (decimals.n > 0) {
        buf_char(&b, '.');
        buf_str(&b, str_slice(decimals, 1, decimals.n));
    }
    return buf_take(&b, a);
}

static void stated_arithmetic(struct arena *a, struct str text, const struct match *m,
                              struct math_stated *ret)
{
    struct str sum = group(text, m, 1);
    *ret = (struct math_stated){.n = 1, .is_arithmetic = true, .parts = {sum}};
    for (int i = 2; i < 8 && sum.n == 0; i++) { /* whole and decimals, twice; .5; a whole number */
        struct str g = group(text, m, i);
        if (g.n == 0)
            continue;
        bool point = i == 6;
        ret->parts[0] = number_of(a, point ? STR("") : g,
                                  point   ? g
                                  : i < 6 ? group(text, m, i + 1)
                                          : STR(""));
        break;
    }
    ret->percent[0] = group(text, m, 8).n > 0;
}

static int stated(struct arena *a, struct str text, const struct match *m, struct math_stated *ret,
                  struct error *err)
{
    *ret = (struct math_stated){0};
    if (m->kind == ARITHMETIC) {
        stated_arithmetic(a, text, m, ret);
        return 0;
    }
    int r = 0;
    for (int i = 0; i < MATH_STATED && r == 0; i++) {
        struct str formula = group(text, m, 1 + 2 * i);
        if (m->groups[1 + 2 * i].start == SIZE_MAX || (m->kind == LONG_BOX && i > 0))
            continue;
        r = written_alike(a, m->kind == LONG_BOX, &formula, err);
        ret->percent[ret->n] = m->kind == FORMULAS && group(text, m, 2 + 2 * i).n > 0;
        ret->parts[ret->n++] = formula;
    }
    return r;
}

int math_find(struct arena *a, struct str text, bool arithmetic, math_reads *f, void *arg,
              struct error *err)
{
    int r = 0;
    for (int rank = 0; rank < N_RANKS && r == 0; rank++) {
        struct matches all = {0};
        for (int i = 0; i < N_PLACES && r == 0; i++)
            if (places[i].rank == rank && (arithmetic || places[i].kind != ARITHMETIC))
                r = matches_of(&places[i], text, &all, err);
        if (all.n > 1)
            qsort(all.items, all.n, sizeof *all.items, by_place);
        for (size_t i = 0; i < all.n && r == 0; i++) {
            struct math_stated s;
            if ((r = stated(a, text, &all.items[i], &s, err)) == 0 && s.n > 0)
                r = f(arg, &s, err);
        }
        free(all.items);
    }
    return r < 0 ? r : 0;
}
