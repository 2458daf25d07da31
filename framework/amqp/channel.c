/* channel.c - the life of one channel, its calls and its contents. */
#include "amqp/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/channel_private.h"
#include "base/log.h"

/* Calls that wait for their replies at once. */
#define CALLS_MAX 65536

struct call {
    struct list link;
    uint32_t id;
    int64_t deadline_ms;
    channel_reply_fn *reply;
    void *user;
};

static int64_t now_ms(const struct channel *ch)
{
    return clock_now_ms(loop_clock(connection_loop(ch->connection)));
}

/* ---- calls ---- */

static void forget_calls(struct channel *ch)
{
    struct list *link;

    while ((link = list_pop(&ch->calls)))
        free(list_entry(link, struct call, link));
    ch->call_count = 0;
    loop_timer_disarm(&ch->deadline);
}

static void arm_deadline(struct channel *ch)
{
    if (list_empty(&ch->calls)) {
        loop_timer_disarm(&ch->deadline);
        return;
    }
    if (!loop_timer_armed(&ch->deadline))
        loop_timer_arm_ms(&ch->deadline,
                          list_entry(ch->calls.next, struct call, link)->deadline_ms - now_ms(ch));
}

static void deadline_passed(void *arg)
{
    struct channel *ch = arg;
    struct call *oldest;

    if (list_empty(&ch->calls))
        return;
    oldest = list_entry(ch->calls.next, struct call, link);
    /* A blocked connection is not read by the broker: that is an alarm, not a fault. */
    if (connection_is_blocked(ch->connection))
        oldest->deadline_ms = now_ms(ch) + ch->set->rpc_timeout_ms;
    if (oldest->deadline_ms <= now_ms(ch))
        connection_fail(ch->connection, WARREN_ETIMEOUT, "no answer to %s within %u ms",
                        amqp_method_name(oldest->id), ch->set->rpc_timeout_ms);
    else
        arm_deadline(ch);
}

static enum warren_status put(struct channel *ch, uint32_t id, void *decoded)
{
    enum warren_status status = frame_put_method(connection_out(ch->connection), ch->number, id,
                                                 decoded, connection_frame_max(ch->connection));

    if (status == WARREN_OK)
        connection_wrote(ch->connection);
    return status;
}

static enum warren_status call(struct channel *ch, uint32_t id, void *decoded,
                               channel_reply_fn *reply, void *user)
{
    struct call *new_call;
    enum warren_status status;

    if (ch->call_count >= CALLS_MAX)
        return WARREN_EFULL;
    new_call = malloc(sizeof *new_call);
    if (!new_call)
        return WARREN_ENOMEM;
    status = put(ch, id, decoded);
    if (status != WARREN_OK) {
        free(new_call);
        return status;
    }
    *new_call = (struct call){.id = id,
                              .deadline_ms = now_ms(ch) + ch->set->rpc_timeout_ms,
                              .reply = reply,
                              .user = user};
    list_push(&ch->calls, &new_call->link);
    ch->call_count++;
    arm_deadline(ch);
    return WARREN_OK;
}

/* In AMQP 0-9-1 the reply's number follows the request's, but for exchange.unbind-ok. */
static uint32_t reply_of(uint32_t id)
{
    return id == AMQP_EXCHANGE_UNBIND_METHOD ? AMQP_EXCHANGE_UNBIND_OK_METHOD : id + 1;
}

static void on_reply(struct channel *ch, uint32_t id, void *decoded)
{
    struct call *oldest;
    struct call answered;

    if (list_empty(&ch->calls) ||
        reply_of(list_entry(ch->calls.next, struct call, link)->id) != id) {
        connection_fail(ch->connection, WARREN_EPROTOCOL,
                        "the peer sent %s on channel %u, which answers nothing",
                        amqp_method_name(id), ch->number);
        return;
    }
    oldest = list_entry(list_pop(&ch->calls), struct call, link);
    answered = *oldest;
    free(oldest);
    ch->call_count--;
    loop_timer_disarm(&ch->deadline);
    arm_deadline(ch);
    if (answered.reply)
        answered.reply(answered.user, id, decoded);
}

/* ---- opening, losing, opening again ---- */

static void opened(void *arg, uint32_t id, void *decoded)
{
    struct channel *ch = arg;

    (void)id;
    (void)decoded;
    ch->state = CHANNEL_OPEN;
    ch->generation++;
    ch->opened_ms = now_ms(ch);
    ch->events.open(ch->user);
}

void channel_open(struct channel *ch)
{
    amqp_channel_open_t open = {0};

    if (ch->state != CHANNEL_AWAY || !channel_set_number(ch->set, ch))
        return;
    ch->state = CHANNEL_OPENING;
    if (call(ch, AMQP_CHANNEL_OPEN_METHOD, &open, opened, ch) != WARREN_OK)
        connection_fail(ch->connection, WARREN_ENOMEM, "out of memory for a channel");
}

static void reopen(void *arg)
{
    struct channel *ch = arg;

    if (connection_state(ch->connection) == CONNECTION_OPEN)
        channel_open(ch);
}

void channel_lost(struct channel *ch, const struct channel_loss *loss)
{
    bool was_open = ch->state == CHANNEL_OPEN;

    if (ch->state == CHANNEL_AWAY)
        return;
    forget_calls(ch);
    ch->state = CHANNEL_AWAY;
    ch->content = CONTENT_NONE;
    ch->number = 0;
    if (was_open)
        ch->events.lost(ch->user, loss);
}

