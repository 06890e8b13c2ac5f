/* jinja_markup.c: the filters that read or write HTML, URLs and JSON. */
#include <ctype.h>
#include <stdlib.h>

#include "base/jinja_internal.h"
#include "base/json.h"
#include "base/utf8.h"

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

struct value *jinja_filter_striptags(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s;
    if (!jinja_subject(r, self, &s) || !render_charge(r, 4 * s.n))
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
    return value_str(r->a, unescape_html(r, utf8_strip(buf_take(&b, r->a), STRIP_BOTH, NULL)));
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

struct value *jinja_filter_urlencode(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str s, key;
    struct buf b = {0};
    if (self->type != VALUE_DICT && self->type != VALUE_LIST) {
        if (!jinja_subject(r, self, &s) || !render_charge(r, 2 * s.n))
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

struct value *jinja_filter_tojson_task(struct render *r, struct value *self, const struct call *c)
{
    struct json_style s = {.ascii = true, .sorted = true, .comma = STR(", "), .colon = STR(": ")};
    struct value *v = json_indent(r, c->args[0], &s) ? json_value(r, self, &s) : NULL;
    return v && render_charge(r, 2 * v->s.n) ? jinja_markup(r, html_safe(r, v->s)) : NULL;
}

struct value *jinja_filter_tojson_chat(struct render *r, struct value *self, const struct call *c)
{
    struct json_style s = {.comma = STR(", "), .colon = STR(": ")};
    if ((c->args[0] && !jinja_truthy(r, c->args[0], &s.ascii)) || !json_indent(r, c->args[1], &s) ||
        !json_separators(r, c->args[2], &s) ||
        (c->args[3] && !jinja_truthy(r, c->args[3], &s.sorted)))
        return NULL;
    return json_value(r, self, &s);
}
