/* jinja.h: Jinja templates, as far as chat templates and task templates use them.
 *
 * The reference is Jinja2 3.1 with the options that lm-evaluation-harness (task templates) and
 * transformers (chat templates) give it. A compiled template is immutable and may be rendered by
 * several threads at once. Steps, recursion and output are limited: a template from a model file
 * cannot hang the program. */
#ifndef ASSAY_BASE_JINJA_H
#define ASSAY_BASE_JINJA_H

#include "base/value.h"

enum jinja_mode {
    JINJA_TASK, /* StrictUndefined, keep_trailing_newline, filter regex_replace */
    JINJA_CHAT, /* trim_blocks, lstrip_blocks, loop controls, raise_exception(), strftime_now(),
                   tojson without ASCII escapes, {% generation %} */
};

struct jinja;

/* Lives in `a`, and copies what it needs of `text`. `where` names the template in errors.
 * E_INPUT with "WHERE:LINE: what is wrong"; where WHERE itself ends in a line ("arc.yaml:7", which
 * holds the template's first line), "arc.yaml:7: what is wrong" or "arc.yaml:7: line 3 of the
 * template: what is wrong". */
int jinja_compile(struct arena *a, struct str text, const char *where, enum jinja_mode mode,
                  struct jinja **ret, struct error *err);

/* Renders over the dict `context` into `a`, which gets the text and nothing else; the context is
 * not changed (a template that appends to its lists gets a copy). E_INPUT: an undefined name is
 * used, a wrong type, a limit is met, or raise_exception (the sentence ends in its text).
 *
 * Integers have 64 bits: what Python would go on computing with is an OverflowError here.
 * {% include %}, {% import %} and {% extends %} are errors: a template string has no neighbours. */
int jinja_render(const struct jinja *t, struct arena *a, const struct value *context,
                 struct str *ret, struct error *err);

/* The kind of Python exception that Jinja2 would have raised ("UndefinedError", "TypeError",
 * "TemplateSyntaxError", ...), for tests: of this thread's last failure here, which filled *err. */
const char *jinja_error_kind(const struct error *err);

#endif
