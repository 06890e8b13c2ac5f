#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "kernels/format.h"

const struct format_info format_info[FORMAT_COUNT] = {
    [FORMAT_F32] = {"f32", 1, 4, false, false},
    [FORMAT_F16] = {"f16", 1, 2, false, false},
    [FORMAT_BF16] = {"bf16", 1, 2, false, false},
    [FORMAT_Q8_0] = {"q8_0", 32, 34, true, false},
    [FORMAT_Q4_0] = {"q4_0", 32, 18, true, false},
    [FORMAT_Q4_1] = {"q4_1", 32, 20, true, false},
    [FORMAT_Q5_0] = {"q5_0", 32, 22, false, false},
    [FORMAT_Q5_1] = {"q5_1", 32, 24, false, false},
    [FORMAT_Q2_K] = {"q2_k", 256, 84, false, false},
    [FORMAT_Q3_K] = {"q3_k", 256, 110, false, false},
    [FORMAT_Q4_K] = {"q4_k", 256, 144, true, false},
    [FORMAT_Q5_K] = {"q5_k", 256, 176, false, false},
    [FORMAT_Q6_K] = {"q6_k", 256, 210, false, false},
    [FORMAT_INT8] = {"int8", 1, 1, true, true},
    [FORMAT_INT4] = {"int4", 2, 1, true, true},
    [FORMAT_INT3] = {"int3", 8, 3, false, true},
    [FORMAT_INT2] = {"int2", 4, 1, true, true},
    [FORMAT_FP8] = {"fp8", 1, 1, false, true},
    [FORMAT_FP4] = {"fp4", 2, 1, false, true},
    [FORMAT_TERNARY] = {"ternary", 4, 1, true, true},
};

size_t format_row_bytes(enum format f, int64_t cols)
{
    const struct format_info *i = &format_info[f];
    if (cols < 0 || (!i->codes && cols % i->block != 0) ||
        cols / i->block >= INT64_MAX / i->block_bytes)
        return 0;
    return (size_t)((cols + i->block - 1) / i->block) * (size_t)i->block_bytes;
}

/* Reading: n values, a multiple of the block, from rows that may lie unaligned in a file. */

static uint16_t read_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static void write_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v & 255);
    p[1] = (uint8_t)(v >> 8);
}

static void read_f32(const uint8_t *p, int64_t n, float *ret)
{
    memcpy(ret, p, (size_t)n * sizeof *ret);
}

static void read_f16(const uint8_t *p, int64_t n, float *ret)
{
    for (int64_t i = 0; i < n; i++)
        ret[i] = f16_to_f32(read_u16(p + 2 * i));
}

static void read_bf16(const uint8_t *p, int64_t n, float *ret)
{
    for (int64_t i = 0; i < n; i++)
        ret[i] = bf16_to_f32(read_u16(p + 2 * i));
}

/* ---- Blocks. Of nibbles in 16 bytes the low ones are values 0 .. 15, the high ones 16 .. 31. ----
 */

static void take_nibbles(const uint8_t *p, int half, int less, int8_t *ret)
{
    for (int i = 0; i < half; i++) {
        ret[i] = (int8_t)((p[i] & 15) - less);
        ret[i + half] = (int8_t)((p[i] >> 4) - less);
    }
}

static void take_q8_0(const uint8_t *p, struct block_parts *ret)
{
    ret->d = read_u16(p);
    ret->s[0] = 1;
    memcpy(ret->q, p + 2, 32);
}

static void take_q4_0(const uint8_t *p, struct block_parts *ret)
{
    ret->d = read_u16(p);
    ret->s[0] = 1;
    take_nibbles(p + 2, 16, 8, ret->q);
}

static void take_q4_1(const uint8_t *p, struct block_parts *ret)
{
    ret->d = read_u16(p);
    ret->m = read_u16(p + 2);
    ret->s[0] = 1;
    take_nibbles(p + 4, 16, 0, ret->q);
}

/* The fifth bits are bits 0 .. 31 of a little-endian word before the nibbles. */
static void take_fifth_bits(const uint8_t *p, int less, int8_t *q)
{
    take_nibbles(p + 4, 16, 0, q);
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)((q[i] | (p[i / 8] >> i % 8 & 1) << 4) - less);
}

