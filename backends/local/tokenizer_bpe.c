/* tokenizer_bpe.c: vocabulary, merges, and byte-pair encoding of one word.
 *
 * A word begins as its units (bytes, or characters); the pair with the lowest rank becomes one
 * token, the leftmost first where ranks are equal, until no pair is left. Short words, nearly all,
 * keep the ranks of their pairs in an array and look for the least. Long ones (a text without
 * spaces, a whole text where there is no pretokenizer) keep candidates in a heap over a linked
 * list, O(n log n); a candidate whose pair has changed meanwhile is dropped when it comes up. */
#include "backends/local/tokenizer_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/utf8.h"

#define META "\xe2\x96\x81" /* U+2581, SentencePiece's space */

static size_t table_size(size_t n)
{
    size_t size = 64;
    while (size < 2 * n)
        size *= 2;
    return size;
}

void vocab_init(struct vocab *v, struct arena *a, int n)
{
    v->n = n;
    v->spelling = arena_array(a, (size_t)n, sizeof *v->spelling);
    v->n_slots = table_size((size_t)n);
    v->slots = arena_array(a, v->n_slots, sizeof *v->slots);
    memset(v->slots, 0xff, v->n_slots * sizeof *v->slots);
}

/* The slot of this spelling, or the free one where it belongs. */
static struct vocab_slot *vocab_slot(const struct vocab *v, struct str s, uint64_t hash)
{
    for (size_t i = hash & (v->n_slots - 1);; i = (i + 1) & (v->n_slots - 1)) {
        struct vocab_slot *slot = v->slots + i;
        if (slot->id < 0 ||
            (slot->tag == (uint32_t)(hash >> 32) && str_eq(v->spelling[slot->id], s)))
            return slot;
    }
}

void vocab_put(struct vocab *v, int32_t id, struct str spelling)
{
    const uint64_t hash = XXH3_64bits(spelling.p, spelling.n);
    v->spelling[id] = spelling;
    *vocab_slot(v, spelling, hash) = (struct vocab_slot){(uint32_t)(hash >> 32), id};
    if (spelling.n > v->longest)
        v->longest = spelling.n;
}

void vocab_name(struct vocab *v, int32_t id, struct str spelling)
{
    v->spelling[id] = spelling;
}

int32_t vocab_find(const struct vocab *v, struct str spelling)
{
    return vocab_slot(v, spelling, XXH3_64bits(spelling.p, spelling.n))->id;
}

void bpe_init(struct bpe *b, struct arena *a, size_t n_merges)
{
    b->n_slots = table_size(n_merges);
    b->merges = arena_array(a, b->n_slots, sizeof *b->merges);
    for (size_t i = 0; i < b->n_slots; i++)
        b->merges[i].pair = UINT64_MAX;
    b->unk = -1;
}

static struct merge *merge_slot(const struct bpe *b, int32_t left, int32_t right)
{
    const uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    uint64_t h = pair * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
    for (size_t i = h & (b->n_slots - 1);; i = (i + 1) & (b->n_slots - 1))
        if (b->merges[i].pair == pair || b->merges[i].pair == UINT64_MAX)
            return b->merges + i;
}

void bpe_put(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t into)
{
    *merge_slot(b, left, right) =
        (struct merge){(uint64_t)(uint32_t)left << 32 | (uint32_t)right, rank, into};
}

bool bpe_merge(struct bpe *b, const struct vocab *v, struct str left, struct str right,
               uint32_t rank, struct buf *scratch)
{
    const int32_t l = vocab_find(v, left), r = vocab_find(v, right);
    if (l < 0 || r < 0 || left.n + right.n > v->longest)
        return false;
    scratch->n = 0;
    buf_str(scratch, left);
    buf_str(scratch, right);
    const int32_t into = vocab_find(v, buf_view(scratch));
    if (into >= 0)
        bpe_put(b, l, r, rank, into);
    return into >= 0;
}

/* NULL: the pair does not merge. */
static const struct merge *merge_of(const struct bpe *b, int32_t left, int32_t right)
{
    const struct merge *m = merge_slot(b, left, right);
    return m->pair == UINT64_MAX ? NULL : m;
}

int32_t byte_stand_in(unsigned char byte)
{
    /* What prints stands for itself; the others follow in order from 0x100. */
    if (byte <= 0x20)
        return 0x100 + byte;
    if (byte >= 0x7f && byte <= 0xa0)
        return 0x121 + (byte - 0x7f);
    return byte == 0xad ? 0x143 : byte;
}

int byte_of_stand_in(int32_t cp)
{
    if (cp >= 0x100 && cp <= 0x120)
        return cp - 0x100;
    if (cp >= 0x121 && cp <= 0x142)
        return cp - 0x121 + 0x7f;
    if (cp == 0x143)
        return 0xad;
    return cp > 0x20 && cp < 0x100 && byte_stand_in((unsigned char)cp) == cp ? cp : -1;
}

