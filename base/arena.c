#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *older;
    size_t cap;
    char bytes[] __attribute__((aligned(ALIGNMENT)));
};

static void die_out_of_memory(size_t n, size_t size)
{
    fprintf(stderr,
            "assay: out of memory: %zu x %zu more bytes were refused by the system; use a smaller "
            "model, a shorter max_length, or a machine with more memory\n",
            n, size);
    exit(3);
}

static size_t product(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        die_out_of_memory(n, size);
    return bytes;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX - BLOCK_SIZE - ALIGNMENT)
        die_out_of_memory(1, size);
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!a->head || a->head->cap - a->used < size) {
        size_t cap = size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE;
        struct arena_block *b = malloc(sizeof *b + cap);
        if (!b)
            die_out_of_memory(1, sizeof *b + cap);
        b->older = a->head;
        b->cap = cap;
        a->head = b;
        a->used = 0;
    }
    void *p = a->head->bytes + a->used;
    a->used += size;
    return memset(p, 0, size);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    return arena_alloc(a, product(n, size));
}

void *arena_grown(struct arena *a, void *items, size_t n, size_t size)
{
    if (n & (n - 1))
        return items;
    void *larger = arena_array(a, n ? 2 * n : 1, size);
    if (n)
        memcpy(larger, items, n * size);
    return larger;
}

char *arena_copy(struct arena *a, const void *p, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

char *arena_vprintf(struct arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *s = arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
    if (n > 0)
        vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    return s;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *s = arena_vprintf(a, format, args);
    va_end(args);
    return s;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->head, a->used};
}

void arena_reset(struct arena *a, struct arena_mark m)
{
    while (a->head != m.head) {
        struct arena_block *b = a->head;
        a->head = b->older;
        free(b);
    }
    a->used = m.used;
}

void arena_free(struct arena *a)
{
    arena_reset(a, (struct arena_mark){NULL, 0});
}

void *mem_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        die_out_of_memory(n, size);
    return p;
}

void *mem_grow(void *p, size_t n, size_t size)
{
    void *q = realloc(p, product(n ? n : 1, size));
    if (!q)
        die_out_of_memory(n, size);
    return q;
}

char *mem_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(mem_alloc(n, 1), s, n);
}

void *mem_try(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    return malloc(bytes ? bytes : 1);
}
