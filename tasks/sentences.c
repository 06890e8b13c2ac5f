#include "tasks/sentences.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/regex.h"
#include "base/utf8.h"

/* ---- letters ---- */

static bool is_letter(int32_t cp)
{
    utf8proc_category_t c = cp >= 0 ? utf8proc_category(cp) : UTF8PROC_CATEGORY_CN;
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

bool has_letters(struct str text)
{
    for (size_t i = 0; i < text.n;)
        if (is_letter(utf8_next(text, &i)))
            return true;
    return false;
}

bool all_in_case(struct str text, bool upper)
{
    bool any = false;
    for (size_t i = 0; i < text.n;) {
        int32_t cp = utf8_next(text, &i);
        if (cp < 0)
            continue;
        bool is_upper = utf8proc_isupper(cp), is_lower = utf8proc_islower(cp);
        if (utf8proc_category(cp) == UTF8PROC_CATEGORY_LT || (upper ? is_lower : is_upper))
            return false;
        any |= upper ? is_upper : is_lower;
    }
    return any;
}

static bool is_space_at(struct str s, size_t i, size_t *next)
{
    *next = i;
    return utf8_is_space(utf8_next(s, next));
}

static size_t skip_spaces(struct str s, size_t i)
{
    for (size_t next; i < s.n && is_space_at(s, i, &next);)
        i = next;
    return i;
}

static bool first_letter_is(struct str word, bool upper)
{
    size_t i = 0;
    int32_t cp = word.n ? utf8_next(word, &i) : -1;
    return cp >= 0 && (upper ? utf8proc_isupper(cp) : utf8proc_islower(cp));
}

/* ---- sentences ---- */

/* In lower case, without the last full stop. Some that English has are missing on purpose: the
 * newspapers that NLTK learnt from do not have them ("e.g."), and a count should be NLTK's. */
static const char *const abbreviations[] = {
    "a.d",  "a.m",   "adm",  "ala",    "ariz", "aug",   "ave",     "bros", "c.v",  "calif", "co",
    "col",  "colo",  "conn", "corp",   "ct",   "d.c",   "dec",     "dr",   "feb",  "fla",   "fri",
    "ft",   "ga",    "gen",  "ill",    "inc",  "jan",   "jr",      "kan",  "ky",   "l.a",   "lt",
    "ltd",  "m.b.a", "maj",  "messrs", "mich", "minn",  "mr",      "mrs",  "ms",   "n.c",   "n.d",
    "n.h",  "n.j",   "n.m",  "n.y",    "nev",  "nov",   "oct",     "okla", "ore",  "p.m",   "pa",
    "ph.d", "prof",  "r.i",  "rep",    "reps", "s.c",   "sen",     "sep",  "sept", "sr",    "st",
    "tenn", "tues",  "u.k",  "u.n",    "u.s",  "u.s.a", "u.s.s.r", "va",   "vs",   "vt",    "w.va",
    "wash", "wed",   "wis",  "yr",
};

/* Words that are common in lower case and capital only where a sentence starts: behind an
 * abbreviation they tell that one does. */
static const char *const starters[] = {
    "although", "both",    "but",   "does",    "even",    "finally", "he",   "her",    "here",
    "however",  "if",      "in",    "instead", "it",      "many",    "most", "since",  "so",
    "some",     "such",    "the",   "there",   "these",   "they",    "this", "though", "thus",
    "when",     "whether", "which", "while",   "without", "yes",     "yet",  "your",
};

static bool is_one_of(struct str lower, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eqz(lower, words[i]))
            return true;
    return false;
}

/* `word`, lowered, in a small buffer; "" when it does not fit, as no listed word does. */
static struct str lowered(struct str word, char *small, size_t size)
{
    if (word.n >= size)
        return STR("");
    for (size_t i = 0; i < word.n; i++)
        small[i] = word.p[i] >= 'A' && word.p[i] <= 'Z' ? (char)(word.p[i] + 32) : word.p[i];
    return (struct str){small, word.n};
}

