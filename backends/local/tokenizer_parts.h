/* tokenizer_parts.h: what a tokenizer is made of. Private to tokenizer*.c and pretokenize.c.
 *
 * A reader (tokenizer_json.c, tokenizer_gguf.c) takes a tokenizer_new(), fills vocabulary, merges,
 * added tokens and the lists of steps, and ends with tokenizer_seal(). All memory that outlives a
 * call is in the tokenizer's arena; compiled regular expressions are freed one by one. */
#ifndef ASSAY_BACKENDS_LOCAL_TOKENIZER_PARTS_H
#define ASSAY_BACKENDS_LOCAL_TOKENIZER_PARTS_H

#include "backends/local/tokenizer.h"
#include "base/regex.h"

#define TOKENIZER_MAX_IDS (1 << 22) /* more is a damaged or hostile file */

/* --- vocabulary and merges: tokenizer_bpe.c --- */

/* Spellings by id, and ids by spelling (an open-addressing table). */
struct vocab {
    struct str *spelling; /* [n]; p NULL: no token has this id */
    int n;
    struct vocab_slot {
        uint32_t tag; /* upper half of the spelling's hash */
        int32_t id;   /* -1: free */
    } * slots;
    size_t n_slots; /* a power of two */
    size_t longest; /* bytes of the longest spelling */
};

/* Room for ids 0 .. n-1. */
void vocab_init(struct vocab *v, struct arena *a, int n);
/* Keeps the view. A spelling that is there already gets the new id; `id` must be free. */
void vocab_put(struct vocab *v, int32_t id, struct str spelling);
int32_t vocab_find(const struct vocab *v, struct str spelling); /* -1: none */
/* A spelling for people and decoders only: no text becomes this id by merging. */
void vocab_name(struct vocab *v, int32_t id, struct str spelling);

struct bpe {
    struct merge {
        uint64_t pair; /* left << 32 | right; UINT64_MAX: free */
        uint32_t rank; /* lower is done first */
        int32_t into;
    } * merges;
    size_t n_slots;

    int32_t unit_ids[256]; /* the id of a byte (byte-level) or of an ASCII character; -1: none */
    int32_t byte_ids[256]; /* of <0xNN>, for the fall back; -1: none */
    int32_t unk;           /* id, or -1: what has no token is dropped */
    bool byte_level;       /* words are bytes, spelled by their stand-ins */
    bool byte_fallback, fuse_unk, ignore_merges;
    bool cut_before_meta; /* no token has U+2581 behind another character, nor is any character
                           * unknown: long words may be cut there */
};

void bpe_init(struct bpe *b, struct arena *a, size_t n_merges);
/* A pair that is there already takes the new rank. */
void bpe_put(struct bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t into);
/* The same by spellings. False: left, right or both together are not in the vocabulary. */
bool bpe_merge(struct bpe *b, const struct vocab *v, struct str left, struct str right,
               uint32_t rank, struct buf *scratch);
/* Once vocabulary and switches are set: unit_ids, byte_ids, cut_before_meta. */
void bpe_seal(struct bpe *b, const struct vocab *v);

struct id_list {
    int32_t *items;
    size_t n, cap;
};

/* Memory that encoding reuses from word to word. A zeroed one is empty. */
struct bpe_scratch {
    struct symbol *symbols;
    struct candidate *heap;
    size_t symbols_cap, heap_cap, heap_n;
    struct id_list units;
    struct buf spelling;
};
void bpe_scratch_free(struct bpe_scratch *s);

void bpe_encode(const struct bpe *b, const struct vocab *v, struct str word, struct bpe_scratch *s,
                struct id_list *ret);

/* GPT-2's stand-in of a byte: a printable code point below 0x144; and back (-1: no stand-in). */
int32_t byte_stand_in(unsigned char byte);
int byte_of_stand_in(int32_t cp);
void buf_stand_ins(struct buf *b, struct str bytes);

