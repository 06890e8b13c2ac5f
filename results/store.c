#include "results/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/embedded.h"
#include "base/file.h"
#include "results/store_sql.h"

#define SCHEMA_VERSION 6
#define APPLICATION_ID 1095979865 /* as schema.sql sets it */
#define BUSY_MS        5000       /* for a reader's checkpoint, or somebody's sqlite3 shell */

extern const struct embedded results_sql[];

struct sql *store_sql(struct store *s)
{
    return &s->sql;
}

/* ---- statements ---- */

static sqlite3_stmt *find_prepared(const struct store *s, const char *statement)
{
    for (size_t i = 0; i < s->prepared.n; i++)
        if (s->prepared.items[i].text == statement)
            return s->prepared.items[i].st;
    return NULL;
}

int store_run(struct store *s, const char *statement, int64_t *id, struct error *err,
              const char *types, ...)
{
    sqlite3_stmt *st = find_prepared(s, statement);
    if (!st) {
        int r = sql_prepare(&s->sql, statement, &st, err);
        if (r < 0)
            return r;
        *ARRAY_PUSH(&s->prepared) = (struct prepared){statement, st};
    }
    va_list args;
    va_start(args, types);
    int r = sql_bindv(&s->sql, st, err, types, args);
    va_end(args);
    if (r == 0)
        r = sql_step(&s->sql, st, err);
    if (r == 1 && id)
        *id = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return r;
}

int64_t store_added(const struct store *s)
{
    return sqlite3_last_insert_rowid(s->sql.db);
}

static void forget_measures(struct store *s)
{
    for (size_t i = 0; i < s->measures.n; i++) {
        free(s->measures.items[i].metric);
        free(s->measures.items[i].filter);
    }
    s->measures.n = 0;
}

/* What was interned in the transaction goes with it, and so must what we remember of it. */
static void roll_back(struct store *s)
{
    if (!sqlite3_get_autocommit(s->sql.db))
        sqlite3_exec(s->sql.db, "ROLLBACK", NULL, NULL, NULL);
    s->in_transaction = false;
    forget_measures(s);
}

/* ---- opening ---- */

static void remove_database(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    struct arena a = {0};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        unlink(arena_printf(&a, "%s%s", path, endings[i]));
    arena_free(&a);
}

/* A store may come from somebody else: its schema may call nothing that is not harmless. */
static void set_up(sqlite3 *db)
{
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
}

/* A reader of a WAL database writes the shared index beside it. Where the folder forbids that and
 * no log is left to be read, the file alone is the whole database. */
