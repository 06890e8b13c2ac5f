/* tokenizer_json.c: a tokenizer from Hugging Face's tokenizer.json and tokenizer_config.json.
 *
 * Each kind of component (normalizer, pretokenizer ...) has a table of the types that are built in;
 * a type's reader appends steps to the tokenizer. Adding a component is a reader and a row. */
#include "backends/local/tokenizer_parts.h"

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"

#define MAX_DEPTH 16 /* of Sequences in Sequences */

struct reader {
    struct tokenizer *t;
    const char *where;
    int depth;
    struct error *err;
};

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

/* --- looking into JSON --- */

static bool is(const struct value *v, enum value_type type)
{
    return v && v->type == type;
}

static bool absent(const struct value *v)
{
    return !v || v->type == VALUE_NONE;
}

static int get_str(struct reader *r, const struct value *v, const char *key, struct str *ret)
{
    const struct value *s = dict_get(v, key);
    if (!is(s, VALUE_STR))
        return error_set(r->err, E_INPUT, "%s: \"%s\" must be a string in a %s", r->where, key,
                         is(dict_get(v, "type"), VALUE_STR) ? dict_get(v, "type")->s.p : "token");
    *ret = str_copy(&r->t->arena, s->s);
    return 0;
}

static int get_bool(struct reader *r, const struct value *v, const char *key, bool def, bool *ret)
{
    return dict_bool(v, key, def, r->where, ret, r->err);
}

static struct str type_of(const struct value *v)
{
    const struct value *type = dict_get(v, "type");
    return is(type, VALUE_STR) ? type->s : STR("");
}

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

/* --- the model --- */

static int bad_id(struct reader *r, struct str token)
{
    return error_set(r->err, E_INPUT,
                     "%s: the id of token \"%.*s\" must be a whole number from 0 to %d", r->where,
                     STR_ARG(token), TOKENIZER_MAX_IDS - 1);
}

static bool is_id(const struct value *id)
{
    return is(id, VALUE_INT) && id->i >= 0 && id->i < TOKENIZER_MAX_IDS;
}

/* One more than the largest id of the vocabulary and the added tokens. */
static int count_ids(struct reader *r, const struct value *vocab, const struct value *added,
                     int *ret)
{
    int64_t n = 0;
    for (size_t i = 0; i < vocab->dict.n; i++) {
        const struct value_entry e = vocab->dict.entries[i];
        if (!is_id(e.value))
            return bad_id(r, e.key->s);
        n = e.value->i >= n ? e.value->i + 1 : n;
    }
    for (size_t i = 0; is(added, VALUE_LIST) && i < added->list.n; i++) {
        const struct value *id = dict_get(added->list.items[i], "id");
        const struct value *content = dict_get(added->list.items[i], "content");
        if (!is_id(id))
            return bad_id(r, is(content, VALUE_STR) ? content->s : STR(""));
        n = id->i >= n ? id->i + 1 : n;
    }
    if (n == 0)
        return error_set(r->err, E_INPUT, "%s: the vocabulary is empty", r->where);
    *ret = (int)n;
    return 0;
}

static int read_vocab(struct reader *r, const struct value *model, const struct value *added)
{
    const struct value *vocab = dict_get(model, "vocab");
    if (!is(vocab, VALUE_DICT))
        return error_set(r->err, E_INPUT, "%s: model.vocab must be an object of token: id",
                         r->where);
    int n = 0;
    const int code = count_ids(r, vocab, added, &n);
    if (code != 0)
        return code;
    vocab_init(&r->t->vocab, &r->t->arena, n);
    for (size_t i = 0; i < vocab->dict.n; i++) {
        const struct value_entry e = vocab->dict.entries[i];
        const int32_t id = (int32_t)e.value->i;
        const struct str other = r->t->vocab.spelling[id];
        if (other.p)
            return error_set(r->err, E_INPUT,
                             "%s: the tokens \"%.*s\" and \"%.*s\" have one id, %d", r->where,
                             STR_ARG(other), STR_ARG(e.key->s), id);
        vocab_put(&r->t->vocab, id, str_copy(&r->t->arena, e.key->s));
    }
    return 0;
}

