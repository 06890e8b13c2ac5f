#include "tasks/definition.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/embedded.h"
#include "base/file.h"
#include "base/yaml.h"
#include "tasks/config.h"
#include "tasks/python.h"
#include "tasks/task_internal.h"

enum {
    MAX_INCLUDES = 32, /* one inside the other */
    MAX_FOLDERS = 32,
    MAX_DEFINITION = 16 << 20,
};

extern const struct embedded task_catalog[];

struct source {
    const char *path;
    struct value *parsed;         /* its own keys; NULL until it is asked for */
    struct definition definition; /* with what it includes; config NULL until it is asked for */
    struct heading *heading;
};

struct library {
    struct arena arena;
    struct {
        struct source *items;
        size_t n, cap;
    } sources;
    struct value *by_path; /* path -> index of its source */
    struct python *python;
};

/* The files that are being included, innermost first. */
struct chain {
    const char *path;
    const struct chain *outer;
};

struct library *library_new(void)
{
    struct library *l = mem_alloc(1, sizeof *l);
    l->by_path = value_dict(&l->arena);
    l->python = python_new();
    return l;
}

void library_free(struct library *l)
{
    if (!l)
        return;
    free(l->sources.items);
    python_free(l->python);
    arena_free(&l->arena);
    free(l);
}

struct arena *library_arena(struct library *l)
{
    return &l->arena;
}

const char *library_builtin(int i)
{
    return task_catalog[i].name;
}

static bool is_builtin(const char *path)
{
    return strncmp(path, "assay:", 6) == 0;
}

static size_t source_find(struct library *l, const char *path)
{
    const struct value *known = dict_get(l->by_path, path);
    if (known)
        return (size_t)known->i;
    const char *copy = arena_printf(&l->arena, "%s", path);
    dict_set(&l->arena, l->by_path, copy, value_int(&l->arena, (int64_t)l->sources.n));
    *ARRAY_PUSH(&l->sources) = (struct source){.path = copy};
    return l->sources.n - 1;
}

static int source_text(struct library *l, const char *path, struct str *ret, struct error *err)
{
    if (!is_builtin(path))
        return file_read(&l->arena, path, MAX_DEFINITION, ret, err);
    for (const struct embedded *e = task_catalog; e->name; e++)
        if (strcmp(e->name, path + 6) == 0) {
            *ret = (struct str){e->text, e->n};
            return 0;
        }
    return error_set(err, E_IO, "there is no built-in task file \"%s\"", path);
}

/* The path of `name` as the file `from` includes it. */
static const char *include_path(struct arena *a, const char *from, struct str name)
{
    const char *inc = arena_copy(a, name.p, name.n);
    if (is_builtin(inc))
        return inc;
    if (!is_builtin(from))
        return path_join(a, path_dir(a, from), inc);
    const char *slash = strrchr(from, '/');
    return arena_printf(a, "%.*s%s", (int)(slash ? slash + 1 - from : 6), from, inc);
}

static int check_chain(const struct chain *c, const char *path, struct error *err)
{
    int depth = 0;
    for (const struct chain *k = c; k; k = k->outer, depth++)
        if (strcmp(k->path, path) == 0)
            return error_set(err, E_INPUT, "%s includes \"%s\", which includes it: a cycle",
                             c->path, path);
    if (depth > MAX_INCLUDES)
        return error_set(err, E_INPUT, "%s: more than %d files include one another", path,
                         MAX_INCLUDES);
    return 0;
}

static int load(struct library *l, const char *path, const struct chain *outer,
                struct definition *ret, struct error *err);

/* `samples: !function assay.samples(FILE)` becomes the samples of the built-in task file FILE. */
static int borrow_samples(struct library *l, const char *path, struct value *own, struct error *err)
{
    struct value *shots = dict_get(own, "fewshot_config");
    const struct value *v = shots && shots->type == VALUE_DICT ? dict_get(shots, "samples") : NULL;
    const char *name = function_name(v);
    struct str call = str_of(name ? name : "");
    if (!str_starts(call, STR("samples(")) || !str_ends(call, STR(")")))
        return 0;
    struct str file = str_slice(call, strlen("samples("), call.n - 1);
    const char *from = arena_printf(&l->arena, "assay:%.*s", STR_ARG(file));
    struct chain c = {path, NULL};
    struct definition d;
    int r = load(l, from, &c, &d, err);
    if (r < 0)
        return error_prefix(err, "%s:%d: samples: ", path, v->line);
    struct value *samples = dict_get(dict_get(d.config, "fewshot_config"), "samples");
    if (!samples || samples->type != VALUE_LIST)
        return error_set(err, E_INPUT, "%s:%d: samples: \"%s\" has none in its fewshot_config",
                         path, v->line, from);
    dict_set(&l->arena, shots, "samples", samples);
    return 0;
}

