#include "tasks/data.h"

#include "base/file.h"
#include "base/pyrandom.h"
#include "tasks/config.h"
#include "tasks/definition.h"
#include "tasks/document.h"
#include "tasks/functions.h"
#include "tasks/hub.h"

struct places {
    struct buf looked; /* each path that was tried, for the error */
    int n;
};

/* What is being opened. */
struct opening {
    struct task *t;
    const struct task_options *o;
    const char *split, *where; /* where: of the key that names the files */
    struct places places;
};

static const char *text_in(struct arena *a, const struct value *v)
{
    return arena_copy(a, v->s.p, v->s.n);
}

static const char *try_path(struct opening *op, const char *dir, const char *name)
{
    const char *path = dir ? path_join(&op->t->arena, dir, name) : name;
    if (file_exists(path))
        return path;
    if (op->places.n++ < 8)
        buf_printf(&op->places.looked, "%s%s", op->places.looked.n ? ", " : "", path);
    else if (op->places.n == 9)
        buf_puts(&op->places.looked, ", ...");
    return NULL;
}

/* The file `name` in one of the folders, or NULL. The working directory goes first where
 * lm-evaluation-harness would look there. */
static const char *find_file(struct opening *op, const char *name, bool working_dir_first)
{
    const char *path = working_dir_first || name[0] == '/' ? try_path(op, NULL, name) : NULL;
    for (int i = 0; !path && i < op->o->n_data_dirs; i++)
        path = try_path(op, op->o->data_dirs[i], name);
    if (!path && name[0] != '/' && strncmp(op->t->file, "assay:", 6) != 0)
        path = try_path(op, path_dir(&op->t->arena, op->t->file), name);
    if (!path && !working_dir_first && name[0] != '/')
        path = try_path(op, NULL, name);
    return path;
}

static int not_found(struct opening *op, struct error *err)
{
    return error_set(err, E_IO,
                     "task \"%s\": no file for its split \"%s\"; looked for %s. Name the folder "
                     "that holds it with --data DIR; tools/fetch.sh gets the quickstart's samples",
                     op->t->info.name, op->split,
                     op->places.looked.n ? op->places.looked.p : "nothing");
}

static int set_format(struct data_spec *spec, const char *name, const char *where,
                      struct error *err)
{
    static const struct {
        const char *name;
        enum data_format format;
        char delimiter;
    } formats[] = {
        {"json", DATA_JSON, 0},   {"jsonl", DATA_JSON, 0},        {"csv", DATA_CSV, ','},
        {"tsv", DATA_CSV, '\t'},  {"text", DATA_TEXT, 0},         {"txt", DATA_TEXT, 0},
        {"pages", DATA_PAGES, 0}, {"examples", DATA_EXAMPLES, 0}, {"tabs", DATA_CSV, '\t'},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(name, formats[i].name) == 0) {
            spec->format = formats[i].format;
            spec->delimiter = formats[i].delimiter;
            spec->plain = strcmp(name, "tabs") == 0;
            return 0;
        }
    return error_set(
        err, E_UNSUPPORTED,
        "%s: data of the format \"%s\" cannot be read; there are json (also JSON lines), "
        "csv, tsv and text, plain or gzipped",
        where, name);
}

/* No Debian package reads Parquet for C; pandas writes the rows out. */
static int parquet_refused(const char *where, const char *path, struct error *err)
{
    size_t n = strlen(path), ending = strlen(".parquet");
    int stem = (int)(n > ending ? n - ending : n);
    return error_set(
        err, E_UNSUPPORTED,
        "%s: \"%s\" is a Parquet file, which assay does not read; write it out as JSON "
        "lines: python3 -c \"import pandas; pandas.read_parquet('%s').to_json('%.*s.jsonl'"
        ", orient='records', lines=True)\"",
        where, path, path, stem, path);
}

/* The format that a file's ending tells; JSON lines when it tells none. */
static int format_of_name(struct arena *a, struct data_spec *spec, const char *path,
                          const char *where, struct error *err)
{
    struct str name = str_of(path_base(path));
    if (str_ends(name, STR(".gz")))
        name.n -= 3;
    size_t dot = name.n;
    while (dot > 0 && name.p[dot - 1] != '.')
        dot--;
    if (str_ends(name, STR(".parquet")))
        return parquet_refused(where, path, err);
    return set_format(spec, dot ? arena_copy(a, name.p + dot, name.n - dot) : "json", where, err);
}

