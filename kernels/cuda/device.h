/* device.h: the device words that the .cu files use.
 *
 * Under nvcc they are CUDA and a little PTX; under the host's compiler kernels/host_cuda/ has them.
 * Kernels are plain CUDA, but for three things: they are launched by launch(), shared memory is
 * declared by SHARED and DYNAMIC_SHARED, and whatever PTX alone can say is a function here.
 *
 * Fragments of mma, as the PTX manual numbers them: lane = 4 g + t. A is 16 rows of k, B 8 columns
 * of k, C 16 x 8 (float or int32):
 *     16-bit values, k of 16   A: reg r, half h: row g + 8 (r & 1), k 2 t + h + 8 (r >> 1)
 *                              B: reg r, half h: column g,          k 2 t + h + 8 r
 *     8-bit values, k of 32    A: reg r, byte h: row g + 8 (r & 1), k 4 t + h + 16 (r >> 1)
 *                              B: reg r, byte h: column g,          k 4 t + h + 16 r
 *     C: value i: row g + 8 (i >> 1), column 2 t + (i & 1) */
#ifndef ASSAY_KERNELS_CUDA_DEVICE_H
#define ASSAY_KERNELS_CUDA_DEVICE_H

#include <cstddef>
#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

enum : unsigned { ALL_LANES = 0xffffffffu };

/* The type as it is: keeps a parameter out of deduction. */
template <class T> struct as_is {
    using type = T;
};

#ifdef __CUDACC__

#include <cuda_runtime.h>

#define SHARED(type, name, dims) __shared__ type name dims
#define DYNAMIC_SHARED(type, name)                                                                 \
    extern __shared__ __align__(128) unsigned char dynamic_shared_[];                              \
    type *name = reinterpret_cast<type *>(dynamic_shared_)

template <class... P>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            typename as_is<P>::type... args)
{
    if (shared_bytes > 48 << 10)
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared_bytes));
    kernel<<<grid, block, shared_bytes, stream>>>(args...);
}

__device__ inline unsigned shared_address(const void *p)
{
    return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

/* 16 bytes from global to shared memory, of which the first `valid` are read; the rest are 0. */
__device__ inline void cp_async_16(void *to, const void *from, int valid = 16)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(valid)
                 : "memory");
}

__device__ inline void cp_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until at most N of this thread's groups are under way. */
template <int N> __device__ inline void cp_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* Four 8 x 8 matrices of 16 bits; lane 8 i + r gives the address of row r of matrix i. Register i
 * gets of matrix i, row lane / 4, the values 2 (lane % 4) and the next; transposed: the column's.
 */
__device__ inline void ldmatrix_x4(uint32_t (&ret)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(ret[0]), "=r"(ret[1]), "=r"(ret[2]), "=r"(ret[3])
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ inline void ldmatrix_x4_trans(uint32_t (&ret)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(ret[0]), "=r"(ret[1]), "=r"(ret[2]), "=r"(ret[3])
                 : "r"(shared_address(row))
                 : "memory");
}

#define ASSAY_MMA(name, shape, C, constraint)                                                      \
    __device__ inline void name(C(&c)[4], const uint32_t(&a)[4], const uint32_t(&b)[2])            \
    {                                                                                              \
        asm volatile("mma.sync.aligned." shape " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "   \
                     "{%0, %1, %2, %3};"                                                           \
                     : "+" constraint(c[0]), "+" constraint(c[1]), "+" constraint(c[2]),           \
                       "+" constraint(c[3])                                                        \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));          \
    }
/* c += a b. */
ASSAY_MMA(mma_f16, "m16n8k16.row.col.f32.f16.f16.f32", float, "f")
ASSAY_MMA(mma_bf16, "m16n8k16.row.col.f32.bf16.bf16.f32", float, "f")
ASSAY_MMA(mma_s8, "m16n8k32.row.col.s32.s8.s8.s32", int, "r")
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 890
ASSAY_MMA(mma_e4m3, "m16n8k32.row.col.f32.e4m3.e4m3.f32", float, "f")
#endif
#undef ASSAY_MMA

/* Barrier `id` (1 .. 15) of n threads, a multiple of 32. */
__device__ inline void barrier_sync(int id, int n)
{
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(n) : "memory");
}

__device__ inline void barrier_arrive(int id, int n)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(n) : "memory");
}

#else

#include "kernels/host_cuda/words.h"

template <class... P>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            typename as_is<P>::type... args)
{
    host_cuda::launch(grid, block, shared_bytes, stream, [=] { kernel(args...); });
}

#endif
#endif
