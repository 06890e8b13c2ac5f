/* scoring.c: the metrics, filters and process_results of a definition, checked and made ready. */
#include "tasks/scoring.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/regex.h"
#include "metrics/text.h"
#include "tasks/filters.h"
#include "tasks/sandbox.h"

int sandbox_of(const struct task *t, const struct sandbox **ret, struct error *err)
{
    struct scoring *s = t->scoring;
    const struct sandbox_options o = {.allow_unsandboxed = t->allow_unsandboxed,
                                      .n_workers = t->n_workers};
    int r = 0;
    pthread_mutex_lock(&s->lock);
    if (!s->sandbox)
        r = sandbox_open(&o, &s->sandbox, err);
    if (r == 0)
        *ret = s->sandbox;
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int wrong_metric(const struct task *t, const struct task_metric *m, struct error *err,
                        const char *what)
{
    return error_set(err, E_INPUT, "%s:%d: task \"%s\": metric \"%.100s\": %s", t->file, m->line,
                     t->info.name, m->name, what);
}

bool lists(const char *names, struct str name)
{
    while (*names && !str_eq(name, (struct str){names, strcspn(names, " ")}))
        names += strcspn(names, " ") + 1;
    return *names != '\0';
}

static int choose_process(const struct task *t, struct scoring *s, struct error *err)
{
    s->process = process_find(t->process_results, t->output);
    if (s->process)
        return 0;
    return error_set(err, E_INPUT,
                     "%s: task \"%s\": process_results \"%.100s\" is not built in for its "
                     "output_type; there are: %s",
                     t->file, t->info.name, t->process_results,
                     process_names(&s->arena, t->output));
}

static int read_flag(const struct task *t, const struct task_metric *m, const char *key, bool *ret,
                     struct error *err)
{
    const struct value *v = dict_get(m->kwargs, key);
    if (v && v->type != VALUE_BOOL)
        return wrong_metric(t, m, err, "its options must be true or false");
    *ret = v && v->b;
    return 0;
}

static int read_regexes(const struct task *t, const struct task_metric *m, struct scoring *s,
                        struct exact_match_options *o, struct error *err)
{
    const struct value *list = dict_get(m->kwargs, "regexes_to_ignore");
    char where[300];
    snprintf(where, sizeof where, "%.200s:%d", t->file, m->line);
    if (!list || list->type == VALUE_NONE)
        return 0;
    if (list->type != VALUE_LIST)
        return wrong_metric(t, m, err, "regexes_to_ignore must be a list");
    struct regex **regexes = arena_array(&s->arena, list->list.n, sizeof(struct regex *));
    o->regexes_to_ignore = regexes;
    for (size_t i = 0; i < list->list.n; i++) {
        const struct value *v = list->list.items[i];
        if (v->type != VALUE_STR)
            return wrong_metric(t, m, err, "regexes_to_ignore must hold strings");
        int r = regex_compile(v->s, 0, where, &regexes[i], err);
        if (r < 0)
            return r;
        s->regexes =
            arena_grown(&s->arena, s->regexes, (size_t)s->n_regexes, sizeof(struct regex *));
        s->regexes[s->n_regexes++] = regexes[i];
        o->n_regexes++;
    }
    return 0;
}

static int read_exact_match(const struct task *t, const struct task_metric *m, struct scoring *s,
                            struct measure *ret, struct error *err)
{
    struct exact_match_options *o = &ret->exact;
    int r;
    if ((r = read_flag(t, m, "ignore_case", &o->ignore_case, err)) < 0 ||
        (r = read_flag(t, m, "ignore_punctuation", &o->ignore_punctuation, err)) < 0 ||
        (r = read_flag(t, m, "ignore_numbers", &o->ignore_numbers, err)) < 0)
        return r;
    return read_regexes(t, m, s, o, err);
}

static int read_pass_at_k(const struct task *t, const struct task_metric *m, struct scoring *s,
                          struct measure *ret, struct error *err)
{
    const struct value *k = dict_get(m->kwargs, "k");
    bool several = k && k->type == VALUE_LIST;
    size_t n = several ? k->list.n : 1;
    int64_t *ks = arena_array(&s->arena, n + 1, sizeof *ks);
    for (size_t i = 0; i < n; i++) {
        const struct value *v = several ? k->list.items[i] : k;
        if (!v || v->type != VALUE_INT || v->i < 1)
            return wrong_metric(t, m, err, "needs k: a whole number above 0, or a list of such");
        ks[i] = v->i;
        for (size_t j = 0; j < i; j++)
            if (ks[j] == ks[i])
                return wrong_metric(t, m, err, "k holds a number twice");
    }
    ret->ks = ks;
    ret->n_ks = (int)n;
    s->runs_code = true;
    return 0;
}

static int read_pass_at_1(const struct task *t, const struct task_metric *m, struct scoring *s,
                          struct measure *ret, struct error *err)
{
    static const int64_t one = 1;
    (void)t, (void)m, (void)err;
    ret->ks = &one;
    ret->n_ks = 1;
    s->runs_code = true;
    return 0;
}

static int read_rouge(const struct task *t, const struct task_metric *m, struct scoring *s,
                      struct measure *ret, struct error *err)
{
    (void)s;
    return read_flag(t, m, "use_stemmer", &ret->stem, err);
}

/* sacreBLEU's options of how texts are counted. Those that make the score of the counts, such as
 * smooth_method, would make another metric of it, as chrf++ is. */
static int read_text(const struct task *t, const struct task_metric *m, struct scoring *s,
                     struct measure *ret, struct error *err)
{
    struct text_options *o = arena_alloc(&s->arena, sizeof *o);
    struct {
        const char *key;
        bool *ret;
    } const flags[] = {{"lowercase", &o->lowercase},
                       {"whitespace", &o->whitespace},
                       {"normalized", &o->ter.normalized},
                       {"no_punct", &o->ter.no_punct},
                       {"asian_support", &o->ter.asian_support},
                       {"case_sensitive", &o->ter.case_sensitive}};
    const struct value *tokenize = dict_get(m->kwargs, "tokenize");
    int r = 0;
    *o = (struct text_options){0};
    for (size_t i = 0; r == 0 && i < sizeof flags / sizeof *flags; i++)
        r = read_flag(t, m, flags[i].key, flags[i].ret, err);
    if (r == 0 && tokenize &&
        (tokenize->type != VALUE_STR || !bleu_tokenizer_find(tokenize->s, &o->tokenizer)))
        r = wrong_metric(t, m, err, "tokenize must be 13a, intl, char, zh or none");
    ret->text = o;
    return r;
}

static const struct {
    const char *name, *arguments;
    int (*read)(const struct task *t, const struct task_metric *m, struct scoring *s,
                struct measure *ret, struct error *err);
} with_arguments[] = {
    {"bleu", "tokenize lowercase ", read_text},
    {"chrf", "lowercase whitespace ", read_text},
    {"chrf++", "lowercase whitespace ", read_text},
    {"exact_match", "regexes_to_ignore ignore_case ignore_punctuation ignore_numbers ",
     read_exact_match},
    {"pass_at_1", "", read_pass_at_1},
    {"pass_at_k", "k ", read_pass_at_k},
    {"rouge1", "use_stemmer ", read_rouge},
    {"rouge2", "use_stemmer ", read_rouge},
    {"rougeL", "use_stemmer ", read_rouge},
    {"rougeLsum", "use_stemmer ", read_rouge},
    {"ter", "normalized no_punct asian_support case_sensitive ", read_text},
};

static int read_arguments(const struct task *t, const struct task_metric *m, struct scoring *s,
                          struct measure *ret, struct error *err)
{
    const char *names = "";
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof with_arguments / sizeof *with_arguments; i++)
        if (strcmp(with_arguments[i].name, m->name) == 0) {
            names = with_arguments[i].arguments;
            r = with_arguments[i].read(t, m, s, ret, err);
        }
    for (size_t i = 0; r == 0 && m->kwargs && i < m->kwargs->dict.n; i++) {
        const struct value *key = m->kwargs->dict.entries[i].key;
        if (!lists(names, key->s))
            r = error_set(err, E_INPUT,
                          "%s:%d: task \"%s\": metric \"%s\" has no argument \"%.*s\"; it takes %s",
                          t->file, m->line, t->info.name, m->name, STR_ARG(key->s),
                          *names ? names : "none");
    }
    return r;
}

