/* cmd_bench.c: `assay bench offline`: tokens a second of a model, and how near that is to what the
 * machine could do. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "backends/backend.h"
#include "harness/commands.h"
#include "harness/options.h"
#include "harness/table.h"

static struct {
    struct strings models;
    const char *workload;
    int threads, repeat;
    bool json;
} o = {.repeat = 3};

static const struct option bench_options[] = {
    {OPTION_LIST, 'm', "model", "SPEC", &o.models,
     "GGUF file or folder, with ,quant= ,dtype= ...; may be repeated"},
    {OPTION_STR, 0, "workload", "WORD", &o.workload,
     "only those with the word in their name, such as decode [all]"},
    {OPTION_COUNT, 0, "threads", "N", &o.threads, "threads of the engine [physical cores]"},
    {OPTION_COUNT, 0, "repeat", "N", &o.repeat, "the best of so many runs is printed [3]"},
    {OPTION_ROW_JSON(&o.json)},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "bench",
    .synopsis = "offline -m MODEL [options]",
    .summary =
        "Measures a model's speed on made-up tokens: reading prompts (prefill) and generating\n"
        "(decode) for one and for many sequences at once, beside the measured peaks of the\n"
        "machine: arithmetic, and reading from memory.",
    .example = "  assay bench offline -m smollm2.gguf -m smollm2.gguf,quant=q8_0",
    .options = bench_options,
};

static const struct workload {
    const char *name;
    struct backend_load load;
} workloads[] = {
    {"prefill 512", {1, 512, 0}},        {"prefill 2048", {1, 2048, 0}},
    {"decode, batch 1", {1, 128, 64}},   {"decode, batch 8", {8, 128, 64}},
    {"decode, batch 32", {32, 128, 64}},
};
enum { N_WORKLOADS = sizeof workloads / sizeof *workloads };

static bool is_wanted(const struct workload *w)
{
    return !o.workload || strstr(w->name, o.workload);
}

static const char *const headings[] = {"Model",      "Workload", ">tokens/s",   ">GFLOP/s",
                                       ">% of peak", ">GB/s",    ">% of memory"};
enum { N_HEADINGS = sizeof headings / sizeof *headings };

/* A rate in 1e9 a second, and its share of the peak; empty where it says nothing. */
static void rate_cells(struct table *t, double rate, double peak)
{
    table_cell(t, rate > 0 ? "%.1f" : "", rate * 1e-9);
    table_cell(t, rate > 0 && peak > 0 ? "%.0f" : "", 100 * rate / peak);
}

static int bench_workload(struct backend *b, const struct workload *w,
                          const struct backend_speed *peak, struct table *t, struct error *err)
{
    const struct backend_info *info = backend_info(b);
    struct backend_speed speed;
    if (w->load.n_prompt + w->load.n_new >= info->max_length) {
        fprintf(stderr, "assay bench: %s: no %s, its context is %d tokens\n", info->name, w->name,
                info->max_length);
        return 0;
    }
    int r = backend_speed(b, &w->load, o.repeat, &speed, err);
    if (r < 0)
        return r;
    table_cell(t, "%s", info->name);
    table_cell(t, "%s", w->name);
    table_cell(t, "%.1f", speed.tokens);
    rate_cells(t, speed.flops, peak->flops);
    rate_cells(t, speed.bytes, peak->bytes);
    return 0;
}

static int bench_model(const char *spec, struct table *t, struct error *err)
{
    struct backend *b;
    struct backend_options options = {.n_threads = o.threads, .features = UINT_MAX};
    int r = backend_open(spec, &options, &b, err);
    if (r < 0)
        return r;
    struct backend_speed peak = backend_peak(b);
    if (!o.json)
        printf("%s: %s, %.0f MB of weights; peaks: %.1f GFLOP/s, %.1f GB/s\n",
               backend_info(b)->name, backend_info(b)->numerics,
               (double)backend_info(b)->weight_bytes * 1e-6, peak.flops * 1e-9, peak.bytes * 1e-9);
    for (int i = 0; i < N_WORKLOADS && r == 0; i++)
        if (is_wanted(&workloads[i]))
            r = bench_workload(b, &workloads[i], &peak, t, err);
    backend_close(b);
    return r;
}

int cmd_bench(int argc, char **argv, struct error *err)
{
    static struct strings what;
    int r = options_parse(&usage, argc, argv, &what, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (what.n != 1 || strcmp(what.items[0], "offline") != 0)
        return error_set(err, E_USAGE,
                         "what to measure? \"offline\" is known: assay bench offline -m MODEL");
    if (o.models.n == 0 || o.repeat == 0)
        return error_set(err, E_USAGE,
                         o.repeat ? "no model; name one with -m MODEL"
                                  : "--repeat takes 1 or more");
    bool any = false;
    for (int i = 0; i < N_WORKLOADS; i++)
        any |= is_wanted(&workloads[i]);
    if (!any)
        return error_set(err, E_USAGE, "no workload has \"%s\" in its name; try prefill or decode",
                         o.workload);
    struct table t;
    table_init(&t, headings, N_HEADINGS);
    for (size_t i = 0; i < o.models.n && r == 0; i++)
        r = bench_model(o.models.items[i], &t, err);
    if (r < 0)
        table_free(&t);
    else
        table_print(&t, o.json);
    return r;
}
