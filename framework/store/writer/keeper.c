/* keeper.c - see keeper.h. */
#include "store/writer/keeper.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/error.h"
#include "base/thread.h"
#include "store/writer/transactor.h"

/* Between attempts at what failed, doubling. */
#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 1000
/* How often it looks for what is too old, and after the files, when there is nothing to do. */
#define PURGE_MS 1000
/* How often it tells that messages are forgotten before their time. */
#define FORGOT_MS (60 * 60 * 1000)
/* A group of so many means that there is load: the next one is worth waiting for. */
#define LOAD_MIN 4

struct queue {
    struct keeper_work *first;
    struct keeper_work **last;
    size_t count;
};

struct keeper {
    struct idempotency_store *store;
    struct transactor *transactor;
    struct keeper_events events;
    uint32_t group_delay_us;
    int64_t renew_ms;
    pthread_t thread;
    bool started;

    pthread_mutex_t mutex; /* guards the next block */
    struct condition more;
    struct queue queue;
    size_t wanted; /* the thread sleeps until so many are queued; 0: it does not sleep */
    bool stopping;

    /* the thread's */
    struct queue failed; /* completions and releases to be tried again */
    struct idempotency_claim *group[KEEPER_GROUP_MAX];
    bool is_failing;
    int64_t retry_ms; /* the delay before the next attempt */
    int64_t retry_at_ms;
    int64_t renew_at_ms;
    int64_t purge_at_ms;
    bool purge_more;
    int64_t forgot_at_ms; /* not told before that again */
    size_t last_group;

    atomic_uint_fast64_t claims;
    atomic_uint_fast64_t completions;
    atomic_uint_fast64_t releases;
    atomic_uint_fast64_t groups;
    atomic_uint_fast64_t failures;
    atomic_uint_fast64_t overtaken;
};

/* ---- queues ---- */

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
    queue->count = 0;
}

static void queue_add(struct queue *queue, struct keeper_work *work)
{
    work->next = NULL;
    *queue->last = work;
    queue->last = &work->next;
    queue->count++;
}

static struct keeper_work *queue_pop(struct queue *queue)
{
    struct keeper_work *work = queue->first;

    if (!work)
        return NULL;
    queue->first = work->next;
    if (!queue->first)
        queue->last = &queue->first;
    queue->count--;
    return work;
}

/* All of @from to the end of @to. */
static void queue_move(struct queue *to, struct queue *from)
{
    struct keeper_work *work;

    if (to->count == 0 && from->count > 0) {
        to->first = from->first;
        to->last = from->last;
        to->count = from->count;
        queue_init(from);
        return;
    }
    while ((work = queue_pop(from)))
        queue_add(to, work);
}

/* ---- what the disk says ---- */

static int64_t now_ms(void)
{
    return clock_now_ms(clock_monotonic());
}

/* A process that ends over a lost handler says so itself. */
static void note_failure(struct keeper *k, const struct warren_error *error, size_t waiting)
{
    if (error->status == WARREN_ECLOSED)
        return;
    atomic_fetch_add_explicit(&k->failures, 1, memory_order_relaxed);
    k->retry_ms = k->retry_ms == 0 ? RETRY_MIN_MS : 2 * k->retry_ms;
    if (k->retry_ms > RETRY_MAX_MS)
        k->retry_ms = RETRY_MAX_MS;
    k->retry_at_ms = now_ms() + k->retry_ms;
    if (!k->is_failing && k->events.failed)
        k->events.failed(k->events.user, error->text, waiting);
    k->is_failing = true;
}

static void note_success(struct keeper *k)
{
    k->retry_ms = 0;
    if (k->is_failing && k->events.recovered)
        k->events.recovered(k->events.user);
    k->is_failing = false;
}

/* ---- one group: works of the same task at the head of a queue ---- */

static size_t group_of(struct keeper *k, const struct queue *queue)
{
    struct keeper_work *work = queue->first;
    size_t count = 0;

    while (work && work->task == queue->first->task && count < KEEPER_GROUP_MAX) {
        k->group[count++] = &work->claim;
        work = work->next;
    }
    return count;
}

static enum warren_status do_group(struct keeper *k, enum keeper_task task, size_t count,
                                   struct warren_error *error)
{
    const struct idempotency_ops *ops = k->store->ops;

