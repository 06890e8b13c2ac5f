/* Regular expressions as Python 3.11's `re` matches them. */
#include <pthread.h>

#include "base/regex.h"
#include "tests/check.h"

/* re.sub(pattern, replacement, subject) by Python: the matches, empty ones too, show in it. */
static const struct {
    const char *pattern, *replacement, *subject, *want;
    unsigned flags;
} subs[] = {
    {"x*", "-", "abxd", "-a-b--d-", 0},
    {"", "-", "\xc3\xa9x", "-\xc3\xa9-x-", 0},
    {"\\b|:+", "-", "a::b", "-a---b-", 0},
    {"a\\Z", "-", "a\na\n", "a\na\n", 0},
    {"a$", "-", "a\na\n", "a\n-\n", 0},
    {"^a$", "-", "a\na\n", "-\n-\n", REGEX_MULTILINE},
    {"a.b", "-", "a\nb a\rb", "a\nb -", 0},
    {"a.b", "-", "a\nb", "-", REGEX_DOTALL},
    {"\xc3\xa9+", "-", "\xc3\x89\xc3\xa9", "-", REGEX_IGNORECASE},
    {"a{,2}b", "-", "aaab ab b", "a- - -", 0},
    {"a{,}b", "-", "aaab", "-", 0},
    {"a{b", "-", "a{b", "-", 0},
    {"\\s+", "-", "a\x1c\xe2\x80\x83\xc2\x85z", "a-z", 0},
    {"[\\s,]+", "-", "a\x1f, z", "a-z", 0},
    {"\\S+", "-", "a\x1cz", "-\x1c-", 0},
    {"\\d+\\w", "-", "\xd9\xa3\xd9\xa4\xc3\xa9", "-", 0},
    {"[[a]+", "-", "[a]", "-]", 0},
    {"[]a]+", "-", "[a]", "[-", 0},
    {"[^]a]+", "-", "[a]", "-a]", 0},
    {"\\u00e9|\\U0001F600", "-", "\xc3\xa9\xf0\x9f\x98\x80", "--", 0},
    {"(?a)\\w+", "-", "a\xc3\xa9", "-\xc3\xa9", 0},
    {"(?a)\\W", "-", "a\xc3\xa9", "a-", 0},
    {"(?ui)A", "-", "aA", "--", 0},
    {"(?x) a # [ \\s\n b", "-", "ab", "-", 0},
    {"(?P<n>\\w+) (?P=n)", "<\\g<n>|\\1|\\g<0>>", "go go", "<go|go|go go>", 0},
    {"(a)|(b)", "[\\1\\2]", "ab", "[a][b]", 0},
    {"a", "\\\\\\n\\t\\.\\0\\101x", "a", "\\\n\t\\.", 0}, /* cut at its NUL here */
    {"(a|ab)(c|bcd)", "\\2\\1", "abcd", "bcda", 0},
    {"#### (\\-?[0-9\\.\\,]+)", "\\1", "x #### -1,234.", "x -1,234.", 0},
};

static void sub_is_pythons(void)
{
    for (size_t i = 0; i < sizeof subs / sizeof *subs; i++) {
        struct arena a = {0};
        struct error e = {0};
        struct regex *r = NULL;
        struct str got = {0};
        EXPECT_OK(regex_compile(str_of(subs[i].pattern), subs[i].flags, "case", &r, &e), &e);
        if (!r)
            continue;
        EXPECT_OK(regex_sub(r, &a, str_of(subs[i].subject), str_of(subs[i].replacement), &got, &e),
                  &e);
        EXPECT_STR(got.p ? str_of(got.p) : got, str_of(subs[i].want));
        regex_free(r);
        arena_free(&a);
    }
}

static void escapes_as_python(void)
{
    struct arena a = {0};
    EXPECT_STR(regex_escape(&a, STR("a.b-c_d'e\"f,g/h\n\xc3\xa9~#& (x)")),
               STR("a\\.b\\-c_d'e\"f,g/h\\\n\xc3\xa9\\~\\#\\&\\ \\(x\\)"));
    arena_free(&a);
}

static void search_gives_groups(void)
{
    struct error e = {0};
    struct regex *r;
    struct regex_match g[5];
    EXPECT_OK(regex_compile(STR("(a)|(b)(c)?"), 0, "p", &r, &e), &e);
    EXPECT_INT(regex_groups(r), 3);
    EXPECT_INT(regex_search(r, STR("xxb"), 0, false, g, 5, &e), 1);
    EXPECT_INT(g[0].start, 2);
    EXPECT_INT(g[0].end, 3);
    EXPECT_INT(g[1].start, SIZE_MAX);
    EXPECT_INT(g[2].start, 2);
    EXPECT_INT(g[3].end, SIZE_MAX);
    EXPECT_INT(g[4].start, SIZE_MAX);
    EXPECT_INT(regex_search(r, STR("xxb"), 0, true, g, 5, &e), 0);
    EXPECT_INT(regex_search(r, STR("xxb"), 2, true, g, 1, &e), 1);
    EXPECT_INT(regex_search(r, STR("xxb"), 3, false, g, 1, &e), 0);
    EXPECT_INT(regex_search(r, STR("xxb"), 9, false, g, 1, &e), 0);
    EXPECT_INT(regex_search(r, (struct str){NULL, 0}, 0, false, NULL, 0, &e), 0);
    EXPECT_INT(regex_search(r, STR("\xff\xc3 a"), 0, false, g, 1, &e), 1); /* no UTF-8 */
    EXPECT_INT(g[0].start, 3);
    regex_free(r);
}

