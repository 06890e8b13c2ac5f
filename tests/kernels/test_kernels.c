/* The kernels' check and bench.
 *
 *     test_kernels                 checks every level's operations against the scalar reference
 *     test_kernels --seed=N        with other random numbers
 *     test_kernels --bench[=WORD]  times those whose name holds WORD, beside measured peaks
 *     test_kernels --threads=N     before --bench: with N threads instead of one a core
 *
 * A level (ref, avx2, avx512, and emulated: the AVX-512 sources on any processor) is checked two
 * ways. Closeness: each value lies within an error bound that follows from the length of its sum
 * and the magnitudes of its operands, not from experience. Invariance: a row's bits are the same
 * alone, among other rows, in other chunks, with other threads. A failure prints seed, shape, first
 * differing index and both values. */
#include <limits.h>
#include <time.h>

#include "base/arena.h"
#include "kernels/format.h"
#include "tests/check.h"
#include "tests/kernels/compare.h"
#include "tests/kernels/levels.h"
#include "tests/kernels/story.h"

#ifdef ASSAY_EMULATED
void emulated_kernels(struct kernels *k);
#endif

/* ---- The operations as the checks call them ---- */

struct level levels[N_LEVELS] = {
    {.name = "ref", .numerics = "cpu-ref-1"},
    {.name = "avx2", .numerics = "cpu-avx2-2", .features = CPU_AVX2},
    {.name = "avx512", .numerics = "cpu-avx512-1", .features = CPU_AVX2 | CPU_AVX512},
#ifdef ASSAY_EMULATED
    {.name = "emulated",
     .numerics = "cpu-avx512-1",
     .features = CPU_AVX2,
     .emulated = emulated_kernels},
#endif
};

const struct kernels *const ref = &levels[0].k[0];

bool level_here(const struct level *l)
{
    return (cpu_features() & l->features) == l->features;
}

static void levels_open(void)
{
    for (int i = 0; i < N_LEVELS; i++)
        for (int t = 0; t < 3; t++) {
            levels[i].pools[t] = pool_new(t + 1);
            levels[i].k[t] = kernels_cpu(levels[i].features, levels[i].pools[t]);
            if (levels[i].emulated && level_here(&levels[i]))
                levels[i].emulated(&levels[i].k[t]);
        }
}

static void levels_close(void)
{
    for (int i = 0; i < N_LEVELS; i++)
        for (int t = 0; t < 3; t++) {
            levels[i].k[t].close(levels[i].k[t].dev);
            pool_free(levels[i].pools[t]);
        }
}

struct weight packed(const struct level *l, const struct weight *w)
{
    struct weight ret = *w;
    struct error e = {0};
    EXPECT_OK(l->k[0].weight_pack(l->k[0].dev, &ret, &e), &e);
    return ret;
}

void unpack(const struct level *l, struct weight *w)
{
    l->k[0].weight_free(l->k[0].dev, w);
}

/* ---- linear ---- */

/* The bound of a dot product: each of K additions rounds a partial sum that is no larger than
 * sum |x||w|; the bias and the reference's own rounding add two. */
static double bound_of_dot(int64_t K, double magnitude)
{
    return ((double)K + 2) * U * magnitude + 1e-44 * (double)K;
}

/* bounds[T, N] for y = x w^T + bias. */
static double *linear_bounds(const float *x, const struct weight *w, const float *bias, int T)
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
    for (int threads = 0; threads < 3; threads++) {
        const struct kernels *k = &l->k[threads];
        k->linear(k->dev, other, x, w, bias, T);
        tool_same_bits(y, other, n, "%d threads", threads + 1);
        for (size_t t = 0; threads == 0 && t < (size_t)T; t++)
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

static void linear_shape(enum format f, int T, int N, int K, bool biased)
{
    float *x = random_floats((size_t)T * (size_t)K), *bias = random_floats((size_t)N);
    struct weight w = random_weight(f, N, K);
    float *want = floats((size_t)T * (size_t)N), *got = floats((size_t)T * (size_t)N);
    const float *b = biased ? bias : NULL;
    double *bounds = linear_bounds(x, &w, b, T);
    ref->linear(ref->dev, want, x, &w, b, T);
    FOR_LEVELS(l)
    {
        tool_shape("linear %s T=%d N=%d K=%d%s", format_info[f].name, T, N, K,
                   biased ? " bias" : "");
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

static void linear(void)
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
            linear_shape((enum format)f, s.T, s.N, s.K, i & 1);
        }
    }
}

