/* Sampling: which tokens are left and how often each is drawn, that the drawing of a model follows
 * its probabilities, and that a text depends on its own request alone. The model is made here. */
#include "backends/local/engine.h"
#include "backends/local/sample.h"
#include "tests/backends/ask.h"
#include "tests/backends/tiny_model.h"

enum { V = 12, DRAWS = 20000 };

/* Draws differ in nothing but the step. */
static void count_draws(const float *logits, const struct sampling *how, const int32_t *seen,
                        int n_seen, int64_t count[V])
{
    struct pool *pool = pool_new(2);
    struct sampler *s = sampler_new(V, pool);
    static struct sample_row rows[DRAWS];
    for (int i = 0; i < DRAWS; i++)
        rows[i] = (struct sample_row){
            .logits = logits, .how = how, .step = i, .seen = seen, .n_seen = n_seen};
    sample_rows(s, rows, DRAWS);
    memset(count, 0, V * sizeof *count);
    for (int i = 0; i < DRAWS; i++)
        count[rows[i].token]++;
    sampler_free(s);
    pool_free(pool);
}

/* Pearson's statistic, over how many cells; a cell that must stay empty and does not fails. */
static double chi_square(const int64_t *count, const double *p, int n, int64_t draws, int *cells)
{
    double sum = 0;
    *cells = 0;
    for (int i = 0; i < n; i++) {
        double want = p[i] * (double)draws, off = (double)count[i] - want;
        if (p[i] == 0)
            EXPECT_INT(count[i], 0);
        else if (want >= 5) {
            sum += off * off / want;
            ++*cells;
        }
    }
    return sum;
}

/* Twenty standard deviations would be a bug, five are chance that a fixed seed settles. */
static void expect_drawn(const int64_t *count, const double *p, int n, int64_t draws,
                         const char *what)
{
    int cells;
    double x = chi_square(count, p, n, draws, &cells), freedom = cells > 1 ? cells - 1 : 0;
    if (x > freedom + 5 * sqrt(2 * freedom) + 1e-9)
        check_fail(__FILE__, __LINE__, "%s: chi-square %.1f over %d cells", what, x, cells);
}

