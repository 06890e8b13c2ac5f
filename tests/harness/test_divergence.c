/* The divergence that comparisons print against one computed from whole distributions, for two
 * quantizations of a tiny model: from the backend's answers through the store and back. */
#include "backends/local/engine.h"
#include "results/divergence.h"
#include "tests/backends/ask.h"
#include "tests/backends/tiny_model.h"

enum { N_DOCS = 3, MOST_PLACES = 64, N_TOP = 12 };

static const char *const texts[N_DOCS] = {"The dog and the cat was there", "there and there",
                                          "A man was in the house, and he said: the"};
static char dir[] = "/tmp/assay-test-divergence-XXXXXX";

/* What one model makes of one text. */
struct answer {
    struct response r;
    double *full; /* [n_tokens_scored, V] log-probabilities */
    int V;
};

static void nothing(void *arg, struct engine_job *job)
{
    (void)arg;
    (void)job;
}

/* Every token of the vocabulary in every place, scored one by one. */
static void score_all(struct arena *a, struct engine *e, struct answer *to)
{
    int n = to->r.n_tokens_scored, V = to->V;
    struct error err;
    struct engine_job *jobs = arena_array(a, (size_t)n * (size_t)V, sizeof *jobs);
    to->full = arena_array(a, (size_t)n * (size_t)V, sizeof *to->full);
    for (int i = 0; i < n * V; i++) {
        int place = i / V;
        int32_t *tokens = arena_array(a, (size_t)place + 2, sizeof *tokens);
        memcpy(tokens, to->r.tokens, (size_t)(place + 1) * sizeof *tokens);
        tokens[place + 1] = i % V;
        jobs[i] = (struct engine_job){.tokens = tokens, .n_tokens = place + 2, .n_scored = 1};
        engine_submit(e, &jobs[i]);
    }
    while (!engine_idle(e) && engine_step(e, nothing, NULL, &err) >= 0)
        ;
    EXPECT(engine_idle(e));
    for (int i = 0; i < n * V; i++)
        to->full[i] = jobs[i].logprob;
}

static void make_requests(struct request q[N_DOCS])
{
    for (int i = 0; i < N_DOCS; i++)
        q[i] = (struct request){.kind = REQUEST_LOGLIKELIHOOD_ROLLING,
                                .doc_id = i,
                                .context = str_of(texts[i]),
                                .n_top = N_TOP};
}

/* Both models side by side against the same distributions: the exact divergence. */
static void expect_exact(const struct answer base[N_DOCS], const struct answer quantized[N_DOCS],
                         const struct request *q)
{
    struct arena a = {0};
    struct asking how = {0};
    struct error err;
    struct tiny_model t[] = {{.kind = "gguf-f16", .seed = 11}, {.kind = "gguf-q4_0", .seed = 11}};
    struct backend *b[2];
    for (int i = 0; i < 2; i++) {
        const char *path = arena_printf(&a, "%s/%s", dir, t[i].kind);
        EXPECT_OK(tiny_model_write(&t[i], path, &err), &err);
        b[i] = open_backend(path, &how);
    }
    for (int doc = 0; doc < N_DOCS; doc++) {
        struct divergence_texts texts_ = {&q[doc], NULL, 1, 0};
        struct token_divergence *got;
        int n = 0;
        EXPECT_OK(backend_divergence(b[0], b[1], &texts_, &a, &got, &n, &err), &err);
        EXPECT_INT(n, base[doc].r.n_tokens_scored);
        for (int p = 0; p < n; p++) {
            const double *x = base[doc].full + p * base[doc].V,
                         *y = quantized[doc].full + p * base[doc].V;
            double kl = 0;
            for (int v = 0; v < base[doc].V; v++)
                kl += exp(x[v]) * (x[v] - y[v]);
            EXPECT_NEAR(got[p].kl, kl, 1e-6);
            EXPECT_NEAR(got[p].logprob_a, x[got[p].token], 1e-6);
        }
    }
    backend_close(b[0]);
    backend_close(b[1]);
    arena_free(&a);
}

