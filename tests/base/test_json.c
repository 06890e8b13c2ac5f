/* JSON in and out, against Python's json. */
#include "base/file.h"
#include "base/json.h"
#include "tests/check.h"

static void reads_what_python_reads(void)
{
    static const char *const cases[][2] = {
        /* text, repr(json.loads(text)) */
        {"1", "1"},
        {" [1, 1.0, -0, -0.0, 1e5, 1E-7] ", "[1, 1.0, 0, -0.0, 100000.0, 1e-07]"},
        {"9223372036854775807", "9223372036854775807"},
        {"[NaN, Infinity, -Infinity]", "[nan, inf, -inf]"},
        {"[1e999, -1e999, 1e-999]", "[inf, -inf, 0.0]"},
        {"[\"NaN\", \"-Infinity\", \"\\\"NaN\"]", "['NaN', '-Infinity', '\"NaN']"},
        {"\"\\ud83d\\ude00\\u0000\\/\"", "'\xf0\x9f\x98\x80\\x00/'"},
        {"{\"b\": 1, \"a\": 2, \"b\": 3}", "{'b': 3, 'a': 2}"},
        {"{\"\": {}, \"x\": [[]]}", "{'': {}, 'x': [[]]}"},
        /* Python's int has no limit; here such a number becomes a float. */
        {"[-9223372036854775809, 7, 123456789012345678901234567890]",
         "[-9.223372036854776e+18, 7, 1.2345678901234568e+29]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        struct error e = {0};
        struct value *v = NULL;
        EXPECT_OK(json_parse(&a, str_of(cases[i][0]), "case", &v, &e), &e);
        if (v)
            EXPECT_STR(value_repr(&a, v), str_of(cases[i][1]));
        arena_free(&a);
    }
}

static void refuses_what_is_wrong(void)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "f.json:1: no valid JSON"},
        {"[1, 2", "f.json:1: no valid JSON"},
        {"{\n\"a\": 1,\n}", "f.json:3: no valid JSON"},
        {"[1] 2", "end of file expected"},
        {"[01]", "f.json:1"},
        {"[-]", "f.json:1"},
        {"[NaNx]", "f.json:1"},
        {"\"\\ud800\"", "Unicode"},
        {"\"\xff\"", "decode byte"},
        {"\"a\nb\"", "f.json:1"},
        {"\"\\", "f.json:1"},
        {"'a'", "f.json:1"},
        {"nul", "f.json:1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        struct error e = {0};
        struct value *v = NULL;
        EXPECT_ERROR(json_parse(&a, str_of(cases[i].text), "f.json", &v, &e), &e, E_INPUT,
                     cases[i].words);
        EXPECT(v == NULL);
        arena_free(&a);
    }
}

static void names_the_line(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *v;
    EXPECT_ERROR(json_parse(&a, STR("{\"a\": }"), "d.jsonl:17", &v, &e), &e, E_INPUT,
                 "d.jsonl:17: no valid JSON");
    EXPECT_ERROR(json_parse(&a, STR("[\n1,\n?]"), "d.json:17", &v, &e), &e, E_INPUT,
                 "d.json:19: no valid JSON");
    EXPECT_ERROR(json_parse(&a, STR("?"), "http://h:80/x", &v, &e), &e, E_INPUT,
                 "http://h:80/x:1: no valid JSON");
    arena_free(&a);
}

static void depth_is_limited(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *v;
    struct buf b = {0};
    for (int i = 0; i < 1000000; i++)
        buf_puts(&b, i % 2 ? "{\"a\":" : "[");
    EXPECT_ERROR(json_parse(&a, buf_view(&b), "deep", &v, &e), &e, E_INPUT, "depth");
    buf_free(&b);
    arena_free(&a);
}

static void writes_as_json_dumps(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *v;
    EXPECT_OK(json_parse(&a,
                         STR("{\"k\": [1, 2.0, true, null, NaN, -Infinity, 1e22],"
                             " \"e\": [], \"o\": {}, \"s\": \"\\u00e9\\n\\t\\\"\\\\\\u0001\\u007f"
                             "\\ud83d\\ude00\\b\\f\\r\"}"),
                         "x", &v, &e),
              &e);
    dict_put(&a, v, value_int(&a, 1), value_none(&a));
    dict_put(&a, v, value_bool(&a, false), value_none(&a));
    dict_put(&a, v, value_none(&a), value_float(&a, 0.1));
    EXPECT_STR(json_text(&a, v),
               STR("{\"k\": [1, 2.0, true, null, NaN, -Infinity, 1e+22], \"e\": [], \"o\": {}, "
                   "\"s\": \"\xc3\xa9\\n\\t\\\"\\\\\\u0001\x7f\xf0\x9f\x98\x80\\b\\f\\r\", "
                   "\"1\": null, \"false\": null, \"null\": 0.1}"));
    struct buf b = {0};
    buf_json_str(&b, dict_get(v, "s")->s, true);
    EXPECT_STR(buf_view(&b), STR("\"\\u00e9\\n\\t\\\"\\\\\\u0001\\u007f\\ud83d\\ude00\\b\\f\\r\""));
    buf_free(&b);
    buf_json_str(&b, STR("a\xff"), false);
    EXPECT_STR(buf_view(&b), STR("\"a\xef\xbf\xbd\""));
    buf_free(&b);
    EXPECT_OK(json_parse(&a, STR("{\"a\": [1, {}], \"b\": []}"), "x", &v, &e), &e);
    buf_json(&b, v, 2, true);
    EXPECT_STR(buf_view(&b), STR("{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"));
    buf_free(&b);
    buf_json(&b, dict_get(v, "a"), 0, true);
    EXPECT_STR(buf_view(&b), STR("[\n1,\n{}\n]"));
    buf_free(&b);
    arena_free(&a);
}

static void reads_files(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct value *v;
    char path[] = "/tmp/assay_json_XXXXXX";
    int fd = mkstemp(path);
    EXPECT(fd >= 0);
    close(fd);
    EXPECT_OK(file_write(path, STR("\xef\xbb\xbf{\"a\": 1}\n"), &e), &e);
    EXPECT_OK(json_read(&a, path, &v, &e), &e);
    EXPECT_INT(dict_get(v, "a")->i, 1);
    EXPECT_ERROR(json_read(&a, "/nowhere.json", &v, &e), &e, E_IO, "/nowhere.json");
    unlink(path);
    arena_free(&a);
}

CHECK_MAIN({"reads_what_python_reads", reads_what_python_reads},
           {"refuses_what_is_wrong", refuses_what_is_wrong}, {"names_the_line", names_the_line},
           {"depth_is_limited", depth_is_limited}, {"writes_as_json_dumps", writes_as_json_dumps},
           {"reads_files", reads_files})
