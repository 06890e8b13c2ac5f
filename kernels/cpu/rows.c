/* rows.c: norms, rope, activations and sums: what goes over rows of activations once.
 *
 * Work     Rows, or pieces of a long array, in parts of some 16 KiB: a part is in the cache when
 *          its result is rounded to the activations' format.
 * Order    Squares are summed in 16 lanes of doubles by position, the lanes in a tree: the same at
 *          every level. All else is element by element.
 * Floor    Reading and writing once. A masked store takes dozens of cycles on some processors, so
 *          only what is left of a row behind its last whole vector is masked.
 *          `test_kernels --bench=rmsnorm`, and by the operations' other names. */
#include "kernels/cpu/level.h"

enum {
    PART_FLOATS = 1 << 12,
    CHUNK = 16, /* floats that the sum of squares takes at once */
    CHUNK_VECTORS = CHUNK / VL,
};

/* ---- Rounding to the activations' format ---- */

/* The upper half of the bits, after adding what rounds to nearest even; a NaN made quiet. */
INLINE __m256 round_bf16(__m256 v)
{
    __m256i u = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i near = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    __m256 is_nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
    __m256 r = _mm256_blendv_ps(_mm256_castsi256_ps(near), _mm256_castsi256_ps(quiet), is_nan);
    return _mm256_and_ps(r, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000)));
}