    switch (task) {
    case KEEPER_CLAIM:
        atomic_fetch_add_explicit(&k->claims, count, memory_order_relaxed);
        return ops->claim(k->store, k->group, count, error);
    case KEEPER_COMPLETE:
        atomic_fetch_add_explicit(&k->groups, 1, memory_order_relaxed);
        return ops->complete(k->store, k->group, count, error);
    case KEEPER_RELEASE:
        break;
    }
    return ops->release(k->store, k->group, count, error);
}

static void finish(struct keeper *k, struct keeper_work *work, enum warren_status status)
{
    if (status == WARREN_OK && work->task == KEEPER_COMPLETE) {
        atomic_fetch_add_explicit(&k->completions, 1, memory_order_relaxed);
        if (work->claim.overtaken)
            atomic_fetch_add_explicit(&k->overtaken, 1, memory_order_relaxed);
    } else if (status == WARREN_OK && work->task == KEEPER_RELEASE) {
        atomic_fetch_add_explicit(&k->releases, 1, memory_order_relaxed);
    }
    work->done(work, status); /* frees it, perhaps */
}

/* The first group of @queue: done, or told that it failed, or among those to be tried again. */
static void work_group(struct keeper *k, struct queue *queue, bool last_time)
{
    struct warren_error error = {WARREN_OK, ""};
    enum keeper_task task = queue->first->task;
    size_t count = group_of(k, queue);
    enum warren_status status = do_group(k, task, count, &error);
    bool again =
        status != WARREN_OK && status != WARREN_ECLOSED && task != KEEPER_CLAIM && !last_time;

    if (status == WARREN_OK && (task != KEEPER_CLAIM || k->failed.count == 0))
        note_success(k);
    else if (status != WARREN_OK)
        note_failure(k, &error, task == KEEPER_CLAIM ? 0 : count);
    while (count-- > 0) {
        struct keeper_work *work = queue_pop(queue);

        if (again)
            queue_add(&k->failed, work);
        else
            finish(k, work, status);
    }
}

/* ---- the thread ---- */

/* When there is something to do although nothing comes. Microseconds. */
static int64_t next_duty_us(const struct keeper *k)
{
    int64_t next_ms = k->purge_at_ms < k->renew_at_ms ? k->purge_at_ms : k->renew_at_ms;

    if (k->failed.count > 0 && k->retry_at_ms < next_ms)
        next_ms = k->retry_at_ms;
    return k->purge_more ? 0 : next_ms * 1000;
}

static int64_t now_us(void)
{
    return clock_now_ns(clock_monotonic()) / 1000;
}

/* Under the mutex: sleep until @count are queued, or @until_us. */
static void sleep_until(struct keeper *k, size_t count, int64_t until_us)
{
    k->wanted = count;
    while (k->queue.count < count && !k->stopping && now_us() < until_us)
        condition_wait_until_us(&k->more, &k->mutex, until_us);
    k->wanted = 0;
}

/* Take what is queued; under load only when a group is worth its commit, or has waited enough. */
static void gather(struct keeper *k, struct queue *queue)
{
    pthread_mutex_lock(&k->mutex);
    sleep_until(k, 1, next_duty_us(k));
    if (k->queue.count > 0 && k->last_group >= LOAD_MIN)
        sleep_until(k, KEEPER_GROUP_GOOD, now_us() + k->group_delay_us);
    queue_move(queue, &k->queue);
    pthread_mutex_unlock(&k->mutex);
    if (queue->count > 0)
        k->last_group = queue->count;
}

static bool is_stopping(struct keeper *k)
{
    bool stopping;

    pthread_mutex_lock(&k->mutex);
    stopping = k->stopping && k->queue.count == 0;
    pthread_mutex_unlock(&k->mutex);
    return stopping;
}

static void retry_failed(struct keeper *k, bool last_time)
{
    struct queue again;

    if (k->failed.count == 0 || (!last_time && now_ms() < k->retry_at_ms))
        return;
    queue_init(&again);
    queue_move(&again, &k->failed);
    while (again.count > 0) {
        work_group(k, &again, last_time);
        if (k->failed.count > 0) { /* it still fails: no need to try the others */
            queue_move(&k->failed, &again);
            return;
        }
    }
}

static void tend(struct keeper *k)
{
    char text[DATABASE_LOG_TEXT];
    enum database_log_news news = DATABASE_LOG_AS_BEFORE;

    if (k->store->ops->tend)
        news = k->store->ops->tend(k->store, text);
    if (news != DATABASE_LOG_AS_BEFORE && k->events.size)
        k->events.size(k->events.user, news == DATABASE_LOG_GREW, text);
}

