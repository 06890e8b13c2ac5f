#include "backends/local/divergence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    STRETCH_ROWS = 512, /* whose last hidden states exist at once, at most 2,047 in all */
    GROUP_ROWS = 1536,
    LOGIT_ROWS = 16, /* whose logits exist at once */
};

/* ---- two rows of logits ---- */

struct row {
    const float *logits;
    int argmax;
    double max, sum; /* sum of exp(logit - max) */
};

static struct row row_of(const float *logits, int V)
{
    struct row r = {.logits = logits, .max = -INFINITY};
    for (int v = 0; v < V; v++)
        if ((double)logits[v] > r.max) {
            r.max = (double)logits[v];
            r.argmax = v;
        }
    return r;
}

static double logprob(const struct row *r, int32_t token)
{
    return (double)r->logits[token] - r->max - log(r->sum);
}

/* With x = logit - max and Z = sum exp(x) of each model,
 *     D(A || B) = sum p_A ((x_A - ln Z_A) - (x_B - ln Z_B))
 *               = sum exp(x_A) (x_A - x_B) / Z_A - ln Z_A + ln Z_B,
 * one pass over the vocabulary, and 0 to the bit where both rows are the same. */
void divergence_of_logits(const float *logits_a, const float *logits_b, int V, int32_t token,
                          struct token_divergence *ret)
{
    struct row a = row_of(logits_a, V), b = row_of(logits_b, V);
    double sum = 0;
    for (int v = 0; v < V; v++) {
        double x = (double)logits_a[v] - a.max, y = (double)logits_b[v] - b.max, p = exp(x);
        a.sum += p;
        b.sum += exp(y);
        if (p > 0 || isnan(p)) /* 0 ln(0 / q) is 0, whatever q */
            sum += p * (x - y);
    }
    double kl = sum / a.sum - log(a.sum) + log(b.sum);
    ret->kl = kl < 0 ? 0 : kl; /* rounding may leave -1e-17 */
    ret->token = token;
    ret->logprob_a = logprob(&a, token);
    ret->logprob_b = logprob(&b, token);
    ret->same_top = a.argmax == b.argmax;
}

/* ---- which tokens ---- */

/* Tokens [first, end) of a request, each to be predicted from all before it. */
struct stretch {
    const struct part *part;
    int position, offset; /* of the request; of the part's tokens in the request's */
    int first, end;
    size_t row; /* of the first in its group */
    struct engine_job jobs[2];
};

struct measuring {
    const struct reader_model *models;
    struct pool *pool;
    struct arena arena; /* requests as tokens */
    struct prepared **requests, **before;
    const struct divergence_texts *texts;
    struct {
        struct stretch *items;
        size_t n, cap;
    } stretches;
    struct token_divergence *out;
    size_t n_out;
};

static int prepare_all(struct measuring *m, const struct request *q, int n, struct prepared ***ret,
                       struct error *err)
{
    int r = 0;
    *ret = arena_array(&m->arena, (size_t)n, sizeof **ret);
    for (int i = 0; r == 0 && i < n; i++)
        if (!q[i].unconditional)
            r = request_prepare(m->models[0].language, &q[i], &(*ret)[i], err);
    return r;
}

static bool same_part(const struct part *x, const struct part *y)
{
    return x->job.n_tokens == y->job.n_tokens && x->job.n_scored == y->job.n_scored &&
           memcmp(x->job.tokens, y->job.tokens, (size_t)x->job.n_tokens * sizeof(int32_t)) == 0;
}

/* Both models are to read the same tokens, cut at the same places. */
static int check_same(struct measuring *m, int i, struct error *err)
{
    struct prepared *x = m->requests[i], *y = NULL;
    int r = request_prepare(m->models[1].language, &m->texts->requests[i], &y, err);
    if (r < 0)
        return r;
    bool same = x->n_parts == y->n_parts;
    for (int k = 0; same && k < x->n_parts; k++)
        same = same_part(&x->parts[k], &y->parts[k]);
    prepared_free(y);
    if (same && m->models[0].model->vocab == m->models[1].model->vocab)
        return 0;
    return error_set(err, E_INPUT,
                     "the divergence of \"%s\" from \"%s\" cannot be computed: they do not read "
                     "document %lld as the same tokens of the same vocabulary; both need the same "
                     "tokenizer and max_length",
                     m->models[1].language->path, m->models[0].language->path,
                     (long long)m->texts->requests[i].doc_id);
}

static int common(const struct part *x, const struct part *y)
{
    int n = x->job.n_tokens < y->job.n_tokens ? x->job.n_tokens : y->job.n_tokens, i = 0;
    while (i < n && x->job.tokens[i] == y->job.tokens[i])
        i++;
    return i;
}

