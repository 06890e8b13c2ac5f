#include "tasks/dataset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tasks/csv.h"

struct extent {
    size_t from, to; /* bytes of the file's text */
    size_t parent;   /* of a row of `each`: 1 + the index of its file's parent; else 0 */
};

/* An object whose list's elements are rows. */
struct parent {
    struct extent object, list;
};

struct extents {
    struct extent *items;
    size_t n, cap;
};

struct data_file {
    const char *path;
    struct mapping mapping; /* of a plain file; else the text lives in the data set's arena */
    struct str text;        /* unpacked, without a byte order mark */
    struct extents rows;
    struct {
        struct parent *items;
        size_t n, cap;
    } parents;
    const char **columns; /* CSV: the file's own header, or the spec's */
    size_t n_columns;
    size_t first_row; /* index of its first row in the data set */
};

/* What a CSV column may still be, from the widest guess down. */
struct column_type {
    bool is_int, is_float, is_bool, has_text;
};

struct dataset {
    struct arena arena;
    struct data_spec spec;
    struct data_file *files;
    size_t n_files, n_rows;
    struct column_type *types; /* CSV with `infer`: of files[0]'s columns */
};

static size_t line_of(struct str text, size_t at)
{
    size_t line = 1;
    const char *p = text.p, *end = text.p + (at < text.n ? at : text.n);
    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        p++;
        line++;
    }
    return line;
}

static int fault(const struct data_file *f, size_t at, const char *what, struct error *err)
{
    return error_set(err, E_INPUT, "%s:%zu: %s", f->path, line_of(f->text, at), what);
}

static bool is_json_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_space(struct str s, size_t i)
{
    while (i < s.n && is_json_space(s.p[i]))
        i++;
    return i;
}

/* Behind the string whose opening quote is at i, or s.n. */
static size_t skip_json_string(struct str s, size_t i)
{
    for (i++; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return i + 1;
    }
    return s.n;
}

/* Behind the JSON value at i, judged by its brackets and quotes alone: the row's parser says what
 * is wrong inside. */
static size_t skip_json_value(struct str s, size_t i)
{
    size_t depth = 0;
    while (i < s.n) {
        char c = s.p[i];
        if (c == '"') {
            i = skip_json_string(s, i);
        } else if (c == '{' || c == '[') {
            depth++;
            i++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return i;
            depth--;
            i++;
        } else if (depth == 0 && (c == ',' || c == ':' || is_json_space(c))) {
            return i;
        } else {
            i++;
            continue;
        }
        if (depth == 0)
            return i;
    }
    return s.n;
}

static void add_row(struct data_file *f, size_t from, size_t to)
{
    *ARRAY_PUSH(&f->rows) = (struct extent){from, to, 0};
}

/* The elements of the list that opens at i and must end before byte `limit`; *end is behind it. */
static int index_json_list(struct data_file *f, size_t i, size_t limit, size_t *end,
                           struct error *err)
{
    struct str s = str_slice(f->text, 0, limit);
    size_t start = i;
    i = skip_space(s, i + 1);
    while (i < s.n && s.p[i] != ']') {
        size_t behind = skip_json_value(s, i);
        if (behind == i)
            return fault(f, i, "a value of the JSON list is missing here", err);
        add_row(f, i, behind);
        i = skip_space(s, behind);
        if (i < s.n && s.p[i] == ',')
            i = skip_space(s, i + 1);
        else if (i < s.n && s.p[i] != ']')
            return fault(f, i, "the JSON list needs a comma or ] here", err);
    }
    if (i >= s.n)
        return fault(f, start, "the JSON list that starts here does not end: the file is cut off",
                     err);
    *end = i + 1;
    return 0;
}

/* Start of the member `field` of the object at i, or SIZE_MAX. */
static size_t find_member(struct str s, size_t i, const char *field)
{
    if (i >= s.n || s.p[i] != '{')
        return SIZE_MAX;
    for (i = skip_space(s, i + 1); i < s.n && s.p[i] == '"';) {
        size_t end = skip_json_string(s, i);
        bool found = end > i + 1 && str_eqz(str_slice(s, i + 1, end - 1), field);
        i = skip_space(s, end);
        if (i >= s.n || s.p[i] != ':')
            break;
        i = skip_space(s, i + 1);
        if (found)
            return i;
        i = skip_space(s, skip_json_value(s, i));
        if (i < s.n && s.p[i] == ',')
            i = skip_space(s, i + 1);
    }
    return SIZE_MAX;
}

