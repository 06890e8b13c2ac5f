/* Python literals: whatever is read, its repr reads back with the same repr. */
#include <stdlib.h>

#include "base/value.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct error e;
    struct value *v, *again;
    if (literal_eval(&a, (struct str){(const char *)data, size}, &v, &e) == 0) {
        struct str text = value_repr(&a, v);
        bool lost = str_find(text, STR("inf"), 0) != SIZE_MAX || /* 1e999: no literal */
                    str_find(text, STR("\\udc"), 0) != SIZE_MAX; /* bytes that are no UTF-8 */
        int r = literal_eval(&a, text, &again, &e);
        if (!lost && (r < 0 || !str_eq(value_repr(&a, again), text)))
            abort();
    }
    arena_free(&a);
    return 0;
}
