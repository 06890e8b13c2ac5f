/* local.c: backend.h over our own engine: requests become sequences of tokens by
 * lm-evaluation-harness' rules (lm_eval/models/huggingface.py and api/model.py, causal models),
 * and what the engine answers becomes responses. */
#include <math.h>
#include <stdlib.h>

#include "backends/backend.h"
#include "backends/local/chat.h"
#include "backends/local/engine.h"
#include "backends/local/metadata.h"
#include "backends/local/sample.h"
#include "backends/local/spec.h"
#include "backends/local/speed.h"
#include "backends/local/tokenizer.h"
#include "base/utf8.h"
#include "kernels/probe.h"

enum {
    TOKEN_BUDGET = 256,      /* rows of a step unless told */
    WANTED_IN_FLIGHT = 4096, /* requests that are put in order together */
};

_Static_assert((int)REQUEST_TOP_MOST == (int)TOP_TOKENS, "what the kernels can find");

struct pending;

/* One sequence of a request; a rolling one has several. */
struct part {
    struct engine_job job;
    struct pending *pending;
};

/* A request between submit and poll. Everything it points to lives in its arena. */
struct pending {
    struct arena arena;
    uint64_t tag;
    enum request_kind kind;
    struct part *parts;
    int n_parts, n_open;
    int n_truncated;
    int n_top;
    struct str *until;
    int n_until;
    size_t longest_stop; /* bytes */
    struct sampling sampling;
    struct detokenizer text;
    size_t searched; /* bytes of text without a stop string in them */
    enum finish_reason finish;
    struct error err; /* of the detokenizer */
    struct backend *backend;
    struct pending *next, **link; /* of the backend's list */
};

struct backend {
    struct arena arena;
    struct spec spec;
    struct backend_info info;
    struct pool *pool;
    struct kernels kernels;
    struct model *model;
    struct tokenizer *tokenizer;
    const struct tokenizer_info *words;
    struct jinja *chat;      /* NULL: no template, or none that can be read: */
    struct error chat_error; /* which only matters to who wants to chat */
    struct engine *engine;
    int32_t prefix; /* what stands for an empty context: BOS, else EOS; -1: neither */
    struct str prefix_text;
    const int32_t *stops; /* ids that end a text */
    int n_stops;
    struct pending *pending; /* list of all in flight */
    struct {
        struct pending **items; /* [first .. n) are done and not handed out */
        size_t n, cap, first;
    } done;
    int n_in_flight;
    uint64_t n_measured; /* runs of backend_speed */
};

/* ---- opening ---- */

static void fill_info(struct backend *b)
{
    const struct model *m = b->model;
    b->info = (struct backend_info){
        .name = b->spec.name,
        .path = b->spec.path,
        .model_hash = m->files->hash,
        .numerics =
            arena_printf(&b->arena, "%s,%s", b->kernels.numerics, format_info[b->spec.dtype].name),
        .format = m->format,
        .quant = b->spec.quant == FORMAT_COUNT ? "none" : format_info[b->spec.quant].name,
        .architecture = m->architecture,
        .chat_template = b->words->chat_template,
        .bos_text = b->words->bos_text,
        .eos_text = b->words->eos_text,
        .max_length = b->spec.max_length ? b->spec.max_length : m->max_length,
        .n_params = m->n_params,
        .weight_bytes = m->weight_bytes,
    };
}

static int open_words(struct backend *b, struct error *err)
{
    int r = tokenizer_of(b->model->files, &b->tokenizer, err);
    if (r < 0)
        return r;
    b->words = tokenizer_info(b->tokenizer);
    b->prefix = b->words->bos >= 0 ? b->words->bos : b->words->eos;
    b->prefix_text = str_of(b->words->bos >= 0 ? b->words->bos_text : b->words->eos_text);
    if ((r = stop_ids_of(&b->arena, b->model->files, b->words->eos, &b->stops, &b->n_stops, err)) <
        0)
        return r;
    if (!b->words->chat_template)
        return 0;
    const char *where = arena_printf(&b->arena, "%s: chat template", b->spec.path);
    jinja_compile(&b->arena, str_of(b->words->chat_template), where, JINJA_CHAT, &b->chat,
                  &b->chat_error);
    return 0;
}