/* A unit vector reads one weight out: every path multiplies exactly the reference's floats, for
 * every code of every format. */
static void weights_exact(const struct level *l, enum format f, int T)
{
    enum { N = 66, K = 1024 };
    static float rows[N][K], x[4][K], got[4][N];
    struct weight w = random_weight(f, N, K);
    weight_all_codes(&w);
    for (int n = 0; n < N; n++)
        weight_row_to_f32(&w, n, rows[n]);
    struct weight own = packed(l, &w);
    const struct kernels *fast = &l->k[0];
    for (int k = 0; k < K; k++) {
        memset(x, 0, sizeof x);
        for (int t = 0; t < T; t++)
            x[t][(k + 7 * t) % K] = 1;
        fast->linear(fast->dev, got[0], x[0], &own, NULL, T);
        for (int t = 0; t < T; t++)
            for (int n = 0; n < N; n++) {
                float want = rows[n][(k + 7 * t) % K];
                if (got[t][n] != want) {
                    tool_fail("row %d, k=%d is %.9g, not %.9g", n, (k + 7 * t) % K,
                              (double)got[t][n], (double)want);
                    k = K;
                    n = N;
                    t = T;
                }
            }
    }
    unpack(l, &own);
    weight_drop(&w);
}

static void weights(void)
{
    FOR_LEVELS(l)
    {
        if (l == levels)
            continue;
        for (int f = 0; f < FORMAT_COUNT; f++)
            for (int T = 1; T <= 4; T++) {
                tool_shape("weights %s T=%d", format_info[f].name, T);
                weights_exact(l, (enum format)f, T);
            }
    }
}

/* A NaN or an infinity stays in its own row or column. */
static void linear_not_finite(void)
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

/* ---- Rows and elements ---- */

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

static void add_rmsnorm(void)
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

static void rope_angles(void)
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
static void rope(void)
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

/* Also the measure of the vector exponential: 2 units in the last place of e^x, and the sum, the
 * quotient and the product round once each. */
static void silu_mul(void)
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

static void add(void)
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
static void round_to(void)
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

static void embed_and_gather(void)
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

/* ---- Attention ---- */

static double largest(const float *x, size_t n)
{
    double ret = 0;
    for (size_t i = 0; i < n; i++)
        ret = fmax(ret, fabs((double)x[i]));
    return ret;
}

/* Scores are sums of S products in a row, wrong by at most e; a weight is then wrong by a factor of
 * e^(2e), by the exponential's 2 units in the last place of an argument rounded once, and by the
 * sum's roundings; the mix adds n of them, and merging blocks of 64 rounds 4 times a block. All of
 * a value no larger than max|v|. */
static double *attention_bounds(const struct story *s, float scale)
{
    size_t S = (size_t)s->S, n = (size_t)s->n_rows, HS = (size_t)s->H * S, GS = (size_t)s->G * S;
    double *ret = mem_alloc(n * HS, sizeof *ret);
    double k = largest(s->k, n * GS), v = largest(s->v, n * GS);
    for (size_t i = 0; i < n * HS; i++) {
        double q = 0;
        for (size_t j = 0; j < S; j++)
            q += fabs((double)s->q[i / S * S + j]);
        double score = q * k * (double)scale, e = (s->S + 3) * U * score;
        int length = s->positions[i / HS] + 1;
        ret[i] = (expm1(2 * e) + (1.2 * length + 16) * U) * v;
    }
    return ret;
}

