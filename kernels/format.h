/* format.h: the half precisions bit by bit, and GGUF's blocks taken apart. Private to kernels/ and
 * its tests.
 *
 * Half precisions: to f32 both are exact. From f32 they round to nearest, ties to even; what is too
 * large becomes an infinity, and a NaN stays one (quiet). */
#ifndef ASSAY_KERNELS_FORMAT_H
#define ASSAY_KERNELS_FORMAT_H

#include <stdint.h>
#include <string.h>

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
