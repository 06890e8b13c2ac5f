/* jinja_containers.c: the methods of lists, dicts, loop and cyclers, and where methods are found.
 */
#include <math.h>

#include "base/jinja_internal.h"

static struct value *pair(struct render *r, struct value *x, struct value *y)
{
    struct value *list = value_list(r->a);
    list->tuple = true;
    list_push(r->a, list, x);
    list_push(r->a, list, y);
    return list;
}

void jinja_reverse(struct value *list)
{
    for (size_t i = 0; i < list->list.n / 2; i++) {
        struct value *v = list->list.items[i];
        list->list.items[i] = list->list.items[list->list.n - 1 - i];
        list->list.items[list->list.n - 1 - i] = v;
    }
}

/* -- lists -- */

static struct value *list_append(struct render *r, struct value *self, const struct call *c)
{
    list_push(r->a, self, c->args[0]);
    return value_none(r->a);
}

static struct value *list_extend(struct render *r, struct value *self, const struct call *c)
{
    struct value *more = jinja_list_of(r, c->args[0]);
    if (!more || !render_step(r, more->list.n))
        return NULL;
    size_t n = more->list.n; /* it may be the list itself */
    for (size_t i = 0; i < n; i++)
        list_push(r->a, self, more->list.items[i]);
    return value_none(r->a);
}

static struct value *list_insert(struct render *r, struct value *self, const struct call *c)
{
    int64_t at, n = (int64_t)self->list.n;
    if (!jinja_int_arg(r, c->args[0], 0, &at) || !render_charge(r, 8 * self->list.n))
        return NULL;
    at = at < 0 ? (at < -n ? 0 : at + n) : at > n ? n : at;
    list_push(r->a, self, c->args[1]);
    memmove(self->list.items + at + 1, self->list.items + at,
            (size_t)(n - at) * sizeof *self->list.items);
    self->list.items[at] = c->args[1];
    return value_none(r->a);
}

static struct value *take(struct value *list, size_t at)
{
    struct value *v = list->list.items[at];
    memmove(list->list.items + at, list->list.items + at + 1,
            (list->list.n - at - 1) * sizeof *list->list.items);
    list->list.n--;
    return v;
}

static struct value *list_pop(struct render *r, struct value *self, const struct call *c)
{
    int64_t at, n = (int64_t)self->list.n;
    if (!jinja_int_arg(r, c->args[0], -1, &at) || !render_charge(r, 8 * self->list.n))
        return NULL;
    if (n == 0)
        return render_fail(r, "IndexError", "pop from empty list");
    at += at < 0 ? n : 0;
    if (at < 0 || at >= n)
        return render_fail(r, "IndexError", "pop index out of range");
    return take(self, (size_t)at);
}

/* The index of `item`, SIZE_MAX when it is not there; false after a failure. */
static bool position(struct render *r, const struct value *list, const struct value *item,
                     size_t *ret)
{
    *ret = SIZE_MAX;
    for (size_t i = 0; i < list->list.n; i++) {
        bool same;
        if (!render_step(r, 1) || !jinja_equal(r, list->list.items[i], item, &same))
            return false;
        if (same) {
            *ret = i;
            return true;
        }
    }
    return true;
}

static struct value *list_index(struct render *r, struct value *self, const struct call *c)
{
    size_t at;
    if (!position(r, self, c->args[0], &at))
        return NULL;
    if (at != SIZE_MAX)
        return value_int(r->a, (int64_t)at);
    if (self->tuple)
        return render_fail(r, "ValueError", "tuple.index(x): x not in tuple");
    if (!jinja_guard(r, c->args[0]))
        return NULL;
    return render_fail(r, "ValueError", "%.200s is not in list",
                       arena_printf(r->a, "%.*s", STR_ARG(value_repr(r->a, c->args[0]))));
}

static struct value *list_remove(struct render *r, struct value *self, const struct call *c)
{
    size_t at;
    if (!position(r, self, c->args[0], &at) || !render_charge(r, 8 * self->list.n))
        return NULL;
    if (at == SIZE_MAX)
        return render_fail(r, "ValueError", "list.remove(x): x not in list");
    take(self, at);
    return value_none(r->a);
}

static struct value *list_count(struct render *r, struct value *self, const struct call *c)
{
    int64_t n = 0;
    for (size_t i = 0; i < self->list.n; i++) {
        bool same;
        if (!render_step(r, 1) || !jinja_equal(r, self->list.items[i], c->args[0], &same))
            return NULL;
        n += same;
    }
    return value_int(r->a, n);
}

