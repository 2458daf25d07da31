/* The connection against peers that break AMQP, hang, or are no brokers at all (scripted), and
 * against a real broker over bad networks. Whatever comes: one clear sentence, then the next try.
 */
#include "amqp/connection/channel.h"
#include "amqp/connection/connection.h"
#include "support/broker.h"
#include "support/mock.h"
#include "support/proxy.h"
#include "support/test.h"
#include "support/wait.h"

static struct broker *broker;

/* ---- a connection with one channel, and what it told ---- */

struct client {
    struct loop *loop;
    struct loop_timer tick;
    struct connection *connection;
    struct channel *channel;
    bool (*until)(struct client *client);
    int64_t deadline_ms;
    bool met;
    int opened;
    int lost;
    int channels_opened;
    int channels_lost;
    int replies;
    int few; /* times that there were told to be too few channels, */
    uint32_t needed, allowed;
    bool closed;
    struct connection_loss loss; /* the last */
    char text[512];
    uint16_t channel_code;
};

static void on_open(void *user)
{
    ((struct client *)user)->opened++;
}

static void on_lost(void *user, const struct connection_loss *loss)
{
    struct client *client = user;

    client->lost++;
    client->loss = *loss;
    snprintf(client->text, sizeof client->text, "%s", loss->text);
}

static void on_closed(void *user)
{
    ((struct client *)user)->closed = true;
}

static void on_few_channels(void *user, uint32_t needed, uint32_t allowed)
{
    struct client *client = user;

    client->few++;
    client->needed = needed;
    client->allowed = allowed;
}

static void on_channel_open(void *user)
{
    ((struct client *)user)->channels_opened++;
}

static void on_channel_lost(void *user, const struct channel_loss *loss)
{
    struct client *client = user;

    client->channels_lost++;
    client->channel_code = loss->code;
}

static void on_tick(void *user)
{
    struct client *client = user;

    client->met = client->until(client);
    if (client->met || now_ms() >= client->deadline_ms)
        loop_stop(client->loop);
    else
        loop_timer_arm_ms(&client->tick, 2);
}

/* Run the loop until @until holds; false if it never did. */
static bool run_until(struct client *client, bool (*until)(struct client *client))
{
    client->until = until;
    client->deadline_ms = now_ms() + PATIENCE_MS;
    loop_timer_arm_ms(&client->tick, 0);
    loop_run(client->loop);
    return client->met;
}

static struct client *client_new(const char *uri_text, void (*adjust)(struct connection_options *))
{
    static const struct connection_events events = {
        .open = on_open, .lost = on_lost, .closed = on_closed, .few_channels = on_few_channels};
    static const struct channel_events channel_events = {.open = on_channel_open,
                                                         .lost = on_channel_lost};
    struct client *client = calloc(1, sizeof *client);
    struct connection_options options;
    struct warren_error error = {WARREN_OK, ""};
    struct uri uri;

    assert_non_null(client);
    assert_int_equal(uri_parse(uri_text, &uri, &error), WARREN_OK);
    connection_options_init(&options);
    options.uris = &uri;
    options.uri_count = 1;
    options.name = "test_connection";
    options.reconnect_delay_max_ms = 200;
    if (adjust)
        adjust(&options);
    assert_int_equal(loop_new(clock_monotonic(), &client->loop), WARREN_OK);
    assert_int_equal(loop_timer_init(&client->tick, client->loop, on_tick, client), WARREN_OK);
    assert_int_equal(
        connection_new(client->loop, &options, &events, client, &client->connection, &error),
        WARREN_OK);
    assert_int_equal(channel_new(client->connection, &channel_events, client, &client->channel),
                     WARREN_OK);
    connection_start(client->connection);
    return client;
}

static bool is_closed(struct client *client)
{
    return client->closed;
}

/* Also proves that closing works from whatever state the test left. */
static void client_free(struct client *client)
{
    channel_free(client->channel);
    connection_close(client->connection, 2000);
    assert_true(run_until(client, is_closed));
    connection_free(client->connection);
    loop_timer_done(&client->tick);
    loop_free(client->loop);
    free(client);
}

