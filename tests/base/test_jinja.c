/* The Jinja engine against Jinja2's own results (goldens), and by hand for what they leave out. */
#include "base/jinja.h"
#include "base/json.h"
#include "tests/check.h"

/* -- goldens -- */

/* Calls `each` with every line of a JSONL file; how many there were. */
static int each_line(struct arena *a, const char *path,
                     void (*each)(struct arena *a, const struct value *row, const void *data),
                     const void *data)
{
    struct error err = {0};
    FILE *f = fopen(path, "rb");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rows = 0;
    EXPECT(f != NULL);
    while (f && (n = getline(&line, &cap, f)) > 0) {
        struct value *row;
        struct arena_mark m = arena_mark(a);
        EXPECT_OK(json_parse(a, (struct str){line, (size_t)n}, path, &row, &err), &err);
        if (err.code == 0)
            each(a, row, data);
        arena_reset(a, m);
        rows++;
    }
    free(line);
    if (f)
        fclose(f);
    return rows;
}

static struct str text_of(const struct value *dict, const char *key)
{
    const struct value *v = dict_get(dict, key);
    return v && v->type == VALUE_STR ? v->s : (struct str){NULL, 0};
}

static int render(struct arena *a, struct str text, enum jinja_mode mode,
                  const struct value *context, struct str *ret, struct error *err)
{
    struct jinja *t;
    int code = jinja_compile(a, text, "t", mode, &t, err);
    return code ? code : jinja_render(t, a, context, ret, err);
}

static void expect_row(struct arena *a, struct str name, struct str text, enum jinja_mode mode,
                       const struct value *context, const struct value *row)
{
    struct error err = {0};
    struct str got = {0};
    int code = render(a, text, mode, context, &got, &err);
    struct str error = text_of(row, "error"), kind = text_of(row, "error_type");
    if (!error.p) {
        if (code)
            check_fail(__FILE__, __LINE__, "%.*s: %s", STR_ARG(name), err.msg);
        else
            check_str(__FILE__, __LINE__, arena_copy(a, name.p, name.n), got,
                      text_of(row, "output"));
        return;
    }
    if (!code)
        check_fail(__FILE__, __LINE__, "%.*s gives %.*s, not %.*s", STR_ARG(name), STR_ARG(got),
                   STR_ARG(error));
    else if (!str_ends(str_of(err.msg), error))
        check_fail(__FILE__, __LINE__, "%.*s says %s, not %.*s", STR_ARG(name), err.msg,
                   STR_ARG(error));
    else if (kind.p && !str_eqz(kind, jinja_error_kind(&err)))
        check_fail(__FILE__, __LINE__, "%.*s is a %s, not a %.*s", STR_ARG(name),
                   jinja_error_kind(&err), STR_ARG(kind));
}

static void task_row(struct arena *a, const struct value *row, const void *context)
{
    struct str text = text_of(row, "template");
    if (str_starts(text, STR("{% include"))) {
        /* Jinja2's words there come from an accident of the reference's loader. */
        struct error err = {0};
        struct str got;
        EXPECT_ERROR(render(a, text, JINJA_TASK, context, &got, &err), &err, E_INPUT,
                     "not supported in a template string");
        return;
    }
    expect_row(a, text, text, JINJA_TASK, context, row);
}

static void task_goldens(void)
{
    const char *cases = check_shared("goldens/jinja/cases.jsonl");
    const char *context = check_shared("goldens/jinja/context.json");
    struct arena a = {0};
    struct error err = {0};
    struct value *v;
    if (!cases || !context)
        return;
    EXPECT_OK(json_read(&a, context, &v, &err), &err);
    EXPECT_INT(each_line(&a, cases, task_row, v), 127);
    arena_free(&a);
}

struct chat {
    const struct value *conversations;
    const char *folder;
};

static struct str read_template(struct arena *a, const char *folder, struct str name)
{
    FILE *f = fopen(arena_printf(a, "%s/templates/%.*s.jinja", folder, STR_ARG(name)), "rb");
    char bytes[32768];
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    EXPECT(f != NULL);
    if (f)
        fclose(f);
    return str_copy(a, (struct str){bytes, n});
}

static void chat_row(struct arena *a, const struct value *row, const void *data)
{
    const struct chat *chat = data;
    struct value *context = value_dict(a);
    struct str template = text_of(row, "template"), conversation = text_of(row, "conversation");
    const char *const tokens[] = {"bos_token", "eos_token"};
    dict_set(a, context, "tools", value_none(a));
    dict_set(a, context, "documents", value_none(a));
    for (size_t i = 0; i < chat->conversations->list.n; i++) {
        const struct value *c = chat->conversations->list.items[i];
        if (!str_eq(text_of(c, "name"), conversation))
            continue;
        dict_set(a, context, "messages", dict_get(c, "messages"));
        if (dict_get(c, "tools"))
            dict_set(a, context, "tools", dict_get(c, "tools"));
    }
    dict_set(a, context, "add_generation_prompt", dict_get(row, "add_generation_prompt"));
    for (int i = 0; i < 2; i++)
        if (dict_get(row, tokens[i])->type == VALUE_STR)
            dict_set(a, context, tokens[i], dict_get(row, tokens[i]));
    const struct value *extra = dict_get(row, "kwargs");
    for (size_t i = 0; extra && i < extra->dict.n; i++)
        dict_put(a, context, extra->dict.entries[i].key, extra->dict.entries[i].value);
    struct str name = str_printf(a, "%.*s on %.*s", STR_ARG(template), STR_ARG(conversation));
    expect_row(a, name, read_template(a, chat->folder, template), JINJA_CHAT, context, row);
}

static void chat_goldens(void)
{
    const char *rows = check_shared("goldens/chat/rendered.jsonl");
    const char *conversations = check_shared("goldens/chat/conversations.json");
    const char *folder = check_shared("goldens/chat");
    struct arena a = {0};
    struct error err = {0};
    struct value *v;
    if (!rows || !conversations)
        return;
    EXPECT_OK(json_read(&a, conversations, &v, &err), &err);
    struct chat chat = {v, folder};
    EXPECT_INT(each_line(&a, rows, chat_row, &chat), 240);
    arena_free(&a);
}

CHECK_MAIN({"task_goldens", task_goldens}, {"chat_goldens", chat_goldens})
