#include "tasks/math_expr.h"

#include <complex.h>
#include <ctype.h>
#include <limits.h>
#include <math.h>

typedef long double complex number; /* the one typedef: C's own name for it is three words */

enum {
    N_POINTS = 3,   /* assignments of the letters */
    MAX_DEPTH = 60, /* brackets inside one another */
    MAX_PARTS = 32, /* of a tuple or a set */
    MAX_ANSWER = 2000,
};

struct quantity {
    bool exact; /* num / den is its value */
    int64_t num, den;
    number at[N_POINTS];
};

struct parser {
    struct str s;
    size_t i;
    int depth;
    bool failed, has_letters, lenient;
};

/* ---- quantities ---- */

static struct quantity from_ratio(int64_t num, int64_t den)
{
    struct quantity q = {.exact = den != 0, .num = num, .den = den};
    if (q.exact) {
        int64_t a = num < 0 ? -num : num, b = den < 0 ? -den : den;
        while (b) {
            int64_t t = a % b;
            a = b, b = t;
        }
        if (a > 1)
            q.num /= a, q.den /= a;
        if (q.den < 0)
            q.num = -q.num, q.den = -q.den;
    }
    for (int k = 0; k < N_POINTS; k++)
        q.at[k] = (long double)num / (long double)den;
    return q;
}

static bool fits(__int128 x)
{
    return x > -((__int128)1 << 62) && x < ((__int128)1 << 62);
}

static struct quantity combined(struct quantity a, struct quantity b, char op)
{
    struct quantity q = {0};
    if (a.exact && b.exact && !(op == '/' && b.num == 0)) {
        __int128 num = 0, den = (__int128)a.den * b.den;
        if (op == '+' || op == '-') {
            __int128 other = (__int128)b.num * a.den;
            num = (__int128)a.num * b.den + (op == '+' ? other : -other);
        } else if (op == '*') {
            num = (__int128)a.num * b.num;
        } else {
            num = (__int128)a.num * b.den;
            den = (__int128)a.den * b.num;
        }
        if (fits(num) && fits(den))
            return from_ratio((int64_t)num, (int64_t)den);
    }
    for (int k = 0; k < N_POINTS; k++)
        q.at[k] = op == '+'   ? a.at[k] + b.at[k]
                  : op == '-' ? a.at[k] - b.at[k]
                  : op == '*' ? a.at[k] * b.at[k]
                              : a.at[k] / b.at[k];
    return q;
}

static struct quantity mapped(struct quantity a, number (*f)(number x))
{
    struct quantity q = {0};
    for (int k = 0; k < N_POINTS; k++)
        q.at[k] = f(a.at[k]);
    return q;
}

static struct quantity power(struct quantity a, struct quantity b)
{
    struct quantity q = {0};
    if (a.exact && b.exact && b.den == 1 && b.num > -64 && b.num < 64) {
        struct quantity product = from_ratio(1, 1);
        for (int64_t k = 0; k < (b.num < 0 ? -b.num : b.num); k++)
            product = combined(product, a, '*');
        if (product.exact && (b.num >= 0 || product.num != 0))
            return b.num >= 0 ? product : combined(from_ratio(1, 1), product, '/');
    }
    for (int k = 0; k < N_POINTS; k++) {
        bool real_root = b.exact && b.num == 1 && cimagl(a.at[k]) == 0;
        if (real_root && b.den == 2)
            q.at[k] = csqrtl(a.at[k]);
        else if (real_root && creall(a.at[k]) >= 0)
            q.at[k] = powl(creall(a.at[k]), creall(b.at[k]));
        else
            q.at[k] = cpowl(a.at[k], b.at[k]);
    }
    return q;
}

