#include "base/json.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/utf8.h"

/* What Python's json reads and jansson refuses is rewritten before jansson sees it: whole numbers
 * beyond 64 bits get ".0" and become floats; NaN, Infinity and reals beyond double become strings
 * that no document has a reason to hold, and floats again when the tree is converted. */
static const struct {
    const char *word, *text; /* as JSON; the parsed string is "\0" and the word */
    double value;
} constants[] = {
    {"NaN", "\"\\u0000NaN\"", NAN},
    {"Infinity", "\"\\u0000Infinity\"", INFINITY},
    {"-Infinity", "\"\\u0000-Infinity\"", -INFINITY},
};
enum { N_CONSTANTS = sizeof constants / sizeof *constants };

struct scan {
    struct str text;
    size_t copied; /* bytes of the text that are in `out` */
    struct buf out;
};

static void replace(struct scan *s, size_t from, size_t to, const char *text)
{
    buf_add(&s->out, s->text.p + s->copied, from - s->copied);
    buf_puts(&s->out, text);
    s->copied = to;
}

static size_t skip_string(struct str t, size_t i)
{
    for (i++; i < t.n && t.p[i] != '"'; i++)
        if (t.p[i] == '\\')
            i++;
    return i + 1;
}

static size_t skip_number(struct str t, size_t i, bool *real)
{
    *real = false;
    for (; i < t.n && (isdigit((unsigned char)t.p[i]) || (t.p[i] && strchr("+-.eE", t.p[i]))); i++)
        if (t.p[i] == '.' || t.p[i] == 'e' || t.p[i] == 'E')
            *real = true;
    return i;
}

static bool fits_int64(const char *digits, size_t n)
{
    char text[24];
    if (n >= sizeof text)
        return false;
    memcpy(text, digits, n);
    text[n] = '\0';
    errno = 0;
    strtoll(text, NULL, 10);
    return errno == 0;
}

/* True when the literal is beyond double. Only long literals and exponents can be. */
static bool overflows(const char *literal, size_t n)
{
    if (n < 5)
        return false;
    char *text = mem_alloc(n + 1, 1);
    memcpy(text, literal, n);
    bool infinite = isinf(strtod(text, NULL));
    free(text);
    return infinite;
}

static size_t scan_number(struct scan *s, size_t i)
{
    bool real;
    size_t end = skip_number(s->text, i, &real);
    const char *literal = s->text.p + i;
    if (real ? memchr(literal, 'e', end - i) || memchr(literal, 'E', end - i) || end - i > 300
             : end - i > 18) {
        if (overflows(literal, end - i))
            replace(s, i, end, constants[literal[0] == '-' ? 2 : 1].text);
        else if (!real && !fits_int64(literal, end - i))
            replace(s, end, end, ".0");
    }
    return end;
}

/* Looks at everything outside strings; gives the text that jansson shall read. */
static struct str scan(struct scan *s)
{
    for (size_t i = 0; i < s->text.n;) {
        char c = s->text.p[i];
        int k = 0;
        while (k < N_CONSTANTS && (c == 'N' || c == 'I' || c == '-') &&
               !str_starts(str_slice(s->text, i, s->text.n), str_of(constants[k].word)))
            k++;
        if (c == '"') {
            i = skip_string(s->text, i);
        } else if (k < N_CONSTANTS && (c == 'N' || c == 'I' || c == '-')) {
            size_t end = i + strlen(constants[k].word);
            replace(s, i, end, constants[k].text);
            i = end;
        } else if (c == '-' || isdigit((unsigned char)c)) {
            i = scan_number(s, i);
        } else {
            i++;
        }
    }
    if (s->copied == 0 && s->out.n == 0)
        return s->text;
    buf_add(&s->out, s->text.p + s->copied, s->text.n - s->copied);
    return buf_view(&s->out);
}

static struct value *convert(struct arena *a, const json_t *j);

