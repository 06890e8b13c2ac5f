/* int8.c: products of activations quantized per token to INT8 (int8.h has the rule) with weights of
 * 4 and 8 bits. Written once for every CPU level (simd.h).
 *
 * Order    The codes' products are whole numbers and are summed exactly, over a run of 32 k (INT8:
 *          over all of K). A run's sum counts times its scale and joins one chain of multiply-adds,
 *          runs ascending; then the token's scale and the bias. So the bits are the same for any
 *          rows, threads and level, and in ref.c.
 * Bytes    x as 16-bit numbers; two k of a column side by side in 32 bits, widened to 16 bits as
 *          they are read: vpmaddwd multiplies both and adds them, 16 products an instruction where
 *          f32 has 8. Four k and unsigned bytes (vpmaddubsw) would overflow.
 * Nibbles  x as bytes; four k of a column side by side, 0 .. 15: vpmaddubsw, 32 products, and eight
 *          of its sums fit 16 bits (8 * 2 * 15 * 128 = 30,720), just a run's. What the format takes
 *          off its codes is taken off the sum, times the sum of x, and so are Q4_1's offsets.
 * Tile     6 rows of x (of nibbles 4) times one panel of 2 vectors of columns.
 * Floor    2 multiplications a cycle: twice f32's for bytes, four times for nibbles; with one row
 *          reading w. `test_kernels --bench=int8`. */
#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"

enum {
    W = 2 * VL,         /* columns of a panel */
    M_TILE = 6,         /* rows of x a tile of bytes takes; */
    M_TILE_NIBBLES = 4, /* of nibbles: what was fastest */
    TB = 96,            /* rows of a block: their codes stay in L2 */
};

/* ---- Quantizing rows of x ---- */

struct quantizing {
    const float *x;
    size_t K;
    const struct int8_rows *to;
};

/* 8 codes as 16-bit numbers, -128 .. 127. */
INLINE __m128i codes_of(const float *x, __m256 scale)
{
    __m256i q = _mm256_cvtps_epi32(_mm256_div_ps(_mm256_loadu_ps(x), scale));
    __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    return _mm_max_epi16(_mm_min_epi16(h, _mm_set1_epi16(127)), _mm_set1_epi16(-128));
}

INLINE int32_t sum_of_codes(__m128i a, __m128i b, __m128i c, __m128i d)
{
    __m128i sum = _mm_add_epi16(_mm_add_epi16(a, b), _mm_add_epi16(c, d));
    sum = _mm_madd_epi16(sum, _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return _mm_cvtsi128_si32(sum);
}

static float row_scale(const float *x, size_t K)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 most = _mm256_setzero_ps(), odd = most;
    for (size_t k = 0; k < K; k += 8) {
        __m256 v = _mm256_loadu_ps(x + k);
        most = _mm256_max_ps(_mm256_andnot_ps(sign, v), most);
        odd = _mm256_fmadd_ps(v, _mm256_setzero_ps(), odd); /* NaN if v is not finite */
    }
    float lanes[16], greatest = 0;
    _mm256_storeu_ps(lanes, most);
    _mm256_storeu_ps(lanes + 8, odd);
    for (int i = 0; i < 8; i++) {
        greatest = lanes[i] > greatest ? lanes[i] : greatest;
        if (!(lanes[8 + i] == 0))
            return NAN;
    }
    return int8_scale(greatest);
}

static void quantize_row(void *arg, size_t t, int thread)
{
    (void)thread;
    const struct quantizing *a = arg;
    const struct int8_rows *to = a->to;
    const float *x = a->x + t * a->K;
    to->scales[t] = row_scale(x, a->K);
    const __m256 scale = _mm256_set1_ps(to->scales[t]);
    for (size_t k = 0; k < a->K; k += INT8_RUN) {
        __m128i h[4];
        for (size_t i = 0; i < 4; i++)
            h[i] = codes_of(x + k + 8 * i, scale);
        to->sums[t * (a->K / INT8_RUN) + k / INT8_RUN] = sum_of_codes(h[0], h[1], h[2], h[3]);
        if (to->wide)
            for (size_t i = 0; i < 4; i++)
                _mm_storeu_si128((__m128i *)(void *)(to->wide + t * a->K + k + 8 * i), h[i]);
        else
            for (size_t i = 0; i < 4; i += 2)
                _mm_storeu_si128((__m128i *)(void *)(to->bytes + t * a->K + k + 8 * i),
                                 _mm_packs_epi16(h[i], h[i + 1]));
    }
}

/* ---- Tiles ---- */

struct tile {
    const uint8_t *w; /* the panel */
    size_t K;
    struct int8_rows x; /* of the tile's first row */
    float *y;           /* [M, N], rows ldy apart */
    size_t ldy, N;      /* N <= W */
    const float *bias;  /* [N] or NULL */
};

INLINE vi vload_i8_as_i16(const uint8_t *p)
{
#if SIMD_BITS == 512
    return MM(cvtepi8_epi16)(_mm256_loadu_si256((const __m256i *)(const void *)p));
#else
    return MM(cvtepi8_epi16)(_mm_loadu_si128((const __m128i *)(const void *)p));
#endif
}

