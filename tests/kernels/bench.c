/* bench.c: how fast, beside what this machine could do.
 *
 * The peaks (kernels/probe.h) are measured first, with all threads. Each line is the best of
 * several runs: time, GFLOP/s with the share of the f32 peak, or GB/s of what must be read with the
 * share of reading. With --threads=1 the clock is the processor time of the process, which other
 * work on the machine disturbs much less than the wall's (with more threads the system's count of
 * it lags behind too far for short runs). */
#include "tests/kernels/operands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "kernels/probe.h"

static clockid_t bench_clock = CLOCK_MONOTONIC;

struct bench {
    const char *pattern;
    struct kernels k;
    struct peaks peaks;
};

struct operands {
    struct weight *weights; /* enough of them that they are not all in the cache */
    int n_weights, T;
    float *x, *y, *z, *angles;
    int32_t *ids, *sequences, *table;
    struct kv_cache kv;
    int heads, n_sequences;
    bool int8; /* the work is whole numbers' */
    struct pool *pool;
};

/* Runs f some times, at least 0.4 s, and prints the best; flops or bytes: what one run takes. */
static void measure(const struct bench *b, const char *name, double flops, double bytes,
                    void (*f)(const struct kernels *, const struct operands *, int turn),
                    const struct operands *o)
{
    if (!strstr(name, b->pattern))
        return;
    double best = 1e9, begin = clock_seconds(bench_clock);
    for (int turn = 0; turn < 5 || clock_seconds(bench_clock) - begin < 0.4; turn++) {
        double start = clock_seconds(bench_clock);
        f(&b->k, o, turn);
        double took = clock_seconds(bench_clock) - start;
        best = took < best ? took : best;
    }
    printf("%-34s %10.1f us", name, best * 1e6);
    if (flops > 0)
        printf("  %7.1f %s %3.0f %%", flops / best * 1e-9, o->int8 ? "GOP/s  " : "GFLOP/s",
               100 * flops / best / (o->int8 ? b->peaks.int8 : b->peaks.f32));
    if (bytes > 0)
        printf("  %7.1f GB/s %3.0f %%", bytes / best * 1e-9, 100 * bytes / best / b->peaks.bytes);
    printf("\n");
}

/* Activations are aligned, as buffers of the table are. */
static float *aligned_floats(const struct bench *b, size_t n)
{
    float *random = random_floats(n), *ret = b->k.buffer_new(b->k.dev, n * sizeof *ret);
    if (!ret)
        abort();
    memcpy(ret, random, n * sizeof *ret);
    floats_free(random);
    return ret;
}

static struct weight packed(const struct bench *b, const struct weight *w)
{
    struct weight ret = *w;
    struct error err;
    if (b->k.weight_pack(b->k.dev, &ret, &err) < 0)
        abort();
    return ret;
}

static void run_linear(const struct kernels *k, const struct operands *o, int turn)
{
    (void)turn;
    for (int i = 0; i < o->n_weights; i++)
        k->linear(k->dev, o->y, o->x, &o->weights[i], NULL, o->T);
}

/* Codes as the first of the variants has them: the most usual. */
static struct weight usual_weight(enum format f, int N, int K)
{
    for (int i = 0; i < n_code_variants; i++)
        if (code_variants[i].format == f)
            return random_codes(&code_variants[i], N, K);
    return random_weight(f, N, K);
}

enum { FEW = 32 };

