/* dump_prompts.c: prints what tasks ask, one JSON object a request, to be held against
 * lm-evaluation-harness' own requests:
 *
 *     dump_prompts [--data DIR]... [--include DIR] [--shots N] [--limit N] [--system TEXT]
 *                  [--chat TEMPLATE_FILE] [--multiturn] TASK... */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/jinja.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tasks/task.h"

/* A chat template as transformers renders it; an assistant's last turn is left open. */
static int render_chat(void *arg, struct arena *a, const struct value *messages,
                       bool add_generation_prompt, bool continue_final, struct str *ret,
                       struct error *err)
{
    struct value *context = value_dict(a);
    dict_set(a, context, "messages", value_clone(a, messages));
    dict_set(a, context, "add_generation_prompt", value_bool(a, add_generation_prompt));
    dict_set(a, context, "bos_token", value_strz(a, "<|im_start|>"));
    dict_set(a, context, "eos_token", value_strz(a, "<|im_end|>"));
    int r = jinja_render(arg, a, context, ret, err);
    if (r < 0 || !continue_final)
        return r;
    struct str last = dict_get(messages->list.items[messages->list.n - 1], "content")->s;
    struct str bare = utf8_strip(last, STRIP_BOTH, NULL), open = utf8_strip(last, STRIP_LEFT, NULL);
    size_t at = SIZE_MAX;
    for (size_t i = 0; (i = str_find(*ret, bare, i)) != SIZE_MAX; i++)
        at = i;
    if (at != SIZE_MAX)
        ret->n = at + (str_starts(str_slice(*ret, at, ret->n), open) ? open.n : bare.n);
    return 0;
}

static void print_text(struct buf *b, const char *key, struct str s)
{
    buf_printf(b, ", \"%s\": ", key);
    buf_json_str(b, s, false);
}

static void print_request(const struct task_info *info, const struct asked *q,
                          const struct request *r)
{
    struct buf b = {0};
    buf_puts(&b, "{\"task\": ");
    buf_json_str(&b, str_of(info->name), false);
    buf_printf(&b, ", \"doc_id\": %lld, \"idx\": %d", (long long)q->doc_id, r->idx);
    print_text(&b, "target", q->target);
    print_text(&b, "context", r->context);
    if (r->kind == REQUEST_LOGLIKELIHOOD)
        print_text(&b, "continuation", r->continuation);
    if (r->kind == REQUEST_GENERATE_UNTIL) {
        buf_printf(&b, ", \"max_gen_toks\": %d, \"temperature\": ", r->max_gen_toks);
        buf_float(&b, r->sampling.temperature);
        buf_puts(&b, ", \"until\": [");
        for (int i = 0; i < r->n_until; i++) {
            buf_puts(&b, i ? ", " : "");
            buf_json_str(&b, r->until[i], false);
        }
        buf_char(&b, ']');
    }
    buf_puts(&b, "}\n");
    fwrite(b.p, 1, b.n, stdout);
    buf_free(&b);
}

static int dump_task(const struct task_ref *ref, const struct task_options *o, struct error *err)
{
    struct task *t;
    struct arena a = {0};
    int r = task_open(ref, o, &t, err);
    if (r < 0)
        return r;
    const struct task_info *info = task_info(t);
    for (int i = 0; i < info->n_notes; i++)
        fprintf(stderr, "note: %s: %s\n", info->name, info->notes[i]);
    for (int64_t i = 0; i < info->n_eval && r == 0; i++) {
        struct asked q;
        struct arena_mark m = arena_mark(&a);
        r = task_ask(t, &a, i, &q, err);
        for (int k = 0; r == 0 && k < q.n_requests; k++)
            print_request(info, &q, &q.requests[k]);
        arena_reset(&a, m);
    }
    arena_free(&a);
    task_close(t);
    return r;
}

static int dump(const char *const *names, int n_names, const char *include,
                const struct task_options *o, struct error *err)
{
    struct catalog *c;
    struct selection s;
    int r = catalog_open(&include, include ? 1 : 0, &c, err);
    if (r < 0)
        return r;
    r = catalog_select(c, names, n_names, &s, err);
    for (int i = 0; r == 0 && i < s.n; i++)
        if (!s.refs[i].is_group)
            r = dump_task(&s.refs[i], o, err);
    catalog_close(c);
    return r;
}

int main(int argc, char **argv)
{
    const char *dirs[16], *names[64], *include = NULL, *chat = NULL;
    struct task_options o = {.data_dirs = dirs,
                             .num_fewshot = -1,
                             .fewshot_seed = 1234,
                             .limit = -1,
                             .allow_unsandboxed = true};
    int n_names = 0, r = 0;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        bool takes = true;
        if (strcmp(arg, "--data") == 0 && o.n_data_dirs < 16)
            dirs[o.n_data_dirs++] = value;
        else if (strcmp(arg, "--include") == 0)
            include = value;
        else if (strcmp(arg, "--shots") == 0)
            o.num_fewshot = atoi(value);
        else if (strcmp(arg, "--limit") == 0)
            o.limit = atof(value);
        else if (strcmp(arg, "--system") == 0)
            o.system_instruction = value;
        else if (strcmp(arg, "--chat") == 0)
            chat = value;
        else
            takes = false;
        if (takes)
            i++;
        else if (strcmp(arg, "--multiturn") == 0)
            o.fewshot_as_multiturn = true;
        else if (n_names < 64)
            names[n_names++] = arg;
    }
    struct arena a = {0};
    struct error err = {0};
    struct str text;
    struct jinja *template = NULL;
    if (chat && (r = file_read(&a, chat, 1 << 20, &text, &err)) == 0 &&
        (r = jinja_compile(&a, text, chat, JINJA_CHAT, &template, &err)) == 0) {
        o.chat = render_chat;
        o.chat_arg = template;
    }
    if (r == 0)
        r = dump(names, n_names, include, &o, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.msg);
    arena_free(&a);
    return r < 0;
}
