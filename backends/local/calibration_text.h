/* calibration_text.h: the text that a scheme learns from, as tokens. */
#ifndef ASSAY_BACKENDS_LOCAL_CALIBRATION_TEXT_H
#define ASSAY_BACKENDS_LOCAL_CALIBRATION_TEXT_H

#include "backends/backend.h"
#include "backends/local/scheme.h"
#include "backends/local/tokenizer.h"
#include "base/hash.h"

/* Reads c->path (by `read`; NULL: as it is), encodes it as a whole and draws the samples. *ret
 * [n_samples, length] is the caller's to free; `hash` is the text's. E_INPUT: the text is shorter
 * than a sample. Others as reading gives them. */
int calibration_tokens(const struct calibration *c, const struct tokenizer *t,
                       const struct text_reader *read, int32_t **ret, char hash[HASH_HEX],
                       struct error *err);

#endif
