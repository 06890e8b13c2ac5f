#include "results/sql.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int sql_error(struct sql *s, const char *doing, struct error *err)
{
    const char *says = sqlite3_errmsg(s->db);
    int why = sqlite3_system_errno(s->db);
    switch (sqlite3_errcode(s->db)) {
    case SQLITE_FULL:
        return error_set(err, E_IO,
                         "cannot %s the store \"%s\": the disk is full (%s); what was committed is "
                         "kept, so make room and run the same command again",
                         doing, s->path, says);
    case SQLITE_IOERR:
        return error_set(err, E_IO,
                         "cannot %s the store \"%s\": %s%s%s, which may be a full or failing disk; "
                         "what was committed is kept, so mend that and run the same command again",
                         doing, s->path, says, why ? ": " : "", why ? strerror(why) : "");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, E_BUSY,
                         "cannot %s the store \"%s\": another program keeps it locked; close the "
                         "program that has it open and try again",
                         doing, s->path);
    case SQLITE_NOTADB:
        return error_set(err, E_IO,
                         "cannot %s the store \"%s\": it is no SQLite file; name a new path, or "
                         "move the file away",
                         doing, s->path);
    case SQLITE_CORRUPT:
        return error_set(err, E_IO,
                         "cannot %s the store \"%s\": the file is damaged (%s); restore a copy, or "
                         "try sqlite3's .recover on it",
                         doing, s->path, says);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return error_set(err, E_IO,
                         "cannot %s the store \"%s\": %s; check that you may write the file and "
                         "its folder",
                         doing, s->path, says);
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
        return error_set(err, E_MEMORY, "cannot %s the store \"%s\": %s", doing, s->path, says);
    default:
        return error_set(err, E_IO, "cannot %s the store \"%s\": %s", doing, s->path, says);
    }
}

static const char *doing(const struct sql *s)
{
    return s->writes ? "write" : "read";
}

int sql_exec(struct sql *s, const char *statements, struct error *err)
{
    return sqlite3_exec(s->db, statements, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : sql_error(s, doing(s), err);
}

int sql_prepare(struct sql *s, const char *statement, sqlite3_stmt **ret, struct error *err)
{
    return sqlite3_prepare_v3(s->db, statement, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) ==
                   SQLITE_OK
               ? 0
               : sql_error(s, doing(s), err);
}

int sql_bindv(struct sql *s, sqlite3_stmt *st, struct error *err, const char *types, va_list args)
{
    sqlite3_reset(st);
    int rc = SQLITE_OK;
    for (int i = 1; types[i - 1] && rc == SQLITE_OK; i++) {
        struct str text;
        const char *z;
        int64_t id;
        switch (types[i - 1]) {
        case 'i':
            rc = sqlite3_bind_int64(st, i, va_arg(args, int64_t));
            break;
        case 'd':
            rc = sqlite3_bind_double(st, i, va_arg(args, double));
            break;
        case 's':
            text = va_arg(args, struct str);
            rc = sqlite3_bind_text64(st, i, text.p ? text.p : "", text.n, SQLITE_STATIC,
                                     SQLITE_UTF8);
            break;
        case 'z':
            z = va_arg(args, const char *);
            rc = sqlite3_bind_text(st, i, z, -1, SQLITE_STATIC);
            break;
        case 'b':
            text = va_arg(args, struct str);
            rc = sqlite3_bind_blob64(st, i, text.p, text.n, SQLITE_STATIC);
            break;
        case 'r':
            id = va_arg(args, int64_t);
            rc = id ? sqlite3_bind_int64(st, i, id) : sqlite3_bind_null(st, i);
            break;
        default:
            assert(!"a letter that sql_bindv knows");
        }
    }
    return rc == SQLITE_OK ? 0 : sql_error(s, doing(s), err);
}

int sql_query(struct sql *s, const char *statement, sqlite3_stmt **ret, struct error *err,
              const char *types, ...)
{
    int r = sql_prepare(s, statement, ret, err);
    if (r < 0)
        return r;
    va_list args;
    va_start(args, types);
    r = sql_bindv(s, *ret, err, types, args);
    va_end(args);
    if (r < 0) {
        sqlite3_finalize(*ret);
        *ret = NULL;
    }
    return r;
}

int sql_step(struct sql *s, sqlite3_stmt *st, struct error *err)
{
    switch (sqlite3_step(st)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        sqlite3_reset(st);
        return 0;
    }
    int r = sql_error(s, doing(s), err);
    sqlite3_reset(st);
    return r;
}

int sql_rows(struct sql *s, struct arena *a, sqlite3_stmt *st, size_t size, sql_reader *read,
             struct sql_list *ret, struct error *err)
{
    char *items = NULL;
    size_t n = 0, cap = 0;
    int r;
    while ((r = sql_step(s, st, err)) == 1) {
        if (n == cap) {
            cap = cap ? 2 * cap : 16;
            items = mem_grow(items, cap, size);
        }
        memset(items + n * size, 0, size);
        read(a, st, items + n * size);
        n++;
    }
    sqlite3_finalize(st);
    if (r == 0) {
        *ret = (struct sql_list){arena_array(a, n, size), n};
        if (n)
            memcpy(ret->items, items, n * size);
    }
    free(items);
    return r;
}

void sql_read_text(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(const char **)item = sql_text(a, st, 0).p;
}

static struct str view(sqlite3_stmt *st, int column)
{
    const char *p = (const char *)sqlite3_column_text(st, column);
    return (struct str){p ? p : "", p ? (size_t)sqlite3_column_bytes(st, column) : 0};
}

struct str sql_text(struct arena *a, sqlite3_stmt *st, int column)
{
    return str_copy(a, view(st, column));
}

const char *sql_textz(struct arena *a, sqlite3_stmt *st, int column)
{
    return sqlite3_column_type(st, column) == SQLITE_NULL ? NULL : sql_text(a, st, column).p;
}

double sql_double(sqlite3_stmt *st, int column)
{
    return sqlite3_column_type(st, column) == SQLITE_NULL ? NAN : sqlite3_column_double(st, column);
}
