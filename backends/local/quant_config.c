#include "backends/local/quant_config.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"

/* ---- patterns ---- */

int pattern_add(struct quant_config *q, enum match kind, struct str text,
                const struct stored *stored, struct error *err)
{
    struct pattern p = {.kind = kind, .text = text, .stored = stored};
    if (kind == MATCH_REGEX) {
        int r = regex_compile(text, 0, q->where, &p.regex, err);
        if (r < 0)
            return r;
    }
    *ARRAY_PUSH(&q->patterns) = p;
    return 0;
}

/* 1: it fits; 0: not; negative: the regex cannot be run on it. */
static int fits(const struct pattern *p, struct str module, const char *class, struct error *err)
{
    struct regex_match m;
    switch (p->kind) {
    case MATCH_NAME:
        return str_eq(p->text, module);
    case MATCH_CLASS:
        return str_eqz(p->text, class);
    case MATCH_END:
        return str_ends(module, p->text);
    default:
        return regex_search(p->regex, module, 0, true, &m, 1, err);
    }
}

int quant_config_find(const struct quant_config *q, struct str module, const char *class,
                      const struct stored **ret, struct error *err)
{
    const struct stored *found = NULL;
    int r = 0;
    for (size_t i = 0; q && i < q->patterns.n && r == 0; i++) {
        r = fits(&q->patterns.items[i], module, class, err);
        if (r > 0)
            found = q->patterns.items[i].stored;
    }
    if (r < 0)
        return error_prefix(err, "cannot tell how module \"%.*s\" is stored: ", STR_ARG(module));
    *ret = found;
    return 0;
}

/* ---- settings ---- */

static int bad_setting(const struct quant_config *q, const char *key, int64_t value,
                       const char *known, struct error *err)
{
    return error_set(err, E_UNSUPPORTED, "%s: %s is %" PRId64 "; known: %s", q->where, key, value,
                     known);
}

/* A whole number within bounds; `def` where it is absent. */
static int get_whole(const struct quant_config *q, const struct value *config, const char *key,
                     int64_t def, int64_t least, int64_t most, int *ret, struct error *err)
{
    int64_t x;
    int r = dict_int(config, key, def, q->where, &x, err);
    if (r < 0)
        return r;
    if (x < least || x > most)
        return error_set(err, E_INPUT,
                         "%s: %s is %" PRId64 ", which is not from %" PRId64 " to %" PRId64,
                         q->where, key, x, least, most);
    *ret = (int)x;
    return 0;
}

/* The columns that share a scale; -1 in the file: all. */
static int get_group(const struct quant_config *q, const struct value *config, const char *key,
                     int *ret, struct error *err)
{
    int r = get_whole(q, config, key, 128, -1, 1 << 24, ret, err);
    if (r == 0 && *ret < 0)
        *ret = 0;
    return r;
}

