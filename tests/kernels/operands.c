#include "tests/kernels/operands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/hash.h"
#include "kernels/format.h"

uint64_t random_first = 1;
static uint64_t state = 1;

void random_seed(uint64_t seed)
{
    random_first = state = seed;
}

/* splitmix64 */
static uint64_t random_bits(void)
{
    return hash_mix(state += 0x9e3779b97f4a7c15u);
}

uint32_t random_below(uint32_t n)
{
    return n ? (uint32_t)(random_bits() % n) : 0;
}

float random_float(void)
{
    float unit = (float)(random_bits() >> 40) * 0x1p-23f - 1; /* [-1, 1) */
    switch (random_below(64)) {
    case 0:
        return 0;
    case 1:
        return unit * 0x1p-130f;
    case 2:
        return unit * 1000;
    case 3:
        return unit * 1e-4f;
    default:
        return unit * 2;
    }
}

enum { FLOATS_BEFORE = 17 }; /* 64 bytes and one float */

float *floats(size_t n)
{
    float *p = aligned_alloc(64, ((n + FLOATS_BEFORE) * sizeof *p + 63) / 64 * 64);
    if (!p)
        abort();
    for (size_t i = 0; i < n; i++)
        p[FLOATS_BEFORE + i] = NAN;
    return p + FLOATS_BEFORE;
}

float *random_floats(size_t n)
{
    float *ret = floats(n);
    for (size_t i = 0; i < n; i++)
        ret[i] = random_float();
    return ret;
}

float *tame_floats(size_t n, float limit)
{
    float *ret = random_floats(n);
    for (size_t i = 0; i < n; i++)
        ret[i] = fmaxf(-limit, fminf(limit, ret[i]));
    return ret;
}

void floats_free(float *x)
{
    free(x - FLOATS_BEFORE);
}

static void put_u16(uint8_t *p, uint16_t h)
{
    p[0] = (uint8_t)(h & 255);
    p[1] = (uint8_t)(h >> 8);
}

/* Where a block's f16 scales stand in it; -1: it has one. */
static const struct {
    int d, m;
} scales_at[FORMAT_COUNT] = {
    [FORMAT_Q8_0] = {0, -1},   [FORMAT_Q4_0] = {0, -1}, [FORMAT_Q4_1] = {0, 2},
    [FORMAT_Q5_0] = {0, -1},   [FORMAT_Q5_1] = {0, 2},  [FORMAT_Q2_K] = {80, 82},
    [FORMAT_Q3_K] = {108, -1}, [FORMAT_Q4_K] = {0, 2},  [FORMAT_Q5_K] = {0, 2},
    [FORMAT_Q6_K] = {208, -1},
};

/* A format that is only read: any bytes are codes, the scales are of the size of a model's. */
static void random_blocks(enum format f, uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)random_below(256);
    for (size_t b = 0; b < bytes; b += (size_t)format_info[f].block_bytes) {
        put_u16(p + b + scales_at[f].d, f16_from_f32(random_float() * 0.02f));
        if (scales_at[f].m >= 0)
            put_u16(p + b + scales_at[f].m, f16_from_f32(random_float() * 0.1f));
    }
}

/* ---- Codes ---- */

