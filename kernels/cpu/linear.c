/* linear.c: products with weights of every format, and the log-probabilities made of them. Written
 * once for every CPU level (simd.h).
 *
 * Order: y[t, n] is one chain of multiply-adds over k, ascending from zero; then the bias. Nothing
 * else: so one row and many, any cut of K, N and T, and both widths of vectors give the same bits.
 * The weight in it is the very float of format.c.
 *
 * Weights lie in panels of W columns (pack.h), so the chains of W columns are 2 vectors, and k runs
 * through memory in order.
 *
 * A tile is M rows of x times P panels. Each k loads 2 P vectors of w and broadcasts M floats of x
 * for 2 M P multiply-adds; there must be 8 chains or more to keep two units of a latency of 4 busy,
 * and no more than registers hold: on AVX2 6 rows of 16 columns, 12 accumulators; on AVX-512 12
 * rows of 32 columns, 24.
 *
 * Few rows: w is unpacked in registers and multiplied with all of them; up to three multiply
 * several panels side by side, which make up the chains. Bound by reading w, 4-bit formats by
 * unpacking.
 *
 * Many rows: of a panel's piece of K (KB) the first tile unpacks in registers, 4 rows, and leaves
 * the floats in a scratch, over which all other rows of the block (TB, whose piece of x stays in
 * L2) run. So w is read and unpacked once while arithmetic goes on: unpacking apart from it,
 * batches of 4 and 8 rows took half as long again. Between pieces the sums wait in y itself; a
 * piece is long because each begins a stream of w that the processor must find anew.
 *
 * The floor is 2 multiply-adds a cycle, and for one row w read once: `test_kernels
 * --bench=linear`. */
#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/panel.h"
#include "kernels/cpu/top.h"

enum {
    W = 2 * VL,                 /* columns of a panel */
    M_TILE = VL == 16 ? 12 : 6, /* rows of a tile */
    TB = 192,                   /* rows of a block */
    KB = 640,                   /* k of a piece at most; a multiple of 32 */
    FEW = 3,                    /* rows that several panels can be multiplied with */
    UNPACKS = 4,                /* rows of the tile that unpacks for more rows */
};

struct tile {
    struct panel panel;
    const uint8_t *w; /* the first panel */
    size_t w_bytes;   /* to the next one */
    size_t k, K;      /* the piece: k .. k+K-1 of the panel */
    const float *x;   /* [M, K] of the piece, rows ldx apart */
    size_t ldx;
    float *y;          /* [M, N], rows ldy apart */
    size_t ldy, N;     /* N <= P * W */
    const float *bias; /* [N] or NULL */
    bool first, last;  /* the piece begins, ends the sums */
    float *keep;       /* M > FEW: w's floats go there too, [K, W], */
    size_t keep_step;  /* each k's W further; or 0: nobody wants them */
};

/* Everything below is written for M rows of x and P panels, both constants once it is inlined into
 * an instance. */

/* ---- The sums of a tile ---- */

enum { SUMS = 24, PANELS = 4 }; /* at most, of a tile: registers */

INLINE vf *sum_at(vf *sums, const int P, const int m, const int v)
{
    return &sums[m * 2 * P + v];
}

INLINE void tile_begin(const int M, const int P, const struct tile *a, vf *sums)
{
    UNROLL for (int m = 0; m < M; m++)
    {
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            const float *y = a->y + (size_t)m * a->ldy + v * VL;
            *sum_at(sums, P, m, v) =
                a->first ? vzero()
                : a->N == (size_t)(P * W)
                    ? vload(y)
                    : vload_mask(
                          y, first_lanes(a->N > (size_t)(v * VL) ? a->N - (size_t)(v * VL) : 0));
        }
    }
}

INLINE void tile_end(const int M, const int P, const struct tile *a, vf *sums)
{
    UNROLL for (int v = 0; v < 2 * P; v++)
    {
        size_t c = (size_t)(v * VL);
        vmask mask = first_lanes(a->N > c ? a->N - c : 0);
        vf bias = a->last && a->bias ? vload_mask(a->bias + c, mask) : vset(-0.0f);
        UNROLL for (int m = 0; m < M; m++)
        {
            vf sum = *sum_at(sums, P, m, v);
            float *y = a->y + (size_t)m * a->ldy + c;
            if (a->last)
                sum = vadd(sum, bias);
            if (a->N == (size_t)(P * W))
                vstore(y, sum);
            else
                vstore_mask(y, mask, sum);
        }
    }
}

