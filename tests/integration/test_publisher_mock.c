/* The publisher against a scripted broker that confirms late, oddly, wrongly or not at all.
 * The scripts check that what is sent again has the same ids and the same order.
 */
#include <stdatomic.h>

#include "support/ledger.h"
#include "support/mock.h"
#include "support/test.h"
#include "support/wait.h"

/* A message that no broker confirms is given up after so long. */
#define LIMIT_MS 1000

struct fixture {
    struct mock *mock;
    struct ledger *ledger;
    struct warren_publisher *publisher;
    atomic_bool go; /* the test lets the script go on */
};

static void begin(struct fixture *f, mock_script *script,
                  const struct warren_publisher_options *options, uint32_t timeout_ms)
{
    struct ledger_plan plan = {.routing_key = "q", .id_prefix = "id", .timeout_ms = timeout_ms};

    f->mock = mock_new(script, f);
    f->ledger = ledger_new(1000, &plan);
    f->publisher = publisher_open(mock_uri(f->mock), options);
}

/* For what is to be written within a time limit: until there is a connection, that runs, too. */
static void await_connection(struct fixture *f)
{
    assert_int_equal(warren_publisher_wait_connected(f->publisher, (uint32_t)PATIENCE_MS, NULL),
                     WARREN_OK);
}

static void flush(struct fixture *f)
{
    uint32_t timeout_ms = (uint32_t)PATIENCE_MS;
    enum warren_status status = warren_publisher_flush(f->publisher, timeout_ms);

    if (status != WARREN_OK)
        fail_msg("%s; the mock: %s", warren_status_name(status), mock_error(f->mock));
    ledger_check_receipts(f->ledger);
}

/* So many scripts ran to their end. */
static void end(struct fixture *f, int scripts)
{
    warren_publisher_close(f->publisher, 1000);
    if (!WAIT_FOR(mock_finished(f->mock) == scripts, PATIENCE_MS))
        fail_msg("%d scripts ended; the mock: %s", mock_finished(f->mock), mock_error(f->mock));
    assert_string_equal(mock_error(f->mock), "");
    ledger_check_receipts(f->ledger);
    mock_free(f->mock);
    ledger_free(f->ledger);
}

static struct warren_publisher_stats stats_of(struct fixture *f)
{
    struct warren_publisher_stats stats;

    warren_publisher_stats(f->publisher, &stats);
    return stats;
}

static void assert_result(struct fixture *f, unsigned number, enum warren_result result,
                          uint32_t sends)
{
    const struct ledger_entry *entry = ledger_entry(f->ledger, number);

    assert_int_equal(entry->receipts, 1);
    assert_int_equal(entry->result, result);
    assert_int_equal(entry->sends, sends);
}

/* ---- what scripts are made of ---- */

/* The channel of the last message. */
static uint16_t channel;

/* The messages @first to @last, in this order, with their ids. */
static void expect(struct mock_peer *peer, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++) {
        const struct mock_frame *frame = mock_expect(peer, AMQP_BASIC_PUBLISH_METHOD);
        char id[32];

        snprintf(id, sizeof id, "id-%u", i);
        channel = frame->channel;
        if (strtoul(frame->body, NULL, 10) != i || strcmp(frame->message_id, id) != 0)
            mock_fail(peer, "expected message %u, got %.10s with id %s", i, frame->body,
                      frame->message_id);
    }
}

static void ack(struct mock_peer *peer, uint64_t tag, bool multiple)
{
    amqp_basic_ack_t method = {.delivery_tag = tag, .multiple = multiple};

    mock_send_method(peer, channel, AMQP_BASIC_ACK_METHOD, &method);
}

static void nack(struct mock_peer *peer, uint64_t tag, bool multiple)
{
    amqp_basic_nack_t method = {.delivery_tag = tag, .multiple = multiple};

    mock_send_method(peer, channel, AMQP_BASIC_NACK_METHOD, &method);
}

static void serve_to_the_end(struct mock_peer *peer)
{
    mock_serve(peer, PATIENCE_MS);
}

