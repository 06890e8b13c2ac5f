/* draws.h: where random draws come from.
 *
 *   lm-eval  one random.Random stream over a task's documents in turn, as lm-evaluation-harness has
 *            it: scores compare with its, and what a document gets depends on its place.
 *   keyed    a document's draw is a function of (seed, task, the document): it stays the same
 *            whatever is asked beside it, in what order and with which limit. Few-shot examples are
 *            those documents of the pool with the lowest rank for this document, so that one more
 *            document in the pool changes one example at most. */
#ifndef ASSAY_TASKS_DRAWS_H
#define ASSAY_TASKS_DRAWS_H

#include "base/value.h"

struct draws {
    bool keyed;
    int64_t seed;
    const char *task;
};

uint64_t draws_document(struct arena *a, const struct value *doc); /* of the document alone */
uint64_t draws_key(const struct draws *d, uint64_t document);      /* with seed and task */
uint64_t draws_rank(uint64_t key, uint64_t document); /* of a document of the pool, for a key */

#endif
