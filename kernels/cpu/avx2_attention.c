/* avx2_attention.c: causal attention over the paged cache.
 *
 * Work     A part is a *run* of rows (consecutive positions of one sequence, as prefill brings
 * them) and one key/value head. Each row's query heads on it are *lines*; a page of keys, and later
 * of values, is read once for all lines of the part. Passes   scores of all positions; softmax of
 * each line; the mix of the values. Tile     3 lines: the heads of a row, or, where heads have
 * their own keys, rows of one head. Order    A score is a product of avx2.h. The exponentials are
 * summed in 8 lanes by position, the values mixed position by position. Pages, runs and chunks cut
 * only between positions, with accumulators kept, so none of them changes a bit. */
#include "kernels/cpu/avx2.h"

#include <string.h>

/* Scores of a part: rows are taken into a run while they stay within a core's L2. */
enum { RUN_ROWS = 24, RUN_SCORES = 1 << 16 };

/* Rows first .. first+n of the batch: positions `position` and up of one sequence. */
struct run {
    size_t first, n, position;
};

struct attention {
    float *y;
    const float *q;
    const struct kv_cache *kv;
    const struct batch *b;
    int layer;
    float scale;
    size_t G, group, S; /* group: query heads of a key/value head */
    struct run *runs;
    char *work; /* a thread's scores [lines, longest] */
    size_t stride, longest;
};

/* The lines of a part, as `outer` times `inner` of them; the inner ones make tiles. */
struct lines {
    size_t outer, inner;
    size_t outer_stride, inner_stride;     /* floats in q and y */
    size_t length, outer_step, inner_step; /* positions of the first; how many more the next has */
    const float *q;
    float *y;
};

static struct lines lines_of(const struct attention *a, const struct run *r, size_t g)
{
    size_t row = a->G * a->group * a->S, at = r->first * row + g * a->group * a->S;
    struct lines l = {.length = r->position + 1, .q = a->q + at, .y = a->y + at};
    if (a->group == 1) {
        l.outer = 1;
        l.inner = r->n;
        l.inner_stride = row;
        l.inner_step = 1;
    } else {
        l.outer = r->n;
        l.inner = a->group;
        l.outer_stride = row;
        l.inner_stride = a->S;
        l.outer_step = 1;
    }
    return l;
}

static size_t above(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/* ---- Scores ---- */

/* q . k of the page's positions for every line that sees them. A tile of rows computes a position
 * or two that its first rows do not see; those scores are not used. */
static void score_page(const struct attention *a, const struct lines *l, const float *k, size_t p,
                       float *scores)
{
    size_t P = (size_t)a->kv->page_positions, GS = a->G * a->S;
    struct tile t = {.ldx = l->inner_stride, .ldw = GS, .K = a->S, .first = true, .last = true};
    t.ldy = a->longest;
    for (size_t o = 0; o < l->outer; o++)
        for (size_t i = 0, M; i < l->inner; i += M) {
            M = tile_rows(l->inner - i);
            size_t length = l->length + o * l->outer_step + (i + M - 1) * l->inner_step;
            size_t n = min_size(above(length, p), P);
            t.x = l->q + o * l->outer_stride + i * l->inner_stride;
            for (size_t j = 0, N; j < n; j += N) {
                N = min_size(n - j, N_TILE);
                t.w = k + j * GS;
                t.y = scores + (o * l->inner + i) * a->longest + p + j;
                avx2_tiles[M - 1][N - 1](&t);
            }
        }
}

/* scores[n] becomes exp(score * scale - max) / sum of them. The registers' last lanes, behind n,
 * become what adds nothing. */
static void softmax(float *scores, size_t n, float scale)
{
    __m256 max = _mm256_set1_ps(-INFINITY), sum = _mm256_setzero_ps();
    for (size_t i = n; i % 8 != 0; i++)
        scores[i] = -INFINITY;
    for (size_t i = 0; i < n; i += 8) {
        __m256 s = _mm256_mul_ps(_mm256_loadu_ps(scores + i), _mm256_set1_ps(scale));
        _mm256_storeu_ps(scores + i, s);
        max = _mm256_max_ps(s, max);
    }
    __m256 most = _mm256_set1_ps(max_lanes(max));
    for (size_t i = 0; i < n; i += 8) {
        __m256 e = exp8(_mm256_sub_ps(_mm256_loadu_ps(scores + i), most));
        _mm256_storeu_ps(scores + i, e);
        sum = _mm256_add_ps(sum, e);
    }
    float total = _mm_cvtss_f32(sum_lanes(sum, sum, sum, sum));
    for (size_t i = 0; i < n; i += 8) {
        __m256 s = _mm256_div_ps(_mm256_loadu_ps(scores + i), _mm256_set1_ps(total));
        _mm256_storeu_ps(scores + i, s);
    }
}

/* ---- The mix ---- */

/* y[M lines, floats] += weights[M, positions] * v[positions, floats], position by position. */
struct mix {
    const float *weights, *v;
    size_t ldweights, ldv, ldy, positions, floats; /* floats: 32, or 1 to 8 */
    float *y;
};

INLINE __m256 load_some(const int V, const float *p, __m256i mask)
{
    return V > 1 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask);
}

