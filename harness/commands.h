/* commands.h: the program's commands, one file each (cmd_NAME.c). */
#ifndef ASSAY_HARNESS_COMMANDS_H
#define ASSAY_HARNESS_COMMANDS_H

#include "base/error.h"

/* A command gets what stands behind its name. It prints results to stdout and returns the
 * program's exit code, or a negative error whose sentence main prints. */
typedef int command_function(int argc, char **argv, struct error *err);

command_function cmd_run, cmd_compare, cmd_report, cmd_ls, cmd_show, cmd_score, cmd_rescore,
    cmd_bench, cmd_card, cmd_quantize, cmd_tasks;

/* 0 done; 1 done, but some evaluations failed; 2 usage; 3 could not start or go on; 75
 * interrupted, run again to resume. */
enum exit_code { EXIT_DONE = 0, EXIT_PARTLY = 1, EXIT_USAGE = 2, EXIT_START = 3, EXIT_RESUME = 75 };

/* The exit code that a result of cmd_NAME stands for. */
static inline int exit_code(int result)
{
    return result >= 0               ? result
           : result == E_USAGE       ? EXIT_USAGE
           : result == E_INTERRUPTED ? EXIT_RESUME
                                     : EXIT_START;
}

#endif
