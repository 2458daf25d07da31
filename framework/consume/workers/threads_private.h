/* threads_private.h - worker threads of one runner, as threads.c (what they do) and threads_size.c
 * (how many there are) share them. */
#ifndef WARREN_CONSUME_THREADS_PRIVATE_H
#define WARREN_CONSUME_THREADS_PRIVATE_H

#include <pthread.h>
#include <semaphore.h>

#include "consume/workers/threads.h"

struct worker {
    struct threads *threads;
    uint32_t index;
    uint32_t unannounced; /* settled by this worker since the loop last took some */
    pthread_t thread;
    sem_t wake; /* posted once by whoever takes it off the idle stack; a condition variable would
                   cost a second system call for each sleep, to unlock its mutex */
    int64_t begun_ns;          /* end of the last message, or of the sleep */
    struct batch with;         /* those that go together with the one that it has taken */
    uint32_t messages;         /* that it has; under the lock */
    struct worker *next_idle;  /* under the lock */
    bool at_work;              /* counted in `running`; under the lock */
    bool gone;                 /* its thread ends, and looks at nothing any more; under the lock */
    bool joined;               /* it has no thread; its owner's */
    struct worker *next_woken; /* of the loop's thread, while it wakes them */
};

struct threads {
    struct runner runner; /* first: its address is the threads' */
    struct clock *clock;

    pthread_mutex_t lock; /* guards the next block */
    struct batch queue;
    struct worker *idle; /* a stack: the last one's caches are warm */
    uint32_t idle_count;
    uint32_t running;  /* workers at work: from their first message to their next sleep */
    uint32_t more;     /* messages that they have, beside one each */
    uint32_t peak;     /* the most of these since threads_observe() */
    int64_t rested_ns; /* that workers slept and were woken, all together */
    uint64_t pushed;
    uint64_t popped;
    uint64_t pushed_at_look;
    int64_t looked_ns;
    int64_t woken_ns;   /* when a worker was last woken */
    int64_t popped_ns;  /* when a worker last took a message */
    int64_t average_ns; /* time a message takes, moving average */
    bool stopping;
    uint32_t concurrency; /* a worker of a higher number takes nothing, and ends */

    char name[16];
    uint32_t started; /* threads, also such as end; */
    struct worker **workers;
    bool surplus; /* there may be threads that have ended and are not joined */
};

static inline struct threads *threads_of(struct runner *runner)
{
    return (struct threads *)(void *)runner;
}

/** It takes nothing any more, and ends. Under the lock. */
static inline bool worker_is_surplus(const struct worker *worker)
{
    return worker->index >= worker->threads->concurrency;
}

/* ---- threads.c ---- */

/** A worker's thread. @arg: the worker. */
void *worker_main(void *arg);
/** Wake @chosen and those behind it, which were taken off the idle stack. Not under the lock. */
void threads_signal(struct worker *chosen);

/* ---- threads_size.c: those of runner_ops ---- */

enum warren_status threads_resize(struct runner *runner, uint32_t concurrency,
                                  struct warren_error *error);
void threads_observe(struct runner *runner, struct runner_seen *seen);
/** All were told to end: wait for them. */
void threads_join(struct threads *threads);

#endif
