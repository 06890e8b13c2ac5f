/* words.h, for metrics/ alone: texts as lists of words, and words as numbers. */
#ifndef ASSAY_METRICS_WORDS_H
#define ASSAY_METRICS_WORDS_H

#include "base/arena.h"
#include "base/str.h"

/* Python's string.punctuation. */
static inline bool is_ascii_punctuation(char c)
{
    static const uint64_t marks[2] = {0xfc00fffe00000000u, 0x78000001f8000001u};
    unsigned char u = (unsigned char)c;
    return u < 128 && marks[u / 64] >> (u % 64) & 1;
}

bool is_word_char(int32_t cp); /* re's \w: letters, numbers, _ */
bool is_ascii(struct str s);
struct str lower_case(struct arena *a, struct str s); /* str.lower(), quick for ASCII */

struct str without_punctuation(struct arena *a, struct str s); /* ASCII's */

/* A list of views, in an arena. */
struct words {
    struct str *items;
    size_t n, cap;
};

void words_add(struct arena *a, struct words *w, struct str word);
struct words split_words(struct arena *a, struct str text); /* str.split() */
struct str join_words(struct arena *a, struct words w);     /* " ".join(w) */

/* Numbers words from 0 in the order in which they are first seen. Bytes are kept as views. A zeroed
 * struct is empty. */
struct vocabulary {
    struct arena *a;
    struct vocabulary_word {
        struct str text;
        uint64_t hash;
    } * words;
    uint32_t n;
    uint32_t *slots; /* number + 1, or 0 */
    uint32_t n_slots;
};

uint32_t vocabulary_id(struct vocabulary *v, struct str word);

/* A text as the numbers of its words, or of its characters. */
struct sequence {
    uint32_t *ids;
    size_t n;
};

struct sequence number_words(struct vocabulary *v, struct words w);

#endif
