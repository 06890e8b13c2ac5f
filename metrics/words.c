/* words.c: splitting texts and numbering their words. */
#include "metrics/words.h"

#include <utf8proc.h>

#include "base/utf8.h"

bool is_word_char(int32_t cp)
{
    if (cp < 0x80)
        return (cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z') || (cp >= '0' && cp <= '9') ||
               cp == '_';
    utf8proc_category_t c = utf8proc_category(cp);
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) ||
           (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO);
}

bool is_ascii(struct str s)
{
    size_t i = 0;
    uint64_t seen = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t x;
        memcpy(&x, s.p + i, 8);
        seen |= x;
    }
    for (; i < s.n; i++)
        seen |= (unsigned char)s.p[i];
    return !(seen & 0x8080808080808080u);
}

struct str lower_case(struct arena *a, struct str s)
{
    if (!is_ascii(s))
        return utf8_lower(a, s);
    char *out = arena_alloc(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        out[i] = (char)(s.p[i] + (s.p[i] >= 'A' && s.p[i] <= 'Z' ? 'a' - 'A' : 0));
    return (struct str){out, s.n};
}

struct str without_punctuation(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        out[n] = s.p[i];
        n += !is_ascii_punctuation(s.p[i]);
    }
    return (struct str){out, n};
}

/* ---- words ---- */

void words_add(struct arena *a, struct words *w, struct str word)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 32;
        struct str *items = arena_array(a, cap, sizeof *items);
        if (w->n)
            memcpy(items, w->items, w->n * sizeof *items);
        w->items = items;
        w->cap = cap;
    }
    w->items[w->n++] = word;
}

/* The white space at byte i: its length, or 0. */
static inline size_t space_at(struct str s, size_t i)
{
    unsigned char c = (unsigned char)s.p[i];
    if (c <= ' ')
        return 0x1f0003e00u >> c & 1;
    if (c != 0xc2 && (c < 0xe1 || c > 0xe3)) /* no white space begins otherwise */
        return 0;
    size_t next = i;
    return utf8_is_space(utf8_next(s, &next)) ? next - i : 0;
}

struct words split_words(struct arena *a, struct str text)
{
    struct words w = {0};
    size_t i = 0, space;
    while (i < text.n) {
        if ((space = space_at(text, i))) {
            i += space;
            continue;
        }
        size_t start = i;
        while (i < text.n && !space_at(text, i))
            i++;
        words_add(a, &w, (struct str){text.p + start, i - start});
    }
    return w;
}

struct str join_words(struct arena *a, struct words w)
{
    struct buf b = {0};
    for (size_t i = 0; i < w.n; i++) {
        if (i)
            buf_char(&b, ' ');
        buf_str(&b, w.items[i]);
    }
    return buf_take(&b, a);
}

/* ---- numbers ---- */

static uint64_t load(const char *p, size_t n) /* n <= 8 bytes: each of them, some twice */
{
    uint32_t first, last;
    if (n < 4)
        return n ? (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 |
                       (uint64_t)(unsigned char)p[n - 1] << 16
                 : 0;
    memcpy(&first, p, 4);
    memcpy(&last, p + n - 4, 4);
    return first | (uint64_t)last << 32;
}

/* Each step can be undone, so that words of one length, up to eight bytes, never share a hash. */
static uint64_t hash_of(struct str s)
{
    uint64_t h = s.n * 0x9e3779b97f4a7c15u, x;
    size_t i = 0;
    for (; i + 8 < s.n; i += 8) {
        memcpy(&x, s.p + i, 8);
        h = (h ^ x) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    h = (h ^ load(s.p + i, s.n - i)) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static bool is_word(const struct vocabulary_word *known, struct str word, uint64_t hash)
{
    return known->hash == hash && known->text.n == word.n &&
           (word.n <= 8 || memcmp(known->text.p, word.p, word.n) == 0);
}

static void make_room(struct vocabulary *v)
{
    uint32_t n_slots = v->n_slots ? 4 * v->n_slots : 128;
    uint32_t *slots = arena_array(v->a, n_slots, sizeof *slots);
    struct vocabulary_word *words = arena_array(v->a, n_slots / 2, sizeof *words);
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t at = (uint32_t)v->words[i].hash & (n_slots - 1);
        while (slots[at])
            at = (at + 1) & (n_slots - 1);
        slots[at] = i + 1;
        words[i] = v->words[i];
    }
    v->slots = slots, v->n_slots = n_slots, v->words = words;
}

uint32_t vocabulary_id(struct vocabulary *v, struct str word)
{
    if (2 * v->n >= v->n_slots)
        make_room(v);
    uint64_t hash = hash_of(word);
    uint32_t at = (uint32_t)hash & (v->n_slots - 1);
    for (; v->slots[at]; at = (at + 1) & (v->n_slots - 1))
        if (is_word(&v->words[v->slots[at] - 1], word, hash))
            return v->slots[at] - 1;
    v->words[v->n] = (struct vocabulary_word){word, hash};
    v->slots[at] = ++v->n;
    return v->n - 1;
}

struct sequence number_words(struct vocabulary *v, struct words w)
{
    struct sequence s = {arena_array(v->a, w.n + 1, sizeof *s.ids), w.n};
    for (size_t i = 0; i < w.n; i++)
        s.ids[i] = vocabulary_id(v, w.items[i]);
    return s;
}
