/* emulated512.h: 512-bit words for processors without AVX-512, so that tests/kernels can check the
 * AVX-512 sources everywhere. Included by the compiler's command line before all else; simd.h then
 * takes its words from here. Most are SIMDe's; what its older versions lack stands below, lane by
 * lane. Slow: to be checked, not timed. */
#ifndef ASSAY_TESTS_KERNELS_EMULATED512_H
#define ASSAY_TESTS_KERNELS_EMULATED512_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <simde/x86/avx512.h>
#pragma GCC diagnostic pop
#include <math.h>
#include <string.h>

#define SIMD_EMULATED 1

/* A function of lanes: RESULT emulated_NAME(ARGUMENTS), which fills r[i] for i < N. */
#define EMULATED(RESULT, LANE, N, name, arguments, ...)                                            \
    static inline RESULT emulated_##name arguments                                                 \
    {                                                                                              \
        RESULT ret;                                                                                \
        LANE r[N];                                                                                 \
        for (int i = 0; i < N; i++)                                                                \
            r[i] = __VA_ARGS__;                                                                    \
        memcpy(&ret, r, sizeof ret);                                                               \
        return ret;                                                                                \
    }
#define LANE(type, v, i) (((const type *)(const void *)&(v))[i])

static inline float emulated_half(uint16_t h)
{
    return _cvtsh_ss(h);
}

EMULATED(simde__m512, float, 16, cvtepi32_ps, (simde__m512i a), (float)LANE(int32_t, a, i))
EMULATED(simde__m512i, int32_t, 16, cvtps_epi32, (simde__m512 a),
         (int32_t)lrintf(LANE(float, a, i)))
EMULATED(simde__m512i, int32_t, 16, srai_epi32, (simde__m512i a, int n), LANE(int32_t, a, i) >> n)
EMULATED(simde__m512i, int32_t, 16, cvtepi8_epi32, (__m128i a), LANE(int8_t, a, i))
EMULATED(simde__m512i, int32_t, 16, cvtepu8_epi32, (__m128i a), LANE(uint8_t, a, i))
EMULATED(simde__m512i, int32_t, 16, cvtepu16_epi32, (__m256i a), LANE(uint16_t, a, i))
EMULATED(simde__m512, float, 16, cvtph_ps, (__m256i a), emulated_half(LANE(uint16_t, a, i)))
EMULATED(simde__m512, float, 16, maskz_loadu_ps, (simde__mmask16 m, const float *p),
         m >> i & 1 ? p[i] : 0)

EMULATED(simde__m512d, double, 8, cvtps_pd, (__m256 a), (double)LANE(float, a, i))
EMULATED(__m256, float, 8, extractf32x8_ps, (simde__m512 a, int half), LANE(float, a, 8 * half + i))

static inline void emulated_mask_storeu_ps(float *p, simde__mmask16 m, simde__m512 v)
{
    for (int i = 0; i < 16; i++)
        if (m >> i & 1)
            p[i] = LANE(float, v, i);
}

#undef simde_mm512_cvtepi32_ps
#undef simde_mm512_cvtps_epi32
#undef simde_mm512_srai_epi32
#undef simde_mm512_cvtepi8_epi32
#undef simde_mm512_cvtepu8_epi32
#undef simde_mm512_cvtepu16_epi32
#undef simde_mm512_cvtph_ps
#undef simde_mm512_maskz_loadu_ps
#undef simde_mm512_mask_storeu_ps
#undef simde_mm512_cvtps_pd
#undef simde_mm512_extractf32x8_ps
#define simde_mm512_cvtepi32_ps     emulated_cvtepi32_ps
#define simde_mm512_cvtps_epi32     emulated_cvtps_epi32
#define simde_mm512_srai_epi32      emulated_srai_epi32
#define simde_mm512_cvtepi8_epi32   emulated_cvtepi8_epi32
#define simde_mm512_cvtepu8_epi32   emulated_cvtepu8_epi32
#define simde_mm512_cvtepu16_epi32  emulated_cvtepu16_epi32
#define simde_mm512_cvtph_ps        emulated_cvtph_ps
#define simde_mm512_maskz_loadu_ps  emulated_maskz_loadu_ps
#define simde_mm512_mask_storeu_ps  emulated_mask_storeu_ps
#define simde_mm512_cvtps_pd        emulated_cvtps_pd
#define simde_mm512_extractf32x8_ps emulated_extractf32x8_ps

#endif
