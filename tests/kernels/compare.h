/* compare.h: the kernels' checks print what differs: seed, level, shape, index and both values. */
#ifndef ASSAY_TESTS_KERNELS_COMPARE_H
#define ASSAY_TESTS_KERNELS_COMPARE_H

#include "tests/check.h"
#include "tests/kernels/operands.h"

/* One of each, however many files the tool has. */
__attribute__((weak)) char tool_level[16];
__attribute__((weak)) char tool_what[128];

/* Names the level that the following checks are about; true, to stand in an `if`. */
static inline bool tool_begin(const char *level)
{
    snprintf(tool_level, sizeof tool_level, "%s", level);
    return true;
}

__attribute__((format(printf, 1, 2))) static inline void tool_shape(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(tool_what, sizeof tool_what, format, args);
    va_end(args);
}

__attribute__((format(printf, 1, 2))) static inline void tool_fail(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    check_fail(tool_level, (int)random_first, "%s: %s", tool_what, text);
}

/* |want - got| <= bounds[i]; NaN equals NaN, an infinity itself. */
static inline void tool_close(const float *want, const float *got, size_t n, const double *bounds)
{
    for (size_t i = 0; i < n; i++) {
        double w = (double)want[i], g = (double)got[i];
        if (fabs(w - g) <= bounds[i] || (isnan(w) && isnan(g)) || (isinf(w) && w == g))
            continue;
        tool_fail("[%zu] is %.9g, not %.9g (off by %.3g, bound %.3g)", i, g, w, fabs(w - g),
                  bounds[i]);
        return;
    }
}

__attribute__((format(printf, 4, 5))) static inline void
tool_same_bits(const float *want, const float *got, size_t n, const char *how, ...)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&want[i], &got[i], sizeof *got) == 0)
            continue;
        char text[100];
        va_list args;
        va_start(args, how);
        vsnprintf(text, sizeof text, how, args);
        va_end(args);
        tool_fail("%s: [%zu] is %a, not %a", text, i, (double)got[i], (double)want[i]);
        return;
    }
}

#endif
