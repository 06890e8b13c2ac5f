#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.n)
        to = s.n;
    if (from >= to)
        return (struct str){s.p ? s.p + (from < s.n ? from : s.n) : NULL, 0};
    return (struct str){s.p + from, to - from};
}

size_t str_find(struct str s, struct str needle, size_t from)
{
    if (from > s.n)
        return SIZE_MAX;
    if (needle.n == 0)
        return from;
    if (s.n == 0)
        return SIZE_MAX;
    const char *at = memmem(s.p + from, s.n - from, needle.p, needle.n);
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t str_find_last(struct str s, struct str needle)
{
    for (size_t at = s.n >= needle.n ? s.n - needle.n + 1 : 0; at-- > 0;)
        if (needle.n == 0 || memcmp(s.p + at, needle.p, needle.n) == 0)
            return at;
    return SIZE_MAX;
}

struct str str_substitute(struct arena *a, struct str s, struct str from, struct str to)
{
    size_t at = str_find(s, from, 0), done = 0;
    if (at == SIZE_MAX)
        return s;
    struct buf b = {0};
    for (; at != SIZE_MAX; at = str_find(s, from, done)) {
        buf_add(&b, s.p + done, at - done);
        buf_str(&b, to);
        done = at + from.n;
    }
    buf_add(&b, s.p + done, s.n - done);
    return buf_take(&b, a);
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

struct str str_copy(struct arena *a, struct str s)
{
    return (struct str){arena_copy(a, s.p, s.n), s.n};
}

struct str str_cat(struct arena *a, struct str x, struct str y)
{
    char *p = arena_alloc(a, x.n + y.n + 1);
    if (x.n)
        memcpy(p, x.p, x.n);
    if (y.n)
        memcpy(p + x.n, y.p, y.n);
    return (struct str){p, x.n + y.n};
}

struct str str_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *s = arena_vprintf(a, format, args);
    va_end(args);
    return str_of(s);
}

static void reserve(struct buf *b, size_t more)
{
    if (b->cap - b->n > more)
        return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap - b->n <= more)
        cap *= 2;
    b->p = mem_grow(b->p, cap, 1);
    b->cap = cap;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    reserve(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_puts(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z));
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n > 0) {
        reserve(b, (size_t)n);
        vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

struct str buf_take(struct buf *b, struct arena *a)
{
    struct str s = str_copy(a, buf_view(b));
    buf_free(b);
    return s;
}

/* Levenshtein's distance, given up beyond what a typing slip explains. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (n >= 64 || strlen(a) >= 64)
        return 64;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t change = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            size_t best = row[j] < row[j + 1] ? row[j] + 1 : row[j + 1] + 1;
            row[j + 1] = change < best ? change : best;
        }
    }
    return row[n];
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void sort_names(const char **names, size_t n)
{
    if (n)
        qsort(names, n, sizeof *names, compare_names);
}

const char *nearest_name(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2;
    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(word, names[i]);
        if (d < least || (strncmp(word, names[i], strlen(word)) == 0 && !best)) {
            least = d < least ? d : least;
            best = names[i];
        }
    }
    return best;
}
