/* check.h: which task files of a folder load, and why the others do not. */
#ifndef ASSAY_TASKS_CHECK_H
#define ASSAY_TASKS_CHECK_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* One reason, and the files that it keeps from loading. A file may have several. */
struct check_cause {
    const char *kind;  /* "unknown function", "Python only", "bad YAML", "the schema", ... */
    const char *what;  /* "process_docs: utils.process_docs", or a sentence without its file */
    const char *first; /* the first file */
    const char *fingerprint; /* of an unknown function (python.h); NULL: none */
    int64_t n_files;
};

struct check_report {
    int64_t n_files, n_tasks, n_groups; /* files; those that load */
    int64_t n_failed;                   /* that do not */
    int64_t n_parts;                    /* neither a task nor a group: others include them */
    int64_t n_remote;           /* tasks that load and whose data is a data set of the hub */
    struct check_cause *causes; /* those of most files first */
    int n_causes;
};

/* Loads each *.yaml file below the folder as `assay run -t FILE` would, without its data. What the
 * report points to lives in `a`. E_USAGE: there is no such folder. */
int tasks_check(struct arena *a, const char *folder, struct check_report *ret, struct error *err);

#endif
