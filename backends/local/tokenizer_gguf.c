/* tokenizer_gguf.c: a tokenizer from GGUF's metadata.
 *
 * GGUF keeps the vocabulary and the name of a pretokenizer; the rest of the pipeline is known by
 * those names. The names and what they mean are llama.cpp's; where it leaves out a part of the
 * model's own tokenizer.json (Qwen's NFC), we have the part. */
#include "backends/local/tokenizer_parts.h"

#include <stdlib.h>

#include "base/utf8.h"

#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(tail)                                                                                \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" tail "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER    \
    "*" tail
#define AFTER_DIGITS "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define TEKKEN       CASED("") "|\\p{N}" AFTER_DIGITS
#define GPT4O        CASED("(?i:'s|'t|'re|'ve|'m|'ll|'d)?") "|\\p{N}{1,3}" AFTER_DIGITS
#define DEEPSEEK3                                                                                  \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"           \
    "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"

enum {
    DIGITS_APART = 1, /* each number character is a word of its own, before the expressions */
    WHOLE_WORDS = 2,  /* a word that is a token is that token, whatever the merges say */
    ADD_BOS = 4,      /* where the file does not say */
    WITH_NFC = 8,
};

static const struct pre {
    const char *name;
    unsigned flags;
    const char *patterns[3];
} pres[] = {
    {"default", 0, {PATTERN_GPT2}},
    {"gpt-2", 0, {PATTERN_GPT2}},
    {"phi-2", 0, {PATTERN_GPT2}},
    {"mpt", 0, {PATTERN_GPT2}},
    {"olmo", 0, {PATTERN_GPT2}},
    {"jina-v2-code", 0, {PATTERN_GPT2}},
    {"smollm", DIGITS_APART, {PATTERN_GPT2}},
    {"starcoder", DIGITS_APART, {PATTERN_GPT2}},
    {"refact", DIGITS_APART, {PATTERN_GPT2}},
    {"command-r", DIGITS_APART, {PATTERN_GPT2}},
    {"codeshell", DIGITS_APART, {PATTERN_GPT2}},
    {"llama-bpe", WHOLE_WORDS | ADD_BOS, {PATTERN_LLAMA3}},
    {"llama3", WHOLE_WORDS | ADD_BOS, {PATTERN_LLAMA3}},
    {"llama-v3", WHOLE_WORDS | ADD_BOS, {PATTERN_LLAMA3}},
    {"falcon3", WHOLE_WORDS | ADD_BOS, {PATTERN_LLAMA3}},
    {"pixtral", WHOLE_WORDS | ADD_BOS, {PATTERN_LLAMA3}},
    {"dbrx", 0, {PATTERN_LLAMA3}},
    {"smaug-bpe", 0, {PATTERN_LLAMA3}},
    {"qwen2", WITH_NFC, {PATTERN_QWEN2}},
    {"deepseek-r1-qwen", 0, {PATTERN_QWEN2}},
    {"stablelm2", 0, {PATTERN_QWEN2}},
    {"tekken", WHOLE_WORDS | ADD_BOS, {TEKKEN}},
    {"gpt-4o", 0, {GPT4O}},
    {"llama4", 0, {GPT4O}},
    {"deepseek-v3", 0, {"\\p{N}{1,3}", CJK, DEEPSEEK3}},
};

enum token_type { TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4 };

static int token_type(const struct tokenizer_gguf *g, size_t id)
{
    int32_t type = 1;
    if (g->token_types)
        memcpy(&type, (const char *)g->token_types + id * sizeof type, sizeof type);
    return type;
}

static float score(const struct tokenizer_gguf *g, size_t id)
{
    float s;
    memcpy(&s, (const char *)g->scores + id * sizeof s, sizeof s);
    return s;
}

/* --- what both kinds share --- */

