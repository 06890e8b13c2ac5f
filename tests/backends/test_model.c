/* Models of every format answer alike, and damaged ones get a sentence. The models are made here
 * (tiny_model.h). */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "backends/local/foresee.h"
#include "backends/local/quantize.h"
#include "base/file.h"
#include "tests/backends/ask.h"
#include "tests/backends/tiny_model.h"

enum { POSITION_BYTES = 2 * 2 * 2 * 16 * 4 }; /* keys and values: layers, heads, head size, float */

/* A folder for this run's models. */
static const char *folder(void)
{
    static char dir[] = "/tmp/assay-test-model-XXXXXX";
    static bool made;
    if (!made)
        made = mkdtemp(dir) != NULL;
    return dir;
}

static const char *make(struct arena *a, const struct tiny_model *t)
{
    static int n;
    const char *path = arena_printf(a, "%s/%d-%s", folder(), n++, t->kind);
    struct error err;
    EXPECT_OK(tiny_model_write(t, path, &err), &err);
    return path;
}

/* ---- all formats ---- */

/* "The and was there": transformers 5 in float32 gives these sums over the four tokens behind the
 * first, from the same files (GGUF's dequantized). Rounding apart they are the same numbers. */
static void formats_agree_with_transformers(void)
{
    static const struct {
        struct tiny_model t;
        double logprob;
    } cases[] = {
        {{.kind = "hf-f32"}, -33.91036497363592},     {{.kind = "hf-sharded"}, -33.91036497363592},
        {{.kind = "hf-f16"}, -33.90750160341187},     {{.kind = "hf-bf16"}, -33.86973402668431},
        {{.kind = "gguf-f32"}, -33.91036497363592},   {{.kind = "gguf-f16"}, -33.9095081507146},
        {{.kind = "gguf-bf16"}, -33.880435667788134}, {{.kind = "gguf-q8_0"}, -33.88991139685376},
        {{.kind = "gguf-q4_0"}, -34.62755621301493},  {{.kind = "gguf-q4_1"}, -34.653314579611575},
    };
    struct arena a = {0};
    struct request q = loglikelihood("The", " and was there");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make(&a, &cases[i].t);
        for (int reference = 0; reference < 2; reference++) {
            struct asking how = {.reference = reference};
            struct response *r = ask(path, &how, &a, &q, 1);
            if (!r)
                continue;
            EXPECT_NEAR(r->logprob_nats, cases[i].logprob, 1e-4);
            EXPECT_INT(r->n_tokens, 5);
            EXPECT_INT(r->n_tokens_scored, 4);
        }
    }
    arena_free(&a);
}

/* With a head of its own, biases everywhere and BOS in front. */
static void untied_heads_and_biases(void)
{
    static const char *const kinds[] = {"hf-f32", "gguf-f32"};
    struct arena a = {0};
    struct request q = loglikelihood("", "The and was there");
    for (int i = 0; i < 2; i++) {
        struct tiny_model t = {.kind = kinds[i], .untied = true, .biases = true, .adds_bos = true};
        struct asking how = {0};
        struct response *r = ask(make(&a, &t), &how, &a, &q, 1);
        if (r)
            EXPECT_NEAR(r->logprob_nats, -33.09255067001373, 1e-4); /* transformers, from HF's */
    }
    arena_free(&a);
}

static struct request generation(const char *prompt, int n)
{
    return (struct request){
        .kind = REQUEST_GENERATE_UNTIL, .context = str_of(prompt), .max_gen_toks = n};
}

/* Greedy tokens of transformers, whatever the format. */
static void generation_agrees_with_transformers(void)
{
    static const int32_t want[] = {101, 101, 101, 101, 101, 101, 101, 101, 65, 65, 65, 65};
    static const char *const kinds[] = {"hf-f32", "hf-bf16", "gguf-f16", "gguf-q8_0", "gguf-q4_1"};
    struct arena a = {0};
    struct request q = generation("The and was there", 12);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct tiny_model t = {.kind = kinds[i]};
        struct asking how = {0};
        struct response *r = ask(make(&a, &t), &how, &a, &q, 1);
        if (!r)
            continue;
        EXPECT_INT(r->n_tokens_generated, 12);
        EXPECT_INT(r->finish, FINISH_LENGTH);
        for (int k = 0; k < 12 && r->n_tokens_generated == 12; k++)
            EXPECT_INT(r->tokens[5 + k], want[k]);
    }
    arena_free(&a);
}

static struct request mixed[] = {
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = {"The and was", 11},
     .continuation = {" there in the sand", 18}},
    {.kind = REQUEST_LOGLIKELIHOOD, .context = {"The and was", 11}, .continuation = {" on", 3}},
    {.kind = REQUEST_LOGLIKELIHOOD_ROLLING, .context = {"a text that is rolled over", 26}},
    {.kind = REQUEST_GENERATE_UNTIL, .context = {"on and on", 9}, .max_gen_toks = 9}};
