/* bootstrap.h, for metrics/ alone: standard errors as lm-evaluation-harness bootstraps them. */
#ifndef ASSAY_METRICS_BOOTSTRAP_H
#define ASSAY_METRICS_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

struct pool;
struct pyrandom;

/* The statistic of one resample: as many items as there are, picked as random.choices picks them
 * from `r`. `scratch` belongs to the thread. */
typedef double resampled(const void *data, struct pyrandom *r, void *scratch);

/* The standard deviation of `iters` replicates, rounded down to whole chunks of 1,000, of which
 * chunk i draws from random.Random(i). `pool` may be NULL. */
double bootstrap_stderr(resampled *f, const void *data, size_t scratch_bytes, int iters,
                        struct pool *pool);

/* The next `n_picks` picks among n items; n_picks <= PICKS, what one turn of the generator gives.
 */
enum { PICKS = 312 };
void pick(struct pyrandom *r, int64_t n, int n_picks, int64_t *ret);

#endif
