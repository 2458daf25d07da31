/* rabbitmqc_loop.c - the program that one writes by hand on rabbitmq-c: the yardstick.
 *
 *   rabbitmqc_loop publish URI QUEUE COUNT        confirms, window 1000
 *   rabbitmqc_loop consume URI QUEUE COUNT        amqp_consume_message, an ack each, prefetch 500
 *   rabbitmqc_loop latency URI QUEUE COUNT        the same, with the age of each message
 *   rabbitmqc_loop fill URI QUEUE COUNT TYPE      new queue of that type with COUNT messages
 *   rabbitmqc_loop pace URI QUEUE COUNT RATE      RATE time-stamped messages a second
 */
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif

#include "stopwatch.h"

#define BODY_SIZE 256
#define CHANNEL   1
#define PREFETCH  500
#define WINDOW    1000
#define SLOTS     2048 /* over WINDOW */

struct confirms {
    uint64_t published;
    uint64_t settled; /* every tag up to here is confirmed */
    bool seen[SLOTS];
};

static void die(const char *what)
{
    fprintf(stderr, "rabbitmqc_loop: %s\n", what);
    exit(1);
}

static void check(amqp_connection_state_t connection, const char *what)
{
    if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL)
        die(what);
}

static amqp_connection_state_t connect_to(char *uri)
{
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    struct amqp_connection_info info;

    if (amqp_parse_url(uri, &info) != AMQP_STATUS_OK)
        die("bad URI");
    if (!socket || amqp_socket_open(socket, info.host, info.port) != AMQP_STATUS_OK)
        die("cannot connect");
    if (amqp_login(connection, *info.vhost ? info.vhost : "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN,
                   info.user, info.password)
            .reply_type != AMQP_RESPONSE_NORMAL)
        die("login refused");
    amqp_channel_open(connection, CHANNEL);
    check(connection, "channel.open");
    return connection;
}

/* ---- publish ---- */

static void note_confirm(struct confirms *confirms, const amqp_basic_ack_t *ack)
{
    uint64_t first = ack->multiple ? confirms->settled + 1 : ack->delivery_tag;

    for (uint64_t tag = first; tag <= ack->delivery_tag; tag++)
        confirms->seen[tag % SLOTS] = true;
    while (confirms->settled < confirms->published &&
           confirms->seen[(confirms->settled + 1) % SLOTS])
        confirms->seen[++confirms->settled % SLOTS] = false;
}

static void wait_confirms(amqp_connection_state_t connection, struct confirms *confirms,
                          uint64_t until)
{
    amqp_frame_t frame;

    while (confirms->settled < until) {
        amqp_maybe_release_buffers(connection);
        if (amqp_simple_wait_frame(connection, &frame) != AMQP_STATUS_OK)
            die("connection lost");
        if (frame.frame_type != AMQP_FRAME_METHOD ||
            frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
            die("not confirmed");
        note_confirm(confirms, frame.payload.method.decoded);
    }
}

static void publish_one(amqp_connection_state_t connection, const char *queue, const char *body)
{
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                          .delivery_mode = 2};
    amqp_bytes_t bytes = {.len = BODY_SIZE, .bytes = (void *)(uintptr_t)body};

    if (amqp_basic_publish(connection, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(queue), 1, 0,
                           &properties, bytes) != AMQP_STATUS_OK)
        die("publish failed");
}

static void publish(amqp_connection_state_t connection, const char *queue, uint64_t count)
{
    static struct confirms confirms;
    char body[BODY_SIZE];
    int64_t first_ns;

    memset(body, 'x', sizeof body);
    amqp_confirm_select(connection, CHANNEL);
    check(connection, "confirm.select");
    first_ns = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        if (confirms.published - confirms.settled == WINDOW)
            wait_confirms(connection, &confirms, confirms.settled + 1);
        publish_one(connection, queue, body);
        confirms.published++;
    }
    wait_confirms(connection, &confirms, count);
    print_result(count, first_ns, now_ns(), NULL);
}

static void pace(amqp_connection_state_t connection, const char *queue, uint64_t count, long rate)
{
    char body[BODY_SIZE] = {0};
    int64_t first_ns = now_ns();
    int64_t sent_ns;

    for (uint64_t i = 0; i < count; i++) {
        int64_t due_ns = first_ns + (int64_t)i * 1000000000 / rate;
        int64_t early_ns = due_ns - now_ns();

        if (early_ns > 0) {
            struct timespec rest = {.tv_sec = early_ns / 1000000000,
                                    .tv_nsec = early_ns % 1000000000};
            nanosleep(&rest, NULL);
        }
        sent_ns = now_ns();
        memcpy(body, &sent_ns, sizeof sent_ns);
        publish_one(connection, queue, body);
    }
}

static void fill(amqp_connection_state_t connection, const char *queue, uint64_t count,
                 const char *type)
{
    amqp_table_entry_t entry = {
        .key = amqp_cstring_bytes("x-queue-type"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(type)}};
    amqp_table_t arguments = {.num_entries = 1, .entries = &entry};

    amqp_queue_delete(connection, CHANNEL, amqp_cstring_bytes(queue), 0, 0);
    check(connection, "queue.delete");
    amqp_queue_declare(connection, CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0, arguments);
    check(connection, "queue.declare");
    publish(connection, queue, count);
}

/* ---- consume ---- */

static void consume(amqp_connection_state_t connection, const char *queue, uint64_t count,
                    struct latencies *latencies)
{
    int64_t first_ns = 0;

    amqp_basic_qos(connection, CHANNEL, 0, PREFETCH, 0);
    check(connection, "basic.qos");
    amqp_basic_consume(connection, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0,
                       amqp_empty_table);
    check(connection, "basic.consume");
    for (uint64_t i = 0; i < count; i++) {
        amqp_envelope_t envelope;

        amqp_maybe_release_buffers(connection);
        if (amqp_consume_message(connection, &envelope, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL)
            die("consume failed");
        if (i == 0)
            first_ns = now_ns();
        if (latencies)
            latencies_add(latencies, envelope.message.body.bytes, envelope.message.body.len);
        if (amqp_basic_ack(connection, CHANNEL, envelope.delivery_tag, 0) != AMQP_STATUS_OK)
            die("ack failed");
        amqp_destroy_envelope(&envelope);
    }
    print_result(count, first_ns, now_ns(), latencies);
}

int main(int argc, char **argv)
{
    static struct latencies latencies;
    amqp_connection_state_t connection;
    const char *action = argc > 1 ? argv[1] : "";
    const char *queue;
    uint64_t count;

    if (argc < 5)
        die("usage: rabbitmqc_loop publish|consume|latency|fill|pace URI QUEUE COUNT [TYPE|RATE]");
    queue = argv[3];
    count = strtoull(argv[4], NULL, 10);
    connection = connect_to(argv[2]);
    if (strcmp(action, "publish") == 0)
        publish(connection, queue, count);
    else if (strcmp(action, "consume") == 0)
        consume(connection, queue, count, NULL);
    else if (strcmp(action, "latency") == 0)
        consume(connection, queue, count, &latencies);
    else if (strcmp(action, "fill") == 0 && argc == 6)
        fill(connection, queue, count, argv[5]);
    else if (strcmp(action, "pace") == 0 && argc == 6 && strtol(argv[5], NULL, 10) > 0)
        pace(connection, queue, count, strtol(argv[5], NULL, 10));
    else
        die("unknown action");
    amqp_channel_close(connection, CHANNEL, AMQP_REPLY_SUCCESS);
    amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(connection);
    return 0;
}
