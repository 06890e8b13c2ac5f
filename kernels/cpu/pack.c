/* pack.c: weights into panels (pack.h), and the memory they lie in.
 *
 * Reading a model is reading its packed weights over and over, so they lie in huge pages where the
 * system gives them: with 4 KiB pages the same reads take about twice the time. A device therefore
 * takes memory in chunks and hands out parts of them; a chunk goes back when its last part does. */
#include "kernels/cpu/pack.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/int8.h"

const struct planes planes[FORMAT_COUNT] = {
    [FORMAT_Q8_0] = {8, 0, 0},  [FORMAT_Q4_0] = {4, 0, 8},    [FORMAT_Q4_1] = {4, 0, 0},
    [FORMAT_Q5_0] = {4, 1, 16}, [FORMAT_Q5_1] = {4, 1, 0},    [FORMAT_Q2_K] = {2, 0, 0},
    [FORMAT_Q3_K] = {2, 1, 4},  [FORMAT_Q4_K] = {4, 0, 0},    [FORMAT_Q5_K] = {4, 1, 0},
    [FORMAT_Q6_K] = {4, 2, 32}, [FORMAT_INT8] = {8, 0, 0},    [FORMAT_INT4] = {4, 0, 0},
    [FORMAT_INT3] = {2, 1, 0},  [FORMAT_INT2] = {2, 0, 0},    [FORMAT_FP8] = {8, 0, 0},
    [FORMAT_FP4] = {4, 0, 0},   [FORMAT_TERNARY] = {2, 0, 0},
};

/* ---- Shapes ---- */

static struct panel_shape shape_of_floats(const struct weight *w)
{
    struct panel_shape s = {.run = 1, .head_runs = 1, .K = (size_t)w->cols};
    s.codes = (size_t)format_info[w->format].block_bytes;
    if (w->format == FORMAT_BF16) {
        s.run = 2;
        s.codes = 4;
    }
    return s;
}

