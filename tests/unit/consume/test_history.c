/* What headers tell of a message's way so far; which notes count: test_notes.c. */
#include "amqp/wire/notes.h"
#include "amqp/wire/properties.h"
#include "consume/relay/relay.h"
#include "support/test.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* Of a message that came to the queue "payments" by its name. */
static struct history read_with(const struct warren_field *headers, size_t count, bool redelivered,
                                bool broker_counts)
{
    const struct warren_properties properties = {.headers = {headers, count}};
    struct delivery *delivery;
    struct history history;
    struct buffer encoded;

    buffer_init(&encoded, 65536);
    assert_int_equal(properties_encode(&properties, NULL, 65536, &arena, &encoded, NULL),
                     WARREN_OK);
    delivery = delivery_new(0, warren_text(""), warren_text("payments"),
                            (struct warren_bytes){buffer_front(&encoded), buffer_len(&encoded)}, 0);
    assert_non_null(delivery);
    delivery->redelivered = redelivered;
    assert_int_equal(history_read(delivery, "payments", broker_counts, &arena, &history),
                     WARREN_OK);
    delivery_free(delivery);
    buffer_done(&encoded);
    return history;
}

#define READ(headers, ...) read_with(headers, sizeof headers / sizeof *headers, __VA_ARGS__)

static const struct warren_field copy[] = {
    {NOTE_QUEUE, {.type = WARREN_STRING, .as.bytes = {"payments", 8}}},
    {NOTE_EXCHANGE, {.type = WARREN_STRING, .as.bytes = {"", 0}}},
    {NOTE_ROUTING_KEY, {.type = WARREN_STRING, .as.bytes = {"eu.de", 5}}},
    {NOTE_FIRST_FAILURE, {.type = WARREN_TIMESTAMP, .as.timestamp = 1700000000}},
    {NOTE_ATTEMPTS, {.type = WARREN_I64, .as.integer = 3}},
    {"x-delivery-count", {.type = WARREN_I64, .as.integer = 2}},
};

/* A message without notes has no history. */
static void a_new_message_has_none(void **state)
{
    struct history history = read_with(NULL, 0, false, true);

    (void)state;
    assert_int_equal(history.failed, 0);
    assert_int_equal(history.first_failure_s, 0);
    assert_null(history.exchange);
    assert_null(history.routing_key);
    assert_false(history.copied);
}

/* All notes are read. */
static void notes_are_read(void **state)
{
    struct history history = READ(copy, false, true);

    (void)state;
    assert_true(history.copied);
    assert_int_equal(history.failed, 3);
    assert_int_equal(history.first_failure_s, 1700000000);
    assert_string_equal(history.exchange, "");
    assert_string_equal(history.routing_key, "eu.de");
}

/* A replay has its own notes, perhaps no more than a count. */
static void a_replay_is_read(void **state)
{
    const struct warren_field replays = warren_field_i64(NOTE_REPLAYS, 2);
    struct history history = read_with(&replays, 1, false, true);

    (void)state;
    assert_true(history.copied);
    assert_int_equal(history.replays, 2);
    assert_null(history.exchange);
    assert_null(history.routing_key);
}

/* What a message has behind it in another queue does not count in this one. */
static void notes_about_another_queue_do_not_count(void **state)
{
    static const char *const others[] = {"payment", "payments.dlq", "", "paymentz"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct warren_field headers[sizeof copy / sizeof *copy];
        struct history history;

        memcpy(headers, copy, sizeof copy);
        headers[0] = warren_field_text(NOTE_QUEUE, others[i]);
        history = READ(headers, false, true);
        assert_int_equal(history.failed, 0);
        assert_null(history.exchange);
    }
}

/* The broker's count comes on top, where it is asked for; a new copy's begins at 0 again. */
static void the_brokers_count_is_added(void **state)
{
    (void)state;
    assert_int_equal(read_with(copy, 6, true, true).failed, 5);
    assert_int_equal(read_with(copy, 6, true, false).failed, 3);
    assert_int_equal(read_with(copy, 5, true, true).failed, 4);
    assert_int_equal(read_with(copy, 5, true, false).failed, 3);
    assert_int_equal(read_with(copy, 5, false, true).failed, 3);
}

/* Handed back by a worker that had not begun it: RabbitMQ 4.3 says so. */
static void what_was_handed_back_did_not_fail(void **state)
{
    const struct warren_field headers[] = {warren_field_i64("x-acquired-count", 3),
                                           warren_field_i64("x-delivery-count", 2)};

    (void)state;
    assert_int_equal(read_with(headers, 1, true, true).failed, 0);
    assert_int_equal(read_with(headers, 2, true, true).failed, 2);
}

/* Of a message that was not delivered before, the broker's header is the publisher's. */
static void a_forged_count_of_the_broker(void **state)
{
    static const int64_t numbers[] = {1000, -1, INT64_MIN, INT64_MAX, UINT32_MAX};
    const struct warren_field text = warren_field_text("x-delivery-count", "3");

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct warren_field header = warren_field_i64("x-delivery-count", numbers[i]);

        assert_int_equal(read_with(&header, 1, false, true).failed, 0);
        assert_int_equal(read_with(&header, 1, true, true).failed, i == 0 ? 1000 : 1);
    }
    assert_int_equal(read_with(&text, 1, true, true).failed, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_new_message_has_none),
        T(notes_are_read),
        T(a_replay_is_read),
        T(notes_about_another_queue_do_not_count),
        T(the_brokers_count_is_added),
        T(a_forged_count_of_the_broker),
        T(what_was_handed_back_did_not_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
