#include "tasks/math_value.h"

#include <ctype.h>
#include <strings.h>

#include "base/utf8.h"

enum { MAX_PARTS = 32, MAX_NESTED = 12, MAX_LENGTH = 2000 };

enum kind { SCALAR, WORD, SET, TUPLE, INTERVAL, UNION, RELATION, MATRIX };
enum relation { EQUAL, UNEQUAL, LESS, AT_MOST, GREATER, AT_LEAST };

struct math_value {
    enum kind kind;
    struct math_scalar scalar;
    struct str word;
    struct math_value **items; /* of a relation its sides, of an interval its ends */
    int n, columns;            /* of a matrix, whose items stand row by row */
    bool open[2];
    enum relation *relations; /* [n - 1] */
};

struct reader {
    struct arena *a;
    enum math_reader reader;
    int depth;
};

static struct math_value *value_of(struct arena *a, enum kind kind, struct math_value **items,
                                   int n)
{
    struct math_value *v = arena_alloc(a, sizeof *v);
    v->kind = kind;
    v->items = arena_array(a, (size_t)n, sizeof *items);
    for (int i = 0; i < n; i++)
        v->items[i] = items[i];
    v->n = n;
    return v;
}

static struct str trim(struct str s)
{
    return utf8_strip(s, STRIP_BOTH, NULL);
}

/* ---- cutting a text at its top level ---- */

static int nesting(struct str s, size_t i)
{
    struct str rest = str_slice(s, i, s.n);
    if (strchr("([{", s.p[i]) || str_starts(rest, STR("\\begin")))
        return 1;
    return strchr(")]}", s.p[i]) || str_starts(rest, STR("\\end{")) ? -1 : 0;
}

/* What a separator looks like: its length at s[i], or 0. */
typedef size_t separator(struct str s, size_t i);

static size_t comma(struct str s, size_t i)
{
    return s.p[i] == ',' || s.p[i] == ';';
}

static size_t command_at(struct str s, size_t i, struct str name)
{
    size_t end = i + name.n;
    return str_starts(str_slice(s, i, s.n), name) &&
                   (end >= s.n || !isalpha((unsigned char)s.p[end]))
               ? name.n
               : 0;
}

static size_t cup(struct str s, size_t i)
{
    return command_at(s, i, STR("\\cup"));
}

static size_t ampersand(struct str s, size_t i)
{
    return s.p[i] == '&';
}

static size_t row_end(struct str s, size_t i)
{
    return str_starts(str_slice(s, i, s.n), STR("\\\\")) ? 2 : 0;
}

/* The parts; their number, 0 where there are too many. */
static int split(struct str s, separator *at, struct str parts[MAX_PARTS])
{
    int depth = 0, n = 0;
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        size_t length;
        depth += nesting(s, i);
        if (depth != 0 || (length = at(s, i)) == 0)
            continue;
        if (n == MAX_PARTS - 1)
            return 0;
        parts[n++] = trim(str_slice(s, from, i));
        from = i + length;
        i = from - 1;
    }
    parts[n++] = trim(str_slice(s, from, s.n));
    return n;
}

/* ---- reading ---- */

static struct math_value *read_list(struct reader *r, struct str s);
static struct math_value *read_relation(struct reader *r, struct str s);

static bool read_all(struct reader *r, const struct str *parts, int n,
                     struct math_value *(*read)(struct reader *r, struct str s),
                     struct math_value *ret[MAX_PARTS])
{
    for (int i = 0; i < n; i++)
        if (!(ret[i] = read(r, parts[i])))
            return false;
    return n > 0;
}

/* The text between two brackets that enclose all of s, with the brackets' lengths. */
static bool enclosed(struct str s, struct str open, struct str close, struct str *ret)
{
    if (s.n < open.n + close.n || !str_starts(s, open) || !str_ends(s, close))
        return false;
    int depth = 0;
    for (size_t i = 0; i < s.n - close.n; i++)
        if ((depth += nesting(s, i)) == 0 && i >= open.n)
            return false;
    *ret = trim(str_slice(s, open.n, s.n - close.n));
    return true;
}

