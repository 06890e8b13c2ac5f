/* jinja_internal.h: what the files of the Jinja engine share; nobody else includes it.
 *
 *     text --jinja_lex--> tokens --jinja_parse--> nodes --jinja_eval--> text
 *
 * jinja_ops.c has comparisons, attributes and conversions, jinja_math.c the arithmetic,
 * jinja_format.c the two ways to format a string, jinja_filters.c, jinja_tests.c and
 * jinja_methods.c the tables of names.
 *
 * Nodes never change after parsing. All that a rendering needs is in its struct render, whose
 * scratch arena holds every value that it makes; only the text survives. A function that can fail
 * returns NULL or false after render_fail(). */
#ifndef ASSAY_BASE_JINJA_INTERNAL_H
#define ASSAY_BASE_JINJA_INTERNAL_H

#include "base/jinja.h"

/* -- tokens ------------------------------------------------------------------------------------ */

enum token_type {
    TOKEN_EOF,
    TOKEN_ERROR, /* `text` is the sentence: the parser reports it when it gets there */
    TOKEN_DATA,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_VARIABLE_BEGIN,
    TOKEN_VARIABLE_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_INTEGER,
    TOKEN_FLOAT,
    TOKEN_ADD,
    TOKEN_SUB,
    TOKEN_MUL,
    TOKEN_DIV,
    TOKEN_FLOORDIV,
    TOKEN_MOD,
    TOKEN_POW,
    TOKEN_TILDE,
    TOKEN_LBRACKET,
    TOKEN_RBRACKET,
    TOKEN_LPAREN,
    TOKEN_RPAREN,
    TOKEN_LBRACE,
    TOKEN_RBRACE,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_ASSIGN,
    TOKEN_DOT,
    TOKEN_COLON,
    TOKEN_PIPE,
    TOKEN_COMMA,
    TOKEN_SEMICOLON,
};

struct token {
    enum token_type type;
    int line;
    struct str text;     /* DATA, NAME, STRING: the text itself, unescaped; operators: as written */
    struct value *value; /* INTEGER and FLOAT */
};

struct tokens {
    struct token *items;
    size_t n, cap;
};

/* The whole template as tokens, the last one TOKEN_EOF or TOKEN_ERROR. `ret->items` is malloc'd,
 * the texts live in `a` or are views of `text`. */
void jinja_lex(struct arena *a, struct str text, enum jinja_mode mode, struct tokens *ret);

/* Jinja's words for a token in its messages, such as "end of print statement". */
const char *jinja_token_name(enum token_type type);

/* -- nodes ------------------------------------------------------------------------------------- */

enum node_type {
    STMT_DATA,         /* name: the text */
    STMT_PRINT,        /* a */
    STMT_IF,           /* if a: body, otherwise orelse */
    STMT_FOR,          /* for a in b if c: body, else orelse */
    STMT_SET,          /* a = b */
    STMT_SET_BLOCK,    /* a = body, through the filter b if any */
    STMT_MACRO,        /* name, params, body */
    STMT_CALL_BLOCK,   /* a is the call, params and body make its caller */
    STMT_FILTER_BLOCK, /* body through the filter a */
    STMT_WITH,         /* items are the targets, values their values */
    STMT_SCOPE,        /* body in a scope of its own: generation, autoescape, block */
    STMT_BREAK,
    STMT_CONTINUE,
    EXPR_CONST,   /* value */
    EXPR_NAME,    /* name, symbol */
    EXPR_NSREF,   /* assignment to an attribute of the namespace: symbol, a const with the attribute
                   */
    EXPR_ATTR,    /* a.name */
    EXPR_ITEM,    /* a[b] */
    EXPR_SLICE,   /* inside EXPR_ITEM only: a:b:c, each may be NULL */
    EXPR_CALL,    /* a(args) */
    EXPR_FILTER,  /* a|name(args); a is NULL in filter blocks */
    EXPR_TEST,    /* a is name(args) */
    EXPR_NOT,     /* a */
    EXPR_NEG,     /* a */
    EXPR_POS,     /* a */
    EXPR_BINARY,  /* a op b */
    EXPR_AND,     /* a, b */
    EXPR_OR,      /* a, b */
    EXPR_COMPARE, /* a, then each of items by its op: chained as in Python */
    EXPR_CONCAT,  /* items */
    EXPR_COND,    /* a if b else c; c may be NULL */
    EXPR_LIST,    /* items */
    EXPR_TUPLE,   /* items */
    EXPR_DICT,    /* items are the keys, values their values */
};

