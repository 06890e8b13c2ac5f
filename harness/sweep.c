#include "harness/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"

static int render_chat(void *arg, struct arena *a, const struct value *messages,
                       bool add_generation_prompt, bool continue_final, struct str *ret,
                       struct error *err)
{
    return backend_render_chat(arg, a, messages, add_generation_prompt, continue_final, ret, err);
}

static const char *text_hash(struct arena *a, const char *text)
{
    char hash[HASH_HEX];
    if (!text || !*text)
        return "";
    hash_bytes(text, strlen(text), hash);
    return arena_copy(a, hash, strlen(hash));
}

/* Everything that can change a score, and nothing else: not the label, the path or the limit. */
static void identify(struct arena *a, struct evaluation *e)
{
    struct hasher *h = hasher_new();
    const char *const texts[] = {"evaluation 1",
                                 e->model_hash,
                                 e->numerics,
                                 e->quant,
                                 e->task,
                                 e->task_hash,
                                 e->data_hash,
                                 e->chat_template_hash,
                                 e->system_instruction};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hasher_field(h, str_of(texts[i]));
    const int64_t numbers[] = {e->max_length, e->num_fewshot, e->fewshot_seed,
                               e->fewshot_as_multiturn};
    hasher_add(h, numbers, sizeof numbers);
    char *hash = arena_alloc(a, HASH_HEX);
    hasher_end(h, hash);
    e->hash = hash;
}

void evaluation_describe(struct arena *a, const struct backend_info *m, const struct task_info *t,
                         const struct sweep_options *o, struct evaluation *ret)
{
    bool chat = o->apply_chat_template;
    *ret = (struct evaluation){
        .model = m->name,
        .model_path = m->path,
        .model_hash = m->model_hash,
        .numerics = m->numerics,
        .format = m->format,
        .quant = m->quant,
        .n_params = m->n_params,
        .max_length = m->max_length,
        .task = t->name,
        .task_alias = t->alias,
        .task_version = t->version,
        .task_hash = t->task_hash,
        .data_hash = t->data_hash,
        .output_type = t->output_type,
        .num_fewshot = t->num_fewshot,
        /* Without examples the seed changes nothing. */
        .fewshot_seed = t->num_fewshot ? o->seed : 0,
        .chat_template_hash = chat ? text_hash(a, m->chat_template) : "",
        .fewshot_as_multiturn = chat && t->num_fewshot && o->fewshot_as_multiturn,
        .system_instruction = o->system_instruction ? o->system_instruction : "",
        .config_json = json_text(a, t->config).p,
        .n_docs = t->n_docs,
    };
    identify(a, ret);
}

/* With `n_top`, only what has its most probable tokens, where its kind of request has them. */
static int find_stored(struct planned *p, struct store *s, int n_top, struct error *err)
{
    p->done = mem_alloc((size_t)p->info->n_eval / 8 + 1, 1);
    for (int64_t doc = 0; doc < p->info->n_eval; doc++) {
        int r = store_has_sample(s, p->id, doc, err);
        if (r == 1 && n_top && p->info->kind != REQUEST_GENERATE_UNTIL)
            r = store_has_top(s, p->id, doc, n_top, err);
        if (r < 0)
            return r;
        p->n_stored += r;
        if (r)
            p->done[doc / 8] |= (unsigned char)(1u << (doc % 8));
    }
    return 0;
}

static struct task_options task_options(struct backend *b, const struct sweep_options *o)
{
    return (struct task_options){
        .data_dirs = o->data.items,
        .n_data_dirs = (int)o->data.n,
        .num_fewshot = o->num_fewshot,
        .fewshot_seed = o->seed,
        .limit = o->limit,
        .system_instruction = o->system_instruction,
        .chat = o->apply_chat_template ? render_chat : NULL,
        .chat_arg = b,
        .fewshot_as_multiturn = o->fewshot_as_multiturn,
        .max_gen_toks = o->max_gen_toks,
        .keyed_draws = o->draws && strcmp(o->draws, "keyed") == 0,
        .skip_bad_rows = o->skip_bad_rows,
        .allow_unsandboxed = o->allow_unsandboxed,
        .n_workers = o->score_threads,
    };
}

/* Every document that is to be asked is rendered once, before any model time is spent on it. */
static int check_documents(struct planned *p, const struct sweep_options *o, struct error *err)
{
    struct arena a = {0};
    struct error first = {0};
    int64_t n_bad = 0;
    for (int64_t doc = 0; doc < p->info->n_eval && !o->skip_bad_rows; doc++) {
        struct asked q;
        if (planned_done(p, doc))
            continue;
        struct arena_mark m = arena_mark(&a);
        n_bad += task_ask(p->task, &a, doc, &q, n_bad ? NULL : &first) < 0;
        arena_reset(&a, m);
    }
    arena_free(&a);
    if (n_bad == 0)
        return 0;
    return error_set(err, E_INPUT,
                     "%s (%lld bad document%s of %lld; mend the file, or give --skip_bad_rows to "
                     "leave them out and count them)",
                     first.msg, (long long)n_bad, n_bad == 1 ? "" : "s",
                     (long long)p->info->n_eval);
}

static void close_one(struct planned *p)
{
    task_close(p->task);
    free(p->done);
    *p = (struct planned){.ref = p->ref, .failure = p->failure};
}