/* True if row t answers as before when its last page is the spare one. */
static bool same_from_spare(const struct level *l, const struct story *s, struct pages *p, int t,
                            const float *want, float scale)
{
    const struct kernels *k = &l->k[1];
    size_t HS = (size_t)(s->H * s->S);
    float *y = floats(HS);
    struct batch b = rows_of(s, p, t, 1);
    int32_t *at = page_of(p, s->sequences[t], s->positions[t]), home = *at;
    *at = p->spare;
    k->attention(k->dev, y, s->q + (size_t)t * HS, &p->kv, 1, &b, s->H, scale);
    *at = home;
    bool same = memcmp(want + (size_t)t * HS, y, HS * sizeof *y) == 0;
    floats_free(y);
    return same;
}

/* The next row of t's sequence, if it is on the same page; -1: it is not. */
static int next_on_page(const struct story *s, int t, int P)
{
    for (int v = t + 1; v < s->n_rows; v++)
        if (s->sequences[v] == s->sequences[t])
            return s->positions[v] % P ? v : -1;
    return -1;
}

/* The spare page becomes row u's and then, up to its position, row t's: t finds its own, and the
 * row behind t does not. */
static void attention_copied(const struct level *l, const struct story *s, struct pages *p,
                             const float *want, float scale)
{
    const struct kernels *k = &l->k[1];
    for (int t = 0; t < s->n_rows; t += 1 + s->n_rows / 9) {
        int u = (t + 11) % s->n_rows, P = p->kv.page_positions, next = next_on_page(s, t, P);
        int32_t of_t = *page_of(p, s->sequences[t], s->positions[t]);
        int32_t of_u = *page_of(p, s->sequences[u], s->positions[u]);
        struct kv_copy copies[] = {{of_u, p->spare, P}, {of_t, p->spare, s->positions[t] % P + 1}};
        k->kv_copy(k->dev, &p->kv, 1, copies, 2);
        if (!same_from_spare(l, s, p, t, want, scale))
            tool_fail("row %d reads other keys or values from a copied page", t);
        if (next >= 0 && of_t != of_u && same_from_spare(l, s, p, next, want, scale))
            tool_fail("row %d finds more on a copied page than was to be copied", next);
    }
    k->kv_copy(k->dev, &p->kv, 1, NULL, 0);
}

static void attention_story(const struct story *s, float scale)
{
    size_t HS = (size_t)(s->H * s->S), n = (size_t)s->n_rows * HS;
    float *want = floats(n), *got = floats(n), *other = floats(n);
    double *bounds = attention_bounds(s, scale);
    struct pages plain = pages_new(ref, s, 16);
    struct batch all = rows_of(s, &plain, 0, s->n_rows);
    ref->attention(ref->dev, want, s->q, &plain.kv, 1, &all, s->H, scale);
    FOR_LEVELS(l)
    {
        struct pages home = pages_new(&l->k[0], s, 16), moved = pages_new(&l->k[2], s, 16);
        struct pages large = pages_new(&l->k[1], s, 48);
        tool_shape("attention rows=%d H=%d G=%d S=%d", s->n_rows, s->H, s->G, s->S);
        all = rows_of(s, &home, 0, s->n_rows);
        l->k[1].attention(l->k[1].dev, got, s->q, &home.kv, 1, &all, s->H, scale);
        tool_close(want, got, n, bounds);
        all.page_table = moved.table;
        l->k[0].attention(l->k[0].dev, other, s->q, &moved.kv, 1, &all, s->H, scale);
        tool_same_bits(got, other, n, "other pages");
        all.page_table = home.table;
        struct batch b = rows_of(s, &large, 0, s->n_rows);
        l->k[2].attention(l->k[2].dev, other, s->q, &large.kv, 1, &b, s->H, scale);
        tool_same_bits(got, other, n, "larger pages");
        for (int i = 0, rows; i < s->n_rows; i += rows) {
            rows = i % 2 ? 1 : 1 + (int)random_below((uint32_t)(s->n_rows - i));
            struct batch part = rows_of(s, &home, i, rows);
            size_t at = (size_t)i * HS;
            const struct kernels *k = &l->k[i % 3];
            k->attention(k->dev, other + at, s->q + at, &home.kv, 1, &part, s->H, scale);
        }
        tool_same_bits(got, other, n, "in parts");
        b.n_rows = 0;
        l->k[1].attention(l->k[1].dev, other, s->q, &large.kv, 1, &b, s->H, scale);
        attention_copied(l, s, &home, got, scale);
        attention_copied(l, s, &large, got, scale);
        pages_free(&l->k[0], &home);
        pages_free(&l->k[2], &moved);
        pages_free(&l->k[1], &large);
    }
    pages_free(ref, &plain);
    free(bounds);
    floats_free(want);
    floats_free(got);
    floats_free(other);
}

