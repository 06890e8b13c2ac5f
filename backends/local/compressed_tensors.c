/* compressed_tensors.c: quantization_config of the compressed-tensors kind, which llm-compressor
 * writes and vLLM and transformers read:
 *
 *     config_groups: { NAME: { targets: ["Linear", "re:.*q_proj", "model.layers.0.mlp.up_proj"],
 *                              weights: {...}, input_activations: {...}, format } }
 *     ignore: ["lm_head"], format: "pack-quantized", kv_cache_scheme: {...}
 *
 * A group whose value is a list of targets is a scheme by name. A module takes the group of the
 * most particular target that fits: its name, then regexes in the order of their text, then its
 * class; of two groups with one target the later. */
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

#include "backends/local/quant_config.h"

enum strategy {
    STRATEGY_TENSOR,
    STRATEGY_CHANNEL,
    STRATEGY_GROUP,
    STRATEGY_BLOCK,
    STRATEGY_TOKEN,
    STRATEGY_TENSOR_GROUP,
    STRATEGY_ATTN_HEAD,
    N_STRATEGIES
};
static const char *const strategies[N_STRATEGIES] = {"tensor", "channel",      "group",    "block",
                                                     "token",  "tensor_group", "attn_head"};

enum when { WHEN_STATIC, WHEN_DYNAMIC, WHEN_LOCAL };

/* "weights", "input_activations" of a group, or kv_cache_scheme. */
struct args {
    int bits;
    bool is_float, symmetric;
    enum strategy strategy;
    int group;      /* 0: none */
    int block[2];   /* rows, columns */
    enum when when; /* scales are found */
};

struct group {
    const char *name;
    const char *format; /* "" : to be inferred */
    bool has_weights, has_inputs;
    struct args weights, inputs;
};

/* ---- schemes by name ---- */

#define INT(bits, strategy, group)                                                                 \
    {                                                                                              \
        bits, false, true, strategy, group, {0, 0}, WHEN_STATIC                                    \
    }
#define TOKENS(is_float)                                                                           \
    {                                                                                              \
        8, is_float, true, STRATEGY_TOKEN, 0, {0, 0}, WHEN_DYNAMIC                                 \
    }
#define FP8_OF(strategy)                                                                           \
    {                                                                                              \
        8, true, true, strategy, 0, {0, 0}, WHEN_STATIC                                            \
    }
#define FP4(group, strategy, when)                                                                 \
    {                                                                                              \
        4, true, true, strategy, group, {0, 0}, when                                               \
    }
static const struct preset {
    const char *name;
    bool has_inputs;
    struct args weights, inputs;
} presets[] = {
    {"W8A8", true, INT(8, STRATEGY_CHANNEL, 0), TOKENS(false)},
    {"INT8", true, INT(8, STRATEGY_CHANNEL, 0), TOKENS(false)},
    {"W8A16", false, INT(8, STRATEGY_GROUP, 128), {0}},
    {"W4A16", false, INT(4, STRATEGY_GROUP, 128), {0}},
    {"W4A16_ASYM", false, {4, false, false, STRATEGY_GROUP, 128, {0, 0}, WHEN_STATIC}, {0}},
    {"W3A16", false, INT(3, STRATEGY_GROUP, 128), {0}},
    {"W2A16", false, INT(2, STRATEGY_GROUP, 128), {0}},
    {"W4A8", true, INT(4, STRATEGY_GROUP, 128), TOKENS(false)},
    {"W4AFP8", true, INT(4, STRATEGY_GROUP, 128), TOKENS(true)},
    {"FP8", true, FP8_OF(STRATEGY_TENSOR), FP8_OF(STRATEGY_TENSOR)},
    {"FP8_DYNAMIC", true, FP8_OF(STRATEGY_CHANNEL), TOKENS(true)},
    {"FP8_BLOCK",
     true,
     {8, true, true, STRATEGY_BLOCK, 0, {128, 128}, WHEN_STATIC},
     {8, true, true, STRATEGY_GROUP, 128, {0, 0}, WHEN_DYNAMIC}},
    {"NVFP4A16", false, FP4(16, STRATEGY_TENSOR_GROUP, WHEN_STATIC), {0}},
    {"NVFP4", true, FP4(16, STRATEGY_TENSOR_GROUP, WHEN_STATIC),
     FP4(16, STRATEGY_TENSOR_GROUP, WHEN_LOCAL)},
    {"MXFP4A16", false, FP4(32, STRATEGY_GROUP, WHEN_STATIC), {0}},
};
#undef INT
#undef TOKENS
#undef FP8_OF
#undef FP4

