/* embedding.h: the embeddings of a step's tokens.
 *
 * Where the table lies in the model's file, a step's rows are read from there as they are needed:
 * they cost no memory, since most of a vocabulary is never seen, and nothing is read through a
 * mapping once a model is loaded. The file must stay as it was. */
#ifndef ASSAY_BACKENDS_LOCAL_EMBEDDING_H
#define ASSAY_BACKENDS_LOCAL_EMBEDDING_H

#include "backends/local/model.h"

struct embedding {
    struct mapping_file file; /* of the model; not open: the table is in memory */
    size_t at;                /* of the table in it */
    unsigned char *rows;      /* [T] rows in the table's format */
    int32_t *numbers;         /* [T]: 0, 1, ... */
};

/* For steps of up to T rows. E_IO: the file is not what was loaded any more. */
int embedding_open(const struct model *m, int T, struct embedding *ret, struct error *err);
void embedding_close(struct embedding *e);

/* x[T, D] = the embeddings of the tokens. E_IO: the file was changed since the model was loaded. */
int embedding_rows(const struct embedding *e, const struct model *m, const struct kernels *k,
                   float *x, const int32_t *tokens, int T, struct error *err);

#endif
