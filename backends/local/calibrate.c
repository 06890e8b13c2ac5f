#include "backends/local/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/local/kvcache.h"
#include "base/pyrandom.h"

enum {
    STEP_ROWS = 512,  /* of a step, or one sample */
    GRAM_BLOCK = 192, /* columns that are multiplied at once: half of the product is left out */
    ADDED_ROWS = 64,
};

struct calibrator {
    struct calibration_options o;
    int per_step; /* samples */
    struct forward forward;
    struct kvcache cache; /* of one layer and one step */
    struct batch batch;
    int32_t *positions, *sequences, *page_table;
    float *x; /* [n_samples * length, D]: what enters the next layer */
    bool begun;
    struct input_stats stats[N_LAYER_INPUTS];
    bool looks;     /* in this pass */
    int64_t n_seen; /* rows before this step */
    bool no_memory; /* for what this pass should have seen */
    float *seen;    /* [T, cols]: a step's rows of an input */
    float *columns; /* [cols, T] of them; device */
    float *product; /* [cols, GRAM_BLOCK]; device */
    float *host;    /* [cols * max(T, GRAM_BLOCK)] */
};

/* ---- what is seen ---- */

static void transpose(const float *x, int T, int cols, float *ret)
{
    enum { TILE = 16 };
    for (int t0 = 0; t0 < T; t0 += TILE)
        for (int c = 0; c < cols; c++)
            for (int t = t0; t < t0 + TILE && t < T; t++)
                ret[(size_t)c * (size_t)T + (size_t)t] = x[(size_t)t * (size_t)cols + (size_t)c];
}

/* A block's product on its way into the sum: columns first .. first + n of all from there on. */
struct addition {
    struct input_stats *s;
    const float *product; /* [rest, n] */
    int first, n, rest;
};

static void add_rows(void *arg, size_t part, int thread)
{
    (void)thread;
    const struct addition *a = arg;
    int begin = (int)part * ADDED_ROWS;
    int end = begin + ADDED_ROWS < a->rest ? begin + ADDED_ROWS : a->rest;
    for (int i = begin; i < end; i++) {
        double *to = a->s->gram + (size_t)(a->first + i) * (size_t)a->s->cols + a->first;
        const float *from = a->product + (size_t)i * (size_t)a->n;
        for (int j = 0; j < a->n && j <= i; j++)
            to[j] += (double)from[j];
    }
}

/* gram += X^T X for one step's X, below the diagonal: a block of its columns is a weight that all
 * columns from there on multiply. */
static void add_gram(struct calibrator *c, struct input_stats *s, int T)
{
    const struct kernels *k = c->o.k;
    size_t cols = (size_t)s->cols;
    transpose(c->seen, T, s->cols, c->host);
    k->to_device(k->dev, c->columns, c->host, cols * (size_t)T * sizeof(float));
    for (int first = 0; first < s->cols; first += GRAM_BLOCK) {
        int n = s->cols - first < GRAM_BLOCK ? s->cols - first : GRAM_BLOCK, rest = s->cols - first;
        float *from = c->columns + (size_t)first * (size_t)T;
        struct weight w = {.format = FORMAT_F32, .rows = n, .cols = T, .data = from};
        struct error ignored;
        if (k->weight_pack(k->dev, &w, &ignored) < 0) {
            c->no_memory = true;
            return;
        }
        k->linear(k->dev, c->product, from, &w, NULL, rest);
        k->weight_free(k->dev, &w);
        k->to_host(k->dev, c->host, c->product, (size_t)rest * (size_t)n * sizeof(float));
        struct addition add = {s, c->host, first, n, rest};
        pool_run(c->o.pool, ((size_t)rest + ADDED_ROWS - 1) / ADDED_ROWS, add_rows, &add);
    }
}

static void add_sums(struct input_stats *s, const float *x, int T)
{
    for (int t = 0; t < T; t++, x += s->cols)
        for (int i = 0; i < s->cols; i++) {
            float v = fabsf(x[i]);
            s->sum_abs[i] += (double)v;
            s->max_abs[i] = fmaxf(s->max_abs[i], v);
        }
}

/* Every n-th row of all, so that KEPT_ROWS are enough. */
static void keep_rows(struct calibrator *c, struct input_stats *s, int T)
{
    int64_t all = (int64_t)c->o.n_samples * c->o.length, every = (all + KEPT_ROWS - 1) / KEPT_ROWS;
    for (int t = 0; t < T; t++)
        if ((c->n_seen + t) % every == 0)
            memcpy(s->rows + (size_t)s->n_kept++ * (size_t)s->cols,
                   c->seen + (size_t)t * (size_t)s->cols, (size_t)s->cols * sizeof *s->rows);
}

