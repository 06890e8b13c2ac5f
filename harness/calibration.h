/* calibration.h: the texts that calib= names, for backends (backend.h's text_reader). */
#ifndef ASSAY_HARNESS_CALIBRATION_H
#define ASSAY_HARNESS_CALIBRATION_H

#include "base/error.h"
#include "base/str.h"

/* `arg` is a struct strings of data folders, in which a path that is not there is looked for. A
 * file .jsonl, .json, .csv or .tsv (.gz too) is a data set: of each row the column "text", or
 * without one all columns of text, joined by line ends; an empty line between rows. Any other file
 * is text as it is. E_IO, E_INPUT. */
int calibration_text(void *arg, struct arena *a, const char *path, struct str *ret,
                     struct error *err);

#endif
