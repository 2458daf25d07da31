/* delay.h - a delay as the broker understands it: levels, their names, and the headers by which a
 * message finds its way through them. No state, no I/O.
 *
 *   publish > exchange 05 > queue 05 > exchange 04 > ... > exchange 00 > deliver > departure queue
 *                        32 s           \__ queue 04, if that bit of the delay is set: 16 s
 *
 * Level NN is a headers exchange and a queue whose messages expire after 2^NN seconds. A message
 * bears each bit of its delay as a header; the exchange of a level routes it into the level's queue
 * where the bit is set, else on to the exchange of the level below. So a queue holds messages of
 * one time to live alone, and no message ever waits behind one that is due later.
 *
 * Below level 00 each destination has a departure queue of its own, which hands over at once: a
 * destination that takes nothing (a full queue, an exchange without a binding) holds up nobody
 * else. Thread: any. Elsewhere: what is declared, and when (delay_topology.h).
 */
#ifndef WARREN_PUBLISH_DELAY_H
#define WARREN_PUBLISH_DELAY_H

#include <warren/publisher.h>

#include "base/arena.h"

/* RabbitMQ takes a time to live of up to ten years; 2^28 s are 8.5. */
#define DELAY_LEVELS_MAX     29
#define DELAY_LONGEST_MAX_MS (((INT64_C(1) << DELAY_LEVELS_MAX) - 1) * 1000)

/* A name in AMQP, with a NUL. */
#define DELAY_NAME_SIZE 256

/** What all names of the delay queues begin with. */
#define DELAY_PREFIX "warren.delay."
/** The exchange below level 00. */
#define DELAY_DELIVER DELAY_PREFIX "deliver"
/** What departure queues begin with; the destination follows. */
#define DELAY_TO_QUEUE    DELAY_PREFIX "queue."
#define DELAY_TO_EXCHANGE DELAY_PREFIX "exchange."
/** The header that names the departure queue. */
#define DELAY_TO_HEADER "warren-delay-to"

/** The name by which RabbitMQ's direct reply-to begins. It ends with its channel: nothing goes
 * there later. */
#define DIRECT_REPLY "amq.rabbitmq.reply-to"

/** How long, and where to then. One allocation; free() it. */
struct delay {
    uint32_t seconds;   /* its bits are the levels that it waits in */
    bool to_queue;      /* else to an exchange */
    char destination[]; /* its name */
};

/**
 * @texts     see publisher.h
 * @delay_ms  rounded up to seconds; 1 to DELAY_LONGEST_MAX_MS
 * @to_queue  NULL: where @publish says, which is a queue for the default exchange
 * @return    WARREN_OK; WARREN_EINVAL (the queue has no name, a name has more than 255 bytes or
 *            holds a NUL, the queue is that of a direct reply), WARREN_ENOMEM
 */
enum warren_status delay_new(const struct warren_publish *publish, const struct arena *texts,
                             const char *to_queue, int64_t delay_ms, struct delay **ret_delay);

/** The level of the highest bit. */
static inline unsigned delay_top(const struct delay *delay)
{
    return 31 - (unsigned)__builtin_clz(delay->seconds);
}

/** Exchange and queue of @level. */
void delay_level_name(unsigned level, char name[DELAY_NAME_SIZE]);
/** The header with that bit of the delay. Static storage. */
const char *delay_level_header(unsigned level);
/** The last queue before the destination; a long name is cut and made unique by a hash. */
void delay_departure_name(const struct delay *delay, char name[DELAY_NAME_SIZE]);

/** A message as it is published into the delay queues. */
struct delay_message {
    struct warren_publish publish; /* of what follows; body and texts are borrowed */
    struct warren_message message;
    struct warren_field *fields;
    char exchange[DELAY_NAME_SIZE];
    char departure[DELAY_NAME_SIZE];
};

/**
 * @publish's message with the headers of @delay, to the exchange of its highest level. Left out:
 * the notes of the broker, by which it would take a message that comes this way again for one in a
 * cycle, and drop it; an earlier delay; and the expiration, which would cut the delay short. An
 * unroutable one is returned, whatever @publish says: it would mean that a level is missing.
 *
 * @return WARREN_OK or WARREN_ENOMEM
 */
enum warren_status delay_message_init(struct delay_message *message, const struct delay *delay,
                                      const struct warren_publish *publish,
                                      const struct arena *texts);
void delay_message_done(struct delay_message *message);

#endif
