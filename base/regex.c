#include "base/regex.h"

#include <assert.h>
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MATCH_STEPS = 50 * 1000 * 1000, /* as PCRE2 counts them: some tenths of a second */
    HEAP_KIB = 256 * 1024,          /* of the interpreter, for what overflows the JIT's stack */
    JIT_STACK_MIN = 32 * 1024,
    JIT_STACK_MAX = 8 * 1024 * 1024,
    MAX_PATTERN = 1024 * 1024,
};

struct regex {
    pcre2_code *code;
    pcre2_code *anchored; /* the same, only at the start: JIT code cannot be told at match time */
    int n_groups;
    char *where;
    char *pattern; /* as it was written, for errors */
};

/* Python's spelling to PCRE2's. */

struct translator {
    struct str in;
    size_t i;
    unsigned flags;
    struct buf out;
    bool in_set, verbose, ascii;
};

static bool at_text(const struct translator *t, const char *z)
{
    return str_starts(str_slice(t->in, t->i, t->in.n), str_of(z));
}

/* \uXXXX and \UXXXXXXXX */
static bool put_code_point(struct translator *t, size_t digits)
{
    struct str hex = str_slice(t->in, t->i + 2, t->i + 2 + digits);
    for (size_t k = 0; k < hex.n; k++)
        if (!isxdigit((unsigned char)hex.p[k]))
            return false;
    if (hex.n < digits)
        return false;
    buf_printf(&t->out, "\\x{%.*s}", STR_ARG(hex));
    t->i += 2 + digits;
    return true;
}

/* What a class or anchor is called in PCRE2, outside a set and in one; NULL: the same. */
struct spelling {
    char letter;
    const char *outside, *in_set;
};

static const struct spelling spelling[] = {
    {'s', "[\\s\\x{1c}-\\x{1f}]", "\\s\\x{1c}-\\x{1f}"},
    {'S', "[^\\s\\x{1c}-\\x{1f}]", NULL},
    {'Z', "\\z", NULL},
    {0},
};

/* Without UCP a bare \W fails on non-ASCII in PCRE2 10.42's JIT for perhaps invalid subjects; the
 * same class as a set does not. */
static const struct spelling ascii_spelling[] = {
    {'W', "[^\\w]", NULL}, {'D', "[^\\d]", NULL}, {'S', "[^\\s]", NULL}, {'Z', "\\z", NULL}, {0},
};

static void put_escape(struct translator *t)
{
    char c = t->i + 1 < t->in.n ? t->in.p[t->i + 1] : '\0';
    if ((c == 'u' && put_code_point(t, 4)) || (c == 'U' && put_code_point(t, 8)))
        return;
    const struct spelling *table = t->ascii ? ascii_spelling : spelling;
    const char *text = NULL;
    for (; table->letter && !(t->flags & REGEX_ONIGURUMA); table++)
        if (table->letter == c)
            text = t->in_set ? table->in_set : table->outside;
    if (text)
        buf_puts(&t->out, text);
    else
        buf_str(&t->out, str_slice(t->in, t->i, t->i + 2));
    t->i += 2;
}

static void enter_set(struct translator *t)
{
    t->in_set = true;
    size_t n = 1;
    if (t->i + n < t->in.n && t->in.p[t->i + n] == '^')
        n++;
    if (t->i + n < t->in.n && t->in.p[t->i + n] == ']') /* the first one is a member */
        n++;
    buf_str(&t->out, str_slice(t->in, t->i, t->i + n));
    t->i += n;
}

/* {,n} */
static bool put_open_range(struct translator *t)
{
    size_t i = t->i + 2;
    while (i < t->in.n && isdigit((unsigned char)t->in.p[i]))
        i++;
    if (i >= t->in.n || t->in.p[i] != '}')
        return false;
    buf_puts(&t->out, "{0,");
    t->i += 2;
    return true;
}

/* Global flags in front, "(?iu)": `u` is how PCRE2 matches here anyway, `a` turns it off. */
static void translate_flags(struct translator *t)
{
    size_t end = t->in.n > 2 && at_text(t, "(?") ? 2 : 0;
    while (end && end < t->in.n && t->in.p[end] && strchr("aimsux", t->in.p[end]))
        end++;
    if (end < 3 || end >= t->in.n || t->in.p[end] != ')')
        return;
    struct buf kept = {0};
    for (size_t i = 2; i < end; i++) {
        t->ascii = t->ascii || t->in.p[i] == 'a';
        t->verbose = t->verbose || t->in.p[i] == 'x';
        if (t->in.p[i] != 'a' && t->in.p[i] != 'u')
            buf_char(&kept, t->in.p[i]);
    }
    if (kept.n)
        buf_printf(&t->out, "(?%.*s)", STR_ARG(buf_view(&kept)));
    buf_free(&kept);
    t->i = end + 1;
}

