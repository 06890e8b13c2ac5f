#include "backends/local/weights.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/local/stored.h"

/* ---- memory ---- */

void *owned_new(struct owned *o, size_t n, size_t size)
{
    void *p = mem_try(n, size);
    if (p)
        *ARRAY_PUSH(o) = p;
    return p;
}

static size_t index_of(const struct owned *o, const void *p)
{
    size_t i = 0;
    while (i < o->n && o->items[i] != p)
        i++;
    return i;
}

bool owned_has(const struct owned *o, const void *p)
{
    return index_of(o, p) < o->n;
}

void owned_drop(struct owned *o, const void *p)
{
    size_t i = index_of(o, p);
    if (i == o->n)
        return;
    free(o->items[i]);
    o->items[i] = o->items[--o->n];
}

void owned_free(struct owned *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->items[i]);
    free(o->items);
    *o = (struct owned){0};
}

void forget_pages(const void *p, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)p;
    uintptr_t end = (begin + bytes) / page * page;
    begin = (begin + page - 1) / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* ---- tensors ---- */

const struct tensor *tensor_need(const struct checkpoint *c, const char *name, struct error *err)
{
    const struct tensor *t = checkpoint_tensor(c, name);
    if (!t)
        error_set(err, E_INPUT, "cannot run the model \"%s\": it lacks the tensor \"%s\"", c->path,
                  name);
    return t;
}

void put_shape(struct buf *b, const int64_t *shape, int n_dims)
{
    buf_char(b, '[');
    for (int d = 0; d < n_dims; d++)
        buf_printf(b, "%s%" PRId64, d ? ", " : "", shape[d]);
    buf_char(b, ']');
}

int tensor_check(const struct checkpoint *c, const struct tensor *t, int n_dims, int64_t rows,
                 int64_t cols, struct error *err)
{
    if (t->format == FORMAT_COUNT) {
        struct buf known = {0};
        for (int f = 0; f < FORMAT_COUNT; f++)
            if (!format_info[f].codes)
                buf_printf(&known, "%s%s", known.n ? ", " : "", format_info[f].name);
        error_set(err, E_UNSUPPORTED,
                  "cannot run the model \"%s\": tensor \"%.*s\" is stored as %s, which is not "
                  "known; known: %s",
                  c->path, STR_ARG(t->name), t->type_name, known.p);
        buf_free(&known);
        return E_UNSUPPORTED;
    }
    const int64_t wanted[] = {rows, cols}, *want = n_dims == 1 ? wanted + 1 : wanted;
    if (t->n_dims == n_dims && memcmp(t->shape, want, (size_t)n_dims * sizeof *want) == 0)
        return 0;
    struct buf has = {0}, needs = {0};
    put_shape(&has, t->shape, t->n_dims);
    put_shape(&needs, want, n_dims);
    int r = error_set(err, E_INPUT,
                      "cannot run the model \"%s\": tensor \"%.*s\" has the shape %s, its "
                      "settings ask for %s",
                      c->path, STR_ARG(t->name), has.p, needs.p);
    buf_free(&has);
    buf_free(&needs);
    return r;
}

float *tensor_vector(struct arena *a, const struct checkpoint *c, const struct tensor *t, int n,
                     struct error *err)
{
    if (tensor_check(c, t, 1, 1, n, err) < 0)
        return NULL;
    struct weight row = {.format = t->format, .rows = 1, .cols = n, .data = t->data};
    float *ret = arena_array(a, (size_t)n, sizeof *ret);
    weight_row_to_f32(&row, 0, ret);
    return ret;
}

/* Kernels read floats at their natural alignment; a file may put them anywhere. */
static int align(const struct checkpoint *c, struct owned *o, struct weight *w, size_t bytes,
                 struct error *err)
{
    size_t size = w->format == FORMAT_F32 ? sizeof(float) : 2;
    if ((uintptr_t)w->data % size == 0)
        return 0;
    void *copy = owned_new(o, bytes, 1);
    if (!copy)
        return error_set(err, E_MEMORY, "out of memory: the model \"%s\" does not fit", c->path);
    w->data = memcpy(copy, w->data, bytes);
    return 0;
}

int tensor_matrix(const struct checkpoint *c, struct owned *o, const struct tensor *t, int64_t rows,
                  int64_t cols, struct weight *ret, struct error *err)
{
    int r = tensor_check(c, t, 2, rows, cols, err);
    if (r < 0)
        return r;
    *ret = (struct weight){.format = t->format, .rows = rows, .cols = cols, .data = t->data};
    return align(c, o, ret, t->bytes, err);
}

/* Codes without a word on how they are stored. */
static int unexplained(const struct matrix_source *s, const char *module, const char *tensor,
                       struct error *err)
{
    return error_set(err, E_INPUT,
                     "cannot run the model \"%s\": it has the tensor \"%s\", but %s%s that module "
                     "\"%s\" is quantized",
                     s->c->path, tensor, s->config ? s->config->where : "config.json",
                     s->config ? " does not say" : " has no quantization_config that says", module);
}

int matrix_read(const struct matrix_source *s, const char *module, const char *class, int64_t rows,
                int64_t cols, struct weight *ret, struct error *err)
{
    const struct stored *how = NULL;
    int r = quant_config_find(s->config, str_of(module), class, &how, err);
    if (r < 0)
        return r;
    if (how)
        return stored_read(s, module, how, rows, cols, ret, err);
    const char *trace = s->c->is_gguf ? NULL : stored_trace(s->c, s->arena, module);
    if (trace)
        return unexplained(s, module, trace, err);
    const struct tensor *t = tensor_need(s->c, arena_printf(s->arena, "%s.weight", module), err);
    return t ? tensor_matrix(s->c, s->owned, t, rows, cols, ret, err) : err->code;
}