/* The file's own keys, checked. */
static int own_keys(struct library *l, const char *path, struct value **ret, struct error *err)
{
    size_t i = source_find(l, path);
    if (!l->sources.items[i].parsed) {
        struct str text;
        struct value *v;
        int r = source_text(l, path, &text, err);
        if (r == 0)
            r = error_cause(err, yaml_parse(&l->arena, text, path, &v, err), "bad YAML");
        if (r < 0)
            return r;
        if (v->type != VALUE_DICT)
            return error_set(err, E_INPUT,
                             "%s: a task file is a list of \"key: value\" pairs, this one is a %s",
                             path, value_type_name(v));
        r = config_check_keys(v, path, err);
        if (r < 0)
            return r;
        if (!is_builtin(path)) {
            python_resolve(l->python, path, v);
            if ((r = borrow_samples(l, path, v, err)) < 0)
                return r;
        }
        l->sources.items[i].parsed = v;
    }
    *ret = l->sources.items[i].parsed;
    return 0;
}

struct definition definition_merge(struct arena *a, struct definition base, struct definition over)
{
    struct definition d = {value_dict(a), value_dict(a)};
    struct definition layers[] = {base, over};
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; layers[k].config && i < layers[k].config->dict.n; i++) {
            struct value_entry e = layers[k].config->dict.entries[i];
            struct value *source = dict_find(layers[k].sources, e.key);
            dict_put(a, d.config, e.key, e.value);
            dict_put(a, d.sources, e.key, source ? source : value_strz(a, ""));
        }
    }
    return d;
}