static bool same(struct quantity a, struct quantity b)
{
    if (a.exact && b.exact)
        return a.num == b.num && a.den == b.den;
    for (int k = 0; k < N_POINTS; k++) {
        long double difference = cabsl(a.at[k] - b.at[k]), size = cabsl(a.at[k]) + cabsl(b.at[k]);
        if (isinf(size))
            return a.at[k] == b.at[k] && k == N_POINTS - 1;
        if (!(difference <= 1e-15L * (size + 1)))
            return false;
    }
    return true;
}

/* ---- functions ---- */

static number absolute(number x)
{
    return cabsl(x);
}

static number factorial(number x)
{
    return tgammal(creall(x) + 1);
}

static number log_e(number x)
{
    return clogl(x);
}

static number cotangent(number x)
{
    return 1 / ctanl(x);
}

static number secant(number x)
{
    return 1 / ccosl(x);
}

static number cosecant(number x)
{
    return 1 / csinl(x);
}

static const struct {
    const char *name;
    number (*f)(number x);
} functions[] = {
    {"arcsin", casinl}, {"arccos", cacosl}, {"arctan", catanl}, {"sin", csinl},
    {"cos", ccosl},     {"tan", ctanl},     {"cot", cotangent}, {"sec", secant},
    {"csc", cosecant},  {"ln", log_e},      {"log", log_e},     {"exp", cexpl},
};

/* ---- reading ---- */

static struct quantity sum(struct parser *p);

static struct quantity fail(struct parser *p)
{
    p->failed = true;
    return from_ratio(0, 1);
}

static void skip_blank(struct parser *p)
{
    static const char *const blanks[] = {"\\,",    "\\!",  "\\;",    "\\:",     "\\ ",
                                         "\\quad", "~",    "\\left", "\\right", "\\displaystyle",
                                         "\\big",  "\\Big"};
    for (bool again = true; again;) {
        again = false;
        while (p->i < p->s.n && isspace((unsigned char)p->s.p[p->i]))
            p->i++;
        for (size_t k = 0; k < sizeof blanks / sizeof *blanks && !again; k++) {
            struct str word = str_of(blanks[k]);
            size_t end = p->i + word.n;
            bool whole = !isalpha((unsigned char)word.p[word.n - 1]) || end >= p->s.n ||
                         !isalpha((unsigned char)p->s.p[end]);
            if (whole && str_starts(str_slice(p->s, p->i, p->s.n), word)) {
                p->i = end;
                again = true;
            }
        }
    }
}

static char peek(struct parser *p)
{
    skip_blank(p);
    return p->i < p->s.n ? p->s.p[p->i] : '\0';
}

static bool take(struct parser *p, const char *word)
{
    struct str w = str_of(word);
    skip_blank(p);
    size_t end = p->i + w.n;
    bool command = w.p[0] == '\\' && isalpha((unsigned char)w.p[w.n - 1]);
    if (!str_starts(str_slice(p->s, p->i, p->s.n), w) ||
        (command && end < p->s.n && isalpha((unsigned char)p->s.p[end])))
        return false;
    p->i = end;
    return true;
}

/* "1,000.5": a number with its decimals. sympy takes "." only between digits. */
static struct quantity decimal(struct parser *p)
{
    int64_t num = 0, den = 1;
    long double value = 0, scale = 1;
    bool exact = true, point = false;
    size_t from = p->i;
    for (; p->i < p->s.n; p->i++) {
        char c = p->s.p[p->i];
        struct str rest = str_slice(p->s, p->i, p->s.n);
        bool thousands = c == ',' && !point && rest.n >= 4 && p->i > from &&
                         isdigit((unsigned char)rest.p[1]) && isdigit((unsigned char)rest.p[2]) &&
                         isdigit((unsigned char)rest.p[3]) &&
                         (rest.n == 4 || !isdigit((unsigned char)rest.p[4]));
        if (thousands)
            continue;
        if (c == '.' && !point && rest.n > 1 && isdigit((unsigned char)rest.p[1])) {
            point = true;
            continue;
        }
        if (!isdigit((unsigned char)c))
            break;
        exact = exact && num < INT64_C(100000000000000000) && den < INT64_C(100000000000000000);
        num = exact ? num * 10 + (c - '0') : 0;
        den = exact && point ? den * 10 : den;
        value = value * 10 + (c - '0');
        scale = point ? scale * 10 : scale;
    }
    struct quantity q = from_ratio(num, den);
    q.exact = exact;
    for (int k = 0; k < N_POINTS && !exact; k++)
        q.at[k] = value / scale;
    return q;
}

