/* cmd_show.c: `assay show`: one document, as one or two models saw and answered it. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "base/json.h"
#include "base/value.h"
#include "harness/commands.h"
#include "harness/options.h"
#include "harness/table.h"
#include "results/query.h"

enum { MAX_MODELS = 2 };

static struct {
    const char *db;
    struct strings models;
    bool tokens, json;
} o = {.db = "assay.db"};

static const struct option show_options[] = {
    {OPTION_LIST, 'm', "model", "LABEL", &o.models,
     "whose answers; give two to see them side by side [all, up to two]"},
    {OPTION_FLAG, 0, "tokens", NULL, &o.tokens, "also the tokens that the model saw, one by one"},
    {OPTION_ROW_DB(&o.db)},
    {OPTION_FLAG, 0, "json", NULL, &o.json, "print everything as JSON"},
    {OPTION_END, 0, NULL, NULL, NULL, NULL},
};

static const struct usage usage = {
    .command = "show",
    .synopsis = "TASK DOC [options]",
    .summary = "Shows a document (by its number, from 0) of a task: the exact prompt, each answer\n"
               "with its log-probability, the right one, and the scores.",
    .example = "  assay show arc_easy 17 -m base -m q8 --tokens",
    .options = show_options,
};

/* One model's view of the document. */
struct side {
    struct evaluation_line evaluation;
    struct sample_view sample;
};

/* The last used evaluation of the list, of those in the setting of `like` if there are any. */
static const struct evaluation_line *choose(const struct evaluation_list *list,
                                            const struct evaluation_line *like)
{
    const struct evaluation_line *best = NULL;
    for (size_t i = 0; i < list->n; i++) {
        const struct evaluation_line *e = &list->items[i];
        bool same = like && same_setting(e, like),
             best_same = like && best && same_setting(best, like);
        if (!best || same > best_same ||
            (same == best_same && strcmp(e->last_used, best->last_used) > 0))
            best = e;
    }
    return best;
}

/* `like`: the evaluation that it will stand beside; NULL for the first. */
static int find_side(struct store *s, struct arena *a, const char *model, const char *task,
                     int64_t doc, const struct evaluation_line *like, struct side *ret,
                     struct error *err)
{
    struct evaluation_filter f = {.model = model, .task = task, .latest = true};
    struct evaluation_list list;
    int r = query_evaluations(s, a, &f, &list, err);
    if (r < 0)
        return r;
    if (list.n == 0)
        return error_set(err, E_INPUT, "\"%s\" has not answered the task \"%s\"", model, task);
    const struct evaluation_line *e = choose(&list, like);
    if (like && !same_setting(e, like))
        fprintf(stderr,
                "note: \"%s\" did not answer \"%s\" in the same setting: its prompt was another "
                "one\n",
                model, task);
    else if (list.n > 1 && !like)
        fprintf(stderr,
                "note: \"%s\" answered \"%s\" in %zu settings; this is #%lld, the last used one "
                "(assay ls lists them; -m '#ID' picks one)\n",
                model, task, list.n, (long long)e->id);
    ret->evaluation = *e;
    return query_sample(s, a, ret->evaluation.id, doc, &ret->sample, err);
}

static void heading(const char *text)
{
    printf("\n--- %s ", text);
    for (int i = text_width(str_of(text)); i < 72; i++)
        putchar('-');
    putchar('\n');
}

enum { BRIEF = 60 }; /* bytes */

static bool is_brief(struct str s)
{
    return s.n <= BRIEF && str_find(s, STR("\n"), 0) == SIZE_MAX;
}

/* A text on one line, quoted, its middle left out when it is long. */
static const char *brief(struct arena *a, struct str s)
{
    struct buf b = {0};
    buf_json_str(&b, str_slice(s, 0, BRIEF), false);
    if (s.n > BRIEF)
        buf_puts(&b, "...");
    return buf_take(&b, a).p;
}

