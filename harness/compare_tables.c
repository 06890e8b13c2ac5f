#include "harness/compare_tables.h"

#include <math.h>
#include <stdio.h>

#include "harness/table.h"

static const char *task_text(struct arena *a, const char *task, const char *setting)
{
    return arena_printf(a, "%s%s%s", task, *setting ? ", " : "", setting);
}

/* Small divergences matter: as many digits behind the point as show three of them. */
static const char *small_text(struct arena *a, double x)
{
    int digits = x > 0 && x < 0.1 ? 2 - (int)floor(log10(x)) : 4;
    return digits > 8 ? arena_printf(a, "%.2e", x) : arena_printf(a, "%.*f", digits, x);
}

static void interval_cell(struct table *t, struct arena *a, const struct estimate *e)
{
    if (isfinite(e->low) && isfinite(e->high))
        table_cell(t, "%s .. %s", small_text(a, e->low), small_text(a, e->high));
    else
        table_cell(t, "%s", "");
}

static void divergence_text(const struct divergence_list *l)
{
    static const char *const headings[] = {
        "Task",           ">tokens",           ">mean KL",       ">95 % interval",  ">same top",
        ">95 % interval", ">perplexity ratio", ">95 % interval", ">largest change", ">remainder"};
    struct arena a = {0};
    struct table t;
    table_init(&t, headings, sizeof headings / sizeof *headings);
    for (size_t i = 0; i < l->n; i++) {
        const struct divergence *d = &l->items[i];
        const struct estimate *estimates[] = {&d->kl, &d->same_top, &d->perplexity_ratio};
        table_cell(&t, "%s", task_text(&a, d->task_alias, d->setting));
        table_cell(&t, "%lld", (long long)d->n_tokens);
        for (size_t k = 0; k < 3; k++) {
            table_cell(&t, "%s", small_text(&a, estimates[k]->value));
            interval_cell(&t, &a, estimates[k]);
        }
        table_cell(&t, "%+.4f in %lld", d->largest_change, (long long)d->largest_doc_id);
        table_cell(&t, "%.4f", d->remainder);
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
                                           "remainder"};
    struct table t;
    table_init(&t, headings, sizeof headings / sizeof *headings);
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
                                  d->remainder};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            table_cell(&t, "%s", texts[k]);
        for (size_t k = 0; k < sizeof whole / sizeof *whole; k++)
            table_cell(&t, "%lld", (long long)whole[k]);
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            table_number(&t, numbers[k]);
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
    table_init(&t, headings, sizeof headings / sizeof *headings);
    for (size_t i = 0; i < l->n; i++) {
        const struct similarity *s = &l->items[i];
        table_cell(&t, "%s", task_text(&a, s->task_alias, s->setting));
        table_cell(&t, "%lld", (long long)s->n);
        table_cell(&t, "%.1f %%", 100 * (double)s->n_same / (double)s->n_answers);
        for (int m = 0; m < SIMILARITY_METRICS; m++) {
            const struct estimate *e = &s->metrics[m];
            int digits = m < SIMILARITY_BLEU ? 4 : 2;
            table_cell(&t, "%.*f", digits, e->value);
            if (isfinite(e->low) && isfinite(e->high))
                table_cell(&t, "%.*f .. %.*f", digits, e->low, digits, e->high);
            else
                table_cell(&t, "%s", "");
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
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            table_cell(&t, "%s", texts[k]);
        for (size_t k = 0; k < sizeof whole / sizeof *whole; k++)
            table_cell(&t, "%lld", (long long)whole[k]);
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
