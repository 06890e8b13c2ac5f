/* store.h: every score that assay ever computed, in one SQLite file.
 *
 * A store has one writer and any number of readers. What was committed survives kill -9. Strings
 * passed in are copied. results/schema.sql says what is stored; the views v_scores, v_samples and
 * v_compare are the interface for people's own SQL and keep their names and columns. A struct
 * store is used by one thread at a time.
 *
 *     store_open -> store_run_begin -> store_evaluation
 *         -> { store_begin -> store_sample ... -> store_commit } ... -> store_aggregate
 *         -> store_run_end -> store_close */
#ifndef ASSAY_RESULTS_STORE_H
#define ASSAY_RESULTS_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/request.h"
#include "base/str.h"

struct store;

enum store_mode {
    STORE_READ,  /* must exist */
    STORE_WRITE, /* created when missing; one writer at a time, held until closed */
};

/* Opens or creates the store at `path`; a failed creation leaves no file. While a writer has it
 * open, PATH.lock lies beside it. A store that was created and holds no evaluation when it is
 * closed is removed again: a run that could not start leaves nothing. E_VERSION: written by a newer
 * assay. E_BUSY: another writer holds it (err names its pid). E_IO: cannot be opened, no SQLite
 * file, disk full. *ret is untouched on failure. */
int store_open(const char *path, enum store_mode mode, struct store **ret, struct error *err);
void store_close(struct store *s); /* a transaction that is open is rolled back; takes NULL */

/* Everything that can change a score of one (model, task) pair; `hash` over all of it is the
 * identity. The limit is not part of it: more documents extend the same evaluation. */
struct evaluation {
    const char *hash;
    const char *model; /* label in tables */
    const char *model_path, *model_hash, *numerics, *format, *quant;
    int64_t n_params;
    int max_length;
    const char *task, *task_alias, *task_version, *task_hash, *data_hash, *output_type;
    int num_fewshot;
    int64_t fewshot_seed;
    const char *chat_template_hash; /* "" when none was applied */
    bool fewshot_as_multiturn;
    const char *system_instruction; /* "" */
    const char *config_json;        /* the merged definition */
    int64_t n_docs;                 /* documents in the split */
    int64_t source; /* the evaluation whose responses it scores again; 0: the model was asked */
};

/* Finds it by hash or inserts it; *id is its row. What is known about its model and task (the
 * label, the path) is updated when it changed, and it becomes the most recently used one. */
int store_evaluation(struct store *s, const struct evaluation *e, int64_t *id, struct error *err);

/* 1: the sample is there with its scores; 0: not; negative: error. A sample stored with an error
 * counts as not there, so that a second run tries it again. */
int store_has_sample(struct store *s, int64_t evaluation, int64_t doc_id, struct error *err);

/* Whether that sample also has its scored tokens with the `n_top` most probable ones. */
int store_has_top(struct store *s, int64_t evaluation, int64_t doc_id, int n_top,
                  struct error *err);

struct request_row {
    int idx;
    bool unconditional;
    struct str prompt;       /* the context: stored once by hash */
    struct str continuation; /* the choice with its delimiter; empty for generation */
    struct str response;     /* generated text; empty for log-likelihoods */
    double logprob_nats;     /* NaN for generation */
    bool is_greedy;
    int n_chars, n_bytes; /* of the choice without its delimiter */
    int n_tokens_prompt, n_tokens_scored, n_tokens_generated, n_truncated;
    int64_t time_ns;
    const char *finish;    /* "eos", "stop", "length", "" */
    const int32_t *tokens; /* what the model saw: n_tokens_prompt of prompt, then what was scored */
    int n_tokens;          /* or generated; NULL: not recorded */
    /* The scored tokens by themselves, see struct response; NULL: not recorded. */
    const struct token_chance *scored; /* [n_tokens_scored] */
    const struct token_chance *top;    /* [n_tokens_scored, n_top] */
    int n_top;
};

struct score_row {
    const char *metric, *filter;
    double value, weight;
    const double *parts; /* [n_parts] as struct metric_item's; NULL: none */
    int n_parts;
};

struct sample_row {
    int64_t doc_id;
    int64_t recorded; /* a stored sample whose document and requests are taken over, with all that
                         is known of them; doc_json and requests are not read then. 0: none */
    struct str doc_json; /* stored once by hash */
    struct str target;
    const char *error; /* NULL: none; else why it could not be answered or scored */
    struct request_row *requests;
    int n_requests;
    struct score_row *scores;
    int n_scores;
    struct str filtered_json; /* {"filter": resps, ...} */
};

