/* test_delay_queues.c - messages that are delivered later, on a real broker: where they arrive and
 * as what, what is declared for them, and what a part that is refused or missing means.
 * Elsewhere: their times, and a broker that dies (test_fault_delay.c).
 */
#include "delay_fixture.h"

#include "publish/publisher/publisher.h"

static bool arrives(struct fixture *f, const char *queue, struct peer_message *message)
{
    return WAIT_FOR(peer_get(f->peer, queue, message), PATIENCE_MS);
}

static int count_of(struct fixture *f, const char *queue)
{
    return peer_count(f->peer, queue);
}

static char *queues_of(struct fixture *f)
{
    return broker_eval(f->broker,
                       "lists:flatten(lists:join(\" \", lists:sort([binary_to_list(element(4,"
                       " amqqueue:get_name(Q))) || Q <- rabbit_amqqueue:list(<<\"%s\">>)]))).",
                       f->vhost);
}

/* All messages of a quorum queue, also those that it is handing on; some seconds old. */
static int kept_in(struct fixture *f, const char *queue)
{
    char *answer = broker_eval(
        f->broker,
        "{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"%s\">>, queue, <<\"%s\">>)),"
        "[{_, N}] = rabbit_amqqueue:info(Q, [messages]), N.",
        f->vhost, queue);
    int count = atoi(answer);

    free(answer);
    return count;
}

static const amqp_field_value_t *header_of(const struct peer_message *message, const char *name)
{
    const amqp_table_t *headers = &message->properties->headers;

    for (int i = 0; i < headers->num_entries; i++)
        if (headers->entries[i].key.len == strlen(name) &&
            memcmp(headers->entries[i].key.bytes, name, strlen(name)) == 0)
            return &headers->entries[i].value;
    return NULL;
}

/* ---- what arrives ---- */

/* At a queue: as if it had been published to it then, but for headers that tell its way. */
static void a_queue_gets_it_later(void **state)
{
    struct fixture *f = *state;
    struct sent sent;
    struct peer_message message;

    assert_int_equal(send_and_wait(f, "", f->queue, "later", 1000, &sent), WARREN_CONFIRMED);
    assert_int_equal(count_of(f, f->queue), 0);
    assert_true(arrives(f, f->queue, &message));
    assert_true(now_ms() - sent.published_ms >= 1000);
    assert_string_equal(message.body, "later");
    assert_string_equal(message.exchange, "");
    assert_string_equal(message.routing_key, f->queue);
    assert_non_null(header_of(&message, "warren-delay-00"));
    assert_non_null(header_of(&message, "x-death"));
    assert_int_equal(message.properties->delivery_mode, 2);
    peer_message_done(&message);
    assert_int_equal(sent.receipts, 1);
}

/* An exchange routes it by the key that it was published with, through two levels. */
static void an_exchange_gets_the_same_key(void **state)
{
    struct fixture *f = *state;
    struct sent sent;
    struct peer_message message;

    peer_exchange(f->peer, "shop", "topic");
    peer_bind(f->peer, f->queue, "shop", "order.*.paid");
    assert_int_equal(send_and_wait(f, "shop", "order.7.paid", "x", 3000, &sent), WARREN_CONFIRMED);
    assert_true(arrives(f, f->queue, &message));
    assert_true(now_ms() - sent.published_ms >= 3000);
    assert_string_equal(message.exchange, "shop");
    assert_string_equal(message.routing_key, "order.7.paid");
    peer_message_done(&message);
}

/* Properties and headers of the message are untouched, and so is its body. */
static void properties_arrive(void **state)
{
    struct fixture *f = *state;
    struct warren_field mine = warren_field_i64("mine", 5);
    struct warren_message message = {.properties = {.headers = {&mine, 1},
                                                    .content_type = "text/plain",
                                                    .message_id = "m-1",
                                                    .has_priority = true,
                                                    .priority = 3},
                                     .body = {"a\0b", 3}};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    struct sent sent = {.result = WARREN_TIMEOUT};
    struct peer_message got;

    assert_int_equal(
        warren_publisher_publish_after(f->publisher, &publish, 1, on_receipt, &sent, NULL),
        WARREN_OK);
    assert_true(arrives(f, f->queue, &got));
    assert_int_equal(got.length, 3);
    assert_memory_equal(got.body, "a\0b", 3);
    assert_string_equal(got.message_id, "m-1");
    assert_int_equal(header_of(&got, "mine")->value.i64, 5);
    assert_int_equal(got.properties->priority, 3);
    assert_true(has_ended(&sent));
    peer_message_done(&got);
}

