#include "tasks/hub.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

struct names {
    const char **items;
    size_t n, cap;
};

static const char *const endings[] = {".jsonl", ".json", ".csv", ".tsv"};
enum { N_ENDINGS = sizeof endings / sizeof *endings };

/* What stands behind the split's name: "" is not enough, an ending or "-00000-of-00002" is. */
static const char *behind(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) != 0 || (name[n] != '.' && name[n] != '-'))
        return NULL;
    return name + n;
}

static const char *split_name(struct arena *a, const char *name, const char *config,
                              const char *split)
{
    const char *rest = behind(name, split);
    for (const char *mark = "-_"; config && !rest && *mark; mark++)
        rest = behind(name, arena_printf(a, "%s%c%s", config, *mark, split));
    return rest;
}

/* Index of the ending, or -1. */
static int ending_of(struct str rest)
{
    if (str_ends(rest, STR(".gz")))
        rest.n -= 3;
    for (int i = 0; i < N_ENDINGS; i++)
        if (str_ends(rest, str_of(endings[i])))
            return i;
    return -1;
}

/* The split's files in one folder, of the ending that comes first in the list. */
static int look(struct arena *a, const char *folder, const char *config, const char *split,
                const char *const **ret, int *n, const char **parquet)
{
    struct names found[N_ENDINGS] = {0};
    DIR *dir = opendir(folder);
    if (!dir)
        return 0;
    for (struct dirent *d; (d = readdir(dir));) {
        const char *rest = split_name(a, d->d_name, config, split);
        int e = rest ? ending_of(str_of(rest)) : -1;
        if (e >= 0)
            *ARRAY_PUSH(&found[e]) = path_join(a, folder, d->d_name);
        else if (rest && str_ends(str_of(rest), STR(".parquet")))
            *parquet = path_join(a, folder, d->d_name);
    }
    closedir(dir);
    int got = 0;
    for (int e = 0; e < N_ENDINGS; e++) {
        if (found[e].n && !got) {
            got = 1;
            sort_names(found[e].items, found[e].n);
            const char **list = arena_array(a, found[e].n, sizeof *list);
            for (size_t i = 0; i < found[e].n; i++)
                list[i] = found[e].items[i];
            *ret = list;
            *n = (int)found[e].n;
        }
        free(found[e].items);
    }
    return got;
}

int hub_files(struct arena *a, const char *folder, const char *config, const char *split,
              const char *const **ret, int *n, const char **parquet)
{
    const char *data = path_join(a, folder, "data");
    const char *const places[] = {config ? path_join(a, folder, config) : folder,
                                  config ? path_join(a, data, config) : data, folder, data};
    *parquet = NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (look(a, places[i], config, split, ret, n, parquet))
            return 1;
    return 0;
}
