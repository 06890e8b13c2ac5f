/* jinja_filters.c: the filters over texts and numbers. Their words come from Jinja's, the results
 * from Python's str, int, float, round and json. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jinja_internal.h"
#include "base/json.h"
#include "base/regex.h"
#include "base/utf8.h"

static struct value *text(struct render *r, struct str s)
{
    return value_str(r->a, s);
}

/* -- numbers -- */

static struct value *filter_abs(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    if (!jinja_defined(r, self))
        return NULL;
    if (!jinja_is_number(self))
        return render_fail(r, "TypeError", "bad operand type for abs(): '%s'",
                           value_type_name(self));
    if (self->type == VALUE_FLOAT)
        return value_float(r->a, fabs(self->f));
    struct value zero = {.type = VALUE_INT};
    bool negative = jinja_integer(self) < 0;
    return jinja_binary(r, negative ? TOKEN_SUB : TOKEN_ADD, &zero, self);
}

/* The digits of `s` without blanks around and underscores between; NULL when they do not fit. */
static const char *plain_digits(struct str s, char ret[128])
{
    size_t n = 0;
    s = utf8_strip(s, STRIP_BOTH, NULL);
    for (size_t i = 0; i < s.n; i++) {
        bool inner = i > 0 && i + 1 < s.n && isalnum((unsigned char)s.p[i - 1]) &&
                     isalnum((unsigned char)s.p[i + 1]);
        if (s.p[i] == '_' && inner)
            continue;
        if (n + 1 >= 128 || !s.p[i])
            return NULL;
        ret[n++] = s.p[i];
    }
    ret[n] = '\0';
    return n ? ret : NULL;
}

static bool parse_float(struct str s, double *ret)
{
    char digits[128], *end;
    if (!plain_digits(s, digits) || strpbrk(digits, "xXpP("))
        return false;
    *ret = strtod(digits, &end);
    return *end == '\0' && end != digits && !isspace((unsigned char)digits[0]);
}

/* Python's int(s, base): 1 parsed, 0 no integer, -1 more than 64 bits. */
static int parse_int(struct str s, int base, int64_t *ret)
{
    char digits[128];
    const char *p = plain_digits(s, digits);
    if (!p)
        return 0;
    bool negative = *p == '-';
    p += *p == '-' || *p == '+';
    const char *prefix = base == 16 ? "xX" : base == 8 ? "oO" : base == 2 ? "bB" : "";
    if (p[0] == '0' && p[1] && strchr(prefix, p[1]))
        p += 2;
    if (!*p)
        return 0;
    int64_t i = 0;
    bool over = false;
    for (; *p; p++) {
        int d = isdigit((unsigned char)*p)   ? *p - '0'
                : isalpha((unsigned char)*p) ? tolower((unsigned char)*p) - 'a' + 10
                                             : 99;
        if (d >= base)
            return 0;
        over |=
            __builtin_mul_overflow(i, base, &i) || __builtin_add_overflow(i, negative ? -d : d, &i);
    }
    *ret = i;
    return over ? -1 : 1;
}

static struct value *int_of_float(struct render *r, double f, struct value *fallback)
{
    if (isnan(f) || isinf(f))
        return fallback;
    if (!(fabs(f) < 0x1p63))
        return render_fail(r, "OverflowError", "%g does not fit in a 64-bit integer", f);
    return value_int(r->a, (int64_t)f);
}

static struct value *filter_int(struct render *r, struct value *self, const struct call *c)
{
    struct value *fallback = c->args[0] ? c->args[0] : value_int(r->a, 0);
    int64_t base, i;
    double f;
    if (!jinja_defined(r, self) || !jinja_int_arg(r, c->args[1], 10, &base))
        return NULL;
    if (self->type == VALUE_FLOAT)
        return int_of_float(r, self->f, fallback);
    if (jinja_is_number(self))
        return value_int(r->a, jinja_integer(self));
    if (self->type != VALUE_STR)
        return fallback;
    if (base < 2 || base > 36)
        base = 10;
    int parsed = parse_int(self->s, (int)base, &i);
    if (parsed < 0)
        return render_fail(r, "OverflowError", "%.40s... does not fit in a 64-bit integer",
                           (const char *)arena_copy(r->a, self->s.p, self->s.n));
    if (parsed)
        return value_int(r->a, i);
    return parse_float(self->s, &f) ? int_of_float(r, f, fallback) : fallback;
}

