/* folder.h: a folder of small files for one test program, removed at its end. */
#ifndef ASSAY_TESTS_TASKS_FOLDER_H
#define ASSAY_TESTS_TASKS_FOLDER_H

#include <sys/stat.h>

#include "base/file.h"
#include "tests/check.h"

static char folder[64];

static void folder_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (folder[0] && system(command) != 0)
        perror(folder);
}

/* Writes a file into the folder; `name` may be "sub/name". The path lives until the program ends.
 */
static const char *folder_write(const char *name, struct str text)
{
    static struct arena paths;
    struct error err;
    if (!folder[0]) {
        strcpy(folder, "/tmp/assay-test-tasks-XXXXXX");
        EXPECT(mkdtemp(folder) != NULL);
        atexit(folder_remove);
    }
    char *path = path_join(&paths, folder, name);
    EXPECT_OK(folder_make(path_dir(&paths, path), &err), &err);
    EXPECT_OK(file_write(path, text, &err), &err);
    return path;
}

#endif