static struct value *convert_string(struct arena *a, const json_t *j)
{
    struct str s = {json_string_value(j), json_string_length(j)};
    if (s.n > 1 && s.p[0] == '\0')
        for (int k = 0; k < N_CONSTANTS; k++)
            if (str_eqz(str_slice(s, 1, s.n), constants[k].word))
                return value_float(a, constants[k].value);
    return value_str(a, str_copy(a, s));
}

static struct value *convert_object(struct arena *a, json_t *j)
{
    struct value *dict = value_dict(a);
    for (void *it = json_object_iter(j); it; it = json_object_iter_next(j, it)) {
        struct str key = {json_object_iter_key(it), json_object_iter_key_len(it)};
        dict_put(a, dict, value_str(a, str_copy(a, key)), convert(a, json_object_iter_value(it)));
    }
    return dict;
}

static struct value *convert_array(struct arena *a, const json_t *j)
{
    struct value *list = value_list(a);
    size_t n = json_array_size(j);
    list->list.items = arena_array(a, n, sizeof *list->list.items);
    list->list.cap = n;
    for (size_t i = 0; i < n; i++)
        list_push(a, list, convert(a, json_array_get(j, i)));
    return list;
}

static struct value *convert(struct arena *a, const json_t *j)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        return convert_object(a, (json_t *)(uintptr_t)j); /* iterators want no const */
    case JSON_ARRAY:
        return convert_array(a, j);
    case JSON_STRING:
        return convert_string(a, j);
    case JSON_INTEGER:
        return value_int(a, json_integer_value(j));
    case JSON_REAL:
        return value_float(a, json_real_value(j));
    case JSON_TRUE:
    case JSON_FALSE:
        return value_bool(a, json_is_true(j));
    case JSON_NULL:
        break;
    }
    return value_none(a);
}

/* "FILE" and a line give "FILE:line"; "FILE:7" counts on from its own line. */
static int parse_error(const char *where, const json_error_t *e, struct error *err)
{
    const char *colon = strrchr(where, ':');
    char *end;
    long first = colon ? strtol(colon + 1, &end, 10) : 0;
    if (first < 1 || first > INT32_MAX || *end)
        return error_set(err, E_INPUT, "%s:%d: no valid JSON: %s (column %d)", where, e->line,
                         e->text, e->column);
    return error_set(err, E_INPUT, "%.*s:%ld: no valid JSON: %s (column %d)", (int)(colon - where),
                     where, first + (e->line > 0 ? e->line - 1 : 0), e->text, e->column);
}

int json_parse(struct arena *a, struct str text, const char *where, struct value **ret,
               struct error *err)
{
    struct scan s = {.text = text};
    struct str readable = scan(&s);
    json_error_t e;
    json_t *j =
        json_loadb(readable.n ? readable.p : "", readable.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    buf_free(&s.out);
    if (!j)
        return parse_error(where, &e, err);
    *ret = convert(a, j);
    json_decref(j);
    return 0;
}

int json_read(struct arena *a, const char *path, struct value **ret, struct error *err)
{
    struct arena file = {0};
    struct str text;
    int r = file_read(&file, path, FILE_LIMIT_TEXT, &text, err);
    if (r == 0 && str_starts(text, STR("\xef\xbb\xbf")))
        text = str_slice(text, 3, text.n);
    if (r == 0)
        r = json_parse(a, text, path, ret, err);
    arena_free(&file);
    return r;
}

static void escaped(struct buf *b, int32_t cp)
{
    if (cp > 0xffff)
        buf_printf(b, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((cp - 0x10000) >> 10)),
                   (unsigned)(0xdc00 + (cp & 0x3ff)));
    else
        buf_printf(b, "\\u%04x", (unsigned)cp);
}

