/* ROUGE, the stemmer and edit distances against their reference programs and plain tables. */
#include "metrics/porter.h"
#include "metrics/sequence.h"
#include "metrics/text.h"
#include "tests/check.h"
#include "tests/metrics/rows.h"

static struct arena arena;

static void stems(void)
{
    struct value *all = shared_json(&arena, "goldens/text_metrics/porter.json");
    for (size_t i = 0; all && i < all->dict.n; i++) {
        struct str word = all->dict.entries[i].key->s;
        char *copy = arena_copy(&arena, word.p, word.n);
        size_t n = word.n > 3 ? porter_stem(copy, word.n) : word.n; /* as ROUGE stems */
        EXPECT_STR(((struct str){copy, n}), all->dict.entries[i].value->s);
    }
    EXPECT(!all || all->dict.n > 1000);
    arena_free(&arena);
}

static void expect_overlap(size_t i, const char *name, struct overlap got, const struct value *want)
{
    double off =
        fmax(fabs(got.precision - list_number(want, 0)),
             fmax(fabs(got.recall - list_number(want, 1)), fabs(got.f1 - list_number(want, 2))));
    if (!(off <= 1e-12))
        check_fail(__FILE__, __LINE__, "pair %zu, %s: %.17g %.17g %.17g, off by %g", i, name,
                   got.precision, got.recall, got.f1, off);
}

static void expect_rouge(size_t i, struct rouge got, const struct value *want)
{
    expect_overlap(i, "rouge1", got.rouge1, dict_get(want, "rouge1"));
    expect_overlap(i, "rouge2", got.rouge2, dict_get(want, "rouge2"));
    expect_overlap(i, "rougeL", got.rougeL, dict_get(want, "rougeL"));
    expect_overlap(i, "rougeLsum", got.rougeLsum, dict_get(want, "rougeLsum"));
}

static void add(struct overlap *sum, struct overlap x)
{
    sum->precision += x.precision, sum->recall += x.recall, sum->f1 += x.f1;
}

static struct overlap over(struct overlap x, double n)
{
    return (struct overlap){x.precision / n, x.recall / n, x.f1 / n};
}

static void rouge_goldens(void)
{
    struct rows pairs, want;
    if (!rows_open(&arena, "goldens/text_metrics/pairs.jsonl", &pairs) ||
        !rows_open(&arena, "goldens/text_metrics/rouge.jsonl", &want))
        return;
    const struct value *means = shared_json(&arena, "goldens/text_metrics/rouge_mean.json");
    for (int stem = 0; stem < 2; stem++) {
        const char *how = stem ? "stem" : "plain";
        struct rouge sum = {0};
        for (size_t i = 0; i < pairs.n; i++) {
            struct str target = row_text(pairs.items[i], "target"),
                       prediction = row_text(pairs.items[i], "prediction");
            struct rouge all = rouge(&arena, target, prediction, ROUGE_ALL, stem);
            expect_rouge(i, all, dict_get(want.items[i], how));
            struct rouge l = rouge(&arena, target, prediction, ROUGE_L | ROUGE_1, stem);
            EXPECT_NEAR(l.rougeL.f1, all.rougeL.f1, 0);
            EXPECT_NEAR(l.rouge1.f1, all.rouge1.f1, 0);
            EXPECT_NEAR(l.rougeLsum.f1, 0, 0);
            add(&sum.rouge1, all.rouge1), add(&sum.rouge2, all.rouge2);
            add(&sum.rougeL, all.rougeL), add(&sum.rougeLsum, all.rougeLsum);
        }
        double n = (double)pairs.n;
        sum = (struct rouge){over(sum.rouge1, n), over(sum.rouge2, n), over(sum.rougeL, n),
                             over(sum.rougeLsum, n)};
        expect_rouge(pairs.n, sum, dict_get(means, how));
    }
    EXPECT_INT(pairs.n, 300);
    EXPECT_INT(want.n, 300);
    arena_free(&arena);
}

/* ---- sequences, against the tables that define them ---- */

static uint32_t state;

