/* local.c: backend.h over our own engine. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "backends/backend.h"
#include "backends/local/calibration_text.h"
#include "backends/local/chat.h"
#include "backends/local/divergence.h"
#include "backends/local/engine.h"
#include "backends/local/foresee.h"
#include "backends/local/metadata.h"
#include "backends/local/quantize.h"
#include "backends/local/requests.h"
#include "backends/local/spec.h"
#include "backends/local/speed.h"
#include "base/limits.h"
#include "kernels/probe.h"

enum {
    TOKEN_BUDGET = 256,      /* rows of a step unless told */
    WANTED_IN_FLIGHT = 4096, /* requests that are put in order together */
    GREEDY_BUCKETS = 1024,
};

struct backend {
    struct arena arena;
    struct spec spec;
    struct backend_info info;
    const char *quant; /* the scheme's label, and the hash of what it learnt from */
    struct pool *pool;
    struct kernels kernels;
    struct model *model;
    struct language language;
    struct jinja *chat;      /* NULL: no template, or none that can be read: */
    struct error chat_error; /* which only matters to who wants to chat */
    struct engine *engine;
    struct prepared *pending;                /* list of all in flight */
    struct prepared *greedy[GREEDY_BUCKETS]; /* generations in flight that twins may join */
    struct {
        struct prepared **items; /* [first .. n) are done and not handed out */
        size_t n, cap, first;
    } done;
    int n_in_flight;
    int64_t tokens_asked; /* by what is answered */
    uint64_t n_measured;  /* runs of backend_speed */
};

/* ---- opening ---- */

struct opening {
    struct backend *b;
    const struct backend_options *options;
};

static int max_length(const struct backend *b)
{
    return b->spec.max_length ? b->spec.max_length : b->model->max_length;
}

static size_t file_bytes(const struct checkpoint *c)
{
    size_t ret = 0;
    for (size_t i = 0; i < c->files.n; i++)
        ret += c->files.items[i].n;
    return ret;
}

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
        .quant = b->quant,
        .architecture = m->architecture,
        .chat_template = b->language.words->chat_template,
        .bos_text = b->language.words->bos_text,
        .eos_text = b->language.words->eos_text,
        .max_length = max_length(b),
        .n_params = m->n_params,
        .weight_bytes = m->weight_bytes,
        .stored_bytes = scheme_is_none(&b->spec.scheme) ? file_bytes(m->files) : m->weight_bytes,
        .held_bytes = model_held_bytes(m, &b->kernels),
    };
}

