/* test_quantize.c: codes as compressed-tensors and the papers define them, the same whatever the
 * threads; and what is written is what was computed. */
#include "backends/local/draft.h"
#include "backends/local/gptq.h"
#include "backends/local/quantize.h"
#include "base/file.h"
#include "tests/backends/ask.h"
#include "tests/backends/tiny_model.h"

static const char *folder(struct arena *a, const char *name)
{
    static char root[] = "/tmp/assay-quantize-XXXXXX";
    static bool made;
    if (!made && mkdtemp(root))
        made = true;
    return arena_printf(a, "%s/%s", root, name);
}

static struct scheme scheme_of(struct arena *a, const struct scheme_words *w)
{
    struct scheme s = scheme_none();
    struct error err;
    EXPECT_OK(scheme_make(a, w, "model", &s, &err), &err);
    return s;
}

/* ---- rounding to the nearest ---- */

/* Golden: compressed-tensors 0.20 of this matrix in float32 (scales by hand below). */
static float value_at(int64_t row, int64_t col)
{
    return (float)((double)((col * 2654435761 + row * 40503) % 1000) / 500 - 0.7);
}

static const struct {
    struct scheme_words words;
    float scales[2];
    int zero;
    int8_t codes[12]; /* the first of row 0; FP8: bits */
} goldens[] = {
    {{.quant = "w4a16", .group_size = "32"},
     {0x1.589c32p-3f, 0x1.4e3bccp-3f},
     0,
     {-4, 5, 2, -1, -4, 5, 3, 0, -3, 6, 3, 0}},
    {{.quant = "w4a16", .group_size = "32", .symmetric = "false"},
     {0x1.0be0dep-3f, 0x1.050d3ep-3f},
     -3,
     {-8, 3, 0, -4, -8, 4, 0, -3, -7, 5, 1, -3}},
    {{.quant = "w8a16", .group_size = "32"},
     {0x1.4456c4p-7f, 0x1.3a92a2p-7f},
     0,
     {-71, 83, 35, -14, -62, 92, 44, -5, -53, 101, 53, 4}},
    {{.quant = "w8a8-fp8"},
     {0x1.7139a2p-9f, 0x1.661b8p-9f},
     0,
     {-8, 121, 111, -28, -10, 122, 114, -40, -12, 123, 116, 87}},
};

static int code_of(const struct weight *w, int64_t col)
{
    const uint8_t *p = w->data;
    return w->format == FORMAT_INT4 ? (p[col / 2] >> col % 2 * 4 & 15) - 8 : (int8_t)p[col];
}

static void rounds_as_compressed_tensors(void)
{
    struct pool *pool = pool_new(2);
    float x[2 * 32];
    for (int i = 0; i < 64; i++)
        x[i] = value_at(i / 32, i % 32);
    for (size_t g = 0; g < sizeof goldens / sizeof *goldens; g++) {
        struct arena a = {0};
        struct error err;
        struct scheme s = scheme_of(&a, &goldens[g].words);
        struct weight w = {0};
        EXPECT_OK(codes_new(&s, 2, 32, FORMAT_F32, &w, &err), &err);
        EXPECT_OK(round_to_nearest(pool, x, &w, &err), &err);
        for (int row = 0; row < 2; row++)
            EXPECT(((const float *)w.scales)[row] == goldens[g].scales[row]);
        if (w.zeros)
            EXPECT_INT(w.zeros[0] - 8, goldens[g].zero);
        for (int c = 0; c < 12; c++)
            EXPECT_INT(code_of(&w, c), goldens[g].codes[c]);
        free((void *)(uintptr_t)w.data);
        arena_free(&a);
    }
    pool_free(pool);
}

/* ---- GPTQ ---- */

enum { ROWS = 16, COLS = 32, SEEN = 200 };

/* Brute force in double: column by column, the inverse of what is left of H by elimination (the
 * formula of Optimal Brain Quantization that GPTQ reorders). */
