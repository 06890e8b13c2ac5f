/* jinja_tests.c: what may follow "is", and the global functions. */
#include <stdlib.h>
#include <time.h>

#include "base/jinja_internal.h"
#include "base/utf8.h"

enum { SANDBOX_MAX_RANGE = 100000 };

/* -- tests -- */

static struct value *test_defined(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type != VALUE_UNDEFINED);
}

static struct value *test_undefined(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_UNDEFINED);
}

static struct value *test_none(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_NONE);
}

static struct value *test_boolean(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_BOOL);
}

static struct value *test_true(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_BOOL && self->b);
}

static struct value *test_false(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_BOOL && !self->b);
}

static struct value *test_integer(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_INT);
}

static struct value *test_float(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_FLOAT);
}

static struct value *test_number(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, jinja_is_number(self));
}

static struct value *test_string(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_STR);
}

static struct value *test_mapping(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_DICT);
}

static struct value *test_sequence(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type >= VALUE_STR && self->type <= VALUE_DICT);
}

static struct value *test_iterable(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    if (self->type == VALUE_UNDEFINED && r->t->mode == JINJA_TASK)
        return jinja_undefined_error(r, self);
    return value_bool(r->a, self->type == VALUE_UNDEFINED || jinja_as_object(self, OBJECT_LOOP) ||
                                (self->type >= VALUE_STR && self->type <= VALUE_DICT));
}

static struct value *test_callable(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    bool yes = self->type == VALUE_UNDEFINED || jinja_as_object(self, OBJECT_FUNCTION) ||
               jinja_as_object(self, OBJECT_MACRO) || jinja_as_object(self, OBJECT_LOOP) ||
               jinja_as_object(self, OBJECT_JOINER);
    return value_bool(r->a, yes);
}

static struct value *test_escaped(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, jinja_is_markup(self));
}

static struct value *has_case(struct render *r, const struct value *self, bool upper)
{
    struct str s;
    return jinja_text(r, self, &s) && render_charge(r, 2 * s.n)
               ? value_bool(r->a, jinja_has_case(r, s, upper))
               : NULL;
}

static struct value *test_lower(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return has_case(r, self, false);
}

static struct value *test_upper(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return has_case(r, self, true);
}

static struct value *remainder_is(struct render *r, struct value *self, struct value *by, int want)
{
    struct value *rest = jinja_binary(r, TOKEN_MOD, self, by);
    bool same;
    if (!rest || !jinja_equal(r, rest, value_int(r->a, want), &same))
        return NULL;
    return value_bool(r->a, same);
}

static struct value *test_odd(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return remainder_is(r, self, value_int(r->a, 2), 1);
}

static struct value *test_even(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return remainder_is(r, self, value_int(r->a, 2), 0);
}

static struct value *test_divisibleby(struct render *r, struct value *self, const struct call *c)
{
    return remainder_is(r, self, c->args[0], 0);
}

static struct value *test_eq(struct render *r, struct value *self, const struct call *c)
{
    bool same;
    return jinja_equal(r, self, c->args[0], &same) ? value_bool(r->a, same) : NULL;
}

static struct value *test_ne(struct render *r, struct value *self, const struct call *c)
{
    bool same;
    return jinja_equal(r, self, c->args[0], &same) ? value_bool(r->a, !same) : NULL;
}

static struct value *order_is(struct render *r, struct value *self, const struct call *c,
                              const char *op, int want, int or_want)
{
    int order;
    if (!jinja_order(r, op, self, c->args[0], &order))
        return NULL;
    return value_bool(r->a, order == want || order == or_want);
}

static struct value *test_lt(struct render *r, struct value *self, const struct call *c)
{
    return order_is(r, self, c, "<", -1, -1);
}

static struct value *test_le(struct render *r, struct value *self, const struct call *c)
{
    return order_is(r, self, c, "<=", -1, 0);
}

static struct value *test_gt(struct render *r, struct value *self, const struct call *c)
{
    return order_is(r, self, c, ">", 1, 1);
}

static struct value *test_ge(struct render *r, struct value *self, const struct call *c)
{
    return order_is(r, self, c, ">=", 1, 0);
}

static struct value *test_in(struct render *r, struct value *self, const struct call *c)
{
    bool yes;
    return jinja_contains(r, self, c->args[0], &yes) ? value_bool(r->a, yes) : NULL;
}

/* Python's "is": the same object, or the same of what exists only once. */
static struct value *test_sameas(struct render *r, struct value *self, const struct call *c)
{
    const struct value *other = c->args[0];
    bool single = self->type == other->type &&
                  (self->type == VALUE_NONE || self->type == VALUE_BOOL || self->type == VALUE_INT);
    return value_bool(r->a, self == other || (single && value_eq(self, other)));
}

