/* avx2.c: norms, rope and elements, and the table of all that AVX2 does faster (avx2.h). */
#include "kernels/cpu/avx2.h"

/* T rows of D floats, in pieces for the pool: what the row operations below share. */
struct rows {
    float *y;
    const float *x, *w;
    const int32_t *positions;
    size_t T, D, part; /* part: rows a part */
    float eps_or_scale;
    int n_heads, S;
    enum rope_kind kind;
    void (*row)(const struct rows *r, size_t t, float *work);
    char *work; /* a thread's row */
    size_t stride;
};

static void rows_part(void *arg, size_t part, int thread)
{
    const struct rows *r = arg;
    float *work = (float *)(void *)(r->work + (size_t)thread * r->stride);
    for (size_t t = part * r->part; t < min_size(r->T, (part + 1) * r->part); t++)
        r->row(r, t, work);
}

static void run_rows(struct device *dev, struct rows *r)
{
    r->part = r->D >= SERIAL_FLOATS / 4 ? 1 : SERIAL_FLOATS / 4 / (r->D ? r->D : 1);
    r->work = device_scratch(dev, (r->D + 8) * sizeof(float), &r->stride);
    share(dev, r->T * r->D < SERIAL_FLOATS, (r->T + r->part - 1) / r->part, rows_part, r);
}

static void rmsnorm_row(const struct rows *r, size_t t, float *work)
{
    (void)work;
    const float *x = r->x + t * r->D;
    float *y = r->y + t * r->D;
    size_t i = 0;
    __m256d low = _mm256_setzero_pd(), high = low;
    for (; i < r->D; i += 8) {
        __m256 v = _mm256_maskload_ps(x + i, lanes(min_size(r->D - i, 8)));
        low = _mm256_fmadd_pd(low_half(v), low_half(v), low);
        high = _mm256_fmadd_pd(high_half(v), high_half(v), high);
    }
    double mean = sum_doubles(low, high) / (double)r->D;
    __m256 scale = _mm256_set1_ps((float)(1 / sqrt(mean + (double)r->eps_or_scale)));
    for (i = 0; i < r->D; i += 8) {
        __m256i mask = lanes(min_size(r->D - i, 8));
        __m256 v = _mm256_mul_ps(_mm256_maskload_ps(x + i, mask), scale);
        _mm256_maskstore_ps(y + i, mask, _mm256_mul_ps(v, _mm256_maskload_ps(r->w + i, mask)));
    }
}

static void rmsnorm(struct device *dev, float *y, const float *x, const float *w, int T, int D,
                    float eps)
{
    struct rows r = {.y = y, .x = x, .w = w, .T = (size_t)T, .D = (size_t)D, .row = rmsnorm_row};
    r.eps_or_scale = eps;
    run_rows(dev, &r);
}

/* Pairs (i, i + half): 8 pairs are two registers. */
static void rotate_halves(float *x, const float *cosines, const float *sines, size_t half)
{
    for (size_t i = 0; i < half; i += 8) {
        __m256i mask = lanes(min_size(half - i, 8));
        __m256 c = _mm256_maskload_ps(cosines + i, mask), s = _mm256_maskload_ps(sines + i, mask);
        __m256 a = _mm256_maskload_ps(x + i, mask), b = _mm256_maskload_ps(x + half + i, mask);
        _mm256_maskstore_ps(x + i, mask, _mm256_sub_ps(_mm256_mul_ps(a, c), _mm256_mul_ps(b, s)));
        _mm256_maskstore_ps(x + half + i, mask,
                            _mm256_add_ps(_mm256_mul_ps(b, c), _mm256_mul_ps(a, s)));
    }
}

/* Pairs (2i, 2i + 1): 4 pairs are one register. */
static void rotate_pairs(float *x, const float *cosines, const float *sines, size_t half)
{
    for (size_t i = 0; i < half; i += 4) {
        __m256i mask = lanes(2 * min_size(half - i, 4));
        __m128i few = _mm256_castsi256_si128(lanes(min_size(half - i, 4)));
        __m128 c4 = _mm_maskload_ps(cosines + i, few), s4 = _mm_maskload_ps(sines + i, few);
        __m256 c = _mm256_set_m128(_mm_unpackhi_ps(c4, c4), _mm_unpacklo_ps(c4, c4));
        __m256 s = _mm256_set_m128(_mm_unpackhi_ps(s4, s4), _mm_unpacklo_ps(s4, s4));
        __m256 a = _mm256_maskload_ps(x + 2 * i, mask), swapped = _mm256_permute_ps(a, 0xb1);
        a = _mm256_addsub_ps(_mm256_mul_ps(a, c), _mm256_mul_ps(swapped, s));
        _mm256_maskstore_ps(x + 2 * i, mask, a);
    }
}

