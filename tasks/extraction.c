/* extraction.c: the steps that look for an answer in a text, as lm_eval/filters/extraction.py and
 * transformation.py (format_span) of lm-evaluation-harness 0.4.13. */
#include <stdio.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "tasks/filter_steps.h"

enum { MAX_GROUPS = 100 };

static int compile(struct regex **ret, struct str pattern, const struct place *at,
                   struct error *err)
{
    char where[300];
    snprintf(where, sizeof where, "%.200s:%d", at->file, at->line);
    return regex_compile(pattern, 0, where, ret, err);
}

static struct str text_or_empty(const struct value *v)
{
    return v->type == VALUE_STR ? v->s : STR("");
}

/* ---- regex ---- */

int regex_open(struct step *s, struct arena *a, const struct value *kwargs, const struct place *at,
               struct error *err)
{
    (void)a;
    static struct value invalid = {.type = VALUE_STR, .s = {"[invalid]", 9}};
    const struct value *pattern = dict_get(kwargs, "regex_pattern");
    s->fallback = dict_get(kwargs, "fallback");
    if (!s->fallback)
        s->fallback = &invalid;
    if (pattern && pattern->type != VALUE_STR)
        return step_wrong(at, err, "regex_pattern must be a string");
    int r = step_int(kwargs, "group_select", 0, at, &s->number, err);
    struct str usual = STR("#### (\\-?[0-9\\.\\,]+)");
    return r < 0 ? r : compile(&s->regex, pattern ? pattern->s : usual, at, err);
}

/* What re.findall gives for one match, and the filter makes of it: the match, its only group, or
 * the first of its groups that is not empty. False: all groups are empty. */
static bool choose_group(struct str s, const struct regex_match *m, int n_groups, struct str *ret)
{
    int first = n_groups > 0, last = n_groups;
    for (int i = first; i <= last && i < MAX_GROUPS; i++) {
        bool took_part = m[i].start != SIZE_MAX;
        *ret = took_part ? str_slice(s, m[i].start, m[i].end) : STR("");
        if (ret->n > 0 || n_groups < 2)
            return true;
    }
    return false;
}

struct found {
    bool any, empty; /* a match; all groups of it empty */
    struct str text;
};

/* The match that `select` means: counted from the start, or from the end when negative. */
static int find_selected(const struct regex *regex, int64_t select, struct str subject,
                         struct found *ret, struct error *err)
{
    struct regex_match m[MAX_GROUPS];
    int n_groups = regex_groups(regex);
    int64_t wanted = select;
    *ret = (struct found){0};
    /* A negative number needs the count first. */
    for (int pass = select < 0 ? 0 : 1; pass < 2; pass++) {
        struct regex_iter it = {0};
        int64_t n = 0;
        for (;; n++) {
            int r = regex_next(regex, subject, &it, m, MAX_GROUPS, err);
            if (r < 0)
                return r;
            if (r == 0)
                break;
            if (pass == 1 && n == wanted) {
                ret->any = true;
                ret->empty = !choose_group(subject, m, n_groups, &ret->text);
                return 0;
            }
        }
        if (pass == 0)
            wanted = n + select;
    }
    /* Fewer matches than group_select asks for end lm-evaluation-harness with an IndexError; to us
     * the answer is not in the expected form. */
    return 0;
}

int regex_apply(const struct step *s, struct passage *p, struct value *answers, struct value **ret)
{
    struct value *in = step_list(p->a, answers), *out = value_list(p->a);
    size_t missed = 0;
    for (size_t i = 0; i < in->list.n; i++) {
        struct found f;
        int r = find_selected(s->regex, s->number, text_or_empty(in->list.items[i]), &f, p->err);
        if (r < 0)
            return r;
        struct value *item = s->fallback;
        missed += !f.any || f.empty;
        if (f.any && !f.empty)
            item = value_str(p->a, utf8_strip(f.text, STRIP_BOTH, NULL));
        else if (f.any && item->type == VALUE_STR)
            item = value_str(p->a, utf8_strip(item->s, STRIP_BOTH, NULL));
        list_push(p->a, out, item);
    }
    step_looked(p, in->list.n, missed);
    *ret = out;
    return 0;
}

/* ---- multi_choice_regex ---- */