/* Samples are written in transactions: begin, many samples, commit. A sample is replaced as a
 * whole when it was stored before, and aggregates over it are dropped until the next
 * store_aggregate. When any call fails (E_IO on a full disk), the transaction is rolled back, what
 * was committed before stays, and store_begin may be tried again. */
int store_begin(struct store *s, struct error *err);
int store_sample(struct store *s, int64_t evaluation, const struct sample_row *row,
                 struct error *err);
int store_commit(struct store *s, struct error *err);
void store_rollback(struct store *s);

/* One run of the program, for `assay ls`: what was asked, when, how it ended. */
int store_run_begin(struct store *s, const char *command_line, int64_t *id, struct error *err);
int store_run_end(struct store *s, int64_t id, int exit_code, int64_t tokens_computed,
                  double seconds, struct error *err);

/* Notes that the run asked for documents 0 .. n_eval-1 of the evaluation. */
int store_run_evaluation(struct store *s, int64_t run, int64_t evaluation, int64_t n_eval,
                         struct error *err);

/* What the model of an evaluation took in a run. 0: not known. */
struct model_cost {
    int64_t stored_bytes;   /* of its files, or of the weights that quant= made */
    int64_t held_bytes;     /* of the weights in memory */
    double prefill, decode; /* tokens a second */
};
int store_run_model(struct store *s, int64_t run, int64_t evaluation, const struct model_cost *c,
                    struct error *err);

/* What two models, side by side, made of one token of a text. */
struct divergence_row {
    int position; /* of the request */
    int place;    /* of the token in it */
    int32_t token;
    double logprob_a, logprob_b; /* of the token */
    double kl;                   /* of B from A over the whole vocabulary, nats */
    bool same_top;
};

/* Of one document, which both evaluations have a sample of. It replaces what was there. */
int store_divergence(struct store *s, int64_t evaluation_a, int64_t evaluation_b, int64_t doc_id,
                     const struct divergence_row *rows, int n, struct error *err);

/* 1: the document's divergence is there; 0: not. */
int store_has_divergence(struct store *s, int64_t evaluation_a, int64_t evaluation_b,
                         int64_t doc_id, struct error *err);

/* Notes that the run could not ask the model for the task, and why. */
int store_run_failure(struct store *s, int64_t run, const char *model, const char *task,
                      const char *error, struct error *err);

/* A group of tasks, so that comparisons and reports can show it without the definitions. It
 * replaces the group of the same name. */
struct group_row {
    const char *name, *alias;
    const char *const *tasks; /* names of the leaf tasks below it */
    int n_tasks;
    const struct group_measure {
        const char *metric;
        bool weight_by_size; /* see metric_group() */
    } * measures;
    int n_measures;
    const struct group_mean_term { /* of its leaderboard_mean, metric_leaderboard_mean() */
        const char *benchmark, *task, *metric, *filter;
        double baseline;
        bool by_size;
    } * terms;
    int n_terms;
};
int store_group(struct store *s, const struct group_row *group, struct error *err);

/* Recomputes the aggregates of an evaluation from its scores (metrics/metric.h's table; a mean
 * for metrics that it lacks). Only doc_id < n_eval count, so that a smaller --limit reports what
 * it asked for. Holds one metric's scores in memory: 24 bytes a document and its parts. */
int store_aggregate(struct store *s, int64_t evaluation, int64_t n_eval, int bootstrap_iters,
                    struct error *err);

struct score_line {
    const char *metric, *filter;
    double value, stderr_; /* stderr_ NaN: none */
    int64_t n;             /* documents scored */
};
/* The aggregates of an evaluation over its documents below n_eval, in the arena, by metric and
 * filter. None (*n = 0) where store_aggregate was not called for that n_eval since the last
 * sample. n_eval < 0: those over the most documents. */
int store_scores(struct store *s, struct arena *a, int64_t evaluation, int64_t n_eval,
                 struct score_line **ret, int *n, struct error *err);

/* How many of an evaluation's documents below n_eval lost tokens of a prompt, which was longer than
 * the model's context. */
int store_truncated(struct store *s, int64_t evaluation, int64_t n_eval, int64_t *ret,
                    struct error *err);

#endif
