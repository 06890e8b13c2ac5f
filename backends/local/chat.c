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

/* transformers' continue_final_message: the last message is rendered with this behind it, and the
 * text is cut there. White space at the message's end stays where the template keeps it: a template
 * that trims takes the tag's own space too. */
static const struct str final_tag = STR("CONTINUE_FINAL_MESSAGE_TAG ");

static const struct value *with_tag(struct arena *a, const struct value *messages)
{
    struct value *tagged = value_list(a);
    for (size_t i = 0; i < messages->list.n; i++) {
        struct value *m = messages->list.items[i], *content = dict_get(m, "content");
        if (i + 1 == messages->list.n && content && content->type == VALUE_STR) {
            m = value_clone(a, m);
            dict_set(a, m, "content", value_str(a, str_cat(a, content->s, final_tag)));
        }
        list_push(a, tagged, m);
    }
    return tagged;
}

static int cut_at_tag(struct str *text, struct error *err)
{
    struct str bare = str_slice(final_tag, 0, final_tag.n - 1);
    size_t at = SIZE_MAX;
    for (size_t next = 0; (next = str_find(*text, bare, next)) != SIZE_MAX; next++)
        at = next;
    if (at == SIZE_MAX)
        return error_set(err, E_INPUT,
                         "the chat template does not show the last message's text, so that it "
                         "cannot be continued; run without gen_prefix or without "
                         "--apply_chat_template");
    bool kept = str_starts(str_slice(*text, at, text->n), final_tag);
    *text = str_slice(*text, 0, at);
    if (!kept)
        *text = utf8_strip(*text, STRIP_RIGHT, NULL);
    return 0;
}

int chat_render(const struct jinja *template, const struct tokenizer_info *info, struct arena *a,
                const struct value *messages, bool add_generation_prompt, bool continue_final,
                struct str *ret, struct error *err)
{
    struct str text;
    struct error first = {0};
    if (continue_final)
        messages = with_tag(a, messages);
    int r = render(template, info, a, messages, add_generation_prompt, &text, &first);
    if (r < 0) {
        struct value *rest = without_system(a, messages);
        if (rest->list.n == messages->list.n)
            return error_set(err, r, "%s", first.msg);
        if ((r = render(template, info, a, rest, add_generation_prompt, &text, err)) < 0)
            return r;
    }
    if (continue_final && (r = cut_at_tag(&text, err)) < 0)
        return r;
    *ret = text;
    return 0;
}
