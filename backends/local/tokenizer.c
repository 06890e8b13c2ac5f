/* tokenizer.c: the pipeline, from a text to ids and back. Its parts are in tokenizer_parts.h. */
#include "backends/local/tokenizer_parts.h"

#include <stdlib.h>

#include "base/utf8.h"

#define MAX_TEXT ((size_t)1 << 28) /* bytes; keeps what encoding needs beside it in bounds */

/* --- building --- */

struct tokenizer *tokenizer_new(void)
{
    struct tokenizer *t = mem_alloc(1, sizeof *t);
    t->info = (struct tokenizer_info){.bos = -1, .eos = -1, .unk = -1, .pad = -1};
    t->bpe.unk = -1;
    return t;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->norm.n; i++)
        regex_free(t->norm.items[i].replace.regex);
    for (size_t i = 0; i < t->pre.n; i++)
        regex_free(t->pre.items[i].regex);
    for (size_t i = 0; i < t->dec.n; i++)
        regex_free(t->dec.items[i].replace.regex);
    added_free(&t->raw_trie);
    added_free(&t->normalized_trie);
    free(t->norm.items);
    free(t->pre.items);
    free(t->dec.items);
    free(t->added.items);
    free(t->prefix.items);
    free(t->suffix.items);
    arena_free(&t->arena);
    free(t);
}

void tokenizer_add(struct tokenizer *t, const struct added_token *token)
{
    if (!t->added_at)
        t->added_at = arena_array(&t->arena, (size_t)t->vocab.n, sizeof *t->added_at);
    uint32_t *at = t->added_at + token->id;
    if (*at) {
        t->added.items[*at - 1].special |= token->special;
        return;
    }
    *ARRAY_PUSH(&t->added) = *token;
    *at = (uint32_t)t->added.n;
}

void tokenizer_set_template(struct tokenizer *t, bool add_bos, bool add_eos)
{
    t->prefix.n = t->suffix.n = 0;
    if (add_bos && t->info.bos >= 0)
        *ARRAY_PUSH(&t->prefix) = t->info.bos;
    if (add_eos && t->info.eos >= 0)
        *ARRAY_PUSH(&t->suffix) = t->info.eos;
}

static bool holds(const struct id_list *ids, int32_t id)
{
    for (size_t i = 0; i < ids->n; i++)
        if (id >= 0 && ids->items[i] == id)
            return true;
    return false;
}

static const char *text_of(struct tokenizer *t, int32_t id)
{
    struct str s = tokenizer_spelling(t, id);
    if (id >= 0 && t->added_at && t->added_at[id])
        s = t->added.items[t->added_at[id] - 1].content;
    return arena_copy(&t->arena, s.p ? s.p : "", s.n);
}

/* An added token that is looked for in the normalized text is also decoded as normalized. */
static int name_normalized(struct tokenizer *t, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < t->added.n; i++) {
        const struct added_token *token = t->added.items + i;
        struct str content = token->content;
        if (!token->normalized || vocab_find(&t->vocab, content) >= 0)
            continue;
        r = normalize(&t->norm, &t->arena, content, &content, err);
        if (r == 0)
            vocab_name(&t->vocab, token->id, content);
    }
    return r;
}

/* An added token that takes neighbours along, or looks at them, or holds a newline could. */
static bool reaches_across_lines(const struct added_token *a)
{
    return a->lstrip || a->rstrip || a->single_word ||
           str_find(a->content, STR("\n"), 0) != SIZE_MAX;
}

static bool cuts_behind_lines(const struct tokenizer *t)
{
    for (size_t i = 0; i < t->added.n; i++)
        if (reaches_across_lines(&t->added.items[i]))
            return false;
    for (size_t i = 0; i < t->norm.n; i++)
        if (t->norm.items[i].kind != NORM_UNICODE) /* ASCII composes with nothing before it */
            return false;
    return pre_cuts_behind_lines(&t->pre);
}

