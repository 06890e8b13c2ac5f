/* pretokenize.c: text into words, the pieces that merges never cross.
 *
 * The regular expressions of GPT-2, Llama 3 and Qwen 2 cover nearly all models, so they are
 * written by hand here: scan_*() gives the end of the word at a position, one alternative of the
 * expression a paragraph, in its order. Any other expression runs on PCRE2. The tests hold the two
 * against each other. */
#include "backends/local/tokenizer_parts.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/utf8.h"

/* --- characters --- */

/* The classes that the expressions know: letters, numbers, white space, the rest. */
enum kind { OTHER, LETTER, NUMBER, SPACE };

bool char_is_white(int32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == 0x20 || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
           cp == 0x205f || cp == 0x3000;
}

#define BIT(name) (1u << UTF8PROC_CATEGORY_##name)
#define LETTERS   (BIT(LU) | BIT(LL) | BIT(LT) | BIT(LM) | BIT(LO))
#define NUMBERS   (BIT(ND) | BIT(NL) | BIT(NO))
#define MARKS     (BIT(MN) | BIT(MC) | BIT(ME))

/* Letters and numbers that Unicode 15.1 and 16.0 added: the reference knows them, Debian 12's
 * utf8proc (15.0) does not yet. Asked only where it says "unassigned". */
static const struct {
    int32_t first, last;
    unsigned bit;
} newer[] = {
    {0x1c89, 0x1c8a, BIT(LU)},   {0xa7cb, 0xa7cd, BIT(LU)},   {0xa7da, 0xa7dc, BIT(LU)},
    {0x105c0, 0x105f3, BIT(LO)}, {0x10d40, 0x10d49, BIT(ND)}, {0x10d4a, 0x10d65, BIT(LO)},
    {0x10d6f, 0x10d85, BIT(LO)}, {0x10ec2, 0x10ec4, BIT(LO)}, {0x11380, 0x11389, BIT(LO)},
    {0x1138b, 0x1138b, BIT(LO)}, {0x1138e, 0x1138e, BIT(LO)}, {0x11390, 0x113b5, BIT(LO)},
    {0x113b7, 0x113b7, BIT(LO)}, {0x113d1, 0x113d1, BIT(LO)}, {0x113d3, 0x113d3, BIT(LO)},
    {0x116d0, 0x116e3, BIT(ND)}, {0x11bc0, 0x11be0, BIT(LO)}, {0x11bf0, 0x11bf9, BIT(ND)},
    {0x13460, 0x143fa, BIT(LO)}, {0x16100, 0x1611d, BIT(LO)}, {0x16130, 0x16139, BIT(ND)},
    {0x16d40, 0x16d6c, BIT(LO)}, {0x16d70, 0x16d79, BIT(ND)}, {0x18cff, 0x18cff, BIT(LO)},
    {0x1ccf0, 0x1ccf9, BIT(ND)}, {0x1e5d0, 0x1e5ed, BIT(LO)}, {0x1e5f0, 0x1e5f0, BIT(LO)},
    {0x1e5f1, 0x1e5fa, BIT(ND)}, {0x2ebf0, 0x2ee5d, BIT(LO)},
};

/* The code point's general category as one bit; -1 has none. */
static unsigned category_bit(int32_t cp)
{
    const utf8proc_category_t category = cp < 0 ? UTF8PROC_CATEGORY_CN : utf8proc_category(cp);
    for (size_t i = 0; category == UTF8PROC_CATEGORY_CN && i < sizeof newer / sizeof *newer; i++)
        if (cp >= newer[i].first && cp <= newer[i].last)
            return newer[i].bit;
    return 1u << category;
}

bool char_is_numeric(int32_t cp)
{
    return category_bit(cp) & NUMBERS;
}

bool char_is_punctuation(int32_t cp)
{
    const unsigned marks = BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO);
    const bool ascii_symbol = cp > 0x20 && cp < 0x7f && strchr("$+<=>^`|~", cp);
    return (category_bit(cp) & marks) || ascii_symbol;
}

bool char_is_word(int32_t cp)
{
    return (category_bit(cp) & (LETTERS | MARKS | BIT(ND) | BIT(NL) | BIT(PC))) || cp == 0x200c ||
           cp == 0x200d || (cp >= 0x24b6 && cp <= 0x24e9) || (cp >= 0x1f130 && cp <= 0x1f149) ||
           (cp >= 0x1f150 && cp <= 0x1f169) || (cp >= 0x1f170 && cp <= 0x1f189);
}

