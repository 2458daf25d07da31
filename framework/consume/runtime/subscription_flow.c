/* subscription_flow.c - a delivery's way to the workers and back to the broker. */
#include "consume/job/chain.h"
#include "consume/job/job_span.h"
#include "consume/runtime/runtime_private.h"

/* ---- settling ---- */

static enum verdict verdict_of(const struct attempt *attempt)
{
    enum warren_outcome outcome = (enum warren_outcome)attempt->outcome;

    if (attempt->relay == RELAY_CONFIRMED)
        return VERDICT_ACK;
    if (attempt->relay == RELAY_FAILED && outcome != WARREN_RETRY)
        return VERDICT_HANDBACK;
    /* So that the broker does not count it either, where it can be handed back without that. */
    if (outcome == WARREN_RETRY && attempt->forgiven)
        return VERDICT_HANDBACK;
    return settlement_verdict(outcome);
}

static void tell_unconfirmed(struct subscription *s, struct attempt *attempt)
{
    if (attempt->publish_end == PUBLISH_FINE || attempt->relay != RELAY_NONE)
        return;
    subscription_count(s, COUNT_UNCONFIRMED);
    if (s->runtime->events.unconfirmed)
        s->runtime->events.unconfirmed(s->runtime->user, s->source.queue, attempt);
}

bool subscription_is_stale(const struct subscription *s, const struct attempt *attempt)
{
    return attempt->delivery.generation != consumer_generation(s->consumer);
}

static enum guard_end end_of(const struct attempt *attempt, enum verdict verdict, bool stale)
{
    if (stale || (verdict != VERDICT_ACK && verdict != VERDICT_REJECT))
        return GUARD_RETURNED;
    if (attempt->relay == RELAY_CONFIRMED && attempt->outcome != WARREN_REJECT)
        return GUARD_COPIED;
    return GUARD_SETTLED;
}

static void settle(struct subscription *s, struct attempt *attempt)
{
    enum verdict verdict = verdict_of(attempt);
    bool stale = subscription_is_stale(s, attempt);

    s->in_flight--;
    admission_unreserve(&s->admission, attempt);
    subscription_leave_line(s, attempt);
    subscription_fair_leave(s, attempt);
    subscription_unweigh(s, attempt);
    if (attempt->edition)
        stages_drop(&edition_of(attempt)->stages, attempt);
    subscription_end_edition(s, attempt);
    guard_left(&s->crew.guard, attempt, end_of(attempt, verdict, stale));
    if (stale) {
        subscription_count(s, COUNT_STALE);
    } else if (!attempt->moves || attempt->relay != RELAY_CONFIRMED) {
        subscription_count(s, COUNT_SETTLED + attempt->outcome);
        meter_settled(&s->crew.meter, attempt);
        attempt_span_settled(&s->source, attempt, verdict);
        tell_unconfirmed(s, attempt);
    }
    attempt_done(attempt);
    consumer_settle(s->consumer, &attempt->delivery, verdict);
}

uint32_t subscription_settle_as(struct subscription *s, struct batch *batch,
                                enum warren_outcome outcome)
{
    uint32_t settled = batch->count;
    struct attempt *attempt;

    while ((attempt = batch_pop(batch))) {
        attempt->outcome = (uint8_t)outcome;
        attempt->relay = RELAY_NONE;
        settle(s, attempt);
    }
    return settled;
}

/* ---- there ---- */

/* What waited in editions of before, and has its answer, begins in that of the day. */
static void leave_older(struct subscription *s, struct batch *unwanted)
{
    struct batch none = {NULL, NULL, 0};
    struct batch answered = {NULL, NULL, 0};

    LIST_EACH(link, &s->editions) {
        struct subscription_edition *e = list_entry(link, struct subscription_edition, link);

        if (e != s->edition)
            stages_pass(&e->stages, &none, &answered, unwanted);
    }
    if (answered.count == 0)
        return;
    subscription_begin_again(s, &answered);
    subscription_begin_edition(s, &answered, unwanted);
    stages_pass(&s->edition->stages, &answered, &none, unwanted);
    subscription_to_workers(s, &none);
}