/* Few rows multiply many weights in a run, so that they outgrow the caches as a model's do. */
static void bench_product(const struct bench *b, enum format f, bool int8, int T, int N, int K)
{
    char name[64];
    struct weight file = usual_weight(f, N, K);
    double bytes = (double)weight_bytes(&file), flops = 2.0 * T * N * K;
    struct operands o = {.n_weights = T > FEW ? 1 : 1 + (int)(1e8 / bytes), .T = T, .int8 = int8};
    snprintf(name, sizeof name, "%s_%s T=%d N=%d K=%d x%d", int8 ? "int8" : "linear",
             format_info[f].name, T, N, K, o.n_weights);
    if (!strstr(name, b->pattern)) {
        weight_drop(&file);
        return;
    }
    o.weights = mem_alloc((size_t)o.n_weights, sizeof *o.weights);
    file.x.kind = int8 ? X_INT8 : X_F32;
    for (int i = 0; i < o.n_weights; i++)
        o.weights[i] = packed(b, &file);
    o.x = aligned_floats(b, (size_t)T * (size_t)K);
    o.y = aligned_floats(b, (size_t)T * (size_t)N);
    measure(b, name, T > 1 ? flops * o.n_weights : 0, T > FEW ? 0 : bytes * o.n_weights, run_linear,
            &o);
    for (int i = 0; i < o.n_weights; i++)
        b->k.weight_free(b->k.dev, &o.weights[i]);
    weight_drop(&file);
    free(o.weights);
    b->k.buffer_free(b->k.dev, o.x);
    b->k.buffer_free(b->k.dev, o.y);
}

static void bench_linear(const struct bench *b, enum format f, int T, int N, int K)
{
    bench_product(b, f, false, T, N, K);
}

/* Activations quantized to INT8, that too. */
static void bench_int8(const struct bench *b)
{
    static const enum format formats[] = {FORMAT_INT8, FORMAT_Q8_0, FORMAT_Q4_0,   FORMAT_Q4_1,
                                          FORMAT_Q4_K, FORMAT_INT4, FORMAT_TERNARY};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        int D = 576 % format_info[formats[i]].block ? 512 : 576;
        bench_product(b, formats[i], true, 512, 1536, D);
        bench_product(b, formats[i], true, 512, D, 1536);
        bench_product(b, formats[i], true, 512, 192, D);
        for (int T = 32; T > 1; T /= 4)
            bench_product(b, formats[i], true, T, 1536, D);
        bench_product(b, formats[i], true, 1, 1536, D);
    }
}

static void run_logprobs(const struct kernels *k, const struct operands *o, int turn)
{
    (void)turn;
    k->logprobs(k->dev, (struct token_logprob *)(void *)o->y, NULL, o->weights,
                &(struct asked){.T = o->T, .x = o->x, .targets = o->ids});
}

static void bench_logprobs(const struct bench *b, enum format f, int T, int V, int D)
{
    char name[64];
    snprintf(name, sizeof name, "logprobs_%s T=%d V=%d D=%d", format_info[f].name, T, V, D);
    if (!strstr(name, b->pattern))
        return;
    struct weight file = random_weight(f, V, D), head = packed(b, &file);
    struct operands o = {.weights = &head, .T = T};
    o.x = aligned_floats(b, (size_t)T * (size_t)D);
    o.y = mem_alloc((size_t)T, sizeof(struct token_logprob));
    o.ids = mem_alloc((size_t)T, sizeof *o.ids);
    double bytes = (double)V * (double)format_row_bytes(f, D), flops = 2.0 * T * V * D;
    measure(b, name, T > 1 ? flops : 0, T > 1 ? 0 : bytes, run_logprobs, &o);
    free(o.ids);
    free(o.y);
    b->k.buffer_free(b->k.dev, o.x);
    b->k.weight_free(b->k.dev, &head);
    weight_drop(&file);
}

static void run_attention(const struct kernels *k, const struct operands *o, int turn)
{
    (void)turn;
    struct batch batch = {.n_rows = o->T,
                          .positions = o->ids,
                          .sequences = o->sequences,
                          .page_table = o->table,
                          .n_sequences = o->n_sequences,
                          .max_pages = o->kv.n_pages / o->n_sequences};
    k->attention(k->dev, o->y, o->x, &o->kv, 0, &batch, o->heads, 0.125f);
}

