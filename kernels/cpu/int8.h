/* int8.h: activations of 8 bits, and the weights' layout for them. Private to kernels/cpu/.
 *
 * A weight with x_int8 set multiplies activations that are quantized per token as they come, by
 * compressed-tensors' symmetric INT8 rule (dynamic, strategy "token"):
 *
 *     scale = max|x| / 127.5, or 2^-23 where that is 0
 *     q     = x / scale, rounded to even, in -128 .. 127
 *
 * A token that has a NaN or an infinity answers NaN. With the codes c of a run of 32 k (INT8: of
 * the whole row), its scale d, and what the format takes off (8 of nibbles) or adds (m of Q4_1,
 * Q4_K),
 *
 *     y = (sum over runs, ascending, of fma(float(sum q (c - 8)), d, .), fma(float(sum q), m, .))
 *         * scale + bias
 *
 * where the sums of whole numbers are exact: the definition leaves no bit open. */
#ifndef ASSAY_KERNELS_CPU_INT8_H
#define ASSAY_KERNELS_CPU_INT8_H

#include <float.h>

#include "kernels/cpu/device.h"
#include "kernels/format.h"

enum { INT8_RUN = 32 };

/* How a format's codes are multiplied. */
enum int8_kind {
    INT8_NONE,           /* not with activations of 8 bits */
    INT8_ROW,            /* bytes, one scale a row */
    INT8_BYTES,          /* bytes, a scale a run */
    INT8_NIBBLES,        /* nibbles less 8 */
    INT8_NIBBLES_OFFSET, /* nibbles, and an offset a run */
};
enum int8_kind int8_kind(enum format f);

static inline float int8_scale(float greatest)
{
    float scale = greatest / 127.5f;
    return scale > 0 ? scale : FLT_EPSILON;
}

/* T rows of x as codes; sums of 32 of them. */
struct int8_rows {
    float *scales; /* [T] */
    int32_t *sums; /* [T, K / 32] */
    int16_t *wide; /* [T, K] for bytes, or NULL */
    int8_t *bytes; /* [T, K] for nibbles, or NULL */
};

/* In the device's shared memory. */
struct int8_rows int8_rows_new(struct device *dev, int T, int64_t K, enum int8_kind kind);

/* Scale and offset of run `i` of a block, as floats. */
void int8_run_scales(enum format f, const struct block_parts *b, int i, float *d, float *m);

/* A panel: run after run, [W] f32 d, where the kind has offsets [W] f32 m, then the codes.
 *     bytes    [K/2][W][2]: two k of a column together
 *     nibbles  [4][W] words: byte j of word i has k = 8 i + j in its low nibble, 8 i + 4 + j in the
 *              high one */
size_t int8_panel_bytes(enum format f, int64_t K, int W);
int int8_pack(struct device *dev, struct weight *w, struct error *err);

#endif
