#include "tests/backends/packed_matrix.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"

enum family { CODES, PACKED, FP4, GPTQ, AWQ, AWQ_GEMV, BITNET };

struct packing {
    const char *name;
    enum family family;
    int bits, group, group_rows; /* 0: all columns, all rows */
    bool is_float, has_zeros;
    bool shuffles;  /* the columns of a group lie apart */
    bool is_static; /* input_scale, or input_global_scale */
    bool v2, divides, is_mx, inv;
    const char *scale_dtype;
    bool weights_only;
    const char *config;
};

#define CT(format, weights, inputs)                                                                \
    "{\"quant_method\": \"compressed-tensors\", \"format\": \"" format                             \
    "\", \"quantization_status\": \"compressed\", \"ignore\": [\"lm_head\"], "                     \
    "\"kv_cache_scheme\": null, \"config_groups\": {\"group_0\": {\"targets\": [\"Linear\"], "     \
    "\"weights\": {" weights "}, \"input_activations\": " inputs                                   \
    ", \"output_activations\": null}}}"
#define INT(bits, rest)   "\"num_bits\": " bits ", \"type\": \"int\", " rest
#define FLOAT(bits, rest) "\"num_bits\": " bits ", \"type\": \"float\", " rest
#define BY_GROUP          "\"strategy\": \"group\", \"group_size\": 32, "
#define BY_CHANNEL        "\"strategy\": \"channel\", \"group_size\": null, "
#define SYM               "\"symmetric\": true"
#define ASYM              "\"symmetric\": false"
#define BY_TOKEN          "\"strategy\": \"token\", \"dynamic\": true, \"symmetric\": true"
#define OF_TENSOR         "\"strategy\": \"tensor\", \"dynamic\": false, \"symmetric\": true"
#define GPTQ_CONFIG(bits, group, rest)                                                             \
    "{\"quant_method\": \"gptq\", \"bits\": " bits ", \"group_size\": " group                      \
    ", \"damp_percent\": 0.01, \"true_sequential\": true" rest "}"