static struct value *list_reverse(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    if (!render_charge(r, 8 * self->list.n))
        return NULL;
    jinja_reverse(self);
    return value_none(r->a);
}

static struct value *list_sort(struct render *r, struct value *self, const struct call *c)
{
    struct value *sorted = jinja_sorted(r, self, c->args[0]);
    if (!sorted)
        return NULL;
    self->list = sorted->list;
    return value_none(r->a);
}

static struct value *list_clear(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    self->list.n = 0;
    return value_none(r->a);
}

static struct value *list_copy(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return jinja_slice(r, self, NULL, NULL, NULL);
}

/* -- dicts -- */

struct value *jinja_items(struct render *r, const struct value *dict)
{
    struct value *list = value_list(r->a);
    if (!render_step(r, 3 * dict->dict.n))
        return NULL;
    for (size_t i = 0; i < dict->dict.n; i++)
        list_push(r->a, list, pair(r, dict->dict.entries[i].key, dict->dict.entries[i].value));
    return list;
}

static struct value *dict_items_method(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return jinja_items(r, self);
}

static struct value *dict_keys(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return jinja_list_of(r, self);
}

static struct value *dict_values(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct value *list = value_list(r->a);
    if (!render_step(r, self->dict.n))
        return NULL;
    for (size_t i = 0; i < self->dict.n; i++)
        list_push(r->a, list, self->dict.entries[i].value);
    return list;
}

static bool hashable(struct render *r, const struct value *key)
{
    if (r->t->mode == JINJA_TASK && !jinja_defined(r, key))
        return false;
    if (key->type > VALUE_STR)
        render_fail(r, "TypeError", "unhashable type: '%s'", value_type_name(key));
    return key->type <= VALUE_STR && jinja_charge_key(r, key);
}

static struct value *dict_get_method(struct render *r, struct value *self, const struct call *c)
{
    if (!hashable(r, c->args[0]))
        return NULL;
    struct value *v = c->args[0]->type ? dict_find(self, c->args[0]) : NULL;
    return v ? v : c->args[1] ? c->args[1] : value_none(r->a);
}

static struct value *dict_setdefault(struct render *r, struct value *self, const struct call *c)
{
    struct value *v = jinja_defined(r, c->args[0]) ? dict_get_method(r, self, c) : NULL;
    if (v && !dict_find(self, c->args[0]))
        dict_put(r->a, self, c->args[0], v);
    return v;
}

/* Copies what is left of `self` without `key` over it: a dict has no removal of its own. */
static struct value *dict_pop(struct render *r, struct value *self, const struct call *c)
{
    if (!jinja_defined(r, c->args[0]) || !hashable(r, c->args[0]) || !render_step(r, self->dict.n))
        return NULL;
    struct value *found = dict_find(self, c->args[0]);
    if (!found) {
        if (c->args[1])
            return c->args[1];
        return render_fail(r, "KeyError", "%.*s", STR_ARG(value_repr(r->a, c->args[0])));
    }
    struct value *rest = value_dict(r->a);
    for (size_t i = 0; i < self->dict.n; i++)
        if (self->dict.entries[i].value != found ||
            !value_eq(self->dict.entries[i].key, c->args[0]))
            dict_put(r->a, rest, self->dict.entries[i].key, self->dict.entries[i].value);
    self->dict = rest->dict;
    return found;
}

static struct value *dict_update(struct render *r, struct value *self, const struct call *c)
{
    for (size_t k = 0; k < c->n; k++) {
        const struct value *other = c->args[k];
        if (other->type != VALUE_DICT)
            return render_fail(r, "TypeError", "update() takes a mapping, not %s",
                               value_type_name(other));
        size_t n = other->dict.n;
        if (!render_step(r, 2 * n))
            return NULL;
        for (size_t i = 0; i < n; i++)
            dict_put(r->a, self, other->dict.entries[i].key, other->dict.entries[i].value);
    }
    for (size_t i = 0; i < c->n_keywords; i++)
        dict_put(r->a, self, value_str(r->a, c->keywords[i].name), c->keywords[i].value);
    return value_none(r->a);
}

static struct value *dict_clear(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    self->dict = value_dict(r->a)->dict;
    return value_none(r->a);
}