/* The last T rows of a context of `n` positions; or with several sequences, T/sequences of each. */
static void bench_attention(const struct bench *b, int sequences, int T, int n, int H, int G, int S)
{
    char name[64];
    snprintf(name, sizeof name, "attention T=%d n=%d H=%d G=%d S=%d", T, n, H, G, S);
    if (sequences > 1)
        snprintf(name, sizeof name, "attention T=%d x%d n=%d H=%d G=%d S=%d", T / sequences,
                 sequences, n, H, G, S);
    if (!strstr(name, b->pattern))
        return;
    enum { P = 16 };
    int each = T / sequences, pages = n / P + 1;
    struct operands o = {
        .T = T, .heads = H, .n_sequences = sequences, .kv = {NULL, 1, G, S, P, sequences * pages}};
    size_t q = (size_t)T * (size_t)(H * S), kv = (size_t)(o.kv.n_pages * P * G * S);
    o.x = aligned_floats(b, q);
    o.y = aligned_floats(b, q);
    o.kv.data = aligned_floats(b, 2 * kv);
    o.ids = mem_alloc((size_t)T, sizeof *o.ids);
    o.sequences = mem_alloc((size_t)T, sizeof *o.sequences);
    o.table = mem_alloc((size_t)o.kv.n_pages, sizeof *o.table);
    double flops = 0;
    for (int i = 0; i < o.kv.n_pages; i++)
        o.table[i] = i;
    for (int t = 0; t < T; t++) {
        o.sequences[t] = t / each;
        o.ids[t] = n - each + t % each;
        flops += 4.0 * H * S * (o.ids[t] + 1);
    }
    measure(b, name, each > 1 ? flops : 0, each > 1 ? 0 : 8.0 * sequences * n * G * S,
            run_attention, &o);
    free(o.ids);
    free(o.sequences);
    free(o.table);
    b->k.buffer_free(b->k.dev, o.x);
    b->k.buffer_free(b->k.dev, o.y);
    b->k.buffer_free(b->k.dev, o.kv.data);
}

static void run_rmsnorm(const struct kernels *k, const struct operands *o, int turn)
{
    (void)turn;
    k->add_rmsnorm(k->dev, o->y, o->x, NULL, o->z, o->T, o->heads, 1e-5f, FORMAT_F32);
}

static void run_add_rmsnorm(const struct kernels *k, const struct operands *o, int turn)
{
    (void)turn;
    k->add_rmsnorm(k->dev, o->y, o->x, o->y, o->z, o->T, o->heads, 1e-5f, FORMAT_F32);
}

static void run_silu(const struct kernels *k, const struct operands *o, int turn)
{
    (void)turn;
    k->silu_mul(k->dev, o->y, o->x, o->x, (size_t)o->T * (size_t)o->heads, FORMAT_F32);
}

static void run_add(const struct kernels *k, const struct operands *o, int turn)
{
    (void)turn;
    k->add(k->dev, o->y, o->x, (size_t)o->T * (size_t)o->heads, FORMAT_F32);
}

static void run_round(const struct kernels *k, const struct operands *o, int turn)
{
    (void)turn;
    k->round_to(k->dev, o->y, (size_t)o->T * (size_t)o->heads, FORMAT_BF16);
}

static void run_rope(const struct kernels *k, const struct operands *o, int turn)
{
    (void)turn;
    k->rope(k->dev, o->y, o->angles, o->T, o->heads / 64, 64, ROPE_HALVES, FORMAT_F32);
}

/* Operations on rows: what they read and write. */
static void bench_rows(const struct bench *b, int T, int D)
{
    static const struct {
        const char *name;
        double arrays;
        void (*f)(const struct kernels *, const struct operands *, int turn);
    } ops[] = {{"rmsnorm", 2, run_rmsnorm}, {"add_rmsnorm", 4, run_add_rmsnorm},
               {"silu_mul", 3, run_silu},   {"add", 3, run_add},
               {"round_to", 2, run_round},  {"rope", 2, run_rope}};
    size_t n = (size_t)T * (size_t)D;
    struct operands o = {.T = T, .heads = D};
    o.x = aligned_floats(b, n);
    o.y = aligned_floats(b, n);
    o.z = random_floats((size_t)D);
    o.angles = random_floats((size_t)T * 64);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s T=%d D=%d", ops[i].name, T, D);
        measure(b, name, 0, ops[i].arrays * 4 * (double)n, ops[i].f, &o);
    }
    b->k.buffer_free(b->k.dev, o.x);
    b->k.buffer_free(b->k.dev, o.y);
    floats_free(o.z);
    floats_free(o.angles);
}

