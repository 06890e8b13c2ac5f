#include "tasks/math_expr.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <strings.h>

#include "base/utf8.h"

typedef long double complex number; /* the one typedef: C's own name for it is three words */

enum {
    N_POINTS = MATH_POINTS,
    MAX_DEPTH = 60, /* brackets inside one another */
    MAX_ANSWER = 2000,
};

struct parser {
    struct str s;
    size_t i;
    int depth;
    bool failed, has_letters, has_numbers;
    bool lenient, plain;  /* MATH_SYMPY, MATH_PLAIN */
    bool is_complex;      /* letters stand for other values than in a real expression */
    bool has_sign, minus; /* \pm was read, and stands for minus */
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
        q.at[k] = op == '+'      ? a.at[k] + b.at[k]
                  : op == '-'    ? a.at[k] - b.at[k]
                  : op == '*'    ? a.at[k] * b.at[k]
                  : b.at[k] == 0 ? (long double)NAN
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
        if (isinf(size)) /* infinity less infinity is nothing to sympy */
            return false;
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

/* "\log": sympy's parse_latex means the natural one, math_verify the decimal one; the base divides
 * the result (applied()). */
static number log_10(number x)
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
    {"csc", cosecant},  {"ln", log_e},      {"log", log_10},    {"exp", cexpl},
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

/* What stands next, 0 at the end. */
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

/* To sympy digits with blanks between them are one number. */
static void skip_blank_before_digit(struct parser *p)
{
    size_t at = p->i;
    char c = peek(p);
    if (!isdigit((unsigned char)c) && c != ',')
        p->i = at;
}

/* "1,000.5": a number with its decimals. sympy takes "." only between digits. */
static struct quantity decimal(struct parser *p)
{
    int64_t num = 0, den = 1;
    long double value = 0, scale = 1;
    bool exact = true, point = false;
    size_t from = p->i;
    p->has_numbers = true;
    for (; p->i < p->s.n; p->i++) {
        if (p->lenient && p->i > from)
            skip_blank_before_digit(p);
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
        if (c == '.' && !point && p->plain) { /* "5." */
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
    q.decimal = point;
    for (int k = 0; k < N_POINTS && !exact; k++)
        q.at[k] = value / scale;
    return q;
}

/* A letter's values: fixed, positive, and unlike those of other names. */
static struct quantity letter(struct parser *p, struct str name)
{
    struct quantity q = {0};
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        h = (h ^ (p->lenient ? c : (unsigned char)tolower(c))) * 1099511628211u;
    }
    h ^= p->is_complex;
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

/* math_verify takes "e" for Euler's number. */
static struct quantity one_letter(struct parser *p)
{
    bool euler = !p->lenient && p->s.p[p->i] == 'e';
    p->i++;
    return euler ? mapped(from_ratio(1, 1), cexpl) : letter(p, str_slice(p->s, p->i - 1, p->i));
}

static struct quantity binomial(struct quantity n, struct quantity k)
{
    struct quantity below =
        combined(mapped(k, factorial), mapped(combined(n, k, '-'), factorial), '*');
    struct quantity q = combined(mapped(n, factorial), below, '/');
    if (n.exact && k.exact && n.den == 1 && k.den == 1 && creall(q.at[0]) < 1e15L)
        return from_ratio(llroundl(creall(q.at[0])), 1);
    return q;
}

static struct quantity closed_by(struct parser *p, const char *close)
{
    struct quantity q = sum(p);
    if (!p->lenient && take(p, "\\choose"))
        q = binomial(q, sum(p));
    return take(p, close) ? q : fail(p);
}

/* An argument: {...}, or one digit or letter ("\frac12"). */
static struct quantity argument(struct parser *p)
{
    if (take(p, "{"))
        return closed_by(p, "}");
    char c = peek(p);
    if (isdigit((unsigned char)c)) {
        p->i++;
        p->has_numbers = true;
        return from_ratio(c - '0', 1);
    }
    if (isalpha((unsigned char)c))
        return one_letter(p);
    return take(p, "\\pi") ? pi() : fail(p);
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
    bool has_base = !p->lenient && f == log_10;
    if (has_base)
        base = from_ratio(10, 1);
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

/* Commands that are letters to math_verify. */
static bool is_greek(struct str command)
{
    static const char *const letters[] = {
        "alpha", "beta",   "gamma", "delta", "epsilon",    "zeta",   "eta",   "theta",    "iota",
        "kappa", "lambda", "mu",    "nu",    "xi",         "rho",    "sigma", "tau",      "upsilon",
        "phi",   "chi",    "psi",   "omega", "varepsilon", "varphi", "angle", "triangle", "ell",
    };
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (command.n == strlen(letters[i]) + 1 &&
            strncasecmp(command.p + 1, letters[i], command.n - 1) == 0)
            return true;
    return false;
}

/* \text{...}: one name. */
static struct quantity named(struct parser *p)
{
    if (!take(p, "{"))
        return fail(p);
    size_t from = p->i, end = str_find(p->s, STR("}"), from);
    if (end == SIZE_MAX || end == from)
        return fail(p);
    p->i = end + 1;
    return letter(p, str_slice(p->s, from, end));
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
    if (take(p, "\\binom") || take(p, "\\dbinom")) {
        struct quantity n = argument(p);
        return binomial(n, argument(p));
    }
    if (take(p, "\\begin"))
        return fail(p);
    if (take(p, "\\{"))
        return closed_by(p, "\\}");
    if (take(p, "\\lvert"))
        return mapped(closed_by(p, "\\rvert"), absolute);
    if (take(p, "\\vert"))
        return mapped(closed_by(p, p->lenient ? "\\rvert" : "\\vert"), absolute);
    if (!p->lenient && (take(p, "\\text") || take(p, "\\mbox")))
        return named(p);
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
    if (name.n < 2 || (!p->lenient && !is_greek(name)))
        return fail(p);
    return letter(p, name);
}

/* "f(x)" is a function's value to sympy, whatever the letter is; to math_verify, f, g, h and p are
 * functions of a letter or a number. */
static bool is_call(const struct parser *p)
{
    struct str rest = str_slice(p->s, p->i, p->s.n);
    if (rest.n < 2 || !isalpha((unsigned char)rest.p[0]) || rest.p[1] != '(')
        return false;
    return p->lenient || (rest.n > 3 && strchr("fghp", rest.p[0]) &&
                          isalnum((unsigned char)rest.p[2]) && rest.p[3] == ')');
}

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
    else if (is_call(p))
        q = called(p);
    else if (isalpha((unsigned char)c))
        q = one_letter(p);
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
                                         "\\$",    "\\rvert", "\\\\",  "\\in", "\\choose"};
    char c = peek(p);
    if (p->plain)
        return false;
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
            bool minus = take(p, "-"), whole = !p->lenient && isdigit((unsigned char)peek(p));
            struct quantity e = p->plain ? atom(p) : whole ? decimal(p) : argument(p);
            q = power(q, minus ? combined(from_ratio(0, 1), e, '-') : e);
        } else if (take(p, "!")) {
            bool small = q.exact && q.den == 1 && q.num >= 0 && q.num <= 20;
            q = mapped(q, factorial);
            if (small)
                q = from_ratio(llroundl(creall(q.at[0])), 1);
        } else if (take(p, "_")) { /* an index is part of a letter's name, a base of a number */
            bool numbers = p->has_numbers;
            struct quantity index = argument(p);
            for (int k = 0; k < N_POINTS && p->has_letters && !q.exact; k++)
                q.at[k] = q.at[k] * (3 + index.at[k]) / 7;
            p->has_numbers = numbers;
        } else {
            break;
        }
    }
    return q;
}