uint32_t subscription_go_on(struct subscription *s, struct batch *admitted)
{
    struct batch go = {NULL, NULL, 0};
    struct batch unwanted = {NULL, NULL, 0};
    uint32_t count;

    subscription_begin_edition(s, admitted, &unwanted);
    stages_pass(&s->edition->stages, admitted, &go, &unwanted);
    subscription_to_workers(s, &go);
    if (s->edition->link.prev != &s->editions)
        leave_older(s, &unwanted);
    count = unwanted.count;
    if (s->draining)
        batch_splice(&s->arrived, &unwanted);
    else
        subscription_settle_as(s, &unwanted, WARREN_REQUEUE);
    return count;
}

/* What waited for an answer, and has it. @return as go_on() */
static uint32_t take_answered(struct subscription *s)
{
    uint32_t waiting = subscription_waiting(s);
    struct batch none = {NULL, NULL, 0};
    uint32_t unwanted;

    if (waiting == 0)
        return 0;
    unwanted = subscription_go_on(s, &none);
    if (subscription_waiting(s) < waiting)
        runtime_keep_looking(s->runtime);
    return unwanted;
}

void subscription_watch(struct subscription *s)
{
    int64_t next_ms = admission_next_ms(&s->admission);
    int64_t fair_ms = subscription_fair_next_ms(s);

    if (fair_ms < next_ms)
        next_ms = fair_ms;
    subscription_note_held(s);
    if (next_ms == s->admit_ms)
        return;
    s->admit_ms = next_ms;
    if (next_ms == INT64_MAX)
        loop_timer_disarm(&s->admit);
    else
        loop_timer_arm_ms(&s->admit, next_ms - subscription_now_ms(s));
}

/* Those that left their lines when they failed come to the ends of these, and all of them take
 * their turns again. @now_ms: that by which they would be admitted. */
static void line_up_due(struct subscription *s, int64_t now_ms)
{
    struct batch due = {NULL, NULL, 0};

    admission_due(&s->admission, now_ms, &due);
    if (due.count == 0)
        return;
    if (s->order)
        subscription_line_up(s, &due);
    subscription_turn_enter(s, &due, true);
    admission_add(&s->admission, &due);
}

static void admit(struct subscription *s)
{
    struct batch go = {NULL, NULL, 0};
    int64_t now_ms = subscription_now_ms(s);

    if (s->fair || s->lane || (s->order && s->order->config->skips))
        line_up_due(s, now_ms);
    admission_take(&s->admission, now_ms, &go);
    subscription_watch(s);
    if (go.count == 0)
        return;
    subscription_go_on(s, &go);
    runtime_keep_looking(s->runtime);
}

void subscription_admit(void *arg)
{
    struct subscription *s = arg;

    s->admit_ms = INT64_MAX; /* it has fired */
    subscription_drop_stale(s);
    if (s->draining)
        return;
    admit(s);
    subscription_let_go(s);
    subscription_turns(s);
}

void subscription_admit_these(struct subscription *s, struct batch *batch)
{
    subscription_turn_enter(s, batch, false);
    if (batch->count > 0)
        subscription_to_gates(s, batch);
}

void subscription_to_gates(struct subscription *s, struct batch *batch)
{
    if (s->admission.gate_count == 0) {
        subscription_go_on(s, batch);
        return;
    }
    admission_add(&s->admission, batch);
    admit(s);
}

void subscription_drop_stale(struct subscription *s)
{
    struct batch older = {NULL, NULL, 0};

    if (admission_count(&s->admission) + subscription_gathered(s) + s->owed.count +
                subscription_ahead(s) ==
            0 ||
        s->generation == consumer_generation(s->consumer))
        return;
    subscription_take_lines(s, &older); /* first: nobody is behind those that leave */
    subscription_turn_take(s, &older);
    admission_take_all(&s->admission, &older);
    subscription_take_uses(s, &older);
    subscription_take_gathered(s, &older);
    subscription_take_owed(s, &older);
    subscription_watch(s);
    subscription_settle_as(s, &older, WARREN_REQUEUE);
}

