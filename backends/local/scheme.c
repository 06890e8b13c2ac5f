#include "backends/local/scheme.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/regex.h"

static const char *const method_names[METHOD_COUNT] = {"rtn", "smoothquant", "gptq", "awq"};

const char *method_name(enum method m)
{
    return method_names[m];
}

enum {
    RTN = 1 << METHOD_RTN,
    SMOOTH = 1 << METHOD_SMOOTHQUANT,
    GPTQ = 1 << METHOD_GPTQ,
    AWQ = 1 << METHOD_AWQ
};

/* ---- the schemes ---- */

static const struct row {
    const char *name;
    enum format format;
    int group, group_rows; /* as in struct scheme, unless group_size says otherwise */
    bool takes_group, takes_zeros, takes_static, words_too;
    enum activation x;
    int x_group;
    unsigned methods;
    const char *container;
} rows[] = {
#define BLOCKS(name, format)                                                                       \
    {                                                                                              \
        name, format, 0, 1, false, false, false, true, X_F32, 0, RTN, NULL                         \
    }
    {"none", FORMAT_COUNT, 0, 1, false, false, false, false, X_F32, 0, RTN, NULL},
    {"w8a8-int", FORMAT_INT8, 0, 1, false, false, true, false, X_INT8, 0, RTN | SMOOTH | GPTQ,
     "int-quantized"},
    {"w8a8-fp8", FORMAT_FP8, 0, 1, false, false, true, false, X_FP8, 0, RTN | SMOOTH | GPTQ,
     "float-quantized"},
    {"fp8-block", FORMAT_FP8, 128, 128, false, false, false, false, X_FP8, 128, RTN,
     "float-quantized"},
    {"w4a16", FORMAT_INT4, 128, 1, true, true, false, false, X_F32, 0, RTN | GPTQ | AWQ,
     "pack-quantized"},
    {"w8a16", FORMAT_INT8, 0, 1, true, true, false, false, X_F32, 0, RTN | GPTQ | AWQ,
     "pack-quantized"},
    {"nvfp4a16", FORMAT_FP4, 16, 1, false, false, false, false, X_F32, 0, RTN | GPTQ | AWQ,
     "nvfp4-pack-quantized"},
    {"bitnet", FORMAT_TERNARY, 0, 0, false, false, false, false, X_INT8, 0, RTN, NULL},
    BLOCKS("q8_0", FORMAT_Q8_0),
    BLOCKS("q4_0", FORMAT_Q4_0),
    BLOCKS("q4_1", FORMAT_Q4_1),
#undef BLOCKS
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static bool any_row(const struct row *r)
{
    return r->format != FORMAT_COUNT;
}

static bool takes_group(const struct row *r)
{
    return r->takes_group;
}

static bool takes_zeros(const struct row *r)
{
    return r->takes_zeros;
}

static bool takes_static(const struct row *r)
{
    return r->takes_static;
}

/* Whole numbers of the layers meet INT8 where the kernels have that product. */
static bool takes_act(const struct row *r)
{
    return r->x == X_F32 && (r->format == FORMAT_COUNT || format_info[r->format].takes_int8);
}

/* ---- the keys beside quant= ---- */

/* What is being made, and from what. */
struct making {
    struct arena *a;
    const struct scheme_words *w;
    const char *spec;
    const struct row *row;
    struct scheme s;
    struct error *err;
};

static int refuse(struct making *m, const char *key, const char *takes, const char *value)
{
    return error_set(m->err, E_USAGE, "model \"%s\": %s takes %s, not \"%s\"", m->spec, key, takes,
                     value);
}

static int set_whole(struct making *m, const char *key, const char *text, long least, long most,
                     int *ret)
{
    char *end;
    errno = 0;
    long x = strtol(text, &end, 10);
    if (!*text || *end || errno || x < least || x > most)
        return refuse(m, key, arena_printf(m->a, "a whole number from %ld to %ld", least, most),
                      text);
    *ret = (int)x;
    return 0;
}

static int set_number(struct making *m, const char *key, const char *text, double least,
                      double most, double *ret)
{
    char *end;
    double x = strtod(text, &end);
    if (!*text || *end || !(x >= least && x <= most))
        return refuse(m, key, arena_printf(m->a, "a number from %g to %g", least, most), text);
    *ret = x;
    return 0;
}

static int set_flag(struct making *m, const char *key, const char *text, bool *ret)
{
    static const char *const words[2][4] = {{"false", "no", "0", "off"},
                                            {"true", "yes", "1", "on"}};
    for (size_t i = 0; i < 8; i++)
        if (strcmp(text, words[i / 4][i % 4]) == 0) {
            *ret = i / 4;
            return 0;
        }
    return refuse(m, key, "true or false", text);
}

static int set_group(struct making *m, const char *key, const char *text)
{
    static const char *const names[] = {"channel", "-1", "32", "64", "128"};
    static const int groups[] = {0, 0, 32, 64, 128};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (strcmp(text, names[i]) == 0) {
            m->s.weights.group = groups[i];
            return 0;
        }
    return refuse(m, key, "32, 64, 128 or channel", text);
}

static int set_symmetric(struct making *m, const char *key, const char *text)
{
    bool symmetric;
    int r = set_flag(m, key, text, &symmetric);
    if (r == 0)
        m->s.weights.asymmetric = !symmetric;
    return r;
}

static int set_static(struct making *m, const char *key, const char *text)
{
    return set_flag(m, key, text, &m->s.x.is_static);
}

static int set_act(struct making *m, const char *key, const char *text)
{
    if (strcmp(text, "int8") != 0)
        return refuse(m, key, "int8", text);
    m->s.x.kind = X_INT8;
    return 0;
}

static int set_alpha(struct making *m, const char *key, const char *text)
{
    if (strcmp(text, "search") == 0) {
        m->s.alpha = NAN;
        return 0;
    }
    if (set_number(m, key, text, 0, 1, &m->s.alpha) == 0)
        return 0;
    return refuse(m, key, "a number from 0 to 1, or search", text);
}

static int set_damp(struct making *m, const char *key, const char *text)
{
    return set_number(m, key, text, 1e-6, 1, &m->s.damp);
}

static int set_order(struct making *m, const char *key, const char *text)
{
    static const char *const names[] = {"none", "weight", "group"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            m->s.order = (enum act_order)i;
            return 0;
        }
    return refuse(m, key, "none, weight or group", text);
}

static int set_calib(struct making *m, const char *key, const char *text)
{
    (void)key;
    m->s.calibration.path = text;
    return 0;
}

static int set_samples(struct making *m, const char *key, const char *text)
{
    return set_whole(m, key, text, 1, 1 << 20, &m->s.calibration.n_samples);
}

static int set_length(struct making *m, const char *key, const char *text)
{
    return set_whole(m, key, text, 2, 1 << 20, &m->s.calibration.length);
}

static int set_seed(struct making *m, const char *key, const char *text)
{
    return set_whole(m, key, text, 0, INT32_MAX, &m->s.calibration.seed);
}

/* Learns it anything? */
static bool learns(const struct scheme *s)
{
    return s->method != METHOD_RTN || s->x.is_static;
}

/* In this order, since a later key asks what an earlier one said. */
static const struct scheme_key {
    const char *name;
    size_t word; /* in struct scheme_words */
    int (*set)(struct making *m, const char *key, const char *text);
    bool (*of_row)(const struct row *r); /* NULL: any */
    unsigned methods;                    /* 0: any */
    bool of_text;                        /* only where something is learnt */
} keys[] = {
#define WORD(w) offsetof(struct scheme_words, w)
    {"group_size", WORD(group_size), set_group, takes_group, 0, false},
    {"symmetric", WORD(symmetric), set_symmetric, takes_zeros, 0, false},
    {"static", WORD(is_static), set_static, takes_static, 0, false},
    {"act", WORD(act), set_act, takes_act, 0, false},
    {"alpha", WORD(alpha), set_alpha, any_row, SMOOTH, false},
    {"damp", WORD(damp), set_damp, any_row, GPTQ, false},
    {"act_order", WORD(act_order), set_order, any_row, GPTQ, false},
    {"calib", WORD(calib), set_calib, any_row, 0, true},
    {"calib_samples", WORD(samples), set_samples, any_row, 0, true},
    {"calib_length", WORD(length), set_length, any_row, 0, true},
    {"calib_seed", WORD(seed), set_seed, any_row, 0, true},
#undef WORD
};
enum { N_KEYS = sizeof keys / sizeof *keys };

/* "w4a16, w8a16": the rows that a test lets through. */
static const char *rows_that(struct arena *a, bool (*test)(const struct row *r))
{
    const char *ret = "";
    for (int i = 0; i < N_ROWS; i++)
        if (!test || test(&rows[i]))
            ret = arena_printf(a, "%s%s%s", ret, *ret ? ", " : "", rows[i].name);
    return ret;
}

static const char *methods_that(struct arena *a, unsigned methods)
{
    const char *ret = "";
    for (int i = 0; i < METHOD_COUNT; i++)
        if (methods & 1u << i)
            ret = arena_printf(a, "%s%s%s", ret, *ret ? ", " : "", method_names[i]);
    return ret;
}

static bool is_written(const struct row *r)
{
    return r->container;
}

const char *schemes_written(struct arena *a)
{
    return rows_that(a, is_written);
}

static int set_key(struct making *m, const struct scheme_key *k)
{
    const char *text = *(const char *const *)((const char *)m->w + k->word);
    if (!text)
        return 0;
    if (k->of_row && !k->of_row(m->row))
        return error_set(m->err, E_USAGE, "model \"%s\": %s goes with quant=%s, not with %s",
                         m->spec, k->name, rows_that(m->a, k->of_row), m->row->name);
    if (k->methods && !(k->methods & 1u << m->s.method))
        return error_set(m->err, E_USAGE, "model \"%s\": %s goes with method=%s, not with %s",
                         m->spec, k->name, methods_that(m->a, k->methods),
                         method_names[m->s.method]);
    if (k->of_text && !learns(&m->s))
        return error_set(m->err, E_USAGE,
                         "model \"%s\": %s goes with what learns from text: method=%s, or static",
                         m->spec, k->name, methods_that(m->a, SMOOTH | GPTQ | AWQ));
    return k->set(m, k->name, text);
}

static int set_row(struct making *m)
{
    const char *name = m->w->quant ? m->w->quant : "none";
    for (int i = 0; i < N_ROWS; i++)
        if (strcmp(name, rows[i].name) == 0)
            m->row = &rows[i];
    if (!m->row)
        return refuse(m, "quant", rows_that(m->a, NULL), name);
    m->s.name = m->row->name;
    m->s.weights.format = m->row->format;
    m->s.weights.group = m->row->group;
    m->s.weights.group_rows = m->row->group_rows;
    m->s.x.kind = m->row->x;
    m->s.x.group = m->row->x_group;
    m->s.words_too = m->row->words_too;
    m->s.container = m->row->container;
    return 0;
}

static int set_method(struct making *m)
{
    const char *name = m->w->method;
    if (!name)
        return 0;
    for (int i = 0; i < METHOD_COUNT; i++)
        if (strcmp(name, method_names[i]) == 0 && m->row->methods & 1u << i) {
            m->s.method = (enum method)i;
            return any_row(m->row)
                       ? 0
                       : error_set(m->err, E_USAGE, "model \"%s\": method goes with quant=%s",
                                   m->spec, rows_that(m->a, any_row));
        }
    return error_set(m->err, E_USAGE, "model \"%s\": quant=%s takes the methods %s, not \"%s\"",
                     m->spec, m->row->name, methods_that(m->a, m->row->methods), name);
}

/* ---- what stays as it is ---- */

static int check_ignore(struct making *m)
{
    struct patterns *p = &m->s.ignore;
    bool none = false;
    const struct patterns *given = &m->w->ignore;
    *p = (struct patterns){.items = arena_array(m->a, given->n + 1, sizeof *p->items)};
    for (size_t i = 0; i < given->n; i++) {
        if (strcmp(given->items[i], "none") == 0)
            none = true;
        else
            p->items[p->n++] = given->items[i];
    }
    if (given->n && !any_row(m->row))
        return error_set(m->err, E_USAGE, "model \"%s\": ignore goes with quant=%s", m->spec,
                         rows_that(m->a, any_row));
    if (none && m->s.x.kind != X_F32)
        return error_set(m->err, E_USAGE,
                         "model \"%s\": ignore=none goes with schemes of weights alone: lm_head "
                         "multiplies activations as they are",
                         m->spec);
    if (!none && !m->s.words_too)
        p->items[p->n++] = "lm_head";
    return scheme_ignores(&m->s, "", m->err) < 0 ? E_USAGE : 0;
}

static int pattern_fits(struct str pattern, struct str module, struct error *err)
{
    if (!str_starts(pattern, STR("re:"))) {
        size_t before = module.n - pattern.n;
        return str_eq(module, pattern) ||
               (str_ends(module, pattern) && pattern.n && module.p[before - 1] == '.');
    }
    struct regex *regex;
    struct regex_match whole;
    int r = regex_compile(str_slice(pattern, 3, SIZE_MAX), 0, "ignore=", &regex, err);
    if (r < 0)
        return error_set(err, E_USAGE, "%s", err->msg);
    r = regex_search(regex, module, 0, true, &whole, 1, err);
    regex_free(regex);
    return r;
}

int scheme_ignores(const struct scheme *s, const char *module, struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < s->ignore.n && r == 0; i++)
        r = pattern_fits(str_of(s->ignore.items[i]), str_of(module), err);
    return r;
}

