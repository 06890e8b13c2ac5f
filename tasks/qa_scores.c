/* qa_scores.c: answers that are looked up in a text or a table (SQuAD, TAT-QA), how long answers
 * are, and how similar two embedded sentences. */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/regex.h"
#include "base/utf8.h"
#include "metrics/text.h"
#include "tasks/document.h"
#include "tasks/scoring.h"

static int one_answer(struct work *w, size_t n_results, struct str *ret)
{
    if (w->results->list.n != n_results || w->results->list.items[0]->type != VALUE_STR)
        return bad_answer(w, "there must be one answer; take_first is the only filter of use here");
    *ret = w->results->list.items[0]->s;
    return 0;
}

static void add_if_measured(struct work *w, const char *name, double value)
{
    if (find_measure(w, name))
        add_score(w, name, value, 1);
}

/* ---- length ---- */

/* Tokens of the document's answers, on average. Recorded answers have no count: then no score. */
static double output_tokens(const struct work *w)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < w->q->n_requests; i++) {
        const struct response *r = &w->responses[i];
        if (w->q->requests[i].kind != REQUEST_GENERATE_UNTIL)
            continue;
        if (r->n_tokens_generated == 0 && r->text.n > 0)
            return NAN;
        sum += r->n_tokens_generated;
        n++;
    }
    return n ? sum / n : NAN;
}

void score_output_tokens(struct work *w, const struct measure *m)
{
    double n = output_tokens(w);
    if (!isnan(n))
        add_score(w, m->name, n, 1);
}

static void add_output_tokens(struct work *w)
{
    const struct scoring *s = w->task->scoring;
    for (int i = 0; i < s->n_measures; i++)
        if (strncmp(s->measures[i].name, "output_tokens", 13) == 0)
            score_output_tokens(w, &s->measures[i]);
}

/* ---- squad_completion ---- */

/* Whether the target stands in the answer, in whatever case. */
int process_squad_completion(struct work *w)
{
    const struct value *gold;
    struct regex *pattern;
    struct str answer = {0};
    int r = one_answer(w, 1, &answer);
    if (r < 0 || (r = task_doc_to_target(w->task, w->a, w->q->doc, &gold, w->err)) < 0 ||
        (r = regex_compile(regex_escape(w->a, text_of(w, gold)), REGEX_IGNORECASE, "the target",
                           &pattern, w->err)) < 0)
        return r;
    struct regex_match m;
    r = regex_search(pattern, answer, 0, false, &m, 1, w->err);
    regex_free(pattern);
    if (r >= 0)
        add_score(w, "contains", r, 1);
    return r < 0 ? r : 0;
}

/* ---- SQuAD 2.0 ---- */

struct squad2 {
    struct answer_score score;
    bool has_answer, answered;
    double logprob_none; /* of "unanswerable" */
};

static int read_squad2(struct work *w, struct squad2 *ret)
{
    const struct value *answers, *texts, *pair = NULL;
    struct str answer = {0};
    int r = one_answer(w, 2, &answer);
    if (r < 0 || (r = document_need(w->q->doc, "answers", VALUE_DICT, &answers, w->err)) < 0 ||
        (r = document_need(answers, "text", VALUE_LIST, &texts, w->err)) < 0)
        return r;
    pair = w->results->list.items[1];
    if (pair->type != VALUE_LIST || pair->list.n != 2 || pair->list.items[0]->type != VALUE_FLOAT)
        return bad_answer(w, "the second response must be a log-likelihood");
    struct str *golds = arena_array(w->a, texts->list.n + 1, sizeof *golds);
    for (size_t i = 0; i < texts->list.n; i++)
        golds[i] = text_of(w, texts->list.items[i]);
    *ret = (struct squad2){squad_score(w->a, answer, golds, texts->list.n, SQUAD_2_0),
                           texts->list.n > 0, answer.n > 0, pair->list.items[0]->f};
    return 0;
}

