#include "base/value.h"

#include <math.h>
#include <stdio.h>
#include <xxhash.h>

enum { INDEX_FROM = 16 }; /* entries; a shorter dict is searched from its front */

static const char hash_seed; /* its address differs from run to run: nobody can craft collisions */

static struct value *new_value(struct arena *a, enum value_type type)
{
    struct value *v = arena_alloc(a, sizeof *v);
    v->type = type;
    return v;
}

struct value *value_none(struct arena *a)
{
    return new_value(a, VALUE_NONE);
}

struct value *value_undefined(struct arena *a)
{
    return new_value(a, VALUE_UNDEFINED);
}

struct value *value_bool(struct arena *a, bool b)
{
    struct value *v = new_value(a, VALUE_BOOL);
    v->b = b;
    return v;
}

struct value *value_int(struct arena *a, int64_t i)
{
    struct value *v = new_value(a, VALUE_INT);
    v->i = i;
    return v;
}

struct value *value_float(struct arena *a, double f)
{
    struct value *v = new_value(a, VALUE_FLOAT);
    v->f = f;
    return v;
}

struct value *value_str(struct arena *a, struct str s)
{
    struct value *v = new_value(a, VALUE_STR);
    v->s = s;
    return v;
}

struct value *value_strz(struct arena *a, const char *z)
{
    return value_str(a, str_of(z));
}

struct value *value_list(struct arena *a)
{
    return new_value(a, VALUE_LIST);
}

struct value *value_dict(struct arena *a)
{
    return new_value(a, VALUE_DICT);
}

/* Doubles an arena array; the old one stays in the arena until it is freed. */
static void *grown(struct arena *a, const void *items, size_t n, size_t size, size_t *cap)
{
    *cap = *cap ? 2 * *cap : 4;
    void *more = arena_array(a, *cap, size);
    if (n)
        memcpy(more, items, n * size);
    return more;
}

void list_push(struct arena *a, struct value *list, struct value *item)
{
    if (list->list.n == list->list.cap)
        list->list.items =
            grown(a, list->list.items, list->list.n, sizeof *list->list.items, &list->list.cap);
    list->list.items[list->list.n++] = item;
}

/* Numbers. An integral double compares and hashes as the int that it equals. */
static bool as_int(const struct value *v, int64_t *ret)
{
    switch (v->type) {
    case VALUE_BOOL:
        *ret = v->b;
        return true;
    case VALUE_INT:
        *ret = v->i;
        return true;
    case VALUE_FLOAT:
        if (!(v->f >= -0x1p63 && v->f < 0x1p63) || v->f != floor(v->f))
            return false;
        *ret = (int64_t)v->f;
        return true;
    default:
        return false;
    }
}

static bool is_number(const struct value *v)
{
    return v->type == VALUE_BOOL || v->type == VALUE_INT || v->type == VALUE_FLOAT;
}

static bool eq_at(const struct value *a, const struct value *b, int depth);

static bool number_eq(const struct value *a, const struct value *b)
{
    int64_t i, j;
    bool a_int = as_int(a, &i), b_int = as_int(b, &j);
    if (a_int || b_int)
        return a_int && b_int && i == j;
    return a->f == b->f;
}

static bool list_eq(const struct value *a, const struct value *b, int depth)
{
    if (a->list.n != b->list.n || a->tuple != b->tuple)
        return false;
    for (size_t i = 0; i < a->list.n; i++)
        if (!eq_at(a->list.items[i], b->list.items[i], depth))
            return false;
    return true;
}

static bool dict_eq(const struct value *a, const struct value *b, int depth)
{
    if (a->dict.n != b->dict.n)
        return false;
    for (size_t i = 0; i < a->dict.n; i++) {
        const struct value *other = dict_find(b, a->dict.entries[i].key);
        if (!other || !eq_at(a->dict.entries[i].value, other, depth))
            return false;
    }
    return true;
}

static bool eq_at(const struct value *a, const struct value *b, int depth)
{
    if (is_number(a) && is_number(b))
        return number_eq(a, b);
    if (a->type != b->type || depth >= VALUE_MAX_DEPTH)
        return false;
    switch (a->type) {
    case VALUE_STR:
        return str_eq(a->s, b->s);
    case VALUE_LIST:
        return a == b || list_eq(a, b, depth + 1);
    case VALUE_DICT:
        return a == b || dict_eq(a, b, depth + 1);
    case VALUE_OTHER:
        return a->other == b->other;
    default: /* None, and Jinja's undefined, equal themselves */
        return true;
    }
}

