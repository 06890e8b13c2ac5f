/* cmd_score.c: `assay score`: scores recorded outputs, without a model. Rows are either plain
 * ({"doc_id": 3, "response": "text"}; "responses": [...] for repeats) or those of a
 * samples_TASK.jsonl in lm-evaluation-harness' layout ("doc_id", "resps"). Or the file is one
 * object of predictions as SQuAD's and TAT-QA's publishers have them, {"ID": answer, ...}: an
 * answer that is no text is scored as its JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/utf8.h"
#include "harness/commands.h"
#include "harness/scores.h"
#include "harness/sweep.h"

static struct sweep_options o = {
    .db = "assay.db",
    .limit = -1,
    .num_fewshot = -1,
    .seed = 1234,
    .bootstrap_iters = 100000,
};
static const char *responses_path, *label;

static const struct option score_options[] = {
    {OPTION_SPLIT, 't', "task", "NAME", &o.tasks, "the task (or a YAML file) that was answered"},
    {OPTION_STR, 'r', "responses", "FILE", &responses_path,
     "JSONL of {\"doc_id\", \"response\"}, {ID: answer}, lm-eval's samples"},
    {OPTION_STR, 'n', "name", "LABEL", &label, "what the model is called in tables [the file]"},
    {OPTION_COUNT, 'f', "num_fewshot", "N", &o.num_fewshot, "that the prompts had [the task's]"},
    {OPTION_LIST, 0, "data", "DIR", &o.data, "data folder [~/.cache/assay/data]"},
    {OPTION_ROW_INCLUDE_PATH(&o.include_paths)},
    {OPTION_ROW_DB(&o.db)},
    {OPTION_ROW_BOOTSTRAP_ITERS(&o.bootstrap_iters)},
    {OPTION_ROW_ALLOW_UNSANDBOXED(&o.allow_unsandboxed)},
    {OPTION_ROW_JSON(&o.json)},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "score",
    .synopsis = "-t TASK -r FILE [options]",
    .summary = "Scores recorded outputs of a model by a task, and stores them like a run's.",
    .example = "  assay score -t gsm8k -r outputs.jsonl --name my-model",
    .options = score_options,
};

/* A row of the file, found again by its offset. */
struct row {
    int64_t doc_id;
    size_t offset, n;
    int line;
};

struct rows {
    struct row *items;
    size_t n, cap;
    struct mapping file;
    struct arena arena;  /* of: */
    struct value *by_id; /* the predictions of one object, or NULL */
};

static int by_doc(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    if (a->doc_id != b->doc_id)
        return a->doc_id < b->doc_id ? -1 : 1;
    return (a->line > b->line) - (a->line < b->line);
}

static int parse_row(struct arena *a, const struct rows *rows, const struct row *row,
                     struct value **ret, struct error *err)
{
    struct str text = {(const char *)rows->file.p + row->offset, row->n};
    const char *where = arena_printf(a, "%s:%d", responses_path, row->line);
    return json_parse(a, text, where, ret, err);
}

static int add_row(struct arena *a, struct rows *rows, struct row row, struct error *err)
{
    struct value *v, *id;
    int r = parse_row(a, rows, &row, &v, err);
    if (r < 0)
        return r;
    id = dict_get(v, "doc_id");
    if (!id || id->type != VALUE_INT || id->i < 0)
        return error_set(err, E_INPUT,
                         "%s:%d: a row needs \"doc_id\", the document's number in the task from 0",
                         responses_path, row.line);
    row.doc_id = id->i;
    *ARRAY_PUSH(rows) = row;
    return 0;
}

/* Whether the file is one object of predictions. */
static bool read_predictions(struct rows *rows, struct str all)
{
    struct error ignored;
    struct value *v;
    all = utf8_strip(all, STRIP_BOTH, NULL);
    bool one = str_starts(all, STR("{")) &&
               json_parse(&rows->arena, all, responses_path, &v, &ignored) == 0 &&
               !dict_get(v, "doc_id");
    rows->by_id = one ? v : NULL;
    return one;
}

