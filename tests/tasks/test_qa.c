/* Answers that are looked up in a text or a table, and the number of their tokens: SQuAD, TAT-QA,
 * Arena-Hard, and question answering by exact match. */
#include "base/json.h"
#include "metrics/metric.h"
#include "metrics/stats.h"
#include "tasks/task.h"
#include "tests/check.h"

static struct arena arena;
static struct error err;

struct opened {
    struct catalog *catalog;
    struct task *task;
};

/* On the rows beside this file, or (`data`) on a folder of reference data. */
static bool open_task(const char *name, const char *data, struct opened *ret)
{
    struct selection s;
    const char *dir = data ? check_shared(data)
                           : arena_printf(&arena, "%s/tests/tasks/rows", getenv("ASSAY_SOURCE"));
    struct task_options o = {.data_dirs = &dir,
                             .n_data_dirs = 1,
                             .num_fewshot = -1,
                             .fewshot_seed = 1234,
                             .limit = -1,
                             .allow_unsandboxed = true};
    *ret = (struct opened){0};
    if (!dir)
        return false;
    EXPECT_OK(catalog_open(NULL, 0, &ret->catalog, &err), &err);
    EXPECT_OK(catalog_select(ret->catalog, &name, 1, &s, &err), &err);
    EXPECT_OK(task_open(&s.refs[0], &o, &ret->task, &err), &err);
    return ret->task != NULL;
}

static void close_task(struct opened *t)
{
    task_close(t->task);
    catalog_close(t->catalog);
}

static struct asked ask(struct task *t, int64_t doc_id)
{
    struct asked q = {0};
    EXPECT_OK(task_ask(t, &arena, doc_id, &q, &err), &err);
    return q;
}

static struct scored score(const struct task *t, const struct asked *q, const struct response *r)
{
    struct scored s = {0};
    EXPECT_OK(task_score(t, &arena, q, r, &s, &err), &err);
    return s;
}

static const struct score *find(const struct scored *s, const char *metric)
{
    for (int i = 0; i < s->n_scores; i++)
        if (strcmp(s->scores[i].metric, metric) == 0)
            return &s->scores[i];
    return NULL;
}

static double value_of(const struct scored *s, const char *metric)
{
    const struct score *found = find(s, metric);
    return found ? found->value : NAN;
}

/* ---- TAT-QA ---- */

/* The publisher's sample predictions, as the publisher scores them. */
static void tatqa_as_published(void)
{
    const char *path = check_shared("data/tatqa/sample_prediction.json"),
               *want_path = check_shared("goldens/text_metrics/tatqa_overall.json");
    struct value *predictions, *want;
    struct opened t;
    if (!path || !want_path || !open_task("tatqa", "data", &t))
        return;
    EXPECT_OK(json_read(&arena, path, &predictions, &err), &err);
    EXPECT_OK(json_read(&arena, want_path, &want, &err), &err);
    static const char *const metrics[] = {"em", "numeracy_f1", "scale"},
                             *keys[] = {"em", "f1", "scale"};
    double sums[3] = {0};
    int64_t n = task_info(t.task)->n_docs;
    EXPECT_INT(n, dict_get(want, "n")->i);
    for (int64_t i = 0; i < n; i++) {
        struct asked q = ask(t.task, i);
        const struct value *p = dict_gets(predictions, dict_get(q.doc, "uid")->s);
        struct response r = {.text = json_text(&arena, p)};
        struct scored s = score(t.task, &q, &r);
        for (int k = 0; k < 3; k++)
            sums[k] += value_of(&s, metrics[k]);
    }
    for (int k = 0; k < 3; k++)
        EXPECT_NEAR(sums[k] / (double)n, dict_get(want, keys[k])->f, 1e-9);
    close_task(&t);
}

