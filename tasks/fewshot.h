/* fewshot.h: which documents a prompt shows as examples.
 *
 * One random.Random(seed) serves a task, and each document that is asked draws from it in turn, as
 * lm-evaluation-harness does: so a document's examples depend on its place. With keyed draws
 * (draws.h) they do not. */
#ifndef ASSAY_TASKS_FEWSHOT_H
#define ASSAY_TASKS_FEWSHOT_H

#include "base/pyrandom.h"
#include "tasks/data.h"
#include "tasks/draws.h"

enum sampler {
    SAMPLER_DEFAULT, /* random.sample */
    SAMPLER_FIRST_N,
};

struct shots {
    enum sampler sampler;
    const struct docs *pool, *eval;
    struct arena *arena; /* of the task */
    int n;               /* examples a prompt */
    bool without_self;   /* the pool may hold the document that is asked, which is left out */
    struct draws draws;
    bool skip_bad_rows; /* keyed: a damaged document of the pool is never drawn, else an error */
    struct pyrandom random;
    int64_t next;           /* the document whose draw comes next */
    const uint64_t *pooled; /* keyed: draws_document() of the pool, read at the first draw; 0 is one
                               that is never drawn */
};

/* Indices into the pool of the examples for evaluation document `doc_id`, ret[n]. Draws for
 * documents in between are made and dropped, their failures too; going back starts the stream anew.
 * E_INPUT: the pool has too few documents, or one that was drawn cannot be read. */
int shots_draw(struct shots *s, struct arena *a, int64_t doc_id, size_t *ret, struct error *err);

#endif
