/* executor.c - see executor.h. */
#include "consume/workers/executor.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "consume/workers/settled.h"

/* Work for so long pays for waking one worker (a wake-up costs about 20 us of CPU). */
#define WAKE_WORTH_NS 50000
/* Nothing is known yet: assume that each message is worth a worker. */
#define FIRST_GUESS_NS WAKE_WORTH_NS
#define AVERAGE_MIN_NS 500
/* A worker that took a message so recently will soon take the next. */
#define RECENT_NS 100000
/* So many settled ones wait: wake the loop although workers are still busy. */
#define SETTLED_MANY 64

struct worker {
    struct executor *executor;
    uint32_t index;
    uint32_t unannounced; /* settled by this worker since the loop last took some */
    pthread_t thread;
    sem_t wake; /* posted once by whoever takes it off the idle stack; a condition variable would
                   cost a second system call for each sleep, to unlock its mutex */
    int64_t begun_ns;          /* end of the last message, or of the sleep */
    struct worker *next_idle;  /* under the lock */
    bool at_work;              /* counted in `running`; under the lock */
    struct worker *next_woken; /* of the loop's thread, while it wakes them */
};

struct executor {
    struct executor_calls calls;
    void *user;
    struct clock *clock;
    struct loop_outlook *outlook;

    pthread_mutex_t lock; /* guards the next block */
    struct batch queue;
    struct worker *idle; /* a stack: the last one's caches are warm */
    uint32_t idle_count;
    uint32_t running; /* workers at work: from their first message to their next sleep */
    uint64_t pushed;
    uint64_t popped;
    uint64_t pushed_at_look;
    int64_t looked_ns;
    int64_t woken_ns;   /* when a worker was last woken */
    int64_t popped_ns;  /* when a worker last took a message */
    int64_t average_ns; /* time a message takes, moving average */
    bool stopping;

    atomic_bool roomy;
    struct settled settled;
    uint32_t started; /* threads */
    uint32_t concurrency;
    struct worker workers[];
};

/* ---- waking workers: loop's thread ---- */

/* How many idle workers to wake for what is queued. Under the lock. */
static uint32_t workers_worth_waking(const struct executor *e, uint32_t at_least)
{
    uint64_t worth = (uint64_t)e->queue.count * (uint64_t)e->average_ns / WAKE_WORTH_NS;

    if (worth < at_least)
        worth = at_least;
    if (worth > e->queue.count)
        worth = e->queue.count;
    return worth < e->idle_count ? (uint32_t)worth : e->idle_count;
}

/* Take @count workers off the idle stack; under the lock. They are signalled after it. */
static struct worker *take_idle(struct executor *e, uint32_t count)
{
    struct worker *chosen = NULL;

    while (count-- > 0) {
        struct worker *w = e->idle;

        e->idle = w->next_idle;
        e->idle_count--;
        w->next_woken = chosen;
        chosen = w;
    }
    return chosen;
}

static void signal_workers(struct worker *chosen)
{
    while (chosen) {
        struct worker *next = chosen->next_woken;

        sem_post(&chosen->wake);
        chosen = next;
    }
}

/*
 * One at least, unless a worker is there that takes messages all the time, or will in a moment.
 * Under the lock.
 */
static uint32_t must_wake(struct executor *e, int64_t now_ns)
{
    bool busy = e->idle_count < e->concurrency;
    bool moving = now_ns - e->popped_ns < RECENT_NS || now_ns - e->woken_ns < RECENT_NS;
    bool left_over = false;

    if (now_ns - e->looked_ns >= RECENT_NS) {
        left_over = e->popped < e->pushed_at_look;
        e->looked_ns = now_ns;
        e->pushed_at_look = e->pushed;
    }
    return busy && moving && !left_over ? 0 : 1;
}

void executor_roomy(struct executor *e, bool roomy)
{
    if (atomic_load_explicit(&e->roomy, memory_order_relaxed) != roomy)
        atomic_store_explicit(&e->roomy, roomy, memory_order_relaxed);
}

