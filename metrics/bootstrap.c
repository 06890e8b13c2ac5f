/* bootstrap.c: chunks of replicates, shared among threads. */
#include "metrics/bootstrap.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/pool.h"
#include "base/pyrandom.h"
#include "metrics/stats.h"

enum { CHUNK = 1000 }; /* replicates that share one seed */

struct bootstrap {
    resampled *f;
    const void *data;
    int chunk;
    char *scratch; /* [threads] of scratch_bytes each */
    size_t scratch_bytes;
    double *replicates; /* [chunks, chunk] */
};

static void bootstrap_chunk(void *arg, size_t part, int thread)
{
    const struct bootstrap *b = arg;
    double *out = b->replicates + part * (size_t)b->chunk;
    struct pyrandom r;
    pyrandom_seed(&r, (int64_t)part);
    for (int i = 0; i < b->chunk; i++)
        out[i] = b->f(b->data, &r, b->scratch + (size_t)thread * b->scratch_bytes);
}

double bootstrap_stderr(resampled *f, const void *data, size_t scratch_bytes, int iters,
                        struct pool *pool)
{
    struct bootstrap b = {.f = f, .data = data, .chunk = iters < CHUNK ? iters : CHUNK};
    size_t chunks = (size_t)(iters / b.chunk), total = chunks * (size_t)b.chunk;
    b.scratch_bytes = (scratch_bytes + 63) & ~(size_t)63; /* no two threads in one cache line */
    b.scratch = mem_alloc((size_t)(pool ? pool_size(pool) : 1), b.scratch_bytes);
    b.replicates = mem_alloc(total, sizeof *b.replicates);
    if (pool)
        pool_run(pool, chunks, bootstrap_chunk, &b);
    else
        for (size_t i = 0; i < chunks; i++)
            bootstrap_chunk(&b, i, 0);
    double ret = stats_sd(b.replicates, (int64_t)total);
    free(b.scratch), free(b.replicates);
    return ret;
}

void pick(struct pyrandom *r, int64_t n, int n_picks, int64_t *ret)
{
    double u[PICKS];
    pyrandom_randoms(r, u, (size_t)n_picks);
    for (int i = 0; i < n_picks; i++)
        ret[i] = (int64_t)(u[i] * (double)n); /* as random.choices picks */
}
