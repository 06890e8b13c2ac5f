/* hash.h: identities. XXH3-128 from libxxhash, written as 32 lower-case hex digits.
 * An identity says "the same bytes"; it is no protection against somebody who forges one. */
#ifndef ASSAY_BASE_HASH_H
#define ASSAY_BASE_HASH_H

#include "base/str.h"

#define HASH_HEX 33 /* 32 digits and a NUL */

struct hasher; /* owns a streaming state */

struct hasher *hasher_new(void);
void hasher_add(struct hasher *h, const void *p, size_t n);
/* Length first, then bytes: so that ("ab","c") and ("a","bc") differ. */
void hasher_field(struct hasher *h, struct str s);
void hasher_end(struct hasher *h, char ret[HASH_HEX]); /* frees h */

void hash_bytes(const void *p, size_t n, char ret[HASH_HEX]);

/* splitmix64's finalizer, in which each bit of the input moves every bit of the output. */
static inline uint64_t hash_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

#endif
