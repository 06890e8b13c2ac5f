/* table.h: tables for people (aligned text) and for programs (JSON rows), from the same cells. */
#ifndef ASSAY_HARNESS_TABLE_H
#define ASSAY_HARNESS_TABLE_H

#include <stdbool.h>

#include "base/str.h"

struct table {
    const char *const *headings; /* a leading '>' aligns the column to the right */
    int n_columns;
    struct {
        const char **items; /* n_columns cells a row, row after row */
        size_t n, cap;
    } cells;
    struct arena arena; /* the cells' texts */
};

void table_init(struct table *t, const char *const *headings, int n_columns);
/* Adds the next cell, left to right, top to bottom. NULL or "" leaves it empty. */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints to stdout and frees. `json`: an array of objects keyed by the headings; cells that are
 * numbers become numbers. */
void table_print(struct table *t, bool json);

/* Columns that a text takes in a terminal. */
int text_width(struct str s);

#endif
