/* attention.c: causal attention over the paged cache, and the writing of the cache's pages.
 *
 * Cache    A page of P positions, a multiple of 16, is P / 16 *leaves*: keys [G, S, 16], then
 *          values [G, 16, S]. A leaf's keys stand as columns, so that 16 positions are scored at
 *          once, with no sum across lanes, straight from where they lie.
 * Work     A part is a *run* of rows (consecutive positions of one sequence, as prefill brings
 *          them) and one key/value head. Each row's query heads on it are *lines*, in order of
 *          position. A block of keys and values is read once for all lines of the part. Where
 *          there are fewer parts than threads need, as in decoding, a part takes some of the blocks
 *          only, and what it finds is merged afterwards.
 * Tile     6 lines. Scores: 6 lines x 16 positions, 12 accumulators of 8 floats (16 floats: 32
 *          positions). Mix: 6 lines x 2 vectors of a head.
 * Order    Blocks are 128 positions, cut by position and nothing else. In a block: a score sums its
 *          S products in order; the weights 2^(score - greatest of the block) are summed in 16
 *          lanes by position; values are mixed position by position. Blocks are then merged in
 *          order. So rows, runs, pages, chunks and threads change no bit, nor does the level.
 * Floor    4 S multiply-adds a line and position; decoding, reading keys and values once.
 *          `test_kernels --bench=attention`. */
#include "kernels/cpu/level.h"

#include <float.h>

enum {
    LINES = 6,     /* of a tile */
    FEW_LINES = 3, /* so few wait for memory: what comes next is fetched ahead */
    LEAF = 16,     /* positions of a leaf */
    BLOCK = 128,   /* positions of a block */
    BLOCK_LEAVES = BLOCK / LEAF,
    PART_LINES = 96, /* of a part, about: what its lines need stays in L2 */
    LEAF_VECTORS = LEAF / VL,
    SPLIT_GIVEN = 1 << 16, /* lines times blocks that a later pass may have to merge */
};

/* Rows first .. first+n of the batch: positions `position` and up of one sequence. */
struct run {
    size_t first, n, position;
};

/* What one block, or several merged, gives a tile's lines beside the mix of the values: with the
 * weights 2^(score * scale - most), their sum. `most` is in powers of two, and never -infinity. */
struct shares {
    float most[VL], sum[VL]; /* [LINES] */
};

struct attention {
    float *y;
    const float *q;
    const struct kv_cache *kv;
    const struct batch *b;
    int layer;
    float scale; /* times log2 e */
    size_t G, group, S;
    struct run *runs;
    size_t n_runs, splits; /* parts that a run and head is cut into along the context */
    size_t blocks;         /* of the longest context */
    /* With splits > 1, what every block gives every line: [T, H, blocks, 2 + S], that is most, sum
     * and mix. */
    float *given;
};

