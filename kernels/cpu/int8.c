/* int8.c: products of activations quantized per token to INT8 (int8.h has the rule) with weights of
 * 2, 4 and 8 bits. Written once for every CPU level (simd.h).
 *
 * Order    The codes' products are whole numbers and are summed exactly, over a group of columns
 *          that share a scale (of GGUF's blocks a run of 32). A group's sum counts times its scale
 *          and joins one chain of multiply-adds, groups ascending; then the token's scale and the
 *          bias. So the bits are the same for any rows, threads and level, and in ref.c.
 * Bytes    x as 16-bit numbers; two k of a column side by side in 32 bits, widened to 16 bits as
 *          they are read: vpmaddwd multiplies both and adds them, 16 products an instruction where
 *          f32 has 8. Four k and unsigned bytes (vpmaddubsw) would overflow.
 * Words    of codes of 2 and 4 bits: x as bytes; four k of a column side by side, 0 .. 15:
 *          vpmaddubsw, 32 products, and eight of its sums fit 16 bits (8 * 2 * 15 * 128 = 30,720),
 *          just a run's. What stands for zero is taken off the sum, times the sum of x, and so are
 *          Q4_1's offsets.
 * Tile     6 rows of x (of words 4) times one panel of 2 vectors of columns.
 * Floor    2 multiplications a cycle: twice f32's for bytes, four times for words; with one row
 *          reading w. `test_kernels --bench=int8`. */
#include "kernels/cpu/int8.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/panel.h"

enum {
    W = 2 * VL,       /* columns of a panel */
    M_TILE = 6,       /* rows of x a tile of bytes takes; */
    M_TILE_WORDS = 4, /* of words: what was fastest */
    TB = 96,          /* rows of a block: their codes stay in L2 */
    PART = 16,        /* codes of x between two of its sums */
};

/* T rows of x as codes, and sums of the codes before each 16 of them. */
struct rows {
    float *scales; /* [T] */
    int32_t *sums; /* [T, K / 16 + 1] */
    int16_t *wide; /* [T, K] for bytes, or NULL */
    int8_t *bytes; /* [T, K] for words, or NULL */
};

/* ---- Quantizing rows of x ---- */

struct quantizing {
    const struct weight *w;
    const float *x;
    size_t K;
    const struct rows *to;
};

/* 8 codes as 16-bit numbers, -128 .. 127. */
INLINE __m128i codes_of(const float *x, __m256 scale)
{
    __m256i q = _mm256_cvtps_epi32(_mm256_div_ps(_mm256_loadu_ps(x), scale));
    __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    return _mm_max_epi16(_mm_min_epi16(h, _mm_set1_epi16(127)), _mm_set1_epi16(-128));
}

INLINE int32_t sum_of_codes(__m128i a, __m128i b)
{
    __m128i sum = _mm_madd_epi16(_mm_add_epi16(a, b), _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return _mm_cvtsi128_si32(sum);
}

static float row_scale(const struct weight *w, const float *x, size_t K)
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
    return int8_scale(w, greatest);
}

static void quantize_row(void *arg, size_t t, int thread)
{
    (void)thread;
    const struct quantizing *a = arg;
    const struct rows *to = a->to;
    const float *x = a->x + t * a->K;
    int32_t *sums = to->sums + t * (a->K / PART + 1);
    to->scales[t] = row_scale(a->w, x, a->K);
    const __m256 scale = _mm256_set1_ps(to->scales[t]);
    sums[0] = 0;
    for (size_t k = 0; k < a->K; k += PART, sums++) {
        __m128i low = codes_of(x + k, scale), high = codes_of(x + k + 8, scale);
        size_t at = t * a->K + k;
        sums[1] = (int32_t)((uint32_t)sums[0] + (uint32_t)sum_of_codes(low, high));
        if (to->wide) {
            _mm_storeu_si128((__m128i *)(void *)(to->wide + at), low);
            _mm_storeu_si128((__m128i *)(void *)(to->wide + at + 8), high);
        } else {
            _mm_storeu_si128((__m128i *)(void *)(to->bytes + at), _mm_packs_epi16(low, high));
        }
    }
}