static struct value *filter_float(struct render *r, struct value *self, const struct call *c)
{
    double f;
    if (!jinja_defined(r, self))
        return NULL;
    if (jinja_is_number(self))
        return value_float(r->a, jinja_double(self));
    if (self->type == VALUE_STR && parse_float(self->s, &f))
        return value_float(r->a, f);
    return c->args[0] ? c->args[0] : value_float(r->a, 0);
}

/* Python's round(): half to even, decided on the exact decimal value. */
static double round_half_even(double f, int64_t digits)
{
    if (!isfinite(f) || digits > 300)
        return f;
    if (digits < 0) {
        double unit = pow(10, (double)(digits < -308 ? 308 : -digits));
        return digits < -308 ? 0 * f : nearbyint(f / unit) * unit;
    }
    char decimal[700];
    snprintf(decimal, sizeof decimal, "%.*f", (int)digits, f);
    return strtod(decimal, NULL);
}

static struct value *filter_round(struct render *r, struct value *self, const struct call *c)
{
    struct str method = STR("common");
    int64_t digits;
    if (!jinja_int_arg(r, c->args[0], 0, &digits) ||
        (c->args[1] && !jinja_str_arg(r, c->args[1], &method)) || !jinja_defined(r, self))
        return NULL;
    bool down = str_eqz(method, "floor"), common = str_eqz(method, "common");
    if (!down && !common && !str_eqz(method, "ceil"))
        return render_fail(r, "FilterArgumentError", "method must be common, ceil or floor");
    if (!jinja_is_number(self))
        return render_fail(r, "TypeError", "type %s doesn't define __round__ method",
                           value_type_name(self));
    if (common && self->type != VALUE_FLOAT && digits >= 0)
        return value_int(r->a, jinja_integer(self));
    double f = jinja_double(self), unit = pow(10, (double)digits);
    if (common) {
        double rounded = round_half_even(f, digits);
        return self->type == VALUE_FLOAT ? value_float(r->a, rounded)
                                         : int_of_float(r, rounded, self);
    }
    return value_float(r->a, (down ? floor(f * unit) : ceil(f * unit)) / unit);
}

