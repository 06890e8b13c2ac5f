/* packed_matrix.h: random matrices as the tools of quantized models store them, with the values
 * that they stand for computed in double beside them. The layouts are written down here once more,
 * code by code, so that reading them has something to be compared with. */
#ifndef ASSAY_TESTS_BACKENDS_PACKED_MATRIX_H
#define ASSAY_TESTS_BACKENDS_PACKED_MATRIX_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct packed_tensor {
    const char *part; /* "weight_scale" */
    const char *dtype;
    int n_dims;
    int64_t shape[2];
    struct str bytes;
};
enum { PACKED_TENSORS = 6 };

struct packed_matrix {
    struct packed_tensor tensors[PACKED_TENSORS];
    int n;
    double *values; /* [rows, cols] */
};

struct packing; /* a layout with its settings */

/* NULL: there is none of the name, or past the last. */
const struct packing *packing_named(const char *name);
const struct packing *packing_number(size_t i);
const char *packing_name(const struct packing *p);
const char *packing_config(const struct packing *p); /* quantization_config, JSON */
/* Only the weights are quantized: the values are all that matters. */
bool packing_weights_only(const struct packing *p);

/* In `a`; values of about -spread .. spread. Rows are a multiple of 8, columns of 32. */
void packed_random(struct arena *a, const struct packing *p, uint64_t seed, int64_t rows,
                   int64_t cols, double spread, struct packed_matrix *ret);

#endif
