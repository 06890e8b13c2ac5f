#include "tasks/csv.h"

static bool is_break(char c)
{
    return c == '\n' || c == '\r';
}

static void add_field(struct csv_fields *fields, struct str s)
{
    if (fields)
        *ARRAY_PUSH(fields) = s;
}

/* A field that opens with a quote; *at is at the quote. Text behind the closing quote belongs to
 * the field as it stands, as csv.reader has it when it is not strict. */
static int quoted_field(struct arena *a, struct str text, size_t *at, char delimiter,
                        struct csv_fields *fields, struct error *err)
{
    size_t i = *at + 1, start = i;
    struct buf whole = {0};
    bool inside = true, copied = false;
    struct str plain = {0};
    for (; i < text.n; i++) {
        char c = text.p[i];
        if (!inside && (c == delimiter || is_break(c)))
            break;
        if (!inside || c != '"')
            continue;
        bool doubled = i + 1 < text.n && text.p[i + 1] == '"';
        size_t upto = doubled ? i + 1 : i; /* of "" one is kept */
        bool at_end =
            !doubled && (i + 1 == text.n || text.p[i + 1] == delimiter || is_break(text.p[i + 1]));
        if (at_end && !copied) {
            plain = str_slice(text, start, upto);
        } else if (fields) {
            copied = true;
            buf_add(&whole, text.p + start, upto - start);
        }
        inside = doubled;
        i += doubled;
        start = i + 1;
    }
    if (inside) {
        buf_free(&whole);
        return error_set(err, E_INPUT, "a quote is opened and never closed");
    }
    if (copied) {
        if (i > start)
            buf_add(&whole, text.p + start, i - start);
        plain = buf_take(&whole, a);
    }
    add_field(fields, plain);
    *at = i;
    return 0;
}

static void plain_field(struct str text, size_t *at, char delimiter, struct csv_fields *fields)
{
    size_t i = *at;
    while (i < text.n && text.p[i] != delimiter && !is_break(text.p[i]))
        i++;
    add_field(fields, str_slice(text, *at, i));
    *at = i;
}

static size_t skip_break(struct str text, size_t at)
{
    if (at < text.n && text.p[at] == '\r')
        return at + 1 + (at + 1 < text.n && text.p[at + 1] == '\n');
    return at < text.n ? at + 1 : at;
}

int csv_record(struct arena *a, struct str text, size_t *at, char delimiter,
               struct csv_fields *fields, struct error *err)
{
    if (fields)
        fields->n = 0;
    size_t i = *at;
    if (i < text.n && is_break(text.p[i])) { /* an empty line has no fields */
        *at = skip_break(text, i);
        return 0;
    }
    for (;;) {
        int r = 0;
        if (i < text.n && text.p[i] == '"')
            r = quoted_field(a, text, &i, delimiter, fields, err);
        else
            plain_field(text, &i, delimiter, fields);
        if (r < 0)
            return r;
        if (i >= text.n || text.p[i] != delimiter)
            break;
        i++;
        if (i == text.n) { /* a delimiter at the very end opens an empty last field */
            add_field(fields, (struct str){text.p + i, 0});
            break;
        }
    }
    *at = skip_break(text, i);
    return 0;
}
