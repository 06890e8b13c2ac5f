#include "backends/local/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backends/local/foresee.h"
#include "backends/local/forward.h"
#include "backends/local/sample.h"
#include "backends/local/waiting.h"
#include "base/clock.h"

enum { SAMPLED_ROWS = 16 }; /* rows whose logits exist at once */

/* Somebody who reads the prediction of a row: the sequence's own job, or one that waits and begins
 * alike, which then needs no row of its own for it. */
struct reader {
    struct engine_job *job;
    int position;
    int32_t target; /* the token whose probability is asked for; -1: the most probable token */
};

/* A job that has its pages. */
struct sequence {
    struct engine_job *job;
    int n_tokens;   /* of the job, with those generated so far */
    int n_computed; /* positions whose keys and values are in the cache, or will be this step */
    int32_t *pages;
    int n_pages;
    struct {
        struct reader *items; /* by position; [first .. n) are still to come */
        size_t n, cap, first;
    } readers;
};

/* How a question is answered. */
enum way { BY_LOGPROBS, BY_HIDDEN, BY_SAMPLING, N_WAYS };

/* A reader and its row of the step. */
struct question {
    struct reader reader;
    struct sequence *sequence; /* of the reader's job; NULL: it is another's row */
    int32_t row;
    enum way way;
};

struct engine {
    const struct model *m;
    const struct kernels *k;
    struct engine_options o;
    struct kvcache cache;
    int max_pages; /* of one sequence */
    struct waiting waiting;
    struct {
        struct sequence **items;
        size_t n, cap;
    } running;

    /* The step. Arrays of T = token_budget rows. */
    struct batch batch;
    int32_t *tokens, *positions, *sequences, *page_table;
    struct {
        struct kv_copy *items; /* to make in each layer, in this order */
        size_t n, cap;
    } copies;
    struct {
        struct question *items; /* by row */
        size_t n, cap;
    } questions;
    struct question *together;             /* [T] of a call */
    int32_t *wanted_rows, *ends, *targets; /* likewise */
    struct token_logprob *predicted;
    struct top_token *top; /* [T, TOP_TOKENS] */
    struct forward forward;
    float *logits, *logits_here; /* [SAMPLED_ROWS, vocab], and where the host reads them */
    struct sampler *sampler;

    struct engine_stats stats;
};

/* ---- opening ---- */

static int buffers_open(struct engine *e, struct error *err)
{
    size_t T = (size_t)e->o.token_budget;
    int r = forward_open(e->m, e->k, e->o.dtype, e->o.token_budget, &e->forward, err);
    if (r < 0)
        return r;
    e->logits = e->k->buffer_new(e->k->dev, (size_t)e->m->vocab * SAMPLED_ROWS * sizeof *e->logits);
    if (!e->logits)
        return error_set(err, E_MEMORY, "out of memory: the logits of %d tokens do not fit",
                         SAMPLED_ROWS);
    e->logits_here = e->logits;
    if (e->k->on_device)
        e->logits_here = mem_alloc((size_t)e->m->vocab * SAMPLED_ROWS, sizeof *e->logits_here);
    e->sampler = sampler_new(e->m->vocab, e->o.pool);
    e->tokens = mem_alloc(T, sizeof(int32_t));
    e->positions = mem_alloc(T, sizeof(int32_t));
    e->sequences = mem_alloc(T, sizeof(int32_t));
    e->page_table = mem_alloc(T * (size_t)e->max_pages, sizeof(int32_t));
    e->together = mem_alloc(T, sizeof *e->together);
    e->wanted_rows = mem_alloc(T, sizeof(int32_t));
    e->ends = mem_alloc(T, sizeof(int32_t));
    e->targets = mem_alloc(T, sizeof(int32_t));
    e->predicted = mem_alloc(T, sizeof *e->predicted);
    e->top = mem_alloc(T * TOP_TOKENS, sizeof *e->top);
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

int engine_open(const struct model *m, const struct kernels *k, const struct engine_options *o,
                struct engine **ret, struct error *err)
{
    struct engine *e = mem_alloc(1, sizeof *e);
    e->m = m;
    e->k = k;
    e->o = *o;
    e->waiting.unsorted = o->no_sharing;
    e->max_pages = pages_for(o->max_length);
    int r = buffers_open(e, err);
    if (r == 0)
        r = kvcache_open(&e->cache, k, m->n_layers, m->n_kv_heads, m->head_size,
                         pages_for((int64_t)(e->o.kv_bytes / position_bytes(m))), err);
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
    free(s->readers.items);
    free(s->pages);
    free(s);
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->running.n; i++)
        sequence_free(e, e->running.items[i]);
    forward_close(&e->forward);
    if (e->k->on_device)
        free(e->logits_here);
    if (e->logits)
        e->k->buffer_free(e->k->dev, e->logits);
    sampler_free(e->sampler);
    kvcache_close(&e->cache, e->k);
    waiting_free(&e->waiting);
    void *arrays[] = {e->running.items,   e->tokens,      e->positions, e->sequences, e->page_table,
                      e->copies.items,    e->wanted_rows, e->ends,      e->targets,   e->predicted,
                      e->questions.items, e->top,         e->together};
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
        return error_set(
            err, E_MEMORY,
            "a request of %d tokens does not fit into the key/value cache of %d; "
            "raise --kv-memory to %zu MiB or more",
            positions_of(j), e->cache.kv.n_pages * PAGE_POSITIONS,
            ((size_t)pages_for(positions_of(j)) * PAGE_POSITIONS * position_bytes(e->m) >> 20) + 1);
    return 0;
}

