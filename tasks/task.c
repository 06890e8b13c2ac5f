/* task.c: opening a task, asking its documents, closing it. */
#include <math.h>
#include <stdlib.h>

#include "base/json.h"
#include "tasks/config.h"
#include "tasks/data.h"
#include "tasks/definition.h"
#include "tasks/fewshot.h"
#include "tasks/functions.h"
#include "tasks/template.h"

/* Goes into every task_hash: raise it when the same definition comes to give other requests. */
#define TASKS_VERSION "1"

/* The few-shot example's value of a key: fewshot_config's where that has the key, else the task's.
 */
static const struct value *shot_setting(const struct task *t, const char *key)
{
    const struct value *own = dict_get(task_setting(t, "fewshot_config"), key);
    if (own && own->type != VALUE_NONE)
        return own;
    bool stays_out = strcmp(key, "doc_to_choice") == 0 || strcmp(key, "gen_prefix") == 0;
    return own && stays_out ? NULL : task_setting(t, key);
}

static const char *text_or_null(struct task *t, const struct value *v)
{
    return v && v->type == VALUE_STR ? arena_copy(&t->arena, v->s.p, v->s.n) : NULL;
}

/* ---- documents ---- */

/* Has the documents put through what a process_docs names; `d` NULL: only looks whether it is
 * there. */
static int set_process(struct task *t, const struct value *v, const char *key, struct docs *d,
                       struct error *err)
{
    const char *name = function_name(v);
    struct where where;
    if (!v || v->type == VALUE_NONE)
        return d ? docs_process(d, &t->arena, NULL, err) : 0;
    if (name && where_parse(name, &where))
        return d ? docs_keep(d, &t->arena, &where, err) : 0;
    document_function *process = name ? function_find("process_docs", name) : NULL;
    if (process)
        return d ? docs_process(d, &t->arena, process, err) : 0;
    struct str text = value_tostr(&t->arena, v);
    return error_set(err, E_UNSUPPORTED,
                     "%s: process_docs: \"%.*s\" is Python code, which assay does not run; the "
                     "built-in functions here are assay.where(FIELD=VALUE), %s",
                     task_where(t, key), STR_ARG(text), function_names(&t->arena, "process_docs"));
}

/* The split whose documents are asked. */
static int need_split(struct task *t, const char **ret, struct error *err)
{
    const struct value *split = task_setting(t, "test_split");
    if (!split)
        split = task_setting(t, "validation_split");
    *ret = text_or_null(t, split);
    return *ret
               ? 0
               : error_set(err, E_INPUT, "%s: task \"%s\" needs a test_split or a validation_split",
                           t->file, t->info.name);
}

static int open_eval(struct task *t, const struct task_options *o, struct error *err)
{
    const char *name;
    int r = need_split(t, &name, err);
    if (r < 0)
        return r;
    t->eval = arena_alloc(&t->arena, sizeof *t->eval);
    r = data_open(t, o, name, t->eval, err);
    if (r == 0)
        r = set_process(t, task_setting(t, "process_docs"), "process_docs", t->eval, err);
    return r;
}

/* The split that few-shot examples come from: fewshot_split, training, validation, test. */
static const char *pool_split(struct task *t, const char *fewshot_split)
{
    static const char *const keys[] = {"training_split", "validation_split", "test_split"};
    const char *name = fewshot_split;
    for (int i = 0; !name && i < 3; i++)
        name = text_or_null(t, task_setting(t, keys[i]));
    return name;
}