static void skip_comment(struct translator *t)
{
    while (t->i < t->in.n && t->in.p[t->i] != '\n')
        t->i++;
}

static void translate(struct translator *t)
{
    if (!(t->flags & REGEX_ONIGURUMA))
        translate_flags(t);
    while (t->i < t->in.n) {
        char c = t->in.p[t->i];
        if (c == '\\') {
            put_escape(t);
        } else if (c == '[' && !t->in_set) {
            enter_set(t);
        } else if (c == '#' && t->verbose && !t->in_set) {
            skip_comment(t);
        } else if (c == '{' && !t->in_set && at_text(t, "{,") && put_open_range(t)) {
            continue;
        } else {
            if (c == ']')
                t->in_set = false;
            if (c == '[' && !(t->flags & REGEX_ONIGURUMA)) /* no POSIX classes in Python */
                buf_char(&t->out, '\\');
            buf_char(&t->out, c);
            t->i++;
        }
    }
}

static int compile_error(const char *where, struct str pattern, struct str translated, int code,
                         size_t offset, struct error *err)
{
    char reason[256] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    struct str rest = str_slice(translated, offset, offset + 20);
    return error_set(err, E_INPUT, "%s: no valid regular expression: %s%s%.*s%s, in %.*s", where,
                     reason, rest.n ? ", before \"" : ", at its end", STR_ARG(rest),
                     rest.n ? "\"" : "", (int)(pattern.n > 200 ? 200 : pattern.n), pattern.p);
}

static uint32_t pcre2_options(unsigned flags, bool ascii)
{
    return PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | (ascii ? 0 : PCRE2_UCP) |
           (flags & REGEX_IGNORECASE ? PCRE2_CASELESS : 0) |
           (flags & REGEX_MULTILINE ? PCRE2_MULTILINE : 0) |
           (flags & REGEX_DOTALL ? PCRE2_DOTALL : 0);
}

static pcre2_code *compile(struct str text, uint32_t options, int *code, size_t *offset)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) {
        *code = PCRE2_ERROR_NOMEMORY;
        return NULL;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_max_pattern_length(context, MAX_PATTERN);
    pcre2_code *c = pcre2_compile((PCRE2_SPTR)text.p, text.n, options, code, offset, context);
    pcre2_compile_context_free(context);
    if (c) /* where there is no JIT the interpreter does it */
        pcre2_jit_compile(c, PCRE2_JIT_COMPLETE);
    return c;
}

static char *pattern_text(struct str pattern)
{
    enum { SHOWN = 120 };
    char *text = mem_alloc(SHOWN + 4, 1);
    snprintf(text, SHOWN + 4, "%.*s%s", (int)(pattern.n > SHOWN ? SHOWN : pattern.n), pattern.p,
             pattern.n > SHOWN ? "..." : "");
    return text;
}

int regex_compile(struct str pattern, unsigned flags, const char *where, struct regex **ret,
                  struct error *err)
{
    struct translator t = {.in = pattern, .flags = flags};
    translate(&t);
    uint32_t options = pcre2_options(flags, t.ascii);
    int code = 0, r = 0;
    size_t offset = 0;
    struct regex *made = mem_alloc(1, sizeof *made);
    made->code = compile(buf_view(&t.out), options, &code, &offset);
    if (made->code)
        made->anchored = compile(buf_view(&t.out), options | PCRE2_ANCHORED, &code, &offset);
    if (!made->anchored) {
        r = compile_error(where, pattern, buf_view(&t.out), code, offset, err);
        regex_free(made);
    } else {
        uint32_t n = 0;
        pcre2_pattern_info(made->code, PCRE2_INFO_CAPTURECOUNT, &n);
        made->n_groups = (int)n;
        made->where = mem_strdup(where);
        made->pattern = pattern_text(pattern);
        *ret = made;
    }
    buf_free(&t.out);
    return r;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    pcre2_code_free(r->code);
    pcre2_code_free(r->anchored);
    free(r->where);
    free(r->pattern);
    free(r);
}

