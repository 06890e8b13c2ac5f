#include "backends/local/metadata.h"

#include "base/json.h"

/* A list of strings in the file; E_INPUT when it is a list of something else. */
static int string_array(struct arena *a, const struct checkpoint *c, const char *key,
                        const struct str **ret, size_t *n, struct error *err)
{
    const struct gguf_array *array = checkpoint_array(c, key);
    if (!array)
        return 0;
    if (array->type != GGUF_STRING)
        return error_set(err, E_INPUT, "cannot read the model \"%s\": \"%s\" is no list of texts",
                         c->path, key);
    struct str *items = arena_array(a, (size_t)array->n, sizeof *items);
    const unsigned char *p = array->data; /* gguf.c has walked over it: all lengths are right */
    for (uint64_t i = 0; i < array->n; i++) {
        uint64_t length;
        memcpy(&length, p, sizeof length);
        items[i] = (struct str){(const char *)p + sizeof length, (size_t)length};
        p += sizeof length + length;
    }
    *ret = items;
    *n = (size_t)array->n;
    return 0;
}

static int number_array(const struct checkpoint *c, const char *key, uint32_t type, size_t n,
                        const void **ret, struct error *err)
{
    const struct gguf_array *array = checkpoint_array(c, key);
    if (!array)
        return 0;
    if (array->type != type || array->n != n)
        return error_set(err, E_INPUT,
                         "cannot read the model \"%s\": \"%s\" does not have one number a token",
                         c->path, key);
    *ret = array->data;
    return 0;
}

static struct str text_of(const struct checkpoint *c, const char *key)
{
    const struct value *v = dict_get(c->settings, key);
    return v && v->type == VALUE_STR ? v->s : (struct str){"", 0};
}

static int64_t id_of(const struct checkpoint *c, const char *key)
{
    const struct value *v = dict_get(c->settings, key);
    return v && v->type == VALUE_INT ? v->i : -1;
}

static int switch_of(const struct checkpoint *c, const char *key)
{
    const struct value *v = dict_get(c->settings, key);
    return v && v->type == VALUE_BOOL ? v->b : -1;
}

static int tokenizer_of_gguf(struct arena *a, const struct checkpoint *c, struct tokenizer **ret,
                             struct error *err)
{
    struct tokenizer_gguf g = {
        .model = text_of(c, "tokenizer.ggml.model"),
        .pre = text_of(c, "tokenizer.ggml.pre"),
        .bos = id_of(c, "tokenizer.ggml.bos_token_id"),
        .eos = id_of(c, "tokenizer.ggml.eos_token_id"),
        .unk = id_of(c, "tokenizer.ggml.unknown_token_id"),
        .pad = id_of(c, "tokenizer.ggml.padding_token_id"),
        .add_bos = switch_of(c, "tokenizer.ggml.add_bos_token"),
        .add_eos = switch_of(c, "tokenizer.ggml.add_eos_token"),
        .add_space_prefix = switch_of(c, "tokenizer.ggml.add_space_prefix"),
        .chat_template = text_of(c, "tokenizer.chat_template"),
    };
    int r;
    if ((r = string_array(a, c, "tokenizer.ggml.tokens", &g.tokens, &g.n_tokens, err)) < 0 ||
        (r = string_array(a, c, "tokenizer.ggml.merges", &g.merges, &g.n_merges, err)) < 0 ||
        (r = number_array(c, "tokenizer.ggml.scores", GGUF_FLOAT32, g.n_tokens, &g.scores, err)) <
            0 ||
        (r = number_array(c, "tokenizer.ggml.token_type", GGUF_INT32, g.n_tokens, &g.token_types,
                          err)) < 0)
        return r;
    if (!g.tokens)
        return error_set(err, E_INPUT,
                         "cannot run the model \"%s\": the file has no tokenizer "
                         "(tokenizer.ggml.tokens); convert it again with its tokenizer",
                         c->path);
    return tokenizer_from_gguf(&g, c->path, ret, err);
}

int tokenizer_of(const struct checkpoint *c, struct tokenizer **ret, struct error *err)
{
    if (!c->is_gguf)
        return tokenizer_from_folder(c->path, ret, err);
    struct arena scratch = {0};
    int r = tokenizer_of_gguf(&scratch, c, ret, err);
    arena_free(&scratch);
    return r;
}

int stop_ids_of(struct arena *a, const struct checkpoint *c, int32_t eos, const int32_t **ret,
                int *n, struct error *err)
{
    struct value *config = c->settings;
    const char *path = path_join(a, c->path, "generation_config.json");
    if (!c->is_gguf && file_exists(path)) {
        int r = json_read(a, path, &config, err);
        if (r < 0)
            return r;
    }
    const struct value *v = c->is_gguf ? NULL : dict_get(config, "eos_token_id");
    size_t n_listed = v && v->type == VALUE_LIST ? v->list.n : 0;
    int32_t *ids = arena_array(a, n_listed + 2, sizeof *ids);
    *n = 0;
    if (eos >= 0)
        ids[(*n)++] = eos;
    if (v && v->type == VALUE_INT)
        ids[(*n)++] = (int32_t)v->i;
    for (size_t i = 0; i < n_listed; i++)
        if (v->list.items[i]->type == VALUE_INT)
            ids[(*n)++] = (int32_t)v->list.items[i]->i;
    *ret = ids;
    return 0;
}
