#include "results/report_data.h"

#include <stdlib.h>

static int gather_model(struct store *s, struct arena *a, const char *model,
                        const struct report_options *o, const struct group_list *groups,
                        struct report_model *ret, struct error *err)
{
    struct evaluation_filter f = {.model = model, .task = o->task, .latest = model[0] != '#'};
    int r = query_evaluations(s, a, &f, &ret->evaluations, err);
    if (r < 0)
        return r;
    ret->name = ret->evaluations.n ? ret->evaluations.items[0].model : model;
    ret->groups = group_scores(a, &ret->evaluations, groups, false);
    return 0;
}

/* Two models without a common task are no reason to withhold the rest. */
static int gather_comparison(struct store *s, struct arena *a, const char *reference,
                             const char *model, const struct report_options *o,
                             struct report_model *ret, struct error *err)
{
    struct error why;
    int r = compare_models(s, a, reference, model, o->task, &ret->comparison, &why);
    if (r == E_INPUT)
        ret->not_compared = arena_printf(a, "%s", why.msg);
    else if (r < 0)
        return error_set(err, why.code, "%s", why.msg);
    return 0;
}

int report_gather(struct store *s, struct arena *a, const struct report_options *o,
                  struct report *ret, struct error *err)
{
    const char *const *models = o->models;
    int n = o->n_models;
    struct group_list groups;
    int r = query_groups(s, a, &groups, err);
    if (r == 0 && n == 0)
        r = query_models(s, a, &models, &n, err);
    if (r == 0 && n == 0)
        r = error_set(err, E_INPUT,
                      "there is nothing to report: the store has no evaluations; assay run makes "
                      "some");
    struct report report = {0};
    if (r == 0)
        report.models = arena_array(a, (size_t)n, sizeof *report.models);
    for (int i = 0; r == 0 && i < n; i++) {
        struct report_model *m = &report.models[report.n_models];
        struct error why;
        r = gather_model(s, a, models[i], o, &groups, m, &why);
        if (r == E_INPUT && o->n_models == 0 && o->task) { /* this one has not run that task */
            r = 0;
            continue;
        }
        if (r < 0)
            return error_set(err, why.code, "%s", why.msg);
        if (report.n_models > 0)
            r = gather_comparison(s, a, models[0], models[i], o, m, err);
        report.n_models++;
    }
    if (r == 0 && report.n_models == 0)
        r = error_set(err, E_INPUT, "there is nothing to report: no model has run the task \"%s\"",
                      o->task);
    if (r == 0)
        *ret = report;
    return r;
}

struct report_scores report_scores_of(struct arena *a, const struct report_model *m)
{
    size_t n = m->groups.n;
    for (size_t i = 0; i < m->evaluations.n; i++)
        n += (size_t)m->evaluations.items[i].n_scores;
    struct report_scores ret = {arena_array(a, n, sizeof *ret.items), 0};
    for (size_t i = 0; i < m->groups.n; i++) {
        const struct group_score *g = &m->groups.items[i];
        ret.items[ret.n++] = (struct report_score){
            true, g->group,       g->alias, g->setting, g->metric,  g->filter,
            "",   g->num_fewshot, 0,        g->value,   g->stderr_, g->n,
        };
    }
    for (size_t i = 0; i < m->evaluations.n; i++) {
        const struct evaluation_line *e = &m->evaluations.items[i];
        for (int k = 0; k < e->n_scores; k++) {
            const struct score_line *c = &e->scores[k];
            ret.items[ret.n++] = (struct report_score){
                false,     e->task,   e->task_alias,   setting_text(a, e),
                c->metric, c->filter, e->task_version, e->num_fewshot,
                e->id,     c->value,  c->stderr_,      c->n,
            };
        }
    }
    return ret;
}

bool report_same_line(const struct report_score *a, const struct report_score *b)
{
    return a->is_group == b->is_group && a->num_fewshot == b->num_fewshot &&
           strcmp(a->task, b->task) == 0 && strcmp(a->metric, b->metric) == 0 &&
           strcmp(a->filter, b->filter) == 0 && strcmp(a->setting, b->setting) == 0;
}

const struct comparison *report_find(const struct comparison_list *l, const struct report_score *s)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct comparison *c = &l->items[i];
        struct report_score line = {c->is_group, c->task, c->task_alias,  c->setting, c->metric,
                                    c->filter,   "",      c->num_fewshot, 0,          0,
                                    0,           0};
        bool mine = c->evaluation_b == s->evaluation;
        if (mine && report_same_line(&line, s))
            return c;
    }
    return NULL;
}
