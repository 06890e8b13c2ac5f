/* shared.h: reference data that is JSON. */
#ifndef ASSAY_TESTS_SHARED_H
#define ASSAY_TESTS_SHARED_H

#include "base/json.h"
#include "tests/check.h"

/* A JSON file of $ASSAY_SHARED, or NULL after noting the skip or the failure. */
static inline struct value *shared_json(struct arena *a, const char *name)
{
    const char *path = check_shared(name);
    struct value *v = NULL;
    struct error err;
    if (path)
        EXPECT_OK(json_read(a, path, &v, &err), &err);
    return v;
}

#endif
