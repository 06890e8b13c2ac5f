/* aggregate.c: from documents to one number, and how sure that number is. */
#include "metrics/metric.h"

#include <math.h>
#include <stdlib.h>

#include "base/pyrandom.h"
#include "metrics/bootstrap.h"
#include "metrics/corpus.h"
#include "metrics/stats.h"

/* ---- the tables ---- */

/* name, aggregation, higher is better. A new metric also needs its score in tasks/score.c. */
static const struct metric_info metrics[] = {
    {"acc", AGGREGATE_MEAN, true},
    {"acc_norm", AGGREGATE_MEAN, true},
    {"acc_bytes", AGGREGATE_MEAN, true},
    {"acc_mutual_info", AGGREGATE_MEAN, true},
    {"exact_match", AGGREGATE_MEAN, true},
    {"brier_score", AGGREGATE_BRIER_SCORE, false},
    {"likelihood", AGGREGATE_MEAN, true},
    {"bypass", AGGREGATE_BYPASS, true},
    {"f1", AGGREGATE_F1, true},
    {"f1_weighted", AGGREGATE_F1_WEIGHTED, true},
    {"f1_macro", AGGREGATE_F1_MACRO, true},
    {"f1_micro", AGGREGATE_F1_MICRO, true},
    {"mcc", AGGREGATE_MCC, true},
    {"bleu", AGGREGATE_BLEU, true},
    {"chrf", AGGREGATE_CHRF, true},
    {"chrf++", AGGREGATE_CHRFPP, true},
    {"ter", AGGREGATE_TER, false},
    {"rouge1", AGGREGATE_MEAN, true},
    {"rouge2", AGGREGATE_MEAN, true},
    {"rougeL", AGGREGATE_MEAN, true},
    {"rougeLsum", AGGREGATE_MEAN, true},
    {"bleu_max", AGGREGATE_MEAN, true},
    {"bleu_acc", AGGREGATE_MEAN, true},
    {"bleu_diff", AGGREGATE_MEAN, true},
    {"rouge1_max", AGGREGATE_MEAN, true},
    {"rouge1_acc", AGGREGATE_MEAN, true},
    {"rouge1_diff", AGGREGATE_MEAN, true},
    {"rouge2_max", AGGREGATE_MEAN, true},
    {"rouge2_acc", AGGREGATE_MEAN, true},
    {"rouge2_diff", AGGREGATE_MEAN, true},
    {"rougeL_max", AGGREGATE_MEAN, true},
    {"rougeL_acc", AGGREGATE_MEAN, true},
    {"rougeL_diff", AGGREGATE_MEAN, true},
    {"contains", AGGREGATE_MEAN, true},
    {"exact", AGGREGATE_MEAN, true},     /* SQuAD 2.0's, in percent */
    {"answer_f1", AGGREGATE_MEAN, true}, /* likewise */
    {"HasAns_exact", AGGREGATE_MEAN, true},
    {"HasAns_f1", AGGREGATE_MEAN, true},
    {"NoAns_exact", AGGREGATE_MEAN, true},
    {"NoAns_f1", AGGREGATE_MEAN, true},
    {"best_exact", AGGREGATE_BEST_THRESHOLD, true},
    {"best_f1", AGGREGATE_BEST_THRESHOLD, true},
    {"em", AGGREGATE_MEAN, true},
    {"numeracy_f1", AGGREGATE_MEAN, true}, /* TAT-QA's, from 0 to 1 */
    {"scale", AGGREGATE_MEAN, true},
    {"token_precision", AGGREGATE_MEAN, true},
    {"token_recall", AGGREGATE_MEAN, true},
    {"token_f1", AGGREGATE_MEAN, true}, /* like the two before, in percent */
    {"pearson", AGGREGATE_PEARSON, true},
    {"spearman", AGGREGATE_SPEARMAN, true},
    {"output_tokens", AGGREGATE_MEAN, false},
    {"output_tokens_median", AGGREGATE_PERCENTILE_50, false},
    {"output_tokens_p95", AGGREGATE_PERCENTILE_95, false},
    {"perplexity", AGGREGATE_PERPLEXITY, false},
    {"word_perplexity", AGGREGATE_WEIGHTED_PERPLEXITY, false},
    {"byte_perplexity", AGGREGATE_WEIGHTED_PERPLEXITY, false},
    {"bits_per_byte", AGGREGATE_BITS_PER_BYTE, false},
    {"pass_at_1", AGGREGATE_MEAN, true},
    {"prompt_level_strict_acc", AGGREGATE_MEAN, true},
    {"inst_level_strict_acc", AGGREGATE_WEIGHTED_MEAN, true},
    {"prompt_level_loose_acc", AGGREGATE_MEAN, true},
    {"inst_level_loose_acc", AGGREGATE_WEIGHTED_MEAN, true},
    {"exact_match_original", AGGREGATE_MEAN, true},
    {"leaderboard_mean", AGGREGATE_MEAN, true},
    {"math_verify", AGGREGATE_MEAN, true},
    {"no_answer", AGGREGATE_MEAN, false},
    {"pass@k", AGGREGATE_MEAN, true},
};
enum { N_METRICS = sizeof metrics / sizeof *metrics };