/* Answers as a model writes them. */
static void tatqa_in_words(void)
{
    static const struct {
        int doc_id;
        const char *text;
        double em, scale, token_f1;
    } answers[] = {
        {0, " $1,200.5 thousand", 1, 1, 100},
        {0, "1200.5 thousands.", 1, 1, 100},
        {0, "1,200,500", 1, 0, 0},
        {0, "$1,200.5", 0, 0, 200.0 / 3},
        {0, "$1,200.5 million", 0, 0, 50},
        {1, "9.14%", 1, 1, 100},
        {1, "9.14 percent", 1, 1, 100},
        {1, "0.0914", 1, 0, 0},
        {1, "9.14", 0, 0, 200.0 / 3},
        {2, "the Weir yard; the Lode yard", 1, 1, 100},
        {2, "the Lode yard; ", 0, 1, 200.0 / 3},
        {2, "Lode yard and Weir yard", 0, 1, 800.0 / 9},
        {3, "2", 1, 1, 100},
        {3, "[2, \"\"]", 1, 1, 100},
        {3, "[[\"2\"], null]", 1, 1, 100},
        {3, "", 0, 0, 0},
        {3, " ; ", 0, 0, 0},
        {3, "[", 0, 1, 0},
    };
    struct opened t;
    if (!open_task("tatqa", NULL, &t))
        return;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct asked q = ask(t.task, answers[i].doc_id);
        struct response r = {.text = str_of(answers[i].text), .n_tokens_generated = 7};
        struct scored s = score(t.task, &q, &r);
        double em = value_of(&s, "em"), scale = value_of(&s, "scale");
        if (em != answers[i].em || scale != answers[i].scale ||
            fabs(value_of(&s, "token_f1") - answers[i].token_f1) > 1e-9)
            check_fail(__FILE__, __LINE__, "question %d, \"%s\": em %g, scale %g, token F1 %.9g",
                       answers[i].doc_id, answers[i].text, em, scale, value_of(&s, "token_f1"));
        EXPECT_NEAR(value_of(&s, "output_tokens_p95"), 7, 0);
    }
    EXPECT_STR(ask(t.task, 0).target, STR("$1,200.5 thousand"));
    EXPECT_STR(ask(t.task, 2).target, STR("the Lode yard; the Weir yard"));
    EXPECT_STR(ask(t.task, 1).target, STR("9.14 percent"));
    struct asked q = ask(t.task, 3);
    EXPECT_STR(q.requests[0].context,
               STR("Answer each question from the table and the text. Give the answer alone: a "
                   "number, or words as they stand there. Several answers are separated by "
                   "semicolons. Behind a number in thousands, millions, billions or percent stands "
                   "thousand, million, billion or percent.\n\n"
                   "Table:\n|  | 2019 | 2018 |\n| Ferry tickets | $1,200.5 | $1,100 |\n"
                   "| Caf\xc3\xa9 | 80 | (12) |\n\nText:\nAmounts are in thousands. The ferry "
                   "\xe2\x80\x9cOrr\xe2\x80\x9d was repaired in 2018 by the Lode yard and the Weir "
                   "yard.\n\nQuestion: How many yards were there?\nAnswer:"));
    close_task(&t);
}

/* ---- SQuAD ---- */

/* The figures are those of SQuAD 2.0's own program, and of the squad_v2 metric that follows it. */
static void squad2(void)
{
    static const struct {
        const char *answer;
        double logprob;
    } given[] = {
        {"The Lode Yard.", -4.5},
        {"forty red cars", -3.25},
        {"", -0.25},
        {"since the year 1998", -2},
        {"", -0.5},
        {"the", -0.125},
        {"nobody knows", -1},
    };
    static const struct {
        const char *metric;
        double value;
        int n;
    } want[] = {
        {"exact", 300.0 / 7, 7},       {"answer_f1", 460.0 / 7, 7},
        {"HasAns_exact", 25, 4},       {"HasAns_f1", 65, 4},
        {"NoAns_exact", 200.0 / 3, 3}, {"NoAns_f1", 200.0 / 3, 3},
        {"best_exact", 400.0 / 7, 7},  {"best_f1", 80, 7},
    };
    enum { N = sizeof given / sizeof *given, N_METRICS = sizeof want / sizeof *want };
    struct metric_item items[N_METRICS][N];
    int counts[N_METRICS] = {0};
    struct opened t;
    if (!open_task("squadv2", NULL, &t))
        return;
    EXPECT_INT(task_info(t.task)->n_docs, N);
    for (int i = 0; i < N; i++) {
        struct asked q = ask(t.task, i);
        EXPECT_INT(q.n_requests, 2);
        EXPECT_INT(q.requests[1].kind, REQUEST_LOGLIKELIHOOD);
        EXPECT_STR(q.requests[1].continuation, STR(" unanswerable"));
        struct response r[2] = {{.text = str_of(given[i].answer)},
                                {.logprob_nats = given[i].logprob}};
        struct scored s = score(t.task, &q, r);
        for (int m = 0; m < N_METRICS; m++) {
            const struct score *one = find(&s, want[m].metric);
            if (one)
                items[m][counts[m]++] = (struct metric_item){one->value, one->weight, one->parts};
        }
    }
    for (int m = 0; m < N_METRICS; m++) {
        EXPECT_INT(counts[m], want[m].n);
        EXPECT_NEAR(metric_value(metric_find(want[m].metric)->aggregation, items[m], counts[m]),
                    want[m].value, 1e-9);
    }
    items[6][0].parts = NULL;
    EXPECT(isnan(metric_value(AGGREGATE_BEST_THRESHOLD, items[6], N)));
    close_task(&t);
}

