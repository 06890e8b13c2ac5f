#include "tasks/python.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/regex.h"

enum {
    MAX_MODULE = 4 << 20,
    MAX_BLOCKS = 4096,
};

/* ---- functions known by their source ---- */

static const struct {
    const char *fingerprint, *builtin;
} known[] = {
#include "tasks/python_known.h"
};
enum { N_KNOWN = sizeof known / sizeof *known };

/* ---- a module ---- */

/* A top-level statement with what is indented below it. */
struct block {
    struct str text;
    struct value *names; /* that it defines: a dict used as a set; NULL: everything (import *) */
};

struct module {
    const char *path;
    bool there;
    struct str text;
    struct {
        struct block *items;
        size_t n, cap;
    } blocks;
};

struct python {
    struct arena arena;
    struct {
        struct module **items;
        size_t n, cap;
    } modules;
    struct value *by_path;  /* path -> index */
    struct value *by_place; /* "DIR spec" -> index of a function */
    struct {
        struct python_function *items;
        size_t n, cap;
    } functions;
    struct regex *filter_def, *partial, *comprehension; /* shapes, compiled at first use */
};

struct python *python_new(void)
{
    struct python *p = mem_alloc(1, sizeof *p);
    p->by_path = value_dict(&p->arena);
    p->by_place = value_dict(&p->arena);
    return p;
}

void python_free(struct python *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->modules.n; i++)
        free(p->modules.items[i]->blocks.items);
    free(p->modules.items);
    free(p->functions.items);
    regex_free(p->filter_def);
    regex_free(p->partial);
    regex_free(p->comprehension);
    arena_free(&p->arena);
    free(p);
}