/* ---- Tiles ---- */

struct tile {
    struct panel panel;
    const uint8_t *w;
    size_t K;
    struct rows x;     /* of the tile's first row */
    float *y;          /* [M, N], rows ldy apart */
    size_t ldy, N;     /* N <= W */
    const float *bias; /* [N] or NULL */
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

/* Likewise of fours of small codes and bytes, in 16 bits. */
INLINE vi add_fours(vi sum, vi codes, vi x)
{
#if SIMD_BITS == 256
    vi products;
    __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0"
            : "+x"(sum), "=&x"(products)
            : "x"(codes), "x"(x));
    return sum;
#else
    return MM(add_epi16)(sum, MM(maddubs_epi16)(codes, x));
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

/* The same of `words` words of codes of `bits` bits, a run's at most. */
INLINE void multiply_run(const int bits, const int words, const int M, const struct tile *t,
                         const uint8_t *codes, size_t k, vi sums[M_TILE][2])
{
    const int n = 8 / bits;
    const vi low = vset_i(bits == 4 ? 0x0f0f0f0f : 0x03030303), ones = vset_i(0x00010001);
    const int8_t *x = t->x.bytes + k;
    UNROLL for (int m = 0; m < M; m++) sums[m][0] = sums[m][1] = vset_i(0);
    UNROLL for (int i = 0; i < words; i++, codes += 4 * W, x += 4 * n)
        UNROLL for (int v = 0; v < 2; v++)
    {
        vi word = vload_i(codes + v * 4 * VL);
        UNROLL for (int j = 0; j < n; j++)
        {
            vi code = vand_i(j ? MM(srli_epi16)(word, bits * j) : word, low);
            UNROLL for (int m = 0; m < M; m++)
            {
                const int8_t *at = x + (size_t)m * t->K + 4 * j;
                sums[m][v] = add_fours(sums[m][v], code, vset_4_bytes(at));
            }
        }
    }
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int v = 0; v < 2; v++) sums[m][v] =
        MM(madd_epi16)(sums[m][v], ones);
}

/* The same of n codes: runs, or half a run. */
INLINE void multiply_words(const int bits, const int M, const struct tile *t, const uint8_t *codes,
                           size_t k, size_t n, vi sums[M_TILE][2])
{
    if (n < RUN) {
        multiply_run(bits, bits / 2, M, t, codes, k, sums);
        return;
    }
    multiply_run(bits, bits, M, t, codes, k, sums);
    if (n == RUN)
        return;
    vi in_memory[M_TILE][2], (*all)[2] = in_memory;
    __asm__("" : "+r"(all) : : "memory"); /* registers are for a run's sums */
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int v = 0; v < 2; v++) all[m][v] = sums[m][v];
    for (size_t i = RUN; i < n; i += RUN) {
        codes += 4 * W * bits;
        multiply_run(bits, bits, M, t, codes, k + i, sums);
        UNROLL for (int m = 0; m < M; m++) UNROLL for (int v = 0; v < 2; v++) all[m][v] =
            MM(add_epi32)(all[m][v], sums[m][v]);
    }
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int v = 0; v < 2; v++) sums[m][v] = all[m][v];
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

INLINE bool is_bytes(const int f)
{
    return f == FORMAT_Q8_0 || f == FORMAT_INT8 || f == FORMAT_INT8_ZEROS;
}

