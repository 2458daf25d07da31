/* depth_look.h - how many messages wait in the queues that are consumed, and in those of their dead
 * letters, and how many consumers these have: asked of the broker (queue.declare, passive) one
 * queue after the other, on a channel of its own, each DEPTH_PERIOD_MS. A queue that this is
 * refused of (it is gone, exclusive, or not to be seen by this user) is unknown, and asked about
 * again after DEPTH_REST rounds, for each refusal costs a channel and a line of the broker's log.
 * Where the broker allows no more channels than the subscriptions need, nothing is asked.
 * AMQP has no method that tells how old a message is which nobody takes: known is since when a
 * queue was not seen empty. Thread: the loop's. Owner: the runtime embeds one. Elsewhere: what it
 * means (look.h).
 */
#ifndef WARREN_CONSUME_DEPTH_LOOK_H
#define WARREN_CONSUME_DEPTH_LOOK_H

#include <pthread.h>

#include "amqp/connection/channel.h"
#include "base/metrics.h"
#include "consume/runtime/runtime.h"

#define DEPTH_REST 20

/** What the broker said last; -1: it is not known. */
struct depth {
    int64_t messages; /* that no consumer has */
    int64_t consumers;
};

struct depth_queue {
    const char *name; /* borrowed */
    struct depth depth;
    bool unused;                    /* by any subscription, since a reload: never asked about */
    uint32_t rests;                 /* rounds in which it is not asked about */
    int64_t waiting_since_ms;       /* first of the answers that found it not empty; 0: it is */
    struct warren_series *messages; /* NULL: not known */
    struct warren_series *consumers;
    struct warren_series *waiting;
};

struct depth_look {
    struct runtime *runtime;
    uint32_t period_ms; /* 0: nobody wants to know */
    struct channel *channel;
    struct loop_timer timer;
    struct depth_queue *queues;
    size_t count;
    size_t room;
    size_t next; /* the one that is asked about; count: the round is over */
    struct metric_collector collector;
    pthread_mutex_t lock; /* guards depths and series */
};

/** @period_ms as in the struct. WARREN_OK or WARREN_ENOMEM; depth_look_done() in any case. */
enum warren_status depth_look_init(struct depth_look *look, struct runtime *runtime,
                                   const struct runtime_options *options);
/** Room for so many subscriptions more. WARREN_OK or WARREN_ENOMEM. */
enum warren_status depth_look_reserve(struct depth_look *look, size_t subscription_count);
/** There are other subscriptions, or dead-letter queues, within that room. */
void depth_look_changed(struct depth_look *look);
/** The topology is declared: look. Harmless to repeat. */
void depth_look_start(struct depth_look *look);
/** Before the connection is freed. A zeroed one is fine. */
void depth_look_done(struct depth_look *look);

#endif
