/* executor_threads.c - the threads of an executor: which message each takes, and where it sleeps.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "consume/crash/fault.h"
#include "consume/workers/executor_private.h"

#define AVERAGE_MIN_NS 500

void executor_wake(struct executor_thread *chosen)
{
    while (chosen) {
        struct executor_thread *next = chosen->next;

        sem_post(&chosen->wake);
        chosen = next;
    }
}

/* Under the lock, which is given up while sleeping. */
static void sleep_idle(struct executor_thread *t)
{
    struct executor *x = t->executor;

    t->next = x->idle;
    x->idle = t;
    x->idle_count++;
    pthread_mutex_unlock(&x->lock);
    while (sem_wait(&t->wake) != 0 && errno == EINTR)
        ;
    t->begun_ns = clock_now_ns(x->clock);
    pthread_mutex_lock(&x->lock);
}

/* One message that takes long must not make the average jump: see threads.c. */
static void learn(struct executor_member *m, int64_t took_ns)
{
    if (took_ns > 8 * m->average_ns)
        took_ns = 8 * m->average_ns;
    m->average_ns += (took_ns - m->average_ns) / 8;
    if (m->average_ns < AVERAGE_MIN_NS)
        m->average_ns = AVERAGE_MIN_NS;
}

/* Under the lock. @m may be gone as soon as that is given up. */
static void leave(struct executor_member *m, int64_t took_ns)
{
    learn(m, took_ns);
    if (--m->share.running == 0)
        condition_broadcast(&m->executor->left);
}

static struct attempt *take(struct executor_member *m)
{
    struct executor *x = m->executor;

    m->lent += shares_take(&m->share, ++x->turn);
    m->begun++;
    atomic_fetch_sub_explicit(&x->queued, 1, memory_order_relaxed);
    return batch_pop(&m->queue);
}

/* The next message, and whose it is; NULL: the end. @done: whose the last one was, which took
 * @took_ns; NULL: there was none. */
static struct executor_member *next(struct executor_thread *t, struct executor_member *done,
                                    int64_t took_ns, struct attempt **ret)
{
    struct executor *x = t->executor;
    struct shares_member *share = NULL;

    pthread_mutex_lock(&x->lock);
    if (done)
        leave(done, took_ns);
    while (!x->stopping && !(share = shares_next(x->members, x->member_count)))
        sleep_idle(t);
    if (share)
        *ret = take(executor_member_with(share));
    pthread_mutex_unlock(&x->lock);
    return share ? executor_member_with(share) : NULL;
}

/* Does somebody wait for what is settled, now that this thread runs out of work? */
static bool is_awaited(const struct executor_member *m)
{
    const struct runner *runner = &m->runner;

    return atomic_load_explicit(&m->executor->queued, memory_order_relaxed) == 0 &&
           !atomic_load_explicit(&runner->roomy, memory_order_relaxed) &&
           !runner->calls.loop_rests(runner->user);
}

/* The loop is woken for the first one, unless it comes by itself. */
static void settled(struct executor_member *m, struct attempt *attempt)
{
    struct runner *runner = &m->runner;
    bool first = runner_put_settled(runner, attempt);

    if ((first && !atomic_load(&runner->outlook->looking)) || is_awaited(m))
        runner->calls.wake_loop(runner->user);
}

static void run(struct executor_thread *t, struct executor_member *m, struct attempt *attempt)
{
    const struct runner_calls *calls = &m->runner.calls;
    void *user = m->runner.user;

    if (attempt->delivery.generation != calls->generation(user)) {
        /* The broker delivers it again on the new channel; running it here would not count. */
        attempt->outcome = WARREN_REQUEUE;
        settled(m, attempt);
        return;
    }
    if (calls->worker_begins)
        calls->worker_begins(user, t->index);
    if (calls->run(user, t->index, attempt, t->begun_ns))
        settled(m, attempt);
    if (calls->worker_ends)
        calls->worker_ends(user, t->index);
}

static void *thread_main(void *arg)
{
    struct executor_thread *t = arg;
    struct executor *x = t->executor;
    struct executor_member *m = NULL;
    struct attempt *attempt = NULL;
    int64_t took_ns = 0;

    if (x->guarded)
        fault_beside_begin();
    t->begun_ns = clock_now_ns(x->clock);
    while ((m = next(t, m, took_ns, &attempt))) {
        int64_t begun_ns = t->begun_ns;

        run(t, m, attempt);
        t->begun_ns = clock_now_ns(x->clock);
        took_ns = t->begun_ns - begun_ns;
        if (m->runner.calls.ran)
            m->runner.calls.ran(m->runner.user, t->index, took_ns);
    }
    if (x->guarded)
        fault_stack_end();
    return NULL;
}

/* ---- life ---- */

static enum warren_status start(struct executor *x, struct warren_error *error)
{
    struct executor_thread *t = &x->threads[x->thread_count];
    enum warren_status status;
    char name[32];

    *t = (struct executor_thread){.executor = x, .index = x->thread_count};
    snprintf(name, sizeof name, "w%u %.16s", t->index, x->name);
    sem_init(&t->wake, 0, 0);
    status = thread_start_for_plugins(&t->id, name, thread_main, t, error);
    if (status != WARREN_OK) {
        sem_destroy(&t->wake);
        return status;
    }
    x->thread_count++;
    return WARREN_OK;
}

enum warren_status executor_start_threads(struct executor *x, uint32_t count,
                                          struct warren_error *error)
{
    enum warren_status status = WARREN_OK;

    x->threads = calloc(count, sizeof *x->threads);
    if (!x->threads)
        return error_set(error, WARREN_ENOMEM, "out of memory for %u threads", count);
    for (uint32_t i = 0; status == WARREN_OK && i < count; i++)
        status = start(x, error);
    return status;
}

void executor_stop(struct executor *x)
{
    struct executor_thread *idle;

    if (!x)
        return;
    pthread_mutex_lock(&x->lock);
    x->stopping = true;
    idle = x->idle;
    x->idle = NULL;
    x->idle_count = 0;
    pthread_mutex_unlock(&x->lock);
    executor_wake(idle);
    for (uint32_t i = 0; i < x->thread_count; i++) {
        pthread_join(x->threads[i].id, NULL);
        sem_destroy(&x->threads[i].wake);
    }
    x->thread_count = 0;
}
