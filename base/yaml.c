#include "base/yaml.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <yaml.h>

enum {
    MAX_DEPTH = 500,        /* nested collections */
    MAX_EXPANDED = 1000000, /* nodes that aliases repeat, counted as if each were written out */
};

struct anchor {
    struct value *value; /* NULL while the node is still being read */
    size_t n_nodes;
};

struct reader {
    struct arena *a;
    const char *path;
    struct error *err;
    yaml_parser_t parser;
    int depth;
    size_t n_nodes, n_expanded;
    struct {
        struct anchor *items;
        size_t n, cap;
    } anchors;
    struct value *names; /* anchor's name -> its place in `anchors`; the latest of a name counts */
};

/* Plain scalars: the patterns of PyYAML's resolver, in its order. */

static bool one_of(const char *z, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(z, *words) == 0)
            return true;
    return false;
}

static struct value *resolve_null(struct arena *a, const char *z)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return one_of(z, words) ? value_none(a) : NULL;
}

static struct value *resolve_bool(struct arena *a, const char *z)
{
    static const char *const yes[] = {"yes",  "Yes", "YES", "true", "True",
                                      "TRUE", "on",  "On",  "ON",   NULL};
    static const char *const no[] = {"no",    "No",  "NO",  "false", "False",
                                     "FALSE", "off", "Off", "OFF",   NULL};
    bool b = one_of(z, yes);
    return b || one_of(z, no) ? value_bool(a, b) : NULL;
}

static const char *skip_sign(const char *z)
{
    return z + (*z == '-' || *z == '+');
}

/* (:[0-5]?[0-9])+ */
static const char *skip_sixties(const char *p)
{
    while (*p == ':' && p[1] >= '0' && p[1] <= '9') {
        bool two = p[1] <= '5' && p[2] >= '0' && p[2] <= '9';
        p += two ? 3 : 2;
    }
    return p;
}

/* The text without its underscores. */
static char *plain_digits(struct arena *a, const char *z)
{
    char *copy = arena_copy(a, z, strlen(z)), *out = copy;
    for (; *z; z++)
        if (*z != '_')
            *out++ = *z;
    *out = '\0';
    return copy;
}

/* Sexagesimal "1:30:05.5": parts weigh 60 times the next. */
static double sixties(const char *p)
{
    double total = 0;
    for (;; p++) {
        total = total * 60 + strtod(p, NULL);
        p += strcspn(p, ":");
        if (!*p)
            return total;
    }
}

static struct value *resolve_float(struct arena *a, const char *z)
{
    static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    const char *start = skip_sign(z), *p = start;
    if (one_of(start, infinities))
        return value_float(a, *z == '-' ? -INFINITY : INFINITY);
    if (one_of(z, nans))
        return value_float(a, NAN);
    bool leading = *p >= '0' && *p <= '9', sexagesimal = false;
    if (leading) {
        p += strspn(p, "0123456789_");
        sexagesimal = *p == ':';
        p = skip_sixties(p);
    }
    if (*p++ != '.' || (!leading && (start != z || *p < '0' || *p > '9')))
        return NULL;
    p += strspn(p, "0123456789_");
    if (!sexagesimal && (*p == 'e' || *p == 'E') && (p[1] == '-' || p[1] == '+')) {
        size_t digits = strspn(p + 2, "0123456789");
        p += digits ? 2 + digits : 0;
    }
    if (*p)
        return NULL;
    double f = sixties(plain_digits(a, start));
    return value_float(a, *z == '-' ? -f : f);
}

/* Base of a whole number, or 0 when it is none; *digits is where its digits start. */
static int int_base(const char *z, const char **digits)
{
    static const struct {
        const char *prefix, *set;
        int base;
    } forms[] = {
        {"0b", "01_", 2},
        {"0x", "0123456789abcdefABCDEF_", 16},
        {"0", "01234567_", 8},
    };
    const char *p = skip_sign(z);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t n = strlen(forms[i].prefix);
        *digits = p + n;
        if (strncmp(p, forms[i].prefix, n) == 0 && p[n] && !p[n + strspn(p + n, forms[i].set)])
            return forms[i].base;
    }
    *digits = p;
    if (strcmp(p, "0") == 0)
        return 10;
    if (*p < '1' || *p > '9')
        return 0;
    p += strspn(p, "0123456789_");
    return *skip_sixties(p) ? 0 : *p == ':' ? 60 : 10;
}

