/* gptq.h: GPTQ (Frantar et al., arXiv 2210.17323): the columns of a matrix are rounded one after
 * the other, and those still to come make up for what each rounding did to the output.
 *
 * H = X^T X over the calibration rows X, damped by a share of its mean diagonal. With U upper
 * triangular and inv(H) = U^T U, a column j rounded from w to q leaves e = (w - q) / U[j,j], and
 * each later column k becomes w[k] - e * U[j,k]. Blocks of 128 columns are finished before the
 * columns behind them are touched. A column whose input is always 0 is set to 0. Of asymmetric or
 * grouped codes a group's scale is found when its first column is reached, from the columns as they
 * are then; with ORDER_WEIGHT all of them are found in advance. */
#ifndef ASSAY_BACKENDS_LOCAL_GPTQ_H
#define ASSAY_BACKENDS_LOCAL_GPTQ_H

#include "backends/local/scheme.h"

/* What the matrices that read one input share. */
struct gptq {
    int n;
    int32_t *order; /* [n]: the columns in the order in which they are rounded */
    bool *dead;     /* [n] of columns as they lie */
    float *u;       /* [n, n] in that order */
};

/* gram [n, n] is X^T X. Where the damped matrix is not positive definite the damping is raised
 * tenfold, up to 1. E_INPUT: even then it is not, or has no numbers. E_MEMORY. */
int gptq_open(const double *gram, int n, double damp, bool sorts, struct pool *pool,
              struct gptq *ret, struct error *err);
void gptq_close(struct gptq *g); /* takes a zeroed one */

/* Writes codes, scales and zeros of `to`, which has n columns and its memory (with ORDER_GROUP also
 * perm, as `order`). w [rows, n] is overwritten. E_INPUT: a value does not fit; E_MEMORY. */
int gptq_quantize(const struct gptq *g, const struct kernels *k, struct pool *pool,
                  enum act_order order, float *w, const struct weight *to, struct error *err);

#endif
