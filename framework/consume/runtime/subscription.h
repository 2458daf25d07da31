/* subscription.h - one queue and one handler: a consumer that brings deliveries, a runner that runs
 * them through the chain, and the way back to the broker.
 * Thread: the loop's, but subscription_stats(). Owner: the runtime.
 * Elsewhere: when things happen (runtime_turn.c), the end of it all (drain.c); gates and delayed
 * retry (admission.h).
 */
#ifndef WARREN_CONSUME_SUBSCRIPTION_H
#define WARREN_CONSUME_SUBSCRIPTION_H

#include <stdatomic.h>

#include "amqp/consumer/consumer.h"
#include "consume/runtime/runtime.h"
#include "consume/workers/runner.h"

struct subscription;

#define SUBSCRIPTION_NO_SLOTS                                                                      \
    "the flight recorder, made at the start, has no room for so many workers more: restart the "   \
    "worker"

enum warren_status subscription_new(const struct runtime_subscription *what,
                                    struct runtime *runtime, struct subscription **ret_subscription,
                                    struct warren_error *error);
/** Nothing may be unsettled. NULL is fine. */
void subscription_free(struct subscription *subscription);

/** The topology is declared: consume. Harmless to repeat. */
void subscription_start(struct subscription *subscription);
/** The connection is lost: do not consume before subscription_start(). */
void subscription_suspend(struct subscription *subscription);

/** Pass on to the workers what came since the last turn. */
void subscription_push(struct subscription *subscription);
/** Settle what is handled, or hold it for a retry. @return how many */
uint32_t subscription_collect(struct subscription *subscription);
/** Send acks: all that can be sent, or, if @many, only when it is worth a frame. */
void subscription_flush(struct subscription *subscription, bool many);

/** Delivered and not settled, but for those whose thread is lost. */
uint32_t subscription_in_flight(const struct subscription *subscription);
/** Those: they stay as they are. */
uint32_t subscription_lost(const struct subscription *subscription);
/** Of these, given to the workers; the others are held, or were not pushed yet. */
uint32_t subscription_at_work(const struct subscription *subscription);
/**
 * Of these, what a worker has taken: its handler runs or is about to, or has returned, and receipts
 * or a middleware's note of it are to come.
 */
uint32_t subscription_begun(const struct subscription *subscription);
/** Acks settled but not sent. */
uint32_t subscription_unsent(const struct subscription *subscription);

/**
 * Send every ack and ask for a sign that they arrived.
 *
 * @return false: there is no channel, and @passed is not called
 */
bool subscription_barrier(struct subscription *subscription,
                          void (*passed)(void *user, bool in_time), void *user);

/* ---- leaving ---- */

/** Of subscription_new(). WARREN_OK or WARREN_ENOMEM. */
enum warren_status subscription_leave_init(struct subscription *subscription);
/** Stop the broker, begin nothing more. drain_progress() is called when there is a step to make.
 * Harmless to repeat; due again when the deadline of handlers has moved. */
void subscription_leave(struct subscription *subscription);
/** Acks are to leave together, once the handlers that run have finished. */
bool subscription_keeps_acks(const struct subscription *subscription);
/** Hand back what was not begun, if it is time, or @at_any_rate. @return whether all of it is */
bool subscription_hand_back(struct subscription *subscription, bool at_any_rate);
/** Go on, as far as may be now. @given_up: handlers are not waited for */
void subscription_leave_step(struct subscription *subscription, bool given_up);

/** Put what it has into its series: for a collector (base/metrics.h). Thread: any. */
void subscription_metrics_put(struct subscription *subscription);

/** Add to @stats what it has. Thread: any. */
void subscription_stats(struct subscription *subscription, struct runtime_stats *stats);

#endif
