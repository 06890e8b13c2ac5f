#include "harness/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "base/json.h"
#include "base/utf8.h"

void table_init(struct table *t, const char *const *headings, int n_columns)
{
    *t = (struct table){.headings = headings, .n_columns = n_columns};
}

void table_cell(struct table *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *ARRAY_PUSH(&t->cells) = arena_vprintf(&t->arena, format, args);
    va_end(args);
}

int text_width(struct str s)
{
    int width = 0;
    for (size_t i = 0; i < s.n;) {
        int32_t cp = utf8_next(s, &i);
        width += cp < 0 ? 1 : utf8proc_charwidth(cp);
    }
    return width;
}

static const char *heading(const struct table *t, int column)
{
    const char *h = t->headings[column];
    return h[0] == '>' ? h + 1 : h;
}

static void print_cell(const struct table *t, int column, const char *text, int width)
{
    int pad = width - text_width(str_of(text));
    bool right = t->headings[column][0] == '>', last = column == t->n_columns - 1;
    if (column)
        fputs("  ", stdout);
    if (right)
        printf("%*s", pad, "");
    fputs(text, stdout);
    if (!right && !last)
        printf("%*s", pad, "");
}

static void print_text(const struct table *t, const int *width)
{
    int n = t->n_columns;
    for (int c = 0; c < n; c++)
        print_cell(t, c, heading(t, c), width[c]);
    putchar('\n');
    for (int c = 0; c < n; c++) {
        if (c)
            fputs("  ", stdout);
        for (int i = 0; i < width[c]; i++)
            putchar('-');
    }
    putchar('\n');
    for (size_t i = 0; i < t->cells.n; i++) {
        int c = (int)(i % (size_t)n);
        print_cell(t, c, t->cells.items[i], width[c]);
        if (c == n - 1)
            putchar('\n');
    }
}

static bool is_number(const char *s)
{
    char *end;
    if (!*s || strspn(s, "+-0123456789.eE") != strlen(s) || *s == '+')
        return false;
    strtod(s, &end);
    return *end == '\0' && *s != '.' && end[-1] != '.';
}

static void print_json(const struct table *t)
{
    struct buf b = {0};
    int n = t->n_columns;
    buf_puts(&b, "[");
    for (size_t i = 0; i < t->cells.n; i++) {
        int c = (int)(i % (size_t)n);
        const char *cell = t->cells.items[i];
        buf_puts(&b, c ? ", " : i ? ",\n {" : "{");
        buf_json_str(&b, str_of(heading(t, c)), false);
        buf_puts(&b, ": ");
        if (is_number(cell))
            buf_puts(&b, cell);
        else if (!*cell)
            buf_puts(&b, "null");
        else
            buf_json_str(&b, str_of(cell), false);
        if (c == n - 1)
            buf_puts(&b, "}");
    }
    buf_puts(&b, "]\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

void table_print(struct table *t, bool json)
{
    if (json) {
        print_json(t);
    } else {
        int *width = mem_alloc((size_t)t->n_columns, sizeof *width);
        for (int c = 0; c < t->n_columns; c++)
            width[c] = text_width(str_of(heading(t, c)));
        for (size_t i = 0; i < t->cells.n; i++) {
            int c = (int)(i % (size_t)t->n_columns), w = text_width(str_of(t->cells.items[i]));
            width[c] = w > width[c] ? w : width[c];
        }
        print_text(t, width);
        free(width);
    }
    free(t->cells.items);
    arena_free(&t->arena);
}
