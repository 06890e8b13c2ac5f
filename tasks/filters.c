/* filters.c: pipelines and their steps, in a table; those that look for an answer in a text are in
 * extraction.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tasks/document.h"
#include "tasks/filter_steps.h"
#include "tasks/scoring.h"

struct pipeline {
    struct arena arena;
    struct step *steps;
    int n;
};

/* ---- for steps ---- */

int step_wrong(const struct place *at, struct error *err, const char *what)
{
    return error_set(err, E_INPUT, "%s:%d: task \"%s\": filter %s: %s", at->file, at->line,
                     at->task, at->function, what);
}

int step_int(const struct value *kwargs, const char *key, int64_t def, const struct place *at,
             int64_t *ret, struct error *err)
{
    const struct value *v = dict_get(kwargs, key);
    if (v && v->type != VALUE_INT)
        return step_wrong(at, err, "its number (group_select or k) must be a whole number");
    *ret = v ? v->i : def;
    return 0;
}

struct value *step_list(struct arena *a, struct value *v)
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

void step_looked(struct passage *p, size_t n_answers, size_t n_missed)
{
    *p->extraction = (struct extraction){.looked = true, .missed = n_missed == n_answers};
}

/* ---- text ---- */

static struct str strip(struct arena *a, struct str s)
{
    (void)a;
    return utf8_strip(s, STRIP_BOTH, NULL);
}

static int each_text(const struct step *s, struct passage *p, struct value *answers,
                     struct str (*f)(struct arena *, struct str), struct value **ret)
{
    struct value *in = step_list(p->a, answers), *out = value_list(p->a);
    for (size_t i = 0; i < in->list.n; i++) {
        const struct value *v = in->list.items[i];
        if (v->type != VALUE_STR)
            return error_set(p->err, E_INPUT,
                             "filter %s needs text, but the step before it gives %s", s->kind->name,
                             value_type_name(v));
        list_push(p->a, out, value_str(p->a, f(p->a, v->s)));
    }
    *ret = out;
    return 0;
}

static int apply_strip(const struct step *s, struct passage *p, struct value *answers,
                       struct value **ret)
{
    return each_text(s, p, answers, strip, ret);
}

static int apply_lower(const struct step *s, struct passage *p, struct value *answers,
                       struct value **ret)
{
    return each_text(s, p, answers, utf8_lower, ret);
}

static int apply_upper(const struct step *s, struct passage *p, struct value *answers,
                       struct value **ret)
{
    return each_text(s, p, answers, utf8_upper, ret);
}

static int open_map(struct step *s, struct arena *a, const struct value *kwargs,
                    const struct place *at, struct error *err)
{
    (void)a;
    static struct value none = {.type = VALUE_NONE};
    s->mapping = dict_get(kwargs, "mapping_dict");
    s->fallback = dict_get(kwargs, "default_value");
    if (!s->fallback)
        s->fallback = &none;
    if (s->mapping && s->mapping->type != VALUE_DICT)
        return step_wrong(at, err, "mapping_dict must be a dictionary");
    return 0;
}

static int apply_map(const struct step *s, struct passage *p, struct value *answers,
                     struct value **ret)
{
    struct value *in = step_list(p->a, answers), *out = value_list(p->a);
    size_t missed = 0;
    for (size_t i = 0; i < in->list.n; i++) {
        struct value *to = dict_find(s->mapping, in->list.items[i]);
        missed += !to;
        list_push(p->a, out, to ? to : s->fallback);
    }
    step_looked(p, in->list.n, missed);
    *ret = out;
    return 0;
}

/* ---- choosing ---- */

static int need_one(const struct step *s, struct passage *p, const struct value *list)
{
    if (list->list.n > 0)
        return 0;
    return error_set(p->err, E_INPUT, "filter %s: there is no answer to take", s->kind->name);
}

static int apply_first(const struct step *s, struct passage *p, struct value *answers,
                       struct value **ret)
{
    struct value *in = step_list(p->a, answers);
    int r = need_one(s, p, in);
    if (r == 0)
        *ret = in->list.items[0];
    return r;
}

static int open_first_k(struct step *s, struct arena *a, const struct value *kwargs,
                        const struct place *at, struct error *err)
{
    (void)a;
    int r = step_int(kwargs, "k", -1, at, &s->number, err);
    return r == 0 && s->number < 1 ? step_wrong(at, err, "needs k, a whole number above 0") : r;
}

static int apply_first_k(const struct step *s, struct passage *p, struct value *answers,
                         struct value **ret)
{
    struct value *in = step_list(p->a, answers), *out = value_list(p->a);
    if ((int64_t)in->list.n < s->number)
        return error_set(p->err, E_INPUT,
                         "filter take_first_k: k is %lld, but a document has %zu answers; raise "
                         "the task's `repeats`",
                         (long long)s->number, in->list.n);
    for (int64_t i = 0; i < s->number; i++)
        list_push(p->a, out, in->list.items[i]);
    *ret = out;
    return 0;
}