/* Values behind each other. Where the first fills one line, every line is a row of its own, so
 * that a damaged one cannot swallow its neighbours. */
static int index_json_stream(struct data_file *f, size_t i)
{
    struct str s = f->text;
    size_t first_end = skip_json_value(s, i);
    bool by_line = !memchr(s.p + i, '\n', first_end - i) || first_end == s.n;
    for (; (i = skip_space(s, i)) < s.n;) {
        size_t end;
        if (by_line) {
            const char *nl = memchr(s.p + i, '\n', s.n - i);
            end = nl ? (size_t)(nl - s.p) : s.n;
        } else {
            end = skip_json_value(s, i);
            end += end == i; /* a stray bracket: its row will say so */
        }
        add_row(f, i, end);
        i = end;
    }
    return 0;
}

/* In place of each row the elements of its list `name`. */
static int index_elements(struct data_file *f, const char *name, struct error *err)
{
    struct extents objects = f->rows;
    int r = 0;
    f->rows = (struct extents){0};
    for (size_t k = 0; k < objects.n && r == 0; k++) {
        struct extent object = objects.items[k], list = {0};
        list.from = find_member(str_slice(f->text, 0, object.to), object.from, name);
        size_t first = f->rows.n;
        if (list.from == SIZE_MAX || list.from >= object.to || f->text.p[list.from] != '[')
            r = error_set(err, E_INPUT, "%s:%zu: the object should have a list named \"%s\"",
                          f->path, line_of(f->text, object.from), name);
        else if ((r = index_json_list(f, list.from, object.to, &list.to, err)) == 0)
            *ARRAY_PUSH(&f->parents) = (struct parent){object, list};
        for (size_t i = first; i < f->rows.n; i++)
            f->rows.items[i].parent = f->parents.n;
    }
    free(objects.items);
    return r;
}

static int index_json_rows(const struct data_spec *spec, struct data_file *f, struct error *err)
{
    size_t i = skip_space(f->text, 0), end;
    if (spec->field) {
        i = find_member(f->text, i, spec->field);
        if (i == SIZE_MAX || i >= f->text.n || f->text.p[i] != '[')
            return error_set(err, E_INPUT,
                             "%s: the file should be a JSON object with a list named \"%s\"",
                             f->path, spec->field);
    }
    if (i < f->text.n && f->text.p[i] == '[')
        return index_json_list(f, i, f->text.n, &end, err);
    return index_json_stream(f, i);
}

static int index_json(struct dataset *d, struct data_file *f, struct error *err)
{
    int r = index_json_rows(&d->spec, f, err);
    for (const char *p = d->spec.each; r == 0 && p && *p;) {
        size_t n = strcspn(p, ".");
        r = index_elements(f, arena_copy(&d->arena, p, n), err);
        p += n + (p[n] == '.');
    }
    return r;
}

static int index_text(const struct data_spec *spec, struct data_file *f, struct error *err);

static int index_csv(struct dataset *d, struct data_file *f, struct error *err)
{
    struct csv_fields header = {0};
    bool want_header = !d->spec.columns;
    int r = 0;
    f->columns = (const char **)(uintptr_t)d->spec.columns;
    f->n_columns = (size_t)d->spec.n_columns;
    if (d->spec.plain && want_header)
        return error_set(err, E_INPUT, "%s: columns must be named for this format", f->path);
    if (d->spec.plain)
        return index_text(&d->spec, f, err);
    for (size_t i = 0; i < f->text.n && r == 0;) {
        size_t from = i;
        struct csv_fields *into = want_header ? &header : NULL;
        if (csv_record(&d->arena, f->text, &i, d->spec.delimiter, into, err) < 0) {
            r = error_prefix(err, "%s:%zu: ", f->path, line_of(f->text, from));
        } else if (f->text.p[from] == '\n' || f->text.p[from] == '\r') {
            continue; /* an empty line is no record */
        } else if (want_header) {
            want_header = false;
            f->n_columns = header.n;
            f->columns = arena_array(&d->arena, header.n, sizeof *f->columns);
            for (size_t c = 0; c < header.n; c++)
                f->columns[c] = arena_copy(&d->arena, header.items[c].p, header.items[c].n);
        } else {
            add_row(f, from, i);
        }
    }
    free(header.items);
    return r;
}

