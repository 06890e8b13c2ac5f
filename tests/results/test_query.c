/* What ls and show read. */
#include "results/query.h"
#include "tests/results/fixture.h"

static struct error err;

static struct store *open_pair(void)
{
    struct store *s = fixture_open(&err);
    fixture_pair(s, &err);
    return s;
}

static void lists_evaluations(void)
{
    struct store *s = open_pair();
    struct arena a = {0};
    struct evaluation_list l;
    EXPECT_OK(query_evaluations(s, &a, NULL, &l, &err), &err);
    EXPECT_INT(l.n, 4);
    EXPECT_Z(l.items[1].task, "arc_hard");
    EXPECT_INT(l.items[1].n_samples, 10);
    EXPECT_INT(l.items[1].n_eval, 10);
    EXPECT_INT(l.items[1].n_docs, 1000);
    EXPECT_INT(l.items[1].n_scores, 2);
    EXPECT_NEAR(l.items[1].scores[0].value, 0.5, 1e-12);
    EXPECT_Z(l.items[1].numerics, "ref/f32");
    EXPECT_Z(l.items[1].config_json, "{\"task\": \"arc\"}");
    struct evaluation_filter f = {.model = "b", .task = "arc_hard"};
    EXPECT_OK(query_evaluations(s, &a, &f, &l, &err), &err);
    EXPECT_INT(l.n, 1);
    EXPECT_INT(l.items[0].id, 4);
    f = (struct evaluation_filter){.model = "#4,#1"};
    EXPECT_OK(query_evaluations(s, &a, &f, &l, &err), &err);
    EXPECT_INT(l.n, 2);
    static const char *const bad[] = {"#", "#x", "#1,", "#1x", "c", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        f.model = bad[i];
        int r = query_evaluations(s, &a, &f, &l, &err);
        EXPECT(r == E_INPUT || (i == 2 && r == 0)); /* a comma at the end is no harm */
    }
    const char *const *models;
    int n = 0;
    EXPECT_OK(query_models(s, &a, &models, &n, &err), &err);
    EXPECT_INT(n, 2);
    EXPECT_Z(models[0], "a");
    struct group_list groups;
    EXPECT_OK(query_groups(s, &a, &groups, &err), &err);
    EXPECT_INT(groups.n, 1);
    EXPECT_INT(groups.items[0].n_tasks, 2);
    EXPECT_Z(groups.items[0].tasks[1], "arc_hard");
    EXPECT(groups.items[0].measures[0].weight_by_size);
    arena_free(&a);
    store_close(s);
    fixture_end();
}

static void lists_runs(void)
{
    struct store *s = open_pair();
    struct arena a = {0};
    int64_t first, second;
    EXPECT_OK(store_run_begin(s, "assay run -m x", &first, &err), &err);
    EXPECT_OK(store_run_evaluation(s, first, 1, 40, &err), &err);
    EXPECT_OK(store_run_end(s, first, 75, 10, 1.5, &err), &err);
    EXPECT_OK(store_run_begin(s, "assay run -m y", &second, &err), &err);
    struct run_line *runs;
    int n = 0;
    EXPECT_OK(query_runs(s, &a, 10, &runs, &n, &err), &err);
    EXPECT_INT(n, 2);
    if (n == 2) {
        EXPECT_Z(runs[0].command_line, "assay run -m y");
        EXPECT(runs[0].ended == NULL);
        EXPECT_INT(runs[1].exit_code, 75);
        EXPECT_INT(runs[1].n_evaluations, 1);
    }
    arena_free(&a);
    store_close(s);
    fixture_end();
}

static void shows_a_sample(void)
{
    struct store *s = open_pair();
    struct arena a = {0};
    struct sample_view v;
    EXPECT_OK(query_sample(s, &a, 1, 4, &v, &err), &err);
    EXPECT_STR(v.target, STR("0"));
    EXPECT_STR(v.doc_json, STR("{\"question\": \"what is <4>?\"}"));
    EXPECT_INT(v.n_requests, 2);
    EXPECT_INT(v.n_scores, 2);
    if (v.n_requests == 2 && v.n_scores == 2) {
        EXPECT_STR(v.requests[0].row.prompt, STR("Question: what is <4>?\nAnswer:"));
        EXPECT_STR(v.requests[1].row.continuation, STR(" that"));
        EXPECT_NEAR(v.requests[1].row.logprob_nats, -2, 0);
        EXPECT(!v.requests[0].best && v.requests[1].best && v.requests[1].row.is_greedy);
        EXPECT_Z(v.requests[0].prompt_tokens, "[1,500,7]");
        EXPECT_Z(v.requests[0].tokens, "[42]");
        EXPECT_Z(v.scores[0].metric, "acc");
        EXPECT_NEAR(v.scores[0].value, 0, 0);
    }
    EXPECT_ERROR(query_sample(s, &a, 1, 40, &v, &err), &err, E_INPUT, "no sample of document 40");
    arena_free(&a);
    store_close(s);
    fixture_end();
}

/* Bytes of any kind come back as they were. */
static void keeps_any_bytes(void)
{
    struct store *s = open_pair();
    struct arena a = {0};
    struct request_row q = {.prompt = STR("a\0b\xff\xc3 \xe6\x97\xa5"),
                            .response = STR(""),
                            .logprob_nats = NAN,
                            .finish = "eos"};
    struct sample_row row = {
        .doc_id = 900, .doc_json = STR("{}"), .target = STR("\0"), .requests = &q, .n_requests = 1};
    EXPECT_OK(store_sample(s, 1, &row, &err), &err);
    struct sample_view v;
    EXPECT_OK(query_sample(s, &a, 1, 900, &v, &err), &err);
    EXPECT_STR(v.target, row.target);
    EXPECT_STR(v.requests[0].row.prompt, q.prompt);
    EXPECT_STR(v.requests[0].row.response, STR(""));
    EXPECT(isnan(v.requests[0].row.logprob_nats) && !v.requests[0].tokens);
    arena_free(&a);
    store_close(s);
    fixture_end();
}

static int stop_at_three(void *arg, const struct sample_view *v, struct error *e)
{
    ++*(int *)arg;
    return v->doc_id == 3 ? error_set(e, E_INTERRUPTED, "enough") : 0;
}

static void walks_samples(void)
{
    struct store *s = open_pair();
    int n = 0;
    EXPECT_ERROR(query_samples(s, 1, 40, stop_at_three, &n, &err), &err, E_INTERRUPTED, "enough");
    EXPECT_INT(n, 4);
    n = 0;
    EXPECT_OK(query_samples(s, 1, 3, stop_at_three, &n, &err), &err);
    EXPECT_INT(n, 3);
    store_close(s);
    fixture_end();
}

CHECK_MAIN({"lists_evaluations", lists_evaluations}, {"lists_runs", lists_runs},
           {"shows_a_sample", shows_a_sample}, {"keeps_any_bytes", keeps_any_bytes},
           {"walks_samples", walks_samples})
