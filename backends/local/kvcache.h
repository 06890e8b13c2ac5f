/* kvcache.h: which page of the key/value cache holds what: a tree over the tokens of sequences.
 *
 * A page holds the keys and values of up to P consecutive positions, for every layer. Pages with
 * known tokens form a tree: a page's parent holds the P positions before it, so a path from the
 * root spells a beginning, and whoever begins alike walks the same path and uses the same pages,
 * counted by reference. Where sequences part inside a page, the new one takes a page of its own and
 * copies the positions before the parting into it (copies are listed for the step, kv_copy makes
 * them). So no token that is in the cache is computed again, wherever sequences part.
 *
 * A page that nobody uses any more keeps its contents until the memory is wanted; the least
 * recently used goes first. Whoever uses a page uses all above it and gives the last one back
 * first, so the page that goes has no pages below it. Sharing changes no bit, since a row's keys
 * and values depend on its own tokens alone. */
#ifndef ASSAY_BACKENDS_LOCAL_KVCACHE_H
#define ASSAY_BACKENDS_LOCAL_KVCACHE_H

#include "kernels/kernels.h"

enum { PAGE_POSITIONS = 16 };

struct page; /* what is known of one */

/* Pages that follow the same tokens, sorted by their own. */
struct siblings {
    int32_t *items;
    size_t n, cap;
};

struct kvcache {
    struct kv_cache kv; /* for the kernels */
    struct page *pages;
    struct siblings roots;  /* pages of first positions */
    int32_t free;           /* list of pages without contents */
    int32_t oldest, newest; /* list of unused pages in the tree, in order of use */
    int n_available;        /* pages on both lists */
};

/* E_MEMORY when the pages do not fit (err names the setting). */
int kvcache_open(struct kvcache *c, const struct kernels *k, int n_layers, int n_kv_heads,
                 int head_size, int n_pages, struct error *err);
void kvcache_close(struct kvcache *c, const struct kernels *k);

/* What the cache holds of a beginning. */
struct kv_match {
    int n_pages;    /* whole pages; each has one more user now */
    int32_t source; /* a page that goes on with the next n_source tokens, used as well; -1: none */
    int n_source;   /* 1 .. P-1 */
};

/* Finds the longest beginning of tokens[n] in the tree; ids of its whole pages go to `pages`. */
struct kv_match kvcache_match(struct kvcache *c, const int32_t *tokens, int n, int32_t *pages);

int32_t kvcache_take(struct kvcache *c); /* an empty page with one user, or -1: none is left */

/* Puts a taken page into the tree, below a page of P tokens (-1: first positions): its positions
 * hold tokens[n], n 1 .. P, or will before anybody reads them. */
void kvcache_add(struct kvcache *c, int32_t page, int32_t parent, const int32_t *tokens, int n);

void kvcache_drop(struct kvcache *c, int32_t page); /* one user less */

#endif