/* The bytes that a spelling of stand-ins means; a spelling with any other character means itself.
 */
struct str bytes_of_spelling(struct arena *a, struct str spelling);

/* --- normalizers: tokenizer_normalize.c --- */

/* Literal or regular expression, and what stands in its place. */
struct replacement {
    struct regex *regex; /* NULL: `literal` */
    struct str literal, content;
};
int replace_all(const struct replacement *r, struct arena *a, struct str text, struct str *ret,
                struct error *err);

struct norm_step {
    enum { NORM_UNICODE, NORM_PREPEND, NORM_REPLACE, NORM_LOWERCASE, NORM_STRIP } kind;
    const char *form; /* UNICODE: "NFC", "NFD", "NFKC", "NFKD" */
    struct str prefix;
    struct replacement replace;
    int sides; /* STRIP: STRIP_LEFT | STRIP_RIGHT */
};

struct norm_list {
    struct norm_step *items;
    size_t n, cap;
};
int normalize(const struct norm_list *steps, struct arena *a, struct str text, struct str *ret,
              struct error *err);

/* --- pretokenizers: pretokenize.c --- */

/* What happens to the pieces that a pattern finds. */
enum split_behavior {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_PREVIOUS,
    SPLIT_MERGED_NEXT,
    SPLIT_CONTIGUOUS
};

/* The end of the word that begins at `from`; a hand-written regular expression. */
typedef size_t word_scanner(struct str text, size_t from);
typedef bool char_class(int32_t cp);

struct pre_step {
    enum {
        PRE_SPLIT,        /* pieces by a pattern: exactly one of the next four */
        PRE_PREFIX_SPACE, /* ByteLevel's add_prefix_space */
        PRE_METASPACE,    /* space becomes U+2581, one is put in front as `prepend` says */
        PRE_STAND_INS     /* bytes become their stand-ins */
    } kind;
    word_scanner *scan; /* covers the whole text */
    char_class *matches_char;
    struct regex *regex;
    struct str literal;
    enum split_behavior behavior;
    bool invert;
    enum prepend_scheme { PREPEND_ALWAYS, PREPEND_FIRST, PREPEND_NEVER } prepend; /* METASPACE */
    struct str replacement;                                                       /* METASPACE */
};

struct pre_list {
    struct pre_step *items;
    size_t n, cap;
};

struct span {
    size_t from, to;
};

struct words {
    struct str text; /* as the steps have rewritten it */
    struct span *items;
    size_t n, cap;
};

/* `at_start`: the piece is the beginning of the whole text. `w` keeps its memory from call to call;
 * a rewritten text lies in `a`. */
int pretokenize(const struct pre_list *steps, struct arena *a, struct str text, bool at_start,
                struct words *w, struct words *spare, struct error *err);

/* The expressions that most models use. */
#define PATTERN_GPT2                                                                               \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define PATTERN_CL100K(numbers)                                                                    \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" numbers                          \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define PATTERN_LLAMA3 PATTERN_CL100K("\\p{N}{1,3}")
#define PATTERN_QWEN2  PATTERN_CL100K("\\p{N}")

/* True where words end behind a lone newline between visible ASCII characters and what is on one
 * side of it does not matter to the other: one of those above does the work, and the rest only cuts
 * finer. */
bool pre_cuts_behind_lines(const struct pre_list *steps);

/* Compiles a regular expression of a tokenizer: \s is White_Space there, while Python's str.isspace
 * (which base/regex.h means by it) has U+001C to U+001F too. */
int compile_pattern(struct str pattern, const char *where, struct regex **ret, struct error *err);

/* Makes a SPLIT step, of which behavior and invert are set, split by a regular expression: by hand
 * where it is one of those above and covers the text, on PCRE2 otherwise. */
int pre_regex(struct str pattern, const char *where, struct pre_step *step, struct error *err);
size_t scan_gpt2(struct str text, size_t from);