/* Probabilities by transformers 5's logits processors, in its order, from the same logits. */
static void draws_what_transformers_leaves(void)
{
    static const float logits[V] = {1.5f,  -0.25f, 3.0f,  3.0f,  0.0f, -2.0f,
                                    2.25f, 1.5f,   -4.0f, 0.75f, 1.5f, -1.0f};
    static const int32_t seen[] = {2, 5, 2, 9};
    static const struct {
        struct sampling how;
        double p[V];
    } cases[] = {
        /* clang-format off */
        {{.temperature = 1},
         {0.0663745391903, 0.0115341654198, 0.297470046838, 0.297470046838, 0.0148101615593, 0.00200433740941, 0.140514900569, 0.0663745391903, 0.000271257571004, 0.0313531122671, 0.0663745391903, 0.0054483539581}},
        {{.temperature = 0.7},
         {0.0424732625373, 0.00348641769693, 0.362031745974, 0.362031745974, 0.00498292774218, 0.000286182591855, 0.124002699138, 0.0424732625373, 1.6436215839e-05, 0.0145478932564, 0.0424732625373, 0.00119416379793}},
        {{.temperature = 1.8},
         {0.0906581785444, 0.0342906914838, 0.208602283143, 0.208602283143, 0.0393998819819, 0.0129701648689, 0.1375191006, 0.0906581785444, 0.00426968732556, 0.0597655547564, 0.0906581785444, 0.0226058170638}},
        {{.temperature = 1, .top_k = 4},
         {0.0710208198125, 0, 0.31829323192, 0.31829323192, 0, 0, 0.150351076723, 0.0710208198125, 0, 0, 0.0710208198125, 0}},
        {{.temperature = 1, .top_k = 1},
         {0, 0, 0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0}},
        {{.temperature = 0.9, .top_p = 0.8},
         {0, 0, 0.381173997497, 0.381173997497, 0, 0, 0.165657536442, 0, 0, 0, 0.0719944685633, 0}},
        {{.temperature = 1, .top_p = 0.05},
         {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}},
        {{.temperature = 1, .min_p = 0.2},
         {0.0710208198125, 0, 0.31829323192, 0.31829323192, 0, 0, 0.150351076723, 0.0710208198125, 0, 0, 0.0710208198125, 0}},
        {{.repetition_penalty = 1.3, .temperature = 1},
         {0.0785030483759, 0.0136417842892, 0.176060865955, 0.351826253894, 0.0175163977562, 0.00130100553878, 0.166190954716, 0.0785030483759, 0.000320824015935, 0.0311888460896, 0.0785030483759, 0.0064439226179}},
        {{.repetition_penalty = 1.2, .temperature = 0.8, .top_k = 6, .top_p = 0.9, .min_p = 0.1},
         {0, 0, 0.239643151404, 0.447712348836, 0, 0, 0.175326674937, 0.0686589124118, 0, 0, 0.0686589124118, 0}},
        {{.temperature = 1, .top_k = 6, .top_p = 0.7},
         {0, 0, 0.404470768661, 0.404470768661, 0, 0, 0.191058462677, 0, 0, 0, 0, 0}},
        {{.repetition_penalty = 0.8, .temperature = 1.5, .top_p = 0.95, .min_p = 0.05},
         {0.0774961857204, 0, 0.347313808536, 0.210656473419, 0.0285092534957, 0, 0.127769609795, 0.0774961857204, 0, 0.0532622975928, 0.0774961857204, 0}},
        /* clang-format on */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t count[V];
        struct sampling how = cases[i].how;
        how.seed = (int64_t)i;
        count_draws(logits, &how, seen, 4, count);
        char what[20];
        snprintf(what, sizeof what, "case %zu", i);
        expect_drawn(count, cases[i].p, V, DRAWS, what);
    }
}

static int32_t choose_one(const float *logits, struct sampling how, int step)
{
    struct pool *pool = pool_new(1);
    struct sampler *s = sampler_new(V, pool);
    static const int32_t seen[] = {3, 3};
    struct sample_row row = {
        .logits = logits, .how = &how, .step = step, .seen = seen, .n_seen = 2};
    sample_rows(s, &row, 1);
    sampler_free(s);
    pool_free(pool);
    return row.token;
}

static void survives_odd_logits(void)
{
    float x[V] = {NAN, 1, NAN, 2, 1.9f, -INFINITY, 0, 0, 0, 0, 0, NAN};
    EXPECT_INT(choose_one(x, (struct sampling){0}, 0), 3);
    EXPECT_INT(choose_one(x, (struct sampling){.repetition_penalty = 1.1}, 0), 4);
    EXPECT_INT(choose_one(x, (struct sampling){.temperature = 1e-300}, 0), 3);
    for (int step = 0; step < 200; step++) {
        int32_t token = choose_one(x, (struct sampling){.temperature = 1e300}, step);
        EXPECT(!isnan(x[token]) && x[token] != -INFINITY);
        token = choose_one(x, (struct sampling){.temperature = 1, .top_k = 1000, .top_p = 0.999999},
                           step);
        EXPECT(!isnan(x[token]) && x[token] != -INFINITY);
    }
    x[7] = INFINITY;
    EXPECT_INT(choose_one(x, (struct sampling){.temperature = 1, .min_p = 0.5}, 0), 7);
    for (int i = 0; i < V; i++)
        x[i] = NAN;
    EXPECT_INT(choose_one(x, (struct sampling){.temperature = 1}, 0), 0);
}

