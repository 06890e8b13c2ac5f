/* format.h: the half precisions bit by bit, and GGUF's blocks taken apart. Private to kernels/ and
 * its tests.
 *
 * Half precisions: to f32 both are exact. From f32 they round to nearest, ties to even; what is too
 * large becomes an infinity, and a NaN stays one (quiet). */
#ifndef ASSAY_KERNELS_FORMAT_H
#define ASSAY_KERNELS_FORMAT_H

#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

static inline uint32_t f32_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float f32_of_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float bf16_to_f32(uint16_t h)
{
    return f32_of_bits((uint32_t)h << 16);
}

static inline uint16_t bf16_from_f32(float x)
{
    uint32_t u = f32_bits(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)((u >> 16) | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) /* infinity, or a NaN, made quiet as the F16C instructions do */
        return f32_of_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000u : 0));
    if (exponent > 0)
        return f32_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float x = (float)fraction * 0x1p-24f; /* subnormal: exact */
    return sign ? -x : x;
}

static inline uint16_t f16_from_f32(float x)
{
    uint32_t u = f32_bits(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x47800000) /* 65536 and more */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) { /* subnormal: adding 0.5 leaves units of 2^-24, rounded to even */
        return (uint16_t)(sign | (f32_bits(f32_of_bits(a) + 0.5f) - 0x3f000000));
    }
    a += 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | ((a >> 13) - (112u << 10)));
}

/* E4M3 without infinities: 4 bits of exponent, biased by 7, and 3 of fraction. As a half precision
 * with the exponent's bits zero it is 2^-8 times its value. Exact; 0x7f and 0xff are NaN. */
static inline float fp8_to_f32(uint8_t c)
{
    if ((c & 0x7f) == 0x7f)
        return f32_of_bits(0x7fc00000 | (uint32_t)(c & 0x80) << 24);
    return f16_to_f32((uint16_t)((c & 0x80) << 8 | (c & 0x7f) << 7)) * 0x1p8f;
}

/* To the nearest, ties to even; what is beyond 448 becomes 448, a NaN stays one. */
static inline uint8_t fp8_from_f32(float x)
{
    uint32_t u = f32_bits(x), sign = u >> 24 & 0x80, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint8_t)(sign | 0x7f);
    if (a >= 0x43e00000) /* 448 */
        return (uint8_t)(sign | 0x7e);
    if (a < 0x3c800000) /* 2^-6, subnormal: adding 2^14 leaves units of 2^-9, rounded to even */
        return (uint8_t)(sign | (f32_bits(f32_of_bits(a) + 0x1p14f) - 0x46800000));
    a += 0x7ffff + (a >> 20 & 1);
    return (uint8_t)(sign | ((a >> 20) - (120u << 3)));
}

/* E2M1. */
static inline float fp4_to_f32(uint8_t c)
{
    static const float values[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    return c & 8 ? -values[c & 7] : values[c & 7];
}

/* To the nearest, ties to the even code; beyond 6 is 6. x is a number. */
static inline uint8_t fp4_from_f32(float x)
{
    float a = x < 0 ? -x : x;
    uint8_t c = a <= 0.25f   ? 0
                : a < 0.75f  ? 1
                : a <= 1.25f ? 2
                : a < 1.75f  ? 3
                : a <= 2.5f  ? 4
                : a < 3.5f   ? 5
                : a <= 5     ? 6
                             : 7;
    return x < 0 ? (uint8_t)(c | 8) : c;
}

/* ---- Codes with scales apart (codes.c) ---- */

void codes_row_to_f32(const struct weight *w, int64_t row, float *ret);

/* Codes first .. first+n-1 of a row, as they are stored, a byte each. */
void codes_get(const struct weight *w, int64_t row, int64_t first, int64_t n, uint8_t *ret);
/* The code that stands for 0 in a row's group, likewise. */
uint8_t codes_zero(const struct weight *w, int64_t row, int64_t group);
/* What a code stands for before zero and scale; of whole numbers -128 .. 15. */
float code_value(enum format f, uint8_t code);
/* The scale of a row's group, times w->scale. */
float codes_scale(const struct weight *w, int64_t row, int64_t group);
int64_t codes_groups(const struct weight *w); /* of a row */
int code_bits(enum format f);

/* A token as it meets the weight: kernels.h has the rules. */
void quantized_token(const struct weight *w, const float *x, float *ret);

/* The weight meets INT8 activations in whole numbers, as cpu/int8.h says. */
bool int8_exact(const struct weight *w);
/* E_UNSUPPORTED: a shape or a combination that no table computes with. E_INPUT: what a file should
 * not hold. */
int weight_check(const struct weight *w, struct error *err);

/* A block of a GGUF format taken apart. Value i, of group i / group, is scale * q[i] + offset with
 * scale = d * s, each product and the sum in float (the products are exact). */
enum { BLOCK_VALUES = 256, BLOCK_GROUPS = 16 };

struct block_parts {
    uint16_t d, m; /* f16; m is 0 where the format has none */
    int8_t s[BLOCK_GROUPS];
    uint8_t o[BLOCK_GROUPS];
    int8_t q[BLOCK_VALUES];
};

/* What a group's values have added: nothing, m, or -(m * o). */
enum block_offset { OFFSET_NONE, OFFSET_M, OFFSET_MINUS_MO };

struct block_format {
    void (*take_apart)(const uint8_t *block,
                       struct block_parts *ret); /* NULL: not a block format */
    int group;                                   /* values */
    enum block_offset offset;
};
extern const struct block_format block_format[];

#endif
