/* pack.h: how a packed weight lies in memory.
 *
 * Its rows (the columns of the product) are taken W at a time: a panel. W is 2 vectors, so it
 * differs between CPU levels. In a panel k runs down and the W columns lie side by side, so that a
 * vector holds one k of VL columns and a sum over k never leaves its lane. The last panel's missing
 * columns are zeros.
 *
 *     F32, F16   [K][W]
 *     BF16       [K/2 rounded up][W] pairs of k: the even k in the low half of 32 bits
 *     blocks     runs of 32 k; in front of the first of a K format's 8 runs its head:
 *       head       [W] f16 d, [W] f16 m        Q4_K, Q5_K; of Q6_K only d
 *       scales     [W] f16 d                   Q8_0, Q4_0, Q5_0, INT8, INT4
 *                  [W] f16 d, [W] f16 m        Q4_1, Q5_1
 *                  [W] u8 s, [W] u8 o          Q4_K, Q5_K
 *                  [2][W] i8 s                 Q6_K: of k 0 .. 15 and 16 .. 31
 *       codes      [4][W] words of 8 nibbles   Q4, INT4: nibble j of word i is k = 4 j + i; of
 *                                              Q4_0 and INT4 before 8 is taken off
 *                  [32][W] bytes               the others, signed: Q5_0 and Q6_K after 16 or 32 is
 *                                              taken off
 */
#ifndef ASSAY_KERNELS_CPU_PACK_H
#define ASSAY_KERNELS_CPU_PACK_H

#include "kernels/cpu/device.h"

struct panel_format {
    int run;                 /* k a run: 1, 2 (BF16) or 32 */
    int runs;                /* behind one head: 1 or 8 */
    int head, scales, codes; /* bytes a column: before the runs, of a run, of a run */
};
extern const struct panel_format panel_format[FORMAT_COUNT];

/* Bytes of a panel of W columns of K values. */
size_t panel_bytes(enum format f, int64_t K, int W);

/* A weight on its way into panels. */
struct packing {
    const struct weight *w;
    uint8_t *to;
    size_t W, bytes; /* of a panel */
    /* Writes the panel of W columns, of which the weight has the first n; the rest are zeros. */
    void (*panel)(const struct packing *p, size_t panel, size_t n);
};

/* Fills w->packed by p->panel, which with p->bytes is the caller's; leaves NULL where dev->panel
 * is 0. */
int panels_fill(struct device *dev, struct weight *w, struct packing *p, struct error *err);

/* The same with the panels described above. */
int panels_pack(struct device *dev, struct weight *w, struct error *err);

#endif