static int find_preset(const struct quant_config *q, struct group *g, struct error *err)
{
    struct buf known = {0};
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        const struct preset *p = &presets[i];
        buf_printf(&known, "%s%s", i ? ", " : "", p->name);
        if (strcasecmp(p->name, g->name) != 0)
            continue;
        buf_free(&known);
        g->has_weights = true;
        g->weights = p->weights;
        g->has_inputs = p->has_inputs;
        g->inputs = p->inputs;
        return 0;
    }
    int r = error_set(err, E_UNSUPPORTED,
                      "%s: config_groups names the scheme \"%s\"; known: %s, or UNQUANTIZED",
                      q->where, g->name, known.p);
    buf_free(&known);
    return r;
}

/* ---- settings of weights and activations ---- */

static int bad_args(const char *where, const char *what, struct error *err)
{
    return error_set(err, E_INPUT, "%s: %s", where, what);
}

static int read_strategy(const struct value *v, const char *where, struct args *ret,
                         struct error *err)
{
    const char *name;
    int r = dict_str(v, "strategy", "", where, &name, err);
    if (r < 0)
        return r;
    ret->strategy = ret->group > 0   ? STRATEGY_GROUP
                    : ret->group < 0 ? STRATEGY_CHANNEL
                                     : STRATEGY_TENSOR;
    if (!*name)
        return 0;
    for (int i = 0; i < N_STRATEGIES; i++)
        if (strcmp(strategies[i], name) == 0) {
            ret->strategy = (enum strategy)i;
            return 0;
        }
    return error_set(err, E_UNSUPPORTED,
                     "%s: strategy is \"%s\"; known: tensor, channel, group, block, token, "
                     "tensor_group, attn_head",
                     where, name);
}

/* [128, 128], or in older files "128x128". */
static int read_block(const struct value *v, const char *where, struct args *ret, struct error *err)
{
    const struct value *b = dict_get(v, "block_structure");
    if (ret->strategy != STRATEGY_BLOCK)
        return 0;
    for (int i = 0; i < 2 && b && b->type == VALUE_LIST && b->list.n == 2; i++)
        if (b->list.items[i]->type == VALUE_INT && b->list.items[i]->i > 0 &&
            b->list.items[i]->i <= 1 << 24)
            ret->block[i] = (int)b->list.items[i]->i;
    if (b && b->type == VALUE_STR) {
        char *end;
        long rows = strtol(b->s.p, &end, 10), cols = *end == 'x' ? strtol(end + 1, &end, 10) : 0;
        if (!*end && rows > 0 && rows <= 1 << 24 && cols > 0 && cols <= 1 << 24) {
            ret->block[0] = (int)rows;
            ret->block[1] = (int)cols;
        }
    }
    if (ret->block[0] && ret->block[1])
        return 0;
    return bad_args(where, "block_structure must be two sizes, as [128, 128]", err);
}

static int read_dynamic(const struct value *v, const char *where, struct args *ret,
                        struct error *err)
{
    const struct value *d = dict_get(v, "dynamic");
    if (!d || d->type == VALUE_NONE)
        return 0;
    if (d->type == VALUE_BOOL)
        ret->when = d->b ? WHEN_DYNAMIC : WHEN_STATIC;
    else if (d->type == VALUE_STR && str_eqz(d->s, "local"))
        ret->when = WHEN_LOCAL;
    else
        return bad_args(where, "dynamic must be true, false or \"local\"", err);
    return 0;
}

static int read_args(const struct value *v, const char *where, struct args *ret, struct error *err)
{
    *ret = (struct args){0};
    int64_t bits, group;
    const char *type;
    int r;
    if (v->type != VALUE_DICT)
        return bad_args(where, "it must be an object of settings", err);
    if ((r = dict_int(v, "num_bits", 8, where, &bits, err)) < 0 ||
        (r = dict_int(v, "group_size", 0, where, &group, err)) < 0 ||
        (r = dict_str(v, "type", "int", where, &type, err)) < 0 ||
        (r = dict_bool(v, "symmetric", true, where, &ret->symmetric, err)) < 0)
        return r;
    if (bits < 1 || bits > 16 || group < -1 || group > 1 << 24)
        return bad_args(where, "num_bits or group_size is out of bounds", err);
    ret->is_float = strcmp(type, "float") == 0;
    if (!ret->is_float && strcmp(type, "int") != 0)
        return error_set(err, E_UNSUPPORTED, "%s: type is \"%s\"; known: int, float", where, type);
    ret->bits = (int)bits;
    ret->group = (int)group;
    if ((r = read_strategy(v, where, ret, err)) < 0 || (r = read_block(v, where, ret, err)) < 0 ||
        (r = read_dynamic(v, where, ret, err)) < 0)
        return r;
    if ((ret->strategy == STRATEGY_GROUP || ret->strategy == STRATEGY_TENSOR_GROUP) &&
        ret->group < 1)
        return bad_args(where, "a strategy of groups needs a group_size above 0", err);
    return 0;
}

