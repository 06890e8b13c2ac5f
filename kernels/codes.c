/* codes.c: codes whose scales stand apart (kernels.h): reading, writing, and their scales. */
#include <float.h>
#include <math.h>

#include "kernels/format.h"

static const struct code_format {
    int bits;
    int zero;      /* the code of 0, unless the weight has zeros */
    float reach;   /* max|x| / scale */
    float epsilon; /* as a scale's format: what a scale of 0 becomes */
} codes[FORMAT_COUNT] = {
    [FORMAT_F32] = {.epsilon = 0x1p-23f}, [FORMAT_F16] = {.epsilon = 0x1p-10f},
    [FORMAT_BF16] = {.epsilon = 0x1p-7f}, [FORMAT_INT8] = {8, 0, 127.5f, 0},
    [FORMAT_INT4] = {4, 8, 7.5f, 0},      [FORMAT_INT3] = {3, 4, 3.5f, 0},
    [FORMAT_INT2] = {2, 2, 1.5f, 0},      [FORMAT_FP8] = {8, 0, 448, 0x1p-3f},
    [FORMAT_FP4] = {4, 0, 6, 0},          [FORMAT_TERNARY] = {2, 1, 1, 0},
};

int code_bits(enum format f)
{
    return codes[f].bits;
}

int64_t codes_groups(const struct weight *w)
{
    return (w->cols + w->group - 1) / w->group;
}

size_t weight_bytes(const struct weight *w)
{
    size_t rows = (size_t)w->rows, ret = rows * format_row_bytes(w->format, w->cols);
    if (!format_info[w->format].codes || w->group <= 0 || w->group_rows <= 0)
        return ret;
    size_t groups = (size_t)codes_groups(w), group_rows = (size_t)w->group_rows;
    return ret +
           (rows + group_rows - 1) / group_rows * groups * format_row_bytes(w->scale_format, 1) +
           (w->zeros ? rows * groups : 0);
}

/* ---- Reading ---- */

static const uint8_t *row_at(const struct weight *w, int64_t row)
{
    return (const uint8_t *)w->data + (size_t)row * format_row_bytes(w->format, w->cols);
}

/* Code i of a row; only of 3 bits one may lie in two bytes. */
static uint8_t code_at(const uint8_t *row, int bits, int64_t i)
{
    int64_t at = i * bits;
    unsigned two = row[at / 8], mask = (1u << bits) - 1;
    if (at % 8 + bits > 8)
        two |= (unsigned)row[at / 8 + 1] << 8;
    return (uint8_t)(two >> at % 8 & mask);
}

void codes_get(const struct weight *w, int64_t row, int64_t first, int64_t n, uint8_t *ret)
{
    const uint8_t *from = row_at(w, row);
    int bits = codes[w->format].bits;
    if (bits == 8)
        memcpy(ret, from + first, (size_t)n);
    else
        for (int64_t i = 0; i < n; i++)
            ret[i] = code_at(from, bits, first + i);
}

uint8_t codes_zero(const struct weight *w, int64_t row, int64_t group)
{
    return w->zeros ? w->zeros[row * codes_groups(w) + group] : (uint8_t)codes[w->format].zero;
}

float code_value(enum format f, uint8_t code)
{
    return f == FORMAT_INT8  ? (float)(int8_t)code
           : f == FORMAT_FP8 ? fp8_to_f32(code)
           : f == FORMAT_FP4 ? fp4_to_f32(code)
                             : (float)code;
}

/* Where a row's scale of a group is; files align nothing. */
static const uint8_t *scale_at(const struct weight *w, int64_t row, int64_t group)
{
    size_t i = (size_t)(row / w->group_rows * codes_groups(w) + group);
    return (const uint8_t *)w->scales + i * format_row_bytes(w->scale_format, 1);
}

float codes_scale(const struct weight *w, int64_t row, int64_t group)
{
    const uint8_t *p = scale_at(w, row, group);
    float x;
    uint16_t half;
    switch (w->scale_format) {
    case FORMAT_FP8:
        x = fp8_to_f32(*p);
        break;
    case FORMAT_F32:
        memcpy(&x, p, sizeof x);
        break;
    default:
        memcpy(&half, p, sizeof half);
        x = w->scale_format == FORMAT_F16 ? f16_to_f32(half) : bf16_to_f32(half);
    }
    return w->scale * x;
}

