/* Reports: nothing from elsewhere, everything escaped, tables that other programs can read. */
#include "base/file.h"
#include "results/report.h"
#include "tests/results/fixture.h"

static struct error err;

/* A store whose texts want to be markup, formulas and separators. */
static struct store *open_hostile(void)
{
    struct store *s = fixture_open(&err);
    fixture_pair(s, &err);
    struct evaluation e = fixture_evaluation("h", "=cmd|' /C calc'!A0", "gsm8k");
    e.task_alias = "<img src=x onerror=alert(1)>,\"quoted\"\nline";
    e.output_type = "generate_until";
    for (int m = 0; m < 2; m++) {
        int64_t id;
        EXPECT_OK(store_evaluation(s, &e, &id, &err), &err);
        for (int i = 0; i < 6; i++) {
            char doc[32];
            snprintf(doc, sizeof doc, "{\"i\": %d}", i);
            struct request_row q = {.prompt = STR("</pre><script>alert('p')</script> \xff\x01 & "
                                                  "\xe6\x97\xa5\xe6\x9c\xac"),
                                    .response = STR("<b>72</b>\r\n\0end"),
                                    .logprob_nats = NAN,
                                    .finish = "stop"};
            struct score_row c = {"exact_match", "strict-match", m ? i % 2 : 1, 1, NULL, 0};
            struct sample_row row = {.doc_id = i,
                                     .doc_json = str_of(doc),
                                     .target = STR("<72>"),
                                     .requests = &q,
                                     .n_requests = 1,
                                     .scores = &c,
                                     .n_scores = 1};
            EXPECT_OK(store_sample(s, id, &row, &err), &err);
        }
        EXPECT_OK(store_aggregate(s, id, 6, 0, &err), &err);
        e.hash = "h2";
        e.model = "<i>other</i>";
    }
    return s;
}

static struct str read_all(struct arena *a, const char *path)
{
    struct str ret = STR("");
    EXPECT_OK(file_read(a, path, FILE_LIMIT_TEXT, &ret, &err), &err);
    return ret;
}

static bool holds(struct str s, const char *words)
{
    return str_find(s, str_of(words), 0) != SIZE_MAX;
}

/* Every element that is opened is closed, in order; the few void ones apart. */
static void check_tags(struct str s)
{
    char open[64][16];
    int depth = 0;
    for (size_t i = str_find(s, STR("<html"), 0); i < s.n; i++) {
        if (s.p[i] != '<')
            continue;
        bool closing = s.p[i + 1] == '/';
        char name[16] = "";
        sscanf(s.p + i + 1 + closing, "%15[a-zA-Z0-9]", name);
        size_t end = str_find(s, STR(">"), i);
        bool empty = end == SIZE_MAX || s.p[end - 1] == '/' || strcmp(name, "meta") == 0;
        if (closing) {
            depth--;
            if (depth < 0 || strcmp(open[depth], name) != 0) {
                check_fail(__FILE__, __LINE__, "</%s> at %zu closes <%s>", name, i,
                           depth < 0 ? "nothing" : open[depth]);
                return;
            }
        } else if (!empty && depth < 64)
            strcpy(open[depth++], name);
    }
    EXPECT_INT(depth, 0);
}

