#include "harness/rescore.h"

#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "harness/runner.h"

enum { BATCH = 512 }; /* documents in memory */

struct rescoring {
    struct store *store;
    const struct evaluation_line *source;
    struct task *task;
    const struct task_info *info;
    const struct rescore_options *o;
    bool compares_prompts, compares_choices;
};

/* ---- would it ask the same? ---- */

static bool one_of(struct str key, const char *const *names)
{
    for (; *names; names++)
        if (str_eqz(key, *names))
            return true;
    return false;
}

/* Keys that no request depends on. */
static const char *const scoring_keys[] = {"task",
                                           "task_alias",
                                           "tag",
                                           "group",
                                           "filter_list",
                                           "metric_list",
                                           "process_results",
                                           "metadata",
                                           "unsafe_code",
                                           "should_decontaminate",
                                           "doc_to_decontamination_query",
                                           "dataset_kwargs",
                                           NULL};

/* Keys that no prompt shows; all others are seen in the prompts. */
static const char *const unseen_keys[] = {"output_type", "generation_kwargs", "repeats",
                                          "process_docs", NULL};

static bool same_value(struct arena *a, const struct value *x, const struct value *y)
{
    bool no_x = !x || x->type == VALUE_NONE, no_y = !y || y->type == VALUE_NONE;
    if (no_x || no_y)
        return no_x == no_y;
    return str_eq(json_text(a, x), json_text(a, y));
}

static int check_key(struct rescoring *t, struct arena *a, struct str key, const struct value *then,
                     const struct value *now, struct error *err)
{
    if (one_of(key, scoring_keys) || (t->compares_prompts && !one_of(key, unseen_keys)))
        return 0;
    if (same_value(a, dict_get(then, key.p), dict_get(now, key.p)))
        return 0;
    return error_set(err, E_INPUT,
                     "task \"%s\": %s is not what evaluation #%lld was asked with, so the model "
                     "would be asked something else; only scoring can be done again: leave %s as "
                     "it was, or run the model",
                     t->info->name, key.p, (long long)t->source->id, key.p);
}

/* The store may come from somebody else, and be damaged. */
static int stored_definition(const struct evaluation_line *e, struct arena *a, struct value **ret,
                             struct error *err)
{
    int r = json_parse(a, str_of(e->config_json), "a stored task definition", ret, err);
    if (r == 0 && (*ret)->type != VALUE_DICT)
        r = error_set(err, E_INPUT,
                      "evaluation #%lld of task \"%s\" cannot be scored again: its stored "
                      "definition is no JSON object",
                      (long long)e->id, e->task);
    return r;
}

static int check_definition(struct rescoring *t, struct error *err)
{
    struct arena a = {0};
    struct value *then;
    const struct value *now = t->info->config;
    int r = stored_definition(t->source, &a, &then, err);
    const struct value *sides[] = {then, now};
    for (int k = 0; k < 2 && r == 0; k++)
        for (size_t i = 0; i < sides[k]->dict.n && r == 0; i++) {
            const struct value *key = sides[k]->dict.entries[i].key;
            if (key->type == VALUE_STR)
                r = check_key(t, &a, str_copy(&a, key->s), then, now, err);
        }
    arena_free(&a);
    return r;
}

/* Some text from where it differs, on one line. */
static struct str excerpt(struct arena *a, struct str s, size_t at)
{
    struct str part = str_slice(s, at, at + 40 < s.n ? at + 40 : s.n);
    char *copy = arena_copy(a, part.p, part.n);
    for (size_t i = 0; i < part.n; i++)
        copy[i] = (unsigned char)copy[i] < ' ' ? ' ' : copy[i];
    return (struct str){copy, part.n};
}

static int check_text(const struct rescoring *t, struct arena *a, const char *what, int64_t doc_id,
                      struct str then, struct str now, struct error *err)
{
    if (str_eq(then, now))
        return 0;
    size_t at = 0;
    while (at < then.n && at < now.n && then.p[at] == now.p[at])
        at++;
    return error_set(err, E_INPUT,
                     "task \"%s\", document %lld: its %s would not be the one that evaluation "
                     "#%lld was asked (from byte %zu on \"%.*s\", not \"%.*s\"); only scoring can "
                     "be done again: run the model with this definition",
                     t->info->name, (long long)doc_id, what, (long long)t->source->id, at,
                     STR_ARG(excerpt(a, now, at)), STR_ARG(excerpt(a, then, at)));
}

