#include "results/lmeval_export.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "metrics/metric.h"
#include "results/groups.h"
#include "results/sha256.h"

/* One task's part of the files. */
struct part {
    struct evaluation_line e; /* its scores over n_eval documents */
    int64_t n_eval;
    const char *name; /* its key in results.json */
    const struct value *config;
    char task_hash[SHA256_HEX];
};

static char *sanitized(struct arena *a, const char *name)
{
    struct buf b = {0};
    bool replacing = false;
    for (const char *p = name; *p; p++) {
        bool bad = strchr("\"<>:/|\\?*[]", *p) != NULL;
        if (!bad)
            buf_char(&b, *p);
        else if (!replacing)
            buf_puts(&b, "__");
        replacing = bad;
    }
    const char *text = buf_take(&b, a).p;
    /* "." and ".." would be other folders */
    return arena_printf(a, text[0] == '.' ? "_%s" : "%s", text);
}

char *lmeval_folder(struct arena *a, const char *dir, const char *model, int n_models)
{
    return n_models == 1 ? arena_copy(a, dir, strlen(dir)) : path_join(a, dir, sanitized(a, model));
}

/* ---- samples_TASK.jsonl ---- */

struct sample_writer {
    FILE *f;
    const struct part *part;
    const char *filter;
    const struct value *generation; /* arg_1 of generation: the task's generation_kwargs */
    struct sha256 hashes;           /* over the hashes of all samples */
};

static struct value *float_text(struct arena *a, double x)
{
    struct buf b = {0};
    buf_float(&b, x);
    return value_str(a, buf_take(&b, a));
}

static bool generates(const struct request_row *q)
{
    return isnan(q->logprob_nats);
}

static struct value *arguments(struct arena *a, const struct sample_writer *w,
                               const struct sample_view *v)
{
    struct value *all = value_dict(a);
    for (int i = 0; i < v->n_requests; i++) {
        const struct request_row *q = &v->requests[i].row;
        if (generates(q) && i > 0)
            break; /* repeats are one request */
        struct value *one = value_dict(a);
        dict_set(a, one, "arg_0", value_str(a, q->prompt));
        if (generates(q))
            dict_set(a, one, "arg_1", value_clone(a, w->generation));
        else if (q->continuation.n)
            dict_set(a, one, "arg_1", value_str(a, q->continuation));
        dict_set(a, all, arena_printf(a, "gen_args_%d", i), one);
    }
    return all;
}

/* One response as text: what was generated, or a log-probability and whether it is greedy. */
static struct value *response_text(struct arena *a, const struct request_row *q)
{
    if (generates(q))
        return value_str(a, q->response);
    struct value *logprob = float_text(a, q->logprob_nats);
    if (!q->continuation.n)
        return logprob;
    struct value *pair = value_list(a);
    list_push(a, pair, logprob);
    list_push(a, pair, value_strz(a, q->is_greedy ? "True" : "False"));
    return pair;
}

/* A list a request, which holds an answer a repeat, all of it as text. */
static struct value *resps(struct arena *a, const struct sample_view *v)
{
    struct value *all = value_list(a), *one = NULL;
    for (int i = 0; i < v->n_requests; i++) {
        const struct request_row *q = &v->requests[i].row;
        if (!one || !generates(q)) {
            one = value_list(a);
            list_push(a, all, one);
        }
        list_push(a, one, response_text(a, q));
    }
    return all;
}

/* Every leaf as Python's str() of it. */
static struct value *as_text(struct arena *a, const struct value *v)
{
    if (!v || v->type != VALUE_LIST)
        return value_str(a, v ? value_tostr(a, v) : STR(""));
    struct value *ret = value_list(a);
    for (size_t i = 0; i < v->list.n; i++)
        list_push(a, ret, as_text(a, v->list.items[i]));
    return ret;
}

/* Where a filter left no trace the first response of each request is what it let through. */
static struct value *filtered_resps(struct arena *a, const struct sample_writer *w,
                                    const struct sample_view *v, const struct value *filtered)
{
    const struct value *found = dict_get(filtered, w->filter);
    struct value *list = value_list(a);
    bool generated = v->n_requests > 0 && generates(&v->requests[0].row);
    if (found && found->type == VALUE_LIST && !generated)
        return as_text(a, found);
    if (found)
        list_push(a, list, as_text(a, found));
    for (int i = 0; !found && i < v->n_requests && !(generated && i > 0); i++)
        list_push(a, list, response_text(a, &v->requests[i].row));
    return list;
}

