/* int8.h: activations of 8 bits met by whole numbers. Private to kernels/cpu/.
 *
 * A weight with X_INT8 (kernels.h has the rule) whose format takes it (format_info) is multiplied
 * so: with a token's codes q and scale, the weight's codes c, its scale d of a group of columns (of
 * GGUF's blocks: of a run of 32), and what stands for zero there, z (8 of Q4_0), or is added, m (of
 * Q4_1 and Q4_K),
 *
 *     y = (sum over groups, ascending, of fma(float(sum q (c - z)), d, .), fma(float(sum q), m, .))
 *         * scale + bias
 *
 * where the sums of whole numbers are exact: the definition leaves no bit open. Other weights with
 * X_INT8 (of another format, or so long a group that its sum would not fit 32 bits), and scales for
 * parts of a token, multiply floats: kernels.h. */
#ifndef ASSAY_KERNELS_CPU_INT8_H
#define ASSAY_KERNELS_CPU_INT8_H

#include <float.h>

#include "kernels/cpu/device.h"
#include "kernels/format.h"

enum { INT8_RUN = 32 };

/* Of a token whose greatest value is `greatest`. */
static inline float int8_scale(const struct weight *w, float greatest)
{
    float reach = w->x.reach > 0 ? w->x.reach : 127.5f;
    float scale = w->x.scale > 0 ? w->x.scale : greatest / reach;
    return scale > 0 ? scale : FLT_EPSILON;
}

/* Scale and offset of run `i` of a block, as floats. */
void int8_run_scales(enum format f, const struct block_parts *b, int i, float *d, float *m);

/* A run's codes in a panel (pack.h), of column c; `to` at column 0.
 *     8 bits  [16][W][2]: two k of a column together
 *     b bits  [b][W] words of 32 / b codes: byte j of word i has k = 32 / b * i + 4 n + j in its
 *             bits b n */
void int8_put_codes(uint8_t *to, size_t W, size_t c, const uint8_t *q, int bits);

#endif
