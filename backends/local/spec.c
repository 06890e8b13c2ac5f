#include "backends/local/spec.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"

enum key_kind { KEY_TEXT, KEY_LIST, KEY_COUNT, KEY_FORMAT };

static const struct key {
    const char *name;
    enum key_kind kind;
    size_t field;
    long most;             /* KEY_COUNT */
    const char *values[4]; /* KEY_FORMAT: what it takes */
} keys[] = {
/* clang-format off */
#define WORD(w) KEY_TEXT, offsetof(struct spec, words.w), 0, {0}
    /* clang-format on */
    {"name", KEY_TEXT, offsetof(struct spec, name), 0, {0}},
    {"dtype", KEY_FORMAT, offsetof(struct spec, dtype), 0, {"f32", "bf16", "f16"}},
    {"quant", WORD(quant)},
    {"method", WORD(method)},
    {"group_size", WORD(group_size)},
    {"symmetric", WORD(symmetric)},
    {"static", WORD(is_static)},
    {"act", WORD(act)},
    {"ignore", KEY_LIST, offsetof(struct spec, words.ignore), 0, {0}},
    {"alpha", WORD(alpha)},
    {"damp", WORD(damp)},
    {"act_order", WORD(act_order)},
    {"calib", WORD(calib)},
    {"calib_samples", WORD(samples)},
    {"calib_length", WORD(length)},
    {"calib_seed", WORD(seed)},
    {"device", KEY_TEXT, offsetof(struct spec, device_text), 0, {0}},
    {"max_length", KEY_COUNT, offsetof(struct spec, max_length), 1 << 24, {0}},
#undef WORD
};
enum { N_KEYS = sizeof keys / sizeof *keys };

static int unknown_key(struct str key, const char *text, struct error *err)
{
    const char *names[N_KEYS];
    struct buf known = {0};
    struct arena a = {0};
    for (int i = 0; i < N_KEYS; i++) {
        names[i] = keys[i].name;
        buf_printf(&known, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = nearest_name(str_copy(&a, key).p, names, N_KEYS);
    int r = error_set(err, E_USAGE, "model \"%s\": unknown key \"%.*s\"; %s%s%sknown: %s", text,
                      STR_ARG(key), near ? "did you mean " : "", near ? near : "", near ? "? " : "",
                      known.p);
    buf_free(&known);
    arena_free(&a);
    return r;
}

static int set_format(const struct key *key, struct str value, const char *text, enum format *ret,
                      struct error *err)
{
    struct buf takes = {0};
    for (int i = 0; key->values[i]; i++) {
        buf_printf(&takes, "%s%s", i ? ", " : "", key->values[i]);
        if (!str_eqz(value, key->values[i]))
            continue;
        buf_free(&takes);
        *ret = FORMAT_COUNT;
        for (int f = 0; f < FORMAT_COUNT; f++)
            if (strcmp(format_info[f].name, key->values[i]) == 0)
                *ret = (enum format)f;
        return 0;
    }
    int r = error_set(err, E_USAGE, "model \"%s\": %s takes %s, not \"%.*s\"", text, key->name,
                      takes.p, STR_ARG(value));
    buf_free(&takes);
    return r;
}

static void list_add(struct arena *a, struct patterns *list, const char *z)
{
    const char **more = arena_array(a, list->n + 1, sizeof *more);
    if (list->n)
        memcpy(more, list->items, list->n * sizeof *more);
    more[list->n++] = z;
    list->items = more;
}

static int set_key(struct arena *a, const struct key *key, struct str value, const char *text,
                   struct spec *ret, struct error *err)
{
    void *field = (char *)ret + key->field;
    if (key->kind == KEY_FORMAT)
        return set_format(key, value, text, field, err);
    const char *z = str_copy(a, value).p;
    if (key->kind != KEY_COUNT) {
        if (!*z)
            return error_set(err, E_USAGE, "model \"%s\": %s= needs a text", text, key->name);
        if (key->kind == KEY_TEXT)
            *(const char **)field = z;
        else
            list_add(a, field, z);
        return 0;
    }
    char *end;
    errno = 0;
    long x = strtol(z, &end, 10);
    if (!*z || *end || errno || x < 1 || x > key->most)
        return error_set(err, E_USAGE,
                         "model \"%s\": %s takes a whole number from 1 to %ld, not \"%s\"", text,
                         key->name, key->most, z);
    *(int *)field = (int)x;
    return 0;
}

static int set_device(const char *text, struct spec *s, struct error *err)
{
    const char *d = s->device_text;
    s->cuda = -1;
    if (!d || strcmp(d, "cpu") == 0)
        return 0;
    char *end = NULL;
    if (strcmp(d, "cuda") == 0)
        s->cuda = 0;
    else if (strncmp(d, "cuda:", 5) == 0 && d[5] >= '0' && d[5] <= '9')
        s->cuda = (int)strtol(d + 5, &end, 10);
    if (s->cuda >= 0 && s->cuda < 1024 && (!end || !*end))
        return 0;
    return error_set(
        err, E_USAGE,
        "model \"%s\": device takes cpu, cuda or cuda:N (the N-th, from 0), not \"%s\"", text, d);
}

/* "models/x.gguf" is x; "models/x/" with quant=q8_0 is x-q8_0. */
static const char *default_name(struct arena *a, const struct spec *s)
{
    struct str path = str_of(s->path);
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    struct str base = str_of(path_base(str_copy(a, path).p));
    if (str_ends(base, STR(".gguf")))
        base.n -= 5;
    bool q = !scheme_is_none(&s->scheme), d = s->dtype != FORMAT_F32;
    return arena_printf(a, "%.*s%s%s%s%s", STR_ARG(base), q ? "-" : "", q ? s->scheme.label : "",
                        d ? "-" : "", d ? format_info[s->dtype].name : "");
}

/* The row of a key; NULL: there is none. */
static const struct key *find_key(struct str name)
{
    for (int i = 0; i < N_KEYS; i++)
        if (str_eqz(name, keys[i].name))
            return &keys[i];
    return NULL;
}

int spec_parse(struct arena *a, const char *text, const char *dtype, struct spec *ret,
               struct error *err)
{
    struct spec s = {.dtype = FORMAT_F32};
    struct str rest = str_of(text);
    size_t comma = str_find(rest, STR(","), 0);
    int r = dtype ? set_key(a, find_key(STR("dtype")), str_of(dtype), text, &s, err) : 0;
    if (r < 0)
        return r;
    s.path = str_copy(a, str_slice(rest, 0, comma)).p;
    if (!*s.path)
        return error_set(err, E_USAGE, "model \"%s\": it does not begin with a path", text);
    while (comma != SIZE_MAX) {
        rest = str_slice(rest, comma + 1, SIZE_MAX);
        comma = str_find(rest, STR(","), 0);
        struct str pair = str_slice(rest, 0, comma);
        size_t equals = str_find(pair, STR("="), 0);
        struct str name = str_slice(pair, 0, equals);
        const struct key *key = find_key(name);
        if (!key || equals == SIZE_MAX)
            return unknown_key(name, text, err);
        r = set_key(a, key, str_slice(pair, equals + 1, SIZE_MAX), text, &s, err);
        if (r < 0)
            return r;
    }
    if ((r = scheme_make(a, &s.words, text, &s.scheme, err)) < 0 ||
        (r = set_device(text, &s, err)) < 0)
        return r;
    if (!s.name)
        s.name = default_name(a, &s);
    *ret = s;
    return 0;
}