/* A list of the commonest answer alone; of equally common ones the first seen. */
static int apply_vote(const struct step *s, struct passage *p, struct value *answers,
                      struct value **ret)
{
    struct value *in = step_list(p->a, answers), *best = NULL;
    int r = need_one(s, p, in);
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
    *ret = value_list(p->a);
    list_push(p->a, *ret, best);
    return 0;
}

/* ---- custom ---- */

/* HumanEval: the program is the prompt and the answer. */
static int prompt_and_answer(const struct step *s, struct passage *p, struct str answer,
                             struct str *ret)
{
    struct str prompt;
    (void)s;
    int r = document_str(p->doc, "prompt", &prompt, p->err);
    if (r == 0)
        *ret = str_cat(p->a, prompt, answer);
    return r;
}

/* The same, up to the end of the Markdown code block that a chat model was told to write. */
static int prompt_and_block(const struct step *s, struct passage *p, struct str answer,
                            struct str *ret)
{
    return prompt_and_answer(s, p, str_slice(answer, 0, str_find(answer, STR("```"), 0)), ret);
}

/* MBPP: the first Markdown code block, whose opening line the prompt has given already. */
static int first_block(const struct step *s, struct passage *p, struct str answer, struct str *ret)
{
    struct str text = str_cat(p->a, STR("```"), answer);
    struct regex_match m[2];
    int r = regex_search(s->regex, text, 0, false, m, 2, p->err);
    *ret = r > 0 ? str_slice(text, m[1].start, m[1].end) : STR("");
    return r;
}

/* `make` gives 1 where it found what it looks for (`pattern`). */
static const struct custom {
    const char *name, *pattern;
    int (*make)(const struct step *s, struct passage *p, struct str answer, struct str *ret);
} customs[] = {
    {"build_predictions", NULL, prompt_and_answer},
    {"build_predictions_instruct", NULL, prompt_and_block},
    {"extract_code", "(?s)```(?:\\w+)?\\n?(.*?)\\n?```", first_block},
};
enum { N_CUSTOMS = sizeof customs / sizeof *customs };

static int open_custom(struct step *s, struct arena *a, const struct value *kwargs,
                       const struct place *at, struct error *err)
{
    const struct value *given = dict_get(kwargs, "filter_fn");
    const char *name = function_name(given);
    for (int i = 0; name && i < N_CUSTOMS; i++)
        if (strcmp(name, customs[i].name) == 0)
            s->custom = &customs[i];
    if (!s->custom)
        return step_wrong(
            at, err,
            arena_printf(a,
                         "needs filter_fn: !function and a name; \"%.*s\" is not built in, "
                         "assay.build_predictions, assay.build_predictions_instruct and "
                         "assay.extract_code are",
                         STR_ARG(given ? value_tostr(a, given) : STR("nothing"))));
    if (!s->custom->pattern)
        return 0;
    return regex_compile(str_of(s->custom->pattern), 0, name, &s->regex, err);
}

static int apply_custom(const struct step *s, struct passage *p, struct value *answers,
                        struct value **ret)
{
    struct value *in = step_list(p->a, answers), *out = value_list(p->a);
    size_t missed = 0;
    for (size_t i = 0; i < in->list.n; i++) {
        const struct value *v = in->list.items[i];
        struct str text = v->type == VALUE_STR ? v->s : value_tostr(p->a, v);
        int r = s->custom->make(s, p, text, &text);
        if (r < 0)
            return error_prefix(p->err, "filter %s: ", s->custom->name);
        missed += r == 0;
        list_push(p->a, out, value_str(p->a, text));
    }
    if (s->custom->pattern)
        step_looked(p, in->list.n, missed);
    *ret = out;
    return 0;
}

/* ---- pipelines ---- */

static const struct step_kind kinds[] = {
    {"custom", "filter_fn ", open_custom, apply_custom},
    {"format_span", "", span_open, span_apply},
    {"lowercase", "", NULL, apply_lower},
    {"majority_vote", "", NULL, apply_vote},
    {"map", "mapping_dict default_value ", open_map, apply_map},
    {"multi_choice_regex",
     "regex_pattern group_select fallback ignore_case ignore_punctuation regexes_to_ignore ",
     choice_open, choice_apply},
    {"regex", "regex_pattern group_select fallback ", regex_open, regex_apply},
    {"regex_pos", "regex_pattern group_select fallback ", pos_open, pos_apply},
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
            r = s->kind->open(s, &p->arena, d->kwargs, &at, err);
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
    for (int i = 0; i < p->n; i++) {
        regex_free(p->steps[i].regex);
        for (int k = 0; k < p->steps[i].n_ignored; k++)
            regex_free(p->steps[i].ignored[k]);
    }
    arena_free(&p->arena);
    free(p);
}

int pipeline_apply(const struct pipeline *p, struct arena *a, const struct value *doc,
                   struct value *answers, struct value **ret, struct extraction *found,
                   struct error *err)
{
    struct passage way = {a, doc, found, err};
    int r = 0;
    *found = (struct extraction){0};
    for (int i = 0; r == 0 && i < p->n; i++)
        r = p->steps[i].kind->apply(&p->steps[i], &way, answers, &answers);
    if (r == 0)
        *ret = answers;
    return r;
}
