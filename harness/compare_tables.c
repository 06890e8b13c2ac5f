#include "harness/compare_tables.h"

#include <math.h>
#include <stdio.h>

#include "harness/table.h"

static void task_cell(struct table *t, const char *task, const char *setting)
{
    table_cell(t, "%s%s%s", task, *setting ? ", " : "", setting);
}

static void text_cells(struct table *t, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table_cell(t, "%s", texts[i]);
}

static void whole_cells(struct table *t, const int64_t *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table_cell(t, "%lld", (long long)numbers[i]);
}

static void number_cells(struct table *t, const double *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        table_number(t, numbers[i]);
}

/* Empty where there is no interval. */
static void interval_cell(struct table *t, double low, double high, const char *low_text,
                          const char *high_text)
{
    table_cell(t, isfinite(low) && isfinite(high) ? "%s .. %s" : "", low_text, high_text);
}

#define N(array) (sizeof(array) / sizeof *(array))

/* ---- scores ---- */

static const char *signed_text(struct arena *a, double x)
{
    return arena_printf(a, "%s%s", signbit(x) ? "" : "+", score_text(a, x));
}

static void p_cell(struct table *t, double p)
{
    if (!isfinite(p))
        table_cell(t, "%s", "");
    else if (p > 0 && p < 0.0001)
        table_cell(t, "%.1e", p);
    else
        table_cell(t, "%.4f", p);
}

static void comparison_text(const struct comparison_list *l)
{
    struct arena a = {0};
    const char *headings[] = {"Task",
                              "Metric",
                              "Filter",
                              ">n",
                              arena_printf(&a, ">%s", l->model_a),
                              arena_printf(&a, ">%s", l->model_b),
                              ">recovery",
                              ">difference",
                              ">95 % interval",
                              ">McNemar p",
                              ">lost",
                              ">gained"};
    bool starred = false;
    struct table t;
    table_init(&t, headings, N(headings));
    for (size_t i = 0; i < l->n; i++) {
        const struct comparison *c = &l->items[i];
        bool none = isnan(c->recovery_percent), star = c->near_chance && !none;
        task_cell(&t, c->task_alias, c->setting);
        table_cell(&t, "%s", c->metric);
        table_cell(&t, "%s", c->filter);
        table_cell(&t, "%lld", (long long)c->n);
        table_cell(&t, "%s", score_text(&a, c->a));
        table_cell(&t, "%s", score_text(&a, c->b));
        table_cell(&t, none ? "" : "%.1f %%%s", c->recovery_percent, star ? "*" : "");
        starred |= star;
        table_cell(&t, "%s", signed_text(&a, c->difference));
        interval_cell(&t, c->low, c->high, signed_text(&a, c->low), signed_text(&a, c->high));
        p_cell(&t, c->is_01 ? c->mcnemar_p : NAN);
        table_cell(&t, c->is_01 ? "%lld" : "", (long long)c->lost);
        table_cell(&t, c->is_01 ? "%lld" : "", (long long)c->gained);
    }
    table_print(&t, false);
    arena_free(&a);
    if (starred)
        printf("* %s is no better than guessing there: recovery says little.\n", l->model_a);
}

static void comparison_json(const struct comparison_list *l)
{
    static const char *const headings[] = {
        "task",         "setting", "metric", "filter",      "n",
        "model_a",      "model_b", "a",      "b",           "recovery_percent",
        "difference",   "stderr",  "low",    "high",        "p",
        "mcnemar_p",    "lost",    "gained", "near_chance", "recovery_low",
        "recovery_high"};
    struct table t;
    table_init(&t, headings, N(headings));
    for (size_t i = 0; i < l->n; i++) {
        const struct comparison *c = &l->items[i];
        const char *const texts[] = {c->task, c->setting, c->metric, c->filter};
        const char *const models[] = {l->model_a, l->model_b};
        const double numbers[] = {c->a,
                                  c->b,
                                  c->recovery_percent,
                                  c->difference,
                                  c->difference_stderr,
                                  c->low,
                                  c->high,
                                  c->p,
                                  c->is_01 ? c->mcnemar_p : NAN};
        text_cells(&t, texts, N(texts));
        whole_cells(&t, &c->n, 1);
        text_cells(&t, models, N(models));
        number_cells(&t, numbers, N(numbers));
        table_cell(&t, c->is_01 ? "%lld" : "", (long long)c->lost);
        table_cell(&t, c->is_01 ? "%lld" : "", (long long)c->gained);
        table_cell(&t, "%d", c->near_chance);
        table_number(&t, c->recovery_low);
        table_number(&t, c->recovery_high);
    }
    table_print(&t, true);
}

