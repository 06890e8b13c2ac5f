/* engine.h: runs a model over sequences of tokens, many at once.
 *
 * Iteration-level batching: every step packs up to a budget of rows from whatever is live, one
 * token of each running generation and chunks of prompts. A job that ends frees its place at once.
 * Keys and values lie in pages (kvcache.h), and jobs are taken in the order of their tokens
 * (waiting.h), so each distinct beginning is computed once while it fits the memory. A row whose
 * prediction several jobs ask about, such as a context's last one about its choices, is computed
 * once for all of them. Nothing of this changes a bit of an answer. */
#ifndef ASSAY_BACKENDS_LOCAL_ENGINE_H
#define ASSAY_BACKENDS_LOCAL_ENGINE_H

#include "backends/local/kvcache.h"
#include "backends/local/model.h"
#include "base/request.h"

struct engine;

struct engine_options {
    int token_budget;  /* rows of a step */
    size_t kv_bytes;   /* of the cache */
    int max_length;    /* the longest sequence */
    enum format dtype; /* activations are rounded to it between operations */
    bool no_sharing;   /* compute every prefix anew; for tests */
    struct pool *pool; /* that sampling is spread over; used, not owned */
};

/* A sequence of tokens to score or to continue. The caller owns it and its tokens, which must not
 * move until it is done. */
struct engine_job {
    int32_t *tokens; /* [n_tokens + max_new]; new tokens are written behind the prompt */
    int n_tokens;
    int n_scored; /* the last so many tokens are scored, each given all before it; 0: generate */
    int max_new;  /* most tokens to generate */
    const struct sampling *sampling; /* NULL: greedy */
    int64_t doc_id;                  /* with idx: whose random numbers are drawn */
    int idx;
    int n_top;             /* with each scored token the n_top most probable ones; then: */
    double *logprobs;      /* [n_scored], the caller's: of each scored token */
    struct top_token *top; /* [n_scored, n_top], the caller's */
    /* [n_scored, D], the caller's: the row that the vocabulary would be multiplied by, for each
     * scored token, which then gets no other answer. NULL: it is scored. */
    float *hidden;
    /* Told of each new token; false: it was the last. Runs inside engine_step. */
    bool (*wants_more)(void *arg, int32_t token);
    void *arg;

    /* The answer. */
    double logprob;  /* sum over the scored tokens, in their order */
    bool is_greedy;  /* each scored token was the most probable */
    int n_new;       /* tokens generated */
    int64_t time_ns; /* from its first step to its last */

    /* Private. */
    int n_answered; /* scored tokens so far */
    int64_t started_ns;
};

/* The model and the kernels are used, not owned. E_MEMORY: buffers or cache do not fit. */
int engine_open(const struct model *m, const struct kernels *k, const struct engine_options *o,
                struct engine **ret, struct error *err);
void engine_close(struct engine *e);

/* E_MEMORY: the job needs more positions than the cache has at all. E_INPUT: no token to start
 * from, longer than max_length, or an id that the model has no row for. */
int engine_check(const struct engine *e, const struct engine_job *job, struct error *err);

/* Queues a job that engine_check agrees to. */
void engine_submit(struct engine *e, struct engine_job *job);

/* One step. Jobs that ended in it are handed to `done(arg, job)`. E_IO: embedding.h; the engine can
 * only be closed then. */
int engine_step(struct engine *e, void (*done)(void *arg, struct engine_job *job), void *arg,
                struct error *err);
bool engine_idle(struct engine *e);

struct engine_stats {
    int64_t tokens_computed, tokens_generated, steps;
    double seconds;
};
struct engine_stats engine_stats(const struct engine *e);

#endif
