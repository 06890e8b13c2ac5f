/* device.h: what the CPU's variants share. Private to kernels/cpu/.
 *
 * A variant's file defines its operations and puts them into the table by one function;
 * kernels_cpu() (cpu.c) picks. The functions here are compiled without the variants' flags. */
#ifndef ASSAY_KERNELS_CPU_DEVICE_H
#define ASSAY_KERNELS_CPU_DEVICE_H

#include "kernels/kernels.h"

struct device {
    struct pool *pool;
    void *scratch; /* one piece for every thread, device_scratch() */
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

/* The floats of one layer's keys or values of one position's page. */
static inline const float *kv_page(const struct kv_cache *kv, int layer, const struct batch *b,
                                   int sequence, int page)
{
    size_t half = (size_t)kv->page_positions * (size_t)kv->n_kv_heads * (size_t)kv->head_size;
    int32_t id = b->page_table[(size_t)sequence * (size_t)b->max_pages + (size_t)page];
    return kv->data + ((size_t)id * (size_t)kv->n_layers + (size_t)layer) * 2 * half;
}

void kernels_ref(struct kernels *k);  /* every operation */
void kernels_avx2(struct kernels *k); /* those that it does faster */

#endif
