#include "results/card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/metric.h"
#include "results/study.h"

struct card {
    struct store *s;
    struct arena arena;
    struct buf *b;
    bool has_base;
    struct comparison_list list;
    struct evaluation_list evaluations; /* of the model */
    struct group_list groups;
    bool *shown; /* [list.n]: rows that the table has, or that stand in another one */
    bool starred;
};

/* ---- cells ---- */

/* A name in a cell: no bar, no line break, no markup. */
static void name(struct buf *b, const char *text)
{
    for (; *text; text++) {
        if (strchr("|\\*_`<>[]", *text))
            buf_char(b, '\\');
        buf_char(b, (unsigned char)*text < ' ' ? ' ' : *text);
    }
}

static bool is_share(const struct comparison *c)
{
    return c->higher_is_better && c->a >= 0 && c->a <= 1 && c->b >= 0 && c->b <= 1;
}

static const char *score(struct arena *a, double x, bool share)
{
    return isnan(x) ? "" : arena_printf(a, share ? "%.1f" : "%.2f", share ? 100 * x : x);
}

/* What a line says. */
struct line {
    double base, value, recovery; /* NaN: none */
    bool share, near_chance, bold;
};

static struct line line_of(const struct comparison *c)
{
    return (struct line){c->a, c->b, c->recovery_percent, is_share(c), c->near_chance, false};
}

/* The cells behind the name. */
static void cells(struct card *c, const struct line *l)
{
    const char *bold = l->bold ? "**" : "";
    if (c->has_base)
        buf_printf(c->b, " | %s%s%s", bold, score(&c->arena, l->base, l->share), bold);
    buf_printf(c->b, " | %s%s%s", bold, score(&c->arena, l->value, l->share), bold);
    if (c->has_base) {
        buf_puts(c->b, " | ");
        if (!isnan(l->recovery))
            buf_printf(c->b, "%s%.1f%%%s%s", bold, l->recovery, l->near_chance ? "\\*" : "", bold);
        c->starred |= l->near_chance && !isnan(l->recovery);
    }
    buf_puts(c->b, " |\n");
}

static void heading(struct card *c, const char *title)
{
    buf_puts(c->b, "| **");
    name(c->b, title);
    buf_puts(c->b, c->has_base ? "** | | | |\n" : "** | |\n");
}

static void average(struct card *c, const struct line *l)
{
    struct line bold = *l;
    bold.bold = true;
    buf_puts(c->b, "| **Average**");
    cells(c, &bold);
}

/* ---- suites ---- */

static struct comparison *find_term(const struct card *c, const struct group_mean_term *t)
{
    for (size_t i = 0; i < c->list.n; i++) {
        struct comparison *x = &c->list.items[i];
        if (!x->is_group && strcmp(x->task, t->task) == 0 && strcmp(x->metric, t->metric) == 0 &&
            strcmp(x->filter, t->filter) == 0)
            return x;
    }
    return NULL;
}

/* Of one benchmark, its terms [from, end), as the suite normalizes it. */
static void benchmark(struct card *c, const struct group_row *g, int from, int end)
{
    struct mean_term *a = arena_array(&c->arena, (size_t)(end - from), sizeof *a),
                     *b = arena_array(&c->arena, (size_t)(end - from), sizeof *b);
    bool guessed = true, normalized = false;
    int shots = 0;
    for (int i = from; i < end; i++) {
        const struct group_mean_term *t = &g->terms[i];
        const struct comparison *x = find_term(c, t);
        a[i - from] =
            (struct mean_term){t->benchmark, t->baseline, x->a, x->a_stderr, x->n, t->by_size};
        b[i - from] = a[i - from];
        b[i - from].value = x->b;
        guessed = guessed && x->near_chance;
        normalized |= t->baseline > 0;
        shots = x->num_fewshot;
    }
    struct aggregate base = metric_leaderboard_mean(a, end - from),
                     value = metric_leaderboard_mean(b, end - from);
    struct line l = {base.value,
                     value.value,
                     base.value > 0 ? 100 * value.value / base.value : NAN,
                     true,
                     guessed || (normalized && base.value - 1.96 * base.stderr_ <= 0),
                     false};
    buf_puts(c->b, "| ");
    name(c->b, g->terms[from].benchmark);
    buf_printf(c->b, " (%d-shot)", shots);
    cells(c, &l);
}