/* A letter's values: fixed, positive, and unlike those of other names. */
static struct quantity letter(struct parser *p, struct str name)
{
    struct quantity q = {0};
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * 1099511628211u;
    for (int k = 0; k < N_POINTS; k++) {
        h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u;
        q.at[k] = 0.5L + (long double)(h >> 11) / 9007199254740992.0L * 2;
    }
    p->has_letters = true;
    return q;
}

static struct quantity pi(void)
{
    return combined(from_ratio(4, 1), mapped(from_ratio(1, 1), catanl), '*');
}

/* An argument: {...}, or one digit or letter ("\frac12"). */
static struct quantity argument(struct parser *p)
{
    if (take(p, "{")) {
        struct quantity q = sum(p);
        return take(p, "}") ? q : fail(p);
    }
    char c = peek(p);
    if (isdigit((unsigned char)c)) {
        p->i++;
        return from_ratio(c - '0', 1);
    }
    if (isalpha((unsigned char)c))
        return p->i++, letter(p, str_slice(p->s, p->i - 1, p->i));
    return take(p, "\\pi") ? pi() : fail(p);
}

static struct quantity closed_by(struct parser *p, const char *close)
{
    struct quantity q = sum(p);
    return take(p, close) ? q : fail(p);
}

static struct quantity root(struct parser *p)
{
    struct quantity degree = from_ratio(2, 1);
    if (take(p, "["))
        degree = closed_by(p, "]");
    if (p->lenient && peek(p) != '{')
        return fail(p);
    return power(argument(p), combined(from_ratio(1, 1), degree, '/'));
}

static struct quantity product(struct parser *p, bool implicit_only);

/* \sin x, \sin^2 x, \log_2 8 */
static struct quantity applied(struct parser *p, number (*f)(number x))
{
    struct quantity exponent = from_ratio(1, 1), base = {0};
    bool has_base = false;
    for (;;) {
        if (take(p, "^")) {
            exponent = argument(p);
        } else if (take(p, "_")) {
            base = argument(p);
            has_base = true;
        } else {
            break;
        }
    }
    struct quantity q = mapped(product(p, true), f);
    if (has_base)
        q = combined(q, mapped(base, f), '/');
    return power(q, exponent);
}

static struct quantity binomial(struct parser *p)
{
    struct quantity n = argument(p), k = argument(p);
    struct quantity below =
        combined(mapped(k, factorial), mapped(combined(n, k, '-'), factorial), '*');
    struct quantity q = combined(mapped(n, factorial), below, '/');
    if (n.exact && k.exact && n.den == 1 && k.den == 1 && creall(q.at[0]) < 1e15L)
        return from_ratio(llroundl(creall(q.at[0])), 1);
    return q;
}

static struct quantity command(struct parser *p)
{
    if (take(p, "\\frac") || take(p, "\\dfrac") || take(p, "\\tfrac") || take(p, "\\cfrac")) {
        struct quantity over = argument(p);
        return combined(over, argument(p), '/');
    }
    if (take(p, "\\sqrt"))
        return root(p);
    if (take(p, "\\pi"))
        return pi();
    if (take(p, "\\binom") || take(p, "\\dbinom"))
        return binomial(p);
    if (take(p, "\\{"))
        return closed_by(p, "\\}");
    if (take(p, "\\lvert") || take(p, "\\vert"))
        return mapped(closed_by(p, p->lenient ? "\\rvert" : "\\vert"), absolute);
    if (take(p, "\\infty")) {
        struct quantity q = {0};
        for (int k = 0; k < N_POINTS; k++)
            q.at[k] = (long double)INFINITY;
        return q;
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        char name[16] = "\\";
        strcat(name, functions[i].name);
        if (take(p, name))
            return applied(p, functions[i].f);
    }
    size_t from = p->i++;
    while (p->i < p->s.n && isalpha((unsigned char)p->s.p[p->i]))
        p->i++;
    struct str name = str_slice(p->s, from, p->i);
    if (name.n < 2 || (!p->lenient && str_eqz(name, "\\text")))
        return fail(p);
    return letter(p, name);
}

