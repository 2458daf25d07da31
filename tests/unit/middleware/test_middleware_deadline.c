/* test_middleware_deadline.c - what a time limit does to each outcome; the job's clock stands still
 * but for what the handler takes.
 */
#include "fake_job.h"
#include "middleware/builtin.h"
#include "support/metric_page.h"

#define LIMIT_MS 5000

struct rig {
    struct warren_subscription_info info;
    void *state;
    struct fake_log log;
};

static int setup(void **state)
{
    static const struct warren_options options = {{{"limit", "5000"}, {"hard_limit", "0"}}};
    struct rig *rig = calloc(1, sizeof *rig);

    if (!rig)
        return -1;
    rig->state = fake_open(&middleware_deadline, &rig->info, &options);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    middleware_deadline.close(rig->state);
    free(rig);
    return 0;
}

static enum warren_outcome run(struct rig *rig, struct warren_job *job)
{
    struct warren_link links[] = {{middleware_deadline.call, rig->state, 0},
                                  {fake_handle, NULL, 0}};
    enum warren_outcome outcome;

    fake_log_begin(&rig->log, WARREN_LOG_INFO);
    outcome = warren_next(job, links);
    fake_log_end(&rig->log);
    return outcome;
}

/* The job gets its limit, counted from now. */
static void the_limit_counts_from_now(void **state)
{
    struct warren_job job = {.now_ms = 70000};

    run(*state, &job);
    assert_int_equal(job.limit_ms, 70000 + LIMIT_MS);
    assert_int_equal(job.hard_limit_ms, 0);
}

/* A millisecond earlier nothing happens, whatever the outcome. */
static void within_the_limit_every_outcome_stays(void **state)
{
    struct rig *rig = *state;

    for (int outcome = WARREN_ACK; outcome <= WARREN_REQUEUE; outcome++) {
        struct warren_job job = {.outcome = (enum warren_outcome)outcome, .took_ms = LIMIT_MS - 1};

        assert_int_equal(run(rig, &job), outcome);
        assert_null(warren_job_error(&job));
        assert_string_equal(rig->log.text, "");
    }
}

/* What was done late is done: the verdict stays, and one line tells. */
static void a_late_verdict_stays_and_is_reported(void **state)
{
    static const enum warren_outcome outcomes[] = {WARREN_ACK, WARREN_REJECT, WARREN_DISCARD};
    struct rig *rig = *state;
    char part[64];

    for (int i = 0; i < 3; i++) {
        struct warren_job job = {
            .outcome = outcomes[i], .took_ms = LIMIT_MS, .properties = {.message_id = "m-1"}};

        assert_int_equal(run(rig, &job), outcomes[i]);
        assert_null(warren_job_error(&job));
        assert_int_equal(fake_log_lines(&rig->log), 1);
        fake_log_has(&rig->log, "level=warn msg=\"message handled after its time limit\"");
        fake_log_has(&rig->log, "queue=bills handler=pay.charge message_id=m-1");
        fake_log_has(&rig->log, "limit=5s");
        snprintf(part, sizeof part, "outcome=%s", warren_outcome_name(outcomes[i]));
        fake_log_has(&rig->log, part);
        snprintf(part, sizeof part, "late=%d\n", i + 1);
        fake_log_has(&rig->log, part);
    }
}

/* A late retry says why. The line is the log middleware's. */
static void a_late_retry_names_the_limit(void **state)
{
    struct rig *rig = *state;
    struct warren_job job = {.outcome = WARREN_RETRY, .took_ms = LIMIT_MS};

    assert_int_equal(run(rig, &job), WARREN_RETRY);
    assert_string_equal(warren_job_error(&job), "time limit of 5s passed");
    assert_string_equal(rig->log.text, "");
}

/* Each attempt that was too late counts, whatever its outcome. */
static void late_attempts_are_counted(void **state)
{
    static const char series[] = "warren_time_limits_total{queue=\"bills\",handler=\"pay.charge\"}";
    struct warren_job in_time = {.outcome = WARREN_ACK, .took_ms = LIMIT_MS - 1};
    struct warren_job late = {.outcome = WARREN_ACK, .took_ms = LIMIT_MS};
    struct warren_job retried = {.outcome = WARREN_RETRY, .took_ms = LIMIT_MS};
    double before = metric_on_page(series);

    run(*state, &in_time);
    assert_true(metric_on_page(series) == before);
    run(*state, &late);
    run(*state, &retried);
    assert_true(metric_on_page(series) == before + 2);
}

/* The handler's own reason is not lost. */
static void the_handlers_reason_is_kept(void **state)
{
    struct warren_job job = {
        .outcome = WARREN_RETRY, .took_ms = LIMIT_MS, .error = "waiting for the bank"};

    run(*state, &job);
    assert_string_equal(warren_job_error(&job), "time limit of 5s passed: waiting for the bank");
}

