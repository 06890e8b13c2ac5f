#include "backends/local/awq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = 20, CLIPS = 10 };

static size_t size_of(const struct weight *w)
{
    return (size_t)w->rows * (size_t)w->cols;
}

/* Room to round a matrix as often as it takes. */
struct trial {
    struct weight to;
    float *scaled; /* [rows, cols]: what is rounded */
    float *error;  /* [rows, cols]: what rounding did */
};

static int trial_open(const struct draft *d, enum layer_matrix i, struct trial *t,
                      struct error *err)
{
    *t = (struct trial){0};
    int r =
        codes_new(d->scheme, d->shape[i].rows, d->shape[i].cols, d->shape[i].format, &t->to, err);
    if (r < 0)
        return r;
    t->scaled = mem_try(size_of(&t->to), sizeof *t->scaled);
    t->error = mem_try(size_of(&t->to), sizeof *t->error);
    return t->scaled && t->error ? 0 : error_set(err, E_MEMORY, "out of memory: AWQ does not fit");
}

static void trial_close(struct trial *t)
{
    free((void *)(uintptr_t)t->to.data);
    free(t->scaled);
    free(t->error);
}

/* ---- scales ---- */

struct difference {
    const struct trial *t;
    const float *w, *s; /* s NULL: all 1 */
};

/* error = Q(scaled) / s - w */
static void subtract_row(void *arg, size_t row, int thread)
{
    (void)thread;
    const struct difference *d = arg;
    size_t cols = (size_t)d->t->to.cols;
    float *e = d->t->error + row * cols;
    const float *w = d->w + row * cols;
    weight_row_to_f32(&d->t->to, (int64_t)row, e);
    for (size_t i = 0; i < cols; i++)
        e[i] = e[i] / (d->s ? d->s[i] : 1) - w[i];
}

static int error_of(const struct draft *d, enum layer_matrix i, struct trial *t, const float *s,
                    const struct weight *gram, double *ret, struct error *err)
{
    const float *w = d->w[i];
    size_t n = size_of(&t->to), cols = (size_t)t->to.cols;
    for (size_t k = 0; k < n; k++)
        t->scaled[k] = w[k] * s[k % cols];
    int r = round_to_nearest(d->pool, t->scaled, &t->to, err);
    if (r < 0)
        return r;
    pool_run(d->pool, (size_t)t->to.rows, subtract_row, &(struct difference){t, w, s});
    return gram_form(d->k, gram, t->error, t->to.rows, NULL, ret, err);
}

/* m^a over sqrt(max * min). A column that sees nothing, and what is no number, keep 1. */
static void make_scales(const struct input_stats *t, double a, float *s)
{
    double least = INFINITY, most = 0;
    for (int i = 0; i < t->cols; i++) {
        double x = pow(fmax(t->sum_abs[i] / (double)t->n_rows, 1e-4), a);
        s[i] = (float)x;
        least = fmin(least, x);
        most = fmax(most, x);
    }
    float middle = (float)sqrt(least * most);
    for (int i = 0; i < t->cols; i++) {
        float x = s[i] / middle;
        s[i] = x > 0 && isfinite(x) ? x : 1;
    }
}

static int search_scales(struct draft *d, enum layer_input input, struct trial *trials,
                         const struct weight *gram, float *best, struct error *err)
{
    struct input_stats *t = d->stats[input];
    float *s = mem_alloc((size_t)t->cols, sizeof *s);
    double least = INFINITY;
    int r = 0;
    for (int step = 0; step < GRID && r == 0; step++) {
        double sum = 0, one;
        make_scales(t, (double)step / GRID, s);
        for (int i = 0; i < N_LAYER_MATRICES && r == 0; i++)
            if (input_readers(input) & 1u << i &&
                (r = error_of(d, (enum layer_matrix)i, &trials[i], s, gram, &one, err)) == 0)
                sum += one;
        if (r < 0 || !(sum < least))
            continue;
        least = sum;
        memcpy(best, s, (size_t)t->cols * sizeof *s);
    }
    free(s);
    return r;
}

/* ---- clipping ---- */

/* Of a group of columns: all rows clipped a little more, as long as that makes some better. */
struct clipping {
    const struct draft *d;
    struct trial t; /* a matrix of the group alone */
    struct weight gram;
    float *w;            /* [rows, group] */
    double *least, *now; /* [rows]: the error of the best and of this range */
    float *range;        /* [rows]: the best, in parts of the greatest value */
};

static void cut(const float *w, float most, size_t n, float *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = fminf(fmaxf(w[i], -most), most);
}

static float greatest(const float *w, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(w[i]));
    return most;
}

