#include "base/json.h"
#include "tasks/task.h"
#include "tests/tasks/folder.h"

static struct error err;
static struct arena arena;

static struct catalog *open_catalog(const char *include)
{
    struct catalog *c = NULL;
    EXPECT_OK(catalog_open(&include, include ? 1 : 0, &c, &err), &err);
    return c;
}

/* The selection as "group( task parent ..." : a name a word, "name<parent" below a group. */
static struct str selected(struct catalog *c, const char *const *names, int n)
{
    struct selection s = {0};
    struct buf b = {0};
    EXPECT_OK(catalog_select(c, names, n, &s, &err), &err);
    for (int i = 0; i < s.n; i++) {
        buf_printf(&b, "%s%s", i ? " " : "", s.refs[i].name);
        if (s.refs[i].parent >= 0)
            buf_printf(&b, "<%s", s.refs[s.refs[i].parent].name);
    }
    return buf_take(&b, &arena);
}

static struct str selected1(struct catalog *c, const char *name)
{
    return selected(c, &name, 1);
}

static void finds_built_in_tasks(void)
{
    struct catalog *c = open_catalog(NULL);
    EXPECT_STR(selected1(c, "arc_easy"), STR("arc_easy"));
    EXPECT_STR(selected1(c, "ai2_arc"), STR("arc_challenge arc_easy"));
    EXPECT_STR(selected1(c, "truthfulqa*"), STR("truthfulqa_mc1 truthfulqa_mc2"));
    const char *const twice[] = {"hellaswag", "gsm8k", "hellaswag"};
    EXPECT_STR(selected(c, twice, 3), STR("hellaswag gsm8k"));
    struct catalog_entry *list;
    int n;
    EXPECT_OK(catalog_list(c, &list, &n, &err), &err);
    int tasks = 0, groups = 0, tags = 0;
    for (int i = 0; i < n; i++) {
        tasks += strcmp(list[i].kind, "task") == 0;
        groups += strcmp(list[i].kind, "group") == 0;
        tags += strcmp(list[i].kind, "tag") == 0;
        EXPECT(list[i].description[0] != '\0');
    }
    EXPECT(tasks >= 57 + 9);
    EXPECT(groups >= 5);
    EXPECT(tags >= 4 + 4); /* ai2_arc, multiple_choice, truthfulqa, math_word_problems; MMLU's */
    catalog_close(c);
}

static void builds_groups(void)
{
    struct catalog *c = open_catalog(NULL);
    struct selection s;
    const char *const names[] = {"mmlu", "mmlu_anatomy"};
    EXPECT_OK(catalog_select(c, names, 2, &s, &err), &err);
    EXPECT_INT(s.n, 57 + 5);
    EXPECT_Z(s.refs[0].name, "mmlu");
    EXPECT_Z(s.refs[1].name, "mmlu_stem");
    EXPECT_Z(s.refs[1].alias, "stem");
    EXPECT_INT(s.refs[1].parent, 0);
    EXPECT_Z(s.refs[2].name, "mmlu_abstract_algebra");
    EXPECT_Z(s.refs[2].alias, "abstract_algebra");
    EXPECT_INT(s.refs[2].parent, 1);
    EXPECT_INT(s.refs[0].n_aggregates, 1);
    EXPECT_Z(s.refs[0].aggregates[0].metric, "acc");
    EXPECT(s.refs[0].aggregates[0].weight_by_size);
    catalog_close(c);
}

static void offers_the_nearest_name(void)
{
    struct catalog *c = open_catalog(NULL);
    struct selection s;
    const char *name = "helaswag";
    EXPECT_ERROR(catalog_select(c, &name, 1, &s, &err), &err, E_USAGE,
                 "no task, group, tag or file \"helaswag\"; did you mean \"hellaswag\"?");
    name = "zz*";
    EXPECT_ERROR(catalog_select(c, &name, 1, &s, &err), &err, E_USAGE, "\"zz*\"");
    catalog_close(c);
    const char *missing = "/nonexistent";
    EXPECT_ERROR(catalog_open(&missing, 1, &c, &err), &err, E_USAGE,
                 "cannot look for tasks in \"/nonexistent\"");
}

/* The value of a key of the only selected task, as JSON. */
static struct str key_of(struct catalog *c, const char *name, const char *key)
{
    struct selection s = {0};
    EXPECT_OK(catalog_select(c, &name, 1, &s, &err), &err);
    for (int i = 0; i < s.n; i++)
        if (!s.refs[i].is_group) {
            const struct value *v = dict_get(s.refs[i].config, key);
            return v ? json_text(&arena, v) : STR("-");
        }
    return STR("no task");
}

