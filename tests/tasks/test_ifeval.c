/* test_ifeval.c: the 25 kinds of instructions, on texts written for this test. The verdicts are
 * those of lm-evaluation-harness 0.4.13's ifeval task on the same texts. */
#include "base/json.h"
#include "tasks/ifeval.h"
#include "tasks/sentences.h"
#include "tests/check.h"

static struct error err;
static struct arena arena;

static const struct {
    const char *id, *args, *answer;
    int strict, loose;
} cases[] = {
    /* clang-format off */
    {"keywords:existence", "{\"keywords\": [\"river\", \"boat\"]}",
     "The River has a boat.", 1, 1},
    {"keywords:existence", "{\"keywords\": [\"river\", \"boat\"]}",
     "Only a river.", 0, 0},
    {"keywords:existence", "{\"keywords\": [\"river\", \"boat\"]}",
     "x\nriver boat\ny", 1, 1},
    {"keywords:frequency", "{\"keyword\": \"tea\", \"frequency\": 2, \"relation\": \"at least\"}",
     "Tea and tea.", 1, 1},
    {"keywords:frequency", "{\"keyword\": \"tea\", \"frequency\": 2, \"relation\": \"at least\"}",
     "tea", 0, 0},
    {"keywords:frequency", "{\"keyword\": \"tea\", \"frequency\": 2, \"relation\": \"at least\"}",
     "Steam tea", 1, 1},
    {"keywords:frequency", "{\"keyword\": \"tea\", \"frequency\": 2, \"relation\": \"less than\"}",
     "Tea and tea.", 0, 0},
    {"keywords:frequency", "{\"keyword\": \"tea\", \"frequency\": 2, \"relation\": \"less than\"}",
     "tea", 1, 1},
    {"keywords:forbidden_words", "{\"forbidden_words\": [\"cat\", \"dog\"]}",
     "No pets.", 1, 1},
    {"keywords:forbidden_words", "{\"forbidden_words\": [\"cat\", \"dog\"]}",
     "A CAT!", 0, 0},
    {"keywords:forbidden_words", "{\"forbidden_words\": [\"cat\", \"dog\"]}",
     "concatenate", 1, 1},
    {"keywords:forbidden_words", "{\"forbidden_words\": [\"cat\", \"dog\"]}",
     "cat\nfine", 0, 1},
    {"keywords:letter_frequency", "{\"letter\": \"a\", \"let_frequency\": 3, \"let_relation\": \"at least\"}",
     "banana", 1, 1},
    {"keywords:letter_frequency", "{\"letter\": \"a\", \"let_frequency\": 3, \"let_relation\": \"at least\"}",
     "Anna", 0, 0},
    {"keywords:letter_frequency", "{\"letter\": \"a\", \"let_frequency\": 3, \"let_relation\": \"at least\"}",
     "b", 0, 0},
    {"language:response_language", "{\"language\": \"de\"}",
     "Der schnelle braune Fuchs springt über den faulen Hund, und niemand hat es gesehen.", 1, 1},
    {"language:response_language", "{\"language\": \"de\"}",
     "The quick brown fox jumps over the lazy dog, and nobody saw it happen.", 0, 0},
    {"language:response_language", "{\"language\": \"de\"}",
     "***", 1, 1},
    {"length_constraints:number_sentences", "{\"num_sentences\": 3, \"relation\": \"at least\"}",
     "One. Two! Three?", 1, 1},
    {"length_constraints:number_sentences", "{\"num_sentences\": 3, \"relation\": \"at least\"}",
     "Dr. Smith came at 5 p.m. yesterday. He left.", 0, 0},
    {"length_constraints:number_sentences", "{\"num_sentences\": 3, \"relation\": \"at least\"}",
     "It cost 3.50 dollars. \"Really?\" she asked. Yes.", 1, 1},
    {"length_constraints:number_sentences", "{\"num_sentences\": 3, \"relation\": \"at least\"}",
     "One... two. three", 0, 0},
    {"length_constraints:number_sentences", "{\"num_sentences\": 2, \"relation\": \"less than\"}",
     "Only one, at 5 p.m. today.", 1, 1},
    {"length_constraints:number_sentences", "{\"num_sentences\": 2, \"relation\": \"less than\"}",
     "One. Two.", 0, 0},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\": 2}",
     "a\n***\nb", 1, 1},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\": 2}",
     "a", 0, 0},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\": 2}",
     "***a***b***", 1, 1},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\": 2}",
     "a******b", 0, 0},
    {"length_constraints:number_words", "{\"num_words\": 4, \"relation\": \"at least\"}",
     "It's a day", 1, 1},
    {"length_constraints:number_words", "{\"num_words\": 4, \"relation\": \"at least\"}",
     "one two", 0, 0},
    {"length_constraints:number_words", "{\"num_words\": 4, \"relation\": \"at least\"}",
     "über-groß a b", 1, 1},
    {"length_constraints:nth_paragraph_first_word", "{\"num_paragraphs\": 2, \"nth_paragraph\": 2, \"first_word\": \"Then\"}",
     "First.\n\n\"Then, it rained.", 1, 1},
    {"length_constraints:nth_paragraph_first_word", "{\"num_paragraphs\": 2, \"nth_paragraph\": 2, \"first_word\": \"Then\"}",
     "First.\n\nNow.", 0, 0},
    {"length_constraints:nth_paragraph_first_word", "{\"num_paragraphs\": 2, \"nth_paragraph\": 2, \"first_word\": \"Then\"}",
     "One.\n\nThen\n\nThree.", 0, 1},
    {"detectable_content:number_placeholders", "{\"num_placeholders\": 2}",
     "Dear [name], from [place].", 1, 1},
    {"detectable_content:number_placeholders", "{\"num_placeholders\": 2}",
     "[a", 0, 0},
    {"detectable_content:number_placeholders", "{\"num_placeholders\": 2}",
     "[a][b\n]", 0, 0},
    {"detectable_content:postscript", "{\"postscript_marker\": \"P.S.\"}",
     "Bye.\nP.S. Write soon.", 1, 1},
    {"detectable_content:postscript", "{\"postscript_marker\": \"P.S.\"}",
     "p. s. x", 1, 1},
    {"detectable_content:postscript", "{\"postscript_marker\": \"P.S.\"}",
     "PS x", 0, 0},
    {"detectable_content:postscript", "{\"postscript_marker\": \"P.P.S\"}",
     "Bye.\nP.P.S More.", 1, 1},
    {"detectable_content:postscript", "{\"postscript_marker\": \"P.P.S\"}",
     "p. p.s", 1, 1},
    {"detectable_content:postscript", "{\"postscript_marker\": \"P.P.S\"}",
     "P.S. x", 0, 0},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\": 2}",
     "* a\n* b", 1, 1},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\": 2}",
     "- a\n  - b", 1, 1},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\": 2}",
     "** a\n* b", 0, 0},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\": 2}",
     "Intro\n* a\n* b", 1, 1},
    {"detectable_format:constrained_response", "{}",
     "My answer is yes.", 1, 1},
    {"detectable_format:constrained_response", "{}",
     "Yes.", 0, 0},
    {"detectable_format:constrained_response", "{}",
     "So: My answer is maybe. Ok.", 1, 1},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\": 2}",
     "*a* and *b*", 1, 1},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\": 2}",
     "**a**", 0, 0},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\": 2}",
     "* * *b*", 0, 0},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\": 2}",
     "*a\nb* *c*", 0, 0},
    {"detectable_format:multiple_sections", "{\"section_spliter\": \"SECTION\", \"num_sections\": 2}",
     "SECTION 1\na\nSECTION 2\nb", 1, 1},
    {"detectable_format:multiple_sections", "{\"section_spliter\": \"SECTION\", \"num_sections\": 2}",
     "SECTION one", 0, 0},
    {"detectable_format:multiple_sections", "{\"section_spliter\": \"SECTION\", \"num_sections\": 2}",
     "Section 1 Section 2", 0, 0},
    {"detectable_format:json_format", "{}",
     "{\"a\": [1, 2]}", 1, 1},
    {"detectable_format:json_format", "{}",
     "```json\n{\"a\": 1}\n```", 1, 1},
    {"detectable_format:json_format", "{}",
     "{a: 1}", 0, 0},
    {"detectable_format:json_format", "{}",
     "NaN", 1, 1},
    {"detectable_format:json_format", "{}",
     "Here it is:\n{\"a\": 1}", 0, 1},
    {"detectable_format:title", "{}",
     "<<A song>>\nla", 1, 1},
    {"detectable_format:title", "{}",
     "<< >>", 0, 0},
    {"detectable_format:title", "{}",
     "<<<>>>", 0, 0},
    {"detectable_format:title", "{}",
     "<<a\nb>>", 0, 0},
    {"combination:two_responses", "{}",
     "a******b", 1, 1},
    {"combination:two_responses", "{}",
     "a******a", 0, 0},
    {"combination:two_responses", "{}",
     "a******b******c", 0, 0},
    {"combination:two_responses", "{}",
     "******a******b", 1, 1},
    {"combination:two_responses", "{}",
     "a************b", 0, 0},
    {"combination:repeat_prompt", "{\"prompt_to_repeat\": \"Say hello.\"}",
     "say Hello. Hello!", 1, 1},
    {"combination:repeat_prompt", "{\"prompt_to_repeat\": \"Say hello.\"}",
     "Hello!", 0, 0},
    {"combination:repeat_prompt", "{\"prompt_to_repeat\": \"Say hello.\"}",
     "Sure:\nSay hello. Hi", 0, 1},
    {"startend:end_checker", "{\"end_phrase\": \"Is that all?\"}",
     "Bye. is that all?\"", 1, 1},
    {"startend:end_checker", "{\"end_phrase\": \"Is that all?\"}",
     "Is that all? Yes.", 0, 0},
    {"startend:end_checker", "{\"end_phrase\": \"Is that all?\"}",
     "x Is that all?\nYes", 0, 1},
    {"change_case:capital_word_frequency", "{\"capital_frequency\": 3, \"capital_relation\": \"at least\"}",
     "NASA and the USA met the CEO.", 1, 1},
    {"change_case:capital_word_frequency", "{\"capital_frequency\": 3, \"capital_relation\": \"at least\"}",
     "I CANNOT go", 1, 1},
    {"change_case:capital_word_frequency", "{\"capital_frequency\": 3, \"capital_relation\": \"at least\"}",
     "I am A-OK", 0, 0},
    {"change_case:capital_word_frequency", "{\"capital_frequency\": 3, \"capital_relation\": \"at least\"}",
     "THE end", 0, 0},
    {"change_case:capital_word_frequency", "{\"capital_frequency\": 2, \"capital_relation\": \"less than\"}",
     "I am.", 1, 1},
    {"change_case:capital_word_frequency", "{\"capital_frequency\": 2, \"capital_relation\": \"less than\"}",
     "I AM.", 0, 0},
    {"change_case:english_capital", "{}",
     "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG AND RUNS AWAY FROM IT.", 1, 1},
    {"change_case:english_capital", "{}",
     "The quick brown fox.", 0, 0},
    {"change_case:english_capital", "{}",
     "123", 0, 0},
    {"change_case:english_lowercase", "{}",
     "the quick brown fox jumps over the lazy dog and runs away from it.", 1, 1},
    {"change_case:english_lowercase", "{}",
     "The quick brown fox.", 0, 0},
    {"punctuation:no_comma", "{}",
     "No commas here.", 1, 1},
    {"punctuation:no_comma", "{}",
     "One, two.", 0, 0},
    {"punctuation:no_comma", "{}",
     "a, b\nc", 0, 1},
    {"startend:quotation", "{}",
     "\"Quoted\"", 1, 1},
    {"startend:quotation", "{}",
     "\"Open", 0, 0},
    {"startend:quotation", "{}",
     "\"", 0, 0},
    {"startend:quotation", "{}",
     " \"a\" \n", 1, 1},
    /* clang-format on */
};

