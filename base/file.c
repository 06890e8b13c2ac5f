#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

static int cannot(struct error *err, const char *doing, const char *path)
{
    return error_set(err, E_IO, "cannot %s \"%s\": %s", doing, path, strerror(errno));
}

/* ---- mappings ---- */

/* What is mapped, for the handler of SIGBUS. It may run in any thread, but never in one that holds
 * the lock: the list itself is not in a mapping. */
struct mapped {
    const unsigned char *p;
    size_t n;
    char *path;
    struct stat was; /* when it was mapped */
    struct mapped *next;
};
static struct mapped *mapped;
static atomic_flag mapped_lock = ATOMIC_FLAG_INIT;

static void lock_mapped(void)
{
    while (atomic_flag_test_and_set_explicit(&mapped_lock, memory_order_acquire))
        ;
}

static void unlock_mapped(void)
{
    atomic_flag_clear_explicit(&mapped_lock, memory_order_release);
}

static struct mapped *remember(const char *path, const unsigned char *p, const struct stat *was)
{
    struct mapped *m = mem_alloc(1, sizeof *m);
    *m = (struct mapped){.p = p, .n = (size_t)was->st_size, .path = mem_strdup(path), .was = *was};
    lock_mapped();
    m->next = mapped;
    mapped = m;
    unlock_mapped();
    return m;
}

static void dismiss(struct mapped *m)
{
    lock_mapped();
    struct mapped **at = &mapped;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    unlock_mapped();
    free(m->path);
    free(m);
}

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int guard_status;

/* Only calls that are safe in a signal's handler. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    (void)context;
    uintptr_t at = (uintptr_t)info->si_addr;
    lock_mapped();
    const struct mapped *m = mapped;
    while (m && at - (uintptr_t)m->p >= (m->n + page_bytes() - 1) / page_bytes() * page_bytes())
        m = m->next;
    if (!m) { /* not ours: as if nobody had caught it */
        unlock_mapped();
        signal(number, SIG_DFL);
        return;
    }
    static const char before[] = "assay: cannot read \"",
                      after[] = "\": the file has become shorter since it was opened; put it back "
                                "whole and run the same command again\n";
    struct iovec words[] = {{(void *)(uintptr_t)before, sizeof before - 1},
                            {m->path, strlen(m->path)},
                            {(void *)(uintptr_t)after, sizeof after - 1}};
    ssize_t written = writev(STDERR_FILENO, words, 3);
    (void)written; /* if nobody listens, the status says it */
    _exit(guard_status);
}

void mapping_guard(int status)
{
    guard_status = status;
    struct sigaction sa = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &sa, NULL);
}

int mapping_open(const char *path, struct mapping *ret, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would wait for its writer */
    if (fd < 0)
        return cannot(err, "open", path);
    struct stat st;
    int r = 0;
    void *p = NULL;
    if (fstat(fd, &st) < 0)
        r = cannot(err, "stat", path);
    else if (!S_ISREG(st.st_mode))
        r = error_set(err, E_IO, "cannot read \"%s\": it is %s, not a regular file", path,
                      S_ISDIR(st.st_mode) ? "a folder" : "a device or pipe");
    else if (st.st_size > 0) {
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            r = cannot(err, "map", path);
    }
    close(fd);
    if (r == 0)
        *ret = (struct mapping){p, (size_t)st.st_size, p ? remember(path, p, &st) : NULL};
    return r;
}

void mapping_close(struct mapping *m)
{
    if (m->p) {
        dismiss(m->known);
        munmap((void *)(uintptr_t)m->p, m->n);
    }
    *m = (struct mapping){0};
}

static int changed(const struct mapping_file *f, struct error *err)
{
    return error_set(err, E_IO,
                     "cannot read \"%s\": the file was changed since it was opened; run the same "
                     "command again once it is whole",
                     f->known->path);
}

int mapping_file_check(const struct mapping_file *f, struct error *err)
{
    const struct stat *was = &f->known->was;
    struct stat is;
    bool same = fstat(f->fd, &is) == 0 && is.st_dev == was->st_dev && is.st_ino == was->st_ino &&
                is.st_size == was->st_size && is.st_mtim.tv_sec == was->st_mtim.tv_sec &&
                is.st_mtim.tv_nsec == was->st_mtim.tv_nsec;
    return same ? 0 : changed(f, err);
}

int mapping_reopen(const struct mapping *m, struct mapping_file *ret, struct error *err)
{
    struct mapping_file f = {open(m->known->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), m->known};
    if (f.fd < 0)
        return cannot(err, "open", m->known->path);
    int r = mapping_file_check(&f, err);
    if (r < 0)
        mapping_file_close(&f);
    else
        *ret = f;
    return r;
}

