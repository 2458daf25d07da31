/* channel_private.h - the inside of a channel, for channel.c (its life and its calls),
 * channel_input.c (what comes on it) and channel_set.c (all channels of a connection).
 */
#ifndef WARREN_AMQP_CHANNEL_PRIVATE_H
#define WARREN_AMQP_CHANNEL_PRIVATE_H

#include "amqp/connection/calls.h"
#include "amqp/connection/channel.h"
#include "amqp/connection/channel_numbers.h"
#include "base/backoff.h"

enum channel_state { CHANNEL_AWAY, CHANNEL_OPENING, CHANNEL_OPEN };
enum content_state { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY };

/* The channels of one connection. */
struct channel_set {
    struct connection *connection;
    struct list channels; /* all, with or without a number */
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
/** It is gone: tell the owner, who may free it. */
void channel_lose(struct channel *channel, const struct channel_loss *loss);

/* channel_set.c */
/** That of @connection, made if there is none; NULL: no memory. */
struct channel_set *channel_set_of(struct connection *connection);
/** A channel got no number, and waits until there is one. */
void channel_set_lack_number(struct channel_set *set);

#endif
