/* settlement.c - see settlement.h. */
#include "consume/settlement.h"

#include <stdlib.h>

#include "base/clock.h"

struct settlement {
    struct delivery *delivery;
    settlement_done_fn *done;
    void *user;
};

enum verdict settlement_verdict(enum warren_outcome outcome)
{
    switch (outcome) {
    case WARREN_ACK:
    case WARREN_DISCARD:
        return VERDICT_ACK;
    case WARREN_REJECT:
        return VERDICT_REJECT;
    case WARREN_REQUEUE:
        return VERDICT_HANDBACK;
    case WARREN_RETRY:
        break;
    }
    return VERDICT_RETRY;
}

struct settlement *settlement_new(struct delivery *delivery, settlement_done_fn *done, void *user)
{
    struct settlement *settlement = malloc(sizeof *settlement);

    if (!settlement)
        return NULL;
    settlement->delivery = delivery;
    settlement->done = done;
    settlement->user = user;
    atomic_store(&delivery->holds, 1);
    atomic_store(&delivery->publish_failed, false);
    return settlement;
}

void settlement_hold(struct settlement *settlement)
{
    atomic_fetch_add(&settlement->delivery->holds, 1);
}

void settlement_unhold(struct settlement *settlement)
{
    atomic_fetch_sub(&settlement->delivery->holds, 1);
}

/* An attempt that said something else has failed all the same. */
static void fail(struct delivery *delivery)
{
    if (delivery->outcome == WARREN_RETRY)
        return;
    delivery->outcome = WARREN_RETRY;
    delivery->forgiven = false;
    delivery->failed++;
    if (delivery->first_failure_s == 0)
        delivery->first_failure_s = clock_wall_ms() / 1000;
}

/* Drop one hold; with the last one the outcome is final and the settlement gone. */
static bool release(struct settlement *settlement)
{
    struct delivery *delivery = settlement->delivery;

    if (atomic_fetch_sub(&delivery->holds, 1) != 1)
        return false;
    if (atomic_load(&delivery->publish_failed) && delivery->relay == RELAY_NONE)
        fail(delivery);
    free(settlement);
    return true;
}

/* As above, on a publisher's thread. */
static void release_later(struct settlement *settlement)
{
    struct delivery *delivery = settlement->delivery;
    settlement_done_fn *done = settlement->done;
    void *user = settlement->user;

    if (release(settlement))
        done(user, delivery);
}

void settlement_receipt(const struct warren_receipt *receipt, void *user)
{
    struct settlement *settlement = user;

    if (receipt->result != WARREN_CONFIRMED && receipt->result != WARREN_SPOOLED)
        atomic_store(&settlement->delivery->publish_failed, true);
    release_later(settlement);
}

void settlement_relayed(const struct warren_receipt *receipt, void *user)
{
    struct settlement *settlement = user;
    struct delivery *delivery = settlement->delivery;

    delivery->relay = receipt->result == WARREN_CONFIRMED ? RELAY_CONFIRMED : RELAY_FAILED;
    delivery->relay_status = WARREN_OK;
    delivery->relay_result = (uint8_t)receipt->result;
    delivery->relay_code = receipt->reply_code;
    release_later(settlement);
}

bool settlement_handled(struct settlement *settlement)
{
    return release(settlement);
}
