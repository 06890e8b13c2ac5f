/* python.h: which of the Python functions that lm-evaluation-harness' task files name are built in.
 *
 * `!function utils.process_docs` names a function of utils.py beside the task file. Python is not
 * run here; a function is known by its source: the text of its definition, together with all of
 * the module's definitions that it uses, has a fingerprint, and python.c has a table from
 * fingerprints to built-ins. So a copy of a known function is known wherever it lies, and one that
 * somebody has changed is not taken for the original. Beside the table, functions that keep the
 * rows of one subject, of which there are thousands, are recognised by their shape. */
#ifndef ASSAY_TASKS_PYTHON_H
#define ASSAY_TASKS_PYTHON_H

#include "base/value.h"

struct python; /* modules that were read, each once */

struct python *python_new(void);
void python_free(struct python *p); /* takes NULL */

/* A function as a task file names it. */
struct python_function {
    const char *spec;   /* "utils.process_docs" */
    const char *module; /* path of the file that defines it; NULL: there is none beside `yaml` */
    const char *fingerprint; /* 16 hex digits; NULL: the module does not define it */
    const char *builtin; /* "assay.hellaswag", "assay.where(subject=law)", or a template that gives
                            what the function gives, "{{choices}}"; NULL: not built in */
};

/* `yaml`: the path of the task file. What is returned lives as long as `p`. */
struct python_function python_find(struct python *p, const char *yaml, struct str spec);

/* Replaces each `!function` in a parsed task file that is built in by its built-in's name. */
void python_resolve(struct python *p, const char *yaml, struct value *v);

/* The value of a `!function` that names Python code: its tag is there, and it is no assay.NAME. */
bool python_is_foreign(const struct value *v);

#endif
