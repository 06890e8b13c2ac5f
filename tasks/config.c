#include "tasks/config.h"

#include <stdarg.h>
#include <stdio.h>

#include "tasks/definition.h"

/* ---- the schema's keys ---- */

enum key_kind {
    KEY_TASK,      /* honoured for a task (in a group file: overrides its members') */
    KEY_GROUP,     /* what makes a group */
    KEY_NO_EFFECT, /* accepted, and without effect on scores in lm-evaluation-harness too */
    KEY_PYTHON,    /* needs Python, or a kind of input that assay has not */
};

static const struct {
    const char *name;
    enum key_kind kind;
    const char *advice, *cause; /* for KEY_PYTHON: what to do, and what it lacks */
} keys[] = {
    {"task", KEY_GROUP, NULL, NULL},
    {"group", KEY_GROUP, NULL, NULL},
    {"group_alias", KEY_GROUP, NULL, NULL},
    {"aggregate_metric_list", KEY_GROUP, NULL, NULL},
    {"leaderboard_mean", KEY_GROUP, NULL, NULL}, /* assay's own: config.h */
    {"metadata", KEY_GROUP, NULL, NULL},
    {"tag", KEY_NO_EFFECT, NULL, NULL}, /* read by the catalog */
    {"task_list", KEY_NO_EFFECT, NULL, NULL},
    {"should_decontaminate", KEY_NO_EFFECT, NULL, NULL},
    {"doc_to_decontamination_query", KEY_NO_EFFECT, NULL, NULL},
    {"include", KEY_TASK, NULL, NULL},
    {"task_alias", KEY_TASK, NULL, NULL},
    {"dataset_path", KEY_TASK, NULL, NULL},
    {"dataset_name", KEY_TASK, NULL, NULL},
    {"dataset_kwargs", KEY_TASK, NULL, NULL},
    {"data_files", KEY_TASK, NULL, NULL}, /* assay's own: data.h */
    {"training_split", KEY_TASK, NULL, NULL},
    {"validation_split", KEY_TASK, NULL, NULL},
    {"test_split", KEY_TASK, NULL, NULL},
    {"fewshot_split", KEY_TASK, NULL, NULL},
    {"process_docs", KEY_TASK, NULL, NULL},
    {"doc_to_text", KEY_TASK, NULL, NULL},
    {"doc_to_target", KEY_TASK, NULL, NULL},
    {"doc_to_choice", KEY_TASK, NULL, NULL},
    {"process_results", KEY_TASK, NULL, NULL},
    {"unsafe_code", KEY_TASK, NULL, NULL},
    {"description", KEY_TASK, NULL, NULL},
    {"target_delimiter", KEY_TASK, NULL, NULL},
    {"fewshot_delimiter", KEY_TASK, NULL, NULL},
    {"fewshot_config", KEY_TASK, NULL, NULL},
    {"num_fewshot", KEY_TASK, NULL, NULL},
    {"metric_list", KEY_TASK, NULL, NULL},
    {"output_type", KEY_TASK, NULL, NULL},
    {"generation_kwargs", KEY_TASK, NULL, NULL},
    {"repeats", KEY_TASK, NULL, NULL},
    {"filter_list", KEY_TASK, NULL, NULL},
    {"gen_prefix", KEY_TASK, NULL, NULL},
    {"class", KEY_PYTHON, "a task that is a Python class cannot run here; write it as YAML",
     "Python only"},
    {"custom_dataset", KEY_PYTHON,
     "data made by Python cannot be had here; save it as JSON lines and name it in data_files",
     "Python only"},
    {"use_prompt", KEY_PYTHON, "promptsource is not supported; write doc_to_text as a template",
     "Python only"},
    {"doc_to_image", KEY_PYTHON, "images are not supported", "images or audio"},
    {"doc_to_audio", KEY_PYTHON, "audio is not supported", "images or audio"},
};
enum { N_KEYS = sizeof keys / sizeof *keys };

static const char *const fewshot_keys[] = {"sampler",           "split",           "process_docs",
                                           "fewshot_indices",   "samples",         "doc_to_text",
                                           "doc_to_choice",     "doc_to_target",   "gen_prefix",
                                           "fewshot_delimiter", "target_delimiter"};
enum { N_FEWSHOT_KEYS = sizeof fewshot_keys / sizeof *fewshot_keys };