int tokenizer_seal(struct tokenizer *t, struct error *err)
{
    t->cuts_behind_lines = cuts_behind_lines(t);
    bpe_seal(&t->bpe, &t->vocab);
    const int r = name_normalized(t, err);
    if (r != 0)
        return r;
    const size_t n = (size_t)t->vocab.n;
    t->pieces = arena_array(&t->arena, n, sizeof *t->pieces);
    for (size_t i = 0; i < n; i++)
        if (t->vocab.spelling[i].p)
            t->pieces[i] = decode_piece(&t->dec, &t->arena, t->vocab.spelling[i]);
    t->special = arena_array(&t->arena, n, sizeof *t->special);
    for (size_t i = 0; i < t->added.n; i++)
        t->special[t->added.items[i].id] = t->added.items[i].special;

    struct tokenizer_info *info = &t->info;
    info->n_ids = t->vocab.n;
    info->bos_text = text_of(t, info->bos);
    info->eos_text = text_of(t, info->eos);
    info->adds_bos = holds(&t->prefix, info->bos);
    info->adds_eos = holds(&t->suffix, info->eos);
    return added_build(&t->added, &t->norm, &t->raw_trie, &t->normalized_trie, err);
}

/* --- asking --- */

const struct tokenizer_info *tokenizer_info(const struct tokenizer *t)
{
    return &t->info;
}

int32_t tokenizer_find(const struct tokenizer *t, struct str spelling)
{
    int32_t id = vocab_find(&t->vocab, spelling);
    for (size_t i = 0; id < 0 && i < t->added.n; i++)
        if (str_eq(t->added.items[i].content, spelling))
            id = t->added.items[i].id;
    return id;
}

static bool is_id(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocab.n;
}

struct str tokenizer_spelling(const struct tokenizer *t, int32_t id)
{
    return is_id(t, id) ? t->vocab.spelling[id] : (struct str){0};
}

struct str tokenizer_piece(const struct tokenizer *t, int32_t id)
{
    return is_id(t, id) ? t->pieces[id] : (struct str){0};
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
    return is_id(t, id) && t->special[id];
}

/* --- encoding --- */

/* One call's state. */
struct encoder {
    const struct tokenizer *t;
    bool no_special;
    struct arena scratch;
    struct words words, spare;
    struct bpe_scratch bpe;
    struct id_list ids;
};

static int encode_words(struct encoder *e, struct str text, bool at_start, struct error *err)
{
    if (text.n == 0)
        return 0;
    const struct tokenizer *t = e->t;
    int r = pretokenize(&t->pre, &e->scratch, text, at_start, &e->words, &e->spare, err);
    for (size_t i = 0; r == 0 && i < e->words.n; i++) {
        const struct span w = e->words.items[i];
        bpe_encode(&t->bpe, &t->vocab, str_slice(e->words.text, w.from, w.to), &e->bpe, &e->ids);
    }
    return r;
}

static int encode_normalized(struct encoder *e, struct str text, bool at_start, struct error *err)
{
    const struct tokenizer *t = e->t;
    int r = normalize(&t->norm, &e->scratch, text, &text, err);
    size_t at = 0, done = 0;
    while (r == 0 && done < text.n) {
        const struct added_match m =
            added_next(&t->normalized_trie, &t->added, text, &at, done, e->no_special);
        r = encode_words(e, str_slice(text, done, m.start), at_start && done == 0, err);
        if (m.token)
            *ARRAY_PUSH(&e->ids) = m.token->id;
        done = m.end;
    }
    return r;
}

static int encode_text(struct encoder *e, struct str text, struct error *err)
{
    const struct tokenizer *t = e->t;
    int r = 0;
    size_t at = 0, done = 0;
    while (r == 0 && done < text.n) {
        const struct added_match m =
            added_next(&t->raw_trie, &t->added, text, &at, done, e->no_special);
        const struct arena_mark mark = arena_mark(&e->scratch);
        r = encode_normalized(e, str_slice(text, done, m.start), done == 0, err);
        arena_reset(&e->scratch, mark);
        if (m.token)
            *ARRAY_PUSH(&e->ids) = m.token->id;
        done = m.end;
    }
    return r;
}

