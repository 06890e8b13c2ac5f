#include "harness/runner.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "harness/queue.h"

atomic_bool runner_interrupted;

enum {
    N_JOBS = 384,         /* documents between rendering and storing */
    COMMIT_SAMPLES = 256, /* kill -9 loses at most so many */
};

/* A document on its way. It belongs to the stage whose queue it was last popped from. */
struct job {
    struct arena arena; /* everything below that it points to */
    struct planned *evaluation;
    struct asked asked;
    struct prepared **prepared; /* [asked.n_requests]; NULL: none, or the backend has taken it */
    struct response *responses; /* likewise */
    int n_pending;              /* requests that the backend still has */
    struct scored scored;
    const char *error; /* NULL: none yet */
    bool bad_row;      /* it could not be asked */
};

struct runner {
    struct backend *backend;
    struct store *store;
    struct planned *evaluations;
    int n_evaluations;
    struct progress *progress;
    int n_top;
    struct job jobs[N_JOBS];
    struct queue idle, asked, answered, scored; /* each stage's input, named for what is in it */
    atomic_bool stop;                           /* a stage failed for good */
    struct error store_error;
};

static bool stopped(const struct runner *r)
{
    return runner_interrupted || atomic_load(&r->stop);
}

static void keep_error(struct job *j, const char *msg)
{
    if (!j->error)
        j->error = arena_copy(&j->arena, msg, strlen(msg));
}

static void job_free(struct job *j)
{
    for (int i = 0; j->prepared && i < j->asked.n_requests; i++)
        backend_drop(j->prepared[i]);
    arena_free(&j->arena);
}

/* ---- prepare ---- */

/* The document's requests become tokens here, beside the engine. */
static void tokenize(struct runner *r, struct job *j)
{
    size_t n = (size_t)j->asked.n_requests;
    j->responses = arena_array(&j->arena, n, sizeof *j->responses);
    j->prepared = arena_array(&j->arena, n, sizeof *j->prepared);
    for (size_t i = 0; i < n; i++) {
        struct error err = {0};
        j->asked.requests[i].n_top = r->n_top;
        if (backend_prepare(r->backend, &j->asked.requests[i], &j->prepared[i], &err) < 0)
            keep_error(j, err.msg);
    }
}

static void ask(struct runner *r, struct planned *e, int64_t doc)
{
    int index = queue_pop(&r->idle, true);
    if (index < 0)
        return;
    struct job *j = &r->jobs[index];
    job_free(j);
    *j = (struct job){.evaluation = e};
    struct error err = {0};
    if (task_ask(e->task, &j->arena, doc, &j->asked, &err) < 0) {
        j->asked = (struct asked){.doc_id = doc};
        j->error = arena_copy(&j->arena, err.msg, strlen(err.msg));
        j->bad_row = true;
        queue_push(&r->scored, index);
        return;
    }
    tokenize(r, j);
    queue_push(&r->asked, index);
}

static void *prepare_stage(void *arg)
{
    struct runner *r = arg;
    for (int i = 0; i < r->n_evaluations && !stopped(r); i++) {
        struct planned *e = &r->evaluations[i];
        for (int64_t doc = 0; doc < e->info->n_eval && !stopped(r); doc++) {
            if (!planned_done(e, doc))
                ask(r, e, doc);
        }
    }
    queue_close(&r->asked);
    return NULL;
}

/* ---- backend: the caller's thread ---- */

static void submit(struct runner *r, int index)
{
    struct job *j = &r->jobs[index];
    for (int i = 0; i < j->asked.n_requests; i++) {
        if (!j->prepared[i])
            continue;
        backend_ask(r->backend, j->prepared[i], (uint64_t)index << 32 | (uint32_t)i);
        j->prepared[i] = NULL;
        j->n_pending++;
    }
    if (j->n_pending == 0)
        queue_push(&r->answered, index);
}

static const void *copy(struct arena *a, const void *p, size_t n)
{
    return arena_copy(a, p, n);
}

static void take_completion(struct runner *r, const struct completion *c)
{
    int index = (int)(c->tag >> 32);
    struct job *j = &r->jobs[index];
    struct response *to = &j->responses[(uint32_t)c->tag];
    *to = c->response;
    to->text = str_copy(&j->arena, c->response.text);
    to->tokens =
        copy(&j->arena, c->response.tokens, (size_t)c->response.n_tokens * sizeof(int32_t));
    if (c->response.scored) {
        size_t n = (size_t)c->response.n_tokens_scored, k = (size_t)c->response.n_top;
        to->scored = copy(&j->arena, c->response.scored, n * sizeof *to->scored);
        to->top = copy(&j->arena, c->response.top, n * k * sizeof *to->top);
    }
    if (c->response.error)
        keep_error(j, c->response.error_msg ? c->response.error_msg : "the request failed");
    if (--j->n_pending == 0)
        queue_push(&r->answered, index);
}

