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

/* How a weight's numbers are stored.
 *
 * Floats, and GGUF's blocks, which hold 32 values of a row each, the K ones 256 in 8 or 16 groups
 * with scales s and offsets o of their own (format.c knows the bytes):
 *   Q8_0  f16 d, 8 bits:         w = d * q           Q2_K  f16 d, m, 2 bits:  w = d s q - m o
 *   Q4_0  f16 d, 4 bits:         w = d * (q - 8)     Q3_K  f16 d, 3 bits:     w = d s (q - 4)
 *   Q4_1  f16 d, f16 m, 4 bits:  w = d * q + m       Q4_K  f16 d, m, 4 bits:  w = d s q - m o
 *   Q5_0  f16 d, 5 bits:         w = d * (q - 16)    Q5_K  f16 d, m, 5 bits:  w = d s q - m o
 *   Q5_1  f16 d, f16 m, 5 bits:  w = d * q + m       Q6_K  f16 d, 6 bits:     w = d s (q - 32)
 *
 * And codes whose scales stand apart (struct weight), several codes a byte the first in the lowest
 * bits; a row begins at a byte:
 *   INT8     signed bytes; zero 0
 *   INT4     0 .. 15; zero 8 unless given
 *   INT3     0 .. 7; zero 4; 8 codes in 3 bytes
 *   INT2     0 .. 3; zero 2
 *   FP8      E4M3 ("fn": no infinities, 0x7f and 0xff are NaN), greatest 448
 *   FP4      E2M1: 0, .5, 1, 1.5, 2, 3, 4, 6 and, with 8 added, their negatives
 *   TERNARY  the value and one, in 2 bits; zero 1 */
enum format {
    FORMAT_F32,
    FORMAT_F16,
    FORMAT_BF16,
    FORMAT_Q8_0,
    FORMAT_Q4_0,
    FORMAT_Q4_1,
    FORMAT_Q5_0,
    FORMAT_Q5_1,
    FORMAT_Q2_K,
    FORMAT_Q3_K,
    FORMAT_Q4_K,
    FORMAT_Q5_K,
    FORMAT_Q6_K,
    FORMAT_INT8,
    FORMAT_INT4,
    FORMAT_INT3,
    FORMAT_INT2,
    FORMAT_FP8,
    FORMAT_FP4,
    FORMAT_TERNARY,
    FORMAT_COUNT,
};

struct format_info {
    const char *name; /* "f32", "q8_0": also what users write */
    int block;        /* values a block; 1 for the floats; of codes: those that fill whole bytes */
    int block_bytes;
    bool takes_int8; /* X_INT8 is computed with whole numbers */
    bool codes;      /* scales stand apart; not a format of a tensor alone */
};
extern const struct format_info format_info[FORMAT_COUNT];

/* Bytes of one row of `cols` values; 0 when cols is no multiple of the block. Codes fill up the
 * last block. */
size_t format_row_bytes(enum format f, int64_t cols);

/* What is made of a token x before it meets a weight, all by compressed-tensors' symmetric rules,
 * with which llm-compressor's checkpoints were made and others run them:
 *
 *   X_INT8  scale = max|x| / 127.5   q = x / scale rounded to even, in -128 .. 127
 *   X_FP8   scale = max|x| / 448     q = x / scale, in -448 .. 448, rounded to even to E4M3
 *   X_FP4   scale = max|x| / 6 as a multiple of x.scale rounded to E4M3; q likewise to E2M1
 *
 * over the token, or over each `group` columns of it; a scale of 0 counts as 2^-23 (of X_FP4 as
 * 2^-3 times x.scale). With x.scale of X_INT8 and X_FP8 that is the scale, of everything (static).
 * The product is that of scale * q: X_INT8 sums whole numbers where the weight's format takes them
 * (cpu/int8.h has that rule to the bit); else the floats scale * q are multiplied as X_F32 does.
 * A token that has a NaN or an infinity answers NaN in all outputs. */
enum activation { X_F32, X_INT8, X_FP8, X_FP4 };

/* A matrix that multiplies activations: y = x * w^T. Of floats and GGUF's blocks `data` is all;
 * with codes
 *
 *     w = (scale * scales[row / group_rows][column / group]) * (code - zero)
 *
 * each product rounded to f32: that float is multiplied, whatever the table. A scale, times
 * `scale`, should lie in 2^-90 .. 2^90 or be 0: outside a product may lose bits. */
struct weight {
    enum format format;
    int64_t rows, cols; /* N outputs, K inputs */
    const void *data;   /* rows of format_row_bytes each; not owned, often the mapped file */
    void *packed;       /* [device] what weight_pack made of it; NULL: not packed */

    /* Of codes only. Not owned; once the weight is packed only perm is read, and all by embed. */
    const void *scales;       /* [rows / group_rows, cols / group], both rounded up */
    enum format scale_format; /* F32, F16, BF16 or FP8 */
    float scale;              /* times every scale: 1, or one of the tensor's (NVFP4) */
    const uint8_t *zeros;     /* [rows, cols / group rounded up]: codes that stand for 0 (of INT8
                                 signed); NULL: the format's own zero. For INT8 to INT2 */
    int group, group_rows;    /* columns and rows that share a scale: cols: the whole row; rows: the
                                 whole matrix; 128 and 128: FP8 blocks */
    const int32_t *perm;      /* [cols] column c multiplies x[perm[c]] (act-order: the columns of a
                                 group lie side by side); NULL: x[c] */