/* End of the line at i; *next is where the next one starts. \r\n and \r end lines too. */
static size_t line_end(struct str s, size_t i, size_t *next)
{
    while (i < s.n && s.p[i] != '\n' && s.p[i] != '\r')
        i++;
    size_t end = i;
    if (i < s.n)
        i += s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n' ? 2 : 1;
    *next = i;
    return end;
}

static int index_text(const struct data_spec *spec, struct data_file *f, struct error *err)
{
    size_t from = 0, i = 0;
    int lines = 0, per_row = spec->lines_per_row ? spec->lines_per_row : 1;
    while (i < f->text.n) {
        size_t end = line_end(f->text, i, &i);
        if (++lines < per_row)
            continue;
        add_row(f, from, end);
        from = i;
        lines = 0;
    }
    if (lines != 0 && skip_space(f->text, from) < f->text.n)
        return error_set(err, E_INPUT,
                         "%s:%zu: the last row has %d of its %d lines: the file is cut off",
                         f->path, line_of(f->text, from), lines, per_row);
    return 0;
}

/* "= Title =", and no deeper "= = Section = =". */
static bool is_title(struct str line)
{
    line = utf8_strip(line, STRIP_BOTH, NULL);
    return line.n > 3 && str_starts(line, STR("= ")) && str_ends(line, STR(" =")) &&
           !str_starts(line, STR("= =")) && !str_ends(line, STR("= ="));
}

/* From one "Q: " behind an empty line up to the next. */
static int index_examples(struct data_file *f, struct error *err)
{
    size_t from = str_find(f->text, STR("\n\nQ: "), 0);
    while (from != SIZE_MAX) {
        size_t next = str_find(f->text, STR("\n\nQ: "), from + 2);
        struct str row = str_slice(f->text, from + 2, next == SIZE_MAX ? f->text.n : next);
        if (str_find(row, STR("\nA: "), 0) == SIZE_MAX)
            return fault(f, from + 2, "the question that starts here has no line \"A: \"", err);
        add_row(f, from + 2, from + 2 + row.n);
        from = next;
    }
    return 0;
}

/* A page is emitted at the next title, unless it is blank, and at the end in any case: as the hub's
 * script for wikitext_document_level cuts them. */
static int index_pages(struct data_file *f)
{
    size_t from = 0, i = 0;
    while (i < f->text.n) {
        size_t start = i, end = line_end(f->text, i, &i);
        if (start == from || !is_title(str_slice(f->text, start, end)))
            continue;
        struct str page = str_slice(f->text, from, start - 1);
        if (utf8_strip(page, STRIP_BOTH, NULL).n > 0)
            add_row(f, from, start - 1);
        from = start;
    }
    add_row(f, from, f->text.n);
    return 0;
}

static int read_file(struct dataset *d, struct data_file *f, struct error *err)
{
    int r = mapping_open(f->path, &f->mapping, err);
    if (r < 0)
        return r;
    struct str text = {(const char *)f->mapping.p, f->mapping.n};
    if (text.n >= 2 && memcmp(text.p, "\x1f\x8b", 2) == 0) {
        mapping_close(&f->mapping);
        r = file_read(&d->arena, f->path, FILE_LIMIT_TEXT, &text, err);
        if (r < 0)
            return r;
    }
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_slice(text, 3, text.n);
    f->text = text.n ? text : STR("");
    if (utf8_valid(text))
        return 0;
    size_t i = 0, at = 0;
    while (i < text.n && (at = i, utf8_next(text, &i) >= 0))
        ;
    return fault(f, at, "the text is not UTF-8 here; convert the file", err);
}

static int index_file(struct dataset *d, struct data_file *f, struct error *err)
{
    switch (d->spec.format) {
    case DATA_JSON:
        return index_json(d, f, err);
    case DATA_CSV:
        return index_csv(d, f, err);
    case DATA_TEXT:
        return index_text(&d->spec, f, err);
    case DATA_PAGES:
        return index_pages(f);
    case DATA_EXAMPLES:
        return index_examples(f, err);
    }
    return 0;
}

