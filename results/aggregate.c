/* aggregate.c: what tables show, from the scores of documents. */
#include "results/store.h"

#include <stdlib.h>

#include "metrics/metric.h"
#include "results/store_sql.h"

struct items {
    struct metric_item *items;
    size_t n, cap;
};

static int read_items(struct store *s, int64_t evaluation, int64_t n_eval, int64_t measure,
                      struct items *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT c.value, c.weight FROM samples s JOIN scores c ON c.sample = s.id "
                      "WHERE s.evaluation = ? AND s.doc_id < ? AND s.error IS NULL "
                      "AND c.measure = ? ORDER BY s.doc_id",
                      &st, err, "iii", evaluation, n_eval, measure);
    ret->n = 0;
    while (r == 0 && (r = sql_step(&s->sql, st, err)) == 1) {
        *ARRAY_PUSH(ret) = (struct metric_item){sql_double(st, 0), sqlite3_column_double(st, 1)};
        r = 0;
    }
    sqlite3_finalize(st);
    return r;
}

struct measured {
    int64_t measure;
    enum aggregation how;
    struct aggregate aggregate;
};

struct measured_list {
    struct measured *items;
    size_t n, cap;
};

static int find_measures(struct store *s, int64_t evaluation, int64_t n_eval,
                         struct measured_list *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT u.id, u.metric FROM measures u WHERE u.id IN (SELECT c.measure "
                      "FROM samples s JOIN scores c ON c.sample = s.id "
                      "WHERE s.evaluation = ? AND s.doc_id < ? AND s.error IS NULL)",
                      &st, err, "ii", evaluation, n_eval);
    while (r == 0 && (r = sql_step(&s->sql, st, err)) == 1) {
        const struct metric_info *info = metric_find((const char *)sqlite3_column_text(st, 1));
        *ARRAY_PUSH(ret) = (struct measured){
            .measure = sqlite3_column_int64(st, 0),
            .how = info ? info->aggregation : AGGREGATE_MEAN,
        };
        r = 0;
    }
    sqlite3_finalize(st);
    return r;
}

static int write_aggregates(struct store *s, int64_t evaluation, int64_t n_eval,
                            const struct measured_list *list, struct error *err)
{
    int r = store_run(s, "DELETE FROM aggregates WHERE evaluation = ? AND n_eval = ?", NULL, err,
                      "ii", evaluation, n_eval);
    for (size_t i = 0; r == 0 && i < list->n; i++) {
        const struct measured *m = &list->items[i];
        r = store_run(s,
                      "INSERT INTO aggregates (evaluation, n_eval, measure, value, stderr, n) "
                      "VALUES (?, ?, ?, ?, ?, ?)",
                      NULL, err, "iiiddi", evaluation, n_eval, m->measure, m->aggregate.value,
                      m->aggregate.stderr_, m->aggregate.n);
    }
    return r;
}

/* The bootstrap may take seconds: it is done before the transaction, not in it. */
int store_aggregate(struct store *s, int64_t evaluation, int64_t n_eval, int bootstrap_iters,
                    struct error *err)
{
    struct measured_list list = {0};
    struct items items = {0};
    int r = find_measures(s, evaluation, n_eval, &list, err);
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        struct measured *m = &list.items[i];
        r = read_items(s, evaluation, n_eval, m->measure, &items, err);
        if (r == 0)
            m->aggregate = metric_aggregate(m->how, items.items, (int64_t)items.n, bootstrap_iters);
    }
    bool own = false;
    if (r == 0)
        r = store_begin_own(s, &own, err);
    if (r == 0)
        r = write_aggregates(s, evaluation, n_eval, &list, err);
    r = store_end_own(s, own, r, err);
    free(items.items);
    free(list.items);
    return r;
}

int store_scores(struct store *s, struct arena *a, int64_t evaluation, int64_t n_eval,
                 struct score_line **ret, int *n, struct error *err)
{
    struct {
        struct score_line *items;
        size_t n, cap;
    } lines = {0};
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT u.metric, u.filter, a.value, a.stderr, a.n FROM aggregates a "
                      "JOIN measures u ON u.id = a.measure WHERE a.evaluation = ?1 "
                      "AND a.n_eval = CASE WHEN ?2 >= 0 THEN ?2 ELSE (SELECT max(n_eval) "
                      "FROM aggregates WHERE evaluation = ?1) END ORDER BY u.metric, u.filter",
                      &st, err, "ii", evaluation, n_eval);
    while (r == 0 && (r = sql_step(&s->sql, st, err)) == 1) {
        *ARRAY_PUSH(&lines) = (struct score_line){
            .metric = sql_text(a, st, 0).p,
            .filter = sql_text(a, st, 1).p,
            .value = sql_double(st, 2),
            .stderr_ = sql_double(st, 3),
            .n = sqlite3_column_int64(st, 4),
        };
        r = 0;
    }
    sqlite3_finalize(st);
    if (r == 0) {
        *ret = arena_array(a, lines.n, sizeof **ret);
        if (lines.n)
            memcpy(*ret, lines.items, lines.n * sizeof **ret);
        *n = (int)lines.n;
    }
    free(lines.items);
    return r;
}
