/* smoothquant.h: SmoothQuant (Xiao et al., arXiv 2211.10438). What makes activations hard to
 * quantize, a few columns of great values, moves into the weights, which are easy:
 *
 *     s[j] = max|X[:,j]|^alpha / max|W[:,j]|^(1 - alpha)
 *
 * over all matrices W that read the input; they are multiplied by it, and the norm that makes the
 * input is divided. Only inputs that a norm makes are smoothed. A search tries, for each of them,
 * no smoothing and alpha = 0.1, 0.2 .. 0.9, and keeps what errs least over rows of the text, with
 * weights and activations quantized as they will be. */
#ifndef ASSAY_BACKENDS_LOCAL_SMOOTHQUANT_H
#define ASSAY_BACKENDS_LOCAL_SMOOTHQUANT_H

#include "backends/local/draft.h"

/* Smooths the draft by the scheme's alpha (NaN: searched; the stats then have rows); rounding it is
 * left. E_MEMORY; E_INPUT: a value that no code holds. */
int smoothquant_prepare(struct draft *d, struct error *err);

#endif
