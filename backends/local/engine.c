#include "backends/local/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/local/sample.h"

enum { SAMPLED_ROWS = 16 }; /* rows whose logits exist at once */

/* A job that has its pages. */
struct sequence {
    struct engine_job *job;
    int n_tokens;   /* of the job, with those generated so far */
    int n_computed; /* positions whose keys and values are in the cache, or will be this step */
    int32_t *pages;
    int n_pages;
    int n_named;           /* leading pages that have a name */
    struct page_name name; /* of the last of these */
    int64_t started_ns;
};

/* A row whose prediction somebody reads. */
struct wanted {
    struct sequence *sequence;
    int32_t row;
};

struct engine {
    const struct model *m;
    const struct kernels *k;
    struct engine_options o;
    struct kvcache cache;
    int max_pages; /* of one sequence */

    struct {
        struct engine_job **items; /* [first .. n) wait for pages, in order */
        size_t n, cap, first;
    } waiting;
    struct {
        struct sequence **items;
        size_t n, cap;
    } running;

    /* The step. Arrays of T = tokens_per_step rows. */
    struct batch batch;
    int32_t *tokens, *positions, *sequences, *page_table;
    struct wanted *wanted;
    int32_t *wanted_rows, *targets;
    struct token_logprob *predicted;
    int n_wanted;
    float *x, *y;             /* [T, D] */
    float *q, *k_new, *v_new; /* [T, H*S], [T, G*S] */
    float *attended;          /* [T, H*S] */
    float *gate, *up;         /* [T, F] */
    float *logits;            /* [SAMPLED_ROWS, vocab] */
    struct sampler *sampler;

    struct engine_stats stats;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- opening ---- */

static int buffers_open(struct engine *e, struct error *err)
{
    const struct model *m = e->m;
    size_t T = (size_t)e->o.tokens_per_step, D = (size_t)m->width, F = (size_t)m->hidden,
           H = (size_t)m->n_heads * (size_t)m->head_size,
           G = (size_t)m->n_kv_heads * (size_t)m->head_size;
    const struct {
        float **p;
        size_t width;
        size_t rows;
    } buffers[] = {{&e->x, D, T},
                   {&e->y, D > H ? D : H, T},
                   {&e->q, H, T},
                   {&e->k_new, G, T},
                   {&e->v_new, G, T},
                   {&e->attended, H, T},
                   {&e->gate, F, T},
                   {&e->up, F, T},
                   {&e->logits, (size_t)m->vocab, SAMPLED_ROWS}};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        size_t bytes = buffers[i].rows * buffers[i].width * sizeof(float);
        *buffers[i].p = e->k->buffer_new(e->k->dev, bytes);
        if (!*buffers[i].p)
            return error_set(err, E_MEMORY,
                             "out of memory: a step of %d tokens does not fit; lower "
                             "tokens_per_step=... behind the model",
                             e->o.tokens_per_step);
    }
    e->sampler = sampler_new(m->vocab, e->o.pool);
    e->tokens = mem_alloc(T, sizeof(int32_t));
    e->positions = mem_alloc(T, sizeof(int32_t));
    e->sequences = mem_alloc(T, sizeof(int32_t));
    e->page_table = mem_alloc(T * (size_t)e->max_pages, sizeof(int32_t));
    e->wanted = mem_alloc(T, sizeof *e->wanted);
    e->wanted_rows = mem_alloc(T, sizeof(int32_t));
    e->targets = mem_alloc(T, sizeof(int32_t));
    e->predicted = mem_alloc(T, sizeof *e->predicted);
    e->batch = (struct batch){.tokens = e->tokens,
                              .positions = e->positions,
                              .sequences = e->sequences,
                              .page_table = e->page_table,
                              .max_pages = e->max_pages};
    return 0;
}

static int pages_for(int64_t positions)
{
    return (int)((positions + PAGE_POSITIONS - 1) / PAGE_POSITIONS);
}

/* Unless told, as many positions as 512 MiB hold, but enough for a prompt of any usual task, and no
 * more than 64 of the longest sequences. Memory is only used up as sequences fill it. */
