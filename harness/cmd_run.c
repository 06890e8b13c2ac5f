/* cmd_run.c: `assay run`, model by model: open, plan, run, aggregate; then one table for all. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "harness/calibration.h"
#include "harness/commands.h"
#include "harness/divergence.h"
#include "harness/scores.h"
#include "harness/sweep.h"
#include "results/lmeval_export.h"

enum { SPEED_REPEAT = 2 };

static struct sweep_options o = {
    .db = "assay.db",
    .limit = -1,
    .num_fewshot = -1,
    .seed = 1234,
    .bootstrap_iters = 100000,
    .fewshot_as_multiturn = true,
};

static const struct option run_options[] = {
    {OPTION_GROUP, 0, "What to evaluate", NULL, NULL, NULL},
    {OPTION_LIST, 'm', "model", "SPEC", &o.models,
     "GGUF file or model folder, with ,name=LABEL ,quant= ,dtype= ..."},
    {OPTION_SPLIT, 't', "tasks", "NAMES", &o.tasks,
     "tasks, groups, tags, YAML files (assay ls --tasks lists them)"},
    {OPTION_LIMIT, 'L', "limit", "N", &o.limit,
     "first N documents of each task, or a fraction [all]"},
    {OPTION_COUNT, 'f', "num_fewshot", "N", &o.num_fewshot, "examples in the prompt [the task's]"},
    {OPTION_FLAG, 0, "apply_chat_template", NULL, &o.apply_chat_template,
     "render prompts by the model's chat template"},
    {OPTION_FLAG, 0, "fewshot_as_multiturn", NULL, &o.fewshot_as_multiturn,
     "with it, examples are turns of the conversation [true]"},
    {OPTION_STR, 0, "system_instruction", "TEXT", &o.system_instruction,
     "comes first in every prompt"},
    {OPTION_COUNT, 0, "max_gen_toks", "N", &o.max_gen_toks, "new tokens at most [the task's]"},
    {OPTION_COUNT, 0, "top_logprobs", "K", &o.n_top,
     "keep each scored token and the K most probable, for assay compare [0]"},
    {OPTION_FLAG, 0, "divergence", NULL, &o.divergence,
     "hold each model against the first by token, both in memory"},
    {OPTION_INT, 0, "seed", "N", &o.seed, "of the few-shot sampler [1234]"},
    {OPTION_STR, 0, "draws", "MODE", &o.draws,
     "examples by place (lm-eval) or by document (keyed) [lm-eval]"},
    {OPTION_FLAG, 0, "skip_bad_rows", NULL, &o.skip_bad_rows,
     "leave out and count rows that cannot be asked [they stop the task]"},
    {OPTION_GROUP, 0, "Where things are", NULL, NULL, NULL},
    {OPTION_LIST, 0, "data", "DIR", &o.data,
     "data folder; may be given again [~/.cache/assay/data]"},
    {OPTION_ROW_INCLUDE_PATH(&o.include_paths)},
    {OPTION_ROW_DB(&o.db)},
    {OPTION_STR, 'o', "output", "DIR", &o.output,
     "also write results.json and samples_TASK.jsonl there"},
    {OPTION_GROUP, 0, "How to run", NULL, NULL, NULL},
    {OPTION_COUNT, 0, "threads", "N", &o.threads, "threads of the engine [physical cores]"},
    {OPTION_STR, 0, "dtype", "TYPE", &o.dtype,
     "f32, bf16 or f16, where the model's spec has none [f32]"},
    {OPTION_SIZE, 0, "kv-memory", "SIZE", &o.kv_memory,
     "for keys and values, as 2G [enough for 16,384 tokens]"},
    {OPTION_COUNT, 0, "token-budget", "N", &o.token_budget, "tokens computed at once [256]"},
    {OPTION_COUNT, 0, "score_threads", "N", &o.score_threads,
     "model-written programs run at once [one a core]"},
    {OPTION_FLAG, 0, "speed", NULL, &o.speed, "measure each model's tokens/s, for assay compare"},
    {OPTION_ROW_BOOTSTRAP_ITERS(&o.bootstrap_iters)},
    {OPTION_ROW_ALLOW_UNSANDBOXED(&o.allow_unsandboxed)},
    {OPTION_FLAG, 'q', "quiet", NULL, &o.quiet, "no progress"},
    {OPTION_ROW_JSON(&o.json)},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "run",
    .synopsis = "-m MODEL -t TASKS [options]",
    .summary =
        "Runs models over tasks and stores every answer and score; the same command resumes.",
    .example = "  assay run -m smollm2.gguf -t arc_easy,hellaswag --limit 100",
    .options = run_options,
};

static void on_signal(int signal)
{
    (void)signal;
    atomic_store(&runner_interrupted, true); /* lock-free, and so allowed here */
}

