/* test_middleware_retry.c - when a failed attempt is made again, after how long, and when the
 * message is given up; job, options and time are the test's.
 */
#include "middleware/builtin.h"
#include "policy_rig.h"
#include "support/test.h"

#define OPEN(...) RIG_OPEN(&middleware_retry, "bills", __VA_ARGS__)

/* Without max_attempts nothing is given up: a queue without dead letters would drop it. */
static void by_default_nothing_is_given_up(void **state)
{
    void *retry = RIG_OPEN(&middleware_retry, "bills", NULL);
    struct warren_job job = rig_job(WARREN_RETRY);

    (void)state;
    job.attempt = 1000000;
    assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_RETRY);
    assert_in_range(job.retry_delay_ms, 0, 30000);
    middleware_retry.close(retry);
}

/* Whatever is no failed attempt passes as it is. */
static void other_outcomes_pass(void **state)
{
    static const enum warren_outcome outcomes[] = {WARREN_ACK, WARREN_REJECT, WARREN_DISCARD,
                                                   WARREN_REQUEUE};
    void *retry = OPEN("max_attempts", "1");

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct warren_job job = rig_job(outcomes[i]);

        job.attempt = 99;
        assert_int_equal(rig_run(&middleware_retry, retry, &job), outcomes[i]);
        assert_int_equal(job.retry_delay_ms, -1);
        assert_string_equal(job.error, "");
    }
    middleware_retry.close(retry);
}

/* Each policy's delays reach the job, up to the last attempt, which is given up. */
static void delays_by_table(void **state)
{
    static const struct {
        const char *policy;
        int64_t expected[4];
    } rows[] = {{"immediate", {0, 0, 0, 0}},
                {"constant", {200, 200, 200, 200}},
                {"linear", {200, 400, 600, 700}},
                {"exponential", {200, 400, 700, 700}}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        void *retry = OPEN("policy", rows[i].policy, "jitter", "none", "initial_delay", "200ms",
                           "max_delay", "700ms", "max_attempts", "5");
        struct warren_job last = rig_job(WARREN_RETRY);

        for (uint32_t attempt = 1; attempt <= 4; attempt++) {
            struct warren_job job = rig_job(WARREN_RETRY);

            job.attempt = attempt;
            assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_RETRY);
            assert_int_equal(job.retry_delay_ms, rows[i].expected[attempt - 1]);
        }
        last.attempt = 5;
        assert_int_equal(rig_run(&middleware_retry, retry, &last), WARREN_REJECT);
        middleware_retry.close(retry);
    }
}

/* By default: full jitter below 500 ms doubled each time, five attempts. */
static void defaults_are_exponential_with_full_jitter(void **state)
{
    void *retry = OPEN(NULL);
    int64_t most_ms[5] = {0};

    (void)state;
    for (int i = 0; i < 2000; i++) {
        for (uint32_t attempt = 1; attempt <= 4; attempt++) {
            struct warren_job job = rig_job(WARREN_RETRY);

            job.attempt = attempt;
            job.first_ms = i;
            assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_RETRY);
            assert_in_range(job.retry_delay_ms, 0, 500 << (attempt - 1));
            if (job.retry_delay_ms > most_ms[attempt])
                most_ms[attempt] = job.retry_delay_ms;
        }
    }
    for (int attempt = 1; attempt <= 4; attempt++)
        assert_in_range(most_ms[attempt], (500 << (attempt - 1)) * 9 / 10, 500 << (attempt - 1));
    middleware_retry.close(retry);
}

/* Messages that failed in the same millisecond do not come back together. */
static void messages_of_one_moment_spread(void **state)
{
    void *retry = OPEN("initial_delay", "10s");
    struct warren_job jobs[100];
    unsigned halves[2] = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        jobs[i] = rig_job(WARREN_RETRY);
        rig_run(&middleware_retry, retry, &jobs[i]);
        halves[jobs[i].retry_delay_ms > 5000]++;
    }
    assert_in_range(halves[0], 20, 80);
    middleware_retry.close(retry);
}

/* A message stays on its own row of decorrelated delays: each from the one before. */
static void decorrelated_delays_follow_each_other(void **state)
{
    void *retry = OPEN("jitter", "decorrelated", "initial_delay", "100ms", "max_delay", "15m",
                       "max_attempts", "0");
    struct warren_job job = rig_job(WARREN_RETRY);
    int64_t previous_ms = 100;

    (void)state;
    for (job.attempt = 1; job.attempt <= 9; job.attempt++) {
        job.retry_delay_ms = -1;
        assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_RETRY);
        assert_in_range(job.retry_delay_ms, 100, 3 * previous_ms);
        previous_ms = job.retry_delay_ms;
    }
    middleware_retry.close(retry);
}

