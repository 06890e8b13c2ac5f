/* The Jinja engine against Jinja2's own results (goldens), and by hand for what they leave out. */
#include "base/jinja.h"

#include <pthread.h>

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

/* -- by hand -- */

static const char sample[] =
    "{\"list\": [3, 1, 2], \"text\": \"h\u00e9llo\", \"d\": {\"b\": 1, \"a\": 2}, \"none\": null,"
    " \"tree\": [{\"v\": 1, \"c\": [{\"v\": 2, \"c\": []}]}, {\"v\": 3, \"c\": []}]}";

static struct value *sample_context(struct arena *a)
{
    struct error err = {0};
    struct value *v = NULL;
    EXPECT_OK(json_parse(a, str_of(sample), "sample", &v, &err), &err);
    return v;
}

struct example {
    enum jinja_mode mode;
    const char *text, *want;
};

static void expect_examples(const struct example *rows, size_t n)
{
    struct arena a = {0};
    const struct value *context = sample_context(&a);
    for (size_t i = 0; i < n; i++) {
        struct error err = {0};
        struct str got = {0};
        if (render(&a, str_of(rows[i].text), rows[i].mode, context, &got, &err))
            check_fail(__FILE__, __LINE__, "%s: %s", rows[i].text, err.msg);
        else
            check_str(__FILE__, __LINE__, rows[i].text, got, str_of(rows[i].want));
    }
    arena_free(&a);
}

#define EXPECT_EXAMPLES(rows) expect_examples(rows, sizeof rows / sizeof *rows)

static void statements(void)
{
    static const struct example rows[] = {
        {JINJA_TASK,
         "{% for x in list if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}",
         "1/2:3 2/2:2 "},
        {JINJA_TASK,
         "{% for x in tree recursive %}{{ x.v }}@{{ loop.depth }} {{ loop(x.c) }}{% endfor %}",
         "1@1 2@2 3@1 "},
        {JINJA_CHAT,
         "{% for x in list %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% if x == 2 %}"
         "{% break %}{% endif %}{% else %}no{% endfor %}",
         "32"},
        {JINJA_TASK, "{% for x in [] %}{% else %}none{% endfor %}", "none"},
        {JINJA_TASK,
         "{% set x = 1 %}{% for i in list %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
         "4 2 3 1"},
        {JINJA_TASK,
         "{% set ns = namespace(n=0) %}{% for i in list %}{% set ns.n = ns.n + i %}{% endfor %}"
         "{{ ns.n }}",
         "6"},
        {JINJA_TASK, "{% set a, (b, c) = 1, (2, 3) %}{{ c }}{{ b }}{{ a }}", "321"},
        {JINJA_TASK, "{% set x | upper %} a{% endset %}[{{ x }}]", "[ A]"},
        {JINJA_TASK,
         "{% macro m(a, b=a) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}"
         "{{ m(1) }} {{ m(1, 2, 3, k=4) }}",
         "11(){} 12(3,){'k': 4}"},
        {JINJA_TASK,
         "{% macro m() %}[{{ caller(1) }}]{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}",
         "[1]"},
        {JINJA_TASK, "{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}",
         "2"},
        {JINJA_TASK,
         "{% macro m(caller=none) %}{{ caller() if caller else 'no' }}{% endmacro %}{{ m() }}"
         "{% call m() %}yes{% endcall %}",
         "noyes"},
        {JINJA_TASK, "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}", "3"},
        {JINJA_TASK, "{% filter upper %}a{{ none }}{% endfilter %}", "ANONE"},
        {JINJA_CHAT, "{% generation %}x{% endgeneration %}", "x"},
        {JINJA_CHAT, "[{{ nosuch }}{% for x in nosuch %}{% endfor %}{{ nosuch or 1 }}]", "[1]"},
    };
    EXPECT_EXAMPLES(rows);
}

