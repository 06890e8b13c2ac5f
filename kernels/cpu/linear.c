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
 * Few rows: w is unpacked in registers and multiplied with all of them; with one row several panels
 * side by side make up the chains. Bound by reading w, 4-bit formats by unpacking.
 *
 * Many rows: w's panel is unpacked for a piece of K (KB) into a scratch that stays in L1, and all
 * rows of the block (TB, whose piece of x stays in L2) run over it. Between pieces the sums wait in
 * y itself.
 *
 * The floor is 2 multiply-adds a cycle, and for one row w read once: `test_kernels
 * --bench=linear`. */
#include "kernels/cpu/level.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/top.h"

enum {
    W = 2 * VL,                 /* columns of a panel */
    M_TILE = VL == 16 ? 12 : 6, /* rows of a tile */
    TB = 192,                   /* rows of a block */
    KB = 320,                   /* k of a piece at most; a multiple of 32 */
};

struct tile {
    const uint8_t *w; /* the first panel */
    size_t w_bytes;   /* to the next one */
    size_t k, K;      /* the piece: k .. k+K-1 of the panel */
    const float *x;   /* [M, K] of the piece, rows ldx apart */
    size_t ldx;
    float *y;          /* [M, N], rows ldy apart */
    size_t ldy, N;     /* N <= P * W */
    const float *bias; /* [N] or NULL */
    bool first, last;  /* the piece begins, ends the sums */
};

/* Everything below is written for M rows of x and P panels, both constants once it is inlined into
 * an instance. M = 0 unpacks: the floats of the piece go to y[K, W] instead of into sums. */

/* ---- One vector of weights ---- */

/* A run's scale and offset of VL columns. */
struct scales {
    vf d, o;
};

/* `head` and `scales` at the panel's column 0, c the vector's first column, half: of the run's k.
 */
INLINE struct scales load_scales(const enum format f, const uint8_t *head, const uint8_t *scales,
                                 const int c, const int half)
{
    switch (f) {
    case FORMAT_Q4_0: {
        vf d = vload_f16(scales + 2 * c);
        return (struct scales){d, vmul(d, vset(-8))};
    }
    case FORMAT_Q4_1:
    case FORMAT_Q5_1:
        return (struct scales){vload_f16(scales + 2 * c), vload_f16(scales + 2 * (W + c))};
    case FORMAT_Q4_K:
    case FORMAT_Q5_K: {
        vf d = vmul(vload_f16(head + 2 * c), vfloat(vload_u8(scales + c)));
        vf m = vmul(vload_f16(head + 2 * (W + c)), vfloat(vload_u8(scales + W + c)));
        return (struct scales){d, vsub(vset(-0.0f), m)};
    }
    case FORMAT_Q6_K:
        return (struct scales){
            vmul(vload_f16(head + 2 * c), vfloat(vload_i8(scales + half * W + c))), vzero()};
    default:
        return (struct scales){vload_f16(scales + 2 * c), vzero()};
    }
}

INLINE vf scaled(const enum format f, vi code, struct scales s)
{
    bool offset = f == FORMAT_Q4_0 || f == FORMAT_Q4_1 || f == FORMAT_Q5_1 || f == FORMAT_Q4_K ||
                  f == FORMAT_Q5_K;
    return offset ? vfma(vfloat(code), s.d, s.o) : vmul(vfloat(code), s.d);
}

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
INLINE void multiply(const int M, const int P, const struct from *from, float *unpacked, size_t k,
                     const vf *w, vf *sums)
{
    if (M == 0) {
        vstore(unpacked + k * W, w[0]);
        vstore(unpacked + k * W + VL, w[1]);
        return;
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
        multiply(M, P, &from, a->y, k, w, sums);
    }
}

INLINE void multiply_bf16(const int M, const int P, const struct tile *a, vf *sums)
{
    const struct from from = rows_of(M, P, a);
    for (size_t k = 0; k < a->K; k += 2) {
        vf even[2 * PANELS], odd[2 * PANELS];
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            const uint8_t *p = from.w[v / 2];
            vi pair = vload_i(p + ((a->k + k) / 2 * W + (size_t)(v % 2 * VL)) * 4);
            even[v] = vf_of_bits(vshift_left(pair, 16));
            odd[v] = vf_of_bits(vand_i(pair, vset_i((int32_t)0xffff0000)));
        }
        multiply(M, P, &from, a->y, k, even, sums);
        if (k + 1 < a->K)
            multiply(M, P, &from, a->y, k + 1, odd, sums);
    }
}

/* ---- Panels of blocks ---- */

