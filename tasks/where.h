/* where.h: process_docs that keep some of the rows, by a field's value.
 *
 *   assay.where(subject=law)   rows whose field "subject" is the text "law"
 *   assay.mmmlu(law)           OpenAI's MMMLU: rows whose "Subject" is it, or a file named after it
 *                              ("law_test.csv_sw-KE.csv") */
#ifndef ASSAY_TASKS_WHERE_H
#define ASSAY_TASKS_WHERE_H

#include "base/value.h"

struct where {
    struct str field, value;
    bool named_file; /* what stands behind "_test.csv" or "_test-" does not count */
};

/* The filter that a built-in's name with its argument means; false: it is none. Views into `name`.
 */
bool where_parse(const char *name, struct where *ret);

/* 1: the row stays, 0: it goes. E_INPUT: it has no such field. */
int where_keeps(const struct where *w, const struct value *row, struct error *err);

#endif
