/* The kernels' check and bench.
 *
 *     test_kernels                 checks every level's operations against the scalar reference
 *     test_kernels --seed=N        with other random numbers
 *     test_kernels --cuda          checks the CUDA kernels instead of the processor's
 *     test_kernels --bench[=WORD]  times those whose name holds WORD, beside measured peaks
 *     test_kernels --threads=N     before --bench: with N threads instead of one a core
 *
 * A level (ref, avx2, avx512, and emulated: the AVX-512 sources on any processor) is checked two
 * ways. Closeness: each value lies within an error bound that follows from the length of its sum
 * and the magnitudes of its operands, not from experience. Invariance: a row's bits are the same
 * alone, among other rows, in other chunks, with other threads. A failure prints seed, shape, first
 * differing index and both values. */

#include "base/arena.h"
#include "kernels/format.h"
#include "tests/check.h"
#include "tests/kernels/compare.h"
#include "tests/kernels/levels.h"
#include "tests/kernels/on_device.h"
#include "tests/kernels/story.h"

#ifdef ASSAY_EMULATED
void emulated_kernels(struct kernels *k);
#endif

#ifdef ASSAY_CUDA
static bool cuda_wanted, cuda_here = true;

/* The first device; on a machine that has none the level is left out. */
static void cuda_kernels(struct kernels *k)
{
    struct error err;
    struct kernels inner;
    cuda_here = kernels_cuda(0, &inner, &err) == 0;
    if (!cuda_here) {
        printf("# %s\n", err.msg);
        return;
    }
    k->close(k->dev);
    *k = on_device(&inner);
}
#endif

/* ---- The operations as the checks call them ---- */

struct level levels[N_LEVELS] = {
    {.name = "ref", .numerics = "cpu-ref-2"},
    {.name = "avx2", .numerics = "cpu-avx2-3", .features = CPU_AVX2},
    {.name = "avx512", .numerics = "cpu-avx512-2", .features = CPU_AVX2 | CPU_AVX512},
#ifdef ASSAY_EMULATED
    {.name = "emulated",
     .numerics = "cpu-avx512-2",
     .features = CPU_AVX2,
     .emulated = emulated_kernels},
#endif
#ifdef ASSAY_CUDA
    {.name = "cuda", .numerics = "cuda-1", .emulated = cuda_kernels, .slow = true},
#endif
};

const struct kernels *const ref = &levels[0].k[0];

bool level_here(const struct level *l)
{
#ifdef ASSAY_CUDA
    if ((l->emulated == cuda_kernels) != cuda_wanted || (cuda_wanted && !cuda_here))
        return false;
#endif
    return (cpu_features() & l->features) == l->features;
}

static void levels_open(void)
{
    for (int i = 0; i < N_LEVELS; i++)
        for (int t = 0; t < 3; t++) {
            levels[i].pools[t] = pool_new(t + 1);
            levels[i].k[t] = kernels_cpu(levels[i].features, levels[i].pools[t]);
            if (levels[i].emulated && level_here(&levels[i]))
                levels[i].emulated(&levels[i].k[t]);
        }
}

static void levels_close(void)
{
    for (int i = 0; i < N_LEVELS; i++)
        for (int t = 0; t < 3; t++) {
            levels[i].k[t].close(levels[i].k[t].dev);
            pool_free(levels[i].pools[t]);
        }
}

struct weight packed(const struct level *l, const struct weight *w)
{
    struct weight ret = *w;
    struct error e = {0};
    EXPECT_OK(l->k[0].weight_pack(l->k[0].dev, &ret, &e), &e);
    return ret;
}

void unpack(const struct level *l, struct weight *w)
{
    l->k[0].weight_free(l->k[0].dev, w);
}

/* ---- The rest of the table ---- */

