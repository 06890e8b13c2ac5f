#include "tasks/draws.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"

/* The first half of an identity, as a number. */
static uint64_t number_of(const char hex[HASH_HEX])
{
    char half[17] = "";
    memcpy(half, hex, 16);
    return strtoull(half, NULL, 16);
}

uint64_t draws_document(struct arena *a, const struct value *doc)
{
    struct arena_mark m = arena_mark(a);
    char hex[HASH_HEX];
    struct str text = json_text(a, doc);
    hash_bytes(text.p, text.n, hex);
    arena_reset(a, m);
    return number_of(hex);
}

uint64_t draws_key(const struct draws *d, uint64_t document)
{
    char hex[HASH_HEX];
    struct hasher *h = hasher_new();
    hasher_add(h, &d->seed, sizeof d->seed);
    hasher_field(h, str_of(d->task));
    hasher_add(h, &document, sizeof document);
    hasher_end(h, hex);
    return number_of(hex);
}

uint64_t draws_rank(uint64_t key, uint64_t document)
{
    return hash_mix(key ^ hash_mix(document + 0x9e3779b97f4a7c15u));
}
