#include "backends/local/embedding.h"

#include <stdlib.h>

int embedding_open(const struct model *m, int T, struct embedding *ret, struct error *err)
{
    const struct mapping *in = model_file_of(m, &m->embed);
    struct embedding e = {.file = {.fd = -1}};
    if (in && !format_info[m->embed.format].codes) { /* whose rows need their scales */
        int r = mapping_reopen(in, &e.file, err);
        if (r < 0)
            return r;
        e.at = (size_t)((const unsigned char *)m->embed.data - in->p);
        e.rows = mem_alloc((size_t)T, format_row_bytes(m->embed.format, m->embed.cols));
        e.numbers = mem_alloc((size_t)T, sizeof *e.numbers);
        for (int32_t i = 0; i < T; i++)
            e.numbers[i] = i;
    }
    *ret = e;
    return 0;
}

void embedding_close(struct embedding *e)
{
    mapping_file_close(&e->file);
    free(e->rows);
    free(e->numbers);
}

int embedding_rows(const struct embedding *e, const struct model *m, const struct kernels *k,
                   float *x, const int32_t *tokens, int T, struct error *err)
{
    if (!e->rows) {
        k->embed(k->dev, x, &m->embed, tokens, T);
        return 0;
    }
    struct weight rows = m->embed;
    size_t bytes = format_row_bytes(rows.format, rows.cols);
    rows.rows = T;
    rows.data = e->rows;
    int r = mapping_file_check(&e->file, err);
    for (int t = 0; t < T && r == 0; t++)
        r = mapping_file_read(&e->file, e->at + (size_t)tokens[t] * bytes,
                              e->rows + (size_t)t * bytes, bytes, err);
    if (r == 0)
        k->embed(k->dev, x, &rows, e->numbers, T);
    return r;
}
