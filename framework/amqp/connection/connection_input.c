/* connection_input.c - what the peer sends: frames to their channels, and the methods of channel 0:
 * greeting, login, limits, vhost; blocked, closing.
 */
#include <stdio.h>
#include <string.h>

#include "amqp/connection/channel_private.h"
#include "amqp/wire/frame.h"

/* Channels that we ask for at the most. */
#define CHANNEL_MAX 2047

void connection_sent(struct connection *c, enum warren_status status)
{
    if (status != WARREN_OK)
        connection_fail(c, "%s", warren_status_name(status));
    else
        stream_wrote(&c->stream);
}

/* ---- opening ---- */

static void on_start(struct connection *c, const void *decoded)
{
    const amqp_connection_start_t *start = decoded;
    const char *mechanism = c->numbers.sasl_external ? "EXTERNAL" : "PLAIN";
    struct handshake_login login = {.connection_name = c->name};
    char text[CONNECTION_TEXT_MAX];
    char offered[201];

    handshake_server(start, c->server, sizeof c->server);
    if (!handshake_offers(start, mechanism)) {
        wire_text(start->mechanisms, offered, sizeof offered);
        snprintf(text, sizeof text, "the broker does not offer SASL %s, only: %s", mechanism,
                 offered);
        connection_fail_code(c, AMQP_ACCESS_REFUSED, 0, text);
        return;
    }
    if (!c->numbers.sasl_external) {
        login.user = c->uris[c->uri_current].user;
        login.password = c->uris[c->uri_current].password;
    }
    connection_enter(c, CONNECTION_TUNING);
    connection_sent(c, handshake_put_start_ok(&c->stream.out, &login));
}

static void on_tune(struct connection *c, const void *decoded)
{
    const amqp_connection_tune_t *tune = decoded;
    const struct handshake_limits wanted = {CHANNEL_MAX, c->numbers.frame_max,
                                            (uint16_t)c->numbers.heartbeat_s};

    if (handshake_agree(&wanted, tune, &c->agreed) != WARREN_OK) {
        connection_fail(c, "the broker offers frames of only %u bytes", (unsigned)tune->frame_max);
        return;
    }
    c->stream.frame_max = c->agreed.frame_max;
    connection_enter(c, CONNECTION_OPENING);
    connection_sent(c,
                    handshake_put_open(&c->stream.out, &c->agreed, c->uris[c->uri_current].vhost));
}

static void on_open_ok(struct connection *c, const void *decoded)
{
    (void)decoded;
    connection_opened(c);
}

/* ---- closing, blocked ---- */

/* RabbitMQ has limits on the channels of a user and of a node, too. It says which was reached
 * (530), but blames no method. */
static void add_channels_wanted(struct connection *c, uint16_t code, char *text, size_t size)
{
    uint32_t wanted = channel_set_opening(c->channels);
    size_t len = strlen(text);

    if (code == AMQP_NOT_ALLOWED && wanted > 0)
        snprintf(text + len, size - len, "; this connection needs %u channels", wanted);
}

static void on_close(struct connection *c, const void *decoded)
{
    const amqp_connection_close_t *close = decoded;
    char text[CONNECTION_TEXT_MAX];

    handshake_close_text(close, text, sizeof text);
    add_channels_wanted(c, close->reply_code, text, sizeof text);
    if (handshake_put_close_ok(&c->stream.out) == WARREN_OK)
        stream_flush(&c->stream);
    connection_fail_code(c, close->reply_code, (uint32_t)close->class_id << 16 | close->method_id,
                         text);
}

static void on_close_ok(struct connection *c, const void *decoded)
{
    (void)decoded;
    connection_fail(c, "closed");
}

static void set_blocked(struct connection *c, bool blocked, amqp_bytes_t reason)
{
    char text[WIRE_SHORT_TEXT];

    if (c->blocked == blocked)
        return;
    c->blocked = blocked;
    c->hears_since_ms = connection_now_ms(c);
    wire_text(reason, text, sizeof text);
    if (c->events.blocked)
        c->events.blocked(c->user, blocked, text);
}

static void on_blocked(struct connection *c, const void *decoded)
{
    set_blocked(c, true, ((const amqp_connection_blocked_t *)decoded)->reason);
}

static void on_unblocked(struct connection *c, const void *decoded)
{
    (void)decoded;
    set_blocked(c, false, amqp_empty_bytes);
}

/* ---- channel 0 ---- */

#define BIT CONNECTION_BIT

/* Only what a server sends is ever decoded; of these methods connection.start alone holds a table.
 */
static const struct row {
    uint32_t id;
    unsigned states; /* in which it may come */
    void (*take)(struct connection *c, const void *decoded);
} methods[] = {
    {AMQP_CONNECTION_START_METHOD, BIT(GREETING), on_start},
    {AMQP_CONNECTION_TUNE_METHOD, BIT(TUNING), on_tune},
    {AMQP_CONNECTION_OPEN_OK_METHOD, BIT(OPENING), on_open_ok},
    {AMQP_CONNECTION_CLOSE_METHOD, BIT(TUNING) | BIT(OPENING) | BIT(OPEN) | BIT(CLOSING), on_close},
    {AMQP_CONNECTION_CLOSE_OK_METHOD, BIT(CLOSING), on_close_ok},
    {AMQP_CONNECTION_BLOCKED_METHOD, BIT(OPEN) | BIT(CLOSING), on_blocked},
    {AMQP_CONNECTION_UNBLOCKED_METHOD, BIT(OPEN) | BIT(CLOSING), on_unblocked},
};

static const struct row *find_method(uint32_t id)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].id == id)
            return &methods[i];
    return NULL;
}

static void on_method(struct connection *c, const struct frame *frame)
{
    uint32_t id = frame_method(frame);
    struct warren_bytes arguments = frame_arguments(frame);
    amqp_bytes_t encoded = {arguments.len, (void *)arguments.data};
    const struct row *row = find_method(id);
    const char *why = "";
    void *decoded;

    if (!row)
        connection_fail(c, "the peer sent method %u.%u on channel 0", id >> 16, id & 0xffff);
    else if (id == AMQP_CONNECTION_START_METHOD && !handshake_start_is_sound(arguments, &why))
        connection_fail(c, "connection.start: %s", why);
    else if (amqp_decode_method(id, &c->pool, encoded, &decoded) != 0)
        connection_fail(c, "the peer sent a malformed %s", method_name(id).text);
    else if (!(row->states & (1u << c->state)))
        connection_fail(c, "the peer sent %s while %s", method_name(id).text,
                        connection_state_name(c->state));
    else
        row->take(c, decoded);
    recycle_amqp_pool(&c->pool);
}

/* ---- events of the stream ---- */

static void on_frame(void *user, const struct frame *frame)
{
    struct connection *c = user;

    if (frame->channel == 0 && frame->type == FRAME_METHOD)
        on_method(c, frame);
    else if (frame->channel == 0)
        connection_fail(c, "the peer sent content on channel 0");
    else if (c->state == CONNECTION_OPEN)
        channel_set_frame(c->channels, frame);
    else if (c->state < CONNECTION_OPEN)
        connection_fail(c, "the peer sent a frame for channel %u while %s", frame->channel,
                        connection_state_name(c->state));
}

static void on_stream_failed(void *user, const char *text)
{
    struct connection *c = user;
    struct warren_bytes unread = stream_unread(&c->stream);

    if (c->state == CONNECTION_GREETING && unread.len > 0)
        text = handshake_recognise(unread);
    connection_fail(c, "%s", text);
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
