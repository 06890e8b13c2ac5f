/* sql.h: private to results/. SQLite statements with our errors and our strings.
 *
 * Every call that can fail says so through struct error, in words for the user. A statement's
 * columns are read between sql_step() and the next step; text that has to last longer is copied
 * into an arena by sql_text(). */
#ifndef ASSAY_RESULTS_SQL_H
#define ASSAY_RESULTS_SQL_H

#include <sqlite3.h>
#include <stdarg.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct sql {
    sqlite3 *db;
    char *path;  /* as the user wrote it, for sentences */
    bool writes; /* opened for writing: how sentences put it */
};

/* The sentence for what SQLite just reported; `doing` is "read" or "write". Returns its code:
 * E_IO (full disk, damage, no permission), E_BUSY, or E_MEMORY. */
int sql_error(struct sql *s, const char *doing, struct error *err);

/* Runs statements without results. */
int sql_exec(struct sql *s, const char *statements, struct error *err);

/* *ret is finalized by the caller with sqlite3_finalize, which takes NULL. */
int sql_prepare(struct sql *s, const char *statement, sqlite3_stmt **ret, struct error *err);

/* Resets the statement and binds ?1, ?2, ... by letter: i int64_t, d double (NaN becomes NULL),
 * s struct str as text, b struct str as a blob, z const char * (NULL becomes NULL), r int64_t row
 * of another table (0 becomes NULL). What is bound must stay as it is until the statement's last
 * step. */
int sql_bindv(struct sql *s, sqlite3_stmt *st, struct error *err, const char *types, va_list args);

/* 1: there is a row; 0: no more (the statement is reset); negative: failed (reset too). */
int sql_step(struct sql *s, sqlite3_stmt *st, struct error *err);

/* sql_prepare and sql_bindv in one; on failure there is nothing to finalize. */
int sql_query(struct sql *s, const char *statement, sqlite3_stmt **ret, struct error *err,
              const char *types, ...);

/* Steps to the end, `read` filling an item of `size` zeroed bytes from each row, and finalizes the
 * statement. The items live in the arena. */
struct sql_list {
    void *items;
    size_t n;
};
typedef void sql_reader(struct arena *a, sqlite3_stmt *st, void *item);
int sql_rows(struct sql *s, struct arena *a, sqlite3_stmt *st, size_t size, sql_reader *read,
             struct sql_list *ret, struct error *err);
void sql_read_text(struct arena *a, sqlite3_stmt *st, void *item); /* column 0 to a const char * */

struct str sql_text(struct arena *a, sqlite3_stmt *st, int column);   /* NUL-terminated copy */
const char *sql_textz(struct arena *a, sqlite3_stmt *st, int column); /* NULL where it is NULL */
double sql_double(sqlite3_stmt *st, int column);                      /* NaN where it is NULL */

#endif
