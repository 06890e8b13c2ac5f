/* gguf.c: the GGUF container, versions 2 and 3, little-endian:
 *
 *     "GGUF" u32 version, u64 n_tensors, u64 n_metadata,
 *     n_metadata x { string key, u32 type, value }      a string is u64 length, bytes
 *     n_tensors  x { string name, u32 n_dims, u64 dims[n_dims], u32 type, u64 offset }
 *     padding to general.alignment, then the tensors' data
 *
 * dims[0] varies fastest. An array is u32 element type, u64 n, elements. */
#include <inttypes.h>

#include "backends/local/checkpoint.h"

enum { MAX_ARRAY_DEPTH = 4, MAX_NAME = 65535, DEFAULT_ALIGNMENT = 32 };

struct reader {
    struct checkpoint *c;
    const unsigned char *p; /* the file */
    size_t n, at;
    struct error *err;
};

static const struct {
    const char *name;
    enum format format;
} tensor_types[] = {
    [0] = {"F32", FORMAT_F32},      [1] = {"F16", FORMAT_F16},     [2] = {"Q4_0", FORMAT_Q4_0},
    [3] = {"Q4_1", FORMAT_Q4_1},    [6] = {"Q5_0", FORMAT_Q5_0},   [7] = {"Q5_1", FORMAT_Q5_1},
    [8] = {"Q8_0", FORMAT_Q8_0},    [9] = {"Q8_1", FORMAT_COUNT},  [10] = {"Q2_K", FORMAT_Q2_K},
    [11] = {"Q3_K", FORMAT_Q3_K},   [12] = {"Q4_K", FORMAT_Q4_K},  [13] = {"Q5_K", FORMAT_Q5_K},
    [14] = {"Q6_K", FORMAT_Q6_K},   [15] = {"Q8_K", FORMAT_COUNT}, [24] = {"I8", FORMAT_COUNT},
    [25] = {"I16", FORMAT_COUNT},   [26] = {"I32", FORMAT_COUNT},  [27] = {"I64", FORMAT_COUNT},
    [28] = {"F64", FORMAT_COUNT},   [30] = {"BF16", FORMAT_BF16},  [34] = {"TQ1_0", FORMAT_COUNT},
    [35] = {"TQ2_0", FORMAT_COUNT},
};

static const size_t value_bytes[] = {
    [GGUF_UINT8] = 1,  [GGUF_INT8] = 1,    [GGUF_UINT16] = 2,  [GGUF_INT16] = 2,  [GGUF_UINT32] = 4,
    [GGUF_INT32] = 4,  [GGUF_FLOAT32] = 4, [GGUF_BOOL] = 1,    [GGUF_STRING] = 0, [GGUF_ARRAY] = 0,
    [GGUF_UINT64] = 8, [GGUF_INT64] = 8,   [GGUF_FLOAT64] = 8,
};
enum { N_VALUE_TYPES = sizeof value_bytes / sizeof *value_bytes };

static int truncated(const struct reader *r, const char *what)
{
    return error_set(r->err, E_INPUT,
                     "cannot read the model \"%s\": the file ends inside %s at byte %zu; it is "
                     "truncated or damaged, fetch it again",
                     r->c->path, what, r->at);
}

/* Moves behind `n` bytes and gives their start, or NULL at the file's end. */
static const unsigned char *take(struct reader *r, uint64_t n)
{
    if (n > r->n - r->at)
        return NULL;
    const unsigned char *p = r->p + r->at;
    r->at += (size_t)n;
    return p;
}

static int take_u32(struct reader *r, uint32_t *ret, const char *what)
{
    const unsigned char *p = take(r, 4);
    if (!p)
        return truncated(r, what);
    memcpy(ret, p, 4);
    return 0;
}

static int take_u64(struct reader *r, uint64_t *ret, const char *what)
{
    const unsigned char *p = take(r, 8);
    if (!p)
        return truncated(r, what);
    memcpy(ret, p, 8);
    return 0;
}

static int take_string(struct reader *r, struct str *ret, const char *what)
{
    uint64_t n = 0;
    int e = take_u64(r, &n, what);
    if (e < 0)
        return e;
    const unsigned char *p = take(r, n);
    if (!p)
        return truncated(r, what);
    *ret = (struct str){(const char *)p, (size_t)n};
    return 0;
}

