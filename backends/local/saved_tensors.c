#include "backends/local/saved_tensors.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- a module ---- */

struct module {
    struct arena *a;
    const char *name;
    const struct weight *w;
    struct saved_tensors *ret;
};

static const char *type_of(enum format f)
{
    return f == FORMAT_F32    ? "F32"
           : f == FORMAT_F16  ? "F16"
           : f == FORMAT_BF16 ? "BF16"
           : f == FORMAT_FP8  ? "F8_E4M3"
                              : "I8";
}

static void add(const struct module *m, const char *what, const char *type, int n_dims,
                int64_t rows, int64_t cols, size_t bytes, const void *data)
{
    *ARRAY_PUSH(m->ret) = (struct saved_tensor){.name = arena_printf(m->a, "%s.%s", m->name, what),
                                                .type = type,
                                                .n_dims = n_dims,
                                                .shape = {rows, cols},
                                                .bytes = bytes,
                                                .data = data};
}

static int64_t groups_of(const struct weight *w)
{
    return (w->cols + w->group - 1) / w->group;
}

static int64_t part(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

static void add_scales(const struct module *m)
{
    const struct weight *w = m->w;
    int64_t rows = part(w->rows, w->group_rows), groups = groups_of(w);
    add(m, "weight_scale", type_of(w->scale_format), 2, rows, groups,
        (size_t)(rows * groups) * format_row_bytes(w->scale_format, 1), w->scales);
}

static void add_codes(const struct module *m)
{
    const struct weight *w = m->w;
    add(m, "weight", type_of(w->format), 2, w->rows, w->cols, (size_t)w->rows * (size_t)w->cols,
        w->data);
}

static void add_input_scale(const struct module *m)
{
    if (!(m->w->x.scale > 0))
        return;
    struct saved_tensors one = {0};
    saved_vector(m->a, arena_printf(m->a, "%s.input_scale", m->name), FORMAT_F32, &m->w->x.scale, 1,
                 &one);
    *ARRAY_PUSH(m->ret) = one.items[0];
    free(one.items);
}

/* A code around 2^(bits - 1), whatever its own form. */
static unsigned offset_code(const struct weight *w, unsigned code)
{
    return w->format == FORMAT_INT8 ? code ^ 0x80 : code;
}

static unsigned code_at(const struct weight *w, int64_t row, int64_t col)
{
    const uint8_t *p =
        (const uint8_t *)w->data + (size_t)row * format_row_bytes(w->format, w->cols);
    unsigned byte = p[w->format == FORMAT_INT8 ? col : col / 2];
    return w->format == FORMAT_INT8 ? byte : byte >> col % 2 * 4 & 15;
}

/* Columns as they lie in the model: column c of the data stands for perm[c]. */
static void add_packed(const struct module *m, int bits)
{
    const struct weight *w = m->w;
    int64_t words = part(w->cols * bits, 32);
    uint32_t *packed = arena_array(m->a, (size_t)(w->rows * words), sizeof *packed);
    for (int64_t row = 0; row < w->rows; row++)
        for (int64_t c = 0; c < w->cols; c++) {
            int64_t at = (w->perm ? w->perm[c] : c) * bits;
            packed[row * words + at / 32] |= offset_code(w, code_at(w, row, c)) << at % 32;
        }
    add(m, "weight_packed", "I32", 2, w->rows, words, (size_t)(w->rows * words) * sizeof *packed,
        packed);
    int64_t *shape = arena_array(m->a, 2, sizeof *shape);
    shape[0] = w->rows;
    shape[1] = w->cols;
    add(m, "weight_shape", "I64", 1, 2, 0, 2 * sizeof *shape, shape);
}

static void add_zeros(const struct module *m, int bits)
{
    const struct weight *w = m->w;
    int64_t words = part(w->rows * bits, 32), groups = groups_of(w);
    uint32_t *packed = arena_array(m->a, (size_t)(words * groups), sizeof *packed);
    for (int64_t row = 0; row < w->rows; row++)
        for (int64_t g = 0; g < groups; g++)
            packed[row * bits / 32 * groups + g] |= offset_code(w, w->zeros[row * groups + g])
                                                    << row * bits % 32;
    add(m, "weight_zero_point", "I32", 2, words, groups, (size_t)(words * groups) * sizeof *packed,
        packed);
}

static void add_g_idx(const struct module *m)
{
    const struct weight *w = m->w;
    int32_t *index = arena_array(m->a, (size_t)w->cols, sizeof *index);
    for (int64_t c = 0; c < w->cols; c++)
        index[w->perm[c]] = (int32_t)(c / w->group);
    add(m, "weight_g_idx", "I32", 1, w->cols, 0, (size_t)w->cols * sizeof *index, index);
}

/* The number whose inverse is the scale, to the bit. */
static float inverse_of(float scale)
{
    float x = 1 / scale, near[] = {x, nextafterf(x, INFINITY), nextafterf(x, 0)};
    for (int i = 0; i < 3; i++)
        if (1 / near[i] == scale)
            return near[i];
    return x;
}

void saved_module(struct arena *a, const struct scheme *s, const char *module,
                  const struct weight *w, struct saved_tensors *ret)
{
    struct module m = {a, module, w, ret};
    int bits = w->format == FORMAT_INT8 ? 8 : 4;
    if (strcmp(s->container, "pack-quantized") == 0) {
        add_packed(&m, bits);
        if (w->zeros)
            add_zeros(&m, bits);
        if (w->perm)
            add_g_idx(&m);
    } else if (w->format == FORMAT_FP4) {
        float inverse = inverse_of(w->scale);
        add(&m, "weight_packed", "U8", 2, w->rows, w->cols / 2, (size_t)(w->rows * w->cols / 2),
            w->data);
        add(&m, "weight_global_scale", "F32", 1, 1, 0, sizeof inverse,
            arena_copy(a, &inverse, sizeof inverse));
    } else {
        add_codes(&m);
        add_input_scale(&m);
    }
    add_scales(&m);
}

void saved_vector(struct arena *a, const char *name, enum format format, const float *x, int n,
                  struct saved_tensors *ret)
{
    size_t bytes = format_row_bytes(format, n);
    void *data = arena_alloc(a, bytes);
    format_from_f32(format, x, n, data, NULL);
    *ARRAY_PUSH(ret) = (struct saved_tensor){.name = arena_copy(a, name, strlen(name)),
                                             .type = type_of(format),
                                             .n_dims = 1,
                                             .shape = {n},
                                             .bytes = bytes,
                                             .data = data};
}

/* ---- the file ---- */

/* {"NAME": {"dtype": .., "shape": [..], "data_offsets": [..]}, ..}, filled up to eights. */
static void put_header(struct buf *b, const struct saved_tensors *t)
{
    uint64_t at = 0;
    buf_puts(b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < t->n; i++) {
        const struct saved_tensor *s = &t->items[i];
        buf_printf(b, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", s->name, s->type);
        for (int d = 0; d < s->n_dims; d++)
            buf_printf(b, "%s%" PRId64, d ? "," : "", s->shape[d]);
        buf_printf(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + s->bytes);
        at += s->bytes;
    }
    buf_char(b, '}');
    while (b->n % 8)
        buf_char(b, ' ');
}

/* In this order nothing lies at an odd address: the widest numbers first, then by name. */
static int by_width(const void *a, const void *b)
{
    static const char *const widths[] = {"I64", "I32", "F32", "F16", "BF16"};
    const struct saved_tensor *x = a, *y = b;
    int wx = 0, wy = 0;
    for (int n = sizeof widths / sizeof *widths; wx < n && strcmp(widths[wx], x->type); wx++)
        ;
    for (int n = sizeof widths / sizeof *widths; wy < n && strcmp(widths[wy], y->type); wy++)
        ;
    return wx != wy ? wx - wy : strcmp(x->name, y->name);
}

int saved_write(const char *path, const struct saved_tensors *t,
                void (*told)(void *arg, double share), void *arg, struct error *err)
{
    qsort(t->items, t->n, sizeof *t->items, by_width);
    struct buf header = {0};
    put_header(&header, t);
    FILE *f = fopen(path, "wb");
    uint64_t n = header.n;
    unsigned char size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)(n >> 8 * i);
    bool fine = f && fwrite(size, 1, 8, f) == 8 && fwrite(header.p, 1, header.n, f) == header.n;
    for (size_t i = 0; i < t->n && fine; i++) {
        fine = fwrite(t->items[i].data, 1, t->items[i].bytes, f) == t->items[i].bytes;
        if (told)
            told(arg, (double)(i + 1) / (double)t->n);
    }
    int why = errno;
    if (f && fclose(f) != 0 && fine) {
        why = errno;
        fine = false;
    }
    buf_free(&header);
    return fine ? 0
                : error_set(err, E_IO, "cannot write \"%s\": %s; is there room on the disk?", path,
                            strerror(why));
}