static struct value *dict_copy(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct value *copy = value_dict(r->a);
    if (!render_step(r, 2 * self->dict.n))
        return NULL;
    for (size_t i = 0; i < self->dict.n; i++)
        dict_put(r->a, copy, self->dict.entries[i].key, self->dict.entries[i].value);
    return copy;
}

static struct value *float_is_integer(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, isfinite(self->f) && self->f == floor(self->f));
}

/* -- loop and cycler -- */

static struct value *loop_cycle(struct render *r, struct value *self, const struct call *c)
{
    const struct object *o = jinja_as_object(self, OBJECT_LOOP);
    if (!o || !c->n)
        return render_fail(r, "TypeError", "no items for cycling given");
    return c->args[o->position % c->n];
}

static struct value *loop_changed(struct render *r, struct value *self, const struct call *c)
{
    struct object *o = jinja_as_object(self, OBJECT_LOOP);
    if (!o)
        return render_fail(r, "TypeError", "changed() belongs to loop");
    struct value *now = value_list(r->a);
    for (size_t i = 0; i < c->n; i++)
        list_push(r->a, now, c->args[i]);
    bool same = false;
    if (o->changed && !jinja_equal(r, o->changed, now, &same))
        return NULL;
    if (!same)
        o->changed = now;
    return value_bool(r->a, !same);
}

static struct value *cycler_next(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct object *o = jinja_as_object(self, OBJECT_CYCLER);
    if (!o)
        return render_fail(r, "TypeError", "next() belongs to a cycler");
    return o->self->list.items[o->position++ % o->self->list.n];
}

static struct value *cycler_reset(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct object *o = jinja_as_object(self, OBJECT_CYCLER);
    if (!o)
        return render_fail(r, "TypeError", "reset() belongs to a cycler");
    o->position = 0;
    return value_none(r->a);
}

static const struct builtin list_methods[] = {
    {"append", list_append, "object", 1, 0},
    {"extend", list_extend, "iterable", 1, 0},
    {"insert", list_insert, "index object", 2, 0},
    {"pop", list_pop, "index", 0, 0},
    {"remove", list_remove, "value", 1, 0},
    {"reverse", list_reverse, "", 0, 0},
    {"clear", list_clear, "", 0, 0},
    {"sort", list_sort, "reverse", 0, 0},
    {"index", list_index, "value", 1, 0},
    {"count", list_count, "value", 1, 0},
    {"copy", list_copy, "", 0, 0},
};

static const struct builtin dict_methods[] = {
    {"get", dict_get_method, "key default", 1, 0},
    {"items", dict_items_method, "", 0, 0},
    {"keys", dict_keys, "", 0, 0},
    {"values", dict_values, "", 0, 0},
    {"pop", dict_pop, "key default", 1, 0},
    {"setdefault", dict_setdefault, "key default", 1, 0},
    {"update", dict_update, "*", 0, 0},
    {"clear", dict_clear, "", 0, 0},
    {"copy", dict_copy, "", 0, 0},
};

static const struct builtin float_methods[] = {{"is_integer", float_is_integer, "", 0, 0}};

static const struct builtin object_methods[] = {
    {"cycle", loop_cycle, "*", 0, 0},
    {"changed", loop_changed, "*", 0, 0},
    {"next", cycler_next, "", 0, 0},
    {"reset", cycler_reset, "", 0, 0},
};

#define ROWS(table) table, sizeof table / sizeof *table

const struct builtin *jinja_find_method(enum value_type type, struct str name)
{
    static const struct {
        const struct builtin *rows;
        size_t n;
    } types[] = {
        [VALUE_FLOAT] = {ROWS(float_methods)},
        [VALUE_LIST] = {ROWS(list_methods)},
        [VALUE_DICT] = {ROWS(dict_methods)},
        [VALUE_OTHER] = {ROWS(object_methods)},
    };
    if (type == VALUE_STR)
        return jinja_find_row(jinja_str_methods, jinja_n_str_methods, name, JINJA_TASK);
    return jinja_find_row(types[type].rows, types[type].n, name, JINJA_TASK);
}

bool jinja_method_mutates(struct str name)
{
    static const char *const names[] = {"sort",   "append",  "extend", "insert",     "pop",
                                        "remove", "reverse", "clear",  "setdefault", "update"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eqz(name, names[i]))
            return true;
    return false;
}