/* What fewshot_config says of where examples come from and how they are drawn. */
static int check_shots(struct task *t, struct error *err)
{
    const struct value *config = task_setting(t, "fewshot_config");
    const struct value *samples = dict_get(config, "samples");
    const struct value *sampler = dict_get(config, "sampler");
    bool known = !sampler || (sampler->type == VALUE_STR &&
                              (str_eqz(sampler->s, "first_n") || str_eqz(sampler->s, "default")));
    if (!known)
        return error_set(err, E_INPUT, "%s: sampler of fewshot_config must be default or first_n",
                         task_where(t, "fewshot_config"));
    if (samples && samples->type != VALUE_NONE && samples->type != VALUE_LIST)
        return error_set(err, E_UNSUPPORTED,
                         "%s: samples of fewshot_config must be a list of documents; Python code, "
                         "\"%.*s\", is not run",
                         task_where(t, "fewshot_config"), STR_ARG(value_tostr(&t->arena, samples)));
    return 0;
}

static int open_pool(struct task *t, const struct task_options *o, struct error *err)
{
    const struct value *config = task_setting(t, "fewshot_config");
    const struct value *own_split = dict_get(config, "split");
    const char *split = text_or_null(t, own_split ? own_split : task_setting(t, "fewshot_split"));
    const char *test = text_or_null(t, task_setting(t, "test_split"));
    const struct value *samples = dict_get(config, "samples");
    const struct value *sampler = dict_get(config, "sampler");
    struct shots *s = arena_alloc(&t->arena, sizeof *s);
    bool first_n = sampler && sampler->type == VALUE_STR && str_eqz(sampler->s, "first_n");
    int r = check_shots(t, err);
    if (r < 0)
        return r;
    t->pool = arena_alloc(&t->arena, sizeof *t->pool);
    if (!split && samples && samples->type != VALUE_NONE) {
        t->pool->samples = samples;
    } else {
        const char *name = pool_split(t, split);
        bool shared = t->eval->split && strcmp(name, t->eval->split) == 0;
        if (shared)
            *t->pool = *t->eval;
        else
            r = data_open(t, o, name, t->pool, err);
        bool own = split && dict_get(config, "process_docs");
        if (r == 0 && (own || !shared))
            r = set_process(
                t, own ? dict_get(config, "process_docs") : task_setting(t, "process_docs"),
                own ? "fewshot_config" : "process_docs", t->pool, err);
        if (r == 0 && !shared && strcmp(t->pool->split, name) != 0)
            s->without_self = strcmp(t->pool->split, t->eval->split) == 0;
    }
    if (r < 0)
        return r;
    s->without_self |= split && test ? strcmp(split, test) == 0 : !split && !test;
    s->sampler = first_n ? SAMPLER_FIRST_N : SAMPLER_DEFAULT;
    s->pool = t->pool;
    s->eval = t->eval;
    s->n = t->info.num_fewshot;
    s->draws = t->draws;
    s->arena = &t->arena;
    s->skip_bad_rows = o->skip_bad_rows;
    t->shots = s;
    return 0;
}

/* ---- fields ---- */

static int compile_fields(struct task *t, const struct value *sample, struct error *err)
{
    const struct value *choice = task_setting(t, "doc_to_choice");
    const struct {
        enum field_role role;
        const char *key;
        bool shot;
        struct field **ret;
    } fields[] = {
        {FIELD_TEXT, "doc_to_text", false, &t->text},
        {FIELD_TARGET, "doc_to_target", false, &t->target},
        {FIELD_CHOICE, "doc_to_choice", false, &t->choice},
        {FIELD_PLAIN, "gen_prefix", false, &t->prefix},
        {FIELD_PLAIN, "description", false, &t->description},
        {FIELD_TEXT, "doc_to_text", true, &t->shot_text},
        {FIELD_TARGET, "doc_to_target", true, &t->shot_target},
        {FIELD_CHOICE, "doc_to_choice", true, &t->shot_choice},
        {FIELD_PLAIN, "gen_prefix", true, &t->shot_prefix},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *key = fields[i].key;
        const struct value *v = fields[i].shot ? shot_setting(t, key) : task_setting(t, key);
        bool own = fields[i].shot && dict_get(task_setting(t, "fewshot_config"), key);
        int r = field_compile(&t->arena, fields[i].role, key, v, sample, choice != NULL,
                              task_where(t, own ? "fewshot_config" : key), fields[i].ret, err);
        if (r < 0)
            return r;
    }
    bool needs_choice = t->output == OUTPUT_MULTIPLE_CHOICE || t->output == OUTPUT_SIMILARITY;
    if (!t->text || !t->target || (needs_choice && !t->choice))
        return error_set(err, E_INPUT, "%s: task \"%s\" needs %s", t->file, t->info.name,
                         !t->text     ? "doc_to_text"
                         : !t->target ? "doc_to_target"
                                      : "doc_to_choice, since its output_type asks for it");
    const struct value *prefix = task_setting(t, "gen_prefix");
    struct str tail = prefix && prefix->type == VALUE_STR ? prefix->s : STR("");
    t->gen_prefix_open = tail.n && !strchr(" \t\n\r\v\f", tail.p[tail.n - 1]);
    return 0;
}