/* The runs of a panel, from its first on. */
struct run {
    const uint8_t *head, *scales, *codes;
};

INLINE struct run run_at(const enum format f, const uint8_t *panel, size_t run)
{
    const bool k = f == FORMAT_Q4_K || f == FORMAT_Q5_K, six = f == FORMAT_Q6_K;
    const bool nibbles = f == FORMAT_Q4_0 || f == FORMAT_Q4_1 || f == FORMAT_Q4_K;
    const size_t head = k ? 4 : six ? 2 : 0, runs = k || six ? 8 : 1;
    const size_t scales = f == FORMAT_Q4_1 || f == FORMAT_Q5_1 ? 4 : 2, codes = nibbles ? 16 : 32;
    struct run r;
    r.head = panel + W * (run / runs * (head + runs * (scales + codes)));
    r.scales = r.head + W * (head + run % runs * (scales + codes));
    r.codes = r.scales + W * scales;
    return r;
}

/* The 4 k of nibble j of a run whose first k is k. A nibble is a number of its own once the others
 * are masked off: 16^j times its code, which the scale makes up for; all of it exact. */
INLINE void multiply_nibble(const enum format f, const int M, const int P, const struct tile *a,
                            const struct from *from, const uint8_t *const *codes, struct scales *s,
                            const int j, size_t k, vf *sums)
{
    const vi mask = vset_i(15 << 4 * (j % 7)); /* the last are shifted down */
    UNROLL for (int i = 0; i < 4; i++)
    {
        vf w[2 * PANELS];
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            vi word = vload_i(codes[v / 2] + (i * W + v % 2 * VL) * 4);
            if (j == 7)
                word = vshift_right(word, 28);
            w[v] = scaled(f, vand_i(word, mask), s[v]);
        }
        multiply(M, P, from, a->y, k + (size_t)(4 * j + i), w, sums);
    }
    UNROLL for (int v = 0; v < 2 * P; v++)
    {
        s[v].d = vmul(s[v].d, vset(j == 6 ? 0x1p24f : 0x1p-4f));
    }
}

/* Unrolled, one row is a quarter faster, and two are slower by half. */
INLINE void multiply_nibbles(const enum format f, const int M, const int P, const struct tile *a,
                             vf *sums)
{
    const struct from from = rows_of(M, P, a);
    for (size_t run = 0; run < a->K / 32; run++) {
        struct scales s[2 * PANELS];
        const uint8_t *codes[PANELS];
        UNROLL for (int v = 0; v < 2 * P; v++)
        {
            struct run r = run_at(f, from.w[v / 2], a->k / 32 + run);
            s[v] = load_scales(f, r.head, r.scales, v % 2 * VL, 0);
            codes[v / 2] = r.codes;
        }
        if (M <= 1) {
            UNROLL for (int j = 0; j < 8; j++)
            {
                multiply_nibble(f, M, P, a, &from, codes, s, j, run * 32, sums);
            }
        } else {
            for (int j = 0; j < 8; j++)
                multiply_nibble(f, M, P, a, &from, codes, s, j, run * 32, sums);
        }
    }
}

INLINE void multiply_bytes(const enum format f, const int M, const int P, const struct tile *a,
                           vf *sums)
{
    const struct from from = rows_of(M, P, a);
    const int halves = f == FORMAT_Q6_K ? 2 : 1;
    for (size_t run = 0; run < a->K / 32; run++)
        for (int half = 0; half < halves; half++) {
            struct scales s[2 * PANELS];
            const uint8_t *codes[PANELS];
            UNROLL for (int v = 0; v < 2 * P; v++)
            {
                struct run r = run_at(f, from.w[v / 2], a->k / 32 + run);
                s[v] = load_scales(f, r.head, r.scales, v % 2 * VL, half);
                codes[v / 2] = r.codes + half * 16 * W;
            }
            for (int k = 0; k < 32 / halves; k++) {
                vf w[2 * PANELS];
                UNROLL for (int v = 0; v < 2 * P; v++)
                {
                    w[v] = scaled(f, vload_i8(codes[v / 2] + k * W + v % 2 * VL), s[v]);
                }
                multiply(M, P, &from, a->y, run * 32 + (size_t)(half * 16 + k), w, sums);
            }
        }
}

/* ---- Instances ---- */