/* In percent, as the squad_v2 metric of Hugging Face's evaluate library gives them. */
static void add_squad2(struct work *w, const struct squad2 *s, double score, const char *all,
                       const char *has, const char *none, const char *best)
{
    add_if_measured(w, all, 100 * score);
    add_if_measured(w, s->has_answer ? has : none, 100 * score);
    if (!find_measure(w, best))
        return;
    double *parts = arena_array(w->a, 3, sizeof *parts);
    parts[0] = s->logprob_none;
    parts[1] = s->has_answer ? score : -(double)s->answered;
    parts[2] = !s->has_answer;
    add_score(w, best, 100 * score, 1);
    keep_parts(w, parts, 3);
}

int process_squad2(struct work *w)
{
    struct squad2 s;
    int r = read_squad2(w, &s);
    if (r < 0)
        return r;
    add_squad2(w, &s, s.score.em, "exact", "HasAns_exact", "NoAns_exact", "best_exact");
    add_squad2(w, &s, s.score.f1, "answer_f1", "HasAns_f1", "NoAns_f1", "best_f1");
    return 0;
}

/* ---- similarity of two sentences ---- */

static double cosine(const struct response *x, const struct response *y)
{
    double xy = 0, xx = 0, yy = 0;
    for (int i = 0; i < x->n_vector; i++) {
        xy += (double)x->vector[i] * (double)y->vector[i];
        xx += (double)x->vector[i] * (double)x->vector[i];
        yy += (double)y->vector[i] * (double)y->vector[i];
    }
    return xy / sqrt(xx * yy);
}

/* The cosine of the two vectors, to be correlated with what people say: doc_to_target. */
int process_similarity(struct work *w)
{
    const struct value *target;
    int r = task_doc_to_target(w->task, w->a, w->q->doc, &target, w->err);
    if (r < 0)
        return r;
    struct str text = text_of(w, target);
    char *end, *number = arena_copy(w->a, text.p, text.n);
    double *parts = arena_array(w->a, 2, sizeof *parts);
    parts[1] = strtod(number, &end);
    if (end == number || *end)
        return bad_answer(w, "doc_to_target must give how similar people say that the texts are");
    if (w->q->n_requests != 2 || !w->responses[0].vector || !w->responses[1].vector ||
        w->responses[0].n_vector != w->responses[1].n_vector)
        return bad_answer(w, "there must be two vectors of one length");
    parts[0] = cosine(&w->responses[0], &w->responses[1]);
    const struct scoring *s = w->task->scoring;
    for (int i = 0; i < s->n_measures; i++) {
        add_score(w, s->measures[i].name, parts[0], 1);
        keep_parts(w, parts, 2);
    }
    return 0;
}

/* ---- TAT-QA ---- */

struct prediction {
    const struct value *answer; /* a text, a number, a list of them; NULL: none */
    struct str scale;
};

static bool take_word(struct str *s, struct str word)
{
    if (s->n < word.n)
        return false;
    for (size_t i = 0; i < word.n; i++)
        if ((s->p[s->n - word.n + i] | 0x20) != (word.p[i] | 0x20))
            return false;
    s->n -= word.n;
    return true;
}

static bool is_number(struct arena *a, struct str s)
{
    bool is;
    return s.n > 0 && (tatqa_number(a, s, &is), is);
}

/* "12.5 million" becomes "12.5", and its scale is handed back; "" where it has none. */
static struct str detach_scale(struct arena *a, struct str *s)
{
    static const struct {
        struct str word, scale;
    } scales[] = {
        {STR("%"), STR("percent")},         {STR("percent"), STR("percent")},
        {STR("thousand"), STR("thousand")}, {STR("thousands"), STR("thousand")},
        {STR("million"), STR("million")},   {STR("millions"), STR("million")},
        {STR("billion"), STR("billion")},   {STR("billions"), STR("billion")},
    };
    struct str all = *s;
    if (all.n && all.p[all.n - 1] == '.')
        all.n--;
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        struct str rest = all;
        if (!take_word(&rest, scales[i].word))
            continue;
        rest = utf8_strip(rest, STRIP_BOTH, NULL);
        if (!is_number(a, rest))
            continue;
        *s = rest;
        return scales[i].scale;
    }
    return STR("");
}

