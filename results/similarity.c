#include "results/similarity.h"

#include <stdlib.h>
#include <string.h>

#include "metrics/metric.h"
#include "metrics/text.h"
#include "results/pairs.h"
#include "results/store_sql.h"

enum { REPLICATES = 1000 };

const char *const similarity_names[SIMILARITY_METRICS] = {"rouge1", "rouge2", "rougeL", "bleu",
                                                          "chrf"};
static const enum aggregation aggregations[SIMILARITY_METRICS] = {
    AGGREGATE_MEAN, AGGREGATE_MEAN, AGGREGATE_MEAN, AGGREGATE_BLEU, AGGREGATE_CHRF};

/* A document's contribution to each metric; of repeats the mean, or the sum of parts. */
struct doc_items {
    int64_t doc_id;
    int n_answers;
    double sums[SIMILARITY_METRICS];
    double *parts[SIMILARITY_METRICS];
};

struct collecting {
    struct arena arena; /* the parts */
    struct similarity *result;
    struct {
        struct doc_items *items;
        size_t n, cap;
    } docs;
};

static void add_parts(struct collecting *c, struct arena *scratch, struct doc_items *d, int metric,
                      struct str text, struct str reference)
{
    enum aggregation how = aggregations[metric];
    size_t n = (size_t)metric_parts(how);
    double *parts = arena_array(scratch, n, sizeof *parts);
    d->sums[metric] += metric_count_text(scratch, how, text, &reference, 1, NULL, parts);
    if (!d->parts[metric])
        d->parts[metric] = arena_array(&c->arena, n, sizeof *parts);
    for (size_t i = 0; i < n; i++)
        d->parts[metric][i] += parts[i];
}

static void add_answers(struct collecting *c, int64_t doc_id, struct str reference, struct str text)
{
    struct arena scratch = {0};
    if (!c->docs.n || c->docs.items[c->docs.n - 1].doc_id != doc_id)
        *ARRAY_PUSH(&c->docs) = (struct doc_items){.doc_id = doc_id};
    struct doc_items *d = &c->docs.items[c->docs.n - 1];
    struct rouge r = rouge(&scratch, reference, text, ROUGE_1 | ROUGE_2 | ROUGE_L, false);
    const double scores[] = {r.rouge1.f1, r.rouge2.f1, r.rougeL.f1};
    for (int m = SIMILARITY_ROUGE1; m <= SIMILARITY_ROUGEL; m++)
        d->sums[m] += scores[m];
    add_parts(c, &scratch, d, SIMILARITY_BLEU, text, reference);
    add_parts(c, &scratch, d, SIMILARITY_CHRF, text, reference);
    d->n_answers++;
    c->result->n_answers++;
    c->result->n_same += str_eq(reference, text);
    arena_free(&scratch);
}

static const char select_answers[] =
    "SELECT sa.doc_id, ta.text, tb.text " FROM_PAIRED_SAMPLES
    "JOIN requests ra ON ra.sample = sa.id JOIN texts ta ON ta.id = ra.response "
    "JOIN requests rb ON rb.sample = sb.id AND rb.position = ra.position "
    "JOIN texts tb ON tb.id = rb.response "
    "WHERE sa.evaluation = ?1 AND sa.error IS NULL AND sb.error IS NULL "
    "ORDER BY sa.doc_id, ra.position";

static int read_answers(struct store *s, struct collecting *c, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql, select_answers, &st, err, "ii", c->result->evaluation_a,
                      c->result->evaluation_b);
    while (r == 0 && (r = sql_step(&s->sql, st, err)) == 1) {
        struct arena a = {0};
        add_answers(c, sqlite3_column_int64(st, 0), sql_text(&a, st, 1), sql_text(&a, st, 2));
        arena_free(&a);
        r = 0;
    }
    sqlite3_finalize(st);
    return r;
}

static void estimate(struct collecting *c)
{
    size_t n = c->docs.n;
    struct metric_item *items = arena_array(&c->arena, n, sizeof *items);
    for (int m = 0; m < SIMILARITY_METRICS; m++) {
        for (size_t i = 0; i < n; i++) {
            const struct doc_items *d = &c->docs.items[i];
            items[i] = (struct metric_item){d->sums[m] / d->n_answers, 1, d->parts[m]};
        }
        c->result->metrics[m] =
            metric_bootstrap(aggregations[m], items, (int64_t)n, REPLICATES, PAIRS_SEED);
    }
    c->result->n = (int64_t)n;
}

static int compare_pair(struct store *s, struct arena *arena, const struct evaluation_pair *pair,
                        struct similarity *ret, struct error *err)
{
    *ret = (struct similarity){
        .task = pair->a->task,
        .task_alias = pair->a->task_alias,
        .setting = setting_text(arena, pair->a),
        .evaluation_a = pair->a->id,
        .evaluation_b = pair->b->id,
    };
    struct collecting c = {.result = ret};
    int r = read_answers(s, &c, err);
    if (r == 0 && c.docs.n)
        estimate(&c);
    free(c.docs.items);
    arena_free(&c.arena);
    return r;
}

int similarity_models(struct store *s, struct arena *arena, const char *a, const char *b,
                      const char *task, struct similarity_list *ret, struct error *err)
{
    struct pairs pairs;
    struct notes notes = {0};
    struct similarity_list list = {0};
    int r = pairs_find(s, arena, a, b, task, &pairs, &notes, err);
    if (r == 0) {
        list = (struct similarity_list){.model_a = pairs.model_a, .model_b = pairs.model_b};
        list.items = arena_array(arena, pairs.n, sizeof *list.items);
    }
    for (size_t i = 0; r == 0 && i < pairs.n; i++) {
        if (strcmp(pairs.items[i].a->output_type, "generate_until") != 0)
            continue;
        r = compare_pair(s, arena, &pairs.items[i], &list.items[list.n], err);
        list.n += r == 0 && list.items[list.n].n > 0;
    }
    if (r == 0 && pairs.n == 0)
        r = pairs_none(a, b, &pairs, &notes, err);
    else if (r == 0 && list.n == 0)
        r = error_set(
            err, E_INPUT,
            "there is no similarity to show: \"%s\" and \"%s\" did not both write answers "
            "to the same documents; run a task that generates with both",
            a, b);
    if (r == 0) {
        list.n_notes = notes.n;
        list.notes = notes_take(&notes, arena);
        *ret = list;
    }
    free(notes.items);
    return r;
}
