/* host_cuda.h: CUDA's device words on the host's processor, so that kernels run without a GPU.
 *
 * The .cu files include kernels/cuda/device.h, which takes these words where the host's compiler
 * reads it. A block runs in one thread of the system; each of its CUDA threads is a fiber. Fibers
 * change places only where CUDA's threads wait for each other, and which goes on then is drawn from
 * a seed; so is the order of blocks. What a kernel forgot to wait for is therefore missing in some
 * draw, and a test that runs several seeds sees it:
 *
 *   barriers    a thread that comes to none while others wait ends the launch as failed, with a
 *               sentence (host_cuda_fault)
 *   shared      lies on the heap, one piece a variable, so that AddressSanitizer knows its ends;
 *               begins as noise
 *   cp.async    copies when its group is waited for, not before; until then the target is noise
 *   streams     run their work when somebody waits for them, not before
 *   memory      cudaMalloc gives noise; a limit can be set, and a launch that fails
 *
 * Numbers: the same operations in the same order as written; what the hardware leaves open (the
 * order of sums inside mma) is done in ascending order of k with float sums, so bits differ from a
 * GPU's, and bounds do not. */
#ifndef ASSAY_KERNELS_HOST_CUDA_HOST_CUDA_H
#define ASSAY_KERNELS_HOST_CUDA_HOST_CUDA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of all later launches: the seed of their orders. */
void host_cuda_seed(uint64_t seed);
/* Device memory that cudaMalloc may give out in all; SIZE_MAX: no limit. */
void host_cuda_memory(size_t bytes);
/* The n-th launch from now fails as a lost device does, and everything after it; -1: none. */
void host_cuda_lose(int launches);
/* What the last failed launch did wrong; "" where none failed. */
const char *host_cuda_fault(void);
/* Forgets faults and losses, as cudaDeviceReset would. */
void host_cuda_reset(void);

#ifdef __cplusplus
}

#include <cuda_runtime_api.h>

#include <functional>
#include <type_traits>

#undef __shared__ /* device.h's SHARED instead: what lies on a fiber's stack is not shared */

namespace host_cuda
{

/* Of the thread that runs. */
struct place {
    uint3 thread, block;
    dim3 block_size, grid_size;
    unsigned lane, warp;
};
extern thread_local const place *here;

/* Waits until all of a warp's lanes in `mask` have come. The last one runs act(what, mask), what[i]
 * being lane i's operand: so everything that lanes do together is one function over their operands.
 */
void meet_warp(unsigned mask, void *what, void (*act)(void *const *what, unsigned mask));
/* The block's threads that have not returned; n: how many said yes, for all of them. */
int meet_block(bool yes);
/* Barrier `id` of n threads; `wait` false: arrives only. */
void meet_named(int id, int n, bool wait);

/* The piece of shared memory that `key` names, for all threads of the block. */
void *shared(const void *key, size_t bytes);
/* The launch's dynamic part. */
void *dynamic_shared();

/* Ends the launch as failed unless it `holds`; `what` is the fault. */
void need(bool holds, const char *what);

void copy_async(void *to, const void *from, size_t bytes, size_t valid);
void copy_commit();
void copy_wait(int groups_left);

/* Puts a launch into the stream; `thread` is what each thread runs. */
void launch(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            std::function<void()> thread);

} // namespace host_cuda

#define threadIdx (host_cuda::here->thread)
#define blockIdx  (host_cuda::here->block)
#define blockDim  (host_cuda::here->block_size)
#define gridDim   (host_cuda::here->grid_size)

#endif
#endif
