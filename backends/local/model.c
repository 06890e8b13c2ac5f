#include "backends/local/model.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/local/stored.h"

/* ---- families ---- */

/* A tensor is named by a pattern; %d is the layer. The two columns are Hugging Face and GGUF. */
struct names {
    const char *hf, *gguf;
};

struct family {
    const char *hf;   /* config.json: model_type */
    const char *gguf; /* general.architecture, and the prefix of its settings; NULL: never GGUF */
    enum rope_kind hf_rope, gguf_rope;
    struct names embed, norm, head, rope_factors;
    const char *activation; /* hidden_act, where config.json has none */
    double theta;           /* likewise rope_theta */
    bool sub_norms;         /* norms inside attention and feed-forward layer */
};

static const struct family families[] = {
    {"llama",
     "llama",
     ROPE_HALVES,
     ROPE_PAIRS,
     {"model.embed_tokens.weight", "token_embd.weight"},
     {"model.norm.weight", "output_norm.weight"},
     {"lm_head.weight", "output.weight"},
     {"", "rope_freqs.weight"},
     "silu",
     10000,
     false},
    {"bitnet",
     NULL,
     ROPE_HALVES,
     ROPE_HALVES,
     {"model.embed_tokens.weight", ""},
     {"model.norm.weight", ""},
     {"lm_head.weight", ""},
     {"", ""},
     "relu2",
     500000,
     true},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

/* A layer's matrices: where they go, what they are called, and their shape by letters. */
static const struct {
    size_t weight, bias; /* offsets in struct layer */
    struct names name;   /* less ".weight" or ".bias" */
    char rows, cols;     /* 'D', 'F', 'H' for H*S, 'G' for G*S */
} matrices[N_LAYER_MATRICES] = {
#define FIELD(w) offsetof(struct layer, w), offsetof(struct layer, w##_bias)
    [MATRIX_Q] = {FIELD(q), {"model.layers.%d.self_attn.q_proj", "blk.%d.attn_q"}, 'H', 'D'},
    [MATRIX_K] = {FIELD(k), {"model.layers.%d.self_attn.k_proj", "blk.%d.attn_k"}, 'G', 'D'},
    [MATRIX_V] = {FIELD(v), {"model.layers.%d.self_attn.v_proj", "blk.%d.attn_v"}, 'G', 'D'},
    [MATRIX_O] = {FIELD(o), {"model.layers.%d.self_attn.o_proj", "blk.%d.attn_output"}, 'D', 'H'},
    [MATRIX_GATE] = {FIELD(gate), {"model.layers.%d.mlp.gate_proj", "blk.%d.ffn_gate"}, 'F', 'D'},
    [MATRIX_UP] = {FIELD(up), {"model.layers.%d.mlp.up_proj", "blk.%d.ffn_up"}, 'F', 'D'},
    [MATRIX_DOWN] = {FIELD(down), {"model.layers.%d.mlp.down_proj", "blk.%d.ffn_down"}, 'D', 'F'},
#undef FIELD
};

struct weight *layer_weight(const struct layer *l, enum layer_matrix i)
{
    return (struct weight *)(void *)((char *)(uintptr_t)l + matrices[i].weight);
}

float **layer_bias(const struct layer *l, enum layer_matrix i)
{
    return (float **)(void *)((char *)(uintptr_t)l + matrices[i].bias);
}

static const struct {
    size_t field;
    struct names name;
    char size;
    bool is_sub; /* of families with sub_norms only */
} norms[] = {
    {offsetof(struct layer, attn_norm),
     {"model.layers.%d.input_layernorm.weight", "blk.%d.attn_norm.weight"},
     'D',
     false},
    {offsetof(struct layer, ffn_norm),
     {"model.layers.%d.post_attention_layernorm.weight", "blk.%d.ffn_norm.weight"},
     'D',
     false},
    {offsetof(struct layer, attn_sub_norm),
     {"model.layers.%d.self_attn.attn_sub_norm.weight", ""},
     'H',
     true},
    {offsetof(struct layer, ffn_sub_norm),
     {"model.layers.%d.mlp.ffn_sub_norm.weight", ""},
     'F',
     true},
};

/* ---- reading ---- */

struct load {
    struct model *m;
    const struct family *family;
    struct checkpoint *c;
    struct pool *pool;
    struct matrix_source source;
    struct error *err;
};

static const char *pick(const struct load *l, struct names n)
{
    return l->c->is_gguf ? n.gguf : n.hf;
}

static int find_family(struct load *l)
{
    const char *key = l->c->is_gguf ? "general.architecture" : "model_type", *name;
    int r = dict_str(l->c->settings, key, "", l->c->path, &name, l->err);
    if (r < 0)
        return r;
    struct buf known = {0};
    for (int i = 0; i < N_FAMILIES; i++) {
        const char *have = l->c->is_gguf ? families[i].gguf : families[i].hf;
        if (!have)
            continue;
        if (strcmp(have, name) == 0)
            l->family = &families[i];
        buf_printf(&known, "%s%s", known.n ? ", " : "", have);
    }
    if (!l->family)
        r = error_set(
            l->err, E_UNSUPPORTED,
            "cannot run the model \"%s\": its architecture \"%s\" is not known; known: %s",
            l->c->path, name, known.p);
    buf_free(&known);
    return r;
}

enum { KEY_BYTES = 128 };

/* The name of a setting in this kind of file. */
static void setting_key(const struct load *l, const char *hf, const char *gguf, char key[KEY_BYTES])
{
    if (l->c->is_gguf)
        snprintf(key, KEY_BYTES, "%s.%s", l->family->gguf, gguf);
    else
        snprintf(key, KEY_BYTES, "%s", hf);
}

/* A size in the settings: from 1 to a bound that keeps products small. */
static int get_size(struct load *l, const char *hf, const char *gguf, int64_t def, int *ret)
{
    char key[KEY_BYTES];
    setting_key(l, hf, gguf, key);
    int64_t x;
    int r = dict_int(l->c->settings, key, def, l->c->path, &x, l->err);
    if (r < 0)
        return r;
    if (x < 1 || x > 1 << 24)
        return error_set(l->err, E_INPUT,
                         x == def ? "cannot read the model \"%s\": its settings lack \"%s\""
                                  : "cannot read the model \"%s\": its setting \"%s\" is %" PRId64
                                    ", which is no size",
                         l->c->path, key, x);
    *ret = (int)x;
    return 0;
}

static int get_float(struct load *l, const char *hf, const char *gguf, double def, float *ret)
{
    char key[KEY_BYTES];
    setting_key(l, hf, gguf, key);
    double x;
    int r = dict_float(l->c->settings, key, def, l->c->path, &x, l->err);
    if (r < 0)
        return r;
    if (!(x > 0) || !isfinite(x))
        return error_set(l->err, E_INPUT,
                         "cannot read the model \"%s\": its setting \"%s\" is %g, not above 0",
                         l->c->path, key, x);
    *ret = (float)x;
    return 0;
}

static int set_gate(struct load *l, const char *name)
{
    static const struct {
        const char *name;
        enum gate gate;
    } known[] = {{"silu", GATE_SILU}, {"swish", GATE_SILU}, {"relu2", GATE_RELU2}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0) {
            l->m->gate = known[i].gate;
            return 0;
        }
    return error_set(l->err, E_UNSUPPORTED,
                     "cannot run the model \"%s\": its activation \"%s\" is not known; known: "
                     "silu, swish, relu2",
                     l->c->path, name);
}

/* What the forward pass does not do must not be asked for. */
static int check_features(struct load *l)
{
    const char *activation;
    int rotated = l->m->head_size;
    int r = dict_str(l->c->settings, "hidden_act", l->family->activation, l->c->path, &activation,
                     l->err);
    if (r == 0 && l->c->is_gguf)
        r = get_size(l, "", "rope.dimension_count", rotated, &rotated);
    if (r < 0)
        return r;
    if ((r = set_gate(l, activation)) < 0)
        return r;
    if (rotated != l->m->head_size)
        return error_set(l->err, E_UNSUPPORTED,
                         "cannot run the model \"%s\": it rotates %d of the %d values of a head; "
                         "only whole heads are known",
                         l->c->path, rotated, l->m->head_size);
    return 0;
}

static int read_shape(struct load *l)
{
    struct model *m = l->m;
    int r;
    if ((r = get_size(l, "num_hidden_layers", "block_count", 0, &m->n_layers)) < 0 ||
        (r = get_size(l, "hidden_size", "embedding_length", 0, &m->width)) < 0 ||
        (r = get_size(l, "intermediate_size", "feed_forward_length", 0, &m->hidden)) < 0 ||
        (r = get_size(l, "num_attention_heads", "attention.head_count", 0, &m->n_heads)) < 0 ||
        (r = get_size(l, "num_key_value_heads", "attention.head_count_kv", m->n_heads,
                      &m->n_kv_heads)) < 0 ||
        (r = get_size(l, "head_dim", "attention.key_length", m->width / m->n_heads,
                      &m->head_size)) < 0 ||
        (r = get_size(l, "max_position_embeddings", "context_length", 2048, &m->max_length)) < 0 ||
        (r = get_float(l, "rms_norm_eps", "attention.layer_norm_rms_epsilon", 1e-6, &m->norm_eps)) <
            0)
        return r;
    if (m->n_heads % m->n_kv_heads || m->head_size % 2 || m->n_layers > 4096 ||
        (int64_t)m->n_heads * m->head_size > 1 << 24)
        return error_set(l->err, E_INPUT,
                         "cannot read the model \"%s\": %d heads of size %d over %d key/value "
                         "heads in %d layers is no shape that can be computed",
                         l->c->path, m->n_heads, m->head_size, m->n_kv_heads, m->n_layers);
    m->rope = l->c->is_gguf ? l->family->gguf_rope : l->family->hf_rope;
    return check_features(l);
}

/* ---- rotary frequencies ---- */

/* Llama 3.1's long contexts (transformers' modeling_rope_utils, rope_type "llama3"): slow rotations
 * are slowed further, fast ones kept, those between blended. */
static int scale_llama3(struct load *l, const struct value *s)
{
    double factor, low, high, old;
    int r;
    if ((r = dict_float(s, "factor", 8, l->c->path, &factor, l->err)) < 0 ||
        (r = dict_float(s, "low_freq_factor", 1, l->c->path, &low, l->err)) < 0 ||
        (r = dict_float(s, "high_freq_factor", 4, l->c->path, &high, l->err)) < 0 ||
        (r = dict_float(s, "original_max_position_embeddings", 8192, l->c->path, &old, l->err)) < 0)
        return r;
    for (int i = 0; i < l->m->head_size / 2; i++) {
        float *f = &l->m->inv_freq[i];
        double wavelength = 2 * 3.14159265358979323846 / (double)*f;
        double smooth = (old / wavelength - low) / (high - low);
        if (wavelength > old / low)
            *f = (float)((double)*f / factor);
        else if (wavelength >= old / high)
            *f = (float)((1 - smooth) * (double)*f / factor + smooth * (double)*f);
    }
    return 0;
}

static int scale_rope(struct load *l, const struct value *s)
{
    const char *kind;
    int r = dict_str(s, "rope_type", "", l->c->path, &kind, l->err);
    if (r == 0 && !*kind)
        r = dict_str(s, "type", "default", l->c->path, &kind, l->err);
    if (r < 0 || strcmp(kind, "default") == 0)
        return r;
    if (strcmp(kind, "llama3") == 0)
        return scale_llama3(l, s);
    if (strcmp(kind, "linear") != 0)
        return error_set(l->err, E_UNSUPPORTED,
                         "cannot run the model \"%s\": its rope scaling \"%s\" is not known; "
                         "known: default, linear, llama3",
                         l->c->path, kind);
    double factor;
    if ((r = dict_float(s, "factor", 1, l->c->path, &factor, l->err)) < 0)
        return r;
    for (int i = 0; i < l->m->head_size / 2; i++)
        l->m->inv_freq[i] = (float)((double)l->m->inv_freq[i] / factor);
    return 0;
}

/* GGUF puts linear scaling into settings and Llama 3's into a tensor of divisors. */
static int scale_rope_gguf(struct load *l)
{
    char key[KEY_BYTES];
    const char *kind;
    setting_key(l, "", "rope.scaling.type", key);
    int r = dict_str(l->c->settings, key, "none", l->c->path, &kind, l->err);
    if (r < 0)
        return r;
    float factor = 1;
    if (strcmp(kind, "linear") == 0)
        r = get_float(l, "", "rope.scaling.factor", 1, &factor);
    else if (strcmp(kind, "none") != 0)
        r = error_set(l->err, E_UNSUPPORTED,
                      "cannot run the model \"%s\": its rope scaling \"%s\" is not known; known: "
                      "none, linear",
                      l->c->path, kind);
    const struct tensor *t = checkpoint_tensor(l->c, l->family->rope_factors.gguf);
    if (r == 0 && t && (t->format != FORMAT_F32 || t->shape[t->n_dims - 1] != l->m->head_size / 2))
        r = error_set(l->err, E_INPUT,
                      "cannot read the model \"%s\": tensor \"%s\" has another "
                      "shape than half a head",
                      l->c->path, l->family->rope_factors.gguf);
    for (int i = 0; i < l->m->head_size / 2 && r == 0; i++) {
        float divisor = 1;
        if (t)
            memcpy(&divisor, (const char *)t->data + sizeof divisor * (size_t)i, sizeof divisor);
        l->m->inv_freq[i] = l->m->inv_freq[i] / divisor / factor;
    }
    return r;
}

static int read_rope(struct load *l)
{
    struct model *m = l->m;
    float theta;
    /* transformers 5 moved theta and the scaling into rope_parameters */
    const struct value *p = dict_get(l->c->settings, "rope_parameters");
    double moved = l->family->theta;
    int r = p && p->type == VALUE_DICT
                ? dict_float(p, "rope_theta", moved, l->c->path, &moved, l->err)
                : 0;
    if (r < 0 || (r = get_float(l, "rope_theta", "rope.freq_base", moved, &theta)) < 0)
        return r;
    m->inv_freq = arena_array(&m->arena, (size_t)m->head_size / 2, sizeof *m->inv_freq);
    for (int i = 0; i < m->head_size / 2; i++) /* in float32, as transformers does */
        m->inv_freq[i] = 1.0f / powf(theta, (float)(2 * i) / (float)m->head_size);
    if (l->c->is_gguf)
        return scale_rope_gguf(l);
    const struct value *s = dict_get(l->c->settings, "rope_scaling");
    s = s && s->type == VALUE_DICT ? s : p;
    return s && s->type == VALUE_DICT ? scale_rope(l, s) : 0;
}

/* ---- weights ---- */

static const struct tensor *need_tensor(struct load *l, const char *name)
{
    return tensor_need(l->c, name, l->err);
}

static float *read_vector(struct load *l, const struct tensor *t, int n)
{
    float *ret = tensor_vector(&l->m->arena, l->c, t, n, l->err);
    l->m->n_params += ret ? n : 0;
    return ret;
}

static size_t row_bytes(const struct weight *w)
{
    return (size_t)w->rows * format_row_bytes(w->format, w->cols);
}

static int read_matrix(struct load *l, const char *module, const char *class, int64_t rows,
                       int64_t cols, struct weight *ret)
{
    int r = matrix_read(&l->source, module, class, rows, cols, ret, l->err);
    l->m->n_params += rows * cols;
    return r;
}

static int64_t size_of(const struct model *m, char letter)
{
    switch (letter) {
    case 'D':
        return m->width;
    case 'F':
        return m->hidden;
    case 'H':
        return (int64_t)m->n_heads * m->head_size;
    default:
        return (int64_t)m->n_kv_heads * m->head_size;
    }
}

/* The pattern is one of this file's tables: it has one %d. */
static const char *put_layer(struct arena *a, const char *pattern, int layer, const char *end)
{
    const char *at = strstr(pattern, "%d");
    return arena_printf(a, "%.*s%d%s%s", (int)(at - pattern), pattern, layer, at + 2, end);
}

static const char *layer_name(struct load *l, struct names pattern, int layer, const char *end)
{
    return put_layer(&l->m->arena, pick(l, pattern), layer, end);
}

const char *module_name(struct arena *a, int layer, enum layer_matrix i)
{
    return put_layer(a, matrices[i].name.hf, layer, "");
}

static int read_layer(struct load *l, int i)
{
    struct layer *layer = &l->m->layers[i];
    for (size_t k = 0; k < sizeof norms / sizeof *norms; k++) {
        if (norms[k].is_sub && !l->family->sub_norms)
            continue;
        const struct tensor *t = need_tensor(l, layer_name(l, norms[k].name, i, ""));
        float *v = t ? read_vector(l, t, (int)size_of(l->m, norms[k].size)) : NULL;
        if (!v)
            return l->err->code;
        memcpy((char *)layer + norms[k].field, &v, sizeof v);
        l->m->vector_format = t->format;
    }
    for (size_t k = 0; k < N_LAYER_MATRICES; k++) {
        int64_t rows = size_of(l->m, matrices[k].rows), cols = size_of(l->m, matrices[k].cols);
        struct weight *w = layer_weight(layer, (enum layer_matrix)k);
        if (read_matrix(l, layer_name(l, matrices[k].name, i, ""), "Linear", rows, cols, w) < 0)
            return l->err->code;
        const struct tensor *b =
            checkpoint_tensor(l->c, layer_name(l, matrices[k].name, i, ".bias"));
        float *v = b ? read_vector(l, b, (int)rows) : NULL;
        if (b && !v)
            return l->err->code;
        *layer_bias(layer, (enum layer_matrix)k) = v;
    }
    return 0;
}

/* The module of a tensor ".weight". */
static const char *module_of(struct load *l, struct names tensor)
{
    const char *name = pick(l, tensor);
    return arena_copy(&l->m->arena, name, strlen(name) - strlen(".weight"));
}

/* Whether the head is the embedding: without a tensor of its own, or because config.json says so.
 */
static int read_tied(struct load *l, const char *head, bool *ret)
{
    bool has = checkpoint_tensor(l->c, pick(l, l->family->head)) ||
               (!l->c->is_gguf && stored_trace(l->c, &l->m->arena, head)),
         tie = false;
    int r = l->c->is_gguf
                ? 0
                : dict_bool(l->c->settings, "tie_word_embeddings", false, l->c->path, &tie, l->err);
    if (r < 0)
        return r;
    if (!l->c->is_gguf && !has && !tie)
        return error_set(l->err, E_INPUT,
                         "cannot run the model \"%s\": it lacks the tensor \"%s\", and its "
                         "config.json does not say that it shares the embedding's",
                         l->c->path, l->family->head.hf);
    *ret = !has || tie;
    return 0;
}

static int read_weights(struct load *l)
{
    struct model *m = l->m;
    const struct tensor *t = need_tensor(l, pick(l, l->family->embed));
    const char *head = module_of(l, l->family->head);
    if (!t)
        return l->err->code;
    int64_t vocab = t->shape[0];
    int r = read_matrix(l, module_of(l, l->family->embed), "Embedding", vocab, m->width, &m->embed);
    if (r < 0)
        return r;
    m->vocab = (int)vocab;
    if (!(t = need_tensor(l, pick(l, l->family->norm))) || !(m->norm = read_vector(l, t, m->width)))
        return l->err->code;
    if ((r = read_tied(l, head, &m->tied)) < 0)
        return r;
    if (m->tied)
        m->head = m->embed;
    else if ((r = read_matrix(l, head, "Linear", vocab, m->width, &m->head)) < 0)
        return r;
    m->layers = arena_array(&m->arena, (size_t)m->n_layers, sizeof *m->layers);
    for (int i = 0; i < m->n_layers && r == 0; i++)
        r = read_layer(l, i);
    return r;
}

/* How a quantized checkpoint says that its matrices are stored. */
static int open_source(struct load *l, struct quant_config **ret)
{
    l->source = (struct matrix_source){
        .c = l->c, .arena = &l->m->arena, .owned = &l->m->owned, .pool = l->pool};
    int r = l->c->is_gguf
                ? 0
                : quant_config_read(&l->c->arena, l->c->path, l->c->settings, ret, l->err);
    l->source.config = *ret;
    return r < 0 ? error_prefix(l->err, "cannot run the model: ") : 0;
}

int model_open(const char *path, struct pool *pool, struct model **ret, struct error *err)
{
    struct model *m = mem_alloc(1, sizeof *m);
    struct error mine = {0};
    int r = checkpoint_open(path, pool, &m->files, &mine);
    struct quant_config *config = NULL;
    struct load l = {.m = m, .c = m->files, .pool = pool, .err = &mine};
    if (r == 0 && (r = find_family(&l)) == 0 && (r = read_shape(&l)) == 0 &&
        (r = read_rope(&l)) == 0 && (r = open_source(&l, &config)) == 0)
        r = read_weights(&l);
    quant_config_free(config);
    if (r == 0) {
        m->architecture = l.family->gguf ? l.family->gguf : l.family->hf;
        model_measure(m);
        *ret = m;
        return 0;
    }
    model_close(m);
    return error_set(err, r, "%s", mine.msg);
}

void model_measure(struct model *m)
{
    m->format = format_info[m->layers[0].q.format].name;
    bool one = m->head.data == m->embed.data;
    m->weight_bytes = weight_bytes(&m->embed) + (one ? 0 : weight_bytes(&m->head));
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < N_LAYER_MATRICES; j++)
            m->weight_bytes += weight_bytes(layer_weight(&m->layers[i], (enum layer_matrix)j));
}

