/* connection_input.c - what the peer sends: frames to their channels, and the methods of channel 0
 * of an open connection.
 */
#include <stdio.h>
#include <string.h>

#include "amqp/connection/connection_private.h"
#include "amqp/wire/method_name.h"

/* ---- channel 0 of an open connection ---- */

/* RabbitMQ has limits on the channels of a user and of a node, too. It says which was reached
 * (530), but blames no method. */
static void add_channels_wanted(struct connection *c, uint16_t code, char *text, size_t size)
{
    uint32_t wanted = c->channels_user ? c->channels.opening(c->channels_user) : 0;
    size_t len = strlen(text);

    if (code == AMQP_NOT_ALLOWED && wanted > 0)
        snprintf(text + len, size - len, "; this connection needs %u channels", wanted);
}

static void on_close(struct connection *c, const amqp_connection_close_t *close)
{
    char text[CONNECTION_TEXT_MAX];

    handshake_close_text(close, text, sizeof text);
    add_channels_wanted(c, close->reply_code, text, sizeof text);
    if (handshake_put_close_ok(&c->stream.out) == WARREN_OK)
        stream_flush(&c->stream);
    connection_fail_code(c, close->reply_code, (uint32_t)close->class_id << 16 | close->method_id,
                         text);
}

static void on_blocked(struct connection *c, bool blocked, amqp_bytes_t reason)
{
    char text[256];

    if (c->blocked == blocked)
        return;
    c->blocked = blocked;
    c->hears_since_ms = connection_now_ms(c);
    snprintf(text, sizeof text, "%.*s", (int)(reason.len < 255 ? reason.len : 255),
             reason.len ? (const char *)reason.bytes : "");
    if (c->events.blocked)
        c->events.blocked(c->user, blocked, text);
}

static void on_method(struct connection *c, const struct handshake_method *method)
{
    if (method->id == AMQP_CONNECTION_CLOSE_METHOD)
        on_close(c, method->decoded);
    else if (method->id == AMQP_CONNECTION_CLOSE_OK_METHOD && c->state == CONNECTION_CLOSING)
        connection_fail(c, WARREN_ECLOSED, "closed");
    else if (method->id == AMQP_CONNECTION_BLOCKED_METHOD)
        on_blocked(c, true, ((amqp_connection_blocked_t *)method->decoded)->reason);
    else if (method->id == AMQP_CONNECTION_UNBLOCKED_METHOD)
        on_blocked(c, false, amqp_empty_bytes);
    else
        connection_fail(c, WARREN_EPROTOCOL, "the peer sent %s while %s",
                        method_name(method->id).text, connection_state_name(c->state));
}

static void on_channel_0(struct connection *c, const struct frame *frame)
{
    struct handshake_method method = {0};
    char why[CONNECTION_TEXT_MAX];

    if (handshake_read(frame, &c->pool, &method, why, sizeof why) != WARREN_OK)
        connection_fail(c, WARREN_EPROTOCOL, "%s", why);
    else
        on_method(c, &method);
    recycle_amqp_pool(&c->pool);
}

/* ---- what the stream tells ---- */

static void on_frame(void *user, const struct frame *frame)
{
    struct connection *c = user;

    if (c->state < CONNECTION_OPEN)
        opener_frame(&c->opener, frame);
    else if (frame->channel == 0)
        on_channel_0(c, frame);
    else if (c->state == CONNECTION_OPEN && c->channels_user)
        c->channels.frame(c->channels_user, frame);
    else if (c->state == CONNECTION_OPEN)
        connection_fail(c, WARREN_EPROTOCOL, "the peer sent a frame for channel %u, not open",
                        frame->channel);
}

static void on_stream_failed(void *user, const char *text)
{
    struct connection *c = user;
    struct warren_bytes unread = stream_unread(&c->stream);

    if (c->state == CONNECTION_GREETING && unread.len > 0)
        text = handshake_recognise(unread);
    connection_fail(c, WARREN_EIO, "%s", text);
}

static void on_turn(void *user)
{
    struct connection *c = user;

    if (c->state == CONNECTION_OPEN && c->events.turn)
        c->events.turn(c->user);
}

static void on_writable(void *user)
{
    struct connection *c = user;

    if (c->state == CONNECTION_OPEN && c->events.writable)
        c->events.writable(c->user);
}

const struct stream_events connection_stream_events = {
    .frame = on_frame,
    .failed = on_stream_failed,
    .turn = on_turn,
    .writable = on_writable,
};