/* Metrics that a definition names as `!function assay.NAME`, and the row of the metrics' table. */
static const struct {
    const char *name, *row;
} function_metrics[] = {
    {"pass_at_1", "pass_at_1"},
    {"pass_at_k", "pass@k"},
};

static const char *function_metric(const char *name)
{
    for (size_t i = 0; i < sizeof function_metrics / sizeof *function_metrics; i++)
        if (strcmp(function_metrics[i].name, name) == 0)
            return function_metrics[i].row;
    return NULL;
}

/* A metric that another aggregation makes another metric: the store aggregates by names. */
static const char *metric_by(const struct task_metric *m)
{
    static const char *const f1[] = {"f1_weighted", "f1_macro", "f1_micro"};
    for (size_t i = 0; m->aggregation && i < 3 && strcmp(m->name, "f1") == 0; i++)
        if (strcmp(aggregation_name(metric_find(f1[i])->aggregation), m->aggregation) == 0)
            return f1[i];
    return m->name;
}

static int read_metric(const struct task *t, const struct task_metric *given, struct scoring *s,
                       struct error *err)
{
    const char *known = s->process->metrics;
    struct task_metric named = *given, *m = &named;
    m->name = metric_by(given);
    const char *row = function_metric(m->name);
    if (!lists(known, str_of(m->name)) || m->is_function != (row != NULL))
        return error_set(err, E_INPUT,
                         "%s:%d: task \"%s\": metric \"%.100s\" is not computed for its "
                         "output_type; there are %s(pass_at_1 and pass_at_k are "
                         "written !function assay.pass_at_k)",
                         t->file, m->line, t->info.name, m->name, known);
    const char *how = aggregation_name(metric_find(row ? row : m->name)->aggregation);
    bool nanmean = m->aggregation && strcmp(m->aggregation, "nanmean") == 0;
    if (nanmean && strcmp(how, "mean") == 0) /* no document's score of ours is NaN */
        m->aggregation = how;
    if (m->aggregation && strcmp(m->aggregation, how) != 0)
        return error_set(err, E_INPUT,
                         "%s:%d: task \"%s\": metric \"%s\" is aggregated by %s, not by \"%.100s\"",
                         t->file, m->line, t->info.name, m->name, how, m->aggregation);
    for (int i = 0; i < s->n_measures; i++)
        if (strcmp(s->measures[i].name, m->name) == 0)
            return wrong_metric(t, m, err, "metric_list holds it twice; keep one of them");
    struct measure *ret = &s->measures[s->n_measures++];
    ret->name = m->name;
    return read_arguments(t, m, s, ret, err);
}

