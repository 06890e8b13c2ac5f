/* The life of a store: created, written, killed, contended, full, damaged, read. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "results/store_sql.h"
#include "tests/results/fixture.h"

static struct error err;

static struct store *open_store(const char *path, enum store_mode mode)
{
    struct store *s = NULL;
    EXPECT_OK(store_open(path, mode, &s, &err), &err);
    if (!s)
        exit(1);
    return s;
}

static int64_t evaluation(struct store *s, const char *hash, const char *model)
{
    struct evaluation e = fixture_evaluation(hash, model, "arc_easy");
    int64_t id = -1;
    EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
    return id;
}

static void write_some(struct store *s, int64_t id, int64_t from, int64_t to)
{
    EXPECT_OK(store_begin(s, &err), &err);
    for (int64_t i = from; i < to; i++)
        EXPECT_OK(fixture_sample(s, id, i, i % 4 ? -1 : -3, -2, &err), &err);
    EXPECT_OK(store_commit(s, &err), &err);
}

static void creates_and_reopens(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    EXPECT(file_exists(fixture_path("a.db.lock")));
    int64_t run, id = evaluation(s, "h1", "m");
    EXPECT_OK(store_run_begin(s, "assay run -m m", &run, &err), &err);
    EXPECT_OK(store_run_evaluation(s, run, id, 10, &err), &err);
    write_some(s, id, 0, 10);
    EXPECT_OK(store_run_end(s, run, 0, 12345, 6.5, &err), &err);
    store_close(s);
    EXPECT(!file_exists(fixture_path("a.db.lock")));
    EXPECT(!file_exists(fixture_path("a.db-wal")));

    s = open_store(path, STORE_READ);
    EXPECT_INT(store_has_sample(s, id, 3, &err), 1);
    EXPECT_INT(store_has_sample(s, id, 10, &err), 0);
    EXPECT(store_evaluation(s, &(struct evaluation){.hash = "h2"}, &id, &err) < 0);
    store_close(s);
    EXPECT_INT(fixture_number(path, "PRAGMA user_version"), 6);
    EXPECT_INT(fixture_number(path, "SELECT tokens_computed FROM runs WHERE ended IS NOT NULL"),
               12345);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM v_samples WHERE metric = 'acc'"), 10);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM v_samples WHERE answer = ' this'"), 14);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM v_requests WHERE "
                                    "prompt_tokens = '[1,500,7]' AND tokens = '[42]'"),
               20);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    fixture_end();
}

/* Ten prompts, ten documents, two choices, one definition, and two arrays of tokens. */
static void keeps_each_text_once(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t a = evaluation(s, "h1", "m"), b = evaluation(s, "h2", "n");
    write_some(s, a, 0, 10);
    write_some(s, b, 0, 10);
    store_close(s);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM texts"), 10 + 10 + 2 + 1 + 2);
    fixture_end();
}

static void finds_an_evaluation_again(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t a = evaluation(s, "h1", "m"), b = evaluation(s, "h2", "m");
    EXPECT(a != b);
    EXPECT_INT(evaluation(s, "h1", "renamed"), a);
    store_close(s);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM evaluations e JOIN models m ON m.id = "
                                    "e.model WHERE m.label = 'renamed' AND e.hash = 'h1'"),
               1);
    fixture_end();
}

/* A failed sample is asked again, and whatever was there is replaced as a whole. */
static void replaces_samples(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t id = evaluation(s, "h1", "m");
    struct request_row request = {.prompt = STR("p"),
                                  .response = STR("r"),
                                  .logprob_nats = NAN,
                                  .finish = "length",
                                  .n_tokens_generated = 5};
    struct sample_row row = {.doc_id = 7,
                             .doc_json = STR("{}"),
                             .target = STR("t"),
                             .error = "double BOS",
                             .requests = &request,
                             .n_requests = 1};
    EXPECT_OK(store_sample(s, id, &row, &err), &err);
    EXPECT_INT(store_has_sample(s, id, 7, &err), 0);
    EXPECT_OK(fixture_sample(s, id, 7, -1, -2, &err), &err);
    EXPECT_INT(store_has_sample(s, id, 7, &err), 1);
    EXPECT_OK(fixture_sample(s, id, 7, -1, -2, &err), &err);
    store_close(s);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM samples"), 1);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM requests"), 2);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM scores"), 2);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM requests WHERE logprob IS NULL"), 0);
    fixture_end();
}

