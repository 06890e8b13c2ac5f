/* block.h: one block of a launch, run to its end. Private to kernels/host_cuda/. */
#ifndef ASSAY_KERNELS_HOST_CUDA_BLOCK_H
#define ASSAY_KERNELS_HOST_CUDA_BLOCK_H

#include "kernels/host_cuda/host_cuda.h"

#include <string>

namespace host_cuda
{

struct block_job {
    uint3 index;
    dim3 block_size, grid_size;
    size_t shared_bytes;
    uint64_t seed;
    const std::function<void()> *thread;
};

/* "" or what went wrong. */
std::string block_run(const block_job &job);

/* A stream of random numbers (SplitMix64). */
struct draws {
    uint64_t state;
    uint64_t next();
    size_t below(size_t n); /* n > 0 */
    void noise(void *p, size_t bytes);
};

} // namespace host_cuda

#endif