static double contains(const struct task *t, int64_t doc_id, const char *text)
{
    struct asked q = ask((struct task *)(uintptr_t)t, doc_id);
    struct scored s = score(t, &q, &(struct response){.text = str_of(text)});
    return value_of(&s, "contains");
}

static void squad_completion(void)
{
    struct opened t;
    if (!open_task("squad_completion", NULL, &t))
        return;
    EXPECT_NEAR(contains(t.task, 0, "a deep RED, they say"), 1, 0);
    EXPECT_NEAR(contains(t.task, 0, "blue"), 0, 0);
    EXPECT_NEAR(contains(t.task, 1, "1970."), 1, 0);
    EXPECT_NEAR(contains(t.task, 2, "Flour (white)"), 1, 0);
    EXPECT_NEAR(contains(t.task, 2, "flour white"), 0, 0); /* the target is no pattern */
    close_task(&t);
}

/* ---- exact match, last words ---- */

static double matches(const char *task, int64_t doc_id, const char *text)
{
    struct opened t;
    if (!open_task(task, NULL, &t))
        return NAN;
    struct asked q = ask(t.task, doc_id);
    struct scored s = score(t.task, &q, &(struct response){.text = str_of(text)});
    double ret = value_of(&s, "exact_match");
    close_task(&t);
    return ret;
}

static void any_alias_matches(void)
{
    EXPECT_NEAR(matches("triviaqa", 0, " River lode"), 1, 0);
    EXPECT_NEAR(matches("triviaqa", 0, " River"), 0, 0);
    EXPECT_NEAR(matches("triviaqa", 1, "Ann ONeil\n"), 1, 0);
    EXPECT_NEAR(matches("triviaqa", 2, " \"Big\" Orr!"), 1, 0);
    EXPECT_NEAR(matches("nq_open", 1, "the 1921"), 1, 0);
    EXPECT_NEAR(matches("nq_open", 3, "Port Orr"), 1, 0);
    EXPECT_NEAR(matches("nq_open", 3, "Port"), 0, 0);
}

static void last_words(void)
{
    struct opened t;
    if (!open_task("lambada_openai", NULL, &t))
        return;
    struct asked q = ask(t.task, 0);
    EXPECT_STR(q.requests[0].continuation, STR(" door"));
    struct scored s =
        score(t.task, &q, &(struct response){.logprob_nats = -1.5, .is_greedy = true});
    EXPECT_NEAR(value_of(&s, "acc"), 1, 0);
    EXPECT_NEAR(value_of(&s, "perplexity"), -1.5, 0);
    close_task(&t);
}

/* ---- programs ---- */

static void program_passes(const char *task, const char *field, const char *metric,
                           const char *filter)
{
    struct opened t;
    if (!open_task(task, NULL, &t))
        return;
    EXPECT_OK(task_check(t.task, &err), &err);
    for (int64_t i = 0; i < task_info(t.task)->n_docs; i++) {
        struct asked q = ask(t.task, i);
        struct response right = {.text = dict_get(q.doc, field)->s}, wrong = {.text = STR("pass")};
        struct scored s = score(t.task, &q, &right);
        EXPECT_Z(s.scores[0].filter, filter);
        EXPECT_NEAR(value_of(&s, metric), 1, 0);
        s = score(t.task, &q, &wrong);
        EXPECT_NEAR(value_of(&s, metric), 0, 0);
    }
    close_task(&t);
}

