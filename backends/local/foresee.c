#include "backends/local/foresee.h"

enum {
    KV_POSITIONS = 16384,
    KV_ENOUGH = 8192, /* a prompt of any usual task */
    KV_LEAST = 1024,
    SAMPLER_BYTES = 24,       /* a token of the vocabulary and thread: sample.c */
    THREAD_BYTES = 512 << 10, /* of the kernels, and the thread's own */
    SPLIT_PARTS = 1 << 16,    /* of contexts that attention splits among threads: at most as many */
    OVERHEAD = 32 << 20,      /* tokenizer, tasks, rows on their way */
};

size_t position_bytes(const struct model *m)
{
    return sizeof(float) * 2 * (size_t)m->n_layers * (size_t)m->n_kv_heads * (size_t)m->head_size;
}

/* Rows of a step in all their shapes, logits of those that sample, and the rest of the program. */
static size_t working_bytes(const struct model *m, const struct engine_options *o)
{
    size_t T = (size_t)o->token_budget, H = (size_t)m->n_heads * (size_t)m->head_size,
           G = (size_t)m->n_kv_heads * (size_t)m->head_size, D = (size_t)m->width;
    size_t floats = T * (2 * D + 3 * H + 2 * G + 2 * (size_t)m->hidden);
    size_t tables = T * ((size_t)o->max_length / PAGE_POSITIONS + 1) * sizeof(int32_t);
    size_t sampling =
        (size_t)m->vocab * (16 * sizeof(float) + SAMPLER_BYTES * (size_t)pool_size(o->pool));
    size_t threads = (size_t)pool_size(o->pool);
    size_t split = threads > 1 ? SPLIT_PARTS * ((size_t)m->head_size + 2) * sizeof(float) : 0;
    return floats * sizeof(float) + tables + sampling + threads * THREAD_BYTES + split + OVERHEAD;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t choose_kv(const struct model *m, const struct engine_options *o, size_t quarter,
                        size_t left)
{
    size_t position = position_bytes(m), context = (size_t)o->max_length;
    size_t enough = least(context, KV_ENOUGH) * position;
    size_t kv = least(least(64 * context, KV_POSITIONS) * position, quarter);
    kv = kv > enough ? kv : enough;
    if (kv > left && left >= least(context, KV_LEAST) * position)
        kv = left;
    return kv;
}

static double mib(size_t bytes)
{
    return (double)bytes / 0x1p20;
}

int foresee(const struct model *m, const struct kernels *k, struct engine_options *o,
            size_t available, struct error *err)
{
    size_t weights = model_pack_bytes(m, k), working = working_bytes(m, o);
    size_t fixed = weights + working;
    size_t left = available > fixed ? available - fixed : 0;
    bool chosen = o->kv_bytes == 0;
    if (chosen)
        o->kv_bytes = choose_kv(m, o, available / 4, left);
    size_t page = PAGE_POSITIONS * position_bytes(m);
    if (o->kv_bytes < page)
        return error_set(
            err, E_MEMORY,
            "%zu bytes of keys and values hold not even %d tokens of the model \"%s\"; "
            "give at least --kv-memory=%zuK, better as much as the longest prompt "
            "takes, %zu bytes a token",
            o->kv_bytes, PAGE_POSITIONS, m->files->path, (page + 1023) / 1024, position_bytes(m));
    if (o->kv_bytes <= left)
        return 0;
    return error_set(
        err, E_MEMORY,
        "not enough memory for the model \"%s\": %.0f MiB of weights, %.0f MiB of keys "
        "and values and %.0f MiB to work with (%d tokens at once) do not fit into the "
        "%.0f MiB that are free; %s",
        m->files->path, mib(weights), mib(o->kv_bytes), mib(working), o->token_budget,
        mib(available),
        left == 0 ? "quant=q8_0 behind the model makes its weights smaller, "
                    "--token-budget a step"
        : chosen  ? "a smaller --kv-memory holds shorter prompts only; "
                    "quant=q8_0 behind the model makes its weights smaller"
                  : "lower --kv-memory");
}
