/* answers.c: SQuAD's exact match and F1. */
#include "base/utf8.h"
#include "metrics/text.h"
#include "metrics/words.h"

/* ---- normalisation ---- */

static bool is_article(struct str word)
{
    return (word.n == 1 && word.p[0] == 'a') || (word.n == 2 && !memcmp(word.p, "an", 2)) ||
           (word.n == 3 && !memcmp(word.p, "the", 3));
}

/* The pieces that are left of a word when its articles are taken out, as re.sub of
 * \b(a|an|the)\b would: "the\u2013cat" is two runs of word characters with a dash between. */
static void add_pieces(struct arena *a, struct words *ret, struct str word)
{
    size_t piece = 0, i = 0;
    while (i < word.n) {
        size_t start = i, next = i;
        while (next < word.n && is_word_char(utf8_next(word, &next)))
            i = next;
        if (i > start && is_article((struct str){word.p + start, i - start})) {
            if (start > piece)
                words_add(a, ret, str_slice(word, piece, start));
            piece = i;
        }
        i = next > i ? next : i;
    }
    if (word.n > piece)
        words_add(a, ret, str_slice(word, piece, word.n));
}

static bool is_alphanumeric(struct str word)
{
    for (size_t i = 0; i < word.n; i++)
        if (!((word.p[i] >= 'a' && word.p[i] <= 'z') || (word.p[i] >= '0' && word.p[i] <= '9')))
            return false;
    return true;
}

static struct words normal_words(struct arena *a, struct str text)
{
    struct words all = split_words(a, without_punctuation(a, lower_case(a, text))), ret = {0};
    for (size_t i = 0; i < all.n; i++) {
        struct str word = all.items[i];
        if (!is_alphanumeric(word))
            add_pieces(a, &ret, word);
        else if (!is_article(word))
            words_add(a, &ret, word);
    }
    return ret;
}

struct str squad_normalize(struct arena *a, struct str text)
{
    return join_words(a, normal_words(a, text));
}

/* ---- scores ---- */

static bool same_words(struct words x, struct words y)
{
    if (x.n != y.n)
        return false;
    for (size_t i = 0; i < x.n; i++)
        if (!str_eq(x.items[i], y.items[i]))
            return false;
    return true;
}

/* How many words the two have in common, repetitions counted. */
static size_t common(struct arena *a, struct words x, struct words y)
{
    struct vocabulary v = {.a = a};
    struct sequence left = number_words(&v, x);
    uint32_t *counts = arena_array(a, v.n + 1, sizeof *counts), n_known = v.n;
    size_t ret = 0;
    for (size_t i = 0; i < left.n; i++)
        counts[left.ids[i]]++;
    for (size_t i = 0; i < y.n; i++) {
        uint32_t id = vocabulary_id(&v, y.items[i]);
        if (id < n_known && counts[id]) {
            counts[id]--;
            ret++;
        }
    }
    return ret;
}

static struct overlap overlap_of(struct arena *a, struct words prediction, struct words gold)
{
    size_t n = prediction.n && gold.n ? common(a, prediction, gold) : 0;
    if (n == 0)
        return (struct overlap){0};
    double precision = (double)n / (double)prediction.n, recall = (double)n / (double)gold.n;
    return (struct overlap){precision, recall, 2 * precision * recall / (precision + recall)};
}

static double f1_of(struct arena *a, struct words prediction, struct words gold,
                    enum squad_version version)
{
    if (version == SQUAD_2_0 && (!prediction.n || !gold.n))
        return prediction.n == gold.n;
    return overlap_of(a, prediction, gold).f1;
}

struct answer_score squad_score(struct arena *a, struct str prediction, const struct str *golds,
                                size_t n_golds, enum squad_version version)
{
    struct arena_mark mark = arena_mark(a);
    struct words p = normal_words(a, prediction);
    struct answer_score best = {0};
    size_t n_asked = 0;
    for (size_t i = 0; i < n_golds; i++) {
        struct words g = normal_words(a, golds[i]);
        if (version == SQUAD_2_0 && g.n == 0)
            continue;
        double em = same_words(p, g), f1 = f1_of(a, p, g, version);
        best.em = em > best.em ? em : best.em;
        best.f1 = f1 > best.f1 ? f1 : best.f1;
        n_asked++;
    }
    if (version == SQUAD_2_0 && n_asked == 0)
        best.em = best.f1 = p.n == 0;
    arena_reset(a, mark);
    return best;
}

struct overlap token_f1(struct arena *a, struct str prediction, struct str gold)
{
    struct arena_mark mark = arena_mark(a);
    struct words p = normal_words(a, prediction), g = normal_words(a, gold);
    struct overlap o = overlap_of(a, p, g);
    if (p.n == 0 && g.n == 0)
        o = (struct overlap){1, 1, 1};
    arena_reset(a, mark);
    return (struct overlap){100 * o.precision, 100 * o.recall, 100 * o.f1};
}