static int set_columns(struct arena *a, struct data_spec *spec, const struct value *v,
                       const char *where, struct error *err)
{
    if (v->type != VALUE_LIST || v->list.n == 0)
        return error_set(err, E_INPUT, "%s: the columns of a CSV file must be a list of names",
                         where);
    const char **names = arena_array(a, v->list.n, sizeof *names);
    for (size_t i = 0; i < v->list.n; i++) {
        if (v->list.items[i]->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s: a column's name must be text", where);
        names[i] = text_in(a, v->list.items[i]);
    }
    spec->columns = names;
    spec->n_columns = (int)v->list.n;
    return 0;
}

/* ---- data_files ---- */

static int check_candidate_keys(const struct value *c, const char *where, struct error *err)
{
    static const char *const names[] = {"file", "format", "columns", "lines_per_row", "field",
                                        "each", "rows",   "as",      "note",          "use_split"};
    for (size_t i = 0; i < c->dict.n; i++) {
        if (!key_is_one_of(c->dict.entries[i].key, names, sizeof names / sizeof *names))
            return error_set(err, E_INPUT,
                             "%s: an entry of data_files has an unknown key; there are file, "
                             "format, columns, lines_per_row, field, each, rows, as, note and "
                             "use_split",
                             where);
    }
    return 0;
}

/* "{dataset_name}" replaced. */
static const char *expand(struct opening *op, const char *name)
{
    static const char word[] = "{dataset_name}";
    const char *at = strstr(name, word);
    const struct value *v = dict_get(op->t->ref->config, "dataset_name");
    if (!at || !v || v->type != VALUE_STR)
        return name;
    return arena_printf(&op->t->arena, "%.*s%.*s%s", (int)(at - name), name, STR_ARG(v->s),
                        at + sizeof word - 1);
}

/* rows: [from, end], as a Python slice. */
static int set_rows(struct data_spec *spec, const struct value *v, const char *where,
                    struct error *err)
{
    const struct value *from = NULL, *end = NULL;
    if (v->type == VALUE_LIST && v->list.n == 2)
        from = v->list.items[0], end = v->list.items[1];
    if (!from || from->type != VALUE_INT || end->type != VALUE_INT || from->i < 0 ||
        end->i <= from->i)
        return error_set(err, E_INPUT,
                         "%s: rows must be [FROM, END], of which END is no row any more", where);
    spec->first_row = from->i;
    spec->end_row = end->i;
    return 0;
}

static int candidate_details(struct opening *op, const struct value *c, struct data_spec *spec,
                             struct error *err)
{
    struct arena *a = &op->t->arena;
    const char *format;
    int64_t lines;
    int r = 0;
    if ((r = dict_str(c, "format", NULL, op->where, &format, err)) < 0 ||
        (r = dict_int(c, "lines_per_row", 1, op->where, &lines, err)) < 0 ||
        (r = dict_str(c, "field", NULL, op->where, &spec->field, err)) < 0 ||
        (r = dict_str(c, "each", NULL, op->where, &spec->each, err)) < 0 ||
        (format && (r = set_format(spec, format, op->where, err)) < 0))
        return r;
    if (lines < 1 || lines > 1000)
        return error_set(err, E_INPUT, "%s: lines_per_row must be from 1 to 1000", op->where);
    spec->lines_per_row = (int)lines;
    const struct value *columns = dict_get(c, "columns"), *as = dict_get(c, "as");
    const struct value *rows = dict_get(c, "rows");
    if (rows && (r = set_rows(spec, rows, op->where, err)) < 0)
        return r;
    if (columns && (r = set_columns(a, spec, columns, op->where, err)) < 0)
        return r;
    if (!as)
        return 0;
    const char *name = function_name(as);
    spec->as = name ? function_find("as", name) : NULL;
    spec->as_name = name;
    if (!spec->as)
        return error_set(err, E_INPUT, "%s: `as` must be one of !function %s", op->where,
                         function_names(a, "as"));
    return 0;
}

static int split_candidates(struct opening *op, const struct value *files, const char *split,
                            int depth, struct docs *ret, struct error *err);

/* 1 when the candidate was opened, 0 when it is not there. */
static int try_candidate(struct opening *op, const struct value *files, const struct value *c,
                         int depth, struct docs *ret, struct error *err)
{
    struct arena *a = &op->t->arena;
    const struct value *file = c;
    int r = 0;
    if (c->type == VALUE_DICT) {
        if ((r = check_candidate_keys(c, op->where, err)) < 0)
            return r;
        const struct value *other = dict_get(c, "use_split");
        if (other && other->type == VALUE_STR) {
            const char *name = text_in(a, other);
            r = split_candidates(op, files, name, depth + 1, ret, err);
            if (r > 0)
                task_note(op->t,
                          "no data for the split \"%s\" was found: \"%s\" stands in for it, "
                          "so scores differ from those that use the original",
                          op->split, name);
            return r;
        }
        file = dict_get(c, "file");
    }
    if (!file || file->type != VALUE_STR)
        return error_set(err, E_INPUT,
                         "%s: an entry of data_files must be a file's name or a dict "
                         "with `file`",
                         op->where);
    const char *path = find_file(op, expand(op, text_in(a, file)), false);
    if (!path)
        return 0;
    const char **paths = arena_array(a, 1, sizeof *paths);
    paths[0] = path;
    struct data_spec spec = {.paths = paths, .n_paths = 1};
    bool named = c->type == VALUE_DICT && dict_get(c, "format");
    if ((!named && (r = format_of_name(a, &spec, path, op->where, err)) < 0) ||
        (c->type == VALUE_DICT && (r = candidate_details(op, c, &spec, err)) < 0) ||
        (r = dataset_open(&spec, &ret->data, err)) < 0)
        return r;
    const struct value *note = c->type == VALUE_DICT ? dict_get(c, "note") : NULL;
    if (note && note->type == VALUE_STR)
        task_note(op->t, "%.*s", STR_ARG(note->s));
    return 1;
}

/* 1 when one of the split's candidates was opened, 0 when none is there. */
static int split_candidates(struct opening *op, const struct value *files, const char *split,
                            int depth, struct docs *ret, struct error *err)
{
    const struct value *list = dict_get(files, split);
    if (depth > 4)
        return error_set(err, E_INPUT, "%s: use_split goes round in a circle", op->where);
    if (!list)
        return error_set(err, E_INPUT, "%s: data_files has no files for the split \"%s\"",
                         op->where, split);
    size_t n = list->type == VALUE_LIST ? list->list.n : 1;
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct value *c = list->type == VALUE_LIST ? list->list.items[i] : list;
        r = try_candidate(op, files, c, depth, ret, err);
    }
    if (r > 0 && !ret->split)
        ret->split = arena_printf(&op->t->arena, "%s", split);
    return r;
}

