/* check_int8.c: products of activations quantized to INT8. Their definition leaves no bit open, so
 * every level must give the reference's own bits; and the reference must lie within half a step of
 * quantization of the product of the floats. */
#include <stdlib.h>

#include "base/arena.h"
#include "tests/kernels/levels.h"

static const struct code_variant codes[] = {
    {FORMAT_INT8, FORMAT_F16, 0, 1, false, false, 1},
    {FORMAT_INT8, FORMAT_BF16, 128, 1, false, true, 1},
    {FORMAT_INT8, FORMAT_F32, 32, 2, true, false, 1},
    {FORMAT_INT8, FORMAT_F32, 0, 1, true, false, 1},
    {FORMAT_INT8, FORMAT_FP8, 16, 1, true, true, 0.5f},
    {FORMAT_INT4, FORMAT_F16, 0, 1, false, false, 1},
    {FORMAT_INT4, FORMAT_F16, 128, 1, false, false, 1},
    {FORMAT_INT4, FORMAT_BF16, 32, 1, true, true, 1},
    {FORMAT_INT4, FORMAT_F32, 15, 1, true, false, 1},
    {FORMAT_INT4, FORMAT_F32, 41, 1, false, false, 1},
    {FORMAT_INT2, FORMAT_F16, 64, 1, true, false, 1},
    {FORMAT_TERNARY, FORMAT_BF16, 0, 0, false, false, 1},
    {FORMAT_TERNARY, FORMAT_F32, 16, 1, false, false, 1},
};
static const enum format blocks[] = {FORMAT_Q8_0, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K};
enum { N_CODES = sizeof codes / sizeof *codes, N_FORMATS = N_CODES + 4 };

static const char *name_of(int f)
{
    return f < N_CODES ? code_variant_name(&codes[f]) : format_info[blocks[f - N_CODES]].name;
}

static int block_of(int f)
{
    return f < N_CODES ? 19 : format_info[blocks[f - N_CODES]].block;
}

static struct weight weight_of(int f, int N, int K)
{
    struct weight w =
        f < N_CODES ? random_codes(&codes[f], N, K) : random_weight(blocks[f - N_CODES], N, K);
    w.x.kind = X_INT8;
    return w;
}

/* bounds[T, N] and the exact products: each x is off by half a step, one at the end of the range
 * too; runs, scales and offsets round. */
static double *exact_products(double *ret, const float *x, const struct weight *w, int T)
{
    size_t N = (size_t)w->rows, K = (size_t)w->cols;
    double *bounds = mem_alloc((size_t)T * N + 1, sizeof *bounds);
    float *row = mem_alloc(K, sizeof *row);
    for (size_t n = 0; n < N; n++) {
        weight_row_to_f32(w, (int64_t)n, row);
        for (size_t t = 0; t < (size_t)T; t++) {
            double sum = 0, weights = 0, most = 0;
            for (size_t k = 0; k < K; k++) {
                sum += (double)x[t * K + k] * (double)row[k];
                weights += fabs((double)row[k]);
                most = fmax(most, fabs((double)x[t * K + k]));
            }
            ret[t * N + n] = sum;
            /* Q4_1 and Q4_K multiply codes and offsets apart: both may be larger than their sum */
            double rounding = (double)K * U * most * (weights + (double)K * 2) * 4;
            bounds[t * N + n] = 0.501 * most / 127.5 * weights + rounding;
        }
    }
    free(row);
    return bounds;
}

static void int8_shape(int f, int T, int N, int K, const float *bias)
{
    size_t n = (size_t)T * (size_t)N;
    float *x = random_floats((size_t)T * (size_t)K), *want = floats(n), *got = floats(n);
    struct weight w = weight_of(f, N, K);
    double *exact = mem_alloc(n + 1, sizeof *exact), *bounds = exact_products(exact, x, &w, T);
    tool_begin("ref");
    tool_shape("int8 %s T=%d N=%d K=%d", name_of(f), T, N, K);
    ref->linear(ref->dev, want, x, &w, NULL, T);
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)want[i] - exact[i]) <= bounds[i])) {
            tool_fail("[%zu] is %.9g, not %.9g within %g", i, (double)want[i], exact[i], bounds[i]);
            break;
        }
    ref->linear(ref->dev, want, x, &w, bias, T);
    FOR_LEVELS(l)
    {
        struct weight own = packed(l, &w);
        l->k[1].linear(l->k[1].dev, got, x, &own, bias, T);
        tool_same_bits(want, got, n, "as the reference");
        linear_invariance(l, got, x, &own, bias, T);
        unpack(l, &own);
    }
    free(exact);
    free(bounds);
    floats_free(x);
    floats_free(want);
    floats_free(got);
    weight_drop(&w);
}