/* Open the channel, with confirms. */
static void set_up(struct mock_peer *peer)
{
    amqp_confirm_select_ok_t ok = {0};

    channel = mock_expect(peer, AMQP_CONFIRM_SELECT_METHOD)->channel;
    mock_send_method(peer, channel, AMQP_CONFIRM_SELECT_OK_METHOD, &ok);
}

/* Neither read nor write until the test says go. */
static void stand(struct mock_peer *peer, struct fixture *f)
{
    int64_t deadline = now_ms() + PATIENCE_MS;

    while (!atomic_load(&f->go) && now_ms() < deadline)
        mock_rest(peer, 10);
}

/* ---- confirms ---- */

static void ack_in_odd_order(struct mock_peer *peer, int connection, void *user)
{
    (void)connection;
    (void)user;
    mock_handshake(peer, NULL);
    expect(peer, 0, 4);
    ack(peer, 5, false);
    ack(peer, 3, false);
    ack(peer, 1, false);
    ack(peer, 2, false);
    ack(peer, 4, false);
    serve_to_the_end(peer);
}

/* Confirms out of order end their own messages, in the order in which they come. */
static void confirms_out_of_order(void **state)
{
    static const unsigned order[] = {3, 4, 2, 5, 1};
    struct fixture f = {.mock = NULL};

    (void)state;
    begin(&f, ack_in_odd_order, NULL, 0);
    ledger_publish_many(f.ledger, f.publisher, 5);
    flush(&f);
    for (unsigned i = 0; i < 5; i++) {
        assert_result(&f, i, WARREN_CONFIRMED, 1);
        assert_int_equal(ledger_entry(f.ledger, i)->order, order[i]);
    }
    end(&f, 1);
}

static void mix_acks_and_nacks(struct mock_peer *peer, int connection, void *user)
{
    (void)connection;
    (void)user;
    mock_handshake(peer, NULL);
    expect(peer, 0, 19);
    nack(peer, 3, false);
    ack(peer, 6, true); /* 1, 2, 4, 5, 6 */
    ack(peer, 9, false);
    nack(peer, 10, true); /* 7, 8, 10 */
    ack(peer, 12, false);
    nack(peer, 11, false);
    ack(peer, 20, true);
    serve_to_the_end(peer);
}

/* Multiple and single acks and nacks, interleaved: each tells of what is still open up to it. */
static void acks_and_nacks_interleaved(void **state)
{
    static const unsigned nacked[] = {3, 7, 8, 10, 11};
    struct fixture f = {.mock = NULL};
    unsigned next = 0;

    (void)state;
    begin(&f, mix_acks_and_nacks, NULL, 0);
    ledger_publish_many(f.ledger, f.publisher, 20);
    flush(&f);
    for (unsigned tag = 1; tag <= 20; tag++) {
        bool is_nacked = next < 5 && nacked[next] == tag;

        assert_result(&f, tag - 1, is_nacked ? WARREN_NACKED : WARREN_CONFIRMED, 1);
        next += is_nacked;
    }
    assert_int_equal(stats_of(&f).connects, 1);
    assert_int_equal(stats_of(&f).nacked, 5);
    end(&f, 1);
}

static void confirm_what_cannot_be(struct mock_peer *peer, int connection, void *user)
{
    (void)user;
    mock_handshake(peer, NULL);
    expect(peer, connection <= 2 ? 0 : 1, 4);
    switch (connection) {
    case 1:
        ack(peer, 6, false); /* five were sent */
        break;
    case 2:
        ack(peer, 1, false);
        ack(peer, 1, false);
        break;
    case 3:
        nack(peer, 0, true);
        break;
    default:
        ack(peer, 4, true);
        break;
    }
    serve_to_the_end(peer);
}

/* A confirm of an unknown tag, a second one, and one of tag 0 each cost the connection; what was
 * open is sent again. */
static void impossible_confirms_cost_the_connection(void **state)
{
    struct fixture f = {.mock = NULL};

    (void)state;
    begin(&f, confirm_what_cannot_be, NULL, 0);
    ledger_publish_many(f.ledger, f.publisher, 5);
    flush(&f);
    assert_result(&f, 0, WARREN_CONFIRMED, 2);
    for (unsigned i = 1; i < 5; i++)
        assert_result(&f, i, WARREN_CONFIRMED, 4);
    assert_int_equal(stats_of(&f).connects, 4);
    assert_int_equal(stats_of(&f).resent, 5 + 4 + 4);
    end(&f, 4);
}

