/* The schema of task files key by key: each case is a file, what its first prompt is, and what is
 * said about it. */
#include "tasks/task.h"

#include "tests/tasks/folder.h"

static const char rows[] =
    "{\"q\": \"one?\", \"a\": \"I\", \"c\": [\"I\", \"II\"], \"n\": 0, \"s\": \"x\"}\n"
    "{\"q\": \"two?\", \"a\": \"II\", \"c\": [\"I\", \"II\"], \"n\": 1, \"s\": \"y\"}\n"
    "{\"q\": \"three?\", \"a\": \"III\", \"c\": [\"I\", \"III\"], \"n\": 1, \"s\": \"x\"}\n";

/* Of every file, unless it says otherwise. */
static const char common[] = "task: made\ndataset_path: json\n"
                             "dataset_kwargs: {data_files: {test: rows.jsonl, train: more.jsonl}}\n"
                             "test_split: test\n";

static const char generate[] = "doc_to_text: q\ndoc_to_target: a\n";
static const char choose[] = "output_type: multiple_choice\ndoc_to_text: '{{q}}'\n"
                             "doc_to_target: n\ndoc_to_choice: c\n";

struct expectation {
    const char *base, *own;   /* parts of the file */
    const char *context;      /* of the first request; NULL: not looked at */
    const char *continuation; /* likewise */
    int n_requests;           /* 0: not looked at */
    const char *note, *error; /* part of a note, or of the error that it ends with; NULL: none */
};

static struct arena arena;

static bool noted(const struct task_info *info, const char *what)
{
    for (int i = 0; i < info->n_notes; i++)
        if (strstr(info->notes[i], what))
            return true;
    return false;
}

static void ask_first(const struct expectation *e, struct task *t)
{
    struct asked q;
    struct error err;
    if (task_ask(t, &arena, 0, &q, &err) < 0) {
        check_fail(__FILE__, __LINE__, "%s: %s", e->own, err.msg);
        return;
    }
    EXPECT(q.n_requests > 0 && (!e->n_requests || q.n_requests == e->n_requests));
    if (e->context)
        EXPECT_STR(q.requests[0].context, str_of(e->context));
    if (e->continuation)
        EXPECT_STR(q.requests[0].continuation, str_of(e->continuation));
    if (e->note ? !noted(task_info(t), e->note) : task_info(t)->n_notes > 0)
        check_fail(__FILE__, __LINE__, "%s: %d notes, the first: %s", e->own, task_info(t)->n_notes,
                   task_info(t)->n_notes ? task_info(t)->notes[0] : "none");
}

static void expect(const struct expectation *e)
{
    folder_write("rows.jsonl", str_of(rows));
    folder_write("more.jsonl", STR("{\"q\": \"zero?\", \"a\": \"O\", \"c\": [\"O\", \"I\"], "
                                   "\"n\": 0, \"s\": \"x\"}\n"));
    const char *path =
        folder_write("t.yaml", str_of(arena_printf(&arena, "%s%s%s", common, e->base, e->own)));
    const char *dirs[] = {folder};
    struct task_options o = {
        .data_dirs = dirs, .n_data_dirs = 1, .num_fewshot = -1, .limit = -1, .fewshot_seed = 1234};
    struct catalog *c;
    struct selection s;
    struct task *t = NULL;
    struct error err = {0};
    EXPECT_OK(catalog_open(NULL, 0, &c, &err), &err);
    int r = catalog_select(c, &path, 1, &s, &err);
    if (r == 0)
        r = task_open(&s.refs[0], &o, &t, &err);
    if ((r < 0) != (e->error != NULL) || (e->error && !strstr(err.msg, e->error)))
        check_fail(__FILE__, __LINE__, "%s: %s", e->own, r < 0 ? err.msg : "it loads");
    else if (r == 0)
        ask_first(e, t);
    task_close(t);
    catalog_close(c);
    arena_free(&arena);
}

