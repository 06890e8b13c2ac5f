/* jinja_parser.h: the state of a parse, between jinja_parser.c (tokens and nodes), jinja_expr.c
 * (expressions) and jinja_parse.c (statements).
 *
 * After the first mistake the parser stands at the end of the tokens and parser_is() and its
 * relatives are false, so that every loop ends and no function needs to ask; jinja_parse() then
 * hands out the error and nothing else. */
#ifndef ASSAY_BASE_JINJA_PARSER_H
#define ASSAY_BASE_JINJA_PARSER_H

#include "base/jinja_internal.h"

/* The tags that would end the blocks being parsed, innermost first, for messages. */
struct open_block {
    const char *tag;
    const char *const *ends; /* NULL-terminated */
    struct open_block *outer;
};

struct parser {
    struct arena *a;
    struct jinja *t;
    const struct tokens *tokens;
    size_t at;
    bool failed;
    struct error *err;
    struct open_block *open;
    int nesting, loops;
    bool conditional; /* inside an if: an unknown filter is an error only when it is reached */
    const struct node *unknown; /* the first filter or test of no known name */
    unsigned uses;              /* USES_... seen since the innermost macro began */
    struct value *symbols;      /* dict: name -> number */
};

void parser_fail(struct parser *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void parser_fail_assertion(struct parser *p, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const struct token *parser_peek(const struct parser *p);
const struct token *parser_look(const struct parser *p); /* the token behind it */
const struct token *parser_next(struct parser *p);       /* takes it, except at the end */
const struct token *parser_expect(struct parser *p, enum token_type type);
void parser_expect_name(struct parser *p, const char *name);
bool parser_at_end(struct parser *p); /* reports the lexer's error when it is there */
bool parser_is(const struct parser *p, enum token_type type);
bool parser_is_name(const struct parser *p, const char *name);
bool parser_skip_if(struct parser *p, enum token_type type);
bool parser_skip_name(struct parser *p, const char *name);
bool parser_token_is_name(const struct token *t, const char *name);
struct str parser_describe(const struct token *t);
void parser_enter(struct parser *p); /* one level deeper: p->nesting-- when done */

struct node *parser_node(struct parser *p, enum node_type type, int line);
struct node *parser_binary(struct parser *p, enum node_type type, int op, int line, struct node *a,
                           struct node *b);
/* Notes that `child` hangs below `n` and gives it back; bounds the tree's height. */
struct node *parser_below(struct parser *p, struct node *n, struct node *child);
void parser_list_add(struct parser *p, struct node_list *list, struct node *item);
void parser_add_item(struct parser *p, struct node *n, struct node *item); /* below, and listed */
int parser_symbol(struct parser *p, struct str name);

struct node *parser_expression(struct parser *p);
/* One expression, or several with commas, which make a tuple. `simplified`: names and literals
 * only. `cond`: with "x if y". `end` is a name that ends it. `parens`: may be empty. */
struct node *parser_tuple(struct parser *p, bool simplified, bool cond, const char *end,
                          bool parens, bool with_namespace);
/* "|name(args)|...", to be applied to n; `start_inline`: the first without its bar. */
struct node *parser_filters(struct parser *p, struct node *n, bool start_inline);

#endif