void codes_row_to_f32(const struct weight *w, int64_t row, float *ret)
{
    const uint8_t *from = row_at(w, row);
    int bits = codes[w->format].bits;
    for (int64_t group = 0, c = 0; c < w->cols; group++) {
        float d = codes_scale(w, row, group);
        float zero = code_value(w->format, codes_zero(w, row, group));
        int64_t end = c + w->group < w->cols ? c + w->group : w->cols;
        for (; c < end; c++)
            ret[w->perm ? w->perm[c] : c] =
                d * (code_value(w->format, code_at(from, bits, c)) - zero);
    }
}

/* ---- Writing ---- */

static void put_code(uint8_t *row, int bits, int64_t i, uint8_t code)
{
    int64_t at = i * bits;
    unsigned mask = (1u << bits) - 1, shift = (unsigned)(at % 8), two = (unsigned)code << shift;
    row[at / 8] = (uint8_t)((row[at / 8] & ~(mask << shift)) | two);
    if (shift + (unsigned)bits > 8)
        row[at / 8 + 1] = (uint8_t)((row[at / 8 + 1] & ~(mask << shift >> 8)) | two >> 8);
}

/* The zero point is added before rounding, as a number around the format's own zero. */
static uint8_t code_of(enum format f, float x, float d, uint8_t zero)
{
    float q = d > 0 ? x / d : 0;
    if (f == FORMAT_FP8)
        return fp8_from_f32(q);
    if (f == FORMAT_FP4)
        return fp4_from_f32(q);
    int bits = codes[f].bits, own = codes[f].zero;
    int most = f == FORMAT_TERNARY ? 2 : (1 << bits) - 1, least = f == FORMAT_INT8 ? -128 : 0;
    q = rintf(q + (code_value(f, zero) - (float)own)) + (float)own;
    return (uint8_t)(int)fminf(fmaxf(q, (float)least), (float)(most + least));
}

void weight_row_from_f32(const struct weight *w, int64_t row, const float *x)
{
    uint8_t *to = (uint8_t *)(uintptr_t)row_at(w, row);
    int bits = codes[w->format].bits;
    memset(to, 0, format_row_bytes(w->format, w->cols));
    for (int64_t c = 0; c < w->cols; c++) {
        float d = codes_scale(w, row, c / w->group);
        float v = x[w->perm ? w->perm[c] : c];
        put_code(to, bits, c, code_of(w->format, v, d, codes_zero(w, row, c / w->group)));
    }
}

/* ---- Scales ---- */

/* As scale_format; 0, or what becomes 0, is the least that the format should have. */
static void put_scale(const struct weight *w, int64_t row, int64_t group, float x)
{
    uint8_t *to = (uint8_t *)(uintptr_t)scale_at(w, row, group);
    enum format f = w->scale_format;
    if (f == FORMAT_F32) {
        x = x > 0 ? x : codes[f].epsilon;
        memcpy(to, &x, sizeof x);
        return;
    }
    if (f == FORMAT_FP8) {
        uint8_t c = fp8_from_f32(x);
        *to = c ? c : fp8_from_f32(codes[f].epsilon);
        return;
    }
    uint16_t half = f == FORMAT_F16 ? f16_from_f32(x) : bf16_from_f32(x);
    if (half == 0)
        half = f == FORMAT_F16 ? f16_from_f32(codes[f].epsilon) : bf16_from_f32(codes[f].epsilon);
    memcpy(to, &half, sizeof half);
}

static int too_great(const struct weight *w, int64_t row, int64_t group, float d, float limit,
                     struct error *err)
{
    return error_set(err, E_INPUT,
                     "cannot quantize to %s: row %lld, columns from %lld on, has values that are "
                     "not finite or need a scale of %g, and %s holds %g at most; check the "
                     "checkpoint, or leave this tensor unquantized",
                     format_info[w->format].name, (long long)row, (long long)(group * w->group),
                     (double)d, format_info[w->scale_format].name, (double)limit);
}

