/* scores.h: a run's scores, as the table that it ends with. */
#ifndef ASSAY_HARNESS_SCORES_H
#define ASSAY_HARNESS_SCORES_H

#include "harness/sweep.h"

/* One line: a task's or a group's metric under one filter. */
struct score_entry {
    const char *task, *alias, *version, *filter, *metric;
    int depth; /* groups above it */
    bool is_group;
    int num_fewshot; /* -1: a group whose members differ */
    struct score_line line;
    int64_t n_truncated, n_docs; /* of a task: documents whose prompt was cut, and all */
};

struct score_list {
    const char *model;
    struct score_entry *items;
    size_t n, cap;
};

/* Reads the aggregates of a plan from the store, and adds up the groups. Texts live in `a`;
 * ret->items is the caller's to free. */
int scores_collect(struct arena *a, struct store *s, const struct plan *p, struct score_list *ret,
                   struct error *err);

/* Prints one table for all models, one column each, and below it, except for programs, where
 * prompts were cut to the context. */
void scores_print(const struct score_list *models, size_t n_models, bool json);

#endif
