/* probe.h: what the machine could do at best, measured, so that a bench can say how near it is. */
#ifndef ASSAY_KERNELS_PROBE_H
#define ASSAY_KERNELS_PROBE_H

#include <time.h>

#include "base/pool.h"

/* Operations and bytes a second of all threads of the pool together; 0: the processor has no such
 * instruction. A multiply-add counts as two operations. */
struct peaks {
    double f32;  /* fused multiply-adds from registers, of the widest kind */
    double bf16; /* dot products of pairs of bf16 into f32 (AVX-512 BF16) */
    double int8; /* products of bytes into int32: VNNI, else pairs widened to 16 bits (AVX2) */
    double
        bytes; /* reading memory that no cache holds, in 2 MiB pages where the system gives them */
};

/* Takes about half a second. With one thread, `clock` may be the process's own time, which other
 * work on the machine disturbs less than CLOCK_MONOTONIC. */
struct peaks probe_peaks(struct pool *pool, clockid_t clock);

#endif
