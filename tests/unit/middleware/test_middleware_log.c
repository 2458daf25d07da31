/* test_middleware_log.c - which messages get a line, and what it says; job and log are the test's.
 */
#include "fake_job.h"
#include "middleware/builtin.h"
#include "support/test.h"

static const struct warren_options defaults = {
    {{"acked", "debug"}, {"failed", "warn"}, {"sample", "1"}}};

/* Run @times jobs like @job through the middleware; what it logged goes to @log. */
static void run(struct warren_job *job, const struct warren_options *options, int times,
                enum warren_log_level level, struct fake_log *log)
{
    struct warren_subscription_info info;
    void *state = fake_open(&middleware_log, &info, options);
    struct warren_link links[] = {{middleware_log.call, state, 0}, {fake_handle, NULL, 0}};

    fake_log_begin(log, level);
    for (int i = 0; i < times; i++)
        assert_int_equal(warren_next(job, links), job->outcome);
    fake_log_end(log);
    middleware_log.close(state);
}

/* An acked message is not worth a line above debug, nor a look at its properties or the clock. */
static void an_ack_costs_nothing_at_info(void **state)
{
    struct warren_job job = {.outcome = WARREN_ACK};
    struct fake_log log;

    (void)state;
    run(&job, &defaults, 1, WARREN_LOG_INFO, &log);
    assert_string_equal(log.text, "");
    assert_int_equal(job.asked, 0);
}

static void an_ack_is_logged_at_debug(void **state)
{
    struct warren_job job = {.outcome = WARREN_ACK};
    struct fake_log log;

    (void)state;
    run(&job, &defaults, 1, WARREN_LOG_DEBUG, &log);
    fake_log_has(&log, "outcome=ack");
    fake_log_has(&log, "level=debug");
    assert_null(strstr(log.text, "error="));
    assert_null(strstr(log.text, "traceparent="));
    assert_null(strstr(log.text, "correlation_id="));
}

/* A message that was not handled, for it had been before, is told from one that was. */
static void a_duplicate_is_called_so(void **state)
{
    struct warren_job job = {.outcome = WARREN_ACK};
    struct fake_log log;

    (void)state;
    run(&job, &defaults, 1, WARREN_LOG_DEBUG, &log);
    assert_null(strstr(log.text, "duplicate"));
    job.duplicate = true;
    run(&job, &defaults, 1, WARREN_LOG_DEBUG, &log);
    fake_log_has(&log, "outcome=ack duplicate=true ");
}

/* Any other outcome is a warning that says all that is known. */
static void a_failure_is_a_warning_with_all_fields(void **state)
{
    static const char *const parts[] = {"level=warn",         "queue=bills",
                                        "handler=pay.charge", "message_id=m-1",
                                        "correlation_id=c-7", "attempt=3",
                                        "redelivered=true",   "outcome=reject",
                                        "duration_ms=12",     "traceparent=00-ab-cd-01",
                                        "error=\"no card\""};
    struct warren_job job = {.outcome = WARREN_REJECT,
                             .error = "no card",
                             .attempt = 3,
                             .traceparent = "00-ab-cd-01",
                             .properties = {.message_id = "m-1", .correlation_id = "c-7"}};
    struct fake_log log;

    (void)state;
    run(&job, &defaults, 1, WARREN_LOG_INFO, &log);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        fake_log_has(&log, parts[i]);
    assert_int_equal(fake_log_lines(&log), 1);
}

static void a_failure_is_silent_at_error(void **state)
{
    struct warren_job job = {.outcome = WARREN_RETRY};
    struct fake_log log;

    (void)state;
    run(&job, &defaults, 1, WARREN_LOG_ERROR, &log);
    assert_string_equal(log.text, "");
    assert_int_equal(job.asked, 0);
}