/* clang-format off */
static const struct packing packings[] = {
    {.name = "ct-int8", .family = CODES, .bits = 8, .group_rows = 1, .scale_dtype = "BF16",
     .config = CT("int-quantized", INT("8", BY_CHANNEL SYM), "{" INT("8", BY_TOKEN) "}")},
    {.name = "ct-int8-asym", .family = CODES, .bits = 8, .group_rows = 1, .has_zeros = true,
     .scale_dtype = "F32",
     .config = CT("int-quantized", INT("8", BY_CHANNEL ASYM), "{" INT("8", BY_TOKEN) "}")},
    {.name = "ct-int8-static", .family = CODES, .bits = 8, .scale_dtype = "BF16", .is_static = true,
     .config = CT("int-quantized", INT("8", OF_TENSOR), "{" INT("8", OF_TENSOR) "}")},
    {.name = "ct-w4-g32", .family = PACKED, .bits = 4, .group = 32, .group_rows = 1,
     .scale_dtype = "BF16", .weights_only = true,
     .config = CT("pack-quantized", INT("4", BY_GROUP SYM), "null")},
    {.name = "ct-w4-g32-asym", .family = PACKED, .bits = 4, .group = 32, .group_rows = 1,
     .scale_dtype = "F16", .has_zeros = true, .weights_only = true,
     .config = CT("pack-quantized", INT("4", BY_GROUP ASYM), "null")},
    {.name = "ct-w4-channel", .family = PACKED, .bits = 4, .group_rows = 1, .scale_dtype = "F32",
     .weights_only = true, .config = CT("pack-quantized", INT("4", BY_CHANNEL SYM), "null")},
    {.name = "ct-w4-channel-asym", .family = PACKED, .bits = 4, .group_rows = 1,
     .scale_dtype = "BF16", .has_zeros = true, .weights_only = true,
     .config = CT("pack-quantized", INT("4", BY_CHANNEL ASYM), "null")},
    {.name = "ct-w4-actorder", .family = PACKED, .bits = 4, .group = 32, .group_rows = 1,
     .scale_dtype = "BF16", .shuffles = true, .weights_only = true,
     .config = CT("pack-quantized", INT("4", "\"actorder\": \"group\", " BY_GROUP SYM), "null")},
    {.name = "ct-w4-weightorder", .family = PACKED, .bits = 4, .group = 32, .group_rows = 1,
     .scale_dtype = "BF16", .weights_only = true,
     .config = CT("pack-quantized", INT("4", "\"actorder\": \"weight\", " BY_GROUP SYM), "null")},
    {.name = "ct-w8-g32", .family = PACKED, .bits = 8, .group = 32, .group_rows = 1,
     .scale_dtype = "BF16", .weights_only = true,
     .config = CT("pack-quantized", INT("8", BY_GROUP SYM), "null")},
    {.name = "ct-w8-asym", .family = PACKED, .bits = 8, .group = 32, .group_rows = 1,
     .scale_dtype = "BF16", .has_zeros = true, .weights_only = true,
     .config = CT("pack-quantized", INT("8", BY_GROUP ASYM), "null")},
    {.name = "ct-w3-g32", .family = PACKED, .bits = 3, .group = 32, .group_rows = 1,
     .scale_dtype = "BF16", .weights_only = true,
     .config = CT("pack-quantized", INT("3", BY_GROUP SYM), "null")},
    {.name = "ct-w6-g32", .family = PACKED, .bits = 6, .group = 32, .group_rows = 1,
     .scale_dtype = "BF16", .has_zeros = true, .weights_only = true,
     .config = CT("pack-quantized", INT("6", BY_GROUP ASYM), "null")},
    {.name = "ct-w4a8", .family = PACKED, .bits = 4, .group = 32, .group_rows = 1,
     .scale_dtype = "BF16",
     .config = CT("pack-quantized", INT("4", BY_GROUP SYM), "{" INT("8", BY_TOKEN) "}")},
    {.name = "ct-fp8", .family = CODES, .bits = 8, .is_float = true, .group_rows = 1,
     .scale_dtype = "BF16",
     .config = CT("float-quantized", FLOAT("8", BY_CHANNEL SYM), "{" FLOAT("8", BY_TOKEN) "}")},
    {.name = "ct-fp8-static", .family = CODES, .bits = 8, .is_float = true, .is_static = true,
     .scale_dtype = "F32",
     .config = CT("float-quantized", FLOAT("8", OF_TENSOR), "{" FLOAT("8", OF_TENSOR) "}")},
    {.name = "ct-fp8-block", .family = CODES, .bits = 8, .is_float = true, .group_rows = 40,
     .group = 32, .scale_dtype = "BF16",
     .config = CT("float-quantized",
                  FLOAT("8", "\"strategy\": \"block\", \"block_structure\": [40, 32], " SYM),
                  "{" FLOAT("8", "\"strategy\": \"group\", \"group_size\": 32, \"dynamic\": true, " SYM) "}")},
    {.name = "ct-fp8-naive", .family = CODES, .bits = 8, .is_float = true, .group_rows = 1,
     .scale_dtype = "F16", .weights_only = true,
     .config = CT("naive-quantized", FLOAT("8", BY_CHANNEL SYM), "null")},
    {.name = "ct-nvfp4a16", .family = FP4, .bits = 4, .is_float = true, .group = 16, .group_rows = 1,
     .scale_dtype = "F8_E4M3", .weights_only = true,
     .config = CT("nvfp4-pack-quantized",
                  FLOAT("4", "\"strategy\": \"tensor_group\", \"group_size\": 16, " SYM), "null")},
    {.name = "ct-nvfp4", .family = FP4, .bits = 4, .is_float = true, .group = 16, .group_rows = 1,
     .scale_dtype = "F8_E4M3", .is_static = true,
     .config = CT("nvfp4-pack-quantized",
                  FLOAT("4", "\"strategy\": \"tensor_group\", \"group_size\": 16, " SYM),
                  "{" FLOAT("4", "\"strategy\": \"tensor_group\", \"group_size\": 16, "
                            "\"dynamic\": \"local\", " SYM) "}")},
    {.name = "ct-mxfp4a16", .family = FP4, .bits = 4, .is_float = true, .group = 32, .group_rows = 1,
     .scale_dtype = "U8", .is_mx = true, .weights_only = true,
     .config = CT("mxfp4-pack-quantized", FLOAT("4", BY_GROUP SYM), "null")},
    {.name = "gptq-2", .family = GPTQ, .bits = 2, .group = 32, .group_rows = 1, .has_zeros = true,
     .scale_dtype = "F16", .weights_only = true,
     .config = GPTQ_CONFIG("2", "32", ", \"desc_act\": false, \"sym\": false")},
    {.name = "gptq-3", .family = GPTQ, .bits = 3, .group = 32, .group_rows = 1, .has_zeros = true,
     .scale_dtype = "F16", .weights_only = true,
     .config = GPTQ_CONFIG("3", "32", ", \"desc_act\": false, \"sym\": false")},
    {.name = "gptq-4", .family = GPTQ, .bits = 4, .group = 32, .group_rows = 1, .has_zeros = true,
     .scale_dtype = "F16", .weights_only = true,
     .config = GPTQ_CONFIG("4", "32", ", \"desc_act\": false, \"sym\": false")},
    {.name = "gptq-4-sym", .family = GPTQ, .bits = 4, .group = 32, .group_rows = 1,
     .scale_dtype = "F16", .weights_only = true,
     .config = GPTQ_CONFIG("4", "32", ", \"desc_act\": false, \"sym\": true")},
    {.name = "gptq-8", .family = GPTQ, .bits = 8, .group = 32, .group_rows = 1, .has_zeros = true,
     .scale_dtype = "F16", .weights_only = true,
     .config = GPTQ_CONFIG("8", "32", ", \"desc_act\": false, \"sym\": false")},
    {.name = "gptq-4-v2", .family = GPTQ, .bits = 4, .group = 32, .group_rows = 1, .has_zeros = true,
     .scale_dtype = "BF16", .v2 = true, .weights_only = true,
     .config = GPTQ_CONFIG("4", "32", ", \"sym\": false, \"checkpoint_format\": \"gptq_v2\"")},
    {.name = "gptq-4-act", .family = GPTQ, .bits = 4, .group = 32, .group_rows = 1, .has_zeros = true,
     .shuffles = true, .scale_dtype = "F16", .weights_only = true,
     .config = GPTQ_CONFIG("4", "32", ", \"desc_act\": true, \"sym\": false")},
    {.name = "gptq-3-act", .family = GPTQ, .bits = 3, .group = 32, .group_rows = 1,
     .shuffles = true, .scale_dtype = "F16", .weights_only = true,
     .config = GPTQ_CONFIG("3", "32", ", \"desc_act\": true, \"sym\": true")},
    {.name = "gptq-4-channel", .family = GPTQ, .bits = 4, .group_rows = 1, .has_zeros = true,
     .scale_dtype = "F32", .weights_only = true,
     .config = GPTQ_CONFIG("4", "-1", ", \"desc_act\": false, \"sym\": false")},
    {.name = "awq", .family = AWQ, .bits = 4, .group = 32, .group_rows = 1, .has_zeros = true,
     .scale_dtype = "F16", .weights_only = true,
     .config = "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 32, \"zero_point\": true, "
               "\"version\": \"gemm\", \"modules_to_not_convert\": null}"},
    {.name = "awq-gemv", .family = AWQ_GEMV, .bits = 4, .group = 32, .group_rows = 1,
     .has_zeros = true, .scale_dtype = "F16", .weights_only = true,
     .config = "{\"w_bit\": 4, \"q_group_size\": 32, \"zero_point\": true, \"version\": \"GEMV\"}"},
    {.name = "bitnet", .family = BITNET, .bits = 2, .divides = true, .scale_dtype = "BF16",
     .config = "{\"quant_method\": \"bitnet\", \"modules_to_not_convert\": null}"},
    {.name = "bitnet-auto", .family = BITNET, .bits = 2, .scale_dtype = "BF16",
     .config = "{\"quant_method\": \"bitnet\", \"linear_class\": \"autobitlinear\", "
               "\"quantization_mode\": \"offline\"}"},
    {.name = "fp8-block", .family = CODES, .bits = 8, .is_float = true, .group = 128,
     .group_rows = 128, .inv = true, .scale_dtype = "F32",
     .config = "{\"quant_method\": \"fp8\", \"fmt\": \"e4m3\", \"activation_scheme\": \"dynamic\", "
               "\"weight_block_size\": [128, 128]}"},
    {.name = "fp8-static", .family = CODES, .bits = 8, .is_float = true, .is_static = true,
     .scale_dtype = "F32",
     .config = "{\"quant_method\": \"fp8\", \"activation_scheme\": \"static\", "
               "\"ignored_layers\": [\"lm_head\"]}"},
};
/* clang-format on */
enum { N_PACKINGS = sizeof packings / sizeof *packings };

