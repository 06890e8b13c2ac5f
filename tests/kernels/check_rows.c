/* check_rows.c: operations on rows and elements. */
#include <stdlib.h>

#include "base/arena.h"
#include "kernels/format.h"
#include "tests/kernels/levels.h"

static const enum format dtypes[] = {FORMAT_F32, FORMAT_F16, FORMAT_BF16};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

/* Rounded operations are the plain ones, rounded; rows alone and in place are rows. */
static void add_rmsnorm_fused(const struct level *l, const float *x, const float *more,
                              const float *w, int T, int D, enum format dtype)
{
    const struct kernels *k = &l->k[1], *one = &l->k[0];
    size_t n = (size_t)T * (size_t)D;
    float *sum = floats(n), *want = floats(n), *x2 = floats(n), *y = floats(n);
    memcpy(sum, x, n * sizeof *x);
    memcpy(x2, x, n * sizeof *x);
    memcpy(y, more, n * sizeof *x);
    k->add(k->dev, sum, more, n, dtype);
    k->add_rmsnorm(k->dev, want, sum, NULL, w, T, D, 1e-5f, FORMAT_F32);
    k->round_to(k->dev, want, n, dtype);
    l->k[2].add_rmsnorm(l->k[2].dev, y, x2, y, w, T, D, 1e-5f, dtype);
    tool_same_bits(sum, x2, n, "the sum");
    tool_same_bits(want, y, n, "over what was added");
    memcpy(x2, x, n * sizeof *x);
    for (size_t t = 0, at = 0; t < (size_t)T; t++, at += (size_t)D)
        one->add_rmsnorm(one->dev, y + at, x2 + at, more + at, w, 1, D, 1e-5f, dtype);
    tool_same_bits(want, y, n, "rows alone");
    k->add_rmsnorm(k->dev, sum, sum, NULL, w, T, D, 1e-5f, dtype);
    tool_same_bits(want, sum, n, "in place");
    floats_free(sum);
    floats_free(want);
    floats_free(x2);
    floats_free(y);
}

void add_rmsnorm(void)
{
    static const int widths[] = {1, 3, 8, 31, 64, 576, 4097};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        const int D = widths[i], T = i == 3 ? 0 : i == 5 ? 70 : 1 + (int)random_below(9);
        size_t n = (size_t)T * (size_t)D;
        float *x = random_floats(n), *more = random_floats(n), *w = random_floats((size_t)D);
        float *want = floats(n), *got = floats(n);
        double *bounds = mem_alloc(n + 1, sizeof *bounds);
        ref->add_rmsnorm(ref->dev, want, x, NULL, w, T, D, 1e-5f, FORMAT_F32);
        for (size_t e = 0; e < n; e++) /* summed in double; 1/sqrt, and two products, round */
            bounds[e] = 4 * U * fabs((double)want[e]) + 1e-44;
        FOR_LEVELS(l)
        {
            tool_shape("add_rmsnorm T=%d D=%d", T, D);
            l->k[1].add_rmsnorm(l->k[1].dev, got, x, NULL, w, T, D, 1e-5f, FORMAT_F32);
            tool_close(want, got, n, bounds);
            for (int f = 0; f < N_DTYPES; f++) {
                tool_shape("add_rmsnorm T=%d D=%d %s", T, D, format_info[dtypes[f]].name);
                add_rmsnorm_fused(l, x, more, w, T, D, dtypes[f]);
            }
        }
        free(bounds);
        floats_free(x);
        floats_free(more);
        floats_free(w);
        floats_free(want);
        floats_free(got);
    }
}

void rope_angles(void)
{
    enum { T = 3, S = 6 };
    static const int32_t positions[T] = {0, 5, 100000};
    static const float inv_freq[S / 2] = {1, 0.25f, 1e-4f};
    FOR_LEVELS(l)
    {
        float angles[T * S];
        tool_shape("rope_angles");
        l->k[1].rope_angles(l->k[1].dev, angles, positions, inv_freq, 1.5f, T, S);
        for (int t = 0; t < T; t++)
            for (int i = 0; i < S / 2; i++) {
                double angle = (double)((float)positions[t] * inv_freq[i]);
                EXPECT_NEAR((double)angles[t * S + i], 1.5 * cos(angle), 4 * U);
                EXPECT_NEAR((double)angles[t * S + S / 2 + i], 1.5 * sin(angle), 4 * U);
            }
    }
}