static struct panel_shape shape_of_blocks(const struct weight *w)
{
    const struct block_format *b = &block_format[w->format];
    bool super = format_info[w->format].block == BLOCK_VALUES;
    size_t m = b->offset == OFFSET_NONE ? 0 : 2;
    return (struct panel_shape){.run = RUN,
                                .head_runs = super ? BLOCK_VALUES / RUN : 1,
                                .head = super ? 2 + m : 0,
                                .scales = super ? 2 : 2 + m,
                                .K = (size_t)w->cols,
                                .halves = b->group == 16};
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static struct panel_shape shape_of_codes(const struct weight *w)
{
    size_t cols = (size_t)w->cols, group = min_size((size_t)w->group, cols);
    struct panel_shape s = {.run = RUN, .group = group};
    s.zeros = w->zeros || w->format == FORMAT_INT2 || w->format == FORMAT_INT3;
    s.halves = group <= RUN / 2 && group < cols;
    s.padded = round_up(group, s.halves ? RUN / 2 : RUN);
    size_t groups = (cols + group - 1) / group, last = cols - (groups - 1) * group;
    s.K = round_up((groups - 1) * s.padded + last, RUN);
    s.head_runs = s.halves ? 1 : s.padded / RUN;
    s.head = format_row_bytes(w->scale_format, 1) + s.zeros;
    s.head *= s.halves ? 2 : 1;
    return s;
}

struct panel_shape panel_shape_of(const struct weight *w, int W)
{
    struct panel_shape s = block_format[w->format].take_apart ? shape_of_blocks(w)
                           : format_info[w->format].codes     ? shape_of_codes(w)
                                                              : shape_of_floats(w);
    if (s.run == RUN)
        s.codes = 4 * (size_t)(planes[w->format].low + planes[w->format].high);
    s.moves = format_info[w->format].codes && (w->perm || s.K != (size_t)w->cols);
    size_t last = round_up(s.K, s.run);
    s.bytes = panel_offset(&s, last, (size_t)W);
    return s;
}

/* ---- x ---- */

void panel_row(const struct weight *w, const struct panel_shape *s, const float *x, float *ret)
{
    size_t cols = (size_t)w->cols;
    for (size_t k = 0, c = 0; k < s->K;) {
        size_t n = min_size(s->group, cols - c), end = min_size(k + s->padded, s->K);
        if (w->perm)
            for (size_t i = 0; i < n; i++)
                ret[k + i] = x[w->perm[c + i]];
        else
            memcpy(ret + k, x + c, n * sizeof *x);
        memset(ret + k + n, 0, (end - k - n) * sizeof *ret);
        k = end;
        c += n;
    }
}

struct moving {
    const struct weight *w;
    const struct panel_shape *s;
    const float *x;
    float *to;
};

static void move_row(void *arg, size_t t, int thread)
{
    (void)thread;
    const struct moving *m = arg;
    panel_row(m->w, m->s, m->x + t * (size_t)m->w->cols, m->to + t * m->s->K);
}

void panel_rows(struct device *dev, const struct weight *w, const struct panel_shape *s,
                const float *x, int T, float *ret)
{
    struct moving m = {w, s, x, ret};
    share(dev, (size_t)T * s->K < SERIAL_FLOATS, (size_t)T, move_row, &m);
}

static void quantize_row(void *arg, size_t t, int thread)
{
    (void)thread;
    const struct moving *m = arg;
    size_t K = (size_t)m->w->cols;
    quantized_token(m->w, m->x + t * K, m->to + t * K);
}

void quantize_rows(struct device *dev, const struct weight *w, const float *x, int T, float *ret)
{
    struct moving m = {.w = w, .x = x, .to = ret};
    share(dev, (size_t)T * (size_t)w->cols < SERIAL_FLOATS, (size_t)T, quantize_row, &m);
}

/* ---- Panels ---- */

struct packing {
    const struct weight *w;
    struct panel_shape s;
    uint8_t *to;
    size_t W;
    bool int8; /* codes in the order of int8.h */
    /* Writes the panel of W columns, of which the weight has the first n; the rest are zeros. */
    void (*panel)(const struct packing *p, size_t panel, size_t n);
};

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
    uint8_t *to = p->to + panel * p->s.bytes;
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

/* A run's codes, of which `bits` are to go into a plane of column c, those from bit `from` on. */
static void put_plane(uint8_t *to, size_t W, size_t c, const uint8_t *q, int bits, int from)
{
    for (size_t i = 0, b = (size_t)bits; i < b; i++) {
        uint32_t word = 0;
        for (size_t k = i; k < RUN; k += b)
            word |= (q[k] >> from & ((1u << bits) - 1)) << k / b * b;
        memcpy(to + (i * W + c) * 4, &word, sizeof word);
    }
}

static void put_codes(const struct packing *p, uint8_t *to, size_t c, const uint8_t *q)
{
    const struct planes *b = &planes[p->w->format];
    if (p->int8) {
        int8_put_codes(to, p->W, c, q, b->low);
    } else if (b->low == 8) {
        for (size_t k = 0; k < RUN; k++)
            to[k * p->W + c] = q[k];
    } else {
        put_plane(to, p->W, c, q, b->low, 0);
        if (b->high)
            put_plane(to + 4 * p->W * (size_t)b->low, p->W, c, q, b->high, b->low);
    }
}

/* One block of the file: `to` is where its head begins in the panel. */
static void pack_block(const struct packing *p, uint8_t *to, size_t c, const struct block_parts *b)
{
    enum block_offset offset = block_format[p->w->format].offset;
    size_t W = p->W, runs = (size_t)format_info[p->w->format].block / RUN;
    if (p->s.head > 0)
        put_u16(to + 2 * c, b->d);
    if (p->s.head > 2)
        put_u16(to + 2 * (W + c), b->m);
    to += W * p->s.head;
    for (size_t run = 0; run < runs; run++, to += W * (p->s.scales + p->s.codes)) {
        uint8_t q[RUN];
        if (p->s.head == 0) {
            put_u16(to + 2 * c, b->d);
            if (p->s.scales > 2)
                put_u16(to + 2 * (W + c), b->m);
        } else if (p->s.halves) {
            for (size_t half = 0; half < 2; half++)
                to[half * W + c] = (uint8_t)(b->s[2 * run + half] | b->o[2 * run + half] << 4);
        } else {
            to[c] = (uint8_t)b->s[run];
            to[W + c] = offset == OFFSET_NONE ? 0 : b->o[run];
        }
        for (size_t k = 0; k < RUN; k++)
            q[k] = (uint8_t)(b->q[RUN * run + k] + planes[p->w->format].more);
        put_codes(p, to + W * p->s.scales, c, q);
    }
}

static void pack_blocks(const struct packing *p, size_t panel, size_t columns)
{
    enum format f = p->w->format;
    const struct format_info *info = &format_info[f];
    size_t row = format_row_bytes(f, p->w->cols), block = (size_t)info->block;
    uint8_t *to = p->to + panel * p->s.bytes;
    for (size_t k = 0; k < p->s.K; k += block)
        for (size_t c = 0; c < columns; c++) {
            struct block_parts parts = {0};
            block_format[f].take_apart((const uint8_t *)p->w->data + (panel * p->W + c) * row +
                                           k / block * (size_t)info->block_bytes,
                                       &parts);
            pack_block(p, to + panel_offset(&p->s, k, p->W), c, &parts);
        }
}

/* The codes of k .. k+n-1 of the panels, which lie in one group; returns the group, which may lie
 * behind the last. */
static size_t take_codes(const struct packing *p, int64_t row, size_t k, size_t n, uint8_t *ret)
{
    size_t cols = (size_t)p->w->cols, group = k / p->s.padded, in = k % p->s.padded;
    size_t first = group * p->s.group + in, end = min_size((group + 1) * p->s.group, cols);
    size_t there = first < end ? min_size(end - first, n) : 0;
    bool behind = group >= (size_t)codes_groups(p->w);
    if (there > 0)
        codes_get(p->w, row, (int64_t)first, (int64_t)there, ret);
    memset(ret + there, behind ? 0 : codes_zero(p->w, row, (int64_t)group), n - there);
    return group;
}

/* The head of column c of a group, `half` of two that share it. */
static void put_head(const struct packing *p, uint8_t *head, size_t c, int64_t row, size_t group,
                     size_t half)
{
    const struct weight *w = p->w;
    size_t size = format_row_bytes(w->scale_format, 1), n = p->s.halves ? 2 : 1;
    size_t groups = (size_t)codes_groups(w);
    bool behind = group >= groups;
    size_t at = behind ? 0 : (size_t)(row / w->group_rows) * groups + group;
    memcpy(head + (half * p->W + c) * size, (const uint8_t *)w->scales + at * size, size);
    if (p->s.zeros)
        head[n * p->W * size + half * p->W + c] = behind ? 0 : codes_zero(w, row, (int64_t)group);
}

static void pack_codes(const struct packing *p, size_t panel, size_t columns)
{
    size_t parts = p->s.halves ? 2 : 1, n = RUN / parts;
    uint8_t *to = p->to + panel * p->s.bytes;
    for (size_t k = 0; k < p->s.K; k += RUN) {
        bool first = k / RUN % p->s.head_runs == 0;
        uint8_t *head = to + panel_offset(&p->s, k, p->W);
        uint8_t *codes = first ? head + p->W * p->s.head : head;
        for (size_t c = 0; c < columns; c++) {
            uint8_t q[RUN];
            int64_t row = (int64_t)(panel * p->W + c);
            for (size_t part = 0; part < parts; part++) {
                size_t group = take_codes(p, row, k + part * n, n, q + part * n);
                if (first)
                    put_head(p, head, c, row, group, part);
            }
            put_codes(p, codes, c, q);
        }
    }
}

static void fill_panel(void *arg, size_t panel, int thread)
{
    (void)thread;
    const struct packing *p = arg;
    size_t left = (size_t)p->w->rows - panel * p->W, columns = left < p->W ? left : p->W;
    bool odd = p->w->format == FORMAT_BF16 && p->w->cols % 2;
    if (columns < p->W || odd)
        memset(p->to + panel * p->s.bytes, 0, p->s.bytes);
    p->panel(p, panel, columns);
}

int panels_pack(struct device *dev, struct weight *w, struct error *err)
{
    w->packed = NULL;
    if (dev->panel == 0)
        return 0;
    struct packing p = {.w = w,
                        .s = panel_shape_of(w, dev->panel),
                        .W = (size_t)dev->panel,
                        .int8 = int8_exact(w),
                        .panel = block_format[w->format].take_apart ? pack_blocks
                                 : format_info[w->format].codes     ? pack_codes
                                                                    : pack_floats};
    size_t n = ((size_t)w->rows + p.W - 1) / p.W;
    p.to = p.s.bytes <= SIZE_MAX / n ? memory_take(dev, n * p.s.bytes) : NULL;
    if (!p.to)
        return error_set(err, E_MEMORY,
                         "out of memory: a %s weight of %lld rows and %lld columns needs %zu MiB",
                         format_info[w->format].name, (long long)w->rows, (long long)w->cols,
                         (n * p.s.bytes) >> 20);
    pool_run(dev->pool, n, fill_panel, &p);
    w->packed = p.to;
    return 0;
}
