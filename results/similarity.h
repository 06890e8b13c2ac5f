/* similarity.h: how alike are what two models wrote?
 *
 * Model A's answers are the references and B's the hypotheses, document by document: no right
 * answer is needed, only tasks that let both models write (generate_until). ROUGE is the mean over
 * documents of rouge_score 0.1.2's F-measures, without stemming, in [0, 1]; BLEU and chrF are
 * sacreBLEU 2.6.0's over the whole corpus, in [0, 100]. Texts are compared as they were generated,
 * before any filter. */
#ifndef ASSAY_RESULTS_SIMILARITY_H
#define ASSAY_RESULTS_SIMILARITY_H

#include "metrics/stats.h"
#include "results/query.h"

enum similarity_metric {
    SIMILARITY_ROUGE1,
    SIMILARITY_ROUGE2,
    SIMILARITY_ROUGEL,
    SIMILARITY_BLEU,
    SIMILARITY_CHRF,
    SIMILARITY_METRICS,
};
extern const char *const similarity_names[SIMILARITY_METRICS]; /* "rouge1", ... */

struct similarity {
    const char *task, *task_alias;
    const char *setting; /* see setting_text() */
    int64_t evaluation_a, evaluation_b;
    int64_t n;                                   /* documents that both answered */
    int64_t n_answers;                           /* of each: repeats count on their own */
    int64_t n_same;                              /* answers that are equal, byte for byte */
    struct estimate metrics[SIMILARITY_METRICS]; /* intervals: a bootstrap over documents */
};

struct similarity_list {
    const char *model_a, *model_b;
    struct similarity *items;
    size_t n;
    const char **notes;
    size_t n_notes;
};

/* `a`, `b` and `task` as compare_models(). Result in the arena. E_INPUT: no such model or task, or
 * no task in which both wrote. */
int similarity_models(struct store *s, struct arena *arena, const char *a, const char *b,
                      const char *task, struct similarity_list *ret, struct error *err);

#endif