static int read_rows(struct rows *rows, struct error *err)
{
    int r = mapping_open(responses_path, &rows->file, err);
    if (r < 0)
        return r;
    if (read_predictions(rows, (struct str){(const char *)rows->file.p, rows->file.n}))
        return 0;
    struct arena scratch = {0};
    struct str all = {(const char *)rows->file.p, rows->file.n};
    int line = 0;
    for (size_t at = 0; at < all.n && r == 0;) {
        size_t end = str_find(all, STR("\n"), at);
        end = end == SIZE_MAX ? all.n : end;
        struct row row = {.offset = at, .n = end - at, .line = ++line};
        struct arena_mark m = arena_mark(&scratch);
        if (utf8_strip(str_slice(all, at, end), STRIP_BOTH, NULL).n)
            r = add_row(&scratch, rows, row, err);
        arena_reset(&scratch, m);
        at = end + 1;
    }
    arena_free(&scratch);
    if (r == 0 && rows->n == 0)
        r = error_set(err, E_INPUT, "%s holds no rows", responses_path);
    if (r == 0)
        qsort(rows->items, rows->n, sizeof *rows->items, by_doc);
    return r;
}

/* lm-eval writes numbers as texts. */
static bool to_number(const struct value *v, double *ret)
{
    char *end = "", text[64] = {0};
    if (v->type == VALUE_FLOAT)
        *ret = v->f;
    else if (v->type == VALUE_INT)
        *ret = (double)v->i;
    else if (v->type == VALUE_STR && v->s.n && v->s.n < 64) {
        memcpy(text, v->s.p, v->s.n);
        *ret = strtod(text, &end);
    } else
        return false;
    return *end == '\0' && !isnan(*ret);
}

/* One recorded answer: a text, a log-likelihood, or [log-likelihood, is_greedy]. */
static bool fill(struct response *to, const struct value *v, enum request_kind kind)
{
    if (kind == REQUEST_GENERATE_UNTIL) {
        to->text = v->s;
        return v->type == VALUE_STR;
    }
    if (v->type == VALUE_LIST && v->list.n >= 1) {
        const struct value *greedy = v->list.n > 1 ? v->list.items[1] : NULL;
        to->is_greedy = greedy && (greedy->type == VALUE_STR ? str_eqz(greedy->s, "True")
                                                             : value_truthy(greedy));
        v = v->list.items[0];
    }
    return to_number(v, &to->logprob_nats);
}

/* Flattens [[r, r], [r]] and accepts a plain value: answers in the order of the requests. */
static void flatten(struct arena *a, struct value *list, const struct value *v, int depth)
{
    bool nested = v->type == VALUE_LIST && depth > 0;
    if (!nested) {
        struct value *copy = arena_alloc(a, sizeof *copy);
        *copy = *v;
        list_push(a, list, copy);
    }
    for (size_t i = 0; nested && i < v->list.n; i++)
        flatten(a, list, v->list.items[i], depth - 1);
}

static int fill_answers(const struct value *list, const char *where, const struct asked *q,
                        struct response *to, struct error *err)
{
    if (list->list.n != (size_t)q->n_requests)
        return error_set(err, E_INPUT, "%s: document %lld needs %d answer%s, the row has %zu",
                         where, (long long)q->doc_id, q->n_requests, q->n_requests == 1 ? "" : "s",
                         list->list.n);
    for (int i = 0; i < q->n_requests; i++)
        if (!fill(&to[i], list->list.items[i], q->requests[i].kind))
            return error_set(err, E_INPUT, "%s: answer %d is not %s", where, i,
                             q->requests[i].kind == REQUEST_GENERATE_UNTIL
                                 ? "a text"
                                 : "a log-likelihood or [log-likelihood, is_greedy]");
    return 0;
}

