#include "base/utf8.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/casing.h"

int32_t utf8_next(struct str s, size_t *i)
{
    const unsigned char *p = (const unsigned char *)s.p + *i;
    size_t left = s.n - *i;
    if (p[0] < 0x80) {
        ++*i;
        return p[0];
    }
    utf8proc_int32_t cp;
    utf8proc_ssize_t n = utf8proc_iterate(p, left > 4 ? 4 : (utf8proc_ssize_t)left, &cp);
    *i += n > 0 ? (size_t)n : 1;
    return n > 0 ? cp : -1;
}

int utf8_put(int32_t cp, char ret[4])
{
    return (int)utf8proc_encode_char(cp, (utf8proc_uint8_t *)ret);
}

bool utf8_valid(struct str s)
{
    for (size_t i = 0; i < s.n;)
        if (utf8_next(s, &i) < 0)
            return false;
    return true;
}

size_t utf8_len(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; n++)
        utf8_next(s, &i);
    return n;
}

size_t utf8_offset(struct str s, size_t code_points)
{
    size_t i = 0;
    while (code_points-- > 0 && i < s.n)
        utf8_next(s, &i);
    return i;
}

static void put(struct buf *b, int32_t cp)
{
    char bytes[4];
    buf_add(b, bytes, (size_t)utf8_put(cp, bytes));
}

/* How many bytes one U+FFFD stands for: the longest start of a sequence that could have become
 * valid, as CPython's decoder and the Unicode standard have it. */
static size_t maximal_subpart(struct str s, size_t i)
{
    const unsigned char *p = (const unsigned char *)s.p + i;
    unsigned char lead = p[0];
    size_t want = lead >= 0xc2 && lead <= 0xdf   ? 1
                  : lead >= 0xe0 && lead <= 0xef ? 2
                  : lead >= 0xf0 && lead <= 0xf4 ? 3
                                                 : 0;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    size_t n = 1;
    while (n <= want && i + n < s.n && p[n] >= low && p[n] <= high) {
        n++;
        low = 0x80, high = 0xbf;
    }
    return n;
}

struct str utf8_replace_invalid(struct arena *a, struct str s)
{
    if (utf8_valid(s))
        return s;
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        if (utf8_next(s, &i) >= 0) {
            buf_add(&b, s.p + start, i - start);
            continue;
        }
        put(&b, 0xfffd);
        i = start + maximal_subpart(s, start);
    }
    return buf_take(&b, a);
}

bool utf8_is_space(int32_t cp)
{
    if (cp < 0x80)
        return cp == ' ' || (cp >= 0x09 && cp <= 0x0d) || (cp >= 0x1c && cp <= 0x1f);
    switch (cp) {
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000:
        return true;
    default:
        return cp >= 0x2000 && cp <= 0x200a;
    }
}

static bool in_set(int32_t cp, const struct str *set)
{
    if (!set)
        return utf8_is_space(cp);
    for (size_t i = 0; i < set->n;)
        if (utf8_next(*set, &i) == cp)
            return cp >= 0;
    return false;
}

/* Start of the character that ends at byte `end`. */
static size_t step_back(struct str s, size_t end)
{
    size_t i = end - 1;
    while (i > 0 && end - i < 4 && ((unsigned char)s.p[i] & 0xc0) == 0x80)
        i--;
    size_t next = i;
    utf8_next((struct str){s.p, end}, &next);
    return next == end ? i : end - 1;
}

struct str utf8_strip(struct str s, int sides, const struct str *set)
{
    size_t from = 0, to = s.n;
    while ((sides & STRIP_LEFT) && from < to) {
        size_t next = from;
        if (!in_set(utf8_next(s, &next), set))
            break;
        from = next;
    }
    while ((sides & STRIP_RIGHT) && to > from) {
        size_t start = step_back(s, to), next = start;
        if (!in_set(utf8_next((struct str){s.p, to}, &next), set))
            break;
        to = start;
    }
    return (struct str){s.p ? s.p + from : s.p, to - from};
}

/* Letter case. utf8proc's tables map one code point to one; where Unicode's SpecialCasing (which
 * Python follows) gives several, casing.h has the row. */
enum { LOWER, UPPER, TITLE };

