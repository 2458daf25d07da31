/* subscription_relay.c - what the event loop does about an attempt that its job's messages make
 * fail, and about attempts that count when draining.
 */
#include "consume/job/late.h"
#include "consume/relay/settlement.h"
#include "consume/runtime/subscription_private.h"

/* ---- what the job published ---- */

void subscription_unconfirmed(struct subscription *s, struct attempt *attempt)
{
    if (attempt->relay == RELAY_NONE && attempt->retry_at_ms < 0)
        attempt->retry_at_ms = subscription_now_ms(s) + settlement_again_ms(attempt);
}

void subscription_late(struct subscription *s, struct attempt *attempt, struct batch *go)
{
    struct batch counted = {NULL, NULL, 0};

    subscription_count(s, COUNT_UNCONFIRMED);
    admission_unreserve(&s->admission, attempt);
    attempt->publish_end = PUBLISH_FINE; /* of the attempt that comes */
    if (!s->draining) {
        batch_add(go, attempt);
        return;
    }
    attempt->retry_at_ms = subscription_now_ms(s) + LATE_AGAIN_MS;
    batch_add(&counted, attempt);
    subscription_relay_counted(s, &counted);
    batch_splice(&s->arrived, &counted);
}

/* ---- draining ---- */

/* @return false: the broker gets it back as it is */
static bool relay_later_of(struct subscription *s, struct attempt *attempt, struct arena *scratch)
{
    int64_t now_ms = subscription_now_ms(s);
    int64_t deadline_ms = atomic_load_explicit(s->source.deadline_ms, memory_order_relaxed);
    struct relay_facts facts = {
        .failed = attempt->failed,
        .first_failure_s = (uint64_t)attempt->first_failure_s,
        .delay_ms = attempt->retry_at_ms > now_ms ? attempt->retry_at_ms - now_ms : 0,
        .left_ms = deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms - now_ms,
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
        if (attempt->late)
            attempt_count_failure(attempt);
        attempt->late = false;
        if (attempt->failed == 0 || attempt->suspect || !relay_later_of(s, attempt, &scratch))
            batch_add(batch, attempt);
    }
    arena_done(&scratch);
}
