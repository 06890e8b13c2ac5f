/* checkpoint.h: a model's files, mapped and checked, before anybody asks what they mean.
 *
 * A GGUF file or a Hugging Face folder (config.json and safetensors) becomes a list of named
 * tensors that point into the mapping, and a dict of settings. Every count, length and offset of
 * the files has been checked: a tensor's `bytes` lie inside its file and are what its shape and
 * format need. */
#ifndef ASSAY_BACKENDS_LOCAL_CHECKPOINT_H
#define ASSAY_BACKENDS_LOCAL_CHECKPOINT_H

#include "base/file.h"
#include "base/hash.h"
#include "base/value.h"
#include "kernels/kernels.h"

enum { TENSOR_DIMS = 4 };

struct tensor {
    struct str name;
    enum format format;    /* FORMAT_COUNT: one that assay cannot compute with */
    const char *type_name; /* as the file calls it */
    int n_dims;
    int64_t shape[TENSOR_DIMS]; /* row-major: the last varies fastest */
    const void *data;           /* may be unaligned */
    size_t bytes;               /* 0 where the format is not known */
};

/* An array of GGUF's metadata, left in the file. */
struct gguf_array {
    struct str key;
    uint32_t type; /* of its elements: enum gguf_type */
    uint64_t n;
    const unsigned char *data; /* the first element */
};

enum gguf_type {
    GGUF_UINT8,
    GGUF_INT8,
    GGUF_UINT16,
    GGUF_INT16,
    GGUF_UINT32,
    GGUF_INT32,
    GGUF_FLOAT32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_UINT64,
    GGUF_INT64,
    GGUF_FLOAT64,
};

struct checkpoint {
    struct arena arena; /* names, settings */
    const char *path;
    bool is_gguf;
    struct value *settings; /* config.json, or GGUF's metadata less its arrays */
    struct {
        struct gguf_array *items;
        size_t n, cap;
    } arrays;
    struct {
        struct tensor *items; /* sorted by name */
        size_t n, cap;
    } tensors;
    struct {
        struct mapping *items;
        size_t n, cap;
    } files;
    char hash[HASH_HEX]; /* of all files' bytes */
};

/* The pool's threads hash the files. E_IO: not there. E_INPUT: damaged, truncated, or neither kind
 * (err says what is wrong where). */
int checkpoint_open(const char *path, struct pool *pool, struct checkpoint **ret,
                    struct error *err);
void checkpoint_close(struct checkpoint *c);

const struct tensor *checkpoint_tensor(const struct checkpoint *c, const char *name);
const struct gguf_array *checkpoint_array(const struct checkpoint *c, const char *key);

/* Private to checkpoint.c, gguf.c and safetensors.c: they fill c->settings, tensors and files. */
int gguf_read(struct checkpoint *c, struct error *err);
int safetensors_read_folder(struct checkpoint *c, struct error *err);

#endif
