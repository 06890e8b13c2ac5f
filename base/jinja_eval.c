/* jinja_eval.c: the values of expressions, and calls: arguments, macros, filters, recursive loops.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/jinja_internal.h"

enum {
    MAX_EVAL_DEPTH = 1200,
    STEP_BYTES = 64,
    MAX_WORK = 128 << 20, /* bytes; some 2 million steps */
};

struct value *render_fail(struct render *r, const char *kind, const char *format, ...)
{
    if (r->fail_kind)
        return NULL;
    va_list args;
    va_start(args, format);
    r->fail_text = str_of(arena_vprintf(r->a, format, args));
    va_end(args);
    r->fail_kind = kind;
    return NULL;
}

bool render_charge(struct render *r, uint64_t bytes)
{
    if (bytes > MAX_WORK || r->work + bytes > MAX_WORK) {
        render_fail(r, "MemoryError",
                    "the template makes more than %d MiB of text and values; does a loop or a "
                    "repetition go too far?",
                    MAX_WORK >> 20);
        return false;
    }
    r->work += bytes;
    return true;
}

bool render_step(struct render *r, uint64_t n)
{
    return render_charge(r, n > MAX_WORK ? n : n * STEP_BYTES);
}

/* -- scopes -- */

struct scope *jinja_push_scope(struct render *r, struct scope *parent)
{
    struct scope *s = arena_alloc(r->a, sizeof *s);
    s->parent = parent;
    r->scope = s;
    return s;
}

void jinja_bind(struct render *r, struct scope *s, int symbol, struct value *v)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->vars[i].symbol == symbol) {
            s->vars[i].value = v;
            return;
        }
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 4;
        struct var *vars = arena_array(r->a, s->cap, sizeof *vars);
        if (s->n)
            memcpy(vars, s->vars, s->n * sizeof *vars);
        s->vars = vars;
    }
    s->vars[s->n++] = (struct var){symbol, v};
}

static struct value *lookup(const struct render *r, int symbol)
{
    for (const struct scope *s = r->scope; s; s = s->parent)
        for (size_t i = 0; i < s->n; i++)
            if (s->vars[i].symbol == symbol)
                return s->vars[i].value;
    return NULL;
}

/* -- calls -- */

static void push_arg(struct render *r, struct call *c, size_t *cap, struct value *v)
{
    if (c->n == *cap) {
        *cap = *cap ? 2 * *cap : 4;
        struct value **args = arena_array(r->a, *cap, sizeof(struct value *));
        if (c->n)
            memcpy(args, c->args, c->n * sizeof(struct value *));
        c->args = args;
    }
    c->args[c->n++] = v;
}

static bool eval_star(struct render *r, const struct node *star, struct call *c, size_t *cap)
{
    struct value *v = jinja_eval(r, star);
    struct value *list = v ? jinja_list_of(r, v) : NULL;
    if (!list || !render_step(r, list->list.n))
        return false;
    for (size_t i = 0; i < list->list.n; i++)
        push_arg(r, c, cap, list->list.items[i]);
    return true;
}

static bool eval_double_star(struct render *r, const struct node *n, struct call *c)
{
    struct value *v = jinja_eval(r, n);
    if (!v)
        return false;
    if (v->type != VALUE_DICT) {
        render_fail(r, "TypeError", "argument after ** must be a mapping, not %s",
                    value_type_name(v));
        return false;
    }
    if (!render_step(r, v->dict.n))
        return false;
    struct call_keyword *all = arena_array(r->a, c->n_keywords + v->dict.n, sizeof *all);
    if (c->n_keywords)
        memcpy(all, c->keywords, c->n_keywords * sizeof *all);
    c->keywords = all;
    for (size_t i = 0; i < v->dict.n; i++) {
        if (v->dict.entries[i].key->type != VALUE_STR) {
            render_fail(r, "TypeError", "keywords must be strings");
            return false;
        }
        all[c->n_keywords++] =
            (struct call_keyword){v->dict.entries[i].key->s, v->dict.entries[i].value};
    }
    return true;
}

