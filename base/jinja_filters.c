/* jinja_filters.c: the filters over texts and numbers. Their words come from Jinja's, the results
 * from Python's str, int, float, round and json. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jinja_internal.h"
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
        return text(r, str_printf(r->a, "%.0f Bytes", trunc(f) + 0.0));
    int i = 0;
    for (unit = base * base; i < 7 && f >= unit; i++)
        unit *= base;
    return text(r, str_printf(r->a, "%.1f %s", base * f / unit, prefixes[binary][i]));
}

/* -- texts -- */

/* The one value of most filters here: str(self), charged for what a copy of it takes. */
bool jinja_subject(struct render *r, const struct value *self, struct str *ret)
{
    return jinja_text(r, self, ret) && render_charge(r, ret->n);
}

static struct value *filter_capitalize(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    return jinja_subject(r, self, &s) ? text(r, utf8_capitalize(r->a, s)) : NULL;
}

static struct value *filter_lower(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    return jinja_subject(r, self, &s) ? text(r, utf8_lower(r->a, s)) : NULL;
}

static struct value *filter_upper(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    return jinja_subject(r, self, &s) ? text(r, utf8_upper(r->a, s)) : NULL;
}

/* Unlike str.title(), a word begins only behind a blank, a dash or an opening bracket. */
static struct value *filter_title(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    if (!jinja_subject(r, self, &s) || !render_charge(r, 8 * s.n))
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
    if (!jinja_subject(r, self, &s) || !jinja_int_arg(r, c->args[0], 80, &width))
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
    if (!jinja_subject(r, self, &s) || !render_charge(r, 5 * s.n))
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
    return jinja_subject(r, self, &s) ? jinja_markup(r, s) : NULL;
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
    if (!jinja_subject(r, self, &s))
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
    if (!jinja_subject(r, self, &s) || !jinja_text(r, c->args[0], &old) ||
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
    if (!jinja_subject(r, self, &s))
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
            if (!render_charge(r, 64 + piece.n / SCAN_BYTES))
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
    {"striptags", jinja_filter_striptags, "", 0, 0},
    {"title", filter_title, "", 0, 0},
    {"tojson", jinja_filter_tojson_task, "indent", 0, IN_TASK},
    {"tojson", jinja_filter_tojson_chat, "ensure_ascii indent separators sort_keys", 0, IN_CHAT},
    {"trim", filter_trim, "chars", 0, 0},
    {"truncate", filter_truncate, "length killwords end leeway", 0, 0},
    {"upper", filter_upper, "", 0, 0},
    {"urlencode", jinja_filter_urlencode, "", 0, 0},
    {"wordcount", filter_wordcount, "", 0, 0},
    {"wordwrap", filter_wordwrap, "width break_long_words wrapstring break_on_hyphens", 0, 0},
};
const size_t jinja_n_text_filters = sizeof jinja_text_filters / sizeof *jinja_text_filters;
