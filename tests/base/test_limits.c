/* What a process may use of the machine, read from made-up /proc and /sys folders. */
#include "base/limits.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/file.h"
#include "tests/check.h"

struct made_file {
    const char *path, *text;
};

/* Writes the files below a new folder. */
static const char *make_root(struct arena *a, const struct made_file *files, size_t n)
{
    static int count;
    char name[] = "/tmp/assay-test-limits-XXXXXX";
    if (!mkdtemp(name))
        return "";
    const char *root = arena_printf(a, "%s/%d", name, count++);
    for (size_t i = 0; i < n; i++) {
        struct error err;
        const char *path = arena_printf(a, "%s%s", root, files[i].path);
        struct str folder = str_slice(str_of(path), 0, (size_t)(strrchr(path, '/') - path));
        EXPECT_OK(folder_make(str_copy(a, folder).p, &err), &err);
        EXPECT_OK(file_write(path, str_of(files[i].text), &err), &err);
    }
    return root;
}

static void remove_root(struct arena *a, const char *root)
{
    const char *end = strrchr(root, '/');
    EXPECT_INT(system(arena_printf(a, "rm -rf '%.*s'", (int)(end - root), root)), 0);
}

#define MEMINFO                                                                                    \
    {                                                                                              \
        "/proc/meminfo", "MemTotal:  9000 kB\nMemFree: 10 kB\nMemAvailable:    8000 kB\n"          \
    }

static void version_2(void)
{
    static const struct made_file files[] = {
        MEMINFO,
        {"/proc/self/cgroup", "0::/a/b\n"},
        {"/sys/fs/cgroup/cpu.max", "max 100000\n"},
        {"/sys/fs/cgroup/a/cpu.max", "250000 100000\n"},
        {"/sys/fs/cgroup/a/b/cpu.max", "600000 100000\n"},
        {"/sys/fs/cgroup/a/memory.max", "5000000\n"},
        {"/sys/fs/cgroup/a/memory.current", "3000000\n"},
        {"/sys/fs/cgroup/a/memory.stat", "anon 1900000\ninactive_file 1000000\nfile 1\n"},
        {"/sys/fs/cgroup/a/b/memory.max", "max\n"},
    };
    struct arena a = {0};
    const char *root = make_root(&a, files, sizeof files / sizeof *files);
    EXPECT_NEAR(limits_cpu_quota(root), 2.5, 1e-12); /* the tightest of all above */
    EXPECT_INT(limits_memory(root), 3000000);        /* what can be dropped is not used up */
    remove_root(&a, root);
    arena_free(&a);
}

static void version_1(void)
{
    static const struct made_file files[] = {
        MEMINFO,
        {"/proc/self/cgroup", "4:memory:/job\n2:cpu,cpuacct:/job/step\n1:name=systemd:/x\n0::/\n"},
        {"/sys/fs/cgroup/cpu/job/step/cpu.cfs_quota_us", "-1\n"},
        {"/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000\n"},
        {"/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n"},
        {"/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "4000000\n"},
        {"/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "4500000\n"},
        {"/sys/fs/cgroup/memory/job/memory.stat", "cache 9\ntotal_inactive_file 0\n"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
    };
    struct arena a = {0};
    const char *root = make_root(&a, files, sizeof files / sizeof *files);
    EXPECT_NEAR(limits_cpu_quota(root), 0.5, 1e-12);
    EXPECT_INT(limits_memory(root), 0); /* over its limit already */
    remove_root(&a, root);
    arena_free(&a);
}

static void nothing_to_read(void)
{
    static const struct made_file only[] = {MEMINFO};
    struct arena a = {0};
    EXPECT(limits_cpu_quota("/nowhere") >= 1e9);
    EXPECT(limits_memory("/nowhere") == SIZE_MAX);
    const char *root = make_root(&a, only, 1);
    EXPECT_INT(limits_memory(root), 8000 * 1024);
    EXPECT(limits_cores() >= 1);
    remove_root(&a, root);
    arena_free(&a);
}

CHECK_MAIN({"version_2", version_2}, {"version_1", version_1}, {"nothing_to_read", nothing_to_read})
