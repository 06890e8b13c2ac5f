/* filter_steps.h: what filters.c (pipelines, the small steps) and extraction.c (the steps that look
 * for an answer in a text) share. */
#ifndef ASSAY_TASKS_FILTER_STEPS_H
#define ASSAY_TASKS_FILTER_STEPS_H

#include "base/regex.h"
#include "tasks/filters.h"

/* Where a step stands, for errors. */
struct place {
    const char *file, *task;
    int line;
    const char *function;
};

/* One document's way through a pipeline. */
struct passage {
    struct arena *a;
    const struct value *doc;
    struct extraction *extraction;
    struct error *err;
};

struct step;
struct custom; /* filters.c: the named functions of `custom` */

struct step_kind {
    const char *name;
    const char *arguments; /* the names it takes, each followed by a space */
    /* NULL: nothing to prepare. What it allocates lives in `a`. */
    int (*open)(struct step *s, struct arena *a, const struct value *kwargs, const struct place *at,
                struct error *err);
    int (*apply)(const struct step *s, struct passage *p, struct value *answers,
                 struct value **ret);
};

struct step {
    const struct step_kind *kind;
    struct regex *regex;
    int64_t number;         /* group_select, or k */
    struct value *fallback; /* or default_value */
    const struct value *mapping;
    const struct custom *custom;

    /* what multi_choice_regex ignores when it looks for a choice's text */
    bool ignore_case, ignore_punctuation;
    struct regex **ignored;
    int n_ignored;
};

/* "FILE:LINE: task "T": filter F: what" */
int step_wrong(const struct place *at, struct error *err, const char *what);

/* A whole number of the arguments. */
int step_int(const struct value *kwargs, const char *key, int64_t def, const struct place *at,
             int64_t *ret, struct error *err);

/* The answers as a list. Python would go through the characters of a string where it expects a
 * list; so do we, since a definition that puts take_first before another step means just that. */
struct value *step_list(struct arena *a, struct value *v);

/* Called by each step that looks for something: it was given so many answers, and found nothing in
 * so many. The last such step decides whether the document counts as unanswered. */
void step_looked(struct passage *p, size_t n_answers, size_t n_missed);

/* extraction.c */
int regex_open(struct step *s, struct arena *a, const struct value *kwargs, const struct place *at,
               struct error *err);
int regex_apply(const struct step *s, struct passage *p, struct value *answers, struct value **ret);
int choice_open(struct step *s, struct arena *a, const struct value *kwargs, const struct place *at,
                struct error *err);
int choice_apply(const struct step *s, struct passage *p, struct value *answers,
                 struct value **ret);
int pos_open(struct step *s, struct arena *a, const struct value *kwargs, const struct place *at,
             struct error *err);
int pos_apply(const struct step *s, struct passage *p, struct value *answers, struct value **ret);
int span_open(struct step *s, struct arena *a, const struct value *kwargs, const struct place *at,
              struct error *err);
int span_apply(const struct step *s, struct passage *p, struct value *answers, struct value **ret);

#endif