static struct math_value *read_scalar(struct reader *r, struct str s)
{
    struct math_value *both[2];
    for (int minus = 0; minus < 2; minus++) {
        both[minus] = value_of(r->a, SCALAR, NULL, 0);
        if (!math_scalar_read(s, r->reader, minus, &both[minus]->scalar))
            return NULL;
        if (!both[minus]->scalar.has_sign)
            return both[minus];
    }
    return value_of(r->a, SET, both, 2);
}

/* \text{word}, in small letters and without blanks. */
static struct math_value *read_word(struct reader *r, struct str s)
{
    struct str inner;
    if (!enclosed(s, STR("\\text{"), STR("}"), &inner) &&
        !enclosed(s, STR("\\mbox{"), STR("}"), &inner))
        return NULL;
    char *text = arena_alloc(r->a, inner.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < inner.n; i++)
        if (!isspace((unsigned char)inner.p[i]) && !strchr("()", inner.p[i]))
            text[n++] = (char)tolower((unsigned char)inner.p[i]);
    struct math_value *v = value_of(r->a, WORD, NULL, 0);
    v->word = (struct str){text, n};
    return n > 0 ? v : NULL;
}

static struct math_value *read_matrix(struct reader *r, struct str s)
{
    static const char *const names[] = {"pmatrix", "bmatrix", "matrix", "array", "smallmatrix"};
    struct str rows[MAX_PARTS], cells[MAX_PARTS], inner;
    struct math_value *row[MAX_PARTS], *all[MAX_PARTS];
    int n = 0, columns = 0;
    if (enclosed(s, STR("("), STR(")"), &inner) || enclosed(s, STR("["), STR("]"), &inner))
        s = inner;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!enclosed(s, str_printf(r->a, "\\begin{%s}", names[i]),
                      str_printf(r->a, "\\end{%s}", names[i]), &inner))
            continue;
        if (str_starts(inner, STR("{"))) /* the columns of an array */
            inner = str_slice(inner, str_find(inner, STR("}"), 0) + 1, inner.n);
        int n_rows = split(inner, row_end, rows);
        n_rows -= n_rows > 1 && rows[n_rows - 1].n == 0;
        for (int k = 0; k < n_rows; k++) {
            int m = split(rows[k], ampersand, cells);
            if ((columns && m != columns) || n + m > MAX_PARTS ||
                !read_all(r, cells, m, read_scalar, row))
                return NULL;
            columns = m;
            memcpy(all + n, row, (size_t)m * sizeof *row);
            n += m;
        }
        struct math_value *v = value_of(r->a, MATRIX, all, n);
        v->columns = columns;
        return n > 0 ? v : NULL;
    }
    return NULL;
}

/* (a,b), [a,b): an interval where a may be less than b, else a tuple, as more than two are. */
static struct math_value *read_bracketed(struct reader *r, struct str s)
{
    static const struct {
        struct str open, close;
    } pairs[] = {
        {STR("("), STR(")")}, {STR("["), STR("]")}, {STR("("), STR("]")}, {STR("["), STR(")")}};
    struct str parts[MAX_PARTS], inner;
    struct math_value *items[MAX_PARTS];
    for (int i = 0; i < 4; i++) {
        if (!enclosed(s, pairs[i].open, pairs[i].close, &inner))
            continue;
        int n = split(inner, comma, parts);
        if (n < 2 || !read_all(r, parts, n, read_relation, items))
            return NULL;
        const struct math_scalar *x = &items[0]->scalar, *y = &items[1]->scalar;
        bool ends = n == 2 && items[0]->kind == SCALAR && items[1]->kind == SCALAR;
        bool ascending = ends && (x->has_letters || y->has_letters || math_scalar_less(x, y));
        if (!ascending && i > 1)
            return ends ? value_of(r->a, SET, NULL, 0) : NULL;
        struct math_value *v = value_of(r->a, ascending ? INTERVAL : TUPLE, items, n);
        v->open[0] = i == 0 || i == 2;
        v->open[1] = i == 0 || i == 3;
        return v;
    }
    return NULL;
}

