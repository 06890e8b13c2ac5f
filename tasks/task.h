/* task.h: what is asked, and how answers become scores.
 *
 * A task is a YAML definition in lm-evaluation-harness' schema plus a data set. It yields
 * documents, turns each into requests, and scores the responses. Prompts and scores are those of
 * lm-evaluation-harness 0.4.13's task of the same name.
 *
 *     catalog_open -> catalog_select -> task_open -> task_ask / task_score -> task_close */
#ifndef ASSAY_TASKS_TASK_H
#define ASSAY_TASKS_TASK_H

#include "base/error.h"
#include "base/request.h"
#include "base/value.h"

/* ---- finding tasks ---- */

struct catalog; /* names of built-in tasks and of those under --include_path; parses what is asked
                 */

int catalog_open(const char *const *include_paths, int n_include_paths, struct catalog **ret,
                 struct error *err);
void catalog_close(struct catalog *c);

/* What a group's aggregate_metric_list says. */
struct group_metric {
    const char *metric;
    bool weight_by_size;
    const char *const *filters; /* NULL: every filter that the members have */
    int n_filters;
};

/* A group's leaderboard_mean: the mean over benchmarks of their terms' means. A term is a task's
 * score, normalized against what guessing gives: max(0, (score - baseline) / (1 - baseline)). */
struct group_term {
    const char *benchmark, *task, *metric, *filter;
    double baseline;
    bool by_size; /* in its benchmark it counts by its documents, else once */
};

/* One selected leaf task, or a group above leaf tasks. */
struct task_ref {
    const char *name;             /* "arc_easy"; inline group members are "parent::name" */
    const char *alias;            /* what tables show */
    const struct value *config;   /* merged definition; for a group its own */
    const char *file;             /* where it is defined, for errors */
    const struct value *sources;  /* config's keys -> the file that each comes from */
    const struct value *stand_in; /* data_files of a built-in task on the same data set of the hub,
                                     for a definition that names none; or NULL */
    const char *replaces;         /* the file whose task of that name it takes the place of */
    bool is_group;
    int parent;                            /* index of its group in the selection, or -1 */
    const struct group_metric *aggregates; /* a group's aggregate_metric_list */
    int n_aggregates;
    const struct group_term *terms; /* a group's leaderboard_mean */
    int n_terms;
};

struct selection {
    struct task_ref *refs; /* groups before their members; each leaf once */
    int n;
};

/* `names`: task names, groups, tags, globs ("mmlu_*") or YAML file paths. E_USAGE: nothing has that
 * name (err offers the nearest). The selection lives in the catalog. */
int catalog_select(struct catalog *c, const char *const *names, int n_names, struct selection *ret,
                   struct error *err);

/* What `assay ls --tasks` prints. */
struct catalog_entry {
    const char *name, *kind, *description; /* kind: "task", "group", "tag" */
};
int catalog_list(struct catalog *c, struct catalog_entry **ret, int *n, struct error *err);

/* ---- one task ---- */

/* Renders chat messages into a prompt; the harness passes the backend's. */
typedef int chat_renderer(void *arg, struct arena *a, const struct value *messages,
                          bool add_generation_prompt, bool continue_final, struct str *ret,
                          struct error *err);

struct task_options {
    const char *const *data_dirs; /* --data, searched in order */
    int n_data_dirs;
    int num_fewshot;      /* -1: as the task says */
    int64_t fewshot_seed; /* 1234 */
    bool keyed_draws;     /* draws.h: not by a document's place */
    bool skip_bad_rows;   /* a row that cannot be read is left out of what is drawn from */
    double limit;         /* < 0: all; [0,1): fraction, ceil; >= 1: documents */
    const char *system_instruction; /* NULL: none */
    chat_renderer *chat;            /* NULL: no --apply_chat_template */
    void *chat_arg;
    bool fewshot_as_multiturn;
    int max_gen_toks; /* 0: as the task says */
    /* To score recorded answers: one of their documents, instead of the data. No data is opened;
     * task_ask_again() takes the place of task_ask(), and n_docs is 0. NULL: open the data. */
    const struct value *recorded;
    bool allow_unsandboxed; /* run model-written code without bubblewrap */
    int n_workers;          /* model-written programs run at once; 0: one a core */
};

