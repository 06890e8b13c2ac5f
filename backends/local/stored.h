/* stored.h: a quantized module's tensors read as struct weight. Private to weights.c and stored.c.
 */
#ifndef ASSAY_BACKENDS_LOCAL_STORED_H
#define ASSAY_BACKENDS_LOCAL_STORED_H

#include "backends/local/weights.h"

/* weights.h: matrix_read, of a module that is stored as `how`. */
int stored_read(const struct matrix_source *s, const char *module, const struct stored *how,
                int64_t rows, int64_t cols, struct weight *ret, struct error *err);

/* The name of a tensor that only a quantized module has, where the file has one of `module`. */
const char *stored_trace(const struct checkpoint *c, struct arena *a, const char *module);

#endif
