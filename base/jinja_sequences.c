/* jinja_sequences.c: the filters over lists and dicts: sort, map, select, groupby, ... What Jinja
 * gives as a generator is a list here. */
#include <stdlib.h>

#include "base/jinja_internal.h"
#include "base/utf8.h"

/* -- attributes: "name", "a.b.0", 3 -- */

static struct value *attribute_step(struct render *r, struct value *v, struct str part)
{
    int64_t index = 0;
    bool digits = part.n > 0 && part.n < 10;
    for (size_t i = 0; i < part.n && digits; i++) {
        digits = part.p[i] >= '0' && part.p[i] <= '9';
        index = index * 10 + (part.p[i] - '0');
    }
    return jinja_item(r, v, digits ? value_int(r->a, index) : value_str(r->a, part));
}

/* Follows the dots of `attribute` from v; `fallback`, if any, for what is missing. */
static struct value *follow(struct render *r, struct value *v, struct value *attribute,
                            struct value *fallback)
{
    if (!attribute || attribute->type == VALUE_NONE)
        return v;
    if (attribute->type != VALUE_STR)
        return jinja_item(r, v, attribute);
    for (size_t at = 0; v && at <= attribute->s.n;) {
        size_t dot = str_find(attribute->s, STR("."), at);
        struct str part = str_slice(attribute->s, at, dot);
        v = attribute_step(r, v, part);
        if (v && v->type == VALUE_UNDEFINED && fallback)
            v = fallback;
        at = dot == SIZE_MAX ? SIZE_MAX : dot + 1;
    }
    return v;
}

static struct value *ignore_case(struct render *r, struct value *v)
{
    if (!v || v->type != VALUE_STR)
        return v;
    return render_charge(r, v->s.n) ? value_str(r->a, utf8_lower(r->a, v->s)) : NULL;
}

/* What a sort, unique, min or groupby compares. */
struct key {
    struct value *attribute, *fallback;
    bool case_sensitive;
};

static bool key_of(struct render *r, struct value *attribute, struct value *case_sensitive,
                   struct key *ret)
{
    *ret = (struct key){.attribute = attribute};
    return !case_sensitive || jinja_truthy(r, case_sensitive, &ret->case_sensitive);
}

static struct value *key_value(struct render *r, const struct key *k, struct value *item)
{
    struct value *v = follow(r, item, k->attribute, k->fallback);
    return k->case_sensitive ? v : ignore_case(r, v);
}

/* "age,name": a list of keys, compared one after the other. */
static struct value *sort_key(struct render *r, const struct key *k, struct value *item)
{
    const struct value *attribute = k->attribute;
    if (!attribute || attribute->type != VALUE_STR ||
        str_find(attribute->s, STR(","), 0) == SIZE_MAX)
        return key_value(r, k, item);
    struct value *keys = value_list(r->a);
    for (size_t at = 0; at <= attribute->s.n;) {
        size_t comma = str_find(attribute->s, STR(","), at);
        struct key one = *k;
        one.attribute = value_str(r->a, str_slice(attribute->s, at, comma));
        struct value *v = render_step(r, 2) ? key_value(r, &one, item) : NULL;
        if (!v)
            return NULL;
        list_push(r->a, keys, v);
        at = comma == SIZE_MAX ? SIZE_MAX : comma + 1;
    }
    return keys;
}

/* -- sorting -- */

struct sorted {
    struct value *key, *item;
};

/* Merges x[0, m) and x[m, n) through `spare`; equal items keep their order. */
static bool merge(struct render *r, struct sorted *x, size_t m, size_t n, bool descending,
                  struct sorted *spare)
{
    size_t i = 0, j = m, k = 0;
    while (i < m && j < n) {
        int c;
        if (!jinja_order(r, "<", x[j].key, x[i].key, &c))
            return false;
        bool right = descending ? c == 1 : c == -1;
        spare[k++] = right ? x[j++] : x[i++];
    }
    while (i < m)
        spare[k++] = x[i++];
    memcpy(x, spare, k * sizeof *x);
    return true;
}

static bool sort_range(struct render *r, struct sorted *x, size_t n, bool descending,
                       struct sorted *spare)
{
    if (n < 2)
        return true;
    return sort_range(r, x, n / 2, descending, spare) &&
           sort_range(r, x + n / 2, n - n / 2, descending, spare) &&
           merge(r, x, n / 2, n, descending, spare);
}

