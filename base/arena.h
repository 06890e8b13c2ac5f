/* arena.h: memory that is freed all at once.
 *
 * Whatever is parsed, rendered or scored lives in the arena that the caller names. Nothing in an
 * arena is freed on its own; free the arena, or go back to a mark. An arena belongs to one thread
 * at a time. A zeroed struct arena is an empty arena. */
#ifndef ASSAY_BASE_ARENA_H
#define ASSAY_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *head; /* newest block; older ones hang behind it */
    size_t used;              /* bytes used in head */
};

struct arena_mark {
    struct arena_block *head;
    size_t used;
};

/* `size` zeroed bytes, aligned for any type. Never NULL: when the system has no memory left the
 * program ends with a sentence and exit code 3, since small allocations have no useful fallback.
 * What may be large because input says so is allocated by mem_try() instead. */
void *arena_alloc(struct arena *a, size_t size);

/* `n` zeroed elements of `size` bytes each; the product is checked. */
void *arena_array(struct arena *a, size_t n, size_t size);

/* Room for one more behind n items, for an array that grows one by one: `items` itself, or a copy
 * of twice the size where n is a power of two (or 0). */
void *arena_grown(struct arena *a, void *items, size_t n, size_t size);

/* A copy of n bytes with a NUL behind them. */
char *arena_copy(struct arena *a, const void *p, size_t n);

char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *format, va_list args);

/* Everything allocated after the mark is freed by the reset. */
struct arena_mark arena_mark(const struct arena *a);
void arena_reset(struct arena *a, struct arena_mark m);
void arena_free(struct arena *a);

/* malloc and realloc for long-lived things: checked products, never NULL (as arena_alloc). */
void *mem_alloc(size_t n, size_t size);         /* zeroed */
void *mem_grow(void *p, size_t n, size_t size); /* realloc to n elements */
char *mem_strdup(const char *s);
void *mem_try(size_t n, size_t size); /* NULL when it does not fit; not zeroed */

/* Grows a { T *items; size_t n, cap; } by one element and gives its address:
 *     *ARRAY_PUSH(&ids) = token;      free(ids.items) when done. */
#define ARRAY_PUSH(a)                                                                              \
    ((a)->n == (a)->cap ? ((a)->cap = (a)->cap ? 2 * (a)->cap : 16,                                \
                           (a)->items = mem_grow((a)->items, (a)->cap, sizeof *(a)->items))        \
                        : (a)->items,                                                              \
     (a)->items + (a)->n++)

#endif
