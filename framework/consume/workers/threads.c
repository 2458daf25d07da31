/* threads.c - see threads.h. How many there are: threads_size.c. */
#include "consume/workers/threads.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "consume/workers/threads_private.h"

/* Work of this length pays for waking one worker (a wake-up costs about 20 us of CPU). */
#define WAKE_WORTH_NS 50000
/* Nothing is known yet: assume that each message is worth a worker. */
#define FIRST_GUESS_NS WAKE_WORTH_NS
#define AVERAGE_MIN_NS 500
/* A worker that took a message within this time will soon take the next. */
#define RECENT_NS 100000
/* With this many settled ones the loop is woken although workers are still busy. */
#define SETTLED_MANY 64

/* ---- waking workers: loop's thread ---- */

/* How many idle workers to wake for what is queued. Under the lock. */
static uint32_t workers_worth_waking(const struct threads *t, uint32_t at_least)
{
    uint64_t worth = (uint64_t)t->queue.count * (uint64_t)t->average_ns / WAKE_WORTH_NS;

    if (worth < at_least)
        worth = at_least;
    if (worth > t->queue.count)
        worth = t->queue.count;
    return worth < t->idle_count ? (uint32_t)worth : t->idle_count;
}

/* Take @count workers off the idle stack; under the lock. They are signalled after it. */
static struct worker *take_idle(struct threads *t, uint32_t count)
{
    struct worker *chosen = NULL;

    while (count-- > 0) {
        struct worker *w = t->idle;

        t->idle = w->next_idle;
        t->idle_count--;
        w->next_woken = chosen;
        chosen = w;
    }
    return chosen;
}

void threads_signal(struct worker *chosen)
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
static uint32_t must_wake(struct threads *t, int64_t now_ns)
{
    bool busy = t->idle_count < t->concurrency;
    bool moving = now_ns - t->popped_ns < RECENT_NS || now_ns - t->woken_ns < RECENT_NS;
    bool left_over = false;

    if (now_ns - t->looked_ns >= RECENT_NS) {
        left_over = t->popped < t->pushed_at_look;
        t->looked_ns = now_ns;
        t->pushed_at_look = t->pushed;
    }
    return busy && moving && !left_over ? 0 : 1;
}

static void push(struct runner *runner, struct batch *batch)
{
    struct threads *t = threads_of(runner);
    int64_t now_ns = clock_now_ns(t->clock);
    struct worker *chosen;

    pthread_mutex_lock(&t->lock);
    t->pushed += batch->count;
    batch_splice(&t->queue, batch);
    chosen = take_idle(t, workers_worth_waking(t, must_wake(t, now_ns)));
    if (chosen)
        t->woken_ns = now_ns;
    pthread_mutex_unlock(&t->lock);
    threads_signal(chosen);
}

static bool look(struct runner *runner)
{
    struct threads *t = threads_of(runner);
    struct worker *chosen = NULL;
    bool again;

    pthread_mutex_lock(&t->lock);
    if (t->popped < t->pushed_at_look)
        chosen = take_idle(t, workers_worth_waking(t, 1));
    t->pushed_at_look = t->pushed;
    again = t->queue.count > 0 && t->idle_count > 0;
    pthread_mutex_unlock(&t->lock);
    threads_signal(chosen);
    return again;
}

/* ---- the way back ---- */

static void worker_settled(struct worker *w, struct attempt *attempt)
{
    struct runner *runner = &w->threads->runner;
    bool first = runner_put_settled(runner, attempt);

    w->unannounced = first ? 1 : w->unannounced + 1;
    if (first ? !atomic_load(&runner->outlook->looking)
              : w->unannounced >= SETTLED_MANY && !runner->calls.loop_rests(runner->user)) {
        w->unannounced = 0;
        runner->calls.wake_loop(runner->user);
    }
}

/* ---- a worker's life ---- */

/* One message that takes long, such as one during which the thread lost its CPU, must not make
 * the average jump: it at most doubles it. Under the lock. */
static void learn(struct threads *t, int64_t took_ns)
{
    if (took_ns > 8 * t->average_ns)
        took_ns = 8 * t->average_ns;
    t->average_ns += (took_ns - t->average_ns) / 8;
    if (t->average_ns < AVERAGE_MIN_NS)
        t->average_ns = AVERAGE_MIN_NS;
}

/* Under the lock. One that has just begun, or was woken and came too late, is not at work. */
static void set_at_work(struct worker *w, bool at_work)
{
    if (w->at_work && !at_work)
        w->threads->running--;
    if (!w->at_work && at_work)
        w->threads->running++;
    if (w->threads->running > w->threads->peak)
        w->threads->peak = w->threads->running;
    w->at_work = at_work;
}

/* Under the lock: the worker has @attempt, which was the first of the queue; NULL: nothing. */
static void take(struct worker *w, struct attempt *attempt)
{
    struct threads *t = w->threads;
    uint32_t messages = attempt && attempt->together > 1 ? attempt->together : 1;

    t->more += messages - w->messages;
    w->messages = messages;
    if (!attempt)
        return;
    batch_move(&w->with, &t->queue, messages - 1);
    t->popped += messages;
    t->popped_ns = w->begun_ns;
}

/* Under the lock, which is given up while sleeping. */
static void sleep_idle(struct worker *w)
{
    struct threads *t = w->threads;
    int64_t since_ns = w->begun_ns;

    set_at_work(w, false);
    take(w, NULL);
    w->next_idle = t->idle;
    t->idle = w;
    t->idle_count++;
    pthread_mutex_unlock(&t->lock);
    while (sem_wait(&w->wake) != 0 && errno == EINTR)
        ;
    w->begun_ns = clock_now_ns(t->clock);
    pthread_mutex_lock(&t->lock);
    t->rested_ns += w->begun_ns - since_ns;
}

