#include "harness/calibration.h"

#include "base/file.h"
#include "harness/options.h"
#include "tasks/dataset.h"

static const char *find_file(struct arena *a, const struct strings *folders, const char *path)
{
    for (size_t i = 0; i < folders->n && !file_exists(path); i++) {
        const char *inside = path_join(a, folders->items[i], path);
        if (file_exists(inside))
            return inside;
    }
    return path;
}

static const struct kind {
    const char *end;
    enum data_format format;
    char delimiter;
} kinds[] = {
    {".jsonl", DATA_JSON, 0},
    {".json", DATA_JSON, 0},
    {".csv", DATA_CSV, ','},
    {".tsv", DATA_CSV, '\t'},
};

static const struct kind *kind_of(const char *path)
{
    struct str name = str_of(path);
    if (str_ends(name, STR(".gz")))
        name.n -= 3;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_ends(name, str_of(kinds[i].end)))
            return &kinds[i];
    return NULL;
}

static void put_row(struct buf *b, const struct value *row)
{
    const struct value *text = dict_get(row, "text");
    buf_puts(b, b->n ? "\n" : "");
    if (text && text->type == VALUE_STR) {
        buf_str(b, text->s);
        buf_char(b, '\n');
        return;
    }
    for (size_t i = 0; i < row->dict.n; i++) {
        const struct value *v = row->dict.entries[i].value;
        if (v->type != VALUE_STR)
            continue;
        buf_str(b, v->s);
        buf_char(b, '\n');
    }
}

int calibration_text(void *arg, struct arena *a, const char *path, struct str *ret,
                     struct error *err)
{
    const char *file = find_file(a, arg, path);
    const struct kind *kind = kind_of(file);
    if (!kind)
        return file_read(a, file, FILE_LIMIT_TEXT, ret, err);
    struct dataset *d;
    struct buf b = {0};
    int r = dataset_open(
        &(struct data_spec){
            .paths = &file, .n_paths = 1, .format = kind->format, .delimiter = kind->delimiter},
        &d, err);
    if (r < 0)
        return r;
    for (int64_t i = 0; i < dataset_rows(d) && r == 0; i++) {
        struct arena_mark mark = arena_mark(a);
        const struct value *row;
        r = dataset_row(d, a, i, &row, err);
        if (r == 0)
            put_row(&b, row);
        arena_reset(a, mark);
    }
    dataset_close(d);
    if (r < 0)
        buf_free(&b);
    else
        *ret = buf_take(&b, a);
    return r;
}
