/* spec.h: the model's spec string, MODEL[,key=value...], taken apart. */
#ifndef ASSAY_BACKENDS_LOCAL_SPEC_H
#define ASSAY_BACKENDS_LOCAL_SPEC_H

#include "backends/local/model.h"
#include "backends/local/scheme.h"

struct spec {
    const char *path;
    const char *name;  /* as given, or the path's last part with what quant and dtype add */
    enum format dtype; /* FORMAT_F32 unless given */
    struct scheme scheme;
    struct scheme_words words; /* what it was made of */
    const char *device_text;   /* as given; NULL */
    int cuda;                  /* the CUDA device that computes; -1: the processor */
    int max_length;            /* 0: the model's */
};

/* The path ends at the first comma. `dtype` holds where the spec names none; NULL: f32. E_USAGE: an
 * unknown key (err offers the nearest), or values that it or the others do not take. */
int spec_parse(struct arena *a, const char *text, const char *dtype, struct spec *ret,
               struct error *err);

#endif
