#include "harness/divergence.h"

#include <math.h>
#include <stdlib.h>

enum { COMMIT_DOCUMENTS = 32 };

struct measuring {
    const struct divergence_side *a, *b;
    struct store *store;
    struct progress *progress;
    int n_open;       /* documents in the open transaction */
    int64_t n_before; /* tokens computed */
};

/* The documents of a pair of evaluations that are not measured yet. */
static int find_missing(struct store *s, const struct planned *x, const struct planned *y,
                        unsigned char *done, int64_t *n_missing, struct error *err)
{
    *n_missing = 0;
    for (int64_t doc = 0; doc < x->info->n_eval; doc++) {
        int r = store_has_divergence(s, x->id, y->id, doc, err);
        if (r < 0)
            return r;
        done[doc] = r == 1;
        *n_missing += r == 0;
    }
    return 0;
}

static int commit(struct measuring *m, int least, struct error *err)
{
    if (m->n_open < least)
        return 0;
    m->n_open = 0;
    return store_commit(m->store, err);
}

static int store_rows(struct measuring *m, const struct planned *x, const struct planned *y,
                      int64_t doc, const struct token_divergence *t, int n, struct error *err)
{
    struct divergence_row *rows = mem_alloc((size_t)n, sizeof *rows);
    for (int i = 0; i < n; i++)
        rows[i] = (struct divergence_row){t[i].position,  t[i].place, t[i].token,   t[i].logprob_a,
                                          t[i].logprob_b, t[i].kl,    t[i].same_top};
    int r = m->n_open ? 0 : store_begin(m->store, err);
    if (r == 0) {
        m->n_open++;
        r = store_divergence(m->store, x->id, y->id, doc, rows, n, err);
    }
    free(rows);
    return r < 0 ? r : commit(m, COMMIT_DOCUMENTS, err);
}

static double mean_kl(const struct token_divergence *t, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += t[i].kl;
    return n ? sum / n : NAN;
}

static int measure_document(struct measuring *m, const struct planned *x, const struct planned *y,
                            int64_t doc, struct error *err)
{
    struct arena a = {0};
    struct asked q = {0}, before = {0};
    struct error bad;
    struct token_divergence *tokens = NULL;
    int n = 0, r = 0;
    if (task_ask(x->task, &a, doc, &q, &bad) == 0) { /* else the run has said why */
        if (doc == 0 || task_ask(x->task, &a, doc - 1, &before, &bad) < 0)
            before = (struct asked){0};
        struct divergence_texts texts = {q.requests, before.requests, q.n_requests,
                                         before.n_requests};
        r = backend_divergence(m->a->backend, m->b->backend, &texts, &a, &tokens, &n, err);
        if (r == 0)
            r = store_rows(m, x, y, doc, tokens, n, err);
        if (r == 0)
            progress_document(m->progress, x->info->name, "kl", mean_kl(tokens, n));
    }
    arena_free(&a);
    return r;
}

/* Of both models together: what the machine does. */
static int64_t tokens_computed(const struct measuring *m)
{
    return backend_stats(m->a->backend).tokens_computed +
           backend_stats(m->b->backend).tokens_computed;
}

static void tell_progress(struct measuring *m)
{
    int64_t n = tokens_computed(m) - m->n_before;
    progress_engine(m->progress, &(struct engine_progress){.computed = n, .asked = n});
}

static int measure_task(struct measuring *m, const struct planned *x, const struct planned *y,
                        const unsigned char *done, struct error *err)
{
    int r = 0;
    for (int64_t doc = 0; doc < x->info->n_eval && r == 0 && !runner_interrupted; doc++) {
        if (done[doc])
            continue;
        r = measure_document(m, x, y, doc, err);
        tell_progress(m);
    }
    return r;
}

static int measure_all(struct measuring *m, unsigned char *const *done, struct error *err)
{
    const struct plan *p = m->a->plan;
    int r = 0;
    m->n_before = tokens_computed(m);
    for (int i = 0; i < p->n && r == 0; i++)
        if (done[i])
            r = measure_task(m, &p->items[i], &m->b->plan->items[i], done[i], err);
    if (r < 0) {
        store_rollback(m->store);
        return r;
    }
    return commit(m, 1, err);
}

int divergence_run(const struct divergence_side *a, const struct divergence_side *b,
                   struct store *s, struct progress *p, struct error *err)
{
    struct measuring m = {.a = a, .b = b, .store = s, .progress = p};
    struct arena names = {0};
    int n = a->plan->n, r = 0;
    int64_t n_missing = 0, n_all = 0, missing;
    unsigned char **done = mem_alloc((size_t)n, sizeof *done);
    for (int i = 0; i < n && r == 0; i++) {
        const struct planned *x = &a->plan->items[i], *y = &b->plan->items[i];
        if (!x->task || !y->task)
            continue; /* a group, or left out */
        done[i] = mem_alloc((size_t)x->info->n_eval + 1, 1);
        r = find_missing(s, x, y, done[i], &missing, err);
        n_missing += missing;
        n_all += x->info->n_eval;
    }
    if (r == 0) {
        const char *title = arena_printf(&names, "%s against %s", backend_info(b->backend)->name,
                                         backend_info(a->backend)->name);
        progress_begin(p, title, n_missing, n_all - n_missing);
        r = measure_all(&m, done, err);
        progress_end(p);
    }
    for (int i = 0; i < n; i++)
        free(done[i]);
    free(done);
    arena_free(&names);
    return r < 0 || !runner_interrupted ? r : runner_was_interrupted(err);
}
