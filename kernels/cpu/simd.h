/* simd.h: the words in which a kernel is written once and compiled for several CPU levels.
 *
 * A file that includes this is built once a level, with -DSIMD_LEVEL=avx2 (8 floats a vector;
 * x86-64-v3) or avx512 (16 floats; x86-64-v4). Functions that other files call are named by
 * LEVEL(name), which gives avx2_name or avx512_name; all else is static, because nothing compiled
 * with a level's flags may be linked into code that runs on a lesser machine.
 *
 * With -DSIMD_EMULATED the 512-bit words are functions that run on any processor (of SIMDe and of
 * tests/kernels/emulated512.h, which is included first): that is how tests/kernels checks the
 * AVX-512 sources where there is no AVX-512.
 *
 * A kernel of a fixed order of additions gives the same bits at both levels as long as a sum's
 * order does not follow VL: sums over k that run down a column do (linear.c); sums across lanes
 * (vsum and the like) do not. */
#ifndef ASSAY_KERNELS_CPU_SIMD_H
#define ASSAY_KERNELS_CPU_SIMD_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SIMD_PASTE2(a, b) a##_##b
#define SIMD_PASTE(a, b)  SIMD_PASTE2(a, b)
#define LEVEL(name)       SIMD_PASTE(SIMD_LEVEL, name)

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* MM(op) is the level's own intrinsic, for what has one name at both: MM(mul_ps)(a, b). */
#if SIMD_BITS == 512
#ifdef SIMD_EMULATED
#define MM(op) simde_mm512_##op
typedef simde__m512 vf;
typedef simde__m512i vi;
typedef simde__m512d vd;
typedef simde__mmask16 vmask;
#else
#define MM(op) _mm512_##op
typedef __m512 vf;
typedef __m512i vi;
typedef __m512d vd;
typedef __mmask16 vmask;
#endif
enum { VL = 16 };
#define SHIFT(bits) ((unsigned)(bits))
#else
#define MM(op)      _mm256_##op
typedef __m256 vf;     /* VL floats */
typedef __m256i vi;    /* VL int32 */
typedef __m256d vd;    /* VL / 2 doubles */
typedef __m256i vmask; /* which of VL lanes */
enum { VL = 8 };
#define SHIFT(bits) (bits)
#endif

/* ---- Memory; no address needs alignment ---- */

INLINE vf vset(float x)
{
    return MM(set1_ps)(x);
}

INLINE vf vzero(void)
{
    return MM(setzero_ps)();
}

INLINE vf vload(const float *p)
{
    return MM(loadu_ps)(p);
}

INLINE void vstore(float *p, vf v)
{
    MM(storeu_ps)(p, v);
}

/* The first n (0 .. VL) lanes; more count as VL. */
INLINE vmask first_lanes(size_t n)
{
#if SIMD_BITS == 512
    return (vmask)(n >= VL ? 0xffff : (1u << n) - 1);
#else
    static const int32_t window[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(const void *)(window + 8 - (n < VL ? n : VL)));
#endif
}

/* The lanes of the mask, zero elsewhere; memory behind the others is not touched. */
INLINE vf vload_mask(const float *p, vmask m)
{
#if SIMD_BITS == 512
    return MM(maskz_loadu_ps)(m, p);
#else
    return MM(maskload_ps)(p, m);
#endif
}

INLINE void vstore_mask(float *p, vmask m, vf v)
{
#if SIMD_BITS == 512
    MM(mask_storeu_ps)(p, m, v);
#else
    MM(maskstore_ps)(p, m, v);
#endif
}

INLINE vi vload_i(const void *p)
{
#if SIMD_BITS == 512
    return MM(loadu_si512)(p);
#else
    return MM(loadu_si256)((const __m256i *)p);
#endif
}

/* ---- Arithmetic ---- */

INLINE vf vadd(vf a, vf b)
{
    return MM(add_ps)(a, b);
}

INLINE vf vsub(vf a, vf b)
{
    return MM(sub_ps)(a, b);
}

INLINE vf vmul(vf a, vf b)
{
    return MM(mul_ps)(a, b);
}

