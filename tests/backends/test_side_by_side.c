/* Two models side by side: against transformers in double precision, against themselves, and
 * whatever the steps. */
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "backends/local/divergence.h"
#include "base/file.h"
#include "tests/backends/ask.h"
#include "tests/backends/side_by_side_reference.h"
#include "tests/backends/tiny_model.h"

enum { N_REFERENCE = sizeof reference / sizeof *reference };

static char dir[] = "/tmp/assay-test-divergence-XXXXXX";
static struct error err;

/* ---- rows of logits ---- */

static void rows_of_logits(void)
{
    struct token_divergence d;
    const float a[] = {1, 2, 3, -INFINITY, 0.5f}, b[] = {1, 3, 2, 1, 0.25f};
    divergence_of_logits(a, a, 5, 1, &d);
    EXPECT(d.kl == 0 && d.same_top && d.logprob_a == d.logprob_b);
    divergence_of_logits(a, b, 5, 2, &d); /* numpy, float64 */
    EXPECT_NEAR(d.kl, 0.48299481472295813, 1e-14);
    EXPECT_NEAR(d.logprob_a, -0.4607734891568511, 1e-14);
    EXPECT_NEAR(d.logprob_b, -1.5320847597507994, 1e-14);
    EXPECT(!d.same_top);
    divergence_of_logits(b, a, 5, 2, &d); /* A may have what B cannot have */
    EXPECT(isinf(d.kl) && d.kl > 0);
    const float broken[] = {1, NAN, 2, 3, 4};
    divergence_of_logits(a, broken, 5, 0, &d);
    EXPECT(isnan(d.kl));
    divergence_of_logits(broken, a, 5, 0, &d);
    EXPECT(isnan(d.kl));
    const float equals[] = {3, 3, 1}, later[] = {1, 3, 3};
    divergence_of_logits(equals, later, 3, 0, &d);
    EXPECT(!d.same_top); /* the lowest of equals: 0 and 1 */
}

/* ---- two backends ---- */

static bool same_bits(const struct token_divergence *x, const struct token_divergence *y)
{
    return x->position == y->position && x->place == y->place && x->token == y->token &&
           memcmp(&x->logprob_a, &y->logprob_a, 3 * sizeof(double)) == 0 &&
           x->same_top == y->same_top;
}

static int measure(struct backend *a, struct backend *b, const struct divergence_texts *t,
                   struct arena *arena, struct token_divergence **ret)
{
    int n = 0;
    *ret = NULL;
    EXPECT_OK(backend_divergence(a, b, t, arena, ret, &n, &err), &err);
    return n;
}

/* The lower bits of every number of the file's data go. */
static void write_truncated(struct arena *a, const char *from, const char *to)
{
    static const char *const copied[] = {"config.json", "tokenizer.json", "tokenizer_config.json"};
    struct str data;
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        EXPECT(symlink(arena_printf(a, "%s/%s", from, copied[i]),
                       arena_printf(a, "%s/%s", to, copied[i])) == 0);
    EXPECT_OK(file_read(a, arena_printf(a, "%s/model.safetensors", from), 16 << 20, &data, &err),
              &err);
    uint64_t header;
    char *bytes = arena_copy(a, data.p, data.n);
    memcpy(&header, bytes, sizeof header);
    for (size_t at = 8 + header; at + 4 <= data.n; at += 4) {
        uint32_t u;
        memcpy(&u, bytes + at, sizeof u);
        u &= 0xFFF00000u;
        memcpy(bytes + at, &u, sizeof u);
    }
    EXPECT_OK(
        file_write(arena_printf(a, "%s/model.safetensors", to), (struct str){bytes, data.n}, &err),
        &err);
}

static const struct request texts[] = {
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = STR("Once upon a time, there was a little girl named Lily."),
     .continuation = STR(" She loved to play with her dog.")},
    {.kind = REQUEST_GENERATE_UNTIL,
     .context = STR("The sun was hot and the boy wanted to"),
     .max_gen_toks = 8},
};

