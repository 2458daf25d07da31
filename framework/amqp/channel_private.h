/* channel_private.h - the inside of a channel and of the set that numbers the channels, for
 * channel.c and channel_set.c.
 */
#ifndef WARREN_AMQP_CHANNEL_PRIVATE_H
#define WARREN_AMQP_CHANNEL_PRIVATE_H

#include "amqp/channel.h"
#include "base/backoff.h"
#include "base/list.h"

/* Delays before a channel that the broker closed is opened again; see backoff.h. */
#define CHANNEL_REOPEN_MIN_MS 100
#define CHANNEL_REOPEN_MAX_MS 30000
/* A channel that lived for so long begins again at the shortest delay. */
#define CHANNEL_STABLE_MS 60000

enum channel_state { CHANNEL_AWAY, CHANNEL_OPENING, CHANNEL_OPEN };
enum content_state { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY };

struct channel {
    struct list link; /* of the set */
    struct channel_set *set;
    struct connection *connection;
    struct channel_events events;
    void *user;
    enum channel_state state;
    uint16_t number; /* 0 while away */
    uint32_t generation;
    int64_t opened_ms;
    struct list calls; /* oldest first */
    uint32_t call_count;
    struct loop_timer deadline; /* of the oldest call */
    struct loop_timer reopen;
    struct backoff backoff;
    enum content_state content;
    uint8_t *body; /* where the next body byte goes; NULL: skipped */
    uint64_t body_left;
};

struct channel_set {
    struct connection *connection;
    struct list channels; /* all, with or without a number */
    struct slot *slots;   /* by number; slot 0 is not used */
    uint32_t slot_count;
    uint16_t channel_max;
    uint16_t last; /* number given last; they go round so that none comes back early */
    uint32_t rpc_timeout_ms;
    struct random random;
    amqp_pool_t pool; /* for decoding one method at a time */
};

/* channel.c, for the set */
void channel_open(struct channel *channel);
void channel_lost(struct channel *channel, const struct channel_loss *loss);
void channel_frame(struct channel *channel, const struct frame *frame);

/* channel_set.c, for a channel */
enum warren_status channel_set_add(struct connection *connection, struct channel *channel);
void channel_set_remove(struct channel_set *set, struct channel *channel);
/** Give @channel a free number; false: there is none, the connection was failed. */
bool channel_set_number(struct channel_set *set, struct channel *channel);
/** The number is free at once: the broker closed it and we said close-ok. */
void channel_set_release(struct channel_set *set, uint16_t number);
/** We closed it: what still comes is discarded, the number is free after close-ok. */
void channel_set_drain(struct channel_set *set, uint16_t number);

#endif