static struct math_value *read_set(struct reader *r, struct str s)
{
    struct str parts[MAX_PARTS], inner;
    struct math_value *items[MAX_PARTS];
    if (str_eqz(s, "\\emptyset"))
        return value_of(r->a, SET, NULL, 0);
    if (!enclosed(s, STR("\\{"), STR("\\}"), &inner))
        return NULL;
    if (inner.n == 0)
        return value_of(r->a, SET, NULL, 0);
    int n = split(inner, comma, parts);
    return read_all(r, parts, n, read_relation, items) ? math_value_set(r->a, items, n) : NULL;
}

static struct math_value *read_atom(struct reader *r, struct str s)
{
    struct math_value *v = NULL;
    if (r->reader == MATH_VERIFY) {
        if (str_eqz(s, "\\mathbb{R}"))
            return read_bracketed(r, STR("(-\\infty,\\infty)"));
        if ((v = read_word(r, s)) || (v = read_set(r, s)) || (v = read_bracketed(r, s)) ||
            (v = read_matrix(r, s)))
            return v;
    }
    return read_scalar(r, s);
}

static struct math_value *read_union(struct reader *r, struct str s)
{
    struct str parts[MAX_PARTS];
    struct math_value *items[MAX_PARTS];
    int n = split(s, cup, parts);
    if (n == 1)
        return read_atom(r, parts[0]);
    return read_all(r, parts, n, read_atom, items) ? value_of(r->a, UNION, items, n) : NULL;
}

enum { IN = AT_LEAST + 1, ABOUT };

static const struct {
    struct str sign;
    int relation;
} signs[] = {
    {STR("\\leqslant"), AT_MOST},
    {STR("\\leq"), AT_MOST},
    {STR("\\le"), AT_MOST},
    {STR("\\geqslant"), AT_LEAST},
    {STR("\\geq"), AT_LEAST},
    {STR("\\ge"), AT_LEAST},
    {STR("\\lt"), LESS},
    {STR("\\gt"), GREATER},
    {STR("\\neq"), UNEQUAL},
    {STR("\\ne"), UNEQUAL},
    {STR("\\in"), IN},
    {STR("\\approx"), ABOUT},
    {STR("<="), AT_MOST},
    {STR(">="), AT_LEAST},
    {STR("!="), UNEQUAL},
    {STR("<"), LESS},
    {STR(">"), GREATER},
    {STR("="), EQUAL},
};

static int sign_at(struct str s, size_t i, size_t *length)
{
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++) {
        bool command = signs[k].sign.p[0] == '\\';
        *length = command ? command_at(s, i, signs[k].sign)
                  : str_starts(str_slice(s, i, s.n), signs[k].sign) ? signs[k].sign.n
                                                                    : 0;
        if (*length > 0)
            return signs[k].relation;
    }
    return -1;
}

static size_t sign(struct str s, size_t i)
{
    size_t length;
    sign_at(s, i, &length);
    return length;
}

/* A letter, or letters with nothing else: what an equation may assign to. */
static bool is_name(const struct math_value *v)
{
    return v->kind == WORD || (v->kind == SCALAR && v->scalar.only_letters);
}

/* What stands between the sides; false where it is none that can be kept. */
static bool read_signs(struct str s, struct math_value *const *sides, int n,
                       enum relation *relations, bool *is_about)
{
    int depth = 0, found = 0;
    *is_about = false;
    for (size_t i = 0, length; i < s.n && found < n - 1; i++) {
        depth += nesting(s, i);
        int relation = depth == 0 ? sign_at(s, i, &length) : -1;
        if (relation < 0)
            continue;
        *is_about |= relation == ABOUT;
        if (relation == IN && sides[found + 1]->kind == SCALAR)
            return false;
        relations[found++] = relation >= IN ? EQUAL : (enum relation)relation;
        i += length - 1;
    }
    return found == n - 1;
}

