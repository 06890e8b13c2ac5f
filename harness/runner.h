/* runner.h: from planned evaluations to stored scores.
 *
 * Four stages, joined by queues, each with its own thread: prepare (render the prompts, tokenize)
 * -> backend (the caller's thread: ask and poll) -> score (filters, metrics, sandboxed programs) ->
 * store (one writer, batched transactions). The jobs are a fixed number and go round, so memory
 * does not grow with the number of documents, and a stage that falls behind slows the ones before
 * it. */
#ifndef ASSAY_HARNESS_RUNNER_H
#define ASSAY_HARNESS_RUNNER_H

#include <stdatomic.h>

#include "backends/backend.h"
#include "harness/progress.h"
#include "results/store.h"
#include "tasks/task.h"

/* One (model, task) pair. The runner asks the documents 0 .. n_eval-1 that are not in `done`. */
struct planned {
    const struct task_ref *ref;
    struct task *task;
    const struct task_info *info;
    const char *failure; /* why the task cannot be asked: `task` is NULL then; NULL: it can */
    int64_t id;          /* row of the evaluation in the store */
    unsigned char *done; /* bitmap over documents; NULL for none */
    int64_t n_stored;    /* bits set in `done` below n_eval */
    int64_t n_failed;    /* filled by the runner: documents stored with an error */
    char first_error[1000];
    int64_t n_bad_rows; /* filled by the runner: documents that could not be asked */
    char first_bad_row[1000];
};

static inline bool planned_done(const struct planned *p, int64_t doc)
{
    return p->done && (p->done[doc / 8] >> (doc % 8) & 1);
}

/* Set by SIGINT and SIGTERM (harness/cmd_run.c): finish what is answered, commit, stop. */
extern atomic_bool runner_interrupted;
/* E_INTERRUPTED, with the sentence for it. */
int runner_was_interrupted(struct error *err);

struct runner_options {
    int n_score_threads; /* 0: one a core; up to 64 */
    int n_top;           /* see struct request: what log-likelihoods are asked for besides */
};

/* 0: every document is stored (some perhaps with an error: planned.n_failed). E_INTERRUPTED: what
 * was answered is committed. Another error: the backend or the store failed as a whole; what was
 * committed stays. */
int runner_run(struct backend *b, struct store *s, struct planned *evaluations, int n,
               const struct runner_options *o, struct progress *p, struct error *err);

/* A stored sample's row from an asked and scored document; used by `assay score` as well. */
void sample_row_fill(struct arena *a, const struct asked *q, const struct response *responses,
                     const struct scored *scored, const char *error, struct sample_row *ret);

#endif
