/* sandbox_filter.h: the system calls that a model-written program may not make (seccomp). */
#ifndef ASSAY_TASKS_SANDBOX_FILTER_H
#define ASSAY_TASKS_SANDBOX_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>

enum { SANDBOX_FILTER_MAX = 128 };

struct sandbox_filter {
    struct sock_filter code[SANDBOX_FILTER_MAX];
    unsigned short n;
};

/* False: this processor's system calls are not known here. */
bool sandbox_filter_fill(struct sandbox_filter *f);

#endif
