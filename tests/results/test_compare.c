/* Comparisons against numbers from scipy.stats (ttest_rel, binom, norm), and how evaluations are
 * chosen and paired. */
#include "base/file.h"
#include "results/compare.h"
#include "results/report.h"
#include "tests/results/fixture.h"

static struct error err;

static struct store *open_pair(void)
{
    struct store *s = fixture_open(&err);
    fixture_pair(s, &err);
    return s;
}

static const struct comparison *row(const struct comparison_list *l, const char *task,
                                    const char *metric)
{
    static const struct comparison none;
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].task, task) == 0 && strcmp(l->items[i].metric, metric) == 0)
            return &l->items[i];
    check_fail(__FILE__, __LINE__, "no row for %s %s", task, metric);
    return &none;
}

static void agrees_with_scipy(void)
{
    struct store *s = open_pair();
    struct arena a = {0};
    struct comparison_list l;
    EXPECT_OK(compare_models(s, &a, "a", "b", NULL, &l, &err), &err);
    EXPECT_INT(l.n, 5);
    EXPECT_INT(l.n_notes, 0);
    EXPECT_Z(l.model_b, "b");
    const struct comparison *c = row(&l, "arc_easy", "acc");
    EXPECT_INT(c->n, 40);
    EXPECT_NEAR(c->a, 0.75, 1e-12);
    EXPECT_NEAR(c->b, 0.625, 1e-12);
    EXPECT_NEAR(c->a_stderr, 0.06933752452815363, 1e-12);
    EXPECT_NEAR(c->recovery_percent, 83.33333333333333, 1e-9);
    EXPECT_NEAR(c->recovery_low, 65.23953297947031, 1e-9); /* scipy, as fieller_reference.py */
    EXPECT_NEAR(c->recovery_high, 103.35968168089047, 1e-9);
    EXPECT_NEAR(c->difference, -0.125, 1e-12);
    EXPECT_NEAR(c->difference_stderr, 0.07327066086497203, 1e-12);
    EXPECT_NEAR(c->low, -0.27320390043667175, 1e-9);
    EXPECT_NEAR(c->high, 0.023203900436671754, 1e-9);
    EXPECT_NEAR(c->p, 0.09596045449533602, 1e-9);
    EXPECT(c->is_01);
    EXPECT_INT(c->lost, 7);
    EXPECT_INT(c->gained, 2);
    EXPECT_NEAR(c->mcnemar_p, 0.1796875, 1e-12);
    EXPECT_NEAR(c->chance, 0.5, 1e-12);
    EXPECT(!c->near_chance);
    EXPECT(row(&l, "arc_hard", "acc")->near_chance);

    c = row(&l, "arc", "acc");
    EXPECT(c->is_group && c == &l.items[0]);
    EXPECT_INT(c->n, 50);
    EXPECT_NEAR(c->a, 0.7, 1e-12);
    EXPECT_NEAR(c->b, 0.62, 1e-12);
    EXPECT_NEAR(c->difference_stderr, 0.06873708114828796, 1e-12);
    EXPECT_NEAR(c->low, -0.21472220345305149, 1e-9);
    EXPECT_NEAR(c->p, 0.24448275260804797, 1e-9);
    EXPECT_NEAR(c->mcnemar_p, 0.3876953125, 1e-12);
    EXPECT_NEAR(fixture_number(fixture_path("a.db"),
                               "SELECT avg(difference) FROM v_compare WHERE model_a = 'a' AND "
                               "model_b = 'b' AND task = 'arc_easy' AND metric = 'acc'"),
                -0.125, 1e-12);
    arena_free(&a);
    store_close(s);
    fixture_end();
}

