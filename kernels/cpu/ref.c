/* ref.c: what every operation means. Plain scalar C in the order of the definition, summed in
 * double and rounded once at the end: other variants are allowed their own (fixed) order and
 * rounding, and are checked against this. Weight rows are shared out over threads; nothing else is
 * parallel. */
#include "kernels/cpu/device.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/int8.h"
#include "kernels/cpu/top.h"
#include "kernels/format.h"

static void embed(struct device *dev, float *x, const struct weight *table, const int32_t *tokens,
                  int T)
{
    (void)dev;
    for (int t = 0; t < T; t++)
        weight_row_to_f32(table, tokens[t], x + (size_t)t * (size_t)table->cols);
}

static void round_to(struct device *dev, float *x, size_t n, enum format dtype)
{
    (void)dev;
    for (size_t i = 0; i < n; i++)
        if (dtype == FORMAT_BF16)
            x[i] = bf16_to_f32(bf16_from_f32(x[i]));
        else if (dtype == FORMAT_F16)
            x[i] = f16_to_f32(f16_from_f32(x[i]));
}

static void add(struct device *dev, float *y, const float *x, size_t n, enum format dtype)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
    round_to(dev, y, n, dtype);
}

static void add_rmsnorm(struct device *dev, float *y, float *x, const float *more, const float *w,
                        int T, int D, float eps, enum format dtype)
{
    if (more)
        add(dev, x, more, (size_t)T * (size_t)D, dtype);
    for (int t = 0; t < T; t++, x += D, y += D) {
        double squares = 0;
        for (int i = 0; i < D; i++)
            squares += (double)x[i] * x[i];
        double scale = 1 / sqrt(squares / D + eps);
        for (int i = 0; i < D; i++)
            y[i] = (float)(x[i] * scale) * w[i];
        round_to(dev, y, (size_t)D, dtype);
    }
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

struct linear {
    float *y;
    const float *x;
    const struct weight *w;
    const float *bias;
    int T;
    char *rows; /* a weight row of floats for each thread */
    size_t stride;
};

static void linear_column(void *arg, size_t n, int thread)
{
    const struct linear *l = arg;
    size_t K = (size_t)l->w->cols, N = (size_t)l->w->rows;
    float *row = (float *)(l->rows + (size_t)thread * l->stride);
    weight_row_to_f32(l->w, (int64_t)n, row);
    for (size_t t = 0; t < (size_t)l->T; t++)
        l->y[t * N + n] = (float)(dot(l->x + t * K, row, l->w->cols) + (l->bias ? l->bias[n] : 0));
}

/* ---- The same with x quantized per token to INT8, in whole numbers (int8.h) ---- */

static int quantized(float x, float scale)
{
    return (int)fminf(fmaxf(rintf(x / scale), -128), 127);
}

static float token_scale(const struct weight *w, const float *x)
{
    float greatest = 0;
    for (int64_t i = 0; i < w->cols; i++) {
        if (!isfinite(x[i]))
            return NAN;
        greatest = fmaxf(greatest, fabsf(x[i]));
    }
    return int8_scale(w, greatest);
}

/* Row n of w times one token, in blocks. */
static float int8_blocks(const struct weight *w, size_t n, const float *x, float scale)
{
    const struct format_info *info = &format_info[w->format];
    const uint8_t *p = (const uint8_t *)w->data + n * format_row_bytes(w->format, w->cols);
    float y = 0, d, m;
    int32_t sum = 0, sum_of_x = 0;
    for (int64_t k = 0; k < w->cols; k += info->block, p += info->block_bytes) {
        struct block_parts b = {0};
        block_format[w->format].take_apart(p, &b);
        for (int i = 0; i < info->block; i++) {
            int q = quantized(x[k + i], scale);
            sum += q * b.q[i];
            sum_of_x += q;
            if ((i + 1) % INT8_RUN)
                continue;
            int8_run_scales(w->format, &b, i / INT8_RUN, &d, &m);
            y = fmaf((float)sum, d, y);
            if (block_format[w->format].offset != OFFSET_NONE)
                y = fmaf((float)sum_of_x, m, y);
            sum = sum_of_x = 0;
        }
    }
    return y * scale;
}

static float int8_codes(const struct weight *w, size_t n, const float *x, float scale)
{
    int64_t row = (int64_t)n;
    float y = 0;
    for (int64_t c = 0, g = 0; c < w->cols; g++) {
        int32_t sum = 0, zero = (int32_t)code_value(w->format, codes_zero(w, row, g));
        for (int64_t end = c + w->group; c < end && c < w->cols; c++) {
            uint8_t code;
            codes_get(w, row, c, 1, &code);
            sum += quantized(x[w->perm ? w->perm[c] : c], scale) *
                   ((int32_t)code_value(w->format, code) - zero);
        }
        y = fmaf((float)sum, codes_scale(w, row, g), y);
    }
    return y * scale;
}

static void int8_column(void *arg, size_t n, int thread)
{
    (void)thread;
    const struct linear *l = arg;
    const struct weight *w = l->w;
    size_t K = (size_t)w->cols, N = (size_t)w->rows;
    for (size_t t = 0; t < (size_t)l->T; t++) {
        const float *x = l->x + t * K;
        float scale = token_scale(w, x);
        float y = isnan(scale)                   ? scale
                  : format_info[w->format].codes ? int8_codes(w, n, x, scale)
                                                 : int8_blocks(w, n, x, scale);
        l->y[t * N + n] = l->bias ? y + l->bias[n] : y;
    }
}

static void linear(struct device *dev, float *y, const float *x, const struct weight *w,
                   const float *bias, int T)
{
    struct linear l = {y, x, w, bias, T, NULL, 0};
    if (T == 0)
        return;
    if (int8_exact(w)) {
        pool_run(dev->pool, (size_t)w->rows, int8_column, &l);
        return;
    }
    if (w->x.kind != X_F32) {
        float *q = device_shared(dev, (size_t)T * (size_t)w->cols * sizeof *q);
        for (size_t t = 0; t < (size_t)T; t++)
            quantized_token(w, x + t * (size_t)w->cols, q + t * (size_t)w->cols);
        l.x = q;
    }
    l.rows = device_scratch(dev, (size_t)w->cols * sizeof(float), &l.stride);
    pool_run(dev->pool, (size_t)w->rows, linear_column, &l);
}

static void rope_angles(struct device *dev, float *angles, const int32_t *positions,
                        const float *inv_freq, float scale, int T, int S)
{
    (void)dev;
    for (int t = 0; t < T; t++, angles += S)
        for (int i = 0; i < S / 2; i++) {
            float angle = (float)positions[t] * inv_freq[i];
            angles[i] = cosf(angle) * scale;
            angles[S / 2 + i] = sinf(angle) * scale;
        }
}

static void rope(struct device *dev, float *x, const float *angles, int T, int n_heads, int S,
                 enum rope_kind kind, enum format dtype)
{
    int step = kind == ROPE_PAIRS ? 2 : 1, apart = kind == ROPE_PAIRS ? 1 : S / 2;
    for (int t = 0; t < T; t++, angles += S)
        for (int h = 0; h < n_heads; h++, x += S) {
            for (int i = 0; i < S / 2; i++) {
                float c = angles[i], s = angles[S / 2 + i], *a = x + i * step;
                float a0 = a[0], a1 = a[apart];
                a[0] = a0 * c - a1 * s;
                a[apart] = a1 * c + a0 * s;
            }
            round_to(dev, x, (size_t)S, dtype);
        }
}

/* A page: keys [P, G, S], then values [P, G, S]. */
static void kv_write(struct device *dev, const struct kv_cache *kv, int layer, const float *k,
                     const float *v, const struct batch *b)
{
    (void)dev;
    size_t GS = (size_t)kv->n_kv_heads * (size_t)kv->head_size, P = (size_t)kv->page_positions;
    for (size_t t = 0; t < (size_t)b->n_rows; t++) {
        int page = b->positions[t] / kv->page_positions;
        size_t slot = (size_t)(b->positions[t] % kv->page_positions);
        float *to = kv_page(kv, layer, b, b->sequences[t], page);
        memcpy(to + slot * GS, k + t * GS, GS * sizeof *k);
        memcpy(to + (P + slot) * GS, v + t * GS, GS * sizeof *v);
    }
}

static void kv_copy(struct device *dev, const struct kv_cache *kv, int layer,
                    const struct kv_copy *copies, int n)
{
    (void)dev;
    size_t GS = (size_t)kv->n_kv_heads * (size_t)kv->head_size;
    size_t half = (size_t)kv->page_positions * GS, layers = (size_t)kv->n_layers;
    for (const struct kv_copy *c = copies; c < copies + n; c++) {
        size_t bytes = (size_t)c->n * GS * sizeof(float);
        float *to = kv->data + ((size_t)c->to * layers + (size_t)layer) * 2 * half;
        const float *from = kv->data + ((size_t)c->from * layers + (size_t)layer) * 2 * half;
        memcpy(to, from, bytes);
        memcpy(to + half, from + half, bytes);
    }
}

/* One query head of one row: y[S] = sum over positions of softmax(q k^T * scale) v. */
static void attend(double *scores, float *y, const float *q, const struct kv_cache *kv, int layer,
                   const struct batch *b, int t, int g, float scale)
{
    int S = kv->head_size, P = kv->page_positions, n = b->positions[t] + 1;
    size_t GS = (size_t)kv->n_kv_heads * (size_t)S, values = (size_t)P * GS;
    double max = -INFINITY, sum = 0;
    for (int p = 0; p < n; p++) {
        const float *page = kv_page(kv, layer, b, b->sequences[t], p / P);
        scores[p] = dot(q, page + (size_t)(p % P) * GS + g * S, S) * scale;
        max = fmax(max, scores[p]);
    }
    for (int p = 0; p < n; p++)
        sum += scores[p] = exp(scores[p] - max);
    for (int s = 0; s < S; s++) {
        double out = 0;
        for (int p = 0; p < n; p++) {
            const float *page = kv_page(kv, layer, b, b->sequences[t], p / P);
            out += scores[p] / sum * page[values + (size_t)(p % P) * GS + (size_t)(g * S + s)];
        }
        y[s] = (float)out;
    }
}

static void attention(struct device *dev, float *y, const float *q, const struct kv_cache *kv,
                      int layer, const struct batch *b, int H, float scale)
{
    int S = kv->head_size, group = H / kv->n_kv_heads;
    size_t longest = (size_t)b->max_pages * (size_t)kv->page_positions;
    double *scores = device_shared(dev, longest * sizeof *scores);
    for (int t = 0; t < b->n_rows; t++)
        for (int h = 0; h < H; h++, y += S, q += S)
            attend(scores, y, q, kv, layer, b, t, h / group, scale);
}

static void silu_mul(struct device *dev, float *y, const float *gate, const float *up, size_t n,
                     enum format dtype)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(gate[i] / (1 + exp(-(double)gate[i]))) * up[i];
    round_to(dev, y, n, dtype);
}

