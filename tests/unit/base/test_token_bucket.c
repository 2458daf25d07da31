/* test_token_bucket.c - bursts, filling, even spacing, and changing while running. */
#include "base/token_bucket.h"
#include "support/test.h"

static struct token_bucket bucket_of(int64_t rate, int64_t per_ms, int64_t burst, bool even)
{
    struct token_plan plan = {rate, per_ms, burst, even};
    struct token_bucket bucket;

    token_bucket_init(&bucket, &plan, 1000);
    return bucket;
}

static int64_t take_all(struct token_bucket *bucket, int64_t now_ms)
{
    int64_t ready = token_bucket_ready(bucket, now_ms);

    token_bucket_take(bucket, ready);
    return ready;
}

/* It begins with the burst; then come rate / per. */
static void burst_first_then_the_rate(void **state)
{
    struct token_bucket bucket = bucket_of(100, 1000, 20, false);

    (void)state;
    assert_int_equal(take_all(&bucket, 1000), 20);
    assert_int_equal(take_all(&bucket, 1000), 0);
    assert_int_equal(token_bucket_wait_ms(&bucket, 1), 10);
    assert_int_equal(take_all(&bucket, 1009), 0);
    assert_int_equal(token_bucket_wait_ms(&bucket, 1), 1);
    assert_int_equal(take_all(&bucket, 1010), 1);
    assert_int_equal(take_all(&bucket, 1060), 5);
}

/* However long the rest: no more than the burst is saved up. */
static void a_long_rest_saves_no_more_than_the_burst(void **state)
{
    struct token_bucket bucket = bucket_of(1000000, 1, 1000000, false);

    (void)state;
    take_all(&bucket, 1000);
    assert_int_equal(take_all(&bucket, INT64_MAX / 2), 1000000);
    assert_int_equal(token_bucket_ready(&bucket, INT64_MAX / 2), 0);
}

/* A clock that goes back, or stands, brings nothing. */
static void time_that_stands_brings_nothing(void **state)
{
    struct token_bucket bucket = bucket_of(100, 1000, 20, false);

    (void)state;
    take_all(&bucket, 1000);
    assert_int_equal(token_bucket_ready(&bucket, 1000), 0);
    assert_int_equal(token_bucket_ready(&bucket, 500), 0);
    assert_int_equal(token_bucket_ready(&bucket, 1010), 1);
}

/* At every moment: no more than burst + rate * t; and over a long time not one fewer. Also for
 * rates that do not divide: 7 in 3 seconds. */
static void the_rate_is_kept_exactly(void **state)
{
    static const struct {
        int64_t rate, per_ms, burst, step_ms;
    } rows[] = {{100, 1000, 20, 1},    {7, 3000, 2, 1}, {7, 3000, 5, 13}, {1, 60000, 1, 7},
                {30000, 1000, 100, 1}, {1, 1, 1, 1},    {999, 1000, 3, 1}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct token_bucket bucket = bucket_of(rows[i].rate, rows[i].per_ms, rows[i].burst, false);
        int64_t went = 0;
        int64_t t;

        for (t = 0; t <= 300000; t += rows[i].step_ms) {
            went += take_all(&bucket, 1000 + t);
            assert_true((went - rows[i].burst) * rows[i].per_ms <= rows[i].rate * t);
        }
        t -= rows[i].step_ms;
        assert_int_equal(went, rows[i].burst + rows[i].rate * t / rows[i].per_ms);
    }
}

/* The wait that it names is enough, and a millisecond less is not. */
static void the_wait_is_exact(void **state)
{
    struct token_bucket bucket = bucket_of(7, 3000, 10, false);
    int64_t now_ms = 1000;

    (void)state;
    take_all(&bucket, now_ms);
    for (int64_t count = 1; count <= 10; count++) {
        int64_t wait_ms = token_bucket_wait_ms(&bucket, count);
        struct token_bucket early = bucket;
        struct token_bucket late = bucket;

        assert_int_equal(token_bucket_ready(&early, now_ms + wait_ms - 1), count - 1);
        assert_int_equal(token_bucket_ready(&late, now_ms + wait_ms), count);
    }
}