/* The items of `list` with their keys, in order. */
static struct sorted *sort(struct render *r, const struct value *list, const struct key *k,
                           bool descending)
{
    size_t n = list->list.n;
    if (!render_step(r, 2 * n))
        return NULL;
    struct sorted *x = arena_array(r->a, n, sizeof *x), *spare = arena_array(r->a, n, sizeof *x);
    for (size_t i = 0; i < n; i++) {
        x[i].item = list->list.items[i];
        x[i].key = sort_key(r, k, x[i].item);
        if (!x[i].key)
            return NULL;
    }
    return sort_range(r, x, n, descending, spare) ? x : NULL;
}

static struct value *sorted_list(struct render *r, const struct value *list, const struct key *k,
                                 struct value *reverse)
{
    bool descending = false;
    if (reverse && !jinja_truthy(r, reverse, &descending))
        return NULL;
    struct sorted *x = sort(r, list, k, descending);
    if (!x)
        return NULL;
    struct value *out = value_list(r->a);
    for (size_t i = 0; i < list->list.n; i++)
        list_push(r->a, out, x[i].item);
    return out;
}

struct value *jinja_sorted(struct render *r, const struct value *list, struct value *reverse)
{
    struct key k = {.case_sensitive = true};
    return sorted_list(r, list, &k, reverse);
}

static struct value *filter_sort(struct render *r, struct value *self, const struct call *c)
{
    struct key k;
    struct value *list = jinja_list_of(r, self);
    if (!list || !key_of(r, c->args[2], c->args[1], &k))
        return NULL;
    return sorted_list(r, list, &k, c->args[0]);
}

static struct value *filter_dictsort(struct render *r, struct value *self, const struct call *c)
{
    struct key k;
    if (!jinja_defined(r, self))
        return NULL;
    if (self->type != VALUE_DICT)
        return render_fail(r, "AttributeError", "'%s' object has no attribute 'items'",
                           value_type_name(self));
    struct str by = STR("key");
    if (c->args[1] && !jinja_str_arg(r, c->args[1], &by))
        return NULL;
    bool by_key = str_eqz(by, "key");
    if (!by_key && !str_eqz(by, "value"))
        return render_fail(r, "FilterArgumentError",
                           "You can only sort by either \"key\" or \"value\"");
    struct value *items = jinja_items(r, self);
    if (!items || !key_of(r, value_int(r->a, !by_key), c->args[0], &k))
        return NULL;
    return sorted_list(r, items, &k, c->args[2]);
}

static struct value *filter_unique(struct render *r, struct value *self, const struct call *c)
{
    struct key k;
    struct value *list = jinja_list_of(r, self), *out = value_list(r->a), *seen = value_list(r->a);
    struct value *seen_names = value_dict(r->a); /* the common case: strings and numbers */
    if (!list || !key_of(r, c->args[1], c->args[0], &k))
        return NULL;
    for (size_t i = 0; i < list->list.n; i++) {
        struct value *key = render_step(r, 2) ? key_value(r, &k, list->list.items[i]) : NULL;
        if (!key || !jinja_defined(r, key))
            return NULL;
        bool plain = key->type <= VALUE_STR, known = false;
        if (plain)
            known = dict_find(seen_names, key) != NULL;
        else if (!jinja_contains(r, key, seen, &known))
            return NULL;
        if (known)
            continue;
        if (plain)
            dict_put(r->a, seen_names, key, key);
        else
            list_push(r->a, seen, key);
        list_push(r->a, out, list->list.items[i]);
    }
    return out;
}

static struct value *extreme(struct render *r, struct value *self, const struct call *c, int want)
{
    struct key k;
    struct value *list = jinja_list_of(r, self), *best = NULL, *best_key = NULL;
    if (!list || !key_of(r, c->args[1], c->args[0], &k))
        return NULL;
    for (size_t i = 0; i < list->list.n; i++) {
        struct value *key = render_step(r, 1) ? key_value(r, &k, list->list.items[i]) : NULL;
        int order = want;
        if (!key || (best && !jinja_order(r, want < 0 ? "<" : ">", key, best_key, &order)))
            return NULL;
        if (order == want) {
            best = list->list.items[i];
            best_key = key;
        }
    }
    return best ? best : jinja_undefined(r, NULL, "No aggregated item, sequence was empty.");
}

static struct value *filter_min(struct render *r, struct value *self, const struct call *c)
{
    return extreme(r, self, c, -1);
}