/* The most headers that are taken leave room for the notes that the broker makes on the way: the
 * message still comes in a frame, which the peer's library refuses if it is too large. */
static void the_largest_headers_arrive_in_a_frame(void **state)
{
    enum { FRAME = 131072, STEP = 64 };
    struct fixture *f = *state;
    char *big = malloc(FRAME);
    struct warren_field header = {"big", {.type = WARREN_STRING}};
    struct warren_message message = {.properties = {.headers = {&header, 1}}};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    struct sent sent = {.result = WARREN_TIMEOUT};
    enum warren_status status = WARREN_ETOOBIG;
    struct peer_message got;
    size_t size = FRAME;

    assert_non_null(big);
    memset(big, 'x', FRAME);
    while (status == WARREN_ETOOBIG && size > FRAME / 2) {
        size -= STEP;
        header.value.as.bytes = (struct warren_bytes){big, size};
        status =
            warren_publisher_publish_after(f->publisher, &publish, 1000, on_receipt, &sent, NULL);
    }
    assert_int_equal(status, WARREN_OK);
    assert_in_range(size, FRAME - 4096, FRAME - 1024);
    assert_true(arrives(f, f->queue, &got));
    assert_int_equal(header_of(&got, "big")->value.bytes.len, size);
    assert_non_null(header_of(&got, "x-death"));
    assert_true(has_ended(&sent));
    peer_message_done(&got);
    free(big);
}

/* A delayed message that is published again with all its headers, the broker's notes of its first
 * way among them, is not taken for one in a cycle: it comes a second time. */
static void it_may_be_delayed_again(void **state)
{
    struct fixture *f = *state;
    struct warren_field death[] = {
        warren_field_i64("count", 1),
        warren_field_text("reason", "expired"),
        warren_field_text("queue", "warren.delay.00"),
        warren_field_text("exchange", "warren.delay.00"),
    };
    struct warren_value table = {.type = WARREN_TABLE, .as.table = {death, 4}};
    struct warren_field deaths = {.name = "x-death",
                                  .value = {.type = WARREN_ARRAY, .as.array = {&table, 1}}};
    struct warren_message message = {.properties.headers = {&deaths, 1}};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    struct peer_message got;

    assert_int_equal(warren_publisher_publish_after(f->publisher, &publish, 1000, NULL, NULL, NULL),
                     WARREN_OK);
    assert_true(arrives(f, f->queue, &got));
    peer_message_done(&got);
}

/* Without a delay it is an ordinary publish: no delay queue comes to be. */
static void no_delay_is_no_detour(void **state)
{
    struct fixture *f = *state;
    struct sent sent;
    char *queues;

    assert_int_equal(send_and_wait(f, "", f->queue, "now", 0, &sent), WARREN_CONFIRMED);
    assert_int_equal(count_of(f, f->queue), 1);
    assert_int_equal(send_and_wait(f, "", f->queue, "now", -5, &sent), WARREN_CONFIRMED);
    assert_int_equal(count_of(f, f->queue), 2);
    queues = queues_of(f);
    assert_null(strstr(queues, "warren.delay"));
    free(queues);
}