static int try_ranges(struct clipping *c, struct error *err)
{
    size_t rows = (size_t)c->t.to.rows, n = (size_t)c->t.to.cols;
    for (int step = 0; step < CLIPS; step++) {
        float range = 1 - (float)step / GRID;
        double all;
        for (size_t row = 0; row < rows; row++) {
            const float *w = c->w + row * n;
            cut(w, range * greatest(w, n), n, c->t.scaled + row * n);
        }
        int r = round_to_nearest(c->d->pool, c->t.scaled, &c->t.to, err);
        if (r < 0)
            return r;
        pool_run(c->d->pool, rows, subtract_row, &(struct difference){&c->t, c->w, NULL});
        if ((r = gram_form(c->d->k, &c->gram, c->t.error, (int64_t)rows, c->now, &all, err)) < 0)
            return r;
        for (size_t row = 0; row < rows; row++)
            if (step == 0 || c->now[row] < c->least[row]) {
                c->least[row] = c->now[row];
                c->range[row] = range;
            }
    }
    return 0;
}

/* The group's part of X^T X. */
static int group_gram(struct clipping *c, const struct input_stats *s, size_t first, size_t n,
                      struct error *err)
{
    double *part = mem_alloc(n * n, sizeof *part);
    for (size_t i = 0; i < n; i++)
        memcpy(part + i * n, s->gram + (first + i) * (size_t)s->cols + first, n * sizeof *part);
    int r = gram_pack(c->d->k, part, (int)n, &c->gram, err);
    free(part);
    return r;
}

static int clip_group(struct clipping *c, enum layer_matrix i, const struct input_stats *s,
                      size_t first, size_t n, struct error *err)
{
    const struct draft *d = c->d;
    size_t rows = (size_t)d->shape[i].rows, cols = (size_t)d->shape[i].cols;
    struct trial *t = &c->t;
    free((void *)(uintptr_t)t->to.data);
    t->to.data = NULL;
    int r = codes_new(d->scheme, (int64_t)rows, (int64_t)n, d->shape[i].format, &t->to, err);
    if (r == 0)
        r = group_gram(c, s, first, n, err);
    if (r < 0)
        return r;
    for (size_t row = 0; row < rows; row++)
        memcpy(c->w + row * n, d->w[i] + row * cols + first, n * sizeof *c->w);
    r = try_ranges(c, err);
    for (size_t row = 0; row < rows && r == 0; row++) {
        float *w = d->w[i] + row * cols + first;
        cut(w, c->range[row] * greatest(w, n), n, w);
    }
    gram_free(d->k, &c->gram);
    return r;
}

static int clip(struct draft *d, enum layer_matrix i, const struct input_stats *s,
                struct error *err)
{
    struct clipping c = {.d = d};
    int r = trial_open(d, i, &c.t, err);
    if (r < 0)
        goto out;
    size_t cols = (size_t)c.t.to.cols, group = (size_t)c.t.to.group, rows = (size_t)c.t.to.rows;
    c.w = mem_alloc(rows * group, sizeof *c.w);
    c.least = mem_alloc(rows, sizeof *c.least);
    c.now = mem_alloc(rows, sizeof *c.now);
    c.range = mem_alloc(rows, sizeof *c.range);
    for (size_t first = 0; first < cols && r == 0; first += group)
        r = clip_group(&c, i, s, first, cols - first < group ? cols - first : group, err);
    free(c.w);
    free(c.least);
    free(c.now);
    free(c.range);
out:
    trial_close(&c.t);
    return r;
}

/* ---- all of a layer ---- */

static int scale_input(struct draft *d, enum layer_input input, struct error *err)
{
    struct input_stats *s = d->stats[input];
    struct trial trials[N_LAYER_MATRICES] = {0};
    struct weight gram = {0};
    float *best = mem_alloc((size_t)s->cols, sizeof *best);
    int r = gram_pack(d->k, s->gram, s->cols, &gram, err);
    for (int i = 0; i < N_LAYER_MATRICES && r == 0; i++)
        if (input_readers(input) & 1u << i)
            r = trial_open(d, (enum layer_matrix)i, &trials[i], err);
    if (r == 0)
        r = search_scales(d, input, trials, &gram, best, err);
    if (r == 0 && best[0] > 0)
        draft_scale(d, input, best);
    for (int i = 0; i < N_LAYER_MATRICES; i++)
        trial_close(&trials[i]);
    gram_free(d->k, &gram);
    free(best);
    return r;
}

int awq_prepare(struct draft *d, struct error *err)
{
    int r = 0;
    for (int i = 0; i < N_LAYER_INPUTS && r == 0; i++)
        if (draft_scales(d, (enum layer_input)i))
            r = scale_input(d, (enum layer_input)i, err);
    for (int i = 0; i < N_LAYER_INPUTS && r == 0; i++)
        for (int k = MATRIX_V; k < N_LAYER_MATRICES && r == 0; k++)
            if (input_readers((enum layer_input)i) & 1u << k && d->w[k])
                r = clip(d, (enum layer_matrix)k, d->stats[i], err);
    return r;
}
