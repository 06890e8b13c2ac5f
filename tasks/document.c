#include "tasks/document.h"

int document_need(const struct value *doc, const char *key, enum value_type type,
                  const struct value **ret, struct error *err)
{
    static const char *const kinds[] = {[VALUE_STR] = "text",
                                        [VALUE_INT] = "a whole number",
                                        [VALUE_LIST] = "a list",
                                        [VALUE_DICT] = "an object"};
    const struct value *v = dict_get(doc, key);
    if (!v || v->type == VALUE_NONE)
        return error_set(err, E_INPUT, "the document has no field \"%s\"", key);
    if (v->type != type)
        return error_set(err, E_INPUT,
                         "field \"%s\" of the document should be %s, it is of type %s", key,
                         kinds[type], value_type_name(v));
    *ret = v;
    return 0;
}

int document_str(const struct value *doc, const char *key, struct str *ret, struct error *err)
{
    const struct value *v;
    int r = document_need(doc, key, VALUE_STR, &v, err);
    if (r == 0)
        *ret = v->s;
    return r;
}

struct value *document_copy(struct arena *a, const struct value *doc)
{
    struct value *copy = value_dict(a);
    for (size_t i = 0; i < doc->dict.n; i++)
        dict_put(a, copy, doc->dict.entries[i].key, doc->dict.entries[i].value);
    return copy;
}

struct value *value_shared(const struct value *v)
{
    return (struct value *)(uintptr_t)v;
}
