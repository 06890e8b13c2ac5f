/* metrics.c: our half of the metrics' benchmark; tests/bench/metrics.py asks it.
 *
 *     bench_metrics PAIRS.jsonl < NAMES
 *
 * Each line of PAIRS is {"target": ..., "prediction": ...}. For each name on stdin all pairs are
 * scored once, and a line says "SECONDS SUM": the processor's time of the one thread, and the sum
 * of the scores, which must be the reference's. */
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "metrics/text.h"

struct pair {
    struct str target, prediction;
};

static double score_rouge(struct arena *a, const struct pair *p)
{
    struct rouge r = rouge(a, p->target, p->prediction, ROUGE_ALL, false);
    return r.rouge1.f1 + r.rouge2.f1 + r.rougeL.f1 + r.rougeLsum.f1;
}

static double score_rouge_stem(struct arena *a, const struct pair *p)
{
    struct rouge r = rouge(a, p->target, p->prediction, ROUGE_ALL, true);
    return r.rouge1.f1 + r.rouge2.f1 + r.rougeL.f1 + r.rougeLsum.f1;
}

static double score_bleu(struct arena *a, const struct pair *p)
{
    struct bleu_options o = {.effective_order = true};
    struct bleu_stats s = {0};
    bleu_count(a, p->prediction, &p->target, 1, &o, &s);
    return bleu_score(&s, &o).score;
}

static double chrf_of(struct arena *a, const struct pair *p, int word_order)
{
    struct chrf_options o = {.word_order = word_order};
    struct chrf_stats s = {0};
    chrf_count(a, p->prediction, &p->target, 1, &o, &s);
    return chrf_score(&s, &o);
}

static double score_chrf(struct arena *a, const struct pair *p)
{
    return chrf_of(a, p, 0);
}

static double score_chrfpp(struct arena *a, const struct pair *p)
{
    return chrf_of(a, p, 2);
}

static double score_ter(struct arena *a, const struct pair *p)
{
    struct ter_stats s = {0};
    ter_count(a, p->prediction, &p->target, 1, &(struct ter_options){0}, &s);
    return ter_score(&s);
}

static double score_squad(struct arena *a, const struct pair *p)
{
    struct answer_score s = squad_score(a, p->prediction, &p->target, 1, SQUAD_1_1);
    return s.em + s.f1;
}

static const struct {
    const char *name;
    double (*score)(struct arena *a, const struct pair *p);
} metrics[] = {
    {"rouge", score_rouge},   {"rouge, stemmed", score_rouge_stem},
    {"bleu", score_bleu},     {"chrf", score_chrf},
    {"chrf++", score_chrfpp}, {"ter", score_ter},
    {"squad", score_squad},
};

static void measure(const char *name, const struct pair *pairs, size_t n)
{
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        if (strcmp(metrics[m].name, name) != 0)
            continue;
        struct arena scratch = {0};
        arena_alloc(&scratch, 1); /* a worker's arena has its first block from the job before */
        double start = clock_seconds(CLOCK_THREAD_CPUTIME_ID), sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += metrics[m].score(&scratch, &pairs[i]);
        printf("%.9f %.17g\n", clock_seconds(CLOCK_THREAD_CPUTIME_ID) - start, sum);
        fflush(stdout);
        arena_free(&scratch);
    }
}

static int read_pairs(struct arena *a, const char *path, struct pair **ret, size_t *n,
                      struct error *err)
{
    struct str text;
    size_t n_lines = 0;
    int r = file_read(a, path, FILE_LIMIT_TEXT, &text, err);
    for (size_t i = 0; r == 0 && i < text.n; i++)
        n_lines += text.p[i] == '\n';
    struct pair *pairs = arena_array(a, n_lines + 1, sizeof *pairs);
    *n = 0;
    for (size_t i = 0, end; r == 0 && i < text.n; i = end + 1) {
        struct value *v;
        end = str_find(text, STR("\n"), i);
        end = end == SIZE_MAX ? text.n : end;
        if ((r = json_parse(a, str_slice(text, i, end), path, &v, err)) < 0)
            break;
        const struct value *target = dict_get(v, "target"), *answer = dict_get(v, "prediction");
        if (!target || target->type != VALUE_STR || !answer || answer->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s: a line without target and prediction", path);
        pairs[(*n)++] = (struct pair){target->s, answer->s};
    }
    *ret = pairs;
    return r;
}

int main(int argc, char **argv)
{
    struct arena a = {0};
    struct pair *pairs = NULL;
    struct error err;
    char name[64];
    size_t n;
    if (argc != 2) {
        fprintf(stderr, "usage: bench_metrics PAIRS.jsonl, names of metrics on stdin\n");
        return 2;
    }
    if (read_pairs(&a, argv[1], &pairs, &n, &err) < 0) {
        fprintf(stderr, "bench_metrics: %s\n", err.msg);
        return 3;
    }
    while (fgets(name, sizeof name, stdin)) {
        name[strcspn(name, "\n")] = '\0';
        measure(name, pairs, n);
    }
    arena_free(&a);
    return 0;
}
