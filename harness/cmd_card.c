/* cmd_card.c: `assay card MODEL`: the evaluation section of a model card. */
#include <stdio.h>
#include <stdlib.h>

#include "harness/commands.h"
#include "harness/options.h"
#include "results/card.h"

static struct {
    const char *db, *base;
} o = {.db = "assay.db"};

static const struct option card_options[] = {
    {OPTION_STR, 0, "base", "MODEL", &o.base, "the model it was made from: adds its scores"},
    {OPTION_ROW_DB(&o.db)},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "card",
    .synopsis = "MODEL [--base BASE]",
    .summary =
        "Prints the evaluation section of a model card in Markdown, from the store alone: a line\n"
        "for each benchmark, with --base also BASE's score and recovery, and section averages.",
    .example = "  assay card w4a16 --base base >>README.md",
    .options = card_options,
};

int cmd_card(int argc, char **argv, struct error *err)
{
    static struct strings names;
    struct store *s = NULL;
    struct buf b = {0};
    int r = options_parse(&usage, argc, argv, &names, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (names.n != 1)
        return error_set(err, E_USAGE, "give one model: assay card MODEL --base BASE");
    struct card_options card = {.model = names.items[0], .base = o.base};
    r = store_open(o.db, STORE_READ, &s, err);
    if (r == 0)
        r = card_markdown(s, &card, ASSAY_VERSION, &b, err);
    if (r == 0)
        fwrite(b.p, 1, b.n, stdout);
    store_close(s);
    buf_free(&b);
    free(names.items);
    return r;
}
