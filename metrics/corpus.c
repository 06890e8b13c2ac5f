/* corpus.c: what is no mean over documents: BLEU, chrF and TER of a corpus, F1 and Matthews'
 * correlation of all predictions.
 *
 * A document's parts are what such a score is a function of: their sum over documents for the text
 * metrics, the pair (gold, prediction) for the others. */
#include "metrics/corpus.h"

#include <math.h>
#include <stdlib.h>

#include "base/pyrandom.h"
#include "metrics/bootstrap.h"
#include "metrics/classes.h"
#include "metrics/text.h"

/* ---- parts of text metrics ---- */

enum { BLEU_PARTS = 10, CHRF_PARTS = 18, CHRFPP_PARTS = 24, TER_PARTS = 2, MAX_PARTS = 24 };

static const struct chrf_options chrf_options = {0}, chrfpp_options = {.word_order = 2};
static const struct bleu_options bleu_options = {0};

static double bleu_of(const double *sums)
{
    struct bleu_stats s = {sums[0], sums[1], {0}, {0}};
    memcpy(s.counts, sums + 2, 4 * sizeof *sums);
    memcpy(s.totals, sums + 6, 4 * sizeof *sums);
    return bleu_score(&s, &bleu_options).score;
}

static double chrf_with(const double *sums, size_t n_orders, const struct chrf_options *o)
{
    struct chrf_stats s = {{0}, {0}, {0}};
    memcpy(s.hypothesis, sums, n_orders * sizeof *sums);
    memcpy(s.reference, sums + n_orders, n_orders * sizeof *sums);
    memcpy(s.matches, sums + 2 * n_orders, n_orders * sizeof *sums);
    return chrf_score(&s, o);
}

static double chrf_of(const double *sums)
{
    return chrf_with(sums, 6, &chrf_options);
}

static double chrfpp_of(const double *sums)
{
    return chrf_with(sums, 8, &chrfpp_options);
}

static double ter_of(const double *sums)
{
    return ter_score(&(struct ter_stats){sums[0], sums[1]});
}

static double count_bleu(struct arena *a, struct str text, const struct str *references, size_t n,
                         const struct text_options *o, double *ret)
{
    struct bleu_options counting = {.tokenizer = o->tokenizer, .lowercase = o->lowercase};
    struct bleu_stats s = {0};
    bleu_count(a, text, references, n, &counting, &s);
    ret[0] = s.sys_len, ret[1] = s.ref_len;
    memcpy(ret + 2, s.counts, 4 * sizeof *ret);
    memcpy(ret + 6, s.totals, 4 * sizeof *ret);
    return bleu_score(&s, &(struct bleu_options){.effective_order = true}).score;
}

static double count_chrf(struct arena *a, struct str text, const struct str *references, size_t n,
                         const struct text_options *counted, const struct chrf_options *o,
                         size_t n_orders, double *ret)
{
    struct chrf_options counting = *o;
    struct chrf_stats s = {{0}, {0}, {0}};
    counting.lowercase = counted->lowercase;
    counting.whitespace = counted->whitespace;
    chrf_count(a, text, references, n, &counting, &s);
    memcpy(ret, s.hypothesis, n_orders * sizeof *ret);
    memcpy(ret + n_orders, s.reference, n_orders * sizeof *ret);
    memcpy(ret + 2 * n_orders, s.matches, n_orders * sizeof *ret);
    return chrf_score(&s, o);
}

static double count_plain_chrf(struct arena *a, struct str text, const struct str *references,
                               size_t n, const struct text_options *o, double *ret)
{
    return count_chrf(a, text, references, n, o, &chrf_options, 6, ret);
}

static double count_chrfpp(struct arena *a, struct str text, const struct str *references, size_t n,
                           const struct text_options *o, double *ret)
{
    return count_chrf(a, text, references, n, o, &chrfpp_options, 8, ret);
}

static double count_ter(struct arena *a, struct str text, const struct str *references, size_t n,
                        const struct text_options *o, double *ret)
{
    struct ter_stats s = {0};
    ter_count(a, text, references, n, &o->ter, &s);
    ret[0] = s.edits, ret[1] = s.ref_length;
    return ter_score(&s);
}

/* ---- labels ---- */

static double f1_weighted(const struct class_counts *c)
{
    return f1_average(c, F1_WEIGHTED);
}

static double f1_macro(const struct class_counts *c)
{
    return f1_average(c, F1_MACRO);
}

static double f1_micro(const struct class_counts *c)
{
    return f1_average(c, F1_MICRO);
}

/* ---- the table ---- */

