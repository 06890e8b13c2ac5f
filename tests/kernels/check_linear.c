/* check_linear.c: products with weights of every format. */
#include <stdlib.h>

#include "base/arena.h"
#include "kernels/format.h"
#include "tests/kernels/levels.h"

/* The bound of a dot product: each of K additions rounds a partial sum that is no larger than
 * sum |x||w|; the bias and the reference's own rounding add two. */
static double bound_of_dot(int64_t K, double magnitude)
{
    return ((double)K + 2) * U * magnitude + 1e-44 * (double)K;
}

/* bounds[T, N] for y = x w^T + bias. */
double *linear_bounds(const float *x, const struct weight *w, const float *bias, int T)
{
    size_t N = (size_t)w->rows, K = (size_t)w->cols;
    double *ret = mem_alloc((size_t)T * N + 1, sizeof *ret);
    float *row = mem_alloc(K, sizeof *row);
    for (size_t n = 0; n < N; n++) {
        weight_row_to_f32(w, (int64_t)n, row);
        for (size_t t = 0; t < (size_t)T; t++) {
            double magnitude = bias ? fabs((double)bias[n]) : 0;
            for (size_t k = 0; k < K; k++)
                magnitude += fabs((double)x[t * K + k] * row[k]);
            ret[t * N + n] = bound_of_dot(w->cols, magnitude);
        }
    }
    free(row);
    return ret;
}

void linear_invariance(const struct level *l, const float *y, const float *x,
                       const struct weight *w, const float *bias, int T)
{
    size_t N = (size_t)w->rows, K = (size_t)w->cols, n = (size_t)T * N;
    float *other = floats(n);
    memcpy(other, y, n * sizeof *y);
    for (int threads = 0; threads < (l->slow ? 1 : 3); threads++) {
        const struct kernels *k = &l->k[threads];
        k->linear(k->dev, other, x, w, bias, T);
        tool_same_bits(y, other, n, "%d threads", threads + 1);
        size_t step = l->slow ? 1 + (size_t)T / 3 : 1;
        for (size_t t = 0; threads == 0 && t < (size_t)T; t += step)
            k->linear(k->dev, other + t * N, x + t * K, w, bias, 1);
        tool_same_bits(y, other, n, "rows alone");
        size_t cut = (size_t)T / 3 + (size_t)threads;
        if (cut > (size_t)T)
            continue;
        k->linear(k->dev, other + cut * N, x + cut * K, w, bias, T - (int)cut);
        k->linear(k->dev, other, x, w, bias, (int)cut);
        tool_same_bits(y, other, n, "cut after row %zu", cut);
    }
    floats_free(other);
}

/* The weight is given up. */
static void linear_shape(struct weight w, const char *name, int T, bool biased)
{
    int N = (int)w.rows, K = (int)w.cols;
    float *x = random_floats((size_t)T * (size_t)K), *bias = random_floats((size_t)N);
    float *want = floats((size_t)T * (size_t)N), *got = floats((size_t)T * (size_t)N);
    const float *b = biased ? bias : NULL;
    double *bounds = linear_bounds(x, &w, b, T);
    ref->linear(ref->dev, want, x, &w, b, T);
    FOR_LEVELS(l)
    {
        tool_shape("linear %s T=%d N=%d K=%d%s", name, T, N, K, biased ? " bias" : "");
        struct weight own = packed(l, &w);
        l->k[1].linear(l->k[1].dev, got, x, &own, b, T);
        tool_close(want, got, (size_t)T * (size_t)N, bounds);
        linear_invariance(l, got, x, &own, b, T);
        unpack(l, &own);
    }
    free(bounds);
    floats_free(x);
    floats_free(bias);
    floats_free(want);
    floats_free(got);
    weight_drop(&w);
}

void linear(void)
{
    static const struct shape {
        int T, N, K;
    } any[] = {{0, 3, 5},    {1, 1, 1},     {1, 5, 7},    {2, 3, 9},    {3, 4, 8},
               {4, 9, 31},   {5, 2, 33},    {7, 13, 100}, {70, 6, 172}, {73, 5, 67},
               {10, 70, 64}, {2, 37, 803},  {6, 5, 1601}, {76, 9, 770}, {1, 130, 95},
               {200, 3, 40}, {8, 35, 1601}, {5, 34, 900}, {4, 7, 1000}, {16, 33, 777}},
      blocks[] = {{0, 3, 32},   {1, 1, 32},   {1, 7, 64},   {2, 2, 96},   {3, 5, 160},
                  {4, 4, 64},   {5, 37, 64},  {70, 6, 96},  {73, 3, 64},  {2, 35, 800},
                  {7, 9, 1568}, {1, 130, 96}, {76, 2, 832}, {8, 35, 800}, {3, 103, 1600},
                  {5, 34, 864}, {4, 7, 1024}},
      supers[] = {{0, 3, 256}, {1, 1, 256},   {1, 130, 512}, {2, 37, 256}, {3, 67, 768},
                  {4, 4, 512}, {13, 34, 256}, {70, 3, 1024}, {7, 9, 1280}};
    for (int f = 0; f < FORMAT_COUNT; f++) {
        int block = format_info[f].block;
        size_t n = block == 1    ? sizeof any / sizeof *any
                   : block == 32 ? sizeof blocks / sizeof *blocks
                                 : sizeof supers / sizeof *supers;
        for (size_t i = 0; i < n; i++) {
            struct shape s = block == 1 ? any[i] : block == 32 ? blocks[i] : supers[i];
            struct weight w = random_weight((enum format)f, s.N, s.K);
            linear_shape(w, format_info[f].name, s.T, i & 1);
        }
    }
}

