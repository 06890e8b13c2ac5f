/* scheme.h: what is made of a model's matrices: formats, the method that chooses the codes, and
 * what it learns from.
 *
 * A scheme is a row of a table (scheme.c) and what the keys beside quant= change in it. Every
 * combination is checked here, before anything is loaded: what a scheme or a method does not take
 * is refused with the list of what it does.
 *
 * Codes are found by compressed-tensors' rule, so that llm-compressor's checkpoints and assay's say
 * the same. Over a group of columns of a row (or the row, a block, the matrix):
 *
 *   symmetric   scale = max|w| / ((2^bits - 1) / 2): 127.5, 7.5; FP8 448, FP4 6
 *               code = w / scale, rounded to even and clamped
 *   asymmetric  scale = (max(w, 0) - min(w, 0)) / (2^bits - 1), zero = -min / scale rounded to even
 *               code = w / scale + zero, rounded to even and clamped
 *   NVFP4       as symmetric, with scales that are FP8 times max|W| / (6 * 448)
 *   BitNet      scale = mean|W| of the matrix; code = w / scale rounded to even, in -1 .. 1
 *
 * A scale is rounded to the format of the model's own floats before codes are found with it (F16
 * where the file holds no floats); the quotient is f32. GGUF's blocks are made as llama.cpp does
 * without an importance matrix. */
#ifndef ASSAY_BACKENDS_LOCAL_SCHEME_H
#define ASSAY_BACKENDS_LOCAL_SCHEME_H

#include "base/arena.h"
#include "base/str.h"
#include "kernels/kernels.h"

enum method {
    METHOD_RTN,         /* to the nearest code */
    METHOD_SMOOTHQUANT, /* arXiv 2211.10438: outliers of activations move into the weights */
    METHOD_GPTQ, /* arXiv 2210.17323: later columns make up for the rounding of earlier ones */
    METHOD_AWQ,  /* arXiv 2306.00978: columns that matter are scaled up, ranges clipped */
    METHOD_COUNT,
};

enum act_order {
    ORDER_NONE,   /* columns from the first to the last */
    ORDER_WEIGHT, /* the most active first; groups as they lie in the matrix */
    ORDER_GROUP,  /* groups, too, are of columns in that order: the weight gets a perm */
};

/* The text that a method or a static scale learns from. */
struct calibration {
    const char *path; /* NULL: none is needed */
    int n_samples, length;
    int seed;
};

struct patterns {
    const char **items;
    size_t n, cap;
};

struct scheme {
    const char *name;  /* as in the table: "none", "w4a16" */
    const char *label; /* with all that is not usual: "w4a16-g64-asym-gptq"; also the identity's, to
                          which the calibration text's hash is added */
    struct {
        enum format format; /* FORMAT_COUNT: as they are stored */
        int group;          /* of codes: columns that share a scale; 0: the row */
        int group_rows;     /* rows that do; 0: the matrix */
        bool asymmetric;
    } weights;
    struct {
        enum activation kind;
        int group; /* columns of a token that share a scale; 0: the token */
        bool is_static;
    } x;
    bool words_too;        /* embedding and head are made, too, where they can be */
    const char *container; /* compressed-tensors' name of how it is written; NULL: it cannot be */
    enum method method;
    double alpha; /* SmoothQuant's; NaN: searched for */
    double damp;  /* GPTQ's: share of the mean of the Hessian's diagonal */
    enum act_order order;
    struct patterns ignore; /* modules that stay as they are */
    struct calibration calibration;
};

/* The keys of a model's spec that make the scheme, as they are written; NULL, 0: not given. */
struct scheme_words {
    const char *quant, *method, *group_size, *symmetric, *is_static, *act;
    const char *alpha, *damp, *act_order;
    const char *calib, *samples, *length, *seed;
    struct patterns ignore;
};

/* `spec` is quoted in errors. E_USAGE: a value that is not known, or does not go with the others.
 */
int scheme_make(struct arena *a, const struct scheme_words *w, const char *spec, struct scheme *ret,
                struct error *err);

/* The scheme that leaves everything as it is. */
struct scheme scheme_none(void);

/* Is any matrix changed, or what it multiplies? */
bool scheme_is_none(const struct scheme *s);

/* Does a module ("model.layers.0.mlp.up_proj", "lm_head") stay as it is? A pattern is its whole
 * name, the end of it from a dot on ("up_proj"), or, behind "re:", a regular expression that
 * matches its beginning. Returns 1, 0, or E_USAGE: the expression cannot be read. */
int scheme_ignores(const struct scheme *s, const char *module, struct error *err);

const char *method_name(enum method m);

/* "w8a8-int, w4a16": those that can be written. */
const char *schemes_written(struct arena *a);

#endif