static size_t above(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/* Keys and values of 16 positions of a sequence, from a multiple of 16 on. */
static float *kv_leaf(const struct kv_cache *kv, int layer, const struct batch *b, int sequence,
                      size_t leaf)
{
    size_t a_page = (size_t)kv->page_positions / LEAF;
    float *page = kv_page(kv, layer, b, sequence, (int)(leaf / a_page));
    return page + leaf % a_page * 2 * LEAF * (size_t)kv->n_kv_heads * (size_t)kv->head_size;
}

/* ---- One block for one tile ---- */

struct tile {
    size_t lines;
    size_t seen[LINES]; /* how many of the block's positions each line sees: ascending */
    const float *q[LINES];
    size_t leaves;
    const float *keys[BLOCK_LEAVES], *values[BLOCK_LEAVES];
    const float *next; /* keys that come after this block */
    size_t S;
    float scale;
    float scores[LINES][BLOCK]; /* then weights */
    struct shares shares;
    float *mix; /* [LINES, S] */
};

/* Two vectors of positions for M lines. */
INLINE void score(const int M, const struct tile *t, const float *k0, const float *k1,
                  const float *ahead, float *ret)
{
    vf acc[LINES][2];
    UNROLL for (int m = 0; m < M; m++) acc[m][0] = acc[m][1] = vzero();
    for (size_t s = 0; s < t->S; s++) {
        vf a = vload(k0 + s * LEAF), b = vload(k1 + s * LEAF);
        if (M <= FEW_LINES)
            _mm_prefetch((const char *)(ahead + s * LEAF), _MM_HINT_T0);
        UNROLL for (int m = 0; m < M; m++)
        {
            vf q = vset(t->q[m][s]);
            acc[m][0] = vfma(q, a, acc[m][0]);
            acc[m][1] = vfma(q, b, acc[m][1]);
        }
    }
    UNROLL for (int m = 0; m < M; m++)
    {
        vstore(ret + (size_t)m * BLOCK, acc[m][0]);
        vstore(ret + (size_t)m * BLOCK + VL, acc[m][1]);
    }
}

INLINE void score_block(const int M, struct tile *t)
{
    const size_t last = (t->seen[M - 1] - 1) / LEAF;
    for (size_t i = 0; i <= last; i += 2 / LEAF_VECTORS) {
        const float *k = t->keys[i];
        const float *next = LEAF_VECTORS == 2 ? k + VL : t->keys[i < last ? i + 1 : i];
        const float *ahead = i + 1 < t->leaves ? t->keys[i + 1] : t->values[0];
        score(M, t, k, next, ahead, &t->scores[0][i * LEAF]);
    }
}

/* 2^t within 2 units in the last place, for t no greater than about 0; what is below 2^-125 may be
 * anything from 0 to 2^-125, and is 0 from 2^-127 on. NaN of NaN.
 * t = n + f, |f| <= 1/2; 2^f = 1 + f p(f), p a polynomial fitted to least relative error (2e-9);
 * adding 1.5 * 2^23 rounds t to n, and leaves n in the low bits, from where it is added to the
 * exponent of 2^f. */
INLINE vf exp2_below_0(vf t)
{
    t = vmax(vset(-127), t); /* in this order of operands NaN stays NaN */
    vf shifted = vadd(t, vset(0x1.8p23f));
    vf f = vsub(t, vsub(shifted, vset(0x1.8p23f)));
    vf p = vset(0x1.41fbbcp-13f);
    p = vfma(p, f, vset(0x1.5f3e54p-10f));
    p = vfma(p, f, vset(0x1.3b2d4cp-7f));
    p = vfma(p, f, vset(0x1.c6aee8p-5f));
    p = vfma(p, f, vset(0x1.ebfbdcp-3f));
    p = vfma(p, f, vset(0x1.62e43p-1f));
    p = vfma(p, f, vset(1));
    return vf_of_bits(MM(add_epi32)(vbits(p), MM(slli_epi32)(vbits(shifted), 23)));
}

/* The sum of 16 lanes, in one order at every level. */
static float sum_leaf(const float *v)
{
    float s[8];
    for (int i = 0; i < 8; i++)
        s[i] = v[i] + v[i + 8];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* Scores become weights. Behind what the line sees, up to the leaf's end, they become what adds
 * nothing. */
static void weigh(float *scores, size_t seen, float scale, float *ret_most, float *ret_sum)
{
    size_t end = (seen + LEAF - 1) / LEAF * LEAF;
    vf max = vset(-INFINITY), sum[LEAF_VECTORS];
    for (size_t i = seen; i < end; i++)
        scores[i] = -INFINITY;
    for (size_t i = 0; i < end; i += VL) /* in this order of operands a NaN is passed over */
        max = vmax(vload(scores + i), max);
    float most = vmax_lanes(max) * scale;
    most = most > -FLT_MAX ? most : -FLT_MAX;
    const vf less = vset(-most), times = vset(scale);
    for (int v = 0; v < LEAF_VECTORS; v++)
        sum[v] = vzero();
    for (size_t i = 0; i < end; i += LEAF)
        UNROLL for (size_t v = 0; v < LEAF_VECTORS; v++)
        {
            float *at = scores + i + v * VL;
            vf w = exp2_below_0(vfma(vload(at), times, less));
            vstore(at, w);
            sum[v] = vadd(sum[v], w);
        }
    float lanes[LEAF];
    for (int v = 0; v < LEAF_VECTORS; v++)
        vstore(lanes + v * VL, sum[v]);
    *ret_most = most;
    *ret_sum = sum_leaf(lanes);
}

INLINE vf load_some(const int V, const float *p, vmask mask)
{
    return V > 1 ? vload(p) : vload_mask(p, mask);
}

/* V vectors of the mix from value `s` on, or with V = 1 the lanes of the mask. Positions that only
 * the later lines see are mixed into those alone: what a line does not see must not touch it, not
 * even times 0. */
INLINE void mix(const int M, const int V, const struct tile *t, size_t s, vmask mask)
{
    vf acc[LINES][4];
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int i = 0; i < V; i++) acc[m][i] = vzero();
    const size_t all = t->seen[0], S = t->S;
    size_t p = 0;
    for (size_t leaf = 0; p < all; leaf++) {
        const float *v = t->values[leaf] + s;
        const float *ahead = leaf + 1 < t->leaves ? t->values[leaf + 1] : t->next;
        const size_t end = min_size(all, p + LEAF);
        for (; p < end; p++, v += S) {
            for (size_t i = 0; M <= FEW_LINES && s == 0 && i < S; i += LEAF)
                _mm_prefetch((const char *)(ahead + p % LEAF * S + i), _MM_HINT_T0);
            vf b[4];
            UNROLL for (int i = 0; i < V; i++) b[i] = load_some(V, v + i * VL, mask);
            UNROLL for (int m = 0; m < M; m++)
            {
                vf w = vset(t->scores[m][p]);
                UNROLL for (int i = 0; i < V; i++) acc[m][i] = vfma(w, b[i], acc[m][i]);
            }
        }
    }
    for (; p < t->seen[M - 1]; p++) {
        const float *v = t->values[p / LEAF] + p % LEAF * S + s;
        UNROLL for (int m = 1; m < M; m++) if (p < t->seen[m]) UNROLL for (int i = 0; i < V; i++)
            acc[m][i] = vfma(vset(t->scores[m][p]), load_some(V, v + i * VL, mask), acc[m][i]);
    }
    UNROLL for (int m = 0; m < M; m++) UNROLL for (int i = 0; i < V; i++)
    {
        float *to = t->mix + (size_t)m * S + s + (size_t)i * VL;
        if (V > 1)
            vstore(to, acc[m][i]);
        else
            vstore_mask(to, mask, acc[m][i]);
    }
}

INLINE void mix_block(const int M, struct tile *t)
{
    const size_t wide = M <= FEW_LINES ? 4 * VL : 2 * VL, S = t->S;
    size_t s = 0;
    for (; s + wide <= S; s += wide)
        mix(M, M <= FEW_LINES ? 4 : 2, t, s, first_lanes(VL));
    for (; s < S; s += VL)
        mix(M, 1, t, s, first_lanes(S - s));
}

INLINE void tile_block(const int M, struct tile *t)
{
    score_block(M, t);
    for (int m = 0; m < M; m++)
        weigh(t->scores[m], t->seen[m], t->scale, &t->shares.most[m], &t->shares.sum[m]);
    mix_block(M, t);
}

#define TILE_BLOCK(M)                                                                              \
    static void tile_block_##M(struct tile *t)                                                     \
    {                                                                                              \
        tile_block(M, t);                                                                          \
    }
TILE_BLOCK(1)
TILE_BLOCK(2)
TILE_BLOCK(3)
TILE_BLOCK(4)
TILE_BLOCK(5)
TILE_BLOCK(6)

/* ---- Merging ---- */

/* `so_far` becomes what it is with one more block, for the lines from `first` on; the mixes count
 * times old and new then. */
static void merge_shares(struct shares *so_far, const struct shares *block, size_t first,
                         size_t lines, struct shares *ret_old_new)
{
    vf a = vload(so_far->most), b = vload(block->most), most = vmax(a, b);
    vf old = exp2_below_0(vsub(a, most)), new = exp2_below_0(vsub(b, most));
    vf sum = vfma(vload(block->sum), new, vmul(vload(so_far->sum), old));
    struct shares both;
    vstore(both.most, most);
    vstore(both.sum, sum);
    vstore(ret_old_new->most, old);
    vstore(ret_old_new->sum, new);
    for (size_t m = first; m < lines; m++) {
        so_far->most[m] = both.most[m];
        so_far->sum[m] = both.sum[m];
    }
}

/* y[S] = y * old + mix * new */
static void merge_mix(float *y, float old_weight, const float *mix, float new_weight, size_t S)
{
    const vf old = vset(old_weight), new = vset(new_weight);
    size_t s = 0;
    for (; s + VL <= S; s += VL)
        vstore(y + s, vfma(vload(mix + s), new, vmul(vload(y + s), old)));
    if (s < S) {
        vmask m = first_lanes(S - s);
        vstore_mask(y + s, m, vfma(vload_mask(mix + s, m), new, vmul(vload_mask(y + s, m), old)));
    }
}

/* y = mix / sum; y may be mix. */
static void finish(float *y, const float *mix, float sum, size_t S)
{
    const float inverse = 1 / sum;
    for (size_t s = 0; s < S; s++)
        y[s] = mix[s] * inverse;
}

/* ---- A part ---- */

struct part {
    const struct attention *a;
    const struct run *run;
    size_t head, lines, first_block, end_block;
    struct tile tile;
    /* A thread's working memory; the lines in order. */
    float *q, *y, *mix;    /* [lines, S]; y: what is mixed so far; mix: of a tile */
    struct shares *so_far; /* of every tile */
};

/* The part's line i among all [T, H]. */
static size_t line_of(const struct part *p, size_t i)
{
    const struct attention *a = p->a;
    size_t row = p->run->first + i / a->group;
    return (row * a->G + p->head) * a->group + i % a->group;
}

static size_t tiles_of(size_t lines)
{
    return (lines + LINES - 1) / LINES;
}

/* Floats of a thread's working memory, whole vectors. */
static size_t work_floats(size_t lines, size_t S)
{
    return (2 * lines + LINES) * S + 2 * VL * (tiles_of(lines) + 1);
}

static struct part part_of(const struct attention *a, size_t index, float *work)
{
    /* the last run first: the longest contexts of a prompt, so that the parts end small */
    size_t split = index % a->splits, head = index / a->splits % a->G;
    size_t run = a->n_runs - 1 - index / a->splits / a->G;
    struct part p = {.a = a, .run = &a->runs[run], .head = head};
    size_t blocks = (p.run->position + p.run->n + BLOCK - 1) / BLOCK;
    p.lines = p.run->n * a->group;
    p.first_block = blocks * split / a->splits;
    p.end_block = blocks * (split + 1) / a->splits;
    p.tile.S = a->S;
    p.tile.scale = a->scale;
    p.so_far = (struct shares *)(void *)work;
    p.q = work + 2 * VL * tiles_of(p.lines);
    p.y = p.q + p.lines * a->S;
    p.mix = p.y + p.lines * a->S;
    return p;
}

/* Keys and values of the block for the part's head. */
static void find_leaves(struct part *p, size_t block)
{
    const struct attention *a = p->a;
    struct tile *t = &p->tile;
    size_t first = block * BLOCK_LEAVES, end = (p->run->position + p->run->n + LEAF - 1) / LEAF;
    int sequence = a->b->sequences[p->run->first];
    t->leaves = min_size(end - first, BLOCK_LEAVES);
    for (size_t i = 0; i < t->leaves; i++) {
        const float *leaf = kv_leaf(a->kv, a->layer, a->b, sequence, first + i);
        t->keys[i] = leaf + p->head * LEAF * a->S;
        t->values[i] = leaf + (a->G + p->head) * LEAF * a->S;
    }
    t->next = t->keys[0];
    if (first + BLOCK_LEAVES < end)
        t->next =
            kv_leaf(a->kv, a->layer, a->b, sequence, first + BLOCK_LEAVES) + p->head * LEAF * a->S;
}

/* What the block gives the tile's lines goes where a later pass merges it. */
static void leave(const struct part *p, size_t first, size_t block)
{
    const struct attention *a = p->a;
    const struct tile *t = &p->tile;
    for (size_t m = 0; m < t->lines; m++) {
        float *to = a->given + (line_of(p, first + m) * a->blocks + block) * (2 + a->S);
        to[0] = t->shares.most[m];
        to[1] = t->shares.sum[m];
        memcpy(to + 2, t->mix + m * a->S, a->S * sizeof *to);
    }
}

/* Likewise into what is there of the blocks before. */
static void merge_tile(struct part *p, size_t first)
{
    const struct tile *t = &p->tile;
    struct shares weights;
    size_t m = 0;
    while (t->seen[m] == 0)
        m++;
    merge_shares(&p->so_far[first / LINES], &t->shares, m, t->lines, &weights);
    for (; m < t->lines; m++)
        merge_mix(p->y + (first + m) * t->S, weights.most[m], t->mix + m * t->S, weights.sum[m],
                  t->S);
}

static void attend_tile(struct part *p, size_t first, size_t block)
{
    static void (*const tiles[LINES])(struct tile *) = {tile_block_1, tile_block_2, tile_block_3,
                                                        tile_block_4, tile_block_5, tile_block_6};
    struct tile *t = &p->tile;
    bool begins = block == 0 && p->a->splits == 1;
    t->lines = min_size(p->lines - first, LINES);
    for (size_t m = 0; m < t->lines; m++) {
        size_t length = p->run->position + (first + m) / p->a->group + 1;
        t->seen[m] = min_size(above(length, block * BLOCK), BLOCK);
        t->q[m] = p->q + (first + m) * t->S;
    }
    if (t->seen[t->lines - 1] == 0)
        return;
    t->mix = begins ? p->y + first * t->S : p->mix;
    tiles[t->lines - 1](t);
    if (begins)
        p->so_far[first / LINES] = t->shares;
    else if (p->a->splits > 1)
        leave(p, first, block);
    else
        merge_tile(p, first);
}

struct work {
    const struct attention *a;
    char *scratch;
    size_t stride;
};

static void attend(void *arg, size_t index, int thread)
{
    const struct work *w = arg;
    const struct attention *a = w->a;
    struct part p = part_of(a, index, (float *)(void *)(w->scratch + (size_t)thread * w->stride));
    for (size_t i = 0; i < p.lines; i++)
        memcpy(p.q + i * a->S, a->q + line_of(&p, i) * a->S, a->S * sizeof *p.q);
    for (size_t block = p.first_block; block < p.end_block; block++) {
        find_leaves(&p, block);
        for (size_t i = 0; i < p.lines; i += LINES)
            attend_tile(&p, i, block);
    }
    for (size_t i = 0; i < p.lines && a->splits == 1; i++)
        finish(a->y + line_of(&p, i) * a->S, p.y + i * a->S, p.so_far[i / LINES].sum[i % LINES],
               a->S);
}

/* One line, its blocks in order. */
static void merge_line(void *arg, size_t line, int thread)
{
    (void)thread;
    const struct attention *a = ((const struct work *)arg)->a;
    size_t length = (size_t)a->b->positions[line / (a->G * a->group)] + 1, a_block = 2 + a->S;
    const float *from = a->given + line * a->blocks * a_block;
    float *y = a->y + line * a->S;
    struct shares so_far = {{from[0]}, {from[1]}}, weights;
    memcpy(y, from + 2, a->S * sizeof *y);
    for (size_t block = 1; block * BLOCK < length; block++) {
        from += a_block;
        merge_shares(&so_far, &(struct shares){{from[0]}, {from[1]}}, 0, 1, &weights);
        merge_mix(y, weights.most[0], from + 2, weights.sum[0], a->S);
    }
    finish(y, y, so_far.sum[0], a->S);
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

/* How many rows a run takes: as many as make good use of a block that is in the cache, but few
 * enough that every thread gets several parts. */
static size_t rows_a_run(const struct attention *a, size_t threads)
{
    size_t most = max_size(PART_LINES / a->group, 1), rows = (size_t)a->b->n_rows;
    size_t fair = rows * a->G / (4 * threads), least = max_size(2 * LINES / a->group, 1);
    return threads == 1 ? most : min_size(most, max_size(fair, least));
}

/* How many parts a run and head is cut into along the context: more than one where a few rows, as
 * few as one sequence may have, would not keep the threads busy; what a split leaves to be merged
 * must stay small. */
static size_t splits_of(const struct attention *a, size_t rows, size_t threads)
{
    size_t n = (size_t)a->b->n_rows, parts = (n + rows - 1) / rows * a->G;
    if (threads == 1 || parts >= 4 * threads || n * a->G * a->group * a->blocks > SPLIT_GIVEN)
        return 1;
    return max_size(min_size(4 * threads / max_size(parts, 1), a->blocks / 4), 1);
}

static void attention(struct device *dev, float *y, const float *q, const struct kv_cache *kv,
                      int layer, const struct batch *b, int H, float scale)
{
    struct attention a = {.y = y, .q = q, .kv = kv, .b = b, .layer = layer, .splits = 1};
    size_t threads = (size_t)pool_size(dev->pool), positions = 0, longest = 0;
    a.scale = scale * 0x1.715476p0f;
    a.G = (size_t)kv->n_kv_heads;
    a.group = (size_t)H / a.G;
    a.S = (size_t)kv->head_size;
    for (int t = 0; t < b->n_rows; t++) {
        positions += (size_t)b->positions[t] + 1;
        longest = max_size(longest, (size_t)b->positions[t] + 1);
    }
    size_t rows = rows_a_run(&a, threads), n = (size_t)b->n_rows;
    bool small = 2 * positions * (size_t)H * a.S < SERIAL_PRODUCTS;
    a.blocks = (longest + BLOCK - 1) / BLOCK;
    a.splits = small ? 1 : splits_of(&a, rows, threads);
    size_t given = a.splits > 1 ? n * (size_t)H * a.blocks * (2 + a.S) : 0;
    a.runs = device_shared(dev, n * sizeof *a.runs + given * sizeof *a.given);
    a.given = (float *)(void *)(a.runs + n);
    a.n_runs = find_runs(b, rows, a.runs);
    struct work w = {.a = &a};
    size_t work = work_floats(rows * a.group, a.S);
    w.scratch = device_scratch(dev, work * sizeof(float), &w.stride);
    share(dev, small, a.n_runs * a.G * a.splits, attend, &w);
    if (a.splits > 1)
        share(dev, small, n * (size_t)H, merge_line, &w);
}

/* ---- Writing the cache ---- */

struct writing {
    const struct kv_cache *kv;
    int layer;
    const float *k, *v;
    const struct batch *b;
};

static void write_row(void *arg, size_t row, int thread)
{
    (void)thread;
    const struct writing *w = arg;
    size_t G = (size_t)w->kv->n_kv_heads, S = (size_t)w->kv->head_size;
    size_t position = (size_t)w->b->positions[row], slot = position % LEAF;
    const float *k = w->k + row * G * S, *v = w->v + row * G * S;
    float *keys = kv_leaf(w->kv, w->layer, w->b, w->b->sequences[row], position / LEAF);
    float *values = keys + LEAF * G * S + slot * S;
    for (size_t i = 0; i < G * S; i++)
        keys[i * LEAF + slot] = k[i];
    for (size_t g = 0; g < G; g++)
        memcpy(values + g * LEAF * S, v + g * S, S * sizeof *v);
}

static void kv_write(struct device *dev, const struct kv_cache *kv, int layer, const float *k,
                     const float *v, const struct batch *b)
{
    struct writing w = {kv, layer, k, v, b};
    for (size_t row = 0; row < (size_t)b->n_rows; row++)
        write_row(&w, row, 0);
    (void)dev;
}

/* One leaf's positions before `n`. */
static void copy_leaf(float *to, const float *from, size_t n, size_t G, size_t S)
{
    for (size_t i = 0; i < G * S; i++)
        memcpy(to + i * LEAF, from + i * LEAF, n * sizeof *to);
    for (size_t i = G * S * LEAF; i < 2 * G * S * LEAF; i += S * LEAF)
        memcpy(to + i, from + i, n * S * sizeof *to);
}

static void kv_copy(struct device *dev, const struct kv_cache *kv, int layer,
                    const struct kv_copy *copies, int n)
{
    (void)dev;
    const size_t G = (size_t)kv->n_kv_heads, S = (size_t)kv->head_size, leaf = 2 * G * S * LEAF;
    const size_t layer_floats = leaf * ((size_t)kv->page_positions / LEAF);
    const size_t page = layer_floats * (size_t)kv->n_layers, at = layer_floats * (size_t)layer;
    for (const struct kv_copy *c = copies; c < copies + n; c++) {
        float *to = kv->data + (size_t)c->to * page + at;
        const float *from = kv->data + (size_t)c->from * page + at;
        for (size_t i = 0; i < (size_t)c->n; i += LEAF, to += leaf, from += leaf)
            copy_leaf(to, from, min_size((size_t)c->n - i, LEAF), G, S);
    }
}

void LEVEL(attention_kernels)(struct kernels *k)
{
    k->attention = attention;
    k->kv_write = kv_write;
    k->kv_copy = kv_copy;
}
