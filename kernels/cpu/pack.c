/* pack.c: weights into panels (pack.h), and the memory they lie in.
 *
 * Reading a model is reading its packed weights over and over, so they lie in huge pages where the
 * system gives them: with 4 KiB pages the same reads take about twice the time. A device therefore
 * takes memory in chunks and hands out parts of them; a chunk goes back when its last part does. */
#include "kernels/cpu/pack.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/format.h"

const struct panel_format panel_format[FORMAT_COUNT] = {
    [FORMAT_F32] = {1, 1, 0, 0, 4},         [FORMAT_F16] = {1, 1, 0, 0, 2},
    [FORMAT_BF16] = {2, 1, 0, 0, 4},        [FORMAT_Q8_0] = {32, 1, 0, 2, 32},
    [FORMAT_Q4_0] = {32, 1, 0, 2, 16},      [FORMAT_Q4_1] = {32, 1, 0, 4, 16},
    [FORMAT_Q5_0] = {32, 1, 0, 2, 32},      [FORMAT_Q5_1] = {32, 1, 0, 4, 32},
    [FORMAT_Q4_K] = {32, 8, 4, 2, 16},      [FORMAT_Q5_K] = {32, 8, 4, 2, 32},
    [FORMAT_Q6_K] = {32, 8, 2, 2, 32},      [FORMAT_INT8] = {32, 1, 0, 2, 32},
    [FORMAT_INT8_G32] = {32, 1, 0, 2, 32},  [FORMAT_INT8_G64] = {32, 2, 0, 2, 32},
    [FORMAT_INT8_G128] = {32, 4, 0, 2, 32}, [FORMAT_INT4_G32] = {32, 1, 0, 2, 16},
    [FORMAT_INT4_G64] = {32, 2, 0, 2, 16},  [FORMAT_INT4_G128] = {32, 4, 0, 2, 16},
};

size_t panel_bytes(enum format f, int64_t K, int W)
{
    const struct panel_format *p = &panel_format[f];
    size_t runs = ((size_t)K + (size_t)p->run - 1) / (size_t)p->run;
    size_t heads = runs / (size_t)p->runs * (size_t)p->head;
    return (size_t)W * (heads + runs * (size_t)(p->scales + p->codes));
}

/* Sizes are 2 or 4 bytes and known where these are called: the copies become moves. */
static inline void pack_column(uint8_t *to, const uint8_t *from, size_t size, size_t W, size_t K)
{
    for (size_t k = 0; k < K; k++)
        memcpy(to + k * W * size, from + k * size, size);
}

/* Four columns of n words each, turned by squares of four: one store where there were four. */
typedef uint32_t word4 __attribute__((vector_size(16)));

static inline void pack_four_columns(uint8_t *to, const uint8_t *from, size_t row, size_t W,
                                     size_t n)
{
    const word4 low = {0, 4, 1, 5}, high = {2, 6, 3, 7}, first = {0, 1, 4, 5},
                second = {2, 3, 6, 7};
    size_t k = 0;
    for (; k + 4 <= n; k += 4) {
        word4 x[4];
        for (size_t c = 0; c < 4; c++)
            memcpy(&x[c], from + c * row + k * 4, sizeof x[c]);
        word4 ab = __builtin_shuffle(x[0], x[1], low), cd = __builtin_shuffle(x[2], x[3], low),
              ab2 = __builtin_shuffle(x[0], x[1], high), cd2 = __builtin_shuffle(x[2], x[3], high);
        const word4 turned[4] = {
            __builtin_shuffle(ab, cd, first), __builtin_shuffle(ab, cd, second),
            __builtin_shuffle(ab2, cd2, first), __builtin_shuffle(ab2, cd2, second)};
        for (size_t i = 0; i < 4; i++)
            memcpy(to + (k + i) * W * 4, &turned[i], sizeof turned[i]);
    }
    for (size_t c = 0; c < 4; c++)
        pack_column(to + (k * W + c) * 4, from + c * row + k * 4, 4, W, n - k);
}

enum { PIECE = 64 }; /* k at a time, so that what is written stays in L1 */

