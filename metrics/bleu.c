/* bleu.c: BLEU as sacreBLEU 2.6.0 computes it (Papineni et al. 2002; smoothing after Chen and
 * Cherry 2014). */
#include <math.h>

#include "metrics/segments.h"
#include "metrics/sequence.h"

static int order_of(const struct bleu_options *o)
{
    return o->max_order ? o->max_order : 4;
}

static const struct {
    const char *name;
    double value; /* by default */
} smoothings[] = {
    [BLEU_SMOOTH_EXP] = {"exp", 0},
    [BLEU_SMOOTH_NONE] = {"none", 0},
    [BLEU_SMOOTH_FLOOR] = {"floor", 0.1},
    [BLEU_SMOOTH_ADD_K] = {"add-k", 1},
};

bool bleu_smoothing_find(struct str name, enum bleu_smoothing *ret)
{
    for (size_t i = 0; i < sizeof smoothings / sizeof *smoothings; i++)
        if (str_eqz(name, smoothings[i].name)) {
            *ret = (enum bleu_smoothing)i;
            return true;
        }
    return false;
}

/* ---- counting ---- */

/* The length nearest to the hypothesis'; the shorter of two as near. */
static size_t nearest_length(const struct sequence *texts, size_t n_texts)
{
    size_t n = texts[0].n, best = 0, best_off = SIZE_MAX;
    for (size_t i = 1; i < n_texts; i++) {
        size_t off = texts[i].n > n ? texts[i].n - n : n - texts[i].n;
        if (off < best_off || (off == best_off && texts[i].n < best)) {
            best_off = off;
            best = texts[i].n;
        }
    }
    return best;
}

void bleu_count(struct arena *a, struct str hypothesis, const struct str *references,
                size_t n_references, const struct bleu_options *o, struct bleu_stats *stats)
{
    struct arena_mark mark = arena_mark(a);
    struct vocabulary v = {.a = a};
    int64_t matches[NGRAM_MAX_ORDER];
    struct sequence *texts = arena_array(a, n_references + 1, sizeof *texts);
    for (size_t i = 0; i <= n_references; i++)
        texts[i] = number_words(&v, bleu_words(a, i ? references[i - 1] : hypothesis, o));
    ngram_matches(a, texts, n_references + 1, v.n, order_of(o), matches);
    stats->sys_len += (double)texts[0].n;
    stats->ref_len += (double)nearest_length(texts, n_references + 1);
    for (int k = 0; k < order_of(o); k++) {
        stats->counts[k] += (double)matches[k];
        stats->totals[k] += (double)ngram_count(texts[0].n, k + 1);
    }
    arena_reset(a, mark);
}

/* ---- the score ---- */

/* Precisions in percent; the number of orders that the mean goes over. */
static int precisions_of(struct bleu *b, const struct bleu_options *o)
{
    int effective = order_of(o);
    double value = o->smooth_value != 0 ? o->smooth_value : smoothings[o->smoothing].value;
    double halvings = 1;
    for (int k = 0; k < order_of(o); k++) {
        if (o->smoothing == BLEU_SMOOTH_ADD_K && k > 0) {
            b->counts[k] += value;
            b->totals[k] += value;
        }
        if (b->totals[k] == 0)
            break;
        if (o->effective_order)
            effective = k + 1;
        if (b->counts[k] != 0)
            b->precisions[k] = 100 * b->counts[k] / b->totals[k];
        else if (o->smoothing == BLEU_SMOOTH_EXP)
            b->precisions[k] = 100 / ((halvings *= 2) * b->totals[k]);
        else if (o->smoothing == BLEU_SMOOTH_FLOOR)
            b->precisions[k] = 100 * value / b->totals[k];
    }
    return effective;
}

struct bleu bleu_score(const struct bleu_stats *stats, const struct bleu_options *o)
{
    struct bleu b = {.bp = 1};
    bool any = false;
    for (int k = 0; k < order_of(o); k++) {
        b.counts[k] = stats->counts[k];
        b.totals[k] = stats->totals[k];
        any = any || b.counts[k] != 0;
    }
    if (stats->sys_len < stats->ref_len)
        b.bp = stats->sys_len > 0 ? exp(1 - stats->ref_len / stats->sys_len) : 0;
    if (!any)
        return b;
    int effective = precisions_of(&b, o);
    double sum = 0;
    for (int k = 0; k < effective; k++)
        sum += b.precisions[k] == 0 ? -9999999999.0 : log(b.precisions[k]);
    b.score = b.bp * exp(sum / effective);
    return b;
}
