/* jinja_format.c: Python's two ways to format a string, "%-5s" % x and "{:<5}".format(x). */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jinja_internal.h"
#include "base/utf8.h"

enum { MAX_PRECISION = 500, MAX_WIDTH = 1 << 20 };

/* What stands between % and its letter, or behind the colon of a {} field. */
struct spec {
    struct str fill;
    char align; /* '<', '>', '^', '=', or 0 */
    char sign;  /* '+', ' ', or 0 */
    char group; /* ',' or '_' between thousands, or 0 */
    bool alternate;
    int64_t width, precision; /* precision -1: none */
    char letter;              /* 0: none */
    size_t at;                /* of the letter, for errors */
};

static bool add_padded(struct render *r, struct buf *b, struct str sign, struct str body,
                       const struct spec *s)
{
    struct str whole = str_cat(r->a, sign, body);
    int side = s->align == '<' ? PAD_RIGHT : s->align == '^' ? PAD_BOTH : PAD_LEFT;
    if (s->width > MAX_WIDTH) {
        render_fail(r, "ValueError", "a width of more than %d characters", MAX_WIDTH);
        return false;
    }
    struct str text;
    if (s->align == '=') {
        struct value *v = jinja_pad(r, body, s->width - (int64_t)sign.n, s->fill, PAD_LEFT);
        if (!v)
            return false;
        text = str_cat(r->a, sign, v->s);
    } else if (side == PAD_BOTH) { /* format() puts the odd blank to the right, unlike center() */
        int64_t n = (int64_t)utf8_len(whole), left = s->width > n ? (s->width - n) / 2 : 0;
        struct value *v = jinja_pad(r, whole, n + left, s->fill, PAD_LEFT);
        v = v ? jinja_pad(r, v->s, s->width, s->fill, PAD_RIGHT) : NULL;
        if (!v)
            return false;
        text = v->s;
    } else {
        struct value *v = jinja_pad(r, whole, s->width, s->fill, side);
        if (!v)
            return false;
        text = v->s;
    }
    buf_str(b, text);
    return true;
}

/* Separators between thousands in the whole part of a number's digits. */
static struct str grouped(struct render *r, struct str digits, const struct spec *s)
{
    size_t whole = 0, every = s->letter && strchr("xXob", s->letter) ? 4 : 3;
    while (whole < digits.n && isalnum((unsigned char)digits.p[whole]) && digits.p[whole] != 'e')
        whole++;
    if (!s->group)
        return digits;
    struct buf b = {0};
    for (size_t i = 0; i < whole; i++) {
        if (i && (whole - i) % every == 0)
            buf_char(&b, s->group);
        buf_char(&b, digits.p[i]);
    }
    buf_str(&b, str_slice(digits, whole, digits.n));
    return buf_take(&b, r->a);
}

static struct str sign_of(bool negative, const struct spec *s)
{
    return negative ? STR("-") : s->sign == '+' ? STR("+") : s->sign == ' ' ? STR(" ") : STR("");
}

static bool add_integer(struct render *r, struct buf *b, int64_t i, const struct spec *s)
{
    uint64_t u = i < 0 ? (uint64_t)0 - (uint64_t)i : (uint64_t)i;
    unsigned base = s->letter == 'x' || s->letter == 'X' ? 16
                    : s->letter == 'o'                   ? 8
                    : s->letter == 'b'                   ? 2
                                                         : 10;
    char digits[70], *p = digits + sizeof digits;
    do {
        *--p = "0123456789abcdef"[u % base];
        if (s->letter == 'X')
            *p = (char)toupper((unsigned char)*p);
    } while (u /= base);
    struct str text = {p, (size_t)(digits + sizeof digits - p)};
    struct value *padded = jinja_pad(r, text, s->precision, STR("0"), PAD_LEFT);
    if (!padded)
        return false;
    struct str sign = sign_of(i < 0, s);
    if (s->alternate && base != 10)
        sign = str_printf(r->a, "%.*s0%c", STR_ARG(sign), s->letter);
    return add_padded(r, b, sign, grouped(r, padded->s, s), s);
}

