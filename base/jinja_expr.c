/* jinja_expr.c: the grammar of expressions, loosest operator last in the file:
 *
 *     x if y else z, or, and, not, comparisons and in, + -, ~, * / // %, **, unary - and +,
 *     then what hangs behind a value: .name [i] (args) |filter is test */
#include "base/jinja_parser.h"

static struct node *constant(struct parser *p, int line, struct value *v)
{
    struct node *n = parser_node(p, EXPR_CONST, line);
    n->value = v;
    return n;
}

static struct node *name_node(struct parser *p, const struct token *t)
{
    static const struct {
        const char *name;
        unsigned use;
    } special[] = {{"caller", USES_CALLER}, {"varargs", USES_VARARGS}, {"kwargs", USES_KWARGS}};
    struct node *n = parser_node(p, EXPR_NAME, t->line);
    n->name = t->text;
    n->symbol = parser_symbol(p, t->text);
    n->builtin = jinja_find_global(t->text, p->t->mode);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (str_eqz(t->text, special[i].name))
            p->uses |= special[i].use;
    return n;
}

static struct node *unary(struct parser *p, bool with_filter);

static struct node *list_or_dict(struct parser *p, enum node_type type, enum token_type close)
{
    struct node *n = parser_node(p, type, parser_next(p)->line);
    while (!parser_is(p, close) && !p->failed) {
        if (n->items.n)
            parser_expect(p, TOKEN_COMMA);
        if (parser_is(p, close))
            break;
        parser_add_item(p, n, parser_expression(p));
        if (type == EXPR_DICT) {
            parser_expect(p, TOKEN_COLON);
            parser_list_add(p, &n->values, parser_below(p, n, parser_expression(p)));
        }
    }
    parser_expect(p, close);
    return n;
}

static struct node *named_constant(struct parser *p, const struct token *t)
{
    static const struct {
        const char *name;
        int value; /* 2: none */
    } names[] = {{"true", 1}, {"True", 1}, {"false", 0}, {"False", 0}, {"none", 2}, {"None", 2}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eqz(t->text, names[i].name))
            return constant(p, t->line,
                            names[i].value == 2 ? value_none(p->a)
                                                : value_bool(p->a, names[i].value));
    return NULL;
}

static struct node *primary(struct parser *p, bool with_namespace)
{
    const struct token *t = parser_peek(p);
    struct node *n;
    switch (t->type) {
    case TOKEN_NAME:
        parser_next(p);
        if ((n = named_constant(p, t)))
            return n;
        if (with_namespace && parser_skip_if(p, TOKEN_DOT)) {
            n = parser_node(p, EXPR_NSREF, t->line);
            n->a = parser_below(p, n, name_node(p, t));
            n->name = parser_expect(p, TOKEN_NAME)->text;
            return n;
        }
        return name_node(p, t);
    case TOKEN_STRING: {
        struct str s = parser_next(p)->text;
        while (parser_is(p, TOKEN_STRING))
            s = str_cat(p->a, s, parser_next(p)->text);
        p->t->mutates |= jinja_method_mutates(s);
        return constant(p, t->line, value_str(p->a, s));
    }
    case TOKEN_INTEGER:
    case TOKEN_FLOAT:
        return constant(p, parser_next(p)->line, t->value);
    case TOKEN_LPAREN:
        parser_next(p);
        n = parser_tuple(p, false, true, NULL, true, false);
        parser_expect(p, TOKEN_RPAREN);
        return n;
    case TOKEN_LBRACKET:
        return list_or_dict(p, EXPR_LIST, TOKEN_RBRACKET);
    case TOKEN_LBRACE:
        return list_or_dict(p, EXPR_DICT, TOKEN_RBRACE);
    default:
        if (!parser_at_end(p) || !p->failed)
            parser_fail(p, t->line, "unexpected '%.*s'", STR_ARG(parser_describe(t)));
        return constant(p, t->line, value_none(p->a));
    }
}

static bool slice_end(const struct parser *p)
{
    return parser_is(p, TOKEN_RBRACKET) || parser_is(p, TOKEN_COMMA) || p->failed;
}

static struct node *subscribed(struct parser *p)
{
    int line = parser_peek(p)->line;
    struct node *from = parser_is(p, TOKEN_COLON) ? NULL : parser_expression(p);
    if (!parser_skip_if(p, TOKEN_COLON))
        return from ? from : constant(p, line, value_none(p->a));
    struct node *n = parser_node(p, EXPR_SLICE, line);
    n->a = parser_below(p, n, from);
    if (!parser_is(p, TOKEN_COLON) && !slice_end(p))
        n->b = parser_below(p, n, parser_expression(p));
    if (parser_skip_if(p, TOKEN_COLON) && !slice_end(p))
        n->c = parser_below(p, n, parser_expression(p));
    return n;
}

