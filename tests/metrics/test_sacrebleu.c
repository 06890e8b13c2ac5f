/* BLEU, chrF and TER against sacreBLEU 2.6.0. */
#include "metrics/text.h"
#include "tests/check.h"
#include "tests/metrics/rows.h"

static struct arena arena;

struct pair {
    struct str hypothesis, references[2];
};

static struct pair *read_pairs(size_t *n)
{
    struct rows rows;
    *n = 0;
    if (!rows_open(&arena, "goldens/text_metrics/pairs.jsonl", &rows))
        return NULL;
    struct pair *ret = arena_array(&arena, rows.n, sizeof *ret);
    for (size_t i = 0; i < rows.n; i++)
        ret[i] =
            (struct pair){row_text(rows.items[i], "prediction"),
                          {row_text(rows.items[i], "target"), row_text(rows.items[i], "target2")}};
    *n = rows.n;
    EXPECT_INT(rows.n, 300);
    return ret;
}

static bool flag(const struct value *options, const char *key)
{
    const struct value *v = dict_get(options, key);
    return v && value_truthy(v);
}

static int number(const struct value *options, const char *key)
{
    const struct value *v = dict_get(options, key);
    return v ? (int)v->i : 0;
}

static void expect_list(const char *name, const char *what, const double *got,
                        const struct value *want)
{
    for (size_t i = 0; i < want->list.n; i++)
        if (!(fabs(got[i] - list_number(want, i)) <= 1e-9))
            check_fail(__FILE__, __LINE__, "%s: %s[%zu] is %.17g, not %.17g", name, what, i, got[i],
                       list_number(want, i));
}

static void expect_score(const char *name, double got, const struct value *want)
{
    if (!(fabs(got - row_number(want, "score")) <= 1e-9))
        check_fail(__FILE__, __LINE__, "%s is %.17g, not %.17g", name, got,
                   row_number(want, "score"));
}

static void bleu_corpus(const char *name, const struct pair *pairs, size_t n, size_t n_references,
                        const struct value *want)
{
    const struct value *options = dict_get(want, "options");
    struct bleu_options o = {.max_order = number(options, "max_ngram_order"),
                             .lowercase = flag(options, "lowercase")};
    if (dict_get(options, "tokenize"))
        EXPECT(bleu_tokenizer_find(row_text(options, "tokenize"), &o.tokenizer));
    if (dict_get(options, "smooth_method"))
        EXPECT(bleu_smoothing_find(row_text(options, "smooth_method"), &o.smoothing));
    if (dict_get(options, "smooth_value"))
        o.smooth_value = row_number(options, "smooth_value");
    struct bleu_stats stats = {0};
    for (size_t i = 0; i < n; i++)
        bleu_count(&arena, pairs[i].hypothesis, pairs[i].references, n_references, &o, &stats);
    struct bleu b = bleu_score(&stats, &o);
    expect_score(name, b.score, want);
    expect_list(name, "counts", b.counts, dict_get(want, "counts"));
    expect_list(name, "totals", b.totals, dict_get(want, "totals"));
    expect_list(name, "precisions", b.precisions, dict_get(want, "precisions"));
    EXPECT_NEAR(b.bp, row_number(want, "bp"), 1e-12);
    EXPECT_NEAR(stats.sys_len, row_number(want, "sys_len"), 0);
    EXPECT_NEAR(stats.ref_len, row_number(want, "ref_len"), 0);
}

static void chrf_corpus(const char *name, const struct pair *pairs, size_t n, size_t n_references,
                        const struct value *want)
{
    const struct value *options = dict_get(want, "options");
    struct chrf_options o = {.char_order = number(options, "char_order"),
                             .word_order = number(options, "word_order"),
                             .beta = number(options, "beta"),
                             .lowercase = flag(options, "lowercase"),
                             .whitespace = flag(options, "whitespace"),
                             .eps_smoothing = flag(options, "eps_smoothing")};
    struct chrf_stats stats = {0};
    for (size_t i = 0; i < n; i++)
        chrf_count(&arena, pairs[i].hypothesis, pairs[i].references, n_references, &o, &stats);
    expect_score(name, chrf_score(&stats, &o), want);
}

static void ter_corpus(const char *name, const struct pair *pairs, size_t n, size_t n_references,
                       const struct value *want)
{
    const struct value *options = dict_get(want, "options");
    struct ter_options o = {.normalized = flag(options, "normalized"),
                            .no_punct = flag(options, "no_punct"),
                            .asian_support = flag(options, "asian_support"),
                            .case_sensitive = flag(options, "case_sensitive")};
    struct ter_stats stats = {0};
    for (size_t i = 0; i < n; i++)
        ter_count(&arena, pairs[i].hypothesis, pairs[i].references, n_references, &o, &stats);
    expect_score(name, ter_score(&stats), want);
    EXPECT_NEAR(stats.edits, row_number(want, "num_edits"), 0);
    EXPECT_NEAR(stats.ref_length, row_number(want, "ref_length"), 1e-9);
}

