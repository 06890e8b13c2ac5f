/* sweep.h: what a run is asked to do, planned model by model.
 *
 * Every (model, task) pair is an evaluation with an identity: a hash over all that can change a
 * score. What the store already has under that identity is not asked again. */
#ifndef ASSAY_HARNESS_SWEEP_H
#define ASSAY_HARNESS_SWEEP_H

#include "harness/options.h"
#include "harness/runner.h"

/* The options of `assay run` and `assay score` that choose and shape evaluations. */
struct sweep_options {
    struct strings models, tasks, data, include_paths;
    const char *db, *output, *system_instruction;
    double limit;      /* as struct task_options */
    int num_fewshot;   /* -1: as each task says */
    int seed;          /* of the few-shot sampler */
    int max_gen_toks;  /* 0: as each task says */
    const char *draws; /* "lm-eval" or "keyed" */
    bool skip_bad_rows;
    bool speed; /* measure it and store it with the run */
    bool apply_chat_template, fewshot_as_multiturn, allow_unsandboxed;
    int n_top; /* log-probabilities kept with each scored token; 0: none */
    int threads, token_budget, score_threads, bootstrap_iters;
    size_t kv_memory;  /* bytes; 0: the engine's choice */
    const char *dtype; /* of models whose spec names none; NULL: f32 */
    bool divergence;   /* the first model stays in memory, and each other is held against it */
    bool quiet, json;
};

/* One model's evaluations, open. Groups stand in it too, with a NULL task, and so do tasks that
 * cannot be asked. */
struct plan {
    struct planned *items;       /* in the selection's order: groups before their members */
    int n, n_failed;             /* items; tasks that cannot be asked */
    int64_t n_missing, n_stored; /* documents to ask, and those that the store has */
};

/* The evaluation's description with its identity. What `m` points to must outlive the result;
 * strings made here live in `a`. */
void evaluation_describe(struct arena *a, const struct backend_info *m, const struct task_info *t,
                         const struct sweep_options *o, struct evaluation *ret);

/* Opens each selected task, checks that it can be asked and scored here, notes in the store that
 * `run` asks for it, and finds what is stored. A task that fails (missing data, bad rows) is noted
 * in the store with its error and in its planned.failure, and the others stay; where all of them
 * fail, the call fails with the first one's error. */
int plan_open(struct arena *a, const struct selection *selected, struct backend *b, struct store *s,
              int64_t run, const struct sweep_options *o, struct plan *ret, struct error *err);
void plan_close(struct plan *p);

/* True where the group is above the task (or group); both are indices into a selection's refs. */
bool task_ref_below(const struct task_ref *refs, int ref, int group);

/* Data folders: those of --data, else $XDG_CACHE_HOME/assay/data, where tools/fetch.sh puts its
 * samples. */
void sweep_data_dirs(struct arena *a, struct strings *data);

#endif
