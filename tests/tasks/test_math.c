/* test_math.c: MATH's answers. Verdicts and normal forms are those of lm-evaluation-harness
 * 0.4.13's tasks (with sympy and math_verify) on the same texts, which are this test's own. */
#include "tasks/math_answer.h"
#include "tasks/math_value.h"
#include "tests/check.h"

static struct error err;
static struct arena arena;

static void finds_boxed_answers(void)
{
    static const struct {
        const char *solution, *answer;
    } cases[] = {
        {"It is $\\boxed{3}$.", "3"},
        {"$\\boxed{1}$, then $\\boxed{\\frac{1}{2}}$", "\\frac{1}{2}"},
        {"So \\boxed 5$ it is", "5"},
        {"No box", "[invalidanswer]"},
        {"\\fbox{3}", "[invalidanswer]"},
        {"$\\boxed{3", "[invalidanswer]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        EXPECT_STR(math_boxed(str_of(cases[i].solution)), str_of(cases[i].answer));
    arena_free(&arena);
}

static void writes_alike(void)
{
    static const struct {
        const char *answer, *leaderboard, *minerva;
    } cases[] = {
        {"x = 5", "5", "5"},
        {"\\frac12", "\\frac{1}{2}", "\\frac{1}{2}"},
        {"\\sqrt3", "\\sqrt{3}", "\\sqrt{3}"},
        {"\\sqrt[3]8", "\\sqrt{[}3]8", "\\sqrt[3]{8}"},
        {"12,345", "12345", "12345"},
        {"0,1", "01", "0,1"},
        {"5\\text{ cm}", "5", "5"},
        {"10 square units", "10", "10"},
        {"90^\\circ", "90", "90"},
        {"the $\\boxed{7}$.", "7", "7"},
        {"\\left(1,2\\right)", "\\le(1,2\\right)", "\\left(1,2\\right)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str got;
        EXPECT_OK(math_normalize(&arena, str_of(cases[i].answer), MATH_LEADERBOARD, &got, &err),
                  &err);
        EXPECT_STR(got, str_of(cases[i].leaderboard));
        EXPECT_OK(math_normalize(&arena, str_of(cases[i].answer), MATH_MINERVA, &got, &err), &err);
        EXPECT_STR(got, str_of(cases[i].minerva));
    }
    arena_free(&arena);
}

static bool verified(struct str gold, struct str answer)
{
    const struct math_value *x = math_value_read(&arena, gold, MATH_VERIFY),
                            *y = math_value_read(&arena, answer, MATH_VERIFY);
    return x && y && math_value_same(&arena, x, y);
}

static void compares_values(void)
{
    static const struct {
        const char *gold, *answer;
        bool sympy, verify;
    } cases[] = {
        {"\\frac{1}{2}", "0.5", true, true},
        {"x^2+2x+1", "(x+1)^2", true, true},
        {"\\sqrt{8}", "2\\sqrt{2}", true, true},
        {"\\frac{1}{1+\\sqrt{2}}", "\\sqrt{2}-1", true, true},
        {"2\\pi", "\\pi\\cdot2", true, true},
        {"2\\pi", "6.283185", false, true},
        {"\\frac{1}{3}", "0.333", false, false},
        {"\\frac{1}{3}", "0.333333", false, true},
        {"\\log_2{8}", "3", true, true},
        {"1/2x", "\\frac{1}{2x}", true, true},
        {"3!", "6", true, true},
        {"{5 \\choose 2}", "10", false, true},
        {"yes", "sey", true, true},
        {"1,000", "1000", true, true},
        {"1\\,000", "1000", true, false},
        {"(1,2)", "(1.0,2)", false, true},
        {"(1,2)", "(2,1)", false, false},
        {"(1,2)", "1,2", false, true},
        {"[0,1)", "[0,1]", false, false},
        {"\\{1,2\\}", "\\{2,1\\}", false, true},
        {"3,-3", "\\pm 3", false, true},
        {"(-\\infty,1]\\cup[2,3)", "[2,3)\\cup(-\\infty,1]", false, true},
        {"x=3", "3", false, true},
        {"3", "x=3", false, true},
        {"x=3", "y=3", false, false},
        {"y=2x+3", "y-2x=3", false, true},
        {"x>3", "3<x", false, true},
        {"x>3", "(3,\\infty)", false, true},
        {"(3,\\infty)", "x>3", false, false},
        {"2 \\le x < 5", "[2,5)", false, true},
        {"3\\frac{1}{2}", "\\frac{7}{2}", false, true},
        {"\\text{even}", "even", false, true},
        {"\\text{(B)}", "B", false, true},
        {"\\infty", "+\\infty", false, true},
        {"\\infty", "0", false, false},
        {"\\begin{pmatrix} 1 & 2 \\end{pmatrix}", "\\begin{bmatrix}1&\\frac{4}{2}\\end{bmatrix}",
         false, true},
        {"\\begin{pmatrix} 1 & 2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", false,
         false},
        {"", "1", false, false},
        {"((((", "1", false, false},
        {"\\frac{1}{0}", "\\frac{2}{0}", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str gold = str_of(cases[i].gold), answer = str_of(cases[i].answer);
        bool sympy = math_equal(gold, answer), verify = verified(gold, answer);
        if (sympy != cases[i].sympy || verify != cases[i].verify)
            check_fail(__FILE__, __LINE__, "%s and %s: %d and %d", gold.p, answer.p, sympy, verify);
    }
    char deep[1500];
    for (size_t i = 0; i < 4; i++) {
        memset(deep, "([{|"[i], sizeof deep);
        EXPECT(!verified((struct str){deep, sizeof deep}, STR("1")));
    }
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = "((1,2),"[i < 500 ? 0 : i % 7];
    EXPECT(!verified((struct str){deep, sizeof deep}, STR("1")));
    memset(deep, '=', sizeof deep);
    EXPECT(!verified((struct str){deep, sizeof deep}, STR("1")));
    arena_free(&arena);
}

static void judges_answers(void)
{
    static const struct {
        const char *text, *solution;
        bool original, leaderboard, minerva;
    } cases[] = {
        {"Final Answer: The final answer is $0.5$. I hope it is correct.",
         "$\\boxed{\\frac{1}{2}}$", true, true, true},
        {"So it is $\\boxed{\\frac12}$.", "$\\boxed{\\frac{1}{2}}$", false, true, true},
        {"I think it is 12.", "$\\boxed{12}$", false, true, true},
        {"Final Answer: The final answer is $(1,2)$. I hope it is correct.", "$\\boxed{(1,2)}$",
         true, true, true},
        {"Final Answer: The final answer is $3$. I hope it is correct.", "$\\boxed{4}$", false,
         false, false},
        {"", "$\\boxed{4}$", false, false, false},
        {"Then $x = 3$ and $y = 4$.\nAnswer: $1$, $2$ and $3$, as $5 > 4$",
         "It is $\\boxed{1,2,3}$.", false, true, true},
        {"A: 5 + 7.", "It is $\\boxed{12}$.", false, true, true},
        {"That is $12$%.", "It is $\\boxed{12}$.", false, true, true},
        {"We have $9$ and \\boxed{12 \\text{ cm}}.", "It is $\\boxed{12}$.", false, true, true},
        {"So 25.", "The sum is 25.", false, false, true},
        {"the unreadable $\\oint$", "$\\boxed{\\oint}$", false, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool original = false, leaderboard = false, minerva = false;
        struct str text = str_of(cases[i].text), solution = str_of(cases[i].solution);
        EXPECT_OK(math_verify(&arena, text, solution, false, &leaderboard, &err), &err);
        EXPECT_OK(math_verify(&arena, text, solution, true, &minerva, &err), &err);
        EXPECT_OK(math_minerva_equal(&arena, text, math_boxed(solution), MATH_LEADERBOARD,
                                     &original, &err),
                  &err);
        if (original != cases[i].original || leaderboard != cases[i].leaderboard ||
            minerva != cases[i].minerva)
            check_fail(__FILE__, __LINE__, "%s: %d, %d and %d", cases[i].text, original,
                       leaderboard, minerva);
    }
    arena_free(&arena);
}

CHECK_MAIN({"boxed answers", finds_boxed_answers}, {"normal forms", writes_alike},
           {"values", compares_values}, {"answers", judges_answers})
