/* quantize.h: puts a scheme's codes into the places of a model's matrices.
 *
 * Without text each matrix is rounded by itself. With text the layers are taken in order: all
 * samples pass a layer, the method decides about its matrices by what they saw, and the samples go
 * on to the next (with GPTQ through the codes, whose errors later layers can so make up for; else
 * through the layer as it was). The codes depend on the model, the scheme and the text alone, not
 * on threads. */
#ifndef ASSAY_BACKENDS_LOCAL_QUANTIZE_H
#define ASSAY_BACKENDS_LOCAL_QUANTIZE_H

#include "backends/local/model.h"
#include "backends/local/scheme.h"

/* A matrix that was made. */
struct made {
    const char *module;
    const struct weight *weight;
    double error;         /* |(W - Q) X| / |W X| over the text, or without one |W - Q| / |W| */
    size_t before, after; /* bytes in the file and of the codes with their scales */
};

struct quantize_options {
    const struct scheme *scheme;
    const struct kernels *k; /* used, not owned */
    struct pool *pool;
    enum format dtype; /* of activations */
    const int32_t
        *tokens; /* [n_samples, length] of the scheme's calibration; NULL: it needs none */
    void (*told)(void *arg, double share);            /* of the work that is done; or NULL */
    void (*made)(void *arg, const struct made *made); /* of each matrix; or NULL */
    void *arg;
};

/* The model is open and not packed. E_MEMORY; E_UNSUPPORTED: no matrix takes the scheme; E_INPUT: a
 * value or shape that it has no codes for. */
int model_quantize(struct model *m, const struct quantize_options *o, struct error *err);

#endif