static struct value *filter_max(struct render *r, struct value *self, const struct call *c)
{
    return extreme(r, self, c, 1);
}

static struct value *filter_groupby(struct render *r, struct value *self, const struct call *c)
{
    struct key k;
    struct value *list = jinja_list_of(r, self), *out = value_list(r->a);
    if (!list || !key_of(r, c->args[0], c->args[2], &k))
        return NULL;
    k.fallback = c->args[1];
    struct sorted *x = sort(r, list, &k, false);
    if (!x)
        return NULL;
    struct value *group = NULL;
    for (size_t i = 0; i < list->list.n; i++) {
        bool same = false;
        if (i && !jinja_equal(r, x[i - 1].key, x[i].key, &same))
            return NULL;
        if (!same) {
            struct value *pair = value_list(r->a);
            struct value *grouper = follow(r, x[i].item, k.attribute, k.fallback);
            if (!grouper || !render_step(r, 3))
                return NULL;
            group = value_list(r->a);
            pair->tuple = true;
            pair->tag = JINJA_GROUP_TAG;
            list_push(r->a, pair, grouper);
            list_push(r->a, pair, group);
            list_push(r->a, out, pair);
        }
        list_push(r->a, group, x[i].item);
    }
    return out;
}

/* -- map, select -- */

/* The call without its first `n` positional arguments. */
static struct call rest_of(const struct call *c, size_t n)
{
    struct call rest = *c;
    rest.args += n;
    rest.n -= n;
    return rest;
}

static struct value *named_argument(const struct call *c, const char *name)
{
    for (size_t i = 0; i < c->n_keywords; i++)
        if (str_eqz(c->keywords[i].name, name))
            return c->keywords[i].value;
    return NULL;
}

/* What map and select run over: nothing, when the value is false, whatever its type. */
static struct value *true_list_of(struct render *r, struct value *v)
{
    bool yes;
    if (!jinja_truthy(r, v, &yes))
        return NULL;
    return yes ? jinja_list_of(r, v) : value_list(r->a);
}

static const struct builtin *by_name(struct render *r, struct value *name, bool filter)
{
    struct str s;
    if (!jinja_str_arg(r, name, &s))
        return NULL;
    const struct builtin *b = filter ? jinja_find_filter(s, r->t->mode) : jinja_find_test(s);
    if (!b)
        render_fail(r, "TemplateRuntimeError", "No %s named '%.*s'.", filter ? "filter" : "test",
                    STR_ARG(s));
    return b;
}

static struct value *filter_map(struct render *r, struct value *self, const struct call *c)
{
    struct value *list = true_list_of(r, self), *out = value_list(r->a);
    struct value *attribute = c->n ? NULL : named_argument(c, "attribute");
    struct value *fallback = named_argument(c, "default");
    if (!list || !list->list.n)
        return list;
    if (!c->n && !attribute)
        return render_fail(r, "FilterArgumentError", "map requires a filter argument");
    const struct builtin *b = attribute ? NULL : by_name(r, c->args[0], true);
    if (!b && !attribute)
        return NULL;
    for (size_t i = 0; i < list->list.n; i++) {
        struct value *v = list->list.items[i];
        if (b) {
            struct call rest = rest_of(c, 1);
            v = render_step(r, 1) ? jinja_run(r, b, v, &rest) : NULL;
        } else {
            v = render_step(r, 1) ? follow(r, v, attribute, fallback) : NULL;
        }
        if (!v)
            return NULL;
        list_push(r->a, out, v);
    }
    return out;
}

static struct value *select_items(struct render *r, struct value *self, const struct call *c,
                                  bool by_attribute, bool keep)
{
    struct value *list = true_list_of(r, self), *out = value_list(r->a);
    size_t first = by_attribute;
    if (!list || !list->list.n)
        return list;
    if (c->n < first)
        return render_fail(r, "FilterArgumentError", "Missing parameter for attribute name");
    const struct builtin *b = c->n > first ? by_name(r, c->args[first], false) : NULL;
    if (c->n > first && !b)
        return NULL;
    for (size_t i = 0; i < list->list.n; i++) {
        struct value *v = list->list.items[i];
        if (by_attribute)
            v = follow(r, v, c->args[0], NULL);
        if (v && b) {
            struct call rest = rest_of(c, first + 1);
            v = jinja_run(r, b, v, &rest);
        }
        bool yes;
        if (!v || !render_step(r, 1) || !jinja_truthy(r, v, &yes))
            return NULL;
        if (yes == keep)
            list_push(r->a, out, list->list.items[i]);
    }
    return out;
}

