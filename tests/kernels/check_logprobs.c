/* check_logprobs.c: the vocabulary's product with log-softmax, gather and the most probable. */
#include <stdlib.h>

#include "base/arena.h"
#include "kernels/format.h"
#include "tests/kernels/levels.h"

/* One target a row. */
static void ask(const struct kernels *k, struct token_logprob *ret, const float *x,
                const struct weight *head, const int32_t *targets, int T)
{
    k->logprobs(k->dev, ret, NULL, head, &(struct asked){.T = T, .x = x, .targets = targets});
}

static void ask_top(const struct kernels *k, struct token_logprob *ret, struct top_token *top,
                    int n_top, const float *x, const struct weight *head, const int32_t *targets,
                    int T)
{
    k->logprobs(k->dev, ret, top, head,
                &(struct asked){.T = T, .x = x, .targets = targets, .k = n_top});
}

/* Per row the bound of a logit. */
static double *logit_bounds(const float *x, const struct weight *head, int T)
{
    size_t V = (size_t)head->rows;
    double *all = linear_bounds(x, head, NULL, T);
    double *ret = mem_alloc((size_t)T + 1, sizeof *ret);
    for (size_t t = 0; t < (size_t)T; t++)
        for (size_t v = 0; v < V; v++)
            ret[t] = fmax(ret[t], all[t * V + v]);
    free(all);
    return ret;
}

static void logprobs_close(const struct token_logprob *want, const struct token_logprob *got,
                           const float *logits, size_t V, int T, const double *bounds)
{
    for (int t = 0; t < T; t++) {
        /* the sum is off by a factor; each of its exponentials by 2 units in the last place */
        double bound = 2 * bounds[t] + 8 * U * (1 + fabs(want[t].logprob));
        int32_t a = got[t].argmax;
        if (!(fabs(want[t].logprob - got[t].logprob) <= bound))
            tool_fail("row %d: logprob %.9g, not %.9g within %g", t, got[t].logprob,
                      want[t].logprob, bound);
        if (!(fabs(want[t].argmax_logprob - got[t].argmax_logprob) <= bound))
            tool_fail("row %d: argmax_logprob %.9g, not %.9g", t, got[t].argmax_logprob,
                      want[t].argmax_logprob);
        double best = (double)logits[(size_t)t * V + (size_t)want[t].argmax];
        if (a < 0 || a >= (int32_t)V ||
            (double)logits[(size_t)t * V + (size_t)a] < best - 2 * bounds[t])
            tool_fail("row %d: argmax %d, not %d", t, a, want[t].argmax);
    }
}

static bool same_logprobs(const struct token_logprob *a, const struct token_logprob *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i].logprob, &b[i].logprob, sizeof a->logprob) != 0 ||
            a[i].argmax != b[i].argmax ||
            memcmp(&a[i].argmax_logprob, &b[i].argmax_logprob, sizeof a->logprob) != 0)
            return false;
    return true;
}

static void logprobs_shape(enum format f, int T, int V, int D)
{
    size_t n = (size_t)T;
    float *x = tame_floats(n * (size_t)D, 1), *logits = floats(n * (size_t)V);
    struct weight head = random_weight(f, V, D);
    int32_t *targets = mem_alloc(n + 1, sizeof *targets);
    for (int t = 0; t < T; t++)
        targets[t] = t % 7 == 3 ? -1 : (int32_t)random_below((uint32_t)V);
    struct token_logprob *want = mem_alloc(n + 1, sizeof *want);
    struct token_logprob *got = mem_alloc(n + 1, sizeof *got),
                         *other = mem_alloc(n + 1, sizeof *got);
    ref->linear(ref->dev, logits, x, &head, NULL, T);
    ask(ref, want, x, &head, targets, T);
    double *bounds = logit_bounds(x, &head, T);
    FOR_LEVELS(l)
    {
        tool_shape("logprobs %s T=%d V=%d D=%d", format_info[f].name, T, V, D);
        struct weight own = packed(l, &head);
        ask(&l->k[1], got, x, &own, targets, T);
        logprobs_close(want, got, logits, (size_t)V, T, bounds);
        for (size_t t = 0; t < n; t++)
            ask(&l->k[0], other + t, x + t * (size_t)D, &own, targets + t, 1);
        if (!same_logprobs(got, other, n))
            tool_fail("a row alone has other bits");
        size_t cut = n / 3;
        ask(&l->k[2], other, x, &own, targets, (int)cut);
        ask(&l->k[2], other + cut, x + cut * (size_t)D, &own, targets + cut, T - (int)cut);
        if (!same_logprobs(got, other, n))
            tool_fail("cut after row %zu has other bits", cut);
        unpack(l, &own);
    }
    free(bounds);
    free(targets);
    free(want);
    free(got);
    free(other);
    floats_free(x);
    floats_free(logits);
    weight_drop(&head);
}

