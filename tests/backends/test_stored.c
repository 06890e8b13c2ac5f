/* test_stored.c: checkpoints as other tools quantize them, read back number by number and asked as
 * a whole; and what is wrong with them, named. */
#include "backends/local/model.h"
#include "backends/local/quant_config.h"
#include "base/json.h"
#include "tests/backends/ask.h"
#include "tests/backends/packed_matrix.h"
#include "tests/backends/tiny_model.h"
#include "tests/check.h"

static const char *folder(struct arena *a)
{
    static char root[] = "/tmp/assay-stored-XXXXXX";
    static bool made;
    static int n;
    if (!made && mkdtemp(root))
        made = true;
    return arena_printf(a, "%s/%d", root, n++);
}

static const char *make(struct arena *a, const struct tiny_model *t)
{
    struct error err;
    const char *path = folder(a);
    EXPECT_OK(tiny_model_write(t, path, &err), &err);
    return path;
}

static int open_model(const char *path, struct pool *pool, struct model **ret, struct error *err)
{
    return model_open(path, pool, ret, err);
}

/* ---- number by number ---- */

struct matrix {
    const char *name;
    size_t offset;
    int64_t rows, cols;
};
static const struct matrix matrices[] = {
#define ROW(name, field, rows, cols)                                                               \
    {                                                                                              \
        name, offsetof(struct layer, field), rows, cols                                            \
    }
    ROW("self_attn.q_proj", q, 64, 64), ROW("self_attn.k_proj", k, 32, 64),
    ROW("self_attn.v_proj", v, 32, 64), ROW("self_attn.o_proj", o, 64, 64),
    ROW("mlp.gate_proj", gate, 96, 64), ROW("mlp.up_proj", up, 96, 64),
    ROW("mlp.down_proj", down, 64, 96),
#undef ROW
};
enum { N_MATRICES = sizeof matrices / sizeof *matrices };

/* A weight is one product of two floats: half a unit of the last place from the exact one, and a
 * scale that is a product or a quotient of two adds as much. */
static void expect_values(const char *packing, const struct matrix *m, int layer,
                          const struct weight *w)
{
    struct arena a = {0};
    struct packed_matrix want;
    const char *name = arena_printf(&a, "model.layers.%d.%s.weight", layer, m->name);
    packed_random(&a, packing_named(packing), tiny_seed(0, name), m->rows, m->cols,
                  sqrt(3.0 / (double)m->cols), &want);
    float *got = arena_array(&a, (size_t)m->cols, sizeof *got);
    EXPECT_INT(w->rows, m->rows);
    EXPECT_INT(w->cols, m->cols);
    for (int64_t r = 0; r < m->rows; r++) {
        weight_row_to_f32(w, r, got);
        for (int64_t c = 0; c < m->cols; c++) {
            double x = want.values[r * m->cols + c];
            if (!(fabs((double)got[c] - x) <= 0x1.8p-23 * fabs(x))) {
                check_fail(__FILE__, __LINE__, "%s: %s[%d, %d] is %.9g, not %.9g", packing, name,
                           (int)r, (int)c, (double)got[c], x);
                break;
            }
        }
    }
    arena_free(&a);
}

static void values_are_exact(void)
{
    struct pool *pool = pool_new(2);
    for (size_t i = 0; packing_number(i); i++) {
        struct arena a = {0};
        struct error err;
        struct model *m;
        const char *name = packing_name(packing_number(i));
        const char *path = make(&a, &(struct tiny_model){.kind = "hf-bf16", .packing = name});
        int r = open_model(path, pool, &m, &err);
        if (r < 0)
            check_fail(__FILE__, __LINE__, "%s: %s", name, err.msg);
        for (int layer = 0; r == 0 && layer < m->n_layers; layer++)
            for (size_t k = 0; k < N_MATRICES; k++)
                expect_values(name, &matrices[k], layer,
                              (const struct weight *)(const void *)((char *)&m->layers[layer] +
                                                                    matrices[k].offset));
        if (r == 0)
            model_close(m);
        arena_free(&a);
    }
    pool_free(pool);
}

