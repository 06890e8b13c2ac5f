/* save.c: backend_save of backend.h: a quantized model as a Hugging Face folder. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/backend.h"
#include "backends/local/calibration_text.h"
#include "backends/local/metadata.h"
#include "backends/local/quantize.h"
#include "backends/local/saved_tensors.h"
#include "backends/local/spec.h"
#include "base/file.h"
#include "base/json.h"

struct saving {
    struct arena arena;
    struct spec spec;
    const struct save_options *o;
    struct pool *pool;
    struct kernels kernels;
    struct model *model;
    struct {
        const char **modules;
        struct weight *items;
        size_t n;
    } made;
    struct save_sizes sizes;
    struct error *err;
};

/* ---- what can be saved ---- */

static int check_spec(struct saving *s, const char *folder)
{
    if (!s->spec.scheme.container)
        return error_set(
            s->err, E_USAGE,
            "cannot write \"%s\" with quant=%s: compressed-tensors has no form for it; "
            "it has for %s",
            folder, s->spec.scheme.name, schemes_written(&s->arena));
    if (file_exists(folder) || folder_exists(folder))
        return error_set(s->err, E_USAGE,
                         "cannot write \"%s\": it is there already; name a new folder", folder);
    return 0;
}

static int check_model(struct saving *s, const char *folder)
{
    const struct model *m = s->model;
    const struct scheme *scheme = &s->spec.scheme;
    if (m->files->is_gguf)
        return error_set(
            s->err, E_UNSUPPORTED,
            "cannot write \"%s\" from the GGUF file \"%s\": a Hugging Face folder needs "
            "the config.json and tokenizer.json that its model was converted from; "
            "name that folder. (assay run computes with quant= of GGUF files, too.)",
            folder, m->files->path);
    if (dict_get(m->files->settings, "quantization_config"))
        return error_set(
            s->err, E_UNSUPPORTED,
            "cannot write \"%s\": the model \"%s\" is quantized already; start from the "
            "one it was made of",
            folder, m->files->path);
    const int cols[] = {m->width, m->n_heads * m->head_size, m->hidden};
    int group = scheme->weights.group;
    for (int i = 0; i < 3 && group; i++)
        if (cols[i] % group)
            return error_set(s->err, E_INPUT,
                             "cannot write \"%s\": compressed-tensors wants groups that divide a "
                             "matrix' columns, and %d is no multiple of %d; choose %s",
                             folder, cols[i], group,
                             group == 128 && scheme->weights.group_rows == 1
                                 ? "another group_size, such as 64, 32 or channel"
                                 : "another scheme, such as w8a8-fp8");
    int ignored = scheme_ignores(scheme, "lm_head", s->err);
    if (ignored == 0 && m->tied)
        return error_set(s->err, E_UNSUPPORTED,
                         "cannot write \"%s\" with ignore=none: the model's lm_head is its "
                         "embedding, which stays as it is",
                         folder);
    return ignored < 0 ? ignored : 0;
}

/* ---- quantizing ---- */

static void on_share(void *arg, double share)
{
    struct saving *s = arg;
    s->o->told(s->o->arg, "quantizing", share);
}

static void on_written(void *arg, double share)
{
    struct saving *s = arg;
    s->o->told(s->o->arg, "writing", share);
}

static void on_made(void *arg, const struct made *made)
{
    struct saving *s = arg;
    size_t n = s->made.n++;
    s->made.modules = arena_grown(&s->arena, s->made.modules, n, sizeof *s->made.modules);
    s->made.items = arena_grown(&s->arena, s->made.items, n, sizeof *s->made.items);
    s->made.modules[n] = arena_copy(&s->arena, made->module, strlen(made->module));
    s->made.items[n] = *made->weight;
    if (s->o->made)
        s->o->made(s->o->arg, &(struct saved_matrix){.module = s->made.modules[n],
                                                     .error = made->error,
                                                     .of_output = s->spec.scheme.calibration.path,
                                                     .before = made->before,
                                                     .after = made->after});
}

