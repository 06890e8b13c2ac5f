#include "backends/local/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/philox.h"

/* One thread's working memory. */
struct work {
    double *score;       /* [vocab] logits, then what the steps make of them */
    int32_t *heap;       /* [vocab] ids that were not taken, the best first */
    int32_t *kept;       /* [vocab] ids that are left */
    double *weight;      /* [vocab] of kept[i]: its probability, up to a factor */
    unsigned char *seen; /* [vocab / 8 + 1] bits, all zero between calls */
    int n_heap, n_kept;
};

struct sampler {
    struct pool *pool;
    int vocab, n_works;
    struct work *works;
};

struct sampler *sampler_new(int vocab, struct pool *pool)
{
    struct sampler *s = mem_alloc(1, sizeof *s);
    size_t V = (size_t)vocab;
    *s = (struct sampler){.pool = pool, .vocab = vocab, .n_works = pool_size(pool)};
    s->works = mem_alloc((size_t)s->n_works, sizeof *s->works);
    for (int i = 0; i < s->n_works; i++)
        s->works[i] = (struct work){.score = mem_alloc(V, sizeof(double)),
                                    .heap = mem_alloc(V, sizeof(int32_t)),
                                    .kept = mem_alloc(V, sizeof(int32_t)),
                                    .weight = mem_alloc(V, sizeof(double)),
                                    .seen = mem_alloc(V / 8 + 1, 1)};
    return s;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_works; i++) {
        struct work *w = &s->works[i];
        void *parts[] = {w->score, w->heap, w->kept, w->weight, w->seen};
        for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
            free(parts[k]);
    }
    free(s->works);
    free(s);
}

int sampling_check(const struct sampling *how, struct error *err)
{
    const struct {
        const char *name;
        double value, most;
        const char *range;
    } settings[] = {
        {"repetition_penalty", how->repetition_penalty, INFINITY, "a positive number; 1 is none"},
        {"temperature", how->temperature, INFINITY, "a positive number, or 0 for greedy decoding"},
        {"top_k", how->top_k, INFINITY, "a positive number of tokens, or 0 for all"},
        {"top_p", how->top_p, 1, "a probability between 0 and 1; 1 is all"},
        {"min_p", how->min_p, 1, "a share between 0 and 1; 0 is all"},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        double value = settings[i].value;
        if (!(value >= 0 && value <= settings[i].most) || isinf(value))
            return error_set(err, E_INPUT,
                             "the task asks for sampling with %s=%g, which must be %s",
                             settings[i].name, value, settings[i].range);
    }
    return 0;
}

static bool penalizes(const struct sampling *how)
{
    return how->repetition_penalty != 0 && how->repetition_penalty != 1;
}

bool sampling_is_greedy(const struct sampling *how)
{
    return how->temperature == 0 && !penalizes(how);
}

/* ---- the steps ---- */

static void penalize(struct work *w, double penalty, const int32_t *seen, int n)
{
    for (int i = 0; i < n; i++) {
        size_t byte = (size_t)seen[i] / 8;
        unsigned char bit = (unsigned char)(1u << (seen[i] % 8));
        double *score = &w->score[seen[i]];
        if (!(w->seen[byte] & bit))
            *score = *score < 0 ? *score * penalty : *score / penalty;
        w->seen[byte] |= bit;
    }
    for (int i = 0; i < n; i++)
        w->seen[(size_t)seen[i] / 8] = 0;
}

static int32_t most_probable(const double *score, int vocab)
{
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++)
        if (score[i] > score[best])
            best = i;
    return best;
}

/* Scores become logarithms of probabilities relative to the most probable token's. Subtracting
 * first keeps a low temperature from overflowing. */
static void cool(double *score, int vocab, double most, double temperature)
{
    for (int i = 0; i < vocab; i++)
        score[i] = score[i] == most ? 0 : (score[i] - most) / temperature;
}

/* ---- the best first, as far as they are wanted: a heap over all, since few are ---- */

/* Of equals the higher id, as an ascending sort leaves them at its end: so do transformers and
 * vLLM.
 */
static bool better(const double *score, int32_t a, int32_t b)
{
    return score[a] > score[b] || (score[a] == score[b] && a > b);
}

static void sift_down(struct work *w, int at)
{
    int32_t *heap = w->heap, id = heap[at];
    for (int child; (child = 2 * at + 1) < w->n_heap; at = child) {
        if (child + 1 < w->n_heap && better(w->score, heap[child + 1], heap[child]))
            child++;
        if (!better(w->score, heap[child], id))
            break;
        heap[at] = heap[child];
    }
    heap[at] = id;
}