static void whitespace(void)
{
    static const struct example rows[] = {
        {JINJA_TASK, "a\n{% if 1 %}\nb\n{% endif %}\nc\n", "a\n\nb\n\nc\n"},
        {JINJA_CHAT, "a\n  {% if 1 %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"},
        {JINJA_CHAT, "  {%+ if 1 +%}\nb{% endif %}", "  \nb"},
        {JINJA_CHAT, "  {# c #}\n  {{ 1 }}\n", "  1"},
        {JINJA_TASK, "a  {%- if 1 -%}  b  {%- endif -%}  c", "abc"},
        {JINJA_TASK, " {{- 1 -}} \n{{ 2 }}", "12"},
        {JINJA_TASK, "{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
        {JINJA_TASK, "a\r\nb\rc", "a\nb\nc"},
    };
    EXPECT_EXAMPLES(rows);
}

static void expressions(void)
{
    static const struct example rows[] = {
        {JINJA_TASK, "{{ 7 // -2 }} {{ -7 % 3 }} {{ 2 ** -1 }} {{ 1 / 2 }} {{ 2 ** 3 ** 2 }}",
         "-4 2 0.5 0.5 64"},
        {JINJA_TASK, "{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'a' ~ 1 ~ none }} {{ not 1 in list }}",
         "True True a1None False"},
        {JINJA_TASK, "{{ text[1] }}{{ text[::-1] }}{{ text[-2:] }}{{ list[-1] }}{{ list[5:] }}",
         "\u00e9oll\u00e9hlo2[]"},
        {JINJA_TASK, "{{ d.a }}{{ d['a'] }}{{ d.items()|list }}{{ {'items': 1}['items'] }}",
         "22[('b', 1), ('a', 2)]1"},
        {JINJA_TASK, "{{ 1e300.is_integer() }} {{ 1.5.is_integer() }} {{ (9e999).is_integer() }}",
         "True False False"},
        {JINJA_TASK, "{{ 'x' if false }}|{{ 'a' if none else 'b' }}", "|b"},
        {JINJA_TASK,
         "{{ '%-4s|%05.1f' % ('a', 2.25) }} {{ '{:>4}|{0!r}'.format('b') if 0 else '' }}",
         "a   |002.2 "},
        {JINJA_TASK,
         "{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.rsplit(none, 1) }}",
         "['a', 'b', '', 'c'] ['a', 'b'] ['a b', 'c']"},
        {JINJA_TASK, "{{ list|sort }} {{ list|map('string')|join('-') }} {{ d|dictsort }}",
         "[1, 2, 3] 3-1-2 [('a', 2), ('b', 1)]"},
        {JINJA_TASK, "{{ tree|selectattr('v', 'gt', 1)|map(attribute='v')|list }}", "[3]"},
        {JINJA_TASK, "{{ tree|groupby('v')|map('first')|list }}", "[1, 3]"},
        {JINJA_TASK, "{{ 0|select|list }}{{ none|map('upper')|list }}{{ '12' % nosuch }}",
         "[][]12"},
        {JINJA_TASK, "{{ nosuch|default('d') }} {{ nosuch is defined }} {{ 5 is divisibleby 5 }}",
         "d False True"},
        {JINJA_TASK, "{{ d|tojson }} {{ '<\u00e9>'|tojson }}",
         "{\"a\": 2, \"b\": 1} \"\\u003c\\u00e9\\u003e\""},
        {JINJA_CHAT, "{{ d|tojson }} {{ '<\u00e9>'|tojson }} {{ list|tojson(indent=1) }}",
         "{\"b\": 1, \"a\": 2} \"<\u00e9>\" [\n 3,\n 1,\n 2\n]"},
        {JINJA_TASK, "{{ '<' ~ 'a'|e }} {{ '<' + ('>'|e) }}", "<a &lt;&gt;"},
        {JINJA_TASK, "{% set l = list %}{% set x = l.append(4) %}{{ list }}", "[3, 1, 2, 4]"},
        {JINJA_TASK, "{{ list }}", "[3, 1, 2]"}, /* the context itself did not change */
        {JINJA_TASK, "{{ 'x y  z'|regex_replace('\\\\s+', '_') }}", "x_y_z"},
    };
    EXPECT_EXAMPLES(rows);
}

struct mistake {
    enum jinja_mode mode;
    const char *where, *text, *want, *kind;
};

static void errors(void)
{
    static const struct mistake rows[] = {
        {JINJA_TASK, "arc.yaml:7", "{{ foo }}", "arc.yaml:7: 'foo' is undefined", "UndefinedError"},
        {JINJA_TASK, "arc.yaml:7", "a\nb{{ foo }}",
         "arc.yaml:7: line 2 of the template: 'foo' is undefined", "UndefinedError"},
        {JINJA_TASK, "t.jinja", "\n\n{% if 1 %}\n{{ d.zz }}{% endif %}",
         "t.jinja:4: 'dict object' has no attribute 'zz'", "UndefinedError"},
        {JINJA_TASK, "t", "{% for x in list %}",
         "t:1: Unexpected end of template. Jinja was looking for the following tags: 'endfor' or "
         "'else'. The innermost block that needs to be closed is 'for'.",
         "TemplateSyntaxError"},
        {JINJA_TASK, "t", "\n{% break %}", "t:2: Encountered unknown tag 'break'.",
         "TemplateSyntaxError"},
        {JINJA_CHAT, "t", "{{ raise_exception('no system role') }}", "t:1: no system role",
         "TemplateError"},
        {JINJA_TASK, "t", "{{ 'a' + 1 }}", "t:1: can only concatenate str (not \"int\") to str",
         "TypeError"},
        {JINJA_CHAT, "t", "{{ d[1:] }}", "t:1: unhashable type: 'slice'", "TypeError"},
        {JINJA_TASK, "t", "{{ x|nosuch }}", "t:1: No filter named 'nosuch'.",
         "TemplateAssertionError"},
        {JINJA_TASK, "t", "{{ 9223372036854775807 + 1 }}",
         "t:1: the result does not fit in a 64-bit integer", "OverflowError"},
        {JINJA_CHAT, "t", "{{ list.append(1) }}",
         "t:1: access to attribute 'append' of 'list' object is unsafe.", "SecurityError"},
        {JINJA_TASK, "t", "{{ list['app' ~ 'end'](1) }}",
         "t:1: access to attribute 'append' of 'list' object is unsafe.", "SecurityError"},
        {JINJA_TASK, "t", "{% import 'x' as y %}",
         "t:1: {% import %} is not supported in a template string: there are no other templates to "
         "load; put their text here",
         "TemplateSyntaxError"},
    };
    struct arena a = {0};
    const struct value *context = sample_context(&a);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        struct jinja *t;
        struct str got;
        if (jinja_compile(&a, str_of(rows[i].text), rows[i].where, rows[i].mode, &t, &err) == 0 &&
            jinja_render(t, &a, context, &got, &err) == 0)
            check_fail(__FILE__, __LINE__, "%s gives %.*s", rows[i].text, STR_ARG(got));
        EXPECT_Z(err.msg, rows[i].want);
        EXPECT_INT(err.code, E_INPUT);
        EXPECT_Z(jinja_error_kind(&err), rows[i].kind);
    }
    arena_free(&a);
}

