/* drain.c - the end of a runtime, phase by phase, each bounded by what is left of drain.timeout. */
#include <assert.h>

#include "base/log.h"
#include "consume/crash/flight_recorder.h"
#include "consume/runtime/runtime_private.h"

/* What is kept of drain.timeout for acks, round trip and close, once handlers are given up. */
#define RESERVE_SHARE  4
#define RESERVE_MAX_MS 1000

/*
 * RabbitMQ's channel has at most 32 acks and nacks (quorum_commands_soft_limit) on their way to a
 * quorum queue. Later ones wait inside of it until the queue has written the first to its disk, and
 * a close meanwhile forgets them. Cancel-ok proves those that were sent before the cancel. So while
 * handlers finish, acks are kept: they leave as one frame, with one nack of what is handed back.
 * Where handlers take longer, others are not to wait: acks leave as they come, and there is one
 * nack for each message (one of many tags would name those of the handlers, too). That is more than
 * 32 frames, which no method proves without taking a message; so it is not closed too soon.
 */
#define HAND_BACK_GRACE_MS 500
#define CLOSE_QUIET_MS     1000
/* Nacks of single messages that may be on their way at once, and the time that they are given.
 * More, and RabbitMQ 3 puts them together, and loses their order; see consumer_deliveries.c. */
#define SINGLY_MAX      32
#define SINGLY_PAUSE_MS 50
/* What is kept of the quiet for the close itself. */
#define CLOSE_MS 100

static const char *const phase_names[] = {"not",     "cancelling", "running",
                                          "proving", "closing",    "done"};

static void enter(struct runtime *r, enum drain_phase phase)
{
    assert(phase > r->drain.phase);
    log_debug("drain: %s -> %s", phase_names[r->drain.phase], phase_names[phase]);
    r->drain.phase = phase;
}

static int64_t now_ms(struct runtime *r)
{
    return loop_now_ms(r->loop);
}

static void close_connection(struct runtime *r, int64_t timeout_ms)
{
    enter(r, DRAIN_CLOSING);
    connection_close(r->connection, timeout_ms > 0 ? (uint32_t)timeout_ms : 0);
}

bool drain_keeps_acks(const struct runtime *r)
{
    return r->drain.phase != DRAIN_NOT && r->drain.phase < DRAIN_PROVING && !r->drain.grace_over;
}

static int64_t quiet_end_ms(struct runtime *r)
{
    int64_t end_ms = now_ms(r) + CLOSE_QUIET_MS;
    int64_t latest_ms = r->drain.end_ms - CLOSE_MS;

    return end_ms < latest_ms ? end_ms : latest_ms;
}

static bool may_hand_back(const struct runtime *r, const struct subscription *s)
{
    return subscription_drained(s) && (r->drain.grace_over || subscription_at_work(s) == 0);
}

/* Hand back as soon as the broker has stopped sending; sooner, and it would send it here again. */
static bool hand_back(struct runtime *r, bool at_any_rate)
{
    bool all = true;

    connection_cork(r->connection);
    for (size_t i = 0; i < r->subscription_count; i++) {
        struct subscription *s = r->subscriptions[i];
        bool singly = subscription_at_work(s) > 0;
        uint32_t count;

        if (!at_any_rate && !may_hand_back(r, s)) {
            all = false;
            continue;
        }
        count = subscription_hand_back(s, at_any_rate ? UINT32_MAX : SINGLY_MAX);
        r->drain.handed_back += count;
        if (singly && count > 0)
            r->drain.quiet_until_ms = quiet_end_ms(r);
        if (s->arrived.count > 0) {
            loop_timer_arm_ms(&r->drain.pause, SINGLY_PAUSE_MS);
            all = false;
        }
    }
    connection_uncork(r->connection);
    return all;
}

/* The last acks must not follow on the heels of many nacks. */
static bool is_quiet(struct runtime *r)
{
    int64_t left_ms = r->drain.quiet_until_ms - now_ms(r);

    if (left_ms > 0)
        loop_timer_arm_ms(&r->drain.pause, left_ms);
    return left_ms <= 0;
}

static void wait_for_handlers(struct runtime *r)
{
    enter(r, DRAIN_RUNNING);
    if (r->events.draining)
        r->events.draining(r->user, r->drain.handed_back, runtime_in_flight(r));
}

static void prove(struct runtime *r)
{
    enter(r, DRAIN_PROVING);
    connection_cork(r->connection);
    for (size_t i = 0; i < r->subscription_count; i++)
        subscription_prove(r->subscriptions[i]);
    connection_uncork(r->connection);
}

