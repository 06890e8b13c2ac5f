/* report_data.h: private to results/. What both kinds of report show, gathered once. */
#ifndef ASSAY_RESULTS_REPORT_DATA_H
#define ASSAY_RESULTS_REPORT_DATA_H

#include "results/compare.h"
#include "results/groups.h"
#include "results/report.h"

struct report_model {
    const char *name;                   /* label */
    struct evaluation_list evaluations; /* by task */
    struct group_score_list groups;
    struct comparison_list comparison; /* with the reference; n = 0 for the reference itself, */
    const char *not_compared;          /* and where it is not NULL: why */
};

/* One line of the table of scores: a task or group in a setting, by a metric and filter. */
struct report_score {
    bool is_group;
    const char *task, *alias, *setting, *metric, *filter, *version;
    int num_fewshot;
    int64_t evaluation; /* 0 for a group */
    double value, stderr_;
    int64_t n;
};

struct report_scores {
    struct report_score *items;
    size_t n;
};

struct report {
    struct report_model *models;
    int n_models;
};

int report_gather(struct store *s, struct arena *a, const struct report_options *o,
                  struct report *ret, struct error *err);

/* Groups first, then tasks. */
struct report_scores report_scores_of(struct arena *a, const struct report_model *m);

bool report_same_line(const struct report_score *a, const struct report_score *b);

/* The comparison that belongs to a score; NULL: none. */
const struct comparison *report_find(const struct comparison_list *l, const struct report_score *s);

#endif