int backend_name(struct arena *a, const char *text, const struct backend_options *options,
                 const char **ret, struct error *err)
{
    struct spec spec;
    int r = spec_parse(a, text, options->dtype, &spec, err);
    if (r == 0)
        *ret = spec.name;
    return r;
}

int backend_open(const char *text, const struct backend_options *options, struct backend **ret,
                 struct error *err)
{
    struct backend *b = mem_alloc(1, sizeof *b);
    int r = spec_parse(&b->arena, text, options->dtype, &b->spec, err);
    if (r < 0)
        goto out;
    b->pool = pool_new(options->n_threads);
    b->kernels = kernels_cpu(options->features & cpu_features(), b->pool);
    if ((r = model_open(b->spec.path, b->spec.quant, b->pool, &b->model, err)) < 0 ||
        (r = open_words(b, err)) < 0)
        goto out;
    fill_info(b);
    struct engine_options eo = {.token_budget =
                                    options->token_budget ? options->token_budget : TOKEN_BUDGET,
                                .kv_bytes = options->kv_bytes,
                                .max_length = b->info.max_length,
                                .dtype = b->spec.dtype,
                                .no_sharing = options->no_sharing,
                                .pool = b->pool};
    r = engine_open(b->model, &b->kernels, &eo, &b->engine, err);
out:
    if (r < 0)
        backend_close(b);
    else
        *ret = b;
    return r;
}

static void pending_free(struct pending *p)
{
    detokenizer_free(&p->text);
    arena_free(&p->arena);
    free(p);
}

static void put_in_flight(struct backend *b, struct pending *p)
{
    p->next = b->pending;
    p->link = &b->pending;
    if (p->next)
        p->next->link = &p->next;
    b->pending = p;
    b->n_in_flight++;
}

/* Answered, or given up since the backend closes. */
static void take_back(struct backend *b, struct pending *p)
{
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    b->n_in_flight--;
    pending_free(p);
}

void backend_close(struct backend *b)
{
    if (!b)
        return;
    engine_close(b->engine);
    while (b->pending)
        take_back(b, b->pending);
    free(b->done.items);
    tokenizer_free(b->tokenizer);
    model_close(b->model);
    if (b->kernels.close)
        b->kernels.close(b->kernels.dev);
    pool_free(b->pool);
    arena_free(&b->arena);
    free(b);
}

const struct backend_info *backend_info(const struct backend *b)
{
    return &b->info;
}

int backend_render_chat(const struct backend *b, struct arena *a, const struct value *messages,
                        bool add_generation_prompt, bool continue_final, struct str *ret,
                        struct error *err)
{
    if (b->chat_error.code)
        return error_set(err, b->chat_error.code, "%s", b->chat_error.msg);
    if (!b->chat)
        return error_set(err, E_UNSUPPORTED, "the model \"%s\" has no chat template", b->spec.path);
    return chat_render(b->chat, b->words, a, messages, add_generation_prompt, continue_final, ret,
                       err);
}

/* ---- tokens ---- */

static int encode(const struct backend *b, struct arena *a, struct str text, unsigned flags,
                  int32_t **ids, int *n_ids, struct error *err)
{
    struct token_ids t;
    int r = tokenizer_encode(b->tokenizer, a, text, flags, &t, err);
    if (r < 0)
        return r;
    if (t.n > INT32_MAX / 2)
        return error_set(err, E_INPUT, "a text of %zu tokens is longer than any context", t.n);
    *ids = t.p;
    *n_ids = (int)t.n;
    return 0;
}