const struct packing *packing_number(size_t i)
{
    return i < N_PACKINGS ? &packings[i] : NULL;
}

const struct packing *packing_named(const char *name)
{
    for (size_t i = 0; i < N_PACKINGS; i++)
        if (strcmp(packings[i].name, name) == 0)
            return &packings[i];
    return NULL;
}

const char *packing_name(const struct packing *p)
{
    return p->name;
}

const char *packing_config(const struct packing *p)
{
    return p->config;
}

bool packing_weights_only(const struct packing *p)
{
    return p->weights_only;
}

/* ---- numbers ---- */

static uint64_t next(uint64_t *state)
{
    return hash_mix(*state += 0x9e3779b97f4a7c15u);
}

static double next_double(uint64_t *state) /* [0, 1) */
{
    return (double)(next(state) >> 11) * 0x1p-53;
}

static double of_fp8(int code)
{
    int e = code >> 3 & 15, m = code & 7;
    double x = e ? ldexp(8 + m, e - 10) : ldexp(m, -9);
    return code & 128 ? -x : x;
}

static double of_fp4(int code)
{
    static const double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    return code & 8 ? -values[code & 7] : values[code & 7];
}

/* One matrix in the making: codes as they are stored, scales as they read back. */
struct making {
    struct arena *a;
    const struct packing *p;
    struct packed_matrix *ret;
    int64_t rows, cols, groups, scale_rows; /* groups of a row; rows of scales */
    int32_t *group_of;                      /* [cols] */
    int *codes;                             /* [rows, cols] */
    int *zeros;                             /* [scale_rows, groups] */
    double *scales;                         /* [scale_rows, groups], as stored */
    double factor;                          /* of all */
    struct str scale_bytes;                 /* [scale_rows, groups] in scale_dtype */
};

