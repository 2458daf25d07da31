/* subscription.c - see subscription.h. Here: life, and what its parts report. Working and
 * counting: subscription_flow.c; series: subscription_metrics.c; the end: subscription_drain.c.
 */
#include "consume/runtime/subscription.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random.h"
#include "consume/crash/fault.h"
#include "consume/runtime/runtime_private.h"
#include "publish/publisher/publisher.h"

/* Under load, acks leave when they make up this part of the prefetch. */
#define ACK_SHARE 8

/* ---- what the runner asks for: worker threads ---- */

/* What has a returned publish has no final outcome yet: it comes once more. */
static bool leave(struct attempt *attempt)
{
    return attempt->publish_returned || !attempt->edition ||
           stages_leave(&edition_of(attempt)->stages, attempt);
}

static bool run(void *user, uint32_t worker, struct attempt *attempt, int64_t begun_ns)
{
    struct subscription *s = user;
    bool settled = crew_run(&s->crew, worker, attempt, begun_ns) &&
                   stages_leave(&edition_of(attempt)->stages, attempt);

    guard_ended(&s->crew.guard, worker);
    /* This worker is free, although nothing has come back to the loop. */
    if (!settled && atomic_load_explicit(&s->turn_waits, memory_order_relaxed))
        runtime_wake(s->runtime);
    return settled;
}

/* Of a batch: before the rest of it, for what runs alone waits until all others are settled. */
static void ended(void *user, struct attempt *attempt, bool settled)
{
    struct subscription *s = user;

    if (settled && stages_leave(&edition_of(attempt)->stages, attempt))
        runner_settled(s->runner, attempt);
}

static void run_batch(void *user, uint32_t worker, struct batch *batch, int64_t begun_ns)
{
    struct subscription *s = user;

    if (batch->first->delivery.generation == consumer_generation(s->consumer))
        crew_run_batch(&s->crew, worker, batch, begun_ns, ended, s);
    for (struct attempt *attempt = batch->first; attempt; attempt = attempt->next)
        attempt->outcome = WARREN_REQUEUE; /* as the runner does with single ones */
    subscription_batch_done(s);
}

static void ran(void *user, uint32_t worker, int64_t took_ns)
{
    struct subscription *s = user;

    crew_ran(&s->crew, worker, took_ns);
}

static void worker_begins(void *user, uint32_t worker)
{
    struct subscription *s = user;

    if (!s->crew.guard.flight)
        return;
    fault_stack_begin();
    fault_thread_begin(guard_worker(&s->crew.guard, worker));
}

static void worker_ends(void *user, uint32_t worker)
{
    struct subscription *s = user;

    if (!s->crew.guard.flight)
        return;
    fault_thread_end(guard_worker(&s->crew.guard, worker));
    fault_stack_end();
}

static uint32_t generation(void *user)
{
    struct subscription *s = user;

    return consumer_generation(s->consumer);
}

static bool loop_rests(void *user)
{
    struct subscription *s = user;

    return connection_resting(s->runtime->connection);
}

static void wake_loop(void *user)
{
    struct subscription *s = user;

    runtime_wake(s->runtime);
}

static const struct runner_calls runner_calls = {
    .run = run,
    .run_batch = run_batch,
    .ran = ran,
    .generation = generation,
    .loop_rests = loop_rests,
    .wake_loop = wake_loop,
    .worker_begins = worker_begins,
    .worker_ends = worker_ends,
};

/* On a thread that others have, too, for a message. */
static void borrowed_begins(void *user, uint32_t worker)
{
    struct subscription *s = user;

    if (s->crew.guard.flight)
        fault_thread_begin(guard_worker(&s->crew.guard, worker));
}

static void borrowed_ends(void *user, uint32_t worker)
{
    struct subscription *s = user;

    if (s->crew.guard.flight)
        fault_thread_end(guard_worker(&s->crew.guard, worker));
}

