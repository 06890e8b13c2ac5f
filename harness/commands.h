/* commands.h: the program's commands, one file each (cmd_NAME.c). */
#ifndef ASSAY_HARNESS_COMMANDS_H
#define ASSAY_HARNESS_COMMANDS_H

#include "base/error.h"

/* A command gets what stands behind its name. It prints results to stdout and returns the
 * program's exit code, or a negative error whose sentence main prints. */
typedef int command_function(int argc, char **argv, struct error *err);

command_function cmd_run, cmd_compare, cmd_report, cmd_ls, cmd_show, cmd_score;

/* 0 done; 1 done, but some evaluations failed; 2 usage; 3 could not start or go on; 75
 * interrupted, run again to resume. */
enum { EXIT_DONE = 0, EXIT_PARTLY = 1, EXIT_USAGE = 2, EXIT_START = 3, EXIT_RESUME = 75 };

#endif