static void attention(void)
{
    static const struct {
        int G, group, S, lengths[N_SEQUENCES];
    } shapes[] = {{1, 1, 1, {1, 0, 0}},     {2, 4, 8, {17, 3, 1}},   {3, 3, 64, {40, 70, 16}},
                  {1, 5, 20, {9, 33, 4}},   {2, 1, 100, {5, 15, 2}}, {1, 2, 36, {130, 1, 31}},
                  {4, 1, 128, {16, 32, 33}}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct story s = story_new(shapes[i].G, shapes[i].group, shapes[i].S, shapes[i].lengths);
        attention_story(&s, i % 2 ? 0.125f : 1.0f / sqrtf((float)s.S));
        story_free(&s);
    }
}

/* ---- Copied positions ---- */

/* A cache of one layer behind another, written through the level's own operations, so that the test
 * knows no layout. */
enum { COPY_G = 2, COPY_H = 4, COPY_S = 20, COPY_P = 16, COPY_PAGES = 4 };

static struct batch page_batch(int32_t *tables, int page, int first)
{
    static const int32_t positions[COPY_P] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static const int32_t sequences[COPY_P] = {0};
    tables[page] = page;
    return (struct batch){.n_rows = COPY_P - first,
                          .positions = positions + first,
                          .sequences = sequences,
                          .page_table = tables + page,
                          .n_sequences = 1,
                          .max_pages = 1};
}

/* Page 1 gets the first 5 positions of page 0, page 3 then all of page 1: they answer like page 2,
 * to which the same rows are written. */
static void copied_positions(void)
{
    enum { ROW = COPY_G * COPY_S, N = 5, LAYER = 1, ANSWERS = COPY_P * COPY_H * COPY_S };
    float *k = random_floats(2 * COPY_P * ROW), *v = random_floats(2 * COPY_P * ROW);
    float *q = random_floats(ANSWERS), *want = floats(ANSWERS), *got = floats(ANSWERS);
    const struct kv_copy copies[] = {{0, 1, N}, {1, 3, COPY_P}};
    int32_t tables[COPY_PAGES];
    FOR_LEVELS(l)
    {
        const struct kernels *t = &l->k[1];
        struct kv_cache kv = {NULL, LAYER + 1, COPY_G, COPY_S, COPY_P, COPY_PAGES};
        size_t bytes = sizeof(float) * (LAYER + 1) * COPY_PAGES * COPY_P * 2 * ROW;
        kv.data = t->buffer_new(t->dev, bytes);
        memset(kv.data, 0, bytes);
        tool_shape("kv_copy");
        for (int page = 0; page < 3; page++) {
            struct batch b = page_batch(tables, page, 0), rest = page_batch(tables, page, N);
            size_t from = page == 1 ? COPY_P * ROW : 0, at = (COPY_P + N) * ROW;
            t->kv_write(t->dev, &kv, LAYER, k + from, v + from, &b);
            if (page == 2)
                t->kv_write(t->dev, &kv, LAYER, k + at, v + at, &rest);
        }
        t->kv_copy(t->dev, &kv, LAYER, copies, 2);
        struct batch b = page_batch(tables, 2, 0);
        t->attention(t->dev, want, q, &kv, LAYER, &b, COPY_H, 0.2f);
        for (int page = 1; page < COPY_PAGES; page += 2) {
            b = page_batch(tables, page, 0);
            t->attention(t->dev, got, q, &kv, LAYER, &b, COPY_H, 0.2f);
            tool_same_bits(want, got, ANSWERS, "page %d", page);
        }
        t->buffer_free(t->dev, kv.data);
    }
    float *all[] = {k, v, q, want, got};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        floats_free(all[i]);
}