#define LISTED(word, list) is_one_of(word, list, sizeof(list) / sizeof *(list))

static bool is_abbreviation(struct str word)
{
    char small[32];
    struct str w = lowered(word, small, sizeof small);
    size_t dash = w.n;
    while (dash > 0 && w.p[dash - 1] != '-')
        dash--;
    return LISTED(w, abbreviations) || LISTED(str_slice(w, dash, w.n), abbreviations);
}

static bool starts_sentence(struct str next)
{
    char small[32];
    size_t n = 0;
    while (n < next.n &&
           (((next.p[n] | 32) >= 'a' && (next.p[n] | 32) <= 'z') || next.p[n] == '\''))
        n++;
    return first_letter_is(next, true) &&
           LISTED(lowered(str_slice(next, 0, n), small, sizeof small), starters);
}

static bool is_number(struct str word)
{
    size_t digits = 0;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] >= '0' && word.p[i] <= '9')
            digits++;
        else if (!strchr(".,-", word.p[i]) || (word.p[i] == '-' && i > 0))
            return false;
    }
    return digits > 0;
}

/* One letter of any script. */
static bool is_initial(struct str word)
{
    size_t i = 0;
    int32_t cp = word.n ? utf8_next(word, &i) : -1;
    return i == word.n && is_letter(cp);
}

/* Whether the full stop behind `word` ends a sentence, where `next` comes after it. */
static bool stop_ends(struct str word, struct str next)
{
    if (word.n == 0)
        return true;
    if (word.p[word.n - 1] == '.') /* an ellipsis */
        return starts_sentence(next);
    if (is_initial(word))
        return !first_letter_is(next, true) && !first_letter_is(next, false) &&
               !(next.n && strchr(";:,.!?", next.p[0]));
    if (is_number(word))
        return !first_letter_is(next, false);
    if (is_abbreviation(word))
        return starts_sentence(next);
    return true;
}

/* What cannot be inside a word: the bytes at i are such a character, of *n bytes. */
static bool closes_word(struct str s, size_t i, size_t *n)
{
    static const struct str marks[] = {
        STR("\xe2\x80\x98"), STR("\xe2\x80\x99"), STR("\xe2\x80\x9c"),
        STR("\xe2\x80\x9d"), STR("\xc2\xab"),     STR("\xc2\xbb"),
    };
    *n = 1;
    if (s.p[i] && strchr(")\";}]*:@'({[?!", s.p[i]))
        return true;
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++)
        if (str_starts(str_slice(s, i, s.n), marks[k])) {
            *n = marks[k].n;
            return true;
        }
    return false;
}

/* The word that ends before i, from behind the last space or mark. */
static struct str word_before(struct str s, size_t i)
{
    size_t from = i, n;
    while (from > 0) {
        size_t k = from - 1;
        while (k > 0 && ((unsigned char)s.p[k] & 0xc0) == 0x80)
            k--;
        if (is_space_at(s, k, &n) || closes_word(s, k, &n) || s.p[k] == ',' || s.p[k] == '#' ||
            s.p[k] == '`' || s.p[k] == '&')
            break;
        from = k;
    }
    return str_slice(s, from, i);
}

static struct str word_at(struct str s, size_t i)
{
    size_t from = i, next;
    while (i < s.n && !is_space_at(s, i, &next))
        i = next;
    return str_slice(s, from, i);
}

/* Quotes and brackets that close belong to the sentence before them. */
static size_t skip_closing(struct str s, size_t i)
{
    size_t at = i, n;
    while (at < s.n && closes_word(s, at, &n) && !strchr("({[*:@?!;", s.p[at]))
        at += n;
    size_t next;
    bool ends =
        at == s.n || is_space_at(s, at, &next) || str_starts(str_slice(s, at, s.n), STR("--"));
    return ends ? at : i;
}

