#include "tasks/template.h"

#include <ctype.h>

#include "base/jinja.h"
#include "tasks/functions.h"

enum field_kind {
    FIELD_CONSTANT, /* an int or a list */
    FIELD_COLUMN,
    FIELD_TEMPLATE,
    FIELD_FUNCTION,
};

struct field {
    enum field_role role;
    enum field_kind kind;
    const char *key, *where;
    bool has_choices;
    const struct value *constant;
    const char *column;
    struct jinja *template;
    document_function *function;
};

const char *function_name(const struct value *v)
{
    static const char prefix[] = "assay.";
    if (!v || v->type != VALUE_STR || !v->tag || strcmp(v->tag, "!function") != 0)
        return NULL;
    return str_starts(v->s, STR("assay.")) ? v->s.p + sizeof prefix - 1 : "";
}

static int compile_function(struct arena *a, struct field *f, const struct value *v,
                            struct error *err)
{
    f->kind = FIELD_FUNCTION;
    f->function = function_find(f->key, function_name(v));
    if (f->function)
        return 0;
    const char *names = function_names(a, f->key);
    int r = error_set(
        err, E_UNSUPPORTED, "%s: %s: !function %.*s is Python code, which assay does not run; %s%s",
        f->where, f->key, STR_ARG(v->s),
        *names ? "the built-in functions here are " : "write it as a Jinja template", names);
    return error_cause(err, r, "Python only");
}

/* The values of a dict, as doc_to_choice takes them. */
static const struct value *dict_values(struct arena *a, const struct value *v)
{
    struct value *list = value_list(a);
    for (size_t i = 0; i < v->dict.n; i++)
        list_push(a, list, v->dict.entries[i].value);
    return list;
}

/* One word, as the names of columns are. */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_' && !isalnum((unsigned char)s.p[i]))
            return false;
    return s.n > 1 && !isdigit((unsigned char)s.p[0]);
}

/* lm-evaluation-harness would show the word itself to the model, or wait for it as an answer, and
 * score every document 0 without a word. */
static int no_such_column(const struct field *f, struct str name, const struct value *sample,
                          struct error *err)
{
    struct buf names = {0};
    for (size_t i = 0; i < sample->dict.n && i < 20; i++)
        buf_printf(&names, "%s%.*s", i ? ", " : "", STR_ARG(sample->dict.entries[i].key->s));
    int r = error_set(err, E_INPUT,
                      "%s: %s: the data has no field \"%.*s\"; it has: %s (if the word itself is "
                      "meant, write \"{{'%.*s'}}\")",
                      f->where, f->key, STR_ARG(name), names.n ? names.p : "none", STR_ARG(name));
    buf_free(&names);
    return r;
}

int field_compile(struct arena *a, enum field_role role, const char *key, const struct value *v,
                  const struct value *sample, bool has_choices, const char *where,
                  struct field **ret, struct error *err)
{
    *ret = NULL;
    if (!v || v->type == VALUE_NONE)
        return 0;
    struct field *f = arena_alloc(a, sizeof *f);
    *f = (struct field){.role = role, .key = key, .where = where, .has_choices = has_choices};
    int r = 0;
    if (function_name(v)) {
        r = compile_function(a, f, v, err);
    } else if (v->type == VALUE_STR &&
               (dict_gets(sample, v->s) || (!sample && role != FIELD_PLAIN && is_name(v->s)))) {
        f->kind = FIELD_COLUMN;
        f->column = arena_copy(a, v->s.p, v->s.n);
    } else if (v->type == VALUE_STR && role != FIELD_PLAIN && is_name(v->s)) {
        r = no_such_column(f, v->s, sample, err);
    } else if (v->type == VALUE_STR) {
        f->kind = FIELD_TEMPLATE;
        r = error_cause(err, jinja_compile(a, v->s, where, JINJA_TASK, &f->template, err),
                        "template");
    } else if (v->type == VALUE_INT && (role == FIELD_TEXT || role == FIELD_TARGET)) {
        f->constant = v;
    } else if (v->type == VALUE_LIST && (role == FIELD_TARGET || role == FIELD_CHOICE)) {
        f->constant = v;
    } else if (v->type == VALUE_DICT && role == FIELD_CHOICE) {
        f->constant = dict_values(a, v);
    } else {
        r = error_set(err, E_INPUT, "%s: %s cannot be of type %s", where, key, value_type_name(v));
    }
    if (r == 0)
        *ret = f;
    return r;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

/* What a template's text stands for in its role. */
static int interpret(const struct field *f, struct arena *a, struct str text,
                     const struct value **ret, struct error *err)
{
    struct value *literal;
    struct error ignored;
    bool digits = f->role != FIELD_PLAIN && f->has_choices && all_digits(text);
    bool list =
        f->role == FIELD_TARGET && text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
    if (f->role == FIELD_CHOICE || digits) {
        if (literal_eval(a, text, &literal, err) < 0)
            return error_prefix(err, "%s: the template of %s must give %s: ", f->where, f->key,
                                f->role == FIELD_CHOICE ? "a Python list" : "a whole number");
        *ret = literal;
    } else if (list && literal_eval(a, text, &literal, &ignored) == 0) {
        *ret = literal;
    } else {
        *ret = value_str(a, text);
    }
    return 0;
}

static int check_choices(const struct field *f, const struct value *v, struct error *err)
{
    if (v->type != VALUE_LIST)
        return error_set(err, E_INPUT, "%s: %s must give a list of choices, not a value of type %s",
                         f->where, f->key, value_type_name(v));
    if (v->list.n == 0)
        return error_set(err, E_INPUT, "%s: %s gives no choices", f->where, f->key);
    for (size_t i = 0; i < v->list.n; i++)
        if (v->list.items[i]->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s: choice %zu of %s is of type %s, not text", f->where,
                             i, f->key, value_type_name(v->list.items[i]));
    return 0;
}

int field_value(const struct field *f, struct arena *a, const struct value *doc,
                const struct value **ret, struct error *err)
{
    const struct value *v = f->constant;
    struct str text;
    int r = 0;
    switch (f->kind) {
    case FIELD_CONSTANT:
        break;
    case FIELD_COLUMN:
        v = dict_get(doc, f->column);
        if (!v || v->type == VALUE_NONE)
            r = error_set(err, E_INPUT, "%s: the document has no field \"%s\"", f->where,
                          f->column);
        break;
    case FIELD_TEMPLATE:
        r = jinja_render(f->template, a, doc, &text, err);
        if (r < 0)
            return error_prefix(err, "%s, ", f->key);
        r = interpret(f, a, text, &v, err);
        break;
    case FIELD_FUNCTION:
        r = f->function(a, doc, &v, err);
        break;
    }
    if (r == 0 && f->role == FIELD_CHOICE)
        r = check_choices(f, v, err);
    if (r == 0)
        *ret = v;
    return r;
}