static void agrees_with_transformers(void)
{
    struct arena a = {0};
    const char *base = check_shared("models/stories260k-hf");
    if (!base)
        return;
    write_truncated(&a, base, dir);
    struct asking how = {0};
    struct backend *x = open_backend(base, &how), *y = open_backend(dir, &how);
    struct divergence_texts t = {texts, NULL, 2, 0};
    struct token_divergence *got;
    int n = x && y ? measure(x, y, &t, &a, &got) : 0;
    EXPECT_INT(n, N_REFERENCE);
    double most = 0;
    for (int i = 0; i < n && i < N_REFERENCE; i++) {
        const struct token_divergence *want = &reference[i];
        EXPECT_INT(got[i].position, want->position);
        EXPECT_INT(got[i].place, want->place);
        EXPECT_INT(got[i].token, want->token);
        EXPECT_NEAR(got[i].logprob_a, want->logprob_a, 1e-4);
        EXPECT_NEAR(got[i].logprob_b, want->logprob_b, 1e-4);
        EXPECT_NEAR(got[i].kl, want->kl, 1e-5);
        EXPECT_INT(got[i].same_top, want->same_top);
        most = fmax(most, fabs(got[i].kl - want->kl));
    }
    printf("# %d tokens, KL at most %.1e apart\n", n, most);
    backend_close(x);
    backend_close(y);
    arena_free(&a);
}

/* ---- a tiny model ---- */

static const char *tiny(struct arena *a, const char *kind)
{
    struct tiny_model t = {.kind = kind, .seed = 5};
    const char *path = arena_printf(a, "%s/%s", dir, kind);
    EXPECT_OK(tiny_model_write(&t, path, &err), &err);
    return path;
}

static const struct request choices[] = {
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = STR("The man was in the"),
     .continuation = STR(" house")},
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = STR("The man was in the"),
     .continuation = STR(" there")},
    {.kind = REQUEST_LOGLIKELIHOOD,
     .context = STR("The"),
     .continuation = STR(" there"),
     .unconditional = true},
};
static const struct request whole = {
    .kind = REQUEST_LOGLIKELIHOOD_ROLLING,
    .context = STR("A man was in the house, and he said: the dog and the cat was there, and there, "
                   "and he was there in the house; then the cat said that the dog was in the house "
                   "and the man was there and the cat and the dog and the man and the house was in "
                   "there, where the man and the dog and the cat was, in the house, there it was, "
                   "for the cat, for the dog, for 1 man, 2 men, 3 men, 4 men, 5 men, 6 men, 7 men; "
                   "and the house fell down upon them, and upon 10,000 others, whoever they were; "
                   "and it was the house that the man was in, the house of the man and the dog.")};

static void is_nothing_against_itself(void)
{
    struct arena a = {0};
    const char *path = tiny(&a, "gguf-q4_0");
    struct asking one = {0}, two = {.n_threads = 2, .token_budget = 7, .no_sharing = true};
    struct backend *x = open_backend(path, &one), *y = open_backend(path, &two);
    struct divergence_texts t = {&whole, NULL, 1, 0};
    struct token_divergence *got;
    int n = measure(x, y, &t, &a, &got);
    EXPECT(n > 256); /* longer than the context: several windows */
    for (int i = 0; i < n; i++)
        EXPECT(got[i].kl == 0 && got[i].same_top && got[i].logprob_a == got[i].logprob_b);
    backend_close(x);
    backend_close(y);
    arena_free(&a);
}

/* Each token once, in order, the second choice only where it differs, none of the unconditional
 * one; and what the document before had goes as well. */
