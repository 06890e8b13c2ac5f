/* rouge.c: ROUGE as rouge_score 0.1.2 computes it (Lin 2004). */
#include "metrics/porter.h"
#include "metrics/sequence.h"
#include "metrics/text.h"

/* A text's words as numbers; line i (of those that are not empty) is [lines[i], lines[i + 1]). */
struct document {
    struct sequence words;
    size_t *lines, n_lines, longest;
};

static bool is_kept(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Words are runs of a-z and 0-9 of the lower-cased text, so that a new line always ends one. */
static struct document read_document(struct arena *a, struct vocabulary *v, struct str text,
                                     bool stem)
{
    struct str lower = lower_case(a, text);
    char *p = arena_copy(a, lower.p, lower.n);
    size_t line_start = 0, n_breaks = 0;
    for (size_t i = 0; i < lower.n; i++)
        n_breaks += p[i] == '\n';
    struct document d = {.words.ids = arena_array(a, lower.n / 2 + 1, sizeof *d.words.ids),
                         .lines = arena_array(a, n_breaks + 2, sizeof *d.lines)};
    for (size_t i = 0; i <= lower.n;) {
        size_t start = i;
        while (i < lower.n && is_kept(p[i]))
            i++;
        size_t n = stem && i - start > 3 ? porter_stem(p + start, i - start) : i - start;
        if (n)
            d.words.ids[d.words.n++] = vocabulary_id(v, (struct str){p + start, n});
        if (i == lower.n || p[i] == '\n') {
            if (i > line_start) {
                d.lines[++d.n_lines] = d.words.n;
                size_t length = d.words.n - d.lines[d.n_lines - 1];
                d.longest = length > d.longest ? length : d.longest;
            }
            line_start = i + 1;
        }
        i++;
    }
    return d;
}

static struct sequence line_of(const struct document *d, size_t i)
{
    return (struct sequence){d->words.ids + d->lines[i], d->lines[i + 1] - d->lines[i]};
}

static struct overlap overlap_of(int64_t hits, int64_t n_prediction, int64_t n_target)
{
    double precision = (double)hits / (double)(n_prediction ? n_prediction : 1);
    double recall = (double)hits / (double)(n_target ? n_target : 1);
    double sum = precision + recall;
    return (struct overlap){precision, recall, sum > 0 ? 2 * precision * recall / sum : 0};
}

/* ---- ROUGE-Lsum ---- */

static uint32_t *count_words_of(struct arena *a, const struct document *d, uint32_t n_symbols)
{
    uint32_t *counts = arena_array(a, n_symbols + 1, sizeof *counts);
    for (size_t i = 0; i < d->words.n; i++)
        counts[d->words.ids[i]]++;
    return counts;
}

/* The line with its words numbered from 1 as they stand in a target line, and 0 for all others;
 * how many of its words the target line has. */
static size_t renumber(struct sequence line, const uint32_t *numbers, uint32_t *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < line.n; i++) {
        ret[i] = numbers[line.ids[i]];
        n += ret[i] > 0;
    }
    return n;
}

/* Marks the words of a target line that are in a longest common subsequence with some line of the
 * prediction. `numbers` is all 0 before and after. */
static void mark_union(struct arena *a, struct sequence line, const struct document *prediction,
                       uint32_t *numbers, bool *any)
{
    uint32_t *ids = arena_array(a, line.n + 1, sizeof *ids), n = 0;
    uint32_t *others = arena_array(a, prediction->longest + 1, sizeof *others);
    bool *marks = arena_array(a, line.n + 1, sizeof *marks);
    size_t left = line.n; /* not marked yet */
    for (size_t k = 0; k < line.n; k++)
        if (!numbers[line.ids[k]])
            numbers[line.ids[k]] = ++n;
    renumber(line, numbers, ids);
    for (size_t j = 0; j < prediction->n_lines && left > 0; j++) {
        struct sequence other = line_of(prediction, j);
        if (!renumber(other, numbers, others))
            continue;
        lcs_mark(a, (struct sequence){ids, line.n}, (struct sequence){others, other.n}, n + 1,
                 marks);
        for (size_t k = 0; k < line.n; k++) {
            left -= marks[k] && !any[k];
            any[k] |= marks[k];
        }
    }
    for (size_t k = 0; k < line.n; k++)
        numbers[line.ids[k]] = 0;
}

/* The words so marked, each used no more often than either text has it. */
static int64_t union_hits(struct arena *a, const struct document *target,
                          const struct document *prediction, uint32_t n_symbols)
{
    uint32_t *left_target = count_words_of(a, target, n_symbols);
    uint32_t *left_prediction = count_words_of(a, prediction, n_symbols);
    uint32_t *numbers = arena_array(a, n_symbols + 1, sizeof *numbers);
    int64_t hits = 0;
    for (size_t i = 0; i < target->n_lines; i++) {
        struct arena_mark mark = arena_mark(a);
        struct sequence line = line_of(target, i);
        bool *any = arena_array(a, line.n + 1, sizeof *any);
        mark_union(a, line, prediction, numbers, any);
        for (size_t k = 0; k < line.n; k++) {
            uint32_t word = line.ids[k];
            if (any[k] && left_target[word] && left_prediction[word]) {
                left_target[word]--;
                left_prediction[word]--;
                hits++;
            }
        }
        arena_reset(a, mark);
    }
    return hits;
}

/* ---- all of them ---- */

struct rouge rouge(struct arena *a, struct str target, struct str prediction, unsigned which,
                   bool stem)
{
    struct arena_mark mark = arena_mark(a);
    struct vocabulary v = {.a = a};
    struct document t = read_document(a, &v, target, stem),
                    p = read_document(a, &v, prediction, stem);
    struct rouge ret = {0};
    int64_t n_t = (int64_t)t.words.n, n_p = (int64_t)p.words.n;
    if (n_t == 0 || n_p == 0)
        which = 0;
    if (which & (ROUGE_1 | ROUGE_2)) {
        int64_t hits[2];
        ngram_matches(a, (struct sequence[]){p.words, t.words}, 2, v.n, which & ROUGE_2 ? 2 : 1,
                      hits);
        if (which & ROUGE_1)
            ret.rouge1 = overlap_of(hits[0], n_p, n_t);
        if (which & ROUGE_2)
            ret.rouge2 = overlap_of(hits[1], n_p - 1, n_t - 1);
    }
    if (which & ROUGE_L)
        ret.rougeL = overlap_of((int64_t)lcs_length(a, t.words, p.words, v.n), n_p, n_t);
    if (which & ROUGE_LSUM)
        ret.rougeLsum = overlap_of(union_hits(a, &t, &p, v.n), n_p, n_t);
    arena_reset(a, mark);
    return ret;
}