static const struct corpus {
    int n_parts;
    double (*of_sums)(const double *sums);
    double (*count)(struct arena *a, struct str text, const struct str *references, size_t n,
                    const struct text_options *o, double *ret);
    double (*of_labels)(const struct class_counts *c); /* instead of both: parts are two labels */
    bool no_error;                                     /* lm-evaluation-harness has none */
} rows[] = {
    [AGGREGATE_BLEU] = {BLEU_PARTS, bleu_of, count_bleu, NULL},
    [AGGREGATE_CHRF] = {CHRF_PARTS, chrf_of, count_plain_chrf, NULL},
    [AGGREGATE_CHRFPP] = {CHRFPP_PARTS, chrfpp_of, count_chrfpp, NULL},
    [AGGREGATE_TER] = {TER_PARTS, ter_of, count_ter, NULL},
    [AGGREGATE_F1] = {2, NULL, NULL, f1_of_two_classes},
    [AGGREGATE_F1_WEIGHTED] = {2, NULL, NULL, f1_weighted, true},
    [AGGREGATE_F1_MACRO] = {2, NULL, NULL, f1_macro, true},
    [AGGREGATE_F1_MICRO] = {2, NULL, NULL, f1_micro, true},
    [AGGREGATE_MCC] = {2, NULL, NULL, matthews_correlation},
};

static const struct corpus *row_of(enum aggregation how)
{
    bool there = (size_t)how < sizeof rows / sizeof *rows && rows[how].n_parts > 0;
    return there ? &rows[how] : NULL;
}

bool corpus_has(enum aggregation how)
{
    return row_of(how) != NULL;
}

int metric_parts(enum aggregation how)
{
    if (how == AGGREGATE_BEST_THRESHOLD)
        return 3;
    if (how == AGGREGATE_PEARSON || how == AGGREGATE_SPEARMAN)
        return 2;
    return corpus_has(how) ? rows[how].n_parts : 0;
}

double metric_count_text(struct arena *a, enum aggregation how, struct str text,
                         const struct str *references, size_t n_references,
                         const struct text_options *o, double *parts)
{
    static const struct text_options defaults = {0};
    return rows[how].count(a, text, references, n_references, o ? o : &defaults, parts);
}

/* ---- values ---- */

struct data {
    const struct corpus *row;
    const struct metric_item *items;
    int64_t n;
    int n_classes;
};

/* The largest label and one more; -1 where an item has no parts or a label is no whole number that
 * counts classes. */
static int count_classes(const struct data *d)
{
    int n = 1;
    for (int64_t i = 0; i < d->n; i++) {
        const double *parts = d->items[i].parts;
        for (int j = 0; parts && d->row->of_labels && j < 2; j++) {
            if (!(parts[j] >= -1 && parts[j] < CLASSES_MAX - 1) || parts[j] != floor(parts[j]))
                return -1;
            n = parts[j] + 2 > n ? (int)parts[j] + 2 : n;
        }
        if (!parts)
            return -1;
    }
    return n;
}

static struct data data_of(enum aggregation how, const struct metric_item *items, int64_t n)
{
    struct data d = {row_of(how), items, n, 0};
    d.n_classes = count_classes(&d);
    return d;
}

static size_t scratch_bytes(const struct data *d)
{
    size_t n = d->row->of_labels ? (size_t)d->n_classes * 3 : MAX_PARTS;
    return (n > MAX_PARTS ? n : MAX_PARTS) * sizeof(double);
}

/* The statistic of the documents that are picked from `r`, or of all (`r` NULL). Label -1, an
 * answer that is not among the choices, is a class of its own: the first. */
static double statistic(const struct data *d, struct pyrandom *r, double *scratch)
{
    int64_t picks[PICKS];
    struct class_counts c = {.n_classes = d->n_classes,
                             .gold = scratch,
                             .predicted = scratch + d->n_classes,
                             .both = d->row->of_labels ? scratch + 2 * d->n_classes : NULL,
                             .first_label = -1};
    memset(scratch, 0, scratch_bytes(d));
    for (int64_t at = 0; at < d->n; at += PICKS) {
        int k = d->n - at < PICKS ? (int)(d->n - at) : PICKS;
        if (r)
            pick(r, d->n, k, picks);
        for (int i = 0; i < k; i++) {
            const double *parts = d->items[r ? picks[i] : at + i].parts;
            if (d->row->of_labels)
                class_counts_add(&c, (int)parts[0] + 1, (int)parts[1] + 1);
            else
                for (int j = 0; j < d->row->n_parts; j++)
                    scratch[j] += parts[j];
        }
    }
    return d->row->of_labels ? d->row->of_labels(&c) : d->row->of_sums(scratch);
}

double corpus_value(enum aggregation how, const struct metric_item *items, int64_t n)
{
    struct data d = data_of(how, items, n);
    if (d.n_classes < 0)
        return NAN;
    double *scratch = mem_alloc(1, scratch_bytes(&d)), ret = statistic(&d, NULL, scratch);
    free(scratch);
    return ret;
}

static double resample(const void *data, struct pyrandom *r, void *scratch)
{
    return statistic(data, r, scratch);
}

double corpus_stderr(enum aggregation how, const struct metric_item *items, int64_t n, int iters,
                     struct pool *pool)
{
    struct data d = data_of(how, items, n);
    bool text = d.row->of_sums != NULL;
    if (d.n_classes < 0 || d.row->no_error)
        return NAN;
    /* lm-evaluation-harness takes no more than 100 for these, which are slow there. */
    return bootstrap_stderr(resample, &d, scratch_bytes(&d), text && iters > 100 ? 100 : iters,
                            pool);
}
