/* The series of a publisher: what the page says after what a scripted broker did, and what it says
 * of a spool.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "support/ledger.h"
#include "support/metric_page.h"
#include "support/mock.h"
#include "support/wait.h"

struct fixture {
    struct mock *mock;
    struct ledger *ledger;
    struct warren_publisher *publisher;
    atomic_bool go; /* the test lets the script go on */
};

static void begin(struct fixture *f, mock_script *script,
                  const struct warren_publisher_options *options)
{
    struct ledger_plan plan = {.routing_key = "q", .id_prefix = "id"};

    f->mock = mock_new(script, f);
    f->ledger = ledger_new(1000, &plan);
    f->publisher = publisher_open(mock_uri(f->mock), options);
}

static void end(struct fixture *f)
{
    warren_publisher_close(f->publisher, 1000);
    assert_string_equal(mock_error(f->mock), "");
    mock_free(f->mock);
    ledger_free(f->ledger);
}

static void expect(struct mock_peer *peer, unsigned count, uint16_t *channel)
{
    for (unsigned i = 0; i < count; i++)
        *channel = mock_expect(peer, AMQP_BASIC_PUBLISH_METHOD)->channel;
}

static void set_up(struct mock_peer *peer)
{
    amqp_confirm_select_ok_t ok = {0};
    uint16_t channel = mock_expect(peer, AMQP_CONFIRM_SELECT_METHOD)->channel;

    mock_send_method(peer, channel, AMQP_CONFIRM_SELECT_OK_METHOD, &ok);
}

static void stand(struct mock_peer *peer, struct fixture *f)
{
    int64_t deadline = now_ms() + PATIENCE_MS;

    while (!atomic_load(&f->go) && now_ms() < deadline)
        mock_rest(peer, 10);
    atomic_store(&f->go, false);
}

/* ---- results, window, blocked ---- */