static bool add_float(struct render *r, struct buf *b, double f, const struct spec *s)
{
    char letter = s->letter;
    int64_t precision = s->precision < 0 ? 6 : s->precision;
    if (precision > MAX_PRECISION) {
        render_fail(r, "ValueError", "a precision of more than %d digits", MAX_PRECISION);
        return false;
    }
    bool percent = letter == '%';
    if (percent) {
        f *= 100;
        letter = 'f';
    }
    struct buf digits = {0};
    double size = fabs(f);
    if (isnan(f))
        buf_puts(&digits, "nan");
    else if (isinf(f))
        buf_puts(&digits, "inf");
    else if (!letter && s->precision < 0)
        buf_float(&digits, size);
    else {
        char format[8] = {'%', '.', '*', letter ? letter : 'g', 0};
        if (s->alternate)
            memcpy(format, (char[]){'%', '#', '.', '*', letter ? letter : 'g', 0}, 6);
        _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"")
            buf_printf(&digits, format, (int)precision, size);
        _Pragma("GCC diagnostic pop")
    }
    if (percent)
        buf_char(&digits, '%');
    bool negative = signbit(f) && !isnan(f);
    return add_padded(r, b, sign_of(negative, s), grouped(r, buf_take(&digits, r->a), s), s);
}

static bool add_text(struct render *r, struct buf *b, struct str text, const struct spec *s)
{
    if (s->precision >= 0)
        text = str_slice(text, 0, utf8_offset(text, (size_t)s->precision));
    return add_padded(r, b, STR(""), text, s);
}

/* -- % -- */

struct percent {
    struct str f;
    size_t at;
    const struct value *args;
    size_t used;
};

static const struct value *percent_arg(struct render *r, struct percent *p)
{
    bool tuple = p->args->type == VALUE_LIST && p->args->tuple;
    size_t n = tuple ? p->args->list.n : 1;
    if (p->used >= n) {
        render_fail(r, "TypeError", "not enough arguments for format string");
        return NULL;
    }
    const struct value *v = tuple ? p->args->list.items[p->used] : p->args;
    p->used++;
    return v;
}

/* "(name)" of "%(name)s": its value among the dict of arguments. */
static const struct value *percent_key(struct render *r, struct percent *p)
{
    size_t end = str_find(p->f, STR(")"), p->at);
    if (end == SIZE_MAX) {
        render_fail(r, "ValueError", "incomplete format key");
        return NULL;
    }
    struct str key = str_slice(p->f, p->at + 1, end);
    p->at = end + 1;
    if (p->args->type != VALUE_DICT) {
        render_fail(r, "TypeError", "format requires a mapping");
        return NULL;
    }
    const struct value *v = dict_gets(p->args, key);
    if (!v)
        render_fail(r, "KeyError", "'%.*s'", STR_ARG(key));
    p->used = 1;
    return v;
}

static bool percent_number(struct render *r, struct percent *p, int64_t *ret)
{
    if (p->at < p->f.n && p->f.p[p->at] == '*') {
        p->at++;
        const struct value *v = percent_arg(r, p);
        if (v && v->type != VALUE_INT)
            render_fail(r, "TypeError", "* wants int");
        if (!v || v->type != VALUE_INT)
            return false;
        *ret = v->i;
        return true;
    }
    *ret = 0;
    while (p->at < p->f.n && isdigit((unsigned char)p->f.p[p->at])) {
        if (*ret < MAX_WIDTH * 2)
            *ret = *ret * 10 + (p->f.p[p->at] - '0');
        p->at++;
    }
    return true;
}

static bool percent_spec(struct render *r, struct percent *p, struct spec *s)
{
    *s = (struct spec){.fill = STR(" "), .align = '>', .precision = -1};
    bool zero = false, left = false;
    for (; p->at < p->f.n && strchr("-+ #0", p->f.p[p->at]) && p->f.p[p->at]; p->at++) {
        char c = p->f.p[p->at];
        left |= c == '-';
        zero |= c == '0';
        s->alternate |= c == '#';
        if (c == '+' || (c == ' ' && !s->sign))
            s->sign = c;
    }
    if (!percent_number(r, p, &s->width))
        return false;
    if (s->width < 0) {
        left = true;
        s->width = s->width == INT64_MIN ? INT64_MAX : -s->width;
    }
    if (p->at < p->f.n && p->f.p[p->at] == '.') {
        p->at++;
        if (!percent_number(r, p, &s->precision))
            return false;
        if (s->precision < 0)
            s->precision = 0;
    }
    while (p->at < p->f.n && strchr("hlL", p->f.p[p->at]) && p->f.p[p->at])
        p->at++;
    if (p->at >= p->f.n) {
        render_fail(r, "ValueError", "incomplete format");
        return false;
    }
    s->at = p->at;
    s->letter = p->f.p[p->at++];
    if (left)
        s->align = '<';
    else if (zero && s->letter && strchr("diuoxXeEfFgG", s->letter)) {
        s->align = '=';
        s->fill = STR("0");
    }
    return true;
}

