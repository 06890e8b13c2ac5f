/* math_expr.h: whether two answers written in LaTeX have the same value.
 *
 * Read are numbers, fractions, roots, powers, sums, products, pi, letters, absolute values,
 * factorials, binomials, logarithms, trigonometric functions; and, where `composite`, tuples,
 * intervals, sets and equations of such. Two rationals are compared exactly. Everything else is
 * evaluated, in 64 bits of precision, at three fixed points that stand for its letters: equal there
 * to 15 digits is equal. This is no proof, but expressions short enough to be an answer that agree
 * there and differ elsewhere do not come up by themselves.
 *
 * With `composite` false the reading follows sympy.parsing.latex.parse_latex and its ways: what
 * stands behind the first thing that it cannot go on with is not read ("1,2" is 1), a letter is a
 * factor ("yes" is y*e*s), "3\frac{1}{2}" is a product. */
#ifndef ASSAY_TASKS_MATH_EXPR_H
#define ASSAY_TASKS_MATH_EXPR_H

#include <stdbool.h>

#include "base/str.h"

/* False too where one of them cannot be read. */
bool math_equal(struct str a, struct str b, bool composite);

/* Whether it can be read, whole, and has no letters. */
bool math_is_number(struct str s);

#endif