/* What a hostile model file may hold: each ends soon, with an error. */
static void limits(void)
{
    static const char *const endless[] = {
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}",
        "{% for x in range(99999) %}{% for y in range(99999) %}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "{% endfor %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% "
        "endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% "
        "endfor %}"
        "{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor "
        "%}"
        "{{ ns.x == [ns.x] }}",
        "{{ 'x' * 99999999999 }}",
        "{{ [1] * 99999999999 }}",
        "{{ range(99999999999)|list }}",
        "{{ '%99999999999d' % 1 }}",
        "{{ '{:99999999999}'.format(1) }}",
        "{{ 'x'.center(99999999999) }}",
        "{{ 'x'|indent(99999999999, true) }}",
        "{{ [1]|batch(99999999999, 0) }}",
        "{{ [1]|slice(99999999999) }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set ns = namespace() %}{% set ns.x = ns %}{% for i in range(2000) %}{{ ns.x.x }}{% "
        "endfor %}"
        "{{ ('ab' * 9999999).replace('', 'x' * 99) }}",
        /* w leaves little of the limit, so that these meet it sooner */
        "{% set w = 'w' * 120000000 %}{% set s = 'a' * 999999 %}{% for i in range(99999) %}{% set "
        "x = s.upper() %}{% endfor %}",
        "{% set w = 'w' * 120000000 %}{% set s = 'a' * 999999 %}{% for i in range(99999) %}{% if s "
        "is lower %}{% endif %}{% "
        "endfor %}",
        "{% set w = 'w' * 120000000 %}{% set s = ' ' * 999999 %}{% for i in range(99999) %}{% set "
        "x = s|int %}{% endfor %}",
        "{% set s, t = 'a' * 999999, 'a' * 999999 %}{% for i in range(99999) %}{% if s == t and "
        "s <= t %}{% endif %}{% endfor %}",
        "{% set s = 'a' * 999999 %}{% set d = {s: 1} %}{% for i in range(99999) %}{% set x = "
        "d[s] + d.get(s) %}{% endfor %}",
        "{{ ('b' * 999999).strip('a' * 999999 ~ 'b') }}",
        "{% set w = 'w' * 120000000 %}{{ ('a' * 999999)|wordwrap(1) }}",
    };
    struct arena a = {0};
    const struct value *context = sample_context(&a);
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++)
        for (int mode = JINJA_TASK; mode <= JINJA_CHAT; mode++) {
            struct error err = {0};
            struct str got;
            if (render(&a, str_of(endless[i]), (enum jinja_mode)mode, context, &got, &err) == 0)
                check_fail(__FILE__, __LINE__, "%s ends well", endless[i]);
        }
    const char *const units[] = {"(", "[", "{{ 'a' ~ ", "not ", "-", "{% if 1 %}", "a.", "x|trim"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct error err = {0};
        struct buf b = {0};
        struct str got;
        buf_puts(&b, "{{ ");
        for (int k = 0; k < 20000; k++)
            buf_puts(&b, units[i]);
        EXPECT(render(&a, buf_view(&b), JINJA_CHAT, context, &got, &err) < 0);
        buf_free(&b);
    }
    arena_free(&a);
}

