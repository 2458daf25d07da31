/* subscription_move.c - a message that was not run goes elsewhere: a copy of it is published, with
 * nothing counted, and when that is confirmed the message is acked. Else it stays. Who goes, and
 * where to: subscription_away.c, subscription_lane.c. Thread: the loop's.
 */
#include "consume/job/job_span.h"
#include "consume/runtime/runtime_private.h"

static void stay(struct attempt *attempt)
{
    attempt->moves = MOVE_NOT;
    attempt->outcome = 0;
    attempt->forgiven = false;
    attempt->relay = RELAY_NONE;
    attempt->retry_at_ms = 0;
}

bool subscription_move(struct subscription *s, struct attempt *attempt, enum move move,
                       const char *to_queue, int64_t delay_ms, struct arena *scratch)
{
    char trace[TRACEPARENT_SIZE];
    struct relay_facts facts = {
        .to_queue = to_queue,
        .delay_ms = delay_ms,
        .left_ms = INT64_MAX,
        .trace = attempt_span_note(attempt, trace),
    };

    if (!subscription_relay_to(s) || guard_suspects(&s->crew.guard, attempt))
        return false;
    facts.failed = attempt->failed; /* also those that the recorder knows of */
    facts.first_failure_s = (uint64_t)attempt->first_failure_s;
    attempt->moves = (uint8_t)move;
    attempt->outcome = WARREN_RETRY;
    attempt->forgiven = true;
    if (subscription_publish_copy(s, attempt, &facts, scratch))
        return true;
    stay(attempt);
    return false;
}

bool subscription_moved(struct subscription *s, struct attempt *attempt)
{
    struct batch batch = {NULL, NULL, 0};
    bool moved = attempt->relay == RELAY_CONFIRMED;

    if (attempt->moves == MOVE_AWAY)
        subscription_away_ended(s, moved);
    else
        subscription_slow_ended(s, moved);
    if (moved)
        return false;
    if (s->draining || subscription_is_stale(s, attempt)) {
        attempt->outcome = WARREN_REQUEUE; /* it goes back as it is */
        return false;
    }
    stay(attempt);
    batch_add(&batch, attempt);
    subscription_turn_enter(s, &batch, false);
    return true;
}
