/* channel_input.c - what comes on a channel: methods to those who wait for them, contents to where
 * the owner wants them.
 */
#include <string.h>

#include "amqp/connection/channel_private.h"
#include "amqp/wire/frame.h"

static void fail_protocol(struct channel *ch, const char *what)
{
    connection_fail(ch->connection, "channel %u: %s", ch->number, what);
}

/* Only what a server sends is ever decoded: no method here holds a table. */
static bool is_event(uint32_t id)
{
    return id == AMQP_BASIC_DELIVER_METHOD || id == AMQP_BASIC_ACK_METHOD ||
           id == AMQP_BASIC_NACK_METHOD || id == AMQP_BASIC_RETURN_METHOD ||
           id == AMQP_BASIC_CANCEL_METHOD;
}

static bool is_reply(uint32_t id)
{
    switch (id) {
    case AMQP_CHANNEL_OPEN_OK_METHOD:
    case AMQP_EXCHANGE_DECLARE_OK_METHOD:
    case AMQP_EXCHANGE_DELETE_OK_METHOD:
    case AMQP_EXCHANGE_BIND_OK_METHOD:
    case AMQP_EXCHANGE_UNBIND_OK_METHOD:
    case AMQP_QUEUE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_BIND_OK_METHOD:
    case AMQP_QUEUE_UNBIND_OK_METHOD:
    case AMQP_QUEUE_PURGE_OK_METHOD:
    case AMQP_QUEUE_DELETE_OK_METHOD:
    case AMQP_BASIC_QOS_OK_METHOD:
    case AMQP_BASIC_CONSUME_OK_METHOD:
    case AMQP_BASIC_CANCEL_OK_METHOD:
    case AMQP_CONFIRM_SELECT_OK_METHOD:
        return true;
    default:
        return false;
    }
}

/* The owner may free the channel in an event: after one, only the set is touched. */
static void on_method(struct channel *ch, const struct frame *frame)
{
    struct channel_set *set = ch->set;
    uint32_t id = frame_method(frame);
    struct warren_bytes arguments = frame_arguments(frame);
    amqp_bytes_t encoded = {arguments.len, (void *)arguments.data};
    void *decoded = NULL;

    if (ch->content != CONTENT_NONE) {
        fail_protocol(ch, "a method came in the middle of a message");
        return;
    }
    if (!is_event(id) && !is_reply(id) && id != AMQP_CHANNEL_CLOSE_METHOD) {
        connection_fail(ch->connection, "channel %u: unexpected method %u.%u", ch->number, id >> 16,
                        id & 0xffff);
        return;
    }
    if (amqp_decode_method(id, &set->pool, encoded, &decoded) != 0) {
        connection_fail(ch->connection, "channel %u: malformed %s", ch->number,
                        method_name(id).text);
    } else if (id == AMQP_CHANNEL_CLOSE_METHOD) {
        channel_closed(ch, decoded);
    } else if (is_reply(id)) {
        channel_answered(ch, id, decoded);
    } else if (ch->state != CHANNEL_OPEN) {
        fail_protocol(ch, "a message came before the channel was open");
    } else {
        if (id == AMQP_BASIC_DELIVER_METHOD || id == AMQP_BASIC_RETURN_METHOD)
            ch->content = CONTENT_HEADER;
        if (ch->events.method)
            ch->events.method(ch->user, id, decoded);
    }
    recycle_amqp_pool(&set->pool);
}

static void content_complete(struct channel *ch)
{
    ch->content = CONTENT_NONE;
    if (ch->events.content_end)
        ch->events.content_end(ch->user);
}

static void on_header(struct channel *ch, const struct frame *frame)
{
    struct content_header header;
    const char *why = "";

    if (ch->content != CONTENT_HEADER) {
        fail_protocol(ch, "a content header came without its method");
        return;
    }
    if (content_header_read(frame->payload, frame->skipped > 0, &header, &why) != WARREN_OK) {
        fail_protocol(ch, why);
        return;
    }
    ch->content = CONTENT_BODY;
    ch->body_left = header.body_size;
    ch->body = ch->events.content ? ch->events.content(ch->user, &header) : NULL;
    if (ch->body_left == 0 && ch->content == CONTENT_BODY)
        content_complete(ch);
}

static void on_body(struct channel *ch, const struct frame *frame)
{
    size_t len = frame->payload.len;

    if (ch->content != CONTENT_BODY || len > ch->body_left) {
        fail_protocol(ch, "more body came than its header said");
        return;
    }
    if (ch->body) {
        memcpy(ch->body, frame->payload.data, len);
        ch->body += len;
    }
    ch->body_left -= len;
    if (ch->body_left == 0)
        content_complete(ch);
}

void channel_take_frame(struct channel *ch, const struct frame *frame)
{
    ch->frames++;
    switch (frame->type) {
    case FRAME_METHOD:
        on_method(ch, frame);
        break;
    case FRAME_HEADER:
        on_header(ch, frame);
        break;
    case FRAME_BODY:
        on_body(ch, frame);
        break;
    case FRAME_HEARTBEAT:
        break;
    }
}
