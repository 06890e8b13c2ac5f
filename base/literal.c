/* Python's ast.literal_eval, for metadata and answers that are written as Python literals. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "base/value.h"

enum { MAX_DEPTH = 200 }; /* CPython's own limit for brackets */

struct parser {
    struct arena *a;
    struct str s;
    size_t i;
    int depth;
    struct error *err;
};

static int fail(struct parser *p, const char *what)
{
    return error_set(p->err, E_INPUT, "no Python literal: %s at byte %zu of \"%.*s\"", what, p->i,
                     (int)(p->s.n > 100 ? 100 : p->s.n), p->s.p);
}

static char peek(const struct parser *p, size_t ahead)
{
    return p->i + ahead < p->s.n ? p->s.p[p->i + ahead] : '\0';
}

/* Blanks and comments; lines may end inside brackets only, or behind everything. */
static void skip_space(struct parser *p)
{
    while (p->i < p->s.n) {
        char c = p->s.p[p->i];
        if (c == '#')
            while (p->i + 1 < p->s.n && p->s.p[p->i + 1] != '\n')
                p->i++;
        else if (c != ' ' && c != '\t' && c != '\f' && (p->depth == 0 || (c != '\n' && c != '\r')))
            return;
        p->i++;
    }
}

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* \xNN, \uNNNN, \UNNNNNNNN: p->i stands on the first digit. */
static int read_hex(struct parser *p, size_t digits, struct buf *out)
{
    uint32_t cp = 0;
    for (size_t k = 0; k < digits; k++) {
        if (!isxdigit((unsigned char)peek(p, k)))
            return fail(p, "a truncated \\x, \\u or \\U escape");
        cp = cp << 4 | (uint32_t)hex_value(peek(p, k));
    }
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return fail(p, "an escape that is no character");
    char bytes[4];
    buf_add(out, bytes, (size_t)utf8_put((int32_t)cp, bytes));
    p->i += digits;
    return 0;
}

static void read_octal(struct parser *p, struct buf *out)
{
    int32_t cp = 0;
    for (int k = 0; k < 3 && peek(p, 0) >= '0' && peek(p, 0) <= '7'; k++, p->i++)
        cp = cp * 8 + (peek(p, 0) - '0');
    char bytes[4];
    buf_add(out, bytes, (size_t)utf8_put(cp, bytes));
}