/* ---- Log-probabilities ---- */

/* Per row the bound of a logit. */
static double *logit_bounds(const float *x, const struct weight *head, int T)
{
    size_t V = (size_t)head->rows;
    double *all = linear_bounds(x, head, NULL, T);
    double *ret = mem_alloc((size_t)T + 1, sizeof *ret);
    for (size_t t = 0; t < (size_t)T; t++)
        for (size_t v = 0; v < V; v++)
            ret[t] = fmax(ret[t], all[t * V + v]);
    free(all);
    return ret;
}

static void logprobs_close(const struct token_logprob *want, const struct token_logprob *got,
                           const float *logits, size_t V, int T, const double *bounds)
{
    for (int t = 0; t < T; t++) {
        /* the sum is off by a factor; each of its exponentials by 2 units in the last place */
        double bound = 2 * bounds[t] + 8 * U * (1 + fabs(want[t].logprob));
        int32_t a = got[t].argmax;
        if (!(fabs(want[t].logprob - got[t].logprob) <= bound))
            tool_fail("row %d: logprob %.9g, not %.9g within %g", t, got[t].logprob,
                      want[t].logprob, bound);
        if (!(fabs(want[t].argmax_logprob - got[t].argmax_logprob) <= bound))
            tool_fail("row %d: argmax_logprob %.9g, not %.9g", t, got[t].argmax_logprob,
                      want[t].argmax_logprob);
        double best = (double)logits[(size_t)t * V + (size_t)want[t].argmax];
        if (a < 0 || a >= (int32_t)V ||
            (double)logits[(size_t)t * V + (size_t)a] < best - 2 * bounds[t])
            tool_fail("row %d: argmax %d, not %d", t, a, want[t].argmax);
    }
}

static bool same_logprobs(const struct token_logprob *a, const struct token_logprob *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i].logprob, &b[i].logprob, sizeof a->logprob) != 0 ||
            a[i].argmax != b[i].argmax ||
            memcmp(&a[i].argmax_logprob, &b[i].argmax_logprob, sizeof a->logprob) != 0)
            return false;
    return true;
}

static void logprobs_shape(enum format f, int T, int V, int D)
{
    size_t n = (size_t)T;
    float *x = tame_floats(n * (size_t)D, 1), *logits = floats(n * (size_t)V);
    struct weight head = random_weight(f, V, D);
    int32_t *targets = mem_alloc(n + 1, sizeof *targets);
    for (int t = 0; t < T; t++)
        targets[t] = t % 7 == 3 ? -1 : (int32_t)random_below((uint32_t)V);
    struct token_logprob *want = mem_alloc(n + 1, sizeof *want);
    struct token_logprob *got = mem_alloc(n + 1, sizeof *got),
                         *other = mem_alloc(n + 1, sizeof *got);
    ref->linear(ref->dev, logits, x, &head, NULL, T);
    ref->logprobs(ref->dev, want, x, &head, targets, T);
    double *bounds = logit_bounds(x, &head, T);
    FOR_LEVELS(l)
    {
        tool_shape("logprobs %s T=%d V=%d D=%d", format_info[f].name, T, V, D);
        struct weight own = packed(l, &head);
        l->k[1].logprobs(l->k[1].dev, got, x, &own, targets, T);
        logprobs_close(want, got, logits, (size_t)V, T, bounds);
        for (size_t t = 0; t < n; t++)
            l->k[0].logprobs(l->k[0].dev, other + t, x + t * (size_t)D, &own, targets + t, 1);
        if (!same_logprobs(got, other, n))
            tool_fail("a row alone has other bits");
        size_t cut = n / 3;
        l->k[2].logprobs(l->k[2].dev, other, x, &own, targets, (int)cut);
        l->k[2].logprobs(l->k[2].dev, other + cut, x + cut * (size_t)D, &own, targets + cut,
                         T - (int)cut);
        if (!same_logprobs(got, other, n))
            tool_fail("cut after row %zu has other bits", cut);
        unpack(l, &own);
    }
    free(bounds);
    free(targets);
    free(want);
    free(got);
    free(other);
    floats_free(x);
    floats_free(logits);
    weight_drop(&head);
}