static enum kind ascii_kind(unsigned char c)
{
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return LETTER;
    if (c >= '0' && c <= '9')
        return NUMBER;
    return c == ' ' || (c >= 9 && c <= 13) ? SPACE : OTHER;
}

static enum kind cp_kind(int32_t cp)
{
    const unsigned bit = category_bit(cp);
    return bit & LETTERS ? LETTER : bit & NUMBERS ? NUMBER : char_is_white(cp) ? SPACE : OTHER;
}

/* The kind of the character at *i, which moves behind it. */
static enum kind next_kind(struct str s, size_t *i)
{
    const unsigned char c = (unsigned char)s.p[*i];
    if (c >= 0x80)
        return cp_kind(utf8_next(s, i));
    ++*i;
    return ascii_kind(c);
}

/* The end of the run of `kind` from `at`, of at most `limit` characters. */
static size_t run_end(struct str s, size_t at, enum kind kind, size_t limit)
{
    for (size_t i = at; i < s.n && limit > 0; limit--) {
        if (next_kind(s, &i) != kind)
            return at;
        at = i;
    }
    return at;
}

/* --- words by hand --- */

/* \s+(?!\S)|\s+ : a run of space without its last character, which belongs to what follows; all
 * of it at the end of the text, or when there is but one. `at` is a space. */
static size_t scan_space(struct str s, size_t at)
{
    size_t last = at, end = at;
    for (size_t i = at; i < s.n && next_kind(s, &i) == SPACE;) {
        last = end;
        end = i;
    }
    return end == s.n || last == at ? end : last;
}

/* 's|'t|'re|'ve|'m|'ll|'d at `at`, or 0. `fold`: (?i), where U+017F is a long s. */
static size_t scan_contraction(struct str s, size_t at, bool fold)
{
    if (s.p[at] != '\'' || at + 1 >= s.n)
        return 0;
    const int lower = fold ? 0x20 : 0;
    const int x = s.p[at + 1] | lower, y = at + 2 < s.n ? s.p[at + 2] | lower : 0;
    if (x == 's' || x == 't' || x == 'm' || x == 'd')
        return at + 2;
    if ((x == 'r' && y == 'e') || (x == 'v' && y == 'e') || (x == 'l' && y == 'l'))
        return at + 3;
    if (fold && at + 2 < s.n && memcmp(s.p + at + 1, "\xc5\xbf", 2) == 0)
        return at + 3;
    return 0;
}

size_t scan_gpt2(struct str s, size_t at)
{
    const size_t end = scan_contraction(s, at, false);
    if (end)
        return end;

    /* " ?" and a run of letters, of numbers or of the rest */
    const size_t word = s.p[at] == ' ' && at + 1 < s.n ? at + 1 : at;
    size_t i = word;
    const enum kind kind = next_kind(s, &i);
    return kind == SPACE ? scan_space(s, at) : run_end(s, i, kind, SIZE_MAX);
}

static bool is_newline(char c)
{
    return c == '\r' || c == '\n';
}

/* \s*[\r\n]+ : a run of space up to its last newline; 0 when it has none. */
static size_t scan_newlines(struct str s, size_t at)
{
    size_t end = 0;
    for (size_t i = at; i < s.n && next_kind(s, &i) == SPACE;)
        if (is_newline(s.p[i - 1]))
            end = i;
    return end;
}

static size_t scan_cl100k(struct str s, size_t at, size_t max_digits)
{
    size_t end = scan_contraction(s, at, true);
    if (end)
        return end;

    /* [^\r\n\p{L}\p{N}]?\p{L}+ */
    size_t i = at;
    const enum kind first = next_kind(s, &i);
    if (first == LETTER)
        return run_end(s, i, LETTER, SIZE_MAX);
    if (first != NUMBER && !is_newline(s.p[at]) && (end = run_end(s, i, LETTER, SIZE_MAX)) > i)
        return end;

    if (first == NUMBER)
        return run_end(s, i, NUMBER, max_digits - 1);

    /* " ?[^\s\p{L}\p{N}]+[\r\n]*" */
    const size_t symbols = s.p[at] == ' ' ? i : at;
    end = run_end(s, symbols, OTHER, SIZE_MAX);
    if (end > symbols) {
        while (end < s.n && is_newline(s.p[end]))
            end++;
        return end;
    }

    end = scan_newlines(s, at);
    return end ? end : scan_space(s, at);
}

