/* on_device.c: a table whose operations take host memory, as the checks have it, over one whose
 * memory is its own: operands go there and results come back. Weights and caches stay there. */
#include "tests/kernels/on_device.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"

struct device {
    struct kernels k; /* the real one */
};

/* A copy of n bytes, for drop(). */
static void *there(struct device *d, const void *p, size_t n)
{
    void *ret = d->k.buffer_new(d->k.dev, n);
    assert(ret);
    if (p)
        d->k.to_device(d->k.dev, ret, p, n);
    return ret;
}

static float *floats_there(struct device *d, const float *p, size_t n)
{
    return there(d, p, n * sizeof *p);
}

static void back(struct device *d, float *to, float *from, size_t n)
{
    d->k.to_host(d->k.dev, to, from, n * sizeof *to);
    d->k.buffer_free(d->k.dev, from);
}

static void drop(struct device *d, void *p)
{
    d->k.buffer_free(d->k.dev, p);
}

static size_t product(int a, int64_t b)
{
    return (size_t)a * (size_t)b;
}

static void *buffer_new(struct device *d, size_t bytes)
{
    return d->k.buffer_new(d->k.dev, bytes);
}

static void to_device(struct device *d, void *to, const void *from, size_t bytes)
{
    d->k.to_device(d->k.dev, to, from, bytes);
}

static void to_host(struct device *d, void *to, const void *from, size_t bytes)
{
    d->k.to_host(d->k.dev, to, from, bytes);
}

static int weight_pack(struct device *d, struct weight *w, struct error *err)
{
    return d->k.weight_pack(d->k.dev, w, err);
}

static void weight_free(struct device *d, struct weight *w)
{
    d->k.weight_free(d->k.dev, w);
}

static size_t packed_bytes(struct device *d, const struct weight *w)
{
    return d->k.packed_bytes(d->k.dev, w);
}

static void embed(struct device *d, float *x, const struct weight *table, const int32_t *tokens,
                  int T)
{
    size_t n = product(T, table->cols);
    float *dx = floats_there(d, NULL, n);
    d->k.embed(d->k.dev, dx, table, tokens, T);
    back(d, x, dx, n);
}

static void add_rmsnorm(struct device *d, float *y, float *x, const float *add, const float *w,
                        int T, int D, float eps, enum format dtype)
{
    size_t n = product(T, D);
    float *dx = floats_there(d, x, n), *dadd = add ? floats_there(d, add, n) : NULL;
    float *dw = floats_there(d, w, (size_t)D);
    float *dy = y == x ? dx : add && y == add ? dadd : floats_there(d, NULL, n);
    d->k.add_rmsnorm(d->k.dev, dy, dx, dadd, dw, T, D, eps, dtype);
    d->k.to_host(d->k.dev, x, dx, n * sizeof *x);
    d->k.to_host(d->k.dev, y, dy, n * sizeof *y);
    drop(d, dw);
    drop(d, dx);
    drop(d, dadd);
    if (dy != dx && dy != dadd)
        drop(d, dy);
}

static void linear(struct device *d, float *y, const float *x, const struct weight *w,
                   const float *bias, int T)
{
    size_t n = product(T, w->rows);
    float *dx = floats_there(d, x, product(T, w->cols)), *dy = floats_there(d, NULL, n);
    float *dbias = bias ? floats_there(d, bias, (size_t)w->rows) : NULL;
    d->k.linear(d->k.dev, dy, dx, w, dbias, T);
    back(d, y, dy, n);
    drop(d, dx);
    drop(d, dbias);
}

static void rope_angles(struct device *d, float *angles, const int32_t *positions,
                        const float *inv_freq, float scale, int T, int S)
{
    float *da = floats_there(d, NULL, product(T, S));
    float *df = floats_there(d, inv_freq, (size_t)S / 2);
    d->k.rope_angles(d->k.dev, da, positions, df, scale, T, S);
    back(d, angles, da, product(T, S));
    drop(d, df);
}

static void rope(struct device *d, float *x, const float *angles, int T, int n_heads, int S,
                 enum rope_kind kind, enum format dtype)
{
    size_t n = product(T, n_heads) * (size_t)S;
    float *dx = floats_there(d, x, n), *da = floats_there(d, angles, product(T, S));
    d->k.rope(d->k.dev, dx, da, T, n_heads, S, kind, dtype);
    back(d, x, dx, n);
    drop(d, da);
}

