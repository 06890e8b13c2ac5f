/* CPython's random.Random, draw for draw, against sequences that CPython 3.11 printed. */
#include "base/pyrandom.h"
#include "base/sha512.h"
#include "tests/shared.h"

static struct value *goldens(struct arena *a)
{
    return shared_json(a, "goldens/pyrandom/pyrandom.json");
}

static size_t count(const struct value *list)
{
    return list ? list->list.n : 0;
}

static const struct value *item(const struct value *list, size_t i)
{
    return list->list.items[i];
}

static double number(const struct value *v)
{
    return v->type == VALUE_FLOAT ? v->f : (double)v->i;
}

/* A seed is an int, a text, or {"int": "digits"} for one beyond 2^53. */
static void seed(struct pyrandom *r, const struct value *v)
{
    const struct value *big = dict_get(v, "int");
    if (v->type == VALUE_STR) {
        pyrandom_seed_str(r, v->s);
    } else if (big) {
        unsigned __int128 x = 0;
        for (size_t i = 0; i < big->s.n; i++)
            x = x * 10 + (unsigned)(big->s.p[i] - '0');
        uint32_t words[4];
        size_t n = 0;
        for (; x; x >>= 32)
            words[n++] = (uint32_t)x;
        pyrandom_seed_words(r, words, n);
    } else {
        pyrandom_seed(r, v->i);
    }
}

/* getrandbits(k) of any k up to 128: the low 64 bits are drawn first. */
static void expect_bits(struct pyrandom *r, int k, struct str digits)
{
    unsigned __int128 got = pyrandom_getrandbits(r, k > 64 ? 64 : k), want = 0;
    if (k > 64)
        got |= (unsigned __int128)pyrandom_getrandbits(r, k - 64) << 64;
    for (size_t i = 0; i < digits.n; i++)
        want = want * 10 + (unsigned)(digits.p[i] - '0');
    EXPECT(got == want);
}

static void seeds_and_bits(void)
{
    struct arena a = {0};
    const struct value *cases = dict_get(goldens(&a), "seeds");
    for (size_t i = 0; i < count(cases); i++) {
        const struct value *c = item(cases, i), *list;
        struct pyrandom r;
        seed(&r, dict_get(c, "seed"));
        list = dict_get(c, "random");
        for (size_t k = 0; k < count(list); k++)
            EXPECT_NEAR(pyrandom_random(&r), number(item(list, k)), 0);
        list = dict_get(c, "getrandbits32");
        for (size_t k = 0; k < count(list); k++)
            EXPECT_INT(pyrandom_getrandbits(&r, 32), item(list, k)->i);
        list = dict_get(c, "getrandbits");
        for (size_t k = 0; k < count(list); k++)
            expect_bits(&r, (int)item(item(list, k), 0)->i, item(item(list, k), 1)->s);
        list = dict_get(c, "randrange");
        for (size_t k = 0; k < count(list); k++)
            EXPECT_INT(pyrandom_below(&r, (uint64_t)item(item(list, k), 0)->i),
                       item(item(list, k), 1)->i);
        list = dict_get(c, "randint_1_6");
        for (size_t k = 0; k < count(list); k++)
            EXPECT_INT(1 + pyrandom_below(&r, 6), item(list, k)->i);
    }
    arena_free(&a);
}

static void expect_list(const struct value *want, const size_t *got)
{
    for (size_t i = 0; i < count(want); i++)
        EXPECT_INT(got[i], item(want, i)->i);
}

static void samples(void)
{
    struct arena a = {0};
    const struct value *all = goldens(&a), *cases = dict_get(all, "sample");
    static size_t got[1000];
    struct pyrandom r;
    for (size_t i = 0; i < count(cases); i++) {
        const struct value *c = item(cases, i);
        seed(&r, dict_get(c, "seed"));
        pyrandom_sample(&r, (size_t)dict_get(c, "n")->i, (size_t)dict_get(c, "k")->i, got);
        expect_list(dict_get(c, "sample"), got);
    }
    const struct value *stream = dict_get(all, "sample_stream"), *draws = dict_get(stream, "draws");
    if (stream)
        seed(&r, dict_get(stream, "seed"));
    for (size_t i = 0; i < count(draws); i++) {
        const struct value *c = item(draws, i);
        pyrandom_sample(&r, (size_t)dict_get(c, "n")->i, (size_t)dict_get(c, "k")->i, got);
        expect_list(dict_get(c, "sample"), got);
    }
    arena_free(&a);
}