/* The handler's own delay wins, but max_delay is above it. */
static void the_handlers_own_delay_wins(void **state)
{
    void *retry = OPEN("policy", "constant", "jitter", "none", "max_delay", "2s");
    struct warren_job job = rig_job(WARREN_RETRY);

    (void)state;
    job.retry_delay_ms = 1234;
    assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_RETRY);
    assert_int_equal(job.retry_delay_ms, 1234);
    job.retry_delay_ms = 0;
    rig_run(&middleware_retry, retry, &job);
    assert_int_equal(job.retry_delay_ms, 0);
    job.retry_delay_ms = 2001;
    rig_run(&middleware_retry, retry, &job);
    assert_int_equal(job.retry_delay_ms, 2000);
    middleware_retry.close(retry);
}

/* Giving up says how often it was tried, and keeps the reason, as far as there is one. */
static void giving_up_keeps_the_reason(void **state)
{
    void *retry = OPEN("max_attempts", "3");
    struct warren_job job = rig_job(WARREN_RETRY);

    (void)state;
    job.attempt = 3;
    strcpy(job.error, "no route to the bank");
    assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_REJECT);
    assert_string_equal(job.error, "gave up after 3 attempts: no route to the bank");
    job.error[0] = '\0';
    job.attempt = 7; /* the broker has counted more */
    assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_REJECT);
    assert_string_equal(job.error, "gave up after 7 attempts");
    middleware_retry.close(retry);
}

/* No attempt begins after max_age; until then there may be any number of them. */
static void too_old_a_message_is_given_up(void **state)
{
    void *retry = OPEN("policy", "constant", "jitter", "none", "initial_delay", "1s",
                       "max_attempts", "0", "max_age", "10s");
    struct warren_job job = rig_job(WARREN_RETRY);

    (void)state;
    job.attempt = 1000000;
    job.first_ms = 5000;
    job.now_ms = 14000;
    assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_RETRY);
    job.now_ms = 14001;
    job.retry_delay_ms = -1;
    assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_REJECT);
    assert_string_equal(job.error, "gave up after 9001 ms and attempt 1000000");
    middleware_retry.close(retry);
}

/* What decides, by table: the attempts before the age, the handler's own delay in place of the
 * policy's, max_delay over both. The policy is 1 s, 2 s, 4 s, 8 s; the first failure is at 0. */