static void ask_model(struct arena *a, const char *kind, struct answer answers[N_DOCS])
{
    struct tiny_model t = {.kind = kind, .seed = 11};
    struct error err;
    const char *path = arena_printf(a, "%s/%s", dir, kind);
    EXPECT_OK(tiny_model_write(&t, path, &err), &err);
    struct request q[N_DOCS];
    make_requests(q);
    struct asking how = {0};
    struct response *r = ask(path, &how, a, q, N_DOCS);
    struct pool *pool = pool_new(1);
    struct kernels k = kernels_cpu(cpu_features(), pool);
    struct engine_options o = {
        .token_budget = 64, .kv_bytes = 4 << 20, .max_length = 128, .pool = pool};
    struct model *m = NULL;
    struct engine *e = NULL;
    EXPECT_OK(model_open(path, pool, &m, &err), &err);
    EXPECT_OK(model_pack(m, &k, &err), &err);
    EXPECT_OK(engine_open(m, &k, &o, &e, &err), &err);
    for (int i = 0; i < N_DOCS; i++) {
        answers[i] = (struct answer){.r = r[i], .V = m->vocab};
        EXPECT(r[i].n_tokens_scored > 2 && r[i].n_tokens_scored < MOST_PLACES);
        score_all(a, e, &answers[i]);
    }
    engine_close(e);
    model_close(m);
    k.close(k.dev);
    pool_free(pool);
    unlink(path);
}

/* ---- the backend's own lists ---- */

static void expect_lists(const struct answer *x)
{
    double sum = 0;
    for (int p = 0; p < x->r.n_tokens_scored; p++) {
        const struct token_chance *scored = &x->r.scored[p], *top = x->r.top + p * N_TOP;
        const double *full = x->full + p * x->V;
        EXPECT_INT(scored->token, x->r.tokens[p + 1]);
        EXPECT_NEAR(scored->logprob_nats, full[scored->token], 0);
        sum += scored->logprob_nats;
        int better = 0;
        for (int v = 0; v < x->V; v++)
            better += full[v] > top[N_TOP - 1].logprob_nats;
        EXPECT_INT(better, N_TOP - 1);
        for (int i = 0; i < N_TOP; i++) {
            EXPECT_NEAR(top[i].logprob_nats, full[top[i].token], 1e-6);
            EXPECT(i == 0 || top[i].logprob_nats <= top[i - 1].logprob_nats);
        }
    }
    EXPECT_NEAR(x->r.logprob_nats, sum, 0);
}

/* ---- through the store ---- */

static void store_model(struct store *s, const char *label, const struct answer answers[N_DOCS])
{
    struct error err;
    struct evaluation e = {.hash = label,
                           .model = label,
                           .task = "tell",
                           .output_type = "loglikelihood_rolling",
                           .n_docs = N_DOCS};
    int64_t id = 0;
    EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
    for (int i = 0; i < N_DOCS; i++) {
        const struct response *r = &answers[i].r;
        struct request_row q = {.prompt = str_of(texts[i]),
                                .logprob_nats = r->logprob_nats,
                                .n_tokens_prompt = r->n_tokens_prompt,
                                .n_tokens_scored = r->n_tokens_scored,
                                .tokens = r->tokens,
                                .n_tokens = r->n_tokens,
                                .scored = r->scored,
                                .top = r->top,
                                .n_top = r->n_top,
                                .finish = ""};
        struct sample_row row = {
            .doc_id = i, .doc_json = str_of(texts[i]), .requests = &q, .n_requests = 1};
        EXPECT_OK(store_sample(s, id, &row, &err), &err);
        EXPECT_INT(store_has_top(s, id, i, N_TOP, &err), 1);
        EXPECT_INT(store_has_top(s, id, i, N_TOP + 1, &err), 0);
    }
}

/* What whole distributions say; `joined`: the divergence with all tokens that are not in both
 * lists, and not the scored one, taken as one. */
struct direct {
    double kl, joined, same, log_ratio, largest, n;
};

static bool listed(const struct response *r, int place, int32_t token)
{
    for (int i = 0; i < N_TOP; i++)
        if (r->top[place * N_TOP + i].token == token)
            return true;
    return false;
}

