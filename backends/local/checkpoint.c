#include "backends/local/checkpoint.h"

#include <stdlib.h>

static int by_name(const void *x, const void *y)
{
    const struct tensor *a = x, *b = y;
    return str_cmp(a->name, b->name);
}

static int sort_tensors(struct checkpoint *c, struct error *err)
{
    if (c->tensors.n) /* qsort wants no NULL */
        qsort(c->tensors.items, c->tensors.n, sizeof *c->tensors.items, by_name);
    for (size_t i = 1; i < c->tensors.n; i++)
        if (str_eq(c->tensors.items[i].name, c->tensors.items[i - 1].name))
            return error_set(err, E_INPUT,
                             "cannot read the model \"%s\": it has two tensors named \"%.*s\"",
                             c->path, STR_ARG(c->tensors.items[i].name));
    return 0;
}

static int read_file(struct checkpoint *c, struct error *err)
{
    struct mapping m;
    int r = mapping_open(c->path, &m, err);
    if (r < 0)
        return error_prefix(err, "cannot open the model: ");
    *ARRAY_PUSH(&c->files) = m;
    if (m.n >= 4 && memcmp(m.p, "GGUF", 4) == 0) {
        c->is_gguf = true;
        return gguf_read(c, err);
    }
    return error_set(err, E_INPUT,
                     "cannot read the model \"%s\": it does not begin with GGUF%s; give a GGUF "
                     "file or a Hugging Face folder with config.json and safetensors",
                     c->path, m.n == 0 ? " (it is empty)" : "");
}

/* Weights are hashed piece by piece on all threads, their hashes then in order. */
enum { HASH_PIECE = 4 << 20 };

struct hashing {
    const struct mapping *file;
    char (*hashes)[HASH_HEX];
};

static void hash_piece(void *arg, size_t part, int thread)
{
    (void)thread;
    const struct hashing *h = arg;
    const unsigned char *p = h->file->p + part * HASH_PIECE;
    size_t left = h->file->n - part * HASH_PIECE, n = left < HASH_PIECE ? left : HASH_PIECE;
    hash_bytes(p, n, h->hashes[part]);
}

static void hash_weights(struct hasher *h, const struct mapping *file, struct pool *pool)
{
    size_t n = (file->n + HASH_PIECE - 1) / HASH_PIECE;
    struct hashing job = {file, mem_alloc(n + 1, sizeof *job.hashes)};
    pool_run(pool, n, hash_piece, &job);
    hasher_field(h, (struct str){(const char *)job.hashes, n * sizeof *job.hashes});
    free(job.hashes);
}

/* A folder's small files count too: a changed tokenizer changes scores. */
static int hash_files(struct checkpoint *c, struct pool *pool, struct error *err)
{
    static const char *const small[] = {"config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "generation_config.json",
                                        "chat_template.jinja",
                                        "quantize_config.json",
                                        "quant_config.json"};
    struct hasher *h = hasher_new();
    for (size_t i = 0; i < c->files.n; i++)
        hash_weights(h, &c->files.items[i], pool);
    int r = 0;
    for (size_t i = 0; !c->is_gguf && i < sizeof small / sizeof *small && r == 0; i++) {
        const char *path = path_join(&c->arena, c->path, small[i]);
        struct mapping m;
        if (!file_exists(path))
            continue;
        hasher_field(h, str_of(small[i]));
        if ((r = mapping_open(path, &m, err)) < 0)
            break;
        hasher_field(h, (struct str){(const char *)m.p, m.n});
        mapping_close(&m);
    }
    hasher_end(h, c->hash);
    return r;
}

int checkpoint_open(const char *path, struct pool *pool, struct checkpoint **ret, struct error *err)
{
    struct checkpoint *c = mem_alloc(1, sizeof *c);
    c->path = arena_copy(&c->arena, path, strlen(path));
    int r = folder_exists(path) ? safetensors_read_folder(c, err) : read_file(c, err);
    if (r == 0)
        r = sort_tensors(c, err);
    if (r == 0)
        r = hash_files(c, pool, err);
    if (r < 0)
        checkpoint_close(c);
    else
        *ret = c;
    return r;
}

void checkpoint_close(struct checkpoint *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->files.n; i++)
        mapping_close(&c->files.items[i]);
    free(c->files.items);
    free(c->tensors.items);
    free(c->arrays.items);
    arena_free(&c->arena);
    free(c);
}

const struct tensor *checkpoint_tensor(const struct checkpoint *c, const char *name)
{
    struct tensor key = {.name = str_of(name)};
    if (c->tensors.n == 0)
        return NULL;
    return bsearch(&key, c->tensors.items, c->tensors.n, sizeof key, by_name);
}

const struct gguf_array *checkpoint_array(const struct checkpoint *c, const char *key)
{
    for (size_t i = 0; i < c->arrays.n; i++)
        if (str_eqz(c->arrays.items[i].key, key))
            return &c->arrays.items[i];
    return NULL;
}