bool jinja_eval_args(struct render *r, const struct call_args *args, struct call *c)
{
    *c = (struct call){0};
    if (!args)
        return true;
    size_t cap = 0;
    for (size_t i = 0; i < args->positional.n; i++) {
        struct value *v = jinja_eval(r, args->positional.items[i]);
        if (!v)
            return false;
        push_arg(r, c, &cap, v);
    }
    if (args->star && !eval_star(r, args->star, c, &cap))
        return false;
    if (args->n_keywords)
        c->keywords = arena_array(r->a, args->n_keywords, sizeof *c->keywords);
    for (size_t i = 0; i < args->n_keywords; i++) {
        struct value *v = jinja_eval(r, args->keywords[i].value);
        if (!v)
            return false;
        c->keywords[c->n_keywords++] = (struct call_keyword){args->keywords[i].name, v};
    }
    return !args->double_star || eval_double_star(r, args->double_star, c);
}

/* The number of the parameter `name` in "width first blank", or -1. */
static int param_index(const char *params, struct str name, int *n_params)
{
    int found = -1, n = 0;
    for (const char *p = params; *p; n++) {
        size_t len = strcspn(p, " ");
        if (found < 0 && len == name.n && memcmp(p, name.p, len) == 0)
            found = n;
        p += len + (p[len] == ' ');
    }
    *n_params = n;
    return found;
}

struct value *jinja_run(struct render *r, const struct builtin *b, struct value *self,
                        const struct call *c)
{
    /* Most walk over their text once. */
    if (self && self->type == VALUE_STR && !render_charge(r, self->s.n / SCAN_BYTES))
        return NULL;
    if (strcmp(b->params, "*") == 0)
        return b->call(r, self, c);
    struct value *slots[MAX_PARAMS] = {0};
    int n;
    param_index(b->params, STR(""), &n);
    if (c->n > (size_t)n)
        return render_fail(r, "TypeError", "%s() takes at most %d argument%s (%zu given)", b->name,
                           n, n == 1 ? "" : "s", c->n);
    for (size_t i = 0; i < c->n; i++)
        slots[i] = c->args[i];
    for (size_t i = 0; i < c->n_keywords; i++) {
        struct str name = c->keywords[i].name;
        int at = param_index(b->params, name, &n);
        if (at < 0)
            return render_fail(r, "TypeError", "%s() got an unexpected keyword argument '%.*s'",
                               b->name, STR_ARG(name));
        if (slots[at])
            return render_fail(r, "TypeError", "%s() got multiple values for argument '%.*s'",
                               b->name, STR_ARG(name));
        slots[at] = c->keywords[i].value;
    }
    for (int i = 0; i < b->required; i++)
        if (!slots[i])
            return render_fail(r, "TypeError", "%s() is missing a required argument (of: %s)",
                               b->name, b->params);
    struct call bound = {.args = slots, .n = (size_t)n};
    return b->call(r, self, &bound);
}

/* Runs `body` with its own buffer; the text, or NULL with *flow telling why. */
struct value *jinja_capture(struct render *r, const struct node_list *body, enum flow *flow)
{
    struct buf b = {0}, *outer = r->out;
    r->out = &b;
    *flow = jinja_run_body(r, body);
    r->out = outer;
    if (*flow == FLOW_NEXT)
        return jinja_text_value(r, &b);
    buf_free(&b);
    return NULL;
}

/* Takes the keyword `name` out of `c`, if it is there. */
static struct value *take_keyword(struct call *c, struct str name)
{
    for (size_t i = 0; i < c->n_keywords; i++)
        if (str_eq(c->keywords[i].name, name)) {
            struct value *v = c->keywords[i].value;
            c->keywords[i] = c->keywords[--c->n_keywords];
            return v;
        }
    return NULL;
}

static bool bind_params(struct render *r, const struct node *m, struct call *c, struct scope *s)
{
    for (size_t i = 0; i < m->n_params; i++) {
        const struct param *p = &m->params[i];
        struct value *v = i < c->n ? c->args[i] : take_keyword(c, p->name);
        if (!v && p->fallback && !(v = jinja_eval(r, p->fallback)))
            return false;
        if (!v)
            v = jinja_undefined(r, NULL, "parameter '%.*s' was not provided", STR_ARG(p->name));
        jinja_bind(r, s, p->symbol, v);
    }
    return true;
}