/* About a microsecond. */
static void run_little(void *arg, size_t part, int thread)
{
    (void)thread;
    volatile int *p = (int *)arg + 16 * part;
    for (int i = 0; i < 500; i++)
        *p = *p + 1;
}

static void run_loop(const struct kernels *k, const struct operands *o, int turn)
{
    (void)k;
    (void)turn;
    pool_run(o->pool, 8, run_little, o->ids);
}

static void run_serial(const struct kernels *k, const struct operands *o, int turn)
{
    (void)k;
    (void)turn;
    for (size_t part = 0; part < 8; part++)
        run_little(o->ids, part, 0);
}

/* Eight short parts by the pool and without it. */
static void bench_pool(const struct bench *b, struct pool *pool)
{
    int32_t counts[8 * 16] = {0};
    struct operands o = {.ids = counts, .pool = pool};
    measure(b, "pool_run", 0, 0, run_loop, &o);
    measure(b, "pool_run, serial", 0, 0, run_serial, &o);
}

int bench_run(const char *pattern, int n_threads)
{
    struct pool *pool = pool_new(n_threads);
    struct bench b = {.pattern = pattern, .k = kernels_cpu(cpu_features(), pool)};
    if (pool_size(pool) == 1)
        bench_clock = CLOCK_PROCESS_CPUTIME_ID;
    b.peaks = probe_peaks(pool, bench_clock);
    printf("%s, %d threads; peaks: f32 %.1f GFLOP/s, bf16 %.1f, int8 %.1f; %.1f GB/s read\n",
           b.k.numerics, pool_size(pool), b.peaks.f32 * 1e-9, b.peaks.bf16 * 1e-9,
           b.peaks.int8 * 1e-9, b.peaks.bytes * 1e-9);
    bench_pool(&b, pool);
    for (int f = 0; f < FORMAT_COUNT; f++) {
        int D = 576 % format_info[f].block ? 512 : 576;
        bench_linear(&b, (enum format)f, 512, 1536, D);
        bench_linear(&b, (enum format)f, 512, D, 1536);
        bench_linear(&b, (enum format)f, 512, 192, D);
        bench_linear(&b, (enum format)f, 32, 1536, D);
        for (int T = 2; T <= 16; T *= 2)
            bench_linear(&b, (enum format)f, T, 1536, D);
        bench_linear(&b, (enum format)f, 8, D, 1536);
        bench_linear(&b, (enum format)f, 1, 1536, D);
        bench_linear(&b, (enum format)f, 1, D, 1536);
    }
    bench_int8(&b);
    bench_linear(&b, FORMAT_F32, 128, 2048, 8192);
    bench_linear(&b, FORMAT_Q8_0, 1, 2048, 8192);
    bench_logprobs(&b, FORMAT_Q8_0, 1, 49152, 576);
    bench_logprobs(&b, FORMAT_Q8_0, 8, 49152, 576);
    bench_logprobs(&b, FORMAT_Q8_0, 64, 49152, 576);
    bench_attention(&b, 1, 1, 1024, 9, 3, 64);
    bench_attention(&b, 1, 1, 1 << 16, 9, 3, 64);
    bench_attention(&b, 32, 32, 1024, 9, 3, 64);
    bench_attention(&b, 32, 32, 512, 32, 32, 64);
    bench_attention(&b, 1, 512, 512, 9, 3, 64);
    bench_attention(&b, 1, 512, 2048, 9, 3, 64);
    bench_attention(&b, 1, 256, 1024, 32, 32, 64);
    bench_attention(&b, 1, 256, 1024, 32, 8, 128);
    bench_rows(&b, 512, 576);
    bench_rows(&b, 1, 576);
    b.k.close(b.k.dev);
    pool_free(pool);
    return 0;
}