static void put(struct making *m, const char *part, const char *dtype, int n_dims, int64_t d0,
                int64_t d1, const void *bytes, size_t n)
{
    m->ret->tensors[m->ret->n++] = (struct packed_tensor){
        .part = part,
        .dtype = dtype,
        .n_dims = n_dims,
        .shape = {d0, d1},
        .bytes = {bytes, n},
    };
}

/* A scale near `x` that the dtype holds exactly: its value, and its bytes at `to`. */
static size_t store_scale(const char *dtype, double x, double *value, char *to)
{
    int e;
    double f = frexp(x, &e); /* f in [0.5, 1) */
    if (strcmp(dtype, "U8") == 0) {
        *value = ldexp(1, e);
        *to = (char)(e + 127);
        return 1;
    }
    if (strcmp(dtype, "F8_E4M3") == 0) {
        int m = (int)(f * 16); /* 8 .. 15 */
        *value = ldexp(m, e - 4);
        *to = (char)((e + 6) << 3 | (m & 7));
        return 1;
    }
    if (strcmp(dtype, "F16") == 0) {
        int m = (int)(f * 2048); /* 1024 .. 2047; a subnormal loses its last bits */
        int lost = e < -13 ? -13 - e : 0;
        m = m >> lost << lost;
        *value = ldexp(m, e - 11);
        uint16_t h = (uint16_t)(lost ? m >> lost : (e + 14) << 10 | (m & 1023));
        memcpy(to, &h, 2);
        return 2;
    }
    float g = strcmp(dtype, "BF16") == 0 ? (float)ldexp((int)(f * 256), e - 8) : (float)x;
    uint32_t u;
    memcpy(&u, &g, 4);
    *value = (double)g;
    if (strcmp(dtype, "BF16") == 0) {
        uint16_t h = (uint16_t)(u >> 16);
        memcpy(to, &h, 2);
        return 2;
    }
    memcpy(to, &u, 4);
    return 4;
}

static double code_value(const struct packing *p, int code)
{
    return p->family == FP4                   ? of_fp4(code)
           : p->is_float                      ? of_fp8(code)
           : p->family == CODES && code > 127 ? code - 256
                                              : code;
}

/* Columns 0, 1, 2 ... in steps that meet all of them: neighbours are in different groups. */
static void make_groups(struct making *m)
{
    int64_t group = m->p->group ? m->p->group : m->cols, step = m->p->shuffles ? 37 : 1;
    m->group_of = arena_array(m->a, (size_t)m->cols, sizeof *m->group_of);
    for (int64_t c = 0; c < m->cols; c++)
        m->group_of[c * step % m->cols] = (int32_t)(c / group);
}

