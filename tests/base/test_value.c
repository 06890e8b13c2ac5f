/* Values behave as Python's: equality, dicts, truth, str() and repr(). */
#include "base/json.h"
#include "base/value.h"
#include "tests/check.h"

static void numbers_are_equal_across_types(void)
{
    struct arena a = {0};
    struct value *one = value_int(&a, 1);
    EXPECT(value_eq(one, value_float(&a, 1.0)) && value_eq(one, value_bool(&a, true)));
    EXPECT(value_eq(value_float(&a, -0.0), value_bool(&a, false)));
    EXPECT(!value_eq(value_float(&a, NAN), value_float(&a, NAN)));
    EXPECT(!value_eq(one, value_strz(&a, "1")) && !value_eq(value_none(&a), value_int(&a, 0)));
    /* 2^53 + 1 is no double: comparing must not round it. */
    EXPECT(!value_eq(value_int(&a, 9007199254740993), value_float(&a, 9007199254740992.0)));
    EXPECT(!value_eq(value_int(&a, INT64_MAX), value_float(&a, 0x1p63)));
    arena_free(&a);
}

static void containers_are_compared_by_content(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *x, *y;
    EXPECT_OK(json_parse(&a, STR("{\"a\": [1, 2.0], \"b\": null}"), "x", &x, &e), &e);
    EXPECT_OK(json_parse(&a, STR("{\"b\": null, \"a\": [1.0, 2]}"), "x", &y, &e), &e);
    EXPECT(value_eq(x, y) && value_eq(x, value_clone(&a, x)));
    dict_get(y, "a")->tuple = true;
    EXPECT(!value_eq(x, y));
    arena_free(&a);
}

static void dicts_keep_their_order(void)
{
    struct arena a = {0};
    struct value *d = value_dict(&a);
    enum { N = 5000 };
    for (int i = 0; i < N; i++)
        dict_put(&a, d, value_int(&a, i), value_int(&a, i));
    for (int i = 0; i < N; i += 7) /* a float that equals the int is the same key */
        dict_put(&a, d, value_float(&a, i), value_int(&a, -i));
    dict_put(&a, d, value_bool(&a, true), value_strz(&a, "one"));
    dict_set(&a, d, "1", value_strz(&a, "text"));
    EXPECT_INT(d->dict.n, N + 1);
    EXPECT_STR(dict_find(d, value_int(&a, 1))->s, STR("one"));
    EXPECT_STR(dict_get(d, "1")->s, STR("text"));
    for (int i = 0; i < N; i++) {
        EXPECT_INT(d->dict.entries[i].key->i, i);
        if (i != 1)
            EXPECT_INT(d->dict.entries[i].value->i, i % 7 ? i : -i);
    }
    EXPECT(!dict_get(d, "absent") && !dict_get(NULL, "x") && !dict_get(value_int(&a, 1), "x"));
    struct value *copy = value_clone(&a, d);
    EXPECT(value_eq(copy, d));
    EXPECT_INT(dict_find(copy, value_int(&a, 4999))->i, 4999);
    arena_free(&a);
}

static void typed_lookups(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *d;
    EXPECT_OK(json_parse(&a,
                         STR("{\"i\": 5, \"f\": 0.5, \"b\": true, \"s\": \"x\", \"n\": null,"
                             " \"z\": \"a\\u0000b\"}"),
                         "t.json", &d, &e),
              &e);
    int64_t i;
    double f;
    bool b;
    const char *s;
    EXPECT_OK(dict_int(d, "i", 1, "t.json", &i, &e), &e);
    EXPECT_INT(i, 5);
    EXPECT_OK(dict_int(d, "n", 7, "t.json", &i, &e), &e);
    EXPECT_INT(i, 7);
    EXPECT_OK(dict_float(d, "i", 1, "t.json", &f, &e), &e);
    EXPECT_NEAR(f, 5, 0);
    EXPECT_OK(dict_bool(d, "b", false, "t.json", &b, &e), &e);
    EXPECT_INT(b, true);
    EXPECT_OK(dict_str(d, "absent", "def", "t.json", &s, &e), &e);
    EXPECT_Z(s, "def");
    EXPECT_ERROR(dict_int(d, "s", 1, "t.json", &i, &e), &e, E_INPUT,
                 "t.json: \"s\" must be a whole number, not 'x'");
    EXPECT_ERROR(dict_float(d, "b", 1, "t.json", &f, &e), &e, E_INPUT, "a number, not True");
    EXPECT_ERROR(dict_str(d, "z", "", "t.json", &s, &e), &e, E_INPUT, "NUL");
    dict_get(d, "f")->line = 3;
    EXPECT_ERROR(dict_bool(d, "f", true, "t.json", &b, &e), &e, E_INPUT, "t.json:3: \"f\"");
    arena_free(&a);
}

