/* cmd_ls.c: `assay ls`: what is in a store, or which tasks there are. */
#include <math.h>
#include <stdio.h>

#include "harness/commands.h"
#include "harness/options.h"
#include "harness/table.h"
#include "results/query.h"
#include "tasks/task.h"

static struct {
    const char *db, *model, *task;
    struct strings include_paths;
    bool tasks, models, runs, json;
} o = {.db = "assay.db"};

static const struct option ls_options[] = {
    {OPTION_FLAG, 0, "tasks", NULL, &o.tasks, "list the tasks, groups and tags that can be run"},
    {OPTION_FLAG, 0, "models", NULL, &o.models, "list the models in the store"},
    {OPTION_FLAG, 0, "runs", NULL, &o.runs, "list the runs, the last first"},
    {OPTION_STR, 'm', "model", "LABEL", &o.model, "only this model's evaluations"},
    {OPTION_STR, 't', "task", "NAME", &o.task, "only this task's evaluations"},
    {OPTION_ROW_DB(&o.db)},
    {OPTION_ROW_INCLUDE_PATH(&o.include_paths)},
    {OPTION_ROW_JSON(&o.json)},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "ls",
    .synopsis = "[--tasks | --models | --runs] [options]",
    .summary = "Lists the evaluations in the store with their scores; or models, runs or tasks.",
    .example = "  assay ls --task arc_easy",
    .options = ls_options,
};

static int list_tasks(struct error *err)
{
    static const char *const headings[] = {"Name", "Kind", "Description"};
    struct catalog *c;
    struct catalog_entry *entries;
    int n;
    int r = catalog_open(o.include_paths.items, (int)o.include_paths.n, &c, err);
    if (r < 0)
        return r;
    if ((r = catalog_list(c, &entries, &n, err)) == 0) {
        struct table t;
        table_init(&t, headings, 3);
        for (int i = 0; i < n; i++) {
            table_cell(&t, "%s", entries[i].name);
            table_cell(&t, "%s", entries[i].kind);
            table_cell(&t, "%s", entries[i].description ? entries[i].description : "");
        }
        table_print(&t, o.json);
    }
    catalog_close(c);
    return r;
}

static int list_models(struct store *s, struct arena *a, struct error *err)
{
    static const char *const headings[] = {"Model", ">evaluations", "format",
                                           "quant", "numerics",     "path"};
    const char *const *labels;
    int n, r = query_models(s, a, &labels, &n, err);
    struct table t;
    table_init(&t, headings, 6);
    for (int i = 0; i < n && r == 0; i++) {
        struct evaluation_filter f = {.model = labels[i]};
        struct evaluation_list list;
        if ((r = query_evaluations(s, a, &f, &list, err)) < 0 || list.n == 0)
            continue;
        const struct evaluation_line *last = &list.items[list.n - 1];
        table_cell(&t, "%s", labels[i]);
        table_cell(&t, "%zu", list.n);
        table_cell(&t, "%s", last->format);
        table_cell(&t, "%s", last->quant);
        table_cell(&t, "%s", last->numerics);
        table_cell(&t, "%s", last->model_path);
    }
    if (r < 0)
        table_free(&t);
    else
        table_print(&t, o.json);
    return r;
}

static int list_runs(struct store *s, struct arena *a, struct error *err)
{
    static const char *const headings[] = {">run",         "started", ">seconds", ">exit",
                                           ">evaluations", ">failed", ">tokens",  "command"};
    struct run_line *runs;
    int n, r = query_runs(s, a, 100, &runs, &n, err);
    if (r < 0)
        return r;
    struct table t;
    table_init(&t, headings, 8);
    for (int i = 0; i < n; i++) {
        table_cell(&t, "%lld", (long long)runs[i].id);
        table_cell(&t, "%s", runs[i].started);
        table_cell(&t, runs[i].ended ? "%.1f" : "", runs[i].seconds);
        table_cell(&t, runs[i].ended ? "%d" : o.json ? "" : "-", runs[i].exit_code);
        table_cell(&t, "%lld", (long long)runs[i].n_evaluations);
        table_cell(&t, runs[i].n_failures || o.json ? "%lld" : "", (long long)runs[i].n_failures);
        table_cell(&t, "%lld", (long long)runs[i].tokens_computed);
        table_cell(&t, "%s", runs[i].command_line);
    }
    table_print(&t, o.json);
    return 0;
}

