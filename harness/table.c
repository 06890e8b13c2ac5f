#include "harness/table.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/json.h"
#include "base/utf8.h"
#include "base/value.h"

void table_init(struct table *t, const char *const *headings, int n_columns)
{
    *t = (struct table){.headings = headings, .n_columns = n_columns};
}

static bool is_number(const char *s)
{
    char *end;
    if (!*s || strspn(s, "+-0123456789.eE") != strlen(s) || *s == '+')
        return false;
    strtod(s, &end);
    return *end == '\0' && *s != '.' && end[-1] != '.';
}

void table_cell(struct table *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(&t->arena, format, args);
    va_end(args);
    *ARRAY_PUSH(&t->cells) = (struct table_cell){text, !strstr(format, "%s") && is_number(text)};
}

void table_number(struct table *t, double x)
{
    struct buf b = {0};
    if (isfinite(x))
        buf_float(&b, x);
    bool finite = b.n > 0;
    *ARRAY_PUSH(&t->cells) = (struct table_cell){finite ? buf_take(&b, &t->arena).p : "", finite};
}

const char *score_text(struct arena *a, double x)
{
    return arena_printf(a, fabs(x) < 1e7 ? "%.4f" : "%.4e", x);
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

static void add_cell(struct buf *line, const struct table *t, int column, const char *text,
                     int width)
{
    int pad = width - text_width(str_of(text));
    bool right = t->headings[column][0] == '>';
    if (column)
        buf_puts(line, "  ");
    if (right)
        buf_printf(line, "%*s", pad, "");
    buf_puts(line, text);
    if (!right)
        buf_printf(line, "%*s", pad, "");
}

/* Prints a line without the spaces at its end. */
static void end_line(struct buf *line)
{
    while (line->n && line->p[line->n - 1] == ' ')
        line->n--;
    printf("%.*s\n", (int)line->n, line->p ? line->p : "");
    buf_free(line);
}

static void print_text(const struct table *t, const int *width)
{
    int n = t->n_columns;
    struct buf line = {0};
    for (int c = 0; c < n; c++)
        add_cell(&line, t, c, heading(t, c), width[c]);
    end_line(&line);
    for (int c = 0; c < n; c++) {
        if (c)
            fputs("  ", stdout);
        for (int i = 0; i < width[c]; i++)
            putchar('-');
    }
    putchar('\n');
    for (size_t i = 0; i < t->cells.n; i++) {
        int c = (int)(i % (size_t)n);
        add_cell(&line, t, c, t->cells.items[i].text, width[c]);
        if (c == n - 1)
            end_line(&line);
    }
}

static void json_key(struct buf *b, const char *heading)
{
    buf_char(b, '"');
    for (; *heading; heading++)
        buf_char(b, (char)tolower((unsigned char)*heading));
    buf_puts(b, "\": ");
}

static void print_json(const struct table *t)
{
    struct buf b = {0};
    int n = t->n_columns;
    buf_puts(&b, "[");
    for (size_t i = 0; i < t->cells.n; i++) {
        int c = (int)(i % (size_t)n);
        const struct table_cell *cell = &t->cells.items[i];
        buf_puts(&b, c ? ", " : i ? ",\n {" : "{");
        json_key(&b, heading(t, c));
        if (cell->is_number)
            buf_puts(&b, cell->text);
        else if (!*cell->text)
            buf_puts(&b, "null");
        else
            buf_json_str(&b, str_of(cell->text), false);
        if (c == n - 1)
            buf_puts(&b, "}");
    }
    buf_puts(&b, "]\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

void table_free(struct table *t)
{
    free(t->cells.items);
    arena_free(&t->arena);
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
            int c = (int)(i % (size_t)t->n_columns), w = text_width(str_of(t->cells.items[i].text));
            width[c] = w > width[c] ? w : width[c];
        }
        print_text(t, width);
        free(width);
    }
    table_free(t);
}
