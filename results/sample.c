/* sample.c: one document at a time, as a model answered it. */
#include "results/query.h"

#include <math.h>

#include "results/store_sql.h"

static void read_sample(struct arena *a, sqlite3_stmt *st, struct sample_view *ret)
{
    *ret = (struct sample_view){
        .id = sqlite3_column_int64(st, 0),
        .doc_id = sqlite3_column_int64(st, 1),
        .doc_json = sql_text(a, st, 2),
        .target = sql_text(a, st, 3),
        .filtered_json = sql_text(a, st, 4),
        .error = sql_textz(a, st, 5),
    };
}

static void read_request(struct arena *a, sqlite3_stmt *st, void *item)
{
    struct request_view *v = item;
    v->row = (struct request_row){
        .idx = sqlite3_column_int(st, 0),
        .unconditional = sqlite3_column_int(st, 1) != 0,
        .prompt = sql_text(a, st, 2),
        .continuation = sql_text(a, st, 3),
        .response = sql_text(a, st, 4),
        .logprob_nats = sql_double(st, 5),
        .is_greedy = sqlite3_column_int(st, 6) != 0,
        .n_chars = sqlite3_column_int(st, 7),
        .n_bytes = sqlite3_column_int(st, 8),
        .n_tokens_prompt = sqlite3_column_int(st, 9),
        .n_tokens_scored = sqlite3_column_int(st, 10),
        .n_tokens_generated = sqlite3_column_int(st, 11),
        .n_truncated = sqlite3_column_int(st, 12),
        .time_ns = sqlite3_column_int64(st, 13),
        .finish = sql_text(a, st, 14).p,
    };
    v->prompt_tokens = sql_textz(a, st, 15);
    v->tokens = sql_textz(a, st, 16);
}

static void read_score(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(struct score_row *)item = (struct score_row){
        .metric = sql_text(a, st, 0).p,
        .filter = sql_text(a, st, 1).p,
        .value = sql_double(st, 2),
        .weight = sqlite3_column_double(st, 3),
    };
}

/* Of several choices the first with the highest log-probability. */
static void mark_best(struct sample_view *v)
{
    struct request_view *best = NULL;
    int n = 0;
    for (int i = 0; i < v->n_requests; i++) {
        struct request_view *q = &v->requests[i];
        if (q->row.unconditional || isnan(q->row.logprob_nats))
            continue;
        if (!best || q->row.logprob_nats > best->row.logprob_nats)
            best = q;
        n++;
    }
    if (n > 1)
        best->best = true;
}

static int read_parts(struct store *s, struct arena *a, struct sample_view *v, struct error *err)
{
    struct sql_list requests, scores;
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT r.idx, r.unconditional, p.text, c.text, t.text, r.logprob, "
                      "r.is_greedy, r.n_chars, r.n_bytes, r.n_tokens_prompt, r.n_tokens_scored, "
                      "r.n_tokens_generated, r.n_truncated, r.time_ns, r.finish, i.text, o.text "
                      "FROM requests r JOIN texts p ON p.id = r.prompt "
                      "LEFT JOIN texts c ON c.id = r.continuation "
                      "LEFT JOIN texts t ON t.id = r.response "
                      "LEFT JOIN texts i ON i.id = r.prompt_tokens "
                      "LEFT JOIN texts o ON o.id = r.tokens "
                      "WHERE r.sample = ? ORDER BY r.position",
                      &st, err, "i", v->id);
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof *v->requests, read_request, &requests, err);
    if (r == 0)
        r = sql_query(&s->sql,
                      "SELECT u.metric, u.filter, c.value, c.weight, c.parts FROM scores c "
                      "JOIN measures u ON u.id = c.measure WHERE c.sample = ? "
                      "ORDER BY u.filter, u.metric",
                      &st, err, "i", v->id);
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof *v->scores, read_score, &scores, err);
    if (r < 0)
        return r;
    v->requests = requests.items;
    v->n_requests = (int)requests.n;
    v->scores = scores.items;
    v->n_scores = (int)scores.n;
    mark_best(v);
    return 0;
}

#define SELECT_SAMPLE                                                                              \
    "SELECT s.id, s.doc_id, d.text, s.target, s.filtered, s.error FROM samples s "                 \
    "JOIN texts d ON d.id = s.doc WHERE s.evaluation = ? AND "

int query_sample(struct store *s, struct arena *a, int64_t evaluation, int64_t doc_id,
                 struct sample_view *ret, struct error *err)
{
    sqlite3_stmt *st = NULL;
    struct sample_view v;
    int r = sql_query(&s->sql, SELECT_SAMPLE "s.doc_id = ?", &st, err, "ii", evaluation, doc_id);
    if (r == 0)
        r = sql_step(&s->sql, st, err);
    if (r == 1) {
        read_sample(a, st, &v);
        r = read_parts(s, a, &v, err);
        if (r == 0)
            *ret = v;
    } else if (r == 0)
        r = error_set(err, E_INPUT,
                      "evaluation #%lld in the store \"%s\" has no sample of document %lld; "
                      "documents count from 0",
                      (long long)evaluation, s->sql.path, (long long)doc_id);
    sqlite3_finalize(st);
    return r;
}

int query_samples(struct store *s, int64_t evaluation, int64_t n_eval, sample_visitor *visit,
                  void *arg, struct error *err)
{
    struct arena a = {0};
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql, SELECT_SAMPLE "s.doc_id < ? ORDER BY s.doc_id", &st, err, "ii",
                      evaluation, n_eval);
    while (r == 0 && (r = sql_step(&s->sql, st, err)) == 1) {
        struct sample_view v;
        read_sample(&a, st, &v);
        r = read_parts(s, &a, &v, err);
        if (r == 0)
            r = visit(arg, &v, err);
        arena_free(&a);
        a = (struct arena){0};
    }
    sqlite3_finalize(st);
    arena_free(&a);
    return r < 0 ? r : 0;
}
