/* filters.c: one function a step, in a table. */
#include "tasks/filters.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/regex.h"
#include "base/utf8.h"
#include "tasks/document.h"
#include "tasks/scoring.h"

/* Where a step stands, for errors. */
struct place {
    const char *file, *task;
    int line;
    const char *function;
};

struct step;
struct custom;

struct step_kind {
    const char *name;
    const char *arguments; /* the names it takes, each followed by a space */
    /* NULL: nothing to prepare */
    int (*open)(struct step *s, const struct value *kwargs, const struct place *at,
                struct error *err);
    int (*apply)(const struct step *s, struct arena *a, const struct value *doc,
                 struct value *answers, struct value **ret, struct error *err);
};

struct step {
    const struct step_kind *kind;
    struct regex *regex;
    int64_t number;         /* group_select, or k */
    struct value *fallback; /* or default_value */
    const struct value *mapping;
    const struct custom *custom;
};

struct pipeline {
    struct arena arena;
    struct step *steps;
    int n;
};

/* ---- reading arguments ---- */

static int wrong(const struct place *at, struct error *err, const char *what)
{
    return error_set(err, E_INPUT, "%s:%d: task \"%s\": filter %s: %s", at->file, at->line,
                     at->task, at->function, what);
}

static int read_int(const struct value *kwargs, const char *key, int64_t def,
                    const struct place *at, int64_t *ret, struct error *err)
{
    const struct value *v = dict_get(kwargs, key);
    if (v && v->type != VALUE_INT)
        return wrong(at, err, "its number (group_select or k) must be a whole number");
    *ret = v ? v->i : def;
    return 0;
}

/* ---- answers ---- */

/* Python would go through the characters of a string where it expects a list; so do we, since a
 * definition that puts take_first before another step means just that. */
static struct value *as_list(struct arena *a, struct value *v)
{
    if (v->type == VALUE_LIST && !v->tuple)
        return v;
    struct value *list = value_list(a);
    if (v->type != VALUE_STR) {
        list_push(a, list, v);
        return list;
    }
    for (size_t i = 0, from = 0; i < v->s.n; from = i) {
        utf8_next(v->s, &i);
        list_push(a, list, value_str(a, str_slice(v->s, from, i)));
    }
    return list;
}

/* ---- regex ---- */

static int open_regex(struct step *s, const struct value *kwargs, const struct place *at,
                      struct error *err)
{
    static struct value invalid = {.type = VALUE_STR, .s = {"[invalid]", 9}};
    const struct value *pattern = dict_get(kwargs, "regex_pattern");
    char where[300];
    snprintf(where, sizeof where, "%.200s:%d", at->file, at->line);
    s->fallback = dict_get(kwargs, "fallback");
    if (!s->fallback)
        s->fallback = &invalid;
    if (pattern && pattern->type != VALUE_STR)
        return wrong(at, err, "regex_pattern must be a string");
    int r = read_int(kwargs, "group_select", 0, at, &s->number, err);
    struct str usual = STR("#### (\\-?[0-9\\.\\,]+)");
    return r < 0 ? r : regex_compile(pattern ? pattern->s : usual, 0, where, &s->regex, err);
}

enum { MAX_GROUPS = 100 };

/* What re.findall gives for one match, and the filter makes of it: the match, its only group, or
 * the first of its groups that is not empty. False: all groups are empty. */
static bool choose_group(struct str s, const struct regex_match *m, int n_groups, struct str *ret)
{
    int first = n_groups > 0, last = n_groups;
    for (int i = first; i <= last && i < MAX_GROUPS; i++) {
        bool took_part = m[i].start != SIZE_MAX;
        *ret = took_part ? str_slice(s, m[i].start, m[i].end) : STR("");
        if (ret->n > 0 || n_groups < 2)
            return true;
    }
    return false;
}

struct found {
    bool any, empty; /* a match; all groups of it empty */
    struct str text;
};

