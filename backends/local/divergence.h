/* divergence.h: what two models make of the same tokens, over the whole vocabulary.
 *
 * Both engines run over the same tokens, one after the other, and leave the rows that the
 * vocabulary is multiplied by; those become logits a few at a time, of both models, and only what
 * they say of a token stays. So nothing as long as texts times vocabulary ever exists. */
#ifndef ASSAY_BACKENDS_LOCAL_DIVERGENCE_H
#define ASSAY_BACKENDS_LOCAL_DIVERGENCE_H

#include "backends/backend.h"
#include "backends/local/engine.h"
#include "backends/local/requests.h"

/* Used, not owned. */
struct reader_model {
    struct engine *engine;
    const struct model *model;
    const struct kernels *kernels;
    struct language *language;
};

/* As backend_divergence (backend.h); models[0] is A. */
int divergence_measure(const struct reader_model models[2], struct pool *pool,
                       const struct divergence_texts *texts, struct arena *arena,
                       struct token_divergence **ret, int *n, struct error *err);

/* What two rows of V logits say: D(A || B), the log-probabilities of `token` and whether the same
 * token is the most probable one (of equals the lowest id). In double precision, summed in the
 * order of the vocabulary. NaN where a logit is NaN. */
void divergence_of_logits(const float *a, const float *b, int V, int32_t token,
                          struct token_divergence *ret);

#endif