static void truth_and_type_names(void)
{
    struct arena a = {0};
    EXPECT(!value_truthy(value_float(&a, -0.0)) && value_truthy(value_float(&a, NAN)));
    EXPECT(!value_truthy(value_strz(&a, "")) && value_truthy(value_strz(&a, "0")));
    EXPECT(!value_truthy(value_list(&a)) && !value_truthy(value_dict(&a)));
    EXPECT(!value_truthy(value_none(&a)) && !value_truthy(value_undefined(&a)));
    EXPECT_Z(value_type_name(value_none(&a)), "NoneType");
    struct value *t = value_list(&a);
    t->tuple = true;
    EXPECT_Z(value_type_name(t), "tuple");
    EXPECT_STR(value_repr(&a, t), STR("()"));
    list_push(&a, t, value_int(&a, 1));
    EXPECT_STR(value_repr(&a, t), STR("(1,)"));
    list_push(&a, t, value_undefined(&a));
    EXPECT_STR(value_tostr(&a, t), STR("(1, Undefined)"));
    EXPECT_STR(value_tostr(&a, value_undefined(&a)), STR(""));
    EXPECT_STR(value_tostr(&a, value_strz(&a, "a'b")), STR("a'b"));
    EXPECT_STR(value_repr(&a, value_strz(&a, "\xff\xc3")), STR("'\\udcff\\udcc3'"));
    arena_free(&a);
}

/* JSON text and what repr(json.loads(text)) says in CPython 3.11. */
static const char *const reprs[][2] = {
#include "tests/base/repr_cases.h"
};

static void repr_is_pythons(void)
{
    for (size_t i = 0; i < sizeof reprs / sizeof *reprs; i++) {
        struct arena a = {0};
        struct error e = {0};
        struct value *v = NULL;
        EXPECT_OK(json_parse(&a, str_of(reprs[i][0]), "case", &v, &e), &e);
        if (v)
            EXPECT_STR(value_repr(&a, v), str_of(reprs[i][1]));
        arena_free(&a);
    }
}

static void depth_is_bounded(void)
{
    struct arena a = {0};
    struct value *v = value_list(&a), *self = value_list(&a);
    for (int i = 0; i < 100000; i++) {
        struct value *outer = value_list(&a);
        list_push(&a, outer, v);
        v = outer;
    }
    list_push(&a, self, self);
    EXPECT(str_find(value_repr(&a, v), STR("[...]"), 0) != SIZE_MAX);
    EXPECT(str_find(value_repr(&a, self), STR("[...]"), 0) != SIZE_MAX);
    EXPECT(str_find(json_text(&a, v), STR("[\"...\"]"), 0) != SIZE_MAX);
    EXPECT(!value_eq(v, value_clone(&a, v)) && value_eq(self, self));
    arena_free(&a);
}

CHECK_MAIN({"numbers_are_equal_across_types", numbers_are_equal_across_types},
           {"containers_are_compared_by_content", containers_are_compared_by_content},
           {"dicts_keep_their_order", dicts_keep_their_order}, {"typed_lookups", typed_lookups},
           {"truth_and_type_names", truth_and_type_names}, {"repr_is_pythons", repr_is_pythons},
           {"depth_is_bounded", depth_is_bounded})