/* Its numbers are not asked for any more. */
static void drop_data(struct model *m, const struct weight *w)
{
    if (!owned_has(&m->owned, w->data))
        forget_pages(w->data, row_bytes(w));
    owned_drop(&m->owned, w->data);
    owned_drop(&m->owned, w->scales);
    owned_drop(&m->owned, w->zeros);
}

void model_replace(struct model *m, struct weight *w, const struct weight *by)
{
    *ARRAY_PUSH(&m->owned) = (void *)(uintptr_t)by->data;
    bool one = m->head.data == m->embed.data;
    if (!one || w != &m->head)
        drop_data(m, w);
    *w = *by;
    if (one && w == &m->embed)
        m->head = *by;
}

/* ---- packing ---- */

/* What the model made itself goes, unless it is the embedding's; the file's is forgotten. Whether a
 * weight has zero points is still asked, but not what they are. */
static void drop_rows(struct model *m, struct weight *w)
{
    if (!owned_has(&m->owned, w->data))
        forget_pages(w->data, row_bytes(w));
    if (w->data == m->embed.data)
        return;
    owned_drop(&m->owned, w->scales);
    owned_drop(&m->owned, w->zeros);
    if (owned_has(&m->owned, w->data)) {
        owned_drop(&m->owned, w->data);
        w->data = NULL;
    }
}