/* "f(x)" is a function's value to sympy, whatever the letter is. */
static struct quantity called(struct parser *p)
{
    struct quantity f = letter(p, str_slice(p->s, p->i, p->i + 1));
    p->i += 2;
    return mapped(combined(f, closed_by(p, ")"), '*'), csinl);
}

static struct quantity atom(struct parser *p)
{
    char c = peek(p);
    if (++p->depth > MAX_DEPTH)
        return fail(p);
    struct quantity q;
    if (isdigit((unsigned char)c) ||
        (c == '.' && !p->lenient && p->i + 1 < p->s.n && isdigit((unsigned char)p->s.p[p->i + 1])))
        q = decimal(p);
    else if (p->lenient && isalpha((unsigned char)c) && p->i + 1 < p->s.n &&
             p->s.p[p->i + 1] == '(')
        q = called(p);
    else if (isalpha((unsigned char)c))
        p->i++, q = letter(p, str_slice(p->s, p->i - 1, p->i));
    else if (take(p, "("))
        q = closed_by(p, ")");
    else if (take(p, "["))
        q = closed_by(p, "]");
    else if (take(p, "{"))
        q = closed_by(p, "}");
    else if (take(p, "|"))
        q = mapped(closed_by(p, "|"), absolute);
    else if (c == '\\')
        q = command(p);
    else
        q = fail(p);
    p->depth--;
    return q;
}

static bool starts_atom(struct parser *p)
{
    static const char *const enders[] = {"\\cdot", "\\times", "\\div", "\\}",  "\\cup",
                                         "\\pm",   "\\mp",    "\\le",  "\\ge", "\\%",
                                         "\\$",    "\\rvert", "\\\\",  "\\in"};
    char c = peek(p);
    if (isalnum((unsigned char)c) || c == '(' || c == '{' || (c == '[' && !p->lenient))
        return true;
    if (c != '\\')
        return false;
    for (size_t i = 0; i < sizeof enders / sizeof *enders; i++) {
        size_t at = p->i;
        bool ends = take(p, enders[i]);
        p->i = at;
        if (ends)
            return false;
    }
    return true;
}

static struct quantity postfix(struct parser *p)
{
    struct quantity q = atom(p);
    while (!p->failed) {
        if (take(p, "^")) {
            size_t at = p->i;
            if (take(p, "{\\circ}") || take(p, "\\circ")) { /* degrees: a unit */
                if (p->lenient)
                    q = power(q, letter(p, STR("\\circ")));
                continue;
            }
            p->i = at;
            bool minus = take(p, "-");
            struct quantity e = argument(p);
            q = power(q, minus ? combined(from_ratio(0, 1), e, '-') : e);
        } else if (take(p, "!")) {
            bool small = q.exact && q.den == 1 && q.num >= 0 && q.num <= 20;
            q = mapped(q, factorial);
            if (small)
                q = from_ratio(llroundl(creall(q.at[0])), 1);
        } else if (take(p, "_")) { /* an index is part of a letter's name, a base of a number */
            struct quantity index = argument(p);
            for (int k = 0; k < N_POINTS && p->has_letters && !q.exact; k++)
                q.at[k] = q.at[k] * (3 + index.at[k]) / 7;
            if (!p->lenient && q.exact)
                q = combined(q, index, '*');
        } else {
            break;
        }
    }
    return q;
}

