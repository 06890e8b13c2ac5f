#include "backends/local/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/local/awq.h"
#include "backends/local/gptq.h"
#include "backends/local/smoothquant.h"
#include "base/limits.h"

struct work {
    struct model *m;
    const struct quantize_options *o;
    const struct scheme *s;
    struct calibrator *calibrator; /* NULL: nothing is learnt */
    struct arena names;
    int layer;
    double done; /* of the layer */
    size_t n_made;
    struct error *err;
};

/* ---- who is told ---- */

static void tell(struct work *w, double share_of_layer)
{
    if (w->o->told)
        w->o->told(w->o->arg, ((double)w->layer + share_of_layer) / (double)w->m->n_layers);
}

static void on_sample(void *arg, int done, int all)
{
    struct work *w = arg;
    tell(w, w->done + 0.4 * done / all);
}

static void tell_made(struct work *w, const char *module, const struct weight *from,
                      const struct weight *to, double error)
{
    w->n_made++;
    if (w->o->made)
        w->o->made(w->o->arg,
                   &(struct made){module, to, error, weight_bytes(from), weight_bytes(to)});
}

/* ---- one matrix by itself ---- */

struct distance {
    const struct weight *to;
    const float *w;
    float *scratch;       /* [threads, cols] */
    double *moved, *size; /* [rows] */
};

static void measure_row(void *arg, size_t row, int thread)
{
    struct distance *d = arg;
    size_t cols = (size_t)d->to->cols;
    float *q = d->scratch + (size_t)thread * cols;
    const float *w = d->w + row * cols;
    weight_row_to_f32(d->to, (int64_t)row, q);
    for (size_t i = 0; i < cols; i++) {
        double e = (double)w[i] - (double)q[i];
        d->moved[row] += e * e;
        d->size[row] += (double)w[i] * (double)w[i];
    }
}

/* Adds the squares of what rounding moved and of what there was. */
static void measure(struct pool *pool, const float *w, const struct weight *to, double *moved,
                    double *size)
{
    size_t rows = (size_t)to->rows;
    struct distance d = {
        .to = to,
        .w = w,
        .scratch = mem_alloc((size_t)pool_size(pool) * (size_t)to->cols, sizeof *d.scratch),
        .moved = mem_alloc(2 * rows, sizeof *d.moved)};
    d.size = d.moved + rows;
    pool_run(pool, rows, measure_row, &d);
    for (size_t i = 0; i < rows; i++) {
        *moved += d.moved[i];
        *size += d.size[i];
    }
    free(d.scratch);
    free(d.moved);
}

static double ratio(double moved, double size)
{
    return size > 0 ? sqrt(moved / size) : 0;
}

/* Rows that are rounded each by itself need not be floats all at once. */
static struct weight some_rows(const struct weight *w, int64_t first, int64_t n)
{
    struct weight ret = *w;
    ret.data = (const char *)w->data + (size_t)first * format_row_bytes(w->format, w->cols);
    ret.rows = n;
    return ret;
}

static int round_rows(struct work *w, const struct weight *from, struct weight *to, double *error)
{
    enum { AT_ONCE = 4096 };
    bool codes = format_info[from->format].codes || format_info[to->format].codes;
    int64_t step = codes ? from->rows : AT_ONCE;
    double moved = 0, size = 0;
    int r = 0;
    for (int64_t first = 0; first < from->rows && r == 0; first += step) {
        int64_t n = from->rows - first < step ? from->rows - first : step;
        struct weight part = some_rows(from, first, n), made = some_rows(to, first, n);
        float *x = weight_to_f32(w->o->pool, &part);
        r = x ? round_to_nearest(w->o->pool, x, &made, w->err)
              : error_set(w->err, E_MEMORY, "out of memory: a matrix as floats does not fit");
        if (r == 0)
            measure(w->o->pool, x, &made, &moved, &size);
        if (r == 0 && codes)
            *to = made;
        free(x);
    }
    *error = ratio(moved, size);
    return r;
}

static int about(struct work *w, const char *module)
{
    return error_prefix(w->err, "cannot quantize \"%s\" of the model \"%s\": ", module,
                        w->m->files->path);
}

/* Of GGUF's blocks a matrix is left as it is whose columns are no multiple; codes take any. Words
 * multiply activations as they are. */