static void add_ids(struct id_list *to, const struct id_list *from)
{
    for (size_t i = 0; i < from->n; i++)
        *ARRAY_PUSH(to) = from->items[i];
}

int tokenizer_encode(const struct tokenizer *t, struct arena *a, struct str text, unsigned flags,
                     struct token_ids *ret, struct error *err)
{
    if (text.n > MAX_TEXT)
        return error_set(err, E_INPUT,
                         "cannot tokenize a text of %zu MiB: %zu MiB are the most at once",
                         text.n >> 20, MAX_TEXT >> 20);
    struct encoder e = {.t = t, .no_special = flags & TOKENIZER_NO_SPECIAL};
    if (!utf8_valid(text))
        text = utf8_replace_invalid(&e.scratch, text);
    if (flags & TOKENIZER_ADD_SPECIAL)
        add_ids(&e.ids, &t->prefix);
    const int r = encode_text(&e, text, err);
    if (r == 0) {
        if (flags & TOKENIZER_ADD_SPECIAL)
            add_ids(&e.ids, &t->suffix);
        ret->n = e.ids.n;
        ret->p = arena_array(a, e.ids.n, sizeof *ret->p);
        if (e.ids.n)
            memcpy(ret->p, e.ids.items, e.ids.n * sizeof *ret->p);
    }
    free(e.ids.items);
    free(e.words.items);
    free(e.spare.items);
    bpe_scratch_free(&e.bpe);
    arena_free(&e.scratch);
    return r;
}

/* --- decoding --- */

int tokenizer_decode(const struct tokenizer *t, struct arena *a, const int32_t *ids, size_t n,
                     bool skip_special, struct str *ret, struct error *err)
{
    return decode_ids(t, a, ids, n, skip_special, false, ret, err);
}

/* The tokens' last bytes begin a character that lacks its end. */
static bool ends_inside_character(const struct tokenizer *t, const int32_t *ids, size_t n)
{
    unsigned back = 0;
    while (n-- > 0) {
        const struct str piece = tokenizer_piece(t, ids[n]);
        for (size_t i = piece.n; i-- > 0;) {
            const unsigned char c = (unsigned char)piece.p[i];
            back++;
            if (c >= 0xc0)
                return back < (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u);
            if (c < 0x80 || back == 3)
                return false;
        }
    }
    return false;
}

/* Nothing that follows these tokens changes their text. */
static bool settled(const struct tokenizer *t, const int32_t *ids, size_t n)
{
    bool whole = false;
    for (size_t i = 0; i < t->dec.n; i++) {
        const struct dec_step *d = t->dec.items + i;
        if (d->kind == DEC_BYTE_FALLBACK && byte_of_token(tokenizer_spelling(t, ids[n - 1])) >= 0)
            return false;
        if (d->kind == DEC_BYTE_LEVEL && ends_inside_character(t, ids, n))
            return false;
        if (whole && (d->kind == DEC_REPLACE || (d->kind == DEC_STRIP && d->strip_stop > 0)))
            return false;
        whole = whole || d->kind == DEC_FUSE || d->kind == DEC_BYTE_LEVEL;
    }
    return true;
}

int detokenizer_push(struct detokenizer *d, const struct tokenizer *t, int32_t id,
                     bool skip_special, struct error *err)
{
    if (!tokenizer_spelling(t, id).p || (skip_special && tokenizer_is_special(t, id)))
        return 0;
    *ARRAY_PUSH(&d->waiting) = id;
    struct arena scratch = {0};
    struct str text = {0};
    const int r = decode_ids(t, &scratch, d->waiting.items, d->waiting.n, skip_special, d->started,
                             &text, err);
    if (r == 0) {
        d->text.n = d->certain;
        buf_str(&d->text, text);
        if (settled(t, d->waiting.items, d->waiting.n)) {
            d->certain = d->text.n;
            d->waiting.n = 0;
            d->started = true;
        }
    } else {
        d->waiting.n--;
    }
    arena_free(&scratch);
    return r;
}

void detokenizer_free(struct detokenizer *d)
{
    buf_free(&d->text);
    free(d->waiting.items);
    *d = (struct detokenizer){0};
}
