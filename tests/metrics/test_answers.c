/* SQuAD's and TAT-QA's scores against their publishers' programs. */
#include "metrics/text.h"

#include <jansson.h>

#include "base/file.h"
#include "base/json.h"
#include "base/value.h"
#include "tests/check.h"
#include "tests/metrics/rows.h"

static struct arena arena;

static void squad_goldens(void)
{
    struct rows rows;
    if (!rows_open(&arena, "goldens/text_metrics/squad.jsonl", &rows))
        return;
    for (size_t i = 0; i < rows.n; i++) {
        const struct value *row = rows.items[i];
        struct str prediction = row_text(row, "prediction"), golds[8];
        size_t n = row_texts(row, "golds", golds, 8);
        struct answer_score one = squad_score(&arena, prediction, golds, n, SQUAD_1_1),
                            two = squad_score(&arena, prediction, golds, n, SQUAD_2_0);
        EXPECT_STR(squad_normalize(&arena, prediction), row_text(row, "normalized_prediction"));
        EXPECT_NEAR(one.em, row_number(row, "em"), 0);
        EXPECT_NEAR(one.f1, row_number(row, "f1"), 1e-12);
        EXPECT_NEAR(two.f1, row_number(row, "f1_v2"), 1e-12);
    }
    EXPECT_INT(rows.n, 300);
    arena_free(&arena);
}

static void squad_edges(void)
{
    struct str none[1] = {STR("")}, mixed[] = {STR("..."), STR("cat")};
    EXPECT_NEAR(squad_score(&arena, STR(""), NULL, 0, SQUAD_1_1).em, 0, 0);
    EXPECT_NEAR(squad_score(&arena, STR("the"), NULL, 0, SQUAD_2_0).f1, 1, 0);
    EXPECT_NEAR(squad_score(&arena, STR(""), none, 1, SQUAD_1_1).f1, 0, 0);
    EXPECT_NEAR(squad_score(&arena, STR(""), none, 1, SQUAD_1_1).em, 1, 0);
    EXPECT_NEAR(squad_score(&arena, STR(""), mixed, 2, SQUAD_2_0).em, 0, 0);
    EXPECT_NEAR(squad_score(&arena, STR("!"), mixed, 2, SQUAD_1_1).em, 1, 0);
    EXPECT_STR(squad_normalize(&arena, STR("The\xe2\x80\x93"
                                           "an\xe2\x80\xaf"
                                           "A_n  x")),
               STR("\xe2\x80\x93 x")); /* A_n is "an" once the line is gone */
    EXPECT_STR(squad_normalize(&arena, STR("a\xc3\xa9 the\xcc\x81")),
               STR("a\xc3\xa9 \xcc\x81")); /* a letter is of the word, a mark is not */
    arena_free(&arena);
}

static void study(void)
{
    struct overlap o = token_f1(&arena, STR("The net sales of $1.5 million"), STR("$1.5 million"));
    EXPECT_NEAR(o.precision, 40, 1e-12);
    EXPECT_NEAR(o.recall, 100, 1e-12);
    EXPECT_NEAR(o.f1, 400.0 / 7, 1e-12);
    o = token_f1(&arena, STR("x x y"), STR("x x x z"));
    EXPECT_NEAR(o.precision, 200.0 / 3, 1e-12);
    EXPECT_NEAR(o.recall, 50, 1e-12);
    EXPECT_NEAR(token_f1(&arena, STR(""), STR("the")).f1, 100, 0);
    EXPECT_NEAR(token_f1(&arena, STR(""), STR("cat")).f1, 0, 0);
    arena_free(&arena);
}

/* ---- TAT-QA ---- */

static void expect_tatqa(size_t i, const struct value *question, const struct value *prediction,
                         struct str scale, double em, double f1)
{
    struct answer_score got = {-1, -1};
    struct error err;
    EXPECT_OK(tatqa_score(&arena, dict_get(question, "answer"), row_text(question, "answer_type"),
                          row_text(question, "scale"), prediction, scale, &got, &err),
              &err);
    if (got.em != em || fabs(got.f1 - f1) > 1e-12)
        check_fail(__FILE__, __LINE__, "row %zu: %s: em %g, f1 %g, not %g, %g", i,
                   value_repr(&arena, prediction ? prediction : question).p, got.em, got.f1, em,
                   f1);
}

static void tatqa_made_up(void)
{
    struct rows rows;
    if (!rows_open(&arena, "goldens/text_metrics/tatqa_made_up.jsonl", &rows))
        return;
    for (size_t i = 0; i < rows.n; i++)
        expect_tatqa(i, rows.items[i], dict_get(rows.items[i], "prediction"),
                     row_text(rows.items[i], "pred_scale"), row_number(rows.items[i], "em"),
                     row_number(rows.items[i], "f1"));
    EXPECT_INT(rows.n, 1000);
    arena_free(&arena);
}

