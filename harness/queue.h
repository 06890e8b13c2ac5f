/* queue.h: indices handed from one thread to the next, in order. A queue's capacity is the number
 * of indices that exist, so pushing never waits; what bounds a pipeline is that its jobs are few
 * and come back through a queue of free ones. */
#ifndef ASSAY_HARNESS_QUEUE_H
#define ASSAY_HARNESS_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    int *items; /* ring of `cap` */
    int cap, first, n;
    bool closed;
};

void queue_init(struct queue *q, int cap);
void queue_destroy(struct queue *q);
void queue_push(struct queue *q, int item);
/* The oldest item; -1 when there is none and `wait` is false, or when the queue is closed and
 * empty. */
int queue_pop(struct queue *q, bool wait);
/* Nothing comes after this: waiting threads get what is left, then -1. */
void queue_close(struct queue *q);

#endif