void engine_submit(struct engine *e, struct engine_job *j)
{
    j->logprob = 0;
    j->is_greedy = true;
    j->n_new = j->n_answered = 0;
    j->started_ns = 0;
    waiting_push(&e->waiting, j);
}

bool engine_idle(struct engine *e)
{
    return e->running.n == 0 && !waiting_first(&e->waiting);
}

struct engine_stats engine_stats(const struct engine *e)
{
    return e->stats;
}

/* ---- packing a step ---- */

/* Of what the sequence's rows will predict, everything that its own job still needs ... */
static void read_own(struct sequence *s, const struct entry *own)
{
    for (int p = own->next; p < own->end; p++)
        *ARRAY_PUSH(&s->readers) =
            (struct reader){s->job, p, s->job->n_scored ? s->job->tokens[p + 1] : -1};
}

static int by_position(const void *a, const void *b)
{
    const struct reader *x = a, *y = b;
    return (x->position > y->position) - (x->position < y->position);
}

/* ... and what jobs that wait need where they begin alike: several continuations of one context ask
 * about the same last row of it. A job's predictions are taken in order, so only one whose next
 * wanted row will be computed here can join. */
static void read_for_others(struct engine *e, struct sequence *s, struct entry *own)
{
    const struct entry *end = e->waiting.round.items + e->waiting.round.n;
    int common = own->end;
    for (struct entry *w = own + 1; w < end; w++) {
        common = w->common < common ? w->common : common;
        if (common <= s->n_computed)
            break;
        if (w->next == w->end || !w->job->n_scored || w->next < s->n_computed)
            continue;
        for (; w->next < w->end && w->next < common; w->next++)
            *ARRAY_PUSH(&s->readers) =
                (struct reader){w->job, w->next, w->job->tokens[w->next + 1]};
        if (!w->job->started_ns)
            w->job->started_ns = s->job->started_ns;
    }
    qsort(s->readers.items, s->readers.n, sizeof *s->readers.items, by_position);
}

/* Takes over the pages that hold the beginning already, up to the first row that is wanted. */
static struct kv_match share_prefix(struct engine *e, struct sequence *s, const struct entry *own)
{
    struct kv_match m = {.source = -1};
    if (!e->o.no_sharing)
        m = kvcache_match(&e->cache, s->job->tokens, own->next, s->pages);
    s->n_pages = m.n_pages;
    s->n_computed = m.n_pages * PAGE_POSITIONS;
    return m;
}

/* New pages for the rest, in the tree as far as their tokens are known. Their positions are
 * computed, or copied, before any row reads them, layer by layer, so a sequence that is admitted to
 * the same step may use them too. */
