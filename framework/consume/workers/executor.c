/* executor.c - see executor.h. Its threads: executor_threads.c. */
#include "consume/workers/executor.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "consume/workers/executor_private.h"

/* ---- a member's runner ---- */

/* Its messages that could be run now, if there were threads. Under the lock. */
static uint32_t could_run(const struct executor_member *m)
{
    uint32_t room = m->share.most > m->share.running ? m->share.most - m->share.running : 0;

    return m->queue.count < room ? m->queue.count : room;
}

/* Take as many threads off the idle stack as the work of @m is worth; under the lock. They are
 * woken after it. */
static struct executor_thread *choose_idle(struct executor_member *m, uint32_t at_least)
{
    struct executor *x = m->executor;
    uint64_t worth = (uint64_t)m->queue.count * (uint64_t)m->average_ns / EXECUTOR_WAKE_WORTH_NS;
    uint32_t most = could_run(m);
    struct executor_thread *chosen = NULL;

    if (worth < at_least)
        worth = at_least;
    for (; worth > 0 && most > 0 && x->idle; worth--, most--) {
        struct executor_thread *t = x->idle;

        x->idle = t->next;
        x->idle_count--;
        t->next = chosen;
        chosen = t;
    }
    return chosen;
}

static void push(struct runner *runner, struct batch *batch)
{
    struct executor_member *m = executor_member_of(runner);
    struct executor *x = m->executor;
    struct executor_thread *chosen;

    pthread_mutex_lock(&x->lock);
    m->pushed += batch->count;
    m->share.waiting += batch->count;
    atomic_fetch_add_explicit(&x->queued, batch->count, memory_order_relaxed);
    batch_splice(&m->queue, batch);
    chosen = choose_idle(m, 1);
    pthread_mutex_unlock(&x->lock);
    executor_wake(chosen);
}

static bool look(struct runner *runner)
{
    struct executor_member *m = executor_member_of(runner);
    struct executor *x = m->executor;
    struct executor_thread *chosen = NULL;
    bool again;

    pthread_mutex_lock(&x->lock);
    if (m->begun < m->pushed_at_look)
        chosen = choose_idle(m, 1);
    m->pushed_at_look = m->pushed;
    again = could_run(m) > 0 && x->idle_count > 0;
    pthread_mutex_unlock(&x->lock);
    executor_wake(chosen);
    return again;
}

static void take_queued(struct runner *runner, struct batch *batch)
{
    struct executor_member *m = executor_member_of(runner);
    struct executor *x = m->executor;

    pthread_mutex_lock(&x->lock);
    m->begun += m->queue.count;
    m->share.waiting = 0;
    atomic_fetch_sub_explicit(&x->queued, m->queue.count, memory_order_relaxed);
    batch_splice(batch, &m->queue);
    pthread_mutex_unlock(&x->lock);
}

static void load(struct runner *runner, uint32_t *running, uint32_t *queued)
{
    struct executor_member *m = executor_member_of(runner);

    pthread_mutex_lock(&m->executor->lock);
    *running = m->share.running;
    *queued = m->queue.count;
    pthread_mutex_unlock(&m->executor->lock);
}

static void observe(struct runner *runner, struct runner_seen *seen)
{
    struct executor_member *m = executor_member_of(runner);

    pthread_mutex_lock(&m->executor->lock);
    *seen = (struct runner_seen){.size = m->share.most,
                                 .running = m->share.running,
                                 .peak = m->share.running,
                                 .queued = m->queue.count,
                                 .begun = m->begun};
    pthread_mutex_unlock(&m->executor->lock);
}

/* Its threads are the executor's: another number is another bound. */
static enum warren_status resize(struct runner *runner, uint32_t concurrency,
                                 struct warren_error *error)
{
    struct executor_member *m = executor_member_of(runner);
    struct executor *x = m->executor;
    struct executor_thread *chosen;

    (void)error;
    pthread_mutex_lock(&x->lock);
    m->share.most = concurrency;
    chosen = choose_idle(m, m->queue.count);
    pthread_mutex_unlock(&x->lock);
    executor_wake(chosen);
    return WARREN_OK;
}