/* The names under `include`, as a list. */
static int include_list(struct library *l, const struct value *own, const char *path,
                        const struct value **ret, struct error *err)
{
    struct value *v = dict_get(own, "include"), *list = value_list(&l->arena);
    *ret = list;
    if (!v)
        return 0;
    if (v->type == VALUE_STR)
        list_push(&l->arena, list, v);
    else if (v->type == VALUE_LIST)
        *ret = v;
    for (size_t i = 0; i < (*ret)->list.n; i++)
        if ((*ret)->list.items[i]->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s:%d: include must name files", path, v->line);
    return (*ret)->list.n > 0 ? 0
                              : error_set(err, E_INPUT,
                                          "%s:%d: include must name a file or a list "
                                          "of files",
                                          path, v->line);
}

static int load(struct library *l, const char *path, const struct chain *outer,
                struct definition *ret, struct error *err)
{
    struct value *own = NULL;
    const struct value *includes;
    struct chain c = {path, outer};
    size_t k = source_find(l, path);
    int r = check_chain(outer, path, err);
    if (r == 0 && l->sources.items[k].definition.config) {
        *ret = l->sources.items[k].definition;
        return 0;
    }
    if (r < 0 || (r = own_keys(l, path, &own, err)) < 0 ||
        (r = include_list(l, own, path, &includes, err)) < 0)
        return r;
    struct arena *a = &l->arena;
    struct definition d = {value_dict(a), value_dict(a)}, inner;
    for (size_t i = 0; i < includes->list.n; i++) {
        const struct value *name = includes->list.items[i];
        r = load(l, include_path(a, path, name->s), &c, &inner, err);
        if (r == E_IO)
            return error_cause(err, error_prefix(err, "%s:%d: include: ", path, name->line),
                               "include");
        if (r < 0)
            return r;
        d = definition_merge(a, d, inner);
    }
    struct definition mine = {value_dict(a), value_dict(a)};
    for (size_t i = 0; i < own->dict.n; i++) {
        struct value_entry e = own->dict.entries[i];
        if (str_eqz(e.key->s, "include"))
            continue;
        dict_put(a, mine.config, e.key, e.value);
        dict_put(a, mine.sources, e.key, value_strz(a, arena_printf(a, "%s", path)));
    }
    *ret = l->sources.items[k].definition = definition_merge(a, d, mine);
    return 0;
}

int definition_load(struct library *l, const char *path, struct definition *ret, struct error *err)
{
    return load(l, path, NULL, ret, err);
}

const char *definition_where(struct arena *a, const struct value *config,
                             const struct value *sources, const char *key, const char *file)
{
    const struct value *v = dict_get(config, key), *source = dict_get(sources, key);
    const char *path = source && source->s.n ? arena_copy(a, source->s.p, source->s.n) : file;
    return v && v->line > 0 ? arena_printf(a, "%s:%d", path, v->line) : path;
}

/* ---- headings ---- */

/* Names gathered for one key. */
struct names {
    const char **items;
    size_t n;
};

struct scan {
    struct arena *a;
    struct str text;
    size_t at;
    bool unsure; /* YAML that this scan does not read */
};

static struct str scan_line(struct scan *s)
{
    size_t end = str_find(s->text, STR("\n"), s->at);
    if (end == SIZE_MAX)
        end = s->text.n;
    struct str line = str_slice(s->text, s->at, end);
    s->at = end < s->text.n ? end + 1 : end;
    return line;
}

static struct str trim(struct str s)
{
    while (s.n && strchr(" \t\r", s.p[0]))
        s = str_slice(s, 1, s.n);
    while (s.n && strchr(" \t\r", s.p[s.n - 1]))
        s.n--;
    return s;
}

/* A plain or quoted scalar that fits one line, without its comment; "" when there is none. */
static struct str scan_scalar(struct scan *s, struct str v)
{
    v = trim(v);
    if (v.n == 0 || v.p[0] == '#')
        return STR("");
    if (v.p[0] == '"' || v.p[0] == '\'') {
        const char *end = memchr(v.p + 1, v.p[0], v.n - 1);
        s->unsure |= !end || memchr(v.p, '\\', v.n) != NULL;
        return end ? str_slice(v, 1, (size_t)(end - v.p)) : STR("");
    }
    s->unsure |= strchr("&*|>!{[@`%", v.p[0]) != NULL;
    size_t comment = str_find(v, STR(" #"), 0);
    return trim(str_slice(v, 0, comment == SIZE_MAX ? v.n : comment));
}

static void add_name(struct scan *s, struct names *names, struct str name)
{
    names->items = arena_grown(s->a, names->items, names->n, sizeof *names->items);
    names->items[names->n++] = arena_copy(s->a, name.p, name.n);
}

/* The value behind `key:`: a scalar, or a list with one "- item" a line. */
static void scan_names(struct scan *s, struct str value, struct names *names)
{
    names->n = 0;
    struct str one = scan_scalar(s, value);
    if (one.n) {
        add_name(s, names, one);
        return;
    }
    for (;;) {
        size_t before = s->at;
        struct str line = trim(scan_line(s));
        if (line.n == 0 || line.p[0] == '#') {
            if (s->at == before)
                return;
            continue;
        }
        if (!str_starts(line, STR("- "))) {
            s->at = before;
            return;
        }
        add_name(s, names, scan_scalar(s, str_slice(line, 2, line.n)));
    }
}

struct heading_keys {
    struct names task, group, tag, include;
    bool is_python;
};

static void scan_heading(struct scan *s, struct heading_keys *keys)
{
    while (s->at < s->text.n && !s->unsure) {
        struct str line = scan_line(s);
        if (line.n == 0 || strchr(" \t\r#-%", line.p[0]))
            continue;
        size_t colon = str_find(line, STR(":"), 0);
        s->unsure |= line.p[0] == '{' || line.p[0] == '?';
        if (colon == SIZE_MAX)
            continue;
        struct str key = trim(str_slice(line, 0, colon)),
                   value = str_slice(line, colon + 1, line.n);
        if (key.n > 2 && (key.p[0] == '"' || key.p[0] == '\''))
            key = str_slice(key, 1, key.n - 1);
        if (str_eqz(key, "task"))
            scan_names(s, value, &keys->task);
        else if (str_eqz(key, "group"))
            scan_names(s, value, &keys->group);
        else if (str_eqz(key, "tag"))
            scan_names(s, value, &keys->tag);
        else if (str_eqz(key, "include"))
            scan_names(s, value, &keys->include);
        else if (str_eqz(key, "class"))
            keys->is_python = true;
    }
}

static void value_names(struct scan *s, const struct value *v, struct names *names)
{
    names->n = 0;
    if (v && v->type == VALUE_STR)
        add_name(s, names, v->s);
    for (size_t i = 0; v && v->type == VALUE_LIST && i < v->list.n; i++)
        if (v->list.items[i]->type == VALUE_STR)
            add_name(s, names, v->list.items[i]->s);
}

static int parse_heading(struct scan *s, const char *path, struct heading_keys *keys,
                         struct error *err)
{
    struct value *v;
    int r = error_cause(err, yaml_parse(s->a, s->text, path, &v, err), "bad YAML");
    if (r < 0)
        return r;
    *keys = (struct heading_keys){.is_python = dict_get(v, "class") != NULL};
    value_names(s, dict_get(v, "task"), &keys->task);
    value_names(s, dict_get(v, "group"), &keys->group);
    value_names(s, dict_get(v, "tag"), &keys->tag);
    value_names(s, dict_get(v, "include"), &keys->include);
    return 0;
}

static const char *first_comment(struct arena *a, struct str text)
{
    if (!str_starts(text, STR("# ")))
        return "";
    size_t end = str_find(text, STR("\n"), 0);
    return arena_copy(a, text.p + 2, (end == SIZE_MAX ? text.n : end) - 2);
}

static int heading_load(struct library *l, const char *path, const struct chain *outer,
                        struct heading *ret, struct error *err)
{
    size_t k = source_find(l, path);
    if (l->sources.items[k].heading) {
        *ret = *l->sources.items[k].heading;
        return 0;
    }
    struct chain c = {path, outer};
    struct scan s = {.a = &l->arena};
    struct heading_keys keys = {0};
    int r = check_chain(outer, path, err);
    if (r < 0 || (r = source_text(l, path, &s.text, err)) < 0)
        return r;
    scan_heading(&s, &keys);
    if (s.unsure && (r = parse_heading(&s, path, &keys, err)) < 0)
        return r;
    struct heading h = {.description = ""}, inner;
    for (size_t i = 0; i < keys.include.n; i++) {
        r = heading_load(l, include_path(&l->arena, path, str_of(keys.include.items[i])), &c,
                         &inner, err);
        if (r < 0)
            return error_cause(err, r, "include");
        h.task = inner.task ? inner.task : h.task;
        h.group = inner.group ? inner.group : h.group;
        h.is_python |= inner.is_python;
        if (inner.n_tags) {
            h.tags = inner.tags;
            h.n_tags = inner.n_tags;
        }
    }
    h.is_python |= keys.is_python;
    h.description = first_comment(&l->arena, s.text);
    if (keys.task.n == 1)
        h.task = keys.task.items[0];
    if (keys.group.n == 1)
        h.group = keys.group.items[0];
    if (keys.tag.n) {
        h.tags = keys.tag.items;
        h.n_tags = (int)keys.tag.n;
    }
    l->sources.items[k].heading = arena_alloc(&l->arena, sizeof h);
    *l->sources.items[k].heading = h;
    *ret = h;
    return 0;
}

int heading_read(struct library *l, const char *path, struct heading *ret, struct error *err)
{
    return heading_load(l, path, NULL, ret, err);
}

/* ---- folders ---- */

struct paths {
    const char **items;
    size_t n, cap;
};

/* The *.yaml files below a folder; links to folders are not followed. */
static int find_files(struct arena *a, const char *folder, int depth, struct paths *ret,
                      struct error *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return error_set(err, depth ? E_IO : E_USAGE, "cannot look for tasks in \"%s\": %s", folder,
                         strerror(errno));
    struct dirent *d;
    int r = 0;
    while (r == 0 && (d = readdir(dir))) {
        size_t n = strlen(d->d_name);
        struct stat st;
        if (d->d_name[0] == '.' || strcmp(d->d_name, "__pycache__") == 0)
            continue;
        const char *path = path_join(a, folder, d->d_name);
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            r = depth < MAX_FOLDERS ? find_files(a, path, depth + 1, ret, err) : 0;
        else if (n > 5 && strcmp(d->d_name + n - 5, ".yaml") == 0)
            *ARRAY_PUSH(ret) = path;
    }
    closedir(dir);
    return r;
}

int library_files(struct library *l, const char *folder, const char *const **ret, size_t *n,
                  struct error *err)
{
    struct paths files = {0};
    int r = find_files(&l->arena, folder, 0, &files, err);
    sort_names(files.items, files.n);
    const char **list = arena_array(&l->arena, files.n + 1, sizeof *list);
    for (size_t i = 0; i < files.n; i++)
        list[i] = files.items[i];
    free(files.items);
    *ret = list;
    *n = files.n;
    return r;
}

struct python *library_python(struct library *l)
{
    return l->python;
}
