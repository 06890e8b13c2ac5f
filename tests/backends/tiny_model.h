/* tiny_model.h: random Llamas for tests, small enough to write in a millisecond.
 *
 * All of one seed hold the same numbers, whatever the file format: a Hugging Face folder and a
 * GGUF file of it answer alike, but for the rounding of the weights' format and, in GGUF, the rows
 * of q and k standing in the order that its rotary embedding wants. The tokenizer is byte-level
 * BPE over all bytes and a few merges, with the same ids in both. 2 layers of width 64, 4 heads of
 * size 16 over 2 key/value heads, feed-forward width 96, a context of 256 tokens. */
#ifndef ASSAY_TESTS_BACKENDS_TINY_MODEL_H
#define ASSAY_TESTS_BACKENDS_TINY_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum tiny_special { TINY_BOS, TINY_EOS, TINY_IM_START, TINY_IM_END, TINY_BYTES };

/* Zeroed: an intact model with a tied head that adds no BOS. */
struct tiny_model {
    const char *kind; /* "hf-f32", "hf-f16", "hf-bf16", "hf-sharded" (f32 in two files), "gguf-f32",
                       * "gguf-f16", "gguf-bf16", "gguf-q8_0", "gguf-q4_0", "gguf-q4_1" */
    uint64_t seed;
    bool untied;   /* a head of its own */
    bool biases;   /* of all linear layers */
    bool adds_bos; /* the tokenizer puts <s> in front */
    bool no_chat_template;
    bool bitnet; /* the BitNet family (hf only): norms inside, squared ReLU */
    /* The layers' matrices are stored so (hf only; packed_matrix.h has the names), or, unpacked, as
     * the f32 values that this stands for. NULL: as the kind says. */
    const char *packing;
    bool unpacked;
    const char *quantization_config; /* instead of the packing's own */

    /* What a test breaks. Tensors are named as in the file that is written. */
    const char *architecture; /* instead of "llama" */
    const char *missing;      /* a tensor that is left out */
    const char *misshapen;    /* a tensor whose first size is doubled, and its bytes with it */
    const char *outside;      /* a tensor whose offset lies behind the file's end */
    bool no_tokenizer;
};

/* Writes the model to `path`: a folder, which is made, or a file. E_USAGE: no such kind. */
int tiny_model_write(const struct tiny_model *t, const char *path, struct error *err);

/* What a tensor's numbers begin with: by the model's seed and its Hugging Face name. */
uint64_t tiny_seed(uint64_t model, const char *tensor);

#endif
