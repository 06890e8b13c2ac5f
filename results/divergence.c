#include "results/divergence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/request.h"
#include "results/pairs.h"
#include "results/store_sql.h"

enum { REPLICATES = 10000 };

#define LEAST 1e-9 /* probability of what is joined: the lists' digits tell no less */

/* What is known in one place. */
struct place {
    double logprob; /* of the scored token */
    struct token_chance top[REQUEST_TOP_MOST];
    int n_top;
};

/* {"123":-0.25,...}; false: it is something else. */
static bool parse_top(const char *p, struct place *ret)
{
    ret->n_top = 0;
    if (!p || *p++ != '{')
        return false;
    while (*p == '"' && ret->n_top < REQUEST_TOP_MOST) {
        char *end;
        long token = strtol(p + 1, &end, 10);
        if (end == p + 1 || token < 0 || token > INT32_MAX || end[0] != '"' || end[1] != ':')
            return false;
        p = end + 2;
        double logprob = strtod(p, &end);
        if (end == p || !(logprob <= 0))
            return false;
        ret->top[ret->n_top++] = (struct token_chance){(int32_t)token, logprob};
        p = *end == ',' ? end + 1 : end;
    }
    return *p == '}' && ret->n_top > 0;
}

static const struct token_chance *find(const struct place *p, int32_t token)
{
    for (int i = 0; i < p->n_top; i++)
        if (p->top[i].token == token)
            return &p->top[i];
    return NULL;
}

/* *remainder: A's probability of the tokens that are joined. */
static double kl_of(const struct place *a, const struct place *b, int32_t token, double *remainder)
{
    double pa = exp(a->logprob), pb = exp(b->logprob), kl = pa * (a->logprob - b->logprob);
    for (int i = 0; i < a->n_top; i++) {
        const struct token_chance *x = &a->top[i], *y = find(b, x->token);
        if (!y || x->token == token)
            continue;
        double p = exp(x->logprob_nats);
        kl += p * (x->logprob_nats - y->logprob_nats);
        pa += p;
        pb += exp(y->logprob_nats);
    }
    *remainder = fmax(1 - pa, LEAST);
    return kl + *remainder * log(*remainder / fmax(1 - pb, LEAST));
}

/* ---- one task ---- */

/* What one token says. */
struct token {
    double kl, logprob_a, logprob_b, remainder;
    bool same_top;
};

enum { KL, SAME_TOP, LOG_RATIO, REMAINDER, N_COLUMNS };

/* Sums over the tokens of a document. */
struct doc_sums {
    double columns[N_COLUMNS], n_tokens;
    int64_t doc_id;
};

struct summing {
    struct divergence *d;
    struct {
        struct doc_sums *items;
        size_t n, cap;
    } docs;
    struct {
        double *items; /* the divergence of each token */
        size_t n, cap;
    } kl;
    double squares; /* of the changes */
};

static void add_token(struct summing *t, int64_t doc_id, const struct token *k)
{
    if (!t->docs.n || t->docs.items[t->docs.n - 1].doc_id != doc_id)
        *ARRAY_PUSH(&t->docs) = (struct doc_sums){.doc_id = doc_id};
    struct doc_sums *sums = &t->docs.items[t->docs.n - 1];
    double change = exp(k->logprob_b) - exp(k->logprob_a);
    sums->columns[KL] += k->kl;
    sums->columns[SAME_TOP] += k->same_top;
    sums->columns[LOG_RATIO] += k->logprob_a - k->logprob_b;
    sums->columns[REMAINDER] += k->remainder;
    sums->n_tokens++;
    *ARRAY_PUSH(&t->kl) = k->kl;
    t->squares += change * change;
    if (fabs(change) > fabs(t->d->largest_change)) {
        t->d->largest_change = change;
        t->d->largest_doc_id = doc_id;
    }
}

/* ---- what both read side by side ---- */