static bool channel_opened(struct client *client)
{
    return client->channels_opened >= 1;
}

static bool channel_opened_twice(struct client *client)
{
    return client->channels_opened >= 2;
}

static bool lost_once(struct client *client)
{
    return client->lost >= 1;
}

/* ---- what a scripted peer does on its first connection; later ones are well-behaved ---- */

struct fault {
    const char *name;
    void (*commit)(struct mock_peer *peer);
    const char *said; /* stands in the loss's text */
};

static void well_behaved(struct mock_peer *peer)
{
    mock_handshake(peer, NULL);
    mock_serve(peer, 60000);
}

static void run_fault(struct mock_peer *peer, int connection, void *user)
{
    const struct fault *fault = user;

    if (connection > 1) {
        well_behaved(peer);
        return;
    }
    fault->commit(peer);
    mock_serve(peer, 60000);
}

/* The handshake, and the client's channel 1 being open. */
static void reach_channel(struct mock_peer *peer)
{
    amqp_channel_open_ok_t open_ok = {0};

    mock_handshake(peer, NULL);
    mock_expect(peer, AMQP_CHANNEL_OPEN_METHOD);
    mock_send_method(peer, 1, AMQP_CHANNEL_OPEN_OK_METHOD, &open_ok);
}

static void http(struct mock_peer *peer)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    mock_send_bytes(peer, answer, sizeof answer - 1);
}

static void tls_alert(struct mock_peer *peer)
{
    mock_send_bytes(peer, "\x15\x03\x03\x00\x02\x02\x32", 7);
}

static void other_version(struct mock_peer *peer)
{
    mock_send_bytes(peer, "AMQP\x00\x01\x00\x00", 8);
}

static void heartbeat_first(struct mock_peer *peer)
{
    mock_send_bytes(peer, "\x08\x00\x00\x00\x00\x00\x00\xce\x08", 9);
    mock_send_bytes(peer, "\x00\x00\x00\x00\x00\x00\xce\xff", 8);
}

static void open_ok_first(struct mock_peer *peer)
{
    amqp_connection_open_ok_t open_ok = {0};
    mock_send_method(peer, 0, AMQP_CONNECTION_OPEN_OK_METHOD, &open_ok);
}

static void oversize_frame(struct mock_peer *peer)
{
    reach_channel(peer);
    mock_send_bytes(peer, "\x01\x00\x01\x7f\xff\xff\xff", 7);
}

static void oversize_header(struct mock_peer *peer)
{
    reach_channel(peer);
    mock_send_bytes(peer, "\x02\x00\x01\x7f\xff\xff\xff", 7);
}

static void deliver(struct mock_peer *peer);

/* One that is skipped: 16 MiB, of which the bounds of memory here would not allow a copy. */
static void send_large_header(struct mock_peer *peer, const char *end)
{
    static const uint8_t zeros[65536];

    mock_send_bytes(peer, "\x02\x00\x01\x01\x00\x00\x00", 7);
    mock_send_bytes(peer, "\x00\x3c", 2);
    mock_send_bytes(peer, zeros, sizeof zeros - 2);
    for (int i = 1; i < 256; i++)
        mock_send_bytes(peer, zeros, sizeof zeros);
    mock_send_bytes(peer, end, 1);
}

static void large_header_without_method(struct mock_peer *peer)
{
    reach_channel(peer);
    mock_send_bytes(peer,
                    "\x02\x00\x01\x01\x00\x00\x00\x00\x3c\x00\x00\x00\x00\x00\x00\x00\x00"
                    "\x00\x00",
                    19);
}

static void bad_end_of_large_header(struct mock_peer *peer)
{
    reach_channel(peer);
    deliver(peer);
    send_large_header(peer, "\xcd");
}

/* Behind one that ends well, the frames are read again. */
static void bad_end_behind_large_header(struct mock_peer *peer)
{
    reach_channel(peer);
    deliver(peer);
    send_large_header(peer, "\xce");
    mock_send_bytes(peer, "\x04", 1);
}

