/* The catalog's tasks, answered: from the data to a score, without a model. */
#include "base/json.h"
#include "metrics/metric.h"
#include "tasks/task.h"

#include "tests/check.h"

static struct arena arena;

/* NULL after noting the skip where there is no data. A definition may name files below "shared". */
static struct task *open_task(struct catalog **catalog, const char *name, double limit)
{
    const char *data = check_shared("data"), *above = check_shared("..");
    struct selection s;
    struct error err;
    struct task *t = NULL;
    *catalog = NULL;
    if (!data || !above)
        return NULL;
    const char *dirs[] = {data, above};
    struct task_options o = {.data_dirs = dirs,
                             .n_data_dirs = 2,
                             .num_fewshot = 0,
                             .fewshot_seed = 1234,
                             .limit = limit,
                             .allow_unsandboxed = true};
    EXPECT_OK(catalog_open(NULL, 0, catalog, &err), &err);
    if (!*catalog)
        return NULL;
    EXPECT_OK(catalog_select(*catalog, &name, 1, &s, &err), &err);
    EXPECT_INT(s.n, 1);
    EXPECT_OK(task_open(&s.refs[0], &o, &t, &err), &err);
    return t;
}

static struct asked ask(struct task *t, int64_t doc_id)
{
    struct asked q = {0};
    struct error err;
    EXPECT_OK(task_ask(t, &arena, doc_id, &q, &err), &err);
    return q;
}

static double score_of(const struct task *t, const struct asked *q, const struct response *r,
                       const char *metric, const char *filter)
{
    struct scored s = {0};
    struct error err;
    EXPECT_OK(task_score(t, &arena, q, r, &s, &err), &err);
    for (int i = 0; i < s.n_scores; i++)
        if (strcmp(s.scores[i].metric, metric) == 0 && strcmp(s.scores[i].filter, filter) == 0)
            return s.scores[i].value;
    return NAN;
}

static double text_score(const struct task *t, const struct asked *q, struct str text,
                         const char *metric, const char *filter)
{
    return score_of(t, q, &(struct response){.text = text}, metric, filter);
}

/* ---- goldens: lm-evaluation-harness' scores for a model's log-probabilities ---- */

static void aggregate_is(const char *metric, const struct metric_item *items, int n,
                         const struct value *results)
{
    struct aggregate a = metric_aggregate(AGGREGATE_MEAN, items, n, 0, NULL);
    const struct value *want = dict_get(results, arena_printf(&arena, "%s,none", metric));
    const struct value *se = dict_get(results, arena_printf(&arena, "%s_stderr,none", metric));
    EXPECT_NEAR(a.value, want->f, 1e-12);
    EXPECT_NEAR(a.stderr_, se->f, 1e-12);
}

static void arc50_task(const char *name, const struct value *golden)
{
    static const char *const metrics[] = {"acc", "acc_norm"};
    const char *file =
        check_shared(arena_printf(&arena, "goldens/stories260k/tasks/%s.yaml", name));
    struct catalog *catalog;
    struct task *t = file ? open_task(&catalog, file, 50) : NULL;
    if (!t)
        return;
    const struct value *items = dict_get(golden, "items");
    struct metric_item scores[2][50];
    EXPECT_INT(items->list.n, 50);
    for (int i = 0; i < 50; i++) {
        const struct value *item = items->list.items[i];
        const struct value *lls = dict_get(item, "loglikelihoods");
        const struct value *greedy = dict_get(item, "is_greedy");
        struct asked q = ask(t, i);
        struct response r[8] = {0};
        EXPECT_INT(q.n_requests, lls->list.n);
        EXPECT_STR(q.requests[0].context, dict_get(item, "prompt")->s);
        for (size_t j = 0; j < lls->list.n && j < 8; j++) {
            r[j].logprob_nats = lls->list.items[j]->f;
            r[j].is_greedy = greedy->list.items[j]->b;
        }
        for (int m = 0; m < 2; m++) {
            scores[m][i] = (struct metric_item){score_of(t, &q, r, metrics[m], "none"), 1, NULL};
            EXPECT_NEAR(scores[m][i].value, dict_get(item, metrics[m])->f, 0);
        }
    }
    for (int m = 0; m < 2; m++)
        aggregate_is(metrics[m], scores[m], 50, dict_get(golden, "results"));
    task_close(t);
    catalog_close(catalog);
}

static void arc50(void)
{
    const char *path = check_shared("goldens/stories260k/arc50.json");
    struct value *all;
    struct error err;
    if (!path)
        return;
    EXPECT_OK(json_read(&arena, path, &all, &err), &err);
    arc50_task("arc50_cont", dict_get(all, "arc50_cont"));
    arc50_task("arc50_letters", dict_get(all, "arc50_letters"));
}

/* ---- other tasks, document by document ---- */

