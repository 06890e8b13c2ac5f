/* ngrams.c: counting the n-grams that texts share, of all orders at once.
 *
 * All positions of all texts are sorted by the symbols that stand there, as far as the highest
 * order reaches; equal n-grams of every order are then neighbours, and one walk counts them. A hash
 * table for each order would do the same with many more misses. */
#include "base/utf8.h"
#include "metrics/sequence.h"

/* ---- characters ---- */

static uint32_t number_beyond_ascii(struct arena *a, struct alphabet *alphabet, struct str bytes)
{
    alphabet->others.a = a;
    uint32_t id = vocabulary_id(&alphabet->others, bytes);
    if (id < alphabet->n_numbers)
        return alphabet->numbers[id];
    if (!(id & (id - 1))) {
        uint32_t *numbers = arena_array(a, id ? 2 * (size_t)id : 1, sizeof *numbers);
        if (id)
            memcpy(numbers, alphabet->numbers, id * sizeof *numbers);
        alphabet->numbers = numbers;
    }
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

/* ---- sorting ---- */

struct positions {
    uint32_t *symbols; /* all texts: numbers from 1; after each text zeros, which match nothing */
    uint32_t *order;   /* [n] places in `symbols`, sorted */
    size_t n;
    uint32_t *ends; /* [n_texts] the place behind each text's last symbol */
};

static struct positions lay_out(struct arena *a, const struct sequence *texts, size_t n_texts,
                                int max_order)
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
            p.symbols[at++] = texts[i].ids[j] + 1;
        }
        p.ends[i] = at;
        at += (uint32_t)max_order;
    }
    return p;
}

/* From the last symbol to the first, each pass keeping the order of the one before. */
static void sort_positions(struct arena *a, struct positions *p, uint32_t n_symbols, int max_order)
{
    uint32_t *next = arena_array(a, p->n, sizeof *next);
    uint32_t *starts = arena_array(a, n_symbols + 2, sizeof *starts);
    for (int k = max_order - 1; k >= 0; k--) {
        const uint32_t *symbols = p->symbols + k;
        memset(starts, 0, (n_symbols + 2) * sizeof *starts);
        for (size_t i = 0; i < p->n; i++)
            starts[symbols[p->order[i]] + 1]++; /* the last slot is never asked for */
        for (uint32_t s = 1; s <= n_symbols; s++)
            starts[s] += starts[s - 1];
        for (size_t i = 0; i < p->n; i++)
            next[starts[symbols[p->order[i]]]++] = p->order[i];
        uint32_t *swap = p->order;
        p->order = next;
        next = swap;
    }
}

/* ---- counting ---- */

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
    while (n < limit && x[n] && x[n] == y[n])
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

void ngram_matches(struct arena *a, const struct sequence *texts, size_t n_texts,
                   uint32_t n_symbols, int max_order, int64_t *ret)
{
    struct arena_mark mark = arena_mark(a);
    struct positions p = lay_out(a, texts, n_texts, max_order);
    sort_positions(a, &p, n_symbols, max_order);
    uint32_t *before = count_before(a, &p, n_texts);
    size_t *starts = arena_array(a, (size_t)max_order, sizeof *starts);
    memset(ret, 0, (size_t)max_order * sizeof *ret);
    for (size_t i = 1; i <= p.n; i++) {
        int same =
            i == p.n ? 0
                     : common_prefix(p.symbols + p.order[i - 1], p.symbols + p.order[i], max_order);
        for (int k = same; k < max_order; k++) {
            ret[k] += matched(before, n_texts, starts[k], i);
            starts[k] = i;
        }
    }
    arena_reset(a, mark);
}
