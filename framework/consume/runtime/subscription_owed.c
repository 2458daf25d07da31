/* subscription_owed.c - what the event loop does about copies in a delivery's place: their end, and
 * another try where one was not confirmed.
 */
#include <stdio.h>

#include "amqp/wire/properties.h"
#include "consume/job/job_span.h"
#include "consume/relay/settlement.h"
#include "consume/runtime/runtime_private.h"

/* Copies that are tried again in one turn of the loop. */
#define COPIES_A_TURN 32
/* A copy that could not be made for this long: the message goes back before the broker ends the
 * channel over it. */
#define OWED_MAX_MS ADMISSION_DELAY_MAX_MS

#define WHY_SIZE 64

/* ---- reports ---- */

static void name_why(const struct attempt *attempt, char why[WHY_SIZE])
{
    if (attempt->relay_status == WARREN_ETOOBIG)
        snprintf(why, WHY_SIZE, "the headers leave no room for those of a copy");
    else if (attempt->relay_status != WARREN_OK)
        snprintf(why, WHY_SIZE, "not accepted: %s",
                 warren_status_name((enum warren_status)attempt->relay_status));
    else if (attempt->relay_code)
        snprintf(why, WHY_SIZE, "%s (%u)",
                 warren_result_name((enum warren_result)attempt->relay_result),
                 attempt->relay_code);
    else
        snprintf(why, WHY_SIZE, "%s",
                 warren_result_name((enum warren_result)attempt->relay_result));
}

/* A full queue refuses each copy each time: what matters is that it does, and how many wait. */
static bool may_tell(struct subscription *s, bool dead)
{
    int64_t *reported_ms = &s->reported_ms[dead];

    if (!s->runtime->events.unrelayed ||
        (*reported_ms > 0 && subscription_now_ms(s) - *reported_ms < RUNTIME_TELL_MS))
        return false;
    *reported_ms = subscription_now_ms(s);
    return true;
}

static const char *target_of(const struct subscription *s, const struct attempt *attempt)
{
    const char *to_queue = attempt->owed ? attempt->owed->facts.to_queue : NULL;

    return to_queue ? to_queue : s->source.queue;
}

static void tell(struct subscription *s, const struct attempt *attempt, bool dead, int64_t again_ms)
{
    struct warren_properties properties;
    struct runtime_unrelayed what = {
        .queue = s->source.queue,
        .dead = dead,
        .exchange = dead ? subscription_relay_to(s)->dead_exchange : "",
        .target = dead ? subscription_relay_to(s)->dead_queue : target_of(s, attempt),
        .retry_ms = again_ms - subscription_now_ms(s),
        .waiting = s->owed.count + 1};
    char why[WHY_SIZE];
    struct arena arena;

    if (!may_tell(s, dead))
        return;
    name_why(attempt, why);
    arena_init(&arena);
    properties_decode(delivery_properties(&attempt->delivery), &arena, &properties);
    what.message_id = arena_bytes(&arena, properties.message_id);
    what.why = why;
    s->runtime->events.unrelayed(s->runtime->user, &what);
    arena_done(&arena);
}

static void tell_the_end(struct subscription *s)
{
    if (!s->owing || s->owed.count > 0)
        return;
    s->owing = false;
    if (s->runtime->events.relayed)
        s->runtime->events.relayed(s->runtime->user, s->source.queue);
}

/* ---- a copy has failed ---- */

/* The next attempt is made here, and not before @at_ms. */
static void attempt_again(struct attempt *attempt, int64_t at_ms)
{
    /* Of a message that was to be dead-lettered, the attempt did not count. */
    if (attempt->outcome != WARREN_RETRY)
        attempt->forgiven = true;
    attempt->outcome = WARREN_RETRY;
    attempt->relay = RELAY_NONE;
    if (attempt->retry_at_ms < at_ms)
        attempt->retry_at_ms = at_ms;
}

/* A copy would lack headers, and so would the next one. What is to be attempted again waits here
 * until then; what was handed back goes back, though its attempts are not known there. */
static void no_copy_fits(struct subscription *s, struct attempt *attempt)
{
    attempt->relay = RELAY_NONE;
    if (attempt->outcome == WARREN_RETRY && attempt->retry_at_ms < 0)
        attempt->retry_at_ms = subscription_now_ms(s) + OWED_AGAIN_MIN_MS;
    tell(s, attempt, false, attempt->outcome == WARREN_RETRY ? attempt->retry_at_ms : -1);
}

void subscription_not_copied(struct subscription *s, struct attempt *attempt)
{
    subscription_count(s, COUNT_UNRELAYED);
    tell(s, attempt, false, -1);
    attempt->relay = RELAY_NONE;
}

/* The outcome stands, and the copy is tried again; but an attempt that is due before that is made.
 */