static size_t scan_llama3(struct str s, size_t at)
{
    return scan_cl100k(s, at, 3);
}

static size_t scan_qwen2(struct str s, size_t at)
{
    return scan_cl100k(s, at, 1);
}

size_t scan_word_or_symbols(struct str s, size_t at)
{
    size_t i = at;
    const int32_t first = utf8_next(s, &i);
    const bool white = char_is_white(first), word = char_is_word(first);
    for (size_t end = i; i < s.n; end = i) {
        const int32_t cp = utf8_next(s, &i);
        if (char_is_word(cp) != word || char_is_white(cp) != white)
            return end;
    }
    return s.n;
}

static const struct {
    const char *pattern;
    word_scanner *scan;
} by_hand[] = {
    {PATTERN_GPT2, scan_gpt2},
    {PATTERN_LLAMA3, scan_llama3},
    {PATTERN_QWEN2, scan_qwen2},
};

int compile_pattern(struct str pattern, const char *where, struct regex **ret, struct error *err)
{
    struct buf b = {0};
    for (size_t i = 0; i < pattern.n; i++) {
        const char c = pattern.p[i], next = i + 1 < pattern.n ? pattern.p[i + 1] : '\0';
        if (c != '\\' || next == '\0')
            buf_char(&b, c);
        else if (next == 's' || next == 'S')
            buf_puts(&b, next == 's' ? "\\p{White_Space}" : "\\P{White_Space}");
        else
            buf_add(&b, pattern.p + i, 2);
        i += c == '\\' && next != '\0';
    }
    const int r = regex_compile(buf_view(&b), 0, where, ret, err);
    buf_free(&b);
    return r;
}

int pre_regex(struct str pattern, const char *where, struct pre_step *step, struct error *err)
{
    /* All of the text is a match: to isolate the matches is to remove what is none. */
    const bool covers =
        step->behavior == SPLIT_ISOLATED || (step->behavior == SPLIT_REMOVED && step->invert);
    for (size_t i = 0; covers && i < sizeof by_hand / sizeof *by_hand; i++)
        if (str_eqz(pattern, by_hand[i].pattern)) {
            step->scan = by_hand[i].scan;
            step->behavior = SPLIT_ISOLATED;
            return 0;
        }
    return compile_pattern(pattern, where, &step->regex, err);
}

bool pre_cuts_behind_lines(const struct pre_list *steps)
{
    bool found = false;
    for (size_t i = 0; i < steps->n; i++) {
        const struct pre_step *p = &steps->items[i];
        bool by_char = p->matches_char && p->behavior == SPLIT_ISOLATED && !p->invert;
        bool known = false;
        for (size_t k = 0; p->scan && k < sizeof by_hand / sizeof *by_hand; k++)
            known = known || p->scan == by_hand[k].scan;
        if (p->kind != PRE_STAND_INS && (p->kind != PRE_SPLIT || !(by_char || known)))
            return false;
        found = found || known;
    }
    return found;
}

/* --- steps --- */

static void push(struct words *w, size_t from, size_t to)
{
    if (from < to)
        *ARRAY_PUSH(w) = (struct span){from, to};
}

/* Finds the next match in s (one word) from `at`: 1, 0 or an error. */
static int find(const struct pre_step *p, struct str s, size_t at, struct regex_match *m,
                struct error *err)
{
    if (p->regex) {
        int found = regex_search(p->regex, s, at, false, m, 1, err);
        while (found == 1 && m->start == m->end && at < s.n) { /* an empty match cuts nothing */
            at = m->end;
            if (at < s.n)
                utf8_next(s, &at);
            found = at < s.n ? regex_search(p->regex, s, at, false, m, 1, err) : 0;
        }
        return found == 1 && m->start == m->end ? 0 : found;
    }
    if (p->matches_char) {
        for (size_t i = at; i < s.n;) {
            m->start = i;
            if (p->matches_char(utf8_next(s, &i))) {
                m->end = i;
                return 1;
            }
        }
        return 0;
    }
    m->start = p->literal.n ? str_find(s, p->literal, at) : SIZE_MAX;
    m->end = m->start + p->literal.n;
    return m->start != SIZE_MAX;
}

/* Puts pieces together as the behaviour says. */
struct joiner {
    struct words *out;
    enum split_behavior behavior;
    size_t start, end; /* of the piece that may still grow; equal: none */
    bool match;        /* what it is, or what it ended with */
};

