/* rows.cu: operations on rows and elements. All are bound by memory: each reads and writes every
 * value once, and rows wait for nothing but their own sum. */
#include "kernels/cuda/cuda.h"

namespace assay
{

namespace
{

enum { THREADS = 256, EACH = 4 }; /* values of a thread */

/* The first of the thread's values and the step to its next; they are EACH. */
__device__ inline size_t first_value()
{
    return static_cast<size_t>(blockIdx.x) * THREADS * EACH + threadIdx.x;
}

template <class Kernel, class... P> void over_values(cudaStream_t s, size_t n, Kernel k, P... args)
{
    if (n > 0)
        launch(k, dim3(blocks_of(n, THREADS * EACH)), dim3(THREADS), 0, s, args...);
}

/* A block a row. Squares are summed in double: each thread its columns upward, then the lanes and
 * the warps in a fixed tree. */
__global__ void norm_row(float *y, float *x, const float *more, const float *w, int D, float eps,
                         enum format dtype)
{
    SHARED(double, sums, [THREADS / 32]);
    size_t at = static_cast<size_t>(blockIdx.x) * static_cast<size_t>(D);
    double sum = 0;
    for (int i = static_cast<int>(threadIdx.x); i < D; i += THREADS) {
        float v = x[at + i];
        if (more)
            x[at + i] = v = rounded(v + more[at + i], dtype);
        sum += static_cast<double>(v) * v;
    }
    for (int d = 16; d > 0; d /= 2)
        sum += __shfl_xor_sync(ALL_LANES, sum, d);
    if (threadIdx.x % 32 == 0)
        sums[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (int i = 0; i < THREADS / 32; i++)
        sum += sums[i];
    double scale = 1 / sqrt(sum / D + eps);
    for (int i = static_cast<int>(threadIdx.x); i < D; i += THREADS)
        y[at + i] = rounded(static_cast<float>(x[at + i] * scale) * w[i], dtype);
}

__global__ void angles_of(float *angles, const int *positions, const float *inv_freq, float scale,
                          int T, int S)
{
    size_t half = static_cast<size_t>(S / 2), n = static_cast<size_t>(T) * half, i = first_value();
    for (int e = 0; e < EACH && i < n; e++, i += THREADS) {
        size_t t = i / half, f = i % half;
        float angle = static_cast<float>(positions[t]) * inv_freq[f];
        angles[t * 2 * half + f] = cosf(angle) * scale;
        angles[t * 2 * half + half + f] = sinf(angle) * scale;
    }
}

__global__ void rotate(float *x, const float *angles, size_t n, int n_heads, int S, int step,
                       int apart, enum format dtype)
{
    size_t half = static_cast<size_t>(S / 2), i = first_value();
    for (int e = 0; e < EACH && i < n; e++, i += THREADS) {
        size_t head = i / half, pair = i % half;
        const float *row = angles + head / static_cast<size_t>(n_heads) * static_cast<size_t>(S);
        float c = row[pair], s = row[half + pair];
        float *a = x + head * static_cast<size_t>(S) + pair * static_cast<size_t>(step);
        float a0 = a[0], a1 = a[apart];
        a[0] = rounded(a0 * c - a1 * s, dtype);
        a[apart] = rounded(a1 * c + a0 * s, dtype);
    }
}

__global__ void silu_mul_values(float *y, const float *gate, const float *up, size_t n,
                                enum format dtype)
{
    size_t i = first_value();
    for (int e = 0; e < EACH && i < n; e++, i += THREADS)
        y[i] = rounded(gate[i] / (1 + expf(-gate[i])) * up[i], dtype);
}

__global__ void relu2_mul_values(float *y, const float *gate, const float *up, size_t n,
                                 enum format dtype)
{
    size_t i = first_value();
    for (int e = 0; e < EACH && i < n; e++, i += THREADS) {
        float g = gate[i] < 0 ? 0 : gate[i];
        y[i] = rounded(g * g * up[i], dtype);
    }
}

__global__ void add_values(float *y, const float *x, size_t n, enum format dtype)
{
    size_t i = first_value();
    for (int e = 0; e < EACH && i < n; e++, i += THREADS)
        y[i] = rounded(y[i] + x[i], dtype);
}

__global__ void round_values(float *x, size_t n, enum format dtype)
{
    size_t i = first_value();
    for (int e = 0; e < EACH && i < n; e++, i += THREADS)
        x[i] = rounded(x[i], dtype);
}

__global__ void gather_values(float *y, const float *x, const int *rows, size_t n, size_t D)
{
    size_t i = first_value();
    for (int e = 0; e < EACH && i < n; e++, i += THREADS)
        y[i] = x[static_cast<size_t>(rows[i / D]) * D + i % D];
}

} // namespace

void add_rmsnorm(cudaStream_t s, float *y, float *x, const float *more, const float *w, int T,
                 int D, float eps, enum format dtype)
{
    if (T > 0)
        launch(norm_row, dim3(static_cast<unsigned>(T)), dim3(THREADS), 0, s, y, x, more, w, D, eps,
               dtype);
}

void rope_angles(cudaStream_t s, float *angles, const int *positions, const float *inv_freq,
                 float scale, int T, int S)
{
    size_t n = static_cast<size_t>(T) * static_cast<size_t>(S / 2);
    over_values(s, n, angles_of, angles, positions, inv_freq, scale, T, S);
}

void rope(cudaStream_t s, float *x, const float *angles, int T, int n_heads, int S,
          enum rope_kind kind, enum format dtype)
{
    size_t n = static_cast<size_t>(T) * static_cast<size_t>(n_heads) * static_cast<size_t>(S / 2);
    int step = kind == ROPE_PAIRS ? 2 : 1, apart = kind == ROPE_PAIRS ? 1 : S / 2;
    over_values(s, n, rotate, x, angles, n, n_heads, S, step, apart, dtype);
}

void silu_mul(cudaStream_t s, float *y, const float *gate, const float *up, size_t n,
              enum format dtype)
{
    over_values(s, n, silu_mul_values, y, gate, up, n, dtype);
}

void relu2_mul(cudaStream_t s, float *y, const float *gate, const float *up, size_t n,
               enum format dtype)
{
    over_values(s, n, relu2_mul_values, y, gate, up, n, dtype);
}

void add(cudaStream_t s, float *y, const float *x, size_t n, enum format dtype)
{
    over_values(s, n, add_values, y, x, n, dtype);
}

void round_to(cudaStream_t s, float *x, size_t n, enum format dtype)
{
    if (dtype != FORMAT_F32)
        over_values(s, n, round_values, x, n, dtype);
}

void gather(cudaStream_t s, float *y, const float *x, const int *rows, int n, int D)
{
    size_t values = static_cast<size_t>(n) * static_cast<size_t>(D);
    over_values(s, values, gather_values, y, x, rows, values, static_cast<size_t>(D));
}

} // namespace assay
