/* The local backend against lm-evaluation-harness' answers for a real small model, and against
 * itself: nothing that only concerns speed may change a bit. */
#include "base/file.h"
#include "tests/backends/ask.h"
#include "tests/shared.h"

static const char MODEL[] = "models/stories260k-hf";
enum { POSITION_BYTES = 2 * 5 * 4 * 8 * 4 }; /* keys and values: layers, heads, head size, float */

static double number(const struct value *v, const char *key)
{
    const struct value *x = dict_get(v, key);
    return x->type == VALUE_INT ? (double)x->i : x->f;
}

static struct str text(const struct value *v, const char *key)
{
    return dict_get(v, key)->s;
}

/* The last `n` of the ids in two lists are tokens[from ...]. */
static void expect_ids(const struct response *r, const struct value *first,
                       const struct value *second)
{
    size_t n_all = first->list.n + second->list.n, skip = n_all - (size_t)r->n_tokens;
    EXPECT((size_t)r->n_tokens <= n_all);
    for (size_t i = skip; i < n_all && (size_t)r->n_tokens <= n_all; i++) {
        const struct value *id =
            i < first->list.n ? first->list.items[i] : second->list.items[i - first->list.n];
        EXPECT_INT(r->tokens[i - skip], id->i);
    }
}

/* ---- against the goldens ---- */

static struct request *loglikelihood_requests(struct arena *a, const struct value *cases)
{
    struct request *q = arena_array(a, cases->list.n, sizeof *q);
    for (size_t i = 0; i < cases->list.n; i++) {
        const struct value *c = cases->list.items[i];
        q[i] = loglikelihood(text(c, "context").p, text(c, "continuation").p);
    }
    return q;
}

static void scores_as_the_reference(void)
{
    struct arena a = {0};
    const char *model = check_shared(MODEL);
    const struct value *cases = shared_json(&a, "goldens/stories260k/loglikelihood.json");
    for (int reference = 0; model && cases && reference < 2; reference++) {
        struct asking how = {.reference = reference};
        struct response *r = ask(model, &how, &a, loglikelihood_requests(&a, cases), cases->list.n);
        for (size_t i = 0; r && i < cases->list.n; i++) {
            const struct value *c = cases->list.items[i];
            const struct value *context = dict_get(c, "context_ids"),
                               *continuation = dict_get(c, "continuation_ids");
            int n_input = (int)number(c, "n_input_kept");
            EXPECT_INT(r[i].error, 0);
            EXPECT_NEAR(r[i].logprob_nats, number(c, "loglikelihood"), 1e-3);
            EXPECT_INT(r[i].is_greedy, dict_get(c, "is_greedy")->b);
            EXPECT_INT(r[i].n_tokens, n_input + 1);
            EXPECT_INT(r[i].n_tokens_scored, continuation->list.n);
            EXPECT_INT(r[i].n_tokens_prompt, n_input + 1 - (int)continuation->list.n);
            EXPECT_INT(r[i].n_truncated,
                       (int)(context->list.n + continuation->list.n) - n_input - 1);
            expect_ids(&r[i], context, continuation);
        }
    }
    arena_free(&a);
}

static struct request *generation_requests(struct arena *a, const struct value *cases,
                                           const char *until)
{
    struct request *q = arena_array(a, cases->list.n, sizeof *q);
    struct str *stop = arena_array(a, 1, sizeof *stop);
    *stop = str_of(until);
    for (size_t i = 0; i < cases->list.n; i++)
        q[i] = (struct request){.kind = REQUEST_GENERATE_UNTIL,
                                .context = text(cases->list.items[i], "prompt"),
                                .until = stop,
                                .n_until = 1,
                                .max_gen_toks = 64};
    return q;
}

