/* unpack.h: codes as other tools pack them, put into the rows that kernels read. */
#ifndef ASSAY_BACKENDS_LOCAL_UNPACK_H
#define ASSAY_BACKENDS_LOCAL_UNPACK_H

#include "kernels/kernels.h"

/* Where the code of a row (output) and a column (input) lies. A stream's code i is its bits i b ..
 * i b + b - 1, the lowest bits of its first 32-bit word first; it may straddle two words. */
enum packing {
    PACKED_ROWS,     /* a stream a row, `stride` words from one to the next */
    PACKED_COLUMNS,  /* row r is the stream of the words r, r + stride, r + 2 stride ... */
    PACKED_AWQ,      /* 4 bits: of column c the words c stride ... hold 8 rows each, the even ones
                        in the low half */
    PACKED_QUARTERS, /* 2 bits: byte [r % stride, c], bits 2 (r / stride) */
};

struct packed_codes {
    enum packing how;
    const unsigned char *data; /* may be unaligned; little-endian */
    int bits;                  /* 1 .. 8 */
    int64_t rows, cols, stride;
    uint8_t add;         /* to every code, modulo 256 */
    uint8_t most;        /* a greater code (before `add`) is wrong; 255: none */
    const int32_t *perm; /* [cols]: column perm[c] is put at c; NULL: c itself */
};

/* Words or bytes (PACKED_QUARTERS) that `data` must have. */
size_t packed_bytes(const struct packed_codes *p);

/* Writes rows of `format` (INT8, INT4, INT3, INT2, TERNARY) to `ret`, format_row_bytes each; false:
 * a code is greater than `most`. */
bool unpack(const struct packed_codes *p, enum format format, void *ret, struct pool *pool);

/* The codes of a row as they are, a byte each: for zero points. */
void unpack_row(const struct packed_codes *p, int64_t row, uint8_t *ret); /* [cols] */

#endif
