/* channel.c - the life of one channel, its calls and its contents; and the set of all channels of a
 * connection, which the first of them attaches to it.
 */
#include "amqp/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/calls.h"
#include "amqp/channel_numbers.h"
#include "base/backoff.h"

/* Delays before a channel that the broker closed is opened again; see backoff.h. */
#define REOPEN_MIN_MS 100
#define REOPEN_MAX_MS 30000
/* A channel that lived for so long begins again at the shortest delay. */
#define STABLE_MS 60000

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

static int64_t now_ms(const struct channel *ch)
{
    return clock_now_ms(loop_clock(connection_loop(ch->connection)));
}

/* ---- calls ---- */

static void arm_deadline(struct channel *ch)
{
    const struct call *oldest = calls_oldest(&ch->calls);

    if (!oldest) {
        loop_timer_disarm(&ch->deadline);
    } else if (!loop_timer_armed(&ch->deadline)) {
        ch->frames_at_arming = ch->frames;
        loop_timer_arm_ms(&ch->deadline, oldest->deadline_ms - now_ms(ch));
    }
}

/* Answers come behind everything that the broker sent before: while that is coming, or while
 * nothing can come, an answer is not late. */
static int64_t answer_due_ms(const struct channel *ch)
{
    bool comes = ch->frames != ch->frames_at_arming;
    int64_t since_ms = comes ? now_ms(ch) : connection_hears_since_ms(ch->connection);

    return since_ms + connection_rpc_timeout_ms(ch->connection);
}

static void deadline_passed(void *arg)
{
    struct channel *ch = arg;
    struct call *oldest = calls_oldest(&ch->calls);
    int64_t due_ms = answer_due_ms(ch);

    if (!oldest)
        return;
    if (oldest->deadline_ms < due_ms)
        oldest->deadline_ms = due_ms;
    if (oldest->deadline_ms <= now_ms(ch))
        connection_fail(ch->connection, WARREN_ETIMEOUT, "no answer to %s within %u ms",
                        amqp_method_name(oldest->id), connection_rpc_timeout_ms(ch->connection));
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
    const struct call new_call = {
        .id = id,
        .deadline_ms = now_ms(ch) + connection_rpc_timeout_ms(ch->connection),
        .reply = reply,
        .user = user,
    };
    enum warren_status status = calls_push(&ch->calls, &new_call);

    if (status != WARREN_OK)
        return status;
    status = put(ch, id, decoded);
    if (status != WARREN_OK)
        calls_unpush(&ch->calls);
    else
        arm_deadline(ch);
    return status;
}