static int64_t default_kv_tokens(const struct model *m, int max_length)
{
    int64_t bytes = (int64_t)sizeof(float) * 2 * m->n_layers * m->n_kv_heads * m->head_size;
    int64_t tokens = ((int64_t)512 << 20) / bytes, most = (int64_t)64 * max_length;
    tokens = tokens < most ? tokens : most;
    int64_t least = max_length < 8192 ? max_length : 8192;
    return tokens > least ? tokens : least;
}

int engine_open(const struct model *m, const struct kernels *k, const struct engine_options *o,
                struct engine **ret, struct error *err)
{
    struct engine *e = mem_alloc(1, sizeof *e);
    e->m = m;
    e->k = k;
    e->o = *o;
    if (!e->o.kv_tokens)
        e->o.kv_tokens = default_kv_tokens(m, o->max_length);
    e->max_pages = pages_for(o->max_length);
    int r = buffers_open(e, err);
    if (r == 0)
        r = kvcache_open(&e->cache, k, m->n_layers, m->n_kv_heads, m->head_size,
                         pages_for(e->o.kv_tokens), err);
    if (r < 0)
        engine_close(e);
    else
        *ret = e;
    return r;
}

/* The last page goes first: of what is unused the oldest is taken, and pages are found from the
 * first on, so that a beginning without its end is of use and an end without its beginning not. */
static void sequence_free(struct engine *e, struct sequence *s)
{
    while (s->n_pages > 0)
        kvcache_drop(&e->cache, s->pages[--s->n_pages]);
    free(s->pages);
    free(s);
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->running.n; i++)
        sequence_free(e, e->running.items[i]);
    float *buffers[] = {e->x,        e->y,    e->q,  e->k_new, e->v_new,
                        e->attended, e->gate, e->up, e->logits};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (buffers[i])
            e->k->buffer_free(e->k->dev, buffers[i]);
    sampler_free(e->sampler);
    kvcache_close(&e->cache, e->k);
    void *arrays[] = {e->waiting.items, e->running.items, e->tokens,  e->positions, e->sequences,
                      e->page_table,    e->wanted,        e->targets, e->predicted, e->wanted_rows};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(e);
}

/* ---- jobs ---- */

/* Positions that the model runs over: the last token is only predicted. */
static int positions_of(const struct engine_job *j)
{
    return j->n_tokens + (j->n_scored ? 0 : j->max_new) - 1;
}

int engine_check(const struct engine *e, const struct engine_job *j, struct error *err)
{
    if (j->n_tokens < (j->n_scored ? j->n_scored + 1 : 1) || positions_of(j) > e->o.max_length)
        return error_set(err, E_INPUT,
                         "cannot run a sequence of %d tokens, %d of them scored, %d new: it needs "
                         "a token to start from and room in the context of %d",
                         j->n_tokens, j->n_scored, j->max_new, e->o.max_length);
    for (int i = 0; i < j->n_tokens; i++)
        if (j->tokens[i] < 0 || j->tokens[i] >= e->m->vocab)
            return error_set(err, E_INPUT,
                             "the tokenizer gave token %d, but the model has only %d; its "
                             "tokenizer belongs to another model",
                             j->tokens[i], e->m->vocab);
    if (pages_for(positions_of(j)) > e->cache.kv.n_pages)
        return error_set(err, E_MEMORY,
                         "a request of %d tokens does not fit into the key/value cache of %d; "
                         "raise kv_tokens=... behind the model",
                         positions_of(j), e->cache.kv.n_pages * PAGE_POSITIONS);
    return 0;
}

void engine_submit(struct engine *e, struct engine_job *j)
{
    j->logprob = 0;
    j->is_greedy = true;
    j->n_new = 0;
    *ARRAY_PUSH(&e->waiting) = j;
}

bool engine_idle(const struct engine *e)
{
    return e->running.n == 0 && e->waiting.first == e->waiting.n;
}

struct engine_stats engine_stats(const struct engine *e)
{
    return e->stats;
}