void executor_push(struct executor *e, struct batch *batch)
{
    int64_t now_ns = clock_now_ns(e->clock);
    struct worker *chosen;

    if (batch->count == 0)
        return;
    pthread_mutex_lock(&e->lock);
    e->pushed += batch->count;
    batch_splice(&e->queue, batch);
    chosen = take_idle(e, workers_worth_waking(e, must_wake(e, now_ns)));
    if (chosen)
        e->woken_ns = now_ns;
    pthread_mutex_unlock(&e->lock);
    signal_workers(chosen);
}

bool executor_look(struct executor *e)
{
    struct worker *chosen = NULL;
    bool again;

    pthread_mutex_lock(&e->lock);
    if (e->popped < e->pushed_at_look)
        chosen = take_idle(e, workers_worth_waking(e, 1));
    e->pushed_at_look = e->pushed;
    again = e->queue.count > 0 && e->idle_count > 0;
    pthread_mutex_unlock(&e->lock);
    signal_workers(chosen);
    return again;
}

/* ---- the way back ---- */

static void announce(struct executor *e)
{
    e->calls.wake_loop(e->user);
}

static void worker_settled(struct worker *w, struct delivery *delivery)
{
    struct executor *e = w->executor;
    bool first = settled_push(&e->settled, delivery);

    w->unannounced = first ? 1 : w->unannounced + 1;
    if (first ? !atomic_load(&e->outlook->looking)
              : w->unannounced >= SETTLED_MANY && !e->calls.loop_rests(e->user)) {
        w->unannounced = 0;
        announce(e);
    }
}

void executor_settled(struct executor *e, struct delivery *delivery)
{
    if (settled_push(&e->settled, delivery) && !atomic_load(&e->outlook->looking))
        announce(e);
}

void executor_take_settled(struct executor *e, struct batch *batch)
{
    if (!settled_empty(&e->settled))
        settled_take(&e->settled, batch);
}

/* ---- a worker's life ---- */

/* One message that takes long, such as one during which the thread lost its CPU, must not make
 * the average jump: it at most doubles it. Under the lock. */
static void learn(struct executor *e, int64_t took_ns)
{
    if (took_ns > 8 * e->average_ns)
        took_ns = 8 * e->average_ns;
    e->average_ns += (took_ns - e->average_ns) / 8;
    if (e->average_ns < AVERAGE_MIN_NS)
        e->average_ns = AVERAGE_MIN_NS;
}

/* Under the lock. One that has just begun, or was woken and came too late, is not at work. */
static void set_at_work(struct worker *w, bool at_work)
{
    if (w->at_work && !at_work)
        w->executor->running--;
    if (!w->at_work && at_work)
        w->executor->running++;
    w->at_work = at_work;
}

/* Under the lock, which is given up while sleeping. */
static void sleep_idle(struct worker *w)
{
    struct executor *e = w->executor;

    set_at_work(w, false);
    w->next_idle = e->idle;
    e->idle = w;
    e->idle_count++;
    pthread_mutex_unlock(&e->lock);
    while (sem_wait(&w->wake) != 0 && errno == EINTR)
        ;
    w->begun_ns = clock_now_ns(e->clock);
    pthread_mutex_lock(&e->lock);
}

/* The loop must hear of what is settled before the worker sleeps, unless nobody waits for it: then
 * it looks by itself, or was woken by the first one (worker_settled). Not under the lock. */
static void announce_before_sleep(struct worker *w)
{
    struct executor *e = w->executor;

    w->unannounced = 0;
    if (!atomic_load_explicit(&e->roomy, memory_order_relaxed) && !settled_empty(&e->settled) &&
        !e->calls.loop_rests(e->user))
        announce(e);
}

/* The next delivery, or NULL at the end. @took_ns: what the last one took, -1 for none. */
static struct delivery *worker_next(struct worker *w, int64_t took_ns)
{
    struct executor *e = w->executor;
    struct delivery *delivery;

