#include "results/compare.h"

#include <math.h>
#include <stdlib.h>

#include "metrics/metric.h"
#include "metrics/stats.h"
#include "results/pairs.h"
#include "results/store_sql.h"

#define BOOTSTRAP_REPLICATES 10000
#define BOOTSTRAP_LEAST      8 /* of fewer documents the replicates are too few to mean much */

struct building {
    struct store *s;
    struct arena *arena;
    struct {
        struct comparison *items;
        size_t n, cap;
    } rows;
    struct notes notes;
};

/* ---- one task, one metric ---- */

struct pair {
    struct metric_item a, b;
};

static void read_pair(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(struct pair *)item = (struct pair){store_item(a, st, 0), store_item(a, st, 4)};
}

#define FROM_PAIRS                                                                                 \
    FROM_PAIRED_SAMPLES                                                                            \
    "JOIN scores ca ON ca.sample = sa.id AND ca.measure = ?3 "                                     \
    "JOIN scores cb ON cb.sample = sb.id AND cb.measure = ?3 "                                     \
    "JOIN measures u ON u.id = ?3 "                                                                \
    "WHERE sa.evaluation = ?1 AND sa.error IS NULL AND sb.error IS NULL "

/* The scores of both, a column each. */
struct columns {
    struct metric_item *a, *b;
    double *x, *y; /* their values alone */
    int64_t n;
};

static int read_columns(struct store *s, struct arena *scratch, const struct comparison *c,
                        int64_t measure, struct columns *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    struct sql_list list;
    int r = sql_query(&s->sql,
                      "SELECT ca.value, ca.weight, u.metric, ca.parts, cb.value, cb.weight, "
                      "u.metric, cb.parts " FROM_PAIRS "ORDER BY sa.doc_id",
                      &st, err, "iii", c->evaluation_a, c->evaluation_b, measure);
    if (r == 0)
        r = sql_rows(&s->sql, scratch, st, sizeof(struct pair), read_pair, &list, err);
    if (r < 0)
        return r;
    const struct pair *pairs = list.items;
    ret->n = (int64_t)list.n;
    ret->a = arena_array(scratch, list.n, sizeof *ret->a);
    ret->b = arena_array(scratch, list.n, sizeof *ret->b);
    ret->x = arena_array(scratch, list.n, sizeof *ret->x);
    ret->y = arena_array(scratch, list.n, sizeof *ret->y);
    for (size_t i = 0; i < list.n; i++) {
        ret->a[i] = pairs[i].a;
        ret->b[i] = pairs[i].b;
        ret->x[i] = pairs[i].a.value;
        ret->y[i] = pairs[i].b.value;
    }
    return 0;
}

/* A share needs a scale that starts at 0: log-probabilities and correlations below it have none,
 * and a count of answers that were not found is no score. */
static double recovery(const struct comparison *c)
{
    double of = c->higher_is_better ? c->a : c->b, part = c->higher_is_better ? c->b : c->a;
    bool is_share = of > 0 && part >= 0 && !metric_is_own(c->metric);
    return is_share ? 100 * part / of : NAN;
}

/* The interval of b / a as one of the recovery. */
static void recovery_interval(struct comparison *c, const struct estimate *ratio)
{
    bool higher = c->higher_is_better, none = isnan(c->recovery_percent);
    c->recovery_low = none ? NAN : higher ? 100 * ratio->low : 100 / ratio->high;
    c->recovery_high = none ? NAN : higher ? 100 * ratio->high : 100 / ratio->low;
}

static bool all_01(const struct columns *v)
{
    for (int64_t i = 0; i < v->n; i++)
        if ((v->x[i] != 0 && v->x[i] != 1) || (v->y[i] != 0 && v->y[i] != 1))
            return false;
    return v->n > 0;
}

static void count_flips(struct comparison *c, const struct columns *v)
{
    for (int64_t i = 0; i < v->n; i++) {
        double better = c->higher_is_better ? v->y[i] - v->x[i] : v->x[i] - v->y[i];
        c->lost += better < 0;
        c->gained += better > 0;
    }
    c->mcnemar_p = mcnemar_exact_p(c->lost, c->gained);
}

