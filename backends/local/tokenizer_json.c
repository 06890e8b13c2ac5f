/* tokenizer_json.c: a tokenizer from Hugging Face's tokenizer.json and tokenizer_config.json: the
 * model and its vocabulary, the added and special tokens, the settings. The steps before and
 * behind the model are tokenizer_steps.c's. */
#include "backends/local/tokenizer_json.h"

#include "base/file.h"

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
        code = read_steps(r, root);
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
