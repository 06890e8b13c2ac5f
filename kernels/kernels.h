/* kernels.h: the arithmetic of a model, as a table of operations.
 *
 * kernels_cpu() (and later kernels_cuda()) fill a struct kernels for the machine; the engine is
 * written once against it. kernels/cpu/ref.c is the definition of every operation, plain and
 * scalar; every other variant is checked against it by tests/kernels.
 *
 * The promise: an output row depends on its own inputs alone, bit for bit. How many rows share a
 * call, how many threads run, where chunks are cut: none of it changes a bit. So every sum has an
 * order that is fixed by the row's own shape (K for products, the position for attention, the
 * vocabulary for log-probabilities).
 *
 * Shapes: T rows (tokens) of a step, D model width, N x K a weight's rows x columns, H query heads,
 * G key/value heads, S head size, P positions a page. Matrices are row-major and dense.
 * Activations are float32; with dtype=bf16 or f16 every operation's result is rounded to that
 * format and back. `dev` is the table's own device; pointers marked [device] come from its
 * buffer_new or weight_pack; on the CPU every pointer is a host pointer. */
#ifndef ASSAY_KERNELS_KERNELS_H
#define ASSAY_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/pool.h"

/* How a weight is stored. The GGUF blocks hold 32 values of a row each, the K ones 256 in 8 or 16
 * groups with scales s and offsets o of their own (format.c knows the bytes):
 *   Q8_0  f16 d, 8 bits:         w = d * q           Q4_K  f16 d, m, 4 bits:  w = d s q - m o
 *   Q4_0  f16 d, 4 bits:         w = d * (q - 8)     Q5_K  f16 d, m, 5 bits:  w = d s q - m o
 *   Q4_1  f16 d, f16 m, 4 bits:  w = d * q + m       Q6_K  f16 d, 6 bits:     w = d s (q - 32)
 *   Q5_0  f16 d, 5 bits:         w = d * (q - 16)
 *   Q5_1  f16 d, f16 m, 5 bits:  w = d * q + m
 * The formats that assay quantizes to by compressed-tensors' symmetric rule, to the nearest code
 * (rtn): w = d * q, d = max|w| / 127.5 (INT4: 7.5) as f16, q = w / d rounded to even, in
 * -128 .. 127 (-8 .. 7). INT8 has one d a row, repeated each 32 values; INT8_G64 and so on have one
 * for each group of 64. */
enum format {
    FORMAT_F32,
    FORMAT_F16,
    FORMAT_BF16,
    FORMAT_Q8_0,
    FORMAT_Q4_0,
    FORMAT_Q4_1,
    FORMAT_Q5_0,
    FORMAT_Q5_1,
    FORMAT_Q4_K,
    FORMAT_Q5_K,
    FORMAT_Q6_K,
    FORMAT_INT8,
    FORMAT_INT8_G32,
    FORMAT_INT8_G64,
    FORMAT_INT8_G128,
    FORMAT_INT4_G32,
    FORMAT_INT4_G64,
    FORMAT_INT4_G128,
    FORMAT_COUNT,
};

struct format_info {
    const char *name; /* "f32", "q8_0": also what users write */
    int block;        /* values a block; 1 for the floats */
    int block_bytes;
    bool takes_int8; /* struct weight's x_int8 may be set */
    bool only_made;  /* what assay quantizes to; no file stores it */
};
extern const struct format_info format_info[FORMAT_COUNT];

/* Bytes of one row of `cols` values; 0 when cols is no multiple of the block. */
size_t format_row_bytes(enum format f, int64_t cols);

/* A matrix that multiplies activations: y = x * w^T. */
struct weight {
    enum format format;
    int64_t rows, cols; /* N outputs, K inputs */
    const void *data;   /* rows of format_row_bytes each; not owned, often the mapped file */
    void *packed;       /* [device] what weight_pack made of it; NULL: not packed */
    /* `linear` quantizes x per token to INT8 first and multiplies whole numbers (cpu/int8.h has the
     * rule). For formats that take it; not for a head that meets logprobs. */
    bool x_int8;
};