/* ---- packing a step ---- */

/* The first position whose prediction somebody reads. */
static int first_wanted(const struct sequence *s)
{
    return s->job->n_scored ? s->job->n_tokens - s->job->n_scored - 1 : s->n_tokens - 1;
}

/* Takes over the pages that hold the sequence's beginning already. */
static void share_prefix(struct engine *e, struct sequence *s)
{
    int most = e->o.no_sharing ? 0 : first_wanted(s) / PAGE_POSITIONS;
    while (s->n_named < most) {
        struct page_name name = page_name(s->name, s->job->tokens + s->n_named * PAGE_POSITIONS);
        int32_t page = kvcache_find(&e->cache, name);
        if (page < 0)
            break;
        s->pages[s->n_named++] = page;
        s->name = name;
    }
    s->n_pages = s->n_named;
    s->n_computed = s->n_named * PAGE_POSITIONS;
}

/* A job that waits gets its pages, all that it can need; false: not now. */
static bool admit(struct engine *e, struct engine_job *j)
{
    int n = pages_for(positions_of(j));
    struct sequence *s = mem_alloc(1, sizeof *s);
    *s = (struct sequence){.job = j, .n_tokens = j->n_tokens};
    s->pages = mem_alloc((size_t)n, sizeof *s->pages);
    share_prefix(e, s);
    if (n - s->n_pages > e->cache.n_available) {
        sequence_free(e, s);
        return false;
    }
    while (s->n_pages < n)
        s->pages[s->n_pages++] = kvcache_take(&e->cache);
    s->started_ns = now_ns();
    *ARRAY_PUSH(&e->running) = s;
    return true;
}

/* Names the pages that are full now. Their keys and values are written before any row of the step
 * reads them, layer by layer, so a sequence admitted in the same step may share them. */
static void name_pages(struct engine *e, struct sequence *s)
{
    while ((s->n_named + 1) * PAGE_POSITIONS <= s->n_computed && !e->o.no_sharing) {
        s->name = page_name(s->name, s->job->tokens + s->n_named * PAGE_POSITIONS);
        kvcache_name(&e->cache, s->pages[s->n_named++], s->name);
    }
}

/* Adds the next rows of a sequence, as many as the step still takes. */
static void take_rows(struct engine *e, struct sequence *s)
{
    struct batch *b = &e->batch;
    bool scores = s->job->n_scored > 0;
    int end = scores ? s->n_tokens - 1 : s->n_tokens;
    if (b->n_rows == e->o.tokens_per_step || s->n_computed == end)
        return;
    int32_t slot = b->n_sequences++;
    memcpy(e->page_table + (size_t)slot * (size_t)e->max_pages, s->pages,
           (size_t)s->n_pages * sizeof *s->pages);
    for (int first = first_wanted(s); s->n_computed < end && b->n_rows < e->o.tokens_per_step;
         s->n_computed++) {
        int32_t row = b->n_rows++;
        e->tokens[row] = s->job->tokens[s->n_computed];
        e->positions[row] = s->n_computed;
        e->sequences[row] = slot;
        if (s->n_computed < first)
            continue;
        e->wanted[e->n_wanted] = (struct wanted){s, row};
        e->wanted_rows[e->n_wanted] = row;
        e->targets[e->n_wanted++] = scores ? s->job->tokens[s->n_computed + 1] : -1;
    }
    name_pages(e, s);
}

static void pack(struct engine *e)
{
    e->batch.n_rows = e->batch.n_sequences = e->n_wanted = 0;
    /* Generations first, one row each: their next token is what everything waits for. */
    for (size_t i = 0; i < e->running.n; i++)
        if (e->running.items[i]->job->n_new)
            take_rows(e, e->running.items[i]);
    for (size_t i = 0; i < e->running.n; i++)
        if (!e->running.items[i]->job->n_new)
            take_rows(e, e->running.items[i]);
    while (e->waiting.first < e->waiting.n && e->batch.n_rows < e->o.tokens_per_step) {
        if (!admit(e, e->waiting.items[e->waiting.first]))
            break;
        e->waiting.first++;
        take_rows(e, e->running.items[e->running.n - 1]);
    }
    if (2 * e->waiting.first >= e->waiting.n) { /* so that the list does not grow for ever */
        e->waiting.n -= e->waiting.first;
        if (e->waiting.n)
            memmove(e->waiting.items, e->waiting.items + e->waiting.first,
                    e->waiting.n * sizeof(struct engine_job *));
        e->waiting.first = 0;
    }
}

