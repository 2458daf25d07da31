/* subscription_drain.c - the end of a subscription: what it does for each phase of drain.c. */
#include "consume/job/job_span.h"
#include "consume/runtime/runtime_private.h"

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

    if (!s->source.relay || !s->relay.into_queue)
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

void subscription_drain(struct subscription *s)
{
    s->draining = true;
    atomic_store(&s->consuming, false);
    runner_take_queued(s->runner, &s->arrived);
    admission_take_all(&s->admission, &s->arrived);
    stages_give_up(&s->stages, &s->arrived);
    subscription_take_owed(s, &s->arrived);
    subscription_relay_counted(s, &s->arrived);
    atomic_store_explicit(&s->held, 0, memory_order_relaxed);
    loop_timer_disarm(&s->admit);
    s->admit_ms = INT64_MAX;
    crew_deadline_moved(&s->crew);
    if (s->started)
        consumer_pause(s->consumer, cancel_answered, s);
    else
        s->cancelled = true;
}

bool subscription_drained(const struct subscription *s)
{
    return s->cancelled || consumer_generation(s->consumer) == 0;
}

uint32_t subscription_hand_back(struct subscription *s, uint32_t count_max)
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

static void barrier_passed(void *user, bool passed)
{
    struct subscription *s = user;

    (void)passed; /* lost meanwhile: the broker has back what it has no ack of */
    s->proving = false;
    drain_progress(s->runtime);
}

void subscription_prove(struct subscription *s)
{
    if (consumer_generation(s->consumer) == 0)
        return;
    s->proving = true;
    subscription_barrier(s, barrier_passed, s);
}

bool subscription_proved(const struct subscription *s)
{
    return !s->proving || consumer_generation(s->consumer) == 0;
}