static void bad_end(struct mock_peer *peer)
{
    reach_channel(peer);
    mock_send_bytes(peer, "\x08\x00\x00\x00\x00\x00\x00\xcd", 8);
}

static void unknown_type(struct mock_peer *peer)
{
    reach_channel(peer);
    mock_send_bytes(peer, "\x04\x00\x01\x00\x00\x00\x04zzzz\xce", 12);
}

static void far_channel(struct mock_peer *peer)
{
    amqp_basic_ack_t ack = {.delivery_tag = 1};
    reach_channel(peer);
    mock_send_method(peer, 65535, AMQP_BASIC_ACK_METHOD, &ack);
}

static void clients_method(struct mock_peer *peer)
{
    amqp_queue_declare_t declare = {.queue = amqp_cstring_bytes("q")};
    reach_channel(peer);
    mock_send_method(peer, 1, AMQP_QUEUE_DECLARE_METHOD, &declare);
}

static void unasked_reply(struct mock_peer *peer)
{
    amqp_basic_qos_ok_t qos_ok = {0};
    reach_channel(peer);
    mock_send_method(peer, 1, AMQP_BASIC_QOS_OK_METHOD, &qos_ok);
}

static void header_without_method(struct mock_peer *peer)
{
    static const uint8_t header[14] = {0, 60};
    reach_channel(peer);
    mock_send_frame(peer, 2, 1, header, sizeof header);
}

static void deliver(struct mock_peer *peer)
{
    amqp_basic_deliver_t deliver = {.delivery_tag = 1};
    mock_send_method(peer, 1, AMQP_BASIC_DELIVER_METHOD, &deliver);
}

static void more_body_than_said(struct mock_peer *peer)
{
    static const uint8_t header[14] = {0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
    reach_channel(peer);
    deliver(peer);
    mock_send_frame(peer, 2, 1, header, sizeof header);
    mock_send_frame(peer, 3, 1, "four", 4);
}

static void method_inside_message(struct mock_peer *peer)
{
    reach_channel(peer);
    deliver(peer);
    deliver(peer);
}

static void hang_up_while_tuning(struct mock_peer *peer)
{
    mock_fail(peer, "hanging up on purpose");
}

static const struct fault faults[] = {
    {"a web server", http, "web server"},
    {"a TLS port", tls_alert, "amqps://"},
    {"another AMQP", other_version, "another version of AMQP"},
    {"heartbeats before the greeting, then garbage", heartbeat_first, ""},
    {"open-ok as greeting", open_ok_first, "while greeting"},
    {"a frame of 2 GiB", oversize_frame, "frame"},
    {"a content header of 2 GiB", oversize_header, "larger than 128 MiB"},
    {"a large header without its method", large_header_without_method, "without its method"},
    {"a large header with a bad end byte", bad_end_of_large_header, "does not end"},
    {"garbage behind a large header", bad_end_behind_large_header, "unknown type"},
    {"a bad end byte", bad_end, "end"},
    {"an unknown frame type", unknown_type, "type"},
    {"a frame for channel 65535", far_channel, "channel 65535"},
    {"a method that only clients send", clients_method, "unexpected method 50.10"},
    {"a reply that was not asked for", unasked_reply, "answers nothing"},
    {"a header without its method", header_without_method, "without its method"},
    {"more body than its header said", more_body_than_said, "more body"},
    {"a method in the middle of a message", method_inside_message, "middle of a message"},
    {"a hang-up", hang_up_while_tuning, ""},
};

/* Each fault costs that connection, is named in one sentence, and the next connection works. */
static void every_fault_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct mock *mock = mock_new(run_fault, (void *)(uintptr_t)&faults[i]);
        struct client *client = client_new(mock_uri(mock), NULL);

        if (!run_until(client, lost_once))
            fail_msg("%s: not noticed", faults[i].name);
        if (!strstr(client->text, faults[i].said))
            fail_msg("%s: said \"%s\", expected \"%s\"", faults[i].name, client->text,
                     faults[i].said);
        client->channels_opened = 0;
        if (!run_until(client, channel_opened))
            fail_msg("%s: no second connection: %s", faults[i].name, client->text);
        client_free(client);
        mock_free(mock);
    }
}

