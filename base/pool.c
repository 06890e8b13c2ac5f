#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

struct pool {
    int n; /* threads, the caller included */
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    void (*f)(void *, size_t, int);
    void *arg;
    size_t n_parts;
    atomic_size_t next;  /* the next part to hand out */
    unsigned generation; /* counts the loops, so that a thread joins each once */
    int busy;            /* threads still inside the loop */
    bool quit;
};

struct worker {
    struct pool *pool;
    int thread;
};

static void take_parts(struct pool *p, int thread)
{
    for (;;) {
        size_t part = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (part >= p->n_parts)
            return;
        p->f(p->arg, part, thread);
    }
}

static void *work(void *arg)
{
    struct worker w = *(struct worker *)arg;
    free(arg);
    struct pool *p = w.pool;
    unsigned seen = 0;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->quit && p->generation == seen)
            pthread_cond_wait(&p->work, &p->lock);
        if (p->quit)
            break;
        seen = p->generation;
        pthread_mutex_unlock(&p->lock);
        take_parts(p, w.thread);
        pthread_mutex_lock(&p->lock);
        if (--p->busy == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* CPU seconds a second that the cgroup (v2) grants; a large number when it sets no limit. */
static double cgroup_cpus(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!f)
        return 1e9;
    double quota, period;
    int n = fscanf(f, "%lf %lf", &quota, &period); /* "max 100000" scans no number */
    fclose(f);
    return n == 2 && quota > 0 && period > 0 ? quota / period : 1e9;
}

/* True where `cpu` is the first hardware thread of its core. */
static bool first_of_core(int cpu)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "re");
    if (!f)
        return true;
    int first = cpu;
    if (fscanf(f, "%d", &first) != 1)
        first = cpu;
    fclose(f);
    return first == cpu;
}

static int usable_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    int cores = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        cores += CPU_ISSET((size_t)cpu, &set) && first_of_core(cpu);
    if (cores == 0) /* only second threads of their cores are ours */
        cores = CPU_COUNT(&set);
    double granted = cgroup_cpus();
    if (granted < cores)
        cores = (int)granted;
    return cores < 1 ? 1 : cores;
}

struct pool *pool_new(int n_threads)
{
    struct pool *p = mem_alloc(1, sizeof *p);
    p->n = n_threads > 0 ? n_threads : usable_cores();
    p->threads = mem_alloc((size_t)p->n, sizeof *p->threads);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int t = 1; t < p->n; t++) {
        struct worker *w = mem_alloc(1, sizeof *w);
        *w = (struct worker){p, t};
        if (pthread_create(&p->threads[t], NULL, work, w) != 0) {
            free(w);
            p->n = t; /* fewer threads than asked for: slower, same results */
            break;
        }
    }
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int t = 1; t < p->n; t++)
        pthread_join(p->threads[t], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    free(p->threads);
    free(p);
}

int pool_size(const struct pool *p)
{
    return p->n;
}

void pool_run(struct pool *p, size_t n_parts, void (*f)(void *arg, size_t part, int thread),
              void *arg)
{
    if (p->n == 1 || n_parts <= 1) {
        for (size_t part = 0; part < n_parts; part++)
            f(arg, part, 0);
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->f = f;
    p->arg = arg;
    p->n_parts = n_parts;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    p->busy = p->n - 1;
    p->generation++;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    take_parts(p, 0);
    pthread_mutex_lock(&p->lock);
    while (p->busy > 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
