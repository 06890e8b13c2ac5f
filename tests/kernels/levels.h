/* levels.h: the levels that the checks compare with the reference. */
#ifndef ASSAY_TESTS_KERNELS_LEVELS_H
#define ASSAY_TESTS_KERNELS_LEVELS_H

#include "tests/kernels/compare.h"

static const double U = 0x1p-24; /* half a unit in the last place: one rounding of 1 */

struct level {
    const char *name, *numerics;
    unsigned features;
    /* puts the level into a table: it runs without its features */
    void (*emulated)(struct kernels *k);
    bool slow;             /* where a check repeats itself, a part of it will do */
    struct pool *pools[3]; /* 1, 2 and 3 threads */
    struct kernels k[3];
};

enum {
    N_LEVELS = 3
#ifdef ASSAY_EMULATED
               + 1
#endif
#ifdef ASSAY_CUDA
               + 1
#endif
};
extern struct level levels[N_LEVELS];
extern const struct kernels *const ref; /* the first level, with one thread */

/* This machine has the level. */
bool level_here(const struct level *l);

#define FOR_LEVELS(l)                                                                              \
    for (struct level *l = levels; l < levels + N_LEVELS; l++)                                     \
        if (level_here(l) && tool_begin(l->name))

/* The weight as the level wants it, for `unpack` to give back. */
struct weight packed(const struct level *l, const struct weight *w);
void unpack(const struct level *l, struct weight *w);

/* [T, N] bounds of x * w^T + bias (NULL: none), for the caller to free. */
double *linear_bounds(const float *x, const struct weight *w, const float *bias, int T);
/* The same rows in other company: alone, cut in two, with other threads. */
void linear_invariance(const struct level *l, const float *y, const float *x,
                       const struct weight *w, const float *bias, int T);

/* The checks, a file each. */
void attention(void), copied_positions(void);
void int8(void), int8_extremes(void), quantized_activations(void), activations_not_finite(void);
void linear(void), linear_codes(void), weights(void), packed_sizes(void), linear_not_finite(void);
void logprobs(void), logprobs_edges(void), logprobs_top(void), logprobs_several(void);
void add_rmsnorm(void), rope_angles(void), rope(void), silu_mul(void), relu2_mul(void), add(void),
    round_to(void), embed_and_gather(void);

#endif