static bool percent_convert(struct render *r, struct buf *b, const struct value *v,
                            const struct spec *s)
{
    struct spec plain = *s;
    struct str text;
    if (s->letter && strchr("sra", s->letter)) {
        if (s->letter == 's' ? !jinja_text(r, v, &text) : !jinja_guard(r, v))
            return false;
        return add_text(r, b, s->letter == 's' ? text : value_repr(r->a, v), s);
    }
    if (s->letter == 'c' && v->type == VALUE_STR && utf8_len(v->s) == 1)
        return add_text(r, b, v->s, s);
    if (!s->letter || !strchr("diuoxXeEfFgG", s->letter)) {
        render_fail(r, "ValueError", "unsupported format character '%c' (0x%x) at index %zu",
                    isprint((unsigned char)s->letter) ? s->letter : '?',
                    (unsigned)(unsigned char)s->letter, s->at);
        return false;
    }
    bool whole = strchr("diuoxX", s->letter) != NULL;
    if (!jinja_is_number(v) || (whole && v->type == VALUE_FLOAT && strchr("oxX", s->letter))) {
        if (jinja_defined(r, v) && whole)
            render_fail(r, "TypeError", "%%%c format: %s is required, not %s", s->letter,
                        strchr("oxX", s->letter) ? "an integer" : "a real number",
                        value_type_name(v));
        else
            render_fail(r, "TypeError", "must be real number, not %s", value_type_name(v));
        return false;
    }
    if (!whole)
        return add_float(r, b, jinja_double(v), s);
    if (strchr("iu", s->letter))
        plain.letter = 'd';
    double f = jinja_double(v);
    if (v->type == VALUE_FLOAT && !(fabs(f) < 0x1p63)) {
        render_fail(r, "OverflowError", "cannot convert the float to a 64-bit integer");
        return false;
    }
    return add_integer(r, b, v->type == VALUE_FLOAT ? (int64_t)f : jinja_integer(v), &plain);
}

static bool percent_all(struct render *r, struct percent *p, struct buf *b)
{
    while (p->at < p->f.n) {
        size_t next = str_find(p->f, STR("%"), p->at);
        struct str literal = str_slice(p->f, p->at, next);
        if (!render_charge(r, literal.n + 64))
            return false;
        buf_str(b, literal);
        if (next == SIZE_MAX)
            break;
        p->at = next + 1;
        const struct value *v = NULL;
        struct spec s;
        if (p->at < p->f.n && p->f.p[p->at] == '(' && !(v = percent_key(r, p)))
            return false;
        if (!percent_spec(r, p, &s))
            return false;
        if (s.letter == '%')
            buf_char(b, '%');
        else if ((!v && !(v = percent_arg(r, p))) || !percent_convert(r, b, v, &s))
            return false;
    }
    /* What could be a mapping may go unused. */
    bool tuple = p->args->type == VALUE_LIST && p->args->tuple;
    bool mapping = p->args->type == VALUE_DICT || p->args->type == VALUE_LIST ||
                   p->args->type == VALUE_UNDEFINED;
    size_t n = tuple ? p->args->list.n : mapping ? p->used : 1;
    if (p->used < n) {
        render_fail(r, "TypeError", "not all arguments converted during string formatting");
        return false;
    }
    return true;
}

struct value *jinja_percent(struct render *r, struct str format, struct value *args)
{
    struct percent p = {.f = format, .args = args};
    struct buf b = {0};
    if (percent_all(r, &p, &b))
        return jinja_text_value(r, &b);
    buf_free(&b);
    return NULL;
}

