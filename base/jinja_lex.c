/* jinja_lex.c: from a template's text to tokens, with Jinja's rules for whitespace.
 *
 *     {%- ... -%}   strips whitespace to that side, newlines included
 *     {%+ ... +%}   keeps it where lstrip_blocks or trim_blocks would strip
 *     lstrip_blocks {% and {# swallow the blanks before them if nothing else starts the line
 *     trim_blocks   %} and #} swallow one newline behind them
 *
 * Lines end in \n, \r\n or \r and are read as \n. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jinja_internal.h"
#include "base/utf8.h"

struct lexer {
    struct arena *a;
    struct str s;
    size_t at;
    int line;
    bool lstrip, trim;
    bool line_starting; /* the previous tag ended in a newline that it swallowed */
    struct tokens *out;
};

static const struct {
    const char *text;
    enum token_type type;
} operators[] = {
    /* longer ones first */
    {"//", TOKEN_FLOORDIV}, {"**", TOKEN_POW},      {"==", TOKEN_EQ},    {"!=", TOKEN_NE},
    {">=", TOKEN_GE},       {"<=", TOKEN_LE},       {"+", TOKEN_ADD},    {"-", TOKEN_SUB},
    {"*", TOKEN_MUL},       {"/", TOKEN_DIV},       {"%", TOKEN_MOD},    {"~", TOKEN_TILDE},
    {"[", TOKEN_LBRACKET},  {"]", TOKEN_RBRACKET},  {"(", TOKEN_LPAREN}, {")", TOKEN_RPAREN},
    {"{", TOKEN_LBRACE},    {"}", TOKEN_RBRACE},    {">", TOKEN_GT},     {"<", TOKEN_LT},
    {"=", TOKEN_ASSIGN},    {".", TOKEN_DOT},       {":", TOKEN_COLON},  {"|", TOKEN_PIPE},
    {",", TOKEN_COMMA},     {";", TOKEN_SEMICOLON},
};

const char *jinja_token_name(enum token_type type)
{
    switch (type) {
    case TOKEN_EOF:
    case TOKEN_ERROR:
        return "end of template";
    case TOKEN_DATA:
        return "template data / text";
    case TOKEN_BLOCK_BEGIN:
        return "begin of statement block";
    case TOKEN_BLOCK_END:
        return "end of statement block";
    case TOKEN_VARIABLE_BEGIN:
        return "begin of print statement";
    case TOKEN_VARIABLE_END:
        return "end of print statement";
    case TOKEN_NAME:
        return "name";
    case TOKEN_STRING:
        return "string";
    case TOKEN_INTEGER:
        return "integer";
    case TOKEN_FLOAT:
        return "float";
    default:
        break;
    }
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (operators[i].type == type)
            return operators[i].text;
    return "?";
}

static struct token *add(struct lexer *l, enum token_type type, struct str text)
{
    struct token *t = ARRAY_PUSH(l->out);
    *t = (struct token){.type = type, .line = l->line, .text = text};
    return t;
}

static bool fail(struct lexer *l, const char *format, struct str what)
{
    add(l, TOKEN_ERROR, str_printf(l->a, format, STR_ARG(what)));
    return false;
}

static int peek(const struct lexer *l, size_t ahead)
{
    return l->at + ahead < l->s.n ? (unsigned char)l->s.p[l->at + ahead] : -1;
}

static bool ahead_is(const struct lexer *l, size_t at, const char *z)
{
    return str_starts(str_slice(l->s, at, l->s.n), str_of(z));
}

static void count_lines(struct lexer *l, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        l->line += l->s.p[i] == '\n';
}

/* Moves to byte `to`, counting lines. */
static void advance(struct lexer *l, size_t to)
{
    count_lines(l, l->at, to);
    l->at = to;
}

/* The byte behind the whitespace (Python's \s) at `at`. */
static size_t skip_space(struct str s, size_t at)
{
    while (at < s.n) {
        size_t next = at;
        int32_t cp = utf8_next(s, &next);
        if (cp < 0 || !utf8_is_space(cp))
            break;
        at = next;
    }
    return at;
}

static struct str strip_right(struct str s)
{
    return utf8_strip(s, STRIP_RIGHT, NULL);
}

/* Adds the template text [from, to) before a tag that has the control sign `sign` and starts a
 * variable or not. */
static void add_data(struct lexer *l, size_t from, size_t to, int sign, bool variable)
{
    struct str s = str_slice(l->s, from, to);
    if (sign == '-') {
        s = strip_right(s);
    } else if (sign != '+' && l->lstrip && !variable) {
        size_t start = s.n;
        while (start > 0 && s.p[start - 1] != '\n')
            start--;
        bool blank = skip_space(s, start) == s.n;
        if ((start > 0 || l->line_starting) && blank)
            s.n = start;
    }
    if (s.n)
        add(l, TOKEN_DATA, s);
    advance(l, to);
}

