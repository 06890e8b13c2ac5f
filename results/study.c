#include "results/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/divergence.h"
#include "results/report_data.h"
#include "results/store_sql.h"

/* How tasks are usually reported. */
static const struct {
    const char *metric, *filter; /* filter NULL: any */
} usual[] = {
    {"leaderboard_mean", NULL},
    {"acc_norm", NULL},
    {"exact_match", "strict-match"},
    {"exact_match", "none"},
    {"exact_match", NULL},
    {"pass@1", NULL},
    {"acc", NULL},
    {"prompt_level_strict_acc", NULL},
    {"word_perplexity", NULL},
};
enum { N_USUAL = sizeof usual / sizeof *usual };

int study_rank(const char *metric, const char *filter)
{
    for (int i = 0; i < N_USUAL; i++)
        if (strcmp(usual[i].metric, metric) == 0 &&
            (!usual[i].filter || strcmp(usual[i].filter, filter) == 0))
            return i;
    return N_USUAL;
}

/* ---- columns ---- */

struct building {
    const struct report *report;
    struct group_list groups;
    struct {
        struct study_column *items;
        size_t n, cap;
    } columns;
};

static bool same_thing(const struct study_column *c, const struct comparison *x)
{
    return c->is_group == x->is_group && strcmp(c->task, x->task) == 0 &&
           strcmp(c->setting, x->setting) == 0;
}

static bool is_column(const struct study_column *c, const struct comparison *x)
{
    return same_thing(c, x) && strcmp(c->metric, x->metric) == 0 &&
           strcmp(c->filter, x->filter) == 0;
}

/* By a better known metric, or as a new column. */
static void add_column(struct building *b, const struct comparison *x)
{
    struct study_column new = {x->task,    x->task_alias[0] ? x->task_alias : x->task,
                               x->setting, x->metric,
                               x->filter,  x->is_group};
    for (size_t i = 0; i < b->columns.n; i++) {
        struct study_column *c = &b->columns.items[i];
        if (!same_thing(c, x) && !(x->is_group && c->is_group && strcmp(c->task, x->task) == 0))
            continue;
        if (study_rank(x->metric, x->filter) < study_rank(c->metric, c->filter))
            *c = new;
        return;
    }
    *ARRAY_PUSH(&b->columns) = new;
}

static const struct group_row *find_group(const struct building *b, const char *name)
{
    for (size_t i = 0; i < b->groups.n; i++)
        if (strcmp(b->groups.items[i].name, name) == 0)
            return &b->groups.items[i];
    return NULL;
}

static bool has_task(const struct group_row *g, const char *task)
{
    for (int i = 0; i < g->n_tasks; i++)
        if (strcmp(g->tasks[i], task) == 0)
            return true;
    return false;
}

/* Tasks that a plain group's column stands for; a suite's parts are shown beside its mean. */
static bool is_covered(const struct building *b, const struct study_column *c)
{
    for (size_t i = 0; i < b->columns.n && !c->is_group; i++) {
        const struct study_column *over = &b->columns.items[i];
        const struct group_row *g = over->is_group ? find_group(b, over->task) : NULL;
        if (g && g->n_terms == 0 && has_task(g, c->task))
            return true;
    }
    return false;
}

static void choose_columns(struct building *b, struct arena *a, struct study *ret)
{
    for (int i = 1; i < b->report->n_models; i++) {
        const struct comparison_list *l = &b->report->models[i].comparison;
        for (size_t k = 0; k < l->n; k++)
            add_column(b, &l->items[k]);
    }
    ret->columns = arena_array(a, b->columns.n, sizeof *ret->columns);
    for (int groups = 1; groups >= 0; groups--)
        for (size_t i = 0; i < b->columns.n; i++) {
            const struct study_column *c = &b->columns.items[i];
            if (c->is_group == (groups == 1) && !is_covered(b, c))
                ret->columns[ret->n_columns++] = *c;
        }
}

/* ---- rows ---- */

static const struct comparison *find_cell(const struct comparison_list *l,
                                          const struct study_column *c)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_column(c, &l->items[i]))
            return &l->items[i];
    return NULL;
}

/* Of the columns that are near chance, or not; a suite's mean stands for others. */
static double mean_recovery(const struct study_model *m, int n_columns, bool near_chance)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < n_columns; i++) {
        const struct comparison *c = m->cells[i];
        if (!c || isnan(c->recovery_percent) || c->near_chance != near_chance ||
            strcmp(c->metric, "leaderboard_mean") == 0)
            continue;
        sum += c->recovery_percent;
        n++;
    }
    return n ? sum / n : NAN;
}

