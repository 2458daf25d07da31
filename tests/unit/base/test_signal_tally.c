/* test_signal_tally.c - which of the signals that come count, and as what. */
#include <signal.h>

#include "base/signal_tally.h"
#include "support/test.h"

#define AN_HOUR_MS 3600000

/* The first one drains; what follows within a second is the same request, from one key at a
 * terminal or from timeout(1), which signals its child and then its group. */
static void repeats_within_a_second_are_one(void **state)
{
    struct signal_tally tally = {0};

    (void)state;
    assert_true(signals_note(&tally, SIGTERM, AN_HOUR_MS));
    assert_false(signals_note(&tally, SIGTERM, AN_HOUR_MS));
    assert_false(signals_note(&tally, SIGINT, AN_HOUR_MS + SIGNALS_ONE_MS - 1));
    assert_int_equal(tally.stop, SIGTERM);
    assert_int_equal(tally.again, 0);
}

/* One that comes later is the second, also if others came in between. */
static void one_after_a_second_is_the_second(void **state)
{
    struct signal_tally tally = {0};

    (void)state;
    assert_true(signals_note(&tally, SIGINT, 0));
    assert_false(signals_note(&tally, SIGTERM, SIGNALS_ONE_MS - 1));
    assert_true(signals_note(&tally, SIGTERM, SIGNALS_ONE_MS));
    assert_int_equal(tally.stop, SIGINT);
    assert_int_equal(tally.again, SIGTERM);
}

/* SIGHUP never counts as a request to end. */
static void hang_up_is_no_stop(void **state)
{
    struct signal_tally tally = {0};

    (void)state;
    assert_true(signals_note(&tally, SIGHUP, 0));
    assert_true(signals_note(&tally, SIGHUP, SIGNALS_ONE_MS));
    assert_true(tally.hang_up);
    assert_int_equal(tally.stop, 0);
    assert_true(signals_note(&tally, SIGTERM, SIGNALS_ONE_MS));
    assert_int_equal(tally.again, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_within_a_second_are_one),
        cmocka_unit_test(one_after_a_second_is_the_second),
        cmocka_unit_test(hang_up_is_no_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
