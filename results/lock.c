#include "results/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

/* Two names of one store must share the lock. */
static char *lock_path(const char *store_path)
{
    char *real = realpath(store_path, NULL);
    const char *path = real ? real : store_path;
    size_t n = strlen(path) + sizeof ".lock";
    char *ret = mem_alloc(n, 1);
    snprintf(ret, n, "%s.lock", path);
    free(real);
    return ret;
}

static int cannot_make(const char *store_path, struct error *err)
{
    int why = errno;
    struct arena a = {0};
    const char *dir = path_dir(&a, store_path);
    int r;
    if (!folder_exists(dir))
        r = error_set(err, E_IO,
                      "cannot write the store \"%s\": there is no folder \"%s\"; make it first",
                      store_path, dir);
    else
        r = error_set(err, E_IO,
                      "cannot write the store \"%s\": %s in the folder \"%s\"; choose another "
                      "place with --db",
                      store_path, strerror(why), dir);
    arena_free(&a);
    return r;
}

static int held(const char *store_path, int fd, struct error *err)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    char who[64] = "another process";
    if (pid > 0)
        snprintf(who, sizeof who, "process %ld", pid);
    return error_set(err, E_BUSY,
                     "cannot write the store \"%s\": %s is writing it; wait for it to end, or give "
                     "this run a store of its own with --db",
                     store_path, who);
}

/* A lock on a file that its last owner has just removed guards nothing. */
static bool still_named(int fd, const char *path)
{
    struct stat mine, named;
    return fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

int lock_take(const char *store_path, struct lock *ret, struct error *err)
{
    struct lock l = {-1, lock_path(store_path)};
    int r = 0;
    for (;;) {
        l.fd = open(l.path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (l.fd < 0) {
            r = cannot_make(store_path, err);
            break;
        }
        if (flock(l.fd, LOCK_EX | LOCK_NB) < 0) {
            r = errno == EWOULDBLOCK ? held(store_path, l.fd, err) : cannot_make(store_path, err);
            break;
        }
        if (still_named(l.fd, l.path))
            break;
        close(l.fd);
    }
    if (r < 0) {
        if (l.fd >= 0)
            close(l.fd);
        free(l.path);
        return r;
    }
    /* The pid only serves a sentence; without it "another process" is said. */
    if (ftruncate(l.fd, 0) < 0 || dprintf(l.fd, "%ld\n", (long)getpid()) < 0)
        errno = 0;
    *ret = l;
    return 0;
}

void lock_drop(struct lock *l)
{
    if (l->fd < 0)
        return;
    unlink(l->path);
    close(l->fd);
    free(l->path);
    *l = (struct lock){-1, NULL};
}
