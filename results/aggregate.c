/* aggregate.c: what tables show, from the scores of documents. */
#include "results/store.h"

#include <stdlib.h>

#include "results/store_sql.h"

struct measured {
    int64_t measure;
    enum aggregation how;
    struct aggregate aggregate;
};

static void read_measure(struct arena *a, sqlite3_stmt *st, void *item)
{
    const char *metric = sql_text(a, st, 1).p;
    const struct metric_info *info = metric_find(metric);
    struct measured *m = item;
    m->measure = sqlite3_column_int64(st, 0);
    m->how = info ? info->aggregation : AGGREGATE_MEAN;
}

static int find_measures(struct store *s, struct arena *a, int64_t evaluation, int64_t n_eval,
                         struct sql_list *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT u.id, u.metric FROM measures u WHERE u.id IN (SELECT c.measure "
                      "FROM samples s JOIN scores c ON c.sample = s.id "
                      "WHERE s.evaluation = ? AND s.doc_id < ? AND s.error IS NULL)",
                      &st, err, "ii", evaluation, n_eval);
    return r < 0 ? r : sql_rows(&s->sql, a, st, sizeof(struct measured), read_measure, ret, err);
}

/* JSON numbers of a score's `parts` column, in the arena; NULL and *n 0 where it is NULL. */
static double *read_parts(struct arena *a, sqlite3_stmt *st, int column, int *n)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    size_t n_commas = 0;
    *n = 0;
    if (!text || *text != '[')
        return NULL;
    for (const char *p = text; *p; p++)
        n_commas += *p == ',';
    double *ret = arena_array(a, n_commas + 1, sizeof *ret);
    for (const char *p = text + 1; *p && *p != ']';) {
        char *end;
        ret[(*n)++] = strtod(p, &end);
        if (end == p || (*end != ',' && *end != ']'))
            break;
        p = end + (*end == ',');
    }
    return ret;
}

struct metric_item store_item(struct arena *a, sqlite3_stmt *st, int column)
{
    struct metric_item ret = {sql_double(st, column), sqlite3_column_double(st, column + 1), NULL};
    int n;
    const double *parts = read_parts(a, st, column + 3, &n);
    if (parts) {
        const char *metric = (const char *)sqlite3_column_text(st, column + 2);
        const struct metric_info *info = metric ? metric_find(metric) : NULL;
        ret.parts = info && metric_parts(info->aggregation) == n ? parts : NULL;
    }
    return ret;
}

static void read_item(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(struct metric_item *)item = store_item(a, st, 0);
}

static int aggregate_one(struct store *s, int64_t evaluation, int64_t n_eval, int bootstrap_iters,
                         struct measured *m, struct error *err)
{
    struct arena a = {0};
    struct sql_list items;
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT c.value, c.weight, u.metric, c.parts FROM samples s JOIN scores c ON "
                      "c.sample = s.id "
                      "JOIN measures u ON u.id = c.measure "
                      "WHERE s.evaluation = ? AND s.doc_id < ? AND s.error IS NULL "
                      "AND c.measure = ? ORDER BY s.doc_id",
                      &st, err, "iii", evaluation, n_eval, m->measure);
    if (r == 0)
        r = sql_rows(&s->sql, &a, st, sizeof(struct metric_item), read_item, &items, err);
    if (r == 0)
        m->aggregate =
            metric_aggregate(m->how, items.items, (int64_t)items.n, bootstrap_iters, NULL);
    arena_free(&a);
    return r;
}

static int write_aggregates(struct store *s, int64_t evaluation, int64_t n_eval,
                            const struct measured *list, size_t n, struct error *err)
{
    int r = store_run(s, "DELETE FROM aggregates WHERE evaluation = ? AND n_eval = ?", NULL, err,
                      "ii", evaluation, n_eval);
    for (const struct measured *m = list; r == 0 && m < list + n; m++)
        r = store_run(s,
                      "INSERT INTO aggregates (evaluation, n_eval, measure, value, stderr, n) "
                      "VALUES (?, ?, ?, ?, ?, ?)",
                      NULL, err, "iiiddi", evaluation, n_eval, m->measure, m->aggregate.value,
                      m->aggregate.stderr_, m->aggregate.n);
    return r;
}

/* The bootstrap may take seconds: it is done before the transaction, not in it. */
int store_aggregate(struct store *s, int64_t evaluation, int64_t n_eval, int bootstrap_iters,
                    struct error *err)
{
    struct arena a = {0};
    struct sql_list list = {0};
    int r = find_measures(s, &a, evaluation, n_eval, &list, err);
    struct measured *measured = list.items;
    for (size_t i = 0; r == 0 && i < list.n; i++)
        r = aggregate_one(s, evaluation, n_eval, bootstrap_iters, &measured[i], err);
    bool own = false;
    if (r == 0)
        r = store_begin_own(s, &own, err);
    if (r == 0)
        r = write_aggregates(s, evaluation, n_eval, measured, list.n, err);
    r = store_end_own(s, own, r, err);
    arena_free(&a);
    return r;
}

static void read_score(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(struct score_line *)item = (struct score_line){
        .metric = sql_text(a, st, 0).p,
        .filter = sql_text(a, st, 1).p,
        .value = sql_double(st, 2),
        .stderr_ = sql_double(st, 3),
        .n = sqlite3_column_int64(st, 4),
    };
}

int store_scores(struct store *s, struct arena *a, int64_t evaluation, int64_t n_eval,
                 struct score_line **ret, int *n, struct error *err)
{
    struct sql_list lines;
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT u.metric, u.filter, a.value, a.stderr, a.n FROM aggregates a "
                      "JOIN measures u ON u.id = a.measure WHERE a.evaluation = ?1 "
                      "AND a.n_eval = CASE WHEN ?2 >= 0 THEN ?2 ELSE (SELECT max(n_eval) "
                      "FROM aggregates WHERE evaluation = ?1) END ORDER BY u.metric, u.filter",
                      &st, err, "ii", evaluation, n_eval);
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof(struct score_line), read_score, &lines, err);
    if (r < 0)
        return r;
    *ret = lines.items;
    *n = (int)lines.n;
    return 0;
}

int store_truncated(struct store *s, int64_t evaluation, int64_t n_eval, int64_t *ret,
                    struct error *err)
{
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT count(*) FROM samples s WHERE s.evaluation = ?1 AND s.doc_id < ?2 "
                      "AND EXISTS (SELECT 1 FROM requests r WHERE r.sample = s.id AND "
                      "r.n_truncated > 0)",
                      &st, err, "ii", evaluation, n_eval);
    if (r < 0)
        return r;
    if ((r = sql_step(&s->sql, st, err)) == 1)
        *ret = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}
