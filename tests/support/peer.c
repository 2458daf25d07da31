#include "support/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#if __has_include(<rabbitmq-c/tcp_socket.h>)
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp_tcp_socket.h>
#endif

#include "support/wait.h"

#define CHANNEL 1
/* Unacked messages of one who drains a queue. */
#define DRAIN_PREFETCH 500
#define WINDOW         500
#define SLOTS          1024 /* over WINDOW */
#define ARGUMENTS_MAX  16

struct peer {
    amqp_connection_state_t connection;
    uint64_t published;    /* the tag of the last one */
    uint64_t settled;      /* every tag up to here is confirmed */
    bool confirmed[SLOTS]; /* by tag */
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "test peer: %s: %s\n", what, why);
    abort();
}

static const char *reply_text(amqp_rpc_reply_t reply)
{
    static char words[300];
    amqp_bytes_t from;

    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION)
        return amqp_error_string2(reply.library_error);
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
        from = ((amqp_channel_close_t *)reply.reply.decoded)->reply_text;
    else if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD)
        from = ((amqp_connection_close_t *)reply.reply.decoded)->reply_text;
    else
        return amqp_method_name(reply.reply.id);
    snprintf(words, sizeof words, "%.*s", (int)from.len, (const char *)from.bytes);
    return words;
}

static void check(amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        die(what, reply_text(reply));
}

static void check_last(struct peer *peer, const char *what)
{
    check(amqp_get_rpc_reply(peer->connection), what);
}

/* @return false: the node closed the connection before it had an answer */
static bool log_in(struct peer *peer, const struct amqp_connection_info *info, const char *uri)
{
    /* rabbitmq-c takes the nothing behind the last slash for a vhost named "". */
    const char *vhost = *info->vhost ? info->vhost : "/";
    amqp_socket_t *socket;
    amqp_rpc_reply_t reply;

    peer->connection = amqp_new_connection();
    socket = amqp_tcp_socket_new(peer->connection);
    if (!socket || amqp_socket_open(socket, info->host, info->port) != AMQP_STATUS_OK)
        die("connect", uri);
    reply = amqp_login(peer->connection, vhost, 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                       AMQP_SASL_METHOD_PLAIN, info->user, info->password);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        reply.library_error == AMQP_STATUS_CONNECTION_CLOSED) {
        fprintf(stderr, "test peer: %s closed the connection during the login\n", uri);
        amqp_destroy_connection(peer->connection);
        return false;
    }
    check(reply, "login");
    return true;
}

/* Once in a thousand starts a node closes its first connection; why is not known. */
struct peer *peer_new(const char *uri)
{
    struct peer *peer = calloc(1, sizeof *peer);
    char *copy = text("%s", uri);
    struct amqp_connection_info info;

    if (!peer)
        abort();
    if (amqp_parse_url(copy, &info) != AMQP_STATUS_OK)
        die("bad uri", uri);
    if (!log_in(peer, &info, uri) && !log_in(peer, &info, uri))
        die("login", uri);
    amqp_channel_open(peer->connection, CHANNEL);
    check_last(peer, "channel.open");
    amqp_confirm_select(peer->connection, CHANNEL);
    check_last(peer, "confirm.select");
    free(copy);
    return peer;
}

void peer_free(struct peer *peer)
{
    if (!peer)
        return;
    amqp_connection_close(peer->connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(peer->connection);
    free(peer);
}

/* ---- topology ---- */

void peer_declare(struct peer *peer, const char *queue, const char *type)
{
    peer_declare_with(peer, queue, type, NULL, 0);
}

void peer_declare_with(struct peer *peer, const char *queue, const char *type,
                       const amqp_table_entry_t *arguments, int count)
{
    amqp_table_entry_t entries[ARGUMENTS_MAX] = {
        {.key = amqp_cstring_bytes("x-queue-type"),
         .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(type)}}};
    amqp_table_t table = {.num_entries = count + 1, .entries = entries};

    if (count + 1 > ARGUMENTS_MAX)
        die(queue, "too many arguments");
    for (int i = 0; i < count; i++)
        entries[i + 1] = arguments[i];
    amqp_queue_declare(peer->connection, CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0, table);
    check_last(peer, queue);
}

void peer_exchange(struct peer *peer, const char *exchange, const char *type)
{
    amqp_exchange_declare(peer->connection, CHANNEL, amqp_cstring_bytes(exchange),
                          amqp_cstring_bytes(type), 0, 1, 0, 0, amqp_empty_table);
    check_last(peer, exchange);
}