static void on_close(struct channel *ch, const amqp_channel_close_t *close)
{
    amqp_channel_close_ok_t close_ok = {0};
    char text[256];
    struct channel_loss loss = {
        .code = close->reply_code,
        .text = text,
        .method = (uint32_t)close->class_id << 16 | close->method_id,
    };

    snprintf(text, sizeof text, "%.*s",
             (int)(close->reply_text.len < 255 ? close->reply_text.len : 255),
             close->reply_text.len ? (const char *)close->reply_text.bytes : "");
    put(ch, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
    channel_set_release(ch->set, ch->number);
    if (now_ms(ch) - ch->opened_ms >= CHANNEL_STABLE_MS)
        backoff_reset(&ch->backoff);
    loop_timer_arm_ms(&ch->reopen, backoff_next_ms(&ch->backoff));
    channel_lost(ch, &loss);
}

/* ---- methods and contents ---- */

static void fail_protocol(struct channel *ch, const char *what)
{
    connection_fail(ch->connection, WARREN_EPROTOCOL, "channel %u: %s", ch->number, what);
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
    const uint8_t *payload = frame->payload.data;
    uint32_t id = (uint32_t)payload[0] << 24 | (uint32_t)payload[1] << 16 |
                  (uint32_t)payload[2] << 8 | payload[3];
    amqp_bytes_t encoded = {frame->payload.len - 4, (void *)(uintptr_t)(payload + 4)};
    void *decoded = NULL;

    if (ch->content != CONTENT_NONE) {
        fail_protocol(ch, "a method came in the middle of a message");
        return;
    }
    if (!is_event(id) && !is_reply(id) && id != AMQP_CHANNEL_CLOSE_METHOD) {
        connection_fail(ch->connection, WARREN_EPROTOCOL, "channel %u: unexpected method %u.%u",
                        ch->number, id >> 16, id & 0xffff);
        return;
    }
    if (amqp_decode_method(id, &set->pool, encoded, &decoded) != 0) {
        connection_fail(ch->connection, WARREN_EPROTOCOL, "channel %u: malformed %s", ch->number,
                        amqp_method_name(id));
    } else if (id == AMQP_CHANNEL_CLOSE_METHOD) {
        on_close(ch, decoded);
    } else if (is_reply(id)) {
        on_reply(ch, id, decoded);
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
    if (content_header_read(frame->payload, &header, &why) != WARREN_OK) {
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

void channel_frame(struct channel *ch, const struct frame *frame)
{
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

/* ---- public ---- */

enum warren_status channel_new(struct connection *connection, const struct channel_events *events,
                               void *user, struct channel **ret_channel)
{
    struct channel *ch = calloc(1, sizeof *ch);
    enum warren_status status;

    if (!ch)
        return WARREN_ENOMEM;
    ch->connection = connection;
    ch->events = *events;
    ch->user = user;
    list_init(&ch->calls);
    status = loop_timer_init(&ch->deadline, connection_loop(connection), deadline_passed, ch);
    if (status == WARREN_OK)
        status = loop_timer_init(&ch->reopen, connection_loop(connection), reopen, ch);
    if (status == WARREN_OK)
        status = channel_set_add(connection, ch);
    if (status != WARREN_OK) {
        loop_timer_done(&ch->deadline);
        loop_timer_done(&ch->reopen);
        free(ch);
        return status;
    }
    backoff_init(&ch->backoff, CHANNEL_REOPEN_MIN_MS, CHANNEL_REOPEN_MAX_MS, &ch->set->random);
    if (connection_state(connection) == CONNECTION_OPEN)
        channel_open(ch);
    *ret_channel = ch;
    return WARREN_OK;
}

void channel_free(struct channel *ch)
{
    amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS};

    if (!ch)
        return;
    if (ch->state != CHANNEL_AWAY && connection_state(ch->connection) == CONNECTION_OPEN &&
        put(ch, AMQP_CHANNEL_CLOSE_METHOD, &close) == WARREN_OK)
        channel_set_drain(ch->set, ch->number);
    channel_set_remove(ch->set, ch);
    forget_calls(ch);
    loop_timer_done(&ch->deadline);
    loop_timer_done(&ch->reopen);
    free(ch);
}

bool channel_is_open(const struct channel *ch)
{
    return ch->state == CHANNEL_OPEN;
}

uint32_t channel_generation(const struct channel *ch)
{
    return ch->generation;
}

struct connection *channel_connection(struct channel *ch)
{
    return ch->connection;
}

uint16_t channel_number(const struct channel *ch)
{
    return ch->number;
}

enum warren_status channel_call(struct channel *ch, uint32_t id, void *decoded,
                                channel_reply_fn *reply, void *user)
{
    if (ch->state != CHANNEL_OPEN || connection_state(ch->connection) != CONNECTION_OPEN)
        return WARREN_ECLOSED;
    return call(ch, id, decoded, reply, user);
}

enum warren_status channel_send(struct channel *ch, uint32_t id, void *decoded)
{
    if (ch->state != CHANNEL_OPEN || connection_state(ch->connection) != CONNECTION_OPEN)
        return WARREN_ECLOSED;
    return put(ch, id, decoded);
}