static int answers_of(struct arena *a, const struct rows *rows, const struct row *row,
                      const struct asked *q, struct response *to, struct error *err)
{
    struct value *v, *list = value_list(a), *found;
    int r = parse_row(a, rows, row, &v, err);
    if (r < 0)
        return r;
    if ((found = dict_get(v, "resps")))
        flatten(a, list, found, 2);
    else if ((found = dict_get(v, "responses")))
        flatten(a, list, found, 1);
    else if ((found = dict_get(v, "response")))
        flatten(a, list, found, 0);
    if (!found)
        return error_set(err, E_INPUT,
                         "%s:%d: a row needs \"response\", \"responses\" or lm-eval's \"resps\"",
                         responses_path, row->line);
    return fill_answers(list, arena_printf(a, "%s:%d", responses_path, row->line), q, to, err);
}

static int store_answers(struct arena *a, struct planned *e, struct store *s, const struct asked *q,
                         const struct response *answers, struct error *err)
{
    struct scored scored;
    struct sample_row sample;
    int r = task_score(e->task, a, q, answers, &scored, err);
    if (r < 0)
        return r;
    sample_row_fill(a, q, answers, &scored, NULL, &sample);
    return store_sample(s, e->id, &sample, err);
}

static int score_row(struct arena *a, struct planned *e, struct store *s, const struct rows *rows,
                     const struct row *row, struct error *err)
{
    struct asked q;
    int r = task_ask(e->task, a, row->doc_id, &q, err);
    if (r < 0)
        return r;
    struct response *answers = arena_array(a, (size_t)q.n_requests, sizeof *answers);
    if ((r = answers_of(a, rows, row, &q, answers, err)) < 0)
        return r;
    return store_answers(a, e, s, &q, answers, err);
}

/* ---- predictions ---- */

/* The document's prediction, under the first of the names that such files use; NULL: none. */
static const struct value *prediction_of(struct arena *a, const struct rows *rows,
                                         const struct value *doc)
{
    static const char *const names[] = {"id", "uid", "question_id", "task_id"};
    const struct value *found = NULL;
    for (int i = 0; i < 4 && !found; i++) {
        const struct value *id = dict_get(doc, names[i]);
        found = id ? dict_gets(rows->by_id, value_tostr(a, id)) : NULL;
    }
    return found;
}

static int score_prediction(struct arena *a, struct planned *e, struct store *s,
                            const struct asked *q, const struct value *prediction,
                            struct error *err)
{
    struct value *list = value_list(a);
    bool text = q->requests[0].kind != REQUEST_GENERATE_UNTIL || prediction->type == VALUE_STR;
    struct value *copy = text ? value_clone(a, prediction) : value_str(a, json_text(a, prediction));
    struct response *answers = arena_array(a, (size_t)q->n_requests, sizeof *answers);
    list_push(a, list, copy);
    int r = fill_answers(list, responses_path, q, answers, err);
    return r < 0 ? r : store_answers(a, e, s, q, answers, err);
}

/* Documents without a prediction are left out; a prediction without a document is an error. */
static int score_predictions(struct planned *e, struct store *s, const struct rows *rows,
                             struct error *err)
{
    struct arena a = {0};
    size_t used = 0;
    int r = 0;
    for (int64_t i = 0; i < e->info->n_docs && r == 0; i++) {
        struct asked q;
        const struct value *p;
        if ((r = task_ask(e->task, &a, i, &q, err)) == 0 && (p = prediction_of(&a, rows, q.doc))) {
            r = score_prediction(&a, e, s, &q, p, err);
            used++;
        }
        arena_free(&a);
    }
    if (r == 0 && used < rows->by_id->dict.n)
        r = error_set(err, E_INPUT,
                      "%s holds %zu predictions, and only %zu of them are for a document of the "
                      "task \"%s\": is it for another split?",
                      responses_path, rows->by_id->dict.n, used, e->info->name);
    return r;
}

