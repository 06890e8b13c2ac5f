#include "backends/local/gptq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 128, ROWS_A_PART = 8 };

/* ---- inv(H) = U^T U ---- */

/* With R upper triangular and H = R R^T, inv(H) = R^-T R^-1, so U is the inverse of R. R is found
 * like Cholesky's factor, but from the last column to the first; rows of a column are independent.
 */
struct factor {
    double *a; /* [n, n]: H above the diagonal; becomes R there, then its inverse */
    int n, column;
};

/* sum x[i] y[i], always in the same order. */
static double dot(const double *x, const double *y, int n)
{
    double s[4] = {0};
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++)
            s[j] += x[i + j] * y[i + j];
    for (; i < n; i++)
        s[0] += x[i] * y[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* R[i, j] of a row i <= j, when all columns behind j are done. */
static double reduced(const struct factor *f, int i, int j)
{
    const double *row = f->a + (size_t)i * (size_t)f->n, *pivot = f->a + (size_t)j * (size_t)f->n;
    return row[j] - dot(row + j + 1, pivot + j + 1, f->n - j - 1);
}

enum {
    PART = 64,               /* rows of a part */
    WORTH_SHARING = 1 << 17, /* products of a column: some 50 microseconds */
};

static void reduce_part(void *arg, size_t part, int thread)
{
    (void)thread;
    struct factor *f = arg;
    int j = f->column, end = (int)(part + 1) * PART < j ? (int)(part + 1) * PART : j;
    double pivot = f->a[(size_t)j * (size_t)f->n + (size_t)j];
    for (int i = (int)part * PART; i < end; i++)
        f->a[(size_t)i * (size_t)f->n + (size_t)j] = reduced(f, i, j) / pivot;
}

static bool find_root(struct factor *f, struct pool *pool)
{
    for (f->column = f->n - 1; f->column >= 0; f->column--) {
        size_t j = (size_t)f->column;
        double pivot = reduced(f, f->column, f->column);
        if (!(pivot > 0) || !isfinite(pivot))
            return false;
        f->a[j * (size_t)f->n + j] = sqrt(pivot);
        size_t parts = (j + PART - 1) / PART;
        if (j * ((size_t)f->n - j) >= WORTH_SHARING)
            pool_run(pool, parts, reduce_part, f);
        else
            for (size_t i = 0; i < parts; i++)
                reduce_part(f, i, 0);
    }
    return true;
}

/* Row i of the inverse: U[i, i] = 1 / R[i, i]; U[i, j] = -sum U[i, k] R[k, j] / R[j, j], i <= k <
 * j.
 */
struct inverse {
    const double *r;
    float *u;
    double *scratch; /* [threads, n] */
    int n;
};

static void invert_part(void *arg, size_t part, int thread)
{
    struct inverse *v = arg;
    size_t n = (size_t)v->n;
    double *row = v->scratch + (size_t)thread * n;
    for (size_t i = part * ROWS_A_PART; i < (part + 1) * ROWS_A_PART && i < n; i++) {
        memset(row, 0, n * sizeof *row);
        row[i] = 1;
        for (size_t k = i; k < n; k++) { /* row[j > k] holds what is left of column j */
            const double *r = v->r + k * n;
            double u = row[k] / r[k];
            v->u[i * n + k] = (float)u;
            for (size_t j = k + 1; j < n; j++)
                row[j] -= u * r[j];
        }
    }
}

static int invert(const struct factor *f, struct pool *pool, float *u)
{
    struct inverse v = {f->a, u, mem_try((size_t)pool_size(pool) * (size_t)f->n, sizeof(double)),
                        f->n};
    if (!v.scratch)
        return E_MEMORY;
    pool_run(pool, ((size_t)f->n + ROWS_A_PART - 1) / ROWS_A_PART, invert_part, &v);
    free(v.scratch);
    return 0;
}

/* ---- opening ---- */

struct activity {
    double diagonal;
    int32_t column;
};

static int by_activity(const void *a, const void *b)
{
    const struct activity *x = a, *y = b;
    return x->diagonal != y->diagonal ? (x->diagonal < y->diagonal) - (x->diagonal > y->diagonal)
                                      : (x->column > y->column) - (x->column < y->column);
}

static void put_in_order(struct gptq *g, const double *gram, bool sorts)
{
    struct activity *items = mem_alloc((size_t)g->n, sizeof *items);
    for (int i = 0; i < g->n; i++) {
        items[i] = (struct activity){gram[(size_t)i * (size_t)g->n + (size_t)i], i};
        g->dead[i] = items[i].diagonal == 0;
    }
    if (sorts)
        qsort(items, (size_t)g->n, sizeof *items, by_activity);
    for (int i = 0; i < g->n; i++)
        g->order[i] = items[i].column;
    free(items);
}

static void fill(const struct gptq *g, const double *gram, double damp, double *a)
{
    size_t n = (size_t)g->n;
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += (g->dead[i] ? 1 : gram[i * n + i]) / (double)n;
    for (size_t i = 0; i < n; i++) {
        const double *row = gram + (size_t)g->order[i] * n;
        for (size_t j = i; j < n; j++)
            a[i * n + j] = row[g->order[j]];
        a[i * n + i] += damp * mean + (g->dead[g->order[i]] ? 1 : 0);
    }
}

int gptq_open(const double *gram, int n, double damp, bool sorts, struct pool *pool,
              struct gptq *ret, struct error *err)
{
    size_t values = (size_t)n * (size_t)n;
    struct gptq g = {n, mem_alloc((size_t)n, sizeof *g.order), mem_alloc((size_t)n, sizeof *g.dead),
                     mem_try(values, sizeof *g.u)};
    struct factor f = {mem_try(values, sizeof *f.a), n, 0};
    int r = g.u && f.a ? 0 : E_MEMORY;
    bool done = false;
    if (r == 0) {
        memset(g.u, 0, values * sizeof *g.u);
        put_in_order(&g, gram, sorts);
        for (; !done && damp <= 1; damp *= 10) {
            fill(&g, gram, damp, f.a);
            done = find_root(&f, pool);
        }
        r = done ? invert(&f, pool, g.u) : E_INPUT;
    }
    free(f.a);
    if (r == 0) {
        *ret = g;
        return 0;
    }
    gptq_close(&g);
    return r == E_MEMORY
               ? error_set(err, r, "out of memory: GPTQ of %d columns needs %zu MiB", n,
                           values * (sizeof(double) + sizeof(float)) >> 20)
               : error_set(err, r,
                           "GPTQ cannot use the calibration text: what %d columns multiply is not "
                           "finite, or too much alike; raise damp or take more text",
                           n);
}

void gptq_close(struct gptq *g)
{
    free(g->order);
    free(g->dead);
    free(g->u);
    *g = (struct gptq){0};
}

/* ---- rounding ---- */

struct rounding {
    const struct gptq *g;
    const struct weight *to;
    enum act_order order;
    float *w;               /* [rows, n] in order */
    float *errors;          /* [rows, BLOCK] */
    float *later;           /* [rows, n]: what a block's errors take off the columns behind it */
    int first, end;         /* of the block */
    struct error *failures; /* [parts] */
};

/* The least and the greatest of the values of a group, as they are now. */
static int fit(const struct rounding *r, int64_t row, int64_t group, struct error *err)
{
    const struct weight *to = r->to;
    const float *w = r->w + (size_t)row * (size_t)r->g->n;
    float low = 0, high = 0;
    for (int i = 0; i < r->g->n; i++) {
        int at = r->order == ORDER_WEIGHT ? r->g->order[i] : i;
        if (at / to->group != group)
            continue;
        low = fminf(low, w[i]);
        high = fmaxf(high, w[i]);
    }
    return weight_group_fit(to, row, group, low, high, err);
}

/* One row's columns of the block. */
static int round_row(const struct rounding *r, int64_t row, struct error *err)
{
    const struct gptq *g = r->g;
    size_t n = (size_t)g->n;
    float *w = r->w + (size_t)row * n, *errors = r->errors + row * BLOCK;
    for (int j = r->first; j < r->end; j++) {
        int at = r->order == ORDER_GROUP ? j : g->order[j];
        int64_t group = at / r->to->group;
        if (r->order != ORDER_WEIGHT && j % r->to->group == 0) {
            int e = fit(r, row, group, err);
            if (e < 0)
                return e;
        }
        const float *u = g->u + (size_t)j * n;
        float q = weight_nearest(r->to, row, group, w[j]), e = (w[j] - q) / u[j];
        w[j] = q;
        errors[j - r->first] = e;
        for (int k = j + 1; k < r->end; k++)
            w[k] -= e * u[k];
    }
    return 0;
}

static void round_part(void *arg, size_t part, int thread)
{
    (void)thread;
    struct rounding *r = arg;
    int64_t first = (int64_t)part * ROWS_A_PART, end = first + ROWS_A_PART;
    for (int64_t row = first; row < end && row < r->to->rows; row++)
        if (!r->failures[part].code)
            round_row(r, row, &r->failures[part]);
}

/* Before anything is rounded: the values in order, and scales that do not wait. */
static void begin_part(void *arg, size_t part, int thread)
{
    (void)thread;
    struct rounding *r = arg;
    const struct gptq *g = r->g;
    size_t n = (size_t)g->n;
    int64_t first = (int64_t)part * ROWS_A_PART, end = first + ROWS_A_PART;
    for (int64_t row = first; row < end && row < r->to->rows; row++) {
        float *w = r->w + (size_t)row * n, *by_order = r->later + (size_t)row * n;
        for (size_t i = 0; i < n; i++)
            by_order[i] = g->dead[g->order[i]] ? 0 : w[g->order[i]];
        memcpy(w, by_order, n * sizeof *w);
        int64_t groups = (r->to->cols + r->to->group - 1) / r->to->group;
        for (int64_t k = 0; k < groups && r->order == ORDER_WEIGHT && !r->failures[part].code; k++)
            fit(r, row, k, &r->failures[part]);
    }
}

/* The values are codes' now: finding them again gives those. */
static void end_part(void *arg, size_t part, int thread)
{
    (void)thread;
    struct rounding *r = arg;
    const struct gptq *g = r->g;
    size_t n = (size_t)g->n;
    int64_t first = (int64_t)part * ROWS_A_PART, end = first + ROWS_A_PART;
    for (int64_t row = first; row < end && row < r->to->rows; row++) {
        float *w = r->w + (size_t)row * n, *as_it_lies = r->later + (size_t)row * n;
        for (size_t i = 0; i < n; i++)
            as_it_lies[g->order[i]] = w[i];
        memcpy(w, as_it_lies, n * sizeof *w);
        weight_row_from_f32(r->to, row, w);
    }
}

/* Columns behind the block: w -= errors U[block, behind], all rows at once. */
static int update_later(struct rounding *r, const struct kernels *k, struct error *err)
{
    const struct gptq *g = r->g;
    int block = r->end - r->first, behind = g->n - r->end;
    size_t n = (size_t)g->n, rows = (size_t)r->to->rows;
    float *u = mem_alloc((size_t)behind * (size_t)block, sizeof *u);
    float *packed = mem_alloc(rows * (size_t)block, sizeof *packed);
    for (int i = 0; i < behind; i++)
        for (int j = 0; j < block; j++)
            u[i * block + j] = g->u[(size_t)(r->first + j) * n + (size_t)(r->end + i)];
    for (size_t row = 0; row < rows; row++)
        memcpy(packed + row * (size_t)block, r->errors + row * BLOCK,
               (size_t)block * sizeof *packed);
    struct weight w = {.format = FORMAT_F32, .rows = behind, .cols = block, .data = u};
    int e = k->weight_pack(k->dev, &w, err);
    if (e == 0) {
        k->linear(k->dev, r->later, packed, &w, NULL, (int)rows);
        k->weight_free(k->dev, &w);
        for (size_t row = 0; row < rows; row++)
            for (int i = 0; i < behind; i++)
                r->w[row * n + (size_t)(r->end + i)] -= r->later[row * (size_t)behind + (size_t)i];
    }
    free(u);
    free(packed);
    return e;
}

static int first_failure(const struct rounding *r, size_t parts, struct error *err)
{
    for (size_t i = 0; i < parts; i++)
        if (r->failures[i].code)
            return error_set(err, r->failures[i].code, "%s", r->failures[i].msg);
    return 0;
}

int gptq_quantize(const struct gptq *g, const struct kernels *k, struct pool *pool,
                  enum act_order order, float *w, const struct weight *to, struct error *err)
{
    size_t rows = (size_t)to->rows, parts = (rows + ROWS_A_PART - 1) / ROWS_A_PART;
    struct rounding r = {.g = g, .to = to, .order = order, .w = w};
    r.errors = mem_try(rows * BLOCK, sizeof *r.errors);
    r.later = mem_try(rows * (size_t)g->n, sizeof *r.later);
    r.failures = mem_alloc(parts, sizeof *r.failures);
    int e = r.errors && r.later ? 0 : error_set(err, E_MEMORY, "out of memory: GPTQ does not fit");
    if (e == 0) {
        pool_run(pool, parts, begin_part, &r);
        e = first_failure(&r, parts, err);
    }
    for (; e == 0 && r.first < g->n; r.first = r.end) {
        r.end = r.first + BLOCK < g->n ? r.first + BLOCK : g->n;
        pool_run(pool, parts, round_part, &r);
        e = first_failure(&r, parts, err);
        if (e == 0 && r.end < g->n)
            e = update_later(&r, k, err);
    }
    if (e == 0)
        pool_run(pool, parts, end_part, &r);
    free(r.errors);
    free(r.later);
    free(r.failures);
    return e;
}
