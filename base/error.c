#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    char msg[sizeof err->msg]; /* the arguments may point into err->msg */
    vsnprintf(msg, sizeof msg, format, args);
    va_end(args);
    memcpy(err->msg, msg, sizeof msg);
    err->code = code;
    err->cause = NULL;
    return code;
}

int error_cause(struct error *err, int code, const char *cause)
{
    if (code < 0 && err && !err->cause)
        err->cause = cause;
    return code;
}

int error_prefix(struct error *err, const char *format, ...)
{
    if (!err)
        return E_INPUT;
    char prefix[sizeof err->msg];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    char msg[2 * sizeof err->msg];
    snprintf(msg, sizeof msg, "%s%s", prefix, err->msg);
    msg[sizeof err->msg - 1] = '\0';
    memcpy(err->msg, msg, sizeof err->msg);
    return err->code;
}