static void hide_tasks(struct card *c, const struct group_row *g)
{
    for (size_t i = 0; i < c->list.n; i++)
        for (int k = 0; k < g->n_tasks; k++)
            if (strcmp(g->tasks[k], c->list.items[i].task) == 0)
                c->shown[i] = true;
}

static bool all_hidden(const struct card *c, const struct group_row *g)
{
    for (int k = 0; k < g->n_tasks; k++)
        for (size_t i = 0; i < c->list.n; i++)
            if (strcmp(g->tasks[k], c->list.items[i].task) == 0 && !c->shown[i])
                return false;
    return true;
}

static const struct comparison *mean_of(const struct card *c, const struct group_row *g)
{
    for (size_t i = 0; i < c->list.n; i++)
        if (c->list.items[i].is_group && strcmp(c->list.items[i].task, g->name) == 0 &&
            strcmp(c->list.items[i].metric, "leaderboard_mean") == 0)
            return &c->list.items[i];
    return NULL;
}

static void suites(struct card *c)
{
    for (size_t i = 0; i < c->groups.n; i++) {
        const struct group_row *g = &c->groups.items[i];
        const struct comparison *mean = g->n_terms ? mean_of(c, g) : NULL;
        if (!mean)
            continue;
        heading(c, g->alias);
        for (int from = 0, end; from < g->n_terms; from = end) {
            for (end = from + 1; end < g->n_terms &&
                                 strcmp(g->terms[end].benchmark, g->terms[from].benchmark) == 0;)
                end++;
            benchmark(c, g, from, end);
        }
        struct line l = line_of(mean);
        average(c, &l);
        hide_tasks(c, g);
    }
    /* groups whose tasks stand there already say nothing new, suites themselves least of all */
    for (size_t i = 0; i < c->list.n; i++)
        for (size_t k = 0; k < c->groups.n; k++)
            if (c->list.items[i].is_group &&
                strcmp(c->list.items[i].task, c->groups.items[k].name) == 0 &&
                (c->groups.items[k].n_terms > 0 || all_hidden(c, &c->groups.items[k])))
                c->shown[i] = true;
}

/* ---- the rest ---- */

/* Another row of the same task or group and setting is better known. */
static bool has_better(const struct card *c, size_t i)
{
    const struct comparison *x = &c->list.items[i];
    for (size_t k = 0; k < c->list.n; k++) {
        const struct comparison *y = &c->list.items[k];
        if (k == i || x->is_group != y->is_group || strcmp(x->task, y->task) != 0 ||
            strcmp(x->setting, y->setting) != 0 || x->evaluation_b != y->evaluation_b)
            continue;
        int rank_x = study_rank(x->metric, x->filter), rank_y = study_rank(y->metric, y->filter);
        if (rank_y < rank_x || (rank_y == rank_x && k < i))
            return true;
    }
    return false;
}

struct mean {
    double base, value;
    int n;
};

static void other_line(struct card *c, const struct comparison *x, struct mean *mean)
{
    struct line l = line_of(x);
    buf_puts(c->b, "| ");
    name(c->b, x->task_alias[0] ? x->task_alias : x->task);
    buf_puts(c->b, " (");
    name(c->b, x->setting[0] ? x->setting : "0-shot");
    buf_puts(c->b, ", ");
    name(c->b, x->metric);
    buf_puts(c->b, x->higher_is_better ? ")" : ", lower is better)");
    cells(c, &l);
    if (l.share) {
        mean->base += l.base;
        mean->value += l.value;
        mean->n++;
    }
}