static struct value *document(const char *id, const char *args)
{
    struct value *doc;
    struct str text = str_printf(
        &arena, "{\"instruction_id_list\": [\"%s\"], \"kwargs\": [%s], \"prompt\": \"p\"}", id,
        args);
    EXPECT_OK(json_parse(&arena, text, "case", &doc, &err), &err);
    return doc;
}

static void judges_as_the_reference_does(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool *strict, *loose;
        int n = 0;
        EXPECT_OK(ifeval_verdicts(&arena, document(cases[i].id, cases[i].args),
                                  str_of(cases[i].answer), &strict, &loose, &n, &err),
                  &err);
        EXPECT_INT(n, 1);
        if (n == 1 && (strict[0] != cases[i].strict || loose[0] != cases[i].loose))
            check_fail(__FILE__, __LINE__, "%s %s on \"%s\": %d and %d, not %d and %d", cases[i].id,
                       cases[i].args, cases[i].answer, strict[0], loose[0], cases[i].strict,
                       cases[i].loose);
    }
    arena_free(&arena);
}

static void says_what_is_wrong(void)
{
    static const struct {
        const char *id, *args, *words;
    } bad[] = {
        {"keywords:rhyme", "{}", "none of IFEval's 25 kinds"},
        {"keywords:frequency", "{\"keyword\": \"a\", \"relation\": \"at least\"}",
         "instruction keywords:frequency: the document has no field \"frequency\""},
        {"keywords:frequency", "{\"keyword\": \"a\", \"relation\": \"most\", \"frequency\": 1}",
         "\"less than\" or \"at least\""},
        {"keywords:existence", "{\"keywords\": [\"(\"]}", "instruction keywords:existence: "},
        {"keywords:existence", "{\"keywords\": [1]}", "must hold texts"},
        {"punctuation:no_comma", "3", "kwargs 0 must be an object"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bool *strict, *loose;
        int n;
        EXPECT_ERROR(ifeval_verdicts(&arena, document(bad[i].id, bad[i].args), STR("text"), &strict,
                                     &loose, &n, &err),
                     &err, E_INPUT, bad[i].words);
    }
    arena_free(&arena);
}

static void counts_sentences(void)
{
    static const struct {
        const char *text;
        int n;
    } texts[] = {
        {"", 0},
        {" \n ", 0},
        {"No stop", 1},
        {"One. Two.", 2},
        {"Mr. Brown met Mrs. Green at 10 a.m. on Monday.", 1},
        {"J. R. Smith wrote it. He is known.", 2},
        {"Wait!!! What?! Yes.", 3},
        {"(It rained.) We left.", 2},
        {"It was made by Acme Inc. The price fell.", 2},
        {"Version 2.0 is out. It is fast.", 2},
        {"1. First point\n2. Second point", 3},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (count_sentences(str_of(texts[i].text)) != texts[i].n)
            check_fail(__FILE__, __LINE__, "\"%s\": %lld sentences, not %d", texts[i].text,
                       (long long)count_sentences(str_of(texts[i].text)), texts[i].n);
}

CHECK_MAIN({"verdicts of the reference", judges_as_the_reference_does},
           {"sentences", counts_sentences}, {"errors", says_what_is_wrong})