const char *aggregation_name(enum aggregation how)
{
    static const char *const names[] = {
        [AGGREGATE_MEAN] = "mean",
        [AGGREGATE_PERPLEXITY] = "perplexity",
        [AGGREGATE_WEIGHTED_PERPLEXITY] = "weighted_perplexity",
        [AGGREGATE_BITS_PER_BYTE] = "bits_per_byte",
        [AGGREGATE_WEIGHTED_MEAN] = "weighted_mean",
        [AGGREGATE_BRIER_SCORE] = "brier_score",
        [AGGREGATE_BYPASS] = "bypass",
        [AGGREGATE_F1] = "f1",
        [AGGREGATE_F1_WEIGHTED] = "weighted_f1_score",
        [AGGREGATE_F1_MACRO] = "macro_f1_score",
        [AGGREGATE_F1_MICRO] = "micro_f1_score",
        [AGGREGATE_MCC] = "matthews_corrcoef",
        [AGGREGATE_BLEU] = "bleu",
        [AGGREGATE_CHRF] = "chrf",
        [AGGREGATE_CHRFPP] = "chrf++",
        [AGGREGATE_TER] = "ter",
        [AGGREGATE_PERCENTILE_50] = "percentile_50",
        [AGGREGATE_PERCENTILE_95] = "percentile_95",
        [AGGREGATE_PEARSON] = "pearson",
        [AGGREGATE_SPEARMAN] = "spearman",
        [AGGREGATE_BEST_THRESHOLD] = "best_threshold",
    };
    return names[how];
}

static bool is_pass_at_k(const char *name)
{
    if (strncmp(name, "pass@", 5) != 0 || !name[5])
        return false;
    return strspn(name + 5, "0123456789") == strlen(name + 5);
}

const struct metric_info *metric_find(const char *name)
{
    if (is_pass_at_k(name))
        name = "pass@k";
    for (int i = 0; i < N_METRICS; i++)
        if (strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    return NULL;
}

bool metric_is_own(const char *name)
{
    return strcmp(name, "no_answer") == 0;
}

/* ---- values ---- */

static double sum_values(const struct metric_item *items, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += items[i].value;
    return sum;
}

static double weighted_mean(const struct metric_item *items, int64_t n)
{
    double weights = 0;
    for (int64_t i = 0; i < n; i++)
        weights += items[i].weight;
    return sum_values(items, n) / weights;
}

static double quantile(const struct metric_item *items, int64_t n, double q)
{
    double *values = mem_alloc((size_t)n, sizeof *values);
    for (int64_t i = 0; i < n; i++)
        values[i] = items[i].value;
    stats_sort(values, n);
    double ret = stats_quantile(values, n, q);
    free(values);
    return ret;
}

static double correlation_of(const struct metric_item *items, int64_t n,
                             struct correlation (*f)(const double *x, const double *y, int64_t n))
{
    double *x = mem_alloc(2 * (size_t)n, sizeof *x), *y = x + n;
    for (int64_t i = 0; i < n; i++) { /* a document without parts makes it NaN */
        x[i] = items[i].parts ? items[i].parts[0] : NAN;
        y[i] = items[i].parts ? items[i].parts[1] : NAN;
    }
    double r = f(x, y, n).r;
    free(x);
    return r;
}

static int by_probability(const void *x, const void *y)
{
    const struct metric_item *const *a = x, *const *b = y;
    if ((*a)->parts[0] != (*b)->parts[0])
        return (*a)->parts[0] < (*b)->parts[0] ? -1 : 1;
    return (*a > *b) - (*a < *b); /* in the documents' order, as Python's sort leaves them */
}

/* find_best_thresh of evaluate-v2.0.py: from "no answer" to every question on, each question in
 * turn gets its answer, the least likely to have none first. */
static double best_threshold(const struct metric_item *items, int64_t n)
{
    const struct metric_item **sorted = mem_alloc((size_t)n, sizeof *sorted);
    double score = 0, best;
    for (int64_t i = 0; i < n; i++) {
        if (!items[i].parts) {
            free(sorted);
            return NAN;
        }
        sorted[i] = &items[i];
        score += items[i].parts[2];
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_probability);
    best = score;
    for (int64_t i = 0; i < n; i++) {
        score += sorted[i]->parts[1];
        best = score > best ? score : best;
    }
    free(sorted);
    return 100 * best / (double)n;
}

double metric_value(enum aggregation how, const struct metric_item *items, int64_t n)
{
    if (n <= 0)
        return NAN;
    switch (how) {
    case AGGREGATE_MEAN:
    case AGGREGATE_BRIER_SCORE:
        return sum_values(items, n) / (double)n;
    case AGGREGATE_PERPLEXITY:
        return exp(-sum_values(items, n) / (double)n);
    case AGGREGATE_WEIGHTED_PERPLEXITY:
        return exp(-weighted_mean(items, n));
    case AGGREGATE_WEIGHTED_MEAN:
        return weighted_mean(items, n);
    case AGGREGATE_BITS_PER_BYTE:
        return -weighted_mean(items, n) / M_LN2;
    case AGGREGATE_BYPASS:
        return 999;
    case AGGREGATE_PERCENTILE_50:
        return quantile(items, n, 0.5);
    case AGGREGATE_PERCENTILE_95:
        return quantile(items, n, 0.95);
    case AGGREGATE_PEARSON:
        return correlation_of(items, n, pearson);
    case AGGREGATE_SPEARMAN:
        return correlation_of(items, n, spearman);
    case AGGREGATE_BEST_THRESHOLD:
        return best_threshold(items, n);
    default:
        return corpus_value(how, items, n);
    }
}

/* ---- bootstrap ---- */

struct values {
    int64_t n;
    const double *values;
};

static double resampled_perplexity(const void *data, struct pyrandom *r, void *scratch)
{
    const struct values *v = data;
    int64_t picks[PICKS];
    double sum = 0;
    (void)scratch;
    for (int64_t left = v->n; left > 0; left -= PICKS) {
        int k = left < PICKS ? (int)left : PICKS;
        pick(r, v->n, k, picks);
        for (int i = 0; i < k; i++)
            sum += v->values[picks[i]];
    }
    return exp(-sum / (double)v->n);
}

static double perplexity_stderr(const struct metric_item *items, int64_t n, int iters,
                                struct pool *pool)
{
    double *values = mem_alloc((size_t)n, sizeof *values);
    for (int64_t i = 0; i < n; i++)
        values[i] = items[i].value;
    double ret =
        bootstrap_stderr(resampled_perplexity, &(struct values){n, values}, 0, iters, pool);
    free(values);
    return ret;
}

/* ---- aggregates ---- */

static double mean_stderr(const struct metric_item *items, int64_t n, double mean)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (items[i].value - mean) * (items[i].value - mean);
    return sqrt(sum / (double)(n - 1)) / sqrt((double)n);
}

