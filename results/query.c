#include "results/query.h"

#include <math.h>
#include <stdlib.h>

#include "results/store_sql.h"

/* ---- evaluations ---- */

#define LABELS                                                                                     \
    "SELECT m.label FROM models m JOIN evaluations e ON e.model = m.id GROUP BY m.label "          \
    "ORDER BY min(e.id)"
#define TASKS "SELECT DISTINCT t.name FROM tasks t JOIN evaluations e ON e.task = t.id ORDER BY 1"

static int names(struct store *s, struct arena *a, const char *statement, struct sql_list *ret,
                 struct error *err)
{
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql, statement, &st, err, "");
    return r < 0 ? r : sql_rows(&s->sql, a, st, sizeof(char *), sql_read_text, ret, err);
}

/* What a store has, for a sentence. */
static const char *listed(struct arena *a, const struct sql_list *l)
{
    struct buf b = {0};
    const char *const *names_ = l->items;
    for (size_t i = 0; i < l->n && b.n < 300; i++)
        buf_printf(&b, i ? ", %s" : "%s", names_[i]);
    if (b.n >= 300)
        buf_puts(&b, ", ...");
    return buf_take(&b, a).p;
}

static int nothing_found(struct store *s, const struct evaluation_filter *f, struct error *err)
{
    struct arena a = {0};
    struct sql_list labels, tasks;
    int r = names(s, &a, LABELS, &labels, err);
    if (r == 0)
        r = names(s, &a, TASKS, &tasks, err);
    if (r == 0 && labels.n == 0)
        r = error_set(err, E_INPUT, "the store \"%s\" has no evaluations yet; assay run makes some",
                      s->sql.path);
    else if (r == 0 && f->model && f->task)
        r = error_set(err, E_INPUT,
                      "the store \"%s\" has no evaluation of model \"%s\" on task \"%s\"; its "
                      "models are: %s; its tasks: %s",
                      s->sql.path, f->model, f->task, listed(&a, &labels), listed(&a, &tasks));
    else if (r == 0 && f->model)
        r = error_set(err, E_INPUT, "the store \"%s\" has no model \"%s\"; it has: %s", s->sql.path,
                      f->model, listed(&a, &labels));
    else if (r == 0)
        r = error_set(err, E_INPUT, "the store \"%s\" has no task \"%s\"; it has: %s", s->sql.path,
                      f->task, listed(&a, &tasks));
    arena_free(&a);
    return r;
}

/* "#12,#15" as a JSON array for json_each; NULL when it is a label. */
static const char *ids_of(struct arena *a, const char *model)
{
    struct buf b = {0};
    const char *p = model;
    while (*p == '#') {
        char *end;
        long long id = strtoll(p + 1, &end, 10);
        if (end == p + 1 || (*end && *end != ','))
            break;
        buf_printf(&b, b.n ? ",%lld" : "[%lld", id);
        p = *end ? end + 1 : end;
    }
    buf_char(&b, ']');
    bool all = *p == '\0' && b.n > 1;
    const char *ret = all ? buf_take(&b, a).p : NULL;
    buf_free(&b);
    return ret;
}