bool value_eq(const struct value *a, const struct value *b)
{
    return eq_at(a, b, 0);
}

static uint64_t hash_at(const struct value *v, int depth)
{
    uint64_t seed = (uint64_t)(uintptr_t)&hash_seed;
    int64_t i;
    if (as_int(v, &i))
        return XXH3_64bits_withSeed(&i, sizeof i, seed);
    switch (v->type) {
    case VALUE_FLOAT:
        return XXH3_64bits_withSeed(&v->f, sizeof v->f, seed + 1);
    case VALUE_STR:
        return XXH3_64bits_withSeed(v->s.n ? v->s.p : "", v->s.n, seed + 2);
    case VALUE_LIST: /* a tuple as a key */
        seed += v->list.n;
        for (size_t k = 0; k < v->list.n && depth < 8; k++)
            seed = seed * 31 + hash_at(v->list.items[k], depth + 1);
        return seed;
    default:
        return seed + 3 + (uint64_t)v->type;
    }
}

static uint64_t hash_of(const struct value *v)
{
    return hash_at(v, 0);
}

/* The index is open addressing over positions + 1; 0 is a free slot. It is at most half full. */
static void index_add(struct value *dict, size_t at)
{
    size_t mask = dict->dict.n_index - 1;
    size_t slot = (size_t)hash_of(dict->dict.entries[at].key) & mask;
    while (dict->dict.index[slot])
        slot = (slot + 1) & mask;
    dict->dict.index[slot] = (uint32_t)at + 1;
}

static void index_build(struct arena *a, struct value *dict)
{
    size_t n = 4 * INDEX_FROM;
    while (n < 4 * dict->dict.n)
        n *= 2;
    dict->dict.index = arena_array(a, n, sizeof *dict->dict.index);
    dict->dict.n_index = n;
    for (size_t i = 0; i < dict->dict.n; i++)
        index_add(dict, i);
}

static size_t dict_position(const struct value *dict, const struct value *key)
{
    const struct value_entry *e = dict->dict.entries;
    if (!dict->dict.n_index) {
        for (size_t i = 0; i < dict->dict.n; i++)
            if (value_eq(e[i].key, key))
                return i;
        return SIZE_MAX;
    }
    size_t mask = dict->dict.n_index - 1;
    for (size_t slot = (size_t)hash_of(key) & mask; dict->dict.index[slot];
         slot = (slot + 1) & mask)
        if (value_eq(e[dict->dict.index[slot] - 1].key, key))
            return dict->dict.index[slot] - 1;
    return SIZE_MAX;
}

void dict_put(struct arena *a, struct value *dict, struct value *key, struct value *item)
{
    size_t at = dict_position(dict, key);
    if (at != SIZE_MAX) {
        dict->dict.entries[at].value = item;
        return;
    }
    if (dict->dict.n == dict->dict.cap)
        dict->dict.entries =
            grown(a, dict->dict.entries, dict->dict.n, sizeof *dict->dict.entries, &dict->dict.cap);
    dict->dict.entries[dict->dict.n++] = (struct value_entry){key, item};
    if (dict->dict.n < INDEX_FROM || dict->dict.n > UINT32_MAX / 4)
        return;
    if (2 * dict->dict.n > dict->dict.n_index)
        index_build(a, dict);
    else
        index_add(dict, dict->dict.n - 1);
}

void dict_set(struct arena *a, struct value *dict, const char *key, struct value *item)
{
    dict_put(a, dict, value_strz(a, key), item);
}

struct value *dict_find(const struct value *dict, const struct value *key)
{
    if (!dict || dict->type != VALUE_DICT)
        return NULL;
    size_t at = dict_position(dict, key);
    return at == SIZE_MAX ? NULL : dict->dict.entries[at].value;
}

struct value *dict_gets(const struct value *dict, struct str key)
{
    struct value k = {.type = VALUE_STR, .s = key};
    return dict_find(dict, &k);
}

struct value *dict_get(const struct value *dict, const char *key)
{
    return dict_gets(dict, str_of(key));
}

/* Finds a member that is there and not null; NULL otherwise. */
static const struct value *member(const struct value *dict, const char *key)
{
    const struct value *v = dict_get(dict, key);
    return v && v->type != VALUE_NONE ? v : NULL;
}

