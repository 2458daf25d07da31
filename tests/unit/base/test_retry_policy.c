/* test_retry_policy.c - the delays of every growth, and what jitter makes of them. */
#include "base/backoff.h"
#include "support/test.h"

#define DRAWS 20000

static struct retry_policy policy_of(enum retry_growth growth, enum retry_jitter jitter)
{
    return (struct retry_policy){
        .growth = growth, .jitter = jitter, .initial_ms = 500, .max_ms = 30000, .factor = 2};
}

/* Each growth gives its own row of delays, up to the longest. */
static void growth_by_table(void **state)
{
    static const struct {
        enum retry_growth growth;
        int64_t initial_ms;
        int64_t max_ms;
        uint32_t factor;
        int64_t expected[8];
    } rows[] = {
        {RETRY_IMMEDIATE, 500, 30000, 2, {0, 0, 0, 0, 0, 0, 0, 0}},
        {RETRY_CONSTANT, 500, 30000, 2, {500, 500, 500, 500, 500, 500, 500, 500}},
        {RETRY_LINEAR, 500, 3000, 2, {500, 1000, 1500, 2000, 2500, 3000, 3000, 3000}},
        {RETRY_EXPONENTIAL, 500, 30000, 2, {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000}},
        {RETRY_EXPONENTIAL, 10, 5000, 3, {10, 30, 90, 270, 810, 2430, 5000, 5000}},
        {RETRY_EXPONENTIAL, 0, 30000, 2, {0, 0, 0, 0, 0, 0, 0, 0}},
        {RETRY_EXPONENTIAL, 7, 7, 2, {7, 7, 7, 7, 7, 7, 7, 7}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct retry_policy policy = {.growth = rows[i].growth,
                                      .initial_ms = rows[i].initial_ms,
                                      .max_ms = rows[i].max_ms,
                                      .factor = rows[i].factor};

        for (uint32_t n = 1; n <= 8; n++) {
            assert_int_equal(retry_policy_ceiling_ms(&policy, n), rows[i].expected[n - 1]);
            assert_int_equal(retry_policy_delay_ms(&policy, n, 0, NULL), rows[i].expected[n - 1]);
            assert_int_equal(retry_policy_seeded_ms(&policy, n, 1), rows[i].expected[n - 1]);
        }
    }
}

/* The largest attempts and delays neither overflow nor take long. */
static void extremes_stay_at_the_longest(void **state)
{
    (void)state;
    for (int growth = RETRY_CONSTANT; growth <= RETRY_EXPONENTIAL; growth++) {
        for (int jitter = RETRY_JITTER_NONE; jitter <= RETRY_JITTER_DECORRELATED; jitter++) {
            struct retry_policy policy = {.growth = (enum retry_growth)growth,
                                          .jitter = (enum retry_jitter)jitter,
                                          .initial_ms = INT64_MAX / 6,
                                          .max_ms = INT64_MAX / 3,
                                          .factor = UINT32_MAX};
            int64_t delay_ms = retry_policy_seeded_ms(&policy, UINT32_MAX, 5);

            assert_in_range(delay_ms, 0, INT64_MAX / 3);
            if (jitter == RETRY_JITTER_NONE && growth != RETRY_CONSTANT)
                assert_int_equal(delay_ms, INT64_MAX / 3);
        }
    }
}

/* Draws of jitter over [@low, @high] keep the bounds, touch both ends, and are even: no tenth has
 * a share that is off by more than a fifth of its own (10 standard deviations). */
static void check_even(const struct retry_policy *policy, uint32_t attempt, int64_t previous_ms,
                       int64_t low, int64_t high)
{
    unsigned tenths[10] = {0};
    int64_t least = INT64_MAX;
    int64_t most = 0;
    struct random random;

    random_init(&random, 42);
    for (int i = 0; i < DRAWS; i++) {
        int64_t delay_ms = retry_policy_delay_ms(policy, attempt, previous_ms, &random);

        assert_in_range(delay_ms, low, high);
        least = delay_ms < least ? delay_ms : least;
        most = delay_ms > most ? delay_ms : most;
        tenths[(delay_ms - low) * 10 / (high - low + 1)]++;
    }
    assert_in_range(least, low, low + (high - low) / 100);
    assert_in_range(most, high - (high - low) / 100, high);
    for (int i = 0; i < 10; i++)
        assert_in_range(tenths[i], DRAWS / 10 * 8 / 10, DRAWS / 10 * 12 / 10);
}

/* Full: anything up to the delay. */
static void full_jitter_is_even_from_zero(void **state)
{
    struct retry_policy policy = policy_of(RETRY_EXPONENTIAL, RETRY_JITTER_FULL);

    (void)state;
    check_even(&policy, 1, 0, 0, 500);
    check_even(&policy, 4, 0, 0, 4000);
    check_even(&policy, 20, 0, 0, 30000);
}

/* Equal: the upper half. */
static void equal_jitter_is_even_over_the_upper_half(void **state)
{
    struct retry_policy policy = policy_of(RETRY_LINEAR, RETRY_JITTER_EQUAL);

    (void)state;
    check_even(&policy, 1, 0, 250, 500);
    check_even(&policy, 3, 0, 750, 1500);
}

/* Decorrelated: from the first delay to three times the one before, whatever the attempt. */
static void decorrelated_jitter_follows_the_previous_delay(void **state)
{
    struct retry_policy policy = policy_of(RETRY_EXPONENTIAL, RETRY_JITTER_DECORRELATED);

    (void)state;
    check_even(&policy, 1, 500, 500, 1500);
    check_even(&policy, 9, 2000, 500, 6000);
    check_even(&policy, 2, 10000, 500, 30000);
}

/* Above the cap the cap holds: from a previous 30 s, two thirds of the draws are above it. */
static void decorrelated_jitter_is_capped(void **state)
{
    struct retry_policy policy = policy_of(RETRY_EXPONENTIAL, RETRY_JITTER_DECORRELATED);
    struct random random;
    int capped = 0;

    (void)state;
    random_init(&random, 7);
    for (int i = 0; i < DRAWS; i++) {
        int64_t delay_ms = retry_policy_delay_ms(&policy, 5, 30000, &random);

        assert_in_range(delay_ms, 500, 30000);
        capped += delay_ms == 30000;
    }
    assert_in_range(capped, DRAWS * 64 / 100, DRAWS * 70 / 100);
}

/* With the randomness fixed: min(cap, random(base, 3 * previous)), number for number. */
static void decorrelated_jitter_is_the_formula(void **state)
{
    struct retry_policy policy = policy_of(RETRY_EXPONENTIAL, RETRY_JITTER_DECORRELATED);
    struct random ours;
    struct random theirs;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        int64_t previous_ms = policy.initial_ms;

        random_init(&ours, seed);
        random_init(&theirs, seed);
        for (uint32_t n = 1; n <= 20; n++) {
            int64_t expected_ms =
                500 + (int64_t)random_upto(&ours, (uint64_t)(3 * previous_ms - 500));

            expected_ms = expected_ms < 30000 ? expected_ms : 30000;
            assert_int_equal(retry_policy_delay_ms(&policy, n, previous_ms, &theirs), expected_ms);
            previous_ms = expected_ms;
        }
    }
}

