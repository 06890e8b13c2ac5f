#include "backends/local/chat.h"

#include "base/utf8.h"

static int render(const struct jinja *template, const struct tokenizer_info *info, struct arena *a,
                  const struct value *messages, bool add_generation_prompt, struct str *ret,
                  struct error *err)
{
    struct value *context = value_dict(a);
    dict_set(a, context, "messages", (struct value *)(uintptr_t)messages);
    dict_set(a, context, "add_generation_prompt", value_bool(a, add_generation_prompt));
    dict_set(a, context, "tools", value_none(a));
    dict_set(a, context, "documents", value_none(a));
    if (*info->bos_text)
        dict_set(a, context, "bos_token", value_strz(a, info->bos_text));
    if (*info->eos_text)
        dict_set(a, context, "eos_token", value_strz(a, info->eos_text));
    return jinja_render(template, a, context, ret, err);
}

static struct value *without_system(struct arena *a, const struct value *messages)
{
    struct value *rest = value_list(a);
    for (size_t i = 0; i < messages->list.n; i++) {
        const struct value *role = dict_get(messages->list.items[i], "role");
        if (!role || role->type != VALUE_STR || !str_eqz(role->s, "system"))
            list_push(a, rest, messages->list.items[i]);
    }
    return rest;
}

/* Cuts behind the last message, whose end the template has closed (transformers'
 * continue_final_message): white space at its end stays where the template kept it. */
static int cut_behind_final(const struct value *messages, struct str *text, struct error *err)
{
    const struct value *last = messages->list.n ? messages->list.items[messages->list.n - 1] : NULL;
    const struct value *content = dict_get(last, "content");
    struct str want = content && content->type == VALUE_STR ? content->s : STR("");
    struct str core = utf8_strip(want, STRIP_BOTH, NULL);
    size_t at = SIZE_MAX;
    for (size_t next = 0; (next = str_find(*text, core, next)) != SIZE_MAX && next < text->n;)
        at = next++;
    if (core.n == 0 || at == SIZE_MAX)
        return error_set(err, E_INPUT,
                         "the chat template does not show the last message's text, so that it "
                         "cannot be continued; run without gen_prefix or without "
                         "--apply_chat_template");
    struct str left = utf8_strip(want, STRIP_LEFT, NULL);
    bool kept = left.n == want.n && str_eq(str_slice(*text, at, at + left.n), want);
    *text = str_slice(*text, 0, at + (kept ? left.n : core.n));
    return 0;
}

int chat_render(const struct jinja *template, const struct tokenizer_info *info, struct arena *a,
                const struct value *messages, bool add_generation_prompt, bool continue_final,
                struct str *ret, struct error *err)
{
    struct str text;
    struct error first = {0};
    int r = render(template, info, a, messages, add_generation_prompt, &text, &first);
    if (r < 0) {
        struct value *rest = without_system(a, messages);
        if (rest->list.n == messages->list.n)
            return error_set(err, r, "%s", first.msg);
        if ((r = render(template, info, a, rest, add_generation_prompt, &text, err)) < 0)
            return r;
        messages = rest;
    }
    if (continue_final && (r = cut_behind_final(messages, &text, err)) < 0)
        return r;
    *ret = text;
    return 0;
}