/* A task of one's own, a score of another kind, and documents that only one model has. */
static void compares_perplexities(void)
{
    struct store *s = fixture_open(&err);
    for (int m = 0; m < 2; m++) {
        struct evaluation e = fixture_evaluation(m ? "y" : "x", m ? "b" : "a", "wikitext");
        e.output_type = "loglikelihood_rolling";
        int64_t id;
        EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
        for (int i = 0; i < (m ? 8 : 10); i++) {
            double logprob = -100 - 10 * i - (m ? 1 + 0.5 * (i % 3) : 0);
            struct request_row q = {.prompt = STR("text"), .logprob_nats = logprob};
            struct score_row c = {"word_perplexity", "none", logprob, 25, NULL, 0};
            struct sample_row row_ = {.doc_id = i,
                                      .doc_json = STR("{}"),
                                      .requests = &q,
                                      .n_requests = 1,
                                      .scores = &c,
                                      .n_scores = 1};
            EXPECT_OK(store_sample(s, id, &row_, &err), &err);
        }
    }
    struct arena a = {0};
    struct comparison_list l;
    EXPECT_OK(compare_models(s, &a, "a", "b", NULL, &l, &err), &err);
    const struct comparison *c = row(&l, "wikitext", "word_perplexity");
    double sum_a = 8 * 100 + 10 * 28, sum_b = sum_a + 8 + 0.5 * 7;
    EXPECT_INT(c->n, 8);
    EXPECT_NEAR(c->a, exp(sum_a / 200), 1e-9);
    EXPECT_NEAR(c->b, exp(sum_b / 200), 1e-9);
    EXPECT_NEAR(c->recovery_percent, 100 * exp((sum_a - sum_b) / 200), 1e-9);
    EXPECT(c->recovery_low < c->recovery_percent && c->recovery_percent < c->recovery_high);
    EXPECT(c->recovery_high < 100); /* B is worse on every document */
    EXPECT(!c->is_01 && !c->higher_is_better && isnan(c->mcnemar_p));
    EXPECT(c->low > 0 && c->low < c->difference && c->difference < c->high);
    fixture_sql(fixture_path("a.db"), "DELETE FROM samples WHERE doc_id = 0");
    EXPECT_OK(compare_models(s, &a, "a", "b", NULL, &l, &err), &err);
    c = row(&l, "wikitext", "word_perplexity");
    EXPECT_INT(c->n, 7);
    EXPECT(isnan(c->low) && isnan(c->high) && isnan(c->p) && c->difference > 0);
    arena_free(&a);
    store_close(s);
    fixture_end();
}

/* Shares are of scores from 0 up; what went wrong, or lies below 0, has a difference alone. */
static void recovers_scores_only(void)
{
    struct store *s = fixture_open(&err);
    static const double values[2][5] = {{0.5, -1.125, 0.25, 40, 0}, {0.25, -1.35, 0.5, 50, 0}};
    static const char *const metrics[] = {"exact_match", "likelihood", "no_answer", "ter", "acc"};
    for (int m = 0; m < 2; m++) {
        struct evaluation e = fixture_evaluation(m ? "y" : "x", m ? "b" : "a", "say");
        e.output_type = "generate_until";
        int64_t id;
        EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
        const double edits[] = {values[m][3], 100};
        struct score_row c[5];
        for (int i = 0; i < 5; i++)
            c[i] = (struct score_row){metrics[i], "none", values[m][i], 1, NULL, 0};
        c[3].parts = edits;
        c[3].n_parts = 2;
        struct sample_row sample = {.doc_json = STR("{}"), .scores = c, .n_scores = 5};
        EXPECT_OK(store_sample(s, id, &sample, &err), &err);
        EXPECT_OK(store_aggregate(s, id, 1, 0, &err), &err);
    }
    struct arena a = {0};
    struct comparison_list l;
    EXPECT_OK(compare_models(s, &a, "a", "b", NULL, &l, &err), &err);
    EXPECT_NEAR(row(&l, "say", "exact_match")->recovery_percent, 50, 1e-12);
    EXPECT_NEAR(row(&l, "say", "ter")->recovery_percent, 80, 1e-12);
    EXPECT_NEAR(row(&l, "say", "likelihood")->recovery_percent, NAN, 0);
    EXPECT_NEAR(row(&l, "say", "no_answer")->recovery_percent, NAN, 0);
    EXPECT_NEAR(row(&l, "say", "acc")->recovery_percent, NAN, 0);
    EXPECT_NEAR(row(&l, "say", "no_answer")->difference, 0.25, 1e-12);

    struct report_options o = {0};
    struct str text;
    EXPECT_OK(report_html(s, &o, fixture_path("r.html"), &err), &err);
    EXPECT_OK(file_read(&a, fixture_path("r.html"), FILE_LIMIT_TEXT, &text, &err), &err);
    EXPECT(str_find(text, STR(">50.0 %<"), 0) != SIZE_MAX);
    EXPECT(str_find(text, STR("120.0 %"), 0) == SIZE_MAX);
    EXPECT_OK(report_csv(s, &o, fixture_path("r.csv"), &err), &err);
    EXPECT_OK(file_read(&a, fixture_path("r.csv"), FILE_LIMIT_TEXT, &text, &err), &err);
    EXPECT(str_find(text, STR("a,0.5,0.25,1,50.0,-0.25,"), 0) != SIZE_MAX);
    EXPECT(str_find(text, STR("a,0.25,0.5,1,,0.25,"), 0) != SIZE_MAX);
    arena_free(&a);
    store_close(s);
    fixture_end();
}

