/* rows.h: reading the golden files of text metrics. */
#ifndef ASSAY_TESTS_METRICS_ROWS_H
#define ASSAY_TESTS_METRICS_ROWS_H

#include "base/file.h"
#include "tests/shared.h"

struct rows {
    struct value **items;
    size_t n;
};

/* A file with one JSON value a line; false as above. */
static inline bool rows_open(struct arena *a, const char *name, struct rows *ret)
{
    const char *path = check_shared(name);
    struct str text = {0};
    struct error err = {0};
    *ret = (struct rows){0};
    if (!path)
        return false;
    EXPECT_OK(file_read(a, path, FILE_LIMIT_TEXT, &text, &err), &err);
    for (size_t i = 0, end; i < text.n; i = end + 1) {
        struct value *v = NULL;
        end = str_find(text, STR("\n"), i);
        end = end == SIZE_MAX ? text.n : end;
        EXPECT_OK(json_parse(a, str_slice(text, i, end), path, &v, &err), &err);
        if (!v)
            return false;
        ret->items = arena_grown(a, ret->items, ret->n, sizeof(struct value *));
        ret->items[ret->n++] = v;
    }
    return true;
}

/* "" where the member is absent or null. */
static inline struct str row_text(const struct value *row, const char *key)
{
    const struct value *v = dict_get(row, key);
    return v && v->type == VALUE_STR ? v->s : STR("");
}

static inline size_t row_texts(const struct value *row, const char *key, struct str *ret,
                               size_t limit)
{
    const struct value *v = dict_get(row, key);
    size_t n = v && v->type == VALUE_LIST ? v->list.n : 0;
    for (size_t i = 0; i < n && i < limit; i++)
        ret[i] = v->list.items[i]->s;
    return n < limit ? n : limit;
}

static inline double number_of(const struct value *v)
{
    return !v ? NAN : v->type == VALUE_INT ? (double)v->i : v->type == VALUE_FLOAT ? v->f : NAN;
}

static inline double row_number(const struct value *row, const char *key)
{
    return number_of(dict_get(row, key));
}

static inline double list_number(const struct value *list, size_t i)
{
    return list && list->type == VALUE_LIST && i < list->list.n ? number_of(list->list.items[i])
                                                                : NAN;
}

#endif