static struct math_value *read_sides(struct reader *r, struct str s)
{
    struct str parts[MAX_PARTS];
    struct math_value *sides[MAX_PARTS];
    enum relation relations[MAX_PARTS];
    bool is_about;
    int n = split(s, sign, parts);
    if (n == 1)
        return read_union(r, parts[0]);
    if (!read_all(r, parts, n, read_union, sides) || !read_signs(s, sides, n, relations, &is_about))
        return NULL;
    if (is_about) /* the exact side, where there is one */
        return n == 2 ? sides[is_name(sides[0])] : NULL;
    struct math_value *v = value_of(r->a, RELATION, sides, n);
    v->relations = arena_array(r->a, (size_t)n, sizeof *relations);
    memcpy(v->relations, relations, (size_t)(n - 1) * sizeof *relations);
    return v;
}

static struct math_value *read_relation(struct reader *r, struct str s)
{
    r->depth++;
    struct math_value *v = r->depth > MAX_NESTED ? NULL : read_sides(r, s);
    r->depth--;
    return v;
}

/* "1,234,567": one number, not three. */
static bool is_grouped(struct str s)
{
    size_t i = s.n && s.p[0] == '-', n = 0, groups = 0;
    for (; i < s.n && s.p[i] != '.'; i++) {
        bool mark = s.p[i] == ',';
        if ((!mark && !isdigit((unsigned char)s.p[i])) || (mark && (n == 0 || n > 3)) ||
            (groups && (mark ? n != 3 : n == 3)))
            return false;
        groups += mark;
        n = mark ? 0 : n + 1;
    }
    for (size_t k = i + 1; k < s.n; k++)
        if (!isdigit((unsigned char)s.p[k]))
            return false;
    return groups && n == 3;
}

/* "x = 1, 2": x is one of them. */
static struct math_value *assigned_list(struct reader *r, struct math_value **items, int n)
{
    const struct math_value *first = items[0];
    if (first->kind != RELATION || first->n != 2 || first->relations[0] != EQUAL ||
        !is_name(first->items[0]))
        return NULL;
    for (int i = 1; i < n; i++)
        if (items[i]->kind == RELATION)
            return NULL;
    struct math_value *all[MAX_PARTS];
    memcpy(all, items, (size_t)n * sizeof *items);
    all[0] = first->items[1];
    struct math_value *sides[] = {first->items[0], math_value_set(r->a, all, n)};
    struct math_value *v = value_of(r->a, RELATION, sides, 2);
    v->relations = first->relations;
    return v;
}

static struct math_value *read_list(struct reader *r, struct str s)
{
    struct str parts[MAX_PARTS];
    struct math_value *items[MAX_PARTS], *v;
    int n = r->reader == MATH_PLAIN || is_grouped(s) ? 1 : split(s, comma, parts);
    if (n == 1)
        return read_relation(r, s);
    if (!read_all(r, parts, n, read_relation, items))
        return NULL;
    return (v = assigned_list(r, items, n)) ? v : math_value_set(r->a, items, n);
}

/* "a = b = c" where it cannot be read as a whole: c. */
static struct str last_side(struct str s)
{
    int n = 0;
    size_t from = 0;
    if (str_find(s, STR(","), 0) != SIZE_MAX || str_find(s, STR(";"), 0) != SIZE_MAX)
        return s;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '=' && !(i > 0 && strchr("\\<!>", s.p[i - 1]))) {
            from = i + 1;
            n++;
        }
    return n > 1 ? str_slice(s, from, s.n) : s;
}

struct math_value *math_value_read(struct arena *a, struct str s, enum math_reader reader)
{
    struct reader r = {.a = a, .reader = reader};
    s = trim(s);
    if (s.n == 0 || s.n > MAX_LENGTH)
        return NULL;
    struct math_value *v = read_list(&r, s);
    struct str last = last_side(s);
    return !v && last.n != s.n ? read_list(&r, trim(last)) : v;
}

void math_value_percent(struct math_value *v)
{
    if (v->kind == SCALAR)
        math_scalar_percent(&v->scalar);
}

/* ---- comparing ---- */

struct comparison {
    struct arena *a;
    int depth;
};

static bool same(struct comparison *c, const struct math_value *gold,
                 const struct math_value *answer);

