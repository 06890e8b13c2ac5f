/* store_sql.h: private to results/. What is inside a store, and how its writing parts run SQL. */
#ifndef ASSAY_RESULTS_STORE_SQL_H
#define ASSAY_RESULTS_STORE_SQL_H

#include "metrics/metric.h"
#include "results/lock.h"
#include "results/sql.h"
#include "results/store.h"

struct prepared {
    const char *text;
    sqlite3_stmt *st;
};

struct measure_id {
    char *metric, *filter;
    int64_t id;
};

struct store {
    struct sql sql;
    struct lock lock; /* fd -1: a reader has none */
    bool created;     /* there was no such file before */
    bool in_transaction;
    struct {
        struct prepared *items;
        size_t n, cap;
    } prepared;
    struct { /* the few measures there are, so that a score costs no look-up */
        struct measure_id *items;
        size_t n, cap;
    } measures;
    struct buf scratch; /* token ids as text */
};

/* The connection, for what only reads. */
struct sql *store_sql(struct store *s);

/* Binds (see sql_bindv) and runs a statement. It stays prepared, found again by the address of its
 * text: a literal. 1: it gave a row, and *id (which may be NULL) is its first column. 0: it gave
 * none. Negative: failed. The statement is reset in any case. */
int store_run(struct store *s, const char *statement, int64_t *id, struct error *err,
              const char *types, ...);

int64_t store_added(const struct store *s); /* the row that an INSERT has just made */

/* For a call of several statements: a transaction of its own where the caller has none.
 * store_end_own commits it, or rolls everything back when r < 0; returns r or its own failure. */
int store_begin_own(struct store *s, bool *own, struct error *err);
int store_end_own(struct store *s, bool own, int r, struct error *err);

/* A score from four columns: value, weight, its metric's name, parts. Parts that are not as many
 * numbers as the metric needs count as none. */
struct metric_item store_item(struct arena *a, sqlite3_stmt *st, int column);

#endif
