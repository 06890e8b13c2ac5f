/* values.h: the numbers of a weight, whatever its format: the same floats as weight_row_to_f32,
 * bit for bit. format.c and codes.c of kernels/ describe the bytes. */
#ifndef ASSAY_KERNELS_CUDA_VALUES_H
#define ASSAY_KERNELS_CUDA_VALUES_H

#include "kernels/cuda/cuda.h"

namespace assay
{

__device__ inline unsigned half_at(const uint8_t *p)
{
    return static_cast<unsigned>(p[0]) | static_cast<unsigned>(p[1]) << 8;
}

__device__ inline float f16_value(unsigned bits)
{
    __half_raw raw;
    raw.x = static_cast<unsigned short>(bits);
    return __half2float(__half(raw));
}

__device__ inline float bf16_value(unsigned bits)
{
    return __uint_as_float(bits << 16);
}

__device__ inline float fp8_value(unsigned byte)
{
    __nv_fp8_storage_t code = static_cast<__nv_fp8_storage_t>(byte);
    return __half2float(__half(__nv_cvt_fp8_to_halfraw(code, __NV_E4M3)));
}

/* E2M1: sign, two bits of exponent, one of fraction. */
__device__ inline float fp4_value(unsigned code)
{
    unsigned e = code >> 1 & 3, f = code & 1;
    float x = e == 0 ? 0.5f * static_cast<float>(f)
                     : static_cast<float>(2 + f) * 0.5f * static_cast<float>(1u << (e - 1));
    return code & 8 ? -x : x;
}

/* ---- GGUF's blocks: d * s * q, and what is added ---- */

__device__ inline float scaled(unsigned d, int s, int q)
{
    return f16_value(d) * static_cast<float>(s) * static_cast<float>(q);
}

__device__ inline int nibble(const uint8_t *p, int i, int half)
{
    return p[i % half] >> (i / half * 4) & 15;
}

/* Value i of a block of 32. */
__device__ inline float small_block_value(enum format f, const uint8_t *p, int i)
{
    unsigned d = half_at(p);
    bool has_m = f == FORMAT_Q4_1 || f == FORMAT_Q5_1, fifth = f == FORMAT_Q5_0 || f == FORMAT_Q5_1;
    if (f == FORMAT_Q8_0)
        return scaled(d, 1, static_cast<int8_t>(p[2 + i]));
    float m = has_m ? f16_value(half_at(p + 2)) : 0;
    p += has_m ? 4 : 2;
    int q = nibble(p + (fifth ? 4 : 0), i, 16);
    if (fifth)
        q |= (p[i / 8] >> i % 8 & 1) << 4;
    return has_m ? scaled(d, 1, q) + m : scaled(d, 1, q - (fifth ? 16 : 8));
}

__device__ inline int pair_of_bits(const uint8_t *p, int i)
{
    return p[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
}

/* Scale and offset of 6 bits of group g of Q4_K and Q5_K. */
__device__ inline void k_scales(const uint8_t *p, int g, int *s, int *o)
{
    *s = g < 4 ? p[g] & 63 : (p[g + 4] & 15) | (p[g - 4] >> 6) << 4;
    *o = g < 4 ? p[g + 4] & 63 : (p[g + 4] >> 4) | (p[g] >> 6) << 4;
}

/* Value i of a block of 256. */
__device__ inline float large_block_value(enum format f, const uint8_t *p, int i)
{
    int s, o;
    if (f == FORMAT_Q2_K)
        return scaled(half_at(p + 80), p[i / 16] & 15, pair_of_bits(p + 16, i)) -
               f16_value(half_at(p + 82)) * static_cast<float>(p[i / 16] >> 4);
    if (f == FORMAT_Q3_K) {
        const uint8_t *scales = p + 96;
        int g = i / 16, q = pair_of_bits(p + 32, i) | (p[i % 32] >> i / 32 & 1) << 2;
        s = (scales[g % 8] >> g / 8 * 4 & 15) | (scales[8 + g % 4] >> g / 4 * 2 & 3) << 4;
        return scaled(half_at(p + 108), s - 32, q - 4);
    }
    if (f == FORMAT_Q6_K) {
        int in = i % 128, q = nibble(p + i / 128 * 64, in, 64);
        q |= pair_of_bits(p + 128, i) << 4;
        return scaled(half_at(p + 208), static_cast<int8_t>(p[192 + i / 16]), q - 32);
    }
    k_scales(p + 4, i / 32, &s, &o);
    int q = nibble(p + (f == FORMAT_Q5_K ? 48 : 16) + i / 64 * 32, i % 64, 32);
    if (f == FORMAT_Q5_K)
        q |= (p[16 + i % 32] >> i / 32 & 1) << 4;
    return scaled(half_at(p), s, q) - f16_value(half_at(p + 2)) * static_cast<float>(o);
}

/* ---- codes ---- */

__device__ inline float scale_of(const matrix &w, int row, int group)
{
    size_t i = static_cast<size_t>(row / w.group_rows) * static_cast<size_t>(w.groups) +
               static_cast<size_t>(group);
    switch (w.scale_format) {
    case FORMAT_F32:
        return w.scale * static_cast<const float *>(w.scales)[i];
    case FORMAT_FP8:
        return w.scale * fp8_value(static_cast<const uint8_t *>(w.scales)[i]);
    case FORMAT_F16:
        return w.scale * f16_value(static_cast<const uint16_t *>(w.scales)[i]);
    default:
        return w.scale * bf16_value(static_cast<const uint16_t *>(w.scales)[i]);
    }
}

struct code_kind {
    int bits;
    unsigned zero;
};

__host__ __device__ inline code_kind kind_of(enum format f)
{
    switch (f) {
    case FORMAT_INT4:
        return {4, 8};
    case FORMAT_INT3:
        return {3, 4};
    case FORMAT_INT2:
        return {2, 2};
    case FORMAT_TERNARY:
        return {2, 1};
    case FORMAT_FP4:
        return {4, 0};
    default:
        return {8, 0};
    }
}

/* The code at a column, and as a number. */
__host__ __device__ inline unsigned code_at(const uint8_t *row, int bits, int column)
{
    int at = column * bits;
    unsigned two = row[at / 8];
    if (at % 8 + bits > 8)
        two |= static_cast<unsigned>(row[at / 8 + 1]) << 8;
    return two >> at % 8 & ((1u << bits) - 1);
}

/* Of a weight whose row begins at `data`; where fragments lie, a row has no place of its own. */
__device__ inline unsigned stored_code(const matrix &w, const uint8_t *data, int row, int column)
{
    int bits = kind_of(w.format).bits;
    if (!w.fragments)
        return code_at(data, bits, column);
    fragment_place at = fragment_of(row, column, w.cols, bits);
    return w.data[at.lane + static_cast<size_t>(at.bit / 8)] >> at.bit % 8 & ((1u << bits) - 1);
}

__device__ inline float number_of(enum format f, unsigned code)
{
    return f == FORMAT_INT8  ? static_cast<float>(static_cast<int8_t>(code))
           : f == FORMAT_FP8 ? fp8_value(code)
           : f == FORMAT_FP4 ? fp4_value(code)
                             : static_cast<float>(code);
}

__device__ inline float code_value(const matrix &w, const uint8_t *data, int row, int column)
{
    code_kind k = kind_of(w.format);
    int group = column / w.group;
    size_t at =
        static_cast<size_t>(row) * static_cast<size_t>(w.groups) + static_cast<size_t>(group);
    unsigned zero = w.zeros ? w.zeros[at] : k.zero;
    float q = number_of(w.format, stored_code(w, data, row, column)) - number_of(w.format, zero);
    return scale_of(w, row, group) * q;
}

/* ---- any ---- */

__device__ inline float value_at(const matrix &w, const uint8_t *row_data, int row, int column)
{
    switch (w.format) {
    case FORMAT_F32:
        return reinterpret_cast<const float *>(row_data)[column];
    case FORMAT_F16:
        return f16_value(reinterpret_cast<const uint16_t *>(row_data)[column]);
    case FORMAT_BF16:
        return bf16_value(reinterpret_cast<const uint16_t *>(row_data)[column]);
    case FORMAT_Q8_0:
        return small_block_value(w.format, row_data + column / 32 * 34, column % 32);
    case FORMAT_Q4_0:
        return small_block_value(w.format, row_data + column / 32 * 18, column % 32);
    case FORMAT_Q4_1:
        return small_block_value(w.format, row_data + column / 32 * 20, column % 32);
    case FORMAT_Q5_0:
        return small_block_value(w.format, row_data + column / 32 * 22, column % 32);
    case FORMAT_Q5_1:
        return small_block_value(w.format, row_data + column / 32 * 24, column % 32);
    case FORMAT_Q2_K:
        return large_block_value(w.format, row_data + column / 256 * 84, column % 256);
    case FORMAT_Q3_K:
        return large_block_value(w.format, row_data + column / 256 * 110, column % 256);
    case FORMAT_Q4_K:
        return large_block_value(w.format, row_data + column / 256 * 144, column % 256);
    case FORMAT_Q5_K:
        return large_block_value(w.format, row_data + column / 256 * 176, column % 256);
    case FORMAT_Q6_K:
        return large_block_value(w.format, row_data + column / 256 * 210, column % 256);
    default:
        return code_value(w, row_data, row, column);
    }
}

/* Columns c .. c+7 (c a multiple of 8) of a row, those past the end 0; in the order of the codes.
 */
__device__ inline void eight_values(const matrix &w, int row, int c, float (&ret)[8])
{
    const uint8_t *data = w.data + static_cast<size_t>(row) * w.row_bytes;
    for (int i = 0; i < 8; i++)
        ret[i] = c + i < w.cols ? value_at(w, data, row, c + i) : 0;
}

} // namespace assay

#endif