/* ---- the forward pass ---- */

static void round_to_dtype(struct engine *e, float *x, int width)
{
    if (e->o.dtype != FORMAT_F32)
        e->k->round_to(e->k->dev, x, (size_t)e->batch.n_rows * (size_t)width, e->o.dtype);
}

static void linear(struct engine *e, float *y, const float *x, const struct weight *w,
                   const float *bias)
{
    e->k->linear(e->k->dev, y, x, w, bias, e->batch.n_rows);
    round_to_dtype(e, y, (int)w->rows);
}

static void norm(struct engine *e, float *y, const float *x, const float *w)
{
    e->k->rmsnorm(e->k->dev, y, x, w, e->batch.n_rows, e->m->width, e->m->norm_eps);
    round_to_dtype(e, y, e->m->width);
}

static void add(struct engine *e, float *y, const float *x)
{
    e->k->add(e->k->dev, y, x, (size_t)e->batch.n_rows * (size_t)e->m->width);
    round_to_dtype(e, y, e->m->width);
}

static void rope(struct engine *e, float *x, int n_heads)
{
    e->k->rope(e->k->dev, x, e->positions, e->m->inv_freq, 1.0f, e->batch.n_rows, n_heads,
               e->m->head_size, e->m->rope);
    round_to_dtype(e, x, n_heads * e->m->head_size);
}

static void attention(struct engine *e, const struct layer *l, int index)
{
    const struct model *m = e->m;
    norm(e, e->y, e->x, l->attn_norm);
    linear(e, e->q, e->y, &l->q, l->q_bias);
    linear(e, e->k_new, e->y, &l->k, l->k_bias);
    linear(e, e->v_new, e->y, &l->v, l->v_bias);
    rope(e, e->q, m->n_heads);
    rope(e, e->k_new, m->n_kv_heads);
    e->k->kv_write(e->k->dev, &e->cache.kv, index, e->k_new, e->v_new, &e->batch);
    e->k->attention(e->k->dev, e->attended, e->q, &e->cache.kv, index, &e->batch, m->n_heads,
                    1.0f / sqrtf((float)m->head_size));
    round_to_dtype(e, e->attended, m->n_heads * m->head_size);
    linear(e, e->y, e->attended, &l->o, l->o_bias);
    add(e, e->x, e->y);
}

static void feed_forward(struct engine *e, const struct layer *l)
{
    norm(e, e->y, e->x, l->ffn_norm);
    linear(e, e->gate, e->y, &l->gate, l->gate_bias);
    linear(e, e->up, e->y, &l->up, l->up_bias);
    e->k->silu_mul(e->k->dev, e->gate, e->gate, e->up,
                   (size_t)e->batch.n_rows * (size_t)e->m->hidden);
    round_to_dtype(e, e->gate, e->m->hidden);
    linear(e, e->y, e->gate, &l->down, l->down_bias);
    add(e, e->x, e->y);
}

/* Rows whose job samples go behind those that log-probabilities answer; returns how many these
 * are. */
static int sampled_last(struct engine *e)
{
    int n = 0;
    for (int i = 0; i < e->n_wanted; i++) {
        if (e->wanted[i].sequence->job->sampling)
            continue;
        struct wanted w = e->wanted[i];
        int32_t target = e->targets[i];
        e->wanted[i] = e->wanted[n];
        e->targets[i] = e->targets[n];
        e->wanted[n] = w;
        e->targets[n++] = target;
    }
    for (int i = 0; i < e->n_wanted; i++)
        e->wanted_rows[i] = e->wanted[i].row;
    return n;
}

