#include "backends/local/stored.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "backends/local/unpack.h"

struct reading {
    const struct matrix_source *s;
    const char *module;
    const struct stored *how;
    int64_t rows, cols;
    int64_t groups; /* of a row */
    struct weight *w;
    struct error *err;
};

/* ---- tensors of the module ---- */

static const char *part_name(const struct reading *r, const char *part)
{
    return arena_printf(r->s->arena, "%s.%s", r->module, part);
}

static const struct tensor *find_part(const struct reading *r, const char *part)
{
    return checkpoint_tensor(r->s->c, part_name(r, part));
}

static void describe(struct buf *b, const struct stored *how)
{
    buf_printf(b, "%s", how->name);
    if (how->storage == STORAGE_BITNET)
        return;
    buf_printf(b, " with %d bits", how->bits);
    if (how->group_rows > 1)
        buf_printf(b, " in blocks of %d x %d", how->group_rows, how->group);
    else if (how->group)
        buf_printf(b, " in groups of %d", how->group);
}

/* Both that disagree: what the configuration says, and what the file has. `has` NULL: nothing. */
static int contradicts(const struct reading *r, const char *part, const char *wants,
                       const struct tensor *has)
{
    struct buf how = {0}, what = {0};
    describe(&how, r->how);
    const struct tensor *plain = find_part(r, "weight");
    if (has) {
        buf_printf(&what, "it is %s of ", has->type_name);
        put_shape(&what, has->shape, has->n_dims);
    } else {
        buf_puts(&what, "the file has none");
    }
    if (!has && plain)
        buf_printf(&what, ", and has \"weight\" as %s", plain->type_name);
    int e = error_set(r->err, E_INPUT,
                      "cannot run the model \"%s\": %s says that module \"%s\" is stored as %s, "
                      "so that its tensor \"%s\" is %s, but %s",
                      r->s->c->path, r->s->config->where, r->module, how.p, part, wants, what.p);
    buf_free(&how);
    buf_free(&what);
    return e;
}