/* ---- time ---- */

static void silent(struct mock_peer *peer, int connection, void *user)
{
    (void)user;
    if (connection == 1)
        mock_rest(peer, 600);
    else
        well_behaved(peer);
}

static void short_deadlines(struct connection_options *options)
{
    options->connect_timeout_ms = 300;
    options->rpc_timeout_ms = 300;
}

/* A peer that accepts and then says nothing is given up at the deadline. */
static void silent_peer_is_left(void **state)
{
    struct mock *mock = mock_new(silent, NULL);
    struct client *client = client_new(mock_uri(mock), short_deadlines);

    (void)state;
    assert_true(run_until(client, lost_once));
    assert_non_null(strstr(client->text, "timed out while greeting"));
    assert_true(run_until(client, channel_opened));
    client_free(client);
    mock_free(mock);
}

static void no_reply(struct mock_peer *peer, int connection, void *user)
{
    (void)user;
    if (connection > 1) {
        well_behaved(peer);
        return;
    }
    mock_handshake(peer, NULL);
    mock_expect(peer, AMQP_CHANNEL_OPEN_METHOD);
    mock_rest(peer, 600);
}

static void short_answers(struct connection_options *options)
{
    options->rpc_timeout_ms = 300;
}

/* A call that is never answered fails the connection by name, not the caller for ever. */
static void unanswered_call_is_named(void **state)
{
    struct mock *mock = mock_new(no_reply, NULL);
    struct client *client = client_new(mock_uri(mock), short_answers);

    (void)state;
    assert_true(run_until(client, lost_once));
    assert_non_null(strstr(client->text, "no answer to channel.open"));
    assert_true(run_until(client, channel_opened));
    client_free(client);
    mock_free(mock);
}

static void heartbeat_of_a_second(struct connection_options *options)
{
    options->heartbeat_s = 1;
    options->connect_timeout_ms = 1000;
}

/* A network that swallows everything without FIN is noticed within two heartbeats (and a half,
 * for the timer's step), and the connection comes back when the network does. */
static void black_hole_is_noticed_by_heartbeats(void **state)
{
    struct proxy *proxy = proxy_new(broker->port);
    struct client *client = client_new(proxy_uri(proxy), heartbeat_of_a_second);

    (void)state;
    assert_true(run_until(client, channel_opened));
    proxy_black_hole(proxy, true);
    assert_true(run_until(client, lost_once));
    assert_non_null(strstr(client->text, "two heartbeats"));
    proxy_black_hole(proxy, false);
    assert_true(run_until(client, channel_opened_twice));
    client_free(client);
    proxy_free(proxy);
}

/* ---- a real broker over bad networks ---- */

/* One byte at a time gives the same result as whole frames. */
static void single_bytes_are_enough(void **state)
{
    const struct proxy_rule single = {.slice = 1};
    struct proxy *proxy = proxy_new(broker->port);
    struct client *client;

    (void)state;
    proxy_set(proxy, PROXY_TO_BROKER, &single);
    proxy_set(proxy, PROXY_TO_CLIENT, &single);
    client = client_new(proxy_uri(proxy), NULL);
    assert_true(run_until(client, channel_opened));
    assert_int_equal(client->lost, 0);
    client_free(client);
    proxy_free(proxy);
}

/* 1 KiB/s is slow but alive: no death by heartbeat, and no time-out of the handshake. */
static void slow_network_is_no_death(void **state)
{
    const struct proxy_rule slow = {.bytes_per_s = 1024};
    struct proxy *proxy = proxy_new(broker->port);
    struct client *client;

    (void)state;
    proxy_set(proxy, PROXY_TO_BROKER, &slow);
    proxy_set(proxy, PROXY_TO_CLIENT, &slow);
    client = client_new(proxy_uri(proxy), NULL);
    assert_true(run_until(client, channel_opened));
    assert_int_equal(client->lost, 0);
    client_free(client);
    proxy_free(proxy);
}

