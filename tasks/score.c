/* score.c: from one document's responses to its scores.
 *
 * The rules are those of ConfigurableTask.process_results (lm_eval/api/task.py, 0.4.13) and of the
 * process_results functions of the tasks that have one. Each filter pipeline gives its own scores.
 */
#include "tasks/scoring.h"

#include <math.h>

#include "base/utf8.h"
#include "tasks/filters.h"
#include "tasks/ifeval.h"
#include "tasks/math_answer.h"
#include "tasks/sandbox.h"

/* ---- collecting ---- */

void add_score(struct work *w, const char *metric, double value, double weight)
{
    struct scored *o = w->out;
    o->scores = arena_grown(w->a, o->scores, (size_t)o->n_scores, sizeof *o->scores);
    o->scores[o->n_scores++] =
        (struct score){.metric = metric, .filter = w->filter, .value = value, .weight = weight};
}

void keep_parts(struct work *w, const double *parts, int n)
{
    struct score *last = &w->out->scores[w->out->n_scores - 1];
    last->parts = parts;
    last->n_parts = n;
}

int bad_answer(const struct work *w, const char *what)
{
    return error_set(w->err, E_INPUT, "task \"%s\", document %lld, filter \"%s\": %s",
                     w->task->info.name, (long long)w->q->doc_id, w->filter, what);
}

const struct measure *find_measure(const struct work *w, const char *name)
{
    const struct scoring *s = w->task->scoring;
    for (int i = 0; i < s->n_measures; i++)
        if (strcmp(s->measures[i].name, name) == 0)
            return &s->measures[i];
    return NULL;
}

/* ---- log-probabilities ---- */

static bool is_loglikelihood(const struct value *v)
{
    return v->type == VALUE_LIST && v->list.n == 2 && v->list.items[0]->type == VALUE_FLOAT &&
           v->list.items[1]->type == VALUE_BOOL;
}

/* The n log-probabilities and is-greedy marks of the results. */
static int read_loglikelihoods(const struct work *w, double *logprobs, bool *greedy)
{
    for (size_t i = 0; i < w->results->list.n; i++) {
        const struct value *v = w->results->list.items[i];
        if (!is_loglikelihood(v))
            return bad_answer(w, "the filter does not give one log-probability a choice; for this "
                                 "output_type only take_first is of use");
        logprobs[i] = v->list.items[0]->f;
        greedy[i] = v->list.items[1]->b;
    }
    return 0;
}

/* ---- multiple_choice ---- */

struct choices {
    int n;
    const double *logprobs, *unconditional; /* the latter NULL without acc_mutual_info */
    const bool *greedy;
    const double *chars, *bytes;
    const int *golds; /* -1: out of range, which no prediction equals */
    int n_golds;
    struct arena *a;
};

static bool is_gold(const struct choices *c, int pick)
{
    for (int i = 0; i < c->n_golds; i++)
        if (c->golds[i] == pick)
            return true;
    return false;
}

/* argmax of the log-probabilities divided by `by` (NULL: as they are). */
static int pick_divided(const struct choices *c, const double *by)
{
    double *x = arena_array(c->a, (size_t)c->n, sizeof *x);
    for (int i = 0; i < c->n; i++)
        x[i] = by ? c->logprobs[i] / by[i] : c->logprobs[i];
    return argmax_double(x, c->n);
}

static double acc(const struct choices *c)
{
    return is_gold(c, pick_divided(c, NULL));
}

static double acc_norm(const struct choices *c)
{
    return is_gold(c, pick_divided(c, c->chars));
}

static double acc_bytes(const struct choices *c)
{
    return is_gold(c, pick_divided(c, c->bytes));
}

static double acc_mutual_info(const struct choices *c)
{
    double *x = arena_array(c->a, (size_t)c->n, sizeof *x);
    for (int i = 0; i < c->n; i++)
        x[i] = c->logprobs[i] - c->unconditional[i];
    return is_gold(c, argmax_double(x, c->n));
}

static double greedy_is_gold(const struct choices *c)
{
    for (int i = 0; i < c->n_golds; i++)
        if (c->golds[i] >= 0 && c->greedy[c->golds[i]])
            return 1;
    return 0;
}

/* The log-probability of the right answer. */
static double likelihood(const struct choices *c)
{
    return c->n_golds && c->golds[0] >= 0 ? c->logprobs[c->golds[0]] : NAN;
}

