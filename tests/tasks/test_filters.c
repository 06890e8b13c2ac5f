/* Filters against lm-evaluation-harness' own, on random answers (make_filter_cases.py), and what a
 * pipeline says about answers that were not found. */
#include "base/json.h"
#include "tasks/filters.h"

#include "tests/check.h"

static struct arena arena;

static struct value *json(const char *text)
{
    struct value *v = NULL;
    struct error err;
    EXPECT_OK(json_parse(&arena, str_of(text), "test", &v, &err), &err);
    return v;
}

static int opened(const char *steps, struct pipeline **ret, struct error *err)
{
    const struct value *list = json(steps);
    struct task_filter_step *s = arena_array(&arena, list->list.n + 1, sizeof *s);
    for (size_t i = 0; i < list->list.n; i++) {
        const struct value *step = list->list.items[i];
        struct value *kwargs = value_dict(&arena);
        for (size_t k = 0; k < step->dict.n; k++)
            if (!str_eqz(step->dict.entries[k].key->s, "function"))
                dict_put(&arena, kwargs, step->dict.entries[k].key, step->dict.entries[k].value);
        s[i] = (struct task_filter_step){dict_get(step, "function")->s.p, kwargs, 9};
    }
    struct task_pipeline p = {"f", s, (int)list->list.n};
    return pipeline_open(&p, "made.yaml", "made", ret, err);
}

static int filter(const char *steps, const char *doc, const char *answers, struct str *ret,
                  struct extraction *found, struct error *err)
{
    struct pipeline *p = NULL;
    struct value *result = NULL;
    EXPECT_OK(opened(steps, &p, err), err);
    int r = pipeline_apply(p, &arena, json(doc), json(answers), &result, found, err);
    if (r == 0)
        *ret = json_text(&arena, result);
    pipeline_free(p);
    return r;
}

static void as_lm_eval(void)
{
    static const struct {
        const char *steps, *doc, *answers, *want;
    } cases[] = {
#include "filter_cases.h"
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena_mark m = arena_mark(&arena);
        struct extraction found;
        struct str got;
        struct error err;
        EXPECT_OK(filter(cases[i].steps, cases[i].doc, cases[i].answers, &got, &found, &err), &err);
        struct str want = json_text(&arena, json(cases[i].want));
        if (!str_eq(got, want)) {
            printf("# %s of %s (%s)\n", cases[i].steps, cases[i].answers, cases[i].doc);
            EXPECT_STR(got, want);
        }
        arena_reset(&arena, m);
    }
}

static void unanswered(void)
{
    static const char yes[] = "{\"function\": \"regex\", \"regex_pattern\": \"(yes)\"}";
    static const struct {
        const char *more, *answers;
        bool looked, missed;
    } cases[] = {
        {"", "[\"yes\"]", true, false},
        {"", "[\"no\"]", true, true},
        {"", "[\"no\", \"yes\"]", true, false},
        {", {\"function\": \"take_first\"}", "[\"no\"]", true, true},
        {", {\"function\": \"map\", \"mapping_dict\": {\"yes\": 1}}", "[\"yes\"]", true, false},
        {", {\"function\": \"map\", \"mapping_dict\": {\"no\": 1}}", "[\"yes\"]", true, true},
    };
    struct extraction found;
    struct error err;
    struct str got;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *steps = arena_printf(&arena, "[%s%s]", yes, cases[i].more);
        EXPECT_OK(filter(steps, "{}", cases[i].answers, &got, &found, &err), &err);
        EXPECT(found.looked == cases[i].looked);
        EXPECT(found.missed == cases[i].missed);
    }
    EXPECT_OK(filter("[{\"function\": \"take_first\"}]", "{}", "[\"\"]", &got, &found, &err), &err);
    EXPECT(!found.looked && !found.missed);
}

/* A pattern that backtracks without end, and what is no document for a step. */
static void refused(void)
{
    static const struct {
        const char *steps, *doc, *answers, *words;
    } cases[] = {
        {"[{\"function\": \"regex\", \"regex_pattern\": \"^(a|a)+(a|a)+$\"}]", "{}",
         "[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"]",
         "made.yaml:9: the regular expression \"^(a|a)+(a|a)+$\" needs too many steps"},
        {"[{\"function\": \"multi_choice_regex\"}]", "{}", "[\"A\"]", "a field \"choices\""},
        {"[{\"function\": \"multi_choice_regex\"}]", "{\"choices\": [1]}", "[\"A\"]",
         "choice 0 of the document is not text"},
        {"[{\"function\": \"regex_pos\"}, {\"function\": \"lowercase\"}]", "{}", "[\"A\"]",
         "filter lowercase needs text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct extraction found;
        struct str got;
        struct error err;
        EXPECT_ERROR(filter(cases[i].steps, cases[i].doc, cases[i].answers, &got, &found, &err),
                     &err, E_INPUT, cases[i].words);
    }
}

static void wrong_arguments(void)
{
    static const struct {
        const char *steps, *words;
    } cases[] = {
        {"[{\"function\": \"multi_choice_regex\", \"ignore_case\": 1}]", "must be true or false"},
        {"[{\"function\": \"multi_choice_regex\", \"regexes_to_ignore\": [\"(\"]}]",
         "no valid regular expression"},
        {"[{\"function\": \"multi_choice_regex\", \"regexes_to_ignore\": [\"a\", 1]}]",
         "must hold strings"},
        {"[{\"function\": \"regex_pos\", \"regex_pattern\": \"(\"}]",
         "no valid regular expression"},
        {"[{\"function\": \"format_span\", \"k\": 1}]", "has no argument \"k\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pipeline *p;
        struct error err;
        EXPECT_ERROR(opened(cases[i].steps, &p, &err), &err, E_INPUT, cases[i].words);
    }
}

CHECK_MAIN({"as lm-evaluation-harness filters", as_lm_eval},
           {"answers that are not found", unanswered}, {"what cannot be filtered", refused},
           {"wrong arguments", wrong_arguments})
