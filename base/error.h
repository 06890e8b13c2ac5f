/* error.h: one way to fail.
 *
 * A function that can fail returns 0 or a negative `enum error_code` and takes `struct error *err`
 * last. On failure it fills *err with one sentence for the user: what was being done, on what
 * (file:line, tensor, task or document), what is wrong, and what to try. On success *err is left
 * alone, so calls chain with `||`. Outputs are untouched on failure. */
#ifndef ASSAY_BASE_ERROR_H
#define ASSAY_BASE_ERROR_H

enum error_code {
    E_USAGE = -1,       /* the command line or a key=value is wrong */
    E_INPUT = -2,       /* a file's or a server's content is wrong */
    E_IO = -3,          /* the system refused: missing file, permission, full disk */
    E_MEMORY = -4,      /* it does not fit in memory */
    E_VERSION = -5,     /* written by a newer assay */
    E_BUSY = -6,        /* another process holds it */
    E_UNSUPPORTED = -7, /* well-formed, but not something that assay can do */
    E_INTERRUPTED = -8, /* asked to stop; run again to resume */
    E_DEVICE = -9,      /* a GPU is not there, or has failed */
};

struct error {
    int code;          /* 0, or an enum error_code */
    char msg[1000];    /* one sentence, UTF-8, no newline at its end; long ones are cut */
    const char *cause; /* a word or two for what kind of fault it is ("unknown key"), where faults
                          are counted; static text, NULL: none */
};

/* Fills *err (which may be NULL) and returns `code`, so that `return error_set(...)` reads well. */
int error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts words in front of the sentence that *err holds: for a caller that knows something which
 * the callee could not. Returns err->code. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says of an error what kind of fault it is, unless a callee has said it. `code`, which is
 * returned, 0: there is none, and *err is left alone. */
int error_cause(struct error *err, int code, const char *cause);

#endif