/* ---- as a whole ---- */

static const struct request texts[] = {
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = {"The hat was on the", 18},
     .continuation = {" and", 4}},
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = {"and then there were", 19},
     .continuation = {" ing", 4}},
    {.kind = REQUEST_LOGLIKELIHOOD_ROLLING, .context = {"All the world's a stage, and all", 32}},
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

/* Weights alone: the logits are those of the exact values. */
static void answers_are_those_of_the_values(void)
{
    for (size_t i = 0; packing_number(i); i++) {
        const struct packing *p = packing_number(i);
        if (!packing_weights_only(p))
            continue;
        for (int reference = 0; reference < 2; reference++) {
            struct arena a = {0};
            struct asking how = {.reference = reference};
            struct tiny_model t = {.kind = "hf-f32", .packing = packing_name(p), .biases = i % 2};
            const char *packed = make(&a, &t);
            t.unpacked = true;
            struct response *got = ask(packed, &how, &a, texts, N_TEXTS),
                            *want = ask(make(&a, &t), &how, &a, texts, N_TEXTS);
            for (size_t k = 0; got && want && k < N_TEXTS; k++)
                if (!(fabs(got[k].logprob_nats - want[k].logprob_nats) <= 1e-4))
                    check_fail(__FILE__, __LINE__, "%s, text %zu: %.9g, not %.9g", t.packing, k,
                               got[k].logprob_nats, want[k].logprob_nats);
            arena_free(&a);
        }
    }
}

/* Every packing answers, and the same alone as together. */
static void answers_depend_on_their_tokens(void)
{
    for (size_t i = 0; packing_number(i); i++) {
        struct arena a = {0};
        struct asking plain = {0}, other = {.n_threads = 2, .token_budget = 5, .shuffle = 7};
        const char *path =
            make(&a, &(struct tiny_model){.kind = "hf-bf16",
                                          .packing = packing_name(packing_number(i))});
        struct response *want = ask(path, &plain, &a, texts, N_TEXTS),
                        *got = ask(path, &other, &a, texts, N_TEXTS);
        for (size_t k = 0; got && want && k < N_TEXTS; k++)
            if (got[k].logprob_nats != want[k].logprob_nats || !isfinite(got[k].logprob_nats))
                check_fail(__FILE__, __LINE__, "%s, text %zu: %.17g and %.17g",
                           packing_name(packing_number(i)), k, got[k].logprob_nats,
                           want[k].logprob_nats);
        arena_free(&a);
    }
}

/* ---- what is wrong is named ---- */

/* Overwrites bytes of a tensor, from byte `at` of it on. */
static void spoil(const char *path, const char *tensor, size_t at, const void *bytes, size_t n)
{
    struct error err;
    struct arena a = {0};
    struct checkpoint *c = NULL;
    struct pool *pool = pool_new(1);
    EXPECT_OK(checkpoint_open(path, pool, &c, &err), &err);
    pool_free(pool);
    const struct tensor *t = c ? checkpoint_tensor(c, tensor) : NULL;
    EXPECT(t && at + n <= t->bytes);
    if (t) {
        struct str file = {(const char *)c->files.items[0].p, c->files.items[0].n};
        char *copy = arena_copy(&a, file.p, file.n);
        memcpy(copy + ((const char *)t->data - file.p) + at, bytes, n);
        EXPECT_OK(file_write(arena_printf(&a, "%s/model.safetensors", path),
                             (struct str){copy, file.n}, &err),
                  &err);
    }
    checkpoint_close(c);
    arena_free(&a);
}

/* The model is refused, in a sentence with all the words. */
static void expect_refused(const char *path, const char *const words[3])
{
    struct error err = {0};
    struct model *m;
    struct pool *pool = pool_new(1);
    int r = open_model(path, pool, &m, &err);
    for (int i = 0; i < 3 && words[i]; i++)
        if (r == 0 || !strstr(err.msg, words[i]))
            check_fail(__FILE__, __LINE__, "%d, \"%s\" lacks \"%s\"", r, r ? err.msg : "success",
                       words[i]);
    if (r == 0)
        model_close(m);
    pool_free(pool);
}

