/* safetensors.c: u64 length of a JSON header, the header {name: {dtype, shape, data_offsets}},
 * then the data, to which the offsets are relative. A sharded folder lists its files in
 * model.safetensors.index.json. */
#include <inttypes.h>
#include <stdlib.h>

#include "backends/local/checkpoint.h"
#include "base/json.h"

enum { MAX_HEADER = 100 << 20 }; /* the format's own limit is 100 MB */

static const struct {
    const char *name;
    enum format format;
    int bytes;
} dtypes[] = {
    {"F32", FORMAT_F32, 4},       {"F16", FORMAT_F16, 2},       {"BF16", FORMAT_BF16, 2},
    {"F64", FORMAT_COUNT, 8},     {"I64", FORMAT_COUNT, 8},     {"U64", FORMAT_COUNT, 8},
    {"I32", FORMAT_COUNT, 4},     {"U32", FORMAT_COUNT, 4},     {"I16", FORMAT_COUNT, 2},
    {"U16", FORMAT_COUNT, 2},     {"I8", FORMAT_COUNT, 1},      {"U8", FORMAT_COUNT, 1},
    {"BOOL", FORMAT_COUNT, 1},    {"F8_E4M3", FORMAT_COUNT, 1}, {"F8_E5M2", FORMAT_COUNT, 1},
    {"F8_E8M0", FORMAT_COUNT, 1},
};

static int bad_tensor(const char *file, struct str name, const char *what, struct error *err)
{
    return error_set(err, E_INPUT, "cannot read \"%s\": tensor \"%.*s\" %s", file, STR_ARG(name),
                     what);
}

static bool get_int(const struct value *v, int64_t *ret)
{
    if (!v || v->type != VALUE_INT || v->i < 0)
        return false;
    *ret = v->i;
    return true;
}

static int read_tensor(struct checkpoint *c, const char *file, struct str name,
                       const struct value *info, const unsigned char *data, size_t n_data,
                       struct error *err)
{
    struct tensor t = {.name = name, .format = FORMAT_COUNT, .type_name = "?"};
    const struct value *dtype = dict_get(info, "dtype"), *shape = dict_get(info, "shape"),
                       *offsets = dict_get(info, "data_offsets");
    int64_t begin, end, bytes = 0;
    if (!dtype || dtype->type != VALUE_STR || !shape || shape->type != VALUE_LIST ||
        shape->list.n > TENSOR_DIMS || !offsets || offsets->type != VALUE_LIST ||
        offsets->list.n != 2 || !get_int(offsets->list.items[0], &begin) ||
        !get_int(offsets->list.items[1], &end))
        return bad_tensor(file, name, "lacks a dtype, a shape of up to 4 sizes, or data_offsets",
                          err);
    if (begin > end || (uint64_t)end > n_data)
        return bad_tensor(file, name,
                          "lies outside the file; it is truncated or damaged, fetch it again", err);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (!str_eqz(dtype->s, dtypes[i].name))
            continue;
        t.format = dtypes[i].format;
        bytes = dtypes[i].bytes;
    }
    t.type_name = dtype->s.p;
    t.n_dims = (int)shape->list.n;
    for (int d = 0; d < t.n_dims; d++)
        if (!get_int(shape->list.items[d], &t.shape[d]) || t.shape[d] > INT32_MAX ||
            __builtin_mul_overflow(bytes, t.shape[d], &bytes))
            return bad_tensor(file, name, "has a shape that no file can hold", err);
    if (bytes && bytes != end - begin)
        return bad_tensor(file, name, "has an extent that does not fit its shape and dtype", err);
    t.data = data + begin;
    t.bytes = (size_t)(end - begin);
    *ARRAY_PUSH(&c->tensors) = t;
    return 0;
}

static int read_one(struct checkpoint *c, const char *file, struct error *err)
{
    struct mapping m;
    int r = mapping_open(file, &m, err);
    if (r < 0)
        return r;
    *ARRAY_PUSH(&c->files) = m;
    uint64_t n_header = 0;
    if (m.n >= 8)
        memcpy(&n_header, m.p, 8);
    if (m.n < 8 || n_header > m.n - 8 || n_header > MAX_HEADER)
        return error_set(err, E_INPUT,
                         "cannot read \"%s\": its header of %" PRIu64
                         " bytes does not fit the file of %zu; it is truncated, damaged or no "
                         "safetensors file",
                         file, n_header, m.n);
    struct value *header;
    struct str text = {(const char *)m.p + 8, (size_t)n_header};
    if ((r = json_parse(&c->arena, text, file, &header, err)) < 0)
        return r;
    if (header->type != VALUE_DICT)
        return error_set(err, E_INPUT, "cannot read \"%s\": its header is no JSON object", file);
    const unsigned char *data = m.p + 8 + n_header;
    for (size_t i = 0; i < header->dict.n && r == 0; i++) {
        const struct value_entry *e = &header->dict.entries[i];
        if (!str_eqz(e->key->s, "__metadata__"))
            r = read_tensor(c, file, e->key->s, e->value, data, m.n - 8 - (size_t)n_header, err);
    }
    return r;
}

/* The shards that the index names, each once. */
static int read_shards(struct checkpoint *c, const char *index, struct error *err)
{
    struct value *v, *map;
    int r = json_read(&c->arena, index, &v, err);
    if (r < 0)
        return r;
    map = dict_get(v, "weight_map");
    if (!map || map->type != VALUE_DICT || map->dict.n == 0)
        return error_set(err, E_INPUT, "cannot read \"%s\": it has no weight_map", index);
    const char **names = arena_array(&c->arena, map->dict.n, sizeof *names);
    for (size_t i = 0; i < map->dict.n; i++) {
        const struct value *name = map->dict.entries[i].value;
        if (name->type != VALUE_STR || strlen(name->s.p) != name->s.n || strchr(name->s.p, '/'))
            return error_set(err, E_INPUT, "cannot read \"%s\": a weight's file is no file name",
                             index);
        names[i] = name->s.p;
    }
    sort_names(names, map->dict.n);
    for (size_t i = 0; i < map->dict.n && r == 0; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            r = read_one(c, path_join(&c->arena, c->path, names[i]), err);
    return r;
}

int safetensors_read_folder(struct checkpoint *c, struct error *err)
{
    const char *config = path_join(&c->arena, c->path, "config.json"),
               *single = path_join(&c->arena, c->path, "model.safetensors"),
               *index = path_join(&c->arena, c->path, "model.safetensors.index.json");
    if (!file_exists(config))
        return error_set(err, E_IO,
                         "cannot open the model \"%s\": the folder has no config.json; give a "
                         "Hugging Face model folder or a GGUF file",
                         c->path);
    int r = json_read(&c->arena, config, &c->settings, err);
    if (r < 0)
        return r;
    if (c->settings->type != VALUE_DICT)
        return error_set(err, E_INPUT, "cannot read \"%s\": it is no JSON object", config);
    if (file_exists(index))
        return read_shards(c, index, err);
    if (file_exists(single))
        return read_one(c, single, err);
    return error_set(err, E_IO,
                     "cannot open the model \"%s\": the folder has neither model.safetensors nor "
                     "model.safetensors.index.json; other weight files (.bin, .pth) are not read, "
                     "since they can run code: convert them to safetensors",
                     c->path);
}
