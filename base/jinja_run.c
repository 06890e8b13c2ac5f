/* jinja_run.c: runs statements, which write text, and renders a template.
 *
 * Scopes. A for body (anew in each iteration), a macro's body, and the bodies of with, set, filter
 * and call have their own; an if has none. What is set inside stays inside; reading looks outward,
 * then into the context, then among the global functions. A macro remembers the scope where it
 * was defined. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jinja_internal.h"

static bool assign(struct render *r, struct scope *s, const struct node *target, struct value *v)
{
    if (target->type == EXPR_NAME) {
        jinja_bind(r, s, target->symbol, v);
        return true;
    }
    if (target->type == EXPR_NSREF) {
        struct value *of = jinja_eval(r, target->a);
        struct object *ns = jinja_as_object(of, OBJECT_NAMESPACE);
        if (of && !ns)
            render_fail(r, "TemplateRuntimeError",
                        "cannot assign attribute on non-namespace object");
        if (!ns)
            return false;
        return jinja_namespace_set(r, ns, target->name, v);
    }
    bool iterable = v->type == VALUE_UNDEFINED || (v->type >= VALUE_STR && v->type <= VALUE_DICT);
    if (!iterable)
        render_fail(r, "TypeError", "cannot unpack non-iterable %s object", value_type_name(v));
    struct value *list = iterable ? jinja_list_of(r, v) : NULL;
    if (!list)
        return false;
    size_t want = target->items.n, got = list->list.n;
    if (got < want)
        render_fail(r, "ValueError", "not enough values to unpack (expected %zu, got %zu)", want,
                    got);
    else if (got > want)
        render_fail(r, "ValueError", "too many values to unpack (expected %zu)", want);
    if (got != want)
        return false;
    for (size_t i = 0; i < want; i++)
        if (!assign(r, s, target->items.items[i], list->list.items[i]))
            return false;
    return true;
}

static enum flow run_data(struct render *r, const struct node *n)
{
    if (!render_charge(r, n->name.n))
        return FLOW_FAIL;
    buf_str(r->out, n->name);
    return FLOW_NEXT;
}

static enum flow run_print(struct render *r, const struct node *n)
{
    return jinja_join_texts(r, n, r->out) ? FLOW_NEXT : FLOW_FAIL;
}

static enum flow run_if(struct render *r, const struct node *n)
{
    for (;;) {
        bool yes;
        if (!jinja_eval_truthy(r, n->a, &yes))
            return FLOW_FAIL;
        if (yes)
            return jinja_run_body(r, &n->body);
        if (n->orelse.n != 1 || n->orelse.items[0]->type != STMT_IF)
            return jinja_run_body(r, &n->orelse);
        n = n->orelse.items[0]; /* elif */
    }
}

/* The items that pass the loop's own "if". */
static struct value *filter_items(struct render *r, const struct node *n, struct value *all)
{
    struct value *kept = value_list(r->a);
    struct scope *outer = r->scope;
    for (size_t i = 0; i < all->list.n; i++) {
        bool yes;
        struct scope *s = jinja_push_scope(r, outer);
        bool ok = assign(r, s, n->a, all->list.items[i]) && jinja_eval_truthy(r, n->c, &yes);
        r->scope = outer;
        if (!ok)
            return NULL;
        if (yes)
            list_push(r->a, kept, all->list.items[i]);
    }
    return kept;
}

enum flow jinja_run_loop(struct render *r, const struct node *n, struct value *over, int depth0)
{
    struct value *all = jinja_list_of(r, over);
    if (all && n->c)
        all = filter_items(r, n, all);
    if (!all)
        return FLOW_FAIL;
    struct object *loop = arena_alloc(r->a, sizeof *loop);
    *loop = (struct object){.type = OBJECT_LOOP,
                            .node = n,
                            .scope = r->scope,
                            .items = all->list.items,
                            .n_items = all->list.n,
                            .depth0 = depth0};
    struct value *loop_value = jinja_object(r, loop);
    struct scope *outer = r->scope;
    bool finished_one = false; /* as in Jinja, an iteration cut short does not count for "else" */
    enum flow flow = FLOW_NEXT;
    for (size_t i = 0; i < loop->n_items && flow != FLOW_BREAK && flow != FLOW_FAIL; i++) {
        struct scope *s = jinja_push_scope(r, outer);
        loop->position = i;
        jinja_bind(r, s, r->t->symbol_loop, loop_value);
        flow = render_step(r, 1) && assign(r, s, n->a, loop->items[i]) ? jinja_run_body(r, &n->body)
                                                                       : FLOW_FAIL;
        finished_one |= flow == FLOW_NEXT;
    }
    r->scope = outer;
    if (flow == FLOW_FAIL)
        return flow;
    if (finished_one || !n->orelse.n)
        return FLOW_NEXT;
    jinja_push_scope(r, outer);
    flow = jinja_run_body(r, &n->orelse);
    r->scope = outer;
    return flow;
}

static enum flow run_for(struct render *r, const struct node *n)
{
    struct value *over = jinja_eval(r, n->b);
    return over ? jinja_run_loop(r, n, over, 0) : FLOW_FAIL;
}

static enum flow run_set(struct render *r, const struct node *n)
{
    struct value *v = jinja_eval(r, n->b);
    return v && assign(r, r->scope, n->a, v) ? FLOW_NEXT : FLOW_FAIL;
}

