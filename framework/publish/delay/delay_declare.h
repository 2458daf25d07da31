/* delay_declare.h - the methods that declare one part of the delay queues each. They are sent
 * without waiting; each leaves a step behind until its reply comes, so that a refusal finds its
 * culprit. Thread: the publisher's loop. Elsewhere: which parts are needed (delay_topology.h).
 */
#ifndef WARREN_PUBLISH_DELAY_DECLARE_H
#define WARREN_PUBLISH_DELAY_DECLARE_H

#include "amqp/connection/channel.h"
#include "base/arena.h"
#include "publish/delay/delay.h"

/** A declare that was not answered, and who needs what it declares. */
struct delay_step {
    struct list link;
    uint32_t levels;           /* a delay with any of these bits; 0: see destination */
    struct delay *destination; /* else: those to there; a copy */
    bool check;                /* it only asks whether the destination is there */
};

/** Those of a channel, oldest first. */
struct delay_steps {
    struct list waiting;
    uint32_t count;
};

void delay_steps_init(struct delay_steps *steps);
/** Forget all of them: the channel is gone. */
void delay_steps_clear(struct delay_steps *steps);

/** What the functions below have in common. Each returns as channel_call(). */
struct delay_declare {
    struct delay_steps *steps;
    struct channel *channel;
    struct arena *scratch;
};

/** The exchange below level 00. */
enum warren_status delay_declare_deliver(const struct delay_declare *declare);
/** The exchange of @level, and its binding to the one below; that must be there. */
enum warren_status delay_declare_exchange(const struct delay_declare *declare, unsigned level);
/** The queue of @level, and its binding; the exchange must be there. */
enum warren_status delay_declare_queue(const struct delay_declare *declare, unsigned level);
/**
 * Does the destination of @delay exist? Asked passively: nothing is left behind if not.
 * RabbitMQ 4.3 answers only those who have a right on it (403).
 */
enum warren_status delay_declare_check(const struct delay_declare *declare,
                                       const struct delay *delay);
/** Its departure queue, and the binding. */
enum warren_status delay_declare_departure(const struct delay_declare *declare,
                                           const struct delay *delay);

/** A copy to free(), or NULL. */
struct delay *delay_copy(const struct delay *delay);

#endif
