/* Python's str() and repr(). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "base/value.h"

/* One more in the last digit of "d.ddde±x". */
static void step_up(char *text)
{
    char *p = strchr(text, 'e') - 1;
    while (p > text && (*p == '9' || *p == '.')) {
        if (*p == '9')
            *p = '0';
        p--;
    }
    if (*p >= '0' && *p < '9')
        ++*p;
}

/* The fewest digits that read back as f, as "d.ddde±x". For a normal double no decimal of up to
 * 15 digits is lost, so the search starts there and zeros at the end are dropped; a subnormal has
 * fewer digits to give and is searched from 1. The doubles above a power of two lie twice as far
 * apart as those below it: there the nearest 16 digits may read back as another, the next higher 16
 * digits not. */
static void shortest(double f, char text[40])
{
    int from = fabs(f) < 0x1p-1022 ? 1 : 15;
    for (int digits = from; digits <= 17; digits++) {
        snprintf(text, 40, "%.*e", digits - 1, f);
        if (strtod(text, NULL) == f)
            return;
        if (digits == 16) {
            step_up(text);
            if (strtod(text, NULL) == f)
                return;
        }
    }
}

void buf_float(struct buf *b, double f)
{
    if (isnan(f) || isinf(f)) {
        buf_puts(b, isnan(f) ? "nan" : f > 0 ? "inf" : "-inf");
        return;
    }
    char text[40];
    shortest(f, text);
    char *e = strchr(text, 'e');
    int exponent = atoi(e + 1);
    char digits[24];
    int n = 0;
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (text[0] == '-')
        buf_char(b, '-');
    if (exponent < -4 || exponent >= 16) {
        buf_char(b, digits[0]);
        if (n > 1)
            buf_char(b, '.');
        buf_add(b, digits + 1, (size_t)n - 1);
        buf_printf(b, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0)
        buf_puts(b, "0.");
    for (int i = exponent < 0 ? exponent + 1 : 0; i < n || i <= exponent; i++) {
        buf_char(b, i < 0 || i >= n ? '0' : digits[i]);
        if (i == exponent)
            buf_char(b, '.');
    }
    if (exponent >= 0 && n <= exponent + 1)
        buf_char(b, '0');
}

static bool printable(int32_t cp)
{
    switch (utf8proc_category(cp)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return cp == ' ';
    default:
        return true;
    }
}

static void repr_char(struct buf *b, int32_t cp, struct str bytes, char quote)
{
    if (cp == quote || cp == '\\')
        buf_printf(b, "\\%c", (char)cp);
    else if (cp == '\n' || cp == '\r' || cp == '\t')
        buf_puts(b, cp == '\n' ? "\\n" : cp == '\r' ? "\\r" : "\\t");
    else if (cp < 0) /* no UTF-8: what Python shows after decode(errors="surrogateescape") */
        buf_printf(b, "\\udc%02x", (unsigned char)bytes.p[0]);
    else if (printable(cp))
        buf_str(b, bytes);
    else
        buf_printf(b, cp <= 0xff ? "\\x%02x" : cp <= 0xffff ? "\\u%04x" : "\\U%08x", (unsigned)cp);
}

static void repr_str(struct buf *b, struct str s)
{
    bool apostrophe = s.n && memchr(s.p, '\'', s.n);
    char quote = apostrophe && !memchr(s.p, '"', s.n) ? '"' : '\'';
    buf_char(b, quote);
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        int32_t cp = utf8_next(s, &i);
        repr_char(b, cp, str_slice(s, start, i), quote);
    }
    buf_char(b, quote);
}

static void repr_at(struct buf *b, const struct value *v, int depth);

static void repr_list(struct buf *b, const struct value *v, int depth)
{
    buf_char(b, v->tuple ? '(' : '[');
    for (size_t i = 0; i < v->list.n; i++) {
        if (i)
            buf_puts(b, ", ");
        repr_at(b, v->list.items[i], depth);
    }
    if (v->tuple && v->list.n == 1)
        buf_char(b, ',');
    buf_char(b, v->tuple ? ')' : ']');
}

static void repr_dict(struct buf *b, const struct value *v, int depth)
{
    buf_char(b, '{');
    for (size_t i = 0; i < v->dict.n; i++) {
        if (i)
            buf_puts(b, ", ");
        repr_at(b, v->dict.entries[i].key, depth);
        buf_puts(b, ": ");
        repr_at(b, v->dict.entries[i].value, depth);
    }
    buf_char(b, '}');
}

static void repr_at(struct buf *b, const struct value *v, int depth)
{
    if (depth >= VALUE_MAX_DEPTH) {
        buf_puts(b, "...");
        return;
    }
    switch (v->type) {
    case VALUE_UNDEFINED:
        buf_puts(b, "Undefined");
        break;
    case VALUE_NONE:
        buf_puts(b, "None");
        break;
    case VALUE_BOOL:
        buf_puts(b, v->b ? "True" : "False");
        break;
    case VALUE_INT:
        buf_printf(b, "%" PRId64, v->i);
        break;
    case VALUE_FLOAT:
        buf_float(b, v->f);
        break;
    case VALUE_STR:
        repr_str(b, v->s);
        break;
    case VALUE_LIST:
        repr_list(b, v, depth + 1);
        break;
    case VALUE_DICT:
        repr_dict(b, v, depth + 1);
        break;
    case VALUE_OTHER:
        buf_puts(b, "<object>");
        break;
    }
}

void buf_repr(struct buf *b, const struct value *v)
{
    repr_at(b, v, 0);
}

struct str value_repr(struct arena *a, const struct value *v)
{
    struct buf b = {0};
    buf_repr(&b, v);
    return buf_take(&b, a);
}

struct str value_tostr(struct arena *a, const struct value *v)
{
    if (v->type == VALUE_STR)
        return v->s;
    if (v->type == VALUE_UNDEFINED)
        return STR("");
    return value_repr(a, v);
}
