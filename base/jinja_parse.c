/* jinja_parse.c: the grammar of statements: a table of tags, and Jinja's words for what is missing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/jinja_parser.h"

static struct node *full_tuple(struct parser *p, bool cond, const char *end)
{
    return parser_tuple(p, false, cond, end, false, false);
}

static void check_target(struct parser *p, const struct node *n)
{
    static const char *const words[] = {
        [EXPR_CONST] = "const", [EXPR_LIST] = "list", [EXPR_DICT] = "dict"};
    if (n->type == EXPR_TUPLE)
        for (size_t i = 0; i < n->items.n; i++)
            check_target(p, n->items.items[i]);
    else if (n->type != EXPR_NAME && n->type != EXPR_NSREF)
        parser_fail(p, n->line, "can't assign to '%s'",
                    n->type == EXPR_CONST || n->type == EXPR_LIST || n->type == EXPR_DICT
                        ? words[n->type]
                        : "expression");
}

static struct node *target(struct parser *p, const char *end, bool with_namespace)
{
    struct node *n = parser_tuple(p, true, true, end, false, with_namespace);
    check_target(p, n);
    return n;
}

static struct node_list statements(struct parser *p, const char *tag, const char *const *ends);

/* Parses until `end` and swallows it. */
static struct node_list body_until(struct parser *p, const char *tag, const char *end)
{
    const char *ends[] = {end, NULL};
    struct node_list body = statements(p, tag, ends);
    parser_next(p);
    return body;
}

/* Bodies that run as functions or scopes of their own forget the if around them. */
static struct node_list scoped_body(struct parser *p, const char *tag, const char *end)
{
    bool conditional = p->conditional;
    p->conditional = false;
    struct node_list body = body_until(p, tag, end);
    p->conditional = conditional;
    return body;
}

static struct node_list function_body(struct parser *p, struct node *n, const char *tag,
                                      const char *end)
{
    unsigned uses = p->uses;
    int loops = p->loops;
    p->uses = 0;
    p->loops = 0;
    struct node_list body = scoped_body(p, tag, end);
    n->uses = p->uses;
    p->uses |= uses;
    p->loops = loops;
    return body;
}

static struct node *parse_set(struct parser *p)
{
    struct node *n = parser_node(p, STMT_SET, parser_next(p)->line);
    n->a = target(p, NULL, true);
    if (parser_skip_if(p, TOKEN_ASSIGN)) {
        n->b = parser_below(p, n, full_tuple(p, true, NULL));
        return n;
    }
    n->type = STMT_SET_BLOCK;
    n->b = parser_below(p, n, parser_filters(p, NULL, false));
    n->body = scoped_body(p, "set", "endset");
    return n;
}

static struct node *parse_for(struct parser *p)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    struct node *n = parser_node(p, STMT_FOR, parser_next(p)->line);
    n->a = target(p, "in", false);
    parser_expect_name(p, "in");
    n->b = parser_below(p, n, full_tuple(p, false, "recursive"));
    if (parser_skip_name(p, "if"))
        n->c = parser_below(p, n, parser_expression(p));
    n->recursive = parser_skip_name(p, "recursive");
    bool conditional = p->conditional;
    p->conditional = false;
    p->loops++;
    n->body = statements(p, "for", ends);
    p->loops--;
    if (parser_token_is_name(parser_next(p), "else"))
        n->orelse = body_until(p, "for", "endfor");
    p->conditional = conditional;
    return n;
}

static struct node *parse_if(struct parser *p)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    struct node *first = parser_node(p, STMT_IF, parser_next(p)->line), *n = first;
    bool conditional = p->conditional;
    p->conditional = true;
    for (;;) {
        n->a = parser_below(p, n, full_tuple(p, false, NULL));
        n->body = statements(p, "if", ends);
        const struct token *t = parser_next(p);
        if (p->failed || !parser_token_is_name(t, "elif"))
            break;
        struct node *other = parser_node(p, STMT_IF, t->line);
        parser_list_add(p, &n->orelse, other);
        n = other;
    }
    if (!p->failed && parser_token_is_name(&p->tokens->items[p->at - 1], "else"))
        n->orelse = body_until(p, "if", "endif");
    p->conditional = conditional;
    return first;
}

static struct node *parse_with(struct parser *p)
{
    struct node *n = parser_node(p, STMT_WITH, parser_next(p)->line);
    while (!parser_is(p, TOKEN_BLOCK_END) && !p->failed) {
        if (n->items.n)
            parser_expect(p, TOKEN_COMMA);
        parser_add_item(p, n, target(p, NULL, false));
        parser_expect(p, TOKEN_ASSIGN);
        parser_list_add(p, &n->values, parser_below(p, n, parser_expression(p)));
    }
    n->body = scoped_body(p, "with", "endwith");
    return n;
}

