/* check.h: the tests' one helper. A test program is a list of functions; it prints TAP, which
 * meson reads. An EXPECT that fails prints file, line and both values, and lets the test go on.
 *
 *     static void adds(void) { EXPECT_INT(1 + 1, 2); }
 *     CHECK_MAIN({"adds", adds})
 *
 * Reference data lies in $ASSAY_SHARED; where it is absent, check_shared() skips the test aloud. */
#ifndef ASSAY_TESTS_CHECK_H
#define ASSAY_TESTS_CHECK_H

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"

struct check_test {
    const char *name;
    void (*run)(void);
};

/* Of the running test; one of each, however many files the test has. */
__attribute__((weak)) int check_failures;
__attribute__((weak)) char check_skip[256]; /* why it was skipped */

static inline void check_fail(const char *file, int line, const char *format, ...)
{
    if (++check_failures > 20)
        return; /* the first ones tell the story */
    va_list args;
    va_start(args, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_fail(__FILE__, __LINE__, "false: %s", #condition);                               \
    } while (0)

#define EXPECT_INT(got, want)                                                                      \
    do {                                                                                           \
        long long got_ = (long long)(got), want_ = (long long)(want);                              \
        if (got_ != want_)                                                                         \
            check_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got, got_, want_);             \
    } while (0)

#define EXPECT_STR(got, want) check_str(__FILE__, __LINE__, #got, (got), (want))
#define EXPECT_Z(got, want)   check_str(__FILE__, __LINE__, #got, str_of(got), str_of(want))

/* |got - want| <= tolerance, absolute; NaN equals NaN. */
#define EXPECT_NEAR(got, want, tolerance)                                                          \
    do {                                                                                           \
        double got_ = (got), want_ = (want);                                                       \
        if (!(fabs(got_ - want_) <= (tolerance)) && !(isnan(got_) && isnan(want_)) &&              \
            got_ != want_)                                                                         \
            check_fail(__FILE__, __LINE__, "%s is %.17g, not %.17g (off by %g)", #got, got_,       \
                       want_, fabs(got_ - want_));                                                 \
    } while (0)

/* A call that must return 0; prints the error's sentence otherwise. */
#define EXPECT_OK(call, err)                                                                       \
    do {                                                                                           \
        int r_ = (call);                                                                           \
        if (r_ != 0)                                                                               \
            check_fail(__FILE__, __LINE__, "%s gave %d: %s", #call, r_, (err)->msg);               \
    } while (0)

/* A call that must fail with `code` and a sentence that holds `words`. */
#define EXPECT_ERROR(call, err, code_, words)                                                      \
    do {                                                                                           \
        int r_ = (call);                                                                           \
        if (r_ != (code_))                                                                         \
            check_fail(__FILE__, __LINE__, "%s gave %d, not %d: %s", #call, r_, (code_),           \
                       r_ ? (err)->msg : "success");                                               \
        else if (!strstr((err)->msg, (words)))                                                     \
            check_fail(__FILE__, __LINE__, "%s says \"%s\", without \"%s\"", #call, (err)->msg,    \
                       (words));                                                                   \
    } while (0)

static inline void check_str(const char *file, int line, const char *what, struct str got,
                             struct str want)
{
    if (str_eq(got, want))
        return;
    size_t at = 0;
    while (at < got.n && at < want.n && got.p[at] == want.p[at])
        at++;
    check_fail(file, line, "%s differs at byte %zu:\n#   got  %.*s\n#   want %.*s", what, at,
               STR_ARG(got), STR_ARG(want));
}

/* The path of a reference file, or NULL after noting the skip: `if (!path) return;`. */
static inline const char *check_shared(const char *name)
{
    static char path[8][4096];
    static int turn;
    char *p = path[turn++ % 8];
    const char *root = getenv("ASSAY_SHARED");
    snprintf(p, sizeof path[0], "%s/%s", root ? root : "../shared", name);
    if (access(p, R_OK) == 0)
        return p;
    snprintf(check_skip, sizeof check_skip, "no reference data at %.200s", p);
    return NULL;
}

static inline int check_run(const struct check_test *tests, int n)
{
    int failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        check_failures = 0;
        check_skip[0] = '\0';
        tests[i].run();
        if (check_failures > 20)
            printf("# ... and %d more\n", check_failures - 20);
        printf("%s %d - %s%s%s\n", check_failures ? "not ok" : "ok", i + 1, tests[i].name,
               check_skip[0] && !check_failures ? " # SKIP " : "",
               check_failures ? "" : check_skip);
        failed += check_failures > 0;
    }
    return failed > 0;
}

#define CHECK_MAIN(...)                                                                            \
    int main(void)                                                                                 \
    {                                                                                              \
        static const struct check_test tests[] = {__VA_ARGS__};                                    \
        return check_run(tests, (int)(sizeof tests / sizeof *tests));                              \
    }

#endif