/* The paired interval around b - a. */
static void difference(struct comparison *c, const struct columns *v, enum aggregation how)
{
    bool mean = how == AGGREGATE_MEAN || how == AGGREGATE_BRIER_SCORE || how == AGGREGATE_BYPASS;
    struct paired_difference d = {
        .stderr_ = NAN, .low = NAN, .high = NAN, .p = NAN, .ratio = {NAN, NAN, NAN}};
    if (mean)
        d = paired_t(v->x, v->y, v->n);
    else if (v->n >= BOOTSTRAP_LEAST)
        d = paired_bootstrap(v->a, v->b, v->n, (int)how, BOOTSTRAP_REPLICATES, PAIRS_SEED);
    c->difference = c->b - c->a;
    c->difference_stderr = d.stderr_;
    c->low = d.low;
    c->high = d.high;
    c->p = d.p;
    recovery_interval(c, &d.ratio);
}

static int compare_measure(struct building *g, struct comparison c, int64_t measure,
                           struct error *err)
{
    struct arena scratch = {0};
    struct columns v;
    int r = read_columns(g->s, &scratch, &c, measure, &v, err);
    if (r == 0 && v.n > 0) {
        const struct metric_info *info = metric_find(c.metric);
        enum aggregation how = info ? info->aggregation : AGGREGATE_MEAN;
        struct aggregate a = metric_aggregate(how, v.a, v.n, 0, NULL);
        struct aggregate b = metric_aggregate(how, v.b, v.n, 0, NULL);
        c.n = v.n;
        c.a = a.value;
        c.b = b.value;
        c.a_stderr = a.stderr_;
        c.b_stderr = b.stderr_;
        c.recovery_percent = recovery(&c);
        difference(&c, &v, how);
        c.is_01 = how == AGGREGATE_MEAN && all_01(&v);
        if (c.is_01)
            count_flips(&c, &v);
        else
            c.chance = c.mcnemar_p = NAN;
        c.near_chance = c.is_01 && c.a - 1.96 * c.a_stderr <= c.chance;
        *ARRAY_PUSH(&g->rows) = c;
    }
    arena_free(&scratch);
    return r;
}

/* ---- one task ---- */

struct measure {
    int64_t id;
    const char *metric, *filter;
    bool higher_is_better;
};

static void read_measure(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(struct measure *)item = (struct measure){
        sqlite3_column_int64(st, 0),
        sql_text(a, st, 1).p,
        sql_text(a, st, 2).p,
        sqlite3_column_int(st, 3) != 0,
    };
}

static int common_measures(struct building *g, int64_t a, int64_t b, struct sql_list *ret,
                           struct error *err)
{
#define MEASURES_OF(e)                                                                             \
    "(SELECT c.measure FROM samples s JOIN scores c ON c.sample = s.id WHERE s.evaluation = " e ")"
    sqlite3_stmt *st = NULL;
    int r = sql_query(
        &g->s->sql,
        "SELECT id, metric, filter, higher_is_better FROM measures "
        "WHERE id IN " MEASURES_OF("?1") " AND id IN " MEASURES_OF("?2") "ORDER BY metric, filter",
        &st, err, "ii", a, b);
    return r < 0
               ? r
               : sql_rows(&g->s->sql, g->arena, st, sizeof(struct measure), read_measure, ret, err);
}

