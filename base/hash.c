#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

struct hasher {
    XXH3_state_t *state;
};

static void hex(XXH128_hash_t h, char ret[HASH_HEX])
{
    snprintf(ret, HASH_HEX, "%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
}

struct hasher *hasher_new(void)
{
    struct hasher *h = mem_alloc(1, sizeof *h);
    h->state = XXH3_createState();
    if (!h->state)
        abort();
    XXH3_128bits_reset(h->state);
    return h;
}

void hasher_add(struct hasher *h, const void *p, size_t n)
{
    XXH3_128bits_update(h->state, p, n);
}

void hasher_field(struct hasher *h, struct str s)
{
    uint64_t n = s.n;
    hasher_add(h, &n, sizeof n);
    hasher_add(h, s.p, s.n);
}

void hasher_end(struct hasher *h, char ret[HASH_HEX])
{
    hex(XXH3_128bits_digest(h->state), ret);
    XXH3_freeState(h->state);
    free(h);
}

void hash_bytes(const void *p, size_t n, char ret[HASH_HEX])
{
    hex(XXH3_128bits(p, n), ret);
}
