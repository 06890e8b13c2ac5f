/* tokenizer_json.h: what the readers of tokenizer.json share. Private to tokenizer_json.c (the
 * model, its tokens, the settings) and tokenizer_steps.c (normalizer, pretokenizer, decoder,
 * template). */
#ifndef ASSAY_BACKENDS_LOCAL_TOKENIZER_JSON_H
#define ASSAY_BACKENDS_LOCAL_TOKENIZER_JSON_H

#include "backends/local/tokenizer_parts.h"
#include "base/json.h"

struct reader {
    struct tokenizer *t;
    const char *where; /* the file, for errors */
    int depth;         /* of Sequences in Sequences */
    struct error *err;
};

static inline bool is(const struct value *v, enum value_type type)
{
    return v && v->type == type;
}

static inline bool absent(const struct value *v)
{
    return !v || v->type == VALUE_NONE;
}

static inline int get_str(struct reader *r, const struct value *v, const char *key, struct str *ret)
{
    const struct value *s = dict_get(v, key);
    if (!is(s, VALUE_STR))
        return error_set(r->err, E_INPUT, "%s: \"%s\" must be a string in a %s", r->where, key,
                         is(dict_get(v, "type"), VALUE_STR) ? dict_get(v, "type")->s.p : "token");
    *ret = str_copy(&r->t->arena, s->s);
    return 0;
}

static inline int get_bool(struct reader *r, const struct value *v, const char *key, bool def,
                           bool *ret)
{
    return dict_bool(v, key, def, r->where, ret, r->err);
}

static inline struct str type_of(const struct value *v)
{
    const struct value *type = dict_get(v, "type");
    return is(type, VALUE_STR) ? type->s : STR("");
}

/* Appends the steps of the file's normalizer, pre_tokenizer, decoder and post_processor. The
 * vocabulary is there already: a template names its tokens by number. */
int read_steps(struct reader *r, const struct value *root);

#endif
