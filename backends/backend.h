/* backend.h: who answers requests.
 *
 * A backend is opened from a spec string, MODEL[,key=value...], takes requests and hands back
 * responses in whatever order they are done. The one there is is `local`: a model file run by our
 * own engine. A response never depends on what else is in flight.
 *
 *     backend_open -> backend_prepare, backend_ask ... backend_poll ... -> backend_close
 *
 * One thread asks and polls. backend_render_chat and backend_prepare are thread-safe, so that
 * rendering and tokenizing go on beside the engine. */
#ifndef ASSAY_BACKENDS_BACKEND_H
#define ASSAY_BACKENDS_BACKEND_H

#include "base/error.h"
#include "base/request.h"
#include "base/value.h"

struct backend;

/* Reads a text that a spec names, such as calib=. */
struct text_reader {
    int (*read)(void *arg, struct arena *a, const char *path, struct str *ret, struct error *err);
    void *arg;
};

/* Is told what takes long before a model can answer. */
struct opening_watcher {
    void (*told)(void *arg, const char *model, double share); /* 0 .. 1 of learning from text */
    void *arg;
};

/* Beside the spec, whose keys for the local backend are: dtype (f32 [default], bf16, f16: what
 * activations are rounded to between operations), quant and what goes with it (scheme.h: method,
 * group_size, symmetric, static, act, ignore, alpha, damp, act_order, calib, calib_samples,
 * calib_length, calib_seed), max_length (context in tokens), name (label in tables). */
struct backend_options {
    int n_threads;                  /* 0: the cores this process may use */
    unsigned features;              /* CPU features to use; UINT_MAX: all that the machine has */
    const char *dtype;              /* where the spec names none; NULL: f32 */
    struct text_reader texts;       /* .read NULL: files are read as they are */
    struct opening_watcher watcher; /* .told NULL: nobody is told */

    /* Sizes of the engine, which change no result. */
    size_t kv_bytes;  /* memory for keys and values; 0: as much as serves well */
    int token_budget; /* rows computed at once; 0: 256 */
    bool no_sharing;  /* compute every prefix anew: for tests */
};

struct backend_info {
    const char *name;          /* name=..., or the file's or folder's base name */
    const char *path;          /* as given in the spec */
    const char *model_hash;    /* over the bytes of config, tokenizer and weights */
    const char *numerics;      /* kernels' numerics + dtype + quantization: part of the identity */
    const char *format;        /* of the weights, for people: "q4_1", "bf16" */
    const char *quant;         /* "none" or what quant= and its keys asked for */
    const char *architecture;  /* "llama" */
    const char *chat_template; /* Jinja source; NULL: the model has none */
    const char *bos_text;      /* "" when there is none */
    const char *eos_text;
    int max_length; /* tokens of context */
    int64_t n_params;
    size_t weight_bytes;
    size_t
        stored_bytes;  /* of the files that hold the weights, or of the weights that quant= made */
    size_t held_bytes; /* of the weights in memory, as they are computed with */
};

/* The label that the model of a spec will have, without opening it: name=..., or the file's or
 * folder's name and what quant and dtype add. E_USAGE as backend_open. */
int backend_name(struct arena *a, const char *spec, const struct backend_options *options,
                 const char **ret, struct error *err);

/* E_USAGE: an unknown key (err names the nearest). E_IO, E_INPUT, E_UNSUPPORTED: the model. */
int backend_open(const char *spec, const struct backend_options *options, struct backend **ret,
                 struct error *err);
void backend_close(struct backend *b);
const struct backend_info *backend_info(const struct backend *b); /* lives as long as b */

/* messages: list of {"role", "content"}. Where the template fails, it is tried again without the
 * system messages, as lm-evaluation-harness does.
 * `continue_final`: the last message is an assistant's beginning and stays open. */
int backend_render_chat(const struct backend *b, struct arena *a, const struct value *messages,
                        bool add_generation_prompt, bool continue_final, struct str *ret,
                        struct error *err);

/* One token as the text it stands for; bytes that are no UTF-8 alone are given as they are. */
struct str backend_token_text(const struct backend *b, struct arena *a, int32_t id);

/* A request, ready to be asked; everything it points to is copied. Belongs to the caller until it
 * is asked; backend_drop takes NULL.
 * E_INPUT: it cannot be asked (double BOS, empty continuation). */
struct prepared;
int backend_prepare(struct backend *b, const struct request *q, struct prepared **ret,
                    struct error *err);
void backend_drop(struct prepared *p);