static void look_what_is_forgotten(struct keeper *k, int64_t now)
{
    int64_t age_ms;

    if (!k->store->ops->forgot || now < k->forgot_at_ms ||
        !k->store->ops->forgot(k->store, &age_ms))
        return;
    k->forgot_at_ms = now + FORGOT_MS;
    if (k->events.forgot)
        k->events.forgot(k->events.user, age_ms);
}

static void see_to_duties(struct keeper *k)
{
    struct warren_error error = {WARREN_OK, ""};
    int64_t now = now_ms();

    if (now >= k->renew_at_ms) {
        k->renew_at_ms = now + k->renew_ms;
        if (k->store->ops->renew(k->store, &error) != WARREN_OK)
            note_failure(k, &error, 0);
    }
    if (now >= k->purge_at_ms)
        tend(k);
    if (k->purge_more || now >= k->purge_at_ms) {
        k->purge_at_ms = now + PURGE_MS;
        if (k->store->ops->purge(k->store, &k->purge_more, &error) != WARREN_OK)
            note_failure(k, &error, 0);
        look_what_is_forgotten(k, now);
    }
}

static void *run(void *arg)
{
    struct keeper *k = arg;
    struct queue queue;

    queue_init(&queue);
    while (!is_stopping(k)) {
        gather(k, &queue);
        retry_failed(k, false);
        while (queue.count > 0) {
            /* While the disk fails, completions join those that wait, in their order. */
            if (k->failed.count > 0 && queue.first->task != KEEPER_CLAIM)
                queue_add(&k->failed, queue_pop(&queue));
            else
                work_group(k, &queue, false);
        }
        see_to_duties(k);
    }
    retry_failed(k, true);
    return NULL;
}

/* ---- life ---- */

static void init(struct keeper *k, const struct keeper_options *options)
{
    k->store = options->store;
    k->transactor = options->transactor;
    k->events = options->events;
    k->group_delay_us = options->group_delay_us;
    k->renew_ms = options->renew_ms;
    k->renew_at_ms = now_ms() + k->renew_ms;
    k->purge_at_ms = now_ms() + PURGE_MS;
    queue_init(&k->queue);
    queue_init(&k->failed);
    pthread_mutex_init(&k->mutex, NULL);
    condition_init(&k->more);
}

enum warren_status keeper_new(const struct keeper_options *options, struct keeper **ret_keeper,
                              struct warren_error *error)
{
    struct keeper *k = calloc(1, sizeof *k);
    enum warren_status status;

    if (!k) {
        transactor_free(options->transactor);
        options->store->ops->free(options->store);
        return error_set(error, WARREN_ENOMEM, "out of memory");
    }
    init(k, options);
    status = thread_start(&k->thread, "warren-store", run, k, error);
    if (status != WARREN_OK) {
        keeper_free(k);
        return status;
    }
    k->started = true;
    *ret_keeper = k;
    return WARREN_OK;
}

struct idempotency_store *keeper_store(struct keeper *k)
{
    return k->store;
}

struct transactor *keeper_transactor(struct keeper *k)
{
    return k->transactor;
}

void keeper_submit(struct keeper *k, struct keeper_work *work)
{
    bool wake;

    pthread_mutex_lock(&k->mutex);
    queue_add(&k->queue, work);
    wake = k->wanted > 0 && k->queue.count == k->wanted;
    pthread_mutex_unlock(&k->mutex);
    if (wake)
        condition_signal(&k->more);
}

void keeper_stats(struct keeper *k, struct keeper_stats *stats)
{
    *stats = (struct keeper_stats){
        .claims = atomic_load_explicit(&k->claims, memory_order_relaxed),
        .completions = atomic_load_explicit(&k->completions, memory_order_relaxed),
        .releases = atomic_load_explicit(&k->releases, memory_order_relaxed),
        .groups = atomic_load_explicit(&k->groups, memory_order_relaxed),
        .failures = atomic_load_explicit(&k->failures, memory_order_relaxed),
        .overtaken = atomic_load_explicit(&k->overtaken, memory_order_relaxed),
    };
}

void keeper_stop(struct keeper *k)
{
    if (!k || !k->started)
        return;
    transactor_stop(k->transactor); /* what it could not commit is released */
    pthread_mutex_lock(&k->mutex);
    k->stopping = true;
    pthread_mutex_unlock(&k->mutex);
    condition_signal(&k->more);
    pthread_join(k->thread, NULL);
    k->started = false;
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    keeper_stop(k);
    transactor_free(k->transactor);
    k->store->ops->free(k->store);
    condition_done(&k->more);
    pthread_mutex_destroy(&k->mutex);
    free(k);
}
