/* compare_tables.h: what `assay compare` prints besides scores. */
#ifndef ASSAY_HARNESS_COMPARE_TABLES_H
#define ASSAY_HARNESS_COMPARE_TABLES_H

#include "results/divergence.h"
#include "results/similarity.h"

void divergence_print(const struct divergence_list *l, bool json);
void similarity_print(const struct similarity_list *l, bool json);

#endif
