/* delay_topology.h - the exchanges, queues and bindings of the delay queues, declared on the
 * channel that publishes, each right before the first message that needs it. A channel's methods
 * are processed in order, so nobody waits for the replies.
 *
 * A destination that is not there is refused (404). Whoever may not ask (403, from RabbitMQ 4.3 on)
 * cannot know, and does without: until it is there, the message stays in the departure queue.
 *
 * What was declared counts until the channel is lost. The broker refuses a declare by closing the
 * channel; as replies come in order, the oldest one that was not answered is the culprit. It is
 * remembered for some seconds: what needs it ends at once meanwhile, for each trial would cost
 * another channel.
 * Thread: the publisher's loop. Elsewhere: names and levels (delay.h), the methods
 * (delay_declare.h).
 */
#ifndef WARREN_PUBLISH_DELAY_TOPOLOGY_H
#define WARREN_PUBLISH_DELAY_TOPOLOGY_H

#include "amqp/topology/declare.h"
#include "publish/delay/delay.h"

/* ---- delay_declare.c: the methods that declare one part each. They are sent without waiting; each
 * leaves a step behind until its reply comes, so that a refusal finds its culprit ---- */

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

/** Destinations that something is known of; at one more, all are forgotten. */
#define DELAY_DESTINATIONS_MAX 1024
/** Declares that wait for their replies. */
#define DELAY_STEPS_MAX 4096
/** Refusals that are remembered, and for how long. */
#define DELAY_REFUSALS_MAX 16
#define DELAY_REFUSED_MS   5000

#define DELAY_BUCKETS 64

/** What the broker said no to. */
struct delay_refusal {
    uint32_t levels;           /* a delay with any of these bits needs it; 0: see destination */
    struct delay *destination; /* else: delays to there need it */
    uint16_t code;
    char text[256];
    int64_t until_ms;
};

struct delay_topology {
    bool deliver;                            /* declared: the exchange below level 00, */
    unsigned exchanges;                      /* those of the first n levels, from 00 on, */
    uint32_t queues;                         /* the queues of these levels (bits), */
    struct list destinations[DELAY_BUCKETS]; /* and departure queues */
    _Atomic uint32_t destination_count;      /* read by any thread, as is: */
    _Atomic uint64_t forgotten;              /* times that there were too many */
    struct delay_steps steps;
    struct delay_refusal refusals[DELAY_REFUSALS_MAX]; /* a ring */
    uint32_t refusal_count;                            /* that there ever were */
};

void delay_topology_init(struct delay_topology *topology);
/** A zeroed one is fine. */
void delay_topology_done(struct delay_topology *topology);

/** Was something that @delay needs refused a while ago? NULL: no. */
const struct delay_refusal *delay_topology_refused(const struct delay_topology *topology,
                                                   const struct delay *delay, int64_t now_ms);
/**
 * Declare on @channel what @delay needs and was not declared yet.
 *
 * @ret_new  queues that it goes into were: others may be declaring them, too, and until they are up
 *           RabbitMQ refuses what comes for them
 * @return WARREN_OK; WARREN_ECLOSED: not now, for the channel is being lost, or too many replies
 * are missing; WARREN_ENOMEM
 */
enum warren_status delay_topology_declare(struct delay_topology *topology, struct channel *channel,
                                          const struct delay *delay, struct arena *scratch,
                                          bool *ret_new);
/** Everything will be declared again: perhaps somebody deleted a part. */
void delay_topology_forget(struct delay_topology *topology);
/**
 * The channel is gone, and all that was declared on it is forgotten.
 *
 * @ret_known  a declare was the reason, and is not sent again
 * @return     what was refused, if something was; it lives until the next loss
 */
const struct delay_refusal *delay_topology_lost(struct delay_topology *topology,
                                                const struct channel_loss *loss, int64_t now_ms,
                                                bool *ret_known);

/** Does @delay need what was refused? */
bool delay_refusal_concerns(const struct delay_refusal *refusal, const struct delay *delay);

#endif
