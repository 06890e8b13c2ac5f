/* html.h: private to results/. Words on a page. */
#ifndef ASSAY_RESULTS_HTML_H
#define ASSAY_RESULTS_HTML_H

#include "results/query.h"

/* Any bytes as HTML text: escaped, and what is no text (broken UTF-8, control characters that
 * HTML forbids) as the replacement character. */
void html_text(struct buf *b, struct str s);

/* How far `model` moved from `reference` by token, and how alike their answers are: a table each,
 * where the store has what it takes. */
int html_pair(struct store *s, struct buf *b, const char *reference, const char *model,
              const char *task, struct error *err);

#endif