static void others(struct card *c, bool below_suites)
{
    struct mean mean = {0};
    bool any = false;
    for (size_t i = 0; i < c->groups.n; i++) { /* a group's line stands for its tasks */
        const struct group_row *g = &c->groups.items[i];
        for (size_t k = 0; k < c->list.n; k++)
            if (c->list.items[k].is_group && !c->shown[k] &&
                strcmp(c->list.items[k].task, g->name) == 0) {
                hide_tasks(c, g);
                break;
            }
    }
    for (size_t i = 0; i < c->list.n; i++) {
        const struct comparison *x = &c->list.items[i];
        if (c->shown[i] || has_better(c, i))
            continue;
        if (!any && below_suites)
            heading(c, "Other tasks");
        any = true;
        other_line(c, x, &mean);
    }
    if (mean.n < 2)
        return;
    struct line l = {
        mean.base / mean.n, mean.value / mean.n, 100 * mean.value / mean.base, true, false, false};
    l.recovery = mean.base > 0 ? l.recovery : NAN;
    average(c, &l);
}

/* ---- around the table ---- */

static void head(struct card *c, const char *version)
{
    const struct evaluation_line *e = &c->evaluations.items[0];
    const char *last = "";
    for (size_t i = 0; i < c->evaluations.n; i++)
        if (strcmp(c->evaluations.items[i].last_used, last) > 0)
            last = c->evaluations.items[i].last_used;
    buf_printf(c->b, "## Evaluation\n\nMeasured with assay %s on %.10s (", version, last);
    name(c->b, e->numerics);
    buf_printf(c->b, "; weights %s%s%s). Shares are in percent.\n\n| Benchmark", e->format,
               strcmp(e->quant, "none") ? " from quant=" : "",
               strcmp(e->quant, "none") ? e->quant : "");
    if (c->has_base) {
        buf_puts(c->b, " | ");
        name(c->b, c->list.model_a);
    }
    buf_puts(c->b, " | ");
    name(c->b, c->list.model_b);
    buf_puts(c->b, c->has_base ? " (this model) | Recovery |\n| --- | ---: | ---: | ---: |\n"
                               : " (this model) |\n| --- | ---: |\n");
}

/* Tasks that were not run to the end. */
static void partly(struct card *c)
{
    bool any = false;
    for (size_t i = 0; i < c->evaluations.n; i++) {
        const struct evaluation_line *e = &c->evaluations.items[i];
        int64_t n = -1;
        for (size_t k = 0; k < c->list.n; k++)
            if (c->list.items[k].evaluation_b == e->id && c->list.items[k].n > n)
                n = c->list.items[k].n;
        if (n < 0 || n == e->n_docs)
            continue;
        buf_puts(c->b, any ? ", " : "\nOver some of the documents only: ");
        any = true;
        name(c->b, e->task);
        buf_printf(c->b, " %lld of %lld", (long long)n, (long long)e->n_docs);
    }
    if (any)
        buf_puts(c->b, ".\n");
}

static void foot(struct card *c)
{
    if (c->starred) {
        buf_puts(c->b, "\n\\* There ");
        name(c->b, c->list.model_a);
        buf_puts(c->b, " is no better than guessing, and recovery says little.\n");
    }
    partly(c);
}

int card_markdown(struct store *s, const struct card_options *o, const char *version,
                  struct buf *ret, struct error *err)
{
    struct card c = {.s = s, .b = ret, .has_base = o->base != NULL};
    struct evaluation_filter f = {.model = o->model, .latest = o->model[0] != '#'};
    int r = query_evaluations(s, &c.arena, &f, &c.evaluations, err);
    if (r == 0)
        r = query_groups(s, &c.arena, &c.groups, err);
    if (r == 0) /* without a base the model stands beside itself */
        r = compare_models(s, &c.arena, o->base ? o->base : o->model, o->model, NULL, &c.list, err);
    if (r == 0) {
        c.shown = arena_array(&c.arena, c.list.n, sizeof *c.shown);
        for (size_t i = 0; i < c.list.n; i++) /* counts, which are no scores */
            c.shown[i] = metric_is_own(c.list.items[i].metric);
        head(&c, version);
        size_t before = ret->n;
        suites(&c);
        others(&c, ret->n > before);
        foot(&c);
    }
    arena_free(&c.arena);
    return r;
}
