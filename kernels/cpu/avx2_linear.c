/* avx2_linear.c: products with weights of every format, and the log-probabilities made of them.
 *
 * Tile     3 rows of x times 4 rows of w: 12 accumulators, 7 loads for 12 multiply-adds.
 *
 *                w0  w1  w2  w3        w: 4 rows, from the file (f32) or unpacked to floats in
 *            x0  ..  ..  ..  ..           an L1-sized scratch, once for a whole block of rows
 *            x1  ..  ..  ..  ..        ..: a register of 8 lanes, summed over K
 *            x2  ..  ..  ..  ..
 *
 * Blocks   For 72 rows of x (TB) and 32 of w (NB), K is walked in pieces of 768 (KB), so that the x
 *          piece stays in L2 and the w piece in L1. Between pieces the accumulators are parked in
 *          memory, lanes and all: cutting K changes no bit either.
 * Few rows of x: w is unpacked in registers and multiplied with all of them, never stored. One row
 *          is bound by reading w, quantized ones up to four by unpacking it.
 * Floor    2 multiply-adds a cycle; for one row w read once. `test_kernels --bench=linear`. */
#include "kernels/cpu/avx2.h"
#include "kernels/cpu/top.h"

#include <string.h>

enum {
    TB = 72,
    NB = 32,
    KB = 768,
    COPY_ROWS = 12, /* from so many rows of x on, copying f32 rows of w next to each other pays */
};

/* ---- Unpacking: 32 values of a weight's row as floats, the very floats of format.c ---- */

INLINE size_t bytes_of_32(const enum format f)
{
    switch (f) {
    case FORMAT_Q8_0:
        return 34;
    case FORMAT_Q4_0:
        return 18;
    case FORMAT_Q4_1:
        return 20;
    case FORMAT_F32:
        return 128;
    default:
        return 64;
    }
}

INLINE __m256 f16_scale(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(h)));
}

/* Two scales in a row. */
INLINE void f16_scales(const uint8_t *p, __m256 *first, __m256 *second)
{
    uint32_t h;
    memcpy(&h, p, sizeof h);
    __m128 both = _mm_cvtph_ps(_mm_cvtsi32_si128((int)h));
    *first = _mm256_broadcastss_ps(both);
    *second = _mm256_broadcastss_ps(_mm_movehdup_ps(both));
}

/* 16 bytes of nibbles: the low ones are values 0-15, the high ones 16-31. */
INLINE void unpack_nibbles(const uint8_t *p, __m256i ret[4])
{
    UNROLL for (int i = 0; i < 2; i++)
    {
        __m256i bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8 * i)));
        ret[i] = _mm256_and_si256(bytes, _mm256_set1_epi32(15));
        ret[i + 2] = _mm256_srli_epi32(bytes, 4);
    }
}

INLINE __m256 unpack_8_floats(const enum format f, const uint8_t *p)
{
    if (f == FORMAT_F32)
        return _mm256_loadu_ps((const float *)(const void *)p);
    __m128i h = _mm_loadu_si128((const __m128i *)p);
    return f == FORMAT_F16 ? _mm256_cvtph_ps(h)
                           : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

INLINE void unpack_32(const enum format f, const uint8_t *p, __m256 ret[4])
{
    __m256 d, m;
    __m256i q[4];
    switch (f) {
    case FORMAT_F32:
    case FORMAT_F16:
    case FORMAT_BF16:
        UNROLL for (int i = 0; i < 4; i++) ret[i] =
            unpack_8_floats(f, p + (size_t)i * (bytes_of_32(f) / 4));
        return;
    case FORMAT_Q8_0:
        d = f16_scale(p);
        UNROLL for (int i = 0; i < 4; i++)
        {
            q[i] = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p + 2 + 8 * i)));
            ret[i] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(q[i]));
        }
        return;
    case FORMAT_Q4_0:
        d = f16_scale(p);
        unpack_nibbles(p + 2, q);
        UNROLL for (int i = 0; i < 4; i++)
        {
            q[i] = _mm256_sub_epi32(q[i], _mm256_set1_epi32(8));
            ret[i] = _mm256_mul_ps(d, _mm256_cvtepi32_ps(q[i]));
        }
        return;
    case FORMAT_Q4_1:
        f16_scales(p, &d, &m);
        unpack_nibbles(p + 4, q);
        UNROLL for (int i = 0; i < 4; i++) /* d * q is exact in f32: fused or not is the same */
            ret[i] = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(q[i]), m);
        return;
    case FORMAT_COUNT:
        return;
    }
}

