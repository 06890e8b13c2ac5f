/* avx2.c: the table of all that AVX2 does faster. */
#include "kernels/cpu/avx2.h"

void avx2_attention_kernels(struct kernels *k);
void avx2_rows_kernels(struct kernels *k);

void kernels_avx2(struct kernels *k)
{
    k->numerics = "cpu-avx2-2";
    avx2_attention_kernels(k);
    avx2_rows_kernels(k);
    k->linear = avx2_linear;
    k->logprobs = avx2_logprobs;
    k->logprobs_top = avx2_logprobs_top;
}