enum { N_MIXED = sizeof mixed / sizeof *mixed };

/* quant=q8_0 makes of floats what a Q8_0 file of them holds, to the bit. */
static void quantizing_at_load_is_quantizing_before(void)
{
    struct arena a = {0};
    struct asking plain = {0}, quant = {.options = ",quant=q8_0", .n_threads = 2};
    struct response *want =
        ask(make(&a, &(struct tiny_model){.kind = "gguf-q8_0"}), &plain, &a, mixed, N_MIXED);
    const char *floats = make(&a, &(struct tiny_model){.kind = "gguf-f32"});
    struct response *got = ask(floats, &quant, &a, mixed, N_MIXED);
    if (want && got)
        expect_same(got, want, N_MIXED, "gguf-f32,quant=q8_0");
    struct backend *b = open_backend(floats, &quant);
    if (b) {
        EXPECT_Z(backend_info(b)->quant, "q8_0");
        EXPECT(backend_info(b)->weight_bytes < (size_t)backend_info(b)->n_params * 5 / 4);
        backend_close(b);
    }
    arena_free(&a);
}

/* Whatever the weights are made into, an answer depends on nothing but its own tokens. */
static void quantized_answers_depend_on_their_tokens(void)
{
    static const struct {
        const char *kind, *options, *name;
    } cases[] = {{"gguf-f32", ",quant=w8a8-int", "w8a8-int"},
                 {"hf-bf16", ",quant=w8a8-int", "w8a8-int"},
                 {"gguf-f32", ",quant=w8a16", "w8a16"},
                 {"gguf-f32", ",quant=w8a16,group_size=32", "w8a16-g32"},
                 {"hf-f32", ",quant=w4a16,group_size=32", "w4a16-g32"},
                 {"gguf-f32", ",quant=w4a16,group_size=32,act=int8", "w4a16-g32-act-int8"},
                 {"gguf-f32", ",quant=q8_0,act=int8", "q8_0-act-int8"},
                 {"gguf-q4_0", ",act=int8", "act-int8"},
                 {"gguf-q4_1", ",act=int8", "act-int8"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        struct asking plain = {.options = cases[i].options};
        struct asking other = {.options = cases[i].options,
                               .n_threads = 2,
                               .token_budget = 5,
                               .no_sharing = true,
                               .shuffle = 7};
        const char *path = make(&a, &(struct tiny_model){.kind = cases[i].kind});
        struct response *want = ask(path, &plain, &a, mixed, N_MIXED);
        struct response *got = ask(path, &other, &a, mixed, N_MIXED);
        if (want && got)
            expect_same(got, want, N_MIXED, cases[i].options);
        struct backend *b = open_backend(path, &plain);
        if (b)
            EXPECT_Z(backend_info(b)->quant, cases[i].name);
        backend_close(b);
        arena_free(&a);
    }
}

/* What cannot be made of a model is said, not left undone. */
static void quantization_is_refused(void)
{
    static const struct {
        const char *options, *says;
    } cases[] = {
        {",act=int8", "add quant=w8a8-int"},
        {",quant=w9", "w8a8-int, w8a8-fp8, fp8-block, w4a16"},
        {",quant=q8_0,group_size=32", "goes with quant=w4a16, w8a16, not with q8_0"},
        {",quant=w8a16,group_size=33", "32, 64, 128 or channel"},
        {",act=int4", "act takes int8"},
        {",quant=w8a8-int,method=awq", "takes the methods rtn, smoothquant, gptq"},
        {",quant=w4a16,method=gptq", "calib=FILE"},
        {",quant=w4a16,calib=text", "goes with what learns from text"},
        {",quant=w4a16,damp=0.1", "goes with method=gptq"},
        {",quant=w4a16,static=yes", "goes with quant=w8a8-int, w8a8-fp8"},
        {",quant=fp8-block,symmetric=no", "goes with quant=w4a16, w8a16"},
        {",quant=w8a8-int,act=int8", "act goes with"},
        {",quant=w8a8-int,ignore=none", "weights alone"},
        {",quant=w4a16,ignore=re:(", "ignore="},
        {",method=gptq", "takes the methods rtn"},
        {",quant=w4a16,method=gptq,calib=/nowhere/text", "/nowhere/text"},
    };
    struct arena a = {0};
    const char *path = make(&a, &(struct tiny_model){.kind = "gguf-f32"});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backend *b = NULL;
        struct backend_options options = {.n_threads = 1};
        struct error err = {0};
        int r = backend_open(arena_printf(&a, "%s%s", path, cases[i].options), &options, &b, &err);
        if (r == 0 || !strstr(err.msg, cases[i].says))
            check_fail(__FILE__, __LINE__, "%s: %d, \"%s\" lacks \"%s\"", cases[i].options, r,
                       err.msg, cases[i].says);
        if (r == 0)
            backend_close(b);
    }
    arena_free(&a);
}