/* The match that group_select means: counted from the start, or from the end when negative. */
static int find_selected(const struct step *s, struct str subject, struct found *ret,
                         struct error *err)
{
    struct regex_match m[MAX_GROUPS];
    int n_groups = regex_groups(s->regex);
    int64_t wanted = s->number;
    /* A negative number needs the count first. */
    for (int pass = s->number < 0 ? 0 : 1; pass < 2; pass++) {
        struct regex_iter it = {0};
        int64_t n = 0;
        for (;; n++) {
            int r = regex_next(s->regex, subject, &it, m, MAX_GROUPS, err);
            if (r < 0)
                return r;
            if (r == 0)
                break;
            if (pass == 1 && n == wanted) {
                ret->any = true;
                ret->empty = !choose_group(subject, m, n_groups, &ret->text);
                return 0;
            }
        }
        if (pass == 0)
            wanted = n + s->number;
    }
    /* Fewer matches than group_select asks for end lm-evaluation-harness with an IndexError; to us
     * the answer is not in the expected form. */
    return 0;
}

static int apply_regex(const struct step *s, struct arena *a, const struct value *doc,
                       struct value *answers, struct value **ret, struct error *err)
{
    (void)doc;
    struct value *in = as_list(a, answers), *out = value_list(a);
    for (size_t i = 0; i < in->list.n; i++) {
        const struct value *v = in->list.items[i];
        struct found f = {0};
        int r = find_selected(s, v->type == VALUE_STR ? v->s : STR(""), &f, err);
        if (r < 0)
            return r;
        struct value *item = s->fallback;
        if (f.any && !f.empty)
            item = value_str(a, utf8_strip(f.text, STRIP_BOTH, NULL));
        else if (f.any && item->type == VALUE_STR)
            item = value_str(a, utf8_strip(item->s, STRIP_BOTH, NULL));
        list_push(a, out, item);
    }
    *ret = out;
    return 0;
}

/* ---- text ---- */

static struct str strip(struct arena *a, struct str s)
{
    (void)a;
    return utf8_strip(s, STRIP_BOTH, NULL);
}

static int each_text(const struct step *s, struct arena *a, struct value *answers,
                     struct str (*f)(struct arena *, struct str), struct value **ret,
                     struct error *err)
{
    struct value *in = as_list(a, answers), *out = value_list(a);
    for (size_t i = 0; i < in->list.n; i++) {
        const struct value *v = in->list.items[i];
        if (v->type != VALUE_STR)
            return error_set(err, E_INPUT, "filter %s needs text, but the step before it gives %s",
                             s->kind->name, value_type_name(v));
        list_push(a, out, value_str(a, f(a, v->s)));
    }
    *ret = out;
    return 0;
}

static int apply_strip(const struct step *s, struct arena *a, const struct value *doc,
                       struct value *answers, struct value **ret, struct error *err)
{
    (void)doc;
    return each_text(s, a, answers, strip, ret, err);
}

static int apply_lower(const struct step *s, struct arena *a, const struct value *doc,
                       struct value *answers, struct value **ret, struct error *err)
{
    (void)doc;
    return each_text(s, a, answers, utf8_lower, ret, err);
}

static int apply_upper(const struct step *s, struct arena *a, const struct value *doc,
                       struct value *answers, struct value **ret, struct error *err)
{
    (void)doc;
    return each_text(s, a, answers, utf8_upper, ret, err);
}

static int open_map(struct step *s, const struct value *kwargs, const struct place *at,
                    struct error *err)
{
    static struct value none = {.type = VALUE_NONE};
    s->mapping = dict_get(kwargs, "mapping_dict");
    s->fallback = dict_get(kwargs, "default_value");
    if (!s->fallback)
        s->fallback = &none;
    if (s->mapping && s->mapping->type != VALUE_DICT)
        return wrong(at, err, "mapping_dict must be a dictionary");
    return 0;
}

static int apply_map(const struct step *s, struct arena *a, const struct value *doc,
                     struct value *answers, struct value **ret, struct error *err)
{
    (void)doc, (void)err;
    struct value *in = as_list(a, answers), *out = value_list(a);
    for (size_t i = 0; i < in->list.n; i++) {
        struct value *to = dict_find(s->mapping, in->list.items[i]);
        list_push(a, out, to ? to : s->fallback);
    }
    *ret = out;
    return 0;
}

/* ---- choosing ---- */

static int need_one(const struct step *s, const struct value *list, struct error *err)
{
    if (list->list.n > 0)
        return 0;
    return error_set(err, E_INPUT, "filter %s: there is no answer to take", s->kind->name);
}