static void pack_floats(const struct packing *p, size_t panel, size_t columns)
{
    size_t K = (size_t)p->w->cols, size = (size_t)format_info[p->w->format].block_bytes;
    const uint8_t *from = (const uint8_t *)p->w->data + panel * p->W * K * size;
    uint8_t *to = p->to + panel * p->bytes;
    size_t words = p->w->format == FORMAT_F32                  ? 1
                   : p->w->format == FORMAT_BF16 && K % 2 == 0 ? 2
                                                               : 0; /* k a word of 4 bytes */
    for (size_t k = 0; k < K; k += PIECE) {
        size_t n = K - k < PIECE ? K - k : PIECE, c = 0;
        for (; words && c + 4 <= columns; c += 4)
            pack_four_columns(to + (k / words * p->W + c) * 4, from + (c * K + k) * size, K * size,
                              p->W, n / words);
        for (; c < columns; c++) {
            const uint8_t *row = from + (c * K + k) * size;
            if (p->w->format == FORMAT_F32)
                pack_column(to + (k * p->W + c) * 4, row, 4, p->W, n);
            else if (p->w->format == FORMAT_F16)
                pack_column(to + (k * p->W + c) * 2, row, 2, p->W, n);
            else {
                pack_column(to + (k / 2 * p->W + c) * 4, row, 4, p->W, n / 2);
                if (n % 2)
                    memcpy(to + ((k + n) / 2 * p->W + c) * 4, row + (n - 1) * 2, 2);
            }
        }
    }
}

static void put_u16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

static void pack_codes(uint8_t *to, size_t W, size_t c, const int8_t *q, int codes, int more)
{
    if (codes == 32) {
        for (size_t k = 0; k < 32; k++)
            to[k * W + c] = (uint8_t)q[k];
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        uint32_t word = 0;
        for (size_t j = 0; j < 8; j++)
            word |= (uint32_t)(q[4 * j + i] + more) << 4 * j;
        memcpy(to + (i * W + c) * 4, &word, sizeof word);
    }
}

/* One block of the file: `to` is where its head begins in the panel. */
static void pack_block(uint8_t *to, size_t W, size_t c, enum format f, const struct block_parts *b)
{
    const struct panel_format *p = &panel_format[f];
    if (p->head > 0)
        put_u16(to + 2 * c, b->d);
    if (p->head > 2)
        put_u16(to + 2 * (W + c), b->m);
    to += W * (size_t)p->head;
    for (int run = 0; run < p->runs; run++, to += W * (size_t)(p->scales + p->codes)) {
        if (p->head == 0) {
            put_u16(to + 2 * c, b->d);
            if (p->scales > 2)
                put_u16(to + 2 * (W + c), b->m);
        } else {
            bool offsets = block_format[f].offset == OFFSET_MINUS_MO;
            to[c] = (uint8_t)b->s[offsets ? run : 2 * run];
            to[W + c] = offsets ? b->o[run] : (uint8_t)b->s[2 * run + 1];
        }
        pack_codes(to + W * (size_t)p->scales, W, c, b->q + 32 * run, p->codes,
                   p->head == 0 && p->scales == 2 ? 8 : 0);
    }
}

static void pack_blocks(const struct packing *p, size_t panel, size_t columns)
{
    enum format f = p->w->format;
    const struct format_info *info = &format_info[f];
    size_t row = format_row_bytes(f, p->w->cols), n = (size_t)(p->w->cols / info->block);
    size_t block = panel_bytes(f, info->block, (int)p->W);
    uint8_t *to = p->to + panel * p->bytes;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < columns; c++) {
            struct block_parts parts = {0};
            block_format[f].take_apart((const uint8_t *)p->w->data + (panel * p->W + c) * row +
                                           i * (size_t)info->block_bytes,
                                       &parts);
            pack_block(to + i * block, p->W, c, f, &parts);
        }
}

static void fill_panel(void *arg, size_t panel, int thread)
{
    (void)thread;
    const struct packing *p = arg;
    size_t left = (size_t)p->w->rows - panel * p->W, columns = left < p->W ? left : p->W;
    bool odd = p->w->format == FORMAT_BF16 && p->w->cols % 2;
    if (columns < p->W || odd)
        memset(p->to + panel * p->bytes, 0, p->bytes);
    p->panel(p, panel, columns);
}

int panels_fill(struct device *dev, struct weight *w, struct packing *p, struct error *err)
{
    w->packed = NULL;
    p->w = w;
    p->W = (size_t)dev->panel;
    if (p->W == 0)
        return 0;
    size_t n = ((size_t)w->rows + p->W - 1) / p->W;
    p->to = p->bytes <= SIZE_MAX / n ? memory_take(dev, n * p->bytes) : NULL;
    if (!p->to)
        return error_set(err, E_MEMORY,
                         "out of memory: a %s weight of %lld rows and %lld columns needs %zu MiB",
                         format_info[w->format].name, (long long)w->rows, (long long)w->cols,
                         (n * p->bytes) >> 20);
    pool_run(dev->pool, n, fill_panel, p);
    w->packed = p->to;
    return 0;
}

int panels_pack(struct device *dev, struct weight *w, struct error *err)
{
    bool blocks = block_format[w->format].take_apart != NULL;
    struct packing p = {.bytes = panel_bytes(w->format, w->cols, dev->panel),
                        .panel = blocks ? pack_blocks : pack_floats};
    return panels_fill(dev, w, &p, err);
}
