/* The ground that everything stands on: arena, strings, files, hashes, threads. */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/pool.h"
#include "tests/check.h"

static void arena_marks(void)
{
    struct arena a = {0};
    char *kept = arena_copy(&a, "kept", 4);
    struct arena_mark m = arena_mark(&a);
    for (int i = 0; i < 1000; i++) {
        unsigned char *p = arena_array(&a, (size_t)i + 1, 97);
        EXPECT(((uintptr_t)p & 15) == 0);
        EXPECT_INT(p[97 * (size_t)i], 0);
        p[97 * (size_t)i] = 1;
    }
    arena_reset(&a, m);
    EXPECT_Z(kept, "kept");
    EXPECT_Z(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    arena_free(&a);
}

static void strings(void)
{
    struct arena a = {0};
    struct buf b = {0};
    for (int i = 0; i < 100; i++)
        buf_printf(&b, "%d,", i);
    EXPECT_INT(b.n, 290);
    EXPECT_INT(str_find(buf_view(&b), STR("99,"), 0), 287);
    EXPECT_INT(str_find(buf_view(&b), STR("nope"), 0), SIZE_MAX);
    EXPECT_STR(str_slice(STR("abcdef"), 2, 4), STR("cd"));
    EXPECT_INT(str_slice(STR("abc"), 5, 9).n, 0);
    EXPECT(str_cmp(STR("ab"), STR("abc")) < 0 && str_cmp(STR("b"), STR("abc")) > 0);
    EXPECT_STR(str_cat(&a, STR("x"), STR("yz")), STR("xyz"));
    buf_free(&b);
    arena_free(&a);
}

static void errors_chain(void)
{
    struct error e = {0};
    EXPECT_INT(error_set(&e, E_INPUT, "bad \"%s\"", "x"), E_INPUT);
    EXPECT_INT(error_prefix(&e, "task \"%s\": ", "arc"), E_INPUT);
    EXPECT_Z(e.msg, "task \"arc\": bad \"x\"");
    EXPECT_INT(error_set(&e, E_IO, "again: %s", e.msg), E_IO); /* its own text as argument */
    EXPECT_Z(e.msg, "again: task \"arc\": bad \"x\"");
}

static void files(void)
{
    struct arena a = {0};
    struct error e = {0};
    char dir[] = "/tmp/assay_core_XXXXXX";
    EXPECT(mkdtemp(dir) != NULL);
    const char *deep = arena_printf(&a, "%s/x/y", dir);
    EXPECT_OK(folder_make(deep, &e), &e);
    EXPECT(folder_exists(deep));
    const char *path = path_join(&a, deep, "f.txt");
    EXPECT_OK(file_write(path, STR("hello"), &e), &e);
    struct str text;
    EXPECT_OK(file_read(&a, path, 100, &text, &e), &e);
    EXPECT_STR(text, STR("hello"));
    EXPECT_ERROR(file_read(&a, path, 3, &text, &e), &e, E_INPUT, "more than 3");
    EXPECT_ERROR(file_read(&a, deep, 3, &text, &e), &e, E_IO, "a folder");
    const char *fifo = path_join(&a, dir, "fifo");
    EXPECT_INT(mkfifo(fifo, 0600), 0);
    EXPECT_ERROR(file_read(&a, fifo, 3, &text, &e), &e, E_IO, "a device or pipe"); /* at once */
    EXPECT_ERROR(file_read(&a, "/nowhere/x", 3, &text, &e), &e, E_IO, "No such file");
    EXPECT_ERROR(file_write("/nowhere/x", STR("y"), &e), &e, E_IO, "/nowhere/x");

    const char *gz = path_join(&a, dir, "f.gz");
    gzFile g = gzopen(gz, "wb");
    for (int i = 0; i < 50000; i++)
        gzprintf(g, "%d\n", i);
    gzclose(g);
    EXPECT_OK(file_read(&a, gz, 1 << 20, &text, &e), &e);
    EXPECT_INT(text.n, 288890);
    EXPECT_ERROR(file_read(&a, gz, 1000, &text, &e), &e, E_INPUT, "unpacked");
    struct mapping m;
    EXPECT_OK(mapping_open(gz, &m, &e), &e);
    EXPECT_OK(file_write(gz, (struct str){(const char *)m.p, m.n / 2}, &e), &e);
    mapping_close(&m);
    EXPECT_ERROR(file_read(&a, gz, 1 << 20, &text, &e), &e, E_INPUT, "ends early");
    EXPECT_INT(system(arena_printf(&a, "rm -r %s", dir)), 0);
    arena_free(&a);
}

/* In a process of its own, whose sentence and status are what is left of it. */
static void files_that_shrink(void)
{
    struct arena a = {0};
    struct error e;
    char dir[] = "/tmp/assay_test_XXXXXX";
    EXPECT(mkdtemp(dir) != NULL);
    const char *path = path_join(&a, dir, "f.bin"), *said = path_join(&a, dir, "said");
    struct buf zeros = {0};
    for (int i = 0; i < 1 << 16; i++)
        buf_char(&zeros, 0);
    EXPECT_OK(file_write(path, buf_view(&zeros), &e), &e);
    pid_t child = fork();
    if (child == 0) {
        struct mapping m;
        mapping_guard(3);
        int fd = open(said, O_WRONLY | O_CREAT, 0600);
        if (mapping_open(path, &m, &e) < 0 || dup2(fd, STDERR_FILENO) < 0 || m.p[50000] != 0 ||
            truncate(path, 5000) < 0 || m.p[4000] != 0)
            _exit(100);
        _exit(m.p[50000] ? 101 : 102); /* there is no such byte any more */
    }
    int status = 0;
    EXPECT_INT(waitpid(child, &status, 0), child);
    EXPECT(WIFEXITED(status));
    EXPECT_INT(WEXITSTATUS(status), 3);
    struct str text = {0};
    EXPECT_OK(file_read(&a, said, 1000, &text, &e), &e);
    EXPECT(text.n && strstr(text.p, "f.bin") && strstr(text.p, "has become shorter"));
    EXPECT_INT(system(arena_printf(&a, "rm -r %s", dir)), 0);
    buf_free(&zeros);
    arena_free(&a);
}

static void hashes(void)
{
    char h[HASH_HEX], g[HASH_HEX];
    hash_bytes("", 0, h);
    EXPECT_Z(h, "99aa06d3014798d86001c324468d497f"); /* XXH3-128 of the empty string, seed 0 */
    struct hasher *x = hasher_new();
    hasher_field(x, STR("ab"));
    hasher_field(x, STR("c"));
    hasher_end(x, h);
    x = hasher_new();
    hasher_field(x, STR("a"));
    hasher_field(x, STR("bc"));
    hasher_end(x, g);
    EXPECT(strcmp(h, g) != 0);
}

static atomic_long sum;

static void add_part(void *arg, size_t part, int thread)
{
    (void)thread;
    ((int *)arg)[part]++;
    atomic_fetch_add(&sum, (long)part);
}

static void pool_runs_each_part_once(void)
{
    for (int n = 1; n <= 4; n++) {
        struct pool *p = pool_new(n);
        EXPECT_INT(pool_size(p), n);
        for (int loop = 0; loop < 200; loop++) {
            int seen[257] = {0};
            size_t n_parts = (size_t)loop % 257;
            atomic_store(&sum, 0);
            pool_run(p, n_parts, add_part, seen);
            for (size_t i = 0; i < 257; i++)
                EXPECT_INT(seen[i], i < n_parts);
            EXPECT_INT(atomic_load(&sum), (long)(n_parts * (n_parts ? n_parts - 1 : 0) / 2));
        }
        pool_free(p);
    }
}

/* Threads watch for work for 50 us and then sleep: pauses around that let loops meet both. */
static void pool_wakes_sleepers(void)
{
    struct pool *p = pool_new(3);
    for (int loop = 0; loop < 300; loop++) {
        int seen[64] = {0};
        usleep((useconds_t)(loop % 10) * 15);
        pool_run(p, 64, add_part, seen);
        for (size_t i = 0; i < 64; i++)
            EXPECT_INT(seen[i], 1);
    }
    pool_free(p);
}

CHECK_MAIN({"arena_marks", arena_marks}, {"strings", strings}, {"errors_chain", errors_chain},
           {"files", files}, {"files_that_shrink", files_that_shrink}, {"hashes", hashes},
           {"pool_runs_each_part_once", pool_runs_each_part_once},
           {"pool_wakes_sleepers", pool_wakes_sleepers})
