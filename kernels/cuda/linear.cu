/* linear.cu: y = x w^T + b with float activations and weights of any format, in float32.
 *
 * A block has a tile of outputs: COLUMNS weight rows by ROWS tokens. DEPTH columns of both are
 * brought to shared memory, the weights' as floats, then every thread adds to its outputs. An
 * output's sum is one chain of fused multiply-adds over k upward, so its bits do not depend on the
 * tile that it lay in; tiles of few tokens serve decoding, where the weights' bytes are the floor.
 *
 * 2 T N K operations on the float pipes: this is the table's definition for all formats and its
 * path for dtype=f32; the formats that tensor cores multiply have files of their own. */
#include "kernels/cuda/values.h"

namespace assay
{

namespace
{

enum { COLUMNS = 64, DEPTH = 32, THREADS = 256 };

/* Of a thread: COLS x TOKENS outputs. */
template <int ROWS> struct share {
    static const int cols = ROWS >= 16 ? 4 : 1;
    static const int tokens = ROWS * COLUMNS / THREADS / cols;
    static const int lanes = COLUMNS / cols; /* threads side by side over the columns */
};

template <int ROWS>
__global__ void __launch_bounds__(THREADS)
    products(float *y, const float *x, matrix w, const float *bias, int T)
{
    using mine = share<ROWS>;
    SHARED(float, ws, [DEPTH][COLUMNS + 1]);
    SHARED(float, xs, [DEPTH][ROWS + 1]);
    int thread = static_cast<int>(threadIdx.x);
    int n0 = static_cast<int>(blockIdx.x) * COLUMNS, t0 = static_cast<int>(blockIdx.y) * ROWS;
    int n1 = thread % mine::lanes * mine::cols, t1 = thread / mine::lanes * mine::tokens;
    float sums[mine::cols][mine::tokens] = {};
    for (int k0 = 0; k0 < w.cols; k0 += DEPTH) {
        /* Eight weights a thread: 64 rows of 32. */
        int n = thread / 4, k = thread % 4 * 8;
        float eight[8] = {};
        if (n0 + n < w.rows)
            eight_values(w, n0 + n, k0 + k, eight);
        for (int i = 0; i < 8; i++)
            ws[k + i][n] = eight[i];
        for (int i = thread; i < DEPTH * ROWS; i += THREADS) {
            int c = k0 + i % DEPTH, t = t0 + i / DEPTH;
            bool in = c < w.cols && t < T;
            size_t at = static_cast<size_t>(t) * static_cast<size_t>(w.cols);
            xs[i % DEPTH][i / DEPTH] = in ? x[at + (w.perm ? w.perm[c] : c)] : 0;
        }
        __syncthreads();
        int depth = w.cols - k0 < DEPTH ? w.cols - k0 : DEPTH;
        for (int d = 0; d < depth; d++)
            for (int a = 0; a < mine::cols; a++)
                for (int b = 0; b < mine::tokens; b++)
                    sums[a][b] = fmaf(xs[d][t1 + b], ws[d][n1 + a], sums[a][b]);
        __syncthreads();
    }
    for (int b = 0; b < mine::tokens; b++)
        for (int a = 0; a < mine::cols; a++) {
            int n = n0 + n1 + a, t = t0 + t1 + b;
            if (n < w.rows && t < T)
                y[static_cast<size_t>(t) * static_cast<size_t>(w.rows) + n] =
                    sums[a][b] + (bias ? bias[n] : 0);
        }
}

} // namespace

void linear(cudaStream_t s, float *y, const float *x, const matrix &w, const float *bias, int T)
{
    unsigned n = blocks_of(static_cast<size_t>(w.rows), COLUMNS);
    if (T == 0)
        return;
    if (T <= 8)
        launch(products<8>, dim3(n, 1), dim3(THREADS), 0, s, y, x, w, bias, T);
    else
        launch(products<64>, dim3(n, blocks_of(static_cast<size_t>(T), 64)), dim3(THREADS), 0, s, y,
               x, w, bias, T);
}

} // namespace assay
