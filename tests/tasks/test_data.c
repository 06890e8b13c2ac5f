#include "base/json.h"
#include "tasks/csv.h"
#include "tasks/dataset.h"
#include "tests/tasks/folder.h"

#include <zlib.h>

static struct error err;
static struct arena arena;

/* ---- csv ---- */

/* The records of a text as "a|b;c|d;". */
static struct str records(struct str text, char delimiter)
{
    struct buf b = {0};
    struct csv_fields fields = {0};
    for (size_t at = 0; at < text.n;) {
        EXPECT_OK(csv_record(&arena, text, &at, delimiter, &fields, &err), &err);
        for (size_t i = 0; i < fields.n; i++) {
            buf_puts(&b, i ? "|" : "");
            buf_str(&b, fields.items[i]);
        }
        buf_char(&b, ';');
    }
    free(fields.items);
    return buf_take(&b, &arena);
}

/* Expected values are those of Python's csv.reader. */
static void reads_csv_as_python_does(void)
{
    EXPECT_STR(records(STR("a,b\nc,d\n"), ','), STR("a|b;c|d;"));
    EXPECT_STR(records(STR("a,b\r\nc,d"), ','), STR("a|b;c|d;"));
    EXPECT_STR(records(STR("a\rb"), ','), STR("a;b;"));
    EXPECT_STR(records(STR("\"a,b\",c"), ','), STR("a,b|c;"));
    EXPECT_STR(records(STR("\"say \"\"hi\"\"\",x"), ','), STR("say \"hi\"|x;"));
    EXPECT_STR(records(STR("\"\"\"\"\n"), ','), STR("\";"));
    EXPECT_STR(records(STR("\"two\nlines\",x\n"), ','), STR("two\nlines|x;"));
    EXPECT_STR(records(STR("a\"b\"c,d"), ','), STR("a\"b\"c|d;"));
    EXPECT_STR(records(STR("\"ab\"cd\"e,f"), ','), STR("abcd\"e|f;"));
    EXPECT_STR(records(STR("a,,b,"), ','), STR("a||b|;"));
    EXPECT_STR(records(STR(",\n"), ','), STR("|;"));
    EXPECT_STR(records(STR("a\n\nb\n"), ','), STR("a;;b;"));
    EXPECT_STR(records(STR("a\tb,c\n"), '\t'), STR("a|b,c;"));
    EXPECT_STR(records(STR(" \"a\" , b"), ','), STR(" \"a\" | b;"));
    size_t at = 0;
    EXPECT_ERROR(csv_record(&arena, STR("\"never closed\nx"), &at, ',', NULL, &err), &err, E_INPUT,
                 "never closed");
}

/* ---- data sets ---- */

/* Row i as JSON. */
static struct str row(const struct dataset *d, int64_t i)
{
    const struct value *v = NULL;
    int r = dataset_row(d, &arena, i, &v, &err);
    return r == 0 ? json_text(&arena, v) : str_printf(&arena, "%d %s", r, path_base(err.msg));
}

static struct dataset *open_spec(struct data_spec spec, const char *name, struct str text)
{
    struct dataset *d = NULL;
    const char **paths = arena_array(&arena, 1, sizeof *paths);
    paths[0] = folder_write(name, text);
    spec.paths = paths;
    spec.n_paths = 1;
    EXPECT_OK(dataset_open(&spec, &d, &err), &err);
    return d;
}

static void expect_rows(struct data_spec spec, const char *name, struct str text,
                        const char *const *want)
{
    struct dataset *d = open_spec(spec, name, text);
    int64_t n = 0;
    for (; d && want[n]; n++)
        EXPECT_STR(row(d, n), str_of(want[n]));
    if (d)
        EXPECT_INT(dataset_rows(d), n);
    dataset_close(d);
}

static void reads_json(void)
{
    const struct data_spec json = {.format = DATA_JSON};
    const char *const two[] = {"{\"a\": 1}", "{\"a\": \"]\\\"}\"}", NULL};
    expect_rows(json, "a.jsonl", STR("{\"a\": 1}\n\n  {\"a\": \"]\\\"}\"}  \n"), two);
    expect_rows(json, "b.jsonl", STR("\xef\xbb\xbf{\"a\": 1}\r\n{\"a\": \"]\\\"}\"}"), two);
    expect_rows(json, "c.json", STR(" [ {\"a\": 1} , {\"a\":\n\"]\\\"}\"}\n]\n"), two);
    expect_rows(json, "d.json", STR("{\n \"a\": 1\n}\n{\n\"a\": \"]\\\"}\"\n}\n"), two);
    const struct data_spec field = {.format = DATA_JSON, .field = "rows"};
    expect_rows(field, "e.json",
                STR("{\"x\": [{\"rows\": []}], \"y\": \"rows\", \"rows\": [{\"a\": 1}, "
                    "{\"a\": \"]\\\"}\"}], \"z\": 0}"),
                two);
}