static bool is_word(char c)
{
    return c == '_' || isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The next identifier at or after *i; false at the end. */
static bool next_word(struct str s, size_t *i, struct str *ret)
{
    while (*i < s.n && !(is_word(s.p[*i]) && !isdigit((unsigned char)s.p[*i])))
        ++*i;
    size_t from = *i;
    while (*i < s.n && is_word(s.p[*i]))
        ++*i;
    *ret = str_slice(s, from, *i);
    return ret->n > 0;
}

static void define(struct arena *a, struct block *b, struct str name)
{
    dict_put(a, b->names, value_str(a, name), value_none(a));
}

static struct str line_at(struct str s, size_t from, size_t *next)
{
    size_t end = str_find(s, STR("\n"), from);
    end = end == SIZE_MAX ? s.n : end;
    *next = end < s.n ? end + 1 : end;
    return str_slice(s, from, end);
}

/* The names that an import statement, a def, a class or an assignment binds. */
static void find_names(struct arena *a, struct block *b)
{
    size_t i = 0;
    struct str word;
    b->names = value_dict(a);
    while (i < b->text.n && b->text.p[i] == '@') /* decorators */
        line_at(b->text, i, &i);
    size_t start = i;
    if (!next_word(b->text, &i, &word) || (size_t)(word.p - b->text.p) != start)
        return;
    if (str_eqz(word, "async"))
        next_word(b->text, &i, &word);
    if (str_eqz(word, "def") || str_eqz(word, "class")) {
        if (next_word(b->text, &i, &word))
            define(a, b, word);
    } else if (str_eqz(word, "import") || str_eqz(word, "from")) {
        if (str_find(b->text, STR("import *"), 0) != SIZE_MAX)
            b->names = NULL;
        while (b->names && next_word(b->text, &i, &word))
            define(a, b, word);
    } else {
        struct str rest = str_slice(b->text, i, b->text.n);
        if (str_starts(rest, STR(" = ")) || str_starts(rest, STR(": ")) ||
            str_starts(rest, STR(" += ")))
            define(a, b, word);
    }
}

/* How many times the quotes stand in the line. */
static int count_quotes(struct str line, const char *quotes)
{
    int n = 0;
    for (size_t at = 0; (at = str_find(line, str_of(quotes), at)) != SIZE_MAX; at += 3)
        n++;
    return n;
}

static struct str trimmed(struct str s)
{
    while (s.n && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

/* A line that starts a block: at the margin, outside a long string, and no closing bracket. What
 * stands behind a decorator belongs to it. */
static bool starts_block(struct str line, bool in_string, bool decorated)
{
    return line.n && !in_string && !decorated && !isspace((unsigned char)line.p[0]) &&
           !strchr("#)]}", line.p[0]);
}

static void split_blocks(struct arena *a, struct module *m)
{
    bool in_string = false, decorated = false;
    size_t from = 0;
    for (size_t i = 0, next; i < m->text.n && m->blocks.n < MAX_BLOCKS; i = next) {
        struct str line = line_at(m->text, i, &next);
        if (starts_block(line, in_string, decorated) && i > from) {
            *ARRAY_PUSH(&m->blocks) = (struct block){.text = trimmed(str_slice(m->text, from, i))};
            from = i;
        }
        if (!in_string && line.n && line.p[0] != ' ')
            decorated = line.p[0] == '@';
        in_string ^= (count_quotes(line, "\"\"\"") + count_quotes(line, "'''")) & 1;
    }
    *ARRAY_PUSH(&m->blocks) = (struct block){.text = trimmed(str_slice(m->text, from, m->text.n))};
    for (size_t i = 0; i < m->blocks.n; i++)
        find_names(a, &m->blocks.items[i]);
}

static const struct module *read_module(struct python *p, const char *path)
{
    const struct value *at = dict_get(p->by_path, path);
    if (at)
        return p->modules.items[at->i];
    struct module *m = arena_alloc(&p->arena, sizeof *m);
    *m = (struct module){.path = arena_printf(&p->arena, "%s", path)};
    dict_set(&p->arena, p->by_path, m->path, value_int(&p->arena, (int64_t)p->modules.n));
    *ARRAY_PUSH(&p->modules) = m;
    m->there = file_exists(path) && file_read(&p->arena, path, MAX_MODULE, &m->text, NULL) == 0;
    if (m->there)
        split_blocks(&p->arena, m);
    return m;
}

/* ---- fingerprints ---- */

static void need_names(const struct module *m, struct str text, bool *need)
{
    struct str word;
    for (size_t i = 0; next_word(text, &i, &word);) {
        const struct value key = {.type = VALUE_STR, .s = word};
        for (size_t k = 0; k < m->blocks.n; k++) {
            const struct block *b = &m->blocks.items[k];
            if (need[k] || (b->names && !dict_find(b->names, &key)))
                continue;
            need[k] = true;
            need_names(m, b->text, need); /* as deep as there are blocks at most */
        }
    }
}

static const struct block *find_block(const struct module *m, struct str name)
{
    const struct value key = {.type = VALUE_STR, .s = name};
    const struct block *last = NULL; /* a later definition takes the place of an earlier one */
    for (size_t k = 0; k < m->blocks.n; k++)
        if (m->blocks.items[k].names && dict_find(m->blocks.items[k].names, &key))
            last = &m->blocks.items[k];
    return last;
}

static const char *fingerprint(struct arena *a, const struct module *m, struct str name)
{
    bool *need = arena_array(a, m->blocks.n, sizeof *need);
    char hex[HASH_HEX];
    struct hasher *h = hasher_new();
    need_names(m, name, need);
    hasher_field(h, name);
    for (size_t k = 0; k < m->blocks.n; k++)
        if (need[k])
            hasher_field(h, m->blocks.items[k].text);
    hasher_end(h, hex);
    return arena_printf(a, "%.16s", hex);
}

/* ---- functions known by their shape ---- */

static bool matches(struct regex **r, const char *pattern, struct str text, struct regex_match *m,
                    int n)
{
    if (!*r && regex_compile(str_of(pattern), 0, "a shape of python.c", r, NULL) < 0)
        return false;
    return regex_search(*r, text, 0, true, m, n, NULL) > 0;
}

/* What a filter keeps: the rows whose field is the prefix and the function's argument. */
struct shape {
    struct str field, prefix;
};

/* def F(dataset, X): return dataset.filter(lambda x: x["FIELD"] == X), or == f"PREFIX{X}" */
static bool is_filter(struct python *p, const struct module *m, struct str name, struct shape *ret)
{
    static const char shape[] =
        "def (\\w+)\\((\\w+)(?:: [\\w.]+)?, (\\w+)(?:: str)?\\)(?: -> [\\w.]+)?:\\n    return "
        "\\2\\.filter\\(\\s*lambda (\\w+): \\4\\[\"(\\w+)\"\\] == "
        "(?:\\3|f\"([\\w.-]*)\\{\\3\\}\")\\s*\\)\\z";
    const struct block *b = find_block(m, name);
    struct regex_match g[7];
    if (!b || !matches(&p->filter_def, shape, b->text, g, 7))
        return false;
    ret->field = str_slice(b->text, g[5].start, g[5].end);
    ret->prefix = g[6].start == SIZE_MAX ? STR("") : str_slice(b->text, g[6].start, g[6].end);
    return true;
}

static const char *where(struct arena *a, const struct shape *s, struct str value)
{
    return arena_printf(a, "assay.where(%.*s=%.*s%.*s)", STR_ARG(s->field), STR_ARG(s->prefix),
                        STR_ARG(value));
}

/* NAME = partial(F, X="VALUE") */
static const char *partial_filter(struct python *p, const struct module *m, struct str name)
{
    const struct block *b = find_block(m, name);
    struct regex_match g[5];
    struct shape shape;
    if (!b ||
        !matches(
            &p->partial,
            "(\\w+) = (?:functools\\.)?partial\\(\\s*(\\w+), (\\w+)=\"([^\"\\\\]*)\",?\\s*\\)\\z",
            b->text, g, 5))
        return NULL;
    if (!is_filter(p, m, str_slice(b->text, g[2].start, g[2].end), &shape))
        return NULL;
    return where(&p->arena, &shape, str_slice(b->text, g[4].start, g[4].end));
}

/* X.lower() with characters replaced: how a subject's name goes into a function's. */
static struct str slug(struct arena *a, struct str s, bool lower, bool ampersand)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n; i++) {
        if (ampersand && str_starts(str_slice(s, i, s.n), STR(" & "))) {
            buf_char(&b, '_');
            i += 2;
        } else if (lower) {
            buf_char(&b, s.p[i] == ' ' ? '_' : (char)tolower((unsigned char)s.p[i]));
        } else {
            buf_char(&b, s.p[i]);
        }
    }
    return buf_take(&b, a);
}

/* The list that the module assigns to a name. */
static const struct value *list_of(struct python *p, const struct module *m, struct str name)
{
    const struct block *b = find_block(m, name);
    struct value *v;
    size_t at = b ? str_find(b->text, STR(" = "), 0) : SIZE_MAX;
    if (at == SIZE_MAX ||
        literal_eval(&p->arena, str_slice(b->text, at + 3, b->text.n), &v, NULL) < 0 ||
        v->type != VALUE_LIST)
        return NULL;
    return v;
}

/* process_functions = {f"process_{X}": partial(F, X=X) for X in LIST}, put into globals(). */
static const char *generated_filter(struct python *p, const struct module *m, struct str name)
{
    static const char form[] =
        "process_functions = \\{\\s+f\"process_\\{(\\w+)(\\.lower\\(\\))?(\\.replace\\(' & ', "
        "'_'\\))?(\\.replace\\(' ', '_'\\))?\\}\": partial\\(\\s*(\\w+), (\\w+)=\\1\\s*\\)\\s+for "
        "\\1 in (\\w+)\\s*\\}\\z";
    const struct block *b = find_block(m, STR("process_functions"));
    struct regex_match g[8];
    struct shape shape;
    if (!str_starts(name, STR("process_")) || !b ||
        !matches(&p->comprehension, form, b->text, g, 8) ||
        !is_filter(p, m, str_slice(b->text, g[5].start, g[5].end), &shape))
        return NULL;
    bool lower = g[2].start != SIZE_MAX, ampersand = g[3].start != SIZE_MAX;
    if (lower != (g[4].start != SIZE_MAX))
        return NULL;
    const struct value *list = list_of(p, m, str_slice(b->text, g[7].start, g[7].end));
    for (size_t i = 0; list && i < list->list.n; i++) {
        const struct value *v = list->list.items[i];
        if (v->type == VALUE_STR && str_eq(slug(&p->arena, v->s, lower, ampersand),
                                           str_slice(name, strlen("process_"), name.n)))
            return where(&p->arena, &shape, v->s);
    }
    return NULL;
}

/* One module of OpenAI's MMMLU registers a function for each subject of a JSON file. A known
 * built-in that ends in "(*)" takes the rest of the name "process_REST". */
static const char *registered(struct arena *a, const char *builtin, struct str name)
{
    const char *star = strstr(builtin, "(*)");
    if (!star)
        return builtin;
    if (!str_starts(name, STR("process_")))
        return NULL;
    return arena_printf(a, "%.*s(%.*s)", (int)(star - builtin), builtin,
                        STR_ARG(str_slice(name, strlen("process_"), name.n)));
}

static const char *find_builtin(struct python *p, const struct module *m, struct str name,
                                const char *print)
{
    for (int i = 0; print && i < N_KNOWN; i++)
        if (strcmp(known[i].fingerprint, print) == 0)
            return registered(&p->arena, known[i].builtin, name);
    const char *shape = partial_filter(p, m, name);
    return shape ? shape : generated_filter(p, m, name);
}

/* ---- from a task file ---- */

/* "a.b.name" is name in a/b.py beside the task file. */
static struct python_function look(struct python *p, const char *dir, struct str spec)
{
    struct arena *a = &p->arena;
    struct python_function f = {.spec = arena_printf(a, "%.*s", STR_ARG(spec))};
    size_t dot = spec.n;
    while (dot > 0 && spec.p[dot - 1] != '.')
        dot--;
    if (dot < 2)
        return f;
    char *file = arena_printf(a, "%.*s.py", (int)(dot - 1), spec.p);
    for (char *c = file; c < file + dot - 1; c++)
        if (*c == '.')
            *c = '/';
    const struct module *m = read_module(p, path_join(a, dir, file));
    if (!m->there)
        return f;
    struct str name = str_slice(spec, dot, spec.n);
    f.module = m->path;
    struct str registers = STR("_register_subject_filters");
    if (find_block(m, name))
        f.fingerprint = fingerprint(a, m, name);
    else if (find_block(m, registers))
        f.fingerprint = fingerprint(a, m, registers);
    f.builtin = find_builtin(p, m, name, f.fingerprint);
    return f;
}

struct python_function python_find(struct python *p, const char *yaml, struct str spec)
{
    const char *dir = path_dir(&p->arena, yaml);
    const char *place = arena_printf(&p->arena, "%s %.*s", dir, STR_ARG(spec));
    const struct value *at = dict_get(p->by_place, place);
    if (at)
        return p->functions.items[at->i];
    dict_set(&p->arena, p->by_place, place, value_int(&p->arena, (int64_t)p->functions.n));
    struct python_function f = look(p, dir, spec);
    *ARRAY_PUSH(&p->functions) = f;
    return f;
}

bool python_is_foreign(const struct value *v)
{
    return v->type == VALUE_STR && v->tag && strcmp(v->tag, "!function") == 0 &&
           !str_starts(v->s, STR("assay."));
}

void python_resolve(struct python *p, const char *yaml, struct value *v)
{
    if (v->type == VALUE_LIST)
        for (size_t i = 0; i < v->list.n; i++)
            python_resolve(p, yaml, v->list.items[i]);
    if (v->type == VALUE_DICT)
        for (size_t i = 0; i < v->dict.n; i++)
            python_resolve(p, yaml, v->dict.entries[i].value);
    if (!python_is_foreign(v))
        return;
    struct python_function f = python_find(p, yaml, v->s);
    if (!f.builtin)
        return;
    v->s = str_of(f.builtin);
    if (str_starts(v->s, STR("{{"))) /* a template says the same */
        v->tag = NULL;
}
