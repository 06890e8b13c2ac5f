/* progress.h: one line that says how far a run is. On a terminal it is redrawn in place; elsewhere
 * (a log, a pipe) a plain line comes every ten seconds. NO_COLOR, TERM=dumb and --quiet are
 * honoured. Everything goes to stderr. Thread-safe. */
#ifndef ASSAY_HARNESS_PROGRESS_H
#define ASSAY_HARNESS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress;

struct progress *progress_new(bool quiet);
void progress_free(struct progress *p);

/* A model's turn: `total` documents to ask, of `stored` more that the store has already. */
void progress_begin(struct progress *p, const char *model, int64_t total, int64_t stored);

/* One document is done. `score`: its first metric, NaN where it has none; the line shows the
 * running mean over this task. */
void progress_document(struct progress *p, const char *task, const char *metric, double score);

/* What the engine did since progress_begin. */
struct engine_progress {
    int64_t computed;      /* tokens that went through the model */
    int64_t asked;         /* as many as answered requests have, had nothing been shared */
    double seconds_waited; /* with nothing to do, for documents to be rendered */
};

/* The engine is alive. Draws when it is time to. */
void progress_engine(struct progress *p, const struct engine_progress *e);

/* Ends the line; a summary stays. */
void progress_end(struct progress *p);

/* A sentence on a line of its own, without tearing the progress line. */
void progress_note(struct progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
