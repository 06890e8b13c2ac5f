#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "kernels/format.h"

const struct format_info format_info[FORMAT_COUNT] = {
    [FORMAT_F32] = {"f32", 1, 4},     [FORMAT_F16] = {"f16", 1, 2},
    [FORMAT_BF16] = {"bf16", 1, 2},   [FORMAT_Q8_0] = {"q8_0", 32, 34},
    [FORMAT_Q4_0] = {"q4_0", 32, 18}, [FORMAT_Q4_1] = {"q4_1", 32, 20},
};

size_t format_row_bytes(enum format f, int64_t cols)
{
    const struct format_info *i = &format_info[f];
    if (cols < 0 || cols % i->block != 0 || cols / i->block > INT64_MAX / i->block_bytes)
        return 0;
    return (size_t)(cols / i->block) * (size_t)i->block_bytes;
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

static void read_q8_0(const uint8_t *p, int64_t n, float *ret)
{
    for (; n > 0; n -= 32, p += 34, ret += 32) {
        float d = f16_to_f32(read_u16(p));
        for (int i = 0; i < 32; i++)
            ret[i] = d * (float)(int8_t)p[2 + i];
    }
}

static void read_q4_0(const uint8_t *p, int64_t n, float *ret)
{
    for (; n > 0; n -= 32, p += 18, ret += 32) {
        float d = f16_to_f32(read_u16(p));
        for (int i = 0; i < 16; i++) {
            ret[i] = d * (float)((p[2 + i] & 15) - 8);
            ret[i + 16] = d * (float)((p[2 + i] >> 4) - 8);
        }
    }
}

static void read_q4_1(const uint8_t *p, int64_t n, float *ret)
{
    for (; n > 0; n -= 32, p += 20, ret += 32) {
        float d = f16_to_f32(read_u16(p)), m = f16_to_f32(read_u16(p + 2));
        for (int i = 0; i < 16; i++) {
            ret[i] = d * (float)(p[4 + i] & 15) + m;
            ret[i + 16] = d * (float)(p[4 + i] >> 4) + m;
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

/* If you add a format: its info above, its row here, and its reader in every variant of linear. */
static const struct {
    void (*read)(const uint8_t *p, int64_t n, float *ret);
    void (*write)(const float *x, int64_t n, uint8_t *ret);
    float limit; /* the largest |value| whose scales fit f16; 0: the format takes any value */
} codecs[FORMAT_COUNT] = {
    [FORMAT_F32] = {read_f32, write_f32, 0},
    [FORMAT_F16] = {read_f16, write_f16, 0},
    [FORMAT_BF16] = {read_bf16, write_bf16, 0},
    [FORMAT_Q8_0] = {read_q8_0, write_q8_0, 65504.0f * 127},
    [FORMAT_Q4_0] = {read_q4_0, write_q4_0, 65504.0f * 8},
    [FORMAT_Q4_1] = {read_q4_1, write_q4_1, 65504.0f},
};

void weight_row_to_f32(const struct weight *w, int64_t row, float *ret)
{
    size_t bytes = format_row_bytes(w->format, w->cols);
    codecs[w->format].read((const uint8_t *)w->data + (size_t)row * bytes, w->cols, ret);
}

int format_from_f32(enum format f, const float *x, int64_t n, void *ret, struct error *err)
{
    const struct format_info *info = &format_info[f];
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