static void includes_and_overrides(void)
{
    folder_write("inc/base.yaml", STR("task: base\nnum_fewshot: 1\nrepeats: 2\ntag: mytag\n"));
    folder_write("inc/more.txt", STR("repeats: 3\ndescription: \"d\"\n"));
    folder_write("inc/sub/top.yaml", STR("include: [../base.yaml, ../more.txt]\ntask: top\n"
                                         "description: own\n"));
    folder_write("inc/arc.yaml", STR("include: assay:arc_challenge.yaml\ntask: my_arc\n"
                                     "dataset_name: MINE\n"));
    struct catalog *c = open_catalog(path_join(&arena, folder, "inc"));
    EXPECT_STR(key_of(c, "top", "num_fewshot"), STR("1"));
    EXPECT_STR(key_of(c, "top", "repeats"), STR("3"));
    EXPECT_STR(key_of(c, "top", "description"), STR("\"own\""));
    EXPECT_STR(key_of(c, "top", "include"), STR("-"));
    EXPECT_STR(selected1(c, "mytag"), STR("base top"));
    EXPECT_STR(key_of(c, "my_arc", "dataset_name"), STR("\"MINE\""));
    EXPECT_STR(selected1(c, "ai2_arc"), STR("arc_challenge arc_easy my_arc"));
    catalog_close(c);
}

static void reads_group_files(void)
{
    folder_write("grp/a.yaml", STR("task: a\nnum_fewshot: 1\n"));
    folder_write("grp/g.yaml",
                 STR("group: g\nnum_fewshot: 7\ntask:\n  - a\n  - task: b\n    num_fewshot: 2\n"
                     "    dataset_path: json\n  - group: inner\n    group_alias: In\n"
                     "    task: [gsm8k]\naggregate_metric_list:\n  metric: acc\n"
                     "  weight_by_size: false\n  filter_list: [strict-match]\n"));
    struct catalog *c = open_catalog(path_join(&arena, folder, "grp"));
    EXPECT_STR(selected1(c, "g"), STR("g a<g g::b<g g::inner<g gsm8k<g::inner"));
    EXPECT_STR(key_of(c, "g", "num_fewshot"), STR("7"));
    struct selection s;
    const char *name = "g";
    EXPECT_OK(catalog_select(c, &name, 1, &s, &err), &err);
    EXPECT_STR(json_text(&arena, dict_get(s.refs[2].config, "num_fewshot")), STR("2"));
    EXPECT_STR(json_text(&arena, dict_get(s.refs[4].config, "num_fewshot")), STR("7"));
    EXPECT_Z(s.refs[3].alias, "In");
    EXPECT(!s.refs[0].aggregates[0].weight_by_size);
    EXPECT_Z(s.refs[0].aggregates[0].filters[0], "strict-match");
    catalog_close(c);
}

static void later_folders_override(void)
{
    folder_write("over/x/gsm8k.yaml", STR("'task': \"gsm8k\" # mine\ntask_alias: mine\n"));
    folder_write("over/y/gsm8k.yaml", STR("task: gsm8k\ntask_alias: second\n"));
    folder_write("over/z.yaml", STR("{task: flow, tag: [one, two]}\n"));
    folder_write("over/junk.yaml", STR("- just\n- a list\n"));
    struct catalog *c = open_catalog(path_join(&arena, folder, "over"));
    struct selection s;
    const char *name = "gsm8k";
    EXPECT_OK(catalog_select(c, &name, 1, &s, &err), &err);
    EXPECT_Z(s.refs[0].alias, "mine");
    EXPECT_Z(s.refs[0].replaces, "assay:gsm8k.yaml");
    EXPECT_STR(selected1(c, "two"), STR("flow"));
    catalog_close(c);
}

static void rejects_bad_files(void)
{
    static const struct {
        const char *text;
        int code;
        const char *words;
    } bad[] = {
        {"task: a\nnum_fewshots: 3\n", E_INPUT,
         "bad.yaml:2: unknown key \"num_fewshots\"; did you mean \"num_fewshot\"?"},
        {"task: a\nclass: !function t.T\n", E_UNSUPPORTED, "bad.yaml:2: class: "},
        {"task: a\ncustom_dataset: !function t.T\n", E_UNSUPPORTED, "bad.yaml:2: custom_dataset"},
        {"task: a\nuse_prompt: x\n", E_UNSUPPORTED, "bad.yaml:2: use_prompt"},
        {"task: a\n b: [\n", E_INPUT, "bad.yaml:"},
        {"- a\n", E_INPUT, "bad.yaml: a task file is a list of \"key: value\" pairs"},
        {"num_fewshot: 1\n", E_INPUT, "names neither a `task` nor a `group`"},
        {"task: a\ninclude: bad.yaml\n", E_INPUT, "a cycle"},
        {"task: a\ninclude: nowhere.yaml\n", E_IO, "bad.yaml:2: include: "},
        {"task: a\ninclude: 3\n", E_INPUT, "bad.yaml:2: include must name"},
        {"group: g\ntask: [nope]\n", E_USAGE, "bad.yaml:2: group \"g\": there is no task"},
        {"group: g\ntask: [{task: nope}]\n", E_USAGE, "\"nope\""},
        {"group: g\ntask: [{tsk: nope}]\n", E_INPUT, "unknown key \"tsk\""},
        {"group: g\n", E_INPUT, "has no list of members"},
        {"group: g\ntask: [gsm8k]\naggregate_metric_list: [{metric: acc, aggregation: median}]\n",
         E_INPUT, "bad.yaml:3: "},
        {"group: g\ntask: [gsm8k]\naggregate_metric_list: [{metric: acc, weight: 1}]\n", E_INPUT,
         "unknown key"},
    };
    struct catalog *c;
    struct selection s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = folder_write("bad.yaml", str_of(bad[i].text));
        c = open_catalog(NULL);
        EXPECT_ERROR(catalog_select(c, &path, 1, &s, &err), &err, bad[i].code, bad[i].words);
        catalog_close(c);
    }
}