static void on_reply(struct channel *ch, uint32_t id, void *decoded)
{
    struct call answered;

    if (!calls_answer(&ch->calls, id, &answered)) {
        connection_fail(ch->connection, WARREN_EPROTOCOL,
                        "the peer sent %s on channel %u, which answers nothing",
                        amqp_method_name(id), ch->number);
        return;
    }
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

static void open_channel(struct channel *ch)
{
    amqp_channel_open_t open = {0};

    if (ch->state != CHANNEL_AWAY)
        return;
    ch->number = channel_numbers_take(&ch->set->numbers, ch);
    if (ch->number == 0) {
        connection_fail(ch->connection, WARREN_EFULL, "no free channel below %u, or no memory",
                        ch->set->numbers.max);
        return;
    }
    ch->state = CHANNEL_OPENING;
    if (call(ch, AMQP_CHANNEL_OPEN_METHOD, &open, opened, ch) != WARREN_OK)
        connection_fail(ch->connection, WARREN_ENOMEM, "out of memory for a channel");
}

static void reopen(void *arg)
{
    struct channel *ch = arg;

    if (connection_state(ch->connection) == CONNECTION_OPEN)
        open_channel(ch);
}

static void lose(struct channel *ch, const struct channel_loss *loss)
{
    bool was_open = ch->state == CHANNEL_OPEN;

    if (ch->state == CHANNEL_AWAY)
        return;
    calls_done(&ch->calls);
    loop_timer_disarm(&ch->deadline);
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
    channel_numbers_release(&ch->set->numbers, ch->number);
    if (now_ms(ch) - ch->opened_ms >= STABLE_MS)
        backoff_reset(&ch->backoff);
    loop_timer_arm_ms(&ch->reopen, backoff_next_ms(&ch->backoff));
    lose(ch, &loss);
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
    uint32_t id = frame_method(frame);
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

static void on_channel_frame(struct channel *ch, const struct frame *frame)
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

/* ---- all channels of a connection ---- */

static void set_open(void *user, uint16_t channel_max)
{
    struct channel_set *set = user;
    struct list *next;

    channel_numbers_reset(&set->numbers, channel_max);
    for (struct list *link = set->channels.next; link != &set->channels; link = next) {
        next = link->next;
        open_channel(list_entry(link, struct channel, link));
    }
}

static void set_lost(void *user, uint32_t method, const char *text)
{
    struct channel_set *set = user;
    struct channel_loss loss = {0, text, method};
    struct list *next;

    channel_numbers_reset(&set->numbers, 0);
    for (struct list *link = set->channels.next; link != &set->channels; link = next) {
        struct channel *ch = list_entry(link, struct channel, link);

        next = link->next;
        loop_timer_disarm(&ch->reopen);
        lose(ch, &loss);
    }
}

/* After our channel.close only close-ok counts, or a channel.close that crossed it. */
static void drain_frame(struct channel_set *set, const struct frame *frame)
{
    amqp_channel_close_ok_t close_ok = {0};
    uint32_t id = frame->type == FRAME_METHOD ? frame_method(frame) : 0;

    if (id == AMQP_CHANNEL_CLOSE_OK_METHOD)
        channel_numbers_release(&set->numbers, frame->channel);
    else if (id == AMQP_CHANNEL_CLOSE_METHOD &&
             frame_put_method(connection_out(set->connection), frame->channel,
                              AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok,
                              connection_frame_max(set->connection)) == WARREN_OK)
        connection_wrote(set->connection);
}

static void set_frame(void *user, const struct frame *frame)
{
    struct channel_set *set = user;
    struct channel *ch = channel_numbers_find(&set->numbers, frame->channel);

    if (ch)
        on_channel_frame(ch, frame);
    else if (channel_numbers_draining(&set->numbers, frame->channel))
        drain_frame(set, frame);
    else
        connection_fail(set->connection, WARREN_EPROTOCOL,
                        "the peer sent a frame for channel %u, which is not open", frame->channel);
}

static void set_free(void *user)
{
    struct channel_set *set = user;

    empty_amqp_pool(&set->pool);
    channel_numbers_done(&set->numbers);
    free(set);
}

static struct channel_set *set_of(struct connection *connection)
{
    static const struct connection_channels channels = {set_open, set_lost, set_frame, set_free};
    struct channel_set *set = connection_attached(connection);

    if (set)
        return set;
    set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    set->connection = connection;
    list_init(&set->channels);
    random_init(&set->random, random_seed());
    init_amqp_pool(&set->pool, 4096);
    connection_attach_channels(connection, &channels, set);
    return set;
}

/* ---- public ---- */

enum warren_status channel_new(struct connection *connection, const struct channel_events *events,
                               void *user, struct channel **ret_channel)
{
    struct channel_set *set = set_of(connection);
    struct channel *ch = set ? calloc(1, sizeof *ch) : NULL;
    enum warren_status status;

    if (!ch)
        return WARREN_ENOMEM;
    ch->set = set;
    ch->connection = connection;
    ch->events = *events;
    ch->user = user;
    calls_init(&ch->calls);
    backoff_init(&ch->backoff, REOPEN_MIN_MS, REOPEN_MAX_MS, &set->random);
    status = loop_timer_init(&ch->deadline, connection_loop(connection), deadline_passed, ch);
    if (status == WARREN_OK)
        status = loop_timer_init(&ch->reopen, connection_loop(connection), reopen, ch);
    if (status != WARREN_OK) {
        loop_timer_done(&ch->deadline);
        free(ch);
        return status;
    }
    list_push(&set->channels, &ch->link);
    if (connection_state(connection) == CONNECTION_OPEN) {
        /* The first channel attaches the set after the connection said how many there may be. */
        if (set->numbers.max == 0)
            channel_numbers_reset(&set->numbers, connection_channel_max(connection));
        open_channel(ch);
    }
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
        channel_numbers_drain(&ch->set->numbers, ch->number);
    else
        channel_numbers_release(&ch->set->numbers, ch->number);
    list_remove(&ch->link);
    calls_done(&ch->calls);
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