INLINE void mix_values(const int M, const int V, const struct mix *a)
{
    __m256 acc[M_TILE][4];
    const __m256i mask = lanes(V > 1 ? 8 : a->floats);
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int i = 0; i < V; i++) acc[m][i] =
        load_some(V, a->y + (size_t)m * a->ldy + 8 * i, mask);
    for (size_t p = 0; p < a->positions; p++) {
        __m256 v[4];
        UNROLL for (int i = 0; i < V; i++) v[i] = load_some(V, a->v + p * a->ldv + 8 * i, mask);
        UNROLL for (int m = 0; m < M; m++)
        {
            __m256 w = _mm256_broadcast_ss(a->weights + (size_t)m * a->ldweights + p);
            UNROLL for (int i = 0; i < V; i++) acc[m][i] = _mm256_fmadd_ps(w, v[i], acc[m][i]);
        }
    }
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int i = 0; i < V; i++) if (V > 1)
        _mm256_storeu_ps(a->y + (size_t)m * a->ldy + 8 * i, acc[m][i]);
    else _mm256_maskstore_ps(a->y + (size_t)m * a->ldy, mask, acc[m][i]);
}

#define MIX(M)                                                                                     \
    static void mix_##M##x1(const struct mix *a)                                                   \
    {                                                                                              \
        mix_values(M, 1, a);                                                                       \
    }                                                                                              \
    static void mix_##M##x4(const struct mix *a)                                                   \
    {                                                                                              \
        mix_values(M, 4, a);                                                                       \
    }
MIX(1)
MIX(2)
MIX(3)

/* All S floats of M lines. */
static void mix_lines(const struct attention *a, size_t M, const float *weights, const float *v,
                      size_t positions, float *y, size_t ldy)
{
    static void (*const mixes[M_TILE][2])(const struct mix *) = {
        {mix_1x1, mix_1x4}, {mix_2x1, mix_2x4}, {mix_3x1, mix_3x4}};
    struct mix x = {.weights = weights, .ldweights = a->longest, .ldv = a->G * a->S, .ldy = ldy};
    x.positions = positions;
    for (size_t s = 0; s < a->S; s += x.floats) {
        x.floats = a->S - s >= 32 ? 32 : min_size(a->S - s, 8);
        x.v = v + s;
        x.y = y + s;
        mixes[M - 1][x.floats == 32](&x);
    }
}

/* The page's positions that all lines of a tile see are mixed together; the one or two more that
 * its later rows see, line by line: a value that a row does not see must not touch it. */