/* Each growth with each jitter: the bounds of the delay after attempts 1, 3 and 9, the mean in
 * their middle, and the shortest of all. */
static void bounds_and_means_by_table(void **state)
{
    static const struct {
        enum retry_growth growth;
        enum retry_jitter jitter;
        int64_t shortest_ms;
        int64_t low[3], high[3];
    } rows[] = {
        {RETRY_IMMEDIATE, RETRY_JITTER_NONE, 0, {0, 0, 0}, {0, 0, 0}},
        {RETRY_IMMEDIATE, RETRY_JITTER_EQUAL, 0, {0, 0, 0}, {0, 0, 0}},
        {RETRY_IMMEDIATE, RETRY_JITTER_FULL, 0, {0, 0, 0}, {0, 0, 0}},
        {RETRY_CONSTANT, RETRY_JITTER_NONE, 500, {500, 500, 500}, {500, 500, 500}},
        {RETRY_CONSTANT, RETRY_JITTER_EQUAL, 250, {250, 250, 250}, {500, 500, 500}},
        {RETRY_CONSTANT, RETRY_JITTER_FULL, 0, {0, 0, 0}, {500, 500, 500}},
        {RETRY_LINEAR, RETRY_JITTER_NONE, 500, {500, 1500, 4500}, {500, 1500, 4500}},
        {RETRY_LINEAR, RETRY_JITTER_EQUAL, 250, {250, 750, 2250}, {500, 1500, 4500}},
        {RETRY_LINEAR, RETRY_JITTER_FULL, 0, {0, 0, 0}, {500, 1500, 4500}},
        {RETRY_EXPONENTIAL, RETRY_JITTER_NONE, 500, {500, 2000, 30000}, {500, 2000, 30000}},
        {RETRY_EXPONENTIAL, RETRY_JITTER_EQUAL, 250, {250, 1000, 15000}, {500, 2000, 30000}},
        {RETRY_EXPONENTIAL, RETRY_JITTER_FULL, 0, {0, 0, 0}, {500, 2000, 30000}},
        /* from a previous delay of 2 s */
        {RETRY_EXPONENTIAL, RETRY_JITTER_DECORRELATED, 500, {500, 500, 500}, {6000, 6000, 6000}},
    };
    static const uint32_t attempts[3] = {1, 3, 9};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct retry_policy policy = policy_of(rows[i].growth, rows[i].jitter);
        struct random random;

        random_init(&random, 99);
        assert_int_equal(retry_policy_shortest_ms(&policy), rows[i].shortest_ms);
        for (int k = 0; k < 3; k++) {
            int64_t span_ms = rows[i].high[k] - rows[i].low[k];
            int64_t middle_ms = (rows[i].low[k] + rows[i].high[k]) / 2;
            int64_t sum_ms = 0;

            for (int n = 0; n < DRAWS; n++) {
                int64_t delay_ms = retry_policy_delay_ms(&policy, attempts[k], 2000, &random);

                assert_in_range(delay_ms, rows[i].low[k], rows[i].high[k]);
                sum_ms += delay_ms;
            }
            /* 0.29 of the span is its standard deviation, 0.002 that of the mean. */
            assert_in_range(sum_ms / DRAWS, middle_ms - span_ms / 50, middle_ms + span_ms / 50 + 1);
        }
    }
}

