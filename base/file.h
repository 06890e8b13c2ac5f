/* file.h: reading files that we did not write. */
#ifndef ASSAY_BASE_FILE_H
#define ASSAY_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* A read-only private mapping. `p` is NULL for an empty file. */
struct mapping {
    const unsigned char *p;
    size_t n;
    struct mapped *known; /* private */
};

/* E_IO: it cannot be opened or mapped, or is no regular file (err says which, with the path). */
int mapping_open(const char *path, struct mapping *ret, struct error *err);
void mapping_close(struct mapping *m);

/* The file of a mapping, opened once more to be read piece by piece, without the mapping. */
struct mapping_file {
    int fd; /* -1: not open */
    const struct mapped *known;
};

/* All three: E_IO where it is not the file any more that was mapped, or was written to since. The
 * mapping must stay open as long. */
int mapping_reopen(const struct mapping *m, struct mapping_file *ret, struct error *err);
int mapping_file_check(const struct mapping_file *f, struct error *err);
int mapping_file_read(const struct mapping_file *f, size_t at, void *ret, size_t n,
                      struct error *err);
void mapping_file_close(struct mapping_file *f);

/* A mapped file that somebody makes shorter has no bytes where some were: reading them raises
 * SIGBUS. From here on that ends the program, by `status` and with a sentence that names the file.
 */
void mapping_guard(int status);

/* The whole file into `a`, NUL-terminated; gzip is undone when its magic is there, whatever the
 * name. E_INPUT: longer than `limit` bytes once unpacked, or damaged gzip. */
int file_read(struct arena *a, const char *path, size_t limit, struct str *ret, struct error *err);

/* Writes by way of PATH.tmp and rename, so that a reader never sees half a file; straight into what
 * is there and no regular file (/dev/stdout). */
int file_write(const char *path, struct str text, struct error *err);

bool file_exists(const char *path); /* a regular file, or a link to one */
bool folder_exists(const char *path);
int folder_make(const char *path, struct error *err); /* with its parents; 0 if it is there */

/* dir + "/" + name, or name when it is absolute. */
char *path_join(struct arena *a, const char *dir, const char *name);
char *path_dir(struct arena *a, const char *path); /* "." when there is no slash */
const char *path_base(const char *path);

#define FILE_LIMIT_TEXT ((size_t)1 << 30) /* for configs, templates and data files */

#endif
