#include "tasks/leaderboard.h"

#include "base/utf8.h"
#include "tasks/document.h"
#include "tasks/functions.h"
#include "tasks/math_answer.h"

/* ---- BIG-Bench Hard ---- */

/* The publisher's prompt files open each answer with this, then a line break, or one space. */
static struct str worked_answer(struct str s)
{
    struct str opening = STR("Let's think step by step.");
    return str_starts(s, opening) ? str_slice(s, opening.n + 1, s.n) : s;
}

int bbh_worked(struct arena *a, const struct value *row, const struct value **ret,
               struct error *err)
{
    struct str target;
    int r = document_str(row, "target", &target, err);
    if (r < 0)
        return r;
    struct value *doc = document_copy(a, row);
    dict_set(a, doc, "target", value_str(a, worked_answer(target)));
    *ret = doc;
    return 0;
}

int bbh_answered(struct arena *a, const struct value *row, const struct value **ret,
                 struct error *err)
{
    static const struct str marker = {"o the answer is ", 16}; /* "So ..." or "so ..." */
    struct str target;
    int r = document_str(row, "target", &target, err);
    if (r < 0)
        return r;
    size_t at = str_find_last(target, marker);
    if (at == SIZE_MAX)
        return error_set(err, E_INPUT,
                         "a worked example must end with \"So the answer is ...\", not with "
                         "\"%.*s\"",
                         (int)(target.n < 60 ? target.n : 60),
                         target.p + (target.n < 60 ? 0 : target.n - 60));
    struct str answer = str_slice(target, at + marker.n, target.n);
    answer = utf8_strip(answer, STRIP_BOTH, NULL);
    if (str_ends(answer, STR(".")))
        answer.n--;
    struct value *doc = document_copy(a, row);
    dict_set(a, doc, "target", value_str(a, answer));
    *ret = doc;
    return 0;
}

/* ---- MMLU-Pro ---- */

enum { MAX_OPTIONS = 26 };

/* The options, which must be texts, at most as many as there are letters. */
static int options_of(const struct value *doc, const struct value **ret, struct error *err)
{
    int r = document_need(doc, "options", VALUE_LIST, ret, err);
    if (r < 0)
        return r;
    if ((*ret)->list.n == 0 || (*ret)->list.n > MAX_OPTIONS)
        return error_set(err, E_INPUT, "a question must have 1 to %d options, this one has %zu",
                         MAX_OPTIONS, (*ret)->list.n);
    for (size_t i = 0; i < (*ret)->list.n; i++)
        if ((*ret)->list.items[i]->type != VALUE_STR)
            return error_set(err, E_INPUT, "option %zu should be text, it is of type %s", i,
                             value_type_name((*ret)->list.items[i]));
    return 0;
}

static int question_of(const struct value *doc, struct str *question, const struct value **options,
                       struct error *err)
{
    int r = document_str(doc, "question", question, err);
    return r < 0 ? r : options_of(doc, options, err);
}

static void add_option(struct buf *b, size_t i, struct str text)
{
    buf_printf(b, "%c. %.*s\n", (char)('A' + i), STR_ARG(text));
}

int mmlu_pro_text(struct arena *a, const struct value *doc, const struct value **ret,
                  struct error *err)
{
    const struct value *options;
    struct str question;
    int r = question_of(doc, &question, &options, err);
    if (r < 0)
        return r;
    struct buf b = {0};
    buf_str(&b, question);
    buf_char(&b, '\n');
    for (size_t i = 0; i < options->list.n; i++)
        add_option(&b, i, options->list.items[i]->s);
    buf_puts(&b, "Answer:");
    *ret = value_str(a, buf_take(&b, a));
    return 0;
}

int mmlu_pro_choice(struct arena *a, const struct value *doc, const struct value **ret,
                    struct error *err)
{
    const struct value *options;
    int r = options_of(doc, &options, err);
    if (r < 0)
        return r;
    struct value *letters = value_list(a);
    for (size_t i = 0; i < options->list.n; i++)
        list_push(a, letters, value_str(a, str_printf(a, "%c", (char)('A' + i))));
    *ret = letters;
    return 0;
}

int mmlu_pro_cot_text(struct arena *a, const struct value *doc, const struct value **ret,
                      struct error *err)
{
    const struct value *options;
    struct str question;
    int r = question_of(doc, &question, &options, err);
    if (r < 0)
        return r;
    struct buf b = {0};
    buf_puts(&b, "Question:\n");
    buf_str(&b, question);
    buf_puts(&b, "\nOptions:\n");
    for (size_t i = 0; i < options->list.n && i < 10; i++)
        add_option(&b, i, utf8_strip(options->list.items[i]->s, STRIP_BOTH, NULL));
    buf_puts(&b, "Answer: Let's think step by step.");
    *ret = value_str(a, buf_take(&b, a));
    return 0;
}

int mmlu_pro_cot_target(struct arena *a, const struct value *doc, const struct value **ret,
                        struct error *err)
{
    static const struct str opening = {"A: Let's think step by step. ", 29};
    struct str content;
    int r = document_str(doc, "cot_content", &content, err);
    if (r == 0)
        *ret = value_str(a, str_substitute(a, content, opening, STR("")));
    return r;
}

