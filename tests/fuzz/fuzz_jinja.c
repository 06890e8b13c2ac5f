/* Any bytes as a template, in both modes, over a small context: it may fail, but never crash, hang
 * or leak. The first byte picks the mode. */
#include "base/jinja.h"
#include "base/json.h"
#include "tests/fuzz/fuzz.h"

static const char context_text[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi \\u4f60\\u00e9 <b>\"},"
    " {\"role\": \"assistant\", \"content\": \"\"}], \"tools\": null, \"bos_token\": \"<s>\","
    " \"add_generation_prompt\": true, \"n\": -7, \"f\": 3.5, \"list\": [3, 1, 2, 3], \"s\": \" a "
    "b \","
    " \"d\": {\"a\": 1, \"b\": [1, 2]}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena a = {0};
    struct error err = {0};
    struct value *context;
    struct jinja *t;
    struct str text, out;
    if (n == 0)
        return 0;
    text = (struct str){(const char *)data + 1, n - 1};
    if (json_parse(&a, (struct str){context_text, sizeof context_text - 1}, "context", &context,
                   &err) == 0 &&
        jinja_compile(&a, text, "fuzz", data[0] & 1 ? JINJA_CHAT : JINJA_TASK, &t, &err) == 0)
        jinja_render(t, &a, context, &out, &err);
    arena_free(&a);
    return 0;
}