static void rope_row(const struct rows *r, size_t t, float *work)
{
    size_t half = (size_t)r->S / 2;
    float *x = r->y + t * r->D, *cosines = work, *sines = work + half;
    for (size_t i = 0; i < half; i++) {
        float angle = (float)r->positions[t] * r->w[i];
        cosines[i] = cosf(angle) * r->eps_or_scale;
        sines[i] = sinf(angle) * r->eps_or_scale;
    }
    for (int h = 0; h < r->n_heads; h++, x += r->S)
        (r->kind == ROPE_PAIRS ? rotate_pairs : rotate_halves)(x, cosines, sines, half);
}

static void rope(struct device *dev, float *x, const int32_t *positions, const float *inv_freq,
                 float scale, int T, int n_heads, int S, enum rope_kind kind)
{
    struct rows r = {.y = x, .w = inv_freq, .positions = positions, .T = (size_t)T, .S = S};
    r.D = (size_t)n_heads * (size_t)S;
    r.eps_or_scale = scale;
    r.n_heads = n_heads;
    r.kind = kind;
    r.row = rope_row;
    run_rows(dev, &r);
}

struct elements {
    float *y;
    const float *a, *b;
    size_t n;
    void (*piece)(float *y, const float *a, const float *b, size_t n);
};

enum { ELEMENTS_A_PART = 1 << 13 };

static void elements_part(void *arg, size_t part, int thread)
{
    (void)thread;
    const struct elements *e = arg;
    size_t i = part * ELEMENTS_A_PART;
    e->piece(e->y + i, e->a + i, e->b + i, min_size(e->n - i, ELEMENTS_A_PART));
}

static void run_elements(struct device *dev, struct elements e)
{
    share(dev, e.n < 4 * ELEMENTS_A_PART, (e.n + ELEMENTS_A_PART - 1) / ELEMENTS_A_PART,
          elements_part, &e);
}

static void silu_mul_piece(float *y, const float *gate, const float *up, size_t n)
{
    __m256 one = _mm256_set1_ps(1);
    for (size_t i = 0; i < n; i += 8) {
        __m256i mask = lanes(min_size(n - i, 8));
        __m256 g = _mm256_maskload_ps(gate + i, mask);
        __m256 e = exp8(_mm256_sub_ps(_mm256_setzero_ps(), g));
        __m256 silu = _mm256_div_ps(g, _mm256_add_ps(one, e));
        _mm256_maskstore_ps(y + i, mask, _mm256_mul_ps(silu, _mm256_maskload_ps(up + i, mask)));
    }
}

static void silu_mul(struct device *dev, float *y, const float *gate, const float *up, size_t n)
{
    run_elements(dev, (struct elements){y, gate, up, n, silu_mul_piece});
}

static void add_piece(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        __m256i mask = lanes(min_size(n - i, 8));
        __m256 sum =
            _mm256_add_ps(_mm256_maskload_ps(a + i, mask), _mm256_maskload_ps(b + i, mask));
        _mm256_maskstore_ps(y + i, mask, sum);
    }
}

static void add(struct device *dev, float *y, const float *x, size_t n)
{
    run_elements(dev, (struct elements){y, y, x, n, add_piece});
}

static void round_f16_piece(float *y, const float *a, const float *b, size_t n)
{
    (void)b;
    for (size_t i = 0; i < n; i += 8) {
        __m256i mask = lanes(min_size(n - i, 8));
        __m128i h = _mm256_cvtps_ph(_mm256_maskload_ps(a + i, mask), _MM_FROUND_TO_NEAREST_INT);
        _mm256_maskstore_ps(y + i, mask, _mm256_cvtph_ps(h));
    }
}

/* The upper half of the bits, after adding what rounds to nearest even; a NaN made quiet. */
static void round_bf16_piece(float *y, const float *a, const float *b, size_t n)
{
    (void)b;
    for (size_t i = 0; i < n; i += 8) {
        __m256i mask = lanes(min_size(n - i, 8));
        __m256 v = _mm256_maskload_ps(a + i, mask);
        __m256i u = _mm256_castps_si256(v);
        __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
        __m256i near = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
        __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
        __m256 is_nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
        __m256 r = _mm256_blendv_ps(_mm256_castsi256_ps(near), _mm256_castsi256_ps(quiet), is_nan);
        r = _mm256_and_ps(r, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000)));
        _mm256_maskstore_ps(y + i, mask, r);
    }
}

static void round_to(struct device *dev, float *x, size_t n, enum format f)
{
    if (f == FORMAT_F16)
        run_elements(dev, (struct elements){x, x, x, n, round_f16_piece});
    else if (f == FORMAT_BF16)
        run_elements(dev, (struct elements){x, x, x, n, round_bf16_piece});
}

void kernels_avx2(struct kernels *k)
{
    k->numerics = "cpu-avx2-2";
    k->rmsnorm = rmsnorm;
    k->linear = avx2_linear;
    k->rope = rope;
    k->attention = avx2_attention;
    k->kv_write = avx2_kv_write;
    k->kv_copy = avx2_kv_copy;
    k->silu_mul = silu_mul;
    k->add = add;
    k->round_to = round_to;
    k->logprobs = avx2_logprobs;
    k->logprobs_top = avx2_logprobs_top;
}