static const struct runner_calls shared_runner_calls = {
    .run = run,
    .ran = ran,
    .generation = generation,
    .loop_rests = loop_rests,
    .wake_loop = wake_loop,
    .worker_begins = borrowed_begins,
    .worker_ends = borrowed_ends,
};

/* Of the guard: a suspect is about to run. */
static void wait_for_acks(void *user)
{
    struct subscription *s = user;

    ack_barrier_wait(&s->runtime->ack_barrier);
}

static bool reserve(void *user)
{
    struct subscription *s = user;

    return admission_reserve(&s->admission);
}

static void receipts_came(void *user, struct attempt *attempt)
{
    struct subscription *s = user;

    if (leave(attempt))
        runner_settled(s->runner, attempt);
}

/* ---- what the stages ask for ---- */

static void has_settled(void *user, struct attempt *attempt)
{
    struct subscription *s = user;

    runner_settled(s->runner, attempt);
}

/* Else it goes back, or the broker has it back already. */
static bool is_wanted(void *user, const struct attempt *attempt)
{
    const struct subscription *s = user;

    return !s->draining && attempt->delivery.generation == consumer_generation(s->consumer);
}

const struct stages_calls subscription_stages_calls = {wake_loop, has_settled, is_wanted};

/* ---- events of the consumer: the loop ---- */

static void deliver(void *user, struct delivery *delivery)
{
    struct subscription *s = user;
    struct attempt *attempt = attempt_of(delivery);

    attempt->arrived_ns =
        s->arrived.last ? s->arrived.last->arrived_ns : clock_now_ns(s->source.clock);
    meter_arrived(&s->crew.meter, delivery->body_len);
    subscription_count(s, COUNT_DELIVERED);
    if (delivery->redelivered)
        subscription_count(s, COUNT_REDELIVERED);
    if (++s->in_flight == atomic_load_explicit(&s->prefetch, memory_order_relaxed))
        counter_add(&s->prefetch_reached, 1);
    batch_add(&s->arrived, attempt);
}

static void consuming(void *user)
{
    struct subscription *s = user;

    atomic_store(&s->consuming, true);
    atomic_store(&s->stands_by, false);
    if (s->runtime->events.consuming)
        s->runtime->events.consuming(s->runtime->user, s->source.queue);
}

static void interrupted(void *user, const char *reason, uint32_t retry_ms)
{
    struct subscription *s = user;

    atomic_store(&s->consuming, false);
    atomic_store(&s->stands_by, s->aside != ASIDE_NOT);
    if (s->runtime->events.interrupted)
        s->runtime->events.interrupted(s->runtime->user, s->source.queue, reason, retry_ms);
    runtime_redeclare_soon(s->runtime);
}

static void unfit(void *user, struct delivery *without_body, const char *why, uint64_t body_size)
{
    struct subscription *s = user;

    subscription_count(s, COUNT_UNFIT);
    if (s->runtime->events.unfit)
        s->runtime->events.unfit(s->runtime->user, s->source.queue, without_body, why, body_size);
}

static void gap(void *user, uint64_t expected, uint64_t offset)
{
    struct subscription *s = user;

    if (s->runtime->events.gap)
        s->runtime->events.gap(s->runtime->user, s->source.queue, expected, offset);
}

static const struct consumer_events consumer_events = {deliver, consuming, interrupted, unfit, gap};

/* ---- life ---- */

struct consumer_options subscription_consumer_options(const struct subscription *s,
                                                      const struct runtime_subscription *what)
{
    return (struct consumer_options){.queue = s->source.queue,
                                     .prefetch = what->prefetch,
                                     .prefetch_bytes = what->prefetch_bytes,
                                     .message_max = s->runtime->message_max,
                                     .room = attempt_room(s->edition->stages.count),
                                     .straggler_age_ms = s->runtime->straggler_age_ms,
                                     .arguments = what->arguments,
                                     .is_stream = what->is_stream,
                                     .begin = what->begin,
                                     .stop_at_gap = what->stop_at_gap};
}

