/* saved_tensors.h: what a checkpoint of compressed-tensors has of a quantized module, and a file of
 * safetensors. Private to save.c and saved_tensors.c.
 *
 * int-quantized, float-quantized   weight I8 or F8_E4M3 [O, I]; weight_scale [O, 1], of blocks
 *                                  [O / 128, I / 128]; if static input_scale [1]
 * pack-quantized                   weight_packed I32 [O, I b / 32]: code + 2^(b-1), lowest bits
 *                                  first; weight_scale [O, groups]; weight_shape I64 [2]; of
 *                                  asymmetric codes weight_zero_point I32, packed along O; of
 * groups by act-order weight_g_idx I32 [I] nvfp4-pack-quantized             weight_packed U8 [O, I
 * / 2]; weight_scale F8_E4M3 [O, I / 16]; weight_global_scale F32 [1], by which to divide */
#ifndef ASSAY_BACKENDS_LOCAL_SAVED_TENSORS_H
#define ASSAY_BACKENDS_LOCAL_SAVED_TENSORS_H

#include "backends/local/model.h"
#include "backends/local/scheme.h"

struct saved_tensor {
    const char *name;
    const char *type; /* "I32" */
    int n_dims;
    int64_t shape[TENSOR_DIMS];
    size_t bytes;
    const void *data;
};

struct saved_tensors {
    struct saved_tensor *items;
    size_t n, cap;
};

/* The tensors of a module that became `w`, in `a` where they do not lie in its memory so. */
void saved_module(struct arena *a, const struct scheme *s, const char *module,
                  const struct weight *w, struct saved_tensors *ret);

/* Values as the file's format has them. */
void saved_vector(struct arena *a, const char *name, enum format format, const float *x, int n,
                  struct saved_tensors *ret);

/* Writes the file. E_IO. */
int saved_write(const char *path, const struct saved_tensors *t,
                void (*told)(void *arg, double share), void *arg, struct error *err);

#endif
