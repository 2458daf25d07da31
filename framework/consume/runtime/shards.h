/* shards.h - `shards:` of a subscription: queues that the workers share out among them.
 *
 *   seats (amqp/consumer/seats.h)  >  spread (consume/order/shard_spread.h)  >  want each, or not
 *   1 s: who is there                 who has which shard, within one of even      subscribe |
 * stand aside
 *
 * Each shard is a subscription of its own. A worker subscribes to its shards alone; from the others
 * it stands aside (subscription_aside.c). That is what needs no priorities of consumers, which a
 * quorum queue with a single active consumer obeys from RabbitMQ 4 on alone. The queue's single
 * active consumer sees to the time between: whoever is to have a shard subscribes at once, and gets
 * nothing before the one that had it has ended its handlers and its subscription.
 *
 * What is seen is acted upon when it was seen twice, so a fleet that starts does not move shards at
 * each step; the first time at once. A worker that sees nothing for a while subscribes to all of
 * them: then the order is kept as ever, and the shards are not spread.
 *
 * Thread: the loop's, but the counts. Owner: the runtime; struct shards goes with the last of its
 * subscriptions. A runtime without them has none.
 */
#ifndef WARREN_CONSUME_SHARDS_H
#define WARREN_CONSUME_SHARDS_H

#include <stdatomic.h>

#include "amqp/consumer/seats.h"
#include "base/list.h"
#include "base/metrics.h"

struct config_shards;
struct runtime;
struct runtime_subscription;
struct subscription;

struct shards_metrics {
    struct warren_series *shards;
    struct warren_series *workers;
};

/** All shards of one subscription of the file. */
struct shards {
    struct list link; /* of the runtime */
    struct runtime *runtime;
    const struct config_shards *config; /* borrowed; the same of all */
    struct subscription **of;           /* each; NULL: it is not made yet, or has ended */
    uint32_t members;
    struct seats seats;
    struct loop_timer blind; /* nothing is seen for so long */
    bool shared_out;         /* once, at least */
    bool seen_any;           /* what was seen last: */
    int seen_own;
    bool seen_taken[SEATS_MAX];
    char prefix[256];
    struct shards_metrics metrics; /* of the subscription of shard 0 */
    /* Read by any thread. */
    _Atomic uint32_t mine;    /* shards that are to be here */
    _Atomic uint32_t workers; /* seats that are taken; 0: none were seen */
};

/** @subscription, which is being made, is a shard. WARREN_OK or WARREN_ENOMEM;
 * shards_leave() in any case. */
enum warren_status shards_join(struct subscription *subscription,
                               const struct runtime_subscription *what);
/** It ends. Of one that is none that is fine. */
void shards_leave(struct subscription *subscription);

/** The topology is declared: look. Harmless to repeat. */
void shards_start(struct runtime *runtime);
/** The connection is lost: until there is another one, nothing is to be seen. */
void shards_lost(struct runtime *runtime);
/** The worker drains: its seats are free for others from now on. */
void shards_give_up(struct runtime *runtime);

/** Into the series of @subscription. Thread: any. */
void shards_put(struct subscription *subscription);

#endif
