/* check_attention.c: attention over stories of sequences, and positions copied between pages. */
#include <stdlib.h>

#include "base/arena.h"
#include "kernels/format.h"
#include "tests/kernels/levels.h"
#include "tests/kernels/story.h"

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

void attention(void)
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
void copied_positions(void)
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
        void *zeros = mem_alloc(bytes, 1);
        t->to_device(t->dev, kv.data, zeros, bytes);
        free(zeros);
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