static int check_requests(const struct rescoring *t, struct arena *a, const struct recorded *doc,
                          const struct asked *q, struct error *err)
{
    if (q->n_requests != doc->n_requests)
        return error_set(err, E_INPUT,
                         "task \"%s\", document %lld: the definition asks %d requests, but "
                         "evaluation #%lld was asked %d; run the model with it",
                         t->info->name, (long long)doc->doc_id, q->n_requests,
                         (long long)t->source->id, doc->n_requests);
    for (int i = 0; i < q->n_requests; i++) {
        const struct request_row *then = &doc->requests[i];
        const struct request *now = &q->requests[i];
        int r = 0;
        if (t->compares_prompts)
            r = check_text(t, a, "prompt", doc->doc_id, then->prompt, now->context, err);
        if (r == 0 && t->compares_choices)
            r = check_text(t, a, "choice", doc->doc_id, then->continuation, now->continuation, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- a document ---- */

struct item {
    struct arena arena;
    const struct recorded *recorded;
    struct asked asked;
    struct scored scored;
    struct error unscored; /* the document has no score */
    struct error refused;  /* nothing is to be stored */
};

struct loop {
    const struct rescoring *t;
    struct item *items;
};

static void score_item(void *arg, size_t part, int thread)
{
    (void)thread;
    const struct loop *l = arg;
    const struct rescoring *t = l->t;
    struct item *item = &l->items[part];
    const struct recorded *from = item->recorded;
    struct arena *a = &item->arena;
    struct value *doc;
    if (json_parse(a, from->doc_json, "its stored text", &doc, &item->refused) < 0) {
        error_prefix(&item->refused, "task \"%s\", document %lld: ", t->info->name,
                     (long long)from->doc_id);
        return;
    }
    if (task_ask_again(t->task, a, doc, from->doc_id, &item->asked, &item->refused) < 0 ||
        check_requests(t, a, from, &item->asked, &item->refused) < 0)
        return;
    struct response *answers = arena_array(a, (size_t)from->n_requests, sizeof *answers);
    for (int i = 0; i < from->n_requests; i++) {
        const struct request_row *q = &from->requests[i];
        answers[i] = (struct response){
            .text = q->response, .logprob_nats = q->logprob_nats, .is_greedy = q->is_greedy};
    }
    task_score(t->task, a, &item->asked, answers, &item->scored, &item->unscored);
}

static int store_item(struct rescoring *t, struct item *item, struct rescored *ret,
                      struct arena *keep, struct error *err)
{
    if (item->refused.code) {
        *err = item->refused;
        return err->code;
    }
    struct sample_row row;
    const char *why = item->unscored.code ? item->unscored.msg : NULL;
    item->asked.doc = NULL; /* as stored: not written anew */
    sample_row_fill(&item->arena, &item->asked, NULL, &item->scored, why, &row);
    row.recorded = item->recorded->sample;
    ret->n_new++;
    if (why && ret->n_failed++ == 0)
        ret->first_error = arena_printf(keep, "%s", why);
    return store_sample(t->store, ret->id, &row, err);
}

/* *after: the last document. Returns how many there were, or an error. */
static int score_batch(struct rescoring *t, int64_t *after, struct rescored *ret,
                       struct arena *keep, struct error *err)
{
    struct arena a = {0};
    struct recorded *docs;
    int n = 0, r = query_recorded(t->store, &a, t->source->id, ret->id, *after, BATCH,
                                  t->compares_prompts, &docs, &n, err);
    struct item *items = arena_array(&a, (size_t)n, sizeof *items);
    struct loop l = {t, items};
    for (int i = 0; i < n; i++)
        items[i].recorded = &docs[i];
    pool_run(t->o->pool, (size_t)n, score_item, &l);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = store_item(t, &items[i], ret, keep, err);
        arena_free(&items[i].arena);
        *after = docs[i].doc_id;
    }
    arena_free(&a);
    return r < 0 ? r : n;
}

/* ---- an evaluation ---- */

/* The source's, and what the task's definition changes. */
static void describe(const struct rescoring *t, struct arena *a, struct evaluation *ret)
{
    const struct evaluation_line *e = t->source;
    struct hasher *h = hasher_new();
    char *hash = arena_alloc(a, HASH_HEX);
    const char *const parts[] = {"rescored 1", e->hash, t->info->task_hash};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        hasher_field(h, str_of(parts[i]));
    hasher_end(h, hash);
    *ret = (struct evaluation){
        .hash = hash,
        .model = e->model,
        .model_path = e->model_path,
        .model_hash = e->model_hash,
        .numerics = e->numerics,
        .format = e->format,
        .quant = e->quant,
        .n_params = e->n_params,
        .max_length = e->max_length,
        .task = t->info->name,
        .task_alias = t->info->alias,
        .task_version = t->info->version,
        .task_hash = t->info->task_hash,
        .data_hash = e->data_hash,
        .output_type = t->info->output_type,
        .num_fewshot = e->num_fewshot,
        .fewshot_seed = e->fewshot_seed,
        .chat_template_hash = e->chat_template_hash,
        .fewshot_as_multiturn = e->fewshot_as_multiturn,
        .system_instruction = e->system_instruction,
        .config_json = json_text(a, t->info->config).p,
        .n_docs = e->n_docs,
        .source = e->id,
    };
}

static int open_task(struct rescoring *t, const struct task_ref *ref, struct error *err)
{
    const struct evaluation_line *e = t->source;
    struct arena a = {0};
    struct recorded *first;
    struct value *doc, *config;
    int n, r = query_recorded(t->store, &a, e->id, 0, -1, 1, false, &first, &n, err);
    if (r == 0 && n == 0)
        r = error_set(err, E_INPUT,
                      "evaluation #%lld of task \"%s\" has no answered document to score",
                      (long long)e->id, e->task);
    if (r == 0)
        r = json_parse(&a, first->doc_json, "a stored document", &doc, err);
    if (r == 0)
        r = stored_definition(e, &a, &config, err);
    if (r == 0) {
        struct task_options o = {
            .num_fewshot = e->num_fewshot,
            .fewshot_seed = e->fewshot_seed,
            .keyed_draws = dict_get(config, "draws") != NULL,
            .limit = -1,
            .system_instruction = e->system_instruction,
            .allow_unsandboxed = t->o->allow_unsandboxed,
            .recorded = doc,
        };
        r = task_open(ref, &o, &t->task, err);
    }
    if (r == 0)
        t->info = task_info(t->task);
    arena_free(&a);
    return r;
}

static int score_all(struct rescoring *t, struct arena *keep, struct rescored *ret,
                     struct error *err)
{
    struct arena a = {0};
    struct evaluation e;
    int64_t after = -1;
    describe(t, &a, &e);
    int r = store_begin(t->store, err);
    if (r == 0)
        r = store_evaluation(t->store, &e, &ret->id, err);
    while (r == 0 && (r = score_batch(t, &after, ret, keep, err)) > 0)
        r = 0;
    if (r == 0)
        r = store_aggregate(t->store, ret->id, ret->n_eval, t->o->bootstrap_iters, err);
    if (r == 0)
        r = store_commit(t->store, err);
    else
        store_rollback(t->store);
    arena_free(&a);
    return r;
}

int rescore(struct store *s, struct arena *a, const struct evaluation_line *source,
            const struct task_ref *ref, const struct rescore_options *o, struct rescored *ret,
            struct error *err)
{
    struct rescoring t = {.store = s, .source = source, .o = o};
    t.compares_choices = !source->chat_template_hash[0];
    t.compares_prompts = t.compares_choices && source->num_fewshot == 0;
    *ret = (struct rescored){.id = source->id,
                             .n_eval = source->n_eval > 0 ? source->n_eval : source->n_docs};
    int r = open_task(&t, ref, err);
    if (r < 0)
        return r;
    /* --max_gen_toks changes the hash, but nothing that is scored */
    ret->unchanged = strcmp(t.info->task_hash, source->task_hash) == 0 ||
                     str_eqz(json_text(a, t.info->config), source->config_json);
    if (!ret->unchanged && (r = check_definition(&t, err)) == 0 &&
        (r = task_check(t.task, err)) == 0)
        r = score_all(&t, a, ret, err);
    task_close(t.task);
    return r;
}