    pthread_mutex_lock(&e->lock);
    if (took_ns >= 0)
        learn(e, took_ns);
    while (!(delivery = batch_pop(&e->queue)) && !e->stopping) {
        if (w->unannounced > 0) {
            pthread_mutex_unlock(&e->lock);
            announce_before_sleep(w);
            pthread_mutex_lock(&e->lock);
        } else {
            sleep_idle(w);
        }
    }
    set_at_work(w, delivery != NULL);
    if (delivery) {
        e->popped++;
        e->popped_ns = w->begun_ns;
    }
    pthread_mutex_unlock(&e->lock);
    return delivery;
}

static void worker_run(struct worker *w, struct delivery *delivery)
{
    struct executor *e = w->executor;

    if (delivery->generation != e->calls.generation(e->user)) {
        /* The broker delivers it again on the new channel; running it here would be in vain. */
        delivery->outcome = WARREN_REQUEUE;
        worker_settled(w, delivery);
    } else if (e->calls.run(e->user, w->index, delivery, w->begun_ns)) {
        worker_settled(w, delivery);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct delivery *delivery;
    int64_t took_ns = -1;

    if (w->executor->calls.thread_begins)
        w->executor->calls.thread_begins(w->executor->user, w->index);
    w->begun_ns = clock_now_ns(w->executor->clock);
    while ((delivery = worker_next(w, took_ns))) {
        int64_t begun_ns = w->begun_ns;

        worker_run(w, delivery);
        w->begun_ns = clock_now_ns(w->executor->clock);
        took_ns = w->begun_ns - begun_ns;
    }
    if (w->executor->calls.thread_ends)
        w->executor->calls.thread_ends(w->executor->user, w->index);
    return NULL;
}

/* ---- the executor's life ---- */

static enum warren_status start_workers(struct executor *e, const char *name,
                                        struct warren_error *error)
{
    for (uint32_t i = 0; i < e->concurrency; i++) {
        struct worker *w = &e->workers[i];
        char text[32];
        enum warren_status status;

        w->executor = e;
        w->index = i;
        sem_init(&w->wake, 0, 0);
        snprintf(text, sizeof text, "w%u %s", i, name);
        status = thread_start_for_plugins(&w->thread, text, worker_main, w, error);
        if (status != WARREN_OK) {
            sem_destroy(&w->wake);
            return status;
        }
        e->started++;
    }
    return WARREN_OK;
}

enum warren_status executor_new(const struct executor_options *options,
                                const struct executor_calls *calls, void *user,
                                struct executor **ret_executor, struct warren_error *error)
{
    struct executor *e;
    enum warren_status status;

    assert(options->concurrency > 0);
    e = calloc(1, sizeof *e + options->concurrency * sizeof e->workers[0]);
    if (!e)
        return error_set(error, WARREN_ENOMEM, "out of memory for %u workers",
                         options->concurrency);
    e->calls = *calls;
    e->user = user;
    e->clock = options->clock;
    e->outlook = options->outlook;
    e->concurrency = options->concurrency;
    e->average_ns = FIRST_GUESS_NS;
    pthread_mutex_init(&e->lock, NULL);
    status = start_workers(e, options->name, error);
    if (status != WARREN_OK) {
        executor_free(e);
        return status;
    }
    *ret_executor = e;
    return WARREN_OK;
}

void executor_take_queued(struct executor *e, struct batch *batch)
{
    pthread_mutex_lock(&e->lock);
    e->popped += e->queue.count;
    batch_splice(batch, &e->queue);
    pthread_mutex_unlock(&e->lock);
}

void executor_load(struct executor *e, uint32_t *running, uint32_t *queued)
{
    pthread_mutex_lock(&e->lock);
    *running = e->running;
    *queued = e->queue.count;
    pthread_mutex_unlock(&e->lock);
}

void executor_free(struct executor *e)
{
    struct worker *chosen;

    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    assert(e->queue.count == 0);
    e->stopping = true;
    chosen = take_idle(e, e->idle_count);
    pthread_mutex_unlock(&e->lock);
    signal_workers(chosen);
    for (uint32_t i = 0; i < e->started; i++) {
        pthread_join(e->workers[i].thread, NULL);
        sem_destroy(&e->workers[i].wake);
    }
    assert(settled_empty(&e->settled));
    pthread_mutex_destroy(&e->lock);
    free(e);
}
