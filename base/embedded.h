/* embedded.h: files that the build put into the program (tools/embed.py): the task catalog, SQL. */
#ifndef ASSAY_BASE_EMBEDDED_H
#define ASSAY_BASE_EMBEDDED_H

#include <stddef.h>

struct embedded {
    const char *name; /* relative path; NULL ends the array */
    const char *text; /* NUL-terminated */
    size_t n;
};

#endif