static int unknown_key(const struct value *key, const char *file, const char *const *names,
                       size_t n, const char *of, struct error *err)
{
    char word[64];
    snprintf(word, sizeof word, "%.*s", STR_ARG(key->s));
    const char *near = nearest_name(word, names, n);
    int r = error_set(err, E_INPUT, "%s:%d: unknown key \"%s\"%s%s%s%s", file, key->line, word, of,
                      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return error_cause(err, r, "unknown key");
}

static int key_find(struct str name)
{
    for (int i = 0; i < N_KEYS; i++)
        if (str_eqz(name, keys[i].name))
            return i;
    return -1;
}

int config_check_keys(const struct value *dict, const char *file, struct error *err)
{
    const char *names[N_KEYS];
    for (int i = 0; i < N_KEYS; i++)
        names[i] = keys[i].name;
    for (size_t i = 0; i < dict->dict.n; i++) {
        const struct value *key = dict->dict.entries[i].key, *v = dict->dict.entries[i].value;
        if (key->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s:%d: a key of a task must be text, not of type %s",
                             file, key->line, value_type_name(key));
        int k = key_find(key->s);
        if (k < 0)
            return unknown_key(key, file, names, N_KEYS, "", err);
        if (keys[k].kind == KEY_PYTHON && v->type != VALUE_NONE)
            return error_cause(err,
                               error_set(err, E_UNSUPPORTED, "%s:%d: %s: %s", file, key->line,
                                         keys[k].name, keys[k].advice),
                               keys[k].cause);
    }
    return 0;
}

bool config_is_group_key(struct str key)
{
    int k = key_find(key);
    return k >= 0 && keys[k].kind == KEY_GROUP;
}

bool key_is_one_of(const struct value *key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (key->type == VALUE_STR && str_eqz(key->s, names[i]))
            return true;
    return false;
}

/* ---- groups ---- */

static int aggregate(struct arena *a, const struct value *item, const char *where,
                     struct group_metric *ret, struct error *err)
{
    static const char *const names[] = {"metric", "aggregation", "weight_by_size", "filter_list"};
    if (item->type != VALUE_DICT)
        return error_set(err, E_INPUT,
                         "%s: aggregate_metric_list holds a value of type %s; each "
                         "entry is {metric: NAME, weight_by_size: true}",
                         where, value_type_name(item));
    for (size_t i = 0; i < item->dict.n; i++) {
        if (!key_is_one_of(item->dict.entries[i].key, names, sizeof names / sizeof *names))
            return error_set(err, E_INPUT,
                             "%s: an entry of aggregate_metric_list has an unknown "
                             "key; it may have metric, aggregation, weight_by_size "
                             "and filter_list",
                             where);
    }
    const char *how;
    bool weight;
    int r = 0;
    if ((r = dict_str(item, "metric", NULL, where, &ret->metric, err)) < 0 ||
        (r = dict_str(item, "aggregation", "mean", where, &how, err)) < 0 ||
        (r = dict_bool(item, "weight_by_size", true, where, &weight, err)) < 0)
        return r;
    if (!ret->metric || strcmp(how, "mean") != 0)
        return error_set(err, E_INPUT,
                         "%s: an entry of aggregate_metric_list needs a metric, and "
                         "\"mean\" is the only aggregation of a group",
                         where);
    ret->weight_by_size = weight;
    const struct value *filters = dict_get(item, "filter_list");
    if (!filters || filters->type == VALUE_NONE)
        return 0;
    size_t n = filters->type == VALUE_LIST ? filters->list.n : 1;
    const char **list = arena_array(a, n, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        const struct value *f = filters->type == VALUE_LIST ? filters->list.items[i] : filters;
        if (f->type != VALUE_STR)
            return error_set(err, E_INPUT,
                             "%s: filter_list of aggregate_metric_list must hold "
                             "names of filters",
                             where);
        list[i] = arena_copy(a, f->s.p, f->s.n);
    }
    ret->filters = list;
    ret->n_filters = (int)n;
    return 0;
}

int config_aggregates(struct arena *a, const struct value *list, const char *where,
                      const struct group_metric **ret, int *n, struct error *err)
{
    if (!list || list->type == VALUE_NONE)
        return 0;
    size_t count = list->type == VALUE_LIST ? list->list.n : 1;
    struct group_metric *metrics = arena_array(a, count, sizeof *metrics);
    for (size_t i = 0; i < count; i++) {
        const struct value *item = list->type == VALUE_LIST ? list->list.items[i] : list;
        int r = aggregate(a, item, where, &metrics[i], err);
        if (r < 0)
            return r;
    }
    *ret = metrics;
    *n = (int)count;
    return 0;
}

/* ---- leaderboard_mean ---- */

struct terms {
    struct arena *a;
    const char *where, *benchmark;
    struct group_term *items;
    int n;
};

static int add_term(struct terms *t, struct group_term like, const struct value *task,
                    const struct value *choices, struct error *err)
{
    if (task->type != VALUE_STR || (choices && choices->type != VALUE_INT) ||
        (choices && (choices->i < 0 || choices->i == 1)))
        return error_set(err, E_INPUT,
                         "%s: leaderboard_mean: the tasks of \"%s\" must be names, or names with "
                         "the number of choices (0, or 2 and more)",
                         t->where, t->benchmark);
    t->items = arena_grown(t->a, t->items, (size_t)t->n, sizeof *t->items);
    like.benchmark = t->benchmark;
    like.task = arena_copy(t->a, task->s.p, task->s.n);
    if (choices)
        like.baseline = choices->i ? 1 / (double)choices->i : 0;
    t->items[t->n++] = like;
    return 0;
}

/* The tasks of one benchmark under one metric. */
static int add_terms(struct terms *t, const struct value *v, struct error *err)
{
    struct group_term like = {0};
    int64_t choices;
    int r = 0;
    if (v->type != VALUE_DICT)
        return error_set(err, E_INPUT, "%s: leaderboard_mean: \"%s\" must be a dict", t->where,
                         t->benchmark);
    if ((r = dict_str(v, "metric", "acc", t->where, &like.metric, err)) < 0 ||
        (r = dict_str(v, "filter", "none", t->where, &like.filter, err)) < 0 ||
        (r = dict_bool(v, "weight_by_size", false, t->where, &like.by_size, err)) < 0 ||
        (r = dict_int(v, "choices", 0, t->where, &choices, err)) < 0)
        return r;
    like.baseline = choices > 1 ? 1 / (double)choices : 0;
    const struct value *tasks = dict_get(v, "tasks");
    if (!tasks || (tasks->type != VALUE_LIST && tasks->type != VALUE_DICT))
        return error_set(err, E_INPUT, "%s: leaderboard_mean: \"%s\" needs `tasks`", t->where,
                         t->benchmark);
    bool named = tasks->type == VALUE_DICT;
    size_t n = named ? tasks->dict.n : tasks->list.n;
    for (size_t i = 0; i < n && r == 0; i++)
        r = named ? add_term(t, like, tasks->dict.entries[i].key, tasks->dict.entries[i].value, err)
                  : add_term(t, like, tasks->list.items[i], NULL, err);
    return r;
}

int config_terms(struct arena *a, const struct value *v, const char *where,
                 const struct group_term **ret, int *n, struct error *err)
{
    struct terms t = {.a = a, .where = where};
    int r = 0;
    if (!v || v->type == VALUE_NONE)
        return 0;
    if (v->type != VALUE_DICT)
        return error_set(err, E_INPUT, "%s: leaderboard_mean must be a dict of benchmarks", where);
    for (size_t i = 0; i < v->dict.n && r == 0; i++) {
        const struct value_entry e = v->dict.entries[i];
        if (e.key->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s: leaderboard_mean: a benchmark needs a name", where);
        t.benchmark = arena_copy(a, e.key->s.p, e.key->s.n);
        size_t several = e.value->type == VALUE_LIST ? e.value->list.n : 1;
        for (size_t k = 0; k < several && r == 0; k++)
            r = add_terms(&t, e.value->type == VALUE_LIST ? e.value->list.items[k] : e.value, err);
    }
    *ret = t.items;
    *n = t.n;
    return r;
}

/* ---- a task ---- */

void task_note(struct task *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = t->info.n_notes;
    const char **notes = arena_array(&t->arena, (size_t)n + 1, sizeof *notes);
    if (n)
        memcpy(notes, t->info.notes, (size_t)n * sizeof *notes);
    notes[n] = arena_vprintf(&t->arena, format, args);
    va_end(args);
    for (int i = 0; i < n; i++) /* two splits may be read from one file */
        if (strcmp(notes[i], notes[n]) == 0)
            return;
    t->info.notes = notes;
    t->info.n_notes = n + 1;
}

const char *task_where(struct task *t, const char *key)
{
    return definition_where(&t->arena, t->ref->config, t->ref->sources, key, t->file);
}

const struct value *task_setting(const struct task *t, const char *key)
{
    const struct value *v = dict_get(t->ref->config, key);
    return v && v->type != VALUE_NONE ? v : NULL;
}

static int setting_text(struct task *t, const char *key, struct str def, struct str *ret,
                        struct error *err)
{
    const struct value *v = task_setting(t, key);
    if (v && v->type != VALUE_STR)
        return error_set(err, E_INPUT, "%s: %s must be text, not of type %s", task_where(t, key),
                         key, value_type_name(v));
    *ret = v ? v->s : def;
    return 0;
}

static int setting_int(struct task *t, const char *key, int64_t def, int64_t min, int *ret,
                       struct error *err)
{
    const struct value *v = task_setting(t, key);
    if (v && (v->type != VALUE_INT || v->i < min || v->i > 1000000))
        return error_set(
            err, E_INPUT, "%s: %s must be a whole number of at least %lld, it says %.*s",
            task_where(t, key), key, (long long)min, STR_ARG(value_tostr(&t->arena, v)));
    *ret = (int)(v ? v->i : def);
    return 0;
}

static int parse_output(struct task *t, struct error *err)
{
    static const struct {
        const char *name;
        enum request_kind kind;
    } outputs[] = {
        [OUTPUT_LOGLIKELIHOOD] = {"loglikelihood", REQUEST_LOGLIKELIHOOD},
        [OUTPUT_LOGLIKELIHOOD_ROLLING] = {"loglikelihood_rolling", REQUEST_LOGLIKELIHOOD_ROLLING},
        [OUTPUT_MULTIPLE_CHOICE] = {"multiple_choice", REQUEST_LOGLIKELIHOOD},
        [OUTPUT_GENERATE_UNTIL] = {"generate_until", REQUEST_GENERATE_UNTIL},
        [OUTPUT_SIMILARITY] = {"similarity", REQUEST_EMBED},
    };
    struct str name;
    int r = setting_text(t, "output_type", STR("generate_until"), &name, err);
    for (size_t i = 0; r == 0 && i < sizeof outputs / sizeof *outputs; i++)
        if (str_eqz(name, outputs[i].name)) {
            t->output = (enum output_type)i;
            t->info.output_type = outputs[i].name;
            t->info.kind = outputs[i].kind;
            return 0;
        }
    return r < 0
               ? r
               : error_set(err, E_INPUT,
                           "%s: output_type \"%.*s\" is none of loglikelihood, "
                           "loglikelihood_rolling, multiple_choice, generate_until and similarity",
                           task_where(t, "output_type"), STR_ARG(name));
}

/* `v` without the keys named in `without`. */
static const struct value *rest_of(struct arena *a, const struct value *v,
                                   const char *const *without, int n)
{
    struct value *rest = value_dict(a);
    for (size_t i = 0; i < v->dict.n; i++)
        if (!key_is_one_of(v->dict.entries[i].key, without, (size_t)n))
            dict_put(a, rest, v->dict.entries[i].key, v->dict.entries[i].value);
    return rest;
}

static int need_text_keys(const struct value *v, const char *where, const char *what,
                          struct error *err)
{
    if (v->type != VALUE_DICT)
        return error_set(err, E_INPUT, "%s: %s must be a dict, not of type %s", where, what,
                         value_type_name(v));
    for (size_t i = 0; i < v->dict.n; i++)
        if (v->dict.entries[i].key->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s: a key of %s is not text", where, what);
    return 0;
}

/* Only generated answers have metrics with options; elsewhere lm-evaluation-harness does not look
 * at them, and says nothing. */
static const struct value *metric_options(struct task *t, struct str metric,
                                          const struct value *options)
{
    if (t->output == OUTPUT_GENERATE_UNTIL || options->dict.n == 0)
        return options;
    for (size_t i = 0; i < options->dict.n; i++)
        task_note(t, "metric_list: %.*s of %.*s has no effect with output_type %s",
                  STR_ARG(options->dict.entries[i].key->s), STR_ARG(metric), t->info.output_type);
    return value_dict(&t->arena);
}

static int parse_metric(struct task *t, const struct value *item, struct task_metric *ret,
                        struct error *err)
{
    static const char *const own[] = {"metric", "aggregation", "higher_is_better", "hf_evaluate",
                                      "weight_by_size"};
    const char *where = arena_printf(&t->arena, "%s", task_where(t, "metric_list"));
    int r = need_text_keys(item, where, "an entry of metric_list", err);
    if (r < 0)
        return r;
    const struct value *metric = dict_get(item, "metric"), *how = dict_get(item, "aggregation");
    const struct value *hf = dict_get(item, "hf_evaluate");
    if (!metric || metric->type != VALUE_STR)
        return error_set(err, E_INPUT, "%s: an entry of metric_list needs `metric: NAME`", where);
    if (hf && value_truthy(hf) && t->output != OUTPUT_GENERATE_UNTIL)
        task_note(t, "metric_list: hf_evaluate has no effect with output_type %s",
                  t->info.output_type);
    else if (hf && value_truthy(hf))
        return error_set(err, E_UNSUPPORTED,
                         "%s: hf_evaluate asks for a metric of Hugging Face's "
                         "evaluate library, which assay does not load",
                         where);
    const char *aggregate =
        function_name(how); /* of those in python_known.h; scoring.c knows them */
    if (aggregate && strcmp(aggregate, "agg_inst_level_acc") == 0)
        how = NULL; /* IFEval's own, which is how its metrics are aggregated here */
    else if (aggregate && *aggregate)
        how = value_strz(&t->arena, aggregate);
    if (how && (how->type != VALUE_STR || how->tag))
        return error_set(err, E_UNSUPPORTED,
                         "%s: aggregation must be the name of one, such as mean; Python code, "
                         "\"%.*s\", is not run",
                         where, STR_ARG(value_tostr(&t->arena, how)));
    if (dict_get(item, "weight_by_size"))
        task_note(t, "metric_list: weight_by_size is a group's; it has no effect here");
    const char *function = function_name(metric);
    *ret = (struct task_metric){
        .name = function && *function ? function : arena_copy(&t->arena, metric->s.p, metric->s.n),
        .is_function = function != NULL,
        .aggregation = how ? arena_copy(&t->arena, how->s.p, how->s.n) : NULL,
        .kwargs = metric_options(t, metric->s, rest_of(&t->arena, item, own, 5)),
        .line = metric->line,
    };
    return 0;
}

static int parse_metrics(struct task *t, struct error *err)
{
    static const char *const defaults[][3] = {
        [OUTPUT_LOGLIKELIHOOD] = {"perplexity", "acc"},
        [OUTPUT_LOGLIKELIHOOD_ROLLING] = {"word_perplexity", "byte_perplexity", "bits_per_byte"},
        [OUTPUT_MULTIPLE_CHOICE] = {"acc", "acc_norm"},
        [OUTPUT_GENERATE_UNTIL] = {"exact_match"},
        [OUTPUT_SIMILARITY] = {"pearson", "spearman"},
    };
    const struct value *list = task_setting(t, "metric_list");
    if (list && (list->type != VALUE_LIST || list->list.n == 0))
        return error_set(err, E_INPUT, "%s: metric_list must be a list of {metric: NAME, ...}",
                         task_where(t, "metric_list"));
    size_t n = list ? list->list.n : 3;
    struct task_metric *metrics = arena_array(&t->arena, n, sizeof *metrics);
    t->metrics = metrics;
    for (size_t i = 0; i < n; i++) {
        if (!list && !defaults[t->output][i])
            break;
        int r = 0;
        if (list)
            r = parse_metric(t, list->list.items[i], &metrics[i], err);
        else
            metrics[i] = (struct task_metric){.name = defaults[t->output][i],
                                              .kwargs = value_dict(&t->arena)};
        if (r < 0)
            return r;
        t->n_metrics++;
    }
    return 0;
}

static int parse_pipeline(struct task *t, const struct value *item, struct task_pipeline *ret,
                          struct error *err)
{
    static const char *const own[] = {"function"};
    const char *where = task_where(t, "filter_list");
    int r = need_text_keys(item, where, "an entry of filter_list", err);
    if (r < 0)
        return r;
    const struct value *name = dict_get(item, "name"), *steps = dict_get(item, "filter");
    if (!name || name->type != VALUE_STR || !steps || steps->type != VALUE_LIST ||
        item->dict.n != 2)
        return error_set(err, E_INPUT,
                         "%s: an entry of filter_list is {name: NAME, filter: "
                         "[{function: NAME, ...}]} and nothing else",
                         where);
    struct task_filter_step *list = arena_array(&t->arena, steps->list.n, sizeof *list);
    for (size_t i = 0; i < steps->list.n; i++) {
        const struct value *step = steps->list.items[i];
        if ((r = need_text_keys(step, where, "a step of filter_list", err)) < 0)
            return r;
        const struct value *function = dict_get(step, "function");
        if (!function || function->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s: a step of filter \"%.*s\" needs `function: NAME`",
                             where, STR_ARG(name->s));
        list[i] = (struct task_filter_step){arena_copy(&t->arena, function->s.p, function->s.n),
                                            rest_of(&t->arena, step, own, 1), function->line};
    }
    *ret = (struct task_pipeline){arena_copy(&t->arena, name->s.p, name->s.n), list,
                                  (int)steps->list.n};
    return 0;
}

static int parse_pipelines(struct task *t, struct error *err)
{
    const struct value *list = task_setting(t, "filter_list");
    if (list && list->type != VALUE_LIST)
        return error_set(err, E_INPUT, "%s: filter_list must be a list",
                         task_where(t, "filter_list"));
    size_t n = list && list->list.n ? list->list.n : 1;
    struct task_pipeline *pipelines = arena_array(&t->arena, n, sizeof *pipelines);
    t->pipelines = pipelines;
    t->n_pipelines = (int)n;
    if (list && list->list.n) {
        for (size_t i = 0; i < n; i++) {
            int r = parse_pipeline(t, list->list.items[i], &pipelines[i], err);
            if (r < 0)
                return r;
        }
        return 0;
    }
    struct task_filter_step *step = arena_alloc(&t->arena, sizeof *step);
    *step = (struct task_filter_step){.function = "take_first", .kwargs = value_dict(&t->arena)};
    pipelines[0] = (struct task_pipeline){"none", step, 1};
    return 0;
}

/* Stop strings: a text or a list of texts. */
static int parse_until(struct task *t, const struct value *v, struct error *err)
{
    if (v->type != VALUE_STR && v->type != VALUE_LIST)
        return error_set(err, E_INPUT,
                         "%s: generation_kwargs: until must be a text or a list of "
                         "texts",
                         task_where(t, "generation_kwargs"));
    size_t n = v->type == VALUE_LIST ? v->list.n : 1;
    struct str *until = arena_array(&t->arena, n, sizeof *until);
    for (size_t i = 0; i < n; i++) {
        const struct value *item = v->type == VALUE_LIST ? v->list.items[i] : v;
        if (item->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s: generation_kwargs: a stop string is of type %s",
                             task_where(t, "generation_kwargs"), value_type_name(item));
        until[i] = item->s;
    }
    t->until = until;
    t->n_until = (int)n;
    return 0;
}

/* The first that is given of max_gen_toks and its other names, which come by priority. */
static int parse_max_gen_toks(struct task *t, const struct value *kwargs, struct error *err)
{
    static const char *const names[] = {"max_gen_toks", "max_new_tokens", "max_tokens",
                                        "max_completion_tokens"};
    t->max_gen_toks = 256;
    for (int i = 0; i < 4; i++) {
        const struct value *v = dict_get(kwargs, names[i]);
        if (!v || v->type == VALUE_NONE)
            continue;
        if (v->type != VALUE_INT || v->i < 1 || v->i > INT32_MAX)
            return error_set(err, E_INPUT,
                             "%s: generation_kwargs: %s must be a positive whole "
                             "number",
                             task_where(t, "generation_kwargs"), names[i]);
        t->max_gen_toks = (int)v->i;
        return 0;
    }
    return 0;
}

/* Keys that a server or transformers would take and that the local engine has not: without effect
 * where decoding is greedy, and a slip where it is not. */
static int check_generation_keys(struct task *t, const struct value *kwargs, struct error *err)
{
    static const char *const names[] = {
        "until",     "max_gen_toks", "max_new_tokens",        "max_tokens",
        "do_sample", "temperature",  "max_completion_tokens", "top_k",
        "top_p",     "min_p",        "repetition_penalty",    "seed"};
    for (size_t i = 0; i < kwargs->dict.n; i++) {
        const struct value *key = kwargs->dict.entries[i].key;
        if (key_is_one_of(key, names, sizeof names / sizeof *names))
            continue;
        if (t->sampling.temperature > 0)
            return error_set(err, E_UNSUPPORTED,
                             "%s: generation_kwargs: %.*s is not supported with a temperature; "
                             "there are until, max_gen_toks, do_sample, temperature, top_k, top_p, "
                             "min_p, repetition_penalty and seed",
                             task_where(t, "generation_kwargs"), STR_ARG(key->s));
        task_note(t, "generation_kwargs: %.*s has no effect on greedy decoding", STR_ARG(key->s));
    }
    return 0;
}

static int wrong_sampling(struct task *t, const char *what, struct error *err)
{
    return error_set(err, E_INPUT, "%s: generation_kwargs: %s", task_where(t, "generation_kwargs"),
                     what);
}

/* Where do_sample is not said, a temperature above 0 says it, as in lm-evaluation-harness. */
static int parse_sampling(struct task *t, const struct value *kwargs, struct error *err)
{
    struct sampling *s = &t->sampling;
    const char *where = task_where(t, "generation_kwargs");
    int64_t top_k;
    bool do_sample;
    int r = 0;
    if ((r = dict_float(kwargs, "temperature", 0, where, &s->temperature, err)) < 0 ||
        (r = dict_float(kwargs, "top_p", 1, where, &s->top_p, err)) < 0 ||
        (r = dict_float(kwargs, "min_p", 0, where, &s->min_p, err)) < 0 ||
        (r = dict_float(kwargs, "repetition_penalty", 1, where, &s->repetition_penalty, err)) < 0 ||
        (r = dict_int(kwargs, "top_k", 0, where, &top_k, err)) < 0 ||
        (r = dict_int(kwargs, "seed", 0, where, &s->seed, err)) < 0 ||
        (r = dict_bool(kwargs, "do_sample", true, where, &do_sample, err)) < 0)
        return r;
    if (s->temperature < 0 || s->temperature > 1000)
        return wrong_sampling(t, "temperature must be from 0 (greedy) to 1000", err);
    if (!(s->top_p > 0 && s->top_p <= 1) || !(s->min_p >= 0 && s->min_p <= 1))
        return wrong_sampling(t, "top_p must be above 0 and at most 1, min_p from 0 to 1", err);
    if (!(s->repetition_penalty > 0 && s->repetition_penalty <= 1000))
        return wrong_sampling(t, "repetition_penalty must be above 0 (1: none)", err);
    if (top_k < -1 || top_k > INT32_MAX)
        return wrong_sampling(t, "top_k must be a number of tokens (0 or -1: all)", err);
    s->top_k = top_k < 0 ? 0 : (int)top_k;
    if (!do_sample)
        s->temperature = 0;
    if (s->temperature == 0) /* what only a draw reads is no part of a greedy task */
        *s = (struct sampling){.repetition_penalty = s->repetition_penalty};
    return 0;
}

static int parse_generation(struct task *t, const struct task_options *o, struct error *err)
{
    const struct value *kwargs = task_setting(t, "generation_kwargs");
    const char *where = task_where(t, "generation_kwargs");
    struct str *delimiter = arena_alloc(&t->arena, sizeof *delimiter);
    int r = 0;
    *delimiter = t->fewshot_delimiter;
    t->until = delimiter;
    t->n_until = 1;
    t->max_gen_toks = 256;
    if (kwargs) {
        const struct value *until = dict_get(kwargs, "until");
        if ((r = need_text_keys(kwargs, where, "generation_kwargs", err)) < 0 ||
            (until && (r = parse_until(t, until, err)) < 0) ||
            (r = parse_max_gen_toks(t, kwargs, err)) < 0 ||
            (r = parse_sampling(t, kwargs, err)) < 0 ||
            (r = check_generation_keys(t, kwargs, err)) < 0)
            return r;
    }
    if (o->max_gen_toks > 0)
        t->max_gen_toks = o->max_gen_toks;
    return 0;
}

static int parse_process_results(struct task *t, struct error *err)
{
    const struct value *v = task_setting(t, "process_results");
    const char *name = function_name(v);
    if (!v)
        return 0;
    if (!name || !*name)
        return error_set(err, E_UNSUPPORTED,
                         "%s: process_results names Python code, \"%.*s\", which assay does not "
                         "run; the built-in functions are written `!function assay.NAME`",
                         task_where(t, "process_results"), STR_ARG(value_tostr(&t->arena, v)));
    t->process_results = name;
    return 0;
}

static int parse_fewshot(struct task *t, const struct task_options *o, struct error *err)
{
    const struct value *config = task_setting(t, "fewshot_config");
    const char *where = task_where(t, "fewshot_config");
    int r = 0;
    if (config && (r = need_text_keys(config, where, "fewshot_config", err)) < 0)
        return r;
    for (size_t i = 0; config && i < config->dict.n; i++) {
        const struct value *key = config->dict.entries[i].key;
        if (!key_is_one_of(key, fewshot_keys, N_FEWSHOT_KEYS))
            return unknown_key(key, t->file, fewshot_keys, N_FEWSHOT_KEYS, " in fewshot_config",
                               err);
    }
    if (dict_get(config, "fewshot_indices"))
        task_note(t, "fewshot_indices has no effect, as in lm-evaluation-harness 0.4.13");
    int own;
    if ((r = setting_int(t, "num_fewshot", 0, 0, &own, err)) < 0)
        return r;
    bool fixed = own == 0 && task_setting(t, "num_fewshot");
    t->info.num_fewshot = o->num_fewshot >= 0 && !fixed ? o->num_fewshot : own;
    if (fixed && o->num_fewshot > 0)
        task_note(t, "num_fewshot stays 0: the task fixes it");
    return 0;
}

static int parse_delimiters(struct task *t, struct error *err)
{
    const struct value *shots = task_setting(t, "fewshot_config");
    struct {
        const char *key;
        struct str def, *own, *shot;
    } both[] = {
        {"target_delimiter", STR(" "), &t->target_delimiter, &t->shot_target_delimiter},
        {"fewshot_delimiter", STR("\n\n"), &t->fewshot_delimiter, &t->shot_delimiter},
    };
    for (int i = 0; i < 2; i++) {
        int r = setting_text(t, both[i].key, both[i].def, both[i].own, err);
        if (r < 0)
            return r;
        const struct value *v = dict_get(shots, both[i].key);
        if (v && v->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s: %s of fewshot_config must be text",
                             task_where(t, "fewshot_config"), both[i].key);
        *both[i].shot = v ? v->s : *both[i].own;
    }
    return 0;
}

static void parse_version(struct task *t)
{
    const struct value *v = dict_get(task_setting(t, "metadata"), "version");
    struct str text = v ? value_tostr(&t->arena, v) : STR("Yaml");
    t->info.version = arena_copy(&t->arena, text.p, text.n);
}

int config_parse(struct task *t, const struct task_ref *ref, const struct task_options *o,
                 struct error *err)
{
    int r = 0;
    bool unsafe;
    t->info.name = arena_printf(&t->arena, "%s", ref->name);
    t->info.alias = arena_printf(&t->arena, "%s", ref->alias);
    parse_version(t);
    if ((r = parse_output(t, err)) < 0 ||
        (r = error_cause(err, parse_metrics(t, err), "metric")) < 0 ||
        (r = error_cause(err, parse_pipelines(t, err), "filter")) < 0 ||
        (r = error_cause(err, parse_process_results(t, err), "Python only")) < 0 ||
        (r = parse_delimiters(t, err)) < 0 || (r = parse_generation(t, o, err)) < 0 ||
        (r = parse_fewshot(t, o, err)) < 0 ||
        (r = setting_int(t, "repeats", 1, 1, &t->repeats, err)) < 0 ||
        (r = dict_bool(ref->config, "unsafe_code", false, task_where(t, "unsafe_code"), &unsafe,
                       err)) < 0)
        return r;
    t->unsafe_code = unsafe;
    if (ref->replaces)
        task_note(t, "the definition in %s takes the place of %s", t->file, ref->replaces);
    return 0;
}

/* ---- what results.json shows ---- */

static void show_default(struct arena *a, struct value *dict, const char *key, struct value *v)
{
    struct value *have = dict_get(dict, key);
    if (!have || have->type == VALUE_NONE)
        dict_set(a, dict, key, v);
}

const struct value *config_shown(struct arena *a, const struct task *t, const struct task_ref *ref,
                                 bool keyed_draws)
{
    static const char *const hidden[] = {"tag", "task_list", "data_files", "num_fewshot"};
    struct value *shown = value_dict(a);
    dict_set(a, shown, "task", value_strz(a, t->info.name));
    const struct value *rest = rest_of(a, ref->config, hidden, 4);
    for (size_t i = 0; i < rest->dict.n; i++)
        if (rest->dict.entries[i].value->type != VALUE_NONE)
            dict_put(a, shown, rest->dict.entries[i].key, rest->dict.entries[i].value);
    dict_set(a, shown, "task", value_strz(a, t->info.name));
    show_default(a, shown, "unsafe_code", value_bool(a, false));
    show_default(a, shown, "description", value_strz(a, ""));
    show_default(a, shown, "target_delimiter", value_str(a, t->target_delimiter));
    show_default(a, shown, "fewshot_delimiter", value_str(a, t->fewshot_delimiter));
    dict_set(a, shown, "num_fewshot", value_int(a, t->info.num_fewshot));
    show_default(a, shown, "output_type", value_strz(a, t->info.output_type));
    show_default(a, shown, "repeats", value_int(a, t->repeats));
    show_default(a, shown, "should_decontaminate", value_bool(a, false));
    if (keyed_draws)
        dict_set(a, shown, "draws", value_strz(a, "keyed"));
    return shown;
}