static int quantize_matrix(struct work *w, const char *module, struct weight *matrix, bool of_words)
{
    struct weight to;
    double error = 0;
    bool blocks = !format_info[w->s->weights.format].codes;
    if (blocks && (!codes_fit(w->s, matrix->cols) || matrix->format == w->s->weights.format)) {
        matrix->x.kind =
            of_words || !codes_take(matrix->format, w->s->x.kind) ? X_F32 : w->s->x.kind;
        return 0;
    }
    int r = codes_new(w->s, matrix->rows, matrix->cols, matrix->format, &to, w->err);
    if (r == 0 && of_words)
        to.x.kind = X_F32;
    if (r == 0 && (r = round_rows(w, matrix, &to, &error)) < 0)
        free((void *)(uintptr_t)to.data);
    if (r < 0)
        return about(w, module);
    tell_made(w, module, matrix, &to, error);
    model_replace(w->m, matrix, &to);
    return 0;
}

static int quantize_layer(struct work *w, const bool stays[N_LAYER_MATRICES])
{
    struct layer *l = &w->m->layers[w->layer];
    int r = 0;
    for (int i = 0; i < N_LAYER_MATRICES && r == 0; i++) {
        if (!stays[i])
            r = quantize_matrix(w, module_name(&w->names, w->layer, (enum layer_matrix)i),
                                layer_weight(l, (enum layer_matrix)i), false);
        tell(w, (i + 1.0) / N_LAYER_MATRICES);
    }
    return r;
}

/* ---- a layer by what it sees ---- */

static int pack_layer(struct work *w, const struct layer *l, struct layer *ret)
{
    *ret = *l;
    int r = 0;
    for (int i = 0; i < N_LAYER_MATRICES && r == 0; i++)
        r = w->o->k->weight_pack(w->o->k->dev, layer_weight(ret, (enum layer_matrix)i), w->err);
    return r;
}

static void free_packed(struct work *w, struct layer *l)
{
    for (int i = 0; i < N_LAYER_MATRICES; i++)
        w->o->k->weight_free(w->o->k->dev, layer_weight(l, (enum layer_matrix)i));
}

/* The samples through the layer as it now is. */
static int pass(struct work *w, bool looks, bool goes_on)
{
    struct layer packed;
    int r = pack_layer(w, &w->m->layers[w->layer], &packed);
    if (r == 0)
        r = calibrator_pass(w->calibrator, &packed, looks, goes_on, on_sample, w, w->err);
    free_packed(w, &packed);
    return r;
}

/* |d X| for all rows of d, or |d| where the inputs' products are not known. */
static int size_of(struct work *w, const struct weight *gram, const float *d,
                   const struct weight *shape, double *ret)
{
    if (gram->data)
        return gram_form(w->o->k, gram, d, shape->rows, NULL, ret, w->err);
    *ret = 0;
    for (size_t i = 0; i < (size_t)shape->rows * (size_t)shape->cols; i++)
        *ret += (double)d[i] * (double)d[i];
    return 0;
}

/* What rounding did to the floats `w` [rows, cols], which are lost. */
static int measure_output(struct work *k, const struct weight *gram, float *w,
                          const struct weight *to, double *ret)
{
    double moved, size;
    size_t n = (size_t)to->rows * (size_t)to->cols;
    int r = size_of(k, gram, w, to, &size);
    float *q = r == 0 ? weight_to_f32(k->o->pool, to) : NULL;
    if (r == 0 && !q)
        r = error_set(k->err, E_MEMORY, "out of memory: a matrix as floats does not fit");
    for (size_t i = 0; i < n && r == 0; i++)
        w[i] -= q[i];
    if (r == 0)
        r = size_of(k, gram, w, to, &moved);
    free(q);
    *ret = ratio(moved, size);
    return r;
}

static float static_scale(const struct work *w, const struct input_stats *s)
{
    float most = 0;
    for (int i = 0; i < s->cols; i++)
        most = fmaxf(most, s->max_abs[i]);
    most /= w->s->x.kind == X_FP8 ? 448 : 127.5f;
    return most > 0 && isfinite(most) ? most : 1;
}

/* What all matrices that read one input share. */
struct shared {
    const struct input_stats *stats;
    struct weight gram; /* packed; data NULL: it is not known */
    struct gptq gptq;
};