/* Nobody is in it any more, and nobody will be. */
static void stop(struct runner *runner)
{
    struct executor_member *m = executor_member_of(runner);
    struct executor *x = m->executor;
    size_t kept = 0;

    pthread_mutex_lock(&x->lock);
    assert(m->queue.count == 0);
    for (size_t i = 0; i < x->member_count; i++)
        if (x->members[i] != &m->share)
            x->members[kept++] = x->members[i];
    x->member_count = kept;
    while (m->share.running > 0)
        condition_wait(&x->left, &x->lock);
    pthread_mutex_unlock(&x->lock);
}

static void free_member(struct runner *runner)
{
    struct executor_member *m = executor_member_of(runner);

    assert(runner_all_taken(runner));
    metric_release_all(&m->metrics, sizeof m->metrics);
    free(m);
}

enum warren_status executor_join(struct executor *x, const struct executor_place *place,
                                 const struct runner_calls *calls, void *user,
                                 struct runner **ret_runner)
{
    static const struct runner_ops ops = {push,    look,   take_queued, load,
                                          observe, resize, stop,        free_member};
    struct executor_member *m = calloc(1, sizeof *m);
    bool full;

    if (!m)
        return WARREN_ENOMEM;
    runner_init(&m->runner, &ops, calls, user, place->outlook);
    m->executor = x;
    m->share = (struct shares_member){.share = place->share, .most = place->most};
    m->average_ns = EXECUTOR_WAKE_WORTH_NS;
    m->metrics.share = metric_series(METRIC_EXECUTOR_SHARE, x->name, place->queue, place->handler);
    m->metrics.lent = metric_series(METRIC_EXECUTOR_LENT, x->name, place->queue, place->handler);
    pthread_mutex_lock(&x->lock);
    full = x->member_count == EXECUTOR_MEMBERS_MAX;
    if (!full)
        x->members[x->member_count++] = &m->share;
    pthread_mutex_unlock(&x->lock);
    if (full) {
        free_member(&m->runner);
        return WARREN_EFULL;
    }
    *ret_runner = &m->runner;
    return WARREN_OK;
}

/* ---- life ---- */

static void put_member(const struct executor_member *m)
{
    metric_put(m->metrics.share, m->share.share);
    metric_put(m->metrics.lent, (double)m->lent);
}

static void put(void *user)
{
    struct executor *x = user;
    uint32_t busy = 0;

    pthread_mutex_lock(&x->lock);
    for (size_t i = 0; i < x->member_count; i++) {
        busy += x->members[i]->running;
        put_member(executor_member_with(x->members[i]));
    }
    metric_put(x->metrics.threads, x->thread_count);
    metric_put(x->metrics.busy, busy);
    metric_put(x->metrics.waiting, atomic_load(&x->queued));
    pthread_mutex_unlock(&x->lock);
}

static void begin_metrics(struct executor *x)
{
    x->metrics.threads = metric_series(METRIC_EXECUTOR_THREADS, x->name);
    x->metrics.busy = metric_series(METRIC_EXECUTOR_BUSY, x->name);
    x->metrics.waiting = metric_series(METRIC_EXECUTOR_WAITING, x->name);
    x->collector = (struct metric_collector){.collect = put, .user = x, .lasts = true};
    metrics_collect_add(&x->collector);
}

enum warren_status executor_new(const struct executor_options *options,
                                struct executor **ret_executor, struct warren_error *error)
{
    struct executor *x = calloc(1, sizeof *x);
    enum warren_status status;

    assert(options->threads > 0);
    if (!x)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    snprintf(x->name, sizeof x->name, "%s", options->name);
    x->clock = options->clock;
    x->guarded = options->guarded;
    pthread_mutex_init(&x->lock, NULL);
    condition_init(&x->left);
    begin_metrics(x);
    status = executor_start_threads(x, options->threads, error);
    if (status != WARREN_OK) {
        executor_free(x);
        return status;
    }
    *ret_executor = x;
    return WARREN_OK;
}

const char *executor_name(const struct executor *x)
{
    return x->name;
}

uint32_t executor_threads(const struct executor *x)
{
    return x->thread_count;
}

void executor_free(struct executor *x)
{
    if (!x)
        return;
    executor_stop(x);
    assert(x->member_count == 0);
    metrics_collect_remove(&x->collector);
    metric_release_all(&x->metrics, sizeof x->metrics);
    condition_done(&x->left);
    pthread_mutex_destroy(&x->lock);
    free(x->threads);
    free(x);
}