/* The rows of x, and where the panels begin. */
struct from {
    const float *x[M_TILE];
    const uint8_t *w[PANELS];
};

INLINE struct from rows_of(const int M, const int P, const struct tile *a)
{
    struct from r;
    UNROLL for (int m = 0; m < M; m++)
    {
        r.x[m] = a->x + (size_t)m * a->ldx;
    }
    UNROLL for (int p = 0; p < P; p++)
    {
        r.w[p] = a->w + (size_t)p * a->w_bytes;
    }
    return r;
}

/* sums += x[.., k] * w for one k of the piece, w[2 P] in registers. */
INLINE void multiply(const int f, const int M, const int P, const struct tile *a,
                     const struct from *from, size_t k, const vf *w, vf *sums)
{
    if (f != FORMAT_F32 && M > FEW) {
        vstore(a->keep + k * a->keep_step, w[0]);
        vstore(a->keep + k * a->keep_step + VL, w[1]);
    }
    UNROLL for (int m = 0; m < M; m++)
    {
        vf x = vset(from->x[m][k]);
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            *sum_at(sums, P, m, v) = vfma(x, w[v], *sum_at(sums, P, m, v));
        }
    }
}

/* ---- Panels of floats ---- */

INLINE vf load_float(const enum format f, const uint8_t *panel, size_t at)
{
    return f == FORMAT_F16 ? vload_f16(panel + 2 * at)
                           : vload((const float *)(const void *)panel + at);
}

INLINE void multiply_floats(const enum format f, const int M, const int P, const struct tile *a,
                            vf *sums)
{
    const struct from from = rows_of(M, P, a);
    for (size_t k = 0; k < a->K; k++) {
        vf w[2 * PANELS];
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            w[v] = load_float(f, from.w[v / 2], (a->k + k) * W + (size_t)(v % 2 * VL));
        }
        multiply(f, M, P, a, &from, k, w, sums);
    }
}

INLINE vi load_pair(const uint8_t *panel, size_t at, int v)
{
    return vload_i(panel + (at * W + (size_t)(v * VL)) * 4);
}

INLINE void multiply_bf16(const int M, const int P, const struct tile *a, vf *sums)
{
    const struct from from = rows_of(M, P, a);
    const size_t pairs = a->k / 2;
    vf w[2 * PANELS];
    size_t k = 0;
    for (; k + 1 < a->K; k += 2) {
        vi pair[2 * PANELS];
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            pair[v] = load_pair(from.w[v / 2], pairs + k / 2, v % 2);
            w[v] = vf_of_bits(vshift_left(pair[v], 16));
        }
        multiply(FORMAT_BF16, M, P, a, &from, k, w, sums);
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            w[v] = vf_of_bits(vand_i(pair[v], vset_i((int32_t)0xffff0000)));
        }
        multiply(FORMAT_BF16, M, P, a, &from, k + 1, w, sums);
    }
    if (k < a->K) {
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            w[v] = vf_of_bits(vshift_left(load_pair(from.w[v / 2], pairs + k / 2, v % 2), 16));
        }
        multiply(FORMAT_BF16, M, P, a, &from, k, w, sums);
    }
}

/* ---- Panels of runs ---- */

INLINE void load_all_scales(const int f, const int P, const struct tile *a, const struct from *from,
                            const struct walk *at, const int half, struct scales *s)
{
    UNROLL for (int v = 0; v < 2 * P; v++)
    {
        const uint8_t *w = from->w[v / 2];
        s[v] = load_scales(f, &a->panel, w + at->head, w + at->run, W, v % 2 * VL, half);
    }
}