/* Scalar conversions, for loaders, quantizers and tests; the kernels' own are checked against them.
 */
void weight_row_to_f32(const struct weight *w, int64_t row, float *ret); /* [cols] */
/* Quantizes `n` floats (a multiple of the block) into `ret`; E_UNSUPPORTED: Q5 and the K formats
 * are only read. FORMAT_Q8_0 rounds as llama.cpp does: d = max|x| / 127 as f16, q = roundf(x * (1 /
 * d)) with the unrounded d. Floats round to nearest even. What is quantized to INT8 is one row. */
int format_from_f32(enum format f, const float *x, int64_t n, void *ret, struct error *err);

/* The paged key/value cache. Page p of layer l, P positions, lies at data + (p * n_layers + l) *
 * page_floats, page_floats = 2 P G S. Inside, keys and values lie as the table wants them: only its
 * kv_write and attention look; others may copy a whole page, all its layers at once. P is a
 * multiple of 16. */
struct kv_cache {
    float *data; /* [device] */
    int n_layers, n_kv_heads, head_size;
    int page_positions; /* P */
    int n_pages;
};

/* Positions 0 .. n-1 of page `from`, to be had in page `to` as well. */
struct kv_copy {
    int32_t from, to, n;
};

/* One step: T rows, each a token of some sequence at some position. Sequences are slots whose
 * pages are listed in the table. Prefill chunks and single decodes mix freely. A row sees the
 * positions 0 .. its own of its sequence, so the rows of a chunk must be in the step together or
 * in the cache already. */
struct batch {
    int n_rows;                /* T */
    const int32_t *tokens;     /* [T] */
    const int32_t *positions;  /* [T] from 0 */
    const int32_t *sequences;  /* [T] row of page_table */
    const int32_t *page_table; /* [n_sequences, max_pages] ids of pages, in order of position */
    int n_sequences, max_pages;
};

enum rope_kind {
    ROPE_HALVES, /* pairs (i, i + S/2): Hugging Face's layout ("neox") */
    ROPE_PAIRS,  /* pairs (2i, 2i + 1): GGUF's layout for the Llama family */
};

/* What is asked of the last projection: the log-probabilities of tokens after each of T rows. */
struct asked {
    int T;
    const float *x;         /* [T, D] */
    const int32_t *targets; /* tokens, by row; -1: only the argmax is wanted, logprob is 0 */
    const int32_t *ends;    /* [T] row t's targets are ends[t-1] (0) .. ends[t]-1; NULL: one each */
    int k;                  /* most probable tokens wanted of every row, 0 .. TOP_TOKENS */
};

/* The answer to one target. */
struct token_logprob {
    double logprob;        /* of the wanted token: logit - log sum exp(logits), natural log */
    int32_t argmax;        /* the most probable token; the lowest id wins ties */
    double argmax_logprob; /* its log-probability */
};

/* One of the most probable tokens of a row. */
struct top_token {
    int32_t token; /* -1, with a logprob of NaN: no further token has a logit that is a number */
    double logprob;
};
enum { TOP_TOKENS = 64 }; /* as many can be asked for */

struct device; /* the table's own state: threads, scratch; later a stream */

struct kernels {
    const char *numerics; /* part of an evaluation's identity: "cpu-ref-1", "cpu-avx2-2" */
    struct device *dev;

    /* Memory. NULL when it does not fit; 64-byte aligned; not zeroed. */
    void *(*buffer_new)(struct device *dev, size_t bytes);
    void (*buffer_free)(struct device *dev, void *p);
    void (*to_device)(struct device *dev, void *dst, const void *src, size_t bytes);
    void (*to_host)(struct device *dev, void *dst, const void *src, size_t bytes);

    /* Puts a weight into the layout that `linear` and `logprobs` want, in memory of the device's;
     * both ask for it. `w->data` is then read by `embed` only: if there is none, it may go.
     * E_UNSUPPORTED: a shape that cannot be computed with. E_MEMORY. */
    int (*weight_pack)(struct device *dev, struct weight *w, struct error *err);
    void (*weight_free)(struct device *dev, struct weight *w);
    /* Bytes that weight_pack takes; 0: none, and `data` is read by all. */
    size_t (*packed_bytes)(struct device *dev, const struct weight *w);

