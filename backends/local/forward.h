/* forward.h: the layers of a decoder, over the rows of a step.
 *
 *     forward_open -> forward_begin, forward_layer ..., forward_end -> forward_close
 *
 * The rows lie in `x` from beginning to end. A layer leaves in `y` what it adds to them, for the
 * next one to add along with its norm. */
#ifndef ASSAY_BACKENDS_LOCAL_FORWARD_H
#define ASSAY_BACKENDS_LOCAL_FORWARD_H

#include "backends/local/embedding.h"

/* What a layer's matrices multiply: each row of these is what one or several of them read. */
enum layer_input {
    INPUT_QKV,  /* [T, D]: q, k and v */
    INPUT_O,    /* [T, H*S]: o */
    INPUT_FFN,  /* [T, D]: gate and up */
    INPUT_DOWN, /* [T, F]: down */
    N_LAYER_INPUTS,
};

/* Sees the rows before they are multiplied; what it does must not change them. */
struct forward_hook {
    void (*see)(void *arg, enum layer_input input, const float *x, int T, int64_t cols);
    void *arg;
};

struct forward {
    const struct model *m; /* used, not owned, like the kernels */
    const struct kernels *k;
    enum format dtype;        /* activations are rounded to it between operations */
    struct forward_hook hook; /* .see NULL: nobody looks */
    struct embedding embedding;
    float *x, *y;             /* [T, D]; y has room for [T, H*S] */
    float *angles;            /* [T, S] */
    float *q, *k_new, *v_new; /* [T, H*S], [T, G*S] */
    float *attended;          /* [T, H*S] */
    float *gate, *up;         /* [T, F] */
};

/* For steps of up to T rows. E_MEMORY: a step is too large. E_IO: embedding.h. *ret can be closed
 * in any case. */
int forward_open(const struct model *m, const struct kernels *k, enum format dtype, int T,
                 struct forward *ret, struct error *err);
void forward_close(struct forward *f);

/* Keys and values of the step: where a layer puts them, and what it copies there first. */
struct forward_kv {
    const struct kv_cache *cache;
    int layer; /* of the cache */
    const struct kv_copy *copies;
    int n_copies;
};

/* x = the embeddings of the tokens; the rotations of the step. E_IO: embedding.h. */
int forward_begin(struct forward *f, const struct batch *b, struct error *err);

/* x += y where `adds_y`, as it must be after another layer; then the layer, whose sum is left in y.
 */
void forward_layer(struct forward *f, const struct layer *l, const struct batch *b,
                   const struct forward_kv *kv, bool adds_y);

/* x += y: after the last layer. */
void forward_end(struct forward *f, const struct batch *b);

/* y[n, D] = norm(rows[n, D]) with the weights of the last norm: what meets the vocabulary. */
void forward_last_norm(struct forward *f, float *y, float *rows, int n);

#endif