#define EXPECT_ALL(...)                                                                            \
    do {                                                                                           \
        static const struct expectation e_[] = {__VA_ARGS__};                                      \
        for (size_t i_ = 0; i_ < sizeof e_ / sizeof *e_; i_++)                                     \
            expect(&e_[i_]);                                                                       \
    } while (0)

static void fields(void)
{
    EXPECT_ALL(
        {generate, "", "one?", NULL, 1, NULL, NULL},
        {"doc_to_text: 'Q: {{q | upper}}'\ndoc_to_target: ['I', '1']\n", "", "Q: ONE?", NULL, 1,
         NULL, NULL},
        {choose, "", "one?", " I", 2, NULL, NULL},
        {choose, "doc_to_choice: '{{c}}'\n", "one?", " I", 2, NULL, NULL},
        {"output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: n\n",
         "doc_to_choice: ['yes', 'no']\n", "one?", " yes", 2, NULL, NULL},
        {"output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: n\n",
         "doc_to_choice: {a: 'yes', b: 'no', c: maybe}\n", "one?", " yes", 3, NULL, NULL},
        {"output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: n\n",
         "doc_to_choice: \"{{c + ['V']}}\"\n", "one?", " I", 3, NULL, NULL},
        /* an index in doc_to_text: the choices are the contexts */
        {"output_type: multiple_choice\ndoc_to_text: n\ndoc_to_target: q\ndoc_to_choice: c\n", "",
         "I", " one?", 2, NULL, NULL},
        {"output_type: loglikelihood\ndoc_to_text: q\ndoc_to_target: a\n", "", "one?", "I", 1, NULL,
         NULL},
        {"output_type: loglikelihood_rolling\ndoc_to_text: ''\ndoc_to_target: q\n", "", "one?",
         NULL, 1, NULL, NULL},
        {generate, "description: 'Answer. '\n", "Answer. one?", NULL, 1, NULL, NULL},
        {generate, "gen_prefix: 'It is'\n", "one? It is", NULL, 1, NULL, NULL},
        {choose, "target_delimiter: ' = '\n", "one?", " = I", 2, NULL, NULL},
        {generate, "repeats: 3\n", "one?", NULL, 3, NULL, NULL},
        {choose, "process_docs: !function assay.mmlusr\ndoc_to_text: \"{{choices}}{{answer}}\"\n",
         "['', '', '', '']", NULL, 2, NULL, NULL},
        {generate, "process_docs: !function assay.bigbench_choices\n", NULL, NULL, 0, NULL,
         "multiple_choice_targets"},
        {choose, "process_docs: !function assay.where(s=y)\n", "two?", NULL, 2, NULL, NULL});
}

static void examples(void)
{
    EXPECT_ALL(
        {generate, "num_fewshot: 1\ntraining_split: train\n", "zero? O\n\none?", NULL, 1, NULL,
         NULL},
        {generate, "num_fewshot: 1\nfewshot_split: train\n", "zero? O\n\none?", NULL, 1, NULL,
         NULL},
        {generate, "num_fewshot: 1\nfewshot_config: {split: train}\n", "zero? O\n\none?", NULL, 1,
         NULL, NULL},
        {generate, "num_fewshot: 2\nfewshot_split: test\nfewshot_config: {sampler: first_n}\n",
         "two? II\n\nthree? III\n\none?", NULL, 1, NULL, NULL},
        {generate, "num_fewshot: 1\nfewshot_config: {samples: [{q: 'ten?', a: X}]}\n",
         "ten? X\n\none?", NULL, 1, NULL, NULL},
        {generate,
         "num_fewshot: 1\nfewshot_delimiter: ' | '\ntarget_delimiter: ': '\n"
         "training_split: train\n",
         "zero?: O | one?", NULL, 1, NULL, NULL},
        {generate,
         "num_fewshot: 1\nfewshot_config: {split: train, doc_to_text: 'Q {{q}}', doc_to_target: "
         "'{{n}}', "
         "fewshot_delimiter: ' / ', target_delimiter: '>'}\n",
         "Q zero?>0 / one?", NULL, 1, NULL, NULL},
        {choose, "num_fewshot: 1\nfewshot_config: {split: train, doc_to_choice: ['A', 'B']}\n",
         "zero? A\n\none?", " I", 2, NULL, NULL},
        {generate, "num_fewshot: 1\nfewshot_config: {split: train, fewshot_indices: [0]}\n",
         "zero? O\n\none?", NULL, 1, "fewshot_indices", NULL},
        {generate, "fewshot_config: {sampler: balanced}\nnum_fewshot: 1\n", NULL, NULL, 0, NULL,
         "sampler"},
        {generate, "fewshot_config: {smaples: []}\n", NULL, NULL, 0, NULL,
         "did you mean \"samples\"?"},
        {generate,
         "num_fewshot: 1\nfewshot_config: {samples: !function assay.samples(mbpp.yaml), "
         "doc_to_text: 'Task {{task_id}}', doc_to_target: '{{task_id}}', sampler: first_n}\n",
         "Task 2 2\n\none?", NULL, 1, NULL, NULL},
        {generate, "fewshot_config: {samples: !function assay.samples(gsm8k.yaml)}\n", NULL, NULL,
         0, NULL, "has none"});
}