static struct value *filter_filesizeformat(struct render *r, struct value *self,
                                           const struct call *c)
{
    static const char *const prefixes[2][8] = {
        {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"},
        {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"},
    };
    bool binary = false;
    double f = 0;
    if ((c->args[0] && !jinja_truthy(r, c->args[0], &binary)) || !jinja_defined(r, self))
        return NULL;
    if (jinja_is_number(self))
        f = jinja_double(self);
    else if (self->type != VALUE_STR || !parse_float(self->s, &f))
        return render_fail(r, "ValueError", "could not convert %s to float", value_type_name(self));
    double base = binary ? 1024 : 1000, unit = base;
    if (f == 1)
        return text(r, STR("1 Byte"));
    if (!(f >= base))
        return text(r, str_printf(r->a, "%.0f Bytes", trunc(f)));
    int i = 0;
    for (unit = base * base; i < 7 && f >= unit; i++)
        unit *= base;
    return text(r, str_printf(r->a, "%.1f %s", base * f / unit, prefixes[binary][i]));
}

/* -- texts -- */

/* The one value of most filters here: str(self), charged for what a copy of it takes. */
static bool subject(struct render *r, const struct value *self, struct str *ret)
{
    return jinja_text(r, self, ret) && render_charge(r, ret->n);
}

static struct value *filter_capitalize(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    return subject(r, self, &s) ? text(r, utf8_capitalize(r->a, s)) : NULL;
}

static struct value *filter_lower(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    return subject(r, self, &s) ? text(r, utf8_lower(r->a, s)) : NULL;
}

static struct value *filter_upper(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    return subject(r, self, &s) ? text(r, utf8_upper(r->a, s)) : NULL;
}

/* Unlike str.title(), a word begins only behind a blank, a dash or an opening bracket. */
static struct value *filter_title(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    if (!subject(r, self, &s) || !render_charge(r, 8 * s.n))
        return NULL;
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        size_t first = i;
        int32_t cp = utf8_next(s, &i);
        bool separator = utf8_is_space(cp) || (cp > 0 && cp < 128 && strchr("-({[<", cp));
        if (separator) {
            buf_str(&b, str_slice(s, first, i));
            continue;
        }
        buf_str(&b, utf8_upper(r->a, str_slice(s, first, i)));
        size_t rest = i;
        for (size_t next = i; next < s.n; i = next) {
            cp = utf8_next(s, &next);
            if (utf8_is_space(cp) || (cp > 0 && cp < 128 && strchr("-({[<", cp)))
                break;
        }
        buf_str(&b, utf8_lower(r->a, str_slice(s, rest, i)));
    }
    return jinja_text_value(r, &b);
}

static struct value *filter_center(struct render *r, struct value *self, const struct call *c)
{
    struct str s;
    int64_t width;
    if (!subject(r, self, &s) || !jinja_int_arg(r, c->args[0], 80, &width))
        return NULL;
    return jinja_pad(r, s, width, STR(" "), PAD_BOTH);
}

static struct value *filter_default(struct render *r, struct value *self, const struct call *c)
{
    struct value *other = c->args[0] ? c->args[0] : text(r, STR(""));
    bool boolean = false, yes = true;
    if (self->type == VALUE_UNDEFINED)
        return other;
    if ((c->args[1] && !jinja_truthy(r, c->args[1], &boolean)) ||
        (boolean && !jinja_truthy(r, self, &yes)))
        return NULL;
    return yes ? self : other;
}

static struct value *escape(struct render *r, struct value *self, bool again)
{
    struct str s;
    if (!subject(r, self, &s) || !render_charge(r, 5 * s.n))
        return NULL;
    if (jinja_is_markup(self) && !again)
        return self;
    struct buf b = {0};
    jinja_escape(&b, s);
    return jinja_markup(r, buf_take(&b, r->a));
}

static struct value *filter_escape(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return escape(r, self, false);
}

static struct value *filter_forceescape(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return escape(r, self, true);
}

static struct value *filter_safe(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    return subject(r, self, &s) ? jinja_markup(r, s) : NULL;
}

static struct value *filter_string(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    if (self->type == VALUE_STR)
        return self;
    return jinja_text(r, self, &s) ? text(r, s) : NULL;
}

static struct value *filter_format(struct render *r, struct value *self, const struct call *c)
{
    struct str s;
    if (!subject(r, self, &s))
        return NULL;
    if (c->n && c->n_keywords)
        return render_fail(r, "FilterArgumentError",
                           "can't handle positional and keyword arguments at the same time");
    struct value *args = c->n_keywords ? value_dict(r->a) : value_list(r->a);
    args->tuple = !c->n_keywords;
    for (size_t i = 0; i < c->n; i++)
        list_push(r->a, args, c->args[i]);
    for (size_t i = 0; i < c->n_keywords; i++)
        dict_put(r->a, args, text(r, c->keywords[i].name), c->keywords[i].value);
    return jinja_percent(r, s, args);
}

static struct value *filter_indent(struct render *r, struct value *self, const struct call *c)
{
    struct str s, by;
    int64_t width = 4;
    bool first = false, blank = false;
    if (!jinja_str_arg(r, self, &s) || (c->args[1] && !jinja_truthy(r, c->args[1], &first)) ||
        (c->args[2] && !jinja_truthy(r, c->args[2], &blank)))
        return NULL;
    if (c->args[0] && c->args[0]->type == VALUE_STR) {
        by = c->args[0]->s;
    } else {
        struct value *v = jinja_int_arg(r, c->args[0], 4, &width)
                              ? jinja_pad(r, STR(""), width, STR(" "), PAD_LEFT)
                              : NULL;
        if (!v)
            return NULL;
        by = v->s;
    }
    struct value *lines = jinja_split_lines(r, str_cat(r->a, s, STR("\n")), false);
    struct buf b = {0};
    for (size_t i = 0; lines && i < lines->list.n; i++) {
        struct str line = lines->list.items[i]->s;
        if (!render_charge(r, by.n + line.n + 1))
            return buf_free(&b), NULL;
        if (i)
            buf_char(&b, '\n');
        if (i ? line.n || blank : first)
            buf_str(&b, by);
        buf_str(&b, line);
    }
    return lines ? jinja_text_value(r, &b) : NULL;
}

static struct value *filter_replace(struct render *r, struct value *self, const struct call *c)
{
    struct str s, old, by;
    int64_t count;
    if (!subject(r, self, &s) || !jinja_text(r, c->args[0], &old) ||
        !jinja_text(r, c->args[1], &by) || !jinja_int_arg(r, c->args[2], -1, &count))
        return NULL;
    return jinja_replace(r, s, old, by, count < 0 ? -1 : count);
}

static struct value *filter_trim(struct render *r, struct value *self, const struct call *c)
{
    struct str s;
    return jinja_text(r, self, &s) ? jinja_strip(r, s, c->args[0], STRIP_BOTH) : NULL;
}

static struct value *filter_truncate(struct render *r, struct value *self, const struct call *c)
{
    struct str s, end = STR("...");
    int64_t length, leeway;
    bool kill = false;
    if (!jinja_str_arg(r, self, &s) || !jinja_int_arg(r, c->args[0], 255, &length) ||
        (c->args[1] && !jinja_truthy(r, c->args[1], &kill)) ||
        (c->args[2] && !jinja_str_arg(r, c->args[2], &end)) ||
        !jinja_int_arg(r, c->args[3], 5, &leeway) || !render_charge(r, s.n + end.n))
        return NULL;
    int64_t end_length = (int64_t)utf8_len(end);
    if (length < end_length)
        return render_fail(r, "AssertionError", "expected length >= %lld, got %lld",
                           (long long)end_length, (long long)length);
    if (leeway < 0)
        return render_fail(r, "AssertionError", "expected leeway >= 0, got %lld",
                           (long long)leeway);
    int64_t n = (int64_t)utf8_len(s);
    if (n <= length || n - length <= leeway)
        return text(r, s);
    struct str head = str_slice(s, 0, utf8_offset(s, (size_t)(length - end_length)));
    const char *blank = kill || !head.n ? NULL : memrchr(head.p, ' ', head.n);
    if (blank)
        head.n = (size_t)(blank - head.p);
    return text(r, str_cat(r->a, head, end));
}

static struct value *filter_wordcount(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    if (!subject(r, self, &s))
        return NULL;
    int64_t n = 0;
    bool inside = false;
    for (size_t i = 0; i < s.n;) {
        int32_t cp = utf8_next(s, &i);
        bool word = cp == '_' || jinja_is_alnum(cp);
        n += word && !inside;
        inside = word;
    }
    return value_int(r->a, n);
}

/* -- wordwrap, after Python's textwrap -- */

/* The end of the piece at `at` that a line break may not divide: blanks, or a word up to a hyphen
 * between letters. */
static size_t piece_end(struct str s, size_t at, bool hyphens)
{
    size_t i = at;
    bool blank = utf8_is_space(utf8_next(s, &i));
    for (int32_t before = blank ? 0 : 'x', cp; i < s.n; before = cp) {
        size_t next = i;
        cp = utf8_next(s, &next);
        if (utf8_is_space(cp) != blank)
            break;
        i = next;
        size_t after = next;
        if (hyphens && cp == '-' && jinja_is_alpha(before) && i < s.n &&
            jinja_is_alpha(utf8_next(s, &after)))
            break;
    }
    return i;
}

struct wrap {
    size_t width;
    bool break_long, hyphens;
    struct str by;
};

static bool wrap_line(struct render *r, struct str s, const struct wrap *w, struct buf *b)
{
    bool first_line = true;
    for (size_t at = 0; at < s.n;) {
        size_t line = at, end = at, used = 0;
        while (at < s.n) {
            size_t next = piece_end(s, at, w->hyphens);
            struct str piece = str_slice(s, at, next);
            size_t n = utf8_len(piece);
            bool blank = utf8_strip(piece, STRIP_BOTH, NULL).n == 0;
            if (!render_step(r, 1))
                return false;
            if (blank && used == 0 && !first_line) {
                line = at = next; /* no line but the first begins with blanks */
                continue;
            }
            if (used + n > w->width) {
                if (blank)
                    at = next;
                else if (n > w->width && w->break_long) {
                    size_t room = w->width > used ? w->width - used : 1;
                    at += utf8_offset(piece, room);
                    end = at;
                } else if (used == 0) {
                    at = end = next;
                }
                break;
            }
            used += n;
            at = next;
            if (!blank)
                end = at;
        }
        if (end <= line)
            continue;
        if (!render_charge(r, end - line + w->by.n))
            return false;
        if (!first_line)
            buf_str(b, w->by);
        buf_str(b, str_slice(s, line, end));
        first_line = false;
    }
    return true;
}

static struct value *filter_wordwrap(struct render *r, struct value *self, const struct call *c)
{
    struct str s;
    struct wrap w = {.break_long = true, .hyphens = true, .by = STR("\n")};
    int64_t width;
    if (!jinja_str_arg(r, self, &s) || !jinja_int_arg(r, c->args[0], 79, &width) ||
        (c->args[1] && !jinja_truthy(r, c->args[1], &w.break_long)) ||
        (c->args[2] && !jinja_str_arg(r, c->args[2], &w.by)) ||
        (c->args[3] && !jinja_truthy(r, c->args[3], &w.hyphens)))
        return NULL;
    if (width <= 0)
        return render_fail(r, "ValueError", "invalid width %lld (must be > 0)", (long long)width);
    w.width = (size_t)width;
    struct value *lines = jinja_split_lines(r, s, false);
    struct buf b = {0};
    for (size_t i = 0; lines && i < lines->list.n; i++) {
        if (i)
            buf_str(&b, w.by);
        if (!wrap_line(r, lines->list.items[i]->s, &w, &b))
            return buf_free(&b), NULL;
    }
    return lines ? jinja_text_value(r, &b) : NULL;
}

/* -- HTML and URLs -- */

static struct str unescape_html(struct render *r, struct str s)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {{"&lt;", '<'},  {"&gt;", '>'},   {"&quot;", '"'},
                    {"&#34;", '"'}, {"&#39;", '\''}, {"&amp;", '&'}};
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        size_t n = 0;
        for (size_t k = 0; s.p[i] == '&' && k < sizeof entities / sizeof *entities; k++)
            if (str_starts(str_slice(s, i, s.n), str_of(entities[k].name))) {
                n = strlen(entities[k].name);
                buf_char(&b, entities[k].c);
            }
        if (!n)
            buf_char(&b, s.p[i]);
        i += n ? n : 1;
    }
    return buf_take(&b, r->a);
}

