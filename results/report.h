/* report.h: what a store says, as files for people: one HTML page, one CSV table.
 *
 * The first model is the reference; the others are compared with it. Of several evaluations of a
 * model in one setting the last used one is shown. Files are written whole or not at all. */
#ifndef ASSAY_RESULTS_REPORT_H
#define ASSAY_RESULTS_REPORT_H

#include "results/query.h"

struct report_options {
    const char *const *models; /* labels, or "#12,#15"; the first is the reference */
    int n_models;              /* 0: all of the store, in the order in which they were first run */
    const char *task;          /* NULL: all */
    int max_flips;             /* changed answers shown, a task and direction; 0: none */
};

/* A page that needs nothing else: no script, and style and drawings inside. Scores, comparisons
 * with intervals, and the answers that changed. E_INPUT: no such model or task, or an empty store.
 * E_IO: the file. */
int report_html(struct store *s, const struct report_options *o, const char *path,
                struct error *err);

/* One row for each model, task, metric and filter: see csv_columns in report_csv.c. Numbers
 * read back as the same double; empty: there is none. */
int report_csv(struct store *s, const struct report_options *o, const char *path,
               struct error *err);

#endif