static void copy_failed(struct subscription *s, struct attempt *attempt)
{
    bool dead = attempt->outcome == WARREN_REJECT;
    struct owed *owed = attempt->owed;
    int64_t again_ms = subscription_now_ms(s) + OWED_AGAIN_MIN_MS;

    subscription_count(s, COUNT_UNRELAYED);
    if (s->draining) {
        tell(s, attempt, dead, -1);
        if (dead)
            attempt->outcome = WARREN_REQUEUE;
        return;
    }
    if (attempt->relay_status == WARREN_ETOOBIG && !dead) {
        no_copy_fits(s, attempt);
        return;
    }
    s->owing = true;
    if (owed)
        again_ms = subscription_now_ms(s) + owed_again_ms(owed, &s->random);
    tell(s, attempt, dead, again_ms);
    if (!owed || owed->due_ms <= again_ms) {
        attempt_again(attempt, again_ms);
    } else {
        if (owed->since_ms < 0)
            owed->since_ms = subscription_now_ms(s);
        attempt->retry_at_ms = again_ms;
    }
    /* Somebody may have deleted the exchange, or its queue. */
    if (attempt->relay_code)
        runtime_redeclare_soon(s->runtime);
}

void subscription_relayed(struct subscription *s, struct attempt *attempt)
{
    if (attempt->relay == RELAY_FAILED) {
        copy_failed(s, attempt);
        return;
    }
    if (attempt->outcome == WARREN_REJECT) {
        subscription_count(s, COUNT_DEAD_LETTERED);
        meter_dead_lettered(&s->crew.meter, attempt);
        attempt_span_dead_lettered(&s->source, attempt, subscription_relay_to(s)->dead_exchange);
    } else {
        subscription_count(s, COUNT_RELAYED);
        attempt_span_retried(&s->source, attempt);
        if (attempt->owed && attempt->owed->facts.to_queue)
            subscription_slow_failed(s);
    }
    tell_the_end(s);
}

/* ---- waiting for the next try ---- */

static void watch(struct subscription *s)
{
    int64_t next_ms = delay_next_ms(&s->owed);
    int64_t left_ms = next_ms - subscription_now_ms(s);

    subscription_note_held(s);
    if (next_ms == INT64_MAX)
        loop_timer_disarm(&s->owe);
    else
        loop_timer_arm_ms(&s->owe, left_ms > 0 ? left_ms : 0);
}

bool subscription_owe(struct subscription *s, struct attempt *attempt)
{
    if (!delay_put(&s->owed, attempt))
        return false;
    watch(s);
    return true;
}

void subscription_take_owed(struct subscription *s, struct batch *batch)
{
    struct attempt *attempt;

    while ((attempt = delay_pop(&s->owed, INT64_MAX))) {
        attempt->retry_at_ms = attempt->owed->due_ms < INT64_MAX ? attempt->owed->due_ms : -1;
        batch_add(batch, attempt);
    }
    watch(s);
}

bool subscription_publish_copy(struct subscription *s, struct attempt *attempt,
                               const struct relay_facts *facts, struct arena *scratch)
{
    struct settlement *settlement = settlement_new(attempt, s->source.settled, s->source.user);
    enum warren_status status = WARREN_ENOMEM;

    if (settlement) {
        attempt->relay = RELAY_SENT;
        status = relay_copy(subscription_relay_to(s), &attempt->delivery, facts, scratch,
                            settlement_relayed, settlement);
        if (status == WARREN_OK)
            return true; /* the settlement's first hold is the receipt's */
        settlement_handled(settlement);
    }
    attempt->relay = RELAY_FAILED;
    attempt->relay_status = (int16_t)status;
    return false;
}

/* For too long: it is attempted again, here, or by whoever gets it next. */
static void give_up(struct subscription *s, struct attempt *attempt)
{
    struct batch batch = {NULL, NULL, 0};

    if (attempt->outcome == WARREN_RETRY) {
        attempt_again(attempt, subscription_now_ms(s));
        runner_settled(s->runner, attempt);
        return;
    }
    batch_add(&batch, attempt);
    subscription_settle_as(s, &batch, WARREN_REQUEUE);
    runtime_wake(s->runtime);
}

static void copy_again(struct subscription *s, struct attempt *attempt, struct arena *scratch)
{
    const struct owed *owed = attempt->owed;
    const struct relay *to = subscription_relay_to(s);
    struct relay_facts facts = owed->facts;

    /* A stream takes nothing back, and has no such limit; with `order` the broker takes back all of
     * the channel, in order. A reload may have taken away where it was to go. */
    if ((subscription_now_ms(s) - owed->since_ms >= OWED_MAX_MS && to->into_queue) ||
        (attempt->outcome == WARREN_REJECT && !to->dead_exchange)) {
        give_up(s, attempt);
        return;
    }
    facts.left_ms = INT64_MAX;
    facts.wait = false;
    facts.delay_ms = 0;
    if (owed->due_ms < INT64_MAX && owed->due_ms > subscription_now_ms(s))
        facts.delay_ms = owed->due_ms - subscription_now_ms(s);
    if (!subscription_publish_copy(s, attempt, &facts, scratch))
        runner_settled(s->runner, attempt);
}

void subscription_copy_due(void *arg)
{
    struct subscription *s = arg;
    struct attempt *attempt;
    struct arena scratch;

    subscription_drop_stale(s);
    arena_init(&scratch);
    for (int i = 0; i < COPIES_A_TURN && (attempt = delay_pop(&s->owed, subscription_now_ms(s)));
         i++) {
        arena_reset(&scratch);
        copy_again(s, attempt, &scratch);
    }
    arena_done(&scratch);
    watch(s);
}
