/* Weight formats: half precisions bit by bit, and the quantizers' rounding. */
#include "kernels/format.h"
#include "kernels/kernels.h"
#include "tests/check.h"

static void halves_round_trip(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = f16_to_f32((uint16_t)h), b = bf16_to_f32((uint16_t)h);
        if (isnan(f))
            EXPECT(isnan(f16_to_f32(f16_from_f32(f))));
        else
            EXPECT_INT(f16_from_f32(f), h);
        if (isnan(b))
            EXPECT(isnan(bf16_to_f32(bf16_from_f32(b))));
        else
            EXPECT_INT(bf16_from_f32(b), h);
    }
    EXPECT(f16_to_f32(0x3c00) == 1 && f16_to_f32(0x7bff) == 65504 && f16_to_f32(1) == 0x1p-24f);
    EXPECT(bf16_to_f32(0x3f80) == 1);
}

/* Between two neighbours: nearer one wins, the middle goes to the even one. */
static void halves_round_to_nearest_even(void)
{
    for (uint32_t h = 0; h < 0x7bff; h++) {
        float low = f16_to_f32((uint16_t)h), high = f16_to_f32((uint16_t)(h + 1));
        float middle = (low + high) / 2; /* exact in float */
        EXPECT_INT(f16_from_f32(middle), h + (h & 1));
        EXPECT_INT(f16_from_f32(nextafterf(middle, 0)), h);
        EXPECT_INT(f16_from_f32(-nextafterf(middle, 1e6f)), 0x8000 + h + 1);
    }
    EXPECT_INT(f16_from_f32(65519.99f), 0x7bff);
    EXPECT_INT(f16_from_f32(65520), 0x7c00);
    EXPECT_INT(f16_from_f32(-1e30f), 0xfc00);
    EXPECT_INT(f16_from_f32(0x1p-25f), 0);
    EXPECT_INT(f16_from_f32(1e-40f), 0);
    EXPECT_INT(bf16_from_f32(1 + 0x1p-8f), 0x3f80);
    EXPECT_INT(bf16_from_f32(1 + 0x3p-8f), 0x3f82);
    EXPECT_INT(bf16_from_f32(1 + 0x1.1p-8f), 0x3f81);
    EXPECT_INT(bf16_from_f32(3.4e38f), 0x7f80);
}

static void row_bytes(void)
{
    EXPECT_INT(format_row_bytes(FORMAT_F32, 7), 28);
    EXPECT_INT(format_row_bytes(FORMAT_BF16, 7), 14);
    EXPECT_INT(format_row_bytes(FORMAT_Q8_0, 576), 612);
    EXPECT_INT(format_row_bytes(FORMAT_Q4_0, 64), 36);
    EXPECT_INT(format_row_bytes(FORMAT_Q4_1, 64), 40);
    EXPECT_INT(format_row_bytes(FORMAT_Q4_1, 63), 0);
    EXPECT_INT(format_row_bytes(FORMAT_Q6_K, 512), 420);
    EXPECT_INT(format_row_bytes(FORMAT_Q4_K, 288), 0);
    EXPECT_INT(format_row_bytes(FORMAT_F32, -4), 0);
    EXPECT_INT(format_row_bytes(FORMAT_F32, INT64_MAX), 0);
}

/* The values that llama.cpp's quantizers give for this block, worked by hand: 31 small steps and
 * one far value. */
static void quantizers_as_llama_cpp(void)
{
    struct error e = {0};
    float x[32], back[32];
    for (int i = 0; i < 32; i++)
        x[i] = (float)i / 4;
    x[31] = -12.7f;
    uint8_t q[34];
    EXPECT_OK(format_from_f32(FORMAT_Q8_0, x, 32, q, &e), &e);
    EXPECT_INT(q[0] | q[1] << 8, f16_from_f32(12.7f / 127));
    EXPECT_INT((int8_t)q[2 + 31], -127);
    for (int i = 0; i < 31; i++) /* 2.5 codes a step; halves go away from zero */
        EXPECT_INT(q[2 + i], (int)roundf(x[i] * (1 / (12.7f / 127))));
    weight_row_to_f32(&(struct weight){.format = FORMAT_Q8_0, .rows = 1, .cols = 32, .data = q}, 0,
                      back);
    EXPECT_NEAR(back[31], -12.7, 0.01);

    EXPECT_OK(format_from_f32(FORMAT_Q4_0, x, 32, q, &e), &e);
    EXPECT_INT(q[0] | q[1] << 8, f16_from_f32(12.7f / 8)); /* the far value is negative: d > 0 */
    EXPECT_INT(q[2 + 15] >> 4, 0);                         /* and has the code -8 + 8 */
    EXPECT_INT(q[2] & 15, 8);
    weight_row_to_f32(&(struct weight){.format = FORMAT_Q4_0, .rows = 1, .cols = 32, .data = q}, 0,
                      back);
    for (int i = 0; i < 32; i++)
        EXPECT_NEAR(back[i], x[i], 12.7 / 16 + 0.01);

    EXPECT_OK(format_from_f32(FORMAT_Q4_1, x, 32, q, &e), &e);
    EXPECT_INT(q[2] | q[3] << 8, f16_from_f32(-12.7f));
    EXPECT_INT(q[4 + 15] >> 4, 0);
    EXPECT_INT(q[4 + 14] >> 4, 15);
    weight_row_to_f32(&(struct weight){.format = FORMAT_Q4_1, .rows = 1, .cols = 32, .data = q}, 0,
                      back);
    for (int i = 0; i < 32; i++)
        EXPECT_NEAR(back[i], x[i], 20.2 / 30 + 0.02);
}

