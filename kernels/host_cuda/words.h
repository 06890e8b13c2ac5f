/* words.h: what the .cu files say, for the host's compiler: CUDA's own names where it has one, and
 * the functions of kernels/cuda/device.h. */
#ifndef ASSAY_KERNELS_HOST_CUDA_WORDS_H
#define ASSAY_KERNELS_HOST_CUDA_WORDS_H

#include <cmath>
#include <cstring>

using std::isfinite;
using std::isnan;

#include "kernels/host_cuda/host_cuda.h"

#define __launch_bounds__(...)
#define SHARED(type, name, dims)                                                                   \
    static const char name##_key = 0;                                                              \
    type(&name) dims = *static_cast<type(*) dims>(host_cuda::shared(&name##_key, sizeof(type dims)))
#define DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(host_cuda::dynamic_shared())

/* ---- waiting ---- */

inline void __syncthreads()
{
    host_cuda::meet_block(false);
}

inline int __syncthreads_count(int yes)
{
    return host_cuda::meet_block(yes != 0);
}

inline int __syncthreads_or(int yes)
{
    return __syncthreads_count(yes) > 0;
}

inline int __syncthreads_and(int yes)
{
    return __syncthreads_count(!yes) == 0;
}

inline void barrier_sync(int id, int n)
{
    host_cuda::meet_named(id, n, true);
}

inline void barrier_arrive(int id, int n)
{
    host_cuda::meet_named(id, n, false);
}

inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    host_cuda::meet_warp(mask, nullptr, [](void *const *, unsigned) {});
}

inline void __threadfence()
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- lanes together ---- */

namespace host_cuda
{

template <class T> struct shuffled {
    T value, ret;
    int from; /* a lane; out of the segment: one's own value */
};

template <class T> T shuffle(unsigned mask, T value, int from)
{
    shuffled<T> mine{value, value, from};
    meet_warp(mask, &mine, [](void *const *what, unsigned lanes) {
        for (int i = 0; i < 32; i++)
            if (lanes >> i & 1) {
                shuffled<T> *s = static_cast<shuffled<T> *>(what[i]);
                /* What a lane that does not take part has is undefined: noise. */
                if (lanes >> s->from & 1)
                    s->ret = static_cast<shuffled<T> *>(what[s->from])->value;
                else
                    std::memset(&s->ret, 0xa5, sizeof s->ret);
            }
    });
    return mine.ret;
}

inline int segment(int lane, int width)
{
    return lane / width * width;
}

struct vote {
    bool yes;
    unsigned ret;
};

/* Of the lanes in `mask`, in their order. */
template <class T> T reduce(unsigned mask, T value, T (*join)(T, T))
{
    T ret = value;
    bool first = true;
    for (int i = 0; i < 32; i++) {
        if (!(mask >> i & 1))
            continue;
        T other = shuffle(mask, value, i);
        ret = first ? other : join(ret, other);
        first = false;
    }
    return ret;
}

} // namespace host_cuda

template <class T> T __shfl_sync(unsigned mask, T value, int from, int width = 32)
{
    int lane = static_cast<int>(host_cuda::here->lane);
    return host_cuda::shuffle(mask, value, host_cuda::segment(lane, width) + (from & (width - 1)));
}

template <class T> T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32)
{
    int lane = static_cast<int>(host_cuda::here->lane), from = lane ^ with;
    bool in = host_cuda::segment(from, width) <= host_cuda::segment(lane, width);
    return host_cuda::shuffle(mask, value, in ? from : lane);
}

template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    int lane = static_cast<int>(host_cuda::here->lane), from = lane + static_cast<int>(by);
    bool in = from < host_cuda::segment(lane, width) + width;
    return host_cuda::shuffle(mask, value, in ? from : lane);
}

template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    int lane = static_cast<int>(host_cuda::here->lane), from = lane - static_cast<int>(by);
    bool in = from >= host_cuda::segment(lane, width);
    return host_cuda::shuffle(mask, value, in ? from : lane);
}

inline unsigned __ballot_sync(unsigned mask, int yes)
{
    host_cuda::vote mine{yes != 0, 0};
    host_cuda::meet_warp(mask, &mine, [](void *const *what, unsigned lanes) {
        unsigned ballot = 0;
        for (int i = 0; i < 32; i++)
            if (lanes >> i & 1 && static_cast<host_cuda::vote *>(what[i])->yes)
                ballot |= 1u << i;
        for (int i = 0; i < 32; i++)
            if (lanes >> i & 1)
                static_cast<host_cuda::vote *>(what[i])->ret = ballot;
    });
    return mine.ret;
}

inline int __any_sync(unsigned mask, int yes)
{
    return __ballot_sync(mask, yes) != 0;
}

inline int __all_sync(unsigned mask, int yes)
{
    return __ballot_sync(mask, yes) == mask;
}

template <class T> T __reduce_add_sync(unsigned mask, T value)
{
    return host_cuda::reduce<T>(mask, value, [](T a, T b) { return static_cast<T>(a + b); });
}

template <class T> T __reduce_max_sync(unsigned mask, T value)
{
    return host_cuda::reduce<T>(mask, value, [](T a, T b) { return a > b ? a : b; });
}

/* ---- memory ---- */

template <class T> T __ldg(const T *p)
{
    return *p;
}

inline int atomicAdd(int *p, int x)
{
    return __atomic_fetch_add(p, x, __ATOMIC_SEQ_CST);
}

