/* sha256.h: private to results/. SHA-256 (FIPS 180-4), for the hashes in lm-evaluation-harness'
 * files, by which people's tools match samples of different runs. */
#ifndef ASSAY_RESULTS_SHA256_H
#define ASSAY_RESULTS_SHA256_H

#include "base/str.h"

#define SHA256_HEX 65 /* 64 digits and a NUL */

struct sha256 {
    uint32_t h[8];
    uint64_t n; /* bytes so far */
    unsigned char block[64];
};

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, struct str bytes);
void sha256_end(struct sha256 *s, char ret[SHA256_HEX]);

void sha256_of(struct str bytes, char ret[SHA256_HEX]);

#endif