/* ---- constants ---- */

enum { MAX_CONSTANTS = 512 }; /* a power of two */

static struct {
    pthread_rwlock_t lock;
    struct constant {
        const char *pattern; /* a copy */
        unsigned flags;
        struct regex *regex;
    } slots[MAX_CONSTANTS];
} constants = {.lock = PTHREAD_RWLOCK_INITIALIZER};

/* Where the pattern stands, or the free place where it goes. */
static struct constant *constant_slot(const char *pattern, unsigned flags)
{
    size_t h = flags;
    for (const char *p = pattern; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    for (size_t i = 0; i < MAX_CONSTANTS; i++) {
        struct constant *c = &constants.slots[(h + i) % MAX_CONSTANTS];
        if (!c->pattern || (c->flags == flags && strcmp(c->pattern, pattern) == 0))
            return c;
    }
    return NULL;
}

static int make_constant(const char *pattern, unsigned flags, const struct regex **ret,
                         struct error *err)
{
    int r = 0;
    pthread_rwlock_wrlock(&constants.lock);
    struct constant *c = constant_slot(pattern, flags);
    assert(c); /* not for patterns that data make */
    if (!c->pattern && (r = regex_compile(str_of(pattern), flags, "a pattern of assay's own",
                                          &c->regex, err)) == 0) {
        c->pattern = mem_strdup(pattern);
        c->flags = flags;
    }
    *ret = c->regex;
    pthread_rwlock_unlock(&constants.lock);
    return r;
}

int regex_constant(const char *pattern, unsigned flags, const struct regex **ret, struct error *err)
{
    pthread_rwlock_rdlock(&constants.lock);
    const struct constant *c = constant_slot(pattern, flags);
    const struct regex *found = c && c->pattern ? c->regex : NULL;
    pthread_rwlock_unlock(&constants.lock);
    if (!found)
        return make_constant(pattern, flags, ret, err);
    *ret = found;
    return 0;
}

/* ---- matching ---- */

int regex_groups(const struct regex *r)
{
    return r->n_groups;
}

/* What matching needs and a compiled pattern cannot share: one of each a thread. */
struct matcher {
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    pcre2_match_data *data;
    uint32_t n_pairs;
};

static pthread_key_t matcher_key;
static pthread_once_t matcher_once = PTHREAD_ONCE_INIT;

static void matcher_free(void *p)
{
    struct matcher *m = p;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    free(m);
}

static void make_key(void)
{
    if (pthread_key_create(&matcher_key, matcher_free) != 0)
        abort();
}

/* NULL when there is no memory. */
static struct matcher *matcher_get(uint32_t n_pairs)
{
    pthread_once(&matcher_once, make_key);
    struct matcher *m = pthread_getspecific(matcher_key);
    if (!m) {
        m = mem_alloc(1, sizeof *m);
        pthread_setspecific(matcher_key, m);
    }
    if (!m->context && (m->context = pcre2_match_context_create(NULL))) {
        pcre2_set_match_limit(m->context, MATCH_STEPS);
        pcre2_set_heap_limit(m->context, HEAP_KIB);
        m->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
        if (m->stack)
            pcre2_jit_stack_assign(m->context, NULL, m->stack);
    }
    if (m->n_pairs < n_pairs) {
        pcre2_match_data_free(m->data);
        m->data = pcre2_match_data_create(n_pairs, NULL);
        m->n_pairs = m->data ? n_pairs : 0;
    }
    return m->context && m->data ? m : NULL;
}

static int match_error(const struct regex *r, int code, struct error *err)
{
    char reason[256] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)reason, sizeof reason);
    if (code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_DEPTHLIMIT ||
        code == PCRE2_ERROR_HEAPLIMIT)
        return error_set(err, E_INPUT,
                         "%s: the regular expression \"%s\" needs too many steps on a text of "
                         "this kind (%s); write it with less nested repetition",
                         r->where, r->pattern, reason);
    return error_set(err, code == PCRE2_ERROR_NOMEMORY ? E_MEMORY : E_INPUT,
                     "%s: matching the regular expression failed: %s", r->where, reason);
}

