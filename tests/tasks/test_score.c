/* Scores of documents, from responses made up here. The other half of tasks/ is replaced: what the
 * definition makes of a document stands in the document's fields "text", "target" and "choices". */
#include "base/json.h"
#include "tasks/task_internal.h"

#include "tests/check.h"

int task_doc_to_text(const struct task *t, struct arena *a, const struct value *doc,
                     const struct value **ret, struct error *err)
{
    (void)t, (void)a, (void)err;
    *ret = dict_get(doc, "text");
    return 0;
}

int task_doc_to_target(const struct task *t, struct arena *a, const struct value *doc,
                       const struct value **ret, struct error *err)
{
    (void)t, (void)a, (void)err;
    *ret = dict_get(doc, "target");
    return 0;
}

int task_doc_to_choice(const struct task *t, struct arena *a, const struct value *doc,
                       const struct value **ret, struct error *err)
{
    (void)t, (void)a, (void)err;
    *ret = dict_get(doc, "choices");
    return 0;
}

const char *function_name(const struct value *v)
{
    return v && v->type == VALUE_STR ? v->s.p : NULL; /* JSON has no tags: the string names it */
}

/* ---- a task made by hand ---- */

static struct arena arena;

static const struct value *json(const char *text)
{
    struct value *v = NULL;
    struct error err;
    EXPECT_OK(json_parse(&arena, str_of(text), "test", &v, &err), &err);
    return v;
}

/* metrics: {"acc": {}, ...} with their arguments; filters: {"none": [{"function": ...}]}. */
static struct task *make(enum output_type output, const char *metrics, const char *filters)
{
    struct task *t = arena_alloc(&arena, sizeof *t);
    const struct value *m = json(metrics), *f = json(filters);
    struct task_metric *list = arena_array(&arena, m->dict.n, sizeof *list);
    struct task_pipeline *pipelines = arena_array(&arena, f->dict.n, sizeof *pipelines);
    for (size_t i = 0; i < m->dict.n; i++) {
        const char *name = m->dict.entries[i].key->s.p;
        list[i] = (struct task_metric){.name = name,
                                       .is_function = strcmp(name, "pass_at_k") == 0,
                                       .kwargs = m->dict.entries[i].value,
                                       .line = 7};
    }
    for (size_t i = 0; i < f->dict.n; i++) {
        const struct value *steps = f->dict.entries[i].value;
        struct task_filter_step *s = arena_array(&arena, steps->list.n, sizeof *s);
        for (size_t j = 0; j < steps->list.n; j++) {
            struct value *kwargs = value_dict(&arena);
            const struct value *from = steps->list.items[j];
            for (size_t k = 0; k < from->dict.n; k++)
                if (!str_eqz(from->dict.entries[k].key->s, "function"))
                    dict_put(&arena, kwargs, from->dict.entries[k].key,
                             from->dict.entries[k].value);
            s[j] = (struct task_filter_step){dict_get(from, "function")->s.p, kwargs, 9};
        }
        pipelines[i] = (struct task_pipeline){f->dict.entries[i].key->s.p, s, (int)steps->list.n};
    }
    t->info.name = "made";
    t->file = "made.yaml";
    t->output = output;
    t->repeats = 1;
    t->metrics = list;
    t->n_metrics = (int)m->dict.n;
    t->pipelines = pipelines;
    t->n_pipelines = (int)f->dict.n;
    return t;
}

static const char take_first[] = "{\"none\": [{\"function\": \"take_first\"}]}";

static struct task *opened(struct task *t)
{
    struct error err;
    EXPECT_OK(scoring_open(t, &err), &err);
    return t;
}

static int score(const struct task *t, const char *doc, const struct response *responses, int n,
                 struct scored *ret, struct error *err)
{
    struct asked q = {.doc_id = 3, .doc = json(doc), .n_requests = n};
    *ret = (struct scored){0};
    return task_score(t, &arena, &q, responses, ret, err);
}

static struct scored scored_texts(const struct task *t, const char *doc, const char *const *texts,
                                  int n)
{
    struct response r[8] = {0};
    struct scored s;
    struct error err;
    for (int i = 0; i < n; i++)
        r[i].text = str_of(texts[i]);
    EXPECT_OK(score(t, doc, r, n, &s, &err), &err);
    return s;
}

/* The greedy ones are those that `greedy` has a 1 for. */
static struct scored scored_logprobs(const struct task *t, const char *doc, const double *logprobs,
                                     int n, unsigned greedy)
{
    struct response r[8] = {0};
    struct scored s;
    struct error err;
    for (int i = 0; i < n; i++) {
        r[i].logprob_nats = logprobs[i];
        r[i].is_greedy = greedy >> i & 1;
    }
    EXPECT_OK(score(t, doc, r, n, &s, &err), &err);
    return s;
}