/* 4 bytes of x in every lane. */
INLINE vi vset_4_bytes(const void *p)
{
    int32_t word;
    memcpy(&word, p, sizeof word);
    return vset_i(word);
}

/* sum + the products of pairs. Spelled out because gcc, left to order them, runs out of registers
 * for the twelve sums of a tile. */
INLINE vi add_products(vi sum, vi pair, vi w)
{
#if SIMD_BITS == 256
    vi products;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
            : "+x"(sum), "=&x"(products)
            : "x"(pair), "x"(w));
    return sum;
#else
    return MM(add_epi32)(sum, MM(madd_epi16)(pair, w));
#endif
}

/* Likewise of fours of nibbles and bytes, in 16 bits. */
INLINE vi add_nibbles(vi sum, vi nibbles, vi x)
{
#if SIMD_BITS == 256
    vi products;
    __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
            : "+x"(sum), "=&x"(products)
            : "x"(nibbles), "x"(x));
    return sum;
#else
    return MM(add_epi16)(sum, MM(maddubs_epi16)(nibbles, x));
#endif
}

/* sums[m][v] of the products of n codes of w, from `codes` on, with x's from k on. */
INLINE void multiply_bytes(const int M, const struct tile *t, const uint8_t *codes, size_t k,
                           size_t n, vi sums[M_TILE][2])
{
    const int16_t *x[M_TILE];
    UNROLL for (int m = 0; m < M; m++)
    {
        x[m] = t->x.wide + (size_t)m * t->K + k;
        sums[m][0] = sums[m][1] = vset_i(0);
    }
    for (size_t i = 0; i < n; i += 2, codes += 2 * W) {
        vi a = vload_i8_as_i16(codes), b = vload_i8_as_i16(codes + 2 * VL);
        UNROLL for (int m = 0; m < M; m++)
        {
            vi pair = vset_4_bytes(x[m] + i);
            sums[m][0] = add_products(sums[m][0], pair, a);
            sums[m][1] = add_products(sums[m][1], pair, b);
        }
    }
}

/* The same for a run of nibbles. */
INLINE void multiply_nibbles(const int M, const struct tile *t, const uint8_t *codes, size_t k,
                             vi sums[M_TILE][2])
{
    const vi low = vset_i(0x0f0f0f0f), ones = vset_i(0x00010001);
    const int8_t *x = t->x.bytes + k;
    UNROLL for (int m = 0; m < M; m++) sums[m][0] = sums[m][1] = vset_i(0);
    UNROLL for (size_t i = 0; i < INT8_RUN; i += 8, codes += 4 * W)
        UNROLL for (int v = 0; v < 2; v++)
    {
        vi word = vload_i(codes + v * 4 * VL);
        vi a = vand_i(word, low), b = vand_i(MM(srli_epi16)(word, 4), low);
        UNROLL for (int m = 0; m < M; m++)
        {
            const int8_t *at = x + (size_t)m * t->K + i;
            vi sum = add_nibbles(sums[m][v], a, vset_4_bytes(at));
            sums[m][v] = add_nibbles(sum, b, vset_4_bytes(at + 4));
        }
    }
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int v = 0; v < 2; v++) sums[m][v] =
        MM(madd_epi16)(sums[m][v], ones);
}

INLINE void finish(const int M, const struct tile *t, vf y[M_TILE][2])
{
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int v = 0; v < 2; v++)
    {
        size_t c = (size_t)(v * VL);
        vmask mask = first_lanes(t->N > c ? t->N - c : 0);
        vf out = vmul(y[m][v], vset(t->x.scales[m]));
        float *to = t->y + (size_t)m * t->ldy + c;
        if (t->bias)
            out = vadd(out, vload_mask(t->bias + c, mask));
        if (t->N == W)
            vstore(to, out);
        else
            vstore_mask(to, mask, out);
    }
}

INLINE vf vload_floats(const uint8_t *p)
{
    return vload((const float *)(const void *)p);
}

INLINE void tile(const enum int8_kind kind, const int M, const struct tile *t)
{
    const bool nibbles = kind == INT8_NIBBLES || kind == INT8_NIBBLES_OFFSET;
    const size_t run = kind == INT8_ROW ? t->K : INT8_RUN, n_sums = t->K / INT8_RUN;
    const uint8_t *p = t->w;
    vf in_memory[M_TILE][2], (*y)[2] = in_memory;
    if (kind == INT8_BYTES)
        __asm__("" : "+r"(y) : : "memory"); /* registers are for the sums */
    UNROLL for (int m = 0; m < M; m++) y[m][0] = y[m][1] = vzero();
    for (size_t k = 0; k < t->K; k += run) {
        vi sums[M_TILE][2];
        const uint8_t *scales = p;
        p += 4 * W * (kind == INT8_NIBBLES_OFFSET ? 2 : 1);
        if (nibbles)
            multiply_nibbles(M, t, p, k, sums);
        else
            multiply_bytes(M, t, p, k, run, sums);
        p += nibbles ? run / 2 * W : run * W;
        UNROLL for (int m = 0; m < M; m++) UNROLL for (int v = 0; v < 2; v++)
        {
            const int32_t *sum_of_x = t->x.sums + (size_t)m * n_sums + k / INT8_RUN;
            vi sum = sums[m][v];
            if (kind == INT8_NIBBLES)
                sum = MM(sub_epi32)(sum, vset_i(8 * *sum_of_x));
            y[m][v] = vfma(vfloat(sum), vload_floats(scales + 4 * VL * v), y[m][v]);
            if (kind == INT8_NIBBLES_OFFSET)
                y[m][v] =
                    vfma(vset((float)*sum_of_x), vload_floats(scales + 4 * (W + VL * v)), y[m][v]);
        }
    }
    finish(M, t, y);
}