struct task;

/* Everything that task_open checks and that needs no data. */
int task_verify(const struct task_ref *ref, struct error *err);

struct task_info {
    const char *name, *alias;
    const char *version;   /* metadata.version, as text */
    const char *task_hash; /* definition, with everything merged, and our code's version; not the
                              options, which the caller hashes beside it */
    const char *data_hash; /* bytes of the data files read (unpacked), and how they are read */
    enum request_kind kind;
    const char *output_type; /* "multiple_choice", ... */
    int64_t n_docs;          /* in the split, before the limit */
    int64_t n_eval;          /* after the limit: documents 0 .. n_eval-1 are asked */
    int num_fewshot;
    const struct value *config; /* merged, as results.json's "configs" shows it */
    const char *const
        *notes; /* sentences for the user, such as "few-shot examples come from ..." */
    int n_notes;
};

/* E_INPUT: the definition or the data; E_IO: no data file found (err names each place looked at).
 */
int task_open(const struct task_ref *ref, const struct task_options *o, struct task **ret,
              struct error *err);
void task_close(struct task *t);
const struct task_info *task_info(const struct task *t); /* lives as long as t */

/* One document, asked. */
struct asked {
    int64_t doc_id;
    const struct value *doc;  /* after process_docs */
    struct str target;        /* doc_to_target as text */
    struct request *requests; /* in lm-evaluation-harness' order; repeats after each other */
    int n_requests;
    int n_choices;             /* multiple_choice: conditional requests, one a choice; else 0 */
    const struct str *choices; /* [n_choices] as acc_norm divides by them: without delimiter */
};

/* Documents must be asked in ascending order: few-shot draws form one stream over them. Skipping
 * is cheap (`ret` NULL only advances); going back starts the stream anew. Result in `a`. */
int task_ask(struct task *t, struct arena *a, int64_t doc_id, struct asked *ret, struct error *err);

/* A recorded document asked again, with the few-shot examples left out and no chat template: for
 * scoring, and to see whether the requests are still the same. Thread-safe. Result in `a`. */
int task_ask_again(const struct task *t, struct arena *a, const struct value *doc, int64_t doc_id,
                   struct asked *ret, struct error *err);

/* One score of one document. The aggregate of a metric is a function of its (value, weight, parts)
 * over the documents: metrics/metric.h has the table. */
struct score {
    const char *metric; /* "acc_norm", "exact_match" */
    const char *filter; /* "none", "strict-match" */
    double value;       /* what is averaged; for perplexities the log-likelihood */
    double weight;      /* 1; for word_perplexity the words, for byte metrics the bytes */
    const double
        *parts;  /* of metrics whose aggregate is no function of the values: metric_parts() */
    int n_parts; /* numbers */
};

/* What a filter pipeline made of the responses, for people and for samples_*.jsonl: a list with one
 * item a request (repeats are one request), as lm-evaluation-harness' filtered_resps. An item is a
 * string, (logprob, is_greedy), a rolling log-likelihood, or a list where the pipeline gives one.
 */
struct filtered {
    const char *filter;
    struct value *resps;
};

struct scored {
    struct score *scores;
    int n_scores;
    struct filtered *filtered;
    int n_filtered;
};

/* Scores one document from its responses (asked.n_requests of them). Thread-safe. E_UNSUPPORTED:
 * the task runs code and there is no sandbox. Result in `a`. */
int task_score(const struct task *t, struct arena *a, const struct asked *q,
               const struct response *responses, struct scored *ret, struct error *err);

/* Called before any model is loaded: 0, or why this task cannot be scored here (bwrap). */
int task_check(const struct task *t, struct error *err);

#endif