static struct value *scalar(struct arena *a, uint32_t type, const unsigned char *p)
{
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        float f32;
        int64_t i64;
        double f64;
    } v;
    memcpy(&v, p, value_bytes[type]);
    switch (type) {
    case GGUF_UINT8:
        return value_int(a, v.u8);
    case GGUF_INT8:
        return value_int(a, v.i8);
    case GGUF_UINT16:
        return value_int(a, v.u16);
    case GGUF_INT16:
        return value_int(a, v.i16);
    case GGUF_UINT32:
        return value_int(a, v.u32);
    case GGUF_INT32:
        return value_int(a, v.i32);
    case GGUF_FLOAT32:
        return value_float(a, (double)v.f32);
    case GGUF_BOOL:
        return value_bool(a, v.u8 != 0);
    case GGUF_FLOAT64:
        return value_float(a, v.f64);
    default: /* 64 bits: counts that matter here fit int64 */
        return value_int(a, v.i64);
    }
}

static int skip_array(struct reader *r, struct str key, int depth)
{
    uint32_t type;
    uint64_t n;
    int e;
    if ((e = take_u32(r, &type, "an array's type")) < 0 ||
        (e = take_u64(r, &n, "an array's length")) < 0)
        return e;
    if (type >= N_VALUE_TYPES || depth > MAX_ARRAY_DEPTH)
        return error_set(r->err, E_INPUT,
                         "cannot read the model \"%s\": metadata \"%.*s\" is an array of an "
                         "unknown type %" PRIu32,
                         r->c->path, STR_ARG(key), type);
    struct gguf_array array = {key, type, n, r->p + r->at};
    if (value_bytes[type]) {
        uint64_t bytes;
        if (__builtin_mul_overflow(n, value_bytes[type], &bytes) || !take(r, bytes))
            return truncated(r, "an array");
    } else {
        struct str ignored;
        for (uint64_t i = 0; i < n; i++)
            if ((e = type == GGUF_STRING ? take_string(r, &ignored, "an array of strings")
                                         : skip_array(r, key, depth + 1)) < 0)
                return e;
    }
    if (depth == 0)
        *ARRAY_PUSH(&r->c->arrays) = array;
    return 0;
}

static int read_metadata(struct reader *r)
{
    struct arena *a = &r->c->arena;
    struct str key, text;
    uint32_t type;
    int e;
    if ((e = take_string(r, &key, "a metadata key")) < 0 ||
        (e = take_u32(r, &type, "a metadata type")) < 0)
        return e;
    if (type >= N_VALUE_TYPES || key.n > MAX_NAME)
        return error_set(r->err, E_INPUT,
                         "cannot read the model \"%s\": metadata at byte %zu has the unknown type "
                         "%" PRIu32 " or a key of %zu bytes; the file is damaged",
                         r->c->path, r->at, type, key.n);
    if (type == GGUF_ARRAY)
        return skip_array(r, key, 0);
    struct value *v;
    if (type == GGUF_STRING) {
        if ((e = take_string(r, &text, "a metadata string")) < 0)
            return e;
        v = value_str(a, str_copy(a, text));
    } else {
        const unsigned char *p = take(r, value_bytes[type]);
        if (!p)
            return truncated(r, "a metadata value");
        v = scalar(a, type, p);
    }
    dict_put(a, r->c->settings, value_str(a, str_copy(a, key)), v);
    return 0;
}

static int bad_tensor(const struct reader *r, const struct tensor *t, const char *what)
{
    return error_set(r->err, E_INPUT, "cannot read the model \"%s\": tensor \"%.*s\" %s",
                     r->c->path, STR_ARG(t->name), what);
}