/* Those of an older channel leave, so that the queue stays within the prefetch, however often the
 * channel is lost. */
static void enter_generation(struct subscription *s, uint32_t generation)
{
    struct batch older = {NULL, NULL, 0};

    runner_take_queued(s->runner, &older);
    subscription_take_uses(s, &older);
    subscription_take_gathered(s, &older);
    subscription_settle_as(s, &older, WARREN_REQUEUE);
    s->generation = generation;
}

/* Somebody waits behind each that is in a line, or for his turn, or in the other lane: then workers
 * wake the loop, if they run out. */
static void say_roomy(struct subscription *s)
{
    runner_roomy(s->runner, consumer_roomy(s->consumer) && subscription_ahead(s) == 0 && !s->lane);
}

void subscription_push(struct subscription *s)
{
    subscription_drop_stale(s);
    if (!s->arrived.first || s->draining)
        return;
    if (s->arrived.last->delivery.generation != s->generation)
        enter_generation(s, s->arrived.last->delivery.generation);
    subscription_lane_sort(s, &s->arrived);
    if (s->order)
        subscription_line_up(s, &s->arrived);
    say_roomy(s);
    subscription_admit_these(s, &s->arrived);
    subscription_let_go(s);
    if (subscription_turn_waiting(s) == 0)
        return;
    subscription_turns(s);
    say_roomy(s);
}

/* ---- and back again ---- */

/* A failed attempt whose next one is to be here, or one that waits for its copy. The broker gets
 * nothing. */
static bool hold(struct subscription *s, struct attempt *attempt)
{
    if (s->draining || attempt->relay == RELAY_CONFIRMED || subscription_is_stale(s, attempt))
        return false;
    if (attempt->relay == RELAY_FAILED)
        return subscription_owe(s, attempt);
    if (attempt->outcome != WARREN_RETRY || attempt->retry_at_ms < 0 ||
        !admission_hold(&s->admission, attempt, subscription_now_ms(s)))
        return false;
    subscription_count(s, COUNT_RETRIED);
    attempt_span_retried(&s->source, attempt);
    tell_unconfirmed(s, attempt);
    attempt->publish_end = PUBLISH_FINE;
    return true;
}

/* @attempt has a returned publish: to @go, to be run as such; or, when draining, where no worker
 * takes it any more, it has failed and waits to be handed back. */
static void fail_returned(struct subscription *s, struct attempt *attempt, struct batch *go)
{
    struct batch counted = {NULL, NULL, 0};

    subscription_count(s, COUNT_UNCONFIRMED);
    admission_unreserve(&s->admission, attempt);
    attempt->publish_end = PUBLISH_FINE; /* of the attempt that comes */
    if (!s->draining) {
        batch_add(go, attempt);
        return;
    }
    attempt->retry_at_ms = subscription_now_ms(s) + RETURNED_PUBLISH_AGAIN_MS;
    batch_add(&counted, attempt);
    subscription_relay_counted(s, &counted);
    batch_splice(&s->arrived, &counted);
}

/* Draining, what is not done goes back with all that was not begun: see hand_back_in_order(). */
static bool joins_the_rest(struct subscription *s, struct attempt *attempt)
{
    enum verdict verdict = verdict_of(attempt);

    if (!s->order || !s->draining || subscription_is_stale(s, attempt) || verdict == VERDICT_ACK ||
        verdict == VERDICT_REJECT)
        return false;
    batch_add(&s->arrived, attempt);
    return true;
}