static double bypass(const struct choices *c)
{
    (void)c;
    return NAN;
}

static double brier(const struct choices *c)
{
    return brier_score(c->logprobs, c->n, c->n_golds ? c->golds[0] : -1);
}

static const struct {
    const char *name;
    double (*f)(const struct choices *c);
} choice_metrics[] = {
    {"acc", acc},
    {"acc_norm", acc_norm},
    {"acc_bytes", acc_bytes},
    {"acc_mutual_info", acc_mutual_info},
    {"exact_match", greedy_is_gold},
    {"brier_score", brier},
    {"likelihood", likelihood},
    {"f1", acc}, /* a document's own score; the corpus' is made of the parts */
    {"f1_weighted", acc},
    {"f1_macro", acc},
    {"f1_micro", acc},
    {"mcc", acc},
    {"bypass", bypass},
};
enum { N_CHOICE_METRICS = sizeof choice_metrics / sizeof *choice_metrics };

/* A gold answer as the index of its choice; -1 where lm-evaluation-harness warns and uses -100. */
static int gold_index(const struct value *gold, const struct value *choices)
{
    size_t n = choices->list.n;
    if (gold->type == VALUE_INT)
        return gold->i >= 0 && gold->i < (int64_t)n ? (int)gold->i : -1;
    if (gold->type == VALUE_BOOL)
        return gold->b < n ? gold->b : -1;
    for (size_t i = 0; i < n; i++)
        if (value_eq(gold, choices->list.items[i]))
            return (int)i;
    return -1;
}

static int read_golds(const struct work *w, const struct value *choices, struct choices *c)
{
    const struct value *gold;
    int r = w->task->multiple_input ? task_doc_to_text(w->task, w->a, w->q->doc, &gold, w->err)
                                    : task_doc_to_target(w->task, w->a, w->q->doc, &gold, w->err);
    if (r < 0)
        return r;
    bool several = gold->type == VALUE_LIST;
    c->n_golds = several ? (int)gold->list.n : 1;
    int *golds = arena_array(w->a, (size_t)c->n_golds, sizeof *golds);
    for (int i = 0; i < c->n_golds; i++)
        golds[i] = gold_index(several ? gold->list.items[i] : gold, choices);
    c->golds = golds;
    return 0;
}

static int read_choices(const struct work *w, struct choices *c)
{
    const struct value *choices;
    int r = task_doc_to_choice(w->task, w->a, w->q->doc, &choices, w->err);
    if (r < 0)
        return r;
    size_t n = choices->list.n, n_results = w->results->list.n;
    bool mutual = find_measure(w, "acc_mutual_info") != NULL;
    if (n == 0 || n_results != (mutual ? 2 * n : n))
        return bad_answer(w, "the number of responses does not fit the number of choices");

    double *logprobs = arena_array(w->a, n_results, sizeof *logprobs);
    bool *greedy = arena_array(w->a, n_results, sizeof *greedy);
    double *chars = arena_array(w->a, n, sizeof *chars);
    double *bytes = arena_array(w->a, n, sizeof *bytes);
    for (size_t i = 0; i < n; i++) {
        const struct value *v = choices->list.items[i];
        struct str text = v->type == VALUE_STR ? v->s : value_tostr(w->a, v);
        chars[i] = (double)utf8_len(text);
        bytes[i] = (double)text.n;
    }
    *c = (struct choices){.n = (int)n,
                          .logprobs = logprobs,
                          .unconditional = mutual ? logprobs + n : NULL,
                          .greedy = greedy,
                          .chars = chars,
                          .bytes = bytes,
                          .a = w->a};
    if ((r = read_loglikelihoods(w, logprobs, greedy)) < 0)
        return r;
    return read_golds(w, choices, c);
}

/* What F1 and Matthews' correlation are made of: the right choice and the picked one. */
static void add_labels(struct work *w, const struct choices *c)
{
    double *labels = arena_array(w->a, 2, sizeof *labels);
    labels[0] = c->n_golds ? c->golds[0] : -1;
    labels[1] = pick_divided(c, NULL);
    keep_parts(w, labels, 2);
}

static int process_multiple_choice(struct work *w)
{
    const struct scoring *s = w->task->scoring;
    struct choices c;
    int r = read_choices(w, &c);
    for (int i = 0; r == 0 && i < s->n_measures; i++)
        for (int j = 0; j < N_CHOICE_METRICS; j++)
            if (strcmp(s->measures[i].name, choice_metrics[j].name) == 0) {
                add_score(w, s->measures[i].name, choice_metrics[j].f(&c), 1);
                if (metric_parts(metric_find(s->measures[i].name)->aggregation))
                    add_labels(w, &c);
            }
    return r;
}