static void add_place(struct direct *d, const struct answer *a, const struct answer *b, int place)
{
    const double *x = a->full + place * a->V, *y = b->full + place * b->V;
    int32_t scored = a->r.tokens[place + 1];
    double rest_a = 0, rest_b = 0;
    int best_a = 0, best_b = 0;
    for (int v = 0; v < a->V; v++) {
        double term = exp(x[v]) * (x[v] - y[v]);
        bool apart = v == scored || (listed(&a->r, place, v) && listed(&b->r, place, v));
        d->kl += term;
        d->joined += apart ? term : 0;
        rest_a += apart ? 0 : exp(x[v]);
        rest_b += apart ? 0 : exp(y[v]);
        best_a = x[v] > x[best_a] ? v : best_a;
        best_b = y[v] > y[best_b] ? v : best_b;
    }
    d->joined += rest_a * log(rest_a / rest_b);
    d->same += best_a == best_b;
    d->log_ratio += x[scored] - y[scored];
    double change = exp(y[scored]) - exp(x[scored]);
    d->largest = fabs(change) > fabs(d->largest) ? change : d->largest;
    d->n++;
}

static void expect_divergence(const struct divergence *got, const struct direct *want)
{
    EXPECT_INT(got->n_docs, N_DOCS);
    EXPECT_INT(got->n_tokens, want->n);
    EXPECT_NEAR(got->kl.value, want->joined / want->n, 1e-7);
    EXPECT(got->kl.value <= want->kl / want->n + 1e-7);
    EXPECT(got->kl.value > 0.3 * want->kl / want->n); /* flat distributions: the hardest case */
    EXPECT(got->kl.low <= got->kl.value && got->kl.value <= got->kl.high);
    EXPECT_NEAR(got->same_top.value, want->same / want->n, 1e-12);
    EXPECT_NEAR(got->perplexity_ratio.value, exp(want->log_ratio / want->n), 1e-12);
    EXPECT(got->perplexity_ratio.low < got->perplexity_ratio.high);
    EXPECT_NEAR(got->largest_change, want->largest, 1e-12);
}

/* The view for people's own SQL says the same. */
static void expect_view(const struct divergence *d)
{
    char command[1000];
    snprintf(command, sizeof command,
             "sqlite3 %s/a.db \"SELECT abs(avg(kl) - %.12g) < 1e-9 AND abs(avg(same_top) - %.12g) "
             "< 1e-9 AND count(*) = %lld FROM v_divergence WHERE model_a = 'f16' AND model_b = "
             "'q4'\" | grep -qx 1",
             dir, d->kl.value, d->same_top.value, (long long)d->n_tokens);
    EXPECT_INT(system(command), 0);
}

static void divergence_is_that_of_whole_distributions(void)
{
    struct arena a = {0};
    struct error err;
    struct answer base[N_DOCS], quantized[N_DOCS];
    struct store *s = NULL;
    struct direct want = {0};
    struct divergence_list l = {0};
    EXPECT(mkdtemp(dir) != NULL);
    ask_model(&a, "gguf-f16", base);
    ask_model(&a, "gguf-q4_0", quantized);
    struct request q[N_DOCS];
    make_requests(q);
    expect_exact(base, quantized, q);
    const char *path = arena_printf(&a, "%s/a.db", dir);
    EXPECT_OK(store_open(path, STORE_WRITE, &s, &err), &err);
    store_model(s, "f16", base);
    store_model(s, "q4", quantized);
    for (int i = 0; i < N_DOCS; i++) {
        expect_lists(&base[i]);
        expect_lists(&quantized[i]);
        for (int p = 0; p < base[i].r.n_tokens_scored; p++)
            add_place(&want, &base[i], &quantized[i], p);
    }
    EXPECT_OK(divergence_models(s, &a, "f16", "q4", NULL, &l, &err), &err);
    EXPECT_INT(l.n, 1);
    if (l.n == 1) {
        expect_divergence(&l.items[0], &want);
        expect_view(&l.items[0]);
    }
    EXPECT_OK(divergence_models(s, &a, "f16", "f16", NULL, &l, &err), &err);
    if (l.n == 1) {
        EXPECT_NEAR(l.items[0].kl.value, 0, 1e-12);
        EXPECT_NEAR(l.items[0].same_top.value, 1, 0);
    }
    store_close(s);
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    EXPECT_INT(system(command), 0);
    arena_free(&a);
}

CHECK_MAIN({"divergence_is_that_of_whole_distributions", divergence_is_that_of_whole_distributions})
