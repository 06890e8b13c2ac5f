/* pairs.h: private to results/. Which evaluations of two models are compared with each other, and
 * which of their samples. */
#ifndef ASSAY_RESULTS_PAIRS_H
#define ASSAY_RESULTS_PAIRS_H

#include "results/query.h"

struct evaluation_pair {
    const struct evaluation_line *a, *b;
};

/* The samples of evaluations ?1 and ?2 as sa and sb: of the same documents, word for word. */
#define FROM_PAIRED_SAMPLES                                                                        \
    "FROM samples sa JOIN samples sb ON sb.evaluation = ?2 AND sb.doc_id = sa.doc_id "             \
    "AND sb.doc = sa.doc "

enum { PAIRS_SEED = 20260101 }; /* of bootstraps; fixed: a store gives the same interval again */

struct notes {
    const char **items; /* sentences in the arena; the array is freed by the caller */
    size_t n, cap;
};

#define NOTE(notes, arena, ...) (*ARRAY_PUSH(notes) = arena_printf((arena), __VA_ARGS__))

struct pairs {
    const char *model_a, *model_b; /* labels */
    const char *example_a;         /* a task that A has, for sentences; likewise */
    const char *example_b;
    struct evaluation_pair *items; /* by A's task, few-shot count and last use */
    size_t n;
};

/* `a`, `b` and `task` as compare_models() has them. Result in the arena; what was left out or
 * chosen, and why, goes to `notes`. E_INPUT: no such model. No pair at all is no error. */
int pairs_find(struct store *s, struct arena *arena, const char *a, const char *b, const char *task,
               struct pairs *ret, struct notes *notes, struct error *err);

/* The sentence for two models that have nothing in common. */
int pairs_none(const char *a, const char *b, const struct pairs *p, const struct notes *notes,
               struct error *err);

/* Notes as an array in the arena; frees the list. */
const char **notes_take(struct notes *notes, struct arena *arena);

#endif
