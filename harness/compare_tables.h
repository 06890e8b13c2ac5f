/* compare_tables.h: what `assay compare` prints, for people or as JSON. */
#ifndef ASSAY_HARNESS_COMPARE_TABLES_H
#define ASSAY_HARNESS_COMPARE_TABLES_H

#include "results/compare.h"
#include "results/divergence.h"
#include "results/similarity.h"

void comparison_print(const struct comparison_list *l, bool json);
void divergence_print(const struct divergence_list *l, bool json);
void similarity_print(const struct similarity_list *l, bool json);

#endif
