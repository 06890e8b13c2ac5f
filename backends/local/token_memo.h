/* token_memo.h: encoding texts that begin alike.
 *
 * A task's prompts share their examples, and a question's choices the question. What the last text
 * had in common with the next is not encoded again. Exact: a text is only cut behind a lone newline
 * between two visible ASCII characters, and only for tokenizers whose words, whatever stands on the
 * two sides, end there (the hand-written regular expressions of pretokenize.c, no normalizer but
 * Unicode's forms, no added token that could reach across), so that the whole's tokens are those of
 * its pieces. */
#ifndef ASSAY_BACKENDS_LOCAL_TOKEN_MEMO_H
#define ASSAY_BACKENDS_LOCAL_TOKEN_MEMO_H

#include "backends/local/tokenizer.h"

struct token_memo; /* of one tokenizer */

struct token_memo *token_memo_new(void);
void token_memo_free(struct token_memo *m);

/* tokenizer_encode; gives the same ids. Thread-safe. */
int token_memo_encode(struct token_memo *m, const struct tokenizer *t, struct arena *a,
                      struct str text, unsigned flags, struct token_ids *ret, struct error *err);

#endif