static void put_hash(struct arena *a, struct sample_writer *w, struct value *sample,
                     const char *key, struct str bytes)
{
    char *hex = arena_alloc(a, SHA256_HEX);
    sha256_of(bytes, hex);
    sha256_add(&w->hashes, str_of(hex));
    dict_set(a, sample, key, value_strz(a, hex));
}

/* Perplexities keep what they are divided by beside the log-likelihood. */
static struct value *score_value(struct arena *a, const struct score_row *c)
{
    const struct metric_info *info = metric_find(c->metric);
    bool weighted = info && (info->aggregation == AGGREGATE_WEIGHTED_PERPLEXITY ||
                             info->aggregation == AGGREGATE_BITS_PER_BYTE);
    if (!weighted)
        return value_float(a, c->value);
    struct value *pair = value_list(a);
    list_push(a, pair, value_float(a, c->value));
    list_push(a, pair, value_float(a, c->weight));
    return pair;
}

static int build_sample(struct arena *a, struct sample_writer *w, const struct sample_view *v,
                        struct value **ret, struct error *err)
{
    struct value *doc, *filtered, *sample = value_dict(a), *metrics = value_list(a);
    int r = json_parse(a, v->doc_json, "a stored document", &doc, err);
    if (r == 0)
        r = json_parse(a, v->filtered_json, "stored filtered answers", &filtered, err);
    if (r < 0)
        return r;
    struct buf dump = {0};
    buf_json(&dump, doc, 2, false);
    dict_set(a, sample, "doc_id", value_int(a, v->doc_id));
    dict_set(a, sample, "doc", doc);
    dict_set(a, sample, "target", value_str(a, v->target));
    dict_set(a, sample, "arguments", arguments(a, w, v));
    dict_set(a, sample, "resps", resps(a, v));
    dict_set(a, sample, "filtered_resps", filtered_resps(a, w, v, filtered));
    dict_set(a, sample, "filter", value_strz(a, w->filter));
    dict_set(a, sample, "metrics", metrics);
    put_hash(a, w, sample, "doc_hash", buf_view(&dump));
    put_hash(a, w, sample, "prompt_hash", v->n_requests ? v->requests[0].row.prompt : STR(""));
    put_hash(a, w, sample, "target_hash", v->target);
    buf_free(&dump);
    for (int i = 0; i < v->n_scores; i++) {
        const struct score_row *c = &v->scores[i];
        if (strcmp(c->filter, w->filter) != 0 || metric_is_own(c->metric))
            continue;
        list_push(a, metrics, value_strz(a, c->metric));
        dict_set(a, sample, c->metric, score_value(a, c));
    }
    *ret = sample;
    return 0;
}

static int write_line(void *arg, const struct sample_view *v, struct error *err)
{
    struct sample_writer *w = arg;
    if (v->error)
        return 0;
    struct arena a = {0};
    struct value *sample;
    struct buf b = {0};
    int r = build_sample(&a, w, v, &sample, err);
    if (r == 0) {
        buf_json(&b, sample, -1, false);
        buf_char(&b, '\n');
        if (fwrite(b.p, 1, b.n, w->f) != b.n)
            r = error_set(err, E_IO, "cannot write the samples of \"%s\": %s", w->part->name,
                          strerror(errno));
    }
    buf_free(&b);
    arena_free(&a);
    return r;
}

/* The filters in the task's order, as the first sample that has scores shows them. */
struct first_filters {
    struct arena *a;
    struct value *names; /* a list; NULL: no such sample yet */
};

static bool has_name(const struct value *list, const char *name)
{
    for (size_t i = 0; i < list->list.n; i++)
        if (str_eqz(list->list.items[i]->s, name))
            return true;
    return false;
}

static int note_filters(void *arg, const struct sample_view *v, struct error *err)
{
    struct first_filters *f = arg;
    struct value *filtered;
    if (f->names || v->error)
        return 0;
    int r = json_parse(f->a, str_copy(f->a, v->filtered_json), "stored filtered answers", &filtered,
                       err);
    if (r < 0)
        return r;
    f->names = value_list(f->a);
    for (size_t i = 0; filtered->type == VALUE_DICT && i < filtered->dict.n; i++)
        list_push(f->a, f->names, filtered->dict.entries[i].key);
    for (int i = 0; i < v->n_scores; i++)
        if (!has_name(f->names, v->scores[i].filter))
            list_push(f->a, f->names, value_str(f->a, str_copy(f->a, str_of(v->scores[i].filter))));
    return 0;
}