/* The loop must know what is settled before the worker sleeps, unless nobody waits for it: then
 * it looks by itself, or was woken by the first one (worker_settled). Not under the lock. */
static void announce_before_sleep(struct worker *w)
{
    struct runner *runner = &w->threads->runner;

    w->unannounced = 0;
    if (!atomic_load_explicit(&runner->roomy, memory_order_relaxed) && !runner_all_taken(runner) &&
        !runner->calls.loop_rests(runner->user))
        runner->calls.wake_loop(runner->user);
}

/* The next delivery, or NULL at the end. @took_ns: what the last one took, -1 for none. */
static struct attempt *worker_next(struct worker *w, int64_t took_ns)
{
    struct threads *t = w->threads;
    struct attempt *attempt = NULL;

    pthread_mutex_lock(&t->lock);
    if (took_ns >= 0)
        learn(t, took_ns / w->messages);
    while (!worker_is_surplus(w) && !(attempt = batch_pop(&t->queue)) && !t->stopping) {
        if (w->unannounced > 0) {
            pthread_mutex_unlock(&t->lock);
            announce_before_sleep(w);
            pthread_mutex_lock(&t->lock);
        } else {
            sleep_idle(w);
        }
    }
    set_at_work(w, attempt != NULL);
    take(w, attempt);
    w->gone = attempt == NULL;
    pthread_mutex_unlock(&t->lock);
    return attempt;
}

static void run_batch(struct worker *w, struct attempt *first)
{
    struct runner *runner = &w->threads->runner;
    struct batch batch = {NULL, NULL, 0};
    struct attempt *attempt;

    first->together = 0;
    batch_add(&batch, first);
    batch_splice(&batch, &w->with);
    runner->calls.run_batch(runner->user, w->index, &batch, w->begun_ns);
    while ((attempt = batch_pop(&batch)))
        worker_settled(w, attempt);
}

static void worker_run(struct worker *w, struct attempt *attempt)
{
    struct runner *runner = &w->threads->runner;

    if (attempt->together > 0) {
        run_batch(w, attempt);
    } else if (attempt->delivery.generation != runner->calls.generation(runner->user)) {
        /* The broker delivers it again on the new channel; running it here would not count. */
        attempt->outcome = WARREN_REQUEUE;
        worker_settled(w, attempt);
    } else if (runner->calls.run(runner->user, w->index, attempt, w->begun_ns)) {
        worker_settled(w, attempt);
    }
}

void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct threads *t = w->threads;
    struct attempt *attempt;
    int64_t took_ns = -1;

    if (t->runner.calls.worker_begins)
        t->runner.calls.worker_begins(t->runner.user, w->index);
    w->begun_ns = clock_now_ns(t->clock);
    while ((attempt = worker_next(w, took_ns))) {
        int64_t begun_ns = w->begun_ns;

        worker_run(w, attempt);
        w->begun_ns = clock_now_ns(t->clock);
        took_ns = w->begun_ns - begun_ns;
        if (t->runner.calls.ran)
            t->runner.calls.ran(t->runner.user, w->index, took_ns);
    }
    announce_before_sleep(w); /* of one that ends before the others */
    if (t->runner.calls.worker_ends)
        t->runner.calls.worker_ends(t->runner.user, w->index);
    return NULL;
}

/* ---- life ---- */

static void take_queued(struct runner *runner, struct batch *batch)
{
    struct threads *t = threads_of(runner);

    pthread_mutex_lock(&t->lock);
    t->popped += t->queue.count;
    batch_splice(batch, &t->queue);
    pthread_mutex_unlock(&t->lock);
}

static void load(struct runner *runner, uint32_t *running, uint32_t *queued)
{
    struct threads *t = threads_of(runner);

    pthread_mutex_lock(&t->lock);
    *running = t->running + t->more;
    *queued = t->queue.count;
    pthread_mutex_unlock(&t->lock);
}

static void stop(struct runner *runner)
{
    struct threads *t = threads_of(runner);
    struct worker *chosen;

    pthread_mutex_lock(&t->lock);
    assert(t->queue.count == 0);
    t->stopping = true;
    chosen = take_idle(t, t->idle_count);
    pthread_mutex_unlock(&t->lock);
    threads_signal(chosen);
    threads_join(t);
}

static void free_threads(struct runner *runner)
{
    struct threads *t = threads_of(runner);

    assert(runner_all_taken(runner));
    pthread_mutex_destroy(&t->lock);
    free(t->workers);
    free(t);
}

enum warren_status threads_new(const struct threads_options *options,
                               const struct runner_calls *calls, void *user,
                               struct runner **ret_runner, struct warren_error *error)
{
    static const struct runner_ops ops = {push,           look, take_queued, load, threads_observe,
                                          threads_resize, stop, free_threads};
    struct threads *t;
    enum warren_status status;

    assert(options->concurrency > 0);
    t = calloc(1, sizeof *t);
    if (!t)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    runner_init(&t->runner, &ops, calls, user, options->outlook);
    t->clock = options->clock;
    snprintf(t->name, sizeof t->name, "%s", options->name);
    t->average_ns = FIRST_GUESS_NS;
    pthread_mutex_init(&t->lock, NULL);
    status = threads_resize(&t->runner, options->concurrency, error);
    if (status != WARREN_OK) {
        runner_free(&t->runner);
        return status;
    }
    *ret_runner = &t->runner;
    return WARREN_OK;
}
