/* gemm_w8a8.cu: INT8 activations times codes of up to 8 bits, in whole numbers, on tensor cores.
 *
 * The rule is int8.h's and leaves no bit open: with codes q and a scale of each token, and codes c,
 * scale d and zero z (or offset m) of each group of a weight's row,
 *
 *     y = (sum over groups upward of fma(float(sum q c - z sum q), d, .), and fma(float(sum q), m,
 *         .)) * scale + bias
 *
 * A block has 64 weight rows by TOKENS tokens; a warp 16 of the rows, all of the tokens. 64 columns
 * come to shared memory at a time, the weights' as bytes. mma.m16n8k32 with the weights as A: one
 * covers a run of 32, the shortest group; where a group ends, its sum goes into the float sums.
 *
 * Bytes: a weight's codes once for each 64 tokens (decode: once); operations: 2 T N K of INT8. */
#include "kernels/cuda/values.h"

namespace assay
{

namespace
{

enum {
    ROWS = 64,
    DEPTH = 64,
    STRIDE = DEPTH + 16,
    WARPS = ROWS / 16,
    THREADS = WARPS * 32,
    RUN = 32
};

/* A code as it is multiplied: what is taken off or added is in the sums of x. */
__device__ inline int whole_code(const matrix &w, const uint8_t *data, int row, int c)
{
    switch (w.format) {
    case FORMAT_Q8_0:
        return static_cast<int8_t>(data[c / 32 * 34 + 2 + c % 32]);
    case FORMAT_Q4_0:
        return nibble(data + c / 32 * 18 + 2, c % 32, 16);
    case FORMAT_Q4_1:
        return nibble(data + c / 32 * 20 + 4, c % 32, 16);
    case FORMAT_Q4_K:
        return nibble(data + c / 256 * 144 + 16 + c % 256 / 64 * 32, c % 64, 32);
    case FORMAT_Q2_K:
        return pair_of_bits(data + c / 256 * 84 + 16, c % 256);
    default:
        return static_cast<int>(number_of(w.format, stored_code(w, data, row, c)));
    }
}

struct group_terms {
    float d, m;
    int zero;
};

/* Of the group that ends at column `end` of a row. */
__device__ inline group_terms terms_of(const matrix &w, int row, int end)
{
    group_terms ret = {0, 0, 0};
    const uint8_t *data = w.data + static_cast<size_t>(row) * w.row_bytes;
    int run = (end - 1) / RUN, s, o;
    switch (w.format) {
    case FORMAT_Q8_0:
        ret.d = f16_value(half_at(data + run * 34));
        return ret;
    case FORMAT_Q4_0:
        ret.d = f16_value(half_at(data + run * 18));
        ret.zero = 8;
        return ret;
    case FORMAT_Q4_1:
        ret.d = f16_value(half_at(data + run * 20));
        ret.m = f16_value(half_at(data + run * 20 + 2));
        return ret;
    case FORMAT_Q4_K:
        data += run / 8 * 144;
        k_scales(data + 4, run % 8, &s, &o);
        ret.d = f16_value(half_at(data)) * static_cast<float>(s);
        ret.m = f16_value(half_at(data + 2)) * -static_cast<float>(o);
        return ret;
    default: {
        int group = (end - 1) / w.group;
        size_t at =
            static_cast<size_t>(row) * static_cast<size_t>(w.groups) + static_cast<size_t>(group);
        unsigned zero = w.zeros ? w.zeros[at] : kind_of(w.format).zero;
        ret.d = scale_of(w, row, group);
        ret.zero = static_cast<int>(number_of(w.format, zero));
        return ret;
    }
    }
}

__device__ inline bool has_offset(enum format f)
{
    return f == FORMAT_Q4_1 || f == FORMAT_Q4_K;
}

/* True where a group ends. */
__device__ inline bool ends_group(const matrix &w, int end)
{
    return end == w.cols || w.group == 0 || end % w.group == 0;
}

/* y of one group more. */
__device__ inline float with_group(const matrix &w, float y, int sum, int sum_of_x,
                                   const group_terms &t)
{
    y = fmaf(static_cast<float>(sum - t.zero * sum_of_x), t.d, y);
    return has_offset(w.format) ? fmaf(static_cast<float>(sum_of_x), t.m, y) : y;
}

/* Four codes of a row in shared memory. */
__device__ inline uint32_t word_at(const int8_t *codes, int row, int c)
{
    return *reinterpret_cast<const uint32_t *>(codes + row * STRIDE + c);
}

template <int TOKENS>
__global__ void __launch_bounds__(THREADS)
    whole_products(float *y, int8_rows x, matrix w, const float *bias, int T)
{
    constexpr int TILES = TOKENS / 8;
    SHARED(uint4, w_words, [ROWS * STRIDE / 16]);
    SHARED(uint4, x_words, [TOKENS * STRIDE / 16]);
    int8_t *ws = reinterpret_cast<int8_t *>(w_words), *xs = reinterpret_cast<int8_t *>(x_words);
    int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
    int g = lane / 4, t = lane % 4, wide = int8_row(w.cols), runs = wide / RUN;
    int n0 = static_cast<int>(blockIdx.x) * ROWS, t0 = static_cast<int>(blockIdx.y) * TOKENS;
    float sums[TILES][4] = {};
    int whole[TILES][4] = {}, of_x[TILES][2] = {};
    for (int k0 = 0; k0 < wide; k0 += DEPTH) {
        for (int i = thread; i < ROWS * DEPTH; i += THREADS) {
            int n = n0 + i / DEPTH, c = k0 + i % DEPTH;
            const uint8_t *data = w.data + static_cast<size_t>(n) * w.row_bytes;
            bool in = n < w.rows && c < w.cols;
            ws[i / DEPTH * STRIDE + i % DEPTH] =
                static_cast<int8_t>(in ? whole_code(w, data, n, c) : 0);
        }
        for (int i = thread; i < TOKENS * DEPTH / 16; i += THREADS) {
            int row = i / (DEPTH / 16), c = i % (DEPTH / 16) * 16;
            size_t from =
                static_cast<size_t>(t0 + row < T ? t0 + row : 0) * static_cast<size_t>(wide) +
                static_cast<size_t>(k0 + c);
            cp_async_16(&xs[row * STRIDE + c], &x.codes[from], t0 + row < T ? 16 : 0);
        }
        cp_async_commit();
        cp_async_wait<0>();
        __syncthreads();
        for (int run = 0; run < DEPTH / RUN && k0 + run * RUN < w.cols; run++) {
            int end = k0 + (run + 1) * RUN < w.cols ? k0 + (run + 1) * RUN : w.cols;
            bool ends = ends_group(w, end);
            uint32_t a[4];
            for (int r = 0; r < 4; r++)
                a[r] = word_at(ws, warp * 16 + g + 8 * (r & 1), run * RUN + 4 * t + 16 * (r >> 1));
            group_terms terms[2];
            for (int h = 0; h < 2 && ends; h++) {
                int n = n0 + warp * 16 + g + 8 * h;
                terms[h] = terms_of(w, n < w.rows ? n : w.rows - 1, end);
            }
#pragma unroll
            for (int j = 0; j < TILES; j++) {
                uint32_t b[2];
                for (int r = 0; r < 2; r++)
                    b[r] = word_at(xs, j * 8 + g, run * RUN + 4 * t + 16 * r);
                mma_s8(whole[j], a, b);
                for (int h = 0; h < 2; h++) {
                    int token = t0 + j * 8 + 2 * t + h;
                    of_x[j][h] +=
                        token < T ? x.sums[static_cast<size_t>(token) * static_cast<size_t>(runs) +
                                           static_cast<size_t>(k0 / RUN + run)]
                                  : 0;
                }
                for (int i = 0; i < 4 && ends; i++) {
                    sums[j][i] =
                        with_group(w, sums[j][i], whole[j][i], of_x[j][i & 1], terms[i >> 1]);
                    whole[j][i] = 0;
                }
                for (int h = 0; h < 2 && ends; h++)
                    of_x[j][h] = 0;
            }
        }
        __syncthreads();
    }
    for (int j = 0; j < TILES; j++)
        for (int i = 0; i < 4; i++) {
            int n = n0 + warp * 16 + g + 8 * (i >> 1), token = t0 + j * 8 + 2 * t + (i & 1);
            if (n >= w.rows || token >= T)
                continue;
            float value = sums[j][i] * x.scales[token];
            y[static_cast<size_t>(token) * static_cast<size_t>(w.rows) + static_cast<size_t>(n)] =
                bias ? value + bias[n] : value;
        }
}

/* Groups that are no multiple of 32: a thread an output. */
__global__ void short_groups(float *y, int8_rows x, matrix w, const float *bias)
{
    int n = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    size_t token = blockIdx.y, wide = static_cast<size_t>(int8_row(w.cols));
    if (n >= w.rows)
        return;
    const uint8_t *data = w.data + static_cast<size_t>(n) * w.row_bytes;
    float value = 0;
    int sum = 0, of_x = 0;
    for (int c = 0; c < w.cols; c++) {
        int q = x.codes[token * wide + static_cast<size_t>(c)];
        sum += q * whole_code(w, data, n, c);
        of_x += q;
        if (!ends_group(w, c + 1))
            continue;
        value = with_group(w, value, sum, of_x, terms_of(w, n, c + 1));
        sum = of_x = 0;
    }
    value *= x.scales[token];
    y[token * static_cast<size_t>(w.rows) + static_cast<size_t>(n)] =
        bias ? value + bias[n] : value;
}

} // namespace

void gemm_w8a8(cudaStream_t s, float *y, const int8_rows &x, const matrix &w, const float *bias,
               int T)
{
    unsigned n = blocks_of(static_cast<size_t>(w.rows), ROWS), tokens = static_cast<unsigned>(T);
    if (w.group < w.cols && w.group % RUN != 0)
        launch(short_groups, dim3(blocks_of(static_cast<size_t>(w.rows), THREADS), tokens),
               dim3(THREADS), 0, s, y, x, w, bias);
    else if (T <= 8)
        launch(whole_products<8>, dim3(n), dim3(THREADS), 0, s, y, x, w, bias, T);
    else
        launch(whole_products<64>, dim3(n, (tokens + 63) / 64), dim3(THREADS), 0, s, y, x, w, bias,
               T);
}

} // namespace assay