struct aggregate metric_aggregate(enum aggregation how, const struct metric_item *items, int64_t n,
                                  int bootstrap_iters, struct pool *pool)
{
    struct aggregate ret = {metric_value(how, items, n), NAN, n};
    if (n < 2)
        return ret;
    if (how == AGGREGATE_MEAN)
        ret.stderr_ = mean_stderr(items, n, ret.value);
    else if (how == AGGREGATE_PERPLEXITY && bootstrap_iters > 0)
        ret.stderr_ = perplexity_stderr(items, n, bootstrap_iters, pool);
    else if (corpus_has(how) && bootstrap_iters > 0)
        ret.stderr_ = corpus_stderr(how, items, n, bootstrap_iters, pool);
    return ret;
}

/* ---- groups ---- */

/* lm_eval.api.metrics.pooled_sample_stderr. */
static double pooled_stderr(const struct aggregate *leaves, int n, double size)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double m = (double)leaves[i].n;
        sum += (m - 1) * leaves[i].stderr_ * leaves[i].stderr_ * m;
    }
    return sqrt(sum / (size - n) / size);
}

/* A score that is not a number stays one, where fmax would make it 0. */
static double at_least_0(double x)
{
    return x < 0 ? 0 : x;
}

struct aggregate metric_leaderboard_mean(const struct mean_term *terms, int n)
{
    struct aggregate ret = {0, 0, 0};
    double variance = 0, n_benchmarks = 0;
    int64_t n_docs = 0;
    for (int from = 0, end; from < n; from = end) {
        double weights = 0, sum = 0, own = 0;
        for (end = from; end < n && strcmp(terms[end].benchmark, terms[from].benchmark) == 0; end++)
            weights += terms[end].by_size ? (double)terms[end].n : 1;
        for (int i = from; i < end; i++) {
            double weight = terms[i].by_size ? (double)terms[i].n : 1;
            double share = weight / weights / (1 - terms[i].baseline);
            double above = terms[i].value - terms[i].baseline;
            sum += share * (terms[i].by_size ? above : at_least_0(above));
            own += share * share * terms[i].stderr_ * terms[i].stderr_;
            n_docs += terms[i].n;
        }
        ret.value += at_least_0(sum);
        variance += own;
        n_benchmarks++;
    }
    ret.value /= n_benchmarks;
    ret.stderr_ = sqrt(variance) / n_benchmarks;
    ret.n = n_docs;
    return ret;
}

struct aggregate metric_group(const struct aggregate *leaves, int n, bool weight_by_size,
                              bool pooled)
{
    struct aggregate ret = {NAN, NAN, 0};
    double weights = 0, sum = 0, variance = 0;
    for (int i = 0; i < n; i++) {
        double w = weight_by_size ? (double)leaves[i].n : 1;
        weights += w;
        sum += w * leaves[i].value;
        variance += w * w * leaves[i].stderr_ * leaves[i].stderr_;
        ret.n += leaves[i].n;
    }
    if (weights <= 0)
        return ret;
    ret.value = sum / weights;
    ret.stderr_ =
        pooled && weight_by_size ? pooled_stderr(leaves, n, weights) : sqrt(variance) / weights;
    return ret;
}