static void refuses_settings_that_mean_nothing(void)
{
    static const struct {
        struct sampling how;
        const char *words;
    } cases[] = {
        {{.temperature = -1}, "temperature=-1"},
        {{.temperature = NAN}, "temperature"},
        {{.temperature = INFINITY}, "greedy"},
        {{.top_k = -1}, "top_k=-1"},
        {{.top_p = 1.5}, "top_p=1.5"},
        {{.min_p = -0.1}, "min_p=-0.1"},
        {{.repetition_penalty = -2}, "positive"},
    };
    struct error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        EXPECT_ERROR(sampling_check(&cases[i].how, &err), &err, E_INPUT, cases[i].words);
    EXPECT_OK(sampling_check(&(struct sampling){.temperature = 0.7, .top_p = 1}, &err), &err);
}

/* ---- with a model ---- */

static char path[] = "/tmp/assay-test-sample-XXXXXX";

static void forget_model(void)
{
    unlink(path);
}

static const char *model_path(void)
{
    static bool made;
    struct tiny_model t = {.kind = "gguf-q8_0", .seed = 5};
    struct error err;
    if (!made) {
        int fd = mkstemp(path);
        EXPECT(fd >= 0);
        close(fd);
        EXPECT_OK(tiny_model_write(&t, path, &err), &err);
        made = true;
        atexit(forget_model);
    }
    return path;
}

static void job_done(void *arg, struct engine_job *job)
{
    (void)job;
    ++*(int *)arg;
}

static void run_jobs(struct engine *e, struct engine_job *jobs, int n)
{
    struct error err;
    int done = 0;
    for (int i = 0; i < n; i++) {
        EXPECT_OK(engine_check(e, &jobs[i], &err), &err);
        engine_submit(e, &jobs[i]);
    }
    while (!engine_idle(e))
        engine_step(e, job_done, &done, &err);
    EXPECT_INT(done, n);
}

static bool one_is_enough(void *arg, int32_t token)
{
    (void)arg;
    (void)token;
    return false;
}

/* Scores every token of the vocabulary behind a prompt, then draws one some 10,000 times. */
static void draws_as_the_model_scores(void)
{
    struct error err;
    struct arena a = {0};
    struct pool *pool = pool_new(2);
    struct kernels k = kernels_cpu(cpu_features(), pool);
    struct model *m = NULL;
    struct engine *e = NULL;
    struct engine_options o = {
        .token_budget = 100, .kv_bytes = 1 << 20, .max_length = 64, .pool = pool};
    EXPECT_OK(model_open(model_path(), pool, &m, &err), &err);
    EXPECT_OK(model_pack(m, &k, &err), &err);
    EXPECT_OK(engine_open(m, &k, &o, &e, &err), &err);
    static const int32_t prompt[] = {72, 101, 40};
    int n = m->vocab, draws = 10000;
    struct engine_job *jobs = arena_array(&a, (size_t)draws, sizeof *jobs);
    int32_t *tokens = arena_array(&a, (size_t)draws * 4, sizeof *tokens);
    double *p = arena_array(&a, (size_t)n, sizeof *p);
    int64_t *count = arena_array(&a, (size_t)n, sizeof *count);
    for (int i = 0; i < draws; i++)
        memcpy(tokens + 4 * i, prompt, sizeof prompt);
    for (int i = 0; i < n; i++) {
        tokens[4 * i + 3] = i;
        jobs[i] = (struct engine_job){.tokens = tokens + 4 * i, .n_tokens = 4, .n_scored = 1};
    }
    run_jobs(e, jobs, n);
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += p[i] = exp(jobs[i].logprob);
    EXPECT_NEAR(sum, 1, 1e-6);
    struct sampling how = {.temperature = 1, .seed = 99};
    for (int i = 0; i < draws; i++)
        jobs[i] = (struct engine_job){.tokens = tokens + 4 * i,
                                      .n_tokens = 3,
                                      .max_new = 1,
                                      .wants_more = one_is_enough,
                                      .sampling = &how,
                                      .doc_id = i / 4,
                                      .idx = i % 4};
    run_jobs(e, jobs, draws);
    for (int i = 0; i < draws; i++)
        count[tokens[4 * i + 3]]++;
    expect_drawn(count, p, n, draws, "a model's first token");
    engine_close(e);
    model_close(m);
    k.close(k.dev);
    pool_free(pool);
    arena_free(&a);
}