/* The first document decides what the definition's functions give, as in lm-evaluation-harness. */
static int try_first(struct task *t, const struct value *doc, struct error *err)
{
    const struct value *text, *target, *choices;
    int r = 0;
    if ((r = field_value(t->text, &t->arena, doc, &text, err)) < 0 ||
        (r = field_value(t->target, &t->arena, doc, &target, err)) < 0 ||
        (t->choice && (r = field_value(t->choice, &t->arena, doc, &choices, err)) < 0))
        return r;
    t->multiple_input = t->choice && text->type == VALUE_INT;
    t->multiple_target = target->type == VALUE_LIST;
    return prompt_check_system(t, doc, err);
}

static int document_error(const struct task *t, struct arena *a, int64_t doc_id, struct error *err)
{
    if (!t->eval)
        return error_prefix(err, "task \"%s\", document %lld: ", t->info.name, (long long)doc_id);
    return error_prefix(err, "task \"%s\", document %lld (%s): ", t->info.name, (long long)doc_id,
                        docs_where(t->eval, a, doc_id));
}

static int try_document(struct task *t, const struct value *recorded, int64_t doc_id,
                        struct error *err)
{
    const struct value *sample = recorded;
    int r = recorded ? 0 : docs_get(t->eval, &t->arena, doc_id, &sample, err);
    if (r < 0)
        return error_prefix(err, "task \"%s\": ", t->info.name);
    if ((r = compile_fields(t, sample, err)) < 0)
        return r;
    r = try_first(t, sample, err);
    return r < 0 ? document_error(t, &t->arena, doc_id, err) : 0;
}

/* By the first document, or by the first good one where bad ones are left out. */
static int prepare_fields(struct task *t, const struct value *recorded, bool skip_bad_rows,
                          struct error *err)
{
    enum { MOST = 1000 };
    struct error first = {0}, later;
    int r = try_document(t, recorded, 0, &first);
    for (int64_t i = 1; r < 0 && skip_bad_rows && i < MOST && i < docs_count(t->eval); i++) {
        t->text = t->target = t->choice = NULL;
        r = try_document(t, NULL, i, &later);
    }
    if (r < 0 && err)
        *err = first;
    return r < 0 ? first.code : 0;
}

/* ---- opening ---- */

static void set_counts(struct task *t, double limit)
{
    int64_t n = t->eval ? docs_count(t->eval) : 0;
    double want = limit < 0 ? (double)n : limit < 1 ? ceil((double)n * limit) : floor(limit);
    t->info.n_docs = n;
    t->info.n_eval = want < (double)n ? (int64_t)want : n;
}

/* By the definition alone, so that stored answers are known for those of the same draws. */
static bool draws_anything(const struct task *t)
{
    const struct value *sampler = dict_get(task_setting(t, "fewshot_config"), "sampler");
    const char *name = function_name(task_setting(t, "process_docs"));
    document_function *process = name ? function_find("process_docs", name) : NULL;
    bool first_n = sampler && sampler->type == VALUE_STR && str_eqz(sampler->s, "first_n");
    return (t->info.num_fewshot > 0 && !first_n) || (process && function_shuffles(process));
}