static int compare_special(const void *key, const void *row)
{
    int32_t cp = *(const int32_t *)key, other = ((const struct special *)row)->cp;
    return (cp > other) - (cp < other);
}

static const char *special_case(int32_t cp, int to)
{
    const struct special *row = cp < 0x80 ? NULL
                                          : bsearch(&cp, special, sizeof special / sizeof *special,
                                                    sizeof *special, compare_special);
    if (!row)
        return NULL;
    return to == LOWER ? row->lower : to == UPPER ? row->upper : row->title;
}

/* A character that has case, and one that casing looks through (Final_Sigma's condition). */
static bool is_cased(int32_t cp)
{
    utf8proc_category_t c = utf8proc_category(cp);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT ||
           utf8proc_tolower(cp) != cp || utf8proc_toupper(cp) != cp;
}

static bool is_case_ignorable(int32_t cp)
{
    switch (utf8proc_category(cp)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return cp == '\'' || cp == '.' || cp == ':' || cp == 0xb7 || cp == 0x2018 || cp == 0x2019 ||
               cp == 0x2024 || cp == 0x2027;
    }
}

/* A sigma that ends a word is written as its final form when it is lowered. */
static bool final_sigma(struct str s, size_t start, size_t end)
{
    bool before = false;
    for (size_t at = start; at > 0;) {
        at = step_back(s, at);
        size_t next = at;
        int32_t cp = utf8_next(s, &next);
        if (is_case_ignorable(cp))
            continue;
        before = is_cased(cp);
        break;
    }
    if (!before)
        return false;
    while (end < s.n) {
        int32_t cp = utf8_next(s, &end);
        if (!is_case_ignorable(cp))
            return !is_cased(cp);
    }
    return true;
}

/* Adds the character at bytes [start, end) of `s` in the case `to`. */
static void put_case(struct buf *b, struct str s, size_t start, size_t end, int32_t cp, int to)
{
    const char *text = cp < 0 ? NULL : special_case(cp, to);
    if (cp < 0)
        buf_add(b, s.p + start, end - start);
    else if (text)
        buf_puts(b, text);
    else if (to == LOWER && cp == 0x3a3 && final_sigma(s, start, end))
        put(b, 0x3c2);
    else
        put(b, to == LOWER   ? utf8proc_tolower(cp)
               : to == UPPER ? utf8proc_toupper(cp)
                             : utf8proc_totitle(cp));
}

static struct str map_case(struct arena *a, struct str s, int first, int rest)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        int32_t cp = utf8_next(s, &i);
        put_case(&b, s, start, i, cp, start == 0 ? first : rest);
    }
    return buf_take(&b, a);
}

struct str utf8_lower(struct arena *a, struct str s)
{
    return map_case(a, s, LOWER, LOWER);
}

struct str utf8_upper(struct arena *a, struct str s)
{
    return map_case(a, s, UPPER, UPPER);
}

struct str utf8_capitalize(struct arena *a, struct str s)
{
    return map_case(a, s, TITLE, LOWER);
}

struct str utf8_title(struct arena *a, struct str s)
{
    struct buf b = {0};
    bool inside = false; /* the character before has case */
    for (size_t i = 0; i < s.n;) {
        size_t start = i;
        int32_t cp = utf8_next(s, &i);
        put_case(&b, s, start, i, cp, inside ? LOWER : TITLE);
        inside = cp >= 0 && is_cased(cp);
    }
    return buf_take(&b, a);
}

struct str utf8_normalize(struct arena *a, struct str s, const char *form)
{
    static const struct {
        const char *name;
        int options;
    } forms[] = {
        {"NFC", UTF8PROC_STABLE | UTF8PROC_COMPOSE},
        {"NFD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE},
        {"NFKC", UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
        {"NFKD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT},
    };
    int options = forms[0].options;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].name, form) == 0)
            options = forms[i].options;
    utf8proc_uint8_t *out = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)(s.n ? s.p : ""),
                                      (utf8proc_ssize_t)s.n, &out, (utf8proc_option_t)options);
    if (n < 0) /* invalid UTF-8 has no normal form; it stays as it is */
        return s;
    struct str copy = str_copy(a, (struct str){(const char *)out, (size_t)n});
    free(out);
    return copy;
}