/* ---- loglikelihood, loglikelihood_rolling ---- */

static int process_loglikelihood(struct work *w)
{
    double logprob;
    bool greedy;
    if (w->results->list.n != 1)
        return bad_answer(w, "there must be one response");
    int r = read_loglikelihoods(w, &logprob, &greedy);
    if (r < 0)
        return r;
    if (find_measure(w, "perplexity"))
        add_score(w, "perplexity", logprob, 1);
    if (find_measure(w, "acc"))
        add_score(w, "acc", greedy, 1);
    if (find_measure(w, "bypass"))
        add_score(w, "bypass", NAN, 1);
    return 0;
}

static int rolling_scores(struct work *w, struct str text)
{
    const struct value *result = w->results->list.n == 1 ? w->results->list.items[0] : NULL;
    if (!result || result->type != VALUE_FLOAT)
        return bad_answer(w, "there must be one log-likelihood");
    if (find_measure(w, "word_perplexity"))
        add_score(w, "word_perplexity", result->f, (double)count_words(text));
    if (find_measure(w, "byte_perplexity"))
        add_score(w, "byte_perplexity", result->f, (double)text.n);
    if (find_measure(w, "bits_per_byte"))
        add_score(w, "bits_per_byte", result->f, (double)text.n);
    return 0;
}

static int process_rolling(struct work *w)
{
    const struct value *target;
    int r = task_doc_to_target(w->task, w->a, w->q->doc, &target, w->err);
    return r < 0 ? r : rolling_scores(w, value_tostr(w->a, target));
}

/* Words and bytes are those of the page before it is detokenized, so that models with different
 * detokenizers are compared by the same measure. */
static int process_wikitext(struct work *w)
{
    const struct value *page = dict_get(w->q->doc, "page");
    if (!page || page->type != VALUE_STR)
        return bad_answer(w, "the document has no field \"page\" that holds text");
    return rolling_scores(w, page->s);
}

/* ---- truthfulqa_mc2 ---- */

/* The probability mass of the true answers among all answers. */
static int process_truthfulqa_mc2(struct work *w)
{
    const struct value *labels = dict_get(dict_get(w->q->doc, "mc2_targets"), "labels");
    size_t n = w->results->list.n;
    if (!labels || labels->type != VALUE_LIST || labels->list.n != n || n == 0)
        return bad_answer(w, "mc2_targets.labels must be a list with a label for each choice");
    double *logprobs = arena_array(w->a, n, sizeof *logprobs);
    int r = read_loglikelihoods(w, logprobs, arena_array(w->a, n, sizeof(bool)));
    if (r < 0)
        return r;
    double best = logprobs[argmax_double(logprobs, (int)n)], all = 0, true_ones = 0;
    for (size_t i = 0; i < n; i++) {
        double p = exp(logprobs[i] - best);
        all += p;
        if (value_eq(labels->list.items[i], &(struct value){.type = VALUE_INT, .i = 1}))
            true_ones += p;
    }
    add_score(w, "acc", true_ones / all, 1);
    return 0;
}

/* ---- generate_until ---- */

struct str text_of(const struct work *w, const struct value *v)
{
    return v->type == VALUE_STR ? v->s : value_tostr(w->a, v);
}

/* Against several references any match counts; a list of predictions counts by its share. */
static int score_exact_match(struct work *w, const struct measure *m, const struct value *gold)
{
    const struct value *result = w->results->list.items[0];
    bool many = result->type == VALUE_LIST,
         any = w->task->multiple_target && gold->type == VALUE_LIST;
    size_t n = many ? result->list.n : 1, n_golds = any ? gold->list.n : 1;
    double right = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n_golds; j++) {
            double match;
            int r = exact_match(w->a, text_of(w, many ? result->list.items[i] : result),
                                text_of(w, any ? gold->list.items[j] : gold), &m->exact, &match,
                                w->err);
            if (r < 0)
                return error_prefix(w->err, "task \"%s\", document %lld: ", w->task->info.name,
                                    (long long)w->q->doc_id);
            right += match;
        }
    add_score(w, m->name, any ? right > 0 : right / (double)n, 1);
    return 0;
}

