/* Python functions known by their source or their shape, and rows kept by a field's value. */
#include "tasks/python.h"
#include "tasks/where.h"

#include "tests/tasks/folder.h"

static const char winogrande[] = "def doc_to_target(doc):\n"
                                 "    idx = doc[\"sentence\"].index(\"_\") + 1\n"
                                 "    return doc[\"sentence\"][idx:].strip()\n";

static struct python_function find(const char *name, const char *text, const char *spec)
{
    static struct python *p;
    python_free(p); /* a module is read once */
    p = python_new();
    folder_write("utils.py", str_of(text));
    return python_find(p, folder_write(name, STR("task: x\n")), str_of(spec));
}

static const char *builtin(const char *text, const char *spec)
{
    const char *found = find("t.yaml", text, spec).builtin;
    return found ? found : "none";
}

static void by_source(void)
{
    struct arena a = {0};
    const char *changed = arena_printf(&a, "%.*s + 2%s", 65, winogrande, winogrande + 69);
    const char *beside =
        arena_printf(&a, "import re\n\n\ndef other(x):\n    return x\n\n\n%s", winogrande);
    const char *used = arena_printf(&a, "def idx(x):\n    return 1\n\n\n%s", winogrande);
    EXPECT_STR(str_of(builtin(winogrande, "utils.doc_to_target")), STR("assay.winogrande_target"));
    EXPECT_STR(str_of(builtin(beside, "utils.doc_to_target")), STR("assay.winogrande_target"));
    /* what the function uses is part of it, and so is each of its letters */
    EXPECT_STR(str_of(builtin(used, "utils.doc_to_target")), STR("none"));
    EXPECT_STR(str_of(builtin(changed, "utils.doc_to_target")), STR("none"));
    arena_free(&a);
}

static void by_shape(void)
{
    static const char filter[] = "def f(dataset: datasets.Dataset, subject):\n"
                                 "    return dataset.filter(lambda x: x[\"category\"] == subject)\n"
                                 "\n\nlaw = partial(f, subject=\"law\")\n"
                                 "cs = partial(\n    f, subject=\"computer science\"\n)\n"
                                 "odd = partial(g, subject=\"law\")\n";
    static const char prefixed[] =
        "def f(dataset, subtask) -> datasets.Dataset:\n"
        "    return dataset.filter(\n"
        "        lambda e: e[\"subtask_name\"] == f\"mmlu_th.{subtask}\"\n"
        "    )\n\n\nlaw = partial(f, subtask=\"law\")\n";
    static const char made[] =
        "CATEGORIES = [\n    \"Arts & Humanities\",\n    \"STEM\",\n]\n\n\n"
        "def f(dataset, category):\n"
        "    return dataset.filter(lambda x: x[\"domain\"] == category)\n\n\n"
        "process_functions = {\n"
        "    f\"process_{category.lower().replace(' & ', '_').replace(' ', '_')}\": partial(\n"
        "        f, category=category\n    )\n    for category in CATEGORIES\n}\n\n"
        "globals().update(process_functions)\n";
    EXPECT_STR(str_of(builtin(filter, "utils.law")), STR("assay.where(category=law)"));
    EXPECT_STR(str_of(builtin(filter, "utils.cs")), STR("assay.where(category=computer science)"));
    EXPECT_STR(str_of(builtin(filter, "utils.odd")), STR("none"));
    EXPECT_STR(str_of(builtin(prefixed, "utils.law")),
               STR("assay.where(subtask_name=mmlu_th.law)"));
    EXPECT_STR(str_of(builtin(made, "utils.process_arts_humanities")),
               STR("assay.where(domain=Arts & Humanities)"));
    EXPECT_STR(str_of(builtin(made, "utils.process_stem")), STR("assay.where(domain=STEM)"));
    EXPECT_STR(str_of(builtin(made, "utils.process_law")), STR("none"));
}

static void unknown(void)
{
    struct python_function f = find("t.yaml", "x = 1\n", "utils.process_docs");
    EXPECT(f.module && !f.fingerprint && !f.builtin);
    f = find("t.yaml", "x = 1\n", "lm_eval.tasks.process_docs");
    EXPECT(!f.module && !f.builtin);
    f = find("t.yaml", "\"\"\"open", "utils.f");
    EXPECT(f.module && !f.builtin);
    f = find("t.yaml", "", "f");
    EXPECT(!f.module && !f.builtin);
}

static void rows_kept(void)
{
    static const struct {
        const char *name, *field, *text;
        int want;
    } cases[] = {
        {"where(subject=law)", "subject", "law", 1},
        {"where(subject=law)", "subject", "lawn", 0},
        {"where(subject=a=b)", "subject", "a=b", 1},
        {"where(subject=law)", "topic", "law", E_INPUT},
        {"mmmlu(law)", "Subject", "law", 1},
        {"mmmlu(law)", "Subject", "law_test.csv_sw-KE.csv", 1},
        {"mmmlu(law)", "Subject", "laws", 0},
    };
    struct arena a = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct where w;
        struct error err;
        struct value *row = value_dict(&a);
        dict_set(&a, row, cases[i].field, value_strz(&a, cases[i].text));
        EXPECT(where_parse(cases[i].name, &w));
        EXPECT_INT(where_keeps(&w, row, &err), cases[i].want);
    }
    struct where w;
    EXPECT(!where_parse("hellaswag", &w));
    EXPECT(!where_parse("where(x)", &w));
    EXPECT(!where_parse("where(=x)", &w));
    EXPECT(!where_parse("other(a=b)", &w));
    arena_free(&a);
}

CHECK_MAIN({"functions known by their source", by_source},
           {"functions known by their shape", by_shape}, {"unknown functions", unknown},
           {"rows kept", rows_kept})
