/* jinja_methods.c: the methods of Python's strings. */
#include <stdlib.h>

#include <utf8proc.h>

#include "base/jinja_internal.h"
#include "base/utf8.h"

/* -- arguments -- */

bool jinja_int_arg(struct render *r, const struct value *v, int64_t fallback, int64_t *ret)
{
    *ret = fallback;
    if (!v || v->type == VALUE_NONE)
        return true;
    if (v->type == VALUE_INT || v->type == VALUE_BOOL) {
        *ret = jinja_integer(v);
        return true;
    }
    if (jinja_defined(r, v))
        render_fail(r, "TypeError", "'%s' object cannot be interpreted as an integer",
                    value_type_name(v));
    return false;
}

bool jinja_str_arg(struct render *r, const struct value *v, struct str *ret)
{
    if (v->type == VALUE_STR) {
        *ret = v->s;
        return true;
    }
    if (jinja_defined(r, v))
        render_fail(r, "TypeError", "must be str, not %s", value_type_name(v));
    return false;
}

/* An optional string: absent or None leaves *ret alone. */
static bool optional_str(struct render *r, const struct value *v, struct str *ret)
{
    return !v || v->type == VALUE_NONE || jinja_str_arg(r, v, ret);
}

static bool optional_bool(struct render *r, const struct value *v, bool *ret)
{
    *ret = false;
    return !v || jinja_truthy(r, v, ret);
}

static struct value *text(struct render *r, struct str s)
{
    return value_str(r->a, s);
}

/* -- character classes -- */

