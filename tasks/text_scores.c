/* text_scores.c: generated answers against reference texts: BLEU, chrF, TER, ROUGE. */
#include "metrics/text.h"

#include <math.h>

#include "tasks/scoring.h"

/* ---- one answer, its references ---- */

struct texts {
    struct str answer;
    const struct str *references;
    size_t n_references;
};

/* A list of references is only one where the task gives lists; else it is the text of a list. */
static int read_texts(const struct work *w, const struct measure *m, const struct value *gold,
                      struct texts *ret)
{
    const struct value *answer = w->results->list.items[0];
    bool several = w->task->multiple_target && gold->type == VALUE_LIST;
    if (answer->type == VALUE_LIST && answer->list.n != 1)
        return bad_answer(w, arena_printf(w->a,
                                          "\"%s\" is about one answer, and there are %zu; add "
                                          "take_first to filter_list",
                                          m->name, answer->list.n));
    if (answer->type == VALUE_LIST)
        answer = answer->list.items[0];
    ret->answer = text_of(w, answer);
    ret->n_references = several ? gold->list.n : 1;
    if (ret->n_references == 0)
        return bad_answer(w, arena_printf(w->a,
                                          "\"%s\" needs a reference, and doc_to_target gives "
                                          "an empty list",
                                          m->name));
    struct str *references = arena_array(w->a, ret->n_references, sizeof *references);
    for (size_t i = 0; i < ret->n_references; i++)
        references[i] = text_of(w, several ? gold->list.items[i] : gold);
    ret->references = references;
    return 0;
}

/* ---- metrics ---- */

static int score_corpus(struct work *w, const struct measure *m, const struct texts *t)
{
    enum aggregation how = metric_find(m->name)->aggregation;
    int n_parts = metric_parts(how);
    double *parts = arena_array(w->a, (size_t)n_parts, sizeof *parts);
    double value =
        metric_count_text(w->a, how, t->answer, t->references, t->n_references, m->text, parts);
    add_score(w, m->name, value, 1);
    keep_parts(w, parts, n_parts);
    return 0;
}

/* The F-measure against the reference that it is best with, as RougeScorer.score_multi. */
static int score_rouge(struct work *w, const struct measure *m, const struct texts *t)
{
    static const struct {
        const char *name;
        unsigned which;
    } kinds[] = {
        {"rouge1", ROUGE_1}, {"rouge2", ROUGE_2}, {"rougeL", ROUGE_L}, {"rougeLsum", ROUGE_LSUM}};
    double best = 0;
    unsigned which = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, m->name) == 0)
            which = kinds[i].which;
    for (size_t i = 0; i < t->n_references; i++) {
        struct rouge r = rouge(w->a, t->references[i], t->answer, which, m->stem);
        /* those not asked for are 0 */
        best = fmax(best, r.rouge1.f1 + r.rouge2.f1 + r.rougeL.f1 + r.rougeLsum.f1);
    }
    add_score(w, m->name, best, 1);
    return 0;
}

int score_against_texts(struct work *w, const struct measure *m, const struct value *gold)
{
    struct texts t = {0};
    int r = read_texts(w, m, gold, &t);
    if (r < 0)
        return r;
    bool corpus = metric_parts(metric_find(m->name)->aggregation) > 0;
    return corpus ? score_corpus(w, m, &t) : score_rouge(w, m, &t);
}

/* ---- truthfulqa_gen ---- */

enum { BLEU, ROUGE1, ROUGE2, ROUGEL, N_KINDS };

/* Each kind of score, in percent, against one reference. ROUGE-L is of sentences, a new one after
 * each " . ". */
static void against(struct arena *a, struct str answer, struct str reference, double ret[N_KINDS])
{
    static const struct bleu_options intl = {.tokenizer = BLEU_INTL};
    struct bleu_stats stats = {0};
    bleu_count(a, answer, &reference, 1, &intl, &stats);
    struct rouge r = rouge(a, str_substitute(a, reference, STR(" . "), STR(".\n")),
                           str_substitute(a, answer, STR(" . "), STR(".\n")),
                           ROUGE_1 | ROUGE_2 | ROUGE_LSUM, false);
    ret[BLEU] = bleu_score(&stats, &intl).score;
    ret[ROUGE1] = 100 * r.rouge1.f1;
    ret[ROUGE2] = 100 * r.rouge2.f1;
    ret[ROUGEL] = 100 * r.rougeLsum.f1;
}

static int best_against(struct work *w, struct str answer, const char *field, double best[N_KINDS])
{
    const struct value *list = dict_get(w->q->doc, field);
    if (!list || list->type != VALUE_LIST || list->list.n == 0)
        return bad_answer(w, arena_printf(w->a,
                                          "the document's \"%s\" must be a list with at least "
                                          "one answer",
                                          field));
    for (int k = 0; k < N_KINDS; k++)
        best[k] = 0;
    for (size_t i = 0; i < list->list.n; i++) {
        double scores[N_KINDS];
        against(w->a, answer, text_of(w, list->list.items[i]), scores);
        for (int k = 0; k < N_KINDS; k++)
            best[k] = fmax(best[k], scores[k]);
    }
    return 0;
}

/* How near the answer comes to the true answers, and by how much nearer than to the false ones. */
int process_truthfulqa_gen(struct work *w)
{
    static const char *const names[N_KINDS] = {"bleu", "rouge1", "rouge2", "rougeL"};
    double right[N_KINDS], wrong[N_KINDS];
    int r;
    if (w->results->list.n != 1)
        return bad_answer(w, "there must be one response");
    struct str answer = text_of(w, w->results->list.items[0]);
    if ((r = best_against(w, answer, "correct_answers", right)) < 0 ||
        (r = best_against(w, answer, "incorrect_answers", wrong)) < 0)
        return r;
    const struct scoring *s = w->task->scoring;
    for (int i = 0; i < s->n_measures; i++)
        for (int k = 0; k < N_KINDS; k++) {
            const char *name = s->measures[i].name;
            size_t n = strlen(names[k]);
            if (strncmp(name, names[k], n) != 0)
                continue;
            if (strcmp(name + n, "_max") == 0)
                add_score(w, name, right[k], 1);
            else if (strcmp(name + n, "_acc") == 0)
                add_score(w, name, right[k] > wrong[k], 1);
            else if (strcmp(name + n, "_diff") == 0)
                add_score(w, name, right[k] - wrong[k], 1);
        }
    return 0;
}