static void html_stands_alone(void)
{
    struct store *s = open_hostile();
    struct arena a = {0};
    struct report_options o = {.max_flips = 3};
    const char *path = fixture_path("report.html");
    EXPECT_OK(report_html(s, &o, path, &err), &err);
    struct str page = read_all(&a, path);
    static const char *const forbidden[] = {"http:",   "https:", "<script", "<link",
                                            "@import", "url(",   "<img",    "<b>72",
                                            "<i>oth",  "src=\"", "onload=", "<iframe"};
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
        if (holds(page, forbidden[i]))
            check_fail(__FILE__, __LINE__, "the page holds %s", forbidden[i]);
    EXPECT(holds(page, "&lt;img src=x onerror=alert(1)&gt;,&quot;quoted&quot;"));
    EXPECT(holds(page, "&lt;i&gt;other&lt;/i&gt;"));
    EXPECT(holds(page, "no task was run by both"));
    EXPECT(holds(page, "prefers-color-scheme: dark"));
    EXPECT(holds(page, "83.3 %") && holds(page, "\xe2\x88\x92"
                                                "0.1250"));
    EXPECT(memchr(page.p, '\0', page.n) == NULL);
    check_tags(page);

    static const char *const pair[] = {"=cmd|' /C calc'!A0", "<i>other</i>"};
    o = (struct report_options){.models = pair, .n_models = 2, .task = "gsm8k", .max_flips = 2};
    EXPECT_OK(report_html(s, &o, path, &err), &err);
    page = read_all(&a, path);
    check_tags(page);
    EXPECT(holds(page, "&lt;/pre&gt;&lt;script&gt;alert('p')&lt;/script&gt; \xef\xbf\xbd"));
    EXPECT(holds(page, "&lt;b&gt;72&lt;/b&gt;\n\xef\xbf\xbd"
                       "end"));
    EXPECT(!holds(page, "arc_easy"));
    int shown = 0;
    for (size_t at = 0; (at = str_find(page, STR(">lost<"), at)) != SIZE_MAX; at++)
        shown++;
    EXPECT_INT(shown, 2);
    arena_free(&a);
    store_close(s);
    fixture_end();
}

/* Splits RFC 4180 text; the number of cells of each record must be the header's. */
static int count_records(struct str s, int *n_cells)
{
    int records = 0, cells = 1;
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == ',')
            cells++;
        else if (!quoted && c == '\n') {
            if (records++ == 0)
                *n_cells = cells;
            EXPECT_INT(cells, *n_cells);
            cells = 1;
        }
    }
    EXPECT(!quoted);
    return records;
}

static void csv_is_a_table(void)
{
    struct store *s = open_hostile();
    struct arena a = {0};
    struct report_options o = {0};
    const char *path = fixture_path("scores.csv");
    EXPECT_OK(report_csv(s, &o, path, &err), &err);
    struct str table = read_all(&a, path);
    int n_cells = 0;
    /* header; a and b: a group, two tasks of two metrics; two models of one task and metric */
    EXPECT_INT(count_records(table, &n_cells), 1 + 2 * 5 + 2);
    EXPECT_INT(n_cells, 27);
    EXPECT(holds(table, "\nb,arc_easy,task,1.0,,0,acc,none,1,0.625,"));
    EXPECT(holds(table, ",40,3,a,0.75,0.625,40,83.33333333333333,-0.125,-0.27320390043667"));
    EXPECT(holds(table, ",7,2,"));
    EXPECT(holds(table, "\n\"'=cmd|' /C calc'!A0\",gsm8k,"));
    arena_free(&a);
    store_close(s);
    fixture_end();
}

static void says_what_is_missing(void)
{
    struct store *s = open_hostile();
    static const char *const nobody[] = {"nobody"};
    struct report_options o = {.models = nobody, .n_models = 1};
    EXPECT_ERROR(report_html(s, &o, fixture_path("x.html"), &err), &err, E_INPUT, "nobody");
    EXPECT(!file_exists(fixture_path("x.html")));
    o = (struct report_options){.task = "no_such"};
    EXPECT_ERROR(report_csv(s, &o, fixture_path("x.csv"), &err), &err, E_INPUT, "no_such");
    o = (struct report_options){0};
    EXPECT_ERROR(report_csv(s, &o, fixture_path("no/x.csv"), &err), &err, E_IO, "no/x.csv");
    store_close(s);
    EXPECT_OK(store_open(fixture_path("empty.db"), STORE_WRITE, &s, &err), &err);
    EXPECT_ERROR(report_html(s, &o, fixture_path("x.html"), &err), &err, E_INPUT, "no evaluations");
    store_close(s);
    fixture_end();
}

CHECK_MAIN({"html_stands_alone", html_stands_alone}, {"csv_is_a_table", csv_is_a_table},
           {"says_what_is_missing", says_what_is_missing})
