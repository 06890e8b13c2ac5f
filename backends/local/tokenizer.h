/* tokenizer.h: text to token ids and back, exactly as Hugging Face's `tokenizers` does it.
 *
 * A tokenizer is read from a model folder (tokenizer.json, tokenizer_config.json) or from GGUF's
 * metadata. Both give the same pipeline, of which every stage may be empty:
 *
 *     text -> added tokens are cut out -> normalizer -> pretokenizer -> BPE -> ids -> template
 *     ids  -> spellings -> decoder -> text
 *
 * BPE is built in two kinds: byte-level (GPT-2, Llama 3, Qwen, SmolLM), where every byte of the
 * text has a printable stand-in and words are cut by a regular expression, and SentencePiece-style
 * (Llama 2, Gemma, Mistral), where a space is U+2581 and a character that the vocabulary lacks
 * falls back to its bytes <0xNN>. What a file asks for and this cannot do (WordPiece, Unigram, an
 * unknown normalizer ...) is E_UNSUPPORTED with the component's name, never a guess.
 *
 * A loaded tokenizer never changes: any number of threads may encode and decode with one. It owns
 * copies of all that it was built from. */
#ifndef ASSAY_BACKENDS_LOCAL_TOKENIZER_H
#define ASSAY_BACKENDS_LOCAL_TOKENIZER_H

#include "base/error.h"
#include "base/str.h"

struct tokenizer;

/* Reads dir/tokenizer.json and, where they are there, tokenizer_config.json (without it,
 * special_tokens_map.json) and chat_template.jinja. Which tokens end a text, config.json and
 * generation_config.json may know better: that is for the model's reader.
 * E_IO: no tokenizer.json.  E_INPUT: damaged (err has file and line where JSON is).
 * E_UNSUPPORTED: a kind or component that is not built in. */
int tokenizer_from_folder(const char *dir, struct tokenizer **ret, struct error *err);

/* The same from the texts of tokenizer.json and tokenizer_config.json (empty: none). `where` names
 * the former in errors. */
int tokenizer_from_json(struct str json, struct str config, const char *where,
                        struct tokenizer **ret, struct error *err);

/* GGUF's metadata, key by key (tokenizer.ggml.NAME). All pointers may point into the mapped file,
 * unaligned arrays included; nothing of it is needed after the call. Zero it, then set the ids to
 * -1 and the switches to -1 where the file has no such key. */
struct tokenizer_gguf {
    struct str model;         /* "gpt2": byte-level BPE; "llama": SentencePiece BPE by score */
    struct str pre;           /* which regular expression cuts words; empty: absent */
    const struct str *tokens; /* [n_tokens] */
    size_t n_tokens;
    const void *scores; /* float [n_tokens], or NULL; "llama" needs it */
    const void *
        token_types; /* int32 [n_tokens], or NULL: 1 normal, 2 unknown, 3 control, 4 user, 6 byte */
    const struct str *merges; /* [n_merges] "left right", best first; "gpt2" needs it */
    size_t n_merges;
    int64_t bos, eos, unk, pad; /* ids (keys NAME_token_id; unk is "unknown"); -1: absent */
    int add_bos, add_eos;       /* add_bos_token, add_eos_token: 0, 1, or -1: absent */
    int add_space_prefix;       /* 0, 1, or -1: absent */
    struct str chat_template;   /* tokenizer.chat_template; empty: absent */
};

/* `where` names the file in errors. E_UNSUPPORTED: a model or pre that is not built in (err names
 * it and the known ones). */
int tokenizer_from_gguf(const struct tokenizer_gguf *g, const char *where, struct tokenizer **ret,
                        struct error *err);

void tokenizer_free(struct tokenizer *t);

enum tokenizer_flags {
    TOKENIZER_ADD_SPECIAL = 1, /* what the template adds: BOS in front, EOS behind */
    TOKENIZER_NO_SPECIAL = 2,  /* "<s>" in the text is four characters, not BOS: special tokens are
                                * not looked for. Default, as in Hugging Face: they are found */
};

struct token_ids {
    int32_t *p;
    size_t n;
};

/* Encodes `text` into ids in `a`. Bytes that are no UTF-8 count as U+FFFD, as after Python's
 * decode(errors="replace"). Time is O(n log n) whatever the text. Fails only when a regular
 * expression of the file runs into its step limit (E_INPUT). */
int tokenizer_encode(const struct tokenizer *t, struct arena *a, struct str text, unsigned flags,
                     struct token_ids *ret, struct error *err);

/* The ids as text in `a`, always valid UTF-8, to the letter what tokenizer.decode(ids,
 * skip_special_tokens=...) gives. Ids outside the vocabulary stand for nothing. */
int tokenizer_decode(const struct tokenizer *t, struct arena *a, const int32_t *ids, size_t n,
                     bool skip_special, struct str *ret, struct error *err);

/* Decoding as tokens arrive. After each push `text` is what tokenizer_decode gives for all tokens
 * so far, and its first `certain` bytes stay as they are whatever follows: behind them may stand
 * U+FFFD for a character of which bytes are missing yet. A push decodes only the tokens that are
 * not certain. Zero it to begin; detokenizer_free when done. */
struct detokenizer {
    struct buf text;
    size_t certain;
    /* Private: */
    struct {
        int32_t *items;
        size_t n, cap;
    } waiting;    /* tokens behind `certain` */
    bool started; /* there are tokens before them */
};
int detokenizer_push(struct detokenizer *d, const struct tokenizer *t, int32_t id,
                     bool skip_special, struct error *err);
void detokenizer_free(struct detokenizer *d);

/* What a model's owner asks. Strings live as long as the tokenizer. */
struct tokenizer_info {
    int n_ids;                  /* 1 + the largest id; the model's rows may be more (padding) */
    int32_t bos, eos, unk, pad; /* -1: none */
    const char *bos_text;       /* "" when there is none */
    const char *eos_text;
    bool adds_bos;             /* TOKENIZER_ADD_SPECIAL puts BOS in front */
    bool adds_eos;             /* ... and EOS behind */
    const char *chat_template; /* Jinja source, or NULL */
};
const struct tokenizer_info *tokenizer_info(const struct tokenizer *t);

/* The token spelled exactly so in the file ("<|im_end|>", "Ġthe", "▁the", "<0x0A>"); -1: none. */
int32_t tokenizer_find(const struct tokenizer *t, struct str spelling);

/* The spelling in the file (of an added token that is `normalized`: normalized); empty for an id
 * that has none. */
struct str tokenizer_spelling(const struct tokenizer *t, int32_t id);

/* The bytes that a token stands for in the middle of a text (they may be no UTF-8 alone): "Ġthe"
 * gives " the", "<0x0A>" a newline. */
struct str tokenizer_piece(const struct tokenizer *t, int32_t id);

bool tokenizer_is_special(const struct tokenizer *t, int32_t id); /* skipped by skip_special */

#endif