static void generates_as_the_reference(void)
{
    static const struct {
        const char *key, *until;
    } settings[] = {{"lm_eval_until_newline", "\n"},
                    {"lm_eval_until_period", "."},
                    {"lm_eval_until_eos", "</s>"}};
    struct arena a = {0};
    const char *model = check_shared(MODEL);
    const struct value *cases = shared_json(&a, "goldens/stories260k/generate.json");
    for (size_t k = 0; model && cases && k < 3; k++) {
        struct asking how = {0};
        struct response *r =
            ask(model, &how, &a, generation_requests(&a, cases, settings[k].until), cases->list.n);
        for (size_t i = 0; r && i < cases->list.n; i++) {
            const struct value *c = cases->list.items[i], *ids = dict_get(c, "new_ids");
            EXPECT_STR(r[i].text, text(c, settings[k].key));
            EXPECT_INT(r[i].n_tokens_prompt, dict_get(c, "prompt_ids")->list.n);
            EXPECT_INT(r[i].n_tokens, r[i].n_tokens_prompt + r[i].n_tokens_generated);
            for (int t = 0; t < r[i].n_tokens_generated; t++)
                EXPECT_INT(r[i].tokens[r[i].n_tokens_prompt + t], ids->list.items[t]->i);
            bool stopped = r[i].text.n < text(c, "decode_of_new_ids").n;
            EXPECT_INT(r[i].finish, stopped ? FINISH_STOP : FINISH_LENGTH);
            EXPECT(stopped || r[i].n_tokens_generated == (int)ids->list.n);
            EXPECT(r[i].n_tokens_generated <= (int)ids->list.n);
        }
    }
    arena_free(&a);
}

/* A golden's documents are lines of WikiText-2. */
static struct request *rolling_requests(struct arena *a, size_t n)
{
    const char *path = check_shared("data/wikitext2/test.txt");
    struct str all;
    struct error err;
    if (!path)
        return NULL;
    EXPECT_OK(file_read(a, path, FILE_LIMIT_TEXT, &all, &err), &err);
    struct request *q = arena_array(a, n, sizeof *q);
    for (size_t i = 0, at = 0; i < n; i++) {
        size_t end = str_find(all, STR("\n"), at);
        q[i] = (struct request){.kind = REQUEST_LOGLIKELIHOOD_ROLLING,
                                .context = str_slice(all, at, end)};
        at = end + 1;
    }
    return q;
}

static void expect_rolling(const struct response *r, const struct value *set)
{
    const struct value *documents = dict_get(set, "documents");
    double sum = 0, words = 0;
    for (size_t i = 0; i < documents->list.n; i++) {
        const struct value *d = documents->list.items[i], *windows = dict_get(d, "windows");
        double want = number(d, "loglikelihood");
        int n_tokens = 0;
        for (size_t w = 0; w < windows->list.n; w++)
            n_tokens += (int)(windows->list.items[w]->list.items[0]->i +
                              windows->list.items[w]->list.items[1]->i);
        EXPECT_NEAR(r[i].logprob_nats, want, 1e-5 * fabs(want));
        EXPECT_INT(r[i].n_tokens_scored, (int)number(d, "n_tokens"));
        EXPECT_INT(r[i].n_tokens, n_tokens); /* the windows, one behind the other */
        sum += r[i].logprob_nats;
        words += number(d, "words");
    }
    double perplexity = number(set, "word_perplexity");
    EXPECT_NEAR(exp(-sum / words), perplexity, 1e-5 * perplexity);
}

static void rolls_as_the_reference(void)
{
    struct arena a = {0};
    const char *model = check_shared(MODEL);
    const struct value *v = shared_json(&a, "goldens/stories260k/rolling.json");
    struct request *lines = rolling_requests(&a, 20);
    if (model && v && lines) {
        struct asking how = {.n_threads = 2};
        struct response *r = ask(model, &how, &a, lines, 20);
        if (r)
            expect_rolling(r, dict_get(v, "lines_raw"));
        struct request joined = lines[0];
        joined.context.n = (size_t)(lines[19].context.p - lines[0].context.p) + lines[19].context.n;
        r = ask(model, &how, &a, &joined, 1);
        if (r)
            expect_rolling(r, dict_get(v, "joined_raw"));
    }
    arena_free(&a);
}

/* ---- against itself ---- */

