/* A checkpoint's quantization_config, and a module's tensors read as it says: whatever is accepted
 * can be computed with. The input is the configuration, a NUL, and bytes that the tensors are cut
 * from; their names, formats and shapes are those that any method asks for. */
#include <stdlib.h>
#include <string.h>

#include "backends/local/weights.h"
#include "base/json.h"
#include "tests/fuzz/fuzz.h"

enum { ROWS = 8, COLS = 32, BYTES = 4 * ROWS * COLS };

/* In order of their names; the first size comes from the input where it is 0. */
static const struct {
    const char *name, *type;
    enum format format;
    int n_dims;
    int64_t shape[2];
    size_t bytes;
} parts[] = {
    {"m.g_idx", "I32", FORMAT_COUNT, 1, {COLS, 0}, COLS * 4},
    {"m.input_scale", "F32", FORMAT_F32, 1, {1, 0}, 4},
    {"m.qweight", "I32", FORMAT_COUNT, 2, {COLS / 8, ROWS}, COLS / 8 * ROWS * 4},
    {"m.qzeros", "I32", FORMAT_COUNT, 2, {1, ROWS / 8}, 4},
    {"m.scales", "F16", FORMAT_F16, 2, {1, ROWS}, ROWS * 2},
    {"m.weight", "I8", FORMAT_COUNT, 2, {ROWS, COLS}, ROWS *COLS},
    {"m.weight_g_idx", "I32", FORMAT_COUNT, 1, {COLS, 0}, COLS * 4},
    {"m.weight_packed", "I32", FORMAT_COUNT, 2, {ROWS, COLS / 8}, ROWS *COLS / 2},
    {"m.weight_scale", "BF16", FORMAT_BF16, 2, {ROWS, 1}, ROWS * 2},
    {"m.weight_shape", "I64", FORMAT_COUNT, 1, {2, 0}, 16},
    {"m.weight_zero_point", "I8", FORMAT_COUNT, 2, {ROWS, 1}, ROWS},
};
enum { N_PARTS = sizeof parts / sizeof *parts };

static void read_module(struct arena *a, const struct quant_config *q, const uint8_t *bytes)
{
    struct tensor tensors[N_PARTS];
    struct checkpoint c = {.path = "fuzz", .tensors = {tensors, N_PARTS, N_PARTS}};
    struct owned owned = {0};
    struct pool *pool = pool_new(1);
    struct weight w;
    struct error e;
    float row[COLS];
    for (int i = 0; i < N_PARTS; i++)
        tensors[i] = (struct tensor){.name = str_of(parts[i].name),
                                     .type_name = parts[i].type,
                                     .format = parts[i].format,
                                     .n_dims = parts[i].n_dims,
                                     .shape = {parts[i].shape[0], parts[i].shape[1]},
                                     .data = bytes + i,
                                     .bytes = parts[i].bytes};
    struct matrix_source s = {&c, q, a, &owned, pool};
    if (matrix_read(&s, "m", "Linear", ROWS, COLS, &w, &e) == 0)
        for (int r = 0; r < ROWS; r++)
            weight_row_to_f32(&w, r, row);
    owned_free(&owned);
    pool_free(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, '\0', size);
    const struct str json = {(const char *)data, nul ? (size_t)(nul - data) : size};
    uint8_t *bytes = calloc(1, BYTES); /* 1 in BF16 and F16 where the input ends */
    struct arena a = {0};
    struct error e;
    struct value *v;
    struct quant_config *q = NULL;
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = nul && i < size - json.n - 1 ? nul[1 + i] : 0x3c;
    if (json_parse(&a, json, "fuzz.json", &v, &e) == 0 &&
        quant_config_parse(&a, v, "fuzz.json", &q, &e) == 0) {
        read_module(&a, q, bytes);
        quant_config_free(q);
    }
    arena_free(&a);
    free(bytes);
    return 0;
}
