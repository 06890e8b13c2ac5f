#include "tasks/ifeval.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/regex.h"
#include "base/utf8.h"
#include "tasks/document.h"
#include "tasks/language.h"
#include "tasks/sentences.h"

/* One instruction to be checked against one text. */
struct check {
    struct arena *a;
    const struct value *args;
    struct str text;
    struct error *err;
};

/* ---- arguments ---- */

/* An argument that is missing, null or 0 is a damaged row: lm-evaluation-harness would draw one at
 * random in its place. */
static int arg_int(const struct check *c, const char *key, int64_t *ret)
{
    const struct value *v;
    int r = document_need(c->args, key, VALUE_INT, &v, c->err);
    *ret = r == 0 ? v->i : 0;
    return r;
}

static int arg_str(const struct check *c, const char *key, struct str *ret)
{
    return document_str(c->args, key, ret, c->err);
}

/* 1 where n is what the relation asks for. */
static int relates(const struct check *c, const char *key, int64_t n, int64_t threshold)
{
    struct str relation;
    int r = arg_str(c, key, &relation);
    if (r < 0)
        return r;
    if (str_eqz(relation, "less than"))
        return n < threshold;
    if (str_eqz(relation, "at least"))
        return n >= threshold;
    return error_set(c->err, E_INPUT, "%s must be \"less than\" or \"at least\", it is \"%.*s\"",
                     key, STR_ARG(relation));
}

static struct str strip(struct str s)
{
    return utf8_strip(s, STRIP_BOTH, NULL);
}

static struct str strip_of(struct str s, int sides, struct str set)
{
    return utf8_strip(s, sides, &set);
}

static bool contains(struct str s, struct str part)
{
    return str_find(s, part, 0) != SIZE_MAX;
}

/* ---- patterns ---- */

typedef bool accepts(struct str match);

/* How many matches there are that `f` (NULL: anything) accepts, at most `most`. */
static int count_matches(const struct check *c, const struct regex *regex, accepts *f, int64_t most,
                         int64_t *ret)
{
    struct regex_iter it = {0};
    struct regex_match m;
    int r = 0;
    *ret = 0;
    while (*ret < most && (r = regex_next(regex, c->text, &it, &m, 1, c->err)) > 0)
        *ret += !f || f(str_slice(c->text, m.start, m.end));
    return r < 0 ? r : 0;
}

/* How often one of our own patterns matches as `f` accepts it. */
static int count_accepted(const struct check *c, const char *pattern, accepts *f, int64_t *ret)
{
    const struct regex *regex;
    int r = regex_constant(pattern, 0, &regex, c->err);
    return r < 0 ? r : count_matches(c, regex, f, INT64_MAX, ret);
}

static int count_all(const struct check *c, const char *pattern, unsigned flags, int64_t *ret)
{
    const struct regex *regex;
    int r = regex_constant(pattern, flags, &regex, c->err);
    return r < 0 ? r : count_matches(c, regex, NULL, INT64_MAX, ret);
}

/* How often a document's pattern matches, at most `most`. */
static int count_own(const struct check *c, struct str pattern, unsigned flags, int64_t most,
                     int64_t *ret)
{
    struct regex *regex;
    int r = regex_compile(pattern, flags, "an instruction's pattern", &regex, c->err);
    if (r < 0)
        return r;
    r = count_matches(c, regex, NULL, most, ret);
    regex_free(regex);
    return r;
}

/* 1 where the document's pattern is found. */
static int finds(const struct check *c, struct str pattern, unsigned flags)
{
    int64_t n;
    int r = count_own(c, pattern, flags, 1, &n);
    return r < 0 ? r : n > 0;
}

/* The parts between the matches, as re.split gives them. */
static int split(const struct check *c, const char *pattern, struct str **ret, size_t *n)
{
    const struct regex *regex;
    struct regex_iter it = {0};
    struct regex_match m;
    struct {
        struct str *items;
        size_t n, cap;
    } parts = {0};
    size_t from = 0;
    int r = regex_constant(pattern, 0, &regex, c->err);
    if (r < 0)
        return r;
    while ((r = regex_next(regex, c->text, &it, &m, 1, c->err)) > 0) {
        *ARRAY_PUSH(&parts) = str_slice(c->text, from, m.start);
        from = m.end;
    }
    *ARRAY_PUSH(&parts) = str_slice(c->text, from, c->text.n);
    *n = parts.n;
    *ret = arena_array(c->a, parts.n, sizeof **ret);
    memcpy(*ret, parts.items, parts.n * sizeof **ret);
    free(parts.items);
    return r < 0 ? r : 0;
}