static int quantize(struct saving *s, const struct backend_options *o)
{
    const struct scheme *scheme = &s->spec.scheme;
    struct tokenizer *t = NULL;
    int32_t *tokens = NULL;
    char hash[HASH_HEX];
    int r = 0;
    if (scheme->calibration.path && (r = tokenizer_of(s->model->files, &t, s->err)) == 0)
        r = calibration_tokens(&scheme->calibration, t, &o->texts, &tokens, hash, s->err);
    struct quantize_options q = {.scheme = scheme,
                                 .k = &s->kernels,
                                 .pool = s->pool,
                                 .dtype = s->spec.dtype,
                                 .tokens = tokens,
                                 .told = s->o->told ? on_share : NULL,
                                 .made = on_made,
                                 .arg = s};
    if (r == 0)
        r = model_quantize(s->model, &q, s->err);
    free(tokens);
    tokenizer_free(t);
    return r;
}

/* ---- config.json ---- */

static void set_strz(struct arena *a, struct value *d, const char *key, const char *z)
{
    dict_set(a, d, key, value_strz(a, z));
}

static struct value *codes_of(struct arena *a, int bits, bool is_float, const char *strategy,
                              int group)
{
    struct value *d = value_dict(a);
    dict_set(a, d, "num_bits", value_int(a, bits));
    set_strz(a, d, "type", is_float ? "float" : "int");
    set_strz(a, d, "strategy", strategy);
    dict_set(a, d, "group_size", group ? value_int(a, group) : value_none(a));
    dict_set(a, d, "block_structure", value_none(a));
    dict_set(a, d, "actorder", value_none(a));
    return d;
}

static struct value *weights_of(struct arena *a, const struct scheme *s)
{
    enum format f = s->weights.format;
    bool blocks = s->weights.group_rows > 1, fp4 = f == FORMAT_FP4, group = s->weights.group > 0;
    struct value *d = codes_of(a, f == FORMAT_INT4 || fp4 ? 4 : 8, fp4 || f == FORMAT_FP8,
                               fp4      ? "tensor_group"
                               : blocks ? "block"
                               : group  ? "group"
                                        : "channel",
                               blocks ? 0 : s->weights.group);
    dict_set(a, d, "symmetric", value_bool(a, !s->weights.asymmetric));
    dict_set(a, d, "dynamic", value_bool(a, false));
    set_strz(a, d, "observer", "minmax");
    if (blocks) {
        struct value *b = value_list(a);
        list_push(a, b, value_int(a, s->weights.group_rows));
        list_push(a, b, value_int(a, s->weights.group));
        dict_set(a, d, "block_structure", b);
    }
    if (s->method == METHOD_GPTQ && s->order == ORDER_GROUP && group)
        set_strz(a, d, "actorder", "group");
    else if (s->method == METHOD_GPTQ && s->order != ORDER_NONE && group)
        set_strz(a, d, "actorder", "static");
    return d;
}

static struct value *activations_of(struct arena *a, const struct scheme *s)
{
    if (s->x.kind == X_F32)
        return value_none(a);
    struct value *d = codes_of(a, 8, s->x.kind == X_FP8,
                               s->x.is_static ? "tensor"
                               : s->x.group   ? "group"
                                              : "token",
                               s->x.group);
    dict_set(a, d, "symmetric", value_bool(a, true));
    dict_set(a, d, "dynamic", value_bool(a, !s->x.is_static));
    dict_set(a, d, "observer", s->x.is_static ? value_strz(a, "minmax") : value_none(a));
    return d;
}

static bool was_made(const struct saving *s, const char *module)
{
    for (size_t i = 0; i < s->made.n; i++)
        if (strcmp(s->made.modules[i], module) == 0)
            return true;
    return false;
}