/* Fewer bits in the activations: other numbers, but close, and as independent of the batch. */
static void dtypes_round_activations(void)
{
    static const struct {
        const char *options;
        double near;
    } dtypes[] = {{",dtype=bf16", 0.5}, {",dtype=f16", 0.1}};
    struct arena a = {0};
    const char *path = make(&a, &(struct tiny_model){.kind = "hf-f32"});
    struct asking plain = {0};
    struct response *exact = ask(path, &plain, &a, mixed, N_MIXED);
    for (int i = 0; exact && i < 2; i++) {
        struct asking one = {.options = dtypes[i].options}, other = {.options = dtypes[i].options,
                                                                     .n_threads = 2,
                                                                     .token_budget = 3,
                                                                     .shuffle = 5};
        struct response *x = ask(path, &one, &a, mixed, N_MIXED);
        struct response *y = ask(path, &other, &a, mixed, N_MIXED);
        if (!x || !y)
            continue;
        expect_same(y, x, N_MIXED, dtypes[i].options);
        EXPECT(x[0].logprob_nats != exact[0].logprob_nats);
        EXPECT_NEAR(x[0].logprob_nats, exact[0].logprob_nats, dtypes[i].near);
    }
    arena_free(&a);
}

/* ---- settings ---- */

/* Replaces the first `from` in a file; the length may change. */
static void patch(struct arena *a, const char *path, struct str from, struct str to)
{
    struct str text;
    struct error err;
    EXPECT_OK(file_read(a, path, FILE_LIMIT_TEXT, &text, &err), &err);
    size_t at = str_find(text, from, 0);
    if (at == SIZE_MAX) {
        check_fail(__FILE__, __LINE__, "%s has no \"%.*s\"", path, STR_ARG(from));
        return;
    }
    struct buf b = {0};
    buf_str(&b, str_slice(text, 0, at));
    buf_str(&b, to);
    buf_str(&b, str_slice(text, at + from.n, SIZE_MAX));
    EXPECT_OK(file_write(path, buf_view(&b), &err), &err);
    buf_free(&b);
}

/* Scaled rotations against transformers' sums over the same text. */
static void rope_scaling_agrees_with_transformers(void)
{
    static const struct {
        const char *scaling;
        double logprob;
    } cases[] = {
        {"null", -621.9913256769623},
        {"{\"type\": \"linear\", \"factor\": 4.0}", -646.9806372327076},
        {"{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, "
         "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 64}",
         -645.7507316289858},
    };
    struct arena a = {0};
    struct buf text = {0};
    buf_puts(&text, " and was there");
    for (int i = 0; i < 12; i++)
        buf_puts(&text, " on and on");
    struct request q = loglikelihood("The", text.p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make(&a, &(struct tiny_model){.kind = "hf-f32"});
        patch(&a, path_join(&a, path, "config.json"), STR("\"rope_theta\""),
              str_printf(&a, "\"rope_scaling\": %s, \"rope_theta\"", cases[i].scaling));
        struct asking how = {0};
        struct response *r = ask(path, &how, &a, &q, 1);
        if (r)
            EXPECT_NEAR(r->logprob_nats, cases[i].logprob, 1e-3);
    }
    buf_free(&text);
    arena_free(&a);
}

/* The model says a, eight times, then =. */
static void stops_at_strings_and_ids(void)
{
    static const struct {
        const char *stop, *eos, *text;
        enum finish_reason finish;
        int n_generated;
    } cases[] = {
        {"zz", NULL, "aaaaaaaa====", FINISH_LENGTH, 12},
        {"a=", NULL, "aaaaaaa", FINISH_STOP, 9}, /* over two tokens */
        {"aaa=", NULL, "aaaaa", FINISH_STOP, 9},
        {"a", NULL, "", FINISH_STOP, 1},
        {"zz", "65", "aaaaaaaa", FINISH_EOS, 9},
        {"zz", "[3, 65]", "aaaaaaaa", FINISH_EOS, 9},
        {"=", "[101]", "", FINISH_EOS, 1},
    };
    struct arena a = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make(&a, &(struct tiny_model){.kind = "hf-f32"});
        struct error err;
        if (cases[i].eos)
            EXPECT_OK(file_write(path_join(&a, path, "generation_config.json"),
                                 str_printf(&a, "{\"eos_token_id\": %s}", cases[i].eos), &err),
                      &err);
        struct str stops[] = {STR("never"), str_of(cases[i].stop)};
        struct request q = generation("The and was there", 12);
        q.until = stops;
        q.n_until = 2;
        struct asking how = {0};
        struct response *r = ask(path, &how, &a, &q, 1);
        if (!r)
            continue;
        EXPECT_STR(r->text, str_of(cases[i].text));
        EXPECT_INT(r->finish, cases[i].finish);
        EXPECT_INT(r->n_tokens_generated, cases[i].n_generated);
    }
    arena_free(&a);
}

