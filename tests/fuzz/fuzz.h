/* fuzz.h: a fuzz target is one function. With clang's -fsanitize=fuzzer it is a fuzzer; linked with
 * standalone_main.c it is an ordinary test that runs files and mutations of built-in seeds:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/fuzz_json.c $SOURCES */
#ifndef ASSAY_TESTS_FUZZ_FUZZ_H
#define ASSAY_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
