/* prompt.c: from a document to requests, letter for letter as lm-evaluation-harness' api/task.py
 * (fewshot_context, build_qa_turn, construct_requests) and api/utils.py.
 *
 * A prompt is a list of messages. As plain text each is followed by its delimiter; for a chat
 * template they are its turns, or, unless few-shot examples are turns of their own, one user turn
 * that holds the plain text. */
#include "base/utf8.h"
#include "tasks/data.h"
#include "tasks/scoring.h"
#include "tasks/task_internal.h"
#include "tasks/template.h"

struct message {
    const char *role;
    struct str content, delimiter;
};

struct messages {
    struct message *items;
    size_t n;
};

/* ---- white space at joins ---- */

static bool starts_with_space(struct str s)
{
    size_t i = 0;
    return s.n > 0 && utf8_is_space(utf8_next(s, &i));
}

static bool ends_with_space(struct str s)
{
    size_t i = s.n;
    while (i > 0 && ((unsigned char)s.p[i - 1] & 0xc0) == 0x80)
        i--;
    return i > 0 && starts_with_space(str_slice(s, i - 1, s.n));
}

/* The two joined by the delimiter, which is left out where one is empty or there is white space at
 * the join. */
static struct str maybe_delimit(struct arena *a, struct str prefix, struct str suffix,
                                struct str delimiter)
{
    if (prefix.n == 0)
        return suffix;
    if (suffix.n == 0)
        return prefix;
    if (!ends_with_space(prefix) && !starts_with_space(suffix))
        prefix = str_cat(a, prefix, delimiter);
    return str_cat(a, prefix, suffix);
}

/* ---- turns ---- */

/* One question, with its answer where it is an example. */
struct turn {
    const struct value *question; /* str */
    const struct value *choices;  /* a list, or NULL */
    const struct value *answer;   /* NULL for the question that is asked */
    struct str gen_prefix;        /* n == 0: none */
    struct str target_delimiter, fewshot_delimiter;
};

static bool is_index(const struct value *v, int64_t *i)
{
    if (v->type == VALUE_INT)
        *i = v->i;
    else if (v->type == VALUE_BOOL)
        *i = v->b;
    else
        return false;
    return true;
}

/* list[i], with Python's negative indices. */
static int choice_at(const struct value *list, int64_t i, const struct value **ret,
                     struct error *err)
{
    int64_t n = (int64_t)list->list.n;
    if (i < -n || i >= n)
        return error_set(err, E_INPUT, "the answer is choice %lld, but there are %lld choices",
                         (long long)i, (long long)n);
    *ret = list->list.items[i < 0 ? i + n : i];
    return 0;
}

static int answer_text(const struct turn *turn, struct str *ret, struct error *err)
{
    const struct value *v = turn->answer;
    int64_t i;
    int r = 0;
    if (turn->choices && is_index(v, &i))
        r = choice_at(turn->choices, i, &v, err);
    else if (v->type == VALUE_LIST && v->list.n > 0)
        v = v->list.items[0];
    if (r < 0)
        return r;
    if (v->type != VALUE_STR)
        return error_set(err, E_INPUT,
                         "the answer is of type %s where text is needed; in the task file, make "
                         "doc_to_target a template that gives text, or add doc_to_choice",
                         value_type_name(v));
    *ret = v->s;
    return 0;
}

static int add_turn(struct arena *a, struct messages *m, const struct turn *turn, struct error *err)
{
    const struct value *q = turn->question;
    if (q->type != VALUE_STR)
        return error_set(err, E_INPUT, "doc_to_text gives a value of type %s where text is needed",
                         value_type_name(q));
    const struct value *v = turn->answer;
    bool has_answer = v && v->type != VALUE_NONE && !(v->type == VALUE_STR && v->s.n == 0);
    struct str prefix = turn->gen_prefix, text;
    bool open = prefix.n && q->s.n && !ends_with_space(q->s) && !starts_with_space(prefix);
    bool delimit = prefix.n ? open : has_answer;
    m->items[m->n++] = (struct message){"user", q->s, delimit ? turn->target_delimiter : STR("")};
    if (has_answer) {
        int r = answer_text(turn, &text, err);
        if (r < 0)
            return r;
        text = maybe_delimit(a, prefix, text, STR(" "));
        m->items[m->n++] = (struct message){"assistant", text, turn->fewshot_delimiter};
    } else if (prefix.n) {
        m->items[m->n++] = (struct message){"assistant", prefix, STR("")};
    }
    return 0;
}