void int8(void)
{
    static const struct {
        int T, N, blocks;
    } shapes[] = {{0, 3, 1},  {1, 1, 1},   {2, 33, 2}, {3, 16, 1},
                  {7, 49, 3}, {13, 17, 4}, {100, 5, 2}};
    float *bias = random_floats(64);
    for (int f = 0; f < N_FORMATS; f++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            int8_shape(f, shapes[i].T, shapes[i].N, shapes[i].blocks * block_of(f),
                       i % 2 ? bias : NULL);
    for (int f = 0; f < N_FORMATS; f++)
        int8_shape(f, 4, 20, f < N_CODES ? 1571 : 1536, bias);
    floats_free(bias);
}

/* The greatest codes everywhere, of either sign: nothing overflows or saturates. And a token that
 * is zero, or has a NaN or an infinity, which stays its own affair. */
void int8_extremes(void)
{
    enum { T = 6, N = 34, K = 2048 };
    float *x = floats(T * K), *want = floats(T * N), *got = floats(T * N);
    for (int f = 0; f < N_FORMATS; f++)
        for (int sign = -1; sign <= 1; sign += 2) {
            struct weight w = weight_of(f, N, K);
            weight_extreme_codes(&w, sign > 0);
            for (int i = 0; i < T * K; i++)
                x[i] = i < K ? -1 : i < 2 * K ? 1 : i < 3 * K ? 0 : i % 2 ? 1.0f : -1;
            x[4 * K + 77] = NAN;
            x[5 * K + 2047] = -INFINITY;
            ref->linear(ref->dev, want, x, &w, NULL, T);
            FOR_LEVELS(l)
            {
                tool_shape("int8 %s, extreme codes %+d", name_of(f), sign);
                struct weight own = packed(l, &w);
                l->k[1].linear(l->k[1].dev, got, x, &own, NULL, T);
                tool_same_bits(want, got, 4 * N, "as the reference");
                for (int i = 0; i < T * N; i++) {
                    if (i >= 4 * N ? isnan(got[i]) : isfinite(got[i]))
                        continue;
                    tool_fail("[%d] is %g", i, (double)got[i]);
                    break;
                }
                unpack(l, &own);
            }
            EXPECT(want[2 * N] == 0);
            weight_drop(&w);
        }
    floats_free(x);
    floats_free(want);
    floats_free(got);
}

/* ---- All ways to quantize a token ---- */

static const struct activation_variant {
    const char *name;
    enum activation kind;
    int group;
    float scale;
} activations[] = {
    {"int8 token", X_INT8, 0, 0},      {"int8 static", X_INT8, 0, 0.011f},
    {"int8 group", X_INT8, 48, 0},     {"fp8 token", X_FP8, 0, 0},
    {"fp8 static", X_FP8, 0, 0.0031f}, {"fp8 group", X_FP8, 128, 0},
    {"fp4 group", X_FP4, 16, 0.0021f},
};
enum { N_ACTIVATIONS = sizeof activations / sizeof *activations };

/* The nearest number of a float format with `bits` of fraction, whose least exponent is `least`. */
static double nearest(double x, int bits, int least, double most)
{
    int exponent;
    frexp(x, &exponent);
    exponent = exponent - 1 < least ? least : exponent - 1;
    double unit = ldexp(1, exponent - bits);
    return fmax(-most, fmin(most, nearbyint(x / unit) * unit));
}

static double code_of(enum activation kind, double q)
{
    return kind == X_INT8  ? fmax(-128, fmin(127, nearbyint(q)))
           : kind == X_FP8 ? nearest(q, 3, -6, 448)
                           : nearest(q, 1, 0, 6);
}

/* The rule in kernels.h once more, by other means: scales and quotients in float, as it says, codes
 * and products in double. */
static void token_in_double(const struct weight *w, const float *x, double *ret)
{
    int64_t group = w->x.group ? w->x.group : w->cols;
    for (int64_t first = 0; first < w->cols; first += group) {
        int64_t end = first + group < w->cols ? first + group : w->cols;
        float most = 0, reach = w->x.kind == X_INT8 ? 127.5f : w->x.kind == X_FP8 ? 448 : 6;
        for (int64_t c = first; c < end; c++)
            most = fmaxf(most, fabsf(x[c]));
        float scale = w->x.scale != 0 ? w->x.scale : most / reach;
        if (w->x.kind == X_FP4) {
            float part = (float)nearest((double)(most / reach / w->x.scale), 3, -6, 448);
            scale = (part == 0 ? 0.125f : part) * w->x.scale;
        }
        if (scale == 0)
            scale = 0x1p-23f;
        for (int64_t c = first; c < end; c++)
            ret[c] = (double)scale * code_of(w->x.kind, (double)(x[c] / scale));
    }
}

static void activation_shape(const struct activation_variant *v, struct weight w, const char *name,
                             int T)
{
    size_t N = (size_t)w.rows, K = (size_t)w.cols, n = (size_t)T * N;
    float *x = tame_floats((size_t)T * K, 2), *got = floats(n), *row = floats(K);
    double *q = mem_alloc(K, sizeof *q), *want = mem_alloc(n, sizeof *want);
    double *bounds = mem_alloc(n, sizeof *bounds);
    w.x.kind = v->kind;
    w.x.group = v->group;
    w.x.scale = v->scale;
    memset(x, 0, K * sizeof *x); /* a token of nothing */
    for (size_t t = 0; t < (size_t)T; t++) {
        token_in_double(&w, x + t * K, q);
        for (size_t i = 0; i < N; i++) {
            double sum = 0, magnitude = 0, largest = 0;
            weight_row_to_f32(&w, (int64_t)i, row);
            for (size_t k = 0; k < K; k++) {
                sum += q[k] * (double)row[k];
                magnitude += fabs(q[k] * (double)row[k]);
                largest = fmax(largest, fabs(q[k]));
            }
            want[t * N + i] = sum;
            /* as a dot product's, and one rounding of q and two of w's scale and zero; whole
             * numbers multiply codes and offsets apart, which may be larger than their sum */
            bounds[t * N + i] =
                ((double)K + 5) * U * (magnitude + largest * (double)K * 0.5) + 1e-42;
        }
    }
    FOR_LEVELS(l)
    {
        tool_shape("%s activations, %s T=%d N=%zu K=%zu", v->name, name, T, N, K);
        struct weight own = packed(l, &w);
        l->k[1].linear(l->k[1].dev, got, x, &own, NULL, T);
        for (size_t i = 0; i < n; i++)
            if (!(fabs((double)got[i] - want[i]) <= bounds[i])) {
                tool_fail("[%zu] is %.9g, not %.9g within %g", i, (double)got[i], want[i],
                          bounds[i]);
                break;
            }
        linear_invariance(l, got, x, &own, NULL, T);
        unpack(l, &own);
    }
    free(q);
    free(want);
    free(bounds);
    floats_free(x);
    floats_free(got);
    floats_free(row);
    weight_drop(&w);
}

void quantized_activations(void)
{
    for (size_t a = 0; a < N_ACTIVATIONS; a++) {
        for (int i = 0; i < n_code_variants; i++) {
            struct weight w = random_codes(&code_variants[i], 5 + 31 * (i % 2), 300);
            activation_shape(&activations[a], w, code_variant_name(&code_variants[i]), 1 + i % 7);
        }
        for (int f = 0; f < FORMAT_COUNT; f++)
            if (!format_info[f].codes) {
                struct weight w = random_weight((enum format)f, 3 + f, 512);
                activation_shape(&activations[a], w, format_info[f].name, 3);
            }
    }
}

/* A NaN or an infinity makes its own token NaN, all of it. */
void activations_not_finite(void)
{
    enum { T = 4, N = 9, K = 300 };
    float *x = random_floats(T * K), *y = floats(T * N);
    x[1 * K + 299] = NAN;
    x[3 * K + 2] = -INFINITY;
    for (size_t a = 0; a < N_ACTIVATIONS; a++)
        for (int i = 0; i < n_code_variants; i++) {
            struct weight w = random_codes(&code_variants[i], N, K);
            w.x.kind = activations[a].kind;
            w.x.group = activations[a].group;
            w.x.scale = activations[a].scale;
            FOR_LEVELS(l)
            {
                tool_shape("%s activations that are not finite, %s", activations[a].name,
                           code_variant_name(&code_variants[i]));
                struct weight own = packed(l, &w);
                l->k[1].linear(l->k[1].dev, y, x, &own, NULL, T);
                unpack(l, &own);
                for (int n = 0; n < T * N; n++)
                    if (isnan(y[n]) != (n / N % 2 == 1))
                        tool_fail("[%d] is %g", n, (double)y[n]);
            }
            weight_drop(&w);
        }
    floats_free(x);
    floats_free(y);
}