static enum warren_status make_consumer(struct subscription *s,
                                        const struct runtime_subscription *what)
{
    struct consumer_options options = subscription_consumer_options(s, what);

    return consumer_new(s->runtime->connection, &options, &consumer_events, s, &s->consumer);
}

void subscription_places(const struct runtime_subscription *what, uint32_t *ret_delayed_max,
                         uint32_t *ret_held_max)
{
    uint32_t delayed_max = what->delayed_max;

    if (delayed_max == 0)
        delayed_max = what->prefetch > 1 ? what->prefetch / 2 : 1;
    *ret_delayed_max = delayed_max;
    *ret_held_max = delayed_max > what->prefetch ? delayed_max : what->prefetch;
}

static enum warren_status make_admission(struct subscription *s,
                                         const struct runtime_subscription *what)
{
    struct loop *loop = connection_loop(s->runtime->connection);
    uint32_t delayed_max;
    uint32_t held_max;
    enum warren_status status;

    subscription_places(what, &delayed_max, &held_max);
    s->admit_ms = s->gather.due_ms = INT64_MAX;
    random_init(&s->random, s->source.seed);
    status = admission_init(&s->admission, what->middlewares, what->middleware_count, delayed_max,
                            held_max);
    if (status == WARREN_OK)
        status = delay_init(&s->owed, held_max);
    if (status == WARREN_OK)
        status = loop_timer_init(&s->owe, loop, subscription_copy_due, s);
    if (status == WARREN_OK)
        status = subscription_leave_init(s);
    if (status == WARREN_OK)
        status = loop_timer_init(&s->gather.due, loop, subscription_gather_due, s);
    return status == WARREN_OK ? loop_timer_init(&s->admit, loop, subscription_admit, s) : status;
}

static enum warren_status make_edition(struct subscription *s,
                                       const struct runtime_subscription *what)
{
    struct subscription_edition *e = NULL;
    enum warren_status status = subscription_edition_new(s, what, &subscription_stages_calls, &e);

    if (status != WARREN_OK)
        return status;
    s->edition = e;
    list_push(&s->editions, &e->link);
    return WARREN_OK;
}

static enum warren_status make_parts(struct subscription *s,
                                     const struct runtime_subscription *what,
                                     struct warren_error *error)
{
    struct guard_options guard = {.flight = s->runtime->flight,
                                  .queue = what->queue,
                                  .handler = what->handler_name,
                                  .concurrency = subscription_workers(what),
                                  .batch = subscription_batch_size(what),
                                  .wait_for_acks = wait_for_acks,
                                  .user = s};
    enum warren_status status = make_admission(s, what);

    if (status == WARREN_OK)
        status = make_edition(s, what);
    if (status == WARREN_OK)
        guard.ahead = stages_watched(&s->edition->stages) || subscription_order_watched(what);
    if (status == WARREN_OK)
        status = crew_init(&s->crew, &s->source, &guard);
    if (status == WARREN_OK)
        status = make_consumer(s, what);
    if (status == WARREN_EFULL)
        return error_set(error, status, "queue %s: " SUBSCRIPTION_NO_SLOTS, what->queue);
    if (status != WARREN_OK)
        return error_set(error, status, "queue %s: %s", what->queue, warren_status_name(status));
    return subscription_threads_new(s, what, what->executor ? &shared_runner_calls : &runner_calls,
                                    error);
}

static struct job_source source_of(struct subscription *s, const struct runtime_subscription *what)
{
    struct runtime *r = s->runtime;
    struct warren_publisher *publisher = r->publisher;

    return (struct job_source){.queue = what->queue,
                               .handler = what->handler_name,
                               .publish = publisher ? publisher_publish : NULL,
                               .append = publisher ? publisher_append : NULL,
                               .publisher = publisher,
                               .seed = random_seed(),
                               .clock = loop_clock(connection_loop(r->connection)),
                               .deadline_ms = &r->deadline_ms,
                               .leaves = &s->leaves,
                               .settled = receipts_came,
                               .reserve = reserve,
                               .user = s,
                               .broker_counts = r->flight == NULL,
                               .failures = &r->failures,
                               .tracer = r->tracer,
                               .pool = &r->pool,
                               .semaphores = &r->semaphores,
                               .unweighed = subscription_unweighed};
}

