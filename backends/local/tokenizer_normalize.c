/* tokenizer_normalize.c: what happens to a text before it is cut into words. */
#include "backends/local/tokenizer_parts.h"

#include <utf8proc.h>

#include "base/utf8.h"

#define MAX_REPLACED                                                                               \
    ((size_t)1 << 29) /* bytes: a few steps of a hostile file could double it often */

static bool all_ascii(struct str s)
{
    unsigned char any = 0;
    for (size_t i = 0; i < s.n; i++)
        any |= (unsigned char)s.p[i];
    return any < 0x80;
}

/* The next place that is replaced: 1 found, 0 not, or an error. An empty match counts as none. */
static int next_match(const struct replacement *r, struct str text, size_t from,
                      struct regex_match *m, struct error *err)
{
    if (!r->regex) {
        m->start = r->literal.n ? str_find(text, r->literal, from) : SIZE_MAX;
        m->end = m->start + r->literal.n;
        return m->start != SIZE_MAX;
    }
    int found = regex_search(r->regex, text, from, false, m, 1, err);
    while (found == 1 && m->start == m->end) {
        size_t at = m->end;
        if (at >= text.n)
            return 0;
        utf8_next(text, &at);
        found = regex_search(r->regex, text, at, false, m, 1, err);
    }
    return found;
}

int replace_all(const struct replacement *r, struct arena *a, struct str text, struct str *ret,
                struct error *err)
{
    struct regex_match m;
    int found = next_match(r, text, 0, &m, err);
    if (found <= 0) {
        if (found == 0)
            *ret = text;
        return found;
    }
    struct buf b = {0};
    size_t at = 0;
    for (; found == 1 && b.n <= MAX_REPLACED; found = next_match(r, text, at, &m, err)) {
        buf_add(&b, text.p + at, m.start - at);
        buf_str(&b, r->content);
        at = m.end;
    }
    buf_add(&b, text.p + at, text.n - at);
    if (b.n > MAX_REPLACED)
        found =
            error_set(err, E_INPUT, "the tokenizer's replacements make a text longer than %zu MiB",
                      MAX_REPLACED >> 20);
    if (found == 0)
        *ret = buf_take(&b, a);
    buf_free(&b);
    return found;
}

/* Character by character, as Rust does: no final sigma. Only U+0130 becomes two. */
static struct str lowercase(struct arena *a, struct str text)
{
    struct buf b = {0};
    for (size_t i = 0; i < text.n;) {
        const int32_t cp = utf8_next(text, &i);
        char p[4];
        buf_add(&b, p, (size_t)utf8_put(cp == 0x130 ? 'i' : utf8proc_tolower(cp), p));
        if (cp == 0x130)
            buf_puts(&b, "\xcc\x87");
    }
    return buf_take(&b, a);
}

static struct str strip(struct str text, int sides)
{
    size_t from = 0, to = 0;
    for (size_t i = 0; i < text.n;) {
        const size_t start = i;
        if (!char_is_white(utf8_next(text, &i)))
            to = i;
        else if (to == 0 && from == start)
            from = i;
    }
    if (!(sides & STRIP_LEFT))
        from = 0;
    if (!(sides & STRIP_RIGHT))
        to = text.n;
    return from < to ? str_slice(text, from, to) : STR("");
}

static int step(const struct norm_step *s, struct arena *a, struct str text, struct str *ret,
                struct error *err)
{
    switch (s->kind) {
    case NORM_UNICODE:
        *ret = all_ascii(text) ? text : utf8_normalize(a, text, s->form);
        return 0;
    case NORM_PREPEND:
        *ret = text.n ? str_cat(a, s->prefix, text) : text;
        return 0;
    case NORM_REPLACE:
        return replace_all(&s->replace, a, text, ret, err);
    case NORM_LOWERCASE:
        *ret = lowercase(a, text);
        return 0;
    case NORM_STRIP:
        *ret = strip(text, s->sides);
        return 0;
    }
    return 0;
}

int normalize(const struct norm_list *steps, struct arena *a, struct str text, struct str *ret,
              struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < steps->n; i++)
        r = step(steps->items + i, a, text, &text, err);
    if (r == 0)
        *ret = text;
    return r;
}