/* What the framework retries goes to the queue itself, whatever exchange it came from. */
static void a_retry_goes_to_the_queue(void **state)
{
    struct fixture *f = *state;
    struct warren_message message = {.properties.expiration = "1", .body = {"r", 1}};
    struct warren_publish publish = {
        .exchange = "elsewhere", .routing_key = "some.key", .message = &message};
    static const int64_t delays_ms[] = {1000, 0};

    for (size_t i = 0; i < 2; i++) {
        struct sent sent = {.result = WARREN_TIMEOUT};
        struct peer_message got;

        message.properties.expiration = delays_ms[i] ? "1" : NULL;
        assert_int_equal(publisher_relay(f->publisher, &publish, NULL, f->queue, delays_ms[i], 1000,
                                         on_receipt, &sent),
                         WARREN_OK);
        assert_true(arrives(f, f->queue, &got));
        assert_string_equal(got.routing_key, f->queue);
        assert_true(has_ended(&sent));
        assert_int_equal(sent.result, WARREN_CONFIRMED);
        peer_message_done(&got);
    }
}

/* ---- what waits for what ---- */

/* A long delay that was published first holds no short one. */
static void a_short_delay_passes_a_long_one(void **state)
{
    struct fixture *f = *state;
    struct sent sent[2];
    struct peer_message message;

    assert_int_equal(send_and_wait(f, "", f->queue, "long", 3600000, &sent[0]), WARREN_CONFIRMED);
    assert_int_equal(send_and_wait(f, "", f->queue, "short", 1000, &sent[1]), WARREN_CONFIRMED);
    assert_true(arrives(f, f->queue, &message));
    assert_string_equal(message.body, "short");
    peer_message_done(&message);
    assert_int_equal(count_of(f, "warren.delay.11"), 1); /* 2048 of 3600 s */
}

/* More messages than the broker dead-letters at once (32) find no queue behind their exchange, and
 * as many find their queue full: they wait in departure queues, and others pass. */
static void a_destination_that_takes_nothing_holds_nobody_else(void **state)
{
    static const unsigned stuck = 40;
    struct fixture *f = *state;
    amqp_table_entry_t full[] = {{.key = amqp_cstring_bytes("x-max-length"),
                                  .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1}},
                                 {.key = amqp_cstring_bytes("x-overflow"),
                                  .value = {.kind = AMQP_FIELD_KIND_UTF8,
                                            .value.bytes = amqp_cstring_bytes("reject-publish")}}};
    struct sent sent[2 * 40 + 1];
    struct peer_message message;

    memset(sent, 0, sizeof sent);
    peer_exchange(f->peer, "void", "topic");
    peer_declare_with(f->peer, "full", "classic", full, 2);
    peer_publish(f->peer, "", "full", "x", 1, NULL);
    for (unsigned i = 0; i < stuck; i++) {
        send_later(f->publisher, &sent[i], "void", "no.such", "stuck", 1000);
        send_later(f->publisher, &sent[stuck + i], "", "full", "stuck", 1000);
    }
    for (unsigned i = 0; i < 2 * stuck; i++)
        assert_true(has_ended(&sent[i]));
    assert_int_equal(send_and_wait(f, "", f->queue, "free", 1000, &sent[2 * stuck]),
                     WARREN_CONFIRMED);
    assert_true(arrives(f, f->queue, &message));
    assert_string_equal(message.body, "free");
    peer_message_done(&message);
    assert_true(WAIT_FOR(kept_in(f, "warren.delay.exchange.void") == (int)stuck &&
                             kept_in(f, "warren.delay.queue.full") == (int)stuck,
                         PATIENCE_MS));
}

/* ---- what is declared ---- */

/* Only levels whose bit was used have a queue, however many messages there are: 5, 4 and 8 s need
 * three, and one for the destination. */
static void queues_come_as_they_are_needed(void **state)
{
    struct fixture *f = *state;
    struct sent sent[300];
    char *queues;
    char *expected = text("\"%s warren.delay.00 warren.delay.02 warren.delay.03 "
                          "warren.delay.queue.%s\"",
                          f->queue, f->queue);

    memset(sent, 0, sizeof sent);
    for (unsigned i = 0; i < 300; i++)
        send_later(f->publisher, &sent[i], "", f->queue, "x",
                   i % 3 == 0   ? 5000
                   : i % 3 == 1 ? 4000
                                : 8000);
    for (unsigned i = 0; i < 300; i++)
        assert_true(has_ended(&sent[i]));
    queues = queues_of(f);
    assert_string_equal(queues, expected);
    free(queues);
    free(expected);
}