INLINE void tile(const enum format f, const int M, const int P, const struct tile *a)
{
    vf sums[SUMS];
    if (M > 0)
        tile_begin(M, P, a, sums);
    switch (f) {
    case FORMAT_F32:
    case FORMAT_F16:
        multiply_floats(f, M, P, a, sums);
        break;
    case FORMAT_BF16:
        multiply_bf16(M, P, a, sums);
        break;
    case FORMAT_Q4_0:
    case FORMAT_Q4_1:
    case FORMAT_Q4_K:
        multiply_nibbles(f, M, P, a, sums);
        break;
    default:
        multiply_bytes(f, M, P, a, sums);
    }
    if (M > 0)
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
#define TILES(NAME, name, P1, P2, P3)                                                              \
    TILE(NAME, name, 0, 1)                                                                         \
    TILE(NAME, name, 1, 1)                                                                         \
    TILE(NAME, name, 2, 1)                                                                         \
    TILE(NAME, name, 3, 1)                                                                         \
    WIDE(NAME, name, 1, P1)                                                                        \
    WIDE(NAME, name, 2, P2)                                                                        \
    WIDE(NAME, name, 3, P3)
#define ROW(name, P1, P2, P3)                                                                      \
    {                                                                                              \
        name##_0x1, {name##_1x1, name##_2x1, name##_3x1},                                          \
            {name##_wide_1, name##_wide_2, name##_wide_3},                                         \
        {                                                                                          \
            P1, P2, P3                                                                             \
        }                                                                                          \
    }
/* How many panels go together with 1, 2 and 3 rows of x is what was fastest. */
TILES(F32, f32, 4, 3, 2)
TILES(F16, f16, 4, 3, 2)
TILES(BF16, bf16, 4, 3, 2)
TILES(Q8_0, q8_0, 3, 2, 2)
TILES(Q4_0, q4_0, 2, 2, 2)
TILES(Q4_1, q4_1, 2, 2, 2)
TILES(Q5_0, q5_0, 3, 2, 2)
TILES(Q5_1, q5_1, 2, 2, 2)
TILES(Q4_K, q4_k, 2, 2, 2)
TILES(Q5_K, q5_k, 2, 2, 2)
TILES(Q6_K, q6_k, 3, 2, 2)
TILE(F32, f32, 4, 1)
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

enum { FEW = 3 }; /* rows of x for which w is unpacked in registers */

static const struct {
    tile_function *unpack;
    tile_function *few[FEW];  /* [M - 1] over one panel */
    tile_function *wide[FEW]; /* [M - 1] over several: */
    size_t panels[FEW];
} formats[FORMAT_COUNT] = {
    [FORMAT_F32] = ROW(f32, 4, 3, 2),
    [FORMAT_F16] = ROW(f16, 4, 3, 2),
    [FORMAT_BF16] = ROW(bf16, 4, 3, 2),
    [FORMAT_Q8_0] = ROW(q8_0, 3, 2, 2),
    [FORMAT_Q4_0] = ROW(q4_0, 2, 2, 2),
    [FORMAT_Q4_1] = ROW(q4_1, 2, 2, 2),
    [FORMAT_Q5_0] = ROW(q5_0, 3, 2, 2),
    [FORMAT_Q5_1] = ROW(q5_1, 2, 2, 2),
    [FORMAT_Q4_K] = ROW(q4_k, 2, 2, 2),
    [FORMAT_Q5_K] = ROW(q5_k, 2, 2, 2),
    [FORMAT_Q6_K] = ROW(q6_k, 3, 2, 2),
    /* these have the panels of Q8_0 and Q4_0 */
    [FORMAT_INT8] = ROW(q8_0, 3, 2, 2),
    [FORMAT_INT8_G32] = ROW(q8_0, 3, 2, 2),
    [FORMAT_INT8_G64] = ROW(q8_0, 3, 2, 2),
    [FORMAT_INT8_G128] = ROW(q8_0, 3, 2, 2),
    [FORMAT_INT4_G32] = ROW(q4_0, 2, 2, 2),
    [FORMAT_INT4_G64] = ROW(q4_0, 2, 2, 2),
    [FORMAT_INT4_G128] = ROW(q4_0, 2, 2, 2),
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
    const float *x, *bias; /* bias: of the weight's row 0, or NULL */
    float *y;              /* rows ldy apart */
    size_t first, N, T, ldy;
};

enum { WORK_FLOATS = KB * W };

static struct tile first_tile(const struct product *p)
{
    size_t bytes = panel_bytes(p->w->format, p->w->cols, W);
    return (struct tile){.w = (const uint8_t *)p->w->packed + p->first / W * bytes,
                         .w_bytes = bytes,
                         .ldx = (size_t)p->w->cols,
                         .ldy = p->ldy,
                         .bias = p->bias ? p->bias + p->first : NULL};
}

static void product_few(const struct product *p)
{
    struct tile t = first_tile(p);
    size_t panels = formats[p->w->format].panels[p->T - 1];
    t.K = (size_t)p->w->cols;
    t.x = p->x;
    t.first = t.last = true;
    for (size_t n = 0; n < p->N; n += t.N) {
        bool wide = p->N - n > (panels - 1) * W;
        t.N = min_size(p->N - n, wide ? panels * W : W);
        t.y = p->y + n;
        (wide ? formats[p->w->format].wide : formats[p->w->format].few)[p->T - 1](&t);
        t.w += t.w_bytes * (wide ? panels : 1);
        t.bias = t.bias ? t.bias + t.N : NULL;
    }
}

/* All rows over one piece of one panel, whose floats are at t->w. Meanwhile the next panel's piece,
 * `bytes` at `next`, is on its way from memory; floats are a stream long enough to be foreseen. */
static void piece_rows(const struct product *p, struct tile *t, size_t k, size_t n,
                       const uint8_t *next, size_t bytes)
{
    size_t tiles = (p->T + M_TILE - 1) / M_TILE, step = (bytes + tiles - 1) / tiles;
    for (size_t m = 0, M; m < p->T; m += M, next += step) {
        for (size_t i = 0; i < step; i += 64)
            _mm_prefetch((const char *)next + i, _MM_HINT_T1);
        M = even_share(p->T - m, M_TILE);
        t->x = p->x + m * t->ldx + k;
        t->y = p->y + m * p->ldy + n;
        many[M - 1](t);
    }
}

static void product_many(const struct product *p, float *work)
{
    size_t K = (size_t)p->w->cols, piece = (even_share(K, KB) + 31) / 32 * 32;
    bool floats = p->w->format == FORMAT_F32;
    for (size_t k = 0; k < K; k += piece) {
        struct tile t = first_tile(p);
        const uint8_t *panel = t.w;
        size_t before = panel_bytes(p->w->format, (int64_t)k, W);
        t.K = min_size(K - k, piece);
        t.first = k == 0;
        t.last = k + t.K == K;
        for (size_t n = 0; n < p->N; n += W, panel += t.w_bytes) {
            t.w = panel;
            t.k = k;
            if (!floats) {
                t.y = work;
                formats[p->w->format].unpack(&t);
                t.w = (const uint8_t *)work;
                t.k = 0;
            }
            t.N = min_size(p->N - n, W);
            piece_rows(p, &t, k, n, panel + t.w_bytes + before, floats ? 0 : t.w_bytes * t.K / K);
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
    p.x += t * (size_t)p.w->cols;
    p.y += t * p.ldy + n;
    product(&p, (float *)(void *)(l->work + (size_t)thread * l->stride));
}

/* Panels a part: some parts a thread even out what else the cores do. */
static size_t panels_a_part(const struct linear *l, size_t threads)
{
    size_t panels = ((size_t)l->p.w->rows + W - 1) / W;
    size_t step = l->T <= FEW ? formats[l->p.w->format].panels[l->T - 1] : 1;
    size_t most = l->T <= FEW ? 64 : 8, ret = panels * l->t_parts / (6 * threads) / step * step;
    return ret < step ? step : min_size(ret, most);
}

static void linear(struct device *dev, float *y, const float *x, const struct weight *w,
                   const float *bias, int T)
{
    size_t N = (size_t)w->rows;
    if (w->x_int8) {
        LEVEL(int8_linear)(dev, y, x, w, bias, T);
        return;
    }
    if (T == 0)
        return;
    struct linear l = {.p = {.w = w, .x = x, .bias = bias, .y = y, .ldy = N}, .T = (size_t)T};
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
    const struct asked *asked;
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
                              .x = l->asked->x + l->row * (size_t)l->head->cols,
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
    size_t n_tops = a->k > 0 ? threads * group : 0;
    struct logprobs l = {.head = head, .asked = a, .n_blocks = n_blocks};
    l.work = device_scratch(dev, (WORK_FLOATS + group * VB) * sizeof(float), &l.stride);
    l.blocks = device_shared(dev, group * n_blocks * sizeof *l.blocks + n_tops * sizeof *l.tops +
                                      asked_before(a, T) * sizeof *l.wanted);
    l.tops = (struct top *)(void *)(l.blocks + group * n_blocks);
    l.wanted = (float *)(void *)(l.tops + n_tops);
    for (l.row = 0; l.row < T; l.row += group) {
        l.T = min_size(T - l.row, group);
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