/* ---- dataset_path and dataset_kwargs ---- */

static int check_kwargs(struct opening *op, const struct value *kwargs, struct error *err)
{
    static const char *const names[] = {"data_files",   "data_dir",         "field",
                                        "sep",          "delimiter",        "names",
                                        "column_names", "trust_remote_code"};
    for (size_t i = 0; kwargs && i < kwargs->dict.n; i++) {
        const struct value *key = kwargs->dict.entries[i].key;
        if (!key_is_one_of(key, names, sizeof names / sizeof *names))
            return error_set(err, E_UNSUPPORTED,
                             "%s: dataset_kwargs: \"%.*s\" is not supported; there are data_files, "
                             "data_dir, field, sep and names",
                             op->where, key->type == VALUE_STR ? (int)key->s.n : 1,
                             key->type == VALUE_STR ? key->s.p : "?");
    }
    return 0;
}

static int kwargs_details(struct opening *op, const struct value *kwargs, struct data_spec *spec,
                          struct error *err)
{
    const char *sep, *delimiter;
    int r = 0;
    if ((r = dict_str(kwargs, "field", NULL, op->where, &spec->field, err)) < 0 ||
        (r = dict_str(kwargs, "sep", NULL, op->where, &sep, err)) < 0 ||
        (r = dict_str(kwargs, "delimiter", sep, op->where, &delimiter, err)) < 0)
        return r;
    if (delimiter && strlen(delimiter) != 1)
        return error_set(err, E_UNSUPPORTED, "%s: dataset_kwargs: sep must be one character",
                         op->where);
    if (delimiter && spec->format == DATA_CSV)
        spec->delimiter = delimiter[0];
    const struct value *names = dict_get(kwargs, "column_names");
    if (!names)
        names = dict_get(kwargs, "names");
    return names ? set_columns(&op->t->arena, spec, names, op->where, err) : 0;
}