/* The longest delay there can be: its highest level has the longest time to live that the broker
 * takes. */
static void seventeen_years(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    struct sent sent;

    warren_publisher_options_init(&options);
    options.delay_longest_ms = UINT64_C(6213) * 86400000;
    warren_publisher_close(f->publisher, 0);
    f->publisher = publisher_open(f->uri, &options);
    assert_int_equal(send_and_wait(f, "", f->queue, "x", INT64_C(6213) * 86400000, &sent),
                     WARREN_CONFIRMED);
    assert_int_equal(count_of(f, "warren.delay.28"), 1);
}

/* A new connection declares again what was deleted meanwhile. */
static void a_reconnect_declares_again(void **state)
{
    struct fixture *f = *state;
    struct warren_publisher_options options;
    struct warren_publisher_stats stats;
    struct sent sent;
    struct peer_message message;
    char *departure = text("warren.delay.queue.%s", f->queue);

    warren_publisher_options_init(&options);
    options.name = f->vhost;
    warren_publisher_close(f->publisher, 0);
    f->publisher = publisher_open(f->uri, &options);
    assert_int_equal(send_and_wait(f, "", f->queue, "first", 1000, &sent), WARREN_CONFIRMED);
    assert_true(arrives(f, f->queue, &message));
    peer_message_done(&message);
    peer_delete(f->peer, "warren.delay.00");
    peer_delete(f->peer, departure);
    assert_true(WAIT_FOR(broker_close_connections(f->broker, f->vhost) == 1, PATIENCE_MS));
    assert_true(
        WAIT_FOR((warren_publisher_stats(f->publisher, &stats), stats.connects == 2), PATIENCE_MS));
    assert_int_equal(send_and_wait(f, "", f->queue, "second", 1000, &sent), WARREN_CONFIRMED);
    assert_true(arrives(f, f->queue, &message));
    assert_string_equal(message.body, "second");
    peer_message_done(&message);
    free(departure);
}

/* A level that somebody deleted is noticed by the message that finds no way, and is there again
 * for the next one, without a new connection. */
static void a_deleted_level_comes_back(void **state)
{
    struct fixture *f = *state;
    struct sent sent;
    struct peer_message message;

    assert_int_equal(send_and_wait(f, "", f->queue, "1", 1000, &sent), WARREN_CONFIRMED);
    assert_true(arrives(f, f->queue, &message));
    peer_message_done(&message);
    peer_delete(f->peer, "warren.delay.00");
    assert_int_equal(send_and_wait(f, "", f->queue, "2", 1000, &sent), WARREN_RETURNED);
    assert_int_equal(sent.code, 312);
    assert_int_equal(send_and_wait(f, "", f->queue, "3", 1000, &sent), WARREN_CONFIRMED);
    assert_true(arrives(f, f->queue, &message));
    assert_string_equal(message.body, "3");
    peer_message_done(&message);
}

/* ---- what is refused ---- */

/* A missing exchange: each message for it ends once, as RETURNED with the broker's words, and what
 * was published before and behind it is confirmed. */
static void a_missing_exchange_is_returned(void **state)
{
    struct fixture *f = *state;
    struct sent sent[200];

    memset(sent, 0, sizeof sent);
    for (unsigned i = 0; i < 200; i++) {
        bool bad = i % 50 == 25;

        send_later(f->publisher, &sent[i], bad ? "nowhere" : "", bad ? "k" : f->queue, "x",
                   i % 3 == 0 ? 0 : 2000);
    }
    for (unsigned i = 0; i < 200; i++) {
        assert_true(has_ended(&sent[i]));
        if (i % 50 != 25) {
            assert_int_equal(sent[i].result, WARREN_CONFIRMED);
            assert_int_equal(sent[i].target[0], '/');
            assert_string_equal(sent[i].target + 1, f->queue);
            continue;
        }
        assert_int_equal(sent[i].result, WARREN_RETURNED);
        assert_int_equal(sent[i].code, 404);
        assert_has(sent[i].text, "no exchange 'nowhere'");
        assert_string_equal(sent[i].target, "nowhere/k");
    }
    assert_int_equal(warren_publisher_flush(f->publisher, (uint32_t)PATIENCE_MS), WARREN_OK);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(sent[i].receipts, 1);
}