typedef void tile_function(const struct tile *t);

#define TILE(KIND, name, M)                                                                        \
    static void name##_##M(const struct tile *t)                                                   \
    {                                                                                              \
        tile(INT8_##KIND, M, t);                                                                   \
    }
#define TILES(KIND, name)                                                                          \
    TILE(KIND, name, 1)                                                                            \
    TILE(KIND, name, 2)                                                                            \
    TILE(KIND, name, 3)                                                                            \
    TILE(KIND, name, 4)
TILES(ROW, row)
TILE(ROW, row, 5)
TILE(ROW, row, 6)
TILES(BYTES, bytes)
TILE(BYTES, bytes, 5)
TILE(BYTES, bytes, 6)
TILES(NIBBLES, nibbles)
TILES(NIBBLES_OFFSET, nibbles_offset)

static tile_function *const tiles[][M_TILE] = {
    [INT8_ROW] = {row_1, row_2, row_3, row_4, row_5, row_6},
    [INT8_BYTES] = {bytes_1, bytes_2, bytes_3, bytes_4, bytes_5, bytes_6},
    [INT8_NIBBLES] = {nibbles_1, nibbles_2, nibbles_3, nibbles_4},
    [INT8_NIBBLES_OFFSET] = {nibbles_offset_1, nibbles_offset_2, nibbles_offset_3,
                             nibbles_offset_4},
};

/* ---- The product ---- */

struct product {
    const struct weight *w;
    const float *bias;
    float *y;
    struct int8_rows x;
    enum int8_kind kind;
    size_t T, N, K, panel_bytes, t_part, t_parts, panels, panels_part;
};

static struct int8_rows rows_from(const struct product *p, size_t t)
{
    struct int8_rows r = p->x;
    r.scales += t;
    r.sums += t * (p->K / INT8_RUN);
    r.wide = r.wide ? r.wide + t * p->K : NULL;
    r.bytes = r.bytes ? r.bytes + t * p->K : NULL;
    return r;
}

/* Parts that share panels are neighbours: w comes from memory, x is in the cache. */
static void product_part(void *arg, size_t part, int thread)
{
    (void)thread;
    const struct product *p = arg;
    size_t first = part % p->t_parts * p->t_part, end = min_size(first + p->t_part, p->T);
    size_t panel = part / p->t_parts * p->panels_part;
    for (size_t last = min_size(panel + p->panels_part, p->panels); panel < last; panel++) {
        size_t n = panel * W;
        struct tile t = {.w = (const uint8_t *)p->w->packed + panel * p->panel_bytes,
                         .K = p->K,
                         .ldy = p->N,
                         .N = min_size(p->N - n, W),
                         .bias = p->bias ? p->bias + n : NULL};
        for (size_t m = first, M; m < end; m += M) {
            M = even_share(end - m, p->x.wide ? M_TILE : M_TILE_NIBBLES);
            t.x = rows_from(p, m);
            t.y = p->y + m * p->N + n;
            tiles[p->kind][M - 1](&t);
        }
    }
}

void LEVEL(int8_linear)(struct device *dev, float *y, const float *x, const struct weight *w,
                        const float *bias, int T)
{
    struct product p = {.w = w, .bias = bias, .y = y, .T = (size_t)T, .N = (size_t)w->rows};
    size_t threads = (size_t)pool_size(dev->pool);
    if (T == 0)
        return;
    p.K = (size_t)w->cols;
    p.kind = int8_kind(w->format);
    p.x = int8_rows_new(dev, T, w->cols, p.kind);
    p.panel_bytes = int8_panel_bytes(w->format, w->cols, W);
    p.panels = (p.N + W - 1) / W;
    p.t_part = even_share(p.T, TB);
    p.t_parts = (p.T + p.t_part - 1) / p.t_part;
    p.panels_part =
        max_size(min_size(p.panels * p.t_parts / (6 * threads), p.T <= M_TILE ? 64 : 8), 1);
    bool small = p.T * p.N * p.K < SERIAL_PRODUCTS;
    struct quantizing q = {x, p.K, &p.x};
    share(dev, p.T * p.K < SERIAL_FLOATS, p.T, quantize_row, &q);
    share(dev, small, (p.panels + p.panels_part - 1) / p.panels_part * p.t_parts, product_part, &p);
}
