/* story.h: what attention reads, made up: sequences, and a cache whose pages lie about. */
#ifndef ASSAY_TESTS_KERNELS_STORY_H
#define ASSAY_TESTS_KERNELS_STORY_H

#include "kernels/kernels.h"

/* Three sequences of different lengths, whose pages lie in random order in a cache of two layers;
 * a cache of other page size and order must give the same bits. */
struct story {
    int G, H, S, n_rows;
    int32_t *positions, *sequences; /* [n_rows], mixed */
    float *q, *k, *v;               /* [n_rows, heads, S] */
};

enum { N_SEQUENCES = 3 };

struct pages {
    struct kv_cache kv;
    int32_t *table;
    int max_pages;
    int32_t spare; /* a page that no sequence has */
};

struct story story_new(int G, int group, int S, const int lengths[N_SEQUENCES]);
void story_free(struct story *s);

/* The rows first .. first+n-1 of the story as a step over its pages. */
struct batch rows_of(const struct story *s, const struct pages *p, int first, int n);

/* A cache with P positions a page, filled through `k` with layer 1 of the story. */
struct pages pages_new(const struct kernels *k, const struct story *s, int P);
/* The table's entry for a position. */
int32_t *page_of(const struct pages *p, int sequence, int position);
void pages_free(const struct kernels *k, struct pages *p);

#endif
