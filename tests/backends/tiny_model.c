#include "tests/backends/tiny_model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"
#include "kernels/kernels.h"
#include "tests/backends/packed_matrix.h"

enum {
    N_LAYERS = 2,
    WIDTH = 64,
    N_HEADS = 4,
    N_KV_HEADS = 2,
    HEAD_SIZE = 16,
    HIDDEN = 96,
    CONTEXT = 256,
    ALIGNMENT = 32, /* of GGUF's tensors */
};

/* ---- the vocabulary: special tokens, all bytes, merges ---- */

#define G "\304\240" /* the byte-level stand-in of a space */
static const char *const merges[][2] = {
    {G, "t"},    {"h", "e"}, {G "t", "he"}, {"i", "n"}, {G, "a"},   {"e", "r"},
    {"o", "n"},  {"r", "e"}, {G, "w"},      {"a", "n"}, {"o", "u"}, {"in", "g"},
    {G, "s"},    {"n", "d"}, {G "a", "nd"}, {"e", "s"}, {"a", "t"}, {"o", "r"},
    {"T", "he"}, {"l", "l"}, {G "w", "as"}, {"a", "s"},
};
#undef G
static const char *const specials[] = {"<s>", "</s>", "<|im_start|>", "<|im_end|>"};
enum { N_MERGES = sizeof merges / sizeof *merges, N_VOCAB = TINY_BYTES + 256 + N_MERGES };

static const char chat_template[] =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' "
    "}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