static int apply_first(const struct step *s, struct arena *a, const struct value *doc,
                       struct value *answers, struct value **ret, struct error *err)
{
    (void)doc;
    struct value *in = as_list(a, answers);
    int r = need_one(s, in, err);
    if (r == 0)
        *ret = in->list.items[0];
    return r;
}

static int open_first_k(struct step *s, const struct value *kwargs, const struct place *at,
                        struct error *err)
{
    int r = read_int(kwargs, "k", -1, at, &s->number, err);
    return r == 0 && s->number < 1 ? wrong(at, err, "needs k, a whole number above 0") : r;
}

static int apply_first_k(const struct step *s, struct arena *a, const struct value *doc,
                         struct value *answers, struct value **ret, struct error *err)
{
    (void)doc;
    struct value *in = as_list(a, answers), *out = value_list(a);
    if ((int64_t)in->list.n < s->number)
        return error_set(err, E_INPUT,
                         "filter take_first_k: k is %lld, but a document has %zu answers; raise "
                         "the task's `repeats`",
                         (long long)s->number, in->list.n);
    for (int64_t i = 0; i < s->number; i++)
        list_push(a, out, in->list.items[i]);
    *ret = out;
    return 0;
}

/* A list of the commonest answer alone; of equally common ones the first seen. */
static int apply_vote(const struct step *s, struct arena *a, const struct value *doc,
                      struct value *answers, struct value **ret, struct error *err)
{
    (void)doc;
    struct value *in = as_list(a, answers), *best = NULL;
    int r = need_one(s, in, err);
    for (size_t i = 0, most = 0; i < in->list.n; i++) {
        size_t votes = 0;
        for (size_t j = i; j < in->list.n; j++)
            votes += value_eq(in->list.items[i], in->list.items[j]);
        if (votes > most) {
            most = votes;
            best = in->list.items[i];
        }
    }
    if (r < 0)
        return r;
    *ret = value_list(a);
    list_push(a, *ret, best);
    return 0;
}

/* ---- custom ---- */

/* HumanEval: the program is the prompt and the answer. */
static int prompt_and_answer(const struct step *s, struct arena *a, const struct value *doc,
                             struct str answer, struct str *ret, struct error *err)
{
    struct str prompt;
    (void)s;
    int r = document_str(doc, "prompt", &prompt, err);
    if (r == 0)
        *ret = str_cat(a, prompt, answer);
    return r;
}

/* The same, up to the end of the Markdown code block that a chat model was told to write. */
static int prompt_and_block(const struct step *s, struct arena *a, const struct value *doc,
                            struct str answer, struct str *ret, struct error *err)
{
    return prompt_and_answer(s, a, doc, str_slice(answer, 0, str_find(answer, STR("```"), 0)), ret,
                             err);
}

/* MBPP: the first Markdown code block, whose opening line the prompt has given already. */
static int first_block(const struct step *s, struct arena *a, const struct value *doc,
                       struct str answer, struct str *ret, struct error *err)
{
    struct str text = str_cat(a, STR("```"), answer);
    struct regex_match m[2];
    (void)doc;
    int r = regex_search(s->regex, text, 0, false, m, 2, err);
    *ret = r > 0 ? str_slice(text, m[1].start, m[1].end) : STR("");
    return r < 0 ? r : 0;
}

static const struct custom {
    const char *name, *pattern;
    int (*make)(const struct step *s, struct arena *a, const struct value *doc, struct str answer,
                struct str *ret, struct error *err);
} customs[] = {
    {"build_predictions", NULL, prompt_and_answer},
    {"build_predictions_instruct", NULL, prompt_and_block},
    {"extract_code", "(?s)```(?:\\w+)?\\n?(.*?)\\n?```", first_block},
};
enum { N_CUSTOMS = sizeof customs / sizeof *customs };