/* The split's files of data_files: all of them must be there. */
static int kwargs_files(struct opening *op, const struct value *kwargs, struct data_spec *spec,
                        struct error *err)
{
    struct arena *a = &op->t->arena;
    const struct value *files = dict_get(kwargs, "data_files"), *dir = dict_get(kwargs, "data_dir");
    if (files && files->type == VALUE_DICT)
        files = dict_get(files, op->split);
    else if (files && strcmp(op->split, "train") != 0)
        files = NULL; /* without names of splits, all files are the split "train" */
    if (!files || (files->type != VALUE_STR && files->type != VALUE_LIST))
        return error_set(
            err, E_INPUT,
            "%s: data_files of dataset_kwargs has no files for the split \"%s\"; write "
            "data_files: {%s: FILE} (a file without a split is \"train\")",
            op->where, op->split, op->split);
    size_t n = files->type == VALUE_LIST ? files->list.n : 1;
    const char **paths = arena_array(a, n, sizeof *paths);
    for (size_t i = 0; i < n; i++) {
        const struct value *file = files->type == VALUE_LIST ? files->list.items[i] : files;
        if (file->type != VALUE_STR)
            return error_set(err, E_INPUT, "%s: data_files must name files", op->where);
        const char *name = text_in(a, file);
        if (dir && dir->type == VALUE_STR)
            name = path_join(a, text_in(a, dir), name);
        paths[i] = find_file(op, name, true);
        if (!paths[i])
            return not_found(op, err);
    }
    spec->paths = paths;
    spec->n_paths = (int)n;
    return n > 0 ? 0 : error_set(err, E_INPUT, "%s: data_files is an empty list", op->where);
}

/* ---- a data set of the hub ---- */

/* 1: opened; 0: no folder holds it. */
static int open_hub(struct opening *op, const char *name, struct docs *ret, struct error *err)
{
    struct arena *a = &op->t->arena;
    const struct value *config = dict_get(op->t->ref->config, "dataset_name");
    const char *config_name = config && config->type == VALUE_STR ? text_in(a, config) : NULL;
    struct data_spec spec = {0};
    for (int i = -1; i < op->o->n_data_dirs; i++) { /* the path itself may be a folder, as there */
        const char *folder = i < 0 ? name : path_join(a, op->o->data_dirs[i], name);
        const char *parquet;
        int found =
            hub_files(a, folder, config_name, op->split, &spec.paths, &spec.n_paths, &parquet);
        if (!found && parquet)
            return parquet_refused(op->where, parquet, err);
        if (!found) {
            if (op->places.n++ < 8)
                buf_printf(&op->places.looked, "%s%s/%s%s%s.jsonl", op->places.looked.n ? ", " : "",
                           folder, config_name ? config_name : "", config_name ? "/" : "",
                           op->split);
            continue;
        }
        int r = format_of_name(a, &spec, spec.paths[0], op->where, err);
        if (r < 0)
            return r;
        spec.infer = spec.format == DATA_CSV;
        ret->split = arena_printf(a, "%s", op->split);
        r = dataset_open(&spec, &ret->data, err);
        return r < 0 ? r : 1;
    }
    return 0;
}

/* The data set's own files where a folder has them, else those of a built-in task on it. */
static int open_remote(struct opening *op, const char *name, struct docs *ret, struct error *err)
{
    const struct value *files = op->t->ref->stand_in;
    int r = open_hub(op, name, ret, err);
    if (r == 0 && files && files->type == VALUE_DICT && dict_get(files, op->split))
        r = split_candidates(op, files, op->split, 0, ret, err);
    if (r == 0)
        return error_set(
            err, E_IO,
            "task \"%s\": its data set \"%s\" is not here; looked for %s. Save its "
            "split \"%s\" as JSON lines there, or name the folder that holds \"%s\" with "
            "--data DIR",
            op->t->info.name, name, op->places.looked.p, op->split, name);
    return r < 0 ? r : 0;
}

