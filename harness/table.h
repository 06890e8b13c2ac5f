/* table.h: tables for people (aligned text) and for programs (JSON rows), from the same cells. */
#ifndef ASSAY_HARNESS_TABLE_H
#define ASSAY_HARNESS_TABLE_H

#include <stdbool.h>

#include "base/str.h"

struct table {
    const char *const *headings; /* a leading '>' aligns the column to the right */
    int n_columns;
    struct {
        struct table_cell {
            const char *text;
            bool is_number;
        } * items; /* n_columns cells a row, row after row */
        size_t n, cap;
    } cells;
    struct arena arena; /* the cells' texts */
};

void table_init(struct table *t, const char *const *headings, int n_columns);
/* Adds the next cell, left to right, top to bottom. "" leaves it empty. */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A number with every digit it has; NaN and infinities leave the cell empty. */
void table_number(struct table *t, double x);
/* A score as people read it: four digits behind the point, or powers of ten when it is huge. */
const char *score_text(struct arena *a, double x);
void table_free(struct table *t);
/* Prints to stdout and frees. `json`: an array of objects keyed by the headings in lower case;
 * empty cells are null, and a number is one unless it was printed by "%s". */
void table_print(struct table *t, bool json);

/* Columns that a text takes in a terminal. */
int text_width(struct str s);

#endif
