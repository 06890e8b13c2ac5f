#include "tasks/check.h"

#include <ctype.h>
#include <stdlib.h>

#include "tasks/definition.h"
#include "tasks/python.h"
#include "tasks/task_internal.h"

struct check {
    struct arena *a;
    struct catalog *catalog;
    struct check_report report;
    struct {
        struct check_cause *items;
        size_t n, cap;
    } causes;
    struct value *by_what; /* kind, what and fingerprint -> index */
};

/* ---- causes ---- */

static void add_cause(struct check *c, struct check_cause cause)
{
    const char *key = arena_printf(c->a, "%s\n%s\n%s", cause.kind, cause.what,
                                   cause.fingerprint ? cause.fingerprint : "");
    const struct value *at = dict_get(c->by_what, key);
    if (at) {
        struct check_cause *known = &c->causes.items[at->i];
        bool again = strcmp(known->first, cause.first) == 0;
        known->n_files += !again; /* one file may name a function twice */
        return;
    }
    dict_set(c->a, c->by_what, key, value_int(c->a, (int64_t)c->causes.n));
    cause.n_files = 1;
    *ARRAY_PUSH(&c->causes) = cause;
}

/* "FILE:12" */
static bool ends_in_line(const char *s, size_t n)
{
    size_t at = n;
    while (at > 0 && isdigit((unsigned char)s[at - 1]))
        at--;
    return at < n && at > 1 && s[at - 1] == ':';
}

/* The sentence without "FILE:LINE: " and "task "NAME": " in front, so that equal faults meet. */
static const char *bare(struct arena *a, const char *msg)
{
    for (bool cut = true; cut;) {
        const char *colon = strstr(msg, ": ");
        size_t n = colon ? (size_t)(colon - msg) : 0;
        bool file =
            n && (memmem(msg, n, ".yaml", 5) || memmem(msg, n, "_yaml", 5) || ends_in_line(msg, n));
        bool task = n && strncmp(msg, "task \"", 6) == 0;
        cut = file || task;
        if (cut)
            msg = colon + 2;
    }
    enum { MOST = 160 };
    const char *more = strchr(msg, ';');
    size_t n = more ? (size_t)(more - msg) : strlen(msg);
    return arena_printf(a, "%.*s", (int)(n > MOST ? MOST : n), msg);
}

/* ---- one file ---- */

/* Every function in the value that is Python and not built in; how many. */
static int foreign_functions(struct check *c, const struct value *v, const char *key,
                             const char *source, const char *file)
{
    int n = 0;
    for (size_t i = 0; v->type == VALUE_LIST && i < v->list.n; i++)
        n += foreign_functions(c, v->list.items[i], key, source, file);
    for (size_t i = 0; v->type == VALUE_DICT && i < v->dict.n; i++) {
        const struct value_entry *e = &v->dict.entries[i];
        const char *inner = e->key->type == VALUE_STR ? e->key->s.p : key;
        n += foreign_functions(c, e->value, inner, source, file);
    }
    if (!python_is_foreign(v))
        return n;
    struct python *p = library_python(catalog_library(c->catalog));
    struct python_function f = python_find(p, source, v->s);
    add_cause(c, (struct check_cause){
                     .kind = f.module ? "unknown function" : "function without its file",
                     .what = arena_printf(c->a, "%s: %s", key, f.spec),
                     .fingerprint = f.fingerprint ? arena_printf(c->a, "%s", f.fingerprint) : NULL,
                     .first = file,
                 });
    return n + 1;
}

static bool is_remote(const struct task_ref *ref)
{
    const struct value *config = ref->config;
    static const char *const local[] = {"json", "csv", "text", "parquet", "arrow"};
    const struct value *path = dict_get(config, "dataset_path");
    if (ref->stand_in || dict_get(config, "data_files") || !path || path->type != VALUE_STR)
        return false;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if (str_eqz(path->s, local[i]))
            return false;
    return true;
}

static void failed(struct check *c, const struct error *e, const char *file)
{
    c->report.n_failed++;
    add_cause(c, (struct check_cause){.kind = e->cause ? e->cause : "the schema",
                                      .what = bare(c->a, e->msg),
                                      .first = file});
}

static void check_task(struct check *c, const struct task_ref *ref, const char *file)
{
    struct error e = {0};
    int n = 0;
    for (size_t i = 0; i < ref->config->dict.n; i++) {
        const struct value_entry *entry = &ref->config->dict.entries[i];
        const struct value *source = dict_find(ref->sources, entry->key);
        n += foreign_functions(c, entry->value, entry->key->s.p,
                               source && source->s.n ? source->s.p : file, file);
    }
    if (n > 0) {
        c->report.n_failed++;
    } else if (task_verify(ref, &e) < 0) {
        failed(c, &e, file);
    } else {
        c->report.n_tasks++;
        c->report.n_remote += is_remote(ref);
    }
}

static void check_file(struct check *c, const char *path)
{
    struct heading h;
    struct selection s;
    struct error e = {0};
    const char *file = arena_printf(c->a, "%s", path);
    c->report.n_files++;
    if (heading_read(catalog_library(c->catalog), path, &h, &e) < 0) {
        failed(c, &e, file);
    } else if (!h.task && !h.group && !h.is_python) {
        c->report.n_parts++;
    } else if (catalog_select(c->catalog, &file, 1, &s, &e) < 0) {
        failed(c, &e, file);
    } else if (s.n > 0 && !s.refs[0].is_group) {
        check_task(c, &s.refs[0], file);
    } else {
        c->report.n_groups++;
    }
}

static int by_files(const void *a, const void *b)
{
    const struct check_cause *x = a, *y = b;
    if (x->n_files != y->n_files)
        return x->n_files < y->n_files ? 1 : -1;
    return strcmp(x->first, y->first);
}

int tasks_check(struct arena *a, const char *folder, struct check_report *ret, struct error *err)
{
    struct check c = {.a = a, .by_what = value_dict(a)};
    const char *const *files;
    size_t n;
    int r = catalog_open(&folder, 1, &c.catalog, err);
    if (r < 0)
        return r;
    r = library_files(catalog_library(c.catalog), folder, &files, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        check_file(&c, files[i]);
    if (c.causes.n)
        qsort(c.causes.items, c.causes.n, sizeof *c.causes.items, by_files);
    c.report.causes = arena_array(a, c.causes.n + 1, sizeof *c.report.causes);
    for (size_t i = 0; i < c.causes.n; i++)
        c.report.causes[i] = c.causes.items[i];
    c.report.n_causes = (int)c.causes.n;
    free(c.causes.items);
    catalog_close(c.catalog);
    if (r == 0)
        *ret = c.report;
    return r;
}