/* \pm: the value is two, which are read one after the other. */
static bool takes_both(struct parser *p)
{
    if (p->lenient || !take(p, "\\pm"))
        return false;
    p->has_sign = true;
    return true;
}

static struct quantity signed_factor(struct parser *p)
{
    int minus = 0;
    for (;;) {
        if (peek(p) == '-' || peek(p) == '+')
            minus ^= p->s.p[p->i++] == '-';
        else if (!p->lenient && !p->plain && take(p, "\u2212"))
            minus ^= 1;
        else if (takes_both(p))
            minus ^= p->minus;
        else
            break;
    }
    struct quantity q = postfix(p);
    bool decimal_point = q.decimal;
    if (minus)
        q = combined(from_ratio(0, 1), q, '-');
    q.decimal = decimal_point;
    return q;
}

/* Factors; those without a sign between them bind closer than a division before them ("1/2x" is
 * 1/(2x)), as in sympy. `implicit_only`: a function's argument. */
static struct quantity product(struct parser *p, bool implicit_only)
{
    struct quantity q = signed_factor(p);
    size_t mixed = p->i;
    while (mixed > 0 && isspace((unsigned char)p->s.p[mixed - 1]))
        mixed--;
    bool whole = !p->lenient && q.exact && q.den == 1 && mixed > 0 && !q.decimal &&
                 isdigit((unsigned char)p->s.p[mixed - 1]);
    while (!p->failed && starts_atom(p)) {
        struct quantity next = postfix(p);
        bool negative = q.exact && q.num < 0;
        if (whole && next.exact && next.num > 0) /* 3\frac{1}{2}; "3 4" is 7 to math_verify */
            q = combined(q, next, negative ? '-' : '+');
        else
            q = combined(q, next, '*');
        whole = false;
    }
    while (!implicit_only && !p->failed) {
        if (take(p, "\\cdot") || take(p, "\\times") || take(p, "*") ||
            (!p->plain && take(p, "\u00d7")))
            q = combined(q, product(p, true), '*');
        else if (take(p, "/") || take(p, "\\div") || take(p, ":"))
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
    while (!p->failed) {
        char op = peek(p);
        if (op == '+' || op == '-')
            p->i++;
        else if (!p->lenient && !p->plain && take(p, "\u2212"))
            op = '-';
        else if (takes_both(p))
            op = p->minus ? '-' : '+';
        else
            break;
        q = combined(q, product(p, false), op);
    }
    p->depth--;
    return q;
}

/* ---- reading whole texts ---- */

/* A single letter, \text{word}, or what is written as one: its name. */
static struct str name_of(struct str s)
{
    for (size_t n = 0; n != s.n;) {
        n = s.n;
        s = utf8_strip(s, STRIP_BOTH, NULL);
        if (str_starts(s, STR("\\text{")) && str_find(s, STR("}"), 0) == s.n - 1)
            s = str_slice(s, 6, s.n - 1);
        else if (s.n > 2 && s.p[0] == '(' && str_find(s, STR(")"), 0) == s.n - 1)
            s = str_slice(s, 1, s.n - 1);
    }
    return s;
}

/* "i" as a word of its own: the expression may be complex. */
static bool mentions_i(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool before = i > 0 && (isalnum((unsigned char)s.p[i - 1]) || s.p[i - 1] == '_');
        bool after = i + 1 < s.n && (isalnum((unsigned char)s.p[i + 1]) || s.p[i + 1] == '_');
        if (s.p[i] == 'i' && !before && !after)
            return true;
    }
    return false;
}