/* @return false: it is settled; else it is held, or in @returned */
static bool come_back(struct subscription *s, struct attempt *attempt, struct batch *returned)
{
    if (attempt->moves) {
        if (subscription_moved(s, attempt))
            return true;
        settle(s, attempt);
        return false;
    }
    subscription_unweigh(s, attempt); /* of one that was not run */
    if (attempt->publish_returned && !subscription_is_stale(s, attempt)) {
        fail_returned(s, attempt, returned);
        return true;
    }
    if (attempt->publish_end != PUBLISH_FINE && attempt->relay == RELAY_NONE &&
        attempt->retry_at_ms < 0)
        attempt->retry_at_ms = subscription_now_ms(s) + settlement_again_ms(attempt);
    if (attempt->relay != RELAY_NONE)
        subscription_relayed(s, attempt);
    if (hold(s, attempt)) {
        subscription_end_edition(s, attempt);
        subscription_pass_over(s, attempt);
        subscription_fair_leave(s, attempt);
        return true;
    }
    if (joins_the_rest(s, attempt))
        return true;
    settle(s, attempt);
    return false;
}

uint32_t subscription_collect(struct subscription *s)
{
    struct batch done = {NULL, NULL, 0};
    struct batch returned = {NULL, NULL, 0};
    struct attempt *attempt;
    uint32_t settled;
    bool held = false;

    runner_take_settled(s->runner, &done);
    settled = done.count + take_answered(s);
    while ((attempt = batch_pop(&done)))
        held = come_back(s, attempt, &returned) || held;
    if (returned.count > 0) {
        runner_push(s->runner, &returned);
        runtime_keep_looking(s->runtime);
    }
    if (settled > 0 && s->admission.waiting.count > 0 && !s->draining) {
        admission_ask_now(&s->admission); /* an outcome may have opened a gate */
        admit(s);
    } else if (held) {
        subscription_watch(s);
    }
    subscription_let_go(s);
    subscription_turns(s);
    if (s->gather.gather.open.count > 0 && !s->draining)
        subscription_gather_look(s);
    if (s->uses.waiting.count > 0 && !s->draining)
        subscription_weigh(s);
    return settled;
}

void subscription_flush(struct subscription *s, bool many)
{
    uint32_t unsent = consumer_unsent(s->consumer);

    if (unsent > 0 && (!many || unsent >= s->ack_many))
        consumer_flush(s->consumer, false);
}

uint32_t subscription_in_flight(const struct subscription *s)
{
    return s->in_flight - guard_lost(&s->crew.guard);
}

uint32_t subscription_lost(const struct subscription *s)
{
    return guard_lost(&s->crew.guard);
}

uint32_t subscription_at_work(const struct subscription *s)
{
    return subscription_in_flight(s) - s->arrived.count - admission_count(&s->admission) -
           subscription_gathered(s) - s->owed.count - subscription_ahead(s);
}

uint32_t subscription_begun(const struct subscription *s)
{
    /* First: what a worker takes from the queue meanwhile is counted too often, never too rarely.
     */
    uint32_t more = atomic_load(&s->crew.more);
    uint32_t running;
    uint32_t queued;

    runner_load(s->runner, &running, &queued);
    return subscription_at_work(s) - subscription_waiting(s) - queued - more;
}

uint32_t subscription_unsent(const struct subscription *s)
{
    return consumer_unsent(s->consumer);
}

/* ---- counts ---- */

void subscription_stats(struct subscription *s, struct runtime_stats *stats)
{
    uint32_t running;
    uint32_t queued;

    for (unsigned i = 0; i < COUNTS; i++)
        stats->counts[i] += atomic_load_explicit(&s->counts[i], memory_order_relaxed);
    if (s->ended)
        return;
    runner_load(s->runner, &running, &queued);
    stats->running += running;
    stats->queued += queued;
    stats->held += atomic_load_explicit(&s->held, memory_order_relaxed);
    if (!atomic_load(&s->taken_away))
        stats->consuming &= atomic_load(&s->consuming) || atomic_load(&s->stands_by);
}