/* Adds the digits up; *exact turns false when they pass 64 bits. */
static double int_value(const char *digits, int base, bool negative, int64_t *ret, bool *exact)
{
    double approximate = 0;
    for (; *digits; digits++) {
        if (*digits == '_')
            continue;
        int weight = base == 60 ? 10 : base, d = 0;
        if (*digits == ':') { /* the parts before weigh 60 times; one or two digits follow */
            weight = 60;
            d = *++digits - '0';
            if (digits[1] && digits[1] != ':')
                d = 10 * d + *++digits - '0';
        } else {
            d = *digits <= '9' ? *digits - '0' : (*digits | 32) - 'a' + 10;
        }
        approximate = approximate * weight + d;
        *exact = *exact && !__builtin_mul_overflow(*ret, weight, ret) &&
                 !__builtin_add_overflow(*ret, negative ? -d : d, ret);
    }
    return negative ? -approximate : approximate;
}

static struct value *resolve_int(struct arena *a, const char *z)
{
    const char *digits;
    int base = int_base(z, &digits);
    if (!base || (base != 8 && !digits[strspn(digits, "_")]))
        return NULL;
    int64_t i = 0;
    bool exact = true;
    double f = int_value(digits, base, *z == '-', &i, &exact);
    if (!exact && base == 10)
        f = strtod(plain_digits(a, z), NULL);
    return exact ? value_int(a, i) : value_float(a, f);
}

static struct value *resolve(struct arena *a, const char *z, size_t n)
{
    if (strlen(z) != n)
        return NULL;
    struct value *v = NULL;
    switch (z[0]) {
    case '\0':
    case '~':
        return resolve_null(a, z);
    case 'n':
    case 'N':
        v = resolve_null(a, z);
        return v ? v : resolve_bool(a, z);
    case 'y':
    case 'Y':
    case 't':
    case 'T':
    case 'f':
    case 'F':
    case 'o':
    case 'O':
        return resolve_bool(a, z);
    default:
        if (strspn(z, "0123456789+-.") == 0)
            return NULL;
        v = resolve_float(a, z);
        return v ? v : resolve_int(a, z);
    }
}

static int fail(struct reader *r, size_t line, const char *what)
{
    return error_set(r->err, E_INPUT, "%s:%zu: %s", r->path, line, what);
}

static size_t line_of(const yaml_event_t *e)
{
    return e->start_mark.line + 1;
}

/* Line of a byte offset, for faults that libyaml's reader finds before it counts lines. */
static size_t line_at(struct str text, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset && i < text.n; i++)
        line += text.p[i] == '\n';
    return line;
}

static int parser_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    struct str text = {(const char *)p->input.string.start,
                       (size_t)(p->input.string.end - p->input.string.start)};
    size_t line =
        p->error == YAML_READER_ERROR ? line_at(text, p->problem_offset) : p->problem_mark.line + 1;
    return error_set(r->err, p->error == YAML_MEMORY_ERROR ? E_MEMORY : E_INPUT,
                     "%s:%zu: no valid YAML: %s%s%s", r->path, line,
                     p->problem ? p->problem : "out of memory", p->context ? ", " : "",
                     p->context ? p->context : "");
}

static int next_event(struct reader *r, yaml_event_t *e)
{
    return yaml_parser_parse(&r->parser, e) ? 0 : parser_error(r);
}

#define YAML_TAG "tag:yaml.org,2002:"

/* A scalar with a tag of YAML's own, such as !!int, has to be one. Other tags are kept. */
static int tagged_scalar(struct reader *r, const yaml_event_t *e, const char *tag,
                         struct value **ret)
{
    static const struct {
        const char *tag;
        struct value *(*resolve)(struct arena *a, const char *z);
    } types[] = {
        {YAML_TAG "null", resolve_null},
        {YAML_TAG "bool", resolve_bool},
        {YAML_TAG "int", resolve_int},
        {YAML_TAG "float", resolve_float},
    };
    const char *z = (const char *)e->data.scalar.value;
    size_t n = e->data.scalar.length;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(tag, types[i].tag) != 0)
            continue;
        struct value *v = strlen(z) == n ? types[i].resolve(r->a, z) : NULL;
        if (!v && types[i].resolve == resolve_float && strlen(z) == n) /* !!float 1 */
            v = resolve_int(r->a, z);
        if (!v)
            return fail(r, line_of(e), "the value does not fit its tag (!!int, !!float, ...)");
        if (types[i].resolve == resolve_float && v->type == VALUE_INT)
            v = value_float(r->a, (double)v->i);
        *ret = v;
        return 0;
    }
    *ret = value_str(r->a, (struct str){arena_copy(r->a, z, n), n});
    return 0;
}

