/* subscription_fair.h - `fair:` of a subscription: keys take turns, each within what it may have.
 *
 *   arrived > lines of the order > [lines of keys] > gates ... workers > settled, or held
 *       too many: a copy through the delay queues, then the ack <-'
 *
 * What is let go is no more than twice as many as there are workers, so that who comes later need
 * not wait behind all that came before. A place of its key is taken until the message is settled,
 * or waits for another attempt; when that is due it comes to its line again, before those that were
 * not tried.
 * Above `held`, and after FAIR_WAIT_MAX_MS, messages go away: a copy comes back into the queue by
 * the delay queues, with nothing counted, and they are acked. On a stream, and with `order`, none
 * goes away, for it would lose its place: what is above `held` takes places of the prefetch. So
 * does what could not be copied. Bound: what waits is unsettled, and so within prefetch and held;
 * FAIR_COPIES_MAX copies are under way. Thread: the loop's, but the counts. Owner: struct
 * subscription; one without `fair` has none.
 */
#ifndef WARREN_CONSUME_SUBSCRIPTION_FAIR_H
#define WARREN_CONSUME_SUBSCRIPTION_FAIR_H

#include <stdatomic.h>

#include "base/metrics.h"
#include "consume/order/fair_lines.h"

#define FAIR_LACK_SIZE 400

/** Copies in place of messages that go away, whose receipts have not come. */
#define FAIR_COPIES_MAX 64
/** So long a message waits here at most, of RabbitMQ's 30 minutes until it must be acked. */
#define FAIR_WAIT_MAX_MS (10 * 60 * 1000)

struct subscription;
struct runtime_subscription;

struct subscription_fair_metrics {
    struct warren_series *waiting;
    struct warren_series *waiting_max;
    struct warren_series *keys;
    struct warren_series *keys_max;
    struct warren_series *shared;
    struct warren_series *away;
    struct warren_series *away_failed;
    struct warren_series *missing;
};

struct subscription_fair {
    const struct config_fair *config; /* borrowed */
    struct fair_lines lines;
    uint32_t copies;           /* under way */
    int64_t copy_from_ms;      /* one has failed: none is tried before */
    int64_t look_ms;           /* when it is looked for those that wait for too long */
    char lack[FAIR_LACK_SIZE]; /* why a message without a key is rejected */
    bool told_missing;
    struct subscription_fair_metrics metrics;
    /* Read by any thread. */
    _Atomic uint32_t waiting;
    _Atomic uint32_t keys;
    _Atomic uint64_t shared;
    _Atomic uint64_t away;
    _Atomic uint64_t away_failed;
    _Atomic uint64_t missing;
};

/** Of @what, which has one. WARREN_OK or WARREN_ENOMEM; subscription_fair_free() in any case. */
enum warren_status subscription_fair_new(struct subscription *subscription,
                                         const struct runtime_subscription *what);
/** Nothing may be in a line. Without one that is fine. */
void subscription_fair_free(struct subscription *subscription);

/** All of @batch comes to the lines; what needs none stays in it, and goes on. @again: each was
 * tried, and its next attempt is due. Without `fair` all stay. */
void subscription_fair_enter(struct subscription *subscription, struct batch *batch, bool again);
/** @attempt, which may have no place, gives it back. */
void subscription_fair_leave(struct subscription *subscription, struct attempt *attempt);
/** Append all that wait to @batch. */
void subscription_fair_take(struct subscription *subscription, struct batch *batch);
/** What waits has changed: for who reads. */
void subscription_fair_note(struct subscription *subscription);
/** When somebody's turn may come without more being told; INT64_MAX: never. */
int64_t subscription_fair_next_ms(const struct subscription *subscription);
/** How many wait. */
uint32_t subscription_fair_waiting(const struct subscription *subscription);

/** Into its series: for a collector. Thread: any. */
void subscription_fair_put(struct subscription *subscription);

#endif
