/* level.h: what is written once for every CPU level (simd.h), to be put into a level's table. */
#ifndef ASSAY_KERNELS_CPU_LEVEL_H
#define ASSAY_KERNELS_CPU_LEVEL_H

#include "kernels/cpu/device.h"
#include "kernels/cpu/simd.h"

void LEVEL(attention_kernels)(struct kernels *k); /* attention.c: attention, kv_write, kv_copy */
void
    LEVEL(rows_kernels)(struct kernels *k); /* rows.c: add_rmsnorm, rope, silu_mul, add, round_to */

#endif