/* Cuts out whatever begins with `open` and ends with `close`. */
static struct str without(struct render *r, struct str s, struct str open, struct str close)
{
    struct buf b = {0};
    size_t at = 0;
    for (;;) {
        size_t from = str_find(s, open, at);
        size_t to = from == SIZE_MAX ? SIZE_MAX : str_find(s, close, from + open.n);
        buf_str(&b, str_slice(s, at, to == SIZE_MAX ? s.n : from));
        if (to == SIZE_MAX)
            break;
        at = to + close.n;
    }
    return buf_take(&b, r->a);
}

static struct value *filter_striptags(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    if (!subject(r, self, &s) || !render_charge(r, 4 * s.n))
        return NULL;
    s = without(r, without(r, s, STR("<!--"), STR("-->")), STR("<"), STR(">"));
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        size_t from = i;
        if (!utf8_is_space(utf8_next(s, &i))) {
            buf_str(&b, str_slice(s, from, i));
            continue;
        }
        if (b.n && b.p[b.n - 1] != ' ')
            buf_char(&b, ' ');
    }
    return text(r, unescape_html(r, utf8_strip(buf_take(&b, r->a), STRIP_BOTH, NULL)));
}

static void add_quoted(struct buf *b, struct str s, const char *safe)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 128 && isalnum(c)) || (c && strchr("_.-~", c)) || (c && strchr(safe, c)))
            buf_char(b, (char)c);
        else if (c == ' ' && !*safe)
            buf_char(b, '+');
        else
            buf_printf(b, "%%%02X", c);
    }
}

