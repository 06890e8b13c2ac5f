/* math_answer.h: the answers of MATH problems (Hendrycks et al. 2021): where a text has its answer,
 * how answers are written alike, and whether two are the same. */
#ifndef ASSAY_TASKS_MATH_ANSWER_H
#define ASSAY_TASKS_MATH_ANSWER_H

#include "base/error.h"
#include "base/str.h"

/* What the last \boxed{} (or \fbox{}) of a solution holds; "[invalidanswer]" where there is none,
 * or it does not end. */
struct str math_boxed(struct arena *a, struct str solution);

/* What stands in "Final Answer: The final answer is ... I hope it is correct."; "[invalidanswer]"
 * where a text does not end so. */
int math_stated(struct arena *a, struct str text, struct str *ret, struct error *err);

/* An answer as Minerva writes it (Lewkowycz et al. 2022, appendix D): without units, fonts and
 * spaces, fractions and roots with braces. Of lm-evaluation-harness' two editions `leaderboard` is
 * the one that its leaderboard tasks keep, the other is minerva_math's 3.1. */
enum math_edition { MATH_LEADERBOARD, MATH_MINERVA };
int math_normalize(struct arena *a, struct str answer, enum math_edition edition, struct str *ret,
                   struct error *err);

/* The answer of a text in any form, for exact_match: the last \\boxed{}, else what "the final
 * answer is" names, else the last formula, else the last number. "" where there is none. */
struct str math_found(struct arena *a, struct str text);

/* The three verdicts on an answer: equal as Minerva's tasks see it, where the answer must be
 * stated; and equal in value, wherever the answer stands. */
int math_minerva_equal(struct arena *a, struct str text, struct str gold, enum math_edition edition,
                       bool *ret, struct error *err);
int math_value_equal(struct arena *a, struct str text, struct str solution, bool *ret,
                     struct error *err);

#endif
