/* waiting.h: jobs that wait for a place, in the order in which the cache serves them best.
 *
 * Jobs are taken in rounds: all that have arrived are sorted by their tokens, so that those with
 * the same beginning are neighbours, and go in that order before any that arrives later. Nobody
 * waits for ever, and what a beginning is needed for happens while the cache has it. */
#ifndef ASSAY_BACKENDS_LOCAL_WAITING_H
#define ASSAY_BACKENDS_LOCAL_WAITING_H

#include <stdbool.h>
#include <stddef.h>

struct engine_job;

struct entry {
    struct engine_job *job; /* not to be looked at where next == end: it may be gone */
    int common;             /* leading input tokens that the entry before it has as well */
    int next, end;          /* positions whose prediction the job still needs a row for */
};

struct waiting {
    struct {
        struct engine_job **items;
        size_t n, cap;
    } arrived;
    struct {
        struct entry *items; /* [first .. n) wait */
        size_t n, cap, first;
    } round;
    bool unsorted; /* as they arrive; nothing is known to be common */
};

void waiting_push(struct waiting *w, struct engine_job *job);

/* The next that needs rows of its own, still in the queue; NULL: there is none. Entries stay where
 * they are until the next call: those behind it are ret[1] and up, to round.items + round.n. */
struct entry *waiting_first(struct waiting *w);
void waiting_free(struct waiting *w);

/* Of a job: how many tokens the model is to run over before anything is generated, and the first
 * position whose prediction somebody reads. */
int job_inputs(const struct engine_job *j);
int job_first_wanted(const struct engine_job *j);

#endif