static void shuffles_and_choices(void)
{
    struct arena a = {0};
    const struct value *all = goldens(&a), *cases = dict_get(all, "shuffle");
    size_t got[128];
    struct pyrandom r;
    for (size_t i = 0; i < count(cases); i++) {
        const struct value *c = item(cases, i);
        size_t n = (size_t)dict_get(c, "n")->i;
        for (size_t k = 0; k < n; k++)
            got[k] = k;
        seed(&r, dict_get(c, "seed"));
        pyrandom_shuffle(&r, got, n);
        expect_list(dict_get(c, "result"), got);
    }
    cases = dict_get(all, "choices");
    for (size_t i = 0; i < count(cases); i++) {
        const struct value *c = item(cases, i);
        if (!dict_get(c, "n")) /* weighted */
            continue;
        seed(&r, dict_get(c, "seed"));
        pyrandom_choices(&r, (size_t)dict_get(c, "n")->i, (size_t)dict_get(c, "k")->i, got);
        expect_list(dict_get(c, "result"), got);
    }
    arena_free(&a);
}

static void distributions(void)
{
    struct arena a = {0};
    const struct value *cases = dict_get(goldens(&a), "other");
    for (size_t i = 0; i < count(cases); i++) {
        const struct value *c = item(cases, i), *list = dict_get(c, "choice_of_range7");
        struct pyrandom r;
        seed(&r, dict_get(c, "seed"));
        for (size_t k = 0; k < count(list); k++)
            EXPECT_INT(pyrandom_below(&r, 7), item(list, k)->i);
        list = dict_get(c, "uniform_-2_3");
        for (size_t k = 0; k < count(list); k++)
            EXPECT_NEAR(pyrandom_uniform(&r, -2, 3), number(item(list, k)), 0);
        list = dict_get(c, "gauss_0_1");
        for (size_t k = 0; k < count(list); k++)
            EXPECT_NEAR(pyrandom_gauss(&r, 0, 1), number(item(list, k)), 0);
    }
    arena_free(&a);
}

/* The first bytes of hashlib.sha512(b"a" * n). */
static void sha512_at_block_ends(void)
{
    static const struct {
        size_t n;
        unsigned char first[4];
    } cases[] = {
        {0, {0xcf, 0x83, 0xe1, 0x35}},   {1, {0x1f, 0x40, 0xfc, 0x92}},
        {111, {0xfa, 0x91, 0x21, 0xc7}}, {112, {0xc0, 0x1d, 0x08, 0x0e}},
        {127, {0x82, 0x86, 0x13, 0x96}}, {128, {0xb7, 0x3d, 0x19, 0x29}},
        {129, {0x4f, 0x68, 0x1e, 0x0b}}, {239, {0x52, 0xc8, 0x53, 0xcb}},
        {240, {0x4c, 0x29, 0x6d, 0x90}}, {256, {0x6a, 0x91, 0x69, 0xeb}},
        {300, {0xa6, 0xa7, 0x70, 0x10}},
    };
    char text[300];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char digest[SHA512_BYTES];
        sha512(text, cases[i].n, digest);
        EXPECT(memcmp(digest, cases[i].first, 4) == 0);
    }
}

/* Many draws at once are the draws one by one, wherever the stream stands. */
static void draws_in_bulk(void)
{
    struct pyrandom one, many;
    double got[1000];
    pyrandom_seed(&one, 5), pyrandom_seed(&many, 5);
    for (size_t n = 0; n < 1000; n += 97) {
        pyrandom_randoms(&many, got, n);
        for (size_t i = 0; i < n; i++)
            EXPECT_NEAR(got[i], pyrandom_random(&one), 0);
        EXPECT_INT(pyrandom_getrandbits(&many, 32), pyrandom_getrandbits(&one, 32));
    }
}

CHECK_MAIN({"seeds_and_bits", seeds_and_bits}, {"samples", samples},
           {"shuffles_and_choices", shuffles_and_choices}, {"draws_in_bulk", draws_in_bulk},
           {"distributions", distributions}, {"sha512_at_block_ends", sha512_at_block_ends})
