/* math_answer.h: the answers of MATH problems (Hendrycks et al. 2021): where a text has its answer,
 * how answers are written alike, and whether two are the same. */
#ifndef ASSAY_TASKS_MATH_ANSWER_H
#define ASSAY_TASKS_MATH_ANSWER_H

#include "base/error.h"
#include "base/str.h"

/* What the last \boxed{} of a solution holds; "[invalidanswer]" where there is none, or it does not
 * end. */
struct str math_boxed(struct str solution);

/* An answer as Minerva writes it (Lewkowycz et al. 2022, appendix D): without units, fonts and
 * spaces, fractions and roots with braces. Of lm-evaluation-harness' two editions
 * MATH_LEADERBOARD is the one that its leaderboard tasks keep, the other is minerva_math's 3.1. */
enum math_edition { MATH_LEADERBOARD, MATH_MINERVA };
int math_normalize(struct arena *a, struct str answer, enum math_edition edition, struct str *ret,
                   struct error *err);

/* Equal as Minerva's tasks see it, where the text must state its answer ("Final Answer: The final
 * answer is ... I hope it is correct."). */
int math_minerva_equal(struct arena *a, struct str text, struct str gold, enum math_edition edition,
                       bool *ret, struct error *err);

/* Equal in value to what the solution states, wherever and however a text states it: as math_verify
 * decides (math_find.h, math_value.h). `arithmetic`: the solution's answer may stand outside of
 * formulas too. */
int math_verify(struct arena *a, struct str text, struct str solution, bool arithmetic, bool *ret,
                struct error *err);

#endif
