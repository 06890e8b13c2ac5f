/* text.h: how near an answer is to its references. Pure functions on UTF-8 text.
 *
 * Every function agrees with the program that defines its metric to 1e-9 (docs/scores.md lists
 * them); texts are what Python would hold after decode(errors="replace"), and words, digits, white
 * space, punctuation and case are Python's. `a` lends memory for the call: what a function returns
 * as a number leaves nothing behind in it.
 *
 * Time and memory are linear in the texts' lengths, but for these: ROUGE-L and Levenshtein take
 * m * n / 64 steps and memory for m + n (two texts of 100,000 words: under a second), ROUGE-Lsum
 * that for each pair of lines; TER looks at most at 1,000 shifts, as sacreBLEU, and never further
 * than 25 words from the diagonal. */
#ifndef ASSAY_METRICS_TEXT_H
#define ASSAY_METRICS_TEXT_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct value;

struct overlap {
    double precision, recall, f1;
};

/* ---- extractive answers ---- */

struct answer_score {
    double em, f1; /* in [0, 1] */
};

enum squad_version {
    SQUAD_1_1, /* evaluate-v1.1.py: two answers without a word share nothing: F1 is 0 */
    SQUAD_2_0, /* evaluate-v2.0.py: no answer is an answer: two without a word are equal. Golds that
                  normalise to nothing are left out; without any gold left the gold is "" */
};

/* The best EM and the best F1 over the golds. No golds: 0 under 1.1, "no answer" under 2.0. */
struct answer_score squad_score(struct arena *a, struct str prediction, const struct str *golds,
                                size_t n_golds, enum squad_version version);

/* Lower case, without ASCII punctuation and the words a, an, the, single spaces. Result in `a`. */
struct str squad_normalize(struct arena *a, struct str text);

/* The token F1 of the TAT-QA fine-tuning study: words after SQuAD's normalisation, counted with
 * their repetitions; precision, recall and F1 times 100. Two texts without a word: 100. */
struct overlap token_f1(struct arena *a, struct str prediction, struct str gold);

/* One question by TAT-QA's publisher (NExTplusplus/TAT-QA, tatqa_metric.py).
 *
 * `gold` is the data set's `answer` (a list of strings, or a number), `type` its `answer_type`,
 * `gold_scale` its `scale` ("", "thousand", "million", "billion", "percent"). `prediction` is a
 * string, a number, a list of either, or NULL or None for no answer; `scale` is the predicted one.
 * Numbers are compared to four decimals after scaling; a bare number also counts as it stands where
 * percent is asked (0.2342 for 23.42 percent). F1 is EM for arithmetic and count, else rounded to
 * two decimals. E_INPUT: the gold is not what its type asks for. */
int tatqa_score(struct arena *a, const struct value *gold, struct str type, struct str gold_scale,
                const struct value *prediction, struct str scale, struct answer_score *ret,
                struct error *err);

/* The number in a text as that scorer reads it ("$1.2 million" is 1200000, "(134)" -134), and
 * whether the text is one. NaN: none. Helps a task that must tell an answer's scale. */
double tatqa_number(struct arena *a, struct str text, bool *is_number);

/* ---- ROUGE ---- */

enum { ROUGE_1 = 1, ROUGE_2 = 2, ROUGE_L = 4, ROUGE_LSUM = 8, ROUGE_ALL = 15 };

struct rouge {
    struct overlap rouge1, rouge2, rougeL, rougeLsum; /* in [0, 1]; those not asked for are 0 */
};

/* rouge_score 0.1.2's RougeScorer(types, use_stemmer).score(target, prediction). `which`: ROUGE_1
 * and the like. ROUGE-Lsum takes each line for a sentence (split_summaries is false). */
struct rouge rouge(struct arena *a, struct str target, struct str prediction, unsigned which,
                   bool stem);

