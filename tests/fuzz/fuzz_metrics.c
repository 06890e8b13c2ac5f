/* Text metrics: whatever the two texts hold, each score keeps to its range and its symmetries. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "base/value.h"
#include "metrics/text.h"
#include "tests/fuzz/fuzz.h"

static struct arena arena;

static void within(const char *what, double x, double most)
{
    if (x >= 0 && x <= most)
        return;
    fprintf(stderr, "%s is %.17g, not in [0, %g]\n", what, x, most);
    abort();
}

static void check_overlap(const char *what, struct overlap o, double most)
{
    within(what, o.precision, most);
    within(what, o.recall, most);
    within(what, o.f1, most);
}

static void check_rouge(struct str x, struct str y, bool stem)
{
    struct rouge r = rouge(&arena, x, y, ROUGE_ALL, stem),
                 back = rouge(&arena, y, x, ROUGE_ALL, stem);
    check_overlap("rouge1", r.rouge1, 1);
    check_overlap("rouge2", r.rouge2, 1);
    check_overlap("rougeL", r.rougeL, 1);
    check_overlap("rougeLsum", r.rougeLsum, 1);
    if (r.rougeL.recall != back.rougeL.precision || r.rouge2.recall != back.rouge2.precision)
        abort();
    if (r.rougeL.recall > r.rouge1.recall) /* a common subsequence is a set of common words */
        abort();
}

static void check_bleu(struct str x, const struct str *references, unsigned bits)
{
    struct bleu_options o = {.tokenizer = bits % 5,
                             .smoothing = bits / 5 % 4,
                             .max_order = (int)(bits / 20 % 6),
                             .lowercase = bits & 1,
                             .effective_order = bits & 2};
    struct bleu_stats s = {0};
    bleu_count(&arena, x, references, 2, &o, &s);
    within("bleu", bleu_score(&s, &o).score, 100.0000001);
    for (int k = 0; k < NGRAM_MAX_ORDER; k++)
        if (s.counts[k] > s.totals[k] || s.totals[k] > s.sys_len)
            abort();
}

static void check_chrf(struct str x, const struct str *references, unsigned bits)
{
    struct chrf_options o = {.char_order = (int)(bits % 14),
                             .word_order = (int)(bits / 14 % 3),
                             .lowercase = bits & 1,
                             .whitespace = bits & 2,
                             .eps_smoothing = bits & 4};
    struct chrf_stats s = {{0}, {0}, {0}}, same = {{0}, {0}, {0}};
    chrf_count(&arena, x, references, 2, &o, &s);
    within("chrf", chrf_score(&s, &o), 100.0000001);
    chrf_count(&arena, x, &x, 1, &o, &same);
    for (int k = 0; k < NGRAM_MAX_ORDER; k++)
        if (same.matches[k] != same.hypothesis[k] || s.matches[k] > s.reference[k])
            abort();
}

static void check_ter(struct str x, const struct str *references, unsigned bits)
{
    struct ter_options o = {bits & 1, bits & 2, bits & 4, bits & 8};
    struct ter_stats s = {0}, same = {0};
    ter_count(&arena, x, references, 2, &o, &s);
    ter_count(&arena, x, &x, 1, &o, &same);
    if ((same.edits != 0 && !o.normalized) || !isfinite(ter_score(&s)) || s.edits < 0)
        abort();
}

static void check_edits(struct str x, struct str y)
{
    int64_t there = levenshtein(&arena, x, y), back = levenshtein(&arena, y, x);
    if (there != back || there > (int64_t)(x.n > y.n ? x.n : y.n))
        abort();
    within("levenshtein ratio", levenshtein_ratio(&arena, x, y), 1);
}

static void check_answers(struct str x, const struct str *golds, unsigned bits)
{
    static const char *const types[] = {"span", "multi-span", "arithmetic", "count", "other"};
    static const char *const scales[] = {"", "thousand", "million", "billion", "percent"};
    struct answer_score s = squad_score(&arena, x, golds, 2, bits & 1 ? SQUAD_2_0 : SQUAD_1_1);
    within("squad em", s.em, 1);
    within("squad f1", s.f1, 1);
    check_overlap("token f1", token_f1(&arena, x, golds[0]), 100);
    struct value *gold = value_str(&arena, golds[0]), *list = value_list(&arena);
    struct error err;
    list_push(&arena, list, gold);
    list_push(&arena, list, value_str(&arena, golds[1]));
    if (tatqa_score(&arena, bits / 5 % 5 < 2 ? list : gold, str_of(types[bits / 5 % 5]),
                    str_of(scales[bits % 5]), bits & 1 ? list : value_str(&arena, x),
                    str_of(scales[bits / 25 % 5]), &s, &err) < 0)
        return;
    within("tatqa em", s.em, 1);
    within("tatqa f1", s.f1, 1);
}

/* The first two bytes choose options, the rest are lines: an answer and two references. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned bits = data[0] + 256u * data[1];
    struct str text = {(const char *)data + 2, size - 2}, parts[3];
    for (int i = 0; i < 3; i++) {
        size_t end = i < 2 ? str_find(text, STR("\n"), 0) : SIZE_MAX;
        end = end == SIZE_MAX ? text.n : end;
        parts[i] = str_slice(text, 0, end);
        text = str_slice(text, end + (end < text.n), text.n);
    }
    check_rouge(parts[0], parts[1], bits & 1);
    check_bleu(parts[0], parts + 1, bits);
    check_chrf(parts[0], parts + 1, bits);
    check_ter(parts[0], parts + 1, bits);
    check_edits(parts[0], parts[1]);
    check_answers(parts[0], parts + 1, bits);
    arena_free(&arena);
    return 0;
}
