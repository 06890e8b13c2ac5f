/* porter.h, for metrics/ alone: Porter's stemmer as NLTK 3 has it by default. */
#ifndef ASSAY_METRICS_PORTER_H
#define ASSAY_METRICS_PORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Stems a word of a-z and 0-9 in place; its new length, never more than n. */
size_t porter_stem(char *word, size_t n);

#endif
