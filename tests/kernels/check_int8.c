/* check_int8.c: products of activations quantized to INT8. Their definition leaves no bit open, so
 * every level must give the reference's own bits; and the reference must lie within half a step of
 * quantization of the product of the floats. */
#include <stdlib.h>

#include "base/arena.h"
#include "tests/kernels/levels.h"

static const enum format formats[] = {
    FORMAT_INT8,     FORMAT_INT8_G32, FORMAT_INT8_G64, FORMAT_INT8_G128,
    FORMAT_INT4_G32, FORMAT_INT4_G64, FORMAT_Q8_0,     FORMAT_INT4_G128,
    FORMAT_Q4_0,     FORMAT_Q4_1,     FORMAT_Q4_K,
};
enum { N_FORMATS = sizeof formats / sizeof *formats };

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

static void int8_shape(enum format f, int T, int N, int K, const float *bias)
{
    size_t n = (size_t)T * (size_t)N;
    float *x = random_floats((size_t)T * (size_t)K), *want = floats(n), *got = floats(n);
    struct weight w = random_weight(f, N, K);
    double *exact = mem_alloc(n + 1, sizeof *exact), *bounds = exact_products(exact, x, &w, T);
    w.x_int8 = true;
    tool_begin("ref");
    tool_shape("int8 %s T=%d N=%d K=%d", format_info[f].name, T, N, K);
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
            int8_shape(formats[f], shapes[i].T, shapes[i].N,
                       shapes[i].blocks * format_info[formats[f]].block, i % 2 ? bias : NULL);
    int8_shape(FORMAT_INT8, 4, 20, 1568, bias);
    int8_shape(FORMAT_Q4_0, 4, 20, 1568, bias);
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
            struct weight w = random_weight(formats[f], N, K);
            weight_extreme_codes(&w, sign > 0);
            w.x_int8 = true;
            for (int i = 0; i < T * K; i++)
                x[i] = i < K ? -1 : i < 2 * K ? 1 : i < 3 * K ? 0 : i % 2 ? 1.0f : -1;
            x[4 * K + 77] = NAN;
            x[5 * K + 2047] = -INFINITY;
            ref->linear(ref->dev, want, x, &w, NULL, T);
            FOR_LEVELS(l)
            {
                tool_shape("int8 %s, extreme codes %+d", format_info[formats[f]].name, sign);
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

void int8_refused(void)
{
    FOR_LEVELS(l)
    {
        struct error e = {0};
        struct weight w = {.format = FORMAT_F32, .rows = 1, .cols = 32, .data = "", .x_int8 = true};
        EXPECT_ERROR(l->k[0].weight_pack(l->k[0].dev, &w, &e), &e, E_UNSUPPORTED, "4 or 8 bits");
        w.format = FORMAT_INT8;
        w.cols = 131072;
        EXPECT_ERROR(l->k[0].weight_pack(l->k[0].dev, &w, &e), &e, E_UNSUPPORTED, "131071");
    }
}
