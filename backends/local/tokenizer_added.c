/* tokenizer_added.c: finding added tokens ("<|im_start|>", "<think>") in a text.
 *
 * They are cut out before anything else happens, the longest first where two begin at one place:
 * those that are not `normalized` in the raw text, the others in the normalized text by their
 * normalized spelling. A trie finds them; most bytes begin none and are passed over. */
#include "backends/local/tokenizer_parts.h"

#include <stdlib.h>

#include "base/utf8.h"

struct trie_node {
    unsigned char byte;
    int32_t token;           /* index in the list; -1: none ends here */
    uint32_t child, sibling; /* 0: none (node 0 is the root) */
};

static uint32_t new_node(struct added_trie *t, unsigned char byte)
{
    *ARRAY_PUSH(t) = (struct trie_node){.byte = byte, .token = -1};
    return (uint32_t)t->n - 1;
}

static uint32_t child_of(const struct added_trie *t, uint32_t node, unsigned char byte)
{
    uint32_t at = t->items[node].child;
    while (at && t->items[at].byte != byte)
        at = t->items[at].sibling;
    return at;
}

static void trie_put(struct added_trie *t, struct str content, size_t token)
{
    if (content.n == 0)
        return;
    if (t->n == 0)
        new_node(t, 0);
    uint32_t at = 0;
    for (size_t i = 0; i < content.n; i++) {
        const unsigned char byte = (unsigned char)content.p[i];
        uint32_t next = child_of(t, at, byte);
        if (!next) {
            next = new_node(t, byte);
            t->items[next].sibling = t->items[at].child;
            t->items[at].child = next;
        }
        at = next;
    }
    t->items[at].token = (int32_t)token;
    const unsigned char first = (unsigned char)content.p[0];
    t->first[first / 64] |= (uint64_t)1 << first % 64;
}

int added_build(const struct added_list *tokens, const struct norm_list *steps,
                struct added_trie *raw, struct added_trie *normalized, struct error *err)
{
    struct arena scratch = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < tokens->n; i++) {
        struct str content = tokens->items[i].content;
        if (tokens->items[i].normalized)
            r = normalize(steps, &scratch, content, &content, err);
        if (r == 0)
            trie_put(tokens->items[i].normalized ? normalized : raw, content, i);
    }
    arena_free(&scratch);
    return r;
}

void added_free(struct added_trie *t)
{
    free(t->items);
    *t = (struct added_trie){0};
}

/* The longest token that begins at `at`, and its end; NULL: none. */
static const struct added_token *longest(const struct added_trie *t,
                                         const struct added_list *tokens, struct str text,
                                         size_t at, size_t *end)
{
    const struct added_token *found = NULL;
    uint32_t node = 0;
    for (size_t i = at; i < text.n; i++) {
        node = child_of(t, node, (unsigned char)text.p[i]);
        if (!node)
            break;
        if (t->items[node].token >= 0) {
            found = tokens->items + t->items[node].token;
            *end = i + 1;
        }
    }
    return found;
}

/* The code point that ends before `at`; -1 at the beginning. */
static int32_t cp_before(struct str text, size_t *at)
{
    if (*at == 0)
        return -1;
    --*at;
    while (*at > 0 && ((unsigned char)text.p[*at] & 0xc0) == 0x80)
        --*at;
    size_t i = *at;
    return utf8_next(text, &i);
}

static bool word_touches(struct str text, size_t start, size_t end)
{
    return char_is_word(cp_before(text, &start)) ||
           (end < text.n && char_is_word(utf8_next(text, &end)));
}

/* The match with the white space that the token asks for. */
static struct added_match with_space(const struct added_token *token, struct str text, size_t start,
                                     size_t end, size_t floor)
{
    struct added_match m = {token, start, end};
    size_t i = start;
    while (token->lstrip && i > floor && char_is_white(cp_before(text, &i)))
        m.start = i;
    i = end;
    while (token->rstrip && i < text.n && char_is_white(utf8_next(text, &i)))
        m.end = i;
    return m;
}

struct added_match added_next(const struct added_trie *trie, const struct added_list *tokens,
                              struct str text, size_t *at, size_t floor, bool no_special)
{
    while (trie->n > 0 && *at < text.n) {
        const unsigned char byte = (unsigned char)text.p[*at];
        const struct added_token *token = NULL;
        size_t end = 0;
        if (trie->first[byte / 64] >> byte % 64 & 1)
            token = longest(trie, tokens, text, *at, &end);
        if (!token) {
            ++*at;
            continue;
        }
        const size_t start = *at;
        *at = end;
        if ((no_special && token->special) ||
            (token->single_word && word_touches(text, start, end)))
            continue;
        return with_space(token, text, start, end, floor);
    }
    return (struct added_match){NULL, text.n, text.n};
}