/* The last n < 32 values of a row of an unblocked format, followed by zeros. */
INLINE void unpack_tail(const enum format f, const uint8_t *p, size_t n, __m256 ret[4])
{
    uint8_t padded[128] = {0};
    memcpy(padded, p, n * (bytes_of_32(f) / 32));
    unpack_32(f, padded, ret);
}

/* `rows` rows from p, `row_bytes` apart: K values of each as floats to ret, KB apart. */
INLINE void expand(const enum format f, const uint8_t *p, size_t row_bytes, int rows, size_t K,
                   float *ret)
{
    __m256 v[4];
    for (int r = 0; r < rows; r++, p += row_bytes, ret += KB) {
        size_t k = 0;
        for (; k + 32 <= K; k += 32) {
            unpack_32(f, p + k / 32 * bytes_of_32(f), v);
            UNROLL for (int i = 0; i < 4; i++) _mm256_storeu_ps(ret + k + 8 * i, v[i]);
        }
        if (k == K)
            continue;
        unpack_tail(f, p + k / 32 * bytes_of_32(f), K - k, v);
        UNROLL for (int i = 0; i < 4; i++) _mm256_storeu_ps(ret + k + 8 * i, v[i]);
    }
}

/* ---- Few rows of x: w is unpacked in registers, for all of them, and never stored ---- */

enum { FEW = 8 }; /* rows of x at most */

struct few {
    const float *x;   /* M rows of K floats ldx apart */
    const uint8_t *w; /* N rows, row_bytes apart */
    size_t ldx, row_bytes, K, N;
    float *parked; /* [N, M, 8] accumulators, used when K comes in several pieces */
    bool first, last;
    const float *bias; /* [N] or NULL */
    float *y;          /* [M, N], rows ldy apart; written with the last piece */
    size_t ldy;
};

INLINE void finish_row(__m128 sums, int n, const float *bias, float *y)
{
    if (n == N_TILE) {
        _mm_storeu_ps(y, bias ? _mm_add_ps(sums, _mm_loadu_ps(bias)) : sums);
        return;
    }
    float out[N_TILE];
    _mm_storeu_ps(out, sums);
    for (int i = 0; i < n; i++)
        y[i] = bias ? out[i] + bias[i] : out[i];
}

/* acc[r][m] += the products of 32 values of R rows of w with those of M rows of x. Of quantized
 * rows one after the other: unpacking takes registers of its own. */
INLINE void add_block_by_block(const enum format f, const int M, const int R,
                               const uint8_t *const w[N_TILE], const float *x, size_t ldx,
                               __m256 acc[N_TILE][FEW])
{
    __m256 v[4];
    UNROLL for (int r = 0; r < R; r++)
    {
        unpack_32(f, w[r], v);
        UNROLL for (int i = 0; i < 4; i++) UNROLL for (int m = 0; m < M; m++) acc[r][m] =
            _mm256_fmadd_ps(_mm256_loadu_ps(x + (size_t)m * ldx + 8 * i), v[i], acc[r][m]);
    }
}

/* The same for floats, 8 values of all rows at a time: x is loaded once for R of them. The
 * instruction is spelled out because gcc, left to choose its form and order, moves accumulators
 * about and to the stack: 6 rows of x took a third longer. */
INLINE void add_side_by_side(const enum format f, const int M, const int R,
                             const uint8_t *const w[N_TILE], const float *x, size_t ldx,
                             __m256 acc[N_TILE][FEW])
{
    __m256 v[N_TILE];
    UNROLL for (int i = 0; i < 4; i++)
    {
        UNROLL for (int r = 0; r < R; r++) v[r] =
            unpack_8_floats(f, w[r] + (size_t)i * (bytes_of_32(f) / 4));
        UNROLL for (int m = 0; m < M; m++)
        {
            __m256 some = _mm256_loadu_ps(x + (size_t)m * ldx + 8 * i);
            UNROLL for (int r = 0; r < R; r++) __asm__ volatile(
                "vfmadd231ps %2, %1, %0" : "+x"(acc[r][m]) : "x"(v[r]), "x"(some));
        }
    }
}

