/* Metrics against lm-evaluation-harness 0.4.13's numbers. */
#include "metrics/metric.h"

#include <jansson.h>

#include "base/pool.h"
#include "base/regex.h"
#include "tests/check.h"

#define EXPECT_CLOSE(got, want) EXPECT_NEAR(got, want, 1e-9 * fabs((double)(want)))

enum { N = 57 };

/* The values that the constants below were computed from, by lm_eval.api.metrics. */
static void fill(struct metric_item *items)
{
    for (int i = 0; i < N; i++)
        items[i] = (struct metric_item){-((i * 37 % 101) / 10.0 + 0.25), 3 + i % 7, NULL};
}

static void table(void)
{
    EXPECT(!metric_find("word_perplexity")->higher_is_better);
    EXPECT_Z(metric_find("pass@10")->name, "pass@k");
    EXPECT(metric_find("pass@") == NULL);
    EXPECT(metric_find("pass@1x") == NULL);
    EXPECT(metric_find("") == NULL);
    EXPECT_Z(aggregation_name(AGGREGATE_BITS_PER_BYTE), "bits_per_byte");
}

static void aggregates(void)
{
    struct metric_item items[N];
    fill(items);
    struct aggregate mean = metric_aggregate(AGGREGATE_MEAN, items, N, 0, NULL);
    EXPECT_CLOSE(mean.value, -5.153508771929824);
    EXPECT_CLOSE(mean.stderr_, 0.3903998730198168);
    EXPECT_INT(mean.n, N);
    EXPECT_CLOSE(metric_value(AGGREGATE_PERPLEXITY, items, N), 173.0375757759013);
    EXPECT_CLOSE(metric_value(AGGREGATE_WEIGHTED_PERPLEXITY, items, N), 2.3786168755853314);
    EXPECT_CLOSE(metric_value(AGGREGATE_BITS_PER_BYTE, items, N), 1.250122915224581);
    EXPECT_NEAR(metric_aggregate(AGGREGATE_BITS_PER_BYTE, items, N, 1000, NULL).stderr_, NAN, 0);
    EXPECT_NEAR(metric_aggregate(AGGREGATE_PERPLEXITY, items, N, 0, NULL).stderr_, NAN, 0);
    EXPECT_NEAR(metric_aggregate(AGGREGATE_MEAN, items, 1, 0, NULL).stderr_, NAN, 0);
    EXPECT_NEAR(metric_aggregate(AGGREGATE_MEAN, items, 0, 0, NULL).value, NAN, 0);
}

static void bootstrap(void)
{
    static const struct {
        int n, iters;
        double perplexity;
    } cases[] = {
        {57, 500, 74.55341758706643},
        {57, 2500, 76.0121346732811}, /* the half chunk is not drawn */
        {57, 100000, 75.0156981572403},
        {8, 3000, 156.79295364149226},
    };
    struct metric_item items[N];
    fill(items);
    struct pool *pool = pool_new(3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = cases[i].n, iters = cases[i].iters;
        struct aggregate p = metric_aggregate(AGGREGATE_PERPLEXITY, items, n, iters, pool);
        EXPECT_CLOSE(p.stderr_, cases[i].perplexity);
    }
    struct aggregate alone = metric_aggregate(AGGREGATE_PERPLEXITY, items, N, 2500, NULL);
    struct aggregate shared = metric_aggregate(AGGREGATE_PERPLEXITY, items, N, 2500, pool);
    EXPECT(memcmp(&alone, &shared, sizeof alone) == 0);
    pool_free(pool);
}

static void groups(void)
{
    static const struct aggregate leaves[] = {{.5, .05, 100}, {.25, .02, 50}, {.75, .1, 20}};
    struct aggregate g = metric_group(leaves, 3, true, true);
    EXPECT_CLOSE(g.value, 0.45588235294117646);
    EXPECT_CLOSE(g.stderr_, 0.032251433830906624);
    EXPECT_INT(g.n, 170);
    g = metric_group(leaves, 3, false, true);
    EXPECT_CLOSE(g.value, 0.5);
    EXPECT_CLOSE(g.stderr_, 0.03785938897200183);
    EXPECT_CLOSE(metric_group(leaves, 3, false, false).stderr_, 0.03785938897200183);
    EXPECT_CLOSE(metric_group(leaves, 3, true, false).stderr_,
                 sqrt(25 + 1 + 4) / 170); /* n_i se_i: 5, 1, 2 */
    static const struct aggregate without[] = {{.5, .05, 100}, {.25, NAN, 50}};
    EXPECT_NEAR(metric_group(without, 2, true, true).stderr_, NAN, 0);
    EXPECT_NEAR(metric_group(without, 2, true, false).stderr_, NAN, 0);
    EXPECT_NEAR(metric_group(NULL, 0, true, false).value, NAN, 0);
}

static void argmax(void)
{
    EXPECT_INT(argmax_double((double[]){1, 3, 3, 2}, 4), 1);
    EXPECT_INT(argmax_double((double[]){-INFINITY, -INFINITY}, 2), 0);
    EXPECT_INT(argmax_double((double[]){1, NAN, 3}, 3), 1);
    EXPECT_INT(argmax_double(NULL, 0), -1);
}