/* The k of a run that plane_code() has at j. */
INLINE void multiply_plane(const int f, const int M, const int P, const struct tile *a,
                           const struct from *from, size_t codes, struct scales *s, const int j,
                           size_t k, vf *sums)
{
    const int low = low_bits(f);
    UNROLL for (int i = 0; i < low; i++)
    {
        vf w[2 * PANELS];
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            w[v] =
                scaled(f, plane_code(f, from->w[v / 2] + codes + 4 * (v % 2 * VL), W, i, j), s[v]);
        }
        multiply(f, M, P, a, from, k + (size_t)(low * j + i), w, sums);
    }
    UNROLL for (int v = 0; v < 2 * P; v++)
    {
        next_plane(f, j, &s[v]);
    }
}

/* Unrolled, one row is a quarter faster, and two are slower by half. */
INLINE void multiply_planes(const int f, const int M, const int P, const struct tile *a, vf *sums)
{
    const struct from from = rows_of(M, P, a);
    const int n = 32 / low_bits(f);
    const bool halves = run_halves(f, &a->panel);
    struct walk at = walk_from(a->panel.shape, a->k, W);
    for (size_t k = 0; k < a->K; k += RUN) {
        struct scales s[2 * PANELS];
        size_t codes = at.run + W * run_scales(f);
        load_all_scales(f, P, a, &from, &at, 0, s);
        if (M <= 1 && n == 8) {
            UNROLL for (int j = 0; j < n; j++)
            {
                if (j == n / 2 && halves) {
                    load_all_scales(f, P, a, &from, &at, 1, s);
                    UNROLL for (int v = 0; v < 2 * P; v++)
                    {
                        half_plane(f, &s[v]);
                    }
                }
                multiply_plane(f, M, P, a, &from, codes, s, j, k, sums);
            }
        } else {
            for (int j = 0; j < n - 1; j++) {
                if (j == n / 2 && halves) {
                    load_all_scales(f, P, a, &from, &at, 1, s);
                    UNROLL for (int v = 0; v < 2 * P; v++)
                    {
                        half_plane(f, &s[v]);
                    }
                }
                multiply_plane(f, M, P, a, &from, codes, s, j, k, sums);
            }
            multiply_plane(f, M, P, a, &from, codes, s, n - 1, k, sums);
        }
        walk_on(a->panel.shape, &at, W);
    }
}

/* A vector of bytes, as floats; of FP8 times 2^-8. */
INLINE vf byte_code(const int f, const uint8_t *p)
{
    return f == FORMAT_FP8 ? vload_fp8(p) : vfloat(vload_i8(p));
}

INLINE void multiply_bytes(const int f, const int M, const int P, const struct tile *a, vf *sums)
{
    const struct from from = rows_of(M, P, a);
    const int halves = run_halves(f, &a->panel) ? 2 : 1;
    struct walk at = walk_from(a->panel.shape, a->k, W);
    for (size_t run = 0; run < a->K; run += RUN) {
        for (int half = 0; half < halves; half++) {
            struct scales s[2 * PANELS];
            const int n = RUN / halves;
            size_t codes = at.run + W * (run_scales(f) + (size_t)(half * n));
            load_all_scales(f, P, a, &from, &at, half, s);
            for (int k = 0; k < n; k++) {
                vf w[2 * PANELS];
                UNROLL for (int v = 0; v < 2 * P; v++)
                {
                    const uint8_t *p = from.w[v / 2] + codes + k * W + v % 2 * VL;
                    w[v] = scaled(f, byte_code(f, p), s[v]);
                }
                multiply(f, M, P, a, &from, run + (size_t)(half * n + k), w, sums);
            }
        }
        walk_on(a->panel.shape, &at, W);
    }
}

/* ---- Instances ---- */

/* Of a copy of its own: what is stored meanwhile could change the caller's. */
INLINE void tile(const int f, const int M, const int P, const struct tile *of)
{
    const struct tile own = *of, *a = &own;
    vf sums[SUMS];
    tile_begin(M, P, a, sums);
    switch (f) {
    case FORMAT_F32:
    case FORMAT_F16:
        multiply_floats((enum format)f, M, P, a, sums);
        break;
    case FORMAT_BF16:
        multiply_bf16(M, P, a, sums);
        break;
    case FORMAT_Q8_0:
    case FORMAT_INT8:
    case FORMAT_INT8_ZEROS:
    case FORMAT_FP8:
        multiply_bytes(f, M, P, a, sums);
        break;
    default:
        multiply_planes(f, M, P, a, sums);
    }
    tile_end(M, P, a, sums);
}