static void invert(const double *h, int n, double *ret)
{
    double m[COLS][2 * COLS] = {{0}};
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            m[i][j] = h[i * n + j];
        m[i][n + i] = 1;
    }
    for (int c = 0; c < n; c++) {
        double pivot = m[c][c];
        for (int j = 0; j < 2 * n; j++)
            m[c][j] /= pivot;
        for (int i = 0; i < n; i++) {
            double f = m[i][c];
            for (int j = 0; j < 2 * n && i != c; j++)
                m[i][j] -= f * m[c][j];
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            ret[i * n + j] = m[i][n + j];
}

static void reference(const double *gram, double damp, const int32_t *order, const float *w,
                      const struct weight *to, double *ret)
{
    static double h[COLS * COLS], left[COLS * COLS], inverse[COLS * COLS], v[ROWS * COLS];
    double mean = 0;
    for (int i = 0; i < COLS; i++)
        mean += gram[i * COLS + i] / COLS;
    for (int i = 0; i < COLS; i++)
        for (int j = 0; j < COLS; j++)
            h[i * COLS + j] = gram[order[i] * COLS + order[j]] + (i == j ? damp * mean : 0);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            v[r * COLS + c] = (double)w[r * COLS + order[c]];
    for (int c = 0; c < COLS; c++) {
        int n = COLS - c;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                left[i * n + j] = h[(c + i) * COLS + c + j];
        invert(left, n, inverse);
        for (int r = 0; r < ROWS; r++) {
            double *x = v + r * COLS + c;
            double q = (double)weight_nearest(to, r, order[c] / to->group, (float)x[0]);
            double e = (x[0] - q) / inverse[0];
            ret[r * COLS + order[c]] = q;
            for (int k = 1; k < n; k++)
                x[k] -= e * inverse[k];
        }
    }
}

static void make_matrix(float *w, double *gram)
{
    uint64_t state = 5;
    static float x[SEEN * COLS];
    for (int i = 0; i < ROWS * COLS + SEEN * COLS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        float v = (float)(int32_t)(state >> 32) * 0x1p-31f;
        if (i < ROWS * COLS)
            w[i] = v;
        else /* neighbours are alike, and some columns see more */
            x[i - ROWS * COLS] =
                v * (float)(1 + (i % COLS) % 5) + (i % COLS ? 0.7f * x[i - ROWS * COLS - 1] : 0);
    }
    for (int i = 0; i < COLS; i++)
        for (int j = 0; j < COLS; j++) {
            gram[i * COLS + j] = 0;
            for (int t = 0; t < SEEN; t++)
                gram[i * COLS + j] += (double)x[t * COLS + i] * (double)x[t * COLS + j];
        }
}

static double squared_output(const double *gram, const float *w, const double *q)
{
    double ret = 0;
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < COLS; i++)
            for (int j = 0; j < COLS; j++)
                ret += ((double)w[r * COLS + i] - q[r * COLS + i]) * gram[i * COLS + j] *
                       ((double)w[r * COLS + j] - q[r * COLS + j]);
    return ret;
}

static void gptq_is_the_papers(void)
{
    static float w[ROWS * COLS], copy[ROWS * COLS], row[COLS];
    static double gram[COLS * COLS], want[ROWS * COLS], got[ROWS * COLS], nearest[ROWS * COLS];
    struct arena a = {0};
    struct error err;
    struct scheme s =
        scheme_of(&a, &(struct scheme_words){
                          .quant = "w4a16", .group_size = "32", .method = "gptq", .calib = "text"});
    struct pool *pool = pool_new(2);
    struct kernels k = kernels_cpu(UINT_MAX, pool);
    struct weight to = {0};
    struct gptq g = {0};
    make_matrix(w, gram);
    EXPECT_OK(codes_new(&s, ROWS, COLS, FORMAT_F32, &to, &err), &err);
    EXPECT_OK(round_to_nearest(pool, w, &to, &err), &err);
    for (int r = 0; r < ROWS; r++) {
        weight_row_to_f32(&to, r, row);
        for (int c = 0; c < COLS; c++)
            nearest[r * COLS + c] = (double)row[c];
    }
    EXPECT_OK(gptq_open(gram, COLS, 0.01, true, pool, &g, &err), &err);
    memcpy(copy, w, sizeof copy);
    EXPECT_OK(gptq_quantize(&g, &k, pool, ORDER_WEIGHT, copy, &to, &err), &err);
    reference(gram, 0.01, g.order, w, &to, want);
    int differ = 0;
    for (int r = 0; r < ROWS; r++) {
        weight_row_to_f32(&to, r, row);
        for (int c = 0; c < COLS; c++) {
            got[r * COLS + c] = (double)row[c];
            differ += got[r * COLS + c] != want[r * COLS + c];
        }
    }
    EXPECT_INT(differ, 0);
    EXPECT(squared_output(gram, w, got) < 0.5 * squared_output(gram, w, nearest));
    gptq_close(&g);
    free((void *)(uintptr_t)to.data);
    k.close(k.dev);
    pool_free(pool);
    arena_free(&a);
}