static void evaluation_cells(struct table *t, struct arena *a, const struct evaluation_line *e)
{
    table_cell(t, "#%lld", (long long)e->id);
    table_cell(t, "%s", e->model);
    table_cell(t, "%s", e->task);
    const char *setting = setting_text(a, e);
    if (e->source)
        table_cell(t, "%s%s#%lld again", setting, *setting ? ", " : "", (long long)e->source);
    else
        table_cell(t, "%s", setting);
    table_cell(t, "%lld/%lld", (long long)e->n_samples, (long long)e->n_docs);
    table_cell(t, e->n_failed ? "%lld" : "", (long long)e->n_failed);
}

static int list_evaluations_json(const struct evaluation_list *list, struct arena *a)
{
    static const char *const headings[] = {"id",        "model",    "task",   "setting", "n_docs",
                                           "n_samples", "n_failed", "n_eval", "metric",  "filter",
                                           "value",     "stderr",   "source"};
    struct table t;
    table_init(&t, headings, sizeof headings / sizeof *headings);
    for (size_t i = 0; i < list->n; i++) {
        const struct evaluation_line *e = &list->items[i];
        for (int k = 0; k < e->n_scores || k == 0; k++) {
            const struct score_line *score = k < e->n_scores ? &e->scores[k] : NULL;
            table_cell(&t, "%lld", (long long)e->id);
            table_cell(&t, "%s", e->model);
            table_cell(&t, "%s", e->task);
            table_cell(&t, "%s", setting_text(a, e));
            table_cell(&t, "%lld", (long long)e->n_docs);
            table_cell(&t, "%lld", (long long)e->n_samples);
            table_cell(&t, "%lld", (long long)e->n_failed);
            table_cell(&t, score ? "%lld" : "", (long long)e->n_eval);
            table_cell(&t, "%s", score ? score->metric : "");
            table_cell(&t, "%s", score ? score->filter : "");
            table_number(&t, score ? score->value : NAN);
            table_number(&t, score ? score->stderr_ : NAN);
            table_cell(&t, e->source ? "%lld" : "", (long long)e->source);
        }
    }
    table_print(&t, true);
    return 0;
}

static int list_evaluations(struct store *s, struct arena *a, struct error *err)
{
    static const char *const headings[] = {">id",     "Model",  "Task",   "Setting", ">documents",
                                           ">failed", "Metric", "Filter", ">value"};
    struct evaluation_filter f = {.model = o.model, .task = o.task};
    struct evaluation_list list;
    int r = query_evaluations(s, a, &f, &list, err);
    if (r < 0)
        return r;
    if (o.json)
        return list_evaluations_json(&list, a);
    struct table t;
    table_init(&t, headings, 9);
    for (size_t i = 0; i < list.n; i++) {
        const struct evaluation_line *e = &list.items[i];
        for (int k = 0; k < e->n_scores || k == 0; k++) {
            evaluation_cells(&t, a, e);
            bool has = k < e->n_scores;
            table_cell(&t, "%s", has ? e->scores[k].metric : "");
            table_cell(&t, "%s", has ? e->scores[k].filter : "");
            table_cell(&t, "%s", has ? score_text(a, e->scores[k].value) : "");
        }
    }
    table_print(&t, false);
    return 0;
}

int cmd_ls(int argc, char **argv, struct error *err)
{
    static struct strings positional;
    struct arena a = {0};
    struct store *s = NULL;
    int r = options_parse(&usage, argc, argv, &positional, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (positional.n)
        return error_set(err, E_USAGE, "\"%s\" stands alone; assay ls --help explains",
                         positional.items[0]);
    if (o.tasks)
        return list_tasks(err);
    if ((r = store_open(o.db, STORE_READ, &s, err)) == 0)
        r = o.models ? list_models(s, &a, err)
            : o.runs ? list_runs(s, &a, err)
                     : list_evaluations(s, &a, err);
    store_close(s);
    arena_free(&a);
    return r;
}
