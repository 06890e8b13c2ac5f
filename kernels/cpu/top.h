/* top.h: the k most probable tokens of a row, kept while its logits go by in any order.
 *
 * The order is total (greater logit first, of equal ones the lower id; NaN never), so the k best of
 * a row are the same whichever pieces it was cut into. */
#ifndef ASSAY_KERNELS_CPU_TOP_H
#define ASSAY_KERNELS_CPU_TOP_H

#include <math.h>

#include "kernels/kernels.h"

struct top {
    int n; /* so far */
    float logits[TOP_TOKENS];
    int32_t tokens[TOP_TOKENS];
};

/* A logit below this changes nothing; an equal one may. */
static inline float top_least(const struct top *t, int k)
{
    return k == 0 ? INFINITY : t->n < k ? -INFINITY : t->logits[k - 1];
}

static inline void top_add(struct top *t, int k, float logit, int32_t token)
{
    int at = t->n;
    if (isnan(logit))
        return;
    while (at > 0 &&
           (logit > t->logits[at - 1] || (logit == t->logits[at - 1] && token < t->tokens[at - 1])))
        at--;
    if (at >= k)
        return;
    t->n += t->n < k;
    for (int i = t->n - 1; i > at; i--) {
        t->logits[i] = t->logits[i - 1];
        t->tokens[i] = t->tokens[i - 1];
    }
    t->logits[at] = logit;
    t->tokens[at] = token;
}

/* `all`: the logarithm of the sum of exp(logit) over the vocabulary. */
static inline void top_answer(const struct top *t, int k, double all, struct top_token *ret)
{
    for (int i = 0; i < k; i++)
        ret[i] = i < t->n ? (struct top_token){t->tokens[i], (double)t->logits[i] - all}
                          : (struct top_token){-1, NAN};
}

#endif
