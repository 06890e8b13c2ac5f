/* math_expr.h: the values of expressions written in LaTeX.
 *
 * Read are numbers, fractions, roots, powers, sums, products, pi, letters, absolute values,
 * factorials, binomials, logarithms and trigonometric functions. Two rationals are compared
 * exactly. Everything else is evaluated, in 64 bits of precision, at three fixed points that stand
 * for its letters: equal there to 15 digits is equal. This is no proof, but expressions short
 * enough to be an answer that agree there and differ elsewhere do not come up by themselves.
 *
 * There are three ways of reading, each with the habits of the program that it follows. */
#ifndef ASSAY_TASKS_MATH_EXPR_H
#define ASSAY_TASKS_MATH_EXPR_H

#include <complex.h>
#include <stdbool.h>

#include "base/str.h"

enum math_reader {
    MATH_SYMPY,  /* sympy.parsing.latex.parse_latex: what stands behind the first thing that it
                    cannot go on with is not read ("1,2" is 1), "3\frac{1}{2}" is a product */
    MATH_VERIFY, /* math_verify's latex2sympy2_extended: read whole or not at all; "3\frac{1}{2}"
                    is 3.5, "e" Euler's number, capitals are small letters, \log is decimal */
    MATH_PLAIN,  /* Python's arithmetic: digits, + - * / ^ and brackets */
};

enum { MATH_POINTS = 3 };

struct quantity {
    bool exact;   /* num / den is its value */
    bool decimal; /* it is a number written with a decimal point */
    int64_t num, den;
    long double _Complex at[MATH_POINTS];
};

struct math_scalar {
    struct quantity value;
    bool has_letters, only_letters; /* no number stands in it */
    bool has_sign;                  /* \pm: it has another value, which `minus` reads */
    bool percent;                   /* math_scalar_percent() was called */
    struct str name;                /* a letter or \text{word} alone: its name; else "" */
    struct str text;                /* where it is letters and digits only: they; else "" */
};

/* False where it cannot be read. `minus`: what \pm stands for. */
bool math_scalar_read(struct str s, enum math_reader reader, bool minus, struct math_scalar *ret);

/* A hundredth of it. */
void math_scalar_percent(struct math_scalar *s);

/* As math_verify compares: by value; to six decimals where one is a decimal number; and whole
 * numbers without regard to a percent sign. Names are not looked at. */
bool math_scalar_equal(const struct math_scalar *a, const struct math_scalar *b);
bool math_scalar_less(const struct math_scalar *a, const struct math_scalar *b);

/* (sides[0] - sides[1]) / (sides[2] - sides[3]), where it is one real number whatever the letters
 * are; else 0. */
double math_scalar_ratio(const struct math_scalar sides[4]);

/* Whether sympy finds that two texts have the same value; false too where one cannot be read. */
bool math_equal(struct str a, struct str b);

#endif
