#include "base/philox.h"

#include <string.h>

static void multiply(uint32_t a, uint32_t b, uint32_t *high, uint32_t *low)
{
    uint64_t product = (uint64_t)a * b;
    *high = (uint32_t)(product >> 32);
    *low = (uint32_t)product;
}

void philox(const uint32_t counter[4], uint64_t key, uint32_t ret[4])
{
    uint32_t c[4], k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    memcpy(c, counter, sizeof c);
    for (int round = 0; round < 10; round++) {
        uint32_t high0, low0, high1, low1;
        multiply(0xD2511F53, c[0], &high0, &low0);
        multiply(0xCD9E8D57, c[2], &high1, &low1);
        c[0] = high1 ^ c[1] ^ k0;
        c[1] = low1;
        c[2] = high0 ^ c[3] ^ k1;
        c[3] = low0;
        k0 += 0x9E3779B9; /* the golden ratio's and sqrt(3)'s digits, as the paper has them */
        k1 += 0xBB67AE85;
    }
    memcpy(ret, c, sizeof c);
}

double philox_uniform(const uint32_t counter[4], uint64_t key)
{
    uint32_t bits[4];
    philox(counter, key, bits);
    uint64_t all = (uint64_t)bits[0] << 32 | bits[1];
    return (double)(all >> 11) * 0x1p-53;
}
