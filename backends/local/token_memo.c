#include "backends/local/token_memo.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backends/local/tokenizer_parts.h"

struct cut {
    size_t byte, id; /* so many bytes of the text gave so many ids */
};

struct token_memo {
    pthread_mutex_t lock;
    struct buf text; /* the last one */
    struct id_list ids;
    struct {
        struct cut *items;
        size_t n, cap;
    } cuts;
    unsigned flags;
};

struct token_memo *token_memo_new(void)
{
    struct token_memo *m = mem_alloc(1, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

void token_memo_free(struct token_memo *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(&m->lock);
    buf_free(&m->text);
    free(m->ids.items);
    free(m->cuts.items);
    free(m);
}

static bool is_visible(char c)
{
    return c > ' ' && c < 0x7f;
}

/* The first place to cut behind `at`, or the text's end. */
static size_t next_cut(struct str s, size_t at)
{
    while (at < s.n) {
        const char *newline = memchr(s.p + at, '\n', s.n - at);
        if (!newline)
            break;
        at = (size_t)(newline - s.p) + 1;
        if (at >= 2 && at < s.n && is_visible(s.p[at - 2]) && is_visible(s.p[at]))
            return at;
    }
    return s.n;
}

static size_t common_bytes(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i + 64 <= n && memcmp(a.p + i, b.p + i, 64) == 0)
        i += 64;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

static void push_ids(struct id_list *to, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *ARRAY_PUSH(to) = ids[i];
}

/* Goes back to the last cut that the new text has as well; returns where to go on. */
static size_t forget_rest(struct token_memo *m, struct str text, unsigned flags)
{
    size_t same = m->flags == flags ? common_bytes(buf_view(&m->text), text) : 0;
    m->flags = flags;
    while (m->cuts.n && m->cuts.items[m->cuts.n - 1].byte >= same)
        m->cuts.n--;
    struct cut last = m->cuts.n ? m->cuts.items[m->cuts.n - 1] : (struct cut){0, 0};
    m->text.n = last.byte;
    m->ids.n = last.id;
    return last.byte;
}

/* Piece by piece from `at`, noting the cuts. */
static int encode_rest(struct token_memo *m, const struct tokenizer *t, struct str text, size_t at,
                       unsigned flags, struct error *err)
{
    struct arena scratch = {0};
    int r = 0;
    for (size_t end; at < text.n && r == 0; at = end) {
        end = next_cut(text, at);
        struct token_ids ids;
        struct arena_mark mark = arena_mark(&scratch);
        r = tokenizer_encode(t, &scratch, str_slice(text, at, end), flags, &ids, err);
        if (r == 0)
            push_ids(&m->ids, ids.p, ids.n);
        arena_reset(&scratch, mark);
        if (end < text.n)
            *ARRAY_PUSH(&m->cuts) = (struct cut){end, m->ids.n};
    }
    buf_str(&m->text, str_slice(text, m->text.n, text.n));
    if (r < 0)
        m->cuts.n = m->text.n = m->ids.n = 0;
    arena_free(&scratch);
    return r;
}

static int encode(struct token_memo *m, const struct tokenizer *t, struct arena *a, struct str text,
                  unsigned flags, struct token_ids *ret, struct error *err)
{
    unsigned plain = flags & ~(unsigned)TOKENIZER_ADD_SPECIAL;
    size_t at = forget_rest(m, text, plain);
    int r = encode_rest(m, t, text, at, plain, err);
    if (r < 0)
        return r;
    bool adds = flags & TOKENIZER_ADD_SPECIAL;
    size_t before = adds ? t->prefix.n : 0, behind = adds ? t->suffix.n : 0;
    ret->n = before + m->ids.n + behind;
    ret->p = arena_array(a, ret->n, sizeof *ret->p);
    if (before)
        memcpy(ret->p, t->prefix.items, before * sizeof *ret->p);
    if (m->ids.n)
        memcpy(ret->p + before, m->ids.items, m->ids.n * sizeof *ret->p);
    if (behind)
        memcpy(ret->p + before + m->ids.n, t->suffix.items, behind * sizeof *ret->p);
    return 0;
}

int token_memo_encode(struct token_memo *m, const struct tokenizer *t, struct arena *a,
                      struct str text, unsigned flags, struct token_ids *ret, struct error *err)
{
    if (!t->cuts_behind_lines || next_cut(text, 0) == text.n ||
        pthread_mutex_trylock(&m->lock) != 0) /* another thread has it: not worth waiting for */
        return tokenizer_encode(t, a, text, flags, ret, err);
    int r = encode(m, t, a, text, flags, ret, err);
    pthread_mutex_unlock(&m->lock);
    return r;
}