static void rolls_back(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t id = evaluation(s, "h1", "m");
    write_some(s, id, 0, 3);
    EXPECT_OK(store_begin(s, &err), &err);
    EXPECT_OK(fixture_sample(s, id, 3, -1, -2, &err), &err);
    EXPECT_ERROR(fixture_sample(s, 999, 4, -1, -2, &err), &err, E_IO, "FOREIGN KEY");
    EXPECT_INT(store_has_sample(s, id, 3, &err), 0);
    write_some(s, id, 3, 5);
    EXPECT_OK(store_begin(s, &err), &err);
    EXPECT_OK(fixture_sample(s, id, 5, -1, -2, &err), &err);
    store_close(s); /* without a commit */
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM samples"), 5);
    fixture_end();
}

static void aggregates(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t id = evaluation(s, "h1", "m");
    write_some(s, id, 0, 100);
    struct arena a = {0};
    struct score_line *lines;
    int n = -1;
    EXPECT_OK(store_scores(s, &a, id, 100, &lines, &n, &err), &err);
    EXPECT_INT(n, 0);
    EXPECT_OK(store_aggregate(s, id, 100, 0, &err), &err);
    EXPECT_OK(store_aggregate(s, id, 2, 0, &err), &err);
    EXPECT_OK(store_scores(s, &a, id, 100, &lines, &n, &err), &err);
    EXPECT_INT(n, 2);
    if (n == 2) {
        EXPECT_Z(lines[0].metric, "acc");
        EXPECT_Z(lines[1].metric, "acc_norm");
        EXPECT_Z(lines[0].filter, "none");
        EXPECT_NEAR(lines[0].value, 0.75, 1e-12);
        EXPECT_NEAR(lines[0].stderr_, sqrt(0.75 * 0.25 / 99), 1e-12);
        EXPECT_INT(lines[0].n, 100);
    }
    EXPECT_OK(store_scores(s, &a, id, 2, &lines, &n, &err), &err);
    EXPECT_NEAR(n ? lines[0].value : NAN, 0.5, 1e-12);
    EXPECT_INT(fixture_number(path, "SELECT n FROM v_scores WHERE metric = 'acc'"), 100);

    /* A new sample makes those over it stale, and only those. */
    write_some(s, id, 50, 51);
    EXPECT_OK(store_scores(s, &a, id, 100, &lines, &n, &err), &err);
    EXPECT_INT(n, 0);
    EXPECT_OK(store_scores(s, &a, id, -1, &lines, &n, &err), &err);
    EXPECT_INT(n, 2);
    EXPECT_INT(n ? lines[0].n : -1, 2);
    arena_free(&a);
    store_close(s);
    fixture_end();
}

static void keeps_groups(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    static const char *const tasks[] = {"arc_easy", "arc_challenge"};
    static const struct group_measure measures[] = {{"acc", true}};
    struct group_row g = {.name = "arc",
                          .alias = "ARC",
                          .tasks = tasks,
                          .n_tasks = 2,
                          .measures = measures,
                          .n_measures = 1};
    EXPECT_OK(store_group(s, &g, &err), &err);
    EXPECT_OK(store_group(s, &g, &err), &err);
    int64_t id = evaluation(s, "h1", "m");
    write_some(s, id, 0, 4);
    EXPECT_OK(store_aggregate(s, id, 4, 0, &err), &err);
    store_close(s);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM group_members"), 2);
    EXPECT_NEAR(fixture_number(path, "SELECT value FROM v_groups WHERE grp = 'arc'"), 0.75, 0);
    fixture_end();
}