/* How an operand of EXPR_COMPARE is compared: a token, or one of these two. */
enum { COMPARE_IN = 1000, COMPARE_NOT_IN };

struct node_list {
    struct node **items;
    size_t n, cap;
};

struct keyword {
    struct str name;
    struct node *value;
};

struct call_args {
    struct node_list positional;
    struct keyword *keywords;
    size_t n_keywords, cap_keywords;
    struct node *star, *double_star; /* *args, **kwargs, or NULL */
};

struct param {
    struct str name;
    int symbol;
    struct node *fallback; /* its default, or NULL */
};

enum { USES_CALLER = 1, USES_VARARGS = 2, USES_KWARGS = 4 };

struct node {
    enum node_type type;
    int line;
    int op;         /* EXPR_BINARY: a token; an operand of EXPR_COMPARE: see above */
    int symbol;     /* names are numbered over the template, so that scopes compare numbers */
    int height;     /* of the tree below, which bounds the evaluator's recursion */
    unsigned uses;  /* STMT_MACRO, STMT_CALL_BLOCK: USES_... */
    bool recursive; /* STMT_FOR */
    struct str name;
    const struct builtin *builtin; /* of a filter, test or global function; NULL: no such one */
    struct value *value;
    struct node *a, *b, *c;
    struct node_list items, values, body, orelse;
    struct call_args *args;
    struct param *params;
    size_t n_params;
};

struct jinja {
    enum jinja_mode mode;
    const char *where;
    bool mutates; /* names a method such as append(): render over a copy of the context */
    struct node_list body;
    /* Numbers of the names that the engine itself binds. */
    int symbol_loop, symbol_caller, symbol_varargs, symbol_kwargs;
};

int jinja_parse(struct arena *a, const struct tokens *tokens, struct jinja *t, struct error *err);

/* Fills *err with "WHERE:LINE: sentence" and remembers the exception's kind. */
int jinja_error_at(const struct jinja *t, int line, const char *kind, const char *sentence,
                   struct error *err);

/* -- rendering --------------------------------------------------------------------------------- */

struct var {
    int symbol;
    struct value *value;
};

struct scope {
    struct scope *parent;
    struct var *vars;
    size_t n, cap;
};

struct render {
    struct arena *a; /* scratch */
    const struct jinja *t;
    const struct value *context;
    struct scope *scope;
    struct buf *out;
    int depth;     /* nested evaluations */
    uint64_t work; /* bytes made and steps taken so far, see render_charge() */
    const char *fail_kind;
    struct str fail_text;
    int fail_line; /* 0 until the innermost node has noted its own */
};

/* What a filter, test, method or function is called with. A row of a table with named parameters
 * gets exactly one slot a parameter, NULL where the template gave nothing; a row whose parameters
 * are "*" gets all as written. */
struct call {
    struct value **args;
    size_t n;
    struct call_keyword {
        struct str name;
        struct value *value;
    } * keywords;
    size_t n_keywords;
};

typedef struct value *builtin_fn(struct render *r, struct value *self, const struct call *c);

struct builtin {
    const char *name;
    builtin_fn *call;
    const char *params; /* "width first blank"; the first `required` must be given; "*": any */
    int required;
    unsigned modes; /* 0: both; or IN_TASK, IN_CHAT */
};

