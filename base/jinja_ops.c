/* jinja_ops.c: what Python's comparisons, attributes, subscripts and str() do to values, with the
 * sentences of Python's exceptions. jinja_math.c has the arithmetic. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jinja_internal.h"
#include "base/utf8.h"

enum { MAX_DEPTH = 100 }; /* of lists in lists */

static const char markup_tag[] = "markup";

/* -- objects, undefined values, text -- */

struct value *jinja_object(struct render *r, struct object *o)
{
    struct value *v = value_none(r->a);
    v->type = VALUE_OTHER;
    v->other = o;
    return v;
}

struct object *jinja_as_object(const struct value *v, enum object_type type)
{
    if (!v || v->type != VALUE_OTHER)
        return NULL;
    struct object *o = v->other;
    return o->type == type ? o : NULL;
}

/* An undefined value carries the sentence that its use would raise in `s`, and the kind of that
 * exception in `tag`. */
struct value *jinja_undefined(struct render *r, const char *kind, const char *format, ...)
{
    struct value *v = value_undefined(r->a);
    va_list args;
    va_start(args, format);
    v->s = str_of(arena_vprintf(r->a, format, args));
    va_end(args);
    v->tag = kind;
    return v;
}

struct value *jinja_undefined_error(struct render *r, const struct value *v)
{
    if (!v->s.n)
        return render_fail(r, "UndefinedError", "the value is undefined");
    return render_fail(r, v->tag ? v->tag : "UndefinedError", "%.*s", STR_ARG(v->s));
}

bool jinja_defined(struct render *r, const struct value *v)
{
    if (v->type == VALUE_UNDEFINED)
        jinja_undefined_error(r, v);
    return v->type != VALUE_UNDEFINED;
}

struct str jinja_type_words(const struct value *v)
{
    static const struct str objects[] = {
        [OBJECT_NAMESPACE] = {"jinja2.utils.Namespace object", 29},
        [OBJECT_LOOP] = {"jinja2.runtime.LoopContext object", 33},
        [OBJECT_MACRO] = {"jinja2.runtime.Macro object", 27},
        [OBJECT_FUNCTION] = {"builtin_function_or_method object", 33},
        [OBJECT_CYCLER] = {"jinja2.utils.Cycler object", 26},
        [OBJECT_JOINER] = {"jinja2.utils.Joiner object", 26},
    };
    static const struct str types[] = {
        [VALUE_NONE] = {"None", 4},         [VALUE_BOOL] = {"bool object", 11},
        [VALUE_INT] = {"int object", 10},   [VALUE_FLOAT] = {"float object", 12},
        [VALUE_STR] = {"str object", 10},   [VALUE_LIST] = {"list object", 11},
        [VALUE_DICT] = {"dict object", 11}, [VALUE_UNDEFINED] = {"undefined object", 16},
    };
    if (v->type == VALUE_OTHER)
        return objects[((const struct object *)v->other)->type];
    return v->type == VALUE_LIST && v->tuple ? STR("tuple object") : types[v->type];
}

bool jinja_is_markup(const struct value *v)
{
    return v->type == VALUE_STR && v->tag == markup_tag;
}

struct value *jinja_markup(struct render *r, struct str s)
{
    struct value *v = value_str(r->a, s);
    v->tag = markup_tag;
    return v;
}

struct value *jinja_text_value(struct render *r, struct buf *b)
{
    return value_str(r->a, buf_take(b, r->a));
}

void jinja_escape(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '&')
            buf_puts(b, "&amp;");
        else if (c == '<')
            buf_puts(b, "&lt;");
        else if (c == '>')
            buf_puts(b, "&gt;");
        else if (c == '\'')
            buf_puts(b, "&#39;");
        else if (c == '"')
            buf_puts(b, "&#34;");
        else
            buf_char(b, c);
    }
}

static bool guard(struct render *r, const struct value *v, int depth)
{
    if (v->type != VALUE_LIST && v->type != VALUE_DICT)
        return render_charge(r, v->type == VALUE_STR ? v->s.n : 8);
    if (depth >= MAX_DEPTH) {
        render_fail(r, "RecursionError", "a list or dict is nested more than %d levels deep",
                    MAX_DEPTH);
        return false;
    }
    if (!render_step(r, 1))
        return false;
    if (v->type == VALUE_LIST) {
        for (size_t i = 0; i < v->list.n; i++)
            if (!guard(r, v->list.items[i], depth + 1))
                return false;
        return true;
    }
    for (size_t i = 0; i < v->dict.n; i++)
        if (!guard(r, v->dict.entries[i].key, depth + 1) ||
            !guard(r, v->dict.entries[i].value, depth + 1))
            return false;
    return true;
}