/* A child writes and is killed: what it had committed is there, whole, and the lock is free. */
static void survives_kill(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    int told[2];
    EXPECT(pipe(told) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct store *s = open_store(path, STORE_WRITE);
        int64_t id = evaluation(s, "h1", "m");
        for (int64_t batch = 0;; batch++) {
            write_some(s, id, 50 * batch, 50 * batch + 50);
            if (write(told[1], &batch, sizeof batch) != sizeof batch)
                _exit(1);
        }
    }
    close(told[1]);
    int64_t committed = 0, batch;
    while (read(told[0], &batch, sizeof batch) == sizeof batch && batch < 20)
        committed = 50 * (batch + 1);
    struct store *s = NULL;
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)child);
    EXPECT_ERROR(store_open(path, STORE_WRITE, &s, &err), &err, E_BUSY, pid);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(told[0]);

    s = open_store(path, STORE_WRITE);
    for (int64_t i = 0; i < committed; i++)
        EXPECT_INT(store_has_sample(s, 1, i, &err), 1);
    store_close(s);
    EXPECT_INT(fixture_number(path, "SELECT count(*) % 50 FROM samples"), 0);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM samples s WHERE 2 <> (SELECT count(*) "
                                    "FROM requests WHERE sample = s.id)"),
               0);
    EXPECT_INT(fixture_number(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
               1);
    fixture_end();
}

/* Readers see what is committed, while the writer goes on. */
static void reads_beside_the_writer(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *w = open_store(path, STORE_WRITE);
    int64_t id = evaluation(w, "h1", "m");
    write_some(w, id, 0, 5);
    EXPECT_OK(store_begin(w, &err), &err);
    EXPECT_OK(fixture_sample(w, id, 5, -1, -2, &err), &err);
    struct store *r = open_store(path, STORE_READ);
    EXPECT_INT(store_has_sample(r, id, 4, &err), 1);
    EXPECT_INT(store_has_sample(r, id, 5, &err), 0);
    EXPECT_OK(store_commit(w, &err), &err);
    EXPECT_INT(store_has_sample(r, id, 5, &err), 1);
    store_close(r);
    store_close(w);
    fixture_end();
}

