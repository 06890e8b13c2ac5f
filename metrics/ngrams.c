/* ngrams.c: counting the n-grams that texts share, of all orders at once.
 *
 * All positions of all texts are sorted by the symbols that stand there, as far as the highest
 * order reaches; equal n-grams of every order are then neighbours, and one walk counts them. A hash
 * table for each order would do the same with many more misses.
 *
 * Behind each text stands a symbol of its own, so that what reaches over the end matches nothing.
 * The usual case, two texts whose symbols are few enough, has each position's symbols in one
 * word. */
#include "base/utf8.h"
#include "metrics/sequence.h"

/* ---- characters ---- */

static uint32_t number_beyond_ascii(struct arena *a, struct alphabet *alphabet, struct str bytes)
{
    alphabet->others.a = a;
    uint32_t id = vocabulary_id(&alphabet->others, bytes);
    if (id < alphabet->n_numbers)
        return alphabet->numbers[id];
    alphabet->numbers = arena_grown(a, alphabet->numbers, id, sizeof *alphabet->numbers);
    alphabet->n_numbers = id + 1;
    return alphabet->numbers[id] = alphabet->n++;
}

struct sequence number_characters(struct arena *a, struct alphabet *alphabet, struct str text,
                                  bool keep_space)
{
    struct sequence ret = {arena_array(a, text.n + 1, sizeof *ret.ids), 0};
    for (size_t i = 0; i < text.n;) {
        size_t start = i;
        int32_t cp = (unsigned char)text.p[i] < 0x80 ? text.p[i++] : utf8_next(text, &i);
        if (!keep_space && utf8_is_space(cp))
            continue;
        if (cp >= 0 && cp < 128) {
            uint32_t *known = &alphabet->ascii[cp];
            if (!*known)
                *known = ++alphabet->n;
            ret.ids[ret.n++] = *known - 1;
        } else {
            struct str bytes = cp < 0 ? STR("\xef\xbf\xbd") : str_slice(text, start, i);
            ret.ids[ret.n++] = number_beyond_ascii(a, alphabet, bytes);
        }
    }
    return ret;
}

/* ---- two texts, packed ---- */

/* Few keys are sorted by their first bits and then by insertion; more, by 10 bits at a time. */
enum { FEW = 128, SMALL = 1024, MAX_DIGITS = 1 << 10 };

struct packed {
    uint64_t *keys; /* [n] symbols from the top down, and in the lowest bit the text */
    size_t n;
    int bits, order; /* of a symbol; symbols */
};

static int bits_for(uint64_t largest)
{
    return largest ? 64 - __builtin_clzll(largest) : 1;
}

/* From the end backwards each key is the one behind it, moved down by a symbol. */
static void pack_text(struct sequence text, uint64_t end, uint64_t owner, const struct packed *p,
                      uint64_t *ret)
{
    int top = 1 + p->bits * (p->order - 1);
    uint64_t key = 0, symbols = ~(uint64_t)1;
    for (int k = 0; k < p->order; k++)
        key = (key >> p->bits & symbols) | end << top;
    for (size_t i = text.n; i-- > 0;)
        ret[i] = key = (key >> p->bits & symbols) | (uint64_t)text.ids[i] << top | owner;
}

static void sort_by_digit(const uint64_t *from, uint64_t *to, size_t n, int shift, int n_digits)
{
    uint32_t starts[MAX_DIGITS + 1];
    uint64_t mask = (uint64_t)n_digits - 1;
    memset(starts, 0, ((size_t)n_digits + 1) * sizeof *starts);
    for (size_t i = 0; i < n; i++)
        starts[(from[i] >> shift & mask) + 1]++;
    for (int d = 0; d < n_digits - 1; d++)
        starts[d + 1] += starts[d];
    for (size_t i = 0; i < n; i++)
        to[starts[from[i] >> shift & mask]++] = from[i];
}