/* Even spacing: after any rest one message, and the next about per / rate later. */
static void even_spacing_has_no_bursts(void **state)
{
    struct token_bucket bucket = bucket_of(100, 1000, 1, true);
    int64_t last_ms = 0;
    int64_t went = 0;

    (void)state;
    assert_int_equal(token_bucket_ready(&bucket, 9000), 1);
    for (int64_t now_ms = 10000; now_ms < 20000; now_ms++) {
        int64_t ready = take_all(&bucket, now_ms);

        assert_in_range(ready, 0, 1);
        if (ready && last_ms)
            assert_in_range(now_ms - last_ms, 10 - TOKEN_EVEN_SLACK_MS, 10);
        if (ready)
            last_ms = now_ms;
        went += ready;
    }
    assert_in_range(went, 1000, 1001);
}

/* Timers that fire late by up to the slack lose nothing of an even rate. */
static void late_timers_keep_an_even_rate(void **state)
{
    struct token_bucket bucket = bucket_of(100, 1000, 1, true);
    int64_t now_ms = 1000;
    int64_t went = 0;

    (void)state;
    while (now_ms < 101000) {
        went += take_all(&bucket, now_ms);
        now_ms += token_bucket_wait_ms(&bucket, 1) + went % (TOKEN_EVEN_SLACK_MS + 1);
    }
    assert_in_range(went, 9999, 10001);
}

/* Above one a millisecond, which is all that the clock can tell apart, the rate still holds. */
static void even_spacing_of_a_high_rate(void **state)
{
    struct token_bucket bucket = bucket_of(5000, 1000, 1, true);
    int64_t went = 0;

    (void)state;
    for (int64_t now_ms = 1000; now_ms < 11000; now_ms++) {
        int64_t ready = take_all(&bucket, now_ms);

        assert_in_range(ready, 1, 1 + 5 * TOKEN_EVEN_SLACK_MS);
        went += ready;
    }
    assert_in_range(went, 50000, 50011);
}

/* A change takes what is saved up along, cut to the new burst; time before it counts at the old
 * rate, time after it at the new one. */
static void a_change_takes_effect_at_its_time(void **state)
{
    struct token_bucket bucket = bucket_of(100, 1000, 50, false);
    struct token_plan faster = {1, 1, 30, false};
    struct token_plan slower = {1, 86400000, 1000000, false};

    (void)state;
    take_all(&bucket, 1000);
    token_bucket_change(&bucket, &faster, 1100);
    assert_int_equal(token_bucket_ready(&bucket, 1100), 10);
    assert_int_equal(token_bucket_ready(&bucket, 1105), 15);
    assert_int_equal(token_bucket_ready(&bucket, 9000), 30);
    token_bucket_change(&bucket, &slower, 9000);
    assert_int_equal(token_bucket_ready(&bucket, 9000), 30);
    assert_int_equal(token_bucket_ready(&bucket, 9000 + 86400000), 31);
}

/* What was taken beyond what was ready is worked off before anything goes again. */
static void a_debt_is_worked_off(void **state)
{
    struct token_bucket bucket = bucket_of(10, 1000, 1, false);

    (void)state;
    token_bucket_take(&bucket, 3);
    assert_int_equal(token_bucket_ready(&bucket, 1000), 0);
    assert_int_equal(token_bucket_wait_ms(&bucket, 1), 300);
    assert_int_equal(token_bucket_ready(&bucket, 1299), 0);
    assert_int_equal(token_bucket_ready(&bucket, 1300), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_first_then_the_rate),
        cmocka_unit_test(a_long_rest_saves_no_more_than_the_burst),
        cmocka_unit_test(time_that_stands_brings_nothing),
        cmocka_unit_test(the_rate_is_kept_exactly),
        cmocka_unit_test(the_wait_is_exact),
        cmocka_unit_test(even_spacing_has_no_bursts),
        cmocka_unit_test(late_timers_keep_an_even_rate),
        cmocka_unit_test(even_spacing_of_a_high_rate),
        cmocka_unit_test(a_change_takes_effect_at_its_time),
        cmocka_unit_test(a_debt_is_worked_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
