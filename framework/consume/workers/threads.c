/* threads.c - see threads.h. */
#include "consume/workers/threads.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"

/* Work of this length pays for waking one worker (a wake-up costs about 20 us of CPU). */
#define WAKE_WORTH_NS 50000
/* Nothing is known yet: assume that each message is worth a worker. */
#define FIRST_GUESS_NS WAKE_WORTH_NS
#define AVERAGE_MIN_NS 500
/* A worker that took a message within this time will soon take the next. */
#define RECENT_NS 100000
/* With this many settled ones the loop is woken although workers are still busy. */
#define SETTLED_MANY 64

struct worker {
    struct threads *threads;
    uint32_t index;
    uint32_t unannounced; /* settled by this worker since the loop last took some */
    pthread_t thread;
    sem_t wake; /* posted once by whoever takes it off the idle stack; a condition variable would
                   cost a second system call for each sleep, to unlock its mutex */
    int64_t begun_ns;          /* end of the last message, or of the sleep */
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
    uint32_t running; /* workers at work: from their first message to their next sleep */
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
};

static struct threads *threads_of(struct runner *runner)
{
    return (struct threads *)(void *)runner;
}

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
    signal_workers(chosen);
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
    signal_workers(chosen);
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
    w->at_work = at_work;
}

/* Under the lock, which is given up while sleeping. */
static void sleep_idle(struct worker *w)
{
    struct threads *t = w->threads;

    set_at_work(w, false);
    w->next_idle = t->idle;
    t->idle = w;
    t->idle_count++;
    pthread_mutex_unlock(&t->lock);
    while (sem_wait(&w->wake) != 0 && errno == EINTR)
        ;
    w->begun_ns = clock_now_ns(t->clock);
    pthread_mutex_lock(&t->lock);
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

/* Under the lock. */
static bool is_surplus(const struct worker *w)
{
    return w->index >= w->threads->concurrency;
}

/* The next delivery, or NULL at the end. @took_ns: what the last one took, -1 for none. */
static struct attempt *worker_next(struct worker *w, int64_t took_ns)
{
    struct threads *t = w->threads;
    struct attempt *attempt = NULL;

    pthread_mutex_lock(&t->lock);
    if (took_ns >= 0)
        learn(t, took_ns);
    while (!is_surplus(w) && !(attempt = batch_pop(&t->queue)) && !t->stopping) {
        if (w->unannounced > 0) {
            pthread_mutex_unlock(&t->lock);
            announce_before_sleep(w);
            pthread_mutex_lock(&t->lock);
        } else {
            sleep_idle(w);
        }
    }
    set_at_work(w, attempt != NULL);
    if (attempt) {
        t->popped++;
        t->popped_ns = w->begun_ns;
    }
    w->gone = attempt == NULL;
    pthread_mutex_unlock(&t->lock);
    return attempt;
}

static void worker_run(struct worker *w, struct attempt *attempt)
{
    struct runner *runner = &w->threads->runner;

    if (attempt->delivery.generation != runner->calls.generation(runner->user)) {
        /* The broker delivers it again on the new channel; running it here would not count. */
        attempt->outcome = WARREN_REQUEUE;
        worker_settled(w, attempt);
    } else if (runner->calls.run(runner->user, w->index, attempt, w->begun_ns)) {
        worker_settled(w, attempt);
    }
}

static void *worker_main(void *arg)
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

static enum warren_status start_worker(struct threads *t, struct worker *w,
                                       struct warren_error *error)
{
    enum warren_status status;
    char text[32];

    snprintf(text, sizeof text, "w%u %s", w->index, t->name);
    w->unannounced = 0;
    w->gone = false;
    sem_init(&w->wake, 0, 0);
    status = thread_start_for_plugins(&w->thread, text, worker_main, w, error);
    w->joined = status != WARREN_OK;
    if (w->joined)
        sem_destroy(&w->wake);
    return status;
}

static void end_worker(struct worker *w)
{
    if (w->joined)
        return;
    pthread_join(w->thread, NULL);
    sem_destroy(&w->wake);
    w->joined = true;
}

static enum warren_status no_memory(uint32_t concurrency, struct warren_error *error)
{
    return error_set(error, WARREN_ENOMEM, "out of memory for %u workers", concurrency);
}

/* Room for @concurrency workers; those that are not started yet have none. */
static enum warren_status make_room(struct threads *t, uint32_t concurrency,
                                    struct warren_error *error)
{
    struct worker **workers = realloc(t->workers, concurrency * sizeof(struct worker *));

    if (!workers)
        return no_memory(concurrency, error);
    t->workers = workers;
    return WARREN_OK;
}

static enum warren_status add_worker(struct threads *t, struct warren_error *error)
{
    struct worker *w = calloc(1, sizeof *w);
    enum warren_status status;

    if (!w)
        return no_memory(t->started + 1, error);
    w->threads = t;
    w->index = t->started;
    status = start_worker(t, w, error);
    if (status != WARREN_OK) {
        free(w);
        return status;
    }
    t->workers[t->started++] = w;
    return WARREN_OK;
}

/* The thread of one that was surplus has ended, or does so at once. @return false: it goes on */
static bool has_ended(struct threads *t, const struct worker *w)
{
    bool gone;

    pthread_mutex_lock(&t->lock);
    gone = w->gone || w->joined;
    pthread_mutex_unlock(&t->lock);
    return gone;
}

/* One by one, so that each that runs may take messages. @return as start_worker(): then there are
 * as many as could be started */
static enum warren_status grow(struct threads *t, uint32_t concurrency, struct warren_error *error)
{
    uint32_t before = t->concurrency;
    enum warren_status status = WARREN_OK;

    pthread_mutex_lock(&t->lock);
    t->concurrency = concurrency; /* those that were surplus and still run stay */
    pthread_mutex_unlock(&t->lock);
    for (uint32_t i = before; status == WARREN_OK && i < concurrency; i++) {
        if (i == t->started) {
            status = add_worker(t, error);
        } else if (has_ended(t, t->workers[i])) {
            end_worker(t->workers[i]);
            status = start_worker(t, t->workers[i], error);
        }
    }
    return status;
}

/* Those that sleep are woken to end, the others end behind what they are at. */
static void shrink(struct threads *t, uint32_t concurrency)
{
    struct worker *surplus = NULL;
    struct worker *idle;

    pthread_mutex_lock(&t->lock);
    t->concurrency = concurrency;
    idle = t->idle;
    t->idle = NULL;
    t->idle_count = 0;
    while (idle) {
        struct worker *next = idle->next_idle;

        if (is_surplus(idle)) {
            idle->next_woken = surplus;
            surplus = idle;
        } else {
            idle->next_idle = t->idle;
            t->idle = idle;
            t->idle_count++;
        }
        idle = next;
    }
    pthread_mutex_unlock(&t->lock);
    signal_workers(surplus);
}

static enum warren_status grow_or_not(struct threads *t, uint32_t concurrency,
                                      struct warren_error *error)
{
    uint32_t before = t->concurrency;
    enum warren_status status = grow(t, concurrency, error);

    if (status != WARREN_OK)
        shrink(t, before);
    return status;
}

static enum warren_status resize(struct runner *runner, uint32_t concurrency,
                                 struct warren_error *error)
{
    struct threads *t = threads_of(runner);
    enum warren_status status = WARREN_OK;

    if (concurrency > t->started)
        status = make_room(t, concurrency, error);
    if (status == WARREN_OK && concurrency < t->concurrency)
        shrink(t, concurrency);
    else if (status == WARREN_OK)
        status = grow_or_not(t, concurrency, error);
    return status;
}

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
    *running = t->running;
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
    signal_workers(chosen);
    for (uint32_t i = 0; i < t->started; i++) {
        end_worker(t->workers[i]);
        free(t->workers[i]);
    }
    t->started = 0;
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
    static const struct runner_ops ops = {push,   look, take_queued, load,
                                          resize, stop, free_threads};
    struct threads *t;
    enum warren_status status;

    assert(options->concurrency > 0);
    t = calloc(1, sizeof *t);
    if (!t)
        return no_memory(options->concurrency, error);
    runner_init(&t->runner, &ops, calls, user, options->outlook);
    t->clock = options->clock;
    snprintf(t->name, sizeof t->name, "%s", options->name);
    t->average_ns = FIRST_GUESS_NS;
    pthread_mutex_init(&t->lock, NULL);
    status = resize(&t->runner, options->concurrency, error);
    if (status != WARREN_OK) {
        runner_free(&t->runner);
        return status;
    }
    *ret_runner = &t->runner;
    return WARREN_OK;
}