static int open_pipeline(const struct task *t, struct scoring *s, struct error *err)
{
    const struct task_pipeline *p = &t->pipelines[s->n_pipelines];
    for (int i = 0; i < s->n_pipelines; i++)
        if (strcmp(t->pipelines[i].name, p->name) == 0)
            return error_set(err, E_INPUT,
                             "%s: task \"%s\": two of filter_list are named \"%.100s\"; give one "
                             "another name",
                             t->file, t->info.name, p->name);
    int r = pipeline_open(p, t->file, t->info.name, &s->pipelines[s->n_pipelines], err);
    s->n_pipelines += r == 0;
    return r;
}

int scoring_open(struct task *t, struct error *err)
{
    struct scoring *s = mem_alloc(1, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->pipelines = arena_array(&s->arena, (size_t)t->n_pipelines, sizeof(struct pipeline *));
    s->measures = arena_array(&s->arena, (size_t)t->n_metrics, sizeof *s->measures);
    int r = choose_process(t, s, err);
    for (int i = 0; r == 0 && i < t->n_metrics; i++)
        r = error_cause(err, read_metric(t, &t->metrics[i], s, err), "metric");
    while (r == 0 && s->n_pipelines < t->n_pipelines)
        r = error_cause(err, open_pipeline(t, s, err), "filter");
    if (r == 0)
        t->scoring = s;
    else
        scoring_close(s);
    return r;
}

void scoring_close(struct scoring *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_pipelines; i++)
        pipeline_free(s->pipelines[i]);
    for (int i = 0; i < s->n_regexes; i++)
        regex_free(s->regexes[i]);
    sandbox_close(s->sandbox);
    pthread_mutex_destroy(&s->lock);
    arena_free(&s->arena);
    free(s);
}
