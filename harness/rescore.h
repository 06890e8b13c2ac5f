/* rescore.h: a changed filter, metric or task version on stored answers, without the model.
 *
 * An evaluation's recorded documents and responses are scored by another definition, into a new
 * evaluation beside it. The definition must ask for the same requests. Without few-shot examples
 * and chat template, each prompt is rendered again and compared with the one that was asked; with
 * them, every key of the definition that shapes a prompt must be as it was. Choices are compared in
 * either case, except behind a chat template. */
#ifndef ASSAY_HARNESS_RESCORE_H
#define ASSAY_HARNESS_RESCORE_H

#include "base/pool.h"
#include "results/query.h"
#include "tasks/task.h"

struct rescore_options {
    struct pool *pool; /* scores documents at once */
    int bootstrap_iters;
    bool allow_unsandboxed;
};

struct rescored {
    int64_t id;              /* the new evaluation */
    int64_t n_eval;          /* as the source's scores are */
    bool unchanged;          /* the definition is the one that it was asked by: nothing was done */
    int64_t n_new;           /* documents scored now; others were there already */
    int64_t n_failed;        /* of these, that have no score */
    const char *first_error; /* in the arena */
};

/* All of it is stored or nothing. Its identity is the source's and the definition's hash: what is
 * there already is not scored again. E_INPUT: the requests would differ, or nothing is recorded.
 * E_UNSUPPORTED: it cannot be scored here. `a` keeps small things only. */
int rescore(struct store *s, struct arena *a, const struct evaluation_line *source,
            const struct task_ref *ref, const struct rescore_options *o, struct rescored *ret,
            struct error *err);

#endif
