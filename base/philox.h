/* philox.h: random numbers by counter, Philox4x32-10 (Salmon, Moraes, Dror and Shaw: Parallel
 * random numbers: as easy as 1, 2, 3; SC 2011).
 *
 * A number is a function of a key and a counter, with no state between calls: whoever knows what a
 * draw is for can compute it alone, in any order and on any thread. Neighbouring counters and keys
 * give independent numbers. */
#ifndef ASSAY_BASE_PHILOX_H
#define ASSAY_BASE_PHILOX_H

#include <stdint.h>

/* 128 random bits for a counter of 128 and a key of 64. */
void philox(const uint32_t counter[4], uint64_t key, uint32_t ret[4]);

/* Uniform in [0, 1), a multiple of 2^-53, from the first 64 of these bits. */
double philox_uniform(const uint32_t counter[4], uint64_t key);

#endif