/* Behind a backslash. */
static int read_escape(struct parser *p, struct buf *out)
{
    static const char letters[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    char c = peek(p, 0);
    if (c >= '0' && c <= '7') {
        read_octal(p, out);
        return 0;
    }
    p->i++;
    switch (c) {
    case '\n':
        return 0;
    case 'x':
        return read_hex(p, 2, out);
    case 'u':
        return read_hex(p, 4, out);
    case 'U':
        return read_hex(p, 8, out);
    case 'N':
        return fail(p, "a \\N{...} escape, which is not read here,");
    default:
        break;
    }
    for (const char *l = letters; *l; l += 2)
        if (*l == c) {
            buf_char(out, l[1]);
            return 0;
        }
    buf_char(out, '\\'); /* an unknown escape stands for itself */
    buf_char(out, c);
    return 0;
}

/* One quoted string; p->i stands on its quote. */
static int read_quoted(struct parser *p, bool raw, struct buf *out)
{
    char quote = peek(p, 0);
    size_t n_quotes = peek(p, 1) == quote && peek(p, 2) == quote ? 3 : 1;
    p->i += n_quotes;
    while (p->i < p->s.n) {
        char c = p->s.p[p->i];
        if (c == quote && (n_quotes == 1 || (peek(p, 1) == quote && peek(p, 2) == quote))) {
            p->i += n_quotes;
            return 0;
        }
        if (c == '\n' && n_quotes == 1)
            break;
        p->i++;
        if (c != '\\') {
            buf_char(out, c);
        } else if (p->i >= p->s.n) {
            break;
        } else if (raw) {
            buf_char(out, c);
            buf_char(out, p->s.p[p->i++]);
        } else {
            int r = read_escape(p, out);
            if (r < 0)
                return r;
        }
    }
    return fail(p, "an unterminated string");
}

/* Length of a string's prefix when one starts here (u, r, or none), or -1. */
static int string_prefix(const struct parser *p)
{
    size_t n = peek(p, 0) && strchr("uUrR", peek(p, 0)) ? 1 : 0;
    return peek(p, n) == '\'' || peek(p, n) == '"' ? (int)n : -1;
}

/* Strings that stand side by side are one. */
static int read_string(struct parser *p, struct value **ret)
{
    struct buf b = {0};
    int r = 0;
    for (int n; r == 0 && (n = string_prefix(p)) >= 0; skip_space(p)) {
        bool raw = n && (peek(p, 0) | 32) == 'r';
        p->i += (size_t)n;
        r = read_quoted(p, raw, &b);
    }
    if (r == 0)
        *ret = value_str(p->a, str_copy(p->a, buf_view(&b)));
    buf_free(&b);
    return r;
}

/* Digits of `set` with single underscores between them, added to `out`. */
static bool read_digits(struct parser *p, const char *set, struct buf *out)
{
    size_t n = out->n;
    while (peek(p, 0) && (strchr(set, peek(p, 0)) || (peek(p, 0) == '_' && out->n > n))) {
        if (peek(p, 0) == '_' && (!peek(p, 1) || !strchr(set, peek(p, 1))))
            return false;
        if (peek(p, 0) != '_')
            buf_char(out, peek(p, 0));
        p->i++;
    }
    return out->n > n;
}

static struct value *int_of(struct arena *a, const char *digits, int base)
{
    errno = 0;
    long long i = strtoll(digits, NULL, base);
    if (errno == 0)
        return value_int(a, i);
    double f = 0; /* beyond 64 bits: a float, as in JSON */
    if (base == 10)
        return value_float(a, strtod(digits, NULL));
    for (const char *p = digits + (*digits == '-'); *p; p++)
        f = f * base + hex_value(*p);
    return value_float(a, *digits == '-' ? -f : f);
}

static int read_based(struct parser *p, int base, const char *set, struct buf *b,
                      struct value **ret)
{
    p->i += 2;
    if (peek(p, 0) == '_')
        p->i++;
    if (!read_digits(p, set, b))
        return fail(p, "a number without digits");
    *ret = int_of(p->a, b->p, base);
    return 0;
}

static int read_decimal(struct parser *p, struct buf *b, struct value **ret)
{
    static const char digits[] = "0123456789";
    size_t start = b->n;
    bool real = false, any = read_digits(p, digits, b);
    bool zeros = any && b->n - start > 1 && b->p[start] == '0';
    if (peek(p, 0) == '.') {
        real = true;
        buf_char(b, '.');
        p->i++;
        any = (isdigit((unsigned char)peek(p, 0)) ? read_digits(p, digits, b) : any);
    }
    if (any && (peek(p, 0) | 32) == 'e') {
        real = true;
        buf_char(b, 'e');
        p->i++;
        if (peek(p, 0) == '+' || peek(p, 0) == '-') {
            buf_char(b, peek(p, 0));
            p->i++;
        }
        any = read_digits(p, digits, b);
    }
    if (!any)
        return fail(p, "a number without digits");
    if (zeros && !real && strspn(b->p + start, "0") < b->n - start)
        return fail(p, "a number with zeros in front");
    *ret = real ? value_float(p->a, strtod(b->p, NULL)) : int_of(p->a, b->p, 10);
    return 0;
}

static int read_number(struct parser *p, struct value **ret)
{
    static const struct {
        char letter;
        int base;
        const char *set;
    } forms[] = {{'x', 16, "0123456789abcdefABCDEF"}, {'o', 8, "01234567"}, {'b', 2, "01"}};
    struct buf b = {0};
    if (peek(p, 0) == '-')
        buf_char(&b, '-');
    if (peek(p, 0) == '-' || peek(p, 0) == '+') {
        p->i++;
        skip_space(p);
    }
    int r = 1;
    for (size_t k = 0; r > 0 && k < sizeof forms / sizeof *forms; k++)
        if (peek(p, 0) == '0' && (peek(p, 1) | 32) == forms[k].letter)
            r = read_based(p, forms[k].base, forms[k].set, &b, ret);
    if (r > 0)
        r = read_decimal(p, &b, ret);
    buf_free(&b);
    if (r == 0 && (isalnum((unsigned char)peek(p, 0)) || peek(p, 0) == '_'))
        return fail(p, "a number that runs into a word");
    return r;
}

static int read_value(struct parser *p, struct value **ret);

/* Items up to the bracket `close`, each followed by a comma or the end; *commas counts them. */
static int read_items(struct parser *p, char close, struct value *list, size_t *commas)
{
    for (;;) {
        skip_space(p);
        if (peek(p, 0) == close)
            break;
        struct value *item;
        int r = read_value(p, &item);
        if (r < 0)
            return r;
        list_push(p->a, list, item);
        skip_space(p);
        if (peek(p, 0) == close)
            break;
        if (peek(p, 0) != ',')
            return fail(p, "a comma or a closing bracket is missing");
        ++*commas;
        p->i++;
    }
    p->i++;
    return 0;
}

static int read_sequence(struct parser *p, struct value **ret)
{
    bool round = peek(p, 0) == '(';
    struct value *list = value_list(p->a);
    size_t commas = 0;
    p->i++;
    int r = read_items(p, round ? ')' : ']', list, &commas);
    if (r < 0)
        return r;
    list->tuple = round;
    *ret = round && list->list.n == 1 && commas == 0 ? list->list.items[0] : list;
    return 0;
}

static bool hashable(const struct value *v)
{
    if (v->type == VALUE_DICT || (v->type == VALUE_LIST && !v->tuple))
        return false;
    for (size_t i = 0; v->type == VALUE_LIST && i < v->list.n; i++)
        if (!hashable(v->list.items[i]))
            return false;
    return true;
}

static int read_pair(struct parser *p, struct value *dict)
{
    struct value *key, *item;
    int r = read_value(p, &key);
    if (r < 0)
        return r;
    if (!hashable(key))
        return fail(p, "a list or a dict as a dict's key");
    skip_space(p);
    if (peek(p, 0) != ':')
        return fail(p, "a colon is missing (sets are not read)");
    p->i++;
    if ((r = read_value(p, &item)) < 0)
        return r;
    dict_put(p->a, dict, key, item);
    return 0;
}

static int read_dict(struct parser *p, struct value **ret)
{
    struct value *dict = value_dict(p->a);
    p->i++;
    for (;;) {
        skip_space(p);
        if (peek(p, 0) == '}')
            break;
        int r = read_pair(p, dict);
        if (r < 0)
            return r;
        skip_space(p);
        if (peek(p, 0) == '}')
            break;
        if (peek(p, 0) != ',')
            return fail(p, "a comma or a closing brace is missing");
        p->i++;
    }
    p->i++;
    *ret = dict;
    return 0;
}

static int read_word(struct parser *p, struct value **ret)
{
    size_t n = 0;
    while (isalnum((unsigned char)peek(p, n)) || peek(p, n) == '_')
        n++;
    struct str word = str_slice(p->s, p->i, p->i + n);
    if (str_eqz(word, "None"))
        *ret = value_none(p->a);
    else if (str_eqz(word, "True") || str_eqz(word, "False"))
        *ret = value_bool(p->a, word.p[0] == 'T');
    else
        return fail(p, n ? "a name that is no literal" : "a value is missing");
    p->i += n;
    return 0;
}

static int read_value(struct parser *p, struct value **ret)
{
    skip_space(p);
    char c = peek(p, 0);
    if (string_prefix(p) >= 0)
        return read_string(p, ret);
    if (isdigit((unsigned char)c) || (c && strchr("+-.", c)))
        return read_number(p, ret);
    if (!c || !strchr("([{", c))
        return read_word(p, ret);
    if (p->depth >= MAX_DEPTH)
        return fail(p, "too many nested brackets");
    p->depth++;
    int r = c == '{' ? read_dict(p, ret) : read_sequence(p, ret);
    p->depth--;
    return r;
}

/* At the top, "1, 2" is a tuple without brackets. */
static int read_top(struct parser *p, struct value **ret)
{
    int r = read_value(p, ret);
    if (r < 0)
        return r;
    skip_space(p);
    if (peek(p, 0) != ',')
        return 0;
    struct value *tuple = value_list(p->a);
    tuple->tuple = true;
    list_push(p->a, tuple, *ret);
    while (peek(p, 0) == ',') {
        struct value *item;
        p->i++;
        skip_space(p);
        if (p->i >= p->s.n || peek(p, 0) == '\n')
            break;
        if ((r = read_value(p, &item)) < 0)
            return r;
        list_push(p->a, tuple, item);
        skip_space(p);
    }
    *ret = tuple;
    return 0;
}

/* Empty lines, comments among them, may stand before and behind the value. */
static void skip_lines(struct parser *p)
{
    skip_space(p);
    while (peek(p, 0) == '\n' || peek(p, 0) == '\r') {
        p->i++;
        skip_space(p);
    }
}

int literal_eval(struct arena *a, struct str s, struct value **ret, struct error *err)
{
    struct parser p = {.a = a, .s = s, .err = err};
    struct value *v;
    skip_lines(&p);
    int r = read_top(&p, &v);
    if (r < 0)
        return r;
    skip_lines(&p);
    if (p.i < s.n)
        return fail(&p, "more text behind the value");
    *ret = v;
    return 0;
}