void buf_stand_ins(struct buf *b, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        char cp[4];
        buf_add(b, cp, (size_t)utf8_put(byte_stand_in((unsigned char)bytes.p[i]), cp));
    }
}

struct str bytes_of_spelling(struct arena *a, struct str spelling)
{
    char *p = arena_alloc(a, spelling.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < spelling.n;) {
        const int byte = byte_of_stand_in(utf8_next(spelling, &i));
        if (byte < 0)
            return spelling;
        p[n++] = (char)byte;
    }
    return (struct str){p, n};
}

static int32_t find_cp(const struct vocab *v, int32_t cp)
{
    char text[4];
    return vocab_find(v, (struct str){text, (size_t)utf8_put(cp, text)});
}

/* No spelling holds U+2581 behind another character. */
static bool meta_only_leads(const struct vocab *v)
{
    for (int id = 0; id < v->n; id++) {
        const struct str s = v->spelling[id];
        for (size_t at = str_find(s, STR(META), 1); at != SIZE_MAX;
             at = str_find(s, STR(META), at + 1))
            if (at < 3 || memcmp(s.p + at - 3, META, 3) != 0)
                return false;
    }
    return true;
}

void bpe_seal(struct bpe *b, const struct vocab *v)
{
    bool all_bytes = !b->byte_level && b->byte_fallback; /* nothing is unknown */
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        b->byte_ids[i] = vocab_find(v, str_of(name));
        b->unit_ids[i] =
            b->byte_level ? find_cp(v, byte_stand_in((unsigned char)i)) : find_cp(v, i);
        all_bytes = all_bytes && b->byte_ids[i] >= 0;
    }
    b->cut_before_meta = all_bytes && !b->ignore_merges && meta_only_leads(v);
}

void bpe_scratch_free(struct bpe_scratch *s)
{
    free(s->symbols);
    free(s->heap);
    free(s->units.items);
    buf_free(&s->spelling);
    *s = (struct bpe_scratch){0};
}

/* --- units --- */

static bool add_bytes(const struct bpe *b, struct str unit, struct id_list *ret)
{
    for (size_t i = 0; i < unit.n; i++)
        if (b->byte_ids[(unsigned char)unit.p[i]] < 0)
            return false;
    for (size_t i = 0; i < unit.n; i++)
        *ARRAY_PUSH(ret) = b->byte_ids[(unsigned char)unit.p[i]];
    return true;
}

/* Appends a unit's token. An unknown waits in *unk_waits until the next known unit: the order in
 * which Hugging Face's tokenizers emits it, fused or not. */
static void add_unit(const struct bpe *b, int32_t id, struct str unit, bool *unk_waits,
                     struct id_list *ret)
{
    if (id >= 0) {
        if (*unk_waits)
            *ARRAY_PUSH(ret) = b->unk;
        *unk_waits = false;
        *ARRAY_PUSH(ret) = id;
    } else if (b->byte_fallback && add_bytes(b, unit, ret)) {
        return;
    } else if (b->unk >= 0) {
        if (*unk_waits && !b->fuse_unk)
            *ARRAY_PUSH(ret) = b->unk;
        *unk_waits = true;
    }
}

static void split_units(const struct bpe *b, const struct vocab *v, struct str word,
                        struct id_list *ret)
{
    bool unk_waits = false;
    ret->n = 0;
    for (size_t i = 0; i < word.n;) {
        const size_t from = i;
        const unsigned char byte = (unsigned char)word.p[i];
        if (b->byte_level || byte < 0x80)
            i++;
        else
            utf8_next(word, &i);
        const struct str unit = {word.p + from, i - from};
        const int32_t id = b->byte_level || byte < 0x80 ? b->unit_ids[byte] : vocab_find(v, unit);
        add_unit(b, id, unit, &unk_waits, ret);
    }
    if (unk_waits)
        *ARRAY_PUSH(ret) = b->unk;
}

/* --- short words --- */

#define SHORT_WORD 40 /* measured: the heap wins from about here */

static size_t merge_short(const struct bpe *b, int32_t *ids, size_t n)
{
    const struct merge *m[SHORT_WORD]; /* m[i]: of the pair i, i + 1 */
    for (size_t i = 0; i + 1 < n; i++)
        m[i] = merge_of(b, ids[i], ids[i + 1]);
    for (;;) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i + 1 < n; i++)
            if (m[i] && (best == SIZE_MAX || m[i]->rank < m[best]->rank))
                best = i;
        if (best == SIZE_MAX)
            return n;
        ids[best] = m[best]->into;
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
        if (best + 1 < n)
            memmove(m + best, m + best + 1, (n - best - 1) * sizeof *m);
        if (best > 0)
            m[best - 1] = merge_of(b, ids[best - 1], ids[best]);
        if (best + 1 < n)
            m[best] = merge_of(b, ids[best], ids[best + 1]);
    }
}

