/* host_cuda_kernels.cu: what test_host_cuda.c runs. */
#include "tests/kernels/host_cuda_kernels.h"

#include "kernels/cuda/device.h"

namespace
{

enum { ROW = 256, PIECES = ROW / 4 };

template <flaw FLAW> __global__ void reverse_rows(float *y, const float *x)
{
    SHARED(float, row, [ROW]);
    int i = static_cast<int>(threadIdx.x);
    x += static_cast<size_t>(blockIdx.x) * ROW;
    y += static_cast<size_t>(blockIdx.x) * ROW;
    if (i < PIECES)
        cp_async_16(&row[4 * i], &x[4 * i]);
    cp_async_commit();
    if (FLAW != FLAW_WAIT)
        cp_async_wait<0>();
    if (FLAW == FLAW_ABSENT && i == 7)
        __syncwarp();
    if (FLAW != FLAW_BARRIER)
        __syncthreads();
    int from = ROW - 1 - i + (FLAW == FLAW_INDEX ? 1 : 0);
    y[i] = row[from < ROW ? from : 0];
}

__global__ void lanes(int *ret, const int *values)
{
    int i = static_cast<int>(threadIdx.x), v = values[i];
    ret[i] = __shfl_xor_sync(ALL_LANES, v, 5);
    ret[64 + i] = __shfl_down_sync(ALL_LANES, v, 3, 8);
    ret[128 + i] = __shfl_up_sync(ALL_LANES, v, 2, 8);
    ret[192 + i] = __shfl_sync(ALL_LANES, v, 11);
    ret[256 + i] = static_cast<int>(__ballot_sync(ALL_LANES, v & 1));
    ret[320 + i] = i % 2 == 0 ? __reduce_add_sync(0x55555555u, v) : 0;
    ret[384 + i] = __syncthreads_count(v & 1);
}

template <class C, void (*mma)(C (&)[4], const uint32_t (&)[4], const uint32_t (&)[2])>
__global__ void multiply(C *c, const uint32_t *a, const uint32_t *b)
{
    size_t lane = threadIdx.x;
    uint32_t x[4], y[2];
    C z[4];
    for (size_t i = 0; i < 4; i++) {
        x[i] = a[lane * 4 + i];
        z[i] = c[lane * 4 + i];
    }
    for (size_t i = 0; i < 2; i++)
        y[i] = b[lane * 2 + i];
    mma(z, x, y);
    for (size_t i = 0; i < 4; i++)
        c[lane * 4 + i] = z[i];
}

template <bool TRANSPOSED> __global__ void load(uint32_t *ret, const uint16_t *rows)
{
    SHARED(uint4, shared, [32]);
    size_t lane = threadIdx.x;
    memcpy(&shared[lane], rows + lane * 8, 16);
    __syncwarp();
    uint32_t got[4];
    if (TRANSPOSED)
        ldmatrix_x4_trans(got, &shared[lane]);
    else
        ldmatrix_x4(got, &shared[lane]);
    for (size_t i = 0; i < 4; i++)
        ret[lane * 4 + i] = got[i];
}

__global__ void raise(int *count)
{
    atomicAdd(count, 1);
}

/* Half of the threads write a turn's value, the others read it: barrier 1 says full, 2 empty. */
__global__ void pass_on(int *ret, int n)
{
    SHARED(int, slot, [32]);
    int i = static_cast<int>(threadIdx.x), sum = 0;
    for (int turn = 0; turn < n; turn++)
        if (i < 32) {
            if (turn > 0)
                barrier_sync(2, 64);
            slot[i] = turn * 32 + i;
            barrier_arrive(1, 64);
        } else {
            barrier_sync(1, 64);
            sum += slot[63 - i];
            if (turn + 1 < n)
                barrier_arrive(2, 64);
        }
    if (i >= 32)
        atomicAdd(ret, sum);
}

template <class... P>
int run(void (*kernel)(P...), int blocks, int threads, typename as_is<P>::type... args)
{
    launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), 0,
           nullptr, args...);
    return cudaStreamSynchronize(nullptr);
}

} // namespace

int run_reverse_rows(float *y, const float *x, int rows, enum flaw flaw)
{
    void (*const kernels[])(float *, const float *) = {
        reverse_rows<FLAW_NONE>, reverse_rows<FLAW_BARRIER>, reverse_rows<FLAW_INDEX>,
        reverse_rows<FLAW_WAIT>, reverse_rows<FLAW_ABSENT>};
    return run(kernels[flaw], rows, ROW, y, x);
}

int run_lanes(int *ret, const int *values)
{
    return run(lanes, 1, 64, ret, values);
}

int run_mma(enum mma_kind kind, void *c, const uint32_t *a, const uint32_t *b)
{
    if (kind == MMA_S8)
        return run(multiply<int, mma_s8>, 1, 32, static_cast<int *>(c), a, b);
    void (*const kernels[])(float *, const uint32_t *, const uint32_t *) = {
        multiply<float, mma_f16>, multiply<float, mma_bf16>, nullptr, multiply<float, mma_e4m3>};
    return run(kernels[kind], 1, 32, static_cast<float *>(c), a, b);
}

int run_ldmatrix(uint32_t *ret, const uint16_t *rows, int transposed)
{
    return run(transposed ? load<true> : load<false>, 1, 32, ret, rows);
}

int run_streams(int *before, int *after)
{
    int count = 0;
    cudaStream_t s;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
    launch(raise, dim3(3), dim3(2), 0, s, &count);
    *before = count;
    cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal);
    launch(raise, dim3(10), dim3(1), 0, s, &count);
    cudaStreamEndCapture(s, &graph);
    cudaGraphInstantiate(&exec, graph, 0);
    cudaGraphDestroy(graph);
    cudaGraphLaunch(exec, s);
    cudaGraphLaunch(exec, s);
    int r = cudaStreamSynchronize(s);
    *after = count;
    cudaGraphExecDestroy(exec);
    cudaStreamDestroy(s);
    return r;
}

int run_named(int *ret, int n)
{
    *ret = 0;
    return run(pass_on, 1, 64, ret, n);
}