static double value_of(const struct scored *s, const char *metric, const char *filter)
{
    for (int i = 0; i < s->n_scores; i++)
        if (strcmp(s->scores[i].metric, metric) == 0 && strcmp(s->scores[i].filter, filter) == 0)
            return s->scores[i].value;
    return NAN;
}

static struct str filtered_json(const struct scored *s, int i)
{
    return json_text(&arena, s->filtered[i].resps);
}

/* ---- multiple_choice ---- */

static const char all_choice_metrics[] =
    "{\"acc\": {}, \"acc_norm\": {}, \"acc_bytes\": {}, \"exact_match\": {}, \"brier_score\": {}}";

static void multiple_choice(void)
{
    struct task *t = opened(make(OUTPUT_MULTIPLE_CHOICE, all_choice_metrics, take_first));
    /* per character -3, -1.5, -1.25; per byte -3, -1.5, -0.625: the last is four characters of two
     * bytes each */
    const char *doc =
        "{\"choices\": [\"a\", \"bb\", \"\\u00e9\\u00e9\\u00e9\\u00e9\"], \"target\": 2}";
    double lls[] = {-3, -3, -5};
    struct scored s = scored_logprobs(t, doc, lls, 3, 4);
    EXPECT_NEAR(value_of(&s, "acc", "none"), 0, 0); /* ties go to the first */
    EXPECT_NEAR(value_of(&s, "acc_norm", "none"), 1, 0);
    EXPECT_NEAR(value_of(&s, "acc_bytes", "none"), 1, 0);
    EXPECT_NEAR(value_of(&s, "exact_match", "none"), 1, 0);
    double p = exp(-3) / (2 * exp(-3) + exp(-5)), q = 1 - 2 * p;
    EXPECT_NEAR(value_of(&s, "brier_score", "none"), 2 * p * p + (1 - q) * (1 - q), 1e-12);
    EXPECT_INT(s.n_scores, 5);
    EXPECT_NEAR(s.scores[0].weight, 1, 0);
    EXPECT_STR(filtered_json(&s, 0), STR("[[-3.0, false], [-3.0, false], [-5.0, true]]"));

    /* characters and bytes disagree */
    const char *wide = "{\"choices\": [\"abc\", \"\\u00e9\\u00e9\"], \"target\": 0}";
    double near_[] = {-3, -2.5};
    s = scored_logprobs(t, wide, near_, 2, 0);
    EXPECT_NEAR(value_of(&s, "acc_norm", "none"), 1, 0);  /* -1 against -1.25 */
    EXPECT_NEAR(value_of(&s, "acc_bytes", "none"), 0, 0); /* -1 against -0.625 */
    scoring_close(t->scoring);
}