/* At the end of a tag whose closing characters are `close`, perhaps with a sign before them:
 * swallows them and the whitespace that goes with them. 0: no end here. */
static size_t tag_end(const struct lexer *l, size_t at, const char *close, bool trim)
{
    int sign = at < l->s.n ? (unsigned char)l->s.p[at] : -1;
    size_t n = strlen(close);
    if (sign == '-' && ahead_is(l, at + 1, close))
        return skip_space(l->s, at + 1 + n);
    if (sign == '+' && close[0] != '}' && ahead_is(l, at + 1, close))
        return at + 1 + n;
    if (!ahead_is(l, at, close))
        return 0;
    at += n;
    return trim && at < l->s.n && l->s.p[at] == '\n' ? at + 1 : at;
}

static bool is_sign(int c)
{
    return c == '-' || c == '+';
}

static bool name_char(int c)
{
    return c == '_' || c >= 0x80 || (c >= 0 && isalnum(c));
}

/* The byte behind `word` and the blanks around it at `at`; 0 when something else stands there. */
static size_t skip_word(struct str s, size_t at, const char *word)
{
    at = skip_space(s, at);
    if (!str_starts(str_slice(s, at, s.n), str_of(word)))
        return 0;
    return skip_space(s, at + strlen(word));
}

/* {% raw %} starts at `at` (behind the sign): the byte behind its end, or 0. */
static size_t raw_begin(const struct lexer *l, size_t at)
{
    at = skip_word(l->s, at, "raw");
    if (!at)
        return 0;
    if (ahead_is(l, at, "-%}"))
        return skip_space(l->s, at + 3);
    return ahead_is(l, at, "%}") ? at + 2 : 0;
}

static bool lex_raw(struct lexer *l)
{
    for (size_t at = l->at; (at = str_find(l->s, STR("{%"), at)) != SIZE_MAX; at += 2) {
        size_t inner = at + 2;
        int sign = inner < l->s.n ? l->s.p[inner] : 0;
        inner += is_sign(sign);
        inner = skip_word(l->s, inner, "endraw");
        size_t end = inner ? tag_end(l, inner, "%}", l->trim) : 0;
        if (!end)
            continue;
        add_data(l, l->at, at, sign, false);
        advance(l, end);
        l->line_starting = l->s.p[end - 1] == '\n';
        return true;
    }
    return fail(l, "Missing end of raw directive%.*s", STR(""));
}

static bool lex_comment(struct lexer *l)
{
    size_t at = str_find(l->s, STR("#}"), l->at);
    if (at == SIZE_MAX)
        return fail(l, "Missing end of comment tag%.*s", STR(""));
    if (at > l->at && is_sign(l->s.p[at - 1]))
        at--;
    size_t end = tag_end(l, at, "#}", l->trim);
    advance(l, end);
    l->line_starting = l->s.p[end - 1] == '\n';
    return true;
}

/* One escape of a string literal, behind the backslash at *i. */
static bool unescape(struct lexer *l, struct str s, size_t *i, struct buf *b)
{
    static const char simple[] = "n\nt\tr\r\\\\'\'\"\"a\ab\bf\fv\v";
    char c = s.p[(*i)++];
    for (size_t k = 0; k + 1 < sizeof simple; k += 2)
        if (simple[k] == c)
            return buf_char(b, simple[k + 1]), true;
    if (c == '\n')
        return true;
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    int base = 16;
    if (c >= '0' && c <= '7') {
        digits = 3;
        base = 8;
        (*i)--;
    }
    if (!digits) {
        buf_char(b, '\\');
        buf_char(b, c);
        return true;
    }
    uint32_t cp = 0;
    int n = 0;
    for (; n < digits && *i < s.n; n++, (*i)++) {
        int d = (unsigned char)s.p[*i];
        d = isdigit(d) ? d - '0' : isxdigit(d) ? tolower(d) - 'a' + 10 : 99;
        if (d >= base)
            break;
        cp = cp * (uint32_t)base + (uint32_t)d;
    }
    if (base == 16 && n < digits)
        return fail(l,
                    c == 'x'   ? "truncated \\xXX escape%.*s"
                    : c == 'u' ? "truncated \\uXXXX escape%.*s"
                               : "truncated \\UXXXXXXXX escape%.*s",
                    STR(""));
    if (cp > 0x10FFFF || (cp >= 0xD800 && cp < 0xE000))
        return fail(l, "illegal Unicode character%.*s", STR(""));
    char utf8[4];
    buf_add(b, utf8, (size_t)utf8_put((int32_t)cp, utf8));
    return true;
}

