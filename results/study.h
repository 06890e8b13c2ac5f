/* study.h: what quantization (or any other change) costs, at one glance: a row for each model, a
 * column for each task or group of tasks, recovery against the first model, and beside it what the
 * model takes: sizes, speeds, and how far its distribution over tokens moved. */
#ifndef ASSAY_RESULTS_STUDY_H
#define ASSAY_RESULTS_STUDY_H

#include "results/compare.h"
#include "results/report.h"

/* A task by its usual metric, or a group, whose tasks then have no column of their own. */
struct study_column {
    const char *task, *alias, *setting, *metric, *filter;
    bool is_group;
};

struct study_model {
    const char *name;
    const char *format, *quant;      /* of its weights */
    struct model_cost cost;          /* 0: not known */
    const struct comparison **cells; /* [n_columns]; NULL: nothing to compare. Of the first
                                        model: those in which some other is compared with it */
    const char *not_compared;        /* why there is none at all; NULL */
    double recovery;      /* mean over the columns in percent, without a suite's mean and those near
                             chance, unless all are: */
    bool near_chance;     /* the reference is no better than guessing in all of them */
    int64_t lost, gained; /* flips of the columns' tasks and the groups' */
    int64_t n_tokens;     /* of all tasks; 0: divergence is not known; else: */
    double kl, same_top;  /* means over them */
    bool exact;           /* over the whole vocabulary */
};

struct study {
    struct study_model *models; /* the first is the reference */
    int n_models;
    struct study_column *columns; /* groups first */
    int n_columns;
};

/* `o->max_flips` is not read. Result in the arena. E_INPUT: as report_html(). */
int study_gather(struct store *s, struct arena *a, const struct report_options *o,
                 struct study *ret, struct error *err);

/* Of what has been gathered already. */
struct report;
int study_of(struct store *s, struct arena *a, const struct report_options *o,
             const struct report *report, struct study *ret, struct error *err);

/* The place of a metric and filter among those by which a task is usually reported; the smallest is
 * taken. */
int study_rank(const char *metric, const char *filter);

/* The cost of the model that an evaluation is of, by the last runs that measured it. */
int study_cost(struct store *s, int64_t evaluation, struct model_cost *ret, struct error *err);

#endif
