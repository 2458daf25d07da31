/* test_clock.c - base/clock.h */
#include "base/clock.h"
#include "support/fake_clock.h"
#include "support/test.h"

/* A fake clock stands still until it is advanced, and then moves by just that. */
static void fake_clock_moves_only_when_told(void **state)
{
    struct clock_fake fake;

    (void)state;
    clock_fake_init(&fake, 5000);
    assert_int_equal(clock_now_ms(&fake.clock), 5000);
    assert_int_equal(clock_now_ms(&fake.clock), 5000);
    clock_fake_advance_ms(&fake, 250);
    assert_int_equal(clock_now_ms(&fake.clock), 5250);
    assert_int_equal(clock_now_ns(&fake.clock), 5250000000);
}

/* The real clock never goes back. */
static void monotonic_clock_does_not_go_back(void **state)
{
    int64_t before = clock_now_ns(clock_monotonic());

    (void)state;
    assert_true(before > 0);
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_now_ns(clock_monotonic());

        assert_true(now >= before);
        before = now;
    }
}

/* A deadline is so many milliseconds from now; without an end, or behind the end of time, never. */
static void deadline_never_overflows(void **state)
{
    int64_t now_ms = clock_now_ms(clock_monotonic());

    (void)state;
    assert_in_range(clock_deadline_ms(60000), now_ms + 60000, now_ms + 120000);
    assert_true(clock_deadline_ms(-1) == INT64_MAX);
    assert_true(clock_deadline_ms(INT64_MAX) == INT64_MAX);
}

/* The wall clock counts milliseconds since 1970: now lies between 2020 and 2100. */
static void wall_clock_is_in_milliseconds(void **state)
{
    (void)state;
    assert_in_range(clock_wall_ms(), 1577836800000, 4102444800000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fake_clock_moves_only_when_told),
        cmocka_unit_test(monotonic_clock_does_not_go_back),
        cmocka_unit_test(deadline_never_overflows),
        cmocka_unit_test(wall_clock_is_in_milliseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
