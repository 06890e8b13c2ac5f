#include "backends/local/kvcache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

struct page {
    int32_t tokens[PAGE_POSITIONS];
    int n_tokens; /* 0: not in the tree */
    int32_t parent;
    struct siblings below;
    int users;
    int32_t older, newer; /* neighbours in the list of unused pages; `older` links the free list */
};

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
                         "--kv-memory",
                         n_pages * PAGE_POSITIONS, bytes >> 20);
    c->pages = mem_alloc((size_t)n_pages, sizeof *c->pages);
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
    for (int p = 0; c->pages && p < c->kv.n_pages; p++)
        free(c->pages[p].below.items);
    free(c->pages);
    free(c->roots.items);
    *c = (struct kvcache){0};
}

/* ---- the tree ---- */

static struct siblings *below(struct kvcache *c, int32_t page)
{
    return page < 0 ? &c->roots : &c->pages[page].below;
}

static int common(const struct page *p, const int32_t *tokens, int n)
{
    int most = p->n_tokens < n ? p->n_tokens : n, i = 0;
    while (i < most && p->tokens[i] == tokens[i])
        i++;
    return i;
}

/* Where tokens[n] belong among the siblings: the first that does not come before them. */
static size_t place(const struct kvcache *c, const struct siblings *s, const int32_t *tokens, int n)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct page *p = &c->pages[s->items[mid]];
        int i = common(p, tokens, n);
        bool before = i < n && (i == p->n_tokens || p->tokens[i] < tokens[i]);
        if (before)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The sibling that begins like tokens[n] for longest, one of the two next to their place; -1: none
 * has the first token. */
static int32_t longest(const struct kvcache *c, const struct siblings *s, const int32_t *tokens,
                       int n, int *ret_common)
{
    size_t at = place(c, s, tokens, n);
    int32_t best = -1;
    *ret_common = 0;
    for (size_t i = at > 0 ? at - 1 : 0; i < s->n && i <= at; i++) {
        int m = common(&c->pages[s->items[i]], tokens, n);
        if (m > *ret_common) {
            best = s->items[i];
            *ret_common = m;
        }
    }
    return best;
}

static void unlink_unused(struct kvcache *c, int32_t p)
{
    struct page *page = &c->pages[p];
    *(page->older >= 0 ? &c->pages[page->older].newer : &c->oldest) = page->newer;
    *(page->newer >= 0 ? &c->pages[page->newer].older : &c->newest) = page->older;
    c->n_available--;
}

static void use(struct kvcache *c, int32_t p)
{
    if (c->pages[p].users++ == 0)
        unlink_unused(c, p);
}

struct kv_match kvcache_match(struct kvcache *c, const int32_t *tokens, int n, int32_t *pages)
{
    struct kv_match m = {.source = -1};
    int32_t page = -1;
    for (int at = 0; at < n; at += PAGE_POSITIONS) {
        int left = n - at < PAGE_POSITIONS ? n - at : PAGE_POSITIONS, same;
        page = longest(c, below(c, page), tokens + at, left, &same);
        if (page < 0)
            break;
        use(c, page);
        if (same < PAGE_POSITIONS) {
            m.source = page;
            m.n_source = same;
            break;
        }
        pages[m.n_pages++] = page;
    }
    return m;
}

void kvcache_add(struct kvcache *c, int32_t page, int32_t parent, const int32_t *tokens, int n)
{
    struct page *p = &c->pages[page];
    struct siblings *s = below(c, parent);
    size_t at = place(c, s, tokens, n);
    ARRAY_PUSH(s);
    memmove(s->items + at + 1, s->items + at, (s->n - 1 - at) * sizeof *s->items);
    s->items[at] = page;
    p->parent = parent;
    p->n_tokens = n;
    memcpy(p->tokens, tokens, (size_t)n * sizeof *tokens);
}

static void forget(struct kvcache *c, int32_t page)
{
    struct page *p = &c->pages[page];
    struct siblings *s = below(c, p->parent);
    assert(p->below.n == 0);
    size_t at = place(c, s, p->tokens, p->n_tokens);
    while (s->items[at] != page) /* others may hold the same tokens */
        at++;
    memmove(s->items + at, s->items + at + 1, (--s->n - at) * sizeof *s->items);
    p->n_tokens = 0;
}

/* ---- taking and giving back ---- */

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

void kvcache_drop(struct kvcache *c, int32_t page)
{
    struct page *p = &c->pages[page];
    if (--p->users > 0)
        return;
    c->n_available++;
    if (p->n_tokens == 0) {
        p->older = c->free;
        c->free = page;
        return;
    }
    p->older = c->newest;
    p->newer = -1;
    *(c->newest >= 0 ? &c->pages[c->newest].newer : &c->oldest) = page;
    c->newest = page;
}
