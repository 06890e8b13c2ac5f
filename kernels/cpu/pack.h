/* pack.h: how a packed weight lies in memory.
 *
 * Its rows (the columns of the product) are taken W at a time: a panel. W is 2 vectors, so it
 * differs between CPU levels. In a panel k runs down and the W columns lie side by side, so that a
 * vector holds one k of VL columns and a sum over k never leaves its lane. The last panel's missing
 * columns are zeros.
 *
 *     F32, F16   [K][W]
 *     BF16       [K/2 rounded up][W] pairs of k: the even k in the low half of 32 bits
 *     the rest   runs of 32 k; in front of the first of some runs a head, and in every run
 *       scales     [W] f16 d                   Q8_0, Q4_0, Q5_0
 *                  [W] f16 d, [W] f16 m        Q4_1, Q5_1
 *                  [W] u8 s, [W] u8 o          Q4_K, Q5_K
 *                  [2][W] i8 s                 Q3_K, Q6_K: of k 0 .. 15 and 16 .. 31
 *                  [2][W] u8 s + 16 o          Q2_K likewise
 *       codes      planes of W words: a plane of b bits has b words, k in word k % b from bit
 *                  k / b * b on. Of 2 bits Q2_K, INT2, TERNARY, of 4 bits Q4, INT4, FP4; behind
 *                  them one of 1 bit, the high one, Q3_K, INT3, Q5; of 2 bits Q6_K. Unsigned: as
 *                  before 4, 8, 16 or 32 is taken off
 *                  [32][W] bytes               Q8_0, INT8, FP8
 *       head       [W] f16 d, [W] f16 m        Q2_K, Q4_K, Q5_K, each 8 runs; of Q3_K, Q6_K only d
 *                  [W] scale, [W] u8 zero      codes: each group, which is padded with zeros to
 *                                              whole runs; zeros where the weight has them, and of
 *                                              INT2 and INT3
 *                  [2][W] scale, [2][W] zero   of groups of 16 columns or fewer, padded to 16, two
 *                                              of which make up a run
 *
 * A weight that meets whole numbers (int8.h) has the same panels but for the order of its codes.
 *
 * Columns that are padded, or permuted (perm), multiply an x that was laid out likewise first. */
#ifndef ASSAY_KERNELS_CPU_PACK_H
#define ASSAY_KERNELS_CPU_PACK_H

#include "kernels/cpu/device.h"
#include "kernels/format.h"

enum { RUN = 32 };

struct panel_shape {
    size_t run;                 /* k a run: 1, 2 (BF16) or 32 */
    size_t head_runs;           /* runs behind one head */
    size_t head, scales, codes; /* bytes a column: before the runs, of a run, of a run */
    size_t K;                   /* with the padding; a multiple of the run, but for BF16 */
    size_t group, padded;       /* of codes: columns of a group without padding and with it */
    bool halves, zeros;         /* two groups a run; the heads have zeros */
    bool moves;                 /* x must be laid out first */
    size_t bytes;               /* of a panel */
};
struct panel_shape panel_shape_of(const struct weight *w, int W);

/* Bytes from a panel's begin to where the run of k begins, or its head if it is the first behind.
 */
static inline size_t panel_offset(const struct panel_shape *s, size_t k, size_t W)
{
    size_t run = k / s->run, heads = (run + s->head_runs - 1) / s->head_runs;
    return W * (heads * s->head + run * (s->scales + s->codes));
}

/* Bits of the low and of the high plane; 8: bytes. */
struct planes {
    int low, high, more; /* more: what a block's code lacks to be unsigned */
};
extern const struct planes planes[FORMAT_COUNT];

/* x[cols] as the columns of the panels. */
void panel_row(const struct weight *w, const struct panel_shape *s, const float *x, float *ret);
/* T rows of it, shared out over the threads. */
void panel_rows(struct device *dev, const struct weight *w, const struct panel_shape *s,
                const float *x, int T, float *ret);

/* Quantizes T tokens [T, cols] as w->x says and gives their floats back. */
void quantize_rows(struct device *dev, const struct weight *w, const float *x, int T, float *ret);

/* Fills w->packed; leaves NULL where dev->panel is 0. */
int panels_pack(struct device *dev, struct weight *w, struct error *err);

#endif