/* All rows or none: they are stored in one transaction. */
static int score_rows(struct planned *e, struct store *s, const struct evaluation *description,
                      const struct rows *rows, struct error *err)
{
    struct arena a = {0};
    int r = store_begin(s, err);
    if (r == 0)
        r = store_evaluation(s, description, &e->id, err);
    if (r == 0 && rows->by_id)
        r = score_predictions(e, s, rows, err);
    for (size_t i = 0; i < rows->n && r == 0; i++) {
        const struct row *row = &rows->items[i];
        if (i && row->doc_id == row[-1].doc_id)
            continue; /* lm-eval writes a document once for each filter */
        if (row->doc_id >= e->info->n_docs)
            r = error_set(err, E_INPUT,
                          "%s:%d: document %lld does not exist, the task \"%s\" has %lld",
                          responses_path, row->line, (long long)row->doc_id, e->info->name,
                          (long long)e->info->n_docs);
        else
            r = score_row(&a, e, s, rows, row, err);
        arena_free(&a);
    }
    if (r == 0)
        return store_commit(s, err);
    store_rollback(s);
    return r;
}

static int open_task(struct arena *a, struct catalog *c, struct selection *selected, struct plan *p,
                     struct error *err)
{
    int r = catalog_select(c, o.tasks.items, (int)o.tasks.n, selected, err);
    if (r < 0)
        return r;
    if (selected->n != 1 || selected->refs[0].is_group)
        return error_set(err, E_USAGE, "give one task; \"%s\" names several", o.tasks.items[0]);
    *p = (struct plan){.items = arena_array(a, 1, sizeof *p->items), .n = 1};
    p->items[0].ref = &selected->refs[0];
    struct task_options to = {
        .data_dirs = o.data.items,
        .n_data_dirs = (int)o.data.n,
        .num_fewshot = o.num_fewshot,
        .fewshot_seed = o.seed,
        .limit = -1,
        .allow_unsandboxed = o.allow_unsandboxed,
    };
    if ((r = task_open(p->items[0].ref, &to, &p->items[0].task, err)) < 0)
        return r;
    p->items[0].info = task_info(p->items[0].task);
    return task_check(p->items[0].task, err);
}

static int store_and_print(struct arena *a, struct plan *p, const struct rows *rows,
                           struct store *s, struct error *err)
{
    char hash[HASH_HEX];
    hash_bytes(rows->file.p, rows->file.n, hash);
    const char *name = label ? label : path_base(responses_path);
    struct backend_info m = {
        .name = name,
        .path = responses_path,
        .model_hash = hash,
        .numerics = "recorded",
        .format = "",
        .quant = "none",
    };
    struct planned *e = &p->items[0];
    struct evaluation description;
    evaluation_describe(a, &m, e->info, &o, &description);
    int r;
    if ((r = score_rows(e, s, &description, rows, err)) < 0 ||
        (r = store_aggregate(s, e->id, e->info->n_eval, o.bootstrap_iters, err)) < 0)
        return r;
    struct score_list list = {.model = name};
    if ((r = scores_collect(a, s, p, &list, err)) == 0)
        scores_print(&list, 1, o.json);
    free(list.items);
    return r;
}

int cmd_score(int argc, char **argv, struct error *err)
{
    static struct strings positional;
    struct arena a = {0};
    struct catalog *c = NULL;
    struct selection selected;
    struct plan p = {0};
    struct rows rows = {0};
    struct store *s = NULL;
    int r = options_parse(&usage, argc, argv, &positional, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (positional.n || o.tasks.n != 1 || !responses_path)
        return error_set(err, E_USAGE,
                         "give one task, -t TASK, and its outputs, -r FILE (assay score "
                         "--help explains)");
    sweep_data_dirs(&a, &o.data);
    if ((r = catalog_open(o.include_paths.items, (int)o.include_paths.n, &c, err)) == 0 &&
        (r = open_task(&a, c, &selected, &p, err)) == 0 && (r = read_rows(&rows, err)) == 0 &&
        (r = store_open(o.db, STORE_WRITE, &s, err)) == 0)
        r = store_and_print(&a, &p, &rows, s, err);
    store_close(s);
    plan_close(&p);
    catalog_close(c);
    mapping_close(&rows.file);
    free(rows.items);
    arena_free(&rows.arena);
    arena_free(&a);
    return r;
}
