/* segments.c: the tokenizers of BLEU and TER.
 *
 * sacreBLEU writes them as a row of regular expressions, each applied to what the one before left.
 * Which of two adjacent marks a match consumes shows in the words ("a.,b" is "a . ,b" under 13a),
 * so each expression stays one pass here; only those that look at single characters are joined. */
#include "metrics/segments.h"

#include <utf8proc.h>

#include "base/utf8.h"

/* Text under rewriting; there is always room for `n` more bytes than were asked for. */
struct out {
    char *p;
    size_t n;
};

static struct out out_for(struct arena *a, size_t n)
{
    return (struct out){arena_alloc(a, n + 1), 0};
}

static struct str taken(struct out o)
{
    return (struct str){o.p, o.n};
}

static void put(struct out *o, char c)
{
    o->p[o->n++] = c;
}

static void put_spaced(struct out *o, const char *p, size_t n)
{
    put(o, ' ');
    memcpy(o->p + o->n, p, n);
    o->n += n;
    put(o, ' ');
}

static struct str unescape(struct arena *a, struct str s)
{
    if (str_find(s, STR("&"), 0) == SIZE_MAX)
        return s;
    s = str_substitute(a, s, STR("&quot;"), STR("\""));
    s = str_substitute(a, s, STR("&amp;"), STR("&"));
    s = str_substitute(a, s, STR("&lt;"), STR("<"));
    return str_substitute(a, s, STR("&gt;"), STR(">"));
}

/* ---- the Western part, which 13a, zh and TER share ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_stop(char c)
{
    return c == '.' || c == ',';
}

/* ASCII punctuation but ' - . , */
static bool stands_alone(char c)
{
    return is_ascii_punctuation(c) && c != '\'' && c != '-' && !is_stop(c);
}

/* With a blank before and behind. */
static struct str space_marks(struct arena *a, struct str s)
{
    struct out o = out_for(a, 3 * s.n + 2);
    put(&o, ' ');
    for (size_t i = 0; i < s.n; i++)
        if (stands_alone(s.p[i]))
            put_spaced(&o, s.p + i, 1);
        else
            put(&o, s.p[i]);
    put(&o, ' ');
    return taken(o);
}

/* Full stops and commas, unless a digit stands before. */
static struct str space_stops_after(struct arena *a, struct str s)
{
    struct out o = out_for(a, 2 * s.n);
    for (size_t i = 0; i < s.n; i++) {
        put(&o, s.p[i]);
        if (!is_digit(s.p[i]) && i + 1 < s.n && is_stop(s.p[i + 1]))
            put_spaced(&o, s.p + ++i, 1);
    }
    return taken(o);
}

/* Full stops and commas, unless a digit stands behind. */
static struct str space_stops_before(struct arena *a, struct str s)
{
    struct out o = out_for(a, 2 * s.n);
    for (size_t i = 0; i < s.n; i++)
        if (is_stop(s.p[i]) && i + 1 < s.n && !is_digit(s.p[i + 1])) {
            put_spaced(&o, s.p + i, 1);
            put(&o, s.p[++i]);
        } else {
            put(&o, s.p[i]);
        }
    return taken(o);
}

static struct str space_dashes(struct arena *a, struct str s)
{
    struct out o = out_for(a, 2 * s.n);
    for (size_t i = 0; i < s.n; i++) {
        put(&o, s.p[i]);
        if (is_digit(s.p[i]) && i + 1 < s.n && s.p[i + 1] == '-')
            put_spaced(&o, s.p + ++i, 1);
    }
    return taken(o);
}

static struct str space_stops_and_dashes(struct arena *a, struct str s)
{
    return space_dashes(a, space_stops_before(a, space_stops_after(a, s)));
}

/* ---- BLEU ---- */

static struct words words_13a(struct arena *a, struct str s)
{
    s = str_substitute(a, s, STR("<skipped>"), STR(""));
    s = str_substitute(a, s, STR("-\n"), STR(""));
    s = unescape(a, str_substitute(a, s, STR("\n"), STR(" ")));
    return split_words(a, space_stops_and_dashes(a, space_marks(a, s)));
}

