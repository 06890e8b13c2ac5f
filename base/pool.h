/* pool.h: threads that share one loop.
 *
 * A pool runs one parallel loop at a time. Parts are handed out by a counter, so which thread runs
 * a part is chance: a part must write only what is its own, and no result may depend on the number
 * of threads.
 *
 * Between loops a thread watches for the next one for 50 microseconds before it sleeps, so loops in
 * quick succession start within a microsecond or two and an idle pool costs nothing. */
#ifndef ASSAY_BASE_POOL_H
#define ASSAY_BASE_POOL_H

#include <stddef.h>

struct pool;

/* n_threads <= 0: one a core that this process may use (base/limits.h). Never NULL; with 1 thread
 * everything runs in the caller. */
struct pool *pool_new(int n_threads);
void pool_free(struct pool *p);
int pool_size(const struct pool *p);

/* Calls f(arg, part, thread) for part = 0 .. n_parts-1, thread in 0 .. pool_size-1; the caller is
 * thread 0. Returns when all parts are done. */
void pool_run(struct pool *p, size_t n_parts, void (*f)(void *arg, size_t part, int thread),
              void *arg);

#endif
