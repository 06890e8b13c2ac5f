/* scoring.h: what score.c and scoring.c share. scoring.c reads what a definition asks for when the
 * task is opened, score.c does it for each document. */
#ifndef ASSAY_TASKS_SCORING_H
#define ASSAY_TASKS_SCORING_H

#include <pthread.h>

#include "metrics/metric.h"
#include "tasks/task_internal.h"

struct process;

/* One metric of the task, ready to compute. */
struct measure {
    const char *name;
    struct exact_match_options exact;
    const int64_t *ks; /* of pass@k */
    int n_ks;
    bool stem;                       /* ROUGE */
    const struct text_options *text; /* BLEU, chrF and TER; NULL: defaults */
};

/* What a filter pipeline gave for one document, on its way to scores. */
struct work {
    const struct task *task;
    struct arena *a;
    const struct asked *q;
    const char *filter;
    const struct value *results; /* one item a request */
    const struct response *responses;
    struct scored *out;
    struct error *err;
};

struct scoring {
    struct arena arena;
    struct pipeline **pipelines;
    int n_pipelines;
    struct measure *measures;
    int n_measures;
    struct regex **regexes; /* all of the measures' */
    int n_regexes;
    const struct process *process;
    bool runs_code;
    pthread_mutex_t lock; /* over the first use of: */
    struct sandbox *sandbox;
};

/* How results become scores: by output_type, or by a built-in for process_results. */
struct process {
    const char *name; /* process_results; NULL: the output_type's own */
    enum output_type output;
    const char *metrics; /* those that it computes, each followed by a space */
    int (*score)(struct work *w);
    const char *also_asks; /* a continuation of each prompt whose log-probability it needs beside
                              the answer, as another request; NULL: none */
};

/* A score of the document, and the parts of the one that was added last (struct score). */
void add_score(struct work *w, const char *metric, double value, double weight);
void keep_parts(struct work *w, const double *parts, int n);

/* The task's metric of that name, or NULL: it is not asked for. */
const struct measure *find_measure(const struct work *w, const char *name);

/* Returns E_INPUT with a sentence that names task, document and filter. */
int bad_answer(const struct work *w, const char *what);

/* A value as text: a string as it is, else Python's str(). */
struct str text_of(const struct work *w, const struct value *v);

/* text_scores.c: an answer against reference texts, and truthfulqa_gen's results. */
int score_against_texts(struct work *w, const struct measure *m, const struct value *gold);
int process_truthfulqa_gen(struct work *w);

/* qa_scores.c: answers taken from a text or a table, how long answers are, similar sentences. */
void score_output_tokens(struct work *w, const struct measure *m);
int process_squad_completion(struct work *w);
int process_squad2(struct work *w);
int process_tatqa(struct work *w);
int process_similarity(struct work *w);

/* NULL: there is none of that name for this output_type. process_names: those that there are. */
const struct process *process_find(const char *name, enum output_type output);
const char *process_names(struct arena *a, enum output_type output);

/* The machine's sandbox, opened at the first call. Thread-safe. */
int sandbox_of(const struct task *t, const struct sandbox **ret, struct error *err);

/* Whether one of `names`, each followed by a space, is this one. */
bool lists(const char *names, struct str name);

#endif