static void take_pages(struct engine *e, struct sequence *s, int n)
{
    int inputs = job_inputs(s->job);
    while (s->n_pages < n) {
        int at = s->n_pages * PAGE_POSITIONS, left = inputs - at;
        int32_t page = kvcache_take(&e->cache), parent = at ? s->pages[s->n_pages - 1] : -1;
        s->pages[s->n_pages++] = page;
        if (left > 0 && !e->o.no_sharing)
            kvcache_add(&e->cache, page, parent, s->job->tokens + at,
                        left < PAGE_POSITIONS ? left : PAGE_POSITIONS);
    }
}

/* The job at hand gets its pages, all that it can need; false: not now. */
static bool admit(struct engine *e, struct entry *own)
{
    struct engine_job *j = own->job;
    int n = pages_for(positions_of(j));
    struct sequence *s = mem_alloc(1, sizeof *s);
    *s = (struct sequence){.job = j, .n_tokens = j->n_tokens};
    s->pages = mem_alloc((size_t)n, sizeof *s->pages);
    struct kv_match m = share_prefix(e, s, own);
    if (m.source >= 0 && n - s->n_pages > e->cache.n_available) {
        kvcache_drop(&e->cache, m.source);
        m.source = -1;
    }
    if (n - s->n_pages > e->cache.n_available) {
        sequence_free(e, s);
        return false;
    }
    int first_own = s->n_pages;
    take_pages(e, s, n);
    if (m.source >= 0) {
        *ARRAY_PUSH(&e->copies) = (struct kv_copy){m.source, s->pages[first_own], m.n_source};
        s->n_computed += m.n_source;
    }
    if (!j->started_ns)
        j->started_ns = now_ns();
    read_own(s, own);
    if (!e->o.no_sharing)
        read_for_others(e, s, own);
    own->next = own->end;
    *ARRAY_PUSH(&e->running) = s;
    return true;
}

static void ask(struct engine *e, struct sequence *s, struct reader r, int32_t row)
{
    enum way way = r.job->sampling ? BY_SAMPLING : r.job->hidden ? BY_HIDDEN : BY_LOGPROBS;
    *ARRAY_PUSH(&e->questions) = (struct question){r, r.job == s->job ? s : NULL, row, way};
}

/* Adds the next rows of a sequence, as many as the step still takes. */
static void take_rows(struct engine *e, struct sequence *s)
{
    struct batch *b = &e->batch;
    int end = s->job->n_scored ? s->n_tokens - 1 : s->n_tokens;
    if (b->n_rows == e->o.token_budget || s->n_computed == end)
        return;
    int32_t slot = b->n_sequences++;
    memcpy(e->page_table + (size_t)slot * (size_t)e->max_pages, s->pages,
           (size_t)s->n_pages * sizeof *s->pages);
    for (; s->n_computed < end && b->n_rows < e->o.token_budget; s->n_computed++) {
        int32_t row = b->n_rows++;
        e->tokens[row] = s->job->tokens[s->n_computed];
        e->positions[row] = s->n_computed;
        e->sequences[row] = slot;
        for (; s->readers.first < s->readers.n; s->readers.first++) {
            struct reader r = s->readers.items[s->readers.first];
            if (r.position > s->n_computed)
                break;
            ask(e, s, r, row);
        }
        if (s->job->n_new) /* a token that was generated: what comes next? */
            ask(e, s, (struct reader){s->job, s->n_computed, -1}, row);
    }
}

static void pack(struct engine *e)
{
    e->batch.n_rows = e->batch.n_sequences = 0;
    e->copies.n = e->questions.n = 0;
    /* Generations first, one row each: their next token is what everything waits for. */
    for (size_t i = 0; i < e->running.n; i++)
        if (e->running.items[i]->job->n_new)
            take_rows(e, e->running.items[i]);
    for (size_t i = 0; i < e->running.n; i++)
        if (!e->running.items[i]->job->n_new)
            take_rows(e, e->running.items[i]);
    /* Room is left, so every row that is promised to others is computed or in this step. */
    while (e->batch.n_rows < e->o.token_budget) {
        struct entry *w = waiting_first(&e->waiting);
        if (!w || !admit(e, w))
            break;
        take_rows(e, e->running.items[e->running.n - 1]);
    }
}

/* ---- the forward pass ---- */

