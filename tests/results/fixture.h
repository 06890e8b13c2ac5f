/* fixture.h: small stores with known content, for the tests of results/. */
#ifndef ASSAY_TESTS_RESULTS_FIXTURE_H
#define ASSAY_TESTS_RESULTS_FIXTURE_H

#include <sqlite3.h>

#include "results/store.h"
#include "tests/check.h"

/* A folder of the test's own, removed by fixture_end(). */
static char fixture_dir[] = "/tmp/assay-results-XXXXXX";

static inline const char *fixture_path(const char *name)
{
    static char path[4][512];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", fixture_dir, name);
    return p;
}

static inline void fixture_begin(void)
{
    strcpy(fixture_dir + strlen(fixture_dir) - 6, "XXXXXX");
    if (!mkdtemp(fixture_dir)) {
        perror("mkdtemp");
        exit(1);
    }
}

static inline void fixture_end(void)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", fixture_dir);
    if (system(command) != 0)
        perror(command);
}

/* A new store in a folder of its own: store_close() and fixture_end() undo it. */
static inline struct store *fixture_open(struct error *err)
{
    struct store *s = NULL;
    fixture_begin();
    EXPECT_OK(store_open(fixture_path("a.db"), STORE_WRITE, &s, err), err);
    if (!s)
        exit(1);
    return s;
}

static inline struct evaluation fixture_evaluation(const char *hash, const char *model,
                                                   const char *task)
{
    return (struct evaluation){
        .hash = hash,
        .model = model,
        .model_path = "models/some",
        .model_hash = "0123",
        .numerics = "ref/f32",
        .format = "bf16",
        .quant = "none",
        .n_params = 1000,
        .max_length = 2048,
        .task = task,
        .task_alias = task,
        .task_version = "1.0",
        .task_hash = "feed",
        .data_hash = "beef",
        .output_type = "multiple_choice",
        .fewshot_seed = 1234,
        .chat_template_hash = "",
        .system_instruction = "",
        .config_json = "{\"task\": \"arc\"}",
        .n_docs = 1000,
    };
}

/* A question of two choices; the model is right when the first has the larger log-probability. */
static inline int fixture_sample(struct store *s, int64_t evaluation, int64_t doc_id, double first,
                                 double second, struct error *err)
{
    char doc[64], prompt[64], filtered[100];
    snprintf(doc, sizeof doc, "{\"question\": \"what is <%d>?\"}", (int)doc_id);
    snprintf(prompt, sizeof prompt, "Question: what is <%d>?\nAnswer:", (int)doc_id);
    snprintf(filtered, sizeof filtered, "{\"none\": [[%g, false], [%g, true]]}", first, second);
    static const int32_t tokens[] = {1, 500, 7, 42};
    struct request_row requests[2] = {
        {.idx = 0, .continuation = STR(" this"), .logprob_nats = first, .n_chars = 4, .n_bytes = 4},
        {.idx = 1,
         .continuation = STR(" that"),
         .logprob_nats = second,
         .n_chars = 4,
         .n_bytes = 4,
         .is_greedy = true},
    };
    for (int i = 0; i < 2; i++) {
        requests[i].prompt = str_of(prompt);
        requests[i].n_tokens_prompt = 3;
        requests[i].n_tokens_scored = 1;
        requests[i].tokens = tokens;
        requests[i].n_tokens = 4;
        requests[i].finish = "";
        requests[i].time_ns = 1000000;
    }
    struct score_row scores[] = {{"acc", "none", first > second, 1, NULL, 0},
                                 {"acc_norm", "none", first > second, 1, NULL, 0}};
    struct sample_row row = {
        .doc_id = doc_id,
        .doc_json = str_of(doc),
        .target = STR("0"),
        .requests = requests,
        .n_requests = 2,
        .scores = scores,
        .n_scores = 2,
        .filtered_json = str_of(filtered),
    };
    return store_sample(s, evaluation, &row, err);
}

/* Two models "a" and "b" on "arc_easy" (40 documents) and "arc_hard" (10), which are the group
 * "arc". `a` is right on arc_easy unless i % 4 is 0, and on arc_hard where i is odd; `b` differs
 * on the documents named below. Gives the evaluations' numbers 1 to 4: a easy, a hard, b easy, ...
 */
static inline void fixture_pair(struct store *s, struct error *err)
{
    static const char *const models[] = {"a", "b"}, *const tasks[] = {"arc_easy", "arc_hard"};
    static const int sizes[] = {40, 10};
    static const bool flips[2][40] = {
        {[0] = 1, [1] = 1, [2] = 1, [3] = 1, [4] = 1, [5] = 1, [6] = 1, [7] = 1, [9] = 1},
        {[0] = 1, [1] = 1, [2] = 1}};
    for (int m = 0; m < 2; m++)
        for (int t = 0; t < 2; t++) {
            char hash[16];
            snprintf(hash, sizeof hash, "%s/%s", models[m], tasks[t]);
            struct evaluation e = fixture_evaluation(hash, models[m], tasks[t]);
            int64_t id = 0;
            EXPECT_OK(store_evaluation(s, &e, &id, err), err);
            EXPECT_OK(store_begin(s, err), err);
            for (int i = 0; i < sizes[t]; i++) {
                bool right = t == 0 ? i % 4 != 0 : i % 2 != 0;
                right ^= m == 1 && flips[t][i];
                EXPECT_OK(fixture_sample(s, id, i, right ? -1 : -3, -2, err), err);
            }
            EXPECT_OK(store_commit(s, err), err);
            EXPECT_OK(store_aggregate(s, id, sizes[t], 0, err), err);
        }
    static const struct group_measure measures[] = {{"acc", true}};
    struct group_row g = {.name = "arc",
                          .alias = "ARC",
                          .tasks = tasks,
                          .n_tasks = 2,
                          .measures = measures,
                          .n_measures = 1};
    EXPECT_OK(store_group(s, &g, err), err);
}

/* The one number that a query of the file at `path` gives, through a connection of its own. */
static inline double fixture_number(const char *path, const char *query)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    double ret = NAN;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, query, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        ret = sqlite3_column_double(st, 0);
    else
        printf("# %s: %s\n", query, sqlite3_errmsg(db));
    sqlite3_finalize(st);
    sqlite3_close(db);
    return ret;
}

static inline void fixture_sql(const char *path, const char *statements)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, statements, NULL, NULL, NULL) != SQLITE_OK)
        check_fail(__FILE__, __LINE__, "%s: %s", statements, sqlite3_errmsg(db));
    sqlite3_close(db);
}

#endif