static void bits_stay_the_same(void)
{
    static const struct {
        const char *what;
        struct asking how;
    } ways[] = {
        {"one token a step", {.token_budget = 1}},
        {"7 tokens a step", {.token_budget = 7}},
        {"64 tokens a step", {.token_budget = 64}},
        {"1000 tokens a step", {.token_budget = 1000}},
        {"no sharing", {.no_sharing = true}},
        {"no sharing, 7 a step", {.no_sharing = true, .token_budget = 7}},
        {"shuffled", {.shuffle = 1}},
        {"shuffled again", {.shuffle = 2, .token_budget = 64}},
        {"2 threads", {.n_threads = 2, .shuffle = 3}},
        {"3 threads", {.n_threads = 3, .token_budget = 1000}},
        {"little cache", {.kv_bytes = 600 * POSITION_BYTES, .shuffle = 4}},
        {"little cache, small steps", {.kv_bytes = 520 * POSITION_BYTES, .token_budget = 20}},
    };
    struct arena a = {0};
    const char *model = check_shared(MODEL);
    const struct value *scored = shared_json(&a, "goldens/stories260k/loglikelihood.json"),
                       *made = shared_json(&a, "goldens/stories260k/generate.json");
    struct request *rolled = rolling_requests(&a, 1);
    if (!model || !scored || !made || !rolled)
        return;
    size_t n = 0;
    struct request q[64];
    memcpy(q, loglikelihood_requests(&a, scored), scored->list.n * sizeof *q);
    n += scored->list.n;
    memcpy(q + n, generation_requests(&a, made, "."), made->list.n * sizeof *q);
    n += made->list.n;
    for (size_t i = scored->list.n; i < n; i++)
        q[i].max_gen_toks = 24;
    q[n++] = rolled[0];
    for (int reference = 0; reference < 2; reference++) {
        struct asking plain = {.reference = reference};
        struct response *want = ask(model, &plain, &a, q, n);
        for (size_t i = 0; want && i < sizeof ways / sizeof *ways; i++) {
            if (reference && i % 3 > 0) /* slow, and the engine is the same */
                continue;
            struct asking how = ways[i].how;
            how.reference = reference;
            struct response *got = ask(model, &how, &a, q, n);
            if (got)
                expect_same(got, want, n, ways[i].what);
        }
    }
    arena_free(&a);
}

/* Choices of one question: its tokens go through the model once. */
static void shared_contexts_are_computed_once(void)
{
    struct arena a = {0};
    const char *model = check_shared(MODEL);
    if (!model)
        return;
    struct buf context = {0};
    for (int i = 0; i < 30; i++)
        buf_puts(&context, "Tim and Sue went to the park. ");
    buf_puts(&context, "They saw a");
    struct request q[] = {loglikelihood(context.p, " dog"), loglikelihood(context.p, " cat"),
                          loglikelihood(context.p, " big red ball"),
                          loglikelihood(context.p, " tree")};
    int64_t computed[2];
    for (int k = 0; k < 2; k++) {
        struct asking how = {.no_sharing = k};
        struct backend *b = open_backend(model, &how);
        struct response r[4];
        if (!b)
            break;
        ask_all(b, &a, q, 4, 0, r);
        computed[k] = backend_stats(b).tokens_computed;
        EXPECT(r[0].n_tokens_prompt > 300);
        if (k == 0)
            EXPECT(computed[0] < r[0].n_tokens_prompt + 4 * 24);
        else
            EXPECT(computed[1] >= 4 * r[0].n_tokens_prompt);
        backend_close(b);
    }
    buf_free(&context);
    arena_free(&a);
}

/* ---- rules at the edges ---- */

static void long_prompts_lose_their_beginning(void)
{
    struct arena a = {0};
    const char *model = check_shared(MODEL);
    if (!model)
        return;
    struct str stop = STR("\n");
    struct request q = {.kind = REQUEST_GENERATE_UNTIL,
                        .context = STR("Once upon a time there was a dog named Tim. He had a ball "
                                       "and he liked to play with it in the park."),
                        .until = &stop,
                        .n_until = 1,
                        .max_gen_toks = 10};
    struct asking how = {.options = ",max_length=30"};
    struct response *r = ask(model, &how, &a, &q, 1);
    if (r) {
        EXPECT_INT(r->n_tokens_prompt, 20); /* max_length - max_gen_toks */
        EXPECT(r->n_truncated > 0);
        EXPECT(r->tokens[0] != 1); /* <s> went with the beginning */
    }
    arena_free(&a);
}

