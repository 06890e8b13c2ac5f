#include "harness/queue.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"

void queue_init(struct queue *q, int cap)
{
    *q = (struct queue){.items = mem_alloc((size_t)cap, sizeof(int)), .cap = cap};
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->arrived, NULL);
}

void queue_destroy(struct queue *q)
{
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->arrived);
    free(q->items);
}

void queue_push(struct queue *q, int item)
{
    pthread_mutex_lock(&q->lock);
    assert(q->n < q->cap);
    q->items[(q->first + q->n++) % q->cap] = item;
    pthread_cond_signal(&q->arrived);
    pthread_mutex_unlock(&q->lock);
}

int queue_pop(struct queue *q, bool wait)
{
    int item = -1;
    pthread_mutex_lock(&q->lock);
    while (wait && q->n == 0 && !q->closed)
        pthread_cond_wait(&q->arrived, &q->lock);
    if (q->n > 0) {
        item = q->items[q->first];
        q->first = (q->first + 1) % q->cap;
        q->n--;
    }
    pthread_mutex_unlock(&q->lock);
    return item;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->arrived);
    pthread_mutex_unlock(&q->lock);
}
