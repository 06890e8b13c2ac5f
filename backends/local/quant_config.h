/* quant_config.h: what a checkpoint says of how its matrices are stored.
 *
 * Quantized models name their layout in config.json's quantization_config (older ones in
 * compression_config, or in quantize_config.json or quant_config.json beside it). Read here are
 * compressed-tensors (compressed_tensors.c), GPTQ, AWQ, FP8 and BitNet; each becomes a list of
 * patterns, of which the first that fits a module says how it lies in the file. weights.c then
 * reads it. Modules are named in Hugging Face's way: "model.layers.3.self_attn.q_proj". */
#ifndef ASSAY_BACKENDS_LOCAL_QUANT_CONFIG_H
#define ASSAY_BACKENDS_LOCAL_QUANT_CONFIG_H

#include "base/regex.h"
#include "base/value.h"
#include "kernels/kernels.h"

/* Which tensors a module has. O outputs, I inputs, b bits; [O, 1] may also be [O], [1] []. */
enum storage {
    STORAGE_CODES,  /* weight I8 or F8_E4M3 [O, I]; weight_scale or weight_scale_inv; if asymmetric
                       weight_zero_point; if static input_scale or activation_scale [1] */
    STORAGE_PACKED, /* weight_packed I32 [O, I b / 32], code + 2^(b-1), lowest bits first;
                       weight_scale; weight_shape [2]; weight_zero_point packed along O; g_idx */
    STORAGE_FP4,    /* weight_packed U8 [O, I / 2]; weight_scale F8_E4M3 or U8 (an exponent);
                       weight_global_scale [1], by which to divide */
    STORAGE_GPTQ,   /* qweight I32 [I b / 32, O], qzeros I32 [groups, O b / 32], scales [groups, O],
                       g_idx I32 [I] */
    STORAGE_AWQ,    /* qweight I32 [I, O / 8], qzeros I32 [groups, O / 8], scales [groups, O] */
    STORAGE_AWQ_GEMV, /* qweight I32 [O, I / 8], qzeros I32 [O, groups / 8], scales [O, groups], the
                         last two with columns to spare */
    STORAGE_BITNET, /* weight U8 [O / 4, I], two bits of each of four quarters; weight_scale [1]; or
                       floats [O, I], made ternary as they are read */
};

/* How a module is stored. */
struct stored {
    enum storage storage;
    const char *name; /* as the configuration calls it: "pack-quantized", "gptq" */
    int bits;
    bool is_float;   /* codes of FP8 or FP4 */
    bool symmetric;  /* no zero points */
    int group;       /* columns that share a scale; 0: all */
    int group_rows;  /* rows that do; 0: all */
    bool minus_one;  /* GPTQ: zero points are stored less one */
    bool is_online;  /* BitNet: floats */
    bool is_divided; /* BitNet: by weight_scale; else multiplied */
    struct {
        enum activation kind;
        int group;
        bool is_static; /* its scale is a tensor */
        float reach;
    } x;
};

enum match {
    MATCH_NAME,  /* the module's */
    MATCH_REGEX, /* from its name's start */
    MATCH_CLASS, /* "Linear" */
    MATCH_END,   /* its name ends so */
};

struct pattern {
    enum match kind;
    struct str text;
    struct regex *regex;
    const struct stored *stored; /* NULL: it is not quantized */
};

enum kv_kind { KV_FLOAT, KV_INT8, KV_FP8 };

struct quant_config {
    const char *where;  /* "DIR/config.json: quantization_config" */
    const char *method; /* "compressed-tensors" */
    struct {
        struct pattern *items;
        size_t n, cap;
    } patterns;
    struct {
        enum kv_kind kind; /* of the key/value cache */
        bool is_static;    /* self_attn.k_scale and v_scale are tensors */
        bool per_head;
    } kv;
};

/* Finds and reads the configuration of the folder; *ret is NULL where there is none. `settings` is
 * config.json. E_UNSUPPORTED: a method or setting that is not known (err lists those that are).
 * Lives in `a`, but for its regexes: end with quant_config_free. */
int quant_config_read(struct arena *a, const char *folder, const struct value *settings,
                      struct quant_config **ret, struct error *err);
/* The same of one configuration; `where` names it. */
int quant_config_parse(struct arena *a, const struct value *config, const char *where,
                       struct quant_config **ret, struct error *err);
void quant_config_free(struct quant_config *q); /* takes NULL */

/* How `module` of class "Linear" or "Embedding" is stored; *ret is NULL: in floats. */
int quant_config_find(const struct quant_config *q, struct str module, const char *class,
                      const struct stored **ret, struct error *err);

/* Private to quant_config.c and compressed_tensors.c. */
int compressed_tensors_read(struct arena *a, struct quant_config *q, const struct value *config,
                            struct error *err);
int pattern_add(struct quant_config *q, enum match kind, struct str text,
                const struct stored *stored, struct error *err);

#endif
