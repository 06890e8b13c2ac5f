/* groups.h: a model's scores on groups of tasks, from its scores on the tasks. */
#ifndef ASSAY_RESULTS_GROUPS_H
#define ASSAY_RESULTS_GROUPS_H

#include "results/query.h"

struct group_score {
    const char *group, *alias, *model, *setting;
    int num_fewshot;
    const char *metric, *filter;
    double value, stderr_; /* stderr_ NaN: none */
    int64_t n;             /* documents, over all tasks */
};

struct group_score_list {
    struct group_score *items; /* in the order of `groups` */
    size_t n;
};

/* Of evaluations of one model, one a setting. A group is there when all of its tasks are, in one
 * setting. `pooled`: the standard error as lm-evaluation-harness has it (see metric_group()). */
struct group_score_list group_scores(struct arena *a, const struct evaluation_list *evaluations,
                                     const struct group_list *groups, bool pooled);

#endif
