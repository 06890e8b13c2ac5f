#include "tests/kernels/story.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "tests/kernels/operands.h"

struct story story_new(int G, int group, int S, const int lengths[N_SEQUENCES])
{
    struct story s = {.G = G, .H = G * group, .S = S};
    int next[N_SEQUENCES] = {0};
    for (int i = 0; i < N_SEQUENCES; i++)
        s.n_rows += lengths[i];
    size_t n = (size_t)s.n_rows, GS = (size_t)G * (size_t)S;
    s.positions = mem_alloc(n, sizeof(int32_t));
    s.sequences = mem_alloc(n, sizeof(int32_t));
    for (size_t i = 0; i < n; i++) {
        int q = (int)random_below(N_SEQUENCES);
        while (next[q] == lengths[q])
            q = (q + 1) % N_SEQUENCES;
        s.sequences[i] = q;
        s.positions[i] = next[q]++;
    }
    s.q = tame_floats(n * GS * (size_t)group, 2);
    s.k = tame_floats(n * GS, 2);
    s.v = tame_floats(n * GS, 2);
    return s;
}

void story_free(struct story *s)
{
    free(s->positions);
    free(s->sequences);
    floats_free(s->q);
    floats_free(s->k);
    floats_free(s->v);
}

struct batch rows_of(const struct story *s, const struct pages *p, int first, int n)
{
    return (struct batch){.n_rows = n,
                          .positions = s->positions + first,
                          .sequences = s->sequences + first,
                          .page_table = p->table,
                          .n_sequences = N_SEQUENCES,
                          .max_pages = p->max_pages};
}

struct pages pages_new(const struct kernels *k, const struct story *s, int P)
{
    struct pages p = {.max_pages = s->n_rows / P + 1};
    int n = N_SEQUENCES * p.max_pages;
    p.kv = (struct kv_cache){NULL, 2, s->G, s->S, P, n + 1};
    p.spare = n;
    size_t bytes = (size_t)(n + 1) * 2 * 2 * (size_t)(P * s->G * s->S) * sizeof(float);
    p.kv.data = k->buffer_new(k->dev, bytes);
    void *noise = mem_alloc(bytes, 1);
    memset(noise, 0xff, bytes); /* NaN: what was not written must not be read */
    k->to_device(k->dev, p.kv.data, noise, bytes);
    free(noise);
    p.table = mem_alloc((size_t)n, sizeof *p.table);
    for (int i = 0; i < n; i++)
        p.table[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)random_below((uint32_t)i + 1);
        int32_t swap = p.table[i];
        p.table[i] = p.table[j];
        p.table[j] = swap;
    }
    struct batch b = rows_of(s, &p, 0, s->n_rows);
    k->kv_write(k->dev, &p.kv, 1, s->k, s->v, &b);
    b.n_rows = 0;
    k->kv_write(k->dev, &p.kv, 1, s->k, s->v, &b);
    return p;
}

int32_t *page_of(const struct pages *p, int sequence, int position)
{
    return &p->table[sequence * p->max_pages + position / p->kv.page_positions];
}

void pages_free(const struct kernels *k, struct pages *p)
{
    k->buffer_free(k->dev, p->kv.data);
    free(p->table);
}
