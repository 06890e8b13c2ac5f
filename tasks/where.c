#include "tasks/where.h"

#include <string.h>

bool where_parse(const char *name, struct where *ret)
{
    struct str s = str_of(name);
    size_t open = str_find(s, STR("("), 0), equals = str_find(s, STR("="), 0);
    if (open == SIZE_MAX || !str_ends(s, STR(")")))
        return false;
    struct str argument = str_slice(s, open + 1, s.n - 1);
    if (str_eqz(str_slice(s, 0, open), "mmmlu")) {
        *ret = (struct where){STR("Subject"), argument, true};
        return true;
    }
    if (!str_eqz(str_slice(s, 0, open), "where") || equals == SIZE_MAX || equals < open + 2)
        return false;
    *ret = (struct where){str_slice(s, open + 1, equals), str_slice(s, equals + 1, s.n - 1), false};
    return true;
}

int where_keeps(const struct where *w, const struct value *row, struct error *err)
{
    static const char *const marks[] = {"_test.csv", "_test-"};
    const struct value *v = dict_gets(row, w->field);
    if (!v)
        return error_set(err, E_INPUT,
                         "the row has no field \"%.*s\", by which the task chooses its rows",
                         STR_ARG(w->field));
    if (v->type != VALUE_STR)
        return 0;
    struct str s = v->s;
    for (int i = 0; w->named_file && i < 2; i++) {
        size_t at = str_find(v->s, str_of(marks[i]), 0);
        if (at != SIZE_MAX) {
            s = str_slice(v->s, 0, at);
            break;
        }
    }
    return str_eq(s, w->value);
}
