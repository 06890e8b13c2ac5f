/* tokenizer_steps.c: the components of a tokenizer.json around its model.
 *
 * Each kind of component (normalizer, pretokenizer ...) has a table of the types that are built in;
 * a type's reader appends steps to the tokenizer. Adding a component is a reader and a row. */
#include "backends/local/tokenizer_json.h"

#include "base/utf8.h"

#define MAX_DEPTH 16 /* of Sequences in Sequences */

typedef int read_component(struct reader *r, const struct value *v);

struct component {
    const char *type;
    read_component *read;
};

struct component_kind {
    const char *name;    /* for errors */
    const char *members; /* the key of a Sequence's list */
    const struct component *rows;
    size_t n;
};

static int unsupported(struct reader *r, const struct component_kind *kind, struct str type)
{
    struct buf known = {0};
    for (size_t i = 0; i < kind->n; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", kind->rows[i].type);
    error_set(r->err, E_UNSUPPORTED, "%s: the %s \"%.*s\" is not built in; known are Sequence, %s",
              r->where, kind->name, STR_ARG(type), known.p);
    buf_free(&known);
    return E_UNSUPPORTED;
}

static int read_members(struct reader *r, const struct component_kind *kind, const struct value *v);

/* Reads a component of this kind, or a Sequence of them; null is none. */
static int read_kind(struct reader *r, const struct component_kind *kind, const struct value *v)
{
    if (absent(v))
        return 0;
    if (!is(v, VALUE_DICT))
        return error_set(r->err, E_INPUT, "%s: the %s must be an object or null", r->where,
                         kind->name);
    const struct str type = type_of(v);
    if (str_eqz(type, "Sequence"))
        return read_members(r, kind, dict_get(v, kind->members));
    for (size_t i = 0; i < kind->n; i++)
        if (str_eqz(type, kind->rows[i].type))
            return kind->rows[i].read(r, v);
    return unsupported(r, kind, type);
}

static int read_members(struct reader *r, const struct component_kind *kind, const struct value *v)
{
    if (!is(v, VALUE_LIST))
        return error_set(r->err, E_INPUT, "%s: a %s of type Sequence needs a list \"%s\"", r->where,
                         kind->name, kind->members);
    if (++r->depth > MAX_DEPTH)
        return error_set(r->err, E_INPUT, "%s: %s: Sequences are nested more than %d deep",
                         r->where, kind->name, MAX_DEPTH);
    int code = 0;
    for (size_t i = 0; code == 0 && i < v->list.n; i++)
        code = read_kind(r, kind, v->list.items[i]);
    r->depth--;
    return code;
}

/* {"String": s} or {"Regex": s}. */
static int get_pattern(struct reader *r, const struct value *v, struct str *literal,
                       struct str *regex)
{
    const struct value *pattern = dict_get(v, "pattern");
    *literal = *regex = (struct str){0};
    if (is(dict_get(pattern, "Regex"), VALUE_STR))
        return get_str(r, pattern, "Regex", regex);
    if (is(dict_get(pattern, "String"), VALUE_STR))
        return get_str(r, pattern, "String", literal);
    return error_set(r->err, E_INPUT,
                     "%s: a %.*s needs \"pattern\": {\"String\" or \"Regex\": ...}", r->where,
                     STR_ARG(type_of(v)));
}

static int get_replacement(struct reader *r, const struct value *v, struct replacement *ret)
{
    struct str regex;
    int code = get_pattern(r, v, &ret->literal, &regex);
    if (code == 0)
        code = get_str(r, v, "content", &ret->content);
    if (code == 0 && regex.p)
        code = compile_pattern(regex, r->where, &ret->regex, r->err);
    return code;
}

/* --- normalizers --- */

static int norm_unicode(struct reader *r, const struct value *v)
{
    struct norm_step *step = ARRAY_PUSH(&r->t->norm);
    *step = (struct norm_step){.kind = NORM_UNICODE};
    step->form = arena_copy(&r->t->arena, type_of(v).p, type_of(v).n);
    return 0;
}

static int norm_prepend(struct reader *r, const struct value *v)
{
    struct norm_step step = {.kind = NORM_PREPEND};
    const int code = get_str(r, v, "prepend", &step.prefix);
    *ARRAY_PUSH(&r->t->norm) = step;
    return code;
}

static int norm_replace(struct reader *r, const struct value *v)
{
    struct norm_step step = {.kind = NORM_REPLACE};
    const int code = get_replacement(r, v, &step.replace);
    *ARRAY_PUSH(&r->t->norm) = step;
    return code;
}

static int norm_lowercase(struct reader *r, const struct value *v)
{
    (void)v;
    *ARRAY_PUSH(&r->t->norm) = (struct norm_step){.kind = NORM_LOWERCASE};
    return 0;
}

static int norm_strip(struct reader *r, const struct value *v)
{
    bool left, right;
    int code = get_bool(r, v, "strip_left", true, &left);
    if (code == 0)
        code = get_bool(r, v, "strip_right", true, &right);
    if (code == 0)
        *ARRAY_PUSH(&r->t->norm) = (struct norm_step){
            .kind = NORM_STRIP, .sides = (left ? STRIP_LEFT : 0) | (right ? STRIP_RIGHT : 0)};
    return code;
}

static const struct component norm_rows[] = {
    {"NFC", norm_unicode},         {"NFD", norm_unicode},     {"NFKC", norm_unicode},
    {"NFKD", norm_unicode},        {"Prepend", norm_prepend}, {"Replace", norm_replace},
    {"Lowercase", norm_lowercase}, {"Strip", norm_strip},
};
static const struct component_kind norm_kind = {"normalizer", "normalizers", norm_rows,
                                                sizeof norm_rows / sizeof *norm_rows};

/* --- pretokenizers --- */

static void push_pre(struct reader *r, struct pre_step step)
{
    *ARRAY_PUSH(&r->t->pre) = step;
}

static int pre_byte_level(struct reader *r, const struct value *v)
{
    bool prefix_space, use_regex;
    int code = get_bool(r, v, "add_prefix_space", true, &prefix_space);
    if (code == 0)
        code = get_bool(r, v, "use_regex", true, &use_regex);
    if (code != 0)
        return code;
    if (prefix_space)
        push_pre(r, (struct pre_step){.kind = PRE_PREFIX_SPACE});
    if (use_regex)
        push_pre(
            r, (struct pre_step){.kind = PRE_SPLIT, .scan = scan_gpt2, .behavior = SPLIT_ISOLATED});
    push_pre(r, (struct pre_step){.kind = PRE_STAND_INS});
    return 0;
}

/* Reads `key`; absent: `def`. */
static int get_behavior(struct reader *r, const struct value *v, enum split_behavior def,
                        enum split_behavior *ret)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    *ret = def;
    const struct value *name = dict_get(v, "behavior");
    if (absent(name))
        return 0;
    for (int i = 0; i < 5; i++)
        if (is(name, VALUE_STR) && str_eqz(name->s, names[i])) {
            *ret = (enum split_behavior)i;
            return 0;
        }
    return error_set(r->err, E_UNSUPPORTED,
                     "%s: a %.*s has the behavior \"%.*s\"; known are Removed, Isolated, "
                     "MergedWithPrevious, MergedWithNext, Contiguous",
                     r->where, STR_ARG(type_of(v)), is(name, VALUE_STR) ? (int)name->s.n : 0,
                     is(name, VALUE_STR) ? name->s.p : "");
}