/* ---- keywords ---- */

static int keyword_list(const struct check *c, const char *key, const struct value **ret)
{
    int r = document_need(c->args, key, VALUE_LIST, ret, c->err);
    for (size_t i = 0; r == 0 && i < (*ret)->list.n; i++)
        if ((*ret)->list.items[i]->type != VALUE_STR)
            r = error_set(c->err, E_INPUT, "%s must hold texts", key);
    return r;
}

static int existence(const struct check *c)
{
    const struct value *words;
    int r = keyword_list(c, "keywords", &words);
    if (r < 0)
        return r;
    for (size_t i = 0; i < words->list.n; i++)
        if ((r = finds(c, words->list.items[i]->s, REGEX_IGNORECASE)) <= 0)
            return r;
    return 1;
}

static int forbidden(const struct check *c)
{
    const struct value *words;
    int r = keyword_list(c, "forbidden_words", &words);
    if (r < 0)
        return r;
    for (size_t i = 0; i < words->list.n; i++) {
        struct str word = words->list.items[i]->s;
        struct str pattern = str_printf(c->a, "\\b%.*s\\b", STR_ARG(word));
        if ((r = finds(c, pattern, REGEX_IGNORECASE)) != 0)
            return r < 0 ? r : 0;
    }
    return 1;
}

static int frequency(const struct check *c)
{
    struct str keyword;
    int64_t threshold, n;
    int r = arg_str(c, "keyword", &keyword);
    if (r < 0 || (r = arg_int(c, "frequency", &threshold)) < 0 ||
        (r = count_own(c, strip(keyword), REGEX_IGNORECASE, INT64_MAX, &n)) < 0)
        return r;
    return relates(c, "relation", n, threshold);
}

/* A character that is no letter is counted as it is; lm-evaluation-harness, which has two such
 * prompts, draws a letter at random in its place. */
static int letter_frequency(const struct check *c)
{
    struct str letter;
    int64_t threshold, n = 0;
    int r = arg_str(c, "letter", &letter);
    if (r < 0 || (r = arg_int(c, "let_frequency", &threshold)) < 0)
        return r;
    struct str lower = utf8_lower(c->a, c->text), l = utf8_lower(c->a, letter);
    if (letter.n == 0)
        return error_set(c->err, E_INPUT, "letter is empty");
    for (size_t i = 0; (i = str_find(lower, l, i)) != SIZE_MAX; i += l.n)
        n++;
    return relates(c, "let_relation", n, threshold);
}

/* ---- language and case ---- */

/* A text without letters is in any language: langdetect cannot tell, which counts as followed. */
static bool is_language(const struct check *c, struct str wanted)
{
    return !has_letters(c->text) || str_eqz(wanted, language_of(c->text.p, c->text.n));
}

static int response_language(const struct check *c)
{
    struct str language;
    int r = arg_str(c, "language", &language);
    return r < 0 ? r : is_language(c, language);
}

static int english_capital(const struct check *c)
{
    return all_in_case(c->text, true) && is_language(c, STR("en"));
}

static int english_lowercase(const struct check *c)
{
    return all_in_case(c->text, false) && is_language(c, STR("en"));
}

static int capital_word_frequency(const struct check *c)
{
    int64_t threshold, n;
    int r = arg_int(c, "capital_frequency", &threshold);
    if (r < 0 || (r = count_capital_words(c->a, c->text, &n, c->err)) < 0)
        return r;
    return relates(c, "capital_relation", n, threshold);
}

/* ---- length ---- */

static int number_sentences(const struct check *c)
{
    int64_t threshold;
    int r = arg_int(c, "num_sentences", &threshold);
    return r < 0 ? r : relates(c, "relation", count_sentences(c->text), threshold);
}