/* `types` lists the file's names of formats, as "F32 F16". */
static bool has_type(const struct tensor *t, const char *types)
{
    size_t n = strlen(t->type_name);
    for (const char *p = strstr(types, t->type_name); p; p = strstr(p + 1, t->type_name))
        if ((p == types || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

/* A size that may be anything is given as -1. A trailing 1 may be left out. */
static bool has_shape(const struct tensor *t, int64_t d0, int64_t d1)
{
    if (t->n_dims == 2)
        return (d0 < 0 || t->shape[0] == d0) && (d1 < 0 || t->shape[1] == d1);
    if (t->n_dims == 1)
        return d1 == 1 && t->shape[0] == d0;
    return t->n_dims == 0 && d0 == 1 && d1 == 1;
}

static int need_part(const struct reading *r, const char *part, const char *types, int64_t d0,
                     int64_t d1, const struct tensor **ret)
{
    const struct tensor *t = find_part(r, part);
    if (t && has_type(t, types) && has_shape(t, d0, d1) && t->data) {
        *ret = t;
        return 0;
    }
    struct buf wants = {0};
    const int64_t shape[] = {d0, d1};
    for (const char *p = types; *p; p++)
        buf_puts(&wants, *p == ' ' ? " or " : (char[]){*p, '\0'});
    if (d0 >= 0 && d1 >= 0) {
        buf_puts(&wants, " of ");
        put_shape(&wants, shape, 2);
    }
    int e = contradicts(r, part, wants.p, t);
    buf_free(&wants);
    return e;
}

static int no_memory(const struct reading *r)
{
    return error_set(r->err, E_MEMORY, "out of memory: the model \"%s\" does not fit",
                     r->s->c->path);
}

static int bad_part(const struct reading *r, const struct tensor *t, const char *what)
{
    return error_set(r->err, E_INPUT, "cannot run the model \"%s\": tensor \"%.*s\" %s",
                     r->s->c->path, STR_ARG(t->name), what);
}

/* ---- scales ---- */

static enum format scale_format(const struct tensor *t)
{
    return strcmp(t->type_name, "F8_E4M3") == 0 ? FORMAT_FP8 : t->format;
}

static size_t scale_bytes(enum format f)
{
    return f == FORMAT_F32 ? 4 : f == FORMAT_FP8 ? 1 : 2;
}

static void scales_to_f32(enum format f, const void *data, int64_t n, float *ret)
{
    static const float one = 1;
    struct weight w = {.format = f,
                       .rows = 1,
                       .cols = n,
                       .data = data,
                       .scales = &one,
                       .scale_format = FORMAT_F32,
                       .scale = 1,
                       .group = (int)n,
                       .group_rows = 1};
    weight_row_to_f32(&w, 0, ret);
}

/* Every scale is a number above 0. */
static int check_scales(const struct reading *r, const struct tensor *t, enum format f,
                        const void *data, int64_t n)
{
    enum { PART = 1024 };
    float x[PART];
    for (int64_t i = 0; i < n; i += PART) {
        int64_t m = n - i < PART ? n - i : PART;
        scales_to_f32(f, (const char *)data + (size_t)i * scale_bytes(f), m, x);
        for (int64_t k = 0; k < m; k++)
            if (!(x[k] > 0) || !isfinite(x[k]))
                return error_set(r->err, E_INPUT,
                                 "cannot run the model \"%s\": tensor \"%.*s\" has the scale %g "
                                 "(number %" PRId64 "); a scale is a number above 0",
                                 r->s->c->path, STR_ARG(t->name), (double)x[k], i + k);
    }
    return 0;
}

/* A power of two as one byte, 127 being 1: exact in BF16. */
static int read_exponents(const struct reading *r, const struct tensor *t, int64_t n)
{
    const unsigned char *from = t->data;
    uint16_t *to = owned_new(r->s->owned, (size_t)n, sizeof *to);
    if (!to)
        return no_memory(r);
    for (int64_t i = 0; i < n; i++) {
        if (from[i] == 255)
            return bad_part(r, t, "has a scale that is no number (exponent 255)");
        to[i] = (uint16_t)(from[i] ? from[i] << 7 : 0x40); /* 2^-127 is subnormal */
    }
    r->w->scales = to;
    r->w->scale_format = FORMAT_BF16;
    return 0;
}

/* Scales [rows, cols] out of the first columns of a tensor of `width`, or of one that lies
 * transposed [cols, rows]; in the file where they can be read there. */
static int read_scales(const struct reading *r, const struct tensor *t, int64_t rows, int64_t cols,
                       int64_t width, bool transposed)
{
    enum format f = scale_format(t);
    if (f == FORMAT_COUNT)
        return read_exponents(r, t, rows * cols);
    size_t size = scale_bytes(f);
    r->w->scale_format = f;
    r->w->scales = t->data;
    if (transposed || width != cols || (uintptr_t)t->data % size) {
        char *to = owned_new(r->s->owned, (size_t)rows * (size_t)cols, size);
        if (!to)
            return no_memory(r);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < cols; k++)
                memcpy(to + (size_t)(i * cols + k) * size,
                       (const char *)t->data +
                           (size_t)(transposed ? k * rows + i : i * width + k) * size,
                       size);
        r->w->scales = to;
    }
    return check_scales(r, t, f, r->w->scales, rows * cols);
}

#define SCALE_TYPES "F32 BF16 F16"

/* A tensor of one number above 0. */
static int read_one(const struct reading *r, const char *part, float *ret)
{
    const struct tensor *t;
    int e = need_part(r, part, SCALE_TYPES, 1, 1, &t);
    if (e < 0)
        return e;
    scales_to_f32(t->format, t->data, 1, ret);
    return check_scales(r, t, t->format, t->data, 1);
}

static int read_activation(const struct reading *r)
{
    const struct stored *how = r->how;
    r->w->x.kind = how->x.kind;
    r->w->x.group = how->x.group;
    r->w->x.reach = how->x.reach;
    r->w->x.scale = 0;
    if (!how->x.is_static)
        return 0;
    if (how->x.kind == X_FP4) {
        int e = read_one(r, "input_global_scale", &r->w->x.scale);
        r->w->x.scale = 1 / r->w->x.scale;
        return e;
    }
    return read_one(r, find_part(r, "activation_scale") ? "activation_scale" : "input_scale",
                    &r->w->x.scale);
}

/* ---- zero points ---- */

/* Of bits that INT8 takes signed. */
static uint8_t to_signed(const struct stored *how)
{
    return (uint8_t)(how->bits > 4 ? 256 - (1 << (how->bits - 1)) : 0);
}

/* Zero points out of packed codes: a row of `p` is a row's groups, or with by_group a group's rows.
 * One less is stored with minus_one. None are kept where all are what the format has anyway. */
static int read_zeros(const struct reading *r, const struct packed_codes *p, bool by_group)
{
    const struct stored *how = r->how;
    uint8_t mask = (uint8_t)((1 << how->bits) - 1), usual = (uint8_t)(1 << (how->bits - 1));
    uint8_t *zeros = owned_new(r->s->owned, (size_t)r->rows, (size_t)r->groups);
    if (!zeros)
        return no_memory(r);
    uint8_t *line = mem_alloc((size_t)p->cols, 1);
    bool all_usual = true;
    for (int64_t i = 0; i < p->rows; i++) {
        unpack_row(p, i, line);
        for (int64_t k = 0; k < p->cols; k++) {
            uint8_t z = (uint8_t)(line[k] + how->minus_one) & mask;
            all_usual &= z == usual;
            zeros[by_group ? k * r->groups + i : i * r->groups + k] = (uint8_t)(z + to_signed(how));
        }
    }
    free(line);
    if (all_usual)
        owned_drop(r->s->owned, zeros);
    else
        r->w->zeros = zeros;
    return 0;
}

/* ---- the order of columns ---- */

static int bad_order(const struct reading *r, const struct tensor *t, int64_t group, int64_t n)
{
    return error_set(r->err, E_INPUT,
                     "cannot run the model \"%s\": tensor \"%.*s\" puts %" PRId64
                     " columns into group %" PRId64 ", where groups of %d have as many",
                     r->s->c->path, STR_ARG(t->name), n, group, r->w->group);
}

/* Columns sorted by group, those of a group in order: perm. Every group but the last is full. */
static int sort_columns(const struct reading *r, const struct tensor *t, const int32_t *group_of)
{
    int64_t *next = mem_alloc((size_t)r->groups + 1, sizeof *next);
    int e = 0;
    for (int64_t c = 0; c < r->cols && e == 0; c++) {
        if (group_of[c] < 0 || group_of[c] >= r->groups)
            e = error_set(r->err, E_INPUT,
                          "cannot run the model \"%s\": tensor \"%.*s\" has the group %" PRId32
                          " (column %" PRId64 ") of 0 to %" PRId64,
                          r->s->c->path, STR_ARG(t->name), group_of[c], c, r->groups - 1);
        else
            next[group_of[c] + 1]++;
    }
    for (int64_t g = 0; g < r->groups && e == 0; g++) {
        int64_t first = g * r->w->group, left = r->cols - first;
        if (next[g + 1] != (left < r->w->group ? left : r->w->group))
            e = bad_order(r, t, g, next[g + 1]);
        next[g + 1] = first + r->w->group;
    }
    int32_t *perm = e == 0 ? owned_new(r->s->owned, (size_t)r->cols, sizeof *perm) : NULL;
    if (e == 0 && !perm)
        e = no_memory(r);
    bool in_order = true;
    for (int64_t c = 0; c < r->cols && e == 0; c++) {
        int64_t to = next[group_of[c]]++;
        perm[to] = (int32_t)c;
        in_order &= to == c;
    }
    free(next);
    if (e == 0 && in_order)
        owned_drop(r->s->owned, perm);
    else if (e == 0)
        r->w->perm = perm;
    return e;
}

/* g_idx, where there is one: compressed-tensors leaves -1 in one that it does not use. */
static int read_order(const struct reading *r, const char *part)
{
    const struct tensor *t = find_part(r, part);
    if (!t)
        return 0;
    int e = need_part(r, part, "I32", r->cols, 1, &t);
    if (e < 0)
        return e;
    int32_t *group_of = mem_alloc((size_t)r->cols, sizeof *group_of);
    memcpy(group_of, t->data, (size_t)r->cols * sizeof *group_of);
    bool unused = true;
    for (int64_t c = 0; c < r->cols && unused; c++)
        unused = group_of[c] == -1;
    e = unused ? 0 : sort_columns(r, t, group_of);
    free(group_of);
    return e;
}

/* ---- codes ---- */

static enum format format_of_bits(int bits)
{
    return bits == 2   ? FORMAT_INT2
           : bits == 3 ? FORMAT_INT3
           : bits == 4 ? FORMAT_INT4
                       : FORMAT_INT8;
}

/* In place where the rows are what the kernels read; else put into rows of our own, and the file's
 * pages forgotten. */
static int read_packed_codes(const struct reading *r, const struct tensor *t,
                             struct packed_codes *p, enum format format)
{
    struct weight *w = r->w;
    size_t row = format_row_bytes(format, r->cols);
    w->format = format;
    p->perm = w->perm;
    if (p->how == PACKED_ROWS && !p->perm && !p->add && (size_t)p->stride * 4 == row) {
        w->data = t->data;
        return 0;
    }
    void *to = owned_new(r->s->owned, (size_t)r->rows, row);
    if (!to)
        return no_memory(r);
    bool good = unpack(p, format, to, r->s->pool);
    forget_pages(t->data, t->bytes);
    w->data = to;
    return good ? 0 : bad_part(r, t, "has a code that stands for nothing");
}

static int64_t words(int64_t n, int bits)
{
    return (n * bits + 31) / 32;
}

static int need_multiple(const struct reading *r, int64_t n, int of, const char *what)
{
    if (n % of == 0)
        return 0;
    return error_set(r->err, E_INPUT,
                     "cannot run the model \"%s\": %s says that module \"%s\" is stored as %s, "
                     "which packs %d %s together, but it has %" PRId64,
                     r->s->c->path, r->s->config->where, r->module, r->how->name, of, what, n);
}

/* ---- one function a storage ---- */

static int read_codes(const struct reading *r)
{
    const struct tensor *t, *s, *z;
    const char *scale = find_part(r, "weight_scale_inv") ? "weight_scale_inv" : "weight_scale";
    bool whole = r->how->group_rows == 0;
    int64_t rows = whole ? 1 : (r->rows + r->w->group_rows - 1) / r->w->group_rows,
            cols = whole ? 1 : r->groups;
    int e = need_part(r, "weight", r->how->is_float ? "F8_E4M3" : "I8", r->rows, r->cols, &t);
    if (e < 0 || (e = need_part(r, scale, SCALE_TYPES " F8_E8M0", rows, cols, &s)) < 0)
        return e;
    r->w->format = r->how->is_float ? FORMAT_FP8 : FORMAT_INT8;
    r->w->data = t->data;
    e = read_scales(r, s, rows, cols, cols, false);
    if (e < 0 || r->how->symmetric)
        return e;
    if ((e = need_part(r, "weight_zero_point", "I8", rows, cols, &z)) < 0)
        return e;
    r->w->zeros = z->data;
    if (!whole)
        return 0;
    uint8_t *zeros = owned_new(r->s->owned, (size_t)r->rows, 1);
    if (!zeros)
        return no_memory(r);
    r->w->zeros = memset(zeros, *(const uint8_t *)z->data, (size_t)r->rows);
    return 0;
}

static int check_shape_tensor(const struct reading *r)
{
    const struct tensor *t = find_part(r, "weight_shape");
    int64_t shape[2];
    int32_t small[2];
    if (!t)
        return 0;
    int e = need_part(r, "weight_shape", "I64 I32", 2, 1, &t);
    if (e < 0)
        return e;
    memcpy(shape, t->data, t->bytes == sizeof shape ? sizeof shape : sizeof small);
    if (t->bytes != sizeof shape) {
        memcpy(small, t->data, sizeof small);
        shape[0] = small[0];
        shape[1] = small[1];
    }
    if (shape[0] == r->rows && shape[1] == r->cols)
        return 0;
    return error_set(r->err, E_INPUT,
                     "cannot run the model \"%s\": tensor \"%.*s\" says [%" PRId64 ", %" PRId64
                     "], the model's settings ask for [%" PRId64 ", %" PRId64 "]",
                     r->s->c->path, STR_ARG(t->name), shape[0], shape[1], r->rows, r->cols);
}

static int read_packed(const struct reading *r)
{
    const struct tensor *t, *s, *z;
    int bits = r->how->bits;
    bool whole = r->how->group_rows == 0;
    int64_t rows = whole ? 1 : r->rows;
    struct packed_codes p = {.how = PACKED_ROWS,
                             .bits = bits,
                             .rows = r->rows,
                             .cols = r->cols,
                             .stride = words(r->cols, bits),
                             .add = to_signed(r->how),
                             .most = 255};
    int e;
    if ((e = need_part(r, "weight_packed", "I32", r->rows, p.stride, &t)) < 0 ||
        (e = check_shape_tensor(r)) < 0 ||
        (e = need_part(r, "weight_scale", SCALE_TYPES, rows, r->groups, &s)) < 0 ||
        (e = read_scales(r, s, rows, r->groups, r->groups, false)) < 0 ||
        (e = read_order(r, "weight_g_idx")) < 0)
        return e;
    p.data = t->data;
    if ((e = read_packed_codes(r, t, &p, format_of_bits(bits))) < 0 || r->how->symmetric || whole)
        return e;
    if ((e = need_part(r, "weight_zero_point", "I32", words(r->rows, bits), r->groups, &z)) < 0)
        return e;
    struct packed_codes zeros = {.how = PACKED_COLUMNS,
                                 .data = z->data,
                                 .bits = bits,
                                 .rows = r->groups,
                                 .cols = r->rows,
                                 .stride = r->groups};
    return read_zeros(r, &zeros, true);
}

static int read_fp4(const struct reading *r)
{
    const struct tensor *t, *s;
    bool is_mx = strncmp(r->how->name, "mx", 2) == 0;
    int e;
    if ((e = need_multiple(r, r->cols, 2, "columns")) < 0 ||
        (e = need_part(r, "weight_packed", "U8", r->rows, r->cols / 2, &t)) < 0 ||
        (e = need_part(r, "weight_scale", is_mx ? "U8 F8_E8M0" : "F8_E4M3", r->rows, r->groups,
                       &s)) < 0 ||
        (e = read_scales(r, s, r->rows, r->groups, r->groups, false)) < 0)
        return e;
    r->w->format = FORMAT_FP4;
    r->w->data = t->data;
    if (is_mx)
        return 0;
    float divisor;
    if ((e = read_one(r, "weight_global_scale", &divisor)) == 0)
        r->w->scale = 1 / divisor;
    return e;
}

static int read_gptq(const struct reading *r)
{
    const struct tensor *t, *s, *z;
    int bits = r->how->bits;
    struct packed_codes p = {.how = PACKED_COLUMNS,
                             .bits = bits,
                             .rows = r->rows,
                             .cols = r->cols,
                             .stride = r->rows,
                             .add = to_signed(r->how),
                             .most = 255};
    int64_t width = words(r->rows, bits);
    int e;
    if ((e = need_part(r, "qweight", "I32", words(r->cols, bits), r->rows, &t)) < 0 ||
        (e = need_part(r, "scales", SCALE_TYPES, r->groups, r->rows, &s)) < 0 ||
        (e = need_part(r, "qzeros", "I32", r->groups, width, &z)) < 0 ||
        (e = read_scales(r, s, r->rows, r->groups, r->groups, true)) < 0 ||
        (e = read_order(r, "g_idx")) < 0)
        return e;
    p.data = t->data;
    struct packed_codes zeros = {.how = PACKED_ROWS,
                                 .data = z->data,
                                 .bits = bits,
                                 .rows = r->groups,
                                 .cols = r->rows,
                                 .stride = width};
    e = read_packed_codes(r, t, &p, format_of_bits(bits));
    return e < 0 ? e : read_zeros(r, &zeros, true);
}

static int read_awq(const struct reading *r)
{
    const struct tensor *t, *s, *z;
    struct packed_codes p = {.how = PACKED_AWQ,
                             .bits = 4,
                             .rows = r->rows,
                             .cols = r->cols,
                             .stride = r->rows / 8,
                             .most = 255},
                        zeros = p;
    int e;
    if ((e = need_multiple(r, r->rows, 8, "rows")) < 0 ||
        (e = need_part(r, "qweight", "I32", r->cols, p.stride, &t)) < 0 ||
        (e = need_part(r, "scales", SCALE_TYPES, r->groups, r->rows, &s)) < 0 ||
        (e = need_part(r, "qzeros", "I32", r->groups, p.stride, &z)) < 0 ||
        (e = read_scales(r, s, r->rows, r->groups, r->groups, true)) < 0)
        return e;
    p.data = t->data;
    zeros.data = z->data;
    zeros.cols = r->groups;
    e = read_packed_codes(r, t, &p, FORMAT_INT4);
    return e < 0 ? e : read_zeros(r, &zeros, false);
}

static int read_awq_gemv(const struct reading *r)
{
    const struct tensor *t, *s, *z;
    struct packed_codes p = {.how = PACKED_ROWS,
                             .bits = 4,
                             .rows = r->rows,
                             .cols = r->cols,
                             .stride = words(r->cols, 4),
                             .most = 255},
                        zeros = p;
    int e;
    if ((e = need_part(r, "qweight", "I32", r->rows, p.stride, &t)) < 0 ||
        (e = need_part(r, "scales", SCALE_TYPES, r->rows, -1, &s)) < 0 ||
        (e = need_part(r, "qzeros", "I32", r->rows, -1, &z)) < 0)
        return e;
    if (s->shape[1] < r->groups || z->shape[1] < words(r->groups, 4))
        return contradicts(r, "scales", "of as many columns as there are groups", s);
    if ((e = read_scales(r, s, r->rows, r->groups, s->shape[1], false)) < 0)
        return e;
    p.data = t->data;
    zeros.data = z->data;
    zeros.cols = r->groups;
    zeros.stride = z->shape[1];
    e = read_packed_codes(r, t, &p, FORMAT_INT4);
    return e < 0 ? e : read_zeros(r, &zeros, false);
}

/* ---- BitNet ---- */

static int set_one_scale(const struct reading *r, float scale)
{
    float *to = arena_alloc(r->s->arena, sizeof *to);
    *to = scale;
    r->w->scales = to;
    r->w->scale_format = FORMAT_F32;
    return 0;
}

struct ternarize_job {
    const struct weight *from;
    uint8_t *to;
    float *scratch; /* [threads, cols] */
    double *sums;   /* [rows]: of |w|; NULL: the codes are made */
    float scale;
};

static void ternarize_row(void *arg, size_t row, int thread)
{
    struct ternarize_job *j = arg;
    int64_t n = j->from->cols;
    float *x = j->scratch + (size_t)thread * (size_t)n;
    weight_row_to_f32(j->from, (int64_t)row, x);
    if (j->sums) {
        for (int64_t c = 0; c < n; c++)
            j->sums[row] += fabs((double)x[c]);
        return;
    }
    uint8_t *to = j->to + row * format_row_bytes(FORMAT_TERNARY, n);
    memset(to, 0, format_row_bytes(FORMAT_TERNARY, n));
    for (int64_t c = 0; c < n; c++) {
        float q = rintf(x[c] * j->scale);
        int code = q > 0.5f ? 2 : q < -0.5f ? 0 : 1;
        to[c / 4] |= (uint8_t)(code << c % 4 * 2);
    }
}

/* As transformers' WeightQuant: s = 1 / mean|w|, at most 1e5; w = clamp(round(w s), -1, 1) / s. */
static int ternarize(const struct reading *r, const struct tensor *t)
{
    struct weight from;
    int e = tensor_matrix(r->s->c, r->s->owned, t, r->rows, r->cols, &from, r->err);
    if (e < 0)
        return e;
    struct pool *pool = r->s->pool;
    struct ternarize_job j = {
        .from = &from,
        .to = owned_new(r->s->owned, (size_t)r->rows, format_row_bytes(FORMAT_TERNARY, r->cols)),
        .scratch = mem_alloc((size_t)pool_size(pool) * (size_t)r->cols, sizeof(float)),
        .sums = mem_alloc((size_t)r->rows, sizeof(double))};
    double *sums = j.sums, sum = 0;
    if (j.to) {
        pool_run(pool, (size_t)r->rows, ternarize_row, &j);
        for (int64_t i = 0; i < r->rows; i++)
            sum += sums[i];
        float mean = (float)(sum / ((double)r->rows * (double)r->cols));
        j.scale = 1 / (mean > 1e-5f ? mean : 1e-5f);
        j.sums = NULL;
        pool_run(pool, (size_t)r->rows, ternarize_row, &j);
    }
    free(sums);
    free(j.scratch);
    forget_pages(t->data, t->bytes);
    owned_drop(r->s->owned, from.data);
    if (!j.to)
        return no_memory(r);
    if (!isfinite(sum))
        return bad_part(r, t, "has a value that is no finite number");
    r->w->format = FORMAT_TERNARY;
    r->w->data = j.to;
    return set_one_scale(r, 1 / j.scale);
}

static int read_bitnet(const struct reading *r)
{
    const struct tensor *t = find_part(r, "weight");
    float scale;
    if (r->how->is_online) {
        if (!t || t->format == FORMAT_COUNT)
            return contradicts(r, "weight", "of floats, to be made ternary as they are read", t);
        return ternarize(r, t);
    }
    struct packed_codes p = {.how = PACKED_QUARTERS,
                             .bits = 2,
                             .rows = r->rows,
                             .cols = r->cols,
                             .stride = r->rows / 4,
                             .most = 2};
    int e;
    if ((e = need_multiple(r, r->rows, 4, "rows")) < 0 ||
        (e = need_part(r, "weight", "U8", p.stride, r->cols, &t)) < 0 ||
        (e = read_one(r, "weight_scale", &scale)) < 0)
        return e;
    p.data = t->data;
    e = read_packed_codes(r, t, &p, FORMAT_TERNARY);
    return e < 0 ? e : set_one_scale(r, r->how->is_divided ? 1 / scale : scale);
}

/* ---- all ---- */

int stored_read(const struct matrix_source *s, const char *module, const struct stored *how,
                int64_t rows, int64_t cols, struct weight *ret, struct error *err)
{
    static int (*const read[])(const struct reading *r) = {
        [STORAGE_CODES] = read_codes,   [STORAGE_PACKED] = read_packed,
        [STORAGE_FP4] = read_fp4,       [STORAGE_GPTQ] = read_gptq,
        [STORAGE_AWQ] = read_awq,       [STORAGE_AWQ_GEMV] = read_awq_gemv,
        [STORAGE_BITNET] = read_bitnet,
    };
    *ret = (struct weight){.rows = rows, .cols = cols, .scale = 1};
    ret->group = how->group ? how->group : (int)cols;
    ret->group_rows = how->group_rows ? how->group_rows : (int)rows;
    struct reading r = {.s = s,
                        .module = module,
                        .how = how,
                        .rows = rows,
                        .cols = cols,
                        .groups = (cols + ret->group - 1) / ret->group,
                        .w = ret,
                        .err = err};
    int e = read[how->storage](&r);
    return e < 0 ? e : read_activation(&r);
}

const char *stored_trace(const struct checkpoint *c, struct arena *a, const char *module)
{
    static const char *const parts[] = {"weight_packed", "qweight", "weight_scale",
                                        "weight_scale_inv"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *name = arena_printf(a, "%s.%s", module, parts[i]);
        if (checkpoint_tensor(c, name))
            return name;
    }
    return NULL;
}