/* ---- rendering ---- */

static struct str join(struct arena *a, const struct message *items, size_t n, bool drop_last)
{
    struct buf b = {0};
    for (size_t i = 0; i < n; i++) {
        buf_str(&b, items[i].content);
        if (i + 1 < n || !drop_last)
            buf_str(&b, items[i].delimiter);
    }
    return buf_take(&b, a);
}

static void push_message(struct arena *a, struct value *list, const char *role, struct str content)
{
    struct value *d = value_dict(a);
    dict_set(a, d, "role", value_strz(a, role));
    dict_set(a, d, "content", value_str(a, content));
    list_push(a, list, d);
}

/* What the chat template gets. */
static const struct value *chat_messages(const struct task *t, struct arena *a,
                                         const struct messages *m)
{
    struct value *list = value_list(a);
    const struct message *items = m->items;
    size_t n = m->n;
    if (n && strcmp(items[0].role, "system") == 0) {
        if (!t->no_system)
            push_message(a, list, items[0].role, items[0].content);
        items++;
        n--;
    }
    if (t->fewshot_as_multiturn) {
        for (size_t i = 0; i < n; i++)
            push_message(a, list, items[i].role, items[i].content);
        return list;
    }
    bool prefilled = n && strcmp(items[n - 1].role, "assistant") == 0;
    push_message(a, list, "user", join(a, items, prefilled ? n - 1 : n, true));
    if (prefilled)
        push_message(a, list, "assistant", items[n - 1].content);
    return list;
}

static int render(const struct task *t, struct arena *a, const struct messages *m, bool prefilled,
                  struct str *ret, struct error *err)
{
    if (!t->chat) {
        *ret = join(a, m->items, m->n, false);
        return 0;
    }
    return t->chat(t->chat_arg, a, chat_messages(t, a, m), !prefilled, prefilled, ret, err);
}

/* ---- a prompt ---- */

/* An optional text field; *ret is "" when it is not given. */
static int text_field(const struct field *f, struct arena *a, const struct value *doc,
                      const char *key, struct str *ret, struct error *err)
{
    const struct value *v;
    *ret = STR("");
    int r = f ? field_value(f, a, doc, &v, err) : 0;
    if (r < 0 || !f)
        return r;
    if (v->type != VALUE_STR)
        return error_set(err, E_INPUT, "%s gives a value of type %s where text is needed", key,
                         value_type_name(v));
    *ret = v->s;
    return 0;
}

static int add_system(const struct task *t, struct arena *a, const struct value *doc,
                      struct messages *m, struct error *err)
{
    struct str description;
    int r = text_field(t->description, a, doc, "description", &description, err);
    if (r < 0)
        return r;
    struct str text = maybe_delimit(a, t->system_instruction, description, t->fewshot_delimiter);
    if (text.n)
        m->items[m->n++] = (struct message){"system", text, STR("")};
    return 0;
}

static int add_shot(const struct task *t, struct arena *a, const struct value *doc,
                    struct messages *m, struct error *err)
{
    struct turn turn = {.target_delimiter = t->shot_target_delimiter,
                        .fewshot_delimiter = t->shot_delimiter};
    int64_t i;
    int r = 0;
    if ((r = field_value(t->shot_text, a, doc, &turn.question, err)) < 0 ||
        (t->shot_choice && (r = field_value(t->shot_choice, a, doc, &turn.choices, err)) < 0) ||
        (r = field_value(t->shot_target, a, doc, &turn.answer, err)) < 0 ||
        (r = text_field(t->shot_prefix, a, doc, "gen_prefix", &turn.gen_prefix, err)) < 0)
        return r;
    if (t->multiple_input && turn.choices && is_index(turn.question, &i)) {
        if ((r = choice_at(turn.choices, i, &turn.question, err)) < 0)
            return r;
        turn.choices = NULL;
    }
    return add_turn(a, m, &turn, err);
}

