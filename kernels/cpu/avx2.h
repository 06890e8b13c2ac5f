/* avx2.h: what the AVX2 files share: 8 floats a register (AVX2, FMA, F16C: x86-64-v3).
 *
 * Every sum of products over K has one pattern: lane l of a register adds the products of
 * k = 8j + l by fused multiply-add, j ascending from zero; then the lanes are added as
 * ((0+1) + (2+3)) + ((4+5) + (6+7)). That holds for a row alone and for a row among many, so the
 * number of rows may choose the path and the tile but never a bit.
 *
 * Functions are static inline here: nothing compiled with these flags may be linked into code that
 * runs on a lesser machine. */
#ifndef ASSAY_KERNELS_CPU_AVX2_H
#define ASSAY_KERNELS_CPU_AVX2_H

#include <immintrin.h>
#include <math.h>

#include "kernels/cpu/device.h"

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* The first n (0..8) lanes. */
INLINE __m256i lanes(size_t n)
{
    static const int32_t window[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(window + 8 - n));
}

/* Four sums of 8 lanes, each in the one order. */
INLINE __m128 sum_lanes(__m256 a, __m256 b, __m256 c, __m256 d)
{
    __m256 s = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

INLINE double sum_doubles(__m256d a, __m256d b)
{
    double v[4];
    _mm256_storeu_pd(v, _mm256_add_pd(a, b));
    return (v[0] + v[1]) + (v[2] + v[3]);
}

INLINE float max_lanes(__m256 a)
{
    float v[8], max = -INFINITY;
    _mm256_storeu_ps(v, a);
    for (int i = 0; i < 8; i++)
        max = v[i] > max ? v[i] : max;
    return max;
}

INLINE __m256d low_half(__m256 a)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(a));
}

INLINE __m256d high_half(__m256 a)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
}

/* e^x within 2 units in the last place (tests/kernels measures it), also where the result is
 * subnormal; 0 below -104, infinity above 89, NaN of NaN.
 * x = n ln 2 + r, |r| <= ln 2 / 2; e^r = 1 + r + r^2 p(r), p a polynomial fitted to least relative
 * error (3e-9); 2^n in two factors, so that neither leaves the exponents' range. */
INLINE __m256 exp8(__m256 x)
{
    x = _mm256_max_ps(_mm256_set1_ps(-104), x); /* in this order of operands NaN stays NaN */
    x = _mm256_min_ps(_mm256_set1_ps(89), x);
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p0f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e43p-1f), x); /* ln 2 in two parts */
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-0x1.05c61p-29f), r);
    __m256 p = _mm256_set1_ps(0x1.6a2434p-10f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.1239e2p-7f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.5558f2p-5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.555492p-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0x1.fffffcp-2f));
    p = _mm256_fmadd_ps(_mm256_mul_ps(p, r), r, r);
    p = _mm256_add_ps(p, _mm256_set1_ps(1));
    __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1);
    __m256i bias = _mm256_set1_epi32(127), rest = _mm256_sub_epi32(i, half);
    __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(p, a), b);
}

/* ---- The tile: M rows of x times N rows of w (avx2_linear.c) ---- */

enum {
    M_TILE = 3, /* rows of x */
    N_TILE = 4, /* rows of w */
};

struct tile {
    const float *x, *w; /* M rows of K floats ldx apart, N rows ldw apart */
    size_t ldx, ldw, K;
    float *parked; /* [M_TILE, N_TILE, 8] accumulators, used when K comes in several pieces */
    bool first, last;
    const float *bias; /* [N] or NULL */
    float *y;          /* [M, N], rows ldy apart; written with the last piece */
    size_t ldy;
};

/* [M - 1][N - 1] */
extern void (*const avx2_tiles[M_TILE][N_TILE])(const struct tile *);

/* How many of `left` rows the next tile takes: 3, but 2 and 2 of the last 4. */
static inline size_t tile_rows(size_t left)
{
    return left == 4 ? 2 : min_size(left, M_TILE);
}

/* ---- The operations that have a file of their own ---- */

void avx2_linear(struct device *dev, float *y, const float *x, const struct weight *w,
                 const float *bias, int T);
void avx2_logprobs(struct device *dev, struct token_logprob *ret, const float *x,
                   const struct weight *head, const int32_t *targets, int T);
void avx2_logprobs_top(struct device *dev, struct token_logprob *ret, struct top_token *top, int k,
                       const float *x, const struct weight *head, const int32_t *targets, int T);

#endif