const struct code_variant code_variants[] = {
    /* as compressed-tensors, GPTQ, AWQ, BitNet and others store them */
    {FORMAT_INT8, FORMAT_BF16, 0, 1, false, false, 1},
    {FORMAT_INT8, FORMAT_F32, 0, 0, false, false, 1},
    {FORMAT_INT8, FORMAT_F16, 128, 1, true, true, 1},
    {FORMAT_INT8, FORMAT_F16, 64, 1, false, false, 1},
    {FORMAT_INT4, FORMAT_F16, 128, 1, false, false, 1},
    {FORMAT_INT4, FORMAT_BF16, 32, 1, true, false, 1},
    {FORMAT_INT4, FORMAT_F16, 64, 1, true, true, 1},
    {FORMAT_INT4, FORMAT_BF16, 0, 1, false, true, 1},
    {FORMAT_INT3, FORMAT_F16, 128, 1, true, true, 1},
    {FORMAT_INT2, FORMAT_F16, 64, 1, true, false, 1},
    {FORMAT_FP8, FORMAT_F32, 128, 128, false, false, 1},
    {FORMAT_FP8, FORMAT_BF16, 0, 1, false, false, 1},
    {FORMAT_FP8, FORMAT_F32, 0, 0, false, false, 1},
    {FORMAT_FP4, FORMAT_FP8, 16, 1, false, false, 0.0013f},
    {FORMAT_TERNARY, FORMAT_BF16, 0, 0, false, false, 1},
    {FORMAT_TERNARY, FORMAT_F32, 0, 0, false, false, 1},
    /* and what nobody does */
    {FORMAT_INT8, FORMAT_FP8, 16, 3, true, false, 0.37f},
    {FORMAT_INT8, FORMAT_F32, 20, 2, false, true, 1},
    {FORMAT_INT4, FORMAT_F32, 7, 1, true, true, 3},
    {FORMAT_INT4, FORMAT_F32, 40, 1, true, false, 1},
    {FORMAT_INT4, FORMAT_FP8, 1, 5, false, false, 1},
    {FORMAT_INT3, FORMAT_F32, 16, 1, false, false, 1},
    {FORMAT_INT2, FORMAT_F32, 10, 4, true, true, 0.1f},
    {FORMAT_FP8, FORMAT_FP8, 16, 1, false, true, 1},
    {FORMAT_FP4, FORMAT_F16, 33, 1, false, true, 1},
    {FORMAT_TERNARY, FORMAT_F16, 16, 1, false, false, 1},
};
const int n_code_variants = sizeof code_variants / sizeof *code_variants;

const char *code_variant_name(const struct code_variant *v)
{
    static char name[64];
    snprintf(name, sizeof name, "%s g%dx%d %s%s%s", format_info[v->format].name, v->group,
             v->group_rows, format_info[v->scale_format].name, v->zeros ? " zeros" : "",
             v->perm ? " perm" : "");
    return name;
}

/* Any code that is a number. */
static void random_code_bytes(enum format f, uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)random_below(256);
        if (f == FORMAT_TERNARY)
            c = (uint8_t)(random_below(3) | random_below(3) << 2 | random_below(3) << 4 |
                          random_below(3) << 6);
        p[i] = f == FORMAT_FP8 && (c & 0x7f) == 0x7f ? 0 : c;
    }
}

static void random_scales(enum format f, uint8_t *p, size_t n)
{
    size_t size = format_row_bytes(f, 1);
    for (size_t i = 0; i < n; i++, p += size) {
        float x = fabsf(random_float()) * 0.02f + 0x1p-12f;
        if (f == FORMAT_F32)
            memcpy(p, &x, sizeof x);
        else if (f == FORMAT_FP8)
            *p = fp8_from_f32(x * 256);
        else
            put_u16(p, f == FORMAT_F16 ? f16_from_f32(x) : bf16_from_f32(x));
    }
}

struct weight random_codes(const struct code_variant *v, int64_t rows, int64_t cols)
{
    struct weight w = {.format = v->format,
                       .rows = rows,
                       .cols = cols,
                       .scale_format = v->scale_format,
                       .scale = v->scale,
                       .group = v->group ? v->group : (int)cols,
                       .group_rows = v->group_rows ? v->group_rows : (int)rows};
    size_t data = (size_t)rows * format_row_bytes(v->format, cols);
    size_t groups = (size_t)codes_groups(&w), scales = weight_bytes(&w) - data;
    uint8_t *p = mem_alloc(data + 2, 1), *s = mem_alloc(scales + 2, 1);
    random_code_bytes(v->format, p + 2, data);
    random_scales(v->scale_format, s + 2, scales / format_row_bytes(v->scale_format, 1));
    w.data = p + 2;
    w.scales = s + 2;
    if (v->zeros) {
        uint8_t *zeros = mem_alloc((size_t)rows * groups, 1);
        for (size_t i = 0; i < (size_t)rows * groups; i++)
            zeros[i] = (uint8_t)random_below(1u << code_bits(v->format));
        w.zeros = zeros;
    }
    if (v->perm) {
        int32_t *perm = mem_alloc((size_t)cols, sizeof *perm);
        for (int32_t i = 0; i < (int32_t)cols; i++) {
            int32_t j = (int32_t)random_below((uint32_t)i + 1);
            perm[i] = perm[j];
            perm[j] = i;
        }
        w.perm = perm;
    }
    return w;
}