static int number_words(const struct check *c)
{
    int64_t threshold, n;
    int r = arg_int(c, "num_words", &threshold);
    if (r < 0 || (r = count_all(c, "\\w+", 0, &n)) < 0)
        return r;
    return relates(c, "relation", n, threshold);
}

static int number_paragraphs(const struct check *c)
{
    struct str *parts;
    size_t n;
    int64_t wanted;
    int r = arg_int(c, "num_paragraphs", &wanted);
    if (r < 0 || (r = split(c, "\\s?\\*\\*\\*\\s?", &parts, &n)) < 0)
        return r;
    int64_t count = (int64_t)n;
    for (size_t i = 0; i < n; i++) {
        if (strip(parts[i]).n > 0)
            continue;
        if (i > 0 && i < n - 1)
            return 0;
        count--;
    }
    return count == wanted;
}

/* The first word in lower case, up to punctuation and without quotes before it. */
static struct str first_word(struct arena *a, struct str paragraph)
{
    size_t end = 0, next = 0;
    while (end < paragraph.n && !utf8_is_space(utf8_next(paragraph, &next)))
        end = next;
    struct str word = str_slice(paragraph, 0, end);
    word = strip_of(strip_of(word, STRIP_LEFT, STR("'")), STRIP_LEFT, STR("\""));
    size_t n = 0;
    while (n < word.n && !(word.p[n] && strchr(".,?!'\"", word.p[n])))
        n++;
    return utf8_lower(a, str_slice(word, 0, n));
}

static int nth_paragraph_first_word(const struct check *c)
{
    struct str *parts, wanted;
    size_t n;
    int64_t n_wanted, nth;
    int r = 0;
    if ((r = arg_int(c, "num_paragraphs", &n_wanted)) < 0 ||
        (r = arg_int(c, "nth_paragraph", &nth)) < 0 || (r = arg_str(c, "first_word", &wanted)) < 0)
        return r;
    if (nth < 1 || nth > n_wanted)
        return error_set(c->err, E_INPUT, "nth_paragraph must be from 1 to num_paragraphs");
    if ((r = split(c, "\\n\\n", &parts, &n)) < 0)
        return r;
    int64_t count = (int64_t)n;
    for (size_t i = 0; i < n; i++)
        count -= strip(parts[i]).n == 0;
    if (nth > count)
        return 0;
    struct str paragraph = strip(parts[nth - 1]);
    return paragraph.n > 0 && count == n_wanted &&
           str_eq(first_word(c->a, paragraph), utf8_lower(c->a, wanted));
}

/* ---- content and format ---- */

static int number_placeholders(const struct check *c)
{
    int64_t wanted, n;
    int r = arg_int(c, "num_placeholders", &wanted);
    if (r < 0 || (r = count_all(c, "\\[.*?\\]", 0, &n)) < 0)
        return r;
    return n >= wanted;
}

static int postscript(const struct check *c)
{
    struct str marker;
    int r = arg_str(c, "postscript_marker", &marker);
    if (r < 0)
        return r;
    marker = strip(marker);
    struct str pattern = str_printf(c->a, "\\s*%.*s.*$", STR_ARG(utf8_lower(c->a, marker)));
    if (str_eqz(marker, "P.P.S"))
        pattern = STR("\\s*p\\.\\s?p\\.\\s?s.*$");
    else if (str_eqz(marker, "P.S."))
        pattern = STR("\\s*p\\.\\s?s\\..*$");
    struct check lower = *c;
    lower.text = utf8_lower(c->a, c->text);
    return finds(&lower, pattern, REGEX_MULTILINE);
}

static int number_bullet_lists(const struct check *c)
{
    int64_t wanted, stars, dashes;
    int r = arg_int(c, "num_bullets", &wanted);
    if (r < 0 || (r = count_all(c, "^\\s*\\*[^\\*].*$", REGEX_MULTILINE, &stars)) < 0 ||
        (r = count_all(c, "^\\s*-.*$", REGEX_MULTILINE, &dashes)) < 0)
        return r;
    return stars + dashes == wanted;
}

static int constrained_response(const struct check *c)
{
    return contains(c->text, STR("My answer is yes.")) ||
           contains(c->text, STR("My answer is no.")) ||
           contains(c->text, STR("My answer is maybe."));
}