/* varargs, kwargs and caller, for macros that use them; an error for what is left over. */
static bool bind_rest(struct render *r, const struct node *m, struct call *c, struct scope *s)
{
    int name_n = m->name.n ? (int)m->name.n : 4;
    const char *name = m->name.n ? m->name.p : "None";
    bool own_caller = false; /* a parameter of that name, with a default */
    for (size_t i = 0; i < m->n_params; i++)
        own_caller |= m->params[i].symbol == r->t->symbol_caller;
    if (m->uses & USES_CALLER && !own_caller) {
        struct value *caller = take_keyword(c, STR("caller"));
        jinja_bind(r, s, r->t->symbol_caller,
                   caller ? caller : jinja_undefined(r, NULL, "No caller defined"));
    }
    if (m->uses & USES_KWARGS) {
        struct value *kwargs = value_dict(r->a);
        for (size_t i = 0; i < c->n_keywords; i++)
            dict_put(r->a, kwargs, value_str(r->a, c->keywords[i].name), c->keywords[i].value);
        jinja_bind(r, s, r->t->symbol_kwargs, kwargs);
    } else if (c->n_keywords) {
        if (take_keyword(c, STR("caller")))
            render_fail(r, "TypeError",
                        "macro '%.*s' was invoked with two values for the special caller "
                        "argument. This is most likely a bug.",
                        name_n, name);
        else
            render_fail(r, "TypeError", "macro '%.*s' takes no keyword argument '%.*s'", name_n,
                        name, STR_ARG(c->keywords[0].name));
        return false;
    }
    if (m->uses & USES_VARARGS) {
        struct value *varargs = value_list(r->a);
        varargs->tuple = true;
        for (size_t i = m->n_params; i < c->n; i++)
            list_push(r->a, varargs, c->args[i]);
        jinja_bind(r, s, r->t->symbol_varargs, varargs);
    } else if (c->n > m->n_params) {
        render_fail(r, "TypeError", "macro '%.*s' takes not more than %zu argument(s)", name_n,
                    name, m->n_params);
        return false;
    }
    return true;
}

static struct value *call_macro(struct render *r, const struct object *o, const struct call *given)
{
    struct call c = *given;
    c.keywords = arena_array(r->a, c.n_keywords, sizeof *c.keywords);
    for (size_t i = 0; i < c.n_keywords; i++)
        c.keywords[i] = given->keywords[i];
    struct scope *outer = r->scope, *s = jinja_push_scope(r, o->scope);
    enum flow flow = FLOW_FAIL;
    struct value *text = NULL;
    /* Jinja hands a call block's caller over only to macros that ask for it. */
    if (bind_params(r, o->node, &c, s) && bind_rest(r, o->node, &c, s))
        text = jinja_capture(r, &o->node->body, &flow);
    r->scope = outer;
    return text;
}

static struct value *call_loop(struct render *r, const struct object *o, const struct call *c)
{
    if (!o->node->recursive)
        return render_fail(r, "TypeError",
                           "The loop must have the 'recursive' marker to be called recursively.");
    if (c->n != 1)
        return render_fail(r, "TypeError", "loop() takes exactly one argument (%zu given)", c->n);
    struct scope *outer = r->scope;
    struct buf b = {0}, *out = r->out;
    r->scope = o->scope;
    r->out = &b;
    enum flow flow = jinja_run_loop(r, o->node, c->args[0], o->depth0 + 1);
    r->out = out;
    r->scope = outer;
    if (flow == FLOW_NEXT)
        return jinja_text_value(r, &b);
    buf_free(&b);
    return NULL;
}

struct value *jinja_call_value(struct render *r, struct value *callee, const struct call *c)
{
    if (!jinja_defined(r, callee))
        return NULL;
    if (callee->type != VALUE_OTHER)
        return render_fail(r, "TypeError", "'%s' object is not callable", value_type_name(callee));
    struct object *o = callee->other;
    switch (o->type) {
    case OBJECT_FUNCTION: /* a text's methods make another of its size */
        if (o->self && o->self->type == VALUE_STR && !render_charge(r, o->self->s.n))
            return NULL;
        return jinja_run(r, o->builtin, o->self, c);
    case OBJECT_MACRO:
        return call_macro(r, o, c);
    case OBJECT_LOOP:
        return call_loop(r, o, c);
    case OBJECT_JOINER:
        return o->position++ ? o->self : value_str(r->a, STR(""));
    default:
        return render_fail(r, "TypeError", "'%.*s' is not callable",
                           STR_ARG(jinja_type_words(callee)));
    }
}

/* -- expressions -- */

static struct value *eval_const(struct render *r, const struct node *n)
{
    (void)r;
    return n->value;
}

static struct value *eval_name(struct render *r, const struct node *n)
{
    struct value *v = lookup(r, n->symbol);
    if (!v)
        v = dict_gets(r->context, n->name);
    if (v)
        return v;
    if (!n->builtin)
        return jinja_undefined(r, NULL, "'%.*s' is undefined", STR_ARG(n->name));
    struct object *o = arena_alloc(r->a, sizeof *o);
    o->type = OBJECT_FUNCTION;
    o->builtin = n->builtin;
    return jinja_object(r, o);
}