/* Guessing among the choices of each document; NaN where the task is no multiple choice. */
static int chance_of(struct building *g, const struct evaluation_line *e, double *ret,
                     struct error *err)
{
    *ret = NAN;
    if (strcmp(e->output_type, "multiple_choice") != 0)
        return 0;
    sqlite3_stmt *st = NULL;
    int r = sql_query(&g->s->sql,
                      "SELECT avg(1.0 / k) FROM (SELECT count(*) AS k FROM samples s "
                      "JOIN requests r ON r.sample = s.id "
                      "WHERE s.evaluation = ? AND r.unconditional = 0 GROUP BY s.id)",
                      &st, err, "i", e->id);
    if (r == 0)
        r = sql_step(&g->s->sql, st, err);
    if (r == 1)
        *ret = sql_double(st, 0);
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

static int compare_task(struct building *g, const struct evaluation_line *a,
                        const struct evaluation_line *b, struct error *err)
{
    struct comparison c = {
        .task = a->task,
        .task_alias = a->task_alias,
        .setting = setting_text(g->arena, a),
        .num_fewshot = a->num_fewshot,
        .evaluation_a = a->id,
        .evaluation_b = b->id,
    };
    struct sql_list measures = {0};
    int r = chance_of(g, a, &c.chance, err);
    if (r == 0)
        r = common_measures(g, a->id, b->id, &measures, err);
    size_t before = g->rows.n;
    for (size_t i = 0; r == 0 && i < measures.n; i++) {
        const struct measure *m = (const struct measure *)measures.items + i;
        c.metric = m->metric;
        c.filter = m->filter;
        c.higher_is_better = m->higher_is_better;
        r = compare_measure(g, c, m->id, err);
    }
    if (r < 0)
        return r;
    if (g->rows.n == before)
        NOTE(&g->notes, g->arena, "%s: no document has scores from both models (#%lld, #%lld)%s",
             a->task, (long long)a->id, (long long)b->id,
             strcmp(a->data_hash, b->data_hash) ? "; their data files differ" : "");
    else if (strcmp(a->task_hash, b->task_hash) != 0)
        NOTE(&g->notes, g->arena,
             "%s: its definition changed between the two evaluations (#%lld, #%lld)", a->task,
             (long long)a->id, (long long)b->id);
    return 0;
}

/* ---- groups ---- */

/* The row of `task` beside `like`: same setting, metric and filter. */
static const struct comparison *find_row(const struct comparison *rows, size_t n, const char *task,
                                         const struct comparison *like)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].task, task) == 0 && strcmp(rows[i].metric, like->metric) == 0 &&
            strcmp(rows[i].filter, like->filter) == 0 && rows[i].num_fewshot == like->num_fewshot &&
            strcmp(rows[i].setting, like->setting) == 0)
            return &rows[i];
    return NULL;
}

/* What a group's aggregates of both models and of the differences, each with its standard error,
 * say. The two are paired, so Var(b - a) = Var(a) + Var(b) - 2 Cov(a, b) tells their covariance. */
static void group_statistics(struct comparison *c, const struct aggregate *a,
                             const struct aggregate *b, const struct aggregate *d)
{
    double quantile = normal_quantile(0.975), var_a = a->stderr_ * a->stderr_,
           var_b = b->stderr_ * b->stderr_, var_d = d->stderr_ * d->stderr_;
    c->a = a->value;
    c->b = b->value;
    c->a_stderr = a->stderr_;
    c->b_stderr = b->stderr_;
    c->recovery_percent = recovery(c);
    struct estimate ratio =
        fieller_ratio(c->a, c->b, var_a, var_b, (var_a + var_b - var_d) / 2, quantile);
    recovery_interval(c, &ratio);
    c->difference = d->value;
    c->difference_stderr = d->stderr_;
    c->low = d->value - quantile * d->stderr_;
    c->high = d->value + quantile * d->stderr_;
    c->p =
        d->stderr_ > 0 ? 2 * normal_cdf(-fabs(d->value) / d->stderr_) : (d->value == 0 ? 1 : NAN);
    c->mcnemar_p = c->is_01 ? mcnemar_exact_p(c->lost, c->gained) : NAN;
    c->near_chance = c->is_01 && c->a - 1.96 * c->a_stderr <= c->chance;
}

static struct comparison group_of(const struct group_row *group,
                                  const struct comparison *const *leaves, int n)
{
    struct comparison c = *leaves[0];
    c.task = group->name;
    c.task_alias = group->alias;
    c.is_group = c.is_01 = true;
    c.evaluation_a = c.evaluation_b = c.n = c.lost = c.gained = 0;
    for (int i = 0; i < n; i++) {
        c.n += leaves[i]->n;
        c.lost += leaves[i]->lost;
        c.gained += leaves[i]->gained;
        c.is_01 = c.is_01 && leaves[i]->is_01;
    }
    return c;
}

/* The group's row from those of its tasks. The difference is the same mean over the tasks'
 * differences, each with its paired standard error. */