/* ---- no confirms ---- */

static void confirm_late(struct mock_peer *peer, int connection, void *user)
{
    (void)connection;
    mock_handshake(peer, NULL);
    expect(peer, 0, 2);
    stand(peer, user);
    ack(peer, 3, true);
    expect(peer, 3, 4);
    ack(peer, 5, true);
    serve_to_the_end(peer);
}

/* A broker that does not confirm: TIMEOUT in time; its late confirms are no error, and what is
 * published then is confirmed. */
static void late_confirms_do_no_harm(void **state)
{
    struct fixture f = {.mock = NULL};
    int64_t began = now_ms();

    (void)state;
    begin(&f, confirm_late, NULL, LIMIT_MS);
    await_connection(&f);
    ledger_publish_many(f.ledger, f.publisher, 3);
    flush(&f);
    assert_true(now_ms() - began >= LIMIT_MS);
    for (unsigned i = 0; i < 3; i++)
        assert_result(&f, i, WARREN_TIMEOUT, 1);
    atomic_store(&f.go, true);
    ledger_time_limit(f.ledger, 0);
    ledger_publish_many(f.ledger, f.publisher, 2);
    flush(&f);
    assert_result(&f, 3, WARREN_CONFIRMED, 1);
    assert_result(&f, 4, WARREN_CONFIRMED, 1);
    assert_int_equal(stats_of(&f).connects, 1);
    end(&f, 1);
}

static void read_nothing_then_all(struct mock_peer *peer, int connection, void *user)
{
    mock_handshake(peer, NULL);
    if (connection == 1) {
        set_up(peer);
        stand(peer, user);
        return;
    }
    expect(peer, 1, 1);
    ack(peer, 1, false);
    serve_to_the_end(peer);
}

/* A broker that stops reading in the middle of a message: the message ends in time, its other half
 * is not sent to the next connection, and the next message is. */
static void half_a_message_ends_in_time(void **state)
{
    struct fixture f = {.mock = NULL};
    struct ledger_plan plan = {
        .routing_key = "q", .id_prefix = "id", .first_size = 32u << 20, .timeout_ms = LIMIT_MS};
    int64_t began = now_ms();

    (void)state;
    f.mock = mock_new(read_nothing_then_all, &f);
    f.ledger = ledger_new(2, &plan);
    f.publisher = publisher_open(mock_uri(f.mock), NULL);
    await_connection(&f);
    ledger_publish_many(f.ledger, f.publisher, 1);
    flush(&f);
    assert_true(now_ms() - began >= LIMIT_MS);
    assert_result(&f, 0, WARREN_TIMEOUT, 1);
    atomic_store(&f.go, true);
    ledger_time_limit(f.ledger, 0);
    ledger_publish_many(f.ledger, f.publisher, 1);
    flush(&f);
    assert_result(&f, 1, WARREN_CONFIRMED, 1);
    end(&f, 2);
}

/* ---- losses ---- */

static void close_the_channel_once(struct mock_peer *peer, int connection, void *user)
{
    (void)connection;
    (void)user;
    mock_handshake(peer, NULL);
    expect(peer, 0, 4);
    ack(peer, 2, false);
    mock_close_channel(peer, channel, 541, "INTERNAL_ERROR - by a test");
    /* It may have been a message's fault: so each comes alone. */
    for (unsigned i = 0; i < 5; i++) {
        if (i == 1)
            continue;
        expect(peer, i, i);
        ack(peer, i == 0 ? 1 : i, false);
    }
    serve_to_the_end(peer);
}

/* Stored, then channel.close without a confirm: what is open is sent again on a new channel, in
 * order, with the same ids. */
static void a_closed_channel_is_made_up_for(void **state)
{
    struct fixture f = {.mock = NULL};

    (void)state;
    begin(&f, close_the_channel_once, NULL, 0);
    ledger_publish_many(f.ledger, f.publisher, 5);
    flush(&f);
    for (unsigned i = 0; i < 5; i++)
        assert_result(&f, i, WARREN_CONFIRMED, i == 1 ? 1 : 2);
    assert_int_equal(stats_of(&f).connects, 1);
    end(&f, 1);
}

