/* logprobs.cu: what is asked of rows of logits: log-sum-exp, argmax, a token's logit, the k best.
 *
 * A block a row; every thread takes its tokens upward, then lanes and warps join in a fixed tree.
 * Exponentials are float, their sum is double. The rows are few at a time (table.cu), so that the
 * logits stay in the L2 cache between being made and being read. */
#include "kernels/cuda/cuda.h"

namespace assay
{

namespace
{

enum { THREADS = 256 };

/* In the order of kernels.h: the greater logit first, of equal ones the lower token; none: -1. */
__device__ inline bool before(const top_logit &a, const top_logit &b)
{
    if (a.token < 0 || b.token < 0)
        return b.token < 0 && a.token >= 0;
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

/* The first of the block's; all threads get it. */
__device__ inline top_logit first_of_block(top_logit mine)
{
    SHARED(top_logit, firsts, [THREADS / 32]);
    for (int d = 16; d > 0; d /= 2) {
        top_logit other;
        other.logit = __shfl_xor_sync(ALL_LANES, mine.logit, d);
        other.token = __shfl_xor_sync(ALL_LANES, mine.token, d);
        if (before(other, mine))
            mine = other;
    }
    __syncthreads(); /* of an earlier call */
    if (threadIdx.x % 32 == 0)
        firsts[threadIdx.x / 32] = mine;
    __syncthreads();
    for (int i = 0; i < THREADS / 32; i++)
        if (before(firsts[i], mine))
            mine = firsts[i];
    return mine;
}

/* The first behind `last` (token -1: of all). */
__device__ inline top_logit next_best(const float *row, int vocab, const top_logit &last)
{
    top_logit best = {0, -1};
    for (int v = static_cast<int>(threadIdx.x); v < vocab; v += THREADS) {
        top_logit one = {row[v], v};
        bool counts = !isnan(one.logit) && (last.token < 0 || before(last, one));
        if (counts && before(one, best))
            best = one;
    }
    return first_of_block(best);
}

__global__ void answer_row(row_answer *ret, const float *logits, int vocab)
{
    SHARED(double, sums, [THREADS / 32]);
    const float *row = logits + static_cast<size_t>(blockIdx.x) * static_cast<size_t>(vocab);
    top_logit best = next_best(row, vocab, {0, -1});
    if (best.token < 0 || best.logit == -INFINITY)
        best = {-INFINITY, 0};
    double sum = 0;
    for (int v = static_cast<int>(threadIdx.x); v < vocab; v += THREADS)
        if (row[v] != -INFINITY)
            sum += v == best.token ? 1.0f : expf(row[v] - best.logit);
    for (int d = 16; d > 0; d /= 2)
        sum += __shfl_xor_sync(ALL_LANES, sum, d);
    if (threadIdx.x % 32 == 0)
        sums[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x > 0)
        return;
    sum = 0;
    for (int i = 0; i < THREADS / 32; i++)
        sum += sums[i];
    ret[blockIdx.x] = {best.logit + log(sum), best.logit, best.token};
}

__global__ void pick_logits(float *ret, const float *logits, size_t vocab, const int *rows,
                            const int *targets, int n)
{
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n && targets[i] >= 0)
        ret[i] = logits[static_cast<size_t>(rows[i]) * vocab + static_cast<size_t>(targets[i])];
}

__global__ void best_of_row(top_logit *top, int k, const float *logits, int vocab)
{
    const float *row = logits + static_cast<size_t>(blockIdx.x) * static_cast<size_t>(vocab);
    top_logit last = {0, -1};
    for (int i = 0; i < k; i++) {
        top_logit next = i > 0 && last.token < 0 ? last : next_best(row, vocab, last);
        if (threadIdx.x == 0)
            top[static_cast<size_t>(blockIdx.x) * static_cast<size_t>(k) + static_cast<size_t>(i)] =
                next;
        last = next;
    }
}

} // namespace

void answer_rows(cudaStream_t s, row_answer *ret, const float *logits, int vocab, int T)
{
    launch(answer_row, dim3(static_cast<unsigned>(T)), dim3(THREADS), 0, s, ret, logits, vocab);
}

void wanted_logits(cudaStream_t s, float *ret, const float *logits, int vocab, const int *rows,
                   const int *targets, int n)
{
    if (n > 0)
        launch(pick_logits, dim3(blocks_of(static_cast<size_t>(n), THREADS)), dim3(THREADS), 0, s,
               ret, logits, static_cast<size_t>(vocab), rows, targets, n);
}

void top_logits(cudaStream_t s, top_logit *top, int k, const float *logits, int vocab, int T)
{
    if (k > 0)
        launch(best_of_row, dim3(static_cast<unsigned>(T)), dim3(THREADS), 0, s, top, k, logits,
               vocab);
}

} // namespace assay
