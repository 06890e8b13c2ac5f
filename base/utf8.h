/* utf8.h: Unicode as Python sees it, over utf8proc. */
#ifndef ASSAY_BASE_UTF8_H
#define ASSAY_BASE_UTF8_H

#include "base/str.h"

/* Decodes one code point at byte `*i` and moves `*i` behind it. A byte that starts no valid
 * sequence (overlong, surrogate, truncated) gives -1 and moves by one. */
int32_t utf8_next(struct str s, size_t *i);
int utf8_put(int32_t cp, char ret[4]); /* bytes written, 1 to 4 */

bool utf8_valid(struct str s);
size_t utf8_len(struct str s);                                  /* code points: Python's len() */
size_t utf8_offset(struct str s, size_t code_points);           /* byte offset of the n-th */
struct str utf8_replace_invalid(struct arena *a, struct str s); /* as decode(errors="replace") */

bool utf8_is_space(int32_t cp); /* str.isspace(): what strip() and split() without argument use */
struct str utf8_lower(struct arena *a, struct str s); /* str.lower() */
struct str utf8_upper(struct arena *a, struct str s);
struct str utf8_capitalize(struct arena *a, struct str s); /* str.capitalize() */
struct str utf8_title(struct arena *a, struct str s);
struct str utf8_normalize(struct arena *a, struct str s, const char *form); /* "NFC" ... "NFKD" */

/* strip(), lstrip(), rstrip() without argument (`set` NULL) or with a set of characters. */
enum { STRIP_LEFT = 1, STRIP_RIGHT = 2, STRIP_BOTH = 3 };
struct str utf8_strip(struct str s, int sides, const struct str *set);

#endif