static void pass_at(void)
{
    const char *path = check_shared("goldens/text_metrics/pass_at_k.json");
    json_t *all = path ? json_load_file(path, 0, NULL) : NULL, *row;
    size_t i;
    json_array_foreach(all, i, row)
    {
        int64_t x[3];
        for (size_t j = 0; j < 3; j++)
            x[j] = json_integer_value(json_array_get(row, j));
        EXPECT_NEAR(pass_at_k(x[0], x[1], x[2]), json_number_value(json_array_get(row, 3)), 1e-12);
    }
    EXPECT(!path || i > 10);
    json_decref(all);
}

static void brier(void)
{
    EXPECT_CLOSE(brier_score((double[]){-1, -2, -3}, 3, 1), 1.0210861157808093);
    EXPECT_CLOSE(brier_score((double[]){-1001, -1002, -1003}, 3, 1), 1.0210861157808093);
}

static void words(void)
{
    EXPECT_INT(count_words(STR("")), 1);
    EXPECT_INT(count_words(STR("one")), 1);
    EXPECT_INT(count_words(STR("  one\n\ttwo ")), 4);
    EXPECT_INT(count_words(STR("a\xc2\xa0"
                               "b\xe3\x80\x80"
                               "c")),
               3); /* no-break, ideographic */
    EXPECT_INT(count_words(STR("a\x1c"
                               "b")),
               2); /* str.isspace() holds for U+001C */
    EXPECT_INT(count_words(STR("a\xe2\x80\x8b"
                               "b")),
               1); /* zero width: no space */
}

static double matches(const char *prediction, const char *reference, struct exact_match_options o)
{
    struct arena a = {0};
    struct error err;
    double ret = -1;
    EXPECT_OK(exact_match(&a, str_of(prediction), str_of(reference), &o, &ret, &err), &err);
    arena_free(&a);
    return ret;
}

static void exact(void)
{
    struct exact_match_options none = {0}, lower = {.ignore_case = true},
                               marks = {.ignore_punctuation = true},
                               digits = {.ignore_numbers = true};
    EXPECT_INT(matches("42", "42", none), 1);
    EXPECT_INT(matches("42 ", "42", none), 0);
    EXPECT_INT(matches("Paris", "paris", none), 0);
    EXPECT_INT(matches("PARIS \xc3\x89", "paris \xc3\xa9", lower), 1);
    EXPECT_INT(matches("a.b,c!{|}~", "abc", marks), 1);
    EXPECT_INT(matches("a\xe2\x80\xa6", "a", marks), 0); /* only ASCII punctuation */
    EXPECT_INT(matches("a1b2", "9ab", digits), 1);

    /* gsm8k's: thousands' commas, dollars, what precedes "#### ", a final full stop. */
    static const char *const patterns[] = {",", "\\$", "(?s).*#### ", "\\.$"};
    struct regex *regexes[4];
    struct error err;
    for (int i = 0; i < 4; i++)
        EXPECT_OK(regex_compile(str_of(patterns[i]), 0, "test", &regexes[i], &err), &err);
    struct exact_match_options gsm8k = {.regexes_to_ignore = regexes, .n_regexes = 4};
    EXPECT_INT(matches("$1,234.", "So it is\n#### 1234", gsm8k), 1);
    EXPECT_INT(matches("1234.5", "#### 12345", gsm8k), 0);
    for (int i = 0; i < 4; i++)
        regex_free(regexes[i]);
}

/* The example of the leaderboard's page, and benchmarks that count their parts in two ways. */
static void normalizes_as_the_leaderboard_does(void)
{
    const struct mean_term musr[] = {{"x", 1.0 / 2, 0.7, 0, 10, false},
                                     {"x", 1.0 / 5, 0.4, 0, 10, false},
                                     {"x", 1.0 / 3, 0.6, 0, 10, false}};
    EXPECT_NEAR(metric_leaderboard_mean(musr, 3).value, 0.35, 1e-12);
    const struct mean_term two[] = {{"x", 0.25, 0.20, 0.1, 100, true},
                                    {"x", 0.25, 0.40, 0.1, 300, true},
                                    {"y", 0.50, 0.40, 0.1, 5, false},
                                    {"y", 0.50, 0.75, 0.1, 9, false}};
    struct aggregate mean = metric_leaderboard_mean(two, 4);
    EXPECT_NEAR(mean.value, ((0.35 - 0.25) / 0.75 + (0 + 0.5) / 2) / 2, 1e-12);
    EXPECT_INT(mean.n, 414);
    EXPECT(mean.stderr_ > 0);
    const struct mean_term unknown[] = {{"x", 0.25, 0.5, 0, 10, false},
                                        {"y", 0, NAN, 0, 10, false}};
    EXPECT_NEAR(metric_leaderboard_mean(unknown, 2).value, NAN, 0);
}

CHECK_MAIN({"the leaderboard's mean", normalizes_as_the_leaderboard_does}, {"table", table},
           {"aggregates", aggregates}, {"bootstrap", bootstrap}, {"groups", groups},
           {"argmax", argmax}, {"pass@k", pass_at}, {"brier score", brier}, {"words", words},
           {"exact match", exact})
