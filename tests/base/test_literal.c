/* Python literals: the expected texts are repr(ast.literal_eval(text)). */
#include "base/value.h"
#include "tests/check.h"

static const char *const literals[][2] = {
    {"['a', \"b'c\", 1, 2.5, None, True]", "['a', \"b'c\", 1, 2.5, None, True]"},
    {"{'a': [1, (2,)], (1, 'x'): {}, 'a': 3}", "{'a': 3, (1, 'x'): {}}"},
    {"(1)", "1"},
    {"()", "()"},
    {"1, 2", "(1, 2)"},
    {"1,", "(1,)"},
    {"\n\t[1, # two\n 2,]\n# end\n", "[1, 2]"},
    {"'a' \"b\" r'\\n' u'x'", "'ab\\\\nx'"},
    {"'''a\n'b'''", "\"a\\n'b\""},
    {"'\\x41\\u00e9\\U0001F600\\101\\0\\q\\\n|'", "'A\xc3\xa9\xf0\x9f\x98\x80"
                                                  "A\\x00\\\\q|'"},
    {"[-1, + 2, -0x1f, 0o17, 0b11, 1_000, 0x_f, 00]", "[-1, 2, -31, 15, 3, 1000, 15, 0]"},
    {"[1., 1.e5, .5, 1E-5, -.5e1, 1e400]", "[1.0, 100000.0, 0.5, 1e-05, -5.0, inf]"},
    {"-9223372036854775808", "-9223372036854775808"},
};

static const char *const faults[] = {
    "",      " ",      "# x",     "012",         "1__0",   "1_",     "1e",        "--1",
    "-True", "1a",     "nan",     "[,]",         "[1,,2]", "[1 2]",  "[1",        "'a",
    "'a\\",  "'a\nb'", "{[1]:2}", "{(1,[2]):3}", "[1]]",   "{1: }",  "{1, 2}",    "b'a'",
    "f(1)",  "1+2",    "1\n2",    "0x",          "\\",     "'\\x4'", "'\\ud800'", "{",
};

static void literals_are_read(void)
{
    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
        struct arena a = {0};
        struct error e = {0};
        struct value *v = NULL;
        EXPECT_OK(literal_eval(&a, str_of(literals[i][0]), &v, &e), &e);
        if (v)
            EXPECT_STR(value_repr(&a, v), str_of(literals[i][1]));
        arena_free(&a);
    }
}

static void others_are_refused(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *v = NULL;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        EXPECT_ERROR(literal_eval(&a, str_of(faults[i]), &v, &e), &e, E_INPUT, "no Python literal");
    EXPECT(v == NULL);
    struct buf b = {0};
    for (int i = 0; i < 100000; i++)
        buf_char(&b, '[');
    EXPECT_ERROR(literal_eval(&a, buf_view(&b), &v, &e), &e, E_INPUT, "too many nested brackets");
    buf_free(&b);
    arena_free(&a);
}

CHECK_MAIN({"literals_are_read", literals_are_read}, {"others_are_refused", others_are_refused})