static struct value *test_filter(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a,
                      self->type == VALUE_STR && jinja_find_filter(self->s, r->t->mode) != NULL);
}

static struct value *test_test(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, self->type == VALUE_STR && jinja_find_test(self->s) != NULL);
}

static const struct builtin tests[] = {
    {"defined", test_defined, "", 0, 0},    {"undefined", test_undefined, "", 0, 0},
    {"none", test_none, "", 0, 0},          {"string", test_string, "", 0, 0},
    {"mapping", test_mapping, "", 0, 0},    {"iterable", test_iterable, "", 0, 0},
    {"sequence", test_sequence, "", 0, 0},  {"number", test_number, "", 0, 0},
    {"integer", test_integer, "", 0, 0},    {"float", test_float, "", 0, 0},
    {"boolean", test_boolean, "", 0, 0},    {"true", test_true, "", 0, 0},
    {"false", test_false, "", 0, 0},        {"callable", test_callable, "", 0, 0},
    {"escaped", test_escaped, "", 0, 0},    {"lower", test_lower, "", 0, 0},
    {"upper", test_upper, "", 0, 0},        {"odd", test_odd, "", 0, 0},
    {"even", test_even, "", 0, 0},          {"divisibleby", test_divisibleby, "num", 1, 0},
    {"sameas", test_sameas, "other", 1, 0}, {"in", test_in, "seq", 1, 0},
    {"filter", test_filter, "", 0, 0},      {"test", test_test, "", 0, 0},
    {"==", test_eq, "other", 1, 0},         {"eq", test_eq, "other", 1, 0},
    {"equalto", test_eq, "other", 1, 0},    {"!=", test_ne, "other", 1, 0},
    {"ne", test_ne, "other", 1, 0},         {">", test_gt, "other", 1, 0},
    {"gt", test_gt, "other", 1, 0},         {"greaterthan", test_gt, "other", 1, 0},
    {">=", test_ge, "other", 1, 0},         {"ge", test_ge, "other", 1, 0},
    {"<", test_lt, "other", 1, 0},          {"lt", test_lt, "other", 1, 0},
    {"lessthan", test_lt, "other", 1, 0},   {"<=", test_le, "other", 1, 0},
    {"le", test_le, "other", 1, 0},
};

/* -- global functions -- */