/* -- format() -- */

struct fields {
    const struct call *c;
    size_t automatic; /* number of the next {} */
};

static bool take_number(struct str s, size_t *at, int64_t *ret)
{
    size_t from = *at;
    int64_t n = 0;
    while (*at < s.n && isdigit((unsigned char)s.p[*at]) && n <= MAX_WIDTH)
        n = n * 10 + (s.p[(*at)++] - '0');
    if (*at > from)
        *ret = n;
    return *at > from;
}

/* [[fill]align][sign][#][0][width][,][.precision][letter] */
static bool parse_spec(struct render *r, struct str s, struct spec *ret)
{
    *ret = (struct spec){.fill = STR(" "), .precision = -1};
    size_t at = 0, first = 0;
    if (s.n)
        utf8_next(s, &first);
    if (s.n > first && strchr("<>^=", s.p[first])) {
        ret->fill = str_slice(s, 0, first);
        ret->align = s.p[first];
        at = first + 1;
    } else if (s.n && strchr("<>^=", s.p[0])) {
        ret->align = s.p[0];
        at = 1;
    }
    if (at < s.n && s.p[at] && strchr("+- ", s.p[at]))
        ret->sign = s.p[at++];
    if (at < s.n && s.p[at] == '#') {
        ret->alternate = true;
        at++;
    }
    if (at < s.n && s.p[at] == '0') {
        if (!ret->align) {
            ret->align = '=';
            ret->fill = STR("0");
        }
        at++;
    }
    take_number(s, &at, &ret->width);
    if (at < s.n && (s.p[at] == ',' || s.p[at] == '_'))
        ret->group = s.p[at++];
    bool ok = true;
    if (at < s.n && s.p[at] == '.') {
        at++;
        ok = take_number(s, &at, &ret->precision);
    }
    if (at < s.n)
        ret->letter = s.p[at++];
    if (!ok || at < s.n)
        render_fail(r, "ValueError", "Invalid format specifier '%.*s'", STR_ARG(s));
    return ok && at >= s.n;
}

static bool bad_letter(struct render *r, const struct value *v, char letter)
{
    render_fail(r, "ValueError", "Unknown format code '%c' for object of type '%s'",
                isprint((unsigned char)letter) ? letter : '?', value_type_name(v));
    return false;
}

static bool format_value(struct render *r, struct buf *b, const struct value *v, struct str text)
{
    struct spec s;
    if (!jinja_defined(r, v) || !parse_spec(r, text, &s))
        return false;
    char letter = s.letter;
    bool number =
        v->type == VALUE_INT || v->type == VALUE_FLOAT || (v->type == VALUE_BOOL && text.n);
    if (!number) {
        struct str out;
        if (letter && letter != 's')
            return bad_letter(r, v, letter);
        if (text.n && v->type != VALUE_STR) {
            render_fail(r, "TypeError", "unsupported format string passed to %s.__format__",
                        value_type_name(v));
            return false;
        }
        if (!s.align || s.align == '=')
            s.align = '<';
        return jinja_text(r, v, &out) && add_text(r, b, out, &s);
    }
    if (!s.align)
        s.align = '>';
    if (letter && strchr("eEfFgG%", letter))
        return add_float(r, b, jinja_double(v), &s);
    if (v->type == VALUE_FLOAT) {
        if (letter && letter != 'n')
            return bad_letter(r, v, letter);
        s.letter = letter ? 'g' : 0;
        return add_float(r, b, v->f, &s);
    }
    if (letter && !strchr("dxXobn", letter))
        return bad_letter(r, v, letter);
    if (s.precision >= 0) {
        render_fail(r, "ValueError", "Precision not allowed in integer format specifier");
        return false;
    }
    return add_integer(r, b, jinja_integer(v), &s);
}