    /* x[T, D] = rows `tokens` of the table [vocab, D], as float32. */
    void (*embed)(struct device *dev, float *x, const struct weight *table, const int32_t *tokens,
                  int T);
    /* x[T, D] += add[T, D] (NULL: nothing); y[T, D] = x / sqrt(mean(x^2) + eps) * w[D]. Both are
     * rounded to dtype. y may be x or add. */
    void (*add_rmsnorm)(struct device *dev, float *y, float *x, const float *add, const float *w,
                        int T, int D, float eps, enum format dtype);
    /* y[T, N] = x[T, K] * w[N, K]^T + bias[N] (NULL: none). */
    void (*linear)(struct device *dev, float *y, const float *x, const struct weight *w,
                   const float *bias, int T);
    /* The rotations of a step, for all its layers: angles[T, S] are S/2 cosines, then S/2 sines, of
     * position * inv_freq[S/2], times `scale` (1 but for YaRN). */
    void (*rope_angles)(struct device *dev, float *angles, const int32_t *positions,
                        const float *inv_freq, float scale, int T, int S);
    /* Rotates the pairs of x[T, n_heads, S] in place, rounded to dtype. */
    void (*rope)(struct device *dev, float *x, const float *angles, int T, int n_heads, int S,
                 enum rope_kind kind, enum format dtype);
    /* Writes k and v [T, G, S] of every row into its page. */
    void (*kv_write)(struct device *dev, const struct kv_cache *kv, int layer, const float *k,
                     const float *v, const struct batch *b);
    /* Copies positions of pages, one layer's, in the order given: a page may be copied to and then
     * from. */
    void (*kv_copy)(struct device *dev, const struct kv_cache *kv, int layer,
                    const struct kv_copy *copies, int n);
    /* y[T, H, S] = softmax(q k^T * scale) v over the row's positions, causal; query head h reads
     * key/value head h / (H / G). The row's own key and value are in the cache already. */
    void (*attention)(struct device *dev, float *y, const float *q, const struct kv_cache *kv,
                      int layer, const struct batch *b, int H, float scale);
    /* y[n] = silu(gate[n]) * up[n], rounded to dtype; y may be gate. */
    void (*silu_mul)(struct device *dev, float *y, const float *gate, const float *up, size_t n,
                     enum format dtype);
    /* y[n] += x[n], rounded to dtype. */
    void (*add)(struct device *dev, float *y, const float *x, size_t n, enum format dtype);
    /* Rounds x[n] to dtype and back (FORMAT_BF16, FORMAT_F16; F32 does nothing). */
    void (*round_to)(struct device *dev, float *x, size_t n, enum format dtype);
    /* Copies rows: y[i, D] = x[rows[i], D]. */
    void (*gather)(struct device *dev, float *y, const float *x, const int32_t *rows, int n, int D);
    /* The projection to the vocabulary, head [vocab, D], fused with log-softmax and gather: ret[i]
     * answers the i-th target, and top[T, k] are every row's most probable tokens, the most
     * probable first, of equal logits the lowest id first. `ret` has the same bits at any k, and
     * whichever targets share a row. The logits of more than a few rows never exist at once.
     * `ret` and `top` (unused when k is 0) are host memory. */
    void (*logprobs)(struct device *dev, struct token_logprob *ret, struct top_token *top,
                     const struct weight *head, const struct asked *asked);
    void (*close)(struct device *dev);
};

/* CPU features, as bits, by cpuid. */
enum { CPU_AVX2 = 1, CPU_AVX512 = 2 }; /* AVX2 means x86-64-v3: with FMA, F16C, BMI */
unsigned cpu_features(void);

/* A table for this machine with at most `features`; 0 gives the scalar reference. The pool is
 * used, not owned, and must outlive the table; end with k.close(k.dev). */
struct kernels kernels_cpu(unsigned features, struct pool *pool);

#endif