static void expect_refused(struct backend *b, struct request q, int code, const char *words)
{
    struct error err;
    EXPECT_ERROR(backend_submit(b, &q, 0, &err), &err, code, words);
    EXPECT_INT(backend_in_flight(b), 0);
}

static void refuses_what_cannot_be_asked(void)
{
    struct asking how = {.options = ",max_length=64"};
    const char *model = check_shared(MODEL);
    struct backend *b = model ? open_backend(model, &how) : NULL;
    if (!b)
        return;
    struct request generate = {.kind = REQUEST_GENERATE_UNTIL, .context = STR("Once")};
    struct request q = generate;
    q.max_gen_toks = 8;
    q.sampling.temperature = -0.7;
    expect_refused(b, q, E_INPUT, "temperature=-0.7");
    q = generate;
    q.max_gen_toks = 64;
    expect_refused(b, q, E_INPUT, "max_gen_toks");
    expect_refused(b, loglikelihood("Once upon", ""), E_INPUT, "adds no token");
    expect_refused(b, loglikelihood("<s><s>Once", " upon"), E_INPUT, "twice");
    struct str longest = STR(" a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h "
                             "i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m n");
    expect_refused(b, loglikelihood("A", longest.p), E_INPUT, "longer than the context");
    q = (struct request){.kind = REQUEST_EMBED, .context = STR("Once")};
    expect_refused(b, q, E_UNSUPPORTED, "embeddings");
    backend_close(b);
}

/* A text that brings its BOS gets no second one. */
static void bos_comes_once(void)
{
    struct arena a = {0};
    const char *model = check_shared(MODEL);
    if (!model)
        return;
    struct request q[] = {loglikelihood("Once upon", " a time"),
                          loglikelihood("<s>Once upon", " a time")};
    struct asking how = {0};
    struct response *r = ask(model, &how, &a, q, 2);
    if (r) {
        EXPECT_INT(r[0].tokens[0], 1);
        EXPECT_INT(r[1].tokens[0], 1);
        EXPECT(r[1].tokens[1] != 1);
    }
    arena_free(&a);
}

static void specs_are_checked(void)
{
    static const struct {
        const char *spec;
        int code;
        const char *words;
    } cases[] = {
        {"", E_USAGE, "path"},
        {"m,dtyp=f32", E_USAGE, "dtype"},
        {"m,dtype=f64", E_USAGE, "bf16"},
        {"m,max_length=0", E_USAGE, "whole number"},
        {"m,max_length=5x", E_USAGE, "whole number"},
        {"m,max_length=99999999999999999999", E_USAGE, "whole number"},
        {"m,name=", E_USAGE, "name"},
        {"m,", E_USAGE, "known"},
        {"/nonexistent/model.gguf", E_IO, "/nonexistent/model.gguf"},
        {"/", E_IO, "config.json"},
    };
    struct backend_options options = {.n_threads = 1, .features = UINT_MAX};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backend *b = NULL;
        struct error err;
        EXPECT_ERROR(backend_open(cases[i].spec, &options, &b, &err), &err, cases[i].code,
                     cases[i].words);
        backend_close(b);
    }
}

CHECK_MAIN({"scores_as_the_reference", scores_as_the_reference},
           {"generates_as_the_reference", generates_as_the_reference},
           {"rolls_as_the_reference", rolls_as_the_reference},
           {"bits_stay_the_same", bits_stay_the_same},
           {"shared_contexts_are_computed_once", shared_contexts_are_computed_once},
           {"long_prompts_lose_their_beginning", long_prompts_lose_their_beginning},
           {"refuses_what_cannot_be_asked", refuses_what_cannot_be_asked},
           {"bos_comes_once", bos_comes_once}, {"specs_are_checked", specs_are_checked})