static void decisions_by_table(void **state)
{
    static const struct {
        const char *max_attempts, *max_delay, *max_age;
        uint32_t attempt;
        int64_t now_ms, wanted_ms; /* -1: the handler does not ask */
        enum warren_outcome outcome;
        int64_t delay_ms;
        const char *reason;
    } rows[] = {
        {"0", "5s", "0ms", 1, 0, -1, WARREN_RETRY, 1000, ""},
        {"0", "5s", "0ms", 3, 0, -1, WARREN_RETRY, 4000, ""},
        {"0", "5s", "0ms", 4, 0, -1, WARREN_RETRY, 5000, ""},
        {"0", "5s", "0ms", 1000000, 0, -1, WARREN_RETRY, 5000, ""},
        {"0", "5s", "0ms", 1, 0, 0, WARREN_RETRY, 0, ""},
        {"0", "5s", "0ms", 4, 0, 4999, WARREN_RETRY, 4999, ""},
        {"0", "5s", "0ms", 1, 0, INT64_MAX, WARREN_RETRY, 5000, ""},
        {"4", "5s", "0ms", 3, 0, -1, WARREN_RETRY, 4000, ""},
        {"4", "5s", "0ms", 4, 0, -1, WARREN_REJECT, -1, "attempts"},
        {"4", "5s", "0ms", 4, 0, 10, WARREN_REJECT, 10, "attempts"},
        {"1", "5s", "0ms", 1, 0, -1, WARREN_REJECT, -1, "attempts"},
        {"0", "5s", "10s", 3, 6000, -1, WARREN_RETRY, 4000, ""},
        {"0", "5s", "10s", 3, 6001, -1, WARREN_REJECT, -1, "age"},
        {"0", "5s", "10s", 3, 6001, 3999, WARREN_RETRY, 3999, ""},
        {"0", "5s", "10s", 1, 6000, 4001, WARREN_REJECT, 4001, "age"},
        {"0", "5s", "10s", 1, 5000, 99999, WARREN_RETRY, 5000, ""},
        {"3", "5s", "10s", 3, 60000, -1, WARREN_REJECT, -1, "attempts"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *retry = OPEN("jitter", "none", "initial_delay", "1s", "max_delay", rows[i].max_delay,
                           "max_attempts", rows[i].max_attempts, "max_age", rows[i].max_age);
        struct warren_job job = rig_job(WARREN_RETRY);

        job.attempt = rows[i].attempt;
        job.now_ms = rows[i].now_ms;
        job.retry_delay_ms = rows[i].wanted_ms;
        assert_int_equal(rig_run(&middleware_retry, retry, &job), rows[i].outcome);
        assert_int_equal(job.retry_delay_ms, rows[i].delay_ms);
        assert_string_equal(job.reason, rows[i].reason);
        middleware_retry.close(retry);
    }
}

/* An attempt that was forgiven is none: neither counted nor given another delay. */
static void a_forgiven_attempt_passes(void **state)
{
    void *retry = OPEN("max_attempts", "1", "max_age", "1ms");
    struct warren_job job = rig_job(WARREN_RETRY);

    (void)state;
    job.forgives = true;
    job.now_ms = 99999;
    job.retry_delay_ms = 60000;
    assert_int_equal(rig_run(&middleware_retry, retry, &job), WARREN_RETRY);
    assert_int_equal(job.retry_delay_ms, 60000);
    assert_string_equal(job.error, "");
    middleware_retry.close(retry);
}

/* Options that contradict each other are refused with the reason. */
static void contradictions_are_refused(void **state)
{
    (void)state;
    RIG_REFUSED(&middleware_retry, "above max_delay", "initial_delay", "2s", "max_delay", "1s");
    RIG_REFUSED(&middleware_retry, "needs policy exponential", "jitter", "decorrelated", "policy",
                "linear");
    RIG_REFUSED(&middleware_retry, "initial_delay above 0", "jitter", "decorrelated",
                "initial_delay", "0ms");
    RIG_REFUSED(&middleware_retry, "the shortest delay (2000 ms) is above max_age (1999 ms)",
                "jitter", "none", "initial_delay", "2s", "max_age", "1999ms");
    RIG_REFUSED(&middleware_retry, "there would be no second attempt", "jitter", "equal",
                "initial_delay", "2s", "max_age", "999ms");
}

/* ---- reload ---- */

static void reload(void *state, const char *const *given)
{
    middleware_retry.reload(state, rig_keep(&middleware_retry, given));
}

#define RELOAD(state, ...) reload(state, (const char *const[]){__VA_ARGS__, NULL})

static enum warren_outcome fail_at(void *retry, uint32_t attempt, struct warren_job *job)
{
    *job = rig_job(WARREN_RETRY);
    job->attempt = attempt;
    return rig_run(&middleware_retry, retry, job);
}

/* Every option has its new value at once, also one that is a default again. */
static void a_reload_changes_all_options(void **state)
{
    void *retry = OPEN("policy", "constant", "jitter", "none", "max_age", "1s");
    struct warren_job job;

    (void)state;
    assert_int_equal(fail_at(retry, 1, &job), WARREN_RETRY);
    assert_int_equal(job.retry_delay_ms, 500);
    assert_int_equal(job.hold_max_ms, 30000);
    RELOAD(retry, "policy", "linear", "jitter", "none", "initial_delay", "3s", "max_delay", "7s",
           "max_attempts", "4", "in_memory_max", "1s");
    assert_int_equal(fail_at(retry, 1, &job), WARREN_RETRY);
    assert_int_equal(job.retry_delay_ms, 3000);
    assert_int_equal(fail_at(retry, 3, &job), WARREN_RETRY);
    assert_int_equal(job.retry_delay_ms, 7000);
    assert_int_equal(job.hold_max_ms, 1000);
    assert_int_equal(fail_at(retry, 4, &job), WARREN_REJECT);
    assert_string_equal(job.reason, "attempts");
    RELOAD(retry, "jitter", "none");
    assert_int_equal(fail_at(retry, 4, &job), WARREN_RETRY);
    assert_int_equal(job.retry_delay_ms, 4000);
    middleware_retry.close(retry);
}

/* What -1 means depends on dead letters, after a reload as before. */
static void a_reload_keeps_the_usual_attempts(void **state)
{
    struct warren_options options = {middleware_retry.options, NULL};
    struct warren_subscription_info info = {
        .queue = "bills", .handler = "p.charge", .options = &options, .dead_letters = true};
    struct warren_job job;
    void *retry = NULL;

    (void)state;
    assert_int_equal(middleware_retry.open(&info, &retry, NULL), WARREN_OK);
    assert_int_equal(fail_at(retry, 5, &job), WARREN_REJECT);
    RELOAD(retry, "max_attempts", "9");
    assert_int_equal(fail_at(retry, 5, &job), WARREN_RETRY);
    RELOAD(retry, "max_attempts", "-1");
    assert_int_equal(fail_at(retry, 4, &job), WARREN_RETRY);
    assert_int_equal(fail_at(retry, 5, &job), WARREN_REJECT);
    middleware_retry.close(retry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_default_nothing_is_given_up),
        cmocka_unit_test(other_outcomes_pass),
        cmocka_unit_test(delays_by_table),
        cmocka_unit_test(defaults_are_exponential_with_full_jitter),
        cmocka_unit_test(messages_of_one_moment_spread),
        cmocka_unit_test(decorrelated_delays_follow_each_other),
        cmocka_unit_test(the_handlers_own_delay_wins),
        cmocka_unit_test(giving_up_keeps_the_reason),
        cmocka_unit_test(too_old_a_message_is_given_up),
        cmocka_unit_test(decisions_by_table),
        cmocka_unit_test(a_forgiven_attempt_passes),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(a_reload_changes_all_options),
        cmocka_unit_test(a_reload_keeps_the_usual_attempts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
