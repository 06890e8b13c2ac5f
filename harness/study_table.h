/* study_table.h: several models against the first one, as tables for people and for programs. */
#ifndef ASSAY_HARNESS_STUDY_TABLE_H
#define ASSAY_HARNESS_STUDY_TABLE_H

#include <stdbool.h>

#include "results/study.h"

/* Text: recovery, then sizes, speeds and divergence. JSON: a row for each model and column. */
void study_print(const struct study *s, bool json);

#endif
