/* runtime_turn.c - when the loop passes deliveries on, looks for what workers settled, and sends
 * acks: at each read, when a worker asks, and on a tick while there is something to look for.
 */
#include "consume/runtime/runtime_private.h"

uint32_t runtime_sum(const struct runtime *r, uint32_t (*of)(const struct subscription *))
{
    uint32_t sum = 0;

    for (size_t i = 0; i < r->subscription_count; i++)
        sum += of(r->subscriptions[i]);
    return sum;
}

uint32_t runtime_in_flight(const struct runtime *r)
{
    return runtime_sum(r, subscription_in_flight);
}

/* What is held for a gate or a retry settles nothing, so there is nothing to look for. */
static bool at_work(const struct runtime *r)
{
    return runtime_sum(r, subscription_at_work) > 0;
}

/* Workers trust the flag: once it is set, what they settle is seen at the tick at the latest. */
void runtime_keep_looking(struct runtime *r)
{
    runtime_watch_pools(r);
    if (atomic_load_explicit(&r->outlook.looking, memory_order_relaxed))
        return;
    loop_timer_arm_us(&r->tick, RUNNER_LOOK_US);
    atomic_store(&r->outlook.looking, true);
}

static size_t memory_bytes(const struct runtime *r)
{
    size_t bytes = 0;

    for (size_t i = 0; i < r->subscription_count; i++)
        bytes += consumer_bytes(r->subscriptions[i]->consumer);
    return bytes;
}

/* Under load it may be full, and not, hundreds of times a second. */
static void tell_memory(struct runtime *r, bool full, size_t bytes)
{
    int64_t now_ms = loop_now_ms(r->loop);
    uint32_t times;

    if (flap_set(&r->memory_reported, full, now_ms, &times) && r->events.memory)
        r->events.memory(r->user, full, bytes, times);
    if (flap_due_ms(&r->memory_reported) != INT64_MAX && !loop_timer_armed(&r->memory_due))
        loop_timer_arm_ms(&r->memory_due, flap_due_ms(&r->memory_reported) - now_ms);
}

static void memory_due(void *arg)
{
    struct runtime *r = arg;
    uint32_t times;

    if (flap_due(&r->memory_reported, loop_now_ms(r->loop), &times) && r->events.memory)
        r->events.memory(r->user, r->memory_full, memory_bytes(r), times);
}

static void watch_memory(struct runtime *r)
{
    size_t bytes;
    bool full;

    if (r->memory_max == 0 || r->drain.phase != DRAIN_NOT)
        return;
    bytes = memory_bytes(r);
    full = r->memory_full ? bytes >= r->memory_max / 4 * 3 : bytes > r->memory_max;
    /* What fills it is a message that has come in part: only its rest makes room again. */
    full &= runtime_in_flight(r) > 0;
    if (full == r->memory_full)
        return;
    r->memory_full = full;
    counter_add(&r->memory_fills, full);
    connection_pause_reading(r->connection, full);
    tell_memory(r, full, bytes);
}

/* After everything that can be sent was sent: what is left waits behind a message. */
static void watch_stragglers(struct runtime *r)
{
    if (runtime_sum(r, subscription_unsent) > 0 && !loop_timer_armed(&r->stragglers))
        loop_timer_arm_ms(&r->stragglers, r->straggler_age_ms / 2 + 1);
}

static void flush(struct subscription *s, bool many)
{
    if (!subscription_keeps_acks(s))
        subscription_flush(s, many);
}

uint32_t runtime_collect(struct runtime *r)
{
    uint32_t settled = 0;

    connection_cork(r->connection);
    for (size_t i = 0; i < r->subscription_count; i++) {
        settled += subscription_collect(r->subscriptions[i]);
        flush(r->subscriptions[i], false);
    }
    connection_uncork(r->connection);
    watch_stragglers(r);
    watch_memory(r);
    if (settled > 0)
        drain_progress(r);
    return settled;
}

static void stragglers_due(void *arg)
{
    runtime_collect(arg);
}

/* A worker asked for it. */
static void asked(void *arg)
{
    struct runtime *r = arg;

    runtime_collect(r);
    if (at_work(r))
        runtime_keep_looking(r);
}

static void tick(void *arg)
{
    struct runtime *r = arg;
    bool again;

    /* First the flag, then the look: who settles in between asks for another one. */
    atomic_store(&r->outlook.looking, false);
    again = runtime_collect(r) > 0 && at_work(r);
    for (size_t i = 0; i < r->subscription_count; i++)
        again |= runner_look(r->subscriptions[i]->runner);
    if (again)
        runtime_keep_looking(r);
}

/* All of one read has come. Under load acks are put off until they are worth a frame. */
void runtime_turn(struct runtime *r)
{
    bool rests = connection_resting(r->connection);
    uint32_t settled = 0;
    bool busy = false;

    for (size_t i = 0; i < r->subscription_count; i++) {
        struct subscription *s = r->subscriptions[i];

        subscription_push(s);
        settled += subscription_collect(s);
        flush(s, rests);
        busy |= subscription_at_work(s) > 0 || subscription_unsent(s) > 0;
    }
    watch_memory(r);
    if (busy)
        runtime_keep_looking(r);
    if ((r->drain.phase != DRAIN_NOT || r->leaving_count > 0) &&
        (settled > 0 || busy || runtime_in_flight(r) > 0))
        drain_progress(r);
}

/* ---- life ---- */

enum warren_status runtime_turn_init(struct runtime *r)
{
    enum warren_status status = loop_timer_init(&r->tick, r->loop, tick, r);

    if (status == WARREN_OK)
        status = loop_timer_init(&r->stragglers, r->loop, stragglers_due, r);
    if (status == WARREN_OK)
        status = loop_timer_init(&r->memory_due, r->loop, memory_due, r);
    if (status == WARREN_OK)
        status = runtime_pools_init(r);
    loop_task_init(&r->collect, asked, r);
    return status;
}

void runtime_turn_done(struct runtime *r)
{
    loop_timer_done(&r->tick);
    loop_timer_done(&r->stragglers);
    loop_timer_done(&r->memory_due);
    runtime_pools_done(r);
}