static struct comparison group_comparison(struct arena *scratch, const struct group_row *group,
                                          bool weight_by_size,
                                          const struct comparison *const *leaves)
{
    int n = group->n_tasks;
    struct aggregate *a = arena_array(scratch, (size_t)n, sizeof *a);
    struct aggregate *b = arena_array(scratch, (size_t)n, sizeof *b);
    struct aggregate *d = arena_array(scratch, (size_t)n, sizeof *d);
    struct aggregate *guess = arena_array(scratch, (size_t)n, sizeof *guess);
    struct comparison c = group_of(group, leaves, n);
    for (int i = 0; i < n; i++) {
        const struct comparison *l = leaves[i];
        a[i] = (struct aggregate){l->a, l->a_stderr, l->n};
        b[i] = (struct aggregate){l->b, l->b_stderr, l->n};
        d[i] = (struct aggregate){l->difference, l->difference_stderr, l->n};
        guess[i] = (struct aggregate){l->chance, NAN, l->n};
    }
    struct aggregate all = metric_group(d, n, weight_by_size, false),
                     mean_a = metric_group(a, n, weight_by_size, false),
                     mean_b = metric_group(b, n, weight_by_size, false);
    c.chance = metric_group(guess, n, weight_by_size, false).value;
    group_statistics(&c, &mean_a, &mean_b, &all);
    return c;
}

/* The row of a suite's leaderboard_mean, where all of its terms are there, each in whatever setting
 * it was run. Guessing gives 0 by its normalization. */
static void compare_leaderboard_mean(struct building *g, const struct group_row *group,
                                     size_t n_tasks_rows)
{
    struct arena scratch = {0};
    int n = group->n_terms;
    const struct comparison **leaves = arena_array(&scratch, (size_t)n, sizeof *leaves);
    struct mean_term *a = arena_array(&scratch, (size_t)n, sizeof *a);
    struct mean_term *b = arena_array(&scratch, (size_t)n, sizeof *b);
    struct mean_term *d = arena_array(&scratch, (size_t)n, sizeof *d);
    int found = 0;
    for (; found < n; found++) {
        const struct group_mean_term *t = &group->terms[found];
        const struct comparison *l = NULL;
        for (size_t k = 0; k < n_tasks_rows && !l; k++) {
            const struct comparison *row = &g->rows.items[k];
            bool it = strcmp(row->task, t->task) == 0 && strcmp(row->metric, t->metric) == 0 &&
                      strcmp(row->filter, t->filter) == 0;
            l = it ? row : NULL;
        }
        if (!l)
            break;
        leaves[found] = l;
        a[found] =
            (struct mean_term){t->benchmark, t->baseline, l->a, l->a_stderr, l->n, t->by_size};
        d[found] = b[found] = a[found];
        b[found].value = l->b;
        b[found].stderr_ = l->b_stderr;
        d[found].stderr_ = l->difference_stderr;
    }
    if (found == n) {
        struct comparison c = group_of(group, leaves, n);
        struct aggregate mean_a = metric_leaderboard_mean(a, n),
                         mean_b = metric_leaderboard_mean(b, n),
                         all = metric_leaderboard_mean(d, n); /* for its standard error */
        all.value = mean_b.value - mean_a.value;
        c.metric = "leaderboard_mean";
        c.filter = "none";
        c.setting = "";
        c.num_fewshot = -1;
        c.higher_is_better = true;
        c.chance = 0;
        group_statistics(&c, &mean_a, &mean_b, &all);
        c.near_chance = c.a - 1.96 * c.a_stderr <= 0;
        *ARRAY_PUSH(&g->rows) = c;
    }
    arena_free(&scratch);
}

static void compare_group_measure(struct building *g, const struct group_row *group,
                                  const struct group_measure *m, size_t n_tasks_rows)
{
    struct arena scratch = {0};
    const struct comparison **leaves =
        arena_array(&scratch, (size_t)group->n_tasks, sizeof *leaves);
    for (size_t i = 0; i < n_tasks_rows; i++) {
        const struct comparison *like = &g->rows.items[i];
        if (strcmp(like->task, group->tasks[0]) != 0 || strcmp(like->metric, m->metric) != 0)
            continue;
        int found = 0;
        for (int k = 0; k < group->n_tasks; k++) {
            leaves[k] = find_row(g->rows.items, n_tasks_rows, group->tasks[k], like);
            found += leaves[k] != NULL;
        }
        struct comparison c;
        if (found == group->n_tasks) {
            c = group_comparison(&scratch, group, m->weight_by_size, leaves);
            *ARRAY_PUSH(&g->rows) = c;
        } else if (found > 1)
            NOTE(&g->notes, g->arena,
                 "%s: no %s of the whole group, since both models have only %d of its %d tasks",
                 group->name, m->metric, found, group->n_tasks);
    }
    arena_free(&scratch);
}

