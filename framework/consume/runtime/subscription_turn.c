/* subscription_turn.c - what stands between the lines of an order and the gates: messages that wait
 * for their turn, among keys (subscription_fair.c), among lanes (subscription_lane.c), or both.
 * Those that are let go are few, or who comes later would wait behind all of them. Thread: the
 * loop's.
 */
#include "consume/runtime/runtime_private.h"

void subscription_turn_enter(struct subscription *s, struct batch *batch, bool again)
{
    if (batch->count == 0)
        return;
    subscription_fair_enter(s, batch, again);
    subscription_lane_enter(s, batch, again);
}

void subscription_turn_take(struct subscription *s, struct batch *batch)
{
    subscription_fair_take(s, batch);
    subscription_lane_take(s, batch);
}

uint32_t subscription_turn_waiting(const struct subscription *s)
{
    return subscription_fair_waiting(s) + subscription_lane_waiting(s);
}

uint32_t subscription_on_the_way(const struct subscription *s, uint32_t *ret_with_workers)
{
    uint32_t running;
    uint32_t queued;

    runner_load(s->runner, &running, &queued);
    *ret_with_workers = running + queued;
    return s->admission.waiting.count + s->uses.waiting.count + subscription_waiting(s) + running +
           queued;
}

/* What a worker has, and one that waits for it. */
static void go_alone(struct subscription *s)
{
    uint32_t most = 2 * atomic_load_explicit(&s->concurrency, memory_order_relaxed);
    uint32_t with_workers;
    uint32_t on_the_way;
    struct batch go = {NULL, NULL, 0};
    struct attempt *attempt;

    if (!subscription_turn_ready(s))
        return;
    on_the_way = subscription_on_the_way(s, &with_workers);
    while (on_the_way < most && (attempt = subscription_turn_next(s))) {
        batch_add(&go, attempt);
        on_the_way++;
    }
    subscription_turned(s, &go);
}

bool subscription_turn_ready(struct subscription *s)
{
    if (s->draining)
        return false;
    return s->fair ? fair_lines_ready(&s->fair->lines, subscription_now_ms(s))
                   : subscription_lane_waiting(s) > 0;
}

struct attempt *subscription_turn_next(struct subscription *s)
{
    return s->fair ? fair_lines_next(&s->fair->lines, subscription_now_ms(s))
                   : subscription_lane_next(s);
}

void subscription_turned(struct subscription *s, struct batch *go)
{
    if (go->count == 0)
        return;
    subscription_turn_note(s);
    subscription_to_gates(s, go);
    runtime_keep_looking(s->runtime);
}

/* For workers, also those of the other lane, which has places that this one waits for. */
static void note_waits(struct subscription *s)
{
    struct subscription *other = s->lane ? lanes_other(s) : NULL;
    bool waits =
        subscription_turn_waiting(s) > 0 || (other && subscription_turn_waiting(other) > 0);

    atomic_store(&s->turn_waits, waits);
    if (other)
        atomic_store(&other->turn_waits, waits);
}

void subscription_turn_note(struct subscription *s)
{
    subscription_fair_note(s);
    subscription_lane_note(s);
    note_waits(s);
    subscription_note_held(s);
}

void subscription_turns(struct subscription *s)
{
    if (s->lane)
        lanes_go(s->lane->lanes);
    if (subscription_turn_waiting(s) == 0 || s->draining)
        return;
    if (!s->lane)
        go_alone(s);
    if (s->fair)
        subscription_send_away(s);
    subscription_turn_note(s);
    subscription_watch(s);
}