/* `offset` counts from the data's start, which is not known yet: it is kept in t->data. */
static int read_tensor_info(struct reader *r)
{
    struct tensor t = {0};
    uint32_t n_dims, type;
    uint64_t dim, offset;
    int e;
    if ((e = take_string(r, &t.name, "a tensor's name")) < 0 ||
        (e = take_u32(r, &n_dims, "a tensor's shape")) < 0)
        return e;
    if (t.name.n > MAX_NAME || n_dims == 0 || n_dims > TENSOR_DIMS)
        return error_set(r->err, E_INPUT,
                         "cannot read the model \"%s\": the tensor at byte %zu has %" PRIu32
                         " dimensions (1 to 4 are possible) or a name of %zu bytes; the file is "
                         "damaged",
                         r->c->path, r->at, n_dims, t.name.n);
    t.n_dims = (int)n_dims;
    for (uint32_t d = 0; d < n_dims; d++) {
        if ((e = take_u64(r, &dim, "a tensor's shape")) < 0)
            return e;
        if (dim == 0 || dim > INT32_MAX)
            return bad_tensor(r, &t, "has a dimension that is no size");
        t.shape[n_dims - 1 - d] = (int64_t)dim;
    }
    if ((e = take_u32(r, &type, "a tensor's type")) < 0 ||
        (e = take_u64(r, &offset, "a tensor's offset")) < 0)
        return e;
    bool known = type < sizeof tensor_types / sizeof *tensor_types && tensor_types[type].name;
    t.format = known ? tensor_types[type].format : FORMAT_COUNT;
    t.type_name =
        known ? tensor_types[type].name : arena_printf(&r->c->arena, "type %" PRIu32, type);
    t.data = (const void *)(uintptr_t)offset;
    *ARRAY_PUSH(&r->c->tensors) = t;
    return 0;
}

/* Turns offsets into pointers, and checks that each tensor's bytes are in the file. */
static int place_tensors(struct reader *r, size_t start)
{
    for (size_t i = 0; i < r->c->tensors.n; i++) {
        struct tensor *t = &r->c->tensors.items[i];
        uint64_t offset = (uint64_t)(uintptr_t)t->data, bytes = 0;
        if (t->format != FORMAT_COUNT) {
            uint64_t rows = 1, row = format_row_bytes(t->format, t->shape[t->n_dims - 1]);
            for (int d = 0; d < t->n_dims - 1; d++)
                if (__builtin_mul_overflow(rows, (uint64_t)t->shape[d], &rows))
                    return bad_tensor(r, t, "is larger than any file");
            if (row == 0)
                return bad_tensor(r, t, "has rows that are no multiple of its format's block");
            if (__builtin_mul_overflow(rows, row, &bytes))
                return bad_tensor(r, t, "is larger than any file");
        }
        if (start > r->n || offset > r->n - start || bytes > r->n - start - offset)
            return bad_tensor(r, t,
                              "lies outside the file; it is truncated or damaged, fetch it again");
        t->data = r->p + start + offset;
        t->bytes = (size_t)bytes;
    }
    return 0;
}

static int alignment_of(const struct reader *r, size_t *ret)
{
    int64_t x;
    int e =
        dict_int(r->c->settings, "general.alignment", DEFAULT_ALIGNMENT, r->c->path, &x, r->err);
    if (e < 0)
        return e;
    if (x < 1 || x > 1 << 20)
        return error_set(r->err, E_INPUT,
                         "cannot read the model \"%s\": general.alignment is %" PRId64
                         ", which is no alignment",
                         r->c->path, x);
    *ret = (size_t)x;
    return 0;
}

int gguf_read(struct checkpoint *c, struct error *err)
{
    struct mapping m = c->files.items[0];
    struct reader r = {.c = c, .p = m.p, .n = m.n, .err = err};
    uint32_t version;
    uint64_t n_tensors, n_metadata;
    int e;
    take(&r, 4); /* the magic, which brought us here */
    c->settings = value_dict(&c->arena);
    if ((e = take_u32(&r, &version, "its header")) < 0)
        return e;
    if (version != 2 && version != 3)
        return error_set(err, E_UNSUPPORTED,
                         "cannot read the model \"%s\": GGUF version %" PRIu32
                         "%s; versions 2 and 3 are known",
                         c->path, version, version > 0xffff ? " (big-endian?)" : "");
    if ((e = take_u64(&r, &n_tensors, "its header")) < 0 ||
        (e = take_u64(&r, &n_metadata, "its header")) < 0)
        return e;
    for (uint64_t i = 0; i < n_metadata; i++)
        if ((e = read_metadata(&r)) < 0)
            return e;
    for (uint64_t i = 0; i < n_tensors; i++)
        if ((e = read_tensor_info(&r)) < 0)
            return e;
    size_t alignment = DEFAULT_ALIGNMENT;
    if ((e = alignment_of(&r, &alignment)) < 0)
        return e;
    return place_tensors(&r, (r.at + alignment - 1) / alignment * alignment);
}