static const char select_exact[] =
    "SELECT sa.doc_id, k.kl, k.logprob_a, k.logprob_b, k.same_top FROM samples sa "
    "JOIN divergences d ON d.sample_a = sa.id JOIN samples sb ON sb.id = d.sample_b "
    "JOIN token_divergences k ON k.divergence = d.id "
    "WHERE sa.evaluation = ?1 AND sb.evaluation = ?2 ORDER BY sa.doc_id, k.position, k.place";

static int read_exact(struct store *s, struct summing *t, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int r =
        sql_query(&s->sql, select_exact, &st, err, "ii", t->d->evaluation_a, t->d->evaluation_b);
    while (r == 0 && (r = sql_step(&s->sql, st, err)) == 1) {
        struct token k = {.kl = sqlite3_column_double(st, 1),
                          .logprob_a = sqlite3_column_double(st, 2),
                          .logprob_b = sqlite3_column_double(st, 3),
                          .same_top = sqlite3_column_int(st, 4) != 0};
        add_token(t, sqlite3_column_int64(st, 0), &k);
        r = 0;
    }
    sqlite3_finalize(st);
    t->d->exact = t->docs.n > 0;
    return r;
}

/* ---- what each scored ---- */

static void add_place(struct summing *t, int64_t doc_id, int32_t token, const struct place *a,
                      const struct place *b)
{
    struct token k = {.logprob_a = a->logprob,
                      .logprob_b = b->logprob,
                      .same_top = a->top[0].token == b->top[0].token};
    k.kl = kl_of(a, b, token, &k.remainder);
    add_token(t, doc_id, &k);
}

static const char select_places[] =
    "SELECT sa.doc_id, ka.token, ka.logprob, ka.top, kb.logprob, kb.top " FROM_PAIRED_SAMPLES
    "JOIN requests ra ON ra.sample = sa.id "
    "JOIN requests rb ON rb.sample = sb.id AND rb.position = ra.position "
    "AND rb.prompt_tokens IS ra.prompt_tokens AND rb.tokens IS ra.tokens "
    "JOIN token_logprobs ka ON ka.sample = sa.id AND ka.position = ra.position "
    "JOIN token_logprobs kb ON kb.sample = sb.id AND kb.position = ra.position "
    "AND kb.place = ka.place WHERE sa.evaluation = ?1 ORDER BY sa.doc_id, ka.position, ka.place";

static int read_places(struct store *s, struct summing *t, struct error *err)
{
    sqlite3_stmt *st = NULL;
    struct place a, b;
    int r =
        sql_query(&s->sql, select_places, &st, err, "ii", t->d->evaluation_a, t->d->evaluation_b);
    while (r == 0 && (r = sql_step(&s->sql, st, err)) == 1) {
        int64_t doc_id = sqlite3_column_int64(st, 0);
        a.logprob = sqlite3_column_double(st, 2);
        b.logprob = sqlite3_column_double(st, 4);
        r = 0;
        if (!parse_top((const char *)sqlite3_column_text(st, 3), &a) ||
            !parse_top((const char *)sqlite3_column_text(st, 5), &b))
            r = error_set(err, E_INPUT,
                          "the store \"%s\" holds no list of log-probabilities where one should "
                          "be: %s, document %lld of evaluations #%lld and #%lld; run them again",
                          s->sql.path, t->d->task, (long long)doc_id, (long long)t->d->evaluation_a,
                          (long long)t->d->evaluation_b);
        else
            add_place(t, doc_id, sqlite3_column_int(st, 1), &a, &b);
    }
    sqlite3_finalize(st);
    return r;
}

