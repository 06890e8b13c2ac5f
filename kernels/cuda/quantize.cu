/* quantize.cu: activations quantized as they come, by the rules of kernels.h. */
#include "kernels/cuda/values.h"

namespace assay
{

namespace
{

enum { THREADS = 128 };

/* The block's maximum, NaN where one is not finite; all threads get it. */
__device__ inline float block_max(float mine)
{
    SHARED(float, most, [THREADS / 32]);
    for (int d = 16; d > 0; d /= 2) {
        float other = __shfl_xor_sync(ALL_LANES, mine, d);
        mine = isnan(other) || other > mine ? other : mine;
    }
    __syncthreads(); /* of an earlier call */
    if (threadIdx.x % 32 == 0)
        most[threadIdx.x / 32] = mine;
    __syncthreads();
    for (int i = 0; i < THREADS / 32; i++)
        mine = isnan(most[i]) || most[i] > mine ? most[i] : mine;
    return mine;
}

/* |x|'s maximum over columns first .. end-1 of a row. */
__device__ inline float greatest(const float *x, int first, int end)
{
    float most = 0;
    for (int c = first + static_cast<int>(threadIdx.x); c < end; c += THREADS) {
        float a = fabsf(x[c]);
        most = !isfinite(a) || isnan(most) ? NAN : fmaxf(most, a);
    }
    return block_max(most);
}

__device__ inline float e4m3(float x)
{
    return fp8_value(__nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3));
}

/* E2M1, ties to the even code; beyond 6 is 6. */
__device__ inline float e2m1(float x)
{
    float a = fabsf(x);
    float q = a <= 0.25f   ? 0
              : a < 0.75f  ? 0.5f
              : a <= 1.25f ? 1
              : a < 1.75f  ? 1.5f
              : a <= 2.5f  ? 2
              : a < 3.5f   ? 3
              : a <= 5.0f  ? 4
                           : 6;
    return x < 0 ? -q : q;
}

__device__ inline float code_of(enum activation kind, float q)
{
    return kind == X_INT8 ? fminf(fmaxf(rintf(q), -128), 127) : kind == X_FP8 ? e4m3(q) : e2m1(q);
}

__device__ inline float scale_for(const matrix &w, float most)
{
    if (w.x == X_FP4) {
        float s = e4m3(most / 6 / w.x_scale);
        return (s > 0 ? s : 0x1p-3f) * w.x_scale;
    }
    float s = w.x_scale > 0 ? w.x_scale : most / w.x_reach;
    return s > 0 ? s : 0x1p-23f;
}

__global__ void float_row(float *y, const float *x, matrix w)
{
    int K = w.cols, group = w.x_group > 0 ? w.x_group : K;
    size_t at = static_cast<size_t>(blockIdx.x) * static_cast<size_t>(K);
    bool finite = !isnan(greatest(x + at, 0, K));
    for (int first = 0; first < K; first += group) {
        int end = first + group < K ? first + group : K;
        float scale = scale_for(w, greatest(x + at, first, end));
        for (int c = first + static_cast<int>(threadIdx.x); c < end; c += THREADS)
            y[at + c] = finite ? scale * code_of(w.x, x[at + c] / scale) : NAN;
    }
}

/* Columns in the order of the weight's codes. */
__global__ void int8_row_of(int8_rows ret, const float *x, matrix w)
{
    int K = w.cols, wide = int8_row(K), thread = static_cast<int>(threadIdx.x);
    size_t t = blockIdx.x;
    x += t * static_cast<size_t>(K);
    ret.codes += t * static_cast<size_t>(wide);
    ret.sums += t * static_cast<size_t>(wide / 32);
    float most = greatest(x, 0, K), scale = isnan(most) ? most : scale_for(w, most);
    if (thread == 0)
        ret.scales[t] = scale;
    for (int c = thread; c < wide; c += THREADS) {
        int q = 0;
        if (c < K && !isnan(scale))
            q = static_cast<int>(code_of(X_INT8, x[w.perm ? w.perm[c] : c] / scale));
        ret.codes[c] = static_cast<int8_t>(q);
    }
    __syncthreads();
    for (int run = thread; run < wide / 32; run += THREADS) {
        int sum = 0;
        for (int i = 0; i < 32; i++)
            sum += ret.codes[32 * run + i];
        ret.sums[run] = sum;
    }
}

} // namespace

void quantized_floats(cudaStream_t s, float *y, const float *x, const matrix &w, int T)
{
    launch(float_row, dim3(static_cast<unsigned>(T)), dim3(THREADS), 0, s, y, x, w);
}

void quantize_int8(cudaStream_t s, const int8_rows &ret, const float *x, const matrix &w, int T)
{
    launch(int8_row_of, dim3(static_cast<unsigned>(T)), dim3(THREADS), 0, s, ret, x, w);
}

} // namespace assay
