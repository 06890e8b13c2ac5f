#include "backends/local/requests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

_Static_assert((int)REQUEST_TOP_MOST == (int)TOP_TOKENS, "what the kernels can find");

/* ---- tokens ---- */

static int encode(struct language *l, struct arena *a, struct str text, unsigned flags,
                  int32_t **ids, int *n_ids, struct error *err)
{
    struct token_ids t;
    int r = token_memo_encode(l->memo, l->tokenizer, a, text, flags, &t, err);
    if (r < 0)
        return r;
    if (t.n > INT32_MAX / 2)
        return error_set(err, E_INPUT, "a text of %zu tokens is longer than any context", t.n);
    *ids = t.p;
    *n_ids = (int)t.n;
    return 0;
}

/* With BOS where the model adds one and the text has none. E_INPUT: it begins with BOS twice. */
static int encode_prompt(struct language *l, struct arena *a, struct str text, int32_t **ids,
                         int *n_ids, struct error *err)
{
    /* A text that brings its own BOS gets no second one. */
    bool has = l->prefix_text.n && str_starts(text, l->prefix_text);
    int r = encode(l, a, text, has ? 0 : TOKENIZER_ADD_SPECIAL, ids, n_ids, err);
    int32_t bos = l->words->bos;
    if (r == 0 && bos >= 0 && *n_ids > 1 && (*ids)[0] == bos && (*ids)[1] == bos)
        r = error_set(err, E_INPUT,
                      "the prompt begins with \"%s\" twice, which spoils scores; the chat "
                      "template writes it already, so take it out of the task's prompt",
                      l->words->bos_text);
    return r;
}

static int no_prefix(const struct language *l, struct error *err)
{
    return error_set(err, E_UNSUPPORTED,
                     "the model \"%s\" has neither a BOS nor an EOS token to stand for an empty "
                     "context; give the task a prompt",
                     l->path);
}

static int32_t *with_prefix(const struct language *l, struct arena *a, const int32_t *ids, int n)
{
    int32_t *ret = arena_array(a, (size_t)n + 1, sizeof *ret);
    ret[0] = l->prefix;
    if (n)
        memcpy(ret + 1, ids, (size_t)n * sizeof *ret);
    return ret;
}

