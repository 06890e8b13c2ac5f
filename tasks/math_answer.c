#include "tasks/math_answer.h"

#include "base/utf8.h"

/* ---- the boxed answer ---- */

static size_t find_last(struct str s, struct str word)
{
    size_t at = SIZE_MAX;
    for (size_t i = 0; (i = str_find(s, word, i)) != SIZE_MAX; i++)
        at = i;
    return at;
}

/* Behind the brace that closes the first one at or after i. */
static size_t closing_brace(struct str s, size_t i)
{
    int open = 0;
    for (; i < s.n; i++) {
        open += s.p[i] == '{';
        if (s.p[i] == '}' && --open == 0)
            return i;
    }
    return SIZE_MAX;
}

struct str math_boxed(struct arena *a, struct str solution)
{
    static const struct str invalid = {"[invalidanswer]", 15}, spaced = {"\\boxed ", 7},
                            braced = {"\\boxed{", 7};
    size_t at = find_last(solution, spaced);
    (void)a;
    if (at != SIZE_MAX) { /* "\boxed 5$": up to the end of the formula */
        struct str rest = str_slice(solution, at + spaced.n, solution.n);
        return str_slice(rest, 0, str_find(rest, STR("$"), 0));
    }
    at = find_last(solution, STR("\\boxed"));
    if (at == SIZE_MAX || !str_starts(str_slice(solution, at, solution.n), braced))
        return invalid; /* \fbox is found by the original, which then cannot take it off */
    size_t end = closing_brace(solution, at);
    return end == SIZE_MAX ? invalid : str_slice(solution, at + braced.n, end);
}
