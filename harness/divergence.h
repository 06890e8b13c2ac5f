/* divergence.h: `assay run --divergence`: two models, both in memory, read the prompts of a run's
 * tasks side by side; what they make of each token goes into the store. */
#ifndef ASSAY_HARNESS_DIVERGENCE_H
#define ASSAY_HARNESS_DIVERGENCE_H

#include "harness/sweep.h"

/* One of the two, with its evaluations, which are done. */
struct divergence_side {
    struct backend *backend;
    const struct plan *plan;
};

/* How far b moved from a, document by document; what the store has is not measured again. The
 * plans are of the same selection. E_INTERRUPTED: what was measured is stored. */
int divergence_run(const struct divergence_side *a, const struct divergence_side *b,
                   struct store *s, struct progress *p, struct error *err);

#endif