static int read_flag(const struct value *kwargs, const char *key, const struct place *at, bool *ret,
                     struct error *err)
{
    const struct value *v = dict_get(kwargs, key);
    if (v && v->type != VALUE_BOOL)
        return step_wrong(at, err, "its ignore_ options must be true or false");
    *ret = v && v->b;
    return 0;
}

int choice_open(struct step *s, struct arena *a, const struct value *kwargs, const struct place *at,
                struct error *err)
{
    const struct value *list = dict_get(kwargs, "regexes_to_ignore");
    int r;
    if ((r = read_flag(kwargs, "ignore_case", at, &s->ignore_case, err)) < 0 ||
        (r = read_flag(kwargs, "ignore_punctuation", at, &s->ignore_punctuation, err)) < 0 ||
        (r = regex_open(s, a, kwargs, at, err)) < 0)
        return r;
    if (!list || list->type == VALUE_NONE)
        return 0;
    if (list->type != VALUE_LIST)
        return step_wrong(at, err, "regexes_to_ignore must be a list");
    s->ignored = arena_array(a, list->list.n, sizeof(struct regex *));
    for (size_t i = 0; i < list->list.n && r == 0; i++) {
        const struct value *v = list->list.items[i];
        if (v->type != VALUE_STR)
            return step_wrong(at, err, "regexes_to_ignore must hold strings");
        r = compile(&s->ignored[i], v->s, at, err);
        s->n_ignored += r == 0;
    }
    return r;
}

/* Unicode's categories P*. */
static struct str without_punctuation(struct arena *a, struct str s)
{
    struct buf b = {0};
    for (size_t i = 0, from = 0; i < s.n; from = i) {
        int32_t cp = utf8_next(s, &i);
        utf8proc_category_t c = cp < 0 ? UTF8PROC_CATEGORY_CN : utf8proc_category(cp);
        if (c < UTF8PROC_CATEGORY_PC || c > UTF8PROC_CATEGORY_PO)
            buf_str(&b, str_slice(s, from, i));
    }
    return buf_take(&b, a);
}

static int without_ignored(const struct step *s, struct passage *p, struct str text,
                           struct str *ret)
{
    for (int i = 0; i < s->n_ignored; i++) {
        int r = regex_sub(s->ignored[i], p->a, text, STR(""), &text, p->err);
        if (r < 0)
            return r;
    }
    if (s->ignore_case)
        text = utf8_lower(p->a, text);
    if (s->ignore_punctuation)
        text = without_punctuation(p->a, text);
    *ret = text;
    return 0;
}

/* What a document's choices are looked for by. */
struct choice_patterns {
    size_t n;
    struct str *texts;                 /* [n] less what is ignored */
    struct regex *by_text, *by_letter; /* "red|blue", ":[\s]*(A|B)" */
};

static void put_letter(struct buf *b, size_t i)
{
    char text[4];
    int n = utf8_put('A' + (int32_t)i, text); /* what chr() gives behind Z, too */
    buf_add(b, text, (size_t)n);
}

/* The longest first, so that a choice that another one starts with does not hide it; stable. */
static void put_longest_first(struct buf *b, struct str *parts, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && utf8_len(parts[k]) > utf8_len(parts[k - 1]); k--) {
            struct str swap = parts[k];
            parts[k] = parts[k - 1];
            parts[k - 1] = swap;
        }
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s%.*s", i ? "|" : "", STR_ARG(parts[i]));
}

static int compile_choices(const struct step *s, struct passage *p, struct choice_patterns *ret)
{
    enum { MOST = 1000 };
    const struct value *choices = dict_get(p->doc, "choices");
    if (!choices || choices->type != VALUE_LIST || choices->list.n == 0 || choices->list.n > MOST)
        return error_set(p->err, E_INPUT,
                         "filter multi_choice_regex: the document needs a field \"choices\" with a "
                         "list of texts");
    size_t n = ret->n = choices->list.n;
    struct str *parts = arena_array(p->a, n, sizeof *parts);
    struct buf text = {0}, letter = {0};
    ret->texts = arena_array(p->a, n, sizeof *ret->texts);
    buf_puts(&letter, ":[\\s]*(");
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct value *c = choices->list.items[i];
        if (c->type != VALUE_STR)
            r = error_set(p->err, E_INPUT,
                          "filter multi_choice_regex: choice %zu of the document is not text", i);
        else
            r = without_ignored(s, p, utf8_strip(c->s, STRIP_BOTH, NULL), &ret->texts[i]);
        if (r < 0)
            break;
        parts[i] = regex_escape(p->a, ret->texts[i]);
        buf_puts(&letter, i ? "|" : "");
        put_letter(&letter, i);
    }
    buf_puts(&letter, ")");
    if (r == 0) {
        put_longest_first(&text, parts, n);
        r = regex_compile(buf_view(&text), 0, "multi_choice_regex, the choices of a document",
                          &ret->by_text, p->err);
    }
    if (r == 0)
        r = regex_compile(buf_view(&letter), 0, "multi_choice_regex, the letters of a document",
                          &ret->by_letter, p->err);
    buf_free(&text);
    buf_free(&letter);
    return r;
}