/* The next document to ask; -1: none now, or ever where the backend has nothing else to do. Waiting
 * for the last of them, which is none, is no wait. */
static int next_asked(struct runner *r, struct engine_progress *e)
{
    bool idle = backend_in_flight(r->backend) == 0;
    if (backend_room(r->backend) == 0 && !idle)
        return -1;
    double begun = now_seconds();
    int index = queue_pop(&r->asked, idle);
    if (index >= 0)
        e->seconds_waited += now_seconds() - begun;
    return index;
}

static void tell_progress(struct runner *r, const struct backend_stats *before,
                          struct engine_progress *e)
{
    struct backend_stats s = backend_stats(r->backend);
    e->computed = s.tokens_computed - before->tokens_computed;
    e->asked = s.tokens_asked - before->tokens_asked;
    progress_engine(r->progress, e);
}

static int backend_stage(struct runner *r, struct error *err)
{
    enum { MAX = 256 };
    struct completion done[MAX];
    struct arena scratch = {0};
    struct backend_stats before = backend_stats(r->backend);
    struct engine_progress progress = {0};
    int result = 0;
    while (!stopped(r)) {
        int index = next_asked(r, &progress);
        if (index >= 0) {
            submit(r, index);
            continue;
        }
        if (backend_in_flight(r->backend) == 0)
            break; /* the queue is closed and empty */
        arena_free(&scratch);
        int n = backend_poll(r->backend, &scratch, done, MAX, err);
        if (n < 0) {
            result = n;
            break;
        }
        for (int i = 0; i < n; i++)
            take_completion(r, &done[i]);
        tell_progress(r, &before, &progress);
    }
    arena_free(&scratch);
    return result;
}

/* ---- score ---- */

static void *score_stage(void *arg)
{
    struct runner *r = arg;
    for (int index; (index = queue_pop(&r->answered, true)) >= 0;) {
        struct job *j = &r->jobs[index];
        struct error err = {0};
        if (!j->error && task_score(j->evaluation->task, &j->arena, &j->asked, j->responses,
                                    &j->scored, &err) < 0)
            keep_error(j, err.msg);
        queue_push(&r->scored, index);
    }
    return NULL;
}

/* ---- store ---- */

static const char *finish_name(enum finish_reason f)
{
    static const char *const names[] = {[FINISH_NONE] = "",
                                        [FINISH_EOS] = "eos",
                                        [FINISH_STOP] = "stop",
                                        [FINISH_LENGTH] = "length"};
    return names[f];
}

static struct request_row request_row(const struct asked *q, int i, const struct response *a)
{
    const struct request *r = &q->requests[i];
    bool generated = r->kind == REQUEST_GENERATE_UNTIL;
    struct str text = r->kind == REQUEST_LOGLIKELIHOOD_ROLLING ? r->context
                      : r->idx < q->n_choices                  ? q->choices[r->idx]
                                                               : r->continuation;
    return (struct request_row){
        .idx = r->idx,
        .unconditional = r->unconditional,
        .prompt = r->context,
        .continuation = r->continuation,
        .response = a->text,
        .logprob_nats = generated ? NAN : a->logprob_nats,
        .is_greedy = a->is_greedy,
        .n_chars = generated ? 0 : (int)utf8_len(text),
        .n_bytes = generated ? 0 : (int)text.n,
        .n_tokens_prompt = a->n_tokens_prompt,
        .n_tokens_scored = a->n_tokens_scored,
        .n_tokens_generated = a->n_tokens_generated,
        .n_truncated = a->n_truncated,
        .time_ns = a->time_ns,
        .finish = finish_name(a->finish),
        .tokens = a->tokens,
        .n_tokens = a->n_tokens,
        .scored = a->scored,
        .top = a->top,
        .n_top = a->n_top,
    };
}

static struct str filtered_json(struct arena *a, const struct scored *s)
{
    struct value *all = value_dict(a);
    for (int i = 0; i < s->n_filtered; i++)
        dict_set(a, all, s->filtered[i].filter, s->filtered[i].resps);
    return json_text(a, all);
}

void sample_row_fill(struct arena *a, const struct asked *q, const struct response *responses,
                     const struct scored *scored, const char *error, struct sample_row *ret)
{
    *ret = (struct sample_row){
        .doc_id = q->doc_id,
        .doc_json = q->doc ? json_text(a, q->doc) : STR("null"),
        .target = q->target,
        .error = error,
        .filtered_json = STR("{}"),
    };
    if (responses) {
        ret->n_requests = q->n_requests;
        ret->requests = arena_array(a, (size_t)q->n_requests, sizeof *ret->requests);
        for (int i = 0; i < q->n_requests; i++)
            ret->requests[i] = request_row(q, i, &responses[i]);
    }
    if (error)
        return;
    ret->filtered_json = filtered_json(a, scored);
    ret->n_scores = scored->n_scores;
    ret->scores = arena_array(a, (size_t)scored->n_scores, sizeof *ret->scores);
    for (int i = 0; i < scored->n_scores; i++) {
        const struct score *s = &scored->scores[i];
        ret->scores[i] =
            (struct score_row){s->metric, s->filter, s->value, s->weight, s->parts, s->n_parts};
    }
}

