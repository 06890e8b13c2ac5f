/* speed.h: how fast the engine runs a model, on tokens that are made up. */
#ifndef ASSAY_BACKENDS_LOCAL_SPEED_H
#define ASSAY_BACKENDS_LOCAL_SPEED_H

#include "backends/backend.h"
#include "backends/local/engine.h"

/* As backend_speed (backend.h). Nothing else may be in flight. `turn` picks other tokens, since a
 * beginning that the cache knows already would not be computed. */
int speed_measure(struct engine *e, const struct model *m, const struct backend_load *load,
                  uint64_t turn, struct backend_speed *ret, struct error *err);

#endif
