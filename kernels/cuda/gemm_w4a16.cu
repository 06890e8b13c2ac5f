/* gemm_w4a16.cu: float activations times codes of 2, 4 or 8 bits, on tensor cores.
 *
 * The codes less their zero are small whole numbers, or FP8's and FP4's, all of which bf16 holds
 * exactly; activations are cut into three bf16 terms that add up to them exactly, of which those
 * that are 0 everywhere (all but the first with dtype=bf16) are left out. So every product is
 * exact, a group's sum is made by mma.m16n8k16 with the weights as A, and its scale meets it
 * afterwards, in float32:
 *
 *     y = sum over groups upward of fma(scale, sum of the group, .)
 *
 * Weights lie as the registers want them (fragments_pack): a unit is 16 rows of 64 columns, in
 * which lane l has 4 BITS bytes; those of 4 bits are one load of 16 bytes. Units of the block's
 * four warps and the activations' terms come by cp.async, STAGES units ahead.
 *
 * Bytes: codes once for each TOKENS tokens. Decoding (8 tokens) is bound by them: N K BITS / 8 at
 * the memory's rate, with about 3 instructions a code to make A, which is half of what an SM of
 * A100 or H100 issues in that time: expected 80 % of the rate. Prefill (64 tokens): 2 T N K
 * operations of bf16, with one conversion of A for 8 products: expected half of the tensor cores'
 * rate. */
#include "kernels/cuda/values.h"