static void relu2_mul(struct device *dev, float *y, const float *gate, const float *up, size_t n,
                      enum format dtype)
{
    for (size_t i = 0; i < n; i++) {
        float g = gate[i] < 0 ? 0 : gate[i];
        y[i] = g * g * up[i];
    }
    round_to(dev, y, n, dtype);
}

static void gather(struct device *dev, float *y, const float *x, const int32_t *rows, int n, int D)
{
    (void)dev;
    for (size_t i = 0; i < (size_t)n; i++)
        memcpy(y + i * (size_t)D, x + (size_t)rows[i] * (size_t)D, (size_t)D * sizeof *y);
}

/* log sum exp of the logits so far, as max + log(sum); takes the vocabulary in order, so that of
 * equal logits the first stays the argmax. A NaN makes the sum NaN but is never the argmax. */
struct lse {
    double max, sum;
    int32_t argmax;
};

static void lse_add(struct lse *s, float logit, int32_t token)
{
    if (logit > s->max) {
        s->sum = s->sum * exp(s->max - logit) + 1;
        s->max = logit;
        s->argmax = token;
    } else if (logit != -INFINITY) {
        s->sum += exp(logit - s->max);
    }
}

struct row_logits {
    struct lse lse;
    struct top top;
};

static void logprobs(struct device *dev, struct token_logprob *ret, struct top_token *top,
                     const struct weight *head, const struct asked *a)
{
    size_t D = (size_t)head->cols, T = (size_t)a->T, stride;
    float *row = (float *)device_scratch(dev, D * sizeof *row, &stride);
    struct row_logits *rows = device_shared(dev, T * sizeof *rows);
    for (size_t t = 0; t < T; t++)
        rows[t] = (struct row_logits){.lse.max = -INFINITY};
    for (int32_t v = 0; v < head->rows; v++) {
        weight_row_to_f32(head, v, row);
        for (size_t t = 0; t < T; t++) {
            float logit = (float)dot(a->x + t * D, row, head->cols);
            lse_add(&rows[t].lse, logit, v);
            top_add(&rows[t].top, a->k, logit, v);
            for (size_t i = asked_before(a, t); i < asked_before(a, t + 1); i++)
                if (a->targets[i] == v)
                    ret[i].logprob = (double)logit;
        }
    }
    for (size_t t = 0; t < T; t++) {
        const struct lse *s = &rows[t].lse;
        double all = s->max + log(s->sum);
        for (size_t i = asked_before(a, t); i < asked_before(a, t + 1); i++)
            ret[i] = (struct token_logprob){
                .logprob = a->targets[i] < 0 ? 0 : ret[i].logprob - all,
                .argmax = s->argmax,
                .argmax_logprob = s->max - all,
            };
        if (a->k > 0)
            top_answer(&rows[t].top, a->k, all, top + t * (size_t)a->k);
    }
}

void kernels_ref(struct kernels *k)
{
    k->numerics = "cpu-ref-2";
    k->embed = embed;
    k->add_rmsnorm = add_rmsnorm;
    k->linear = linear;
    k->rope_angles = rope_angles;
    k->rope = rope;
    k->kv_write = kv_write;
    k->kv_copy = kv_copy;
    k->attention = attention;
    k->silu_mul = silu_mul;
    k->relu2_mul = relu2_mul;
    k->add = add;
    k->round_to = round_to;
    k->gather = gather;
    k->logprobs = logprobs;
}
