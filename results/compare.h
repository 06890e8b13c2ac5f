/* compare.h: what did the change cost or gain, and is the difference real?
 *
 * Two models are compared task by task on the documents that both have answered, score by score.
 * A is the reference; every difference is B - A. */
#ifndef ASSAY_RESULTS_COMPARE_H
#define ASSAY_RESULTS_COMPARE_H

#include "results/query.h"

struct comparison {
    const char *task, *task_alias; /* a group's, where is_group */
    bool is_group;                 /* a mean over the tasks of a group */
    const char *setting;           /* see setting_text() */
    int num_fewshot;
    const char *metric, *filter;
    bool higher_is_better;
    int64_t evaluation_a, evaluation_b; /* 0 for a group */

    int64_t n; /* documents that both have, the same text in both */
    double a, b;
    double a_stderr, b_stderr; /* NaN: none */
    double recovery_percent;   /* 100 b / a, or 100 a / b where lower is better: 100 is no loss.
                                  NaN where a share says nothing: a score below 0, nothing to
                                  divide by, and what metric_is_own() */
    /* Its 95 % interval: Fieller's for means (fieller_ratio()), percentiles of the bootstrap for
     * other aggregates, Fieller's from their tasks' standard errors for groups. NaN: none, or A is
     * not clearly above 0. */
    double recovery_low, recovery_high;
    double difference; /* b - a */
    double difference_stderr;
    /* The 95 % interval of the difference: paired t of means, bootstrap over documents of other
     * aggregates, and for groups from their tasks' standard errors. */
    double low, high; /* NaN, and p too: too few documents to tell */
    double p;         /* two-sided, that the true difference is 0 */

    bool is_01;       /* every score is 0 or 1; then: */
    int64_t lost;     /* documents that A got right and B wrong */
    int64_t gained;   /* the reverse */
    double mcnemar_p; /* exact, two-sided */
    double chance;    /* of guessing among the choices; NaN: not known */
    bool near_chance; /* A is no better than guessing: recovery says little */
};

struct comparison_list {
    const char *model_a, *model_b; /* labels */
    struct comparison *items;      /* groups, then tasks, by name; then metric and filter */
    size_t n;
    const char **notes; /* sentences: what was left out or chosen, and why */
    size_t n_notes;
};

/* `a` and `b`: a label, or "#12,#15". Of several evaluations of a label in one setting the last
 * used one is compared, with a note. Evaluations are compared in the same setting; where both
 * sides are given by number, by task alone. `task` NULL: all. E_INPUT: no such model, or the two
 * have no task in common. Result in the arena. */
int compare_models(struct store *s, struct arena *arena, const char *a, const char *b,
                   const char *task, struct comparison_list *ret, struct error *err);

struct flip {
    int64_t doc_id;
    double score_a, score_b;
};

/* Up to `max` documents that B lost against A (or gained), the largest change first, then in a
 * fixed order that does not favour the task's beginning. Not for a group. */
int compare_flips(struct store *s, struct arena *arena, const struct comparison *c, bool lost,
                  int max, struct flip **ret, int *n, struct error *err);

#endif