/* a * b + c, rounded once */
INLINE vf vfma(vf a, vf b, vf c)
{
    return MM(fmadd_ps)(a, b, c);
}

/* c - a * b, rounded once */
INLINE vf vfnma(vf a, vf b, vf c)
{
    return MM(fnmadd_ps)(a, b, c);
}

/* Where either is NaN: b. */
INLINE vf vmax(vf a, vf b)
{
    return MM(max_ps)(a, b);
}

INLINE vf vmin(vf a, vf b)
{
    return MM(min_ps)(a, b);
}

/* To the nearest whole number, ties to even. */
INLINE vf vround(vf a)
{
#if SIMD_BITS == 512
    return MM(roundscale_ps)(a, 8);
#else
    return MM(round_ps)(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#endif
}

/* ---- Integers of 32 bits ---- */

INLINE vi vset_i(int32_t x)
{
    return MM(set1_epi32)(x);
}

INLINE vi vand_i(vi a, vi b)
{
#if SIMD_BITS == 512
    return MM(and_si512)(a, b);
#else
    return MM(and_si256)(a, b);
#endif
}

INLINE vi vshift_left(vi a, const int bits)
{
    return MM(slli_epi32)(a, SHIFT(bits));
}

INLINE vi vshift_right(vi a, const int bits) /* filled with zeros */
{
    return MM(srli_epi32)(a, SHIFT(bits));
}

INLINE vi vor_i(vi a, vi b)
{
#if SIMD_BITS == 512
    return MM(or_si512)(a, b);
#else
    return MM(or_si256)(a, b);
#endif
}

INLINE vi vshift_right_by(vi a, int bits) /* known only at run time */
{
    return MM(srl_epi32)(a, _mm_cvtsi32_si128(bits));
}

INLINE vf vfloat(vi a) /* the value */
{
    return MM(cvtepi32_ps)(a);
}

INLINE vf vf_of_bits(vi a)
{
#if SIMD_BITS == 512
    return MM(castsi512_ps)(a);
#else
    return MM(castsi256_ps)(a);
#endif
}

INLINE vi vbits(vf a)
{
#if SIMD_BITS == 512
    return MM(castps_si512)(a);
#else
    return MM(castps_si256)(a);
#endif
}

/* VL values of 16 or 8 bits, widened. */
INLINE vi vload_u16(const void *p)
{
#if SIMD_BITS == 512
    return MM(cvtepu16_epi32)(_mm256_loadu_si256((const __m256i *)p));
#else
    return MM(cvtepu16_epi32)(_mm_loadu_si128((const __m128i *)p));
#endif
}

INLINE vi vload_i8(const void *p)
{
#if SIMD_BITS == 512
    return MM(cvtepi8_epi32)(_mm_loadu_si128((const __m128i *)p));
#else
    return MM(cvtepi8_epi32)(_mm_loadl_epi64((const __m128i *)p));
#endif
}

INLINE vi vload_u8(const void *p)
{
#if SIMD_BITS == 512
    return MM(cvtepu8_epi32)(_mm_loadu_si128((const __m128i *)p));
#else
    return MM(cvtepu8_epi32)(_mm_loadl_epi64((const __m128i *)p));
#endif
}

/* Exact; a NaN becomes quiet. */
INLINE vf vload_f16(const void *p)
{
#if SIMD_BITS == 512
    return MM(cvtph_ps)(_mm256_loadu_si256((const __m256i *)p));
#else
    return MM(cvtph_ps)(_mm_loadu_si128((const __m128i *)p));
#endif
}

INLINE vf vload_bf16(const void *p)
{
    return vf_of_bits(vshift_left(vload_u16(p), 16));
}

/* VL values of E4M3, times 2^-8: as half precisions that is what their bits say. Exact; the codes
 * of NaN are not looked for. */
INLINE vf vload_fp8(const void *p)
{
#if SIMD_BITS == 512
    __m256i h = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
    h = _mm256_and_si256(_mm256_slli_epi16(h, 7), _mm256_set1_epi16((int16_t)0xbfff));
    return MM(cvtph_ps)(h);
#else
    __m128i h = _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)p));
    h = _mm_and_si128(_mm_slli_epi16(h, 7), _mm_set1_epi16((int16_t)0xbfff));
    return MM(cvtph_ps)(h);
