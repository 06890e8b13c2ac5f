#include "harness/study_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/table.h"

/* ---- recovery ---- */

/* "98.9 (96.1 .. 101.7)*" */
static const char *recovery_text(struct arena *a, const struct comparison *c, bool *starred)
{
    if (!c || isnan(c->recovery_percent))
        return c ? score_text(a, c->b) : "";
    *starred |= c->near_chance;
    const char *star = c->near_chance ? "*" : "";
    if (isnan(c->recovery_low) || isnan(c->recovery_high))
        return arena_printf(a, "%.1f%s", c->recovery_percent, star);
    return arena_printf(a, "%.1f (%.1f .. %.1f)%s", c->recovery_percent, c->recovery_low,
                        c->recovery_high, star);
}

static const char *column_title(struct arena *a, const struct study_column *c)
{
    return arena_printf(a, ">%s%s%s %s%s", c->alias, *c->setting ? ", " : "", c->setting, c->metric,
                        c->is_group ? " (group)" : "");
}

static bool print_recovery(const struct study *s)
{
    struct arena a = {0};
    const char **headings = arena_array(&a, (size_t)s->n_columns + 2, sizeof *headings);
    bool starred = false;
    struct table t;
    headings[0] = "Model";
    for (int c = 0; c < s->n_columns; c++)
        headings[c + 1] = column_title(&a, &s->columns[c]);
    headings[s->n_columns + 1] = ">mean";
    table_init(&t, headings, s->n_columns + 2);
    for (int i = 0; i < s->n_models; i++) {
        const struct study_model *m = &s->models[i];
        table_cell(&t, "%s", m->name);
        for (int c = 0; c < s->n_columns; c++)
            table_cell(&t, "%s",
                       i > 0         ? recovery_text(&a, m->cells[c], &starred)
                       : m->cells[c] ? score_text(&a, m->cells[c]->a)
                                     : "");
        table_cell(&t, isnan(m->recovery) ? "" : "%.1f%s", m->recovery, m->near_chance ? "*" : "");
    }
    printf("Scores of %s, and of them recovered by the others, in percent (95 %% interval):\n",
           s->models[0].name);
    table_print(&t, false);
    arena_free(&a);
    return starred;
}

/* ---- what it takes ---- */

static void size_cells(struct table *t, int64_t bytes, int64_t base)
{
    table_cell(t, bytes ? "%.1f" : "", (double)bytes / 0x1p20);
    table_cell(t, bytes && base ? "%.2f" : "", (double)bytes / (double)base);
}

static void speed_cells(struct table *t, double speed, double base)
{
    table_cell(t, speed > 0 ? speed < 100 ? "%.1f" : "%.0f" : "", speed);
    table_cell(t, speed > 0 && base > 0 ? "%.2f" : "", speed / base);
}

static void print_cost(const struct study *s)
{
    static const char *const headings[] = {
        "Model",    "Weights",        ">size MiB", ">ratio",        ">memory MiB",
        ">ratio",   ">prefill tok/s", ">ratio",    ">decode tok/s", ">ratio",
        ">mean KL", ">same top",      ">lost",     ">gained"};
    const struct model_cost *base = &s->models[0].cost;
    struct table t;
    table_init(&t, headings, sizeof headings / sizeof *headings);
    for (int i = 0; i < s->n_models; i++) {
        const struct study_model *m = &s->models[i];
        bool quantized = strcmp(m->quant, "none") != 0;
        table_cell(&t, "%s", m->name);
        table_cell(&t, "%s", quantized ? m->quant : m->format);
        size_cells(&t, m->cost.stored_bytes, base->stored_bytes);
        size_cells(&t, m->cost.held_bytes, base->held_bytes);
        speed_cells(&t, m->cost.prefill, base->prefill);
        speed_cells(&t, m->cost.decode, base->decode);
        table_cell(&t, m->n_tokens ? m->exact ? "%.5f" : ">= %.5f" : "", m->kl);
        table_cell(&t, m->n_tokens ? "%.4f" : "", m->same_top);
        table_cell(&t, i && !m->not_compared ? "%lld" : "", (long long)m->lost);
        table_cell(&t, i && !m->not_compared ? "%lld" : "", (long long)m->gained);
    }
    printf("\nWhat they take, and how far they moved from %s:\n", s->models[0].name);
    table_print(&t, false);
}

static void print_text(const struct study *s)
{
    bool starred = print_recovery(s);
    if (starred)
        printf("* %s is no better than guessing there: recovery says little.\n", s->models[0].name);
    print_cost(s);
    fflush(stdout);
    for (int i = 1; i < s->n_models; i++)
        if (s->models[i].not_compared)
            fprintf(stderr, "note: %s\n", s->models[i].not_compared);
}

/* ---- for programs ---- */

/* Empty where nothing is known. */
static void known_number(struct table *t, double x)
{
    table_number(t, x > 0 ? x : NAN);
}

static void print_json(const struct study *s)
{
    static const char *const headings[] = {"model",
                                           "base",
                                           "weights",
                                           "quant",
                                           "stored_bytes",
                                           "held_bytes",
                                           "prefill",
                                           "decode",
                                           "kl",
                                           "same_top",
                                           "exact",
                                           "lost",
                                           "gained",
                                           "task",
                                           "is_group",
                                           "setting",
                                           "metric",
                                           "filter",
                                           "n",
                                           "score",
                                           "base_score",
                                           "recovery_percent",
                                           "recovery_low",
                                           "recovery_high",
                                           "near_chance"};
    struct table t;
    table_init(&t, headings, sizeof headings / sizeof *headings);
    for (int i = 1; i < s->n_models; i++)
        for (int k = 0; k < s->n_columns; k++) {
            const struct study_model *m = &s->models[i];
            const struct comparison *c = m->cells[k];
            if (!c)
                continue;
            const char *const texts[] = {m->name, s->models[0].name, m->format, m->quant};
            for (size_t j = 0; j < sizeof texts / sizeof *texts; j++)
                table_cell(&t, "%s", texts[j]);
            table_cell(&t, m->cost.stored_bytes ? "%lld" : "", (long long)m->cost.stored_bytes);
            table_cell(&t, m->cost.held_bytes ? "%lld" : "", (long long)m->cost.held_bytes);
            known_number(&t, m->cost.prefill);
            known_number(&t, m->cost.decode);
            table_number(&t, m->n_tokens ? m->kl : NAN);
            table_number(&t, m->n_tokens ? m->same_top : NAN);
            table_cell(&t, m->n_tokens ? "%d" : "", m->exact);
            table_cell(&t, "%lld", (long long)m->lost);
            table_cell(&t, "%lld", (long long)m->gained);
            table_cell(&t, "%s", c->task);
            table_cell(&t, "%d", c->is_group);
            table_cell(&t, "%s", c->setting);
            table_cell(&t, "%s", c->metric);
            table_cell(&t, "%s", c->filter);
            table_cell(&t, "%lld", (long long)c->n);
            const double numbers[] = {c->b, c->a, c->recovery_percent, c->recovery_low,
                                      c->recovery_high};
            for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++)
                table_number(&t, numbers[j]);
            table_cell(&t, "%d", c->near_chance);
        }
    table_print(&t, true);
}

void study_print(const struct study *s, bool json)
{
    (json ? print_json : print_text)(s);
}
