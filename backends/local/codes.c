/* codes.c: matrices of a scheme's codes: their memory, and rounding to the nearest (draft.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/local/draft.h"

/* ---- memory ---- */

static bool is_float(enum format f)
{
    return f == FORMAT_F32 || f == FORMAT_F16 || f == FORMAT_BF16;
}

bool codes_fit(const struct scheme *s, int64_t cols)
{
    enum format f = s->weights.format;
    return format_info[f].codes || cols % format_info[f].block == 0;
}

bool codes_take(enum format f, enum activation x)
{
    return format_info[f].codes || (x == X_INT8 && format_info[f].takes_int8);
}

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

int codes_new(const struct scheme *s, int64_t rows, int64_t cols, enum format stored,
              struct weight *ret, struct error *err)
{
    struct weight w = {.format = s->weights.format, .rows = rows, .cols = cols};
    size_t data = (size_t)rows * format_row_bytes(w.format, cols), scales = 0, zeros = 0;
    if (format_info[w.format].codes) {
        int group = s->weights.group, group_rows = s->weights.group_rows;
        w.group = group && group < cols ? group : (int)cols;
        w.group_rows = group_rows && group_rows < rows ? group_rows : (int)rows;
        w.scale = 1;
        w.scale_format = w.format == FORMAT_FP4 ? FORMAT_FP8
                         : is_float(stored)     ? stored
                                                : FORMAT_F16;
        size_t groups = (size_t)((cols + w.group - 1) / w.group);
        scales = (size_t)((rows + w.group_rows - 1) / w.group_rows) * groups *
                 format_row_bytes(w.scale_format, 1);
        zeros = s->weights.asymmetric ? (size_t)rows * groups : 0;
    }
    if (codes_take(w.format, s->x.kind)) {
        w.x.kind = s->x.kind;
        w.x.group = s->x.group;
    }
    char *p = mem_try(padded(data) + padded(scales) + zeros, 1);
    if (!p)
        return error_set(err, E_MEMORY, "out of memory: %zu MiB more are needed for weights of %s",
                         (data + scales + zeros) >> 20, s->label);
    w.data = p;
    w.scales = scales ? p + padded(data) : NULL;
    w.zeros = zeros ? (uint8_t *)p + padded(data) + padded(scales) : NULL;
    *ret = w;
    return 0;
}

/* ---- rounding ---- */

struct failure {
    size_t part;
    struct error err;
};

struct job {
    const float *x; /* [rows, cols] */
    const struct weight *to;
    struct failure *failures; /* [threads]: of each the first part's */
    int64_t rows_a_part;
};

static void note_failure(struct failure *f, size_t part, const struct error *err)
{
    if (err->code && (!f->err.code || part < f->part))
        *f = (struct failure){part, *err};
}

static float greatest(const float *x, size_t n)
{
    float most = 0, not_finite = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmaxf(most, fabsf(x[i]));
        not_finite += x[i] * 0;
    }
    return most + not_finite;
}

/* Of codes of blocks and of whole matrices: the scales of a part's rows. */
static int fit_block(const struct weight *to, const float *x, int64_t first, int64_t end,
                     struct error *err)
{
    size_t cols = (size_t)to->cols, group = (size_t)to->group;
    for (size_t c = 0; c < cols; c += group) {
        size_t n = cols - c < group ? cols - c : group;
        float most = 0;
        for (int64_t row = first; row < end; row++)
            most = fmaxf(most, greatest(x + (size_t)row * cols + c, n));
        int r = weight_group_fit(to, first, (int64_t)(c / group), -most, most, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void round_row(const struct weight *to, int64_t row, const float *x, struct error *err)
{
    size_t bytes = format_row_bytes(to->format, to->cols);
    if (!format_info[to->format].codes)
        format_from_f32(to->format, x, to->cols, (char *)(uintptr_t)to->data + (size_t)row * bytes,
                        err);
    else if (to->group_rows > 1 || weight_row_scales(to, row, x, err) == 0)
        weight_row_from_f32(to, row, x);
}

/* Some rows: one, unless several share their scales. */
static void round_part(void *arg, size_t part, int thread)
{
    struct job *j = arg;
    const struct weight *to = j->to;
    struct error err = {0};
    int64_t first = (int64_t)part * j->rows_a_part;
    int64_t end = first + j->rows_a_part < to->rows ? first + j->rows_a_part : to->rows;
    if (j->rows_a_part > 1)
        fit_block(to, j->x, first, end, &err);
    for (int64_t row = first; row < end && !err.code; row++)
        round_row(to, row, j->x + (size_t)row * (size_t)to->cols, &err);
    note_failure(&j->failures[thread], part, &err);
}

int codes_begin(const float *w, struct weight *to, struct error *err)
{
    size_t n = (size_t)to->rows * (size_t)to->cols;
    if (to->format == FORMAT_FP4) { /* as the file has it: a number by which to divide */
        float most = greatest(w, n), divisor = 6 * 448 / most;
        to->scale = most > 0 && isfinite(divisor) ? 1 / divisor : 1;
    }
    if (to->format != FORMAT_TERNARY)
        return 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)w[i]);
    float mean = (float)(sum / (double)n);
    return weight_group_fit(to, 0, 0, -mean, mean, err);
}

int round_to_nearest(struct pool *pool, const float *w, struct weight *to, struct error *err)
{
    bool blocks = format_info[to->format].codes && to->format != FORMAT_TERNARY;
    int64_t together = blocks ? to->group_rows : 1;
    size_t parts = (size_t)((to->rows + together - 1) / together), n = (size_t)pool_size(pool);
    struct job j = {w, to, mem_alloc(n, sizeof *j.failures), together};
    int r = codes_begin(w, to, err);
    if (r == 0)
        pool_run(pool, parts, round_part, &j);
    struct failure first = {0};
    for (size_t i = 0; i < n; i++)
        note_failure(&first, j.failures[i].part, &j.failures[i].err);
    free(j.failures);
    return r < 0 || !first.err.code ? r : error_set(err, first.err.code, "%s", first.err.msg);
}