static struct value *eval_attr(struct render *r, const struct node *n)
{
    struct value *v = jinja_eval(r, n->a);
    return v ? jinja_attr(r, v, n->name) : NULL;
}

static struct value *eval_slice(struct render *r, struct value *v, const struct node *slice)
{
    struct value *parts[3] = {0};
    const struct node *nodes[3] = {slice->a, slice->b, slice->c};
    for (int i = 0; i < 3; i++)
        if (nodes[i] && !(parts[i] = jinja_eval(r, nodes[i])))
            return NULL;
    return jinja_slice(r, v, parts[0], parts[1], parts[2]);
}

static struct value *eval_item(struct render *r, const struct node *n)
{
    struct value *v = jinja_eval(r, n->a);
    if (!v)
        return NULL;
    if (n->b->type == EXPR_SLICE)
        return eval_slice(r, v, n->b);
    struct value *key = jinja_eval(r, n->b);
    return key ? jinja_item(r, v, key) : NULL;
}

static struct value *eval_call(struct render *r, const struct node *n)
{
    struct value *callee = jinja_eval(r, n->a);
    struct call c;
    if (!callee || !jinja_defined(r, callee) || !jinja_eval_args(r, n->args, &c))
        return NULL;
    return jinja_call_value(r, callee, &c);
}

static struct value *unknown(struct render *r, const struct node *n)
{
    return render_fail(r, "TemplateRuntimeError", "No %s named '%.*s' found.",
                       n->type == EXPR_FILTER ? "filter" : "test", STR_ARG(n->name));
}

struct value *jinja_apply_filter(struct render *r, const struct node *n, struct value *v)
{
    struct call c;
    if (!n->builtin)
        return unknown(r, n);
    return v && jinja_eval_args(r, n->args, &c) ? jinja_run(r, n->builtin, v, &c) : NULL;
}

/* A filter, or a test; both are names called with a value and arguments. */
static struct value *eval_filter(struct render *r, const struct node *n)
{
    if (!n->builtin)
        return unknown(r, n);
    return jinja_apply_filter(r, n, jinja_eval(r, n->a));
}

bool jinja_eval_truthy(struct render *r, const struct node *n, bool *ret)
{
    struct value *v = jinja_eval(r, n);
    return v && jinja_truthy(r, v, ret);
}

static struct value *eval_not(struct render *r, const struct node *n)
{
    bool yes;
    return jinja_eval_truthy(r, n->a, &yes) ? value_bool(r->a, !yes) : NULL;
}

static struct value *eval_sign(struct render *r, const struct node *n)
{
    struct value *v = jinja_eval(r, n->a);
    if (!v || !jinja_defined(r, v))
        return NULL;
    if (!jinja_is_number(v))
        return render_fail(r, "TypeError", "bad operand type for unary %s: '%s'",
                           n->type == EXPR_NEG ? "-" : "+", value_type_name(v));
    if (v->type == VALUE_FLOAT)
        return n->type == EXPR_NEG ? value_float(r->a, -v->f) : v;
    struct value zero = {.type = VALUE_INT};
    return jinja_binary(r, n->type == EXPR_NEG ? TOKEN_SUB : TOKEN_ADD, &zero, v);
}

static struct value *eval_binary(struct render *r, const struct node *n)
{
    struct value *x = jinja_eval(r, n->a);
    struct value *y = x ? jinja_eval(r, n->b) : NULL;
    return y ? jinja_binary(r, n->op, x, y) : NULL;
}

static struct value *eval_and_or(struct render *r, const struct node *n)
{
    struct value *v = jinja_eval(r, n->a);
    bool yes;
    if (!v || !jinja_truthy(r, v, &yes))
        return NULL;
    return yes == (n->type == EXPR_OR) ? v : jinja_eval(r, n->b);
}

static bool compare_two(struct render *r, int op, const struct value *x, const struct value *y,
                        bool *ret)
{
    if (op == TOKEN_EQ || op == TOKEN_NE) {
        if (!jinja_equal(r, x, y, ret))
            return false;
        *ret = *ret == (op == TOKEN_EQ);
        return true;
    }
    if (op == COMPARE_IN || op == COMPARE_NOT_IN) {
        if (!jinja_contains(r, x, y, ret))
            return false;
        *ret = *ret == (op == COMPARE_IN);
        return true;
    }
    int c;
    if (!jinja_order(r, jinja_token_name((enum token_type)op), x, y, &c))
        return false;
    *ret = c != 2 && (op == TOKEN_LT   ? c < 0
                      : op == TOKEN_LE ? c <= 0
                      : op == TOKEN_GT ? c > 0
                                       : c >= 0);
    return true;
}

