/* value.h: the values of JSON, YAML, Jinja and Python literals, in one type.
 *
 * Values live in an arena and are never freed one by one. They behave as Python's: dicts keep
 * insertion order, an int is not a float, True == 1. What a document, a configuration, a chat
 * message or a template's context is made of. */
#ifndef ASSAY_BASE_VALUE_H
#define ASSAY_BASE_VALUE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum value_type {
    VALUE_UNDEFINED, /* Jinja's; JSON and YAML never make one */
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STR,
    VALUE_LIST, /* `tuple` tells (1, 2) from [1, 2]; only its repr differs */
    VALUE_DICT,
    VALUE_OTHER, /* a callable, macro, loop or namespace of the Jinja engine: `other` is its own */
};

/* Nesting that the functions below follow: deeper, a repr or JSON text says "...", a clone holds
 * None and two values differ. Parsers stop far earlier; only a template can build more. */
enum { VALUE_MAX_DEPTH = 4000 };

struct value_entry {
    struct value *key, *value;
};

struct value {
    enum value_type type;
    bool tuple;
    int line;        /* line of its file, from 1; 0: unknown */
    const char *tag; /* a YAML local tag such as "!function"; NULL: none */
    union {
        bool b;
        int64_t i;
        double f;
        struct str s;
        struct {
            struct value **items;
            size_t n, cap;
        } list;
        struct {
            struct value_entry *entries; /* in insertion order */
            size_t n, cap;
            uint32_t *index; /* hash index, kept once there are many entries */
            size_t n_index;
        } dict;
        void *other;
    };
};

struct value *value_none(struct arena *a);
struct value *value_undefined(struct arena *a);
struct value *value_bool(struct arena *a, bool b);
struct value *value_int(struct arena *a, int64_t i);
struct value *value_float(struct arena *a, double f);
struct value *value_str(struct arena *a, struct str s); /* keeps the view, copies nothing */
struct value *value_strz(struct arena *a, const char *z);
struct value *value_list(struct arena *a);
struct value *value_dict(struct arena *a);

void list_push(struct arena *a, struct value *list, struct value *item);

/* Sets or replaces; a replaced key keeps its place. Keys are strings, numbers, booleans or None. */
void dict_put(struct arena *a, struct value *dict, struct value *key, struct value *item);
void dict_set(struct arena *a, struct value *dict, const char *key, struct value *item);

/* NULL when the key is absent, or when `dict` is NULL or no dict. */
struct value *dict_find(const struct value *dict, const struct value *key);
struct value *dict_get(const struct value *dict, const char *key);
struct value *dict_gets(const struct value *dict, struct str key);

/* Typed look-ups for configurations: the member's value, or the default when it is absent or null.
 * E_INPUT when it is there with another type; `where` (a file's name) starts the sentence. */
int dict_int(const struct value *dict, const char *key, int64_t def, const char *where,
             int64_t *ret, struct error *err);
int dict_float(const struct value *dict, const char *key, double def, const char *where,
               double *ret, struct error *err);
int dict_bool(const struct value *dict, const char *key, bool def, const char *where, bool *ret,
              struct error *err);
int dict_str(const struct value *dict, const char *key, const char *def, const char *where,
             const char **ret, struct error *err); /* the value's own bytes: of a parsed text, so
                                                   NUL-terminated; a NUL within is E_INPUT */

bool value_truthy(const struct value *v);                          /* Python's bool(v) */
bool value_eq(const struct value *a, const struct value *b);       /* Python's a == b */
const char *value_type_name(const struct value *v);                /* Python's: 'str', 'NoneType' */
struct value *value_clone(struct arena *a, const struct value *v); /* deep, into `a` */

/* Python's str() and repr(), to the letter: True, None, 1e-05, 'it''s' quoting, \xNN escapes. */
struct str value_tostr(struct arena *a, const struct value *v);
struct str value_repr(struct arena *a, const struct value *v);
void buf_repr(struct buf *b, const struct value *v);
/* repr() of a float: the shortest digits that read back as the same double. */
void buf_float(struct buf *b, double f);

/* Python's ast.literal_eval of lists, tuples, dicts, strings, numbers, True, False, None.
 * E_INPUT when `s` is none of these (the error says where). */
int literal_eval(struct arena *a, struct str s, struct value **ret, struct error *err);

#endif
