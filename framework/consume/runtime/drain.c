/* drain.c - the end of a runtime, phase by phase, each bounded by what is left of drain.timeout;
 * and when a subscription that leaves alone has ended. What each of them does:
 * subscription_drain.c.
 */
#include <assert.h>

#include "base/log.h"
#include "consume/crash/flight_recorder.h"
#include "consume/runtime/runtime_private.h"

/* What is kept of drain.timeout for acks, round trip and close, once handlers are given up. */
#define RESERVE_SHARE  4
#define RESERVE_MAX_MS 1000

static const char *const phase_names[] = {"not", "cancelling", "running", "closing", "done"};

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

static uint32_t handed_back(const struct subscription *s)
{
    return s->leave.handed_back;
}

static void wait_for_handlers(struct runtime *r)
{
    enter(r, DRAIN_RUNNING);
    if (r->events.draining)
        r->events.draining(r->user, runtime_sum(r, handed_back), runtime_in_flight(r));
}

/* The phase of the slowest. */
static enum leave_phase step_all(struct runtime *r)
{
    enum leave_phase least = LEAVE_DONE;

    connection_cork(r->connection);
    for (size_t i = 0; i < r->subscription_count; i++) {
        struct subscription *s = r->subscriptions[i];

        if (s->leave.phase != LEAVE_NOT)
            subscription_leave_step(s, r->drain.handlers_given_up);
        if (s->leave.phase < least)
            least = s->leave.phase;
    }
    connection_uncork(r->connection);
    return least;
}

/* Of a shard what has come since goes back with the channel. */
static bool has_left(const struct subscription *s)
{
    uint32_t in_flight = s->aside == ASIDE_LEAVING ? s->in_flight - s->arrived.count : s->in_flight;

    return s->leave.phase == LEAVE_DONE && s->aside != ASIDE_AWAY && in_flight == 0 &&
           subscription_lost(s) == 0;
}

/* Those that a reload has taken away, and shards that stand aside. A thread that is lost is never
 * joined: the process ends. */
static void end_those_that_left(struct runtime *r)
{
    for (size_t i = r->subscription_count; i > 0; i--) {
        struct subscription *s = r->subscriptions[i - 1];

        if (!has_left(s))
            continue;
        if (s->aside == ASIDE_LEAVING)
            subscription_is_away(s);
        else
            runtime_end_subscription(r, i - 1);
    }
}

static void step(void *arg)
{
    struct runtime *r = arg;
    struct drain *d = &r->drain;
    enum leave_phase least;

    if (d->phase >= DRAIN_CLOSING)
        return;
    least = step_all(r);
    if (d->phase == DRAIN_NOT) {
        end_those_that_left(r);
        return;
    }
    if (d->phase == DRAIN_CANCELLING && least >= LEAVE_RUNNING)
        wait_for_handlers(r);
    if (least == LEAVE_DONE)
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

static void settle_the_rest(struct runtime *r)
{
    for (size_t i = 0; i < r->subscription_count; i++) {
        subscription_hand_back(r->subscriptions[i], true);
        loop_timer_disarm(&r->subscriptions[i]->leave.pause);
    }
}

void drain_closed(struct runtime *r)
{
    if (r->drain.phase == DRAIN_DONE)
        return;
    enter(r, DRAIN_DONE);
    loop_timer_disarm(&r->drain.timer);
    runtime_collect(r);
    settle_the_rest(r);
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
    if (r->flight)
        exclusive_gate_close(&r->flight->exclusive_gate);
    if (reserve_ms > RESERVE_MAX_MS)
        reserve_ms = RESERVE_MAX_MS;
    d->end_ms = begin_ms + r->drain_timeout_ms;
    atomic_store(&r->deadline_ms, d->end_ms - reserve_ms);
    loop_timer_arm_ms(&d->timer, r->drain_timeout_ms - reserve_ms);
    connection_pause_reading(r->connection, false);
    shards_give_up(r);
    connection_cork(r->connection);
    for (size_t i = 0; i < r->subscription_count; i++)
        subscription_leave(r->subscriptions[i]);
    connection_uncork(r->connection);
    drain_progress(r);
}

void drain_progress(struct runtime *r)
{
    if (r->drain.phase < DRAIN_CLOSING && (r->drain.phase != DRAIN_NOT || r->leaving_count > 0))
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
