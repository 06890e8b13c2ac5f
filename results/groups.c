#include "results/groups.h"

#include <stdlib.h>

#include "metrics/metric.h"

struct growing {
    struct group_score *items;
    size_t n, cap;
};

/* The score of `task` in the setting of `like`; NULL: not there. */
static const struct score_line *find_score(const struct evaluation_list *l, const char *task,
                                           const struct evaluation_line *like,
                                           const struct score_line *measure)
{
    for (size_t i = 0; i < l->n; i++) {
        struct evaluation_line e = l->items[i];
        if (strcmp(e.task, task) != 0)
            continue;
        e.task = like->task; /* everything else must be the same */
        if (!same_setting(&e, like))
            continue;
        for (int k = 0; k < e.n_scores; k++)
            if (strcmp(e.scores[k].metric, measure->metric) == 0 &&
                strcmp(e.scores[k].filter, measure->filter) == 0)
                return &e.scores[k];
    }
    return NULL;
}

static bool group_score_of(struct arena *a, const struct evaluation_list *l,
                           const struct group_row *g, bool weight_by_size, bool pooled,
                           const struct evaluation_line *first, const struct score_line *measure,
                           struct group_score *ret)
{
    struct aggregate *leaves = arena_array(a, (size_t)g->n_tasks, sizeof *leaves);
    int64_t n = 0;
    for (int i = 0; i < g->n_tasks; i++) {
        const struct score_line *s = find_score(l, g->tasks[i], first, measure);
        if (!s)
            return false;
        leaves[i] = (struct aggregate){s->value, s->stderr_, s->n};
        n += s->n;
    }
    struct aggregate all = metric_group(leaves, g->n_tasks, weight_by_size, pooled);
    *ret = (struct group_score){
        .group = g->name,
        .alias = g->alias,
        .model = first->model,
        .setting = setting_text(a, first),
        .num_fewshot = first->num_fewshot,
        .metric = measure->metric,
        .filter = measure->filter,
        .value = all.value,
        .stderr_ = all.stderr_,
        .n = n,
    };
    return true;
}

/* The group's leaderboard_mean in the setting of `like`, whose number of examples each task may
 * choose. False: a term is not there. */
static bool leaderboard_mean_of(struct arena *a, const struct evaluation_list *l,
                                const struct group_row *g, const struct evaluation_line *like,
                                struct group_score *ret)
{
    struct mean_term *terms = arena_array(a, (size_t)g->n_terms, sizeof *terms);
    for (int i = 0; i < g->n_terms; i++) {
        const struct group_mean_term *t = &g->terms[i];
        const struct score_line wanted = {.metric = t->metric, .filter = t->filter}, *s = NULL;
        for (size_t k = 0; k < l->n && !s; k++) {
            struct evaluation_line one = *like;
            one.num_fewshot = l->items[k].num_fewshot;
            if (strcmp(l->items[k].task, t->task) == 0)
                s = find_score(l, t->task, &one, &wanted);
        }
        if (!s)
            return false;
        terms[i] =
            (struct mean_term){t->benchmark, t->baseline, s->value, s->stderr_, s->n, t->by_size};
    }
    struct aggregate mean = metric_leaderboard_mean(terms, g->n_terms);
    *ret = (struct group_score){
        .group = g->name,
        .alias = g->alias,
        .model = like->model,
        .setting = setting_text(a, like),
        .num_fewshot = -1,
        .metric = "leaderboard_mean",
        .filter = "none",
        .value = mean.value,
        .stderr_ = mean.stderr_,
        .n = mean.n,
    };
    return true;
}

struct group_score_list group_scores(struct arena *a, const struct evaluation_list *evaluations,
                                     const struct group_list *groups, bool pooled)
{
    struct growing list = {0};
    for (size_t i = 0; i < groups->n; i++) {
        const struct group_row *g = &groups->items[i];
        for (size_t k = 0; k < evaluations->n && g->n_tasks > 0; k++) {
            const struct evaluation_line *e = &evaluations->items[k];
            if (strcmp(e->task, g->tasks[0]) != 0)
                continue;
            struct group_score mean;
            if (g->n_terms && leaderboard_mean_of(a, evaluations, g, e, &mean))
                *ARRAY_PUSH(&list) = mean;
            for (int m = 0; m < g->n_measures * e->n_scores; m++) {
                const struct group_measure *wanted = &g->measures[m / e->n_scores];
                const struct score_line *measure = &e->scores[m % e->n_scores];
                struct group_score score;
                if (strcmp(wanted->metric, measure->metric) == 0 &&
                    group_score_of(a, evaluations, g, wanted->weight_by_size, pooled, e, measure,
                                   &score))
                    *ARRAY_PUSH(&list) = score;
            }
        }
    }
    struct group_score_list ret = {arena_array(a, list.n, sizeof *list.items), list.n};
    if (list.n)
        memcpy(ret.items, list.items, list.n * sizeof *list.items);
    free(list.items);
    return ret;
}