static void print_tokens(const struct backend *b, const char *what, const char *ids_json)
{
    struct arena a = {0};
    struct value *ids;
    struct error ignored;
    if (ids_json && json_parse(&a, str_of(ids_json), "tokens", &ids, &ignored) == 0 &&
        ids->type == VALUE_LIST) {
        printf("%s (%zu):", what, ids->list.n);
        for (size_t i = 0; i < ids->list.n; i++) {
            struct buf text = {0};
            const struct value *v = ids->list.items[i];
            int32_t id = v->type == VALUE_INT && v->i <= INT32_MAX ? (int32_t)v->i : -1;
            if (b) {
                buf_char(&text, ':');
                buf_json_str(&text, backend_token_text(b, &a, id), false);
            }
            printf(" %d%s", id, text.p ? text.p : "");
            buf_free(&text);
        }
        putchar('\n');
    }
    arena_free(&a);
}

static void print_all_tokens(const struct side *side)
{
    struct backend *b = NULL;
    struct error err = {0};
    struct backend_options bo = {.features = UINT_MAX};
    if (backend_open(side->evaluation.model_path, &bo, &b, &err) < 0)
        fprintf(stderr, "note: token numbers only, since the model cannot be opened: %s\n",
                err.msg);
    const char *last_prompt = NULL;
    for (int i = 0; i < side->sample.n_requests; i++) {
        const struct request_view *r = &side->sample.requests[i];
        struct arena a = {0};
        if (r->prompt_tokens && (!last_prompt || strcmp(last_prompt, r->prompt_tokens) != 0))
            print_tokens(b, "prompt", r->prompt_tokens);
        last_prompt = r->prompt_tokens;
        print_tokens(b, arena_printf(&a, "answer %d", r->row.idx), r->tokens);
        arena_free(&a);
    }
    backend_close(b);
}

static void print_prompts(const struct side *side)
{
    struct str last = {0};
    for (int i = 0; i < side->sample.n_requests; i++) {
        const struct request_row *r = &side->sample.requests[i].row;
        if (i && str_eq(last, r->prompt))
            continue;
        struct arena a = {0};
        heading(i ? arena_printf(&a, "prompt of answer %d", r->idx) : "prompt");
        printf("%.*s\n", STR_ARG(r->prompt));
        last = r->prompt;
        arena_free(&a);
    }
}

static void answer_cells(struct table *t, struct arena *a, const struct request_view *r)
{
    if (!r) {
        table_cell(t, "%s", "");
        return;
    }
    if (isnan(r->row.logprob_nats))
        table_cell(t, *r->row.finish ? "%s (%d tokens, %s)" : "%s", brief(a, r->row.response),
                   r->row.n_tokens_generated, r->row.finish);
    else
        table_cell(t, "%.4f%s%s", r->row.logprob_nats, r->best ? " best" : "",
                   r->row.is_greedy ? " greedy" : "");
}

/* Of a multiple-choice document the target is the right choice's number. */
static bool is_right(const struct side *side, const struct request_row *r)
{
    struct arena a = {0};
    bool right = strcmp(side->evaluation.output_type, "multiple_choice") == 0 &&
                 str_eqz(side->sample.target, arena_printf(&a, "%d", r->idx));
    arena_free(&a);
    return right;
}

static void print_answers(const struct side *sides, int n_sides)
{
    struct arena a = {0};
    const char *headings[2 + MAX_MODELS] = {">answer", "text"};
    for (int m = 0; m < n_sides; m++)
        headings[2 + m] = sides[m].evaluation.model;
    struct table t;
    table_init(&t, headings, 2 + n_sides);
    for (int i = 0; i < sides[0].sample.n_requests; i++) {
        const struct request_row *r = &sides[0].sample.requests[i].row;
        table_cell(&t, "%d%s", r->idx, r->unconditional ? " alone" : "");
        table_cell(&t, "%s%s", r->continuation.n ? brief(&a, r->continuation) : "",
                   is_right(&sides[0], r) ? " (right)" : "");
        for (int m = 0; m < n_sides; m++)
            answer_cells(&t, &a,
                         i < sides[m].sample.n_requests ? &sides[m].sample.requests[i] : NULL);
    }
    table_print(&t, false);
    for (int m = 0; m < n_sides; m++)
        for (int i = 0; i < sides[m].sample.n_requests; i++) {
            const struct request_row *r = &sides[m].sample.requests[i].row;
            if (is_brief(r->response))
                continue; /* the table holds all of it */
            heading(arena_printf(&a, "answer %d of %s", r->idx, sides[m].evaluation.model));
            printf("%.*s\n", STR_ARG(r->response));
        }
    arena_free(&a);
}

