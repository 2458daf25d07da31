/* subscription_lane.h - `lanes:` of a subscription: two queues with one handler, of which each has
 * its share of the workers' places.
 *
 *   fast queue > [turns] > gates ... workers > settled
 *      old: a copy --.         failed: a copy, when its next attempt is due --.
 *   slow queue <-----'-------------------------------------------------------'
 *   slow queue > [turns] > gates ... workers > settled, retried, dead-lettered
 *
 * Each lane is a subscription of its own, with channel, consumer, workers and chain. Both together
 * have the fast one's concurrency, the slow one no more than its own of it; which goes next is said
 * by the share (consume/order/lane_share.h) where both could. A lane that has all to itself is let
 * go twice as much, so that its workers need not wait for the loop.
 * A message of the fast lane that is old when it comes is copied to the slow queue, unchanged but
 * for the notes of a copy; one whose attempt has failed is copied there in place of its own queue
 * (job_relay.c). Where the copy fails it is handled in the fast lane.
 * Bound: what waits is unsettled, and so within the prefetch of its lane.
 * Thread: the loop's, but the counts. Owner: struct subscription; struct lanes goes with the last
 * of its two. One without `lanes` has none.
 */
#ifndef WARREN_CONSUME_SUBSCRIPTION_LANE_H
#define WARREN_CONSUME_SUBSCRIPTION_LANE_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/metrics.h"
#include "consume/attempt/batch.h"
#include "consume/order/lane_share.h"

struct config_lanes;
struct subscription;
struct runtime_subscription;

/** Two lanes of one subscription of the file. */
struct lanes {
    struct list link;                  /* of the runtime */
    const struct config_lanes *config; /* borrowed; the same of both */
    struct subscription *of[LANES];    /* NULL: it is not made yet, or has ended */
    struct lane_share share;
};

struct subscription_lane_metrics {
    struct warren_series *waiting;
    struct warren_series *moved[2]; /* for its age, for a failure */
    struct warren_series *failed;
};

struct subscription_lane {
    struct lanes *lanes;
    enum lane which;
    struct batch again;   /* without `fair`: those that were tried before, */
    struct batch waiting; /* and those that were not */
    struct subscription_lane_metrics metrics;
    /* Read by any thread. */
    _Atomic uint32_t waiting_count;
    _Atomic uint64_t moved[2];
    _Atomic uint64_t failed;
};

/** Of @what, which has lanes. WARREN_OK or WARREN_ENOMEM; subscription_lane_free() in any case. */
enum warren_status subscription_lane_new(struct subscription *subscription,
                                         const struct runtime_subscription *what);
/** Nobody may wait in it. Without one that is fine. */
void subscription_lane_free(struct subscription *subscription);

/** Of @batch, which has just come, those that are old leave for the slow lane. */
void subscription_lane_sort(struct subscription *subscription, struct batch *batch);
/** All of @batch waits for its turn, unless `fair` has it wait. Without lanes nothing happens. */
void subscription_lane_enter(struct subscription *subscription, struct batch *batch, bool again);
/** The next of those; NULL: nobody waits. */
struct attempt *subscription_lane_next(struct subscription *subscription);
/** Append all that wait to @batch. */
void subscription_lane_take(struct subscription *subscription, struct batch *batch);
/** How many wait there. */
uint32_t subscription_lane_waiting(const struct subscription *subscription);
/** The copy of an old message has ended: was it confirmed? */
void subscription_slow_ended(struct subscription *subscription, bool moved);
/** The copy of one that has failed was confirmed in the slow lane. */
void subscription_slow_failed(struct subscription *subscription);
/** What waits has changed: for who reads. */
void subscription_lane_note(struct subscription *subscription);

/** The other lane of @subscription, which is one; NULL: it is not there. */
struct subscription *lanes_other(const struct subscription *subscription);
/** Those whose turn it is go on, in both lanes. */
void lanes_go(struct lanes *lanes);

/** Into its series: for a collector. Thread: any. */
void subscription_lane_put(struct subscription *subscription);

#endif
