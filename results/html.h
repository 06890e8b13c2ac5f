/* html.h: private to results/. What the page's tables have in common, and those of a pair of models
 * besides its scores. */
#ifndef ASSAY_RESULTS_HTML_H
#define ASSAY_RESULTS_HTML_H

#include "results/study.h"

/* Any bytes as HTML text: escaped, and what is no text (broken UTF-8, control characters that
 * HTML forbids) as the replacement character. */
void html_text(struct buf *b, struct str s);

/* The head of a table's row: a task's alias, or its name where that is empty, and its setting. */
void html_task(struct buf *b, const char *alias, const char *task, const char *setting);

void html_notes(struct buf *b, const char *const *notes, size_t n);

/* Recovery, cost and divergence of all models, and a plot; nothing where there is one model. */
void html_study(struct buf *b, const struct study *s);

/* How far `model` moved from `reference` by token, and how alike their answers are: a table each,
 * where the store has what it takes. */
int html_pair(struct store *s, struct buf *b, const char *reference, const char *model,
              const char *task, struct error *err);

#endif
