/* YAML: any text gives a value or an error; values can be written and copied. */
#include <stdlib.h>

#include "base/json.h"
#include "base/yaml.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct error e;
    struct value *v;
    int r = yaml_parse(&a, (struct str){(const char *)data, size}, "fuzz.yaml", &v, &e);
    if (r == 0) {
        json_text(&a, v);
        value_repr(&a, value_clone(&a, v));
    } else if (!strstr(e.msg, "fuzz.yaml:")) {
        abort();
    }
    arena_free(&a);
    return 0;
}
