/* YAML as PyYAML's SafeLoader reads it; the expected texts are repr(yaml.safe_load(text)). */
#include "base/yaml.h"
#include "tests/check.h"

static void expect_repr(const char *text, const char *want)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *v = NULL;
    EXPECT_OK(yaml_parse(&a, str_of(text), "t.yaml", &v, &e), &e);
    if (v)
        EXPECT_STR(value_repr(&a, v), str_of(want));
    arena_free(&a);
}

static void scalars_follow_yaml_1_1(void)
{
    expect_repr("[yes, No, TRUE, off, y, n, 'yes', \"no\", yEs]",
                "[True, False, True, False, 'y', 'n', 'yes', 'no', 'yEs']");
    expect_repr("[~, null, Null, nULL, ]", "[None, None, None, 'nULL']");
    expect_repr("[1, -7, +5, 1_000, 0, 010, 0_7, 0x1f, 0b101, -0b11, 08, 0o17, 1a]",
                "[1, -7, 5, 1000, 0, 8, 7, 31, 5, -3, '08', '0o17', '1a']");
    expect_repr("['x', 1:30, 1:30:05, -1:30, 190:20:30, 1:60, 0:10, 1:5, 1:2:3x]",
                "['x', 90, 5405, -90, 685230, '1:60', '0:10', 65, '1:2:3x']");
    expect_repr("[1.5, 1., .5, -.5, +1.5e+3, 1e5, 1.5e3, 1.0E-2, 1_0.2_5, -0.0, 1.5.2, .]",
                "[1.5, 1.0, 0.5, '-.5', 1500.0, '1e5', '1.5e3', 0.01, 10.25, -0.0, '1.5.2', '.']");
    expect_repr("[.inf, -.INF, +.Inf, .iNF, .nan, 1:30.5, 2e-6, 2.e-6, 1.e]",
                "[inf, -inf, inf, '.iNF', nan, 90.5, '2e-6', 2e-06, '1.e']");
    expect_repr("[9223372036854775807, -9223372036854775808]",
                "[9223372036854775807, -9223372036854775808]");
    /* beyond 64 bits: a float, where Python has a longer int */
    expect_repr("[9223372036854775808, 0xffffffffffffffff]",
                "[9.223372036854776e+18, 1.8446744073709552e+19]");
    expect_repr("[0x_, 0b_, 0_, +, -, '', 2024-01-05, =, 1 2]",
                "['0x_', '0b_', 0, '+', '-', '', '2024-01-05', '=', '1 2']");
    expect_repr("[!!str 12, !!int '12', !!float 1, !!float '.5', !!bool 'on', !!null '', ! 12]",
                "['12', 12, 1.0, 0.5, True, None, 12]");
    expect_repr("", "None");
    expect_repr("# only a comment\n", "None");
    expect_repr("--- \n...\n", "None");
}

static void documents(void)
{
    expect_repr("a: |\n  x\n  y\nb: >-\n  x\n  y\nc: \"\\u00e9\\n\"\n? d\n: - 1\n  - {e: f}\n",
                "{'a': 'x\\ny\\n', 'b': 'x y', 'c': '\xc3\xa9\\n', 'd': [1, {'e': 'f'}]}");
    expect_repr("{1: a, 1.0: b, true: c, x: 1, y: 2, x: 3}", "{1: 'c', 'x': 3, 'y': 2}");
    expect_repr("a: &x [1, &y b]\nc: *x\nd: *y\n", "{'a': [1, 'b'], 'c': [1, 'b'], 'd': 'b'}");
    expect_repr("b: &b {x: 1, y: 2}\nm: {z: 0, <<: *b, x: 9}\n",
                "{'b': {'x': 1, 'y': 2}, 'm': {'x': 9, 'y': 2, 'z': 0}}");
    expect_repr("m: {<<: [{x: 1}, {x: 2, y: 3}], '<<': q}\n", "{'m': {'x': 1, 'y': 3, '<<': 'q'}}");
    expect_repr("&a x: 1\n*a : 2\n", "{'x': 2}");
}

static void lines_and_tags_are_kept(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *v;
    EXPECT_OK(yaml_parse(&a,
                         STR("task: t\n\nlist:\n  - 1\n  - !function utils.f\n"
                             "other: !local {a: 1}\nseq: !!seq [1]\n"),
                         "t.yaml", &v, &e),
              &e);
    EXPECT_INT(v->line, 1);
    struct value *list = dict_get(v, "list");
    EXPECT_INT(list->line, 4);
    EXPECT_INT(list->list.items[1]->line, 5);
    EXPECT_Z(list->list.items[1]->tag, "!function");
    EXPECT_STR(list->list.items[1]->s, STR("utils.f"));
    EXPECT(list->list.items[0]->tag == NULL && dict_get(v, "seq")->tag == NULL);
    EXPECT_Z(dict_get(v, "other")->tag, "!local");
    arena_free(&a);
}

static void faults_name_the_line(void)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"a: [1, 2\nb: 3\n", "t.yaml:2: no valid YAML"},
        {"a: 1\n\tb: 2\n", "t.yaml:2: no valid YAML"},
        {"a: 1\nb: *nope\n", "t.yaml:2: alias *nope names no anchor"},
        {"a: &x [1, *x]\n", "t.yaml:1: alias *x stands inside"},
        {"a: 1\n---\nb: 2\n", "t.yaml:2: a second document"},
        {"x: 1\n[1]: 2\n", "t.yaml:2: a mapping's key"},
        {"x:\n  <<: 5\n", "t.yaml:2: a merge key"},
        {"x:\n  <<: [{a: 1}, 5]\n", "t.yaml:2: a merge key"},
        {"x: !!int five\n", "t.yaml:1: the value does not fit"},
        {"x: 1\ny: \x01\n", "t.yaml:2: no valid YAML"},
        {"x: \"\xff\"\n", "t.yaml:1: no valid YAML"},
        {"x: 'open\n", "t.yaml:2: no valid YAML"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        struct error e = {0};
        struct value *v = NULL;
        EXPECT_ERROR(yaml_parse(&a, str_of(cases[i].text), "t.yaml", &v, &e), &e, E_INPUT,
                     cases[i].words);
        EXPECT(v == NULL);
        arena_free(&a);
    }
}

static void bombs_are_refused(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *v;
    struct buf b = {0};
    buf_puts(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&b, "*a%d,", i - 1);
        buf_puts(&b, "]\n");
    }
    EXPECT_ERROR(yaml_parse(&a, buf_view(&b), "bomb.yaml", &v, &e), &e, E_INPUT,
                 "aliases repeat more than");
    buf_free(&b);
    for (int i = 0; i < 100000; i++)
        buf_char(&b, '[');
    EXPECT_ERROR(yaml_parse(&a, buf_view(&b), "deep.yaml", &v, &e), &e, E_INPUT, "deep");
    buf_free(&b);
    arena_free(&a);
}

CHECK_MAIN({"scalars_follow_yaml_1_1", scalars_follow_yaml_1_1}, {"documents", documents},
           {"lines_and_tags_are_kept", lines_and_tags_are_kept},
           {"faults_name_the_line", faults_name_the_line}, {"bombs_are_refused", bombs_are_refused})