static void golds(void)
{
    struct task *t = opened(make(OUTPUT_MULTIPLE_CHOICE, all_choice_metrics, take_first));
    static const struct {
        const char *gold;
        double acc, exact;
    } cases[] = {
        {"1", 1, 1},      {"0", 0, 0},      {"\"y\"", 1, 1},  {"\"nowhere\"", 0, 0},
        {"7", 0, 0},      {"-100", 0, 0},   {"[0, 1]", 1, 1}, {"[0, 2]", 0, 0},
        {"[9, 1]", 1, 1}, {"[9, 8]", 0, 0}, {"[]", 0, 0},     {"true", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *doc = arena_printf(
            &arena, "{\"choices\": [\"x\", \"y\", \"z\"], \"target\": %s}", cases[i].gold);
        struct scored s = scored_logprobs(t, doc, (double[]){-2, -1, -3}, 3, 2);
        EXPECT_NEAR(value_of(&s, "acc", "none"), cases[i].acc, 0);
        EXPECT_NEAR(value_of(&s, "exact_match", "none"), cases[i].exact, 0);
    }
    scoring_close(t->scoring);
}

static void mutual_information(void)
{
    struct task *t =
        opened(make(OUTPUT_MULTIPLE_CHOICE, "{\"acc\": {}, \"acc_mutual_info\": {}}", take_first));
    const char *doc = "{\"choices\": [\"x\", \"y\"], \"target\": 1}";
    struct scored s = scored_logprobs(t, doc, (double[]){-1, -2, -1, -9}, 4, 0);
    EXPECT_NEAR(value_of(&s, "acc", "none"), 0, 0);
    EXPECT_NEAR(value_of(&s, "acc_mutual_info", "none"), 1, 0);
    struct response r[2] = {0};
    struct error err;
    EXPECT_ERROR(score(t, doc, r, 2, &s, &err), &err, E_INPUT, "document 3");
    scoring_close(t->scoring);
}

/* Winogrande: the text is the index of the right context, and lengths are the contexts'. */
static void multiple_input(void)
{
    struct task *t = make(OUTPUT_MULTIPLE_CHOICE, "{\"acc\": {}, \"acc_norm\": {}}", take_first);
    t->multiple_input = true;
    opened(t);
    const char *doc = "{\"choices\": [\"long context\", \"c\"], \"target\": \"end\", \"text\": 0}";
    struct scored s = scored_logprobs(t, doc, (double[]){-3, -2}, 2, 0);
    EXPECT_NEAR(value_of(&s, "acc", "none"), 0, 0);
    EXPECT_NEAR(value_of(&s, "acc_norm", "none"), 1, 0);
    scoring_close(t->scoring);
}

static void truthfulqa_mc2(void)
{
    struct task *t = make(OUTPUT_MULTIPLE_CHOICE, "{\"acc\": {}}", take_first);
    t->process_results = "truthfulqa_mc2";
    opened(t);
    const char *doc = "{\"mc2_targets\": {\"labels\": [1, 0, 1]}}";
    struct scored s = scored_logprobs(t, doc, (double[]){-1000, -1001, -1002}, 3, 0);
    EXPECT_NEAR(value_of(&s, "acc", "none"), (1 + exp(-2)) / (1 + exp(-1) + exp(-2)), 1e-12);
    struct response r[2] = {0};
    struct error err;
    EXPECT_ERROR(score(t, doc, r, 2, &s, &err), &err, E_INPUT, "labels");
    EXPECT_ERROR(score(t, "{}", r, 2, &s, &err), &err, E_INPUT, "labels");
    scoring_close(t->scoring);
}

/* ---- likelihoods of texts ---- */

static void loglikelihood(void)
{
    struct task *t =
        opened(make(OUTPUT_LOGLIKELIHOOD, "{\"perplexity\": {}, \"acc\": {}}", take_first));
    struct scored s = scored_logprobs(t, "{\"target\": \"x\"}", (double[]){-4}, 1, 1);
    EXPECT_NEAR(value_of(&s, "perplexity", "none"), -4, 0);
    EXPECT_NEAR(value_of(&s, "acc", "none"), 1, 0);
    scoring_close(t->scoring);
}

static const char perplexities[] =
    "{\"word_perplexity\": {}, \"byte_perplexity\": {}, \"bits_per_byte\": {}}";

static void rolling(void)
{
    struct task *t = opened(make(OUTPUT_LOGLIKELIHOOD_ROLLING, perplexities, take_first));
    const char *doc = "{\"target\": \"two w\\u00f6rds\", \"page\": \" two  w\\u00f6rds \"}";
    struct scored s = scored_logprobs(t, doc, (double[]){-30}, 1, 0);
    EXPECT_INT(s.n_scores, 3);
    EXPECT_NEAR(s.scores[0].value, -30, 0);
    EXPECT_NEAR(s.scores[0].weight, 2, 0);
    EXPECT_NEAR(s.scores[1].weight, 10, 0);
    EXPECT_Z(s.scores[2].metric, "bits_per_byte");
    EXPECT_STR(filtered_json(&s, 0), STR("[-30.0]"));
    scoring_close(t->scoring);

    t->process_results = "wikitext";
    opened(t);
    s = scored_logprobs(t, doc, (double[]){-30}, 1, 0);
    EXPECT_NEAR(s.scores[0].weight, 4, 0);
    EXPECT_NEAR(s.scores[1].weight, 13, 0);
    scoring_close(t->scoring);
}

/* ---- generate_until ---- */

static const char gsm8k_metrics[] =
    "{\"exact_match\": {\"regexes_to_ignore\": [\",\", \"\\\\$\", \"(?s).*#### \", \"\\\\.$\"],"
    " \"ignore_case\": true, \"ignore_punctuation\": false}}";
static const char gsm8k_filters[] =
    "{\"strict-match\": [{\"function\": \"regex\", \"regex_pattern\": \"#### "
    "(\\\\-?[0-9\\\\.\\\\,]+)\"},"
    "  {\"function\": \"take_first\"}],"
    " \"flexible-extract\": [{\"function\": \"regex\", \"group_select\": -1,"
    "   \"regex_pattern\": \"(-?[$0-9.,]{2,})|(-?[0-9]+)\"}, {\"function\": \"take_first\"}]}";

static void gsm8k(void)
{
    struct task *t = opened(make(OUTPUT_GENERATE_UNTIL, gsm8k_metrics, gsm8k_filters));
    const char *doc = "{\"target\": \"She has 2 left.\\n#### 1,234\"}";
    static const struct {
        const char *text;
        double strict, flexible;
        const char *filtered;
    } cases[] = {
        {"so\n#### 1234", 1, 1, "[\"1234\"]"},
        {"so\n#### $1,234.", 0, 1, "[\"[invalid]\"]"}, /* the dollar hides it from the first */
        {"it is $1,234. No, 7", 0, 0, "[\"[invalid]\"]"},
        {"#### 1,234.\n#### 5", 1, 0, "[\"1,234.\"]"},
        {"", 0, 0, "[\"[invalid]\"]"},
        {"no number", 0, 0, "[\"[invalid]\"]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scored s = scored_texts(t, doc, &cases[i].text, 1);
        EXPECT_NEAR(value_of(&s, "exact_match", "strict-match"), cases[i].strict, 0);
        EXPECT_NEAR(value_of(&s, "exact_match", "flexible-extract"), cases[i].flexible, 0);
        EXPECT_STR(filtered_json(&s, 0), str_of(cases[i].filtered));
        EXPECT_INT(s.n_filtered, 2);
        EXPECT_NEAR(value_of(&s, "no_answer", "strict-match"),
                    strcmp(cases[i].filtered, "[\"[invalid]\"]") == 0, 0);
        EXPECT_NEAR(value_of(&s, "no_answer", "flexible-extract"), i >= 4, 0);
    }
    scoring_close(t->scoring);
}

static void several_references(void)
{
    struct task *t =
        make(OUTPUT_GENERATE_UNTIL, "{\"exact_match\": {\"ignore_case\": true}}", take_first);
    t->multiple_target = true;
    opened(t);
    const char *text = "paris";
    struct scored s = scored_texts(t, "{\"target\": [\"London\", \"Paris\"]}", &text, 1);
    EXPECT_NEAR(value_of(&s, "exact_match", "none"), 1, 0);
    s = scored_texts(t, "{\"target\": [\"London\", \"Rome\"]}", &text, 1);
    EXPECT_NEAR(value_of(&s, "exact_match", "none"), 0, 0);
    s = scored_texts(t, "{\"target\": \"Paris\"}", &text, 1);
    EXPECT_NEAR(value_of(&s, "exact_match", "none"), 1, 0);
    scoring_close(t->scoring);
}

/* With doc_to_choice the target counts a choice; without, a number is compared as its text. */
static void references_by_number(void)
{
    struct task *t = opened(make(OUTPUT_GENERATE_UNTIL, "{\"exact_match\": {}}", take_first));
    const char *doc = "{\"target\": 1, \"choices\": [\"no\", \"yes\"]}", *text = "1";
    struct scored s = scored_texts(t, doc, &text, 1);
    EXPECT_NEAR(value_of(&s, "exact_match", "none"), 1, 0);
    t->choice = (struct field *)&arena; /* only that there is one matters here */
    text = "yes";
    s = scored_texts(t, doc, &text, 1);
    EXPECT_NEAR(value_of(&s, "exact_match", "none"), 1, 0);
    struct response r = {.text = STR("x")};
    struct error err;
    EXPECT_ERROR(score(t, "{\"target\": 2, \"choices\": [\"no\", \"yes\"]}", &r, 1, &s, &err), &err,
                 E_INPUT, "does not exist");
    scoring_close(t->scoring);
}

/* What lm-evaluation-harness keeps of a document for the corpus' score: its parts. */
static void corpus_metrics(void)
{
    struct task *t = opened(make(OUTPUT_GENERATE_UNTIL,
                                 "{\"bleu\": {}, \"chrf\": {}, \"chrf++\": {}, \"ter\": {}, "
                                 "\"rouge1\": {}, \"rougeL\": {\"use_stemmer\": true}, "
                                 "\"bypass\": {}}",
                                 take_first));
    const char *answer[] = {"the cats sat on a mat"};
    struct scored s = scored_texts(t, "{\"target\": \"the cat sat on the mat\"}", answer, 1);
    EXPECT_NEAR(value_of(&s, "rouge1", "none"), 4.0 / 6, 1e-12);
    EXPECT_NEAR(value_of(&s, "rougeL", "none"), 5.0 / 6, 1e-12);
    EXPECT_NEAR(value_of(&s, "ter", "none"), 100.0 / 3, 1e-9);
    EXPECT_INT(s.n_scores, 7);
    EXPECT_INT(s.scores[0].n_parts, 10);
    EXPECT_NEAR(s.scores[0].parts[2], 4, 0); /* words that match */
    EXPECT_INT(s.scores[1].n_parts, 18);
    EXPECT_INT(s.scores[2].n_parts, 24);
    EXPECT_NEAR(s.scores[3].parts[0], 2, 0); /* edits */
    EXPECT_INT(s.scores[4].n_parts, 0);
    t->multiple_target = true; /* the nearest reference counts */
    s = scored_texts(t, "{\"target\": [\"dogs\", \"the cats sat on a mat\"]}", answer, 1);
    EXPECT_NEAR(value_of(&s, "bleu", "none"), 100, 1e-9);
    EXPECT_NEAR(value_of(&s, "rouge1", "none"), 1, 0);
    struct response r = {.text = STR("x")};
    struct error err;
    EXPECT_ERROR(score(t, "{\"target\": []}", &r, 1, &s, &err), &err, E_INPUT, "empty list");
    scoring_close(t->scoring);
    arena_free(&arena);
}

static void label_metrics(void)
{
    struct task *t =
        opened(make(OUTPUT_MULTIPLE_CHOICE,
                    "{\"f1\": {}, \"mcc\": {}, \"likelihood\": {}, \"bypass\": {}}", take_first));
    double lls[] = {-3, -2, -5};
    struct scored s =
        scored_logprobs(t, "{\"choices\": [\"a\", \"b\", \"c\"], \"target\": 2}", lls, 3, 0);
    EXPECT_NEAR(value_of(&s, "f1", "none"), 0, 0);
    EXPECT_NEAR(value_of(&s, "likelihood", "none"), -5, 0);
    EXPECT_INT(s.scores[1].n_parts, 2);
    EXPECT_NEAR(s.scores[1].parts[0], 2, 0);
    EXPECT_NEAR(s.scores[1].parts[1], 1, 0);
    s = scored_logprobs(t, "{\"choices\": [\"a\"], \"target\": 4}", lls, 1, 0);
    EXPECT_NEAR(s.scores[0].parts[0], -1, 0);
    EXPECT_NEAR(value_of(&s, "likelihood", "none"), NAN, 0);
    scoring_close(t->scoring);
    arena_free(&arena);
}

/* Numbers of the task's own process_results_gen. */
static void truthfulqa_gen(void)
{
    static const struct {
        const char *metric;
        double value;
    } want[] = {
        {"bleu_max", 23.29769207594981},
        {"bleu_acc", 1},
        {"bleu_diff", 9.751697802571668},
        {"rouge1_max", 74.99999999999999},
        {"rouge1_acc", 1},
        {"rouge1_diff", 32.14285714285714},
        {"rouge2_max", 50},
        {"rouge2_acc", 1},
        {"rouge2_diff", 16.66666666666667},
        {"rougeL_max", 74.99999999999999},
        {"rougeL_acc", 1},
        {"rougeL_diff", 32.14285714285714},
    };
    struct buf metrics = {0};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        buf_printf(&metrics, "%s\"%s\": {}", i ? ", " : "{", want[i].metric);
    buf_char(&metrics, '}');
    struct task *t = make(OUTPUT_GENERATE_UNTIL, metrics.p, take_first);
    t->process_results = "truthfulqa_gen";
    opened(t);
    const char *doc =
        "{\"correct_answers\": [\"The sky is blue.\", \"It is blue . Often at noon.\", "
        "\"I have no comment.\"], \"incorrect_answers\": [\"The sky is green.\", "
        "\"Nobody knows the sky.\"]}";
    const char *answer[] = {"The sky is often blue . It is blue at noon."};
    struct scored s = scored_texts(t, doc, answer, 1);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        EXPECT_NEAR(value_of(&s, want[i].metric, "none"), want[i].value, 1e-9);
    struct response r = {.text = STR("x")};
    struct error err;
    EXPECT_ERROR(score(t, "{\"correct_answers\": [\"a\"]}", &r, 1, &s, &err), &err, E_INPUT,
                 "incorrect_answers");
    scoring_close(t->scoring);
    buf_free(&metrics);
    arena_free(&arena);
}

static void steps(void)
{
    static const struct {
        const char *steps, *want;
    } cases[] = {
        {"{\"function\": \"take_first\"}", "[\" Yes \"]"},
        {"{\"function\": \"remove_whitespace\"}", "[[\"Yes\", \"no\", \"no\", \"A:b,c\"]]"},
        {"{\"function\": \"remove_whitespace\"}, {\"function\": \"majority_vote\"},"
         "{\"function\": \"take_first\"}",
         "[\"no\"]"},
        {"{\"function\": \"majority_vote\"}", "[[\" Yes \"]]"}, /* all differ: the first */
        {"{\"function\": \"lowercase\"}, {\"function\": \"take_first\"}", "[\" yes \"]"},
        {"{\"function\": \"uppercase\"}, {\"function\": \"take_first_k\", \"k\": 2}",
         "[[\" YES \", \"NO\"]]"},
        {"{\"function\": \"remove_whitespace\"}, {\"function\": \"map\", \"mapping_dict\": "
         "{\"Yes\": 1, \"no\": \"0\"}, \"default_value\": \"?\"}",
         "[[1, \"0\", \"0\", \"?\"]]"},
        {"{\"function\": \"map\"}", "[[null, null, null, null]]"},
        /* no group, one group, several groups of which the first that is not empty counts */
        {"{\"function\": \"regex\", \"regex_pattern\": \"[a-z]+\"}",
         "[[\"es\", \"no\", \"no\", \"b\"]]"},
        {"{\"function\": \"regex\", \"regex_pattern\": \"(n)o\", \"fallback\": 0}",
         "[[0, \"n\", \"n\", 0]]"},
        {"{\"function\": \"regex\", \"regex_pattern\": \"(x)?(.)\", \"group_select\": -1}",
         "[[\"\", \"o\", \"\", \"c\"]]"},
        {"{\"function\": \"regex\", \"regex_pattern\": \"(x)?(z)?\"}",
         "[[\"[invalid]\", \"[invalid]\", \"[invalid]\", \"[invalid]\"]]"},
        {"{\"function\": \"regex\", \"regex_pattern\": \"[a-z]\", \"group_select\": 1}",
         "[[\"s\", \"o\", \"o\", \"c\"]]"},
        {"{\"function\": \"regex\", \"regex_pattern\": \"[a-z]\", \"group_select\": 2}",
         "[[\"[invalid]\", \"[invalid]\", \"[invalid]\", \"[invalid]\"]]"},
        /* behind an empty match at a place, a longer one there is tried */
        {"{\"function\": \"regex\", \"regex_pattern\": \"|b\", \"group_select\": 3}",
         "[[\"\", \"[invalid]\", \"\", \"b\"]]"},
        /* after take_first a string is gone through by characters, as Python does */
        {"{\"function\": \"take_first\"}, {\"function\": \"remove_whitespace\"}",
         "[[\"\", \"Y\", \"e\", \"s\", \"\"]]"},
    };
    const char *texts[] = {" Yes ", "no", "no ", "A:b,c"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct task *t = make(OUTPUT_GENERATE_UNTIL, "{}",
                              arena_printf(&arena, "{\"f\": [%s]}", cases[i].steps));
        t->repeats = 4;
        opened(t);
        struct scored s = scored_texts(t, "{\"target\": \"x\"}", texts, 4);
        EXPECT_STR(filtered_json(&s, 0), str_of(cases[i].want));
        scoring_close(t->scoring);
    }
}

/* ---- programs ---- */

static const char humaneval_doc[] = "{\"prompt\": \"def add(a, b):\\n\", \"target\": \"def "
                                    "check(f):\\n    assert f(2, 3) == 5\\n\\n"
                                    "check(add)\"}";
static const char humaneval_metrics[] = "{\"pass_at_k\": {\"k\": [1, 2, 5]}}";

static void humaneval(void)
{
    struct task *t = make(
        OUTPUT_GENERATE_UNTIL, humaneval_metrics,
        "{\"create_test\": [{\"function\": \"custom\", \"filter_fn\": \"build_predictions\"}]}");
    struct error err;
    t->repeats = 3;
    t->allow_unsandboxed = true; /* the sandbox has its own tests */
    opened(t);
    EXPECT_OK(task_check(t, &err), &err);
    const char *texts[] = {"    return a + b\n", "    return a - b\n", "    return (\n"};
    struct scored s = scored_texts(t, humaneval_doc, texts, 3);
    EXPECT_INT(s.n_scores, 2); /* pass@5 needs five */
    EXPECT_NEAR(value_of(&s, "pass@1", "create_test"), 1.0 / 3, 1e-12);
    EXPECT_NEAR(value_of(&s, "pass@2", "create_test"), 2.0 / 3, 1e-12);
    EXPECT(str_starts(filtered_json(&s, 0), STR("[[\"def add(a, b):\\n    return a + b\\n\", ")));
    struct response r[3] = {0};
    EXPECT_ERROR(score(t, "{\"target\": \"x\"}", r, 3, &s, &err), &err, E_INPUT, "prompt");
    scoring_close(t->scoring);
}

/* Python refuses a program with a NUL in it; what stands before the NUL must not pass alone. */
static void humaneval_with_nul(void)
{
    struct task *t =
        make(OUTPUT_GENERATE_UNTIL, "{\"pass_at_k\": {\"k\": 1}}",
             "{\"f\": [{\"function\": \"custom\", \"filter_fn\": \"build_predictions\"}]}");
    t->allow_unsandboxed = true;
    opened(t);
    struct response r = {.text = STR("    return a + b\n\0")};
    struct scored s;
    struct error err;
    EXPECT_OK(score(t, humaneval_doc, &r, 1, &s, &err), &err);
    EXPECT_NEAR(value_of(&s, "pass@1", "f"), 0, 0);
    scoring_close(t->scoring);
}

static void humaneval_instruct(void)
{
    struct task *t = make(OUTPUT_GENERATE_UNTIL, "{\"pass_at_k\": {\"k\": 1}}",
                          "{\"f\": [{\"function\": \"custom\", \"filter_fn\": "
                          "\"build_predictions_instruct\"}]}");
    t->allow_unsandboxed = true;
    opened(t);
    const char *text = "    return a + b\n```\nHope this helps!";
    struct scored s = scored_texts(t, humaneval_doc, &text, 1);
    EXPECT_NEAR(value_of(&s, "pass@1", "f"), 1, 0);
    scoring_close(t->scoring);
}

/* Where there is no bubblewrap the task is refused before anything runs. */
static void humaneval_refused(void)
{
    struct task *t = opened(make(OUTPUT_GENERATE_UNTIL, humaneval_metrics, take_first));
    struct task *harmless =
        opened(make(OUTPUT_GENERATE_UNTIL, "{\"exact_match\": {}}", take_first));
    char *path = mem_strdup(getenv("PATH") ? getenv("PATH") : "");
    struct response r = {.text = STR("x")};
    struct scored s;
    struct error err;
    setenv("PATH", "/nonexistent", 1);
    EXPECT_ERROR(task_check(t, &err), &err, E_UNSUPPORTED, "task \"made\"");
    EXPECT(strstr(err.msg, "apt install bubblewrap") && strstr(err.msg, "--allow-unsandboxed"));
    EXPECT_ERROR(score(t, humaneval_doc, &r, 1, &s, &err), &err, E_UNSUPPORTED, "document 3");
    EXPECT_OK(task_check(harmless, &err), &err);
    setenv("PATH", path, 1);
    free(path);
    scoring_close(t->scoring);
    scoring_close(harmless->scoring);
}

/* ---- definitions that are wrong ---- */

static void wrong_definitions(void)
{
    static const struct {
        enum output_type output;
        const char *metrics, *filters, *words;
    } cases[] = {
        {OUTPUT_GENERATE_UNTIL, "{\"meteor\": {}}", take_first, "made.yaml:7"},
        {OUTPUT_GENERATE_UNTIL, "{\"acc\": {}}", take_first, "there are exact_match"},
        {OUTPUT_MULTIPLE_CHOICE, "{\"acc\": {\"k\": 1}}", take_first, "no argument \"k\""},
        {OUTPUT_GENERATE_UNTIL, "{\"exact_match\": {\"ignore_case\": 1}}", take_first, "true or"},
        {OUTPUT_GENERATE_UNTIL, "{\"exact_match\": {\"regexes_to_ignore\": [\"(\"]}}", take_first,
         "made.yaml:7"},
        {OUTPUT_GENERATE_UNTIL, "{\"exact_match\": {\"regexes_to_ignore\": \"x\"}}", take_first,
         "list"},
        {OUTPUT_GENERATE_UNTIL, "{\"pass_at_k\": {}}", take_first, "needs k"},
        {OUTPUT_GENERATE_UNTIL, "{\"pass_at_k\": {\"k\": [1, 0]}}", take_first, "above 0"},
        {OUTPUT_GENERATE_UNTIL, "{\"pass_at_k\": {\"k\": [1, 2, 1]}}", take_first, "k holds a"},
        {OUTPUT_GENERATE_UNTIL, "{}", "{\"f\": [{\"function\": \"tak_first\"}]}", "take_first_k"},
        {OUTPUT_GENERATE_UNTIL, "{}", "{\"f\": [{\"function\": \"take_first_k\"}]}", "made.yaml:9"},
        {OUTPUT_GENERATE_UNTIL, "{}", "{\"f\": [{\"function\": \"regex\", \"regex\": \"x\"}]}",
         "regex_pattern"},
        {OUTPUT_GENERATE_UNTIL, "{}",
         "{\"f\": [{\"function\": \"regex\", \"regex_pattern\": \"(\"}]}", "made.yaml:9"},
        {OUTPUT_GENERATE_UNTIL, "{}",
         "{\"f\": [{\"function\": \"regex\", \"group_select\": \"x\"}]}", "whole number"},
        {OUTPUT_GENERATE_UNTIL, "{}", "{\"f\": [{\"function\": \"custom\"}]}", "filter_fn"},
        {OUTPUT_GENERATE_UNTIL, "{}",
         "{\"f\": [{\"function\": \"custom\", \"filter_fn\": \"other\"}]}", "not built in"},
        {OUTPUT_GENERATE_UNTIL, "{}", "{\"f\": [{\"function\": \"map\", \"mapping_dict\": []}]}",
         "dictionary"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err;
        struct task *t = make(cases[i].output, cases[i].metrics, cases[i].filters);
        EXPECT_ERROR(scoring_open(t, &err), &err, E_INPUT, cases[i].words);
        EXPECT(t->scoring == NULL);
    }
    struct error err;
    struct task *t = make(OUTPUT_GENERATE_UNTIL, "{}", take_first);
    t->process_results = "truthfulqa_mc2";
    EXPECT_ERROR(scoring_open(t, &err), &err, E_INPUT, "process_results");
    struct task_metric median = {.name = "acc", .aggregation = "median", .line = 4};
    t = make(OUTPUT_MULTIPLE_CHOICE, "{}", take_first);
    t->metrics = &median;
    t->n_metrics = 1;
    EXPECT_ERROR(scoring_open(t, &err), &err, E_INPUT, "made.yaml:4");
    /* the store has one score of a name for each document */
    struct task_metric twice[] = {{.name = "acc", .line = 4}, {.name = "acc", .line = 5}};
    t->metrics = twice;
    t->n_metrics = 2;
    EXPECT_ERROR(scoring_open(t, &err), &err, E_INPUT,
                 "made.yaml:5: task \"made\": metric \"acc\"");
    t = make(OUTPUT_GENERATE_UNTIL, "{}", take_first);
    struct task_pipeline same[] = {t->pipelines[0], t->pipelines[0]};
    t->pipelines = same;
    t->n_pipelines = 2;
    EXPECT_ERROR(scoring_open(t, &err), &err, E_INPUT, "two of filter_list are named");
    scoring_close(NULL);
}

static void wrong_responses(void)
{
    struct error err;
    struct scored s;
    struct task *t = opened(make(OUTPUT_MULTIPLE_CHOICE, "{\"acc\": {}}",
                                 "{\"none\": [{\"function\": \"majority_vote\"}]}"));
    struct response r[3] = {0};
    const char *doc = "{\"choices\": [\"x\", \"y\"], \"target\": 0}";
    EXPECT_ERROR(score(t, doc, r, 2, &s, &err), &err, E_INPUT, "take_first");
    EXPECT_ERROR(score(t, doc, r, 3, &s, &err), &err, E_INPUT, "number of choices");
    r[1].error = E_IO;
    r[1].error_msg = "the server went away";
    EXPECT_ERROR(score(t, doc, r, 2, &s, &err), &err, E_IO, "the server went away");
    scoring_close(t->scoring);
    arena_free(&arena);
}

CHECK_MAIN({"multiple choice", multiple_choice}, {"gold answers", golds},
           {"acc_mutual_info", mutual_information}, {"multiple input", multiple_input},
           {"truthfulqa_mc2", truthfulqa_mc2}, {"loglikelihood", loglikelihood},
           {"rolling log-likelihood", rolling}, {"gsm8k", gsm8k},
           {"several references", several_references},
           {"references by number", references_by_number}, {"filter steps", steps},
           {"humaneval", humaneval}, {"humaneval, NUL", humaneval_with_nul},
           {"humaneval, instruct", humaneval_instruct}, {"humaneval, refused", humaneval_refused},
           {"wrong definitions", wrong_definitions}, {"wrong responses", wrong_responses},
           {"corpus metrics", corpus_metrics}, {"label metrics", label_metrics},
           {"truthfulqa_gen", truthfulqa_gen})