/* The first Ctrl-C drains and commits; the second one ends the program at once. */
static void catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static const char *command_line(struct arena *a, int argc, char **argv)
{
    struct buf b = {0};
    buf_puts(&b, "assay run");
    for (int i = 0; i < argc; i++)
        buf_printf(&b, strpbrk(argv[i], " '\"\\$") ? " '%s'" : " %s", argv[i]);
    return buf_take(&b, a).p;
}

struct totals {
    int64_t tokens, n_failed;
    struct arena arena; /* the lists' texts */
    struct {
        struct score_list *items;
        size_t n, cap;
    } lists;
};

static int aggregate(struct store *s, const struct plan *p, struct error *err)
{
    for (int i = 0; i < p->n; i++) {
        const struct planned *e = &p->items[i];
        int r = e->task ? store_aggregate(s, e->id, e->info->n_eval, o.bootstrap_iters, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static void print_notes(const struct plan *p, struct progress *progress)
{
    for (int i = 0; i < p->n && !o.quiet; i++)
        for (int k = 0; p->items[i].info && k < p->items[i].info->n_notes; k++)
            progress_note(progress, "task \"%s\": %s", p->items[i].info->name,
                          p->items[i].info->notes[k]);
}

/* Before the others are asked, and whatever `quiet` says. */
static void report_left_out(const struct plan *p, const char *model, struct progress *progress,
                            struct totals *t)
{
    for (int i = 0; i < p->n; i++)
        if (p->items[i].failure)
            progress_note(progress, "%s: left out: %s", model, p->items[i].failure);
    t->n_failed += p->n_failed;
}

static void report_failures(const struct plan *p, struct progress *progress, struct totals *t)
{
    for (int i = 0; i < p->n; i++) {
        const struct planned *e = &p->items[i];
        if (e->n_bad_rows)
            progress_note(progress, "task \"%s\": %lld bad row%s left out%s: %s", e->info->name,
                          (long long)e->n_bad_rows, e->n_bad_rows == 1 ? "" : "s",
                          e->n_bad_rows == 1 ? "" : "; the first", e->first_bad_row);
        if (e->n_failed)
            progress_note(progress, "task \"%s\": %lld document%s failed%s: %s", e->info->name,
                          (long long)e->n_failed, e->n_failed == 1 ? "" : "s",
                          e->n_failed == 1 ? "" : "; the first", e->first_error);
        t->n_failed += e->n_failed;
    }
}

/* The leaves of a plan, close together, as the runner takes them. */
static int run_plan(struct backend *b, struct store *s, struct plan *p, struct progress *progress,
                    struct error *err)
{
    struct planned *leaves = mem_alloc((size_t)p->n, sizeof *leaves);
    int *at = mem_alloc((size_t)p->n, sizeof *at), n = 0;
    for (int i = 0; i < p->n; i++) {
        if (!p->items[i].task)
            continue;
        at[n] = i;
        leaves[n++] = p->items[i];
    }
    struct runner_options ro = {.n_score_threads = o.score_threads, .n_top = o.n_top};
    progress_begin(progress, backend_info(b)->name, p->n_missing, p->n_stored);
    int r = p->n_missing ? runner_run(b, s, leaves, n, &ro, progress, err) : 0;
    progress_end(progress);
    for (int i = 0; i < n; i++)
        p->items[at[i]] = leaves[i];
    free(leaves);
    free(at);
    return r;
}

static const char *output_folder(struct arena *a, const struct backend *b)
{
    return lmeval_folder(a, o.output, backend_info(b)->name, (int)o.models.n);
}

static int export(struct store *s, const struct backend *b, const char *spec, const struct plan *p,
                  double begun, struct error *err)
{
    struct arena a = {0};
    struct lmeval_part *parts = arena_array(&a, (size_t)p->n, sizeof *parts);
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (p->items[i].task)
            parts[n++] = (struct lmeval_part){p->items[i].id, p->items[i].info->n_eval};
    struct lmeval_run run = {
        .dir = output_folder(&a, b),
        .parts = parts,
        .n_parts = n,
        .model_args = spec,
        .limit = o.limit,
        .bootstrap_iters = o.bootstrap_iters,
        .date = begun,
        .seconds = clock_seconds(CLOCK_REALTIME) - begun,
        .chat_template = o.apply_chat_template ? backend_info(b)->chat_template : NULL,
        .version = ASSAY_VERSION,
    };
    int r = lmeval_export(s, &run, err);
    arena_free(&a);
    return r;
}

static struct backend_options backend_options(void)
{
    return (struct backend_options){.n_threads = o.threads,
                                    .features = UINT_MAX,
                                    .dtype = o.dtype,
                                    .texts = {calibration_text, &o.data},
                                    .kv_bytes = o.kv_memory,
                                    .token_budget = o.token_budget};
}

/* Tokens a second of one sequence, read and continued: as much for every model, so that they can be
 * compared. Where the context or the cache is too small for it, nothing is known. */
static void measure_speed(struct backend *b, struct model_cost *c)
{
    static const struct backend_load reads = {1, 256, 0}, writes = {1, 64, 17};
    struct backend_speed speed;
    struct error too_small;
    if (backend_speed(b, &reads, SPEED_REPEAT, &speed, &too_small) == 0)
        c->prefill = speed.tokens;
    if (backend_speed(b, &writes, SPEED_REPEAT, &speed, &too_small) == 0)
        c->decode = speed.tokens;
}

static int store_cost(struct backend *b, struct store *s, int64_t run, const struct plan *p,
                      struct error *err)
{
    struct model_cost c = {.stored_bytes = (int64_t)backend_info(b)->stored_bytes,
                           .held_bytes = (int64_t)backend_info(b)->held_bytes};
    if (o.speed)
        measure_speed(b, &c);
    for (int i = 0; i < p->n; i++)
        if (p->items[i].task)
            return store_run_model(s, run, p->items[i].id, &c, err); /* all are of one model */
    return 0;
}

/* A model at work. */
struct running {
    struct backend *backend;
    struct plan plan;
    struct arena arena;
};

static void running_close(struct running *m)
{
    plan_close(&m->plan);
    backend_close(m->backend);
    arena_free(&m->arena);
    *m = (struct running){0};
}

/* Says at each quarter how far a method is that learns from text; others are done at once. */
struct patience {
    struct progress *progress;
    int quarters;
};

static void on_opening(void *arg, const char *model, double share)
{
    struct patience *p = arg;
    int quarters = (int)(4 * share);
    if (o.quiet || quarters <= p->quarters)
        return;
    p->quarters = quarters;
    progress_note(p->progress, "%s: quantizing, %d %%", model, 25 * quarters);
}

/* What `m` holds is the caller's to close. */
static int run_model(const char *spec, struct store *s, int64_t run,
                     const struct selection *selected, struct progress *progress, struct totals *t,
                     struct running *m, struct error *err)
{
    struct backend_options bo = backend_options();
    struct patience patience = {progress, 0};
    bo.watcher = (struct opening_watcher){on_opening, &patience};
    double begun = clock_seconds(CLOCK_REALTIME);
    int r = backend_open(spec, &bo, &m->backend, err);
    if (r < 0 || (r = plan_open(&m->arena, selected, m->backend, s, run, &o, &m->plan, err)) < 0)
        return r;
    struct backend *b = m->backend;
    struct plan *p = &m->plan;
    if (o.output && (r = folder_make(output_folder(&m->arena, b), err)) < 0)
        return r;        /* better now than after the work */
    if (t->lists.n == 0) /* the tasks are the same for every model */
        print_notes(p, progress);
    report_left_out(p, backend_info(b)->name, progress, t);
    r = run_plan(b, s, p, progress, err);
    t->tokens += backend_stats(b).tokens_computed;
    report_failures(p, progress, t);
    if (r < 0 || (r = store_cost(b, s, run, p, err)) < 0 || (r = aggregate(s, p, err)) < 0)
        return r;
    struct score_list list = {.model = arena_printf(&t->arena, "%s", backend_info(b)->name)};
    if ((r = scores_collect(&t->arena, s, p, &list, err)) < 0)
        return r;
    *ARRAY_PUSH(&t->lists) = list;
    return o.output ? export(s, b, spec, p, begun, err) : 0;
}

static int hold_against(const struct running *base, const struct running *m, struct store *s,
                        struct progress *progress, struct error *err)
{
    struct divergence_side a = {base->backend, &base->plan}, b = {m->backend, &m->plan};
    return divergence_run(&a, &b, s, progress, err);
}

/* One model after the other; with --divergence the first one stays. */
static int run_models(struct store *s, int64_t run, const struct selection *selected,
                      struct progress *progress, struct totals *t, struct error *err)
{
    struct running base = {0}, other = {0};
    int r = 0;
    for (size_t i = 0; i < o.models.n && r == 0; i++) {
        struct running *m = i == 0 && o.divergence ? &base : &other;
        r = run_model(o.models.items[i], s, run, selected, progress, t, m, err);
        if (r == 0 && base.backend && m == &other)
            r = hold_against(&base, m, s, progress, err);
        running_close(&other);
    }
    running_close(&base);
    if (t->lists.n)
        scores_print(t->lists.items, t->lists.n, o.json);
    for (size_t m = 0; m < t->lists.n; m++)
        free(t->lists.items[m].items);
    free(t->lists.items);
    arena_free(&t->arena);
    return r;
}

/* Before the first model runs: every spec is well-formed, and tables can tell the models apart. */
static int check_models(struct arena *a, struct error *err)
{
    const char **names = arena_array(a, o.models.n, sizeof *names);
    struct backend_options bo = backend_options();
    for (size_t m = 0; m < o.models.n; m++) {
        int r = backend_name(a, o.models.items[m], &bo, &names[m], err);
        if (r < 0)
            return r;
        for (size_t k = 0; k < m; k++)
            if (strcmp(names[k], names[m]) == 0)
                return error_set(err, E_USAGE,
                                 "two models are called \"%s\"; tell them apart by "
                                 "-m MODEL,name=LABEL",
                                 names[m]);
    }
    return 0;
}

int cmd_run(int argc, char **argv, struct error *err)
{
    static struct strings positional;
    struct arena a = {0};
    struct catalog *catalog = NULL;
    struct store *s = NULL;
    struct progress *progress = NULL;
    struct totals t = {0};
    struct selection selected;
    int64_t run_id = 0;
    int r = options_parse(&usage, argc, argv, &positional, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (positional.n || !o.models.n || !o.tasks.n)
        return error_set(err, E_USAGE,
                         positional.n ? "\"%s\" stands alone; models go behind -m, tasks "
                                        "behind -t"
                         : o.models.n ? "which tasks? give -t NAMES (assay ls --tasks lists "
                                        "them)%s"
                                      : "which model? give -m MODEL, a GGUF file or a "
                                        "Hugging Face folder%s",
                         positional.n ? positional.items[0] : "");
    if (o.n_top > REQUEST_TOP_MOST)
        return error_set(err, E_USAGE, "--top_logprobs=%d: there are %d at most", o.n_top,
                         REQUEST_TOP_MOST);
    if (o.divergence && o.models.n < 2)
        return error_set(err, E_USAGE,
                         "--divergence holds models against the first one; give another with -m");
    if (o.draws && strcmp(o.draws, "lm-eval") != 0 && strcmp(o.draws, "keyed") != 0)
        return error_set(err, E_USAGE, "--draws is lm-eval or keyed, not \"%s\"", o.draws);
    if ((r = check_models(&a, err)) < 0) {
        arena_free(&a);
        return r;
    }
    sweep_data_dirs(&a, &o.data);
    double begun = clock_seconds(CLOCK_REALTIME);
    catch_signals();
    progress = progress_new(o.quiet);
    if ((r = catalog_open(o.include_paths.items, (int)o.include_paths.n, &catalog, err)) < 0 ||
        (r = catalog_select(catalog, o.tasks.items, (int)o.tasks.n, &selected, err)) < 0 ||
        (r = store_open(o.db, STORE_WRITE, &s, err)) < 0 ||
        (r = store_run_begin(s, command_line(&a, argc, argv), &run_id, err)) < 0)
        goto out;
    r = run_models(s, run_id, &selected, progress, &t, err);
    if (r == 0)
        r = t.n_failed ? EXIT_PARTLY : EXIT_DONE;
    struct error ignored;
    store_run_end(s, run_id, exit_code(r), t.tokens, clock_seconds(CLOCK_REALTIME) - begun,
                  r < 0 ? &ignored : err);
out:
    progress_free(progress);
    store_close(s);
    catalog_close(catalog);
    arena_free(&a);
    return r;
}