void logprobs(void)
{
    logprobs_shape(FORMAT_F32, 0, 9, 4);
    logprobs_shape(FORMAT_F32, 3, 1, 5);
    logprobs_shape(FORMAT_F32, 9, 300, 67);
    logprobs_shape(FORMAT_BF16, 75, 513, 40);
    logprobs_shape(FORMAT_Q8_0, 4, 1001, 64);
    logprobs_shape(FORMAT_Q4_1, 20, 259, 96);
}

/* Of equal logits the lowest id is the argmax, also across blocks; NaN is never it. */
void logprobs_edges(void)
{
    enum { V = 700, D = 8, T = 4 };
    float *rows = tame_floats(V * D, 1), x[T * D] = {0};
    struct weight file = {.format = FORMAT_F32, .rows = V, .cols = D, .data = rows};
    for (int i = 0; i < D; i++) {
        rows[300 * D + i] = rows[517 * D + i] = rows[41 * D + i] = 2;
        x[i] = 1;                        /* row 0: a tie */
        x[2 * D + i] = i == 3 ? NAN : 1; /* row 1 is zero: all tie; row 2: all NaN */
        x[3 * D + i] = i < 1 ? 1 : 0;    /* row 3: one logit of NaN */
    }
    rows[5 * D] = NAN;
    rows[5 * D + 1] = 0;
    rows[41 * D] = 3;
    FOR_LEVELS(l)
    {
        struct token_logprob r[T];
        tool_shape("logprobs with ties and NaN");
        struct weight head = packed(l, &file);
        x[0] = 0; /* 41, 300 and 517 tie again; 5 is NaN everywhere */
        ask(&l->k[1], r, x, &head, (const int32_t[]){300, 6, 1, 2}, T);
        EXPECT_INT(r[0].argmax, 41);
        EXPECT_INT(r[1].argmax, 0);
        EXPECT_INT(r[2].argmax, 0);
        EXPECT_INT(r[3].argmax, 41);
        for (int t = 0; t < T; t++)
            EXPECT(isnan(r[t].logprob)); /* a NaN logit spoils the sum, and says so */
        struct top_token top[T * 4];
        ask_top(&l->k[1], r, top, 4, x, &head, (const int32_t[]){1, 1, 1, 1}, T);
        EXPECT(top[0].token == 41 && top[1].token == 300 && top[2].token == 517);
        EXPECT(top[4].token == 0 && top[7].token == 3);
        EXPECT(top[8].token == -1 && isnan(top[8].logprob));
        unpack(l, &head);
        rows[5 * D] = 0;
        head = packed(l, &file);
        ask(&l->k[1], r, x, &head, (const int32_t[]){300, 6, 1, -1}, 2);
        EXPECT(r[0].logprob == r[0].argmax_logprob && r[0].logprob < -log(2));
        EXPECT_NEAR(r[1].logprob, -log(V), 1e-6);
        unpack(l, &head);
        rows[5 * D] = NAN;
    }
    floats_free(rows);
}

/* The k best of a row by plain search: the greatest logit, of equal ones the lowest id. */
static void top_expected(const float *logits, int V, int k, int32_t *ret)
{
    bool *taken = mem_alloc((size_t)V, sizeof *taken);
    for (int i = 0; i < k; i++) {
        ret[i] = -1;
        for (int32_t v = 0; v < V; v++)
            if (!taken[v] && !isnan(logits[v]) && (ret[i] < 0 || logits[v] > logits[ret[i]]))
                ret[i] = v;
        if (ret[i] >= 0)
            taken[ret[i]] = true;
    }
    free(taken);
}

/* The logits are those of linear, to the bit, so the order must be exactly that of a search. */
static void top_close(const struct token_logprob *r, const struct top_token *top, int k,
                      const float *logits, int V, int T)
{
    int32_t want[TOP_TOKENS];
    for (int t = 0; t < T; t++, top += k, logits += V) {
        top_expected(logits, V, k, want);
        for (int i = 0; i < k; i++) {
            if (top[i].token != want[i])
                tool_fail("row %d: place %d is token %d, not %d", t, i, top[i].token, want[i]);
            if (want[i] < 0) {
                EXPECT(isnan(top[i].logprob));
                continue;
            }
            double less = (double)logits[want[0]] - (double)logits[want[i]];
            double near = r[t].argmax_logprob - less;
            if (!(fabs(top[i].logprob - near) <= 1e-12 * (1 + fabs(near))) && !isinf(less) &&
                !isnan(near))
                tool_fail("row %d: place %d has %.17g, not %.17g", t, i, top[i].logprob, near);
        }
    }
}