static int compare_groups(struct building *g, struct error *err)
{
    struct group_list groups;
    int r = query_groups(g->s, g->arena, &groups, err);
    size_t n = g->rows.n;
    for (size_t i = 0; r == 0 && i < groups.n; i++)
        for (int k = 0; k < groups.items[i].n_measures && groups.items[i].n_tasks > 0; k++)
            compare_group_measure(g, &groups.items[i], &groups.items[i].measures[k], n);
    for (size_t i = 0; r == 0 && i < groups.n; i++)
        if (groups.items[i].n_terms > 0)
            compare_leaderboard_mean(g, &groups.items[i], n);
    return r;
}

/* ---- all of it ---- */

static int by_place(const void *p, const void *q)
{
    const struct comparison *a = p, *b = q;
    const char *const keys[][2] = {{a->task, b->task},
                                   {a->setting, b->setting},
                                   {a->metric, b->metric},
                                   {a->filter, b->filter}};
    if (a->is_group != b->is_group)
        return a->is_group ? -1 : 1;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int order = strcmp(keys[i][0], keys[i][1]);
        if (order)
            return order;
    }
    return 0;
}

int compare_models(struct store *s, struct arena *arena, const char *a, const char *b,
                   const char *task, struct comparison_list *ret, struct error *err)
{
    struct building g = {.s = s, .arena = arena};
    struct pairs pairs;
    int r = pairs_find(s, arena, a, b, task, &pairs, &g.notes, err);
    for (size_t i = 0; r == 0 && i < pairs.n; i++)
        r = compare_task(&g, pairs.items[i].a, pairs.items[i].b, err);
    if (r == 0)
        r = compare_groups(&g, err);
    if (r == 0 && g.rows.n == 0)
        r = pairs_none(a, b, &pairs, &g.notes, err);
    if (r == 0) {
        qsort(g.rows.items, g.rows.n, sizeof *g.rows.items, by_place);
        *ret = (struct comparison_list){
            .model_a = pairs.model_a,
            .model_b = pairs.model_b,
            .items = arena_array(arena, g.rows.n, sizeof *ret->items),
            .n = g.rows.n,
            .n_notes = g.notes.n,
        };
        memcpy(ret->items, g.rows.items, g.rows.n * sizeof *ret->items);
        ret->notes = notes_take(&g.notes, arena);
    }
    free(g.rows.items);
    free(g.notes.items);
    return r;
}

static void read_flip(struct arena *a, sqlite3_stmt *st, void *item)
{
    (void)a;
    *(struct flip *)item = (struct flip){
        sqlite3_column_int64(st, 0),
        sql_double(st, 1),
        sql_double(st, 2),
    };
}

int compare_flips(struct store *s, struct arena *arena, const struct comparison *c, bool lost,
                  int max, struct flip **ret, int *n, struct error *err)
{
    struct sql_list list = {0};
    sqlite3_stmt *st = NULL;
    int64_t measure = 0, sign = lost == c->higher_is_better ? -1 : 1;
    int r = store_run(s, "SELECT id FROM measures WHERE metric = ? AND filter = ?", &measure, err,
                      "zz", c->metric, c->filter);
    if (r >= 0)
        r = sql_query(&s->sql,
                      "SELECT sa.doc_id, ca.value, cb.value " FROM_PAIRS
                      "AND (cb.value - ca.value) * ?4 > 0 ORDER BY abs(cb.value - ca.value) DESC, "
                      "(sa.doc_id * 2654435761) % 65521, sa.doc_id LIMIT ?5",
                      &st, err, "iiiii", c->evaluation_a, c->evaluation_b, measure, sign,
                      (int64_t)max);
    if (r == 0)
        r = sql_rows(&s->sql, arena, st, sizeof **ret, read_flip, &list, err);
    if (r < 0)
        return r;
    *ret = list.items;
    *n = (int)list.n;
    return 0;
}