static int pre_split(struct reader *r, const struct value *v)
{
    struct pre_step step = {.kind = PRE_SPLIT};
    struct str regex;
    int code = get_pattern(r, v, &step.literal, &regex);
    if (code == 0)
        code = get_behavior(r, v, SPLIT_ISOLATED, &step.behavior);
    if (code == 0)
        code = get_bool(r, v, "invert", false, &step.invert);
    if (code == 0 && regex.p)
        code = pre_regex(regex, r->where, &step, r->err);
    if (code == 0)
        push_pre(r, step);
    return code;
}

static int pre_digits(struct reader *r, const struct value *v)
{
    bool apart;
    const int code = get_bool(r, v, "individual_digits", false, &apart);
    if (code == 0)
        push_pre(r, (struct pre_step){.kind = PRE_SPLIT,
                                      .matches_char = char_is_numeric,
                                      .behavior = apart ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS});
    return code;
}

static int pre_punctuation(struct reader *r, const struct value *v)
{
    struct pre_step step = {.kind = PRE_SPLIT, .matches_char = char_is_punctuation};
    const int code = get_behavior(r, v, SPLIT_ISOLATED, &step.behavior);
    if (code == 0)
        push_pre(r, step);
    return code;
}

static int pre_whitespace(struct reader *r, const struct value *v)
{
    (void)v;
    push_pre(r, (struct pre_step){
                    .kind = PRE_SPLIT, .scan = scan_word_or_symbols, .behavior = SPLIT_REMOVED});
    return 0;
}