enum { IN_TASK = 1, IN_CHAT = 2, MAX_PARAMS = 6 };

enum object_type {
    OBJECT_NAMESPACE,
    OBJECT_LOOP,
    OBJECT_MACRO,
    OBJECT_FUNCTION, /* a global function, or a method bound to `self` */
    OBJECT_CYCLER,
    OBJECT_JOINER,
};

/* What VALUE_OTHER's `other` points to. */
struct object {
    enum object_type type;
    struct value *self; /* NAMESPACE: its dict; FUNCTION: the bound value or NULL; CYCLER: the list;
                           JOINER: the separator */
    size_t position;    /* CYCLER, JOINER: how often it was used; LOOP: index0 */
    const struct node *node; /* MACRO, LOOP */
    struct scope *scope;     /* MACRO, LOOP: where it was made */
    const struct builtin *builtin;
    struct value **items; /* LOOP */
    size_t n_items;
    int depth0;
    struct value *changed; /* LOOP: what changed() saw last, or NULL */
};

/* Notes the failure that a Python exception of `kind` would be. Returns NULL. */
struct value *render_fail(struct render *r, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Account for work and memory before they are spent, in bytes; a step counts as what a value
 * takes. False after a failure at the limit. */
enum { SCAN_BYTES = 4 }; /* read at the cost of one made */
bool render_charge(struct render *r, uint64_t bytes);
bool render_step(struct render *r, uint64_t n);

/* How a statement ended. */
enum flow { FLOW_NEXT, FLOW_FAIL, FLOW_BREAK, FLOW_CONTINUE };

/* jinja_run.c */
enum flow jinja_run_body(struct render *r, const struct node_list *body);
enum flow jinja_run_loop(struct render *r, const struct node *n, struct value *over, int depth0);

/* jinja_eval.c */
bool jinja_enter(struct render *r); /* one level deeper; r->depth-- when done, failed or not */
struct scope *jinja_push_scope(struct render *r, struct scope *parent);
void jinja_bind(struct render *r, struct scope *s, int symbol, struct value *v);
struct value *jinja_eval(struct render *r, const struct node *n);
bool jinja_eval_truthy(struct render *r, const struct node *n, bool *ret);
bool jinja_eval_args(struct render *r, const struct call_args *args, struct call *c);
struct value *jinja_apply_filter(struct render *r, const struct node *n, struct value *v);
bool jinja_join_texts(struct render *r, const struct node *n, struct buf *b); /* str() of items */
/* Runs `body` with its own buffer; the text, or NULL with *flow telling why. */
struct value *jinja_capture(struct render *r, const struct node_list *body, enum flow *flow);
struct value *jinja_call_value(struct render *r, struct value *callee, const struct call *c);
struct value *jinja_run(struct render *r, const struct builtin *b, struct value *self,
                        const struct call *c);

/* jinja_tests.c: ns.name = v; in chat mode no name may begin with an underscore. */
bool jinja_namespace_set(struct render *r, struct object *ns, struct str name, struct value *v);

/* jinja_ops.c */
struct value *jinja_object(struct render *r, struct object *o);
struct object *jinja_as_object(const struct value *v, enum object_type type); /* or NULL */
struct value *jinja_undefined(struct render *r, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct value *jinja_undefined_error(struct render *r, const struct value *v); /* fails */
bool jinja_defined(struct render *r, const struct value *v); /* fails on an undefined value */
bool jinja_text(struct render *r, const struct value *v, struct str *ret); /* str(v) */
bool jinja_truthy(struct render *r, const struct value *v, bool *ret);
bool jinja_guard(struct render *r, const struct value *v); /* v can be walked: depth and size */
bool jinja_equal(struct render *r, const struct value *x, const struct value *y, bool *ret);
bool jinja_order(struct render *r, const char *op, const struct value *x, const struct value *y,
                 int *ret); /* -1, 0, 1; 2 where a NaN takes part */
bool jinja_charge_key(struct render *r, const struct value *key); /* of one look-up in a dict */
bool jinja_contains(struct render *r, const struct value *item, const struct value *in, bool *ret);
struct value *jinja_list_of(struct render *r, struct value *v); /* list(v), maybe v itself */
struct value *jinja_attr(struct render *r, struct value *v, struct str name);
struct value *jinja_method(struct render *r, struct value *v, struct str name); /* or NULL */
struct value *jinja_item(struct render *r, struct value *v, struct value *key);
struct value *jinja_slice(struct render *r, struct value *v, struct value *from, struct value *to,
                          struct value *step);
#define JINJA_GROUP_TAG "group" /* tag of the pairs that groupby makes: .grouper, .list */
struct value *jinja_text_value(struct render *r, struct buf *b); /* takes the buffer */
bool jinja_is_number(const struct value *v);                     /* int, float, bool */
double jinja_double(const struct value *v);
bool jinja_is_markup(const struct value *v);
struct value *jinja_markup(struct render *r, struct str s);
struct str jinja_type_words(const struct value *v); /* "list object", as Jinja's messages say */
int64_t jinja_integer(const struct value *v);       /* of an int or bool */
void jinja_escape(struct buf *b, struct str s);     /* & < > ' " for HTML */

/* jinja_math.c: x op y, op a token. */
struct value *jinja_binary(struct render *r, int op, struct value *x, struct value *y);

/* jinja_sequences.c: sorted(list), by Python's order. */
struct value *jinja_sorted(struct render *r, const struct value *list, struct value *reverse);

/* jinja_methods.c: what filters share with methods. Character classes are Python's. */
bool jinja_int_arg(struct render *r, const struct value *v, int64_t fallback, int64_t *ret);
bool jinja_str_arg(struct render *r, const struct value *v, struct str *ret); /* v is a string */
struct value *jinja_replace(struct render *r, struct str s, struct str old, struct str by,
                            int64_t count);
struct value *jinja_pad(struct render *r, struct str s, int64_t width, struct str fill, int side);
struct value *jinja_split_lines(struct render *r, struct str s, bool keep_ends);
struct value *jinja_strip(struct render *r, struct str s, const struct value *set, int sides);
struct value *jinja_items(struct render *r, const struct value *dict);
bool jinja_is_alpha(int32_t cp);
bool jinja_is_alnum(int32_t cp);
bool jinja_has_case(struct render *r, struct str s, bool upper); /* isupper() or islower() */
enum { PAD_LEFT = 1, PAD_RIGHT = 2, PAD_BOTH = 3 };

/* jinja_format.c */
struct value *jinja_percent(struct render *r, struct str format, struct value *args);
struct value *jinja_format(struct render *r, struct str format, const struct call *c);

/* jinja_filters.c, jinja_markup.c */
bool jinja_subject(struct render *r, const struct value *v, struct str *ret); /* str(v), charged */
builtin_fn jinja_filter_striptags, jinja_filter_urlencode, jinja_filter_tojson_task,
    jinja_filter_tojson_chat;

/* jinja_containers.c */
void jinja_reverse(struct value *list);

/* Tables. */
extern const struct builtin jinja_str_methods[];
extern const size_t jinja_n_str_methods;
const struct builtin *jinja_find_filter(struct str name, enum jinja_mode mode);
extern const struct builtin jinja_text_filters[], jinja_sequence_filters[];
extern const size_t jinja_n_text_filters, jinja_n_sequence_filters;
const struct builtin *jinja_find_test(struct str name);
const struct builtin *jinja_find_global(struct str name, enum jinja_mode mode);
const struct builtin *jinja_find_method(enum value_type type, struct str name);
bool jinja_method_mutates(struct str name);
const struct builtin *jinja_find_row(const struct builtin *rows, size_t n, struct str name,
                                     enum jinja_mode mode);

#endif