static const struct score_row *find_score(const struct sample_view *s, const struct score_row *like)
{
    for (int i = 0; i < s->n_scores; i++)
        if (strcmp(s->scores[i].metric, like->metric) == 0 &&
            strcmp(s->scores[i].filter, like->filter) == 0)
            return &s->scores[i];
    return NULL;
}

static void print_scores(const struct side *sides, int n_sides)
{
    const char *headings[2 + MAX_MODELS] = {"metric", "filter"};
    char names[MAX_MODELS][80];
    for (int m = 0; m < n_sides; m++) {
        snprintf(names[m], sizeof names[m], ">%s", sides[m].evaluation.model);
        headings[2 + m] = names[m];
    }
    struct table t;
    table_init(&t, headings, 2 + n_sides);
    for (int i = 0; i < sides[0].sample.n_scores; i++) {
        const struct score_row *like = &sides[0].sample.scores[i];
        table_cell(&t, "%s", like->metric);
        table_cell(&t, "%s", like->filter);
        for (int m = 0; m < n_sides; m++) {
            const struct score_row *s = find_score(&sides[m].sample, like);
            table_cell(&t, s ? "%g" : "", s ? s->value : 0.0);
        }
    }
    table_print(&t, false);
}

static void print_text(const struct side *sides, int n_sides)
{
    struct arena a = {0};
    const struct evaluation_line *e = &sides[0].evaluation;
    const char *setting = setting_text(&a, e);
    printf("%s, document %lld%s%s\ntarget: %.*s\ndoc: %.*s\n", e->task,
           (long long)sides[0].sample.doc_id, *setting ? ", " : "", setting,
           STR_ARG(sides[0].sample.target), STR_ARG(sides[0].sample.doc_json));
    print_prompts(&sides[0]);
    heading("answers");
    print_answers(sides, n_sides);
    heading("scores");
    print_scores(sides, n_sides);
    for (int m = 0; m < n_sides; m++) {
        if (strcmp(sides[m].evaluation.output_type, "generate_until") == 0)
            printf("\n%s: filtered %.*s\n", sides[m].evaluation.model,
                   STR_ARG(sides[m].sample.filtered_json));
        if (sides[m].sample.error)
            printf("%s: failed: %s\n", sides[m].evaluation.model, sides[m].sample.error);
    }
    if (o.tokens) {
        heading("tokens");
        for (int m = 0; m < n_sides; m++) {
            printf("%s\n", sides[m].evaluation.model);
            print_all_tokens(&sides[m]);
        }
    }
    arena_free(&a);
}

static void json_member(struct buf *b, const char *key, struct str text, bool is_json)
{
    buf_printf(b, ", \"%s\": ", key);
    if (is_json)
        buf_str(b, text.n ? text : STR("null"));
    else
        buf_json_str(b, text, false);
}

static void json_score(struct buf *b, const struct score_row *s, bool first)
{
    struct arena a = {0};
    buf_puts(b, first ? "" : ", ");
    buf_json_str(b, str_of(arena_printf(&a, "%s,%s", s->metric, s->filter)), false);
    buf_puts(b, ": ");
    if (isfinite(s->value))
        buf_float(b, s->value);
    else
        buf_puts(b, "null");
    arena_free(&a);
}

