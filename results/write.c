/* write.c: evaluations, samples, groups and runs become rows. */
#include "results/store.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "metrics/metric.h"
#include "results/store_sql.h"

#define NOW "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"

/* ---- interning ---- */

static const char *or_empty(const char *z)
{
    return z ? z : "";
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static int intern_text(struct store *s, struct str text, int64_t *id, struct error *err)
{
    char hex[HASH_HEX], hash[HASH_HEX / 2];
    hash_bytes(text.p, text.n, hex);
    for (int i = 0; i < HASH_HEX / 2; i++)
        hash[i] = (char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    struct str key = {hash, sizeof hash};
    int r = store_run(s, "SELECT id FROM texts WHERE hash = ?", id, err, "b", key);
    if (r != 0)
        return r < 0 ? r : 0;
    r = store_run(s, "INSERT INTO texts (hash, text) VALUES (?, ?)", NULL, err, "bs", key, text);
    *id = store_added(s);
    return r;
}

static int intern_model(struct store *s, const struct evaluation *e, int64_t *id, struct error *err)
{
    static const char *const steps[] = {
        "SELECT id FROM models WHERE label = ? AND path = ? AND hash = ? AND numerics = ? AND "
        "format = ? AND quant = ? AND n_params = ? AND max_length = ?",
        "INSERT INTO models (label, path, hash, numerics, format, quant, n_params, max_length) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"};
    int r = 0;
    for (int i = 0; i < 2 && r == 0; i++)
        r = store_run(s, steps[i], id, err, "zzzzzzii", or_empty(e->model), or_empty(e->model_path),
                      or_empty(e->model_hash), or_empty(e->numerics), or_empty(e->format),
                      or_empty(e->quant), e->n_params, (int64_t)e->max_length);
    if (r == 0)
        *id = store_added(s);
    return r < 0 ? r : 0;
}

static int intern_task(struct store *s, const struct evaluation *e, int64_t *id, struct error *err)
{
    int64_t config;
    int r = intern_text(s, str_of(or_empty(e->config_json)), &config, err);
    if (r < 0)
        return r;
    static const char *const steps[] = {
        "SELECT id FROM tasks WHERE name = ? AND alias = ? AND version = ? AND hash = ? AND "
        "data_hash = ? AND output_type = ? AND n_docs = ? AND config = ?",
        "INSERT INTO tasks (name, alias, version, hash, data_hash, output_type, n_docs, config) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"};
    for (int i = 0; i < 2 && r == 0; i++)
        r = store_run(s, steps[i], id, err, "zzzzzzii", or_empty(e->task),
                      or_empty(e->task_alias ? e->task_alias : e->task), or_empty(e->task_version),
                      or_empty(e->task_hash), or_empty(e->data_hash), or_empty(e->output_type),
                      e->n_docs, config);
    if (r == 0)
        *id = store_added(s);
    return r < 0 ? r : 0;
}

static int intern_measure(struct store *s, const char *metric, const char *filter, int64_t *id,
                          struct error *err)
{
    for (size_t i = 0; i < s->measures.n; i++) {
        const struct measure_id *m = &s->measures.items[i];
        if (strcmp(m->metric, metric) == 0 && strcmp(m->filter, filter) == 0) {
            *id = m->id;
            return 0;
        }
    }
    const struct metric_info *info = metric_find(metric);
    int r = store_run(s, "SELECT id FROM measures WHERE metric = ? AND filter = ?", id, err, "zz",
                      metric, filter);
    if (r == 0) {
        r = store_run(s, "INSERT INTO measures (metric, filter, higher_is_better) VALUES (?, ?, ?)",
                      NULL, err, "zzi", metric, filter,
                      (int64_t)(info ? info->higher_is_better : true));
        *id = store_added(s);
    }
    if (r < 0)
        return r;
    *ARRAY_PUSH(&s->measures) = (struct measure_id){mem_strdup(metric), mem_strdup(filter), *id};
    return 0;
}

/* ---- evaluations ---- */

static int write_evaluation(struct store *s, const struct evaluation *e, int64_t *id,
                            struct error *err)
{
    int64_t model, task;
    int r = intern_model(s, e, &model, err);
    if (r == 0)
        r = intern_task(s, e, &task, err);
    if (r == 0)
        r = store_run(s, "SELECT id FROM evaluations WHERE hash = ?", id, err, "z", e->hash);
    if (r == 1)
        return store_run(
            s, "UPDATE evaluations SET model = ?, task = ?, last_used = " NOW " WHERE id = ?", NULL,
            err, "iii", model, task, *id);
    if (r < 0)
        return r;
    r = store_run(s,
                  "INSERT INTO evaluations (hash, model, task, num_fewshot, fewshot_seed, "
                  "chat_template_hash, fewshot_as_multiturn, system_instruction, source, created, "
                  "last_used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, " NOW ", " NOW ")",
                  NULL, err, "ziiiizisr", e->hash, model, task, (int64_t)e->num_fewshot,
                  e->fewshot_seed, or_empty(e->chat_template_hash),
                  (int64_t)e->fewshot_as_multiturn, str_of(or_empty(e->system_instruction)),
                  e->source);
    *id = store_added(s);
    return r;
}

int store_evaluation(struct store *s, const struct evaluation *e, int64_t *id, struct error *err)
{
    bool own;
    int64_t found = 0;
    int r = store_begin_own(s, &own, err);
    if (r == 0)
        r = write_evaluation(s, e, &found, err);
    r = store_end_own(s, own, r, err);
    if (r == 0)
        *id = found;
    return r;
}

/* ---- samples ---- */

int store_has_sample(struct store *s, int64_t evaluation, int64_t doc_id, struct error *err)
{
    return store_run(s,
                     "SELECT 1 FROM samples WHERE evaluation = ? AND doc_id = ? AND error IS NULL",
                     NULL, err, "ii", evaluation, doc_id);
}

int store_has_top(struct store *s, int64_t evaluation, int64_t doc_id, int n_top, struct error *err)
{
    return store_run(s,
                     "SELECT 1 FROM samples s JOIN token_logprobs k ON k.sample = s.id "
                     "AND k.position = 0 AND k.place = 0 WHERE s.evaluation = ? AND s.doc_id = ? "
                     "AND (SELECT count(*) FROM json_each(k.top)) >= ?",
                     NULL, err, "iii", evaluation, doc_id, (int64_t)n_top);
}

/* Token ids as a JSON array, so that plain SQL can take them apart with json_each. */
static int intern_tokens(struct store *s, const int32_t *tokens, int n, int64_t *id,
                         struct error *err)
{
    s->scratch.n = 0;
    buf_char(&s->scratch, '[');
    for (int i = 0; i < n; i++)
        buf_printf(&s->scratch, i ? ",%d" : "%d", (int)tokens[i]);
    buf_char(&s->scratch, ']');
    return intern_text(s, buf_view(&s->scratch), id, err);
}

/* Ids of the texts of a request; 0: it has none. */
struct request_texts {
    struct str prompt_text;
    int64_t prompt, continuation, response, prompt_tokens, tokens;
};

static int intern_request(struct store *s, const struct request_row *q, struct request_texts *t,
                          struct error *err)
{
    int r = 0;
    bool same = t->prompt && str_eq(t->prompt_text, q->prompt); /* choices share their prompt */
    if (!same)
        r = intern_text(s, q->prompt, &t->prompt, err);
    t->prompt_text = q->prompt;
    t->continuation = t->response = t->prompt_tokens = t->tokens = 0;
    if (r == 0 && q->continuation.n)
        r = intern_text(s, q->continuation, &t->continuation, err);
    if (r == 0 && isnan(q->logprob_nats))
        r = intern_text(s, q->response, &t->response, err);
    if (r < 0 || !q->tokens)
        return r;
    int before = q->n_tokens_prompt < q->n_tokens ? q->n_tokens_prompt : q->n_tokens;
    r = intern_tokens(s, q->tokens, before, &t->prompt_tokens, err);
    return r < 0 ? r : intern_tokens(s, q->tokens + before, q->n_tokens - before, &t->tokens, err);
}

static int add_requests(struct store *s, int64_t sample, const struct sample_row *row,
                        struct error *err)
{
    struct request_texts t = {0};
    for (int i = 0; i < row->n_requests; i++) {
        const struct request_row *q = &row->requests[i];
        int r = intern_request(s, q, &t, err);
        if (r == 0)
            r = store_run(
                s,
                "INSERT INTO requests (sample, position, idx, unconditional, prompt, continuation, "
                "response, logprob, is_greedy, n_chars, n_bytes, n_tokens_prompt, n_tokens_scored, "
                "n_tokens_generated, n_truncated, time_ns, finish, prompt_tokens, tokens) VALUES "
                "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                NULL, err, "iiiiirrdiiiiiiiizrr", sample, (int64_t)i, (int64_t)q->idx,
                (int64_t)q->unconditional, t.prompt, t.continuation, t.response, q->logprob_nats,
                (int64_t)q->is_greedy, (int64_t)q->n_chars, (int64_t)q->n_bytes,
                (int64_t)q->n_tokens_prompt, (int64_t)q->n_tokens_scored,
                (int64_t)q->n_tokens_generated, (int64_t)q->n_truncated, q->time_ns,
                or_empty(q->finish), t.prompt_tokens, t.tokens);
        if (r < 0)
            return r;
    }
    return 0;
}

/* {"token id": log-probability, ...}; eight digits, as much as single precision holds. */
static struct str chances_json(struct buf *b, const struct token_chance *top, int n)
{
    b->n = 0;
    buf_char(b, '{');
    for (int i = 0; i < n && top[i].token >= 0; i++)
        buf_printf(b, i ? ",\"%d\":%.8g" : "\"%d\":%.8g", (int)top[i].token, top[i].logprob_nats);
    buf_char(b, '}');
    return buf_view(b);
}

static int add_tokens(struct store *s, int64_t sample, const struct sample_row *row,
                      struct error *err)
{
    for (int i = 0; i < row->n_requests; i++) {
        const struct request_row *q = &row->requests[i];
        for (int t = 0; q->scored && t < q->n_tokens_scored; t++) {
            struct str top =
                chances_json(&s->scratch, q->top + (size_t)t * (size_t)q->n_top, q->n_top);
            int r = store_run(s,
                              "INSERT INTO token_logprobs (sample, position, place, token, "
                              "logprob, top) VALUES (?, ?, ?, ?, ?, ?)",
                              NULL, err, "iiiids", sample, (int64_t)i, (int64_t)t,
                              (int64_t)q->scored[t].token, q->scored[t].logprob_nats, top);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* [12,11,0.5]; NULL, which SQL has too, where there are none. */
static const char *parts_json(struct buf *b, const double *parts, int n)
{
    if (!parts)
        return NULL;
    b->n = 0;
    for (int i = 0; i < n; i++) {
        buf_char(b, i ? ',' : '[');
        buf_printf(b, "%.17g", parts[i]);
    }
    buf_char(b, ']');
    return b->p;
}

static int add_scores(struct store *s, int64_t sample, const struct sample_row *row,
                      struct error *err)
{
    for (int i = 0; i < row->n_scores; i++) {
        const struct score_row *c = &row->scores[i];
        int64_t measure;
        int r = intern_measure(s, c->metric, c->filter, &measure, err);
        if (r == 0)
            r = store_run(s,
                          "INSERT INTO scores (sample, measure, value, weight, parts) "
                          "VALUES (?, ?, ?, ?, ?)",
                          NULL, err, "iiddz", sample, measure, c->value, c->weight,
                          parts_json(&s->scratch, c->parts, c->n_parts));
        if (r < 0)
            return r;
    }
    return 0;
}

/* The requests of a stored sample, as they are. */
static int copy_requests(struct store *s, int64_t sample, int64_t recorded, struct error *err)
{
#define REQUEST_COLUMNS                                                                            \
    "position, idx, unconditional, prompt, continuation, response, logprob, is_greedy, n_chars, "  \
    "n_bytes, n_tokens_prompt, n_tokens_scored, n_tokens_generated, n_truncated, time_ns, "        \
    "finish, prompt_tokens, tokens"
    int r = store_run(s,
                      "INSERT INTO requests (sample, " REQUEST_COLUMNS
                      ") SELECT ?, " REQUEST_COLUMNS " FROM requests WHERE sample = ?",
                      NULL, err, "ii", sample, recorded);
    if (r == 0)
        r = store_run(s,
                      "INSERT INTO token_logprobs (sample, position, place, token, logprob, top) "
                      "SELECT ?, position, place, token, logprob, top FROM token_logprobs "
                      "WHERE sample = ?",
                      NULL, err, "ii", sample, recorded);
    return r;
}

static int sample_document(struct store *s, const struct sample_row *row, int64_t *doc,
                           struct error *err)
{
    if (!row->recorded)
        return intern_text(s, row->doc_json, doc, err);
    int r = store_run(s, "SELECT doc FROM samples WHERE id = ?", doc, err, "i", row->recorded);
    return r == 0 ? error_set(err, E_INPUT, "the store \"%s\" has no sample %lld to take over",
                              s->sql.path, (long long)row->recorded)
                  : (r < 0 ? r : 0);
}

static int write_sample(struct store *s, int64_t evaluation, const struct sample_row *row,
                        struct error *err)
{
    int64_t old, doc;
    int r = store_run(s, "SELECT id FROM samples WHERE evaluation = ? AND doc_id = ?", &old, err,
                      "ii", evaluation, row->doc_id);
    if (r == 1)
        r = store_run(s, "DELETE FROM samples WHERE id = ?", NULL, err, "i", old);
    if (r == 0)
        r = store_run(s, "DELETE FROM aggregates WHERE evaluation = ? AND n_eval > ?", NULL, err,
                      "ii", evaluation, row->doc_id);
    if (r == 0)
        r = sample_document(s, row, &doc, err);
    if (r < 0)
        return r;
    struct str filtered = row->filtered_json.n ? row->filtered_json : STR("{}");
    r = store_run(s,
                  "INSERT INTO samples (evaluation, doc_id, doc, target, filtered, error) VALUES "
                  "(?, ?, ?, ?, ?, ?)",
                  NULL, err, "iiissz", evaluation, row->doc_id, doc, row->target, filtered,
                  row->error);
    int64_t sample = store_added(s);
    if (r == 0 && row->recorded)
        r = copy_requests(s, sample, row->recorded, err);
    else if (r == 0)
        r = add_requests(s, sample, row, err);
    if (r == 0 && !row->recorded)
        r = add_tokens(s, sample, row, err);
    return r < 0 ? r : add_scores(s, sample, row, err);
}

int store_sample(struct store *s, int64_t evaluation, const struct sample_row *row,
                 struct error *err)
{
    bool own;
    int r = store_begin_own(s, &own, err);
    if (r == 0)
        r = write_sample(s, evaluation, row, err);
    return store_end_own(s, own, r, err);
}

/* ---- groups and runs ---- */

static int write_group(struct store *s, const struct group_row *g, struct error *err)
{
    int r = store_run(s, "DELETE FROM groups WHERE name = ?", NULL, err, "z", g->name);
    if (r == 0)
        r = store_run(s, "INSERT INTO groups (name, alias) VALUES (?, ?)", NULL, err, "zz", g->name,
                      g->alias ? g->alias : g->name);
    int64_t id = store_added(s);
    for (int i = 0; r == 0 && i < g->n_tasks; i++)
        r = store_run(s, "INSERT INTO group_members (grp, position, task) VALUES (?, ?, ?)", NULL,
                      err, "iiz", id, (int64_t)i, g->tasks[i]);
    for (int i = 0; r == 0 && i < g->n_measures; i++)
        r = store_run(s,
                      "INSERT OR REPLACE INTO group_aggregates (grp, metric, weight_by_size) "
                      "VALUES (?, ?, ?)",
                      NULL, err, "izi", id, g->measures[i].metric,
                      (int64_t)g->measures[i].weight_by_size);
    for (int i = 0; r == 0 && i < g->n_terms; i++)
        r = store_run(s,
                      "INSERT INTO group_terms (grp, position, benchmark, task, metric, filter, "
                      "baseline, weight_by_size) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                      NULL, err, "iizzzzdi", id, (int64_t)i, g->terms[i].benchmark,
                      g->terms[i].task, g->terms[i].metric, g->terms[i].filter,
                      g->terms[i].baseline, (int64_t)g->terms[i].by_size);
    return r;
}

int store_group(struct store *s, const struct group_row *group, struct error *err)
{
    bool own;
    int r = store_begin_own(s, &own, err);
    if (r == 0)
        r = write_group(s, group, err);
    return store_end_own(s, own, r, err);
}

int store_run_begin(struct store *s, const char *command_line, int64_t *id, struct error *err)
{
    int r = store_run(s, "INSERT INTO runs (command_line, pid, started) VALUES (?, ?, " NOW ")",
                      NULL, err, "zi", or_empty(command_line), (int64_t)getpid());
    if (r == 0)
        *id = store_added(s);
    return r;
}

int store_run_end(struct store *s, int64_t id, int exit_code, int64_t tokens_computed,
                  double seconds, struct error *err)
{
    return store_run(s,
                     "UPDATE runs SET ended = " NOW
                     ", exit_code = ?, tokens_computed = ?, seconds = ? WHERE id = ?",
                     NULL, err, "iidi", (int64_t)exit_code, tokens_computed, seconds, id);
}

int store_run_evaluation(struct store *s, int64_t run_id, int64_t evaluation, int64_t n_eval,
                         struct error *err)
{
    return store_run(
        s, "INSERT OR REPLACE INTO run_evaluations (run, evaluation, n_eval) VALUES (?, ?, ?)",
        NULL, err, "iii", run_id, evaluation, n_eval);
}

static double or_nan(double x)
{
    return x > 0 ? x : NAN; /* NaN is NULL */
}

int store_run_model(struct store *s, int64_t run_id, int64_t evaluation, const struct model_cost *c,
                    struct error *err)
{
    return store_run(s,
                     "INSERT OR REPLACE INTO run_models (run, model, stored_bytes, held_bytes, "
                     "prefill, decode) VALUES (?, (SELECT model FROM evaluations WHERE id = ?), "
                     "?, ?, ?, ?)",
                     NULL, err, "iirrdd", run_id, evaluation, c->stored_bytes, c->held_bytes,
                     or_nan(c->prefill), or_nan(c->decode));
}

/* ---- divergence ---- */

#define OF_BOTH                                                                                    \
    "FROM samples sa JOIN samples sb ON sb.doc_id = sa.doc_id "                                    \
    "WHERE sa.evaluation = ?1 AND sb.evaluation = ?2 AND sa.doc_id = ?3 "

static int write_divergence(struct store *s, int64_t a, int64_t b, int64_t doc_id,
                            const struct divergence_row *rows, int n, struct error *err)
{
    int r = store_run(s, "SELECT 1 " OF_BOTH, NULL, err, "iii", a, b, doc_id);
    if (r == 0)
        return error_set(err, E_INPUT,
                         "there is no sample of document %lld in both #%lld and #%lld",
                         (long long)doc_id, (long long)a, (long long)b);
    if (r > 0)
        r = store_run(s,
                      "DELETE FROM divergences WHERE (sample_a, sample_b) IN "
                      "(SELECT sa.id, sb.id " OF_BOTH ")",
                      NULL, err, "iii", a, b, doc_id);
    if (r == 0)
        r = store_run(s,
                      "INSERT INTO divergences (sample_a, sample_b) SELECT sa.id, sb.id " OF_BOTH,
                      NULL, err, "iii", a, b, doc_id);
    int64_t id = store_added(s);
    for (int i = 0; r == 0 && i < n; i++)
        r = store_run(s,
                      "INSERT INTO token_divergences (divergence, position, place, token, "
                      "logprob_a, logprob_b, kl, same_top) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                      NULL, err, "iiiidddi", id, (int64_t)rows[i].position, (int64_t)rows[i].place,
                      (int64_t)rows[i].token, rows[i].logprob_a, rows[i].logprob_b, rows[i].kl,
                      (int64_t)rows[i].same_top);
    return r;
}

int store_divergence(struct store *s, int64_t evaluation_a, int64_t evaluation_b, int64_t doc_id,
                     const struct divergence_row *rows, int n, struct error *err)
{
    bool own;
    int r = store_begin_own(s, &own, err);
    if (r == 0)
        r = write_divergence(s, evaluation_a, evaluation_b, doc_id, rows, n, err);
    return store_end_own(s, own, r, err);
}

int store_has_divergence(struct store *s, int64_t evaluation_a, int64_t evaluation_b,
                         int64_t doc_id, struct error *err)
{
    return store_run(s,
                     "SELECT 1 FROM divergences WHERE (sample_a, sample_b) IN "
                     "(SELECT sa.id, sb.id " OF_BOTH ")",
                     NULL, err, "iii", evaluation_a, evaluation_b, doc_id);
}

int store_run_failure(struct store *s, int64_t run_id, const char *model, const char *task,
                      const char *error, struct error *err)
{
    return store_run(
        s, "INSERT OR REPLACE INTO run_failures (run, model, task, error) VALUES (?, ?, ?, ?)",
        NULL, err, "izzz", run_id, model, task, error);
}
