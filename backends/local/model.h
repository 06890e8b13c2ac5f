/* model.h: a decoder's weights and shape, read from a checkpoint and checked against each other.
 *
 * A family is a row of a table (model.c): what its files call things, and how it computes. All
 * shapes are checked here, so that the engine computes without asking. Letters as in kernels.h;
 * F is the width of the feed-forward layer, V the rows of the vocabulary. */
#ifndef ASSAY_BACKENDS_LOCAL_MODEL_H
#define ASSAY_BACKENDS_LOCAL_MODEL_H

#include "backends/local/checkpoint.h"

struct layer {
    float *attn_norm, *ffn_norm;              /* [D] */
    struct weight q, k, v, o;                 /* [H*S, D], [G*S, D] twice, [D, H*S] */
    struct weight gate, up, down;             /* [F, D] twice, [D, F] */
    float *q_bias, *k_bias, *v_bias, *o_bias; /* NULL: the model has none */
    float *gate_bias, *up_bias, *down_bias;
};

struct model {
    struct checkpoint *files; /* owned; the weights point into it */
    const char *architecture; /* "llama" */
    int n_layers, width, n_heads, n_kv_heads, head_size, hidden, vocab;
    int max_length; /* positions that the model was made for */
    float norm_eps;
    enum rope_kind rope;
    float *inv_freq; /* [S/2] */
    struct layer *layers;
    float *norm;         /* [D] */
    struct weight embed; /* [V, D] */
    struct weight head;  /* [V, D]; embed itself where the model ties them */
    bool tied;
    const char *format; /* of most of the weights: "q4_1" */
    int64_t n_params;
    size_t weight_bytes; /* in memory, as they are computed with */
    struct arena arena;  /* small things */
    struct {
        void **items; /* what `quant` made */
        size_t n, cap;
    } owned;
};

/* `quant`: FORMAT_COUNT leaves the weights as stored; FORMAT_Q8_0 quantizes every matrix whose
 * columns are a multiple of 32, embedding and head included (as llama.cpp's Q8_0 files do), from
 * what the file stores. E_UNSUPPORTED: an unknown family (err lists the known) or weight format.
 * E_INPUT: a tensor is missing or has another shape. */
int model_open(const char *path, enum format quant, struct pool *pool, struct model **ret,
               struct error *err);
void model_close(struct model *m);

/* Packs every matrix that multiplies for the table `k`, whose close then frees what was made; their
 * rows in the file are forgotten one by one, so that memory never holds the model twice. Only the
 * embedding is still read from the file. E_MEMORY; E_UNSUPPORTED: no shape to compute with. */
int model_pack(struct model *m, const struct kernels *k, struct error *err);

#endif
