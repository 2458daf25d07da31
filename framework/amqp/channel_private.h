/* channel_private.h - the inside of a channel, for channel.c (its life and its calls) and
 * channel_input.c (what comes on it).
 */
#ifndef WARREN_AMQP_CHANNEL_PRIVATE_H
#define WARREN_AMQP_CHANNEL_PRIVATE_H

#include "amqp/calls.h"
#include "amqp/channel.h"
#include "amqp/channel_numbers.h"
#include "base/backoff.h"

enum channel_state { CHANNEL_AWAY, CHANNEL_OPENING, CHANNEL_OPEN };
enum content_state { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY };

/* The channels of one connection. */
struct channel_set {
    struct connection *connection;
    struct list channels; /* all, with or without a number */
    struct channel_numbers numbers;
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

#endif
