/* calibrate.h: text on its way through a model, one layer at a time, and what its layers' matrices
 * see of it.
 *
 * All samples pass a layer before any of them enters the next, so that a layer can be quantized in
 * between: calibration_pass to look, again to go on. What is learnt depends on the text alone, not
 * on threads. */
#ifndef ASSAY_BACKENDS_LOCAL_CALIBRATE_H
#define ASSAY_BACKENDS_LOCAL_CALIBRATE_H

#include "backends/local/forward.h"

enum {
    SEES_GRAM = 1, /* besides sums and greatest values; */
    SEES_ROWS = 2,
    KEPT_ROWS = 512, /* at most */
};

/* What one input of a layer's matrices is like over all rows X. */
struct input_stats {
    int cols;
    int64_t n_rows;
    double *gram;    /* [cols, cols] X^T X, symmetric; NULL: not asked for */
    double *sum_abs; /* [cols] */
    float *max_abs;  /* [cols] */
    float *rows;     /* [n_kept, cols] of X, evenly spread; NULL: not asked for */
    int n_kept;
};

struct calibration_options {
    const struct model *m; /* used, not owned, like all here */
    const struct kernels *k;
    struct pool *pool;
    enum format dtype;     /* of activations */
    const int32_t *tokens; /* [n_samples, length], each sample from position 0 */
    int n_samples, length;
    int sees; /* SEES_GRAM, SEES_ROWS */
};

struct calibrator;

/* E_MEMORY: the samples' activations do not fit; err says what to lower. */
int calibrator_open(const struct calibration_options *o, struct calibrator **ret,
                    struct error *err);
void calibrator_close(struct calibrator *c); /* takes NULL */

/* All samples through the layer, whose weights are packed. `looks`: the stats are made anew;
 * `goes_on`: the layer's output is what the next pass begins with. `step` is told how many of how
 * many samples are through (NULL: nobody is). E_MEMORY. */
int calibrator_pass(struct calibrator *c, const struct layer *l, bool looks, bool goes_on,
                    void (*step)(void *arg, int done, int all), void *arg, struct error *err);

/* Of the last pass that looked; lives until the next one. What the caller changes in them (columns
 * that it scales) is its own matter. */
struct input_stats *calibrator_stats(struct calibrator *c, enum layer_input input);

/* n_samples stretches of `length` tokens of a text of n, at places drawn by the seed (CPython's
 * random.Random): into ret [n_samples, length]. n must be at least length. */
void draw_samples(const int32_t *tokens, size_t n, int n_samples, int length, int seed,
                  int32_t *ret);

#endif
