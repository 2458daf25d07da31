/* test_flap.c - how often a state that comes and goes is told of. */
#include "base/flap.h"
#include "support/test.h"

/* A stall and its end are told at once, each time there was peace before. */
static void a_single_change_is_told_at_once(void **state)
{
    struct flap flap = {.on = false};
    uint32_t times = 0;

    (void)state;
    for (int64_t now = 5; now < 10 * FLAP_MS; now += FLAP_MS) {
        assert_false(flap_set(&flap, false, now, &times));
        assert_true(flap_set(&flap, true, now, &times));
        assert_int_equal(times, 1);
        assert_false(flap_set(&flap, true, now, &times));
        assert_true(flap_set(&flap, false, now + 1, &times));
        assert_int_equal(times, 0);
        assert_int_equal(flap_due_ms(&flap), INT64_MAX);
    }
}

/* 1,000 stalls in a second are three lines; the last one has their number. */
static void a_storm_is_told_as_one(void **state)
{
    struct flap flap = {.on = false};
    unsigned lines = 0;
    uint32_t times = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        lines += flap_set(&flap, true, 100 + i, &times);
        lines += flap_set(&flap, false, 100 + i, &times);
    }
    assert_int_equal(lines, 2);
    assert_int_equal(flap_due_ms(&flap), 100 + FLAP_MS);
    assert_false(flap_due(&flap, 99 + FLAP_MS, &times));
    assert_true(flap_due(&flap, 100 + FLAP_MS, &times));
    assert_int_equal(times, 999);
    assert_false(flap.on);
    assert_int_equal(flap_due_ms(&flap), INT64_MAX);
    assert_false(flap_due(&flap, INT64_MAX - 1, &times));
}

/* One that stays is told in the end, though it began among others. */
static void what_stays_is_told(void **state)
{
    struct flap flap = {.on = false};
    uint32_t times = 0;

    (void)state;
    assert_true(flap_set(&flap, true, 1, &times));
    assert_true(flap_set(&flap, false, 2, &times));
    assert_false(flap_set(&flap, true, 3, &times));
    assert_int_equal(flap_due_ms(&flap), 1 + FLAP_MS);
    assert_true(flap_due(&flap, 1 + FLAP_MS, &times));
    assert_true(flap.on);
    assert_int_equal(times, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_change_is_told_at_once),
        cmocka_unit_test(a_storm_is_told_as_one),
        cmocka_unit_test(what_stays_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