bool jinja_guard(struct render *r, const struct value *v)
{
    return guard(r, v, 0);
}

static struct str object_text(struct render *r, const struct object *o)
{
    switch (o->type) {
    case OBJECT_NAMESPACE:
        return str_printf(r->a, "<Namespace %.*s>", STR_ARG(value_repr(r->a, o->self)));
    case OBJECT_LOOP:
        return str_printf(r->a, "<LoopContext %zu/%zu>", o->position + 1, o->n_items);
    case OBJECT_MACRO:
        if (o->node->type == STMT_CALL_BLOCK)
            return STR("<Macro anonymous>");
        return str_printf(r->a, "<Macro '%.*s'>", STR_ARG(o->node->name));
    case OBJECT_FUNCTION:
        return str_printf(r->a, "<%s %s>", o->self ? "built-in method" : "function",
                          o->builtin->name);
    case OBJECT_CYCLER:
        return STR("<Cycler>");
    case OBJECT_JOINER:
        break;
    }
    return STR("<Joiner>");
}

bool jinja_text(struct render *r, const struct value *v, struct str *ret)
{
    if (v->type == VALUE_STR) {
        *ret = v->s;
    } else if (v->type == VALUE_UNDEFINED) {
        if (r->t->mode == JINJA_TASK && !jinja_defined(r, v))
            return false;
        *ret = STR("");
    } else if (v->type == VALUE_OTHER) {
        const struct object *o = v->other;
        if (o->type == OBJECT_NAMESPACE && !jinja_guard(r, o->self))
            return false;
        *ret = object_text(r, o);
    } else {
        if (!jinja_guard(r, v))
            return false;
        *ret = value_tostr(r->a, v);
    }
    return true;
}

bool jinja_truthy(struct render *r, const struct value *v, bool *ret)
{
    if (v->type == VALUE_UNDEFINED && r->t->mode == JINJA_TASK)
        return jinja_defined(r, v);
    *ret = v->type == VALUE_OTHER ? true : v->type != VALUE_UNDEFINED && value_truthy(v);
    return true;
}

/* -- numbers and comparisons -- */

bool jinja_is_number(const struct value *v)
{
    return v->type == VALUE_INT || v->type == VALUE_FLOAT || v->type == VALUE_BOOL;
}

int64_t jinja_integer(const struct value *v)
{
    return v->type == VALUE_BOOL ? v->b : v->i;
}

double jinja_double(const struct value *v)
{
    return v->type == VALUE_FLOAT ? v->f : (double)jinja_integer(v);
}

bool jinja_equal(struct render *r, const struct value *x, const struct value *y, bool *ret)
{
    if (r->t->mode == JINJA_TASK && (!jinja_defined(r, x) || !jinja_defined(r, y)))
        return false;
    bool deep = (x->type == VALUE_LIST && y->type == VALUE_LIST) ||
                (x->type == VALUE_DICT && y->type == VALUE_DICT);
    if (deep && (!jinja_guard(r, x) || !jinja_guard(r, y)))
        return false;
    if (x->type == VALUE_STR && y->type == VALUE_STR && x->s.n == y->s.n &&
        !render_charge(r, x->s.n / SCAN_BYTES))
        return false;
    if (x->type == VALUE_OTHER || y->type == VALUE_OTHER)
        *ret = x->type == y->type && x->other == y->other;
    else if (x->type == VALUE_UNDEFINED || y->type == VALUE_UNDEFINED)
        *ret = x->type == y->type;
    else
        *ret = value_eq(x, y);
    return true;
}

bool jinja_charge_key(struct render *r, const struct value *key)
{
    return key->type != VALUE_STR || render_charge(r, key->s.n / SCAN_BYTES);
}

static int sign(bool less, bool greater)
{
    return less ? -1 : greater ? 1 : 0;
}

static bool order_lists(struct render *r, const char *op, const struct value *x,
                        const struct value *y, int *ret)
{
    for (size_t i = 0; i < x->list.n && i < y->list.n; i++) {
        bool same;
        if (!jinja_equal(r, x->list.items[i], y->list.items[i], &same))
            return false;
        if (!same)
            return jinja_order(r, op, x->list.items[i], y->list.items[i], ret);
    }
    *ret = sign(x->list.n<y->list.n, x->list.n> y->list.n);
    return true;
}

