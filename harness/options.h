/* options.h: the command line, parsed and explained from one table of rows.
 *
 * A command lists its options once; parsing, --help and the hint after a misspelling read the same
 * rows. Long names are lm-evaluation-harness' where it has one; `-` and `_` in them are the same.
 * `--name value` and `--name=value` both work. */
#ifndef ASSAY_HARNESS_OPTIONS_H
#define ASSAY_HARNESS_OPTIONS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct strings {
    const char **items;
    size_t n, cap;
};

enum option_kind {
    OPTION_END,
    OPTION_GROUP, /* a heading in the help */
    OPTION_FLAG,  /* bool: set by its presence; --no-NAME clears it; =true or =false set it */
    OPTION_INT,   /* int */
    OPTION_COUNT, /* int, 0 or more */
    OPTION_SIZE,  /* size_t: bytes, as 2G, 512M, 64K or a plain number */
    OPTION_LIMIT, /* double: a fraction between 0 and 1, or a whole number of documents */
    OPTION_STR,   /* const char * */
    OPTION_LIST,  /* struct strings: may be given again and again */
    OPTION_SPLIT, /* struct strings: also split at commas */
};

struct option {
    enum option_kind kind;
    char letter;      /* 0: none */
    const char *name; /* without the dashes; for OPTION_GROUP the heading */
    const char *arg;  /* what the value is called in the help */
    void *target;
    const char *help; /* a default stands in brackets at its end */
};

/* Rows that several commands have, without the braces. */
#define OPTION_ROW_DB(target)   OPTION_STR, 0, "db", "FILE", (target), "the store [assay.db]"
#define OPTION_ROW_JSON(target) OPTION_FLAG, 0, "json", NULL, (target), "print the table as JSON"
#define OPTION_ROW_INCLUDE_PATH(target)                                                            \
    OPTION_LIST, 0, "include_path", "DIR", (target), "folder of your own task files"
#define OPTION_ROW_BOOTSTRAP_ITERS(target)                                                         \
    OPTION_COUNT, 0, "bootstrap_iters", "N", (target), "for standard errors [100000]"
#define OPTION_ROW_ALLOW_UNSANDBOXED(target)                                                       \
    OPTION_FLAG, 0, "allow_unsandboxed", NULL, (target), "run model-written code without bubblewrap"

/* Everything that --help prints of a command. */
struct usage {
    const char *command;  /* "run" */
    const char *synopsis; /* "-m MODEL -t TASK [options]" */
    const char *summary;  /* one or two sentences */
    const char *example;  /* indented lines; NULL: none */
    const struct option *options;
};

/* Fills the targets; what is no option goes into `positional`. 1: --help was asked for and
 * printed. E_USAGE: an unknown option (err offers the nearest), or a value that does not parse.
 * main prints the command's name before the sentence. */
int options_parse(const struct usage *u, int argc, char **argv, struct strings *positional,
                  struct error *err);

#endif