static int open_custom(struct step *s, const struct value *kwargs, const struct place *at,
                       struct error *err)
{
    const char *name = function_name(dict_get(kwargs, "filter_fn"));
    for (int i = 0; name && i < N_CUSTOMS; i++)
        if (strcmp(name, customs[i].name) == 0)
            s->custom = &customs[i];
    if (!s->custom)
        return wrong(at, err,
                     "needs filter_fn: !function and a name; what it names is not built in, "
                     "assay.build_predictions, assay.build_predictions_instruct and "
                     "assay.extract_code are");
    if (!s->custom->pattern)
        return 0;
    return regex_compile(str_of(s->custom->pattern), 0, name, &s->regex, err);
}

static int apply_custom(const struct step *s, struct arena *a, const struct value *doc,
                        struct value *answers, struct value **ret, struct error *err)
{
    struct value *in = as_list(a, answers), *out = value_list(a);
    for (size_t i = 0; i < in->list.n; i++) {
        const struct value *v = in->list.items[i];
        struct str text = v->type == VALUE_STR ? v->s : value_tostr(a, v);
        int r = s->custom->make(s, a, doc, text, &text, err);
        if (r < 0)
            return error_prefix(err, "filter %s: ", s->custom->name);
        list_push(a, out, value_str(a, text));
    }
    *ret = out;
    return 0;
}

/* ---- pipelines ---- */

static const struct step_kind kinds[] = {
    {"custom", "filter_fn ", open_custom, apply_custom},
    {"lowercase", "", NULL, apply_lower},
    {"majority_vote", "", NULL, apply_vote},
    {"map", "mapping_dict default_value ", open_map, apply_map},
    {"regex", "regex_pattern group_select fallback ", open_regex, apply_regex},
    {"remove_whitespace", "", NULL, apply_strip},
    {"take_first", "", NULL, apply_first},
    {"take_first_k", "k ", open_first_k, apply_first_k},
    {"uppercase", "", NULL, apply_upper},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const struct step_kind *find_kind(const char *name)
{
    for (int i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static int unknown_step(const struct place *at, struct error *err)
{
    struct buf known = {0};
    for (int i = 0; i < N_KINDS; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", kinds[i].name);
    int r =
        error_set(err, E_INPUT, "%s:%d: task \"%s\": there is no filter \"%.100s\"; there are %s",
                  at->file, at->line, at->task, at->function, known.p);
    buf_free(&known);
    return r;
}

/* A misspelt argument would silently leave its default in place. */
static int check_arguments(const struct step_kind *k, const struct value *kwargs,
                           const struct place *at, struct error *err)
{
    for (size_t i = 0; kwargs && i < kwargs->dict.n; i++) {
        struct str key = kwargs->dict.entries[i].key->s;
        if (!lists(k->arguments, key))
            return error_set(err, E_INPUT,
                             "%s:%d: task \"%s\": filter %s has no argument \"%.*s\"; it takes %s",
                             at->file, at->line, at->task, k->name, STR_ARG(key),
                             *k->arguments ? k->arguments : "none");
    }
    return 0;
}

int pipeline_open(const struct task_pipeline *definition, const char *file, const char *task,
                  struct pipeline **ret, struct error *err)
{
    struct pipeline *p = mem_alloc(1, sizeof *p);
    p->steps = arena_array(&p->arena, (size_t)definition->n_steps, sizeof *p->steps);
    int r = 0;
    for (int i = 0; r == 0 && i < definition->n_steps; i++) {
        const struct task_filter_step *d = &definition->steps[i];
        const struct place at = {file, task, d->line, d->function};
        struct step *s = &p->steps[p->n++];
        s->kind = find_kind(d->function);
        if (!s->kind)
            r = unknown_step(&at, err);
        else if ((r = check_arguments(s->kind, d->kwargs, &at, err)) == 0 && s->kind->open)
            r = s->kind->open(s, d->kwargs, &at, err);
    }
    if (r == 0)
        *ret = p;
    else
        pipeline_free(p);
    return r;
}

void pipeline_free(struct pipeline *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n; i++)
        regex_free(p->steps[i].regex);
    arena_free(&p->arena);
    free(p);
}

int pipeline_apply(const struct pipeline *p, struct arena *a, const struct value *doc,
                   struct value *answers, struct value **ret, struct error *err)
{
    int r = 0;
    for (int i = 0; r == 0 && i < p->n; i++)
        r = p->steps[i].kind->apply(&p->steps[i], a, doc, answers, &answers, err);
    if (r == 0)
        *ret = answers;
    return r;
}