void peer_bind(struct peer *peer, const char *queue, const char *exchange, const char *key)
{
    amqp_queue_bind(peer->connection, CHANNEL, amqp_cstring_bytes(queue),
                    amqp_cstring_bytes(exchange), amqp_cstring_bytes(key), amqp_empty_table);
    check_last(peer, queue);
}

void peer_delete_alone(struct peer *peer, const char *queue)
{
    amqp_queue_delete(peer->connection, CHANNEL, amqp_cstring_bytes(queue), 0, 0);
    check_last(peer, queue);
}

void peer_hold(struct peer *peer, const char *queue, bool exclusive)
{
    amqp_basic_qos(peer->connection, CHANNEL, 0, 1, 0);
    check_last(peer, "basic.qos");
    amqp_basic_consume(peer->connection, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0,
                       exclusive, amqp_empty_table);
    check_last(peer, queue);
}

void peer_delete_exchange(struct peer *peer, const char *exchange)
{
    amqp_exchange_delete(peer->connection, CHANNEL, amqp_cstring_bytes(exchange), 0);
    check_last(peer, exchange);
}

void peer_delete(struct peer *peer, const char *queue)
{
    char name[300];

    peer_delete_alone(peer, queue);
    snprintf(name, sizeof name, "%s.dlq", queue);
    amqp_queue_delete(peer->connection, CHANNEL, amqp_cstring_bytes(name), 0, 0);
    check_last(peer, name);
    snprintf(name, sizeof name, "%s.dlx", queue);
    peer_delete_exchange(peer, name);
}

void peer_purge(struct peer *peer, const char *queue)
{
    amqp_queue_purge(peer->connection, CHANNEL, amqp_cstring_bytes(queue));
    check_last(peer, queue);
}