static void signature(struct parser *p, struct node *n)
{
    size_t cap = 0;
    parser_expect(p, TOKEN_LPAREN);
    while (!parser_is(p, TOKEN_RPAREN) && !p->failed) {
        if (n->n_params)
            parser_expect(p, TOKEN_COMMA);
        const struct token *t = parser_expect(p, TOKEN_NAME);
        struct param param = {.name = t->text, .symbol = parser_symbol(p, t->text)};
        if (parser_skip_if(p, TOKEN_ASSIGN))
            param.fallback = parser_below(p, n, parser_expression(p));
        else if (n->n_params && n->params[n->n_params - 1].fallback)
            parser_fail(p, parser_peek(p)->line, "non-default argument follows default argument");
        if (!param.fallback && param.symbol == p->t->symbol_caller)
            parser_fail_assertion(p, t->line,
                                  "When defining macros or call blocks the special \"caller\" "
                                  "argument must be omitted or be given a default.");
        if (n->n_params == cap) {
            cap = cap ? 2 * cap : 4;
            struct param *more = arena_array(p->a, cap, sizeof *more);
            if (n->n_params)
                memcpy(more, n->params, n->n_params * sizeof *more);
            n->params = more;
        }
        n->params[n->n_params++] = param;
    }
    parser_expect(p, TOKEN_RPAREN);
}

static struct node *parse_macro(struct parser *p)
{
    struct node *n = parser_node(p, STMT_MACRO, parser_next(p)->line);
    const struct token *name = parser_expect(p, TOKEN_NAME);
    n->name = name->text;
    n->symbol = parser_symbol(p, name->text);
    signature(p, n);
    n->body = function_body(p, n, "macro", "endmacro");
    return n;
}

static struct node *parse_call(struct parser *p)
{
    struct node *n = parser_node(p, STMT_CALL_BLOCK, parser_next(p)->line);
    if (parser_is(p, TOKEN_LPAREN))
        signature(p, n);
    n->a = parser_below(p, n, parser_expression(p));
    if (n->a->type != EXPR_CALL)
        parser_fail(p, n->line, "expected call");
    n->body = function_body(p, n, "call", "endcall");
    return n;
}

static struct node *parse_filter(struct parser *p)
{
    struct node *n = parser_node(p, STMT_FILTER_BLOCK, parser_next(p)->line);
    n->a = parser_below(p, n, parser_filters(p, NULL, true));
    n->body = scoped_body(p, "filter", "endfilter");
    return n;
}

static struct node *parse_print(struct parser *p)
{
    struct node *n = parser_node(p, STMT_PRINT, parser_next(p)->line);
    while (!parser_is(p, TOKEN_BLOCK_END) && !p->failed) {
        if (n->items.n)
            parser_expect(p, TOKEN_COMMA);
        parser_add_item(p, n, parser_expression(p));
    }
    return n;
}

static struct node *parse_generation(struct parser *p)
{
    struct node *n = parser_node(p, STMT_SCOPE, parser_next(p)->line);
    n->body = function_body(p, n, "generation", "endgeneration");
    return n;
}

static struct node *parse_autoescape(struct parser *p)
{
    struct node *n = parser_node(p, STMT_SCOPE, parser_next(p)->line);
    const struct node *on = parser_expression(p);
    if (on->type != EXPR_CONST || value_truthy(on->value))
        parser_fail(p, n->line, "{%% autoescape %%} is only supported as {%% autoescape false %%}");
    n->body = scoped_body(p, "autoescape", "endautoescape");
    return n;
}

/* Without inheritance a block is just its body, in a scope of its own. */
static struct node *parse_block(struct parser *p)
{
    struct node *n = parser_node(p, STMT_SCOPE, parser_next(p)->line);
    struct str name = parser_expect(p, TOKEN_NAME)->text;
    parser_skip_name(p, "scoped");
    parser_skip_name(p, "required");
    n->body = function_body(p, n, "block", "endblock");
    if (parser_is(p, TOKEN_NAME) && str_eq(parser_peek(p)->text, name))
        parser_next(p);
    return n;
}

static struct node *parse_loop_control(struct parser *p)
{
    const struct token *t = parser_next(p);
    if (!p->loops)
        parser_fail(p, t->line, "'%.*s' outside loop", STR_ARG(t->text));
    return parser_node(p, str_eqz(t->text, "break") ? STMT_BREAK : STMT_CONTINUE, t->line);
}

static struct node *parse_unsupported(struct parser *p)
{
    const struct token *t = parser_next(p);
    parser_fail(
        p, t->line,
        "{%% %.*s %%} is not supported in a template string: there are no other templates to load; "
        "put their text here",
        STR_ARG(t->text));
    return parser_node(p, STMT_SCOPE, t->line);
}

static const struct {
    const char *tag;
    struct node *(*parse)(struct parser *p);
    unsigned modes; /* 0: both */
} tags[] = {
    {"for", parse_for, 0},
    {"if", parse_if, 0},
    {"set", parse_set, 0},
    {"macro", parse_macro, 0},
    {"call", parse_call, 0},
    {"filter", parse_filter, 0},
    {"with", parse_with, 0},
    {"print", parse_print, 0},
    {"block", parse_block, 0},
    {"autoescape", parse_autoescape, 0},
    {"break", parse_loop_control, IN_CHAT},
    {"continue", parse_loop_control, IN_CHAT},
    {"generation", parse_generation, IN_CHAT},
    {"include", parse_unsupported, 0},
    {"extends", parse_unsupported, 0},
    {"import", parse_unsupported, 0},
    {"from", parse_unsupported, 0},
};