static void plus_sets(void)
{
    program_passes("humaneval_plus", "canonical_solution", "pass@1", "create_test");
    program_passes("mbpp_plus", "code", "pass_at_1", "none");
}

/* ---- Arena-Hard ---- */

static void only_lengths(void)
{
    struct opened t;
    if (!open_task("arena_hard", "data", &t))
        return;
    EXPECT_INT(task_info(t.task)->n_docs, 500);
    struct asked q = ask(t.task, 0);
    EXPECT_INT(q.requests[0].n_until, 0);
    EXPECT_STR(q.requests[0].context,
               STR("Use ABC notation to write a melody in the style of a folk tune."));
    struct response r = {.text = STR("X:1"), .n_tokens_generated = 3};
    struct scored s = score(t.task, &q, &r);
    EXPECT_INT(s.n_scores, 3);
    EXPECT_NEAR(value_of(&s, "output_tokens"), 3, 0);
    r.n_tokens_generated = 0; /* of a recorded answer nobody knows */
    EXPECT_INT(score(t.task, &q, &r).n_scores, 0);
    close_task(&t);
    struct metric_item items[20];
    for (int i = 0; i < 20; i++)
        items[i] = (struct metric_item){.value = (i * 7) % 20 + 1, .weight = 1};
    EXPECT_NEAR(metric_value(AGGREGATE_PERCENTILE_95, items, 20), 19.05, 1e-12);
    EXPECT_NEAR(metric_value(AGGREGATE_PERCENTILE_50, items, 20), 10.5, 1e-12);
    EXPECT_NEAR(metric_value(AGGREGATE_PERCENTILE_95, items, 1), 1, 0);
}

/* ---- sentence similarity ---- */

/* All sentences of the real files, quotes and cells behind the last column included; scores on
 * vectors that are made up. */
static void similarity(void)
{
    struct opened t;
    if (!open_task("stsb", "data", &t))
        return;
    EXPECT_INT(task_info(t.task)->n_docs, 1379);
    EXPECT_ERROR(task_check(t.task, &err), &err, E_UNSUPPORTED, "encoder");
    struct metric_item items[40];
    double x[40], y[40];
    for (int i = 0; i < 1379; i++) {
        struct arena_mark m = arena_mark(&arena);
        struct asked q = ask(t.task, i);
        EXPECT_INT(q.n_requests, 2);
        EXPECT_INT(q.requests[0].kind, REQUEST_EMBED);
        EXPECT(q.requests[0].context.n > 0 && q.requests[1].context.n > 0);
        if (i >= 40) {
            arena_reset(&arena, m);
            continue;
        }
        const float one[2] = {2, 0}, two[2] = {(float)(i % 7), 1};
        struct response r[2] = {{.vector = one, .n_vector = 2}, {.vector = two, .n_vector = 2}};
        struct scored s = score(t.task, &q, r);
        const struct score *p = find(&s, "pearson");
        items[i] = (struct metric_item){p->value, p->weight, p->parts};
        x[i] = (i % 7) / sqrt((i % 7) * (i % 7) + 1);
        y[i] = strtod(q.target.p, NULL);
        EXPECT_NEAR(p->value, x[i], 1e-6);
    }
    EXPECT_STR(ask(t.task, 0).requests[0].context, STR("A girl is styling her hair."));
    EXPECT_NEAR(y[0], 2.5, 0);
    EXPECT_NEAR(metric_value(AGGREGATE_PEARSON, items, 40), pearson(x, y, 40).r, 1e-6);
    EXPECT_NEAR(metric_value(AGGREGATE_SPEARMAN, items, 40), spearman(x, y, 40).r, 1e-12);
    items[3].parts = NULL;
    EXPECT(isnan(metric_value(AGGREGATE_PEARSON, items, 40)));
    close_task(&t);
}

static void frees(void)
{
    arena_free(&arena);
}

CHECK_MAIN({"TAT-QA's sample predictions as published", tatqa_as_published},
           {"TAT-QA's answers in words", tatqa_in_words}, {"SQuAD 2.0", squad2},
           {"squad_completion", squad_completion}, {"any alias matches", any_alias_matches},
           {"last words", last_words}, {"the plus sets", plus_sets},
           {"lengths of answers", only_lengths}, {"sentence similarity", similarity},
           {"frees", frees})