struct range {
    int32_t first, last;
};

static bool in_ranges(const struct range *ranges, size_t n, int32_t cp)
{
    for (size_t i = 0; i < n; i++)
        if (cp >= ranges[i].first && cp <= ranges[i].last)
            return true;
    return false;
}
#define IN_RANGES(ranges, cp) in_ranges(ranges, sizeof(ranges) / sizeof *(ranges), cp)

static struct str space_ranges(struct arena *a, struct str s, const struct range *ranges, size_t n)
{
    if (is_ascii(s))
        return s;
    struct out o = out_for(a, 3 * s.n);
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        if (in_ranges(ranges, n, utf8_next(s, &i))) {
            put_spaced(&o, s.p + start, i - start);
        } else {
            memcpy(o.p + o.n, s.p + start, i - start);
            o.n += i - start;
        }
    }
    return taken(o);
}

/* sacreBLEU compares characters as strings. Two of its ranges are meant for characters beyond
 * U+FFFF but are spelt with four digits and one more character; what they then hold is what the
 * third and the last row say. */
static const struct range chinese[] = {
    {0x3400, 0x4db5}, {0x4e00, 0x9fbb}, {0x2001, 0x2a6d}, {0xf900, 0xfa2d}, {0xfa30, 0xfa6a},
    {0xfa70, 0xfad9}, {0xff00, 0xffef}, {0x2e80, 0x2eff}, {0x3000, 0x303f}, {0x31c0, 0x31ef},
    {0x2f00, 0x2fdf}, {0x2ff0, 0x2fff}, {0x3100, 0x312f}, {0x31a0, 0x31bf}, {0xfe10, 0xfe1f},
    {0xfe30, 0xfe4f}, {0x2600, 0x27bf}, {0x3200, 0x33ff}, {0x2f81, 0x2fa1},
};

/* Without 13a's blanks round the line: a mark that begins or ends it may stay where it is. */
static struct words words_zh(struct arena *a, struct str s)
{
    s = utf8_strip(s, STRIP_BOTH, NULL);
    s = space_ranges(a, s, chinese, sizeof chinese / sizeof *chinese);
    s = space_marks(a, s);
    return split_words(a, space_stops_and_dashes(a, str_slice(s, 1, s.n - 1)));
}

enum kind { OTHER, NUMBER, PUNCTUATION, SYMBOL };

static enum kind kind_of(int32_t cp)
{
    utf8proc_category_t c = cp < 0 ? UTF8PROC_CATEGORY_SO : utf8proc_category(cp);
    if (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO)
        return NUMBER;
    if (c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO)
        return PUNCTUATION;
    return c >= UTF8PROC_CATEGORY_SM && c <= UTF8PROC_CATEGORY_SO ? SYMBOL : OTHER;
}

/* A character's kind and where it ends. */
static enum kind kind_at(struct str s, size_t *i)
{
    return kind_of(utf8_next(s, i));
}

/* Punctuation, unless a number stands before (`after`) or behind it. */
static struct str space_punctuation(struct arena *a, struct str s, bool after)
{
    struct out o = out_for(a, 3 * s.n);
    for (size_t i = 0; i < s.n;) {
        size_t middle = i, end;
        enum kind first = kind_at(s, &middle), second = OTHER;
        end = middle;
        if (middle < s.n)
            second = kind_at(s, &end);
        bool match = middle < s.n && (after ? first != NUMBER && second == PUNCTUATION
                                            : first == PUNCTUATION && second != NUMBER);
        if (match && !after)
            put(&o, ' ');
        memcpy(o.p + o.n, s.p + i, middle - i);
        o.n += middle - i;
        if (match) {
            put(&o, ' ');
            memcpy(o.p + o.n, s.p + middle, end - middle);
            o.n += end - middle;
            if (after)
                put(&o, ' ');
        }
        i = match ? end : middle;
    }
    return taken(o);
}

