/* recorded.c: stored answers, many at a time, to be scored again. */
#include "results/query.h"
#include "results/store_sql.h"

static void read_sample(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(struct recorded *)item = (struct recorded){
        .sample = sqlite3_column_int64(st, 0),
        .doc_id = sqlite3_column_int64(st, 1),
        .doc_json = sql_text(a, st, 2),
    };
}

/* A request and whose it is. */
struct owned_request {
    int64_t doc_id;
    struct request_row row;
};

static void read_request(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(struct owned_request *)item = (struct owned_request){
        sqlite3_column_int64(st, 0),
        {
            .idx = sqlite3_column_int(st, 1),
            .unconditional = sqlite3_column_int(st, 2) != 0,
            .prompt = sql_text(a, st, 3),
            .continuation = sql_text(a, st, 4),
            .response = sql_text(a, st, 5),
            .logprob_nats = sql_double(st, 6),
            .is_greedy = sqlite3_column_int(st, 7) != 0,
        },
    };
}

static const char select_samples[] =
    "SELECT s.id, s.doc_id, d.text FROM samples s JOIN texts d ON d.id = s.doc "
    "WHERE s.evaluation = ?1 AND s.doc_id > ?2 AND s.error IS NULL AND NOT EXISTS "
    "(SELECT 1 FROM samples n WHERE n.evaluation = ?3 AND n.doc_id = s.doc_id AND n.error IS NULL) "
    "ORDER BY s.doc_id LIMIT ?4";

#define SELECT_REQUESTS(prompt, join)                                                              \
    "SELECT s.doc_id, r.idx, r.unconditional, " prompt                                             \
    ", c.text, t.text, r.logprob, r.is_greedy FROM samples s JOIN requests r ON r.sample = s.id "  \
    "LEFT JOIN texts c ON c.id = r.continuation LEFT JOIN texts t ON t.id = r.response " join      \
    "WHERE s.evaluation = ? AND s.doc_id BETWEEN ? AND ? ORDER BY s.doc_id, r.position"

/* Both lists are in the order of documents. */
static void share_out(struct arena *a, struct recorded *samples, size_t n,
                      const struct owned_request *requests, size_t n_requests)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        while (at < n_requests && requests[at].doc_id < samples[i].doc_id)
            at++; /* of a sample that is passed over */
        size_t end = at;
        while (end < n_requests && requests[end].doc_id == samples[i].doc_id)
            end++;
        samples[i].requests = arena_array(a, end - at, sizeof *samples[i].requests);
        samples[i].n_requests = (int)(end - at);
        for (size_t k = 0; at < end; at++)
            samples[i].requests[k++] = requests[at].row;
    }
}

int query_recorded(struct store *s, struct arena *a, int64_t evaluation, int64_t without,
                   int64_t after, int max, bool prompts, struct recorded **ret, int *n,
                   struct error *err)
{
    struct sql_list samples = {0}, requests = {0};
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql, select_samples, &st, err, "iiii", evaluation, after, without,
                      (int64_t)max);
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof **ret, read_sample, &samples, err);
    struct recorded *list = samples.items;
    if (r == 0 && samples.n)
        r = sql_query(&s->sql,
                      prompts ? SELECT_REQUESTS("p.text", "LEFT JOIN texts p ON p.id = r.prompt ")
                              : SELECT_REQUESTS("NULL", ""),
                      &st, err, "iii", evaluation, list[0].doc_id, list[samples.n - 1].doc_id);
    if (r == 0 && samples.n)
        r = sql_rows(&s->sql, a, st, sizeof(struct owned_request), read_request, &requests, err);
    if (r < 0)
        return r;
    share_out(a, list, samples.n, requests.items, requests.n);
    *ret = list;
    *n = (int)samples.n;
    return 0;
}