/* "(A)" for the choice of that text; of equal ones the last, as in a Python dict. */
static struct str letter_of_text(struct arena *a, const struct choice_patterns *c, struct str text)
{
    for (size_t i = c->n; i-- > 0;)
        if (str_eq(c->texts[i], text)) {
            struct buf b = {0};
            buf_puts(&b, "(");
            put_letter(&b, i);
            buf_puts(&b, ")");
            return buf_take(&b, a);
        }
    return text;
}

/* The pattern's match; else a choice's text; else a letter behind a colon. "" when there is none.
 */
static int find_choice(const struct step *s, struct passage *p, const struct choice_patterns *c,
                       struct str answer, struct str *ret)
{
    struct found f;
    struct str text;
    int r = find_selected(s->regex, s->number, answer, &f, p->err);
    *ret = f.any && !f.empty ? utf8_strip(f.text, STRIP_BOTH, NULL) : STR("");
    if (r < 0 || ret->n)
        return r;
    if ((r = without_ignored(s, p, answer, &text)) < 0 ||
        (r = find_selected(c->by_text, s->number, text, &f, p->err)) < 0)
        return r;
    *ret = f.any ? utf8_strip(f.text, STRIP_BOTH, NULL) : STR("");
    if (ret->n) {
        *ret = letter_of_text(p->a, c, *ret);
        return 0;
    }
    if ((r = find_selected(c->by_letter, s->number, answer, &f, p->err)) < 0)
        return r;
    *ret = f.any ? str_printf(p->a, "(%.*s)", STR_ARG(f.text)) : STR("");
    return 0;
}

int choice_apply(const struct step *s, struct passage *p, struct value *answers, struct value **ret)
{
    struct value *in = step_list(p->a, answers), *out = value_list(p->a);
    struct choice_patterns c = {0};
    size_t missed = 0;
    int r = compile_choices(s, p, &c);
    for (size_t i = 0; i < in->list.n && r == 0; i++) {
        struct str found = {0};
        r = find_choice(s, p, &c, text_or_empty(in->list.items[i]), &found);
        missed += found.n == 0;
        list_push(p->a, out, found.n ? value_str(p->a, found) : s->fallback);
    }
    regex_free(c.by_text);
    regex_free(c.by_letter);
    if (r < 0)
        return r;
    step_looked(p, in->list.n, missed);
    *ret = out;
    return 0;
}

/* ---- regex_pos ---- */

/* Its own pattern argument is compiled and then not used, in lm-evaluation-harness too. */
int pos_open(struct step *s, struct arena *a, const struct value *kwargs, const struct place *at,
             struct error *err)
{
    const struct value *pattern = dict_get(kwargs, "regex_pattern");
    struct value *fallback = dict_get(kwargs, "fallback");
    struct regex *unused = NULL;
    int r = 0;
    if (pattern && pattern->type != VALUE_STR)
        return step_wrong(at, err, "regex_pattern must be a string");
    if (pattern && (r = compile(&unused, pattern->s, at, err)) < 0)
        return r;
    regex_free(unused);
    if (!fallback || fallback->type == VALUE_NONE) {
        fallback = value_list(a);
        list_push(a, fallback, value_strz(a, "invalid"));
    }
    s->fallback = fallback;
    return compile(&s->regex, STR("\\('([^']*)', '([^']*)'\\)"), at, err);
}

