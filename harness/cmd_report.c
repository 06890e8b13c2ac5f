/* cmd_report.c: `assay report`: what the store holds, as an HTML page and a CSV table. */
#include <stdio.h>

#include "harness/commands.h"
#include "harness/options.h"
#include "results/report.h"

static struct {
    const char *db, *html, *csv, *task;
    struct strings models;
    int flips;
} o = {.db = "assay.db", .flips = 5};

static const struct option report_options[] = {
    {OPTION_STR, 0, "html", "FILE", &o.html, "write one page that needs nothing else"},
    {OPTION_STR, 0, "csv", "FILE", &o.csv, "write a row for each model, task, metric and filter"},
    {OPTION_LIST, 'm', "model", "LABEL", &o.models,
     "models to show, the reference first [all, as first run]"},
    {OPTION_STR, 't', "task", "NAME", &o.task, "only this task [all]"},
    {OPTION_COUNT, 0, "flips", "N", &o.flips, "changed answers shown, a task and direction [5]"},
    {OPTION_ROW_DB(&o.db)},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "report",
    .synopsis = "--html FILE --csv FILE [options]",
    .summary = "Writes scores, comparisons with the first model, and the answers that changed.",
    .example = "  assay report --html report.html --csv scores.csv",
    .options = report_options,
};

int cmd_report(int argc, char **argv, struct error *err)
{
    static struct strings positional;
    struct store *s = NULL;
    int r = options_parse(&usage, argc, argv, &positional, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (positional.n || (!o.html && !o.csv))
        return error_set(err, E_USAGE, "say what to write: --html FILE, --csv FILE");
    struct report_options ro = {.models = o.models.items,
                                .n_models = (int)o.models.n,
                                .task = o.task,
                                .max_flips = o.flips};
    if ((r = store_open(o.db, STORE_READ, &s, err)) == 0 &&
        (!o.html || (r = report_html(s, &ro, o.html, err)) == 0) && o.csv)
        r = report_csv(s, &ro, o.csv, err);
    store_close(s);
    if (r == 0)
        printf("wrote%s%s%s%s\n", o.html ? " " : "", o.html ? o.html : "", o.csv ? " " : "",
               o.csv ? o.csv : "");
    return r;
}