/* The chain of filters that a filter block or a set block names, innermost first. */
static struct value *apply_chain(struct render *r, const struct node *n, struct value *v)
{
    if (!n || !v)
        return v;
    return jinja_apply_filter(r, n, apply_chain(r, n->a, v));
}

static struct value *scoped_capture(struct render *r, const struct node *n, enum flow *flow)
{
    struct scope *outer = r->scope;
    jinja_push_scope(r, outer);
    struct value *v = jinja_capture(r, &n->body, flow);
    r->scope = outer;
    return v;
}

static enum flow run_set_block(struct render *r, const struct node *n)
{
    enum flow flow;
    struct value *v = scoped_capture(r, n, &flow);
    if (!v)
        return flow;
    v = apply_chain(r, n->b, v);
    return v && assign(r, r->scope, n->a, v) ? FLOW_NEXT : FLOW_FAIL;
}

static enum flow write_value(struct render *r, struct value *v)
{
    struct str s;
    if (!v || !jinja_text(r, v, &s) || !render_charge(r, s.n))
        return FLOW_FAIL;
    buf_str(r->out, s);
    return FLOW_NEXT;
}

static enum flow run_filter_block(struct render *r, const struct node *n)
{
    enum flow flow;
    struct value *v = scoped_capture(r, n, &flow);
    return v ? write_value(r, apply_chain(r, n->a, v)) : flow;
}

static struct value *macro_value(struct render *r, const struct node *n)
{
    struct object *o = arena_alloc(r->a, sizeof *o);
    *o = (struct object){.type = OBJECT_MACRO, .node = n, .scope = r->scope};
    return jinja_object(r, o);
}

static enum flow run_macro(struct render *r, const struct node *n)
{
    jinja_bind(r, r->scope, n->symbol, macro_value(r, n));
    return FLOW_NEXT;
}

static enum flow run_call_block(struct render *r, const struct node *n)
{
    struct value *callee = jinja_eval(r, n->a->a);
    struct call c;
    if (!callee || !jinja_defined(r, callee) || !jinja_eval_args(r, n->a->args, &c))
        return FLOW_FAIL;
    struct call_keyword *all = arena_array(r->a, c.n_keywords + 1, sizeof *all);
    for (size_t i = 0; i < c.n_keywords; i++)
        all[i] = c.keywords[i];
    all[c.n_keywords++] = (struct call_keyword){STR("caller"), macro_value(r, n)};
    c.keywords = all;
    return write_value(r, jinja_call_value(r, callee, &c));
}

static enum flow run_with(struct render *r, const struct node *n)
{
    struct scope *outer = r->scope, *s = jinja_push_scope(r, outer);
    enum flow flow = FLOW_NEXT;
    r->scope = outer; /* the values do not see each other's names */
    for (size_t i = 0; i < n->items.n && flow == FLOW_NEXT; i++) {
        struct value *v = jinja_eval(r, n->values.items[i]);
        if (!v || !assign(r, s, n->items.items[i], v))
            flow = FLOW_FAIL;
    }
    r->scope = s;
    if (flow == FLOW_NEXT)
        flow = jinja_run_body(r, &n->body);
    r->scope = outer;
    return flow;
}

static enum flow run_scope(struct render *r, const struct node *n)
{
    struct scope *outer = r->scope;
    jinja_push_scope(r, outer);
    enum flow flow = jinja_run_body(r, &n->body);
    r->scope = outer;
    return flow;
}

static enum flow run_break(struct render *r, const struct node *n)
{
    (void)r;
    return n->type == STMT_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
}

typedef enum flow run_fn(struct render *r, const struct node *n);

static run_fn *const runners[] = {
    [STMT_DATA] = run_data,
    [STMT_PRINT] = run_print,
    [STMT_IF] = run_if,
    [STMT_FOR] = run_for,
    [STMT_SET] = run_set,
    [STMT_SET_BLOCK] = run_set_block,
    [STMT_MACRO] = run_macro,
    [STMT_CALL_BLOCK] = run_call_block,
    [STMT_FILTER_BLOCK] = run_filter_block,
    [STMT_WITH] = run_with,
    [STMT_SCOPE] = run_scope,
    [STMT_BREAK] = run_break,
    [STMT_CONTINUE] = run_break,
};

enum flow jinja_run_body(struct render *r, const struct node_list *body)
{
    enum flow flow = FLOW_NEXT;
    for (size_t i = 0; i < body->n && flow == FLOW_NEXT; i++) {
        const struct node *n = body->items[i];
        flow = jinja_enter(r) ? runners[n->type](r, n) : FLOW_FAIL;
        r->depth--;
        if (flow == FLOW_FAIL && !r->fail_line)
            r->fail_line = n->line;
    }
    return flow;
}

int jinja_render(const struct jinja *t, struct arena *a, const struct value *context,
                 struct str *ret, struct error *err)
{
    struct arena scratch = {0};
    struct buf out = {0};
    struct render r = {.a = &scratch, .t = t, .context = context, .out = &out};
    if (t->mutates && context)
        r.context = value_clone(&scratch, context);
    jinja_push_scope(&r, NULL);
    enum flow flow = jinja_run_body(&r, &t->body);
    int code = 0;
    if (flow == FLOW_NEXT) {
        *ret = str_copy(a, buf_view(&out));
    } else {
        const char *sentence = arena_copy(&scratch, r.fail_text.p, r.fail_text.n);
        code = jinja_error_at(t, r.fail_line, r.fail_kind, sentence, err);
    }
    buf_free(&out);
    arena_free(&scratch);
    return code;
}
