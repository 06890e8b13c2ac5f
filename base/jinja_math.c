/* jinja_math.c: Python's arithmetic on numbers, texts and lists, with the sentences of its
 * exceptions.
 */
#include <math.h>

#include "base/jinja_internal.h"

static const char *op_text(int op)
{
    return op == TOKEN_POW ? "** or pow()" : jinja_token_name((enum token_type)op);
}

static struct value *bad_operands(struct render *r, int op, const struct value *x,
                                  const struct value *y)
{
    if (!jinja_defined(r, x) || !jinja_defined(r, y))
        return NULL;
    if (op == TOKEN_ADD && (x->type == VALUE_STR || x->type == VALUE_LIST))
        return render_fail(r, "TypeError", "can only concatenate %s (not \"%s\") to %s",
                           value_type_name(x), value_type_name(y), value_type_name(x));
    if (op == TOKEN_MUL && (x->type == VALUE_STR || x->type == VALUE_LIST || y->type == VALUE_STR ||
                            y->type == VALUE_LIST)) {
        bool left = x->type == VALUE_STR || x->type == VALUE_LIST;
        return render_fail(r, "TypeError", "can't multiply sequence by non-int of type '%s'",
                           value_type_name(left ? y : x));
    }
    return render_fail(r, "TypeError", "unsupported operand type(s) for %s: '%s' and '%s'",
                       op_text(op), value_type_name(x), value_type_name(y));
}

static struct value *overflow(struct render *r)
{
    return render_fail(r, "OverflowError", "the result does not fit in a 64-bit integer");
}

static bool int_pow(int64_t base, int64_t exponent, int64_t *ret)
{
    int64_t result = 1;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1 && __builtin_mul_overflow(result, base, &result))
            return false;
        if (exponent > 1 && __builtin_mul_overflow(base, base, &base))
            return false;
    }
    *ret = result;
    return true;
}

static struct value *power(struct render *r, double x, double y)
{
    if (x == 0 && y < 0)
        return render_fail(r, "ZeroDivisionError", "0.0 cannot be raised to a negative power");
    double f = pow(x, y);
    if (isinf(f) && isfinite(x) && isfinite(y))
        return render_fail(r, "OverflowError", "(34, 'Numerical result out of range')");
    if (isnan(f) && !isnan(x) && !isnan(y))
        return render_fail(r, "ValueError", "the power of a negative number is not a real number");
    return value_float(r->a, f);
}

static struct value *int_math(struct render *r, int op, int64_t x, int64_t y)
{
    int64_t i = 0;
    bool over = false;
    switch (op) {
    case TOKEN_ADD:
        over = __builtin_add_overflow(x, y, &i);
        break;
    case TOKEN_SUB:
        over = __builtin_sub_overflow(x, y, &i);
        break;
    case TOKEN_MUL:
        over = __builtin_mul_overflow(x, y, &i);
        break;
    case TOKEN_DIV:
        if (y == 0)
            return render_fail(r, "ZeroDivisionError", "division by zero");
        return value_float(r->a, (double)x / (double)y);
    case TOKEN_FLOORDIV:
    case TOKEN_MOD:
        if (y == 0)
            return render_fail(r, "ZeroDivisionError",
                               op == TOKEN_MOD ? "integer modulo by zero"
                                               : "integer division or modulo by zero");
        if (y == -1) {
            over = op == TOKEN_FLOORDIV && __builtin_sub_overflow((int64_t)0, x, &i);
            break;
        }
        bool down = x % y != 0 && (x % y < 0) != (y < 0);
        i = op == TOKEN_MOD ? x % y + (down ? y : 0) : x / y - down;
        break;
    default: /* TOKEN_POW */
        if (y < 0)
            return power(r, (double)x, (double)y);
        over = !int_pow(x, y, &i);
        break;
    }
    return over ? overflow(r) : value_int(r->a, i);
}