static void settings(void)
{
    EXPECT_ALL(
        {generate,
         "generation_kwargs: {until: ['.'], max_gen_toks: 5, do_sample: true, temperature: 0.5, "
         "top_p: 0.9, top_k: 4, min_p: 0.1, repetition_penalty: 1.1, seed: 7}\n",
         "one?", NULL, 1, NULL, NULL},
        {generate, "generation_kwargs: {num_beams: 2}\n", "one?", NULL, 1, "num_beams", NULL},
        {generate, "generation_kwargs: {num_beams: 2, temperature: 1.0}\n", NULL, NULL, 0, NULL,
         "num_beams"},
        {generate, "generation_kwargs: {until: 3}\n", NULL, NULL, 0, NULL, "until"},
        {generate, "should_decontaminate: true\ndoc_to_decontamination_query: q\n", "one?", NULL, 1,
         NULL, NULL},
        {generate, "metadata: {version: 2.0, note: kept}\n", "one?", NULL, 1, NULL, NULL},
        {generate, "tag: [a, b]\ntask_alias: other\n", "one?", NULL, 1, NULL, NULL},
        {generate, "doc_to_txt: q\n", NULL, NULL, 0, NULL,
         "unknown key \"doc_to_txt\"; did you mean \"doc_to_text\"?"},
        {generate, "doc_to_image: q\n", NULL, NULL, 0, NULL, "images are not supported"},
        {generate, "process_results: !function utils.f\n", NULL, NULL, 0, NULL, "utils.f"},
        {generate, "process_docs: !function utils.f\n", NULL, NULL, 0, NULL, "utils.f"},
        /* a template's error: the template, its line and the document */
        {"doc_to_target: a\n", "doc_to_text: \"{{q}}\\n{{missing}}\"\n", NULL, NULL, 0, NULL,
         "missing"},
        {"doc_to_target: a\n", "doc_to_text: '{{q}'\n", NULL, NULL, 0, NULL, "t.yaml:6"});
}

static void data(void)
{
    folder_write("t.parquet", STR("PAR1"));
    EXPECT_ALL(
        {generate, "dataset_path: parquet\ndataset_kwargs: {data_files: {test: t.parquet}}\n", NULL,
         NULL, 0, NULL, "pandas.read_parquet("},
        {generate, "data_files: {test: t.parquet}\n", NULL, NULL, 0, NULL,
         "t.jsonl', orient='records', lines=True)"},
        {generate,
         "dataset_kwargs: {data_files: rows.jsonl, trust_remote_code: true}\n"
         "test_split: train\n",
         "one?", NULL, 1, NULL, NULL},
        {generate, "dataset_kwargs: {data_files: {test: [more.jsonl, rows.jsonl]}}\n", "zero?",
         NULL, 1, NULL, NULL},
        {generate, "test_split: null\nvalidation_split: train\n", "zero?", NULL, 1, NULL, NULL},
        {generate, "dataset_kwargs: {data_fils: rows.jsonl}\n", NULL, NULL, 0, NULL, "data_fils"});
}