/* The first token that no request before this one has in the same place. */
static int first_new(struct prepared *const *before, int n, const struct part *part)
{
    int ret = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; before[i] && k < before[i]->n_parts; k++) {
            int same = common(&before[i]->parts[k], part);
            ret = same > ret ? same : ret;
        }
    return ret;
}

/* A whole text's windows overlap: there only what is scored counts. */
static void cut(struct measuring *m, int position)
{
    const struct prepared *p = m->requests[position];
    int offset = 0;
    for (int k = 0; k < p->n_parts; k++) {
        const struct part *part = &p->parts[k];
        int n = part->job.n_tokens;
        int first = p->kind == REQUEST_LOGLIKELIHOOD_ROLLING ? n - part->job.n_scored : 1;
        int seen = first_new(m->requests, position, part);
        int seen_before = first_new(m->before, m->texts->n_before, part);
        first = seen > first ? seen : first;
        first = seen_before > first ? seen_before : first;
        for (int end; first < n; first = end) {
            end = n - first < STRETCH_ROWS ? n : first + STRETCH_ROWS;
            *ARRAY_PUSH(&m->stretches) = (struct stretch){
                .part = part, .position = position, .offset = offset, .first = first, .end = end};
        }
        offset += n;
    }
}

/* ---- a group of stretches ---- */

static void nothing(void *arg, struct engine_job *job)
{
    (void)arg;
    (void)job;
}

/* One model's rows of the group. */
static int run_model(const struct reader_model *model, int which, struct stretch *s, size_t n,
                     float *hidden, struct error *err)
{
    size_t D = (size_t)model->model->width;
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        s[i].jobs[which] = (struct engine_job){.tokens = s[i].part->job.tokens,
                                               .n_tokens = s[i].end,
                                               .n_scored = s[i].end - s[i].first,
                                               .hidden = hidden + s[i].row * D};
        r = engine_check(model->engine, &s[i].jobs[which], err);
    }
    for (size_t i = 0; i < n && r == 0; i++)
        engine_submit(model->engine, &s[i].jobs[which]);
    while (r >= 0 && !engine_idle(model->engine))
        r = engine_step(model->engine, nothing, NULL, err);
    return r < 0 ? r : 0;
}

/* Buffers of one model. */
struct projecting {
    const struct reader_model *model;
    float *hidden;         /* [rows of a group, D] */
    float *x, *y, *logits; /* [LOGIT_ROWS, D]; its logits [LOGIT_ROWS, V] there; and here */
};

static int projecting_open(struct projecting *p, const struct reader_model *model, size_t rows,
                           struct error *err)
{
    size_t D = (size_t)model->model->width, V = (size_t)model->model->vocab;
    const struct kernels *k = model->kernels;
    *p = (struct projecting){.model = model};
    p->hidden = mem_try(rows * D, sizeof *p->hidden);
    p->logits = mem_try(LOGIT_ROWS * V, sizeof *p->logits);
    p->x = k->buffer_new(k->dev, LOGIT_ROWS * D * sizeof *p->x);
    p->y = k->buffer_new(k->dev, LOGIT_ROWS * V * sizeof *p->y);
    return p->hidden && p->logits && p->x && p->y
               ? 0
               : error_set(err, E_MEMORY,
                           "out of memory: the logits of %d tokens of \"%s\" do not fit",
                           LOGIT_ROWS, model->language->path);
}

static void projecting_close(struct projecting *p)
{
    const struct kernels *k = p->model->kernels;
    free(p->hidden);
    free(p->logits);
    if (p->x)
        k->buffer_free(k->dev, p->x);
    if (p->y)
        k->buffer_free(k->dev, p->y);
}

/* Rows row .. row + n - 1 of the group become logits, as for log-probabilities. */
static void project(const struct projecting *p, size_t row, int n)
{
    const struct kernels *k = p->model->kernels;
    size_t D = (size_t)p->model->model->width, V = (size_t)p->model->model->vocab;
    k->to_device(k->dev, p->x, p->hidden + row * D, (size_t)n * D * sizeof *p->x);
    k->linear(k->dev, p->y, p->x, &p->model->model->head, NULL, n);
    k->to_host(k->dev, p->logits, p->y, (size_t)n * V * sizeof *p->logits);
}

struct comparing {
    const struct projecting *p; /* [2] */
    struct token_divergence *out;
};

static void compare_row(void *arg, size_t i, int thread)
{
    (void)thread;
    const struct comparing *c = arg;
    size_t V = (size_t)c->p[0].model->model->vocab;
    divergence_of_logits(c->p[0].logits + i * V, c->p[1].logits + i * V, (int)V, c->out[i].token,
                         &c->out[i]);
}