static int search(const struct regex *r, struct str subject, size_t from, bool anchored,
                  uint32_t options, struct regex_match *groups, int n_groups, struct error *err)
{
    if (from > subject.n)
        return 0;
    struct matcher *m = matcher_get((uint32_t)r->n_groups + 1);
    if (!m)
        return error_set(err, E_MEMORY, "%s: no memory left to match", r->where);
    const pcre2_code *code = anchored ? r->anchored : r->code;
    PCRE2_SPTR text = (PCRE2_SPTR)(subject.n ? subject.p : "");
    int n = pcre2_match(code, text, subject.n, from, options, m->data, m->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT)
        n = pcre2_match(code, text, subject.n, from, options | PCRE2_NO_JIT, m->data, m->context);
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n < 0)
        return match_error(r, n, err);
    const size_t *pairs = pcre2_get_ovector_pointer(m->data);
    for (int g = 0; g < n_groups; g++) {
        bool took_part = g <= r->n_groups && pairs[2 * g] != PCRE2_UNSET;
        groups[g].start = took_part ? pairs[2 * g] : SIZE_MAX;
        groups[g].end = took_part ? pairs[2 * g + 1] : SIZE_MAX;
    }
    return 1;
}

int regex_search(const struct regex *r, struct str subject, size_t from, bool anchored,
                 struct regex_match *groups, int n_groups, struct error *err)
{
    return search(r, subject, from, anchored, 0, groups, n_groups, err);
}

int regex_next(const struct regex *r, struct str subject, struct regex_iter *it,
               struct regex_match *groups, int n_groups, struct error *err)
{
    struct regex_match whole;
    struct regex_match *out = n_groups > 0 ? groups : &whole;
    int found = search(r, subject, it->at, false, it->must_advance ? PCRE2_NOTEMPTY_ATSTART : 0,
                       out, n_groups > 0 ? n_groups : 1, err);
    if (found <= 0)
        return found;
    it->must_advance = out[0].start == out[0].end;
    /* \K in a lookahead can end a match before its start: go on behind it all the same. */
    it->at = out[0].end > it->at || it->must_advance ? out[0].end : subject.n + 1;
    return 1;
}

/* A replacement is pieces: text, or a group's number. */
struct piece {
    int group; /* < 0: text */
    struct str text;
};

struct pieces {
    struct piece *items;
    size_t n, cap;
};

static int bad_replacement(const struct regex *r, struct str replacement, const char *what,
                           struct error *err)
{
    return error_set(err, E_INPUT, "%s: the replacement \"%.*s\" %s", r->where,
                     (int)(replacement.n > 200 ? 200 : replacement.n), replacement.p, what);
}

static int add_group(const struct regex *r, struct str replacement, int group, struct pieces *out,
                     struct error *err)
{
    if (group < 0 || group > r->n_groups)
        return bad_replacement(r, replacement, "names a group that the pattern does not have", err);
    *ARRAY_PUSH(out) = (struct piece){.group = group};
    return 0;
}

static void add_char(struct arena *a, struct pieces *out, unsigned char c)
{
    /* \377 and the like are code points up to 255: one or two bytes of UTF-8 */
    char bytes[2] = {(char)c};
    size_t n = 1;
    if (c >= 0x80) {
        bytes[0] = (char)(0xc0 | c >> 6);
        bytes[1] = (char)(0x80 | (c & 0x3f));
        n = 2;
    }
    *ARRAY_PUSH(out) = (struct piece){-1, {arena_copy(a, bytes, n), n}};
}

/* \g<name> or \g<3>; *i stands behind the g. */
static int add_named(const struct regex *r, struct str s, size_t *i, struct pieces *out,
                     struct error *err)
{
    size_t end = str_find(s, STR(">"), *i);
    if (*i >= s.n || s.p[*i] != '<' || end == SIZE_MAX || end - *i > 40)
        return bad_replacement(r, s, "has \\g without a <name>", err);
    char name[48] = "";
    memcpy(name, s.p + *i + 1, end - *i - 1);
    *i = end + 1;
    char *stop;
    long number = strtol(name, &stop, 10);
    bool is_number = isdigit((unsigned char)name[0]) && !*stop;
    int group = is_number ? (int)(number > r->n_groups ? -1 : number)
                          : pcre2_substring_number_from_name(r->code, (PCRE2_SPTR)name);
    return add_group(r, s, group, out, err);
}

static bool octal(struct str s, size_t i)
{
    return i < s.n && s.p[i] >= '0' && s.p[i] <= '7';
}