static void sort_by_insertion(uint64_t *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t key = keys[i];
        size_t j = i;
        for (; j > 0 && keys[j - 1] > key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

static void sort_keys(struct arena *a, struct packed *p)
{
    uint64_t *spare = arena_array(a, p->n, sizeof *spare);
    int bits = 1 + p->bits * p->order, digit = p->n < FEW ? 6 : 10;
    for (int shift = p->n < SMALL && bits > digit ? bits - digit : 0; shift < bits;
         shift += digit) {
        sort_by_digit(p->keys, spare, p->n, shift, 1 << digit);
        uint64_t *swap = p->keys;
        p->keys = spare;
        spare = swap;
    }
    if (p->n < SMALL)
        sort_by_insertion(p->keys, p->n);
}

/* For each bit of a key, how many whole symbols stand above it. */
static void symbols_above(const struct packed *p, uint8_t ret[64])
{
    for (int bit = 0; bit < 64; bit++) {
        int above = (p->bits * p->order - bit) / p->bits;
        ret[bit] = (uint8_t)(bit == 0 || above > p->order ? p->order : above);
    }
}

/* Where a run of equal k-grams began, and how many positions of the first text were before it. */
struct run {
    int64_t start, own;
};

/* The more symbols neighbours have alike, the more orders have a run there: each step begins or
 * ends only those that change. */
static void count_packed(const struct packed *p, int64_t *ret)
{
    struct run runs[64];
    uint8_t above[64];
    int64_t own = 0, n = (int64_t)p->n;
    int before = 0;
    symbols_above(p, above);
    for (int64_t i = 1; i <= n; i++) {
        int64_t own_before = own;
        own += !(p->keys[i - 1] & 1);
        uint64_t differ = i < n ? (p->keys[i - 1] ^ p->keys[i]) | 1 : 0;
        int same = differ ? above[63 - __builtin_clzll(differ)] : 0;
        for (int k = before; k < same; k++)
            runs[k] = (struct run){i - 1, own_before};
        for (int k = same; k < before; k++) {
            int64_t mine = own - runs[k].own, others = i - runs[k].start - mine;
            ret[k] += mine < others ? mine : others;
        }
        before = same;
    }
}

static void match_packed(struct arena *a, const struct sequence *texts, struct packed p,
                         uint64_t n_symbols, int64_t *ret)
{
    p.n = texts[0].n + texts[1].n;
    p.keys = arena_array(a, p.n, sizeof *p.keys);
    pack_text(texts[0], n_symbols, 0, &p, p.keys);
    pack_text(texts[1], n_symbols + 1, 1, &p, p.keys + texts[0].n);
    sort_keys(a, &p);
    count_packed(&p, ret);
}

/* ---- any number of texts ---- */

struct positions {
    uint32_t *symbols; /* all texts, each with its end behind it, as often as the order is high */
    uint32_t *order;   /* [n] places in `symbols`, sorted */
    size_t n;
    uint32_t *ends; /* [n_texts] the place behind each text's last symbol */
};

static struct positions lay_out(struct arena *a, const struct sequence *texts, size_t n_texts,
                                uint32_t n_symbols, int max_order)
{
    size_t total = 0;
    for (size_t i = 0; i < n_texts; i++)
        total += texts[i].n + (size_t)max_order;
    struct positions p = {.symbols = arena_array(a, total, sizeof *p.symbols),
                          .order = arena_array(a, total, sizeof *p.order),
                          .ends = arena_array(a, n_texts, sizeof *p.ends)};
    uint32_t at = 0;
    for (size_t i = 0; i < n_texts; i++) {
        for (size_t j = 0; j < texts[i].n; j++) {
            p.order[p.n++] = at;
            p.symbols[at++] = texts[i].ids[j];
        }
        p.ends[i] = at;
        for (int k = 0; k < max_order; k++)
            p.symbols[at++] = n_symbols + (uint32_t)i;
    }
    return p;
}

/* From the last symbol to the first, each pass keeping the order of the one before. */
static void sort_positions(struct arena *a, struct positions *p, size_t n_symbols, int max_order)
{
    uint32_t *next = arena_array(a, p->n, sizeof *next);
    uint32_t *starts = arena_array(a, n_symbols + 1, sizeof *starts);
    for (int k = max_order - 1; k >= 0; k--) {
        const uint32_t *symbols = p->symbols + k;
        memset(starts, 0, (n_symbols + 1) * sizeof *starts);
        for (size_t i = 0; i < p->n; i++)
            starts[symbols[p->order[i]] + 1]++;
        for (size_t s = 1; s <= n_symbols; s++)
            starts[s] += starts[s - 1];
        for (size_t i = 0; i < p->n; i++)
            next[starts[symbols[p->order[i]]]++] = p->order[i];
        uint32_t *swap = p->order;
        p->order = next;
        next = swap;
    }
}

/* Of the sorted positions [from, to), which hold one n-gram: how many are matched. `before` has for
 * each place the number of positions of each text before it. */
static int64_t matched(const uint32_t *before, size_t n_texts, size_t from, size_t to)
{
    const uint32_t *first = before + from * n_texts, *last = before + to * n_texts;
    uint32_t most = 0;
    for (size_t t = 1; t < n_texts; t++)
        most = last[t] - first[t] > most ? last[t] - first[t] : most;
    return last[0] - first[0] < most ? last[0] - first[0] : most;
}

static int common_prefix(const uint32_t *x, const uint32_t *y, int limit)
{
    int n = 0;
    while (n < limit && x[n] == y[n])
        n++;
    return n;
}

static uint32_t *count_before(struct arena *a, const struct positions *p, size_t n_texts)
{
    uint32_t *before = arena_array(a, (p->n + 1) * n_texts, sizeof *before);
    for (size_t i = 0; i < p->n; i++) {
        uint32_t *now = before + i * n_texts, *then = now + n_texts;
        size_t owner = 0;
        while (p->order[i] >= p->ends[owner])
            owner++;
        memcpy(then, now, n_texts * sizeof *now);
        then[owner]++;
    }
    return before;
}

static void match_many(struct arena *a, const struct sequence *texts, size_t n_texts,
                       uint32_t n_symbols, int max_order, int64_t *ret)
{
    struct positions p = lay_out(a, texts, n_texts, n_symbols, max_order);
    sort_positions(a, &p, (size_t)n_symbols + n_texts, max_order);
    uint32_t *before = count_before(a, &p, n_texts);
    size_t *starts = arena_array(a, (size_t)max_order, sizeof *starts);
    for (size_t i = 1; i <= p.n; i++) {
        int same =
            i == p.n ? 0
                     : common_prefix(p.symbols + p.order[i - 1], p.symbols + p.order[i], max_order);
        for (int k = same; k < max_order; k++) {
            ret[k] += matched(before, n_texts, starts[k], i);
            starts[k] = i;
        }
    }
}

void ngram_matches(struct arena *a, const struct sequence *texts, size_t n_texts,
                   uint32_t n_symbols, int max_order, int64_t *ret)
{
    struct arena_mark mark = arena_mark(a);
    struct packed p = {.bits = bits_for((uint64_t)n_symbols + 1), .order = max_order};
    memset(ret, 0, (size_t)max_order * sizeof *ret);
    if (n_texts == 2 && p.bits * p.order < 64)
        match_packed(a, texts, p, n_symbols, ret);
    else
        match_many(a, texts, n_texts, n_symbols, max_order, ret);
    arena_reset(a, mark);
}
