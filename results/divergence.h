/* divergence.h: how far a model's distribution over tokens moved from another's.
 *
 * D(A || B) = sum p_A ln(p_A / p_B) in the place of one token is the Kullback-Leibler divergence; A
 * is the base model. Where `assay run --divergence` had both models read the prompts side by side,
 * it is exact, over the whole vocabulary, for each of their tokens.
 *
 * Else it is computed from what `assay run --top_logprobs K` stored of each model: of each scored
 * token its log-probability and the K most probable tokens in its place. A token counts where both
 * models scored it behind the same tokens. The divergence is taken over the tokens whose
 * probability both have (those in both lists, and the scored one), and all others together as one
 * more. Joining outcomes never adds divergence, so this is a lower bound of the true one;
 * `remainder` says how much probability was joined. The other figures are exact. */
#ifndef ASSAY_RESULTS_DIVERGENCE_H
#define ASSAY_RESULTS_DIVERGENCE_H

#include "metrics/stats.h"
#include "results/query.h"

/* Means over tokens, their intervals by a bootstrap over documents. */
struct divergence {
    const char *task, *task_alias;
    const char *setting; /* see setting_text() */
    int64_t evaluation_a, evaluation_b;
    int64_t n_docs, n_tokens;         /* that both scored */
    bool exact;                       /* over the whole vocabulary; `remainder` is 0 */
    struct estimate kl;               /* nats a token */
    double kl_median, kl_99, kl_most; /* of tokens: half of them, 99 %, all are not above it */
    struct estimate same_top; /* share of tokens where both find the same token most probable */
    struct estimate perplexity_ratio; /* B's over A's: 1 is no loss */
    double remainder;                 /* A's probability that was joined */
    double change_rms;                /* of p_B - p_A of the token that came, over tokens */
    double largest_change;            /* p_B - p_A of the scored token where it changed most */
    int64_t largest_doc_id;
};

struct divergence_list {
    const char *model_a, *model_b;
    struct divergence *items; /* none where no pair has such log-probabilities */
    size_t n;
    const char **notes;
    size_t n_notes;
};

/* `a`, `b` and `task` as compare_models(). Result in the arena. E_INPUT: no such model or task, or
 * what is stored is damaged. */
int divergence_models(struct store *s, struct arena *arena, const char *a, const char *b,
                      const char *task, struct divergence_list *ret, struct error *err);

#endif