static void logprobs(void)
{
    logprobs_shape(FORMAT_F32, 0, 9, 4);
    logprobs_shape(FORMAT_F32, 3, 1, 5);
    logprobs_shape(FORMAT_F32, 9, 300, 67);
    logprobs_shape(FORMAT_BF16, 75, 513, 40);
    logprobs_shape(FORMAT_Q8_0, 4, 1001, 64);
    logprobs_shape(FORMAT_Q4_1, 20, 259, 96);
}

/* Of equal logits the lowest id is the argmax, also across blocks; NaN is never it. */
static void logprobs_edges(void)
{
    enum { V = 700, D = 8, T = 4 };
    float *rows = tame_floats(V * D, 1), x[T * D] = {0};
    struct weight file = {.format = FORMAT_F32, .rows = V, .cols = D, .data = rows};
    for (int i = 0; i < D; i++) {
        rows[300 * D + i] = rows[517 * D + i] = rows[41 * D + i] = 2;
        x[i] = 1;                        /* row 0: a tie */
        x[2 * D + i] = i == 3 ? NAN : 1; /* row 1 is zero: all tie; row 2: all NaN */
        x[3 * D + i] = i < 1 ? 1 : 0;    /* row 3: one logit of NaN */
    }
    rows[5 * D] = NAN;
    rows[5 * D + 1] = 0;
    rows[41 * D] = 3;
    FOR_LEVELS(l)
    {
        struct token_logprob r[T];
        tool_shape("logprobs with ties and NaN");
        struct weight head = packed(l, &file);
        x[0] = 0; /* 41, 300 and 517 tie again; 5 is NaN everywhere */
        l->k[1].logprobs(l->k[1].dev, r, x, &head, (const int32_t[]){300, 6, 1, 2}, T);
        EXPECT_INT(r[0].argmax, 41);
        EXPECT_INT(r[1].argmax, 0);
        EXPECT_INT(r[2].argmax, 0);
        EXPECT_INT(r[3].argmax, 41);
        for (int t = 0; t < T; t++)
            EXPECT(isnan(r[t].logprob)); /* a NaN logit spoils the sum, and says so */
        struct top_token top[T * 4];
        l->k[1].logprobs_top(l->k[1].dev, r, top, 4, x, &head, (const int32_t[]){1, 1, 1, 1}, T);
        EXPECT(top[0].token == 41 && top[1].token == 300 && top[2].token == 517);
        EXPECT(top[4].token == 0 && top[7].token == 3);
        EXPECT(top[8].token == -1 && isnan(top[8].logprob));
        unpack(l, &head);
        rows[5 * D] = 0;
        head = packed(l, &file);
        l->k[1].logprobs(l->k[1].dev, r, x, &head, (const int32_t[]){300, 6, 1, -1}, 2);
        EXPECT(r[0].logprob == r[0].argmax_logprob && r[0].logprob < -log(2));
        EXPECT_NEAR(r[1].logprob, -log(V), 1e-6);
        unpack(l, &head);
        rows[5 * D] = NAN;
    }
    floats_free(rows);
}