namespace assay
{

namespace
{

enum {
    ROWS = 64,
    WARPS = ROWS / 16,
    THREADS = WARPS * 32,
    UNIT = 64,
    STEP = 16,
    STRIDE = UNIT + 8
};

/* ---- activations ---- */

struct x_terms {
    __nv_bfloat16 *values; /* [3, T, wide] */
    int *some;             /* [2] is there anything but 0 in the second and the third? */
    int wide, T;
};

__global__ void cut(x_terms ret, const float *x, int K, const int *perm)
{
    size_t t = blockIdx.y, wide = static_cast<size_t>(ret.wide);
    size_t all = static_cast<size_t>(ret.T) * wide;
    int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    float rest = 0;
    if (c < K)
        rest = x[t * static_cast<size_t>(K) + static_cast<size_t>(perm ? perm[c] : c)];
    bool finite = isfinite(rest);
    for (int i = 0; i < 3; i++) {
        __nv_bfloat16 term = __float2bfloat16_rn(rest);
        float value = __bfloat162float(term);
        bool some = __syncthreads_or(i > 0 && value != 0);
        if (some && threadIdx.x == 0)
            ret.some[i - 1] = 1;
        if (c < ret.wide)
            ret.values[static_cast<size_t>(i) * all + t * wide + static_cast<size_t>(c)] = term;
        rest = finite ? rest - value : 0;
    }
}

/* ---- codes ---- */

/* Two neighbouring codes as A wants them, less zero. */
__device__ inline uint32_t pair_of(float low, float high)
{
    __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    uint32_t ret;
    memcpy(&ret, &both, sizeof ret);
    return ret;
}

/* Register r of step s: in a lane's words code 2 r + h of step s is the 8 s + 2 r + h-th. */
template <int BITS>
__device__ inline uint32_t a_of(const uint32_t *words, int s, int r, enum format f, float zero)
{
    int at = (8 * s + 2 * r) * BITS;
    uint32_t word = words[at / 32] >> at % 32, mask = (1u << BITS) - 1;
    return pair_of(number_of(f, word & mask) - zero, number_of(f, word >> BITS & mask) - zero);
}

__device__ inline float zero_of(const matrix &w, int row, int group)
{
    size_t at =
        static_cast<size_t>(row) * static_cast<size_t>(w.groups) + static_cast<size_t>(group);
    return number_of(w.format, w.zeros ? w.zeros[at] : kind_of(w.format).zero);
}

/* ---- the product ---- */

/* One unit of the block: weights of its warps, activations of its tokens. */
template <int BITS, int TOKENS> struct stage {
    uint4 words[WARPS * 32 * BITS / 4];
    __nv_bfloat16 x[3][TOKENS][STRIDE];
};

template <int BITS, int TOKENS>
__device__ inline void bring(stage<BITS, TOKENS> *to, const x_terms &x, const matrix &w,
                             int n_terms, int unit, int n_units)
{
    int thread = static_cast<int>(threadIdx.x), t0 = static_cast<int>(blockIdx.y) * TOKENS;
    constexpr int PIECES = 32 * BITS / 4; /* of 16 bytes, of a warp's unit */
    for (int i = thread; i < WARPS * PIECES && unit < n_units; i += THREADS) {
        int tile = static_cast<int>(blockIdx.x) * WARPS + i / PIECES, tiles = (w.rows + 15) / 16;
        size_t from = (static_cast<size_t>(tile < tiles ? tile : 0) * static_cast<size_t>(n_units) +
                       static_cast<size_t>(unit)) *
                          PIECES +
                      static_cast<size_t>(i % PIECES);
        cp_async_16(&to->words[i], reinterpret_cast<const uint4 *>(w.data) + from,
                    tile < tiles ? 16 : 0);
    }
    for (int i = thread; i < n_terms * TOKENS * 8 && unit < n_units; i += THREADS) {
        int term = i / (TOKENS * 8), t = i / 8 % TOKENS, c = i % 8 * 8;
        bool in = t0 + t < x.T;
        size_t from = (static_cast<size_t>(term) * static_cast<size_t>(x.T) +
                       static_cast<size_t>(in ? t0 + t : 0)) *
                          static_cast<size_t>(x.wide) +
                      static_cast<size_t>(unit * UNIT + c);
        cp_async_16(&to->x[term][t][c], x.values + from, in ? 16 : 0);
    }
    cp_async_commit();
}

template <int BITS, int TOKENS, int STAGES>
__global__ void __launch_bounds__(THREADS, TOKENS == 8 ? 8 : 4)
    code_products(float *y, x_terms x, matrix w, const float *bias)
{
    constexpr int TILES = TOKENS / 8;
    using stage = stage<BITS, TOKENS>;
    DYNAMIC_SHARED(stage, stages);
    int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
    int g = lane / 4, t = lane % 4, n_units = (w.cols + UNIT - 1) / UNIT;
    int n_terms = x.some[1] ? 3 : x.some[0] ? 2 : 1;
    int rows[2], group = 0;
    for (int h = 0; h < 2; h++) {
        rows[h] = static_cast<int>(blockIdx.x) * ROWS + warp * 16 + g + 8 * h;
        rows[h] = rows[h] < w.rows ? rows[h] : w.rows - 1;
    }
    float zeros[2] = {zero_of(w, rows[0], 0), zero_of(w, rows[1], 0)};
    float sums[TILES][4] = {}, part[TILES][4] = {};
    for (int i = 0; i < STAGES - 1; i++)
        bring<BITS, TOKENS>(&stages[i], x, w, n_terms, i, n_units);
    for (int unit = 0; unit < n_units; unit++) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();
        bring<BITS, TOKENS>(&stages[(unit + STAGES - 1) % STAGES], x, w, n_terms, unit + STAGES - 1,
                            n_units);
        const stage &have = stages[unit % STAGES];
        uint32_t words[BITS];
        memcpy(words, reinterpret_cast<const uint32_t *>(have.words) + thread * BITS, sizeof words);
#pragma unroll
        for (int s = 0; s < UNIT / STEP; s++) {
            int end = unit * UNIT + (s + 1) * STEP;
            if (end - STEP >= w.cols)
                break;
            uint32_t a[4];
            for (int r = 0; r < 4; r++)
                a[r] = a_of<BITS>(words, s, r, w.format, zeros[r & 1]);
            for (int term = 0; term < n_terms; term++)
#pragma unroll
                for (int j = 0; j < TILES; j++) {
                    uint32_t b[2];
                    for (int r = 0; r < 2; r++)
                        b[r] = *reinterpret_cast<const uint32_t *>(
                            &have.x[term][j * 8 + g][s * STEP + 2 * t + 8 * r]);
                    mma_bf16(part[j], a, b);
                }
            if (end < w.cols && end % w.group != 0)
                continue;
            float scales[2] = {scale_of(w, rows[0], group), scale_of(w, rows[1], group)};
#pragma unroll
            for (int j = 0; j < TILES; j++)
                for (int i = 0; i < 4; i++) {
                    sums[j][i] = fmaf(part[j][i], scales[i >> 1], sums[j][i]);
                    part[j][i] = 0;
                }
            if (end < w.cols) {
                group++;
                for (int h = 0; h < 2; h++)
                    zeros[h] = zero_of(w, rows[h], group);
            }
        }
    }
    for (int j = 0; j < TILES; j++)
        for (int i = 0; i < 4; i++) {
            int n = static_cast<int>(blockIdx.x) * ROWS + warp * 16 + g + 8 * (i >> 1);
            int token = static_cast<int>(blockIdx.y) * TOKENS + j * 8 + 2 * t + (i & 1);
            if (n < w.rows && token < x.T)
                y[static_cast<size_t>(token) * static_cast<size_t>(w.rows) +
                  static_cast<size_t>(n)] = sums[j][i] + (bias ? bias[n] : 0);
        }
}

template <int BITS>
void run(cudaStream_t s, float *y, const x_terms &x, const matrix &w, const float *bias)
{
    unsigned n = blocks_of(static_cast<size_t>(w.rows), ROWS);
    if (x.T <= 8)
        launch(code_products<BITS, 8, 4>, dim3(n), dim3(THREADS), 4 * sizeof(stage<BITS, 8>), s, y,
               x, w, bias);
    else
        launch(code_products<BITS, 64, 2>, dim3(n, blocks_of(static_cast<size_t>(x.T), 64)),
               dim3(THREADS), 2 * sizeof(stage<BITS, 64>), s, y, x, w, bias);
}

} // namespace