static void answer_in_turn(struct mock_peer *peer, int connection, void *user)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on memory")};
    amqp_connection_unblocked_t unblocked = {0};
    amqp_basic_ack_t ack = {.delivery_tag = 2, .multiple = true};
    amqp_basic_nack_t nack = {.delivery_tag = 3};
    uint16_t channel;

    (void)connection;
    mock_handshake(peer, NULL);
    set_up(peer);
    expect(peer, 3, &channel);
    stand(peer, user);
    mock_send_method(peer, channel, AMQP_BASIC_ACK_METHOD, &ack);
    mock_send_method(peer, channel, AMQP_BASIC_NACK_METHOD, &nack);
    mock_send_method(peer, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    stand(peer, user);
    mock_send_method(peer, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
    mock_serve(peer, PATIENCE_MS);
}

#define OF(name) "warren_" name "{publisher=\"metered\"}"
#define RESULT_OF(result)                                                                          \
    "warren_published_messages_total{publisher=\"metered\",result=\"" result "\"}"
#define CONFIRM_TIME(what) "warren_confirm_duration_seconds_" what "{publisher=\"metered\"}"

static void assert_series(const char *series, double value)
{
    double is = metric_on_page(series);

    if (!(is == value))
        fail_msg("%s is %g, expected %g", series, is, value);
}

/* The window while nothing is confirmed, its bounds, who found it full; then what became of each
 * message; how long the broker blocked grows until it is over, and not from then on. */
static void what_becomes_of_messages_is_seen(void **state)
{
    struct fixture f = {.mock = NULL};
    struct warren_publisher_options options;
    double blocked_s;

    (void)state;
    warren_publisher_options_init(&options);
    options.name = "metered";
    options.window_messages = 3;
    options.when_full = WARREN_FAIL;
    begin(&f, answer_in_turn, &options);
    ledger_publish_many(f.ledger, f.publisher, 3);
    assert_int_equal(ledger_publish(f.ledger, f.publisher), WARREN_EFULL);
    assert_series(OF("window_messages"), 3);
    assert_series(OF("window_max_messages"), 3);
    assert_true(metric_on_page(OF("window_bytes")) > 0);
    assert_series(OF("window_max_bytes"), 64 << 20);
    assert_series(OF("window_full_total"), 1);
    assert_series(OF("publish_accepted_total"), 3);
    assert_series(CONFIRM_TIME("count"), 0);
    atomic_store(&f.go, true);
    assert_int_equal(warren_publisher_flush(f.publisher, (uint32_t)PATIENCE_MS), WARREN_OK);
    assert_series(RESULT_OF("confirmed"), 2);
    assert_series(RESULT_OF("nacked"), 1);
    assert_series(RESULT_OF("expired"), 0);
    assert_series(CONFIRM_TIME("count"), 2);
    assert_true(metric_on_page(CONFIRM_TIME("sum")) > 0);
    assert_series(OF("window_messages"), 0);
    assert_series(OF("publisher_connected"), 1);
    assert_series(OF("publisher_connects_total"), 1);
    assert_true(WAIT_FOR(metric_on_page(OF("publisher_blocked")) == 1, PATIENCE_MS));
    blocked_s = metric_on_page(OF("publisher_blocked_seconds_total"));
    assert_true(
        WAIT_FOR(metric_on_page(OF("publisher_blocked_seconds_total")) > blocked_s, PATIENCE_MS));
    atomic_store(&f.go, true);
    assert_true(WAIT_FOR(metric_on_page(OF("publisher_blocked")) == 0, PATIENCE_MS));
    blocked_s = metric_on_page(OF("publisher_blocked_seconds_total"));
    assert_true(blocked_s > 0);
    assert_series(OF("publisher_blocked_seconds_total"), blocked_s);
    assert_series(OF("publisher_blocks_total"), 1);
    assert_true(isnan(metric_on_page(OF("spool_bytes"))));
    end(&f);
    assert_true(isnan(metric_on_page(OF("publish_accepted_total"))));
}

/* ---- lost ---- */

static void leave_once(struct mock_peer *peer, int connection, void *user)
{
    amqp_basic_ack_t ack = {.delivery_tag = 2, .multiple = true};
    uint16_t channel;

    (void)user;
    mock_handshake(peer, NULL);
    set_up(peer);
    expect(peer, 2, &channel);
    if (connection == 1)
        return;
    mock_send_method(peer, channel, AMQP_BASIC_ACK_METHOD, &ack);
    mock_serve(peer, PATIENCE_MS);
}

#define LOSSY(what) "warren_" what "{publisher=\"lossy\"}"

/* Each is confirmed once, however often it was written; that is counted. */
static void losses_are_seen(void **state)
{
    struct fixture f = {.mock = NULL};
    struct warren_publisher_options options;

    (void)state;
    warren_publisher_options_init(&options);
    options.name = "lossy"; /* totals of the one before stay */
    begin(&f, leave_once, &options);
    ledger_publish_many(f.ledger, f.publisher, 2);
    assert_int_equal(warren_publisher_flush(f.publisher, (uint32_t)PATIENCE_MS), WARREN_OK);
    assert_series(LOSSY("publisher_connects_total"), 2);
    assert_true(metric_on_page(LOSSY("publisher_losses_total")) >= 1);
    assert_series(LOSSY("published_again_total"), 2);
    assert_series("warren_published_messages_total{publisher=\"lossy\",result=\"confirmed\"}", 2);
    assert_series(LOSSY("confirm_duration_seconds_count"), 2);
    end(&f);
}

/* ---- requests ---- */

#define REQUESTS_MAX 65536

static void on_reply(enum warren_status status, struct warren_reply *reply, const char *why,
                     void *user)
{
    unsigned *ended = user;

    (void)status;
    (void)why;
    assert_null(reply);
    ++*ended;
}

/* As many as may be open wait for a connection; the next is refused, and counted. */
static void requests_are_seen(void **state)
{
    struct warren_message message = {.body = warren_text("?")};
    const struct warren_publish publish = {.routing_key = "q", .message = &message};
    struct warren_publisher_options options;
    struct warren_publisher *publisher;
    unsigned ended = 0;

    (void)state;
    warren_publisher_options_init(&options);
    options.name = "metered";
    options.window_messages = 2 * REQUESTS_MAX;
    publisher = publisher_open("amqp://127.0.0.1:1/", &options);
    for (int i = 0; i < REQUESTS_MAX; i++)
        assert_int_equal(
            warren_publisher_request_async(publisher, &publish, 600000, on_reply, &ended, NULL),
            WARREN_OK);
    assert_series(OF("requests_open"), REQUESTS_MAX);
    assert_series(OF("requests_full_total"), 0);
    assert_int_equal(
        warren_publisher_request_async(publisher, &publish, 600000, on_reply, &ended, NULL),
        WARREN_EFULL);
    assert_series(OF("requests_full_total"), 1);
    assert_series(OF("requests_open"), REQUESTS_MAX);
    assert_series(OF("requests_total"), REQUESTS_MAX);
    warren_publisher_close(publisher, 0);
    assert_int_equal(ended, REQUESTS_MAX);
}

/* ---- the spool ---- */

/* Without a broker everything waits on disk, and gets older. */
static void a_spool_is_seen(void **state)
{
    char *directory = scratch_new();
    char *path = text("%s/spool.db", directory);
    struct ledger *ledger =
        ledger_new(10, &(struct ledger_plan){.routing_key = "q", .id_prefix = "id"});
    struct warren_publisher_options options;
    struct warren_publisher *publisher;
    double age_s;

    (void)state;
    warren_publisher_options_init(&options);
    options.name = "metered";
    options.spool_path = path;
    options.spool_max_bytes = 1 << 20;
    publisher = publisher_open("amqp://127.0.0.1:1/", &options);
    ledger_publish_many(ledger, publisher, 3);
    assert_series(OF("spooled_total"), 3);
    assert_series("warren_spool_messages{publisher=\"metered\",state=\"waiting\"}", 3);
    assert_series("warren_spool_messages{publisher=\"metered\",state=\"refused\"}", 0);
    assert_true(metric_on_page(OF("spool_bytes")) > 0);
    assert_series(OF("spool_max_bytes"), 1 << 20);
    assert_series(OF("spool_full_total"), 0);
    assert_true(WAIT_FOR(metric_on_page(OF("spool_oldest_seconds")) > 0, PATIENCE_MS));
    age_s = metric_on_page(OF("spool_oldest_seconds"));
    assert_true(WAIT_FOR(metric_on_page(OF("spool_oldest_seconds")) > age_s, PATIENCE_MS));
    warren_publisher_close(publisher, 0);
    ledger_free(ledger);
    free(path);
    scratch_free(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_becomes_of_messages_is_seen),
        cmocka_unit_test(losses_are_seen),
        cmocka_unit_test(requests_are_seen),
        cmocka_unit_test(a_spool_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
