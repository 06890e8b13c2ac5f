/* pyrandom.h: CPython's random.Random, draw for draw (3.11): MT19937, init_by_array seeding.
 * lm-evaluation-harness samples few-shot examples and bootstraps with it. */
#ifndef ASSAY_BASE_PYRANDOM_H
#define ASSAY_BASE_PYRANDOM_H

#include "base/str.h"

struct pyrandom {
    uint32_t state[624];
    int index;
    bool has_gauss;
    double next_gauss;
};

void pyrandom_seed(struct pyrandom *r, int64_t seed); /* Random(seed), seed an int */
/* An int of any size: its magnitude's 32-bit words, the lowest first; n > 0, no zeros at the end.
 */
void pyrandom_seed_words(struct pyrandom *r, const uint32_t *words, size_t n);
void pyrandom_seed_str(struct pyrandom *r, struct str seed); /* Random("text") (version 2) */

double pyrandom_random(struct pyrandom *r); /* [0, 1), 53 bits */
/* n of these in a row, several times as fast. */
void pyrandom_randoms(struct pyrandom *r, double *ret, size_t n);
uint64_t pyrandom_getrandbits(struct pyrandom *r, int k); /* 0 <= k <= 64 */
uint64_t pyrandom_below(struct pyrandom *r, uint64_t n);  /* _randbelow(n), n > 0 */
/* random.sample(range(n), k) into ret[k]; k <= n. */
void pyrandom_sample(struct pyrandom *r, size_t n, size_t k, size_t *ret);
void pyrandom_shuffle(struct pyrandom *r, size_t *items, size_t n);
/* random.choices(range(n), k=k) into ret[k]. */
void pyrandom_choices(struct pyrandom *r, size_t n, size_t k, size_t *ret);
double pyrandom_gauss(struct pyrandom *r, double mu, double sigma);
double pyrandom_uniform(struct pyrandom *r, double a, double b);

#endif
