#include "backends/local/kvcache.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/arena.h"

struct page {
    struct page_name name;
    bool named;
    int users;
    int32_t next_in_bucket;
    int32_t older, newer; /* neighbours in the list of unused pages; `older` links the free list */
};

struct page_name page_name(struct page_name parent, const int32_t tokens[PAGE_POSITIONS])
{
    struct {
        struct page_name parent;
        int32_t tokens[PAGE_POSITIONS];
    } key = {.parent = parent};
    memcpy(key.tokens, tokens, sizeof key.tokens);
    XXH128_hash_t h = XXH3_128bits(&key, sizeof key);
    return (struct page_name){h.low64, h.high64};
}

int kvcache_open(struct kvcache *c, const struct kernels *k, int n_layers, int n_kv_heads,
                 int head_size, int n_pages, struct error *err)
{
    *c = (struct kvcache){.kv = {.n_layers = n_layers,
                                 .n_kv_heads = n_kv_heads,
                                 .head_size = head_size,
                                 .page_positions = PAGE_POSITIONS,
                                 .n_pages = n_pages}};
    size_t bytes = sizeof(float) * 2 * PAGE_POSITIONS;
    const int factors[] = {n_layers, n_kv_heads, head_size, n_pages};
    bool fits = true;
    for (int i = 0; i < 4; i++)
        fits = fits && !__builtin_mul_overflow(bytes, (size_t)factors[i], &bytes);
    c->kv.data = fits ? k->buffer_new(k->dev, bytes) : NULL;
    if (!c->kv.data)
        return error_set(err, E_MEMORY,
                         "out of memory: a key/value cache of %d tokens needs %zu MiB; lower "
                         "kv_tokens=... behind the model",
                         n_pages * PAGE_POSITIONS, bytes >> 20);
    c->pages = mem_alloc((size_t)n_pages, sizeof *c->pages);
    for (c->n_buckets = 16; c->n_buckets < (size_t)n_pages; c->n_buckets *= 2)
        ;
    c->buckets = mem_alloc(c->n_buckets, sizeof *c->buckets);
    memset(c->buckets, 0xff, c->n_buckets * sizeof *c->buckets);
    c->free = c->oldest = c->newest = -1;
    for (int32_t p = n_pages - 1; p >= 0; p--) {
        c->pages[p].older = c->free;
        c->free = p;
    }
    c->n_available = n_pages;
    return 0;
}

void kvcache_close(struct kvcache *c, const struct kernels *k)
{
    if (c->kv.data)
        k->buffer_free(k->dev, c->kv.data);
    free(c->pages);
    free(c->buckets);
    *c = (struct kvcache){0};
}

static int32_t *bucket(struct kvcache *c, struct page_name name)
{
    return &c->buckets[name.low & (c->n_buckets - 1)];
}

static int32_t look_up(struct kvcache *c, struct page_name name)
{
    int32_t p = *bucket(c, name);
    while (p >= 0 && (c->pages[p].name.low != name.low || c->pages[p].name.high != name.high))
        p = c->pages[p].next_in_bucket;
    return p;
}

static void unlink_unused(struct kvcache *c, int32_t p)
{
    struct page *page = &c->pages[p];
    *(page->older >= 0 ? &c->pages[page->older].newer : &c->oldest) = page->newer;
    *(page->newer >= 0 ? &c->pages[page->newer].older : &c->newest) = page->older;
    c->n_available--;
}

int32_t kvcache_find(struct kvcache *c, struct page_name name)
{
    int32_t p = look_up(c, name);
    if (p >= 0 && c->pages[p].users++ == 0)
        unlink_unused(c, p);
    return p;
}

static void forget(struct kvcache *c, int32_t p)
{
    int32_t *link = bucket(c, c->pages[p].name);
    while (*link != p)
        link = &c->pages[*link].next_in_bucket;
    *link = c->pages[p].next_in_bucket;
    c->pages[p].named = false;
}

int32_t kvcache_take(struct kvcache *c)
{
    int32_t p = c->free;
    if (p >= 0) {
        c->free = c->pages[p].older;
        c->n_available--;
    } else if ((p = c->oldest) >= 0) {
        unlink_unused(c, p);
        forget(c, p);
    } else {
        return -1;
    }
    c->pages[p].users = 1;
    return p;
}

void kvcache_name(struct kvcache *c, int32_t page, struct page_name name)
{
    if (c->pages[page].named || look_up(c, name) >= 0)
        return;
    struct page *p = &c->pages[page];
    p->name = name;
    p->named = true;
    p->next_in_bucket = *bucket(c, name);
    *bucket(c, name) = page;
}

void kvcache_drop(struct kvcache *c, int32_t page)
{
    struct page *p = &c->pages[page];
    if (--p->users > 0)
        return;
    c->n_available++;
    if (!p->named) {
        p->older = c->free;
        c->free = page;
        return;
    }
    p->older = c->newest;
    p->newer = -1;
    *(c->newest >= 0 ? &c->pages[c->newest].newer : &c->oldest) = page;
    c->newest = page;
}