bool jinja_is_alpha(int32_t cp)
{
    utf8proc_category_t c = utf8proc_category(cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

static bool is_decimal(int32_t cp)
{
    return utf8proc_category(cp) == UTF8PROC_CATEGORY_ND;
}

static bool is_numeric(int32_t cp)
{
    utf8proc_category_t c = utf8proc_category(cp);
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

/* Decimal digits, and the superscripts, subscripts and circled ones that have a digit's value. */
static bool is_digit(int32_t cp)
{
    return is_decimal(cp) || cp == 0xB2 || cp == 0xB3 || cp == 0xB9 || cp == 0x2070 ||
           (cp >= 0x2074 && cp <= 0x2079) || (cp >= 0x2080 && cp <= 0x2089) ||
           (cp >= 0x2460 && cp <= 0x2468);
}

bool jinja_is_alnum(int32_t cp)
{
    return jinja_is_alpha(cp) || is_numeric(cp);
}

static bool is_ascii(int32_t cp)
{
    return cp >= 0 && cp < 128;
}

static bool all_are(struct str s, bool (*is)(int32_t))
{
    for (size_t i = 0; i < s.n;)
        if (!is(utf8_next(s, &i)))
            return false;
    return true;
}

static struct value *class_test(struct render *r, struct value *self, bool (*is)(int32_t))
{
    return value_bool(r->a, self->s.n > 0 && all_are(self->s, is));
}

static struct value *str_isalpha(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return class_test(r, self, jinja_is_alpha);
}

static struct value *str_isalnum(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return class_test(r, self, jinja_is_alnum);
}

static struct value *str_isdigit(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return class_test(r, self, is_digit);
}

static struct value *str_isdecimal(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return class_test(r, self, is_decimal);
}

static struct value *str_isnumeric(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return class_test(r, self, is_numeric);
}

static struct value *str_isspace(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return class_test(r, self, utf8_is_space);
}

static struct value *str_isascii(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, all_are(self->s, is_ascii));
}

bool jinja_has_case(struct render *r, struct str s, bool upper)
{
    struct str up = utf8_upper(r->a, s), low = utf8_lower(r->a, s);
    return !str_eq(up, low) && str_eq(s, upper ? up : low);
}

static struct value *str_isupper(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, jinja_has_case(r, self->s, true));
}

static struct value *str_islower(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return value_bool(r->a, jinja_has_case(r, self->s, false));
}

static struct value *str_istitle(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct str title = utf8_title(r->a, self->s);
    return value_bool(r->a, str_eq(title, self->s) &&
                                !str_eq(utf8_upper(r->a, title), utf8_lower(r->a, title)));
}

/* -- case -- */

static struct value *str_upper(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return text(r, utf8_upper(r->a, self->s));
}

static struct value *str_lower(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return text(r, utf8_lower(r->a, self->s));
}

static struct value *str_capitalize(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return text(r, utf8_capitalize(r->a, self->s));
}

static struct value *str_title(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    return text(r, utf8_title(r->a, self->s));
}

static struct value *str_swapcase(struct render *r, struct value *self, const struct call *c)
{
    (void)c;
    struct buf b = {0};
    if (!render_step(r, self->s.n)) /* each character makes a little string */
        return NULL;
    for (size_t i = 0; i < self->s.n;) {
        size_t from = i;
        int32_t cp = utf8_next(self->s, &i);
        struct str s = str_slice(self->s, from, i);
        bool upper = cp >= 0 && utf8proc_category(cp) == UTF8PROC_CATEGORY_LU;
        buf_str(&b, upper ? utf8_lower(r->a, s) : utf8_upper(r->a, s));
    }
    return jinja_text_value(r, &b);
}

/* -- strip, split, join -- */

struct value *jinja_strip(struct render *r, struct str s, const struct value *set, int sides)
{
    struct str chars = {0};
    /* each character is looked for among those of the set */
    if (!optional_str(r, set, &chars) || !render_charge(r, s.n / SCAN_BYTES * (1 + chars.n)))
        return NULL;
    return text(r, utf8_strip(s, sides, set && set->type == VALUE_STR ? &chars : NULL));
}

static struct value *str_strip(struct render *r, struct value *self, const struct call *c)
{
    return jinja_strip(r, self->s, c->args[0], STRIP_BOTH);
}

static struct value *str_lstrip(struct render *r, struct value *self, const struct call *c)
{
    return jinja_strip(r, self->s, c->args[0], STRIP_LEFT);
}

static struct value *str_rstrip(struct render *r, struct value *self, const struct call *c)
{
    return jinja_strip(r, self->s, c->args[0], STRIP_RIGHT);
}

static bool push_text(struct render *r, struct value *list, struct str s)
{
    if (!render_step(r, 2))
        return false;
    list_push(r->a, list, text(r, s));
    return true;
}

/* The end of the run of characters from the start that are no spaces. */
static size_t word_end(struct str s)
{
    size_t at = 0;
    for (size_t next = 0; at < s.n; at = next)
        if (utf8_is_space(utf8_next(s, &next)))
            break;
    return at;
}

/* The start of such a run at the end. */
static size_t word_begin(struct str s)
{
    size_t at = s.n;
    while (at > 0) {
        size_t from = at - 1;
        while (from > 0 && ((unsigned char)s.p[from] & 0xC0) == 0x80)
            from--;
        size_t next = from;
        if (utf8_is_space(utf8_next(s, &next)))
            break;
        at = from;
    }
    return at;
}

static bool split_words(struct render *r, struct str s, int64_t max, bool right, struct value *list)
{
    int side = right ? STRIP_RIGHT : STRIP_LEFT;
    for (s = utf8_strip(s, side, NULL); s.n; s = utf8_strip(s, side, NULL)) {
        if (max >= 0 && max-- == 0)
            return push_text(r, list, s);
        size_t at = right ? word_begin(s) : word_end(s);
        if (!push_text(r, list, right ? str_slice(s, at, s.n) : str_slice(s, 0, at)))
            return false;
        s = right ? str_slice(s, 0, at) : str_slice(s, at, s.n);
    }
    return true;
}

static bool split_at(struct render *r, struct str s, struct str by, int64_t max, bool right,
                     struct value *list)
{
    while (max < 0 || max-- > 0) {
        size_t at = right ? str_find_last(s, by) : str_find(s, by, 0);
        if (at == SIZE_MAX)
            break;
        struct str head = str_slice(s, 0, at), tail = str_slice(s, at + by.n, s.n);
        if (!push_text(r, list, right ? tail : head))
            return false;
        s = right ? head : tail;
    }
    return push_text(r, list, s);
}

static struct value *split(struct render *r, struct value *self, const struct call *c, bool right)
{
    int64_t max;
    struct str by = {0};
    if (!optional_str(r, c->args[0], &by) || !jinja_int_arg(r, c->args[1], -1, &max))
        return NULL;
    struct value *list = value_list(r->a);
    bool words = !c->args[0] || c->args[0]->type == VALUE_NONE;
    if (!words && by.n == 0)
        return render_fail(r, "ValueError", "empty separator");
    if (!(words ? split_words(r, self->s, max, right, list)
                : split_at(r, self->s, by, max, right, list)))
        return NULL;
    if (right)
        jinja_reverse(list);
    return list;
}

static struct value *str_split(struct render *r, struct value *self, const struct call *c)
{
    return split(r, self, c, false);
}

static struct value *str_rsplit(struct render *r, struct value *self, const struct call *c)
{
    return split(r, self, c, true);
}

static bool is_line_end(int32_t cp)
{
    return (cp >= 0x0A && cp <= 0x0D) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 || cp == 0x2028 ||
           cp == 0x2029;
}

struct value *jinja_split_lines(struct render *r, struct str s, bool keep_ends)
{
    struct value *list = value_list(r->a);
    for (size_t from = 0, i = 0; i < s.n;) {
        size_t end = i;
        int32_t cp = utf8_next(s, &i);
        bool last = i == s.n;
        if (!is_line_end(cp) && !last)
            continue;
        if (!is_line_end(cp))
            end = i;
        if (cp == '\r' && i < s.n && s.p[i] == '\n')
            i++;
        if (!push_text(r, list, str_slice(s, from, keep_ends ? i : end)))
            return NULL;
        from = i;
    }
    return list;
}

static struct value *str_splitlines(struct render *r, struct value *self, const struct call *c)
{
    bool keep;
    return optional_bool(r, c->args[0], &keep) ? jinja_split_lines(r, self->s, keep) : NULL;
}

static struct value *partition(struct render *r, struct value *self, const struct call *c,
                               bool right)
{
    struct str by;
    if (!jinja_str_arg(r, c->args[0], &by))
        return NULL;
    if (!by.n)
        return render_fail(r, "ValueError", "empty separator");
    struct str s = self->s;
    size_t at = right ? str_find_last(s, by) : str_find(s, by, 0);
    struct value *list = value_list(r->a);
    list->tuple = true;
    bool found = at != SIZE_MAX;
    struct str parts[3] = {found || !right ? str_slice(s, 0, found ? at : s.n) : STR(""),
                           found ? by : STR(""),
                           found   ? str_slice(s, at + by.n, s.n)
                           : right ? s
                                   : STR("")};
    for (int i = 0; i < 3; i++)
        list_push(r->a, list, text(r, parts[i]));
    return list;
}

static struct value *str_partition(struct render *r, struct value *self, const struct call *c)
{
    return partition(r, self, c, false);
}

static struct value *str_rpartition(struct render *r, struct value *self, const struct call *c)
{
    return partition(r, self, c, true);
}

static struct value *str_join(struct render *r, struct value *self, const struct call *c)
{
    struct value *list = jinja_list_of(r, c->args[0]);
    if (!list)
        return NULL;
    struct buf b = {0};
    for (size_t i = 0; i < list->list.n; i++) {
        const struct value *v = list->list.items[i];
        if (v->type != VALUE_STR && jinja_defined(r, v))
            render_fail(r, "TypeError", "sequence item %zu: expected str instance, %s found", i,
                        value_type_name(v));
        if (v->type != VALUE_STR || !render_charge(r, v->s.n + self->s.n + 8))
            return buf_free(&b), NULL;
        if (i)
            buf_str(&b, self->s);
        buf_str(&b, v->s);
    }
    return jinja_text_value(r, &b);
}

/* -- search and replace -- */

struct value *jinja_replace(struct render *r, struct str s, struct str old, struct str by,
                            int64_t count)
{
    struct buf b = {0};
    size_t at = 0;
    for (; count != 0; count--) {
        size_t found = str_find(s, old, at);
        if (found == SIZE_MAX)
            break;
        if (!render_charge(r, by.n + old.n + 8))
            return buf_free(&b), NULL;
        if (old.n) {
            buf_str(&b, str_slice(s, at, found));
            buf_str(&b, by);
            at = found + old.n;
            continue;
        }
        buf_str(&b, by); /* an empty needle is found between all characters */
        size_t next = at;
        if (at == s.n) {
            at = s.n + 1;
            break;
        }
        utf8_next(s, &next);
        buf_str(&b, str_slice(s, at, next));
        at = next;
    }
    if (!render_charge(r, s.n))
        return buf_free(&b), NULL;
    buf_str(&b, str_slice(s, at, s.n));
    return jinja_text_value(r, &b);
}

static struct value *str_replace(struct render *r, struct value *self, const struct call *c)
{
    struct str old, by;
    int64_t count;
    if (!jinja_str_arg(r, c->args[0], &old) || !jinja_str_arg(r, c->args[1], &by) ||
        !jinja_int_arg(r, c->args[2], -1, &count))
        return NULL;
    return jinja_replace(r, self->s, old, by, count < 0 ? -1 : count);
}

/* The part [start, end) of self, by characters; *ret_start is where it begins. */
static bool window(struct render *r, struct value *self, const struct call *c, struct str *part,
                   int64_t *ret_start)
{
    int64_t n = (int64_t)utf8_len(self->s), start, end;
    if (!jinja_int_arg(r, c->args[1], 0, &start) || !jinja_int_arg(r, c->args[2], n, &end))
        return false;
    start = start < 0 ? (start < -n ? 0 : start + n) : start;
    end = end < 0 ? (end < -n ? 0 : end + n) : end > n ? n : end;
    *ret_start = start;
    *part = (struct str){NULL, 0};
    if (start > end)
        return true;
    *part =
        str_slice(self->s, utf8_offset(self->s, (size_t)start), utf8_offset(self->s, (size_t)end));
    if (!part->p)
        part->p = "";
    return true;
}

static struct value *search(struct render *r, struct value *self, const struct call *c, bool last,
                            bool must)
{
    struct str needle, part;
    int64_t start;
    if (!jinja_str_arg(r, c->args[0], &needle) || !window(r, self, c, &part, &start))
        return NULL;
    size_t at = !part.p ? SIZE_MAX : last ? str_find_last(part, needle) : str_find(part, needle, 0);
    if (at != SIZE_MAX)
        return value_int(r->a, start + (int64_t)utf8_len(str_slice(part, 0, at)));
    return must ? render_fail(r, "ValueError", "substring not found") : value_int(r->a, -1);
}

static struct value *str_find_method(struct render *r, struct value *self, const struct call *c)
{
    return search(r, self, c, false, false);
}

static struct value *str_rfind(struct render *r, struct value *self, const struct call *c)
{
    return search(r, self, c, true, false);
}

static struct value *str_index(struct render *r, struct value *self, const struct call *c)
{
    return search(r, self, c, false, true);
}

static struct value *str_rindex(struct render *r, struct value *self, const struct call *c)
{
    return search(r, self, c, true, true);
}

static struct value *str_count(struct render *r, struct value *self, const struct call *c)
{
    struct str needle, part;
    int64_t start, n = 0;
    if (!jinja_str_arg(r, c->args[0], &needle) || !window(r, self, c, &part, &start))
        return NULL;
    if (!needle.n)
        return value_int(r->a, part.p ? (int64_t)utf8_len(part) + 1 : 0);
    for (size_t at = 0; (at = str_find(part, needle, at)) != SIZE_MAX; at += needle.n)
        n++;
    return value_int(r->a, n);
}

/* startswith and endswith take a string or a tuple of them. */
static struct value *affix(struct render *r, struct value *self, const struct call *c,
                           bool (*has)(struct str, struct str))
{
    const struct value *v = c->args[0];
    struct str part, s;
    int64_t start;
    if (!window(r, self, c, &part, &start))
        return NULL;
    if (v->type != VALUE_LIST) {
        if (!jinja_str_arg(r, v, &s))
            return NULL;
        return value_bool(r->a, part.p && has(part, s));
    }
    for (size_t i = 0; i < v->list.n; i++) {
        if (!render_step(r, 1) || !jinja_str_arg(r, v->list.items[i], &s))
            return NULL;
        if (part.p && has(part, s))
            return value_bool(r->a, true);
    }
    return value_bool(r->a, false);
}

static struct value *str_startswith(struct render *r, struct value *self, const struct call *c)
{
    return affix(r, self, c, str_starts);
}

static struct value *str_endswith(struct render *r, struct value *self, const struct call *c)
{
    return affix(r, self, c, str_ends);
}

static struct value *str_removeprefix(struct render *r, struct value *self, const struct call *c)
{
    struct str s;
    if (!jinja_str_arg(r, c->args[0], &s))
        return NULL;
    return text(r, str_slice(self->s, str_starts(self->s, s) ? s.n : 0, self->s.n));
}

static struct value *str_removesuffix(struct render *r, struct value *self, const struct call *c)
{
    struct str s;
    if (!jinja_str_arg(r, c->args[0], &s))
        return NULL;
    return text(r, str_slice(self->s, 0, self->s.n - (str_ends(self->s, s) ? s.n : 0)));
}

/* -- padding -- */

struct value *jinja_pad(struct render *r, struct str s, int64_t width, struct str fill, int side)
{
    int64_t n = (int64_t)utf8_len(s), more = width > n ? width - n : 0;
    if (!render_charge(r, (uint64_t)more > (1u << 30) ? UINT64_MAX : (uint64_t)more * fill.n + s.n))
        return NULL;
    /* As in CPython, the odd blank of center() goes to the left when the width is odd. */
    int64_t left = side == PAD_BOTH ? more / 2 + (more & width & 1) : side == PAD_LEFT ? more : 0;
    struct buf b = {0};
    for (int64_t i = 0; i < left; i++)
        buf_str(&b, fill);
    buf_str(&b, s);
    for (int64_t i = left; i < more; i++)
        buf_str(&b, fill);
    return jinja_text_value(r, &b);
}

static struct value *pad(struct render *r, struct value *self, const struct call *c, int side)
{
    struct str fill = STR(" ");
    int64_t width;
    if (!jinja_int_arg(r, c->args[0], 0, &width) || !optional_str(r, c->args[1], &fill))
        return NULL;
    if (utf8_len(fill) != 1)
        return render_fail(r, "TypeError", "The fill character must be exactly one character long");
    return jinja_pad(r, self->s, width, fill, side);
}

static struct value *str_ljust(struct render *r, struct value *self, const struct call *c)
{
    return pad(r, self, c, PAD_RIGHT);
}

static struct value *str_rjust(struct render *r, struct value *self, const struct call *c)
{
    return pad(r, self, c, PAD_LEFT);
}

static struct value *str_center(struct render *r, struct value *self, const struct call *c)
{
    return pad(r, self, c, PAD_BOTH);
}

static struct value *str_zfill(struct render *r, struct value *self, const struct call *c)
{
    int64_t width;
    if (!jinja_int_arg(r, c->args[0], 0, &width))
        return NULL;
    struct str s = self->s;
    size_t sign = s.n && (s.p[0] == '-' || s.p[0] == '+');
    struct value *v = jinja_pad(r, str_slice(s, sign, s.n), width < 0 ? 0 : width - (int64_t)sign,
                                STR("0"), PAD_LEFT);
    return v && sign ? text(r, str_cat(r->a, str_slice(s, 0, 1), v->s)) : v;
}

static struct value *str_format(struct render *r, struct value *self, const struct call *c)
{
    return jinja_format(r, self->s, c);
}

const struct builtin jinja_str_methods[] = {
    {"strip", str_strip, "chars", 0, 0},
    {"split", str_split, "sep maxsplit", 0, 0},
    {"replace", str_replace, "old new count", 2, 0},
    {"startswith", str_startswith, "prefix start end", 1, 0},
    {"endswith", str_endswith, "suffix start end", 1, 0},
    {"lower", str_lower, "", 0, 0},
    {"upper", str_upper, "", 0, 0},
    {"lstrip", str_lstrip, "chars", 0, 0},
    {"rstrip", str_rstrip, "chars", 0, 0},
    {"rsplit", str_rsplit, "sep maxsplit", 0, 0},
    {"splitlines", str_splitlines, "keepends", 0, 0},
    {"partition", str_partition, "sep", 1, 0},
    {"rpartition", str_rpartition, "sep", 1, 0},
    {"join", str_join, "iterable", 1, 0},
    {"format", str_format, "*", 0, 0},
    {"capitalize", str_capitalize, "", 0, 0},
    {"casefold", str_lower, "", 0, 0},
    {"title", str_title, "", 0, 0},
    {"swapcase", str_swapcase, "", 0, 0},
    {"find", str_find_method, "sub start end", 1, 0},
    {"rfind", str_rfind, "sub start end", 1, 0},
    {"index", str_index, "sub start end", 1, 0},
    {"rindex", str_rindex, "sub start end", 1, 0},
    {"count", str_count, "sub start end", 1, 0},
    {"removeprefix", str_removeprefix, "prefix", 1, 0},
    {"removesuffix", str_removesuffix, "suffix", 1, 0},
    {"ljust", str_ljust, "width fillchar", 1, 0},
    {"rjust", str_rjust, "width fillchar", 1, 0},
    {"center", str_center, "width fillchar", 1, 0},
    {"zfill", str_zfill, "width", 1, 0},
    {"isalpha", str_isalpha, "", 0, 0},
    {"isalnum", str_isalnum, "", 0, 0},
    {"isdigit", str_isdigit, "", 0, 0},
    {"isdecimal", str_isdecimal, "", 0, 0},
    {"isnumeric", str_isnumeric, "", 0, 0},
    {"isspace", str_isspace, "", 0, 0},
    {"isascii", str_isascii, "", 0, 0},
    {"isupper", str_isupper, "", 0, 0},
    {"islower", str_islower, "", 0, 0},
    {"istitle", str_istitle, "", 0, 0},
};
const size_t jinja_n_str_methods = sizeof jinja_str_methods / sizeof *jinja_str_methods;