/* HumanEval's function names its scores pass@k; MBPP's, pass_at_1, is named itself. */
static const char *pass_name(const struct work *w, const struct measure *m, int64_t k)
{
    return strcmp(m->name, "pass_at_1") == 0 ? m->name
                                             : arena_printf(w->a, "pass@%lld", (long long)k);
}

/* code_eval: the candidate, a newline, the tests; pass@k for each k that is not above the number
 * of candidates. */
static int score_pass_at_k(struct work *w, const struct measure *m, const struct value *gold)
{
    const struct task *t = w->task;
    const struct value *result = w->results->list.items[0];
    bool many = result->type == VALUE_LIST;
    int64_t n = many ? (int64_t)result->list.n : 1, correct = 0;
    const struct sandbox *sandbox;
    int r = sandbox_of(t, &sandbox, w->err);
    struct str tests = str_cat(w->a, STR("\n"), text_of(w, gold));
    struct str *programs = arena_array(w->a, (size_t)n + 1, sizeof *programs);
    for (int64_t i = 0; i < n; i++)
        programs[i] = str_cat(w->a, text_of(w, many ? result->list.items[i] : result), tests);
    if (r == 0)
        r = sandbox_count(sandbox, programs, (size_t)n, &sandbox_limits, &correct, w->err);
    if (r < 0)
        return error_prefix(w->err, "task \"%s\", document %lld: ", t->info.name,
                            (long long)w->q->doc_id);
    for (int i = 0; i < m->n_ks; i++)
        if (m->ks[i] <= n)
            add_score(w, pass_name(w, m, m->ks[i]), pass_at_k(n, correct, m->ks[i]), 1);
    return 0;
}

/* The reference answer; with doc_to_choice it is the choice that doc_to_target counts. */
static int read_reference(const struct work *w, const struct value **ret)
{
    const struct value *gold, *choices;
    int r = task_doc_to_target(w->task, w->a, w->q->doc, &gold, w->err);
    if (r < 0)
        return r;
    *ret = gold;
    if (!w->task->choice || gold->type != VALUE_INT)
        return 0;
    if ((r = task_doc_to_choice(w->task, w->a, w->q->doc, &choices, w->err)) < 0)
        return r;
    if (gold->i < 0 || gold->i >= (int64_t)choices->list.n)
        return bad_answer(w, "doc_to_target gives the number of a choice that does not exist");
    *ret = choices->list.items[gold->i];
    return 0;
}

static int process_generate_until(struct work *w)
{
    const struct scoring *s = w->task->scoring;
    const struct value *gold;
    if (w->results->list.n != 1)
        return bad_answer(w, "there must be one response");
    int r = read_reference(w, &gold);
    for (int i = 0; r == 0 && i < s->n_measures; i++) {
        const struct measure *m = &s->measures[i];
        if (strcmp(m->name, "bypass") == 0)
            add_score(w, m->name, NAN, 1);
        else if (m->ks)
            r = score_pass_at_k(w, m, gold);
        else if (strcmp(m->name, "exact_match") == 0)
            r = score_exact_match(w, m, gold);
        else if (strncmp(m->name, "output_tokens", 13) == 0)
            score_output_tokens(w, m);
        else
            r = score_against_texts(w, m, gold);
    }
    return r;
}

/* ---- one document ---- */

/* The answers to one request, as Python would hold them. */
static struct value *answer_of(struct arena *a, enum output_type output,
                               const struct response *response)
{
    if (output == OUTPUT_GENERATE_UNTIL)
        return value_str(a, response->text);
    if (output == OUTPUT_LOGLIKELIHOOD_ROLLING)
        return value_float(a, response->logprob_nats);
    if (output == OUTPUT_SIMILARITY)
        return value_none(a); /* vectors are no text for filters */
    struct value *pair = value_list(a);
    pair->tuple = true;
    list_push(a, pair, value_float(a, response->logprob_nats));
    list_push(a, pair, value_bool(a, response->is_greedy));
    return pair;
}