static void mix_page(const struct attention *a, const struct lines *l, const float *v, size_t p,
                     const float *scores)
{
    size_t P = (size_t)a->kv->page_positions, GS = a->G * a->S;
    for (size_t o = 0; o < l->outer; o++)
        for (size_t i = 0, M; i < l->inner; i += M) {
            M = tile_rows(l->inner - i);
            size_t length = l->length + o * l->outer_step + i * l->inner_step;
            size_t n = min_size(above(length, p), P);
            const float *w = scores + (o * l->inner + i) * a->longest + p;
            float *y = l->y + o * l->outer_stride + i * l->inner_stride;
            if (n > 0)
                mix_lines(a, M, w, v, n, y, l->inner_stride);
            for (size_t m = 1; m < M && l->inner_step > 0; m++) {
                size_t more = min_size(above(length + m, p), P) - n;
                if (more > 0)
                    mix_lines(a, 1, w + m * a->longest + n, v + n * GS, more,
                              y + m * l->inner_stride, 0);
            }
        }
}

/* ---- A part ---- */

static void attend(void *arg, size_t part, int thread)
{
    const struct attention *a = arg;
    const struct run *r = &a->runs[part / a->G];
    const struct lines l = lines_of(a, r, part % a->G);
    float *scores = (float *)(void *)(a->work + (size_t)thread * a->stride);
    size_t P = (size_t)a->kv->page_positions, end = r->position + r->n;
    size_t keys = part % a->G * a->S, values = keys + P * a->G * a->S;
    int sequence = a->b->sequences[r->first];
    for (size_t p = 0; p < end; p += P)
        score_page(a, &l, kv_page(a->kv, a->layer, a->b, sequence, (int)(p / P)) + keys, p, scores);
    for (size_t o = 0; o < l.outer; o++)
        for (size_t i = 0; i < l.inner; i++) {
            softmax(scores + (o * l.inner + i) * a->longest,
                    l.length + o * l.outer_step + i * l.inner_step, a->scale);
            memset(l.y + o * l.outer_stride + i * l.inner_stride, 0, a->S * sizeof *l.y);
        }
    for (size_t p = 0; p < end; p += P)
        mix_page(a, &l, kv_page(a->kv, a->layer, a->b, sequence, (int)(p / P)) + values, p, scores);
}

/* Cuts the batch into runs of at most `most` rows; returns their number. */
static size_t find_runs(const struct batch *b, size_t most, struct run *runs)
{
    size_t n = 0;
    for (int t = 0; t < b->n_rows; t++) {
        struct run *r = &runs[n];
        if (t > 0 && b->sequences[t] == b->sequences[t - 1] &&
            b->positions[t] == b->positions[t - 1] + 1 && r[-1].n < most)
            r[-1].n++;
        else
            runs[n++] = (struct run){(size_t)t, 1, (size_t)b->positions[t]};
    }
    return n;
}

void avx2_attention(struct device *dev, float *y, const float *q, const struct kv_cache *kv,
                    int layer, const struct batch *b, int H, float scale)
{
    struct attention a = {.y = y, .q = q, .kv = kv, .b = b, .layer = layer, .scale = scale};
    a.G = (size_t)kv->n_kv_heads;
    a.group = (size_t)H / a.G;
    a.S = (size_t)kv->head_size;
    size_t positions = 0, longest = 0;
    for (int t = 0; t < b->n_rows; t++) {
        positions += (size_t)b->positions[t] + 1;
        if ((size_t)b->positions[t] + 1 > longest)
            longest = (size_t)b->positions[t] + 1;
    }
    a.longest =
        (longest + 7) / 8 * 8 + 8; /* off the powers of two: lines do not share cache sets */
    size_t rows = min_size(RUN_ROWS, RUN_SCORES / (a.longest * a.group));
    if (rows == 0)
        rows = 1;
    a.runs = device_shared(dev, (size_t)b->n_rows * sizeof *a.runs);
    size_t n = find_runs(b, rows, a.runs);
    a.work = device_scratch(dev, rows * a.group * a.longest * sizeof(float), &a.stride);
    share(dev, 2 * positions * (size_t)H * a.S < SERIAL_PRODUCTS, n * a.G, attend, &a);
}
