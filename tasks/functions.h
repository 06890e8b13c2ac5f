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

/* Whether a process_docs function leaves documents out, giving NULL for them; or wants the field
 * "shuffle", a list that holds 0 to 3 in the order that random.shuffle would give. */
bool function_drops(document_function *f);
bool function_shuffles(document_function *f);

/* What HellaSwag's and GPQA's tasks do to a text: stripped, " [title]" made a full stop, what is in
 * square brackets dropped, two spaces made one. */
struct str clean_text(struct arena *a, struct str s);

/* "assay.x, assay.y": what there is for the key. */
const char *function_names(struct arena *a, const char *key);

#endif