static void json_side(struct buf *b, const struct side *side)
{
    const struct sample_view *s = &side->sample;
    buf_puts(b, "{\"model\": ");
    buf_json_str(b, str_of(side->evaluation.model), false);
    buf_printf(b, ", \"evaluation\": %lld, \"doc_id\": %lld", (long long)side->evaluation.id,
               (long long)s->doc_id);
    json_member(b, "doc", s->doc_json, true);
    json_member(b, "target", s->target, false);
    json_member(b, "filtered", s->filtered_json, true);
    buf_puts(b, ", \"requests\": [");
    for (int i = 0; i < s->n_requests; i++) {
        const struct request_view *r = &s->requests[i];
        buf_printf(b, "%s{\"idx\": %d", i ? ", " : "", r->row.idx);
        json_member(b, "prompt", r->row.prompt, false);
        json_member(b, "continuation", r->row.continuation, false);
        json_member(b, "response", r->row.response, false);
        if (isfinite(r->row.logprob_nats)) {
            buf_puts(b, ", \"logprob\": ");
            buf_float(b, r->row.logprob_nats);
            json_member(b, "is_greedy", r->row.is_greedy ? STR("true") : STR("false"), true);
        }
        json_member(b, "prompt_tokens", str_of(r->prompt_tokens), true);
        json_member(b, "tokens", str_of(r->tokens), true);
        buf_puts(b, "}");
    }
    buf_puts(b, "], \"scores\": {");
    for (int i = 0; i < s->n_scores; i++)
        json_score(b, &s->scores[i], i == 0);
    buf_puts(b, "}");
    if (s->error)
        json_member(b, "error", str_of(s->error), false);
    buf_puts(b, "}");
}

static void print_json(const struct side *sides, int n_sides)
{
    struct buf b = {0};
    for (int m = 0; m < n_sides; m++) {
        buf_puts(&b, m ? ",\n " : "[");
        json_side(&b, &sides[m]);
    }
    printf("%s]\n", b.p);
    buf_free(&b);
}

static int document_number(const char *text, int64_t *ret, struct error *err)
{
    char *end;
    long long x = strtoll(text, &end, 10);
    if (!*text || *end || x < 0)
        return error_set(err, E_USAGE, "a document is meant by its number, from 0, not \"%s\"",
                         text);
    *ret = x;
    return 0;
}

int cmd_show(int argc, char **argv, struct error *err)
{
    static struct strings words;
    struct arena a = {0};
    struct store *s = NULL;
    struct side sides[MAX_MODELS];
    int64_t doc = 0;
    int r = options_parse(&usage, argc, argv, &words, err);
    if (r != 0)
        return r < 0 ? r : EXIT_DONE;
    if (words.n != 2 || o.models.n > MAX_MODELS)
        return error_set(err, E_USAGE,
                         words.n != 2 ? "give a task and a document's number: assay show "
                                        "arc_easy 17"
                                      : "one or two models, not more");
    if ((r = document_number(words.items[1], &doc, err)) < 0 ||
        (r = store_open(o.db, STORE_READ, &s, err)) < 0)
        goto out;
    if (!o.models.n) {
        const char *const *labels;
        int n;
        if ((r = query_models(s, &a, &labels, &n, err)) < 0)
            goto out;
        for (int i = 0; i < n && i < MAX_MODELS; i++)
            *ARRAY_PUSH(&o.models) = labels[i];
    }
    int n_sides = 0;
    for (size_t m = 0; m < o.models.n && r == 0; m++, n_sides++)
        r = find_side(s, &a, o.models.items[m], words.items[0], doc,
                      m ? &sides[0].evaluation : NULL, &sides[m], err);
    if (r == 0 && n_sides == 0)
        r = error_set(err, E_INPUT, "the store \"%s\" holds no evaluation yet", o.db);
    if (r < 0)
        goto out;
    if (o.json)
        print_json(sides, n_sides);
    else
        print_text(sides, n_sides);
out:
    store_close(s);
    arena_free(&a);
    free(words.items);
    return r;
}