/* ---- whole models ---- */

static const struct {
    const char *keys;
    bool learns;
} schemes[] = {
    {"quant=w8a8-int", false},
    {"quant=w8a8-fp8", false},
    {"quant=w4a16,group_size=32", false},
    {"quant=w4a16,group_size=channel,symmetric=no", false},
    {"quant=w8a16,group_size=32,symmetric=no", false},
    {"quant=nvfp4a16", false},
    {"quant=w4a16,group_size=32,ignore=up_proj,ignore=re:.*0.*v_proj", false},
    {"quant=w8a8-int,static=yes", true},
    {"quant=w8a8-fp8,static=yes", true},
    {"quant=w8a8-int,method=smoothquant", true},
    {"quant=w8a8-int,method=smoothquant,alpha=search", true},
    {"quant=w8a8-int,method=gptq,act_order=none", true},
    {"quant=w4a16,group_size=32,method=gptq", true},
    {"quant=w4a16,group_size=32,method=gptq,act_order=group,symmetric=no", true},
    {"quant=nvfp4a16,method=gptq", true},
    {"quant=w4a16,group_size=32,method=awq", true},
};
enum { N_SCHEMES = sizeof schemes / sizeof *schemes };

static const char *const text =
    "The and was there, then the other ones were in another thing than they are when all is said.";

static const struct request questions[] = {
    {.kind = REQUEST_LOGLIKELIHOOD_ROLLING, .context = {"The and was there", 17}},
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = {"and when", 8},
     .continuation = {" the ones are", 13}},
};
enum { N_QUESTIONS = sizeof questions / sizeof *questions };

static const char *text_file(struct arena *a)
{
    const char *path = folder(a, "text");
    struct buf b = {0};
    struct error err;
    for (int i = 0; i < 20; i++)
        buf_printf(&b, "%s %d\n", text, i * i);
    EXPECT_OK(file_write(path, buf_view(&b), &err), &err);
    buf_free(&b);
    return path;
}

static void answers_of(const char *spec, int threads, struct arena *a, double ret[N_QUESTIONS])
{
    struct asking how = {.n_threads = threads};
    struct response answers[N_QUESTIONS];
    struct backend *b = open_backend(spec, &how);
    memset(answers, 0, sizeof answers);
    if (b)
        ask_all(b, a, questions, N_QUESTIONS, 0, answers);
    backend_close(b);
    for (int i = 0; i < N_QUESTIONS; i++)
        ret[i] = answers[i].logprob_nats;
}

static void expect_same_answers(const double *got, const double *want, const char *what)
{
    for (int i = 0; i < N_QUESTIONS; i++)
        if (got[i] != want[i] || !(want[i] < 0))
            check_fail(__FILE__, __LINE__, "%s: question %d: %.17g, not %.17g", what, i, got[i],
                       want[i]);
}

/* Written and loaded, each scheme answers to the bit as computed in place; by any number of
 * threads.
 */