/* With BOS where the model adds one and the text has none. E_INPUT: it begins with BOS twice. */
static int encode_prompt(const struct backend *b, struct arena *a, struct str text, int32_t **ids,
                         int *n_ids, struct error *err)
{
    /* A text that brings its own BOS gets no second one. */
    bool has = b->prefix_text.n && str_starts(text, b->prefix_text);
    int r = encode(b, a, text, has ? 0 : TOKENIZER_ADD_SPECIAL, ids, n_ids, err);
    int32_t bos = b->words->bos;
    if (r == 0 && bos >= 0 && *n_ids > 1 && (*ids)[0] == bos && (*ids)[1] == bos)
        r = error_set(err, E_INPUT,
                      "the prompt begins with \"%s\" twice, which spoils scores; the chat "
                      "template writes it already, so take it out of the task's prompt",
                      b->words->bos_text);
    return r;
}

struct str backend_token_text(const struct backend *b, struct arena *a, int32_t id)
{
    return str_copy(a, tokenizer_piece(b->tokenizer, id));
}

static int no_prefix(const struct backend *b, struct error *err)
{
    return error_set(err, E_UNSUPPORTED,
                     "the model \"%s\" has neither a BOS nor an EOS token to stand for an empty "
                     "context; give the task a prompt",
                     b->spec.path);
}

static int32_t *with_prefix(const struct backend *b, struct arena *a, const int32_t *ids, int n)
{
    int32_t *ret = arena_array(a, (size_t)n + 1, sizeof *ret);
    ret[0] = b->prefix;
    if (n)
        memcpy(ret + 1, ids, (size_t)n * sizeof *ret);
    return ret;
}

/* True where text may go on: no stop string in it, no token that ends it. */
static bool wants_more(void *arg, int32_t token)
{
    struct pending *p = ((struct part *)arg)->pending;
    struct backend *b = p->backend;
    for (int i = 0; i < b->n_stops; i++) {
        if (token == b->stops[i]) {
            p->finish = FINISH_EOS;
            return false;
        }
    }
    if (detokenizer_push(&p->text, b->tokenizer, token, true, &p->err) < 0)
        return false;
    struct str text = buf_view(&p->text.text);
    size_t from = p->searched > p->longest_stop ? p->searched - p->longest_stop : 0;
    bool found = false;
    for (int i = 0; i < p->n_until && !found; i++)
        found = p->until[i].n && str_find(text, p->until[i], from) != SIZE_MAX;
    p->searched = p->text.certain;
    if (found)
        p->finish = FINISH_STOP;
    return !found;
}

/* A sequence of `n_scored` scored tokens behind others, cut from the left to the context. */
static void add_part(struct pending *p, const int32_t *tokens, int n, int n_scored, int max_new)
{
    struct part *part = &p->parts[p->n_parts++];
    part->pending = p;
    part->job = (struct engine_job){.n_tokens = n,
                                    .n_scored = n_scored,
                                    .max_new = max_new,
                                    .wants_more = wants_more,
                                    .arg = part};
    part->job.tokens = arena_array(&p->arena, (size_t)n + (size_t)max_new, sizeof(int32_t));
    memcpy(part->job.tokens, tokens, (size_t)n * sizeof(int32_t));
    if (n_scored && p->n_top) {
        part->job.n_top = p->n_top;
        part->job.logprobs = arena_array(&p->arena, (size_t)n_scored, sizeof(double));
        part->job.top =
            arena_array(&p->arena, (size_t)n_scored * (size_t)p->n_top, sizeof(struct top_token));
    }
}

/* White space at the context's end, as Python's rstrip() finds it, moves to the continuation. */
static void move_spaces(struct arena *a, struct str *context, struct str *continuation)
{
    struct str stripped = utf8_strip(*context, STRIP_RIGHT, NULL);
    struct str spaces = str_slice(*context, stripped.n, SIZE_MAX);
    if (!spaces.n)
        return;
    *continuation = str_cat(a, spaces, *continuation);
    *context = stripped;
}