static bool lost_five_times(struct client *client)
{
    return client->lost >= 5 && connection_state(client->connection) == CONNECTION_WAITING;
}

/* Nothing listens: tries go on for ever, each after a pause, and closing in between is clean. */
static void absent_broker_is_tried_again(void **state)
{
    struct client *client = client_new("amqp://guest:guest@127.0.0.1:1/", NULL);

    (void)state;
    assert_true(run_until(client, lost_five_times));
    assert_non_null(strstr(client->text, "refused"));
    assert_false(client->loss.refused);
    client_free(client);
}

/* ---- channels ---- */

static void on_declared(void *user, void *decoded)
{
    (void)decoded;
    ((struct client *)user)->replies++;
}

/* A channel error costs only that channel: it is opened again, with a new generation. */
static void channel_comes_back_after_an_error(void **state)
{
    struct client *client = client_new(broker->uri, NULL);
    amqp_queue_declare_t missing = {.queue = amqp_cstring_bytes("test-connection-none"),
                                    .passive = 1};

    (void)state;
    assert_true(run_until(client, channel_opened));
    assert_int_equal(channel_generation(client->channel), 1);
    assert_int_equal(
        channel_call(client->channel, AMQP_QUEUE_DECLARE_METHOD, &missing, on_declared, client),
        WARREN_OK);
    assert_true(run_until(client, channel_opened_twice));
    assert_int_equal(client->channel_code, 404);
    assert_int_equal(client->channels_lost, 1);
    assert_int_equal(client->replies, 0);
    assert_int_equal(channel_generation(client->channel), 2);
    assert_int_equal(client->lost, 0);
    client_free(client);
}