static bool is_alphanumeric(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]))
            return false;
    return true;
}

static bool is_word(struct str s)
{
    struct str inner = name_of(s);
    return inner.n > 0 &&
           (str_find(s, STR("\\text{"), 0) != SIZE_MAX
                ? str_find(inner, STR("\\"), 0) == SIZE_MAX
                : inner.n == 1 && isalpha((unsigned char)inner.p[0]) && inner.p[0] != 'e');
}

static void start(struct parser *p, struct str s, enum math_reader reader, bool minus)
{
    *p = (struct parser){.s = s,
                         .lenient = reader == MATH_SYMPY,
                         .plain = reader == MATH_PLAIN,
                         .is_complex = reader == MATH_VERIFY && mentions_i(s),
                         .minus = minus};
}

bool math_scalar_read(struct str s, enum math_reader reader, bool minus, struct math_scalar *ret)
{
    struct parser p;
    *ret = (struct math_scalar){0};
    if (s.n == 0 || s.n > MAX_ANSWER)
        return false;
    start(&p, s, reader, minus);
    ret->value = sum(&p);
    char c = peek(&p);
    ret->has_letters = p.has_letters;
    ret->only_letters = p.has_letters && !p.has_numbers;
    ret->has_sign = p.has_sign;
    if (reader == MATH_VERIFY && is_word(s))
        ret->name = name_of(s);
    if (reader == MATH_VERIFY && is_alphanumeric(s))
        ret->text = s;
    if (reader != MATH_SYMPY)
        return !p.failed && c == '\0';
    bool percent = str_starts(str_slice(s, p.i, s.n), STR("\\%"));
    return !p.failed && !percent && c != '=' && c != '<' && c != '>';
}

bool math_equal(struct str a, struct str b)
{
    struct math_scalar x, y;
    return math_scalar_read(a, MATH_SYMPY, false, &x) &&
           math_scalar_read(b, MATH_SYMPY, false, &y) && same(x.value, y.value);
}

/* ---- comparing them as math_verify does ---- */

void math_scalar_percent(struct math_scalar *s)
{
    bool decimal_point = s->value.decimal;
    s->value = combined(s->value, from_ratio(100, 1), '/');
    s->value.decimal = decimal_point;
    s->percent = true;
}

static long double rounded(struct quantity q)
{
    return nearbyintl(creall(q.at[0]) * 1e6L);
}

bool math_scalar_equal(const struct math_scalar *a, const struct math_scalar *b)
{
    const struct quantity *x = &a->value, *y = &b->value;
    if (same(*x, *y) || (isinf(creall(x->at[0])) && x->at[0] == y->at[0]))
        return true;
    if (a->has_letters || b->has_letters || cimagl(x->at[0]) != 0 || cimagl(y->at[0]) != 0)
        return false;
    if (x->decimal || y->decimal)
        return rounded(*x) == rounded(*y);
    struct quantity hundred = from_ratio(100, 1); /* 9 % is 9 too */
    struct quantity p = a->percent ? combined(*x, hundred, '*') : *x;
    struct quantity q = b->percent ? combined(*y, hundred, '*') : *y;
    return p.exact && q.exact && p.den == 1 && q.den == 1 && p.num == q.num;
}

bool math_scalar_less(const struct math_scalar *a, const struct math_scalar *b)
{
    return creall(a->value.at[0]) < creall(b->value.at[0]);
}

double math_scalar_ratio(const struct math_scalar sides[4])
{
    number ratio[N_POINTS];
    for (int k = 0; k < N_POINTS; k++) {
        number left = sides[0].value.at[k] - sides[1].value.at[k];
        ratio[k] = left / (sides[2].value.at[k] - sides[3].value.at[k]);
        if (!(cabsl(ratio[k]) > 1e-15L && cabsl(ratio[k]) < 1e15L) ||
            cabsl(ratio[k] - ratio[0]) > 1e-14L * cabsl(ratio[0]) ||
            fabsl(cimagl(ratio[k])) > 1e-14L * cabsl(ratio[0]))
            return 0;
    }
    return (double)creall(ratio[0]);
}