/* The levels are options. */
static void the_levels_are_chosen(void **state)
{
    static const struct warren_options options = {
        {{"acked", "info"}, {"failed", "error"}, {"sample", "1"}}};
    struct warren_job job = {.outcome = WARREN_ACK};
    struct fake_log log;

    (void)state;
    run(&job, &options, 1, WARREN_LOG_INFO, &log);
    fake_log_has(&log, "level=info");
    job.outcome = WARREN_DISCARD;
    run(&job, &options, 1, WARREN_LOG_ERROR, &log);
    fake_log_has(&log, "level=error");
}

/* A reload changes levels and sampling while jobs run. */
static void a_reload_changes_them(void **state)
{
    static const struct warren_options loud = {
        {{"acked", "info"}, {"failed", "error"}, {"sample", "2"}}};
    struct warren_job job = {.outcome = WARREN_ACK};
    struct warren_subscription_info info;
    void *log_state = fake_open(&middleware_log, &info, &defaults);
    struct warren_link links[] = {{middleware_log.call, log_state, 0}, {fake_handle, NULL, 0}};
    struct fake_log log;

    (void)state;
    fake_log_begin(&log, WARREN_LOG_INFO);
    warren_next(&job, links);
    middleware_log.reload(log_state, &loud);
    for (int i = 0; i < 4; i++)
        warren_next(&job, links);
    job.outcome = WARREN_REJECT;
    warren_next(&job, links);
    fake_log_end(&log);
    assert_int_equal(fake_log_lines(&log), 3);
    fake_log_has(&log, "level=info");
    fake_log_has(&log, "level=error");
    middleware_log.close(log_state);
}

/* Of 3 acked messages one has a line, the first; the others are not looked at. */
static void acks_are_sampled(void **state)
{
    static const struct warren_options options = {
        {{"acked", "info"}, {"failed", "warn"}, {"sample", "3"}}};
    struct warren_job job = {.outcome = WARREN_ACK};
    struct fake_log log;
    unsigned asked;

    (void)state;
    run(&job, &options, 1, WARREN_LOG_INFO, &log);
    assert_int_equal(fake_log_lines(&log), 1);
    asked = job.asked;
    job.asked = 0;
    run(&job, &options, 7, WARREN_LOG_INFO, &log);
    assert_int_equal(fake_log_lines(&log), 3);
    assert_int_equal(job.asked, 3 * asked);
}

/* Failures are rare and matter: each has its line. */
static void failures_are_not_sampled(void **state)
{
    static const struct warren_options options = {
        {{"acked", "info"}, {"failed", "warn"}, {"sample", "1000"}}};
    struct warren_job job = {.outcome = WARREN_RETRY};
    struct fake_log log;

    (void)state;
    run(&job, &options, 5, WARREN_LOG_INFO, &log);
    assert_int_equal(fake_log_lines(&log), 5);
}

/* What an open breaker turned away is no news: hundreds may be. */
static void a_forgiven_attempt_is_silent_at_info(void **state)
{
    struct warren_job job = {.outcome = WARREN_RETRY, .forgiven = true};
    struct fake_log log;

    (void)state;
    run(&job, &defaults, 1, WARREN_LOG_INFO, &log);
    assert_string_equal(log.text, "");
    run(&job, &defaults, 1, WARREN_LOG_DEBUG, &log);
    fake_log_has(&log, "level=debug");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ack_costs_nothing_at_info),
        cmocka_unit_test(an_ack_is_logged_at_debug),
        cmocka_unit_test(a_duplicate_is_called_so),
        cmocka_unit_test(a_failure_is_a_warning_with_all_fields),
        cmocka_unit_test(a_failure_is_silent_at_error),
        cmocka_unit_test(the_levels_are_chosen),
        cmocka_unit_test(acks_are_sampled),
        cmocka_unit_test(a_reload_changes_them),
        cmocka_unit_test(failures_are_not_sampled),
        cmocka_unit_test(a_forgiven_attempt_is_silent_at_info),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