/* \0, \012 and \123 are octal characters, \1 to \99 are groups; *i stands on the first digit. */
static int add_digits(const struct regex *r, struct arena *a, struct str s, size_t *i,
                      struct pieces *out, struct error *err)
{
    size_t at = *i;
    bool zero = s.p[at] == '0';
    size_t n = 1;
    if (zero)
        n += octal(s, at + 1) ? 1 + octal(s, at + 2) : 0;
    else if (octal(s, at) && octal(s, at + 1) && octal(s, at + 2))
        n = 3;
    else if (at + 1 < s.n && isdigit((unsigned char)s.p[at + 1]))
        n = 2;
    *i = at + n;
    char digits[4] = "";
    memcpy(digits, s.p + at, n);
    if (!zero && n < 3)
        return add_group(r, s, atoi(digits), out, err);
    long c = strtol(digits, NULL, 8);
    if (c > 0377)
        return bad_replacement(r, s, "has an octal escape beyond \\377", err);
    add_char(a, out, (unsigned char)c);
    return 0;
}

static int add_escape(const struct regex *r, struct arena *a, struct str s, size_t *i,
                      struct pieces *out, struct error *err)
{
    static const char letters[] = "a\ab\bf\fn\nr\rt\tv\v\\\\";
    char c = *i < s.n ? s.p[*i] : '\0';
    if (c == 'g') {
        ++*i;
        return add_named(r, s, i, out, err);
    }
    if (isdigit((unsigned char)c))
        return add_digits(r, a, s, i, out, err);
    for (const char *p = letters; *p; p += 2)
        if (*p == c) {
            ++*i;
            add_char(a, out, (unsigned char)p[1]);
            return 0;
        }
    if (isalpha((unsigned char)c) || *i >= s.n)
        return bad_replacement(r, s, "has an unknown escape", err);
    add_char(a, out, '\\');
    return 0;
}

static int parse_replacement(const struct regex *r, struct arena *a, struct str s,
                             struct pieces *out, struct error *err)
{
    for (size_t i = 0; i < s.n;) {
        size_t end = str_find(s, STR("\\"), i);
        end = end == SIZE_MAX ? s.n : end;
        if (end > i)
            *ARRAY_PUSH(out) = (struct piece){-1, str_slice(s, i, end)};
        i = end + 1;
        int code = end < s.n ? add_escape(r, a, s, &i, out, err) : 0;
        if (code < 0)
            return code;
    }
    return 0;
}

static void put_replacement(struct buf *b, const struct pieces *pieces, struct str subject,
                            const struct regex_match *groups)
{
    for (size_t i = 0; i < pieces->n; i++) {
        const struct piece *p = &pieces->items[i];
        if (p->group < 0)
            buf_str(b, p->text);
        else if (groups[p->group].start != SIZE_MAX)
            buf_str(b, str_slice(subject, groups[p->group].start, groups[p->group].end));
    }
}

int regex_sub(const struct regex *r, struct arena *a, struct str subject, struct str replacement,
              struct str *ret, struct error *err)
{
    struct arena scratch = {0};
    struct pieces pieces = {0};
    struct buf b = {0};
    struct regex_iter it = {0};
    size_t copied = 0;
    struct regex_match *groups = arena_array(&scratch, (size_t)r->n_groups + 1, sizeof *groups);
    int found = parse_replacement(r, &scratch, replacement, &pieces, err);
    if (found < 0)
        goto out;
    while ((found = regex_next(r, subject, &it, groups, r->n_groups + 1, err)) > 0) {
        if (groups[0].start >= copied)
            buf_str(&b, str_slice(subject, copied, groups[0].start));
        put_replacement(&b, &pieces, subject, groups);
        copied = groups[0].end > copied ? groups[0].end : copied;
    }
    if (found == 0) {
        buf_str(&b, str_slice(subject, copied, subject.n));
        *ret = str_copy(a, buf_view(&b));
    }
out:
    buf_free(&b);
    free(pieces.items);
    arena_free(&scratch);
    return found;
}

struct str regex_escape(struct arena *a, struct str s)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] && strchr("()[]{}?*+-|^$\\.&~# \t\n\r\v\f", s.p[i]))
            buf_char(&b, '\\');
        buf_char(&b, s.p[i]);
    }
    return buf_take(&b, a);
}