static int open_kwargs(struct opening *op, struct docs *ret, struct error *err)
{
    const struct value *config = op->t->ref->config;
    const struct value *path = dict_get(config, "dataset_path");
    const struct value *kwargs = dict_get(config, "dataset_kwargs");
    if (!path || path->type != VALUE_STR)
        return error_set(err, E_INPUT,
                         "%s: task \"%s\" says nowhere where its data is: give dataset_path (json, "
                         "csv or text) and dataset_kwargs: {data_files: ...}",
                         op->t->file, op->t->info.name);
    const char *name = text_in(&op->t->arena, path);
    struct data_spec spec = {0};
    if (strcmp(name, "parquet") == 0) {
        int r = kwargs_files(op, kwargs, &spec, err);
        return r < 0 ? r : parquet_refused(op->where, spec.n_paths ? spec.paths[0] : "FILE", err);
    }
    if (strcmp(name, "json") != 0 && strcmp(name, "csv") != 0 && strcmp(name, "text") != 0)
        return open_remote(op, name, ret, err);
    int r = set_format(&spec, name, op->where, err);
    if (r == 0 && kwargs && kwargs->type != VALUE_DICT && kwargs->type != VALUE_NONE)
        r = error_set(err, E_INPUT, "%s: dataset_kwargs must be a dict", op->where);
    if (r < 0 || (r = check_kwargs(op, kwargs, err)) < 0 ||
        (r = kwargs_files(op, kwargs, &spec, err)) < 0 ||
        (r = kwargs_details(op, kwargs, &spec, err)) < 0)
        return r;
    spec.infer = spec.format == DATA_CSV;
    ret->split = arena_printf(&op->t->arena, "%s", op->split);
    return dataset_open(&spec, &ret->data, err);
}

int data_open(struct task *t, const struct task_options *o, const char *split, struct docs *ret,
              struct error *err)
{
    const struct value *files = dict_get(t->ref->config, "data_files");
    bool own = files && files->type != VALUE_NONE;
    struct opening op = {.t = t, .o = o, .split = split};
    op.where = definition_where(&t->arena, t->ref->config, t->ref->sources,
                                own                                          ? "data_files"
                                : dict_get(t->ref->config, "dataset_kwargs") ? "dataset_kwargs"
                                                                             : "dataset_path",
                                t->file);
    struct docs docs = {.draws = t->draws};
    int r = 0;
    if (!own) {
        r = open_kwargs(&op, &docs, err);
    } else if (files->type != VALUE_DICT) {
        r = error_set(err, E_INPUT, "%s: data_files must be a dict of splits", op.where);
    } else {
        r = split_candidates(&op, files, split, 0, &docs, err);
        if (r == 0)
            r = not_found(&op, err);
    }
    buf_free(&op.places.looked);
    if (r < 0)
        return r;
    *ret = docs;
    return 0;
}

/* 1: the row stays, 0: it goes. */
static int keeps(const struct docs *d, const struct where *where, struct arena *a,
                 const struct value *row, struct error *err)
{
    if (where)
        return where_keeps(where, row, err);
    int r = d->process(a, row, &row, err);
    return r < 0 ? r : row != NULL;
}

static int none_kept(const struct docs *d, const struct where *where, struct arena *a,
                     struct error *err)
{
    const char *file = dataset_where(d->data, a, 0);
    long long n = dataset_rows(d->data);
    if (where)
        return error_set(err, E_INPUT,
                         "%s: none of the %lld rows has \"%.*s\" in its field \"%.*s\"", file, n,
                         STR_ARG(where->value), STR_ARG(where->field));
    return error_set(err, E_INPUT, "%s: none of the %lld rows is one of this task's", file, n);
}