/* As transformers: without generation_config.json, config.json says where texts end. */
static void stops_where_the_config_says(void)
{
    struct arena a = {0};
    const char *path = make(&a, &(struct tiny_model){.kind = "hf-f32"});
    patch(&a, path_join(&a, path, "config.json"), STR("\"eos_token_id\": 1"),
          STR("\"eos_token_id\": [1, 65]"));
    struct request q = generation("The and was there", 12);
    struct asking how = {0};
    struct response *r = ask(path, &how, &a, &q, 1);
    if (r) {
        EXPECT_STR(r->text, STR("aaaaaaaa"));
        EXPECT_INT(r->finish, FINISH_EOS);
    }
    arena_free(&a);
}

/* EOS is the one token "==" here; the model spells it with two. */
static void stops_at_a_spelled_eos(void)
{
    struct arena a = {0};
    const char *path = make(&a, &(struct tiny_model){.kind = "hf-f32"});
    const char *json = path_join(&a, path, "tokenizer.json");
    patch(&a, json, STR("\"ll\":"), STR("\"==\":"));
    patch(&a, json, STR("[\"l\", \"l\"]"), STR("[\"=\", \"=\"]"));
    patch(&a, path_join(&a, path, "tokenizer_config.json"), STR("\"eos_token\": \"</s>\""),
          STR("\"eos_token\": \"==\""));
    struct request q = generation("The and was there", 12);
    struct asking how = {0};
    struct response *r = ask(path, &how, &a, &q, 1);
    if (r) {
        EXPECT_STR(r->text, STR("aaaaaaaa"));
        EXPECT_INT(r->finish, FINISH_STOP);
        EXPECT_INT(r->n_tokens_generated, 10);
    }
    arena_free(&a);
}

/* As after Ctrl-C; the sanitizer sees what is left behind. */
static void closes_with_requests_in_flight(void)
{
    struct arena a = {0};
    struct asking how = {0};
    struct backend *b = open_backend(make(&a, &(struct tiny_model){.kind = "hf-f32"}), &how);
    struct request requests[] = {generation("The and was there", 12),
                                 loglikelihood("The", " and was there"),
                                 {.kind = REQUEST_LOGLIKELIHOOD_ROLLING}};
    struct completion done;
    struct error err;
    for (uint64_t i = 0; b && i < 30; i++)
        EXPECT_OK(backend_submit(b, &requests[i % 3], i, &err), &err);
    for (int i = 0; b && i < 15; i++)
        EXPECT(backend_poll(b, &a, &done, 1, &err) >= 0);
    if (b)
        EXPECT_INT(backend_in_flight(b), 15);
    backend_close(b);
    arena_free(&a);
}

/* Of an unused sequence the end is given up first: its beginning can still be shared. */
static void beginnings_outlive_ends(void)
{
    struct arena a = {0};
    struct asking how = {.kv_bytes = 160 * POSITION_BYTES}; /* ten pages */
    struct backend *b = open_backend(make(&a, &(struct tiny_model){.kind = "hf-f32"}), &how);
    struct buf text = {0};
    while (text.n < 128) /* a token a byte: eight pages */
        buf_puts(&text, "#0123456789%");
    struct request whole = loglikelihood(text.p, "!"),
                   other = loglikelihood("????????????????????????????????????????", "!"),
                   beginning = loglikelihood(str_printf(&a, "%.96s", text.p).p, "!");
    struct request *const order[] = {&whole, &other, &beginning};
    int64_t computed[3] = {0};
    for (int i = 0; b && i < 3; i++) {
        struct response r;
        int64_t before = backend_stats(b).tokens_computed;
        ask_all(b, &a, order[i], 1, 0, &r);
        computed[i] = backend_stats(b).tokens_computed - before;
    }
    EXPECT(computed[0] >= 128);
    EXPECT_INT(computed[2], 1); /* the last row, which predicts */
    backend_close(b);
    buf_free(&text);
    arena_free(&a);
}

static struct value *message(struct arena *a, const char *role, const char *content)
{
    struct value *m = value_dict(a);
    dict_set(a, m, "role", value_strz(a, role));
    dict_set(a, m, "content", value_strz(a, content));
    return m;
}