void comparison_print(const struct comparison_list *l, bool json)
{
    (json ? comparison_json : comparison_text)(l);
}

/* ---- divergence ---- */

/* Small divergences matter: as many digits behind the point as show three of them. */
static const char *small_text(struct arena *a, double x)
{
    int digits = x > 0 && x < 0.1 ? 2 - (int)floor(log10(x)) : 4;
    return digits > 8 ? arena_printf(a, "%.2e", x) : arena_printf(a, "%.*f", digits, x);
}

static void divergence_text(const struct divergence_list *l)
{
    static const char *const headings[] = {
        "Task",        ">tokens",   ">mean KL",       ">95 % interval", ">median",
        ">99 %",       ">same top", ">95 % interval", ">PPL ratio",     ">95 % interval",
        ">RMS change", ">largest",  ">remainder"};
    struct arena a = {0};
    struct table t;
    table_init(&t, headings, N(headings));
    for (size_t i = 0; i < l->n; i++) {
        const struct divergence *d = &l->items[i];
        const struct estimate *estimates[] = {&d->kl, &d->same_top, &d->perplexity_ratio};
        task_cell(&t, d->task_alias, d->setting);
        table_cell(&t, "%lld", (long long)d->n_tokens);
        for (size_t k = 0; k < 3; k++) {
            table_cell(&t, "%s", small_text(&a, estimates[k]->value));
            interval_cell(&t, estimates[k]->low, estimates[k]->high,
                          small_text(&a, estimates[k]->low), small_text(&a, estimates[k]->high));
            if (k > 0)
                continue;
            table_cell(&t, "%s", small_text(&a, d->kl_median));
            table_cell(&t, "%s", small_text(&a, d->kl_99));
        }
        table_cell(&t, "%s", small_text(&a, d->change_rms));
        table_cell(&t, "%+.4f in %lld", d->largest_change, (long long)d->largest_doc_id);
        table_cell(&t, d->exact ? "exact" : "%.4f", d->remainder);
    }
    printf("Divergence of %s from %s, by token:\n", l->model_b, l->model_a);
    table_print(&t, false);
    arena_free(&a);
}

static void divergence_json(const struct divergence_list *l)
{
    static const char *const headings[] = {"task",
                                           "setting",
                                           "model_a",
                                           "model_b",
                                           "evaluation_a",
                                           "evaluation_b",
                                           "n_docs",
                                           "n_tokens",
                                           "largest_change_doc_id",
                                           "kl",
                                           "kl_low",
                                           "kl_high",
                                           "same_top",
                                           "same_top_low",
                                           "same_top_high",
                                           "perplexity_ratio",
                                           "perplexity_ratio_low",
                                           "perplexity_ratio_high",
                                           "largest_change",
                                           "remainder",
                                           "kl_median",
                                           "kl_99",
                                           "kl_max",
                                           "change_rms",
                                           "exact"};
    struct table t;
    table_init(&t, headings, N(headings));
    for (size_t i = 0; i < l->n; i++) {
        const struct divergence *d = &l->items[i];
        const char *const texts[] = {d->task, d->setting, l->model_a, l->model_b};
        const int64_t whole[] = {d->evaluation_a, d->evaluation_b, d->n_docs, d->n_tokens,
                                 d->largest_doc_id};
        const double numbers[] = {d->kl.value,
                                  d->kl.low,
                                  d->kl.high,
                                  d->same_top.value,
                                  d->same_top.low,
                                  d->same_top.high,
                                  d->perplexity_ratio.value,
                                  d->perplexity_ratio.low,
                                  d->perplexity_ratio.high,
                                  d->largest_change,
                                  d->remainder,
                                  d->kl_median,
                                  d->kl_99,
                                  d->kl_most,
                                  d->change_rms};
        text_cells(&t, texts, N(texts));
        whole_cells(&t, whole, N(whole));
        number_cells(&t, numbers, N(numbers));
        table_cell(&t, "%d", d->exact);
    }
    table_print(&t, true);
}