/* The publisher's form, as in its prediction files: [answer, scale]. */
static bool read_pair(struct arena *a, struct str text, struct prediction *ret)
{
    struct value *v;
    struct error ignored;
    if (!str_starts(text, STR("[")) || json_parse(a, text, "", &v, &ignored) < 0 ||
        v->type != VALUE_LIST || v->list.n != 2)
        return false;
    const struct value *scale = v->list.items[1];
    if (scale->type != VALUE_STR && scale->type != VALUE_NONE)
        return false;
    *ret = (struct prediction){v->list.items[0], scale->type == VALUE_STR ? scale->s : STR("")};
    return true;
}

/* Words: "a; b" are two answers, and a scale word or % behind a number is the scale. */
static struct prediction read_prediction(struct arena *a, struct str text)
{
    struct prediction p = {NULL, STR("")};
    text = utf8_strip(text, STRIP_BOTH, NULL);
    if (read_pair(a, text, &p))
        return p;
    struct value *list = value_list(a);
    for (size_t at = 0; at < text.n;) {
        size_t end = str_find(text, STR(";"), at);
        end = end == SIZE_MAX ? text.n : end;
        struct str one = utf8_strip(str_slice(text, at, end), STRIP_BOTH, NULL), rest = one;
        struct str scale = detach_scale(a, &rest);
        at = end + 1;
        if (one.n == 0)
            continue;
        if (list->list.n == 0)
            p.scale = scale;
        list_push(a, list, value_str(a, str_eq(scale, p.scale) ? rest : one));
    }
    p.answer = list->list.n ? list : NULL;
    return p;
}

/* An answer as text, for the study's token F1: several behind each other, then the scale. */
static struct str answer_words(struct work *w, const struct value *answer, struct str scale)
{
    struct buf b = {0};
    size_t n = !answer || answer->type == VALUE_NONE ? 0
               : answer->type == VALUE_LIST          ? answer->list.n
                                                     : 1;
    for (size_t i = 0; i < n; i++) {
        buf_puts(&b, i ? " " : "");
        buf_str(&b, text_of(w, answer->type == VALUE_LIST ? answer->list.items[i] : answer));
    }
    if (n && scale.n)
        buf_printf(&b, " %.*s", STR_ARG(scale));
    return buf_take(&b, w->a);
}

/* Python's truth: no answer is "", 0, [] and None alike, and has no right scale either. */
static bool is_answered(const struct value *answer)
{
    return answer && value_truthy(answer);
}

int process_tatqa(struct work *w)
{
    const struct value *gold = dict_get(w->q->doc, "answer");
    struct str text = {0}, type = {0}, scale = {0};
    struct answer_score s = {0};
    int r = one_answer(w, 1, &text);
    if (r < 0 || (r = document_str(w->q->doc, "answer_type", &type, w->err)) < 0 ||
        (r = document_str(w->q->doc, "scale", &scale, w->err)) < 0)
        return r;
    struct prediction p = read_prediction(w->a, text);
    if ((r = tatqa_score(w->a, gold, type, scale, p.answer, p.scale, &s, w->err)) < 0)
        return error_prefix(w->err, "task \"%s\", document %lld: ", w->task->info.name,
                            (long long)w->q->doc_id);
    add_if_measured(w, "em", s.em);
    add_if_measured(w, "numeracy_f1", s.f1);
    add_if_measured(w, "scale", is_answered(p.answer) && str_eq(p.scale, scale));
    struct overlap o =
        token_f1(w->a, answer_words(w, p.answer, p.scale), answer_words(w, gold, scale));
    add_if_measured(w, "token_precision", o.precision);
    add_if_measured(w, "token_recall", o.recall);
    add_if_measured(w, "token_f1", o.f1);
    add_output_tokens(w);
    return 0;
}