static int open_words(struct backend *b, struct error *err)
{
    struct language *l = &b->language;
    *l = (struct language){
        .path = b->spec.path, .max_length = max_length(b), .dtype = b->spec.dtype};
    int r = tokenizer_of(b->model->files, &l->tokenizer, err);
    if (r < 0)
        return r;
    l->words = tokenizer_info(l->tokenizer);
    l->memo = token_memo_new();
    l->prefix = l->words->bos >= 0 ? l->words->bos : l->words->eos;
    l->prefix_text = str_of(l->words->bos >= 0 ? l->words->bos_text : l->words->eos_text);
    if ((r = stop_ids_of(&b->arena, b->model->files, l->words->eos, &l->stops, &l->n_stops, err)) <
        0)
        return r;
    if (!l->words->chat_template)
        return 0;
    const char *where = arena_printf(&b->arena, "%s: chat template", b->spec.path);
    jinja_compile(&b->arena, str_of(l->words->chat_template), where, JINJA_CHAT, &b->chat,
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

static void on_quantized(void *arg, double share)
{
    const struct backend_options *o = ((struct opening *)arg)->options;
    o->watcher.told(o->watcher.arg, ((struct opening *)arg)->b->spec.name, share);
}

/* What quant= asks for, in the place of what the file holds. */
static int quantize(struct backend *b, const struct backend_options *o, struct error *err)
{
    const struct scheme *s = &b->spec.scheme;
    struct opening opening = {b, o};
    struct kernels cpu = {0}; /* looks at what matrices read, which must be in the host's memory */
    if (b->kernels.on_device)
        cpu = kernels_cpu(o->features & cpu_features(), b->pool);
    struct quantize_options q = {.scheme = s,
                                 .k = cpu.dev ? &cpu : &b->kernels,
                                 .pool = b->pool,
                                 .dtype = b->spec.dtype,
                                 .told =
                                     o->watcher.told && s->calibration.path ? on_quantized : NULL,
                                 .arg = &opening};
    char hash[HASH_HEX];
    int32_t *tokens = NULL;
    int r = 0;
    b->quant = s->label;
    if (s->calibration.path) {
        r = calibration_tokens(&s->calibration, b->language.tokenizer, &o->texts, &tokens, hash,
                               err);
        q.tokens = tokens;
        if (r == 0)
            b->quant = arena_printf(&b->arena, "%s,text=%.16s", s->label, hash);
    }
    if (r == 0)
        r = model_quantize(b->model, &q, err);
    if (cpu.dev)
        cpu.close(cpu.dev);
    free(tokens);
    return r;
}

static struct engine_options engine_options(const struct backend *b,
                                            const struct backend_options *o)
{
    return (struct engine_options){.token_budget = o->token_budget ? o->token_budget : TOKEN_BUDGET,
                                   .kv_bytes = o->kv_bytes,
                                   .max_length = max_length(b),
                                   .dtype = b->spec.dtype,
                                   .no_sharing = o->no_sharing,
                                   .pool = b->pool};
}

/* The table that computes, and how much memory it finds. */
static int open_kernels(struct backend *b, const struct backend_options *o, size_t *available,
                        struct error *err)
{
    if (b->spec.cuda < 0) {
        b->kernels = kernels_cpu(o->features & cpu_features(), b->pool);
        *available = limits_memory("");
        return 0;
    }
    int r = kernels_cuda(b->spec.cuda, &b->kernels, err);
    *available = kernels_cuda_memory(b->spec.cuda);
    return r < 0 ? error_prefix(err, "cannot run the model \"%s\": ", b->spec.path) : 0;
}

int backend_open(const char *text, const struct backend_options *options, struct backend **ret,
                 struct error *err)
{
    struct backend *b = mem_alloc(1, sizeof *b);
    int r = spec_parse(&b->arena, text, options->dtype, &b->spec, err);
    if (r < 0)
        goto out;
    b->pool = pool_new(options->n_threads);
    size_t available;
    if ((r = open_kernels(b, options, &available, err)) < 0 ||
        (r = model_open(b->spec.path, b->pool, &b->model, err)) < 0 ||
        (r = open_words(b, err)) < 0 || (r = quantize(b, options, err)) < 0)
        goto out;
    struct engine_options eo = engine_options(b, options);
    if ((r = foresee(b->model, &b->kernels, &eo, available, err)) < 0 ||
        (r = model_pack(b->model, &b->kernels, err)) < 0)
        goto out;
    fill_info(b);
    r = engine_open(b->model, &b->kernels, &eo, &b->engine, err);
out:
    if (r < 0)
        backend_close(b);
    else
        *ret = b;
    return r;
}

static void put_in_flight(struct backend *b, struct prepared *p)
{
    p->next = b->pending;
    p->link = &b->pending;
    if (p->next)
        p->next->link = &p->next;
    b->pending = p;
    b->n_in_flight++;
}

/* Answered, or given up since the backend closes. */
static void take_back(struct backend *b, struct prepared *p)
{
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    b->n_in_flight--;
    prepared_free(p);
}

void backend_close(struct backend *b)
{
    if (!b)
        return;
    engine_close(b->engine);
    while (b->pending)
        take_back(b, b->pending);
    free(b->done.items);
    token_memo_free(b->language.memo);
    tokenizer_free(b->language.tokenizer);
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
    return chat_render(b->chat, b->language.words, a, messages, add_generation_prompt,
                       continue_final, ret, err);
}

struct str backend_token_text(const struct backend *b, struct arena *a, int32_t id)
{
    return str_copy(a, tokenizer_piece(b->language.tokenizer, id));
}

/* ---- submit, poll ---- */

int backend_prepare(struct backend *b, const struct request *q, struct prepared **ret,
                    struct error *err)
{
    struct prepared *p = NULL;
    int r = request_prepare(&b->language, q, &p, err);
    for (int i = 0; r == 0 && i < p->n_parts; i++)
        r = engine_check(b->engine, &p->parts[i].job, err);
    if (r < 0)
        prepared_free(p);
    else
        *ret = p;
    return r;
}

void backend_drop(struct prepared *p)
{
    prepared_free(p);
}

static bool is_greedy_text(const struct prepared *p)
{
    return p->kind == REQUEST_GENERATE_UNTIL && !p->parts[0].job.sampling;
}

static uint64_t hash_of(const struct prepared *p)
{
    const struct engine_job *j = &p->parts[0].job;
    uint64_t h = XXH3_64bits_withSeed(j->tokens, (size_t)j->n_tokens * sizeof *j->tokens,
                                      (uint64_t)j->max_new);
    for (int i = 0; i < p->n_until; i++)
        h = XXH3_64bits_withSeed(p->until[i].p, p->until[i].n, h);
    return h;
}

static bool same_question(const struct prepared *p, const struct prepared *q)
{
    const struct engine_job *x = &p->parts[0].job, *y = &q->parts[0].job;
    bool same = p->hash == q->hash && x->n_tokens == y->n_tokens && x->max_new == y->max_new &&
                p->n_until == q->n_until &&
                memcmp(x->tokens, y->tokens, (size_t)x->n_tokens * sizeof *x->tokens) == 0;
    for (int i = 0; i < p->n_until && same; i++)
        same = str_eq(p->until[i], q->until[i]);
    return same;
}

/* Two who ask the same get one text: true where another of them is in flight and answers both. */
static bool join_twin(struct backend *b, struct prepared *p)
{
    p->hash = hash_of(p);
    struct prepared **bucket = &b->greedy[p->hash % GREEDY_BUCKETS];
    for (struct prepared *q = *bucket; q; q = q->colliding)
        if (same_question(p, q)) {
            p->next_twin = q->twins;
            q->twins = p;
            return true;
        }
    p->colliding = *bucket;
    *bucket = p;
    return false;
}

void backend_ask(struct backend *b, struct prepared *p, uint64_t tag)
{
    p->tag = tag;
    put_in_flight(b, p);
    if (p->n_parts == 0)
        *ARRAY_PUSH(&b->done) = p; /* an empty text: nothing to compute */
    if (is_greedy_text(p) && join_twin(b, p))
        return;
    for (int i = 0; i < p->n_parts; i++)
        engine_submit(b->engine, &p->parts[i].job);
}

int backend_submit(struct backend *b, const struct request *q, uint64_t tag, struct error *err)
{
    struct prepared *p;
    int r = backend_prepare(b, q, &p, err);
    if (r == 0)
        backend_ask(b, p, tag);
    return r;
}

int backend_in_flight(const struct backend *b)
{
    return b->n_in_flight;
}

int backend_room(const struct backend *b)
{
    return b->n_in_flight < WANTED_IN_FLIGHT ? WANTED_IN_FLIGHT - b->n_in_flight : 0;
}

/* The text is done: nobody joins any more, and who did gets it too. */
static void answer_twins(struct backend *b, struct prepared *p)
{
    const struct engine_job *from = &p->parts[0].job;
    struct prepared **link = &b->greedy[p->hash % GREEDY_BUCKETS];
    while (*link != p)
        link = &(*link)->colliding;
    *link = p->colliding;
    for (struct prepared *q = p->twins; q; q = q->next_twin) {
        struct engine_job *to = &q->parts[0].job;
        memcpy(to->tokens + to->n_tokens, from->tokens + from->n_tokens,
               (size_t)from->n_new * sizeof *to->tokens);
        to->n_new = from->n_new;
        to->is_greedy = from->is_greedy;
        to->time_ns = from->time_ns;
        buf_str(&q->text.text, buf_view(&p->text.text));
        q->finish = p->finish;
        q->err = p->err;
        *ARRAY_PUSH(&b->done) = q;
    }
}

static void job_done(void *arg, struct engine_job *job)
{
    struct backend *b = arg;
    struct prepared *p = ((struct part *)job->arg)->prepared;
    if (--p->n_open > 0)
        return;
    *ARRAY_PUSH(&b->done) = p;
    if (is_greedy_text(p))
        answer_twins(b, p);
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
        struct prepared *p = b->done.items[b->done.first++];
        ret[n].tag = p->tag;
        prepared_answer(p, a, &ret[n].response);
        for (int i = 0; i < p->n_parts; i++)
            b->tokens_asked += p->parts[i].job.n_tokens + p->parts[i].job.n_new - 1;
        take_back(b, p);
    }
    if (b->done.first == b->done.n)
        b->done.first = b->done.n = 0;
    return n;
}

struct backend_stats backend_stats(const struct backend *b)
{
    struct engine_stats s = engine_stats(b->engine);
    return (struct backend_stats){.tokens_computed = s.tokens_computed,
                                  .tokens_asked = b->tokens_asked,
                                  .tokens_generated = s.tokens_generated,
                                  .steps = s.steps,
                                  .seconds_busy = s.seconds};
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
    double flops = b->spec.scheme.x.kind == X_INT8 ? p.int8
                   : b->spec.dtype == FORMAT_BF16  ? p.bf16
                                                   : 0;
    return (struct backend_speed){.flops = flops > 0 ? flops : p.f32, .bytes = p.bytes};
}

static struct reader_model reader_model(struct backend *b)
{
    return (struct reader_model){b->engine, b->model, &b->kernels, &b->language};
}

int backend_divergence(struct backend *a, struct backend *b, const struct divergence_texts *texts,
                       struct arena *arena, struct token_divergence **ret, int *n,
                       struct error *err)
{
    struct reader_model models[] = {reader_model(a), reader_model(b)};
    return divergence_measure(models, a->pool, texts, arena, ret, n, err);
}