static struct sample_row sampled_row(const struct engine *e, const struct wanted *w, int i)
{
    const struct engine_job *j = w->sequence->job;
    return (struct sample_row){.logits = e->logits + (size_t)i * (size_t)e->m->vocab,
                               .how = j->sampling,
                               .doc_id = j->doc_id,
                               .idx = j->idx,
                               .step = j->n_new,
                               .seen = j->tokens,
                               .n_seen = w->sequence->n_tokens};
}

/* The same product with the vocabulary as for log-probabilities, and a draw from it. */
static void sample(struct engine *e, int first)
{
    struct sample_row rows[SAMPLED_ROWS];
    for (int n; first < e->n_wanted; first += n) {
        n = e->n_wanted - first < SAMPLED_ROWS ? e->n_wanted - first : SAMPLED_ROWS;
        e->k->linear(e->k->dev, e->logits, e->x + (size_t)first * (size_t)e->m->width, &e->m->head,
                     NULL, n);
        for (int i = 0; i < n; i++)
            rows[i] = sampled_row(e, &e->wanted[first + i], i);
        sample_rows(e->sampler, rows, (size_t)n);
        for (int i = 0; i < n; i++)
            e->predicted[first + i].argmax = rows[i].token;
    }
}

static void forward(struct engine *e)
{
    const struct kernels *k = e->k;
    k->embed(k->dev, e->x, &e->m->embed, e->tokens, e->batch.n_rows);
    round_to_dtype(e, e->x, e->m->width);
    for (int i = 0; i < e->m->n_layers; i++) {
        attention(e, &e->m->layers[i], i);
        feed_forward(e, &e->m->layers[i]);
    }
    /* Only rows that somebody reads meet the vocabulary. */
    int n_plain = sampled_last(e);
    k->gather(k->dev, e->y, e->x, e->wanted_rows, e->n_wanted, e->m->width);
    e->batch.n_rows = e->n_wanted;
    norm(e, e->x, e->y, e->m->norm);
    k->logprobs(k->dev, e->predicted, e->x, &e->m->head, e->targets, n_plain);
    sample(e, n_plain);
}

/* ---- answers ---- */

/* Gives a prediction to its job; true: the job is done. */
static bool take_prediction(struct engine *e, const struct wanted *w, const struct token_logprob *p)
{
    struct sequence *s = w->sequence;
    struct engine_job *j = s->job;
    if (j->n_scored) {
        int position = e->positions[w->row];
        j->logprob += p->logprob;
        j->is_greedy &= p->argmax == j->tokens[position + 1];
        return position == s->n_tokens - 2;
    }
    j->tokens[s->n_tokens++] = p->argmax;
    j->n_new++;
    e->stats.tokens_generated++;
    return !j->wants_more(j->arg, p->argmax) || j->n_new == j->max_new;
}

static void hand_back(struct engine *e, void (*done)(void *arg, struct engine_job *job), void *arg)
{
    for (int i = 0; i < e->n_wanted; i++) {
        struct sequence *s = e->wanted[i].sequence;
        if (!take_prediction(e, &e->wanted[i], &e->predicted[i]))
            continue;
        size_t at = 0;
        while (e->running.items[at] != s)
            at++;
        memmove(&e->running.items[at], &e->running.items[at + 1],
                (--e->running.n - at) * sizeof *e->running.items);
        s->job->time_ns = now_ns() - s->started_ns;
        struct engine_job *j = s->job;
        sequence_free(e, s);
        done(arg, j);
    }
}

int engine_step(struct engine *e, void (*done)(void *arg, struct engine_job *job), void *arg,
                struct error *err)
{
    (void)err; /* kernels on the CPU do not fail */
    int64_t begun = now_ns();
    pack(e);
    if (e->batch.n_rows == 0)
        return 0;
    e->stats.tokens_computed += e->batch.n_rows;
    e->stats.steps++;
    forward(e);
    hand_back(e, done, arg);
    e->stats.seconds += 1e-9 * (double)(now_ns() - begun);
    return 0;
}