static void see(void *arg, enum layer_input input, const float *x, int T, int64_t cols)
{
    struct calibrator *c = arg;
    struct input_stats *s = &c->stats[input];
    c->o.k->to_host(c->o.k->dev, c->seen, x, (size_t)T * (size_t)cols * sizeof *x);
    add_sums(s, c->seen, T);
    if (s->rows)
        keep_rows(c, s, T);
    if (s->gram)
        add_gram(c, s, T);
    s->n_rows += T;
}

static void clear_stats(struct calibrator *c)
{
    for (int i = 0; i < N_LAYER_INPUTS; i++) {
        struct input_stats *s = &c->stats[i];
        size_t n = (size_t)s->cols;
        s->n_rows = s->n_kept = 0;
        memset(s->sum_abs, 0, n * sizeof *s->sum_abs);
        memset(s->max_abs, 0, n * sizeof *s->max_abs);
        if (s->gram)
            memset(s->gram, 0, n * n * sizeof *s->gram);
    }
}

/* The half above the diagonal is the one below. */
static void mirror(struct input_stats *s)
{
    size_t n = (size_t)s->cols;
    for (size_t i = 0; s->gram && i < n; i++)
        for (size_t j = 0; j < i; j++)
            s->gram[j * n + i] = s->gram[i * n + j];
}

struct input_stats *calibrator_stats(struct calibrator *c, enum layer_input input)
{
    return &c->stats[input];
}

/* ---- opening ---- */

static int no_room(const struct calibration_options *o, struct error *err)
{
    return error_set(err, E_MEMORY,
                     "out of memory: calibration with %d samples of %d tokens of the model \"%s\" "
                     "does not fit; lower calib_samples or calib_length",
                     o->n_samples, o->length, o->m->files->path);
}

static int pages_of(int length)
{
    return (length + PAGE_POSITIONS - 1) / PAGE_POSITIONS;
}

/* Every step has the same rows, but that the last one may have fewer samples. */
static int open_batch(struct calibrator *c, struct error *err)
{
    const struct model *m = c->o.m;
    int pages = pages_of(c->o.length), T = c->per_step * c->o.length;
    int r =
        kvcache_open(&c->cache, c->o.k, 1, m->n_kv_heads, m->head_size, c->per_step * pages, err);
    if (r < 0)
        return r;
    c->positions = mem_alloc((size_t)T, sizeof *c->positions);
    c->sequences = mem_alloc((size_t)T, sizeof *c->sequences);
    c->page_table = mem_alloc((size_t)(c->per_step * pages), sizeof *c->page_table);
    for (int t = 0; t < T; t++) {
        c->positions[t] = t % c->o.length;
        c->sequences[t] = t / c->o.length;
    }
    for (int p = 0; p < c->per_step * pages; p++)
        c->page_table[p] = p;
    c->batch = (struct batch){.positions = c->positions,
                              .sequences = c->sequences,
                              .page_table = c->page_table,
                              .max_pages = pages};
    return 0;
}

static bool open_stats(struct calibrator *c)
{
    const struct model *m = c->o.m;
    int heads = m->n_heads * m->head_size, T = c->per_step * c->o.length, most = 0;
    const int cols[N_LAYER_INPUTS] = {[INPUT_QKV] = m->width,
                                      [INPUT_O] = heads,
                                      [INPUT_FFN] = m->width,
                                      [INPUT_DOWN] = m->hidden};
    bool fits = true;
    for (int i = 0; i < N_LAYER_INPUTS; i++) {
        struct input_stats *s = &c->stats[i];
        size_t n = (size_t)cols[i];
        s->cols = cols[i];
        most = most > cols[i] ? most : cols[i];
        s->sum_abs = mem_alloc(n, sizeof *s->sum_abs);
        s->max_abs = mem_alloc(n, sizeof *s->max_abs);
        if (c->o.sees & SEES_GRAM)
            fits = fits && (s->gram = mem_try(n * n, sizeof *s->gram));
        if (c->o.sees & SEES_ROWS)
            fits = fits && (s->rows = mem_try(KEPT_ROWS * n, sizeof *s->rows));
    }
    size_t floats = (size_t)most * (size_t)(T > GRAM_BLOCK ? T : GRAM_BLOCK);
    const struct kernels *k = c->o.k;
    c->seen = mem_try(floats, sizeof *c->seen);
    c->host = mem_try(floats, sizeof *c->host);
    c->columns = k->buffer_new(k->dev, floats * sizeof *c->columns);
    c->product = k->buffer_new(k->dev, (size_t)most * GRAM_BLOCK * sizeof *c->product);
    return fits && c->seen && c->host && c->columns && c->product;
}

