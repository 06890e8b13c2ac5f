/* test_math.c: MATH's answers. Verdicts and normal forms are those of lm-evaluation-harness
 * 0.4.13's tasks (with sympy and math_verify) on the same texts, which are this test's own. */
#include "tasks/math_answer.h"
#include "tasks/math_expr.h"
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

static void compares_values(void)
{
    static const struct {
        const char *a, *b;
        bool scalar, composite;
    } cases[] = {
        {"\\frac{1}{2}", "0.5", true, true},
        {"x^2+2x+1", "(x+1)^2", true, true},
        {"\\sqrt{8}", "2\\sqrt{2}", true, true},
        {"\\frac{1}{1+\\sqrt{2}}", "\\sqrt{2}-1", true, true},
        {"2\\pi", "\\pi\\cdot2", true, true},
        {"\\frac{1}{3}", "0.333", false, false},
        {"\\log_2{8}", "3", true, true},
        {"1/2x", "\\frac{1}{2x}", true, true},
        {"3!", "6", true, true},
        {"yes", "sey", true, true},
        {"1,000", "1000", true, true},
        {"(1,2)", "(1.0,2)", false, true},
        {"(1,2)", "(2,1)", false, false},
        {"[0,1)", "[0,1]", false, false},
        {"\\{1,2\\}", "\\{2,1\\}", false, true},
        {"(-\\infty,1]\\cup[2,3)", "[2,3)\\cup(-\\infty,1]", false, true},
        {"x=3", "3", false, true},
        {"3\\frac{1}{2}", "\\frac{7}{2}", false, true},
        {"", "1", false, false},
        {"((((", "1", false, false},
        {"\\frac{1}{0}", "\\frac{2}{0}", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < 2; k++) {
            struct str a = str_of(k ? cases[i].b : cases[i].a),
                       b = str_of(k ? cases[i].a : cases[i].b);
            if (math_equal(a, b, false) != cases[i].scalar ||
                math_equal(a, b, true) != cases[i].composite)
                check_fail(__FILE__, __LINE__, "%s and %s: %d and %d", a.p, b.p,
                           math_equal(a, b, false), math_equal(a, b, true));
        }
    char deep[1500];
    memset(deep, '(', sizeof deep);
    EXPECT(!math_equal((struct str){deep, sizeof deep}, STR("1"), true));
}

static void judges_answers(void)
{
    static const struct {
        const char *text, *solution;
        bool original, value;
    } cases[] = {
        {"Final Answer: The final answer is $0.5$. I hope it is correct.",
         "$\\boxed{\\frac{1}{2}}$", true, true},
        {"So it is $\\boxed{\\frac12}$.", "$\\boxed{\\frac{1}{2}}$", false, true},
        {"I think it is 12.", "$\\boxed{12}$", false, true},
        {"Final Answer: The final answer is $(1,2)$. I hope it is correct.", "$\\boxed{(1,2)}$",
         true, true},
        {"Final Answer: The final answer is $3$. I hope it is correct.", "$\\boxed{4}$", false,
         false},
        {"", "$\\boxed{4}$", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool original = false;
        struct str text = str_of(cases[i].text), solution = str_of(cases[i].solution);
        bool value = math_value_equal(&arena, text, solution);
        EXPECT_OK(math_minerva_equal(&arena, text, math_boxed(solution), MATH_LEADERBOARD,
                                     &original, &err),
                  &err);
        if (original != cases[i].original || value != cases[i].value)
            check_fail(__FILE__, __LINE__, "%s: %d and %d", cases[i].text, original, value);
    }
    arena_free(&arena);
}

CHECK_MAIN({"boxed answers", finds_boxed_answers}, {"normal forms", writes_alike},
           {"values", compares_values}, {"answers", judges_answers})
