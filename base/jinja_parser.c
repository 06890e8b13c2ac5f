/* jinja_parser.c: the stream of tokens, what is expected of it, and how nodes are made. */
#include "base/jinja_parser.h"

enum { MAX_NESTING = 200, MAX_HEIGHT = 600 };

const struct token *parser_peek(const struct parser *p)
{
    return &p->tokens->items[p->at];
}

const struct token *parser_look(const struct parser *p)
{
    return &p->tokens->items[p->at + 1 < p->tokens->n ? p->at + 1 : p->at];
}

static void fail_kind(struct parser *p, int line, const char *kind, const char *format,
                      va_list args)
{
    if (!p->failed)
        jinja_error_at(p->t, line, kind, arena_vprintf(p->a, format, args), p->err);
    p->failed = true;
    p->at = p->tokens->n - 1;
}

void parser_fail(struct parser *p, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_kind(p, line, "TemplateSyntaxError", format, args);
    va_end(args);
}

void parser_fail_assertion(struct parser *p, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_kind(p, line, "TemplateAssertionError", format, args);
    va_end(args);
}

/* Jinja's description of a token: its text for a name, its kind otherwise. */
struct str parser_describe(const struct token *t)
{
    return t->type == TOKEN_NAME ? t->text : str_of(jinja_token_name(t->type));
}

bool parser_at_end(struct parser *p)
{
    const struct token *t = parser_peek(p);
    if (t->type == TOKEN_ERROR && !p->failed)
        parser_fail(p, t->line, "%.*s", STR_ARG(t->text));
    return t->type == TOKEN_EOF || t->type == TOKEN_ERROR;
}

const struct token *parser_next(struct parser *p)
{
    const struct token *t = parser_peek(p);
    if (!parser_at_end(p))
        p->at++;
    return t;
}

bool parser_is(const struct parser *p, enum token_type type)
{
    return parser_peek(p)->type == type && !p->failed;
}

bool parser_token_is_name(const struct token *t, const char *name)
{
    return t->type == TOKEN_NAME && str_eqz(t->text, name);
}

bool parser_is_name(const struct parser *p, const char *name)
{
    return !p->failed && parser_token_is_name(parser_peek(p), name);
}

bool parser_skip_if(struct parser *p, enum token_type type)
{
    bool yes = parser_is(p, type);
    if (yes)
        parser_next(p);
    return yes;
}

bool parser_skip_name(struct parser *p, const char *name)
{
    bool yes = parser_is_name(p, name);
    if (yes)
        parser_next(p);
    return yes;
}

static void unexpected(struct parser *p, struct str want)
{
    const struct token *t = parser_peek(p);
    if (parser_at_end(p))
        parser_fail(p, t->line, "unexpected end of template, expected '%.*s'.", STR_ARG(want));
    else
        parser_fail(p, t->line, "expected token '%.*s', got '%.*s'", STR_ARG(want),
                    STR_ARG(parser_describe(t)));
}

const struct token *parser_expect(struct parser *p, enum token_type type)
{
    if (!parser_is(p, type))
        unexpected(p, str_of(jinja_token_name(type)));
    return parser_next(p);
}

void parser_expect_name(struct parser *p, const char *name)
{
    if (!parser_skip_name(p, name))
        unexpected(p, str_of(name));
}

/* -- nodes -- */

struct node *parser_node(struct parser *p, enum node_type type, int line)
{
    struct node *n = arena_alloc(p->a, sizeof *n);
    n->type = type;
    n->line = line;
    n->height = 1;
    return n;
}

/* Notes that `child` hangs below `n`; the height bounds the evaluator's recursion. */
struct node *parser_below(struct parser *p, struct node *n, struct node *child)
{
    if (child && child->height >= n->height)
        n->height = child->height + 1;
    if (n->height > MAX_HEIGHT)
        parser_fail(p, n->line, "the expression is nested too deeply (more than %d levels)",
                    MAX_HEIGHT);
    return child;
}

void parser_list_add(struct parser *p, struct node_list *list, struct node *item)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 4;
        struct node **items = arena_array(p->a, list->cap, sizeof *items);
        if (list->n)
            memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
    }
    list->items[list->n++] = item;
}

void parser_add_item(struct parser *p, struct node *n, struct node *item)
{
    parser_list_add(p, &n->items, parser_below(p, n, item));
}

struct node *parser_binary(struct parser *p, enum node_type type, int op, int line, struct node *a,
                           struct node *b)
{
    struct node *n = parser_node(p, type, line);
    n->op = op;
    n->a = parser_below(p, n, a);
    n->b = parser_below(p, n, b);
    return n;
}

int parser_symbol(struct parser *p, struct str name)
{
    struct value *v = dict_gets(p->symbols, name);
    if (!v) {
        v = value_int(p->a, (int64_t)p->symbols->dict.n);
        dict_put(p->a, p->symbols, value_str(p->a, name), v);
    }
    return (int)v->i;
}

void parser_enter(struct parser *p)
{
    if (++p->nesting > MAX_NESTING)
        parser_fail(p, parser_peek(p)->line,
                    "the template is nested too deeply (more than %d levels)", MAX_NESTING);
}