typedef void tile_function(const struct tile *a);

#define TILE(NAME, name, M, P)                                                                     \
    static void name##_##M##x##P(const struct tile *a)                                             \
    {                                                                                              \
        tile(FORMAT_##NAME, M, P, a);                                                              \
    }
#define WIDE(NAME, name, M, P)                                                                     \
    static void name##_wide_##M(const struct tile *a)                                              \
    {                                                                                              \
        tile(FORMAT_##NAME, M, P, a);                                                              \
    }
/* Formats that are met seldom: a panel at a time, since instances take a compiler long. */
#define SELDOM(NAME, name)                                                                         \
    TILE(NAME, name, 1, 1)                                                                         \
    TILE(NAME, name, 2, 1)                                                                         \
    TILE(NAME, name, 3, 1)                                                                         \
    TILE(NAME, name, 4, 1)
#define SELDOM_ROW(name)                                                                           \
    {                                                                                              \
        {name##_1x1, name##_2x1, name##_3x1, name##_4x1}, {name##_1x1, name##_2x1, name##_3x1},    \
        {                                                                                          \
            1, 1, 1                                                                                \
        }                                                                                          \
    }
#ifdef SIMD_ONE_PANEL /* a build in which only the results count */
#define TILES(NAME, name, P1, P2, P3) SELDOM(NAME, name)
#define ROW(name, P1, P2, P3)         SELDOM_ROW(name)
#else
#define TILES(NAME, name, P1, P2, P3)                                                              \
    TILE(NAME, name, 1, 1)                                                                         \
    TILE(NAME, name, 2, 1)                                                                         \
    TILE(NAME, name, 3, 1)                                                                         \
    TILE(NAME, name, 4, 1)                                                                         \
    WIDE(NAME, name, 1, P1)                                                                        \
    WIDE(NAME, name, 2, P2)                                                                        \
    WIDE(NAME, name, 3, P3)
#define ROW(name, P1, P2, P3)                                                                      \
    {                                                                                              \
        {name##_1x1, name##_2x1, name##_3x1, name##_4x1},                                          \
            {name##_wide_1, name##_wide_2, name##_wide_3},                                         \
        {                                                                                          \
            P1, P2, P3                                                                             \
        }                                                                                          \
    }
#endif
/* How many panels go together with 1, 2 and 3 rows of x is what was fastest. */
TILES(F32, f32, 4, 3, 2)
TILES(F16, f16, 4, 3, 2)
TILES(BF16, bf16, 4, 3, 2)
TILES(Q8_0, q8_0, 3, 2, 2)
TILES(Q4_0, q4_0, 2, 2, 2)
TILES(Q4_1, q4_1, 2, 2, 2)
SELDOM(Q5_0, q5_0)
SELDOM(Q5_1, q5_1)
SELDOM(Q2_K, q2_k)
SELDOM(Q3_K, q3_k)
TILES(Q4_K, q4_k, 2, 2, 2)
SELDOM(Q5_K, q5_k)
TILES(Q6_K, q6_k, 2, 2, 2)
TILES(INT8, int8, 3, 2, 2)
SELDOM(INT8_ZEROS, int8_zeros)
TILES(INT4, int4, 2, 2, 2)
TILES(INT4_ZEROS, int4_zeros, 2, 2, 2)
SELDOM(INT3, int3)
SELDOM(INT2, int2)
TILES(FP8, fp8, 2, 2, 2)
SELDOM(FP4, fp4)
TILES(TERNARY, ternary, 2, 2, 2)
TILE(F32, f32, 5, 1)
TILE(F32, f32, 6, 1)
#if SIMD_BITS == 512
TILE(F32, f32, 7, 1)
TILE(F32, f32, 8, 1)
TILE(F32, f32, 9, 1)
TILE(F32, f32, 10, 1)
TILE(F32, f32, 11, 1)
TILE(F32, f32, 12, 1)
#endif

static const struct {
    tile_function *one[UNPACKS]; /* [M - 1] over one panel */
    tile_function *wide[FEW];    /* [M - 1] over several: */
    size_t panels[FEW];
} formats[TILE_FORMATS] = {
    [FORMAT_F32] = ROW(f32, 4, 3, 2),
    [FORMAT_F16] = ROW(f16, 4, 3, 2),
    [FORMAT_BF16] = ROW(bf16, 4, 3, 2),
    [FORMAT_Q8_0] = ROW(q8_0, 3, 2, 2),
    [FORMAT_Q4_0] = ROW(q4_0, 2, 2, 2),
    [FORMAT_Q4_1] = ROW(q4_1, 2, 2, 2),
    [FORMAT_Q5_0] = SELDOM_ROW(q5_0),
    [FORMAT_Q5_1] = SELDOM_ROW(q5_1),
    [FORMAT_Q2_K] = SELDOM_ROW(q2_k),
    [FORMAT_Q3_K] = SELDOM_ROW(q3_k),
    [FORMAT_Q4_K] = ROW(q4_k, 2, 2, 2),
    [FORMAT_Q5_K] = SELDOM_ROW(q5_k),
    [FORMAT_Q6_K] = ROW(q6_k, 2, 2, 2),
    [FORMAT_INT8] = ROW(int8, 3, 2, 2),
    [FORMAT_INT8_ZEROS] = SELDOM_ROW(int8_zeros),
    [FORMAT_INT4] = ROW(int4, 2, 2, 2),
    [FORMAT_INT4_ZEROS] = ROW(int4_zeros, 2, 2, 2),
    [FORMAT_INT3] = SELDOM_ROW(int3),
    [FORMAT_INT2] = SELDOM_ROW(int2),
    [FORMAT_FP8] = ROW(fp8, 2, 2, 2),
    [FORMAT_FP4] = SELDOM_ROW(fp4),
    [FORMAT_TERNARY] = ROW(ternary, 2, 2, 2),
};

static tile_function *const many[M_TILE] = {
    f32_1x1, f32_2x1, f32_3x1, f32_4x1,  f32_5x1,  f32_6x1,
#if SIMD_BITS == 512
    f32_7x1, f32_8x1, f32_9x1, f32_10x1, f32_11x1, f32_12x1,
#endif
};

/* ---- A block of a product, by one thread ---- */

/* y[T, N] = x[T, K] * w[first .. first+N, K]^T + bias; `first` is a multiple of W. */
struct product {
    const struct weight *w;
    struct panel_shape shape;
    const float *x, *bias; /* x has the shape's K columns; bias: of the weight's row 0, or NULL */
    float *y;              /* rows ldy apart */
    size_t first, N, T, ldy;
};

enum { WORK_FLOATS = KB * W };

static struct tile first_tile(const struct product *p)
{
    return (struct tile){.panel = {&p->shape, p->w->scale_format, p->w->scale},
                         .w = (const uint8_t *)p->w->packed + p->first / W * p->shape.bytes,
                         .w_bytes = p->shape.bytes,
                         .ldx = p->shape.K,
                         .ldy = p->ldy,
                         .bias = p->bias ? p->bias + p->first : NULL};
}

static void product_few(const struct product *p)
{
    struct tile t = first_tile(p);
    int f = tile_format(p->w);
    size_t panels = formats[f].panels[p->T - 1];
    t.K = p->shape.K;
    t.x = p->x;
    t.first = t.last = true;
    for (size_t n = 0; n < p->N; n += t.N) {
        bool wide = p->N - n > (panels - 1) * W;
        t.N = min_size(p->N - n, wide ? panels * W : W);
        t.y = p->y + n;
        (wide ? formats[f].wide : formats[f].one)[p->T - 1](&t);
        t.w += t.w_bytes * (wide ? panels : 1);
        t.bias = t.bias ? t.bias + t.N : NULL;
    }
}

/* All rows over one piece of one panel. The first tile unpacks it and leaves the floats for the
 * others: reading w hides behind arithmetic. */
static void piece_rows(const struct product *p, struct tile *t, size_t k, size_t n)
{
    for (size_t m = 0, M; m < p->T; m += M) {
        const bool first = m == 0;
        M = first ? UNPACKS : even_share(p->T - m, M_TILE);
        t->x = p->x + m * t->ldx + k;
        t->y = p->y + m * p->ldy + n;
        t->keep_step = M < p->T ? W : 0;
        (first ? formats[tile_format(p->w)].one : many)[M - 1](t);
        if (first && p->w->format != FORMAT_F32) {
            t->w = (const uint8_t *)t->keep;
            t->k = 0;
        }
    }
}

static void product_many(const struct product *p, float *work)
{
    size_t K = p->shape.K, piece = p->T <= UNPACKS ? K : (even_share(K, KB) + 31) / 32 * 32;
    for (size_t k = 0; k < K; k += piece) {
        struct tile t = first_tile(p);
        const uint8_t *panel = t.w;
        t.keep = work;
        t.K = min_size(K - k, piece);
        t.first = k == 0;
        t.last = k + t.K == K;
        for (size_t n = 0; n < p->N; n += W, panel += t.w_bytes) {
            t.w = panel;
            t.k = k;
            t.N = min_size(p->N - n, W);
            piece_rows(p, &t, k, n);
            t.bias = t.bias ? t.bias + t.N : NULL;
        }
    }
}

static void product(const struct product *p, float *work)
{
    if (p->T <= FEW)
        product_few(p);
    else
        product_many(p, work);
}

/* ---- linear ---- */

/* x as the panels have their columns, in `work` if it must be laid out first. */
static const float *laid_out(struct device *dev, const struct weight *w,
                             const struct panel_shape *s, const float *x, int T, float *work)
{
    if (!s->moves)
        return x;
    panel_rows(dev, w, s, x, T, work);
    return work;
}

struct linear {
    struct product p; /* of the whole; a part changes its corner and size */
    size_t T, t_part, n_part, t_parts;
    char *work;
    size_t stride;
};

/* Parts that share rows of w are neighbours: w comes from memory, x is in the cache. */
static void linear_part(void *arg, size_t part, int thread)
{
    const struct linear *l = arg;
    struct product p = l->p;
    size_t t = part % l->t_parts * l->t_part, n = part / l->t_parts * l->n_part;
    p.first = n;
    p.N = min_size((size_t)p.w->rows - n, l->n_part);
    p.T = min_size(l->T - t, l->t_part);
    p.x += t * p.shape.K;
    p.y += t * p.ldy + n;
    product(&p, (float *)(void *)(l->work + (size_t)thread * l->stride));
}

/* Panels a part: some parts a thread even out what else the cores do. */
static size_t panels_a_part(const struct linear *l, size_t threads)
{
    size_t panels = ((size_t)l->p.w->rows + W - 1) / W;
    size_t step = l->T <= FEW ? formats[tile_format(l->p.w)].panels[l->T - 1] : 1;
    size_t most = l->T <= FEW ? 64 : 8, ret = panels * l->t_parts / (6 * threads) / step * step;
    return ret < step ? step : min_size(ret, most);
}

static void linear(struct device *dev, float *y, const float *x, const struct weight *w,
                   const float *bias, int T)
{
    size_t N = (size_t)w->rows;
    if (T == 0)
        return;
    if (int8_exact(w)) {
        LEVEL(int8_linear)(dev, y, x, w, bias, T);
        return;
    }
    struct linear l = {.p = {.w = w, .bias = bias, .y = y, .ldy = N}, .T = (size_t)T};
    l.p.shape = panel_shape_of(w, W);
    bool quantizes = w->x.kind != X_F32;
    size_t cols = quantizes ? l.T * (size_t)w->cols : 0,
           moved = l.p.shape.moves ? l.T * l.p.shape.K : 0;
    float *work = cols + moved ? device_shared(dev, (cols + moved) * sizeof *work) : NULL;
    if (quantizes) {
        quantize_rows(dev, w, x, T, work + moved);
        x = work + moved;
    }
    l.p.x = laid_out(dev, w, &l.p.shape, x, T, work);
    l.work = device_scratch(dev, WORK_FLOATS * sizeof(float), &l.stride);
    l.t_part = even_share(l.T, TB);
    l.t_parts = (l.T + l.t_part - 1) / l.t_part;
    l.n_part = panels_a_part(&l, (size_t)pool_size(dev->pool)) * W;
    bool small = l.T * N * (size_t)w->cols < SERIAL_PRODUCTS;
    share(dev, small, (N + l.n_part - 1) / l.n_part * l.t_parts, linear_part, &l);
}

/* ---- Log-probabilities ---- */

/* The vocabulary in blocks of VB tokens, whatever else is going on: each block gives its greatest
 * logit and its sum of exponentials, and the blocks are put together in order. */
enum { VB = 256 };

struct block_sum {
    double sum; /* of exp(logit - max), or of exp(logit) where max is -infinity */
    float max;
    int32_t argmax;
};

struct logprobs {
    const struct weight *head;
    struct panel_shape shape;
    const struct asked *asked;
    const float *x;           /* of the group's first row, laid out */
    size_t row, T, n_blocks;  /* the group: rows row .. row+T-1 */
    struct block_sum *blocks; /* [T, n_blocks] */
    float *wanted;            /* by target, of all rows */
    struct top *tops;         /* [threads, T], of the blocks that the thread took */
    char *work;               /* a thread's: WORK_FLOATS, then [T, VB] logits */
    size_t stride;
};

static int32_t index_of(const float *x, size_t n, float value)
{
    for (size_t i = 0; i < n; i += VL) {
        unsigned same = vequal(vload(x + i), vset(value));
        if (same)
            return (int32_t)i + __builtin_ctz(same);
    }
    return 0;
}

/* n a multiple of VL; the padding is -infinity. */
static struct block_sum sum_block(const float *logits, size_t n, int32_t first)
{
    vf most = vset(-INFINITY);
    for (size_t i = 0; i < n; i += VL) /* in this order of operands a NaN is passed over */
        most = vmax(vload(logits + i), most);
    struct block_sum b = {.max = vmax_lanes(most)};
    b.argmax = first + index_of(logits, n, b.max);
    /* e^-80 is lost in a sum of 1 and more, and a subnormal power is slow to add */
    vf less = vset(b.max == -INFINITY ? 0 : b.max), least = vset(b.max == -INFINITY ? b.max : -80);
    vd low = MM(setzero_pd)(), high = low;
    for (size_t i = 0; i < n; i += VL) {
        vf e = vexp(vmax(least, vsub(vload(logits + i), less)));
        low = MM(add_pd)(low, vlow(e));
        high = MM(add_pd)(high, vhigh(e));
    }
    b.sum = vsum_d(MM(add_pd)(low, high));
    return b;
}

/* n logits of tokens from `first` on. */
static void top_block(struct top *top, int k, const float *logits, size_t n, int32_t first)
{
    for (size_t i = 0; i < n; i += VL)
        for (unsigned m = vreaches(vload(logits + i), vset(top_least(top, k))); m; m &= m - 1) {
            size_t at = i + (size_t)__builtin_ctz(m);
            if (at < n)
                top_add(top, k, logits[at], first + (int32_t)at);
        }
}

static void logprobs_part(void *arg, size_t block, int thread)
{
    const struct logprobs *l = arg;
    float *work = (float *)(void *)(l->work + (size_t)thread * l->stride);
    float *logits = work + WORK_FLOATS;
    size_t first = block * VB, n = min_size((size_t)l->head->rows - first, VB);
    size_t padded = (n + VL - 1) / VL * VL;
    const struct product p = {.w = l->head,
                              .shape = l->shape,
                              .x = l->x,
                              .y = logits,
                              .first = first,
                              .N = n,
                              .T = l->T,
                              .ldy = VB};
    product(&p, work);
    for (size_t t = 0; t < l->T; t++, logits += VB) {
        for (size_t i = n; i < padded; i++)
            logits[i] = -INFINITY;
        l->blocks[t * l->n_blocks + block] = sum_block(logits, padded, (int32_t)first);
        if (l->asked->k > 0)
            top_block(&l->tops[(size_t)thread * l->T + t], l->asked->k, logits, n, (int32_t)first);
        size_t end = asked_before(l->asked, l->row + t + 1);
        for (size_t i = asked_before(l->asked, l->row + t); i < end; i++) {
            int64_t target = l->asked->targets[i] - (int64_t)first;
            if (target >= 0 && target < (int64_t)n)
                l->wanted[i] = logits[target];
        }
    }
}

/* The answer but for the target; *all: the logarithm of the sum of exp(logit). */
static struct token_logprob put_together(const struct block_sum *b, size_t n, double *all)
{
    struct token_logprob ret = {0};
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (b[i].max > max) {
            max = b[i].max;
            ret.argmax = b[i].argmax;
        }
    for (size_t i = 0; i < n; i++)
        sum += b[i].max == -INFINITY ? b[i].sum : b[i].sum * exp(b[i].max - max);
    *all = max + log(sum);
    ret.argmax_logprob = max - *all;
    return ret;
}

/* What the threads found of row t. */
static void top_together(const struct logprobs *l, size_t t, size_t threads, double all,
                         struct top_token *ret)
{
    struct top *top = &l->tops[t];
    const int k = l->asked->k;
    for (size_t thread = 1; thread < threads; thread++) {
        const struct top *more = &l->tops[thread * l->T + t];
        for (int i = 0; i < more->n; i++)
            top_add(top, k, more->logits[i], more->tokens[i]);
    }
    top_answer(top, k, all, ret);
}

/* Row t of the group: its blocks put together, its targets answered. */
static void answer_row(const struct logprobs *l, size_t t, size_t threads,
                       struct token_logprob *ret, struct top_token *top)
{
    const struct asked *a = l->asked;
    double all;
    struct token_logprob row = put_together(l->blocks + t * l->n_blocks, l->n_blocks, &all);
    t += l->row;
    for (size_t i = asked_before(a, t); i < asked_before(a, t + 1); i++) {
        ret[i] = row;
        ret[i].logprob = a->targets[i] < 0 ? 0 : (double)l->wanted[i] - all;
    }
    if (a->k > 0)
        top_together(l, t - l->row, threads, all, top + t * (size_t)a->k);
}

static void logprobs(struct device *dev, struct token_logprob *ret, struct top_token *top,
                     const struct weight *head, const struct asked *a)
{
    size_t V = (size_t)head->rows, T = (size_t)a->T, n_blocks = (V + VB - 1) / VB;
    size_t group = T > 0 ? even_share(T, TB) : 0, threads = (size_t)pool_size(dev->pool);
    size_t n_tops = a->k > 0 ? threads * group : 0, n_wanted = asked_before(a, T);
    struct logprobs l = {.head = head, .asked = a, .n_blocks = n_blocks};
    l.shape = panel_shape_of(head, W);
    size_t moved = l.shape.moves ? group * l.shape.K : 0;
    l.work = device_scratch(dev, (WORK_FLOATS + group * VB) * sizeof(float), &l.stride);
    l.blocks = device_shared(dev, group * n_blocks * sizeof *l.blocks + n_tops * sizeof *l.tops +
                                      (n_wanted + moved) * sizeof *l.wanted);
    l.tops = (struct top *)(void *)(l.blocks + group * n_blocks);
    l.wanted = (float *)(void *)(l.tops + n_tops);
    float *work = l.wanted + n_wanted;
    for (l.row = 0; l.row < T; l.row += group) {
        l.T = min_size(T - l.row, group);
        l.x = laid_out(dev, head, &l.shape, a->x + l.row * (size_t)head->cols, (int)l.T, work);
        for (size_t i = 0; i < n_tops; i++)
            l.tops[i].n = 0;
        share(dev, l.T * V * (size_t)head->cols < SERIAL_PRODUCTS, n_blocks, logprobs_part, &l);
        for (size_t t = 0; t < l.T; t++)
            answer_row(&l, t, threads, ret, top);
    }
}

void LEVEL(linear_kernels)(struct kernels *k)
{
    k->dev->panel = W;
    k->linear = linear;
    k->logprobs = logprobs;
}
