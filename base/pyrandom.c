#include "base/pyrandom.h"

#include <math.h>
#include <stdlib.h>

#include "base/sha512.h"

enum { N = 624, M = 397 };

static void init_genrand(struct pyrandom *r, uint32_t seed)
{
    r->state[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        r->state[i] = 1812433253u * (r->state[i - 1] ^ r->state[i - 1] >> 30) + i;
    r->index = N;
    r->has_gauss = false;
}

/* MT19937's init_by_array. */
void pyrandom_seed_words(struct pyrandom *r, const uint32_t *words, size_t n)
{
    init_genrand(r, 19650218u);
    uint32_t *s = r->state;
    uint32_t i = 1;
    size_t j = 0;
    for (size_t k = n > N ? n : N; k; k--) {
        s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1664525u) + words[j] + (uint32_t)j;
        if (++i == N) {
            s[0] = s[N - 1];
            i = 1;
        }
        if (++j == n)
            j = 0;
    }
    for (size_t k = N - 1; k; k--) {
        s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1566083941u) - i;
        if (++i == N) {
            s[0] = s[N - 1];
            i = 1;
        }
    }
    s[0] = 0x80000000u;
}

void pyrandom_seed(struct pyrandom *r, int64_t seed)
{
    uint64_t magnitude = seed < 0 ? 0 - (uint64_t)seed : (uint64_t)seed;
    uint32_t key[2] = {(uint32_t)magnitude, (uint32_t)(magnitude >> 32)};
    pyrandom_seed_words(r, key, key[1] ? 2 : 1);
}

/* The seed is the big-endian number made of the text and, behind it, its SHA-512. */
void pyrandom_seed_str(struct pyrandom *r, struct str seed)
{
    size_t n_bytes = seed.n + SHA512_BYTES, n = (n_bytes + 3) / 4;
    unsigned char *bytes = mem_alloc(n_bytes, 1);
    if (seed.n)
        memcpy(bytes, seed.p, seed.n);
    sha512(seed.p, seed.n, bytes + seed.n);
    uint32_t *key = mem_alloc(n, sizeof *key);
    for (size_t i = 0; i < n_bytes; i++)
        key[i / 4] |= (uint32_t)bytes[n_bytes - 1 - i] << 8 * (i % 4);
    while (n > 1 && key[n - 1] == 0)
        n--;
    pyrandom_seed_words(r, key, n);
    free(key);
    free(bytes);
}

static inline uint32_t twisted(uint32_t here, uint32_t next, uint32_t far)
{
    uint32_t y = (here & 0x80000000u) | (next & 0x7fffffffu);
    return far ^ y >> 1 ^ ((0u - (y & 1)) & 0x9908b0dfu);
}

/* The next 624 words. Loops without wrap-around, which compilers turn into vectors. */
static void twist(struct pyrandom *r)
{
    uint32_t *s = r->state;
    for (int k = 0; k < N - M; k++)
        s[k] = twisted(s[k], s[k + 1], s[k + M]);
    for (int k = N - M; k < N - 1; k++)
        s[k] = twisted(s[k], s[k + 1], s[k + M - N]);
    s[N - 1] = twisted(s[N - 1], s[0], s[M - 1]);
    r->index = 0;
}

static inline uint32_t tempered(uint32_t y)
{
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

static uint32_t next32(struct pyrandom *r)
{
    if (r->index >= N)
        twist(r);
    return tempered(r->state[r->index++]);
}

static inline double unit(uint32_t high, uint32_t low)
{
    return ((high >> 5) * 67108864.0 + (low >> 6)) * (1.0 / 9007199254740992.0);
}

double pyrandom_random(struct pyrandom *r)
{
    uint32_t high = next32(r);
    return unit(high, next32(r));
}

void pyrandom_randoms(struct pyrandom *r, double *ret, size_t n)
{
    while (n > 0) {
        if (r->index >= N - 1) { /* the pair of words may straddle the end */
            *ret++ = pyrandom_random(r);
            n--;
            continue;
        }
        const uint32_t *s = r->state + r->index;
        size_t pairs = (size_t)(N - r->index) / 2, k = n < pairs ? n : pairs;
        for (size_t i = 0; i < k; i++)
            ret[i] = unit(tempered(s[2 * i]), tempered(s[2 * i + 1]));
        r->index += (int)(2 * k);
        ret += k;
        n -= k;
    }
}

uint64_t pyrandom_getrandbits(struct pyrandom *r, int k)
{
    if (k <= 0)
        return 0;
    if (k <= 32)
        return next32(r) >> (32 - k);
    uint64_t low = next32(r), high = next32(r); /* the low word is drawn first */
    return low | high >> (64 - k) << 32;
}

uint64_t pyrandom_below(struct pyrandom *r, uint64_t n)
{
    int k = n ? 64 - __builtin_clzll(n) : 0;
    uint64_t x;
    do
        x = pyrandom_getrandbits(r, k);
    while (n && x >= n);
    return x;
}

/* Draws from a pool that shrinks: each chosen place takes the last one left. */
static void sample_pool(struct pyrandom *r, size_t n, size_t k, size_t *ret)
{
    size_t *pool = mem_alloc(n, sizeof *pool);
    for (size_t i = 0; i < n; i++)
        pool[i] = i;
    for (size_t i = 0; i < k; i++) {
        size_t j = pyrandom_below(r, n - i);
        ret[i] = pool[j];
        pool[j] = pool[n - i - 1];
    }
    free(pool);
}

/* Draws again what was drawn before. */
static void sample_set(struct pyrandom *r, size_t n, size_t k, size_t *ret)
{
    unsigned char *chosen = mem_alloc(n / 8 + 1, 1);
    for (size_t i = 0; i < k; i++) {
        size_t j;
        do
            j = pyrandom_below(r, n);
        while (chosen[j / 8] >> (j % 8) & 1);
        chosen[j / 8] |= (unsigned char)(1 << (j % 8));
        ret[i] = j;
    }
    free(chosen);
}

void pyrandom_sample(struct pyrandom *r, size_t n, size_t k, size_t *ret)
{
    /* CPython takes whichever it reckons smaller: a list of n, or a set for k. */
    double setsize = 21;
    if (k > 5)
        setsize += pow(4, ceil(log((double)k * 3) / log(4)));
    if ((double)n <= setsize)
        sample_pool(r, n, k, ret);
    else
        sample_set(r, n, k, ret);
}

void pyrandom_shuffle(struct pyrandom *r, size_t *items, size_t n)
{
    for (size_t i = n; i-- > 1;) {
        size_t j = pyrandom_below(r, i + 1), item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}

void pyrandom_choices(struct pyrandom *r, size_t n, size_t k, size_t *ret)
{
    for (size_t i = 0; i < k; i++)
        ret[i] = (size_t)floor(pyrandom_random(r) * (double)n);
}

double pyrandom_gauss(struct pyrandom *r, double mu, double sigma)
{
    double z = r->next_gauss;
    if (!r->has_gauss) {
        double angle = pyrandom_random(r) * (2 * M_PI);
        double radius = sqrt(-2.0 * log(1.0 - pyrandom_random(r)));
        z = cos(angle) * radius;
        r->next_gauss = sin(angle) * radius;
    }
    r->has_gauss = !r->has_gauss;
    return mu + z * sigma;
}

double pyrandom_uniform(struct pyrandom *r, double a, double b)
{
    return a + (b - a) * pyrandom_random(r);
}
