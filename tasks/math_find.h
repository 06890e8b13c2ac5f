/* math_find.h: where a text states its answer, as math_verify looks for it: behind "the final
 * answer is", in a box, behind "answer", and else anywhere, the last place first; formulas between
 * dollars or \( \) or \[ \], and numbers and sums outside of them. */
#ifndef ASSAY_TASKS_MATH_FIND_H
#define ASSAY_TASKS_MATH_FIND_H

#include "base/error.h"
#include "base/str.h"

enum { MATH_STATED = 6 };

struct math_stated {
    struct str parts[MATH_STATED]; /* formulas joined by "and", "or" or commas, written alike; or
                                      one piece of arithmetic as it stands */
    bool percent[MATH_STATED];     /* a percent sign follows */
    int n;
    bool is_arithmetic; /* found outside of a formula */
};

/* Whether the answer could be read: 1 ends the search, 0 goes on. Negative: an error. */
typedef int math_reads(void *arg, const struct math_stated *s, struct error *err);

/* Calls `f` with what may be the answer, the likeliest first. `arithmetic`: outside of formulas
 * too. 0, or the error that `f` returned. The parts live in `a`. */
int math_find(struct arena *a, struct str text, bool arithmetic, math_reads *f, void *arg,
              struct error *err);

#endif
