/* ifeval.h: whether an answer follows the instructions of IFEval (Zhou et al. 2023): the 25 kinds
 * of lm-evaluation-harness' ifeval task.
 *
 * Exact but for two: what language a text is in (CLD2 here, langdetect there) and how many
 * sentences it has (sentences.h). docs/deviations.md tells how often the verdicts agree. */
#ifndef ASSAY_TASKS_IFEVAL_H
#define ASSAY_TASKS_IFEVAL_H

#include "base/error.h"
#include "base/value.h"

/* One verdict an instruction of the document, ret[instruction_id_list's length]: *strict of the
 * answer as it is, *loose of the best of eight ways to trim it (without its first line, its last,
 * both; each without asterisks too). E_INPUT: the document lacks a field, or names an instruction
 * that is none of the 25. */
int ifeval_verdicts(struct arena *a, const struct value *doc, struct str answer, bool **strict,
                    bool **loose, int *n, struct error *err);

#endif
