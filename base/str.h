/* str.h: a view of bytes, and a buffer that grows.
 *
 * struct str is a length-counted view that owns nothing; its bytes are UTF-8 unless a comment says
 * otherwise and may hold NULs. struct buf owns its bytes. */
#ifndef ASSAY_BASE_STR_H
#define ASSAY_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_ARG(s)   (int)(s).n, (s).p /* for "%.*s" */

static inline struct str str_of(const char *z)
{
    return (struct str){z, z ? strlen(z) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eqz(struct str a, const char *z)
{
    return str_eq(a, str_of(z));
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* Bytes [from, to), clipped to the string. */
struct str str_slice(struct str s, size_t from, size_t to);

/* Byte offset of the first `needle` at or after `from`, or SIZE_MAX. */
size_t str_find(struct str s, struct str needle, size_t from);
size_t str_find_last(struct str s, struct str needle); /* of the last one */

/* memcmp order, the shorter first: for qsort and bsearch. */
int str_cmp(struct str a, struct str b);

/* Each `from`, from the left and without overlap, becomes `to`; `s` itself where there is none. */
struct str str_substitute(struct arena *a, struct str s, struct str from, struct str to);

struct str str_copy(struct arena *a, struct str s); /* NUL-terminated copy */
struct str str_cat(struct arena *a, struct str x, struct str y);
struct str str_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the user may have meant: the nearest of `names` to `word` by edit distance, or NULL when
 * none is near. */
const char *nearest_name(const char *word, const char *const *names, size_t n);

void sort_names(const char **names, size_t n); /* in strcmp's order */

/* A growing buffer. A zeroed struct buf is empty. `p` is NUL-terminated whenever it is not NULL. */
struct buf {
    char *p;
    size_t n, cap;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_puts(struct buf *b, const char *z);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_free(struct buf *b);

static inline struct str buf_view(const struct buf *b)
{
    return (struct str){b->p ? b->p : "", b->n};
}

/* Moves the bytes into the arena and empties the buffer. */
struct str buf_take(struct buf *b, struct arena *a);

#endif