static int wrong_type(const struct value *v, const char *key, const char *wanted, const char *where,
                      struct error *err)
{
    struct arena a = {0};
    struct str shown = v->type == VALUE_LIST || v->type == VALUE_DICT ? str_of(value_type_name(v))
                                                                      : value_repr(&a, v);
    int cut = shown.n > 60 ? 60 : (int)shown.n;
    char line[16] = "";
    if (v->line > 0)
        snprintf(line, sizeof line, ":%d", v->line);
    int r = error_set(err, E_INPUT, "%s%s: \"%s\" must be %s, not %.*s", where, line, key, wanted,
                      cut, shown.p);
    arena_free(&a);
    return r;
}

int dict_int(const struct value *dict, const char *key, int64_t def, const char *where,
             int64_t *ret, struct error *err)
{
    const struct value *v = member(dict, key);
    if (v && v->type != VALUE_INT)
        return wrong_type(v, key, "a whole number", where, err);
    *ret = v ? v->i : def;
    return 0;
}

int dict_float(const struct value *dict, const char *key, double def, const char *where,
               double *ret, struct error *err)
{
    const struct value *v = member(dict, key);
    if (v && v->type != VALUE_INT && v->type != VALUE_FLOAT)
        return wrong_type(v, key, "a number", where, err);
    *ret = !v ? def : v->type == VALUE_INT ? (double)v->i : v->f;
    return 0;
}

int dict_bool(const struct value *dict, const char *key, bool def, const char *where, bool *ret,
              struct error *err)
{
    const struct value *v = member(dict, key);
    if (v && v->type != VALUE_BOOL)
        return wrong_type(v, key, "true or false", where, err);
    *ret = v ? v->b : def;
    return 0;
}

int dict_str(const struct value *dict, const char *key, const char *def, const char *where,
             const char **ret, struct error *err)
{
    const struct value *v = member(dict, key);
    if (v && v->type != VALUE_STR)
        return wrong_type(v, key, "a text", where, err);
    if (v && v->s.n && memchr(v->s.p, '\0', v->s.n))
        return wrong_type(v, key, "a text without NUL characters", where, err);
    *ret = !v ? def : v->s.n ? v->s.p : "";
    return 0;
}

bool value_truthy(const struct value *v)
{
    switch (v->type) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return v->b;
    case VALUE_INT:
        return v->i != 0;
    case VALUE_FLOAT:
        return v->f != 0;
    case VALUE_STR:
        return v->s.n > 0;
    case VALUE_LIST:
        return v->list.n > 0;
    case VALUE_DICT:
        return v->dict.n > 0;
    case VALUE_OTHER:
        return true;
    }
    return false;
}

const char *value_type_name(const struct value *v)
{
    static const char *const names[] = {
        [VALUE_UNDEFINED] = "Undefined", [VALUE_NONE] = "NoneType",
        [VALUE_BOOL] = "bool",           [VALUE_INT] = "int",
        [VALUE_FLOAT] = "float",         [VALUE_STR] = "str",
        [VALUE_LIST] = "list",           [VALUE_DICT] = "dict",
        [VALUE_OTHER] = "object",
    };
    return v->type == VALUE_LIST && v->tuple ? "tuple" : names[v->type];
}

static struct value *clone_at(struct arena *a, const struct value *v, int depth)
{
    if (depth >= VALUE_MAX_DEPTH)
        return value_none(a);
    struct value *c = arena_alloc(a, sizeof *c);
    *c = *v;
    if (v->tag)
        c->tag = arena_copy(a, v->tag, strlen(v->tag));
    switch (v->type) {
    case VALUE_STR:
        c->s = str_copy(a, v->s);
        break;
    case VALUE_LIST:
        c->list.cap = v->list.n;
        c->list.items = arena_array(a, v->list.n, sizeof *c->list.items);
        for (size_t i = 0; i < v->list.n; i++)
            c->list.items[i] = clone_at(a, v->list.items[i], depth + 1);
        break;
    case VALUE_DICT:
        memset(&c->dict, 0, sizeof c->dict);
        for (size_t i = 0; i < v->dict.n; i++)
            dict_put(a, c, clone_at(a, v->dict.entries[i].key, depth + 1),
                     clone_at(a, v->dict.entries[i].value, depth + 1));
        break;
    default:
        break;
    }
    return c;
}

struct value *value_clone(struct arena *a, const struct value *v)
{
    return clone_at(a, v, 0);
}
