/* pool.c - see pool.h. */
#include "consume/workers/pool.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "consume/crash/fault.h"

struct pool_thread {
    struct list link;
    struct pool *pool;
    pthread_t id;
};

/* ---- a thread's life ---- */

/* Under the lock, which is given up while sleeping. @return false: end */
static bool sleep_idle(struct pool *pool)
{
    int64_t until_ms = clock_deadline_ms(POOL_IDLE_MS);
    bool in_time = true;

    pool->idle++;
    while (pool->tickets == 0 && !pool->stopping && pool->count <= pool->max && in_time)
        in_time = condition_wait_until_ms(&pool->work, &pool->lock, until_ms);
    if (pool->tickets > 0) { /* whose it was: all that sleep are alike */
        pool->tickets--;
        return true;
    }
    pool->idle--;
    return false;
}

static void run_one(struct pool *pool)
{
    struct list *link = list_pop(&pool->offered);
    struct pool_work *work = list_entry(link, struct pool_work, link);

    pool->busy++;
    work->run(work);
    pool->busy--;
}

static void *thread_main(void *arg)
{
    struct pool_thread *thread = arg;
    struct pool *pool = thread->pool;
    bool guarded = pool->guarded;

    if (guarded)
        fault_beside_begin();
    pool_lock(pool);
    do {
        while (!list_empty(&pool->offered) && pool->count <= pool->max)
            run_one(pool);
    } while (!pool->stopping && sleep_idle(pool));
    pool->count--;
    list_push(&pool->over, &thread->link);
    condition_broadcast(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
    if (guarded)
        fault_stack_end();
    return NULL;
}

/* ---- starting them ---- */

/* What has ended, or does so at once. Not under the lock. */
static void join_all(struct list *over)
{
    struct list *link;

    while ((link = list_pop(over))) {
        struct pool_thread *thread = list_entry(link, struct pool_thread, link);

        pthread_join(thread->id, NULL);
        free(thread);
    }
}

/* Under the lock, so that it begins when its id is written. On failure nothing is lost: who waits
 * runs the functions itself. */
static void start_one(struct pool *pool)
{
    struct pool_thread *thread = calloc(1, sizeof *thread);

    if (!thread)
        return;
    thread->pool = pool;
    list_init(&thread->link);
    if (thread_start_for_plugins(&thread->id, "group", thread_main, thread, NULL) == WARREN_OK)
        pool->count++;
    else
        free(thread);
}

void pool_unlock(struct pool *pool)
{
    struct list over;

    list_init(&over);
    list_splice(&over, &pool->over);
    pthread_mutex_unlock(&pool->lock);
    join_all(&over);
}

void pool_keep(struct pool *pool, struct pool_work *work)
{
    if (list_empty(&work->link))
        list_push(&pool->offered, &work->link);
}

void pool_offer(struct pool *pool, struct pool_work *work)
{
    pool_keep(pool, work);
    if (pool->idle > 0) {
        pool->idle--;
        pool->tickets++;
        condition_signal(&pool->work);
    } else if (pool->count < pool->max && !pool->stopping) {
        start_one(pool);
    } else {
        pool->full++;
    }
}

void pool_withdraw(struct pool_work *work)
{
    list_remove(&work->link);
}

/* ---- life ---- */

static void put(void *user)
{
    struct pool *pool = user;
    const struct pool_metrics *m = &pool->metrics;

    pool_lock(pool);
    metric_put(m->threads, pool->count);
    metric_put(m->threads_max, pool->max);
    metric_put(m->functions, (double)pool->functions);
    metric_put(m->waiting, (double)pool->waiting);
    metric_put(m->full, (double)pool->full);
    pthread_mutex_unlock(&pool->lock);
}

void pool_init(struct pool *pool, uint32_t max, bool guarded)
{
    struct pool_metrics *m = &pool->metrics;

    *pool = (struct pool){.max = max, .guarded = guarded};
    pthread_mutex_init(&pool->lock, NULL);
    condition_init(&pool->work);
    condition_init(&pool->ended);
    list_init(&pool->offered);
    list_init(&pool->over);
    m->threads = metric_series(METRIC_GROUP_THREADS);
    m->threads_max = metric_series(METRIC_GROUP_MAX_THREADS);
    m->functions = metric_series(METRIC_GROUP_FUNCTIONS);
    m->waiting = metric_series(METRIC_GROUP_WAITING);
    m->full = metric_series(METRIC_GROUP_FULL);
    m->collector = (struct metric_collector){.collect = put, .user = pool, .lasts = true};
    metrics_collect_add(&m->collector);
}

void pool_resize(struct pool *pool, uint32_t max)
{
    pool_lock(pool);
    pool->max = max;
    condition_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

bool pool_stop(struct pool *pool)
{
    struct list over;
    bool all;

    if (!pool->metrics.threads)
        return true;
    list_init(&over);
    pool_lock(pool);
    pool->stopping = true;
    condition_broadcast(&pool->work);
    while (pool->count > pool->busy)
        condition_wait(&pool->ended, &pool->lock);
    all = pool->count == 0;
    list_splice(&over, &pool->over);
    pthread_mutex_unlock(&pool->lock);
    join_all(&over);
    return all;
}

void pool_done(struct pool *pool)
{
    struct pool_metrics *m = &pool->metrics;

    if (!m->threads)
        return;
    metrics_collect_remove(&m->collector);
    metric_release(m->threads);
    metric_release(m->threads_max);
    metric_release(m->functions);
    metric_release(m->waiting);
    metric_release(m->full);
    condition_done(&pool->work);
    condition_done(&pool->ended);
    pthread_mutex_destroy(&pool->lock);
    *pool = (struct pool){.max = 0};
}
