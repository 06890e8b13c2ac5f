/* Aggregates over corpora against lm-evaluation-harness 0.4.13's, and classes against sklearn's. */
#include "metrics/classes.h"
#include "metrics/metric.h"
#include "metrics/text.h"
#include "tests/check.h"

static struct arena arena;

/* Sentences that a formula makes; the constants below are what lm_eval.api.metrics says of them. */
static struct str made_text(int seed, int n)
{
    static const char *const words[] = {"the",   "a",   "cat",   "dog", "sat", "ran", "on", "mat",
                                        "road,", "big", "small", "red", "-",   "not", "42", "3.5"};
    struct buf b = {0};
    for (int i = 0, x = seed; i < n; i++) {
        x = (x * 37 + 11) % 101;
        buf_printf(&b, i ? " %s" : "%s", words[x % 16]);
    }
    return buf_take(&b, &arena);
}

enum { N_TEXTS = 12, N_LABELS = 57 };

static struct metric_item *text_items(enum aggregation how)
{
    struct metric_item *items = arena_array(&arena, N_TEXTS, sizeof *items);
    for (int i = 0; i < N_TEXTS; i++) {
        struct str reference = made_text(i + 1, 6 + i % 5);
        double *parts = arena_array(&arena, (size_t)metric_parts(how), sizeof *parts);
        items[i].value =
            metric_count_text(&arena, how, made_text(i + 1 + (i % 3 == 0), 6 + i * 3 % 5),
                              &reference, 1, NULL, parts);
        items[i].weight = 1;
        items[i].parts = parts;
    }
    return items;
}

static void texts(void)
{
    static const struct {
        const char *metric;
        double value, stderr_;
    } cases[] = {
        {"bleu", 61.58944037776754, 12.548462662121981},
        {"chrf", 65.48190971953053, 11.940515475204625},
        {"chrf++", 65.74675317784164, 11.777634477099138},
        {"ter", 40.86021505376344, 10.926799753531972},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum aggregation how = metric_find(cases[i].metric)->aggregation;
        struct metric_item *items = text_items(how);
        struct aggregate a = metric_aggregate(how, items, N_TEXTS, 100000, NULL);
        EXPECT_NEAR(a.value, cases[i].value, 1e-9);
        EXPECT_NEAR(a.stderr_, cases[i].stderr_, 1e-9);
        EXPECT_NEAR(metric_aggregate(how, items, N_TEXTS, 0, NULL).stderr_, NAN, 0);
        EXPECT_NEAR(metric_value(how, items, 1), items[0].value, 1e-9);
        items[3].parts = NULL;
        EXPECT_NEAR(metric_aggregate(how, items, N_TEXTS, 100, NULL).value, NAN, 0);
    }
    EXPECT(!metric_find("ter")->higher_is_better);
    arena_free(&arena);
}

static struct metric_item *label_items(int gold(int i), int predicted(int i))
{
    struct metric_item *items = arena_array(&arena, N_LABELS, sizeof *items);
    for (int i = 0; i < N_LABELS; i++) {
        double *parts = arena_array(&arena, 2, sizeof *parts);
        parts[0] = gold(i), parts[1] = predicted(i);
        items[i] = (struct metric_item){parts[0] == parts[1], 1, parts};
    }
    return items;
}

static int gold_two(int i)
{
    return i * 7 % 5 > 2;
}

static int predicted_two(int i)
{
    return i % 4 ? i * 11 % 7 > 2 : gold_two(i);
}

static int gold_three(int i)
{
    return i * 7 % 3;
}

static int predicted_three(int i)
{
    return i % 2 ? i * 11 % 7 % 3 : gold_three(i);
}

static int none_of_them(int i)
{
    (void)i;
    return -1;
}