/* On a channel of its own, which the broker closes if there is no such queue. */
static const amqp_queue_declare_ok_t *look_at(struct peer *peer, const char *queue)
{
    const amqp_queue_declare_ok_t *ok;

    amqp_channel_open(peer->connection, CHANNEL + 1);
    check_last(peer, "channel.open");
    ok = amqp_queue_declare(peer->connection, CHANNEL + 1, amqp_cstring_bytes(queue), 1, 0, 0, 0,
                            amqp_empty_table);
    if (!ok) {
        amqp_rpc_reply_t reply = amqp_get_rpc_reply(peer->connection);
        amqp_channel_close_ok_t close_ok = {0};

        if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION ||
            reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
            die(queue, reply_text(reply));
        amqp_send_method(peer->connection, CHANNEL + 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
    }
    return ok;
}

static void look_away(struct peer *peer)
{
    check(amqp_channel_close(peer->connection, CHANNEL + 1, AMQP_REPLY_SUCCESS), "channel.close");
    amqp_maybe_release_buffers(peer->connection);
}

int peer_count(struct peer *peer, const char *queue)
{
    const amqp_queue_declare_ok_t *ok = look_at(peer, queue);
    int count = ok ? (int)ok->message_count : -1;

    if (ok)
        look_away(peer);
    return count;
}

int peer_consumers(struct peer *peer, const char *queue)
{
    const amqp_queue_declare_ok_t *ok = look_at(peer, queue);
    int count = ok ? (int)ok->consumer_count : -1;

    if (ok)
        look_away(peer);
    return count;
}

/* ---- messages ---- */

/* Confirms come singly, in bunches, and out of order. */
static void note_confirm(struct peer *peer, const amqp_basic_ack_t *ack)
{
    uint64_t first = ack->multiple ? peer->settled + 1 : ack->delivery_tag;

    for (uint64_t tag = first; tag <= ack->delivery_tag; tag++)
        peer->confirmed[tag % SLOTS] = true;
    while (peer->settled < peer->published && peer->confirmed[(peer->settled + 1) % SLOTS])
        peer->confirmed[++peer->settled % SLOTS] = false;
}

static void wait_confirms(struct peer *peer, uint64_t until)
{
    while (peer->settled < until) {
        amqp_frame_t frame;

        amqp_maybe_release_buffers(peer->connection);
        if (amqp_simple_wait_frame(peer->connection, &frame) != AMQP_STATUS_OK)
            die("publish", "the connection was lost");
        if (frame.frame_type != AMQP_FRAME_METHOD ||
            frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
            die("publish", "not confirmed");
        note_confirm(peer, frame.payload.method.decoded);
    }
}

static void send_one(struct peer *peer, const char *exchange, amqp_bytes_t key, const void *body,
                     size_t length, const amqp_basic_properties_t *properties)
{
    amqp_basic_properties_t basic = {0};
    amqp_bytes_t bytes = {.bytes = (void *)(uintptr_t)body, .len = length};

    if (properties)
        basic = *properties;
    basic._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
    basic.delivery_mode = 2;
    if (amqp_basic_publish(peer->connection, CHANNEL, amqp_cstring_bytes(exchange), key, 0, 0,
                           &basic, bytes) != AMQP_STATUS_OK)
        die("publish", "the connection was lost");
    peer->published++;
}

void peer_publish(struct peer *peer, const char *exchange, const char *key, const void *body,
                  size_t length, const amqp_basic_properties_t *properties)
{
    send_one(peer, exchange, amqp_cstring_bytes(key), body, length, properties);
    wait_confirms(peer, peer->published);
}

void peer_publish_bytes(struct peer *peer, const char *exchange, const char *key, size_t key_len,
                        const void *body, size_t length, const amqp_basic_properties_t *properties)
{
    amqp_bytes_t bytes = {.bytes = (void *)(uintptr_t)key, .len = key_len};

    send_one(peer, exchange, bytes, body, length, properties);
    wait_confirms(peer, peer->published);
}

void peer_publish_id(struct peer *peer, const char *queue, const char *id, const char *body)
{
    amqp_basic_properties_t properties = {0};

    if (id) {
        properties._flags = AMQP_BASIC_MESSAGE_ID_FLAG;
        properties.message_id = amqp_cstring_bytes(id);
    }
    peer_publish(peer, "", queue, body, strlen(body), &properties);
}

void peer_say(struct peer *peer, const char *queue, const char *body)
{
    peer_publish_id(peer, queue, NULL, body);
}

void peer_publish_many(struct peer *peer, const char *queue, const char *prefix, unsigned count)
{
    peer_publish_more(peer, queue, prefix, 0, count);
}

void peer_publish_more(struct peer *peer, const char *queue, const char *prefix, unsigned first,
                       unsigned count)
{
    char body[300];

    for (unsigned i = first; i < first + count; i++) {
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                              .message_id = {.bytes = body}};
        int length = snprintf(body, sizeof body, "%s-%u", prefix, i);

        properties.message_id.len = (size_t)length;
        send_one(peer, "", amqp_cstring_bytes(queue), body, (size_t)length, &properties);
        if (peer->published - peer->settled >= WINDOW)
            wait_confirms(peer, peer->published - WINDOW / 2);
    }
    wait_confirms(peer, peer->published);
}

static void copy_text(char *to, size_t size, amqp_bytes_t from)
{
    snprintf(to, size, "%.*s", (int)from.len, (const char *)from.bytes);
}

static void take_content(struct peer_message *message)
{
    message->properties = &message->raw.properties;
    if (message->properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG)
        copy_text(message->message_id, sizeof message->message_id, message->properties->message_id);
    message->length = message->raw.body.len;
    message->body = calloc(1, message->length + 1);
    if (!message->body)
        abort();
    if (message->length)
        memcpy(message->body, message->raw.body.bytes, message->length);
}

bool peer_get(struct peer *peer, const char *queue, struct peer_message *message)
{
    amqp_rpc_reply_t reply;
    const amqp_basic_get_ok_t *ok;

    memset(message, 0, sizeof *message);
    amqp_maybe_release_buffers(peer->connection);
    reply = amqp_basic_get(peer->connection, CHANNEL, amqp_cstring_bytes(queue), 1);
    check(reply, queue);
    if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD)
        return false;
    ok = reply.reply.decoded;
    message->redelivered = ok->redelivered;
    copy_text(message->exchange, sizeof message->exchange, ok->exchange);
    copy_text(message->routing_key, sizeof message->routing_key, ok->routing_key);
    check(amqp_read_message(peer->connection, CHANNEL, &message->raw, 0), queue);
    take_content(message);
    return true;
}

void peer_message_done(struct peer_message *message)
{
    free(message->body);
    amqp_destroy_message(&message->raw);
    memset(message, 0, sizeof *message);
}

static void take_envelope(struct peer_message *message, amqp_envelope_t *envelope)
{
    memset(message, 0, sizeof *message);
    copy_text(message->exchange, sizeof message->exchange, envelope->exchange);
    copy_text(message->routing_key, sizeof message->routing_key, envelope->routing_key);
    message->redelivered = envelope->redelivered;
    message->raw = envelope->message; /* moved */
    take_content(message);
    amqp_bytes_free(envelope->routing_key);
    amqp_bytes_free(envelope->exchange);
    amqp_bytes_free(envelope->consumer_tag);
}