static int read_vocabulary(struct tokenizer *t, const struct tokenizer_gguf *g, const char *where,
                           struct error *err)
{
    if (g->n_tokens == 0 || g->n_tokens > TOKENIZER_MAX_IDS)
        return error_set(err, E_INPUT, "%s: tokenizer.ggml.tokens has %zu tokens, not 1 to %d",
                         where, g->n_tokens, TOKENIZER_MAX_IDS);
    size_t bytes = 1;
    for (size_t i = 0; i < g->n_tokens; i++)
        bytes += g->tokens[i].n;
    char *p = arena_alloc(&t->arena, bytes);
    vocab_init(&t->vocab, &t->arena, (int)g->n_tokens);
    for (size_t i = 0; i < g->n_tokens; i++) {
        const struct str s = g->tokens[i];
        if (s.n)
            memcpy(p, s.p, s.n);
        vocab_put(&t->vocab, (int32_t)i, (struct str){p, s.n});
        p += s.n;
    }
    return 0;
}

static int read_id(const struct tokenizer_gguf *g, int64_t id, const char *key, const char *where,
                   int32_t *ret, struct error *err)
{
    if (id >= 0 && (uint64_t)id >= g->n_tokens)
        return error_set(err, E_INPUT,
                         "%s: tokenizer.ggml.%s_token_id is %lld, but there are %zu tokens", where,
                         key, (long long)id, g->n_tokens);
    *ret = id < 0 ? -1 : (int32_t)id;
    return 0;
}

static int read_ids(struct tokenizer *t, const struct tokenizer_gguf *g, const char *where,
                    struct error *err)
{
    struct tokenizer_info *info = &t->info;
    int r = read_id(g, g->bos, "bos", where, &info->bos, err);
    if (r == 0)
        r = read_id(g, g->eos, "eos", where, &info->eos, err);
    if (r == 0)
        r = read_id(g, g->unk, "unknown", where, &info->unk, err);
    if (r == 0)
        r = read_id(g, g->pad, "padding", where, &info->pad, err);
    return r;
}

/* Control tokens and the ones that the ids name are special; the user's are only kept whole. */
static void read_added(struct tokenizer *t, const struct tokenizer_gguf *g)
{
    const struct tokenizer_info *info = &t->info;
    for (size_t i = 0; i < g->n_tokens; i++) {
        const int32_t id = (int32_t)i;
        const int type = token_type(g, i);
        const bool named = id == info->bos || id == info->eos || id == info->unk || id == info->pad;
        if ((named || type == TYPE_CONTROL || type == TYPE_USER) && t->vocab.spelling[i].n)
            tokenizer_add(t, &(struct added_token){.id = id,
                                                   .content = t->vocab.spelling[i],
                                                   .special = named || type == TYPE_CONTROL});
    }
}

/* --- byte-level --- */

static const struct pre *find_pre(struct str name)
{
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++)
        if (str_eqz(name, pres[i].name))
            return pres + i;
    return NULL;
}