static void read_evaluation(struct arena *a, sqlite3_stmt *st, void *item)
{
    int c = 0;
    struct evaluation_line e = {.id = sqlite3_column_int64(st, c++)};
    const char **const texts[] = {
        &e.hash,
        &e.model,
        &e.model_path,
        &e.model_hash,
        &e.numerics,
        &e.format,
        &e.quant,
        &e.task,
        &e.task_alias,
        &e.task_version,
        &e.task_hash,
        &e.data_hash,
        &e.output_type,
        &e.config_json,
        &e.chat_template_hash,
        &e.system_instruction,
        &e.created,
        &e.last_used,
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = sql_text(a, st, c++).p;
    e.n_params = sqlite3_column_int64(st, c++);
    e.max_length = sqlite3_column_int(st, c++);
    e.num_fewshot = sqlite3_column_int(st, c++);
    e.fewshot_seed = sqlite3_column_int64(st, c++);
    e.fewshot_as_multiturn = sqlite3_column_int(st, c++) != 0;
    e.source = sqlite3_column_int64(st, c++);
    e.n_docs = sqlite3_column_int64(st, c++);
    e.n_samples = sqlite3_column_int64(st, c++);
    e.n_failed = sqlite3_column_int64(st, c++);
    e.n_eval = sqlite3_column_type(st, c) == SQLITE_NULL ? -1 : sqlite3_column_int64(st, c);
    *(struct evaluation_line *)item = e;
}

static const char select_evaluations[] =
    "SELECT e.id, e.hash, m.label, m.path, m.hash, m.numerics, m.format, m.quant, t.name, t.alias, "
    "t.version, t.hash, t.data_hash, t.output_type, x.text, e.chat_template_hash, "
    "e.system_instruction, e.created, e.last_used, m.n_params, m.max_length, e.num_fewshot, "
    "e.fewshot_seed, e.fewshot_as_multiturn, e.source, t.n_docs, "
    "(SELECT count(*) FROM samples s WHERE s.evaluation = e.id), "
    "(SELECT count(*) FROM samples s WHERE s.evaluation = e.id AND s.error IS NOT NULL), "
    "(SELECT max(n_eval) FROM aggregates g WHERE g.evaluation = e.id) "
    "FROM evaluations e JOIN models m ON m.id = e.model JOIN tasks t ON t.id = e.task "
    "JOIN texts x ON x.id = t.config "
    "WHERE (?1 IS NULL OR m.label = ?1) AND (?2 IS NULL OR t.name = ?2) "
    "AND (?3 IS NULL OR e.id IN (SELECT value FROM json_each(?3))) "
    "ORDER BY m.label, t.name, e.num_fewshot, e.last_used, e.id";

static int read_evaluations(struct store *s, struct arena *a, const struct evaluation_filter *f,
                            struct evaluation_list *ret, struct error *err)
{
    const char *ids = f->model ? ids_of(a, f->model) : NULL;
    struct sql_list list;
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql, select_evaluations, &st, err, "zzz", ids ? NULL : f->model, f->task,
                      ids);
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof *ret->items, read_evaluation, &list, err);
    if (r == 0)
        *ret = (struct evaluation_list){list.items, list.n};
    return r;
}

bool same_setting(const struct evaluation_line *a, const struct evaluation_line *b)
{
    return strcmp(a->task, b->task) == 0 && a->num_fewshot == b->num_fewshot &&
           (a->num_fewshot == 0 || a->fewshot_seed == b->fewshot_seed) &&
           !a->chat_template_hash[0] == !b->chat_template_hash[0] &&
           a->fewshot_as_multiturn == b->fewshot_as_multiturn &&
           strcmp(a->system_instruction, b->system_instruction) == 0;
}

const char *setting_text(struct arena *a, const struct evaluation_line *e)
{
    struct buf b = {0};
    if (e->num_fewshot > 0)
        buf_printf(&b, "%d-shot", e->num_fewshot);
    if (e->chat_template_hash[0])
        buf_puts(&b, b.n ? ", chat" : "chat");
    if (e->fewshot_as_multiturn && e->num_fewshot > 0)
        buf_puts(&b, " in turns");
    if (e->system_instruction[0])
        buf_puts(&b, b.n ? ", system" : "system");
    return buf_take(&b, a).p;
}

/* The list is ordered by last use within a model and task: keep those that no later one equals. */
static void keep_latest(struct evaluation_list *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        bool last = true;
        for (size_t k = i + 1; k < l->n && last; k++) {
            const struct evaluation_line *e = &l->items[i], *other = &l->items[k];
            if (strcmp(e->model, other->model) != 0 || strcmp(e->task, other->task) != 0)
                break;
            last = !same_setting(e, other);
        }
        if (last)
            l->items[kept++] = l->items[i];
    }
    l->n = kept;
}

int query_evaluations(struct store *s, struct arena *a, const struct evaluation_filter *filter,
                      struct evaluation_list *ret, struct error *err)
{
    static const struct evaluation_filter all;
    const struct evaluation_filter *f = filter ? filter : &all;
    struct evaluation_list list;
    int r = read_evaluations(s, a, f, &list, err);
    if (r == 0 && list.n == 0 && (f->model || f->task))
        r = nothing_found(s, f, err);
    if (r == 0 && f->latest)
        keep_latest(&list);
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        struct evaluation_line *e = &list.items[i];
        r = store_scores(s, a, e->id, -1, &e->scores, &e->n_scores, err);
    }
    if (r == 0)
        *ret = list;
    return r;
}

int query_models(struct store *s, struct arena *a, const char *const **ret, int *n,
                 struct error *err)
{
    struct sql_list list;
    int r = names(s, a, LABELS, &list, err);
    if (r < 0)
        return r;
    *ret = list.items;
    *n = (int)list.n;
    return 0;
}

