/* tokenizer_decode.c: ids into text.
 *
 * A decoder is a list of steps, each from a list of spellings to a list of spellings, joined at the
 * end, as in Hugging Face's tokenizers. */
#include "backends/local/tokenizer_parts.h"

#include "base/utf8.h"

#define UNKNOWN "\xef\xbf\xbd" /* U+FFFD */

struct pieces {
    struct str *items;
    size_t n;
};

int byte_of_token(struct str s)
{
    static const char digits[] = "0123456789ABCDEFabcdef";
    if (s.n != 6 || memcmp(s.p, "<0x", 3) != 0 || s.p[5] != '>')
        return -1;
    int byte = 0;
    for (int i = 3; i < 5; i++) {
        const char *at = s.p[i] ? strchr(digits, s.p[i]) : NULL;
        if (!at)
            return -1;
        const int digit = (int)(at - digits);
        byte = byte * 16 + (digit < 16 ? digit : digit - 6);
    }
    return byte;
}

static void fuse(struct arena *a, struct pieces *p)
{
    struct buf b = {0};
    for (size_t i = 0; i < p->n; i++)
        buf_str(&b, p->items[i]);
    p->items[0] = buf_take(&b, a);
    p->n = 1;
}

/* The bytes of items [from, to), all byte tokens, into one piece; U+FFFD each if they are no UTF-8.
 */
static struct str join_bytes(struct arena *a, const struct pieces *p, size_t from, size_t to)
{
    struct buf b = {0};
    for (size_t i = from; i < to; i++)
        buf_char(&b, (char)byte_of_token(p->items[i]));
    if (!utf8_valid(buf_view(&b))) {
        b.n = 0;
        for (size_t i = from; i < to; i++)
            buf_puts(&b, UNKNOWN);
    }
    return buf_take(&b, a);
}

static void byte_fallback(struct arena *a, struct pieces *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n;) {
        size_t end = i;
        while (end < p->n && byte_of_token(p->items[end]) >= 0)
            end++;
        p->items[n++] = end > i ? join_bytes(a, p, i, end) : p->items[i];
        i = end > i ? end : i + 1;
    }
    p->n = n;
}

/* The character that ends the string, and where it begins. */
static int32_t last_cp(struct str s, size_t *start)
{
    size_t i = s.n - 1;
    while (i > 0 && ((unsigned char)s.p[i] & 0xc0) == 0x80)
        i--;
    *start = i;
    return utf8_next(s, &i);
}

static struct str strip(const struct dec_step *d, struct str s, int64_t n_start)
{
    size_t from = 0, at = 0;
    for (int64_t k = 0; k < n_start && from < s.n && utf8_next(s, &at) == d->strip; k++)
        from = at;
    s = str_slice(s, from, s.n);
    for (int64_t k = 0; k < d->strip_stop && s.n > 0 && last_cp(s, &at) == d->strip; k++)
        s.n = at;
    return s;
}

static struct str metaspace(const struct dec_step *d, struct arena *a, struct str s, bool first)
{
    const struct replacement r = {
        .literal = d->meta,
        .content = first && d->drop_first ? STR("") : STR(" "),
    };
    replace_all(&r, a, s, &s, NULL); /* a literal: cannot fail */
    return s;
}

/* `whole`: the text is one piece by now, so that its beginning is the first piece's. */
static int step(const struct dec_step *d, struct arena *a, bool started, bool whole,
                struct pieces *p, struct error *err)
{
    int r = 0;
    switch (d->kind) {
    case DEC_BYTE_LEVEL:
        for (size_t i = 0; i < p->n; i++)
            p->items[i] = bytes_of_spelling(a, p->items[i]);
        fuse(a, p);
        p->items[0] = utf8_replace_invalid(a, p->items[0]);
        break;
    case DEC_FUSE:
        fuse(a, p);
        break;
    case DEC_BYTE_FALLBACK:
        byte_fallback(a, p);
        break;
    case DEC_REPLACE:
        for (size_t i = 0; r == 0 && i < p->n; i++)
            r = replace_all(&d->replace, a, p->items[i], &p->items[i], err);
        break;
    case DEC_STRIP:
        for (size_t i = 0; i < p->n; i++)
            p->items[i] = strip(d, p->items[i], started && whole ? 0 : d->strip_start);
        break;
    case DEC_METASPACE:
        for (size_t i = 0; i < p->n; i++)
            p->items[i] = metaspace(d, a, p->items[i], i == 0 && !started);
        break;
    }
    return r;
}

int decode_ids(const struct tokenizer *t, struct arena *a, const int32_t *ids, size_t n,
               bool skip_special, bool started, struct str *ret, struct error *err)
{
    struct pieces p = {arena_array(a, n + 1, sizeof *p.items), 0};
    for (size_t i = 0; i < n; i++)
        if (tokenizer_spelling(t, ids[i]).p && !(skip_special && tokenizer_is_special(t, ids[i])))
            p.items[p.n++] = tokenizer_spelling(t, ids[i]);
    if (p.n == 0) {
        *ret = STR("");
        return 0;
    }
    int r = 0;
    bool whole = false;
    for (size_t i = 0; r == 0 && i < t->dec.n; i++) {
        const struct dec_step *d = t->dec.items + i;
        r = step(d, a, started, whole, &p, err);
        whole = whole || d->kind == DEC_FUSE || d->kind == DEC_BYTE_LEVEL;
    }
    if (r != 0)
        return r;
    struct buf b = {0};
    for (size_t i = 0; i < p.n; i++) {
        if (!t->has_decoder && (i > 0 || started))
            buf_char(&b, ' ');
        buf_str(&b, p.items[i]);
    }
    *ret = buf_take(&b, a);
    return 0;
}

struct str decode_piece(const struct dec_list *steps, struct arena *a, struct str spelling)
{
    struct str s = spelling;
    for (size_t i = 0; i < steps->n; i++) {
        const struct dec_step *d = steps->items + i;
        if (d->kind == DEC_BYTE_LEVEL) {
            s = bytes_of_spelling(a, s);
        } else if (d->kind == DEC_REPLACE && !d->replace.regex) {
            replace_all(&d->replace, a, s, &s, NULL);
        } else if (d->kind == DEC_METASPACE) {
            s = metaspace(d, a, s, false);
        } else if (d->kind == DEC_BYTE_FALLBACK && byte_of_token(s) >= 0) {
            char *byte = arena_alloc(a, 2);
            *byte = (char)byte_of_token(s);
            s = (struct str){byte, 1};
        }
    }
    return s;
}