static void logprobs_top_shape(enum format f, int T, int V, int D, int k)
{
    float *x = tame_floats((size_t)(T * D), 1), *logits = floats((size_t)(T * V));
    struct weight head = random_weight(f, V, D);
    int32_t *targets = mem_alloc((size_t)T + 1, sizeof *targets);
    struct token_logprob *want = mem_alloc((size_t)T + 1, sizeof *want);
    struct token_logprob *got = mem_alloc((size_t)T + 1, sizeof *got);
    size_t n_top = (size_t)(T * k);
    struct top_token *top = mem_alloc(n_top + 1, sizeof *top),
                     *other = mem_alloc(n_top + 1, sizeof *top);
    for (int t = 0; t < T; t++) { /* rows of zeros tie everywhere */
        targets[t] = (int32_t)random_below((uint32_t)V);
        if (t % 4 == 2)
            memset(x + t * D, 0, (size_t)D * sizeof *x);
    }
    FOR_LEVELS(l)
    {
        tool_shape("logprobs_top %s T=%d V=%d D=%d k=%d", format_info[f].name, T, V, D, k);
        struct weight own = packed(l, &head);
        l->k[0].linear(l->k[0].dev, logits, x, &own, NULL, T);
        ask(&l->k[1], want, x, &own, targets, T);
        ask_top(&l->k[2], got, top, k, x, &own, targets, T);
        if (!same_logprobs(want, got, (size_t)T))
            tool_fail("not the bits of logprobs");
        top_close(got, top, k, logits, V, T);
        for (int t = 0; t < T; t++)
            ask_top(&l->k[t % 2], got, other + t * k, k, x + t * D, &own, targets + t, 1);
        for (size_t i = 0; i < n_top; i++)
            if (top[i].token != other[i].token ||
                memcmp(&top[i].logprob, &other[i].logprob, sizeof top->logprob) != 0)
                tool_fail("place %zu has other bits for a row alone", i);
        unpack(l, &own);
    }
    free(targets);
    free(want);
    free(got);
    free(top);
    free(other);
    floats_free(x);
    floats_free(logits);
    weight_drop(&head);
}

void logprobs_top(void)
{
    logprobs_top_shape(FORMAT_F32, 3, 5, 7, 8);
    logprobs_top_shape(FORMAT_F32, 5, 1300, 33, TOP_TOKENS);
    logprobs_top_shape(FORMAT_BF16, 70, 513, 40, 3);
    logprobs_top_shape(FORMAT_Q4_0, 6, 259, 64, 20);
    logprobs_top_shape(FORMAT_F32, 2, 300, 9, 0);
}

/* Rows that answer none, one and many targets give each the bits that it has alone; and every row's
 * most probable tokens. */
void logprobs_several(void)
{
    enum { T = 200, V = 700, D = 33, MOST = 5, N_TOP = 3 };
    float *x = tame_floats(T * D, 1);
    struct weight head = random_weight(FORMAT_F32, V, D);
    int32_t targets[T * MOST], ends[T], n = 0;
    for (int t = 0; t < T; t++) {
        for (int i = t % 3 ? (int)random_below(MOST + 1) : 0; i > 0; i--)
            targets[n++] = random_below(9) ? (int32_t)random_below(V) : -1;
        ends[t] = n;
    }
    FOR_LEVELS(l)
    {
        struct token_logprob got[T * MOST], alone;
        struct top_token top[T * N_TOP], top_alone[N_TOP];
        tool_shape("several targets a row");
        struct weight own = packed(l, &head);
        l->k[2].logprobs(l->k[2].dev, got, top, &own, &(struct asked){T, x, targets, ends, N_TOP});
        for (int t = 0, i = 0; t < T; t++) {
            for (; i < ends[t]; i++) {
                ask_top(&l->k[0], &alone, top_alone, N_TOP, x + t * D, &own, targets + i, 1);
                if (!same_logprobs(&alone, &got[i], 1))
                    tool_fail("row %d: target %d has other bits than alone", t, i);
            }
            ask_top(&l->k[0], &alone, top_alone, N_TOP, x + t * D, &own, (int32_t[]){-1}, 1);
            for (int j = 0; j < N_TOP; j++)
                if (top[t * N_TOP + j].token != top_alone[j].token ||
                    memcmp(&top[t * N_TOP + j].logprob, &top_alone[j].logprob, sizeof(double)) != 0)
                    tool_fail("row %d: place %d is not that of the row alone", t, j);
        }
        unpack(l, &own);
    }
    floats_free(x);
    weight_drop(&head);
}