static int write_samples(struct store *s, struct arena *a, struct sample_writer *w,
                         struct error *err)
{
    const struct part *p = w->part;
    struct first_filters first = {a, NULL};
    int r = 0;
    for (int64_t upto = 1; r == 0 && !first.names && upto < 2 * p->n_eval; upto *= 2)
        r = query_samples(s, p->e.id, upto < p->n_eval ? upto : p->n_eval, note_filters, &first,
                          err);
    for (size_t i = 0; r == 0 && first.names && i < first.names->list.n; i++) {
        w->filter = str_copy(a, first.names->list.items[i]->s).p;
        r = query_samples(s, p->e.id, p->n_eval, write_line, w, err);
    }
    return r;
}

static int export_samples(struct store *s, struct arena *a, const char *dir, struct part *p,
                          struct error *err)
{
    const char *path =
        path_join(a, dir, arena_printf(a, "samples_%s.jsonl", sanitized(a, p->name)));
    const char *tmp = arena_printf(a, "%s.tmp", path);
    const struct value *generation = dict_get(p->config, "generation_kwargs");
    struct sample_writer w = {
        .f = fopen(tmp, "we"),
        .part = p,
        .generation = generation ? generation : value_dict(a),
    };
    if (!w.f)
        return error_set(err, E_IO, "cannot write \"%s\": %s", tmp, strerror(errno));
    sha256_begin(&w.hashes);
    int r = write_samples(s, a, &w, err);
    sha256_end(&w.hashes, p->task_hash);
    if (fclose(w.f) != 0 && r == 0)
        r = error_set(err, E_IO, "cannot write \"%s\": %s", tmp, strerror(errno));
    if (r == 0 && rename(tmp, path) < 0)
        r = error_set(err, E_IO, "cannot write \"%s\": %s", path, strerror(errno));
    if (r < 0)
        unlink(tmp);
    return r;
}

/* ---- results.json ---- */

static struct value *number_or_na(struct arena *a, double x)
{
    return isnan(x) ? value_strz(a, "N/A") : value_float(a, x);
}

static void put_score(struct arena *a, struct value *dict, const char *metric, const char *filter,
                      double value, double stderr_)
{
    dict_set(a, dict, arena_printf(a, "%s,%s", metric, filter), value_float(a, value));
    dict_set(a, dict, arena_printf(a, "%s_stderr,%s", metric, filter), number_or_na(a, stderr_));
}

static int64_t scored(const struct part *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->e.n_scores; i++)
        n = p->e.scores[i].n > n ? p->e.scores[i].n : n;
    return n;
}

/* The definition's word, which may be wrong: our own tables go by the metric. */
static bool says_higher(const struct value *config, const char *metric)
{
    const struct metric_info *info = metric_find(metric);
    const struct value *list = dict_get(config, "metric_list");
    for (size_t i = 0; list && list->type == VALUE_LIST && i < list->list.n; i++) {
        const struct value *name = dict_get(list->list.items[i], "metric");
        const struct value *said = dict_get(list->list.items[i], "higher_is_better");
        if (name && name->type == VALUE_STR && str_eqz(name->s, metric) && said &&
            said->type == VALUE_BOOL)
            return said->b;
    }
    return !info || info->higher_is_better;
}

static struct value *directions(struct arena *a, const struct part *p)
{
    struct value *d = value_dict(a);
    for (int i = 0; i < p->e.n_scores; i++) {
        const char *metric = p->e.scores[i].metric;
        dict_set(a, d, metric, value_bool(a, says_higher(p->config, metric)));
    }
    return d;
}

struct sections {
    struct value *results, *configs, *versions, *n_shot, *higher, *n_samples, *hashes;
};

static void put_part(struct arena *a, const struct sections *to, const struct part *p)
{
    struct value *result = value_dict(a), *counts = value_dict(a);
    dict_set(a, result, "name", value_strz(a, p->name));
    dict_set(a, result, "alias", value_strz(a, p->e.task_alias));
    dict_set(a, result, "sample_len", value_int(a, scored(p)));
    for (int i = 0; i < p->e.n_scores; i++) {
        const struct score_line *c = &p->e.scores[i];
        put_score(a, result, c->metric, c->filter, c->value, c->stderr_);
    }
    dict_set(a, counts, "original", value_int(a, p->e.n_docs));
    dict_set(a, counts, "effective", value_int(a, scored(p)));
    dict_set(a, to->results, p->name, result);
    dict_set(a, to->configs, p->name, value_clone(a, p->config));
    const struct value *metadata = dict_get(p->config, "metadata");
    struct value *version = dict_get(metadata, "version");
    dict_set(a, to->versions, p->name, version ? version : value_strz(a, p->e.task_version));
    dict_set(a, to->n_shot, p->name, value_int(a, p->e.num_fewshot));
    dict_set(a, to->higher, p->name, directions(a, p));
    dict_set(a, to->n_samples, p->name, counts);
    dict_set(a, to->hashes, p->name, value_strz(a, p->task_hash));
}