/* ---- BLEU, chrF, TER: sacreBLEU 2.6.0 ----
 *
 * Each comes in two halves: X_count adds one hypothesis against its references (one or more) to
 * statistics, X_score makes a score in [0, 100] of statistics, be they of a sentence or, since they
 * add up, of a corpus. A zeroed options struct is sacreBLEU's default. */

enum { NGRAM_MAX_ORDER = 16 };

enum bleu_tokenizer {
    BLEU_13A,  /* mteval-v13a */
    BLEU_INTL, /* mteval-v14: all Unicode punctuation and symbols */
    BLEU_CHAR,
    BLEU_ZH, /* CJK characters apart, the rest as 13a */
    BLEU_NONE,
};

enum bleu_smoothing { BLEU_SMOOTH_EXP, BLEU_SMOOTH_NONE, BLEU_SMOOTH_FLOOR, BLEU_SMOOTH_ADD_K };

struct bleu_options {
    enum bleu_tokenizer tokenizer;
    enum bleu_smoothing smoothing;
    double smooth_value; /* of floor and add-k; 0: 0.1 and 1 */
    int max_order;       /* 0: 4; at most NGRAM_MAX_ORDER */
    bool lowercase;
    bool effective_order; /* leave out orders without any n-gram: for single sentences */
};

struct bleu_stats {
    double sys_len, ref_len; /* words; ref_len of the nearest reference */
    double counts[NGRAM_MAX_ORDER], totals[NGRAM_MAX_ORDER];
};

struct bleu {
    double score, bp, precisions[NGRAM_MAX_ORDER];           /* percent, [0, 1], percent */
    double counts[NGRAM_MAX_ORDER], totals[NGRAM_MAX_ORDER]; /* after add-k */
};

/* sacreBLEU's name of a tokenizer ("13a", "intl", "char", "zh", "none") or of a smoothing method
 * ("exp", "none", "floor", "add-k"). False: there is none of that name. */
bool bleu_tokenizer_find(struct str name, enum bleu_tokenizer *ret);
bool bleu_smoothing_find(struct str name, enum bleu_smoothing *ret);

void bleu_count(struct arena *a, struct str hypothesis, const struct str *references,
                size_t n_references, const struct bleu_options *o, struct bleu_stats *stats);
struct bleu bleu_score(const struct bleu_stats *stats, const struct bleu_options *o);

struct chrf_options {
    int char_order; /* 0: 6 */
    int word_order; /* 0; 2 is chrF++. Both together at most NGRAM_MAX_ORDER */
    double beta;    /* 0: 2 */
    bool lowercase, whitespace, eps_smoothing;
};

/* For each order, those of characters first. */
struct chrf_stats {
    double hypothesis[NGRAM_MAX_ORDER], reference[NGRAM_MAX_ORDER], matches[NGRAM_MAX_ORDER];
};

void chrf_count(struct arena *a, struct str hypothesis, const struct str *references,
                size_t n_references, const struct chrf_options *o, struct chrf_stats *stats);
double chrf_score(const struct chrf_stats *stats, const struct chrf_options *o);

struct ter_options {
    bool normalized, no_punct, asian_support, case_sensitive;
};

/* How texts are counted; what makes a score of the counts is the metric's. */
struct text_options {
    enum bleu_tokenizer tokenizer;
    bool lowercase;  /* BLEU, chrF */
    bool whitespace; /* chrF counts it too */
    struct ter_options ter;
};

struct ter_stats {
    double edits, ref_length; /* of the best reference; mean over the references */
};

void ter_count(struct arena *a, struct str hypothesis, const struct str *references,
               size_t n_references, const struct ter_options *o, struct ter_stats *stats);
double ter_score(const struct ter_stats *stats);

/* ---- Levenshtein ---- */

/* Characters inserted, deleted or replaced to make y of x. */
int64_t levenshtein(struct arena *a, struct str x, struct str y);

/* Levenshtein.ratio of the Python package: 2 * (longest common subsequence) / (both lengths), in
 * which a replacement costs as much as deleting and inserting; 1 for two empty texts. */
double levenshtein_ratio(struct arena *a, struct str x, struct str y);

#endif
