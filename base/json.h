/* json.h: JSON in and out, over jansson (it tells 1 from 1.0 and says where an error is). */
#ifndef ASSAY_BASE_JSON_H
#define ASSAY_BASE_JSON_H

#include "base/value.h"

/* `where` names the text in errors: "FILE" or "FILE:LINE" of its first line. Depth is limited.
 * NaN, Infinity and -Infinity are read as Python's json does; a lone surrogate is an error.
 * E_INPUT with "where:line: what is wrong". */
int json_parse(struct arena *a, struct str text, const char *where, struct value **ret,
               struct error *err);

/* The file at `path`, whole (plain or gz). */
int json_read(struct arena *a, const char *path, struct value **ret, struct error *err);

/* As Python's json.dumps(v, ensure_ascii=False, separators=(", ", ": ")), with NaN and Infinity;
 * indent < 0: on one line; otherwise as json.dumps(indent=N). `ascii` escapes non-ASCII. */
void buf_json(struct buf *b, const struct value *v, int indent, bool ascii);
void buf_json_str(struct buf *b, struct str s, bool ascii); /* a quoted string */
struct str json_text(struct arena *a, const struct value *v);

#endif
