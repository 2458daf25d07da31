/* test_middleware_log.c - which messages get a line, and what it says; job and log are the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "middleware/log.h"

struct warren_job {
    enum warren_outcome outcome;
    const char *error;
    unsigned asked; /* accessors that were called */
};

const char *warren_job_queue(const struct warren_job *job)
{
    (void)job;
    return "bills";
}

const struct warren_properties *warren_job_properties(struct warren_job *job)
{
    static const struct warren_properties properties = {.message_id = "m-1"};

    job->asked++;
    return &properties;
}

uint32_t warren_job_attempt(struct warren_job *job)
{
    job->asked++;
    return 3;
}

bool warren_job_redelivered(const struct warren_job *job)
{
    (void)job;
    return true;
}

int64_t warren_job_elapsed_us(const struct warren_job *job)
{
    (void)job;
    return 12999;
}

const char *warren_job_error(const struct warren_job *job)
{
    return job->error;
}

static enum warren_outcome answer(struct warren_job *job, const struct warren_link *next,
                                  void *state)
{
    (void)next;
    (void)state;
    return job->outcome;
}

/* Run the link around @job; what it logged goes to @text. */
static void run(struct warren_job *job, enum warren_log_level level, char *text, size_t size)
{
    struct warren_link links[] = {log_middleware("pay.charge"), {answer, NULL}};
    ssize_t len;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    log_set(level, LOG_LOGFMT);
    assert_int_equal(log_start(ends[1]), WARREN_OK);
    assert_int_equal(warren_next(job, links), job->outcome);
    log_stop(10000);
    close(ends[1]);
    len = read(ends[0], text, size - 1);
    assert_true(len >= 0);
    text[len] = '\0';
    close(ends[0]);
}

/* An acked message is not worth a line above debug, nor a look at its properties. */
static void an_ack_costs_nothing_at_info(void **state)
{
    struct warren_job job = {.outcome = WARREN_ACK};
    char text[LOG_LINE_MAX];

    (void)state;
    run(&job, WARREN_LOG_INFO, text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(job.asked, 0);
}

static void an_ack_is_logged_at_debug(void **state)
{
    struct warren_job job = {.outcome = WARREN_ACK};
    char text[LOG_LINE_MAX];

    (void)state;
    run(&job, WARREN_LOG_DEBUG, text, sizeof text);
    assert_non_null(strstr(text, "outcome=ack"));
    assert_non_null(strstr(text, "level=debug"));
    assert_null(strstr(text, "error="));
}

/* Any other outcome is a warning that says all that is known. */
static void a_failure_is_a_warning_with_all_fields(void **state)
{
    static const char *const parts[] = {"level=warn",     "queue=bills",    "handler=pay.charge",
                                        "message_id=m-1", "attempt=3",      "redelivered=true",
                                        "outcome=reject", "duration_ms=12", "error=\"no card\""};
    struct warren_job job = {.outcome = WARREN_REJECT, .error = "no card"};
    char text[LOG_LINE_MAX];

    (void)state;
    run(&job, WARREN_LOG_INFO, text, sizeof text);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!strstr(text, parts[i]))
            fail_msg("%s is not in: %s", parts[i], text);
    }
}

static void a_failure_is_silent_at_error(void **state)
{
    struct warren_job job = {.outcome = WARREN_RETRY};
    char text[LOG_LINE_MAX];

    (void)state;
    run(&job, WARREN_LOG_ERROR, text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(job.asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ack_costs_nothing_at_info),
        cmocka_unit_test(an_ack_is_logged_at_debug),
        cmocka_unit_test(a_failure_is_a_warning_with_all_fields),
        cmocka_unit_test(a_failure_is_silent_at_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