static struct value *global_range(struct render *r, struct value *self, const struct call *c)
{
    (void)self;
    int64_t from = 0, to, step;
    for (size_t i = 0; i < c->n; i++)
        if (c->args[i] && c->args[i]->type == VALUE_NONE)
            return render_fail(r, "TypeError",
                               "'NoneType' object cannot be interpreted as an integer");
    if (!jinja_int_arg(r, c->args[c->args[1] ? 1 : 0], 0, &to) ||
        (c->args[1] && !jinja_int_arg(r, c->args[0], 0, &from)) ||
        !jinja_int_arg(r, c->args[2], 1, &step))
        return NULL;
    if (step == 0)
        return render_fail(r, "ValueError", "range() arg 3 must not be zero");
    bool any = step > 0 ? from < to : from > to;
    uint64_t distance = step > 0 ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to;
    uint64_t stride = step > 0 ? (uint64_t)step : (uint64_t)0 - (uint64_t)step;
    uint64_t n = any ? (distance - 1) / stride + 1 : 0;
    if (r->t->mode == JINJA_CHAT && n > SANDBOX_MAX_RANGE)
        return render_fail(r, "OverflowError",
                           "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                           SANDBOX_MAX_RANGE);
    if (!render_step(r, n))
        return NULL;
    struct value *list = value_list(r->a);
    for (uint64_t i = 0; i < n; i++)
        list_push(r->a, list, value_int(r->a, (int64_t)((uint64_t)from + i * (uint64_t)step)));
    return list;
}

/* Puts what dict(), namespace() take into `dict`: a mapping or a list of pairs, then keywords. */
static bool fill_dict(struct render *r, struct value *dict, const struct call *c)
{
    if (c->n > 1) {
        render_fail(r, "TypeError", "dict expected at most 1 argument, got %zu", c->n);
        return false;
    }
    const struct value *from = c->n ? c->args[0] : NULL;
    if (from && from->type == VALUE_DICT) {
        if (!render_step(r, from->dict.n))
            return false;
        for (size_t i = 0; i < from->dict.n; i++)
            dict_put(r->a, dict, from->dict.entries[i].key, from->dict.entries[i].value);
    } else if (from) {
        struct value *list = jinja_list_of(r, c->args[0]);
        for (size_t i = 0; list && i < list->list.n; i++) {
            const struct value *pair = list->list.items[i];
            if (pair->type != VALUE_LIST || pair->list.n != 2 ||
                pair->list.items[0]->type > VALUE_STR ||
                pair->list.items[0]->type == VALUE_UNDEFINED) {
                render_fail(r, "TypeError",
                            "cannot convert dictionary update sequence element #%zu to a pair", i);
                return false;
            }
            if (!render_step(r, 1))
                return false;
            dict_put(r->a, dict, pair->list.items[0], pair->list.items[1]);
        }
        if (!list)
            return false;
    }
    for (size_t i = 0; i < c->n_keywords; i++)
        dict_put(r->a, dict, value_str(r->a, c->keywords[i].name), c->keywords[i].value);
    return true;
}

static struct value *global_dict(struct render *r, struct value *self, const struct call *c)
{
    (void)self;
    struct value *dict = value_dict(r->a);
    return fill_dict(r, dict, c) ? dict : NULL;
}

static struct value *object(struct render *r, enum object_type type, struct value *self)
{
    struct object *o = arena_alloc(r->a, sizeof *o);
    o->type = type;
    o->self = self;
    return jinja_object(r, o);
}

static bool check_namespace_name(struct render *r, struct str name)
{
    if (r->t->mode != JINJA_CHAT || !name.n || name.p[0] != '_')
        return true;
    render_fail(r, "SecurityError",
                "Chat templates cannot store underscore-prefixed attributes on a namespace, but "
                "got '%.*s'. Please rename the attribute.",
                STR_ARG(name));
    return false;
}

bool jinja_namespace_set(struct render *r, struct object *ns, struct str name, struct value *v)
{
    if (!check_namespace_name(r, name))
        return false;
    dict_put(r->a, ns->self, value_str(r->a, name), v);
    return true;
}

static struct value *global_namespace(struct render *r, struct value *self, const struct call *c)
{
    (void)self;
    struct value *dict = value_dict(r->a);
    if (!fill_dict(r, dict, c))
        return NULL;
    for (size_t i = 0; i < dict->dict.n; i++)
        if (dict->dict.entries[i].key->type == VALUE_STR &&
            !check_namespace_name(r, dict->dict.entries[i].key->s))
            return NULL;
    return object(r, OBJECT_NAMESPACE, dict);
}

static struct value *global_cycler(struct render *r, struct value *self, const struct call *c)
{
    (void)self;
    if (!c->n)
        return render_fail(r, "RuntimeError", "at least one item has to be provided");
    struct value *items = value_list(r->a);
    for (size_t i = 0; i < c->n; i++)
        list_push(r->a, items, c->args[i]);
    return object(r, OBJECT_CYCLER, items);
}

static struct value *global_joiner(struct render *r, struct value *self, const struct call *c)
{
    (void)self;
    return object(r, OBJECT_JOINER, c->args[0] ? c->args[0] : value_str(r->a, STR(", ")));
}

static struct value *raise_exception(struct render *r, struct value *self, const struct call *c)
{
    (void)self;
    struct str s;
    if (!jinja_text(r, c->args[0], &s))
        return NULL;
    return render_fail(r, "TemplateError", "%.*s", STR_ARG(s));
}

static struct value *strftime_now(struct render *r, struct value *self, const struct call *c)
{
    (void)self;
    struct str format;
    if (!jinja_str_arg(r, c->args[0], &format))
        return NULL;
    time_t now = time(NULL);
    struct tm tm;
    char text[1024];
    localtime_r(&now, &tm);
    const char *z = arena_copy(r->a, format.p, format.n);
    size_t n = format.n < 256 ? strftime(text, sizeof text, z, &tm) : 0;
    if (!n && format.n)
        return render_fail(r, "ValueError", "strftime_now() got a format that is too long");
    return value_str(r->a, str_copy(r->a, (struct str){text, n}));
}

static const struct builtin globals[] = {
    {"range", global_range, "start stop step", 1, 0},
    {"dict", global_dict, "*", 0, 0},
    {"namespace", global_namespace, "*", 0, 0},
    {"cycler", global_cycler, "*", 0, 0},
    {"joiner", global_joiner, "sep", 0, 0},
    {"raise_exception", raise_exception, "message", 1, IN_CHAT},
    {"strftime_now", strftime_now, "format", 1, IN_CHAT},
};

const struct builtin *jinja_find_test(struct str name)
{
    return jinja_find_row(tests, sizeof tests / sizeof *tests, name, JINJA_TASK);
}

const struct builtin *jinja_find_global(struct str name, enum jinja_mode mode)
{
    return jinja_find_row(globals, sizeof globals / sizeof *globals, name, mode);
}

const struct builtin *jinja_find_filter(struct str name, enum jinja_mode mode)
{
    const struct builtin *b = jinja_find_row(jinja_text_filters, jinja_n_text_filters, name, mode);
    if (b)
        return b;
    return jinja_find_row(jinja_sequence_filters, jinja_n_sequence_filters, name, mode);
}