/* Member `key` of a group or of the configuration; false where it is absent. */
static int read_member(struct arena *a, const struct value *v, const char *key, const char *where,
                       bool *has, struct args *ret, struct error *err)
{
    const struct value *member = dict_get(v, key);
    *has = member && member->type != VALUE_NONE;
    return *has ? read_args(member, arena_printf(a, "%s: %s", where, key), ret, err) : 0;
}

/* ---- a group becomes a way of storing ---- */

static int refuse(const struct quant_config *q, const struct group *g, const char *what,
                  struct error *err)
{
    return error_set(err, E_UNSUPPORTED, "%s: config_groups.%s: %s", q->where, g->name, what);
}

/* As compressed-tensors does where no format is written. */
static const char *infer_format(const struct group *g)
{
    const struct args *w = &g->weights;
    if (w->is_float && w->bits == 4)
        return w->group == 32 ? "mxfp4-pack-quantized" : "nvfp4-pack-quantized";
    if (!w->is_float)
        return g->has_inputs && !g->inputs.is_float && w->bits == 8 ? "int-quantized"
                                                                    : "pack-quantized";
    return g->has_inputs ? "float-quantized" : "naive-quantized";
}

static const struct {
    const char *name;
    enum storage storage;
    bool takes_int, takes_float;
    int least, most; /* bits */
} formats[] = {
    {"int-quantized", STORAGE_CODES, true, false, 1, 8},
    {"float-quantized", STORAGE_CODES, false, true, 8, 8},
    {"naive-quantized", STORAGE_CODES, true, true, 1, 8},
    {"pack-quantized", STORAGE_PACKED, true, false, 2, 8},
    {"nvfp4-pack-quantized", STORAGE_FP4, false, true, 4, 4},
    {"mxfp4-pack-quantized", STORAGE_FP4, false, true, 4, 4},
};
enum { N_FORMATS = sizeof formats / sizeof *formats };

static int set_format(const struct quant_config *q, const struct group *g, struct stored *s,
                      struct error *err)
{
    const struct args *w = &g->weights;
    const char *name = *g->format ? g->format : infer_format(g);
    struct buf known = {0};
    for (int i = 0; i < N_FORMATS; i++) {
        buf_printf(&known, "%s%s", i ? ", " : "", formats[i].name);
        if (strcmp(formats[i].name, name) != 0)
            continue;
        buf_free(&known);
        s->storage = formats[i].storage;
        s->name = formats[i].name;
        bool fits = (w->is_float ? formats[i].takes_float : formats[i].takes_int) &&
                    w->bits >= (w->is_float && w->bits != 4 ? 8 : formats[i].least) &&
                    w->bits <= formats[i].most && (!w->is_float || w->bits == 4 || w->bits == 8);
        if (!fits || (w->is_float && (w->bits == 4) != (s->storage == STORAGE_FP4)))
            return error_set(
                err, E_UNSUPPORTED,
                "%s: config_groups.%s: %d-bit %s weights in the format %s are not known", q->where,
                g->name, w->bits, w->is_float ? "float" : "int", name);
        return 0;
    }
    int r = error_set(err, E_UNSUPPORTED, "%s: config_groups.%s: the format is \"%s\"; known: %s",
                      q->where, g->name, name, known.p);
    buf_free(&known);
    return r;
}

static int set_weights(const struct quant_config *q, const struct group *g, struct stored *s,
                       struct error *err)
{
    const struct args *w = &g->weights;
    if (w->when != WHEN_STATIC)
        return refuse(q, g, "weights whose scales are dynamic are not known", err);
    s->bits = w->bits;
    s->is_float = w->is_float;
    s->symmetric = w->symmetric || w->is_float;
    s->group_rows = 1;
    switch (w->strategy) {
    case STRATEGY_TENSOR:
        s->group_rows = 0;
        return 0;
    case STRATEGY_CHANNEL:
        return 0;
    case STRATEGY_GROUP:
    case STRATEGY_TENSOR_GROUP:
        s->group = w->group;
        return 0;
    case STRATEGY_BLOCK:
        s->group_rows = w->block[0];
        s->group = w->block[1];
        return s->symmetric ? 0 : refuse(q, g, "zero points of blocks are not known", err);
    default:
        return refuse(q, g, "weights by token or head are not known", err);
    }
}

