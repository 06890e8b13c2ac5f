/* model.h: a decoder's weights and shape, read from a checkpoint and checked against each other.
 *
 * A family is a row of a table (model.c): what its files call things, and how it computes. All
 * shapes are checked here, so that the engine computes without asking. Letters as in kernels.h;
 * F is the width of the feed-forward layer, V the rows of the vocabulary. */
#ifndef ASSAY_BACKENDS_LOCAL_MODEL_H
#define ASSAY_BACKENDS_LOCAL_MODEL_H

#include "backends/local/weights.h"

/* A layer's matrices. Modules are named in Hugging Face's way, whatever the file:
 * "model.layers.0.self_attn.q_proj", "lm_head". */
enum layer_matrix {
    MATRIX_Q,
    MATRIX_K,
    MATRIX_V,
    MATRIX_O,
    MATRIX_GATE,
    MATRIX_UP,
    MATRIX_DOWN,
    N_LAYER_MATRICES,
};

struct layer {
    float *attn_norm, *ffn_norm;              /* [D] */
    float *attn_sub_norm, *ffn_sub_norm;      /* [H*S], [F]: of what o and down read; NULL: none */
    struct weight q, k, v, o;                 /* [H*S, D], [G*S, D] twice, [D, H*S] */
    struct weight gate, up, down;             /* [F, D] twice, [D, F] */
    float *q_bias, *k_bias, *v_bias, *o_bias; /* NULL: the model has none */
    float *gate_bias, *up_bias, *down_bias;
};

/* What the gate of the feed-forward layer goes through. */
enum gate { GATE_SILU, GATE_RELU2 };

struct model {
    struct checkpoint *files; /* owned; the weights point into it */
    const char *architecture; /* "llama" */
    int n_layers, width, n_heads, n_kv_heads, head_size, hidden, vocab;
    int max_length; /* positions that the model was made for */
    float norm_eps;
    enum rope_kind rope;
    float *inv_freq; /* [S/2] */
    enum gate gate;
    struct layer *layers;
    float *norm;         /* [D] */
    struct weight embed; /* [V, D] */
    struct weight head;  /* [V, D]; embed itself where the model ties them */
    bool tied;
    enum format vector_format; /* of the norms in the file */
    const char *format;        /* of most of the weights: "q4_1" */
    int64_t n_params;
    size_t weight_bytes; /* in memory, as they are computed with */
    struct arena arena;  /* small things */
    struct owned owned;  /* what `quant` made */
};

/* As the file stores it. E_UNSUPPORTED: an unknown family (err lists the known) or weight format.
 * E_INPUT: a tensor is missing, has another shape or contradicts the settings. */
int model_open(const char *path, struct pool *pool, struct model **ret, struct error *err);
void model_close(struct model *m);

struct weight *layer_weight(const struct layer *l, enum layer_matrix i);
float **layer_bias(const struct layer *l, enum layer_matrix i);
const char *module_name(struct arena *a, int layer, enum layer_matrix i);

/* Puts another weight into the place of one of the model's, which is not packed, and takes over
 * the memory that begins at by->data. A head that is the embedding follows it; replaced itself, it
 * leaves the embedding as it is. */
void model_replace(struct model *m, struct weight *w, const struct weight *by);

/* Sets what is said of the weights: format and weight_bytes. */
void model_measure(struct model *m);

/* Packs every matrix that multiplies for the table `k`, whose close then frees what was made; their
 * rows in the file are forgotten one by one, so that memory never holds the model twice. Only the
 * embedding's rows in the file are still wanted (embedding.h). E_MEMORY; E_UNSUPPORTED: no shape to
 * compute with. */
int model_pack(struct model *m, const struct kernels *k, struct error *err);

/* Bytes that the weights will take beyond what the model holds now: what packing takes for `k`,
 * less what it lets go, and what stays in the file. */
size_t model_pack_bytes(const struct model *m, const struct kernels *k);

/* Bytes of memory that the weights of a packed model take. */
size_t model_held_bytes(const struct model *m, const struct kernels *k);

/* The file that holds the weight's rows; NULL: they are in memory, or the model has no files. */
const struct mapping *model_file_of(const struct model *m, const struct weight *w);

#endif