static struct quantity signed_factor(struct parser *p)
{
    int minus = 0;
    while (peek(p) == '-' || peek(p) == '+')
        minus ^= p->s.p[p->i++] == '-';
    struct quantity q = postfix(p);
    return minus ? combined(from_ratio(0, 1), q, '-') : q;
}

/* Factors; those without a sign between them bind closer than a division before them ("1/2x" is
 * 1/(2x)), as in sympy. `implicit_only`: a function's argument. */
static struct quantity product(struct parser *p, bool implicit_only)
{
    struct quantity q = signed_factor(p);
    size_t mixed = p->i;
    bool whole = !p->lenient && q.exact && q.den == 1 && mixed > 0 &&
                 isdigit((unsigned char)p->s.p[mixed - 1]);
    while (!p->failed && starts_atom(p)) {
        bool fraction = str_starts(str_slice(p->s, p->i, p->s.n), STR("\\frac")) ||
                        str_starts(str_slice(p->s, p->i, p->s.n), STR("\\dfrac"));
        struct quantity next = postfix(p);
        bool negative = q.exact && q.num < 0;
        if (whole && fraction && next.exact) /* 3\frac{1}{2} */
            q = combined(q, next, negative ? '-' : '+');
        else
            q = combined(q, next, '*');
        whole = false;
    }
    while (!implicit_only && !p->failed) {
        if (take(p, "\\cdot") || take(p, "\\times") || take(p, "*"))
            q = combined(q, product(p, true), '*');
        else if (take(p, "/") || take(p, "\\div") || (p->lenient && take(p, ":")))
            q = combined(q, product(p, true), '/');
        else
            break;
    }
    return q;
}

static struct quantity sum(struct parser *p)
{
    if (++p->depth > MAX_DEPTH)
        return fail(p);
    struct quantity q = product(p, false);
    while (!p->failed && (peek(p) == '+' || peek(p) == '-')) {
        char op = p->s.p[p->i++];
        q = combined(q, product(p, false), op);
    }
    p->depth--;
    return q;
}

/* ---- single values ---- */

static bool read_value(struct str s, bool lenient, bool *has_letters, struct quantity *ret)
{
    struct parser p = {.s = s, .lenient = lenient};
    *ret = sum(&p);
    char c = peek(&p);
    *has_letters = p.has_letters;
    bool percent = str_starts(str_slice(s, p.i, s.n), STR("\\%"));
    return !p.failed && !percent && (c == '\0' || (lenient && c != '=' && c != '<' && c != '>'));
}

static bool equal_values(struct str a, struct str b, bool lenient)
{
    struct quantity x, y;
    bool letters;
    return read_value(a, lenient, &letters, &x) && read_value(b, lenient, &letters, &y) &&
           same(x, y);
}

bool math_is_number(struct str s)
{
    struct quantity q;
    bool letters;
    return s.n > 0 && s.n <= MAX_ANSWER && read_value(s, false, &letters, &q) && !letters;
}

/* ---- tuples, intervals, sets, equations ---- */

static struct str trim(struct str s)
{
    static const char *const words[] = {"\\left", "\\right", "\\,", "\\!", "\\;", "\\ "};
    for (bool again = true; again;) {
        size_t n = s.n;
        while (s.n && isspace((unsigned char)s.p[0]))
            s = str_slice(s, 1, s.n);
        while (s.n && isspace((unsigned char)s.p[s.n - 1]))
            s.n--;
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
            struct str w = str_of(words[k]);
            if (str_starts(s, w) && (k > 1 || s.n == w.n || !isalpha((unsigned char)s.p[w.n])))
                s = str_slice(s, w.n, s.n);
            if (str_ends(s, w))
                s.n -= w.n;
        }
        again = s.n != n;
    }
    return s;
}

/* Takes "\left" or "\right" from a bracket's inner side. */
static struct str inside(struct str s, size_t open, size_t close)
{
    return trim(str_slice(s, open, s.n - close));
}