static int open_immutable(struct store *s, struct error *err)
{
    struct buf uri = {0};
    buf_puts(&uri, s->sql.path[0] == '/' ? "file://" : "file:");
    for (const char *p = s->sql.path; *p; p++)
        if (strchr("%?#", *p))
            buf_printf(&uri, "%%%02x", (unsigned)*p);
        else
            buf_char(&uri, *p);
    buf_puts(&uri, "?immutable=1");
    sqlite3_close(s->sql.db);
    s->sql.db = NULL;
    int rc = sqlite3_open_v2(uri.p, &s->sql.db,
                             SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
    buf_free(&uri);
    if (rc != SQLITE_OK)
        return sql_error(&s->sql, "read", err);
    set_up(s->sql.db);
    return 0;
}

static bool has_log(const char *path)
{
    struct arena a = {0};
    struct stat st;
    bool ret = stat(arena_printf(&a, "%s-wal", path), &st) == 0 && st.st_size > 0;
    arena_free(&a);
    return ret;
}

static int open_database(struct store *s, enum store_mode mode, struct error *err)
{
    const char *path = s->sql.path;
    if (folder_exists(path))
        return error_set(err, E_IO, "cannot open the store \"%s\": it is a folder", path);
    if (mode == STORE_READ && access(path, F_OK) < 0)
        return error_set(err, E_IO,
                         "there is no store at \"%s\"; assay run writes one, and --db names it",
                         path);
    /* A reader that could write clears the log away when it is the last to close. */
    int flags = mode == STORE_WRITE       ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                : access(path, W_OK) == 0 ? SQLITE_OPEN_READWRITE
                                          : SQLITE_OPEN_READONLY;
    if (sqlite3_open_v2(path, &s->sql.db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return sql_error(&s->sql, "open", err);
    set_up(s->sql.db);
    if (mode == STORE_WRITE)
        return 0;
    int rc = sqlite3_exec(s->sql.db, "PRAGMA query_only = ON; SELECT 1 FROM sqlite_schema", NULL,
                          NULL, NULL);
    bool shut = rc == SQLITE_CANTOPEN || rc == SQLITE_READONLY;
    return shut && !has_log(path) ? open_immutable(s, err) : 0;
}

static int one_number(struct store *s, const char *query, int64_t *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql, query, &st, err, "");
    if (r == 0)
        r = sql_step(&s->sql, st, err);
    if (r == 1)
        *ret = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

/* Is it a store, and one that we can read? *version 0: there is nothing in it yet. */
static int check_schema(struct store *s, int64_t *ret, struct error *err)
{
    int64_t application = 0, version = 0, tables = 0;
    int r = one_number(s, "PRAGMA application_id", &application, err);
    if (r == 0)
        r = one_number(s, "PRAGMA user_version", &version, err);
    if (r == 0)
        r = one_number(s, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (r < 0)
        return r;
    *ret = version;
    if (application == 0 && version == 0 && tables == 0)
        return s->sql.writes ? 0
                             : error_set(err, E_IO, "the store \"%s\" is empty: nothing was run",
                                         s->sql.path);
    if (application != APPLICATION_ID || version < 1)
        return error_set(err, E_IO,
                         "\"%s\" is an SQLite file, but no store of assay; name another with --db",
                         s->sql.path);
    if (version > SCHEMA_VERSION)
        return error_set(err, E_VERSION,
                         "the store \"%s\" was written by a newer assay: its schema has version "
                         "%lld, this program knows versions up to %d; update assay, or use another "
                         "store with --db",
                         s->sql.path, (long long)version, SCHEMA_VERSION);
    return 0;
}

static const char *embedded_sql(const char *name)
{
    const struct embedded *e = results_sql;
    while (strcmp(e->name, name) != 0)
        e++;
    return e->text;
}

/* From `version` to ours in one transaction; from 0 by the schema itself. */
static int bring_up_to_date(struct store *s, int64_t version, struct error *err)
{
    int r = sql_exec(&s->sql, "BEGIN IMMEDIATE", err);
    if (r == 0 && version == 0) {
        r = sql_exec(&s->sql, embedded_sql("schema.sql"), err);
        version = SCHEMA_VERSION;
    }
    for (int64_t v = version + 1; v <= SCHEMA_VERSION && r == 0; v++) {
        char name[32];
        snprintf(name, sizeof name, "migrate_%d.sql", (int)v);
        r = sql_exec(&s->sql, embedded_sql(name), err);
    }
    if (r == 0)
        r = sql_exec(&s->sql, "COMMIT", err);
    if (r < 0)
        roll_back(s);
    return r;
}

/* WAL: readers read on while the writer writes. synchronous=NORMAL: a commit survives the
 * program's death without waiting for the disk; a power cut may undo the last ones, whole. */
static int prepare_writing(struct store *s, int64_t version, struct error *err)
{
    int r = sql_exec(&s->sql,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                     "PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768;"
                     "PRAGMA journal_size_limit = 67108864",
                     err);
    return r < 0 || version == SCHEMA_VERSION ? r : bring_up_to_date(s, version, err);
}

/* What a reader asks for may not be in an older store: it is opened for writing once. */
static int update_for_reader(struct store *s, struct error *err)
{
    struct store *writer;
    struct error why;
    sqlite3_close(s->sql.db);
    s->sql.db = NULL;
    if (store_open(s->sql.path, STORE_WRITE, &writer, &why) < 0)
        return error_set(err, E_VERSION,
                         "the store \"%s\" was written by an older assay and has to be brought up "
                         "to date before it is read, which failed: %s",
                         s->sql.path, why.msg);
    store_close(writer);
    return open_database(s, STORE_READ, err);
}

int store_open(const char *path, enum store_mode mode, struct store **ret, struct error *err)
{
    struct store *s = mem_alloc(1, sizeof *s);
    s->sql.path = mem_strdup(path);
    s->sql.writes = mode == STORE_WRITE;
    s->lock.fd = -1;
    int64_t version = 0;
    bool existed = access(path, F_OK) == 0;
    int r = mode == STORE_WRITE ? lock_take(path, &s->lock, err) : 0;
    bool locked = r == 0;
    if (r == 0)
        r = open_database(s, mode, err);
    if (r == 0)
        r = check_schema(s, &version, err);
    if (r == 0 && mode == STORE_WRITE)
        r = prepare_writing(s, version, err);
    else if (r == 0 && version < SCHEMA_VERSION)
        r = update_for_reader(s, err);
    if (r < 0) {
        sqlite3_close(s->sql.db);
        s->sql.db = NULL;
        if (mode == STORE_WRITE && locked && !existed)
            remove_database(path);
        store_close(s);
        return r;
    }
    s->created = !existed;
    *ret = s;
    return 0;
}

static bool holds_no_evaluation(struct store *s)
{
    int64_t any = 1;
    struct error ignored;
    return one_number(s, "SELECT EXISTS (SELECT 1 FROM evaluations)", &any, &ignored) == 0 &&
           any == 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->sql.db)
        roll_back(s);
    bool unused = s->created && holds_no_evaluation(s);
    for (size_t i = 0; i < s->prepared.n; i++)
        sqlite3_finalize(s->prepared.items[i].st);
    free(s->prepared.items);
    sqlite3_close(s->sql.db);
    if (unused)
        remove_database(s->sql.path);
    lock_drop(&s->lock);
    forget_measures(s);
    free(s->measures.items);
    buf_free(&s->scratch);
    free(s->sql.path);
    free(s);
}

/* ---- transactions ---- */

void store_rollback(struct store *s)
{
    roll_back(s);
}

int store_begin(struct store *s, struct error *err)
{
    int r = store_run(s, "BEGIN IMMEDIATE", NULL, err, "");
    if (r < 0)
        roll_back(s);
    s->in_transaction = r == 0;
    return r;
}

int store_commit(struct store *s, struct error *err)
{
    int r = store_run(s, "COMMIT", NULL, err, "");
    if (r < 0)
        roll_back(s);
    s->in_transaction = false;
    return r;
}

int store_begin_own(struct store *s, bool *own, struct error *err)
{
    *own = !s->in_transaction;
    return *own ? store_begin(s, err) : 0;
}

int store_end_own(struct store *s, bool own, int r, struct error *err)
{
    if (r < 0) {
        roll_back(s);
        return r;
    }
    return own ? store_commit(s, err) : 0;
}