static struct value *filter_urlencode(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s, key;
    struct buf b = {0};
    if (self->type != VALUE_DICT && self->type != VALUE_LIST) {
        if (!subject(r, self, &s) || !render_charge(r, 2 * s.n))
            return NULL;
        add_quoted(&b, s, "/");
        return jinja_text_value(r, &b);
    }
    struct value *pairs = self->type == VALUE_DICT ? jinja_items(r, self) : self;
    for (size_t i = 0; pairs && i < pairs->list.n; i++) {
        const struct value *pair = pairs->list.items[i];
        bool ok = pair->type == VALUE_LIST && pair->list.n == 2;
        if (!ok)
            render_fail(r, "ValueError", "urlencode needs a text, a dict or pairs");
        if (!ok || !jinja_text(r, pair->list.items[0], &key) ||
            !jinja_text(r, pair->list.items[1], &s) || !render_charge(r, 3 * (key.n + s.n) + 2))
            return buf_free(&b), NULL;
        if (i)
            buf_char(&b, '&');
        add_quoted(&b, key, "");
        buf_char(&b, '=');
        add_quoted(&b, s, "");
    }
    return pairs ? jinja_text_value(r, &b) : NULL;
}

/* -- tojson -- */

struct json_style {
    bool ascii, sorted;
    struct str indent; /* p NULL: on one line */
    struct str comma, colon;
};