/* One delivery of a consumer of @channel. @return its tag; 0: none came in @patience */
static uint64_t take_delivery(struct peer *peer, struct timeval patience,
                              void (*each)(const struct peer_message *message, void *user),
                              void *user)
{
    amqp_envelope_t envelope;
    struct peer_message message;
    uint64_t tag;

    amqp_maybe_release_buffers(peer->connection);
    if (amqp_consume_message(peer->connection, &envelope, &patience, 0).reply_type !=
        AMQP_RESPONSE_NORMAL)
        return 0;
    tag = envelope.delivery_tag;
    take_envelope(&message, &envelope);
    if (each)
        each(&message, user);
    peer_message_done(&message);
    return tag;
}

/* @count messages by a consumer, for basic.get makes a quorum queue write for each one; fewer if
 * another one takes them, and more if more came before the consumer was cancelled: rabbitmq-c keeps
 * those, and would give them to the next one who consumes. */
static unsigned take_many(struct peer *peer, const char *queue, int count,
                          void (*each)(const struct peer_message *message, void *user), void *user)
{
    const amqp_channel_t channel = CHANNEL + 3;
    const amqp_bytes_t consumer = amqp_cstring_bytes("drain");
    unsigned taken = 0;
    uint64_t last = 0;
    uint64_t tag;

    amqp_channel_open(peer->connection, channel);
    check_last(peer, "channel.open");
    amqp_basic_qos(peer->connection, channel, 0, DRAIN_PREFETCH, 0);
    check_last(peer, "basic.qos");
    amqp_basic_consume(peer->connection, channel, amqp_cstring_bytes(queue), consumer, 0, 0, 0,
                       amqp_empty_table);
    check_last(peer, queue);
    while (taken < (unsigned)count &&
           (tag = take_delivery(peer, (struct timeval){.tv_sec = 10}, each, user)) != 0) {
        last = tag;
        if (++taken % (DRAIN_PREFETCH / 2) != 0)
            continue;
        amqp_basic_ack(peer->connection, channel, last, 1);
        last = 0; /* a tag is acked once */
    }
    amqp_basic_cancel(peer->connection, channel, consumer);
    check_last(peer, "basic.cancel");
    while ((tag = take_delivery(peer, (struct timeval){0}, each, user)) != 0) {
        last = tag;
        taken++;
    }
    if (last)
        amqp_basic_ack(peer->connection, channel, last, 1);
    check(amqp_channel_close(peer->connection, channel, AMQP_REPLY_SUCCESS), "channel.close");
    return taken;
}

unsigned peer_drain(struct peer *peer, const char *queue,
                    void (*each)(const struct peer_message *message, void *user), void *user)
{
    int ready = peer_count(peer, queue);
    struct peer_message message;
    unsigned count = ready > 0 ? take_many(peer, queue, ready, each, user) : 0;

    while (peer_get(peer, queue, &message)) {
        if (each)
            each(&message, user);
        peer_message_done(&message);
        count++;
    }
    return count;
}

/* ---- request and reply ---- */

static void send_request(struct peer *peer, const char *queue, const char *reply_to,
                         const char *body, const char *correlation_id)
{
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_REPLY_TO_FLAG |
                                                    AMQP_BASIC_CORRELATION_ID_FLAG,
                                          .reply_to = amqp_cstring_bytes(reply_to),
                                          .correlation_id = amqp_cstring_bytes(correlation_id)};

    if (amqp_basic_publish(peer->connection, CHANNEL + 2, amqp_empty_bytes,
                           amqp_cstring_bytes(queue), 0, 0, &properties,
                           amqp_cstring_bytes(body)) != AMQP_STATUS_OK)
        die("request", "the connection was lost");
}

/* On a channel without confirms, which would come in between; direct reply-to wants the request
 * published on the channel that consumes the answer. */
bool peer_ask(struct peer *peer, const char *queue, const char *reply_to, const char *body,
              const char *correlation_id, struct peer_message *answer)
{
    struct timeval patience = {.tv_sec = 20};
    amqp_envelope_t envelope;
    bool came;

    memset(answer, 0, sizeof *answer);
    amqp_channel_open(peer->connection, CHANNEL + 2);
    check_last(peer, "channel.open");
    amqp_basic_consume(peer->connection, CHANNEL + 2, amqp_cstring_bytes(reply_to),
                       amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    check_last(peer, reply_to);
    send_request(peer, queue, reply_to, body, correlation_id);
    came = amqp_consume_message(peer->connection, &envelope, &patience, 0).reply_type ==
           AMQP_RESPONSE_NORMAL;
    if (came)
        take_envelope(answer, &envelope);
    check(amqp_channel_close(peer->connection, CHANNEL + 2, AMQP_REPLY_SUCCESS), "channel.close");
    return came;
}