/* Somebody who may not write the folder can still read a store that was closed. */
static void reads_where_nothing_may_be_written(void)
{
    fixture_begin();
    const char *path = fixture_path("a%3fb?c#.db");
    struct store *s = open_store(path, STORE_WRITE);
    write_some(s, evaluation(s, "h1", "m"), 0, 5);
    store_close(s);
    EXPECT(chmod(path, 0444) == 0 && chmod(fixture_dir, 0555) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
            _exit(2);
        s = open_store(path, STORE_READ);
        int found = store_has_sample(s, 1, 4, &err);
        store_close(s);
        s = NULL;
        int r = store_open(path, STORE_WRITE, &s, &err);
        _exit(found == 1 && r == E_IO ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_INT(status, 0);
    EXPECT(chmod(fixture_dir, 0755) == 0);
    fixture_end();
}

/* Writes until the store says that there is no room, in batches of ten. */
static int64_t fill(struct store *s, int64_t id)
{
    for (int64_t i = 0; i < 100000; i += 10) {
        int r = store_begin(s, &err);
        for (int64_t k = 0; r == 0 && k < 10; k++)
            r = fixture_sample(s, id, i + k, -1, -2, &err);
        if (r == 0)
            r = store_commit(s, &err);
        if (r < 0) {
            EXPECT_INT(r, E_IO);
            return i;
        }
    }
    return -1;
}

static void after_full(struct store *s, const char *path, int64_t id, int64_t committed)
{
    EXPECT(committed > 0);
    EXPECT_INT(store_has_sample(s, id, committed - 1, &err), 1);
    EXPECT_INT(store_has_sample(s, id, committed, &err), 0);
    write_some(s, id, committed, committed + 10);
    store_close(s);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM samples"), committed + 10);
    EXPECT_INT(fixture_number(path, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"),
               1);
}

static void stands_a_full_disk(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t id = evaluation(s, "h1", "m");
    EXPECT_OK(sql_exec(store_sql(s), "PRAGMA max_page_count = 100", &err), &err);
    int64_t committed = fill(s, id);
    EXPECT(strstr(err.msg, "disk is full"));
    EXPECT_OK(sql_exec(store_sql(s), "PRAGMA max_page_count = 1000000", &err), &err);
    after_full(s, path, id, committed);
    fixture_end();
}

/* The system refuses a write in the middle of the log. */
static void stands_a_write_that_fails(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t id = evaluation(s, "h1", "m");
    struct rlimit old, small = {600000, 0};
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    EXPECT(setrlimit(RLIMIT_FSIZE, &small) == 0);
    int64_t committed = fill(s, id);
    EXPECT(setrlimit(RLIMIT_FSIZE, &old) == 0);
    EXPECT(strstr(err.msg, "what was committed is kept"));
    after_full(s, path, id, committed);
    fixture_end();
}

static void leaves_nothing_when_creation_fails(void)
{
    fixture_begin();
    struct rlimit old, small = {20000, 0};
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    EXPECT(setrlimit(RLIMIT_FSIZE, &small) == 0);
    struct store *s = NULL;
    EXPECT_INT(store_open(fixture_path("a.db"), STORE_WRITE, &s, &err), E_IO);
    EXPECT(setrlimit(RLIMIT_FSIZE, &old) == 0);
    EXPECT(!file_exists(fixture_path("a.db")));
    EXPECT(!file_exists(fixture_path("a.db-wal")));
    EXPECT(!file_exists(fixture_path("a.db.lock")));
    fixture_end();
}

static void refuses_what_is_no_store(void)
{
    fixture_begin();
    struct store *s = NULL;
    const char *text = fixture_path("text.db");
    EXPECT_OK(file_write(text,
                         STR("this is a letter to a friend, long enough to be looked at by "
                             "SQLite, which wants at least one hundred bytes of it, or more"),
                         &err),
              &err);
    for (enum store_mode mode = STORE_READ; mode <= STORE_WRITE; mode++) {
        EXPECT_ERROR(store_open(text, mode, &s, &err), &err, E_IO, "no SQLite file");
        EXPECT_ERROR(store_open(fixture_dir, mode, &s, &err), &err, E_IO, "it is a folder");
    }
    EXPECT_ERROR(store_open(fixture_path("no.db"), STORE_READ, &s, &err), &err, E_IO,
                 "there is no store at");
    EXPECT_ERROR(store_open(fixture_path("no/no.db"), STORE_WRITE, &s, &err), &err, E_IO,
                 "make it first");
    const char *other = fixture_path("other.db");
    fixture_sql(other, "CREATE TABLE bookmarks (url)");
    EXPECT_ERROR(store_open(other, STORE_WRITE, &s, &err), &err, E_IO, "no store of assay");
    const char *empty = fixture_path("empty.db");
    EXPECT_OK(file_write(empty, STR(""), &err), &err);
    EXPECT_ERROR(store_open(empty, STORE_READ, &s, &err), &err, E_IO, "is empty");
    EXPECT(s == NULL);
    fixture_end();
}

/* A run that could not start leaves no store behind, but never takes one away. */
static void leaves_no_empty_store(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    int64_t run;
    struct store *s = open_store(path, STORE_WRITE);
    EXPECT_OK(store_run_begin(s, "assay run", &run, &err), &err);
    EXPECT_OK(store_begin(s, &err), &err);
    evaluation(s, "e1", "base");
    store_rollback(s);
    store_close(s);
    EXPECT(!file_exists(path));
    EXPECT(!file_exists(fixture_path("a.db-wal")));

    EXPECT_OK(file_write(path, STR(""), &err), &err);
    store_close(open_store(path, STORE_WRITE));
    EXPECT(file_exists(path));
    fixture_end();
}

static void refuses_newer_schemas(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *written = open_store(path, STORE_WRITE);
    evaluation(written, "e1", "base");
    store_close(written);
    fixture_sql(path, "PRAGMA user_version = 99");
    struct store *s = NULL;
    for (enum store_mode mode = STORE_READ; mode <= STORE_WRITE; mode++)
        EXPECT_ERROR(store_open(path, mode, &s, &err), &err, E_VERSION, "newer assay");
    fixture_end();
}

/* What a corpus metric's aggregate is made of comes back, and no other numbers do. */
static void keeps_parts(void)
{
    struct arena a = {0};
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t id = evaluation(s, "h1", "m");
    struct score_line *lines;
    int n;
    for (int i = 0; i < 6;
         i++) { /* labels 0 1 0 1 0 1, predicted 0 0 1 1 0 0; edits 0 .. 5 of 10 */
        double labels[] = {i % 2, i / 2 % 2}, edits[] = {i, 10};
        struct score_row c[] = {{"f1", "none", i % 2 == i / 2 % 2, 1, labels, 2},
                                {"ter", "none", 10 * i, 1, edits, 2}};
        struct sample_row row = {.doc_id = i, .doc_json = STR("{}"), .scores = c, .n_scores = 2};
        EXPECT_OK(store_sample(s, id, &row, &err), &err);
    }
    EXPECT_OK(store_aggregate(s, id, 6, 100, &err), &err);
    EXPECT_OK(store_scores(s, &a, id, 6, &lines, &n, &err), &err);
    EXPECT_INT(n, 2);
    EXPECT_NEAR(lines[0].value, 0.4, 1e-12); /* f1: one of both, three and two */
    EXPECT_NEAR(lines[1].value, 25, 1e-12);  /* ter: 15 edits of 60 */
    EXPECT(lines[1].stderr_ > 0);
    EXPECT_INT(fixture_number(path, "SELECT sum(json_extract(parts, '$[0]')) FROM scores c "
                                    "JOIN measures u ON u.id = c.measure WHERE u.metric = 'ter'"),
               15);
    fixture_sql(path, "UPDATE scores SET parts = '[1,2,3]' WHERE sample = 1");
    EXPECT_OK(store_aggregate(s, id, 6, 100, &err), &err);
    EXPECT_OK(store_scores(s, &a, id, 6, &lines, &n, &err), &err);
    EXPECT_NEAR(lines[1].value, NAN, 0);
    store_close(s);
    arena_free(&a);
    fixture_end();
}

/* Word for word, but of a table that gained a column, whose words cannot be the same: there the
 * columns, as PRAGMA table_info has them, and the references. */
static void expect_same_schema(const char *path, const char *fresh)
{
    char query[1024];
    snprintf(query, sizeof query, "ATTACH '%s' AS fresh", fresh);
    sqlite3 *db;
    EXPECT_INT(sqlite3_open(path, &db), SQLITE_OK);
    EXPECT_INT(sqlite3_exec(db, query, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_stmt *st;
#define PARTS(db)                                                                                  \
    "SELECT '" db "', name, sql FROM " db ".sqlite_schema WHERE name NOT IN grown UNION ALL "      \
    "SELECT '" db "', t || '.' || name, json_array(cid, type, \"notnull\", dflt_value, pk) "       \
    "FROM grown, pragma_table_info(t, '" db "') UNION ALL "                                        \
    "SELECT '" db "', t || '.' || \"from\", json_array(\"table\", \"to\", on_update, on_delete) "  \
    "FROM grown, pragma_foreign_key_list(t, '" db "')"
    static const char differ[] = "WITH grown(t) AS (VALUES ('evaluations'), ('scores')), "
                                 "parts(db, name, what) AS (" PARTS("main") " UNION ALL " PARTS(
                                     "fresh") ") "
                                              "SELECT DISTINCT name FROM parts GROUP BY name, what "
                                              "HAVING count(DISTINCT db) < 2";
    EXPECT_INT(sqlite3_prepare_v2(db, differ, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        check_fail(__FILE__, __LINE__, "\"%s\" differs from schema.sql's",
                   (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    sqlite3_close(db);
}

/* Each figure is the last run's that measured it. */
static void keeps_what_models_took(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t id = evaluation(s, "h1", "m"), run = 0;
    static const struct model_cost costs[] = {{1000, 1200, 55.5, 7.25}, {1000, 1100, 66.5, 0}};
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(store_run_begin(s, "assay run", &run, &err), &err);
        EXPECT_OK(store_run_model(s, run, id, &costs[i], &err), &err);
    }
    store_close(s);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM v_models WHERE model = 'm' AND "
                                    "stored_bytes = 1000 AND held_bytes = 1100 AND prefill = 66.5 "
                                    "AND decode = 7.25"),
               1);
    fixture_end();
}

static void keeps_divergences(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t a = evaluation(s, "h1", "m"), b = evaluation(s, "h2", "n");
    write_some(s, a, 0, 2);
    write_some(s, b, 0, 2);
    static const struct divergence_row rows[] = {{0, 1, 500, -1, -1.5, 0.25, true},
                                                 {0, 2, 7, -2, -1, 0.5, false},
                                                 {1, 3, 42, -3, -3, 0, true}};
    EXPECT_INT(store_has_divergence(s, a, b, 0, &err), 0);
    for (int n = 3; n >= 2; n--) /* the second time it is replaced */
        EXPECT_OK(store_divergence(s, a, b, 0, rows, n, &err), &err);
    EXPECT_OK(store_divergence(s, a, b, 1, rows, 3, &err), &err);
    EXPECT_INT(store_has_divergence(s, a, b, 0, &err), 1);
    EXPECT_INT(store_has_divergence(s, b, a, 0, &err), 0);
    EXPECT(store_divergence(s, a, b, 9, rows, 1, &err) < 0); /* no such document */
    write_some(s, b, 1, 2);                                  /* asked again */
    EXPECT_INT(store_has_divergence(s, a, b, 1, &err), 0);
    store_close(s);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM v_exact_divergence WHERE model_a = 'm' "
                                    "AND model_b = 'n' AND kl + logprob_a < 0"),
               2);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM token_divergences"), 2);
    fixture_end();
}

/* schema_1.sql is the first version as it was. */
static void brings_old_stores_up_to_date(void)
{
    struct arena a = {0};
    struct str old;
    fixture_begin();
    const char *fresh = fixture_path("fresh.db"), *path = fixture_path("a.db");
    struct store *s = open_store(fresh, STORE_WRITE);
    evaluation(s, "h1", "m");
    store_close(s);
    const char *schema = arena_printf(&a, "%s/tests/results/schema_1.sql", getenv("ASSAY_SOURCE"));
    EXPECT_OK(file_read(&a, schema, FILE_LIMIT_TEXT, &old, &err), &err);
    fixture_sql(path, old.p);
    fixture_sql(path, "INSERT INTO runs (command_line, pid, started) VALUES ('old', 1, 'then')");
    chmod(path, 0444);
    if (access(path, W_OK) < 0)
        EXPECT_ERROR(store_open(path, STORE_READ, &s, &err), &err, E_VERSION, "older assay");
    chmod(path, 0644);
    store_close(open_store(path, STORE_READ));
    EXPECT_INT(fixture_number(path, "PRAGMA user_version"), 6);
    EXPECT_INT(fixture_number(path, "SELECT count(*) FROM runs WHERE command_line = 'old'"), 1);
    expect_same_schema(path, fresh);
    arena_free(&a);
    fixture_end();
}

/* A file that was cut off or overwritten gives a sentence, whatever is read first. */
static void stands_damage(void)
{
    fixture_begin();
    const char *path = fixture_path("a.db");
    struct store *s = open_store(path, STORE_WRITE);
    int64_t id = evaluation(s, "h1", "m");
    write_some(s, id, 0, 300);
    store_close(s);
    struct stat st;
    EXPECT(stat(path, &st) == 0);
    for (int cut = 1; cut < 8; cut++) {
        EXPECT(truncate(path, st.st_size * (8 - cut) / 8) == 0);
        s = NULL;
        int r = store_open(path, STORE_READ, &s, &err);
        for (int64_t i = 0; r >= 0 && i < 300; i++)
            r = store_has_sample(s, id, i, &err);
        EXPECT(r >= 0 || (r == E_IO && err.msg[0]));
        store_close(s);
    }
    fixture_end();
}

CHECK_MAIN({"creates_and_reopens", creates_and_reopens},
           {"keeps_each_text_once", keeps_each_text_once},
           {"finds_an_evaluation_again", finds_an_evaluation_again},
           {"replaces_samples", replaces_samples}, {"rolls_back", rolls_back},
           {"aggregates", aggregates}, {"keeps_groups", keeps_groups},
           {"survives_kill", survives_kill}, {"reads_beside_the_writer", reads_beside_the_writer},
           {"reads_where_nothing_may_be_written", reads_where_nothing_may_be_written},
           {"stands_a_full_disk", stands_a_full_disk},
           {"stands_a_write_that_fails", stands_a_write_that_fails},
           {"leaves_nothing_when_creation_fails", leaves_nothing_when_creation_fails},
           {"refuses_what_is_no_store", refuses_what_is_no_store},
           {"refuses_newer_schemas", refuses_newer_schemas}, {"keeps_parts", keeps_parts},
           {"keeps_what_models_took", keeps_what_models_took},
           {"keeps_divergences", keeps_divergences},
           {"brings_old_stores_up_to_date", brings_old_stores_up_to_date},
           {"leaves_no_empty_store", leaves_no_empty_store}, {"stands_damage", stands_damage})