static bool write_json(struct render *r, struct buf *b, const struct value *v,
                       const struct json_style *s, int depth);

static void new_line(struct buf *b, const struct json_style *s, int depth)
{
    if (!s->indent.p)
        return;
    buf_char(b, '\n');
    for (int i = 0; i < depth; i++)
        buf_str(b, s->indent);
}

static int by_key(const void *x, const void *y)
{
    return str_cmp(((const struct value_entry *)x)->key->s,
                   ((const struct value_entry *)y)->key->s);
}

/* The dict's entries with their keys as JSON has them, in the order to write. */
static struct value_entry *json_entries(struct render *r, const struct value *v, bool sorted)
{
    struct value_entry *e = arena_array(r->a, v->dict.n, sizeof *e);
    for (size_t i = 0; i < v->dict.n; i++) {
        struct value *key = v->dict.entries[i].key;
        struct buf name = {0};
        if (key->type != VALUE_STR) {
            buf_json(&name, key, -1, false);
            key = jinja_text_value(r, &name);
        }
        e[i] = (struct value_entry){key, v->dict.entries[i].value};
    }
    if (sorted && v->dict.n)
        qsort(e, v->dict.n, sizeof *e, by_key);
    return e;
}

static bool write_dict(struct render *r, struct buf *b, const struct value *v,
                       const struct json_style *s, int depth)
{
    const struct value_entry *e = json_entries(r, v, s->sorted);
    buf_char(b, '{');
    for (size_t i = 0; i < v->dict.n; i++) {
        if (i)
            buf_str(b, s->comma);
        new_line(b, s, depth + 1);
        buf_json_str(b, e[i].key->s, s->ascii);
        buf_str(b, s->colon);
        if (!write_json(r, b, e[i].value, s, depth + 1))
            return false;
    }
    if (v->dict.n)
        new_line(b, s, depth);
    buf_char(b, '}');
    return true;
}

