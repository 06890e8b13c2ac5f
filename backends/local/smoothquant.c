#include "backends/local/smoothquant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = 10 };

/* max|W[:,j]| over all that read the input. */
static void column_ranges(const struct draft *d, enum layer_input input, float *ret)
{
    for (int i = 0; i < N_LAYER_MATRICES; i++) {
        size_t cols = (size_t)d->shape[i].cols;
        for (int64_t row = 0; input_readers(input) & 1u << i && row < d->shape[i].rows; row++)
            for (size_t c = 0; c < cols; c++)
                ret[c] = fmaxf(ret[c], fabsf(d->w[i][(size_t)row * cols + c]));
    }
}

static void make_scales(const struct input_stats *t, const float *ranges, double alpha, float *s)
{
    for (int i = 0; i < t->cols; i++) {
        double x =
            pow((double)t->max_abs[i], alpha) / pow(fmax((double)ranges[i], 1e-5), 1 - alpha);
        s[i] = x > 0 && isfinite(x) ? (float)fmax(x, 1e-5) : 1;
    }
}

/* y = x W^T by the kernels; `w` is packed for it and let go. */
static int multiply(const struct kernels *k, struct weight *w, const float *x, int T, float *y,
                    struct error *err)
{
    int r = k->weight_pack(k->dev, w, err);
    if (r == 0) {
        k->linear(k->dev, y, x, w, NULL, T);
        k->weight_free(k->dev, w);
    }
    return r;
}

/* What smoothing by s leaves between a matrix' answers and those of the floats. */
static int error_of(const struct draft *d, enum layer_matrix i, const struct input_stats *t,
                    const float *s, double *ret, struct error *err)
{
    size_t rows = (size_t)d->shape[i].rows, cols = (size_t)d->shape[i].cols, T = (size_t)t->n_kept;
    float *w = mem_alloc(rows * cols, sizeof *w), *x = mem_alloc(T * cols, sizeof *x);
    float *y = mem_alloc(T * rows, sizeof *y), *exact = mem_alloc(T * rows, sizeof *exact);
    struct weight floats = {
        .format = FORMAT_F32, .rows = d->shape[i].rows, .cols = d->shape[i].cols, .data = d->w[i]};
    struct weight to = {0};
    for (size_t k = 0; k < rows * cols; k++)
        w[k] = d->w[i][k] * s[k % cols];
    for (size_t k = 0; k < T * cols; k++)
        x[k] = t->rows[k] / s[k % cols];
    int r = multiply(d->k, &floats, t->rows, (int)T, exact, err);
    if (r == 0)
        r = codes_new(d->scheme, floats.rows, floats.cols, d->shape[i].format, &to, err);
    if (r == 0)
        r = round_to_nearest(d->pool, w, &to, err);
    if (r == 0)
        r = multiply(d->k, &to, x, (int)T, y, err);
    double sum = 0;
    for (size_t k = 0; k < T * rows && r == 0; k++)
        sum += ((double)y[k] - (double)exact[k]) * ((double)y[k] - (double)exact[k]);
    free((void *)(uintptr_t)to.data);
    free(w);
    free(x);
    free(y);
    free(exact);
    *ret = sum;
    return r;
}

/* Alpha 0 stands for no smoothing. */
static int search(const struct draft *d, enum layer_input input, const float *ranges, float *best,
                  struct error *err)
{
    const struct input_stats *t = d->stats[input];
    float *s = mem_alloc((size_t)t->cols, sizeof *s);
    double least = INFINITY;
    int r = 0;
    for (int step = 0; step < GRID && r == 0; step++) {
        double sum = 0, one;
        if (step)
            make_scales(t, ranges, (double)step / GRID, s);
        for (int i = 0; i < t->cols && step == 0; i++)
            s[i] = 1;
        for (int i = 0; i < N_LAYER_MATRICES && r == 0; i++)
            if (input_readers(input) & 1u << i &&
                (r = error_of(d, (enum layer_matrix)i, t, s, &one, err)) == 0)
                sum += one;
        if (r == 0 && sum < least) {
            least = sum;
            memcpy(best, s, (size_t)t->cols * sizeof *s);
        }
    }
    free(s);
    return r;
}

static int smooth(struct draft *d, enum layer_input input, struct error *err)
{
    struct input_stats *t = d->stats[input];
    float *ranges = mem_alloc((size_t)t->cols, sizeof *ranges);
    float *s = mem_alloc((size_t)t->cols, sizeof *s);
    column_ranges(d, input, ranges);
    int r = 0;
    if (isnan(d->scheme->alpha))
        r = search(d, input, ranges, s, err);
    else
        make_scales(t, ranges, d->scheme->alpha, s);
    if (r == 0 && s[0] > 0)
        draft_scale(d, input, s);
    free(ranges);
    free(s);
    return r;
}

int smoothquant_prepare(struct draft *d, struct error *err)
{
    static const enum layer_input of_norms[] = {INPUT_QKV, INPUT_FFN};
    int r = 0;
    for (size_t i = 0; i < sizeof of_norms / sizeof *of_norms && r == 0; i++)
        if (draft_scales(d, of_norms[i]))
            r = smooth(d, of_norms[i], err);
    return r;
}