/* Parts between `mark` outside of brackets; their number, 0 when there are too many. */
static int split_at(struct str s, struct str mark, struct str *parts)
{
    int depth = 0, n = 0;
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        depth += c == '(' || c == '[' || c == '{';
        depth -= c == ')' || c == ']' || c == '}';
        if (depth != 0 || !str_starts(str_slice(s, i, s.n), mark))
            continue;
        if (n == MAX_PARTS - 1)
            return 0;
        parts[n++] = trim(str_slice(s, from, i));
        from = i + mark.n;
        i = from - 1;
    }
    parts[n++] = trim(str_slice(s, from, s.n));
    return n;
}

static bool equal(struct str a, struct str b, int depth);

static bool equal_lists(const struct str *a, int n, const struct str *b, int m, bool ordered,
                        int depth)
{
    bool used[MAX_PARTS] = {false};
    if (n != m || n == 0)
        return false;
    for (int i = 0; i < n; i++) {
        int j = ordered ? i : 0;
        for (; j < n; j++) {
            if (!used[j] && equal(a[i], b[j], depth))
                break;
            if (ordered)
                return false;
        }
        if (j == n)
            return false;
        used[j] = true;
    }
    return true;
}

/* The brackets around the whole text: their two characters, and what is inside. */
static bool bracketed(struct str s, char *open, char *close, struct str *content)
{
    bool set = str_starts(s, STR("\\{")) && str_ends(s, STR("\\}"));
    if (s.n < 2 || !(set || (strchr("([", s.p[0]) && strchr(")]", s.p[s.n - 1]))))
        return false;
    int depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        depth += c == '(' || c == '[' || c == '{';
        depth -= c == ')' || c == ']' || c == '}';
        if (depth == 0 && i + 1 < s.n && i > 0)
            return false;
    }
    *open = set ? '{' : s.p[0];
    *close = set ? '}' : s.p[s.n - 1];
    *content = set ? inside(s, 2, 2) : inside(s, 1, 1);
    return true;
}

static bool equal(struct str a, struct str b, int depth)
{
    struct str p[MAX_PARTS], q[MAX_PARTS], x, y;
    char open[2], close[2];
    a = trim(a), b = trim(b);
    if (a.n == 0 || b.n == 0 || depth > 4)
        return false;
    if (str_eq(a, b))
        return true;
    int n = split_at(a, STR("\\cup"), p), m = split_at(b, STR("\\cup"), q);
    if (n > 1 || m > 1)
        return equal_lists(p, n, q, m, false, depth + 1);
    if (bracketed(a, &open[0], &close[0], &x) && bracketed(b, &open[1], &close[1], &y)) {
        n = split_at(x, STR(","), p), m = split_at(y, STR(","), q);
        if (n > 1 || m > 1 || open[0] == '{')
            return open[0] == open[1] && close[0] == close[1] &&
                   equal_lists(p, n, q, m, open[0] != '{', depth + 1);
    }
    n = split_at(a, STR(","), p), m = split_at(b, STR(","), q);
    bool thousands = math_is_number(a) || math_is_number(b);
    if ((n > 1 || m > 1) && !thousands)
        return equal_lists(p, n, q, m, false, depth + 1);
    n = split_at(a, STR("="), p), m = split_at(b, STR("="), q);
    if (n > 1 && m > 1) /* the same equation, or the same right side */
        return equal_lists(p, n, q, m, false, depth + 1) || equal(p[n - 1], q[m - 1], depth + 1);
    if (n > 1 || m > 1)
        return equal(p[n - 1], q[m - 1], depth + 1);
    return equal_values(a, b, false);
}

bool math_equal(struct str a, struct str b, bool composite)
{
    if (a.n == 0 || b.n == 0 || a.n > MAX_ANSWER || b.n > MAX_ANSWER)
        return false;
    return composite ? equal(a, b, 0) : equal_values(a, b, true);
}