static struct value *filter_select(struct render *r, struct value *self, const struct call *c)
{
    return select_items(r, self, c, false, true);
}

static struct value *filter_reject(struct render *r, struct value *self, const struct call *c)
{
    return select_items(r, self, c, false, false);
}

static struct value *filter_selectattr(struct render *r, struct value *self, const struct call *c)
{
    return select_items(r, self, c, true, true);
}

static struct value *filter_rejectattr(struct render *r, struct value *self, const struct call *c)
{
    return select_items(r, self, c, true, false);
}

/* -- the others -- */

static struct value *filter_sum(struct render *r, struct value *self, const struct call *c)
{
    struct value *list = jinja_list_of(r, self);
    struct value *sum = c->args[1] ? c->args[1] : value_int(r->a, 0);
    if (list && sum->type == VALUE_STR)
        return render_fail(r, "TypeError", "sum() can't sum strings [use ''.join(seq) instead]");
    for (size_t i = 0; list && sum && i < list->list.n; i++) {
        struct value *v = follow(r, list->list.items[i], c->args[0], NULL);
        sum = v && render_step(r, 1) ? jinja_binary(r, TOKEN_ADD, sum, v) : NULL;
    }
    return list ? sum : NULL;
}

static struct value *filter_join(struct render *r, struct value *self, const struct call *c)
{
    struct value *list = jinja_list_of(r, self);
    struct str by = STR("");
    if (!list || (c->args[0] && !jinja_text(r, c->args[0], &by)))
        return NULL;
    struct buf b = {0};
    for (size_t i = 0; i < list->list.n; i++) {
        struct value *v = follow(r, list->list.items[i], c->args[1], NULL);
        struct str s;
        if (!v || !jinja_text(r, v, &s) || !render_charge(r, s.n + by.n + 8))
            return buf_free(&b), NULL;
        if (i)
            buf_str(&b, by);
        buf_str(&b, s);
    }
    return jinja_text_value(r, &b);
}

static struct value *filter_first(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    if (self->type == VALUE_STR && self->s.n)
        return jinja_item(r, self, value_int(r->a, 0));
    struct value *list = jinja_list_of(r, self);
    if (!list || list->list.n)
        return list ? list->list.items[0] : NULL;
    return jinja_undefined(r, NULL, "No first item, sequence was empty.");
}

static struct value *filter_last(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct value *list = jinja_list_of(r, self);
    if (!list || list->list.n)
        return list ? list->list.items[list->list.n - 1] : NULL;
    return jinja_undefined(r, NULL, "No last item, sequence was empty.");
}

/* Chance has no place in an evaluation: the choice depends only on template and context. */
static struct value *filter_random(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct value *list = jinja_list_of(r, self);
    if (!list || list->list.n)
        return list ? list->list.items[r->work / 64 % list->list.n] : NULL;
    return jinja_undefined(r, NULL, "No random item, sequence was empty.");
}

static struct value *filter_list(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct value *list = jinja_list_of(r, self);
    if (!list || list != self)
        return list;
    list = jinja_slice(r, self, NULL, NULL, NULL);
    if (list)
        list->tuple = false;
    return list;
}

static struct value *filter_reverse(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct value *list = self->type == VALUE_STR ? self : jinja_list_of(r, self);
    struct value *out = list ? jinja_slice(r, list, NULL, NULL, value_int(r->a, -1)) : NULL;
    if (out)
        out->tuple = false;
    return out;
}

static struct value *filter_length(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    switch (self->type) {
    case VALUE_STR:
        return render_charge(r, self->s.n / 8) ? value_int(r->a, (int64_t)utf8_len(self->s)) : NULL;
    case VALUE_LIST:
        return value_int(r->a, (int64_t)self->list.n);
    case VALUE_DICT:
        return value_int(r->a, (int64_t)self->dict.n);
    case VALUE_UNDEFINED:
        return r->t->mode == JINJA_TASK ? jinja_undefined_error(r, self) : value_int(r->a, 0);
    default:
        if (jinja_as_object(self, OBJECT_LOOP))
            return jinja_attr(r, self, STR("length"));
        return render_fail(r, "TypeError", "object of type '%s' has no len()",
                           value_type_name(self));
    }
}