/* True where text may go on: no stop string in it, no token that ends it. */
static bool wants_more(void *arg, int32_t token)
{
    struct prepared *p = ((struct part *)arg)->prepared;
    struct language *l = p->language;
    for (int i = 0; i < l->n_stops; i++) {
        if (token == l->stops[i]) {
            p->finish = FINISH_EOS;
            return false;
        }
    }
    if (detokenizer_push(&p->text, l->tokenizer, token, true, &p->err) < 0)
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
static void add_part(struct prepared *p, const int32_t *tokens, int n, int n_scored, int max_new)
{
    struct part *part = &p->parts[p->n_parts++];
    part->prepared = p;
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
static int encode_pair(struct language *l, struct arena *a, const struct request *q,
                       int32_t **whole, int *n_whole, int *n_scored, struct error *err)
{
    struct str context = q->context, continuation = q->continuation;
    int32_t *ids;
    int n_context, n = 0, r;
    if (context.n == 0) {
        if (l->prefix < 0)
            return no_prefix(l, err);
        if ((r = encode(l, a, continuation, 0, &ids, &n, err)) < 0)
            return r;
        bool has = n && ids[0] == l->prefix; /* then it is the context itself */
        *whole = has ? ids : with_prefix(l, a, ids, n);
        *n_whole = n + !has;
        *n_scored = *n_whole - 1;
        return 0;
    }
    move_spaces(a, &context, &continuation);
    if ((r = encode_prompt(l, a, str_cat(a, context, continuation), whole, n_whole, err)) < 0 ||
        (r = encode_prompt(l, a, context, &ids, &n_context, err)) < 0)
        return r;
    *n_scored = *n_whole - n_context;
    return 0;
}

static int prepare_loglikelihood(struct language *l, struct prepared *p, const struct request *q,
                                 struct error *err)
{
    int32_t *whole;
    int n = 0, n_scored = 0, r = encode_pair(l, &p->arena, q, &whole, &n, &n_scored, err);
    if (r < 0)
        return r;
    if (n_scored < 1)
        return error_set(err, E_INPUT,
                         "the continuation \"%.*s\" adds no token to its context, so that it "
                         "cannot be scored",
                         STR_ARG(q->continuation));
    if (n_scored > l->max_length)
        return error_set(err, E_INPUT,
                         "a continuation of %d tokens is longer than the context of %d; raise "
                         "max_length=... behind the model if it can take more",
                         n_scored, l->max_length);
    int dropped = n - (l->max_length + 1);
    dropped = dropped > 0 ? dropped : 0;
    if (n - dropped == n_scored) { /* a context of no token at all */
        if (l->prefix < 0)
            return no_prefix(l, err);
        whole = with_prefix(l, &p->arena, whole, n++);
    }
    p->n_truncated = dropped;
    p->parts = arena_array(&p->arena, 1, sizeof *p->parts);
    add_part(p, whole + dropped, n - dropped, n_scored, 0);
    return 0;
}

/* Disjoint windows over the text, each token scored once: the first behind the prefix token, a
 * later one behind as much as fits (lm_eval.utils.get_rolling_token_windows, context_len 1, then
 * make_disjoint_window). */
static int prepare_rolling(struct language *l, struct prepared *p, const struct request *q,
                           struct error *err)
{
    int32_t *ids;
    int n, max = l->max_length, r = encode_prompt(l, &p->arena, q->context, &ids, &n, err);
    if (r < 0)
        return r;
    if (l->prefix < 0)
        return no_prefix(l, err);
    const int32_t *all = with_prefix(l, &p->arena, ids, n);
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
static void copy_stops(struct prepared *p, const struct request *q)
{
    p->n_until = q->n_until + 1;
    p->until = arena_array(&p->arena, (size_t)p->n_until, sizeof *p->until);
    for (int i = 0; i < p->n_until; i++) {
        p->until[i] = i < q->n_until ? str_copy(&p->arena, q->until[i])
                                     : str_of(p->language->words->eos_text);
        p->longest_stop = p->until[i].n > p->longest_stop ? p->until[i].n : p->longest_stop;
    }
}

static void add_sampling(struct prepared *p, const struct request *q)
{
    struct engine_job *j = &p->parts[0].job;
    if (sampling_is_greedy(&q->sampling))
        return;
    p->sampling = q->sampling;
    j->sampling = &p->sampling;
    j->doc_id = q->doc_id;
    j->idx = q->idx;
}

static int prepare_generation(struct language *l, struct prepared *p, const struct request *q,
                              struct error *err)
{
    if (q->max_gen_toks < 1 || q->max_gen_toks >= l->max_length)
        return error_set(err, E_INPUT,
                         "max_gen_toks=%d leaves no room for a prompt in the context of %d tokens; "
                         "lower it (--max_gen_toks)",
                         q->max_gen_toks, l->max_length);
    int32_t *ids;
    int n, room = l->max_length - q->max_gen_toks;
    int r = sampling_check(&q->sampling, err);
    if (r < 0 || (r = encode_prompt(l, &p->arena, q->context, &ids, &n, err)) < 0)
        return r;
    if (n == 0) {
        if (l->prefix < 0)
            return no_prefix(l, err);
        ids = &l->prefix;
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

static int prepare(struct language *l, struct prepared *p, const struct request *q,
                   struct error *err)
{
    switch (q->kind) {
    case REQUEST_LOGLIKELIHOOD:
        return prepare_loglikelihood(l, p, q, err);
    case REQUEST_LOGLIKELIHOOD_ROLLING:
        return prepare_rolling(l, p, q, err);
    case REQUEST_GENERATE_UNTIL:
        return prepare_generation(l, p, q, err);
    case REQUEST_EMBED:
        break;
    }
    return error_set(err, E_UNSUPPORTED, "the model \"%s\" gives no embeddings", l->path);
}

int request_prepare(struct language *l, const struct request *q, struct prepared **ret,
                    struct error *err)
{
    struct prepared *p = mem_alloc(1, sizeof *p);
    p->kind = q->kind;
    p->n_top = q->n_top < 0 ? 0 : q->n_top > REQUEST_TOP_MOST ? REQUEST_TOP_MOST : q->n_top;
    p->language = l;
    int r = prepare(l, p, q, err);
    p->n_open = p->n_parts;
    if (r < 0)
        prepared_free(p);
    else
        *ret = p;
    return r;
}

void prepared_free(struct prepared *p)
{
    if (!p)
        return;
    detokenizer_free(&p->text);
    arena_free(&p->arena);
    free(p);
}

/* ---- answers ---- */

/* The text up to the first stop string, all of it looked at together: as
 * postprocess_generated_text cuts. */
static int finish_text(struct prepared *p, struct arena *a, struct response *r)
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
static void answer_top(struct prepared *p, struct arena *a, struct response *r)
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

void prepared_answer(struct prepared *p, struct arena *a, struct response *r)
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
                             p->language->dtype == FORMAT_F16 ? "; try dtype=bf16 or f32" : "");
    if (r->error)
        r->error_msg = arena_copy(a, p->err.msg, strlen(p->err.msg));
}