static bool has_note(const struct comparison_list *l, const char *words)
{
    for (size_t i = 0; i < l->n_notes; i++)
        if (strstr(l->notes[i], words))
            return true;
    return false;
}

static void says_what_it_chose(void)
{
    struct store *s = open_pair();
    struct arena a = {0};
    struct comparison_list l;
    /* The same label and setting once more, with another file: the later one counts. */
    struct evaluation e = fixture_evaluation("b2", "b", "arc_easy");
    e.model_hash = "another";
    int64_t id;
    EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
    for (int i = 0; i < 3; i++)
        EXPECT_OK(fixture_sample(s, id, i, -1, -2, &err), &err);
    EXPECT_OK(compare_models(s, &a, "a", "b", "arc_easy", &l, &err), &err);
    EXPECT_INT(row(&l, "arc_easy", "acc")->evaluation_b, id);
    EXPECT_INT(row(&l, "arc_easy", "acc")->n, 3);
    EXPECT(has_note(&l, "#5, the last used, is compared, not #3"));
    EXPECT_OK(compare_models(s, &a, "a", "#3", "arc_easy", &l, &err), &err);
    EXPECT_INT(row(&l, "arc_easy", "acc")->n, 40);
    EXPECT_INT(l.n_notes, 0);

    /* Other examples: not compared, unless both are named. */
    e = fixture_evaluation("c", "c", "arc_easy");
    e.num_fewshot = 5;
    EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
    EXPECT_OK(fixture_sample(s, id, 0, -1, -2, &err), &err);
    EXPECT_ERROR(compare_models(s, &a, "a", "c", NULL, &l, &err), &err, E_INPUT,
                 "not with the same examples");
    EXPECT_OK(compare_models(s, &a, "#1", "#6", NULL, &l, &err), &err);
    EXPECT_INT(row(&l, "arc_easy", "acc")->n, 1);
    EXPECT_ERROR(compare_models(s, &a, "a", "nobody", NULL, &l, &err), &err, E_INPUT,
                 "it has: a, b, c");
    EXPECT_ERROR(compare_models(s, &a, "a", "#99", NULL, &l, &err), &err, E_INPUT, "#99");
    EXPECT_ERROR(compare_models(s, &a, "a", "b", "mmlu", &l, &err), &err, E_INPUT, "mmlu");

    /* Documents that changed are not compared. */
    e = fixture_evaluation("d", "d", "arc_easy");
    EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
    struct score_row c = {"acc", "none", 1, 1, NULL, 0};
    struct sample_row other = {
        .doc_id = 0, .doc_json = STR("{\"question\": \"changed\"}"), .scores = &c, .n_scores = 1};
    EXPECT_OK(store_sample(s, id, &other, &err), &err);
    EXPECT_ERROR(compare_models(s, &a, "a", "d", NULL, &l, &err), &err, E_INPUT,
                 "no document has scores from both");
    arena_free(&a);
    store_close(s);
    fixture_end();
}

static void finds_flips(void)
{
    struct store *s = open_pair();
    struct arena a = {0};
    struct comparison_list l;
    struct flip *flips = NULL;
    int n = -1;
    EXPECT_OK(compare_models(s, &a, "a", "b", "arc_easy", &l, &err), &err);
    const struct comparison *c = row(&l, "arc_easy", "acc");
    EXPECT_OK(compare_flips(s, &a, c, true, 100, &flips, &n, &err), &err);
    EXPECT_INT(n, 7);
    for (int i = 0; i < n; i++)
        EXPECT(flips[i].score_a == 1 && flips[i].score_b == 0);
    EXPECT_OK(compare_flips(s, &a, c, false, 100, &flips, &n, &err), &err);
    EXPECT_INT(n, 2);
    EXPECT_OK(compare_flips(s, &a, c, true, 3, &flips, &n, &err), &err);
    EXPECT_INT(n, 3);
    arena_free(&a);
    store_close(s);
    fixture_end();
}

CHECK_MAIN({"agrees_with_scipy", agrees_with_scipy},
           {"compares_perplexities", compares_perplexities},
           {"recovers_scores_only", recovers_scores_only},
           {"says_what_it_chose", says_what_it_chose}, {"finds_flips", finds_flips})
