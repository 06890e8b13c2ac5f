/* ask.h: for tests of a backend: opens it, asks many requests in some order, keeps the answers. */
#ifndef ASSAY_TESTS_BACKENDS_ASK_H
#define ASSAY_TESTS_BACKENDS_ASK_H

#include <limits.h>

#include "backends/backend.h"
#include "tests/check.h"

/* How a backend is asked; zeroed: one thread, in order, with all that the machine has. */
struct asking {
    int n_threads;
    bool reference;      /* the scalar kernels */
    bool no_sharing;     /* of prefixes */
    const char *options; /* behind the model: ",dtype=bf16" */
    int token_budget;    /* as struct backend_options */
    size_t kv_bytes;
    uint64_t shuffle; /* 0: in order */
};

static inline struct backend *open_backend(const char *path, const struct asking *how)
{
    char spec[4200];
    snprintf(spec, sizeof spec, "%s%s", path, how->options ? how->options : "");
    struct backend_options options = {.n_threads = how->n_threads ? how->n_threads : 1,
                                      .features = how->reference ? 0 : UINT_MAX,
                                      .token_budget = how->token_budget,
                                      .kv_bytes = how->kv_bytes,
                                      .no_sharing = how->no_sharing};
    struct backend *b = NULL;
    struct error err;
    EXPECT_OK(backend_open(spec, &options, &b, &err), &err);
    return b;
}

static inline void shuffle(size_t *order, size_t n, uint64_t seed)
{
    for (size_t i = n; seed && i > 1; i--) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t j = (size_t)(seed >> 33) % i, kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

/* Asks all, as many at a time as the backend likes. Answers live in `a`. */
static inline void ask_all(struct backend *b, struct arena *a, const struct request *requests,
                           size_t n, uint64_t seed, struct response *ret)
{
    size_t *order = arena_array(a, n, sizeof *order), asked = 0, done = 0;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    shuffle(order, n, seed);
    while (done < n) {
        struct error err;
        for (; asked < n && backend_room(b) > 0; asked++)
            EXPECT_OK(backend_submit(b, &requests[order[asked]], order[asked], &err), &err);
        struct completion c[8];
        int got = backend_poll(b, a, c, 8, &err);
        if (got < 0 || backend_in_flight(b) + got == 0) {
            check_fail(__FILE__, __LINE__, "%zu of %zu requests are not answered", n - done, n);
            return;
        }
        for (int i = 0; i < got; i++, done++)
            ret[c[i].tag] = c[i].response;
    }
    EXPECT_INT(backend_in_flight(b), 0);
}

/* Opens, asks, closes; NULL when the backend does not open. Answers live in `a`. */
static inline struct response *ask(const char *path, const struct asking *how, struct arena *a,
                                   const struct request *requests, size_t n)
{
    struct backend *b = open_backend(path, how);
    if (!b)
        return NULL;
    struct response *r = arena_array(a, n, sizeof *r);
    ask_all(b, a, requests, n, how->shuffle, r);
    backend_close(b);
    return r;
}

static inline struct request loglikelihood(const char *context, const char *continuation)
{
    return (struct request){.kind = REQUEST_LOGLIKELIHOOD,
                            .context = str_of(context),
                            .continuation = str_of(continuation)};
}

/* The same bits in everything that an answer says. */
static inline void expect_same(const struct response *got, const struct response *want, size_t n,
                               const char *what)
{
    for (size_t i = 0; i < n; i++) {
        const struct response *x = &got[i], *y = &want[i];
        bool same = memcmp(&x->logprob_nats, &y->logprob_nats, sizeof x->logprob_nats) == 0 &&
                    x->is_greedy == y->is_greedy && x->finish == y->finish &&
                    x->n_tokens_scored == y->n_tokens_scored &&
                    x->n_tokens_generated == y->n_tokens_generated &&
                    x->n_truncated == y->n_truncated && str_eq(x->text, y->text) &&
                    x->n_tokens == y->n_tokens &&
                    memcmp(x->tokens, y->tokens, (size_t)x->n_tokens * sizeof *x->tokens) == 0 &&
                    x->error == y->error;
        if (!same)
            check_fail(__FILE__, __LINE__, "%s: request %zu: %.17g \"%.*s\", not %.17g \"%.*s\"",
                       what, i, x->logprob_nats, STR_ARG(x->text), y->logprob_nats,
                       STR_ARG(y->text));
    }
}

#endif
