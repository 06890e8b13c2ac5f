/* weights.h: one matrix of a checkpoint as the kernels' struct weight. Private to model.c,
 * weights.c and stored.c. */
#ifndef ASSAY_BACKENDS_LOCAL_WEIGHTS_H
#define ASSAY_BACKENDS_LOCAL_WEIGHTS_H

#include "backends/local/checkpoint.h"
#include "backends/local/quant_config.h"

/* Memory that a model made for its weights beside the mapped file. */
struct owned {
    void **items;
    size_t n, cap;
};

/* NULL when it does not fit; not zeroed. */
void *owned_new(struct owned *o, size_t n, size_t size);
bool owned_has(const struct owned *o, const void *p);
/* Frees what owned_new gave; anything else, and NULL, is left alone. */
void owned_drop(struct owned *o, const void *p);
void owned_free(struct owned *o);

/* NULL: there is none (err says so). */
const struct tensor *tensor_need(const struct checkpoint *c, const char *name, struct error *err);

/* Whether the tensor is of the shape [cols] or [rows, cols] and of a format that weights have.
 * E_UNSUPPORTED: the format (err lists the known). E_INPUT: the shape. */
int tensor_check(const struct checkpoint *c, const struct tensor *t, int n_dims, int64_t rows,
                 int64_t cols, struct error *err);

/* [n] values as floats, in `a`; NULL: another shape or format. */
float *tensor_vector(struct arena *a, const struct checkpoint *c, const struct tensor *t, int n,
                     struct error *err);

/* The tensor as a weight that points into the file, or to a copy in `o` where the file has it at an
 * address that its numbers cannot be read from. */
int tensor_matrix(const struct checkpoint *c, struct owned *o, const struct tensor *t, int64_t rows,
                  int64_t cols, struct weight *ret, struct error *err);

/* Where matrices are read from, and what is made for them goes. */
struct matrix_source {
    const struct checkpoint *c;
    const struct quant_config *config; /* NULL: every matrix is in floats or GGUF's blocks */
    struct arena *arena;               /* names, and what is small */
    struct owned *owned;               /* codes that had to be put in another order; scales */
    struct pool *pool;
};

/* The matrix of a module: `module`.weight as tensor_matrix, or codes with their scales, zero points
 * and activations as the configuration says. They point into the file where it has them as kernels
 * read them. E_INPUT: the file has other tensors than the configuration says (err names both), or
 * a scale that is none. */
int matrix_read(const struct matrix_source *s, const char *module, const char *class, int64_t rows,
                int64_t cols, struct weight *ret, struct error *err);

void put_shape(struct buf *b, const int64_t *shape, int n_dims); /* "[2, 3]" */

/* The file's pages are not needed any more: memory goes back, so that loading with quant= never
 * holds the model twice. Should somebody read them, they are read from the file again. */
void forget_pages(const void *p, size_t bytes);

#endif