static int add_shots(const struct task *t, struct arena *a, const size_t *shots, struct messages *m,
                     struct error *err)
{
    for (int i = 0; i < t->info.num_fewshot && shots; i++) {
        const struct value *doc;
        int64_t k = (int64_t)shots[i];
        int r = docs_get(t->pool, a, k, &doc, err);
        if (r < 0)
            return error_prefix(err, "a few-shot example: ");
        if ((r = add_shot(t, a, doc, m, err)) < 0)
            return error_prefix(err, "few-shot example %s: ", docs_where(t->pool, a, k));
    }
    return 0;
}

/* One prompt, or one for each choice where the choices are contexts. */
static int build_contexts(const struct task *t, struct arena *a, const struct value *doc,
                          const size_t *shots, const struct value *choices, struct str *ret,
                          struct error *err)
{
    struct messages m = {arena_array(a, 2 * (size_t)t->info.num_fewshot + 4, sizeof *m.items), 0};
    struct turn turn = {.target_delimiter = t->target_delimiter};
    int r = 0;
    if ((r = add_system(t, a, doc, &m, err)) < 0 || (r = add_shots(t, a, shots, &m, err)) < 0 ||
        (r = field_value(t->text, a, doc, &turn.question, err)) < 0 ||
        (r = text_field(t->prefix, a, doc, "gen_prefix", &turn.gen_prefix, err)) < 0)
        return r;
    size_t n = t->multiple_input ? choices->list.n : 1, shared = m.n;
    if (t->multiple_input)
        turn.target_delimiter = STR("");
    for (size_t i = 0; i < n && r == 0; i++) {
        m.n = shared;
        if (t->multiple_input)
            turn.question = choices->list.items[i];
        r = add_turn(a, &m, &turn, err);
        if (r == 0)
            r = render(t, a, &m, turn.gen_prefix.n > 0, &ret[i], err);
    }
    return r;
}

int prompt_check_system(struct task *t, const struct value *doc, struct error *err)
{
    if (!t->chat)
        return 0;
    struct arena a = {0};
    struct message items[2];
    struct messages m = {items, 0};
    struct error refused;
    struct str text;
    int r = add_system(t, &a, doc, &m, err);
    if (r == 0 && m.n) {
        items[m.n++] = (struct message){"user", STR("?"), STR("")};
        if (render(t, &a, &m, false, &text, &refused) < 0) {
            t->no_system = true;
            r = render(t, &a, &m, false, &text, err);
        }
    }
    arena_free(&a);
    return r;
}

/* ---- requests ---- */

struct request_list {
    struct request *items;
    int n;
};

static void add_request(const struct task *t, struct request_list *l, int64_t doc_id,
                        struct request q)
{
    q.kind = t->info.kind;
    q.doc_id = doc_id;
    for (int k = 0; k < t->repeats; k++) {
        q.idx = l->n;
        l->items[l->n++] = q;
    }
}

static bool asks_unconditionally(const struct task *t)
{
    for (int i = 0; i < t->n_metrics; i++)
        if (strcmp(t->metrics[i].name, "acc_mutual_info") == 0)
            return true;
    return false;
}

static void list_choices(struct arena *a, const struct value *choices, struct asked *ret)
{
    struct str *list = arena_array(a, choices->list.n, sizeof *list);
    for (size_t i = 0; i < choices->list.n; i++)
        list[i] = choices->list.items[i]->s;
    ret->choices = list;
    ret->n_choices = (int)choices->list.n;
}