static void close_and_go_on_sending(struct mock_peer *peer, int connection, void *user)
{
    amqp_channel_open_ok_t open_ok = {0};
    amqp_channel_close_ok_t close_ok = {0};

    (void)connection;
    (void)user;
    mock_handshake(peer, NULL);
    mock_expect(peer, AMQP_CHANNEL_OPEN_METHOD);
    mock_send_method(peer, 1, AMQP_CHANNEL_OPEN_OK_METHOD, &open_ok);
    mock_expect(peer, AMQP_CHANNEL_CLOSE_METHOD);
    mock_deliver(peer, 1, 1, "late", 4);
    mock_deliver(peer, 1, 2, "later", 5);
    mock_send_method(peer, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
    mock_serve(peer, 60000);
}

/* Deliveries that come after our channel.close are discarded; another channel works on. */
static void late_frames_of_a_closed_channel_are_discarded(void **state)
{
    static const struct channel_events events = {.open = on_channel_open, .lost = on_channel_lost};
    struct mock *mock = mock_new(close_and_go_on_sending, NULL);
    struct client *client = client_new(mock_uri(mock), NULL);

    (void)state;
    assert_true(run_until(client, channel_opened));
    channel_free(client->channel);
    assert_int_equal(channel_new(client->connection, &events, client, &client->channel), WARREN_OK);
    assert_true(run_until(client, channel_opened_twice));
    assert_int_not_equal(channel_number(client->channel), 1);
    assert_int_equal(client->lost, 0);
    client_free(client);
    mock_free(mock);
}

/* As RabbitMQ 3.10 and 4.0 do at a consumer's time-out now and then; here with a late delivery. */
static void close_twice(struct mock_peer *peer, int connection, void *user)
{
    amqp_queue_declare_ok_t declare_ok = {.queue = amqp_cstring_bytes("q")};
    bool ours_first = *(const bool *)user;
    uint16_t again;

    (void)connection;
    mock_handshake(peer, NULL);
    mock_expect(peer, AMQP_QUEUE_DECLARE_METHOD);
    if (ours_first)
        mock_expect(peer, AMQP_CHANNEL_CLOSE_METHOD);
    mock_close_channel(peer, 1, 406, "PRECONDITION_FAILED - by a test");
    mock_deliver(peer, 1, 1, "late", 4);
    mock_close_channel(peer, 1, 406, "PRECONDITION_FAILED - by a test");
    again = mock_expect(peer, AMQP_QUEUE_DECLARE_METHOD)->channel;
    if (again == 1)
        mock_fail(peer, "the number is used again at once");
    mock_send_method(peer, again, AMQP_QUEUE_DECLARE_OK_METHOD, &declare_ok);
    mock_serve(peer, 60000);
}

static void declare_on_each(void *user)
{
    struct client *client = user;
    amqp_queue_declare_t declare = {.queue = amqp_cstring_bytes("q")};

    client->channels_opened++;
    channel_call(client->channel, AMQP_QUEUE_DECLARE_METHOD, &declare, on_declared, client);
}

static bool declared(struct client *client)
{
    return client->replies > 0;
}

/* The second channel.close for one channel is forgotten, also where we were closing it ourselves;
 * the connection lives on. */
static void a_doubled_close_is_forgotten(void **state)
{
    static const struct channel_events events = {.open = declare_on_each, .lost = on_channel_lost};

    (void)state;
    for (int i = 0; i < 2; i++) {
        bool ours_first = i == 1;
        struct mock *mock = mock_new(close_twice, &ours_first);
        struct client *client = client_new(mock_uri(mock), NULL);

        channel_free(client->channel);
        assert_int_equal(channel_new(client->connection, &events, client, &client->channel),
                         WARREN_OK);
        assert_true(run_until(client, channel_opened));
        if (ours_first) {
            channel_free(client->channel);
            assert_int_equal(channel_new(client->connection, &events, client, &client->channel),
                             WARREN_OK);
        }
        assert_true(run_until(client, declared));
        assert_int_equal(client->channel_code, ours_first ? 0 : 406);
        assert_int_equal(client->lost, 0);
        client_free(client);
        mock_free(mock);
    }
}

/* ---- too few channels ---- */

static void allow_three(struct mock_peer *peer, int connection, void *user)
{
    static const struct mock_tune tune = {.channel_max = 3, .frame_max = 131072, .heartbeat_s = 60};

    (void)connection;
    (void)user;
    mock_handshake(peer, &tune);
    mock_serve(peer, 60000);
}

static bool three_opened(struct client *client)
{
    return client->channels_opened >= 3;
}

static bool four_opened(struct client *client)
{
    return client->channels_opened >= 4;
}

/* Where the broker allows too few channels, that is told once with both numbers; as many as there
 * may be work, and another one as soon as one of them is freed. */
static void too_few_channels(void **state)
{
    static const struct channel_events events = {.open = on_channel_open, .lost = on_channel_lost};
    struct mock *mock = mock_new(allow_three, NULL);
    struct client *client = client_new(mock_uri(mock), NULL);
    struct channel *others[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(channel_new(client->connection, &events, client, &others[i]), WARREN_OK);
    assert_true(run_until(client, three_opened));
    assert_int_equal(client->needed, 5);
    assert_int_equal(client->allowed, 3);
    assert_false(channel_is_open(others[2]));
    channel_free(others[0]);
    assert_true(run_until(client, four_opened));
    assert_true(channel_is_open(others[2]));
    assert_int_equal(client->lost, 0);
    assert_int_equal(client->few, 1);
    for (int i = 1; i < 4; i++)
        channel_free(others[i]);
    client_free(client);
    mock_free(mock);
}

static int start(void **state)
{
    (void)state;
    broker = broker_shared();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    broker_free(broker);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_is_survived),
        cmocka_unit_test(silent_peer_is_left),
        cmocka_unit_test(unanswered_call_is_named),
        cmocka_unit_test(black_hole_is_noticed_by_heartbeats),
        cmocka_unit_test(single_bytes_are_enough),
        cmocka_unit_test(slow_network_is_no_death),
        cmocka_unit_test(absent_broker_is_tried_again),
        cmocka_unit_test(channel_comes_back_after_an_error),
        cmocka_unit_test(late_frames_of_a_closed_channel_are_discarded),
        cmocka_unit_test(a_doubled_close_is_forgotten),
        cmocka_unit_test(too_few_channels),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