#endif
}

/* The values of E2M1 in the low nibbles; what stands above them does not matter. */
INLINE vf vfp4(vi codes)
{
#if SIMD_BITS == 512
    static const float values[16] = {0,     0.5f,  1,  1.5f,  2,  3,  4,  6,
                                     -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    return MM(permutexvar_ps)(codes, vload(values));
#else
    const __m256 values = _mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6);
    vi sign = vand_i(vshift_left(codes, 28), vset_i(INT32_MIN));
    return _mm256_xor_ps(_mm256_permutevar8x32_ps(values, codes), vf_of_bits(sign));
#endif
}

/* ---- Across lanes ---- */

/* The greatest lane; a NaN is passed over. */
INLINE float vmax_lanes(vf a)
{
    float v[VL], max = -INFINITY;
    vstore(v, a);
    for (int i = 0; i < VL; i++)
        max = v[i] > max ? v[i] : max;
    return max;
}

/* Bit i: a[i] >= b[i]; a[i] == b[i]. Never of NaN. */
INLINE unsigned vreaches(vf a, vf b)
{
#if SIMD_BITS == 512
    return (unsigned)MM(cmp_ps_mask)(a, b, 29);
#else
    return (unsigned)MM(movemask_ps)(MM(cmp_ps)(a, b, 29));
#endif
}

INLINE unsigned vequal(vf a, vf b)
{
#if SIMD_BITS == 512
    return (unsigned)MM(cmp_ps_mask)(a, b, 0);
#else
    return (unsigned)MM(movemask_ps)(MM(cmp_ps)(a, b, 0));
#endif
}

/* Half the lanes as doubles. */
INLINE vd vlow(vf a)
{
#if SIMD_BITS == 512
    return MM(cvtps_pd)(MM(castps512_ps256)(a));
#else
    return MM(cvtps_pd)(MM(castps256_ps128)(a));
#endif
}

INLINE vd vhigh(vf a)
{
#if SIMD_BITS == 512
    return MM(cvtps_pd)(MM(extractf32x8_ps)(a, 1));
#else
    return MM(cvtps_pd)(MM(extractf128_ps)(a, 1));
#endif
}

/* Neighbours first. */
INLINE double vsum_d(vd a)
{
    double v[VL / 2];
    MM(storeu_pd)(v, a);
    for (int n = VL / 4; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            v[i] = v[2 * i] + v[2 * i + 1];
    return v[0];
}

/* e^x within 2 units in the last place (tests/kernels measures it), also where the result is
 * subnormal; 0 below -104, infinity above 89, NaN of NaN.
 * x = n ln 2 + r, |r| <= ln 2 / 2; e^r = 1 + r + r^2 p(r), p a polynomial fitted to least relative
 * error (3e-9); 2^n in two factors, so that neither leaves the exponents' range. */
INLINE vf vexp(vf x)
{
    x = vmax(vset(-104), x); /* in this order of operands NaN stays NaN */
    x = vmin(vset(89), x);
    vf n = vround(vmul(x, vset(0x1.715476p0f)));
    vf r = vfnma(n, vset(0x1.62e43p-1f), x); /* ln 2 in two parts */
    r = vfnma(n, vset(-0x1.05c61p-29f), r);
    vf p = vset(0x1.6a2434p-10f);
    p = vfma(p, r, vset(0x1.1239e2p-7f));
    p = vfma(p, r, vset(0x1.5558f2p-5f));
    p = vfma(p, r, vset(0x1.555492p-3f));
    p = vfma(p, r, vset(0x1.fffffcp-2f));
    p = vfma(vmul(p, r), r, r);
    p = vadd(p, vset(1));
    vi i = MM(cvtps_epi32)(n), half = MM(srai_epi32)(i, 1);
    vi bias = vset_i(127), rest = MM(sub_epi32)(i, half);
    vf a = vf_of_bits(MM(slli_epi32)(MM(add_epi32)(half, bias), 23));
    vf b = vf_of_bits(MM(slli_epi32)(MM(add_epi32)(rest, bias), 23));
    return vmul(vmul(p, a), b);
}

#endif