/* A merge is "left right" or ["left", "right"]. */
static bool split_merge(const struct value *v, struct str *left, struct str *right)
{
    if (is(v, VALUE_LIST) && v->list.n == 2 && is(v->list.items[0], VALUE_STR) &&
        is(v->list.items[1], VALUE_STR)) {
        *left = v->list.items[0]->s;
        *right = v->list.items[1]->s;
        return true;
    }
    const size_t space = is(v, VALUE_STR) ? str_find(v->s, STR(" "), 0) : SIZE_MAX;
    if (space == SIZE_MAX)
        return false;
    *left = str_slice(v->s, 0, space);
    *right = str_slice(v->s, space + 1, v->s.n);
    return true;
}

static int read_merge(struct reader *r, const struct value *v, size_t i, struct buf *scratch)
{
    struct str left, right;
    if (!split_merge(v, &left, &right))
        return error_set(r->err, E_INPUT, "%s: merge %zu must be \"left right\" or a pair",
                         r->where, i);
    if (!bpe_merge(&r->t->bpe, &r->t->vocab, left, right, (uint32_t)i, scratch))
        return error_set(r->err, E_INPUT,
                         "%s: merge %zu, \"%.*s\" and \"%.*s\", names or makes a token that is not "
                         "in the vocabulary",
                         r->where, i, STR_ARG(left), STR_ARG(right));
    return 0;
}

static int read_merges(struct reader *r, const struct value *model)
{
    const struct value *merges = dict_get(model, "merges");
    if (!is(merges, VALUE_LIST))
        return error_set(r->err, E_INPUT, "%s: model.merges must be a list", r->where);
    bpe_init(&r->t->bpe, &r->t->arena, merges->list.n);
    struct buf scratch = {0};
    int code = 0;
    for (size_t i = 0; code == 0 && i < merges->list.n; i++)
        code = read_merge(r, merges->list.items[i], i, &scratch);
    buf_free(&scratch);
    return code;
}

