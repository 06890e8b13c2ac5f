/* memory.c: large memory in huge pages (device.h). */
#include "kernels/cpu/device.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/arena.h"

enum { HUGE = 2 << 20, CHUNK = 32 << 20, LINE = 64 };

/* Parts of a chunk are handed out in a row; a part's place tells nothing of its chunk, so a part is
 * looked up by its address. There are a few hundred parts and a few dozen chunks. */
struct chunk {
    struct chunk *next;
    char *memory;
    size_t bytes, used;
    int n_parts;
};

void *huge_new(size_t bytes)
{
    size_t whole;
    if (__builtin_add_overflow(bytes, HUGE - 1, &whole))
        return NULL;
    whole = whole / HUGE * HUGE;
    void *p = aligned_alloc(HUGE, whole);
    if (p)
        madvise(p, whole, MADV_HUGEPAGE);
    return p;
}

static struct chunk *chunk_new(struct device *dev, size_t bytes)
{
    void *memory = huge_new(bytes);
    if (!memory)
        return NULL;
    struct chunk *c = mem_alloc(1, sizeof *c);
    *c = (struct chunk){.next = dev->chunks, .memory = memory, .bytes = bytes};
    return dev->chunks = c;
}

void *memory_take(struct device *dev, size_t bytes)
{
    struct chunk *c = dev->chunks;
    if (bytes > SIZE_MAX - LINE)
        return NULL;
    bytes = (bytes + LINE) / LINE * LINE;
    if (!c || bytes > c->bytes - c->used)
        c = chunk_new(dev, bytes > CHUNK ? bytes : CHUNK);
    if (!c)
        return NULL;
    void *ret = c->memory + c->used;
    c->used += bytes;
    c->n_parts++;
    return ret;
}

void memory_give(struct device *dev, const void *p)
{
    for (struct chunk **at = &dev->chunks; p && *at; at = &(*at)->next) {
        struct chunk *c = *at;
        uintptr_t offset = (uintptr_t)p - (uintptr_t)c->memory;
        if (offset >= c->bytes)
            continue;
        if (--c->n_parts == 0) {
            *at = c->next;
            free(c->memory);
            free(c);
        }
        return;
    }
}

void memory_close(struct device *dev)
{
    while (dev->chunks) {
        struct chunk *c = dev->chunks;
        dev->chunks = c->next;
        free(c->memory);
        free(c);
    }
}