static bool lex_string(struct lexer *l)
{
    char quote = l->s.p[l->at];
    size_t end = l->at + 1;
    bool escaped = false;
    while (end < l->s.n && l->s.p[end] != quote) {
        if (l->s.p[end] == '\\') {
            escaped = true;
            end++;
        }
        end++;
    }
    if (end >= l->s.n)
        return fail(l, "unexpected char '%.*s': the string has no end",
                    str_slice(l->s, l->at, l->at + 1));
    struct str text = str_slice(l->s, l->at + 1, end);
    if (escaped) {
        struct buf b = {0};
        for (size_t i = 0; i < text.n;) {
            if (text.p[i] != '\\') {
                buf_char(&b, text.p[i++]);
                continue;
            }
            i++;
            if (!unescape(l, text, &i, &b))
                return buf_free(&b), false;
        }
        text = buf_take(&b, l->a);
    }
    add(l, TOKEN_STRING, text);
    advance(l, end + 1);
    return true;
}

static size_t digits_end(struct str s, size_t at, int (*is)(int))
{
    while (at < s.n && (is((unsigned char)s.p[at]) ||
                        (s.p[at] == '_' && at + 1 < s.n && is((unsigned char)s.p[at + 1]))))
        at++;
    return at;
}

static int is_binary(int c)
{
    return c == '0' || c == '1';
}

static int is_octal(int c)
{
    return c >= '0' && c <= '7';
}

/* The byte behind the fraction and exponent that make the digits up to `at` a float; else `at`. */
static size_t float_end(struct str s, size_t at)
{
    if (at + 1 < s.n && s.p[at] == '.' && isdigit((unsigned char)s.p[at + 1]))
        at = digits_end(s, at + 1, isdigit);
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        size_t exponent = at + 1;
        exponent += exponent < s.n && is_sign(s.p[exponent]);
        if (exponent < s.n && isdigit((unsigned char)s.p[exponent]))
            at = digits_end(s, exponent, isdigit);
    }
    return at;
}

static bool lex_number(struct lexer *l)
{
    size_t end = 0;
    int base = 10;
    if (peek(l, 0) == '0' && peek(l, 1) >= 0) {
        int kind = tolower(peek(l, 1));
        base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
        if (base != 10)
            end = digits_end(l->s, l->at + 2,
                             base == 16  ? isxdigit
                             : base == 8 ? is_octal
                                         : is_binary);
        if (end == l->at + 2)
            base = 10;
    }
    size_t whole = digits_end(l->s, l->at, isdigit);
    if (base == 10)
        end = whole;
    bool after_dot = l->out->n && l->out->items[l->out->n - 1].type == TOKEN_DOT;
    size_t real = base == 10 && !after_dot ? float_end(l->s, whole) : end;
    char digits[512];
    size_t n = 0;
    for (size_t i = l->at + (base == 10 ? 0 : 2); i < (real > end ? real : end); i++)
        if (l->s.p[i] != '_' && n + 1 < sizeof digits)
            digits[n++] = l->s.p[i];
    digits[n] = '\0';
    struct str text = str_slice(l->s, l->at, real > end ? real : end);
    if (n + 1 == sizeof digits)
        return fail(l, "the number %.40s... is too long", text);
    if (real > end) {
        add(l, TOKEN_FLOAT, text)->value = value_float(l->a, strtod(digits, NULL));
    } else {
        int64_t i = 0;
        for (size_t k = 0; k < n; k++) {
            int d = isdigit((unsigned char)digits[k])
                        ? digits[k] - '0'
                        : tolower((unsigned char)digits[k]) - 'a' + 10;
            if (__builtin_mul_overflow(i, base, &i) || __builtin_add_overflow(i, d, &i))
                return fail(l, "the number %.*s does not fit in 64 bits", text);
        }
        add(l, TOKEN_INTEGER, text)->value = value_int(l->a, i);
    }
    l->at += text.n;
    return true;
}

static bool lex_name(struct lexer *l)
{
    size_t end = l->at;
    while (end < l->s.n && name_char((unsigned char)l->s.p[end]))
        end++;
    struct str name = str_slice(l->s, l->at, end);
    add(l, TOKEN_NAME, name);
    l->at = end;
    return true;
}

/* The open brackets of the tag being read; a tag cannot end inside them. */
struct brackets {
    char *items;
    size_t n, cap;
};