struct math_value *math_value_set(struct arena *a, struct math_value *const *values, int n)
{
    struct math_value *all[MAX_PARTS];
    struct comparison c = {.a = a};
    int kept = 0;
    for (int i = 0; i < n && i < MAX_PARTS; i++) {
        bool known = false;
        for (int k = 0; k < kept && !known; k++)
            known = values[i]->kind == SCALAR && same(&c, all[k], values[i]);
        if (!known)
            all[kept++] = values[i];
    }
    return value_of(a, SET, all, kept);
}

static bool is_collection(const struct math_value *v)
{
    return v->kind == SET || v->kind == TUPLE || v->kind == INTERVAL || v->kind == UNION;
}

static bool is_equation(const struct math_value *v)
{
    for (int i = 0; v->kind == RELATION && i < v->n - 1; i++)
        if (v->relations[i] != EQUAL)
            return false;
    return v->kind == RELATION;
}

static bool is_assignment(const struct math_value *v)
{
    return is_equation(v) && is_name(v->items[0]);
}

/* "x = a = b" is "x = b". */
static const struct math_value *shortened(struct comparison *c, const struct math_value *v)
{
    if (!is_assignment(v) || v->n == 2)
        return v;
    struct math_value *sides[] = {v->items[0], v->items[v->n - 1]};
    struct math_value *s = value_of(c->a, RELATION, sides, 2);
    s->relations = v->relations;
    return s;
}

static bool same_in_order(struct comparison *c, struct math_value *const *a,
                          struct math_value *const *b, int n)
{
    for (int i = 0; i < n; i++)
        if (!same(c, a[i], b[i]))
            return false;
    return true;
}

static bool same_in_any_order(struct comparison *c, struct math_value *const *a,
                              struct math_value *const *b, int n)
{
    bool used[MAX_PARTS] = {false};
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < n && (used[k] || !same(c, a[i], b[k])))
            k++;
        if (k == n)
            return false;
        used[k] = true;
    }
    return true;
}

/* An open interval between two ends may have been meant as a pair. */
static bool is_pair(const struct math_value *v)
{
    return v->kind == TUPLE || (v->kind == INTERVAL && v->open[0] && v->open[1]);
}

static bool same_collections(struct comparison *c, const struct math_value *gold,
                             const struct math_value *answer)
{
    struct math_value *one[2] = {(struct math_value *)(uintptr_t)gold,
                                 (struct math_value *)(uintptr_t)answer};
    if (!is_collection(gold))
        gold = value_of(c->a, SET, &one[0], 1);
    if (!is_collection(answer))
        answer = value_of(c->a, SET, &one[1], 1);
    if (gold->n != answer->n)
        return false;
    if (gold->kind == INTERVAL && answer->kind == INTERVAL)
        return gold->open[0] == answer->open[0] && gold->open[1] == answer->open[1] &&
               same_in_order(c, gold->items, answer->items, 2);
    if (gold->kind == UNION || answer->kind == UNION)
        return gold->kind == answer->kind &&
               same_in_any_order(c, gold->items, answer->items, gold->n);
    if (is_pair(gold) && (is_pair(answer) || answer->kind == SET))
        return same_in_order(c, gold->items, answer->items, gold->n);
    if (gold->kind == SET && (answer->kind == SET || is_pair(answer)))
        return same_in_any_order(c, gold->items, answer->items, gold->n);
    return false;
}

static enum relation flipped(enum relation r)
{
    static const enum relation other[] = {EQUAL, UNEQUAL, GREATER, AT_LEAST, LESS, AT_MOST};
    return other[r];
}

/* Whether "a r b" and "c s d" say the same: their differences are in one proportion. */
static bool same_relations(struct comparison *c, struct math_value *const *x, enum relation r,
                           struct math_value *const *y, enum relation s)
{
    if (r == s && same(c, x[0], y[0]) && same(c, x[1], y[1]))
        return true;
    struct math_scalar sides[4];
    for (int i = 0; i < 4; i++) {
        const struct math_value *v = i < 2 ? x[i] : y[i - 2];
        if (v->kind != SCALAR)
            return false;
        sides[i] = v->scalar;
    }
    double ratio = math_scalar_ratio(sides);
    return (ratio > 0 && r == s) || (ratio < 0 && flipped(r) == s);
}

