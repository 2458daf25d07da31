/* subscription_drain.c - the end of a subscription, phase by phase: with all others (drain.c), or
 * because a reload took it away.
 */
#include "base/log.h"
#include "consume/job/job_span.h"
#include "consume/runtime/runtime_private.h"

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

/* ---- attempts that count ---- */

/* @return false: the broker gets it back as it is */
static bool relay_later_of(struct subscription *s, struct attempt *attempt, struct arena *scratch)
{
    int64_t now_ms = subscription_now_ms(s);
    int64_t deadline_ms = atomic_load_explicit(s->source.deadline_ms, memory_order_relaxed);
    char trace[TRACEPARENT_SIZE];
    struct relay_facts facts = {
        .failed = attempt->failed,
        .first_failure_s = (uint64_t)attempt->first_failure_s,
        .delay_ms = attempt->retry_at_ms > now_ms ? attempt->retry_at_ms - now_ms : 0,
        .left_ms = deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms - now_ms,
        .trace = attempt_span_note(attempt, trace),
    };

    attempt->outcome = WARREN_RETRY;
    if (subscription_publish_copy(s, attempt, &facts, scratch))
        return true;
    subscription_not_copied(s, attempt);
    return false;
}

void subscription_relay_counted(struct subscription *s, struct batch *batch)
{
    struct batch all = *batch;
    struct attempt *attempt;
    struct arena scratch;

    if (!subscription_relay_to(s) || !subscription_relay_to(s)->into_queue)
        return;
    *batch = (struct batch){NULL, NULL, 0};
    arena_init(&scratch);
    while ((attempt = batch_pop(&all))) {
        arena_reset(&scratch);
        if (attempt->publish_returned)
            attempt_count_failure(attempt);
        attempt->publish_returned = false;
        if (attempt->failed == 0 || attempt->suspect || !relay_later_of(s, attempt, &scratch))
            batch_add(batch, attempt);
    }
    arena_done(&scratch);
}

/* ---- what was not begun ---- */

static void cancel_answered(void *user)
{
    struct subscription *s = user;

    s->cancelled = true;
    drain_progress(s->runtime);
}

static void pause_over(void *arg)
{
    struct subscription *s = arg;

    s->leave.grace_over = true;
    drain_progress(s->runtime);
}

enum warren_status subscription_leave_init(struct subscription *s)
{
    return loop_timer_init(&s->leave.pause, s->runtime->loop, pause_over, s);
}

static void enter(struct subscription *s, enum leave_phase phase)
{
    static const char *const names[] = {"not", "cancelling", "running", "proving", "done"};

    log_debug("queue %s: leaving: %s -> %s", s->source.queue, names[s->leave.phase], names[phase]);
    s->leave.phase = phase;
}

static void give_up_stages(struct subscription *s)
{
    LIST_EACH(link, &s->editions)
        stages_give_up(&list_entry(link, struct subscription_edition, link)->stages, &s->arrived);
}

void subscription_leave(struct subscription *s)
{
    crew_deadline_moved(&s->crew);
    if (s->leave.phase != LEAVE_NOT)
        return;
    enter(s, LEAVE_CANCELLING);
    s->draining = true;
    atomic_store(&s->leaves, true);
    atomic_store(&s->consuming, false);
    runner_take_queued(s->runner, &s->arrived);
    subscription_take_uses(s, &s->arrived);
    subscription_take_gathered(s, &s->arrived);
    admission_take_all(&s->admission, &s->arrived);
    give_up_stages(s);
    subscription_take_owed(s, &s->arrived);
    subscription_take_lines(s, &s->arrived);
    subscription_turn_take(s, &s->arrived);
    subscription_relay_counted(s, &s->arrived);
    atomic_store_explicit(&s->held, 0, memory_order_relaxed);
    loop_timer_disarm(&s->admit);
    s->admit_ms = INT64_MAX;
    loop_timer_arm_ms(&s->leave.pause, HAND_BACK_GRACE_MS);
    if (s->started && !s->order)
        consumer_pause(s->consumer, cancel_answered, s);
    else
        s->cancelled = true;
    if (s->order)
        consumer_stay(s->consumer);
}

bool subscription_keeps_acks(const struct subscription *s)
{
    return s->leave.phase != LEAVE_NOT && s->leave.phase < LEAVE_PROVING && !s->leave.grace_over;
}

