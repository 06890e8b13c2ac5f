/* cmd_rescore.c: `assay rescore`: stored answers scored again by a changed definition. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/options.h"
#include "harness/rescore.h"
#include "harness/table.h"

static struct {
    struct strings tasks, files, include_paths;
    const char *model, *db;
    int threads, bootstrap_iters;
    bool allow_unsandboxed, json;
} o = {.db = "assay.db", .bootstrap_iters = 100000};

static const struct option rescore_options[] = {
    {OPTION_LIST, 0, "task_file", "FILE", &o.files,
     "the changed definition [the task's own, as it is now]"},
    {OPTION_SPLIT, 't', "tasks", "NAMES", &o.tasks,
     "whose answers [the file's task; all in the store]"},
    {OPTION_STR, 'm', "model", "LABEL", &o.model, "only this one's, or \"#12,#15\" [all models]"},
    {OPTION_ROW_INCLUDE_PATH(&o.include_paths)},
    {OPTION_ROW_DB(&o.db)},
    {OPTION_COUNT, 0, "threads", "N", &o.threads, "threads that score [physical cores]"},
    {OPTION_ROW_BOOTSTRAP_ITERS(&o.bootstrap_iters)},
    {OPTION_ROW_ALLOW_UNSANDBOXED(&o.allow_unsandboxed)},
    {OPTION_ROW_JSON(&o.json)},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "rescore",
    .synopsis = "[--task_file FILE] [options]",
    .summary =
        "Scores stored answers again, by a definition with another filter, metric or version, and\n"
        "stores the scores as a new evaluation beside the old one. The model is not asked, and "
        "the\n"
        "data is not read: a definition that would ask something else is refused.",
    .example = "  assay rescore --task_file gsm8k_stricter.yaml",
    .options = rescore_options,
};

/* ---- which evaluations by which definition ---- */

struct job {
    const struct evaluation_line *source;
    const struct task_ref *ref;
    struct rescored done;
    bool failed;
};

struct jobs {
    struct job *items;
    size_t n, cap;
};