static int unknown_pre(struct str name, const char *where, struct error *err)
{
    struct buf known = {0};
    for (size_t i = 0; i < sizeof pres / sizeof *pres; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", pres[i].name);
    const int r = error_set(err, E_UNSUPPORTED,
                            "%s: tokenizer.ggml.pre is \"%.*s\", a pretokenizer that is not built "
                            "in; known are %s",
                            where, STR_ARG(name), known.p);
    buf_free(&known);
    return r;
}

static int add_pre_steps(struct tokenizer *t, const struct pre *pre, const char *where,
                         struct error *err)
{
    if (pre->flags & WITH_NFC)
        *ARRAY_PUSH(&t->norm) = (struct norm_step){.kind = NORM_UNICODE, .form = "NFC"};
    if (pre->flags & DIGITS_APART)
        *ARRAY_PUSH(&t->pre) = (struct pre_step){
            .kind = PRE_SPLIT, .matches_char = char_is_numeric, .behavior = SPLIT_ISOLATED};
    for (int i = 0; i < 3 && pre->patterns[i]; i++) {
        struct pre_step step = {.kind = PRE_SPLIT, .behavior = SPLIT_ISOLATED};
        const int r = pre_regex(str_of(pre->patterns[i]), where, &step, err);
        if (r != 0)
            return r;
        *ARRAY_PUSH(&t->pre) = step;
    }
    return 0;
}

/* NULL, or what is wrong with the merge. */
static const char *read_merge(struct tokenizer *t, struct str merge, uint32_t rank,
                              struct buf *scratch)
{
    const size_t space = str_find(merge, STR(" "), 1);
    if (space == SIZE_MAX)
        return "is not two tokens with a space between";
    if (!bpe_merge(&t->bpe, &t->vocab, str_slice(merge, 0, space),
                   str_slice(merge, space + 1, merge.n), rank, scratch))
        return "names or makes a token that is not in tokenizer.ggml.tokens";
    return NULL;
}

static int read_merges(struct tokenizer *t, const struct tokenizer_gguf *g, const char *where,
                       struct error *err)
{
    bpe_init(&t->bpe, &t->arena, g->n_merges);
    struct buf scratch = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < g->n_merges; i++) {
        const struct str m = str_slice(g->merges[i], 0, 200); /* as much as an error shows */
        const char *wrong = read_merge(t, g->merges[i], (uint32_t)i, &scratch);
        if (wrong)
            r = error_set(err, E_INPUT, "%s: merge %zu of tokenizer.ggml.merges, \"%.*s\", %s",
                          where, i, STR_ARG(m), wrong);
    }
    buf_free(&scratch);
    return r;
}

static int build_byte_level(struct tokenizer *t, const struct tokenizer_gguf *g, const char *where,
                            struct error *err)
{
    const struct pre *pre = find_pre(g->pre.n ? g->pre : STR("default"));
    if (!pre)
        return unknown_pre(g->pre, where, err);
    int r = add_pre_steps(t, pre, where, err);
    if (r == 0)
        r = read_merges(t, g, where, err);
    if (r != 0)
        return r;
    t->bpe.byte_level = true;
    t->bpe.ignore_merges = pre->flags & WHOLE_WORDS;
    *ARRAY_PUSH(&t->dec) = (struct dec_step){.kind = DEC_BYTE_LEVEL};
    const bool bos_by_default = pre->flags & ADD_BOS;
    tokenizer_set_template(t, g->add_bos < 0 ? bos_by_default : g->add_bos > 0, g->add_eos > 0);
    return 0;
}

/* --- SentencePiece --- */

struct ranked {
    float score;
    int32_t id;
};

static int by_score(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;
    return a->score != b->score ? (a->score > b->score ? -1 : 1)
                                : (a->id > b->id) - (a->id < b->id);
}

/* Every way to cut a token into two tokens is a merge; its rank is the place of the token's score
 * among all scores, equal ones sharing it. Calls `put` for each, or only counts. */
static size_t put_score_merges(struct tokenizer *t, const struct ranked *ranked, size_t n, bool put)
{
    size_t count = 0;
    uint32_t rank = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && ranked[i].score != ranked[i - 1].score)
            rank++;
        const struct str s = t->vocab.spelling[ranked[i].id];
        for (size_t cut = 1; cut < s.n; cut++) {
            if (((unsigned char)s.p[cut] & 0xc0) == 0x80)
                continue;
            const int32_t left = vocab_find(&t->vocab, str_slice(s, 0, cut));
            if (left < 0)
                continue;
            const int32_t right = vocab_find(&t->vocab, str_slice(s, cut, s.n));
            if (right < 0)
                continue;
            count++;
            if (put)
                bpe_put(&t->bpe, left, right, rank, ranked[i].id);
        }
    }
    return count;
}

