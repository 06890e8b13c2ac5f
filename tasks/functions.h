/* functions.h: what the schema leaves to Python, as named built-ins.
 *
 * `!function assay.NAME` under one of these keys names a row of the table:
 *   process_docs                        what lm-evaluation-harness' task does to a document
 *   doc_to_text, _target, _choice       the task's functions of that name
 *   as (an entry of data_files)         a publisher's raw layout turned into the hub's schema */
#ifndef ASSAY_TASKS_FUNCTIONS_H
#define ASSAY_TASKS_FUNCTIONS_H

#include "tasks/dataset.h"

/* The built-in of that name for that key, or NULL. */
document_function *function_find(const char *key, const char *name);

/* "assay.x, assay.y": what there is for the key. */
const char *function_names(struct arena *a, const char *key);

#endif