bool fragments_fit(const struct weight *w)
{
    int bits = kind_of(w->format).bits;
    return format_info[w->format].codes && (bits == 2 || bits == 4 || bits == 8) &&
           (w->group >= w->cols || w->group % STEP == 0);
}

size_t fragments_bytes(const struct weight *w)
{
    size_t tiles = blocks_of(static_cast<size_t>(w->rows), 16);
    size_t units = blocks_of(static_cast<size_t>(w->cols), UNIT);
    return tiles * units * 32 * 4 * static_cast<size_t>(kind_of(w->format).bits);
}

void fragments_pack(uint8_t *ret, const struct weight *w)
{
    int bits = kind_of(w->format).bits, cols = static_cast<int>(w->cols);
    size_t row_bytes = format_row_bytes(w->format, w->cols);
    memset(ret, 0, fragments_bytes(w));
    for (int row = 0; row < static_cast<int>(w->rows); row++) {
        const uint8_t *from =
            static_cast<const uint8_t *>(w->data) + static_cast<size_t>(row) * row_bytes;
        for (int c = 0; c < cols; c++) {
            fragment_place at = fragment_of(row, c, cols, bits);
            uint8_t *to = &ret[at.lane + static_cast<size_t>(at.bit / 8)];
            *to = static_cast<uint8_t>(*to | code_at(from, bits, c) << at.bit % 8);
        }
    }
}

size_t w4a16_room(int T, int cols)
{
    size_t wide = static_cast<size_t>(blocks_of(static_cast<size_t>(cols), UNIT)) * UNIT;
    return 16 + 3 * static_cast<size_t>(T) * wide * sizeof(__nv_bfloat16);
}

void gemm_w4a16(cudaStream_t s, float *y, const float *x, void *room, const matrix &w,
                const float *bias, int T)
{
    int wide = static_cast<int>(blocks_of(static_cast<size_t>(w.cols), UNIT)) * UNIT;
    x_terms terms = {reinterpret_cast<__nv_bfloat16 *>(static_cast<char *>(room) + 16),
                     static_cast<int *>(room), wide, T};
    cudaMemsetAsync(room, 0, 16, s);
    launch(cut, dim3(blocks_of(static_cast<size_t>(wide), THREADS), static_cast<unsigned>(T)),
           dim3(THREADS), 0, s, terms, x, w.cols, w.perm);
    switch (kind_of(w.format).bits) {
    case 2:
        run<2>(s, y, terms, w, bias);
        break;
    case 4:
        run<4>(s, y, terms, w, bias);
        break;
    default:
        run<8>(s, y, terms, w, bias);
    }
}

} // namespace assay