static void pretokenizer_patterns(void)
{
    static const char *const want[] = {"I",    "'ll", " say", "  ",   " \xc3\xa9t\xc3\xa9",
                                       "!!\n", "123", "4",    "\x1c", "   "};
    struct error e = {0};
    struct regex *r;
    struct regex_match m;
    struct regex_iter it = {0};
    struct str text = STR("I'll say   \xc3\xa9t\xc3\xa9!!\n1234\x1c   ");
    EXPECT_OK(regex_compile(STR("(?i:'s|'t|'ll)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                                " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
                            REGEX_ONIGURUMA, "tokenizer.json", &r, &e),
              &e);
    size_t n = 0;
    for (; regex_next(r, text, &it, &m, 1, &e) == 1 && n < 10; n++)
        EXPECT_STR(str_slice(text, m.start, m.end), str_of(want[n]));
    EXPECT_INT(n, 10);
    regex_free(r);
    EXPECT_OK(regex_compile(STR("[[:alpha:]]+"), REGEX_ONIGURUMA, "tokenizer.json", &r, &e), &e);
    EXPECT_INT(regex_search(r, STR("[:\xc3\xa9"), 0, false, &m, 1, &e), 1);
    EXPECT_INT(m.start, 2);
    regex_free(r);
}

static void faults_are_errors(void)
{
    struct arena a = {0};
    struct error e = {0};
    struct regex *r = NULL;
    struct str out;
    EXPECT_ERROR(regex_compile(STR("a(b"), 0, "t.yaml:3", &r, &e), &e, E_INPUT,
                 "t.yaml:3: no valid regular expression: missing closing parenthesis, at its end");
    EXPECT_ERROR(regex_compile(STR("a**(x"), 0, "f", &r, &e), &e, E_INPUT, "f: no valid");
    EXPECT_ERROR(regex_compile(STR("\xff"), 0, "f", &r, &e), &e, E_INPUT, "UTF-8");
    EXPECT_ERROR(regex_compile(STR("\\u12"), 0, "f", &r, &e), &e, E_INPUT, "f: no valid");
    EXPECT(r == NULL);
    EXPECT_OK(regex_compile(STR("(a+)+$"), 0, "filter \"x\"", &r, &e), &e);
    struct buf b = {0};
    for (int i = 0; i < 40; i++)
        buf_char(&b, 'a');
    buf_char(&b, 'b');
    EXPECT_ERROR(regex_search(r, buf_view(&b), 0, false, NULL, 0, &e), &e, E_INPUT,
                 "filter \"x\": the regular expression \"(a+)+$\" needs too many steps");
    buf_free(&b);
    static const char *const bad[] = {"\\2", "\\g<2>", "\\g<n>", "\\g",
                                      "\\q", "\\",     "\\g<",   "\\777"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EXPECT_ERROR(regex_sub(r, &a, STR("a"), str_of(bad[i]), &out, &e), &e, E_INPUT,
                     "the replacement");
    regex_free(r);
    regex_free(NULL);
    arena_free(&a);
}

static void long_texts_match(void)
{
    struct error e = {0};
    struct regex *r;
    struct regex_match m = {0};
    struct buf b = {0};
    for (int i = 0; i < 300000; i++)
        buf_char(&b, i % 2 ? 'a' : 'b');
    EXPECT_OK(regex_compile(STR("(?:a|b)*"), 0, "p", &r, &e), &e); /* beyond the JIT's stack */
    EXPECT_INT(regex_search(r, buf_view(&b), 0, false, &m, 1, &e), 1);
    EXPECT_INT(m.end, 300000);
    regex_free(r);
    buf_free(&b);
}

static void *search_many(void *regex)
{
    struct error e = {0};
    struct regex_match m[3];
    long found = 0;
    for (int i = 0; i < 2000; i++)
        found += regex_search(regex, STR("abc 12 def"), 0, false, m, 3, &e) == 1 && m[2].start == 5;
    return (void *)(intptr_t)found;
}

static void threads_share_a_regex(void)
{
    struct error e = {0};
    struct regex *r;
    EXPECT_OK(regex_compile(STR("(\\d)(\\d)"), 0, "p", &r, &e), &e);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        EXPECT_INT(pthread_create(&t[i], NULL, search_many, r), 0);
    for (int i = 0; i < 4; i++) {
        void *found;
        pthread_join(t[i], &found);
        EXPECT_INT((intptr_t)found, 2000);
    }
    regex_free(r);
}

CHECK_MAIN({"sub_is_pythons", sub_is_pythons}, {"search_gives_groups", search_gives_groups},
           {"escapes_as_python", escapes_as_python},
           {"pretokenizer_patterns", pretokenizer_patterns},
           {"faults_are_errors", faults_are_errors}, {"long_texts_match", long_texts_match},
           {"threads_share_a_regex", threads_share_a_regex})