static int refuse_affixes(struct reader *r, const struct value *model)
{
    static const char *const keys[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (int i = 0; i < 2; i++) {
        const struct value *affix = dict_get(model, keys[i]);
        if (!absent(affix) && !(is(affix, VALUE_STR) && affix->s.n == 0))
            return error_set(r->err, E_UNSUPPORTED, "%s: BPE with a %s is not built in", r->where,
                             keys[i]);
    }
    const struct value *dropout = dict_get(model, "dropout");
    if (!absent(dropout) && value_truthy(dropout))
        return error_set(r->err, E_UNSUPPORTED,
                         "%s: BPE with dropout gives other tokens each time; set it to null",
                         r->where);
    return 0;
}

static int read_unk(struct reader *r, const struct value *model)
{
    const struct value *unk = dict_get(model, "unk_token");
    if (absent(unk))
        return 0;
    r->t->bpe.unk = is(unk, VALUE_STR) ? vocab_find(&r->t->vocab, unk->s) : -1;
    if (r->t->bpe.unk < 0)
        return error_set(r->err, E_INPUT, "%s: model.unk_token is not in the vocabulary", r->where);
    r->t->info.unk = r->t->bpe.unk;
    return 0;
}

static int read_model(struct reader *r, const struct value *model, const struct value *added)
{
    const struct str type = type_of(model);
    if (!is(model, VALUE_DICT))
        return error_set(r->err, E_INPUT, "%s: there is no \"model\"; is it a tokenizer.json?",
                         r->where);
    if (!str_eqz(type, "BPE") && !(type.n == 0 && dict_get(model, "merges")))
        return error_set(r->err, E_UNSUPPORTED,
                         "%s: a tokenizer of the kind \"%.*s\" is not built in; known is BPE",
                         r->where, STR_ARG(type));
    struct bpe *bpe = &r->t->bpe;
    int code = refuse_affixes(r, model);
    if (code == 0)
        code = read_vocab(r, model, added);
    if (code == 0)
        code = read_merges(r, model);
    if (code == 0)
        code = read_unk(r, model);
    if (code == 0)
        code = get_bool(r, model, "byte_fallback", false, &bpe->byte_fallback);
    if (code == 0)
        code = get_bool(r, model, "fuse_unk", false, &bpe->fuse_unk);
    if (code == 0)
        code = get_bool(r, model, "ignore_merges", false, &bpe->ignore_merges);
    return code;
}

/* --- added and special tokens --- */

static int read_added_token(struct reader *r, const struct value *v)
{
    struct added_token token = {0};
    int code = get_str(r, v, "content", &token.content);
    if (code == 0)
        code = get_bool(r, v, "special", false, &token.special);
    if (code == 0)
        code = get_bool(r, v, "normalized", !token.special, &token.normalized);
    if (code == 0)
        code = get_bool(r, v, "single_word", false, &token.single_word);
    if (code == 0)
        code = get_bool(r, v, "lstrip", false, &token.lstrip);
    if (code == 0)
        code = get_bool(r, v, "rstrip", false, &token.rstrip);
    if (code != 0 || token.content.n == 0)
        return code;
    /* As Hugging Face: a token that the vocabulary has keeps the vocabulary's id. */
    token.id = vocab_find(&r->t->vocab, token.content);
    if (token.id < 0) {
        token.id = (int32_t)dict_get(v, "id")->i;
        const struct str other = r->t->vocab.spelling[token.id];
        if (other.p && !str_eq(other, token.content))
            return error_set(r->err, E_INPUT,
                             "%s: the tokens \"%.*s\" and \"%.*s\" have one id, %d", r->where,
                             STR_ARG(other), STR_ARG(token.content), token.id);
        vocab_name(&r->t->vocab, token.id, token.content);
    }
    tokenizer_add(r->t, &token);
    return 0;
}

static int read_added(struct reader *r, const struct value *added)
{
    int code = 0;
    for (size_t i = 0; code == 0 && is(added, VALUE_LIST) && i < added->list.n; i++)
        code = read_added_token(r, added->list.items[i]);
    return code;
}

/* A token that tokenizer_config.json names, as a string or an object, becomes special; one that
 * the vocabulary lacks is passed over, since no row of the model belongs to it. */
static int32_t name_special(struct reader *r, const struct value *token)
{
    const struct value *content = is(token, VALUE_DICT) ? dict_get(token, "content") : token;
    if (!is(content, VALUE_STR) || content->s.n == 0)
        return -1;
    const int32_t id = tokenizer_find(r->t, content->s);
    if (id >= 0)
        tokenizer_add(r->t, &(struct added_token){
                                .id = id, .content = r->t->vocab.spelling[id], .special = true});
    return id;
}

static void read_named(struct reader *r, const struct value *config)
{
    struct tokenizer_info *info = &r->t->info;
    const struct {
        const char *key;
        int32_t *id;
    } named[] = {
        {"bos_token", &info->bos}, {"eos_token", &info->eos}, {"unk_token", &info->unk},
        {"pad_token", &info->pad}, {"sep_token", NULL},       {"cls_token", NULL},
        {"mask_token", NULL},
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const int32_t id = name_special(r, dict_get(config, named[i].key));
        if (id >= 0 && named[i].id)
            *named[i].id = id;
    }
    static const char *const lists[] = {"additional_special_tokens", "extra_special_tokens"};
    for (int i = 0; i < 2; i++) {
        const struct value *list = dict_get(config, lists[i]);
        for (size_t k = 0; is(list, VALUE_LIST) && k < list->list.n; k++)
            name_special(r, list->list.items[k]);
    }
}

/* add_bos_token or add_eos_token, where the file has them, take the place of the post_processor. */
static int read_switches(struct reader *r, const struct value *config)
{
    if (!dict_get(config, "add_bos_token") && !dict_get(config, "add_eos_token"))
        return 0;
    bool bos, eos;
    int code = get_bool(r, config, "add_bos_token", false, &bos);
    if (code == 0)
        code = get_bool(r, config, "add_eos_token", false, &eos);
    if (code == 0)
        tokenizer_set_template(r->t, bos, eos);
    return code;
}

/* chat_template: a string, or a list of {"name", "template"} of which "default" is taken. */
static void read_chat_template(struct reader *r, const struct value *config)
{
    const struct value *v = dict_get(config, "chat_template");
    for (size_t i = 0; is(v, VALUE_LIST) && i < v->list.n; i++) {
        const struct value *name = dict_get(v->list.items[i], "name");
        if (is(name, VALUE_STR) && str_eqz(name->s, "default"))
            v = dict_get(v->list.items[i], "template");
    }
    if (is(v, VALUE_STR))
        r->t->info.chat_template = arena_copy(&r->t->arena, v->s.p, v->s.n);
}

/* --- the whole --- */

/* Stand-ins as the last step need not be written out: BPE then begins with the bytes. */
static void fold_stand_ins(struct tokenizer *t)
{
    if (t->pre.n > 0 && t->pre.items[t->pre.n - 1].kind == PRE_STAND_INS) {
        t->pre.n--;
        t->bpe.byte_level = true;
    }
}

static int read_config(struct reader *r, const struct value *config)
{
    read_named(r, config);
    read_chat_template(r, config);
    const int code = read_switches(r, config);
    if (r->t->info.bos < 0 && r->t->prefix.n > 0)
        r->t->info.bos = r->t->prefix.items[0]; /* nothing names it, but it is put in front */
    return code;
}

static int read_tokenizer(struct reader *r, const struct value *root, const struct value *config)
{
    const struct value *added = dict_get(root, "added_tokens");
    int code = read_model(r, dict_get(root, "model"), added);
    if (code == 0)
        code = read_added(r, added);
    if (code == 0)
        code = read_kind(r, &norm_kind, dict_get(root, "normalizer"));
    if (code == 0)
        code = read_kind(r, &pre_kind, dict_get(root, "pre_tokenizer"));
    if (code == 0)
        code = read_kind(r, &dec_kind, dict_get(root, "decoder"));
    if (code == 0)
        code = read_kind(r, &post_kind, dict_get(root, "post_processor"));
    if (code == 0)
        code = read_config(r, config);
    if (code != 0)
        return code;
    r->t->has_decoder = !absent(dict_get(root, "decoder"));
    fold_stand_ins(r->t);
    return tokenizer_seal(r->t, r->err);
}

int tokenizer_from_json(struct str json, struct str config, const char *where,
                        struct tokenizer **ret, struct error *err)
{
    struct arena scratch = {0};
    struct value *root, *settings = NULL;
    int code = json_parse(&scratch, json, where, &root, err);
    if (code == 0 && config.n)
        code = json_parse(&scratch, config, "tokenizer_config.json", &settings, err);
    if (code == 0) {
        struct reader r = {.t = tokenizer_new(), .where = where, .err = err};
        code = read_tokenizer(&r, root, settings);
        if (code == 0)
            *ret = r.t;
        else
            tokenizer_free(r.t);
    }
    arena_free(&scratch);
    return code;
}

/* The file's text where it is there; empty otherwise. */
static int read_optional(struct arena *a, const char *dir, const char *name, struct str *ret,
                         struct error *err)
{
    const char *path = path_join(a, dir, name);
    *ret = STR("");
    return file_exists(path) ? file_read(a, path, FILE_LIMIT_TEXT, ret, err) : 0;
}

int tokenizer_from_folder(const char *dir, struct tokenizer **ret, struct error *err)
{
    struct arena scratch = {0};
    const char *path = path_join(&scratch, dir, "tokenizer.json");
    struct str json, config, chat;
    struct tokenizer *t = NULL;
    int code = file_read(&scratch, path, FILE_LIMIT_TEXT, &json, err);
    if (code == 0)
        code = read_optional(&scratch, dir, "tokenizer_config.json", &config, err);
    if (code == 0 && config.n == 0)
        code = read_optional(&scratch, dir, "special_tokens_map.json", &config, err);
    if (code == 0)
        code = read_optional(&scratch, dir, "chat_template.jinja", &chat, err);
    if (code == 0)
        code = tokenizer_from_json(json, config, path, &t, err);
    if (code == 0) {
        if (chat.n)
            t->info.chat_template = arena_copy(&t->arena, chat.p, chat.n);
        *ret = t;
    }
    arena_free(&scratch);
    return code;
}