INLINE __m256 round_8(__m256 v, enum format f)
{
    return f == FORMAT_BF16 ? round_bf16(v)
                            : _mm256_cvtph_ps(_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

static void round_floats(float *x, size_t n, enum format f)
{
    size_t i = 0;
    if (f == FORMAT_F32)
        return;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, round_8(_mm256_loadu_ps(x + i), f));
    if (i < n) {
        float v[8] = {0};
        memcpy(v, x + i, (n - i) * sizeof *v);
        _mm256_storeu_ps(v, round_8(_mm256_loadu_ps(v), f));
        memcpy(x + i, v, (n - i) * sizeof *v);
    }
}

/* ---- Rows ---- */

struct rows {
    float *x, *y;
    const float *add, *w, *angles;
    size_t T, D;
    float eps;
    size_t n_heads, S;
    enum rope_kind kind;
    enum format dtype;
    void (*row)(const struct rows *r, size_t t);
};

static size_t rows_a_part(const struct rows *r)
{
    return max_size(PART_FLOATS / max_size(r->D, 1), 1);
}

static void rows_part(void *arg, size_t part, int thread)
{
    (void)thread;
    const struct rows *r = arg;
    size_t n = rows_a_part(r);
    for (size_t t = part * n; t < min_size(r->T, (part + 1) * n); t++)
        r->row(r, t);
}

static void run_rows(struct device *dev, struct rows *r)
{
    size_t n = rows_a_part(r);
    share(dev, r->T * r->D < SERIAL_FLOATS, (r->T + n - 1) / n, rows_part, r);
}

/* x[D] += add[D] */
static void add_floats(float *x, const float *add, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vstore(x + i, vadd(vload(x + i), vload(add + i)));
    for (; i < n; i++)
        x[i] += add[i];
}

static double sum_of_squares(const float *x, size_t n)
{
    vd acc[2 * CHUNK_VECTORS];
    UNROLL for (int i = 0; i < 2 * CHUNK_VECTORS; i++) acc[i] = MM(setzero_pd)();
    for (size_t i = 0; i < n; i += CHUNK)
        UNROLL for (size_t v = 0; v < CHUNK_VECTORS; v++)
        {
            size_t at = i + v * VL;
            vf a =
                at + VL <= n ? vload(x + at) : vload_mask(x + at, first_lanes(n - min_size(n, at)));
            vd low = vlow(a), high = vhigh(a);
            acc[2 * v] = MM(fmadd_pd)(low, low, acc[2 * v]);
            acc[2 * v + 1] = MM(fmadd_pd)(high, high, acc[2 * v + 1]);
        }
    double lanes[CHUNK];
    for (size_t i = 0; i < 2 * CHUNK_VECTORS; i++)
        MM(storeu_pd)(lanes + i * VL / 2, acc[i]);
    for (int half = CHUNK / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

static void rmsnorm_row(const struct rows *r, size_t t)
{
    const size_t D = r->D;
    float *x = r->x + t * D, *y = r->y + t * D;
    if (r->add) {
        add_floats(x, r->add + t * D, D);
        round_floats(x, D, r->dtype);
    }
    double mean = sum_of_squares(x, D) / (double)D;
    const float scale = (float)(1 / sqrt(mean + (double)r->eps));
    size_t i = 0;
    for (; i + VL <= D; i += VL)
        vstore(y + i, vmul(vmul(vload(x + i), vset(scale)), vload(r->w + i)));
    for (; i < D; i++)
        y[i] = x[i] * scale * r->w[i];
    round_floats(y, D, r->dtype);
}

static void add_rmsnorm(struct device *dev, float *y, float *x, const float *add, const float *w,
                        int T, int D, float eps, enum format dtype)
{
    struct rows r = {.x = x, .y = y, .add = add, .w = w, .T = (size_t)T, .D = (size_t)D};
    r.eps = eps;
    r.dtype = dtype;
    r.row = rmsnorm_row;
    run_rows(dev, &r);
}

/* Pairs (i, i + half). */
static void rotate_halves(float *x, const float *cosines, const float *sines, size_t half)
{
    float *low = x, *high = x + half;
    size_t i = 0;
    for (; i + VL <= half; i += VL) {
        vf c = vload(cosines + i), s = vload(sines + i), a = vload(low + i), b = vload(high + i);
        vstore(low + i, vsub(vmul(a, c), vmul(b, s)));
        vstore(high + i, vadd(vmul(b, c), vmul(a, s)));
    }
    for (; i < half; i++) {
        float a = low[i], b = high[i];
        low[i] = a * cosines[i] - b * sines[i];
        high[i] = b * cosines[i] + a * sines[i];
    }
}

/* Pairs (2i, 2i + 1): 4 of them are a register. */
static void rotate_pairs(float *x, const float *cosines, const float *sines, size_t half)
{
    size_t i = 0;
    for (; i + 4 <= half; i += 4) {
        __m128 c4 = _mm_loadu_ps(cosines + i), s4 = _mm_loadu_ps(sines + i);
        __m256 c = _mm256_set_m128(_mm_unpackhi_ps(c4, c4), _mm_unpacklo_ps(c4, c4));
        __m256 s = _mm256_set_m128(_mm_unpackhi_ps(s4, s4), _mm_unpacklo_ps(s4, s4));
        __m256 a = _mm256_loadu_ps(x + 2 * i), swapped = _mm256_permute_ps(a, 0xb1);
        a = _mm256_addsub_ps(_mm256_mul_ps(a, c), _mm256_mul_ps(swapped, s));
        _mm256_storeu_ps(x + 2 * i, a);
    }
    for (; i < half; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * cosines[i] - b * sines[i];
        x[2 * i + 1] = b * cosines[i] + a * sines[i];
    }
}

static void rope_row(const struct rows *r, size_t t)
{
    const float *cosines = r->angles + t * r->S, *sines = cosines + r->S / 2;
    float *x = r->x + t * r->D;
    for (size_t h = 0; h < r->n_heads; h++)
        (r->kind == ROPE_PAIRS ? rotate_pairs : rotate_halves)(x + h * r->S, cosines, sines,
                                                               r->S / 2);
    round_floats(x, r->D, r->dtype);
}

static void rope(struct device *dev, float *x, const float *angles, int T, int n_heads, int S,
                 enum rope_kind kind, enum format dtype)
{
    struct rows r = {.x = x, .angles = angles, .T = (size_t)T, .S = (size_t)S, .kind = kind};
    r.n_heads = (size_t)n_heads;
    r.D = r.n_heads * r.S;
    r.dtype = dtype;
    r.row = rope_row;
    run_rows(dev, &r);
}

/* ---- Elements ---- */

struct elements {
    float *y;
    const float *a, *b;
    size_t n;
    enum format dtype;
    void (*piece)(float *y, const float *a, const float *b, size_t n);
};

static void elements_part(void *arg, size_t part, int thread)
{
    (void)thread;
    const struct elements *e = arg;
    size_t i = part * PART_FLOATS, n = min_size(e->n - i, PART_FLOATS);
    e->piece(e->y + i, e->a + i, e->b + i, n);
    round_floats(e->y + i, n, e->dtype);
}

static void run_elements(struct device *dev, struct elements e)
{
    share(dev, e.n < SERIAL_FLOATS, (e.n + PART_FLOATS - 1) / PART_FLOATS, elements_part, &e);
}

INLINE vf silu(vf gate)
{
    return MM(div_ps)(gate, vadd(vset(1), vexp(vsub(vzero(), gate))));
}

static void silu_mul_piece(float *y, const float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vstore(y + i, vmul(silu(vload(gate + i)), vload(up + i)));
    if (i < n) {
        vmask m = first_lanes(n - i);
        vstore_mask(y + i, m, vmul(silu(vload_mask(gate + i, m)), vload_mask(up + i, m)));
    }
}

INLINE vf relu2(vf gate)
{
    vf g = vmax(vzero(), gate); /* in this order of operands NaN stays NaN */
    return vmul(g, g);
}

static void relu2_mul_piece(float *y, const float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vstore(y + i, vmul(relu2(vload(gate + i)), vload(up + i)));
    if (i < n) {
        vmask m = first_lanes(n - i);
        vstore_mask(y + i, m, vmul(relu2(vload_mask(gate + i, m)), vload_mask(up + i, m)));
    }
}

static void relu2_mul(struct device *dev, float *y, const float *gate, const float *up, size_t n,
                      enum format dtype)
{
    run_elements(dev, (struct elements){y, gate, up, n, dtype, relu2_mul_piece});
}

static void silu_mul(struct device *dev, float *y, const float *gate, const float *up, size_t n,
                     enum format dtype)
{
    run_elements(dev, (struct elements){y, gate, up, n, dtype, silu_mul_piece});
}

static void add_piece(float *y, const float *a, const float *b, size_t n)
{
    (void)a; /* is y */
    add_floats(y, b, n);
}

static void add(struct device *dev, float *y, const float *x, size_t n, enum format dtype)
{
    run_elements(dev, (struct elements){y, y, x, n, dtype, add_piece});
}

static void nothing(float *y, const float *a, const float *b, size_t n)
{
    (void)y;
    (void)a;
    (void)b;
    (void)n;
}

static void round_to(struct device *dev, float *x, size_t n, enum format f)
{
    if (f != FORMAT_F32)
        run_elements(dev, (struct elements){x, x, x, n, f, nothing});
}

void LEVEL(rows_kernels)(struct kernels *k)
{
    k->add_rmsnorm = add_rmsnorm;
    k->rope = rope;
    k->silu_mul = silu_mul;
    k->relu2_mul = relu2_mul;
    k->add = add;
    k->round_to = round_to;
}