static void estimate(struct summing *t)
{
    struct arena a = {0};
    size_t n = t->docs.n;
    double *weight = arena_array(&a, n, sizeof *weight), *columns[N_COLUMNS];
    struct estimate all[N_COLUMNS];
    for (int c = 0; c < N_COLUMNS; c++)
        columns[c] = arena_array(&a, n, sizeof **columns);
    for (size_t i = 0; i < n; i++) {
        weight[i] = t->docs.items[i].n_tokens;
        t->d->n_tokens += (int64_t)weight[i];
        for (int c = 0; c < N_COLUMNS; c++)
            columns[c][i] = t->docs.items[i].columns[c];
    }
    ratio_bootstrap((const double *const *)columns, N_COLUMNS, weight, (int64_t)n, REPLICATES,
                    PAIRS_SEED, all);
    stats_sort(t->kl.items, (int64_t)t->kl.n);
    t->d->kl_median = stats_quantile(t->kl.items, (int64_t)t->kl.n, 0.5);
    t->d->kl_99 = stats_quantile(t->kl.items, (int64_t)t->kl.n, 0.99);
    t->d->kl_most = t->kl.items[t->kl.n - 1];
    t->d->change_rms = sqrt(t->squares / (double)t->kl.n);
    t->d->n_docs = (int64_t)n;
    t->d->kl = all[KL];
    t->d->same_top = all[SAME_TOP];
    t->d->remainder = all[REMAINDER].value;
    t->d->perplexity_ratio = (struct estimate){exp(all[LOG_RATIO].value), exp(all[LOG_RATIO].low),
                                               exp(all[LOG_RATIO].high)};
    arena_free(&a);
}

static int count_tokens(struct store *s, int64_t evaluation, int64_t *ret, struct error *err)
{
    int r = store_run(s,
                      "SELECT count(*) FROM samples s JOIN token_logprobs k ON k.sample = s.id "
                      "WHERE s.evaluation = ?",
                      ret, err, "i", evaluation);
    return r < 0 ? r : 0;
}

static int read_scored(struct store *s, struct arena *arena, struct summing *t,
                       const struct evaluation_pair *pair, struct notes *notes, struct error *err)
{
    int64_t n_a = 0, n_b = 0;
    int r = count_tokens(s, pair->a->id, &n_a, err);
    if (r == 0)
        r = count_tokens(s, pair->b->id, &n_b, err);
    if (r == 0 && n_a && n_b)
        r = read_places(s, t, err);
    if (r == 0 && n_a && n_b && (int64_t)t->kl.n < n_a)
        NOTE(notes, arena,
             "%s: %lld of the %lld tokens that #%lld scored were scored by #%lld behind the same "
             "tokens",
             pair->a->task, (long long)t->kl.n, (long long)n_a, (long long)pair->a->id,
             (long long)pair->b->id);
    return r;
}

static int diverge(struct store *s, struct arena *arena, const struct evaluation_pair *pair,
                   struct divergence *ret, struct notes *notes, struct error *err)
{
    *ret = (struct divergence){
        .task = pair->a->task,
        .task_alias = pair->a->task_alias,
        .setting = setting_text(arena, pair->a),
        .evaluation_a = pair->a->id,
        .evaluation_b = pair->b->id,
    };
    struct summing t = {.d = ret};
    int r = read_exact(s, &t, err);
    if (r == 0 && !ret->exact)
        r = read_scored(s, arena, &t, pair, notes, err);
    if (r == 0 && t.docs.n)
        estimate(&t);
    free(t.docs.items);
    free(t.kl.items);
    return r;
}

int divergence_models(struct store *s, struct arena *arena, const char *a, const char *b,
                      const char *task, struct divergence_list *ret, struct error *err)
{
    struct pairs pairs;
    struct notes notes = {0};
    int r = pairs_find(s, arena, a, b, task, &pairs, &notes, err);
    notes.n = 0; /* compare_models() says the same */
    if (r == 0) {
        *ret = (struct divergence_list){.model_a = pairs.model_a, .model_b = pairs.model_b};
        ret->items = arena_array(arena, pairs.n, sizeof *ret->items);
    }
    for (size_t i = 0; r == 0 && i < pairs.n; i++) {
        r = diverge(s, arena, &pairs.items[i], &ret->items[ret->n], &notes, err);
        if (r == 0 && ret->items[ret->n].n_tokens)
            ret->n++;
    }
    if (r == 0) {
        ret->n_notes = notes.n;
        ret->notes = notes_take(&notes, arena);
    }
    free(notes.items);
    return r;
}