/* A refusal is remembered for some seconds: a flood of messages for a queue that is missing costs
 * one channel, not one each. Once it is there, they go. */
static void a_refusal_is_remembered_for_a_while(void **state)
{
    struct fixture *f = *state;
    struct sent sent;

    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(send_and_wait(f, "", "missing", "x", 1000, &sent), WARREN_RETURNED);
        assert_int_equal(sent.code, 404);
        assert_has(sent.text, "no queue 'missing'");
    }
    peer_declare(f->peer, "missing", "classic");
    assert_true(WAIT_FOR(send_and_wait(f, "", "missing", "x", 1000, &sent) == WARREN_CONFIRMED,
                         PATIENCE_MS));
}

/* A level that is there with other arguments: delays that need it are returned, others pass. */
static void a_foreign_level_is_returned(void **state)
{
    struct fixture *f = *state;
    struct sent sent;
    struct peer_message message;

    peer_declare(f->peer, "warren.delay.01", "classic");
    assert_int_equal(send_and_wait(f, "", f->queue, "3", 3000, &sent), WARREN_RETURNED);
    assert_int_equal(sent.code, 406);
    assert_has(sent.text, "warren.delay.01");
    assert_int_equal(send_and_wait(f, "", f->queue, "2", 2000, &sent), WARREN_RETURNED);
    assert_int_equal(send_and_wait(f, "", f->queue, "5", 5000, &sent), WARREN_CONFIRMED);
    assert_int_equal(send_and_wait(f, "", f->queue, "1", 1000, &sent), WARREN_CONFIRMED);
    assert_true(arrives(f, f->queue, &message));
    assert_string_equal(message.body, "1");
    peer_message_done(&message);
}

static struct warren_publisher *open_as(struct fixture *f, const char *user)
{
    char *uri = text("amqp://%s:%s@127.0.0.1:%u/%s", user, user, f->broker->port, f->vhost);
    struct warren_publisher *publisher = publisher_open(uri, NULL);

    free(uri);
    return publisher;
}

/* The rights that the manual names are enough, to a queue and to an exchange; and what is missing
 * is told, up to RabbitMQ 4.2 also to a user who has no right on it. */
static void the_rights_that_it_takes(void **state)
{
    struct fixture *f = *state;
    char *user = unique_name("later");
    struct warren_publisher_stats stats;
    struct sent sent;
    struct peer_message message;

    broker_add_user(f->broker, user, user);
    peer_exchange(f->peer, "later-x", "fanout");
    peer_bind(f->peer, f->queue, "later-x", "");
    broker_permit(f->broker, user, f->vhost, "^warren[.]delay[.]",
                  "^(warren[.]delay[.].*|amq[.]default|later-x)$", "^warren[.]delay[.]");
    warren_publisher_close(f->publisher, 0);
    f->publisher = open_as(f, user);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(send_and_wait(f, i ? "later-x" : "", f->queue, "x", 1000, &sent),
                         WARREN_CONFIRMED);
        assert_true(arrives(f, f->queue, &message));
        peer_message_done(&message);
    }
    assert_int_equal(send_and_wait(f, "", "missing", "x", 1000, &sent),
                     broker_at_least(f->broker, 4, 3) ? WARREN_CONFIRMED : WARREN_RETURNED);
    warren_publisher_stats(f->publisher, &stats);
    assert_int_equal(stats.connects, 1);
    assert_in_range(stats.losses, 0, 3); /* channels: one for each that one may not ask for */
    broker_delete_user(f->broker, user);
    free(user);
}