/* A group stands in "results" beside its tasks, and again in "groups". */
static struct value *put_groups(struct arena *a, const struct sections *to,
                                const struct group_score_list *scores)
{
    struct value *groups = value_dict(a);
    for (size_t i = 0; i < scores->n; i++) {
        const struct group_score *g = &scores->items[i];
        struct value *result = dict_get(groups, g->group);
        if (!result) {
            result = value_dict(a);
            dict_set(a, result, "name", value_strz(a, g->group));
            dict_set(a, result, "alias", value_strz(a, g->alias));
            dict_set(a, result, "sample_len", value_int(a, g->n));
            dict_set(a, groups, g->group, result);
            dict_set(a, to->results, g->group, result);
            dict_set(a, to->n_shot, g->group, value_int(a, g->num_fewshot));
            dict_set(a, to->higher, g->group, value_dict(a));
        }
        put_score(a, result, g->metric, g->filter, g->value, g->stderr_);
        const struct metric_info *info = metric_find(g->metric);
        dict_set(a, dict_get(to->higher, g->group), g->metric,
                 value_bool(a, !info || info->higher_is_better));
    }
    return groups;
}

static struct value *members(struct arena *a, const struct group_list *groups,
                             const struct value *present)
{
    struct value *ret = value_dict(a);
    for (size_t i = 0; i < groups->n; i++) {
        if (!dict_get(present, groups->items[i].name))
            continue;
        struct value *tasks = value_list(a);
        for (int k = 0; k < groups->items[i].n_tasks; k++)
            list_push(a, tasks, value_strz(a, groups->items[i].tasks[k]));
        dict_set(a, ret, groups->items[i].name, tasks);
    }
    return ret;
}

static struct value *limit_value(struct arena *a, double limit)
{
    return limit < 0 ? value_none(a) : value_float(a, limit);
}

static struct value *run_config(struct arena *a, const struct lmeval_run *run,
                                const struct evaluation_line *e)
{
    struct value *c = value_dict(a);
    dict_set(a, c, "model", value_strz(a, "assay"));
    dict_set(a, c, "model_args", value_strz(a, run->model_args ? run->model_args : ""));
    dict_set(a, c, "model_num_parameters", value_int(a, e->n_params));
    dict_set(a, c, "model_dtype", value_strz(a, e->numerics));
    dict_set(a, c, "model_revision", value_strz(a, ""));
    dict_set(a, c, "model_sha", value_strz(a, e->model_hash));
    dict_set(a, c, "batch_size", value_none(a));
    dict_set(a, c, "batch_sizes", value_list(a));
    dict_set(a, c, "device", value_none(a));
    dict_set(a, c, "use_cache", value_none(a));
    dict_set(a, c, "limit", limit_value(a, run->limit));
    dict_set(a, c, "bootstrap_iters", value_int(a, run->bootstrap_iters));
    dict_set(a, c, "gen_kwargs", value_dict(a));
    dict_set(a, c, "random_seed", value_none(a));
    dict_set(a, c, "numpy_seed", value_none(a));
    dict_set(a, c, "torch_seed", value_none(a));
    dict_set(a, c, "fewshot_seed", value_int(a, e->fewshot_seed));
    return c;
}

static void put_text_and_sha(struct arena *a, struct value *dict, const char *key, const char *text)
{
    char hex[SHA256_HEX];
    bool there = text && text[0];
    if (there)
        sha256_of(str_of(text), hex);
    dict_set(a, dict, key, there ? value_strz(a, text) : value_none(a));
    dict_set(a, dict, arena_printf(a, "%s_sha", key),
             there ? value_str(a, str_copy(a, str_of(hex))) : value_none(a));
}

