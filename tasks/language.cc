/* language.cc: CLD2 speaks C++, so this file does. */
#include "tasks/language.h"

#include <climits>
#include <cstdio>
#include <cstring>

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

/* Where CLD2's code is another than langdetect's. */
static const struct {
    const char *cld2, *langdetect;
} renamed[] = {
    {"zh", "zh-cn"}, {"zh-Hant", "zh-tw"}, {"iw", "he"}, {"nb", "no"}, {"jw", "id"}, {"fil", "tl"},
};

extern "C" const char *language_of(const char *text, size_t n)
{
    CLD2::Language best[3];
    int percent[3], bytes;
    double score[3];
    bool reliable;
    const CLD2::CLDHints none = {NULL, NULL, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
    if (n > INT_MAX)
        n = INT_MAX;
    CLD2::ExtDetectLanguageSummary(text, (int)n, true, &none, CLD2::kCLDFlagBestEffort, best,
                                   percent, score, NULL, &bytes, &reliable);
    if (best[0] == CLD2::UNKNOWN_LANGUAGE)
        return "";
    const char *code = CLD2::LanguageCode(best[0]);
    for (const auto &r : renamed)
        if (strcmp(code, r.cld2) == 0)
            return r.langdetect;
    return code;
}
