/* cmd_tasks.c: `assay tasks check DIR`: which task files of a folder load, and why others do not.
 */
#include <stdio.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/options.h"
#include "harness/table.h"
#include "tasks/check.h"

static struct {
    bool all, json;
} o;

static const struct option tasks_options[] = {
    {OPTION_FLAG, 0, "all", NULL, &o.all, "every cause, not only the 20 that most files have"},
    {OPTION_FLAG, 0, "json", NULL, &o.json, "every cause as JSON, with functions' fingerprints"},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "tasks",
    .synopsis = "check DIR [options]",
    .summary = "Loads each *.yaml file below DIR as `assay run -t FILE` would, without its data, "
               "and says\nhow many load and what keeps the others from it.",
    .example = "  assay tasks check lm-evaluation-harness/lm_eval/tasks",
    .options = tasks_options,
};

static void print_causes(const struct check_report *r)
{
    static const char *const headings[] = {">Files", "Cause", "What", "For example"};
    enum { SHOWN = 20 };
    int n = o.all || r->n_causes <= SHOWN ? r->n_causes : SHOWN;
    struct table t;
    table_init(&t, headings, 4);
    for (int i = 0; i < n; i++) {
        const struct check_cause *c = &r->causes[i];
        table_cell(&t, "%lld", (long long)c->n_files);
        table_cell(&t, "%s", c->kind);
        table_cell(&t, "%s", c->what);
        table_cell(&t, "%s", c->first);
    }
    table_print(&t, false);
    if (n < r->n_causes)
        printf("%d more causes; --all shows them\n", r->n_causes - n);
}

static void print_json(const struct check_report *r)
{
    static const char *const headings[] = {"files", "cause", "what", "example", "fingerprint"};
    struct table t;
    table_init(&t, headings, 5);
    for (int i = 0; i < r->n_causes; i++) {
        const struct check_cause *c = &r->causes[i];
        table_cell(&t, "%lld", (long long)c->n_files);
        table_cell(&t, "%s", c->kind);
        table_cell(&t, "%s", c->what);
        table_cell(&t, "%s", c->first);
        table_cell(&t, "%s", c->fingerprint ? c->fingerprint : "");
    }
    table_print(&t, true);
}

static void print_counts(const struct check_report *r)
{
    printf("%lld files: %lld tasks and %lld groups load, %lld files do not; %lld are parts that "
           "others include\n",
           (long long)r->n_files, (long long)r->n_tasks, (long long)r->n_groups,
           (long long)r->n_failed, (long long)r->n_parts);
    if (r->n_remote)
        printf("%lld of the tasks that load name a data set of the hub: `assay run` looks for its "
               "files below --data DIR\n",
               (long long)r->n_remote);
}

int cmd_tasks(int argc, char **argv, struct error *err)
{
    static struct strings positional;
    struct arena a = {0};
    struct check_report report;
    int r = options_parse(&usage, argc, argv, &positional, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (positional.n != 2 || strcmp(positional.items[0], "check") != 0)
        return error_set(err, E_USAGE,
                         "say what to check: assay tasks check DIR, a folder of task files");
    r = tasks_check(&a, positional.items[1], &report, err);
    if (r == 0 && o.json) {
        print_json(&report);
    } else if (r == 0) {
        print_counts(&report);
        if (report.n_causes)
            print_causes(&report);
    }
    arena_free(&a);
    return r < 0 ? r : report.n_failed ? EXIT_PARTLY : EXIT_DONE;
}