struct weight random_weight(enum format f, int64_t rows, int64_t cols)
{
    if (format_info[f].codes)
        return random_codes(&(struct code_variant){f, FORMAT_F16, 32, 1, false, false, 1}, rows,
                            cols);
    size_t row_bytes = format_row_bytes(f, cols);
    float *row = floats((size_t)cols);
    char *data = mem_alloc((size_t)rows * row_bytes + 2, 1);
    struct error err;
    for (int64_t r = 0; r < rows; r++) {
        float magnitude = r % 5 == 3 ? 50 : r % 5 == 4 ? 0.01f : 1;
        for (int64_t i = 0; i < cols; i++)
            row[i] = random_float() * magnitude;
        int e = format_from_f32(f, row, cols, data + 2 + (size_t)r * row_bytes, &err);
        if (e == E_UNSUPPORTED)
            random_blocks(f, (uint8_t *)data + 2 + (size_t)r * row_bytes, row_bytes);
        else if (e < 0)
            abort();
    }
    floats_free(row);
    return (struct weight){.format = f, .rows = rows, .cols = cols, .data = data + 2};
}

void weight_drop(struct weight *w)
{
    free((char *)(uintptr_t)w->data - 2);
    if (w->scales)
        free((char *)(uintptr_t)w->scales - 2);
    free((void *)(uintptr_t)w->zeros);
    free((void *)(uintptr_t)w->perm);
}

static void extreme_blocks(struct weight *w)
{
    uint8_t *p = (uint8_t *)(uintptr_t)w->data;
    size_t bytes = (size_t)w->rows * format_row_bytes(w->format, w->cols);
    for (size_t b = 0; b < bytes; b += (size_t)format_info[w->format].block_bytes) {
        put_u16(p + b + scales_at[w->format].d, f16_from_f32(0.01f));
        if (scales_at[w->format].m >= 0)
            put_u16(p + b + scales_at[w->format].m, f16_from_f32(0.25f));
    }
}

void weight_extreme_codes(struct weight *w, bool greatest)
{
    size_t bytes = (size_t)w->rows * format_row_bytes(w->format, w->cols);
    int most = w->format == FORMAT_TERNARY                            ? 0xaa
               : w->format == FORMAT_INT8 || w->format == FORMAT_Q8_0 ? 0x7f
                                                                      : 0xff;
    int least = most == 0x7f ? 0x80 : 0;
    memset((void *)(uintptr_t)w->data, greatest ? most : least, bytes);
    if (!format_info[w->format].codes)
        extreme_blocks(w);
    else if (w->zeros)
        memset((void *)(uintptr_t)w->zeros,
               greatest ? least : most & (0xff >> (8 - code_bits(w->format))),
               (size_t)(w->rows * codes_groups(w)));
}

/* A 16-bit code whose float is finite. */
static uint16_t finite_code(enum format f, uint32_t code)
{
    uint16_t h = (uint16_t)code;
    float x = f == FORMAT_BF16 ? bf16_to_f32(h) : f16_to_f32(h);
    return isfinite(x) ? h : (uint16_t)(h & 0x83ff);
}

void weight_all_codes(struct weight *w)
{
    uint8_t *p = (uint8_t *)(uintptr_t)w->data;
    size_t bytes = (size_t)w->rows * format_row_bytes(w->format, w->cols);
    size_t block = (size_t)format_info[w->format].block_bytes;
    if (w->format == FORMAT_F32)
        return; /* copied, not decoded: random ones will do */
    if (format_info[w->format].codes) {
        for (size_t i = 0; i < bytes; i++) {
            uint8_t c = (uint8_t)(i + i / 251);
            bool nothing = w->format == FORMAT_FP8
                               ? (c & 0x7f) == 0x7f
                               : w->format == FORMAT_TERNARY && (c & c >> 1 & 0x55);
            p[i] = nothing ? 0 : c;
        }
        return;
    }
    if (block == 2) {
        for (size_t i = 0; i < bytes / 2; i++)
            put_u16(p + 2 * i, finite_code(w->format, (uint32_t)i));
        return;
    }
    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(i + i / 251);
    for (size_t i = 0; i < bytes; i += block) {
        put_u16(p + i + scales_at[w->format].d, finite_code(FORMAT_F16, random_below(65536)));
        if (scales_at[w->format].m >= 0)
            put_u16(p + i + scales_at[w->format].m, finite_code(FORMAT_F16, random_below(65536)));
    }
}