/* ---- its name ---- */

/* What is not usual about the method. */
static void name_method(struct buf *b, const struct scheme *s, const struct scheme *usual)
{
    static const char *const orders[] = {"-inorder", "", "-ordergroup"};
    buf_printf(b, "-%s", method_names[s->method]);
    if (isnan(s->alpha))
        buf_puts(b, "-search");
    else if (s->alpha != usual->alpha)
        buf_printf(b, "-a%g", s->alpha);
    if (s->damp != usual->damp)
        buf_printf(b, "-d%g", s->damp);
    buf_puts(b, orders[s->order]);
}

static void name_calibration(struct buf *b, const struct calibration *c,
                             const struct calibration *usual)
{
    if (c->n_samples != usual->n_samples || c->length != usual->length)
        buf_printf(b, "-%dx%d", c->n_samples, c->length);
    if (c->seed != usual->seed)
        buf_printf(b, "-s%d", c->seed);
}

static const char *make_label(struct making *m)
{
    struct buf b = {0};
    const struct scheme *s = &m->s, usual = scheme_none();
    bool stored = s->weights.format == FORMAT_COUNT, act = s->x.kind != m->row->x;
    if (!stored || !act)
        buf_puts(&b, s->name);
    if (m->row->takes_group && s->weights.group)
        buf_printf(&b, "-g%d", s->weights.group);
    else if (s->weights.group != m->row->group)
        buf_puts(&b, "-channel");
    buf_puts(&b, s->weights.asymmetric ? "-asym" : "");
    buf_puts(&b, s->x.is_static ? "-static" : "");
    if (act)
        buf_printf(&b, "%sact-int8", b.n ? "-" : "");
    if (s->method != METHOD_RTN)
        name_method(&b, s, &usual);
    name_calibration(&b, &s->calibration, &usual.calibration);
    for (size_t i = 0; i < m->w->ignore.n; i++)
        buf_printf(&b, "-ignore(%s)", m->w->ignore.items[i]);
    return buf_take(&b, m->a).p;
}