#define GROUP_OF(weights)                                                                          \
    "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", "                  \
    "\"config_groups\": {\"g\": {\"targets\": [\"Linear\"], \"weights\": {" weights "}}}}"

/* The configuration contradicts the tensors, or asks for what is not known. */
static void configurations_are_checked(void)
{
    static const struct {
        const char *packing, *config, *words[3];
    } cases[] = {
        {NULL,
         GROUP_OF("\"num_bits\": 4, \"group_size\": 32"),
         {"config.json: quantization_config says that module \"model.layers.0.self_attn.q_proj\" "
          "is stored as pack-quantized with 4 bits in groups of 32",
          "\"weight_packed\" is I32 of [64, 8]", "has \"weight\" as F32"}},
        {"ct-w4-g32",
         GROUP_OF("\"num_bits\": 4, \"group_size\": 16"),
         {"\"weight_scale\" is F32 or BF16 or F16 of [64, 4]", "it is BF16 of [64, 2]", NULL}},
        {"ct-w4-g32",
         GROUP_OF("\"num_bits\": 8, \"group_size\": 32"),
         {"\"weight_packed\" is I32 of [64, 16]", "it is I32 of [64, 8]", NULL}},
        {"ct-int8",
         "null",
         {"q_proj.weight_scale\"", "has no quantization_config that says", NULL}},
        {"gptq-4",
         "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 32}",
         {"is stored as awq", "\"qweight\" is I32 of [64, 8]", "it is I32 of [8, 64]"}},
        {"gptq-4",
         "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 32, "
         "\"dynamic\": {\"-:.*down_proj\": {}}}",
         {"down_proj.qweight\"", "does not say", NULL}},
        {"gptq-4",
         "{\"quant_method\": \"hqq\"}",
         {"quant_method is \"hqq\"; known: awq, bitnet, compressed-tensors, fp8, gptq", NULL,
          NULL}},
        {"gptq-4",
         "{\"quant_method\": \"gptq\", \"bits\": 5}",
         {"bits is 5; known: 2, 3, 4, 8", NULL, NULL}},
        {"gptq-4",
         "{\"quant_method\": \"gptq\", \"bits\": 4, \"checkpoint_format\": \"marlin\"}",
         {"checkpoint_format is \"marlin\"; known: gptq, gptq_v2", NULL, NULL}},
        {"ct-w4-g32",
         "{\"quant_method\": \"compressed-tensors\", \"format\": \"marlin-24\", \"config_groups\": "
         "{\"g\": {\"targets\": [\"Linear\"], \"weights\": {\"num_bits\": 4}}}}",
         {"config_groups.g: the format is \"marlin-24\"; known: int-quantized", NULL, NULL}},
        {"ct-w4-g32",
         "{\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"W5A5\": [\"Linear\"]}}",
         {"names the scheme \"W5A5\"; known: W8A8", NULL, NULL}},
        {"ct-w4-g32",
         "{\"quant_method\": \"compressed-tensors\", \"config_groups\": {}, \"ignore\": "
         "[\"re:(\"]}",
         {"quantization_config", NULL, NULL}},
        {"ct-int8",
         "{\"quant_method\": \"compressed-tensors\", \"config_groups\": {\"g\": {\"targets\": "
         "[\"Linear\"], \"weights\": {\"num_bits\": 8, \"strategy\": \"channel\"}, "
         "\"input_activations\": {\"num_bits\": 8, \"strategy\": \"token\", \"dynamic\": true, "
         "\"symmetric\": false}}}}",
         {"activations with zero points are not known", NULL, NULL}},
        {"bitnet",
         "{\"quant_method\": \"bitnet\", \"use_rms_norm\": true}",
         {"use_rms_norm", NULL, NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        expect_refused(make(&a, &(struct tiny_model){.kind = "hf-f32",
                                                     .packing = cases[i].packing,
                                                     .quantization_config = cases[i].config}),
                       cases[i].words);
        arena_free(&a);
    }
}

/* Numbers in the file that cannot be. */
static void numbers_are_checked(void)
{
    static const float nan = NAN, zero = 0;
    static const int32_t minus = -3, far = 2, one = 1;
    static const int64_t rows = 65;
#define Q "model.layers.1.self_attn.q_proj."
    static const struct {
        const char *packing, *tensor;
        size_t at;
        const void *bytes;
        size_t n;
        const char *says;
    } cases[] = {
        {"ct-w4-channel", Q "weight_scale", 8, &nan, 4, "has the scale nan (number 2)"},
        {"ct-w4-channel", Q "weight_scale", 0, &zero, 4, "has the scale 0 (number 0)"},
        {"ct-int8", Q "weight_scale", 6, "\x80\xbf", 2, "has the scale -1 (number 3)"},
        {"ct-nvfp4a16", Q "weight_scale", 1, "\x7f", 1, "has the scale nan (number 1)"},
        {"ct-nvfp4a16", Q "weight_global_scale", 0, &zero, 4, "has the scale 0"},
        {"ct-mxfp4a16", Q "weight_scale", 1, "\xff", 1, "exponent 255"},
        {"ct-int8-static", Q "input_scale", 0, &nan, 4, "has the scale nan"},
        {"gptq-4", Q "scales", 4, "\0\0", 2, "has the scale 0"},
        {"bitnet", Q "weight_scale", 0, "\0\0", 2, "has the scale 0"},
        {"bitnet", Q "weight", 70, "\xff", 1, "has a code that stands for nothing"},
        {"gptq-4", Q "g_idx", 40, &far, 4, "has the group 2 (column 10) of 0 to 1"},
        {"gptq-4", Q "g_idx", 40, &minus, 4, "has the group -3 (column 10) of 0 to 1"},
        {"gptq-4", Q "g_idx", 40, &one, 4, "puts 31 columns into group 0"},
        {"ct-w4-actorder", Q "weight_g_idx", 0, &far, 4, "has the group 2 (column 0)"},
        {"ct-w4-g32", Q "weight_shape", 0, &rows, 8, "says [65, 64]"},
    };
#undef Q
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        const char *path =
            make(&a, &(struct tiny_model){.kind = "hf-f32", .packing = cases[i].packing});
        spoil(path, cases[i].tensor, cases[i].at, cases[i].bytes, cases[i].n);
        expect_refused(path, (const char *const[3]){cases[i].tensor, cases[i].says});
        arena_free(&a);
    }
}

/* ---- which module is stored how ---- */

static struct quant_config *parse(struct arena *a, const char *text)
{
    struct value *v;
    struct error err;
    struct quant_config *q = NULL;
    EXPECT_OK(json_parse(a, str_of(text), "test", &v, &err), &err);
    EXPECT_OK(quant_config_parse(a, v, "test", &q, &err), &err);
    return q;
}

/* The name of a module's storage and its bits, as "gptq 4"; "" where it is not quantized. */
static const char *found(struct arena *a, const struct quant_config *q, const char *module)
{
    const struct stored *s = NULL;
    struct error err;
    EXPECT_OK(quant_config_find(q, str_of(module), "Linear", &s, &err), &err);
    return s ? arena_printf(a, "%s %d", s->name, s->bits) : "";
}

static void modules_are_matched(void)
{
    static const char mixed[] =
        "{\"quant_method\": \"compressed-tensors\", \"format\": \"mixed-precision\", "
        "\"ignore\": [\"lm_head\", \"re:.*layers\\\\.7\\\\..*\"], \"config_groups\": {"
        "\"a\": {\"targets\": [\"Linear\"], \"format\": \"pack-quantized\", \"weights\": "
        "{\"num_bits\": 4, \"group_size\": 32}}, "
        "\"b\": {\"targets\": [\"re:.*down_proj\"], \"format\": \"int-quantized\", \"weights\": "
        "{\"num_bits\": 8, \"strategy\": \"channel\"}}, "
        "\"FP8_DYNAMIC\": [\"model.layers.3.mlp.down_proj\"]}, "
        "\"kv_cache_scheme\": {\"num_bits\": 8, \"type\": \"float\", \"strategy\": \"tensor\", "
        "\"dynamic\": false, \"symmetric\": true}}";
    static const char dynamic[] =
        "{\"bits\": 4, \"group_size\": 128, \"lm_head\": true, \"dynamic\": {"
        "\"-:.*\\\\.0\\\\..*\": {}, \"+:.*up_proj\": {\"bits\": 8}}}";
    static const char ends[] =
        "{\"quant_method\": \"gptq\", \"bits\": 4, \"modules_in_block_to_quantize\": "
        "[[\"self_attn.k_proj\"], [\"mlp.up_proj\"]]}";
    static const char kept[] =
        "{\"quant_method\": \"fp8\", \"modules_to_not_convert\": [\"model.layers.1\", \"gate\"]}";
    struct arena a = {0};
    struct quant_config *q = parse(&a, mixed);
    EXPECT_Z(found(&a, q, "lm_head"), "");
    EXPECT_Z(found(&a, q, "model.layers.7.mlp.up_proj"), "");
    EXPECT_Z(found(&a, q, "model.layers.0.mlp.up_proj"), "pack-quantized 4");
    EXPECT_Z(found(&a, q, "model.layers.0.mlp.down_proj"), "int-quantized 8");
    EXPECT_Z(found(&a, q, "model.layers.3.mlp.down_proj"), "float-quantized 8");
    EXPECT_INT(q->kv.kind, KV_FP8);
    EXPECT(q->kv.is_static && !q->kv.per_head);
    quant_config_free(q);
    q = parse(&a, dynamic);
    EXPECT_Z(found(&a, q, "lm_head"), "gptq 4");
    EXPECT_Z(found(&a, q, "model.layers.0.mlp.up_proj"), "");
    EXPECT_Z(found(&a, q, "model.layers.1.mlp.up_proj"), "gptq 8");
    EXPECT_Z(found(&a, q, "model.layers.1.mlp.down_proj"), "gptq 4");
    quant_config_free(q);
    q = parse(&a, ends);
    EXPECT_Z(found(&a, q, "model.layers.1.mlp.up_proj"), "gptq 4");
    EXPECT_Z(found(&a, q, "model.layers.1.mlp.down_proj"), "");
    quant_config_free(q);
    q = parse(&a, kept);
    EXPECT_Z(found(&a, q, "model.layers.1.mlp.up_proj"), "");
    EXPECT_Z(found(&a, q, "model.layers.11.mlp.up_proj"), "fp8 8");
    EXPECT_Z(found(&a, q, "model.layers.2.mlp.gate"), "");
    EXPECT_Z(found(&a, q, "model.layers.2.mlp.gate_proj"), "fp8 8");
    EXPECT_Z(found(&a, q, "lm_head"), "fp8 8");
    quant_config_free(q);
    arena_free(&a);
}

/* ---- BitNet made at load ---- */

static void floats_become_ternary(void)
{
    struct arena a = {0};
    struct error err;
    struct model *m = NULL;
    struct pool *pool = pool_new(1);
    const char *path =
        make(&a, &(struct tiny_model){.kind = "hf-f32",
                                      .bitnet = true,
                                      .quantization_config =
                                          "{\"quant_method\": \"bitnet\", \"linear_class\": "
                                          "\"autobitlinear\", \"quantization_mode\": \"online\"}"});
    EXPECT_OK(open_model(path, pool, &m, &err), &err);
    const struct tensor *t =
        m ? checkpoint_tensor(m->files, "model.layers.0.mlp.down_proj.weight") : NULL;
    double mean = 0;
    const float *x = t ? t->data : NULL;
    float got[96];
    for (int i = 0; t && i < 64 * 96; i++)
        mean += fabs((double)x[i]) / (64 * 96);
    for (int r = 0; t && r < 64; r++) {
        weight_row_to_f32(&m->layers[0].down, r, got);
        for (int c = 0; c < 96; c++) {
            double q = rint((double)x[r * 96 + c] / mean);
            EXPECT_NEAR((double)got[c], (q > 1 ? 1 : q < -1 ? -1 : q) * mean, 1e-6 * mean);
        }
    }
    if (m) {
        EXPECT(m->layers[0].down.x.kind == X_INT8);
        EXPECT(m->layers[0].down.x.reach == 127);
        EXPECT(m->layers[0].attn_sub_norm && m->layers[0].ffn_sub_norm);
        EXPECT_INT(m->gate, GATE_RELU2);
        model_close(m);
    }
    pool_free(pool);
    arena_free(&a);
}

/* ---- memory ---- */

static int by_name(const void *x, const void *y)
{
    return str_cmp(((const struct tensor *)x)->name, ((const struct tensor *)y)->name);
}

/* A checkpoint of one module "m", in memory. */
static void in_memory(struct arena *a, const struct packed_matrix *p, struct checkpoint *ret)
{
    *ret = (struct checkpoint){.path = "memory"};
    ret->tensors.items = arena_array(a, PACKED_TENSORS, sizeof *ret->tensors.items);
    for (int i = 0; i < p->n; i++) {
        const struct packed_tensor *from = &p->tensors[i];
        struct tensor *t = &ret->tensors.items[ret->tensors.n++];
        *t = (struct tensor){.name = str_printf(a, "m.%s", from->part),
                             .type_name = from->dtype,
                             .format = strcmp(from->dtype, "F32") == 0    ? FORMAT_F32
                                       : strcmp(from->dtype, "F16") == 0  ? FORMAT_F16
                                       : strcmp(from->dtype, "BF16") == 0 ? FORMAT_BF16
                                                                          : FORMAT_COUNT,
                             .n_dims = from->n_dims,
                             .shape = {from->shape[0], from->shape[1]},
                             .data = from->bytes.p,
                             .bytes = from->bytes.n};
    }
    qsort(ret->tensors.items, ret->tensors.n, sizeof *ret->tensors.items, by_name);
}

/* A packed matrix is as large as its tensors, and no more than a tenth larger. Of 5 to 7 bits,
 * which compressed-tensors alone can store, a code takes 8. */
static void memory_is_the_files(void)
{
    struct pool *pool = pool_new(1);
    struct kernels k = kernels_cpu(cpu_features(), pool);
    for (size_t i = 0; packing_number(i); i++) {
        struct arena a = {0};
        struct packed_matrix p;
        struct checkpoint c;
        struct owned owned = {0};
        struct weight w;
        struct error err;
        const char *name = packing_name(packing_number(i));
        packed_random(&a, packing_number(i), 1, 512, 1024, 1, &p);
        in_memory(&a, &p, &c);
        struct quant_config *q = parse(&a, packing_config(packing_number(i)));
        struct matrix_source from = {&c, q, &a, &owned, pool};
        size_t file = 0;
        for (int t = 0; t < p.n; t++)
            file += p.tensors[t].bytes.n;
        EXPECT_OK(matrix_read(&from, "m", "Linear", 512, 1024, &w, &err), &err);
        size_t held = k.packed_bytes(k.dev, &w);
        if (held == 0)
            held = weight_bytes(&w);
        if (strcmp(name, "ct-w6-g32") != 0 && !((double)held <= 1.1 * (double)file))
            check_fail(__FILE__, __LINE__, "%s: %zu bytes of a file of %zu", name, held, file);
        owned_free(&owned);
        quant_config_free(q);
        arena_free(&a);
    }
    k.close(k.dev);
    pool_free(pool);
}

CHECK_MAIN({"values_are_exact", values_are_exact},
           {"answers_are_those_of_the_values", answers_are_those_of_the_values},
           {"answers_depend_on_their_tokens", answers_depend_on_their_tokens},
           {"configurations_are_checked", configurations_are_checked},
           {"numbers_are_checked", numbers_are_checked},
           {"modules_are_matched", modules_are_matched},
           {"floats_become_ternary", floats_become_ternary},
           {"memory_is_the_files", memory_is_the_files})
