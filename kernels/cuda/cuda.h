/* cuda.h: what the .cu files share. Private to kernels/cuda/.
 *
 * A file has the kernels of one story and the functions that launch them; table.cu puts these
 * behind struct kernels. Pointers are the device's; launches go into `stream` and are not waited
 * for. The promise of kernels.h holds: what a row becomes depends on its own inputs alone, so tiles
 * may differ with the number of rows, the order of sums may not. */
#ifndef ASSAY_KERNELS_CUDA_CUDA_H
#define ASSAY_KERNELS_CUDA_CUDA_H

#include "kernels/cuda/device.h"

extern "C" {
#include "kernels/kernels.h"
}

namespace assay
{

/* A weight on the device: struct weight with its rows, scales and zeros as they are stored. */
struct matrix {
    enum format format;
    int rows, cols;
    size_t row_bytes;
    const uint8_t *data; /* rows of row_bytes, or as registers want them: */
    bool fragments;      /* gemm_w4a16.cu has the order */
    const void *scales;
    enum format scale_format;
    float scale;
    const uint8_t *zeros;
    int group, group_rows, groups; /* groups: columns / group, rounded up */
    const int *perm;
    enum activation x;
    int x_group;
    float x_scale, x_reach; /* x_reach: 127.5, 448 or what stands for it */
};

/* The step's batch, on the device. */
struct rows {
    int n;
    const int *positions, *sequences, *page_table;
    int max_pages;
};

/* Neighbouring rows of one sequence, which attention reads keys and values for once. */
struct tile {
    int row, n, last; /* last: the greatest position of them */
};

struct cache {
    float *data;
    int n_layers, layer, G, S, P;
};

/* The rounding of dtype, and back; a NaN keeps what fits of its bits, as format.h says. */
__device__ inline float rounded(float x, enum format dtype)
{
    if (isnan(x) && dtype != FORMAT_F32) {
        unsigned kept = dtype == FORMAT_BF16 ? 0xffff0000u : 0xffffe000u;
        unsigned bits = static_cast<unsigned>(__float_as_int(x));
        return __int_as_float(static_cast<int>((bits & kept) | 0x7fc00000u));
    }
    if (dtype == FORMAT_BF16)
        return __bfloat162float(__float2bfloat16_rn(x));
    if (dtype == FORMAT_F16)
        return __half2float(__float2half_rn(x));
    return x;
}

/* How many blocks of `size` hold n. */
inline unsigned blocks_of(size_t n, size_t size)
{
    return static_cast<unsigned>((n + size - 1) / size);
}

/* Where the code of a row and column lies among fragments of `bits`: its lane's first byte, and the
 * bit from there on. A unit is 16 rows of 64 columns, 32 lanes of 4 bits bytes. */
struct fragment_place {
    size_t lane;
    int bit;
};

__host__ __device__ inline fragment_place fragment_of(int row, int column, int cols, int bits)
{
    int k = column % 16, r = row % 16 / 8 + k / 8 * 2, lane = row % 8 * 4 + k % 8 / 2;
    size_t units = static_cast<size_t>((cols + 63) / 64);
    size_t unit = static_cast<size_t>(row / 16) * units + static_cast<size_t>(column / 64);
    return {(unit * 32 + static_cast<size_t>(lane)) * 4 * static_cast<size_t>(bits),
            (8 * (column % 64 / 16) + 2 * r + k % 2) * bits};
}

/* rows.cu */
void add_rmsnorm(cudaStream_t s, float *y, float *x, const float *add, const float *w, int T, int D,
                 float eps, enum format dtype);
void rope_angles(cudaStream_t s, float *angles, const int *positions, const float *inv_freq,
                 float scale, int T, int S);
void rope(cudaStream_t s, float *x, const float *angles, int T, int n_heads, int S,
          enum rope_kind kind, enum format dtype);
void silu_mul(cudaStream_t s, float *y, const float *gate, const float *up, size_t n,
              enum format dtype);
void relu2_mul(cudaStream_t s, float *y, const float *gate, const float *up, size_t n,
               enum format dtype);
void add(cudaStream_t s, float *y, const float *x, size_t n, enum format dtype);
void round_to(cudaStream_t s, float *x, size_t n, enum format dtype);
void gather(cudaStream_t s, float *y, const float *x, const int *rows, int n, int D);

/* attention.cu */
void kv_write(cudaStream_t s, const cache &kv, const float *k, const float *v, const rows &b);
/* copies[n]: from, to, n of positions; one after the other. */
void kv_copy(cudaStream_t s, const cache &kv, const struct kv_copy *copies, int n);
void attention(cudaStream_t s, float *y, const float *q, const cache &kv, const rows &b,
               const tile *tiles, int n_tiles, int H, float scale);
enum { TILE_HEADS = 16 }; /* rows of a tile times their query heads of one key/value head */

/* linear.cu: float activations, weights of any format. */
void linear(cudaStream_t s, float *y, const float *x, const matrix &w, const float *bias, int T);

/* quantize.cu: y[T, K] = what w's activations make of x, as floats (kernels.h: scale * q). */
void quantized_floats(cudaStream_t s, float *y, const float *x, const matrix &w, int T);
/* Tokens as INT8 codes, each row filled up with zeros to INT8_ROW(K) of them. */
struct int8_rows {
    int8_t *codes; /* [T, int8_row(K)] */
    int *sums;     /* [T, int8_row(K) / 32] of 32 codes each */
    float *scales; /* [T] */
};
__host__ __device__ inline int int8_row(int K)
{
    return (K + 63) / 64 * 64;
}
void quantize_int8(cudaStream_t s, const int8_rows &ret, const float *x, const matrix &w, int T);

/* gemm_w8a8.cu: the whole numbers of int8.h, to the bit. */
void gemm_w8a8(cudaStream_t s, float *y, const int8_rows &x, const matrix &w, const float *bias,
               int T);

/* gemm_w4a16.cu: float activations times codes on tensor cores, for weights that fit; then
 * matrix::data is what fragments_pack made on the host. `room` has w4a16_room bytes. */
bool fragments_fit(const struct weight *w);
size_t fragments_bytes(const struct weight *w);
void fragments_pack(uint8_t *ret, const struct weight *w);
size_t w4a16_room(int T, int cols);
void gemm_w4a16(cudaStream_t s, float *y, const float *x, void *room, const matrix &w,
                const float *bias, int T);

/* logprobs.cu: of T rows of logits [T, vocab]. */
struct row_answer {
    double all; /* log sum exp of the logits */
    float greatest;
    int argmax;
};
void answer_rows(cudaStream_t s, row_answer *ret, const float *logits, int vocab, int T);
/* ret[i] = the logit of targets[i] in rows[i]; targets below 0 are left out. */
void wanted_logits(cudaStream_t s, float *ret, const float *logits, int vocab, const int *rows,
                   const int *targets, int n);
/* top[T, k] as (logit, token), the most probable first; token -1: no more. */
struct top_logit {
    float logit;
    int token;
};
void top_logits(cudaStream_t s, top_logit *top, int k, const float *logits, int vocab, int T);

} // namespace assay

#endif