static bool lex_operator(struct lexer *l, struct brackets *open)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        size_t n = strlen(operators[i].text);
        if (!ahead_is(l, l->at, operators[i].text))
            continue;
        char c = l->s.p[l->at];
        struct str text = str_slice(l->s, l->at, l->at + n);
        if (n == 1 && strchr("([{", c))
            *ARRAY_PUSH(open) = c == '(' ? ')' : c == '[' ? ']' : '}';
        if (n == 1 && strchr(")]}", c)) {
            if (!open->n)
                return fail(l, "unexpected '%.*s'", text);
            char want = open->items[--open->n];
            if (want != c) {
                struct str both = str_printf(l->a, "unexpected '%c', expected '%c'", c, want);
                return fail(l, "%.*s", both);
            }
        }
        add(l, operators[i].type, text);
        l->at += n;
        return true;
    }
    size_t next = l->at;
    utf8_next(l->s, &next);
    return fail(l, "unexpected char '%.*s'", str_slice(l->s, l->at, next));
}

static bool lex_tag_inside(struct lexer *l, bool variable, struct brackets *open)
{
    const char *close = variable ? "}}" : "%}";
    for (;;) {
        size_t end = open->n ? 0 : tag_end(l, l->at, close, l->trim && !variable);
        if (end) {
            add(l, variable ? TOKEN_VARIABLE_END : TOKEN_BLOCK_END, str_of(close));
            advance(l, end);
            l->line_starting = l->s.p[end - 1] == '\n';
            return true;
        }
        advance(l, skip_space(l->s, l->at));
        int c = peek(l, 0);
        if (c < 0)
            return true; /* the parser says what it missed */
        if (!open->n && tag_end(l, l->at, close, false))
            continue;
        bool ok = isdigit(c)              ? lex_number(l)
                  : name_char(c)          ? lex_name(l)
                  : c == '\'' || c == '"' ? lex_string(l)
                                          : lex_operator(l, open);
        if (!ok)
            return false;
    }
}

static bool lex_tag(struct lexer *l, bool variable)
{
    struct brackets open = {0};
    add(l, variable ? TOKEN_VARIABLE_BEGIN : TOKEN_BLOCK_BEGIN, STR(""));
    bool ok = lex_tag_inside(l, variable, &open);
    free(open.items);
    return ok;
}

/* The next "{%", "{{" or "{#" at or after `at`, or SIZE_MAX. */
static size_t find_tag(struct str s, size_t at)
{
    while ((at = str_find(s, STR("{"), at)) != SIZE_MAX) {
        if (at + 1 < s.n && memchr("%{#", s.p[at + 1], 3))
            return at;
        at++;
    }
    return SIZE_MAX;
}

static bool lex_next(struct lexer *l)
{
    size_t at = find_tag(l->s, l->at);
    if (at == SIZE_MAX) {
        if (l->at < l->s.n)
            add(l, TOKEN_DATA, str_slice(l->s, l->at, l->s.n));
        advance(l, l->s.n);
        return true;
    }
    char kind = l->s.p[at + 1];
    size_t inner = at + 2;
    int sign = inner < l->s.n ? l->s.p[inner] : 0;
    inner += is_sign(sign);
    size_t raw = kind == '%' ? raw_begin(l, inner) : 0;
    add_data(l, l->at, at, sign, kind == '{');
    l->line_starting = false;
    advance(l, raw ? raw : inner);
    if (raw) {
        l->line_starting = l->s.p[raw - 1] == '\n';
        return lex_raw(l);
    }
    return kind == '#' ? lex_comment(l) : lex_tag(l, kind == '{');
}

static struct str normalize_newlines(struct arena *a, struct str s, bool keep_last)
{
    if (s.n && memchr(s.p, '\r', s.n)) {
        char *p = arena_alloc(a, s.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++) {
            p[n++] = s.p[i] == '\r' ? '\n' : s.p[i];
            if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
                i++;
        }
        s = (struct str){p, n};
    }
    if (!keep_last && s.n && s.p[s.n - 1] == '\n')
        s.n--;
    return s;
}

void jinja_lex(struct arena *a, struct str text, enum jinja_mode mode, struct tokens *ret)
{
    struct lexer l = {
        .a = a,
        .s = normalize_newlines(a, text, mode == JINJA_TASK),
        .line = 1,
        .lstrip = mode == JINJA_CHAT,
        .trim = mode == JINJA_CHAT,
        .line_starting = true,
        .out = ret,
    };
    bool ok = true;
    while (ok && l.at < l.s.n)
        ok = lex_next(&l);
    if (ok)
        add(&l, TOKEN_EOF, STR(""));
}