int calibrator_open(const struct calibration_options *o, struct calibrator **ret, struct error *err)
{
    struct calibrator *c = mem_alloc(1, sizeof *c);
    c->o = *o;
    c->per_step = o->length < STEP_ROWS ? STEP_ROWS / o->length : 1;
    if (c->per_step > o->n_samples)
        c->per_step = o->n_samples;
    int r = forward_open(o->m, o->k, o->dtype, c->per_step * o->length, &c->forward, err);
    size_t rows = (size_t)o->n_samples * (size_t)o->length;
    c->x = mem_try(rows * (size_t)o->m->width, sizeof *c->x);
    if (r == 0)
        r = open_batch(c, err);
    if (r < 0 || !c->x || !open_stats(c)) {
        calibrator_close(c);
        return no_room(o, err);
    }
    c->forward.hook = (struct forward_hook){NULL, c};
    *ret = c;
    return 0;
}

void calibrator_close(struct calibrator *c)
{
    if (!c)
        return;
    const struct kernels *k = c->o.k;
    forward_close(&c->forward);
    kvcache_close(&c->cache, k);
    float *buffers[] = {c->columns, c->product};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (buffers[i])
            k->buffer_free(k->dev, buffers[i]);
    for (int i = 0; i < N_LAYER_INPUTS; i++) {
        struct input_stats *s = &c->stats[i];
        free(s->gram);
        free(s->sum_abs);
        free(s->max_abs);
        free(s->rows);
    }
    void *arrays[] = {c->positions, c->sequences, c->page_table, c->x, c->seen, c->host};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(c);
}

/* ---- passes ---- */

/* Some samples, from `first` on. */
static int step(struct calibrator *c, const struct layer *l, int first, int n, bool goes_on,
                struct error *err)
{
    const struct kernels *k = c->o.k;
    struct forward *f = &c->forward;
    size_t row = (size_t)first * (size_t)c->o.length, width = (size_t)c->o.m->width;
    c->batch.tokens = c->o.tokens + row;
    c->batch.n_rows = n * c->o.length;
    c->batch.n_sequences = n;
    size_t bytes = (size_t)c->batch.n_rows * width * sizeof(float);
    int r = forward_begin(f, &c->batch, err);
    if (r < 0)
        return r;
    if (c->begun)
        k->to_device(k->dev, f->x, c->x + row * width, bytes);
    else
        k->to_host(k->dev, c->x + row * width, f->x, bytes);
    forward_layer(f, l, &c->batch, &(struct forward_kv){.cache = &c->cache.kv}, false);
    if (!goes_on)
        return 0;
    forward_end(f, &c->batch);
    k->to_host(k->dev, c->x + row * width, f->x, bytes);
    return 0;
}

int calibrator_pass(struct calibrator *c, const struct layer *l, bool looks, bool goes_on,
                    void (*told)(void *arg, int done, int all), void *arg, struct error *err)
{
    c->forward.hook.see = looks ? see : NULL;
    c->n_seen = 0;
    c->no_memory = false;
    if (looks)
        clear_stats(c);
    for (int i = 0; i < c->o.n_samples; i += c->per_step) {
        int left = c->o.n_samples - i, n = left < c->per_step ? left : c->per_step;
        int r = step(c, l, i, n, goes_on, err);
        if (r < 0)
            return r;
        c->n_seen += (int64_t)n * c->o.length;
        if (told)
            told(arg, i + n, c->o.n_samples);
    }
    c->begun = true;
    for (int i = 0; i < N_LAYER_INPUTS && looks; i++)
        mirror(&c->stats[i]);
    return c->no_memory ? no_room(&c->o, err) : 0;
}

void draw_samples(const int32_t *tokens, size_t n, int n_samples, int length, int seed,
                  int32_t *ret)
{
    struct pyrandom random;
    pyrandom_seed(&random, seed);
    for (int i = 0; i < n_samples; i++) {
        size_t at = (size_t)pyrandom_below(&random, n - (size_t)length + 1);
        memcpy(ret + (size_t)i * (size_t)length, tokens + at, (size_t)length * sizeof *ret);
    }
}
