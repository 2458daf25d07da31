/* test_pace.c - a publisher's rate with a clock of our own: how many go when, how large a window
 * it allows, and what cannot be kept.
 */
#include <math.h>

#include "publish/message/pace.h"
#include "support/test.h"

#define BEGIN_MS 5000

static struct pace pace_of(double rate, uint32_t burst)
{
    struct pace pace = {.limited = false};

    assert_int_equal(pace_check(rate, burst, 0, NULL), WARREN_OK);
    pace_set(&pace, rate, burst, BEGIN_MS);
    return pace;
}

static int64_t take_all(struct pace *pace, int64_t now_ms)
{
    int64_t may = pace_may(pace, now_ms);

    pace_took(pace, may);
    return may;
}

/* How many go until @ms after the beginning, by a sender that comes when pace_wait_ms() says, but
 * each time @late_ms late. */
static int64_t sent_within(struct pace *pace, int64_t ms, int64_t late_ms)
{
    int64_t sent = 0;

    for (int64_t now = 0; now <= ms; now += pace_wait_ms(pace) + late_ms) {
        sent += take_all(pace, BEGIN_MS + now);
        assert_int_equal(pace_may(pace, BEGIN_MS + now), 0);
    }
    return sent;
}

/* Over ten minutes the rate is met to the message, if timers are late or not; also one of less than
 * a message a second. */
static void the_rate_is_kept(void **state)
{
    static const double rates[] = {0.01, 0.5, 1, 2.5, 7, 50, 333.3, 999, 1000, 12345, 1e6};

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        for (int64_t late_ms = 0; late_ms <= 1; late_ms++) {
            struct pace pace = pace_of(rates[i], 0);
            int64_t most = (int64_t)(rates[i] * 600.002) + 1;
            int64_t sent = sent_within(&pace, 600000, late_ms);

            if (sent > most || sent < most - 1 - (int64_t)(rates[i] / 1000) * 3)
                fail_msg("rate %g: %lld of %lld", rates[i], (long long)sent, (long long)most);
        }
    }
}

/* Without a burst there are no heaps: never more than what 2 ms bring, and one. */
static void no_burst_is_evenly_spaced(void **state)
{
    struct pace pace = pace_of(100, 0);

    (void)state;
    assert_int_equal(take_all(&pace, BEGIN_MS), 1);
    assert_int_equal(take_all(&pace, BEGIN_MS + 1), 0);
    assert_int_equal(pace_wait_ms(&pace), 7);
    assert_int_equal(take_all(&pace, BEGIN_MS + 60000), 1);
    pace = pace_of(10000, 0);
    assert_int_equal(take_all(&pace, BEGIN_MS), 21);
    assert_int_equal(take_all(&pace, BEGIN_MS + 60000), 21);
}

/* A burst is what may go at once after a rest; then the rate. */
static void a_burst_after_a_rest(void **state)
{
    struct pace pace = pace_of(100, 30);

    (void)state;
    assert_int_equal(take_all(&pace, BEGIN_MS), 30);
    assert_int_equal(take_all(&pace, BEGIN_MS + 100), 10);
    assert_int_equal(take_all(&pace, BEGIN_MS + 60000), 30);
    /* One that a late timer would empty is larger. */
    pace = pace_of(100000, 1);
    assert_int_equal(take_all(&pace, BEGIN_MS), 201);
}

/* Without a limit everything may go; a limit that comes later does not pay for that. */
static void limits_come_and_go(void **state)
{
    struct pace pace = pace_of(0, 0);

    (void)state;
    assert_true(pace_may(&pace, BEGIN_MS) == INT64_MAX);
    pace_took(&pace, 1000000);
    pace_set(&pace, 10, 5, BEGIN_MS + 1);
    assert_int_equal(take_all(&pace, BEGIN_MS + 1), 5);
    assert_int_equal(take_all(&pace, BEGIN_MS + 1), 0);
    pace_set(&pace, 1000, 5, BEGIN_MS + 1); /* nothing was saved up */
    assert_int_equal(take_all(&pace, BEGIN_MS + 1), 0);
    assert_int_equal(take_all(&pace, BEGIN_MS + 4), 3);
    pace_set(&pace, 0, 0, BEGIN_MS + 4);
    assert_true(pace_may(&pace, BEGIN_MS + 4) == INT64_MAX);
}

/* What could not leave in half of a message's time does not come in. */
static void the_window_fits_the_rate(void **state)
{
    (void)state;
    assert_int_equal(pace_window(0, 120000, 1000), 1000);
    assert_int_equal(pace_window(10, 0, 1000), 1000);
    assert_int_equal(pace_window(10, 120000, 1000), 600);
    assert_int_equal(pace_window(100, 120000, 1000), 1000);
    assert_int_equal(pace_window(1e6, UINT32_MAX, 1000), 1000);
    assert_int_equal(pace_window(0.01, 120000, 1000), 1);
}

/* Rates out of bounds, and one whose messages would end before their turn. */
static void what_cannot_be_kept(void **state)
{
    static const double wrong[] = {-1, 0.0009, 1e6 + 1, NAN, INFINITY};
    struct warren_error error = {0};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(pace_check(wrong[i], 0, 0, &error), WARREN_EINVAL);
        assert_non_null(strstr(error.text, "rate is "));
    }
    assert_int_equal(pace_check(1, 1000001, 0, &error), WARREN_EINVAL);
    assert_non_null(strstr(error.text, "burst is 1000001"));
    assert_int_equal(pace_check(0.1, 0, 9999, &error), WARREN_EINVAL);
    assert_non_null(strstr(error.text, "timeout_ms"));
    assert_int_equal(pace_check(0.1, 0, 10000, NULL), WARREN_OK);
    assert_int_equal(pace_check(0, 1000001, 1, NULL), WARREN_OK); /* none: nothing to keep */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_kept),         cmocka_unit_test(no_burst_is_evenly_spaced),
        cmocka_unit_test(a_burst_after_a_rest),     cmocka_unit_test(limits_come_and_go),
        cmocka_unit_test(the_window_fits_the_rate), cmocka_unit_test(what_cannot_be_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