/* The tag to keep: everything but YAML's own types. */
static const char *kept_tag(struct arena *a, const char *tag)
{
    if (!tag || strcmp(tag, "!") == 0 || strncmp(tag, YAML_TAG, strlen(YAML_TAG)) == 0)
        return NULL;
    return arena_copy(a, tag, strlen(tag));
}

static int read_scalar(struct reader *r, const yaml_event_t *e, struct value **ret)
{
    const char *z = (const char *)e->data.scalar.value, *tag = (const char *)e->data.scalar.tag;
    size_t n = e->data.scalar.length;
    struct value *v = e->data.scalar.plain_implicit ? resolve(r->a, z, n) : NULL;
    if (!v) {
        int code = tagged_scalar(r, e, tag ? tag : YAML_TAG "str", &v);
        if (code < 0)
            return code;
    }
    v->tag = kept_tag(r->a, tag);
    *ret = v;
    return 0;
}

static int read_node(struct reader *r, const yaml_event_t *e, struct value **ret);

static int read_sequence(struct reader *r, struct value *list)
{
    for (;;) {
        yaml_event_t e;
        struct value *item;
        int code = next_event(r, &e);
        if (code < 0)
            return code;
        bool end = e.type == YAML_SEQUENCE_END_EVENT;
        code = end ? 0 : read_node(r, &e, &item);
        yaml_event_delete(&e);
        if (end || code < 0)
            return code;
        list_push(r->a, list, item);
    }
}

static void put_all(struct arena *a, struct value *into, const struct value *from)
{
    for (size_t i = 0; i < from->dict.n; i++)
        dict_put(a, into, from->dict.entries[i].key, from->dict.entries[i].value);
}

/* `<<: *base` or `<<: [*first, *second]`; in a list, earlier mappings win. */
static int merge(struct reader *r, struct value *into, const struct value *v, size_t line)
{
    static const char wrong[] = "a merge key (<<) wants a mapping or a list of mappings";
    if (v->type == VALUE_DICT) {
        put_all(r->a, into, v);
        return 0;
    }
    if (v->type != VALUE_LIST)
        return fail(r, line, wrong);
    for (size_t i = v->list.n; i-- > 0;) {
        if (v->list.items[i]->type != VALUE_DICT)
            return fail(r, line, wrong);
        put_all(r->a, into, v->list.items[i]);
    }
    return 0;
}

static bool is_merge_key(const yaml_event_t *e)
{
    return e->type == YAML_SCALAR_EVENT && e->data.scalar.plain_implicit &&
           e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)e->data.scalar.value, "<<") == 0;
}

/* One key and its value. What is merged goes to `merged`, for it comes before the mapping's own. */
static int read_pair(struct reader *r, const yaml_event_t *key_event, struct value *own,
                     struct value *merged)
{
    struct value *key, *item;
    int code = read_node(r, key_event, &key);
    if (code < 0)
        return code;
    if (key->type == VALUE_LIST || key->type == VALUE_DICT)
        return fail(r, line_of(key_event), "a mapping's key must be a scalar, not a collection");
    yaml_event_t e;
    if ((code = next_event(r, &e)) < 0)
        return code;
    code = read_node(r, &e, &item);
    if (code == 0 && is_merge_key(key_event))
        code = merge(r, merged, item, line_of(&e));
    else if (code == 0)
        dict_put(r->a, own, key, item);
    yaml_event_delete(&e);
    return code;
}

static int read_mapping(struct reader *r, struct value *dict)
{
    struct value own = {.type = VALUE_DICT};
    for (;;) {
        yaml_event_t e;
        int code = next_event(r, &e);
        if (code < 0)
            return code;
        bool end = e.type == YAML_MAPPING_END_EVENT;
        code = end ? 0 : read_pair(r, &e, &own, dict);
        yaml_event_delete(&e);
        if (code < 0)
            return code;
        if (end)
            break;
    }
    if (dict->dict.n)
        put_all(r->a, dict, &own);
    else
        dict->dict = own.dict;
    return 0;
}