/* Whole names, whatever the patterns were. */
static struct value *ignored(struct saving *s)
{
    struct value *list = value_list(&s->arena);
    for (int i = 0; i < s->model->n_layers; i++)
        for (int k = 0; k < N_LAYER_MATRICES; k++) {
            const char *module = module_name(&s->arena, i, (enum layer_matrix)k);
            if (!was_made(s, module))
                list_push(&s->arena, list, value_strz(&s->arena, module));
        }
    if (!was_made(s, "lm_head"))
        list_push(&s->arena, list, value_strz(&s->arena, "lm_head"));
    return list;
}

static struct value *quantization_config(struct saving *s)
{
    struct arena *a = &s->arena;
    const struct scheme *scheme = &s->spec.scheme;
    struct value *config = value_dict(a), *groups = value_dict(a), *group = value_dict(a),
                 *targets = value_list(a);
    list_push(a, targets, value_strz(a, "Linear"));
    dict_set(a, group, "targets", targets);
    dict_set(a, group, "weights", weights_of(a, scheme));
    dict_set(a, group, "input_activations", activations_of(a, scheme));
    dict_set(a, group, "output_activations", value_none(a));
    set_strz(a, group, "format", scheme->container);
    dict_set(a, groups, "group_0", group);
    set_strz(a, config, "quant_method", "compressed-tensors");
    set_strz(a, config, "format", scheme->container);
    set_strz(a, config, "quantization_status", "compressed");
    dict_set(a, config, "config_groups", groups);
    dict_set(a, config, "ignore", ignored(s));
    dict_set(a, config, "kv_cache_scheme", value_none(a));
    dict_set(a, config, "global_compression_ratio", value_none(a));
    return config;
}

static int write_config(struct saving *s, const char *folder)
{
    struct value *config = value_clone(&s->arena, s->model->files->settings);
    dict_set(&s->arena, config, "quantization_config", quantization_config(s));
    struct buf text = {0};
    buf_json(&text, config, 2, false);
    buf_char(&text, '\n');
    int r = file_write(path_join(&s->arena, folder, "config.json"), buf_view(&text), s->err);
    buf_free(&text);
    return r;
}

/* ---- the folder ---- */

static const char *const copied[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
};
enum { N_COPIED = sizeof copied / sizeof *copied };

static int copy_files(struct saving *s, const char *folder)
{
    int r = 0;
    for (int i = 0; i < N_COPIED && r == 0; i++) {
        const char *from = path_join(&s->arena, s->spec.path, copied[i]);
        struct str text;
        if (!file_exists(from))
            continue;
        r = file_read(&s->arena, from, FILE_LIMIT_TEXT, &text, s->err);
        if (r == 0)
            r = file_write(path_join(&s->arena, folder, copied[i]), text, s->err);
    }
    return r;
}

/* A vector that the method may have scaled, as floats; NULL: the tensor is none. */
static const float *vector_now(struct saving *s, struct str name)
{
    const struct model *m = s->model;
    for (int i = 0; i < m->n_layers; i++) {
        const char *start = arena_printf(&s->arena, "model.layers.%d.", i);
        if (!str_starts(name, str_of(start)))
            continue;
        struct str rest = str_slice(name, strlen(start), SIZE_MAX);
        if (str_eqz(rest, "input_layernorm.weight"))
            return m->layers[i].attn_norm;
        if (str_eqz(rest, "post_attention_layernorm.weight"))
            return m->layers[i].ffn_norm;
        for (int k = 0; k < N_LAYER_MATRICES; k++) {
            const char *module = module_name(&s->arena, i, (enum layer_matrix)k);
            if (str_eqz(name, arena_printf(&s->arena, "%s.bias", module)))
                return *layer_bias(&m->layers[i], (enum layer_matrix)k);
        }
    }
    return NULL;
}

static bool is_made_weight(const struct saving *s, struct str name)
{
    struct str module = str_slice(name, 0, name.n - (name.n > 7 ? 7 : name.n));
    for (size_t i = 0; i < s->made.n && str_ends(name, STR(".weight")); i++)
        if (str_eqz(module, s->made.modules[i]))
            return true;
    return false;
}

