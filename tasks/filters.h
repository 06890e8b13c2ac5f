/* filters.h: pipelines that turn the answers to one request into what is scored.
 *
 * A step takes a list of answers and gives a list, or one answer (take_first). Names, arguments and
 * results are those of lm_eval/filters of lm-evaluation-harness 0.4.13. */
#ifndef ASSAY_TASKS_FILTERS_H
#define ASSAY_TASKS_FILTERS_H

#include "tasks/task_internal.h"

struct pipeline;

/* Whether an answer was found: a score that is low because none was found is another fact than one
 * that is low because it was wrong. */
struct extraction {
    bool looked; /* the pipeline has a step that looks for one (regex, multi_choice_regex, map) */
    bool missed; /* and it found nothing, in none of the answers */
};

/* Checks the steps and compiles their patterns; `file` and `task` go into errors. The caller frees.
 * E_INPUT: no such step, or a wrong argument, with file and line. */
int pipeline_open(const struct task_pipeline *definition, const char *file, const char *task,
                  struct pipeline **ret, struct error *err);
void pipeline_free(struct pipeline *p); /* takes NULL */

/* `answers`: the list of a request's answers, as many as `repeats`: strings, or tuples (logprob,
 * is_greedy). The result lives in `a`, in `answers` or in the definition. E_INPUT: an answer that a
 * step cannot take, or a pattern that needs too many steps on it. */
int pipeline_apply(const struct pipeline *p, struct arena *a, const struct value *doc,
                   struct value *answers, struct value **ret, struct extraction *found,
                   struct error *err);

#endif
