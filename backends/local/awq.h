/* awq.h: AWQ (Lin et al., arXiv 2306.00978). Columns that meet large activations are scaled up
 * before rounding, so that their error is less, and their input down.
 *
 * The scale of column j is m[j]^a, m the mean of |X[:,j]|, over sqrt(max * min) of all; a is
 * searched over 0, 1/20 .. 19/20 for the least error of what the matrices that read the input
 * answer, |X (W - Q(W s) / s)^T|^2, which X^T X is enough to know. Inputs that a norm makes, and
 * those of o and down by the rows of v and up, are scaled in this order: qkv, o, ffn, down.
 * Then each group of a row is clipped to the range, 1, 19/20 .. 11/20 of its greatest value, that
 * errs least (not in q and k, whose errors multiply each other). */
#ifndef ASSAY_BACKENDS_LOCAL_AWQ_H
#define ASSAY_BACKENDS_LOCAL_AWQ_H

#include "backends/local/draft.h"

/* Scales and clips the draft, whose stats have a gram; rounding it is left. E_MEMORY; E_INPUT: a
 * value that no code holds. */
int awq_prepare(struct draft *d, struct error *err);

#endif
