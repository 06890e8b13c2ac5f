#include "harness/scores.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/table.h"
#include "metrics/metric.h"

static int depth_of(const struct plan *p, int i)
{
    int depth = 0;
    for (int up = p->items[i].ref->parent; up >= 0; up = p->items[up].ref->parent)
        depth++;
    return depth;
}

static int collect_leaf(struct arena *a, struct store *s, const struct plan *p, int i,
                        struct score_list *ret, struct error *err)
{
    const struct planned *e = &p->items[i];
    struct score_line *lines;
    int64_t n_truncated = 0;
    int n, r = store_scores(s, a, e->id, e->info->n_eval, &lines, &n, err);
    if (r < 0 || (r = store_truncated(s, e->id, e->info->n_eval, &n_truncated, err)) < 0)
        return r;
    for (int k = 0; k < n; k++)
        *ARRAY_PUSH(ret) = (struct score_entry){
            .task = arena_printf(a, "%s", e->info->name),
            .alias = arena_printf(a, "%s", e->ref->alias ? e->ref->alias : e->info->alias),
            .version = arena_printf(a, "%s", e->info->version),
            .filter = lines[k].filter,
            .metric = lines[k].metric,
            .depth = depth_of(p, i),
            .num_fewshot = e->info->num_fewshot,
            .line = lines[k],
            .n_truncated = n_truncated,
            .n_docs = e->info->n_eval,
        };
    return 0;
}

static bool wants_filter(const struct group_metric *g, const char *filter)
{
    for (int i = 0; i < g->n_filters; i++)
        if (strcmp(g->filters[i], filter) == 0)
            return true;
    return !g->filters;
}

static const struct score_entry *leaf_entry(const struct score_list *leaves, const char *task,
                                            const char *metric, const char *filter)
{
    for (size_t k = 0; k < leaves->n; k++)
        if (strcmp(leaves->items[k].task, task) == 0 &&
            strcmp(leaves->items[k].metric, metric) == 0 &&
            strcmp(leaves->items[k].filter, filter) == 0)
            return &leaves->items[k];
    return NULL;
}

static void add_group_entry(const struct plan *p, int group, const char *metric, const char *filter,
                            int num_fewshot, struct aggregate score, struct score_list *ret)
{
    const struct task_ref *ref = p->items[group].ref;
    *ARRAY_PUSH(ret) = (struct score_entry){
        .task = ref->name,
        .alias = ref->alias ? ref->alias : ref->name,
        .version = "",
        .filter = filter,
        .metric = metric,
        .depth = depth_of(p, group),
        .is_group = true,
        .num_fewshot = num_fewshot,
        .line = {metric, filter, score.value, score.stderr_, score.n},
    };
}

static void add_group_line(struct arena *a, const struct plan *p, int group,
                           const struct group_metric *g, const char *filter,
                           const struct score_list *leaves, struct score_list *ret)
{
    struct aggregate *parts = arena_array(a, (size_t)p->n, sizeof *parts);
    int n = 0, shots = -2;
    for (int i = 0; i < p->n; i++) {
        if (p->items[i].ref->is_group || !task_ref_below(p->items[0].ref, i, group))
            continue;
        if (!p->items[i].task)
            return; /* a mean without it would be another group's */
        const struct score_entry *e = leaf_entry(leaves, p->items[i].info->name, g->metric, filter);
        if (!e || e->line.n == 0)
            continue;
        parts[n++] = (struct aggregate){e->line.value, e->line.stderr_, e->line.n};
        shots = shots == -2 || shots == e->num_fewshot ? e->num_fewshot : -1;
    }
    if (n == 0)
        return;
    struct aggregate sum = metric_group(parts, n, g->weight_by_size, false);
    add_group_entry(p, group, g->metric, filter, shots, sum, ret);
}

