/* sentences.h: English text cut into sentences and words, as NLTK does it for IFEval.
 *
 * Sentences follow the decisions of Punkt (Kiss and Strunk 2006), which NLTK's sentence tokenizer
 * is: a full stop ends one unless its word is an abbreviation, an initial or a number that the next
 * word goes on from. NLTK's lists of abbreviations and of words' spellings were learnt from
 * newspapers; ours are short and written by hand, so counts can differ: docs/deviations.md.
 *
 * Words are those of NLTK's word tokenizer (the Penn Treebank's rules), whose cuts hardly depend on
 * the sentences. */
#ifndef ASSAY_TASKS_SENTENCES_H
#define ASSAY_TASKS_SENTENCES_H

#include "base/error.h"
#include "base/str.h"

int64_t count_sentences(struct str text);

/* Words whose cased letters are all capitals, of which there is one: nltk.word_tokenize and
 * str.isupper. E_INPUT: a pattern ran into its limit. */
int count_capital_words(struct arena *a, struct str text, int64_t *ret, struct error *err);

bool has_letters(struct str text); /* of any script */

/* str.isupper() (`upper`) or str.islower(). */
bool all_in_case(struct str text, bool upper);

#endif
