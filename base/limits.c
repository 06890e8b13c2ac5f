#include "base/limits.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4200 };

/* ---- files of a few numbers ---- */

/* The numbers at a file's beginning; returns how many there are, up to n. "max" is none. */
static int read_numbers(const char *path, double *ret, int n)
{
    FILE *f = fopen(path, "re");
    int got = 0;
    while (f && got < n && fscanf(f, "%lf", &ret[got]) == 1)
        got++;
    if (f)
        fclose(f);
    return got;
}

/* The number behind `key` on a line of its own; 0 when there is none. */
static double read_keyed(const char *path, const char *key)
{
    FILE *f = fopen(path, "re");
    char name[64];
    double value, ret = 0;
    while (f && fscanf(f, "%63s %lf%*[^\n]", name, &value) == 2)
        if (strcmp(name, key) == 0)
            ret = value;
    if (f)
        fclose(f);
    return ret;
}

/* ---- control groups ---- */

/* What a folder of a control group says. */
typedef double group_limit(const char *folder);

static double quota_v2(const char *folder)
{
    char path[PATH_BYTES + 40];
    double n[2];
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    return read_numbers(path, n, 2) == 2 && n[0] > 0 && n[1] > 0 ? n[0] / n[1] : 1e9;
}

static double quota_v1(const char *folder)
{
    char path[PATH_BYTES + 40];
    double quota, period;
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (read_numbers(path, &quota, 1) != 1 || quota <= 0)
        return 1e9;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    return read_numbers(path, &period, 1) == 1 && period > 0 ? quota / period : 1e9;
}

static double memory_left(const char *folder, const char *limit, const char *used,
                          const char *caches)
{
    char path[PATH_BYTES + 40];
    double most, now;
    snprintf(path, sizeof path, "%s/%s", folder, limit);
    if (read_numbers(path, &most, 1) != 1)
        return 1e18;
    snprintf(path, sizeof path, "%s/%s", folder, used);
    if (read_numbers(path, &now, 1) != 1)
        return most;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    now -= read_keyed(path, caches);
    return most > now ? most - now : 0;
}

static double memory_v2(const char *folder)
{
    return memory_left(folder, "memory.max", "memory.current", "inactive_file");
}

static double memory_v1(const char *folder)
{
    return memory_left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes",
                       "total_inactive_file");
}

/* The least that the group's folder or any above it says. A container sees its own group at the
 * top, whatever the path says. */
static double least_up(const char *top, const char *group, group_limit *limit)
{
    char folder[PATH_BYTES];
    int n = snprintf(folder, sizeof folder, "%s%s", top, group);
    double least = 1e18;
    if (n < 0 || (size_t)n >= sizeof folder)
        return limit(top);
    for (size_t end = (size_t)n; end >= strlen(top); end--) {
        if (folder[end] != '/' && folder[end] != '\0')
            continue;
        folder[end] = '\0';
        double x = limit(folder);
        least = x < least ? x : least;
    }
    return least;
}

static bool lists(const char *controllers, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = controllers; (p = strstr(p, name)); p += n)
        if ((p == controllers || p[-1] == ',') && (p[n] == ',' || p[n] == '\0'))
            return true;
    return false;
}

/* The least over the groups that this process is in: the one of version 2, and of version 1 the one
 * that holds `controller`. */
static double least_of_groups(const char *root, const char *controller, group_limit *v1,
                              group_limit *v2)
{
    char line[PATH_BYTES], top[PATH_BYTES];
    snprintf(top, sizeof top, "%s/proc/self/cgroup", root);
    FILE *f = fopen(top, "re");
    double least = 1e18;
    while (f && fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(++controllers, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        double x = 1e18;
        snprintf(top, sizeof top, "%s/sys/fs/cgroup%s%s", root, *controllers ? "/" : "",
                 *controllers ? controller : "");
        if (*controllers == '\0')
            x = least_up(top, group, v2);
        else if (lists(controllers, controller))
            x = least_up(top, group, v1);
        least = x < least ? x : least;
    }
    if (f)
        fclose(f);
    return least;
}

double limits_cpu_quota(const char *root)
{
    return least_of_groups(root, "cpu", quota_v1, quota_v2);
}

size_t limits_memory(const char *root)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    double kib = read_keyed(path, "MemAvailable:");
    double left = least_of_groups(root, "memory", memory_v1, memory_v2);
    if (kib > 0 && kib * 1024 < left)
        left = kib * 1024;
    return left < 1e18 ? (size_t)left : SIZE_MAX;
}

/* ---- cores ---- */

/* True where no lower hardware thread of the cpu's core is in the set: "0,64", "2-3". */
static bool first_of_core(int cpu, const cpu_set_t *set)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "re");
    bool first = true;
    int from, to;
    char separator = ',';
    while (f && separator == ',' && fscanf(f, "%d", &from) == 1) {
        to = from;
        separator = '\0';
        int n = fscanf(f, "%c", &separator);
        if (n == 1 && separator == '-' && fscanf(f, "%d", &to) == 1)
            separator = fscanf(f, "%c", &separator) == 1 ? separator : '\0';
        for (int other = from; other <= to && other < cpu; other++)
            first = first && !(other >= 0 && CPU_ISSET((size_t)other, set));
    }
    if (f)
        fclose(f);
    return first;
}

int limits_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    int cores = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        cores += CPU_ISSET((size_t)cpu, &set) && first_of_core(cpu, &set);
    double granted = limits_cpu_quota("");
    if (granted < cores)
        cores = (int)granted;
    return cores < 1 ? 1 : cores;
}
