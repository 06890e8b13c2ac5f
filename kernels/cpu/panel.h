/* panel.h: how the numbers of a panel (pack.h) come into registers, a vector of columns at a time.
 * One function for each step, for whatever multiplies: linear.c, logprobs, int8.c. `f` is a
 * constant wherever these are called, and what follows from it too. */
#ifndef ASSAY_KERNELS_CPU_PANEL_H
#define ASSAY_KERNELS_CPU_PANEL_H

#include "kernels/cpu/pack.h"
#include "kernels/cpu/simd.h"

/* Formats as the tiles know them: codes with zeros of their own are others. */
enum {
    FORMAT_INT8_ZEROS = FORMAT_COUNT,
    FORMAT_INT4_ZEROS,
    TILE_FORMATS,
};

static inline int tile_format(const struct weight *w)
{
    return !w->zeros                  ? (int)w->format
           : w->format == FORMAT_INT8 ? FORMAT_INT8_ZEROS
           : w->format == FORMAT_INT4 ? FORMAT_INT4_ZEROS
                                      : (int)w->format;
}

/* Where the runs of panels are, from one of them on; the same in every panel. */
struct walk {
    size_t head, run, left; /* runs to the next head */
};

INLINE struct walk walk_from(const struct panel_shape *s, size_t k, const size_t W)
{
    size_t run = k / RUN, group = run / s->head_runs, in = run % s->head_runs;
    struct walk r = {.left = s->head_runs - in};
    r.head = W * group * (s->head + s->head_runs * (s->scales + s->codes));
    r.run = r.head + W * (s->head + in * (s->scales + s->codes));
    return r;
}

INLINE void walk_on(const struct panel_shape *s, struct walk *at, const size_t W)
{
    at->run += W * (s->scales + s->codes);
    if (--at->left > 0)
        return;
    at->head = at->run;
    at->run += W * s->head;
    at->left = s->head_runs;
}

/* What a panel's numbers are multiplied and shifted by, beside its memory. */
struct panel {
    const struct panel_shape *shape;
    enum format scale_format;
    float scale;
};

/* Bytes of a run before its codes. */
INLINE size_t run_scales(const int f)
{
    switch (f) {
    case FORMAT_Q4_1:
    case FORMAT_Q5_1:
        return 4;
    case FORMAT_Q8_0:
    case FORMAT_Q4_0:
    case FORMAT_Q5_0:
    case FORMAT_Q2_K:
    case FORMAT_Q3_K:
    case FORMAT_Q4_K:
    case FORMAT_Q5_K:
    case FORMAT_Q6_K:
        return 2;
    default:
        return 0;
    }
}

/* A run has two scales a column. */
INLINE bool run_halves(const int f, const struct panel *p)
{
    return run_scales(f) == 0 ? p->shape->halves
                              : f == FORMAT_Q2_K || f == FORMAT_Q3_K || f == FORMAT_Q6_K;
}

/* A run's scale, and what is added to a code's product with it or, of codes with zeros, taken off
 * the code before. */
struct scales {
    vf d, o;
};

INLINE bool has_zeros(const int f)
{
    return f == FORMAT_INT8_ZEROS || f == FORMAT_INT4_ZEROS || f == FORMAT_INT3 || f == FORMAT_INT2;
}

INLINE bool has_offset(const int f)
{
    return f != FORMAT_Q8_0 && f != FORMAT_INT8 && f != FORMAT_FP8 && f != FORMAT_FP4 &&
           !has_zeros(f);
}

/* w of a code, as a float. */
INLINE vf scaled(const int f, vf code, struct scales s)
{
    return has_zeros(f)    ? vmul(vsub(code, s.o), s.d)
           : has_offset(f) ? vfma(code, s.d, s.o)
                           : vmul(code, s.d);
}

/* VL scales in the format that the weight has them in, from column c on; bytes a scale. */
INLINE vf load_scale(const struct panel *p, const uint8_t *scales, size_t c)
{
    switch (p->scale_format) {
    case FORMAT_F32:
        return vmul(vset(p->scale), vload((const float *)(const void *)(scales + 4 * c)));
    case FORMAT_F16:
        return vmul(vset(p->scale), vload_f16(scales + 2 * c));
    case FORMAT_BF16:
        return vmul(vset(p->scale), vload_bf16(scales + 2 * c));
    default:
        return vmul(vset(p->scale * 0x1p8f), vload_fp8(scales + c));
    }
}

INLINE size_t scale_bytes(const struct panel *p)
{
    return p->scale_format == FORMAT_F32 ? 4 : p->scale_format == FORMAT_FP8 ? 1 : 2;
}

/* The scales of codes: `head` at the panel's column 0, c the vector's first column. */
INLINE struct scales load_head(const int f, const struct panel *p, const uint8_t *head, const int W,
                               const int c, const int half)
{
    size_t at = (size_t)(half * W + c), all = (size_t)(p->shape->halves ? 2 * W : W);
    struct scales s = {load_scale(p, head, at), vzero()};
    if (f == FORMAT_FP8)
        s.d = vmul(s.d, vset(0x1p8f));
    if (f == FORMAT_INT4)
        s.o = vmul(s.d, vset(-8));
    if (f == FORMAT_TERNARY)
        s.o = vmul(s.d, vset(-1));
    if (has_zeros(f)) {
        const uint8_t *zero = head + all * scale_bytes(p) + at;
        s.o = vfloat(f == FORMAT_INT8_ZEROS ? vload_i8(zero) : vload_u8(zero));
    }
    return s;
}