/* Without them each delayed message is returned with the reason; ordinary ones go on. */
static void no_right_to_declare(void **state)
{
    struct fixture *f = *state;
    char *user = unique_name("sender");
    struct sent sent[3];

    broker_add_user(f->broker, user, user);
    broker_permit(f->broker, user, f->vhost, "^$", ".*", ".*");
    warren_publisher_close(f->publisher, 0);
    f->publisher = open_as(f, user);
    assert_int_equal(send_and_wait(f, "", f->queue, "x", 1000, &sent[0]), WARREN_RETURNED);
    assert_int_equal(sent[0].code, 403);
    assert_has(sent[0].text, "warren.delay.deliver");
    assert_int_equal(send_and_wait(f, "", f->queue, "x", 0, &sent[1]), WARREN_CONFIRMED);
    assert_int_equal(send_and_wait(f, "", f->queue, "x", 1000, &sent[2]), WARREN_RETURNED);
    broker_delete_user(f->broker, user);
    free(user);
}

/* What can never be delayed is refused at once. */
static void wrong_requests_are_refused(void **state)
{
    struct fixture *f = *state;
    struct warren_message message = {.properties.expiration = NULL};
    struct warren_publish publish = {.routing_key = f->queue, .message = &message};
    int64_t longest_ms = INT64_C(30) * 86400000;

    assert_int_equal(
        warren_publisher_publish_after(f->publisher, &publish, longest_ms + 1, NULL, NULL, NULL),
        WARREN_EINVAL);
    assert_int_equal(
        warren_publisher_publish_after(f->publisher, &publish, INT64_MAX, NULL, NULL, NULL),
        WARREN_EINVAL);
    message.properties.expiration = "60000";
    assert_int_equal(warren_publisher_publish_after(f->publisher, &publish, 1000, NULL, NULL, NULL),
                     WARREN_EINVAL);
    assert_int_equal(warren_publisher_publish_after(f->publisher, &publish, 0, NULL, NULL, NULL),
                     WARREN_OK);
    message.properties.expiration = NULL;
    publish.routing_key = "";
    assert_int_equal(warren_publisher_publish_after(f->publisher, &publish, 1000, NULL, NULL, NULL),
                     WARREN_EINVAL);
}

/* RabbitMQ refuses what comes for a quorum queue that another channel is just declaring: that is
 * waited for. Each message of each of twenty publishers, all of which need the same new queues, is
 * confirmed. */
static void twenty_publishers_begin_at_once(void **state)
{
    enum { PUBLISHERS = 20, EACH = 5 };
    struct fixture *f = *state;
    struct warren_publisher *publishers[PUBLISHERS];
    struct sent *sent = calloc((size_t)PUBLISHERS * EACH, sizeof *sent);

    assert_non_null(sent);
    for (int i = 0; i < PUBLISHERS; i++)
        publishers[i] = publisher_open(f->uri, NULL);
    for (int i = 0; i < PUBLISHERS; i++)
        for (int k = 0; k < EACH; k++)
            send_later(publishers[i], &sent[i * EACH + k], "", f->queue, "x", 3000);
    for (int i = 0; i < PUBLISHERS * EACH; i++) {
        assert_true(has_ended(&sent[i]));
        assert_int_equal(sent[i].result, WARREN_CONFIRMED);
    }
    for (int i = 0; i < PUBLISHERS; i++)
        warren_publisher_close(publishers[i], 0);
    free(sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_queue_gets_it_later),
        TEST(an_exchange_gets_the_same_key),
        TEST(properties_arrive),
        TEST(the_largest_headers_arrive_in_a_frame),
        TEST(it_may_be_delayed_again),
        TEST(no_delay_is_no_detour),
        TEST(a_retry_goes_to_the_queue),
        TEST(a_short_delay_passes_a_long_one),
        TEST(a_destination_that_takes_nothing_holds_nobody_else),
        TEST(queues_come_as_they_are_needed),
        TEST(twenty_publishers_begin_at_once),
        TEST(seventeen_years),
        TEST(a_reconnect_declares_again),
        TEST(a_deleted_level_comes_back),
        TEST(a_missing_exchange_is_returned),
        TEST(a_refusal_is_remembered_for_a_while),
        TEST(a_foreign_level_is_returned),
        TEST(the_rights_that_it_takes),
        TEST(no_right_to_declare),
        TEST(wrong_requests_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
