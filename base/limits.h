/* limits.h: how much of the machine this process may use.
 *
 * Control groups, version 1 and 2, are read where /proc/self/cgroup says and in every folder above,
 * since each may set a limit. What cannot be read sets none. `root` is "" but in tests: the folder
 * that /proc and /sys lie in. */
#ifndef ASSAY_BASE_LIMITS_H
#define ASSAY_BASE_LIMITS_H

#include <stddef.h>

/* Physical cores: those of the affinity mask, the hardware threads of a core counted once, and no
 * more than the CPU quota grants. At least 1. */
int limits_cores(void);

/* CPU seconds a second that the quotas grant; a large number without one. */
double limits_cpu_quota(const char *root);

/* Bytes that can be allocated before something must give way: what the kernel calls available, and
 * what the memory limits leave, caches not counted as used. SIZE_MAX: not known. */
size_t limits_memory(const char *root);

#endif
