/* dataset.h: the rows of a task's data files, one parsed at a time.
 *
 * A file is mapped (or unpacked, when gzipped) and only where its rows start is kept, so memory
 * does not grow with what has been read. Rows can be read in any order and by any thread.
 *
 *   json   one value a line, a list, or values behind each other; a row is an object
 *   csv    Python's csv dialect: "" inside quotes, line breaks inside quotes, a BOM is skipped
 *   tsv    the same with tabs
 *   text   a row {"text": line}; with lines_per_row = N the N lines joined by "\n"
 *   examples  worked examples, "Q: ...\nA: ..." with empty lines between: {"input", "target"};
 *          what stands before the first one is left out
 *   pages  WikiText: a row {"page": text} from one "= Title =" line up to the next */
#ifndef ASSAY_TASKS_DATASET_H
#define ASSAY_TASKS_DATASET_H

#include "base/hash.h"
#include "base/value.h"

/* A document made from another: what `process_docs`, `as` and `doc_to_*` name (functions.h).
 * The result lives in `a` or in `doc`. */
typedef int document_function(struct arena *a, const struct value *doc, const struct value **ret,
                              struct error *err);

enum data_format {
    DATA_JSON,
    DATA_CSV,
    DATA_TEXT,
    DATA_PAGES,
    DATA_EXAMPLES,
};

/* Everything it points to must live as long as the data set. */
struct data_spec {
    const char *const *paths; /* their rows follow each other */
    int n_paths;
    enum data_format format;
    char delimiter;             /* DATA_CSV: ',' or '\t', ... */
    const char *const *columns; /* DATA_CSV: names, when the file has no header row; else NULL */
    int n_columns;
    bool plain;        /* DATA_CSV: a record is a line and quotes are text; cells behind the named
                          columns are dropped */
    bool infer;        /* DATA_CSV: numbers, booleans and missing values are told from text,
                          column by column, as pandas does; else every cell is text */
    int lines_per_row; /* DATA_TEXT: 1 if 0 */
    const char *field; /* DATA_JSON: the rows are this member of one object; NULL: the file */
    const char *each;  /* DATA_JSON: "paragraphs.qas": not the objects are the rows, but the
                          elements of their list of that name, of lists in lists; a row has the
                          fields of the objects around it too, its own first. NULL: the objects */
    int64_t first_row, end_row; /* of these rows those from first_row up to, without, end_row;
                                   end_row 0: all */
    const char *as_name;        /* a layout of functions.h that rows are put through, or NULL */
    document_function *as;
};

struct dataset;

/* E_IO: a file cannot be read. E_INPUT: damaged, not UTF-8, or no rows in a shape of the format. */
int dataset_open(const struct data_spec *spec, struct dataset **ret, struct error *err);
void dataset_close(struct dataset *d); /* takes NULL */

int64_t dataset_rows(const struct dataset *d);

/* Row i, 0 <= i < rows, parsed and put through `as`. E_INPUT with "FILE:LINE: ..." */
int dataset_row(const struct dataset *d, struct arena *a, int64_t i, const struct value **ret,
                struct error *err);

/* "FILE:LINE" of row i. */
const char *dataset_where(const struct dataset *d, struct arena *a, int64_t i);

/* Adds the bytes of the files (unpacked) and how they are read. */
void dataset_hash(const struct dataset *d, struct hasher *h);

#endif
