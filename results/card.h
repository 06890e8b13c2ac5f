/* card.h: the evaluation section of a model card, in Markdown, from the store alone. */
#ifndef ASSAY_RESULTS_CARD_H
#define ASSAY_RESULTS_CARD_H

#include "results/compare.h"

struct card_options {
    const char *model; /* a label, or "#12,#15" */
    const char *base;  /* likewise, the model that it was made from; NULL: no comparison */
};

/* A table with a line for each benchmark: with a base both scores on the documents that both
 * answered, and recovery in percent. Each suite whose parts are all there is a section that ends
 * with its mean; other tasks and groups follow, each by its usual metric, with a mean where several
 * are shares of right answers. Shares are printed in percent with one digit behind the point, and
 * recovery is computed before rounding. What is said below the table: where the base is no better
 * than guessing, and which tasks were not run over all documents. Added to `ret`. E_INPUT: no such
 * model, or nothing in common. */
int card_markdown(struct store *s, const struct card_options *o, const char *version,
                  struct buf *ret, struct error *err);

#endif