/* Rust's char classes, which the steps are defined by. */
bool char_is_white(int32_t cp);                            /* is_whitespace: White_Space */
bool char_is_numeric(int32_t cp);                          /* is_numeric: Nd, Nl, No */
bool char_is_punctuation(int32_t cp);                      /* P*, or ASCII's */
bool char_is_word(int32_t cp);                             /* \w */
size_t scan_word_or_symbols(struct str text, size_t from); /* \w+|[^\w\s]+, or \s+ */

/* --- decoders: tokenizer_decode.c --- */

struct dec_step {
    enum {
        DEC_BYTE_LEVEL,
        DEC_REPLACE,
        DEC_BYTE_FALLBACK,
        DEC_FUSE,
        DEC_STRIP,
        DEC_METASPACE
    } kind;
    struct replacement replace;
    int32_t strip; /* STRIP: this character, up to so many times */
    int64_t strip_start, strip_stop;
    struct str meta; /* METASPACE: this becomes a space */
    bool drop_first; /* METASPACE: not in the first token, where it vanishes */
};

struct dec_list {
    struct dec_step *items;
    size_t n, cap;
};

/* `started`: the ids continue a text, so that nothing is stripped from its beginning. */
int decode_ids(const struct tokenizer *t, struct arena *a, const int32_t *ids, size_t n,
               bool skip_special, bool started, struct str *ret, struct error *err);
struct str decode_piece(const struct dec_list *steps, struct arena *a, struct str spelling);
int byte_of_token(struct str spelling); /* 0x0A for "<0x0A>"; -1: another token */

/* --- added tokens: tokenizer_added.c --- */

struct added_token {
    int32_t id;
    struct str content;
    bool special, normalized, single_word, lstrip, rstrip;
};

struct added_list {
    struct added_token *items;
    size_t n, cap;
};

/* A trie over the contents of some added tokens. */
struct added_trie {
    struct trie_node *items; /* the nodes; 0 is the root */
    size_t n, cap;
    uint64_t first[4]; /* bit of each byte that begins a token */
};

/* Two tries: those found in the raw text, and those found in the normalized text. */
int added_build(const struct added_list *tokens, const struct norm_list *steps,
                struct added_trie *raw, struct added_trie *normalized, struct error *err);

void added_free(struct added_trie *t);

struct added_match {
    const struct added_token *token; /* NULL: none up to the end */
    size_t start, end;               /* with the spaces that it takes along */
};
/* The first token in text at or after `*at` that may be taken; `floor`: where the last one ended.
 * Moves *at behind it. */
struct added_match added_next(const struct added_trie *trie, const struct added_list *tokens,
                              struct str text, size_t *at, size_t floor, bool no_special);

/* --- the whole --- */

struct tokenizer {
    struct arena arena;
    struct tokenizer_info info;
    struct vocab vocab;
    struct str *pieces; /* [vocab.n] */
    bool *special;      /* [vocab.n] skipped when special tokens are */
    struct bpe bpe;
    struct added_list added;
    uint32_t *added_at; /* [vocab.n] 1 + the token's place in `added`; 0: it is none */
    struct added_trie raw_trie, normalized_trie;
    struct norm_list norm;
    struct pre_list pre;
    struct dec_list dec;
    bool has_decoder; /* without one, spellings are joined by spaces */
    struct id_list prefix, suffix;
    bool cuts_behind_lines; /* token_memo.h: the text may be cut there */
};

struct tokenizer *tokenizer_new(void);

/* Adds a token to the list of added ones, or makes it special there. */
void tokenizer_add(struct tokenizer *t, const struct added_token *token);

/* BOS and EOS by info's ids and these switches become the template. */
void tokenizer_set_template(struct tokenizer *t, bool add_bos, bool add_eos);

/* The last step: tries, pieces, lookup tables, info. */
int tokenizer_seal(struct tokenizer *t, struct error *err);

#endif