/* The broker sends nothing more. */
static bool is_drained(const struct subscription *s)
{
    return s->cancelled || consumer_generation(s->consumer) == 0;
}

/*
 * Ordered messages go back together, behind those that handlers have, and by the end of the
 * channel: whoever is next on the queue begins with the first of them. Until then the subscription
 * stays: with a single active consumer another one would get what is behind them. What a handler
 * keeps for too long goes back with them when the connection is closed.
 */
static bool hand_back_in_order(struct subscription *s, bool at_any_rate)
{
    bool gone = consumer_generation(s->consumer) == 0 || s->runtime->drain.phase == DRAIN_DONE;

    if (!gone && subscription_at_work(s) > 0)
        return at_any_rate;
    if (!gone && !s->leave.grace_over)
        return at_any_rate;
    if (!gone && s->arrived.count > 0)
        consumer_hand_back(s->consumer);
    s->leave.handed_back += subscription_settle_as(s, &s->arrived, WARREN_REQUEUE);
    return true;
}

/* Settle what was not begun as handed back; where handlers run, no more than @count_max, for each
 * then needs a frame of its own. */
static uint32_t settle_unbegun(struct subscription *s, uint32_t count_max)
{
    struct batch some = {NULL, NULL, 0};

    /* A nack of many tags would name those of running handlers as well. */
    if (s->arrived.count > 1 && s->arrived.count == s->in_flight) {
        consumer_hand_back(s->consumer);
        return subscription_settle_as(s, &s->arrived, WARREN_REQUEUE);
    }
    while (s->arrived.count > 0 && some.count < count_max)
        batch_add(&some, batch_pop(&s->arrived));
    return subscription_settle_as(s, &some, WARREN_REQUEUE);
}

/* When drain.timeout ends there is no time for that. */
static int64_t quiet_end_ms(const struct subscription *s)
{
    const struct runtime *r = s->runtime;
    int64_t end_ms = subscription_now_ms(s) + CLOSE_QUIET_MS;

    if (r->drain.phase != DRAIN_NOT && end_ms > r->drain.end_ms - CLOSE_MS)
        return r->drain.end_ms - CLOSE_MS;
    return end_ms;
}

bool subscription_hand_back(struct subscription *s, bool at_any_rate)
{
    bool singly = subscription_at_work(s) > 0;
    uint32_t count;

    if (s->order)
        return hand_back_in_order(s, at_any_rate);
    if (!at_any_rate && (!is_drained(s) || (singly && !s->leave.grace_over)))
        return false;
    count = settle_unbegun(s, at_any_rate ? UINT32_MAX : SINGLY_MAX);
    s->leave.handed_back += count;
    if (singly && count > 0)
        s->leave.quiet_until_ms = quiet_end_ms(s);
    if (s->arrived.count > 0)
        loop_timer_arm_ms(&s->leave.pause, SINGLY_PAUSE_MS);
    return s->arrived.count == 0;
}

/* ---- the proof ---- */

static void barrier_passed(void *user, bool passed)
{
    struct subscription *s = user;

    (void)passed; /* lost meanwhile: the broker has back what it has no ack of */
    s->proving = false;
    drain_progress(s->runtime);
}

static void prove(struct subscription *s)
{
    enter(s, LEAVE_PROVING);
    if (consumer_generation(s->consumer) == 0)
        return;
    s->proving = true;
    subscription_barrier(s, barrier_passed, s);
}

static bool is_proved(const struct subscription *s)
{
    return !s->proving || consumer_generation(s->consumer) == 0;
}

/* The last acks must not follow on the heels of many nacks. */
static bool is_quiet(struct subscription *s)
{
    int64_t left_ms = s->leave.quiet_until_ms - subscription_now_ms(s);

    if (left_ms > 0)
        loop_timer_arm_ms(&s->leave.pause, left_ms);
    return left_ms <= 0;
}

void subscription_leave_step(struct subscription *s, bool given_up)
{
    bool handed_back = subscription_hand_back(s, given_up);

    if (s->leave.phase == LEAVE_CANCELLING && (handed_back || s->order))
        enter(s, LEAVE_RUNNING);
    if (s->leave.phase == LEAVE_RUNNING &&
        ((subscription_in_flight(s) == 0 && handed_back) || given_up))
        prove(s);
    if (s->leave.phase == LEAVE_PROVING && is_proved(s) && is_quiet(s))
        enter(s, LEAVE_DONE);
}