/* Codes with every kind of scales, zeros and order. */
void linear_codes(void)
{
    static const struct shape {
        int T, N, K;
    } shapes[] = {{0, 3, 5},  {1, 1, 1},     {1, 5, 7},    {2, 3, 33},   {3, 37, 172},
                  {5, 2, 64}, {7, 130, 257}, {4, 9, 1601}, {70, 35, 800}};
    for (int i = 0; i < n_code_variants; i++)
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++) {
            struct weight w = random_codes(&code_variants[i], shapes[j].N, shapes[j].K);
            linear_shape(w, code_variant_name(&code_variants[i]), shapes[j].T, j & 1);
        }
}

/* A unit vector reads one weight out: every path multiplies exactly the reference's floats, for
 * every code of every format. */
static void weights_exact(const struct level *l, struct weight w, int T)
{
    enum { MOST_N = 66, MOST_K = 1024 };
    static float rows[MOST_N][MOST_K], x[4 * MOST_K], got[4 * MOST_N];
    int N = (int)w.rows, K = (int)w.cols;
    for (int n = 0; n < N; n++)
        weight_row_to_f32(&w, n, rows[n]);
    struct weight own = packed(l, &w);
    const struct kernels *fast = &l->k[0];
    for (int k = 0; k < K; k += l->slow ? 101 : 1) {
        memset(x, 0, sizeof x);
        for (int t = 0; t < T; t++)
            x[t * K + (k + 7 * t) % K] = 1;
        fast->linear(fast->dev, got, x, &own, NULL, T);
        for (int t = 0; t < T; t++)
            for (int n = 0; n < N; n++) {
                float want = rows[n][(k + 7 * t) % K];
                if (got[t * N + n] != want) {
                    tool_fail("row %d, k=%d is %.9g, not %.9g", n, (k + 7 * t) % K,
                              (double)got[t * N + n], (double)want);
                    k = K;
                    n = N;
                    t = T;
                }
            }
    }
    unpack(l, &own);
    weight_drop(&w);
}

void weights(void)
{
    FOR_LEVELS(l)
    {
        if (l == levels)
            continue;
        for (int f = 0; f < FORMAT_COUNT; f++)
            for (int T = 1; T <= 4; T++) {
                struct weight w = random_weight((enum format)f, f <= FORMAT_BF16 ? 66 : 34,
                                                f <= FORMAT_BF16 ? 1024 : 512);
                weight_all_codes(&w);
                tool_shape("weights %s T=%d", format_info[f].name, T);
                weights_exact(l, w, T);
            }
        for (int i = 0; i < n_code_variants; i++) {
            struct weight w = random_codes(&code_variants[i], 34, 512);
            tool_shape("weights %s", code_variant_name(&code_variants[i]));
            weights_exact(l, w, 1 + i % 4);
        }
    }
}

/* A packed weight takes what the file has of it, and a tenth more at most: memory is what a
 * quantized model saves. */
static void packed_size(const struct level *l, const struct weight *w, const char *name)
{
    size_t packed = l->k[0].packed_bytes(l->k[0].dev, w), file = weight_bytes(w);
    tool_shape("packed bytes of %s%s", name, w->x.kind == X_INT8 ? " with int8 activations" : "");
    if (packed > 0 && ((double)packed > 1.1 * (double)file || packed < file / 2))
        tool_fail("%zu bytes, the file has %zu", packed, file);
}

void packed_sizes(void)
{
    FOR_LEVELS(l)
    {
        for (int f = 0; f < FORMAT_COUNT; f++) {
            struct weight w = random_weight((enum format)f, 640, 1536);
            packed_size(l, &w, format_info[f].name);
            w.x.kind = X_INT8;
            packed_size(l, &w, format_info[f].name);
            weight_drop(&w);
        }
        for (int i = 0; i < 16; i++) { /* those that files have */
            struct weight w = random_codes(&code_variants[i], 640, 1536);
            packed_size(l, &w, code_variant_name(&code_variants[i]));
            weight_drop(&w);
        }
    }
}

/* A NaN or an infinity stays in its own row or column. */
void linear_not_finite(void)
{
    enum { T = 5, N = 9, K = 67 };
    float *x = random_floats(T * K), *y = floats(T * N);
    struct weight w = random_weight(FORMAT_F32, N, K);
    x[1 * K + 66] = NAN;
    x[3 * K + 2] = INFINITY;
    FOR_LEVELS(l)
    {
        tool_shape("linear with NaN and infinity");
        struct weight own = packed(l, &w);
        l->k[1].linear(l->k[1].dev, y, x, &own, NULL, T);
        unpack(l, &own);
        for (int t = 0; t < T; t++)
            for (int n = 0; n < N; n++) {
                float v = y[t * N + n];
                EXPECT(t == 1 ? isnan(v) : t == 3 ? !isfinite(v) : isfinite(v));
            }
    }
    floats_free(x);
    floats_free(y);
    weight_drop(&w);
}
