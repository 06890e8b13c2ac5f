/* lock.h: private to results/. One writer a store.
 *
 * The lock is flock(2) on PATH.lock, a file that holds the owner's process id for the others'
 * sentence. The kernel drops it with the process, however that ends, so no lock is ever stale;
 * after kill -9 the file stays behind, unlocked, and the next writer takes it over.
 * (SQLite's own locks last a transaction, and only say that somebody has one.) */
#ifndef ASSAY_RESULTS_LOCK_H
#define ASSAY_RESULTS_LOCK_H

#include "base/error.h"

struct lock {
    int fd;
    char *path;
};

/* E_BUSY: another process (err names it) holds it. E_IO: the file cannot be made. */
int lock_take(const char *store_path, struct lock *ret, struct error *err);
void lock_drop(struct lock *l); /* removes the file */

#endif