static void says_where_json_is_damaged(void)
{
    struct data_spec json = {.format = DATA_JSON};
    struct dataset *d =
        open_spec(json, "bad.jsonl", STR("{\"a\": 1}\n{\"a\": \n{\"a\": 3}\n[4]\n"));
    EXPECT_INT(dataset_rows(d), 4); /* a damaged line does not swallow its neighbours */
    EXPECT_STR(row(d, 2), STR("{\"a\": 3}"));
    EXPECT_STR(str_slice(row(d, 1), 0, 16), STR("-2 bad.jsonl:2: "));
    EXPECT_STR(row(d, 3), STR("-2 bad.jsonl:4: a row must be a JSON object, this one is a list"));
    dataset_close(d);
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"[{\"a\": 1}, {\"a\": 2}", "bad.json:1: the JSON list that starts here does not end"},
        {"[{\"a\": 1}\n{\"a\": 2}]", "bad.json:2: the JSON list needs a comma or ]"},
        {"[,]", "bad.json:1: a value of the JSON list is missing"},
        {"\n\n", "bad.json: the file has no rows"},
        {"{\"a\": \"\xff\"}", "bad.json:1: the text is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = folder_write("bad.json", str_of(bad[i].text));
        json.paths = &path;
        json.n_paths = 1;
        EXPECT_ERROR(dataset_open(&json, &d, &err), &err, E_INPUT, bad[i].words);
    }
    const char *missing = "/nonexistent/x.json";
    json.paths = &missing;
    EXPECT_ERROR(dataset_open(&json, &d, &err), &err, E_IO, missing);
}

