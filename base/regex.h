/* regex.h: Python's `re` over PCRE2 (JIT), for filters, metrics and pretokenizers.
 *
 * Python's spelling is translated where PCRE2's differs ((?P<n>..) is the same, \Z means the very
 * end, str patterns are Unicode). A match is limited in steps, so that no pattern hangs; hitting
 * the limit is an error. A compiled regex may be used by several threads. */
#ifndef ASSAY_BASE_REGEX_H
#define ASSAY_BASE_REGEX_H

#include "base/error.h"
#include "base/str.h"

struct regex;

enum { REGEX_IGNORECASE = 1, REGEX_MULTILINE = 2, REGEX_DOTALL = 4 };

/* `where` names the pattern in errors. The caller frees with regex_free. */
int regex_compile(struct str pattern, unsigned flags, const char *where, struct regex **ret,
                  struct error *err);
void regex_free(struct regex *r);
int regex_groups(const struct regex *r);

struct regex_match {
    size_t start, end; /* bytes; SIZE_MAX where the group took no part */
};

/* First match at or after byte `from`: 1 found (groups[0 .. n_groups) filled, 0 the whole), 0 not
 * found, or a negative error. `anchored`: only at `from`. The subject is UTF-8. */
int regex_search(const struct regex *r, struct str subject, size_t from, bool anchored,
                 struct regex_match *groups, int n_groups, struct error *err);

/* re.sub(pattern, replacement, subject), replacement in Python's syntax (\1, \g<1>). */
int regex_sub(const struct regex *r, struct arena *a, struct str subject, struct str replacement,
              struct str *ret, struct error *err);

#endif
