/* kvcache.h: which page of the key/value cache holds what.
 *
 * A page holds the keys and values of P consecutive positions, for every layer. A page whose P
 * positions are all taken gets a name, a hash over every token from the sequence's first to the
 * page's last: sequences that begin alike find each other's pages by it and share them, counted by
 * reference. A page that nobody uses any more keeps its contents until the memory is wanted; the
 * least recently used goes first. Sharing changes no bit, since a row's keys and values depend on
 * its own tokens alone. */
#ifndef ASSAY_BACKENDS_LOCAL_KVCACHE_H
#define ASSAY_BACKENDS_LOCAL_KVCACHE_H

#include "kernels/kernels.h"

enum { PAGE_POSITIONS = 16 };

/* The name of a page: XXH3-128 over its parent's name and its own tokens. */
struct page_name {
    uint64_t low, high;
};
struct page_name page_name(struct page_name parent, const int32_t tokens[PAGE_POSITIONS]);

struct page; /* what is known of one */

struct kvcache {
    struct kv_cache kv; /* for the kernels */
    struct page *pages;
    int32_t *buckets;       /* [n_buckets] of named pages; -1: empty */
    size_t n_buckets;       /* a power of two */
    int32_t free;           /* list of pages without contents */
    int32_t oldest, newest; /* list of unused pages with a name, in order of use */
    int n_available;        /* pages on both lists */
};

/* E_MEMORY when the pages do not fit (err names kv_tokens). */
int kvcache_open(struct kvcache *c, const struct kernels *k, int n_layers, int n_kv_heads,
                 int head_size, int n_pages, struct error *err);
void kvcache_close(struct kvcache *c, const struct kernels *k);

int32_t kvcache_find(struct kvcache *c, struct page_name name); /* one more user, or -1 */
int32_t kvcache_take(struct kvcache *c); /* an empty page with one user, or -1: none is left */
void kvcache_name(struct kvcache *c, int32_t page,
                  struct page_name name);           /* first come, first kept */
void kvcache_drop(struct kvcache *c, int32_t page); /* one user less */

#endif