static int score_merges(struct tokenizer *t, const struct tokenizer_gguf *g, const char *where,
                        struct error *err)
{
    if (!g->scores)
        return error_set(err, E_INPUT,
                         "%s: tokenizer.ggml.model is \"llama\", but there is no "
                         "tokenizer.ggml.scores to order its merges",
                         where);
    struct ranked *ranked = mem_alloc(g->n_tokens, sizeof *ranked);
    for (size_t i = 0; i < g->n_tokens; i++) {
        const float s = score(g, i);
        ranked[i] = (struct ranked){s == s ? s : 0, (int32_t)i};
    }
    qsort(ranked, g->n_tokens, sizeof *ranked, by_score);
    bpe_init(&t->bpe, &t->arena, put_score_merges(t, ranked, g->n_tokens, false));
    put_score_merges(t, ranked, g->n_tokens, true);
    free(ranked);
    return 0;
}

static int build_sentencepiece(struct tokenizer *t, const struct tokenizer_gguf *g,
                               const char *where, struct error *err)
{
    const struct str meta = STR("\xe2\x96\x81");
    const int r = score_merges(t, g, where, err);
    if (r != 0)
        return r;
    t->bpe.byte_fallback = t->bpe.fuse_unk = true;
    t->bpe.unk = t->info.unk;
    if (g->add_space_prefix != 0)
        *ARRAY_PUSH(&t->norm) = (struct norm_step){.kind = NORM_PREPEND, .prefix = meta};
    *ARRAY_PUSH(&t->norm) =
        (struct norm_step){.kind = NORM_REPLACE, .replace = {.literal = STR(" "), .content = meta}};

    *ARRAY_PUSH(&t->dec) =
        (struct dec_step){.kind = DEC_REPLACE, .replace = {.literal = meta, .content = STR(" ")}};
    *ARRAY_PUSH(&t->dec) = (struct dec_step){.kind = DEC_BYTE_FALLBACK};
    *ARRAY_PUSH(&t->dec) = (struct dec_step){.kind = DEC_FUSE};
    if (g->add_space_prefix != 0)
        *ARRAY_PUSH(&t->dec) = (struct dec_step){.kind = DEC_STRIP, .strip = ' ', .strip_start = 1};
    tokenizer_set_template(t, g->add_bos != 0, g->add_eos > 0);
    return 0;
}

/* --- the whole --- */

static const struct {
    const char *name;
    int (*build)(struct tokenizer *, const struct tokenizer_gguf *, const char *, struct error *);
} models[] = {
    {"gpt2", build_byte_level},
    {"llama", build_sentencepiece},
};

static int build(struct tokenizer *t, const struct tokenizer_gguf *g, const char *where,
                 struct error *err)
{
    int r = read_vocabulary(t, g, where, err);
    if (r == 0)
        r = read_ids(t, g, where, err);
    if (r != 0)
        return r;
    read_added(t, g);
    t->has_decoder = true;
    if (g->chat_template.n)
        t->info.chat_template = arena_copy(&t->arena, g->chat_template.p, g->chat_template.n);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (str_eqz(g->model, models[i].name))
            r = models[i].build(t, g, where, err);
    return r == 0 ? tokenizer_seal(t, err) : r;
}

int tokenizer_from_gguf(const struct tokenizer_gguf *g, const char *where, struct tokenizer **ret,
                        struct error *err)
{
    bool known = false;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        known = known || str_eqz(g->model, models[i].name);
    if (!known)
        return error_set(err, E_UNSUPPORTED,
                         "%s: tokenizer.ggml.model is \"%.*s\", a kind of tokenizer that is not "
                         "built in; known are gpt2 (byte-level BPE) and llama (SentencePiece BPE)",
                         where, STR_ARG(g->model));
    struct tokenizer *t = tokenizer_new();
    const int r = build(t, g, where, err);
    if (r == 0)
        *ret = t;
    else
        tokenizer_free(t);
    return r;
}