struct scheme scheme_none(void)
{
    return (struct scheme){.name = "none",
                           .label = "none",
                           .weights = {.format = FORMAT_COUNT, .group_rows = 1},
                           .alpha = 0.5,
                           .damp = 0.01,
                           .order = ORDER_WEIGHT,
                           .calibration = {.n_samples = 128, .length = 512}};
}

bool scheme_is_none(const struct scheme *s)
{
    return s->weights.format == FORMAT_COUNT && s->x.kind == X_F32;
}

int scheme_make(struct arena *a, const struct scheme_words *w, const char *spec, struct scheme *ret,
                struct error *err)
{
    struct making m = {.a = a, .w = w, .spec = spec, .s = scheme_none(), .err = err};
    int r = set_row(&m);
    if (r == 0)
        r = set_method(&m);
    for (int i = 0; i < N_KEYS && r == 0; i++)
        r = set_key(&m, &keys[i]);
    if (r == 0)
        r = check_ignore(&m);
    if (r == 0 && learns(&m.s) && !m.s.calibration.path)
        r = error_set(err, E_USAGE,
                      "model \"%s\": %s%s learns from text; name a file of it: calib=FILE", spec,
                      m.s.method == METHOD_RTN ? "static" : "method=",
                      m.s.method == METHOD_RTN ? "" : method_names[m.s.method]);
    if (r < 0)
        return r;
    m.s.label = make_label(&m);
    *ret = m.s;
    return 0;
}