/* `fault` gets what keeps the task from being asked; what is returned is the store's failure. */
static int open_one(struct arena *a, struct planned *p, struct backend *b, struct store *s,
                    int64_t run, const struct sweep_options *o, struct error *fault,
                    struct error *err)
{
    struct task_options to = task_options(b, o);
    if (task_open(p->ref, &to, &p->task, fault) < 0 || task_check(p->task, fault) < 0)
        return 0;
    p->info = task_info(p->task);
    struct evaluation e;
    int r;
    evaluation_describe(a, backend_info(b), p->info, o, &e);
    if ((r = store_evaluation(s, &e, &p->id, err)) < 0 ||
        (r = find_stored(p, s, o->n_top, err)) < 0)
        return r;
    if (p->n_stored < p->info->n_eval && check_documents(p, o, fault) < 0)
        return 0;
    return store_run_evaluation(s, run, p->id, p->info->n_eval, err);
}

/* The task is left out, and the store says why. */
static int leave_out(struct arena *a, struct planned *p, struct backend *b, struct store *s,
                     int64_t run, const struct error *fault, struct error *err)
{
    p->failure = arena_printf(a, "%s", fault->msg);
    close_one(p);
    return store_run_failure(s, run, backend_info(b)->name, p->ref->name, p->failure, err);
}

bool task_ref_below(const struct task_ref *refs, int ref, int group)
{
    for (int up = refs[ref].parent; up >= 0; up = refs[up].parent)
        if (up == group)
            return true;
    return false;
}

/* For comparisons and reports, which do not read task definitions. */
static int store_one_group(struct arena *a, const struct selection *selected, int group,
                           struct store *s, struct error *err)
{
    const struct task_ref *refs = selected->refs;
    const char **tasks = arena_array(a, (size_t)selected->n, sizeof *tasks);
    int n = 0;
    for (int i = 0; i < selected->n; i++)
        if (!refs[i].is_group && task_ref_below(refs, i, group))
            tasks[n++] = refs[i].name;
    const struct task_ref *g = &refs[group];
    struct group_measure *measures = arena_array(a, (size_t)g->n_aggregates, sizeof *measures);
    for (int i = 0; i < g->n_aggregates; i++)
        measures[i] =
            (struct group_measure){g->aggregates[i].metric, g->aggregates[i].weight_by_size};
    struct group_mean_term *terms = arena_array(a, (size_t)g->n_terms, sizeof *terms);
    for (int i = 0; i < g->n_terms; i++)
        terms[i] = (struct group_mean_term){g->terms[i].benchmark, g->terms[i].task,
                                            g->terms[i].metric,    g->terms[i].filter,
                                            g->terms[i].baseline,  g->terms[i].by_size};
    struct group_row row = {.name = g->name,
                            .alias = g->alias ? g->alias : g->name,
                            .tasks = tasks,
                            .n_tasks = n,
                            .measures = measures,
                            .n_measures = g->n_aggregates,
                            .terms = terms,
                            .n_terms = g->n_terms};
    return store_group(s, &row, err);
}

int plan_open(struct arena *a, const struct selection *selected, struct backend *b, struct store *s,
              int64_t run, const struct sweep_options *o, struct plan *ret, struct error *err)
{
    if (o->apply_chat_template && !backend_info(b)->chat_template)
        return error_set(err, E_USAGE,
                         "--apply_chat_template: the model \"%s\" has no chat template; run it "
                         "without, or choose an instruction-tuned model",
                         backend_info(b)->path);
    struct plan p = {.items = arena_array(a, (size_t)selected->n, sizeof *p.items),
                     .n = selected->n};
    struct error first = {0};
    int n_tasks = 0, r = store_begin(s, err);
    for (int i = 0; i < p.n && r == 0; i++) {
        struct planned *item = &p.items[i];
        item->ref = &selected->refs[i];
        if (selected->refs[i].is_group) {
            r = store_one_group(a, selected, i, s, err);
            continue;
        }
        struct error fault = {0};
        n_tasks++;
        r = open_one(a, item, b, s, run, o, &fault, err);
        if (r == 0 && fault.code) {
            first = p.n_failed++ ? first : fault;
            r = leave_out(a, item, b, s, run, &fault, err);
        } else if (r == 0) {
            p.n_stored += item->n_stored;
            p.n_missing += item->info->n_eval - item->n_stored;
        }
    }
    if (r == 0 && p.n_failed == n_tasks && n_tasks)
        r = error_set(err, first.code, "%s%s", first.msg,
                      n_tasks > 1 ? "; none of the other tasks can be asked either" : "");
    if (r == 0)
        r = store_commit(s, err);
    else
        store_rollback(s);
    if (r < 0)
        plan_close(&p);
    else
        *ret = p;
    return r;
}

void plan_close(struct plan *p)
{
    for (int i = 0; i < p->n; i++)
        close_one(&p->items[i]);
    *p = (struct plan){0};
}

void sweep_data_dirs(struct arena *a, struct strings *data)
{
    if (data->n)
        return;
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache)
        *ARRAY_PUSH(data) = arena_printf(a, "%s/assay/data", cache);
    else
        *ARRAY_PUSH(data) = arena_printf(a, "%s/.cache/assay/data", home ? home : "");
}