static void quantizers_at_the_edges(void)
{
    struct error e = {0};
    const enum format blocks[] = {FORMAT_Q8_0, FORMAT_Q4_0, FORMAT_Q4_1};
    for (int f = 0; f < 3; f++) {
        float x[32] = {0}, back[32];
        uint8_t q[34];
        const struct weight w = {.format = blocks[f], .rows = 1, .cols = 32, .data = q};
        const float same[] = {0, 1e-45f, -1e-40f, 1e-38f, 3e-5f};
        for (int s = 0; s < 5; s++) {
            for (int i = 0; i < 32; i++)
                x[i] = same[s];
            EXPECT_OK(format_from_f32(w.format, x, 32, q, &e), &e);
            weight_row_to_f32(&w, 0, back);
            for (int i = 0; i < 32; i++)
                EXPECT_NEAR(back[i], x[i], 1e-5);
        }
        x[5] = NAN;
        EXPECT_ERROR(format_from_f32(w.format, x, 32, q, &e), &e, E_INPUT, "value 5 is nan");
        x[5] = INFINITY;
        EXPECT_ERROR(format_from_f32(w.format, x, 32, q, &e), &e, E_INPUT, "value 5 is inf");
        EXPECT_ERROR(format_from_f32(w.format, x, 31, q, &e), &e, E_INPUT, "blocks hold 32");
    }
}