inline unsigned atomicAdd(unsigned *p, unsigned x)
{
    return __atomic_fetch_add(p, x, __ATOMIC_SEQ_CST);
}

inline int atomicMax(int *p, int x)
{
    int have = __atomic_load_n(p, __ATOMIC_SEQ_CST);
    while (have < x &&
           !__atomic_compare_exchange_n(p, &have, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    return have;
}

inline void cp_async_16(void *to, const void *from, int valid = 16)
{
    host_cuda::copy_async(to, from, 16, static_cast<size_t>(valid));
}

inline void cp_async_commit()
{
    host_cuda::copy_commit();
}

template <int N> void cp_async_wait()
{
    host_cuda::copy_wait(N);
}

/* ---- numbers ---- */

inline float __fmaf_rn(float a, float b, float c)
{
    return std::fmaf(a, b, c);
}

inline int __float_as_int(float x)
{
    int ret;
    std::memcpy(&ret, &x, sizeof ret);
    return ret;
}

inline float __int_as_float(int x)
{
    float ret;
    std::memcpy(&ret, &x, sizeof ret);
    return ret;
}

inline float __uint_as_float(unsigned x)
{
    float ret;
    std::memcpy(&ret, &x, sizeof ret);
    return ret;
}

/* ---- matrices ---- */

namespace host_cuda
{

struct matrices {
    const void *row;
    uint32_t (*ret)[4];
};

template <bool TRANSPOSED> void load_matrices(void *const *what, unsigned)
{
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++) {
            uint16_t pair[2];
            for (int h = 0; h < 2; h++) {
                int row = TRANSPOSED ? lane % 4 * 2 + h : lane / 4;
                int column = TRANSPOSED ? lane / 4 : lane % 4 * 2 + h;
                const void *from = static_cast<const matrices *>(what[8 * i + row])->row;
                std::memcpy(&pair[h], static_cast<const uint16_t *>(from) + column, 2);
            }
            std::memcpy(&(*static_cast<matrices *>(what[lane])->ret)[i], pair, 4);
        }
}

template <class C> struct mma_operands {
    C *c;
    const uint32_t *a, *b;
};

/* Value h of a register. */
inline float half_of(uint32_t reg, int h)
{
    __half_raw raw;
    raw.x = static_cast<unsigned short>(reg >> 16 * h);
    return __half2float(__half(raw));
}

inline float bf16_of(uint32_t reg, int h)
{
    return __uint_as_float(reg >> 16 * h << 16);
}

inline int s8_of(uint32_t reg, int h)
{
    return static_cast<int8_t>(reg >> 8 * h);
}

inline float e4m3_of(uint32_t reg, int h)
{
    __nv_fp8_storage_t byte = static_cast<__nv_fp8_storage_t>(reg >> 8 * h);
    return __half2float(__half(__nv_cvt_fp8_to_halfraw(byte, __NV_E4M3)));
}

/* The whole product of a warp, by the layouts of device.h. PER: values a register. */
template <class C, class V, int PER, V (*value)(uint32_t, int)>
void multiply(void *const *what, unsigned)
{
    constexpr int K = 8 * PER;
    V a[16][K], b[8][K];
    for (int lane = 0; lane < 32; lane++) {
        const auto *o = static_cast<const mma_operands<C> *>(what[lane]);
        int g = lane / 4, t = lane % 4;
        for (int r = 0; r < 4; r++)
            for (int h = 0; h < PER; h++)
                a[g + 8 * (r & 1)][PER * t + h + K / 2 * (r >> 1)] = value(o->a[r], h);
        for (int r = 0; r < 2; r++)
            for (int h = 0; h < PER; h++)
                b[g][PER * t + h + K / 2 * r] = value(o->b[r], h);
    }
    for (int lane = 0; lane < 32; lane++) {
        C *c = static_cast<const mma_operands<C> *>(what[lane])->c;
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < K; k++)
                c[i] += a[lane / 4 + 8 * (i >> 1)][k] * b[lane % 4 * 2 + (i & 1)][k];
    }
}

template <class C, class V, int PER, V (*value)(uint32_t, int)>
void mma(C (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    mma_operands<C> mine{c, a, b};
    meet_warp(0xffffffffu, &mine, multiply<C, V, PER, value>);
}

} // namespace host_cuda

inline void ldmatrix_x4(uint32_t (&ret)[4], const void *row)
{
    host_cuda::need(reinterpret_cast<uintptr_t>(row) % 16 == 0, "ldmatrix: a row at no 16 bytes");
    host_cuda::matrices mine{row, &ret};
    host_cuda::meet_warp(0xffffffffu, &mine, host_cuda::load_matrices<false>);
}

inline void ldmatrix_x4_trans(uint32_t (&ret)[4], const void *row)
{
    host_cuda::need(reinterpret_cast<uintptr_t>(row) % 16 == 0, "ldmatrix: a row at no 16 bytes");
    host_cuda::matrices mine{row, &ret};
    host_cuda::meet_warp(0xffffffffu, &mine, host_cuda::load_matrices<true>);
}

inline void mma_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    host_cuda::mma<float, float, 2, host_cuda::half_of>(c, a, b);
}

inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    host_cuda::mma<float, float, 2, host_cuda::bf16_of>(c, a, b);
}

inline void mma_s8(int (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    host_cuda::mma<int, int, 4, host_cuda::s8_of>(c, a, b);
}

inline void mma_e4m3(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    host_cuda::mma<float, float, 4, host_cuda::e4m3_of>(c, a, b);
}

#endif
