/* Regular expressions: the input is pattern, replacement and subject, each behind a newline. */
#include "base/regex.h"
#include "tests/fuzz/fuzz.h"

static struct str line(struct str *rest)
{
    size_t end = str_find(*rest, STR("\n"), 0);
    struct str s = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end == SIZE_MAX ? rest->n : end + 1, rest->n);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct error e;
    struct regex *r;
    struct str rest = {(const char *)data, size};
    struct str pattern = line(&rest), replacement = line(&rest), out;
    if (regex_compile(pattern, size % 16, "fuzz", &r, &e) == 0) {
        struct regex_match m[3];
        regex_search(r, rest, 0, true, m, 3, &e);
        regex_sub(r, &a, rest, replacement, &out, &e);
        regex_free(r);
    }
    arena_free(&a);
    return 0;
}