bool jinja_order(struct render *r, const char *op, const struct value *x, const struct value *y,
                 int *ret)
{
    if (!jinja_defined(r, x) || !jinja_defined(r, y) || !render_step(r, 1))
        return false;
    if (jinja_is_number(x) && jinja_is_number(y)) {
        if (x->type == VALUE_FLOAT || y->type == VALUE_FLOAT) {
            double a = jinja_double(x), b = jinja_double(y);
            *ret = isnan(a) || isnan(b) ? 2 : sign(a<b, a> b);
        } else {
            *ret = sign(jinja_integer(x) < jinja_integer(y), jinja_integer(x) > jinja_integer(y));
        }
        return true;
    }
    if (x->type == VALUE_STR && y->type == VALUE_STR) {
        int c = str_cmp(x->s, y->s);
        *ret = sign(c<0, c> 0);
        return render_charge(r, (x->s.n < y->s.n ? x->s.n : y->s.n) / SCAN_BYTES);
    }
    if (x->type == VALUE_LIST && y->type == VALUE_LIST && x->tuple == y->tuple)
        return order_lists(r, op, x, y, ret);
    render_fail(r, "TypeError", "'%s' not supported between instances of '%s' and '%s'", op,
                value_type_name(x), value_type_name(y));
    return false;
}

bool jinja_contains(struct render *r, const struct value *item, const struct value *in, bool *ret)
{
    if (in->type == VALUE_UNDEFINED && r->t->mode == JINJA_TASK)
        return jinja_defined(r, in);
    *ret = false;
    switch (in->type) {
    case VALUE_STR:
        if (item->type != VALUE_STR) {
            if (jinja_defined(r, item))
                render_fail(r, "TypeError", "'in <string>' requires string as left operand, not %s",
                            value_type_name(item));
            return false;
        }
        *ret = str_find(in->s, item->s, 0) != SIZE_MAX;
        return render_charge(r, in->s.n);
    case VALUE_LIST:
        for (size_t i = 0; i < in->list.n && !*ret; i++)
            if (!render_step(r, 1) || !jinja_equal(r, item, in->list.items[i], ret))
                return false;
        return true;
    case VALUE_DICT:
        if (item->type == VALUE_LIST || item->type == VALUE_DICT) {
            render_fail(r, "TypeError", "unhashable type: '%s'", value_type_name(item));
            return false;
        }
        if (!jinja_charge_key(r, item))
            return false;
        *ret = item->type != VALUE_UNDEFINED && item->type != VALUE_OTHER && dict_find(in, item);
        return r->t->mode == JINJA_CHAT || jinja_defined(r, item);
    case VALUE_UNDEFINED:
        return true;
    default:
        render_fail(r, "TypeError", "argument of type '%s' is not iterable", value_type_name(in));
        return false;
    }
}

/* -- sequences -- */

static struct value *characters(struct render *r, struct str s)
{
    struct value *list = value_list(r->a);
    for (size_t i = 0; i < s.n;) {
        size_t from = i;
        utf8_next(s, &i);
        if (!render_step(r, 2))
            return NULL;
        list_push(r->a, list, value_str(r->a, str_slice(s, from, i)));
    }
    return list;
}

struct value *jinja_list_of(struct render *r, struct value *v)
{
    switch (v->type) {
    case VALUE_LIST:
        return v;
    case VALUE_STR:
        return characters(r, v->s);
    case VALUE_DICT: {
        struct value *list = value_list(r->a);
        if (!render_step(r, v->dict.n))
            return NULL;
        for (size_t i = 0; i < v->dict.n; i++)
            list_push(r->a, list, v->dict.entries[i].key);
        return list;
    }
    case VALUE_UNDEFINED:
        if (r->t->mode == JINJA_TASK)
            return jinja_undefined_error(r, v);
        return value_list(r->a);
    default:
        return render_fail(r, "TypeError", "'%s' object is not iterable", value_type_name(v));
    }
}

/* Python's slice.indices(): where to start and how many steps to take. */
static size_t slice_range(int64_t n, const struct value *from, const struct value *to, int64_t step,
                          int64_t *ret_start)
{
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    int64_t bounds[2] = {step < 0 ? high : low, step < 0 ? low : high};
    const struct value *given[2] = {from, to};
    for (int i = 0; i < 2; i++) {
        if (!given[i] || given[i]->type == VALUE_NONE)
            continue;
        int64_t at = jinja_integer(given[i]);
        if (at < 0)
            at = at < -n ? low : at + n;
        bounds[i] = at < low ? low : at > high ? high : at;
    }
    *ret_start = bounds[0];
    int64_t distance = step < 0 ? bounds[0] - bounds[1] : bounds[1] - bounds[0];
    uint64_t stride = step < 0 ? (uint64_t)0 - (uint64_t)step : (uint64_t)step;
    return distance <= 0 ? 0 : (size_t)(((uint64_t)distance - 1) / stride + 1);
}