static void put_model(struct arena *a, struct value *all, const struct lmeval_run *run,
                      const struct evaluation_line *e)
{
    dict_set(a, all, "config", run_config(a, run, e));
    dict_set(a, all, "git_hash", value_none(a));
    dict_set(a, all, "date", value_float(a, run->date));
    dict_set(a, all, "assay_version", value_strz(a, run->version ? run->version : ""));
    dict_set(a, all, "max_length", value_int(a, e->max_length));
    dict_set(a, all, "model_source", value_strz(a, "assay"));
    dict_set(a, all, "model_name", value_strz(a, e->model));
    dict_set(a, all, "model_name_sanitized", value_strz(a, sanitized(a, e->model)));
    put_text_and_sha(a, all, "system_instruction", e->system_instruction);
    dict_set(a, all, "fewshot_as_multiturn", value_bool(a, e->fewshot_as_multiturn));
    put_text_and_sha(a, all, "chat_template", run->chat_template);
    struct buf seconds = {0};
    buf_float(&seconds, run->seconds);
    dict_set(a, all, "total_evaluation_time_seconds", value_str(a, buf_take(&seconds, a)));
}

static int export_results(struct store *s, struct arena *a, const struct lmeval_run *run,
                          const struct part *parts, struct error *err)
{
    struct group_list groups;
    int r = query_groups(s, a, &groups, err);
    if (r < 0)
        return r;
    struct evaluation_list evaluations = {
        arena_array(a, (size_t)run->n_parts, sizeof *evaluations.items), (size_t)run->n_parts};
    struct sections to = {value_dict(a), value_dict(a), value_dict(a), value_dict(a),
                          value_dict(a), value_dict(a), value_dict(a)};
    for (int i = 0; i < run->n_parts; i++) {
        evaluations.items[i] = parts[i].e;
        put_part(a, &to, &parts[i]);
    }
    struct group_score_list scores = group_scores(a, &evaluations, &groups, true);
    struct value *all = value_dict(a), *group_results = put_groups(a, &to, &scores);
    dict_set(a, all, "results", to.results);
    if (scores.n)
        dict_set(a, all, "groups", group_results);
    dict_set(a, all, "group_subtasks", members(a, &groups, group_results));
    dict_set(a, all, "configs", to.configs);
    dict_set(a, all, "versions", to.versions);
    dict_set(a, all, "n-shot", to.n_shot);
    dict_set(a, all, "higher_is_better", to.higher);
    dict_set(a, all, "n-samples", to.n_samples);
    dict_set(a, all, "task_hashes", to.hashes);
    put_model(a, all, run, &parts[0].e);
    struct buf b = {0};
    buf_json(&b, all, 2, false);
    r = file_write(path_join(a, run->dir, "results.json"), buf_view(&b), err);
    buf_free(&b);
    return r;
}

/* ---- both ---- */

/* What only assay counts is no part of the layout. */
static void drop_own_scores(struct evaluation_line *e)
{
    int n = 0;
    for (int i = 0; i < e->n_scores; i++)
        if (!metric_is_own(e->scores[i].metric))
            e->scores[n++] = e->scores[i];
    e->n_scores = n;
}

static int read_part(struct store *s, struct arena *a, const struct lmeval_part *wanted,
                     const struct part *before, int n_before, struct part *ret, struct error *err)
{
    struct evaluation_filter f = {.model = arena_printf(a, "#%lld", (long long)wanted->evaluation)};
    struct evaluation_list list;
    struct value *config;
    int r = query_evaluations(s, a, &f, &list, err);
    if (r < 0)
        return r;
    struct evaluation_line *e = &list.items[0];
    r = store_scores(s, a, e->id, wanted->n_eval, &e->scores, &e->n_scores, err);
    if (r == 0)
        drop_own_scores(e);
    if (r == 0)
        r = json_parse(a, str_of(e->config_json), "a stored task definition", &config, err);
    if (r < 0)
        return r;
    *ret = (struct part){.e = *e, .n_eval = wanted->n_eval, .name = e->task, .config = config};
    for (int i = 0; i < n_before; i++)
        if (strcmp(before[i].name, ret->name) == 0)
            ret->name = arena_printf(a, "%s_%dshot", e->task, e->num_fewshot);
    return 0;
}

int lmeval_export(struct store *s, const struct lmeval_run *run, struct error *err)
{
    struct arena a = {0};
    struct part *parts = arena_array(&a, (size_t)run->n_parts, sizeof *parts);
    int r = run->n_parts ? folder_make(run->dir, err) : 0;
    for (int i = 0; r == 0 && i < run->n_parts; i++)
        r = read_part(s, &a, &run->parts[i], parts, i, &parts[i], err);
    for (int i = 0; r == 0 && i < run->n_parts; i++)
        r = export_samples(s, &a, run->dir, &parts[i], err);
    if (r == 0 && run->n_parts)
        r = export_results(s, &a, run, parts, err);
    arena_free(&a);
    return r;
}
