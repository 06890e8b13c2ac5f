#include "backends/local/draft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_A_PART = 8 };

/* ---- what reads and makes an input ---- */

static const struct {
    unsigned readers;          /* bits 1 << MATRIX */
    size_t norm;               /* that makes the input: offset in struct layer; or */
    enum layer_matrix made_by; /* the matrix of whose rows it is made */
} inputs[N_LAYER_INPUTS] = {
    [INPUT_QKV] = {1 << MATRIX_Q | 1 << MATRIX_K | 1 << MATRIX_V, offsetof(struct layer, attn_norm),
                   N_LAYER_MATRICES},
    [INPUT_O] = {1 << MATRIX_O, 0, MATRIX_V},
    [INPUT_FFN] = {1 << MATRIX_GATE | 1 << MATRIX_UP, offsetof(struct layer, ffn_norm),
                   N_LAYER_MATRICES},
    [INPUT_DOWN] = {1 << MATRIX_DOWN, 0, MATRIX_UP},
};

unsigned input_readers(enum layer_input input)
{
    return inputs[input].readers;
}

bool draft_scales(const struct draft *d, enum layer_input input)
{
    for (int i = 0; i < N_LAYER_MATRICES; i++)
        if (inputs[input].readers & 1u << i && !d->w[i])
            return false;
    bool normed = (input == INPUT_O && d->layer->attn_sub_norm) ||
                  (input == INPUT_DOWN && d->layer->ffn_sub_norm);
    if (normed) /* a norm of its own undoes what the rows were scaled by */
        return false;
    enum layer_matrix by = inputs[input].made_by;
    return by == N_LAYER_MATRICES || (d->w[by] && d->shape[by].rows == d->stats[input]->cols);
}

/* ---- scaling ---- */

/* The norm over s, as the file's format can say it; s becomes what that did. */
static void scale_norm(const struct draft *d, float *norm, int n, float *s)
{
    for (int i = 0; i < n; i++) {
        float to = norm[i] / s[i];
        if (d->floats != FORMAT_F32)
            d->k->round_to(d->k->dev, &to, 1, d->floats);
        float done = norm[i] / to;
        if (!(done > 0) || !isfinite(done)) {
            s[i] = 1;
            continue;
        }
        norm[i] = to;
        s[i] = done;
    }
}

static void scale_rows(const struct draft *d, enum layer_matrix of, const float *s)
{
    size_t cols = (size_t)d->shape[of].cols;
    float **bias = layer_bias(d->layer, of);
    for (int64_t row = 0; row < d->shape[of].rows; row++) {
        for (size_t c = 0; c < cols; c++)
            d->w[of][(size_t)row * cols + c] /= s[row];
        if (*bias)
            (*bias)[row] /= s[row];
    }
}

static void scale_columns(const struct draft *d, enum layer_matrix of, const float *s)
{
    size_t cols = (size_t)d->shape[of].cols;
    for (int64_t row = 0; row < d->shape[of].rows; row++)
        for (size_t c = 0; c < cols; c++)
            d->w[of][(size_t)row * cols + c] *= s[c];
}

static void scale_stats(struct input_stats *t, const float *s)
{
    size_t n = (size_t)t->cols;
    for (size_t i = 0; i < n; i++) {
        t->sum_abs[i] /= (double)s[i];
        t->max_abs[i] /= s[i];
        for (size_t j = 0; t->gram && j < n; j++)
            t->gram[i * n + j] /= (double)s[i] * (double)s[j];
        for (int row = 0; t->rows && row < t->n_kept; row++)
            t->rows[(size_t)row * n + i] /= s[i];
    }
}

void draft_scale(struct draft *d, enum layer_input input, float *s)
{
    struct input_stats *t = d->stats[input];
    if (inputs[input].made_by == N_LAYER_MATRICES) {
        float *norm;
        memcpy(&norm, (char *)d->layer + inputs[input].norm, sizeof norm);
        scale_norm(d, norm, t->cols, s);
    } else {
        scale_rows(d, inputs[input].made_by, s);
    }
    for (int i = 0; i < N_LAYER_MATRICES; i++)
        if (inputs[input].readers & 1u << i)
            scale_columns(d, (enum layer_matrix)i, s);
    scale_stats(t, s);
}

/* ---- opening ---- */

struct reading {
    const struct weight *from;
    float *to;
};

static void read_row(void *arg, size_t row, int thread)
{
    (void)thread;
    const struct reading *r = arg;
    weight_row_to_f32(r->from, (int64_t)row, r->to + row * (size_t)r->from->cols);
}

float *weight_to_f32(struct pool *pool, const struct weight *w)
{
    float *ret = mem_try((size_t)w->rows, (size_t)w->cols * sizeof *ret);
    if (ret)
        pool_run(pool, (size_t)w->rows, read_row, &(struct reading){w, ret});
    return ret;
}

int draft_open(struct draft *d, const bool stays[N_LAYER_MATRICES], struct error *err)
{
    for (int i = 0; i < N_LAYER_MATRICES; i++) {
        d->shape[i] = *layer_weight(d->layer, (enum layer_matrix)i);
        if (stays[i])
            continue;
        d->w[i] = weight_to_f32(d->pool, &d->shape[i]);
        if (!d->w[i]) {
            draft_close(d);
            return error_set(err, E_MEMORY,
                             "out of memory: a layer's matrices as floats do not "
                             "fit");
        }
    }
    return 0;
}

void draft_close(struct draft *d)
{
    for (int i = 0; i < N_LAYER_MATRICES; i++) {
        free(d->w[i]);
        d->w[i] = NULL;
    }
}

/* ---- forms ---- */

int gram_pack(const struct kernels *k, const double *gram, int n, struct weight *ret,
              struct error *err)
{
    size_t values = (size_t)n * (size_t)n;
    float *f = mem_try(values, sizeof *f);
    if (!f)
        return error_set(err, E_MEMORY, "out of memory: what %d columns see does not fit", n);
    for (size_t i = 0; i < values; i++)
        f[i] = (float)gram[i];
    *ret = (struct weight){.format = FORMAT_F32, .rows = n, .cols = n, .data = f};
    int r = k->weight_pack(k->dev, ret, err);
    if (r < 0)
        free(f);
    return r;
}

void gram_free(const struct kernels *k, struct weight *g)
{
    if (!g->data)
        return;
    k->weight_free(k->dev, g);
    free((void *)(uintptr_t)g->data);
    *g = (struct weight){0};
}

int gram_form(const struct kernels *k, const struct weight *g, const float *d, int64_t rows,
              double *by_row, double *ret, struct error *err)
{
    enum { STEP = 256 };
    size_t n = (size_t)g->cols;
    float *y = mem_try(STEP, n * sizeof *y);
    if (!y)
        return error_set(err, E_MEMORY, "out of memory: what %zu columns see does not fit", n);
    double sum = 0;
    for (int64_t first = 0; first < rows; first += STEP) {
        int T = rows - first < STEP ? (int)(rows - first) : STEP;
        const float *x = d + (size_t)first * n;
        k->linear(k->dev, y, x, g, NULL, T);
        for (int t = 0; t < T; t++) {
            double s = 0;
            for (size_t i = 0; i < n; i++)
                s += (double)x[(size_t)t * n + i] * (double)y[(size_t)t * n + i];
            s = s > 0 ? s : 0; /* rounding may leave less than nothing of an exact row */
            if (by_row)
                by_row[first + t] = s;
            sum += s;
        }
    }
    free(y);
    *ret = sum;
    return 0;
}
