/* config.h: the keys of the schema, and a definition's settings parsed into struct task. */
#ifndef ASSAY_TASKS_CONFIG_H
#define ASSAY_TASKS_CONFIG_H

#include "tasks/task_internal.h"

/* Every key of the dict is one of the schema's that assay honours. E_INPUT: an unknown key, with
 * the nearest; E_UNSUPPORTED: one that needs Python, with what to do instead. */
int config_check_keys(const struct value *dict, const char *file, struct error *err);

/* The keys that make up a group itself; the others override its members'. */
bool config_is_group_key(struct str key);

/* Fills t's settings: output, repeats, metrics, pipelines, delimiters, generation, few-shot count
 * and info's name, alias, version, output_type, kind, num_fewshot. */
int config_parse(struct task *t, const struct task_ref *ref, const struct task_options *o,
                 struct error *err);

/* The merged definition with the defaults that it leaves open, as results.json shows it; with
 * `keyed_draws`, "draws": "keyed" too. */
const struct value *config_shown(struct arena *a, const struct task *t, const struct task_ref *ref,
                                 bool keyed_draws);

/* A group's aggregate_metric_list into *ret[*n], in `a`. */
int config_aggregates(struct arena *a, const struct value *list, const char *where,
                      const struct group_metric **ret, int *n, struct error *err);

/* The group's leaderboard_mean: {BENCHMARK: {metric, filter: none, weight_by_size: false, choices:
 * 0, tasks: [NAME, ...] or {NAME: choices, ...}}, ...}; one of several metrics makes a list of
 * these. Of choices, guessing gets 1 / choices; of 0 nothing. */
int config_terms(struct arena *a, const struct value *v, const char *where,
                 const struct group_term **ret, int *n, struct error *err);

/* A key of the definition that is there and not null, or NULL; "FILE:LINE" of a key, or "FILE" when
 * it is absent. During task_open. */
const struct value *task_setting(const struct task *t, const char *key);
const char *task_where(struct task *t, const char *key);

/* Whether a dict's key is one of these texts. */
bool key_is_one_of(const struct value *key, const char *const *names, size_t n);

/* Adds a sentence to t->info.notes. */
void task_note(struct task *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
