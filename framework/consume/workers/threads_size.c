/* threads_size.c - how many worker threads there are: starting them, ending those that are too
 * many, joining these, and what is seen of all. Thread: the loop's. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "consume/workers/threads_private.h"

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
    w->messages = 1;
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

        if (worker_is_surplus(idle)) {
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
    t->surplus = true;
    threads_signal(surplus);
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

enum warren_status threads_resize(struct runner *runner, uint32_t concurrency,
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

void threads_join(struct threads *t)
{
    for (uint32_t i = 0; i < t->started; i++) {
        end_worker(t->workers[i]);
        free(t->workers[i]);
    }
    t->started = 0;
}

/* What a thread had for a stack is the process's again. */
static void join_ended(struct threads *t)
{
    t->surplus = false;
    for (uint32_t i = t->concurrency; i < t->started; i++) {
        if (has_ended(t, t->workers[i]))
            end_worker(t->workers[i]);
        else
            t->surplus = true;
    }
}

void threads_observe(struct runner *runner, struct runner_seen *seen)
{
    struct threads *t = threads_of(runner);

    pthread_mutex_lock(&t->lock);
    *seen = (struct runner_seen){.size = t->concurrency,
                                 .running = t->running,
                                 .peak = t->peak,
                                 .queued = t->queue.count,
                                 .begun = t->popped,
                                 .rested_ns = t->rested_ns};
    t->peak = t->running;
    pthread_mutex_unlock(&t->lock);
    if (t->surplus)
        join_ended(t);
}