static int by_column(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The draft's matrix i, after the method has scaled it, becomes `to`. */
static int make_codes(struct work *w, struct draft *d, enum layer_matrix i, struct shared *shared,
                      struct weight *to)
{
    if (w->s->method != METHOD_GPTQ)
        return round_to_nearest(w->o->pool, d->w[i], to, w->err);
    size_t bytes = (size_t)to->rows * (size_t)to->cols * sizeof(float);
    float *copy = mem_try(bytes, 1);
    if (!copy)
        return error_set(w->err, E_MEMORY, "out of memory: GPTQ does not fit");
    memcpy(copy, d->w[i], bytes);
    if (w->s->order == ORDER_GROUP && to->group < to->cols) { /* outlives the packing */
        int32_t *perm = arena_array(&w->m->arena, (size_t)to->cols, sizeof *perm);
        memcpy(perm, shared->gptq.order, (size_t)to->cols * sizeof *perm);
        for (int64_t c = 0; c < to->cols; c += to->group) /* as g_idx says it, the order is lost */
            qsort(perm + c, (size_t)(c + to->group < to->cols ? to->group : to->cols - c),
                  sizeof *perm, by_column);
        to->perm = perm;
    }
    enum act_order order = w->s->order == ORDER_GROUP && !to->perm ? ORDER_WEIGHT : w->s->order;
    int r = codes_begin(copy, to, w->err);
    if (r == 0)
        r = gptq_quantize(&shared->gptq, w->o->k, w->o->pool, order, copy, to, w->err);
    free(copy);
    return r;
}

static int finish_matrix(struct work *w, struct draft *d, enum layer_matrix i,
                         struct shared *shared)
{
    const char *module = module_name(&w->names, w->layer, i);
    struct weight *matrix = layer_weight(d->layer, i), to;
    double error = 0;
    int r = codes_new(w->s, matrix->rows, matrix->cols, matrix->format, &to, w->err);
    if (r < 0)
        return about(w, module);
    if (w->s->x.is_static)
        to.x.scale = static_scale(w, shared->stats);
    r = make_codes(w, d, i, shared, &to);
    if (r == 0)
        r = measure_output(w, &shared->gram, d->w[i], &to, &error);
    if (r < 0) {
        free((void *)(uintptr_t)to.data);
        return about(w, module);
    }
    tell_made(w, module, matrix, &to, error);
    model_replace(w->m, matrix, &to);
    return 0;
}

static int finish_input(struct work *w, struct draft *d, enum layer_input input)
{
    struct shared shared = {.stats = d->stats[input]};
    bool any = false;
    int r = 0;
    for (int i = 0; i < N_LAYER_MATRICES; i++)
        any = any || (input_readers(input) & 1u << i && d->w[i]);
    if (!any)
        return 0;
    if (shared.stats->gram)
        r = gram_pack(w->o->k, shared.stats->gram, shared.stats->cols, &shared.gram, w->err);
    if (r == 0 && w->s->method == METHOD_GPTQ)
        r = gptq_open(shared.stats->gram, shared.stats->cols, w->s->damp, w->s->order != ORDER_NONE,
                      w->o->pool, &shared.gptq, w->err);
    for (int i = 0; i < N_LAYER_MATRICES && r == 0; i++)
        if (input_readers(input) & 1u << i && d->w[i])
            r = finish_matrix(w, d, (enum layer_matrix)i, &shared);
    gram_free(w->o->k, &shared.gram);
    gptq_close(&shared.gptq);
    return r;
}

static int prepare(struct work *w, struct draft *d)
{
    switch (w->s->method) {
    case METHOD_SMOOTHQUANT:
        return smoothquant_prepare(d, w->err);
    case METHOD_AWQ:
        return awq_prepare(d, w->err);
    default:
        return 0;
    }
}

static int learn_layer(struct work *w, const bool stays[N_LAYER_MATRICES])
{
    bool through_codes = w->s->method == METHOD_GPTQ, last = w->layer == w->m->n_layers - 1;
    struct draft d = {.scheme = w->s,
                      .k = w->o->k,
                      .pool = w->o->pool,
                      .floats = w->m->vector_format,
                      .layer = &w->m->layers[w->layer]};
    w->done = 0;
    int r = pass(w, true, !through_codes);
    for (int i = 0; i < N_LAYER_INPUTS; i++)
        d.stats[i] = calibrator_stats(w->calibrator, (enum layer_input)i);
    if (r == 0)
        r = draft_open(&d, stays, w->err);
    if (r == 0)
        r = prepare(w, &d);
    for (int i = 0; i < N_LAYER_INPUTS && r == 0; i++)
        r = finish_input(w, &d, (enum layer_input)i);
    draft_close(&d);
    w->done = 0.6;
    tell(w, w->done);
    if (r == 0 && through_codes && !last)
        r = pass(w, false, true);
    tell(w, 1);
    return r;
}

/* ---- all ---- */

static int open_calibrator(struct work *w)
{
    bool gram = w->s->method == METHOD_GPTQ || w->s->method == METHOD_AWQ;
    bool rows = w->s->method == METHOD_SMOOTHQUANT && isnan(w->s->alpha);
    struct calibration_options o = {.m = w->m,
                                    .k = w->o->k,
                                    .pool = w->o->pool,
                                    .dtype = w->o->dtype,
                                    .tokens = w->o->tokens,
                                    .n_samples = w->s->calibration.n_samples,
                                    .length = w->s->calibration.length,
                                    .sees = (gram ? SEES_GRAM : 0) | (rows ? SEES_ROWS : 0)};
    return calibrator_open(&o, &w->calibrator, w->err);
}

static int stays_of(struct work *w, bool stays[N_LAYER_MATRICES])
{
    int r = 0;
    for (int i = 0; i < N_LAYER_MATRICES && r >= 0; i++) {
        r = scheme_ignores(w->s, module_name(&w->names, w->layer, (enum layer_matrix)i), w->err);
        stays[i] = r == 1;
    }
    return r < 0 ? r : 0;
}

static int quantize_layers(struct work *w)
{
    int r = 0;
    for (w->layer = 0; w->layer < w->m->n_layers && r == 0; w->layer++) {
        bool stays[N_LAYER_MATRICES];
        struct arena_mark mark = arena_mark(&w->names);
        r = stays_of(w, stays);
        if (r == 0)
            r = w->calibrator ? learn_layer(w, stays) : quantize_layer(w, stays);
        arena_reset(&w->names, mark);
    }
    return r;
}

/* The embedding of schemes that take it in; the head, unless it is ignored. */
static int quantize_words(struct work *w)
{
    int stays = scheme_ignores(w->s, "model.embed_tokens", w->err), r = stays < 0 ? stays : 0;
    if (r == 0 && w->s->words_too && !stays)
        r = quantize_matrix(w, "model.embed_tokens", &w->m->embed, true);
    if (r == 0 && (stays = scheme_ignores(w->s, "lm_head", w->err)) < 0)
        r = stays;
    bool follows = w->s->words_too && w->m->head.data == w->m->embed.data;
    if (r == 0 && !stays && !follows)
        r = quantize_matrix(w, "lm_head", &w->m->head, true);
    return r;
}

/* Weights as they are stored, but activations are quantized where the kernels have the product. */
static int quantize_activations(struct work *w)
{
    size_t n = 0;
    for (int i = 0; i < w->m->n_layers; i++)
        for (int k = 0; k < N_LAYER_MATRICES; k++) {
            struct weight *matrix = layer_weight(&w->m->layers[i], (enum layer_matrix)k);
            if (!codes_take(matrix->format, X_INT8))
                continue;
            matrix->x.kind = X_INT8;
            n++;
        }
    if (n)
        return 0;
    return error_set(w->err, E_UNSUPPORTED,
                     "cannot run the model \"%s\" with INT8 activations: its weights are %s, "
                     "and only codes of 4 or 8 bits multiply them; add quant=w8a8-int",
                     w->m->files->path, w->m->format);
}

/* Said before the work begins, not by the kernel's killing it half-way. */
static int foresee_codes(struct work *w)
{
    size_t bytes = 0, available = limits_memory("");
    for (int i = 0; i < w->m->n_layers; i++)
        for (int k = 0; k < N_LAYER_MATRICES; k++) {
            const struct weight *from = layer_weight(&w->m->layers[i], (enum layer_matrix)k);
            bytes += (size_t)from->rows * format_row_bytes(w->s->weights.format, from->cols);
        }
    if (w->s->words_too)
        bytes += (size_t)w->m->vocab * format_row_bytes(w->s->weights.format, w->m->width);
    if (bytes <= available)
        return 0;
    return error_set(w->err, E_MEMORY,
                     "not enough memory for the model \"%s\": quant=%s makes weights of %zu MiB, "
                     "and %zu MiB are free; without quant= the file is used as it is",
                     w->m->files->path, w->s->name, bytes >> 20, available >> 20);
}

int model_quantize(struct model *m, const struct quantize_options *o, struct error *err)
{
    struct work w = {.m = m, .o = o, .s = o->scheme, .err = err};
    if (scheme_is_none(w.s))
        return 0;
    int r = 0;
    if (w.s->weights.format != FORMAT_COUNT) {
        r = foresee_codes(&w);
        if (r == 0 && o->tokens)
            r = open_calibrator(&w);
        if (r == 0)
            r = quantize_layers(&w);
        if (r == 0)
            r = quantize_words(&w);
        if (r == 0 && w.n_made == 0 && m->layers[0].q.format != w.s->weights.format)
            r = error_set(err, E_UNSUPPORTED,
                          "cannot quantize the model \"%s\" to %s: no matrix has columns for it",
                          m->files->path, w.s->name);
    } else {
        r = quantize_activations(&w);
    }
    if (r == 0)
        model_measure(m);
    calibrator_close(w.calibrator);
    arena_free(&w.names);
    return r;
}
