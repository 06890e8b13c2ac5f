/* math_answer.h: the answers of MATH problems (Hendrycks et al. 2021): where a text has its answer,
 * how answers are written alike, and whether two are the same. */
#ifndef ASSAY_TASKS_MATH_ANSWER_H
#define ASSAY_TASKS_MATH_ANSWER_H

#include "base/error.h"
#include "base/str.h"

/* What the last \boxed{} (or \fbox{}) of a solution holds; "[invalidanswer]" where there is none,
 * or it does not end. */
struct str math_boxed(struct arena *a, struct str solution);

#endif
