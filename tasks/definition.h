/* definition.h: task and group definitions as YAML files give them, with `include` resolved.
 *
 * A library reads each file once. The built-in catalog's files are named "assay:NAME.yaml"; a
 * user's file may include them under that name. */
#ifndef ASSAY_TASKS_DEFINITION_H
#define ASSAY_TASKS_DEFINITION_H

#include "base/value.h"

/* Keys and, under the same keys, the file that each comes from: for errors. */
struct definition {
    struct value *config;  /* a dict; no `include` in it */
    struct value *sources; /* a dict of texts */
};

/* What finding tasks needs of a file; includes are followed for it too. */
struct heading {
    const char *task, *group; /* NULL: not given, or (task) a list */
    const char *const *tags;
    int n_tags;
    bool is_python;          /* has `class` */
    const char *description; /* the file's first line when it is a comment, else "" */
};

struct library;

struct library *library_new(void);
void library_free(struct library *l);
struct arena *library_arena(struct library *l);

/* Names of the built-in files; NULL ends the list. */
const char *library_builtin(int i);

/* The *.yaml files below a folder, in the order of their paths; links to folders are not followed.
 * E_USAGE: there is no such folder. */
int library_files(struct library *l, const char *folder, const char *const **ret, size_t *n,
                  struct error *err);

struct python *library_python(struct library *l); /* the functions that its files name */

/* E_IO: it cannot be read. E_INPUT: not YAML, no dict, an unknown key, a cycle of includes. */
int definition_load(struct library *l, const char *path, struct definition *ret, struct error *err);

/* Cheap: looks at the lines of top-level keys and parses only what is too clever for that.
 * E_INPUT: it is no task or group, or cannot be read. */
int heading_read(struct library *l, const char *path, struct heading *ret, struct error *err);

/* {base's keys, overridden by those of `over`}; either may be empty. */
struct definition definition_merge(struct arena *a, struct definition base, struct definition over);

/* "FILE:LINE" of a key of the definition, or "FILE" when the key is absent. */
const char *definition_where(struct arena *a, const struct value *config,
                             const struct value *sources, const char *key, const char *file);

/* The library that a catalog reads from. */
struct catalog;
struct library *catalog_library(struct catalog *c);

#endif