/* ---- groups and runs ---- */

static void read_group(struct arena *a, sqlite3_stmt *st, void *item)
{
    struct group_row *g = item;
    g->name = sql_text(a, st, 0).p;
    g->alias = sql_text(a, st, 1).p;
}

static void read_group_measure(struct arena *a, sqlite3_stmt *st, void *item)
{
    struct group_measure *m = item;
    m->metric = sql_text(a, st, 0).p;
    m->weight_by_size = sqlite3_column_int(st, 1) != 0;
}

static void read_group_term(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(struct group_mean_term *)item = (struct group_mean_term){
        .benchmark = sql_text(a, st, 0).p,
        .task = sql_text(a, st, 1).p,
        .metric = sql_text(a, st, 2).p,
        .filter = sql_text(a, st, 3).p,
        .baseline = sqlite3_column_double(st, 4),
        .by_size = sqlite3_column_int(st, 5) != 0,
    };
}

static int read_group_parts(struct store *s, struct arena *a, struct group_row *g,
                            struct error *err)
{
    struct sql_list tasks, measures, terms;
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT m.task FROM group_members m JOIN groups g ON g.id = m.grp "
                      "WHERE g.name = ? ORDER BY m.position",
                      &st, err, "z", g->name);
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof(char *), sql_read_text, &tasks, err);
    if (r == 0)
        r = sql_query(&s->sql,
                      "SELECT m.metric, m.weight_by_size FROM group_aggregates m JOIN groups g "
                      "ON g.id = m.grp WHERE g.name = ? ORDER BY m.metric",
                      &st, err, "z", g->name);
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof *g->measures, read_group_measure, &measures, err);
    if (r == 0)
        r = sql_query(&s->sql,
                      "SELECT t.benchmark, t.task, t.metric, t.filter, t.baseline, "
                      "t.weight_by_size FROM group_terms t JOIN groups g ON g.id = t.grp "
                      "WHERE g.name = ? ORDER BY t.position",
                      &st, err, "z", g->name);
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof *g->terms, read_group_term, &terms, err);
    if (r < 0)
        return r;
    g->tasks = tasks.items;
    g->n_tasks = (int)tasks.n;
    g->measures = measures.items;
    g->n_measures = (int)measures.n;
    g->terms = terms.items;
    g->n_terms = (int)terms.n;
    return 0;
}

int query_groups(struct store *s, struct arena *a, struct group_list *ret, struct error *err)
{
    struct sql_list list;
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql, "SELECT name, alias FROM groups ORDER BY name", &st, err, "");
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof *ret->items, read_group, &list, err);
    if (r < 0)
        return r;
    struct group_list groups = {list.items, list.n};
    for (size_t i = 0; r == 0 && i < groups.n; i++)
        r = read_group_parts(s, a, &groups.items[i], err);
    if (r == 0)
        *ret = groups;
    return r;
}

static void read_run(struct arena *a, sqlite3_stmt *st, void *item)
{
    *(struct run_line *)item = (struct run_line){
        .id = sqlite3_column_int64(st, 0),
        .command_line = sql_text(a, st, 1).p,
        .pid = sqlite3_column_int64(st, 2),
        .started = sql_text(a, st, 3).p,
        .ended = sql_textz(a, st, 4),
        .exit_code = sqlite3_column_int(st, 5),
        .tokens_computed = sqlite3_column_int64(st, 6),
        .seconds = sqlite3_column_double(st, 7),
        .n_evaluations = sqlite3_column_int64(st, 8),
        .n_failures = sqlite3_column_int64(st, 9),
    };
}

int query_runs(struct store *s, struct arena *a, int limit, struct run_line **ret, int *n,
               struct error *err)
{
    struct sql_list list;
    sqlite3_stmt *st = NULL;
    int r = sql_query(&s->sql,
                      "SELECT id, command_line, pid, started, ended, exit_code, tokens_computed, "
                      "seconds, (SELECT count(*) FROM run_evaluations WHERE run = runs.id), "
                      "(SELECT count(*) FROM run_failures WHERE run = runs.id) "
                      "FROM runs ORDER BY id DESC LIMIT ?",
                      &st, err, "i", (int64_t)limit);
    if (r == 0)
        r = sql_rows(&s->sql, a, st, sizeof **ret, read_run, &list, err);
    if (r < 0)
        return r;
    *ret = list.items;
    *n = (int)list.n;
    return 0;
}