static struct request generation(const char *context, int64_t doc_id, int idx, struct sampling how)
{
    static const struct str stop = STR("zzz");
    return (struct request){.kind = REQUEST_GENERATE_UNTIL,
                            .doc_id = doc_id,
                            .idx = idx,
                            .context = str_of(context),
                            .until = &stop,
                            .n_until = 1,
                            .max_gen_toks = 24,
                            .sampling = how};
}

static void bits_stay_the_same(void)
{
    static const struct {
        const char *what;
        struct asking how;
    } ways[] = {
        {"one token a step", {.token_budget = 1}},
        {"7 tokens a step, shuffled", {.token_budget = 7, .shuffle = 1}},
        {"1000 tokens a step", {.token_budget = 1000}},
        {"no sharing", {.no_sharing = true, .shuffle = 2}},
        {"2 threads", {.n_threads = 2, .shuffle = 3}},
        {"3 threads", {.n_threads = 3, .token_budget = 1000}},
        {"little cache", {.kv_bytes = 300 * 512, .shuffle = 4}},
    };
    static const struct sampling styles[] = {
        {0},
        {.temperature = 1, .seed = 3},
        {.temperature = 0.8, .top_p = 0.9, .seed = 3},
        {.temperature = 1.2, .top_k = 20, .min_p = 0.05, .repetition_penalty = 1.2, .seed = -1},
        {.repetition_penalty = 1.5},
    };
    struct arena a = {0};
    struct request q[41];
    for (int i = 0; i < 40; i++)
        q[i] = generation(i % 2 ? "The dog" : "There was a", i / 5, i % 3, styles[i % 5]);
    q[40] = loglikelihood("The dog", " and the cat");
    struct asking alone = {.token_budget = 16};
    struct response *want = arena_array(&a, 41, sizeof *want);
    for (int i = 0; i < 41; i++) {
        struct response *r = ask(model_path(), &alone, &a, &q[i], 1);
        if (r)
            want[i] = *r;
    }
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct response *got = ask(model_path(), &ways[i].how, &a, q, 41);
        if (got)
            expect_same(got, want, 41, ways[i].what);
    }
    arena_free(&a);
}

static bool same_text(const struct response *x, const struct response *y)
{
    return x->n_tokens == y->n_tokens &&
           memcmp(x->tokens, y->tokens, (size_t)x->n_tokens * sizeof *x->tokens) == 0;
}

static void what_a_draw_depends_on(void)
{
    struct arena a = {0};
    struct sampling hot = {.temperature = 1, .seed = 7}, other = hot, first = hot, none = {0};
    other.seed = 8;
    first.top_k = 1;
    struct request q[] = {generation("The dog", 1, 0, hot),   generation("The dog", 1, 0, hot),
                          generation("The dog", 1, 1, hot),   generation("The dog", 2, 0, hot),
                          generation("The dog", 1, 0, other), generation("The dog", 1, 0, first),
                          generation("The dog", 1, 0, none)};
    struct asking how = {0};
    struct response *r = ask(model_path(), &how, &a, q, 7);
    if (r) {
        EXPECT(same_text(&r[1], &r[0]));
        for (int i = 2; i < 6; i++)
            EXPECT(!same_text(&r[i], &r[0])); /* repeat, document, seed, setting */
        EXPECT(same_text(&r[5], &r[6]));
    }
    arena_free(&a);
}

CHECK_MAIN({"draws_what_transformers_leaves", draws_what_transformers_leaves},
           {"survives_odd_logits", survives_odd_logits},
           {"refuses_settings_that_mean_nothing", refuses_settings_that_mean_nothing},
           {"draws_as_the_model_scores", draws_as_the_model_scores},
           {"bits_stay_the_same", bits_stay_the_same},
           {"what_a_draw_depends_on", what_a_draw_depends_on})
