/* chat.h: a conversation as the prompt that a model was tuned on, by its Jinja template. */
#ifndef ASSAY_BACKENDS_LOCAL_CHAT_H
#define ASSAY_BACKENDS_LOCAL_CHAT_H

#include "backends/local/tokenizer.h"
#include "base/jinja.h"

/* As backend_render_chat() (backend.h says it), with transformers' variables: messages,
 * add_generation_prompt, bos_token and eos_token where there are any, tools and documents none. */
int chat_render(const struct jinja *template, const struct tokenizer_info *info, struct arena *a,
                const struct value *messages, bool add_generation_prompt, bool continue_final,
                struct str *ret, struct error *err);

#endif
