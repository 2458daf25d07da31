/* subscription_relay.c - what the event loop does about copies in a delivery's place: their end,
 * and those that a drain makes.
 */
#include <stdio.h>

#include "amqp/properties.h"
#include "consume/late.h"
#include "consume/settlement.h"
#include "consume/subscription_private.h"

/* A message whose copy was not confirmed comes again after so long. */
#define AGAIN_MS 5000

#define WHY_SIZE 64

static void name_why(const struct delivery *delivery, char why[WHY_SIZE])
{
    if (delivery->relay_status != WARREN_OK)
        snprintf(why, WHY_SIZE, "not accepted: %s",
                 warren_status_name((enum warren_status)delivery->relay_status));
    else if (delivery->relay_code)
        snprintf(why, WHY_SIZE, "%s (%u)",
                 warren_result_name((enum warren_result)delivery->relay_result),
                 delivery->relay_code);
    else
        snprintf(why, WHY_SIZE, "%s",
                 warren_result_name((enum warren_result)delivery->relay_result));
}

static void tell(struct subscription *s, const struct delivery *delivery)
{
    struct warren_properties properties;
    char why[WHY_SIZE];
    struct arena arena;

    if (!s->host->events->unrelayed)
        return;
    name_why(delivery, why);
    arena_init(&arena);
    properties_decode(delivery_properties(delivery), &arena, &properties);
    s->host->events->unrelayed(s->host->user, s->source.queue, properties.message_id,
                               delivery->outcome == WARREN_REJECT, why);
    arena_done(&arena);
}

/* The attempt of a message that was to be dead-lettered will be made again: it does not count. */
static void come_again(struct subscription *s, struct delivery *delivery)
{
    int64_t again_ms = clock_now_ms(s->source.clock) + AGAIN_MS;

    subscription_count(&s->counts.unrelayed);
    tell(s, delivery);
    if (delivery->outcome != WARREN_RETRY)
        delivery->forgiven = true;
    delivery->outcome = WARREN_RETRY;
    if (delivery->retry_at_ms < again_ms)
        delivery->retry_at_ms = again_ms;
    /* Somebody may have deleted the exchange, or its queue. */
    if (delivery->relay_code && !s->draining)
        s->host->interrupted(s->host);
}

void subscription_unconfirmed(struct subscription *s, struct delivery *delivery)
{
    if (delivery->relay == RELAY_NONE && delivery->retry_at_ms < 0)
        delivery->retry_at_ms = clock_now_ms(s->source.clock) + settlement_again_ms(delivery);
}

void subscription_late(struct subscription *s, struct delivery *delivery, struct batch *go)
{
    struct batch counted = {NULL, NULL, 0};

    subscription_count(&s->counts.unconfirmed);
    delivery->publish_end = PUBLISH_FINE; /* of the attempt that comes */
    if (!s->draining) {
        batch_add(go, delivery);
        return;
    }
    delivery->retry_at_ms = clock_now_ms(s->source.clock) + LATE_AGAIN_MS;
    batch_add(&counted, delivery);
    subscription_relay_counted(s, &counted);
    batch_splice(&s->arrived, &counted);
}

void subscription_relayed(struct subscription *s, struct delivery *delivery)
{
    if (delivery->relay == RELAY_FAILED)
        come_again(s, delivery);
    else if (delivery->outcome == WARREN_REJECT)
        subscription_count(&s->counts.dead_lettered);
    else
        subscription_count(&s->counts.relayed);
}

/* ---- draining ---- */

/* @return false: the broker gets it back as it is */
static bool relay_later_of(struct subscription *s, struct delivery *delivery, struct arena *scratch)
{
    int64_t now_ms = clock_now_ms(s->source.clock);
    int64_t deadline_ms = atomic_load_explicit(s->source.deadline_ms, memory_order_relaxed);
    struct relay_facts facts = {
        .failed = delivery->failed,
        .first_failure_s = (uint64_t)delivery->first_failure_s,
        .delay_ms = delivery->retry_at_ms > now_ms ? delivery->retry_at_ms - now_ms : 0,
        .left_ms = deadline_ms == INT64_MAX ? INT64_MAX : deadline_ms - now_ms,
    };
    struct settlement *settlement = settlement_new(delivery, s->source.settled, s->source.user);

    if (!settlement)
        return false;
    delivery->outcome = WARREN_RETRY;
    delivery->relay = RELAY_SENT;
    if (relay_later(&s->relay, delivery, &facts, scratch, settlement_relayed, settlement) ==
        WARREN_OK)
        return true; /* the settlement's first hold is the receipt's */
    delivery->relay = RELAY_NONE;
    settlement_handled(settlement);
    return false;
}

void subscription_relay_counted(struct subscription *s, struct batch *batch)
{
    struct batch all = *batch;
    struct delivery *delivery;
    struct arena scratch;

    if (!s->source.relay || !s->relay.into_queue)
        return;
    *batch = (struct batch){NULL, NULL, 0};
    arena_init(&scratch);
    while ((delivery = batch_pop(&all))) {
        arena_reset(&scratch);
        if (delivery->late)
            delivery_count_failure(delivery);
        delivery->late = false;
        if (delivery->failed == 0 || delivery->suspect || !relay_later_of(s, delivery, &scratch))
            batch_add(batch, delivery);
    }
    arena_done(&scratch);
}