/* The value that the field's first name, a number or nothing, stands for. */
static struct value *field_base(struct render *r, struct fields *f, struct str name)
{
    int64_t index = 0;
    size_t at = 0;
    if (!name.n)
        index = (int64_t)f->automatic++;
    else if (!take_number(name, &at, &index) || at < name.n) {
        for (size_t i = 0; i < f->c->n_keywords; i++)
            if (str_eq(f->c->keywords[i].name, name))
                return f->c->keywords[i].value;
        return render_fail(r, "KeyError", "'%.*s'", STR_ARG(name));
    }
    if ((uint64_t)index >= f->c->n)
        return render_fail(r, "IndexError",
                           "Replacement index %lld out of range for positional args tuple",
                           (long long)index);
    return f->c->args[index];
}

/* "0.name[key]" */
static struct value *field_value(struct render *r, struct fields *f, struct str field)
{
    size_t end = 0;
    while (end < field.n && field.p[end] != '.' && field.p[end] != '[')
        end++;
    struct value *v = field_base(r, f, str_slice(field, 0, end));
    while (v && end < field.n) {
        bool item = field.p[end] == '[';
        size_t from = ++end;
        while (end < field.n &&
               (item ? field.p[end] != ']' : field.p[end] != '.' && field.p[end] != '['))
            end++;
        struct str name = str_slice(field, from, end);
        end += item;
        int64_t index;
        size_t at = 0;
        if (!item)
            v = jinja_attr(r, v, name);
        else if (take_number(name, &at, &index) && at == name.n)
            v = jinja_item(r, v, value_int(r->a, index));
        else
            v = jinja_item(r, v, value_str(r->a, name));
    }
    return v;
}

static bool format_text(struct render *r, struct fields *f, struct str text, int depth,
                        struct buf *b);

static bool format_field(struct render *r, struct fields *f, struct str field, int depth,
                         struct buf *b)
{
    size_t name_end = 0;
    for (int open = 0; name_end < field.n; name_end++) {
        char c = field.p[name_end];
        open += (c == '[') - (c == ']');
        if (open <= 0 && (c == ':' || c == '!'))
            break;
    }
    struct value *v = field_value(r, f, str_slice(field, 0, name_end));
    if (!v)
        return false;
    struct str rest = str_slice(field, name_end, field.n);
    if (rest.n >= 2 && rest.p[0] == '!') {
        struct str s;
        if (!jinja_text(r, v, &s) || !jinja_guard(r, v))
            return false;
        v = value_str(r->a, rest.p[1] == 's' ? s : value_repr(r->a, v));
        rest = str_slice(rest, 2, rest.n);
    }
    if (rest.n && rest.p[0] == ':')
        rest = str_slice(rest, 1, rest.n);
    struct buf spec = {0};
    bool ok = format_text(r, f, rest, depth + 1, &spec);
    struct str spec_text = buf_take(&spec, r->a);
    return ok && format_value(r, b, v, spec_text);
}

/* The byte of the brace that closes the field at `at`, or SIZE_MAX. */
static size_t field_end(struct str s, size_t at)
{
    for (int open = 1; at < s.n; at++) {
        open += (s.p[at] == '{') - (s.p[at] == '}');
        if (open == 0)
            return at;
    }
    return SIZE_MAX;
}

static bool format_text(struct render *r, struct fields *f, struct str text, int depth,
                        struct buf *b)
{
    if (depth > 2) {
        render_fail(r, "ValueError", "Max string recursion exceeded");
        return false;
    }
    for (size_t at = 0; at < text.n; at++) {
        char c = text.p[at];
        if (!render_charge(r, 1))
            return false;
        if (c != '{' && c != '}') {
            buf_char(b, c);
            continue;
        }
        if (at + 1 < text.n && text.p[at + 1] == c && depth == 0) {
            buf_char(b, c);
            at++;
            continue;
        }
        size_t end = c == '{' ? field_end(text, at + 1) : SIZE_MAX;
        if (end == SIZE_MAX) {
            render_fail(r, "ValueError", "Single '%c' encountered in format string", c);
            return false;
        }
        if (!render_step(r, 2) || !format_field(r, f, str_slice(text, at + 1, end), depth, b))
            return false;
        at = end;
    }
    return true;
}

struct value *jinja_format(struct render *r, struct str format, const struct call *c)
{
    struct fields f = {.c = c};
    struct buf b = {0};
    if (format_text(r, &f, format, 0, &b))
        return jinja_text_value(r, &b);
    buf_free(&b);
    return NULL;
}