/* Whatever message with an odd number comes, the connection is closed over it. */
static void close_over_odd_ones(struct mock_peer *peer, int connection, void *user)
{
    amqp_connection_close_t close = {
        .reply_code = 540,
        .reply_text = amqp_cstring_bytes("NOT_IMPLEMENTED - by a test"),
        .class_id = AMQP_BASIC_CLASS,
        .method_id = AMQP_BASIC_PUBLISH_METHOD & 0xffff,
    };

    bool last = false;

    (void)connection;
    (void)user;
    mock_handshake(peer, NULL);
    for (uint64_t tag = 1; !last; tag++) {
        const struct mock_frame *frame = mock_expect(peer, AMQP_BASIC_PUBLISH_METHOD);

        channel = frame->channel;
        if (strtoul(frame->body, NULL, 10) % 2 == 1)
            break;
        ack(peer, tag, false);
        last = strtoul(frame->body, NULL, 10) == 6;
    }
    if (!last)
        mock_send_method(peer, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
    serve_to_the_end(peer);
}

/* A connection that is closed over a message is made again at once, whatever the delays are: it is
 * the message that ends. */
static void a_refusal_does_not_delay_the_next_connection(void **state)
{
    struct fixture f = {.mock = NULL};
    struct warren_publisher_options options;
    const char *uri;

    (void)state;
    f.mock = mock_new(close_over_odd_ones, &f);
    f.ledger = ledger_new(1000, &(struct ledger_plan){.routing_key = "q", .id_prefix = "id"});
    warren_publisher_options_init(&options);
    options.reconnect_delay_min_ms = options.reconnect_delay_max_ms = 600000;
    uri = mock_uri(f.mock);
    options.uris = &uri;
    options.uri_count = 1;
    assert_int_equal(warren_publisher_new(&options, &f.publisher, NULL), WARREN_OK);
    ledger_publish_many(f.ledger, f.publisher, 7);
    flush(&f);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(ledger_entry(f.ledger, i)->result,
                         i % 2 == 1 ? WARREN_RETURNED : WARREN_CONFIRMED);
    assert_int_equal(ledger_entry(f.ledger, 1)->reply_code, 540);
    end(&f, (int)stats_of(&f).connects);
}

/* @user counts the channels. */
static void refuse_confirms(struct mock_peer *peer, int connection, void *user)
{
    (void)connection;
    mock_handshake(peer, NULL);
    for (;;) {
        uint16_t number = mock_expect(peer, AMQP_CONFIRM_SELECT_METHOD)->channel;

        atomic_fetch_add((atomic_int *)user, 1);
        mock_close_channel(peer, number, 540, "NOT_IMPLEMENTED - by a test");
    }
}

/* What repeats itself, and nobody can end, does so more and more slowly. */
static void what_repeats_itself_is_slow(void **state)
{
    atomic_int channels = 0;
    struct mock *mock = mock_new(refuse_confirms, &channels);
    struct warren_publisher *publisher = publisher_open(mock_uri(mock), NULL);

    (void)state;
    assert_true(WAIT_FOR(atomic_load(&channels) >= 2, PATIENCE_MS));
    assert_false(WAIT_FOR(atomic_load(&channels) > 60, 500));
    warren_publisher_close(publisher, 0);
    mock_free(mock);
}

static void lose_the_connection(struct mock_peer *peer, int connection, void *user)
{
    amqp_connection_close_t close = {
        .reply_code = 320,
        .reply_text = amqp_cstring_bytes("CONNECTION_FORCED - by a test"),
    };

    (void)user;
    mock_handshake(peer, NULL);
    if (connection == 1) {
        expect(peer, 0, 49); /* of 100, of which the client has sent all by now or soon */
        ack(peer, 10, true);
        ack(peer, 20, false);
        mock_send_method(peer, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
    } else if (connection == 2) {
        expect(peer, 10, 18);
        expect(peer, 20, 59);
        return; /* the end of the connection without a word */
    } else {
        expect(peer, 10, 18);
        expect(peer, 20, 99);
        ack(peer, 89, true);
    }
    serve_to_the_end(peer);
}

/* connection.close in the middle of the window, then an end without a word: what is open is sent
 * again each time, in order, with the same ids, and at once. */
static void a_closed_connection_is_made_up_for(void **state)
{
    struct fixture f = {.mock = NULL};

    (void)state;
    begin(&f, lose_the_connection, NULL, 0);
    ledger_publish_many(f.ledger, f.publisher, 100);
    flush(&f);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(ledger_entry(f.ledger, i)->result, WARREN_CONFIRMED);
    assert_result(&f, 0, WARREN_CONFIRMED, 1);
    assert_result(&f, 19, WARREN_CONFIRMED, 1);
    assert_result(&f, 10, WARREN_CONFIRMED, 3);
    assert_int_equal(stats_of(&f).connects, 3);
    end(&f, 3);
}

static void deliver_to_a_publisher(struct mock_peer *peer, int connection, void *user)
{
    (void)user;
    mock_handshake(peer, NULL);
    expect(peer, 0, 2);
    if (connection == 1)
        mock_deliver(peer, channel, 1, "for whom?", 9);
    else
        ack(peer, 3, true);
    serve_to_the_end(peer);
}

/* Methods that no publisher asked for cost the connection, and no message. */
static void a_delivery_costs_the_connection(void **state)
{
    struct fixture f = {.mock = NULL};

    (void)state;
    begin(&f, deliver_to_a_publisher, NULL, 0);
    ledger_publish_many(f.ledger, f.publisher, 3);
    flush(&f);
    assert_result(&f, 2, WARREN_CONFIRMED, 2);
    end(&f, 2);
}

/* ---- returns ---- */

static void return_some(struct mock_peer *peer, int connection, void *user)
{
    (void)user;
    mock_handshake(peer, NULL);
    if (connection == 1) {
        expect(peer, 0, 1);
        mock_return(peer, 312, "NO_ROUTE");
        ack(peer, 2, true);
        expect(peer, 2, 2);
        mock_return(peer, 313, "NO_CONSUMERS");
        expect(peer, 3, 3);
    } else {
        expect(peer, 3, 3);
        ack(peer, 1, false);
        serve_to_the_end(peer);
    }
}

/* A return and then its ack is RETURNED, once; so is a return whose ack is lost with the
 * connection, and it is not sent again. */
static void returns_end_once(void **state)
{
    struct fixture f = {.mock = NULL};

    (void)state;
    begin(&f, return_some, NULL, 0);
    ledger_publish_many(f.ledger, f.publisher, 4);
    flush(&f);
    assert_result(&f, 0, WARREN_CONFIRMED, 1);
    assert_result(&f, 1, WARREN_RETURNED, 1);
    assert_int_equal(ledger_entry(f.ledger, 1)->reply_code, 312);
    assert_string_equal(ledger_entry(f.ledger, 1)->reply_text, "NO_ROUTE");
    assert_result(&f, 2, WARREN_RETURNED, 1);
    assert_int_equal(ledger_entry(f.ledger, 2)->reply_code, 313);
    assert_result(&f, 3, WARREN_CONFIRMED, 2);
    end(&f, 2);
}

/* ---- blocked, and small frames ---- */

static void block_first(struct mock_peer *peer, int connection, void *user)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on memory")};
    amqp_connection_unblocked_t unblocked = {0};

    (void)connection;
    mock_handshake(peer, NULL);
    mock_send_method(peer, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    set_up(peer);
    stand(peer, user);
    mock_send_method(peer, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
    expect(peer, 2, 5);
    ack(peer, 4, true);
    serve_to_the_end(peer);
}

/* Blocked before anything was sent: nothing is sent, what is too late ends as EXPIRED, callers are
 * bounded by the window, and all goes on when it is over. */
static void blocked_before_anything(void **state)
{
    struct fixture f = {.mock = NULL};
    struct warren_publisher_options options;

    (void)state;
    warren_publisher_options_init(&options);
    options.window_messages = 4;
    options.block_timeout_ms = 100;
    begin(&f, block_first, &options, 200);
    assert_true(WAIT_FOR(stats_of(&f).is_blocked, PATIENCE_MS));
    ledger_publish_many(f.ledger, f.publisher, 2);
    flush(&f);
    assert_result(&f, 0, WARREN_EXPIRED, 0);
    assert_result(&f, 1, WARREN_EXPIRED, 0);
    ledger_time_limit(f.ledger, 0);
    ledger_publish_many(f.ledger, f.publisher, 4);
    assert_int_equal(ledger_publish(f.ledger, f.publisher), WARREN_ETIMEOUT);
    atomic_store(&f.go, true);
    flush(&f);
    for (unsigned i = 2; i < 6; i++)
        assert_result(&f, i, WARREN_CONFIRMED, 1);
    assert_int_equal(stats_of(&f).blocked, 1);
    assert_false(stats_of(&f).is_blocked);
    end(&f, 1);
}

static void block_and_leave(struct mock_peer *peer, int connection, void *user)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on memory")};

    mock_handshake(peer, NULL);
    if (connection == 1) {
        mock_send_method(peer, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
        set_up(peer);
        stand(peer, user);
        return;
    }
    expect(peer, 0, 2);
    ack(peer, 3, true);
    serve_to_the_end(peer);
}

/* A block ends with its connection. */
static void a_block_ends_with_its_connection(void **state)
{
    struct fixture f = {.mock = NULL};

    (void)state;
    begin(&f, block_and_leave, NULL, 0);
    assert_true(WAIT_FOR(stats_of(&f).is_blocked, PATIENCE_MS));
    ledger_publish_many(f.ledger, f.publisher, 3);
    atomic_store(&f.go, true);
    flush(&f);
    assert_false(stats_of(&f).is_blocked);
    assert_result(&f, 2, WARREN_CONFIRMED, 1);
    end(&f, 2);
}

static void offer_small_frames(struct mock_peer *peer, int connection, void *user)
{
    const struct mock_tune tune = {.channel_max = 1, .frame_max = 4096, .heartbeat_s = 0};

    (void)connection;
    (void)user;
    mock_handshake(peer, &tune);
    expect(peer, 0, 0);
    ack(peer, 1, false);
    serve_to_the_end(peer);
}

static void keep_code(const struct warren_receipt *receipt, void *user)
{
    *(int *)user = receipt->result == WARREN_RETURNED ? receipt->reply_code : -1;
}

/* A broker with small frames gets bodies in small frames; headers that fit into none of them are
 * returned. */
static void small_frames(void **state)
{
    struct fixture f = {.mock = NULL};
    struct ledger_plan plan = {.routing_key = "q", .id_prefix = "id", .body_size = 10000};
    static const char large[5000] = "zeroes";
    struct warren_field header = {"large",
                                  {.type = WARREN_BYTES, .as.bytes = {large, sizeof large}}};
    struct warren_message message = {.properties.headers = {&header, 1}};
    struct warren_publish publish = {.routing_key = "q", .message = &message};
    int code = 0;

    (void)state;
    f.mock = mock_new(offer_small_frames, &f);
    f.ledger = ledger_new(1, &plan);
    f.publisher = publisher_open(mock_uri(f.mock), NULL);
    assert_int_equal(warren_publisher_publish(f.publisher, &publish, keep_code, &code, NULL),
                     WARREN_OK);
    ledger_publish_many(f.ledger, f.publisher, 1);
    flush(&f);
    assert_int_equal(code, 311);
    assert_result(&f, 0, WARREN_CONFIRMED, 1);
    end(&f, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confirms_out_of_order),
        cmocka_unit_test(acks_and_nacks_interleaved),
        cmocka_unit_test(impossible_confirms_cost_the_connection),
        cmocka_unit_test(late_confirms_do_no_harm),
        cmocka_unit_test(half_a_message_ends_in_time),
        cmocka_unit_test(a_closed_channel_is_made_up_for),
        cmocka_unit_test(a_refusal_does_not_delay_the_next_connection),
        cmocka_unit_test(what_repeats_itself_is_slow),
        cmocka_unit_test(a_closed_connection_is_made_up_for),
        cmocka_unit_test(a_delivery_costs_the_connection),
        cmocka_unit_test(returns_end_once),
        cmocka_unit_test(blocked_before_anything),
        cmocka_unit_test(a_block_ends_with_its_connection),
        cmocka_unit_test(small_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