int mapping_file_read(const struct mapping_file *f, size_t at, void *ret, size_t n,
                      struct error *err)
{
    for (size_t have = 0; have < n;) {
        ssize_t more = pread(f->fd, (char *)ret + have, n - have, (off_t)(at + have));
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            return cannot(err, "read", f->known->path);
        if (more == 0)
            return changed(f, err);
        have += (size_t)more;
    }
    return 0;
}

void mapping_file_close(struct mapping_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* ---- whole files ---- */

static int inflate_all(struct mapping in, const char *path, size_t limit, struct buf *out,
                       struct error *err)
{
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return error_set(err, E_MEMORY, "cannot unpack \"%s\": zlib does not start", path);
    size_t taken = 0;
    int r = 0, state = Z_OK;
    char chunk[1 << 16];
    while (r == 0 && (state != Z_STREAM_END || taken < in.n)) {
        if (state == Z_STREAM_END) /* several gzip members behind each other are one file */
            inflateReset(&z);
        size_t give = in.n - taken < INT_MAX ? in.n - taken : INT_MAX;
        z.next_in = (unsigned char *)(uintptr_t)(in.p + taken);
        z.avail_in = (unsigned)give;
        z.next_out = (unsigned char *)chunk;
        z.avail_out = sizeof chunk;
        state = inflate(&z, Z_NO_FLUSH);
        taken += give - z.avail_in;
        buf_add(out, chunk, sizeof chunk - z.avail_out);
        if (state != Z_OK && state != Z_STREAM_END)
            r = error_set(err, E_INPUT, "cannot unpack \"%s\": %s; fetch the file again", path,
                          state == Z_BUF_ERROR ? "the gzip data ends early" : "damaged gzip data");
        else if (out->n > limit)
            r = error_set(err, E_INPUT, "cannot read \"%s\": more than %zu bytes once unpacked",
                          path, limit);
    }
    inflateEnd(&z);
    return r;
}

int file_read(struct arena *a, const char *path, size_t limit, struct str *ret, struct error *err)
{
    struct mapping m;
    int r = mapping_open(path, &m, err);
    if (r < 0)
        return r;
    if (m.n >= 2 && m.p[0] == 0x1f && m.p[1] == 0x8b) {
        struct buf out = {0};
        r = inflate_all(m, path, limit, &out, err);
        if (r == 0)
            *ret = buf_take(&out, a);
        buf_free(&out);
    } else if (m.n > limit) {
        r = error_set(err, E_INPUT, "cannot read \"%s\": it has %zu bytes, more than %zu", path,
                      m.n, limit);
    } else {
        *ret = str_copy(a, (struct str){(const char *)m.p, m.n});
    }
    mapping_close(&m);
    return r;
}

int file_write(const char *path, struct str text, struct error *err)
{
    struct arena scratch = {0};
    struct stat st;
    bool device = stat(path, &st) == 0 && !S_ISREG(st.st_mode); /* never to be replaced */
    const char *tmp = device ? path : arena_printf(&scratch, "%s.tmp", path);
    FILE *f = fopen(tmp, "we");
    int r = 0;
    if (!f)
        r = cannot(err, "write", path);
    else {
        bool bad = fwrite(text.p, 1, text.n, f) != text.n || fflush(f) != 0 ||
                   (!device && fsync(fileno(f)) != 0);
        int why = errno;
        if (fclose(f) != 0 && !bad) {
            bad = true;
            why = errno;
        }
        if (bad) {
            errno = why;
            r = cannot(err, "write", path);
            if (!device)
                unlink(tmp);
        } else if (!device && rename(tmp, path) < 0) {
            r = cannot(err, "write", path);
            unlink(tmp);
        }
    }
    arena_free(&scratch);
    return r;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool folder_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int folder_make(const char *path, struct error *err)
{
    char *p = mem_strdup(path);
    int r = 0;
    for (char *at = p + 1; r == 0; at++) {
        char c = *at;
        if (c != '/' && c != '\0')
            continue;
        *at = '\0';
        if (mkdir(p, 0777) < 0 && !folder_exists(p))
            r = cannot(err, "make the folder", p);
        *at = c;
        if (c == '\0')
            break;
    }
    free(p);
    return r;
}

char *path_join(struct arena *a, const char *dir, const char *name)
{
    if (name[0] == '/' || dir[0] == '\0')
        return arena_copy(a, name, strlen(name));
    size_t n = strlen(dir);
    return arena_printf(a, dir[n - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
}

char *path_dir(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return arena_copy(a, ".", 1);
    return arena_copy(a, path, slash == path ? 1 : (size_t)(slash - path));
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
