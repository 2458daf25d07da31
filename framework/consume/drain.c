/* drain.c - the end of a runtime, phase by phase, each bounded by what is left of drain.timeout. */
#include <assert.h>

#include "base/log.h"
#include "consume/runtime_private.h"

/* What is kept of drain.timeout for acks, round trip and close, once handlers are given up. */
#define RESERVE_SHARE  4
#define RESERVE_MAX_MS 1000

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
    return clock_now_ms(loop_clock(r->loop));
}

static void close_connection(struct runtime *r, int64_t timeout_ms)
{
    enter(r, DRAIN_CLOSING);
    connection_close(r->connection, timeout_ms > 0 ? (uint32_t)timeout_ms : 0);
}

/* Hand back as soon as the broker has stopped sending; sooner, and it would send it here again. */
static bool hand_back(struct runtime *r, bool at_any_rate)
{
    bool all = true;

    connection_cork(r->connection);
    for (size_t i = 0; i < r->subscription_count; i++) {
        if (at_any_rate || subscription_drained(r->subscriptions[i]))
            r->drain.handed_back += subscription_hand_back(r->subscriptions[i]);
        else
            all = false;
    }
    connection_uncork(r->connection);
    return all;
}

static void wait_for_handlers(struct runtime *r)
{
    enter(r, DRAIN_RUNNING);
    if (r->events.draining)
        r->events.draining(r->host.user, r->drain.handed_back, runtime_in_flight(r));
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
    if (d->phase == DRAIN_PROVING && proved(r))
        close_connection(r, d->end_ms - now_ms(r));
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

static void finish(struct runtime *r)
{
    if (r->drain.phase == DRAIN_DONE)
        return;
    enter(r, DRAIN_DONE);
    loop_timer_disarm(&r->drain.timer);
    runtime_collect(r);
    hand_back(r, true);
    r->drain.unfinished = runtime_in_flight(r);
    if (r->drain.unfinished > 0 && r->drain.status == WARREN_OK)
        r->drain.status = WARREN_ETIMEOUT;
    loop_stop(r->loop);
}

enum warren_status drain_init(struct runtime *r)
{
    loop_task_init(&r->drain.step, step, r);
    return loop_timer_init(&r->drain.timer, r->loop, time_over, r);
}

void drain_done(struct runtime *r)
{
    loop_timer_done(&r->drain.timer);
}

void drain_begin(struct runtime *r)
{
    struct drain *d = &r->drain;
    int64_t reserve_ms = r->drain_timeout_ms / RESERVE_SHARE;
    int64_t begin_ms = now_ms(r);

    if (d->phase != DRAIN_NOT)
        return;
    enter(r, DRAIN_CANCELLING);
    if (reserve_ms > RESERVE_MAX_MS)
        reserve_ms = RESERVE_MAX_MS;
    d->end_ms = begin_ms + r->drain_timeout_ms;
    atomic_store(&r->host.deadline_ms, d->end_ms - reserve_ms);
    loop_timer_arm_ms(&d->timer, r->drain_timeout_ms - reserve_ms);
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
        finish(r);
    else
        close_connection(r, 0);
}

void drain_closed(struct runtime *r)
{
    finish(r);
}