static void make_numbers(struct making *m, uint64_t seed, double spread)
{
    const struct packing *p = m->p;
    uint64_t state = seed;
    double most = p->family == FP4      ? 6
                  : p->is_float         ? 448
                  : p->family == BITNET ? 1
                                        : 1 << (p->bits - 1);
    size_t n_scales = (size_t)(m->scale_rows * m->groups);
    m->codes = arena_array(m->a, (size_t)(m->rows * m->cols), sizeof *m->codes);
    m->zeros = arena_array(m->a, n_scales, sizeof *m->zeros);
    m->scales = arena_array(m->a, n_scales, sizeof *m->scales);
    char *bytes = arena_alloc(m->a, 4 * n_scales);
    size_t at = 0;
    bool nv = p->family == FP4 && !p->is_mx;
    m->factor = nv ? 1.0 / 64 : 1;
    for (size_t i = 0; i < n_scales; i++) {
        double x = spread / most * (0.6 + 0.8 * next_double(&state));
        if (p->divides)
            x = 1 / x;
        at += store_scale(p->scale_dtype, x / m->factor, &m->scales[i], bytes + at);
        m->zeros[i] = p->family == BITNET                 ? 1
                      : p->family == CODES || p->is_float ? 0
                                                          : 1 << (p->bits - 1);
        if (p->has_zeros) /* of signed codes from -128; GPTQ's v1 has 1 .. 2^bits - 1, and 0 by
                             turning round */
            m->zeros[i] = (int)(next(&state) % (1u << p->bits)) - (p->family == CODES ? 128 : 0);
    }
    m->scale_bytes = (struct str){bytes, at};
    for (int64_t i = 0; i < m->rows * m->cols; i++) {
        int code = (int)(next(&state) % (p->family == BITNET ? 3u : 1u << p->bits));
        m->codes[i] = p->is_float && p->bits == 8 && (code & 127) == 127 ? 8 : code;
    }
}

static void make_values(struct making *m)
{
    const struct packing *p = m->p;
    int64_t group_rows = p->group_rows ? p->group_rows : m->rows;
    m->ret->values = arena_array(m->a, (size_t)(m->rows * m->cols), sizeof(double));
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t c = 0; c < m->cols; c++) {
            int64_t s = r / group_rows * m->groups + m->group_of[c];
            double scale = p->divides ? 1 / m->scales[s] : m->scales[s] * m->factor;
            m->ret->values[r * m->cols + c] =
                scale * (code_value(p, m->codes[r * m->cols + c]) - m->zeros[s]);
        }
}

/* ---- layouts ---- */

static void put_bits(uint32_t *words, int64_t bit, int bits, uint32_t code)
{
    for (int b = 0; b < bits; b++)
        if (code >> b & 1)
            words[(bit + b) / 32] |= 1u << (bit + b) % 32;
}

static uint32_t *new_words(struct making *m, int64_t n)
{
    return arena_array(m->a, (size_t)n, sizeof(uint32_t));
}

static void put_codes(struct making *m)
{
    const struct packing *p = m->p;
    int64_t n = m->rows * m->cols;
    char *bytes = arena_alloc(m->a, (size_t)n),
         *zeros = arena_alloc(m->a, (size_t)(m->scale_rows * m->groups));
    for (int64_t i = 0; i < n; i++)
        bytes[i] = (char)m->codes[i];
    for (int64_t i = 0; i < m->scale_rows * m->groups; i++)
        zeros[i] = (char)m->zeros[i];
    put(m, "weight", p->is_float ? "F8_E4M3" : "I8", 2, m->rows, m->cols, bytes, (size_t)n);
    bool whole = p->group_rows == 0;
    put(m, p->inv ? "weight_scale_inv" : "weight_scale", p->scale_dtype, whole ? 1 : 2,
        m->scale_rows, m->groups, m->scale_bytes.p, m->scale_bytes.n);
    if (p->has_zeros)
        put(m, "weight_zero_point", "I8", 2, m->scale_rows, m->groups, zeros,
            (size_t)(m->scale_rows * m->groups));
}

static void put_group_of(struct making *m, const char *part)
{
    put(m, part, "I32", 1, m->cols, 0, m->group_of, (size_t)m->cols * 4);
}

