/* channel_private.h - the inside of a channel, for channel.c (its life and its calls),
 * channel_input.c (what comes on it) and channel_set.c (all channels of a connection).
 */
#ifndef WARREN_AMQP_CHANNEL_PRIVATE_H
#define WARREN_AMQP_CHANNEL_PRIVATE_H

#include "amqp/connection/calls.h"
#include "amqp/connection/channel.h"
#include "amqp/connection/connection_private.h"
#include "base/backoff.h"

/* ---- channel_set.c: which channel numbers of a connection are taken, and by whom. A number
 * whose channel we closed drains until the broker's close-ok. One whose channel the broker closed
 * is free, but is given again only when there is no other: more may come on it (RabbitMQ 3.10
 * and 4.0 say channel.close twice now and then). For that reason numbers are given round and round,
 * too. ---- */

struct channel_slot {
    struct channel *channel;
    bool draining;
    bool closed; /* by the broker, and we answered */
};

struct channel_numbers {
    struct channel_slot *slots; /* by number; slot 0 is not used */
    uint32_t count;
    uint32_t capacity;
    uint16_t max;
    uint16_t last; /* given last */
    uint32_t drain_count;
};

/** A number for @channel; 0: all are taken (channel_numbers_full()), or there is no memory. */
uint16_t channel_numbers_take(struct channel_numbers *numbers, struct channel *channel);
/** The broker closed it, and we answered: free, and closed until it is given again. */
void channel_numbers_close(struct channel_numbers *numbers, uint16_t number);
/** The number is free at once. */
void channel_numbers_release(struct channel_numbers *numbers, uint16_t number);
/** The number has no channel any more, and is not free before channel_numbers_release(). */
void channel_numbers_drain(struct channel_numbers *numbers, uint16_t number);

/* ---- channels ---- */

enum channel_state { CHANNEL_AWAY, CHANNEL_OPENING, CHANNEL_OPEN };
enum content_state { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY };

/* The channels of one connection. */
struct channel_set {
    struct connection *connection;
    struct list channels; /* all, with or without a number */
    uint32_t count;       /* of them */
    struct channel_numbers numbers;
    uint32_t told_needed; /* more than there may be: the owner of the connection knows */
    struct random random;
    amqp_pool_t pool; /* for decoding one method at a time */
};

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
    struct calls calls;
    struct loop_timer deadline; /* of the oldest call */
    uint32_t frames;            /* that came */
    uint32_t frames_at_arming;  /* of the deadline */
    struct loop_timer reopen;
    struct backoff backoff;
    enum content_state content;
    uint8_t *body; /* where the next body byte goes; NULL: skipped */
    uint64_t body_left;
};

/* channel_input.c */
/** A frame for a channel that has a number. The owner may free @channel in it. */
void channel_take_frame(struct channel *channel, const struct frame *frame);

/* channel.c */
/** Find the call that method @id answers. */
void channel_answered(struct channel *channel, uint32_t id, void *decoded);
/** The broker closed it. */
void channel_closed(struct channel *channel, const amqp_channel_close_t *close);
/** Begin to open it, if it is away; without a number it waits for one. The connection is OPEN. */
void channel_open_now(struct channel *channel);
/** It is gone: `lost` is called, in which the owner may free it. */
void channel_lose(struct channel *channel, const struct channel_loss *loss);

/* channel_set.c */
/** Of @connection, without channels; NULL: no memory. */
struct channel_set *channel_set_new(struct connection *connection);
/** After all channels. NULL is fine. */
void channel_set_free(struct channel_set *set);
/** The connection is OPEN; channel numbers go up to @channel_max. */
void channel_set_open(struct channel_set *set, uint16_t channel_max);
/** @method  that the broker blamed when it closed the connection, or 0 */
void channel_set_lost(struct channel_set *set, uint32_t method, const char *text);
/** A frame for a channel above 0. */
void channel_set_frame(struct channel_set *set, const struct frame *frame);
/** While one is being opened: how many there are to be; else 0. */
uint32_t channel_set_opening(const struct channel_set *set);
/** A channel got no number, and waits until there is one. */
void channel_set_lack_number(struct channel_set *set);

#endif