/* The same of any format; `scales` are the run's, half: of the run's k. */
INLINE struct scales load_scales(const int f, const struct panel *p, const uint8_t *head,
                                 const uint8_t *scales, const int W, const int c, const int half)
{
    switch (f) {
    case FORMAT_Q8_0:
        return (struct scales){vload_f16(scales + 2 * c), vzero()};
    case FORMAT_Q4_0:
    case FORMAT_Q5_0: {
        vf d = vload_f16(scales + 2 * c);
        return (struct scales){d, vmul(d, vset(f == FORMAT_Q4_0 ? -8 : -16))};
    }
    case FORMAT_Q4_1:
    case FORMAT_Q5_1:
        return (struct scales){vload_f16(scales + 2 * c), vload_f16(scales + 2 * (W + c))};
    case FORMAT_Q2_K: {
        vi both = vload_u8(scales + half * W + c);
        vf d = vmul(vload_f16(head + 2 * c), vfloat(vand_i(both, vset_i(15))));
        vf m = vmul(vload_f16(head + 2 * (W + c)), vfloat(vshift_right(both, 4)));
        return (struct scales){d, vsub(vset(-0.0f), m)};
    }
    case FORMAT_Q4_K:
    case FORMAT_Q5_K: {
        vf d = vmul(vload_f16(head + 2 * c), vfloat(vload_u8(scales + c)));
        vf m = vmul(vload_f16(head + 2 * (W + c)), vfloat(vload_u8(scales + W + c)));
        return (struct scales){d, vsub(vset(-0.0f), m)};
    }
    case FORMAT_Q3_K:
    case FORMAT_Q6_K: {
        vf d = vmul(vload_f16(head + 2 * c), vfloat(vload_i8(scales + half * W + c)));
        return (struct scales){d, vmul(d, vset(f == FORMAT_Q3_K ? -4 : -32))};
    }
    default:
        return load_head(f, p, head, W, c, half);
    }
}

/* ---- Codes in planes ---- */

INLINE int low_bits(const int f)
{
    switch (f) {
    case FORMAT_Q2_K:
    case FORMAT_Q3_K:
    case FORMAT_INT3:
    case FORMAT_INT2:
    case FORMAT_TERNARY:
        return 2;
    default:
        return 4;
    }
}

INLINE int high_bits(const int f)
{
    switch (f) {
    case FORMAT_Q5_0:
    case FORMAT_Q5_1:
    case FORMAT_Q5_K:
    case FORMAT_Q3_K:
    case FORMAT_INT3:
        return 1;
    case FORMAT_Q6_K:
        return 2;
    default:
        return 0;
    }
}

/* The codes of k = low_bits * j + i of a run, times 2^(low_bits * j), which the scale makes up for:
 * left where they are in their words they are numbers of their own once the others are masked off.
 * Only the last j are shifted down. `codes` at the vector's first column. */
INLINE vf plane_code(const int f, const uint8_t *codes, const int W, const int i, const int j)
{
    const int low = low_bits(f), high = high_bits(f), last = 32 / low - 1;
    vi word = vload_i(codes + 4 * i * W);
    if (f == FORMAT_FP4)
        return vfp4(vshift_right_by(word, 4 * j));
    vi code = j == last ? vshift_right(word, 32 - low)
                        : vand_i(word, vset_i(((1 << low) - 1) << low * j));
    if (high > 0) {
        const int up = low - i / high * high; /* from the high bits' place to that above the low */
        vi more = vload_i(codes + 4 * (low + i % high) * W);
        vi mask = vset_i(((1 << high) - 1) << (j == last ? low : low * (j + 1)));
        more = j == last ? vshift_right(more, 32 - low - up) : up ? vshift_left(more, up) : more;
        code = vor_i(code, vand_i(more, mask));
    }
    return vfloat(code);
}

/* The scales for the codes of j + 1, after j. */
INLINE void next_plane(const int f, const int j, struct scales *s)
{
    const int low = low_bits(f);
    const bool to_last = j == 32 / low - 2;
    if (f == FORMAT_FP4)
        return;
    s->d = vmul(s->d, vset(to_last    ? (low == 4 ? 0x1p24f : 0x1p28f)
                           : low == 4 ? 0x1p-4f
                                      : 0x1p-2f));
    if (has_zeros(f))
        s->o = vmul(s->o, vset(to_last ? (low == 4 ? 0x1p-24f : 0x1p-28f) : low == 4 ? 16 : 4));
}

/* The scales of a run's second half for its first j. */
INLINE void half_plane(const int f, struct scales *s)
{
    if (f == FORMAT_FP4)
        return;
    s->d = vmul(s->d, vset(0x1p-16f));
    if (has_zeros(f))
        s->o = vmul(s->o, vset(0x1p16f));
}

#endif