static bool has_text(struct str highlight)
{
    return strip(strip_of(highlight, STRIP_BOTH, STR("*"))).n > 0;
}

/* "**x**" less its two pairs. */
static bool has_text_inside(struct str highlight)
{
    return strip(str_slice(highlight, 2, highlight.n - 2)).n > 0;
}

static int number_highlighted_sections(const struct check *c)
{
    int64_t wanted, single, twice;
    int r = arg_int(c, "num_highlights", &wanted);
    if (r < 0 || (r = count_accepted(c, "\\*[^\\n\\*]*\\*", has_text, &single)) < 0 ||
        (r = count_accepted(c, "\\*\\*[^\\n\\*]*\\*\\*", has_text_inside, &twice)) < 0)
        return r;
    return single + twice >= wanted;
}

static int multiple_sections(const struct check *c)
{
    struct str splitter;
    int64_t wanted, n;
    int r = arg_str(c, "section_spliter", &splitter);
    if (r < 0 || (r = arg_int(c, "num_sections", &wanted)) < 0)
        return r;
    struct str pattern = str_printf(c->a, "\\s?%.*s\\s?\\d+\\s?", STR_ARG(strip(splitter)));
    if ((r = count_own(c, pattern, 0, INT64_MAX, &n)) < 0)
        return r;
    return n >= wanted;
}

static int json_format(const struct check *c)
{
    static const struct str fences[] = {STR("```json"), STR("```Json"), STR("```JSON"), STR("```")};
    struct str s = strip(c->text);
    struct value *unused;
    struct error no;
    for (size_t i = 0; i < sizeof fences / sizeof *fences; i++)
        if (str_starts(s, fences[i]))
            s = str_slice(s, fences[i].n, s.n);
    if (str_ends(s, STR("```")))
        s.n -= 3;
    return json_parse(c->a, strip(s), "answer", &unused, &no) == 0;
}

static bool is_title(struct str match)
{
    return strip(strip_of(strip_of(match, STRIP_LEFT, STR("<")), STRIP_RIGHT, STR(">"))).n > 0;
}

static int title(const struct check *c)
{
    int64_t n;
    int r = count_accepted(c, "<<[^\\n]+>>", is_title, &n);
    return r < 0 ? r : n > 0;
}

static int no_comma(const struct check *c)
{
    return !contains(c->text, STR(","));
}

/* ---- combination, start and end ---- */

static int two_responses(const struct check *c)
{
    struct str *parts, valid[2] = {STR(""), STR("")};
    size_t n, found = 0;
    int r = split(c, "\\*\\*\\*\\*\\*\\*", &parts, &n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        struct str part = strip(parts[i]);
        if (part.n == 0 && i > 0 && i < n - 1)
            return 0;
        if (part.n > 0 && found++ < 2)
            valid[found - 1] = part;
    }
    return found == 2 && !str_eq(valid[0], valid[1]);
}

static int repeat_prompt(const struct check *c)
{
    struct str prompt;
    int r = arg_str(c, "prompt_to_repeat", &prompt);
    return r < 0 ? r
                 : str_starts(utf8_lower(c->a, strip(c->text)), utf8_lower(c->a, strip(prompt)));
}

static int end_checker(const struct check *c)
{
    struct str phrase;
    int r = arg_str(c, "end_phrase", &phrase);
    struct str text = strip_of(strip(c->text), STRIP_BOTH, STR("\""));
    return r < 0 ? r : str_ends(utf8_lower(c->a, text), utf8_lower(c->a, strip(phrase)));
}

static int quotation(const struct check *c)
{
    struct str s = strip(c->text);
    return s.n > 1 && s.p[0] == '"' && s.p[s.n - 1] == '"';
}

/* ---- the table ---- */

