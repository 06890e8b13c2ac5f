/* test_stored.c: checkpoints as other tools quantize them, read back number by number and asked as
 * a whole; and what is wrong with them, named. */
#include "backends/local/model.h"
#include "backends/local/quant_config.h"
#include "base/json.h"
#include "tests/backends/ask.h"
#include "tests/backends/packed_matrix.h"
#include "tests/backends/tiny_model.h"
#include "tests/check.h"

static const char *folder(struct arena *a)
{
    static char root[] = "/tmp/assay-stored-XXXXXX";
    static bool made;
    static int n;
    if (!made && mkdtemp(root))
        made = true;
    return arena_printf(a, "%s/%d", root, n++);
}

static const char *make(struct arena *a, const struct tiny_model *t)
{
    struct error err;
    const char *path = folder(a);
    EXPECT_OK(tiny_model_write(t, path, &err), &err);
    return path;
}

static int open_model(const char *path, struct pool *pool, struct model **ret, struct error *err)
{
    return model_open(path, NULL, pool, ret, err);
}

/* ---- number by number ---- */

struct matrix {
    const char *name;
    size_t offset;
    int64_t rows, cols;
};
static const struct matrix matrices[] = {
#define ROW(name, field, rows, cols)                                                               \
    {                                                                                              \
        name, offsetof(struct layer, field), rows, cols                                            \
    }
    ROW("self_attn.q_proj", q, 64, 64), ROW("self_attn.k_proj", k, 32, 64),
    ROW("self_attn.v_proj", v, 32, 64), ROW("self_attn.o_proj", o, 64, 64),
    ROW("mlp.gate_proj", gate, 96, 64), ROW("mlp.up_proj", up, 96, 64),
    ROW("mlp.down_proj", down, 64, 96),
#undef ROW
};
enum { N_MATRICES = sizeof matrices / sizeof *matrices };

/* A weight is one product of two floats: half a unit of the last place from the exact one, and a
 * scale that is a product or a quotient of two adds as much. */
static void expect_values(const char *packing, const struct matrix *m, int layer,
                          const struct weight *w)
{
    struct arena a = {0};
    struct packed_matrix want;
    const char *name = arena_printf(&a, "model.layers.%d.%s.weight", layer, m->name);
    packed_random(&a, packing_named(packing), tiny_seed(0, name), m->rows, m->cols,
                  sqrt(3.0 / (double)m->cols), &want);
    float *got = arena_array(&a, (size_t)m->cols, sizeof *got);
    EXPECT_INT(w->rows, m->rows);
    EXPECT_INT(w->cols, m->cols);
    for (int64_t r = 0; r < m->rows; r++) {
        weight_row_to_f32(w, r, got);
        for (int64_t c = 0; c < m->cols; c++) {
            double x = want.values[r * m->cols + c];
            if (!(fabs((double)got[c] - x) <= 0x1.8p-23 * fabs(x))) {
                check_fail(__FILE__, __LINE__, "%s: %s[%d, %d] is %.9g, not %.9g", packing, name,
                           (int)r, (int)c, (double)got[c], x);
                break;
            }
        }
    }
    arena_free(&a);
}

static void values_are_exact(void)
{
    struct pool *pool = pool_new(2);
    for (size_t i = 0; packing_number(i); i++) {
        struct arena a = {0};
        struct error err;
        struct model *m;
        const char *name = packing_name(packing_number(i));
        const char *path = make(&a, &(struct tiny_model){.kind = "hf-bf16", .packing = name});
        int r = open_model(path, pool, &m, &err);
        if (r < 0)
            check_fail(__FILE__, __LINE__, "%s: %s", name, err.msg);
        for (int layer = 0; r == 0 && layer < m->n_layers; layer++)
            for (size_t k = 0; k < N_MATRICES; k++)
                expect_values(name, &matrices[k], layer,
                              (const struct weight *)(const void *)((char *)&m->layers[layer] +
                                                                    matrices[k].offset));
        if (r == 0)
            model_close(m);
        arena_free(&a);
    }
    pool_free(pool);
}

/* ---- as a whole ---- */

static const struct request texts[] = {
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = {"The hat was on the", 18},
     .continuation = {" and", 4}},
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = {"and then there were", 19},
     .continuation = {" ing", 4}},
    {.kind = REQUEST_LOGLIKELIHOOD_ROLLING, .context = {"All the world's a stage, and all", 32}},
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

/* Weights alone: the logits are those of the exact values. */
static void answers_are_those_of_the_values(void)
{
    for (size_t i = 0; packing_number(i); i++) {
        const struct packing *p = packing_number(i);
        if (!packing_weights_only(p))
            continue;
        for (int reference = 0; reference < 2; reference++) {
            struct arena a = {0};
            struct asking how = {.reference = reference};
            struct tiny_model t = {.kind = "hf-f32", .packing = packing_name(p), .biases = i % 2};
            const char *packed = make(&a, &t);
            t.unpacked = true;
            struct response *got = ask(packed, &how, &a, texts, N_TEXTS),
                            *want = ask(make(&a, &t), &how, &a, texts, N_TEXTS);
            for (size_t k = 0; got && want && k < N_TEXTS; k++)
                if (!(fabs(got[k].logprob_nats - want[k].logprob_nats) <= 1e-4))
                    check_fail(__FILE__, __LINE__, "%s, text %zu: %.9g, not %.9g", t.packing, k,
                               got[k].logprob_nats, want[k].logprob_nats);
            arena_free(&a);
        }
    }
}

/* Every packing answers, and the same alone as together. */
static void answers_depend_on_their_tokens(void)
{
    for (size_t i = 0; packing_number(i); i++) {
        struct arena a = {0};
        struct asking plain = {0}, other = {.n_threads = 2, .token_budget = 5, .shuffle = 7};
        const char *path =
            make(&a, &(struct tiny_model){.kind = "hf-bf16",
                                          .packing = packing_name(packing_number(i))});
        struct response *want = ask(path, &plain, &a, texts, N_TEXTS),
                        *got = ask(path, &other, &a, texts, N_TEXTS);
        for (size_t k = 0; got && want && k < N_TEXTS; k++)
            if (got[k].logprob_nats != want[k].logprob_nats || !isfinite(got[k].logprob_nats))
                check_fail(__FILE__, __LINE__, "%s, text %zu: %.17g and %.17g",
                           packing_name(packing_number(i)), k, got[k].logprob_nats,
                           want[k].logprob_nats);
        arena_free(&a);
    }
}

CHECK_MAIN({"values_are_exact", values_are_exact},
           {"answers_are_those_of_the_values", answers_are_those_of_the_values},
           {"answers_depend_on_their_tokens", answers_depend_on_their_tokens})