static void join_flush(struct joiner *j)
{
    push(j->out, j->start, j->end);
    j->start = j->end;
}

static void join(struct joiner *j, size_t from, size_t to, bool match)
{
    if (from == to)
        return;
    const bool none = j->start == j->end;
    bool grows = false;
    switch (j->behavior) {
    case SPLIT_REMOVED:
        if (match)
            return;
        break;
    case SPLIT_ISOLATED:
        break;
    case SPLIT_CONTIGUOUS:
        grows = !none && j->match == match;
        break;
    case SPLIT_MERGED_PREVIOUS:
        grows = !none && match && !j->match;
        break;
    case SPLIT_MERGED_NEXT:
        grows = !none && !match && j->match;
        break;
    }
    if (!grows) {
        join_flush(j);
        j->start = from;
    }
    j->end = to;
    j->match = match;
}

static int split_word(const struct pre_step *p, struct str text, struct span word,
                      struct words *out, struct error *err)
{
    const struct str s = str_slice(text, word.from, word.to);
    struct joiner j = {.out = out, .behavior = p->behavior};
    struct regex_match m;
    int found = 0;
    size_t at = 0;
    while (at < s.n && (found = find(p, s, at, &m, err)) == 1) {
        join(&j, word.from + at, word.from + m.start, p->invert);
        join(&j, word.from + m.start, word.from + m.end, !p->invert);
        at = m.end;
    }
    if (found < 0)
        return found;
    join(&j, word.from + at, word.to, p->invert);
    join_flush(&j);
    return 0;
}

/* A scanner covers the word, so each piece is a match; an inverted Removed drops the white ones. */
static void scan_word(const struct pre_step *p, struct str text, struct span word,
                      struct words *out)
{
    const struct str s = str_slice(text, 0, word.to);
    for (size_t at = word.from; at < word.to;) {
        const size_t end = p->scan(s, at);
        size_t i = at;
        if (p->behavior != SPLIT_REMOVED || !char_is_white(utf8_next(s, &i)))
            push(out, at, end);
        at = end;
    }
}

static bool wants_prefix(const struct pre_step *p, struct str word, bool first)
{
    if (p->kind == PRE_PREFIX_SPACE)
        return !str_starts(word, STR(" "));
    return (p->prepend == PREPEND_ALWAYS || (p->prepend == PREPEND_FIRST && first)) &&
           !str_starts(word, STR(" ")) && !str_starts(word, p->replacement);
}

static void rewrite_word(const struct pre_step *p, struct str word, bool first, struct buf *b)
{
    if (p->kind == PRE_STAND_INS) {
        buf_stand_ins(b, word);
        return;
    }
    const struct str space = p->kind == PRE_METASPACE ? p->replacement : STR(" ");
    if (wants_prefix(p, word, first))
        buf_str(b, space);
    for (size_t i = 0; i < word.n; i++)
        if (word.p[i] == ' ')
            buf_str(b, space);
        else
            buf_char(b, word.p[i]);
}

/* A step that changes the text: `in` word by word into a new text of `out`. */
static void rewrite(const struct pre_step *p, struct arena *a, bool at_start,
                    const struct words *in, struct words *out)
{
    struct buf b = {0};
    for (size_t i = 0; i < in->n; i++) {
        const struct span word = in->items[i];
        const size_t from = b.n;
        rewrite_word(p, str_slice(in->text, word.from, word.to), at_start && i == 0, &b);
        push(out, from, b.n);
    }
    out->text = buf_take(&b, a);
}

static int step(const struct pre_step *p, struct arena *a, bool at_start, const struct words *in,
                struct words *out, struct error *err)
{
    out->text = in->text;
    out->n = 0;
    if (p->kind != PRE_SPLIT) {
        rewrite(p, a, at_start, in, out);
        return 0;
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < in->n; i++)
        if (p->scan)
            scan_word(p, in->text, in->items[i], out);
        else
            r = split_word(p, in->text, in->items[i], out, err);
    return r;
}

int pretokenize(const struct pre_list *steps, struct arena *a, struct str text, bool at_start,
                struct words *w, struct words *spare, struct error *err)
{
    w->text = text;
    w->n = 0;
    push(w, 0, text.n);
    int r = 0;
    for (size_t i = 0; r == 0 && i < steps->n; i++) {
        r = step(steps->items + i, a, at_start, w, spare, err);
        const struct words swap = *w;
        *w = *spare;
        *spare = swap;
    }
    return r;
}
