/* tokenizer.json: whatever loads encodes any text, and decoding token by token gives what decoding
 * at once gives. The input is the file, a NUL, and the text; without a NUL it is both. */
#include <stdlib.h>
#include <string.h>

#include "backends/local/tokenizer.h"
#include "tests/fuzz/fuzz.h"

static void decode_both_ways(const struct tokenizer *t, struct arena *a, struct token_ids ids)
{
    struct detokenizer d = {0};
    struct error e;
    struct str whole;
    int r = tokenizer_decode(t, a, ids.p, ids.n, false, &whole, &e);
    for (size_t i = 0; r == 0 && i < ids.n; i++)
        r = detokenizer_push(&d, t, ids.p[i], false, &e);
    if (r == 0 && !str_eq(whole, buf_view(&d.text)))
        abort();
    detokenizer_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data, *nul = memchr(p, '\0', size);
    const struct str json = {p, nul ? (size_t)(nul - p) : size};
    const struct str text = nul ? (struct str){nul + 1, size - json.n - 1} : json;
    struct arena a = {0};
    struct error e;
    struct tokenizer *t = NULL;
    if (tokenizer_from_json(json, STR(""), "fuzz.json", &t, &e) == 0) {
        struct token_ids ids;
        if (tokenizer_encode(t, &a, text, TOKENIZER_ADD_SPECIAL, &ids, &e) == 0)
            decode_both_ways(t, &a, ids);
        tokenizer_free(t);
    }
    arena_free(&a);
    return 0;
}
