/* segments.h, for metrics/ alone: sacreBLEU's ways of cutting a segment into words. */
#ifndef ASSAY_METRICS_SEGMENTS_H
#define ASSAY_METRICS_SEGMENTS_H

#include "metrics/text.h"
#include "metrics/words.h"

struct words bleu_words(struct arena *a, struct str text, const struct bleu_options *o);
struct words ter_words(struct arena *a, struct str text, const struct ter_options *o);

#endif