static void compare_rows(struct measuring *m, const struct projecting p[2],
                         struct token_divergence *out, size_t n)
{
    for (size_t row = 0; row < n; row += LOGIT_ROWS) {
        int rows = (int)(n - row < LOGIT_ROWS ? n - row : LOGIT_ROWS);
        struct comparing c = {p, out + row};
        project(&p[0], row, rows);
        project(&p[1], row, rows);
        pool_run(m->pool, (size_t)rows, compare_row, &c);
    }
}

static int check_finite(const struct measuring *m, const struct token_divergence *out, size_t n,
                        struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        bool a = isfinite(out[i].logprob_a);
        if (!isnan(out[i].kl) && a && isfinite(out[i].logprob_b))
            continue;
        return error_set(err, E_INPUT,
                         "the divergence of \"%s\" from \"%s\" cannot be computed: the logits of "
                         "\"%s\" hold NaN or Infinity in document %lld",
                         m->models[1].language->path, m->models[0].language->path,
                         m->models[a].language->path, (long long)m->texts->requests[0].doc_id);
    }
    return 0;
}

/* As many stretches as fit together. */
static size_t group_of(struct stretch *s, size_t n, size_t *rows)
{
    size_t i = 0;
    for (*rows = 0; i < n && (i == 0 || *rows < GROUP_ROWS); i++) {
        s[i].row = *rows;
        *rows += (size_t)(s[i].end - s[i].first);
    }
    return i;
}

static void name_tokens(const struct stretch *s, size_t n, struct token_divergence *out)
{
    for (size_t i = 0; i < n; i++)
        for (int t = s[i].first; t < s[i].end; t++)
            *out++ = (struct token_divergence){.position = s[i].position,
                                               .place = s[i].offset + t,
                                               .token = s[i].part->job.tokens[t]};
}

static int measure_group(struct measuring *m, const struct projecting p[2], struct stretch *s,
                         size_t n, size_t rows, struct error *err)
{
    struct token_divergence *out = m->out + m->n_out;
    int r = 0;
    for (int i = 0; i < 2 && r == 0; i++)
        r = run_model(&m->models[i], i, s, n, p[i].hidden, err);
    if (r < 0)
        return r;
    name_tokens(s, n, out);
    compare_rows(m, p, out, rows);
    m->n_out += rows;
    return check_finite(m, out, rows, err);
}

static int measure(struct measuring *m, struct arena *arena, struct error *err)
{
    struct projecting p[2] = {{.model = &m->models[0]}, {.model = &m->models[1]}};
    size_t rows = 0, most = GROUP_ROWS + STRETCH_ROWS;
    for (size_t i = 0; i < m->stretches.n; i++)
        rows += (size_t)(m->stretches.items[i].end - m->stretches.items[i].first);
    m->out = arena_array(arena, rows, sizeof *m->out);
    most = rows < most ? rows : most;
    int r = rows ? projecting_open(&p[0], &m->models[0], most, err) : 0;
    if (r == 0 && rows)
        r = projecting_open(&p[1], &m->models[1], most, err);
    for (size_t i = 0, n; r == 0 && i < m->stretches.n; i += n) {
        n = group_of(m->stretches.items + i, m->stretches.n - i, &rows);
        r = measure_group(m, p, m->stretches.items + i, n, rows, err);
    }
    projecting_close(&p[0]);
    projecting_close(&p[1]);
    return r;
}

int divergence_measure(const struct reader_model models[2], struct pool *pool,
                       const struct divergence_texts *texts, struct arena *arena,
                       struct token_divergence **ret, int *n, struct error *err)
{
    struct measuring m = {.models = models, .pool = pool, .texts = texts};
    int r = prepare_all(&m, texts->requests, texts->n, &m.requests, err);
    if (r == 0)
        r = prepare_all(&m, texts->before, texts->n_before, &m.before, err);
    for (int i = 0; i < texts->n && r == 0; i++)
        if (m.requests[i] && (r = check_same(&m, i, err)) == 0)
            cut(&m, i);
    if (r == 0)
        r = measure(&m, arena, err);
    if (r == 0) {
        *ret = m.out;
        *n = (int)m.n_out;
    }
    for (int i = 0; m.requests && i < texts->n; i++)
        prepared_free(m.requests[i]);
    for (int i = 0; m.before && i < texts->n_before; i++)
        prepared_free(m.before[i]);
    free(m.stretches.items);
    arena_free(&m.arena);
    return r;
}