/* The same for the last n < 32 values of one row of w: as many registers as hold any of them, x
 * zero behind. */
INLINE void add_tail(const int M, const __m256 w[4], const float *x, size_t ldx, size_t n,
                     __m256 acc[FEW])
{
    for (size_t i = 0; 8 * i < n; i++) {
        __m256i mask = lanes(min_size(n - 8 * i, 8));
        UNROLL for (int m = 0; m < M; m++) acc[m] =
            _mm256_fmadd_ps(_mm256_maskload_ps(x + (size_t)m * ldx + 8 * i, mask), w[i], acc[m]);
    }
}

INLINE void few_end(const int M, const int R, const struct few *a, size_t n, int rows,
                    __m256 acc[N_TILE][FEW])
{
    UNROLL for (int m = 0; m < M; m++)
    {
        if (!a->last) {
            UNROLL for (int r = 0; r < R; r++) if (r < rows) _mm256_storeu_ps(
                a->parked + 8 * ((n + (size_t)r) * (size_t)M + (size_t)m), acc[r][m]);
            continue;
        }
        __m128 sums = sum_lanes(acc[0][m], acc[R > 1 ? 1 : 0][m], acc[R > 2 ? 2 : 0][m],
                                acc[R > 3 ? 3 : 0][m]);
        finish_row(sums, rows, a->bias ? a->bias + n : NULL, a->y + (size_t)m * a->ldy + n);
    }
}

/* M rows of x times N of w, R at a time. */
INLINE void few_rows(const enum format f, const int M, const int R, const struct few *a)
{
    /* the next four rows if rows are short: the processor's own prefetch starts anew with each */
    const size_t ahead = a->row_bytes > 4096 ? 1024 : N_TILE * a->row_bytes;
    const size_t ldx = a->ldx;
    for (size_t n = 0; n < a->N; n += (size_t)R) {
        int rows = (int)min_size(a->N - n, (size_t)R);
        const uint8_t *w[N_TILE];
        __m256 acc[N_TILE][FEW], v[4];
        UNROLL for (int r = 0; r < R; r++)
        {
            size_t row = n + (size_t)(r < rows ? r : 0);
            w[r] = a->w + row * a->row_bytes;
            UNROLL for (int m = 0; m < M; m++) acc[r][m] =
                a->first ? _mm256_setzero_ps()
                         : _mm256_loadu_ps(a->parked + 8 * (row * (size_t)M + (size_t)m));
        }
        size_t k = 0;
        for (; k + 32 <= a->K; k += 32) {
            UNROLL for (int r = 0; r < R; r++) _mm_prefetch(w[r] + ahead, _MM_HINT_T0);
            if (M > 1 && (f == FORMAT_F32 || f == FORMAT_F16 || f == FORMAT_BF16))
                add_side_by_side(f, M, R, w, a->x + k, ldx, acc);
            else
                add_block_by_block(f, M, R, w, a->x + k, ldx, acc);
            UNROLL for (int r = 0; r < R; r++) w[r] += bytes_of_32(f);
        }
        if (k < a->K)
            UNROLL for (int r = 0; r < R; r++)
            {
                unpack_tail(f, w[r], a->K - k, v);
                add_tail(M, v, a->x + k, ldx, a->K - k, acc[r]);
            }
        few_end(M, R, a, n, rows, acc);
    }
}

/* ---- The tile ---- */

INLINE void tile_begin(const int M, const int N, const struct tile *a, __m256 acc[M_TILE][N_TILE])
{
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int n = 0; n < N; n++) acc[m][n] =
        a->first ? _mm256_setzero_ps() : _mm256_loadu_ps(a->parked + 8 * (m * N_TILE + n));
}

INLINE void tile_multiply(const int M, const int N, const struct tile *a,
                          __m256 acc[M_TILE][N_TILE])
{
    const float *x = a->x, *w = a->w;
    const size_t ldx = a->ldx, ldw = a->ldw, K = a->K;
    size_t k = 0;
    for (; k + 8 <= K; k += 8) {
        __m256 b[N_TILE];
        UNROLL for (int n = 0; n < N; n++) b[n] = _mm256_loadu_ps(w + (size_t)n * ldw + k);
        UNROLL for (int m = 0; m < M; m++)
        {
            __m256 v = _mm256_loadu_ps(x + (size_t)m * ldx + k);
            UNROLL for (int n = 0; n < N; n++) acc[m][n] = _mm256_fmadd_ps(v, b[n], acc[m][n]);
        }
    }
    if (k == K)
        return;
    __m256i mask = lanes(K - k);
    UNROLL for (int m = 0; m < M; m++)
    {
        __m256 v = _mm256_maskload_ps(x + (size_t)m * ldx + k, mask);
        UNROLL for (int n = 0; n < N; n++) acc[m][n] =
            _mm256_fmadd_ps(v, _mm256_maskload_ps(w + (size_t)n * ldw + k, mask), acc[m][n]);
    }
}

