/* test_stream_offsets.c - what is settled of a stream, and where to begin again. */
#include "amqp/consumer/stream_offsets.h"
#include "support/test.h"

static int setup(void **state)
{
    static struct stream_offsets offsets;

    stream_offsets_init(&offsets, STREAM_AS_CONFIGURED);
    *state = &offsets;
    return 0;
}

static int teardown(void **state)
{
    stream_offsets_done(*state);
    return 0;
}

/* @return whether it was settled before */
static bool came(struct stream_offsets *offsets, uint64_t offset)
{
    bool settled;

    assert_int_equal(stream_offsets_came(offsets, offset, &settled), WARREN_OK);
    return settled;
}

static void come(struct stream_offsets *offsets, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        assert_false(came(offsets, i));
}

/* The lowest that is not settled is the beginning, in whatever order they settle. */
static void the_lowest_open_one_is_the_beginning(void **state)
{
    struct stream_offsets *offsets = *state;

    come(offsets, 10, 14);
    assert_int_equal(stream_offsets_begin(offsets), 10);
    stream_offsets_settled(offsets, 11);
    stream_offsets_settled(offsets, 13);
    assert_int_equal(stream_offsets_begin(offsets), 10);
    stream_offsets_settled(offsets, 10);
    assert_int_equal(stream_offsets_begin(offsets), 12);
    stream_offsets_settled(offsets, 12);
    assert_int_equal(stream_offsets_begin(offsets), 14);
    stream_offsets_settled(offsets, 12);
    stream_offsets_settled(offsets, STREAM_NO_OFFSET);
    assert_int_equal(stream_offsets_begin(offsets), 14);
}

/* The same channel goes on behind what it had; another one begins at the lowest that is open, and
 * tells what was settled before. */
static void another_channel_begins_again(void **state)
{
    struct stream_offsets *offsets = *state;

    come(offsets, 0, 5);
    stream_offsets_settled(offsets, 1);
    stream_offsets_settled(offsets, 3);
    assert_int_equal(offsets->cursor, 5);
    stream_offsets_restart(offsets);
    assert_int_equal(offsets->cursor, 0);
    assert_false(came(offsets, 0));
    assert_true(came(offsets, 1));
    assert_int_equal(offsets->cursor, 2);
    stream_offsets_settled(offsets, 2); /* by a handler that still ran */
    assert_true(came(offsets, 2));
    assert_true(came(offsets, 3));
    assert_false(came(offsets, 4));
    assert_false(came(offsets, 5));
}

/* Begun where another process ended: what is below is settled. */
static void a_known_beginning(void **state)
{
    struct stream_offsets *offsets = *state;

    stream_offsets_init(offsets, 100);
    assert_int_equal(offsets->cursor, 100);
    assert_int_equal(stream_offsets_begin(offsets), 100);
    assert_true(came(offsets, 99));
    assert_false(came(offsets, 100));
}

/* Nothing came: the time when it was asked for the first time. */
static void without_any_message_a_time_is_the_beginning(void **state)
{
    struct stream_offsets *offsets = *state;

    assert_true(stream_offsets_begin(offsets) == STREAM_AS_CONFIGURED);
    stream_offsets_begun(offsets, -1700000000);
    stream_offsets_restart(offsets);
    assert_true(offsets->cursor == -1700000000);
    come(offsets, 7, 8);
    stream_offsets_restart(offsets);
    assert_int_equal(offsets->cursor, 7);
}

/* One that is stuck at the beginning costs nothing for each of those that pass it. */
static void memory_is_bounded_by_what_is_open(void **state)
{
    struct stream_offsets *offsets = *state;

    come(offsets, 0, 101);
    for (uint64_t i = 101; i < 100000; i++) {
        come(offsets, i, i + 1);
        stream_offsets_settled(offsets, i - 100);
    }
    assert_int_equal(stream_offsets_begin(offsets), 0);
    assert_in_range(offsets->capacity, 101, 1000);
    assert_int_equal(offsets->end - offsets->first, 101);
    stream_offsets_settled(offsets, 0);
    assert_int_equal(stream_offsets_begin(offsets), 99900);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_lowest_open_one_is_the_beginning),
        T(another_channel_begins_again),
        T(a_known_beginning),
        T(without_any_message_a_time_is_the_beginning),
        T(memory_is_bounded_by_what_is_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
