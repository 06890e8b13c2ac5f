/* query.h: what is in a store, as plain structs, for tables that the program prints.
 *
 * Everything handed out lives in the arena that the caller names. A model is meant by its label,
 * or by evaluations: "#12" or "#12,#15" (the numbers that `assay ls` shows). */
#ifndef ASSAY_RESULTS_QUERY_H
#define ASSAY_RESULTS_QUERY_H

#include "results/store.h"

/* ---- evaluations: one model on one task ---- */

struct evaluation_line {
    int64_t id;
    const char *hash;
    const char *model, *model_path, *model_hash, *numerics, *format, *quant;
    int64_t n_params;
    int max_length;
    const char *task, *task_alias, *task_version, *task_hash, *data_hash, *output_type;
    const char *config_json;
    int num_fewshot;
    int64_t fewshot_seed;
    const char *chat_template_hash; /* "": none applied */
    bool fewshot_as_multiturn;
    const char *system_instruction;
    int64_t source;    /* the evaluation whose responses it scores again; 0: the model was asked */
    int64_t n_docs;    /* documents in the split */
    int64_t n_samples; /* documents that have a sample */
    int64_t n_failed;  /* of them, with an error instead of scores */
    int64_t n_eval;    /* the scores below are over documents 0 .. n_eval-1; -1: no scores */
    struct score_line *scores;
    int n_scores;
    const char *created, *last_used; /* UTC, ISO 8601 */
};

struct evaluation_list {
    struct evaluation_line *items;
    size_t n;
};

struct evaluation_filter {
    const char *model; /* a label or "#12,#15"; NULL: all */
    const char *task;  /* a task's name; NULL: all */
    bool latest;       /* of evaluations that differ only in what is no setting (the model's
                          file, its numerics, the task's version), the last used one */
};

/* In the order of model and task; with their aggregates. E_INPUT: the store has no such model, or
 * no such task (err lists what it has). `filter` NULL: all. */
int query_evaluations(struct store *s, struct arena *a, const struct evaluation_filter *filter,
                      struct evaluation_list *ret, struct error *err);

/* What must be equal for two models to be compared on a task: the task's name, few-shot examples,
 * their seed (if there are any), whether a chat template was applied, turns, system instruction. */
bool same_setting(const struct evaluation_line *a, const struct evaluation_line *b);

/* "5-shot, chat": what tells an evaluation from others of its model and task; "" for 0-shot. */
const char *setting_text(struct arena *a, const struct evaluation_line *e);

/* Labels of the models that have evaluations, in the order in which they were first run. */
int query_models(struct store *s, struct arena *a, const char *const **ret, int *n,
                 struct error *err);

/* ---- groups of tasks ---- */

struct group_list {
    struct group_row *items; /* as store_group() took them */
    size_t n;
};
int query_groups(struct store *s, struct arena *a, struct group_list *ret, struct error *err);

/* ---- runs of the program, the last first ---- */

struct run_line {
    int64_t id;
    const char *command_line;
    int64_t pid;
    const char *started, *ended; /* ended NULL: still going, or killed */
    int exit_code;
    int64_t tokens_computed;
    double seconds;
    int64_t n_evaluations;
    int64_t n_failures; /* tasks that could not be asked */
};
int query_runs(struct store *s, struct arena *a, int limit, struct run_line **ret, int *n,
               struct error *err);

/* ---- one document, as a model answered it ---- */

struct request_view {
    struct request_row row;    /* tokens are NULL here; see below */
    const char *prompt_tokens; /* JSON arrays of ids; NULL: not recorded */
    const char *tokens;        /* scored or generated */
    bool best;                 /* the choice with the highest log-probability */
};

struct sample_view {
    int64_t id, doc_id;
    struct str doc_json, target, filtered_json;
    const char *error; /* NULL: none */
    struct request_view *requests;
    int n_requests;
    struct score_row *scores;
    int n_scores;
};

/* E_INPUT: the evaluation has no sample of that document. */
int query_sample(struct store *s, struct arena *a, int64_t evaluation, int64_t doc_id,
                 struct sample_view *ret, struct error *err);

/* Calls `visit` for each sample of an evaluation below n_eval, in the order of documents. The
 * sample lives until `visit` returns; a negative result ends the walk and is returned. */
typedef int sample_visitor(void *arg, const struct sample_view *sample, struct error *err);
int query_samples(struct store *s, int64_t evaluation, int64_t n_eval, sample_visitor *visit,
                  void *arg, struct error *err);

/* ---- recorded answers, to be scored again ---- */

struct recorded {
    int64_t sample, doc_id;
    struct str doc_json;
    struct request_row *requests; /* what scoring reads: prompt (see below), continuation,
                                     response, logprob_nats, is_greedy, unconditional, idx */
    int n_requests;
};

/* The next samples of an evaluation that were answered, up to `max` with a doc_id above `after`, in
 * the order of documents; those that the evaluation `without` has a sample of are passed over.
 * `prompts`: with the prompts, which are long. */
int query_recorded(struct store *s, struct arena *a, int64_t evaluation, int64_t without,
                   int64_t after, int max, bool prompts, struct recorded **ret, int *n,
                   struct error *err);

#endif