/* The sums of a group whose scales are s join y; sum_of_x: of its codes. */
INLINE void add_group(const int f, const int M, const struct tile *t, size_t k, size_t n,
                      const int v, struct scales s, vi sums[M_TILE][2], vf (*y)[2])
{
    const int zero = f == FORMAT_Q4_0 || f == FORMAT_INT4 ? 8 : f == FORMAT_TERNARY ? 1 : 0;
    const bool offset = f == FORMAT_Q4_1 || f == FORMAT_Q4_K;
    UNROLL for (int m = 0; m < M; m++)
    {
        const int32_t *before = t->x.sums + (size_t)m * (t->K / PART + 1) + k / PART;
        int32_t sum_of_x = (int32_t)((uint32_t)before[n / PART] - (uint32_t)before[0]);
        vi sum = sums[m][v];
        if (zero)
            sum = MM(sub_epi32)(sum, vset_i(zero * sum_of_x));
        if (has_zeros(f))
            sum = MM(sub_epi32)(sum, MM(mullo_epi32)(MM(cvtps_epi32)(s.o), vset_i(sum_of_x)));
        y[m][v] = vfma(vfloat(sum), s.d, y[m][v]);
        if (offset)
            y[m][v] = vfma(vset((float)sum_of_x), s.o, y[m][v]);
    }
}

INLINE void tile(const int f, const int M, const struct tile *t)
{
    const struct panel_shape *shape = t->panel.shape;
    const bool blocks = run_scales(f) > 0;
    struct walk at = walk_from(shape, 0, W);
    vf in_memory[M_TILE][2], (*y)[2] = in_memory;
    if (is_bytes(f))
        __asm__("" : "+r"(y) : : "memory"); /* registers are for the sums */
    UNROLL for (int m = 0; m < M; m++) y[m][0] = y[m][1] = vzero();
    for (size_t k = 0, n; k < t->K; k += n) {
        vi sums[M_TILE][2];
        const int half = !blocks && shape->halves && k % RUN;
        n = blocks ? RUN : min_size(shape->padded, t->K - k);
        const uint8_t *codes = t->w + at.run + W * (run_scales(f) + (half ? shape->codes / 2 : 0));
        if (is_bytes(f))
            multiply_bytes(M, t, codes, k, n, sums);
        else
            multiply_words(low_bits(f), M, t, codes, k, n, sums);
        UNROLL for (int v = 0; v < 2; v++)
        {
            struct scales s =
                load_scales(f, &t->panel, t->w + at.head, t->w + at.run, W, VL * v, half);
            add_group(f, M, t, k, n, v, s, sums, y);
        }
        for (size_t run = (k + n) / RUN - k / RUN; run > 0; run--)
            walk_on(shape, &at, W);
    }
    finish(M, t, y);
}

typedef void tile_function(const struct tile *t);