int weight_group_fit(const struct weight *w, int64_t row, int64_t group, float low, float high,
                     struct error *err)
{
    const struct code_format *f = &codes[w->format];
    float limit = w->scale_format == FORMAT_F16   ? 65504
                  : w->scale_format == FORMAT_FP8 ? 448
                                                  : FLT_MAX;
    float steps = (float)((1 << f->bits) - 1);
    low = fminf(low, 0) + 0 * low; /* a NaN stays one */
    high = fmaxf(high, 0) + 0 * high;
    float d = w->zeros ? (high - low) / steps : fmaxf(-low, high) / f->reach;
    d = (d + 0 * low + 0 * high) / w->scale;
    if (w->scale_format == FORMAT_FP8 && d > limit && d <= FLT_MAX)
        d = limit; /* values that a method has moved since the matrix' scale was found */
    if (!(d <= limit))
        return too_great(w, row, group, d, limit, err);
    put_scale(w, row, group, d);
    if (w->zeros) {
        float least = w->format == FORMAT_INT8 ? -128 : 0;
        float zero = rintf(fminf(least - low / codes_scale(w, row, group), least + steps));
        ((uint8_t *)(uintptr_t)w->zeros)[row * codes_groups(w) + group] = (uint8_t)(int)zero;
    }
    return 0;
}

float weight_nearest(const struct weight *w, int64_t row, int64_t group, float x)
{
    float d = codes_scale(w, row, group);
    uint8_t zero = codes_zero(w, row, group);
    float code = code_value(w->format, code_of(w->format, x, d, zero));
    return d * (code - code_value(w->format, zero));
}

/* The least and the greatest value of a group of the row, or the mean size and its negative; NaN or
 * infinite if a value is. */
static void group_range(const struct weight *w, int64_t group, const float *x, float *low,
                        float *high)
{
    int64_t c = group * w->group, end = c + w->group < w->cols ? c + w->group : w->cols;
    float not_finite = 0;
    double sum = 0;
    *low = *high = 0;
    for (int64_t n = c; n < end; n++) {
        float v = x[w->perm ? w->perm[n] : n];
        *low = fminf(*low, v);
        *high = fmaxf(*high, v);
        sum += fabs((double)v);
        not_finite += v * 0;
    }
    if (w->format == FORMAT_TERNARY) {
        *high = (float)(sum / (double)(end - c));
        *low = -*high;
    }
    *high += not_finite;
}

int weight_row_scales(const struct weight *w, int64_t row, const float *x, struct error *err)
{
    int r = 0;
    for (int64_t group = 0; group < codes_groups(w) && r == 0; group++) {
        float low, high;
        group_range(w, group, x, &low, &high);
        r = weight_group_fit(w, row, group, low, high, err);
    }
    return r;
}

/* ---- Activations ---- */

static float activation_code(enum activation kind, float q)
{
    return kind == X_INT8  ? fminf(fmaxf(rintf(q), -128), 127)
           : kind == X_FP8 ? fp8_to_f32(fp8_from_f32(q))
                           : fp4_to_f32(fp4_from_f32(q));
}

/* The scale of a token's group whose greatest value is `most`. */
static float activation_scale(const struct weight *w, float most)
{
    if (w->x.kind == X_FP4) {
        float s = fp8_to_f32(fp8_from_f32(most / 6 / w->x.scale));
        return (s > 0 ? s : 0x1p-3f) * w->x.scale;
    }
    float reach = w->x.kind != X_INT8 ? 448 : w->x.reach > 0 ? w->x.reach : 127.5f;
    float s = w->x.scale > 0 ? w->x.scale : most / reach;
    return s > 0 ? s : FLT_EPSILON;
}

