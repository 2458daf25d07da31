/* seats.h - one of a few places that workers take at a broker, and which of them are taken.
 *
 * A seat is a classic queue, PREFIX.0 and so on, into which nobody publishes. Whoever consumes it,
 * and nobody beside (basic.consume, exclusive), has it, for as long as his channel lives; all
 * others see by a passive declare that it has a consumer. So the broker says who is there: a worker
 * that is killed is gone when its socket is, and nothing has to be sent, forged or timed.
 *
 *   open > [declare all, passively] > take one that is free > look again each period
 *                    ^--- refused (403): somebody was faster ---'
 *
 * Thread: the loop's. Owner: embeds one. Elsewhere: what is made of it (consume/runtime/shards.h).
 */
#ifndef WARREN_AMQP_SEATS_H
#define WARREN_AMQP_SEATS_H

#include "amqp/connection/channel.h"
#include "base/random.h"
#include "loop/loop.h"

#define SEATS_MAX 128
#define SEAT_NONE (-1)

struct seats_events {
    /**
     * All of them were looked at.
     *
     * @own    the one that this worker has; SEAT_NONE: all are taken by others
     * @taken  of each whether it is, the own one included
     */
    void (*seen)(void *user, int own, const bool *taken);
    /** One of the queues is not there. */
    void (*missing)(void *user);
};

struct seats {
    struct connection *connection;
    struct channel *channel; /* NULL: not begun */
    const char *prefix;
    uint32_t count;
    uint32_t period_ms;
    struct seats_events events;
    void *user;
    struct loop_timer again;
    struct random random;
    bool taken[SEATS_MAX]; /* of this round, as far as it is */
    uint32_t answered;
    int own;
    int asked;        /* basic.consume is sent; SEAT_NONE: it is not */
    uint32_t refused; /* times in a row */
};

struct seats_options {
    const char *prefix; /* of the queues' names, without the dot; borrowed */
    uint32_t count;     /* 1 to SEATS_MAX */
    uint32_t period_ms; /* between two looks */
    uint64_t seed;      /* of which one is taken */
};

/** WARREN_OK or WARREN_ENOMEM; seats_done() in any case. */
enum warren_status seats_init(struct seats *seats, struct connection *connection,
                              const struct seats_options *options,
                              const struct seats_events *events, void *user);
/** The queues are declared: begin. Harmless to repeat. WARREN_OK or WARREN_ENOMEM. */
enum warren_status seats_start(struct seats *seats);
/** Give the own one up, and look no more. A zeroed one is fine, and so is a second time. */
void seats_done(struct seats *seats);

#endif