/* ---- GPQA ---- */

static struct str gpqa_clean(struct arena *a, const struct value *v)
{
    if (!v || v->type != VALUE_STR)
        return STR(" ");
    return clean_text(a, v->s);
}

int gpqa_docs(struct arena *a, const struct value *doc, const struct value **ret, struct error *err)
{
    static const char *const keys[] = {"Incorrect Answer 1", "Incorrect Answer 2",
                                       "Incorrect Answer 3", "Correct Answer"};
    const struct value *order, *question;
    struct str choices[4], right = gpqa_clean(a, dict_get(doc, "Correct Answer"));
    int r = document_need(doc, "shuffle", VALUE_LIST, &order, err);
    if (r < 0 || (r = document_need(doc, "Question", VALUE_STR, &question, err)) < 0 ||
        (r = document_need(doc, "Correct Answer", VALUE_STR, &question, err)) < 0)
        return r;
    struct value *out = document_copy(a, doc);
    int answer = -1;
    for (int i = 0; i < 4; i++) {
        choices[i] = gpqa_clean(a, dict_get(doc, keys[order->list.items[i]->i]));
        dict_set(a, out, arena_printf(a, "choice%d", i + 1), value_str(a, choices[i]));
        if (answer < 0 && str_eq(choices[i], right))
            answer = i;
    }
    dict_set(a, out, "answer", value_str(a, str_printf(a, "(%c)", 'A' + answer)));
    *ret = out;
    return 0;
}

/* ---- MuSR ---- */

/* The choices, which the hub keeps as the text of a Python list. */
int musr_choice(struct arena *a, const struct value *doc, const struct value **ret,
                struct error *err)
{
    const struct value *choices = dict_get(doc, "choices");
    struct value *list;
    int r = 0;
    if (!choices || (choices->type != VALUE_LIST && choices->type != VALUE_STR))
        return error_set(err, E_INPUT, "the document has no field \"choices\" that holds a list");
    if (choices->type == VALUE_STR) {
        if ((r = literal_eval(a, choices->s, &list, err)) < 0)
            return error_prefix(err, "field \"choices\": ");
        choices = list;
    }
    if (choices->type != VALUE_LIST || choices->list.n == 0)
        return error_set(err, E_INPUT, "field \"choices\" must be a list that is not empty");
    for (size_t i = 0; i < choices->list.n; i++)
        if (choices->list.items[i]->type != VALUE_STR)
            return error_set(err, E_INPUT, "field \"choices\": choice %zu is not text", i);
    *ret = choices;
    return 0;
}

int musr_text(struct arena *a, const struct value *doc, const struct value **ret, struct error *err)
{
    const struct value *choices;
    struct str narrative, question;
    int r = musr_choice(a, doc, &choices, err);
    if (r < 0 || (r = document_str(doc, "narrative", &narrative, err)) < 0 ||
        (r = document_str(doc, "question", &question, err)) < 0)
        return r;
    struct buf b = {0};
    buf_str(&b, narrative);
    buf_puts(&b, "\n\n");
    buf_str(&b, question);
    buf_puts(&b, "\n\n");
    for (size_t i = 0; i < choices->list.n; i++)
        buf_printf(&b, "%zu - %.*s\n", i + 1, STR_ARG(choices->list.items[i]->s));
    buf_puts(&b, "\nAnswer:");
    *ret = value_str(a, buf_take(&b, a));
    return 0;
}

/* ---- MATH ---- */

static int with_answer(struct arena *a, const struct value *doc, bool normalized,
                       const struct value **ret, struct error *err)
{
    struct str problem, solution;
    int r = document_str(doc, "problem", &problem, err);
    if (r < 0 || (r = document_str(doc, "solution", &solution, err)) < 0)
        return r;
    struct value *out = document_copy(a, doc);
    struct str answer = math_boxed(solution);
    if (normalized && (r = math_normalize(a, answer, MATH_MINERVA, &answer, err)) < 0)
        return r;
    dict_set(a, out, "answer", value_str(a, answer));
    *ret = out;
    return 0;
}

int minerva_math(struct arena *a, const struct value *doc, const struct value **ret,
                 struct error *err)
{
    return with_answer(a, doc, true, ret, err);
}

int math_level_5(struct arena *a, const struct value *doc, const struct value **ret,
                 struct error *err)
{
    struct str level;
    int r = document_str(doc, "level", &level, err);
    *ret = NULL;
    return r < 0 || !str_eqz(level, "Level 5") ? r : with_answer(a, doc, false, ret, err);
}

int math_text(struct arena *a, const struct value *doc, const struct value **ret, struct error *err)
{
    struct str problem;
    int r = document_str(doc, "problem", &problem, err);
    if (r < 0)
        return r;
    struct buf b = {0};
    buf_puts(&b, "Problem:\n");
    buf_str(&b, problem);
    buf_puts(&b, "\n\nSolution:");
    *ret = value_str(a, buf_take(&b, a));
    return 0;
}