static struct node *subscript(struct parser *p, struct node *of)
{
    const struct token *t = parser_next(p);
    struct node *n = parser_node(p, EXPR_ITEM, t->line);
    n->a = parser_below(p, n, of);
    if (t->type == TOKEN_DOT) {
        const struct token *attr = parser_next(p);
        if (attr->type == TOKEN_NAME) {
            n->type = EXPR_ATTR;
            n->name = attr->text;
            p->t->mutates |= jinja_method_mutates(attr->text);
        } else if (attr->type == TOKEN_INTEGER) {
            n->b = constant(p, attr->line, attr->value);
        } else {
            parser_fail(p, attr->line, "expected name or number");
        }
        return n;
    }
    struct node *keys = parser_node(p, EXPR_TUPLE, t->line);
    while (!parser_is(p, TOKEN_RBRACKET) && !p->failed) {
        if (keys->items.n)
            parser_expect(p, TOKEN_COMMA);
        parser_add_item(p, keys, subscribed(p));
    }
    parser_expect(p, TOKEN_RBRACKET);
    for (size_t i = 0; keys->items.n > 1 && i < keys->items.n; i++)
        if (keys->items.items[i]->type == EXPR_SLICE)
            parser_fail(p, t->line, "a slice cannot be one of several subscripts");
    n->b = parser_below(p, n, keys->items.n == 1 ? keys->items.items[0] : keys);
    return n;
}

static void add_keyword(struct parser *p, struct call_args *args, struct str name, struct node *v)
{
    if (args->n_keywords == args->cap_keywords) {
        args->cap_keywords = args->cap_keywords ? 2 * args->cap_keywords : 4;
        struct keyword *more = arena_array(p->a, args->cap_keywords, sizeof *more);
        if (args->n_keywords)
            memcpy(more, args->keywords, args->n_keywords * sizeof *more);
        args->keywords = more;
    }
    args->keywords[args->n_keywords++] = (struct keyword){name, v};
}

/* The arguments in parentheses of the call, filter or test `n`. */
static void call_args(struct parser *p, struct node *n)
{
    struct call_args *args = arena_alloc(p->a, sizeof *args);
    int line = parser_expect(p, TOKEN_LPAREN)->line;
    bool ok = true, comma = false;
    while (!parser_is(p, TOKEN_RPAREN) && ok && !p->failed) {
        if (comma) {
            parser_expect(p, TOKEN_COMMA);
            if (parser_is(p, TOKEN_RPAREN))
                break;
        }
        comma = true;
        if (parser_skip_if(p, TOKEN_MUL)) {
            ok = !args->star && !args->double_star;
            args->star = parser_below(p, n, parser_expression(p));
        } else if (parser_skip_if(p, TOKEN_POW)) {
            ok = !args->double_star;
            args->double_star = parser_below(p, n, parser_expression(p));
        } else if (parser_is(p, TOKEN_NAME) && parser_look(p)->type == TOKEN_ASSIGN) {
            struct str name = parser_next(p)->text;
            parser_next(p);
            ok = !args->double_star;
            add_keyword(p, args, name, parser_below(p, n, parser_expression(p)));
        } else {
            ok = !args->star && !args->double_star && !args->n_keywords;
            parser_list_add(p, &args->positional, parser_below(p, n, parser_expression(p)));
        }
    }
    if (!ok)
        parser_fail(p, line, "invalid syntax for function call expression");
    parser_expect(p, TOKEN_RPAREN);
    n->args = args;
}

static struct node *call(struct parser *p, struct node *callee)
{
    struct node *n = parser_node(p, EXPR_CALL, parser_peek(p)->line);
    n->a = parser_below(p, n, callee);
    call_args(p, n);
    return n;
}

static struct str dotted_name(struct parser *p)
{
    struct str name = parser_expect(p, TOKEN_NAME)->text;
    while (parser_skip_if(p, TOKEN_DOT))
        name = str_printf(p->a, "%.*s.%.*s", STR_ARG(name),
                          STR_ARG(parser_expect(p, TOKEN_NAME)->text));
    return name;
}

/* An unknown name fails the compilation, unless a condition decides whether it is reached. */
static void check_known(struct parser *p, const struct node *n)
{
    if (!n->builtin && !p->conditional && !p->unknown)
        p->unknown = n;
}

