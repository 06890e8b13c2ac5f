#include "backends/local/forward.h"

#include <math.h>

int forward_open(const struct model *m, const struct kernels *k, enum format dtype, int T,
                 struct forward *ret, struct error *err)
{
    *ret = (struct forward){.m = m, .k = k, .dtype = dtype, .embedding.file.fd = -1};
    size_t D = (size_t)m->width, F = (size_t)m->hidden,
           H = (size_t)m->n_heads * (size_t)m->head_size,
           G = (size_t)m->n_kv_heads * (size_t)m->head_size;
    const struct {
        float **p;
        size_t width;
    } buffers[] = {
        {&ret->x, D},        {&ret->y, D > H ? D : H}, {&ret->angles, (size_t)m->head_size},
        {&ret->q, H},        {&ret->k_new, G},         {&ret->v_new, G},
        {&ret->attended, H}, {&ret->gate, F},          {&ret->up, F}};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        *buffers[i].p = k->buffer_new(k->dev, (size_t)T * buffers[i].width * sizeof(float));
        if (!*buffers[i].p)
            return error_set(err, E_MEMORY,
                             "out of memory: a step of %d tokens does not fit; lower "
                             "--token-budget",
                             T);
    }
    return embedding_open(m, T, &ret->embedding, err);
}

void forward_close(struct forward *f)
{
    float *buffers[] = {f->x,     f->y,        f->angles, f->q, f->k_new,
                        f->v_new, f->attended, f->gate,   f->up};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (buffers[i])
            f->k->buffer_free(f->k->dev, buffers[i]);
    embedding_close(&f->embedding);
}

static void round_to_dtype(struct forward *f, float *x, int T, int64_t width)
{
    if (f->dtype != FORMAT_F32)
        f->k->round_to(f->k->dev, x, (size_t)T * (size_t)width, f->dtype);
}

static void see(const struct forward *f, enum layer_input input, const float *x, int T,
                const struct weight *w)
{
    if (f->hook.see)
        f->hook.see(f->hook.arg, input, x, T, w->cols);
}

static void linear(struct forward *f, float *y, const float *x, const struct weight *w,
                   const float *bias, int T)
{
    f->k->linear(f->k->dev, y, x, w, bias, T);
    round_to_dtype(f, y, T, w->rows);
}

/* A norm inside the layer, where the family has one. */
static void sub_norm(struct forward *f, float *x, const float *w, int T, int64_t width)
{
    if (w)
        f->k->add_rmsnorm(f->k->dev, x, x, NULL, w, T, (int)width, f->m->norm_eps, f->dtype);
}

/* x += more (NULL: nothing); y = norm(x). */
static void add_norm(struct forward *f, float *y, float *x, const float *more, const float *w,
                     int T)
{
    f->k->add_rmsnorm(f->k->dev, y, x, more, w, T, f->m->width, f->m->norm_eps, f->dtype);
}

static void rope(struct forward *f, float *x, int T, int n_heads)
{
    f->k->rope(f->k->dev, x, f->angles, T, n_heads, f->m->head_size, f->m->rope, f->dtype);
}

/* Reads x, after adding what the layer before left in y; leaves in y what is to be added. */
static void attention(struct forward *f, const struct layer *l, const struct batch *b,
                      const struct forward_kv *kv, bool adds_y)
{
    const struct model *m = f->m;
    const struct kernels *k = f->k;
    int T = b->n_rows;
    add_norm(f, f->y, f->x, adds_y ? f->y : NULL, l->attn_norm, T);
    see(f, INPUT_QKV, f->y, T, &l->q);
    linear(f, f->q, f->y, &l->q, l->q_bias, T);
    linear(f, f->k_new, f->y, &l->k, l->k_bias, T);
    linear(f, f->v_new, f->y, &l->v, l->v_bias, T);
    rope(f, f->q, T, m->n_heads);
    rope(f, f->k_new, T, m->n_kv_heads);
    k->kv_write(k->dev, kv->cache, kv->layer, f->k_new, f->v_new, b);
    k->kv_copy(k->dev, kv->cache, kv->layer, kv->copies, kv->n_copies);
    k->attention(k->dev, f->attended, f->q, kv->cache, kv->layer, b, m->n_heads,
                 1.0f / sqrtf((float)m->head_size));
    round_to_dtype(f, f->attended, T, (int64_t)m->n_heads * m->head_size);
    sub_norm(f, f->attended, l->attn_sub_norm, T, l->o.cols);
    see(f, INPUT_O, f->attended, T, &l->o);
    linear(f, f->y, f->attended, &l->o, l->o_bias, T);
}

static void feed_forward(struct forward *f, const struct layer *l, int T)
{
    add_norm(f, f->y, f->x, f->y, l->ffn_norm, T);
    see(f, INPUT_FFN, f->y, T, &l->gate);
    linear(f, f->gate, f->y, &l->gate, l->gate_bias, T);
    linear(f, f->up, f->y, &l->up, l->up_bias, T);
    (f->m->gate == GATE_RELU2 ? f->k->relu2_mul : f->k->silu_mul)(
        f->k->dev, f->gate, f->gate, f->up, (size_t)T * (size_t)f->m->hidden, f->dtype);
    sub_norm(f, f->gate, l->ffn_sub_norm, T, l->down.cols);
    see(f, INPUT_DOWN, f->gate, T, &l->down);
    linear(f, f->y, f->gate, &l->down, l->down_bias, T);
}

int forward_begin(struct forward *f, const struct batch *b, struct error *err)
{
    const struct kernels *k = f->k;
    if (k->begin)
        k->begin(k->dev, b);
    int r = embedding_rows(&f->embedding, f->m, k, f->x, b->tokens, b->n_rows, err);
    if (r < 0)
        return r;
    round_to_dtype(f, f->x, b->n_rows, f->m->width);
    k->rope_angles(k->dev, f->angles, b->positions, f->m->inv_freq, 1.0f, b->n_rows,
                   f->m->head_size);
    return 0;
}

void forward_layer(struct forward *f, const struct layer *l, const struct batch *b,
                   const struct forward_kv *kv, bool adds_y)
{
    attention(f, l, b, kv, adds_y);
    feed_forward(f, l, b->n_rows);
}

void forward_end(struct forward *f, const struct batch *b)
{
    f->k->add(f->k->dev, f->x, f->y, (size_t)b->n_rows * (size_t)f->m->width, f->dtype);
}

void forward_last_norm(struct forward *f, float *y, float *rows, int n)
{
    add_norm(f, y, rows, NULL, f->m->norm, n);
}