static void put_packed(struct making *m)
{
    int bits = m->p->bits;
    int64_t width = (m->cols * bits + 31) / 32, height = (m->rows * bits + 31) / 32;
    uint32_t *words = new_words(m, m->rows * width), *zeros = new_words(m, height * m->groups);
    for (int64_t i = 0; i < m->rows * m->cols; i++)
        put_bits(words + i / m->cols * width, i % m->cols * bits, bits, (uint32_t)m->codes[i]);
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t g = 0; g < m->groups; g++)
            for (int b = 0; b < bits; b++)
                if (m->zeros[r * m->groups + g] >> b & 1)
                    zeros[(r * bits + b) / 32 * m->groups + g] |= 1u << (r * bits + b) % 32;
    int64_t *shape = arena_array(m->a, 2, sizeof *shape);
    shape[0] = m->rows;
    shape[1] = m->cols;
    put(m, "weight_packed", "I32", 2, m->rows, width, words, (size_t)(m->rows * width) * 4);
    put(m, "weight_scale", m->p->scale_dtype, 2, m->rows, m->groups, m->scale_bytes.p,
        m->scale_bytes.n);
    put(m, "weight_shape", "I64", 1, 2, 0, shape, 16);
    if (m->p->has_zeros)
        put(m, "weight_zero_point", "I32", 2, height, m->groups, zeros,
            (size_t)(height * m->groups) * 4);
    if (m->p->shuffles)
        put_group_of(m, "weight_g_idx");
}

static void put_fp4(struct making *m)
{
    char *bytes = arena_alloc(m->a, (size_t)(m->rows * m->cols / 2));
    for (int64_t i = 0; i < m->rows * m->cols; i++)
        bytes[i / 2] = (char)(bytes[i / 2] | m->codes[i] << i % 2 * 4);
    put(m, "weight_packed", "U8", 2, m->rows, m->cols / 2, bytes, (size_t)(m->rows * m->cols / 2));
    put(m, "weight_scale", m->p->scale_dtype, 2, m->rows, m->groups, m->scale_bytes.p,
        m->scale_bytes.n);
    if (m->p->is_mx)
        return;
    float *global = arena_alloc(m->a, sizeof *global);
    *global = (float)(1 / m->factor);
    put(m, "weight_global_scale", "F32", 1, 1, 0, global, sizeof *global);
}

/* Scales of [rows, groups] as [groups, rows]. */
static void put_scales_transposed(struct making *m)
{
    size_t size = m->scale_bytes.n / (size_t)(m->rows * m->groups);
    char *to = arena_alloc(m->a, m->scale_bytes.n);
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t g = 0; g < m->groups; g++)
            memcpy(to + (size_t)(g * m->rows + r) * size,
                   m->scale_bytes.p + (size_t)(r * m->groups + g) * size, size);
    put(m, "scales", m->p->scale_dtype, 2, m->groups, m->rows, to, m->scale_bytes.n);
}

static void put_gptq(struct making *m)
{
    int bits = m->p->bits;
    int64_t height = m->cols * bits / 32, width = m->rows * bits / 32;
    uint32_t *words = new_words(m, height * m->rows), *zeros = new_words(m, m->groups * width);
    for (int64_t r = 0; r < m->rows; r++)
        for (int64_t c = 0; c < m->cols; c++)
            for (int b = 0; b < bits; b++)
                if (m->codes[r * m->cols + c] >> b & 1)
                    words[(c * bits + b) / 32 * m->rows + r] |= 1u << (c * bits + b) % 32;
    for (int64_t g = 0; g < m->groups; g++)
        for (int64_t r = 0; r < m->rows; r++) {
            int z = m->zeros[r * m->groups + g] - !m->p->v2;
            put_bits(zeros + g * width, r * bits, bits, (uint32_t)z & ((1u << bits) - 1));
        }
    put(m, "qweight", "I32", 2, height, m->rows, words, (size_t)(height * m->rows) * 4);
    put(m, "qzeros", "I32", 2, m->groups, width, zeros, (size_t)(m->groups * width) * 4);
    put_scales_transposed(m);
    put_group_of(m, "g_idx");
}

/* Eight rows share a word, in this order from its lowest bits on. */
static const int awq_order[] = {0, 2, 4, 6, 1, 3, 5, 7};