static int read_alias(struct reader *r, const yaml_event_t *e, struct value **ret)
{
    const char *name = (const char *)e->data.alias.anchor;
    const struct value *at = dict_get(r->names, name);
    const struct anchor *anchor = at ? &r->anchors.items[at->i] : NULL;
    if (!anchor || !anchor->value)
        return error_set(r->err, E_INPUT, "%s:%zu: alias *%s %s", r->path, line_of(e), name,
                         anchor ? "stands inside the node that it names"
                                : "names no anchor before it");
    r->n_expanded += anchor->n_nodes;
    if (r->n_expanded > MAX_EXPANDED)
        return error_set(r->err, E_INPUT,
                         "%s:%zu: aliases repeat more than %d nodes here; write a smaller file",
                         r->path, line_of(e), MAX_EXPANDED);
    *ret = anchor->value;
    return 0;
}

static int read_collection(struct reader *r, const yaml_event_t *e, struct value **ret)
{
    bool list = e->type == YAML_SEQUENCE_START_EVENT;
    const char *tag = (const char *)(list ? e->data.sequence_start.tag : e->data.mapping_start.tag);
    if (r->depth >= MAX_DEPTH)
        return fail(r, line_of(e), "collections are nested too deeply");
    struct value *v = list ? value_list(r->a) : value_dict(r->a);
    v->tag = kept_tag(r->a, tag);
    r->depth++;
    int code = list ? read_sequence(r, v) : read_mapping(r, v);
    r->depth--;
    *ret = v;
    return code;
}

static const char *anchor_of(const yaml_event_t *e)
{
    return (const char *)(e->type == YAML_SCALAR_EVENT           ? e->data.scalar.anchor
                          : e->type == YAML_SEQUENCE_START_EVENT ? e->data.sequence_start.anchor
                                                                 : e->data.mapping_start.anchor);
}

/* The node that `e` starts, with everything in it. */
static int read_node(struct reader *r, const yaml_event_t *e, struct value **ret)
{
    if (e->type == YAML_ALIAS_EVENT)
        return read_alias(r, e, ret);
    const char *name = anchor_of(e);
    size_t at = r->anchors.n, before = r->n_nodes++ + r->n_expanded;
    if (name) {
        *ARRAY_PUSH(&r->anchors) = (struct anchor){0};
        dict_set(r->a, r->names, arena_copy(r->a, name, strlen(name)),
                 value_int(r->a, (int64_t)at));
    }
    struct value *v = NULL;
    int code = e->type == YAML_SCALAR_EVENT ? read_scalar(r, e, &v) : read_collection(r, e, &v);
    if (code < 0)
        return code;
    v->line = (int)line_of(e);
    if (name) {
        r->anchors.items[at].value = v;
        r->anchors.items[at].n_nodes = r->n_nodes + r->n_expanded - before;
    }
    *ret = v;
    return 0;
}

/* Stream and document start, one node, their ends. An empty stream is None. */
static int read_document(struct reader *r, struct value **ret)
{
    struct value *v = NULL;
    for (;;) {
        yaml_event_t e;
        int code = next_event(r, &e);
        if (code < 0)
            return code;
        bool end = e.type == YAML_STREAM_END_EVENT;
        if (e.type == YAML_DOCUMENT_START_EVENT && v)
            code = fail(r, line_of(&e), "a second document starts; only one is read");
        else if (e.type == YAML_ALIAS_EVENT || e.type == YAML_SCALAR_EVENT ||
                 e.type == YAML_SEQUENCE_START_EVENT || e.type == YAML_MAPPING_START_EVENT)
            code = read_node(r, &e, &v);
        yaml_event_delete(&e);
        if (code < 0)
            return code;
        if (end)
            break;
    }
    *ret = v ? v : value_none(r->a);
    return 0;
}

int yaml_parse(struct arena *a, struct str text, const char *path, struct value **ret,
               struct error *err)
{
    struct reader r = {.a = a, .path = path, .err = err, .names = value_dict(a)};
    if (!yaml_parser_initialize(&r.parser))
        return error_set(err, E_MEMORY, "%s: no memory left to read YAML", path);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    int code = read_document(&r, ret);
    yaml_parser_delete(&r.parser);
    free(r.anchors.items);
    return code;
}
