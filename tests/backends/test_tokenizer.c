/* Tokenizers against Hugging Face's: goldens, and small ones made here for what they do not show.
 */
#include "backends/local/tokenizer.h"

#include "backends/local/token_memo.h"
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

/* Texts that begin alike: the one before with its end cut off and another behind it. */
static void expect_memo(const struct tokenizer *t, const struct value *texts)
{
    struct arena a = {0};
    struct token_memo *memo = token_memo_new();
    struct error err;
    struct str text = STR("");
    uint64_t random = 1;
    for (size_t i = 0; i < 4 * texts->list.n; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t keep = text.n ? (size_t)(random >> 33) % text.n : 0, n = texts->list.n;
        struct str more = texts->list.items[(size_t)(random >> 20) % n]->s;
        text = str_cat(&a, str_slice(text, keep > 4000 ? 2000 : 0, keep),
                       str_cat(&a, i % 3 ? STR("!\n") : STR("\n\n"), more));
        unsigned flags = i % 2 ? TOKENIZER_ADD_SPECIAL : 0;
        struct token_ids want = {0}, got = {0};
        EXPECT_OK(tokenizer_encode(t, &a, text, flags, &want, &err), &err);
        EXPECT_OK(token_memo_encode(memo, t, &a, text, flags, &got, &err), &err);
        size_t same = 0;
        while (same < got.n && same < want.n && got.p[same] == want.p[same])
            same++;
        if (same < got.n || same < want.n)
            check_fail(__FILE__, __LINE__, "text %zu: %zu ids, not %zu; they part at %zu", i, got.n,
                       want.n, same);
    }
    token_memo_free(memo);
    arena_free(&a);
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
    expect_memo(t, all);
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
        const unsigned flags = str_starts(text, str_of(info->bos_text)) ? 0 : TOKENIZER_ADD_SPECIAL;
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

/* --- small ones, made here --- */

/* The members of a tokenizer.json; NULL is null. */
struct made {
    const char *added, *normalizer, *pre, *post, *decoder, *model;
};

#define LETTERS_MODEL                                                                              \
    "{\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"c\": 2, \"ab\": 3, \"abc\": 4, "        \
    "\"\\u0120\": 5, \"\\u0120a\": 6, \"\\u00f0\": 7, \"\\u0141\": 8, \"\\u013a\": 9, "            \
    "\"\\u0122\": 10, \"1\": 11, \"'\": 12, \"s\": 13, \"\\u00ef\": 14, \"\\u00bf\": 15, "         \
    "\"\\u00bd\": 16, \"\\u010a\": 17, \"aa\": 18, \"aaaa\": 19}, "                                \
    "\"merges\": [\"a b\", [\"ab\", \"c\"], \"\\u0120 a\", \"a a\", \"aa aa\"]}"
#define BYTE_LEVEL "{\"type\": \"ByteLevel\", \"add_prefix_space\": false}"
#define ADDED(id, text, more)                                                                      \
    "{\"id\": " #id ", \"content\": \"" text "\", \"normalized\": false" more "}"

static const struct made letters = {
    .added = "[" ADDED(20, "<s>", ", \"special\": true") ", " ADDED(
        21, "<x>",
        ", \"lstrip\": true, \"rstrip\": true") ", " ADDED(22, "bc", ", \"single_word\": true") "]",
    .pre = BYTE_LEVEL,
    .post =
        "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<s>\"}}, "
        "{\"Sequence\": {\"id\": \"A\"}}], \"special_tokens\": {\"<s>\": {\"ids\": [20]}}}",
    .decoder = BYTE_LEVEL,
    .model = LETTERS_MODEL,
};

static int make(const struct made *m, const char *config, struct tokenizer **ret, struct error *err)
{
    struct buf b = {0};
    const char *const members[] = {m->added, m->normalizer, m->pre, m->post, m->decoder, m->model};
    static const char *const names[] = {"added_tokens",   "normalizer", "pre_tokenizer",
                                        "post_processor", "decoder",    "model"};
    for (int i = 0; i < 6; i++)
        buf_printf(&b, "%s\"%s\": %s", i ? ", " : "{", names[i], members[i] ? members[i] : "null");
    buf_puts(&b, "}");
    const int r = tokenizer_from_json(buf_view(&b), str_of(config), "made.json", ret, err);
    buf_free(&b);
    return r;
}

static struct tokenizer *make_ok(const struct made *m, const char *config)
{
    struct tokenizer *t = NULL;
    struct error err;
    EXPECT_OK(make(m, config, &t, &err), &err);
    return t;
}

/* Ids as "1 2 3", which a failure can print. */
static void expect_encoding(const struct tokenizer *t, struct str text, unsigned flags,
                            const char *want)
{
    struct arena a = {0};
    struct buf got = {0};
    const struct token_ids ids = encode(t, &a, text, flags);
    for (size_t i = 0; i < ids.n; i++)
        buf_printf(&got, "%s%d", i ? " " : "", ids.p[i]);
    EXPECT_STR(buf_view(&got), str_of(want));
    buf_free(&got);
    arena_free(&a);
}

static void merges_and_flags(void)
{
    struct tokenizer *t = make_ok(&letters, "");
    expect_encoding(t, STR("abcab"), 0, "4 3");
    expect_encoding(t, STR("abc abc"), TOKENIZER_ADD_SPECIAL, "20 4 5 4");
    expect_encoding(t, STR(" a"), 0, "6");
    expect_encoding(t, STR("<s>a"), TOKENIZER_ADD_SPECIAL, "20 20 0");
    expect_encoding(t, STR("<s>a"), TOKENIZER_NO_SPECIAL, "13 0"); /* < and > have no token */
    expect_encoding(t, STR("a \n<x>  a"), 0, "0 21 0");            /* it takes its spaces along */
    expect_encoding(t, STR("bc abc bc"), 0, "22 5 4 5 22");
    expect_encoding(t, STR(""), 0, "");
    expect_encoding(t, STR("z"), 0, "");
    tokenizer_free(t);
}

static void invalid_utf8(void)
{
    struct tokenizer *t = make_ok(&letters, "");
    expect_encoding(t, STR("a\xff"), 0, "0 14 15 16");          /* U+FFFD */
    expect_encoding(t, STR("\xf0\x9f\x98z"), 0, "14 15 16");    /* one, as Python replaces */
    expect_encoding(t, STR("\xf0\x9f\x98\x80"), 0, "7 8 9 10"); /* U+1F600 */
    tokenizer_free(t);
}

static void pieces_and_streams(void)
{
    struct tokenizer *t = make_ok(&letters, "");
    struct detokenizer d = {0};
    struct error err;
    EXPECT_STR(tokenizer_piece(t, 6), STR(" a"));
    EXPECT_STR(tokenizer_piece(t, 8), STR("\x9f"));
    EXPECT_STR(tokenizer_spelling(t, 6), STR("\xc4\xa0"
                                             "a"));
    EXPECT_STR(tokenizer_piece(t, 99), STR(""));
    EXPECT_STR(tokenizer_piece(t, -1), STR(""));
    EXPECT_INT(tokenizer_find(t, STR("abc")), 4);
    EXPECT_INT(tokenizer_find(t, STR("<s>")), 20);
    EXPECT_INT(tokenizer_find(t, STR("nothing")), -1);
    EXPECT(tokenizer_is_special(t, 20) && !tokenizer_is_special(t, 21));

    static const struct {
        int32_t id;
        const char *text;
        size_t certain;
    } steps[] = {
        {0, "a", 1},
        {7, "a\xef\xbf\xbd", 1},
        {8, "a\xef\xbf\xbd", 1},
        {9, "a\xef\xbf\xbd", 1},
        {10, "a\xf0\x9f\x98\x80", 5},
        {20, "a\xf0\x9f\x98\x80", 5},
        {99, "a\xf0\x9f\x98\x80", 5},
        {7, "a\xf0\x9f\x98\x80\xef\xbf\xbd", 5},
        {1,
         "a\xf0\x9f\x98\x80\xef\xbf\xbd"
         "b",
         9},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        EXPECT_OK(detokenizer_push(&d, t, steps[i].id, true, &err), &err);
        EXPECT_STR(buf_view(&d.text), str_of(steps[i].text));
        EXPECT_INT(d.certain, steps[i].certain);
    }
    detokenizer_free(&d);
    tokenizer_free(t);
}

static void config_names_tokens(void)
{
    struct tokenizer *t = make_ok(
        &letters, "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"abc\", \"pad_token\": "
                  "\"[absent]\", \"add_eos_token\": true, \"add_bos_token\": false, "
                  "\"chat_template\": [{\"name\": \"rag\", \"template\": \"no\"}, {\"name\": "
                  "\"default\", \"template\": \"{{ yes }}\"}]}");
    const struct tokenizer_info *info = tokenizer_info(t);
    EXPECT_INT(info->bos, 20);
    EXPECT_INT(info->eos, 4);
    EXPECT_INT(info->pad, -1);
    EXPECT(!info->adds_bos && info->adds_eos);
    EXPECT_Z(info->eos_text, "abc");
    EXPECT_Z(info->chat_template, "{{ yes }}");
    EXPECT(tokenizer_is_special(t, 4));
    expect_encoding(t, STR("aabc"), TOKENIZER_ADD_SPECIAL, "0 4 4"); /* "abc" is cut out first */
    tokenizer_free(t);

    t = make_ok(&letters, "");
    EXPECT_INT(tokenizer_info(t)->bos, 20); /* the template's */
    EXPECT_Z(tokenizer_info(t)->eos_text, "");
    tokenizer_free(t);
}

/* One word of a million characters: seconds if merging were quadratic in it. */
static void long_words(void)
{
    struct tokenizer *t = make_ok(&letters, "");
    struct arena a = {0};
    const size_t n = 1000000;
    char *text = arena_alloc(&a, n);
    memset(text, 'a', n);
    const struct token_ids ids = encode(t, &a, (struct str){text, n}, 0);
    EXPECT_INT(ids.n, n / 4);
    EXPECT(decode(t, &a, ids, false).n == n);
    memset(text, ' ', n);
    EXPECT_INT(encode(t, &a, (struct str){text, n}, 0).n, n);
    tokenizer_free(t);
    arena_free(&a);
}

/* The expressions that are written by hand against PCRE2, which "(?:...)" keeps in use. */
static void patterns_by_hand(void)
{
    static const char *const patterns[] = {
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| "
        "?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|"
        "\\\\s+",
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "
        "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+",
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "
        "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+",
    };
    static const char *const parts[] = {"a",
                                        "Bc",
                                        " ",
                                        "  ",
                                        "\n",
                                        "\r\n",
                                        "\t",
                                        "1",
                                        "23",
                                        "456",
                                        "'",
                                        "'s",
                                        "'LL",
                                        "'re",
                                        "'\xc5\xbf",
                                        "-",
                                        "...",
                                        "_",
                                        "\xc2\xa0",
                                        "\xe3\x80\x80",
                                        "\xe4\xbd\xa0",
                                        "\xcc\x81",
                                        "\xc2\xbd",
                                        "\xf0\x9f\x98\x80",
                                        "\x1c",
                                        "\xc2\x85",
                                        "/"};
    /* Every byte is a token and so is every pair with a space: cuts show in the ids. */
    for (size_t k = 0; k < 3; k++) {
        struct tokenizer *both[2];
        for (int wrapped = 0; wrapped < 2; wrapped++) {
            struct buf pre = {0};
            buf_printf(&pre,
                       "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", "
                       "\"pattern\": {\"Regex\": \"%s%s%s\"}, \"behavior\": \"Isolated\"}, "
                       "{\"type\": \"Metaspace\", \"replacement\": \"|\", \"split\": false}]}",
                       wrapped ? "(?:" : "", patterns[k], wrapped ? ")" : "");
            /* The Metaspace puts | in front of each word that begins with no space. */
            const struct made m = {
                .pre = pre.p,
                .model =
                    "{\"type\": \"BPE\", \"unk_token\": \"u\", \"vocab\": {\"|\": 0, \"u\": 1, "
                    "\"a\": 2, \"'\": 3, \"1\": 4, \"\\n\": 5}, \"merges\": []}"};
            both[wrapped] = make_ok(&m, "");
            buf_free(&pre);
        }
        uint32_t random = 1;
        struct arena a = {0};
        for (int i = 0; i < 3000; i++) {
            struct buf text = {0};
            for (int n = 0; n < 12; n++) {
                random = random * 1664525 + 1013904223;
                buf_puts(&text, parts[(random >> 16) % (sizeof parts / sizeof *parts)]);
            }
            const struct token_ids x = encode(both[0], &a, buf_view(&text), 0),
                                   y = encode(both[1], &a, buf_view(&text), 0);
            if (x.n != y.n || memcmp(x.p, y.p, x.n * sizeof *x.p) != 0)
                check_fail(__FILE__, __LINE__, "pattern %zu cuts \"%s\" otherwise", k, text.p);
            buf_free(&text);
            arena_free(&a);
        }
        tokenizer_free(both[0]);
        tokenizer_free(both[1]);
    }
}

/* --- what is refused --- */

#define BPE(vocab, merges, more)                                                                   \
    "{\"type\": \"BPE\", \"vocab\": {" vocab "}, \"merges\": [" merges "]" more "}"

static void refusals(void)
{
    static const struct {
        struct made made;
        int code;
        const char *words;
    } cases[] = {
        {{.model = NULL}, E_INPUT, "no \"model\""},
        {{.model = "{\"type\": \"WordPiece\"}"}, E_UNSUPPORTED, "WordPiece"},
        {{.model = "{\"type\": \"Unigram\"}"}, E_UNSUPPORTED, "Unigram"},
        {{.model = BPE("\"a\": 0", "\"a\"", "")}, E_INPUT, "merge 0"},
        {{.model = BPE("\"a\": 0", "\"a x\"", "")}, E_INPUT, "not in the vocabulary"},
        {{.model = BPE("\"a\": 0", "\"a a\"", "")}, E_INPUT, "not in the vocabulary"},
        {{.model = BPE("\"a\": 0", "[\"a\"]", "")}, E_INPUT, "pair"},
        {{.model = BPE("\"a\": 0, \"b\": 0", "", "")}, E_INPUT, "have one id, 0"},
        {{.model = BPE("\"a\": -1", "", "")}, E_INPUT, "\"a\" must be a whole number"},
        {{.model = BPE("\"a\": 4000000000", "", "")}, E_INPUT, "must be a whole number"},
        {{.model = BPE("\"a\": 1.5", "", "")}, E_INPUT, "must be a whole number"},
        {{.model = BPE("", "", "")}, E_INPUT, "empty"},
        {{.model = BPE("\"a\": 0", "", ", \"unk_token\": \"u\"")}, E_INPUT, "unk_token"},
        {{.model = BPE("\"a\": 0", "", ", \"dropout\": 0.1")}, E_UNSUPPORTED, "dropout"},
        {{.model = BPE("\"a\": 0", "", ", \"end_of_word_suffix\": \"</w>\"")},
         E_UNSUPPORTED,
         "end_of_word_suffix"},
        {{.model = LETTERS_MODEL, .normalizer = "{\"type\": \"Nmt\"}"}, E_UNSUPPORTED, "\"Nmt\""},
        {{.model = LETTERS_MODEL, .pre = "{\"type\": \"UnicodeScripts\"}"},
         E_UNSUPPORTED,
         "UnicodeScripts"},
        {{.model = LETTERS_MODEL, .pre = "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}}"},
         E_INPUT,
         "made.json"},
        {{.model = LETTERS_MODEL, .pre = "{\"type\": \"Split\"}"}, E_INPUT, "pattern"},
        {{.model = LETTERS_MODEL, .decoder = "{\"type\": \"CTC\"}"}, E_UNSUPPORTED, "CTC"},
        {{.model = LETTERS_MODEL, .decoder = "{\"type\": \"Sequence\"}"}, E_INPUT, "decoders"},
        {{.model = LETTERS_MODEL,
          .post = "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
                  "\"x\"}}]}"},
         E_INPUT,
         "\"x\""},
        {{.model = LETTERS_MODEL, .added = "[" ADDED(0, "<z>", "") "]"}, E_INPUT, "have one id, 0"},
        {{.model = LETTERS_MODEL, .added = "[" ADDED(99999999, "<z>", "") "]"}, E_INPUT, "\"<z>\""},
        {{.model = LETTERS_MODEL, .added = "[{\"id\": 30}]"}, E_INPUT, "\"content\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *t = NULL;
        struct error err = {0};
        EXPECT_ERROR(make(&cases[i].made, "", &t, &err), &err, cases[i].code, cases[i].words);
        EXPECT(t == NULL);
    }
    struct tokenizer *t = NULL;
    struct error err = {0};
    EXPECT_ERROR(tokenizer_from_folder("/nowhere", &t, &err), &err, E_IO, "tokenizer.json");
    EXPECT_ERROR(tokenizer_from_json(STR("{\n\"a\""), STR(""), "x.json", &t, &err), &err, E_INPUT,
                 "x.json:2");
    EXPECT_ERROR(tokenizer_from_json(STR("[]"), STR(""), "x.json", &t, &err), &err, E_INPUT,
                 "model");
}

static void gguf_refusals(void)
{
    static const struct str tokens[] = {{"a", 1}, {"b", 1}, {"ab", 2}};
    static const struct str good[] = {{"a b", 3}}, alone[] = {{"ab", 2}}, absent[] = {{"a z", 3}};
    const struct tokenizer_gguf base = {.model = STR("gpt2"),
                                        .pre = STR("gpt-2"),
                                        .tokens = tokens,
                                        .n_tokens = 3,
                                        .merges = good,
                                        .n_merges = 1,
                                        .bos = -1,
                                        .eos = -1,
                                        .unk = -1,
                                        .pad = -1,
                                        .add_bos = -1,
                                        .add_eos = -1,
                                        .add_space_prefix = -1};
    struct tokenizer_gguf g = base;
    struct tokenizer *t = NULL;
    struct error err = {0};
    EXPECT_OK(tokenizer_from_gguf(&g, "x.gguf", &t, &err), &err);
    expect_encoding(t, STR("aba"), TOKENIZER_ADD_SPECIAL, "2 0");
    tokenizer_free(t);

    t = NULL;
    g.model = STR("bert");
    EXPECT_ERROR(tokenizer_from_gguf(&g, "x.gguf", &t, &err), &err, E_UNSUPPORTED, "\"bert\"");
    g = base;
    g.pre = STR("brand-new");
    EXPECT_ERROR(tokenizer_from_gguf(&g, "x.gguf", &t, &err), &err, E_UNSUPPORTED, "\"brand-new\"");
    g = base;
    g.n_tokens = 0;
    EXPECT_ERROR(tokenizer_from_gguf(&g, "x.gguf", &t, &err), &err, E_INPUT, "0 tokens");
    g = base;
    g.eos = 3;
    EXPECT_ERROR(tokenizer_from_gguf(&g, "x.gguf", &t, &err), &err, E_INPUT, "eos_token_id is 3");
    g = base;
    g.merges = alone;
    EXPECT_ERROR(tokenizer_from_gguf(&g, "x.gguf", &t, &err), &err, E_INPUT, "space between");
    g.merges = absent;
    EXPECT_ERROR(tokenizer_from_gguf(&g, "x.gguf", &t, &err), &err, E_INPUT, "\"a z\"");
    g = base;
    g.model = STR("llama");
    EXPECT_ERROR(tokenizer_from_gguf(&g, "x.gguf", &t, &err), &err, E_INPUT, "scores");
    EXPECT(t == NULL);
}

/* Damaged files are refused or read as something else; nothing more is asked, but that under the
 * sanitizers nothing is read or written that is not ours. */
static void damaged(void)
{
    static const char whole[] = "{\"added_tokens\": [" ADDED(
        20, "<s>", ", \"special\": true") "], \"normalizer\": "
                                          "{\"type\": \"Replace\", \"pattern\": {\"String\": \" "
                                          "\"}, \"content\": \"_\"}, "
                                          "\"pre_tokenizer\": {\"type\": \"Sequence\", "
                                          "\"pretokenizers\": [{\"type\": \"Split\", "
                                          "\"pattern\": {\"Regex\": \"a+|b\"}, \"behavior\": "
                                          "\"MergedWithNext\"}, " BYTE_LEVEL "]}, "
                                          "\"post_processor\": {\"type\": \"TemplateProcessing\", "
                                          "\"single\": [{\"SpecialToken\": "
                                          "{\"id\": \"<s>\"}}, {\"Sequence\": {\"id\": \"A\"}}], "
                                          "\"special_tokens\": {\"<s>\": "
                                          "{\"ids\": [20]}}}, \"decoder\": {\"type\": "
                                          "\"Sequence\", \"decoders\": [{\"type\": "
                                          "\"Strip\", \"content\": \"a\", \"start\": 1, \"stop\": "
                                          "1}, " BYTE_LEVEL "]}, \"model\": " LETTERS_MODEL "}";
    static const char bytes[] = "\"{}[],:0129-ax\\ \xff";
    uint32_t random = 7;
    int n_read = 0;
    for (int round = 0; round < 4000; round++) {
        struct arena a = {0};
        struct error err = {0};
        char *text = arena_copy(&a, whole, sizeof whole - 1);
        for (int k = 0; k < 1 + round % 3; k++) {
            random = random * 1664525 + 1013904223;
            text[(random >> 8) % (sizeof whole - 1)] = bytes[(random >> 4) % (sizeof bytes - 1)];
        }
        struct tokenizer *t = NULL;
        if (tokenizer_from_json((struct str){text, sizeof whole - 1}, STR(""), "damaged.json", &t,
                                &err) == 0) {
            n_read++;
            struct token_ids ids = {0};
            struct str back;
            if (tokenizer_encode(t, &a, STR("ab <s>aab\xff c"), TOKENIZER_ADD_SPECIAL, &ids,
                                 &err) == 0)
                tokenizer_decode(t, &a, ids.p, ids.n, false, &back, &err);
            tokenizer_free(t);
        } else {
            EXPECT(err.code != 0 && err.msg[0]);
        }
        arena_free(&a);
    }
    EXPECT(n_read > 0);
}

CHECK_MAIN({"gpt2_bytelevel", gpt2_bytelevel}, {"llama3_ignore_merges", llama3_ignore_merges},
           {"qwen2_nfc", qwen2_nfc}, {"llama2_spm", llama2_spm}, {"gemma_spm", gemma_spm},
           {"stories_folder", stories_folder}, {"stories_gguf", stories_gguf},
           {"merges_and_flags", merges_and_flags}, {"invalid_utf8", invalid_utf8},
           {"pieces_and_streams", pieces_and_streams}, {"config_names_tokens", config_names_tokens},
           {"long_words", long_words}, {"patterns_by_hand", patterns_by_hand},
           {"refusals", refusals}, {"gguf_refusals", gguf_refusals}, {"damaged", damaged})