/* The whole text's tokens, and how many of them come behind the context's. */
static int encode_pair(struct backend *b, struct arena *a, const struct request *q, int32_t **whole,
                       int *n_whole, int *n_scored, struct error *err)
{
    struct str context = q->context, continuation = q->continuation;
    int32_t *ids;
    int n_context, n = 0, r;
    if (context.n == 0) {
        if (b->prefix < 0)
            return no_prefix(b, err);
        if ((r = encode(b, a, continuation, 0, &ids, &n, err)) < 0)
            return r;
        bool has = n && ids[0] == b->prefix; /* then it is the context itself */
        *whole = has ? ids : with_prefix(b, a, ids, n);
        *n_whole = n + !has;
        *n_scored = *n_whole - 1;
        return 0;
    }
    move_spaces(a, &context, &continuation);
    if ((r = encode_prompt(b, a, str_cat(a, context, continuation), whole, n_whole, err)) < 0 ||
        (r = encode_prompt(b, a, context, &ids, &n_context, err)) < 0)
        return r;
    *n_scored = *n_whole - n_context;
    return 0;
}

static int prepare_loglikelihood(struct backend *b, struct pending *p, const struct request *q,
                                 struct error *err)
{
    int32_t *whole;
    int n = 0, n_scored = 0, r = encode_pair(b, &p->arena, q, &whole, &n, &n_scored, err);
    if (r < 0)
        return r;
    if (n_scored < 1)
        return error_set(err, E_INPUT,
                         "the continuation \"%.*s\" adds no token to its context, so that it "
                         "cannot be scored",
                         STR_ARG(q->continuation));
    if (n_scored > b->info.max_length)
        return error_set(err, E_INPUT,
                         "a continuation of %d tokens is longer than the context of %d; raise "
                         "max_length=... behind the model if it can take more",
                         n_scored, b->info.max_length);
    int dropped = n - (b->info.max_length + 1);
    dropped = dropped > 0 ? dropped : 0;
    if (n - dropped == n_scored) { /* a context of no token at all */
        if (b->prefix < 0)
            return no_prefix(b, err);
        whole = with_prefix(b, &p->arena, whole, n++);
    }
    p->n_truncated = dropped;
    p->parts = arena_array(&p->arena, 1, sizeof *p->parts);
    add_part(p, whole + dropped, n - dropped, n_scored, 0);
    return 0;
}

/* Disjoint windows over the text, each token scored once: the first behind the prefix token, a
 * later one behind as much as fits (lm_eval.utils.get_rolling_token_windows, context_len 1, then
 * make_disjoint_window). */
static int prepare_rolling(struct backend *b, struct pending *p, const struct request *q,
                           struct error *err)
{
    int32_t *ids;
    int n, max = b->info.max_length, r = encode_prompt(b, &p->arena, q->context, &ids, &n, err);
    if (r < 0)
        return r;
    if (b->prefix < 0)
        return no_prefix(b, err);
    const int32_t *all = with_prefix(b, &p->arena, ids, n);
    p->parts = arena_array(&p->arena, (size_t)(n / max) + 1, sizeof *p->parts);
    for (int scored = 0; scored < n;) {
        int size = n - scored < max ? n - scored : max, end = scored + size + 1;
        int begin =
            scored == 0 ? 0 : end - max - 1; /* in `all`; the prefix only starts the first */
        add_part(p, all + begin, end - begin, size, 0);
        scored += size;
    }
    return 0;
}

/* ---- generation ---- */

/* EOS stops as a string as well: a model may spell it with other tokens. */
static void copy_stops(struct pending *p, const struct request *q)
{
    p->n_until = q->n_until + 1;
    p->until = arena_array(&p->arena, (size_t)p->n_until, sizeof *p->until);
    for (int i = 0; i < p->n_until; i++) {
        p->until[i] =
            i < q->n_until ? str_copy(&p->arena, q->until[i]) : str_of(p->backend->words->eos_text);
        p->longest_stop = p->until[i].n > p->longest_stop ? p->until[i].n : p->longest_stop;
    }
}

static void add_sampling(struct pending *p, const struct request *q)
{
    struct engine_job *j = &p->parts[0].job;
    if (sampling_is_greedy(&q->sampling))
        return;
    p->sampling = q->sampling;
    j->sampling = &p->sampling;
    j->doc_id = q->doc_id;
    j->idx = q->idx;
}