/* -- threads -- */

struct shared {
    const struct jinja *t;
    const struct value *context;
    bool ok;
};

static void *render_often(void *data)
{
    struct shared *s = data;
    s->ok = true;
    for (int i = 0; i < 200; i++) {
        struct arena a = {0};
        struct error err = {0};
        struct str got = {0};
        s->ok &= jinja_render(s->t, &a, s->context, &got, &err) == 0 &&
                 str_eqz(got, "3 1 2 4 [1, 2, 3, 4]");
        arena_free(&a);
    }
    return NULL;
}

static void threads(void)
{
    struct arena a = {0};
    struct error err = {0};
    struct jinja *t;
    const struct value *context = sample_context(&a);
    EXPECT_OK(
        jinja_compile(&a,
                      STR("{% set _ = list.append(4) %}{% for x in list %}{{ x }} {% endfor %}"
                          "{{ list|sort }}"),
                      "t", JINJA_TASK, &t, &err),
        &err);
    struct shared shared[4];
    pthread_t ids[4];
    for (int i = 0; i < 4; i++) {
        shared[i] = (struct shared){t, context, false};
        pthread_create(&ids[i], NULL, render_often, &shared[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(ids[i], NULL);
        EXPECT(shared[i].ok);
    }
    arena_free(&a);
}

CHECK_MAIN({"task_goldens", task_goldens}, {"chat_goldens", chat_goldens},
           {"statements", statements}, {"whitespace", whitespace}, {"expressions", expressions},
           {"errors", errors}, {"limits", limits}, {"threads", threads})