static struct value *eval_compare(struct render *r, const struct node *n)
{
    struct value *x = jinja_eval(r, n->a);
    bool yes = true;
    for (size_t i = 0; x && yes && i < n->items.n; i++) {
        const struct node *operand = n->items.items[i];
        struct value *y = jinja_eval(r, operand->a);
        if (!y || !compare_two(r, operand->op, x, y, &yes))
            return NULL;
        x = y;
    }
    return x ? value_bool(r->a, yes) : NULL;
}

bool jinja_join_texts(struct render *r, const struct node *n, struct buf *b)
{
    for (size_t i = 0; i < n->items.n; i++) {
        struct value *v = jinja_eval(r, n->items.items[i]);
        struct str s;
        if (!v || !jinja_text(r, v, &s) || !render_charge(r, s.n))
            return false;
        buf_str(b, s);
    }
    return true;
}

static struct value *eval_concat(struct render *r, const struct node *n)
{
    struct buf b = {0};
    if (jinja_join_texts(r, n, &b))
        return jinja_text_value(r, &b);
    buf_free(&b);
    return NULL;
}

static struct value *eval_cond(struct render *r, const struct node *n)
{
    bool yes;
    if (!jinja_eval_truthy(r, n->a, &yes))
        return NULL;
    if (yes)
        return jinja_eval(r, n->b);
    if (n->c)
        return jinja_eval(r, n->c);
    /* Jinja makes this a plain Undefined, which prints as nothing, in strict mode too. */
    return r->t->mode == JINJA_TASK ? value_str(r->a, STR("")) : value_undefined(r->a);
}

static struct value *eval_list(struct render *r, const struct node *n)
{
    struct value *list = value_list(r->a);
    list->tuple = n->type == EXPR_TUPLE;
    for (size_t i = 0; i < n->items.n; i++) {
        struct value *v = jinja_eval(r, n->items.items[i]);
        if (!v)
            return NULL;
        list_push(r->a, list, v);
    }
    return list;
}

static struct value *eval_dict(struct render *r, const struct node *n)
{
    struct value *dict = value_dict(r->a);
    for (size_t i = 0; i < n->items.n; i++) {
        struct value *key = jinja_eval(r, n->items.items[i]);
        struct value *v = key ? jinja_eval(r, n->values.items[i]) : NULL;
        if (!v || !jinja_defined(r, key))
            return NULL;
        if (key->type > VALUE_STR)
            return render_fail(r, "TypeError", "unhashable type: '%s'", value_type_name(key));
        dict_put(r->a, dict, key, v);
    }
    return dict;
}

typedef struct value *eval_fn(struct render *r, const struct node *n);

static eval_fn *const evaluators[] = {
    [EXPR_CONST] = eval_const, [EXPR_NAME] = eval_name,       [EXPR_ATTR] = eval_attr,
    [EXPR_ITEM] = eval_item,   [EXPR_CALL] = eval_call,       [EXPR_FILTER] = eval_filter,
    [EXPR_TEST] = eval_filter, [EXPR_NOT] = eval_not,         [EXPR_NEG] = eval_sign,
    [EXPR_POS] = eval_sign,    [EXPR_BINARY] = eval_binary,   [EXPR_AND] = eval_and_or,
    [EXPR_OR] = eval_and_or,   [EXPR_COMPARE] = eval_compare, [EXPR_CONCAT] = eval_concat,
    [EXPR_COND] = eval_cond,   [EXPR_LIST] = eval_list,       [EXPR_TUPLE] = eval_list,
    [EXPR_DICT] = eval_dict,
};

/* Every nested evaluation and statement passes here: the one place where depth is bounded. */
bool jinja_enter(struct render *r)
{
    if (++r->depth <= MAX_EVAL_DEPTH)
        return render_step(r, 1);
    render_fail(r, "RecursionError",
                "maximum recursion depth exceeded; does a macro call itself without end?");
    return false;
}

struct value *jinja_eval(struct render *r, const struct node *n)
{
    struct value *v = jinja_enter(r) ? evaluators[n->type](r, n) : NULL;
    r->depth--;
    if (!v && !r->fail_line)
        r->fail_line = n->line;
    return v;
}