static bool write_list(struct render *r, struct buf *b, const struct value *v,
                       const struct json_style *s, int depth)
{
    buf_char(b, '[');
    for (size_t i = 0; i < v->list.n; i++) {
        if (i)
            buf_str(b, s->comma);
        new_line(b, s, depth + 1);
        if (!write_json(r, b, v->list.items[i], s, depth + 1))
            return false;
    }
    if (v->list.n)
        new_line(b, s, depth);
    buf_char(b, ']');
    return true;
}

static bool write_json(struct render *r, struct buf *b, const struct value *v,
                       const struct json_style *s, int depth)
{
    if (!render_charge(r, 64 + s->indent.n * (size_t)depth + (v->type == VALUE_STR ? v->s.n : 0)))
        return false;
    switch (v->type) {
    case VALUE_DICT:
        return write_dict(r, b, v, s, depth);
    case VALUE_LIST:
        return write_list(r, b, v, s, depth);
    case VALUE_UNDEFINED:
    case VALUE_OTHER:
        render_fail(r, "TypeError", "Object of type %s is not JSON serializable",
                    v->type == VALUE_UNDEFINED ? "Undefined" : value_type_name(v));
        return false;
    default:
        buf_json(b, v, -1, s->ascii);
        return true;
    }
}

/* Jinja's own tojson makes its text safe inside <script>. */
static struct str html_safe(struct render *r, struct str s)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n; i++) {
        if (strchr("<>&'", s.p[i]) && s.p[i])
            buf_printf(&b, "\\u%04x", (unsigned)s.p[i]);
        else
            buf_char(&b, s.p[i]);
    }
    return buf_take(&b, r->a);
}

static bool json_indent(struct render *r, const struct value *v, struct json_style *s)
{
    int64_t n;
    if (!v || v->type == VALUE_NONE)
        return true;
    s->comma = STR(",");
    if (v->type == VALUE_STR) {
        s->indent = (struct str){v->s.n ? v->s.p : "", v->s.n};
        return true;
    }
    struct value *blanks =
        jinja_int_arg(r, v, 0, &n) ? jinja_pad(r, STR(""), n, STR(" "), PAD_LEFT) : NULL;
    if (blanks)
        s->indent = blanks->s;
    return blanks != NULL;
}

static bool json_separators(struct render *r, struct value *v, struct json_style *s)
{
    if (!v || v->type == VALUE_NONE)
        return true;
    if (v->type != VALUE_LIST || v->list.n != 2) {
        render_fail(r, "ValueError", "separators must be a pair of texts");
        return false;
    }
    return jinja_str_arg(r, v->list.items[0], &s->comma) &&
           jinja_str_arg(r, v->list.items[1], &s->colon);
}

static struct value *json_value(struct render *r, struct value *self, const struct json_style *s)
{
    struct buf b = {0};
    if (jinja_guard(r, self) && write_json(r, &b, self, s, 0))
        return jinja_text_value(r, &b);
    buf_free(&b);
    return NULL;
}