static bool same_chains(struct comparison *c, const struct math_value *gold,
                        const struct math_value *answer)
{
    if (gold->n != answer->n)
        return false;
    for (int i = 0; i + 1 < gold->n; i++)
        if (!same_relations(c, gold->items + i, gold->relations[i], answer->items + i,
                            answer->relations[i]))
            return false;
    return true;
}

/* "2 <= x < 5" as the interval that it describes; NULL where it describes none. */
static const struct math_value *as_interval(struct comparison *c, const struct math_value *v)
{
    struct math_value *infinite[2] = {math_value_read(c->a, STR("-\\infty"), MATH_VERIFY),
                                      math_value_read(c->a, STR("\\infty"), MATH_VERIFY)};
    bool less = v->relations[0] == LESS || v->relations[0] == AT_MOST;
    int name = is_name(v->items[0]) ? 0 : 1;
    if (!is_name(v->items[name]) || v->n > 3 || (v->n == 3 && name == 0))
        return NULL;
    for (int i = 0; i < v->n - 1; i++)
        if (v->relations[i] == EQUAL || v->relations[i] == UNEQUAL ||
            less != (v->relations[i] == LESS || v->relations[i] == AT_MOST))
            return NULL;
    struct math_value *lower, *upper;
    if (v->n == 3) {
        lower = v->items[less ? 0 : 2];
        upper = v->items[less ? 2 : 0];
    } else {
        bool below = less == (name == 0); /* x < a, a > x */
        lower = below ? infinite[0] : v->items[1 - name];
        upper = below ? v->items[1 - name] : infinite[1];
    }
    struct math_value *ends[] = {lower, upper}, *interval = value_of(c->a, INTERVAL, ends, 2);
    bool strict[2];
    for (int i = 0; i < 2; i++) {
        enum relation r = v->relations[v->n == 3 && (i == 1) == less ? 1 : 0];
        strict[i] = r == LESS || r == GREATER || ends[i] == infinite[i];
    }
    interval->open[0] = strict[0];
    interval->open[1] = strict[1];
    return interval;
}

static struct str name_of(const struct math_value *v)
{
    return v->kind == WORD ? v->word : v->kind == SCALAR ? v->scalar.name : STR("");
}

/* What is held against a name: "even" is a product of letters, "12" a number. */
static struct str text_of(const struct math_value *v)
{
    return v->kind == SCALAR && v->scalar.name.n == 0 ? v->scalar.text : name_of(v);
}

static bool same_names(struct str a, struct str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

static bool same_kinds(struct comparison *c, const struct math_value *gold,
                       const struct math_value *answer)
{
    if (gold->kind == RELATION && answer->kind == RELATION)
        return same_chains(c, gold, answer);
    if (gold->kind == RELATION || answer->kind == RELATION)
        return false;
    if (is_collection(gold) || is_collection(answer))
        return same_collections(c, gold, answer);
    if (name_of(gold).n > 0 || name_of(answer).n > 0)
        return same_names(text_of(gold), text_of(answer));
    if (gold->kind == SCALAR && answer->kind == SCALAR)
        return math_scalar_equal(&gold->scalar, &answer->scalar);
    return gold->kind == MATRIX && answer->kind == MATRIX && gold->n == answer->n &&
           gold->columns == answer->columns &&
           same_in_order(c, gold->items, answer->items, gold->n);
}

static bool same(struct comparison *c, const struct math_value *gold,
                 const struct math_value *answer)
{
    if (c->depth >= MAX_NESTED)
        return false;
    c->depth++;
    gold = shortened(c, gold);
    answer = shortened(c, answer);
    const struct math_value *interval;
    if (is_equation(answer) && !is_equation(gold))
        answer = answer->items[answer->n - 1];
    else if (is_assignment(gold) && !is_equation(answer))
        gold = gold->items[gold->n - 1];
    if (gold->kind == RELATION && (answer->kind == INTERVAL) && (interval = as_interval(c, gold)))
        gold = interval;
    bool r = same_kinds(c, gold, answer);
    c->depth--;
    return r;
}

bool math_value_same(struct arena *a, const struct math_value *gold,
                     const struct math_value *answer)
{
    struct comparison c = {.a = a};
    return same(&c, gold, answer);
}
