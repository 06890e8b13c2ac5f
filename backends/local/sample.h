/* sample.h: chooses tokens from rows of logits, as struct sampling (base/request.h) says.
 *
 * Everything is computed in double precision in a fixed order. The random number of a draw is
 * Philox4x32-10 (base/philox.h) with the seed as its key and (step, idx, doc_id low, doc_id high)
 * as its counter, its first 53 bits taken as u in [0, 1). The tokens that are left are walked, from
 * the most probable down where top_k or top_p sorted them, else in order of id, to the first one
 * where the sum of probabilities exceeds u. */
#ifndef ASSAY_BACKENDS_LOCAL_SAMPLE_H
#define ASSAY_BACKENDS_LOCAL_SAMPLE_H

#include "base/error.h"
#include "base/pool.h"
#include "base/request.h"

struct sampler; /* working memory for each thread of a pool */

struct sampler *sampler_new(int vocab, struct pool *pool); /* the pool is used, not owned */
void sampler_free(struct sampler *s);                      /* takes NULL */

/* E_INPUT: a setting that means nothing, such as a negative temperature. */
int sampling_check(const struct sampling *how, struct error *err);

/* True where it is the most probable token that is chosen, of the logits as they are. */
bool sampling_is_greedy(const struct sampling *how);

/* One row to choose from. */
struct sample_row {
    const float *logits; /* [vocab] */
    const struct sampling *how;
    int64_t doc_id;
    int idx, step;       /* which draw it is, with doc_id; step: tokens generated so far */
    const int32_t *seen; /* prompt and text so far, for the repetition penalty */
    int n_seen;
    int32_t token; /* the answer; a NaN is never chosen, and if all are, it is token 0 */
};

/* Chooses for n rows, spread over the pool. */
void sample_rows(struct sampler *s, struct sample_row *rows, size_t n);

#endif