static bool slice_index(struct render *r, const struct value *v)
{
    if (!v || v->type == VALUE_NONE || v->type == VALUE_INT || v->type == VALUE_BOOL)
        return true;
    if (jinja_defined(r, v))
        render_fail(r, "TypeError",
                    "slice indices must be integers or None or have an __index__ method");
    return false;
}

static struct value *slice_text(struct render *r, struct str s, size_t n_points, int64_t start,
                                size_t n, int64_t step)
{
    if (n == 0)
        return value_str(r->a, STR(""));
    if (step == 1) {
        size_t from = utf8_offset(s, (size_t)start);
        size_t to = from + utf8_offset(str_slice(s, from, s.n), n);
        return value_str(r->a, str_slice(s, from, to));
    }
    uint32_t *at = arena_array(r->a, n_points + 1, sizeof *at);
    size_t k = 0;
    for (size_t i = 0; i < s.n; utf8_next(s, &i))
        at[k++] = (uint32_t)i;
    at[k] = (uint32_t)s.n;
    struct buf b = {0};
    int64_t i = start;
    for (size_t done = 0; done < n; done++) {
        buf_str(&b, str_slice(s, at[i], at[i + 1]));
        if (done + 1 < n)
            i += step;
    }
    return jinja_text_value(r, &b);
}

struct value *jinja_slice(struct render *r, struct value *v, struct value *from, struct value *to,
                          struct value *step_value)
{
    if (!jinja_defined(r, v) || !slice_index(r, from) || !slice_index(r, to) ||
        !slice_index(r, step_value))
        return NULL;
    int64_t step = step_value && step_value->type != VALUE_NONE ? jinja_integer(step_value) : 1;
    if (step == 0)
        return render_fail(r, "ValueError", "slice step cannot be zero");
    if (v->type != VALUE_STR && v->type != VALUE_LIST)
        return render_fail(r, "TypeError",
                           v->type == VALUE_DICT ? "unhashable type: 'slice'"
                                                 : "'%s' object is not subscriptable",
                           value_type_name(v));
    size_t length = v->type == VALUE_STR ? utf8_len(v->s) : v->list.n;
    int64_t start;
    size_t n = slice_range((int64_t)length, from, to, step, &start);
    if (!render_charge(r, v->type == VALUE_STR ? 5 * v->s.n : 8 * n))
        return NULL;
    if (v->type == VALUE_STR)
        return slice_text(r, v->s, length, start, n, step);
    struct value *list = value_list(r->a);
    list->tuple = v->tuple;
    for (size_t i = 0; i < n; i++)
        list_push(r->a, list, v->list.items[start + (int64_t)i * step]);
    return list;
}

/* -- attributes and items -- */

static struct value *missing(struct render *r, const struct value *v, const struct value *key)
{
    struct str type = jinja_type_words(v);
    if (key->type == VALUE_STR)
        return jinja_undefined(r, NULL, "'%.*s' has no attribute %.*s", STR_ARG(type),
                               STR_ARG(value_repr(r->a, key)));
    struct str text;
    if (key->type == VALUE_UNDEFINED)
        text = STR("Undefined");
    else if (!jinja_text(r, key, &text))
        return NULL;
    return jinja_undefined(r, NULL, "%.*s has no element %.*s", STR_ARG(type), STR_ARG(text));
}

