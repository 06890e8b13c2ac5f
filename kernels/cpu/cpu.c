#include "kernels/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "base/arena.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/pack.h"

#ifdef __x86_64__

struct cpuid {
    unsigned a, b, c, d;
};

static struct cpuid cpuid(unsigned leaf)
{
    struct cpuid r = {0};
    __get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d);
    return r;
}

/* Which registers the system saves when it switches threads: bits of XCR0. */
static unsigned saved_registers(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

unsigned cpu_features(void)
{
    enum { /* leaf 1, register c */
           FMA = 1 << 12,
           MOVBE = 1 << 22,
           OSXSAVE = 1 << 27,
           AVX = 1 << 28,
           F16C = 1 << 29,
           /* leaf 7, register b */
           BMI1 = 1 << 3,
           AVX2 = 1 << 5,
           BMI2 = 1 << 8,
           AVX512 = 1 << 16 | 1 << 17 | 1 << 28 | 1 << 30, /* F, DQ, CD, BW; and VL, bit 31 */
           /* leaf 0x80000001, register c */
           LZCNT = 1 << 5,
           /* XCR0 */
           YMM = 1 << 1 | 1 << 2,
           ZMM = YMM | 7 << 5
    };
    struct cpuid one = cpuid(1), seven = cpuid(7), extended = cpuid(0x80000001);
    const unsigned v3 = FMA | MOVBE | OSXSAVE | AVX | F16C, v3_more = BMI1 | AVX2 | BMI2;
    const unsigned v4 = (unsigned)AVX512 | 1u << 31;
    unsigned ret = 0;
    if ((one.c & v3) != v3 || (seven.b & v3_more) != v3_more || !(extended.c & LZCNT))
        return ret;
    unsigned saved = saved_registers();
    if ((saved & YMM) == YMM)
        ret |= CPU_AVX2;
    if (ret && (saved & ZMM) == ZMM && (seven.b & v4) == v4)
        ret |= CPU_AVX512;
    return ret;
}

#else

unsigned cpu_features(void)
{
    return 0;
}

#endif

enum { LARGE = 1 << 20 }; /* bytes from which huge pages pay */

static void *buffer_new(struct device *dev, size_t bytes)
{
    (void)dev;
    if (bytes > SIZE_MAX - 64)
        return NULL;
    if (bytes >= LARGE)
        return huge_new(bytes);
    return aligned_alloc(64, (bytes + 64) / 64 * 64); /* at least one line: NULL means failure */
}

static void buffer_free(struct device *dev, void *p)
{
    (void)dev;
    free(p);
}

static void copy(struct device *dev, void *dst, const void *src, size_t bytes)
{
    (void)dev;
    if (bytes > 0)
        memcpy(dst, src, bytes);
}

static void grow(void **p, size_t *have, size_t bytes)
{
    if (bytes <= *have)
        return;
    free(*p);
    *p = buffer_new(NULL, bytes);
    if (!*p)
        *p = mem_alloc(bytes, 1); /* ends the program with its sentence */
    *have = bytes;
}

char *device_scratch(struct device *dev, size_t bytes, size_t *stride)
{
    size_t n = (size_t)pool_size(dev->pool);
    *stride = (bytes + 63) / 64 * 64;
    grow(&dev->scratch, &dev->scratch_bytes, *stride * n);
    return dev->scratch;
}

void *device_shared(struct device *dev, size_t bytes)
{
    grow(&dev->shared, &dev->shared_bytes, bytes);
    return dev->shared;
}

static int weight_pack(struct device *dev, struct weight *w, struct error *err)
{
    int r = weight_check(w, err);
    return r < 0 ? r : panels_pack(dev, w, err);
}

static size_t packed_bytes(struct device *dev, const struct weight *w)
{
    int W = dev->panel;
    if (W == 0)
        return 0;
    size_t n = (size_t)((w->rows + W - 1) / W);
    return n * panel_shape_of(w, W).bytes;
}

static void weight_free(struct device *dev, struct weight *w)
{
    memory_give(dev, w->packed);
    w->packed = NULL;
}

static void close_device(struct device *dev)
{
    if (!dev)
        return;
    free(dev->scratch);
    free(dev->shared);
    memory_close(dev);
    free(dev);
}

struct kernels kernels_cpu(unsigned features, struct pool *pool)
{
    struct kernels k = {
        .buffer_new = buffer_new,
        .buffer_free = buffer_free,
        .to_device = copy,
        .to_host = copy,
        .weight_pack = weight_pack,
        .weight_free = weight_free,
        .packed_bytes = packed_bytes,
        .close = close_device,
    };
    k.dev = mem_alloc(1, sizeof *k.dev);
    k.dev->pool = pool;
    kernels_ref(&k);
    features &= cpu_features();
#ifdef ASSAY_CPU_AVX2
    if (features & CPU_AVX2)
        avx2_kernels(&k);
#endif
#ifdef ASSAY_CPU_AVX512
    if (features & CPU_AVX512)
        avx512_kernels(&k);
#endif
    return k;
}