/* The same float operations in the same order: the same bits as the reference. */
void rope(void)
{
    static const struct {
        int T, n_heads, S;
    } shapes[] = {{0, 1, 2}, {1, 1, 2}, {3, 2, 6}, {70, 9, 64}, {5, 3, 100}, {64, 8, 128}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = ROPE_HALVES; kind <= ROPE_PAIRS; kind++) {
            const int T = shapes[i].T, H = shapes[i].n_heads, S = shapes[i].S;
            size_t n = (size_t)T * (size_t)H * (size_t)S;
            float *x = random_floats(n), *want = floats(n), *got = floats(n);
            float *angles = tame_floats((size_t)T * (size_t)S, 1);
            enum format dtype = dtypes[i % N_DTYPES];
            memcpy(want, x, n * sizeof *x);
            ref->rope(ref->dev, want, angles, T, H, S, (enum rope_kind)kind, dtype);
            FOR_LEVELS(l)
            {
                tool_shape("rope kind=%d T=%d H=%d S=%d", kind, T, H, S);
                memcpy(got, x, n * sizeof *x);
                l->k[2].rope(l->k[2].dev, got, angles, T, H, S, (enum rope_kind)kind, dtype);
                tool_same_bits(want, got, n, "as the reference");
            }
            floats_free(x);
            floats_free(want);
            floats_free(got);
            floats_free(angles);
        }
}

void relu2_mul(void)
{
    enum { N = 10007 };
    float *gate = floats(N), *up = floats(N), *want = floats(N), *got = floats(N);
    for (int i = 0; i < N; i++) {
        gate[i] = random_float();
        up[i] = random_float();
    }
    const float special[] = {0, -0.0f, 1e-40f, NAN, INFINITY, -INFINITY, 1e30f, -1e30f};
    memcpy(gate, special, sizeof special);
    ref->relu2_mul(ref->dev, want, gate, up, N, FORMAT_F32);
    FOR_LEVELS(l)
    {
        tool_shape("relu2_mul n=%d", N);
        l->k[1].relu2_mul(l->k[1].dev, got, gate, up, N, FORMAT_F32);
        tool_same_bits(got, want, N, "as the reference");
        l->k[2].relu2_mul(l->k[2].dev, got, gate, up, 5, FORMAT_F32);
        tool_same_bits(got, want, N, "a few");
    }
    floats_free(gate);
    floats_free(up);
    floats_free(want);
    floats_free(got);
}

/* Also the measure of the vector exponential: 2 units in the last place of e^x, and the sum, the
 * quotient and the product round once each. */
void silu_mul(void)
{
    enum { N = 100003 };
    float *gate = floats(N), *up = floats(N), *want = floats(N), *got = floats(N);
    double *bounds = mem_alloc(N, sizeof *bounds);
    for (int i = 0; i < N; i++) {
        gate[i] = i % 3 ? ((float)i / N - 0.5f) * 230 : random_float();
        up[i] = i % 2 ? 1 : random_float();
    }
    const float special[] = {0, -0.0f, 1e-40f, NAN, INFINITY, 1e30f, -1e30f, -88.8f, -103.9f};
    memcpy(gate, special, sizeof special);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        up[i] = 1;
    ref->silu_mul(ref->dev, want, gate, up, N, FORMAT_F32);
    for (int i = 0; i < N; i++)
        bounds[i] = 8 * U * fabs((double)want[i]) + fabs((double)up[i]) * 1e-36 + 3e-45;
    FOR_LEVELS(l)
    {
        tool_shape("silu_mul n=%d", N);
        l->k[1].silu_mul(l->k[1].dev, got, gate, up, N, FORMAT_F32);
        tool_close(want, got, N, bounds);
        float *part = floats(N);
        for (size_t i = 0, n; i < N; i += n) {
            n = 1 + random_below(3000);
            n = n < N - i ? n : N - i;
            l->k[0].silu_mul(l->k[0].dev, part + i, gate + i, up + i, n, FORMAT_F32);
        }
        tool_same_bits(got, part, N, "in pieces");
        memcpy(part, gate, N * sizeof *gate);
        l->k[2].silu_mul(l->k[2].dev, part, part, up, N, FORMAT_F32);
        tool_same_bits(got, part, N, "in place");
        l->k[2].silu_mul(l->k[2].dev, part, part, up, 0, FORMAT_F32);
        l->k[1].round_to(l->k[1].dev, got, N, FORMAT_BF16);
        l->k[2].silu_mul(l->k[2].dev, part, gate, up, N, FORMAT_BF16);
        tool_same_bits(got, part, N, "rounded");
        floats_free(part);
    }
    free(bounds);
    floats_free(gate);
    floats_free(up);
    floats_free(want);
    floats_free(got);
}

