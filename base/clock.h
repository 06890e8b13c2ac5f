/* clock.h: what time it is. */
#ifndef ASSAY_BASE_CLOCK_H
#define ASSAY_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* By one of the system's clocks: CLOCK_REALTIME for dates, CLOCK_THREAD_CPUTIME_ID for work that
 * others on the machine would disturb. */
static inline double clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* For durations: nobody sets this clock. */
static inline int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline double now_seconds(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

#endif