/* As transformers' apply_chat_template renders them, from a folder and from GGUF. */
static void chats_are_rendered(void)
{
    static const char *const kinds[] = {"hf-f32", "gguf-f32"};
    struct arena a = {0};
    struct value *messages = value_list(&a), *open = value_list(&a);
    list_push(&a, messages, message(&a, "system", "Be brief."));
    list_push(&a, messages, message(&a, "user", "Hi"));
    for (size_t i = 0; i < 2; i++)
        list_push(&a, open, messages->list.items[i]);
    list_push(&a, open, message(&a, "assistant", "The answer is "));
    for (int i = 0; i < 2; i++) {
        struct asking how = {0};
        struct backend *b = open_backend(make(&a, &(struct tiny_model){.kind = kinds[i]}), &how);
        struct str text = {0};
        struct error err;
        if (!b)
            continue;
        EXPECT_OK(backend_render_chat(b, &a, messages, true, false, &text, &err), &err);
        EXPECT_STR(text, STR("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi"
                             "<|im_end|>\n<|im_start|>assistant\n"));
        EXPECT_OK(backend_render_chat(b, &a, open, false, true, &text, &err), &err);
        EXPECT_STR(text, STR("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi"
                             "<|im_end|>\n<|im_start|>assistant\nThe answer is "));
        backend_close(b);
        b = open_backend(make(&a, &(struct tiny_model){.kind = kinds[i], .no_chat_template = true}),
                         &how);
        if (b)
            EXPECT_ERROR(backend_render_chat(b, &a, messages, true, false, &text, &err), &err,
                         E_UNSUPPORTED, "no chat template");
        backend_close(b);
    }
    arena_free(&a);
}

/* A template that cannot be read only matters to who wants to chat. */
static void broken_chat_templates_wait(void)
{
    struct arena a = {0};
    const char *path = make(&a, &(struct tiny_model){.kind = "hf-f32"});
    patch(&a, path_join(&a, path, "tokenizer_config.json"), STR("{%"), STR("{% nonsense"));
    struct asking how = {0};
    struct backend *b = open_backend(path, &how);
    struct value *messages = value_list(&a);
    struct str text;
    struct error err;
    list_push(&a, messages, message(&a, "user", "Hi"));
    if (b)
        EXPECT_ERROR(backend_render_chat(b, &a, messages, true, false, &text, &err), &err, E_INPUT,
                     "chat template");
    backend_close(b);
    arena_free(&a);
}

/* ---- damaged models ---- */

static int try_open(const char *path, struct error *err)
{
    struct backend_options options = {.n_threads = 1, .features = UINT_MAX};
    struct backend *b = NULL;
    int r = backend_open(path, &options, &b, err);
    backend_close(b);
    return r;
}

