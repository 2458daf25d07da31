#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "support/mock_private.h"
#include "support/wait.h"

#define ANSWER_MS 20000
#define POLL_MS   20
#define FRAME_END 0xCE
#define BODY_MAX  (64u * 1024 * 1024)

/* ---- bytes ---- */

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, (uint16_t)(value >> 16));
    put_u16(at + 2, (uint16_t)value);
}

void mock_send_bytes(struct mock_peer *peer, const void *bytes, size_t length)
{
    const char *at = bytes;
    int64_t deadline = now_ms() + ANSWER_MS;

    while (length > 0) {
        struct pollfd poller = {.fd = peer->fd, .events = POLLOUT};
        ssize_t sent;

        if (now_ms() >= deadline || mock_is_stopping(peer->mock))
            mock_fail(peer, "the client does not read");
        if (poll(&poller, 1, POLL_MS) != 1)
            continue;
        sent = send(peer->fd, at, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            mock_fail(peer, "the client closed while it was being sent to");
        at += sent;
        length -= (size_t)sent;
    }
}

void mock_send_frame(struct mock_peer *peer, uint8_t type, uint16_t channel, const void *payload,
                     size_t length)
{
    uint8_t head[7];
    const uint8_t end = FRAME_END;

    head[0] = type;
    put_u16(head + 1, channel);
    put_u32(head + 3, (uint32_t)length);
    mock_send_bytes(peer, head, sizeof head);
    mock_send_bytes(peer, payload, length);
    mock_send_bytes(peer, &end, 1);
}

/* False: the deadline passed or the client closed (peer->ended). */
static bool receive(struct mock_peer *peer, void *to, size_t length, int64_t deadline)
{
    uint8_t *at = to;

    while (length > 0 && now_ms() < deadline && !mock_is_stopping(peer->mock)) {
        struct pollfd poller = {.fd = peer->fd, .events = POLLIN};
        ssize_t got;

        if (poll(&poller, 1, POLL_MS) != 1)
            continue;
        got = recv(peer->fd, at, length, MSG_DONTWAIT);
        if (got <= 0) {
            peer->ended = true;
            return false;
        }
        at += got;
        length -= (size_t)got;
    }
    return length == 0;
}

/* ---- frames ---- */

static bool read_frame(struct mock_peer *peer, int64_t deadline)
{
    uint8_t head[7];
    size_t length;

    if (!receive(peer, head, sizeof head, deadline))
        return false;
    length = get_u32(head + 3);
    if (length + 1 > sizeof peer->payload)
        mock_fail(peer, "the client sent a frame of %zu bytes", length);
    if (!receive(peer, peer->payload, length + 1, deadline))
        return false;
    if (peer->payload[length] != FRAME_END)
        mock_fail(peer, "the client sent a bad frame end");
    peer->payload_length = length;
    peer->frame =
        (struct mock_frame){.type = head[0], .channel = (uint16_t)(head[1] << 8 | head[2])};
    return true;
}

/* From a copy: what is decoded points into it, and outlives the payload of the next frame. */
static void decode_method(struct mock_peer *peer)
{
    amqp_bytes_t copy = {0};

    recycle_amqp_pool(&peer->pool);
    if (peer->payload_length < 4)
        mock_fail(peer, "the client sent a method frame of %zu bytes", peer->payload_length);
    peer->frame.method = get_u32(peer->payload);
    if (peer->payload_length > 4) {
        amqp_pool_alloc_bytes(&peer->pool, peer->payload_length - 4, &copy);
        memcpy(copy.bytes, peer->payload + 4, copy.len);
    }
    if (amqp_decode_method(peer->frame.method, &peer->pool, copy, &peer->frame.decoded) < 0)
        mock_fail(peer, "the client sent a malformed method 0x%08x", peer->frame.method);
}

/* Of the content header at hand. */
static void read_message_id(struct mock_peer *peer, char *id, size_t size)
{
    amqp_bytes_t rest = {.bytes = peer->payload + 12, .len = peer->payload_length - 12};
    amqp_basic_properties_t *properties;
    amqp_pool_t pool;
    void *decoded;

    init_amqp_pool(&pool, 4096);
    if (amqp_decode_properties(AMQP_BASIC_CLASS, &pool, rest, &decoded) < 0) {
        empty_amqp_pool(&pool);
        mock_fail(peer, "the client sent malformed properties");
    }
    properties = decoded;
    if (properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG)
        snprintf(id, size, "%.*s", (int)properties->message_id.len,
                 (const char *)properties->message_id.bytes);
    empty_amqp_pool(&pool);
}

/* The header and body frames behind a basic.publish. */
static void read_content(struct mock_peer *peer, int64_t deadline)
{
    struct mock_frame publish = peer->frame;
    size_t have = 0;

    if (!read_frame(peer, deadline) || peer->frame.type != AMQP_FRAME_HEADER ||
        peer->payload_length < 12)
        mock_fail(peer, "no header frame behind basic.publish");
    read_message_id(peer, publish.message_id, sizeof publish.message_id);
    publish.body_size = (uint64_t)get_u32(peer->payload + 4) << 32 | get_u32(peer->payload + 8);
    if (publish.body_size > BODY_MAX)
        mock_fail(peer, "the client publishes %llu bytes", (unsigned long long)publish.body_size);
    free(peer->body);
    peer->body = calloc(1, (size_t)publish.body_size + 1);
    while (peer->body && have < publish.body_size) {
        if (!read_frame(peer, deadline) || peer->frame.type != AMQP_FRAME_BODY ||
            peer->payload_length > publish.body_size - have)
            mock_fail(peer, "no fitting body frame");
        memcpy(peer->body + have, peer->payload, peer->payload_length);
        have += peer->payload_length;
    }
    publish.body = peer->body;
    peer->frame = publish;
}

/* RabbitMQ closes the connection over one that it does not wait for (504). */
static void take_close_ok(struct mock_peer *peer)
{
    uint16_t channel = peer->frame.channel;

    if (channel > MOCK_CHANNEL_MAX || !peer->closing[channel])
        mock_fail(peer, "the client sent channel.close-ok on channel %u, which was not closed",
                  channel);
    peer->closing[channel] = false;
}

static bool next_frame(struct mock_peer *peer, int64_t deadline)
{
    if (!read_frame(peer, deadline))
        return false;
    if (peer->frame.type == AMQP_FRAME_METHOD)
        decode_method(peer);
    else if (peer->frame.type != AMQP_FRAME_HEARTBEAT)
        mock_fail(peer, "the client sent a frame of type %u out of turn", peer->frame.type);
    if (peer->frame.method == AMQP_BASIC_PUBLISH_METHOD)
        read_content(peer, deadline);
    else if (peer->frame.method == AMQP_CHANNEL_CLOSE_OK_METHOD)
        take_close_ok(peer);
    return true;
}

/* ---- methods ---- */

void mock_send_method(struct mock_peer *peer, uint16_t channel, amqp_method_number_t method,
                      void *decoded)
{
    uint8_t payload[4096];
    amqp_bytes_t rest = {.bytes = payload + 4, .len = sizeof payload - 4};
    int length = amqp_encode_method(method, decoded, rest);

    if (length < 0)
        mock_fail(peer, "cannot encode method 0x%08x", method);
    put_u32(payload, method);
    if (method == AMQP_CHANNEL_CLOSE_METHOD && channel <= MOCK_CHANNEL_MAX)
        peer->closing[channel] = true;
    mock_send_frame(peer, AMQP_FRAME_METHOD, channel, payload, (size_t)length + 4);
}

static void answer_declare(struct mock_peer *peer)
{
    const amqp_queue_declare_t *declare = peer->frame.decoded;
    amqp_queue_declare_ok_t ok = {.queue = declare->queue};

    if (!declare->nowait)
        mock_send_method(peer, peer->frame.channel, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
}

/* Whether the frame at hand is one that any broker answers, or needs no answer. */
static bool answer(struct mock_peer *peer)
{
    static const struct {
        amqp_method_number_t ask, ok;
    } plain[] = {
        {AMQP_CHANNEL_OPEN_METHOD, AMQP_CHANNEL_OPEN_OK_METHOD},
        {AMQP_CHANNEL_CLOSE_METHOD, AMQP_CHANNEL_CLOSE_OK_METHOD},
        {AMQP_CONNECTION_CLOSE_METHOD, AMQP_CONNECTION_CLOSE_OK_METHOD},
        {AMQP_EXCHANGE_DECLARE_METHOD, AMQP_EXCHANGE_DECLARE_OK_METHOD},
        {AMQP_QUEUE_BIND_METHOD, AMQP_QUEUE_BIND_OK_METHOD},
        {AMQP_BASIC_QOS_METHOD, AMQP_BASIC_QOS_OK_METHOD},
        {AMQP_CONFIRM_SELECT_METHOD, AMQP_CONFIRM_SELECT_OK_METHOD},
        {AMQP_BASIC_ACK_METHOD, 0},
        {AMQP_BASIC_NACK_METHOD, 0},
        {AMQP_BASIC_REJECT_METHOD, 0},
        {AMQP_CHANNEL_CLOSE_OK_METHOD, 0},
    };
    amqp_basic_consume_ok_t consume_ok = {.consumer_tag = amqp_cstring_bytes("mock")};
    uint64_t nothing[4] = {0}; /* stands for any answer without fields */

    if (peer->frame.type == AMQP_FRAME_HEARTBEAT)
        return true;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (peer->frame.method != plain[i].ask)
            continue;
        if (plain[i].ok)
            mock_send_method(peer, peer->frame.channel, plain[i].ok, nothing);
        return true;
    }
    if (peer->frame.method == AMQP_QUEUE_DECLARE_METHOD)
        answer_declare(peer);
    else if (peer->frame.method == AMQP_BASIC_CONSUME_METHOD)
        mock_send_method(peer, peer->frame.channel, AMQP_BASIC_CONSUME_OK_METHOD, &consume_ok);
    else
        return false;
    return true;
}

const struct mock_frame *mock_expect(struct mock_peer *peer, amqp_method_number_t method)
{
    int64_t deadline = now_ms() + ANSWER_MS;

    for (;;) {
        if (!next_frame(peer, deadline))
            mock_fail(peer, "expected %s, but the client %s", amqp_method_name(method),
                      peer->ended ? "closed" : "sent nothing");
        if (peer->frame.type == AMQP_FRAME_METHOD && peer->frame.method == method)
            return &peer->frame;
        if (!answer(peer))
            mock_fail(peer, "expected %s, but the client sent %s", amqp_method_name(method),
                      amqp_method_name(peer->frame.method));
    }
}

void mock_serve(struct mock_peer *peer, int64_t ms)
{
    int64_t deadline = now_ms() + ms;

    while (!peer->ended && next_frame(peer, deadline))
        answer(peer);
}

void mock_handshake(struct mock_peer *peer, const struct mock_tune *wanted)
{
    struct mock_tune offer = {
        .channel_max = MOCK_CHANNEL_MAX, .frame_max = MOCK_FRAME_MAX, .heartbeat_s = 60};
    amqp_connection_start_t start = {.version_major = 0,
                                     .version_minor = 9,
                                     .mechanisms = amqp_cstring_bytes("PLAIN AMQPLAIN EXTERNAL"),
                                     .locales = amqp_cstring_bytes("en_US")};
    amqp_connection_tune_t tune;
    amqp_connection_open_ok_t open_ok = {0};
    const amqp_connection_tune_ok_t *tuned;
    uint8_t header[8];

    if (wanted)
        offer = *wanted;
    if (!receive(peer, header, sizeof header, now_ms() + ANSWER_MS) ||
        memcmp(header, "AMQP\0\0\11\1", sizeof header) != 0)
        mock_fail(peer, "no protocol header");
    mock_send_method(peer, 0, AMQP_CONNECTION_START_METHOD, &start);
    mock_expect(peer, AMQP_CONNECTION_START_OK_METHOD);
    tune = (amqp_connection_tune_t){.channel_max = offer.channel_max,
                                    .frame_max = offer.frame_max,
                                    .heartbeat = offer.heartbeat_s};
    mock_send_method(peer, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
    tuned = mock_expect(peer, AMQP_CONNECTION_TUNE_OK_METHOD)->decoded;
    if (tuned->frame_max)
        peer->frame_max = tuned->frame_max;
    mock_expect(peer, AMQP_CONNECTION_OPEN_METHOD);
    mock_send_method(peer, 0, AMQP_CONNECTION_OPEN_OK_METHOD, &open_ok);
}

static void send_content(struct mock_peer *peer, uint16_t channel, uint8_t *header,
                         size_t header_length, const char *body, uint64_t length)
{
    put_u16(header, AMQP_BASIC_CLASS);
    put_u16(header + 2, 0);
    put_u32(header + 4, (uint32_t)(length >> 32));
    put_u32(header + 8, (uint32_t)length);
    mock_send_frame(peer, AMQP_FRAME_HEADER, channel, header, header_length);
    while (length > 0) {
        size_t piece = length < peer->frame_max - 8 ? (size_t)length : peer->frame_max - 8;

        mock_send_frame(peer, AMQP_FRAME_BODY, channel, body, piece);
        body += piece;
        length -= piece;
    }
}

void mock_deliver(struct mock_peer *peer, uint16_t channel, uint64_t tag, const void *body,
                  size_t length)
{
    amqp_basic_deliver_t deliver = {.consumer_tag = amqp_cstring_bytes("mock"),
                                    .delivery_tag = tag,
                                    .routing_key = amqp_cstring_bytes("mock")};
    uint8_t header[14] = {0}; /* no properties */

    mock_send_method(peer, channel, AMQP_BASIC_DELIVER_METHOD, &deliver);
    send_content(peer, channel, header, sizeof header, body, length);
}

void mock_return(struct mock_peer *peer, uint16_t code, const char *why)
{
    const struct mock_frame *frame = &peer->frame;
    const amqp_basic_publish_t *publish = frame->decoded;
    amqp_basic_return_t method = {.reply_code = code,
                                  .reply_text = amqp_cstring_bytes(why),
                                  .exchange = publish->exchange,
                                  .routing_key = publish->routing_key};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .message_id = amqp_cstring_bytes(frame->message_id)};
    uint8_t header[512];
    amqp_bytes_t rest = {.bytes = header + 12, .len = sizeof header - 12};
    int length = amqp_encode_properties(AMQP_BASIC_CLASS, &properties, rest);

    if (length < 0)
        mock_fail(peer, "cannot encode the properties of a return");
    mock_send_method(peer, frame->channel, AMQP_BASIC_RETURN_METHOD, &method);
    send_content(peer, frame->channel, header, (size_t)length + 12, frame->body, frame->body_size);
}

void mock_close_channel(struct mock_peer *peer, uint16_t channel, uint16_t code, const char *why)
{
    amqp_channel_close_t close = {.reply_code = code, .reply_text = amqp_cstring_bytes(why)};

    mock_send_method(peer, channel, AMQP_CHANNEL_CLOSE_METHOD, &close);
}

void mock_rest(struct mock_peer *peer, int64_t ms)
{
    int64_t deadline = now_ms() + ms;

    while (now_ms() < deadline && !mock_is_stopping(peer->mock))
        rest_ms(POLL_MS);
}