static void memory_and_pack(void)
{
    FOR_LEVELS(l)
    {
        const struct kernels *k = &l->k[0];
        struct error e = {0};
        static const char blocks[4 * 2 * 34];
        void *p = k->buffer_new(k->dev, 1000);
        EXPECT(p && ((uintptr_t)p & 63) == 0);
        k->to_device(k->dev, p, "words", 6);
        char back[6];
        k->to_host(k->dev, back, p, 6);
        EXPECT_Z(back, "words");
        k->buffer_free(k->dev, p);
        k->buffer_free(k->dev, NULL);
        EXPECT(k->buffer_new(k->dev, SIZE_MAX - 10) == NULL);
        struct weight w = {.format = FORMAT_Q8_0, .rows = 4, .cols = 64, .data = blocks};
        EXPECT_OK(k->weight_pack(k->dev, &w, &e), &e);
        k->weight_free(k->dev, &w);
        w.cols = 65;
        EXPECT_ERROR(k->weight_pack(k->dev, &w, &e), &e, E_UNSUPPORTED, "multiples of 32");
        w = (struct weight){.format = FORMAT_F32, .rows = 0, .cols = 64, .data = ""};
        EXPECT_ERROR(k->weight_pack(k->dev, &w, &e), &e, E_UNSUPPORTED, "0 rows");
        const int32_t perm[] = {0, 2};
        const float scales[] = {1, 1};
        struct weight codes = {.format = FORMAT_FP8,
                               .rows = 2,
                               .cols = 2,
                               .data = "ab\x7f\xff",
                               .scales = scales,
                               .scale_format = FORMAT_F32,
                               .scale = 1,
                               .group = 2,
                               .group_rows = 1};
        EXPECT_ERROR(k->weight_pack(k->dev, &codes, &e), &e, E_INPUT,
                     "2 of its 4 codes are no numbers");
        codes.format = FORMAT_INT8;
        codes.perm = perm;
        EXPECT_ERROR(k->weight_pack(k->dev, &codes, &e), &e, E_INPUT,
                     "column 1 is to multiply input 2");
        codes.scales = NULL;
        EXPECT_ERROR(k->weight_pack(k->dev, &codes, &e), &e, E_UNSUPPORTED, "it has no scales");
    }
}

/* meson.build decides: */
#define EMULATION_ABSENT "AVX-512 is not emulated: it takes libsimde-dev and no sanitizers"

static void levels_differ(void)
{
    FOR_LEVELS(l)
    {
        EXPECT_Z(l->k[0].numerics, l->numerics);
    }
    struct buf absent = {0};
    for (const struct level *l = levels; l < levels + N_LEVELS; l++)
        if (!level_here(l))
            buf_printf(&absent, "%s%s", absent.n ? ", " : "this processor does not have ", l->name);
#ifndef ASSAY_EMULATED
    buf_printf(&absent, "%s", absent.n ? "; " EMULATION_ABSENT : EMULATION_ABSENT);
#endif
    if (absent.n)
        printf("# %s\n", absent.p);
    buf_free(&absent);
}

static int usage(const char *word)
{
    fprintf(stderr, "test_kernels: \"%s\" is not --seed=N, --threads=N, --bench or --bench=WORD\n",
            word);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        {"levels_differ", levels_differ},
        {"memory_and_pack", memory_and_pack},
        {"linear", linear},
        {"linear_codes", linear_codes},
        {"weights", weights},
        {"packed_sizes", packed_sizes},
        {"linear_not_finite", linear_not_finite},
        {"int8", int8},
        {"int8_extremes", int8_extremes},
        {"quantized_activations", quantized_activations},
        {"activations_not_finite", activations_not_finite},
        {"add_rmsnorm", add_rmsnorm},
        {"rope_angles", rope_angles},
        {"rope", rope},
        {"silu_mul", silu_mul},
        {"relu2_mul", relu2_mul},
        {"add", add},
        {"round_to", round_to},
        {"embed_and_gather", embed_and_gather},
        {"attention", attention},
        {"copied_positions", copied_positions},
        {"logprobs", logprobs},
        {"logprobs_edges", logprobs_edges},
        {"logprobs_top", logprobs_top},
        {"logprobs_several", logprobs_several},
    };
    int n_threads = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--seed=", 7) == 0)
            random_seed(strtoull(argv[i] + 7, NULL, 10));
        else if (strncmp(argv[i], "--threads=", 10) == 0)
            n_threads = atoi(argv[i] + 10);
#ifdef ASSAY_CUDA
        else if (strcmp(argv[i], "--cuda") == 0)
            cuda_wanted = true;
#endif
        else if (strcmp(argv[i], "--bench") == 0)
            return bench_run("", n_threads);
        else if (strncmp(argv[i], "--bench=", 8) == 0)
            return bench_run(argv[i] + 8, n_threads);
        else
            return usage(argv[i]);
    }
    levels_open();
    int r = check_run(tests, (int)(sizeof tests / sizeof *tests));
    levels_close();
    return r;
}