enum warren_status subscription_new(const struct runtime_subscription *what,
                                    struct runtime *runtime, struct subscription **ret_subscription,
                                    struct warren_error *error)
{
    struct subscription *s = calloc(1, sizeof *s);
    enum warren_status status = WARREN_OK;

    if (!s)
        return error_set(error, WARREN_ENOMEM, "out of memory");
    s->runtime = runtime;
    s->is_stream = what->is_stream;
    s->prefetch = what->prefetch;
    s->prefetch_bytes = what->prefetch_bytes;
    s->concurrency = subscription_pool_size(what, 0);
    s->ack_many = subscription_ack_many(what);
    list_init(&s->editions);
    subscription_uses_init(s);
    s->source = source_of(s, what);
    subscription_metrics_init(s);
    subscription_pool_set(s, what);
    if (what->order)
        status = subscription_order_new(s, what);
    if (status == WARREN_OK && what->fair)
        status = subscription_fair_new(s, what);
    if (status == WARREN_OK && what->lanes)
        status = subscription_lane_new(s, what);
    if (status == WARREN_OK && what->shards)
        status = shards_join(s, what);
    status = status == WARREN_OK ? make_parts(s, what, error)
                                 : error_set(error, status, "out of memory");
    if (status != WARREN_OK) {
        s->ended = true;
        subscription_end(s);
        subscription_free(s);
        return status;
    }
    *ret_subscription = s;
    return WARREN_OK;
}

uint32_t subscription_ack_many(const struct runtime_subscription *what)
{
    return what->prefetch > ACK_SHARE ? what->prefetch / ACK_SHARE : 1;
}

void subscription_end(struct subscription *s)
{
    runner_free(s->runner);
    consumer_free(s->consumer);
    if (s->ended)
        guard_give_back(&s->crew.guard);
    s->runner = NULL;
    s->consumer = NULL;
    loop_timer_done(&s->admit);
    loop_timer_done(&s->owe);
    loop_timer_done(&s->leave.pause);
    loop_timer_done(&s->gather.due);
    s->admit = s->owe = s->leave.pause = s->gather.due = (struct loop_timer){0};
    admission_done(&s->admission);
    delay_done(&s->owed);
    subscription_order_free(s);
    subscription_fair_free(s);
    subscription_lane_free(s);
    shards_leave(s);
    crew_done(&s->crew);
    s->crew.concurrency = 0;
    subscription_metrics_done(s);
    subscription_pool_done(s);
}

void subscription_free(struct subscription *s)
{
    if (!s)
        return;
    if (!s->ended)
        subscription_end(s);
    LIST_EACH(link, &s->editions)
        runtime_edition_free(&list_entry(link, struct subscription_edition, link)->edition);
    free(s);
}

static void not_awaited(void *user)
{
    (void)user;
}

void subscription_start(struct subscription *s)
{
    if (s->draining)
        return;
    if (!s->started)
        consumer_start(s->consumer);
    else if (s->suspended)
        consumer_resume(s->consumer);
    s->started = true;
    s->suspended = false;
}

void subscription_suspend(struct subscription *s)
{
    atomic_store(&s->consuming, false);
    subscription_drop_stale(s);
    if (!s->started || s->draining || s->suspended)
        return;
    s->suspended = true;
    consumer_pause(s->consumer, not_awaited, s);
}

bool subscription_barrier(struct subscription *s, void (*passed)(void *user, bool in_time),
                          void *user)
{
    if (consumer_generation(s->consumer) == 0)
        return false;
    consumer_flush(s->consumer, true);
    consumer_barrier(s->consumer, passed, user);
    return true;
}