static void for_documents(const char *name, double limit,
                          void (*f)(const struct task *t, const struct asked *q))
{
    struct catalog *catalog;
    struct task *t = open_task(&catalog, name, limit);
    for (int64_t i = 0; t && i < task_info(t)->n_eval; i++) {
        struct asked q = ask(t, i);
        f(t, &q);
    }
    task_close(t);
    catalog_close(catalog);
}

/* The sum of acc over answers that hold one choice for near certain, each choice in turn. */
static double sum_of_certain(const struct task *t, const struct asked *q)
{
    struct response *r = arena_array(&arena, (size_t)q->n_requests, sizeof *r);
    double sum = 0;
    for (int best = 0; best < q->n_requests; best++) {
        for (int j = 0; j < q->n_requests; j++)
            r[j].logprob_nats = j == best ? -1 : -900;
        sum += score_of(t, q, r, "acc", "none");
    }
    return sum;
}

static void one_is_right(const struct task *t, const struct asked *q)
{
    EXPECT(q->n_requests >= 2 && q->n_choices == q->n_requests);
    EXPECT_NEAR(sum_of_certain(t, q), 1, 0);
}

static void multiple_choice(void)
{
    static const char *const names[] = {"arc_challenge", "hellaswag", "winogrande",
                                        "truthfulqa_mc1", "mmlu_anatomy"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for_documents(names[i], 20, one_is_right);
}

/* Where all choices are as probable, the mass of the true ones is their share. */
static void some_are_right(const struct task *t, const struct asked *q)
{
    struct response *r = arena_array(&arena, (size_t)q->n_requests, sizeof *r);
    double right = sum_of_certain(t, q);
    EXPECT(right >= 1 && right < q->n_requests);
    EXPECT_NEAR(score_of(t, q, r, "acc", "none"), right / q->n_requests, 1e-12);
}

static void truthfulqa_mc2(void)
{
    for_documents("truthfulqa_mc2", 20, some_are_right);
}

static void number_is_found(const struct task *t, const struct asked *q)
{
    struct str wrong = str_printf(&arena, "%.*s7", STR_ARG(q->target));
    EXPECT_NEAR(text_score(t, q, q->target, "exact_match", "strict-match"), 1, 0);
    EXPECT_NEAR(text_score(t, q, q->target, "exact_match", "flexible-extract"), 1, 0);
    EXPECT_NEAR(text_score(t, q, wrong, "exact_match", "strict-match"), 0, 0);
    EXPECT_NEAR(text_score(t, q, wrong, "exact_match", "flexible-extract"), 0, 0);
}

static void gsm8k(void)
{
    for_documents("gsm8k", 20, number_is_found);
}

static void solution_passes(const struct task *t, const struct asked *q)
{
    struct error err;
    EXPECT_OK(task_check(t, &err), &err);
    struct str solution = dict_get(q->doc, "canonical_solution")->s;
    EXPECT_NEAR(text_score(t, q, solution, "pass@1", "create_test"), 1, 0);
    EXPECT_NEAR(text_score(t, q, STR("    pass\n"), "pass@1", "create_test"), 0, 0);
}

static void humaneval(void)
{
    for_documents("humaneval", 6, solution_passes);
}

static void program_passes(const struct task *t, const struct asked *q)
{
    if (q->doc_id % 25)
        return;
    struct str code = dict_get(q->doc, "code")->s;
    EXPECT_NEAR(text_score(t, q, code, "pass_at_1", "none"), 1, 0);
    EXPECT_NEAR(text_score(t, q, STR("pass"), "pass_at_1", "none"), 0, 0);
}

static void mbpp(void)
{
    for_documents("mbpp", -1, program_passes);
}

/* What is asked is detokenized, what is counted is not. */
static void page_is_counted(const struct task *t, const struct asked *q)
{
    struct scored s;
    struct error err;
    struct str page = dict_get(q->doc, "page")->s;
    EXPECT_OK(task_score(t, &arena, q, &(struct response){.logprob_nats = -5}, &s, &err), &err);
    EXPECT_INT(s.n_scores, 3);
    EXPECT_NEAR(s.scores[0].weight, (double)count_words(page), 0);
    EXPECT_NEAR(s.scores[1].weight, (double)page.n, 0);
    EXPECT(q->requests[0].context.n < page.n);
}

static void wikitext(void)
{
    for_documents("wikitext", 3, page_is_counted);
}

static void frees(void)
{
    arena_free(&arena);
}

CHECK_MAIN({"arc50 as lm-evaluation-harness scores it", arc50},
           {"multiple choice", multiple_choice}, {"truthfulqa_mc2", truthfulqa_mc2},
           {"gsm8k", gsm8k}, {"humaneval", humaneval}, {"mbpp", mbpp}, {"wikitext", wikitext},
           {"frees", frees})
