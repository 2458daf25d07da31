/* pool.h - threads that run functions beside the handlers', for all subscriptions of a worker:
 * started when they are needed first, ended when they were idle for POOL_IDLE_MS.
 *
 *   handler: pool_lock > pool_offer(work) > pool_unlock > a thread: work->run(), in turn
 *
 * A work is something that has functions to be run, one at each call: several works take turns, so
 * that one with many functions does not keep the threads from the others. Who waits for a work may
 * run its functions, too; so all goes on without any thread of the pool.
 * Bound: `max` threads. What a work keeps waiting is its own bound.
 * Thread: any. Owner: the runtime, or a test without a broker.
 * Elsewhere: what is run (consume/job/job_group.c), whose crash it is (consume/crash/fault.h).
 */
#ifndef WARREN_CONSUME_POOL_H
#define WARREN_CONSUME_POOL_H

#include <pthread.h>
#include <stdint.h>

#include "base/condition.h"
#include "base/list.h"
#include "base/metrics.h"

#define POOL_THREADS_MAX 1024
/** A thread that has had nothing to do for this long ends. */
#define POOL_IDLE_MS 10000

struct pool;

/** First in whatever has functions to be run. */
struct pool_work {
    struct list link; /* initialised; in the pool while it is offered */
    /**
     * Run one function, if there is one. Entered and left with the pool's lock, which is given up
     * meanwhile; it may be gone when this returns.
     */
    void (*run)(struct pool_work *work);
};

struct pool_metrics {
    struct metric_collector collector;
    struct warren_series *threads;
    struct warren_series *threads_max;
    struct warren_series *functions;
    struct warren_series *waiting;
    struct warren_series *full;
};

struct pool {
    pthread_mutex_t lock;  /* guards all that follows, and what its works say is guarded by it */
    struct condition work; /* `tickets` has grown, or stopping */
    struct condition ended;
    struct list offered; /* works that can have a function run, in turn */
    struct list over;    /* threads that have ended, to be joined */
    uint32_t count;      /* threads, */
    uint32_t idle;       /* of these, asleep and not called */
    uint32_t tickets;    /* of those asleep, called */
    uint32_t busy;       /* in a work */
    uint32_t max;
    bool stopping;
    bool guarded; /* threads have a stack for signals */
    uint64_t functions;
    uint64_t waiting; /* functions that are not begun */
    uint64_t full;
    struct pool_metrics metrics;
};

/**
 * @max      threads; 0: none, all is run by who waits
 * @guarded  there is a flight recorder, and faults are caught
 */
void pool_init(struct pool *pool, uint32_t max, bool guarded);
/**
 * End the threads. @return false: some have not come back from a function, and never will; then the
 * pool must stay as it is. Harmless to repeat
 */
bool pool_stop(struct pool *pool);
/** Stopped, or zeroed. */
void pool_done(struct pool *pool);

/** From now on so many threads, at most; those that are too many end behind what they are at. */
void pool_resize(struct pool *pool, uint32_t max);

static inline void pool_lock(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
}

/** And join threads that have ended. */
void pool_unlock(struct pool *pool);

/** @work has one function more that may run now: a thread is called for it, or started. Under the
 * lock. */
void pool_offer(struct pool *pool, struct pool_work *work);
/** It stands in the pool, if it does not yet; no thread is called. Under the lock. */
void pool_keep(struct pool *pool, struct pool_work *work);
/** Nothing of it may run now. Under the lock; harmless to repeat. */
void pool_withdraw(struct pool_work *work);

#endif
