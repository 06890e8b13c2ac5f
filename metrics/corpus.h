/* corpus.h, for metrics/ alone: aggregations over whole corpora, from each document's parts. */
#ifndef ASSAY_METRICS_CORPUS_H
#define ASSAY_METRICS_CORPUS_H

#include "metrics/metric.h"

/* Whether `how` is one of these. */
bool corpus_has(enum aggregation how);

/* NaN where an item has no parts, or F1's labels are not of two kinds. */
double corpus_value(enum aggregation how, const struct metric_item *items, int64_t n);
double corpus_stderr(enum aggregation how, const struct metric_item *items, int64_t n, int iters,
                     struct pool *pool);

#endif