static void counts_each_token_once(void)
{
    struct arena a = {0};
    struct asking how = {0};
    struct backend *x = open_backend(tiny(&a, "gguf-f16"), &how),
                   *y = open_backend(tiny(&a, "gguf-q4_0"), &how);
    struct divergence_texts t = {choices, NULL, 3, 0}, again = {choices, choices, 3, 1};
    struct token_divergence *all, *rest;
    int n = measure(x, y, &t, &a, &all), n_rest = measure(x, y, &again, &a, &rest);
    struct response r[2];
    ask_all(x, &a, choices, 2, 0, r);
    int common = 0;
    while (r[0].tokens[common] == r[1].tokens[common])
        common++;
    EXPECT_INT(n, r[0].n_tokens - 1 + r[1].n_tokens - common);
    EXPECT_INT(n_rest, r[1].n_tokens - common);
    for (int i = 0; i < n; i++) {
        int second = i - (r[0].n_tokens - 1);
        EXPECT_INT(all[i].position, second >= 0);
        EXPECT_INT(all[i].place, second < 0 ? i + 1 : common + second);
        EXPECT_INT(all[i].token, r[all[i].position].tokens[all[i].place]);
        if (second >= 0)
            EXPECT(same_bits(&all[i], &rest[second]));
    }
    struct divergence_texts none = {choices, choices, 1, 1};
    EXPECT_INT(measure(x, y, &none, &a, &rest), 0);
    backend_close(x);
    backend_close(y);
    arena_free(&a);
}

/* A whole text's log-probabilities are those that the rolling request sums up. */
static void does_not_depend_on_steps(void)
{
    static const struct asking ways[] = {{0},
                                         {.token_budget = 1},
                                         {.token_budget = 33, .n_threads = 2},
                                         {.token_budget = 600, .no_sharing = true},
                                         {.kv_bytes = 160 << 10}};
    struct arena a = {0};
    const char *f16 = tiny(&a, "gguf-f16"), *q8 = tiny(&a, "gguf-q8_0");
    struct divergence_texts t = {&whole, NULL, 1, 0};
    struct token_divergence *want = NULL, *got;
    int n_want = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct backend *x = open_backend(f16, &ways[i]), *y = open_backend(q8, &ways[i]);
        if (!x || !y)
            break;
        int n = measure(x, y, &t, &a, &got);
        if (i == 0) {
            struct response r;
            double sum = 0;
            want = got;
            n_want = n;
            for (int k = 0; k < n; k++)
                sum += got[k].logprob_b;
            ask_all(y, &a, &whole, 1, 0, &r);
            EXPECT_INT(r.n_tokens_scored, n);
            EXPECT_NEAR(sum, r.logprob_nats, 1e-3);
        }
        EXPECT_INT(n, n_want);
        for (int k = 0; k < n && n == n_want; k++)
            if (!same_bits(&got[k], &want[k]))
                check_fail(__FILE__, __LINE__, "way %zu: token %d: %.17g, not %.17g", i, k,
                           got[k].kl, want[k].kl);
        backend_close(x);
        backend_close(y);
    }
    arena_free(&a);
}

static void refuses_other_tokens(void)
{
    struct arena a = {0};
    struct asking how = {0}, shorter = {.options = ",max_length=32"};
    struct tiny_model t = {.kind = "gguf-f32", .seed = 5, .adds_bos = true};
    const char *path = arena_printf(&a, "%s/bos", dir);
    EXPECT_OK(tiny_model_write(&t, path, &err), &err);
    struct backend *x = open_backend(tiny(&a, "gguf-f16"), &how), *y = open_backend(path, &how),
                   *z = open_backend(tiny(&a, "gguf-q8_0"), &shorter);
    struct divergence_texts one = {choices, NULL, 1, 0}, two = {&whole, NULL, 1, 0};
    struct token_divergence *got;
    int n;
    EXPECT_ERROR(backend_divergence(x, y, &one, &a, &got, &n, &err), &err, E_INPUT,
                 "same tokenizer");
    EXPECT_ERROR(backend_divergence(x, z, &two, &a, &got, &n, &err), &err, E_INPUT, "max_length");
    backend_close(x);
    backend_close(y);
    backend_close(z);
    arena_free(&a);
}

static void begin(void)
{
    EXPECT(mkdtemp(dir) != NULL);
}

static void end(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    EXPECT_INT(system(command), 0);
}

CHECK_MAIN({"begin", begin}, {"rows_of_logits", rows_of_logits},
           {"agrees_with_transformers", agrees_with_transformers},
           {"is_nothing_against_itself", is_nothing_against_itself},
           {"counts_each_token_once", counts_each_token_once},
           {"does_not_depend_on_steps", does_not_depend_on_steps},
           {"refuses_other_tokens", refuses_other_tokens}, {"end", end})
