/* What only concerns speed changes no bit: random models of every weight format, random jobs that
 * begin alike here and there, asked under random settings: rows a step, threads, size of the cache
 * (down to where one job just fits), order, arrival, sharing. */
#include <math.h>
#include <stdlib.h>

#include "backends/local/engine.h"
#include "backends/local/foresee.h"
#include "backends/local/waiting.h"
#include "tests/check.h"
#include "tests/kernels/operands.h"

enum { LAYERS = 2, WIDTH = 256, HEADS = 4, KV_HEADS = 2, HEAD = 64, HIDDEN = 512, VOCAB = 300 };
enum { N_JOBS = 48, LONGEST = 90, MAX_NEW = 8, ALPHABET = 3, TRIES = 4 };

/* ---- models and jobs ---- */

static float *vector(struct arena *a, int n, float centre)
{
    float *v = arena_array(a, (size_t)n, sizeof *v);
    for (int i = 0; i < n; i++)
        v[i] = centre + 0.1f * random_float();
    return v;
}

/* As random_weight, but of a trained model's magnitude where the format can be written. */
static struct weight matrix(enum format f, int64_t rows, int64_t cols)
{
    struct weight w = random_weight(f, rows, cols);
    float *row = floats((size_t)cols);
    struct error err;
    for (int64_t r = 0; r < rows; r++) {
        char *at = (char *)(uintptr_t)w.data + (size_t)r * format_row_bytes(f, cols);
        weight_row_to_f32(&w, r, row);
        for (int64_t i = 0; i < cols; i++)
            if (!(fabsf(row[i]) <
                  100)) { /* a block with a great scale: only formats that are read */
                memset(at, 0, format_row_bytes(f, cols));
                break;
            }
        for (int64_t i = 0; i < cols; i++)
            row[i] = 0.15f * ((float)random_below(2001) / 1000 - 1);
        if (format_from_f32(f, row, cols, at, &err) < 0)
            continue; /* as it is */
    }
    floats_free(row);
    return w;
}

static struct model make_model(struct arena *a, enum format f)
{
    struct model m = {.n_layers = LAYERS,
                      .width = WIDTH,
                      .n_heads = HEADS,
                      .n_kv_heads = KV_HEADS,
                      .head_size = HEAD,
                      .hidden = HIDDEN,
                      .vocab = VOCAB,
                      .max_length = LONGEST + MAX_NEW,
                      .norm_eps = 1e-5f,
                      .rope = ROPE_HALVES,
                      .tied = true};
    m.inv_freq = arena_array(a, HEAD / 2, sizeof *m.inv_freq);
    for (int i = 0; i < HEAD / 2; i++)
        m.inv_freq[i] = powf(10000, -2.0f * (float)i / HEAD);
    m.embed = m.head = matrix(f, VOCAB, WIDTH);
    m.norm = vector(a, WIDTH, 1);
    m.layers = arena_array(a, LAYERS, sizeof *m.layers);
    for (int i = 0; i < LAYERS; i++)
        m.layers[i] = (struct layer){.attn_norm = vector(a, WIDTH, 1),
                                     .ffn_norm = vector(a, WIDTH, 1),
                                     .q = matrix(f, HEADS * HEAD, WIDTH),
                                     .k = matrix(f, KV_HEADS * HEAD, WIDTH),
                                     .v = matrix(f, KV_HEADS * HEAD, WIDTH),
                                     .o = matrix(f, WIDTH, HEADS * HEAD),
                                     .gate = matrix(f, HIDDEN, WIDTH),
                                     .up = matrix(f, HIDDEN, WIDTH),
                                     .down = matrix(f, WIDTH, HIDDEN),
                                     .q_bias = vector(a, HEADS * HEAD, 0)};
    return m;
}

