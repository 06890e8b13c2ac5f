#include "kernels/cpu/avx2.h"

#include <string.h>

/* ---- Attention ---- */

struct attention {
    float *y;
    const float *q;
    const struct kv_cache *kv;
    const struct batch *b;
    int layer, group; /* group: query heads of one key/value head */
    float scale;
    char *work; /* a thread's: scores [group, longest] */
    size_t stride, longest;
};

/* y[M heads, n_vectors registers] += weights[M, positions] * v[positions, ...], position by
 * position; v's rows are ldv floats apart. The last register holds `last` (1 to 8) floats. */
struct mix {
    const float *weights, *v;
    size_t ldweights, ldv, ldy, positions, last;
    float *y;
};

INLINE void mix_values(const int M, const int V, const struct mix *a)
{
    __m256 acc[M_TILE][4];
    __m256i mask = lanes(a->last);
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int i = 0; i < V; i++) acc[m][i] =
        V > 1 ? _mm256_loadu_ps(a->y + (size_t)m * a->ldy + 8 * i)
              : _mm256_maskload_ps(a->y + (size_t)m * a->ldy, mask);
    for (size_t p = 0; p < a->positions; p++) {
        __m256 v[4];
        UNROLL for (int i = 0; i < V; i++) v[i] = V > 1
                                                      ? _mm256_loadu_ps(a->v + p * a->ldv + 8 * i)
                                                      : _mm256_maskload_ps(a->v + p * a->ldv, mask);
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
    static void mix_##M##x4(const struct mix *a)                                                   \
    {                                                                                              \
        mix_values(M, 4, a);                                                                       \
    }                                                                                              \
    static void mix_##M##x1(const struct mix *a)                                                   \
    {                                                                                              \
        mix_values(M, 1, a);                                                                       \
    }
MIX(1)
MIX(2)
MIX(3)

static void (*const mixes[M_TILE][2])(const struct mix *) = {
    {mix_1x1, mix_1x4}, {mix_2x1, mix_2x4}, {mix_3x1, mix_3x4}};

/* scores[m, i] = q[m] . k[i] for the positions i of one page. */
static void score_page(const struct attention *a, const float *q, size_t M, const float *k,
                       size_t positions, float *scores)
{
    size_t S = (size_t)a->kv->head_size, GS = (size_t)a->kv->n_kv_heads * S;
    struct tile t = {.x = q, .ldx = S, .ldw = GS, .K = S, .first = true, .last = true};
    t.ldy = a->longest;
    for (size_t i = 0, N; i < positions; i += N) {
        N = min_size(positions - i, N_TILE);
        t.w = k + i * GS;
        t.y = scores + i;
        avx2_tiles[M - 1][N - 1](&t);
    }
}

static void mix_page(const struct attention *a, const float *weights, size_t M, const float *v,
                     size_t positions, float *y)
{
    size_t S = (size_t)a->kv->head_size;
    struct mix x = {.weights = weights,
                    .ldweights = a->longest,
                    .ldv = (size_t)a->kv->n_kv_heads * S,
                    .ldy = S,
                    .positions = positions};
    for (size_t s = 0; s < S; s += x.last == 32 ? 32 : 8) {
        x.last = S - s >= 32 ? 32 : min_size(S - s, 8);
        x.v = v + s;
        x.y = y + s;
        mixes[M - 1][x.last == 32](&x);
    }
}

/* scores[n] becomes exp(score * scale - max), and the sum of them is returned. n is padded to a
 * multiple of 8 with what adds nothing. */
static float softmax(float *scores, size_t n, float scale)
{
    size_t padded = (n + 7) / 8 * 8;
    for (size_t i = n; i < padded; i++)
        scores[i] = -INFINITY;
    __m256 max = _mm256_set1_ps(-INFINITY), sum = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8) {
        __m256 s = _mm256_loadu_ps(scores + i);
        if (i + 8 <= n)
            s = _mm256_mul_ps(s, _mm256_set1_ps(scale));
        else
            s = _mm256_blendv_ps(s, _mm256_mul_ps(s, _mm256_set1_ps(scale)),
                                 _mm256_castsi256_ps(lanes(n - i)));
        _mm256_storeu_ps(scores + i, s);
        max = _mm256_max_ps(s, max);
    }
    __m256 most = _mm256_set1_ps(max_lanes(max));
    for (size_t i = 0; i < n; i += 8) {
        __m256 e = exp8(_mm256_sub_ps(_mm256_loadu_ps(scores + i), most));
        _mm256_storeu_ps(scores + i, e);
        sum = _mm256_add_ps(sum, e);
    }
    return _mm_cvtss_f32(sum_lanes(sum, sum, sum, sum));
}

/* M query heads (q and y [M, S]) of key/value head g for row t. */
static void attend(const struct attention *a, size_t t, size_t g, size_t M, const float *q,
                   float *y, float *scores)
{
    const struct kv_cache *kv = a->kv;
    size_t S = (size_t)kv->head_size, P = (size_t)kv->page_positions;
    size_t n = (size_t)a->b->positions[t] + 1, values = P * (size_t)kv->n_kv_heads * S;
    int sequence = a->b->sequences[t];
    for (size_t p = 0; p < n; p += P)
        score_page(a, q, M, kv_page(kv, a->layer, a->b, sequence, (int)(p / P)) + g * S,
                   min_size(n - p, P), scores + p);
    float sums[M_TILE];
    for (size_t m = 0; m < M; m++)
        sums[m] = softmax(scores + m * a->longest, n, a->scale);
    memset(y, 0, M * S * sizeof *y);
    for (size_t p = 0; p < n; p += P)
        mix_page(a, scores + p, M,
                 kv_page(kv, a->layer, a->b, sequence, (int)(p / P)) + values + g * S,
                 min_size(n - p, P), y);
    for (size_t i = 0; i < M * S; i++)
        y[i] /= sums[i / S];
}

static void attention_part(void *arg, size_t part, int thread)
{
    const struct attention *a = arg;
    size_t G = (size_t)a->kv->n_kv_heads, S = (size_t)a->kv->head_size;
    size_t group = (size_t)a->group, at = part * group * S; /* part = row * G + head */
    float *scores = (float *)(void *)(a->work + (size_t)thread * a->stride);
    for (size_t h = 0, M; h < group; h += M) {
        M = tile_rows(group - h);
        attend(a, part / G, part % G, M, a->q + at + h * S, a->y + at + h * S, scores);
    }
}

void avx2_attention(struct device *dev, float *y, const float *q, const struct kv_cache *kv,
                    int layer, const struct batch *b, int H, float scale)
{
    struct attention a = {y, q, kv, b, layer, H / kv->n_kv_heads, scale, NULL, 0, 0};
    size_t positions = 0;
    for (int t = 0; t < b->n_rows; t++)
        positions += (size_t)b->positions[t] + 1;
    a.longest = ((size_t)b->max_pages * (size_t)kv->page_positions + 7) / 8 * 8;
    a.work = device_scratch(dev, M_TILE * a.longest * sizeof(float), &a.stride);
    bool small = 2 * positions * (size_t)H * (size_t)kv->head_size < SERIAL_PRODUCTS;
    share(dev, small, (size_t)b->n_rows * (size_t)kv->n_kv_heads, attention_part, &a);
}
