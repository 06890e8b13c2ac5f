#include "backends/local/calibration_text.h"

#include <stdlib.h>

#include "backends/local/calibrate.h"
#include "base/file.h"

static int read_text(const struct text_reader *read, struct arena *a, const char *path,
                     struct str *ret, struct error *err)
{
    if (read && read->read)
        return read->read(read->arg, a, path, ret, err);
    return file_read(a, path, FILE_LIMIT_TEXT, ret, err);
}

int calibration_tokens(const struct calibration *c, const struct tokenizer *t,
                       const struct text_reader *read, int32_t **ret, char hash[HASH_HEX],
                       struct error *err)
{
    struct arena a = {0};
    struct str text;
    struct token_ids ids;
    int r = read_text(read, &a, c->path, &text, err);
    if (r == 0)
        r = tokenizer_encode(t, &a, text, TOKENIZER_NO_SPECIAL, &ids, err);
    if (r == 0 && ids.n < (size_t)c->length)
        r = error_set(
            err, E_INPUT,
            "cannot calibrate with \"%s\": it has %zu tokens, and a sample is %d of them; "
            "take a longer text, or a smaller calib_length",
            c->path, ids.n, c->length);
    size_t n = (size_t)c->n_samples * (size_t)c->length;
    int32_t *samples = r == 0 ? mem_try(n, sizeof *samples) : NULL;
    if (r == 0 && !samples)
        r = error_set(err, E_MEMORY,
                      "out of memory: %d samples of %d tokens; lower calib_samples or calib_length",
                      c->n_samples, c->length);
    if (r == 0) {
        draw_samples(ids.p, ids.n, c->n_samples, c->length, c->seed, samples);
        hash_bytes(text.p, text.n, hash);
        *ret = samples;
    }
    arena_free(&a);
    return r;
}
