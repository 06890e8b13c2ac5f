/* lm-evaluation-harness' files: its keys, its shapes, its hashes. */
#include "base/file.h"
#include "base/json.h"
#include "results/lmeval_export.h"
#include "results/sha256.h"
#include "tests/results/fixture.h"

static struct error err;

/* The examples of FIPS 180-4, and the edges of its padding against Python's hashlib. */
static void hashes(void)
{
    static const struct {
        int n; /* of 'a'; -1: "abc" */
        const char *want;
    } cases[] = {
        {-1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    char *text = mem_alloc(1000000, 1);
    memset(text, 'a', 1000000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[SHA256_HEX];
        sha256_of(cases[i].n < 0 ? STR("abc") : (struct str){text, (size_t)cases[i].n}, got);
        EXPECT_Z(got, cases[i].want);
    }
    free(text);
}

static struct value *line_of(struct arena *a, const char *path, int number, int *n_lines)
{
    struct str text = STR("");
    struct value *ret = NULL;
    EXPECT_OK(file_read(a, path, FILE_LIMIT_TEXT, &text, &err), &err);
    *n_lines = 0;
    for (size_t from = 0; from < text.n;) {
        size_t to = str_find(text, STR("\n"), from);
        struct value *v = NULL;
        EXPECT_OK(json_parse(a, str_slice(text, from, to), path, &v, &err), &err);
        if ((*n_lines)++ == number)
            ret = v;
        from = to + 1;
    }
    return ret;
}

static void expect_json(struct arena *a, const struct value *v, const char *want)
{
    EXPECT_STR(v ? json_text(a, v) : STR("nothing"), str_of(want));
}

static const struct value *at(const struct value *v, const char *a, const char *b)
{
    const struct value *ret = dict_get(v, a);
    return b ? dict_get(ret, b) : ret;
}

static void writes_multiple_choice(void)
{
    struct store *s = fixture_open(&err);
    struct arena a = {0};
    fixture_pair(s, &err);
    static const struct lmeval_part parts[] = {{1, 40}, {2, 10}};
    struct lmeval_run run = {.dir = fixture_path("out/deep"),
                             .parts = parts,
                             .n_parts = 2,
                             .model_args = "models/some",
                             .limit = -1,
                             .bootstrap_iters = 100000,
                             .date = 1700000000.5,
                             .seconds = 12.25,
                             .version = "0.1.0"};
    EXPECT_OK(lmeval_export(s, &run, &err), &err);

    struct value *v = NULL;
    EXPECT_OK(json_read(&a, fixture_path("out/deep/results.json"), &v, &err), &err);
    expect_json(&a, at(at(v, "results", NULL), "arc_easy", "acc,none"), "0.75");
    expect_json(&a, at(at(v, "results", NULL), "arc", "acc,none"), "0.7");
    expect_json(&a, at(at(v, "groups", NULL), "arc", "sample_len"), "50");
    expect_json(&a, at(v, "group_subtasks", NULL), "{\"arc\": [\"arc_easy\", \"arc_hard\"]}");
    expect_json(&a, at(v, "configs", "arc_hard"), "{\"task\": \"arc\"}");
    expect_json(&a, at(v, "versions", "arc_hard"), "\"1.0\"");
    expect_json(&a, at(v, "n-shot", "arc_easy"), "0");
    expect_json(&a, at(v, "higher_is_better", "arc_easy"), "{\"acc\": true, \"acc_norm\": true}");
    expect_json(&a, at(v, "n-samples", "arc_hard"), "{\"original\": 1000, \"effective\": 10}");
    expect_json(&a, at(v, "config", "model_args"), "\"models/some\"");
    expect_json(&a, at(v, "config", "limit"), "null");
    expect_json(&a, at(v, "model_name", NULL), "\"a\"");
    expect_json(&a, at(v, "date", NULL), "1700000000.5");
    expect_json(&a, at(v, "total_evaluation_time_seconds", NULL), "\"12.25\"");

    int n = 0;
    v = line_of(&a, fixture_path("out/deep/samples_arc_easy.jsonl"), 4, &n);
    EXPECT_INT(n, 40);
    expect_json(&a, at(v, "doc_id", NULL), "4");
    expect_json(&a, at(v, "doc", NULL), "{\"question\": \"what is <4>?\"}");
    expect_json(&a, at(v, "target", NULL), "\"0\"");
    expect_json(&a, at(v, "arguments", "gen_args_1"),
                "{\"arg_0\": \"Question: what is <4>?\\nAnswer:\", \"arg_1\": \" that\"}");
    expect_json(&a, at(v, "resps", NULL), "[[[\"-3.0\", \"False\"]], [[\"-2.0\", \"True\"]]]");
    expect_json(&a, at(v, "filtered_resps", NULL), "[[\"-3\", \"False\"], [\"-2\", \"True\"]]");
    expect_json(&a, at(v, "filter", NULL), "\"none\"");
    expect_json(&a, at(v, "metrics", NULL), "[\"acc\", \"acc_norm\"]");
    expect_json(&a, at(v, "acc", NULL), "0.0");
    /* hashlib.sha256(json.dumps(doc, indent=2, ensure_ascii=False).encode()).hexdigest() */
    expect_json(&a, at(v, "doc_hash", NULL),
                "\"001d49c9e51c3ce237ff737bb3e7ec9e18e20bb12bf81af8609434b8716a3ba5\"");
    expect_json(&a, at(v, "prompt_hash", NULL),
                "\"483bea63d00a890ed918a3c4777c1e49e3d22da8821e69bbdd8a1cbc91f94cca\"");
    expect_json(&a, at(v, "target_hash", NULL),
                "\"5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9\"");
    arena_free(&a);
    store_close(s);
    fixture_end();
}

/* Repeats are one request with several answers; each filter has its own lines. */
static void writes_generation(void)
{
    struct store *s = fixture_open(&err);
    struct arena a = {0};
    struct evaluation e = fixture_evaluation("h", "org/model:x", "code/gen");
    e.output_type = "generate_until";
    e.config_json = "{\"generation_kwargs\": {\"until\": [\"\\n\"], \"do_sample\": false}, "
                    "\"metadata\": {\"version\": 3.0}}";
    int64_t id = 0;
    EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
    struct request_row q[2] = {{.prompt = STR("p"), .response = STR("one"), .logprob_nats = NAN},
                               {.prompt = STR("p"), .response = STR("two"), .logprob_nats = NAN}};
    struct score_row c[] = {{"exact_match", "strict", 1, 1, NULL, 0},
                            {"exact_match", "lax", 0, 1, NULL, 0}};
    struct sample_row row = {.doc_id = 0,
                             .doc_json = STR("{\"q\": \"\xe6\x97\xa5\"}"),
                             .target = STR("t"),
                             .requests = q,
                             .n_requests = 2,
                             .scores = c,
                             .n_scores = 2,
                             .filtered_json = STR("{\"strict\": \"one\", \"lax\": [\"a\", 2]}")};
    EXPECT_OK(store_sample(s, id, &row, &err), &err);
    row.doc_id = 1;
    row.error = "it failed";
    EXPECT_OK(store_sample(s, id, &row, &err), &err);
    EXPECT_OK(store_aggregate(s, id, 2, 0, &err), &err);
    struct lmeval_part part = {id, 2};
    struct lmeval_run run = {.dir = fixture_path("out"),
                             .parts = &part,
                             .n_parts = 1,
                             .limit = 2,
                             .chat_template = "{{ x }}"};
    EXPECT_OK(lmeval_export(s, &run, &err), &err);
    int n = 0;
    struct value *v = line_of(&a, fixture_path("out/samples_code__gen.jsonl"), 0, &n);
    EXPECT_INT(n, 2);
    expect_json(&a, at(v, "filter", NULL), "\"strict\"");
    expect_json(&a, at(v, "resps", NULL), "[[\"one\", \"two\"]]");
    expect_json(&a, at(v, "filtered_resps", NULL), "[\"one\"]");
    expect_json(&a, at(v, "arguments", NULL),
                "{\"gen_args_0\": {\"arg_0\": \"p\", \"arg_1\": {\"until\": [\"\\n\"], "
                "\"do_sample\": false}}}");
    expect_json(&a, at(v, "exact_match", NULL), "1.0");
    v = line_of(&a, fixture_path("out/samples_code__gen.jsonl"), 1, &n);
    expect_json(&a, at(v, "filtered_resps", NULL), "[[\"a\", \"2\"]]");
    EXPECT_OK(json_read(&a, fixture_path("out/results.json"), &v, &err), &err);
    expect_json(&a, at(v, "versions", NULL), "{\"code/gen\": 3.0}");
    expect_json(&a, at(v, "model_name_sanitized", NULL), "\"org__model__x\"");
    expect_json(&a, at(v, "config", "limit"), "2.0");
    expect_json(&a, at(at(v, "results", NULL), "code/gen", "exact_match_stderr,lax"), "\"N/A\"");
    EXPECT(at(v, "chat_template_sha", NULL)->type == VALUE_STR);
    EXPECT_Z(lmeval_folder(&a, "out", "..", 2), "out/_..");
    EXPECT_Z(lmeval_folder(&a, "out", "a/b", 2), "out/a__b");
    EXPECT_Z(lmeval_folder(&a, "out", "a/b", 1), "out");

    run.dir = fixture_path("a.db/x");
    EXPECT_ERROR(lmeval_export(s, &run, &err), &err, E_IO, "a.db");
    arena_free(&a);
    store_close(s);
    fixture_end();
}

/* A perplexity keeps its words beside the log-likelihood, and needs no filter to be exported. */
static void writes_rolling(void)
{
    struct store *s = fixture_open(&err);
    struct arena a = {0};
    struct evaluation e = fixture_evaluation("h", "m", "wikitext");
    e.output_type = "loglikelihood_rolling";
    int64_t id = 0;
    EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
    struct request_row q = {.prompt = STR("some text"), .logprob_nats = -12.5};
    struct score_row c = {"word_perplexity", "none", -12.5, 2, NULL, 0};
    struct sample_row row = {.doc_id = 3,
                             .doc_json = STR("{}"),
                             .requests = &q,
                             .n_requests = 1,
                             .scores = &c,
                             .n_scores = 1};
    EXPECT_OK(store_sample(s, id, &row, &err), &err);
    EXPECT_OK(store_aggregate(s, id, 4, 0, &err), &err);
    struct lmeval_part part = {id, 4};
    struct lmeval_run run = {.dir = fixture_path("out"), .parts = &part, .n_parts = 1, .limit = 4};
    EXPECT_OK(lmeval_export(s, &run, &err), &err);
    int n = 0;
    struct value *v = line_of(&a, fixture_path("out/samples_wikitext.jsonl"), 0, &n);
    EXPECT_INT(n, 1);
    expect_json(&a, at(v, "arguments", NULL), "{\"gen_args_0\": {\"arg_0\": \"some text\"}}");
    expect_json(&a, at(v, "resps", NULL), "[[\"-12.5\"]]");
    expect_json(&a, at(v, "filtered_resps", NULL), "[\"-12.5\"]");
    expect_json(&a, at(v, "word_perplexity", NULL), "[-12.5, 2.0]");
    arena_free(&a);
    store_close(s);
    fixture_end();
}

CHECK_MAIN({"hashes", hashes}, {"writes_multiple_choice", writes_multiple_choice},
           {"writes_generation", writes_generation}, {"writes_rolling", writes_rolling})