/* The k best of a row by plain search: the greatest logit, of equal ones the lowest id. */
static void top_expected(const float *logits, int V, int k, int32_t *ret)
{
    bool *taken = mem_alloc((size_t)V, sizeof *taken);
    for (int i = 0; i < k; i++) {
        ret[i] = -1;
        for (int32_t v = 0; v < V; v++)
            if (!taken[v] && !isnan(logits[v]) && (ret[i] < 0 || logits[v] > logits[ret[i]]))
                ret[i] = v;
        if (ret[i] >= 0)
            taken[ret[i]] = true;
    }
    free(taken);
}

/* The logits are those of linear, to the bit, so the order must be exactly that of a search. */
static void top_close(const struct token_logprob *r, const struct top_token *top, int k,
                      const float *logits, int V, int T)
{
    int32_t want[TOP_TOKENS];
    for (int t = 0; t < T; t++, top += k, logits += V) {
        top_expected(logits, V, k, want);
        for (int i = 0; i < k; i++) {
            if (top[i].token != want[i])
                tool_fail("row %d: place %d is token %d, not %d", t, i, top[i].token, want[i]);
            if (want[i] < 0) {
                EXPECT(isnan(top[i].logprob));
                continue;
            }
            double less = (double)logits[want[0]] - (double)logits[want[i]];
            double near = r[t].argmax_logprob - less;
            if (!(fabs(top[i].logprob - near) <= 1e-12 * (1 + fabs(near))) && !isinf(less) &&
                !isnan(near))
                tool_fail("row %d: place %d has %.17g, not %.17g", t, i, top[i].logprob, near);
        }
    }
}

static void logprobs_top_shape(enum format f, int T, int V, int D, int k)
{
    float *x = tame_floats((size_t)(T * D), 1), *logits = floats((size_t)(T * V));
    struct weight head = random_weight(f, V, D);
    int32_t *targets = mem_alloc((size_t)T + 1, sizeof *targets);
    struct token_logprob *want = mem_alloc((size_t)T + 1, sizeof *want);
    struct token_logprob *got = mem_alloc((size_t)T + 1, sizeof *got);
    size_t n_top = (size_t)(T * k);
    struct top_token *top = mem_alloc(n_top + 1, sizeof *top),
                     *other = mem_alloc(n_top + 1, sizeof *top);
    for (int t = 0; t < T; t++) { /* rows of zeros tie everywhere */
        targets[t] = (int32_t)random_below((uint32_t)V);
        if (t % 4 == 2)
            memset(x + t * D, 0, (size_t)D * sizeof *x);
    }
    FOR_LEVELS(l)
    {
        tool_shape("logprobs_top %s T=%d V=%d D=%d k=%d", format_info[f].name, T, V, D, k);
        struct weight own = packed(l, &head);
        l->k[0].linear(l->k[0].dev, logits, x, &own, NULL, T);
        l->k[1].logprobs(l->k[1].dev, want, x, &own, targets, T);
        l->k[2].logprobs_top(l->k[2].dev, got, top, k, x, &own, targets, T);
        if (!same_logprobs(want, got, (size_t)T))
            tool_fail("not the bits of logprobs");
        top_close(got, top, k, logits, V, T);
        for (int t = 0; t < T; t++)
            l->k[t % 2].logprobs_top(l->k[t % 2].dev, got, other + t * k, k, x + t * D, &own,
                                     targets + t, 1);
        for (size_t i = 0; i < n_top; i++)
            if (top[i].token != other[i].token ||
                memcmp(&top[i].logprob, &other[i].logprob, sizeof top->logprob) != 0)
                tool_fail("place %zu has other bits for a row alone", i);
        unpack(l, &own);
    }
    free(targets);
    free(want);
    free(got);
    free(top);
    free(other);
    floats_free(x);
    floats_free(logits);
    weight_drop(&head);
}