int pos_apply(const struct step *s, struct passage *p, struct value *answers, struct value **ret)
{
    struct value *in = step_list(p->a, answers), *out = value_list(p->a);
    size_t missed = 0;
    for (size_t i = 0; i < in->list.n; i++) {
        struct str text = text_or_empty(in->list.items[i]);
        struct value *tags = value_list(p->a);
        struct regex_iter it = {0};
        struct regex_match m[3];
        int r;
        while ((r = regex_next(s->regex, text, &it, m, 3, p->err)) > 0)
            list_push(p->a, tags, value_str(p->a, str_slice(text, m[2].start, m[2].end)));
        if (r < 0)
            return r;
        missed += tags->list.n == 0;
        list_push(p->a, out, tags->list.n ? tags : s->fallback);
    }
    step_looked(p, in->list.n, missed);
    *ret = out;
    return 0;
}

/* ---- format_span ---- */

/* In this order: a label that one rule wrote is not changed by the next, which are lower case. */
static const char *const span_labels[][2] = {
    {"person", "PER"},  {"location", "LOC"},  {"organization", "ORG"}, {"counties", "LOC"},
    {"places", "LOC"},  {"people", "PER"},    {"persons", "PER"},      {"company", "ORG"},
    {"country", "LOC"}, {"continent", "LOC"}, {"time", "DATE"},        {"date", "DATE"},
    {"per", "PER"},     {"loc", "LOC"},       {"org", "ORG"},
};
enum { N_SPAN_LABELS = sizeof span_labels / sizeof *span_labels };

/* `ignored` holds a pattern for each label's name, `regex` the labels with what follows them. */
int span_open(struct step *s, struct arena *a, const struct value *kwargs, const struct place *at,
              struct error *err)
{
    (void)kwargs;
    s->ignored = arena_array(a, N_SPAN_LABELS, sizeof(struct regex *));
    int r = 0;
    for (int i = 0; i < N_SPAN_LABELS && r == 0; i++) {
        struct str pattern = str_printf(a, "\\b%s\\s*:", span_labels[i][0]);
        r = compile(&s->ignored[i], pattern, at, err);
        s->n_ignored += r == 0;
    }
    return r < 0 ? r : compile(&s->regex, STR("\\b(PER|LOC|ORG|DATE):\\s*([^$]+)"), at, err);
}

/* "label: a, b" becomes "label: a $ label: b"; entities that say "none" go. */
static void put_entities(struct buf *b, struct arena *a, struct str label, struct str values)
{
    for (size_t from = 0; from <= values.n;) {
        size_t comma = str_find(values, STR(","), from);
        size_t end = comma == SIZE_MAX ? values.n : comma;
        struct str entity = utf8_strip(str_slice(values, from, end), STRIP_BOTH, NULL);
        if (!str_eqz(utf8_lower(a, entity), "none"))
            buf_printf(b, "%s%.*s: %.*s", b->n ? " $ " : "", STR_ARG(utf8_lower(a, label)),
                       STR_ARG(entity));
        from = end + 1;
    }
}

static int format_spans(const struct step *s, struct passage *p, struct str text, struct str *ret)
{
    struct arena *a = p->a;
    static const struct str dollar = {"$", 1};
    struct buf b = {0};
    struct regex_iter it = {0};
    struct regex_match m[3];
    int r = 0;
    text = utf8_lower(a, text);
    for (int i = 0; i < N_SPAN_LABELS && r >= 0; i++)
        r = regex_sub(s->ignored[i], a, text, str_printf(a, "%s:", span_labels[i][1]), &text,
                      p->err);
    if (r < 0)
        return r;
    text = utf8_strip(str_substitute(a, text, STR("$$"), dollar), STRIP_RIGHT, &dollar);
    text = utf8_strip(str_substitute(a, text, STR("\n"), dollar), STRIP_BOTH, NULL);
    while ((r = regex_next(s->regex, text, &it, m, 3, p->err)) > 0)
        put_entities(&b, a, str_slice(text, m[1].start, m[1].end),
                     str_slice(text, m[2].start, m[2].end));
    *ret = buf_take(&b, a);
    return r;
}

int span_apply(const struct step *s, struct passage *p, struct value *answers, struct value **ret)
{
    struct value *in = step_list(p->a, answers), *out = value_list(p->a);
    for (size_t i = 0; i < in->list.n; i++) {
        struct str text;
        int r = format_spans(s, p, text_or_empty(in->list.items[i]), &text);
        if (r < 0)
            return r;
        list_push(p->a, out, value_str(p->a, text));
    }
    *ret = out;
    return 0;
}