void quantized_token(const struct weight *w, const float *x, float *ret)
{
    int64_t group = w->x.group > 0 ? w->x.group : w->cols;
    for (int64_t c = 0; c < w->cols; c++)
        if (!isfinite(x[c])) {
            for (int64_t i = 0; i < w->cols; i++)
                ret[i] = NAN;
            return;
        }
    for (int64_t first = 0; first < w->cols; first += group) {
        int64_t end = first + group < w->cols ? first + group : w->cols;
        float most = 0;
        for (int64_t c = first; c < end; c++)
            most = fmaxf(most, fabsf(x[c]));
        float scale = activation_scale(w, most);
        for (int64_t c = first; c < end; c++)
            ret[c] = scale * activation_code(w->x.kind, x[c] / scale);
    }
}

/* ---- What can be computed with ---- */

bool int8_exact(const struct weight *w)
{
    enum { MOST = 131071, MOST_ZEROS = 65535 }; /* 128 * 128, 128 * 255 times that fit 32 bits */
    if (w->x.kind != X_INT8 || w->x.group > 0 || !format_info[w->format].takes_int8)
        return false;
    int64_t group = w->group < w->cols ? w->group : w->cols;
    return !format_info[w->format].codes || group <= (w->zeros ? MOST_ZEROS : MOST);
}

/* What goes with codes; the sentence ends the caller's. NULL: all is well. */
static const char *wrong_with_codes(const struct weight *w)
{
    enum format s = w->scale_format;
    bool integer = w->format == FORMAT_INT8 || w->format == FORMAT_INT4 ||
                   w->format == FORMAT_INT3 || w->format == FORMAT_INT2;
    return !w->scales                          ? "it has no scales"
           : w->group < 1 || w->group_rows < 1 ? "it has no groups"
           : s != FORMAT_F32 && s != FORMAT_F16 && s != FORMAT_BF16 && s != FORMAT_FP8
               ? "scales are f32, f16, bf16 or fp8"
           : !isfinite(w->scale) || w->scale <= 0 ? "its one scale is no positive number"
           : w->zeros && !integer                 ? "only whole numbers have zero points"
                                                  : NULL;
}

/* A column's place that x does not have, or a code of FP8 that is NaN: files may hold anything. */
static int check_codes(const struct weight *w, struct error *err)
{
    const char *wrong = wrong_with_codes(w);
    if (wrong)
        return error_set(err, E_UNSUPPORTED, "cannot use a %s weight: %s",
                         format_info[w->format].name, wrong);
    for (int64_t c = 0; w->perm && c < w->cols; c++)
        if (w->perm[c] < 0 || w->perm[c] >= w->cols)
            return error_set(err, E_INPUT,
                             "cannot use a %s weight: its column %lld is to multiply input %d, and "
                             "there are %lld",
                             format_info[w->format].name, (long long)c, w->perm[c],
                             (long long)w->cols);
    const uint8_t *p = w->data;
    size_t n = (size_t)w->rows * (size_t)w->cols, nans = 0;
    for (size_t i = 0; w->format == FORMAT_FP8 && i < n; i++)
        nans += (p[i] & 0x7f) == 0x7f;
    if (nans)
        return error_set(err, E_INPUT,
                         "cannot use a fp8 weight: %zu of its %zu codes are no numbers (NaN); the "
                         "file is damaged, or quantizing went wrong",
                         nans, n);
    return 0;
}

int weight_check(const struct weight *w, struct error *err)
{
    const struct format_info *info = &format_info[w->format];
    size_t bytes = w->cols > 0 ? format_row_bytes(w->format, w->cols) : 0;
    if (w->rows <= 0 || w->rows > INT32_MAX || w->cols > INT32_MAX || bytes == 0)
        return error_set(err, E_UNSUPPORTED,
                         "cannot use a %s weight of %lld rows and %lld columns: both must lie "
                         "between 1 and %d, the columns in multiples of %d",
                         info->name, (long long)w->rows, (long long)w->cols, INT32_MAX,
                         info->codes ? 1 : info->block);
    if (w->x.kind == X_FP4 && !(w->x.scale > 0 && w->x.group > 0))
        return error_set(err, E_UNSUPPORTED,
                         "cannot multiply a %s weight with FP4 activations: they need a scale of "
                         "their own and groups (of 16)",
                         info->name);
    return info->codes ? check_codes(w, err) : 0;
}