/* lm-evaluation-harness' name of the group and the leaderboard's. */
static void one_leaderboard_under_two_names(void)
{
    static const char *const names[] = {"leaderboard", "openllm_v2"};
    struct catalog *c[2] = {open_catalog(NULL), open_catalog(NULL)};
    struct selection s[2];
    for (int k = 0; k < 2; k++)
        EXPECT_OK(catalog_select(c[k], &names[k], 1, &s[k], &err), &err);
    EXPECT_INT(s[0].n, s[1].n);
    EXPECT_Z(s[0].refs[0].name, "leaderboard");
    EXPECT_Z(s[1].refs[0].name, "openllm_v2");
    for (int i = 1; i < s[0].n && s[0].n == s[1].n; i++)
        EXPECT_Z(s[0].refs[i].name, s[1].refs[i].name);
    const struct group_term *x = s[0].refs[0].terms, *y = s[1].refs[0].terms;
    EXPECT_INT(s[0].refs[0].n_terms, 40);
    EXPECT_INT(s[1].refs[0].n_terms, 40);
    for (int i = 0; i < 40 && i < s[0].refs[0].n_terms && i < s[1].refs[0].n_terms; i++) {
        EXPECT_Z(x[i].task, y[i].task);
        EXPECT_Z(x[i].metric, y[i].metric);
        EXPECT_NEAR(x[i].baseline, y[i].baseline, 0);
    }
    catalog_close(c[0]), catalog_close(c[1]);
}

static void stops_at_groups_in_circles(void)
{
    folder_write("circle/a.yaml", STR("group: a\ntask: [b]\n"));
    folder_write("circle/b.yaml", STR("group: b\ntask: [a, a]\n"));
    struct catalog *c = open_catalog(path_join(&arena, folder, "circle"));
    struct selection s;
    const char *name = "a";
    EXPECT_ERROR(catalog_select(c, &name, 1, &s, &err), &err, E_INPUT, "contains itself");
    catalog_close(c);
}

/* Ten of the next, fourteen deep: what is written in some lines must not take years. */
static void stops_at_what_multiplies(void)
{
    for (int i = 0; i < 14; i++) {
        struct buf groups = {0}, includes = {0};
        buf_printf(&groups, "group: m%d\ntask: [", i);
        buf_printf(&includes, "task: i%d\ninclude: [", i);
        for (int k = 0; k < 10; k++) {
            buf_printf(&groups, "m%d,", i + 1);
            buf_printf(&includes, "i%d.yaml,", i + 1);
        }
        buf_puts(&groups, "]\n");
        buf_puts(&includes, "]\n");
        folder_write(arena_printf(&arena, "many/m%d.yaml", i), buf_view(&groups));
        folder_write(arena_printf(&arena, "many/i%d.yaml", i), buf_view(&includes));
        buf_free(&groups);
        buf_free(&includes);
    }
    folder_write("many/m14.yaml", STR("group: m14\ntask: [arc_easy]\n"));
    folder_write("many/i14.yaml", STR("repeats: 7\n"));
    struct catalog *c = open_catalog(path_join(&arena, folder, "many"));
    struct selection s;
    const char *name = "m0";
    EXPECT_ERROR(catalog_select(c, &name, 1, &s, &err), &err, E_INPUT, "are selected");
    EXPECT_STR(key_of(c, "i0", "repeats"), STR("7"));
    catalog_close(c);
}

CHECK_MAIN({"built-in tasks", finds_built_in_tasks}, {"groups", builds_groups},
           {"names that do not exist", offers_the_nearest_name},
           {"include", includes_and_overrides}, {"group files", reads_group_files},
           {"folders override", later_folders_override}, {"bad files", rejects_bad_files},
           {"one leaderboard", one_leaderboard_under_two_names},
           {"groups in circles", stops_at_groups_in_circles},
           {"what multiplies", stops_at_what_multiplies})