static struct words words_intl(struct arena *a, struct str s)
{
    s = space_punctuation(a, space_punctuation(a, s, true), false);
    struct out o = out_for(a, 3 * s.n);
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        if (kind_at(s, &i) == SYMBOL) {
            put_spaced(&o, s.p + start, i - start);
        } else {
            memcpy(o.p + o.n, s.p + start, i - start);
            o.n += i - start;
        }
    }
    return split_words(a, taken(o));
}

static struct words words_char(struct arena *a, struct str s)
{
    struct words w = {0};
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        if (!utf8_is_space(utf8_next(s, &i)))
            words_add(a, &w, str_slice(s, start, i));
    }
    return w;
}

static const struct {
    const char *name;
    struct words (*split)(struct arena *a, struct str s);
} tokenizers[] = {
    [BLEU_13A] = {"13a", words_13a},     [BLEU_INTL] = {"intl", words_intl},
    [BLEU_CHAR] = {"char", words_char},  [BLEU_ZH] = {"zh", words_zh},
    [BLEU_NONE] = {"none", split_words},
};

bool bleu_tokenizer_find(struct str name, enum bleu_tokenizer *ret)
{
    for (size_t i = 0; i < sizeof tokenizers / sizeof *tokenizers; i++)
        if (str_eqz(name, tokenizers[i].name)) {
            *ret = (enum bleu_tokenizer)i;
            return true;
        }
    return false;
}

struct words bleu_words(struct arena *a, struct str text, const struct bleu_options *o)
{
    struct str s = o->lowercase ? lower_case(a, text) : text;
    return tokenizers[o->tokenizer].split(a, utf8_strip(s, STRIP_RIGHT, NULL));
}

/* ---- TER ---- */

static const struct range asian[] = {
    {0x4e00, 0x9fff}, {0x3400, 0x4dbf}, {0x31c0, 0x31ef}, {0x2e80, 0x2eff},
    {0x3200, 0x3f22}, {0xf900, 0xfaff}, {0xfe30, 0xfe4f},
};

static const struct range asian_marks[] = {
    {0x3001, 0x3002}, {0x3008, 0x3011}, {0x3014, 0x301f}, {0xff61, 0xff65},
    {0x30fb, 0x30fb}, {0xff0e, 0xff0e}, {0xff0c, 0xff0c}, {0xff1f, 0xff1f},
    {0xff1a, 0xff1b}, {0xff01, 0xff02}, {0xff08, 0xff09},
};

static struct str space_possessives(struct arena *a, struct str s)
{
    struct out o = out_for(a, 2 * s.n);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'' && i + 2 < s.n && s.p[i + 1] == 's' && s.p[i + 2] == ' ')
            put(&o, ' ');
        put(&o, s.p[i]);
    }
    return taken(o);
}

static struct str normalized(struct arena *a, struct str s)
{
    s = str_substitute(a, s, STR("\n-"), STR(""));
    s = unescape(a, str_substitute(a, s, STR("\n"), STR(" ")));
    return space_stops_and_dashes(a, space_possessives(a, space_marks(a, s)));
}

static struct str without_marks(struct arena *a, struct str s, bool also_asian)
{
    struct out o = out_for(a, s.n);
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        int32_t cp = utf8_next(s, &i);
        if ((cp > 0 && cp < 128 && strchr(".,?:;!\"()", cp)) ||
            (also_asian && IN_RANGES(asian_marks, cp)))
            continue;
        memcpy(o.p + o.n, s.p + start, i - start);
        o.n += i - start;
    }
    return taken(o);
}

struct words ter_words(struct arena *a, struct str text, const struct ter_options *o)
{
    struct str s = utf8_strip(text, STRIP_RIGHT, NULL);
    if (!o->case_sensitive)
        s = lower_case(a, s);
    if (o->normalized)
        s = normalized(a, s);
    if (o->normalized && o->asian_support) {
        s = space_ranges(a, s, asian, sizeof asian / sizeof *asian);
        s = space_ranges(a, s, asian_marks, sizeof asian_marks / sizeof *asian_marks);
    }
    if (o->no_punct)
        s = without_marks(a, s, o->asian_support);
    return split_words(a, s);
}
