/* device.h: what the CPU's variants share. Private to kernels/cpu/.
 *
 * A variant's file defines its operations and puts them into the table by one function;
 * kernels_cpu() (cpu.c) picks. The functions here are compiled without the variants' flags. */
#ifndef ASSAY_KERNELS_CPU_DEVICE_H
#define ASSAY_KERNELS_CPU_DEVICE_H

#include "kernels/kernels.h"

struct chunk;

struct device {
    struct pool *pool;
    int panel; /* columns of a packed weight's panel (pack.h); 0: weights stay as they are */
    struct chunk *chunks; /* memory_take() */
    void *scratch;        /* one piece for every thread, device_scratch() */
    size_t scratch_bytes;
    void *shared; /* one piece for a whole call, device_shared() */
    size_t shared_bytes;
};

/* Working memory for one call, 64-byte aligned and not zeroed: `bytes` for each thread, of which
 * thread i's lie at ret + i * *stride; or one piece that all threads share. They only ever grow, so
 * once a model's largest shapes were seen nothing is allocated. Not to be called inside a loop of
 * the pool. */
char *device_scratch(struct device *dev, size_t bytes, size_t *stride);
void *device_shared(struct device *dev, size_t bytes);

/* Memory in huge pages, where the system gives them: aligned to 2 MiB, not zeroed; free() it.
 * NULL when it does not fit. */
void *huge_new(size_t bytes);

/* Parts of large pieces of such memory, 64-byte aligned; all that was not given back goes with the
 * device. NULL when it does not fit. */
void *memory_take(struct device *dev, size_t bytes);
void memory_give(struct device *dev, const void *p);
void memory_close(struct device *dev);

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The first of `left`'s even shares of at most `most` each; left > 0. */
static inline size_t even_share(size_t left, size_t most)
{
    size_t shares = (left + most - 1) / most;
    return (left + shares - 1) / shares;
}

/* Loops shorter than this many multiply-adds, or this many floats, are not worth a thread. */
enum { SERIAL_PRODUCTS = 1 << 16, SERIAL_FLOATS = 1 << 14 };

/* Runs the loop on the pool, or in the caller when the work is small. */
static inline void share(struct device *dev, bool small, size_t n_parts,
                         void (*f)(void *arg, size_t part, int thread), void *arg)
{
    if (!small) {
        pool_run(dev->pool, n_parts, f, arg);
        return;
    }
    for (size_t part = 0; part < n_parts; part++)
        f(arg, part, 0);
}

/* One layer of a sequence's page: how it is laid out is the variant's own matter. */
static inline float *kv_page(const struct kv_cache *kv, int layer, const struct batch *b,
                             int sequence, int page)
{
    size_t half = (size_t)kv->page_positions * (size_t)kv->n_kv_heads * (size_t)kv->head_size;
    int32_t id = b->page_table[(size_t)sequence * (size_t)b->max_pages + (size_t)page];
    return kv->data + ((size_t)id * (size_t)kv->n_layers + (size_t)layer) * 2 * half;
}

/* Where row t's targets begin, and those of the rows before it end. */
static inline size_t asked_before(const struct asked *a, size_t t)
{
    return !a->ends ? t : t > 0 ? (size_t)a->ends[t - 1] : 0;
}

void kernels_ref(struct kernels *k);    /* every operation */
void avx2_kernels(struct kernels *k);   /* those that it does faster (level.c) */
void avx512_kernels(struct kernels *k); /* likewise */

#endif