static int filter_responses(const struct task *t, const struct pipeline *p, struct arena *a,
                            const struct asked *q, const struct response *responses,
                            struct value **ret, struct extraction *found, struct error *err)
{
    struct value *results = value_list(a);
    *found = (struct extraction){.missed = true};
    int repeats = t->repeats > 1 ? t->repeats : 1;
    for (int i = 0; i + repeats <= q->n_requests; i += repeats) {
        struct value *answers = value_list(a), *result;
        bool beside = i > 0 && t->output == OUTPUT_GENERATE_UNTIL; /* also_asks */
        enum output_type output = beside ? OUTPUT_LOGLIKELIHOOD : t->output;
        for (int j = 0; j < repeats; j++)
            list_push(a, answers, answer_of(a, output, &responses[i + j]));
        struct extraction one;
        int r = pipeline_apply(p, a, q->doc, answers, &result, &one, err);
        if (r < 0)
            return error_prefix(err, "task \"%s\", document %lld: ", t->info.name,
                                (long long)q->doc_id);
        found->looked |= one.looked;
        found->missed &= one.missed;
        list_push(a, results, result);
    }
    *ret = results;
    return 0;
}

static int check_responses(const struct task *t, const struct asked *q,
                           const struct response *responses, struct error *err)
{
    for (int i = 0; i < q->n_requests; i++)
        if (responses[i].error)
            return error_set(err, responses[i].error,
                             "task \"%s\", document %lld: request %d failed: %s", t->info.name,
                             (long long)q->doc_id, i,
                             responses[i].error_msg ? responses[i].error_msg : "no reason given");
    return 0;
}

int task_score(const struct task *t, struct arena *a, const struct asked *q,
               const struct response *responses, struct scored *ret, struct error *err)
{
    const struct scoring *s = t->scoring;
    struct scored out = {0};
    int r = check_responses(t, q, responses, err);
    for (int i = 0; r == 0 && i < s->n_pipelines; i++) {
        struct value *results = NULL;
        const char *filter = t->pipelines[i].name;
        struct extraction found;
        if ((r = filter_responses(t, s->pipelines[i], a, q, responses, &results, &found, err)) < 0)
            break;
        out.filtered = arena_grown(a, out.filtered, (size_t)out.n_filtered, sizeof *out.filtered);
        out.filtered[out.n_filtered++] = (struct filtered){filter, results};
        struct work w = {t, a, q, filter, results, responses, &out, err};
        r = s->process->score(&w);
        if (r == 0 && found.looked)
            add_score(&w, "no_answer", found.missed, 1);
    }
    if (r == 0)
        *ret = out;
    return r;
}

int task_check(const struct task *t, struct error *err)
{
    const struct sandbox *unused;
    if (t->output == OUTPUT_SIMILARITY)
        return error_set(err, E_UNSUPPORTED,
                         "task \"%s\" compares sentences by an encoder's embeddings, and no "
                         "backend of this version gives embeddings; leave it out of -t",
                         t->info.name);
    if (!t->scoring->runs_code)
        return 0;
    int r = sandbox_of(t, &unused, err);
    return r < 0 ? error_prefix(err, "task \"%s\": ", t->info.name) : 0;
}

/* ---- ifeval ---- */

static int process_ifeval(struct work *w)
{
    static const struct {
        const char *prompt_level, *inst_level;
    } names[] = {{"prompt_level_strict_acc", "inst_level_strict_acc"},
                 {"prompt_level_loose_acc", "inst_level_loose_acc"}};
    bool *verdicts[2];
    int n;
    if (w->results->list.n != 1)
        return bad_answer(w, "there must be one response");
    int r = ifeval_verdicts(w->a, w->q->doc, text_of(w, w->results->list.items[0]), &verdicts[0],
                            &verdicts[1], &n, w->err);
    if (r < 0)
        return error_prefix(w->err, "task \"%s\", document %lld: ", w->task->info.name,
                            (long long)w->q->doc_id);
    for (int k = 0; k < 2; k++) {
        int followed = 0;
        for (int i = 0; i < n; i++)
            followed += verdicts[k][i];
        if (find_measure(w, names[k].prompt_level))
            add_score(w, names[k].prompt_level, followed == n, 1);
        if (find_measure(w, names[k].inst_level))
            add_score(w, names[k].inst_level, followed, n);
    }
    return 0;
}

/* ---- MATH ---- */