/* "'elif' or 'else' or 'endif'" */
static struct str quoted_ends(struct parser *p, const char *const *ends)
{
    struct str s = STR("");
    for (int i = 0; ends[i]; i++)
        s = str_printf(p->a, "%.*s%s'%s'", STR_ARG(s), i ? " or " : "", ends[i]);
    return s;
}

static bool is_expected(const struct parser *p, struct str name)
{
    for (const struct open_block *o = p->open; o; o = o->outer)
        for (int i = 0; o->ends[i]; i++)
            if (str_eqz(name, o->ends[i]))
                return true;
    return false;
}

/* `name` NULL: the template ends where a tag is missing. */
static void fail_tag(struct parser *p, int line, const struct str *name)
{
    struct str s = name ? str_printf(p->a, "Encountered unknown tag '%.*s'.", STR_ARG(*name))
                        : STR("Unexpected end of template.");
    if (p->open) {
        struct str ends = quoted_ends(p, p->open->ends);
        if (name && is_expected(p, *name))
            s = str_printf(p->a,
                           "%.*s You probably made a nesting mistake. Jinja is expecting this tag, "
                           "but currently looking for %.*s.",
                           STR_ARG(s), STR_ARG(ends));
        else
            s = str_printf(p->a, "%.*s Jinja was looking for the following tags: %.*s.", STR_ARG(s),
                           STR_ARG(ends));
        s = str_printf(p->a, "%.*s The innermost block that needs to be closed is '%s'.",
                       STR_ARG(s), p->open->tag);
    }
    parser_fail(p, line, "%.*s", STR_ARG(s));
}

static struct node *statement(struct parser *p)
{
    const struct token *t = parser_peek(p);
    if (parser_at_end(p) && p->failed)
        return NULL;
    if (t->type != TOKEN_NAME)
        return parser_fail(p, t->line, "tag name expected"), NULL;
    unsigned mode = p->t->mode == JINJA_TASK ? IN_TASK : IN_CHAT;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (str_eqz(t->text, tags[i].tag) && (!tags[i].modes || tags[i].modes & mode))
            return tags[i].parse(p);
    fail_tag(p, t->line, &t->text);
    return NULL;
}

static bool at_tag(const struct parser *p, const char *const *ends)
{
    for (int i = 0; ends && ends[i]; i++)
        if (parser_is_name(p, ends[i]))
            return true;
    return false;
}

/* Statements until one of `ends` is the current token, or to the end of the template. */
static struct node_list subparse(struct parser *p, const char *const *ends)
{
    struct node_list body = {0};
    while (!parser_at_end(p)) {
        const struct token *t = parser_next(p);
        struct node *n = NULL;
        if (t->type == TOKEN_DATA) {
            n = parser_node(p, STMT_DATA, t->line);
            n->name = t->text;
        } else if (t->type == TOKEN_VARIABLE_BEGIN) {
            n = parser_node(p, STMT_PRINT, t->line);
            parser_add_item(p, n, full_tuple(p, true, NULL));
            parser_expect(p, TOKEN_VARIABLE_END);
        } else {
            if (at_tag(p, ends))
                return body;
            n = statement(p);
            parser_expect(p, TOKEN_BLOCK_END);
        }
        if (n)
            parser_list_add(p, &body, n);
    }
    return body;
}

static struct node_list statements(struct parser *p, const char *tag, const char *const *ends)
{
    parser_enter(p);
    parser_skip_if(p, TOKEN_COLON); /* as in Python */
    parser_expect(p, TOKEN_BLOCK_END);
    struct open_block open = {tag, ends, p->open};
    p->open = &open;
    struct node_list body = subparse(p, ends);
    if (!p->failed && parser_at_end(p) && !p->failed)
        fail_tag(p, parser_peek(p)->line, NULL);
    p->open = open.outer;
    p->nesting--;
    return body;
}

int jinja_parse(struct arena *a, const struct tokens *tokens, struct jinja *t, struct error *err)
{
    struct error mine = {0};
    struct parser p = {.a = a, .t = t, .tokens = tokens, .err = &mine, .symbols = value_dict(a)};
    t->symbol_loop = parser_symbol(&p, STR("loop"));
    t->symbol_caller = parser_symbol(&p, STR("caller"));
    t->symbol_varargs = parser_symbol(&p, STR("varargs"));
    t->symbol_kwargs = parser_symbol(&p, STR("kwargs"));
    t->body = subparse(&p, NULL);
    if (p.unknown)
        parser_fail_assertion(&p, p.unknown->line, "No %s named '%.*s'.",
                              p.unknown->type == EXPR_FILTER ? "filter" : "test",
                              STR_ARG(p.unknown->name));
    if (!p.failed)
        return 0;
    return error_set(err, E_INPUT, "%s", mine.msg);
}