static struct value *filter_items(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    if (self->type == VALUE_UNDEFINED)
        return value_list(r->a);
    if (self->type != VALUE_DICT)
        return render_fail(r, "TypeError", "Can only get item pairs from a mapping.");
    return jinja_items(r, self);
}

static bool fill(struct render *r, struct value *list, struct value *with, int64_t n)
{
    if (!with || with->type == VALUE_NONE)
        return true;
    while ((int64_t)list->list.n < n) {
        if (!render_charge(r, 16))
            return false;
        list_push(r->a, list, with);
    }
    return true;
}

static struct value *filter_batch(struct render *r, struct value *self, const struct call *c)
{
    struct value *list = jinja_list_of(r, self), *out = value_list(r->a), *row = NULL;
    int64_t n;
    if (!list || !jinja_int_arg(r, c->args[0], 1, &n))
        return NULL;
    for (size_t i = 0; i < list->list.n; i++) {
        if (!render_step(r, 1))
            return NULL;
        if (!row || (int64_t)row->list.n == n) {
            row = value_list(r->a);
            list_push(r->a, out, row);
        }
        list_push(r->a, row, list->list.items[i]);
    }
    return row && !fill(r, row, c->args[1], n) ? NULL : out;
}

static struct value *filter_slice(struct render *r, struct value *self, const struct call *c)
{
    struct value *list = jinja_list_of(r, self), *out = value_list(r->a);
    int64_t n;
    if (!list || !jinja_int_arg(r, c->args[0], 1, &n))
        return NULL;
    if (n == 0)
        return render_fail(r, "ZeroDivisionError", "integer division or modulo by zero");
    int64_t each = (int64_t)list->list.n / n, extra = (int64_t)list->list.n % n, at = 0;
    for (int64_t i = 0; i < n; i++) {
        struct value *part = value_list(r->a);
        if (!render_step(r, (uint64_t)each + 2))
            return NULL;
        for (int64_t k = 0; k < each + (i < extra); k++)
            list_push(r->a, part, list->list.items[at++]);
        if (i >= extra && !fill(r, part, c->args[1], each + 1))
            return NULL;
        list_push(r->a, out, part);
    }
    return out;
}

static struct value *filter_attr(struct render *r, struct value *self, const struct call *c)
{
    struct str name;
    if (!jinja_str_arg(r, c->args[0], &name) || !jinja_defined(r, self))
        return NULL;
    struct value *v = jinja_method(r, self, name);
    if (v)
        return v;
    return jinja_undefined(r, NULL, "'%.*s' has no attribute '%.*s'",
                           STR_ARG(jinja_type_words(self)), STR_ARG(name));
}

const struct builtin jinja_sequence_filters[] = {
    {"attr", filter_attr, "name", 1, 0},
    {"batch", filter_batch, "linecount fill_with", 1, 0},
    {"count", filter_length, "", 0, 0},
    {"dictsort", filter_dictsort, "case_sensitive by reverse", 0, 0},
    {"first", filter_first, "", 0, 0},
    {"groupby", filter_groupby, "attribute default case_sensitive", 1, 0},
    {"items", filter_items, "", 0, 0},
    {"join", filter_join, "d attribute", 0, 0},
    {"last", filter_last, "", 0, 0},
    {"length", filter_length, "", 0, 0},
    {"list", filter_list, "", 0, 0},
    {"map", filter_map, "*", 0, 0},
    {"max", filter_max, "case_sensitive attribute", 0, 0},
    {"min", filter_min, "case_sensitive attribute", 0, 0},
    {"random", filter_random, "", 0, 0},
    {"reject", filter_reject, "*", 0, 0},
    {"rejectattr", filter_rejectattr, "*", 0, 0},
    {"reverse", filter_reverse, "", 0, 0},
    {"select", filter_select, "*", 0, 0},
    {"selectattr", filter_selectattr, "*", 0, 0},
    {"slice", filter_slice, "slices fill_with", 1, 0},
    {"sort", filter_sort, "reverse case_sensitive attribute", 0, 0},
    {"sum", filter_sum, "attribute start", 0, 0},
    {"unique", filter_unique, "case_sensitive attribute", 0, 0},
};
const size_t jinja_n_sequence_filters =
    sizeof jinja_sequence_filters / sizeof *jinja_sequence_filters;