INLINE void tile_end(const int M, const int N, const struct tile *a, __m256 acc[M_TILE][N_TILE])
{
    UNROLL for (int m = 0; m < M; m++)
    {
        if (!a->last) {
            UNROLL for (int n = 0; n < N; n++)
                _mm256_storeu_ps(a->parked + 8 * (m * N_TILE + n), acc[m][n]);
            continue;
        }
        __m128 sums = sum_lanes(acc[m][0], acc[m][N > 1 ? 1 : 0], acc[m][N > 2 ? 2 : 0],
                                acc[m][N > 3 ? 3 : 0]);
        finish_row(sums, N, a->bias, a->y + (size_t)m * a->ldy);
    }
}

#define TILE(M, N)                                                                                 \
    static void tile_##M##x##N(const struct tile *a)                                               \
    {                                                                                              \
        __m256 acc[M_TILE][N_TILE];                                                                \
        tile_begin(M, N, a, acc);                                                                  \
        tile_multiply(M, N, a, acc);                                                               \
        tile_end(M, N, a, acc);                                                                    \
    }
TILE(1, 1)
TILE(1, 2)
TILE(1, 3)
TILE(1, 4)
TILE(2, 1)
TILE(2, 2)
TILE(2, 3)
TILE(2, 4)
TILE(3, 1)
TILE(3, 2)
TILE(3, 3)
TILE(3, 4)

void (*const avx2_tiles[M_TILE][N_TILE])(const struct tile *) = {
    {tile_1x1, tile_1x2, tile_1x3, tile_1x4},
    {tile_2x1, tile_2x2, tile_2x3, tile_2x4},
    {tile_3x1, tile_3x2, tile_3x3, tile_3x4},
};

/* ---- The formats' instances ---- */