/* The rows that `where` keeps, or, where that is NULL, those that d->process does not drop. */
static int choose_rows(struct docs *d, struct arena *arena, const struct where *where,
                       struct error *err)
{
    int64_t n = dataset_rows(d->data), kept = 0;
    int64_t *rows = arena_array(arena, (size_t)n, sizeof *rows);
    struct arena a = {0};
    int r = 0;
    for (int64_t i = 0; i < n && r >= 0; i++) {
        const struct value *row;
        struct arena_mark m = arena_mark(&a);
        r = dataset_row(d->data, &a, i, &row, err);
        if (r == 0 && (r = keeps(d, where, &a, row, err)) < 0)
            r = error_prefix(err, "%s: ", dataset_where(d->data, &a, i));
        if (r > 0)
            rows[kept++] = i;
        arena_reset(&a, m);
    }
    if (r >= 0 && kept == 0)
        r = none_kept(d, where, &a, err);
    arena_free(&a);
    if (r < 0)
        return r;
    d->rows = rows;
    d->n_rows = kept;
    return 0;
}

/* A damaged row's order does not matter: it is an error wherever it is asked for. */
static void seed_by_row(const struct docs *d, struct arena *arena, int64_t i, struct pyrandom *ret)
{
    struct arena_mark m = arena_mark(arena);
    const struct value *row;
    uint64_t key = 0;
    if (dataset_row(d->data, arena, i, &row, NULL) == 0)
        key = draws_key(&d->draws, draws_document(arena, row));
    arena_reset(arena, m);
    pyrandom_seed(ret, (int64_t)(key >> 1));
}

/* The order of each document's choices: one random.Random(0) shuffles them in turn, as
 * lm-evaluation-harness does where the task is the first thing that is loaded. */
static void shuffle_choices(struct docs *d, struct arena *arena)
{
    size_t n = (size_t)dataset_rows(d->data);
    uint8_t(*orders)[4] = arena_array(arena, n, sizeof *orders);
    struct pyrandom random;
    pyrandom_seed(&random, 0);
    for (size_t i = 0; i < n; i++) {
        size_t order[] = {0, 1, 2, 3};
        if (d->draws.keyed)
            seed_by_row(d, arena, (int64_t)i, &random);
        pyrandom_shuffle(&random, order, 4);
        for (int k = 0; k < 4; k++)
            orders[i][k] = (uint8_t)order[k];
    }
    d->orders = (const uint8_t(*)[4])orders;
}

int docs_process(struct docs *d, struct arena *arena, document_function *process, struct error *err)
{
    d->process = process;
    d->rows = NULL;
    d->orders = NULL;
    if (!process || d->samples)
        return 0;
    if (function_shuffles(process))
        shuffle_choices(d, arena);
    return function_drops(process) ? choose_rows(d, arena, NULL, err) : 0;
}

int docs_keep(struct docs *d, struct arena *arena, const struct where *where, struct error *err)
{
    int r = docs_process(d, arena, NULL, err);
    return r < 0 ? r : choose_rows(d, arena, where, err);
}

int64_t docs_count(const struct docs *d)
{
    if (d->samples)
        return (int64_t)d->samples->list.n;
    return d->rows ? d->n_rows : dataset_rows(d->data);
}

static int64_t row_of(const struct docs *d, int64_t i)
{
    return d->rows ? d->rows[i] : i;
}

const char *docs_where(const struct docs *d, struct arena *a, int64_t i)
{
    if (d->samples)
        return arena_printf(a, "fewshot_config: sample %lld", (long long)i);
    return dataset_where(d->data, a, row_of(d, i));
}

static const struct value *with_order(struct arena *a, const struct value *row,
                                      const uint8_t order[4])
{
    struct value *doc = document_copy(a, row), *list = value_list(a);
    for (int k = 0; k < 4; k++)
        list_push(a, list, value_int(a, order[k]));
    dict_set(a, doc, "shuffle", list);
    return doc;
}

int docs_get(const struct docs *d, struct arena *a, int64_t i, const struct value **ret,
             struct error *err)
{
    if (d->samples) {
        *ret = d->samples->list.items[i];
        return 0;
    }
    const struct value *row;
    int64_t k = row_of(d, i);
    int r = dataset_row(d->data, a, k, &row, err);
    if (r < 0)
        return r;
    if (d->orders)
        row = with_order(a, row, d->orders[k]);
    if (d->process && (r = d->process(a, row, &row, err)) < 0)
        return error_prefix(err, "%s: ", dataset_where(d->data, a, k));
    *ret = row;
    return 0;
}