static struct weight *weights_of(struct model *m, int i)
{
    struct layer *l = &m->layers[(i - 1) / 7];
    struct weight *all[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
    return i == 0 ? &m->head : all[(i - 1) % 7];
}
enum { N_WEIGHTS = 1 + 7 * LAYERS };

/* A text's end depends on its tokens alone. */
static bool wants_more(void *arg, int32_t token)
{
    (void)arg;
    return token % 7 != 3;
}

static const struct sampling sampling = {.temperature = 1, .seed = 5};

/* Each goes on from a piece of one before it, some from all of it, some add nothing to it. */
static void make_jobs(struct arena *a, struct engine_job *jobs)
{
    for (int i = 0; i < N_JOBS; i++) {
        struct engine_job *j = &jobs[i];
        const struct engine_job *from = &jobs[i ? random_below((uint32_t)i) : 0];
        int32_t *tokens = arena_array(a, LONGEST + MAX_NEW, sizeof *tokens);
        int n = i == 0            ? 40
                : random_below(4) ? from->n_tokens - (int)random_below(4)
                                  : (int)random_below((uint32_t)from->n_tokens);
        n = n < 0 ? 0 : n;
        for (int t = 0; t < n; t++)
            tokens[t] = i ? from->tokens[t] : (int32_t)random_below(ALPHABET);
        int more = 2 + (int)random_below(random_below(5) ? 5 : 40);
        for (; more > 0 && n < LONGEST; more--)
            tokens[n++] = (int32_t)random_below(ALPHABET);
        *j = (struct engine_job){.tokens = tokens, .n_tokens = n, .doc_id = i};
        j->n_scored = i % 3 ? 1 + (int)random_below(i % 7 ? 3 : (uint32_t)n - 1) : 0;
        if (j->n_scored >= n)
            j->n_scored = n - 1;
        j->max_new = j->n_scored ? 0 : 1 + (int)random_below(MAX_NEW);
        j->wants_more = wants_more;
        j->sampling = !j->n_scored && i % 2 ? &sampling : NULL;
    }
}

/* ---- asking ---- */

struct setting {
    int token_budget, n_threads;
    size_t kv_bytes;
    bool no_sharing, shuffled, dribbling; /* dribbling: one job arrives a step */
};

static void count(void *arg, struct engine_job *job)
{
    (void)job;
    ++*(int *)arg;
}

static void submit(struct engine *e, struct engine_job *j)
{
    struct error err;
    EXPECT_OK(engine_check(e, j, &err), &err);
    engine_submit(e, j);
}

/* Answers copies of the jobs; returns how many tokens went through the model. */
static int64_t answer(const struct model *m, const struct kernels *k, struct pool *pool, int n,
                      const struct setting *s, struct engine_job *ret)
{
    struct engine_options o = {.token_budget = s->token_budget,
                               .kv_bytes = s->kv_bytes,
                               .max_length = LONGEST + MAX_NEW,
                               .no_sharing = s->no_sharing,
                               .pool = pool};
    struct engine *e = NULL;
    struct error err;
    EXPECT_OK(engine_open(m, k, &o, &e, &err), &err);
    if (!e)
        return 0;
    int order[N_JOBS], done = 0, given = 0;
    for (int i = 0; i < n; i++) {
        int at = s->shuffled ? (int)random_below((uint32_t)i + 1) : i;
        order[i] = order[at];
        order[at] = i;
    }
    for (int steps = 0; done < n && steps < 100000; steps++) {
        while (given < n) {
            submit(e, &ret[order[given++]]);
            if (s->dribbling)
                break;
        }
        EXPECT_OK(engine_step(e, count, &done, &err), &err);
    }
    EXPECT_INT(done, n);
    int64_t computed = engine_stats(e).tokens_computed;
    engine_close(e);
    return computed;
}

static void copy_jobs(struct arena *a, const struct engine_job *from, int n, struct engine_job *to)
{
    for (int i = 0; i < n; i++) {
        to[i] = from[i];
        to[i].tokens = arena_array(a, LONGEST + MAX_NEW, sizeof *to[i].tokens);
        memcpy(to[i].tokens, from[i].tokens, (size_t)from[i].n_tokens * sizeof *to[i].tokens);
    }
}

static void expect_same_answers(const struct engine_job *got, const struct engine_job *want, int n,
                                const char *format, const struct setting *s)
{
    for (int i = 0; i < n; i++) {
        const struct engine_job *x = &got[i], *y = &want[i];
        size_t tokens = (size_t)(y->n_tokens + y->n_new) * sizeof *y->tokens;
        if (memcmp(&x->logprob, &y->logprob, sizeof x->logprob) != 0 ||
            x->is_greedy != y->is_greedy || x->n_new != y->n_new ||
            memcmp(x->tokens, y->tokens, tokens) != 0)
            check_fail(__FILE__, __LINE__,
                       "%s, seed %llu, budget %d, %d threads, %zu bytes of cache%s%s%s: job %d: "
                       "%.17g and %d new, not %.17g and %d",
                       format, (unsigned long long)random_first, s->token_budget, s->n_threads,
                       s->kv_bytes, s->no_sharing ? ", no sharing" : "",
                       s->shuffled ? ", shuffled" : "", s->dribbling ? ", dribbling" : "", i,
                       x->logprob, x->n_new, y->logprob, y->n_new);
    }
}

/* ---- the tests ---- */

static const struct setting plain = {256, 1, (size_t)64 << 20, true, false, false};

static struct setting random_setting(const struct model *m)
{
    size_t least = (LONGEST + MAX_NEW + PAGE_POSITIONS) * position_bytes(m);
    return (struct setting){.token_budget = 1 + (int)random_below(random_below(2) ? 300 : 30),
                            .n_threads = 1 + (int)random_below(3),
                            .kv_bytes =
                                random_below(2) ? least + random_below(1 << 20) : (size_t)64 << 20,
                            .no_sharing = random_below(4) == 0,
                            .shuffled = random_below(2),
                            .dribbling = random_below(3) == 0};
}

/* One format under settings of all kinds, by the kernels with these features. */
static void check_format(enum format f, unsigned features, int tries)
{
    struct arena a = {0};
    struct model m = make_model(&a, f);
    struct engine_job jobs[N_JOBS] = {0}, want[N_JOBS], got[N_JOBS];
    make_jobs(&a, jobs);
    for (int i = 0; i <= tries; i++) {
        struct setting s = i ? random_setting(&m) : plain;
        struct pool *pool = pool_new(s.n_threads);
        struct kernels k = kernels_cpu(features, pool);
        struct error err;
        for (int w = 0; w < N_WEIGHTS; w++)
            EXPECT_OK(k.weight_pack(k.dev, weights_of(&m, w), &err), &err);
        copy_jobs(&a, jobs, N_JOBS, i ? got : want);
        answer(&m, &k, pool, N_JOBS, &s, i ? got : want);
        if (i)
            expect_same_answers(got, want, N_JOBS, format_info[f].name, &s);
        k.close(k.dev);
        pool_free(pool);
    }
    for (int i = 0; i < N_JOBS; i++)
        if (!isfinite(want[i].logprob))
            check_fail(__FILE__, __LINE__, "%s: job %d gave %g", format_info[f].name, i,
                       want[i].logprob);
    for (int w = 0; w < N_WEIGHTS; w++)
        weight_drop(weights_of(&m, w));
    arena_free(&a);
}

static void every_format(void)
{
    for (int f = 0; f < FORMAT_COUNT; f++)
        check_format((enum format)f, UINT32_MAX, TRIES);
}

static void scalar_kernels(void)
{
    check_format(FORMAT_F32, 0, 2);
}

/* Tokens that no job before has behind the same beginning. */
static int64_t tree_size(const struct engine_job *jobs, int n)
{
    int64_t size = 0;
    for (int i = 0; i < n; i++) {
        int most = 0;
        for (int k = 0; k < i; k++) {
            int same = 0;
            while (same < job_inputs(&jobs[i]) && same < job_inputs(&jobs[k]) &&
                   jobs[i].tokens[same] == jobs[k].tokens[same])
                same++;
            most = same > most ? same : most;
        }
        size += job_inputs(&jobs[i]) - most;
    }
    return size;
}

/* Beginnings whose next token somebody asks about, each counted once. */
static int64_t wanted_rows(const struct engine_job *jobs, int n)
{
    int64_t rows = 0;
    for (int i = 0; i < n; i++)
        for (int p = job_first_wanted(&jobs[i]); p < job_inputs(&jobs[i]); p++) {
            bool seen = false;
            for (int k = 0; k < i && !seen; k++)
                seen = p >= job_first_wanted(&jobs[k]) && p < job_inputs(&jobs[k]) &&
                       memcmp(jobs[i].tokens, jobs[k].tokens,
                              ((size_t)p + 1) * sizeof *jobs[i].tokens) == 0;
            rows += !seen;
        }
    return rows;
}

/* Rows that met the vocabulary, and calls that they were spread over. */
static struct {
    int64_t rows, calls;
    void (*logprobs)(struct device *, struct token_logprob *, struct top_token *,
                     const struct weight *, const struct asked *);
} vocabulary;

static void count_logprobs(struct device *dev, struct token_logprob *ret, struct top_token *top,
                           const struct weight *head, const struct asked *a)
{
    vocabulary.rows += a->T;
    vocabulary.calls++;
    vocabulary.logprobs(dev, ret, top, head, a);
}

/* With room for all of it, the tree over all tokens is computed and nothing else, whatever the
 * step and the order; and one row of it meets the vocabulary for all who ask about it, but where a
 * call is full. */
static void each_token_once(void)
{
    struct arena a = {0};
    struct model m = make_model(&a, FORMAT_F32);
    struct engine_job jobs[N_JOBS] = {0}, got[N_JOBS];
    make_jobs(&a, jobs);
    int n = 0;
    for (int i = 0; i < N_JOBS; i++)
        if (jobs[i].n_scored)
            jobs[n++] = jobs[i];
    int64_t tree = tree_size(jobs, n), all = 0;
    for (int i = 0; i < n; i++)
        all += job_inputs(&jobs[i]);
    EXPECT(tree < all / 2);
    int64_t wanted = wanted_rows(jobs, n), questions = 0;
    for (int i = 0; i < n; i++)
        questions += jobs[i].n_scored;
    EXPECT(wanted < questions);
    struct pool *pool = pool_new(1);
    struct kernels k = kernels_cpu(UINT32_MAX, pool);
    struct error err;
    for (int w = 0; w < N_WEIGHTS; w++)
        EXPECT_OK(k.weight_pack(k.dev, weights_of(&m, w), &err), &err);
    vocabulary.logprobs = k.logprobs;
    k.logprobs = count_logprobs;
    for (int budget = 1; budget < 400; budget = budget * 3 + 1) {
        struct setting s = {budget, 1, (size_t)64 << 20, false, budget % 2, false};
        copy_jobs(&a, jobs, n, got);
        vocabulary.rows = vocabulary.calls = 0;
        EXPECT_INT(answer(&m, &k, pool, n, &s, got), tree);
        EXPECT(vocabulary.rows >= wanted && vocabulary.rows < wanted + vocabulary.calls);
        s.no_sharing = true;
        copy_jobs(&a, jobs, n, got);
        EXPECT_INT(answer(&m, &k, pool, n, &s, got), all);
    }
    k.close(k.dev);
    pool_free(pool);
    for (int w = 0; w < N_WEIGHTS; w++)
        weight_drop(weights_of(&m, w));
    arena_free(&a);
}

CHECK_MAIN({"every_format", every_format}, {"scalar_kernels", scalar_kernels},
           {"each_token_once", each_token_once})
