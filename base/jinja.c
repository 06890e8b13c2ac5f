/* jinja.c: the engine's front: compile, and how errors are told. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jinja_internal.h"

static _Thread_local const char *last_kind = "";

const char *jinja_error_kind(const struct error *err)
{
    return err && err->code ? last_kind : "";
}

/* "arc.yaml:7": the template begins at a line of its file. */
static bool names_line(const char *where)
{
    const char *colon = strrchr(where, ':');
    return colon && isdigit((unsigned char)colon[1]) &&
           strspn(colon + 1, "0123456789") == strlen(colon + 1);
}

int jinja_error_at(const struct jinja *t, int line, const char *kind, const char *sentence,
                   struct error *err)
{
    last_kind = kind;
    if (!names_line(t->where))
        return error_set(err, E_INPUT, "%s:%d: %s", t->where, line, sentence);
    if (line <= 1)
        return error_set(err, E_INPUT, "%s: %s", t->where, sentence);
    return error_set(err, E_INPUT, "%s: line %d of the template: %s", t->where, line, sentence);
}

const struct builtin *jinja_find_row(const struct builtin *rows, size_t n, struct str name,
                                     enum jinja_mode mode)
{
    unsigned bit = mode == JINJA_TASK ? IN_TASK : IN_CHAT;
    for (size_t i = 0; i < n; i++)
        if (str_eqz(name, rows[i].name) && (!rows[i].modes || rows[i].modes & bit))
            return &rows[i];
    return NULL;
}

int jinja_compile(struct arena *a, struct str text, const char *where, enum jinja_mode mode,
                  struct jinja **ret, struct error *err)
{
    struct jinja *t = arena_alloc(a, sizeof *t);
    struct tokens tokens = {0};
    t->mode = mode;
    t->where = arena_copy(a, where, strlen(where));
    /* Nodes are views of the text, which the caller may free. */
    jinja_lex(a, str_copy(a, text), mode, &tokens);
    int code = jinja_parse(a, &tokens, t, err);
    free(tokens.items);
    if (code == 0)
        *ret = t;
    return code;
}