struct node *parser_filters(struct parser *p, struct node *n, bool start_inline)
{
    while (parser_is(p, TOKEN_PIPE) || (start_inline && !p->failed)) {
        if (!start_inline)
            parser_next(p);
        start_inline = false;
        struct node *f = parser_node(p, EXPR_FILTER, parser_peek(p)->line);
        f->name = dotted_name(p);
        f->a = parser_below(p, f, n);
        f->builtin = jinja_find_filter(f->name, p->t->mode);
        if (parser_is(p, TOKEN_LPAREN))
            call_args(p, f);
        check_known(p, f);
        n = f;
    }
    return n;
}

static struct node *postfix(struct parser *p, struct node *n)
{
    while (!p->failed) {
        if (parser_is(p, TOKEN_DOT) || parser_is(p, TOKEN_LBRACKET))
            n = subscript(p, n);
        else if (parser_is(p, TOKEN_LPAREN))
            n = call(p, n);
        else
            break;
    }
    return n;
}

/* A test's one argument may stand without parentheses: "is divisibleby 3". */
static bool bare_argument(const struct parser *p)
{
    switch (parser_peek(p)->type) {
    case TOKEN_NAME:
        return !parser_is_name(p, "else") && !parser_is_name(p, "or") && !parser_is_name(p, "and");
    case TOKEN_STRING:
    case TOKEN_INTEGER:
    case TOKEN_FLOAT:
    case TOKEN_LBRACKET:
    case TOKEN_LBRACE:
        return !p->failed;
    default:
        return false;
    }
}

static struct node *test(struct parser *p, struct node *of)
{
    struct node *n = parser_node(p, EXPR_TEST, parser_next(p)->line);
    n->a = parser_below(p, n, of);
    bool negated = parser_skip_name(p, "not");
    n->name = dotted_name(p);
    n->builtin = jinja_find_test(n->name);
    if (parser_is(p, TOKEN_LPAREN)) {
        call_args(p, n);
    } else if (bare_argument(p)) {
        if (parser_is_name(p, "is"))
            parser_fail(p, parser_peek(p)->line, "You cannot chain multiple tests with is");
        n->args = arena_alloc(p->a, sizeof *n->args);
        parser_list_add(p, &n->args->positional, parser_below(p, n, postfix(p, primary(p, false))));
    }
    check_known(p, n);
    return negated ? parser_binary(p, EXPR_NOT, 0, n->line, n, NULL) : n;
}

static struct node *filter_expr(struct parser *p, struct node *n)
{
    while (!p->failed) {
        if (parser_is(p, TOKEN_PIPE))
            n = parser_filters(p, n, false);
        else if (parser_is_name(p, "is"))
            n = test(p, n);
        else if (parser_is(p, TOKEN_LPAREN))
            n = call(p, n);
        else
            break;
    }
    return n;
}

static struct node *unary(struct parser *p, bool with_filter)
{
    parser_enter(p);
    struct node *n;
    int line = parser_peek(p)->line;
    if (parser_is(p, TOKEN_SUB) || parser_is(p, TOKEN_ADD)) {
        enum node_type type = parser_next(p)->type == TOKEN_SUB ? EXPR_NEG : EXPR_POS;
        n = parser_binary(p, type, 0, line, unary(p, false), NULL);
    } else {
        n = primary(p, false);
    }
    n = postfix(p, n);
    if (with_filter)
        n = filter_expr(p, n);
    p->nesting--;
    return n;
}

/* The levels of left-associative operators, loosest first; concat() stands between them. */
enum { LEVEL_MATH1, LEVEL_MATH2, LEVEL_POW, N_LEVELS };

static const enum token_type levels[N_LEVELS][5] = {
    [LEVEL_MATH1] = {TOKEN_ADD, TOKEN_SUB},
    [LEVEL_MATH2] = {TOKEN_MUL, TOKEN_DIV, TOKEN_FLOORDIV, TOKEN_MOD},
    [LEVEL_POW] = {TOKEN_POW},
};

static struct node *math(struct parser *p, int level);

static struct node *concat(struct parser *p)
{
    int line = parser_peek(p)->line;
    struct node *first = math(p, LEVEL_MATH2);
    if (!parser_is(p, TOKEN_TILDE))
        return first;
    struct node *n = parser_node(p, EXPR_CONCAT, line);
    parser_add_item(p, n, first);
    while (parser_skip_if(p, TOKEN_TILDE))
        parser_add_item(p, n, math(p, LEVEL_MATH2));
    return n;
}

static struct node *math_operand(struct parser *p, int level)
{
    return level == LEVEL_MATH1 ? concat(p)
           : level == LEVEL_POW ? unary(p, true)
                                : math(p, level + 1);
}

