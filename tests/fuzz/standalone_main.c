/* Runs a fuzz target without a fuzzer: every file named on the command line, or in a folder named
 * there, and mutations of the seed texts below. The numbers come from a fixed seed, so that a crash
 * comes back. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/pyrandom.h"
#include "tests/fuzz/fuzz.h"

static const char *const seeds[] = {
    "{\"a\": [1, -2.5e3, true, null, \"x\\u00e9\\n\"], \"b\": {}, \"c\": NaN}",
    "[123456789012345678901, 1e999, \"\\ud83d\\ude00\", [[[]]]]",
    "task: arc\nlist: &l [1, 0x1f, 1:30, yes, ~, .inf]\nmap: {<<: *m, k: !function u.f}\n",
    "base: &b {x: 1}\nuse:\n  <<: *b\n  text: |\n    one\n    two\n? key\n: >-\n  folded\n",
    "{'a': [1, (2,), None], \"b\": 'it''s', 3: -0x1f, (1, 'x'): r'\\n'}",
    "{\"added_tokens\": [{\"id\": 5, \"content\": \"<s>\", \"special\": true}], \"pre_tokenizer\": "
    "{\"type\": \"ByteLevel\"}, \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": "
    "\"BPE\", \"vocab\": {\"e\": 0, \"t\": 1, \"et\": 2, \"\\u0120\": 3, \"\\u00c3\": 4}, "
    "\"merges\": [\"e "
    "t\"]}}",
    "{\"normalizer\": {\"type\": \"Prepend\", \"prepend\": \"_\"}, \"pre_tokenizer\": {\"type\": "
    "\"Split\", "
    "\"pattern\": {\"Regex\": \"[a-z]+\"}, \"behavior\": \"MergedWithNext\"}, \"decoder\": "
    "{\"type\": "
    "\"Sequence\", \"decoders\": [{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}, {\"type\": "
    "\"Strip\", \"content\": \"_\", \"start\": 1, \"stop\": 1}]}, \"model\": {\"type\": \"BPE\", "
    "\"vocab\": "
    "{\"_\": 0, \"e\": 1, \"_e\": 2, \"<0xC3>\": 3, \"<0x6F>\": 4}, \"merges\": [[\"_\", \"e\"]], "
    "\"byte_fallback\": true}}",
    "(?P<n>a+)\\s[^x-z]{,3}(?=b)|\\Z\n<\\g<n>\\1>\naa b aaa \xc3\xa9",
    "q,a,n\n\"say \"\"hi\"\"\n\",b,1\r\n,NA,2.5\n= Title =\nx\ty\n\"\"\"\"\t1\n",
    "(?i:'s|'t)|[^\\r\\n\\p{L}]?\\p{L}+|\\s+(?!\\S)\n-\nI's here  ",
    "about\n\nQ: 1?\nA: x\r\n\r\nno\n\nQ: 2?\r\nA: so \n",
    "7cthe cat's (1.2) million, hy-\nthe cat sat on the 1,234.5% mat\nRunning "
    "\xe4\xbb\x8a\xe5\xa4\xa9 &amp; "
    "\xe2\x82\xac 12.5",
    "0{% for m in messages if m.role != 'x' -%}\n{{ loop.index ~ m['content']|trim }}{% endfor %}",
    "1{% macro f(a, b=[1, 2]) %}{{ a[::-1] }}{{ b|join(', ') }}{% endmacro %}{{ f('x' * n, b=d) }}",
    "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", \"ignore\": "
    "[\"re:.*h$\"], \"config_groups\": {\"W4A16\": [\"Linear\"], \"b\": {\"targets\": [\"re:m\"], "
    "\"weights\": {\"num_bits\": 4, \"type\": \"int\", \"strategy\": \"channel\"}}}}",
    "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": -1, \"desc_act\": true, "
    "\"dynamic\": {\"-:n.*\": {}, \"+:m\": {\"bits\": 2}}}",
    "{\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128], \"ignored_layers\": [\"a.b\"]}",
};
enum { N_SEEDS = sizeof seeds / sizeof *seeds, ROUNDS = 4000, MAX_FILE = 1 << 20 };

static void run_file(const char *path)
{
    struct arena a = {0};
    struct error e = {0};
    struct str text;
    if (file_read(&a, path, MAX_FILE, &text, &e) == 0)
        LLVMFuzzerTestOneInput((const uint8_t *)text.p, text.n);
    else
        printf("# %s\n", e.msg);
    arena_free(&a);
}

static void run_path(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        run_file(path);
        return;
    }
    struct arena a = {0};
    for (struct dirent *d; (d = readdir(dir));) {
        char *file = path_join(&a, path, d->d_name);
        if (file_exists(file))
            run_file(file);
    }
    closedir(dir);
    arena_free(&a);
}

/* Some bytes of a seed are changed, left out, doubled, or replaced by a piece of another seed. */
static void mutate(struct pyrandom *r, struct buf *out)
{
    struct str s = str_of(seeds[pyrandom_below(r, N_SEEDS)]);
    uint64_t rarity = 1 + pyrandom_below(r, 30);
    for (size_t i = 0; i < s.n; i++) {
        struct str other = str_of(seeds[pyrandom_below(r, N_SEEDS)]);
        size_t from = pyrandom_below(r, other.n);
        switch (pyrandom_below(r, 4 * rarity)) {
        case 0:
            buf_char(out, (char)pyrandom_getrandbits(r, 8));
            break;
        case 1:
            break;
        case 2:
            buf_str(out, str_slice(s, i, i + pyrandom_below(r, 20)));
            break;
        case 3:
            buf_str(out, str_slice(other, from, from + pyrandom_below(r, 20)));
            break;
        default:
            buf_char(out, s.p[i]);
        }
    }
}

int main(int argc, char **argv)
{
    struct pyrandom r;
    pyrandom_seed(&r, 20240607);
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    for (int i = 0; i < ROUNDS; i++) {
        struct buf b = {0};
        mutate(&r, &b);
        LLVMFuzzerTestOneInput((const uint8_t *)buf_view(&b).p, b.n);
        buf_free(&b);
    }
    printf("1..1\nok 1 - %d mutations\n", ROUNDS);
    return 0;
}