static void take_q5_0(const uint8_t *p, struct block_parts *ret)
{
    ret->d = read_u16(p);
    ret->s[0] = 1;
    take_fifth_bits(p + 2, 16, ret->q);
}

static void take_q5_1(const uint8_t *p, struct block_parts *ret)
{
    ret->d = read_u16(p);
    ret->m = read_u16(p + 2);
    ret->s[0] = 1;
    take_fifth_bits(p + 4, 0, ret->q);
}

/* Pairs of bits in 64 bytes: each half of the block has 32 of them, byte i with values i, i + 32, i
 * + 64 and i + 96 of the half. */
static void take_pairs(const uint8_t *p, int8_t *q)
{
    for (int i = 0; i < BLOCK_VALUES; i++)
        q[i] = (int8_t)(p[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3);
}

/* 16 bytes with a scale in the low nibble and an offset in the high one, the pairs, f16 d, f16 m.
 */
static void take_q2_k(const uint8_t *p, struct block_parts *ret)
{
    for (int g = 0; g < BLOCK_GROUPS; g++) {
        ret->s[g] = p[g] & 15;
        ret->o[g] = p[g] >> 4;
    }
    take_pairs(p + 16, ret->q);
    ret->d = read_u16(p + 80);
    ret->m = read_u16(p + 82);
}

/* 32 bytes: bit g of byte i is the third of value i of the 32 values g; the pairs; 12 bytes with 16
 * scales of 6 bits; f16 d. The low 4 bits of scales 0 .. 7 are low nibbles, of 8 .. 15 high ones;
 * the upper 2 of scales i, i + 4, i + 8 and i + 12 lie in byte 8 + i. */
static void take_q3_k(const uint8_t *p, struct block_parts *ret)
{
    const uint8_t *s = p + 96;
    take_pairs(p + 32, ret->q);
    for (int i = 0; i < BLOCK_VALUES; i++)
        ret->q[i] = (int8_t)((ret->q[i] | (p[i % 32] >> i / 32 & 1) << 2) - 4);
    for (int g = 0; g < BLOCK_GROUPS; g++)
        ret->s[g] =
            (int8_t)(((s[g % 8] >> g / 8 * 4 & 15) | (s[8 + g % 4] >> g / 4 * 2 & 3) << 4) - 32);
    ret->d = read_u16(p + 108);
}

/* f16 d, f16 m, then 12 bytes with 8 scales and 8 offsets of 6 bits: those of groups 0 .. 3 in the
 * low 6 bits of bytes 0 .. 3 and 4 .. 7; of groups 4 .. 7 the low 4 bits are the nibbles of bytes
 * 8 .. 11, the high 2 the top bits of bytes 0 .. 3 and 4 .. 7. */
static void take_k_scales(const uint8_t *p, struct block_parts *ret)
{
    ret->d = read_u16(p);
    ret->m = read_u16(p + 2);
    p += 4;
    for (int i = 0; i < 4; i++) {
        ret->s[i] = p[i] & 63;
        ret->o[i] = p[i + 4] & 63;
        ret->s[i + 4] = (int8_t)((p[i + 8] & 15) | (p[i] >> 6) << 4);
        ret->o[i + 4] = (uint8_t)((p[i + 8] >> 4) | (p[i + 4] >> 6) << 4);
    }
}

/* The scales, then for each pair of groups 32 bytes: one group's nibbles are low, the other's high.
 */
static void take_q4_k(const uint8_t *p, struct block_parts *ret)
{
    take_k_scales(p, ret);
    for (int pair = 0; pair < 4; pair++)
        take_nibbles(p + 16 + 32 * pair, 32, 0, ret->q + 64 * pair);
}

/* Between scales and nibbles 32 bytes: bit g of byte i is the fifth of value i of group g. */
static void take_q5_k(const uint8_t *p, struct block_parts *ret)
{
    take_k_scales(p, ret);
    for (int pair = 0; pair < 4; pair++)
        take_nibbles(p + 48 + 32 * pair, 32, 0, ret->q + 64 * pair);
    for (int i = 0; i < BLOCK_VALUES; i++)
        ret->q[i] = (int8_t)(ret->q[i] | (p[16 + i % 32] >> i / 32 & 1) << 4);
}

/* 128 bytes of low nibbles, 64 bytes of high pairs of bits, 16 int8 scales, f16 d. Each half of the
 * block has 64 and 32 of these: nibbles of values 0 .. 63 low, 64 .. 127 high; pairs of values i,
 * i + 32, i + 64, i + 96 in byte i. */
static void take_q6_k(const uint8_t *p, struct block_parts *ret)
{
    for (int half = 0; half < 2; half++) {
        int8_t *q = ret->q + 128 * half;
        take_nibbles(p + 64 * half, 64, 0, q);
        for (int i = 0; i < 128; i++)
            q[i] = (int8_t)((q[i] | (p[128 + 32 * half + i % 32] >> i / 32 * 2 & 3) << 4) - 32);
    }
    memcpy(ret->s, p + 192, BLOCK_GROUPS);
    ret->d = read_u16(p + 208);
}

const struct block_format block_format[FORMAT_COUNT] = {
    [FORMAT_Q8_0] = {take_q8_0, 32, OFFSET_NONE},
    [FORMAT_Q4_0] = {take_q4_0, 32, OFFSET_NONE},
    [FORMAT_Q4_1] = {take_q4_1, 32, OFFSET_M},
    [FORMAT_Q5_0] = {take_q5_0, 32, OFFSET_NONE},
    [FORMAT_Q5_1] = {take_q5_1, 32, OFFSET_M},
    [FORMAT_Q2_K] = {take_q2_k, 16, OFFSET_MINUS_MO},
    [FORMAT_Q3_K] = {take_q3_k, 16, OFFSET_NONE},
    [FORMAT_Q4_K] = {take_q4_k, 32, OFFSET_MINUS_MO},
    [FORMAT_Q5_K] = {take_q5_k, 32, OFFSET_MINUS_MO},
    [FORMAT_Q6_K] = {take_q6_k, 16, OFFSET_NONE},
};

static void read_blocks(enum format f, const uint8_t *p, int64_t n, float *ret)
{
    const struct block_format *b = &block_format[f];
    const struct format_info *info = &format_info[f];
    for (; n > 0; n -= info->block, p += info->block_bytes, ret += info->block) {
        struct block_parts parts = {0};
        b->take_apart(p, &parts);
        float d = f16_to_f32(parts.d), m = f16_to_f32(parts.m);
        for (int i = 0; i < info->block; i++) {
            int g = i / b->group;
            float w = d * (float)parts.s[g] * (float)parts.q[i];
            ret[i] = b->offset == OFFSET_M          ? w + m
                     : b->offset == OFFSET_MINUS_MO ? w - m * (float)parts.o[g]
                                                    : w;
        }
    }
}

/* Writing. */

static void write_f32(const float *x, int64_t n, uint8_t *ret)
{
    memcpy(ret, x, (size_t)n * sizeof *x);
}

static void write_f16(const float *x, int64_t n, uint8_t *ret)
{
    for (int64_t i = 0; i < n; i++)
        write_u16(ret + 2 * i, f16_from_f32(x[i]));
}

static void write_bf16(const float *x, int64_t n, uint8_t *ret)
{
    for (int64_t i = 0; i < n; i++)
        write_u16(ret + 2 * i, bf16_from_f32(x[i]));
}

/* 1 / d, or 0 where that says nothing: d is 0 or so small that its f16 is 0 anyway. */
static float inverse(float d)
{
    return d != 0 && isfinite(1 / d) ? 1 / d : 0;
}

static void write_q8_0(const float *x, int64_t n, uint8_t *ret)
{
    for (; n > 0; n -= 32, x += 32, ret += 34) {
        float amax = 0;
        for (int i = 0; i < 32; i++)
            amax = fmaxf(amax, fabsf(x[i]));
        float d = amax / 127, id = inverse(d);
        write_u16(ret, f16_from_f32(d));
        for (int i = 0; i < 32; i++)
            ret[2 + i] = (uint8_t)(int8_t)roundf(x[i] * id);
    }
}

/* A nibble: v is not negative but for rounding. */
static uint8_t nibble(float v)
{
    return v >= 15 ? 15 : v <= 0 ? 0 : (uint8_t)v;
}

static void write_q4_0(const float *x, int64_t n, uint8_t *ret)
{
    for (; n > 0; n -= 32, x += 32, ret += 18) {
        float far = 0; /* the value farthest from 0 becomes -8, the code with the larger reach */
        for (int i = 0; i < 32; i++)
            if (fabsf(x[i]) > fabsf(far))
                far = x[i];
        float d = far / -8, id = inverse(d);
        write_u16(ret, f16_from_f32(d));
        for (int i = 0; i < 16; i++)
            ret[2 + i] = (uint8_t)(nibble(x[i] * id + 8.5f) | nibble(x[i + 16] * id + 8.5f) << 4);
    }
}

static void write_q4_1(const float *x, int64_t n, uint8_t *ret)
{
    for (; n > 0; n -= 32, x += 32, ret += 20) {
        float low = x[0], high = x[0];
        for (int i = 1; i < 32; i++) {
            low = fminf(low, x[i]);
            high = fmaxf(high, x[i]);
        }
        float d = (high - low) / 15, id = inverse(d);
        write_u16(ret, f16_from_f32(d));
        write_u16(ret + 2, f16_from_f32(low));
        for (int i = 0; i < 16; i++)
            ret[4 + i] = (uint8_t)(nibble((x[i] - low) * id + 0.5f) |
                                   nibble((x[i + 16] - low) * id + 0.5f) << 4);
    }
}

/* If you add a format: its info above, its row here or in block_format or in codes.c, and its panel
 * in every variant of linear. */
static const struct {
    void (*read)(const uint8_t *p, int64_t n, float *ret);  /* NULL: in blocks */
    void (*write)(const float *x, int64_t n, uint8_t *ret); /* NULL: only read */
    float limit; /* the largest |value| whose scales fit f16; 0: the format takes any value */
} codecs[FORMAT_COUNT] = {
    [FORMAT_F32] = {read_f32, write_f32, 0},
    [FORMAT_F16] = {read_f16, write_f16, 0},
    [FORMAT_BF16] = {read_bf16, write_bf16, 0},
    [FORMAT_Q8_0] = {NULL, write_q8_0, 65504.0f * 127},
    [FORMAT_Q4_0] = {NULL, write_q4_0, 65504.0f * 8},
    [FORMAT_Q4_1] = {NULL, write_q4_1, 65504.0f},
};

void weight_row_to_f32(const struct weight *w, int64_t row, float *ret)
{
    const uint8_t *p =
        (const uint8_t *)w->data + (size_t)row * format_row_bytes(w->format, w->cols);
    if (format_info[w->format].codes)
        codes_row_to_f32(w, row, ret);
    else if (codecs[w->format].read)
        codecs[w->format].read(p, w->cols, ret);
    else
        read_blocks(w->format, p, w->cols, ret);
}

int format_from_f32(enum format f, const float *x, int64_t n, void *ret, struct error *err)
{
    const struct format_info *info = &format_info[f];
    if (!codecs[f].write)
        return error_set(err, E_UNSUPPORTED, /* of codes: weight_row_from_f32() */
                         "cannot quantize to %s: assay only reads it; choose q8_0, q4_0 or q4_1",
                         info->name);
    if (n < 0 || n % info->block != 0)
        return error_set(err, E_INPUT,
                         "cannot store %lld values as %s: its blocks hold %d values each; choose "
                         "a format without blocks (f32, f16, bf16) for this tensor",
                         (long long)n, info->name, info->block);
    float limit = codecs[f].limit;
    for (int64_t i = 0; limit > 0 && i < n; i++)
        if (!(fabsf(x[i]) <= limit))
            return error_set(err, E_INPUT,
                             "cannot quantize to %s: value %lld is %g, and only finite values up "
                             "to %g fit; check the checkpoint, or leave this tensor unquantized",
                             info->name, (long long)i, (double)x[i], (double)limit);
    codecs[f].write(x, n, ret);
    return 0;
}
