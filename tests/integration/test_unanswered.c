/* test_unanswered.c - a broker that never answers one method, as RabbitMQ does to basic.consume on
 * a quorum queue without a leader: the channel is given up, and the rest goes on.
 */
#include "amqp/consumer/consumer.h"
#include "amqp/topology/topology.h"
#include "support/amqp_rig.h"
#include "support/mock.h"
#include "support/test.h"

#define ANSWER_MS      15000
#define RPC_TIMEOUT_MS 500

/* ---- a subscription, acked at once ---- */

struct sub {
    struct rig *rig;
    struct consumer *consumer;
    int delivered;
    int consuming;
    int interrupted;
    char reason[256];
};

static void on_deliver(void *user, struct delivery *delivery)
{
    struct sub *sub = user;

    sub->delivered++;
    consumer_settle(sub->consumer, delivery, VERDICT_ACK);
}

static void on_consuming(void *user)
{
    ((struct sub *)user)->consuming++;
}

static void on_interrupted(void *user, const char *reason, uint32_t retry_ms)
{
    struct sub *sub = user;

    (void)retry_ms;
    sub->interrupted++;
    snprintf(sub->reason, sizeof sub->reason, "%s", reason);
}

static void on_unfit(void *user, struct delivery *without_body, const char *why, uint64_t body_size)
{
    (void)user;
    (void)without_body;
    (void)body_size;
    fail_msg("unfit: %s", why);
}

static void subscribe(struct sub *sub, struct rig *rig, const char *queue)
{
    static const struct consumer_events events = {on_deliver, on_consuming, on_interrupted,
                                                  on_unfit, NULL};
    const struct consumer_options options = {
        .queue = queue, .prefetch = 10, .message_max = 1 << 20, .straggler_age_ms = 20};

    *sub = (struct sub){.rig = rig};
    assert_int_equal(consumer_new(rig->connection, &options, &events, sub, &sub->consumer),
                     WARREN_OK);
    consumer_start(sub->consumer);
}

static void short_timeout(struct connection_options *options)
{
    options->rpc_timeout_ms = RPC_TIMEOUT_MS * (uint32_t)slowness();
    options->reconnect_delay_min_ms = 10;
    options->reconnect_delay_max_ms = 20;
}

static void no_heartbeats(struct connection_options *options)
{
    short_timeout(options);
    options->heartbeat_s = 0;
}

/* ---- what scripts are made of ---- */

static void answer_consume(struct mock_peer *peer, uint16_t channel)
{
    amqp_basic_consume_ok_t ok = {.consumer_tag = amqp_cstring_bytes("mock")};

    mock_send_method(peer, channel, AMQP_BASIC_CONSUME_OK_METHOD, &ok);
}