static int ask_choices(const struct task *t, struct arena *a, const struct value *doc,
                       const size_t *shots, struct request_list *l, struct asked *ret,
                       struct error *err)
{
    const struct value *choices;
    int r = field_value(t->choice, a, doc, &choices, err);
    if (r < 0)
        return r;
    list_choices(a, choices, ret);
    int n = ret->n_choices;
    bool twice = asks_unconditionally(t);
    struct str *contexts = arena_array(a, (size_t)n, sizeof *contexts);
    struct str delimiter = t->chat && !t->gen_prefix_open ? STR("") : t->target_delimiter;
    l->items = arena_array(a, (size_t)(2 * n) * (size_t)t->repeats, sizeof *l->items);
    if ((r = build_contexts(t, a, doc, shots, choices, contexts, err)) < 0)
        return r;
    for (int i = 0; i < n; i++) {
        struct str text = t->multiple_input ? ret->target : ret->choices[i];
        add_request(t, l, ret->doc_id,
                    (struct request){.context = contexts[t->multiple_input ? i : 0],
                                     .continuation = str_cat(a, delimiter, text)});
    }
    for (int i = 0; twice && i < n; i++)
        add_request(t, l, ret->doc_id,
                    (struct request){.unconditional = true,
                                     .context = STR(""),
                                     .continuation = str_cat(a, delimiter, ret->choices[i])});
    return 0;
}

static int ask_one(const struct task *t, struct arena *a, const struct value *doc,
                   const size_t *shots, const struct value *target, struct request_list *l,
                   struct asked *ret, struct error *err)
{
    struct request q = {0};
    int r = 0;
    if (t->output != OUTPUT_GENERATE_UNTIL && target->type != VALUE_STR)
        return error_set(err, E_INPUT, "doc_to_target gives a value of type %s; %s needs text",
                         value_type_name(target), t->info.output_type);
    if (t->output == OUTPUT_LOGLIKELIHOOD_ROLLING)
        q.context = target->s;
    else
        r = build_contexts(t, a, doc, shots, NULL, &q.context, err);
    if (t->output == OUTPUT_LOGLIKELIHOOD)
        q.continuation = target->s;
    if (t->output == OUTPUT_GENERATE_UNTIL) {
        q.until = t->until;
        q.n_until = t->n_until;
        q.max_gen_toks = t->max_gen_toks;
        q.sampling = t->sampling;
    }
    const char *beside = t->scoring->process->also_asks;
    l->items = arena_array(a, (size_t)(2 * t->repeats), sizeof *l->items);
    if (r < 0)
        return r;
    add_request(t, l, ret->doc_id, q);
    if (beside) {
        struct request more = {.context = q.context, .continuation = str_of(beside)};
        add_request(t, l, ret->doc_id, more);
        for (int i = l->n - t->repeats; i < l->n; i++)
            l->items[i].kind = REQUEST_LOGLIKELIHOOD;
    }
    return 0;
}

static int ask_texts(const struct task *t, struct arena *a, const struct value *doc,
                     struct request_list *l, struct asked *ret, struct error *err)
{
    const struct value *texts;
    int r = field_value(t->choice, a, doc, &texts, err);
    if (r < 0)
        return r;
    if (texts->list.n != 2)
        return error_set(err, E_INPUT,
                         "doc_to_choice gives %zu texts, and the similarity of two is asked for",
                         texts->list.n);
    l->items = arena_array(a, 2 * (size_t)t->repeats, sizeof *l->items);
    for (int i = 0; i < 2; i++)
        add_request(t, l, ret->doc_id, (struct request){.context = texts->list.items[i]->s});
    return 0;
}

int prompt_build(const struct task *t, struct arena *a, const struct value *doc, int64_t doc_id,
                 const size_t *shots, struct asked *ret, struct error *err)
{
    struct asked asked = {.doc_id = doc_id, .doc = doc};
    struct request_list l = {0};
    const struct value *target;
    int r = field_value(t->target, a, doc, &target, err);
    if (r < 0)
        return r;
    asked.target = value_tostr(a, target);
    r = t->output == OUTPUT_SIMILARITY        ? ask_texts(t, a, doc, &l, &asked, err)
        : t->output == OUTPUT_MULTIPLE_CHOICE ? ask_choices(t, a, doc, shots, &l, &asked, err)
                                              : ask_one(t, a, doc, shots, target, &l, &asked, err);
    if (r < 0)
        return r;
    asked.requests = l.items;
    asked.n_requests = l.n;
    *ret = asked;
    return 0;
}