static int pre_whitespace_split(struct reader *r, const struct value *v)
{
    (void)v;
    push_pre(r, (struct pre_step){
                    .kind = PRE_SPLIT, .matches_char = char_is_white, .behavior = SPLIT_REMOVED});
    return 0;
}

/* Metaspace as pretokenizer and as decoder: `prepend` is an index of PREPEND_*. */
static int get_metaspace(struct reader *r, const struct value *v, struct str *meta, int *prepend)
{
    static const char *const names[] = {"always", "first", "never"};
    int code = get_str(r, v, "replacement", meta);
    bool prefix_space;
    if (code == 0)
        code = get_bool(r, v, "add_prefix_space", true, &prefix_space);
    if (code != 0)
        return code;
    const struct value *scheme = dict_get(v, "prepend_scheme");
    *prepend = prefix_space ? PREPEND_ALWAYS : PREPEND_NEVER;
    if (absent(scheme) || !prefix_space)
        return 0;
    for (*prepend = 0; *prepend < 3; ++*prepend)
        if (is(scheme, VALUE_STR) && str_eqz(scheme->s, names[*prepend]))
            return 0;
    return error_set(r->err, E_INPUT,
                     "%s: the prepend_scheme of a Metaspace must be always, first or never",
                     r->where);
}

static int pre_metaspace(struct reader *r, const struct value *v)
{
    struct pre_step step = {.kind = PRE_METASPACE};
    int prepend;
    bool split;
    int code = get_metaspace(r, v, &step.replacement, &prepend);
    if (code == 0)
        code = get_bool(r, v, "split", true, &split);
    if (code != 0)
        return code;
    step.prepend = (enum prepend_scheme)prepend;
    push_pre(r, step);
    if (split)
        push_pre(r, (struct pre_step){.kind = PRE_SPLIT,
                                      .literal = step.replacement,
                                      .behavior = SPLIT_MERGED_NEXT});
    return 0;
}

static const struct component pre_rows[] = {
    {"ByteLevel", pre_byte_level},    {"Split", pre_split},
    {"Digits", pre_digits},           {"Metaspace", pre_metaspace},
    {"Whitespace", pre_whitespace},   {"WhitespaceSplit", pre_whitespace_split},
    {"Punctuation", pre_punctuation},
};
static const struct component_kind pre_kind = {"pre_tokenizer", "pretokenizers", pre_rows,
                                               sizeof pre_rows / sizeof *pre_rows};

/* --- decoders --- */

static int dec_plain(struct reader *r, const struct value *v)
{
    const struct str type = type_of(v);
    *ARRAY_PUSH(&r->t->dec) =
        (struct dec_step){.kind = str_eqz(type, "ByteLevel") ? DEC_BYTE_LEVEL
                                  : str_eqz(type, "Fuse")    ? DEC_FUSE
                                                             : DEC_BYTE_FALLBACK};
    return 0;
}

static int dec_replace(struct reader *r, const struct value *v)
{
    struct dec_step step = {.kind = DEC_REPLACE};
    const int code = get_replacement(r, v, &step.replace);
    *ARRAY_PUSH(&r->t->dec) = step;
    return code;
}

static int dec_strip(struct reader *r, const struct value *v)
{
    struct dec_step step = {.kind = DEC_STRIP};
    struct str content;
    int code = get_str(r, v, "content", &content);
    if (code == 0)
        code = dict_int(v, "start", 0, r->where, &step.strip_start, r->err);
    if (code == 0)
        code = dict_int(v, "stop", 0, r->where, &step.strip_stop, r->err);
    if (code != 0)
        return code;
    size_t i = 0;
    step.strip = content.n ? utf8_next(content, &i) : -1;
    *ARRAY_PUSH(&r->t->dec) = step;
    return 0;
}

static int dec_metaspace(struct reader *r, const struct value *v)
{
    struct dec_step step = {.kind = DEC_METASPACE};
    int prepend;
    const int code = get_metaspace(r, v, &step.meta, &prepend);
    step.drop_first = prepend != PREPEND_NEVER;
    if (code == 0)
        *ARRAY_PUSH(&r->t->dec) = step;
    return code;
}

