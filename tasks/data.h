/* data.h: which files a task's splits are.
 *
 * A definition's `dataset_path: json|csv|text` with `dataset_kwargs: {data_files: ...}` is read as
 * lm-evaluation-harness reads it: a file, a list of files, or {split: file or files}.
 *
 * `data_files` at the top level is assay's own key, and goes before it:
 *
 *     data_files:
 *       test:                                   # the split's name
 *         - arc/ARC-Challenge-Test.jsonl        # candidates: the first that is there is read
 *         - {file: other/test.csv, columns: [question, A, B], as: !function assay.arc}
 *       train:
 *         - arc/ARC-Challenge-Train.jsonl
 *         - {use_split: validation}             # stands in, and a note says so
 *
 * A candidate's keys: file; format (json, csv, tsv, text, pages, examples; else by the file's
 * ending); columns (of a CSV file without a header row); lines_per_row (text); field and each
 * (JSON); rows ([10, 510]: some of the file's, as a Python slice); as (a built-in that turns the
 * file's layout into the schema the templates expect); note (shown to the user).
 * "{dataset_name}" in a file's name stands for the definition's dataset_name.
 *
 * Files are looked for relative to each data folder (--data), to the definition's folder and to
 * the working directory. */
#ifndef ASSAY_TASKS_DATA_H
#define ASSAY_TASKS_DATA_H

#include "tasks/dataset.h"
#include "tasks/draws.h"
#include "tasks/task_internal.h"
#include "tasks/where.h"

/* The documents of a split after process_docs, or the samples that a definition lists. */
struct docs {
    const char *split; /* the split they are really of; NULL for samples */
    struct dataset *data;
    const struct value *samples; /* a list; data is NULL */
    document_function *process;  /* or NULL */
    const int64_t *rows;         /* [n_rows] those that process_docs keeps; NULL: all */
    int64_t n_rows;
    struct draws draws;
    const uint8_t (*orders)[4]; /* one a row: "shuffle" (functions.h); or NULL */
};

/* Has the documents put through `process` (NULL: they are the rows). Where it leaves documents
 * out, all are read once. E_INPUT: a damaged row, or none is left. */
int docs_process(struct docs *d, struct arena *arena, document_function *process,
                 struct error *err);

/* Opens the split's files. The data set is closed by the caller.
 * E_IO: none of them is there; the sentence names each place. */
int data_open(struct task *t, const struct task_options *o, const char *split, struct docs *ret,
              struct error *err);

/* Leaves the documents that `where` keeps. E_INPUT: a damaged row, or none is left. */
int docs_keep(struct docs *d, struct arena *arena, const struct where *where, struct error *err);

int64_t docs_count(const struct docs *d);
/* Document i; E_INPUT with "FILE:LINE: ..." */
int docs_get(const struct docs *d, struct arena *a, int64_t i, const struct value **ret,
             struct error *err);
const char *docs_where(const struct docs *d, struct arena *a, int64_t i);

#endif
