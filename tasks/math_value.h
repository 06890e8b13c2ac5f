/* math_value.h: an answer in LaTeX as math_verify reads it (with latex2sympy2_extended), and when
 * two of them are the same to it: numbers and expressions, words, sets, tuples, intervals, unions,
 * equations and inequalities, matrices. Sums, integrals, limits and the like are not read. */
#ifndef ASSAY_TASKS_MATH_VALUE_H
#define ASSAY_TASKS_MATH_VALUE_H

#include "base/arena.h"
#include "tasks/math_expr.h"

struct math_value;

/* In `a`; NULL where it cannot be read. `reader` is MATH_VERIFY or MATH_PLAIN. */
struct math_value *math_value_read(struct arena *a, struct str s, enum math_reader reader);

/* Where it is a number: a hundredth of it. */
void math_value_percent(struct math_value *v);

/* Several formulas joined by "and" or commas: the set of them. */
struct math_value *math_value_set(struct arena *a, struct math_value *const *values, int n);

/* Whether the answer is right. Not symmetric: an interval answers an inequality that describes it,
 * an inequality does not answer an interval. */
bool math_value_same(struct arena *a, const struct math_value *gold,
                     const struct math_value *answer);

#endif