static int forward(struct engine *e, struct error *err)
{
    struct forward_kv kv = {&e->cache.kv, 0, e->copies.items, (int)e->copies.n};
    int r = forward_begin(&e->forward, &e->batch, err);
    if (r < 0)
        return r;
    for (; kv.layer < e->m->n_layers; kv.layer++)
        forward_layer(&e->forward, &e->m->layers[kv.layer], &e->batch, &kv, kv.layer > 0);
    forward_end(&e->forward, &e->batch);
    return 0;
}

/* ---- answers ---- */

/* What the model says of one row. */
struct prediction {
    double logprob; /* of the token that was asked about */
    int32_t argmax; /* or the token that was drawn */
    const struct top_token *top;
};

/* The job's scores come in order of position, so that their sum is the same however they came
 * about. */
static bool take_score(struct engine_job *j, const struct reader *r, const struct prediction *p)
{
    assert(r->position == job_first_wanted(j) + j->n_answered);
    if (j->n_top) {
        j->logprobs[j->n_answered] = p->logprob;
        memcpy(j->top + (size_t)j->n_answered * (size_t)j->n_top, p->top,
               (size_t)j->n_top * sizeof *p->top);
    }
    j->logprob += p->logprob;
    j->is_greedy &= p->argmax == r->target;
    return ++j->n_answered == j->n_scored;
}

static bool take_token(struct engine *e, struct sequence *s, int32_t token)
{
    struct engine_job *j = s->job;
    j->tokens[s->n_tokens++] = token;
    j->n_new++;
    e->stats.tokens_generated++;
    return !j->wants_more(j->arg, token) || j->n_new == j->max_new;
}

/* The job is done; its sequence, when it has one, gives up its place. */
static void finish(struct engine *e, struct engine_job *j, struct sequence *s)
{
    j->time_ns = now_ns() - j->started_ns;
    if (!s)
        return; /* others' rows have answered all */
    size_t at = 0;
    while (e->running.items[at] != s)
        at++;
    memmove(&e->running.items[at], &e->running.items[at + 1],
            (--e->running.n - at) * sizeof *e->running.items);
    sequence_free(e, s);
}

/* What `done` gets in the end. */
struct receiver {
    void (*done)(void *arg, struct engine_job *job);
    void *arg;
};

static void answer(struct engine *e, const struct question *q, const struct prediction *p,
                   const struct receiver *to)
{
    struct engine_job *j = q->reader.job;
    if (j->n_scored ? !take_score(j, &q->reader, p) : !take_token(e, q->sequence, p->argmax))
        return;
    finish(e, j, q->sequence);
    to->done(to->arg, j);
}

/* The wanted rows as they meet the vocabulary, in the forward pass' y. */
static const float *last_hidden(struct engine *e, int n)
{
    struct forward *f = &e->forward;
    e->k->gather(e->k->dev, f->y, f->x, e->wanted_rows, n, e->m->width);
    forward_last_norm(f, f->y, f->y, n);
    return f->y;
}

/* Questions come by row, and those about one row share its product with the vocabulary. */
static struct asked ask_rows(struct engine *e, const struct question *q, int n)
{
    struct asked a = {.targets = e->targets, .ends = e->ends};
    for (int i = 0; i < n; i++) {
        a.T += i == 0 || q[i].row != q[i - 1].row;
        e->wanted_rows[a.T - 1] = q[i].row;
        e->targets[i] = q[i].reader.target;
        e->ends[a.T - 1] = i + 1;
        a.k = q[i].reader.job->n_top > a.k ? q[i].reader.job->n_top : a.k;
    }
    return a;
}

/* Before an answer is believed: a device may have failed at any operation before it. */
static int check(struct engine *e, struct error *err)
{
    return e->k->check ? e->k->check(e->k->dev, err) : 0;
}

static int answer_by_logprobs(struct engine *e, const struct question *q, int n,
                              const struct receiver *to, struct error *err)
{
    struct asked a = ask_rows(e, q, n);
    a.x = last_hidden(e, a.T);
    e->k->logprobs(e->k->dev, e->predicted, e->top, &e->m->head, &a);
    int r = check(e, err);
    if (r < 0)
        return r;
    for (int i = 0, row = 0; i < n; i++) {
        const struct token_logprob *p = &e->predicted[i];
        row += i == e->ends[row];
        const struct top_token *top = e->top + (size_t)row * (size_t)a.k;
        answer(e, &q[i], &(struct prediction){p->logprob, p->argmax, top}, to);
    }
    return 0;
}