static void put_awq(struct making *m)
{
    int64_t width = m->rows / 8;
    uint32_t *words = new_words(m, m->cols * width), *zeros = new_words(m, m->groups * width);
    for (int64_t w = 0; w < width; w++)
        for (int k = 0; k < 8; k++) {
            int64_t r = w * 8 + awq_order[k];
            for (int64_t c = 0; c < m->cols; c++)
                words[c * width + w] |= (uint32_t)m->codes[r * m->cols + c] << 4 * k;
            for (int64_t g = 0; g < m->groups; g++)
                zeros[g * width + w] |= (uint32_t)m->zeros[r * m->groups + g] << 4 * k;
        }
    put(m, "qweight", "I32", 2, m->cols, width, words, (size_t)(m->cols * width) * 4);
    put(m, "qzeros", "I32", 2, m->groups, width, zeros, (size_t)(m->groups * width) * 4);
    put_scales_transposed(m);
}

static void put_awq_gemv(struct making *m)
{
    int64_t width = m->cols / 8, spare = 4; /* words of zeros a row; 8 scales each */
    size_t size = m->scale_bytes.n / (size_t)(m->rows * m->groups);
    uint32_t *words = new_words(m, m->rows * width), *zeros = new_words(m, m->rows * spare);
    char *scales = arena_alloc(m->a, (size_t)(m->rows * spare * 8) * size);
    for (int64_t r = 0; r < m->rows; r++) {
        for (int64_t c = 0; c < m->cols; c++)
            put_bits(words + r * width, c * 4, 4, (uint32_t)m->codes[r * m->cols + c]);
        for (int64_t g = 0; g < m->groups; g++)
            put_bits(zeros + r * spare, g * 4, 4, (uint32_t)m->zeros[r * m->groups + g]);
        memcpy(scales + (size_t)(r * spare * 8) * size,
               m->scale_bytes.p + (size_t)(r * m->groups) * size, (size_t)m->groups * size);
    }
    put(m, "qweight", "I32", 2, m->rows, width, words, (size_t)(m->rows * width) * 4);
    put(m, "qzeros", "I32", 2, m->rows, spare, zeros, (size_t)(m->rows * spare) * 4);
    put(m, "scales", m->p->scale_dtype, 2, m->rows, spare * 8, scales,
        (size_t)(m->rows * spare * 8) * size);
}

static void put_bitnet(struct making *m)
{
    int64_t quarter = m->rows / 4;
    char *bytes = arena_alloc(m->a, (size_t)(quarter * m->cols));
    for (int64_t i = 0; i < m->rows * m->cols; i++) {
        char *to = &bytes[i % (quarter * m->cols)];
        *to = (char)(*to | m->codes[i] << 2 * (i / (quarter * m->cols)));
    }
    put(m, "weight", "U8", 2, quarter, m->cols, bytes, (size_t)(quarter * m->cols));
    put(m, "weight_scale", m->p->scale_dtype, 1, 1, 0, m->scale_bytes.p, m->scale_bytes.n);
}

static void put_input_scale(struct making *m)
{
    float *scale = arena_alloc(m->a, sizeof *scale);
    *scale = m->p->family == FP4 ? 512 : m->p->is_float ? 1.0f / 96 : 1.0f / 32;
    put(m,
        m->p->family == FP4 ? "input_global_scale"
        : m->p->inv         ? "activation_scale"
                            : "input_scale",
        "F32", 1, 1, 0, scale, sizeof *scale);
}

void packed_random(struct arena *a, const struct packing *p, uint64_t seed, int64_t rows,
                   int64_t cols, double spread, struct packed_matrix *ret)
{
    static void (*const layouts[])(struct making * m) = {
        [CODES] = put_codes, [PACKED] = put_packed,     [FP4] = put_fp4,      [GPTQ] = put_gptq,
        [AWQ] = put_awq,     [AWQ_GEMV] = put_awq_gemv, [BITNET] = put_bitnet};
    *ret = (struct packed_matrix){.n = 0};
    struct making m = {.a = a, .p = p, .ret = ret, .rows = rows, .cols = cols};
    m.groups = p->group ? (cols + p->group - 1) / p->group : 1;
    m.scale_rows = p->group_rows ? (rows + p->group_rows - 1) / p->group_rows : 1;
    make_groups(&m);
    make_numbers(&m, seed, spread);
    make_values(&m);
    layouts[p->family](&m);
    if (p->is_static)
        put_input_scale(&m);
}