static const struct kind {
    const char *id;
    int (*follows)(const struct check *c); /* 1, 0, or a negative error */
} kinds[] = {
    {"change_case:capital_word_frequency", capital_word_frequency},
    {"change_case:english_capital", english_capital},
    {"change_case:english_lowercase", english_lowercase},
    {"combination:repeat_prompt", repeat_prompt},
    {"combination:two_responses", two_responses},
    {"detectable_content:number_placeholders", number_placeholders},
    {"detectable_content:postscript", postscript},
    {"detectable_format:constrained_response", constrained_response},
    {"detectable_format:json_format", json_format},
    {"detectable_format:multiple_sections", multiple_sections},
    {"detectable_format:number_bullet_lists", number_bullet_lists},
    {"detectable_format:number_highlighted_sections", number_highlighted_sections},
    {"detectable_format:title", title},
    {"keywords:existence", existence},
    {"keywords:forbidden_words", forbidden},
    {"keywords:frequency", frequency},
    {"keywords:letter_frequency", letter_frequency},
    {"language:response_language", response_language},
    {"length_constraints:nth_paragraph_first_word", nth_paragraph_first_word},
    {"length_constraints:number_paragraphs", number_paragraphs},
    {"length_constraints:number_sentences", number_sentences},
    {"length_constraints:number_words", number_words},
    {"punctuation:no_comma", no_comma},
    {"startend:end_checker", end_checker},
    {"startend:quotation", quotation},
};

static const struct kind *find_kind(struct str id)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_eqz(id, kinds[i].id))
            return &kinds[i];
    return NULL;
}

/* ---- a document ---- */

/* Without its first line (1), its last (2) or both. */
static struct str without_lines(struct str s, int which)
{
    size_t from = 0, to = s.n;
    if (which & 1)
        from = memchr(s.p, '\n', s.n) ? str_find(s, STR("\n"), 0) + 1 : s.n;
    if (which & 2) {
        while (to > 0 && s.p[to - 1] != '\n')
            to--;
        to -= to > 0;
    }
    return strip(from < to ? str_slice(s, from, to) : STR(""));
}

enum { N_WAYS = 8 };

static void trimmed(struct arena *a, struct str answer, struct str ways[N_WAYS])
{
    for (int k = 0; k < 4; k++) {
        ways[k] = k ? without_lines(answer, k) : answer;
        ways[4 + k] = str_substitute(a, ways[k], STR("*"), STR(""));
    }
}

static int verdict(const struct kind *k, const struct check *c, const struct str *ways, int n,
                   bool *ret)
{
    *ret = false;
    for (int i = 0; i < n && !*ret; i++) {
        struct check one = *c;
        struct arena_mark m = arena_mark(c->a);
        one.text = ways[i];
        int r = strip(ways[i]).n ? k->follows(&one) : 0;
        arena_reset(c->a, m);
        if (r < 0)
            return error_prefix(c->err, "instruction %s: ", k->id);
        *ret = r > 0;
    }
    return 0;
}

int ifeval_verdicts(struct arena *a, const struct value *doc, struct str answer, bool **strict,
                    bool **loose, int *n, struct error *err)
{
    const struct value *ids, *args;
    struct str ways[N_WAYS];
    int r = document_need(doc, "instruction_id_list", VALUE_LIST, &ids, err);
    if (r < 0 || (r = document_need(doc, "kwargs", VALUE_LIST, &args, err)) < 0)
        return r;
    if (ids->list.n != args->list.n || ids->list.n == 0)
        return error_set(err, E_INPUT,
                         "instruction_id_list has %zu entries and kwargs %zu; there must be one "
                         "each",
                         ids->list.n, args->list.n);
    *n = (int)ids->list.n;
    *strict = arena_array(a, ids->list.n, sizeof(bool));
    *loose = arena_array(a, ids->list.n, sizeof(bool));
    trimmed(a, answer, ways);
    for (size_t i = 0; i < ids->list.n; i++) {
        const struct value *id = ids->list.items[i];
        const struct kind *k = id->type == VALUE_STR ? find_kind(id->s) : NULL;
        if (!k || args->list.items[i]->type != VALUE_DICT)
            return error_set(err, E_INPUT,
                             k ? "kwargs %zu must be an object"
                               : "instruction %zu is none of IFEval's 25 kinds",
                             i);
        struct check c = {a, args->list.items[i], answer, err};
        if ((r = verdict(k, &c, ways, 1, &(*strict)[i])) < 0 ||
            (r = verdict(k, &c, ways, N_WAYS, &(*loose)[i])) < 0)
            return r;
    }
    return 0;
}
