/* host_cuda_kernels.h: small kernels for the test of the host build; each run is waited for and
 * returns the runtime's error. */
#ifndef ASSAY_TESTS_KERNELS_HOST_CUDA_KERNELS_H
#define ASSAY_TESTS_KERNELS_HOST_CUDA_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is left out of reverse_rows. */
enum flaw { FLAW_NONE, FLAW_BARRIER, FLAW_INDEX, FLAW_WAIT, FLAW_ABSENT };

/* y[rows, 256] = x's rows backwards, through shared memory by cp.async. */
int run_reverse_rows(float *y, const float *x, int rows, enum flaw flaw);

/* For each of 64 threads: ret[7][64] = what its lane sees of xor 5, down 3 and up 2 in segments of
 * 8, lane 11's value, the ballot of odd values, the sum of the even lanes (by a mask of them
 * alone), the block's number of odd values. */
int run_lanes(int *ret, const int *values);

enum mma_kind { MMA_F16, MMA_BF16, MMA_S8, MMA_E4M3 };
/* One product by registers as given: a[32][4], b[32][2], c[32][4] as floats or ints. */
int run_mma(enum mma_kind kind, void *c, const uint32_t *a, const uint32_t *b);

/* rows[32] of 8 values, matrix after matrix: ret[32][4]. */
int run_ldmatrix(uint32_t *ret, const uint16_t *rows, int transposed);

/* Work put into a stream and taken by a graph: how often `count` was raised before anybody waited,
 * and after two launches of the graph and a wait. */
int run_streams(int *before, int *after);

/* Producers and consumers over named barriers, `n` values: their sum. */
int run_named(int *ret, int n);

#ifdef __cplusplus
}
#endif
#endif