static bool in_list(const struct strings *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static const struct task_ref *find_ref(const struct selection *from, const char *name)
{
    for (int i = 0; i < from->n; i++)
        if (!from->refs[i].is_group && strcmp(from->refs[i].name, name) == 0)
            return &from->refs[i];
    return NULL;
}

/* The one task of the file, for -t NAME --task_file FILE. */
static int only_ref(const struct selection *from, const struct task_ref **ret, struct error *err)
{
    if (from->n != 1 || from->refs[0].is_group)
        return error_set(err, E_USAGE,
                         "-t and --task_file together score a task's answers by the file's "
                         "definition, so the file must hold one task");
    *ret = &from->refs[0];
    return 0;
}

/* The definition for an evaluation; *ret NULL: it is not meant. */
static int definition_of(struct catalog *c, const struct selection *given,
                         const struct evaluation_line *e, const struct task_ref **ret,
                         struct error *err)
{
    struct selection own;
    *ret = NULL;
    if (o.files.n && o.tasks.n)
        return in_list(&o.tasks, e->task) ? only_ref(given, ret, err) : 0;
    if (o.files.n || o.tasks.n) {
        *ret = find_ref(given, e->task);
        return 0;
    }
    struct error unknown;
    if (catalog_select(c, &e->task, 1, &own, &unknown) == 0)
        *ret = find_ref(&own, e->task);
    else
        fprintf(stderr, "note: \"%s\" of evaluation #%lld is left out: %s\n", e->task,
                (long long)e->id, unknown.msg);
    return 0;
}

/* Scored again is what a model was asked; of several evaluations in a setting the last used one,
 * unless it is named by its number. */
static bool is_meant(const struct evaluation_list *all, size_t i)
{
    const struct evaluation_line *e = &all->items[i];
    if (o.model && o.model[0] == '#')
        return true;
    if (e->source)
        return false;
    for (size_t k = i + 1; k < all->n; k++) {
        const struct evaluation_line *other = &all->items[k];
        if (!other->source && strcmp(e->model, other->model) == 0 && same_setting(e, other))
            return false;
    }
    return true;
}

static int find_jobs(struct catalog *c, const struct evaluation_list *all, struct jobs *ret,
                     struct error *err)
{
    struct selection given = {0};
    const struct strings *names = o.files.n ? &o.files : &o.tasks;
    int r = names->n ? catalog_select(c, names->items, (int)names->n, &given, err) : 0;
    for (size_t i = 0; i < all->n && r == 0; i++) {
        const struct task_ref *ref;
        if (!is_meant(all, i))
            continue;
        r = definition_of(c, &given, &all->items[i], &ref, err);
        if (r == 0 && ref)
            *ARRAY_PUSH(ret) = (struct job){.source = &all->items[i], .ref = ref};
    }
    if (r == 0 && ret->n == 0)
        r = error_set(err, E_INPUT,
                      "the store \"%s\" has no answers to score again%s%s; assay ls shows what it "
                      "has, and -t NAME says whose answers a file of another name is for",
                      o.db, names->n ? " for " : "", names->n ? names->items[0] : "");
    return r;
}

/* ---- what comes of it ---- */

static const struct score_line *find_line(const struct evaluation_line *e, const char *metric,
                                          const char *filter)
{
    for (int i = 0; i < e->n_scores; i++)
        if (strcmp(e->scores[i].metric, metric) == 0 && strcmp(e->scores[i].filter, filter) == 0)
            return &e->scores[i];
    return NULL;
}

static int add_lines(struct store *s, struct table *t, const struct job *j, struct error *err)
{
    struct arena a = {0};
    struct score_line *lines;
    int n, r = store_scores(s, &a, j->done.id, j->done.n_eval, &lines, &n, err);
    for (int i = 0; r == 0 && i < n; i++) {
        const struct score_line *before = find_line(j->source, lines[i].metric, lines[i].filter);
        table_cell(t, "%s", j->source->task);
        table_cell(t, "%s", j->source->model);
        table_cell(t, "#%lld", (long long)j->source->id);
        table_cell(t, "#%lld", (long long)j->done.id);
        table_cell(t, "%s", lines[i].filter);
        table_cell(t, "%s", lines[i].metric);
        table_cell(t, "%lld", (long long)lines[i].n);
        if (o.json) {
            table_number(t, before ? before->value : NAN);
            table_number(t, lines[i].value);
        } else {
            table_cell(t, "%s", before ? score_text(&a, before->value) : "");
            table_cell(t, "%s", score_text(&a, lines[i].value));
        }
    }
    arena_free(&a);
    return r;
}

static int print_scores(struct store *s, const struct jobs *jobs, struct error *err)
{
    static const char *const headings[] = {"Task",   "Model", "Source",  "Evaluation", "Filter",
                                           "Metric", ">n",    ">before", ">after"};
    struct table t;
    int r = 0;
    table_init(&t, headings, sizeof headings / sizeof *headings);
    for (size_t i = 0; i < jobs->n && r == 0; i++)
        if (!jobs->items[i].failed && !jobs->items[i].done.unchanged)
            r = add_lines(s, &t, &jobs->items[i], err);
    if (r < 0)
        table_free(&t);
    else
        table_print(&t, o.json);
    return r;
}

static void report(const struct job *j)
{
    const struct rescored *d = &j->done;
    if (d->unchanged)
        fprintf(stderr,
                "note: task \"%s\": its definition is the one that evaluation #%lld was scored by; "
                "nothing to do\n",
                j->source->task, (long long)j->source->id);
    if (d->n_failed)
        fprintf(stderr, "note: task \"%s\": %lld document%s could not be scored%s: %s\n",
                j->source->task, (long long)d->n_failed, d->n_failed == 1 ? "" : "s",
                d->n_failed == 1 ? "" : "; the first", d->first_error);
}

/* A definition that is refused does not keep the others from being used. Returns an exit code. */
static int run_jobs(struct store *s, struct arena *a, struct jobs *jobs, struct error *err)
{
    struct rescore_options ro = {.pool = pool_new(o.threads),
                                 .bootstrap_iters = o.bootstrap_iters,
                                 .allow_unsandboxed = o.allow_unsandboxed};
    size_t n_failed = 0, n_done = 0;
    int r = 0;
    for (size_t i = 0; i < jobs->n && r != E_IO; i++) {
        struct job *j = &jobs->items[i];
        r = rescore(s, a, j->source, j->ref, &ro, &j->done, err);
        j->failed = r < 0;
        n_failed += j->failed || j->done.n_failed;
        n_done += !j->failed && !j->done.unchanged;
        if (!j->failed)
            report(j);
        else if (jobs->n > 1)
            fprintf(stderr, "note: evaluation #%lld was not scored again: %s\n",
                    (long long)j->source->id, err->msg);
    }
    pool_free(ro.pool);
    if (r == E_IO || (r < 0 && n_done == 0))
        return r;
    r = n_done ? print_scores(s, jobs, err) : 0;
    return r < 0 ? r : n_failed ? EXIT_PARTLY : EXIT_DONE;
}

int cmd_rescore(int argc, char **argv, struct error *err)
{
    static struct strings positional;
    struct arena a = {0};
    struct catalog *c = NULL;
    struct store *s = NULL;
    struct jobs jobs = {0};
    struct evaluation_list all;
    int r = options_parse(&usage, argc, argv, &positional, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (positional.n)
        return error_set(err, E_USAGE,
                         "\"%s\" stands alone; a definition goes behind --task_file, tasks behind "
                         "-t",
                         positional.items[0]);
    struct evaluation_filter filter = {.model = o.model};
    if ((r = store_open(o.db, STORE_READ, &s, err)) < 0) /* a missing store is not made */
        return r;
    store_close(s);
    s = NULL;
    if ((r = store_open(o.db, STORE_WRITE, &s, err)) == 0 &&
        (r = query_evaluations(s, &a, &filter, &all, err)) == 0 &&
        (r = catalog_open(o.include_paths.items, (int)o.include_paths.n, &c, err)) == 0 &&
        (r = find_jobs(c, &all, &jobs, err)) == 0)
        r = run_jobs(s, &a, &jobs, err);
    free(jobs.items);
    catalog_close(c);
    store_close(s);
    arena_free(&a);
    return r;
}
