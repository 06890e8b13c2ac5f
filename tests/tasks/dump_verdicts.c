/* dump_verdicts.c: prints how answers are judged, to be held against the reference's own verdicts:
 *
 *     dump_verdicts ifeval < lines of {"doc": {...}, "answer": "..."}
 *     dump_verdicts math < lines of {"answer": "...", "solution": "..."}
 *     dump_verdicts equal < lines of {"a": "...", "b": "..."}
 *     dump_verdicts sentences|capitals|language < lines of {"text": "..."} */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "tasks/ifeval.h"
#include "tasks/language.h"
#include "tasks/math_answer.h"
#include "tasks/math_expr.h"
#include "tasks/math_value.h"
#include "tasks/sentences.h"

static struct str text_at(const struct value *line, const char *key)
{
    const struct value *v = dict_get(line, key);
    return v && v->type == VALUE_STR ? v->s : STR("");
}

static int ifeval(struct arena *a, const struct value *line, struct error *err)
{
    bool *verdicts[2];
    int n;
    int r = ifeval_verdicts(a, dict_get(line, "doc"), text_at(line, "answer"), &verdicts[0],
                            &verdicts[1], &n, err);
    for (int i = 0; r == 0 && i < 2 * n; i++)
        printf("%s%d%s",
               i % n ? ", "
               : i   ? ", ["
                     : "[[",
               verdicts[i / n][i % n], i % n == n - 1 ? i == n - 1 ? "]" : "]]\n" : "");
    return r;
}

static int sentences(struct arena *a, const struct value *line, struct error *err)
{
    (void)a, (void)err;
    printf("%lld\n", (long long)count_sentences(text_at(line, "text")));
    return 0;
}

static int capitals(struct arena *a, const struct value *line, struct error *err)
{
    int64_t n;
    int r = count_capital_words(a, text_at(line, "text"), &n, err);
    printf("%lld\n", (long long)n);
    return r;
}

static int language(struct arena *a, const struct value *line, struct error *err)
{
    (void)a, (void)err;
    struct str text = text_at(line, "text");
    printf("\"%s\"\n", language_of(text.p, text.n));
    return 0;
}

static int math(struct arena *a, const struct value *line, struct error *err)
{
    struct str answer = text_at(line, "answer"), solution = text_at(line, "solution"), normal[2];
    struct str gold = math_boxed(solution), minerva_gold;
    bool original, minerva, leaderboard, verified;
    int r = 0;
    if ((r = math_normalize(a, gold, MATH_MINERVA, &minerva_gold, err)) < 0 ||
        (r = math_minerva_equal(a, answer, gold, MATH_LEADERBOARD, &original, err)) < 0 ||
        (r = math_minerva_equal(a, answer, minerva_gold, MATH_MINERVA, &minerva, err)) < 0 ||
        (r = math_verify(a, answer, solution, false, &leaderboard, err)) < 0 ||
        (r = math_verify(a, answer, solution, true, &verified, err)) < 0 ||
        (r = math_normalize(a, answer, MATH_LEADERBOARD, &normal[0], err)) < 0 ||
        (r = math_normalize(a, answer, MATH_MINERVA, &normal[1], err)) < 0)
        return r;
    struct buf b = {0};
    buf_printf(&b, "[%d, %d, %d, %d, ", original, leaderboard, minerva, verified);
    buf_json_str(&b, normal[0], true);
    buf_puts(&b, ", ");
    buf_json_str(&b, normal[1], true);
    printf("%.*s]\n", STR_ARG(buf_view(&b)));
    buf_free(&b);
    return 0;
}

static int equal(struct arena *a, const struct value *line, struct error *err)
{
    (void)err;
    struct str x = text_at(line, "a"), y = text_at(line, "b");
    const struct math_value *v = math_value_read(a, x, MATH_VERIFY),
                            *w = math_value_read(a, y, MATH_VERIFY);
    printf("[%d, %d]\n", math_equal(x, y), v && w && math_value_same(a, v, w));
    return 0;
}

static const struct {
    const char *name;
    int (*judge)(struct arena *a, const struct value *line, struct error *err);
} judges[] = {{"ifeval", ifeval},     {"sentences", sentences}, {"capitals", capitals},
              {"language", language}, {"math", math},           {"equal", equal}};

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    struct error err;
    int r = 0;
    while (r == 0 && (n = getline(&line, &cap, stdin)) > 0) {
        struct arena a = {0};
        struct value *v;
        r = json_parse(&a, (struct str){line, (size_t)n}, "line", &v, &err);
        for (size_t i = 0; r == 0 && i < sizeof judges / sizeof *judges; i++)
            if (argc > 1 && strcmp(argv[1], judges[i].name) == 0)
                r = judges[i].judge(&a, v, &err);
        arena_free(&a);
    }
    free(line);
    if (r < 0)
        fprintf(stderr, "%s\n", err.msg);
    return r < 0;
}