static int store_job(struct runner *r, struct job *j, struct error *err)
{
    struct sample_row row;
    sample_row_fill(&j->arena, &j->asked, j->responses, &j->scored, j->error, &row);
    struct planned *e = j->evaluation;
    if (j->bad_row && e->n_bad_rows++ == 0)
        snprintf(e->first_bad_row, sizeof e->first_bad_row, "%s", j->error);
    else if (j->error && !j->bad_row && e->n_failed++ == 0)
        snprintf(e->first_error, sizeof e->first_error, "%s", j->error);
    int result = store_sample(r->store, e->id, &row, err);
    if (result == 0)
        progress_document(r->progress, e->info->name, row.n_scores ? row.scores[0].metric : "",
                          row.n_scores ? row.scores[0].value : NAN);
    return result;
}

/* Commits when there is a batch, or when nothing more is at hand: then nothing waits unsaved. */
static void *store_stage(void *arg)
{
    struct runner *r = arg;
    struct error *err = &r->store_error;
    int n = 0; /* samples in the open transaction */
    for (;;) {
        int index = queue_pop(&r->scored, n == 0), result = 0;
        if (index < 0 && n == 0)
            return NULL; /* closed and empty */
        if (index >= 0 && err->code == 0) {
            result = n == 0 ? store_begin(r->store, err) : 0;
            if (result == 0)
                result = store_job(r, &r->jobs[index], err);
            n++;
        }
        if (result == 0 && err->code == 0 && (index < 0 || n >= COMMIT_SAMPLES)) {
            result = store_commit(r->store, err);
            n = 0;
        }
        if (result < 0) {
            atomic_store(&r->stop, true); /* from here on, jobs are only handed back */
            n = 0;
        }
        if (index >= 0)
            queue_push(&r->idle, index);
    }
}

/* ---- all together ---- */

enum { PREPARE, STORE, FIRST_SCORE, MAX_SCORE = 64 }; /* places in the list of threads */

struct thread {
    pthread_t id;
    bool runs;
};

static int start(struct runner *r, struct thread *threads, int n, struct error *err)
{
    for (int i = 0; i < n; i++) {
        void *(*stage)(void *) = i == PREPARE ? prepare_stage
                                 : i == STORE ? store_stage
                                              : score_stage;
        int e = pthread_create(&threads[i].id, NULL, stage, r);
        threads[i].runs = e == 0;
        if (e != 0)
            return error_set(err, E_MEMORY,
                             "cannot start a thread: %s; the limit on processes (ulimit -u) or on "
                             "memory is too low",
                             strerror(e));
    }
    return 0;
}

static void join(struct thread *t)
{
    if (t->runs)
        pthread_join(t->id, NULL);
}

int runner_was_interrupted(struct error *err)
{
    return error_set(err, E_INTERRUPTED,
                     "interrupted: what was answered is stored; run the same command again to go "
                     "on");
}

int runner_run(struct backend *b, struct store *s, struct planned *evaluations, int n,
               const struct runner_options *o, struct progress *p, struct error *err)
{
    struct runner *r = mem_alloc(1, sizeof *r);
    r->backend = b;
    r->store = s;
    r->evaluations = evaluations;
    r->n_evaluations = n;
    r->progress = p;
    r->n_top = o->n_top;
    struct queue *queues[] = {&r->idle, &r->asked, &r->answered, &r->scored};
    for (int i = 0; i < 4; i++)
        queue_init(queues[i], N_JOBS);
    for (int i = 0; i < N_JOBS; i++)
        queue_push(&r->idle, i);

    struct thread threads[FIRST_SCORE + MAX_SCORE] = {0};
    int n_score = o->n_score_threads > 0 ? o->n_score_threads : limits_cores();
    n_score = n_score < MAX_SCORE ? n_score : MAX_SCORE;
    int result = start(r, threads, FIRST_SCORE + n_score, err);
    if (result == 0)
        result = backend_stage(r, err);
    if (result < 0)
        atomic_store(&r->stop, true);
    queue_close(&r->answered);
    for (int i = 0; i < n_score; i++)
        join(&threads[FIRST_SCORE + i]);
    queue_close(&r->scored);
    queue_close(&r->idle); /* wakes a prepare stage that waits for a job in a stopped run */
    join(&threads[PREPARE]);
    join(&threads[STORE]);

    if (result == 0 && r->store_error.code) {
        *err = r->store_error;
        result = err->code;
    }
    if (result == 0 && runner_interrupted)
        result = runner_was_interrupted(err);
    for (int i = 0; i < N_JOBS; i++)
        job_free(&r->jobs[i]);
    for (int i = 0; i < 4; i++)
        queue_destroy(queues[i]);
    free(r);
    return result;
}