static void what_is_written_is_what_was_computed(void)
{
    struct arena a = {0};
    struct error err;
    const char *learnt =
        arena_printf(&a, ",calib=%s,calib_samples=6,calib_length=24", text_file(&a));
    const char *models[] = {folder(&a, "bf16"), folder(&a, "f32")};
    EXPECT_OK(tiny_model_write(&(struct tiny_model){.kind = "hf-bf16"}, models[0], &err), &err);
    EXPECT_OK(
        tiny_model_write(&(struct tiny_model){.kind = "hf-f32", .biases = true}, models[1], &err),
        &err);
    for (int i = 0; i < N_SCHEMES; i++) {
        double direct[N_QUESTIONS], threads[N_QUESTIONS], loaded[N_QUESTIONS];
        const char *keys =
            arena_printf(&a, "%s%s", schemes[i].keys, schemes[i].learns ? learnt : "");
        const char *spec = arena_printf(&a, "%s,%s", models[i % 2], keys);
        const char *out = folder(&a, arena_printf(&a, "out%d", i));
        struct backend_options o = {.n_threads = 2, .features = UINT_MAX};
        struct save_options save = {0};
        struct save_sizes sizes = {0};
        answers_of(spec, 1, &a, direct);
        answers_of(spec, 3, &a, threads);
        expect_same_answers(threads, direct, schemes[i].keys);
        EXPECT_OK(backend_save(spec, &o, &save, out, &sizes, &err), &err);
        EXPECT(sizes.after < sizes.before);
        answers_of(out, 2, &a, loaded);
        expect_same_answers(loaded, direct, arena_printf(&a, "loaded %s", schemes[i].keys));
    }
    arena_free(&a);
}

static void what_cannot_be_written_is_said(void)
{
    struct arena a = {0};
    struct error err;
    const char *model = folder(&a, "plain"), *gguf = folder(&a, "gguf");
    EXPECT_OK(tiny_model_write(&(struct tiny_model){.kind = "hf-bf16"}, model, &err), &err);
    EXPECT_OK(tiny_model_write(&(struct tiny_model){.kind = "gguf-f32"}, gguf, &err), &err);
    const struct {
        const char *spec, *to;
        int code;
        const char *says;
    } cases[] = {
        {arena_printf(&a, "%s,quant=q8_0", model), "x", E_USAGE, "it has for w8a8-int"},
        {model, "x", E_USAGE, "quant=none"},
        {arena_printf(&a, "%s,quant=w4a16", model), "plain", E_USAGE, "there already"},
        {arena_printf(&a, "%s,quant=w4a16", model), "x", E_INPUT, "64 is no multiple of 128"},
        {arena_printf(&a, "%s,quant=fp8-block", model), "x", E_INPUT, "such as w8a8-fp8"},
        {arena_printf(&a, "%s,quant=w8a8-int", gguf), "x", E_UNSUPPORTED, "GGUF"},
        {arena_printf(&a, "%s,quant=w8a16,ignore=none", model), "x", E_UNSUPPORTED, "embedding"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backend_options o = {.n_threads = 1, .features = UINT_MAX};
        struct save_options save = {0};
        struct save_sizes sizes;
        const char *to = folder(&a, cases[i].to);
        EXPECT_ERROR(backend_save(cases[i].spec, &o, &save, to, &sizes, &err), &err, cases[i].code,
                     cases[i].says);
        EXPECT(strcmp(cases[i].to, "x") != 0 || !folder_exists(to));
    }
    arena_free(&a);
}

static void clean_up(void)
{
    struct arena a = {0};
    EXPECT_INT(system(arena_printf(&a, "rm -rf '%s'", folder(&a, ""))), 0);
    arena_free(&a);
}

CHECK_MAIN({"rounds_as_compressed_tensors", rounds_as_compressed_tensors},
           {"gptq_is_the_papers", gptq_is_the_papers},
           {"what_is_written_is_what_was_computed", what_is_written_is_what_was_computed},
           {"what_cannot_be_written_is_said", what_cannot_be_written_is_said},
           {"clean_up", clean_up})
