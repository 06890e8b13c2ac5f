#include "tests/kernels/operands.h"

#include <math.h>
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
    [FORMAT_Q8_0] = {0, -1},     [FORMAT_Q4_0] = {0, -1},     [FORMAT_Q4_1] = {0, 2},
    [FORMAT_Q5_0] = {0, -1},     [FORMAT_Q5_1] = {0, 2},      [FORMAT_Q4_K] = {0, 2},
    [FORMAT_Q5_K] = {0, 2},      [FORMAT_Q6_K] = {208, -1},   [FORMAT_INT8] = {0, -1},
    [FORMAT_INT8_G32] = {0, -1}, [FORMAT_INT8_G64] = {0, -1}, [FORMAT_INT8_G128] = {0, -1},
    [FORMAT_INT4_G32] = {0, -1}, [FORMAT_INT4_G64] = {0, -1}, [FORMAT_INT4_G128] = {0, -1},
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

struct weight random_weight(enum format f, int64_t rows, int64_t cols)
{
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
}

void weight_extreme_codes(struct weight *w, bool greatest)
{
    const struct format_info *info = &format_info[w->format];
    uint8_t *p = (uint8_t *)(uintptr_t)w->data;
    size_t bytes = (size_t)w->rows * format_row_bytes(w->format, w->cols);
    bool nibbles = info->block_bytes < info->block;
    for (size_t i = 0; i < bytes; i++)
        p[i] = nibbles ? (greatest ? 0xff : 0) : (greatest ? 0x7f : 0x80);
    for (size_t b = 0; b < bytes; b += (size_t)info->block_bytes) {
        put_u16(p + b + scales_at[w->format].d, f16_from_f32(0.01f));
        if (scales_at[w->format].m >= 0)
            put_u16(p + b + scales_at[w->format].m, f16_from_f32(0.25f));
    }
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
