/* operands.h: random operands for the kernels' checks and benches.
 *
 * Random floats are what models hold and what trips kernels: mostly of one magnitude, now and then
 * large or small, a few zeros and subnormals. Every array starts one float behind an aligned
 * address, and weights two bytes, so that a kernel that asks for alignment is found out. */
#ifndef ASSAY_TESTS_KERNELS_OPERANDS_H
#define ASSAY_TESTS_KERNELS_OPERANDS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

extern uint64_t random_first; /* the seed, for messages */
void random_seed(uint64_t seed);
uint32_t random_below(uint32_t n);
float random_float(void);

float *floats(size_t n); /* NaN, so that what is not written shows */
float *random_floats(size_t n);
/* Clamped, so that a softmax or log-softmax has more than one term and its error bound is small. */
float *tame_floats(size_t n, float limit);
void floats_free(float *x);

/* Of codes: groups of 32 columns with scales in f16. */
struct weight random_weight(enum format f, int64_t rows, int64_t cols);

/* How codes can be scaled. */
struct code_variant {
    enum format format, scale_format;
    int group, group_rows; /* 0: all */
    bool zeros, perm;
    float scale;
};
extern const struct code_variant code_variants[];
extern const int n_code_variants;
struct weight random_codes(const struct code_variant *v, int64_t rows, int64_t cols);
/* "int4 g32x1 f16 zeros" */
const char *code_variant_name(const struct code_variant *v);

/* Fills the rows with finite codes of the format in a row, so that all occur, as far as they fit.
 */
void weight_all_codes(struct weight *w);
/* Every code the greatest, or the least, of a format that takes X_INT8. */
void weight_extreme_codes(struct weight *w, bool greatest);
void weight_drop(struct weight *w);

/* Times the operations whose name holds the pattern and prints a table. n_threads as for pool_new.
 * Returns the exit code. */
int bench_run(const char *pattern, int n_threads);

#endif
