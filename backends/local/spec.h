/* spec.h: the model's spec string, MODEL[,key=value...], taken apart. */
#ifndef ASSAY_BACKENDS_LOCAL_SPEC_H
#define ASSAY_BACKENDS_LOCAL_SPEC_H

#include "backends/local/model.h"

struct spec {
    const char *path;
    const char *name;  /* as given, or the path's last part with what quant and dtype add */
    enum format dtype; /* FORMAT_F32 unless given */
    struct quantization quant;
    const char *quant_name; /* with all that it takes: "none", "w4a16-g128", "q8_0-act-int8" */
    int group_size;         /* as given; 0: not given */
    const char *quant_text, *act; /* likewise; NULL */
    int max_length;               /* 0: the model's */
};

/* The path ends at the first comma. `dtype` holds where the spec names none; NULL: f32. E_USAGE: an
 * unknown key (err offers the nearest), or a value that it does not take. */
int spec_parse(struct arena *a, const char *text, const char *dtype, struct spec *ret,
               struct error *err);

#endif