static void corpus(const char *prefix, size_t least,
                   void score(const char *name, const struct pair *pairs, size_t n,
                              size_t n_references, const struct value *want))
{
    size_t n_pairs, n_rows = 0;
    const struct pair *pairs = read_pairs(&n_pairs);
    const struct value *all = shared_json(&arena, "goldens/text_metrics/sacrebleu_corpus.json");
    static const char *const parts[] = {"corpus", "corpus_multi_ref"};
    for (size_t part = 0; pairs && all && part < 2; part++) {
        const struct value *rows = dict_get(all, parts[part]);
        for (size_t i = 0; i < rows->dict.n; i++) {
            const char *name = rows->dict.entries[i].key->s.p;
            if (strncmp(name, prefix, strlen(prefix)) != 0)
                continue;
            score(name, pairs, n_pairs, part + 1, rows->dict.entries[i].value);
            n_rows++;
        }
    }
    EXPECT(!all || n_rows >= least);
    arena_free(&arena);
}

static void bleu_of_corpora(void)
{
    corpus("bleu:", 11, bleu_corpus);
}

static void chrf_of_corpora(void)
{
    corpus("chrf:", 7, chrf_corpus);
}

static void ter_of_corpora(void)
{
    corpus("ter:", 6, ter_corpus);
}

static double bleu_sentence(const struct pair *p, size_t n_references, struct bleu_options o,
                            struct bleu *ret)
{
    struct bleu_stats stats = {0};
    bleu_count(&arena, p->hypothesis, p->references, n_references, &o, &stats);
    struct bleu b = bleu_score(&stats, &o);
    if (ret)
        *ret = b;
    return b.score;
}

static double chrf_sentence(const struct pair *p, size_t n_references, int word_order)
{
    struct chrf_options o = {.word_order = word_order};
    struct chrf_stats stats = {0};
    chrf_count(&arena, p->hypothesis, p->references, n_references, &o, &stats);
    return chrf_score(&stats, &o);
}

static struct ter_stats ter_sentence(const struct pair *p, size_t n_references)
{
    struct ter_stats stats = {0};
    ter_count(&arena, p->hypothesis, p->references, n_references, &(struct ter_options){0}, &stats);
    return stats;
}

static void expect_sentence(size_t i, const char *key, double got, const struct value *row)
{
    if (!(fabs(got - row_number(row, key)) <= 1e-9))
        check_fail(__FILE__, __LINE__, "pair %zu, %s: %.17g, not %.17g", i, key, got,
                   row_number(row, key));
}

static void sentences(void)
{
    size_t n;
    struct rows rows;
    const struct pair *pairs = read_pairs(&n);
    if (!pairs || !rows_open(&arena, "goldens/text_metrics/sacrebleu_sentence.jsonl", &rows))
        return;
    struct bleu_options effective = {.effective_order = true},
                        intl = {BLEU_INTL, .effective_order = true};
    for (size_t i = 0; i < rows.n; i++) {
        const struct value *row = rows.items[i];
        const struct pair *p = &pairs[i];
        struct bleu b;
        expect_sentence(i, "bleu", bleu_sentence(p, 1, effective, &b), row);
        expect_sentence(i, "bleu_bp", b.bp, row);
        expect_list("bleu", "counts", b.counts, dict_get(row, "bleu_counts"));
        expect_list("bleu", "totals", b.totals, dict_get(row, "bleu_totals"));
        expect_sentence(i, "bleu_no_effective_order",
                        bleu_sentence(p, 1, (struct bleu_options){0}, NULL), row);
        expect_sentence(i, "bleu_intl", bleu_sentence(p, 1, intl, NULL), row);
        expect_sentence(i, "bleu_2refs", bleu_sentence(p, 2, effective, NULL), row);
        expect_sentence(i, "chrf", chrf_sentence(p, 1, 0), row);
        expect_sentence(i, "chrf++", chrf_sentence(p, 1, 2), row);
        expect_sentence(i, "chrf_2refs", chrf_sentence(p, 2, 0), row);
        struct ter_stats one = ter_sentence(p, 1), two = ter_sentence(p, 2);
        expect_sentence(i, "ter", ter_score(&one), row);
        expect_sentence(i, "ter_edits", one.edits, row);
        expect_sentence(i, "ter_ref_length", one.ref_length, row);
        expect_sentence(i, "ter_2refs", ter_score(&two), row);
    }
    EXPECT_INT(rows.n, 300);
    arena_free(&arena);
}

/* Found by holding random texts against sacreBLEU. */
static void ter_of_normalized_references(void)
{
    struct ter_options o = {.normalized = true};
    struct ter_stats s = {0};
    struct str text = STR("so ..1 said");
    ter_count(&arena, text, &text, 1, &o, &s);
    EXPECT_NEAR(ter_score(&s), 40, 1e-12); /* so . .1 said, so . . 1 said */
    arena_free(&arena);
}

CHECK_MAIN({"bleu of corpora", bleu_of_corpora}, {"chrf of corpora", chrf_of_corpora},
           {"ter of corpora", ter_of_corpora}, {"sentences", sentences},
           {"ter, normalized twice", ter_of_normalized_references})
