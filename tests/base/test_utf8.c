/* Unicode as Python's str has it. */
#include "base/utf8.h"
#include "tests/check.h"

static void decodes(void)
{
    struct str s = STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff\xc0\x80\xed\xa0\x80");
    static const int32_t want[] = {'a', 0xe9, 0x20ac, 0x1f600, -1, -1, -1, -1, -1, -1};
    size_t i = 0, n = 0;
    while (i < s.n && n < 10)
        EXPECT_INT(utf8_next(s, &i), want[n++]);
    EXPECT_INT(n, 10);
    EXPECT_INT(i, s.n);
    EXPECT(!utf8_valid(s) && utf8_valid(str_slice(s, 0, 10)) && utf8_valid(STR("")));
    EXPECT_INT(utf8_len(str_slice(s, 0, 10)), 4);
    EXPECT_INT(utf8_offset(s, 2), 3);
    EXPECT_INT(utf8_offset(STR("ab"), 5), 2);
    char bytes[4];
    EXPECT_INT(utf8_put(0x20ac, bytes), 3);
    EXPECT(memcmp(bytes, "\xe2\x82\xac", 3) == 0);
}

/* bytes.decode("utf-8", "replace"): how many U+FFFD each fault gives. */
static void replaces_invalid(void)
{
    static const char *const cases[][2] = {
        {"ok \xc3\xa9", "ok \xc3\xa9"},
        {"a\xffz", "a\xef\xbf\xbdz"},
        {"\xe2\x82z", "\xef\xbf\xbdz"},
        {"\xf0\x9f\x98", "\xef\xbf\xbd"},
        {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc3\xc3\xa9", "\xef\xbf\xbd\xc3\xa9"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        EXPECT_STR(utf8_replace_invalid(&a, str_of(cases[i][0])), str_of(cases[i][1]));
    arena_free(&a);
}

static void letter_case(void)
{
    struct arena a = {0};
    EXPECT_STR(utf8_upper(&a, STR("stra\xc3\x9f"
                                  "e \xef\xac\x81 \xc3\xa9")),
               STR("STRASSE FI \xc3\x89"));
    EXPECT_STR(utf8_lower(&a, STR("\xc3\x89 \xc4\xb0 A")), STR("\xc3\xa9 i\xcc\x87 a"));
    /* final sigma, but not inside a word or alone */
    EXPECT_STR(utf8_lower(&a, STR("\xce\x91\xce\xa3 \xce\xa3 \xce\xa3\xce\x91")),
               STR("\xce\xb1\xcf\x82 \xcf\x83 \xcf\x83\xce\xb1"));
    EXPECT_STR(utf8_capitalize(&a, STR("hELLO wORLD")), STR("Hello world"));
    EXPECT_STR(utf8_capitalize(&a, STR("\xc3\x9f"
                                       "A")),
               STR("Ssa"));
    EXPECT_STR(utf8_title(&a, STR("it's o'neill a1b HELLO")), STR("It'S O'Neill A1B Hello"));
    EXPECT_STR(utf8_upper(&a, STR("a\xff")), STR("A\xff"));
    EXPECT_STR(utf8_lower(&a, STR("")), STR(""));
    arena_free(&a);
}

static void strips(void)
{
    struct str s = STR("\x1c \xe3\x80\x80x y\xc2\xa0\n"), set = STR("\xc3\xa9x");
    EXPECT_STR(utf8_strip(s, STRIP_BOTH, NULL), STR("x y"));
    EXPECT_STR(utf8_strip(s, STRIP_LEFT, NULL), STR("x y\xc2\xa0\n"));
    EXPECT_STR(utf8_strip(s, STRIP_RIGHT, NULL), STR("\x1c \xe3\x80\x80x y"));
    EXPECT_STR(utf8_strip(STR("x\xc3\xa9 x\xc3\xa9"), STRIP_BOTH, &set), STR(" "));
    EXPECT_STR(utf8_strip(STR(" \xe2\x80\x8b "), STRIP_BOTH, NULL), STR("\xe2\x80\x8b"));
    EXPECT_INT(utf8_strip(STR(" \n"), STRIP_BOTH, NULL).n, 0);
    EXPECT_STR(utf8_strip(STR(" \xff\x80 "), STRIP_BOTH, NULL), STR("\xff\x80"));
}

static void normal_forms(void)
{
    struct arena a = {0};
    struct str s = STR("e\xcc\x81 \xc3\xa9 \xef\xac\x81 \xe2\x91\xa0");
    EXPECT_STR(utf8_normalize(&a, s, "NFC"), STR("\xc3\xa9 \xc3\xa9 \xef\xac\x81 \xe2\x91\xa0"));
    EXPECT_STR(utf8_normalize(&a, s, "NFD"), STR("e\xcc\x81 e\xcc\x81 \xef\xac\x81 \xe2\x91\xa0"));
    EXPECT_STR(utf8_normalize(&a, s, "NFKC"), STR("\xc3\xa9 \xc3\xa9 fi 1"));
    EXPECT_STR(utf8_normalize(&a, s, "NFKD"), STR("e\xcc\x81 e\xcc\x81 fi 1"));
    EXPECT_STR(utf8_normalize(&a, STR("a\xff"), "NFC"), STR("a\xff"));
    EXPECT_STR(utf8_normalize(&a, STR("a\0b"), "NFC"), STR("a\0b"));
    arena_free(&a);
}

CHECK_MAIN({"decodes", decodes}, {"replaces_invalid", replaces_invalid},
           {"letter_case", letter_case}, {"strips", strips}, {"normal_forms", normal_forms})