void add(void)
{
    static const size_t sizes[] = {0, 1, 9, 1000, 70001};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i];
        float *x = random_floats(n), *y = random_floats(n), *got = floats(n);
        FOR_LEVELS(l)
        {
            tool_shape("add n=%zu", n);
            memcpy(got, y, n * sizeof *y);
            l->k[1].add(l->k[1].dev, got, x, n, FORMAT_F32);
            for (size_t e = 0; e < n; e++)
                if (got[e] != y[e] + x[e])
                    tool_fail("index %zu", e);
        }
        floats_free(x);
        floats_free(y);
        floats_free(got);
    }
}

/* Every half precision value, its neighbours and the middles between them: the scalar conversion
 * and the processor's agree to the bit. */
void round_to(void)
{
    static const enum format to[] = {FORMAT_F32, FORMAT_F16, FORMAT_BF16};
    enum { N = 1 << 19 };
    float *x = floats(N), *want = floats(N), *got = floats(N);
    for (uint32_t i = 0; i < N; i++)
        x[i] = i < N / 2 ? f32_of_bits((i << 14) + random_below(3) - 1 + (i % 5 ? 0 : 4096))
                         : f32_of_bits(0x32000000 + i * 1024 + (uint32_t)random_below(2));
    for (int f = 0; f < 3; f++) {
        memcpy(want, x, N * sizeof *x);
        ref->round_to(ref->dev, want, N, to[f]);
        FOR_LEVELS(l)
        {
            tool_shape("round_to %s", format_info[to[f]].name);
            memcpy(got, x, N * sizeof *x);
            l->k[1].round_to(l->k[1].dev, got, N - 3, to[f]);
            tool_same_bits(want, got, N - 3, "as the reference");
            tool_same_bits(x + N - 3, got + N - 3, 3, "behind the end");
        }
    }
    floats_free(x);
    floats_free(want);
    floats_free(got);
}

void embed_and_gather(void)
{
    enum { D = 256, V = 11, T = 5 };
    static const int32_t tokens[T] = {10, 0, 3, 3, 7};
    float *x = floats(T * D), *y = floats(T * D);
    for (int f = 0; f < FORMAT_COUNT; f++) {
        struct weight w = random_weight((enum format)f, V, D);
        FOR_LEVELS(l)
        {
            tool_shape("embed %s", format_info[f].name);
            l->k[1].embed(l->k[1].dev, x, &w, tokens, T);
            for (int t = 0; t < T; t++) {
                float row[D];
                weight_row_to_f32(&w, tokens[t], row);
                tool_same_bits(row, x + t * D, D, "row %d", t);
            }
            l->k[1].gather(l->k[1].dev, y, x, (const int32_t[]){4, 1}, 2, D);
            tool_same_bits(x + 4 * D, y, D, "gathered");
            tool_same_bits(x + 1 * D, y + D, D, "gathered");
            l->k[1].embed(l->k[1].dev, x, &w, tokens, 0);
            l->k[1].gather(l->k[1].dev, y, x, tokens, 0, D);
        }
        weight_drop(&w);
    }
    floats_free(x);
    floats_free(y);
}