static struct value *float_math(struct render *r, int op, double x, double y)
{
    if (y == 0 && (op == TOKEN_DIV || op == TOKEN_FLOORDIV || op == TOKEN_MOD))
        return render_fail(r, "ZeroDivisionError",
                           op == TOKEN_DIV        ? "float division by zero"
                           : op == TOKEN_FLOORDIV ? "float floor division by zero"
                                                  : "float modulo");
    double m = 0;
    switch (op) {
    case TOKEN_ADD:
        return value_float(r->a, x + y);
    case TOKEN_SUB:
        return value_float(r->a, x - y);
    case TOKEN_MUL:
        return value_float(r->a, x * y);
    case TOKEN_DIV:
        return value_float(r->a, x / y);
    case TOKEN_POW:
        return power(r, x, y);
    default:
        m = fmod(x, y);
        if (m != 0 && (m < 0) != (y < 0))
            m += y;
        else if (m == 0)
            m = copysign(0, y);
        if (op == TOKEN_MOD)
            return value_float(r->a, m);
        double q = (x - m) / y, whole = floor(q);
        return value_float(r->a, q == 0 ? copysign(0, x / y) : q - whole > 0.5 ? whole + 1 : whole);
    }
}

static struct value *repeat(struct render *r, const struct value *v, int64_t times)
{
    uint64_t size = v->type == VALUE_STR ? v->s.n : 8 * v->list.n;
    uint64_t total;
    if (times < 0)
        times = 0;
    if (__builtin_mul_overflow(size, (uint64_t)times, &total))
        total = UINT64_MAX;
    if (!render_charge(r, total))
        return NULL;
    if (v->type == VALUE_STR) {
        char *p = arena_alloc(r->a, total + 1);
        for (size_t at = 0; at < total; at += v->s.n)
            memcpy(p + at, v->s.p, v->s.n);
        return value_str(r->a, (struct str){p, total});
    }
    struct value *list = value_list(r->a);
    list->tuple = v->tuple;
    for (int64_t k = 0; k < times && v->list.n; k++)
        for (size_t i = 0; i < v->list.n; i++)
            list_push(r->a, list, v->list.items[i]);
    return list;
}

static struct value *add_text(struct render *r, const struct value *x, const struct value *y)
{
    if (!render_charge(r, x->s.n + y->s.n))
        return NULL;
    if (!jinja_is_markup(x) && !jinja_is_markup(y))
        return value_str(r->a, str_cat(r->a, x->s, y->s));
    struct buf b = {0};
    for (int i = 0; i < 2; i++) {
        const struct value *v = i ? y : x;
        if (jinja_is_markup(v))
            buf_str(&b, v->s);
        else
            jinja_escape(&b, v->s);
    }
    return jinja_markup(r, buf_take(&b, r->a));
}

static struct value *add_lists(struct render *r, const struct value *x, const struct value *y)
{
    if (!render_charge(r, 8 * (x->list.n + y->list.n)))
        return NULL;
    struct value *list = value_list(r->a);
    list->tuple = x->tuple;
    for (size_t i = 0; i < x->list.n; i++)
        list_push(r->a, list, x->list.items[i]);
    for (size_t i = 0; i < y->list.n; i++)
        list_push(r->a, list, y->list.items[i]);
    return list;
}

static bool is_sequence(const struct value *v)
{
    return v->type == VALUE_STR || v->type == VALUE_LIST;
}

static bool is_whole(const struct value *v)
{
    return v->type == VALUE_INT || v->type == VALUE_BOOL;
}

struct value *jinja_binary(struct render *r, int op, struct value *x, struct value *y)
{
    if (is_whole(x) && is_whole(y))
        return int_math(r, op, jinja_integer(x), jinja_integer(y));
    if (jinja_is_number(x) && jinja_is_number(y))
        return float_math(r, op, jinja_double(x), jinja_double(y));
    if (op == TOKEN_ADD && x->type == VALUE_STR && y->type == VALUE_STR)
        return add_text(r, x, y);
    if (op == TOKEN_ADD && x->type == VALUE_LIST && y->type == VALUE_LIST && x->tuple == y->tuple)
        return add_lists(r, x, y);
    if (op == TOKEN_MUL && is_sequence(x) && is_whole(y))
        return repeat(r, x, jinja_integer(y));
    if (op == TOKEN_MUL && is_whole(x) && is_sequence(y))
        return repeat(r, y, jinja_integer(x));
    if (op == TOKEN_MOD && x->type == VALUE_STR)
        return jinja_percent(r, x->s, y);
    return bad_operands(r, op, x, y);
}