static struct sample_row sampled_row(const struct engine *e, const struct question *q, int i)
{
    const struct engine_job *j = q->reader.job;
    return (struct sample_row){.logits = e->logits_here + (size_t)i * (size_t)e->m->vocab,
                               .how = j->sampling,
                               .doc_id = j->doc_id,
                               .idx = j->idx,
                               .step = j->n_new,
                               .seen = j->tokens,
                               .n_seen = q->sequence->n_tokens};
}

/* The same product with the vocabulary as for log-probabilities, and a draw from it. */
static int answer_by_sampling(struct engine *e, const struct question *q, int n,
                              const struct receiver *to, struct error *err)
{
    struct sample_row rows[SAMPLED_ROWS];
    for (int i = 0; i < n; i++)
        e->wanted_rows[i] = q[i].row;
    const float *last = last_hidden(e, n);
    e->k->linear(e->k->dev, e->logits, last, &e->m->head, NULL, n);
    if (e->k->on_device)
        e->k->to_host(e->k->dev, e->logits_here, e->logits,
                      (size_t)n * (size_t)e->m->vocab * sizeof *e->logits);
    int r = check(e, err);
    if (r < 0)
        return r;
    for (int i = 0; i < n; i++)
        rows[i] = sampled_row(e, &q[i], i);
    sample_rows(e->sampler, rows, (size_t)n);
    for (int i = 0; i < n; i++)
        answer(e, &q[i], &(struct prediction){.argmax = rows[i].token}, to);
    return 0;
}

/* No product at all: whoever asked makes it. */
static int answer_by_hidden(struct engine *e, const struct question *q, int n,
                            const struct receiver *to, struct error *err)
{
    size_t D = (size_t)e->m->width;
    for (int i = 0; i < n; i++)
        e->wanted_rows[i] = q[i].row;
    const float *last = last_hidden(e, n);
    int r = check(e, err);
    if (r < 0)
        return r;
    for (int i = 0; i < n; i++) {
        struct engine_job *j = q[i].reader.job;
        e->k->to_host(e->k->dev, j->hidden + (size_t)j->n_answered * D, last + (size_t)i * D,
                      D * sizeof(float));
        answer(e, &q[i], &(struct prediction){.argmax = -1}, to);
    }
    return 0;
}

/* Only rows that somebody reads meet the vocabulary: the questions of each way in their order, as
 * many together as its buffers hold. */
static int hand_back(struct engine *e, const struct receiver *to, struct error *err)
{
    const struct {
        int (*answer)(struct engine *e, const struct question *q, int n, const struct receiver *to,
                      struct error *err);
        int most;
    } ways[N_WAYS] = {[BY_LOGPROBS] = {answer_by_logprobs, e->o.token_budget},
                      [BY_HIDDEN] = {answer_by_hidden, e->o.token_budget},
                      [BY_SAMPLING] = {answer_by_sampling, e->o.token_budget < SAMPLED_ROWS
                                                               ? e->o.token_budget
                                                               : SAMPLED_ROWS}};
    for (enum way w = 0; w < N_WAYS; w++) {
        int n = 0;
        for (size_t i = 0; i < e->questions.n; i++) {
            if (e->questions.items[i].way == w)
                e->together[n++] = e->questions.items[i];
            if (n == 0 || (n < ways[w].most && i + 1 < e->questions.n))
                continue;
            int r = ways[w].answer(e, e->together, n, to, err);
            if (r < 0)
                return r;
            n = 0;
        }
    }
    return 0;
}

int engine_step(struct engine *e, void (*done)(void *arg, struct engine_job *job), void *arg,
                struct error *err)
{
    int64_t begun = now_ns();
    pack(e);
    if (e->batch.n_rows == 0)
        return 0;
    e->stats.tokens_computed += e->batch.n_rows;
    e->stats.steps++;
    int r = forward(e, err);
    if (r < 0)
        return r;
    /* Before the sequences give theirs back: a page must not outlive those above it. */
    for (size_t i = 0; i < e->copies.n; i++)
        kvcache_drop(&e->cache, e->copies.items[i].from);
    r = hand_back(e, &(struct receiver){done, arg}, err);
    e->stats.seconds += 1e-9 * (double)(now_ns() - begun);
    return r;
}
