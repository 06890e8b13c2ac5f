/* draft.h: a layer's matrices as floats, on their way to codes.
 *
 * smoothquant and awq scale the columns of matrices up or down, and what makes their input the
 * other way, which changes nothing until something is rounded. draft_scale does that exactly: what
 * the norm's weight cannot hold in the file's format is left out of the columns too. */
#ifndef ASSAY_BACKENDS_LOCAL_DRAFT_H
#define ASSAY_BACKENDS_LOCAL_DRAFT_H

#include "backends/local/calibrate.h"
#include "backends/local/scheme.h"

struct draft {
    const struct scheme *scheme;
    const struct kernels *k;
    struct pool *pool;
    enum format floats;                        /* of the norms in the file */
    struct layer *layer;                       /* whose norms are scaled in place */
    float *w[N_LAYER_MATRICES];                /* [rows, cols]; NULL: it stays as it is */
    struct weight shape[N_LAYER_MATRICES];     /* what each becomes; its memory is made last */
    struct input_stats *stats[N_LAYER_INPUTS]; /* NULL: nothing is learnt */
};

/* The matrices of `layer` that become codes, as floats. `stays` says which do not. E_MEMORY. */
int draft_open(struct draft *d, const bool stays[N_LAYER_MATRICES], struct error *err);
void draft_close(struct draft *d);

/* The matrices that read an input: bits 1 << MATRIX_Q .. */
unsigned input_readers(enum layer_input input);

/* Whether the columns of all that read the input can be scaled: none of them stays as it is, and
 * what makes the input takes the inverse (a norm; v and up where they become codes and their rows
 * are the input's columns). */
bool draft_scales(const struct draft *d, enum layer_input input);

/* Columns times s[cols] and their input divided by it, stats included. s is changed to what was
 * done. */
void draft_scale(struct draft *d, enum layer_input input, float *s);

/* All rows of a weight; NULL when they do not fit. */
float *weight_to_f32(struct pool *pool, const struct weight *w);

/* Rounds w [rows, cols] to the nearest codes: writes all of `to`, which has its memory. E_INPUT: a
 * value does not fit. */
int round_to_nearest(struct pool *pool, const float *w, struct weight *to, struct error *err);

/* Memory for a matrix of the scheme's codes or blocks: one block, of which `ret` points to parts;
 * free(ret->data). `stored` is the format of what it is made of. E_MEMORY; E_INPUT: columns that do
 * not make blocks. */
int codes_new(const struct scheme *s, int64_t rows, int64_t cols, enum format stored,
              struct weight *ret, struct error *err);
bool codes_fit(const struct scheme *s, int64_t cols);
bool codes_take(enum format f, enum activation x); /* can the kernels multiply them? */

/* Sets what is said of a matrix as a whole before its rows get scales: NVFP4's scale, BitNet's. */
int codes_begin(const float *w, struct weight *to, struct error *err);

/* sum over rows of d G d^T for d [rows, n] and the symmetric G [n, n], packed by gram_pack. */
int gram_pack(const struct kernels *k, const double *gram, int n, struct weight *ret,
              struct error *err);
void gram_free(const struct kernels *k, struct weight *g);
int gram_form(const struct kernels *k, const struct weight *g, const float *d, int64_t rows,
              double *by_row /* NULL */, double *ret, struct error *err);

#endif
