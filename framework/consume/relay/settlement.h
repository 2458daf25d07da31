/* settlement.h - when a handled delivery may be settled, and with which verdict.
 *
 * A delivery whose job published is held back until every one of its messages has a receipt:
 * the broker must have what the job made before it may forget what the job was given.
 * Elsewhere: sending the verdict (amqp/consumer/consumer.h).
 */
#ifndef WARREN_CONSUME_SETTLEMENT_H
#define WARREN_CONSUME_SETTLEMENT_H

#include <warren/publisher.h>

#include "amqp/consumer/ack_batcher.h"
#include "consume/attempt/attempt.h"

/** What is sent to the broker for @outcome, if no copy stands in for it. */
enum verdict settlement_verdict(enum warren_outcome outcome);

/** Attempts of which a part was published, and which are forgiven. */
#define SETTLEMENT_IN_PART 3

/** One delivery that waits for receipts. Made at the job's first publish. */
struct settlement;

/** Called on the thread of the last receipt: @attempt is settled, its outcome is written. */
typedef void settlement_done_fn(void *user, struct attempt *attempt);

/** Held by the handler. NULL: no memory. */
struct settlement *settlement_new(struct attempt *attempt, settlement_done_fn *done, void *user);

/** One more message is about to be published. Thread: the handler's. */
void settlement_hold(struct settlement *settlement);
/** It was not accepted after all. Thread: the handler's. */
void settlement_unhold(struct settlement *settlement);
/**
 * The handler gave up, for one more message was not accepted: @why, for no fault of the message it
 * was given. As if that had been accepted, and had not been confirmed. Thread: the handler's.
 */
void settlement_not_taken(struct settlement *settlement, const char *why);
/**
 * Its receipt: a warren_receipt_fn; @user is the settlement. Receipts come one after the other.
 * Anything but CONFIRMED and SPOOLED makes the outcome WARREN_RETRY, and attempt->unpublished says
 * what was not published:
 *   RETURNED                  it is the message's fault: `publish_returned`, see returned_publish.h
 *   NACKED, TIMEOUT, EXPIRED  the broker, or a queue that is full, may take it later: the attempt
 * is forgiven. But where something was confirmed, the next attempt publishes that again, so only
 * SETTLEMENT_IN_PART such attempts of a delivery are forgiven; from then on they count as returned,
 * too.
 */
void settlement_receipt(const struct warren_receipt *receipt, void *user);
/** The delay of such a forgiven one: 1 s, doubling up to 30 s. */
int64_t settlement_again_ms(struct attempt *attempt);

/**
 * The receipt of the copy that is published in the delivery's place, which stands for the outcome:
 * CONFIRMED, and the delivery can be acked, whatever the other receipts say. Used as the one above.
 */
void settlement_relayed(const struct warren_receipt *receipt, void *user);

/**
 * The handler has returned and the delivery's outcome is written. @settlement is gone.
 *
 * @return true: settled now; false: `done` follows later
 */
bool settlement_handled(struct settlement *settlement);

#endif
