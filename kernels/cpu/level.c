/* level.c: the table of a CPU level: everything that is written once for all of them (simd.h). */
#include "kernels/cpu/level.h"

void LEVEL(kernels)(struct kernels *k)
{
    k->numerics = SIMD_BITS == 512 ? "cpu-avx512-2" : "cpu-avx2-3";
    LEVEL(attention_kernels)(k);
    LEVEL(linear_kernels)(k);
    LEVEL(rows_kernels)(k);
}