/* What the `gguf` package for Python makes of the same bytes, at some places. */
static void blocks_as_gguf(void)
{
    static const struct {
        enum format format;
        int d, m, at[8]; /* where the scales stand; places */
        float want[8];
    } cases[] = {
        {FORMAT_Q5_0, 0, -1, {0, 1, 17, 31}, {4.5f, -1, 0, 0.5f}},
        {FORMAT_Q5_1, 0, 2, {0, 1, 17, 31}, {9.75f, 12.25f, 2.75f, 2.75f}},
        {FORMAT_Q2_K,
         80,
         82,
         {0, 1, 33, 100, 127, 130, 200, 255},
         {16.5f, 0, -1.25f, 10, 21, 0.75f, 4, 2.25f}},
        {FORMAT_Q3_K,
         108,
         -1,
         {0, 1, 33, 100, 127, 130, 200, 255},
         {40.5f, -54, 22, 0, 36, -1, 12.5f, 21}},
        {FORMAT_Q4_K,
         0,
         2,
         {0, 1, 33, 100, 127, 130, 200, 255},
         {157.75f, -12.75f, 10, 47.5f, 40.5f, 94.5f, 69.25f, 24.25f}},
        {FORMAT_Q5_K,
         0,
         2,
         {0, 1, 33, 100, 127, 130, 200, 255},
         {405.75f, -12.75f, -2, 117.5f, -1.5f, 94.5f, 69.25f, 54.25f}},
        {FORMAT_Q6_K,
         208,
         -1,
         {0, 1, 33, 100, 127, 130, 200, 255},
         {-715.5f, 848, -336, 1261.5f, 750, 71.5f, 544.5f, -30}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const struct format_info *info = &format_info[cases[c].format];
        uint8_t block[256];
        float got[256];
        for (int i = 0; i < info->block_bytes; i++)
            block[i] = (uint8_t)(i * 37 + 11);
        block[cases[c].d] = 0; /* 0.5 and 0.25 */
        block[cases[c].d + 1] = 0x38;
        if (cases[c].m >= 0) {
            block[cases[c].m] = 0;
            block[cases[c].m + 1] = 0x34;
        }
        struct weight w = {
            .format = cases[c].format, .rows = 1, .cols = info->block, .data = block};
        weight_row_to_f32(&w, 0, got);
        for (int i = 0; i < (info->block == 32 ? 4 : 8); i++)
            EXPECT_NEAR(got[cases[c].at[i]], cases[c].want[i], 0);
        struct error e = {0};
        EXPECT_ERROR(format_from_f32(w.format, got, info->block, block, &e), &e, E_UNSUPPORTED,
                     "only reads it");
    }
}

/* Every code is its own value's; between two neighbours the nearer, the middle to the even one. */
static void small_floats(void)
{
    EXPECT(fp8_to_f32(0x7e) == 448 && fp8_to_f32(1) == 0x1p-9f && fp8_to_f32(0x38) == 1);
    EXPECT(fp8_to_f32(8) == 0x1p-6f && fp8_to_f32(0xc4) == -3 && isnan(fp8_to_f32(0xff)));
    for (int c = 0; c < 0x7e; c++) {
        float low = fp8_to_f32((uint8_t)c), high = fp8_to_f32((uint8_t)(c + 1));
        float middle = (low + high) / 2;
        EXPECT(high > low);
        EXPECT_INT(fp8_from_f32(low), c);
        EXPECT_INT(fp8_from_f32(middle), c + (c & 1));
        EXPECT_INT(fp8_from_f32(nextafterf(middle, 0)), c);
        EXPECT_INT(fp8_from_f32(-nextafterf(middle, 1e6f)), 0x80 + c + 1);
    }
    EXPECT_INT(fp8_from_f32(1e9f), 0x7e);
    EXPECT_INT(fp8_from_f32(-INFINITY), 0xfe);
    EXPECT(isnan(fp8_to_f32(fp8_from_f32(NAN))));
    for (int c = 0; c < 7; c++) {
        float low = fp4_to_f32((uint8_t)c), high = fp4_to_f32((uint8_t)(c + 1));
        float middle = (low + high) / 2;
        EXPECT_INT(fp4_from_f32(low), c);
        EXPECT_INT(fp4_from_f32(middle), c + (c & 1));
        EXPECT_INT(fp4_from_f32(nextafterf(middle, 0)), c);
        EXPECT_INT(fp4_from_f32(-nextafterf(middle, 1e6f)), 8 + c + 1);
    }
    EXPECT_INT(fp4_from_f32(1e9f), 7);
}

/* Codes by hand: 5 columns, groups of 2, of which the last has one. */
static void codes_by_hand(void)
{
    struct error e = {0};
    uint8_t data[2 * 5] = {0}, zeros[2 * 3] = {8, 3, 8, 8, 8, 8};
    float scales[2 * 3] = {0.5f, 2, 1, 1, 1, 1}, back[5];
    const int32_t perm[5] = {4, 3, 2, 1, 0};
    const float x[5] = {-7, 9, 30, -2.5f, 1.25f};
    struct weight w = {.format = FORMAT_INT4,
                       .rows = 2,
                       .cols = 5,
                       .data = data,
                       .scales = scales,
                       .scale_format = FORMAT_F32,
                       .scale = 1,
                       .zeros = zeros,
                       .group = 2,
                       .group_rows = 1,
                       .perm = perm};
    weight_row_from_f32(&w, 0, x);    /* columns 1.25, -2.5, then 30, 9, then -7 */
    EXPECT_INT(data[0], 10 | 3 << 4); /* 2.5 to even */
    EXPECT_INT(data[1], 15 | 8 << 4); /* clamped; 4.5 + 3 - 8 = -0.5 to even */
    EXPECT_INT(data[2], 1);
    weight_row_to_f32(&w, 0, back);
    EXPECT(back[4] == 1 && back[3] == -2.5f && back[2] == 24 && back[1] == 10 && back[0] == -7);
    EXPECT_INT(weight_bytes(&w), 2 * 3 + 6 * 4 + 6);

    w = (struct weight){.format = FORMAT_INT3,
                        .rows = 1,
                        .cols = 5,
                        .data = data,
                        .scales = scales,
                        .scale_format = FORMAT_F32,
                        .scale = 1,
                        .group = 5,
                        .group_rows = 1};
    const float three[5] = {3, -4, 0, 1, -1}; /* codes 7, 0, 4, 5, 3 of 3 bits in a row */
    scales[0] = 1;
    weight_row_from_f32(&w, 0, three);
    EXPECT_INT(data[0] | data[1] << 8, 7 | 0 << 3 | 4 << 6 | 5 << 9 | 3 << 12);
    weight_row_to_f32(&w, 0, back);
    for (int i = 0; i < 5; i++)
        EXPECT(back[i] == three[i]);

    w.format = FORMAT_INT4;
    EXPECT_OK(weight_row_scales(&w, 0, x, &e), &e);
    EXPECT(scales[0] == 4);
    w.format = FORMAT_TERNARY;
    EXPECT_OK(weight_row_scales(&w, 0, three, &e), &e);
    EXPECT_NEAR(scales[0], 1.8, 1e-6);
    const float bad[5] = {0, 0, NAN, 0, 0}, great[5] = {1e9f};
    EXPECT_ERROR(weight_row_scales(&w, 0, bad, &e), &e, E_INPUT, "not finite");
    w.scale_format = FORMAT_F16;
    EXPECT_ERROR(weight_row_scales(&w, 0, great, &e), &e, E_INPUT, "f16 holds 65504");
}

CHECK_MAIN({"small_floats", small_floats}, {"codes_by_hand", codes_by_hand},
           {"halves_round_trip", halves_round_trip},
           {"halves_round_to_nearest_even", halves_round_to_nearest_even}, {"row_bytes", row_bytes},
           {"quantizers_as_llama_cpp", quantizers_as_llama_cpp},
           {"quantizers_at_the_edges", quantizers_at_the_edges}, {"blocks_as_gguf", blocks_as_gguf})