    struct {
        enum activation kind;
        int group;   /* columns of a token that share a scale; 0: the token */
        float scale; /* 0: found as tokens come */
        float reach; /* of X_INT8: what takes the place of 127.5 (BitNet: 127); 0: nothing */
    } x;             /* X_F32 for a head that meets logprobs */
};

/* Bytes of data, scales and zeros: what a file that stores the weight so has of it. */
size_t weight_bytes(const struct weight *w);

/* Scalar conversions, for loaders, quantizers and tests; the kernels' own are checked against them.
 * A row is in the order of x, whatever perm. */
void weight_row_to_f32(const struct weight *w, int64_t row, float *ret); /* [cols] */
/* Quantizes `n` floats (a multiple of the block) into `ret`; E_UNSUPPORTED: Q5 and the K formats
 * are only read, codes need their scales. FORMAT_Q8_0 rounds as llama.cpp does: d = max|x| / 127 as
 * f16, q = roundf(x * (1 / d)) with the unrounded d. Floats round to nearest even. */
int format_from_f32(enum format f, const float *x, int64_t n, void *ret, struct error *err);

/* Codes of a row by the scales and zeros that it has (w->data is written): x / scale + zero rounded
 * to the nearest, ties to even, and clamped: compressed-tensors' rule. x [cols] is finite. */
void weight_row_from_f32(const struct weight *w, int64_t row, const float *x);
/* Writes the scale of a group of a row (and of those that share it) whose values lie in low ..
 * high, by compressed-tensors' rule: the greater size / ((2^bits - 1) / 2), that is 127.5 and 7.5,
 * FP8 448, FP4 6, TERNARY 1; with zeros (max(high, 0) - min(low, 0)) / (2^bits - 1), and the zero
 * point. It is rounded to scale_format; what becomes 0 is that format's epsilon. E_INPUT: not
 * finite, or too large for scale_format. */
int weight_group_fit(const struct weight *w, int64_t row, int64_t group, float low, float high,
                     struct error *err);
/* The same of all groups of a row (group_rows 1) by its values; TERNARY: by BitNet's rule, mean|x|.
 */
int weight_row_scales(const struct weight *w, int64_t row, const float *x, struct error *err);
/* What a value of that group becomes by its scale and zero. */
float weight_nearest(const struct weight *w, int64_t row, int64_t group, float x);

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
    const char *numerics; /* part of an evaluation's identity: "cpu-avx2-3", "cuda-1" */
    struct device *dev;
    /* The device has memory of its own. Then every matrix of floats that an operation takes comes
     * from buffer_new, norms, biases and frequencies among them; batches are announced by `begin`.
     * Whole numbers, and what says so, are host memory. Operations that fail do so silently, and
     * all after them; `check` tells. */
    bool on_device;

    /* Memory. NULL when it does not fit; 64-byte aligned; not zeroed. A device's goes with it. */
    void *(*buffer_new)(struct device *dev, size_t bytes);
    void (*buffer_free)(struct device *dev, void *p);
    void (*to_device)(struct device *dev, void *dst, const void *src, size_t bytes);
    void (*to_host)(struct device *dev, void *dst, const void *src, size_t bytes);

    /* Puts a weight into the layout that `linear` and `logprobs` want, in memory of the device's;
     * both ask for it. `w->data` is then read by `embed` only: if there is none, it may go.
     * E_UNSUPPORTED: a shape or a combination that cannot be computed with. E_INPUT: a code that is
     * no number (FP8). E_MEMORY. */
    int (*weight_pack)(struct device *dev, struct weight *w, struct error *err);
    void (*weight_free)(struct device *dev, struct weight *w);
    /* Bytes that weight_pack takes; 0: none, and `data` is read by all. */
    size_t (*packed_bytes)(struct device *dev, const struct weight *w);

    /* The step to come: kv_write and attention are given this batch until the next one. NULL where
     * not on_device, as is check. */
    void (*begin)(struct device *dev, const struct batch *b);

    /* x[T, D] = rows `tokens` of the table [vocab, D], as float32. Reads table->data, the host's.
     */
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
    /* y[n] = max(gate[n], 0)^2 * up[n], likewise. */
    void (*relu2_mul)(struct device *dev, float *y, const float *gate, const float *up, size_t n,
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
    /* Waits for everything. E_DEVICE: something has failed since the table was opened; it stays
     * so. */
    int (*check)(struct device *dev, struct error *err);
    void (*close)(struct device *dev);
};

/* CPU features, as bits, by cpuid. */
enum { CPU_AVX2 = 1, CPU_AVX512 = 2 }; /* AVX2 means x86-64-v3: with FMA, F16C, BMI */
unsigned cpu_features(void);

/* A table for this machine with at most `features`; 0 gives the scalar reference. The pool is
 * used, not owned, and must outlive the table; end with k.close(k.dev). */
struct kernels kernels_cpu(unsigned features, struct pool *pool);

/* A table for the CUDA device `ordinal`; end with k.close(k.dev). Tables of several devices may be
 * used at once, each by one thread. E_DEVICE: there is none, or it does not answer. E_UNSUPPORTED:
 * built without CUDA. */
int kernels_cuda(int ordinal, struct kernels *ret, struct error *err);
/* Bytes that are free on it; 0 where it cannot be asked. */
size_t kernels_cuda_memory(int ordinal);

#endif