/* Only where all of its terms are there. */
static void add_leaderboard_mean(struct arena *a, const struct plan *p, int group,
                                 const struct score_list *leaves, struct score_list *ret)
{
    const struct task_ref *ref = p->items[group].ref;
    struct mean_term *terms = arena_array(a, (size_t)ref->n_terms, sizeof *terms);
    for (int i = 0; i < ref->n_terms; i++) {
        const struct group_term *t = &ref->terms[i];
        const struct score_entry *e = leaf_entry(leaves, t->task, t->metric, t->filter);
        if (!e || e->line.n == 0)
            return;
        terms[i] = (struct mean_term){t->benchmark,    t->baseline, e->line.value,
                                      e->line.stderr_, e->line.n,   t->by_size};
    }
    struct aggregate mean = metric_leaderboard_mean(terms, ref->n_terms);
    add_group_entry(p, group, "leaderboard_mean", "none", -1, mean, ret);
}

static void collect_group(struct arena *a, const struct plan *p, int group,
                          const struct score_list *leaves, struct score_list *ret)
{
    const struct task_ref *ref = p->items[group].ref;
    size_t before = ret->n;
    for (int k = 0; k < ref->n_aggregates; k++) {
        /* one line for each filter that a member reports this metric under */
        size_t first = ret->n;
        for (size_t i = 0; i < leaves->n; i++) {
            const struct score_entry *e = &leaves->items[i];
            bool seen = strcmp(e->metric, ref->aggregates[k].metric) != 0 ||
                        !wants_filter(&ref->aggregates[k], e->filter);
            for (size_t j = first; j < ret->n && !seen; j++)
                seen = strcmp(ret->items[j].filter, e->filter) == 0;
            if (!seen)
                add_group_line(a, p, group, &ref->aggregates[k], e->filter, leaves, ret);
        }
    }
    if (ref->n_terms)
        add_leaderboard_mean(a, p, group, leaves, ret);
    if (ret->n == before) /* a heading over its members */
        add_group_entry(p, group, "", "", -1, (struct aggregate){0}, ret);
}

int scores_collect(struct arena *a, struct store *s, const struct plan *p, struct score_list *ret,
                   struct error *err)
{
    struct score_list leaves = {0}, all = {.model = ret->model};
    int r = 0;
    for (int i = 0; i < p->n && r == 0; i++)
        if (p->items[i].task)
            r = collect_leaf(a, s, p, i, &leaves, err);
    size_t next = 0; /* leaves are in the plan's order */
    for (int i = 0; i < p->n && r == 0; i++) {
        if (p->items[i].ref->is_group) {
            collect_group(a, p, i, &leaves, &all);
            continue;
        }
        while (p->items[i].task && next < leaves.n &&
               strcmp(leaves.items[next].task, p->items[i].info->name) == 0)
            *ARRAY_PUSH(&all) = leaves.items[next++];
    }
    free(leaves.items);
    if (r < 0)
        free(all.items);
    else
        *ret = all;
    return r;
}

static const struct score_entry *same_entry(const struct score_list *l,
                                            const struct score_entry *like)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].task, like->task) == 0 && l->items[i].is_group == like->is_group &&
            strcmp(l->items[i].metric, like->metric) == 0 &&
            strcmp(l->items[i].filter, like->filter) == 0)
            return &l->items[i];
    return NULL;
}

static const char *arrow(const char *metric)
{
    const struct metric_info *m = metric_find(metric);
    return !m ? "" : m->higher_is_better ? "\xe2\x86\x91" : "\xe2\x86\x93";
}

static void value_cell(struct table *t, const struct score_entry *e)
{
    if (!e || e->line.n == 0)
        table_cell(t, "%s", "");
    else if (isnan(e->line.stderr_))
        table_cell(t, "%s", score_text(&t->arena, e->line.value));
    else
        table_cell(t, "%s \xc2\xb1 %s", score_text(&t->arena, e->line.value),
                   score_text(&t->arena, e->line.stderr_));
}

