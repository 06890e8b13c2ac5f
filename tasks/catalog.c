/* catalog.c: names to definitions. Opening reads only headings (definition.h); a definition is
 * parsed when it is selected. Where lm-evaluation-harness' rules are odd, its order is kept:
 * within a folder the first file in path order defines a name, and a later folder overrides an
 * earlier one; the built-in catalog comes first. */
#include <fnmatch.h>
#include <stdlib.h>

#include "base/file.h"
#include "tasks/config.h"
#include "tasks/definition.h"
#include "tasks/task.h"

enum {
    MAX_GROUPS = 16,
    MAX_REFS = 20000, /* groups that hold one group several times multiply */
};

enum entry_kind {
    ENTRY_TASK,
    ENTRY_GROUP,
    ENTRY_TAG,
};

struct entry {
    const char *name;
    enum entry_kind kind;
    const char *path; /* NULL for a tag */
    const char *replaces;
    const char *description;
    int root;              /* the folder it comes from; 0 is the built-in catalog */
    struct value *members; /* a tag's: list of texts */
};

struct catalog {
    struct library *library;
    struct arena *arena; /* the library's */
    struct {
        struct entry *items;
        size_t n, cap;
    } entries;
    struct value *by_name;  /* name -> index */
    struct value *hub_data; /* "PATH NAME" -> data_files of a built-in task; NULL: not looked yet */
    struct refs {
        struct task_ref *items;
        size_t n, cap;
    } refs;
};

static struct entry *entry_find(const struct catalog *c, const char *name)
{
    const struct value *i = dict_get(c->by_name, name);
    return i ? &c->entries.items[i->i] : NULL;
}

static struct entry *entry_add(struct catalog *c, const char *name)
{
    dict_set(c->arena, c->by_name, name, value_int(c->arena, (int64_t)c->entries.n));
    struct entry *e = ARRAY_PUSH(&c->entries);
    *e = (struct entry){.name = name, .description = ""};
    return e;
}

static void add_tags(struct catalog *c, const struct heading *h, int root)
{
    for (int i = 0; i < h->n_tags; i++) {
        struct entry *tag = entry_find(c, h->tags[i]);
        if (!tag) {
            tag = entry_add(c, h->tags[i]);
            tag->kind = ENTRY_TAG;
            tag->root = root;
            tag->members = value_list(c->arena);
        }
        bool known = tag->kind != ENTRY_TAG;
        for (size_t k = 0; !known && k < tag->members->list.n; k++)
            known = str_eqz(tag->members->list.items[k]->s, h->task);
        if (!known)
            list_push(c->arena, tag->members, value_strz(c->arena, h->task));
    }
}

static void add_file(struct catalog *c, const char *path, int root)
{
    struct heading h;
    if (heading_read(c->library, path, &h, NULL) < 0)
        return; /* other YAML lies in such folders too; selecting the file itself says why */
    bool is_group = h.group && !h.is_python;
    const char *name = is_group ? h.group : h.task;
    if (!name)
        return;
    struct entry *e = entry_find(c, name);
    if (e && e->root == root && e->kind != ENTRY_TAG)
        return;
    const char *replaces = e ? e->path : NULL;
    if (!e)
        e = entry_add(c, name);
    *e = (struct entry){
        name, is_group ? ENTRY_GROUP : ENTRY_TASK, path, replaces, h.description, root, NULL};
    if (!is_group)
        add_tags(c, &h, root);
}