/* What the definition says, without where its files lie. */
static void set_hashes(struct task *t)
{
    static const char *const without[] = {"data_files", "dataset_kwargs", "task_alias", "tag",
                                          "num_fewshot"};
    char hex[HASH_HEX];
    struct hasher *h = hasher_new();
    const struct value *config = t->ref->config;
    hasher_field(h, STR(TASKS_VERSION));
    for (size_t i = 0; i < config->dict.n; i++) {
        struct value_entry e = config->dict.entries[i];
        if (e.value->type == VALUE_NONE ||
            key_is_one_of(e.key, without, sizeof without / sizeof *without))
            continue;
        struct arena_mark m = arena_mark(&t->arena);
        hasher_field(h, e.key->s);
        hasher_field(h, json_text(&t->arena, e.value));
        arena_reset(&t->arena, m);
    }
    if (t->draws.keyed && draws_anything(t)) {
        hasher_field(h, STR("keyed draws"));
        hasher_add(h, &t->draws.seed, sizeof t->draws.seed);
    }
    if (t->output == OUTPUT_GENERATE_UNTIL) /* which --max_gen_toks may have set */
        hasher_add(h, &t->max_gen_toks, sizeof t->max_gen_toks);
    hasher_end(h, hex);
    t->info.task_hash = arena_printf(&t->arena, "%s", hex);
    t->info.data_hash = "";
    if (!t->eval)
        return;
    h = hasher_new();
    dataset_hash(t->eval->data, h);
    if (t->pool && t->pool->data && t->pool->data != t->eval->data)
        dataset_hash(t->pool->data, h);
    hasher_end(h, hex);
    t->info.data_hash = arena_printf(&t->arena, "%s", hex);
}

static void set_options(struct task *t, const struct task_options *o)
{
    t->system_instruction = str_copy(&t->arena, str_of(o->system_instruction));
    t->chat = o->chat;
    t->chat_arg = o->chat_arg;
    t->fewshot_as_multiturn = o->fewshot_as_multiturn;
    t->allow_unsandboxed = o->allow_unsandboxed;
    t->n_workers = o->n_workers;
}

static int open_parts(struct task *t, const struct task_options *o, struct error *err)
{
    int r = 0;
    set_options(t, o);
    if ((r = config_parse(t, t->ref, o, err)) < 0)
        return r;
    t->draws = (struct draws){o->keyed_draws, o->fewshot_seed, t->info.name};
    if (!o->recorded && ((r = open_eval(t, o, err)) < 0 ||
                         (t->info.num_fewshot > 0 && (r = open_pool(t, o, err)) < 0)))
        return r;
    if ((r = prepare_fields(t, o->recorded, o->skip_bad_rows, err)) < 0)
        return r;
    if (t->no_system)
        task_note(t,
                  "the model's chat template takes no system message; the prompts go without "
                  "\"%.*s\" and the description",
                  STR_ARG(t->system_instruction));
    set_counts(t, o->limit);
    set_hashes(t);
    t->info.config = config_shown(&t->arena, t, t->ref, t->draws.keyed && draws_anything(t));
    return scoring_open(t, err);
}

static struct task *task_new(const struct task_ref *ref)
{
    struct task *t = mem_alloc(1, sizeof *t);
    struct task_ref *own = arena_alloc(&t->arena, sizeof *own);
    *own = *ref; /* the definition is copied, so that the catalog need not stay open */
    own->config = value_clone(&t->arena, ref->config);
    own->sources = value_clone(&t->arena, ref->sources);
    own->stand_in = ref->stand_in ? value_clone(&t->arena, ref->stand_in) : NULL;
    t->ref = own;
    t->file = arena_printf(&t->arena, "%s", ref->file);
    return t;
}

