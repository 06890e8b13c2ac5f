/* cmd_quantize.c: `assay quantize`: a quantized model as a folder that others load, too. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/backend.h"
#include "base/clock.h"
#include "harness/calibration.h"
#include "harness/commands.h"
#include "harness/options.h"
#include "harness/sweep.h"
#include "harness/table.h"

static struct {
    const char *output;
    struct strings data;
    int threads;
    bool quiet, json;
} o;

static const struct option quantize_options[] = {
    {OPTION_STR, 'o', "output", "DIR", &o.output, "the new folder"},
    {OPTION_LIST, 0, "data", "DIR", &o.data,
     "where calib= is looked for, too [~/.cache/assay/data]"},
    {OPTION_COUNT, 0, "threads", "N", &o.threads, "threads that compute [physical cores]"},
    {OPTION_FLAG, 'q', "quiet", NULL, &o.quiet, "no progress"},
    {OPTION_ROW_JSON(&o.json)},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "quantize",
    .synopsis = "MODEL -o DIR quant=SCHEME [method=METHOD calib=FILE key=value ...]",
    .summary =
        "Writes a Hugging Face folder of compressed-tensors' kind, which assay, transformers\n"
        "and vLLM load. The keys are those of a model's spec: docs/quantization.md.",
    .example = "  assay quantize SmolLM2-135M -o SmolLM2-135M-W4A16 quant=w4a16 group_size=64 \\\n"
               "    method=gptq calib=wiki.train.txt",
    .options = quantize_options,
};

/* ---- progress: a bar on a terminal, a line at each quarter elsewhere ---- */

struct bar {
    const char *what;
    int drawn; /* in parts of the bar, or quarters */
    bool terminal;
    int64_t begun_ns;
};

enum { BAR = 40 };

static void draw(void *arg, const char *what, double share)
{
    struct bar *b = arg;
    int parts = b->terminal ? BAR : 4, now = (int)(share * parts);
    if (o.quiet || (b->what == what && now <= b->drawn))
        return;
    b->what = what;
    b->drawn = now;
    double seconds = 1e-9 * (double)(now_ns() - b->begun_ns);
    if (!b->terminal) {
        fprintf(stderr, "%s: %.0f %%, %.0f s\n", what, 100 * share, seconds);
        return;
    }
    static const char full[] = "########################################";
    fprintf(stderr, "\r%s [%-*.*s] %3.0f %% %.0f s\033[K", what, BAR, now, full, 100 * share,
            seconds);
}

/* ---- the table ---- */

struct report {
    struct bar bar;
    struct table table;
};

static void on_share(void *arg, const char *what, double share)
{
    draw(&((struct report *)arg)->bar, what, share);
}

static void on_made(void *arg, const struct saved_matrix *m)
{
    struct table *t = &((struct report *)arg)->table;
    table_cell(t, "%s", m->module);
    table_cell(t, "%.5f", m->error);
    table_cell(t, "%.3f", (double)m->before * 1e-6);
    table_cell(t, "%.3f", (double)m->after * 1e-6);
}

/* MODEL and key=value behind each other, as a spec. */
static const char *spec_of(struct arena *a, const struct strings *words)
{
    const char *spec = words->items[0];
    for (size_t i = 1; i < words->n; i++)
        spec = arena_printf(a, "%s,%s", spec, words->items[i]);
    return spec;
}

int cmd_quantize(int argc, char **argv, struct error *err)
{
    static struct strings what;
    static const char *const headings[] = {"Module", ">relative error", ">MB before", ">MB after"};
    int r = options_parse(&usage, argc, argv, &what, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (what.n == 0 || !o.output)
        return error_set(err, E_USAGE, "%s, as in: assay quantize MODEL -o DIR quant=SCHEME",
                         what.n ? "where to? name a new folder with -o DIR"
                                : "which model? name a folder");
    struct arena a = {0};
    sweep_data_dirs(&a, &o.data);
    struct report report = {.bar = {.terminal = isatty(STDERR_FILENO), .begun_ns = now_ns()}};
    table_init(&report.table, headings, 4);
    struct backend_options options = {
        .n_threads = o.threads, .features = UINT_MAX, .texts = {calibration_text, &o.data}};
    struct save_options save = {.told = on_share, .made = on_made, .arg = &report};
    struct save_sizes sizes;
    r = backend_save(spec_of(&a, &what), &options, &save, o.output, &sizes, err);
    if (!o.quiet && report.bar.what && report.bar.terminal)
        fputs("\r\033[K", stderr);
    if (r < 0) {
        table_free(&report.table);
    } else {
        table_print(&report.table, o.json);
        if (!o.json)
            printf("%s: %.1f MB of tensors became %.1f MB (%.0f %%) in %.0f s\n", o.output,
                   (double)sizes.before * 1e-6, (double)sizes.after * 1e-6,
                   100 * (double)sizes.after / (double)sizes.before,
                   1e-9 * (double)(now_ns() - report.bar.begun_ns));
    }
    arena_free(&a);
    return r;
}