static void collect(struct saving *s, struct saved_tensors *ret)
{
    const struct checkpoint *c = s->model->files;
    for (size_t i = 0; i < c->tensors.n; i++) {
        const struct tensor *t = &c->tensors.items[i];
        if (is_made_weight(s, t->name))
            continue;
        const char *name = str_copy(&s->arena, t->name).p;
        struct arena_mark mark = arena_mark(&s->arena);
        const float *now = t->n_dims == 1 ? vector_now(s, t->name) : NULL;
        arena_reset(&s->arena, mark);
        if (now) {
            saved_vector(&s->arena, name, t->format, now, (int)t->shape[0], ret);
            continue;
        }
        struct saved_tensor copy = {.name = name,
                                    .type = t->type_name,
                                    .n_dims = t->n_dims,
                                    .bytes = t->bytes,
                                    .data = t->data};
        memcpy(copy.shape, t->shape, sizeof copy.shape);
        *ARRAY_PUSH(ret) = copy;
    }
    for (size_t i = 0; i < s->made.n; i++)
        saved_module(&s->arena, &s->spec.scheme, s->made.modules[i], &s->made.items[i], ret);
}

static int write_folder(struct saving *s, const char *folder)
{
    struct saved_tensors tensors = {0};
    int r = folder_make(folder, s->err);
    if (r == 0)
        r = copy_files(s, folder);
    if (r == 0)
        r = write_config(s, folder);
    if (r == 0) {
        collect(s, &tensors);
        for (size_t i = 0; i < tensors.n; i++)
            s->sizes.after += tensors.items[i].bytes;
        r = saved_write(path_join(&s->arena, folder, "model.safetensors"), &tensors,
                        s->o->told ? on_written : NULL, s, s->err);
    }
    free(tensors.items);
    return r;
}

/* What a failure left; only files that we write can be there. */
static void remove_folder(struct saving *s, const char *folder)
{
    static const char *const ours[] = {"config.json", "model.safetensors"};
    for (int i = 0; i < N_COPIED; i++)
        unlink(path_join(&s->arena, folder, copied[i]));
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        unlink(path_join(&s->arena, folder, ours[i]));
    rmdir(folder);
}

static int write_whole(struct saving *s, const char *folder)
{
    struct str whole = str_of(folder);
    while (whole.n > 1 && whole.p[whole.n - 1] == '/')
        whole.n--;
    const char *to = str_copy(&s->arena, whole).p;
    const char *half = arena_printf(&s->arena, "%s.%ld.part", to, (long)getpid());
    int r = write_folder(s, half);
    if (r == 0 && rename(half, to) != 0)
        r = error_set(s->err, E_IO, "cannot name the folder \"%s\": %s", to, strerror(errno));
    if (r < 0)
        remove_folder(s, half);
    return r;
}

int backend_save(const char *text, const struct backend_options *options,
                 const struct save_options *o, const char *folder, struct save_sizes *ret,
                 struct error *err)
{
    struct saving s = {.o = o, .err = err};
    int r = spec_parse(&s.arena, text, options->dtype, &s.spec, err);
    if (r == 0)
        r = check_spec(&s, folder);
    if (r < 0)
        goto out;
    s.pool = pool_new(options->n_threads);
    s.kernels = kernels_cpu(options->features & cpu_features(), s.pool);
    if ((r = model_open(s.spec.path, s.pool, &s.model, err)) < 0 ||
        (r = check_model(&s, folder)) < 0)
        goto out;
    for (size_t i = 0; i < s.model->files->tensors.n; i++)
        s.sizes.before += s.model->files->tensors.items[i].bytes;
    if ((r = quantize(&s, options)) == 0 && (r = write_whole(&s, folder)) == 0)
        *ret = s.sizes;
out:
    model_close(s.model);
    if (s.kernels.close)
        s.kernels.close(s.kernels.dev);
    pool_free(s.pool);
    arena_free(&s.arena);
    return r;
}