void divergence_print(const struct divergence_list *l, bool json)
{
    (json ? divergence_json : divergence_text)(l);
}

/* ---- similarity ---- */

static void similarity_text(const struct similarity_list *l)
{
    static const char *const headings[] = {
        "Task",           ">documents",     ">same",         ">ROUGE-1",       ">95 % interval",
        ">ROUGE-2",       ">95 % interval", ">ROUGE-L",      ">95 % interval", ">BLEU",
        ">95 % interval", ">chrF",          ">95 % interval"};
    struct arena a = {0};
    struct table t;
    table_init(&t, headings, N(headings));
    for (size_t i = 0; i < l->n; i++) {
        const struct similarity *s = &l->items[i];
        task_cell(&t, s->task_alias, s->setting);
        table_cell(&t, "%lld", (long long)s->n);
        table_cell(&t, "%.1f %%", 100 * (double)s->n_same / (double)s->n_answers);
        for (int m = 0; m < SIMILARITY_METRICS; m++) {
            const struct estimate *e = &s->metrics[m];
            int digits = m < SIMILARITY_BLEU ? 4 : 2;
            table_cell(&t, "%.*f", digits, e->value);
            interval_cell(&t, e->low, e->high, arena_printf(&a, "%.*f", digits, e->low),
                          arena_printf(&a, "%.*f", digits, e->high));
        }
    }
    printf("What %s wrote, with what %s wrote as the reference:\n", l->model_b, l->model_a);
    table_print(&t, false);
    printf("STS cosine and BERTScore need an encoder, which this version does not run.\n");
    arena_free(&a);
}

/* Names of each metric and of its interval's ends. */
static void similarity_json(const struct similarity_list *l)
{
    static const char *const fixed[] = {"task",    "setting",      "model_a",
                                        "model_b", "evaluation_a", "evaluation_b",
                                        "n",       "n_answers",    "n_same"};
    enum { FIXED = sizeof fixed / sizeof *fixed, ALL = FIXED + 3 * SIMILARITY_METRICS };
    struct arena a = {0};
    const char *headings[ALL];
    struct table t;
    for (int i = 0; i < FIXED; i++)
        headings[i] = fixed[i];
    for (int m = 0; m < SIMILARITY_METRICS; m++) {
        headings[FIXED + 3 * m] = similarity_names[m];
        headings[FIXED + 3 * m + 1] = arena_printf(&a, "%s_low", similarity_names[m]);
        headings[FIXED + 3 * m + 2] = arena_printf(&a, "%s_high", similarity_names[m]);
    }
    table_init(&t, headings, ALL);
    for (size_t i = 0; i < l->n; i++) {
        const struct similarity *s = &l->items[i];
        const char *const texts[] = {s->task, s->setting, l->model_a, l->model_b};
        const int64_t whole[] = {s->evaluation_a, s->evaluation_b, s->n, s->n_answers, s->n_same};
        text_cells(&t, texts, N(texts));
        whole_cells(&t, whole, N(whole));
        for (int m = 0; m < SIMILARITY_METRICS; m++) {
            table_number(&t, s->metrics[m].value);
            table_number(&t, s->metrics[m].low);
            table_number(&t, s->metrics[m].high);
        }
    }
    table_print(&t, true);
    arena_free(&a);
}

void similarity_print(const struct similarity_list *l, bool json)
{
    (json ? similarity_json : similarity_text)(l);
}