static uint32_t draw(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

static struct sequence random_sequence(size_t n, uint32_t n_symbols)
{
    struct sequence s = {arena_array(&arena, n + 1, sizeof *s.ids), n};
    for (size_t i = 0; i < n; i++)
        s.ids[i] = draw(n_symbols);
    return s;
}

static size_t *table(struct sequence x, struct sequence y, bool edits)
{
    size_t *t = arena_array(&arena, (x.n + 1) * (y.n + 1), sizeof *t), width = y.n + 1;
    for (size_t i = 0; i <= x.n; i++)
        for (size_t j = 0; j <= y.n; j++) {
            size_t *at = t + i * width + j;
            if (i == 0 || j == 0) {
                *at = edits ? i + j : 0;
                continue;
            }
            bool same = x.ids[i - 1] == y.ids[j - 1];
            size_t up = at[-(ptrdiff_t)width], left = at[-1], both = at[-(ptrdiff_t)width - 1];
            if (!edits)
                *at = same ? both + 1 : up > left ? up : left;
            else
                *at = (up < left ? up : left) + 1 < both + !same ? (up < left ? up : left) + 1
                                                                 : both + !same;
        }
    return t;
}

static void walk_back(struct sequence x, struct sequence y, const size_t *t, bool *marks)
{
    size_t i = x.n, j = y.n, width = y.n + 1;
    while (i > 0 && j > 0) {
        if (x.ids[i - 1] == y.ids[j - 1])
            i--, j--, marks[i] = true;
        else if (t[i * width + j - 1] > t[(i - 1) * width + j])
            j--;
        else
            i--;
    }
}

static void sequences(void)
{
    static const size_t lengths[] = {0, 1, 2, 63, 64, 65, 127, 130, 200};
    enum { N = sizeof lengths / sizeof *lengths };
    for (size_t round = 0; round < N * N * 3; round++) {
        state = (uint32_t)round;
        static const uint32_t sizes[] = {2, 9, 300};
        uint32_t n_symbols = sizes[round % 3];
        struct sequence x = random_sequence(lengths[round / 3 % N], n_symbols),
                        y = random_sequence(lengths[round / 3 / N], n_symbols);
        size_t *lengths_table = table(x, y, false), last = (x.n + 1) * (y.n + 1) - 1;
        size_t edits = table(x, y, true)[last], common = lengths_table[last];
        bool *want = arena_array(&arena, x.n + 1, 1), *got = arena_array(&arena, x.n + 1, 1);
        walk_back(x, y, lengths_table, want);
        lcs_mark(&arena, x, y, n_symbols, got);
        if (lcs_length(&arena, x, y, n_symbols) != common ||
            edit_distance(&arena, x, y, n_symbols) != edits || memcmp(want, got, x.n) != 0)
            check_fail(__FILE__, __LINE__,
                       "%zu x %zu of %u symbols: length %zu, not %zu; edits %zu, not %zu; marks "
                       "%s",
                       x.n, y.n, n_symbols, lcs_length(&arena, x, y, n_symbols), common,
                       edit_distance(&arena, x, y, n_symbols), edits,
                       memcmp(want, got, x.n) ? "differ" : "agree");
        arena_free(&arena);
    }
}

static int64_t occurrences(struct sequence s, const uint32_t *gram, size_t k)
{
    int64_t n = 0;
    for (size_t i = 0; i + k <= s.n; i++)
        n += memcmp(s.ids + i, gram, k * sizeof *gram) == 0;
    return n;
}

/* Each distinct k-gram of the first text, looked for in all. */
static int64_t plain_matches(const struct sequence *texts, size_t n_texts, size_t k)
{
    int64_t ret = 0;
    struct sequence own = texts[0];
    for (size_t i = 0; i + k <= own.n; i++) {
        const uint32_t *gram = own.ids + i;
        if (occurrences((struct sequence){own.ids, i + k - 1}, gram, k))
            continue; /* seen before */
        int64_t most = 0, here = occurrences(own, gram, k);
        for (size_t t = 1; t < n_texts; t++) {
            int64_t there = occurrences(texts[t], gram, k);
            most = there > most ? there : most;
        }
        ret += here < most ? here : most;
    }
    return ret;
}

static void ngrams(void)
{
    for (uint32_t round = 0; round < 300; round++) {
        state = round;
        struct sequence texts[4];
        size_t n_texts = 1 + draw(4), longest = round % 50 ? 30 : 2000;
        uint32_t n_symbols = round % 10 ? 1 + draw(5) : 1 + draw(4000); /* packed, and not */
        for (size_t t = 0; t < n_texts; t++)
            texts[t] = random_sequence(draw((uint32_t)longest), n_symbols);
        int64_t got[7];
        ngram_matches(&arena, texts, n_texts, n_symbols, 7, got);
        for (size_t k = 1; k <= 7; k++)
            if (got[k - 1] != plain_matches(texts, n_texts, k))
                check_fail(__FILE__, __LINE__, "round %u, %zu-grams: %lld, not %lld", round, k,
                           (long long)got[k - 1], (long long)plain_matches(texts, n_texts, k));
        arena_free(&arena);
    }
}

static void edits_of_text(void)
{
    EXPECT_INT(levenshtein(&arena, STR("kitten"), STR("sitting")), 3);
    EXPECT_INT(levenshtein(&arena, STR(""), STR("\xe4\xbb\x8a\xe5\xa4\xa9")), 2);
    EXPECT_INT(levenshtein(&arena,
                           STR("stra\xc3\x9f"
                               "e"),
                           STR("strasse")),
               2);
    EXPECT_NEAR(levenshtein_ratio(&arena, STR("kitten"), STR("sitting")), 8.0 / 13, 1e-15);
    EXPECT_NEAR(levenshtein_ratio(&arena, STR(""), STR("")), 1, 0);
    arena_free(&arena);
}

/* Long texts take time and memory in proportion to what the header says. */
static void long_texts(void)
{
    struct buf x = {0}, y = {0};
    for (uint32_t i = 0; i < 60000; i++) {
        buf_printf(&x, "w%u ", i % 977);
        buf_printf(&y, "%s ", i % 3 ? "w1" : "w2");
    }
    struct rouge r = rouge(&arena, buf_view(&x), buf_view(&y), ROUGE_ALL, true);
    EXPECT_NEAR(r.rougeL.precision, r.rougeLsum.precision, 0);
    EXPECT(r.rouge1.f1 > 0);
    EXPECT(levenshtein(&arena, str_slice(buf_view(&x), 0, 100000),
                       str_slice(buf_view(&y), 0, 100000)) > 50000);
    buf_free(&x), buf_free(&y);
    arena_free(&arena);
}

CHECK_MAIN({"stems are NLTK's", stems}, {"rouge agrees with rouge_score", rouge_goldens},
           {"common subsequences and edits", sequences}, {"shared n-grams", ngrams},
           {"levenshtein", edits_of_text}, {"long texts", long_texts})
