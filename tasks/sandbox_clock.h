/* sandbox_clock.h: how long a program has worked, or waited for a core to work on.
 *
 * What is left of the wall clock is what it slept, or waited for files. A limit on that does not
 * depend on how loaded the machine is. */
#ifndef ASSAY_TASKS_SANDBOX_CLOCK_H
#define ASSAY_TASKS_SANDBOX_CLOCK_H

#include <sys/types.h>

/* Seconds over the process and its descendants, of each its busiest thread; from
 * /proc/PID/task/TID/schedstat. 0 where the system does not tell. */
double sandbox_busy_s(pid_t pid);

#endif