static void heap_all(struct work *w, int vocab)
{
    w->n_heap = vocab;
    for (int i = 0; i < vocab; i++)
        w->heap[i] = i;
    for (int i = vocab / 2 - 1; i >= 0; i--)
        sift_down(w, i);
}

static void keep(struct work *w, int32_t id)
{
    w->weight[w->n_kept] = exp(w->score[id]);
    w->kept[w->n_kept++] = id;
}

static void keep_best(struct work *w)
{
    keep(w, w->heap[0]);
    w->heap[0] = w->heap[--w->n_heap];
    if (w->n_heap)
        sift_down(w, 0);
}

/* The k best and those equal to the last of them. */
static void keep_top_k(struct work *w, int k)
{
    double last = INFINITY;
    while (w->n_heap && (w->n_kept < k || w->score[w->heap[0]] == last)) {
        last = w->score[w->heap[0]];
        keep_best(w);
    }
}

static double total(const double *weight, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += weight[i];
    return sum;
}

/* Of those kept, best first: as many as have p of their sum. */
static void cut_top_p(struct work *w, double p)
{
    double enough = p * total(w->weight, w->n_kept), sum = 0;
    int n = 0;
    while (n < w->n_kept && (n == 0 || sum < enough))
        sum += w->weight[n++];
    w->n_kept = n;
}

/* The same from the heap of all. */
static void keep_top_p(struct work *w, double p, int vocab)
{
    double enough = 0, sum = 0;
    for (int i = 0; i < vocab; i++)
        enough += exp(w->score[i]);
    enough *= p;
    while (w->n_heap && (w->n_kept == 0 || sum < enough)) {
        keep_best(w);
        sum += w->weight[w->n_kept - 1];
    }
}

static void keep_by_rank(struct work *w, const struct sampling *how, bool by_p, int vocab)
{
    heap_all(w, vocab);
    if (how->top_k) {
        keep_top_k(w, how->top_k);
        if (by_p)
            cut_top_p(w, how->top_p);
    } else {
        keep_top_p(w, how->top_p, vocab);
    }
}

static void cut_min_p(struct work *w, double min_p)
{
    int n = 0;
    for (int i = 0; i < w->n_kept; i++)
        if (w->weight[i] >= min_p) { /* the most probable one's weight is 1 */
            w->kept[n] = w->kept[i];
            w->weight[n++] = w->weight[i];
        }
    w->n_kept = n;
}

static int32_t draw(const struct work *w, double u)
{
    double end = u * total(w->weight, w->n_kept), sum = 0;
    int last = 0;
    for (int i = 0; i < w->n_kept; i++) {
        sum += w->weight[i];
        if (sum > end)
            return w->kept[i];
        if (w->weight[i] > 0)
            last = i;
    }
    return w->kept[last]; /* u * total rounded up to the total */
}

static double uniform(const struct sample_row *r)
{
    uint64_t doc = (uint64_t)r->doc_id;
    const uint32_t counter[4] = {(uint32_t)r->step, (uint32_t)r->idx, (uint32_t)doc,
                                 (uint32_t)(doc >> 32)};
    return philox_uniform(counter, (uint64_t)r->how->seed);
}

static int32_t choose(struct work *w, const struct sample_row *r, int vocab)
{
    const struct sampling *how = r->how;
    for (int i = 0; i < vocab; i++)
        w->score[i] = isnan(r->logits[i]) ? -INFINITY : r->logits[i];
    if (penalizes(how))
        penalize(w, how->repetition_penalty, r->seen, r->n_seen);
    int32_t best = most_probable(w->score, vocab);
    double most = w->score[best];
    if (how->temperature == 0 || most == -INFINITY)
        return best;
    cool(w->score, vocab, most, how->temperature);
    bool by_p = how->top_p > 0 && how->top_p < 1;
    w->n_kept = 0;
    if (how->top_k || by_p)
        keep_by_rank(w, how, by_p, vocab);
    else
        for (int32_t i = 0; i < vocab; i++)
            keep(w, i);
    if (how->min_p > 0)
        cut_min_p(w, how->min_p);
    return draw(w, uniform(r));
}

/* ---- many rows ---- */

struct loop {
    struct sampler *sampler;
    struct sample_row *rows;
};

static void choose_part(void *arg, size_t part, int thread)
{
    struct loop *l = arg;
    struct sample_row *r = &l->rows[part];
    r->token = choose(&l->sampler->works[thread], r, l->sampler->vocab);
}

void sample_rows(struct sampler *s, struct sample_row *rows, size_t n)
{
    struct loop l = {s, rows};
    pool_run(s->pool, n, choose_part, &l);
}
