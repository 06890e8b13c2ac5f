#include "backends/local/unpack.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { BLOCK_ROWS = 16 }; /* taken together: of PACKED_COLUMNS a cache line of words */

static uint32_t word_at(const unsigned char *data, int64_t i)
{
    uint32_t w;
    memcpy(&w, data + 4 * i, sizeof w);
    return w;
}

/* Row r of a matrix of streams; `step` words lie between a stream's. */
static void get_streams(const struct packed_codes *p, int64_t first, int64_t n, uint8_t *codes)
{
    int64_t step = p->how == PACKED_ROWS ? 1 : p->stride;
    int64_t next = p->how == PACKED_ROWS ? p->stride : 1;
    uint32_t mask = (1u << p->bits) - 1;
    for (int64_t c = 0; c < p->cols; c++) {
        int64_t word = c * p->bits / 32 * step;
        int shift = (int)(c * p->bits % 32), spill = shift + p->bits - 32;
        for (int64_t r = 0; r < n; r++) {
            int64_t at = word + (first + r) * next;
            uint32_t code = word_at(p->data, at) >> shift;
            if (spill > 0)
                code |= word_at(p->data, at + step) << (p->bits - spill);
            codes[r * p->cols + c] = (uint8_t)(code & mask);
        }
    }
}

static void get_awq(const struct packed_codes *p, int64_t first, int64_t n, uint8_t *codes)
{
    for (int64_t c = 0; c < p->cols; c++)
        for (int64_t r = first; r < first + n; r++) {
            int64_t nibble = r % 2 * 4 + r % 8 / 2;
            uint32_t w = word_at(p->data, c * p->stride + r / 8);
            codes[(r - first) * p->cols + c] = (uint8_t)(w >> 4 * nibble & 15);
        }
}

static void get_quarters(const struct packed_codes *p, int64_t first, int64_t n, uint8_t *codes)
{
    for (int64_t r = first; r < first + n; r++) {
        const unsigned char *from = p->data + r % p->stride * p->cols;
        int shift = (int)(r / p->stride * 2);
        for (int64_t c = 0; c < p->cols; c++)
            codes[(r - first) * p->cols + c] = from[c] >> shift & 3;
    }
}

/* Rows first .. first+n-1, n <= BLOCK_ROWS. */
static void get_rows(const struct packed_codes *p, int64_t first, int64_t n, uint8_t *codes)
{
    switch (p->how) {
    case PACKED_AWQ:
        get_awq(p, first, n, codes);
        break;
    case PACKED_QUARTERS:
        get_quarters(p, first, n, codes);
        break;
    default:
        get_streams(p, first, n, codes);
    }
}

void unpack_row(const struct packed_codes *p, int64_t row, uint8_t *ret)
{
    get_rows(p, row, 1, ret);
}

size_t packed_bytes(const struct packed_codes *p)
{
    size_t stride = (size_t)p->stride;
    switch (p->how) {
    case PACKED_ROWS:
        return (size_t)p->rows * stride * 4;
    case PACKED_COLUMNS:
        return ((size_t)p->cols * (size_t)p->bits + 31) / 32 * stride * 4;
    case PACKED_AWQ:
        return (size_t)p->cols * stride * 4;
    default:
        return stride * (size_t)p->cols;
    }
}

struct unpack_job {
    const struct packed_codes *p;
    enum format format;
    int bits; /* of the format's codes */
    char *to;
    uint8_t *scratch; /* [threads, BLOCK_ROWS + 1, cols] */
    bool *bad;        /* [threads] */
};

static bool put_row(const struct unpack_job *j, const uint8_t *codes, uint8_t *to)
{
    const struct packed_codes *p = j->p;
    uint32_t held = 0;
    int n_held = 0;
    bool good = true;
    for (int64_t c = 0; c < p->cols; c++) {
        uint8_t code = codes[p->perm ? p->perm[c] : c];
        good &= code <= p->most;
        held |= (uint32_t)(uint8_t)(code + p->add) << n_held;
        for (n_held += j->bits; n_held >= 8; n_held -= 8, held >>= 8)
            *to++ = (uint8_t)held;
    }
    if (n_held)
        *to = (uint8_t)held;
    return good;
}

static void unpack_block(void *arg, size_t block, int thread)
{
    const struct unpack_job *j = arg;
    const struct packed_codes *p = j->p;
    int64_t first = (int64_t)block * BLOCK_ROWS, left = p->rows - first;
    int64_t n = left < BLOCK_ROWS ? left : BLOCK_ROWS;
    size_t row = format_row_bytes(j->format, p->cols);
    uint8_t *codes = j->scratch + (size_t)thread * BLOCK_ROWS * (size_t)p->cols;
    get_rows(p, first, n, codes);
    for (int64_t r = 0; r < n; r++) {
        uint8_t *to = (uint8_t *)j->to + (size_t)(first + r) * row;
        memset(to, 0, row); /* codes may leave its end free */
        if (!put_row(j, codes + r * p->cols, to))
            j->bad[thread] = true;
    }
}

bool unpack(const struct packed_codes *p, enum format format, void *ret, struct pool *pool)
{
    size_t threads = (size_t)pool_size(pool),
           blocks = ((size_t)p->rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    struct unpack_job j = {.p = p,
                           .format = format,
                           .bits = 8 * format_info[format].block_bytes / format_info[format].block,
                           .to = ret,
                           .scratch = mem_alloc(threads * BLOCK_ROWS, (size_t)p->cols),
                           .bad = mem_alloc(threads, sizeof *j.bad)};
    pool_run(pool, blocks, unpack_block, &j);
    bool good = true;
    for (size_t i = 0; i < threads; i++)
        good &= !j.bad[i];
    free(j.scratch);
    free(j.bad);
    return good;
}
