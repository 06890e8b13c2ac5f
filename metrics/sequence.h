/* sequence.h, for metrics/ alone: what two texts have in common, as sequences of numbers (of words
 * or characters, numbered from 0). Memory is taken from `a` and given back. */
#ifndef ASSAY_METRICS_SEQUENCE_H
#define ASSAY_METRICS_SEQUENCE_H

#include "metrics/words.h"

/* A text as the numbers of its characters. `keep_space`: white space too. The numbers of several
 * texts agree when they share `alphabet`, a zeroed struct at first. */
struct alphabet {
    uint32_t ascii[128]; /* number + 1, or 0 */
    uint32_t n;
    struct vocabulary others; /* characters beyond ASCII, as bytes */
    uint32_t *numbers;        /* of the vocabulary's words */
    uint32_t n_numbers;
};
struct sequence number_characters(struct arena *a, struct alphabet *alphabet, struct str text,
                                  bool keep_space);

/* For each order k = 1 .. max_order, ret[k - 1] is the number of k-grams of texts[0] that are found
 * in the others, each no more often than in that other text which has it most. All numbers are
 * below `n_symbols`. Time: (length + n_symbols) * max_order. */
void ngram_matches(struct arena *a, const struct sequence *texts, size_t n_texts,
                   uint32_t n_symbols, int max_order, int64_t *ret);

static inline int64_t ngram_count(size_t length, int order)
{
    return length >= (size_t)order ? (int64_t)(length - (size_t)order + 1) : 0;
}

/* Length of the longest common subsequence. Time: m * n / 64. */
size_t lcs_length(struct arena *a, struct sequence x, struct sequence y, uint32_t n_symbols);

/* Marks the members of x in one longest common subsequence: the one that a walk back through the
 * table of lengths finds if it takes a match where there is one, else goes up in y if the length
 * there is greater, else up in x (rouge_score's). Memory: sqrt(n) * m / 64 words. */
void lcs_mark(struct arena *a, struct sequence x, struct sequence y, uint32_t n_symbols,
              bool *marks);

/* Insertions, deletions and substitutions that make y of x. Time: m * n / 64. */
size_t edit_distance(struct arena *a, struct sequence x, struct sequence y, uint32_t n_symbols);

#endif