/* --- long words --- */

struct symbol {
    int32_t id;              /* -1: swallowed by the one before */
    uint32_t previous, next; /* UINT32_MAX: none */
};

struct candidate {
    uint32_t rank, at;
    int32_t left, right, into;
};

static bool before(const struct candidate *x, const struct candidate *y)
{
    return x->rank < y->rank || (x->rank == y->rank && x->at < y->at);
}

static void heap_push(struct bpe_scratch *s, struct candidate c)
{
    if (s->heap_n == s->heap_cap)
        s->heap =
            mem_grow(s->heap, s->heap_cap = s->heap_cap ? 2 * s->heap_cap : 256, sizeof *s->heap);
    size_t i = s->heap_n++;
    for (; i > 0 && before(&c, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = c;
}

static struct candidate heap_pop(struct bpe_scratch *s)
{
    const struct candidate top = s->heap[0], last = s->heap[--s->heap_n];
    size_t i = 0;
    for (size_t child = 1; child < s->heap_n; child = 2 * i + 1) {
        if (child + 1 < s->heap_n && before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

static void consider(const struct bpe *b, struct bpe_scratch *s, uint32_t at)
{
    if (at == UINT32_MAX || s->symbols[at].next == UINT32_MAX)
        return;
    const int32_t left = s->symbols[at].id, right = s->symbols[s->symbols[at].next].id;
    const struct merge *m = merge_of(b, left, right);
    if (m)
        heap_push(s, (struct candidate){m->rank, at, left, right, m->into});
}

static void merge_long(const struct bpe *b, struct bpe_scratch *s, struct id_list *ids)
{
    const uint32_t n = (uint32_t)ids->n;
    if (s->symbols_cap < n)
        s->symbols = mem_grow(s->symbols, s->symbols_cap = n, sizeof *s->symbols);
    for (uint32_t i = 0; i < n; i++)
        s->symbols[i] = (struct symbol){ids->items[i], i - 1, i + 1 < n ? i + 1 : UINT32_MAX};
    s->heap_n = 0;
    for (uint32_t i = 0; i < n; i++)
        consider(b, s, i);
    while (s->heap_n > 0) {
        const struct candidate c = heap_pop(s);
        struct symbol *left = s->symbols + c.at;
        if (left->id != c.left || left->next == UINT32_MAX || s->symbols[left->next].id != c.right)
            continue; /* the pair is no more */
        s->symbols[left->next].id = -1;
        left->id = c.into;
        left->next = s->symbols[left->next].next;
        if (left->next != UINT32_MAX)
            s->symbols[left->next].previous = c.at;
        consider(b, s, left->previous);
        consider(b, s, c.at);
    }
    ids->n = 0;
    for (uint32_t i = 0; i < n; i++)
        if (s->symbols[i].id >= 0)
            ids->items[ids->n++] = s->symbols[i].id;
}

/* --- a word --- */

/* The word's token when it is one as it stands; -1 otherwise. */
static int32_t whole_word(const struct bpe *b, const struct vocab *v, struct str word,
                          struct bpe_scratch *s)
{
    if (!b->byte_level)
        return vocab_find(v, word);
    if (word.n > v->longest) /* a stand-in has a byte at least */
        return -1;
    s->spelling.n = 0;
    buf_stand_ins(&s->spelling, word);
    return vocab_find(v, buf_view(&s->spelling));
}

static void encode_part(const struct bpe *b, const struct vocab *v, struct str word,
                        struct bpe_scratch *s, struct id_list *ret)
{
    split_units(b, v, word, &s->units);
    if (s->units.n <= SHORT_WORD)
        s->units.n = merge_short(b, s->units.items, s->units.n);
    else
        merge_long(b, s, &s->units);
    for (size_t i = 0; i < s->units.n; i++)
        *ARRAY_PUSH(ret) = s->units.items[i];
}

void bpe_encode(const struct bpe *b, const struct vocab *v, struct str word, struct bpe_scratch *s,
                struct id_list *ret)
{
    if (b->ignore_merges) {
        const int32_t id = whole_word(b, v, word, s);
        if (id >= 0) {
            *ARRAY_PUSH(ret) = id;
            return;
        }
    }
    /* No merge is lost by the cut: one across it would make a token that does not exist. */
    size_t from = 0;
    if (b->cut_before_meta)
        for (size_t at = str_find(word, STR(META), 1); at != SIZE_MAX;
             at = str_find(word, STR(META), at + 3))
            if (at - from >= 3 && memcmp(word.p + at - 3, META, 3) != 0) {
                encode_part(b, v, str_slice(word, from, at), s, ret);
                from = at;
            }
    encode_part(b, v, str_slice(word, from, word.n), s, ret);
}