static const struct component dec_rows[] = {
    {"ByteLevel", dec_plain}, {"Replace", dec_replace}, {"ByteFallback", dec_plain},
    {"Fuse", dec_plain},      {"Strip", dec_strip},     {"Metaspace", dec_metaspace},
};
static const struct component_kind dec_kind = {"decoder", "decoders", dec_rows,
                                               sizeof dec_rows / sizeof *dec_rows};

/* --- post-processors --- */

static int post_byte_level(struct reader *r, const struct value *v)
{
    (void)r;
    (void)v; /* it only moves offsets */
    return 0;
}

static int push_id(struct reader *r, const struct value *id, struct id_list *to)
{
    if (!is(id, VALUE_INT) || id->i < 0 || id->i >= r->t->vocab.n)
        return error_set(r->err, E_INPUT,
                         "%s: the post_processor adds a token whose id is not in the vocabulary",
                         r->where);
    *ARRAY_PUSH(to) = (int32_t)id->i;
    return 0;
}

/* The ids of one of the template's special tokens. */
static int push_special(struct reader *r, const struct value *template, struct str name,
                        struct id_list *to)
{
    const struct value *ids =
        dict_get(dict_gets(dict_get(template, "special_tokens"), name), "ids");
    if (!is(ids, VALUE_LIST))
        return error_set(r->err, E_INPUT,
                         "%s: the template's token \"%.*s\" is not among its special_tokens",
                         r->where, STR_ARG(name));
    int code = 0;
    for (size_t i = 0; code == 0 && i < ids->list.n; i++)
        code = push_id(r, ids->list.items[i], to);
    return code;
}

static int post_template(struct reader *r, const struct value *v)
{
    const struct value *single = dict_get(v, "single");
    if (!is(single, VALUE_LIST))
        return error_set(r->err, E_INPUT, "%s: a TemplateProcessing needs a list \"single\"",
                         r->where);
    int code = 0, n_texts = 0;
    for (size_t i = 0; code == 0 && i < single->list.n; i++) {
        const struct value *special = dict_get(single->list.items[i], "SpecialToken");
        const struct value *name = dict_get(special, "id");
        if (is(name, VALUE_STR))
            code = push_special(r, v, name->s, n_texts ? &r->t->suffix : &r->t->prefix);
        else if (dict_get(single->list.items[i], "Sequence"))
            n_texts++;
    }
    if (code == 0 && n_texts != 1)
        return error_set(r->err, E_UNSUPPORTED,
                         "%s: the template of the post_processor holds the text %d times, not once",
                         r->where, n_texts);
    return code;
}

/* RobertaProcessing and BertProcessing: "cls" in front, "sep" behind, each [text, id]. */
static int post_cls_sep(struct reader *r, const struct value *v)
{
    const struct value *cls = dict_get(v, "cls"), *sep = dict_get(v, "sep");
    if (!is(cls, VALUE_LIST) || cls->list.n != 2 || !is(sep, VALUE_LIST) || sep->list.n != 2)
        return error_set(r->err, E_INPUT, "%s: \"cls\" and \"sep\" of a %.*s must be [text, id]",
                         r->where, STR_ARG(type_of(v)));
    const int code = push_id(r, cls->list.items[1], &r->t->prefix);
    return code ? code : push_id(r, sep->list.items[1], &r->t->suffix);
}

static const struct component post_rows[] = {
    {"TemplateProcessing", post_template},
    {"ByteLevel", post_byte_level},
    {"RobertaProcessing", post_cls_sep},
    {"BertProcessing", post_cls_sep},
};
static const struct component_kind post_kind = {"post_processor", "processors", post_rows,
                                                sizeof post_rows / sizeof *post_rows};

int read_steps(struct reader *r, const struct value *root)
{
    const struct {
        const struct component_kind *kind;
        const char *key;
    } steps[] = {{&norm_kind, "normalizer"},
                 {&pre_kind, "pre_tokenizer"},
                 {&dec_kind, "decoder"},
                 {&post_kind, "post_processor"}};
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof steps / sizeof *steps; i++)
        code = read_kind(r, steps[i].kind, dict_get(root, steps[i].key));
    return code;
}