#define FEW_ROWS(NAME, name, M, R)                                                                 \
    static void few_##name##_##M(const struct few *a)                                              \
    {                                                                                              \
        few_rows(FORMAT_##NAME, M, R, a);                                                          \
    }
#define EXPAND(NAME, name)                                                                         \
    static void expand_##name(const uint8_t *p, size_t row_bytes, int rows, size_t K, float *ret)  \
    {                                                                                              \
        expand(FORMAT_##NAME, p, row_bytes, rows, K, ret);                                         \
    }
/* How many rows of w go together with how many of x is what was fastest. */
#define FLOATS(NAME, name)                                                                         \
    EXPAND(NAME, name)                                                                             \
    FEW_ROWS(NAME, name, 1, 4)                                                                     \
    FEW_ROWS(NAME, name, 2, 4)                                                                     \
    FEW_ROWS(NAME, name, 3, 3)                                                                     \
    FEW_ROWS(NAME, name, 4, 3)                                                                     \
    FEW_ROWS(NAME, name, 5, 2)                                                                     \
    FEW_ROWS(NAME, name, 6, 2)
#define BLOCKS(NAME, name)                                                                         \
    EXPAND(NAME, name)                                                                             \
    FEW_ROWS(NAME, name, 1, 4)                                                                     \
    FEW_ROWS(NAME, name, 2, 4)                                                                     \
    FEW_ROWS(NAME, name, 3, 3)                                                                     \
    FEW_ROWS(NAME, name, 4, 2)                                                                     \
    FEW_ROWS(NAME, name, 5, 2)                                                                     \
    FEW_ROWS(NAME, name, 6, 1)                                                                     \
    FEW_ROWS(NAME, name, 7, 1)                                                                     \
    FEW_ROWS(NAME, name, 8, 1)
FLOATS(F32, f32)
FLOATS(F16, f16)
FLOATS(BF16, bf16)
BLOCKS(Q8_0, q8_0)
BLOCKS(Q4_0, q4_0)
BLOCKS(Q4_1, q4_1)

/* most: the largest T that goes by few rows, in even shares of at most `share`; beyond it,
 * unpacking to scratch pays. */
#define FIRST_SIX(name)                                                                            \
    few_##name##_1, few_##name##_2, few_##name##_3, few_##name##_4, few_##name##_5, few_##name##_6
#define FLOATS_ROW(name, most)                                                                     \
    {                                                                                              \
        expand_##name, most, 6,                                                                    \
        {                                                                                          \
            FIRST_SIX(name)                                                                        \
        }                                                                                          \
    }
#define BLOCKS_ROW(name)                                                                           \
    {                                                                                              \
        expand_##name, 8, 8,                                                                       \
        {                                                                                          \
            FIRST_SIX(name), few_##name##_7, few_##name##_8                                        \
        }                                                                                          \
    }
static const struct {
    void (*expand)(const uint8_t *p, size_t row_bytes, int rows, size_t K, float *ret);
    size_t most, share;
    void (*few[FEW])(const struct few *a); /* [M - 1] */
} formats[FORMAT_COUNT] = {
    [FORMAT_F32] = FLOATS_ROW(f32, 8),    [FORMAT_F16] = FLOATS_ROW(f16, 16),
    [FORMAT_BF16] = FLOATS_ROW(bf16, 16), [FORMAT_Q8_0] = BLOCKS_ROW(q8_0),
    [FORMAT_Q4_0] = BLOCKS_ROW(q4_0),     [FORMAT_Q4_1] = BLOCKS_ROW(q4_1),
};

/* ---- A block of a product ---- */

/* y[T, N] = x[T, K] * w[first .. first+N, K]^T + bias, by one thread; T <= TB. */
struct product {
    const struct weight *w;
    const float *x, *bias; /* bias: of the weight's row 0, or NULL */
    float *y;              /* rows ldy apart */
    size_t first, N, T, ldy;
};

/* A thread's working memory: a piece of w as floats, and parked accumulators. */
enum { PIECE_FLOATS = N_TILE * KB, WORK_FLOATS = PIECE_FLOATS + TB * NB * 8 };

static const float *bias_at(const struct product *p, size_t n)
{
    return p->bias ? p->bias + p->first + n : NULL;
}

/* Rows n .. n+N of the block, values k .. k+t->K of each: as floats, where t->w says. */
static void product_rows(const struct product *p, struct tile *t, size_t n, size_t N, size_t k,
                         float *piece)
{
    const struct weight *w = p->w;
    const struct format_info *info = &format_info[w->format];
    size_t row_bytes = format_row_bytes(w->format, w->cols);
    const uint8_t *from = (const uint8_t *)w->data + (p->first + n) * row_bytes +
                          k / (size_t)info->block * (size_t)info->block_bytes;
    if (w->format == FORMAT_F32 && p->T < COPY_ROWS) {
        t->w = (const float *)(const void *)from;
        t->ldw = (size_t)w->cols;
        return;
    }
    formats[w->format].expand(from, row_bytes, (int)N, t->K, piece);
    t->w = piece;
    t->ldw = KB;
}

static void product_many(const struct product *p, float *work)
{
    size_t K = (size_t)p->w->cols;
    struct tile t = {.ldx = K, .ldy = p->ldy};
    for (size_t n0 = 0; n0 < p->N; n0 += NB)
        for (size_t k = 0; k < K; k += KB) {
            t.K = min_size(K - k, KB);
            t.first = k == 0;
            t.last = k + t.K == K;
            for (size_t n = n0, N; n < min_size(p->N, n0 + NB); n += N) {
                N = min_size(p->N - n, N_TILE);
                product_rows(p, &t, n, N, k, work);
                t.bias = bias_at(p, n);
                for (size_t m = 0, M; m < p->T; m += M) {
                    M = tile_rows(p->T - m);
                    t.x = p->x + m * K + k;
                    t.y = p->y + m * p->ldy + n;
                    t.parked = work + PIECE_FLOATS + ((n - n0) / N_TILE * TB + m) * N_TILE * 8;
                    avx2_tiles[M - 1][N - 1](&t);
                }
            }
        }
}

/* `n` cut into even pieces of at most `most`, each but the last a multiple of `step`. */
static size_t even_piece(size_t n, size_t most, size_t step)
{
    size_t pieces = (n + most - 1) / most;
    return pieces == 0 ? step : ((n + pieces - 1) / pieces + step - 1) / step * step;
}

/* Every share of x unpacks w anew; a block of w is in the cache for the second. */
static void product_few(const struct product *p, float *work)
{
    const struct weight *w = p->w;
    const struct format_info *info = &format_info[w->format];
    size_t K = (size_t)w->cols, piece = p->T > 1 ? KB : K;
    size_t share = even_piece(p->T, formats[w->format].share, 1);
    struct few a = {.ldx = K, .ldy = p->ldy, .parked = work};
    a.row_bytes = format_row_bytes(w->format, w->cols);
    for (size_t n = 0; n < p->N; n += NB)
        for (size_t m = 0, M; m < p->T; m += M) {
            M = min_size(p->T - m, share);
            a.N = min_size(p->N - n, NB);
            a.bias = bias_at(p, n);
            a.y = p->y + m * p->ldy + n;
            for (size_t k = 0; k < K; k += piece) {
                a.K = min_size(K - k, piece);
                a.first = k == 0;
                a.last = k + a.K == K;
                a.x = p->x + m * K + k;
                a.w = (const uint8_t *)w->data + (p->first + n) * a.row_bytes +
                      k / (size_t)info->block * (size_t)info->block_bytes;
                formats[w->format].few[M - 1](&a);
            }
        }
}

static void product(const struct product *p, float *work)
{
    (p->T <= formats[p->w->format].most ? product_few : product_many)(p, work);
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

void avx2_linear(struct device *dev, float *y, const float *x, const struct weight *w,
                 const float *bias, int T)
{
    size_t N = (size_t)w->rows, threads = (size_t)pool_size(dev->pool);
    if (T == 0)
        return;
    struct linear l = {.p = {.w = w, .x = x, .bias = bias, .y = y, .ldy = N}, .T = (size_t)T};
    l.work = device_scratch(dev, WORK_FLOATS * sizeof(float), &l.stride);
    l.t_part = even_piece(l.T, TB, M_TILE);
    l.t_parts = (l.T + l.t_part - 1) / l.t_part;
    /* four parts a thread even out what else the cores do; of one row, no less than 8 rows of w */
    l.n_part = N * l.t_parts / (4 * threads);
    l.n_part = even_piece(N, l.n_part > 8 ? l.n_part : 8, N_TILE);
    if (T > 1)
        l.n_part = even_piece(N, min_size(l.n_part, 4 * NB), N_TILE);
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
    const float *x;         /* of the first row of the group */
    const int32_t *targets; /* likewise */
    size_t T, n_blocks;
    struct block_sum *blocks; /* [T, n_blocks] */
    float *wanted;            /* [T] */
    struct top *tops;         /* [threads, T], of the blocks that the thread took */
    int k;
    char *work; /* a thread's: WORK_FLOATS, then [T, VB] logits */
    size_t stride;
};

static int32_t index_of(const float *x, size_t n, float value)
{
    for (size_t i = 0; i < n; i += 8) {
        __m256 same = _mm256_cmp_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(value), _CMP_EQ_OQ);
        int mask = _mm256_movemask_ps(same);
        if (mask)
            return (int32_t)i + __builtin_ctz((unsigned)mask);
    }
    return 0;
}

/* n a multiple of 8; the padding is -infinity. */
static struct block_sum sum_block(const float *logits, size_t n, int32_t first)
{
    __m256 most = _mm256_set1_ps(-INFINITY);
    for (size_t i = 0; i < n; i += 8) /* in this order of operands a NaN is passed over */
        most = _mm256_max_ps(_mm256_loadu_ps(logits + i), most);
    struct block_sum b = {.max = max_lanes(most)};
    b.argmax = first + index_of(logits, n, b.max);
    __m256 less = _mm256_set1_ps(b.max == -INFINITY ? 0 : b.max);
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    for (size_t i = 0; i < n; i += 8) {
        __m256 e = exp8(_mm256_sub_ps(_mm256_loadu_ps(logits + i), less));
        low = _mm256_add_pd(low, low_half(e));
        high = _mm256_add_pd(high, high_half(e));
    }
    b.sum = sum_doubles(low, high);
    return b;
}

/* n logits of tokens from `first` on. */
static void top_block(struct top *top, int k, const float *logits, size_t n, int32_t first)
{
    for (size_t i = 0; i < n; i += 8) {
        __m256 least = _mm256_set1_ps(top_least(top, k));
        __m256 reach = _mm256_cmp_ps(_mm256_loadu_ps(logits + i), least, _CMP_GE_OQ);
        for (int m = _mm256_movemask_ps(reach), j; m; m &= m - 1) {
            j = __builtin_ctz((unsigned)m);
            if (i + (size_t)j < n)
                top_add(top, k, logits[i + (size_t)j], first + (int32_t)i + j);
        }
    }
}

static void logprobs_part(void *arg, size_t block, int thread)
{
    const struct logprobs *l = arg;
    float *work = (float *)(void *)(l->work + (size_t)thread * l->stride);
    float *logits = work + WORK_FLOATS;
    size_t first = block * VB, n = min_size((size_t)l->head->rows - first, VB);
    size_t padded = (n + 7) / 8 * 8;
    const struct product p = {
        .w = l->head, .x = l->x, .y = logits, .first = first, .N = n, .T = l->T, .ldy = VB};
    product(&p, work);
    for (size_t t = 0; t < l->T; t++, logits += VB) {
        for (size_t i = n; i < padded; i++)
            logits[i] = -INFINITY;
        l->blocks[t * l->n_blocks + block] = sum_block(logits, padded, (int32_t)first);
        if (l->k > 0)
            top_block(&l->tops[(size_t)thread * l->T + t], l->k, logits, n, (int32_t)first);
        int64_t target = l->targets[t] - (int64_t)first;
        if (target >= 0 && target < (int64_t)n)
            l->wanted[t] = logits[target];
    }
}

static struct token_logprob put_together(const struct block_sum *b, size_t n, int32_t target,
                                         float wanted, double *all)
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
    ret.logprob = target < 0 ? 0 : wanted - *all;
    ret.argmax_logprob = max - *all;
    return ret;
}

/* What the threads found of row t. */
static void top_together(const struct logprobs *l, size_t t, size_t threads, double all,
                         struct top_token *ret)
{
    struct top *top = &l->tops[t];
    for (size_t thread = 1; thread < threads; thread++) {
        const struct top *more = &l->tops[thread * l->T + t];
        for (int i = 0; i < more->n; i++)
            top_add(top, l->k, more->logits[i], more->tokens[i]);
    }
    top_answer(top, l->k, all, ret);
}

void avx2_logprobs_top(struct device *dev, struct token_logprob *ret, struct top_token *top, int k,
                       const float *x, const struct weight *head, const int32_t *targets, int T)
{
    size_t D = (size_t)head->cols, V = (size_t)head->rows, n_blocks = (V + VB - 1) / VB;
    size_t group = even_piece((size_t)T, TB, M_TILE), threads = (size_t)pool_size(dev->pool);
    size_t n_tops = k > 0 ? threads * group : 0;
    struct logprobs l = {.head = head, .n_blocks = n_blocks, .k = k};
    l.work = device_scratch(dev, (WORK_FLOATS + group * VB) * sizeof(float), &l.stride);
    l.blocks = device_shared(dev, group * (n_blocks * sizeof *l.blocks + sizeof *l.wanted) +
                                      n_tops * sizeof *l.tops);
    l.tops = (struct top *)(void *)(l.blocks + group * n_blocks);
    l.wanted = (float *)(void *)(l.tops + n_tops);
    for (size_t t = 0; t < (size_t)T; t += group) {
        l.T = min_size((size_t)T - t, group);
        l.x = x + t * D;
        l.targets = targets + t;
        for (size_t i = 0; i < n_tops; i++)
            l.tops[i].n = 0;
        share(dev, l.T * V * D < SERIAL_PRODUCTS, n_blocks, logprobs_part, &l);
        for (size_t i = 0; i < l.T; i++) {
            double all;
            ret[t + i] =
                put_together(l.blocks + i * n_blocks, n_blocks, l.targets[i], l.wanted[i], &all);
            if (k > 0)
                top_together(&l, i, threads, all, top + (t + i) * (size_t)k);
        }
    }
}

void avx2_logprobs(struct device *dev, struct token_logprob *ret, const float *x,
                   const struct weight *head, const int32_t *targets, int T)
{
    avx2_logprobs_top(dev, ret, NULL, 0, x, head, targets, T);
}
