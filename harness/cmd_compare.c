/* cmd_compare.c: `assay compare A B`: what did the change cost, and is the difference real? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/compare_tables.h"
#include "harness/options.h"
#include "harness/study_table.h"

static struct {
    const char *db, *task;
    bool study, divergence, similarity, json;
} o = {.db = "assay.db"};

static const struct option compare_options[] = {
    {OPTION_ROW_DB(&o.db)},
    {OPTION_STR, 't', "task", "NAME", &o.task, "only this task [all that both answered]"},
    {OPTION_FLAG, 0, "study", NULL, &o.study, "a line for each model, as with several"},
    {OPTION_FLAG, 0, "divergence", NULL, &o.divergence,
     "only how far B's distribution over tokens moved from A's"},
    {OPTION_FLAG, 0, "similarity", NULL, &o.similarity,
     "only how like A's answers B's are: ROUGE, BLEU, chrF"},
    {OPTION_ROW_JSON(&o.json)},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "compare",
    .synopsis = "A B [C ...] [options]",
    .summary =
        "Compares model B with model A, the reference, on the documents that both answered: both\n"
        "scores; recovery in percent of A; the paired difference B - A with its 95 % interval;\n"
        "McNemar's exact p where scores are 0 or 1; and how many samples flipped each way. Where\n"
        "they were run with --divergence or --top_logprobs, also KL divergence, top-1 agreement\n"
        "and perplexity ratio. With more models than B, a line for each: recovery with 95 %\n"
        "intervals, size, memory, speeds, divergence.\n"
        "A and B are labels, or evaluations by number: \"#12,#15\" (assay ls shows them).",
    .example = "  assay compare base q8\n  assay compare base w8a8 w4a16",
    .options = compare_options,
};

static void print_notes(const char *const *notes, size_t n)
{
    fflush(stdout);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "note: %s\n", notes[i]);
}

static int compare_scores(struct store *s, struct arena *a, const struct strings *names,
                          struct error *err)
{
    struct comparison_list list;
    int r = compare_models(s, a, names->items[0], names->items[1], o.task, &list, err);
    if (r < 0)
        return r;
    comparison_print(&list, o.json);
    print_notes(list.notes, list.n_notes);
    return 0;
}

/* Beside scores in text only: JSON is one array. */
static int compare_tokens(struct store *s, struct arena *a, const struct strings *names,
                          struct error *err)
{
    struct divergence_list list;
    int r = divergence_models(s, a, names->items[0], names->items[1], o.task, &list, err);
    if (r < 0 || (list.n == 0 && !o.divergence))
        return r;
    if (list.n == 0 && list.n_notes)
        return error_set(err, E_INPUT, "there is no divergence to show: %s", list.notes[0]);
    if (list.n == 0)
        return error_set(
            err, E_INPUT,
            "how far \"%s\" moved from \"%s\" is not known: run both in one command with "
            "--divergence, or each with --top_logprobs K",
            names->items[1], names->items[0]);
    if (!o.divergence)
        printf("\n");
    divergence_print(&list, o.json);
    print_notes(list.notes, list.n_notes);
    return 0;
}

static int compare_answers(struct store *s, struct arena *a, const struct strings *names,
                           struct error *err)
{
    struct similarity_list list;
    int r = similarity_models(s, a, names->items[0], names->items[1], o.task, &list, err);
    if (r < 0)
        return r;
    similarity_print(&list, o.json);
    print_notes(list.notes, list.n_notes);
    return 0;
}

static int compare_many(struct store *s, struct arena *a, const struct strings *names,
                        struct error *err)
{
    struct report_options ro = {.models = names->items, .n_models = (int)names->n, .task = o.task};
    struct study study;
    int r = study_gather(s, a, &ro, &study, err);
    if (r == 0 && study.n_columns == 0)
        r = error_set(err, E_INPUT, "%s",
                      study.models[1].not_compared ? study.models[1].not_compared
                                                   : "there is nothing to compare");
    if (r == 0)
        study_print(&study, o.json);
    return r;
}

/* One of the parts that an option asks for, or all of two models. */
static int compare(struct store *s, struct arena *a, const struct strings *names, struct error *err)
{
    if (o.study || names->n > 2)
        return compare_many(s, a, names, err);
    if (o.similarity)
        return compare_answers(s, a, names, err);
    int r = o.divergence ? 0 : compare_scores(s, a, names, err);
    return r == 0 && (o.divergence || !o.json) ? compare_tokens(s, a, names, err) : r;
}

int cmd_compare(int argc, char **argv, struct error *err)
{
    static struct strings names;
    struct arena a = {0};
    struct store *s = NULL;
    int r = options_parse(&usage, argc, argv, &names, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (names.n < 2)
        return error_set(err, E_USAGE, "give two models, the reference first: assay compare A B");
    if (o.divergence + o.similarity + o.study > 1 ||
        (names.n > 2 && (o.divergence || o.similarity)))
        return error_set(err, E_USAGE,
                         "give one of --study, --divergence and --similarity; the last two compare "
                         "two models");
    r = store_open(o.db, STORE_READ, &s, err);
    if (r == 0)
        r = compare(s, &a, &names, err);
    store_close(s);
    arena_free(&a);
    free(names.items);
    return r;
}