/* The publisher's sample prediction of the development set scores as published, and each of the
 * golden questions by itself. */
static void tatqa_sample(void)
{
    struct value *contexts = shared_json(&arena, "data/tatqa/tatqa_dataset_dev.json"),
                 *sample = shared_json(&arena, "data/tatqa/sample_prediction.json"),
                 *overall = shared_json(&arena, "goldens/text_metrics/tatqa_overall.json");
    struct rows items;
    if (!contexts || !sample || !overall ||
        !rows_open(&arena, "goldens/text_metrics/tatqa_items.jsonl", &items))
        return;
    double em = 0, f1 = 0, n = 0, right_scales = 0;
    size_t n_items = 0;
    for (size_t i = 0; i < contexts->list.n; i++) {
        const struct value *questions = dict_get(contexts->list.items[i], "questions");
        for (size_t j = 0; j < questions->list.n; j++) {
            const struct value *q = questions->list.items[j];
            struct str uid = row_text(q, "uid");
            const struct value *p = dict_gets(sample, uid), *answer = NULL;
            struct str scale = STR("");
            if (p) {
                answer = p->list.items[0];
                scale = p->list.items[1]->type == VALUE_STR ? p->list.items[1]->s : STR("");
            }
            struct answer_score got = {0};
            struct error err;
            EXPECT_OK(tatqa_score(&arena, dict_get(q, "answer"), row_text(q, "answer_type"),
                                  row_text(q, "scale"), answer, scale, &got, &err),
                      &err);
            em += got.em, f1 += got.f1, n++;
            right_scales += answer && value_truthy(answer) && str_eq(scale, row_text(q, "scale"));
            for (size_t k = 0; k < items.n; k++)
                if (str_eq(uid, row_text(items.items[k], "uid"))) {
                    expect_tatqa(k, q, answer, scale, row_number(items.items[k], "em"),
                                 row_number(items.items[k], "f1"));
                    n_items++;
                }
        }
    }
    EXPECT_NEAR(n, row_number(overall, "n"), 0);
    EXPECT_NEAR(em / n, row_number(overall, "em"), 1e-9);
    EXPECT_NEAR(f1 / n, row_number(overall, "f1"), 1e-9);
    EXPECT_NEAR(right_scales / n, row_number(overall, "scale"), 1e-9);
    EXPECT_INT(n_items, 300);
    arena_free(&arena);
}

static void tatqa_numbers(void)
{
    static const struct {
        const char *text;
        bool is_number;
        double value;
    } cases[] = {
        {"$1.2 million", true, 1200000},
        {"(134)", true, -134},
        {"12%", true, 0.12},
        {"1,234.56789", true, 1234.5679},
        {"1_000", true, 1},
        {"\xd9\xa1\xd9\xa2", true, 12}, /* Arabic digits */
        {"inf", true, NAN},
        {"nan", false, NAN},
        {"12 apples", false, 12},
        {"about 5 million", false, 5000000},
        {".5", true, NAN},
        {"", false, NAN},
        {"123456789012345678901234567890", true, 123456789012345678901234567890.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool is_number;
        EXPECT_NEAR(tatqa_number(&arena, str_of(cases[i].text), &is_number), cases[i].value, 0);
        if (is_number != cases[i].is_number)
            check_fail(__FILE__, __LINE__, "\"%s\": is_number is %d", cases[i].text, is_number);
    }
    arena_free(&arena);
}

static void tatqa_bad_gold(void)
{
    struct answer_score got;
    struct error err;
    struct value *text = value_strz(&arena, "seven");
    EXPECT_ERROR(tatqa_score(&arena, text, STR("span"), STR(""), text, STR(""), &got, &err), &err,
                 E_INPUT, "list");
    EXPECT_ERROR(tatqa_score(&arena, text, STR("count"), STR(""), text, STR(""), &got, &err), &err,
                 E_INPUT, "\"seven\"");
    EXPECT_ERROR(tatqa_score(&arena, NULL, STR("count"), STR(""), text, STR(""), &got, &err), &err,
                 E_INPUT, "TAT-QA");
    arena_free(&arena);
}

CHECK_MAIN({"squad agrees with the official script", squad_goldens}, {"squad, edges", squad_edges},
           {"token F1 of the fine-tuning study", study},
           {"tatqa: made-up predictions", tatqa_made_up},
           {"tatqa: the publisher's sample", tatqa_sample}, {"tatqa: numbers", tatqa_numbers},
           {"tatqa: a gold of the wrong kind", tatqa_bad_gold})
