/* int8_pack.c: rows of codes and panels for products of 8 bits (int8.h). */
#include <string.h>

#include "kernels/cpu/int8.h"
#include "kernels/cpu/pack.h"

enum int8_kind int8_kind(enum format f)
{
    static const enum int8_kind kinds[FORMAT_COUNT] = {
        [FORMAT_INT8] = INT8_ROW,
        [FORMAT_Q8_0] = INT8_BYTES,
        [FORMAT_INT8_G32] = INT8_BYTES,
        [FORMAT_INT8_G64] = INT8_BYTES,
        [FORMAT_INT8_G128] = INT8_BYTES,
        [FORMAT_Q4_0] = INT8_NIBBLES,
        [FORMAT_INT4_G32] = INT8_NIBBLES,
        [FORMAT_INT4_G64] = INT8_NIBBLES,
        [FORMAT_INT4_G128] = INT8_NIBBLES,
        [FORMAT_Q4_1] = INT8_NIBBLES_OFFSET,
        [FORMAT_Q4_K] = INT8_NIBBLES_OFFSET,
    };
    return kinds[f];
}

struct int8_rows int8_rows_new(struct device *dev, int T, int64_t K, enum int8_kind kind)
{
    size_t n = (size_t)T, codes = n * (size_t)K, sums = codes / INT8_RUN;
    bool nibbles = kind == INT8_NIBBLES || kind == INT8_NIBBLES_OFFSET;
    char *p = device_shared(dev, codes * (nibbles ? 1 : 2) + (sums + n) * sizeof(float));
    struct int8_rows r = {.wide = nibbles ? NULL : (int16_t *)(void *)p,
                          .bytes = nibbles ? (int8_t *)p : NULL};
    r.sums = (int32_t *)(void *)(p + codes * (nibbles ? 1 : 2));
    r.scales = (float *)(void *)(r.sums + sums);
    return r;
}

void int8_run_scales(enum format f, const struct block_parts *b, int i, float *d, float *m)
{
    *d = f16_to_f32(b->d);
    *m = f16_to_f32(b->m);
    if (block_format[f].offset == OFFSET_MINUS_MO) {
        *d *= (float)b->s[i];
        *m *= -(float)b->o[i];
    }
}

/* Bytes of a column: its scales of a run, and its codes. */
static size_t scale_bytes(enum int8_kind kind)
{
    return kind == INT8_NIBBLES_OFFSET ? 8 : 4;
}

static size_t code_bytes(enum int8_kind kind)
{
    return kind == INT8_ROW || kind == INT8_BYTES ? INT8_RUN : INT8_RUN / 2;
}

size_t int8_panel_bytes(enum format f, int64_t K, int W)
{
    enum int8_kind kind = int8_kind(f);
    size_t runs = (size_t)K / INT8_RUN, scaled = kind == INT8_ROW ? 1 : runs;
    return (size_t)W * (scaled * scale_bytes(kind) + runs * code_bytes(kind));
}

static void put_float(uint8_t *p, float x)
{
    memcpy(p, &x, sizeof x);
}

static void put_bytes(uint8_t *to, size_t W, const int8_t *q)
{
    for (size_t k = 0; k < INT8_RUN; k++)
        to[k / 2 * 2 * W + k % 2] = (uint8_t)q[k];
}

static void put_nibbles(uint8_t *to, size_t W, const int8_t *q, int more)
{
    for (size_t i = 0; i < INT8_RUN / 8; i++)
        for (size_t j = 0; j < 4; j++)
            to[i * 4 * W + j] = (uint8_t)((q[8 * i + j] + more) | (q[8 * i + 4 + j] + more) << 4);
}

/* Column c of a panel. */
static void pack_column(const struct packing *p, size_t panel, size_t c)
{
    enum format f = p->w->format;
    enum int8_kind kind = int8_kind(f);
    const struct format_info *info = &format_info[f];
    const uint8_t *from =
        (const uint8_t *)p->w->data + (panel * p->W + c) * format_row_bytes(f, p->w->cols);
    uint8_t *to = p->to + panel * p->bytes;
    for (int64_t k = 0; k < p->w->cols; k += info->block, from += info->block_bytes) {
        struct block_parts b = {0};
        block_format[f].take_apart(from, &b);
        for (int i = 0; i < info->block / INT8_RUN; i++) {
            float d, m;
            int8_run_scales(f, &b, i, &d, &m);
            if (kind != INT8_ROW || k == 0) {
                put_float(to + 4 * c, d);
                to += 4 * p->W;
            }
            if (kind == INT8_NIBBLES_OFFSET) {
                put_float(to + 4 * c, m);
                to += 4 * p->W;
            }
            if (code_bytes(kind) == INT8_RUN)
                put_bytes(to + 2 * c, p->W, b.q + i * INT8_RUN);
            else
                put_nibbles(to + 4 * c, p->W, b.q + i * INT8_RUN, kind == INT8_NIBBLES ? 8 : 0);
            to += p->W * code_bytes(kind);
        }
    }
}

static void pack_columns(const struct packing *p, size_t panel, size_t n)
{
    for (size_t c = 0; c < n; c++)
        pack_column(p, panel, c);
}

enum { MOST_COLS = 131071 }; /* 128 * 128 * as many fit 32 bits */

int int8_pack(struct device *dev, struct weight *w, struct error *err)
{
    if (int8_kind(w->format) == INT8_NONE || w->cols > MOST_COLS)
        return error_set(err, E_UNSUPPORTED,
                         "cannot multiply a %s weight of %lld columns with INT8 activations: the "
                         "format must have codes of 4 or 8 bits, the columns be %d at most",
                         format_info[w->format].name, (long long)w->cols, MOST_COLS);
    struct packing p = {.bytes = int8_panel_bytes(w->format, w->cols, dev->panel),
                        .panel = pack_columns};
    return panels_fill(dev, w, &p, err);
}
