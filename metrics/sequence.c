/* sequence.c: longest common subsequences and edit distances, 64 rows of their tables at a time.
 *
 * Both tables change by at most one from cell to cell, so that a column is a string of bits and a
 * new column a handful of word operations on the old one: Hyyro's "Bit-parallel LCS-length
 * computation revisited" (2004) and "A bit-vector algorithm for computing Levenshtein and Damerau
 * edit distances" (2003, after Myers 1999). x stands along the bits, y is walked. */
#include "metrics/sequence.h"

#include <math.h>

#include "metrics/text.h"

/* ---- where the symbols of x are ---- */

/* Symbols that fill many words have their bits at hand; those of the others are set for a step and
 * cleared again. Together that is never more than two passes over the words, and memory for x. */
struct places {
    size_t n_words;
    uint32_t *starts;    /* [n_symbols + 1] into positions */
    uint32_t *positions; /* of x, by symbol */
    uint64_t **kept;     /* [n_symbols] the bits of a frequent symbol, or NULL */
    uint64_t *scratch;   /* [n_words], zero between steps */
};

static void set_bits(const struct places *p, uint32_t symbol, uint64_t *bits, uint64_t keep)
{
    for (uint32_t i = p->starts[symbol]; i < p->starts[symbol + 1]; i++) {
        uint64_t bit = (uint64_t)1 << (p->positions[i] & 63);
        uint64_t *word = &bits[p->positions[i] / 64];
        *word = keep ? *word | bit : *word & ~bit;
    }
}

static struct places find_places(struct arena *a, struct sequence x, uint32_t n_symbols)
{
    struct places p = {.n_words = (x.n + 63) / 64,
                       .starts = arena_array(a, n_symbols + 1, sizeof *p.starts),
                       .positions = arena_array(a, x.n, sizeof *p.positions),
                       .kept = arena_array(a, n_symbols, sizeof *p.kept)};
    p.scratch = arena_array(a, p.n_words, sizeof *p.scratch);
    for (size_t i = 0; i < x.n; i++)
        p.starts[x.ids[i] + 1]++;
    for (uint32_t s = 0; s < n_symbols; s++)
        p.starts[s + 1] += p.starts[s];
    uint32_t *at = arena_array(a, n_symbols, sizeof *at);
    for (size_t i = 0; i < x.n; i++)
        p.positions[p.starts[x.ids[i]] + at[x.ids[i]]++] = (uint32_t)i;
    for (uint32_t s = 0; s < n_symbols; s++)
        if (at[s] && (p.n_words == 1 || at[s] > p.n_words)) {
            p.kept[s] = arena_array(a, p.n_words, sizeof **p.kept);
            set_bits(&p, s, p.kept[s], 1);
        }
    return p;
}

static const uint64_t *places_of(const struct places *p, uint32_t symbol)
{
    if (p->kept[symbol])
        return p->kept[symbol];
    set_bits(p, symbol, p->scratch, 1);
    return p->scratch;
}

static void leave_places(const struct places *p, uint32_t symbol)
{
    if (!p->kept[symbol])
        set_bits(p, symbol, p->scratch, 0);
}

/* ---- longest common subsequence ---- */

/* A column's bit is 0 where the length grows by one from the row above. */
static void lcs_step(const struct places *p, uint32_t symbol, uint64_t *column)
{
    const uint64_t *match = places_of(p, symbol);
    unsigned char carry = 0;
    for (size_t w = 0; w < p->n_words; w++) {
        uint64_t v = column[w], u = v & match[w], sum;
        carry = (unsigned char)(__builtin_add_overflow(v, u, &sum) |
                                __builtin_add_overflow(sum, (uint64_t)carry, &sum));
        column[w] = sum | (v & ~match[w]);
    }
    leave_places(p, symbol);
}

size_t lcs_length(struct arena *a, struct sequence x, struct sequence y, uint32_t n_symbols)
{
    if (!x.n || !y.n)
        return 0;
    struct arena_mark mark = arena_mark(a);
    struct places p = find_places(a, x, n_symbols);
    uint64_t *column = arena_array(a, p.n_words, sizeof *column);
    memset(column, 0xff, p.n_words * sizeof *column);
    for (size_t j = 0; j < y.n; j++)
        lcs_step(&p, y.ids[j], column);
    size_t zeros = 64 * p.n_words; /* bits beyond x never match and stay 1 */
    for (size_t w = 0; w < p.n_words; w++)
        zeros -= (size_t)__builtin_popcountll(column[w]);
    arena_reset(a, mark);
    return zeros;
}

/* The walk back needs every column. Those at multiples of sqrt(n) are kept, and the ones between
 * two of them are computed again when the walk comes there. */
