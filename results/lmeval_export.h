/* lmeval_export.h: results as lm-evaluation-harness 0.4.13 writes them, for tools that read those.
 *
 * DIR/results.json and, for each task, DIR/samples_TASK.jsonl, with that program's keys; the names
 * carry no time, so a later run replaces them. Of several models each has a folder of its own:
 * see lmeval_folder(). A task that was run in several settings has the later ones as TASK_5shot. */
#ifndef ASSAY_RESULTS_LMEVAL_EXPORT_H
#define ASSAY_RESULTS_LMEVAL_EXPORT_H

#include "results/query.h"

struct lmeval_run {
    const char *dir; /* made when missing */
    const struct lmeval_part {
        int64_t evaluation;
        int64_t n_eval; /* documents 0 .. n_eval-1; store_aggregate() was called for it */
    } * parts;          /* of one model */
    int n_parts;
    const char *model_args; /* the model as the user wrote it */
    double limit;           /* as given; < 0: none */
    int bootstrap_iters;
    double date;               /* when the run began, in seconds since 1970 */
    double seconds;            /* how long it took */
    const char *chat_template; /* NULL: none was applied */
    const char *version;       /* of assay */
};

/* E_IO: a file cannot be written; those written before it are whole. */
int lmeval_export(struct store *s, const struct lmeval_run *run, struct error *err);

/* `dir` itself for a single model, else dir/NAME, with what is no good in a file's name replaced
 * by "__" as lm-evaluation-harness does. */
char *lmeval_folder(struct arena *a, const char *dir, const char *model, int n_models);

#endif
