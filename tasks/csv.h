/* csv.h: records of delimiter-separated text, in the dialect of Python's csv.reader. */
#ifndef ASSAY_TASKS_CSV_H
#define ASSAY_TASKS_CSV_H

#include "base/error.h"
#include "base/str.h"

struct csv_fields {
    struct str *items;
    size_t n, cap;
};

/* Reads the record that starts at byte *at and moves *at behind its line break. `fields` (NULL:
 * only skip) gets views into `text`, or into `a` where quotes had to be undone; its n is reset.
 * Returns 0, or E_INPUT when a quote is never closed (err says only that). */
int csv_record(struct arena *a, struct str text, size_t *at, char delimiter,
               struct csv_fields *fields, struct error *err);

#endif