static bool is_printable(int byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/* GPT-2's stand-ins: a printable Latin-1 byte is itself, the others follow from U+0100 on. */
static struct str byte_spelling(struct arena *a, int byte)
{
    int32_t cp = byte;
    if (!is_printable(byte)) {
        cp = 256;
        for (int b = 0; b < byte; b++)
            cp += !is_printable(b);
    }
    char utf8[4];
    size_t n = (size_t)utf8_put(cp, utf8);
    return (struct str){arena_copy(a, utf8, n), n};
}

static struct str spelling(struct arena *a, int id)
{
    if (id < TINY_BYTES)
        return str_of(specials[id]);
    if (id < TINY_BYTES + 256)
        return byte_spelling(a, id - TINY_BYTES);
    const char *const *pair = merges[id - TINY_BYTES - 256];
    return str_cat(a, str_of(pair[0]), str_of(pair[1]));
}

/* ---- the weights ---- */

struct tiny_tensor {
    const char *name; /* in the file */
    int64_t rows;     /* 0: a vector */
    int64_t cols;
    float *data; /* [rows, cols] */
    enum format format;
    struct str bytes;                   /* in that format */
    const struct packed_tensor *packed; /* instead of all but the name and the bytes; NULL */
};

struct writer {
    const struct tiny_model *t;
    const struct packing *packing; /* NULL: none */
    struct arena arena;
    bool is_gguf;
    enum format format;
    struct {
        struct tiny_tensor *items;
        size_t n, cap;
    } tensors;
    struct error *err;
};

/* Numbers in [-1, 1) that depend on the seed and the tensor's Hugging Face name alone. */
static float next_random(uint64_t *state)
{
    uint64_t z = hash_mix(*state += 0x9e3779b97f4a7c15u); /* splitmix64 */
    return (float)(int64_t)(z >> 40) * 0x1p-23f - 1.0f;
}

uint64_t tiny_seed(uint64_t model, const char *tensor)
{
    uint64_t h = 1469598103934665603u + model;
    for (; *tensor; tensor++)
        h = (h ^ (unsigned char)*tensor) * 1099511628211u;
    return h;
}

/* GGUF rotates neighbours where Hugging Face rotates halves: row i + j * S/2 of a head goes to
 * 2i + j. */
static void permute_heads(struct writer *w, float *data, int64_t rows, int64_t cols)
{
    size_t row_bytes = (size_t)cols * sizeof *data;
    float *from = arena_array(&w->arena, (size_t)rows, row_bytes);
    memcpy(from, data, (size_t)rows * row_bytes);
    for (int64_t r = 0; r < rows; r++) {
        int64_t head = r / HEAD_SIZE, i = r % HEAD_SIZE;
        int64_t to = head * HEAD_SIZE + 2 * (i % (HEAD_SIZE / 2)) + i / (HEAD_SIZE / 2);
        memcpy(data + to * cols, from + r * cols, row_bytes);
    }
}

static bool named(const char *wish, const char *name)
{
    return wish && strcmp(wish, name) == 0;
}

static int pack(struct writer *w, struct tiny_tensor *t)
{
    int64_t rows = t->rows ? t->rows : 1;
    size_t row = format_row_bytes(t->format, t->cols), n = (size_t)rows * row;
    char *bytes = arena_alloc(&w->arena, 2 * n);
    for (int64_t r = 0; r < rows; r++) {
        int e = format_from_f32(t->format, t->data + r * t->cols, t->cols, bytes + (size_t)r * row,
                                w->err);
        if (e < 0)
            return e;
    }
    if (named(w->t->misshapen, t->name)) {
        memcpy(bytes + n, bytes, n);
        *(t->rows ? &t->rows : &t->cols) *= 2;
        n *= 2;
    }
    t->bytes = (struct str){bytes, n};
    return 0;
}

/* The tensors of a packed matrix; their names begin with the module's. */
static void add_packed(struct writer *w, const char *weight, const struct packed_matrix *m)
{
    struct packed_tensor *parts = arena_array(&w->arena, PACKED_TENSORS, sizeof *parts);
    memcpy(parts, m->tensors, sizeof m->tensors);
    for (int i = 0; i < m->n; i++) {
        struct tiny_tensor t = {.packed = &parts[i], .bytes = parts[i].bytes};
        t.name = arena_printf(&w->arena, "%.*s.%s", (int)(strlen(weight) - strlen(".weight")),
                              weight, parts[i].part);
        if (!named(w->t->missing, t.name))
            *ARRAY_PUSH(&w->tensors) = t;
    }
}

/* `rows` 0 makes a vector around `centre`. */
static int add_tensor(struct writer *w, const char *hf, const char *gguf, int64_t rows,
                      int64_t cols, float centre, float spread)
{
    struct tiny_tensor t = {.name = w->is_gguf ? gguf : hf,
                            .rows = rows,
                            .cols = cols,
                            .format = w->is_gguf && !rows ? FORMAT_F32 : w->format};
    size_t n = (size_t)(rows ? rows : 1) * (size_t)cols;
    t.data = arena_array(&w->arena, n, sizeof *t.data);
    uint64_t state = tiny_seed(w->t->seed, hf);
    for (size_t i = 0; i < n; i++)
        t.data[i] = centre + spread * next_random(&state);
    if (w->packing && rows && strstr(hf, ".layers.")) {
        struct packed_matrix m;
        packed_random(&w->arena, w->packing, tiny_seed(w->t->seed, hf), rows, cols, (double)spread,
                      &m);
        if (!w->t->unpacked) {
            add_packed(w, hf, &m);
            return 0;
        }
        for (size_t i = 0; i < n; i++)
            t.data[i] = (float)m.values[i];
        t.format = FORMAT_F32;
    }
    if (w->is_gguf && (strstr(gguf, "attn_q.") || strstr(gguf, "attn_k.")))
        permute_heads(w, t.data, rows ? rows : cols, rows ? cols : 1);
    int r = pack(w, &t);
    if (r == 0 && !named(w->t->missing, t.name))
        *ARRAY_PUSH(&w->tensors) = t;
    return r;
}

static const struct {
    const char *hf, *gguf;
    int rows, cols; /* cols 0: a norm */
} layer_tensors[] = {
    {"input_layernorm", "attn_norm", WIDTH, 0},
    {"self_attn.q_proj", "attn_q", N_HEADS *HEAD_SIZE, WIDTH},
    {"self_attn.k_proj", "attn_k", N_KV_HEADS *HEAD_SIZE, WIDTH},
    {"self_attn.v_proj", "attn_v", N_KV_HEADS *HEAD_SIZE, WIDTH},
    {"self_attn.o_proj", "attn_output", WIDTH, N_HEADS *HEAD_SIZE},
    {"post_attention_layernorm", "ffn_norm", WIDTH, 0},
    {"mlp.gate_proj", "ffn_gate", HIDDEN, WIDTH},
    {"mlp.up_proj", "ffn_up", HIDDEN, WIDTH},
    {"mlp.down_proj", "ffn_down", WIDTH, HIDDEN},
};

static int add_layer_tensor(struct writer *w, int layer, size_t which, const char *end)
{
    const char *hf = arena_printf(&w->arena, "model.layers.%d.%s.%s", layer,
                                  layer_tensors[which].hf, end),
               *gguf =
                   arena_printf(&w->arena, "blk.%d.%s.%s", layer, layer_tensors[which].gguf, end);
    int64_t rows = layer_tensors[which].rows, cols = layer_tensors[which].cols;
    if (cols == 0)
        return add_tensor(w, hf, gguf, 0, rows, 1, 0.1f);
    if (strcmp(end, "bias") == 0)
        return add_tensor(w, hf, gguf, 0, rows, 0, 0.1f);
    return add_tensor(w, hf, gguf, rows, cols, 0, sqrtf(3.0f / (float)cols));
}

static int add_sub_norms(struct writer *w, int layer)
{
    struct arena *a = &w->arena;
    int r = add_tensor(w, arena_printf(a, "model.layers.%d.self_attn.attn_sub_norm.weight", layer),
                       "", 0, (int64_t)N_HEADS * HEAD_SIZE, 1, 0.1f);
    return r < 0 ? r
                 : add_tensor(w, arena_printf(a, "model.layers.%d.mlp.ffn_sub_norm.weight", layer),
                              "", 0, HIDDEN, 1, 0.1f);
}

static int make_tensors(struct writer *w)
{
    int r =
        add_tensor(w, "model.embed_tokens.weight", "token_embd.weight", N_VOCAB, WIDTH, 0, 0.5f);
    for (int i = 0; i < N_LAYERS && r == 0; i++) {
        for (size_t k = 0; k < sizeof layer_tensors / sizeof *layer_tensors && r == 0; k++) {
            r = add_layer_tensor(w, i, k, "weight");
            if (r == 0 && w->t->biases && layer_tensors[k].cols)
                r = add_layer_tensor(w, i, k, "bias");
        }
        if (r == 0 && w->t->bitnet)
            r = add_sub_norms(w, i);
    }
    if (r == 0)
        r = add_tensor(w, "model.norm.weight", "output_norm.weight", 0, WIDTH, 1, 0.1f);
    if (r == 0 && w->t->untied)
        r = add_tensor(w, "lm_head.weight", "output.weight", N_VOCAB, WIDTH, 0, 0.5f);
    return r;
}

/* ---- a Hugging Face folder ---- */

static int put_file(struct writer *w, const char *dir, const char *name, struct buf *text)
{
    int r = file_write(path_join(&w->arena, dir, name), buf_view(text), w->err);
    buf_free(text);
    return r;
}

/* Tensors number `first`, `first` + `step` ... */
static int write_safetensors(struct writer *w, const char *dir, const char *name, size_t first,
                             size_t step)
{
    struct buf header = {0}, file = {0};
    size_t offset = 0;
    buf_puts(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = first; i < w->tensors.n; i += step) {
        const struct tiny_tensor *t = &w->tensors.items[i];
        size_t at = offset + (named(w->t->outside, t->name) ? (size_t)1 << 40 : 0);
        const char *dtype = t->packed                 ? t->packed->dtype
                            : t->format == FORMAT_F32 ? "F32"
                            : t->format == FORMAT_F16 ? "F16"
                                                      : "BF16";
        const int64_t plain[] = {t->rows, t->cols};
        const int64_t *shape = t->packed ? t->packed->shape : t->rows ? plain : plain + 1;
        int n_dims = t->packed ? t->packed->n_dims : t->rows ? 2 : 1;
        buf_printf(&header, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, dtype);
        for (int d = 0; d < n_dims; d++)
            buf_printf(&header, "%s%" PRId64, d ? "," : "", shape[d]);
        buf_printf(&header, "],\"data_offsets\":[%zu,%zu]}", at, at + t->bytes.n);
        offset += t->bytes.n;
    }
    buf_char(&header, '}');
    while (header.n % 8)
        buf_char(&header, ' ');
    uint64_t n_header = header.n;
    buf_add(&file, &n_header, sizeof n_header);
    buf_str(&file, buf_view(&header));
    buf_free(&header);
    for (size_t i = first; i < w->tensors.n; i += step)
        buf_str(&file, w->tensors.items[i].bytes);
    return put_file(w, dir, name, &file);
}

static int write_shards(struct writer *w, const char *dir)
{
    static const char *const shards[] = {"model-00001-of-00002.safetensors",
                                         "model-00002-of-00002.safetensors"};
    struct buf index = {0};
    buf_puts(&index, "{\"metadata\": {\"total_size\": 0}, \"weight_map\": {");
    for (size_t i = 0; i < w->tensors.n; i++)
        buf_printf(&index, "%s\n  \"%s\": \"%s\"", i ? "," : "", w->tensors.items[i].name,
                   shards[i % 2]);
    buf_puts(&index, "}}\n");
    int r = put_file(w, dir, "model.safetensors.index.json", &index);
    for (size_t i = 0; i < 2 && r == 0; i++)
        r = write_safetensors(w, dir, shards[i], i, 2);
    return r;
}

static int write_config(struct writer *w, const char *dir)
{
    const char *biases = w->t->biases ? "true" : "false";
    const char *quantized = w->t->quantization_config       ? w->t->quantization_config
                            : w->packing && !w->t->unpacked ? packing_config(w->packing)
                                                            : NULL;
    struct buf b = {0};
    buf_puts(&b, "{\n");
    if (quantized)
        buf_printf(&b, "  \"quantization_config\": %s,\n", quantized);
    buf_printf(&b,
               "  \"architectures\": [\"%sForCausalLM\"],\n  \"model_type\": \"%s\",\n"
               "  \"vocab_size\": %d,\n  \"hidden_size\": %d,\n  \"intermediate_size\": %d,\n"
               "  \"num_hidden_layers\": %d,\n  \"num_attention_heads\": %d,\n"
               "  \"num_key_value_heads\": %d,\n  \"head_dim\": %d,\n"
               "  \"max_position_embeddings\": %d,\n  \"hidden_act\": \"%s\",\n"
               "  \"rms_norm_eps\": 1e-05,\n  \"rope_theta\": 10000.0,\n"
               "  \"tie_word_embeddings\": %s,\n  \"attention_bias\": %s,\n  \"mlp_bias\": %s,\n"
               "  \"bos_token_id\": %d,\n  \"eos_token_id\": %d,\n  \"torch_dtype\": \"%s\"\n}\n",
               w->t->bitnet ? "BitNet" : "Llama",
               w->t->architecture ? w->t->architecture
               : w->t->bitnet     ? "bitnet"
                                  : "llama",
               N_VOCAB, WIDTH, HIDDEN, N_LAYERS, N_HEADS, N_KV_HEADS, HEAD_SIZE, CONTEXT,
               w->t->bitnet ? "relu2" : "silu", w->t->untied ? "false" : "true", biases, biases,
               TINY_BOS, TINY_EOS,
               w->format == FORMAT_F32   ? "float32"
               : w->format == FORMAT_F16 ? "float16"
                                         : "bfloat16");
    return put_file(w, dir, "config.json", &b);
}

static int write_tokenizer(struct writer *w, const char *dir)
{
    struct buf b = {0};
    buf_puts(&b, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n"
                 "\"added_tokens\": [");
    for (int i = 0; i < TINY_BYTES; i++)
        buf_printf(&b,
                   "%s\n  {\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": "
                   "false, \"rstrip\": false, \"normalized\": false, \"special\": true}",
                   i ? "," : "", i, specials[i]);
    buf_puts(&b, "],\n\"normalizer\": null,\n\"pre_tokenizer\": {\"type\": \"ByteLevel\", "
                 "\"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true},\n"
                 "\"post_processor\": ");
    if (w->t->adds_bos)
        buf_printf(&b,
                   "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
                   "\"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], "
                   "\"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": "
                   "{\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": {\"<s>\": {\"id\": "
                   "\"<s>\", \"ids\": [%d], \"tokens\": [\"<s>\"]}}}",
                   TINY_BOS);
    else
        buf_puts(&b, "null");
    buf_puts(&b, ",\n\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
                 "\"trim_offsets\": true, \"use_regex\": true},\n"
                 "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, "
                 "\"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, "
                 "\"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": false,\n"
                 "\"vocab\": {");
    for (int i = 0; i < N_VOCAB; i++) {
        buf_puts(&b, i ? ", " : "");
        buf_json_str(&b, spelling(&w->arena, i), false);
        buf_printf(&b, ": %d", i);
    }
    buf_puts(&b, "},\n\"merges\": [");
    for (size_t i = 0; i < N_MERGES; i++)
        buf_printf(&b, "%s[\"%s\", \"%s\"]", i ? ", " : "", merges[i][0], merges[i][1]);
    buf_puts(&b, "]}}\n");
    return put_file(w, dir, "tokenizer.json", &b);
}

static int write_tokenizer_config(struct writer *w, const char *dir)
{
    struct buf b = {0};
    buf_printf(&b,
               "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n  \"bos_token\": \"%s\",\n"
               "  \"eos_token\": \"%s\",\n  \"clean_up_tokenization_spaces\": false,\n"
               "  \"model_max_length\": %d",
               specials[TINY_BOS], specials[TINY_EOS], CONTEXT);
    if (!w->t->no_chat_template) {
        buf_puts(&b, ",\n  \"chat_template\": ");
        buf_json_str(&b, str_of(chat_template), true);
    }
    buf_puts(&b, "\n}\n");
    return put_file(w, dir, "tokenizer_config.json", &b);
}

static int write_folder(struct writer *w, const char *dir)
{
    int r;
    if ((r = folder_make(dir, w->err)) < 0 || (r = write_config(w, dir)) < 0)
        return r;
    if (!w->t->no_tokenizer &&
        ((r = write_tokenizer(w, dir)) < 0 || (r = write_tokenizer_config(w, dir)) < 0))
        return r;
    if (strcmp(w->t->kind, "hf-sharded") == 0)
        return write_shards(w, dir);
    return write_safetensors(w, dir, "model.safetensors", 0, 1);
}

/* ---- a GGUF file ---- */

enum {
    TYPE_UINT32 = 4,
    TYPE_INT32 = 5,
    TYPE_FLOAT32 = 6,
    TYPE_BOOL = 7,
    TYPE_STRING = 8,
    TYPE_ARRAY = 9
};

static const uint32_t gguf_types[FORMAT_COUNT] = {
    [FORMAT_F32] = 0,  [FORMAT_F16] = 1,  [FORMAT_BF16] = 30,
    [FORMAT_Q8_0] = 8, [FORMAT_Q4_0] = 2, [FORMAT_Q4_1] = 3,
};

/* Metadata, counted as it is written. */
struct metadata {
    struct buf b;
    uint64_t n;
};

static void put_u32(struct buf *b, uint32_t x)
{
    buf_add(b, &x, sizeof x);
}

static void put_u64(struct buf *b, uint64_t x)
{
    buf_add(b, &x, sizeof x);
}

static void put_string(struct buf *b, struct str s)
{
    put_u64(b, s.n);
    buf_str(b, s);
}

static void put_key(struct metadata *m, const char *key, uint32_t type)
{
    put_string(&m->b, str_of(key));
    put_u32(&m->b, type);
    m->n++;
}

static void put_key_u32(struct metadata *m, const char *key, uint32_t x)
{
    put_key(m, key, TYPE_UINT32);
    put_u32(&m->b, x);
}

static void put_key_f32(struct metadata *m, const char *key, float x)
{
    put_key(m, key, TYPE_FLOAT32);
    buf_add(&m->b, &x, sizeof x);
}

static void put_key_string(struct metadata *m, const char *key, const char *s)
{
    put_key(m, key, TYPE_STRING);
    put_string(&m->b, str_of(s));
}

static void put_key_array(struct metadata *m, const char *key, uint32_t type, uint64_t n)
{
    put_key(m, key, TYPE_ARRAY);
    put_u32(&m->b, type);
    put_u64(&m->b, n);
}

static void put_settings(struct metadata *m, const char *architecture)
{
    static const struct {
        const char *name;
        uint32_t value;
    } sizes[] = {
        {"context_length", CONTEXT},         {"embedding_length", WIDTH},
        {"block_count", N_LAYERS},           {"feed_forward_length", HIDDEN},
        {"attention.head_count", N_HEADS},   {"attention.head_count_kv", N_KV_HEADS},
        {"rope.dimension_count", HEAD_SIZE}, {"vocab_size", N_VOCAB},
    };
    char key[128];
    put_key_string(m, "general.architecture", architecture);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        snprintf(key, sizeof key, "%.40s.%s", architecture, sizes[i].name);
        put_key_u32(m, key, sizes[i].value);
    }
    snprintf(key, sizeof key, "%.40s.attention.layer_norm_rms_epsilon", architecture);
    put_key_f32(m, key, 1e-5f);
    snprintf(key, sizeof key, "%.40s.rope.freq_base", architecture);
    put_key_f32(m, key, 10000);
    put_key_u32(m, "general.alignment", ALIGNMENT);
}

static void put_tokenizer(struct metadata *m, struct writer *w)
{
    put_key_string(m, "tokenizer.ggml.model", "gpt2");
    put_key_string(m, "tokenizer.ggml.pre", "gpt-2");
    put_key_array(m, "tokenizer.ggml.tokens", TYPE_STRING, N_VOCAB);
    for (int i = 0; i < N_VOCAB; i++)
        put_string(&m->b, spelling(&w->arena, i));
    put_key_array(m, "tokenizer.ggml.token_type", TYPE_INT32, N_VOCAB);
    for (int i = 0; i < N_VOCAB; i++)
        put_u32(&m->b, i < TINY_BYTES ? 3 : 1); /* control or normal */
    put_key_array(m, "tokenizer.ggml.merges", TYPE_STRING, N_MERGES);
    for (size_t i = 0; i < N_MERGES; i++)
        put_string(&m->b, str_printf(&w->arena, "%s %s", merges[i][0], merges[i][1]));
    put_key_u32(m, "tokenizer.ggml.bos_token_id", TINY_BOS);
    put_key_u32(m, "tokenizer.ggml.eos_token_id", TINY_EOS);
    put_key(m, "tokenizer.ggml.add_bos_token", TYPE_BOOL);
    buf_char(&m->b, (char)w->t->adds_bos);
    if (!w->t->no_chat_template)
        put_key_string(m, "tokenizer.chat_template", chat_template);
}

static void pad(struct buf *b)
{
    while (b->n % ALIGNMENT)
        buf_char(b, '\0');
}

static void put_tensor_infos(struct buf *b, struct writer *w)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < w->tensors.n; i++) {
        const struct tiny_tensor *t = &w->tensors.items[i];
        put_string(b, str_of(t->name));
        put_u32(b, t->rows ? 2 : 1);
        put_u64(b, (uint64_t)t->cols); /* the fastest size first */
        if (t->rows)
            put_u64(b, (uint64_t)t->rows);
        put_u32(b, gguf_types[t->format]);
        put_u64(b, offset + (named(w->t->outside, t->name) ? (uint64_t)1 << 40 : 0));
        offset += (t->bytes.n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

static int write_gguf(struct writer *w, const char *path)
{
    struct metadata m = {0};
    put_settings(&m, w->t->architecture ? w->t->architecture : "llama");
    if (!w->t->no_tokenizer)
        put_tokenizer(&m, w);
    struct buf file = {0};
    buf_puts(&file, "GGUF");
    put_u32(&file, 3);
    put_u64(&file, w->tensors.n);
    put_u64(&file, m.n);
    buf_str(&file, buf_view(&m.b));
    buf_free(&m.b);
    put_tensor_infos(&file, w);
    pad(&file);
    for (size_t i = 0; i < w->tensors.n; i++) {
        buf_str(&file, w->tensors.items[i].bytes);
        pad(&file);
    }
    int r = file_write(path, buf_view(&file), w->err);
    buf_free(&file);
    return r;
}

/* ---- both ---- */

static const struct {
    const char *name;
    bool is_gguf;
    enum format format;
} kinds[] = {
    {"hf-f32", false, FORMAT_F32},    {"hf-f16", false, FORMAT_F16},
    {"hf-bf16", false, FORMAT_BF16},  {"hf-sharded", false, FORMAT_F32},
    {"gguf-f32", true, FORMAT_F32},   {"gguf-f16", true, FORMAT_F16},
    {"gguf-bf16", true, FORMAT_BF16}, {"gguf-q8_0", true, FORMAT_Q8_0},
    {"gguf-q4_0", true, FORMAT_Q4_0}, {"gguf-q4_1", true, FORMAT_Q4_1},
};

int tiny_model_write(const struct tiny_model *t, const char *path, struct error *err)
{
    struct writer w = {.t = t, .err = err};
    if (t->packing && !(w.packing = packing_named(t->packing)))
        return error_set(err, E_USAGE, "there is no packing \"%s\"", t->packing);
    int r = error_set(err, E_USAGE, "there is no tiny model of kind \"%s\"", t->kind);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, t->kind) != 0)
            continue;
        w.is_gguf = kinds[i].is_gguf;
        w.format = kinds[i].format;
        r = make_tensors(&w);
        if (r == 0)
            r = w.is_gguf ? write_gguf(&w, path) : write_folder(&w, path);
    }
    free(w.tensors.items);
    arena_free(&w.arena);
    return r;
}