/* What pandas.read_csv takes for a missing value. */
static bool is_missing(struct str s)
{
    static const char *const words[] = {"",         "#N/A", "#N/A N/A", "#NA",    "-1.#IND",
                                        "-1.#QNAN", "-NaN", "-nan",     "1.#IND", "1.#QNAN",
                                        "<NA>",     "N/A",  "NA",       "NULL",   "NaN",
                                        "None",     "n/a",  "nan",      "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eqz(s, words[i]))
            return true;
    return false;
}

static bool read_int(struct str s, int64_t *ret)
{
    char text[32], *end;
    if (s.n == 0 || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return errno == 0 && end == text + s.n;
}

static bool read_float(struct str s, double *ret)
{
    char text[64], *end;
    if (s.n == 0 || s.n >= sizeof text || memchr(s.p, 'x', s.n) || memchr(s.p, 'X', s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *ret = strtod(text, &end);
    return end == text + s.n;
}

static bool read_bool(struct str s, bool *ret)
{
    static const char *const words[] = {"True", "TRUE", "true", "False", "FALSE", "false"};
    for (int i = 0; i < 6; i++)
        if (str_eqz(s, words[i])) {
            *ret = i < 3;
            return true;
        }
    return false;
}

static void narrow(struct column_type *type, struct str cell)
{
    int64_t i;
    double f;
    bool b;
    if (is_missing(cell)) {
        type->is_int = false; /* pandas' integers have no missing value: the column is float */
        return;
    }
    type->has_text = true;
    type->is_int = type->is_int && read_int(cell, &i);
    type->is_float = type->is_float && read_float(cell, &f);
    type->is_bool = type->is_bool && read_bool(cell, &b);
}

/* Fields of one CSV row into `fields`, which the caller frees. */
static int read_record(const struct data_file *f, struct arena *a, char delimiter,
                       struct extent row, struct csv_fields *fields, struct error *err)
{
    size_t at = row.from;
    int r = csv_record(a, str_slice(f->text, 0, row.to), &at, delimiter, fields, err);
    if (r < 0)
        return error_prefix(err, "%s:%zu: ", f->path, line_of(f->text, row.from));
    return 0;
}

static int infer_types(struct dataset *d, struct error *err)
{
    size_t n = d->n_files ? d->files[0].n_columns : 0;
    d->types = arena_array(&d->arena, n ? n : 1, sizeof *d->types);
    for (size_t c = 0; c < n; c++)
        d->types[c] = (struct column_type){true, true, true, false};
    struct csv_fields fields = {0};
    int r = 0;
    for (size_t k = 0; k < d->n_files && r == 0; k++) {
        struct data_file *f = &d->files[k];
        for (size_t i = 0; i < f->rows.n && r == 0; i++) {
            struct arena_mark m = arena_mark(&d->arena);
            r = read_record(f, &d->arena, d->spec.delimiter, f->rows.items[i], &fields, err);
            for (size_t c = 0; r == 0 && c < n; c++)
                narrow(&d->types[c], c < fields.n ? fields.items[c] : STR(""));
            arena_reset(&d->arena, m);
        }
    }
    free(fields.items);
    return r;
}

/* Keeps the rows that the spec names. */
static int select_rows(const struct data_spec *spec, struct data_file *f, struct error *err)
{
    size_t from = (size_t)spec->first_row, end = (size_t)spec->end_row;
    if (end == 0)
        return 0;
    if (end > f->rows.n)
        return error_set(err, E_INPUT,
                         "%s: the file has %zu rows, and rows %zu to %zu are asked for: it is cut "
                         "off, or another edition",
                         f->path, f->rows.n, from, end - 1);
    f->rows.n = end - from;
    memmove(f->rows.items, f->rows.items + from, f->rows.n * sizeof *f->rows.items);
    return 0;
}

int dataset_open(const struct data_spec *spec, struct dataset **ret, struct error *err)
{
    struct dataset *d = mem_alloc(1, sizeof *d);
    d->spec = *spec;
    d->n_files = (size_t)spec->n_paths;
    d->files = arena_array(&d->arena, d->n_files, sizeof *d->files);
    int r = 0;
    for (size_t k = 0; k < d->n_files && r == 0; k++) {
        struct data_file *f = &d->files[k];
        f->path = arena_printf(&d->arena, "%s", spec->paths[k]);
        f->first_row = d->n_rows;
        if ((r = read_file(d, f, err)) == 0 && (r = index_file(d, f, err)) == 0 &&
            (r = select_rows(spec, f, err)) == 0)
            d->n_rows += f->rows.n;
    }
    if (r == 0 && d->n_rows == 0)
        r = error_set(err, E_INPUT, "%s: the file has no rows",
                      d->n_files ? d->files[0].path : "(no file)");
    if (r == 0 && spec->format == DATA_CSV && spec->infer)
        r = infer_types(d, err);
    if (r < 0)
        dataset_close(d);
    else
        *ret = d;
    return r;
}

void dataset_close(struct dataset *d)
{
    if (!d)
        return;
    for (size_t k = 0; k < d->n_files; k++) {
        mapping_close(&d->files[k].mapping);
        free(d->files[k].rows.items);
        free(d->files[k].parents.items);
    }
    arena_free(&d->arena);
    free(d);
}

int64_t dataset_rows(const struct dataset *d)
{
    return (int64_t)d->n_rows;
}

static const struct data_file *file_of(const struct dataset *d, int64_t i, struct extent *row)
{
    size_t k = d->n_files - 1;
    while (d->files[k].first_row > (size_t)i)
        k--;
    *row = d->files[k].rows.items[(size_t)i - d->files[k].first_row];
    return &d->files[k];
}

const char *dataset_where(const struct dataset *d, struct arena *a, int64_t i)
{
    struct extent row;
    const struct data_file *f = file_of(d, i, &row);
    return arena_printf(a, "%s:%zu", f->path, line_of(f->text, row.from));
}

static int json_object(const struct data_file *f, struct arena *a, struct extent row,
                       struct str text, struct value **ret, struct error *err)
{
    struct value *v;
    if (json_parse(a, text, f->path, &v, err) < 0) { /* counting lines is only worth it now */
        const char *where = arena_printf(a, "%s:%zu", f->path, line_of(f->text, row.from));
        return json_parse(a, text, where, &v, err);
    }
    if (v->type != VALUE_DICT)
        return error_set(err, E_INPUT, "%s:%zu: a row must be a JSON object, this one is a %s",
                         f->path, line_of(f->text, row.from), value_type_name(v));
    *ret = v;
    return 0;
}

/* What a row of `each` has from the objects around it. Their lists are not parsed: they may hold
 * the whole file. */
static int inherit(const struct data_file *f, struct arena *a, size_t parent, struct value *row,
                   struct error *err)
{
    while (parent) {
        const struct parent *p = &f->parents.items[parent - 1];
        struct value *outer;
        struct str head = str_cat(a, str_slice(f->text, p->object.from, p->list.from), STR("[]"));
        struct str text = str_cat(a, head, str_slice(f->text, p->list.to, p->object.to));
        int r = json_object(f, a, p->object, text, &outer, err);
        if (r < 0)
            return r;
        for (size_t i = 0; i < outer->dict.n; i++)
            if (!dict_find(row, outer->dict.entries[i].key))
                dict_put(a, row, outer->dict.entries[i].key, outer->dict.entries[i].value);
        parent = p->object.parent;
    }
    return 0;
}

static int json_row(const struct data_file *f, struct arena *a, struct extent row,
                    const struct value **ret, struct error *err)
{
    struct value *v = NULL;
    int r = json_object(f, a, row, str_slice(f->text, row.from, row.to), &v, err);
    if (r == 0)
        r = inherit(f, a, row.parent, v, err);
    if (r == 0)
        *ret = v;
    return r;
}

static struct value *typed_cell(const struct column_type *type, struct arena *a, struct str cell)
{
    int64_t i;
    double f;
    bool b;
    if (is_missing(cell))
        return value_none(a);
    if (type->is_int && read_int(cell, &i))
        return value_int(a, i);
    if (type->is_float && read_float(cell, &f))
        return value_float(a, f);
    if (type->is_bool && read_bool(cell, &b))
        return value_bool(a, b);
    return value_str(a, cell);
}

static void split_line(struct str line, char delimiter, struct csv_fields *fields)
{
    for (size_t at = 0; at <= line.n;) {
        const char *tab = memchr(line.p + at, delimiter, line.n - at);
        size_t end = tab ? (size_t)(tab - line.p) : line.n;
        *ARRAY_PUSH(fields) = str_slice(line, at, end);
        at = end + 1;
    }
}

static int csv_row(const struct dataset *d, const struct data_file *f, struct arena *a,
                   struct extent row, const struct value **ret, struct error *err)
{
    struct csv_fields fields = {0};
    bool plain = d->spec.plain;
    int r = 0;
    if (plain)
        split_line(str_slice(f->text, row.from, row.to), d->spec.delimiter, &fields);
    else
        r = read_record(f, a, d->spec.delimiter, row, &fields, err);
    if (r == 0 && ((fields.n > f->n_columns && !plain) || (fields.n < f->n_columns && !d->types)))
        r = error_set(err, E_INPUT, "%s:%zu: the row has %zu cells, not %zu", f->path,
                      line_of(f->text, row.from), fields.n, f->n_columns);
    if (r == 0) {
        struct value *doc = value_dict(a);
        for (size_t c = 0; c < f->n_columns; c++) {
            struct str cell = c < fields.n ? fields.items[c] : STR("");
            dict_set(a, doc, f->columns[c],
                     d->types && c < d->files[0].n_columns ? typed_cell(&d->types[c], a, cell)
                                                           : value_str(a, cell));
        }
        *ret = doc;
    }
    free(fields.items);
    return r;
}

/* Lines joined by \n, whatever ended them in the file. */
static struct str with_newlines(struct arena *a, struct str s)
{
    if (s.n == 0 || !memchr(s.p, '\r', s.n))
        return s;
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        size_t next, end = line_end(s, i, &next);
        buf_add(&b, s.p + i, end - i);
        if (end < s.n)
            buf_char(&b, '\n');
        i = next;
    }
    return buf_take(&b, a);
}

static const struct value *example_row(const struct data_file *f, struct arena *a,
                                       struct extent row)
{
    struct str text = with_newlines(a, str_slice(f->text, row.from, row.to));
    size_t answer = str_find(text, STR("\nA: "), 0);
    struct value *doc = value_dict(a);
    dict_set(a, doc, "input", value_str(a, str_slice(text, 3, answer)));
    dict_set(a, doc, "target",
             value_str(a, utf8_strip(str_slice(text, answer + 4, text.n), STRIP_RIGHT, NULL)));
    return doc;
}

int dataset_row(const struct dataset *d, struct arena *a, int64_t i, const struct value **ret,
                struct error *err)
{
    struct extent row;
    const struct data_file *f = file_of(d, i, &row);
    const struct value *v = NULL;
    int r = 0;
    if (d->spec.format == DATA_JSON) {
        r = json_row(f, a, row, &v, err);
    } else if (d->spec.format == DATA_CSV) {
        r = csv_row(d, f, a, row, &v, err);
    } else if (d->spec.format == DATA_EXAMPLES) {
        v = example_row(f, a, row);
    } else {
        struct value *doc = value_dict(a);
        dict_set(a, doc, d->spec.format == DATA_TEXT ? "text" : "page",
                 value_str(a, with_newlines(a, str_slice(f->text, row.from, row.to))));
        v = doc;
    }
    if (r == 0 && d->spec.as && (r = d->spec.as(a, v, &v, err)) < 0)
        return error_prefix(err, "%s: ", dataset_where(d, a, i));
    if (r == 0)
        *ret = v;
    return r;
}

void dataset_hash(const struct dataset *d, struct hasher *h)
{
    const struct data_spec *s = &d->spec;
    char how[200];
    snprintf(how, sizeof how, "%d %d %d %d %s %s", (int)s->format, s->delimiter, s->infer,
             s->lines_per_row, s->field ? s->field : "", s->as_name ? s->as_name : "");
    hasher_field(h, str_of(how));
    if (s->plain)
        hasher_field(h, STR("plain"));
    if (s->each)
        hasher_field(h, str_of(s->each));
    if (s->end_row) {
        snprintf(how, sizeof how, "%lld %lld", (long long)s->first_row, (long long)s->end_row);
        hasher_field(h, str_of(how));
    }
    for (int c = 0; c < s->n_columns; c++)
        hasher_field(h, str_of(s->columns[c]));
    for (size_t k = 0; k < d->n_files; k++)
        hasher_field(h, d->files[k].text);
}
