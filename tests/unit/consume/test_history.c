/* What headers tell of a message's way so far. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "amqp/annotations.h"
#include "consume/history.h"

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

static struct history read_with(const struct warren_field *headers, size_t count, bool redelivered,
                                bool broker_counts)
{
    const struct warren_properties properties = {.headers = {headers, count}};
    const struct history_of of = {"payments", redelivered, broker_counts};
    struct history history;

    assert_int_equal(history_read(&properties, &of, &arena, &history), WARREN_OK);
    return history;
}

#define READ(headers, ...) read_with(headers, sizeof headers / sizeof *headers, __VA_ARGS__)

static struct warren_field time_field(const char *name, uint64_t seconds)
{
    return (struct warren_field){name, {.type = WARREN_TIMESTAMP, .as = {.timestamp = seconds}}};
}

/* A message without notes has no history. */
static void a_new_message_has_none(void **state)
{
    struct history history = read_with(NULL, 0, false, true);

    (void)state;
    assert_int_equal(history.failed, 0);
    assert_int_equal(history.first_failure_s, 0);
    assert_null(history.exchange);
    assert_null(history.routing_key);
}

/* All notes are read. */
static void notes_are_read(void **state)
{
    struct warren_field headers[] = {
        warren_field_i64(NOTE_ATTEMPTS, 3), time_field(NOTE_FIRST_FAILURE, 1700000000),
        warren_field_text(NOTE_EXCHANGE, ""), warren_field_text(NOTE_ROUTING_KEY, "eu.de"),
        warren_field_text(NOTE_QUEUE, "payments")};
    struct history history = READ(headers, false, true);

    (void)state;
    assert_int_equal(history.failed, 3);
    assert_int_equal(history.first_failure_s, 1700000000);
    assert_string_equal(history.exchange, "");
    assert_string_equal(history.routing_key, "eu.de");
}

/* What a message has behind it in another queue does not count in this one. */
static void notes_about_another_queue_do_not_count(void **state)
{
    static const char *const others[] = {"payment", "payments.dlq", "", "paymentz"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct warren_field headers[] = {warren_field_text(NOTE_QUEUE, others[i]),
                                         warren_field_i64(NOTE_ATTEMPTS, 3),
                                         warren_field_text(NOTE_EXCHANGE, "shop")};
        struct history history = READ(headers, false, true);

        assert_int_equal(history.failed, 0);
        assert_null(history.exchange);
    }
}

/* The broker's count comes on top, where it is asked for; a new copy's begins at 0 again. */
static void the_brokers_count_is_added(void **state)
{
    struct warren_field headers[] = {warren_field_i64(NOTE_ATTEMPTS, 3),
                                     warren_field_i64("x-delivery-count", 2)};

    (void)state;
    assert_int_equal(READ(headers, true, true).failed, 5);
    assert_int_equal(READ(headers, true, false).failed, 3);
    assert_int_equal(read_with(headers, 1, true, true).failed, 4);
    assert_int_equal(read_with(headers, 1, true, false).failed, 3);
    assert_int_equal(read_with(headers, 1, false, true).failed, 3);
}

/* Counts that cannot be are not believed, and none overflows. */
static void counts_that_cannot_be(void **state)
{
    static const int64_t numbers[] = {-1, INT64_MIN, INT64_MAX, UINT32_MAX};
    struct warren_field texts[] = {
        warren_field_text(NOTE_ATTEMPTS, "3"), warren_field_text("x-delivery-count", "3"),
        warren_field_i64(NOTE_FIRST_FAILURE, 5), warren_field_i64(NOTE_EXCHANGE, 5)};
    struct warren_field most[] = {warren_field_i64(NOTE_ATTEMPTS, UINT32_MAX - 1),
                                  warren_field_i64("x-delivery-count", 7)};
    struct history history = READ(texts, false, true);

    (void)state;
    assert_int_equal(history.failed, 0);
    assert_int_equal(history.first_failure_s, 0);
    assert_null(history.exchange);
    for (size_t i = 0; i < 4; i++) {
        struct warren_field headers[] = {warren_field_i64(NOTE_ATTEMPTS, numbers[i])};

        assert_int_equal(READ(headers, false, true).failed, 0);
    }
    assert_int_equal(READ(most, false, true).failed, UINT32_MAX);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_new_message_has_none),
        T(notes_are_read),
        T(notes_about_another_queue_do_not_count),
        T(the_brokers_count_is_added),
        T(counts_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