/* Takes it over. `tag` comes back with the response. */
void backend_ask(struct backend *b, struct prepared *p, uint64_t tag);

/* Both at once; nothing is in flight on failure. */
int backend_submit(struct backend *b, const struct request *q, uint64_t tag, struct error *err);

/* How many more requests the backend likes to hold now, so that its batches stay full. */
int backend_room(const struct backend *b);

struct completion {
    uint64_t tag;
    struct response response; /* its strings and tokens live in the arena given to backend_poll */
};

/* Runs the engine for one step when there is work, and hands out up to `max` finished requests in
 * `ret`. Returns their number (0: not yet), or a negative error of the whole backend. */
int backend_poll(struct backend *b, struct arena *a, struct completion *ret, int max,
                 struct error *err);
int backend_in_flight(const struct backend *b);

struct backend_stats {
    int64_t tokens_computed; /* rows that went through the model */
    int64_t tokens_asked;    /* rows that the answered requests have, had nothing been shared */
    int64_t tokens_generated;
    int64_t steps;
    double seconds_busy;
};
struct backend_stats backend_stats(const struct backend *b);

/* ---- two models side by side ---- */

/* What a token that came was to two models, and how far B's distribution over all tokens in its
 * place is from A's. */
struct token_divergence {
    int position;  /* of its request in the list */
    int place;     /* in the request's tokens, as a response has them */
    int32_t token; /* the one that came; its log-probabilities: */
    double logprob_a, logprob_b;
    double kl;     /* D(A || B) = sum p_A ln(p_A / p_B) over the whole vocabulary, in nats */
    bool same_top; /* both find the same token most probable */
};

/* The requests of a document, and those of the document before it. */
struct divergence_texts {
    const struct request *requests, *before;
    int n, n_before;
};

/* Every token of the requests that has tokens before it: prompts with the continuations that are
 * scored (of generated ones the prompts; of whole texts each token once). A beginning that an
 * earlier request has too counts there alone, in the same document or in the one before. Result in
 * the arena, by request and place. Memory is bounded: a few logits of both exist at once. The bits
 * do not depend on how the tokens are cut into steps, and are 0 for a model against itself. Nothing
 * may be in flight. E_INPUT: the models do not read the requests as the same tokens, or have NaN
 * among their logits. */
int backend_divergence(struct backend *a, struct backend *b, const struct divergence_texts *texts,
                       struct arena *arena, struct token_divergence **ret, int *n,
                       struct error *err);

/* A matrix that was quantized, and what that did. */
struct saved_matrix {
    const char *module; /* "model.layers.0.self_attn.q_proj" */
    double error;       /* relative: of its output over the calibration text, else of itself */
    bool of_output;
    size_t before, after; /* bytes */
};

struct save_options {
    void (*told)(void *arg, const char *what, double share); /* "quantizing", "writing": 0 .. 1 */
    void (*made)(void *arg, const struct saved_matrix *m);
    void *arg; /* both may be NULL */
};

struct save_sizes {
    size_t before, after; /* bytes of all tensors */
};

/* Quantizes a Hugging Face folder's model as its spec asks and writes it as another folder, which
 * must not be there, in compressed-tensors' form. It appears whole or not at all. E_USAGE: a scheme
 * that has no such form, or the folder is there. E_UNSUPPORTED: a GGUF file, or a model that is
 * quantized. E_INPUT: groups that do not divide its columns. E_IO. */
int backend_save(const char *spec, const struct backend_options *options,
                 const struct save_options *o, const char *folder, struct save_sizes *ret,
                 struct error *err);

/* How fast the model runs, without a task: `batch` sequences of n_prompt made-up tokens, each
 * continued by n_new (2 or more) tokens; n_new = 0 measures the prompts, else only what is
 * generated is. */
struct backend_load {
    int batch, n_prompt, n_new;
};
struct backend_speed {
    double tokens;       /* a second, of prompts or generated */
    double flops, bytes; /* a second: arithmetic of matrices and attention; weights and cache read,
                            0 for prompts, which arithmetic bounds */
};

/* The best of `repeat` runs. Nothing may be in flight. E_INPUT, E_MEMORY: the load does not fit
 * into the model's context or the cache. */
int backend_speed(struct backend *b, const struct backend_load *load, int repeat,
                  struct backend_speed *ret, struct error *err);

/* What the machine could do at best with the threads of this backend, by the same units; `flops`
 * for the arithmetic of the model's dtype, or of the whole numbers that act=int8 multiplies. */
struct backend_speed backend_peak(struct backend *b);

#endif
