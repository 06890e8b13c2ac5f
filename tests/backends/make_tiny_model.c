/* make_tiny_model KIND[+untied][+biases][+bos][+plain][+bitnet][+unpacked] PATH [SEED [PACKING]]: a
 * random Llama for tests of the program; tiny_model.h says the kinds and what a packing is. "plain"
 * leaves the chat template out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backends/tiny_model.h"

static bool take_suffix(char *kind, const char *suffix)
{
    char *at = strstr(kind, suffix);
    if (!at)
        return false;
    memmove(at, at + strlen(suffix), strlen(at + strlen(suffix)) + 1);
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: make_tiny_model KIND[+untied][+biases][+bos][+plain][+bitnet]"
                        "[+unpacked] PATH [SEED [PACKING]]\n");
        return 2;
    }
    struct tiny_model t = {.kind = argv[1],
                           .seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 0,
                           .untied = take_suffix(argv[1], "+untied"),
                           .biases = take_suffix(argv[1], "+biases"),
                           .adds_bos = take_suffix(argv[1], "+bos"),
                           .no_chat_template = take_suffix(argv[1], "+plain"),
                           .bitnet = take_suffix(argv[1], "+bitnet"),
                           .unpacked = take_suffix(argv[1], "+unpacked"),
                           .packing = argc > 4 ? argv[4] : NULL};
    struct error err;
    if (tiny_model_write(&t, argv[2], &err) == 0)
        return 0;
    fprintf(stderr, "make_tiny_model: %s\n", err.msg);
    return 3;
}
