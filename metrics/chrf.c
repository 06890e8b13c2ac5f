/* chrf.c: chrF and chrF++ as sacreBLEU 2.6.0 computes them (Popovic 2015, 2017). */
#include "base/utf8.h"
#include "metrics/sequence.h"
#include "metrics/text.h"

static int char_order(const struct chrf_options *o)
{
    return o->char_order ? o->char_order : 6;
}

/* ---- words ---- */

static size_t last_character(struct str word)
{
    size_t i = word.n - 1;
    while (i > 0 && ((unsigned char)word.p[i] & 0xc0) == 0x80)
        i--;
    return i;
}

/* A mark at a word's end, or else at its beginning, is a word of its own. */
static struct words words_and_marks(struct arena *a, struct str text)
{
    struct words all = split_words(a, text), ret = {0};
    for (size_t i = 0; i < all.n; i++) {
        struct str word = all.items[i];
        size_t cut = 0;
        if (last_character(word) > 0)
            cut = is_ascii_punctuation(word.p[word.n - 1]) ? word.n - 1
                                                           : is_ascii_punctuation(word.p[0]);
        if (cut)
            words_add(a, &ret, str_slice(word, 0, cut));
        words_add(a, &ret, str_slice(word, cut, word.n));
    }
    return ret;
}

/* ---- counting ---- */

/* One kind of n-grams of one pair, into the orders from `at` on. No n-gram of the hypothesis is
 * counted where the reference has none. */
static void count_kind(struct arena *a, struct sequence hypothesis, struct sequence reference,
                       uint32_t n_symbols, int at, int n_orders, struct chrf_stats *s)
{
    int64_t matches[NGRAM_MAX_ORDER];
    ngram_matches(a, (struct sequence[]){hypothesis, reference}, 2, n_symbols, n_orders, matches);
    for (int k = 0; k < n_orders; k++) {
        int64_t n = ngram_count(reference.n, k + 1);
        s->hypothesis[at + k] = n ? (double)ngram_count(hypothesis.n, k + 1) : 0;
        s->reference[at + k] = (double)n;
        s->matches[at + k] = (double)matches[k];
    }
}

struct side {
    struct sequence characters, words;
};

static struct side read_side(struct arena *a, struct alphabet *alphabet, struct vocabulary *v,
                             struct str text, const struct chrf_options *o)
{
    struct str s = o->lowercase ? lower_case(a, text) : text;
    struct side ret = {number_characters(a, alphabet, s, o->whitespace), {0}};
    if (o->word_order > 0)
        ret.words = number_words(v, words_and_marks(a, s));
    return ret;
}

/* Of several references the one with the best score counts. */
void chrf_count(struct arena *a, struct str hypothesis, const struct str *references,
                size_t n_references, const struct chrf_options *o, struct chrf_stats *stats)
{
    struct arena_mark mark = arena_mark(a);
    struct alphabet alphabet = {0};
    struct vocabulary v = {.a = a};
    struct side h = read_side(a, &alphabet, &v, hypothesis, o);
    struct chrf_stats best = {0};
    double best_score = -1;
    int n_chars = char_order(o);
    for (size_t i = 0; i < n_references; i++) {
        struct side r = read_side(a, &alphabet, &v, references[i], o);
        struct chrf_stats s = {0};
        count_kind(a, h.characters, r.characters, alphabet.n, 0, n_chars, &s);
        if (o->word_order > 0)
            count_kind(a, h.words, r.words, v.n, n_chars, o->word_order, &s);
        double score = n_references > 1 ? chrf_score(&s, o) : 0;
        if (score > best_score) {
            best_score = score;
            best = s;
        }
    }
    for (int k = 0; k < n_chars + o->word_order; k++) {
        stats->hypothesis[k] += best.hypothesis[k];
        stats->reference[k] += best.reference[k];
        stats->matches[k] += best.matches[k];
    }
    arena_reset(a, mark);
}

/* ---- the score ---- */

double chrf_score(const struct chrf_stats *stats, const struct chrf_options *o)
{
    const double eps = 1e-16;
    double beta = o->beta != 0 ? o->beta : 2, factor = beta * beta;
    double sum = 0, precisions = 0, recalls = 0;
    int n_orders = char_order(o) + o->word_order, effective = 0;
    for (int k = 0; k < n_orders; k++) {
        double n_h = stats->hypothesis[k], n_r = stats->reference[k], n = stats->matches[k];
        double precision = n_h > 0 ? n / n_h : eps, recall = n_r > 0 ? n / n_r : eps;
        double below = factor * precision + recall;
        sum += below > 0 ? (1 + factor) * precision * recall / below : eps;
        if (n_h > 0 && n_r > 0) {
            precisions += precision;
            recalls += recall;
            effective++;
        }
    }
    if (o->eps_smoothing)
        return 100 * sum / n_orders;
    if (effective == 0 || precisions + recalls == 0)
        return 0;
    double precision = precisions / effective, recall = recalls / effective;
    return 100 * ((1 + factor) * precision * recall / (factor * precision + recall));
}