/* A text of those known, in lower case. */
static int get_word(struct arena *a, const struct quant_config *q, const struct value *config,
                    const char *key, const char *def, const char *const *known, const char **ret,
                    struct error *err)
{
    const char *text;
    int r = dict_str(config, key, def, q->where, &text, err);
    if (r < 0)
        return r;
    char *low = arena_copy(a, text, strlen(text));
    for (char *p = low; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    struct buf list = {0};
    for (; *known; known++) {
        buf_printf(&list, "%s%s", list.n ? ", " : "", *known);
        if (strcmp(*known, low) == 0)
            break;
    }
    if (!*known)
        r = error_set(err, E_UNSUPPORTED, "%s: %s is \"%s\"; known: %s", q->where, key, text,
                      list.p);
    buf_free(&list);
    *ret = low;
    return r;
}

/* A list of texts under `key`, or under `other`; NULL: neither is there. */
static int get_texts(const struct quant_config *q, const struct value *config, const char *key,
                     const char *other, const struct value **ret, struct error *err)
{
    const struct value *v = dict_get(config, key);
    if ((!v || v->type == VALUE_NONE) && other)
        v = dict_get(config, other);
    if (!v || v->type == VALUE_NONE) {
        *ret = NULL;
        return 0;
    }
    bool good = v->type == VALUE_LIST;
    for (size_t i = 0; good && i < v->list.n; i++)
        good = v->list.items[i]->type == VALUE_STR;
    if (!good)
        return error_set(err, E_INPUT, "%s: %s must be a list of modules' names", q->where, key);
    *ret = v;
    return 0;
}

/* Modules that keep their floats, as transformers' should_convert_module reads the list: a name (or
 * a regex) from the start up to a dot, or the name's end. Without a list that is the head. */
static int keep_modules(struct arena *a, struct quant_config *q, const struct value *config,
                        const char *other, struct error *err)
{
    const struct value *list;
    int r = get_texts(q, config, "modules_to_not_convert", other, &list, err);
    if (r == 0 && !list)
        r = pattern_add(q, MATCH_NAME, STR("lm_head"), NULL, err);
    for (size_t i = 0; r == 0 && list && i < list->list.n; i++) {
        struct str s = list->list.items[i]->s;
        if (s.n == 0)
            continue;
        r = pattern_add(q, MATCH_REGEX, str_printf(a, "(?:%.*s)(?:(?<=\\.)|(?=\\.|$))", STR_ARG(s)),
                        NULL, err);
        if (r == 0)
            r = pattern_add(q, MATCH_END, s, NULL, err);
    }
    return r;
}

static int all_linear(struct quant_config *q, const struct stored *s, struct error *err)
{
    return pattern_add(q, MATCH_CLASS, STR("Linear"), s, err);
}

/* ---- GPTQ ---- */

static int read_gptq_numbers(const struct quant_config *q, const struct value *config,
                             struct stored *s, struct error *err)
{
    int r = get_whole(q, config, "bits", 4, 1, 64, &s->bits, err);
    if (r == 0 && s->bits != 2 && s->bits != 3 && s->bits != 4 && s->bits != 8)
        r = bad_setting(q, "bits", s->bits, "2, 3, 4, 8", err);
    return r < 0 ? r : get_group(q, config, "group_size", &s->group, err);
}

/* GPTQModel's exceptions: {"-:regex": {}, "+:regex" or "regex": {"bits": 8, ...}}, the first that
 * matches counts. */
static int read_dynamic(struct arena *a, struct quant_config *q, const struct value *config,
                        const struct stored *base, struct error *err)
{
    const struct value *v = dict_get(config, "dynamic");
    int r = 0;
    if (!v || v->type == VALUE_NONE || (v->type == VALUE_BOOL && !v->b))
        return 0;
    if (v->type != VALUE_DICT)
        return error_set(err, E_INPUT, "%s: dynamic must be an object of modules' patterns",
                         q->where);
    for (size_t i = 0; i < v->dict.n && r == 0; i++) {
        const struct value_entry *e = &v->dict.entries[i];
        struct str text = e->key->s;
        struct stored *s = NULL;
        if (!str_starts(text, STR("-:"))) {
            struct value *merged = value_clone(a, config);
            for (size_t k = 0; e->value->type == VALUE_DICT && k < e->value->dict.n; k++)
                dict_put(a, merged, e->value->dict.entries[k].key, e->value->dict.entries[k].value);
            s = arena_alloc(a, sizeof *s);
            *s = *base;
            r = read_gptq_numbers(q, merged, s, err);
        }
        if (str_starts(text, STR("-:")) || str_starts(text, STR("+:")))
            text = str_slice(text, 2, SIZE_MAX);
        if (r == 0)
            r = pattern_add(q, MATCH_REGEX, text, s, err);
    }
    return r;
}

static int add_end(struct arena *a, struct quant_config *q, const struct value *name,
                   const struct stored *s, struct error *err)
{
    if (name->type != VALUE_STR)
        return error_set(err, E_INPUT, "%s: modules_in_block_to_quantize must hold modules' names",
                         q->where);
    return pattern_add(q, MATCH_END, str_cat(a, STR("."), name->s), s, err);
}

/* modules_in_block_to_quantize: lists of the ends of names, all of which are quantized, and no
 * others. */
static int read_blocks(struct arena *a, struct quant_config *q, const struct value *config,
                       const struct stored *s, struct error *err)
{
    const struct value *v = dict_get(config, "modules_in_block_to_quantize");
    if (!v || v->type != VALUE_LIST)
        return all_linear(q, s, err);
    int r = 0;
    for (size_t i = 0; i < v->list.n && r == 0; i++) {
        const struct value *part = v->list.items[i];
        size_t n = part->type == VALUE_LIST ? part->list.n : 1;
        for (size_t k = 0; k < n && r == 0; k++)
            r = add_end(a, q, part->type == VALUE_LIST ? part->list.items[k] : part, s, err);
    }
    return r;
}

static int read_gptq(struct arena *a, struct quant_config *q, const struct value *config,
                     struct error *err)
{
    static const char *const formats[] = {"gptq", "gptq_v2", NULL}, *const packs[] = {"int32",
                                                                                      NULL};
    struct stored *s = arena_alloc(a, sizeof *s);
    *s = (struct stored){.storage = STORAGE_GPTQ, .name = "gptq", .group_rows = 1};
    const char *format, *pack,
        *key = dict_get(config, "checkpoint_format") ? "checkpoint_format" : "format";
    bool head;
    int r;
    if ((r = read_gptq_numbers(q, config, s, err)) < 0 ||
        (r = get_word(a, q, config, key, "gptq", formats, &format, err)) < 0 ||
        (r = get_word(a, q, config, "pack_dtype", "int32", packs, &pack, err)) < 0 ||
        (r = dict_bool(config, "lm_head", false, q->where, &head, err)) < 0)
        return r;
    s->minus_one = strcmp(format, "gptq") == 0;
    if ((r = read_dynamic(a, q, config, s, err)) < 0 ||
        (r = pattern_add(q, MATCH_NAME, STR("lm_head"), head ? s : NULL, err)) < 0)
        return r;
    return read_blocks(a, q, config, s, err);
}

/* ---- AWQ ---- */

static int read_awq(struct arena *a, struct quant_config *q, const struct value *config,
                    struct error *err)
{
    static const char *const versions[] = {"gemm", "gemv", NULL};
    struct stored *s = arena_alloc(a, sizeof *s);
    const char *version, *bits = dict_get(config, "w_bit") ? "w_bit" : "bits",
                         *group = dict_get(config, "q_group_size") ? "q_group_size" : "group_size",
                         *key = dict_get(config, "version") ? "version" : "format";
    int r;
    *s = (struct stored){.name = "awq", .group_rows = 1};
    if ((r = get_whole(q, config, bits, 4, 1, 64, &s->bits, err)) < 0 ||
        (r = get_group(q, config, group, &s->group, err)) < 0 ||
        (r = get_word(a, q, config, key, "gemm", versions, &version, err)) < 0)
        return r;
    if (s->bits != 4)
        return bad_setting(q, bits, s->bits, "4", err);
    s->storage = strcmp(version, "gemv") == 0 ? STORAGE_AWQ_GEMV : STORAGE_AWQ;
    if ((r = keep_modules(a, q, config, NULL, err)) < 0 ||
        (r = pattern_add(q, MATCH_NAME, STR("lm_head"), NULL, err)) < 0)
        return r;
    return all_linear(q, s, err);
}

/* ---- FP8 ---- */

static int read_blocks_of_fp8(const struct quant_config *q, const struct value *config,
                              struct stored *s, struct error *err)
{
    const struct value *v = dict_get(config, "weight_block_size");
    if (!v || v->type == VALUE_NONE)
        return 0;
    for (int i = 0; i < 2; i++)
        if (v->type != VALUE_LIST || v->list.n != 2 || v->list.items[i]->type != VALUE_INT ||
            v->list.items[i]->i < 1 || v->list.items[i]->i > 1 << 24)
            return error_set(err, E_INPUT, "%s: weight_block_size must be two sizes, as [128, 128]",
                             q->where);
    s->group_rows = (int)v->list.items[0]->i;
    s->group = (int)v->list.items[1]->i;
    return 0;
}

static int read_fp8(struct arena *a, struct quant_config *q, const struct value *config,
                    struct error *err)
{
    static const char *const schemes[] = {"dynamic", "static", NULL}, *const kinds[] = {"e4m3",
                                                                                        NULL};
    struct stored *s = arena_alloc(a, sizeof *s);
    const char *scheme, *kind;
    int r;
    *s = (struct stored){
        .storage = STORAGE_CODES, .name = "fp8", .bits = 8, .is_float = true, .symmetric = true};
    if ((r = get_word(a, q, config, "activation_scheme", "dynamic", schemes, &scheme, err)) < 0 ||
        (r = get_word(a, q, config, "fmt", "e4m3", kinds, &kind, err)) < 0 ||
        (r = read_blocks_of_fp8(q, config, s, err)) < 0)
        return r;
    s->x.kind = X_FP8;
    s->x.is_static = strcmp(scheme, "static") == 0;
    s->x.group = s->x.is_static ? 0 : s->group;
    if ((r = keep_modules(a, q, config, "ignored_layers", err)) < 0)
        return r;
    return all_linear(q, s, err);
}

/* ---- BitNet ---- */

static int read_bitnet(struct arena *a, struct quant_config *q, const struct value *config,
                       struct error *err)
{
    static const char *const classes[] = {"bitlinear", "autobitlinear", NULL}, *const modes[] = {
                                                                                   "offline",
                                                                                   "online", NULL};
    struct stored *s = arena_alloc(a, sizeof *s);
    const char *class, *mode;
    bool norm;
    int r;
    *s = (struct stored){.storage = STORAGE_BITNET, .name = "bitnet", .bits = 2, .symmetric = true};
    if ((r = get_word(a, q, config, "linear_class", "bitlinear", classes, &class, err)) < 0 ||
        (r = get_word(a, q, config, "quantization_mode", "offline", modes, &mode, err)) < 0 ||
        (r = dict_bool(config, "use_rms_norm", false, q->where, &norm, err)) < 0)
        return r;
    if (norm)
        return error_set(err, E_UNSUPPORTED,
                         "%s: use_rms_norm asks for a norm before every matrix, which is not known",
                         q->where);
    s->is_divided = strcmp(class, "bitlinear") == 0;
    s->is_online = strcmp(mode, "online") == 0 && !s->is_divided;
    s->x.kind = X_INT8;
    s->x.reach = 127; /* transformers' BitLinear: q = round(x * (127 / max|x|)) */
    if ((r = keep_modules(a, q, config, NULL, err)) < 0)
        return r;
    return all_linear(q, s, err);
}

/* ---- all ---- */

static const struct {
    const char *name;
    int (*read)(struct arena *a, struct quant_config *q, const struct value *config,
                struct error *err);
} methods[] = {
    {"awq", read_awq}, {"bitnet", read_bitnet}, {"compressed-tensors", compressed_tensors_read},
    {"fp8", read_fp8}, {"gptq", read_gptq},
};
enum { N_METHODS = sizeof methods / sizeof *methods };

/* Files of the first GPTQ and AWQ tools do not name their method. */
static const char *unnamed_method(const struct value *config)
{
    if (dict_get(config, "config_groups"))
        return "compressed-tensors";
    if (dict_get(config, "w_bit") || dict_get(config, "q_group_size"))
        return "awq";
    return dict_get(config, "bits") ? "gptq" : "";
}

static int read_method(struct arena *a, struct quant_config *q, const struct value *config,
                       struct error *err)
{
    const char *name;
    int r = dict_str(config, "quant_method", unnamed_method(config), q->where, &name, err);
    if (r < 0)
        return r;
    struct buf known = {0};
    for (int i = 0; i < N_METHODS; i++) {
        buf_printf(&known, "%s%s", i ? ", " : "", methods[i].name);
        if (strcmp(methods[i].name, name) != 0)
            continue;
        buf_free(&known);
        q->method = methods[i].name;
        return methods[i].read(a, q, config, err);
    }
    r = error_set(err, E_UNSUPPORTED, "%s: quant_method is \"%s\"; known: %s", q->where, name,
                  known.p);
    buf_free(&known);
    return r;
}

int quant_config_parse(struct arena *a, const struct value *config, const char *where,
                       struct quant_config **ret, struct error *err)
{
    struct quant_config *q = arena_alloc(a, sizeof *q);
    q->where = where;
    int r = config->type == VALUE_DICT
                ? read_method(a, q, config, err)
                : error_set(err, E_INPUT, "%s: it must be an object of settings", where);
    if (r < 0)
        quant_config_free(q);
    else
        *ret = q;
    return r;
}

int quant_config_read(struct arena *a, const char *folder, const struct value *settings,
                      struct quant_config **ret, struct error *err)
{
    static const char *const keys[] = {"quantization_config", "compression_config"},
                             *const files[] = {"quantize_config.json", "quant_config.json"};
    *ret = NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct value *v = dict_get(settings, keys[i]);
        if (v && v->type != VALUE_NONE)
            return quant_config_parse(a, v, arena_printf(a, "%s/config.json: %s", folder, keys[i]),
                                      ret, err);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = path_join(a, folder, files[i]);
        struct value *v;
        if (!file_exists(path))
            continue;
        int r = json_read(a, path, &v, err);
        return r < 0 ? r : quant_config_parse(a, v, path, ret, err);
    }
    return 0;
}

void quant_config_free(struct quant_config *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->patterns.n; i++)
        regex_free(q->patterns.items[i].regex);
    free(q->patterns.items);
    q->patterns.items = NULL;
    q->patterns.n = q->patterns.cap = 0;
}