static bool proved(const struct runtime *r)
{
    for (size_t i = 0; i < r->subscription_count; i++) {
        if (!subscription_proved(r->subscriptions[i]))
            return false;
    }
    return true;
}

static void step(void *arg)
{
    struct runtime *r = arg;
    struct drain *d = &r->drain;

    if (d->phase == DRAIN_NOT || d->phase >= DRAIN_CLOSING)
        return;
    if (hand_back(r, d->handlers_given_up) && d->phase == DRAIN_CANCELLING)
        wait_for_handlers(r);
    if (d->phase == DRAIN_RUNNING && (runtime_in_flight(r) == 0 || d->handlers_given_up))
        prove(r);
    if (d->phase == DRAIN_PROVING && proved(r) && is_quiet(r))
        close_connection(r, d->end_ms - now_ms(r));
}

static void pause_over(void *arg)
{
    struct runtime *r = arg;

    r->drain.grace_over = true;
    step(r);
}

static void time_over(void *arg)
{
    struct runtime *r = arg;
    struct drain *d = &r->drain;

    runtime_collect(r);
    if (!d->handlers_given_up) {
        d->handlers_given_up = true;
        if (runtime_in_flight(r) > 0)
            d->status = WARREN_ETIMEOUT;
        loop_timer_arm_ms(&d->timer, d->end_ms - now_ms(r));
        step(r);
    } else if (d->phase < DRAIN_CLOSING) {
        d->status = WARREN_ETIMEOUT;
        close_connection(r, 0);
    }
}

void drain_closed(struct runtime *r)
{
    if (r->drain.phase == DRAIN_DONE)
        return;
    enter(r, DRAIN_DONE);
    loop_timer_disarm(&r->drain.timer);
    loop_timer_disarm(&r->drain.pause);
    runtime_collect(r);
    hand_back(r, true);
    r->drain.unfinished = runtime_in_flight(r);
    if (r->drain.unfinished > 0 && r->drain.status == WARREN_OK)
        r->drain.status = WARREN_ETIMEOUT;
    r->drain.unfinished += runtime_sum(r, subscription_lost);
    if (r->drain.unfinished > 0 && r->drain.status == WARREN_OK)
        r->drain.status = WARREN_ETAINTED;
    loop_stop(r->loop);
}

enum warren_status drain_init(struct runtime *r)
{
    enum warren_status status = loop_timer_init(&r->drain.timer, r->loop, time_over, r);

    loop_task_init(&r->drain.step, step, r);
    return status == WARREN_OK ? loop_timer_init(&r->drain.pause, r->loop, pause_over, r) : status;
}

void drain_done(struct runtime *r)
{
    loop_timer_done(&r->drain.timer);
    loop_timer_done(&r->drain.pause);
}

void drain_begin(struct runtime *r)
{
    struct drain *d = &r->drain;
    int64_t reserve_ms = r->drain_timeout_ms / RESERVE_SHARE;
    int64_t begin_ms = now_ms(r);

    if (d->phase != DRAIN_NOT)
        return;
    enter(r, DRAIN_CANCELLING);
    if (r->flight)
        exclusive_gate_close(&r->flight->exclusive_gate);
    if (reserve_ms > RESERVE_MAX_MS)
        reserve_ms = RESERVE_MAX_MS;
    d->end_ms = begin_ms + r->drain_timeout_ms;
    atomic_store(&r->deadline_ms, d->end_ms - reserve_ms);
    loop_timer_arm_ms(&d->timer, r->drain_timeout_ms - reserve_ms);
    loop_timer_arm_ms(&d->pause, HAND_BACK_GRACE_MS);
    connection_pause_reading(r->connection, false);
    connection_cork(r->connection);
    for (size_t i = 0; i < r->subscription_count; i++)
        subscription_drain(r->subscriptions[i]);
    connection_uncork(r->connection);
    drain_progress(r);
}

void drain_progress(struct runtime *r)
{
    if (r->drain.phase != DRAIN_NOT && r->drain.phase < DRAIN_CLOSING)
        loop_post(r->loop, &r->drain.step);
}

void drain_abort(struct runtime *r, enum warren_status status)
{
    if (r->drain.phase == DRAIN_DONE)
        return;
    r->drain.status = status;
    if (r->drain.phase == DRAIN_CLOSING)
        drain_closed(r);
    else
        close_connection(r, 0);
}