static int pack(struct model *m, struct weight *w, const struct kernels *k, struct error *err)
{
    int r = k->weight_pack(k->dev, w, err);
    if (r < 0)
        return error_prefix(err, "cannot run the model \"%s\": ", m->files->path);
    if (w->packed)
        drop_rows(m, w);
    return 0;
}

/* Moves a vector (NULL: there is none) to where the table reads floats. */
static int place(const struct model *m, float **v, int64_t n, const struct kernels *k,
                 struct error *err)
{
    if (!k->on_device || !*v)
        return 0;
    float *there = k->buffer_new(k->dev, (size_t)n * sizeof **v);
    if (!there)
        return error_set(err, E_MEMORY, "out of GPU memory: the model \"%s\" does not fit",
                         m->files->path);
    k->to_device(k->dev, there, *v, (size_t)n * sizeof **v);
    *v = there;
    return 0;
}

static int pack_layer(struct model *m, int i, const struct kernels *k, struct error *err)
{
    struct layer *layer = &m->layers[i];
    int r = 0;
    for (size_t j = 0; j < sizeof norms / sizeof *norms && r == 0; j++)
        r = place(m, (float **)(void *)((char *)layer + norms[j].field), size_of(m, norms[j].size),
                  k, err);
    for (enum layer_matrix j = 0; j < N_LAYER_MATRICES && r == 0; j++) {
        struct weight *w = layer_weight(layer, j);
        r = place(m, layer_bias(layer, j), w->rows, k, err);
        if (r == 0)
            r = pack(m, w, k, err);
    }
    return r;
}

