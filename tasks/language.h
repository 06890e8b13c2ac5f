/* language.h: which language a text is in, by CLD2 (Debian's libcld2). */
#ifndef ASSAY_TASKS_LANGUAGE_H
#define ASSAY_TASKS_LANGUAGE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The code that langdetect has for it ("en", "pt", "zh-cn"); "" when the text is too short or
 * mixed to tell. The text is UTF-8. */
const char *language_of(const char *text, size_t n);

#ifdef __cplusplus
}
#endif

#endif