static int set_inputs(const struct quant_config *q, const struct group *g, struct stored *s,
                      struct error *err)
{
    const struct args *x = &g->inputs;
    if (!g->has_inputs || x->bits == 16)
        return 0;
    if (!x->symmetric)
        return refuse(q, g, "activations with zero points are not known; symmetric ones are", err);
    if (x->is_float && x->bits == 4 && x->strategy == STRATEGY_TENSOR_GROUP &&
        x->when == WHEN_LOCAL) {
        s->x.kind = X_FP4;
        s->x.group = x->group;
        s->x.is_static = true;
        return 0;
    }
    if (x->bits != 8)
        return refuse(q, g, "activations of 8 bits, or of NVFP4, are known", err);
    s->x.kind = x->is_float ? X_FP8 : X_INT8;
    s->x.is_static = x->when == WHEN_STATIC;
    s->x.group = x->strategy == STRATEGY_GROUP ? x->group : 0;
    if (x->strategy == STRATEGY_TENSOR && x->when == WHEN_DYNAMIC)
        return refuse(q, g,
                      "activations with one dynamic scale for all tokens would depend on what is "
                      "computed together; by token or group they are known",
                      err);
    if (s->x.is_static ? x->strategy != STRATEGY_TENSOR
                       : x->strategy != STRATEGY_TOKEN && x->strategy != STRATEGY_GROUP)
        return refuse(q, g,
                      "activations are known with a static scale of the tensor, or dynamic by "
                      "token or group",
                      err);
    return 0;
}

static int make_stored(struct arena *a, const struct quant_config *q, const struct group *g,
                       const struct stored **ret, struct error *err)
{
    struct stored *s = arena_alloc(a, sizeof *s);
    int r;
    if (!g->has_weights && g->has_inputs)
        return refuse(q, g, "activations quantized before weights that are not, are not known",
                      err);
    if (!g->has_weights || strcmp(g->format, "dense") == 0) {
        *ret = NULL;
        return 0;
    }
    if ((r = set_format(q, g, s, err)) < 0 || (r = set_weights(q, g, s, err)) < 0 ||
        (r = set_inputs(q, g, s, err)) < 0)
        return r;
    *ret = s;
    return 0;
}

/* ---- targets ---- */

struct target {
    struct str text;
    const struct stored *stored;
};

struct targets {
    struct target *items;
    size_t n, cap;
};

static bool is_regex(struct str s)
{
    return str_starts(s, STR("re:"));
}

/* No class of torch has a dot or a digit at its name's end; a module's name has. */
static bool is_class(struct str s)
{
    return str_eqz(s, "Linear") || str_eqz(s, "Embedding");
}

static int by_particularity(const void *x, const void *y)
{
    const struct target *a = x, *b = y;
    int class_a = is_class(a->text), class_b = is_class(b->text);
    int regex_a = is_regex(a->text), regex_b = is_regex(b->text);
    return class_a != class_b   ? class_a - class_b
           : regex_a != regex_b ? regex_a - regex_b
                                : str_cmp(a->text, b->text);
}

static int add_pattern(struct quant_config *q, struct str text, const struct stored *s,
                       struct error *err)
{
    if (is_regex(text))
        return pattern_add(q, MATCH_REGEX, str_slice(text, 3, SIZE_MAX), s, err);
    return pattern_add(q, is_class(text) ? MATCH_CLASS : MATCH_NAME, text, s, err);
}

static int check_texts(const struct quant_config *q, const struct value *list, const char *what,
                       struct error *err)
{
    bool good = list && list->type == VALUE_LIST;
    for (size_t i = 0; good && i < list->list.n; i++)
        good = list->list.items[i]->type == VALUE_STR;
    return good ? 0 : error_set(err, E_INPUT, "%s: %s must be a list of names", q->where, what);
}

static int take_targets(const struct quant_config *q, const struct value *list,
                        const struct stored *s, struct targets *to, struct error *err)
{
    int r = check_texts(q, list, "targets of a group", err);
    for (size_t i = 0; r == 0 && i < list->list.n; i++) {
        size_t k = 0;
        while (k < to->n && !str_eq(to->items[k].text, list->list.items[i]->s))
            k++;
        if (k == to->n)
            *ARRAY_PUSH(to) = (struct target){.text = list->list.items[i]->s};
        to->items[k].stored = s;
    }
    return r;
}