static int prepare_generation(struct backend *b, struct pending *p, const struct request *q,
                              struct error *err)
{
    if (q->max_gen_toks < 1 || q->max_gen_toks >= b->info.max_length)
        return error_set(err, E_INPUT,
                         "max_gen_toks=%d leaves no room for a prompt in the context of %d tokens; "
                         "lower it (--max_gen_toks)",
                         q->max_gen_toks, b->info.max_length);
    int32_t *ids;
    int n, room = b->info.max_length - q->max_gen_toks;
    int r = sampling_check(&q->sampling, err);
    if (r < 0 || (r = encode_prompt(b, &p->arena, q->context, &ids, &n, err)) < 0)
        return r;
    if (n == 0) {
        if (b->prefix < 0)
            return no_prefix(b, err);
        ids = &b->prefix;
        n = 1;
    }
    int dropped = n > room ? n - room : 0;
    p->n_truncated = dropped;
    p->finish = FINISH_LENGTH;
    copy_stops(p, q);
    p->parts = arena_array(&p->arena, 1, sizeof *p->parts);
    add_part(p, ids + dropped, n - dropped, 0, q->max_gen_toks);
    add_sampling(p, q);
    return 0;
}

/* ---- submit, poll ---- */

static int prepare(struct backend *b, struct pending *p, const struct request *q, struct error *err)
{
    switch (q->kind) {
    case REQUEST_LOGLIKELIHOOD:
        return prepare_loglikelihood(b, p, q, err);
    case REQUEST_LOGLIKELIHOOD_ROLLING:
        return prepare_rolling(b, p, q, err);
    case REQUEST_GENERATE_UNTIL:
        return prepare_generation(b, p, q, err);
    case REQUEST_EMBED:
        break;
    }
    return error_set(err, E_UNSUPPORTED, "the model \"%s\" gives no embeddings", b->spec.path);
}

int backend_submit(struct backend *b, const struct request *q, uint64_t tag, struct error *err)
{
    struct pending *p = mem_alloc(1, sizeof *p);
    p->tag = tag;
    p->kind = q->kind;
    p->n_top = q->n_top < 0 ? 0 : q->n_top > REQUEST_TOP_MOST ? REQUEST_TOP_MOST : q->n_top;
    p->backend = b;
    int r = prepare(b, p, q, err);
    for (int i = 0; i < p->n_parts && r == 0; i++)
        r = engine_check(b->engine, &p->parts[i].job, err);
    if (r < 0) {
        pending_free(p);
        return r;
    }
    p->n_open = p->n_parts;
    for (int i = 0; i < p->n_parts; i++)
        engine_submit(b->engine, &p->parts[i].job);
    if (p->n_parts == 0)
        *ARRAY_PUSH(&b->done) = p; /* an empty text: nothing to compute */
    put_in_flight(b, p);
    return 0;
}

int backend_in_flight(const struct backend *b)
{
    return b->n_in_flight;
}

int backend_room(const struct backend *b)
{
    return b->n_in_flight < WANTED_IN_FLIGHT ? WANTED_IN_FLIGHT - b->n_in_flight : 0;
}

static void job_done(void *arg, struct engine_job *job)
{
    struct backend *b = arg;
    struct pending *p = ((struct part *)job->arg)->pending;
    if (--p->n_open == 0)
        *ARRAY_PUSH(&b->done) = p;
}

/* The text up to the first stop string, all of it looked at together: as
 * postprocess_generated_text cuts. */
static int finish_text(struct pending *p, struct arena *a, struct response *r)
{
    if (p->err.code)
        return p->err.code;
    struct str text = buf_view(&p->text.text);
    for (int i = 0; i < p->n_until; i++) {
        size_t at = p->until[i].n ? str_find(text, p->until[i], 0) : SIZE_MAX;
        if (at == SIZE_MAX)
            continue;
        text.n = at;
        p->finish = FINISH_STOP;
    }
    r->text = str_copy(a, text);
    r->finish = p->finish;
    return 0;
}

