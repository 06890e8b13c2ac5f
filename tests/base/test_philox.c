/* Philox4x32-10 against the known answers that its authors publish (Random123, kat_vectors). */
#include "base/philox.h"
#include "tests/check.h"

static void gives_the_known_answers(void)
{
    static const struct {
        uint32_t counter[4];
        uint64_t key;
        uint32_t want[4];
    } cases[] = {
        {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         0xffffffffffffffff,
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         0x299f31d0a4093822,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t got[4];
        philox(cases[i].counter, cases[i].key, got);
        for (int k = 0; k < 4; k++)
            EXPECT_INT(got[k], cases[i].want[k]);
    }
}

static void uniform_takes_the_first_bits(void)
{
    uint32_t counter[4] = {0};
    EXPECT_NEAR(philox_uniform(counter, 0), 0x6627e8d5 * 0x1p-32 + 0xe169c58d * 0x1p-64, 0x1p-53);
    double sum = 0, squares = 0;
    enum { N = 20000 };
    for (uint32_t i = 0; i < N; i++) {
        counter[0] = i;
        double u = philox_uniform(counter, 7);
        EXPECT(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    EXPECT_NEAR(sum / N, 1.0 / 2, 4 / sqrt(12.0 * N));
    EXPECT_NEAR(squares / N, 1.0 / 3, 4 * sqrt(4.0 / 45 / N));
}

CHECK_MAIN({"gives_the_known_answers", gives_the_known_answers},
           {"uniform_takes_the_first_bits", uniform_takes_the_first_bits})