static void answer_close(struct mock_peer *peer, uint16_t channel)
{
    amqp_channel_close_ok_t ok = {0};

    mock_send_method(peer, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
}

/* Later a sign of life that no call waits for. */
static void beat_later(struct mock_peer *peer)
{
    mock_rest(peer, RPC_TIMEOUT_MS / 2 * slowness());
    mock_send_frame(peer, AMQP_FRAME_HEARTBEAT, 0, "", 0);
}

static bool names(amqp_bytes_t queue, const char *name)
{
    return queue.len == strlen(name) && memcmp(queue.bytes, name, queue.len) == 0;
}

/* The next basic.consume, which must be for @queue. */
static uint16_t expect_consume(struct mock_peer *peer, const char *queue)
{
    const struct mock_frame *frame = mock_expect(peer, AMQP_BASIC_CONSUME_METHOD);

    if (!names(((amqp_basic_consume_t *)frame->decoded)->queue, queue))
        mock_fail(peer, "expected a subscription to %s", queue);
    return frame->channel;
}

/* ---- one of two subscriptions ---- */

static void leave_one_alone(struct mock_peer *peer, int connection, void *user)
{
    uint16_t mute, good, again;

    (void)connection;
    (void)user;
    mock_handshake(peer, NULL);
    mute = expect_consume(peer, "mute");
    good = expect_consume(peer, "good");
    answer_consume(peer, good);
    mock_deliver(peer, good, 1, "before", 6);
    beat_later(peer);
    if (mock_expect(peer, AMQP_CHANNEL_CLOSE_METHOD)->channel != mute)
        mock_fail(peer, "another channel was closed");
    mock_deliver(peer, good, 2, "after", 5);
    again = expect_consume(peer, "mute");
    if (again == mute)
        mock_fail(peer, "the number is used again before the broker closed it");
    answer_consume(peer, again);
    mock_deliver(peer, again, 1, "at last", 7);
    answer_consume(peer, mute); /* too late, and no fault */
    mock_deliver(peer, mute, 1, "for nobody", 10);
    answer_close(peer, mute);
    mock_deliver(peer, good, 3, "still", 5);
    mock_serve(peer, ANSWER_MS);
}

/* basic.consume of one subscription is not answered: it is told by name and tried again on another
 * channel until it is; the other subscription does not notice. */
static void an_unanswered_subscription_fails_alone(void **state)
{
    struct mock *mock = mock_new(leave_one_alone, NULL);
    struct rig *rig = rig_new_with(mock_uri(mock), short_timeout);
    struct sub mute, good;
    char reason[128];

    (void)state;
    subscribe(&mute, rig, "mute");
    subscribe(&good, rig, "good");
    assert_true(RIG_UNTIL(rig, mute.interrupted == 1, ANSWER_MS));
    snprintf(reason, sizeof reason, "the broker did not answer basic.consume within %d%s",
             RPC_TIMEOUT_MS * slowness() % 1000 ? RPC_TIMEOUT_MS * slowness()
                                                : RPC_TIMEOUT_MS * slowness() / 1000,
             RPC_TIMEOUT_MS * slowness() % 1000 ? "ms" : "s");
    assert_string_equal(mute.reason, reason);
    if (!RIG_UNTIL(rig, mute.delivered == 1 && good.delivered == 3, ANSWER_MS))
        fail_msg("mute %d, good %d; the mock: %s", mute.delivered, good.delivered,
                 mock_error(mock));
    assert_int_equal(mute.consuming, 1);
    assert_int_equal(good.consuming, 1);
    assert_int_equal(good.interrupted, 0);
    assert_int_equal(rig->losses, 0);
    consumer_free(mute.consumer);
    consumer_free(good.consumer);
    rig_free(rig);
    assert_int_equal(mock_accepted(mock), 1);
    mock_free(mock);
}

/* ---- the whole connection ---- */

static void say_nothing_more(struct mock_peer *peer, int connection, void *user)
{
    uint16_t channel;

    (void)user;
    mock_handshake(peer, NULL);
    channel = expect_consume(peer, "mute");
    if (connection == 1) {
        mock_expect(peer, AMQP_CONFIRM_SELECT_METHOD); /* which never comes */
    } else {
        answer_consume(peer, channel);
        mock_serve(peer, ANSWER_MS);
    }
}

/* Nothing at all comes any more, and no heartbeats were agreed that would tell: the connection is
 * made anew. */
static void a_silent_connection_fails_as_a_whole(void **state)
{
    struct mock *mock = mock_new(say_nothing_more, NULL);
    struct rig *rig = rig_new_with(mock_uri(mock), no_heartbeats);
    struct sub mute;

    (void)state;
    subscribe(&mute, rig, "mute");
    assert_true(RIG_UNTIL(rig, rig->losses == 1, ANSWER_MS));
    assert_non_null(strstr(rig->why, "no answer to basic.consume"));
    if (!RIG_UNTIL(rig, mute.consuming == 1, ANSWER_MS))
        fail_msg("the mock: %s", mock_error(mock));
    consumer_free(mute.consumer);
    rig_free(rig);
    mock_free(mock);
}

/* Takes part in everything, but answers no basic.consume and closes no channel. */
static void close_no_channel(struct mock_peer *peer, int connection, void *user)
{
    const struct mock_tune tune = {.channel_max = 5, .frame_max = 131072, .heartbeat_s = 60};
    uint16_t channel;
    int *given_up = user;

    mock_handshake(peer, &tune);
    if (connection == 1) {
        /* Until the connection is dropped, which ends this conversation. */
        for (*given_up = 0;; ++*given_up) {
            expect_consume(peer, "mute");
            beat_later(peer);
            mock_expect(peer, AMQP_CHANNEL_CLOSE_METHOD);
        }
    }
    channel = expect_consume(peer, "mute");
    answer_consume(peer, channel);
    mock_serve(peer, ANSWER_MS);
}

/* Channels that the broker does not close are not heaped up: at half of what may be open the
 * connection is made anew. */
static void channels_given_up_are_bounded(void **state)
{
    int given_up = 0;
    struct mock *mock = mock_new(close_no_channel, &given_up);
    struct rig *rig = rig_new_with(mock_uri(mock), short_timeout);
    struct sub mute;

    (void)state;
    subscribe(&mute, rig, "mute");
    assert_true(RIG_UNTIL(rig, rig->losses == 1, 2 * ANSWER_MS));
    assert_int_equal(given_up, 2);
    assert_non_null(strstr(rig->why, "nor to the close of 2 channels"));
    if (!RIG_UNTIL(rig, mute.consuming == 1, ANSWER_MS))
        fail_msg("the mock: %s", mock_error(mock));
    consumer_free(mute.consumer);
    rig_free(rig);
    mock_free(mock);
}

/* ---- topology ---- */

struct round {
    int done;
    uint32_t refused;
    char item[256];
    char words[256];
};

static void on_refused(void *user, const char *item, uint16_t code, const char *words)
{
    struct round *round = user;

    assert_int_equal(code, 0);
    snprintf(round->item, sizeof round->item, "%s", item);
    snprintf(round->words, sizeof round->words, "%s", words);
}

static void on_done(void *user, uint32_t refused)
{
    struct round *round = user;

    round->done++;
    round->refused = refused;
}

/* Answer declares of queues other than @but, until one of @last came. */
static void answer_declares(struct mock_peer *peer, const char *but, const char *last)
{
    for (;;) {
        const struct mock_frame *frame = mock_expect(peer, AMQP_QUEUE_DECLARE_METHOD);
        const amqp_queue_declare_t *declare = frame->decoded;
        amqp_queue_declare_ok_t ok = {.queue = declare->queue};

        if (!names(declare->queue, but))
            mock_send_method(peer, frame->channel, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
        if (names(declare->queue, last))
            return;
    }
}

static void leave_one_undeclared(struct mock_peer *peer, int connection, void *user)
{
    uint16_t channel;

    (void)connection;
    (void)user;
    mock_handshake(peer, NULL);
    for (;;) { /* in one write: the third waits behind the second */
        const struct mock_frame *frame = mock_expect(peer, AMQP_QUEUE_DECLARE_METHOD);
        const amqp_queue_declare_t *declare = frame->decoded;
        amqp_queue_declare_ok_t ok = {.queue = declare->queue};

        channel = frame->channel;
        if (names(declare->queue, "mute"))
            break;
        mock_send_method(peer, channel, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
    }
    mock_expect(peer, AMQP_QUEUE_DECLARE_METHOD);
    beat_later(peer);
    mock_expect(peer, AMQP_CHANNEL_CLOSE_METHOD);
    answer_close(peer, channel);
    answer_declares(peer, "mute", "last");
    answer_declares(peer, "", "last"); /* the second round */
    mock_serve(peer, ANSWER_MS);
}

/* One declare is not answered: it is told, the rest is declared, and the next round tries it
 * again. */
static void an_unanswered_declare_is_left_out(void **state)
{
    static const struct topology_events events = {on_refused, on_done};
    struct mock *mock = mock_new(leave_one_undeclared, NULL);
    struct rig *rig = rig_new_with(mock_uri(mock), short_timeout);
    struct config_queue queues[] = {{.name = "first", .type = "classic", .durable = true},
                                    {.name = "mute", .type = "quorum", .durable = true},
                                    {.name = "last", .type = "classic", .durable = true}};
    const struct config_topology config = {.queues = queues, .queue_count = 3};
    struct topology *topology;
    struct round round = {.done = 0};

    (void)state;
    assert_int_equal(topology_new(rig->connection, &config, &events, &round, &topology), WARREN_OK);
    topology_declare(topology);
    if (!RIG_UNTIL(rig, round.done == 1, ANSWER_MS))
        fail_msg("the mock: %s", mock_error(mock));
    assert_int_equal(round.refused, 1);
    assert_true(topology_is_late(topology));
    assert_non_null(strstr(round.item, "queue 'mute'"));
    assert_non_null(strstr(round.words, "did not answer queue.declare"));
    topology_declare(topology);
    if (!RIG_UNTIL(rig, round.done == 2, ANSWER_MS))
        fail_msg("the mock: %s", mock_error(mock));
    assert_int_equal(round.refused, 0);
    assert_false(topology_is_late(topology));
    assert_int_equal(rig->losses, 0);
    topology_free(topology);
    rig_free(rig);
    mock_free(mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unanswered_subscription_fails_alone),
        cmocka_unit_test(a_silent_connection_fails_as_a_whole),
        cmocka_unit_test(channels_given_up_are_bounded),
        cmocka_unit_test(an_unanswered_declare_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
