/* hub.h: a data set of the hub, laid out in a folder as it is there. */
#ifndef ASSAY_TASKS_HUB_H
#define ASSAY_TASKS_HUB_H

#include "base/arena.h"
#include "base/error.h"

/* The files of a split below `folder`: in the folder CONFIG, data/CONFIG, then the folder itself
 * and data, those named SPLIT.EXT or SPLIT-*.EXT (its parts, in order), or CONFIG-SPLIT.EXT and
 * CONFIG_SPLIT.EXT, EXT being jsonl, json, csv or tsv, plain or .gz. The first of these places that
 * has any is taken. `config` may be NULL. 1: *ret[*n] are they, all of one format; 0: there are
 * none, and *parquet is a file of the split that cannot be read, or NULL. */
int hub_files(struct arena *a, const char *folder, const char *config, const char *split,
              const char *const **ret, int *n, const char **parquet);

#endif
