/* channel.h - one AMQP channel that is opened again after every loss: of the connection, or of
 * the channel itself by a channel error or because the broker does not answer on it.
 *
 * How soon: an owner that knows what the broker closed the channel for, and does not send that
 * again by itself, says so (channel_reopen_now()), and a refusal costs a round trip. Otherwise what
 * closed it may well close it again: then there is a delay that grows each time, and begins anew
 * after a lost connection or a minute of peace.
 *
 * One for which the broker allows no number (channel_max) waits until another one is freed; see
 * `few_channels` of connection.h.
 *
 * Calls may be sent without waiting for the replies of earlier ones; a reply finds the oldest call
 * that it can be the answer to (calls.h).
 * Thread: the loop's. Owner: publisher, topology, consumer; it may free the channel (and
 * no other) from inside any of its events but `content`.
 */
#ifndef WARREN_AMQP_CHANNEL_H
#define WARREN_AMQP_CHANNEL_H

#include "amqp/connection/connection.h"
#include "amqp/wire/frame.h"
#include "amqp/wire/rabbitmq_c.h"

struct channel;

/** Why a channel is no more. */
struct channel_loss {
    uint16_t code;    /* of channel.close; 0: the connection was lost, `unanswered`, or `renewed` */
    const char *text; /* as the broker said it */
    uint32_t method;  /* that caused it, also that of a connection.close; 0 if unknown */
    bool unanswered;  /* the broker is there, but did not answer `method` on this channel */
    bool renewed;     /* by channel_renew() */
};

/** Events for the owner, on the loop. Any but open and lost may be NULL. */
struct channel_events {
    /** channel.open-ok: a new generation. Now qos, confirm.select, consume, ... */
    void (*open)(void *user);
    /** Pending calls were dropped without their callback. A new generation follows by itself. */
    void (*lost)(void *user, const struct channel_loss *loss);
    /** A method that answers no call: deliver, return, ack, nack, cancel. Strings are borrowed. */
    void (*method)(void *user, uint32_t id, void *decoded);
    /**
     * The content header that follows basic.deliver, basic.return or basic.get-ok. @return where
     * the body shall be written (header->body_size bytes), or NULL: the body is skipped.
     */
    uint8_t *(*content)(void *user, const struct content_header *header);
    /** The whole body has come (also an empty or skipped one). */
    void (*content_end)(void *user);
};

/** Register with @connection; opens at once if that is OPEN, else when it is. */
enum warren_status channel_new(struct connection *connection, const struct channel_events *events,
                               void *user, struct channel **ret_channel);
/** channel.close is sent if it is open; no event follows. NULL is fine. */
void channel_free(struct channel *channel);

bool channel_is_open(const struct channel *channel);
/** Counts the openings from 1; a delivery tag is worth nothing in another generation. */
uint32_t channel_generation(const struct channel *channel);

/** A reply to a call: @decoded is rabbitmq-c's struct of it. */
typedef void channel_reply_fn(void *user, void *decoded);

/**
 * Send a method that is answered; if it is not within rpc_timeout_ms the channel is lost, or the
 * connection if nothing else comes on it either. Only while open. @decoded is rabbitmq-c's struct
 * of @id.
 *
 * @return WARREN_OK; WARREN_ETOOBIG, WARREN_ENOMEM, WARREN_ECLOSED: nothing was sent
 */
enum warren_status channel_call(struct channel *channel, uint32_t id, void *decoded,
                                channel_reply_fn *reply, void *user);
/** Send a method that is not answered: ack, nack, reject, anything with no-wait. */
enum warren_status channel_send(struct channel *channel, uint32_t id, void *decoded);

/**
 * Of the event `lost`, and from inside it: what the broker refused has ended, or waits for a time
 * of its own. The channel is opened again at once; where the broker closed the whole connection
 * over it, that is made again at once.
 */
void channel_reopen_now(struct channel *channel);

/**
 * Close it, and open it again at once under another number: the broker has back whatever was
 * delivered on it and is not settled, in its old order. `lost` comes on this turn. Only while
 * open.
 */
void channel_renew(struct channel *channel);

/** The number on the wire of this generation, for frames put together elsewhere. */
uint16_t channel_number(const struct channel *channel);

#endif