/* One seed, one row of delays; and each is drawn from the one before it. */
static void seeded_delays_form_one_row(void **state)
{
    struct retry_policy policy = policy_of(RETRY_EXPONENTIAL, RETRY_JITTER_DECORRELATED);

    (void)state;
    policy.max_ms = 10000000;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        int64_t previous_ms = policy.initial_ms;

        for (uint32_t n = 1; n <= 10; n++) {
            int64_t delay_ms = retry_policy_seeded_ms(&policy, n, seed);

            assert_int_equal(delay_ms, retry_policy_seeded_ms(&policy, n, seed));
            assert_in_range(delay_ms, 500, 3 * previous_ms);
            previous_ms = delay_ms;
        }
    }
}

/* Different messages spread, and so do the attempts at one. */
static void seeds_and_attempts_differ(void **state)
{
    struct retry_policy policy = policy_of(RETRY_CONSTANT, RETRY_JITTER_FULL);
    int equal = 0;

    (void)state;
    policy.initial_ms = policy.max_ms = 1000000000;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        int64_t delay_ms = retry_policy_seeded_ms(&policy, 1, seed * 64);

        equal += delay_ms == retry_policy_seeded_ms(&policy, 2, seed * 64);
        equal += delay_ms == retry_policy_seeded_ms(&policy, 1, seed * 64 + 64);
    }
    assert_in_range(equal, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growth_by_table),
        cmocka_unit_test(extremes_stay_at_the_longest),
        cmocka_unit_test(full_jitter_is_even_from_zero),
        cmocka_unit_test(equal_jitter_is_even_over_the_upper_half),
        cmocka_unit_test(decorrelated_jitter_follows_the_previous_delay),
        cmocka_unit_test(decorrelated_jitter_is_capped),
        cmocka_unit_test(decorrelated_jitter_is_the_formula),
        cmocka_unit_test(bounds_and_means_by_table),
        cmocka_unit_test(seeded_delays_form_one_row),
        cmocka_unit_test(seeds_and_attempts_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
