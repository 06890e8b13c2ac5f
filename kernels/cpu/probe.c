/* probe.c: each peak is the best of many short runs, since others use the cores too. Arithmetic is
 * twelve independent chains of one instruction: enough to hide its latency, few enough for the
 * registers. */
#include "kernels/probe.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"

/* Each thread gets the same number of parts: a remainder would let most of them wait. */
enum { PARTS_A_THREAD = 8, LOOPS = 5000, CHAINS = 12, RUNS = 2000, READ_BYTES = 256 << 20 };

#ifdef __x86_64__

#define EACH_CHAIN(INSTRUCTION)                                                                    \
    INSTRUCTION(0)                                                                                 \
    INSTRUCTION(1)                                                                                 \
    INSTRUCTION(2)                                                                                 \
    INSTRUCTION(3)                                                                                 \
    INSTRUCTION(4)                                                                                 \
    INSTRUCTION(5)                                                                                 \
    INSTRUCTION(6)                                                                                 \
    INSTRUCTION(7)                                                                                 \
    INSTRUCTION(8)                                                                                 \
    INSTRUCTION(9)                                                                                 \
    INSTRUCTION(10)                                                                                \
    INSTRUCTION(11)

/* Registers 12 and 13 are zero, and so stay the chains': no slow numbers, and nothing to read. */
#define PROBE(NAME, INSTRUCTION)                                                                   \
    static void NAME(void *arg, size_t part, int thread)                                           \
    {                                                                                              \
        (void)arg;                                                                                 \
        (void)part;                                                                                \
        (void)thread;                                                                              \
        uint64_t n = LOOPS;                                                                        \
        __asm__ volatile(                                                                          \
            EACH_CHAIN(                                                                            \
                CLEAR) "vpxor %%xmm12, %%xmm12, %%xmm12\n vpxor %%xmm13, %%xmm13, %%xmm13\n"       \
                       "1:\n" EACH_CHAIN(INSTRUCTION) "dec %0\n jnz 1b\n vzeroupper"               \
            : "+r"(n)                                                                              \
            :                                                                                      \
            : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",        \
              "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14");                                \
    }

#define CLEAR(I)    "vpxor %%xmm" #I ", %%xmm" #I ", %%xmm" #I "\n"
#define FMA_YMM(I)  "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #I "\n"
#define FMA_ZMM(I)  "vfmadd231ps %%zmm12, %%zmm13, %%zmm" #I "\n"
#define BF16_ZMM(I) "vdpbf16ps %%zmm12, %%zmm13, %%zmm" #I "\n"
#define INT8_ZMM(I) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #I "\n"
#define INT8_YMM(I)                                                                                \
    "vpmaddwd %%ymm12, %%ymm13, %%ymm14\n vpaddd %%ymm14, %%ymm" #I ", %%ymm" #I "\n"

PROBE(fma_ymm, FMA_YMM)
PROBE(fma_zmm, FMA_ZMM)
PROBE(bf16_zmm, BF16_ZMM)
PROBE(int8_zmm, INT8_ZMM)
PROBE(int8_ymm, INT8_YMM)

#endif

/* Operations a second of a loop whose instructions do `ops` each. */
static double arithmetic(struct pool *pool, clockid_t clock,
                         void (*f)(void *arg, size_t part, int thread), double ops)
{
    size_t parts = PARTS_A_THREAD * (size_t)pool_size(pool);
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        double start = clock_seconds(clock);
        pool_run(pool, parts, f, NULL);
        double rate = ops * CHAINS * LOOPS * (double)parts / (clock_seconds(clock) - start);
        best = rate > best ? rate : best;
    }
    return best;
}

struct memory {
    const uint64_t *p;
    size_t n; /* numbers of a part, a multiple of 16 */
};

static void read_part(void *arg, size_t part, int thread)
{
    (void)thread;
    const struct memory *m = arg;
    const uint64_t *p = m->p + part * m->n;
    uint64_t sum[16] = {0};
    for (size_t i = 0; i < m->n; i += 16)
        for (size_t j = 0; j < 16; j++)
            sum[j] ^= p[i + j];
    for (size_t j = 0; j < 16; j++)
        __asm__ volatile("" : : "r"(sum[j]));
}

static double reading(struct pool *pool, clockid_t clock)
{
    char *p = aligned_alloc(2 << 20, READ_BYTES);
    if (!p)
        return 0;
#ifdef MADV_HUGEPAGE
    madvise(p, READ_BYTES, MADV_HUGEPAGE);
#endif
    memset(p, 1, READ_BYTES);
    size_t parts = PARTS_A_THREAD * (size_t)pool_size(pool);
    struct memory m = {(const uint64_t *)(void *)p, READ_BYTES / parts / 128 * 16};
    double best = 0, bytes = (double)(parts * m.n * sizeof *m.p);
    for (int i = 0; i < 12; i++) {
        double start = clock_seconds(clock);
        pool_run(pool, parts, read_part, &m);
        double rate = bytes / (clock_seconds(clock) - start);
        best = rate > best ? rate : best;
    }
    free(p);
    return best;
}

struct peaks probe_peaks(struct pool *pool, clockid_t clock)
{
    struct peaks ret = {.bytes = reading(pool, clock)};
#ifdef __x86_64__
    bool wide = __builtin_cpu_supports("avx512f");
    if (wide)
        ret.f32 = arithmetic(pool, clock, fma_zmm, 32);
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        ret.f32 = arithmetic(pool, clock, fma_ymm, 16);
    if (__builtin_cpu_supports("avx512bf16"))
        ret.bf16 = arithmetic(pool, clock, bf16_zmm, 64);
    if (__builtin_cpu_supports("avx512vnni"))
        ret.int8 = arithmetic(pool, clock, int8_zmm, 128);
    else if (__builtin_cpu_supports("avx2"))
        ret.int8 = arithmetic(pool, clock, int8_ymm, 32);
#endif
    return ret;
}