/* For programs: one row a model, numbers apart. */
static void print_json(const struct score_list *models, size_t n_models)
{
    static const char *const headings[] = {"model",  "task", "version", "filter", "num_fewshot",
                                           "metric", "n",    "value",   "stderr"};
    struct table t;
    table_init(&t, headings, 9);
    for (size_t m = 0; m < n_models; m++) {
        for (size_t i = 0; i < models[m].n; i++) {
            const struct score_entry *e = &models[m].items[i];
            if (!*e->metric)
                continue;
            table_cell(&t, "%s", models[m].model);
            table_cell(&t, "%s", e->task);
            table_cell(&t, "%s", e->version);
            table_cell(&t, "%s", e->filter);
            table_cell(&t, e->num_fewshot < 0 ? "" : "%d", e->num_fewshot);
            table_cell(&t, "%s", e->metric);
            table_cell(&t, "%lld", (long long)e->line.n);
            table_number(&t, e->line.value);
            table_number(&t, e->line.stderr_);
        }
    }
    table_print(&t, true);
}

/* A count that is 0 for every model is not worth a line. */
static bool says_nothing(const struct score_list *models, size_t n_models,
                         const struct score_entry *e)
{
    bool nothing = metric_is_own(e->metric);
    for (size_t m = 0; m < n_models && nothing; m++) {
        const struct score_entry *same = same_entry(&models[m], e);
        nothing = !same || same->line.n == 0 || same->line.value == 0;
    }
    return nothing;
}

static void text_row(struct table *t, const struct score_list *models, size_t n_models,
                     const struct score_entry *e)
{
    table_cell(t, "%*s%s%s", 2 * e->depth, "", e->depth ? "- " : "", e->alias);
    table_cell(t, "%s", e->version);
    table_cell(t, "%s", e->filter);
    table_cell(t, e->num_fewshot < 0 ? "" : "%d", e->num_fewshot);
    table_cell(t, "%s", e->metric);
    table_cell(t, "%s", arrow(e->metric));
    table_cell(t, *e->metric ? "%lld" : "", (long long)e->line.n);
    for (size_t m = 0; m < n_models; m++)
        value_cell(t, same_entry(&models[m], e));
}

/* Once for each task, whose entries stand together. */
static void print_truncated(const struct score_list *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct score_entry *e = &m->items[i];
        if (e->n_truncated && (i == 0 || strcmp(e[-1].task, e->task) != 0))
            printf("%s, %s: %lld of %lld documents were too long for the context and lost their "
                   "beginning.\n",
                   m->model, e->task, (long long)e->n_truncated, (long long)e->n_docs);
    }
}

/* Every entry of the first model, then those that it lacks: a task may fail for one model. */
static void print_text(const struct score_list *models, size_t n_models)
{
    enum { FIXED = 7, MOST = 32 };
    const char *headings[FIXED + MOST] = {"Task",   "Version", "Filter", "n-shot",
                                          "Metric", "",        ">n"};
    struct arena a = {0};
    if (n_models > MOST)
        n_models = MOST;
    for (size_t m = 0; m < n_models; m++)
        headings[FIXED + m] = arena_printf(&a, ">%s", models[m].model);
    struct table t;
    table_init(&t, headings, FIXED + (int)n_models);
    for (size_t m = 0; m < n_models; m++)
        for (size_t i = 0; i < models[m].n; i++) {
            const struct score_entry *e = &models[m].items[i];
            bool shown = says_nothing(models, n_models, e);
            for (size_t k = 0; k < m && !shown; k++)
                shown = same_entry(&models[k], e) != NULL;
            if (!shown)
                text_row(&t, models, n_models, e);
        }
    table_print(&t, false);
    for (size_t m = 0; m < n_models; m++)
        print_truncated(&models[m]);
    arena_free(&a);
}

void scores_print(const struct score_list *models, size_t n_models, bool json)
{
    if (json)
        print_json(models, n_models);
    else if (n_models)
        print_text(models, n_models);
}
