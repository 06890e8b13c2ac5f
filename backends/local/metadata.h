/* metadata.h: what a checkpoint says besides its weights: the tokenizer, and where texts end. */
#ifndef ASSAY_BACKENDS_LOCAL_METADATA_H
#define ASSAY_BACKENDS_LOCAL_METADATA_H

#include "backends/local/checkpoint.h"
#include "backends/local/tokenizer.h"

/* The tokenizer of a GGUF file or of a folder. */
int tokenizer_of(const struct checkpoint *c, struct tokenizer **ret, struct error *err);

/* Ids that end a generated text: `eos` (unless -1) and those of generation_config.json, or
 * where a folder has no such file, of config.json, as transformers does. In `a`. */
int stop_ids_of(struct arena *a, const struct checkpoint *c, int32_t eos, const int32_t **ret,
                int *n, struct error *err);

#endif