static void metrics(void)
{
    EXPECT_ALL({choose, "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n",
                "one?", NULL, 2, NULL, NULL},
               {choose, "metric_list: [{metric: acc, aggregation: nanmean}]\n", "one?", NULL, 2,
                NULL, NULL},
               {choose,
                "metric_list: [{metric: f1, aggregation: !function assay.weighted_f1_score}, "
                "{metric: f1, aggregation: !function assay.macro_f1_score}, {metric: f1}, "
                "{metric: brier_score}, {metric: likelihood}, {metric: bypass}, {metric: mcc}, "
                "{metric: acc_mutual_info}, {metric: acc_bytes}, {metric: exact_match}]\n",
                "one?", NULL, 4, NULL, NULL},
               {choose, "metric_list: [{metric: acc, ignore_case: true, hf_evaluate: true}]\n",
                "one?", NULL, 2, "ignore_case of acc has no effect", NULL},
               {choose, "metric_list: [{metric: acc, aggregation: median}]\n", NULL, NULL, 0, NULL,
                "aggregated by mean"},
               {generate,
                "metric_list: [{metric: exact_match, ignore_case: true, ignore_punctuation: true, "
                "ignore_numbers: false, regexes_to_ignore: [',']}, {metric: bleu}, {metric: chrf}, "
                "{metric: ter}]\n",
                "one?", NULL, 1, NULL, NULL},
               {generate,
                "metric_list: [{metric: bleu, tokenize: intl, lowercase: true}, "
                "{metric: chrf, whitespace: true}, {metric: ter, normalized: true}]\n",
                "one?", NULL, 1, NULL, NULL},
               {generate, "metric_list: [{metric: bleu, tokenize: 14a}]\n", NULL, NULL, 0, NULL,
                "tokenize must be 13a"},
               {generate, "metric_list: [{metric: bleu, smooth_method: floor}]\n", NULL, NULL, 0,
                NULL, "it takes tokenize lowercase"},
               {generate, "metric_list: [{metric: exact_match, ignore_cases: true}]\n", NULL, NULL,
                0, NULL, "no argument \"ignore_cases\""},
               {generate, "metric_list: [{metric: bertscore, hf_evaluate: true}]\n", NULL, NULL, 0,
                NULL, "hf_evaluate"});
}

static void every_filter(void)
{
    EXPECT_ALL(
        {generate,
         "filter_list: [{name: a, filter: [{function: regex, regex_pattern: '(\\d+)', "
         "group_select: -1, fallback: none}, {function: take_first}]}, "
         "{name: b, filter: [{function: lowercase}, {function: uppercase}, "
         "{function: remove_whitespace}, {function: map, mapping_dict: {a: b}, default_value: c}, "
         "{function: take_first_k, k: 1}, {function: majority_vote}, {function: take_first}]}]\n",
         "one?", NULL, 1, NULL, NULL},
        {choose, "output_type: mutliple_choice\n", NULL, NULL, 0, NULL, "output_type"},
        {"output_type: generate_until\ndoc_to_text: q\ndoc_to_target: a\ndoc_to_choice: c\n",
         "filter_list: [{name: c, filter: [{function: multi_choice_regex, ignore_case: true}, "
         "{function: take_first}]}, {name: d, filter: [{function: regex_pos}]}]\n",
         "one?", NULL, 1, NULL, NULL},
        {generate, "filter_list: [{name: a, filter: [{function: rejex}]}]\n", NULL, NULL, 0, NULL,
         "there is no filter \"rejex\""},
        {generate,
         "filter_list: [{name: a, filter: [{function: custom, filter_fn: !function utils.f}]}]\n",
         NULL, NULL, 0, NULL, "utils.f"});
}

CHECK_MAIN({"fields", fields}, {"examples", examples}, {"settings", settings}, {"data", data},
           {"metrics", metrics}, {"filters", every_filter})
