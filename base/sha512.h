/* sha512.h: SHA-512 (FIPS 180-4), for Python's way to seed a generator from text. */
#ifndef ASSAY_BASE_SHA512_H
#define ASSAY_BASE_SHA512_H

#include <stddef.h>

enum { SHA512_BYTES = 64 };

void sha512(const void *p, size_t n, unsigned char ret[SHA512_BYTES]);

#endif
