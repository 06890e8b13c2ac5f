#include "backends/local/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "backends/local/engine.h"
#include "base/arena.h"

int job_inputs(const struct engine_job *j)
{
    return j->n_scored ? j->n_tokens - 1 : j->n_tokens;
}

int job_first_wanted(const struct engine_job *j)
{
    return j->n_scored ? j->n_tokens - j->n_scored - 1 : j->n_tokens - 1;
}

void waiting_push(struct waiting *w, struct engine_job *job)
{
    *ARRAY_PUSH(&w->arrived) = job;
}

/* Any order will do that keeps equal beginnings together: that of the tokens' bytes is quickest. */
static int by_tokens(const void *a, const void *b)
{
    const struct engine_job *x = *(struct engine_job *const *)a,
                            *y = *(struct engine_job *const *)b;
    int nx = job_inputs(x), ny = job_inputs(y), n = nx < ny ? nx : ny;
    int order = memcmp(x->tokens, y->tokens, (size_t)n * sizeof *x->tokens);
    return order ? order : nx - ny;
}

static int common_tokens(const struct engine_job *x, const struct engine_job *y)
{
    int nx = job_inputs(x), ny = job_inputs(y), n = nx < ny ? nx : ny, i = 0;
    while (i < n && x->tokens[i] == y->tokens[i])
        i++;
    return i;
}

static void begin_round(struct waiting *w)
{
    if (!w->unsorted)
        qsort(w->arrived.items, w->arrived.n, sizeof *w->arrived.items, by_tokens);
    w->round.n = w->round.first = 0;
    for (size_t i = 0; i < w->arrived.n; i++) {
        struct engine_job *j = w->arrived.items[i];
        int common = i > 0 && !w->unsorted ? common_tokens(w->arrived.items[i - 1], j) : 0;
        *ARRAY_PUSH(&w->round) = (struct entry){j, common, job_first_wanted(j), job_inputs(j)};
    }
    w->arrived.n = 0;
}

struct entry *waiting_first(struct waiting *w)
{
    for (;;) {
        if (w->round.first == w->round.n) {
            if (w->arrived.n == 0)
                return NULL;
            begin_round(w);
        }
        struct entry *e = &w->round.items[w->round.first];
        if (e->next < e->end)
            return e;
        w->round.first++;
    }
}

void waiting_free(struct waiting *w)
{
    free(w->arrived.items);
    free(w->round.items);
}