int task_open(const struct task_ref *ref, const struct task_options *o, struct task **ret,
              struct error *err)
{
    if (ref->is_group)
        return error_set(err, E_USAGE, "\"%s\" is a group; its members are the tasks", ref->name);
    struct task *t = task_new(ref);
    int r = open_parts(t, o, err);
    t->ref = NULL;
    if (r < 0)
        task_close(t);
    else
        *ret = t;
    return r;
}

static int verify_parts(struct task *t, struct error *err)
{
    const struct value *shots = task_setting(t, "fewshot_config");
    const struct task_options o = {.num_fewshot = -1};
    const char *split;
    int r = 0;
    if ((r = config_parse(t, t->ref, &o, err)) < 0 || (r = need_split(t, &split, err)) < 0 ||
        (r = set_process(t, task_setting(t, "process_docs"), "process_docs", NULL, err)) < 0 ||
        (r = set_process(t, dict_get(shots, "process_docs"), "fewshot_config", NULL, err)) < 0 ||
        (r = check_shots(t, err)) < 0 || (r = compile_fields(t, NULL, err)) < 0)
        return r;
    return scoring_open(t, err);
}

int task_verify(const struct task_ref *ref, struct error *err)
{
    struct task *t = task_new(ref);
    int r = verify_parts(t, err);
    task_close(t);
    return r;
}

void task_close(struct task *t)
{
    if (!t)
        return;
    scoring_close(t->scoring);
    if (t->pool && t->pool->data != (t->eval ? t->eval->data : NULL))
        dataset_close(t->pool->data);
    if (t->eval)
        dataset_close(t->eval->data);
    arena_free(&t->arena);
    free(t);
}

const struct task_info *task_info(const struct task *t)
{
    return &t->info;
}

/* ---- asking ---- */

int task_ask(struct task *t, struct arena *a, int64_t doc_id, struct asked *ret, struct error *err)
{
    size_t *shots = NULL;
    const struct value *doc;
    int r = 0;
    if (doc_id < 0 || doc_id >= t->info.n_docs)
        return error_set(err, E_USAGE, "task \"%s\" has no document %lld, only 0 to %lld",
                         t->info.name, (long long)doc_id, (long long)t->info.n_docs - 1);
    if (t->shots) {
        shots = arena_array(a, (size_t)t->shots->n + 1, sizeof *shots);
        if ((r = shots_draw(t->shots, a, doc_id, shots, err)) < 0)
            return error_prefix(err, "task \"%s\", document %lld: ", t->info.name,
                                (long long)doc_id);
    }
    if (!ret)
        return 0;
    if ((r = docs_get(t->eval, a, doc_id, &doc, err)) < 0)
        return error_prefix(err, "task \"%s\", document %lld: ", t->info.name, (long long)doc_id);
    r = prompt_build(t, a, doc, doc_id, shots, ret, err);
    return r < 0 ? document_error(t, a, doc_id, err) : 0;
}

int task_ask_again(const struct task *t, struct arena *a, const struct value *doc, int64_t doc_id,
                   struct asked *ret, struct error *err)
{
    int r = prompt_build(t, a, doc, doc_id, NULL, ret, err);
    return r < 0 ? document_error(t, a, doc_id, err) : 0;
}

/* ---- what scoring asks of a document ---- */

int task_doc_to_text(const struct task *t, struct arena *a, const struct value *doc,
                     const struct value **ret, struct error *err)
{
    return field_value(t->text, a, doc, ret, err);
}

int task_doc_to_target(const struct task *t, struct arena *a, const struct value *doc,
                       const struct value **ret, struct error *err)
{
    return field_value(t->target, a, doc, ret, err);
}

int task_doc_to_choice(const struct task *t, struct arena *a, const struct value *doc,
                       const struct value **ret, struct error *err)
{
    if (!t->choice)
        return error_set(err, E_INPUT, "%s: task \"%s\" has no doc_to_choice", t->file,
                         t->info.name);
    return field_value(t->choice, a, doc, ret, err);
}
