/* metric.h: scores and their aggregates, as pure functions on text and numbers.
 *
 * Names and definitions are lm-evaluation-harness 0.4.13's (lm_eval/api/metrics.py); agreement is
 * to 1e-9. No files, no globals; what is allocated lives in the caller's arena. */
#ifndef ASSAY_METRICS_METRIC_H
#define ASSAY_METRICS_METRIC_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct pool;
struct regex;
struct text_options;

/* ---- aggregates ---- */

/* One document's contribution: see struct score in tasks/task.h. */
struct metric_item {
    double value, weight;
    const double *parts; /* [metric_parts(aggregation)]; NULL where that is 0 */
};

struct aggregate {
    double value;
    double stderr_; /* NaN where lm-evaluation-harness prints N/A */
    int64_t n;
};

enum aggregation {
    AGGREGATE_MEAN,                /* stderr: sample sd / sqrt(n) */
    AGGREGATE_PERPLEXITY,          /* exp(-mean); bootstrap */
    AGGREGATE_WEIGHTED_PERPLEXITY, /* exp(-sum value / sum weight); none */
    AGGREGATE_BITS_PER_BYTE,       /* -sum value / sum weight / ln 2; none */
    AGGREGATE_WEIGHTED_MEAN,       /* sum value / sum weight; none */
    AGGREGATE_BRIER_SCORE,         /* mean of each document's; none */
    AGGREGATE_BYPASS,              /* 999, whatever the documents say; none */
    AGGREGATE_F1,                  /* of label 1; parts: gold, prediction; bootstrap. NaN where the
                                      labels are of more than two kinds */
    AGGREGATE_MCC,                 /* Matthews' correlation; parts and error as above */
    AGGREGATE_F1_WEIGHTED, /* F1 of each label, averaged by how often it is right; parts as above;
                              no error, as for the two that follow */
    AGGREGATE_F1_MACRO,    /* each label counts once */
    AGGREGATE_F1_MICRO,    /* each document counts once: the share of right answers */
    AGGREGATE_BLEU,        /* of the corpus, from the sum of parts; bootstrap of 100 at most */
    AGGREGATE_CHRF,
    AGGREGATE_CHRFPP,
    AGGREGATE_TER,
    AGGREGATE_PERCENTILE_50, /* between neighbours in proportion, as numpy's; none */
    AGGREGATE_PERCENTILE_95,
    AGGREGATE_PEARSON,        /* of two numbers a document: the parts; none */
    AGGREGATE_SPEARMAN,       /* of their ranks */
    AGGREGATE_BEST_THRESHOLD, /* percent, by SQuAD 2.0: the best that "no answer" could score where
                                 its probability is above a threshold; parts: log-probability of
                                 no answer, score of the answer given (-1 where the question has
                                 none and one is given), 1 where the question has none; none */
};

/* As a task file's `aggregation:` says it: "mean", "weighted_perplexity". */
const char *aggregation_name(enum aggregation how);

/* How many numbers of each document an aggregation needs beside its value; 0: none. */
int metric_parts(enum aggregation how);

/* The parts of one answer for AGGREGATE_BLEU, _CHRF, _CHRFPP or _TER, and the answer's own score,
 * which is the document's value (BLEU's with effective order). `o` (metrics/text.h) NULL:
 * sacreBLEU's defaults. */
double metric_count_text(struct arena *a, enum aggregation how, struct str text,
                         const struct str *references, size_t n_references,
                         const struct text_options *o, double *parts);

struct metric_info {
    const char *name; /* "acc_norm"; "pass@k" stands for pass@1, pass@10, ... */
    enum aggregation aggregation;
    bool higher_is_better;
};

/* NULL: no such metric. */
const struct metric_info *metric_find(const char *name);

/* True of what assay counts beside a task's metrics and lm-evaluation-harness does not:
 * "no_answer", 1 where a filter that looks for an answer found none. */
bool metric_is_own(const char *name);

/* `bootstrap_iters` as lm-evaluation-harness' (100,000; 0: no bootstrap, whose errors are then
 * NaN). Its random stream: chunk i of 1,000 replicates uses random.Random(i), rnd.choices over the
 * items. `pool` (NULL: the caller alone) shares the chunks among threads; the result does not
 * depend on it. A value of no items is NaN, and so is the error of one. */
struct aggregate metric_aggregate(enum aggregation how, const struct metric_item *items, int64_t n,
                                  int bootstrap_iters, struct pool *pool);

/* The value alone. */
double metric_value(enum aggregation how, const struct metric_item *items, int64_t n);

/* Group of leaf tasks (lm_eval/api/group.py): mean over leaves weighted by size or not, and the
 * standard error: sqrt(sum (w_i se_i)^2) of that mean when `pooled` is false (the right one), or
 * what lm-evaluation-harness prints, for results.json: its pooled formula when weighted by size.
 * NaN when a leaf has none. */
struct aggregate metric_group(const struct aggregate *leaves, int n, bool weight_by_size,
                              bool pooled);

/* One score of a leaderboard's mean. Terms of one benchmark follow each other. */
struct mean_term {
    const char *benchmark; /* its name */
    double baseline, value, stderr_;
    int64_t n;    /* documents */
    bool by_size; /* counts by them; else once */
};

/* The mean over benchmarks of the means of max(0, (value - baseline) / (1 - baseline)); those that
 * count by documents are cut at 0 together, the others one by one. As
 * huggingface.co/docs/leaderboards/open_llm_leaderboard/normalization has it (there times 100). The
 * error takes the terms as independent, and a score below its baseline as if it were not cut. */
struct aggregate metric_leaderboard_mean(const struct mean_term *terms, int n);

/* ---- per document ---- */

/* Index of the largest; the first of equals; -1 when n is 0. A NaN is the largest, as numpy's. */
int argmax_double(const double *x, int n);

struct exact_match_options {
    struct regex *const *regexes_to_ignore; /* what matches is deleted, in this order */
    int n_regexes;
    bool ignore_case, ignore_punctuation, ignore_numbers; /* ASCII punctuation and digits */
};
/* 1 or 0; reference and prediction are both put through the options. E_INPUT: a regex ran into its
 * limit. */
int exact_match(struct arena *a, struct str prediction, struct str reference,
                const struct exact_match_options *o, double *ret, struct error *err);

/* Unbiased pass@k of n samples with c correct, k <= n (Chen et al. 2021, eq. 1). */
double pass_at_k(int64_t n, int64_t c, int64_t k);

/* Sum over choices of (softmax(logprobs) - [choice is gold])^2. */
double brier_score(const double *logprobs, int n, int gold);

/* len(re.split(r"\s+", text)): the words of word_perplexity. */
int64_t count_words(struct str text);

#endif
