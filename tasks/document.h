/* document.h: reading the fields of a document, with the sentence where one is missing. */
#ifndef ASSAY_TASKS_DOCUMENT_H
#define ASSAY_TASKS_DOCUMENT_H

#include "base/error.h"
#include "base/value.h"

/* The field `key`, which must be there and of this type. E_INPUT. */
int document_need(const struct value *doc, const char *key, enum value_type type,
                  const struct value **ret, struct error *err);
int document_str(const struct value *doc, const char *key, struct str *ret, struct error *err);

/* A copy of the document's top level, so that fields can be added; the fields are shared. */
struct value *document_copy(struct arena *a, const struct value *doc);

/* To put a value of one document into another: values are shared, never changed. */
struct value *value_shared(const struct value *v);

#endif
