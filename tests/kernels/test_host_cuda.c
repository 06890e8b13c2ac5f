/* The host build of CUDA's device words (kernels/host_cuda/): that it does what the PTX manual
 * says, and that it finds the mistakes that it is there to find. */
#include "kernels/format.h"
#include "kernels/host_cuda/host_cuda.h"
#include "tests/check.h"
#include "tests/kernels/host_cuda_kernels.h"

enum { SEEDS = 8, ROWS = 3, ROW = 256 };

/* Rows that came out wrong with some seed, or a launch that failed. */
static bool found(enum flaw flaw)
{
    static float x[ROWS * ROW], y[ROWS * ROW];
    bool ret = false;
    for (int i = 0; i < ROWS * ROW; i++)
        x[i] = (float)(i + 1);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        host_cuda_seed(seed);
        int r = run_reverse_rows(y, x, ROWS, flaw);
        for (int i = 0; i < ROWS * ROW && r == 0; i++)
            r = y[i] != x[i / ROW * ROW + ROW - 1 - i % ROW];
        ret |= r != 0;
        host_cuda_reset();
    }
    return ret;
}

static void finds_mistakes(void)
{
    EXPECT(!found(FLAW_NONE));
    EXPECT(found(FLAW_BARRIER));
    EXPECT(found(FLAW_INDEX));
    EXPECT(found(FLAW_WAIT));
    EXPECT(found(FLAW_ABSENT));
}

static void names_who_waits(void)
{
    float x[ROW] = {0}, y[ROW];
    EXPECT(run_reverse_rows(y, x, 1, FLAW_ABSENT) != 0);
    EXPECT(strstr(host_cuda_fault(), "wait for others that never come") != NULL);
    EXPECT(run_reverse_rows(y, x, 1, FLAW_NONE) != 0); /* as on a GPU, nothing runs any more */
    host_cuda_reset();
    EXPECT_INT(run_reverse_rows(y, x, 1, FLAW_NONE), 0);
}

static void lanes(void)
{
    int values[64], ret[7][64], odd = 0;
    for (int i = 0; i < 64; i++) {
        values[i] = i * i % 37 * 3 + i % 3;
        odd += values[i] & 1;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        host_cuda_seed(seed);
        EXPECT_INT(run_lanes(&ret[0][0], values), 0);
        for (int i = 0; i < 64; i++) {
            const int *warp = values + i / 32 * 32;
            unsigned ballot = 0;
            int sum = 0;
            for (int j = 0; j < 32; j++) {
                ballot |= (unsigned)(warp[j] & 1) << j;
                sum += j % 2 == 0 ? warp[j] : 0;
            }
            EXPECT_INT(ret[0][i], values[i ^ 5]);
            EXPECT_INT(ret[1][i], values[i % 8 + 3 < 8 ? i + 3 : i]);
            EXPECT_INT(ret[2][i], values[i % 8 >= 2 ? i - 2 : i]);
            EXPECT_INT(ret[3][i], warp[11]);
            EXPECT_INT((unsigned)ret[4][i], ballot);
            EXPECT_INT(ret[5][i], i % 2 == 0 ? sum : 0);
            EXPECT_INT(ret[6][i], odd);
        }
    }
}

/* The fragments in the words of the PTX manual (mma.m16n8k16 with .f16, mma.m16n8k32 with .s8):
 * groupID = lane / 4, threadID_in_group = lane % 4, and for value i of a lane */
struct at {
    int row, column;
};

static struct at a_of_16_bits(int lane, int i)
{
    int group = lane / 4, thread = lane % 4;
    bool upper = i < 2 || (i >= 4 && i < 6);
    return (struct at){upper ? group : group + 8, thread * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
}

static struct at b_of_16_bits(int lane, int i)
{
    return (struct at){lane % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0), lane / 4};
}

static struct at a_of_8_bits(int lane, int i)
{
    int group = lane / 4, thread = lane % 4;
    bool upper = i < 4 || (i >= 8 && i < 12);
    return (struct at){upper ? group : group + 8, thread * 4 + (i & 3) + (i >= 8 ? 16 : 0)};
}

static struct at b_of_8_bits(int lane, int i)
{
    return (struct at){lane % 4 * 4 + (i & 3) + (i >= 4 ? 16 : 0), lane / 4};
}

static struct at c_of(int lane, int i)
{
    return (struct at){i < 2 ? lane / 4 : lane / 4 + 8, lane % 4 * 2 + (i & 1)};
}

