/* level.h: what is written once for every CPU level (simd.h), to be put into a level's table. */
#ifndef ASSAY_KERNELS_CPU_LEVEL_H
#define ASSAY_KERNELS_CPU_LEVEL_H

#include "kernels/cpu/device.h"
#include "kernels/cpu/simd.h"

void LEVEL(kernels)(struct kernels *k); /* level.c: all of them, and the numerics' name */

/* attention.c: attention, kv_write, kv_copy */
void LEVEL(attention_kernels)(struct kernels *k);
/* linear.c: linear, logprobs, and the width of the panels */
void LEVEL(linear_kernels)(struct kernels *k);
/* int8.c: linear with a weight that is int8_exact(), T > 0 */
void LEVEL(int8_linear)(struct device *dev, float *y, const float *x, const struct weight *w,
                        const float *bias, int T);
/* rows.c: add_rmsnorm, rope, silu_mul, relu2_mul, add, round_to */
void LEVEL(rows_kernels)(struct kernels *k);

#endif
