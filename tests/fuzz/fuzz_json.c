/* JSON: whatever is read can be written, and reads back as the same value. */
#include <stdlib.h>

#include "base/json.h"
#include "tests/fuzz/fuzz.h"

/* NaN differs from itself, so that values which hold one are compared as text. */
static void same(struct arena *a, const struct value *x, const struct value *y)
{
    if (!value_eq(x, y) && !str_eq(json_text(a, x), json_text(a, y)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct error e;
    struct value *v, *again;
    if (json_parse(&a, (struct str){(const char *)data, size}, "fuzz.json", &v, &e) == 0) {
        for (int ascii = 0; ascii < 2; ascii++) {
            struct buf b = {0};
            buf_json(&b, v, ascii ? 1 : -1, ascii);
            if (json_parse(&a, buf_view(&b), "written", &again, &e) < 0)
                abort();
            same(&a, v, again);
            buf_free(&b);
        }
        same(&a, v, value_clone(&a, v));
        value_repr(&a, v);
    }
    arena_free(&a);
    return 0;
}