static struct value *loop_attr(struct render *r, const struct object *o, struct str name)
{
    int64_t at = (int64_t)o->position, n = (int64_t)o->n_items;
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {{"index", at + 1},         {"index0", at}, {"revindex", n - at},
                  {"revindex0", n - at - 1}, {"length", n},  {"depth", o->depth0 + 1},
                  {"depth0", o->depth0}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (str_eqz(name, counts[i].name))
            return value_int(r->a, counts[i].value);
    if (str_eqz(name, "first"))
        return value_bool(r->a, at == 0);
    if (str_eqz(name, "last"))
        return value_bool(r->a, at + 1 == n);
    if (str_eqz(name, "previtem"))
        return at > 0 ? o->items[at - 1] : jinja_undefined(r, NULL, "there is no previous item");
    if (str_eqz(name, "nextitem"))
        return at + 1 < n ? o->items[at + 1] : jinja_undefined(r, NULL, "there is no next item");
    return NULL;
}

static struct value *macro_attr(struct render *r, const struct object *o, struct str name)
{
    if (str_eqz(name, "name"))
        return value_str(r->a, o->node->name);
    if (!str_eqz(name, "arguments"))
        return NULL;
    struct value *list = value_list(r->a);
    list->tuple = true;
    for (size_t i = 0; i < o->node->n_params; i++)
        list_push(r->a, list, value_str(r->a, o->node->params[i].name));
    return list;
}

static struct value *object_attr(struct render *r, const struct object *o, struct str name)
{
    switch (o->type) {
    case OBJECT_NAMESPACE:
        return dict_gets(o->self, name);
    case OBJECT_LOOP:
        return loop_attr(r, o, name);
    case OBJECT_MACRO:
        return macro_attr(r, o, name);
    case OBJECT_CYCLER:
        return str_eqz(name, "current") ? o->self->list.items[o->position % o->self->list.n] : NULL;
    default:
        return NULL;
    }
}

/* A pair of groupby() answers to .grouper and .list. */
static struct value *group_attr(const struct value *v, struct str name)
{
    if (v->type != VALUE_LIST || !v->tag || strcmp(v->tag, JINJA_GROUP_TAG) != 0 || v->list.n != 2)
        return NULL;
    return str_eqz(name, "grouper") ? v->list.items[0]
           : str_eqz(name, "list")  ? v->list.items[1]
                                    : NULL;
}

struct value *jinja_method(struct render *r, struct value *v, struct str name)
{
    const struct builtin *b = NULL;
    if (v->type == VALUE_OTHER) {
        struct value *found = object_attr(r, v->other, name);
        if (found)
            return found;
        enum object_type type = ((const struct object *)v->other)->type;
        if (type == OBJECT_LOOP || type == OBJECT_CYCLER)
            b = jinja_find_method(VALUE_OTHER, name);
    } else {
        struct value *found = group_attr(v, name);
        if (found)
            return found;
        b = jinja_find_method(v->type, name);
    }
    if (!b)
        return NULL;
    if (v->type == VALUE_LIST && v->tuple && !str_eqz(name, "index") && !str_eqz(name, "count"))
        return NULL;
    /* Chat templates run in a sandbox that allows no changes. A task template whose text does not
     * name the method, but makes its name up, would change the caller's context. */
    bool changes = v->type != VALUE_OTHER && jinja_method_mutates(name);
    if (changes && (r->t->mode == JINJA_CHAT || !r->t->mutates))
        return jinja_undefined(r, "SecurityError",
                               "access to attribute '%.*s' of '%s' object is unsafe.",
                               STR_ARG(name), value_type_name(v));
    struct object *o = arena_alloc(r->a, sizeof *o);
    o->type = OBJECT_FUNCTION;
    o->self = v;
    o->builtin = b;
    return jinja_object(r, o);
}

struct value *jinja_attr(struct render *r, struct value *v, struct str name)
{
    if (!jinja_defined(r, v))
        return NULL;
    struct value *found = jinja_method(r, v, name);
    if (!found)
        found = dict_gets(v, name);
    return found ? found : missing(r, v, value_str(r->a, name));
}

static bool index_of(const struct value *key, size_t n, size_t *ret)
{
    if (key->type != VALUE_INT && key->type != VALUE_BOOL)
        return false;
    int64_t i = jinja_integer(key);
    if (i < 0)
        i += (int64_t)n;
    if (i < 0 || i >= (int64_t)n)
        return false;
    *ret = (size_t)i;
    return true;
}

struct value *jinja_item(struct render *r, struct value *v, struct value *key)
{
    bool hashed = v->type == VALUE_DICT && r->t->mode == JINJA_TASK;
    if (!jinja_defined(r, v) || (hashed && !jinja_defined(r, key)))
        return NULL;
    struct value *found = NULL;
    size_t i;
    if (v->type == VALUE_LIST && index_of(key, v->list.n, &i)) {
        found = v->list.items[i];
    } else if (v->type == VALUE_STR && (key->type == VALUE_INT || key->type == VALUE_BOOL)) {
        if (!render_charge(r, v->s.n))
            return NULL;
        if (index_of(key, utf8_len(v->s), &i)) {
            size_t from = utf8_offset(v->s, i), to = from;
            utf8_next(v->s, &to);
            found = value_str(r->a, str_slice(v->s, from, to));
        }
    } else if (v->type == VALUE_DICT && key->type <= VALUE_STR && key->type != VALUE_UNDEFINED) {
        if (!jinja_charge_key(r, key))
            return NULL;
        found = dict_find(v, key);
    }
    if (!found && key->type == VALUE_STR)
        found = jinja_method(r, v, key->s);
    return found ? found : missing(r, v, key);
}