static bool is_level(const struct parser *p, int level)
{
    for (int i = 0; levels[level][i] != TOKEN_EOF; i++)
        if (parser_is(p, levels[level][i]))
            return true;
    return false;
}

static struct node *math(struct parser *p, int level)
{
    int line = parser_peek(p)->line;
    struct node *left = math_operand(p, level);
    while (is_level(p, level)) {
        int op = (int)parser_next(p)->type;
        left = parser_binary(p, EXPR_BINARY, op, line, left, math_operand(p, level));
    }
    return left;
}

/* Takes a comparison operator; 0: none stands here. */
static int compare_op(struct parser *p)
{
    enum token_type type = parser_peek(p)->type;
    if (!p->failed && type >= TOKEN_EQ && type <= TOKEN_LE)
        return (int)parser_next(p)->type;
    if (parser_skip_name(p, "in"))
        return COMPARE_IN;
    if (parser_is_name(p, "not") && parser_token_is_name(parser_look(p), "in")) {
        parser_next(p);
        parser_next(p);
        return COMPARE_NOT_IN;
    }
    return 0;
}

static struct node *compare(struct parser *p)
{
    int line = parser_peek(p)->line;
    struct node *first = math(p, LEVEL_MATH1);
    int op = compare_op(p);
    if (!op)
        return first;
    struct node *n = parser_node(p, EXPR_COMPARE, line);
    n->a = parser_below(p, n, first);
    for (; op; op = compare_op(p)) {
        struct node *right =
            parser_node(p, EXPR_POS, parser_peek(p)->line); /* carries the operator */
        right->op = op;
        right->a = parser_below(p, right, math(p, LEVEL_MATH1));
        parser_add_item(p, n, right);
    }
    return n;
}

static struct node *negation(struct parser *p)
{
    if (!parser_is_name(p, "not"))
        return compare(p);
    parser_enter(p);
    int line = parser_next(p)->line;
    struct node *n = parser_binary(p, EXPR_NOT, 0, line, negation(p), NULL);
    p->nesting--;
    return n;
}

static struct node *conjunction(struct parser *p)
{
    int line = parser_peek(p)->line;
    struct node *left = negation(p);
    while (parser_skip_name(p, "and"))
        left = parser_binary(p, EXPR_AND, 0, line, left, negation(p));
    return left;
}

static struct node *disjunction(struct parser *p)
{
    int line = parser_peek(p)->line;
    struct node *left = conjunction(p);
    while (parser_skip_name(p, "or"))
        left = parser_binary(p, EXPR_OR, 0, line, left, conjunction(p));
    return left;
}

struct node *parser_expression(struct parser *p)
{
    parser_enter(p);
    int line = parser_peek(p)->line;
    const struct node *unknown = p->unknown;
    struct node *n = disjunction(p);
    while (parser_skip_name(p, "if")) {
        struct node *cond = parser_node(p, EXPR_COND, line);
        cond->b = parser_below(p, cond, n);
        cond->a = parser_below(p, cond, disjunction(p));
        if (parser_skip_name(p, "else"))
            cond->c = parser_below(p, cond, parser_expression(p));
        p->unknown = unknown;
        n = cond;
    }
    p->nesting--;
    return n;
}

static bool tuple_end(const struct parser *p, const char *end)
{
    return p->failed || parser_is(p, TOKEN_VARIABLE_END) || parser_is(p, TOKEN_BLOCK_END) ||
           parser_is(p, TOKEN_RPAREN) || (end && parser_is_name(p, end));
}

/* One expression, or several with commas, which make a tuple. `simplified`: names and literals
 * only. `end` is a name that ends it. */
struct node *parser_tuple(struct parser *p, bool simplified, bool cond, const char *end,
                          bool parens, bool with_namespace)
{
    parser_enter(p);
    struct node *n = parser_node(p, EXPR_TUPLE, parser_peek(p)->line);
    bool is_tuple = false;
    while (!p->failed) {
        if (n->items.n)
            parser_expect(p, TOKEN_COMMA);
        if (tuple_end(p, end))
            break;
        parser_add_item(p, n,
                        simplified ? primary(p, with_namespace)
                        : cond     ? parser_expression(p)
                                   : disjunction(p));
        if (!parser_is(p, TOKEN_COMMA))
            break;
        is_tuple = true;
    }
    p->nesting--;
    if (!is_tuple && n->items.n)
        return n->items.items[0];
    if (!is_tuple && !parens && (!parser_at_end(p) || !p->failed))
        parser_fail(p, parser_peek(p)->line, "Expected an expression, got '%.*s'",
                    STR_ARG(parser_describe(parser_peek(p))));
    return n;
}