static void labels(void)
{
    struct metric_item *two = label_items(gold_two, predicted_two),
                       *three = label_items(gold_three, predicted_three);
    struct aggregate mcc = metric_aggregate(AGGREGATE_MCC, two, N_LABELS, 2000, NULL);
    struct aggregate f1 = metric_aggregate(AGGREGATE_F1, two, N_LABELS, 2000, NULL);
    EXPECT_NEAR(mcc.value, 0.17473955057144486, 1e-12);
    EXPECT_NEAR(mcc.stderr_, 0.1301511836476892, 1e-12);
    EXPECT_NEAR(f1.value, 0.5384615384615384, 1e-12);
    EXPECT_NEAR(f1.stderr_, 0.08406727070991289, 1e-12);
    mcc = metric_aggregate(AGGREGATE_MCC, three, N_LABELS, 2000, NULL);
    EXPECT_NEAR(mcc.value, 0.5016237574637435, 1e-12);
    EXPECT_NEAR(mcc.stderr_, 0.09562701629684907, 1e-12);
    EXPECT_NEAR(metric_value(AGGREGATE_F1, three, N_LABELS), NAN, 0); /* sklearn refuses */
    static const enum aggregation averaged[] = {AGGREGATE_F1_MACRO, AGGREGATE_F1_MICRO,
                                                AGGREGATE_F1_WEIGHTED};
    static const double want[] = {0.6678385702775946, 0.6666666666666666, 0.6678385702775946};
    for (int i = 0; i < 3; i++) { /* sklearn's, without the error that the reference has not */
        struct aggregate a = metric_aggregate(averaged[i], three, N_LABELS, 2000, NULL);
        EXPECT_NEAR(a.value, want[i], 1e-12);
        EXPECT_NEAR(a.stderr_, NAN, 0);
    }
    struct metric_item *off = label_items(none_of_them, gold_two);
    EXPECT_NEAR(metric_value(AGGREGATE_MCC, off, N_LABELS), 0, 0);
    EXPECT_NEAR(metric_value(AGGREGATE_F1, label_items(none_of_them, none_of_them), N_LABELS), 0,
                0);
    double bad[] = {1e30, 0.5};
    off[5].parts = bad;
    EXPECT_NEAR(metric_value(AGGREGATE_MCC, off, N_LABELS), NAN, 0);
    EXPECT_NEAR(metric_value(AGGREGATE_BYPASS, two, N_LABELS), 999, 0);
    arena_free(&arena);
}

/* sacreBLEU's scores of one sentence with these options. */
static void options(void)
{
    static const struct text_options folded = {.tokenizer = BLEU_INTL, .lowercase = true},
                                     spaced = {.lowercase = true, .whitespace = true},
                                     normal = {.ter = {.normalized = true, .case_sensitive = true}},
                                     bare = {.ter = {.no_punct = true}};
    static const struct {
        enum aggregation how;
        const struct text_options *options;
        double want;
    } cases[] = {{AGGREGATE_BLEU, &folded, 100.00000000000004},
                 {AGGREGATE_BLEU, NULL, 16.10230726602675},
                 {AGGREGATE_CHRF, &spaced, 71.29200231061847},
                 {AGGREGATE_TER, &normal, 25},
                 {AGGREGATE_TER, &bare, 33.33333333333333}};
    struct str reference = STR("the world-wide web , it 's big .");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double parts[24];
        EXPECT_NEAR(metric_count_text(&arena, cases[i].how, STR("The WORLD-wide web, it's big."),
                                      &reference, 1, cases[i].options, parts),
                    cases[i].want, 1e-9);
    }
    arena_free(&arena);
}

static void averages(void)
{
    int gold[N_LABELS], predicted[N_LABELS];
    double counts[3][5];
    struct class_counts c = {5, counts[0], counts[1], counts[2], 0, 0, 0, 0};
    for (int i = 0; i < N_LABELS; i++)
        gold[i] = gold_three(i), predicted[i] = predicted_three(i);
    class_counts_of(&c, gold, predicted, N_LABELS);
    EXPECT_NEAR(f1_average(&c, F1_MACRO), 0.6678385702775946, 1e-12);
    EXPECT_NEAR(f1_average(&c, F1_MICRO), 0.6666666666666666, 1e-12);
    EXPECT_NEAR(f1_average(&c, F1_WEIGHTED), 0.6678385702775946, 1e-12);
    class_counts_of(&c, gold, predicted, 0);
    EXPECT_NEAR(f1_average(&c, F1_MACRO), 0, 0);
}

static void calibration(void)
{
    static const double confidence[] = {0, 0.05, 0.1, 0.55, 0.6, 0.95, 1, 1};
    static const bool right[] = {false, true, false, true, false, true, true, false};
    /* bins of tenths: three off by 0.85 together, 0.55 and 0.6 by 0.15, the last three by 0.95 */
    EXPECT_NEAR(expected_calibration_error(confidence, right, 8, 10), (0.85 + 0.15 + 0.95) / 8,
                1e-12);
    EXPECT_NEAR(expected_calibration_error(confidence, right, 0, 10), NAN, 0);
}

CHECK_MAIN({"texts", texts}, {"options", options}, {"labels", labels}, {"averages of F1", averages},
           {"calibration", calibration})
