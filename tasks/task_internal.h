/* task_internal.h: what the files of tasks/ share; other rooms read task.h.
 *
 * config.c checks a definition and parses it into struct task, dataset.c opens the documents,
 * template.c and functions.c turn a document into text, target and choices, prompt.c builds
 * requests, score.c turns responses into scores. After task_open a struct task changes only in
 * `shots` (the few-shot stream, moved by task_ask); everything else may be read by any thread. */
#ifndef ASSAY_TASKS_TASK_INTERNAL_H
#define ASSAY_TASKS_TASK_INTERNAL_H

#include "tasks/draws.h"
#include "tasks/task.h"

struct docs;
struct field;
struct shots;
struct scoring;

enum output_type {
    OUTPUT_LOGLIKELIHOOD,
    OUTPUT_LOGLIKELIHOOD_ROLLING,
    OUTPUT_MULTIPLE_CHOICE,
    OUTPUT_GENERATE_UNTIL,
    OUTPUT_SIMILARITY, /* assay's own: two texts, which doc_to_choice lists, are embedded */
};

/* One entry of metric_list, or of output_type's default metrics. */
struct task_metric {
    const char *name;           /* "acc"; for `!function assay.pass_at_k` "pass_at_k" */
    bool is_function;           /* it was a !function */
    const char *aggregation;    /* "mean", or NULL: the metric's own */
    const struct value *kwargs; /* a dict: the entry less metric, aggregation, higher_is_better and
                                   hf_evaluate; empty for default metrics */
    int line;                   /* in task->file, or 0 */
};

/* One step of a filter pipeline. */
struct task_filter_step {
    const char *function;       /* "regex", "take_first", "custom", ... */
    const struct value *kwargs; /* a dict: the step less `function`; a `filter_fn: !function ...`
                                   keeps its tag (function_name() reads it) */
    int line;
};

struct task_pipeline {
    const char *name; /* "strict-match"; "none" for the default, which is take_first */
    const struct task_filter_step *steps;
    int n_steps;
};

struct task {
    struct task_info info;
    const struct task_ref *ref; /* during task_open only */
    struct arena arena;         /* all that the task's parts point to */
    const char *file;           /* where it is defined, for errors */

    enum output_type output;
    int repeats;
    bool unsafe_code;       /* the task runs code that a model wrote */
    bool allow_unsandboxed; /* from struct task_options */
    int n_workers;

    /* scoring */
    const struct task_metric *metrics;
    int n_metrics;
    const struct task_pipeline *pipelines;
    int n_pipelines;
    const char *process_results; /* a built-in's name ("truthfulqa_mc2"), or NULL */
    struct scoring *scoring;     /* score.c's own: compiled regexes and the like */
    bool multiple_input;         /* doc_to_text gives an index: choices are contexts (winogrande) */
    bool multiple_target;        /* doc_to_target gave a list for document 0 */

    /* documents and prompts */
    struct docs *eval, *pool; /* pool: where few-shot examples come from; NULL: none are shown */
    struct field *text, *target, *choice, *prefix, *description;
    struct field *shot_text, *shot_target, *shot_choice, *shot_prefix;
    struct str target_delimiter, fewshot_delimiter, shot_target_delimiter, shot_delimiter;
    const struct str *until;
    int n_until;
    int max_gen_toks;
    struct sampling sampling; /* of generate_until */
    struct shots *shots;
    struct draws draws;
    struct str system_instruction; /* n == 0: none */
    chat_renderer *chat;
    void *chat_arg;
    bool fewshot_as_multiturn;
    bool no_system;       /* the chat template refuses a system message, so none is sent */
    bool gen_prefix_open; /* there is a gen_prefix and it does not end in white space */
};

/* What the definition makes of a document, as Python's values. `doc` is one of the evaluation
 * split, after process_docs. Thread-safe; the result lives in `a` or in the document. */
int task_doc_to_text(const struct task *t, struct arena *a, const struct value *doc,
                     const struct value **ret, struct error *err); /* str, or int */
int task_doc_to_target(const struct task *t, struct arena *a, const struct value *doc,
                       const struct value **ret, struct error *err); /* str, int or list */
int task_doc_to_choice(const struct task *t, struct arena *a, const struct value *doc,
                       const struct value **ret,
                       struct error *err); /* list of str; E_INPUT where
                                              doc_to_choice is not given */

/* The NAME of a `!function assay.NAME` value, or NULL when `v` is none. */
const char *function_name(const struct value *v);

/* prompt.c: the requests of evaluation document `doc` with the examples pool[shots[i]].
 * prompt_check_system finds out whether the chat template takes a system message. */
int prompt_build(const struct task *t, struct arena *a, const struct value *doc, int64_t doc_id,
                 const size_t *shots, struct asked *ret, struct error *err);
int prompt_check_system(struct task *t, const struct value *doc, struct error *err);

/* ---- what score.c gives to task.c ---- */

/* Called once at the end of task_open, when all of the above but `scoring` is filled: checks
 * metrics, filters and process_results, and compiles what they need into t->scoring.
 * E_INPUT with file and line: a metric, filter or argument that does not exist. */
int scoring_open(struct task *t, struct error *err);
void scoring_close(struct scoring *s); /* takes NULL */

#endif