#define TILE(NAME, name, M)                                                                        \
    static void name##_##M(const struct tile *t)                                                   \
    {                                                                                              \
        tile(FORMAT_##NAME, M, t);                                                                 \
    }
#define WORDS(NAME, name)                                                                          \
    TILE(NAME, name, 1)                                                                            \
    TILE(NAME, name, 2)                                                                            \
    TILE(NAME, name, 3)                                                                            \
    TILE(NAME, name, 4)
#define BYTES(NAME, name)                                                                          \
    WORDS(NAME, name)                                                                              \
    TILE(NAME, name, 5)                                                                            \
    TILE(NAME, name, 6)
BYTES(Q8_0, q8_0)
BYTES(INT8, int8)
BYTES(INT8_ZEROS, int8_zeros)
WORDS(Q4_0, q4_0)
WORDS(Q4_1, q4_1)
WORDS(Q4_K, q4_k)
WORDS(INT4, int4)
WORDS(INT4_ZEROS, int4_zeros)
WORDS(INT2, int2)
WORDS(TERNARY, ternary)

#define WORDS_ROW(name)                                                                            \
    {                                                                                              \
        name##_1, name##_2, name##_3, name##_4                                                     \
    }
#define BYTES_ROW(name)                                                                            \
    {                                                                                              \
        name##_1, name##_2, name##_3, name##_4, name##_5, name##_6                                 \
    }
static tile_function *const tiles[TILE_FORMATS][M_TILE] = {
    [FORMAT_Q8_0] = BYTES_ROW(q8_0),
    [FORMAT_INT8] = BYTES_ROW(int8),
    [FORMAT_INT8_ZEROS] = BYTES_ROW(int8_zeros),
    [FORMAT_Q4_0] = WORDS_ROW(q4_0),
    [FORMAT_Q4_1] = WORDS_ROW(q4_1),
    [FORMAT_Q4_K] = WORDS_ROW(q4_k),
    [FORMAT_INT4] = WORDS_ROW(int4),
    [FORMAT_INT4_ZEROS] = WORDS_ROW(int4_zeros),
    [FORMAT_INT2] = WORDS_ROW(int2),
    [FORMAT_TERNARY] = WORDS_ROW(ternary),
};

/* ---- The product ---- */

struct product {
    const struct weight *w;
    struct panel_shape shape;
    const float *bias;
    float *y;
    struct rows x;
    int format;
    size_t T, N, K, t_part, t_parts, panels, panels_part;
};

static struct rows rows_from(const struct product *p, size_t t)
{
    struct rows r = p->x;
    r.scales += t;
    r.sums += t * (p->K / PART + 1);
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
        struct tile t = {.panel = {&p->shape, p->w->scale_format, p->w->scale},
                         .w = (const uint8_t *)p->w->packed + panel * p->shape.bytes,
                         .K = p->K,
                         .ldy = p->N,
                         .N = min_size(p->N - n, W),
                         .bias = p->bias ? p->bias + n : NULL};
        for (size_t m = first, M; m < end; m += M) {
            M = even_share(end - m, p->x.wide ? M_TILE : M_TILE_WORDS);
            t.x = rows_from(p, m);
            t.y = p->y + m * p->N + n;
            tiles[p->format][M - 1](&t);
        }
    }
}

/* The codes of x, in the order of the panels. */
static void quantize(struct device *dev, struct product *p, const float *x)
{
    size_t codes = p->T * p->K, sums = p->T * (p->K / PART + 1), wide = is_bytes(p->format) ? 2 : 1;
    size_t moved = p->shape.moves ? codes : 0;
    float *work = device_shared(dev, (moved + sums + p->T) * sizeof *work + codes * wide);
    p->x.scales = work + moved;
    p->x.sums = (int32_t *)(void *)(p->x.scales + p->T);
    void *at = p->x.sums + sums;
    p->x.wide = wide == 2 ? at : NULL;
    p->x.bytes = wide == 1 ? at : NULL;
    if (p->shape.moves)
        panel_rows(dev, p->w, &p->shape, x, (int)p->T, work);
    struct quantizing q = {p->w, p->shape.moves ? work : x, p->K, &p->x};
    share(dev, codes < SERIAL_FLOATS, p->T, quantize_row, &q);
}

void LEVEL(int8_linear)(struct device *dev, float *y, const float *x, const struct weight *w,
                        const float *bias, int T)
{
    struct product p = {.w = w, .bias = bias, .y = y, .T = (size_t)T, .N = (size_t)w->rows};
    size_t threads = (size_t)pool_size(dev->pool);
    p.shape = panel_shape_of(w, W);
    p.K = p.shape.K;
    p.format = tile_format(w);
    p.panels = (p.N + W - 1) / W;
    p.t_part = even_share(p.T, TB);
    p.t_parts = (p.T + p.t_part - 1) / p.t_part;
    p.panels_part =
        max_size(min_size(p.panels * p.t_parts / (6 * threads), p.T <= M_TILE ? 64 : 8), 1);
    bool small = p.T * p.N * p.K < SERIAL_PRODUCTS;
    quantize(dev, &p, x);
    share(dev, small, (p.panels + p.panels_part - 1) / p.panels_part * p.t_parts, product_part, &p);
}