static void kv_write(struct device *d, const struct kv_cache *kv, int layer, const float *k,
                     const float *v, const struct batch *b)
{
    size_t n = product(b->n_rows, kv->n_kv_heads) * (size_t)kv->head_size;
    float *dk = floats_there(d, k, n), *dv = floats_there(d, v, n);
    d->k.begin(d->k.dev, b);
    d->k.kv_write(d->k.dev, kv, layer, dk, dv, b);
    drop(d, dk);
    drop(d, dv);
}

static void kv_copy(struct device *d, const struct kv_cache *kv, int layer,
                    const struct kv_copy *copies, int n)
{
    d->k.kv_copy(d->k.dev, kv, layer, copies, n);
}

static void attention(struct device *d, float *y, const float *q, const struct kv_cache *kv,
                      int layer, const struct batch *b, int H, float scale)
{
    size_t n = product(b->n_rows, H) * (size_t)kv->head_size;
    float *dq = floats_there(d, q, n), *dy = floats_there(d, NULL, n);
    d->k.begin(d->k.dev, b);
    d->k.attention(d->k.dev, dy, dq, kv, layer, b, H, scale);
    back(d, y, dy, n);
    drop(d, dq);
}

typedef void gate_function(struct device *dev, float *y, const float *gate, const float *up,
                           size_t n, enum format dtype);

static void gated(struct device *d, gate_function *f, float *y, const float *gate, const float *up,
                  size_t n, enum format dtype)
{
    float *dg = floats_there(d, gate, n), *du = floats_there(d, up, n);
    f(d->k.dev, dg, dg, du, n, dtype);
    back(d, y, dg, n);
    drop(d, du);
}

static void silu_mul(struct device *d, float *y, const float *gate, const float *up, size_t n,
                     enum format dtype)
{
    gated(d, d->k.silu_mul, y, gate, up, n, dtype);
}

static void relu2_mul(struct device *d, float *y, const float *gate, const float *up, size_t n,
                      enum format dtype)
{
    gated(d, d->k.relu2_mul, y, gate, up, n, dtype);
}

static void add(struct device *d, float *y, const float *x, size_t n, enum format dtype)
{
    float *dy = floats_there(d, y, n), *dx = floats_there(d, x, n);
    d->k.add(d->k.dev, dy, dx, n, dtype);
    back(d, y, dy, n);
    drop(d, dx);
}

static void round_to(struct device *d, float *x, size_t n, enum format dtype)
{
    float *dx = floats_there(d, x, n);
    d->k.round_to(d->k.dev, dx, n, dtype);
    back(d, x, dx, n);
}

/* The rows of x that there are: those up to the greatest asked for. */
static void gather(struct device *d, float *y, const float *x, const int32_t *rows, int n, int D)
{
    int most = -1;
    for (int i = 0; i < n; i++)
        most = rows[i] > most ? rows[i] : most;
    float *dx = floats_there(d, x, product(most + 1, D)),
          *dy = floats_there(d, NULL, product(n, D));
    d->k.gather(d->k.dev, dy, dx, rows, n, D);
    back(d, y, dy, product(n, D));
    drop(d, dx);
}

static void logprobs(struct device *d, struct token_logprob *ret, struct top_token *top,
                     const struct weight *head, const struct asked *asked)
{
    struct asked a = *asked;
    float *dx = floats_there(d, a.x, product(a.T, head->cols));
    a.x = dx;
    d->k.logprobs(d->k.dev, ret, top, head, &a);
    drop(d, dx);
}

static int check(struct device *d, struct error *err)
{
    return d->k.check(d->k.dev, err);
}

static void begin(struct device *d, const struct batch *b)
{
    d->k.begin(d->k.dev, b);
}

static void close_table(struct device *d)
{
    d->k.close(d->k.dev);
    free(d);
}

struct kernels on_device(const struct kernels *inner)
{
    struct kernels k = {
        .numerics = inner->numerics,
        .on_device = true,
        .buffer_new = buffer_new,
        .buffer_free = drop,
        .to_device = to_device,
        .to_host = to_host,
        .weight_pack = weight_pack,
        .weight_free = weight_free,
        .packed_bytes = packed_bytes,
        .begin = begin,
        .embed = embed,
        .add_rmsnorm = add_rmsnorm,
        .linear = linear,
        .rope_angles = rope_angles,
        .rope = rope,
        .kv_write = kv_write,
        .kv_copy = kv_copy,
        .attention = attention,
        .silu_mul = silu_mul,
        .relu2_mul = relu2_mul,
        .add = add,
        .round_to = round_to,
        .gather = gather,
        .logprobs = logprobs,
        .check = check,
        .close = close_table,
    };
    k.dev = mem_alloc(1, sizeof *k.dev);
    k.dev->k = *inner;
    return k;
}
