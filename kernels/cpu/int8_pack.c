/* int8_pack.c: what whole numbers are multiplied, and how codes lie for that (int8.h). */
#include <string.h>

#include "kernels/cpu/int8.h"

void int8_run_scales(enum format f, const struct block_parts *b, int i, float *d, float *m)
{
    *d = f16_to_f32(b->d);
    *m = f16_to_f32(b->m);
    if (block_format[f].offset == OFFSET_MINUS_MO) {
        *d *= (float)b->s[i];
        *m *= -(float)b->o[i];
    }
}

void int8_put_codes(uint8_t *to, size_t W, size_t c, const uint8_t *q, int bits)
{
    if (bits == 8) {
        for (size_t k = 0; k < INT8_RUN; k++)
            to[k / 2 * 2 * W + 2 * c + k % 2] = q[k];
        return;
    }
    size_t b = (size_t)bits, each = 32 / b; /* codes a word, four side by side */
    for (size_t i = 0; i < b; i++)
        for (size_t j = 0; j < 4; j++) {
            unsigned byte = 0;
            for (size_t n = 0; n < 8 / b; n++)
                byte |= (unsigned)q[each * i + 4 * n + j] << b * n;
            to[(i * W + c) * 4 + j] = (uint8_t)byte;
        }
}