/* Each task's flips by its usual metric, whichever column it stands in. */
static void add_flips(const struct building *b, const struct comparison_list *l,
                      struct study_model *m)
{
    for (size_t i = 0; i < b->columns.n; i++) {
        const struct comparison *c =
            b->columns.items[i].is_group ? NULL : find_cell(l, &b->columns.items[i]);
        if (c && c->is_01) {
            m->lost += c->lost;
            m->gained += c->gained;
        }
    }
}

static int add_divergence(struct store *s, const char *base, const char *model, const char *task,
                          struct study_model *m, struct error *err)
{
    struct arena a = {0};
    struct divergence_list l = {0};
    int r = divergence_models(s, &a, base, model, task, &l, err);
    bool exact = false;
    for (size_t i = 0; r == 0 && i < l.n; i++)
        exact |= l.items[i].exact;
    m->exact = exact;
    for (size_t i = 0; r == 0 && i < l.n; i++) {
        const struct divergence *d = &l.items[i];
        if (d->exact != exact)
            continue; /* bounds do not mix with what is exact */
        m->kl += d->kl.value * (double)d->n_tokens;
        m->same_top += d->same_top.value * (double)d->n_tokens;
        m->n_tokens += d->n_tokens;
    }
    if (m->n_tokens) {
        m->kl /= (double)m->n_tokens;
        m->same_top /= (double)m->n_tokens;
    }
    arena_free(&a);
    return r;
}

int study_cost(struct store *s, int64_t evaluation, struct model_cost *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    *ret = (struct model_cost){0};
    int r = sql_query(&s->sql,
                      "SELECT m.stored_bytes, m.held_bytes, m.prefill, m.decode FROM v_models m "
                      "JOIN evaluations e ON e.model = m.id WHERE e.id = ?",
                      &st, err, "i", evaluation);
    if (r == 0)
        r = sql_step(&s->sql, st, err);
    if (r == 1)
        *ret = (struct model_cost){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1),
                                   sqlite3_column_double(st, 2), sqlite3_column_double(st, 3)};
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

static int fill_model(struct store *s, struct arena *a, const struct report_options *o,
                      const struct building *b, int i, struct study *ret, struct error *err)
{
    const struct report_model *from = &b->report->models[i];
    struct study_model *m = &ret->models[i];
    const struct evaluation_line *e = from->evaluations.n ? from->evaluations.items : NULL;
    *m = (struct study_model){.name = from->name,
                              .format = e ? e->format : "",
                              .quant = e ? e->quant : "",
                              .recovery = NAN,
                              .not_compared = from->not_compared};
    m->cells = arena_array(a, (size_t)ret->n_columns, sizeof *m->cells);
    int r = e ? study_cost(s, e->id, &m->cost, err) : 0;
    if (r < 0 || i == 0 || m->not_compared)
        return r;
    for (int c = 0; c < ret->n_columns; c++) {
        m->cells[c] = find_cell(&from->comparison, &ret->columns[c]);
        if (!ret->models[0].cells[c])
            ret->models[0].cells[c] = m->cells[c];
    }
    m->recovery = mean_recovery(m, ret->n_columns, false);
    m->near_chance = isnan(m->recovery);
    if (m->near_chance)
        m->recovery = mean_recovery(m, ret->n_columns, true);
    add_flips(b, &from->comparison, m);
    const char *base = o->n_models ? o->models[0] : b->report->models[0].name;
    return add_divergence(s, base, o->n_models ? o->models[i] : from->name, o->task, m, err);
}

int study_of(struct store *s, struct arena *a, const struct report_options *o,
             const struct report *report, struct study *ret, struct error *err)
{
    struct building b = {.report = report};
    *ret = (struct study){.n_models = report->n_models};
    int r = query_groups(s, a, &b.groups, err);
    if (r == 0) {
        choose_columns(&b, a, ret);
        ret->models = arena_array(a, (size_t)report->n_models, sizeof *ret->models);
    }
    for (int i = 0; r == 0 && i < report->n_models; i++)
        r = fill_model(s, a, o, &b, i, ret, err);
    free(b.columns.items);
    return r;
}

int study_gather(struct store *s, struct arena *a, const struct report_options *o,
                 struct study *ret, struct error *err)
{
    struct report report;
    int r = report_gather(s, a, o, &report, err);
    return r < 0 ? r : study_of(s, a, o, &report, ret, err);
}