static struct value *filter_tojson_task(struct render *r, struct value *self, const struct call *c)
{
    struct json_style s = {.ascii = true, .sorted = true, .comma = STR(", "), .colon = STR(": ")};
    struct value *v = json_indent(r, c->args[0], &s) ? json_value(r, self, &s) : NULL;
    return v && render_charge(r, 2 * v->s.n) ? jinja_markup(r, html_safe(r, v->s)) : NULL;
}

static struct value *filter_tojson_chat(struct render *r, struct value *self, const struct call *c)
{
    struct json_style s = {.comma = STR(", "), .colon = STR(": ")};
    if ((c->args[0] && !jinja_truthy(r, c->args[0], &s.ascii)) || !json_indent(r, c->args[1], &s) ||
        !json_separators(r, c->args[2], &s) ||
        (c->args[3] && !jinja_truthy(r, c->args[3], &s.sorted)))
        return NULL;
    return json_value(r, self, &s);
}

/* -- regex_replace, lm-evaluation-harness' own -- */

static struct value *filter_regex_replace(struct render *r, struct value *self,
                                          const struct call *c)
{
    struct str s, pattern, by, out;
    struct regex *regex = NULL;
    struct error err = {0};
    int64_t count;
    if (!jinja_str_arg(r, self, &s) || !jinja_str_arg(r, c->args[0], &pattern) ||
        !jinja_str_arg(r, c->args[1], &by) || !jinja_int_arg(r, c->args[2], 0, &count))
        return NULL;
    if (count != 0)
        return render_fail(r, "ValueError", "regex_replace is only supported without count");
    if (!render_charge(r, 2 * s.n + pattern.n))
        return NULL;
    if (regex_compile(pattern, 0, "regex_replace", &regex, &err) < 0)
        return render_fail(r, "error", "%s", err.msg);
    int code = regex_sub(regex, r->a, s, by, &out, &err);
    regex_free(regex);
    if (code < 0)
        return render_fail(r, "error", "%s", err.msg);
    return render_charge(r, out.n) ? text(r, out) : NULL;
}

const struct builtin jinja_text_filters[] = {
    {"abs", filter_abs, "", 0, 0},
    {"capitalize", filter_capitalize, "", 0, 0},
    {"center", filter_center, "width", 0, 0},
    {"d", filter_default, "default_value boolean", 0, 0},
    {"default", filter_default, "default_value boolean", 0, 0},
    {"e", filter_escape, "", 0, 0},
    {"escape", filter_escape, "", 0, 0},
    {"filesizeformat", filter_filesizeformat, "binary", 0, 0},
    {"float", filter_float, "default", 0, 0},
    {"forceescape", filter_forceescape, "", 0, 0},
    {"format", filter_format, "*", 0, 0},
    {"indent", filter_indent, "width first blank", 0, 0},
    {"int", filter_int, "default base", 0, 0},
    {"lower", filter_lower, "", 0, 0},
    {"regex_replace", filter_regex_replace, "pattern repl count", 2, IN_TASK},
    {"replace", filter_replace, "old new count", 2, 0},
    {"round", filter_round, "precision method", 0, 0},
    {"safe", filter_safe, "", 0, 0},
    {"string", filter_string, "", 0, 0},
    {"striptags", filter_striptags, "", 0, 0},
    {"title", filter_title, "", 0, 0},
    {"tojson", filter_tojson_task, "indent", 0, IN_TASK},
    {"tojson", filter_tojson_chat, "ensure_ascii indent separators sort_keys", 0, IN_CHAT},
    {"trim", filter_trim, "chars", 0, 0},
    {"truncate", filter_truncate, "length killwords end leeway", 0, 0},
    {"upper", filter_upper, "", 0, 0},
    {"urlencode", filter_urlencode, "", 0, 0},
    {"wordcount", filter_wordcount, "", 0, 0},
    {"wordwrap", filter_wordwrap, "width break_long_words wrapstring break_on_hyphens", 0, 0},
};
const size_t jinja_n_text_filters = sizeof jinja_text_filters / sizeof *jinja_text_filters;
