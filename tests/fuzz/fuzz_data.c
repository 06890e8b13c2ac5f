/* Data files: whatever the bytes, in each format every row is read or refused with a sentence. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tasks/dataset.h"
#include "tests/fuzz/fuzz.h"

static void read_rows(const struct data_spec *spec)
{
    struct dataset *d;
    struct error e;
    if (dataset_open(spec, &d, &e) < 0)
        return;
    struct arena a = {0};
    for (int64_t i = 0; i < dataset_rows(d); i++) {
        const struct value *v;
        struct arena_mark m = arena_mark(&a);
        if (dataset_row(d, &a, i, &v, &e) < 0 && !e.msg[0])
            abort();
        dataset_where(d, &a, i);
        arena_reset(&a, m);
    }
    arena_free(&a);
    dataset_close(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const column = "a";
    static const struct data_spec specs[] = {
        {.format = DATA_JSON},
        {.format = DATA_JSON, .field = "a"},
        {.format = DATA_JSON, .each = "a.b"},
        {.format = DATA_CSV, .delimiter = ','},
        {.format = DATA_CSV, .delimiter = '\t', .infer = true},
        {.format = DATA_CSV, .delimiter = '\t', .plain = true, .columns = &column, .n_columns = 1},
        {.format = DATA_TEXT, .lines_per_row = 3},
        {.format = DATA_PAGES},
        {.format = DATA_EXAMPLES},
    };
    char path[64];
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const char *paths = path;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct data_spec spec = specs[i];
        spec.paths = &paths;
        spec.n_paths = 1;
        read_rows(&spec);
    }
    close(fd);
    return 0;
}