/* The scored tokens of all parts one behind the other, and what else was probable there. */
static void answer_top(struct pending *p, struct arena *a, struct response *r)
{
    size_t k = (size_t)p->n_top, n = (size_t)r->n_tokens_scored;
    struct token_chance *scored = arena_array(a, n, sizeof *scored);
    struct token_chance *top = arena_array(a, n * k, sizeof *top);
    r->n_top = p->n_top;
    r->scored = scored;
    r->top = top;
    for (int i = 0; i < p->n_parts; i++) {
        const struct engine_job *j = &p->parts[i].job;
        for (int t = 0; t < j->n_scored; t++)
            *scored++ =
                (struct token_chance){j->tokens[j->n_tokens - j->n_scored + t], j->logprobs[t]};
        for (size_t t = 0; t < (size_t)j->n_scored * k; t++)
            *top++ = (struct token_chance){j->top[t].token, j->top[t].logprob};
    }
}

static void answer(struct pending *p, struct arena *a, struct response *r)
{
    *r = (struct response){.is_greedy = true, .n_truncated = p->n_truncated};
    for (int i = 0; i < p->n_parts; i++) {
        const struct engine_job *j = &p->parts[i].job;
        r->logprob_nats += j->logprob;
        r->is_greedy &= j->is_greedy;
        r->n_tokens_prompt += j->n_tokens - j->n_scored;
        r->n_tokens_scored += j->n_scored;
        r->n_tokens_generated += j->n_new;
        r->time_ns += j->time_ns;
        r->n_tokens += j->n_tokens + j->n_new;
    }
    int32_t *tokens = arena_array(a, (size_t)r->n_tokens, sizeof *tokens);
    r->tokens = tokens;
    for (int i = 0; i < p->n_parts; i++) {
        const struct engine_job *j = &p->parts[i].job;
        memcpy(tokens, j->tokens, (size_t)(j->n_tokens + j->n_new) * sizeof *tokens);
        tokens += j->n_tokens + j->n_new;
    }
    if (p->n_top && p->kind != REQUEST_GENERATE_UNTIL)
        answer_top(p, a, r);
    if (p->kind == REQUEST_GENERATE_UNTIL)
        r->error = finish_text(p, a, r);
    else if (!isfinite(r->logprob_nats))
        r->error = error_set(&p->err, E_INPUT,
                             "the model's log-probability is %g: its weights or activations hold "
                             "NaN or Infinity%s",
                             r->logprob_nats,
                             p->backend->spec.dtype == FORMAT_F16 ? "; try dtype=bf16 or f32" : "");
    if (r->error)
        r->error_msg = arena_copy(a, p->err.msg, strlen(p->err.msg));
}

int backend_poll(struct backend *b, struct arena *a, struct completion *ret, int max,
                 struct error *err)
{
    if (b->done.first == b->done.n && !engine_idle(b->engine)) {
        int r = engine_step(b->engine, job_done, b, err);
        if (r < 0)
            return r;
    }
    int n = 0;
    for (; n < max && b->done.first < b->done.n; n++) {
        struct pending *p = b->done.items[b->done.first++];
        ret[n].tag = p->tag;
        answer(p, a, &ret[n].response);
        take_back(b, p);
    }
    if (b->done.first == b->done.n)
        b->done.first = b->done.n = 0;
    return n;
}

struct backend_stats backend_stats(const struct backend *b)
{
    struct engine_stats s = engine_stats(b->engine);
    return (struct backend_stats){s.tokens_computed, s.tokens_generated, s.steps, s.seconds};
}

int backend_speed(struct backend *b, const struct backend_load *load, int repeat,
                  struct backend_speed *ret, struct error *err)
{
    *ret = (struct backend_speed){0};
    for (int i = 0; i < repeat; i++) {
        struct backend_speed once;
        int r = speed_measure(b->engine, b->model, load, b->n_measured++, &once, err);
        if (r < 0)
            return r;
        if (once.tokens > ret->tokens)
            *ret = once;
    }
    return 0;
}

struct backend_speed backend_peak(struct backend *b)
{
    struct peaks p = probe_peaks(b->pool, CLOCK_MONOTONIC);
    bool bf16 = b->spec.dtype == FORMAT_BF16 && p.bf16 > 0;
    return (struct backend_speed){.flops = bf16 ? p.bf16 : p.f32, .bytes = p.bytes};
}