int model_pack(struct model *m, const struct kernels *k, struct error *err)
{
    int r;
    if ((r = pack(m, &m->head, k, err)) < 0 || (r = place(m, &m->norm, m->width, k, err)) < 0 ||
        (r = place(m, &m->inv_freq, m->head_size / 2, k, err)) < 0)
        return r;
    for (int i = 0; i < m->n_layers && r == 0; i++)
        r = pack_layer(m, i, k, err);
    return r;
}

/* Bytes that a weight will take and does not yet, and those that it lets go. */
struct change {
    size_t more, less;
};

static void add_change(const struct model *m, const struct weight *w, const struct kernels *k,
                       struct change *c)
{
    size_t packed = k->packed_bytes(k->dev, w);
    size_t rows = weight_bytes(w);
    bool owned = owned_has(&m->owned, w->data), kept = w->data == m->embed.data;
    c->more += packed ? packed : owned ? 0 : rows;
    c->less += packed && owned && !kept ? rows : 0;
}

size_t model_pack_bytes(const struct model *m, const struct kernels *k)
{
    struct change c = {0};
    add_change(m, &m->head, k, &c);
    for (int i = 0; i < m->n_layers; i++)
        for (size_t j = 0; j < N_LAYER_MATRICES; j++)
            add_change(m, layer_weight(&m->layers[i], (enum layer_matrix)j), k, &c);
    return c.more > c.less ? c.more - c.less : 0;
}

static size_t held_bytes(const struct weight *w, const struct kernels *k)
{
    return w->packed ? k->packed_bytes(k->dev, w) : row_bytes(w);
}

size_t model_held_bytes(const struct model *m, const struct kernels *k)
{
    bool beside = m->head.packed || !m->tied; /* the embedding's rows, if they are in memory */
    size_t ret = beside && !model_file_of(m, &m->embed) ? row_bytes(&m->embed) : 0;
    ret += held_bytes(&m->head, k);
    for (int i = 0; i < m->n_layers; i++)
        for (size_t j = 0; j < N_LAYER_MATRICES; j++)
            ret += held_bytes(layer_weight(&m->layers[i], (enum layer_matrix)j), k);
    return ret;
}

const struct mapping *model_file_of(const struct model *m, const struct weight *w)
{
    for (size_t i = 0; m->files && i < m->files->files.n; i++) {
        const struct mapping *f = &m->files->files.items[i];
        if (f->p && (uintptr_t)w->data - (uintptr_t)f->p < f->n)
            return f;
    }
    return NULL;
}

void model_close(struct model *m)
{
    if (!m)
        return;
    owned_free(&m->owned);
    checkpoint_close(m->files);
    arena_free(&m->arena);
    free(m);
}
