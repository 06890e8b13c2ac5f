/* foresee.h: how much memory a model will take, compared with what there is before it starts. */
#ifndef ASSAY_BACKENDS_LOCAL_FORESEE_H
#define ASSAY_BACKENDS_LOCAL_FORESEE_H

#include "backends/local/engine.h"

/* Chooses o->kv_bytes where it is 0: 16,384 positions if a quarter of `available` holds them, but
 * 8,192 or the whole context in any case, or what is left where that does not fit but 1,024 do.
 * The model is not packed yet. E_MEMORY: the cache holds no page, or what the weights will take
 * more, the cache and a step do not fit into `available` bytes; err says what takes how much, and
 * which setting to change. */
int foresee(const struct model *m, const struct kernels *k, struct engine_options *o,
            size_t available, struct error *err);

/* Bytes of one position's keys and values. */
size_t position_bytes(const struct model *m);

#endif
