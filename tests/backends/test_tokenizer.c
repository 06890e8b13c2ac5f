/* Tokenizers against Hugging Face's: goldens, and small ones made here for what they do not show.
 */
#include "backends/local/tokenizer.h"

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tests/check.h"

/* --- helpers --- */

static struct str member_str(const struct value *v, const char *key)
{
    const struct value *s = dict_get(v, key);
    return s ? s->s : (struct str){0};
}

static void expect_ids(const char *what, const struct token_ids *got, const struct value *want)
{
    size_t n = want->list.n, i = 0;
    while (i < n && i < got->n && got->p[i] == want->list.items[i]->i)
        i++;
    if (i < n || got->n != n)
        check_fail(__FILE__, __LINE__, "%s: %zu ids, not %zu; they differ at %zu", what, got->n, n,
                   i);
}

static struct token_ids encode(const struct tokenizer *t, struct arena *a, struct str text,
                               unsigned flags)
{
    struct token_ids ids = {0};
    struct error err;
    EXPECT_OK(tokenizer_encode(t, a, text, flags, &ids, &err), &err);
    return ids;
}

static struct str decode(const struct tokenizer *t, struct arena *a, struct token_ids ids,
                         bool skip_special)
{
    struct str text = {0};
    struct error err;
    EXPECT_OK(tokenizer_decode(t, a, ids.p, ids.n, skip_special, &text, &err), &err);
    return text;
}

/* Pushed one by one, the text is the same, and what was certain stays. */
static void expect_incremental(const struct tokenizer *t, struct token_ids ids, struct str want)
{
    struct detokenizer d = {0};
    struct buf before = {0};
    struct error err;
    for (size_t i = 0; i < ids.n; i++) {
        EXPECT_OK(detokenizer_push(&d, t, ids.p[i], false, &err), &err);
        EXPECT_STR(str_slice(buf_view(&d.text), 0, before.n), buf_view(&before));
        before.n = 0;
        buf_add(&before, d.text.p, d.certain);
    }
    EXPECT_STR(buf_view(&d.text), want);
    detokenizer_free(&d);
    buf_free(&before);
}

static void check_case(const struct tokenizer *t, struct arena *a, const char *kind,
                       struct str text, const struct value *want)
{
    char what[100];
    snprintf(what, sizeof what, "%s case %lld", kind, (long long)dict_get(want, "id")->i);
    const struct token_ids ids = encode(t, a, text, 0);
    expect_ids(what, &ids, dict_get(want, "ids"));
    const struct token_ids special = encode(t, a, text, TOKENIZER_ADD_SPECIAL);
    expect_ids(what, &special, dict_get(want, "ids_with_special"));

    const struct str decoded = member_str(want, "decoded");
    EXPECT_STR(decode(t, a, ids, true), decoded);
    const struct str whole = member_str(want, "decoded_with_special");
    EXPECT_STR(decode(t, a, ids, false), whole.p ? whole : decoded);
    expect_incremental(t, ids, whole.p ? whole : decoded);
}

static void check_goldens(const char *kind)
{
    char path[200];
    snprintf(path, sizeof path, "goldens/tokenizers/%s/tokenizer.json", kind);
    const char *json = check_shared(path);
    snprintf(path, sizeof path, "goldens/tokenizers/%s/cases.jsonl", kind);
    const char *cases = check_shared(path), *texts = check_shared("goldens/tokenizers/texts.json");
    if (!json || !cases || !texts)
        return;
    struct arena a = {0}, scratch = {0};
    struct error err;
    struct str text = {0}, lines = {0};
    struct value *all = NULL;
    struct tokenizer *t = NULL;
    EXPECT_OK(file_read(&a, json, FILE_LIMIT_TEXT, &text, &err), &err);
    EXPECT_OK(tokenizer_from_json(text, STR(""), json, &t, &err), &err);
    EXPECT_OK(file_read(&a, cases, FILE_LIMIT_TEXT, &lines, &err), &err);
    EXPECT_OK(json_read(&a, texts, &all, &err), &err);
    for (size_t i = 0, at = 0; t && at < lines.n; i++) {
        const size_t end = str_find(lines, STR("\n"), at);
        struct value *want = NULL;
        EXPECT_OK(json_parse(&scratch, str_slice(lines, at, end), cases, &want, &err), &err);
        if (want)
            check_case(t, &scratch, kind, all->list.items[dict_get(want, "id")->i]->s, want);
        arena_free(&scratch);
        at = end == SIZE_MAX ? lines.n : end + 1;
    }
    tokenizer_free(t);
    arena_free(&a);
}

static void gpt2_bytelevel(void)
{
    check_goldens("gpt2_bytelevel");
}

static void llama3_ignore_merges(void)
{
    check_goldens("llama3_ignore_merges");
}

static void qwen2_nfc(void)
{
    check_goldens("qwen2_nfc");
}

static void llama2_spm(void)
{
    check_goldens("llama2_spm");
}

static void gemma_spm(void)
{
    check_goldens("gemma_spm");
}

/* --- a model's folder --- */

