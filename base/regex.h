/* regex.h: Python's `re` over PCRE2 (JIT), for filters, metrics and pretokenizers.
 *
 * Python's spelling is translated where PCRE2's differs: \Z is the very end, {,n} is {0,n}, \s
 * holds U+001C to U+001F, "[" in a set is itself, \uXXXX, (?u), (?a). What PCRE2 knows beyond it
 * (\p{L}, possessive loops, recursion) is allowed. Patterns and subjects are Unicode; a subject's
 * bytes that are no UTF-8 match nothing. A match is limited in steps, so that no pattern hangs;
 * hitting the limit is an error. A compiled regex may be used by several threads. */
#ifndef ASSAY_BASE_REGEX_H
#define ASSAY_BASE_REGEX_H

#include "base/error.h"
#include "base/str.h"

struct regex;

enum {
    REGEX_IGNORECASE = 1,
    REGEX_MULTILINE = 2,
    REGEX_DOTALL = 4,
    REGEX_ONIGURUMA = 8, /* a pretokenizer's pattern: \s is Unicode's White_Space, [[:alpha:]] */
};

/* `where` names the pattern in errors. The caller frees with regex_free. */
int regex_compile(struct str pattern, unsigned flags, const char *where, struct regex **ret,
                  struct error *err);
void regex_free(struct regex *r);

/* A pattern of the program's own, of which there are not many: it is compiled where it is first
 * used, by whichever thread, and kept for as long as the program runs. */
int regex_constant(const char *pattern, unsigned flags, const struct regex **ret,
                   struct error *err);

int regex_groups(const struct regex *r); /* without group 0 */

struct regex_match {
    size_t start, end; /* bytes; SIZE_MAX where the group took no part */
};

/* First match at or after byte `from`: 1 found (groups[0 .. n_groups) filled, 0 the whole), 0 not
 * found, or a negative error. `anchored`: only at `from`. The subject is UTF-8. */
int regex_search(const struct regex *r, struct str subject, size_t from, bool anchored,
                 struct regex_match *groups, int n_groups, struct error *err);

/* re.finditer: start with a zeroed struct and call until 0 comes back. Empty matches are found as
 * Python 3.7 finds them: one beside the end of a match counts, two at one place do not. */
struct regex_iter {
    size_t at;
    bool must_advance;
};
int regex_next(const struct regex *r, struct str subject, struct regex_iter *it,
               struct regex_match *groups, int n_groups, struct error *err);

/* re.sub(pattern, replacement, subject), replacement in Python's syntax (\1, \g<1>, \g<name>). */
int regex_sub(const struct regex *r, struct arena *a, struct str subject, struct str replacement,
              struct str *ret, struct error *err);

struct str regex_escape(struct arena *a, struct str s); /* re.escape */

#endif