static int add_folder(struct catalog *c, const char *folder, int root, struct error *err)
{
    const char *const *files;
    size_t n;
    int r = library_files(c->library, folder, &files, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        add_file(c, files[i], root);
    return r;
}

int catalog_open(const char *const *include_paths, int n_include_paths, struct catalog **ret,
                 struct error *err)
{
    struct catalog *c = mem_alloc(1, sizeof *c);
    c->library = library_new();
    c->arena = library_arena(c->library);
    c->by_name = value_dict(c->arena);
    for (int i = 0; library_builtin(i); i++)
        add_file(c, arena_printf(c->arena, "assay:%s", library_builtin(i)), 0);
    int r = 0;
    for (int i = 0; i < n_include_paths && r == 0; i++)
        r = add_folder(c, include_paths[i], i + 1, err);
    if (r < 0)
        catalog_close(c);
    else
        *ret = c;
    return r;
}

void catalog_close(struct catalog *c)
{
    if (!c)
        return;
    free(c->entries.items);
    free(c->refs.items);
    library_free(c->library);
    free(c);
}

struct library *catalog_library(struct catalog *c)
{
    return c->library;
}

/* ---- selecting ---- */

static int nothing_named(struct catalog *c, const char *name, const char *why, struct error *err)
{
    const char **names = arena_array(c->arena, c->entries.n + 1, sizeof *names);
    for (size_t i = 0; i < c->entries.n; i++)
        names[i] = c->entries.items[i].name;
    const char *near = nearest_name(name, names, c->entries.n);
    int r =
        error_set(err, E_USAGE,
                  "%sthere is no task, group, tag or file \"%s\"%s%s%s assay ls --tasks lists "
                  "what there is",
                  why, name, near ? "; did you mean \"" : ";", near ? near : "", near ? "\"?" : "");
    return error_cause(err, r, "member of a group");
}

static struct task_ref *ref_find(struct catalog *c, const char *name)
{
    for (size_t i = 0; i < c->refs.n; i++)
        if (strcmp(c->refs.items[i].name, name) == 0)
            return &c->refs.items[i];
    return NULL;
}

static const char *text_of(struct catalog *c, const struct definition *d, const char *key,
                           const char *otherwise)
{
    const struct value *v = dict_get(d->config, key);
    return v && v->type == VALUE_STR ? arena_copy(c->arena, v->s.p, v->s.n) : otherwise;
}

/* The keys of d that override a group's members. */
static struct definition overrides_in(struct catalog *c, const struct definition *d)
{
    struct definition o = {value_dict(c->arena), value_dict(c->arena)};
    for (size_t i = 0; i < d->config->dict.n; i++) {
        struct value_entry e = d->config->dict.entries[i];
        struct value *source = dict_find(d->sources, e.key);
        if (config_is_group_key(e.key->s))
            continue;
        dict_put(c->arena, o.config, e.key, e.value);
        dict_put(c->arena, o.sources, e.key, source ? source : value_strz(c->arena, ""));
    }
    return o;
}

/* dataset_path and dataset_name, as one text. */
static const char *hub_name(struct catalog *c, const struct definition *d)
{
    return arena_printf(c->arena, "%s %s", text_of(c, d, "dataset_path", ""),
                        text_of(c, d, "dataset_name", ""));
}

/* Where a built-in task has the data set in a publisher's files, another task can read it there. */
static const struct value *stand_in(struct catalog *c, const struct definition *d)
{
    if (dict_get(d->config, "data_files") || !dict_get(d->config, "dataset_path"))
        return NULL;
    bool known = c->hub_data != NULL;
    if (!known)
        c->hub_data = value_dict(c->arena);
    for (int i = 0; !known && library_builtin(i); i++) {
        struct definition own;
        const char *path = arena_printf(c->arena, "assay:%s", library_builtin(i));
        if (definition_load(c->library, path, &own, NULL) < 0)
            continue;
        struct value *files = dict_get(own.config, "data_files");
        const char *name = hub_name(c, &own);
        if (files && *name != ' ' && !dict_get(c->hub_data, name))
            dict_set(c->arena, c->hub_data, name, files);
    }
    return dict_get(c->hub_data, hub_name(c, d));
}

static int add_leaf(struct catalog *c, const char *name, struct definition d, const char *file,
                    const char *replaces, int parent, struct error *err)
{
    struct task_ref *known = ref_find(c, name);
    if (known && strcmp(known->file, file) != 0)
        return error_set(err, E_USAGE,
                         "two of the selected tasks are named \"%s\": in %s and in %s", name,
                         known->file, file);
    if (known)
        return 0;
    struct task_ref *ref = ARRAY_PUSH(&c->refs);
    *ref = (struct task_ref){.name = name,
                             .alias = text_of(c, &d, "task_alias", name),
                             .config = d.config,
                             .file = file,
                             .sources = d.sources,
                             .stand_in = stand_in(c, &d),
                             .replaces = replaces,
                             .parent = parent};
    return 0;
}

static int add_group(struct catalog *c, const char *name, struct definition d, const char *file,
                     struct definition over, int parent, int depth, struct error *err);

static int add_entry(struct catalog *c, const struct entry *e, struct definition over, int parent,
                     int depth, struct error *err)
{
    struct definition d;
    int r = 0;
    if (e->kind == ENTRY_TAG) {
        size_t n = e->members->list.n;
        const char **names = arena_array(c->arena, n, sizeof *names);
        for (size_t i = 0; i < n; i++)
            names[i] = e->members->list.items[i]->s.p;
        sort_names(names, n);
        for (size_t i = 0; i < n && r == 0; i++) {
            const struct entry *member = entry_find(c, names[i]);
            if (member && member->kind != ENTRY_TAG)
                r = add_entry(c, member, over, parent, depth, err);
        }
        return r;
    }
    r = definition_load(c->library, e->path, &d, err);
    if (r == 0 && e->kind == ENTRY_GROUP)
        return add_group(c, e->name, d, e->path, over, parent, depth, err);
    if (r == 0)
        r = add_leaf(c, e->name, definition_merge(c->arena, d, over), e->path, e->replaces, parent,
                     err);
    return r;
}

/* A member written in place: {task: x, ...overrides} or {group: y, task: [...]}. */
static int add_dict_member(struct catalog *c, const char *group, const struct value *item,
                           const char *file, struct definition over, int parent, int depth,
                           struct error *err)
{
    int r = config_check_keys(item, file, err);
    if (r < 0)
        return r;
    struct definition mine = {value_dict(c->arena), value_dict(c->arena)};
    for (size_t i = 0; i < item->dict.n; i++) {
        dict_put(c->arena, mine.config, item->dict.entries[i].key, item->dict.entries[i].value);
        dict_put(c->arena, mine.sources, item->dict.entries[i].key, value_strz(c->arena, file));
    }
    const char *inner = text_of(c, &mine, "group", NULL), *task = text_of(c, &mine, "task", NULL);
    const char *name = inner ? inner : task;
    if (!name)
        return error_set(err, E_INPUT,
                         "%s:%d: a member of group \"%s\" needs `task: NAME` or `group: NAME`",
                         file, item->line, group);
    const struct entry *e = entry_find(c, name);
    if (e)
        return add_entry(c, e, definition_merge(c->arena, over, overrides_in(c, &mine)), parent,
                         depth, err);
    const char *full = arena_printf(c->arena, "%s::%s", group, name);
    if (inner)
        return add_group(c, full, mine, file, over, parent, depth, err);
    if (mine.config->dict.n == 1)
        return nothing_named(c, name, arena_printf(c->arena, "%s:%d: ", file, item->line), err);
    struct definition d = definition_merge(c->arena, over, mine);
    dict_set(c->arena, d.config, "task", value_strz(c->arena, full));
    return add_leaf(c, full, d, file, NULL, parent, err);
}

static int add_member(struct catalog *c, const char *group, const struct value *item,
                      const char *file, struct definition over, int parent, int depth,
                      struct error *err)
{
    if (item->type == VALUE_DICT)
        return add_dict_member(c, group, item, file, over, parent, depth, err);
    if (item->type != VALUE_STR)
        return error_set(err, E_INPUT,
                         "%s:%d: a member of group \"%s\" must be a name or a "
                         "dict, not of type %s",
                         file, item->line, group, value_type_name(item));
    const struct entry *e = entry_find(c, arena_copy(c->arena, item->s.p, item->s.n));
    if (!e)
        return nothing_named(
            c, arena_copy(c->arena, item->s.p, item->s.n),
            arena_printf(c->arena, "%s:%d: group \"%s\": ", file, item->line, group), err);
    return add_entry(c, e, over, parent, depth, err);
}

static int add_group(struct catalog *c, const char *name, struct definition d, const char *file,
                     struct definition over, int parent, int depth, struct error *err)
{
    if (depth > MAX_GROUPS)
        return error_set(err, E_INPUT,
                         "%s: group \"%s\" contains itself, or groups are nested "
                         "more than %d deep",
                         file, name, MAX_GROUPS);
    struct task_ref ref = {.name = name,
                           .alias = text_of(c, &d, "group_alias", name),
                           .config = d.config,
                           .file = file,
                           .sources = d.sources,
                           .is_group = true,
                           .parent = parent};
    const char *where =
        definition_where(c->arena, d.config, d.sources, "aggregate_metric_list", file);
    int r = config_aggregates(c->arena, dict_get(d.config, "aggregate_metric_list"), where,
                              &ref.aggregates, &ref.n_aggregates, err);
    if (r == 0)
        r = config_terms(c->arena, dict_get(d.config, "leaderboard_mean"), where, &ref.terms,
                         &ref.n_terms, err);
    if (r < 0)
        return r;
    if (c->refs.n >= MAX_REFS)
        return error_set(err, E_INPUT,
                         "%s: group \"%s\": more than %d groups and tasks are selected", file, name,
                         MAX_REFS);
    int self = (int)c->refs.n;
    *ARRAY_PUSH(&c->refs) = ref;
    over = definition_merge(c->arena, overrides_in(c, &d), over);
    const struct value *members = dict_get(d.config, "task");
    if (members && members->type == VALUE_STR)
        return add_member(c, name, members, file, over, self, depth + 1, err);
    if (!members || members->type != VALUE_LIST)
        return error_set(err, E_INPUT, "%s: group \"%s\" has no list of members under `task`", file,
                         name);
    for (size_t i = 0; i < members->list.n && r == 0; i++)
        r = add_member(c, name, members->list.items[i], file, over, self, depth + 1, err);
    return r;
}

/* Groups first, so that their members hang below them. */
static int add_glob(struct catalog *c, const char *pattern, struct error *err)
{
    bool any = false;
    int r = 0;
    for (int pass = ENTRY_GROUP; pass >= ENTRY_TASK; pass--) {
        for (size_t i = 0; i < c->entries.n && r == 0; i++) {
            const struct entry *e = &c->entries.items[i];
            if ((int)e->kind != pass || fnmatch(pattern, e->name, 0) != 0)
                continue;
            any = true;
            if (!ref_find(c, e->name))
                r = add_entry(c, e, (struct definition){0}, -1, 0, err);
        }
    }
    bool tags = !any;
    for (size_t i = 0; tags && i < c->entries.n && r == 0; i++)
        if (fnmatch(pattern, c->entries.items[i].name, 0) == 0) {
            any = true;
            r = add_entry(c, &c->entries.items[i], (struct definition){0}, -1, 0, err);
        }
    return any || r < 0 ? r : nothing_named(c, pattern, "", err);
}

static int add_path(struct catalog *c, const char *path, struct error *err)
{
    struct definition d;
    int r = definition_load(c->library, path, &d, err);
    if (r < 0)
        return r;
    const char *group = text_of(c, &d, "group", NULL), *task = text_of(c, &d, "task", NULL);
    const char *file = arena_printf(c->arena, "%s", path);
    if (group)
        return add_group(c, group, d, file, (struct definition){0}, -1, 0, err);
    if (task)
        return add_leaf(c, task, d, file, NULL, -1, err);
    return error_set(err, E_INPUT, "%s: the file names neither a `task` nor a `group`", path);
}

static int add_name(struct catalog *c, const char *name, struct error *err)
{
    const struct entry *e = entry_find(c, name);
    if (e && e->kind != ENTRY_TAG && ref_find(c, name))
        return 0;
    if (e)
        return add_entry(c, e, (struct definition){0}, -1, 0, err);
    if (file_exists(name))
        return add_path(c, name, err);
    if (strpbrk(name, "*?["))
        return add_glob(c, name, err);
    return nothing_named(c, name, "", err);
}

int catalog_select(struct catalog *c, const char *const *names, int n_names, struct selection *ret,
                   struct error *err)
{
    c->refs.n = 0;
    for (int i = 0; i < n_names; i++) {
        int r = add_name(c, names[i], err);
        if (r < 0)
            return r;
    }
    *ret = (struct selection){.n = (int)c->refs.n};
    ret->refs = arena_array(c->arena, c->refs.n, sizeof *ret->refs);
    if (c->refs.n)
        memcpy(ret->refs, c->refs.items, c->refs.n * sizeof *ret->refs);
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const struct catalog_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

int catalog_list(struct catalog *c, struct catalog_entry **ret, int *n, struct error *err)
{
    (void)err;
    static const char *const kinds[] = {"task", "group", "tag"};
    struct catalog_entry *list = arena_array(c->arena, c->entries.n, sizeof *list);
    for (size_t i = 0; i < c->entries.n; i++) {
        const struct entry *e = &c->entries.items[i];
        const char *what = e->description;
        if (e->kind == ENTRY_TAG)
            what = arena_printf(c->arena, "%zu tasks", e->members->list.n);
        list[i] = (struct catalog_entry){e->name, kinds[e->kind], what};
    }
    if (c->entries.n)
        qsort(list, c->entries.n, sizeof *list, compare_entries);
    *ret = list;
    *n = (int)c->entries.n;
    return 0;
}
