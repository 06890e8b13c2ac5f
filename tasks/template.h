/* template.h: one of the schema's doc_to_* fields, compiled. */
#ifndef ASSAY_TASKS_TEMPLATE_H
#define ASSAY_TASKS_TEMPLATE_H

#include "tasks/dataset.h"
#include "tasks/task_internal.h"

/* What lm-evaluation-harness makes of a field's result:
 *   FIELD_TEXT     a template's text that is all digits becomes an int, where there are choices
 *   FIELD_TARGET   the same; and text in square brackets is read as a Python literal if it is one
 *   FIELD_CHOICE   a template's text is read as a Python literal, which must be a list of texts
 *   FIELD_PLAIN    nothing: description and gen_prefix */
enum field_role {
    FIELD_TEXT,
    FIELD_TARGET,
    FIELD_CHOICE,
    FIELD_PLAIN,
};

struct field;

/* Compiles the definition's value `v` (a text, an int, a list, a dict or `!function assay.NAME`)
 * of the key `key`. A text that is the name of a column of `sample`, a document of the evaluation
 * split, is that column; a single word that is none is an error, except of FIELD_PLAIN; any other
 * text is a Jinja template. `has_choices`: doc_to_choice is given.
 * `sample` NULL: there is no data, and a word counts as a column. *ret is NULL when v is NULL or
 * none. `where` ("FILE:LINE") starts errors. Lives in `a`. */
int field_compile(struct arena *a, enum field_role role, const char *key, const struct value *v,
                  const struct value *sample, bool has_choices, const char *where,
                  struct field **ret, struct error *err);

/* The field of a document; E_INPUT says what is missing in it, without naming the document. */
int field_value(const struct field *f, struct arena *a, const struct value *doc,
                const struct value **ret, struct error *err);

#endif