static void what_is_wrong_is_named(void)
{
    static const struct {
        struct tiny_model t;
        int code;
        const char *words;
    } cases[] = {
        {{.kind = "hf-f32", .architecture = "gptx"}, E_UNSUPPORTED, "\"gptx\""},
        {{.kind = "gguf-f32", .architecture = "gptx"}, E_UNSUPPORTED, "known: llama"},
        {{.kind = "hf-f32", .missing = "model.norm.weight"}, E_INPUT, "model.norm.weight"},
        {{.kind = "hf-sharded", .missing = "model.layers.1.mlp.up_proj.weight"},
         E_INPUT,
         "model.layers.1.mlp.up_proj.weight"},
        {{.kind = "gguf-q4_0", .missing = "token_embd.weight"}, E_INPUT, "token_embd.weight"},
        {{.kind = "gguf-q4_0", .missing = "blk.0.attn_q.weight"}, E_INPUT, "blk.0.attn_q.weight"},
        {{.kind = "hf-f16", .misshapen = "model.layers.0.self_attn.k_proj.weight"},
         E_INPUT,
         "[64, 64]"},
        {{.kind = "gguf-q8_0", .misshapen = "blk.1.ffn_norm.weight"}, E_INPUT, "blk.1.ffn_norm"},
        {{.kind = "gguf-f32", .misshapen = "output.weight", .untied = true}, E_INPUT, "output.w"},
        {{.kind = "hf-bf16", .outside = "model.norm.weight"}, E_INPUT, "outside the file"},
        {{.kind = "gguf-q4_1", .outside = "output_norm.weight"}, E_INPUT, "outside the file"},
        {{.kind = "hf-f32", .no_tokenizer = true}, E_IO, "tokenizer.json"},
        {{.kind = "gguf-f32", .no_tokenizer = true}, E_INPUT, "no tokenizer"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err;
        EXPECT_ERROR(try_open(make(&a, &cases[i].t), &err), &err, cases[i].code, cases[i].words);
    }
    arena_free(&a);
}

static void damaged_folders(void)
{
    static const struct {
        const char *file, *from, *to;
        int code;
        const char *words;
    } cases[] = {
        {"config.json", "{", "[", E_INPUT, "config.json"},
        {"config.json", "\"hidden_size\": 64", "\"hidden_size\": -64", E_INPUT, "hidden_size"},
        {"config.json", "\"hidden_size\": 64", "\"hidden_size\": 32", E_INPUT, "shape"},
        {"config.json", "\"hidden_size\": 64", "\"hidden_size\": \"x\"", E_INPUT, "hidden_size"},
        {"config.json", "\"hidden_size\": 64,", "", E_INPUT, "lack \"hidden_size\""},
        {"config.json", "heads\": 4", "heads\": 3", E_INPUT, "no shape that can be computed"},
        {"config.json", "_layers\": 2", "_layers\": 3", E_INPUT, "model.layers.2."},
        {"config.json", "_layers\": 2", "_layers\": 16000000", E_INPUT, "layers"},
        {"config.json", "\"head_dim\": 16", "\"head_dim\": 15", E_INPUT, "size 15"},
        {"config.json", "1e-05", "0", E_INPUT, "rms_norm_eps"},
        {"config.json", "\"rope_theta\"",
         "\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0}, \"rope_theta\"",
         E_UNSUPPORTED, "\"yarn\""},
        {"config.json", "\"silu\"", "\"gelu\"", E_UNSUPPORTED, "gelu"},
        {"config.json", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", E_INPUT,
         "lm_head.weight"},
        {"model.safetensors", "\"F32\"", "\"F64\"", E_INPUT, "extent"},
        {"model.safetensors", "\"F32\"", "\"F99\"", E_UNSUPPORTED, "F99"},
        {"model.safetensors", "[282,64]", "[282,65]", E_INPUT, "extent"},
        {"model.safetensors", "[282,64]", "[2e2,64]", E_INPUT, "shape"},
        {"model.safetensors", "[282,64]", "[-28,64]", E_INPUT, "shape"},
        {"model.safetensors", "[282,64],\"data_offsets\":[0,72192]",
         "[      ],\"data_offsets\":[0,    4]", E_INPUT, "has the shape []"},
        {"model.safetensors", "[282,64]", "     [] ", E_INPUT, "extent"},
        {"model.safetensors", "[282,64]", "[0,1  ]", E_INPUT, ""},
        {"model.safetensors", "{\"dtype\"", "[\"dtype\"", E_INPUT, "model.safetensors"},
        {"model.safetensors", "\"data_offsets\":[0,", "\"data_offsets\":[9,", E_INPUT, "extent"},
        {"tokenizer.json", "{", "", E_INPUT, "tokenizer.json"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make(&a, &(struct tiny_model){.kind = "hf-f32"});
        struct error err;
        patch(&a, path_join(&a, path, cases[i].file), str_of(cases[i].from), str_of(cases[i].to));
        EXPECT_ERROR(try_open(path, &err), &err, cases[i].code, cases[i].words);
    }
    arena_free(&a);
}

static void folders_without_their_files(void)
{
    static const struct {
        const char *kind, *file;
        int code;
        const char *words;
    } cases[] = {
        {"hf-f32", "config.json", E_IO, "config.json"},
        {"hf-f32", "model.safetensors", E_IO, "model.safetensors"},
        {"hf-f32", "tokenizer.json", E_IO, "tokenizer.json"},
        {"hf-sharded", "model-00002-of-00002.safetensors", E_IO, "model-00002-of-00002"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make(&a, &(struct tiny_model){.kind = cases[i].kind});
        struct error err;
        EXPECT_INT(unlink(path_join(&a, path, cases[i].file)), 0);
        EXPECT_ERROR(try_open(path, &err), &err, cases[i].code, cases[i].words);
    }
    arena_free(&a);
}

static void not_models_at_all(void)
{
    static const struct {
        struct str content;
        int code;
        const char *words;
    } cases[] = {
        {{"", 0}, E_INPUT, "empty"},
        {{"GGU", 3}, E_INPUT, "GGUF"},
        {{"ggml or something else", 22}, E_INPUT, "does not begin with GGUF"},
        {{"GGUF\1\0\0\0", 8}, E_UNSUPPORTED, "version 1"},
        {{"GGUF\0\0\0\3", 8}, E_UNSUPPORTED, "big-endian"},
        {{"GGUF\3\0\0\0\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\0", 24},
         E_INPUT,
         "truncated"},
        {{"GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24}, E_UNSUPPORTED, "architecture"},
    };
    struct arena a = {0};
    const char *path = path_join(&a, folder(), "no-model.gguf");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err;
        EXPECT_OK(file_write(path, cases[i].content, &err), &err);
        EXPECT_ERROR(try_open(path, &err), &err, cases[i].code, cases[i].words);
    }
    arena_free(&a);
}

/* Wherever a file ends, it is a sentence. The header at every byte, the data in strides. */
static void truncated_at_every_byte(void)
{
    static const char *const kinds[] = {"gguf-q4_0", "hf-f16"};
    struct arena a = {0};
    for (int i = 0; i < 2; i++) {
        const char *path = make(&a, &(struct tiny_model){.kind = kinds[i]});
        const char *file = i ? path_join(&a, path, "model.safetensors") : path;
        struct stat st;
        if (stat(file, &st) < 0)
            break;
        int accepted = 0;
        for (off_t n = st.st_size - 40; n >= 0; n -= n > 16384 ? 997 : 1) {
            struct error err = {0};
            EXPECT_INT(truncate(file, n), 0);
            int r = try_open(path, &err);
            accepted += r == 0;
            EXPECT(r == 0 || strlen(err.msg) > 20);
        }
        EXPECT_INT(accepted, 0);
    }
    arena_free(&a);
}

/* A byte of the header is wrong: whatever follows, it is no crash, and a failure has a sentence. */
static void damaged_at_any_byte(void)
{
    static const char *const kinds[] = {"gguf-q4_0", "hf-f16"};
    static const unsigned char flips[] = {0xff, 0x01, 0x80};
    struct arena a = {0};
    for (int i = 0; i < 2; i++) {
        const char *path = make(&a, &(struct tiny_model){.kind = kinds[i]});
        int fd = open(i ? path_join(&a, path, "model.safetensors") : path, O_RDWR);
        for (off_t at = 0; at < (i ? 2400 : 9000); at += 1 + at % 5) {
            unsigned char was, now;
            EXPECT_INT(pread(fd, &was, 1, at), 1);
            now = was ^ flips[at % 3];
            EXPECT_INT(pwrite(fd, &now, 1, at), 1);
            struct error err = {0};
            int r = try_open(path, &err);
            EXPECT(r == 0 || strlen(err.msg) > 20);
            EXPECT_INT(pwrite(fd, &was, 1, at), 1);
        }
        close(fd);
    }
    arena_free(&a);
}

/* The tokenizer knows a token that the model has no row for: found where it is used, also in a
 * later window of a rolling text. */
static void tokenizer_of_another_model(void)
{
    struct arena a = {0};
    const char *path = make(&a, &(struct tiny_model){.kind = "hf-f32"});
    patch(&a, path_join(&a, path, "tokenizer.json"), STR("\"as\": 281"), STR("\"as\": 9281"));
    struct asking how = {0};
    struct backend *b = open_backend(path, &how);
    if (b) {
        struct buf text = {0};
        for (int i = 0; i < 300; i++)
            buf_puts(&text, "!?");
        buf_puts(&text, "as");
        struct request q = {.kind = REQUEST_LOGLIKELIHOOD_ROLLING, .context = buf_view(&text)};
        struct error err;
        EXPECT_ERROR(backend_submit(b, &q, 0, &err), &err, E_INPUT, "another model");
        struct request good = loglikelihood("The", " and");
        struct response r;
        ask_all(b, &a, &good, 1, 0, &r);
        EXPECT_INT(r.error, 0);
        buf_free(&text);
        backend_close(b);
    }
    arena_free(&a);
}

/* Rows of the embedding are read while the engine works. */
static void files_that_change(void)
{
    struct arena a = {0};
    const char *path = make(&a, &(struct tiny_model){.kind = "gguf-f16"});
    struct asking how = {0};
    struct request q = loglikelihood("The", " and");
    struct completion c;
    struct error err;
    for (int shorter = 0; shorter < 2; shorter++) {
        struct str whole;
        EXPECT_OK(file_read(&a, path, 1 << 30, &whole, &err), &err);
        struct backend *b = open_backend(path, &how);
        if (!b)
            break;
        EXPECT_OK(backend_submit(b, &q, 0, &err), &err);
        EXPECT_INT(truncate(path, shorter ? 100 : (off_t)whole.n + 1), 0);
        EXPECT_ERROR(backend_poll(b, &a, &c, 1, &err), &err, E_IO, "changed since it was opened");
        backend_close(b);
        EXPECT_OK(file_write(path, whole, &err), &err);
    }
    arena_free(&a);
}

/* A cache that no memory holds, one without a page, and a request that the cache does not hold. */
static void memory_is_foreseen(void)
{
    struct arena a = {0};
    const char *path = make(&a, &(struct tiny_model){.kind = "gguf-f16"});
    struct error err;
    struct asking small = {.kv_bytes = 32 * POSITION_BYTES};
    struct backend *b = open_backend(path, &small);
    if (b) {
        struct request q = generation("The", 100);
        EXPECT_ERROR(backend_submit(b, &q, 0, &err), &err, E_MEMORY, "--kv-memory");
        backend_close(b);
    }
    struct backend_options vast = {.features = UINT_MAX, .kv_bytes = (size_t)1 << 50};
    EXPECT_ERROR(backend_open(path, &vast, &b, &err), &err, E_MEMORY, "lower --kv-memory");
    struct backend_options none = {.features = UINT_MAX, .kv_bytes = 100};
    EXPECT_ERROR(backend_open(path, &none, &b, &err), &err, E_MEMORY, "--kv-memory=");
    arena_free(&a);
}

/* What the engine takes when nobody says: less where there is less, and a sentence where nothing
 * will do. */
static void cache_fits_the_memory(void)
{
    static const struct {
        size_t available, kv;
        const char *words; /* of the error; NULL: none */
    } cases[] = {
        {(size_t)8 << 30, 16384 * POSITION_BYTES, NULL}, /* as much as serves well */
        {(size_t)100 << 20, 16384 * POSITION_BYTES, NULL},
        {(size_t)36 << 20, 0, NULL}, /* what is left */
        {(size_t)20 << 20, 0, "MiB of weights"},
    };
    struct arena a = {0};
    struct error err;
    struct pool *pool = pool_new(1);
    struct kernels k = kernels_cpu(UINT_MAX, pool);
    struct model *m = NULL;
    const char *path = make(&a, &(struct tiny_model){.kind = "gguf-f16"});
    EXPECT_OK(model_open(path, pool, &m, &err), &err);
    for (size_t i = 0; m && i < sizeof cases / sizeof *cases; i++) {
        struct engine_options o = {.token_budget = 256, .max_length = 1 << 14, .pool = pool};
        int r = foresee(m, &k, &o, cases[i].available, &err);
        if (cases[i].words) {
            EXPECT_ERROR(r, &err, E_MEMORY, cases[i].words);
            continue;
        }
        EXPECT_OK(r, &err);
        if (cases[i].kv)
            EXPECT_INT(o.kv_bytes, cases[i].kv);
        else
            EXPECT(o.kv_bytes >= 1024 * POSITION_BYTES && o.kv_bytes < 8192 * POSITION_BYTES);
    }
    model_close(m);
    k.close(k.dev);
    pool_free(pool);
    arena_free(&a);
}

/* Weights that quant= made are in memory already and go as they are packed: they do not count
 * twice. */
static void packing_is_foreseen(void)
{
    struct arena a = {0};
    struct error err;
    struct scheme q8_0 = {0};
    EXPECT_OK(scheme_make(&a, &(struct scheme_words){.quant = "q8_0"}, "m", &q8_0, &err), &err);
    struct pool *pool = pool_new(1);
    struct kernels scalar = kernels_cpu(0, pool), fast = kernels_cpu(UINT_MAX, pool);
    const char *path = make(&a, &(struct tiny_model){.kind = "gguf-f32"});
    for (int quantized = 0; quantized < 2; quantized++) {
        struct model *m = NULL;
        EXPECT_OK(model_open(path, pool, &m, &err), &err);
        if (!m)
            continue;
        struct quantize_options o = {.scheme = &q8_0, .k = &scalar, .pool = pool};
        if (quantized)
            EXPECT_OK(model_quantize(m, &o, &err), &err);
        size_t file = quantized ? 0 : m->weight_bytes, packed = model_pack_bytes(m, &fast);
        EXPECT_INT(model_pack_bytes(m, &scalar), file);
        if (quantized)
            EXPECT(packed <= m->weight_bytes / 2);
        else
            EXPECT(packed >= m->weight_bytes);
        model_close(m);
    }
    scalar.close(scalar.dev);
    fast.close(fast.dev);
    pool_free(pool);
    arena_free(&a);
}

static void clean_up(void)
{
    char command[200];
    snprintf(command, sizeof command, "rm -rf '%s'", folder());
    EXPECT_INT(system(command), 0);
}

CHECK_MAIN({"formats_agree_with_transformers", formats_agree_with_transformers},
           {"untied_heads_and_biases", untied_heads_and_biases},
           {"generation_agrees_with_transformers", generation_agrees_with_transformers},
           {"quantizing_at_load_is_quantizing_before", quantizing_at_load_is_quantizing_before},
           {"quantized_answers_depend_on_their_tokens", quantized_answers_depend_on_their_tokens},
           {"quantization_is_refused", quantization_is_refused},
           {"dtypes_round_activations", dtypes_round_activations},
           {"rope_scaling_agrees_with_transformers", rope_scaling_agrees_with_transformers},
           {"stops_at_strings_and_ids", stops_at_strings_and_ids},
           {"stops_where_the_config_says", stops_where_the_config_says},
           {"stops_at_a_spelled_eos", stops_at_a_spelled_eos},
           {"closes_with_requests_in_flight", closes_with_requests_in_flight},
           {"beginnings_outlive_ends", beginnings_outlive_ends},
           {"chats_are_rendered", chats_are_rendered},
           {"broken_chat_templates_wait", broken_chat_templates_wait},
           {"what_is_wrong_is_named", what_is_wrong_is_named}, {"damaged_folders", damaged_folders},
           {"folders_without_their_files", folders_without_their_files},
           {"not_models_at_all", not_models_at_all},
           {"truncated_at_every_byte", truncated_at_every_byte},
           {"damaged_at_any_byte", damaged_at_any_byte},
           {"tokenizer_of_another_model", tokenizer_of_another_model},
           {"files_that_change", files_that_change}, {"memory_is_foreseen", memory_is_foreseen},
           {"cache_fits_the_memory", cache_fits_the_memory},
           {"packing_is_foreseen", packing_is_foreseen}, {"clean_up", clean_up})