static void logprobs_top(void)
{
    logprobs_top_shape(FORMAT_F32, 3, 5, 7, 8);
    logprobs_top_shape(FORMAT_F32, 5, 1300, 33, TOP_TOKENS);
    logprobs_top_shape(FORMAT_BF16, 70, 513, 40, 3);
    logprobs_top_shape(FORMAT_Q4_0, 6, 259, 64, 20);
    logprobs_top_shape(FORMAT_F32, 2, 300, 9, 0);
}

/* ---- The rest of the table ---- */

static void memory_and_pack(void)
{
    FOR_LEVELS(l)
    {
        const struct kernels *k = &l->k[0];
        struct error e = {0};
        static const char blocks[4 * 2 * 34];
        void *p = k->buffer_new(k->dev, 1000);
        EXPECT(p && ((uintptr_t)p & 63) == 0);
        k->to_device(k->dev, p, "words", 6);
        char back[6];
        k->to_host(k->dev, back, p, 6);
        EXPECT_Z(back, "words");
        k->buffer_free(k->dev, p);
        k->buffer_free(k->dev, NULL);
        EXPECT(k->buffer_new(k->dev, SIZE_MAX - 10) == NULL);
        struct weight w = {.format = FORMAT_Q8_0, .rows = 4, .cols = 64, .data = blocks};
        EXPECT_OK(k->weight_pack(k->dev, &w, &e), &e);
        k->weight_free(k->dev, &w);
        w.cols = 65;
        EXPECT_ERROR(k->weight_pack(k->dev, &w, &e), &e, E_UNSUPPORTED, "multiples of 32");
        w = (struct weight){.format = FORMAT_F32, .rows = 0, .cols = 64, .data = ""};
        EXPECT_ERROR(k->weight_pack(k->dev, &w, &e), &e, E_UNSUPPORTED, "0 rows");
    }
}

static void levels_differ(void)
{
    FOR_LEVELS(l)
    {
        EXPECT_Z(l->k[0].numerics, l->numerics);
    }
    struct buf absent = {0};
    for (const struct level *l = levels; l < levels + N_LEVELS; l++)
        if (!level_here(l))
            buf_printf(&absent, "%s%s", absent.n ? ", " : "this processor does not have ", l->name);
#ifndef ASSAY_EMULATED
    buf_printf(&absent, "%s",
               absent.n ? "; AVX-512 is not emulated: libsimde-dev was not found"
                        : "AVX-512 is not emulated: libsimde-dev was not found");
#endif
    if (absent.n)
        printf("# %s\n", absent.p);
    buf_free(&absent);
}

static int usage(const char *word)
{
    fprintf(stderr, "test_kernels: \"%s\" is not --seed=N, --threads=N, --bench or --bench=WORD\n",
            word);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"levels_differ", levels_differ},
        {"memory_and_pack", memory_and_pack},
        {"linear", linear},
        {"weights", weights},
        {"linear_not_finite", linear_not_finite},
        {"int8", int8},
        {"int8_extremes", int8_extremes},
        {"int8_refused", int8_refused},
        {"add_rmsnorm", add_rmsnorm},
        {"rope_angles", rope_angles},
        {"rope", rope},
        {"silu_mul", silu_mul},
        {"add", add},
        {"round_to", round_to},
        {"embed_and_gather", embed_and_gather},
        {"attention", attention},
        {"copied_positions", copied_positions},
        {"logprobs", logprobs},
        {"logprobs_edges", logprobs_edges},
        {"logprobs_top", logprobs_top},
    };
    int n_threads = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--seed=", 7) == 0)
            random_seed(strtoull(argv[i] + 7, NULL, 10));
        else if (strncmp(argv[i], "--threads=", 10) == 0)
            n_threads = atoi(argv[i] + 10);
        else if (strcmp(argv[i], "--bench") == 0)
            return bench_run("", n_threads);
        else if (strncmp(argv[i], "--bench=", 8) == 0)
            return bench_run(argv[i] + 8, n_threads);
        else
            return usage(argv[i]);
    }
    levels_open();
    int r = check_run(tests, (int)(sizeof tests / sizeof *tests));
    levels_close();
    return r;
}