static int read_group(struct arena *a, const struct quant_config *q, const struct value_entry *e,
                      const char *format, struct targets *to, struct error *err)
{
    struct group g = {.name = str_copy(a, e->key->s).p, .format = format};
    const struct value *v = e->value;
    const char *where = arena_printf(a, "%s: config_groups.%s", q->where, g.name);
    const struct stored *s = NULL;
    bool has_outputs = false;
    struct args outputs;
    int r;
    if (v->type == VALUE_LIST) {
        if (strcasecmp(g.name, "UNQUANTIZED") != 0 &&
            ((r = find_preset(q, &g, err)) < 0 || (r = make_stored(a, q, &g, &s, err)) < 0))
            return r;
        return take_targets(q, v, s, to, err);
    }
    if (v->type != VALUE_DICT)
        return bad_args(where, "it must be an object, or a list of targets", err);
    if ((r = read_member(a, v, "weights", where, &g.has_weights, &g.weights, err)) < 0 ||
        (r = read_member(a, v, "input_activations", where, &g.has_inputs, &g.inputs, err)) < 0 ||
        (r = read_member(a, v, "output_activations", where, &has_outputs, &outputs, err)) < 0 ||
        (r = dict_str(v, "format", format, where, &g.format, err)) < 0)
        return r;
    if (has_outputs)
        return refuse(q, &g, "quantized output_activations are not known", err);
    r = make_stored(a, q, &g, &s, err);
    return r < 0 ? r : take_targets(q, dict_get(v, "targets"), s, to, err);
}

/* ---- the rest ---- */

static int read_kv(struct arena *a, struct quant_config *q, const struct value *config,
                   struct error *err)
{
    bool has;
    struct args kv;
    int r = read_member(a, config, "kv_cache_scheme", q->where, &has, &kv, err);
    if (r < 0 || !has)
        return r;
    if (kv.bits != 8 || !kv.symmetric)
        return error_set(err, E_UNSUPPORTED,
                         "%s: kv_cache_scheme: symmetric keys and values of 8 bits are known",
                         q->where);
    q->kv.kind = kv.is_float ? KV_FP8 : KV_INT8;
    q->kv.is_static = kv.when == WHEN_STATIC;
    q->kv.per_head = kv.strategy == STRATEGY_ATTN_HEAD;
    return 0;
}

/* Features that change the weights before they multiply. */
static int check_features(const struct quant_config *q, const struct value *config,
                          struct error *err)
{
    const struct value *sparse = dict_get(config, "sparsity_config"),
                       *transform = dict_get(config, "transform_config");
    const char *format = "dense";
    int r = sparse && sparse->type == VALUE_DICT
                ? dict_str(sparse, "format", "dense", q->where, &format, err)
                : 0;
    if (r < 0)
        return r;
    if (strcmp(format, "dense") != 0)
        return error_set(err, E_UNSUPPORTED,
                         "%s: sparsity_config has the format \"%s\"; only dense is known", q->where,
                         format);
    const struct value *groups = dict_get(transform, "config_groups");
    if (groups && groups->type == VALUE_DICT && groups->dict.n)
        return error_set(err, E_UNSUPPORTED, "%s: transform_config is not known", q->where);
    return 0;
}

static int add_ignored(struct quant_config *q, const struct value *config, struct error *err)
{
    const struct value *ignore = dict_get(config, "ignore");
    if (!ignore || ignore->type == VALUE_NONE)
        return 0;
    int r = check_texts(q, ignore, "ignore", err);
    for (size_t i = 0; r == 0 && i < ignore->list.n; i++)
        r = add_pattern(q, ignore->list.items[i]->s, NULL, err);
    return r;
}

int compressed_tensors_read(struct arena *a, struct quant_config *q, const struct value *config,
                            struct error *err)
{
    const struct value *groups = dict_get(config, "config_groups");
    struct targets targets = {0};
    const char *format;
    int r;
    if ((r = dict_str(config, "format", "", q->where, &format, err)) < 0 ||
        (r = check_features(q, config, err)) < 0 || (r = read_kv(a, q, config, err)) < 0 ||
        (r = add_ignored(q, config, err)) < 0)
        return r;
    if (strcmp(format, "mixed-precision") == 0)
        format = "";
    if (groups && groups->type != VALUE_NONE && groups->type != VALUE_DICT)
        return error_set(err, E_INPUT, "%s: config_groups must be an object", q->where);
    for (size_t i = 0; groups && groups->type == VALUE_DICT && i < groups->dict.n && r == 0; i++)
        r = read_group(a, q, &groups->dict.entries[i], format, &targets, err);
    if (targets.n)
        qsort(targets.items, targets.n, sizeof *targets.items, by_particularity);
    for (size_t i = 0; i < targets.n && r == 0; i++)
        r = add_pattern(q, targets.items[i].text, targets.items[i].stored, err);
    free(targets.items);
    return r;
}