static const struct kind {
    enum mma_kind kind;
    int bits;
    uint32_t codes[4]; /* of 0, 1, 2 and -3 */
    struct at (*a)(int lane, int i), (*b)(int lane, int i);
} kinds[] = {
    {MMA_F16, 16, {0, 0x3c00, 0x4000, 0xc200}, a_of_16_bits, b_of_16_bits},
    {MMA_BF16, 16, {0, 0x3f80, 0x4000, 0xc040}, a_of_16_bits, b_of_16_bits},
    {MMA_S8, 8, {0, 1, 2, 0xfd}, a_of_8_bits, b_of_8_bits},
    {MMA_E4M3, 8, {0, 0x38, 0x40, 0xc4}, a_of_8_bits, b_of_8_bits},
};

static void fill(uint32_t *reg, int bits, int i, uint32_t code)
{
    int per = 32 / bits;
    reg[i / per] |= code << i % per * bits;
}

/* All values are whole and small: every kind is exact. */
static void mma(void)
{
    static const int numbers[] = {0, 1, 2, -3};
    for (size_t n = 0; n < sizeof kinds / sizeof *kinds; n++) {
        const struct kind *k = &kinds[n];
        int a[16][32], b[32][8], K = 256 / k->bits;
        uint32_t x[32][4] = {{0}}, y[32][2] = {{0}};
        union {
            float f[32][4];
            int i[32][4];
        } c;
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < K; j++)
                a[i][j] = (i * 7 + j * 5 + i * j) % 4;
        for (int i = 0; i < K; i++)
            for (int j = 0; j < 8; j++)
                b[i][j] = (i * 3 + j * 11 + i * j / 2) % 4;
        for (int lane = 0; lane < 32; lane++) {
            for (int i = 0; i < 4 * 32 / k->bits; i++) {
                struct at at = k->a(lane, i);
                fill(x[lane], k->bits, i, k->codes[a[at.row][at.column]]);
            }
            for (int i = 0; i < 2 * 32 / k->bits; i++) {
                struct at at = k->b(lane, i);
                fill(y[lane], k->bits, i, k->codes[b[at.row][at.column]]);
            }
            for (int i = 0; i < 4; i++)
                if (k->kind == MMA_S8)
                    c.i[lane][i] = lane + i;
                else
                    c.f[lane][i] = (float)(lane + i);
        }
        EXPECT_INT(run_mma(k->kind, &c, &x[0][0], &y[0][0]), 0);
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 4; i++) {
                struct at at = c_of(lane, i);
                int want = lane + i;
                for (int j = 0; j < K; j++)
                    want += numbers[a[at.row][j]] * numbers[b[j][at.column]];
                EXPECT_INT(k->kind == MMA_S8 ? c.i[lane][i] : (int)c.f[lane][i], want);
            }
    }
}

static void ldmatrix(void)
{
    uint16_t rows[4][8][8];
    uint32_t ret[32][4];
    for (int i = 0; i < 256; i++)
        (&rows[0][0][0])[i] = (uint16_t)(i * 257);
    for (int transposed = 0; transposed < 2; transposed++) {
        EXPECT_INT(run_ldmatrix(&ret[0][0], &rows[0][0][0], transposed), 0);
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 4; i++) {
                int r = lane / 4, c = lane % 4 * 2;
                uint32_t low = transposed ? rows[i][c][r] : rows[i][r][c];
                uint32_t high = transposed ? rows[i][c + 1][r] : rows[i][r][c + 1];
                EXPECT_INT(ret[lane][i], low | high << 16);
            }
    }
}

static void streams(void)
{
    int before, after, sum;
    EXPECT_INT(run_streams(&before, &after), 0);
    EXPECT_INT(before, 0);
    EXPECT_INT(after, 6 + 20);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        host_cuda_seed(seed);
        EXPECT_INT(run_named(&sum, 10), 0);
        EXPECT_INT(sum, 319 * 320 / 2);
    }
}

static void lost(void)
{
    float x[ROW] = {0}, y[ROW];
    host_cuda_lose(1);
    EXPECT_INT(run_reverse_rows(y, x, 1, FLAW_NONE), 0);
    EXPECT(run_reverse_rows(y, x, 1, FLAW_NONE) != 0);
    EXPECT(run_reverse_rows(y, x, 1, FLAW_NONE) != 0);
    host_cuda_reset();
}

CHECK_MAIN({"finds_mistakes", finds_mistakes}, {"names_who_waits", names_who_waits},
           {"lanes", lanes}, {"mma", mma}, {"ldmatrix", ldmatrix}, {"streams", streams},
           {"lost", lost})
