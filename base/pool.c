#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/limits.h"

/* Loops come in quick succession: a model's step is hundreds of them. So whoever waits, a thread
 * for the next loop or the caller for the threads, first watches an atomic for a little while, and
 * only then sleeps on the condition, which costs tens of microseconds to wake from. */
enum { SPIN_NS = 50000, PAUSES_A_LOOK = 32 };

struct pool {
    int n; /* threads, the caller included */
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    void (*f)(void *, size_t, int);
    void *arg;
    size_t n_parts;
    atomic_size_t next;     /* the next part to hand out */
    atomic_uint generation; /* counts the loops; written under the lock */
    atomic_int busy;        /* threads inside the loop, the caller aside; written under the lock */
    int asleep;             /* threads that wait on `work` */
    bool open;              /* the loop may still be joined; a thread that comes late stays out */
    bool quit;
};

struct worker {
    struct pool *pool;
    int thread;
};

static void pause_cpu(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Watches for the next loop, or for the end of the threads' work. What these see is a hint: the
 * facts are read again under the lock. */
static void spin_for_work(struct pool *p, unsigned seen)
{
    for (int64_t end = now_ns() + SPIN_NS; now_ns() < end;)
        for (int i = 0; i < PAUSES_A_LOOK; i++) {
            if (atomic_load_explicit(&p->generation, memory_order_relaxed) != seen)
                return;
            pause_cpu();
        }
}

static void spin_for_done(struct pool *p)
{
    for (int64_t end = now_ns() + SPIN_NS; now_ns() < end;)
        for (int i = 0; i < PAUSES_A_LOOK; i++) {
            if (atomic_load_explicit(&p->busy, memory_order_relaxed) == 0)
                return;
            pause_cpu();
        }
}

static void take_parts(struct pool *p, int thread)
{
    void (*f)(void *, size_t, int) = p->f;
    void *arg = p->arg;
    size_t n_parts = p->n_parts;
    for (;;) {
        size_t part = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (part >= n_parts)
            return;
        f(arg, part, thread);
    }
}

/* Waits under the lock for a loop that this thread has not seen. */
static void wait_for_work(struct pool *p, unsigned seen)
{
    pthread_mutex_unlock(&p->lock);
    spin_for_work(p, seen);
    pthread_mutex_lock(&p->lock);
    p->asleep++;
    while (!p->quit && p->generation == seen)
        pthread_cond_wait(&p->work, &p->lock);
    p->asleep--;
}

static void *work(void *arg)
{
    struct worker w = *(struct worker *)arg;
    free(arg);
    struct pool *p = w.pool;
    unsigned seen = 0;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        wait_for_work(p, seen);
        if (p->quit)
            break;
        seen = p->generation;
        if (!p->open)
            continue;
        p->busy++;
        pthread_mutex_unlock(&p->lock);
        take_parts(p, w.thread);
        pthread_mutex_lock(&p->lock);
        if (--p->busy == 0 && !p->open)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct pool *pool_new(int n_threads)
{
    struct pool *p = mem_alloc(1, sizeof *p);
    p->n = n_threads > 0 ? n_threads : limits_cores();
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
    p->open = true;
    p->generation++;
    if (p->asleep > 0)
        pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    take_parts(p, 0);
    pthread_mutex_lock(&p->lock);
    p->open = false; /* whoever has not come by now would find nothing to do */
    if (p->busy > 0) {
        pthread_mutex_unlock(&p->lock);
        spin_for_done(p);
        pthread_mutex_lock(&p->lock);
        while (p->busy > 0)
            pthread_cond_wait(&p->done, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}