void lcs_mark(struct arena *a, struct sequence x, struct sequence y, uint32_t n_symbols,
              bool *marks)
{
    memset(marks, 0, x.n * sizeof *marks);
    if (!x.n || !y.n)
        return;
    struct arena_mark mark = arena_mark(a);
    struct places p = find_places(a, x, n_symbols);
    size_t block = (size_t)sqrt((double)y.n) + 1, n_blocks = (y.n + block - 1) / block;
    size_t size = p.n_words * sizeof(uint64_t);
    uint64_t *kept = arena_array(a, n_blocks + 1, size), *columns = arena_array(a, block + 1, size);
    memset(kept, 0xff, size);
    for (size_t j = 0; j < y.n; j++) {
        uint64_t *column = kept + (j / block + 1) * p.n_words;
        if (j % block == 0)
            memcpy(column, column - p.n_words, size);
        lcs_step(&p, y.ids[j], column);
    }
    size_t i = x.n, j = y.n, have = n_blocks;
    while (i > 0 && j > 0) {
        size_t b = (j - 1) / block;
        if (b != have) {
            memcpy(columns, kept + b * p.n_words, size);
            for (size_t k = b * block; k < y.n && k < (b + 1) * block; k++) {
                uint64_t *column = columns + (k - b * block + 1) * p.n_words;
                memcpy(column, column - p.n_words, size);
                lcs_step(&p, y.ids[k], column);
            }
            have = b;
        }
        const uint64_t *column = columns + (j - b * block) * p.n_words;
        if (x.ids[i - 1] == y.ids[j - 1]) {
            marks[--i] = true;
            j--;
        } else if (column[(i - 1) / 64] >> ((i - 1) & 63) & 1) {
            i--;
        } else {
            j--; /* the length grew from the row above, so it is the one of the column before */
        }
    }
    arena_reset(a, mark);
}

/* ---- edit distance ---- */

/* A column as its steps downward: +1 where a bit of `up` is set, -1 where one of `down` is. */
struct steps {
    uint64_t *up, *down;
};

/* The next column; how its last row changes. The row above the first grows by one each time. */
static int edit_step(const struct places *p, uint32_t symbol, struct steps s, uint64_t last)
{
    const uint64_t *match = places_of(p, symbol);
    uint64_t up_in = 1, down_in = 0;
    int change = 0;
    for (size_t w = 0; w < p->n_words; w++) {
        uint64_t pv = s.up[w], mv = s.down[w], eq = match[w] | down_in;
        uint64_t vertical = match[w] | mv;
        uint64_t horizontal = (((eq & pv) + pv) ^ pv) | eq;
        uint64_t up = mv | ~(horizontal | pv), down = pv & horizontal;
        uint64_t top = w + 1 == p->n_words ? last : (uint64_t)1 << 63;
        int step = (up & top ? 1 : 0) - (down & top ? 1 : 0);
        uint64_t up_shifted = up << 1 | up_in, down_shifted = down << 1 | down_in;
        s.up[w] = down_shifted | ~(vertical | up_shifted);
        s.down[w] = up_shifted & vertical;
        up_in = step > 0, down_in = step < 0;
        change = step;
    }
    leave_places(p, symbol);
    return change;
}

size_t edit_distance(struct arena *a, struct sequence x, struct sequence y, uint32_t n_symbols)
{
    if (!x.n || !y.n)
        return x.n + y.n;
    struct arena_mark mark = arena_mark(a);
    struct places p = find_places(a, x, n_symbols);
    struct steps s = {arena_array(a, p.n_words, sizeof *s.up),
                      arena_array(a, p.n_words, sizeof *s.down)};
    memset(s.up, 0xff, p.n_words * sizeof *s.up);
    size_t distance = x.n;
    for (size_t j = 0; j < y.n; j++)
        distance += (size_t)edit_step(&p, y.ids[j], s, (uint64_t)1 << ((x.n - 1) & 63));
    arena_reset(a, mark);
    return distance;
}

/* ---- of texts ---- */

int64_t levenshtein(struct arena *a, struct str x, struct str y)
{
    struct arena_mark mark = arena_mark(a);
    struct alphabet alphabet = {0};
    struct sequence left = number_characters(a, &alphabet, x, true),
                    right = number_characters(a, &alphabet, y, true);
    size_t ret = edit_distance(a, left, right, alphabet.n);
    arena_reset(a, mark);
    return (int64_t)ret;
}

double levenshtein_ratio(struct arena *a, struct str x, struct str y)
{
    struct arena_mark mark = arena_mark(a);
    struct alphabet alphabet = {0};
    struct sequence left = number_characters(a, &alphabet, x, true),
                    right = number_characters(a, &alphabet, y, true);
    size_t common = lcs_length(a, left, right, alphabet.n), length = left.n + right.n;
    arena_reset(a, mark);
    return length ? 2.0 * (double)common / (double)length : 1;
}