void buf_json_str(struct buf *b, struct str s, bool ascii)
{
    static const char named[] = "\"\"\\\\\nn\rr\tt\ff\bb"; /* character, letter of its escape */
    buf_char(b, '"');
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        int32_t cp = utf8_next(s, &i);
        const char *name = cp > 0 && cp < 0x80 ? strchr(named, cp) : NULL;
        if (name && (cp == '"' || cp == '\\' || cp < ' '))
            buf_printf(b, "\\%c", name[1]);
        else if (cp < 0)
            buf_puts(b, ascii ? "\\ufffd" : "\xef\xbf\xbd"); /* JSON is UTF-8 */
        else if (cp < ' ' || (ascii && cp >= 0x7f))
            escaped(b, cp);
        else
            buf_add(b, s.p + start, i - start);
    }
    buf_char(b, '"');
}

struct style {
    int indent; /* < 0: one line */
    bool ascii;
};

static void write_at(struct buf *b, const struct value *v, struct style style, int depth);

static void write_float(struct buf *b, double f)
{
    if (isnan(f) || isinf(f))
        buf_puts(b, isnan(f) ? "NaN" : f > 0 ? "Infinity" : "-Infinity");
    else
        buf_float(b, f);
}

/* Keys are strings in JSON; Python writes the others as their JSON text in quotes. */
static void write_key(struct buf *b, const struct value *key, struct style style, int depth)
{
    if (key->type == VALUE_STR) {
        buf_json_str(b, key->s, style.ascii);
        return;
    }
    struct buf text = {0};
    write_at(&text, key, (struct style){-1, style.ascii}, depth);
    buf_json_str(b, buf_view(&text), style.ascii);
    buf_free(&text);
}

static void separator(struct buf *b, bool first, struct style style, int depth)
{
    if (!first)
        buf_puts(b, style.indent < 0 ? ", " : ",");
    if (style.indent < 0)
        return;
    buf_char(b, '\n');
    for (int i = 0; i < depth * style.indent; i++)
        buf_char(b, ' ');
}

static void write_list(struct buf *b, const struct value *v, struct style style, int depth)
{
    buf_char(b, '[');
    for (size_t i = 0; i < v->list.n; i++) {
        separator(b, i == 0, style, depth + 1);
        write_at(b, v->list.items[i], style, depth + 1);
    }
    if (v->list.n)
        separator(b, true, style, depth);
    buf_char(b, ']');
}

static void write_dict(struct buf *b, const struct value *v, struct style style, int depth)
{
    buf_char(b, '{');
    for (size_t i = 0; i < v->dict.n; i++) {
        separator(b, i == 0, style, depth + 1);
        write_key(b, v->dict.entries[i].key, style, depth + 1);
        buf_puts(b, ": ");
        write_at(b, v->dict.entries[i].value, style, depth + 1);
    }
    if (v->dict.n)
        separator(b, true, style, depth);
    buf_char(b, '}');
}

static void write_at(struct buf *b, const struct value *v, struct style style, int depth)
{
    if (depth >= VALUE_MAX_DEPTH) {
        buf_puts(b, "\"...\"");
        return;
    }
    switch (v->type) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
    case VALUE_OTHER:
        buf_puts(b, "null");
        break;
    case VALUE_BOOL:
        buf_puts(b, v->b ? "true" : "false");
        break;
    case VALUE_INT:
        buf_printf(b, "%" PRId64, v->i);
        break;
    case VALUE_FLOAT:
        write_float(b, v->f);
        break;
    case VALUE_STR:
        buf_json_str(b, v->s, style.ascii);
        break;
    case VALUE_LIST:
        write_list(b, v, style, depth);
        break;
    case VALUE_DICT:
        write_dict(b, v, style, depth);
        break;
    }
}

void buf_json(struct buf *b, const struct value *v, int indent, bool ascii)
{
    write_at(b, v, (struct style){indent, ascii}, 0);
}

struct str json_text(struct arena *a, const struct value *v)
{
    struct buf b = {0};
    buf_json(&b, v, -1, false);
    return buf_take(&b, a);
}