static void stories_folder(void)
{
    const char *model = check_shared("models/stories260k-hf");
    const char *tokens = check_shared("goldens/stories260k/tokens.json");
    if (!model || !tokens)
        return;
    struct arena a = {0};
    struct error err;
    struct tokenizer *t = NULL;
    struct value *cases = NULL;
    EXPECT_OK(tokenizer_from_folder(model, &t, &err), &err);
    EXPECT_OK(json_read(&a, tokens, &cases, &err), &err);
    if (!t)
        return;
    const struct tokenizer_info *info = tokenizer_info(t);
    EXPECT_INT(info->bos, 1);
    EXPECT_INT(info->eos, 2);
    EXPECT_INT(info->unk, 0);
    EXPECT_INT(info->n_ids, 512);
    EXPECT_Z(info->bos_text, "<s>");
    EXPECT(info->adds_bos && !info->adds_eos);
    for (size_t i = 0; i < cases->list.n; i++) {
        const struct value *c = cases->list.items[i];
        const struct str text = member_str(c, "text");
        /* As lm-evaluation-harness asks: no second BOS in front of one that is there. */
        const unsigned flags =
            str_starts(text, str_of(info->bos_text)) ? 0 : TOKENIZER_ADD_SPECIAL;
        const struct token_ids plain = encode(t, &a, text, 0), ids = encode(t, &a, text, flags);
        expect_ids("plain", &plain, dict_get(c, "ids_no_special"));
        expect_ids("with BOS", &ids, dict_get(c, "ids"));
        EXPECT_STR(decode(t, &a, plain, false), member_str(c, "decoded"));
    }
    tokenizer_free(t);
    arena_free(&a);
}

/* GGUF's metadata as a converter would write it for this folder: scores by merge rank. */
static void make_gguf(const struct tokenizer *t, struct arena *a, const struct value *merges,
                      struct tokenizer_gguf *g)
{
    const size_t n = (size_t)tokenizer_info(t)->n_ids;
    struct str *tokens = arena_array(a, n, sizeof *tokens);
    float *scores = arena_array(a, n, sizeof *scores);
    int32_t *types = arena_array(a, n, sizeof *types);
    for (size_t i = 0; i < n; i++) {
        tokens[i] = tokenizer_spelling(t, (int32_t)i);
        types[i] = i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1;
        scores[i] = -1e9f;
    }
    for (size_t i = 0; i < merges->list.n; i++) {
        const struct value *m = merges->list.items[i];
        const struct str token = str_cat(a, m->list.items[0]->s, m->list.items[1]->s);
        const int32_t id = tokenizer_find(t, token);
        if (scores[id] == -1e9f)
            scores[id] = -(float)i;
    }
    *g = (struct tokenizer_gguf){.model = STR("llama"),
                                 .tokens = tokens,
                                 .n_tokens = n,
                                 .scores = scores,
                                 .token_types = types,
                                 .bos = 1,
                                 .eos = 2,
                                 .unk = 0,
                                 .pad = -1,
                                 .add_bos = -1,
                                 .add_eos = -1,
                                 .add_space_prefix = -1};
}

static void stories_gguf(void)
{
    const char *model = check_shared("models/stories260k-hf");
    const char *json = check_shared("models/stories260k-hf/tokenizer.json");
    const char *texts = check_shared("goldens/tokenizers/texts.json");
    if (!model || !json || !texts)
        return;
    struct arena a = {0};
    struct error err;
    struct tokenizer *t = NULL, *from_gguf = NULL;
    struct value *root = NULL, *all = NULL;
    struct tokenizer_gguf g;
    EXPECT_OK(tokenizer_from_folder(model, &t, &err), &err);
    EXPECT_OK(json_read(&a, json, &root, &err), &err);
    EXPECT_OK(json_read(&a, texts, &all, &err), &err);
    make_gguf(t, &a, dict_get(dict_get(root, "model"), "merges"), &g);
    EXPECT_OK(tokenizer_from_gguf(&g, "made.gguf", &from_gguf, &err), &err);
    EXPECT(tokenizer_info(from_gguf)->adds_bos);
    for (size_t i = 0; i < all->list.n; i++) {
        const struct str text = all->list.items[i]->s;
        const struct token_ids want = encode(t, &a, text, TOKENIZER_ADD_SPECIAL);
        const struct token_ids got = encode(from_gguf, &a, text, TOKENIZER_ADD_SPECIAL);
        EXPECT_INT(got.n, want.n);
        EXPECT(got.n == want.n && memcmp(got.p, want.p, got.n * sizeof *got.p) == 0);
        EXPECT_STR(decode(from_gguf, &a, got, false), decode(t, &a, want, false));
    }
    tokenizer_free(t);
    tokenizer_free(from_gguf);
    arena_free(&a);
}

CHECK_MAIN({"gpt2_bytelevel", gpt2_bytelevel}, {"llama3_ignore_merges", llama3_ignore_merges},
           {"qwen2_nfc", qwen2_nfc}, {"llama2_spm", llama2_spm}, {"gemma_spm", gemma_spm},
           {"stories_folder", stories_folder}, {"stories_gguf", stories_gguf})