int64_t count_sentences(struct str text)
{
    int64_t n = 0;
    text = utf8_strip(text, STRIP_BOTH, NULL);
    size_t from = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        size_t mark;
        if (c != '.' && c != '?' && c != '!')
            continue;
        size_t next = skip_spaces(text, i + 1);
        bool marked = i + 1 < text.n && closes_word(text, i + 1, &mark);
        if (next >= text.n || (next == i + 1 && !marked))
            continue;
        if (next == i + 1 && (text.p[next] == '?' || text.p[next] == '!'))
            continue; /* of "?!" the last one counts */
        if (c == '.' && !stop_ends(word_before(text, i), word_at(text, next)))
            continue;
        n++;
        from = skip_spaces(text, skip_closing(text, i + 1));
        if (from > i + 1)
            i = from - 1;
    }
    return n + (from < text.n);
}

/* ---- words ---- */

/* nltk.tokenize.NLTKWordTokenizer, rule by rule; PAD stands where a space is put at both ends. */
static const struct {
    const char *pattern, *replacement;
} rules[] = {
    {"([«“‘„]|[`]+)", " \\1 "},
    {"^\"", "``"},
    {"(``)", " \\1 "},
    {"([ \\(\\[{<])(\"|'{2})", "\\1 `` "},
    {"(?i)(?<!\\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\\b)(?=\\w)", "\\1 "},
    {"([^\\.])(\\.)([\\]\\)}>\"'»”’ ]*+)\\s*$", "\\1 \\2 \\3 "},
    {"([:,])([^\\d])", " \\1 \\2"},
    {"([:,])$", " \\1 "},
    {"\\.{2,}", " \\g<0> "},
    {"[;@#$%&]", " \\g<0> "},
    {"[\xe2\x80\x92-\xe2\x80\x95]", " \\g<0> "},
    {"([^\\.])(\\.)([\\]\\)}>\"']*)\\s*$", "\\1 \\2\\3 "},
    {"[?!]", " \\g<0> "},
    {"([^'])' ", "\\1 ' "},
    {"[*]", " \\g<0> "},
    {"[\\]\\[\\(\\)\\{\\}\\<\\>]", " \\g<0> "},
    {"--", " -- "},
    {"PAD", NULL},
    {"([»”’])", " \\1 "},
    {"''", " '' "},
    {"\"", " '' "},
    {"\\s+", " "},
    {"([^' ])('[sS]|'[mM]|'[dD]|') ", "\\1 \\2 "},
    {"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "\\1 \\2 "},
    {"(?i)\\b(can)(not)\\b", " \\1 \\2 "},
    {"(?i)\\b(d)('ye)\\b", " \\1 \\2 "},
    {"(?i)\\b(gim)(me)\\b", " \\1 \\2 "},
    {"(?i)\\b(gon)(na)\\b", " \\1 \\2 "},
    {"(?i)\\b(got)(ta)\\b", " \\1 \\2 "},
    {"(?i)\\b(lem)(me)\\b", " \\1 \\2 "},
    {"(?i)\\b(more)('n)\\b", " \\1 \\2 "},
    {"(?i)\\b(wan)(na)(?=\\s)", " \\1 \\2 "},
    {"(?i) ('t)(is)\\b", " \\1 \\2 "},
    {"(?i) ('t)(was)\\b", " \\1 \\2 "},
};

static int apply_rules(struct arena *a, struct str text, struct str *ret, struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof rules / sizeof *rules; i++) {
        const struct regex *regex;
        if (!rules[i].replacement) {
            text = str_cat(a, str_cat(a, STR(" "), text), STR(" "));
            continue;
        }
        if ((r = regex_constant(rules[i].pattern, 0, &regex, err)) == 0)
            r = regex_sub(regex, a, text, str_of(rules[i].replacement), &text, err);
    }
    *ret = text;
    return r;
}

int count_capital_words(struct arena *a, struct str text, int64_t *ret, struct error *err)
{
    struct str words;
    int r = apply_rules(a, text, &words, err);
    *ret = 0;
    for (size_t i = skip_spaces(words, 0); r == 0 && i < words.n;) {
        struct str word = word_at(words, i);
        *ret += all_in_case(word, true);
        i = skip_spaces(words, i + word.n);
    }
    return r;
}