static void reads_lists_of_objects(void)
{
    const struct data_spec spec = {.format = DATA_JSON, .each = "parts.qs", .field = "data"};
    const char *const rows[] = {
        "{\"q\": 1, \"text\": \"p\", \"qs\": [], \"title\": \"A\", \"parts\": []}",
        "{\"q\": 2, \"title\": \"own\", \"text\": \"p\", \"qs\": [], \"parts\": []}",
        "{\"q\": 3, \"text\": \"r\", \"qs\": [], \"parts\": [], \"title\": \"B\"}", NULL};
    struct str text = STR("{\"data\": [\n"
                          "{\"title\": \"A\", \"parts\": [{\"text\": \"p\", \"qs\": [{\"q\": 1},\n"
                          "{\"q\": 2, \"title\": \"own\"}]}, {\"text\": \"none\", \"qs\": []}]},\n"
                          "{\"parts\": [{\"text\": \"r\", \"qs\": [{\"q\": 3}]}], "
                          "\"title\": \"B\"}]}");
    expect_rows(spec, "nested.json", text, rows);
    struct dataset *d = open_spec(spec, "nested.json", text);
    EXPECT(str_ends(str_of(dataset_where(d, &arena, 1)), STR("nested.json:3")));
    dataset_close(d);
    const struct data_spec some = {
        .format = DATA_JSON, .each = "parts.qs", .field = "data", .first_row = 1, .end_row = 2};
    expect_rows(some, "nested.json", text, (const char *const[]){rows[1], NULL});
    static const struct {
        const char *text, *words;
        int64_t end;
    } bad[] = {
        {"{\"data\": [{\"parts\": 3}]}",
         "bad.json:1: the object should have a list named \"parts\"", 0},
        {"{\"data\": [{\"parts\": [{\"qs\": [1}]}]}", "bad.json:1: the JSON list", 0},
        {"{\"data\": [{\"parts\": [{\"qs\": [{}]}]}]}", "has 1 rows, and rows 0 to 2 are asked", 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = folder_write("bad.json", str_of(bad[i].text));
        struct data_spec s = spec;
        s.paths = &path, s.n_paths = 1, s.end_row = bad[i].end;
        EXPECT_ERROR(dataset_open(&s, &d, &err), &err, E_INPUT, bad[i].words);
    }
}

static void reads_tables(void)
{
    const char *const plain[] = {"{\"q\": \"a, b\", \"n\": \"1\"}", "{\"q\": \"\", \"n\": \"02\"}",
                                 NULL};
    const struct data_spec csv = {.format = DATA_CSV, .delimiter = ','};
    expect_rows(csv, "a.csv", STR("\xef\xbb\xbfq,n\r\n\"a, b\",1\r\n\r\n,02\r\n"), plain);
    const char *const names[] = {"q", "n"};
    const struct data_spec bare = {
        .format = DATA_CSV, .delimiter = ',', .columns = names, .n_columns = 2};
    expect_rows(bare, "b.csv", STR("\"a, b\",1\n,02\n"), plain);
    const struct data_spec tsv = {.format = DATA_CSV, .delimiter = '\t'};
    expect_rows(tsv, "c.tsv", STR("q\tn\na, b\t1\n\t02\n"), plain);
    struct dataset *d = open_spec(csv, "d.csv", STR("q,n\na\n"));
    EXPECT_STR(row(d, 0), STR("-2 d.csv:2: the row has 1 cells, not 2"));
    dataset_close(d);
}

/* As pandas.read_csv and the datasets library make of the same file. */
static void tells_types_of_columns(void)
{
    const struct data_spec csv = {.format = DATA_CSV, .delimiter = ',', .infer = true};
    const char *const want[] = {
        "{\"i\": 1, \"f\": 1.0, \"b\": true, \"s\": \"x\", \"m\": 3.0, \"e\": null}",
        "{\"i\": -2, \"f\": 2.5, \"b\": false, \"s\": null, \"m\": null, \"e\": null}", NULL};
    expect_rows(csv, "types.csv", STR("i,f,b,s,m,e\n1,1,True,x,3,\n-2,2.5,False,NA,,\n"), want);
}

static void reads_plain_lines(void)
{
    const char *const columns[] = {"a", "b"};
    const struct data_spec tabs = {
        .format = DATA_CSV, .delimiter = '\t', .plain = true, .columns = columns, .n_columns = 2};
    const char *const want[] = {"{\"a\": \"\\\"x\", \"b\": \"1\"}", "{\"a\": \"y\", \"b\": \"\"}",
                                NULL};
    expect_rows(tabs, "tabs.csv", STR("\"x\t1\tmore\tstill\r\ny\t\n"), want);
    struct dataset *d = open_spec(tabs, "tabs.csv", STR("x\t1\nalone\n"));
    EXPECT_STR(row(d, 1), STR("-2 tabs.csv:2: the row has 1 cells, not 2"));
    dataset_close(d);
    struct data_spec nameless = {
        .format = DATA_CSV, .delimiter = '\t', .plain = true, .n_paths = 1};
    const char *path = folder_write("tabs.csv", STR("x\t1\n"));
    nameless.paths = &path;
    EXPECT_ERROR(dataset_open(&nameless, &d, &err), &err, E_INPUT, "columns must be named");
}

static void reads_text_and_pages(void)
{
    const char *const lines[] = {"{\"text\": \"a b\"}", "{\"text\": \"\"}", "{\"text\": \"c\"}",
                                 NULL};
    expect_rows((struct data_spec){.format = DATA_TEXT}, "a.txt", STR("a b\r\n\nc\n"), lines);
    const char *const pairs[] = {"{\"text\": \"a\\nb\"}", "{\"text\": \"c\\nd\"}", NULL};
    expect_rows((struct data_spec){.format = DATA_TEXT, .lines_per_row = 2}, "b.txt",
                STR("a\nb\nc\r\nd\n"), pairs);
    const char *const pages[] = {"{\"page\": \" = A = \\n x \\n = = B = = \\n\"}",
                                 "{\"page\": \" = C = \\n y \\n\"}", NULL};
    expect_rows((struct data_spec){.format = DATA_PAGES}, "wiki.raw",
                STR(" = A = \n x \n = = B = = \n\n = C = \n y \n"), pages);
}

static void unpacks_gzip(void)
{
    const char *path = folder_write("x.jsonl.gz", STR(""));
    gzFile gz = gzopen(path, "wb");
    gzputs(gz, "{\"a\": 1}\n{\"a\": 2}\n");
    gzclose(gz);
    struct dataset *d = NULL;
    struct data_spec spec = {.paths = &path, .n_paths = 1, .format = DATA_JSON};
    EXPECT_OK(dataset_open(&spec, &d, &err), &err);
    EXPECT_INT(dataset_rows(d), 2);
    EXPECT_STR(row(d, 1), STR("{\"a\": 2}"));
    dataset_close(d);
}

static void files_follow_each_other(void)
{
    const char *paths[] = {folder_write("1.jsonl", STR("{\"a\": 1}\n{\"a\": 2}\n")),
                           folder_write("2.jsonl", STR("{\"a\": 3}\n"))};
    struct dataset *d = NULL;
    struct data_spec spec = {.paths = paths, .n_paths = 2, .format = DATA_JSON};
    EXPECT_OK(dataset_open(&spec, &d, &err), &err);
    EXPECT_INT(dataset_rows(d), 3);
    EXPECT_STR(row(d, 2), STR("{\"a\": 3}"));
    EXPECT_STR(row(d, 1), STR("{\"a\": 2}"));
    EXPECT(str_ends(str_of(dataset_where(d, &arena, 2)), STR("2.jsonl:1")));
    dataset_close(d);
}

CHECK_MAIN({"csv as Python reads it", reads_csv_as_python_does}, {"JSON", reads_json},
           {"damaged JSON", says_where_json_is_damaged},
           {"lists of objects", reads_lists_of_objects}, {"CSV and TSV", reads_tables},
           {"types of CSV columns", tells_types_of_columns}, {"lines of cells", reads_plain_lines},
           {"text and pages", reads_text_and_pages}, {"gzip", unpacks_gzip},
           {"several files", files_follow_each_other})