/* Handing back past the limit is a failed attempt, or it would go on for ever. */
static void a_late_requeue_is_a_failed_attempt(void **state)
{
    struct warren_job job = {.outcome = WARREN_REQUEUE, .took_ms = LIMIT_MS};

    assert_int_equal(run(*state, &job), WARREN_RETRY);
    assert_string_equal(warren_job_error(&job), "time limit of 5s passed");
}

/* ---- opening ---- */

static void open_with(const char *limit, const char *hard_limit, struct fake_log *log)
{
    const struct warren_options options = {{{"limit", limit}, {"hard_limit", hard_limit}}};
    struct warren_subscription_info info;
    void *state;

    fake_log_begin(log, WARREN_LOG_INFO);
    state = fake_open(&middleware_deadline, &info, &options);
    fake_log_end(log);
    middleware_deadline.close(state);
}

/* The broker takes the message back first. */
static void a_limit_above_the_brokers_is_warned_of(void **state)
{
    struct fake_log log;

    (void)state;
    open_with("1800000", "1800000", &log);
    assert_string_equal(log.text, "");
    open_with("1800001", "0", &log);
    assert_int_equal(fake_log_lines(&log), 1);
    fake_log_has(&log, "level=warn");
    fake_log_has(&log, "queue=bills handler=pay.charge limit=1800001ms consumer_timeout=30m");
    open_with("1000", "1800001", &log);
    assert_int_equal(fake_log_lines(&log), 1);
    fake_log_has(&log, "limit=1s hard_limit=1800001ms consumer_timeout=30m");
}

/* The hard limit counts from now, too. */
static void the_hard_limit_is_passed_on(void **state)
{
    const struct warren_options options = {{{"limit", "5000"}, {"hard_limit", "20000"}}};
    struct warren_subscription_info info;
    struct warren_job job = {.now_ms = 70000};
    struct warren_link links[2] = {{middleware_deadline.call, NULL, 0}, {fake_handle, NULL, 0}};

    (void)state;
    links[0].state = fake_open(&middleware_deadline, &info, &options);
    assert_int_equal(warren_next(&job, links), WARREN_ACK);
    assert_int_equal(job.limit_ms, 75000);
    assert_int_equal(job.hard_limit_ms, 90000);
    middleware_deadline.close(links[0].state);
}

/* A hard limit that comes first would leave no time to give up. */
static void a_hard_limit_below_the_limit_is_refused(void **state)
{
    const struct warren_options options = {{{"limit", "5000"}, {"hard_limit", "4999"}}};
    struct warren_error error = {WARREN_OK, ""};

    (void)state;
    assert_int_equal(middleware_deadline.check(&options, &error), WARREN_ECONFIG);
    assert_string_equal(error.text, "hard_limit (4999 ms) is below limit (5000 ms)");
}

/* ---- reload ---- */

static enum warren_outcome reload_meanwhile(struct warren_job *job, const struct warren_link *next,
                                            void *state)
{
    static const struct warren_options options = {{{"limit", "100"}, {"hard_limit", "200"}}};

    middleware_deadline.reload(state, &options);
    return warren_next(job, next);
}

/* An attempt is judged by the limit that it was given; the next one has the new limits. */
static void a_reload_is_for_attempts_that_begin(void **state)
{
    struct rig *rig = *state;
    struct warren_link links[] = {{middleware_deadline.call, rig->state, 0},
                                  {reload_meanwhile, rig->state, 0},
                                  {fake_handle, NULL, 0}};
    struct warren_job before = {.outcome = WARREN_RETRY, .now_ms = 1000, .took_ms = LIMIT_MS - 1};
    struct warren_job after = {.outcome = WARREN_RETRY, .now_ms = 1000, .took_ms = 100};

    assert_int_equal(warren_next(&before, links), WARREN_RETRY);
    assert_int_equal(before.limit_ms, 1000 + LIMIT_MS);
    assert_int_equal(before.hard_limit_ms, 0);
    assert_null(warren_job_error(&before));
    run(rig, &after);
    assert_int_equal(after.limit_ms, 1100);
    assert_int_equal(after.hard_limit_ms, 1200);
    assert_string_equal(warren_job_error(&after), "time limit of 100ms passed");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_limit_counts_from_now),
        T(within_the_limit_every_outcome_stays),
        T(a_late_verdict_stays_and_is_reported),
        T(a_late_retry_names_the_limit),
        T(late_attempts_are_counted),
        T(the_handlers_reason_is_kept),
        T(a_late_requeue_is_a_failed_attempt),
        cmocka_unit_test(the_hard_limit_is_passed_on),
        cmocka_unit_test(a_hard_limit_below_the_limit_is_refused),
        cmocka_unit_test(a_limit_above_the_brokers_is_warned_of),
        T(a_reload_is_for_attempts_that_begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