static int math_scores(struct work *w, enum math_edition edition, const char *minerva_metric,
                       const char *value_metric)
{
    const struct value *gold = dict_get(w->q->doc, "answer"),
                       *solution = dict_get(w->q->doc, "solution");
    bool minerva, verified;
    if (w->results->list.n != 1)
        return bad_answer(w, "there must be one response");
    if (!gold || gold->type != VALUE_STR || !solution || solution->type != VALUE_STR)
        return bad_answer(w,
                          "the document has no fields \"answer\" and \"solution\" that hold text");
    struct str text = text_of(w, w->results->list.items[0]);
    int r = math_minerva_equal(w->a, text, gold->s, edition, &minerva, w->err);
    if (r < 0)
        return r;
    if (find_measure(w, minerva_metric))
        add_score(w, minerva_metric, minerva, 1);
    if (!find_measure(w, value_metric))
        return 0;
    r = math_verify(w->a, text, solution->s, edition == MATH_MINERVA, &verified, w->err);
    if (r == 0)
        add_score(w, value_metric, verified, 1);
    return r;
}

static int process_leaderboard_math(struct work *w)
{
    return math_scores(w, MATH_LEADERBOARD, "exact_match_original", "exact_match");
}

static int process_minerva_math(struct work *w)
{
    return math_scores(w, MATH_MINERVA, "exact_match", "math_verify");
}

/* ---- who scores what ---- */

#define OUTPUT_TOKENS "output_tokens output_tokens_median output_tokens_p95 "

static const struct process processes[] = {
    {NULL, OUTPUT_LOGLIKELIHOOD, "perplexity acc bypass ", process_loglikelihood, NULL},
    {NULL, OUTPUT_LOGLIKELIHOOD_ROLLING, "word_perplexity byte_perplexity bits_per_byte ",
     process_rolling, NULL},
    {NULL, OUTPUT_MULTIPLE_CHOICE,
     "acc acc_norm acc_bytes acc_mutual_info exact_match brier_score likelihood f1 f1_weighted "
     "f1_macro f1_micro mcc bypass ",
     process_multiple_choice, NULL},
    {NULL, OUTPUT_GENERATE_UNTIL,
     "exact_match bleu chrf chrf++ ter rouge1 rouge2 rougeL rougeLsum bypass pass_at_1 "
     "pass_at_k " OUTPUT_TOKENS,
     process_generate_until, NULL},
    {"ifeval", OUTPUT_GENERATE_UNTIL,
     "prompt_level_strict_acc inst_level_strict_acc prompt_level_loose_acc inst_level_loose_acc ",
     process_ifeval, NULL},
    {"leaderboard_math", OUTPUT_GENERATE_UNTIL, "exact_match exact_match_original ",
     process_leaderboard_math, NULL},
    {"minerva_math", OUTPUT_GENERATE_UNTIL, "exact_match math_verify ", process_minerva_math, NULL},
    {NULL, OUTPUT_SIMILARITY, "pearson spearman ", process_similarity, NULL},
    {"squad2", OUTPUT_GENERATE_UNTIL,
     "exact answer_f1 HasAns_exact HasAns_f1 NoAns_exact NoAns_f1 best_exact best_f1 ",
     process_squad2, " unanswerable"},
    {"squad_completion", OUTPUT_GENERATE_UNTIL, "contains ", process_squad_completion, NULL},
    {"tatqa", OUTPUT_GENERATE_UNTIL,
     "em numeracy_f1 scale token_precision token_recall token_f1 " OUTPUT_TOKENS, process_tatqa,
     NULL},
    {"truthfulqa_gen", OUTPUT_GENERATE_UNTIL,
     "bleu_max bleu_acc bleu_diff rouge1_max rouge1_acc rouge1_diff rouge2_max rouge2_acc "
     "rouge2_diff rougeL_max rougeL_acc rougeL_diff ",
     process_truthfulqa_gen, NULL},
    {"truthfulqa_mc2", OUTPUT_MULTIPLE_CHOICE, "acc ", process_truthfulqa_mc2, NULL},
    {"wikitext", OUTPUT_LOGLIKELIHOOD_ROLLING, "word_perplexity byte_perplexity bits_per_byte ",
     process_wikitext, NULL},
};

const struct process *process_find(const char *name, enum output_type output)
{
    for (size_t i = 0; i < sizeof processes / sizeof *processes; i++) {
        const struct process *p = &processes[i];
        if (p->output == output && (p->name && name ? strcmp(p->name, name) == 0 : p->name == name))
            return p;
    }
    return NULL;
}

const char *process_names(struct arena *a, enum output_type output)
{
    struct buf b = {0};
    for (size_t i = 0; i < sizeof processes / sizeof *processes; i++)
        if (processes[i].name && processes[i].output == output)
            buf_printf(&b, "%s%s", b.n ? ", " : "", processes[i].name);
    return b.n ? buf_take(&b, a).p : "none";
}
